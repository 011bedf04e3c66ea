/* api_form.c - the configuration form of a connection: what is asked, what has a value, and its tests. */
#include "api/api.h"
#include "api/connections.h"
#include "http/input.h"
#include "model/form.h"
#include "runtime/redact.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

/* Whether this caller may see values that are no secrets: those who can change them. */
static bool
may_see(const struct sl_call *c)
{
    return c->role >= SL_ROLE_ADMIN;
}

/* A text of a name that sounds secret is one, whatever the form says; one of the choices the form itself lists ("auth": "password") is
 * not. */
static bool
is_secret(const json_t *form, const json_t *field, const char *name)
{
    return sl_form_secret(form, name) ||
           (!sl_word_in("dropdown|toggle", sl_in_text(field, "kind", "")) &&
            sl_redact_says_secret(name));
}

/* A field of the form and what is stored of it. */
static json_t *
field_json(const struct sl_call *c, const json_t *form, const json_t *field, const json_t *values)
{
    json_t *o = json_deep_copy(field);
    const char *name = sl_in_text(field, "name", "");
    const char *value = sl_in_text(values, name, "");
    bool secret = is_secret(form, field, name);

    json_object_set_new(o, "secret", json_boolean(secret));
    json_object_set_new(o, "shown", json_boolean(sl_form_shown(field, values)));
    json_object_set_new(o, "has_value", json_boolean(value[0] != '\0'));
    json_object_set_new(
        o, "value", value[0] != '\0' && !secret && may_see(c) ? json_string(value) : json_null());
    return o;
}

static bool
has_field(const json_t *fields, const char *name)
{
    json_t *field;
    size_t i;

    json_array_foreach(fields, i, field)
    {
        if (strcmp(sl_in_text(field, "name", ""), name) == 0)
            return true;
    }
    return false;
}

/* Keys that are stored and not in the form. */
static json_t *
other_keys(const json_t *fields, const json_t *values)
{
    json_t *list = json_array(), *value;
    const char *key;

    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        if (!has_field(fields, key))
            json_array_append_new(list, json_string(key));
    }
    return list;
}

/* The sentence that keeps it from running; null: nothing. */
static json_t *
problem(const struct sl_connection *con)
{
    char *missing = sl_setup_missing(con);
    json_t *text = missing != NULL ? sl_json_text(missing) : json_null();

    free(missing);
    return text;
}

static json_t *
form_json(struct sl_call *c, const struct sl_connection *con, const json_t *values)
{
    json_t *form = sl_connection_form(c, con), *fields = json_object_get(form, "fields"),
           *list = json_array(), *tests = json_object_get(form, "tests"), *field, *o;
    const char *source = form == NULL ? "unknown" : sl_form_empty(form) ? "none" : "connector";
    size_t i;

    json_array_foreach(fields, i, field)
        json_array_append_new(list, field_json(c, form, field, values));
    o = json_pack("{s:s, s:o, s:o, s:o, s:b, s:s, s:o}", "source", source, "fields", list, "tests",
                  tests ? json_incref(tests) : json_array(), "other_keys",
                  other_keys(fields, values), "may_add_keys", (int)(json_array_size(fields) == 0),
                  "setup_state", con->setup_state ? con->setup_state : "incomplete", "problem",
                  problem(con));
    json_decref(form);
    return o;
}

json_t *
sl_connection_form_json(struct sl_call *c, const struct sl_connection *con, struct sl_err *err)
{
    json_t *values = sl_open_secrets(c, con, err),
           *o = values != NULL ? form_json(c, con, values) : NULL;

    json_decref(values);
    return o;
}

void
sl_api_form(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    struct sl_err err = { 0 };
    json_t *form;

    if (!sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return;
    form = sl_connection_form_json(c, &con, &err);
    if (form != NULL)
        sl_say(c, 200, form, NULL);
    else
        sl_refuse_err(c, &err);
    sl_record_free(SL_K_CONNECTION, &con);
}

/* ---- tests ---- */

/* Values to try, not stored. Whoever may not change the configuration may not either send its secrets elsewhere. */
static bool
check_values(struct sl_call *c, const json_t *values)
{
    const char *key;
    json_t *value;

    if (values == NULL)
        return true;
    if (!may_see(c)) {
        sl_refuse(c, 403, "Forbidden",
                  "Testing with other values than the stored ones needs a key of the role admin");
        return false;
    }
    json_object_foreach((json_t *)(uintptr_t)values, key, value)
    {
        if (!json_is_string(value)) {
            sl_refuse_input(c, "values.%.60s must be text: configuration values are strings", key);
            return false;
        }
    }
    return true;
}

static void
refuse_run(struct sl_call *c, const struct sl_err *err)
{
    if (err->code == SL_E_NOT_FOUND)
        sl_refuse(c, 404, "NotFound", "%s", err->text);
    else if (err->code == SL_E_CONNECTOR || err->code == SL_E_CONFIG || err->code == SL_E_ENV)
        sl_refuse(c, 409, "IllegalState", "%s%s%s", err->text, err->hint[0] ? ". Hint: " : "",
                  err->hint);
    else
        sl_refuse_err(c, err);
}

void
sl_api_form_tests(struct sl_call *c)
{
    static const struct sl_input inputs[] = {
        { "values", SL_IN_OBJECT, 0, NULL, 0, 0 },
        { NULL, 0, 0, NULL, 0, 0 },
    };
    struct sl_connection con = { 0 };
    struct sl_err err = { 0 };
    const char *name = strstr(c->route->path, ":test") != NULL ? c->args[1] : NULL;
    const json_t *values;
    json_t *results;
    bool code;

    if (!sl_input_check(c, c->body, inputs, "") ||
        !sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return;
    code = con.package_id != NULL;
    sl_record_free(SL_K_CONNECTION, &con);
    values = json_object_get(c->body, "values");
    if (!code)
        sl_refuse(c, 409, "IllegalState", "The connection has no code yet: set config.package_id");
    else if (!check_values(c, values))
        return;
    else if (sl_worker_form_tests(c->sv->w, c->args[0], name, values, &results, &err))
        refuse_run(c, &err);
    else
        sl_say(c, 200, json_pack("{s:o}", "tests", results), "Tests have been completed");
}
