/* api_syncs.c - runs: start, stop, re-sync, test; what became of them; versions of the code. */
#include "api/api.h"
#include "api/catalog.h"
#include "api/connections.h"
#include "base/time.h"
#include "http/input.h"
#include "platform/ids.h"
#include "runtime/file.h"

#include <stdlib.h>
#include <sys/stat.h>

/* ---- start and stop ---- */

/* False has rolled back and answered. */
static bool
is_set_up(struct sl_call *c, struct sl_connection *con)
{
    char *missing;

    sl_setup_by_sync(con);
    missing = sl_setup_missing(con);
    if (missing == NULL)
        return true;
    sl_call_rollback(c);
    sl_refuse(c, 409, "IllegalState", "Connection '%s' cannot sync: %s", con->id, missing);
    free(missing);
    return false;
}

static void
say_triggered(struct sl_call *c)
{
    sl_worker_wake(c->sv->w);
    sl_say(c, 200, NULL, "Sync has been successfully triggered for connection with id '%s'",
           c->args[0]);
}

void
sl_api_sync(struct sl_call *c)
{
    static const struct sl_input inputs[] = { { "force", SL_IN_BOOL, 0, NULL, 0, 0 },
                                              { NULL, 0, 0, NULL, 0, 0 } };
    struct sl_connection con = { 0 };
    const char *id = c->args[0];
    bool ready;

    if (!sl_input_check(c, c->body, inputs, ""))
        return;
    ready = sl_in_bool(c->body, "force", false)
                ? sl_begin_idle(c, id, "another sync was asked for", true, &con)
                : sl_begin_connection(c, id, &con);
    if (!ready || !is_set_up(c, &con))
        goto out;
    if (con.running_sync != NULL) {
        sl_call_rollback(c); /* it runs already: nothing to do */
        say_triggered(c);
        goto out;
    }
    if (con.paused) {
        con.paused = false;
        sl_reschedule(c, &con);
    }
    if (con.requested == NULL)
        sl_request(c, &con, SL_TRIGGER_API);
    if (sl_call_put(c, SL_K_CONNECTION, &con) &&
        sl_call_commit(c, "connection.sync", SL_K_CONNECTION, id, NULL))
        say_triggered(c);
out:
    sl_record_free(SL_K_CONNECTION, &con);
}

void
sl_api_cancel(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    const char *id = c->args[0];
    bool done;

    if (!sl_begin_connection(c, id, &con))
        return;
    /* What was asked for and has not begun is off, too. */
    if (con.requested != NULL && strcmp(con.requested, SL_TRIGGER_RESYNC) != 0)
        sl_set_text(&con.requested, NULL);
    done = sl_call_put(c, SL_K_CONNECTION, &con) &&
           sl_call_commit(c, "connection.cancel", SL_K_CONNECTION, id, NULL);
    if (done && sl_cancel_sync(c, id, "cancelled by request"))
        sl_say(c, 200, NULL, "No sync is running for connection with id '%s'", id);
    sl_record_free(SL_K_CONNECTION, &con);
}

void
sl_api_test(struct sl_call *c)
{
    static const struct sl_input inputs[] = {
        { "trust_certificates", SL_IN_BOOL, 0, NULL, 0, 0 },
        { "trust_fingerprints", SL_IN_BOOL, 0, NULL, 0, 0 },
        { NULL, 0, 0, NULL, 0, 0 },
    };
    struct sl_connection con = { 0 };
    const char *id = c->args[0];
    json_t *tests;

    if (!sl_input_check(c, c->body, inputs, "") || !sl_call_get(c, SL_K_CONNECTION, id, &con))
        return;
    sl_record_free(SL_K_CONNECTION, &con);
    tests = sl_run_tests(c, id);
    sl_worker_wake(c->sv->w);
    if (sl_call_get(c, SL_K_CONNECTION, id, &con))
        sl_say_connection(c, 200, &con, tests, "Setup tests have been completed");
    sl_record_free(SL_K_CONNECTION, &con);
    json_decref(tests);
}

/* ---- re-sync ---- */

static void
say_resync(struct sl_call *c)
{
    sl_worker_wake(c->sv->w);
    sl_say(c, 200, NULL, "Re-sync has been triggered successfully");
}

