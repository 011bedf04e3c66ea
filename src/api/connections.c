#include "api/connections.h"

#include "base/time.h"
#include "http/input.h"
#include "platform/schedule.h"

#include <stdio.h>
#include <stdlib.h>

/* A sync gets this long to commit what it has before it is ended. */
#define SOFT_US (5 * 1000000)
#define SENSITIVITIES "LOW|NORMAL|HIGH|CUSTOM|SYNC_FREQUENCY"
#define NETWORKS "Directly|SshTunnel|PrivateLink|ProxyAgent|UnmanagedProxyAgent|Unknown"

/* clang-format off */
const struct sl_input sl_option_inputs[] = {
    { "data_delay_sensitivity",     SL_IN_WORD, 0,          SENSITIVITIES, 0, 0 },
    { "data_delay_threshold",       SL_IN_INT,  0,          NULL, 0, 525600 },
    { "networking_method",          SL_IN_WORD, 0,          NETWORKS, 0, 0 },
    { "private_link_id",            SL_IN_TEXT, SL_IN_NULL, NULL, 0, 0 },
    { "proxy_agent_id",             SL_IN_TEXT, SL_IN_NULL, NULL, 0, 0 },
    { "hybrid_deployment_agent_id", SL_IN_TEXT, SL_IN_NULL, NULL, 0, 0 },
    { "pause_after_trial",          SL_IN_BOOL, 0,          NULL, 0, 0 },
    { NULL, 0, 0, NULL, 0, 0 }
};
/* clang-format on */

/* ---- as clients see it ---- */

static const char *
sync_state(const struct sl_connection *con)
{
    if (con->paused)
        return "paused";
    if (con->running_sync != NULL)
        return "syncing";
    return con->rescheduled_for ? "rescheduled" : "scheduled";
}

const char *
sl_connection_status(const struct sl_connection *con, int64_t now)
{
    if (con->running_sync != NULL)
        return "Syncing";
    if (con->setup_state == NULL || strcmp(con->setup_state, "incomplete") == 0)
        return "Setup pending";
    if (con->paused)
        return "Paused";
    if (strcmp(con->setup_state, "broken") == 0)
        return "Broken";
    if (con->rescheduled_for != 0)
        return "Rescheduled";
    return sl_is_delayed(con, now) ? "Delayed" : "Active";
}

const char *
sl_setup_state(const struct sl_connection *con)
{
    if (con->setup_state == NULL || strcmp(con->setup_state, "untested") == 0)
        return "incomplete";
    return con->setup_state;
}

static json_t *
status_json(const struct sl_connection *con)
{
    json_t *o = json_object();

    json_object_set_new(o, "setup_state", json_string(sl_setup_state(con)));
    json_object_set_new(o, "schema_status", json_string("ready"));
    json_object_set_new(o, "sync_state", json_string(sync_state(con)));
    json_object_set_new(o, "update_state",
                        json_string(sl_is_delayed(con, sl_now_us()) ? "delayed" : "on_schedule"));
    json_object_set_new(o, "is_historical_sync",
                        json_boolean(con->historical || con->succeeded_at == 0));
    json_object_set_new(o, "tasks", sl_json_stored(con->tasks, "[]"));
    json_object_set_new(o, "warnings", sl_json_stored(con->warnings, "[]"));
    if (con->rescheduled_for && con->running_sync == NULL)
        json_object_set_new(o, "rescheduled_for", sl_json_time(con->rescheduled_for));
    return o;
}

static json_t *
config_json(const struct sl_connection *con, const json_t *options)
{
    json_t *o = json_object(), *list = json_array(), *key;
    json_t *proxy = json_object_get(options, "proxy_host_config_key");
    size_t i;

    json_object_set_new(o, "package_id", sl_json_text(con->package_id));
    json_object_set_new(o, "python_version", sl_json_text(con->python_version));
    json_array_foreach(json_object_get(options, "secret_keys"), i, key)
        json_array_append_new(list, json_pack("{s:O, s:s}", "key", key, "value", "******"));
    json_object_set_new(o, "secrets_list", list);
    if (proxy != NULL && !json_is_null(proxy))
        json_object_set(o, "proxy_host_config_key", proxy);
    return o;
}

