#include "engine/form.h"

#include "base/time.h"
#include "engine/talk.h"
#include "model/form.h"

#include <unistd.h>

/* Imports of the connector take most of it; a test waits for a source. */
#define TIMEOUT_US ((int64_t)300 * 1000000)
#define TICK_US 100000
/* This runs within the server: what a frame may make it hold. */
#define FRAME_MAX ((size_t)4 << 20)
/* What a test may say. */
#define MESSAGE_MAX ((size_t)64 << 10)

struct asking {
    const struct sl_form_conf *conf;
    struct sl_form_result *res;
    struct sl_frames in;
    json_t *tests; /* as sent: an array, empty for none */
    bool hello, done;
};

static sl_rc
on_hello(struct asking *a, const struct sl_frame *f, struct sl_err *err)
{
    const struct sl_talk talk = {
        .fd = a->in.fd,
        .mode = "form",
        .configuration = a->conf->configuration,
        .tests = a->tests,
        .project = a->conf->project,
        .log_level = a->conf->log_level,
    };

    if (a->hello)
        return sl_fail(err, SL_E_PROTOCOL, "a second HELLO");
    a->hello = true;
    return sl_talk_start(&talk, f, SL_LIT("{}"), err);
}

static sl_rc
on_form(struct asking *a, const struct sl_frame *f, struct sl_err *err)
{
    json_t *root;
    sl_rc rc;

    if (a->res->form != NULL)
        return sl_fail(err, SL_E_PROTOCOL, "a second FORM");
    if (f->len > SL_FORM_MAX)
        return sl_fail(err, SL_E_LIMIT, "the configuration form takes %u bytes; the limit is %zu",
                       f->len, SL_FORM_MAX);
    root = sl_talk_parse(f, "FORM", err);
    if (root == NULL)
        return SL_E_PROTOCOL;
    rc = sl_form_check(root, &a->res->form, err);
    json_decref(root);
    return rc;
}

/* The results come in the order the tests were named in. */
static sl_rc
on_test(struct asking *a, const struct sl_frame *f, struct sl_err *err)
{
    size_t n = json_array_size(a->res->results);
    json_t *root, *message, *passed;
    sl_rc rc = SL_OK;

    if (f->len > MESSAGE_MAX)
        return sl_fail(err, SL_E_LIMIT, "the result of a test takes %u bytes; the limit is %zu",
                       f->len, MESSAGE_MAX);
    root = sl_talk_parse(f, "TEST", err);
    if (root == NULL)
        return SL_E_PROTOCOL;
    message = json_object_get(root, "message");
    passed = json_object_get(root, "passed");
    if (!json_is_boolean(passed) ||
        !json_equal(json_object_get(root, "name"), json_array_get(a->tests, n)))
        rc = sl_fail(err, SL_E_PROTOCOL, "a TEST frame that was not asked for");
    else
        json_array_append_new(a->res->results,
                              json_pack("{s:O, s:O, s:o}", "name", json_array_get(a->tests, n),
                                        "passed", passed, "message",
                                        json_is_string(message) && !json_is_true(passed)
                                            ? json_incref(message)
                                            : json_null()));
    json_decref(root);
    return rc;
}

static sl_rc
on_done(struct asking *a, struct sl_err *err)
{
    if (a->res->form == NULL)
        return sl_fail(err, SL_E_PROTOCOL, "DONE without a FORM frame");
    if (json_array_size(a->res->results) != json_array_size(a->tests))
        return sl_fail(err, SL_E_PROTOCOL, "DONE before all tests were run");
    a->done = true;
    return SL_OK;
}

static sl_rc
on_frame(struct asking *a, const struct sl_frame *f, struct sl_err *err)
{
    static const struct sl_sink silent;

    if (!a->hello && f->type != SL_F_HELLO && f->type != SL_F_LOG && f->type != SL_F_ERROR)
        return sl_fail(err, SL_E_PROTOCOL, "frame %llu comes before HELLO",
                       (unsigned long long)a->in.count);
    switch (f->type) {
    case SL_F_HELLO:
        return on_hello(a, f, err);
    case SL_F_LOG:
    case SL_F_WARNING:
        return sl_talk_log(a->conf->sink ? a->conf->sink : &silent, f, err);
    case SL_F_FORM:
        return on_form(a, f, err);
    case SL_F_TEST:
        return on_test(a, f, err);
    case SL_F_ERROR:
        return sl_talk_error(&a->res->failure, f, err);
    case SL_F_DONE:
        return on_done(a, err);
    default:
        return sl_fail(err, SL_E_PROTOCOL, "frame %llu of type %u has no place beside a form",
                       (unsigned long long)a->in.count, f->type);
    }
}

static sl_rc
loop(struct asking *a, struct sl_err *err)
{
    int64_t limit = a->conf->timeout_us ? a->conf->timeout_us : TIMEOUT_US;
    int64_t until = sl_mono_us() + limit;
    struct sl_frame f;
    sl_rc rc = SL_OK;
    int got;

    while (rc == SL_OK && !a->done) {
        got = sl_frames_next(&a->in, TICK_US, &f, err);
        if (got < 0)
            return got;
        if (got == 2) {
            a->res->failure.died = true;
            return sl_fail(err, SL_E_CONNECTOR, "the connector's process ended without a word");
        }
        if (got == 1)
            rc = on_frame(a, &f, err);
        if (rc == SL_OK && a->conf->stop != NULL && atomic_load(a->conf->stop) > 0)
            rc = sl_fail(err, SL_E_CANCELLED, "stopped by the user");
        if (rc == SL_OK && !a->done && sl_mono_us() > until)
            rc = sl_fail(err, SL_E_TIMEOUT, "the connector gave no %s within %lld s",
                         a->res->form ? "result of its test" : "configuration form",
                         (long long)(limit / 1000000));
    }
    return rc;
}

sl_rc
sl_form_run(const struct sl_form_conf *conf, struct sl_form_result *res, struct sl_err *err)
{
    struct asking a = { .conf = conf, .res = res };
    sl_rc rc;

    *res = (struct sl_form_result){ .results = json_array() };
    a.tests = conf->tests ? json_incref((json_t *)(uintptr_t)conf->tests) : json_array();
    sl_frames_init(&a.in, conf->fd);
    a.in.max = FRAME_MAX;
    rc = loop(&a, err);
    if (rc) {
        json_decref(res->form);
        res->form = NULL;
    }
    json_decref(a.tests);
    sl_frames_free(&a.in);
    close(conf->fd);
    return rc;
}

void
sl_form_result_free(struct sl_form_result *res)
{
    json_decref(res->form);
    json_decref(res->results);
    sl_failure_free(&res->failure);
    *res = (struct sl_form_result){ 0 };
}