/* All of it, from an empty state. */
static void
resync_all(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    const char *id = c->args[0];

    if (!sl_begin_idle(c, id, "a re-sync was asked for", true, &con) || !is_set_up(c, &con))
        goto out;
    con.historical = true;
    sl_set_text(&con.resync_tables, NULL); /* they are part of it */
    sl_request(c, &con, SL_TRIGGER_RESYNC);
    if (sl_call_put(c, SL_K_CONNECTION, &con) &&
        sl_call_commit(c, "connection.resync", SL_K_CONNECTION, id, NULL))
        say_resync(c);
out:
    sl_record_free(SL_K_CONNECTION, &con);
}

/* Adds "schema.table" once. */
static void
add_table(json_t *list, const char *schema, const char *table)
{
    char *name = sl_sprintf("%s.%s", schema, table);
    json_t *one;
    size_t i;

    json_array_foreach(list, i, one)
    {
        if (strcmp(json_string_value(one), name) == 0) {
            free(name);
            return;
        }
    }
    json_array_append_new(list, json_string(name));
    free(name);
}

/* {"schema": ["table", …], …} in its form; false has answered. `where` is for messages. */
static bool
check_scope(struct sl_call *c, json_t *scope, const char *where)
{
    const char *schema;
    json_t *tables, *t;
    size_t i;

    if (!json_is_object(scope) || json_object_size(scope) == 0) {
        sl_refuse_input(c, "%s must name at least one schema with its tables", where);
        return false;
    }
    json_object_foreach(scope, schema, tables)
    {
        if (!json_is_array(tables) || json_array_size(tables) == 0) {
            sl_refuse_input(c, "%s: '%.60s' must have a list of at least one table", where, schema);
            return false;
        }
        json_array_foreach(tables, i, t)
        {
            if (!json_is_string(t)) {
                sl_refuse_input(c, "%s: '%.60s': tables are given by name", where, schema);
                return false;
            }
        }
    }
    return true;
}

/* In a transaction; false has rolled back and answered. */
static bool
add_scope(struct sl_call *c, struct sl_connection *con, json_t *scope, json_t *list)
{
    json_t *catalog = sl_json_stored(con->catalog, "{}"), *tables, *t;
    const char *schema;
    bool ok = true;
    size_t i;

    json_object_foreach(scope, schema, tables)
    {
        json_array_foreach(tables, i, t)
        {
            if (ok && sl_catalog_table(catalog, schema, json_string_value(t)) == NULL) {
                sl_call_rollback(c);
                sl_refuse_input(c, "Connection '%s' has no table '%.80s' in schema '%.80s'",
                                con->id, json_string_value(t), schema);
                ok = false;
            }
            if (ok)
                add_table(list, schema, json_string_value(t));
        }
    }
    json_decref(catalog);
    return ok;
}

/* Only these tables. A running sync is left alone: this one comes after it. */
static void
resync_scope(struct sl_call *c, json_t *scope)
{
    struct sl_connection con = { 0 };
    const char *id = c->args[0];
    json_t *list = NULL;

    if (!sl_begin_connection(c, id, &con) || !is_set_up(c, &con))
        goto out;
    list = sl_json_stored(con.resync_tables, "[]");
    if (!add_scope(c, &con, scope, list))
        goto out;
    free(con.resync_tables);
    con.resync_tables = sl_json_dump(list);
    sl_request(c, &con, SL_TRIGGER_RESYNC);
    if (sl_call_put(c, SL_K_CONNECTION, &con) &&
        sl_call_commit(c, "connection.resync", SL_K_CONNECTION, id,
                       json_pack("{s:O}", "tables", list)))
        say_resync(c);
out:
    json_decref(list);
    sl_record_free(SL_K_CONNECTION, &con);
}

void
sl_api_resync(struct sl_call *c)
{
    json_t *scope = json_object_get(c->body, "scope");

    if (scope == NULL || json_is_null(scope))
        resync_all(c);
    else if (check_scope(c, scope, "scope"))
        resync_scope(c, scope);
}

void
sl_api_resync_tables(struct sl_call *c)
{
    if (check_scope(c, c->body, "The body"))
        resync_scope(c, c->body);
}

