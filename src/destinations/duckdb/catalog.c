/* The bookkeeping of a warehouse file: tables, columns, states. Written in the transaction that it describes. */
#include "base/time.h"
#include "destinations/duckdb/duckdb_dest.h"

#include <stdlib.h>

/* States kept for rewinding. */
#define HISTORY "50"

static const char bootstrap[] =
    "CREATE SCHEMA IF NOT EXISTS _sluice;"
    "CREATE TABLE IF NOT EXISTS _sluice.meta(key VARCHAR, value VARCHAR);"
    "CREATE TABLE IF NOT EXISTS _sluice.tables(connection VARCHAR, source_schema VARCHAR, "
    "source_table VARCHAR,"
    " schema_name VARCHAR, table_name VARCHAR, keyless BOOLEAN);"
    "CREATE TABLE IF NOT EXISTS _sluice.columns(connection VARCHAR, schema_name VARCHAR, "
    "table_name VARCHAR,"
    " position BIGINT, source_name VARCHAR, column_name VARCHAR, type VARCHAR, \"precision\" "
    "BIGINT, scale BIGINT,"
    " declared BOOLEAN, key_position BIGINT, row_name VARCHAR);"
    "CREATE TABLE IF NOT EXISTS _sluice.state(connection VARCHAR, state VARCHAR, batch VARCHAR, "
    "mirrors VARCHAR,"
    " partial BOOLEAN, committed_at TIMESTAMPTZ);"
    "CREATE TABLE IF NOT EXISTS _sluice.state_history(connection VARCHAR, number BIGINT, state "
    "VARCHAR, batch VARCHAR,"
    " committed_at TIMESTAMPTZ);"
    "INSERT INTO _sluice.meta SELECT 'format', '1' WHERE NOT EXISTS (FROM _sluice.meta WHERE key = "
    "'format');";

sl_rc
sl_duckdb_bootstrap(struct sl_duckdb *d, struct sl_err *err)
{
    static const char query[] = "SELECT value::BIGINT FROM _sluice.meta WHERE key = 'format'";
    struct sl_err absent = { 0 };
    int64_t format = 0;
    sl_rc rc = sl_sql_number(d->con, query, 0, &format, &absent);

    /* Asking for it is cheaper than asking whether it is there. */
    if (rc && strstr(absent.text, "does not exist") != NULL) {
        rc = sl_sql_run(d->con, "BEGIN", NULL, err);
        if (rc == 0)
            rc = sl_sql_run(d->con, bootstrap, NULL, err);
        if (rc == 0)
            return sl_sql_run(d->con, "COMMIT", NULL, err);
        sl_sql_try(d->con, "ROLLBACK");
        return rc;
    }
    if (rc) {
        *err = absent;
    } else if (format != 1) {
        rc = sl_fail(
            err, SL_E_CONFIG,
            "%s was written by a newer version (bookkeeping format %lld, this one knows 1)",
            d->path, (long long)format);
        sl_err_hint(err, "upgrade: pip install --upgrade fivetran-connector-sdk");
    }
    return rc;
}

static void
load_column(struct sl_table *t, struct sl_query *q)
{
    struct sl_coltype type = { 0 };
    char *source = sl_query_text(q, 2), *name = sl_query_text(q, 3), *word = sl_query_text(q, 4),
         *row_name = sl_query_text(q, 9);
    int i;

    if (!sl_type_parse(word, strlen(word), &type.type))
        type.type = SL_T_NONE;
    type.precision = (uint8_t)sl_query_int(q, 5);
    type.scale = (uint8_t)sl_query_int(q, 6);
    i = sl_table_restore(t, source, row_name, name, type, sl_query_int(q, 7) != 0);
    t->columns[i]->key = (int)sl_query_int(q, 8);
    free(source);
    free(name);
    free(word);
    free(row_name);
}

static sl_rc
load_tables(struct sl_duckdb *d, struct sl_catalog *cat, struct sl_err *err)
{
    struct sl_table *t = NULL;
    struct sl_query q;
    sl_rc rc;

    rc = sl_query_open(
        &q, d->con,
        "SELECT source_schema, source_table, schema_name, table_name, keyless FROM _sluice.tables"
        " WHERE connection = $1 ORDER BY rowid",
        d->connection, err);
    if (rc)
        return rc;
    while (sl_query_next(&q)) {
        char *v[4];

        for (int i = 0; i < 4; i++)
            v[i] = sl_query_text(&q, i);
        t = sl_catalog_restore(cat, v[0], v[1], v[2], v[3]);
        t->keyless = sl_query_int(&q, 4) != 0;
        for (int i = 0; i < 4; i++)
            free(v[i]);
    }
    sl_query_close(&q);
    rc = sl_query_open(
        &q, d->con,
        "SELECT c.schema_name, c.table_name, c.source_name, c.column_name, c.type, "
        "c.\"precision\", c.scale,"
        " c.declared, c.key_position, c.row_name FROM _sluice.columns c WHERE connection = $1"
        " ORDER BY schema_name, table_name, position",
        d->connection, err);
    if (rc)
        return rc;
    t = NULL;
    while (sl_query_next(&q)) {
        char *schema = sl_query_text(&q, 0), *name = sl_query_text(&q, 1);

        if (t == NULL || strcmp(t->schema, schema) != 0 || strcmp(t->name, name) != 0) {
            t = NULL;
            for (int i = 0; i < cat->ntables && t == NULL; i++)
                if (strcmp(cat->tables[i]->schema, schema) == 0 &&
                    strcmp(cat->tables[i]->name, name) == 0)
                    t = cat->tables[i];
        }
        if (t != NULL)
            load_column(t, &q);
        free(schema);
        free(name);
    }
    sl_query_close(&q);
    for (int i = 0; i < cat->ntables; i++)
        sl_table_settle_keys(cat->tables[i]);
    return 0;
}

