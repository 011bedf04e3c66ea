/* postgres.h - the PostgreSQL destination: one database, one schema per connection, bookkeeping in schema _sluice.
 *
 * connect.c   a connection: login, TLS, settings, the writer's lock; a new one when it broke
 * query.c     statements with deadlines, results
 * errors.c    SQLSTATE → code, sentence, hint
 * copy.c      rows → COPY BINARY
 * evolve.c    tables and columns follow the data
 * apply.c     folded rows into a table
 * key.c       a table's unique key
 * grants.c    the statement that gives what is missing
 * test.c      setup tests
 * inspect.c   a read-only look
 *
 * A commit is one transaction: evolve → apply → state → COMMIT. The first error inside marks it failed: only ROLLBACK is left.
 * One writer per connection (Inv 3): a session-level advisory lock held by the very connection that writes, so that a writer who
 * lost the lock has lost its transaction with it.
 */
#ifndef SL_POSTGRES_H
#define SL_POSTGRES_H

#include "destinations/books.h"
#include "destinations/destination.h"
#include "destinations/sql.h"

#include <libpq-fe.h>

extern const struct sl_dest_ops sl_postgres_ops;
extern const struct sl_option sl_pg_options[];
extern const struct sl_dialect sl_pg_dialect;

/* The unique key of a table as the server has it. */
enum sl_pg_key {
    SL_PG_KEY_UNKNOWN, /* not asked yet */
    SL_PG_KEY_NONE,
    SL_PG_KEY_PRIMARY,
    SL_PG_KEY_NULLS, /* a unique index in which NULL equals NULL (15 and later) */
    SL_PG_KEY_PLAIN  /* one in which it does not */
};

/* What is known of a table within this session. */
struct sl_pg_table {
    const struct sl_table *t;
    enum sl_pg_key key;
    bool
        made; /* by this transaction: nobody else sees it, and nothing is in it but what we put there */
    bool filled;  /* rows were put into it by this transaction */
    bool keyless; /* its key is to be built at the end of the transaction */
    bool nulls;   /* rows of this transaction have NULL in their key */
    bool rising;  /* its key is one LONG, in no row beyond last_key */
    int64_t last_key;
};

struct sl_pg {
    struct sl_dest dest;
    PGconn *conn;
    json_t *options;
    const atomic_int *stop;
    char *connection; /* whose state and catalog; NULL: only a look */
    char *name;       /* for messages: "db.example.com:5432/app" */
    int pid;          /* of the server's process behind the last connection */
    bool locked;      /* the writer's lock is ours */
    bool in_tx, failed;
    int64_t now_us;    /* _fivetran_synced of this commit */
    int64_t answer_us; /* a statement's deadline */
    struct sl_pg_table *tables;
    int ntables;
    struct sl_books books;
};

/* connect.c. Opens with login and settings; SL_E_UNREACHABLE, SL_E_CONFIG (login, database, TLS). Tries again for up to patience_us
 * while the server cannot be reached. */
SL_MUST_CHECK sl_rc sl_pg_connect(struct sl_pg *pg, int64_t patience_us, struct sl_err *err);
/* Takes the lock of one writer per connection. SL_E_LOCKED names who has it. Our own lost connection is ended by the server first. */
SL_MUST_CHECK sl_rc sl_pg_lock(struct sl_pg *pg, struct sl_err *err);
void sl_pg_disconnect(struct sl_pg *pg);
bool sl_pg_is_lost(const struct sl_pg *pg);
/* 150003. Test builds take it from SL_PG_VERSION, and do as with a server of that version. */
int sl_pg_version(const struct sl_pg *pg);
/* A struct without a connection. */
struct sl_pg *sl_pg_new(const struct sl_dest_conf *conf);
void sl_pg_free(struct sl_pg *pg);

/* query.c. Waits for the socket: `events` of poll(); until_us monotonic. SL_E_CANCELLED, SL_E_TIMEOUT. */
SL_MUST_CHECK sl_rc sl_pg_wait(struct sl_pg *pg, int events, int64_t until_us, struct sl_err *err);
/* Runs statements and gives the last result; *res is NULL after an error. `doing` is for the message. */
SL_MUST_CHECK sl_rc sl_pg_exec(struct sl_pg *pg, const char *sql, const char *doing, PGresult **res,
                               struct sl_err *err);
/* … without a result; *changed (may be NULL) gets the rows the last one changed. */
SL_MUST_CHECK sl_rc sl_pg_run(struct sl_pg *pg, const char *sql, const char *doing,
                              uint64_t *changed, struct sl_err *err);
