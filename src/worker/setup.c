/* setup.c - the setup tests of a connection: its configuration against its form, then as a sync as far as schema(), then the tests of
 * the form. What they find is what the page and the API show before the first sync: whether it will run, and which tables it says it
 * has. */
#include "base/time.h"
#include "model/form.h"
#include "platform/ids.h"
#include "worker/message.h"
#include "worker/running.h"

#include <stdlib.h>

/* A package whose schema() or import hangs. */
#define SETUP_DEADLINE_US ((int64_t)300 * 1000000)
/* How long a test waits for a free place. */
#define PLACE_WAIT_US ((int64_t)120 * 1000000)

static void
add(json_t *tests, const char *title, sl_rc rc, const struct sl_running *r)
{
    const char *reason = r->rec.reason, *hint = r->rec.hint;
    char *message = rc == SL_OK ? sl_strdup("")
                                : sl_sprintf("%s%s%s", reason ? reason : "",
                                             hint && hint[0] ? "\n" : "", hint ? hint : "");
    json_t *detail = rc == SL_OK || r->rec.detail == NULL ? json_null()
                                                          : json_loads(r->rec.detail, 0, NULL);

    json_array_append_new(tests, json_pack("{s:s, s:s, s:o, s:o}", "title", title, "status",
                                           rc == SL_OK ? "PASSED" : "FAILED", "message",
                                           sl_json_text(message), "details",
                                           detail ? detail : json_null()));
    free(message);
}

/* One step; after a failed one the rest is not tried. */
static sl_rc
step(struct sl_running *r, json_t *tests, const char *title, sl_rc rc,
     const struct sl_failure *fail, const struct sl_err *err)
{
    if (rc != SL_OK)
        sl_report_failed(r, fail, 0, err);
    add(tests, title, rc, r);
    return rc;
}

static void
add_result(struct sl_running *r, json_t *tests, const char *label, bool passed, const char *message)
{
    char *text = sl_report_text(r, message ? message : "");

    json_array_append_new(tests, json_pack("{s:s, s:s, s:o, s:n}", "title", label, "status",
                                           passed ? "PASSED" : "FAILED", "message",
                                           sl_json_text(text), "details"));
    free(text);
}

/* Whether the values fit the form: said before anything runs, when the package brought the form. */
static sl_rc
check_values(struct sl_running *r, json_t *tests)
{
    struct sl_err err = { 0 };
    sl_rc rc;

    if (json_array_size(json_object_get(r->form, "fields")) == 0)
        return SL_OK;
    rc = sl_form_check_values(r->form, r->configuration, true, &err);
    if (rc)
        sl_err_hint(&err, "fill in the configuration form of the connection");
    return step(r, tests, "Checking the configuration form", rc, NULL, &err);
}

/* When only the connector knows its form. */
static sl_rc
ask_form(struct sl_running *r, json_t *tests)
{
    struct sl_form_result res = { 0 };
    struct sl_err err = { 0 };
    sl_rc rc;

    if (r->form != NULL)
        return SL_OK;
    rc = sl_running_know_form(r, &res, &err);
    if (rc)
        (void)step(r, tests, "Reading the configuration form", rc, &res.failure, &err);
    sl_form_result_free(&res);
    return rc ? rc : check_values(r, tests);
}

/* Its results are steps of their own, each with its label. */
static sl_rc
run_form_tests(struct sl_running *r, json_t *tests)
{
    json_t *list = json_object_get(r->form, "tests"), *names = json_array(), *one;
    struct sl_form_result res = { 0 };
    struct sl_err err = { 0 };
    size_t i;
    sl_rc rc = SL_OK;

    json_array_foreach(list, i, one) json_array_append(names, json_object_get(one, "name"));
    if (json_array_size(names) > 0) {
        sl_running_again(r);
        rc = sl_prepare_environment(r, &err);
        if (rc == SL_OK)
            rc = sl_running_form(r, names, &res, &err);
        if (rc)
            (void)step(r, tests, "Running the tests of the form", rc, &res.failure, &err);
    }
    json_array_foreach(res.results, i, one)
    {
        const char *message = json_string_value(json_object_get(one, "message"));
        bool passed = json_is_true(json_object_get(one, "passed"));

        if (res.form == NULL)
            break; /* the conversation failed after them */
        if (!passed)
            rc = SL_E_CONNECTOR;
        add_result(r, tests, json_string_value(json_object_get(json_array_get(list, i), "label")),
                   passed, message);
    }
    json_decref(names);
    sl_form_result_free(&res);
    return rc;
}

