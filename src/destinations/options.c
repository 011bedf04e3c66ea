#include "destinations/options.h"

#include "base/buf.h"
#include "base/text.h"
#include "destinations/destination.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const char *const kind_names[] = {
    [SL_OPTION_TEXT] = "text",
    [SL_OPTION_SECRET] = "secret",
    [SL_OPTION_INT] = "int",
    [SL_OPTION_BOOL] = "bool",
    [SL_OPTION_CHOICE] = "choice",
    [SL_OPTION_FILE] = "file",
    [SL_OPTION_SECRET_FILE] = "secret_file",
};

bool
sl_option_is_secret(const struct sl_option *o)
{
    return o->kind == SL_OPTION_SECRET || o->kind == SL_OPTION_SECRET_FILE;
}

bool
sl_option_is_file(const struct sl_option *o)
{
    return o->kind == SL_OPTION_FILE || o->kind == SL_OPTION_SECRET_FILE;
}

const struct sl_option *
sl_option_find(const struct sl_option *table, const char *name)
{
    for (; table != NULL && table->name != NULL; table++)
        if (strcmp(table->name, name) == 0)
            return table;
    return NULL;
}

static bool
is_choice(const char *choices, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = choices; p != NULL; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strncmp(p, word, n) == 0 && (p[n] == '|' || p[n] == '\0'))
            return n > 0;
    return false;
}

/* ---- one value ---- */

static json_t *
int_of(const struct sl_option *o, const json_t *v)
{
    const char *text = json_string_value(v);
    json_int_t n = json_integer_value(v);
    char *end = NULL;

    if (text != NULL) {
        errno = 0;
        n = strtoll(text, &end, 10);
        if (errno || end == text || *end)
            return NULL;
    } else if (!json_is_integer(v)) {
        return NULL;
    }
    return n >= o->least && n <= o->most ? json_integer(n) : NULL;
}

static json_t *
bool_of(const json_t *v)
{
    const char *text = json_string_value(v);

    if (json_is_boolean(v))
        return json_boolean(json_is_true(v));
    if (text != NULL && strcmp(text, "true") == 0)
        return json_true();
    return text != NULL && strcmp(text, "false") == 0 ? json_false() : NULL;
}

static json_t *
text_of(const struct sl_option *o, const json_t *v)
{
    const char *text = json_string_value(v);
    size_t len = json_string_length(v);

    if (text == NULL || len > SL_OPTION_MAX || memchr(text, 0, len) != NULL)
        return NULL;
    if (!sl_option_is_file(o))
        for (size_t i = 0; i < len; i++)
            if ((unsigned char)text[i] < 0x20)
                return NULL;
    return json_stringn(text, len);
}

/* In its type; NULL if it is none. A new reference. */
static json_t *
value_of(const struct sl_option *o, const json_t *v)
{
    switch (o->kind) {
    case SL_OPTION_INT:
        return int_of(o, v);
    case SL_OPTION_BOOL:
        return bool_of(v);
    case SL_OPTION_CHOICE:
        return json_is_string(v) && is_choice(o->choices, json_string_value(v))
                   ? json_copy((json_t *)v)
                   : NULL;
    default:
        return text_of(o, v);
    }
}

static sl_rc
bad_value(const struct sl_option *o, const char *prefix, struct sl_err *err)
{
    if (o->kind == SL_OPTION_INT)
        sl_fail(err, SL_E_CONFIG, "%s%s is a whole number from %lld to %lld", prefix, o->name,
                (long long)o->least, (long long)o->most);
    else if (o->kind == SL_OPTION_BOOL)
        sl_fail(err, SL_E_CONFIG, "%s%s is true or false", prefix, o->name);
    else if (o->kind == SL_OPTION_CHOICE)
        sl_fail(err, SL_E_CONFIG, "%s%s is one of: %s", prefix, o->name, o->choices);
    else
        sl_fail(err, SL_E_CONFIG, "%s%s is %s of at most %d bytes", prefix, o->name,
                sl_option_is_file(o) ? "the text of a file" : "one line of text", SL_OPTION_MAX);
    sl_err_path(err, "%s%s", prefix, o->name);
    return SL_E_CONFIG;
}

/* ---- all of them ---- */

static sl_rc
unknown_option(const struct sl_option *table, const char *prefix, const char *name,
               struct sl_err *err)
{
    struct sl_buf names;

    sl_buf_init(&names, 4096);
    for (; table != NULL && table->name != NULL; table++)
        if (names.len < 400)
            sl_buf_addf(&names, "%s%s", names.len ? ", " : "", table->name);
    sl_fail(err, SL_E_CONFIG, "there is no option %s%.60s", prefix, name);
    sl_err_hint(err, "the options are: %s", sl_buf_str(&names));
    sl_err_path(err, "%s%.60s", prefix, name);
    sl_buf_free(&names);
    return SL_E_CONFIG;
}

