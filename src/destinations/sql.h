/* sql.h - statements for warehouses that are spoken to in SQL text. The one place that writes a quote.
 *
 * A statement is built from a format of fixed text and these, so that no name or value gets into it unquoted:
 *   %n  a name (const char *), quoted              %t  schema.table (const struct sl_table *), both quoted
 *   %s  a text value (const char *); NULL: NULL    %b  a text value of given length (struct sl_bytes *)
 *   %d  an integer (int64_t)                       %y  a boolean value (int)
 *   %m  an instant (int64_t, microseconds UTC)     %c  the SQL type of a column type (const struct sl_coltype *)
 *   %r  SQL of our own making, as it is            %%  a percent sign
 * What differs between warehouses stands in a struct sl_dialect; DuckDB, spoken to through its C API, has its own
 * (duckdb/sql.h).
 */
#ifndef SL_DESTINATIONS_SQL_H
#define SL_DESTINATIONS_SQL_H

#include "base/buf.h"
#include "model/schema.h"

struct sl_dialect {
    char quote; /* around a name, doubled (or, with backslashes, escaped) within: '"' or '`' */
    bool backslashes;              /* in literals and `names`: \ escapes, and must be escaped */
    const char *types[SL_T_COUNT]; /* "BIGINT"; that of NONE is what an untyped key column gets */
    const char *decimal;           /* a printf format of precision and scale: "NUMERIC(%u,%u)" */
    const char *instant;           /* around an ISO instant: "TIMESTAMPTZ '%s'" */
    const char *text, *whole,
        *flag; /* types of the bookkeeping's columns: VARCHAR, BIGINT, BOOLEAN */
};

struct sl_sql {
    const struct sl_dialect *d;
    struct sl_buf buf;
};

void sl_sql_init(struct sl_sql *q, const struct sl_dialect *d);
void sl_sql_free(struct sl_sql *q);
/* Empties it. */
void sl_sql_clear(struct sl_sql *q);
/* The text, lent until it changes. */
const char *sl_sql_text(struct sl_sql *q);
/* Appends. */
void sl_sqlf(struct sl_sql *q, const char *fmt, ...);
/* Appends `fmt` for each column that has a type and that `want` (NULL: any) takes, with `between` in between; each %n in it is the
 * column's name, %c its SQL type. Returns how many there were. */
int sl_sql_columns(struct sl_sql *q, const struct sl_table *t, const char *fmt, const char *between,
                   bool (*want)(const struct sl_column *c));

/* For sl_sql_columns(). */
bool sl_sql_is_key(const struct sl_column *c);
bool sl_sql_is_plain(const struct sl_column *c); /* not of the key */

#endif
