/* worker.h - runs what is due: the scheduler, and the syncs it starts.
 *
 * scheduler.c   one thread: claims due connections from the store while there is a free place, sleeps until the next is due
 * sync.c        one thread per running sync: environment → connector in its jail → session in an engine process → its record
 * setup.c       the setup tests of a connection: the same way as far as schema(), and those of its configuration form
 * form.c        the form of a connection, and its tests alone
 * look.c        looks into warehouses, and tests of them
 * engines.c     engine processes
 *
 * Only the store says what is to run: the API changes records there and calls sl_worker_wake(). At most one sync per
 * connection (running_sync, set by the claim; Inv 3), fenced by the epoch of this server process: a result is recorded only
 * while the record still carries it.
 * Threads: any thread may call.
 */
#ifndef SL_WORKER_WORKER_H
#define SL_WORKER_WORKER_H

#include "platform/platform.h"
#include "runtime/jail.h"

#include <jansson.h>

struct sl_worker;

struct sl_worker_conf {
    int places; /* syncs at once; 0: 4 */
    enum sl_sandbox sandbox;
    uint64_t memory;            /* of a connector; 0: 1 GiB */
    int64_t deadline_s;         /* of a sync; 0: 2 h */
    uint64_t engine_memory;     /* of one warehouse's engine; 0: its default */
    bool allow_drivers;         /* run drivers/installation.sh of packages */
    bool allow_any_requirement; /* indexes, URLs, options in requirements.txt */
};

/* Sweeps what an earlier process left, ends its running syncs as interrupted (their slots are due again), starts. */
SL_MUST_CHECK sl_rc sl_worker_start(struct sl_worker **out, struct sl_platform *pf,
                                    const struct sl_worker_conf *conf, struct sl_err *err);
/* Something in the store may have become due. */
void sl_worker_wake(struct sl_worker *w);
/* Asks the connection's running sync to end and waits until it has: softly (it commits at its next checkpoint) for
 * `soft_us`, then at once. SL_OK also when none runs; SL_E_TIMEOUT after 60 s. The sync ends CANCELED with `why`; who waits for its end
 * sees failed_at rise, unless it is `replaced`: another follows at once. */
SL_MUST_CHECK sl_rc sl_worker_cancel(struct sl_worker *w, const char *connection_id,
                                     const char *why, bool replaced, int64_t soft_us,
                                     struct sl_err *err);
/* Runs the setup tests now, in the calling thread (a minute or more for a new environment), and records setup_state, setup_tests
 * and the catalog. *tests: new reference, a JSON array [{title,status,message,details}]. A failed test is not an error. */
SL_MUST_CHECK sl_rc sl_worker_setup_test(struct sl_worker *w, const char *connection_id,
                                         json_t **tests, struct sl_err *err);
/* Runs tests of the connection's configuration form now, in the calling thread, with its stored values and `values` (an object, NULL:
 * none) on top: the one named, or all. *results: new reference, [{name,label,passed,message}]; a test that failed, or whose connector
 * does not run, is no error. SL_E_NOT_FOUND: no such test. Nothing is recorded. */
SL_MUST_CHECK sl_rc sl_worker_form_tests(struct sl_worker *w, const char *connection_id,
                                         const char *name, const json_t *values, json_t **results,
                                         struct sl_err *err);
/* Looks into a group's warehouse: what sl_engines_ask() takes and gives. SL_E_USAGE: this kind of destination cannot answer. */
SL_MUST_CHECK sl_rc sl_worker_look(struct sl_worker *w, const char *group_id, const json_t *request,
                                   json_t **answer, struct sl_err *err);
/* Runs the tests that a destination brings (sl_dest_ops.test), in the calling thread. *tests: as sl_engines_ask() gives them, a new
 * reference. Nothing is recorded. */
SL_MUST_CHECK sl_rc sl_worker_destination_test(struct sl_worker *w, const char *group_id,
                                               json_t **tests, struct sl_err *err);
/* What runs: new reference, an array of {sync_id, connection_id, stage, started_at, rows}; for events and `show`. */
json_t *sl_worker_running(struct sl_worker *w);
/* How it is: new reference, {places, sandbox: "best", engines: [pid, …]}. */
json_t *sl_worker_health(struct sl_worker *w);
/* Changes with every event of a sync (start, stage, progress, end); waits until it differs from `seen` or the time-out. */
uint64_t sl_worker_watch(struct sl_worker *w, uint64_t seen, int64_t timeout_us);
/* Minor versions of Python found, newest last: "3.9", …; NULL-terminated, lent. */
const char *const *sl_worker_pythons(struct sl_worker *w);
/* No new syncs; running ones commit at their next checkpoint and end as interrupted within `grace_us`, then at once. */
void sl_worker_stop(struct sl_worker *w, int64_t grace_us);
void sl_worker_free(struct sl_worker *w);

#endif
