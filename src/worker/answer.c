#include "worker/answer.h"

#include "base/text.h"
#include "destinations/destination.h"
#include "destinations/inspect.h"
#include "runtime/file.h"
#include "worker/message.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 1000
/* Characters of a cell, and bytes of all rows together: enough to look at, and an answer that a page can hold. */
#define CELL_MAX 1000
#define BYTES_MAX ((size_t)1 << 20)

struct rows {
    json_t *list;
    size_t bytes;
};

static const char *
text_of(const json_t *o, const char *key)
{
    return json_string_value(json_object_get(o, key));
}

static bool
is_known(const char *what)
{
    return strcmp(what, "tables") == 0 || strcmp(what, "rows") == 0 || strcmp(what, "test") == 0;
}

static json_t *
columns_json(const struct sl_inspect_table *t)
{
    json_t *list = json_array();

    for (int i = 0; i < t->ncolumns; i++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:b}", "name", t->columns[i].name, "type",
                                              t->columns[i].type, "key", (int)t->columns[i].key));
    return list;
}

static json_t *
tables_json(struct sl_inspect *in)
{
    const struct sl_inspect_table *t;
    json_t *list = json_array();
    int n = sl_inspect_tables(in, &t);

    for (int i = 0; i < n; i++)
        json_array_append_new(list,
                              json_pack("{s:s, s:s, s:I, s:I, s:b, s:o}", "schema", t[i].schema,
                                        "table", t[i].name, "rows", (json_int_t)t[i].rows,
                                        "live_rows", (json_int_t)t[i].live_rows, "estimated",
                                        (int)t[i].estimated, "columns", columns_json(&t[i])));
    return json_pack("{s:o}", "tables", list);
}

static bool
take_row(void *ctx, int ncells, const char *const *cells)
{
    struct rows *rows = ctx;
    json_t *row = json_array();

    for (int i = 0; i < ncells; i++) {
        json_array_append_new(row, cells[i] ? json_string(cells[i]) : json_null());
        rows->bytes += cells[i] ? strlen(cells[i]) : 4;
    }
    json_array_append_new(rows->list, row);
    return rows->bytes < BYTES_MAX;
}

static sl_rc
rows_json(struct sl_inspect *in, const json_t *request, json_t **answer, struct sl_err *err)
{
    json_int_t limit = json_integer_value(json_object_get(request, "limit"));
    const struct sl_inspect_table *t;
    struct rows rows = { 0 };
    sl_rc rc;

    if (sl_inspect_tables(in, &t) == 0)
        return sl_fail(err, SL_E_NOT_FOUND, "there is no table %s.%s", text_of(request, "schema"),
                       text_of(request, "table"));
    rows.list = json_array();
    rc = sl_inspect_rows(in, 0, limit < 0 || limit > ROWS_MAX ? ROWS_MAX : (int)limit, take_row,
                         &rows, err);
    if (rc) {
        json_decref(rows.list);
        return rc;
    }
    *answer = json_pack("{s:o, s:o, s:I, s:I, s:b}", "columns", columns_json(t), "rows", rows.list,
                        "total_rows", (json_int_t)t->rows, "live_rows", (json_int_t)t->live_rows,
                        "estimated", (int)t->estimated);
    return 0;
}

/* A list of names; *names stays NULL when the request has none, which means all. */
static sl_rc
read_names(const json_t *request, const char *key, const char ***names, size_t *n,
           struct sl_err *err)
{
    const json_t *list = json_object_get(request, key);

    if (!json_is_array(list))
        return SL_OK;
    *n = json_array_size(list);
    *names = sl_zalloc(*n + 1, sizeof **names);
    for (size_t i = 0; i < *n; i++) {
        (*names)[i] = json_string_value(json_array_get(list, i));
        if ((*names)[i] == NULL)
            return sl_fail(err, SL_E_USAGE, "\"%s\" is a list of names", key);
    }
    return SL_OK;
}

/* What "rows" asks for: one table. */
static sl_rc
read_one(const json_t *request, const char ***schemas, const char ***tables, struct sl_err *err)
{
    *schemas = sl_zalloc(1, sizeof **schemas);
    *tables = sl_zalloc(1, sizeof **tables);
    (*schemas)[0] = text_of(request, "schema");
    (*tables)[0] = text_of(request, "table");
    return (*schemas)[0] != NULL && (*tables)[0] != NULL
               ? SL_OK
               : sl_fail(err, SL_E_USAGE, "\"rows\" needs a schema and a table");
}

