/* destination.h - what the engine needs of a warehouse. One folder per destination, one line in registry.c
 * (docs/destinations.md tells how to write one).
 *
 * The order of calls within one commit is fixed by the engine:
 *   begin → evolve (all tables) → apply (tables, slices) → save_state → commit, or rollback at any point.
 * evolve comes before apply because some warehouses cannot alter a table after changing its rows in one transaction.
 * Without caps.transactional_ddl it comes before begin: evolve (all tables) → begin → apply … Each evolve then stands by itself,
 * the catalog's rows included, and is called again when the transaction is repeated or the session died in between: it must find
 * its work done, wholly or in part, and go on.
 * A destination with begin_ahead (and transactional_ddl) may get, before the commit is due: begin_ahead → evolve of an empty
 * table, apply of it or of one that need not be altered, chunk by chunk, table by table. The commit then goes on in that
 * transaction with the rest (its evolve leaves these tables out), or rolls it back and begins anew.
 * Waiting and repeating live in the engine only: a destination answers what happened and returns.
 * Threads: a struct sl_dest is used by one thread at a time, not always the same (wanted() apart). What sessions of one process
 * share (a DuckDB file) is the destination's own business.
 */
#ifndef SL_DESTINATIONS_DESTINATION_H
#define SL_DESTINATIONS_DESTINATION_H

#include "base/buf.h"
#include "destinations/options.h"
#include "model/cell.h"
#include "model/schema.h"

#include <stdatomic.h>

struct sl_dest;
struct sl_inspect;
struct sl_inspect_scope;

struct sl_dest_conf {
    const char *location;  /* DuckDB: the file */
    const json_t *options; /* checked and complete: read by sl_option() and its sisters */
    const atomic_int
        *stop; /* may be NULL; above 1: what waits for the warehouse gives up (SL_E_CANCELLED) */
    const char *spill_dir;  /* for temporary files of the destination's library */
    const char *connection; /* whose state: "tester" */
    uint64_t memory_limit;  /* bytes; 0: the destination's default */
    uint32_t block_size;    /* of a file it creates, in bytes; 0: the destination's default */
};

enum sl_flush {
    SL_FLUSH_OK,
    SL_FLUSH_RETRY,  /* nothing was committed; worth repeating */
    SL_FLUSH_FATAL,  /* nothing was committed; not worth repeating */
    SL_FLUSH_UNKNOWN /* ask resolve() */
};

/* One row after folding: at most one per key. */
enum sl_row_kind {
    SL_ROW_REPLACE, /* insert it, or replace the row with its key; cells without a value are NULL */
    SL_ROW_PATCH    /* change the given columns of a live row; cells not given are ABSENT */
};

struct sl_row {
    enum sl_row_kind kind;
    bool dead;                   /* leaves the row soft-deleted */
    const struct sl_cell *cells; /* one per column of the table, converted to its `next` type */
};

/* The folded rows of one slice of one table. next() lends a row until the next call; rewind() begins again from the first. */
struct sl_rows {
    const struct sl_table *table;
    uint64_t nreplace, npatch; /* how many of each will come */
    uint64_t bytes;            /* about how many bytes of values */
    bool
        ascending; /* only live REPLACE rows, their single LONG key rising from first_key on, none beyond last_key */
    int64_t first_key, last_key;
    bool
        truncate; /* every row of the table that is not a live REPLACE of this slice becomes deleted */
    /* Returns 1 and a row, 0 at the end, or a negative code. */
    int (*next)(struct sl_rows *rows, struct sl_row *row, struct sl_err *err);
    void (*rewind)(struct sl_rows *rows);
};

/* What apply did. */
struct sl_applied {
    uint64_t inserted, updated, deleted, unchanged, missed;
    uint64_t replaced; /* values it had to alter: counted and told, never silent (Inv 6) */
    uint64_t
        held; /* bytes of the destination's memory that only the commit gives back; part of a transaction's bound */
};

struct sl_saved_state {
    bool found;
    char *state;   /* malloc'ed */
    char *batch;   /* malloc'ed: id of the last committed batch */
    char *mirrors; /* malloc'ed: hex SHA-256 of the last mirrors, separated by spaces */
    bool partial;  /* rows of an unfinished interval are ahead of the state */
    bool again;    /* save_state: the same state as before, no entry of its own in the history */
};

/* What a warehouse can do, and its limits; the engine keeps to them, so that apply never meets what does not fit. 0: no limit. */
struct sl_caps {
    bool many_writers;      /* several processes may write at once */
    bool transactional_ddl; /* evolve within the transaction */
    bool
        ahead_unseen; /* begin_ahead is for tables that the transaction makes: those others see are used for as short as can be */
    bool native_json;
    bool
        nul_in_text; /* keeps U+0000; else the engine makes it U+FFFD, in JSON's escapes too, and counts */
    size_t name_max; /* bytes */
    const char *
        reserved; /* column names it keeps for itself, in lower case: "ctid|xmin". They get a suffix; NULL: none */
    uint64_t value_max; /* bytes of one text, binary or JSON value */
    uint64_t state_max; /* bytes of a state; 0: the engine's own limit */
    int columns_max;    /* of a table, the two system columns included */
};

