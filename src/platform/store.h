/* store.h - the memory of a server: groups, destinations, packages, connections, syncs, keys, users, audit.
 *
 * Everything is a record of some kind: a C struct described by a table of fields (store_fields.c), kept as one row. One
 * interface, so that another store (PostgreSQL, for many machines) is one more implementation of this header; today it is
 * SQLite (store_sqlite.c), one file in the data directory.
 *
 * Invariants: what sl_store_commit() returned well for survives kill -9 (Inv 4). Writes happen only between
 * sl_store_begin() and sl_store_commit(), by one thread at a time: read, change, put within one transaction cannot race.
 * Reads outside a transaction see the last committed state and never wait for a writer.
 * Ownership: records are the caller's; their strings are malloc'ed (sl_record_free). NULL strings are stored as NULL.
 * Threads: any thread may call; a transaction belongs to the thread that began it.
 * Times are UTC microseconds; 0: never.
 */
#ifndef SL_PLATFORM_STORE_H
#define SL_PLATFORM_STORE_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct sl_store;

enum sl_kind {
    SL_K_GROUP,
    SL_K_DESTINATION,
    SL_K_PACKAGE,
    SL_K_DEPLOYMENT,
    SL_K_CONNECTION,
    SL_K_SYNC,
    SL_K_STATE,
    SL_K_ACTIVE,
    SL_K_KEY,
    SL_K_USER,
    SL_K_AUDIT,
    SL_K_SESSION,
    SL_K_COUNT
};

/* Every record begins with these three: its id; `seq`, which the store assigns and lists are ordered by (never used twice); and
 * whether it is light: read without its large texts, which are NULL. A light record cannot be put back. */
struct sl_group {
    char *id;
    int64_t seq;
    bool light;
    char *name;
    int64_t created_at;
};

/* 1:1 with its group: same id. */
struct sl_destination {
    char *id;
    int64_t seq;
    bool light;
    char *service; /* "duckdb" */
    char *region, *time_zone_offset, *setup_status;
    char *config; /* sealed JSON object, base64; opened by the vault with "destination:<id>" */
    int64_t created_at;
};

struct sl_package {
    char *id;
    int64_t seq;
    bool light;
    char *sha256; /* names the blob (packages.h) */
    char *file_name;
    int64_t size;
    char *created_by, *last_updated_by; /* user ids */
    int64_t created_at, updated_at;
};

/* Which code a connection ran since when: one more each time the code of a connection changes. */
struct sl_deployment {
    char *id; /* "<connection>:<number>" */
    int64_t seq;
    bool light;
    char *connection_id;
    int64_t number; /* 1, 2, … */
    char *package_id, *sha256, *python_version, *sdk_version;
    char *made_by, *reason; /* "deploy", "package updated", "rollback to 3" */
    int64_t created_at;
};

struct sl_connection {
    char *id;
    int64_t seq;
    bool light;
    char *group_id;
    char *service; /* "connector_sdk" */
    char *schema;  /* the name; unique in its group, never changes */
    char *created_by;
    int64_t created_at;
    /* what runs */
    char *package_id;     /* NULL: none yet */
    char *python_version; /* "3.12" */
    char *naming;         /* "FIVETRAN_NAMING" or "SOURCE_NAMING" */
    char *secrets;        /* sealed JSON object of strings; vault context "connection:<id>" */
    char *options; /* JSON: fields of clients that are kept and given back (networking_method, …) */
    int64_t memory_limit; /* bytes; 0: the server's default */
    int64_t deadline_s;   /* of one sync; 0: the server's default */
    bool durable;         /* every checkpoint waits for its commit */
    /* schedule */
    bool paused;
    int64_t sync_frequency; /* minutes: 1 … 1440 */
    char *schedule_type;    /* "auto" or "manual" */
    char *daily_sync_time;  /* "14:00" with 1440, else NULL */
    int64_t next_run_at;    /* the slot that is due next; 0: none (paused, manual) */
    char *requested; /* a run asked for and not yet claimed: see enum sl_trigger; NULL: none */
    char *requested_by;
    int64_t requested_at;
    char *
        resync_tables; /* JSON array ["schema.table", …] of a table re-sync that is asked for; NULL: none */
    bool historical; /* the next sync starts from an empty state */
    /* what became of it */
    /* "untested" (it may sync; clients see "incomplete"), "incomplete", "connected", "broken" */
    char *setup_state;
    char *setup_tests;    /* JSON array [{title,status,message,details}] */
    char *tasks;          /* JSON array [{code,message}]: what a person must mend */
    char *warnings;       /* JSON array */
    char *running_sync;   /* id of the sync that runs now; NULL: none (Inv 3: at most one) */
    int64_t succeeded_at; /* strictly rising, both; set together with the end of running_sync */
    int64_t failed_at;
    int64_t failures;        /* in a row */
    int64_t rescheduled_for; /* 0: not rescheduled */
    int64_t nsyncs;
    /* data */
    char *state;          /* copy of the committed state in the warehouse; NULL: none yet */
    char *state_override; /* what PATCH state set and no sync has taken up yet; NULL: none */
    char *catalog;        /* JSON: what is known of its schemas (catalog.h); NULL: nothing yet */
    char *schema_config;  /* JSON: what users chose: enabled, schema_change_handling; NULL: all */
};

