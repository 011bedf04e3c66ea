/* proc.h - starting programs: the connector's process, and helpers such as uv and pip.
 *
 * Every program gets its own process group and no file descriptor but those named, and ends with this process where
 * the system offers that. Start programs from a thread that lives at least as long as they do: the parent-death signal comes when
 * the starting thread ends, not the process. Any thread may start programs, also while others do.
 */
#ifndef SL_RUNTIME_PROC_H
#define SL_RUNTIME_PROC_H

#include "base/buf.h"
#include "base/err.h"
#include "runtime/jail.h"
#include "runtime/redact.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <sys/types.h>

/* The environment of a program to start: a copy of ours, changed. */
struct sl_vars {
    char **list; /* NULL-terminated "NAME=value" */
    size_t count;
};

void sl_vars_copy(struct sl_vars *vars);
void sl_vars_empty(struct sl_vars *vars); /* none, instead */
void sl_vars_dup(struct sl_vars *vars, const struct sl_vars *from);
void sl_vars_set(struct sl_vars *vars, const char *name,
                 const char *value); /* value NULL removes */
void sl_vars_free(struct sl_vars *vars);

struct sl_start {
    const char *const *argv; /* argv[0] is a path or a name on PATH */
    char *const *env;        /* NULL: ours */
    const char *cwd;         /* NULL: ours */
    int pass;                /* descriptor the program gets as SL_PASS_FD, or -1 */
    int out, err;            /* its stdout and stderr */
    const struct sl_jail *
        jail; /* NULL: none. It then has a session of its own, and argv[0] and cwd are looked up inside */
};

#define SL_PASS_FD 3

/* Forks and executes. A program that cannot be executed is an error here, not an exit status. stdin is /dev/null. */
SL_MUST_CHECK sl_rc sl_start(const struct sl_start *start, pid_t *pid, struct sl_err *err);
/* Both ends close-on-exec. */
SL_MUST_CHECK sl_rc sl_pipe(int fds[2], struct sl_err *err);

struct sl_run {
    const char *const *argv;
    char *const *env;
    const char *cwd;
    int log_fd;         /* all output is copied there; -1: nowhere */
    atomic_int *stop;   /* not 0: the group is ended and the run is SL_E_CANCELLED; may be NULL */
    int64_t timeout_us; /* 0: none */
    void (*line)(void *ctx,
                 const char *line); /* each line of output; NULL: ten times a second without any */
    void *ctx;
    struct sl_jail *jail;           /* NULL: none. All in it is ended with the program */
    const struct sl_redact *redact; /* hides values in all that is given on; may be NULL */
};

/* Runs to the end. `out` (initialised, may be NULL) receives stdout and stderr together, as much as fits.
 * *status is the exit code, or 128 + signal. */
SL_MUST_CHECK sl_rc sl_run(const struct sl_run *run, struct sl_buf *out, int *status,
                           struct sl_err *err);

#endif