/* Whether the option is asked for, going by the values there are. */
static bool
is_asked(const struct sl_option *o, const json_t *values)
{
    const char *eq = o->when ? strchr(o->when, '=') : NULL, *now;
    char name[64];

    if (eq == NULL)
        return true;
    snprintf(name, sizeof name, "%.*s", (int)(eq - o->when), o->when);
    now = sl_option(values, name);
    return now != NULL && strcmp(now, eq + 1) == 0;
}

static bool
is_missing(const struct sl_option *o, const json_t *values)
{
    const json_t *v = json_object_get(values, o->name);

    return v == NULL || (json_is_string(v) && json_string_length(v) == 0);
}

static void
fill_in(const struct sl_option *table, json_t *values)
{
    for (const struct sl_option *o = table; o != NULL && o->name != NULL; o++) {
        json_t *text = o->fallback ? json_string(o->fallback) : NULL;

        if (text != NULL && is_missing(o, values))
            json_object_set_new(values, o->name, value_of(o, text));
        json_decref(text);
    }
}

sl_rc
sl_options_check(const struct sl_option *table, const json_t *given, bool all, const char *prefix,
                 json_t **out, struct sl_err *err)
{
    json_t *values = json_object(), *v;
    const char *name;
    sl_rc rc = 0;

    *out = NULL;
    json_object_foreach((json_t *)given, name, v)
    {
        const struct sl_option *o = sl_option_find(table, name);
        json_t *made = o != NULL && !json_is_null(v) ? value_of(o, v) : NULL;

        if (o == NULL)
            rc = unknown_option(table, prefix, name, err);
        else if (made == NULL && !json_is_null(v))
            rc = bad_value(o, prefix, err);
        if (rc)
            break;
        if (made != NULL)
            json_object_set_new(values, name, made);
    }
    if (rc == 0)
        fill_in(table, values);
    for (const struct sl_option *o = table; rc == 0 && all && o != NULL && o->name != NULL; o++)
        if (o->required && is_asked(o, values) && is_missing(o, values)) {
            rc = sl_fail(err, SL_E_CONFIG, "%s%s is missing: %s", prefix, o->name, o->help);
            sl_err_path(err, "%s%s", prefix, o->name);
        }
    if (rc)
        json_decref(values);
    else
        *out = values;
    return rc;
}

json_t *
sl_options_masked(const struct sl_option *table, const json_t *values)
{
    json_t *shown = json_object(), *v;
    const char *name;

    json_object_foreach((json_t *)values, name, v)
    {
        const struct sl_option *o = sl_option_find(table, name);

        /* What the table does not know could be a secret of another version. */
        if (o == NULL || sl_option_is_secret(o))
            json_object_set_new(shown, name, json_string(SL_OPTION_MASK));
        else
            json_object_set(shown, name, v);
    }
    return shown;
}

