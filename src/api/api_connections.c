/* api_connections.c - connections: list, read, create, change, delete. */
#include "api/api.h"
#include "api/connections.h"
#include "base/time.h"
#include "http/input.h"
#include "model/form.h"
#include "platform/ids.h"
#include "platform/schedule.h"

#include <stdio.h>
#include <stdlib.h>

/* The official client refuses more, too. */
#define SECRETS_MAX 100
#define NAME_MAX_BYTES 100

/* clang-format off */
static const struct sl_input create_inputs[] = {
    { "group_id", SL_IN_TEXT,   SL_IN_MUST, NULL, 1, 0 },
    { "service",  SL_IN_TEXT,   SL_IN_MUST, NULL, 1, 0 },
    { "config",   SL_IN_OBJECT, SL_IN_MUST, NULL, 0, 0 },
    { NULL, 0, 0, NULL, 0, 0 }
};

/* What stays; options (sl_option_inputs) and config beside it. */
static const struct sl_input field_inputs[] = {
    { "paused",                   SL_IN_BOOL,   0, NULL, 0, 0 },
    { "sync_frequency",           SL_IN_INT,    0, NULL, 1, 1440 },
    { "schedule_type",            SL_IN_WORD,   0, "auto|manual", 0, 0 },
    { "daily_sync_time",          SL_IN_TEXT,   SL_IN_NULL, NULL, 0, 0 },
    { "destination_schema_names", SL_IN_WORD,   0, "FIVETRAN_NAMING|SOURCE_NAMING", 0, 0 },
    { "is_historical_sync",       SL_IN_BOOL,   0, NULL, 0, 0 },
    { "memory_limit",             SL_IN_INT,    0, NULL, 0, INT64_C(1) << 40 },
    { "deadline_seconds",         SL_IN_INT,    0, NULL, 0, 7 * 86400 },
    { "durable_checkpoints",      SL_IN_BOOL,   0, NULL, 0, 0 },
    { "config",                   SL_IN_OBJECT, 0, NULL, 0, 0 },
    { NULL, 0, 0, NULL, 0, 0 }
};

/* What only says how the request is done. */
static const struct sl_input how_inputs[] = {
    { "run_setup_tests",    SL_IN_BOOL, 0, NULL, 0, 0 },
    { "trust_certificates", SL_IN_BOOL, 0, NULL, 0, 0 },
    { "trust_fingerprints", SL_IN_BOOL, 0, NULL, 0, 0 },
    { "schedule",           SL_IN_OBJECT, 0, NULL, 0, 0 },
    { NULL, 0, 0, NULL, 0, 0 }
};

static const struct sl_input config_inputs[] = {
    { "schema",                SL_IN_TEXT,  0, NULL, 1, 0 },
    { "package_id",            SL_IN_TEXT,  0, NULL, 1, 0 },
    { "python_version",        SL_IN_TEXT,  0, NULL, 1, 0 },
    { "secrets_list",          SL_IN_ARRAY, 0, NULL, 0, 0 },
    { "proxy_host_config_key", SL_IN_ANY,   SL_IN_NULL, NULL, 0, 0 },
    { NULL, 0, 0, NULL, 0, 0 }
};

static const struct sl_input secret_inputs[] = {
    { "key",   SL_IN_TEXT, SL_IN_MUST, NULL, 1, 0 },
    { "value", SL_IN_ANY,  SL_IN_NULL, NULL, 0, 0 },
    { NULL, 0, 0, NULL, 0, 0 }
};

static const struct sl_input schedule_inputs[] = {
    { "schedule_type", SL_IN_WORD,  SL_IN_MUST, "INTERVAL|TIME_OF_DAY|MANUAL", 0, 0 },
    { "interval",      SL_IN_INT,   0, NULL, 1, 1440 },
    { "time_of_day",   SL_IN_TEXT,  0, NULL, 0, 0 },
    { "days_of_week",  SL_IN_ARRAY, 0, NULL, 0, 0 },
    { NULL, 0, 0, NULL, 0, 0 }
};
/* clang-format on */