struct sl_sync_record {
    char *id; /* UUID */
    int64_t seq;
    bool light;
    char *connection_id;
    int64_t number; /* 1, 2, … of the connection */
    char *trigger;  /* enum sl_trigger */
    char *status;   /* RUNNING, SUCCESSFUL, FAILURE, FAILURE_WITH_TASK, RESCHEDULED, CANCELED */
    char *stage;    /* while it runs: "environment", "connector", … */
    char *epoch;    /* of the server process that runs it: a fencing token */
    int64_t scheduled_for, started_at, finished_at;
    int64_t merged; /* further slots that had passed and were merged into this one */
    bool historical;
    char *tables;        /* JSON array of names: only these (table re-sync); NULL: all */
    char *reason, *hint; /* of a failure: one sentence each */
    char *detail; /* JSON: {code, phase, type, file, line, function, traceback, output}; redacted */
    char *sha256, *python_version, *sdk_version;
    char *counts;       /* JSON: counts.h */
    char *table_counts; /* JSON array */
    char *stages;       /* JSON: microseconds per stage */
    char *walls;        /* what stood around the connector */
    int64_t peak_memory, bytes, checkpoints;
    char *state; /* committed at its end */
};

/* The last 50 committed states of a connection. */
struct sl_state_record {
    char *id; /* "<connection>:<seq>" given by the caller */
    int64_t seq;
    bool light;
    char *connection_id, *sync_id;
    int64_t created_at;
    char *state;
};

/* Distinct keys changed, by month and table: exact within a sync, summed over syncs an upper bound. */
struct sl_active {
    char *id; /* "<connection>:<month>:<schema>.<table>" */
    int64_t seq;
    bool light;
    char *connection_id, *month /* "2026-11" */, *schema, *table_name;
    int64_t rows;
};

struct sl_key {
    char *id; /* the key itself: 16 hex digits */
    int64_t seq;
    bool light;
    char *name;
    char *hash; /* of the secret (keys.h) */
    char *role; /* "viewer", "operator", "admin" */
    char *user_id;
    int64_t created_at, last_used_at, revoked_at;
};

struct sl_user {
    char *id;
    int64_t seq;
    bool light;
    char *email, *given_name, *family_name, *role;
    char *password; /* Argon2id; NULL: cannot log in */
    int64_t created_at, logged_in_at;
    bool active;
};

struct sl_audit {
    char *id; /* UUID */
    int64_t seq;
    bool light;
    int64_t created_at;
    char *actor;  /* "key:<id>", "user:<id>", "server" */
    char *action; /* "connection.pause", … */
    char *subject_kind, *subject_id;
    char *detail; /* JSON; never a secret */
};

/* A login of the dashboard (sessions.h). */
struct sl_session {
    char *id; /* hash of the token */
    int64_t seq;
    bool light;
    char *user_id;
    int64_t created_at, last_used_at, expires_at;
};

/* Why a sync runs. Stored as these words. */
#define SL_TRIGGER_SCHEDULE "schedule"
#define SL_TRIGGER_API "api"
#define SL_TRIGGER_INITIAL "initial"
#define SL_TRIGGER_RESYNC "resync"
#define SL_TRIGGER_RETRY "retry"
#define SL_TRIGGER_RESUME "resume" /* after a restart of the server, or rescheduled */

/* Opens <dir>/sluice.db, creating it; brings an older one up to date (forward-only numbered migrations, one transaction each,
 * after a copy of the file beside it). A newer one is refused: SL_E_CONFIG. */
SL_MUST_CHECK sl_rc sl_store_open(struct sl_store **out, const char *dir, struct sl_err *err);
void sl_store_close(struct sl_store *st); /* NULL is fine */

/* One writer at a time; waits for its turn (30 s, then SL_E_TIMEOUT). No nesting. */
SL_MUST_CHECK sl_rc sl_store_begin(struct sl_store *st, struct sl_err *err);
/* The same with a wait of at most `wait_us`, for what can as well be left undone. */
SL_MUST_CHECK sl_rc sl_store_begin_within(struct sl_store *st, int64_t wait_us, struct sl_err *err);
/* Ends the transaction, also when it fails: then nothing of it was kept. */
SL_MUST_CHECK sl_rc sl_store_commit(struct sl_store *st, struct sl_err *err);
void sl_store_rollback(struct sl_store *st); /* without a transaction: nothing */

/* Size of the kind's struct; its name in messages: "connection". */
size_t sl_record_size(enum sl_kind kind);
const char *sl_record_name(enum sl_kind kind);
/* Frees the strings and zeroes the struct. */
void sl_record_free(enum sl_kind kind, void *rec);

