/* instance.h - open DuckDB files of this process: one duckdb_database per file, shared by its sessions.
 *
 * A file is held by one process; here by as many sessions as want it. Transactions that write take turns: the writer's
 * turn is a lock with a deadline, because two that alter or touch the same bookkeeping rows would fail each other.
 */
#ifndef SL_DUCKDB_INSTANCE_H
#define SL_DUCKDB_INSTANCE_H

#include "base/err.h"
#include "destinations/duckdb/api.h"

#include <stdbool.h>
#include <stdint.h>

struct sl_instance;

struct sl_instance_conf {
    const char *path, *spill_dir;
    uint64_t memory_limit; /* bytes; 0: ours */
    uint32_t block_size;   /* of a new file; 0: DuckDB's */
};

/* Opens the file or joins the sessions that have it open (the first one's limits stay). */
SL_MUST_CHECK sl_rc sl_instance_get(struct sl_instance **out, const struct sl_instance_conf *conf,
                                    struct sl_err *err);
/* The last one out closes the file (with a checkpoint). */
void sl_instance_put(struct sl_instance *in);
duckdb_database sl_instance_db(struct sl_instance *in);
uint64_t sl_instance_memory(const struct sl_instance *in);
/* The writer's turn. Fails with SL_E_TIMEOUT after ten minutes. */
SL_MUST_CHECK sl_rc sl_instance_lock(struct sl_instance *in, struct sl_err *err);
/* The same without waiting. False: another has it. */
bool sl_instance_try_lock(struct sl_instance *in);
/* Whether another session waits for the turn. Any thread may ask. */
bool sl_instance_wanted(struct sl_instance *in);
void sl_instance_unlock(struct sl_instance *in);
/* Whose lock it is, in the words of who met it: DuckDB's text names the program and its PID. */
void sl_instance_explain_lock(struct sl_err *err, const char *path, const char *text);

#endif
