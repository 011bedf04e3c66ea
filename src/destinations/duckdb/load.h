/* load.h - rows into a DuckDB table by data chunks. */
#ifndef SL_DUCKDB_LOAD_H
#define SL_DUCKDB_LOAD_H

#include "destinations/duckdb/duckdb_dest.h"

struct sl_loader;

/* Into t itself (columns, synced, deleted), or into the temporary table `stage` made with the same columns. `given` non-NULL:
 * one BOOLEAN more for each column where given[i], telling whether the cell was there. */
SL_MUST_CHECK sl_rc sl_loader_open(struct sl_loader **out, struct sl_duckdb *d,
                                   const struct sl_table *t, const char *stage, const bool *given,
                                   struct sl_err *err);
SL_MUST_CHECK sl_rc sl_loader_put(struct sl_loader *l, const struct sl_row *row,
                                  struct sl_err *err);
/* Ends it; rows are in the table only after this succeeded. */
SL_MUST_CHECK sl_rc sl_loader_finish(struct sl_loader *l, struct sl_err *err);
void sl_loader_free(struct sl_loader *l);

#endif
