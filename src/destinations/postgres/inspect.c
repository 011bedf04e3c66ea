/* A read-only look: the tables that the bookkeeping knows, in one snapshot. */
#include "destinations/inspect.h"

#include "destinations/postgres/postgres.h"

#include <stdlib.h>

/* Tables the server believes to be larger are not counted: that would read all of them. */
#define COUNT_MAX 5000000
/* Rows that are in our memory at once. */
#define FETCH 200

struct look {
    struct sl_inspect pub;
    struct sl_pg *pg;
};

/* ---- tables ---- */

static sl_rc
read_columns(struct look *in, struct sl_inspect_table *t, struct sl_err *err)
{
    struct sl_sql q;
    PGresult *res;
    sl_rc rc;

    sl_sql_init(&q, &sl_pg_dialect);
    sl_sqlf(&q,
            "SELECT a.attname, format_type(a.atttypid, a.atttypmod), EXISTS (SELECT 1 FROM "
            "%n.columns k WHERE k.schema_name = n.nspname AND k.table_name = c.relname AND "
            "k.column_name = a.attname AND k.key_position >= 0) FROM pg_attribute a JOIN pg_class "
            "c ON c.oid = a.attrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE n.nspname "
            "= %s AND c.relname = %s AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum",
            SL_SCHEMA, t->schema, t->name);
    rc = sl_pg_exec(in->pg, sl_sql_text(&q), "reading the columns of a table", &res, err);
    sl_sql_free(&q);
    for (int i = 0; rc == 0 && i < PQntuples(res); i++)
        sl_inspect_add_column(t, PQgetvalue(res, i, 0), PQgetvalue(res, i, 1),
                              PQgetvalue(res, i, 2)[0] == 't');
    PQclear(res);
    return rc;
}

static bool
has_column(const struct sl_inspect_table *t, const char *name)
{
    for (int i = 0; i < t->ncolumns; i++)
        if (strcmp(t->columns[i].name, name) == 0)
            return true;
    return false;
}

static sl_rc
count_rows(struct look *in, struct sl_inspect_table *t, int64_t guess, struct sl_err *err)
{
    struct sl_sql q;
    int64_t n[2] = { guess, guess };
    sl_rc rc = 0;

    t->estimated = guess > COUNT_MAX;
    sl_sql_init(&q, &sl_pg_dialect);
    if (has_column(t, SL_COL_DELETED))
        sl_sqlf(&q, "SELECT count(*), count(*) FILTER (WHERE NOT %n) FROM %n.%n", SL_COL_DELETED,
                t->schema, t->name);
    else
        sl_sqlf(&q, "SELECT count(*), count(*) FROM %n.%n", t->schema, t->name);
    if (!t->estimated)
        rc = sl_pg_numbers(in->pg, sl_sql_text(&q), 2, n, NULL, err);
    sl_sql_free(&q);
    t->rows = (uint64_t)n[0];
    t->live_rows = (uint64_t)n[1];
    return rc;
}

/* Whether there is bookkeeping at all: a warehouse nothing was loaded into has no tables of ours. */
static sl_rc
is_used(struct look *in, bool *used, struct sl_err *err)
{
    int64_t n = 0;
    sl_rc rc = sl_pg_numbers(in->pg,
                             "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = "
                             "c.relnamespace WHERE n.nspname = '" SL_SCHEMA
                             "' AND c.relname IN ('tables', 'columns', 'state')",
                             1, &n, NULL, err);

    *used = n == 3;
    return rc;
}

static sl_rc
read_tables(struct look *in, const struct sl_inspect_scope *scope, struct sl_err *err)
{
    struct sl_sql q;
    PGresult *res;
    bool used = false;
    sl_rc rc = is_used(in, &used, err);

    if (rc || !used)
        return rc;
    sl_sql_init(&q, &sl_pg_dialect);
    sl_sqlf(&q,
            "SELECT n.nspname, c.relname, greatest(c.reltuples, 0)::bigint FROM pg_class c JOIN "
            "pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('r', 'p') AND "
            "(n.nspname, c.relname) IN (SELECT schema_name, table_name FROM %n.tables WHERE "
            "%s::text IS NULL OR connection = %s) ORDER BY n.nspname COLLATE \"C\", c.relname "
            "COLLATE \"C\"",
            SL_SCHEMA, in->pg->connection, in->pg->connection);
    rc = sl_pg_exec(in->pg, sl_sql_text(&q), "reading the tables", &res, err);
    sl_sql_free(&q);
    for (int i = 0; rc == 0 && i < PQntuples(res); i++) {
        const char *schema = PQgetvalue(res, i, 0), *name = PQgetvalue(res, i, 1);
        struct sl_inspect_table *t;

        if (!sl_inspect_wants(scope, schema, name))
            continue;
        t = sl_inspect_add_table(&in->pub, schema, name);
        rc = read_columns(in, t, err);
        if (rc == 0)
            rc = count_rows(in, t, strtoll(PQgetvalue(res, i, 2), NULL, 10), err);
    }
    PQclear(res);
    return rc;
}

/* ---- rows ---- */

/* The column as ours, for its text form. Types that are not are text. */
static struct sl_column
column_of(const struct sl_inspect_column *c)
{
    struct sl_column own = { .name = (char *)c->name, .type = { .type = SL_T_STRING } };
    static const struct {
        const char *name;
        enum sl_type type;
    } others[] = { { "timestamp without time zone", SL_T_NAIVE_DATETIME },
                   { "timestamp with time zone", SL_T_UTC_DATETIME } };

    for (int t = SL_T_BOOLEAN; t < SL_T_COUNT; t++)
        if (sl_pg_dialect.types[t] != NULL && strcmp(sl_pg_dialect.types[t], c->type) == 0)
            own.type.type = (enum sl_type)t;
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        if (strcmp(others[i].name, c->type) == 0)
            own.type.type = others[i].type;
    if (strncmp(c->type, "numeric", 7) == 0) {
        own.type.type = SL_T_DECIMAL;
        own.type.scale = strchr(c->type, ',') ? (uint8_t)strtol(strchr(c->type, ',') + 1, NULL, 10)
                                              : 0;
    }
    return own;
}