/* Fills *rec (zeroed or freed before). SL_E_NOT_FOUND. */
SL_MUST_CHECK sl_rc sl_store_get(struct sl_store *st, enum sl_kind kind, const char *id, void *rec,
                                 struct sl_err *err);
/* Inserts a new record (seq is assigned and set) or replaces the one with its id. SL_E_LOCKED when a unique value is taken, with
 * the field in err->path: group name; connection schema within its group; user email (any case); number of a connection's syncs
 * and deployments. SL_E_NOT_FOUND when a record it names is not there (the group of a destination or connection, the package
 * of a connection, the connection of a deployment, sync or state). In a transaction. */
SL_MUST_CHECK sl_rc sl_store_put(struct sl_store *st, enum sl_kind kind, void *rec,
                                 struct sl_err *err);
/* SL_E_NOT_FOUND when it is not there; SL_E_LOCKED while others name it (a group with connections, a package in use). With a
 * group goes its destination, with a connection its deployments, syncs and states, with a user the sessions. In a transaction. */
SL_MUST_CHECK sl_rc sl_store_delete(struct sl_store *st, enum sl_kind kind, const char *id,
                                    struct sl_err *err);

/* What to list: records whose fields have these values, in seq order. */
struct sl_query {
    enum sl_kind kind;
    struct {
        const char *field; /* a name of the field table; NULL ends */
        const char *text;  /* the value, exactly; NULL: IS NULL */
    } where[4];
    int64_t
        after_seq; /* only those with a larger seq; descending: a smaller one. 0: from the beginning */
    bool descending;             /* newest first */
    int64_t since_us, before_us; /* with `time_field`: from … to before; 0: open */
    const char *time_field;
    int limit; /* 0: all */
    bool
        light; /* leave out the large texts, marked "large" in store_fields.c: state, state_override, catalog, schema_config of
                 * connections; state, table_counts, detail of syncs; state of states */
    /* Names of fields, ended by NULL: all others are left NULL and 0, and the records are light. NULL: all. For looking at
     * thousands of records. */
    const char *const *only;
};

/* Appends to *list (malloc'ed array of the kind's structs); sl_list_free ends it. */
struct sl_list {
    enum sl_kind kind;
    void *items;
    size_t count;
};
SL_MUST_CHECK sl_rc sl_store_list(struct sl_store *st, const struct sl_query *q,
                                  struct sl_list *list, struct sl_err *err);
void sl_list_free(struct sl_list *list);
#define SL_ITEM(list, type, i) (&((type *)(list)->items)[i])
SL_MUST_CHECK sl_rc sl_store_count(struct sl_store *st, const struct sl_query *q, int64_t *count,
                                   struct sl_err *err);
/* Deletes all that match; *count may be NULL. In a transaction. */
SL_MUST_CHECK sl_rc sl_store_delete_where(struct sl_store *st, const struct sl_query *q,
                                          int64_t *count, struct sl_err *err);

/* Connections whose run is due at `now`, longest due first: something is requested, or next_run_at has come; not running,
 * not paused (a request runs also a paused one unless it is a re-sync), set up (not "incomplete", with a package). At most
 * `limit`. */
SL_MUST_CHECK sl_rc sl_store_due(struct sl_store *st, int64_t now, int limit, struct sl_list *list,
                                 struct sl_err *err);
/* When the next of them becomes due; INT64_MAX: none. */
SL_MUST_CHECK sl_rc sl_store_next_due(struct sl_store *st, int64_t *at, struct sl_err *err);

/* Connections that a person should look at, worst first, light: broken, failing, late, rescheduled twice in a row (those not
 * paused), and not set up yet. *count: of all; at most `limit` are listed, with limit 0 they are only counted. */
SL_MUST_CHECK sl_rc sl_store_alerts(struct sl_store *st, int64_t now, int limit,
                                    struct sl_list *list, int64_t *count, struct sl_err *err);

/* Server-wide values by name ("account_id", …). *value is malloc'ed, NULL when not set. Put: in a transaction. */
SL_MUST_CHECK sl_rc sl_store_meta(struct sl_store *st, const char *name, char **value,
                                  struct sl_err *err);
SL_MUST_CHECK sl_rc sl_store_set_meta(struct sl_store *st, const char *name, const char *value,
                                      struct sl_err *err);

/* Names that begin with `prefix`, sorted; NULL-terminated, ended with sl_names_free() (runtime/file.h), also after an error. */
SL_MUST_CHECK sl_rc sl_store_meta_names(struct sl_store *st, const char *prefix, char ***names,
                                        struct sl_err *err);

/* A consistent copy of the store's file while it is in use, durably written; `path` must not exist. */
SL_MUST_CHECK sl_rc sl_store_backup(struct sl_store *st, const char *path, struct sl_err *err);

#endif
