/* sql.h - statements: building them, running them, and what their errors mean.
 *
 * Names enter SQL through sl_sql_name() only, values as parameters or through the appender. Nothing else prints a quote.
 */
#ifndef SL_DUCKDB_SQL_H
#define SL_DUCKDB_SQL_H

#include "base/buf.h"
#include "destinations/duckdb/api.h"
#include "model/schema.h"

/* Appends "name", quotes doubled. */
void sl_sql_name(struct sl_buf *sql, const char *name);
/* Appends "schema"."table". */
void sl_sql_table(struct sl_buf *sql, const struct sl_table *t);
/* The SQL type of a column type, e.g. TIMESTAMP WITH TIME ZONE. out needs 32 bytes. Returns out. */
char *sl_sql_type(struct sl_coltype t, char out[32]);
/* Its C API type. For DECIMAL the caller makes the logical type. */
duckdb_type sl_duck_type(enum sl_type t);
/* The column type whose SQL type has this name as DuckDB prints it is `t`'s. */
bool sl_sql_type_is(struct sl_coltype t, const char *printed);

/* Turns DuckDB's text into a code, a sentence and a hint. Returns the code. */
sl_rc sl_duck_fail(struct sl_err *err, const char *text, const char *doing);

/* Runs statements; *changed (may be NULL) gets the rows the last one changed. */
SL_MUST_CHECK sl_rc sl_sql_run(duckdb_connection con, const char *sql, uint64_t *changed,
                               struct sl_err *err);
/* Runs a statement whose failure changes nothing, such as ROLLBACK. */
void sl_sql_try(duckdb_connection con, const char *sql);
/* One number; NULL reads as `none`. */
SL_MUST_CHECK sl_rc sl_sql_number(duckdb_connection con, const char *sql, int64_t none,
                                  int64_t *out, struct sl_err *err);

/* Reads a result of VARCHAR and BIGINT/BOOLEAN columns row by row. */
struct sl_query {
    duckdb_result res;
    duckdb_data_chunk chunk;
    idx_t row, rows;
    bool open;
};

SL_MUST_CHECK sl_rc sl_query_open(struct sl_query *q, duckdb_connection con, const char *sql,
                                  const char *param, struct sl_err *err);
bool sl_query_next(struct sl_query *q);
/* malloc'ed text of a VARCHAR cell, or NULL. */
char *sl_query_text(struct sl_query *q, int col);
/* A BIGINT, INTEGER or BOOLEAN cell; NULL reads as 0. */
int64_t sl_query_int(struct sl_query *q, int col);
void sl_query_close(struct sl_query *q);

/* A prepared statement with typed binds: sl_bind_text(&st, v) and so on in order, then sl_stmt_run(). */
struct sl_stmt {
    duckdb_prepared_statement ps;
    idx_t next;
    bool failed;
};

SL_MUST_CHECK sl_rc sl_stmt_open(struct sl_stmt *st, duckdb_connection con, const char *sql,
                                 struct sl_err *err);
void sl_bind_text(struct sl_stmt *st, const char *text); /* NULL binds NULL */
void sl_bind_textn(struct sl_stmt *st, const char *text, size_t len);
void sl_bind_int(struct sl_stmt *st, int64_t v);
void sl_bind_bool(struct sl_stmt *st, bool v);
SL_MUST_CHECK sl_rc sl_stmt_run(struct sl_stmt *st, struct sl_err *err);
void sl_stmt_close(struct sl_stmt *st);

#endif