/* A table the user dropped is one to be made again, with the types its columns had. */
static sl_rc
check_present(struct sl_duckdb *d, struct sl_catalog *cat, struct sl_err *err)
{
    struct sl_map there = { 0 };
    struct sl_query q;
    uint32_t seen;
    sl_rc rc = sl_query_open(
        &q, d->con, "SELECT schema_name || chr(0) || table_name FROM duckdb_tables()", NULL, err);

    if (rc)
        return rc;
    while (sl_query_next(&q)) {
        char *name = sl_query_text(&q, 0);

        /* chr(0) keeps the two apart; the length is not strlen's. */
        sl_map_put(&there, name, strlen(name) + 1 + strlen(name + strlen(name) + 1), 1);
        free(name);
    }
    sl_query_close(&q);
    for (int i = 0; i < cat->ntables; i++) {
        struct sl_table *t = cat->tables[i];
        struct sl_buf key;

        sl_buf_init(&key, SIZE_MAX / 4);
        sl_buf_addn(&key, t->schema, strlen(t->schema) + 1);
        sl_buf_add(&key, t->name);
        t->created = sl_map_get(&there, key.ptr, key.len, &seen);
        sl_buf_free(&key);
        for (int c = 0; c < t->ncolumns && !t->created; c++)
            t->columns[c]->type = (struct sl_coltype){ 0 };
    }
    sl_map_free(&there);
    return 0;
}

sl_rc
sl_duckdb_load(struct sl_dest *dest, struct sl_catalog *cat, struct sl_saved_state *state,
               struct sl_err *err)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;
    struct sl_query q;
    sl_rc rc;

    *state = (struct sl_saved_state){ 0 };
    rc = load_tables(d, cat, err);
    if (rc == 0 && cat->ntables > 0)
        rc = check_present(d, cat, err);
    if (rc == 0)
        rc = sl_query_open(
            &q, d->con,
            "SELECT state, batch, mirrors, partial FROM _sluice.state WHERE connection = $1",
            d->connection, err);
    if (rc)
        return rc;
    if (sl_query_next(&q)) {
        state->found = true;
        state->state = sl_query_text(&q, 0);
        state->batch = sl_query_text(&q, 1);
        state->mirrors = sl_query_text(&q, 2);
        state->partial = sl_query_int(&q, 3) != 0;
    }
    sl_query_close(&q);
    return 0;
}

static sl_rc
run_with_names(struct sl_duckdb *d, const char *sql, const struct sl_table *t, struct sl_err *err)
{
    struct sl_stmt st;
    sl_rc rc = sl_stmt_open(&st, d->con, sql, err);

    if (rc)
        return rc;
    sl_bind_text(&st, d->connection);
    sl_bind_text(&st, t->schema);
    sl_bind_text(&st, t->name);
    rc = sl_stmt_run(&st, err);
    sl_stmt_close(&st);
    return rc;
}

/* Columns of one statement: a statement a column costs DuckDB a block each. */
#define ROWS_AT_ONCE 100
#define FIELDS 12

static void
bind_column(struct sl_stmt *st, struct sl_duckdb *d, const struct sl_table *t, int i)
{
    const struct sl_column *c = t->columns[i];

    sl_bind_text(st, d->connection);
    sl_bind_text(st, t->schema);
    sl_bind_text(st, t->name);
    sl_bind_int(st, i);
    sl_bind_text(st, c->source);
    sl_bind_text(st, c->name);
    sl_bind_text(st, sl_type_name(c->next.type));
    sl_bind_int(st, c->next.precision);
    sl_bind_int(st, c->next.scale);
    sl_bind_bool(st, c->declared);
    sl_bind_int(st, c->key);
    sl_bind_text(st, c->row_name);
}