/* What a client set, or what it is at first. */
static void
add_options(json_t *o, const json_t *options)
{
    for (const struct sl_input *in = sl_option_inputs; in->name != NULL; in++) {
        json_t *v = json_object_get(options, in->name);

        json_object_set(o, in->name, v != NULL ? v : json_null());
    }
    if (json_object_get(options, "data_delay_sensitivity") == NULL)
        json_object_set_new(o, "data_delay_sensitivity", json_string("NORMAL"));
    if (json_object_get(options, "data_delay_threshold") == NULL)
        json_object_set_new(o, "data_delay_threshold", json_integer(0));
    if (json_object_get(options, "networking_method") == NULL)
        json_object_set_new(o, "networking_method", json_string("Directly"));
    if (json_object_get(options, "pause_after_trial") == NULL)
        json_object_set_new(o, "pause_after_trial", json_false());
}

json_t *
sl_connection_json(struct sl_call *c, const struct sl_connection *con)
{
    json_t *o = json_object(), *options = sl_json_stored(con->options, "{}");
    char *url = sl_sprintf("%s/dashboard/connections/%s/status",
                           c->sv->url ? c->sv->url : sl_web_url(c->sv->http), con->id);

    json_object_set_new(o, "id", json_string(con->id));
    json_object_set_new(o, "group_id", sl_json_text(con->group_id));
    json_object_set_new(o, "service", sl_json_text(con->service));
    json_object_set_new(o, "service_version", json_integer(0));
    json_object_set_new(o, "schema", sl_json_text(con->schema));
    json_object_set_new(o, "connected_by", sl_json_text(con->created_by));
    json_object_set_new(o, "created_at", sl_json_time(con->created_at));
    json_object_set_new(o, "succeeded_at", sl_json_time(con->succeeded_at));
    json_object_set_new(o, "failed_at", sl_json_time(con->failed_at));
    json_object_set_new(o, "paused", json_boolean(con->paused));
    json_object_set_new(o, "sync_frequency", json_integer(con->sync_frequency));
    json_object_set_new(o, "schedule_type",
                        json_string(con->schedule_type ? con->schedule_type : "auto"));
    json_object_set_new(o, "daily_sync_time", sl_json_text(con->daily_sync_time));
    add_options(o, options);
    json_object_set_new(o, "destination_schema_names",
                        json_string(con->naming ? con->naming : "FIVETRAN_NAMING"));
    json_object_set_new(o, "status", status_json(con));
    json_object_set_new(o, "source_sync_details", json_object());
    json_object_set_new(o, "config", config_json(con, options));
    /* ours */
    json_object_set_new(o, "display_status", json_string(sl_connection_status(con, sl_now_us())));
    json_object_set_new(o, "next_sync_at", sl_json_time(con->next_run_at));
    json_object_set_new(o, "running_sync_id", sl_json_text(con->running_sync));
    json_object_set_new(o, "failures_in_a_row", json_integer(con->failures));
    json_object_set_new(o, "memory_limit", json_integer(con->memory_limit));
    json_object_set_new(o, "deadline_seconds", json_integer(con->deadline_s));
    json_object_set_new(o, "durable_checkpoints", json_boolean(con->durable));
    json_object_set_new(o, "dashboard_url", json_string(url));
    json_decref(options);
    free(url);
    return o;
}

void
sl_say_connection(struct sl_call *c, int status, const struct sl_connection *con, json_t *tests,
                  const char *message)
{
    sl_say_tested(c, status, sl_connection_json(c, con), tests, message);
}

void
sl_say_tested(struct sl_call *c, int status, json_t *o, json_t *tests, const char *message)
{
    if (tests != NULL)
        json_object_set(o, "setup_tests", tests);
    if (message != NULL)
        sl_say(c, status, o, "%s", message);
    else
        sl_say(c, status, o, NULL);
}

/* ---- where connections belong to ---- */

