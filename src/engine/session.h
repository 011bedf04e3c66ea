/* session.h - one sync: frames come in from a connector, rows go out to a destination, state with them.
 *
 * A session is run by one thread from start to end and owns its connection to the destination. Several sessions may
 * run in one process, each on its own thread; they share nothing but the destination's instance.
 * The session prints nothing: all it has to say goes through the sink, from the session's own thread.
 */
#ifndef SL_ENGINE_SESSION_H
#define SL_ENGINE_SESSION_H

#include "base/buf.h"
#include "base/err.h"
#include "model/schema.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Numbers of the frame protocol and of Logging.Level. */
enum sl_level { SL_DEBUG = 1, SL_FINE, SL_INFO, SL_WARNING, SL_ERROR, SL_SEVERE, SL_CRITICAL };
/* "INFO"; the same for a number that is none. Static. */
const char *sl_level_name(enum sl_level level);

enum sl_origin {
    SL_FROM_CONNECTOR, /* the connector's own log line or op.warning */
    SL_FROM_SDK,       /* the SDK library in the connector's process */
    SL_FROM_ENGINE     /* ours */
};

/* What a session counts. Calls are what the connector did; rows are what became of them in the destination. */
struct sl_counts {
    uint64_t upserts, updates, deletes, truncates, checkpoints; /* calls read by the engine */
    uint64_t schema_changes;                                    /* tables created */
    uint64_t inserted, updated, deleted, unchanged;             /* rows, after folding by key */
    uint64_t truncated;      /* of `deleted`, those that no call named: a truncate deleted them */
    uint64_t duplicates;     /* calls folded into a later one on the same key */
    uint64_t missed;         /* updates and deletes whose row was not there */
    uint64_t filtered;       /* calls on tables that are not wanted: read, checked and dropped */
    uint64_t filtered_cells; /* values of columns that are not wanted */
    uint64_t rounded, cut,
        replaced;   /* values changed: decimals, times beyond microseconds, NaN/NUL */
    uint64_t bytes; /* frame bytes of rows */
    uint64_t commits;
};

/* At the end of a sync that went well, each call read has come to one thing:
 *   upserts + updates + deletes = inserted + updated + (deleted - truncated) + unchanged + missed + duplicates + filtered
 * where `filtered` is without truncates. The session checks it. */

/* What a sync did to one table. Strings are lent for the call. */
struct sl_table_report {
    const char *source_schema, *source;            /* "" for no schema */
    const char *schema, *name;                     /* in the destination */
    uint64_t upserts, updates, deletes, truncates; /* calls read */
    struct sl_row_counts rows;                     /* committed */
    uint64_t filtered, filtered_cells;
    uint64_t active; /* distinct keys changed by this sync */
    bool exact; /* `active` is; else it is an upper bound (the destination could not be asked) */
};

/* Where a session reports to. Any function may be NULL. Text is not NUL-terminated unless it is a char pointer alone. */
struct sl_sink {
    void *ctx;
    /* One line (it may contain newlines). Not redacted: the sink does that. */
    void (*log)(void *ctx, enum sl_level level, enum sl_origin from, const char *text, size_t len);
    /* The connector answered HELLO and got START: schema() runs next. */
    void (*started)(void *ctx);
    /* schema() is done, update() runs. */
    void (*schema_done)(void *ctx);
    /* A table was created: "tester.crypto". */
    void (*table_created)(void *ctx, const char *name);
    /* The connector called op.checkpoint: number from 1, its state text. */
    void (*checkpoint)(void *ctx, uint64_t number, const char *state, size_t len);
    /* Rows and state up to checkpoint `number` are committed (0: before the first one); write the mirror. With keep_state the
     * state is the one kept. A failure becomes a warning, not the sync's failure. */
    sl_rc (*committed)(void *ctx, uint64_t number, const char *state, size_t len,
                       struct sl_err *err);
    /* About ten times a second while rows come. */
    void (*progress)(void *ctx, const struct sl_counts *now);
    /* Every table the sync named, with what is committed of it; at the end, however the sync ended. */
    void (*table)(void *ctx, const struct sl_table_report *report);
    /* All tables known, stored ones included (with schema_only: the declared ones): after schema(), and at the end. Lent for
     * the call. A table's or column's `excluded` tells that the filter keeps it out. */
    void (*catalog)(void *ctx, const struct sl_catalog *cat);
};