static sl_rc
save_columns(struct sl_duckdb *d, const struct sl_table *t, struct sl_err *err)
{
    struct sl_stmt st;
    struct sl_buf sql;
    sl_rc rc = 0;

    sl_buf_init(&sql, SIZE_MAX / 4);
    for (int from = 0; from < t->ncolumns && rc == 0; from += ROWS_AT_ONCE) {
        int n = t->ncolumns - from < ROWS_AT_ONCE ? t->ncolumns - from : ROWS_AT_ONCE;

        sql.len = 0;
        sl_buf_add(&sql, "INSERT INTO _sluice.columns VALUES ");
        for (int i = 0; i < n; i++) {
            sl_buf_add(&sql, i ? ", (" : "(");
            for (int f = 1; f <= FIELDS; f++)
                sl_buf_addf(&sql, f == 1 ? "$%d" : ", $%d", i * FIELDS + f);
            sl_buf_add(&sql, ")");
        }
        rc = sl_stmt_open(&st, d->con, sl_buf_str(&sql), err);
        if (rc)
            break;
        for (int i = 0; i < n; i++)
            bind_column(&st, d, t, from + i);
        rc = sl_stmt_run(&st, err);
        sl_stmt_close(&st);
    }
    sl_buf_free(&sql);
    return rc;
}

sl_rc
sl_duckdb_save_table(struct sl_duckdb *d, const struct sl_table *t, struct sl_err *err)
{
    struct sl_stmt st;
    sl_rc rc = 0;

    if (t->saved)
        rc = run_with_names(d,
                            "DELETE FROM _sluice.columns WHERE connection = $1 AND schema_name = "
                            "$2 AND table_name = $3",
                            t, err);
    if (rc == 0 && t->saved)
        rc = run_with_names(d,
                            "DELETE FROM _sluice.tables WHERE connection = $1 AND schema_name = $2 "
                            "AND table_name = $3",
                            t, err);
    if (rc == 0)
        rc = sl_stmt_open(&st, d->con, "INSERT INTO _sluice.tables VALUES ($1, $2, $3, $4, $5, $6)",
                          err);
    if (rc)
        return rc;
    sl_bind_text(&st, d->connection);
    sl_bind_text(&st, t->source_schema);
    sl_bind_text(&st, t->source);
    sl_bind_text(&st, t->schema);
    sl_bind_text(&st, t->name);
    sl_bind_bool(&st, t->keyless);
    rc = sl_stmt_run(&st, err);
    sl_stmt_close(&st);
    return rc ? rc : save_columns(d, t, err);
}

static sl_rc
save_current(struct sl_duckdb *d, const struct sl_saved_state *s, struct sl_err *err)
{
    struct sl_stmt st;
    sl_rc rc = sl_stmt_open(&st, d->con, "DELETE FROM _sluice.state WHERE connection = $1", err);

    if (rc)
        return rc;
    sl_bind_text(&st, d->connection);
    rc = sl_stmt_run(&st, err);
    sl_stmt_close(&st);
    if (rc == 0)
        rc = sl_stmt_open(
            &st, d->con,
            "INSERT INTO _sluice.state VALUES ($1, $2, $3, $4, $5, make_timestamptz($6))", err);
    if (rc)
        return rc;
    sl_bind_text(&st, d->connection);
    sl_bind_text(&st, s->state);
    sl_bind_text(&st, s->batch);
    sl_bind_text(&st, s->mirrors);
    sl_bind_bool(&st, s->partial);
    sl_bind_int(&st, d->now_us);
    rc = sl_stmt_run(&st, err);
    sl_stmt_close(&st);
    return rc;
}

sl_rc
sl_duckdb_save_state(struct sl_dest *dest, const struct sl_saved_state *s, struct sl_err *err)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;
    struct sl_stmt st;
    sl_rc rc = save_current(d, s, err);

    if (rc == 0 && !s->partial && !s->again) {
        rc = sl_stmt_open(
            &st, d->con,
            "INSERT INTO _sluice.state_history SELECT $1, coalesce(max(number), 0) + 1, $2, $3,"
            " make_timestamptz($4) FROM _sluice.state_history WHERE connection = $1",
            err);
        if (rc == 0) {
            sl_bind_text(&st, d->connection);
            sl_bind_text(&st, s->state);
            sl_bind_text(&st, s->batch);
            sl_bind_int(&st, d->now_us);
            rc = sl_stmt_run(&st, err);
            sl_stmt_close(&st);
        }
    }
    if (rc == 0)
        rc = sl_stmt_open(&st, d->con,
                          "DELETE FROM _sluice.state_history WHERE connection = $1 AND number <= "
                          "(SELECT max(number) - " HISTORY
                          " FROM _sluice.state_history WHERE connection = $1)",
                          err);
    else
        d->failed = true;
    if (rc)
        return rc;
    sl_bind_text(&st, d->connection);
    rc = sl_stmt_run(&st, err);
    sl_stmt_close(&st);
    d->failed |= rc != 0;
    return rc;
}