void
sl_api_resync_table(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    json_t *catalog, *scope;
    bool there;

    if (!sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return;
    catalog = sl_json_stored(con.catalog, "{}");
    there = sl_catalog_table(catalog, c->args[1], c->args[2]) != NULL;
    json_decref(catalog);
    sl_record_free(SL_K_CONNECTION, &con);
    if (!there) {
        sl_refuse(c, 404, "NotFound_Table", "Cannot find table '%.80s' in schema '%.80s'",
                  c->args[2], c->args[1]);
        return;
    }
    scope = json_pack("{s:[s]}", c->args[1], c->args[2]);
    resync_scope(c, scope);
    json_decref(scope);
}

/* ---- history ---- */

/* Stored JSON under `name`. */
static void
add_stored(json_t *o, const char *name, const char *text)
{
    json_object_set_new(o, name, sl_json_stored(text, "null"));
}

static json_t *
sync_json(const struct sl_sync_record *r)
{
    json_t *o = json_pack("{s:s, s:o, s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:b, s:I}", "sync_id",
                          r->id, "connection_id", sl_json_text(r->connection_id), "number",
                          (json_int_t)r->number, "status", sl_json_text(r->status), "stage",
                          sl_json_text(r->stage), "trigger", sl_json_text(r->trigger),
                          "scheduled_for", sl_json_time(r->scheduled_for), "start_time",
                          sl_json_time(r->started_at), "end_time", sl_json_time(r->finished_at),
                          "is_historical", r->historical, "merged_slots", (json_int_t)r->merged);

    json_object_set_new(o, "reason", sl_json_text(r->reason));
    json_object_set_new(o, "hint", sl_json_text(r->hint && r->hint[0] ? r->hint : NULL));
    add_stored(o, "detail", r->detail);
    add_stored(o, "only_tables", r->tables);
    add_stored(o, "counts", r->counts);
    add_stored(o, "tables", r->table_counts);
    add_stored(o, "stages", r->stages);
    json_object_set_new(o, "walls", sl_json_text(r->walls));
    json_object_set_new(o, "peak_memory", json_integer(r->peak_memory));
    json_object_set_new(o, "bytes", json_integer(r->bytes));
    json_object_set_new(o, "checkpoints", json_integer(r->checkpoints));
    json_object_set_new(o, "package_sha256", sl_json_text(r->sha256));
    json_object_set_new(o, "python_version", sl_json_text(r->python_version));
    json_object_set_new(o, "sdk_version", sl_json_text(r->sdk_version));
    return o;
}

static json_t *
sync_item(struct sl_call *c, const void *rec)
{
    (void)c;
    return sync_json(rec);
}

static bool
connection_is(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    bool ok = sl_call_get(c, SL_K_CONNECTION, c->args[0], &con);

    sl_record_free(SL_K_CONNECTION, &con);
    return ok;
}

void
sl_api_syncs(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_SYNC,
                          .where = { { "connection_id", c->args[0] } },
                          .descending = true,
                          .time_field = "started_at" };
    const char *status = NULL;

    if (!connection_is(c) || !sl_param_time(c, "start_time", &q.since_us) ||
        !sl_param_time(c, "end_time", &q.before_us) ||
        !sl_param_word(c, "status",
                       "RUNNING|SUCCESSFUL|FAILURE|FAILURE_WITH_TASK|RESCHEDULED|CANCELED",
                       &status))
        return;
    if (status != NULL) {
        q.where[1].field = "status";
        q.where[1].text = status;
    }
    sl_say_page(c, &q, sync_item);
}

void
sl_api_sync_get(struct sl_call *c)
{
    struct sl_sync_record r = { 0 };

    if (connection_is(c) && sl_call_get(c, SL_K_SYNC, c->args[1], &r)) {
        if (r.connection_id != NULL && strcmp(r.connection_id, c->args[0]) == 0)
            sl_say(c, 200, sync_json(&r), NULL);
        else
            sl_refuse_missing(c, SL_K_SYNC, c->args[1]);
    }
    sl_record_free(SL_K_SYNC, &r);
}

static json_t *
active_item(struct sl_call *c, const void *rec)
{
    const struct sl_active *a = rec;

    (void)c;
    return json_pack("{s:o, s:o, s:o, s:I}", "month", sl_json_text(a->month), "schema",
                     sl_json_text(a->schema), "table", sl_json_text(a->table_name), "active_rows",
                     (json_int_t)a->rows);
}

void
sl_api_usage(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_ACTIVE, .where = { { "connection_id", c->args[0] } } };
    const char *month = sl_param_get(c, "month");

    if (!connection_is(c))
        return;
    if (month != NULL) {
        q.where[1].field = "month";
        q.where[1].text = month;
    }
    sl_say_page(c, &q, active_item);
}

