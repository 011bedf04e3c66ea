/* local.h - one local sync from the socket to the last line of its report, for `debug` and for `python connector.py`. */
#ifndef SL_CLI_LOCAL_H
#define SL_CLI_LOCAL_H

#include "cli/console.h"
#include "destinations/options.h"
#include "engine/session.h"
#include "runtime/child.h"
#include "runtime/project.h"

#include <stdatomic.h>

struct sl_local {
    struct sl_project pro;
    struct sl_redact *red;
    struct sl_console *con;
    json_t *configuration;
    const json_t *form;  /* its passwords are hidden, short ones too; lent, NULL: not known */
    bool configured;     /* there was a configuration file */
    struct sl_buf state; /* explicit state; len 0: none */
    enum sl_naming naming;
    enum sl_level level;
    bool durable;
    int64_t idle_us;           /* 0: the engine's default */
    uint64_t memory;           /* 0: the engine's default */
    struct sl_child *child;    /* NULL: the connector is not ours */
    char *destination_path;    /* of --destination; NULL: the project's own warehouse */
    struct sl_dest_file dest;  /* what it says */
    const char *named_project; /* the path given on the command line; NULL: none */
    int fd;                    /* the connector's socket; -1 once handed on */

    /* While it runs. */
    struct sl_redact_stream streams[2]; /* the child's stdout and stderr */
    struct sl_buf lines[2];             /* what of each has no line end yet */
    struct sl_buf tail;                 /* its last output, redacted */
    bool printed;                       /* it wrote something itself */
    atomic_bool muted; /* the session failed by itself: what the process says now is about that */
    int64_t start_us, rate_us;
    uint64_t rate_rows, rate;
    int64_t checkpoint_us;
};

/* Ctrl-C and TERM: 1 asks for a soft stop, 2 for an end at once. */
extern atomic_int sl_stop;
/* `first`: what is said to the first one. */
void sl_catch_signals(const char *first);
#define SL_STOPS_SOFTLY "\nstopping at the next checkpoint; once more stops at once\n"
#define SL_STOPS "\nstopping\n"

void sl_local_init(struct sl_local *loc);
/* Common to both commands: --naming, --log-level. SL_E_USAGE. */
SL_MUST_CHECK sl_rc sl_local_naming(struct sl_local *loc, const char *text, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_local_level(struct sl_local *loc, const char *text, struct sl_err *err);
/* --destination FILE; NULL is fine. The mirror of its state is files/state.<name of FILE>.json: each warehouse has its own. */
SL_MUST_CHECK sl_rc sl_local_destination(struct sl_local *loc, const char *path,
                                         struct sl_err *err);
/* Takes the configuration's values into the redactor and makes the console. Call before anything is shown. */
void sl_local_open_console(struct sl_local *loc);
/* Starts the connector's process. */
SL_MUST_CHECK sl_rc sl_local_start_child(struct sl_local *loc, const char *python, const char *venv,
                                         bool safe_path, struct sl_err *err);
/* Runs the session, ends the child, reports. Gives the exit code. */
int sl_local_run(struct sl_local *loc);
/* The report of a failure before there was a session. Gives the exit code. */
int sl_local_failed(struct sl_local *loc, const struct sl_err *err);
void sl_local_free(struct sl_local *loc);

#endif