/* What a body changes. */
struct change {
    bool code, config, schedule;
    char sha256[65]; /* of the code, when it is another one */
};

/* ---- reading bodies ---- */

/* The newer form {"schedule": {…}} in the terms of the older one. */
static bool
unfold_schedule(struct sl_call *c)
{
    json_t *s = json_object_get(c->body, "schedule");
    const char *type;

    if (s == NULL)
        return true;
    if (!sl_input_check(c, s, schedule_inputs, "schedule."))
        return false;
    type = sl_in_text(s, "schedule_type", "");
    if (json_array_size(json_object_get(s, "days_of_week")) % 7 != 0) {
        sl_refuse_input(c, "schedule.days_of_week: only every day is supported");
        return false;
    }
    json_object_set_new(c->body, "schedule_type",
                        json_string(strcmp(type, "MANUAL") == 0 ? "manual" : "auto"));
    if (strcmp(type, "TIME_OF_DAY") == 0) {
        json_object_set_new(c->body, "sync_frequency", json_integer(1440));
        json_object_set(c->body, "daily_sync_time", json_object_get(s, "time_of_day"));
    } else if (json_object_get(s, "interval") != NULL) {
        json_object_set(c->body, "sync_frequency", json_object_get(s, "interval"));
    }
    return true;
}

static bool
check_secrets(struct sl_call *c, json_t *list)
{
    json_t *one, *seen = json_object();
    size_t i;
    bool ok = true;

    if (json_array_size(list) > SECRETS_MAX) {
        sl_refuse_input(c, "config.secrets_list has more than %d entries", SECRETS_MAX);
        ok = false;
    }
    json_array_foreach(list, i, one)
    {
        char where[48];
        json_t *value;

        if (!ok)
            break;
        snprintf(where, sizeof where, "config.secrets_list[%zu].", i);
        if (!json_is_object(one)) {
            sl_refuse_input(c, "config.secrets_list[%zu] must be an object with key and value", i);
            ok = false;
            break;
        }
        ok = sl_input_check(c, one, secret_inputs, where);
        value = json_object_get(one, "value");
        if (ok && value != NULL && !json_is_string(value) && !json_is_null(value)) {
            sl_refuse_input(c, "%svalue must be text: configuration values are strings", where);
            ok = false;
        }
        if (ok && json_object_get(seen, sl_in_text(one, "key", "")) != NULL) {
            sl_refuse_input(c, "config.secrets_list has the key '%.60s' twice",
                            sl_in_text(one, "key", ""));
            ok = false;
        }
        if (ok)
            json_object_set_new(seen, sl_in_text(one, "key", ""), json_true());
    }
    json_decref(seen);
    return ok;
}

static bool
is_name(const char *s)
{
    size_t n = strspn(s, "abcdefghijklmnopqrstuvwxyz_0123456789");

    return s[n] == '\0' && n > 0 && n <= NAME_MAX_BYTES && !(s[0] >= '0' && s[0] <= '9');
}

static bool
is_hour(const char *s)
{
    return strlen(s) == 5 && strcmp(s + 2, ":00") == 0 && s[0] >= '0' && s[0] <= '2' &&
           s[1] >= '0' && s[1] <= '9' && (s[0] < '2' || s[1] <= '3');
}

static bool
check_schedule(struct sl_call *c)
{
    int64_t frequency = sl_in_int(c->body, "sync_frequency", 0);
    const char *daily = sl_in_text(c->body, "daily_sync_time", NULL);

    if (frequency != 0 && !sl_frequency_ok(frequency)) {
        sl_refuse_input(c, "sync_frequency must be one of %s minutes", sl_frequencies());
        return false;
    }
    if (daily != NULL && !is_hour(daily)) {
        sl_refuse_input(c, "daily_sync_time must be a full hour from 00:00 to 23:00");
        return false;
    }
    return true;
}

/* What creating and changing have in common. */
static bool
check_body(struct sl_call *c)
{
    json_t *config;

    if (!sl_input_check(c, c->body, how_inputs, "") || !unfold_schedule(c) ||
        !sl_input_check(c, c->body, field_inputs, "") ||
        !sl_input_check(c, c->body, sl_option_inputs, "") || !check_schedule(c))
        return false;
    config = json_object_get(c->body, "config");
    return config == NULL || (sl_input_check(c, config, config_inputs, "config.") &&
                              check_secrets(c, json_object_get(config, "secrets_list")));
}

