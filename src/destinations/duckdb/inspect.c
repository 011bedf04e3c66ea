#include "destinations/inspect.h"

#include "destinations/duckdb/instance.h"
#include "destinations/duckdb/sql.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct table {
    struct sl_inspect_table pub;
    char *schema, *name;
    struct sl_inspect_column *columns;
};

struct sl_inspect {
    duckdb_database db;         /* our own, or */
    struct sl_instance *joined; /* the sessions' */
    duckdb_connection con;
    struct table *tables;
    struct sl_inspect_table *list;
    int ntables;
    bool ours; /* has the bookkeeping schema */
    char *state;
};

static sl_rc
open_readonly(struct sl_inspect *in, const char *path, struct sl_err *err)
{
    duckdb_config cfg = NULL;
    char *text = NULL;
    sl_rc rc = sl_duck_load(err);

    if (rc)
        return rc;
    duck.create_config(&cfg);
    duck.set_config(cfg, "access_mode", "READ_ONLY");
    duck.set_config(cfg, "threads", "2");
    if (duck.open_ext(path, &in->db, cfg, &text) != DuckDBSuccess) {
        rc = sl_duck_fail(err, text, path);
        if (rc == SL_E_LOCKED)
            sl_instance_explain_lock(err, path, text);
        duck.free(text);
    } else if (duck.connect(in->db, &in->con) != DuckDBSuccess) {
        rc = sl_fail(err, SL_E_DESTINATION, "%s: no connection", path);
    }
    duck.destroy_config(&cfg);
    return rc;
}

static sl_rc
read_columns(struct sl_inspect *in, struct table *t, struct sl_err *err)
{
    static const char key[] = "EXISTS (SELECT 1 FROM _sluice.columns k WHERE k.schema_name = "
                              "c.schema_name AND k.table_name = c.table_name"
                              " AND k.column_name = c.column_name AND k.key_position >= 0)";
    struct sl_stmt st;
    struct sl_query q = { 0 };
    char *full;
    sl_rc rc;

    full = sl_sprintf("SELECT column_name, data_type, %s FROM duckdb_columns() c WHERE schema_name "
                      "= $1 AND table_name = $2"
                      " ORDER BY column_index",
                      in->ours ? key : "false");
    rc = sl_stmt_open(&st, in->con, full, err);
    free(full);
    if (rc)
        return rc;
    sl_bind_text(&st, t->schema);
    sl_bind_text(&st, t->name);
    if (duck.execute_prepared(st.ps, &q.res) != DuckDBSuccess)
        rc = sl_duck_fail(err, duck.result_error(&q.res), "DuckDB");
    q.open = true;
    while (rc == 0 && sl_query_next(&q)) {
        int n = t->pub.ncolumns++;

        t->columns = sl_realloc(t->columns, (size_t)n + 1, sizeof *t->columns);
        t->columns[n].name = sl_query_text(&q, 0);
        t->columns[n].type = sl_query_text(&q, 1);
        t->columns[n].key = sl_query_int(&q, 2) != 0;
    }
    sl_query_close(&q);
    sl_stmt_close(&st);
    t->pub.columns = t->columns;
    return rc;
}

static sl_rc
count_rows(struct sl_inspect *in, struct table *t, struct sl_err *err)
{
    struct sl_buf sql;
    int64_t n;
    bool soft = false;
    sl_rc rc;

    for (int i = 0; i < t->pub.ncolumns; i++)
        soft |= strcmp(t->columns[i].name, SL_COL_DELETED) == 0;
    sl_buf_init(&sql, SIZE_MAX / 4);
    sl_buf_add(&sql, "SELECT count(*) FROM ");
    sl_sql_name(&sql, t->schema);
    sl_buf_add(&sql, ".");
    sl_sql_name(&sql, t->name);
    rc = sl_sql_number(in->con, sl_buf_str(&sql), 0, &n, err);
    t->pub.rows = t->pub.live_rows = (uint64_t)n;
    if (rc == 0 && soft) {
        sl_buf_add(&sql, " WHERE NOT " SL_COL_DELETED);
        rc = sl_sql_number(in->con, sl_buf_str(&sql), 0, &n, err);
        t->pub.live_rows = (uint64_t)n;
    }
    sl_buf_free(&sql);
    return rc;
}

static bool
in_scope(const struct sl_inspect_scope *scope, const struct table *t)
{
    if (scope == NULL)
        return true;
    if (scope->table != NULL && strcmp(scope->table, t->name) != 0)
        return false;
    for (size_t i = 0; i < scope->nschemas; i++)
        if (strcmp(scope->schemas[i], t->schema) == 0)
            return true;
    return scope->schemas == NULL;
}

static sl_rc
read_tables(struct sl_inspect *in, const struct sl_inspect_scope *scope, struct sl_err *err)
{
    struct sl_query q;
    int64_t ours;
    sl_rc rc;

    rc = sl_sql_number(in->con,
                       "SELECT count(*) FROM duckdb_tables() WHERE schema_name = '_sluice' AND "
                       "table_name = 'state'",
                       0, &ours, err);
    in->ours = ours > 0;
    if (rc == 0)
        rc = sl_query_open(&q, in->con,
                           "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name "
                           "<> '_sluice' AND NOT temporary"
                           " ORDER BY schema_name, table_name",
                           NULL, err);
    if (rc)
        return rc;
    while (sl_query_next(&q)) {
        struct table *t, found = { .schema = sl_query_text(&q, 0), .name = sl_query_text(&q, 1) };

        if (!in_scope(scope, &found)) {
            free(found.schema);
            free(found.name);
            continue;
        }
        in->tables = sl_realloc(in->tables, (size_t)in->ntables + 1, sizeof *in->tables);
        t = &in->tables[in->ntables++];
        *t = found;
        t->pub.schema = t->schema;
        t->pub.name = t->name;
    }
    sl_query_close(&q);
    for (int i = 0; i < in->ntables && rc == 0; i++) {
        rc = read_columns(in, &in->tables[i], err);
        if (rc == 0)
            rc = count_rows(in, &in->tables[i], err);
    }
    in->list = sl_zalloc((size_t)in->ntables + 1, sizeof *in->list);
    for (int i = 0; i < in->ntables; i++)
        in->list[i] = in->tables[i].pub;
    return rc;
}

