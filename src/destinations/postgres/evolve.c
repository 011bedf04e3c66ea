/* Tables and columns follow the data: created when first seen, widened, never narrowed, nothing lost (Inv 7). */
#include "destinations/postgres/postgres.h"

#include <stdlib.h>

/* Sessions that start together would make the same tables. */
#define BOOTSTRAP_LOCK "SELECT pg_advisory_xact_lock(6283185307179586476)"

/* ---- the bookkeeping ---- */

/* Only if it is not there: the right to create one is asked for even when there is nothing to do. */
static sl_rc
ensure_schema(struct sl_pg *pg, const char *schema, struct sl_err *err)
{
    struct sl_sql q;
    int64_t there = 0;
    sl_rc rc;

    sl_sql_init(&q, &sl_pg_dialect);
    sl_sqlf(&q, "SELECT count(*) FROM pg_namespace WHERE nspname = %s", schema);
    rc = sl_pg_numbers(pg, sl_sql_text(&q), 1, &there, NULL, err);
    if (rc == 0 && !there) {
        sl_sql_clear(&q);
        sl_sqlf(&q, "CREATE SCHEMA %n", schema);
        rc = sl_pg_run(pg, sl_sql_text(&q), "making a schema", NULL, err);
        rc = sl_pg_missing(pg, rc, SL_PG_MAKE_SCHEMAS, NULL, NULL, err);
    }
    sl_sql_free(&q);
    return rc;
}

static sl_rc
make_books(struct sl_pg *pg, struct sl_err *err)
{
    char *all = sl_books_bootstrap(&pg->books, false);
    sl_rc rc = sl_pg_run(pg, "BEGIN", "making the bookkeeping", NULL, err);

    if (rc == 0)
        rc = sl_pg_run(pg, BOOTSTRAP_LOCK, "making the bookkeeping", NULL, err);
    if (rc == 0)
        rc = ensure_schema(pg, SL_SCHEMA, err);
    for (const char *sql = all; rc == 0 && *sql; sql += strlen(sql) + 1)
        rc = pg->books.run(pg, sql, err);
    if (rc == 0)
        rc = sl_pg_run(pg,
                       "CREATE INDEX IF NOT EXISTS columns_of ON _sluice.columns (connection); "
                       "CREATE INDEX IF NOT EXISTS states_of ON _sluice.state_history (connection)",
                       "making the bookkeeping", NULL, err);
    if (rc == 0)
        rc = sl_pg_run(pg, "COMMIT", "making the bookkeeping", NULL, err);
    else
        sl_pg_try(pg, "ROLLBACK");
    free(all);
    return rc;
}

static bool
take_any(void *arg, int ncells, const char *const *cells)
{
    (void)ncells;
    (void)cells;
    *(bool *)arg = true;
    return false;
}

sl_rc
sl_pg_bootstrap(struct sl_pg *pg, struct sl_err *err)
{
    bool there = false;
    sl_rc rc = pg->books.query(pg,
                               "SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = "
                               "c.relnamespace WHERE n.nspname = '_sluice' AND c.relname = 'meta'",
                               take_any, &there, err);

    if (rc == 0 && !there)
        rc = make_books(pg, err);
    return rc ? rc : sl_books_format(&pg->books, err);
}

/* ---- facts about stored values ---- */

sl_rc
sl_pg_stored(struct sl_dest *dest, const struct sl_table *t, const struct sl_column *c,
             struct sl_stored *out, struct sl_err *err)
{
    struct sl_pg *pg = (struct sl_pg *)dest;
    struct sl_sql q;
    int64_t n[2] = { 0 };
    sl_rc rc;

    *out = (struct sl_stored){ 0 };
    sl_sql_init(&q, &sl_pg_dialect);
    sl_sqlf(&q,
            "SELECT max(length(trunc(abs(%n::numeric))::text)), max((abs(%n::numeric) > "
            "9007199254740992)::int) FROM %t",
            c->name, c->name, t);
    rc = sl_pg_numbers(pg, sl_sql_text(&q), 2, n, NULL, err);
    sl_sql_free(&q);
    out->int_digits = (uint8_t)n[0];
    out->inexact = c->type.type == SL_T_LONG && n[1];
    return rc;
}