/* ---- changing the record; in a transaction, after which a false has rolled back and answered ---- */

static bool
fail(struct sl_call *c)
{
    sl_call_rollback(c);
    return false;
}

static bool
seal_secrets(struct sl_call *c, struct sl_connection *con, const json_t *values)
{
    char *owner = sl_sprintf("connection:%s", con->id), *plain = sl_json_dump(values);
    struct sl_err err = { 0 };
    char *sealed = NULL;
    sl_rc rc = sl_vault_seal(c->sv->pf->vault, owner, sl_bytes_of(plain), &sealed, &err);

    sl_vault_wipe(plain, strlen(plain));
    free(owner);
    if (rc) {
        sl_call_fail(c, &err);
        return false;
    }
    free(con->secrets);
    con->secrets = sealed;
    return true;
}

/* What is given must fit the form of the code that will run. A new connection may lack values: it waits for them. */
static bool
fit_form(struct sl_call *c, const struct sl_connection *con, const json_t *values)
{
    json_t *form = sl_connection_form(c, con);
    struct sl_err err = { 0 };
    sl_rc rc = sl_form_check_values(form, values, con->seq != 0, &err);

    if (rc)
        sl_refuse_input(c, "config.secrets_list: %s", err.text);
    json_decref(form);
    return rc == SL_OK || fail(c);
}

/* The list replaces what there was; null keeps the stored value of its key. */
static bool
apply_secrets(struct sl_call *c, struct sl_connection *con, const json_t *list, json_t *options)
{
    struct sl_err err = { 0 };
    json_t *old = sl_open_secrets(c, con, &err), *values = json_object(), *keys = json_array(),
           *one;
    size_t i;
    bool ok = old != NULL;

    if (!ok)
        sl_call_fail(c, &err);
    json_array_foreach(list, i, one)
    {
        const char *key = sl_in_text(one, "key", "");
        json_t *value = json_object_get(one, "value");

        if (!ok)
            break;
        if (value == NULL || json_is_null(value))
            value = json_object_get(old, key);
        if (value == NULL) {
            sl_refuse_input(c,
                            "config.secrets_list[%zu].value is null, which keeps a stored value, "
                            "and none of '%.60s' is stored: give a text",
                            i, key);
            ok = fail(c);
            break;
        }
        json_object_set(values, key, value);
        json_array_append_new(keys, json_string(key));
    }
    if (ok)
        ok = fit_form(c, con, values);
    if (ok)
        ok = seal_secrets(c, con, values);
    json_object_set_new(options, "secret_keys", keys);
    json_decref(old);
    json_decref(values);
    return ok;
}

static bool
apply_package(struct sl_call *c, struct sl_connection *con, const char *id, struct change *change)
{
    struct sl_package p = { 0 };
    struct sl_err err = { 0 };
    sl_rc rc = sl_store_get(c->sv->pf->store, SL_K_PACKAGE, id, &p, &err);

    if (rc == SL_E_NOT_FOUND) {
        sl_refuse_input(c, "config.package_id: cannot find connector SDK package with id '%.60s'",
                        id);
        return fail(c);
    }
    if (rc) {
        sl_call_fail(c, &err);
        return false;
    }
    snprintf(change->sha256, sizeof change->sha256, "%s", p.sha256);
    sl_record_free(SL_K_PACKAGE, &p);
    if (con->package_id == NULL || strcmp(con->package_id, id) != 0) {
        sl_set_text(&con->package_id, id);
        change->code = true;
    }
    return true;
}

static bool
apply_config(struct sl_call *c, struct sl_connection *con, json_t *config, json_t *options,
             struct change *change)
{
    const char *schema = sl_in_text(config, "schema", NULL);
    const char *package = sl_in_text(config, "package_id", NULL);
    const char *python = sl_in_text(config, "python_version", NULL);
    json_t *secrets = json_object_get(config, "secrets_list");
    json_t *proxy = json_object_get(config, "proxy_host_config_key");