static sl_rc
run_tests(struct sl_running *r, json_t *tests)
{
    struct sl_session_conf conf = { .schema_only = true, .mode = "test" };
    struct sl_session_result res = { 0 };
    struct sl_err err = { 0 };
    sl_rc rc = sl_prepare_configuration(r, &err);

    rc = step(r, tests, "Reading the configuration", rc, NULL, &err);
    if (rc == SL_OK)
        rc = check_values(r, tests);
    if (rc == SL_OK)
        rc = step(r, tests, "Installing dependencies", sl_prepare_environment(r, &err), NULL, &err);
    if (rc == SL_OK)
        rc = ask_form(r, tests);
    if (rc)
        return rc;
    pthread_mutex_lock(&r->w->lock);
    r->deadline = sl_mono_us() + SETUP_DEADLINE_US;
    pthread_mutex_unlock(&r->w->lock);
    rc = sl_prepare_connector(r, &err);
    if (rc == SL_OK)
        rc = sl_running_session(r, &conf, &res, &err);
    sl_running_end_child(r, rc);
    rc = step(r, tests, "Running connector.py and schema()", rc, &res.failure, &err);
    sl_session_result_free(&res);
    return rc ? rc : run_form_tests(r, tests);
}

sl_rc
sl_running_enter(struct sl_running *r, struct sl_err *err)
{
    struct sl_worker *w = r->w;
    int64_t until = sl_mono_us() + PLACE_WAIT_US;
    sl_rc rc = SL_OK;

    r->place = -1;
    pthread_mutex_lock(&w->lock);
    while (r->place < 0 && rc == SL_OK) {
        for (int i = 0; i < SL_SETUP_PLACES && r->place < 0; i++)
            if (!w->places[SL_PLACES_MAX + i])
                r->place = SL_PLACES_MAX + i;
        if (w->stopping)
            rc = sl_fail(err, SL_E_CANCELLED, "the server is stopping");
        else if (r->place < 0 && sl_mono_us() >= until)
            rc = sl_fail(err, SL_E_TIMEOUT, "too many setup tests run already; try again later");
        else if (r->place < 0)
            sl_worker_wait(w, until);
    }
    if (rc == SL_OK) {
        w->places[r->place] = true;
        r->next = w->running;
        w->running = r;
    }
    pthread_mutex_unlock(&w->lock);
    return rc;
}

static sl_rc
record(struct sl_running *r, const json_t *tests, bool passed, struct sl_err *err)
{
    struct sl_store *st = r->w->pf->store;
    struct sl_connection c = { 0 };
    sl_rc rc = sl_store_begin(st, err);

    if (rc)
        return rc;
    rc = sl_store_get(st, SL_K_CONNECTION, r->con.id, &c, err);
    if (rc == SL_OK) {
        free(c.setup_tests);
        c.setup_tests = json_dumps(tests, JSON_COMPACT);
        sl_set_text(&c.setup_state, passed ? "connected" : "incomplete");
        if (passed)
            sl_set_text(&c.tasks, NULL);
        /* What syncs have found out is more than schema() says. */
        if (r->catalog != NULL && (c.catalog == NULL || c.succeeded_at == 0)) {
            free(c.catalog);
            c.catalog = json_dumps(r->catalog, JSON_COMPACT);
        }
        rc = sl_store_put(st, SL_K_CONNECTION, &c, err);
    }
    if (rc == SL_OK)
        rc = sl_store_commit(st, err);
    else
        sl_store_rollback(st);
    sl_record_free(SL_K_CONNECTION, &c);
    return rc;
}

sl_rc
sl_worker_setup_test(struct sl_worker *w, const char *connection_id, json_t **tests,
                     struct sl_err *err)
{
    struct sl_running r;
    bool passed;
    sl_rc rc;

    *tests = json_array();
    sl_running_init(&r, w);
    r.test = true;
    r.rec.id = sl_new_uuid();
    rc = sl_store_get(w->pf->store, SL_K_CONNECTION, connection_id, &r.con, err);
    if (rc == SL_OK)
        rc = sl_running_enter(&r, err);
    if (rc == SL_OK) {
        passed = run_tests(&r, *tests) == SL_OK;
        sl_running_leave(&r);
        rc = record(&r, *tests, passed, err);
    }
    sl_running_free(&r);
    if (rc) {
        json_decref(*tests);
        *tests = NULL;
    }
    return rc;
}
