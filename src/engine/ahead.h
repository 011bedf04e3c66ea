/* ahead.h - rows go to the destination while more of them come, in a transaction that their checkpoint will commit
 * (docs/decisions/0012-apply-ahead.md).
 *
 * For a table that gets upserts with a rising LONG key, a thread of its own applies what is staged, chunk by chunk; a table without
 * rows is made, or changed, for the types seen so far, one that has rows must not change. Staged rows are kept all the same
 * until the commit. Whatever contradicts what was applied (a type widens, a column is new, a key does not rise, another
 * session wants to write, …) rolls all of it back, and the commit does the whole work as if nothing had been tried.
 *
 *   READY ─look─▶ OPEN ─halt─▶ HALTED ─resume─▶ HALTED ─take─▶ TAKEN ─done─▶ OVER ─end─▶ READY
 *                   └──────────────┴──────drop──────┴──────────────┴─────────▶ OVER
 *
 * None of this can fail a sync: an error here only means that the ordinary way is taken.
 * Threads: all functions are the session's thread's. While a chunk is in its hands the worker uses the destination, and reads
 * tables, columns and shapes: before they change, sl_ahead_pause().
 */
#ifndef SL_ENGINE_AHEAD_H
#define SL_ENGINE_AHEAD_H

#include "model/schema.h"

struct sl_ahead;
struct sl_sync;

/* Below this many staged bytes of a table there is nothing to win: 15,000 rows of five columns take 10 ms. */
#define SL_AHEAD_BYTES ((uint64_t)1 << 20)
/* How long a transaction may stay open for rows still to come. A source that takes longer gains nothing by it. */
#define SL_AHEAD_US ((int64_t)30 * 1000000)

/* NULL if the destination cannot do it; all functions take that. */
struct sl_ahead *sl_ahead_new(struct sl_sync *s);
void sl_ahead_free(struct sl_ahead *a);

/* Staged bytes from which on it is worth to look. */
uint64_t sl_ahead_next(const struct sl_ahead *a);
/* Gives the worker what it can take; gives up if something speaks against it. Cheap. */
void sl_ahead_look(struct sl_ahead *a);
/* Waits until the worker has nothing in its hands: as long as the destination takes for a chunk. */
void sl_ahead_pause(struct sl_ahead *a);

/* A commit begins: the worker rests and the columns' `next` types are what they were before. */
void sl_ahead_halt(struct sl_ahead *a);
/* Types are settled: what was applied with other types is rolled back. */
void sl_ahead_resume(struct sl_ahead *a);
/* The open transaction becomes the commit's, if there is one: its rows are counted in their tables' `pending`, their bytes in
 * *bytes, and their stages' `applied` says how far they go. */
bool sl_ahead_take(struct sl_ahead *a, uint64_t *bytes);
/* Whether the transaction taken has rows of this table. */
bool sl_ahead_has(const struct sl_ahead *a, const struct sl_table *t);
/* The transaction taken is committed. */
void sl_ahead_done(struct sl_ahead *a);
/* Rolls back what is open, forgets what was taken; not tried again in this interval. */
void sl_ahead_drop(struct sl_ahead *a);
/* The interval is committed, its stages are about to go. */
void sl_ahead_end(struct sl_ahead *a);

#endif