    if (schema != NULL && strcmp(schema, con->schema) != 0) {
        sl_refuse_input(c, "config.schema cannot be changed: it is '%s'. Create another connection",
                        con->schema);
        return fail(c);
    }
    if (python != NULL) {
        python = sl_python_version(c, python);
        if (python == NULL)
            return fail(c);
        if (con->python_version == NULL || strcmp(con->python_version, python) != 0)
            change->code = true;
        sl_set_text(&con->python_version, python);
    }
    if (package != NULL && !apply_package(c, con, package, change))
        return false;
    if (proxy != NULL)
        json_object_set(options, "proxy_host_config_key", proxy);
    change->config = change->code || secrets != NULL;
    return secrets == NULL || apply_secrets(c, con, secrets, options);
}

static bool
apply_schedule(struct sl_call *c, struct sl_connection *con, struct change *change)
{
    const json_t *b = c->body;
    const char *type = sl_in_text(b, "schedule_type", NULL);
    const char *daily = sl_in_text(b, "daily_sync_time", NULL);
    int64_t frequency = sl_in_int(b, "sync_frequency", con->sync_frequency);
    bool any_time = json_is_null(json_object_get(b, "daily_sync_time")); /* said, not left out */

    if (daily != NULL && frequency != 1440) {
        sl_refuse_input(c, "daily_sync_time goes with a sync_frequency of 1440, not %lld",
                        (long long)frequency);
        return fail(c);
    }
    any_time = any_time && con->daily_sync_time != NULL;
    change->schedule = type != NULL || daily != NULL || any_time ||
                       frequency != con->sync_frequency;
    con->sync_frequency = frequency;
    if (type != NULL)
        sl_set_text(&con->schedule_type, type);
    if (daily != NULL || any_time || frequency != 1440)
        sl_set_text(&con->daily_sync_time, daily);
    return true;
}

static bool
apply(struct sl_call *c, struct sl_connection *con, struct change *change)
{
    const json_t *b = c->body;
    json_t *config = json_object_get(b, "config"), *options = sl_json_stored(con->options, "{}");
    const char *naming = sl_in_text(b, "destination_schema_names", NULL);
    bool ok = true;

    for (const struct sl_input *in = sl_option_inputs; in->name != NULL; in++)
        if (json_object_get(b, in->name) != NULL)
            json_object_set(options, in->name, json_object_get(b, in->name));
    if (config != NULL)
        ok = apply_config(c, con, config, options, change);
    if (ok)
        ok = apply_schedule(c, con, change);
    free(con->options);
    con->options = sl_json_dump(options);
    json_decref(options);
    if (naming != NULL)
        sl_set_text(&con->naming, naming);
    con->memory_limit = sl_in_int(b, "memory_limit", con->memory_limit);
    con->deadline_s = sl_in_int(b, "deadline_seconds", con->deadline_s);
    con->durable = sl_in_bool(b, "durable_checkpoints", con->durable);
    return ok;
}

/* Names of the fields a body has, for the audit. */
static json_t *
changed_fields(const json_t *body)
{
    json_t *names = json_array(), *v;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)body, key, v)
        json_array_append_new(names, json_string(key));
    return json_pack("{s:o}", "fields", names);
}

/* The switch alone is an act of its own, in the audit, too. */
static bool
only_paused(const json_t *body)
{
    return json_object_size(body) == 1 && json_object_get(body, "paused") != NULL;
}

/* ---- creating ---- */

