/* Tables and columns follow the data: created when first seen, widened, never narrowed, nothing lost (Inv 7).
 * All of it runs before the first row of the transaction is touched: an ALTER after an UPDATE or DELETE of the same table
 * makes COMMIT fail (measured on 1.5.5). */
#include "destinations/duckdb/duckdb_dest.h"

#include <stdlib.h>

sl_rc
sl_duckdb_stored(struct sl_dest *dest, const struct sl_table *t, const struct sl_column *c,
                 struct sl_stored *out, struct sl_err *err)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;
    struct sl_buf sql;
    int64_t n;
    sl_rc rc;

    *out = (struct sl_stored){ 0 };
    sl_buf_init(&sql, SIZE_MAX / 4);
    /* Digits before the point of the largest value. HUGEINT so that the smallest BIGINT has an absolute value. */
    sl_buf_add(&sql, "SELECT max(length(CAST(trunc(abs(");
    sl_sql_name(&sql, c->name);
    sl_buf_add(&sql, c->type.type == SL_T_LONG ? "::HUGEINT)) AS VARCHAR)))" : ")) AS VARCHAR)))");
    sl_buf_add(&sql, " FROM ");
    sl_sql_table(&sql, t);
    rc = sl_sql_number(d->con, sl_buf_str(&sql), 0, &n, err);
    out->int_digits = (uint8_t)n;
    if (rc == 0 && c->type.type == SL_T_LONG) {
        sql.len = 0;
        sl_buf_add(&sql, "SELECT count(*) FROM ");
        sl_sql_table(&sql, t);
        sl_buf_add(&sql, " WHERE abs(");
        sl_sql_name(&sql, c->name);
        sl_buf_add(&sql, "::HUGEINT) > 9007199254740992");
        rc = sl_sql_number(d->con, sl_buf_str(&sql), 0, &n, err);
        out->inexact = n > 0;
    }
    sl_buf_free(&sql);
    return rc;
}

/* The text form of a stored value, as model/cell.c makes it. */
static void
text_expr(struct sl_buf *sql, const struct sl_column *c)
{
    struct sl_buf name;
    const char *n;

    sl_buf_init(&name, SIZE_MAX / 4);
    sl_sql_name(&name, c->name);
    n = sl_buf_str(&name);
    switch (c->type.type) {
    case SL_T_DOUBLE:
    case SL_T_FLOAT:
        sl_buf_addf(sql, "sl_text(%s)", n);
        break;
    case SL_T_NAIVE_DATETIME:
        sl_buf_addf(sql, "sl_text_naive(%s)", n);
        break;
    case SL_T_UTC_DATETIME:
        sl_buf_addf(sql, "sl_text_utc(%s)", n);
        break;
    case SL_T_BINARY:
        sl_buf_addf(sql, "to_base64(%s)", n);
        break;
    case SL_T_DECIMAL:
        /* Where all digits come after the point, DuckDB writes none before it: ".5". RE2's \1 is one digit long. */
        if (c->type.scale && c->type.scale == c->type.precision)
            sl_buf_addf(
                sql,
                "rtrim(rtrim(regexp_replace(CAST(%s AS VARCHAR), '^(-?)\\.', '\\10.'), '0'), '.')",
                n);
        else if (c->type.scale)
            sl_buf_addf(sql, "rtrim(rtrim(CAST(%s AS VARCHAR), '0'), '.')", n);
        else
            sl_buf_addf(sql, "CAST(%s AS VARCHAR)", n);
        break;
    default:
        sl_buf_addf(sql, "CAST(%s AS VARCHAR)", n);
    }
    sl_buf_free(&name);
}

/* A stored value in the column's next type. */
static void
change_expr(struct sl_buf *sql, const struct sl_column *c)
{
    char type[32];

    if (c->next.type == SL_T_STRING) {
        text_expr(sql, c);
    } else if (c->next.type == SL_T_JSON) {
        bool bare = c->type.type >= SL_T_BOOLEAN && c->type.type <= SL_T_DECIMAL;

        if (c->type.type == SL_T_DOUBLE || c->type.type == SL_T_FLOAT) {
            sl_buf_add(sql, "CAST(CASE WHEN isfinite(");
            sl_sql_name(sql, c->name);
            sl_buf_add(sql, ") THEN ");
            text_expr(sql, c);
            sl_buf_add(sql, " WHEN ");
            sl_sql_name(sql, c->name);
            sl_buf_add(sql, " IS NOT NULL THEN 'null' END AS JSON)");
            return;
        }
        sl_buf_add(sql, bare ? "CAST(" : "to_json(");
        text_expr(sql, c);
        sl_buf_add(sql, bare ? " AS JSON)" : ")");
    } else {
        sl_buf_add(sql, "CAST(");
        sl_sql_name(sql, c->name);
        sl_buf_addf(sql, " AS %s)", sl_sql_type(c->next, type));
    }
}

/* A key column that no row has given a type yet: it is there, empty, until one does. */
#define PLACEHOLDER "VARCHAR"
/* Name of a table while it is written anew, within one transaction. */
#define REWRITTEN "_sluice_rewritten"

