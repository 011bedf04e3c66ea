/* books.h - the bookkeeping of a warehouse, in its schema `_sluice`: which tables and columns a connection has, its state, the last
 * 50 states. The same tables with the same meaning as in a DuckDB file, for warehouses that are spoken to in SQL text.
 *
 * All of it runs on the destination's connection, in whatever transaction is open there: state in the transaction of its rows.
 */
#ifndef SL_DESTINATIONS_BOOKS_H
#define SL_DESTINATIONS_BOOKS_H

#include "destinations/destination.h"
#include "destinations/sql.h"

/* One row of a result: its cells as text, NULL for NULL; booleans as "true", "t" or "1". false ends the reading. Lent. */
typedef bool (*sl_cells_fn)(void *arg, int ncells, const char *const *cells);

/* How a destination runs SQL. */
struct sl_books {
    const struct sl_dialect *d;
    const char *schema; /* the bookkeeping's, usually SL_SCHEMA */
    void *ctx;
    sl_rc (*run)(void *ctx, const char *sql, struct sl_err *err);
    sl_rc (*query)(void *ctx, const char *sql, sl_cells_fn fn, void *arg, struct sl_err *err);
    /* Calls fn with (schema, name) of the tables that exist in this schema. NULL: from information_schema.tables. */
    sl_rc (*tables)(void *ctx, const char *schema, sl_cells_fn fn, void *arg, struct sl_err *err);
};

/* Statements that make schema and tables if they are not there, separated by NUL, ended by two. With `schema` false without the
 * schema. malloc'ed. A destination runs them when the query for the format fails or finds nothing. */
char *sl_books_bootstrap(const struct sl_books *b, bool schema);
/* 0: the tables are there in a format this version knows; SL_E_CONFIG: a newer one's. Any other error: that of the query, as when
 * there are none. */
SL_MUST_CHECK sl_rc sl_books_format(const struct sl_books *b, struct sl_err *err);

SL_MUST_CHECK sl_rc sl_books_load(const struct sl_books *b, const char *connection,
                                  struct sl_catalog *cat, struct sl_saved_state *state,
                                  struct sl_err *err);
/* Writes what is known of a table, with its columns' next types. */
SL_MUST_CHECK sl_rc sl_books_save_table(const struct sl_books *b, const char *connection,
                                        const struct sl_table *t, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_books_save_state(const struct sl_books *b, const char *connection,
                                        const struct sl_saved_state *s, int64_t now_us,
                                        struct sl_err *err);
/* Whether this is the connection's last committed batch. */
SL_MUST_CHECK sl_rc sl_books_has_batch(const struct sl_books *b, const char *connection,
                                       const char *batch, bool *has, struct sl_err *err);
/* The committed state's text, malloc'ed, or NULL. */
SL_MUST_CHECK sl_rc sl_books_state(const struct sl_books *b, const char *connection, char **state,
                                   struct sl_err *err);

#endif
