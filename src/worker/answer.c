#include "worker/answer.h"

#include "base/buf.h"
#include "base/text.h"
#include "destinations/inspect.h"
#include "runtime/file.h"

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
        json_array_append_new(list, json_pack("{s:s, s:s, s:I, s:I, s:o}", "schema", t[i].schema,
                                              "table", t[i].name, "rows", (json_int_t)t[i].rows,
                                              "live_rows", (json_int_t)t[i].live_rows, "columns",
                                              columns_json(&t[i])));
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
    *answer = json_pack("{s:o, s:o, s:I, s:I}", "columns", columns_json(t), "rows", rows.list,
                        "total_rows", (json_int_t)t->rows, "live_rows", (json_int_t)t->live_rows);
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

sl_rc
sl_answer(const json_t *request, json_t **answer, struct sl_err *err)
{
    const char *what = text_of(request, "what"), *location = text_of(request, "location"),
               *destination = text_of(request, "destination"), **schemas = NULL, **tables = NULL;
    uint64_t memory = (uint64_t)json_integer_value(json_object_get(request, "memory_limit"));
    struct sl_inspect_scope scope = { .nschemas = 1, .ntables = 1, .cell_max = CELL_MAX };
    struct sl_inspect *in = NULL;
    bool rows = what != NULL && strcmp(what, "rows") == 0;
    char *dir;
    sl_rc rc;

    if (!rows && (what == NULL || strcmp(what, "tables") != 0))
        return sl_fail(err, SL_E_USAGE, "\"what\" is \"tables\" or \"rows\"");
    if (destination == NULL || strcmp(destination, "duckdb") != 0 || location == NULL)
        return sl_fail(err, SL_E_USAGE, "destination %s cannot be looked into",
                       destination ? destination : "(none)");
    dir = sl_path_dir(location);
    if (rows)
        rc = read_one(request, &schemas, &tables, err);
    else
        rc = read_names(request, "schemas", &schemas, &scope.nschemas, err);
    if (rc == 0 && !rows)
        rc = read_names(request, "tables", &tables, &scope.ntables, err);
    scope.schemas = schemas;
    scope.tables = tables;
    if (rc == 0)
        rc = sl_inspect_join(&in, location, dir, memory, &scope, err);
    if (rc == 0 && rows)
        rc = rows_json(in, request, answer, err);
    else if (rc == 0)
        *answer = tables_json(in);
    sl_inspect_close(in);
    free(dir);
    free(schemas);
    free(tables);
    return rc;
}