/* False has rolled back and answered. */
static bool
is_unused(struct sl_call *c, const char *noun)
{
    struct sl_query q = { .kind = SL_K_CONNECTION, .where = { { "group_id", c->args[0] } } };
    struct sl_err err = { 0 };
    int64_t connections = 0;

    if (sl_store_count(c->sv->pf->store, &q, &connections, &err)) {
        sl_call_fail(c, &err);
        return false;
    }
    if (connections == 0)
        return true;
    sl_call_rollback(c);
    sl_refuse(c, 409, "Conflict", "%s '%s' has %lld connections: delete them first", noun,
              c->args[0], (long long)connections);
    return false;
}

void
sl_delete_unused(struct sl_call *c, enum sl_kind kind, const char *noun, const char *action)
{
    void *record = sl_zalloc(1, sl_record_size(kind));
    struct sl_err err = { 0 };
    bool there;

    if (!sl_call_begin(c))
        goto out;
    there = sl_call_get(c, kind, c->args[0], record);
    sl_record_free(kind, record);
    if (!there)
        sl_call_rollback(c);
    else if (!is_unused(c, noun))
        goto out;
    else if (sl_store_delete(c->sv->pf->store, kind, c->args[0], &err))
        sl_call_fail(c, &err);
    else if (sl_call_commit(c, action, kind, c->args[0], NULL))
        sl_say(c, 200, NULL, "%s with id '%s' has been deleted", noun, c->args[0]);
out:
    free(record);
}

/* ---- transactions ---- */

bool
sl_begin_connection(struct sl_call *c, const char *id, struct sl_connection *con)
{
    if (!sl_call_begin(c))
        return false;
    if (sl_call_get(c, SL_K_CONNECTION, id, con))
        return true;
    sl_call_rollback(c);
    return false;
}

static bool
stop_sync(struct sl_call *c, const char *id, const char *why, bool replaced)
{
    struct sl_err err = { 0 };
    sl_rc rc = sl_worker_cancel(c->sv->w, id, why, replaced, SOFT_US, &err);

    if (rc == SL_OK)
        return true;
    if (rc == SL_E_TIMEOUT)
        sl_refuse(c, 409, "IllegalState",
                  "Failed to stop in-progress sync after trying for 60 seconds");
    else
        sl_refuse_err(c, &err);
    return false;
}

bool
sl_cancel_sync(struct sl_call *c, const char *id, const char *why)
{
    return stop_sync(c, id, why, false);
}

bool
sl_begin_idle(struct sl_call *c, const char *id, const char *why, bool another,
              struct sl_connection *con)
{
    /* Between the end of one sync and our turn to write the next may begin. */
    for (int i = 0; i < 3; i++) {
        if (!sl_begin_connection(c, id, con))
            return false;
        if (con->running_sync == NULL)
            return true;
        sl_call_rollback(c);
        sl_record_free(SL_K_CONNECTION, con);
        if (!stop_sync(c, id, why, another))
            return false;
    }
    sl_refuse(c, 409, "IllegalState", "Connection '%s' begins to sync again and again: pause it",
              id);
    return false;
}

/* ---- schedule ---- */

void
sl_reschedule(struct sl_call *c, struct sl_connection *con)
{
    con->next_run_at = sl_next_slot(con, sl_zone_hours(c->sv->pf->store, con), sl_now_us());
}

void
sl_unpause(struct sl_call *c, struct sl_connection *con)
{
    int64_t now = sl_now_us(), last;

    con->paused = false;
    sl_setup_by_sync(con);
    sl_reschedule(c, con);
    if (con->next_run_at == 0)
        return; /* manual */
    /* Of a canceled sync failed_at tells, too, but it did not do what its slot was for. */
    last = con->failures > 0 && con->failed_at > con->succeeded_at ? con->failed_at
                                                                   : con->succeeded_at;
    if (last == 0 || sl_slots_between(con, sl_zone_hours(c->sv->pf->store, con), last, now) > 0)
        con->next_run_at = now;
}

