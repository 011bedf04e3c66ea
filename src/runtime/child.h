/* child.h - the connector's process: its start, its output, its end.
 *
 * Threads: start from a thread that lives until sl_child_end() has returned (the parent-death signal comes when the starting thread
 * ends), end from any one thread. One thread of the child's reads its output and hands it, redacted by
 * nobody yet, to `output`; one waits for its exit, so that the process id stays ours until sl_child_end().
 */
#ifndef SL_RUNTIME_CHILD_H
#define SL_RUNTIME_CHILD_H

#include "base/buf.h"
#include "base/err.h"
#include "runtime/jail.h"
#include "runtime/proc.h"

#include <stdbool.h>

struct sl_child;

struct sl_child_conf {
    const char *python;   /* the environment's python */
    const char *sdk_path; /* goes to the front of PYTHONPATH */
    const char *venv;     /* the environment's folder; NULL without isolation */
    const char *project;
    bool
        safe_path; /* its Python knows -P (3.11): a socket.py of the project does not hide Python's own */
    /* A piece of output as it was written; len 0: the stream ended. From the reading thread. */
    void (*output)(void *ctx, bool is_stderr, const char *text, size_t len);
    void *ctx;
    /* Walls around it; NULL: none. Must be able to read all of the above (sl_child_reads). Ending the child ends all in
     * the jail. The child borrows it. */
    struct sl_jail *jail;
    /* Its whole environment but for what makes Python find the SDK; NULL: a copy of ours, as under the official local run. Copied. */
    const struct sl_vars *vars;
};

/* What a connector finds in its environment on a server; nothing of the server's own. */
struct sl_child_names {
    const char *connection_id, *connection_name, *group_id;
    const char *work; /* HOME; TMPDIR is its folder tmp */
};
void sl_child_server_vars(struct sl_vars *vars, const struct sl_child_names *names);

/* Starts the connector and gives our end of its socket, which the caller owns. */
SL_MUST_CHECK sl_rc sl_child_start(struct sl_child **out, const struct sl_child_conf *conf, int *fd,
                                   struct sl_err *err);

enum sl_child_patience {
    SL_CHILD_WAIT, /* it should exit by itself within 2 s; then as SL_CHILD_STOP */
    SL_CHILD_STOP, /* TERM to the group, 10 s, KILL */
    SL_CHILD_KILL  /* KILL at once */
};

/* Waits for the exit, ends what is left of the group and reads the rest of the output. Call once. */
void sl_child_end(struct sl_child *child, enum sl_child_patience patience);
/* How it ended, in words: "killed by signal 9 (SIGKILL; out of memory?)", "exited with status 3". After the end. */
const char *sl_child_fate(const struct sl_child *child);
int sl_child_pid(const struct sl_child *child);
void sl_child_free(struct sl_child *child); /* NULL is fine; ends it if that was not done */

#endif
