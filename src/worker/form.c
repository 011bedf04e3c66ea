/* form.c - the configuration form of a connection: asked from its connector when the package does not say it, and its tests,
 * run behind the same walls as a sync. */
#include "model/form.h"
#include "base/time.h"
#include "platform/ids.h"
#include "runtime/project.h"
#include "worker/message.h"
#include "worker/running.h"

#include <stdio.h>
#include <stdlib.h>

/* All of one conversation: start, form and tests. */
#define FORM_US ((int64_t)180 * 1000000)
/* The scheduler ends what did not end by itself. */
#define LATE_US ((int64_t)30 * 1000000)

sl_rc
sl_running_form(struct sl_running *r, const json_t *names, struct sl_form_result *res,
                struct sl_err *err)
{
    char *text = json_dumps(r->configuration, JSON_COMPACT);
    sl_rc rc;

    *res = (struct sl_form_result){ 0 };
    r->deadline = sl_mono_us() + FORM_US + LATE_US;
    rc = sl_prepare_connector(r, err);
    if (rc == SL_OK) {
        int fd = r->fd;

        r->fd = -1; /* closed by the session */
        rc = sl_form_run(&(struct sl_form_conf){ .fd = fd,
                                                 .configuration = sl_bytes_of(text),
                                                 .tests = names,
                                                 .project = r->code,
                                                 .log_level = SL_INFO,
                                                 .timeout_us = FORM_US,
                                                 .stop = &r->stop },
                         res, err);
    }
    sl_running_end_child(r, rc);
    sl_vault_wipe(text, strlen(text));
    return rc;
}

sl_rc
sl_running_know_form(struct sl_running *r, struct sl_form_result *res, struct sl_err *err)
{
    struct sl_err unkept = { 0 };
    sl_rc rc;

    *res = (struct sl_form_result){ 0 };
    if (r->form != NULL)
        return SL_OK;
    if (!sl_project_says_form(r->code)) {
        r->form = json_pack("{s:[], s:[]}", "fields", "tests");
    } else {
        rc = sl_running_form(r, NULL, res, err);
        if (rc)
            return rc;
        r->form = json_incref(res->form);
        sl_running_again(r);
        rc = sl_prepare_environment(r, err);
        if (rc)
            return rc;
    }
    if (sl_package_keep_form(r->w->pf->packages, r->rec.sha256, r->form, &unkept))
        fprintf(stderr, "sluiced: the configuration form of %s is not kept: %s\n", r->rec.sha256,
                unkept.text);
    return SL_OK;
}

/* ---- tests of the form ---- */

/* NULL has reported. */
static json_t *
names_of(const json_t *form, const char *name, struct sl_err *err)
{
    json_t *names = json_array(), *test;
    size_t i;

    if (name != NULL && sl_form_test(form, name) == NULL) {
        sl_fail(err, SL_E_NOT_FOUND, "the connector's form has no test '%.100s'", name);
        json_decref(names);
        return NULL;
    }
    json_array_foreach(json_object_get(form, "tests"), i, test)
    {
        json_t *one = json_object_get(test, "name");

        if (name == NULL || strcmp(json_string_value(one), name) == 0)
            json_array_append(names, one);
    }
    return names;
}

static void
add_result(struct sl_running *r, json_t *results, const char *name, bool passed,
           const char *message)
{
    char *text = sl_report_text(r, message);

    json_array_append_new(results,
                          json_pack("{s:s, s:s, s:b, s:o}", "name", name, "label",
                                    sl_form_test(r->form, name), "passed", (int)passed, "message",
                                    text != NULL ? sl_json_text(text) : json_null()));
    free(text);
}

/* A connector that does not run fails every test with the reason. */
static void
fail_all(struct sl_running *r, const json_t *names, const struct sl_form_result *res,
         const struct sl_err *err, json_t *results)
{
    json_t *name;
    size_t i;

    sl_report_failed(r, &res->failure, 0, err);
    json_array_foreach(names, i, name)
        add_result(r, results, json_string_value(name), false, r->rec.reason);
}

/* The form, so that it is known which tests there are; the reason of a failure is fit for people. */
static sl_rc
know_form(struct sl_running *r, struct sl_err *err)
{
    struct sl_form_result res = { 0 };
    sl_rc rc = sl_running_know_form(r, &res, err);

    if (rc) {
        sl_report_failed(r, &res.failure, 0, err);
        sl_fail(err, rc, "%s", r->rec.reason);
    }
    sl_form_result_free(&res);
    return rc;
}

static sl_rc
run_named(struct sl_running *r, const char *name, json_t *results, struct sl_err *err)
{
    struct sl_form_result res = { 0 };
    json_t *names, *one;
    size_t i;

    names = names_of(r->form, name, err);
    if (names == NULL)
        return err->code;
    if (json_array_size(names) > 0 && sl_running_form(r, names, &res, err))
        fail_all(r, names, &res, err, results);
    else
        json_array_foreach(res.results, i, one)
            add_result(r, results, json_string_value(json_object_get(one, "name")),
                       json_is_true(json_object_get(one, "passed")),
                       json_string_value(json_object_get(one, "message")));
    sl_form_result_free(&res);
    json_decref(names);
    return SL_OK;
}

sl_rc
sl_worker_form_tests(struct sl_worker *w, const char *connection_id, const char *name,
                     const json_t *values, json_t **results, struct sl_err *err)
{
    struct sl_running r;
    sl_rc rc;

    *results = json_array();
    sl_running_init(&r, w);
    r.test = true;
    r.given = values;
    r.rec.id = sl_new_uuid();
    rc = sl_store_get(w->pf->store, SL_K_CONNECTION, connection_id, &r.con, err);
    if (rc == SL_OK)
        rc = sl_running_enter(&r, err);
    if (rc == SL_OK) {
        rc = sl_prepare_configuration(&r, err);
        if (rc == SL_OK)
            rc = sl_prepare_environment(&r, err);
        if (rc == SL_OK)
            rc = know_form(&r, err);
        if (rc == SL_OK)
            rc = run_named(&r, name, *results, err);
        sl_running_leave(&r);
    }
    sl_running_free(&r);
    if (rc) {
        json_decref(*results);
        *results = NULL;
    }
    return rc;
}