/* One setup test's outcome: err.code 0 is a pass. */
struct sl_test {
    const char *name; /* "Permissions", static */
    struct sl_err
        err; /* text: what was found; hint: what to do, with the statement that grants what is missing */
};

struct sl_tests {
    struct sl_test list[12];
    size_t count;
};

/* Adds one outcome and returns rc, so that a test ends at its first failure: err is taken if rc is not 0. */
sl_rc sl_tests_add(struct sl_tests *tests, const char *name, sl_rc rc, const struct sl_err *err);

struct sl_dest_ops {
    const char *name;  /* the service's name in the API and in destination files: "postgres" */
    const char *title; /* "PostgreSQL"; NULL: not offered to users */
    const char *also;  /* services of other APIs that are this one: "a|b"; NULL: none */
    struct sl_caps caps;
    /* Ends with an entry without a name; NULL: none. Validation, the setup form and the docs come from it. */
    const struct sl_option *options;
    /* What a user wants to know before the first sync: reachable, login, permissions, …, in that order, without leaving anything
     * behind. NULL: tests are the caller's business (DuckDB's file). */
    void (*test)(const struct sl_dest_conf *conf, struct sl_tests *tests);
    /* A read-only look for `show` and the dashboard (destinations/inspect.h). With conf->connection only at what that one has loaded,
     * where the warehouse is shared with others. NULL: cannot be looked into. */
    sl_rc (*inspect)(struct sl_inspect **out, const struct sl_dest_conf *conf,
                     const struct sl_inspect_scope *scope, struct sl_err *err);
    /* Opens and creates the bookkeeping if needed. SL_E_LOCKED with the holder's name and PID, SL_E_UNREACHABLE, … */
    sl_rc (*open)(struct sl_dest **out, const struct sl_dest_conf *conf, struct sl_err *err);
    void (*close)(struct sl_dest *d);
    /* Reads the catalog and the state of the connection. */
    sl_rc (*load)(struct sl_dest *d, struct sl_catalog *cat, struct sl_saved_state *state,
                  struct sl_err *err);
    /* Facts about values stored in a column, asked for only where the join of types depends on them. */
    sl_rc (*stored)(struct sl_dest *d, const struct sl_table *t, const struct sl_column *c,
                    struct sl_stored *out, struct sl_err *err);
    /* Whether a batch this large can be applied; called before anything is written. NULL: always. */
    sl_rc (*admit)(struct sl_dest *d, const struct sl_table *t, uint64_t rows, uint64_t bytes,
                   struct sl_err *err);
    sl_rc (*begin)(struct sl_dest *d, struct sl_err *err);
    /* Like begin, but does not wait for another writer: *begun stays false then. NULL: everything waits for the commit. */
    sl_rc (*begin_ahead)(struct sl_dest *d, bool *begun, struct sl_err *err);
    /* With begin_ahead: whether somebody waits for this transaction to end. Any thread may ask. */
    bool (*wanted)(struct sl_dest *d);
    /* Creates the table, adds columns, changes types: from column->type to column->next. Writes the catalog. A value whose column
     * becomes STRING or JSON is rewritten in the text form of model/cell.h. */
    sl_rc (*evolve)(struct sl_dest *d, const struct sl_table *t, struct sl_err *err);
    sl_rc (*apply)(struct sl_dest *d, struct sl_rows *rows, struct sl_applied *out,
                   struct sl_err *err);
    /* Inv 1: inside the transaction that holds the rows. */
    sl_rc (*save_state)(struct sl_dest *d, const struct sl_saved_state *state, struct sl_err *err);
    enum sl_flush (*commit)(struct sl_dest *d, struct sl_err *err);
    void (*rollback)(struct sl_dest *d);
    /* After UNKNOWN: whether the batch is there. Reopens if it must, and sees to it that the lost commit cannot happen any more
     * once it has answered "no". */
    sl_rc (*resolve)(struct sl_dest *d, const char *batch, bool *committed, struct sl_err *err);
    /* Rows of the table, deleted ones too, changed by commits begun at `since_us` or later. NULL: cannot tell. */
    sl_rc (*changed_since)(struct sl_dest *d, const struct sl_table *t, int64_t since_us,
                           uint64_t *rows, struct sl_err *err);
};

/* What the engine makes of an error of evolve, apply, save_state: SL_E_RETRY and SL_E_UNREACHABLE are worth repeating. */

/* Every destination struct begins with this. */
struct sl_dest {
    const struct sl_dest_ops *ops;
};

void sl_saved_state_free(struct sl_saved_state *st);

/* By name, or NULL. */
const struct sl_dest_ops *sl_destination_find(const char *name);
/* Of a service in the API, by its name or one of those it is also known by; only those users can choose from, or NULL. */
const struct sl_dest_ops *sl_destination_service(const char *name);
/* Those users can choose from, one after the other from 0 on; NULL ends. */
const struct sl_dest_ops *sl_destination_offered(int i);

#endif
