#include "cli/form.h"

#include "cli/report.h"
#include "engine/form.h"
#include "wire/form_pb.h"

#include <stdlib.h>

static void
on_log(void *ctx, enum sl_level level, enum sl_origin from, const char *text, size_t len)
{
    struct sl_local *loc = ctx;

    sl_console_log(loc->con, level, from, text, len);
}

static sl_rc
run(struct sl_local *loc, const struct sl_form_ask *ask, struct sl_form_result *res,
    struct sl_err *err)
{
    const struct sl_sink sink = { .ctx = loc, .log = on_log };
    char *text = json_dumps(loc->configuration, JSON_COMPACT);
    int fd = loc->fd;
    sl_rc rc;

    loc->fd = -1; /* closed by the session */
    rc = sl_form_run(&(struct sl_form_conf){ .fd = fd,
                                             .configuration = sl_bytes_of(text),
                                             .tests = ask->tests,
                                             .project = loc->pro.dir,
                                             .log_level = SL_INFO,
                                             .sink = &sink,
                                             .stop = ask->launch.stop },
                     res, err);
    sl_child_end(loc->child, rc == SL_OK || rc == SL_E_CONNECTOR ? SL_CHILD_WAIT : SL_CHILD_STOP);
    memset(text, 0, strlen(text));
    free(text);
    return rc;
}

static void
redact_results(const struct sl_local *loc, json_t *results)
{
    struct sl_buf out;
    json_t *one;
    size_t i;

    json_array_foreach(results, i, one)
    {
        const json_t *message = json_object_get(one, "message");

        if (!json_is_string(message))
            continue;
        sl_buf_init(&out, (size_t)1 << 20);
        sl_redact_text(loc->red, json_string_value(message), json_string_length(message), &out);
        json_object_set_new(one, "message", json_stringn_nocheck(out.ptr ? out.ptr : "", out.len));
        sl_buf_free(&out);
    }
}

static void
explain(struct sl_local *loc, const struct sl_failure *fail, struct sl_err *err)
{
    sl_rc code = err->code;
    char *reason = sl_report_reason(loc, fail, err);

    sl_fail(err, code, "the configuration form of %s could not be read: %s", loc->pro.name, reason);
    free(reason);
}

sl_rc
sl_form_ask(const struct sl_form_ask *ask, json_t **form, json_t **results, struct sl_err *err)
{
    struct sl_form_result res = { 0 };
    struct sl_local loc;
    sl_rc rc;

    *form = NULL;
    if (results != NULL)
        *results = NULL;
    sl_local_init(&loc);
    loc.configuration = ask->configuration ? json_incref((json_t *)(uintptr_t)ask->configuration)
                                           : json_object();
    loc.configured = true;
    loc.form = ask->form;
    rc = sl_project_open(&loc.pro, ask->project, err);
    if (rc)
        goto out;
    sl_local_open_console(&loc);
    rc = sl_launch(&loc, &ask->launch, err);
    if (rc == SL_OK)
        rc = run(&loc, ask, &res, err);
    if (rc == SL_OK) {
        *form = json_incref(res.form);
        redact_results(&loc, res.results);
        if (results != NULL)
            *results = json_incref(res.results);
    } else if (rc != SL_E_CANCELLED) {
        explain(&loc, &res.failure, err);
    }
out:
    sl_form_result_free(&res);
    sl_local_free(&loc);
    return rc;
}

sl_rc
sl_form_pack(void *packing, struct sl_buf *pb, struct sl_err *err)
{
    struct sl_form_packing *p = packing;
    sl_rc rc = sl_form_ask(&p->ask, &p->form, NULL, err);

    if (rc == SL_OK)
        sl_form_to_pb(p->form, pb);
    return rc;
}
