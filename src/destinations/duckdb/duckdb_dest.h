/* duckdb_dest.h - the DuckDB destination: one file, one schema per connection, bookkeeping in schema _sluice.
 *
 * A commit is one DuckDB transaction: evolve → apply → state → COMMIT. There is no primary-key index (measured: it only costs);
 * a table's keys are recorded in _sluice.columns and kept unique by the engine's fold and apply's join.
 * After any error inside a transaction DuckDB answers success to COMMIT and commits nothing, so the first error marks the
 * transaction failed and commit() never sends COMMIT for it.
 */
#ifndef SL_DUCKDB_DEST_H
#define SL_DUCKDB_DEST_H

#include "destinations/destination.h"
#include "destinations/duckdb/instance.h"
#include "destinations/duckdb/sql.h"

extern const struct sl_dest_ops sl_duckdb_ops;

/* What appending to one column holds until the commit (a table of this transaction) or until the next checkpoint (a table with
 * stored rows: one block). Measured 32 kB and 256 kB; counted double and more, so that a transaction's bound leaves the other half
 * of the memory limit to the work itself. */
#define SL_DUCKDB_BLOCK ((uint64_t)256 << 10)
#define SL_DUCKDB_HELD_NEW SL_DUCKDB_BLOCK
#define SL_DUCKDB_HELD_STORED (2 * SL_DUCKDB_BLOCK)

struct sl_duckdb {
    struct sl_dest dest;
    struct sl_instance *in;
    duckdb_connection con;
    char *connection; /* whose state and catalog */
    char *path, *spill_dir;
    uint64_t memory_limit;
    uint32_t block_size; /* of a new file */
    bool in_tx;          /* BEGIN was sent and the writer's turn is ours */
    bool failed;         /* something inside the transaction went wrong: only ROLLBACK is left */
    int64_t now_us;      /* _fivetran_synced of this commit */
    /* A table of this transaction whose key is one LONG, and a number that none of its keys is beyond: its next slice needs no
     * look into the table. */
    const struct sl_table *known;
    int64_t largest;
    uint64_t replaced; /* rows this session made dead */
    bool tidied;       /* its checkpoints merge row groups */
    uint64_t
        held; /* bytes of appended columns' blocks since the last checkpoint (DuckDB keeps them until one) */
};

/* catalog.c */
SL_MUST_CHECK sl_rc sl_duckdb_bootstrap(struct sl_duckdb *d, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_duckdb_load(struct sl_dest *dest, struct sl_catalog *cat,
                                   struct sl_saved_state *state, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_duckdb_save_table(struct sl_duckdb *d, const struct sl_table *t,
                                         struct sl_err *err);
SL_MUST_CHECK sl_rc sl_duckdb_save_state(struct sl_dest *dest, const struct sl_saved_state *st,
                                         struct sl_err *err);
/* evolve.c */
SL_MUST_CHECK sl_rc sl_duckdb_stored(struct sl_dest *dest, const struct sl_table *t,
                                     const struct sl_column *c, struct sl_stored *out,
                                     struct sl_err *err);
SL_MUST_CHECK sl_rc sl_duckdb_evolve(struct sl_dest *dest, const struct sl_table *t,
                                     struct sl_err *err);
/* apply.c */
SL_MUST_CHECK sl_rc sl_duckdb_apply(struct sl_dest *dest, struct sl_rows *rows,
                                    struct sl_applied *out, struct sl_err *err);
/* inspect.c */
SL_MUST_CHECK sl_rc sl_duckdb_inspect(struct sl_inspect **out, const struct sl_dest_conf *conf,
                                      const struct sl_inspect_scope *scope, struct sl_err *err);

#endif