static sl_rc
create_table(struct sl_duckdb *d, const struct sl_table *t, struct sl_err *err)
{
    struct sl_buf sql;
    char type[32];
    sl_rc rc;

    sl_buf_init(&sql, SIZE_MAX / 4);
    sl_buf_add(&sql, "CREATE SCHEMA IF NOT EXISTS ");
    sl_sql_name(&sql, t->schema);
    sl_buf_add(&sql, "; CREATE TABLE ");
    sl_sql_table(&sql, t);
    sl_buf_add(&sql, " (");
    for (int i = 0; i < t->ncolumns; i++) {
        const struct sl_column *c = t->columns[i];

        if (c->next.type == SL_T_NONE && c->key < 0)
            continue;
        sl_sql_name(&sql, c->name);
        sl_buf_addf(&sql, " %s, ",
                    c->next.type == SL_T_NONE ? PLACEHOLDER : sl_sql_type(c->next, type));
    }
    sl_buf_add(&sql, SL_COL_SYNCED " TIMESTAMP WITH TIME ZONE, " SL_COL_DELETED " BOOLEAN)");
    rc = sl_sql_run(d->con, sl_buf_str(&sql), NULL, err);
    if (rc && strstr(err ? err->text : "", "already exists") != NULL) {
        rc = sl_fail(err, SL_E_SCHEMA,
                     "the warehouse has a table %s.%s that this connection did not make", t->schema,
                     t->name);
        sl_err_hint(err, "rename or drop that table, or start over with `fivetran reset`");
    }
    sl_buf_free(&sql);
    return rc;
}

static sl_rc
add_column(struct sl_duckdb *d, const struct sl_table *t, const struct sl_column *c,
           struct sl_err *err)
{
    struct sl_buf sql;
    char type[32];
    sl_rc rc;

    sl_buf_init(&sql, SIZE_MAX / 4);
    sl_buf_add(&sql, "ALTER TABLE ");
    sl_sql_table(&sql, t);
    sl_buf_add(&sql, " ADD COLUMN IF NOT EXISTS ");
    sl_sql_name(&sql, c->name);
    sl_buf_addf(&sql, " %s", sl_sql_type(c->next, type));
    rc = sl_sql_run(d->con, sl_buf_str(&sql), NULL, err);
    if (rc) {
        sl_err_wrap(err, "adding column %s.%s", t->name, c->name);
        sl_err_path(err, "%s.%s", t->name, c->name);
    }
    sl_buf_free(&sql);
    return rc;
}

/* Writes the table anew with its columns' next types and puts it in the old one's place.
 * Not ALTER … TYPE … USING: DuckDB writes that expression into its log and evaluates it when the log is replayed, where no function
 * can be looked up. A process killed between such a commit and the next checkpoint leaves a file that does not open (1.5.5). */
static sl_rc
rewrite(struct sl_duckdb *d, const struct sl_table *t, struct sl_err *err)
{
    struct sl_buf sql;
    char type[32];
    sl_rc rc;

    sl_buf_init(&sql, SIZE_MAX / 4);
    sl_buf_add(&sql, "CREATE TABLE ");
    sl_sql_name(&sql, t->schema);
    sl_buf_add(&sql, "." REWRITTEN " AS SELECT ");
    for (int i = 0; i < t->ncolumns; i++) {
        const struct sl_column *c = t->columns[i];

        if (c->next.type == SL_T_NONE && c->key < 0)
            continue;
        if (c->type.type == SL_T_NONE)
            sl_buf_addf(&sql, "CAST(NULL AS %s)",
                        c->next.type ? sl_sql_type(c->next, type) : PLACEHOLDER);
        else if (sl_coltype_eq(c->type, c->next))
            sl_sql_name(&sql, c->name);
        else
            change_expr(&sql, c);
        sl_buf_add(&sql, " AS ");
        sl_sql_name(&sql, c->name);
        sl_buf_add(&sql, ", ");
    }
    sl_buf_add(&sql, SL_COL_SYNCED ", " SL_COL_DELETED " FROM ");
    sl_sql_table(&sql, t);
    sl_buf_add(&sql, "; DROP TABLE ");
    sl_sql_table(&sql, t);
    sl_buf_add(&sql, "; ALTER TABLE ");
    sl_sql_name(&sql, t->schema);
    sl_buf_add(&sql, "." REWRITTEN " RENAME TO ");
    sl_sql_name(&sql, t->name);
    rc = sl_sql_run(d->con, sl_buf_str(&sql), NULL, err);
    if (rc)
        sl_err_wrap(err, "changing column types of %s.%s", t->schema, t->name);
    sl_buf_free(&sql);
    return rc;
}

/* Whether a column that is there changes its type. */
static bool
must_rewrite(const struct sl_table *t)
{
    for (int i = 0; i < t->ncolumns; i++) {
        const struct sl_column *c = t->columns[i];

        if (!sl_coltype_eq(c->type, c->next) && (c->type.type != SL_T_NONE || c->key >= 0))
            return true;
    }
    return false;
}

sl_rc
sl_duckdb_evolve(struct sl_dest *dest, const struct sl_table *t, struct sl_err *err)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;
    sl_rc rc = 0;

    if (!t->created) {
        rc = create_table(d, t, err);
    } else if (must_rewrite(t)) {
        rc = rewrite(d, t, err);
    } else {
        for (int i = 0; i < t->ncolumns && rc == 0; i++)
            if (!sl_coltype_eq(t->columns[i]->type, t->columns[i]->next))
                rc = add_column(d, t, t->columns[i], err);
    }
    if (rc == 0)
        rc = sl_duckdb_save_table(d, t, err);
    d->failed |= rc != 0;
    return rc;
}
