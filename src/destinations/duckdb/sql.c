#include "destinations/duckdb/sql.h"

#include <stdlib.h>

static const struct {
    const char *sql;
    duckdb_type type;
} types[SL_T_COUNT] = {
    [SL_T_BOOLEAN] = { "BOOLEAN", DUCKDB_TYPE_BOOLEAN },
    [SL_T_SHORT] = { "SMALLINT", DUCKDB_TYPE_SMALLINT },
    [SL_T_INT] = { "INTEGER", DUCKDB_TYPE_INTEGER },
    [SL_T_LONG] = { "BIGINT", DUCKDB_TYPE_BIGINT },
    [SL_T_DECIMAL] = { "DECIMAL", DUCKDB_TYPE_DECIMAL },
    [SL_T_FLOAT] = { "FLOAT", DUCKDB_TYPE_FLOAT },
    [SL_T_DOUBLE] = { "DOUBLE", DUCKDB_TYPE_DOUBLE },
    [SL_T_NAIVE_DATE] = { "DATE", DUCKDB_TYPE_DATE },
    [SL_T_NAIVE_DATETIME] = { "TIMESTAMP", DUCKDB_TYPE_TIMESTAMP },
    [SL_T_UTC_DATETIME] = { "TIMESTAMP WITH TIME ZONE", DUCKDB_TYPE_TIMESTAMP_TZ },
    [SL_T_BINARY] = { "BLOB", DUCKDB_TYPE_BLOB },
    [SL_T_XML] = { "VARCHAR", DUCKDB_TYPE_VARCHAR },
    [SL_T_STRING] = { "VARCHAR", DUCKDB_TYPE_VARCHAR },
    [SL_T_JSON] = { "JSON", DUCKDB_TYPE_VARCHAR },
};

void
sl_sql_name(struct sl_buf *sql, const char *name)
{
    sl_buf_add(sql, "\"");
    for (; *name; name++) {
        if (*name == '"')
            sl_buf_add(sql, "\"");
        sl_buf_addn(sql, name, 1);
    }
    sl_buf_add(sql, "\"");
}

void
sl_sql_table(struct sl_buf *sql, const struct sl_table *t)
{
    sl_sql_name(sql, t->schema);
    sl_buf_add(sql, ".");
    sl_sql_name(sql, t->name);
}

char *
sl_sql_type(struct sl_coltype t, char out[32])
{
    if (t.type == SL_T_DECIMAL)
        snprintf(out, 32, "DECIMAL(%u,%u)", t.precision, t.scale);
    else
        snprintf(out, 32, "%s", types[t.type].sql);
    return out;
}

duckdb_type
sl_duck_type(enum sl_type t)
{
    return types[t].type;
}

bool
sl_sql_type_is(struct sl_coltype t, const char *printed)
{
    char sql[32];

    return strcmp(sl_sql_type(t, sql), printed) == 0;
}

/* What to do about the texts DuckDB is known to answer with. First match wins. */
static const struct {
    const char *has;
    sl_rc code;
    const char *hint;
} known[] = {
    { "Could not set lock on file", SL_E_LOCKED,
      "close the program that has it open and run this again" },
    { "Out of Memory Error", SL_E_NOMEM,
      "nothing was committed; raise the limit with --memory-limit 1GB (or SLUICE_MEMORY=1GB)" },
    { "failed to pin block", SL_E_NOMEM,
      "nothing was committed; raise the limit with --memory-limit 1GB (or SLUICE_MEMORY=1GB)" },
    { "No space left on device", SL_E_DISK_FULL,
      "free some space on this disk and run it again; nothing was lost" },
    { "Disk quota exceeded", SL_E_DISK_FULL,
      "free some space on this disk and run it again; nothing was lost" },
    { "Read-only file system", SL_E_PERMISSION, "the folder of the warehouse must be writable" },
    { "Permission denied", SL_E_PERMISSION,
      "the folder and the file of the warehouse must be writable by you" },
    { "can only read version", SL_E_CONFIG,
      "the file was made by a newer DuckDB; move it away (or `fivetran reset`), or write it again "
      "with DuckDB " SL_DUCKDB_VERSION },
    { "newer version of DuckDB", SL_E_CONFIG,
      "the file was made by a newer DuckDB; move it away (or `fivetran reset`), or write it again "
      "with DuckDB " SL_DUCKDB_VERSION },
    { "Corrupt database file", SL_E_CONFIG,
      "the file is damaged; put a copy back, or `fivetran reset` and load it anew" },
    { "not a valid DuckDB database file", SL_E_CONFIG,
      "the file is something else or damaged; move it away and run this again" },
    { "Transaction conflict", SL_E_RETRY, "" },
};

sl_rc
sl_duck_fail(struct sl_err *err, const char *text, const char *doing)
{
    int n;

    if (text == NULL)
        text = "no reason given";
    /* DuckDB appends advice and links on further lines; its first line says what happened. */
    n = (int)strcspn(text, "\n");
    if (n > 700)
        n = 700;
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        if (strstr(text, known[i].has) != NULL) {
            sl_fail(err, known[i].code, "%s: %.*s", doing, n, text);
            sl_err_hint(err, "%s", known[i].hint);
            return known[i].code;
        }
    return sl_fail(err, SL_E_DESTINATION, "%s: %.*s", doing, n, text);
}

sl_rc
sl_sql_run(duckdb_connection con, const char *sql, uint64_t *changed, struct sl_err *err)
{
    duckdb_result res;
    sl_rc rc = 0;

    if (duck.query(con, sql, &res) != DuckDBSuccess)
        rc = sl_duck_fail(err, duck.result_error(&res), "DuckDB");
    else if (changed != NULL)
        *changed = duck.rows_changed(&res);
    duck.destroy_result(&res);
    return rc;
}

