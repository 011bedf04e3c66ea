/* fold.h - several operations on one key become one row (semantics: fold in stream order).
 *
 * A fold takes the staged operations of one table from an offset on, up to a bound of bytes, and gives what is left of them as
 * struct sl_rows: at most one row per key. Two passes over the stage: the first finds, by a 128-bit hash of each key in its
 * widened type, which operation is the last of its key; the second reads the rows again in order and emits those.
 * tests/faults/fold_model.py is the same in a few lines of Python, and a property test compares the two.
 *
 * Ownership: sl_fold_free() ends it; the rows it lends die with the next call or the fold.
 */
#ifndef SL_ENGINE_FOLD_H
#define SL_ENGINE_FOLD_H

#include "destinations/destination.h"
#include "engine/session.h"
#include "engine/shape.h"
#include "engine/stage.h"

struct sl_fold {
    struct sl_rows rows;  /* first: a destination gets &fold->rows */
    uint64_t next_offset; /* where the next slice begins */
    bool more;            /* there is one */
    uint64_t duplicates, missed;
    uint64_t replaced; /* U+0000 made U+FFFD in the rows given so far */
    struct sl_fold_state *state;
};

/* Pass 1 over `st` from `offset`, at most `max_bytes` (with SL_STAGE_ROW_COST an operation; at least one record). Without keep_nul
 * keys and rows are those of a destination that has no U+0000. */
SL_MUST_CHECK sl_rc sl_fold_open(struct sl_fold *fold, struct sl_spool *sp, struct sl_stage *st,
                                 struct sl_shapes *shapes, uint64_t offset, uint64_t max_bytes,
                                 bool keep_nul, struct sl_err *err);
void sl_fold_free(struct sl_fold *fold);
/* The key of a row of a stage that is `ascending`. */
int64_t sl_fold_key(const struct sl_shapes *shapes, const struct sl_frame *f);

#endif
