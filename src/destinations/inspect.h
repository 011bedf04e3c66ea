/* inspect.h - a read-only look into a warehouse, for `fivetran show` and the dashboard's data pages.
 *
 * A destination offers it by sl_dest_ops.inspect: it makes a struct that begins with struct sl_inspect, fills in its tables by
 * sl_inspect_add_table() and sl_inspect_add_column(), and answers the rest by a struct sl_inspect_ops.
 */
#ifndef SL_DESTINATIONS_INSPECT_H
#define SL_DESTINATIONS_INSPECT_H

#include "base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sl_inspect;

struct sl_inspect_column {
    const char *name, *type; /* type as the warehouse names it, e.g. "VARCHAR" */
    bool key;
};

struct sl_inspect_table {
    const char *schema, *name;
    uint64_t rows, live_rows; /* live: not soft-deleted */
    bool estimated;           /* the warehouse's guess: counting would take long */
    int ncolumns;
    struct sl_inspect_column *columns;
};

/* Called per row; cells are NUL-terminated text or NULL for NULL. Returning false ends the reading. */
typedef bool (*sl_inspect_row)(void *ctx, int ncells, const char *const *cells);

/* What of a warehouse to look at. */
struct sl_inspect_scope {
    const char *const *schemas; /* nschemas of them; NULL: all */
    size_t nschemas;
    const char *const *tables; /* only tables of these names, ntables of them; NULL: all */
    size_t ntables;
    /* 0: cells come whole, as the warehouse prints them. Else in the text form of model/cell.h, U+0000 as U+2400, and what has more
     * characters than this (binary: bytes) cut to so many, with "… (123456 bytes)" behind: the size of the whole. Cut in the
     * warehouse: its values may be larger than memory. */
    int cell_max;
};

/* ---- looking ---- */

/* Opens a DuckDB file read-only. SL_E_NOT_FOUND if it is not there, SL_E_LOCKED with program and PID if it is held. */
SL_MUST_CHECK sl_rc sl_inspect_open(struct sl_inspect **out, const char *path, struct sl_err *err);
void sl_inspect_close(struct sl_inspect *in);
/* Tables outside `_sluice`, sorted by schema and name; where the warehouse has tables of others, ours only. Lent until close. */
int sl_inspect_tables(struct sl_inspect *in, const struct sl_inspect_table **tables);
/* The first `limit` rows of table i. */
SL_MUST_CHECK sl_rc sl_inspect_rows(struct sl_inspect *in, int i, int limit, sl_inspect_row fn,
                                    void *ctx, struct sl_err *err);
/* The committed state text of a connection ("tester"), or NULL. Lent until close. */
const char *sl_inspect_state(struct sl_inspect *in, const char *connection);

/* ---- for destinations ---- */

struct sl_inspect_ops {
    void (*close)(struct sl_inspect *in); /* all but what is in struct sl_inspect */
    sl_rc (*rows)(struct sl_inspect *in, int i, int limit, sl_inspect_row fn, void *ctx,
                  struct sl_err *err);
    char *(*state)(struct sl_inspect *in, const char *connection); /* malloc'ed */
};

struct sl_inspect {
    const struct sl_inspect_ops *ops;
    struct sl_inspect_table *tables;
    int ntables;
    int cell_max; /* of the scope */
    char *state;
};

/* Whether the scope (NULL: all) has this table. */
bool sl_inspect_wants(const struct sl_inspect_scope *scope, const char *schema, const char *name);
/* Adds one without columns and rows; copies the names. */
struct sl_inspect_table *sl_inspect_add_table(struct sl_inspect *in, const char *schema,
                                              const char *name);
void sl_inspect_add_column(struct sl_inspect_table *t, const char *name, const char *type,
                           bool key);

#endif
