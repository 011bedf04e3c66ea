/* fault.h - named crash points, in builds made with -Dfaults=true.
 *
 * SL_FAULT=point[:n]=kill|eio|enospc|oom|hang makes the n-th visit (default 1st) of a point act:
 * kill ends the process by SIGKILL, hang sleeps for ever, the others make the point return an error.
 * SL_FAULT_POINT(name) evaluates to 0 or to a negative sl_code; in other builds to the constant 0.
 * `fivetran faults` lists the points; the tests enumerate them from there.
 */
#ifndef SL_BASE_FAULT_H
#define SL_BASE_FAULT_H

#include "base/err.h"

/* The one list of points. A point named in code must stand here and the other way round (tested).
 * First those of a sync's engine, which `fivetran faults` lists. */
#define SL_FAULT_ENGINE_LIST(X)                                                                    \
    X(session_started)                                                                             \
    X(frame_read)                                                                                  \
    X(stage_append)                                                                                \
    X(stage_spill)                                                                                 \
    X(checkpoint_seen)                                                                             \
    X(ahead_begun)                                                                                 \
    X(ahead_applied)                                                                               \
    X(ahead_dropped)                                                                               \
    X(ahead_taken)                                                                                 \
    X(commit_begin)                                                                                \
    X(commit_evolved)                                                                              \
    X(commit_applied_table)                                                                        \
    X(commit_slice_done)                                                                           \
    X(commit_state_written)                                                                        \
    X(commit_before)                                                                               \
    X(commit_after)                                                                                \
    X(file_written)                                                                                \
    X(mirror_before)                                                                               \
    X(mirror_after)                                                                                \
    X(session_end)

/* Then those of the server, which `sluiced faults` lists. */
#define SL_FAULT_SERVER_LIST(X)                                                                    \
    X(store_begin)                                                                                 \
    X(store_before_commit)                                                                         \
    X(store_after_commit)                                                                          \
    X(migrate_begin)                                                                               \
    X(migrate_before_commit)                                                                       \
    X(migrate_after_commit)                                                                        \
    X(upload_written)                                                                              \
    X(upload_checked)                                                                              \
    X(upload_kept)                                                                                 \
    X(vault_rotate_both)                                                                           \
    X(vault_rotate_sealed)                                                                         \
    X(vault_rotate_committed)                                                                      \
    X(claim_before)                                                                                \
    X(sync_prepared)                                                                               \
    X(record_before)

#define SL_FAULT_LIST(X)                                                                           \
    SL_FAULT_ENGINE_LIST(X)                                                                        \
    SL_FAULT_SERVER_LIST(X)

enum sl_fault {
#define X(name) SL_FAULT_##name,
    SL_FAULT_LIST(X)
#undef X
        SL_FAULT_COUNT
};

#define SL_FAULT_ONE(name) +1
#define SL_FAULT_ENGINE_COUNT (0 SL_FAULT_ENGINE_LIST(SL_FAULT_ONE))

#ifdef SL_FAULTS
sl_rc sl_fault_hit(enum sl_fault point, struct sl_err *err);
#define SL_FAULT_POINT(name, err) sl_fault_hit(SL_FAULT_##name, (err))
#else
#define SL_FAULT_POINT(name, err) (0)
#endif

/* The name of point i < SL_FAULT_COUNT. Static. */
const char *sl_fault_name(int i);

#endif