enum sl_naming { SL_NAMING_FIVETRAN, SL_NAMING_SOURCE };

struct sl_session_conf {
    const char *destination; /* "duckdb", "postgres", …, "null", "chaos" */
    const char *location;    /* for duckdb the file's path; its directory exists */
    struct sl_bytes options; /* JSON object of the destination's options; ptr NULL: none */
    const char *spill_dir;   /* where temporary files go; exists */
    const char *connection;  /* schema prefix: "tester", or the connection's name on a server */
    const char *mode;    /* "debug" or "sync", passed to the connector; schema_only passes "test" */
    const char *project; /* path, passed to the connector; may be NULL */
    struct sl_bytes configuration; /* JSON object of strings */
    struct sl_bytes state;         /* ptr NULL: none given. Explicit state (--state): always wins */
    struct sl_bytes mirror;        /* ptr NULL: no mirror file. Text of files/state.json as found */
    const char *mirror_name;       /* for messages: "files/state.json" */
    enum sl_naming naming;
    enum sl_level log_level; /* least level the connector sends */
    bool durable;            /* every checkpoint waits for its commit */
    bool schema_only; /* as far as schema(): no destination is opened, update() does not run */
    bool
        keep_state; /* rows are committed, the saved state stays the one before (re-sync of a table) */
    struct sl_bytes
        filter;            /* engine/filter.h: which tables and columns are wanted; ptr NULL: all */
    int64_t lock_wait_us;  /* wait so long for a destination held by another program; 0: do not */
    uint64_t memory_limit; /* bytes for the destination's library; 0: chosen by us */
    uint32_t block_size;   /* of files the destination creates; 0: its own default */
    int fd;                /* the connector's socket; the session closes it */
    int64_t hello_timeout_us; /* wait for HELLO; 0: 60 s */
    int64_t idle_timeout_us;  /* wait for the next frame; 0: 30 min */
    const struct sl_sink *sink;
    /* Set by another thread or a signal handler to stop softly: 1 sends STOP and commits at the next checkpoint,
     * 2 gives up at once. May be NULL. The session looks at it at least every 100 ms. */
    atomic_int *stop;
    /* Test knobs; 0: the defaults of semantics (64 MB, 10 s, 256 MB, 32 MB) and of engine/ahead.h. */
    uint64_t commit_bytes, commit_us, slice_bytes, buffer_bytes, ahead_bytes, ahead_us;
    bool ahead_in_turn;
};

/* What the connector said of its failure. Strings are owned by the result; any may be NULL. */
struct sl_failure {
    char *phase, *type, *message, *hint, *file, *function, *traceback;
    int line;      /* 0: unknown */
    bool has_exit; /* the connector called sys.exit(exit_code) */
    int exit_code;
    bool died; /* the socket closed without DONE or ERROR: look at the child's exit status */
    bool by_operation; /* op.error */
};

struct sl_session_result {
    struct sl_counts counts;
    struct sl_failure failure; /* set when rc is SL_E_CONNECTOR */
    char *state;               /* last committed state, or NULL */
    bool rows_discarded;       /* rows after the last checkpoint were thrown away */
    uint64_t discarded;        /* how many operations */
    /* Where the time went, in microseconds. */
    int64_t open_us;        /* opening the destination, waiting for its lock included */
    int64_t connector_us;   /* waiting for frames */
    int64_t engine_us;      /* decoding, staging, folding */
    int64_t destination_us; /* in commits; what went ahead of them was done meanwhile */
};

/* Runs the whole sync; returns when the socket is closed and the destination is closed. */
SL_MUST_CHECK sl_rc sl_session_run(const struct sl_session_conf *conf,
                                   struct sl_session_result *res, struct sl_err *err);
void sl_session_result_free(struct sl_session_result *res);
void sl_failure_free(struct sl_failure *fail); /* its strings; zeroes it */

#endif