void
sl_sql_try(duckdb_connection con, const char *sql)
{
    struct sl_err ignored;

    if (sl_sql_run(con, sql, NULL, &ignored))
        return;
}

sl_rc
sl_query_open(struct sl_query *q, duckdb_connection con, const char *sql, const char *param,
              struct sl_err *err)
{
    struct sl_stmt st;
    sl_rc rc;

    *q = (struct sl_query){ 0 };
    if (param == NULL) {
        if (duck.query(con, sql, &q->res) != DuckDBSuccess) {
            rc = sl_duck_fail(err, duck.result_error(&q->res), "DuckDB");
            duck.destroy_result(&q->res);
            return rc;
        }
        q->open = true;
        return 0;
    }
    rc = sl_stmt_open(&st, con, sql, err);
    if (rc)
        return rc;
    sl_bind_text(&st, param);
    if (duck.execute_prepared(st.ps, &q->res) != DuckDBSuccess) {
        rc = sl_duck_fail(err, duck.result_error(&q->res), "DuckDB");
        duck.destroy_result(&q->res);
    } else {
        q->open = true;
    }
    sl_stmt_close(&st);
    return rc;
}

bool
sl_query_next(struct sl_query *q)
{
    if (q->chunk != NULL && ++q->row < q->rows)
        return true;
    if (q->chunk != NULL)
        duck.destroy_data_chunk(&q->chunk);
    q->chunk = duck.fetch_chunk(q->res);
    q->row = 0;
    q->rows = q->chunk ? duck.data_chunk_get_size(q->chunk) : 0;
    return q->rows > 0;
}

static bool
is_null(duckdb_vector v, idx_t row)
{
    uint64_t *valid = duck.vector_get_validity(v);

    return valid != NULL && !(valid[row / 64] >> (row % 64) & 1);
}

char *
sl_query_text(struct sl_query *q, int col)
{
    duckdb_vector v = duck.data_chunk_get_vector(q->chunk, (idx_t)col);
    duckdb_string_t *s = (duckdb_string_t *)duck.vector_get_data(v) + q->row;

    if (is_null(v, q->row))
        return NULL;
    if (s->value.inlined.length <= 12)
        return sl_memdup(s->value.inlined.inlined, s->value.inlined.length);
    return sl_memdup(s->value.pointer.ptr, s->value.pointer.length);
}

int64_t
sl_query_int(struct sl_query *q, int col)
{
    duckdb_vector v = duck.data_chunk_get_vector(q->chunk, (idx_t)col);
    void *data = duck.vector_get_data(v);

    if (is_null(v, q->row))
        return 0;
    switch (duck.column_type(&q->res, (idx_t)col)) {
    case DUCKDB_TYPE_BOOLEAN:
        return ((bool *)data)[q->row];
    case DUCKDB_TYPE_INTEGER:
        return ((int32_t *)data)[q->row];
    default:
        return ((int64_t *)data)[q->row];
    }
}

void
sl_query_close(struct sl_query *q)
{
    if (q->chunk != NULL)
        duck.destroy_data_chunk(&q->chunk);
    if (q->open)
        duck.destroy_result(&q->res);
    *q = (struct sl_query){ 0 };
}

sl_rc
sl_sql_number(duckdb_connection con, const char *sql, int64_t none, int64_t *out,
              struct sl_err *err)
{
    struct sl_query q;
    sl_rc rc = sl_query_open(&q, con, sql, NULL, err);

    *out = none;
    if (rc)
        return rc;
    if (sl_query_next(&q) && !is_null(duck.data_chunk_get_vector(q.chunk, 0), 0))
        *out = sl_query_int(&q, 0);
    sl_query_close(&q);
    return 0;
}

sl_rc
sl_stmt_open(struct sl_stmt *st, duckdb_connection con, const char *sql, struct sl_err *err)
{
    sl_rc rc = 0;

    *st = (struct sl_stmt){ .next = 1 };
    if (duck.prepare(con, sql, &st->ps) != DuckDBSuccess) {
        rc = sl_duck_fail(err, duck.prepare_error(st->ps), "DuckDB");
        sl_stmt_close(st);
    }
    return rc;
}

void
sl_bind_textn(struct sl_stmt *st, const char *text, size_t len)
{
    st->failed |= duck.bind_varchar_length(st->ps, st->next++, text, len) != DuckDBSuccess;
}

void
sl_bind_text(struct sl_stmt *st, const char *text)
{
    if (text == NULL)
        st->failed |= duck.bind_null(st->ps, st->next++) != DuckDBSuccess;
    else
        sl_bind_textn(st, text, strlen(text));
}

void
sl_bind_int(struct sl_stmt *st, int64_t v)
{
    st->failed |= duck.bind_int64(st->ps, st->next++, v) != DuckDBSuccess;
}

void
sl_bind_bool(struct sl_stmt *st, bool v)
{
    st->failed |= duck.bind_boolean(st->ps, st->next++, v) != DuckDBSuccess;
}

sl_rc
sl_stmt_run(struct sl_stmt *st, struct sl_err *err)
{
    duckdb_result res;
    sl_rc rc = 0;

    if (st->failed)
        return sl_fail(err, SL_E_INTERNAL, "a parameter could not be bound");
    if (duck.execute_prepared(st->ps, &res) != DuckDBSuccess)
        rc = sl_duck_fail(err, duck.result_error(&res), "DuckDB");
    duck.destroy_result(&res);
    st->next = 1;
    return rc;
}

void
sl_stmt_close(struct sl_stmt *st)
{
    if (st->ps != NULL)
        duck.destroy_prepare(&st->ps);
    st->ps = NULL;
}