static bool
check_new(struct sl_call *c, const char **name)
{
    const char *service, *group;
    struct sl_group g = { 0 };
    struct sl_destination d = { 0 };
    struct sl_err err = { 0 };
    sl_rc rc;

    if (!sl_input_check(c, c->body, create_inputs, "") || !check_body(c))
        return false;
    service = sl_in_text(c->body, "service", "");
    group = sl_in_text(c->body, "group_id", "");
    *name = sl_in_text(json_object_get(c->body, "config"), "schema", NULL);
    if (strcmp(service, "connector_sdk") != 0) {
        sl_refuse_input(c, "Unsupported connector service '%.60s'. This server runs connector_sdk",
                        service);
        return false;
    }
    if (*name == NULL || !is_name(*name)) {
        sl_refuse_input(c,
                        "config.schema must be a name of lower-case letters, digits and _, not "
                        "beginning with a digit, of at most %d characters%s%.100s%s",
                        NAME_MAX_BYTES, *name ? "; '" : "", *name ? *name : "",
                        *name ? "' is none" : "");
        return false;
    }
    if (!sl_call_get(c, SL_K_GROUP, group, &g))
        return false;
    sl_record_free(SL_K_GROUP, &g);
    rc = sl_store_get(c->sv->pf->store, SL_K_DESTINATION, group, &d, &err);
    sl_record_free(SL_K_DESTINATION, &d);
    if (rc == SL_E_NOT_FOUND)
        sl_refuse_input(c,
                        "Group '%.60s' has no destination yet: create one with POST "
                        "/v1/destinations",
                        group);
    else if (rc)
        sl_refuse_err(c, &err);
    return rc == SL_OK;
}

static bool
put_new(struct sl_call *c, struct sl_connection *con)
{
    struct sl_err err = { 0 };
    sl_rc rc = sl_store_put(c->sv->pf->store, SL_K_CONNECTION, con, &err);

    if (rc == SL_E_LOCKED) {
        sl_call_rollback(c);
        sl_refuse(c, 409, "Conflict",
                  "A connection named '%s' exists already in this destination: choose another "
                  "name, or change that one",
                  con->schema);
        return false;
    }
    if (rc)
        sl_call_fail(c, &err);
    return rc == SL_OK;
}

static void
fill_new(struct sl_call *c, struct sl_connection *con, const char *name)
{
    con->group_id = sl_strdup(sl_in_text(c->body, "group_id", ""));
    con->service = sl_strdup("connector_sdk");
    con->schema = sl_strdup(name);
    sl_set_text(&con->created_by, c->user_id);
    con->created_at = sl_now_us();
    con->naming = sl_strdup("FIVETRAN_NAMING");
    con->schedule_type = sl_strdup("auto");
    con->sync_frequency = 15; /* semantics §7 */
    con->historical = true;
    con->paused = true;
    sl_set_text(&con->python_version, sl_python_version(c, NULL));
}

/* Tests that run in this request decide whether it may sync; without them its first sync finds out (docs/decisions/0011). */
static void
begin_setup(struct sl_call *c, struct sl_connection *con)
{
    sl_set_text(&con->setup_state,
                sl_in_bool(c->body, "run_setup_tests", true) ? "incomplete" : "untested");
}

/* In a transaction of its own. */
static bool
create(struct sl_call *c, struct sl_connection *con, const char *name)
{
    struct change change = { 0 };
    struct sl_err err = { 0 };

    if (!sl_call_begin(c))
        return false;
    if (sl_new_id(c->sv->pf->store, SL_K_CONNECTION, &con->id, &err)) {
        sl_call_fail(c, &err);
        return false;
    }
    fill_new(c, con, name);
    if (!apply(c, con, &change))
        return false;
    if (!sl_in_bool(c->body, "paused", true))
        sl_unpause(c, con);
    begin_setup(c, con);
    return put_new(c, con) &&
           (con->package_id == NULL || sl_put_deployment(c, con, change.sha256, "deploy")) &&
           sl_call_commit(c, "connection.create", SL_K_CONNECTION, con->id,
                          json_pack("{s:s}", "schema", name));
}

/* Reads it again, and answers. tests is taken. */
static void
say_changed(struct sl_call *c, int status, const char *id, json_t *tests, const char *message)
{
    struct sl_connection con = { 0 };

    sl_worker_wake(c->sv->w);
    if (sl_call_get(c, SL_K_CONNECTION, id, &con))
        sl_say_connection(c, status, &con, tests, message);
    sl_record_free(SL_K_CONNECTION, &con);
    json_decref(tests);
}

