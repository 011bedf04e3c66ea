/* stage.h - rows of one sync that are not committed yet, table by table, in stream order, bounded in memory.
 *
 * Records are the frames as they came. They gather in one buffer per table; when all buffers together pass the budget, all go
 * to one unlinked spill file, each as an extent. Offsets within a stage count over its extents and then its buffer.
 * Nothing is left behind by a kill: the file has no name.
 * Ownership: sl_spool_init() … sl_spool_free(); a stage belongs to its spool and lives as long.
 * Threads: one session.
 */
#ifndef SL_ENGINE_STAGE_H
#define SL_ENGINE_STAGE_H

#include "base/buf.h"
#include "model/schema.h"
#include "wire/frame.h"

/* What one staged operation costs beside its bytes: its place in the fold (engine/fold.c). Counted as staged bytes so that
 * tiny rows are bounded too. */
#define SL_STAGE_ROW_COST 48

struct sl_extent {
    uint64_t at; /* in the spill file */
    uint64_t len;
};

struct sl_stage {
    struct sl_table *table;
    struct sl_extent *extents;
    size_t nextents;
    uint64_t spilled; /* bytes in extents */
    struct sl_buf tail;
    uint64_t
        applied; /* bytes of it that the open transaction, or one of this interval, has (ahead.c) */
    uint64_t ops; /* operations staged */
    uint64_t upserts, updates, deletes, truncates;
    bool
        ascending; /* only upserts so far, their single LONG key strictly rising: no two share a key */
    int64_t first_key, last_key;
    /* What a checkpoint has covered. */
    struct {
        uint64_t bytes, ops, upserts, updates, deletes, truncates;
        bool ascending;
        int64_t last_key;
    } sealed;
    bool touched; /* since the last checkpoint */
};

struct sl_spool {
    const char *dir;
    int fd; /* -1 until the first spill */
    uint64_t file_size;
    uint64_t budget; /* bytes all tails may hold */
    uint64_t in_memory;
    uint64_t bytes; /* staged in all, with SL_STAGE_ROW_COST an operation */
    uint64_t ops;
    uint64_t sealed_bytes, sealed_ops;
    struct sl_stage **stages;
    size_t nstages;
    struct sl_stage **touched;
    size_t ntouched;
};

void sl_spool_init(struct sl_spool *sp, const char *dir, uint64_t budget);
void sl_spool_free(struct sl_spool *sp);

/* The table's stage, made at its first use. */
struct sl_stage *sl_spool_stage(struct sl_spool *sp, struct sl_table *t);
/* Appends one frame (its header lies before f->ptr). Counting is the caller's: st->upserts and so on. */
SL_MUST_CHECK sl_rc sl_stage_append(struct sl_spool *sp, struct sl_stage *st,
                                    const struct sl_frame *f, struct sl_err *err);
/* A checkpoint: everything staged so far may be committed. */
void sl_spool_seal(struct sl_spool *sp);
/* Drops what came after the last checkpoint. Returns the number of operations dropped. */
uint64_t sl_spool_discard_unsealed(struct sl_spool *sp);
/* After a commit: empty again. */
void sl_spool_clear(struct sl_spool *sp);

/* Sequential reader over one stage. */
struct sl_stage_reader {
    struct sl_spool *sp;
    struct sl_stage *st;
    uint64_t at; /* offset of the next record */
    char *window;
    size_t cap;
    uint64_t begin, end; /* stage offsets the window holds */
    size_t extent;       /* that `at` lies in */
    uint64_t extent_at;  /* its first offset */
};

void sl_stage_reader_init(struct sl_stage_reader *r, struct sl_spool *sp, struct sl_stage *st,
                          uint64_t at);
void sl_stage_reader_free(struct sl_stage_reader *r);
/* Lends the next record until the next call. Returns 1, 0 at the end, or a negative code. */
int sl_stage_reader_next(struct sl_stage_reader *r, struct sl_frame *f, struct sl_err *err);
/* Reads the record at one offset into `buf` (overwritten). */
SL_MUST_CHECK sl_rc sl_stage_fetch(struct sl_spool *sp, struct sl_stage *st, uint64_t at,
                                   struct sl_buf *buf, struct sl_frame *f, struct sl_err *err);

#endif
