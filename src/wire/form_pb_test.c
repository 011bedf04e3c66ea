#include "wire/form_pb.h"

#include "model/form.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* Made with the protobuf library from the classes of the official SDK: every kind of field, two levels of conditions. */
static const char golden[] = "08011a2d0a076170695f6b65791207415049206b65791801220d46726f6d207468652"
                             "07061676528014a06736b2de280a61a"
                             "3d0a06726567696f6e1206526567696f6e18004a047069636b62230a170a026575120"
                             "64575726f70651a09616c6c206f6620"
                             "69740a080a027573120275731a150a036f6c6412034f6c6432060a01610a016242016"
                             "21a100a046661737412044661737418"
                             "003a001a080a016812014828021a190a0370656d12084b65792066696c655a080a042"
                             "e70656d100a1a480a01771201775240"
                             "0a080a0466617374100112120a05737065656412055370656564180128001220521e0"
                             "a0c0a06726567696f6e1a026575120e"
                             "0a037661741203564154180028001a1b52190a070a036f6c642001120e0a037768791"
                             "2035768791800280022180a0a636f6e"
                             "6e656374696f6e120a436f6e6e656374696f6e";

static size_t
unhex(const char *hex, unsigned char *out)
{
    size_t n = strlen(hex) / 2;
    unsigned byte;

    for (size_t i = 0; i < n; i++) {
        assert_int_equal(sscanf(hex + 2 * i, "%2x", &byte), 1);
        out[i] = (unsigned char)byte;
    }
    return n;
}

static json_t *
read_golden(void)
{
    unsigned char bytes[sizeof golden];
    size_t n = unhex(golden, bytes);
    struct sl_err err = { 0 };
    json_t *form = NULL;

    if (sl_form_from_pb((struct sl_bytes){ (const char *)bytes, n }, &form, &err))
        fail_msg("%s", err.text);
    return form;
}

static const char *
said(const json_t *form, size_t i, const char *member)
{
    const json_t *v = json_object_get(json_array_get(json_object_get(form, "fields"), i), member);

    return json_is_string(v) ? json_string_value(v) : "(none)";
}

static void
what_others_wrote(void **state)
{
    static const char *const names[] = { "api_key", "region", "old", "fast", "h",
                                         "pem",     "speed",  "vat", "why" },
                             *const kinds[] = { "password", "dropdown", "dropdown",
                                                "toggle",   "hidden",   "upload",
                                                "text",     "text",     "text" };
    json_t *form = read_golden(), *fields = json_object_get(form, "fields"), *when;

    (void)state;
    assert_int_equal(json_array_size(fields), 9);
    for (size_t i = 0; i < 9; i++) {
        assert_string_equal(said(form, i, "name"), names[i]);
        assert_string_equal(said(form, i, "kind"), kinds[i]);
    }
    assert_string_equal(said(form, 0, "description"), "From the page");
    assert_string_equal(said(form, 0, "placeholder"), "sk-…");
    assert_string_equal(said(form, 2, "default"), "b");
    assert_true(json_is_true(json_object_get(json_array_get(fields, 0), "required")));
    when = json_object_get(json_array_get(fields, 7), "when");
    assert_int_equal(json_array_size(when), 2);
    assert_true(json_is_true(json_object_get(json_array_get(when, 0), "is")));
    assert_string_equal(json_string_value(json_object_get(json_array_get(when, 1), "is")), "eu");
    when = json_object_get(json_array_get(fields, 8), "when");
    assert_true(json_is_true(json_object_get(json_array_get(when, 0), "empty")));
    assert_string_equal(sl_form_test(form, "connection"), "Connection");
    json_decref(form);
}

static void
written_and_read_again(void **state)
{
    json_t *form = read_golden(), *again = NULL;
    struct sl_err err = { 0 };
    struct sl_buf a, b;

    (void)state;
    sl_buf_init(&a, 1 << 20);
    sl_buf_init(&b, 1 << 20);
    sl_form_to_pb(form, &a);
    assert_int_equal(sl_form_from_pb((struct sl_bytes){ a.ptr, a.len }, &again, &err), SL_OK);
    /* A choice without a description has an empty one in the official file, and none in ours. */
    assert_true(json_equal(form, again));
    sl_form_to_pb(again, &b);
    assert_int_equal(a.len, b.len);
    assert_memory_equal(a.ptr, b.ptr, a.len);
    sl_buf_free(&a);
    sl_buf_free(&b);
    json_decref(form);
    json_decref(again);
}

static void
none_is_empty(void **state)
{
    struct sl_err err = { 0 };
    struct sl_buf out;
    json_t *form = NULL;

    (void)state;
    sl_buf_init(&out, 100);
    assert_int_equal(sl_form_from_pb((struct sl_bytes){ 0 }, &form, &err), SL_OK);
    assert_true(sl_form_empty(form));
    sl_form_to_pb(form, &out);
    assert_int_equal(out.len, 0);
    json_decref(form);
}

/* Cut anywhere, and with any one byte changed: an error or a form, never more. */
static void
damaged(void **state)
{
    unsigned char bytes[sizeof golden], *copy;
    size_t n = unhex(golden, bytes), refused = 0;
    struct sl_err err = { 0 };
    json_t *form;

    (void)state;
    for (size_t cut = 0; cut <= n; cut++) {
        copy = malloc(cut + 1); /* so that a sanitizer sees the end */
        memcpy(copy, bytes, cut);
        refused += sl_form_from_pb((struct sl_bytes){ (char *)copy, cut }, &form, &err) != SL_OK;
        json_decref(form);
        free(copy);
    }
    assert_true(refused > n / 2);
    for (size_t at = 0; at < n; at++)
        for (int change = 1; change < 256; change += 31) {
            copy = malloc(n);
            memcpy(copy, bytes, n);
            copy[at] ^= (unsigned char)change;
            if (sl_form_from_pb((struct sl_bytes){ (char *)copy, n }, &form, &err))
                assert_null(form);
            json_decref(form);
            free(copy);
        }
}

/* Conditions within conditions, deeper than anything sensible. */
static void
too_deep(void **state)
{
    struct sl_buf inner, outer;
    struct sl_err err = { 0 };
    json_t *form;

    (void)state;
    sl_buf_init(&inner, 1 << 20);
    sl_buf_addn(&inner, "\x0a\x01x", 3);
    for (int i = 0; i < 10; i++) {
        sl_buf_init(&outer, 1 << 20);
        sl_buf_addf(&outer, "\x52%c\x0a\x05\x0a\x01y\x10\x01\x12%c", (int)inner.len + 9,
                    (int)inner.len);
        sl_buf_addn(&outer, inner.ptr, inner.len);
        sl_buf_free(&inner);
        inner = outer;
    }
    sl_buf_init(&outer, 1 << 20);
    sl_buf_addf(&outer, "\x1a%c%c", (int)(inner.len & 0x7F) | 0x80, (int)(inner.len >> 7));
    sl_buf_addn(&outer, inner.ptr, inner.len);
    assert_int_equal(sl_form_from_pb((struct sl_bytes){ outer.ptr, outer.len }, &form, &err),
                     SL_E_CONFIG);
    assert_non_null(strstr(err.text, "nested more than 8 deep"));
    sl_buf_free(&inner);
    sl_buf_free(&outer);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_others_wrote), cmocka_unit_test(written_and_read_again),
        cmocka_unit_test(none_is_empty),     cmocka_unit_test(damaged),
        cmocka_unit_test(too_deep),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