/* ---- changing a column's type ---- */

/* Python's shortest form of a double. The server's has no ".0", has an exponent from 10^15 on, not 10^16, and for some large values a
 * digit too many: its digits must lie between two doubles, Python's may end right in the middle (1e+23). A FLOAT is the double of the
 * same value. */
static void
double_text(struct sl_sql *q, const char *name)
{
    static const char *const forms[] = { "9.99999999999999EEEE", "9.999999999999999EEEE" };
    struct sl_sql v;
    const char *n;

    sl_sql_init(&v, q->d);
    sl_sqlf(&v, "%n::double precision", name);
    n = sl_sql_text(&v);
    sl_sqlf(q,
            "CASE WHEN %r = 'NaN' THEN 'nan' WHEN %r = 'Infinity' THEN 'inf' WHEN %r = '-Infinity' "
            "THEN '-inf' WHEN %r::text LIKE '%%e+15' THEN (%r::text::numeric)::text || CASE WHEN "
            "(%r::text::numeric)::text LIKE '%%.%%' THEN '' ELSE '.0' END",
            n, n, n, n, n, n);
    for (int i = 0; i < 2; i++)
        sl_sqlf(q,
                " WHEN %r::text LIKE '%%e+%%' AND %r::text NOT LIKE '%%e+308' AND "
                "to_char(%r, %s)::double precision = %r THEN "
                "ltrim(regexp_replace(to_char(%r, %s), '[.]?0*e', 'e'))",
                n, n, n, forms[i], n, n, forms[i]);
    sl_sqlf(q, " WHEN %r::text ~ '[.e]' THEN %r::text ELSE %r::text || '.0' END", n, n, n);
    sl_sql_free(&v);
}

void
sl_pg_text(struct sl_sql *q, const struct sl_column *c)
{
    const char *n = c->name;

    switch (c->type.type) {
    case SL_T_DOUBLE:
    case SL_T_FLOAT:
        double_text(q, n);
        break;
    case SL_T_NAIVE_DATETIME:
    case SL_T_UTC_DATETIME:
        sl_sqlf(q,
                "to_char(%n%r, 'YYYY-MM-DD\"T\"HH24:MI:SS') || CASE WHEN date_part('microseconds', "
                "%n)::bigint %% 1000000 = 0 THEN '' ELSE to_char(%n, '.US') END%r",
                n, c->type.type == SL_T_UTC_DATETIME ? " AT TIME ZONE 'UTC'" : "", n, n,
                c->type.type == SL_T_UTC_DATETIME ? " || 'Z'" : "");
        break;
    case SL_T_NAIVE_DATE:
        sl_sqlf(q, "to_char(%n, 'YYYY-MM-DD')", n);
        break;
    case SL_T_BINARY:
        sl_sqlf(q, "replace(encode(%n, 'base64'), chr(10), '')", n);
        break;
    case SL_T_DECIMAL:
        if (c->type.scale)
            sl_sqlf(q, "rtrim(rtrim(%n::text, '0'), '.')", n);
        else
            sl_sqlf(q, "%n::text", n);
        break;
    case SL_T_JSON:
        /* Compact: the space after a colon or comma goes, that within a string stays. */
        sl_sqlf(q, "regexp_replace(%n::text, %s, %s, 'g')", n, "(\"(?:[^\"\\\\]|\\\\.)*\")|([:,]) ",
                "\\1\\2");
        break;
    default:
        sl_sqlf(q, "%n::text", n);
    }
}

