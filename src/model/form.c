#include "model/form.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static const char *const kinds[] = { "text", "password", "hidden", "dropdown", "toggle", "upload" };
#define NAME_LONGEST 255
#define TEXT_LONGEST ((size_t)16 << 10)

const char *
sl_form_text(const json_t *o, const char *member)
{
    const char *s = json_string_value(json_object_get(o, member));

    return s != NULL ? s : "";
}

bool
sl_form_is(const json_t *field, const char *kind)
{
    return strcmp(sl_form_text(field, "kind"), kind) == 0;
}

static sl_rc refuse(struct sl_err *err, const char *field, const char *fmt, ...) SL_PRINTF(3, 4);

static sl_rc
refuse(struct sl_err *err, const char *field, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    sl_fail(err, SL_E_CONFIG, "%s", text);
    sl_err_path(err, "%s", field);
    return SL_E_CONFIG;
}

/* ---- what a form may be ---- */

/* A text or, unless it must be there, null. New reference; NULL has reported. */
static json_t *
take_text(const json_t *o, const char *what, const char *member, bool must, struct sl_err *err)
{
    const json_t *v = json_object_get(o, member);
    size_t most = strcmp(member, "name") == 0 ? NAME_LONGEST : TEXT_LONGEST;

    if ((v == NULL || json_is_null(v)) && !must)
        return json_null();
    if (!json_is_string(v) || (must && json_string_length(v) == 0)) {
        (void)refuse(err, what, "a form: \"%s\" of '%.100s' must be a text%s", member, what,
                     must ? " that is not empty" : "");
        return NULL;
    }
    if (json_string_length(v) > most || strlen(json_string_value(v)) != json_string_length(v)) {
        (void)refuse(err, what, "a form: \"%s\" of '%.100s' is longer than %zu bytes or has a NUL",
                     member, what, most);
        return NULL;
    }
    return json_incref((json_t *)(uintptr_t)v);
}

static sl_rc
set_text(json_t *to, const json_t *from, const char *what, const char *member, bool must,
         struct sl_err *err)
{
    json_t *v = take_text(from, what, member, must, err);

    if (v == NULL)
        return SL_E_CONFIG;
    json_object_set_new(to, member, v);
    return SL_OK;
}

static sl_rc
take_options(json_t *to, const json_t *from, const char *name, struct sl_err *err)
{
    json_t *given = json_object_get(from, "options"), *options = json_array(), *one, *copy;
    sl_rc rc = SL_OK;
    size_t i;

    json_object_set_new(to, "options", options);
    if (json_array_size(given) == 0 || json_array_size(given) > SL_FORM_OPTIONS)
        return refuse(err, name, "a form: the dropdown '%.100s' has %zu choices, not 1 to %d", name,
                      json_array_size(given), SL_FORM_OPTIONS);
    json_array_foreach(given, i, one)
    {
        copy = json_object();
        json_array_append_new(options, copy);
        rc = set_text(copy, one, name, "value", false, err);
        if (rc == SL_OK)
            rc = set_text(copy, one, name, "label", false, err);
        if (rc == SL_OK)
            rc = set_text(copy, one, name, "description", false, err);
        if (rc == SL_OK && json_is_null(json_object_get(copy, "value")))
            rc = refuse(err, name, "a form: a choice of '%.100s' has no value", name);
        if (rc)
            return rc;
        if (sl_form_text(copy, "label")[0] == '\0')
            json_object_set(copy, "label", json_object_get(copy, "value"));
    }
    return SL_OK;
}

static sl_rc
take_upload(json_t *to, const json_t *from, const char *name, struct sl_err *err)
{
    json_t *given = json_object_get(from, "allowed"), *allowed = json_array(), *one;
    json_int_t most = json_integer_value(json_object_get(from, "max_bytes"));
    size_t i;

    json_object_set_new(to, "allowed", allowed);
    json_object_set_new(to, "max_bytes", json_integer(most > 0 ? most : 0));
    if (json_array_size(given) > SL_FORM_FIELDS)
        return refuse(err, name, "a form: '%.100s' names too many kinds of files", name);
    json_array_foreach(given, i, one)
    {
        if (!json_is_string(one) || json_string_length(one) > NAME_LONGEST)
            return refuse(err, name, "a form: a kind of file of '%.100s' must be a short text",
                          name);
        json_array_append(allowed, one);
    }
    return SL_OK;
}