/* Cut in the server. */
static void
add_bounded(struct sl_sql *q, const struct sl_column *c, int max)
{
    bool binary = c->type.type == SL_T_BINARY;
    const char *n = c->name;

    if (!binary && c->type.type < SL_T_BINARY) {
        sl_pg_text(q, c);
        return;
    }
    if (binary)
        sl_sqlf(q,
                "CASE WHEN octet_length(%n) > %d THEN replace(encode(substr(%n, 1, %d), 'base64'), "
                "chr(10), '') || '… (' || octet_length(%n) || ' bytes)' ELSE ",
                n, (int64_t)max, n, (int64_t)max, n);
    else
        sl_sqlf(q,
                "CASE WHEN length(%n::text) > %d THEN left(%n::text, %d) || '… (' || "
                "octet_length(%n::text) || ' bytes)' ELSE ",
                n, (int64_t)max, n, (int64_t)max, n);
    sl_pg_text(q, c);
    sl_sqlf(q, " END");
}

static sl_rc
open_cursor(struct look *in, const struct sl_inspect_table *t, int limit, struct sl_err *err)
{
    struct sl_sql q;
    sl_rc rc;

    sl_sql_init(&q, &sl_pg_dialect);
    sl_sqlf(&q, "DECLARE sl_look NO SCROLL CURSOR FOR SELECT ");
    for (int i = 0; i < t->ncolumns; i++) {
        struct sl_column own = column_of(&t->columns[i]);

        sl_sqlf(&q, i ? ", " : "");
        if (in->pub.cell_max > 0)
            add_bounded(&q, &own, in->pub.cell_max);
        else
            sl_sqlf(&q, "%n::text", own.name);
    }
    sl_sqlf(&q, " FROM %n.%n LIMIT %d", t->schema, t->name, (int64_t)limit);
    rc = sl_pg_run(in->pg, sl_sql_text(&q), "reading rows", NULL, err);
    sl_sql_free(&q);
    return rc;
}

/* *more: whether there may be further ones, and the reader wants them. */
static sl_rc
fetch(struct look *in, int ncells, sl_inspect_row fn, void *ctx, bool *more, struct sl_err *err)
{
    const char **cells = sl_zalloc((size_t)ncells + 1, sizeof *cells);
    char sql[60];
    PGresult *res;
    sl_rc rc;

    snprintf(sql, sizeof sql, "FETCH %d FROM sl_look", FETCH);
    rc = sl_pg_exec(in->pg, sql, "reading rows", &res, err);
    *more = rc == 0 && PQntuples(res) == FETCH;
    for (int r = 0; rc == 0 && r < PQntuples(res); r++) {
        for (int c = 0; c < ncells; c++)
            cells[c] = PQgetisnull(res, r, c) ? NULL : PQgetvalue(res, r, c);
        if (!fn(ctx, ncells, cells)) {
            *more = false;
            break;
        }
    }
    PQclear(res);
    free(cells);
    return rc;
}

static sl_rc
look_rows(struct sl_inspect *pub, int i, int limit, sl_inspect_row fn, void *ctx,
          struct sl_err *err)
{
    struct look *in = (struct look *)pub;
    const struct sl_inspect_table *t = &pub->tables[i];
    bool more = true;
    sl_rc rc = open_cursor(in, t, limit, err);

    while (rc == 0 && more)
        rc = fetch(in, t->ncolumns, fn, ctx, &more, err);
    if (rc == 0)
        rc = sl_pg_run(in->pg, "CLOSE sl_look", "reading rows", NULL, err);
    return rc;
}

/* ---- the look ---- */

static char *
look_state(struct sl_inspect *pub, const char *connection)
{
    struct look *in = (struct look *)pub;
    struct sl_err ignored;
    char *state = NULL;
    bool used = false;

    if (is_used(in, &used, &ignored) == 0 && used &&
        sl_books_state(&in->pg->books, connection, &state, &ignored))
        return NULL;
    return state;
}

static void
look_close(struct sl_inspect *pub)
{
    struct look *in = (struct look *)pub;

    sl_pg_free(in->pg);
    free(in);
}

sl_rc
sl_pg_inspect(struct sl_inspect **out, const struct sl_dest_conf *conf,
              const struct sl_inspect_scope *scope, struct sl_err *err)
{
    static const struct sl_inspect_ops ops = {
        .close = look_close,
        .rows = look_rows,
        .state = look_state,
    };
    struct look *in;
    sl_rc rc;

    *out = NULL;
    if (conf->options == NULL)
        return sl_fail(err, SL_E_CONFIG, "the destination postgres needs its options");
    in = sl_zalloc(1, sizeof *in);
    in->pub.ops = &ops;
    in->pub.cell_max = scope != NULL ? scope->cell_max : 0;
    in->pg = sl_pg_new(conf);
    rc = sl_pg_connect(in->pg, 0, err);
    if (rc == 0)
        rc = sl_pg_run(in->pg, "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
                       "beginning to read", NULL, err);
    if (rc == 0)
        rc = read_tables(in, scope, err);
    if (rc)
        sl_inspect_close(&in->pub);
    else
        *out = &in->pub;
    return rc;
}