void
sl_request(struct sl_call *c, struct sl_connection *con, const char *trigger)
{
    sl_set_text(&con->requested, trigger);
    sl_set_text(&con->requested_by, c->actor);
    con->requested_at = sl_now_us();
    con->rescheduled_for = 0;
}

/* ---- configuration ---- */

json_t *
sl_open_secrets(struct sl_call *c, const struct sl_connection *con, struct sl_err *err)
{
    char *owner, *plain = NULL;
    size_t len = 0;
    json_t *o = NULL;

    if (con->secrets == NULL)
        return json_object();
    owner = sl_sprintf("connection:%s", con->id);
    if (sl_vault_unseal(c->sv->pf->vault, owner, con->secrets, &plain, &len, err) == SL_OK) {
        o = json_loadb(plain, len, 0, NULL);
        if (o == NULL)
            sl_fail(err, SL_E_INTERNAL, "the stored configuration of %s cannot be read", con->id);
    }
    sl_vault_wipe(plain, len);
    free(owner);
    return o;
}

json_t *
sl_connection_form(struct sl_call *c, const struct sl_connection *con)
{
    struct sl_package p = { 0 };
    struct sl_err err = { 0 };
    json_t *form = NULL;

    if (con->package_id != NULL &&
        (sl_store_get(c->sv->pf->store, SL_K_PACKAGE, con->package_id, &p, &err) ||
         sl_package_form(c->sv->pf->packages, p.sha256, &form, &err)))
        fprintf(stderr, "sluiced: the configuration form of package %s: %s\n", con->package_id,
                err.text);
    sl_record_free(SL_K_PACKAGE, &p);
    return form;
}

/* ---- setup ---- */

void
sl_setup_by_sync(struct sl_connection *con)
{
    if (strcmp(sl_setup_state(con), "incomplete") == 0 && con->setup_tests == NULL)
        sl_set_text(&con->setup_state, "untested");
}

void
sl_setup_changed(struct sl_connection *con)
{
    if (strcmp(sl_setup_state(con), "incomplete") != 0)
        return;
    sl_set_text(&con->setup_tests, NULL);
    sl_set_text(&con->setup_state, "untested");
}

char *
sl_setup_missing(const struct sl_connection *con)
{
    json_t *tests, *test;
    char *found = NULL;
    size_t i;

    if (con->package_id == NULL)
        return sl_sprintf("it has no code yet: set config.package_id");
    if (con->setup_state != NULL && strcmp(con->setup_state, "incomplete") != 0)
        return NULL;
    tests = sl_json_stored(con->setup_tests, "[]");
    json_array_foreach(tests, i, test)
    {
        const char *status = sl_in_text(test, "status", "");

        if (found == NULL && sl_word_in("FAILED|JOB_FAILED", status))
            found = sl_sprintf("its setup test \"%s\" failed: %s", sl_in_text(test, "title", ""),
                               sl_in_text(test, "message", ""));
    }
    json_decref(tests);
    if (found != NULL)
        return found;
    return sl_sprintf("its setup was not tested: POST /v1/connections/%s/test", con->id);
}

const char *
sl_python_version(struct sl_call *c, const char *given)
{
    const char *const *found = sl_worker_pythons(c->sv->w);
    const char *newest = NULL, *dot;
    char list[256] = "";
    size_t n;

    for (; *found != NULL; found++)
        newest = *found;
    if (given == NULL)
        return newest != NULL ? newest : "3";
    dot = strchr(given, '.');
    dot = dot != NULL ? strchr(dot + 1, '.') : NULL;
    n = dot != NULL ? (size_t)(dot - given) : strlen(given);
    for (found = sl_worker_pythons(c->sv->w); *found != NULL; found++) {
        if (strlen(*found) == n && memcmp(*found, given, n) == 0)
            return *found;
        snprintf(list + strlen(list), sizeof list - strlen(list), "%s%s", list[0] ? ", " : "",
                 *found);
    }
    sl_refuse_input(c, "config.python_version '%.20s' is not installed on this server. It has %s",
                    given, list[0] ? list : "none");
    return NULL;
}