void
sl_api_connection_create(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    const char *name;
    json_t *tests = NULL;

    if (check_new(c, &name) && create(c, &con, name)) {
        if (sl_in_bool(c->body, "run_setup_tests", true))
            tests = sl_run_tests(c, con.id);
        say_changed(c, 201, con.id, tests, "Connection has been created");
    }
    sl_record_free(SL_K_CONNECTION, &con);
}

/* ---- changing ---- */

static bool
wants_idle(const json_t *body)
{
    const json_t *config = json_object_get(body, "config");

    return json_object_get(body, "destination_schema_names") != NULL ||
           json_object_get(config, "package_id") != NULL ||
           json_object_get(config, "python_version") != NULL ||
           json_object_get(config, "secrets_list") != NULL ||
           sl_in_bool(body, "is_historical_sync", false);
}

/* As documented: run when asked for, and by default when the configuration changes. */
static bool
tests_wanted(const json_t *body)
{
    return sl_in_bool(body, "run_setup_tests", json_object_get(body, "config") != NULL);
}

static void
apply_pause(struct sl_call *c, struct sl_connection *con, const struct change *change)
{
    const json_t *paused = json_object_get(c->body, "paused");

    if (json_is_true(paused)) {
        con->paused = true;
        con->next_run_at = 0;
        con->rescheduled_for = 0;
        /* A run that was asked for and not begun is off; a re-sync is remembered. */
        if (con->requested != NULL && strcmp(con->requested, SL_TRIGGER_RESYNC) != 0)
            sl_set_text(&con->requested, NULL);
    } else if (json_is_false(paused) && con->paused) {
        sl_unpause(c, con);
    } else if (change->schedule && !con->paused) {
        sl_reschedule(c, con);
        con->rescheduled_for = 0;
    }
}

static bool
change_fields(struct sl_call *c, struct sl_connection *con, const char *id)
{
    struct change change = { 0 };
    bool historical = sl_in_bool(c->body, "is_historical_sync", false);
    bool ready = wants_idle(c->body)
                     ? sl_begin_idle(c, id, "the connection was changed", historical, con)
                     : sl_begin_connection(c, id, con);

    if (!ready || !apply(c, con, &change))
        return false;
    if (change.config && !tests_wanted(c->body))
        sl_setup_changed(con);
    apply_pause(c, con, &change);
    if (historical) {
        con->historical = true;
        sl_setup_by_sync(con);
        sl_request(c, con, SL_TRIGGER_RESYNC);
    }
    if (!sl_call_put(c, SL_K_CONNECTION, con))
        return false;
    if (change.code && con->package_id != NULL) {
        struct sl_package p = { 0 };
        bool ok;

        if (change.sha256[0] == '\0' &&
            sl_store_get(c->sv->pf->store, SL_K_PACKAGE, con->package_id, &p, NULL) == SL_OK)
            snprintf(change.sha256, sizeof change.sha256, "%s", p.sha256);
        sl_record_free(SL_K_PACKAGE, &p);
        ok = sl_put_deployment(c, con, change.sha256, "deploy");
        if (!ok)
            return false;
    }
    if (!only_paused(c->body))
        return sl_call_commit(c, "connection.update", SL_K_CONNECTION, id, changed_fields(c->body));
    return sl_call_commit(c, con->paused ? "connection.pause" : "connection.unpause",
                          SL_K_CONNECTION, id, NULL);
}

/* Switching a connection on and off is what operators are there for: they may start and stop its syncs already. All else is
 * about what runs and with which secrets. */
static bool
may_change(struct sl_call *c)
{
    const char *key;
    json_t *value;

    if (c->role >= SL_ROLE_ADMIN)
        return true;
    json_object_foreach(c->body, key, value)
    {
        if (strcmp(key, "paused") == 0)
            continue;
        sl_refuse(c, 403, "Forbidden",
                  "This needs %s with the role admin; yours has %s, which may change 'paused' only",
                  c->token != NULL ? "a user" : "a key", sl_role_name(c->role));
        return false;
    }
    return true;
}

