#include "worker/answer.h"

#include "base/buf.h"
#include "base/text.h"
#include "destinations/inspect.h"
#include "runtime/file.h"

#include <stdlib.h>
#include <string.h>

#define ROWS_MAX 1000
#define CELL_MAX 1000

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

/* At most CELL_MAX bytes, whole characters. */
static json_t *
cell_json(const char *text)
{
    size_t len = strlen(text);

    if (len > CELL_MAX)
        for (len = CELL_MAX; len > 0 && ((unsigned char)text[len] & 0xC0) == 0x80;)
            len--;
    return json_stringn(text, len);
}

static bool
take_row(void *ctx, int ncells, const char *const *cells)
{
    json_t *row = json_array();

    for (int i = 0; i < ncells; i++)
        json_array_append_new(row, cells[i] ? cell_json(cells[i]) : json_null());
    json_array_append_new(ctx, row);
    return true;
}

static sl_rc
rows_json(struct sl_inspect *in, const json_t *request, json_t **answer, struct sl_err *err)
{
    json_int_t limit = json_integer_value(json_object_get(request, "limit"));
    const struct sl_inspect_table *t;
    json_t *rows, *names;
    sl_rc rc;

    if (sl_inspect_tables(in, &t) == 0)
        return sl_fail(err, SL_E_NOT_FOUND, "there is no table %s.%s", text_of(request, "schema"),
                       text_of(request, "table"));
    rows = json_array();
    rc = sl_inspect_rows(in, 0, limit < 0 || limit > ROWS_MAX ? ROWS_MAX : (int)limit, take_row,
                         rows, err);
    if (rc) {
        json_decref(rows);
        return rc;
    }
    names = json_array();
    for (int i = 0; i < t[0].ncolumns; i++)
        json_array_append_new(names, json_string(t[0].columns[i].name));
    *answer = json_pack("{s:o, s:o}", "columns", names, "rows", rows);
    return 0;
}

/* The schemas asked for; "rows" asks for one. */
static sl_rc
read_scope(const json_t *request, bool rows, struct sl_inspect_scope *scope, const char ***schemas,
           struct sl_err *err)
{
    const json_t *list = json_object_get(request, "schemas");
    size_t n = json_array_size(list);

    *schemas = sl_zalloc(n + 1, sizeof **schemas);
    if (rows) {
        (*schemas)[0] = text_of(request, "schema");
        *scope = (struct sl_inspect_scope){ *schemas, 1, text_of(request, "table") };
        return (*schemas)[0] && scope->table
                   ? 0
                   : sl_fail(err, SL_E_USAGE, "\"rows\" needs a schema and a table");
    }
    *scope = (struct sl_inspect_scope){ json_is_array(list) ? *schemas : NULL, n, NULL };
    for (size_t i = 0; i < n; i++) {
        (*schemas)[i] = json_string_value(json_array_get(list, i));
        if ((*schemas)[i] == NULL)
            return sl_fail(err, SL_E_USAGE, "\"schemas\" is a list of names");
    }
    return 0;
}

sl_rc
sl_answer(const json_t *request, json_t **answer, struct sl_err *err)
{
    const char *what = text_of(request, "what"), *location = text_of(request, "location"),
               *destination = text_of(request, "destination"), **schemas = NULL;
    uint64_t memory = (uint64_t)json_integer_value(json_object_get(request, "memory_limit"));
    struct sl_inspect_scope scope;
    struct sl_inspect *in = NULL;
    bool rows = what != NULL && strcmp(what, "rows") == 0;
    char *dir;
    sl_rc rc;

    if (!rows && (what == NULL || strcmp(what, "tables") != 0))
        return sl_fail(err, SL_E_USAGE, "\"what\" is \"tables\" or \"rows\"");
    if (destination == NULL || strcmp(destination, "duckdb") != 0 || location == NULL)
        return sl_fail(err, SL_E_USAGE, "destination %s cannot be looked into",
                       destination ? destination : "(none)");
    rc = read_scope(request, rows, &scope, &schemas, err);
    dir = sl_path_dir(location);
    if (rc == 0)
        rc = sl_inspect_join(&in, location, dir, memory, &scope, err);
    if (rc == 0 && rows)
        rc = rows_json(in, request, answer, err);
    else if (rc == 0)
        *answer = tables_json(in);
    sl_inspect_close(in);
    free(dir);
    free(schemas);
    return rc;
}
