/* engines.h - the engine processes of a server: the only ones that load libduckdb.
 *
 * A DuckDB file is held by one process, so all syncs into one file go to the engine process of that file; destinations that
 * take many writers get a process per sync. A process is the program `exe` started as `exe _engine` with its control socket as
 * fd 3 (worker/engine_main.h). Each session has a socket pair of its own: configuration, state and the connector's socket go
 * there, events come back, rows never pass here.
 * Threads: any thread may call; a session's sink is called from the thread that called sl_engines_session().
 */
#ifndef SL_WORKER_ENGINES_H
#define SL_WORKER_ENGINES_H

#include "engine/session.h"

#include <jansson.h>

struct sl_engines;

struct sl_engines_conf {
    const char *exe; /* absolute path of the program */
    const char *
        duckdb_lib; /* absolute path; becomes the process's SLUICE_DUCKDB_LIB; NULL: as in our own environment */
    int idle_seconds;      /* an engine without a session leaves after so long; 0: 60 */
    uint64_t memory_limit; /* of one file's DuckDB, for sessions that give none; 0: the default */
};

SL_MUST_CHECK sl_rc sl_engines_new(struct sl_engines **out, const struct sl_engines_conf *conf,
                                   struct sl_err *err);

/* As sl_session_run(), in an engine process, and as there conf->fd is closed at the end. Blocks until the session has ended and its
 * engine has closed the destination, if no other session has it open. Differences: `checkpoint` comes at most ten times a second and
 * with at most the first 1,000 bytes of the state; `progress` at most twice a second; a failing `committed` is logged when it
 * returns. conf->stop is looked at every 50 ms.
 * An engine that dies: SL_E_RETRY, "the engine process was killed by signal 9 …"; *res then has the counts of the last progress,
 * commits and state of the last `committed`, and no failure. Its other sessions end the same way, the next one starts a new engine. */
SL_MUST_CHECK sl_rc sl_engines_session(struct sl_engines *en, const struct sl_session_conf *conf,
                                       struct sl_session_result *res, struct sl_err *err);

/* Looks into a warehouse, also while sessions write to it (it sees what is committed), or tests one. `location` for those that are
 * a file, `options` (else NULL) for the others. request:
 *   {"what": "tables", "schemas": ["orders_api", …], "tables": ["orders", …]}      null or absent: all
 *     → {"tables": [{"schema", "table", "rows", "live_rows", "estimated", "columns": [{"name", "type", "key"}]}]}
 *   {"what": "rows", "schema": …, "table": …, "limit": n} n up to 1,000
 *     → {"columns": [{"name", "type", "key"}, …], "rows": [["1", null, …], …], "total_rows", "live_rows", "estimated"}
 *       cells in their text form, each and all bounded (destinations/inspect.h, cell_max; about 1 MiB in all: then fewer rows)
 *   {"what": "test"}
 *     → {"tests": [{"name", "passed", "message", "hint"}]}   in their order
 * *answer is a new reference. SL_E_NOT_FOUND: no such file or table. SL_E_TIMEOUT: a warehouse elsewhere did not answer in two
 * minutes. */
SL_MUST_CHECK sl_rc sl_engines_ask(struct sl_engines *en, const char *destination,
                                   const char *location, const json_t *options,
                                   const json_t *request, json_t **answer, struct sl_err *err);

/* For `show` and tests: pid of the engine that has this location open or had it last; 0: none. */
int sl_engines_pid(struct sl_engines *en, const char *destination, const char *location);

/* Of all that live: a new array. */
json_t *sl_engines_pids(struct sl_engines *en);

/* No new sessions (SL_E_CANCELLED); running ones are stopped at once; waits up to 10 s, then kills. */
void sl_engines_stop(struct sl_engines *en);
void sl_engines_free(
    struct sl_engines *en); /* stops first; NULL is fine. No session may be running then */

#endif