static sl_rc
look(const struct sl_dest_ops *ops, const struct sl_dest_conf *conf, const json_t *request,
     json_t **answer, struct sl_err *err)
{
    struct sl_inspect_scope scope = { .nschemas = 1, .ntables = 1, .cell_max = CELL_MAX };
    const char **schemas = NULL, **tables = NULL;
    struct sl_inspect *in = NULL;
    bool rows = strcmp(text_of(request, "what"), "rows") == 0;
    sl_rc rc;

    if (ops->inspect == NULL)
        return sl_fail(err, SL_E_USAGE, "destination %s cannot be looked into", ops->name);
    if (rows)
        rc = read_one(request, &schemas, &tables, err);
    else
        rc = read_names(request, "schemas", &schemas, &scope.nschemas, err);
    if (rc == 0 && !rows)
        rc = read_names(request, "tables", &tables, &scope.ntables, err);
    scope.schemas = schemas;
    scope.tables = tables;
    if (rc == 0)
        rc = ops->inspect(&in, conf, &scope, err);
    if (rc == 0 && rows)
        rc = rows_json(in, request, answer, err);
    else if (rc == 0)
        *answer = tables_json(in);
    sl_inspect_close(in);
    free(schemas);
    free(tables);
    return rc;
}

static sl_rc
test(const struct sl_dest_ops *ops, const struct sl_dest_conf *conf, json_t **answer,
     struct sl_err *err)
{
    struct sl_tests tests = { 0 };
    json_t *list;

    if (ops->test == NULL)
        return sl_fail(err, SL_E_USAGE, "destination %s has no tests of its own", ops->name);
    ops->test(conf, &tests);
    list = json_array();
    for (size_t i = 0; i < tests.count; i++) {
        const struct sl_test *t = &tests.list[i];

        json_array_append_new(list, json_pack("{s:s, s:b, s:o, s:o}", "name", t->name, "passed",
                                              t->err.code == 0, "message",
                                              sl_json_text(t->err.code ? t->err.text : ""), "hint",
                                              sl_json_text(t->err.code ? t->err.hint : "")));
    }
    *answer = json_pack("{s:o}", "tests", list);
    return 0;
}

/* Checked once more: what comes from a store may be of an older version. */
static sl_rc
read_options(const struct sl_dest_ops *ops, struct sl_bytes text, json_t **options,
             struct sl_err *err)
{
    json_t *given;
    sl_rc rc;

    if (text.ptr == NULL)
        return 0;
    given = json_loadb(text.ptr, text.len, 0, NULL);
    rc = json_is_object(given) ? sl_options_check(ops->options, given, true, "", options, err)
                               : sl_fail(err, SL_E_CONFIG, "the destination's options are no JSON");
    json_decref(given);
    return rc;
}

sl_rc
sl_answer(const json_t *request, struct sl_bytes options, const atomic_int *stop, json_t **answer,
          struct sl_err *err)
{
    const char *what = text_of(request, "what"), *location = text_of(request, "location"),
               *destination = text_of(request, "destination");
    const struct sl_dest_ops *ops = destination ? sl_destination_find(destination) : NULL;
    struct sl_dest_conf conf = {
        .location = location,
        .stop = stop,
        .memory_limit = (uint64_t)json_integer_value(json_object_get(request, "memory_limit")),
    };
    json_t *values = NULL;
    char *dir;
    sl_rc rc;

    if (what == NULL || !is_known(what))
        return sl_fail(err, SL_E_USAGE, "\"what\" is \"tables\", \"rows\" or \"test\"");
    if (ops == NULL || (location == NULL && options.ptr == NULL))
        return sl_fail(err, SL_E_USAGE, "destination %s cannot be looked into",
                       destination ? destination : "(none)");
    dir = location ? sl_path_dir(location) : NULL;
    conf.spill_dir = dir;
    rc = read_options(ops, options, &values, err);
    conf.options = values;
    if (rc == 0)
        rc = strcmp(what, "test") == 0 ? test(ops, &conf, answer, err)
                                       : look(ops, &conf, request, answer, err);
    json_decref(values);
    free(dir);
    return rc;
}