sl_rc
sl_inspect_open(struct sl_inspect **out, const char *path, struct sl_err *err)
{
    struct sl_inspect *in;
    sl_rc rc;

    *out = NULL;
    if (access(path, F_OK) != 0) {
        rc = sl_fail_errno(err, "%s", path);
        sl_err_hint(err, "run `fivetran debug` first: it makes the warehouse");
        return rc;
    }
    in = sl_zalloc(1, sizeof *in);
    rc = open_readonly(in, path, err);
    if (rc == 0)
        rc = read_tables(in, NULL, err);
    if (rc)
        sl_inspect_close(in);
    else
        *out = in;
    return rc;
}

sl_rc
sl_inspect_join(struct sl_inspect **out, const char *path, const char *spill_dir,
                uint64_t memory_limit, const struct sl_inspect_scope *scope, struct sl_err *err)
{
    struct sl_inspect *in;
    sl_rc rc;

    *out = NULL;
    if (access(path, F_OK) != 0)
        return sl_fail_errno(err, "%s", path);
    in = sl_zalloc(1, sizeof *in);
    rc = sl_instance_get(&in->joined,
                         &(struct sl_instance_conf){
                             .path = path, .spill_dir = spill_dir, .memory_limit = memory_limit },
                         err);
    if (rc == 0 && duck.connect(sl_instance_db(in->joined), &in->con) != DuckDBSuccess)
        rc = sl_fail(err, SL_E_DESTINATION, "%s: no connection", path);
    /* One snapshot for all that is asked. */
    if (rc == 0)
        rc = sl_sql_run(in->con, "BEGIN READ ONLY", NULL, err);
    if (rc == 0)
        rc = read_tables(in, scope, err);
    if (rc)
        sl_inspect_close(in);
    else
        *out = in;
    return rc;
}

void
sl_inspect_close(struct sl_inspect *in)
{
    if (in == NULL)
        return;
    for (int i = 0; i < in->ntables; i++) {
        for (int c = 0; c < in->tables[i].pub.ncolumns; c++) {
            free((char *)in->tables[i].columns[c].name);
            free((char *)in->tables[i].columns[c].type);
        }
        free(in->tables[i].columns);
        free(in->tables[i].schema);
        free(in->tables[i].name);
    }
    free(in->tables);
    free(in->list);
    free(in->state);
    if (in->con != NULL)
        duck.disconnect(&in->con);
    if (in->db != NULL)
        duck.close(&in->db);
    sl_instance_put(in->joined);
    free(in);
}

int
sl_inspect_tables(struct sl_inspect *in, const struct sl_inspect_table **tables)
{
    *tables = in->list;
    return in->ntables;
}

sl_rc
sl_inspect_rows(struct sl_inspect *in, int i, int limit, sl_inspect_row fn, void *ctx,
                struct sl_err *err)
{
    const struct table *t = &in->tables[i];
    char **cells = sl_zalloc((size_t)t->pub.ncolumns, sizeof *cells);
    struct sl_query q = { 0 };
    struct sl_buf sql;
    bool on = true;
    sl_rc rc;

    sl_buf_init(&sql, SIZE_MAX / 4);
    sl_buf_add(&sql, "SELECT ");
    for (int c = 0; c < t->pub.ncolumns; c++) {
        sl_buf_add(&sql, c ? ", CAST(" : "CAST(");
        sl_sql_name(&sql, t->columns[c].name);
        sl_buf_add(&sql, " AS VARCHAR)");
    }
    sl_buf_add(&sql, " FROM ");
    sl_sql_name(&sql, t->schema);
    sl_buf_add(&sql, ".");
    sl_sql_name(&sql, t->name);
    sl_buf_addf(&sql, " LIMIT %d", limit);
    rc = sl_query_open(&q, in->con, sl_buf_str(&sql), NULL, err);
    while (rc == 0 && on && sl_query_next(&q)) {
        for (int c = 0; c < t->pub.ncolumns; c++)
            cells[c] = sl_query_text(&q, c);
        on = fn(ctx, t->pub.ncolumns, (const char *const *)cells);
        for (int c = 0; c < t->pub.ncolumns; c++)
            free(cells[c]);
    }
    if (rc == 0)
        sl_query_close(&q);
    sl_buf_free(&sql);
    free(cells);
    return rc;
}

const char *
sl_inspect_state(struct sl_inspect *in, const char *connection)
{
    struct sl_err ignored;
    struct sl_query q;

    if (!in->ours ||
        sl_query_open(&q, in->con, "SELECT state FROM _sluice.state WHERE connection = $1",
                      connection, &ignored))
        return NULL;
    free(in->state);
    in->state = sl_query_next(&q) ? sl_query_text(&q, 0) : NULL;
    sl_query_close(&q);
    return in->state;
}
