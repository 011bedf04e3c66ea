#include "model/cell.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static struct sl_cell
text_cell(enum sl_tag tag, const char *s)
{
    return (struct sl_cell){ .tag = tag, .len = (uint32_t)strlen(s), .ptr = s };
}

static void
text_forms(void **state)
{
    struct {
        struct sl_cell cell;
        const char *text;
    } v[] = {
        { { .tag = SL_C_TRUE }, "true" },
        { { .tag = SL_C_FALSE }, "false" },
        { { .tag = SL_C_LONG, .i = -42 }, "-42" },
        { { .tag = SL_C_DOUBLE, .d = 0.1 }, "0.1" },
        { { .tag = SL_C_DOUBLE, .d = 5 }, "5.0" },
        { { .tag = SL_C_DATE, .i = 19782 }, "2024-02-29" },
        { { .tag = SL_C_DATE, .i = -719162 }, "0001-01-01" },
        { { .tag = SL_C_NAIVE_DATETIME, .i = 1709201471123456 }, "2024-02-29T10:11:11.123456" },
        { { .tag = SL_C_UTC_DATETIME, .i = 1709201471000000 }, "2024-02-29T10:11:11Z" },
        { { .tag = SL_C_UTC_DATETIME, .i = -1 }, "1969-12-31T23:59:59.999999Z" },
        { text_cell(SL_C_DECIMAL, "12.3400"), "12.34" },
        { text_cell(SL_C_DECIMAL, "-5.00"), "-5" },
        { text_cell(SL_C_BIGINT, "1180591620717411303424"), "1180591620717411303424" },
        { text_cell(SL_C_BINARY, "xy"), "eHk=" },
        { text_cell(SL_C_JSON, "{\"a\":1}"), "{\"a\":1}" },
    };
    struct sl_arena arena = { 0 };
    struct sl_bytes out;

    (void)state;
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        assert_true(sl_cell_text(&v[i].cell, &arena, &out));
        if (out.len != strlen(v[i].text) || memcmp(out.ptr, v[i].text, out.len) != 0)
            fail_msg("%.*s, expected %s", (int)out.len, out.ptr, v[i].text);
    }
    sl_arena_free(&arena);
}

static void
decimals(void **state)
{
    struct sl_coltype to = { SL_T_DECIMAL, 38, 6 };
    struct sl_arena arena = { 0 };
    struct sl_cell in = text_cell(SL_C_DECIMAL, "-12.34"), out;
    struct sl_err err;
    char text[48];
    unsigned before, after;

    (void)state;
    assert_int_equal(sl_cell_convert(&in, to, &arena, &out, &err), 0);
    assert_true(out.dec == -12340000);
    sl_dec_text(out.dec, 6, text);
    assert_string_equal(text, "-12.34");
    in = text_cell(SL_C_DECIMAL, "0.1234567");
    assert_int_equal(sl_cell_convert(&in, to, &arena, &out, &err), SL_E_DATA);
    in = (struct sl_cell){ .tag = SL_C_LONG, .i = INT64_MIN };
    assert_int_equal(sl_cell_convert(&in, to, &arena, &out, &err), 0);
    sl_dec_text(out.dec, 6, text);
    assert_string_equal(text, "-9223372036854775808");
    assert_true(sl_decimal_digits("-0012.3400", 10, &before, &after));
    assert_int_equal(before, 2);
    assert_int_equal(after, 2);
    assert_false(sl_decimal_digits("1e5", 3, &before, &after));
    assert_false(sl_decimal_digits("", 0, &before, &after));
    assert_false(sl_decimal_digits("1.", 2, &before, &after));
    sl_arena_free(&arena);
}

static void
scalars_as_json(void **state)
{
    struct sl_coltype json = { SL_T_JSON, 0, 0 };
    struct {
        struct sl_cell in;
        const char *text;
    } v[] = {
        { text_cell(SL_C_STRING, "a\"b\n"), "\"a\\\"b\\n\"" },
        { { .tag = SL_C_LONG, .i = 5 }, "5" },
        { { .tag = SL_C_TRUE }, "true" },
        { { .tag = SL_C_DOUBLE, .d = 1.0 / 0.0 }, "null" },
        { { .tag = SL_C_DATE, .i = 0 }, "\"1970-01-01\"" },
    };
    struct sl_arena arena = { 0 };
    struct sl_cell out;
    struct sl_err err;

    (void)state;
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        assert_int_equal(sl_cell_convert(&v[i].in, json, &arena, &out, &err), 0);
        assert_int_equal(out.tag, SL_C_JSON);
        assert_int_equal(out.len, strlen(v[i].text));
        assert_memory_equal(out.ptr, v[i].text, out.len);
    }
    sl_arena_free(&arena);
}

static void
malformed_cells_are_refused(void **state)
{
    static const char *const cut[] = { "", "\x03\x01\x02",
                                       "\x05\x05\x00\x00\x00"
                                       "abc",
                                       "\x0a\x01", "\x63" };
    static const size_t lens[] = { 0, 3, 8, 2, 1 };
    struct sl_cell c;

    (void)state;
    for (size_t i = 0; i < sizeof lens / sizeof lens[0]; i++) {
        const char *p = cut[i];

        assert_false(sl_cell_read(&p, cut[i] + lens[i], &c));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_forms),
        cmocka_unit_test(decimals),
        cmocka_unit_test(scalars_as_json),
        cmocka_unit_test(malformed_cells_are_refused),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
