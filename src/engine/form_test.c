/* What a connector may say beside its form, and what it may not; its frames are made here by hand and sent ahead. */
#include "engine/form.h"

#include "wire/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_US ((int64_t)10 * 1000000)
#define HELLO "{\"protocol\":2}"
#define FORM                                                                                       \
    "{\"fields\":[{\"name\":\"x\",\"kind\":\"text\"}],\"tests\":[{\"name\":\"a\",\"label\":\"A\"}" \
    "]}"
#define PASSED "{\"name\":\"a\",\"passed\":true,\"message\":null}"

struct said {
    uint8_t type;
    const char *text;
};

struct heard {
    struct sl_form_result res;
    struct sl_err err;
    sl_rc rc;
    char start[600]; /* its object */
};

static void
read_start(int fd, struct heard *h)
{
    struct sl_frames in;
    struct sl_frame f;
    struct sl_err err;
    uint32_t n;

    sl_frames_init(&in, fd);
    if (sl_frames_next(&in, 0, &f, &err) == 1 && f.type == SL_F_START) {
        memcpy(&n, f.ptr, 4);
        snprintf(h->start, sizeof h->start, "%.*s", (int)n, f.ptr + 4);
    }
    sl_frames_free(&in);
}

static void
talk(struct heard *h, const struct said *said, size_t n, const char *tests)
{
    json_t *names = tests ? json_loads(tests, 0, NULL) : NULL;
    int sv[2];

    *h = (struct heard){ 0 };
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    for (size_t i = 0; i < n; i++) {
        struct sl_bytes part = sl_bytes_of(said[i].text);

        assert_int_equal(sl_frame_write(sv[1], said[i].type, 0, &part, 1, WAIT_US, &h->err), SL_OK);
    }
    shutdown(sv[1], SHUT_WR);
    h->rc = sl_form_run(&(struct sl_form_conf){ .fd = sv[0],
                                                .configuration = SL_LIT("{\"x\":\"1\"}"),
                                                .tests = names,
                                                .log_level = SL_INFO,
                                                .timeout_us = WAIT_US },
                        &h->res, &h->err);
    read_start(sv[1], h);
    close(sv[1]);
    json_decref(names);
}

#define TALK(h, tests, ...)                                                                        \
    do {                                                                                           \
        const struct said all[] = { __VA_ARGS__ };                                                 \
        talk(h, all, sizeof all / sizeof all[0], tests);                                           \
    } while (0)

static void
form_and_tests(void **state)
{
    struct heard h;

    (void)state;
    TALK(&h, "[\"a\"]", { SL_F_HELLO, HELLO }, { SL_F_FORM, FORM }, { SL_F_TEST, PASSED },
         { SL_F_DONE, "{}" });
    if (h.rc)
        fail_msg("%s", h.err.text);
    assert_string_equal(h.start,
                        "{\"protocol\":2,\"mode\":\"form\",\"configuration\":{\"x\":\"1\"},"
                        "\"log_level\":3,\"durable\":false,\"project\":null,"
                        "\"tests\":[\"a\"]}");
    assert_int_equal(json_array_size(json_object_get(h.res.form, "fields")), 1);
    assert_int_equal(json_array_size(h.res.results), 1);
    sl_form_result_free(&h.res);
}

static void
what_is_refused(void **state)
{
    static const struct {
        struct said said[4];
        const char *says;
        sl_rc rc;
    } cases[] = {
        { { { SL_F_HELLO, "{\"protocol\":1}" } },
          "too old for configuration forms",
          SL_E_PROTOCOL },
        { { { SL_F_HELLO, "{\"protocol\":3}" } }, "speaks protocol 3", SL_E_PROTOCOL },
        { { { SL_F_FORM, FORM } }, "comes before HELLO", SL_E_PROTOCOL },
        { { { SL_F_HELLO, HELLO }, { SL_F_FORM, FORM }, { SL_F_FORM, FORM } },
          "a second FORM",
          SL_E_PROTOCOL },
        { { { SL_F_HELLO, HELLO }, { SL_F_HELLO, HELLO } }, "a second HELLO", SL_E_PROTOCOL },
        { { { SL_F_HELLO, HELLO }, { SL_F_DONE, "{}" } }, "without a FORM", SL_E_PROTOCOL },
        { { { SL_F_HELLO, HELLO }, { SL_F_FORM, FORM }, { SL_F_DONE, "{}" } },
          "before all tests",
          SL_E_PROTOCOL },
        { { { SL_F_HELLO, HELLO },
            { SL_F_FORM, FORM },
            { SL_F_TEST, "{\"name\":\"b\",\"passed\":true}" } },
          "not asked for",
          SL_E_PROTOCOL },
        { { { SL_F_HELLO, HELLO }, { SL_F_FORM, FORM }, { SL_F_TEST, "{\"name\":\"a\"}" } },
          "not asked for",
          SL_E_PROTOCOL },
        { { { SL_F_HELLO, HELLO }, { SL_F_FORM, "[]" } }, "not a JSON object", SL_E_PROTOCOL },
        { { { SL_F_HELLO, HELLO }, { SL_F_FORM, "{\"fields\":[{\"name\":\"x\"}]}" } },
          "\"kind\" of 'x'",
          SL_E_CONFIG },
        { { { SL_F_HELLO, HELLO }, { SL_F_SCHEMA, "{\"tables\":[]}" } },
          "no place beside a form",
          SL_E_PROTOCOL },
        { { { SL_F_HELLO, HELLO }, { SL_F_ERROR, "{\"type\":\"ValueError\",\"message\":\"no\"}" } },
          "ValueError: no",
          SL_E_CONNECTOR },
        { { { SL_F_HELLO, HELLO }, { SL_F_FORM, FORM } }, "ended without a word", SL_E_CONNECTOR },
    };
    struct heard h;

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        size_t n = 0;

        while (n < 4 && cases[i].said[n].text != NULL)
            n++;
        talk(&h, cases[i].said, n, "[\"a\"]");
        if (h.rc != cases[i].rc || strstr(h.err.text, cases[i].says) == NULL)
            fail_msg("%s: %d %s", cases[i].says, h.rc, h.err.text);
        assert_null(h.res.form);
        sl_form_result_free(&h.res);
    }
}

/* The length alone is enough to refuse it: nothing of that size is ever held. */
static void
a_frame_that_is_too_long(void **state)
{
    const uint32_t head[2] = { 5u << 20, SL_F_FORM };
    struct heard h = { 0 };
    int sv[2];

    (void)state;
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
    assert_int_equal(write(sv[1], head, sizeof head), sizeof head);
    assert_int_equal(sl_form_run(&(struct sl_form_conf){ .fd = sv[0],
                                                         .configuration = SL_LIT("{}"),
                                                         .timeout_us = WAIT_US },
                                 &h.res, &h.err),
                     SL_E_PROTOCOL);
    assert_non_null(strstr(h.err.text, "the limit is 4194304"));
    sl_form_result_free(&h.res);
    close(sv[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(form_and_tests),
        cmocka_unit_test(what_is_refused),
        cmocka_unit_test(a_frame_that_is_too_long),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