static json_t *
choices_of(const char *choices)
{
    json_t *list = json_array();

    for (const char *p = choices; p != NULL; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        json_array_append_new(list, json_stringn(p, strcspn(p, "|")));
    return list;
}

json_t *
sl_options_describe(const struct sl_option *table)
{
    json_t *list = json_array();

    for (const struct sl_option *o = table; o != NULL && o->name != NULL; o++) {
        json_t *one = json_pack("{s:s, s:s, s:b, s:b, s:s, s:s, s:s?, s:s?, s:s?}", "name", o->name,
                                "kind", kind_names[o->kind], "required", (int)o->required, "secret",
                                (int)sl_option_is_secret(o), "label", o->label, "description",
                                o->help, "default", o->fallback, "placeholder", o->placeholder,
                                "when", o->when);

        if (o->kind == SL_OPTION_CHOICE)
            json_object_set_new(one, "choices", choices_of(o->choices));
        if (o->kind == SL_OPTION_INT) {
            json_object_set_new(one, "minimum", json_integer(o->least));
            json_object_set_new(one, "maximum", json_integer(o->most));
        }
        json_array_append_new(list, one);
    }
    return list;
}

/* ---- reading ---- */

const char *
sl_option(const json_t *values, const char *name)
{
    const char *text = json_string_value(json_object_get(values, name));

    return text != NULL && *text ? text : NULL;
}

int64_t
sl_option_int(const json_t *values, const char *name)
{
    return json_integer_value(json_object_get(values, name));
}

bool
sl_option_bool(const json_t *values, const char *name)
{
    return json_is_true(json_object_get(values, name));
}

/* ---- a destination file ---- */

/* The text of the file that "@name" says. */
static json_t *
text_of_file(const char *name, const char *folder, struct sl_err *err)
{
    char *path = name[0] == '/' ? sl_strdup(name) : sl_sprintf("%s/%s", folder, name);
    FILE *f = fopen(path, "re");
    char *text = NULL;
    json_t *made = NULL;
    size_t n;

    if (f == NULL) {
        sl_fail_errno(err, "%s", path);
    } else {
        text = sl_alloc(SL_OPTION_MAX + 1);
        n = fread(text, 1, SL_OPTION_MAX + 1, f);
        if (n > SL_OPTION_MAX || !sl_utf8_valid(text, n))
            sl_fail(err, SL_E_CONFIG, "%s is no text of at most %d bytes", path, SL_OPTION_MAX);
        else
            made = json_stringn(text, n);
        fclose(f);
    }
    free(text);
    free(path);
    return made;
}

static sl_rc
read_files(const struct sl_option *table, json_t *values, const char *folder, struct sl_err *err)
{
    for (const struct sl_option *o = table; o != NULL && o->name != NULL; o++) {
        const char *given = json_string_value(json_object_get(values, o->name));
        json_t *text;

        if (!sl_option_is_file(o) || given == NULL || given[0] != '@')
            continue;
        text = text_of_file(given + 1, folder, err);
        if (text == NULL) {
            sl_err_path(err, "%s", o->name);
            return err ? err->code : SL_E_CONFIG;
        }
        json_object_set_new(values, o->name, text);
    }
    return 0;
}

static sl_rc
unknown_type(const char *type, struct sl_err *err)
{
    char names[200] = "";
    const struct sl_dest_ops *ops;

    for (int i = 0; (ops = sl_destination_offered(i)) != NULL; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
                 ops->name);
    if (type != NULL)
        sl_fail(err, SL_E_CONFIG, "there is no destination of type \"%.60s\"", type);
    else
        sl_fail(err, SL_E_CONFIG, "the destination's \"type\" is missing");
    sl_err_hint(err, "the types are: %s", names);
    sl_err_path(err, "type");
    return SL_E_CONFIG;
}

/* A schema of the warehouse's own, or of the bookkeeping, is nobody's to load into. */
static bool
is_schema(const char *name)
{
    if (strncmp(name, "pg_", 3) == 0 || strncmp(name, SL_SCHEMA, strlen(SL_SCHEMA)) == 0 ||
        strcmp(name, "information_schema") == 0 || (*name >= '0' && *name <= '9'))
        return false;
    return *name && strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_") == strlen(name) &&
           strlen(name) <= 40;
}

static sl_rc
take_schema(struct sl_dest_file *out, json_t *root, struct sl_err *err)
{
    const json_t *v = json_object_get(root, "schema");
    sl_rc rc = 0;

    if (v == NULL)
        return 0;
    if (json_is_string(v) && is_schema(json_string_value(v))) {
        out->schema = sl_strdup(json_string_value(v));
    } else {
        rc = sl_fail(err, SL_E_CONFIG,
                     "schema is a name of lower-case letters, digits and _, up to 40");
        sl_err_path(err, "schema");
    }
    json_object_del(root, "schema");
    return rc;
}

sl_rc
sl_dest_file_read(struct sl_dest_file *out, const char *text, size_t len, const char *folder,
                  struct sl_err *err)
{
    json_error_t je;
    json_t *root = json_loadb(text, len, JSON_REJECT_DUPLICATES, &je);
    const char *type = json_string_value(json_object_get(root, "type"));
    const struct sl_dest_ops *ops = type ? sl_destination_find(type) : NULL;
    struct sl_err own;
    sl_rc rc;

    *out = (struct sl_dest_file){ 0 };
    if (err == NULL)
        err = &own;
    if (root == NULL)
        return sl_fail(err, SL_E_CONFIG, "it is not JSON: line %d, column %d: %s", je.line,
                       je.column, je.text);
    if (!json_is_object(root))
        rc = sl_fail(err, SL_E_CONFIG, "it is not a JSON object");
    else if (ops == NULL || ops->title == NULL)
        rc = unknown_type(type, err);
    else
        rc = read_files(ops->options, root, folder, err);
    if (rc == 0)
        rc = take_schema(out, root, err);
    if (rc == 0) {
        out->type = ops->name;
        json_object_del(root, "type");
        rc = sl_options_check(ops->options, root, true, "", &out->values, err);
    }
    json_decref(root);
    return rc;
}

void
sl_dest_file_free(struct sl_dest_file *file)
{
    free(file->schema);
    json_decref(file->values);
    *file = (struct sl_dest_file){ 0 };
}
