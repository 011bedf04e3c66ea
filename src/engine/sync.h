/* sync.h - the inside of a session, shared by the files of this folder only.
 *
 * session.c   life of a session: open, the loop over frames, the end
 * receive.c   frames that name tables, shapes and rows → stage
 * declare.c   the SCHEMA frame → catalog
 * state.c     which state a sync starts from, and what is kept of it
 * ahead.c     staged rows of new tables → destination, before their checkpoint has come
 * commit.c    stage → destination, in one transaction with the state
 * report.c    the counts: that they agree, and what is told of each table
 */
#ifndef SL_ENGINE_SYNC_H
#define SL_ENGINE_SYNC_H

#include "destinations/destination.h"
#include "engine/ahead.h"
#include "engine/filter.h"
#include "engine/session.h"
#include "engine/shape.h"
#include "engine/stage.h"
#include "wire/frame.h"

#include <jansson.h>

/* Largest state. A state travels with every checkpoint and is kept 50 times. */
#define SL_STATE_MAX ((size_t)64 << 20)

struct sl_sync {
    const struct sl_session_conf *conf;
    struct sl_session_result *res;
    struct sl_counts *n; /* res->counts */
    struct sl_frames in;
    struct sl_dest *dest;
    json_t *options; /* the destination's; NULL: none */
    struct sl_catalog cat;
    struct sl_saved_state saved; /* as in the destination */
    struct sl_spool spool;
    struct sl_ahead *ahead; /* NULL: the destination cannot */
    struct sl_shapes shapes;
    struct sl_filter *filter; /* NULL: all is wanted */
    struct sl_buf state;      /* of the last checkpoint, or the one the sync started with */
    bool hello, schema, done;
    bool checkpointed;  /* since the last commit */
    bool commit_failed; /* the destination would not take it: trying the same again is pointless */
    int64_t first_checkpoint_us; /* the first one not committed; monotonic */
    int64_t stop_sent_us;        /* 0: no STOP was sent */
    int64_t first_commit_us;     /* UTC, just before the first transaction; 0: none yet */
    uint64_t commit_bytes, commit_us, slice_bytes, ahead_bytes, ahead_us;
    uint64_t value_max; /* bytes of one value in the destination */
    bool ahead_in_turn; /* frames wait for each chunk: in tests */
    char last_op[300];  /* for messages about silence */
};

void sl_sync_log(struct sl_sync *s, enum sl_level level, enum sl_origin from, const char *fmt, ...)
    SL_PRINTF(4, 5);

/* receive.c */
SL_MUST_CHECK sl_rc sl_receive_table(struct sl_sync *s, const struct sl_frame *f,
                                     struct sl_err *err);
SL_MUST_CHECK sl_rc sl_receive_shape(struct sl_sync *s, const struct sl_frame *f,
                                     struct sl_err *err);
SL_MUST_CHECK sl_rc sl_receive_row(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_receive_truncate(struct sl_sync *s, const struct sl_frame *f,
                                        struct sl_err *err);
/* Notes the values of everything staged anew: after rows were discarded, what they showed is not known any more. */
SL_MUST_CHECK sl_rc sl_receive_again(struct sl_sync *s, struct sl_err *err);
/* declare.c */
SL_MUST_CHECK sl_rc sl_declare(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err);
/* A table that schema() does not name: keyed by its content. */
SL_MUST_CHECK sl_rc sl_declare_undeclared(struct sl_table *t, struct sl_err *err);
/* state.c */
SL_MUST_CHECK sl_rc sl_state_choose(struct sl_sync *s, struct sl_err *err);
/* Hex SHA-256 of a state's text without surrounding blanks. */
void sl_state_digest(const char *text, size_t len, char out[65]);
/* commit.c: everything staged, with the state of the last checkpoint. */
SL_MUST_CHECK sl_rc sl_commit(struct sl_sync *s, struct sl_err *err);
/* report.c: each call read has come to one thing. After a sync that went well. */
SL_MUST_CHECK sl_rc sl_report_check(const struct sl_sync *s, struct sl_err *err);
/* Gives the tables and the catalog to the sink. */
void sl_report_tables(struct sl_sync *s);
void sl_report_catalog(struct sl_sync *s);
/* Adds `more` to `n`. */
void sl_row_counts_add(struct sl_row_counts *n, const struct sl_row_counts *more);

#endif