/* {"field": "x", "is": "value" or true or false}, or {"field": "x", "empty": true or false} */
static sl_rc
take_when(json_t *to, const json_t *from, const char *name, struct sl_err *err)
{
    json_t *given = json_object_get(from, "when"), *when = json_array(), *one;
    size_t i;

    json_object_set_new(to, "when", when);
    if (json_array_size(given) > SL_FORM_CONDITIONS)
        return refuse(err, name, "a form: '%.100s' has more than %d conditions", name,
                      SL_FORM_CONDITIONS);
    json_array_foreach(given, i, one)
    {
        json_t *is = json_object_get(one, "is"), *empty = json_object_get(one, "empty"),
               *copy = json_object();
        sl_rc rc = set_text(copy, one, name, "field", true, err);

        json_array_append_new(when, copy);
        if (rc)
            return rc;
        if (json_is_boolean(empty))
            json_object_set(copy, "empty", empty);
        else if (json_is_boolean(is) ||
                 (json_is_string(is) && json_string_length(is) <= TEXT_LONGEST))
            json_object_set(copy, "is", is);
        else
            return refuse(err, name,
                          "a form: a condition of '%.100s' has neither \"is\" nor \"empty\"", name);
    }
    return SL_OK;
}

static bool
is_known(const char *kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kind, kinds[i]) == 0)
            return true;
    return false;
}

static sl_rc
take_field(json_t *fields, const json_t *given, struct sl_err *err)
{
    static const char *const optional[] = { "description", "placeholder", "default" };
    json_t *to = json_object();
    char name[NAME_LONGEST + 1];
    sl_rc rc;

    json_array_append_new(fields, to);
    rc = set_text(to, given, "a field", "name", true, err);
    if (rc)
        return rc;
    snprintf(name, sizeof name, "%s", sl_form_text(to, "name"));
    rc = set_text(to, given, name, "label", false, err);
    if (rc == SL_OK)
        rc = set_text(to, given, name, "kind", true, err);
    if (rc)
        return rc;
    if (sl_form_text(to, "label")[0] == '\0')
        json_object_set_new(to, "label", json_string(name));
    if (!is_known(sl_form_text(to, "kind")))
        return refuse(err, name, "a form: '%.100s' is of the unknown kind '%.60s'", name,
                      sl_form_text(to, "kind"));
    json_object_set_new(to, "required",
                        json_boolean(json_is_true(json_object_get(given, "required"))));
    for (size_t i = 0; rc == SL_OK && i < sizeof optional / sizeof optional[0]; i++)
        rc = set_text(to, given, name, optional[i], false, err);
    if (rc == SL_OK && sl_form_is(to, "dropdown"))
        rc = take_options(to, given, name, err);
    if (rc == SL_OK && sl_form_is(to, "upload"))
        rc = take_upload(to, given, name, err);
    return rc ? rc : take_when(to, given, name, err);
}

static sl_rc
take_tests(json_t *form, const json_t *given, struct sl_err *err)
{
    json_t *tests = json_array(), *list = json_object_get(given, "tests"), *one;
    size_t i;
    sl_rc rc = SL_OK;

    json_object_set_new(form, "tests", tests);
    if (json_array_size(list) > SL_FORM_TESTS)
        return refuse(err, "", "a form with more than %d tests", SL_FORM_TESTS);
    json_array_foreach(list, i, one)
    {
        json_t *to = json_object();

        json_array_append_new(tests, to);
        rc = set_text(to, one, "a test", "name", true, err);
        if (rc == SL_OK)
            rc = set_text(to, one, "a test", "label", true, err);
        if (rc)
            return rc;
    }
    return SL_OK;
}

sl_rc
sl_form_check(const json_t *given, json_t **form, struct sl_err *err)
{
    json_t *fields = json_object_get(given, "fields"), *one, *to = json_array();
    sl_rc rc = SL_OK;
    size_t i;

    *form = json_pack("{s:o}", "fields", to);
    if (!json_is_object(given))
        rc = refuse(err, "", "a form must be a JSON object");
    else if (json_array_size(fields) > SL_FORM_FIELDS)
        rc = refuse(err, "", "a form with more than %d fields", SL_FORM_FIELDS);
    json_array_foreach(fields, i, one)
    {
        if (rc == SL_OK)
            rc = take_field(to, one, err);
    }
    if (rc == SL_OK)
        rc = take_tests(*form, given, err);
    if (rc) {
        json_decref(*form);
        *form = NULL;
    }
    return rc;
}