void
sl_api_connection_update(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    const char *id = c->args[0];
    json_t *tests = NULL;
    bool done;

    if (!may_change(c) || !check_body(c))
        return;
    if (!sl_input_any(c->body, field_inputs) && !sl_input_any(c->body, sl_option_inputs)) {
        sl_refuse_input(c, "Nothing to change: give at least one field of the connection");
        return;
    }
    done = change_fields(c, &con, id);
    sl_record_free(SL_K_CONNECTION, &con);
    if (!done)
        return;
    /* Paused first, so that nothing begins while the running sync is stopped. */
    if (sl_in_bool(c->body, "paused", false) && !sl_cancel_sync(c, id, "the connection was paused"))
        return;
    if (tests_wanted(c->body))
        tests = sl_run_tests(c, id);
    say_changed(c, 200, id, tests, "Connection has been updated");
}

/* ---- deleting ---- */

/* So that nothing begins while the running sync is stopped. False has answered. */
static bool
hold(struct sl_call *c, const char *id)
{
    struct sl_connection con = { 0 };
    bool ok = sl_begin_connection(c, id, &con);

    if (ok && con.running_sync == NULL) {
        sl_call_rollback(c);
    } else if (ok) {
        con.paused = true;
        con.next_run_at = 0;
        sl_set_text(&con.requested, NULL);
        ok = sl_call_put(c, SL_K_CONNECTION, &con) &&
             sl_call_commit(c, "connection.pause", SL_K_CONNECTION, id, NULL);
    }
    sl_record_free(SL_K_CONNECTION, &con);
    return ok;
}

void
sl_api_connection_delete(struct sl_call *c)
{
    struct sl_platform *pf = c->sv->pf;
    struct sl_connection con = { 0 };
    struct sl_query active = { .kind = SL_K_ACTIVE, .where = { { "connection_id", c->args[0] } } };
    struct sl_err err = { 0 };
    const char *id = c->args[0];

    if (!hold(c, id) || !sl_begin_idle(c, id, "the connection was deleted", false, &con))
        goto out;
    if (sl_store_delete_where(pf->store, &active, NULL, &err) ||
        sl_store_delete(pf->store, SL_K_CONNECTION, id, &err)) {
        sl_call_fail(c, &err);
        goto out;
    }
    if (!sl_call_commit(c, "connection.delete", SL_K_CONNECTION, id,
                        json_pack("{s:s}", "schema", con.schema)))
        goto out;
    /* What is left of it is swept later if this fails. */
    if (sl_logs_forget(pf->logs, id, &err) || sl_packages_sweep(pf->packages, &err))
        fprintf(stderr, "sluiced: after deleting connection %s: %s\n", id, err.text);
    sl_say(c, 200, NULL, "Connection with id '%s' has been deleted", id);
out:
    sl_record_free(SL_K_CONNECTION, &con);
}

/* ---- reading ---- */

void
sl_api_connection_get(struct sl_call *c)
{
    struct sl_connection con = { 0 };

    if (sl_call_get(c, SL_K_CONNECTION, c->args[0], &con)) {
        json_t *tests = con.setup_tests != NULL ? sl_json_stored(con.setup_tests, "[]") : NULL;

        sl_say_connection(c, 200, &con, tests, NULL);
        json_decref(tests);
    }
    sl_record_free(SL_K_CONNECTION, &con);
}

static json_t *
item(struct sl_call *c, const void *rec)
{
    return sl_connection_json(c, rec);
}

static void
list(struct sl_call *c, const char *group)
{
    struct sl_query q = { .kind = SL_K_CONNECTION, .light = true };
    const char *schema = sl_param_get(c, "schema");
    int n = 0;

    if (group != NULL) {
        q.where[n].field = "group_id";
        q.where[n++].text = group;
    }
    if (schema != NULL) {
        q.where[n].field = "schema";
        q.where[n++].text = schema;
    }
    sl_say_page(c, &q, item);
}

void
sl_api_connections(struct sl_call *c)
{
    list(c, sl_param_get(c, "group_id"));
}

void
sl_api_group_connections(struct sl_call *c)
{
    struct sl_group g = { 0 };

    if (sl_call_get(c, SL_K_GROUP, c->args[0], &g))
        list(c, c->args[0]);
    sl_record_free(SL_K_GROUP, &g);
}