/* Runs a statement whose failure changes nothing. */
void sl_pg_try(struct sl_pg *pg, const char *sql);
/* A row of up to `n` numbers; NULL reads as 0. *found (may be NULL): whether there was a row. */
SL_MUST_CHECK sl_rc sl_pg_numbers(struct sl_pg *pg, const char *sql, int n, int64_t *out,
                                  bool *found, struct sl_err *err);
/* Waits for the end of what was sent, COPY included, and takes its results. */
SL_MUST_CHECK sl_rc sl_pg_finish(struct sl_pg *pg, const char *doing, PGresult **res,
                                 struct sl_err *err);
/* Writes what libpq has buffered. */
SL_MUST_CHECK sl_rc sl_pg_flush(struct sl_pg *pg, int64_t until_us, struct sl_err *err);

/* errors.c. Codes, sentence and hint of a failed result (NULL: of the connection). Returns the code. */
sl_rc sl_pg_fail(struct sl_pg *pg, const PGresult *res, const char *doing, struct sl_err *err);
/* The same for a login that failed. */
sl_rc sl_pg_fail_login(struct sl_pg *pg, struct sl_err *err);
/* The five characters of a result's SQLSTATE, or "". */
const char *sl_pg_state(const PGresult *res);

/* grants.c */
enum sl_pg_grant {
    SL_PG_MAKE_SCHEMAS, /* in the database */
    SL_PG_MAKE_TEMP,
    SL_PG_USE_BOOKS,
    SL_PG_USE_SCHEMA,
    SL_PG_USE_TABLE,
    SL_PG_OWN_TABLE /* to alter it */
};
/* Where rc is SL_E_PERMISSION, the error's hint becomes the statement that gives this. Returns rc. */
sl_rc sl_pg_missing(const struct sl_pg *pg, sl_rc rc, enum sl_pg_grant what, const char *schema,
                    const char *table, struct sl_err *err);

/* copy.c. Rows into a table by COPY BINARY. */
struct sl_pg_copy;
/* `target` is COPY's table with its column list; columns are those of t that have a type, in their order, then `synced`, then
 * deleted; with `given` one boolean more for each column where given[i]: whether the cell was there. */
SL_MUST_CHECK sl_rc sl_pg_copy_open(struct sl_pg_copy **out, struct sl_pg *pg,
                                    const struct sl_table *t, const char *target, bool synced,
                                    const bool *given, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_pg_copy_put(struct sl_pg_copy *c, const struct sl_row *row,
                                   struct sl_err *err);
/* Ends it; the rows are there only after this succeeded. Frees c, whatever happened before: `rc` is what did. */
SL_MUST_CHECK sl_rc sl_pg_copy_end(struct sl_pg_copy *c, sl_rc rc, struct sl_err *err);

/* key.c */
struct sl_pg_table *sl_pg_table_of(struct sl_pg *pg, const struct sl_table *t);
/* After a rollback or commit nothing of this transaction is known any more. */
void sl_pg_forget_tables(struct sl_pg *pg);
/* Makes sure that the table has its key, one that takes NULL if there are. */
SL_MUST_CHECK sl_rc sl_pg_key_ensure(struct sl_pg *pg, struct sl_pg_table *pt, struct sl_err *err);
/* Takes the key off an empty table, to be built again at the end; one that others use stays. */
SL_MUST_CHECK sl_rc sl_pg_key_postpone(struct sl_pg *pg, struct sl_pg_table *pt,
                                       struct sl_err *err);
/* Builds those that wait for the end of the transaction. */
SL_MUST_CHECK sl_rc sl_pg_keys_build(struct sl_pg *pg, struct sl_err *err);

/* evolve.c */
SL_MUST_CHECK sl_rc sl_pg_bootstrap(struct sl_pg *pg, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_pg_evolve(struct sl_dest *d, const struct sl_table *t, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_pg_stored(struct sl_dest *d, const struct sl_table *t,
                                 const struct sl_column *c, struct sl_stored *out,
                                 struct sl_err *err);
/* The text form of a stored value of the column's type, as model/cell.c makes it. */
void sl_pg_text(struct sl_sql *q, const struct sl_column *c);
/* apply.c */
SL_MUST_CHECK sl_rc sl_pg_apply(struct sl_dest *d, struct sl_rows *rows, struct sl_applied *out,
                                struct sl_err *err);
/* test.c */
void sl_pg_test(const struct sl_dest_conf *conf, struct sl_tests *tests);
/* inspect.c */
SL_MUST_CHECK sl_rc sl_pg_inspect(struct sl_inspect **out, const struct sl_dest_conf *conf,
                                  const struct sl_inspect_scope *scope, struct sl_err *err);

#endif