/* ---- questions ---- */

bool
sl_form_empty(const json_t *form)
{
    return json_array_size(json_object_get(form, "fields")) == 0 &&
           json_array_size(json_object_get(form, "tests")) == 0;
}

bool
sl_form_secret(const json_t *form, const char *name)
{
    json_t *field;
    size_t i;

    json_array_foreach(json_object_get(form, "fields"), i, field)
    {
        if (strcmp(sl_form_text(field, "name"), name) == 0 &&
            (sl_form_is(field, "password") || sl_form_is(field, "hidden")))
            return true;
    }
    return false;
}

const char *
sl_form_test(const json_t *form, const char *name)
{
    json_t *test;
    size_t i;

    json_array_foreach(json_object_get(form, "tests"), i, test)
    {
        if (strcmp(sl_form_text(test, "name"), name) == 0)
            return sl_form_text(test, "label");
    }
    return NULL;
}

static bool
holds(const json_t *condition, const json_t *configuration)
{
    const char *value = sl_form_text(configuration, sl_form_text(condition, "field"));
    const json_t *is = json_object_get(condition, "is"),
                 *empty = json_object_get(condition, "empty");

    if (empty != NULL)
        return (value[0] == '\0') == json_is_true(empty);
    if (json_is_boolean(is))
        return (strcasecmp(value, "true") == 0) == json_is_true(is);
    return strcmp(value, json_string_value(is)) == 0;
}

bool
sl_form_shown(const json_t *field, const json_t *configuration)
{
    json_t *condition;
    size_t i;

    json_array_foreach(json_object_get(field, "when"), i, condition)
    {
        if (!holds(condition, configuration))
            return false;
    }
    return true;
}

/* ---- values ---- */

static sl_rc
check_choice(const json_t *field, const char *value, struct sl_err *err)
{
    json_t *option;
    char list[200] = "";
    size_t i, n;

    json_array_foreach(json_object_get(field, "options"), i, option)
    {
        if (strcmp(sl_form_text(option, "value"), value) == 0)
            return SL_OK;
        n = strlen(list);
        if (n + 60 < sizeof list)
            snprintf(list + n, sizeof list - n, "%s%.50s", n ? ", " : "",
                     sl_form_text(option, "value"));
    }
    return refuse(err, sl_form_text(field, "name"), "%s (%s): '%.60s' is none of its choices: %s%s",
                  sl_form_text(field, "name"), sl_form_text(field, "label"), value, list,
                  strlen(list) + 60 >= sizeof list ? ", …" : "");
}

sl_rc
sl_form_check_value(const json_t *field, const char *value, struct sl_err *err)
{
    const char *name = sl_form_text(field, "name"), *label = sl_form_text(field, "label");
    json_int_t most = json_integer_value(json_object_get(field, "max_bytes"));

    if (value[0] == '\0')
        return SL_OK;
    if (sl_form_is(field, "dropdown"))
        return check_choice(field, value, err);
    if (sl_form_is(field, "toggle") && strcasecmp(value, "true") != 0 &&
        strcasecmp(value, "false") != 0)
        return refuse(err, name, "%s (%s): it is true or false, not '%.60s'", name, label, value);
    /* Base64: four letters for three bytes. */
    if (sl_form_is(field, "upload") && most > 0 && strlen(value) / 4 * 3 > (size_t)most + 2)
        return refuse(err, name, "%s (%s): the file is larger than %lld bytes", name, label,
                      (long long)most);
    return SL_OK;
}

sl_rc
sl_form_check_values(const json_t *form, const json_t *configuration, bool whole,
                     struct sl_err *err)
{
    json_t *field;
    sl_rc rc;
    size_t i;

    json_array_foreach(json_object_get(form, "fields"), i, field)
    {
        const char *name = sl_form_text(field, "name"), *value = sl_form_text(configuration, name);

        if (!sl_form_shown(field, configuration))
            continue;
        rc = sl_form_check_value(field, value, err);
        if (rc)
            return rc;
        /* A toggle that nobody touched is off. */
        if (whole && value[0] == '\0' && json_is_true(json_object_get(field, "required")) &&
            !sl_form_is(field, "toggle"))
            return refuse(err, name, "%s (%s) is required and has no value", name,
                          sl_form_text(field, "label"));
    }
    return SL_OK;
}