static json_t *
one_test(const char *title, const char *status, const char *message)
{
    return json_pack("[{s:s, s:s, s:s, s:n}]", "title", title, "status", status, "message", message,
                     "details");
}

static void
record_tests(struct sl_call *c, const char *id, const json_t *tests)
{
    struct sl_store *st = c->sv->pf->store;
    struct sl_connection con = { 0 };

    if (sl_store_begin(st, NULL))
        return;
    if (sl_store_get(st, SL_K_CONNECTION, id, &con, NULL) == SL_OK) {
        free(con.setup_tests);
        con.setup_tests = sl_json_dump(tests);
        if (sl_store_put(st, SL_K_CONNECTION, &con, NULL) == SL_OK &&
            sl_store_commit(st, NULL) == SL_OK) {
            sl_record_free(SL_K_CONNECTION, &con);
            return;
        }
    }
    sl_store_rollback(st);
    sl_record_free(SL_K_CONNECTION, &con);
}

json_t *
sl_run_tests(struct sl_call *c, const char *id)
{
    struct sl_connection con = { 0 };
    struct sl_err err = { 0 };
    json_t *tests = NULL;
    bool code;

    code = sl_store_get(c->sv->pf->store, SL_K_CONNECTION, id, &con, &err) == SL_OK &&
           con.package_id != NULL;
    sl_record_free(SL_K_CONNECTION, &con);
    if (!code) {
        tests = one_test("Validate package", "FAILED",
                         "config.package_id is missing: upload the code and set it");
        record_tests(c, id, tests);
        return tests;
    }
    if (sl_worker_setup_test(c->sv->w, id, &tests, &err) == SL_OK)
        return tests;
    json_decref(tests);
    return one_test("Setup tests", "JOB_FAILED", err.text);
}

bool
sl_put_deployment(struct sl_call *c, const struct sl_connection *con, const char *sha256,
                  const char *reason)
{
    struct sl_query q = { .kind = SL_K_DEPLOYMENT,
                          .where = { { "connection_id", con->id } },
                          .descending = true,
                          .limit = 1 };
    struct sl_list list = { .kind = SL_K_DEPLOYMENT };
    struct sl_err err = { 0 };
    struct sl_deployment d = { 0 };
    bool ok;

    if (sl_store_list(c->sv->pf->store, &q, &list, &err)) {
        sl_call_fail(c, &err);
        return false;
    }
    d.number = list.count > 0 ? SL_ITEM(&list, struct sl_deployment, 0)->number + 1 : 1;
    d.id = sl_sprintf("%s:%lld", con->id, (long long)d.number);
    d.connection_id = sl_strdup(con->id);
    sl_set_text(&d.package_id, con->package_id);
    sl_set_text(&d.sha256, sha256);
    sl_set_text(&d.python_version, con->python_version);
    sl_set_text(&d.made_by, c->actor);
    sl_set_text(&d.reason, reason);
    d.created_at = sl_now_us();
    ok = sl_call_put(c, SL_K_DEPLOYMENT, &d);
    sl_record_free(SL_K_DEPLOYMENT, &d);
    sl_list_free(&list);
    return ok;
}

void
sl_last_sync(struct sl_call *c, const struct sl_connection *con, struct sl_sync_record *rec)
{
    struct sl_query q = { .kind = SL_K_SYNC,
                          .where = { { "connection_id", con->id } },
                          .descending = true,
                          .light = true,
                          .limit = 2 };
    struct sl_list list = { .kind = SL_K_SYNC };

    *rec = (struct sl_sync_record){ 0 };
    if (sl_store_list(c->sv->pf->store, &q, &list, NULL))
        list.count = 0;
    for (size_t i = 0; i < list.count && rec->id == NULL; i++) {
        struct sl_sync_record *one = SL_ITEM(&list, struct sl_sync_record, i);

        if (one->finished_at == 0)
            continue;
        *rec = *one; /* moved */
        *one = (struct sl_sync_record){ 0 };
    }
    sl_list_free(&list);
}