/* ---- versions ---- */

static json_t *
deployment_item(struct sl_call *c, const void *rec)
{
    const struct sl_deployment *d = rec;

    (void)c;
    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "number", (json_int_t)d->number,
                     "package_id", sl_json_text(d->package_id), "package_sha256",
                     sl_json_text(d->sha256), "python_version", sl_json_text(d->python_version),
                     "sdk_version", sl_json_text(d->sdk_version), "made_by",
                     sl_json_text(d->made_by), "reason", sl_json_text(d->reason), "created_at",
                     sl_json_time(d->created_at));
}

void
sl_api_deployments(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_DEPLOYMENT,
                          .where = { { "connection_id", c->args[0] } },
                          .descending = true };

    if (connection_is(c))
        sl_say_page(c, &q, deployment_item);
}

/* The package that has this code: the one it was, or, when that is gone or has other code now, a new one. In a transaction; false has
 * rolled back and answered. */
static bool
package_of(struct sl_call *c, const struct sl_deployment *d, char **id)
{
    struct sl_store *st = c->sv->pf->store;
    struct sl_package p = { 0 };
    struct sl_err err = { 0 };
    struct stat sb;
    char *zip = NULL;
    bool same, ok;

    same = d->package_id != NULL &&
           sl_store_get(st, SL_K_PACKAGE, d->package_id, &p, NULL) == SL_OK &&
           strcmp(p.sha256, d->sha256) == 0;
    sl_record_free(SL_K_PACKAGE, &p);
    if (same) {
        *id = sl_strdup(d->package_id);
        return true;
    }
    if (d->sha256 == NULL || sl_package_zip(c->sv->pf->packages, d->sha256, &zip, &err)) {
        sl_call_rollback(c);
        sl_refuse(c, 409, "IllegalState", "The code of deployment %lld is not kept any more",
                  (long long)d->number);
        return false;
    }
    if (sl_new_id(st, SL_K_PACKAGE, &p.id, &err)) {
        free(zip);
        sl_call_fail(c, &err);
        return false;
    }
    p.sha256 = sl_strdup(d->sha256);
    p.file_name = sl_sprintf("deployment-%lld.zip", (long long)d->number);
    sl_set_text(&p.created_by, c->user_id);
    sl_set_text(&p.last_updated_by, c->user_id);
    p.created_at = p.updated_at = sl_now_us();
    p.size = stat(zip, &sb) == 0 ? (int64_t)sb.st_size : 0;
    ok = sl_call_put(c, SL_K_PACKAGE, &p);
    *id = ok ? sl_strdup(p.id) : NULL;
    sl_record_free(SL_K_PACKAGE, &p);
    free(zip);
    return ok;
}

void
sl_api_rollback(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    struct sl_deployment d = { 0 };
    const char *id = c->args[0];
    char *name = NULL, *reason = NULL;
    int64_t number;

    if (!sl_parse_i64(c->args[1], 1, INT64_MAX, &number)) {
        sl_refuse_missing(c, SL_K_DEPLOYMENT, c->args[1]);
        return;
    }
    if (!sl_begin_idle(c, id, "its code was rolled back", false, &con))
        return;
    name = sl_sprintf("%s:%lld", id, (long long)number);
    if (!sl_call_get(c, SL_K_DEPLOYMENT, name, &d)) {
        sl_call_rollback(c);
        goto out;
    }
    free(con.package_id);
    con.package_id = NULL;
    if (!package_of(c, &d, &con.package_id))
        goto out;
    sl_set_text(&con.python_version, d.python_version);
    sl_setup_changed(&con);
    reason = sl_sprintf("rollback to %lld", (long long)number);
    if (sl_call_put(c, SL_K_CONNECTION, &con) && sl_put_deployment(c, &con, d.sha256, reason) &&
        sl_call_commit(c, "connection.rollback", SL_K_CONNECTION, id,
                       json_pack("{s:I}", "to", (json_int_t)number))) {
        sl_worker_wake(c->sv->w);
        sl_say_connection(c, 200, &con, NULL, "Connection has been rolled back");
    }
out:
    free(name);
    free(reason);
    sl_record_free(SL_K_DEPLOYMENT, &d);
    sl_record_free(SL_K_CONNECTION, &con);
}