/* A stored value in the column's next type. */
static void
change_expr(struct sl_sql *q, const struct sl_column *c)
{
    bool real = c->type.type == SL_T_DOUBLE || c->type.type == SL_T_FLOAT;

    if (c->type.type == SL_T_NONE) { /* the placeholder of a key: no row has a value there */
        sl_sqlf(q, "NULL::%c", &c->next);
    } else if (c->next.type == SL_T_STRING) {
        sl_pg_text(q, c);
    } else if (c->next.type == SL_T_JSON && real) {
        sl_sqlf(q, "CASE WHEN %n IN ('NaN', 'Infinity', '-Infinity') THEN 'null' ELSE (", c->name);
        sl_pg_text(q, c);
        sl_sqlf(q, ") END::jsonb");
    } else if (c->next.type == SL_T_JSON) {
        bool bare = c->type.type <= SL_T_DECIMAL;

        sl_sqlf(q, bare ? "(" : "to_jsonb(");
        sl_pg_text(q, c);
        sl_sqlf(q, bare ? ")::jsonb" : ")");
    } else {
        sl_sqlf(q, "%n::%c", c->name, &c->next);
    }
}

/* ---- tables ---- */

/* A key column that no row has given a type yet is there, empty, until one does. */
static bool
is_there(const struct sl_column *c)
{
    return c->next.type != SL_T_NONE || c->key >= 0;
}

static sl_rc
create_table(struct sl_pg *pg, const struct sl_table *t, struct sl_err *err)
{
    struct sl_pg_table *pt = sl_pg_table_of(pg, t);
    struct sl_sql q;
    sl_rc rc = ensure_schema(pg, t->schema, err);

    if (rc)
        return rc;
    sl_sql_init(&q, &sl_pg_dialect);
    sl_sqlf(&q, "CREATE TABLE %t (", t);
    for (int i = 0; i < t->ncolumns; i++)
        if (is_there(t->columns[i]))
            sl_sqlf(&q, "%n %c, ", t->columns[i]->name, &t->columns[i]->next);
    sl_sqlf(&q, "%n timestamptz, %n boolean)", SL_COL_SYNCED, SL_COL_DELETED);
    rc = sl_pg_run(pg, sl_sql_text(&q), "making a table", NULL, err);
    rc = sl_pg_missing(pg, rc, SL_PG_USE_SCHEMA, t->schema, NULL, err);
    sl_sql_free(&q);
    pt->made = pt->keyless = true;
    return rc;
}

static sl_rc
alter_table(struct sl_pg *pg, const struct sl_table *t, struct sl_err *err)
{
    const char *between = "";
    struct sl_sql q;
    sl_rc rc = 0;

    sl_sql_init(&q, &sl_pg_dialect);
    sl_sqlf(&q, "ALTER TABLE %t ", t);
    for (int i = 0; i < t->ncolumns; i++) {
        const struct sl_column *c = t->columns[i];

        if (sl_coltype_eq(c->type, c->next))
            continue;
        if (c->type.type == SL_T_NONE && c->key < 0) {
            sl_sqlf(&q, "%rADD COLUMN IF NOT EXISTS %n %c", between, c->name, &c->next);
        } else {
            sl_sqlf(&q, "%rALTER COLUMN %n TYPE %c USING ", between, c->name, &c->next);
            change_expr(&q, c);
        }
        between = ", ";
    }
    if (*between)
        rc = sl_pg_run(pg, sl_sql_text(&q), "changing a table", NULL, err);
    sl_sql_free(&q);
    return sl_pg_missing(pg, rc, SL_PG_OWN_TABLE, t->schema, t->name, err);
}

sl_rc
sl_pg_evolve(struct sl_dest *dest, const struct sl_table *t, struct sl_err *err)
{
    struct sl_pg *pg = (struct sl_pg *)dest;
    sl_rc rc = t->created ? alter_table(pg, t, err) : create_table(pg, t, err);

    if (rc == 0)
        rc = sl_books_save_table(&pg->books, pg->connection, t, err);
    if (rc)
        sl_err_wrap(err, "%s.%s", t->schema, t->name);
    pg->failed |= rc != 0;
    return rc;
}
