#include "destinations/postgres/postgres.h"

#include "base/time.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

/* Between tries to reach a server that restarts. */
#define PAUSE_US 250000
/* How long our own lost connection may take to end once the server is told to end it. */
#define LOST_US ((int64_t)60 * 1000000)
/* What a statement may take longer than the server's own limit before the connection counts as lost. */
#define GRACE_US ((int64_t)20 * 1000000)
/* A server that vanished without a word is noticed after 30 s of silence and three unanswered probes. */
#define KEEPALIVES "30", "10", "3", "60000"

bool
sl_pg_is_lost(const struct sl_pg *pg)
{
    return pg->conn == NULL || PQstatus(pg->conn) == CONNECTION_BAD;
}

int
sl_pg_version(const struct sl_pg *pg)
{
#ifdef SL_FAULTS
    const char *v = getenv("SL_PG_VERSION");

    if (v != NULL)
        return (int)strtol(v, NULL, 10);
#endif
    return PQserverVersion(pg->conn);
}

void
sl_pg_disconnect(struct sl_pg *pg)
{
    if (pg->conn != NULL)
        PQfinish(pg->conn);
    pg->conn = NULL;
    pg->in_tx = pg->locked = false;
    sl_pg_forget_tables(pg);
}

/* ---- logging in ---- */

/* libpq wants certificates as files: nameless ones in memory, which end with the process at the latest. */
static int
memory_file(const char *text)
{
    size_t len = text ? strlen(text) : 0;
    int fd = len ? memfd_create("certificate", MFD_CLOEXEC) : -1;

    if (fd < 0)
        return -1;
    if (fchmod(fd, 0600) != 0 || write(fd, text, len) != (ssize_t)len) {
        close(fd);
        return -1;
    }
    return fd;
}

enum { ROOT, CERT, KEY, FILES };

struct login {
    const char *keys[32], *values[32];
    int n;
    int fds[FILES];
    char paths[FILES][40];
    char port[8], app[64];
};

static void
set(struct login *l, const char *key, const char *value)
{
    if (value == NULL)
        return;
    l->keys[l->n] = key;
    l->values[l->n++] = value;
}

static bool
is_here(const char *host)
{
    return host[0] == '/' || strcmp(host, "localhost") == 0 || strncmp(host, "127.", 4) == 0 ||
           strcmp(host, "::1") == 0;
}

static void
set_tls(struct login *l, const json_t *options)
{
    static const char *const names[FILES] = { "sslrootcert", "sslcert", "sslkey" };
    const char *mode = sl_option(options, "sslmode");

    if (mode == NULL)
        mode = is_here(sl_option(options, "host")) ? "prefer" : "require";
    set(l, "sslmode", mode);
    for (int i = 0; i < FILES; i++) {
        l->fds[i] = memory_file(sl_option(options, names[i]));
        snprintf(l->paths[i], sizeof l->paths[i], "/proc/self/fd/%d", l->fds[i]);
        if (l->fds[i] >= 0)
            set(l, names[i], l->paths[i]);
    }
    if (l->fds[ROOT] < 0 && strcmp(mode, "verify-full") == 0)
        set(l, "sslrootcert", "system");
    if (l->fds[CERT] < 0)
        set(l, "sslcertmode", "disable");
}

static void
make_login(struct login *l, const struct sl_pg *pg)
{
    static const char *const keepalives[] = { "keepalives_idle", "keepalives_interval",
                                              "keepalives_count", "tcp_user_timeout" };
    static const char *const values[] = { KEEPALIVES };
    char host[40] = "";

    *l = (struct login){ 0 };
    (void)gethostname(host, sizeof host - 1);
    snprintf(l->port, sizeof l->port, "%lld", (long long)sl_option_int(pg->options, "port"));
    snprintf(l->app, sizeof l->app, "sluice %d@%s", (int)getpid(), host);
    set(l, "host", sl_option(pg->options, "host"));
    set(l, "port", l->port);
    set(l, "dbname", sl_option(pg->options, "database"));
    set(l, "user", sl_option(pg->options, "user"));
    set(l, "password", sl_option(pg->options, "password"));
    /* Never another one's: a server's files are not its users'. */
    set(l, "passfile", "/dev/null");
    set(l, "client_encoding", "UTF8");
    set(l, "application_name", l->app);
    for (size_t i = 0; i < sizeof values / sizeof values[0]; i++)
        set(l, keepalives[i], values[i]);
    set_tls(l, pg->options);
    l->keys[l->n] = NULL;
}

static sl_rc
wait_login(struct sl_pg *pg, int64_t until, struct sl_err *err)
{
    PostgresPollingStatusType st = PGRES_POLLING_WRITING;

    while (st != PGRES_POLLING_OK && st != PGRES_POLLING_FAILED) {
        struct pollfd p = { .fd = PQsocket(pg->conn),
                            .events = st == PGRES_POLLING_READING ? POLLIN : POLLOUT };

        (void)poll(&p, 1, 100);
        if (pg->stop != NULL && atomic_load(pg->stop) > 1)
            return sl_fail(err, SL_E_CANCELLED, "stopped by the user");
        if (p.revents) {
            st = PQconnectPoll(pg->conn);
        } else if (sl_mono_us() > until) {
            sl_fail(err, SL_E_UNREACHABLE, "connecting to %s: no answer within %lld s", pg->name,
                    (long long)sl_option_int(pg->options, "connect_timeout"));
            sl_err_hint(err, "is the server running there, and does a firewall let this machine "
                             "through?");
            return SL_E_UNREACHABLE;
        }
    }
    return st == PGRES_POLLING_OK ? 0 : sl_pg_fail_login(pg, err);
}

static sl_rc
log_in(struct sl_pg *pg, struct sl_err *err)
{
    int64_t until = sl_mono_us() + sl_option_int(pg->options, "connect_timeout") * 1000000;
    struct login l;
    sl_rc rc;

    make_login(&l, pg);
    pg->conn = PQconnectStartParams(l.keys, l.values, 0);
    if (pg->conn == NULL)
        rc = sl_fail(err, SL_E_NOMEM, "no memory for a connection");
    else if (PQstatus(pg->conn) == CONNECTION_BAD)
        rc = sl_pg_fail_login(pg, err);
    else
        rc = wait_login(pg, until, err);
    for (int i = 0; i < FILES; i++)
        if (l.fds[i] >= 0)
            close(l.fds[i]);
    return rc;
}

/* ---- settings ---- */

static sl_rc
check_encoding(struct sl_pg *pg, struct sl_err *err)
{
    const char *encoding = PQparameterStatus(pg->conn, "server_encoding");

    if (encoding == NULL || strcmp(encoding, "UTF8") == 0)
        return 0;
    sl_fail(err, SL_E_CONFIG, "%s has the encoding %s, which cannot hold every text", pg->name,
            encoding);
    sl_err_hint(err,
                "use a database made with: CREATE DATABASE … TEMPLATE template0 ENCODING 'UTF8'");
    return SL_E_CONFIG;
}

static void
quiet(void *arg, const PGresult *res)
{
    (void)arg;
    (void)res;
}

/* Text forms and comparisons must not depend on how the server or role is set up. */
static sl_rc
settle(struct sl_pg *pg, struct sl_err *err)
{
    const struct {
        const char *name, *value;
        int64_t seconds; /* instead of value */
        int since;       /* version */
    } settings[] = {
        { "search_path", "pg_catalog", 0, 0 },
        { "standard_conforming_strings", "on", 0, 0 },
        { "datestyle", "ISO", 0, 0 },
        { "timezone", "UTC", 0, 0 },
        { "extra_float_digits", "3", 0, 0 },
        { "client_min_messages", "warning", 0, 0 },
        { "default_transaction_isolation", "read committed", 0, 0 },
        { "default_transaction_read_only", "off", 0, 0 },
        { "statement_timeout", NULL, sl_option_int(pg->options, "statement_timeout"), 0 },
        { "lock_timeout", NULL, sl_option_int(pg->options, "lock_timeout"), 0 },
        { "idle_in_transaction_session_timeout", "0", 0, 0 },
        /* A connection whose client is gone gives its lock back soon. */
        { "client_connection_check_interval", "3s", 0, 140000 },
    };
    struct sl_sql q;
    sl_rc rc;

    sl_sql_init(&q, &sl_pg_dialect);
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        if (sl_pg_version(pg) < settings[i].since)
            continue;
        sl_sqlf(&q, i ? ", pg_catalog.set_config(%s, " : "SELECT pg_catalog.set_config(%s, ",
                settings[i].name);
        if (settings[i].value != NULL)
            sl_sqlf(&q, "%s, false)", settings[i].value);
        else
            sl_sqlf(&q, "(%d)::text, false)", settings[i].seconds * 1000);
    }
    rc = sl_pg_run(pg, sl_sql_text(&q), "setting up the connection", NULL, err);
    sl_sql_free(&q);
    return rc;
}

static sl_rc
try_once(struct sl_pg *pg, struct sl_err *err)
{
    sl_rc rc;

    sl_pg_disconnect(pg);
    rc = log_in(pg, err);
    if (rc == 0) {
        PQsetNoticeReceiver(pg->conn, quiet, NULL);
        PQsetnonblocking(pg->conn, 1);
        rc = check_encoding(pg, err);
    }
    if (rc == 0)
        rc = settle(pg, err);
    pg->failed = false;
    if (rc)
        sl_pg_disconnect(pg);
    return rc;
}

sl_rc
sl_pg_connect(struct sl_pg *pg, int64_t patience_us, struct sl_err *err)
{
    int64_t until = sl_mono_us() + patience_us;
    sl_rc rc;

    while ((rc = try_once(pg, err)) == SL_E_UNREACHABLE || rc == SL_E_RETRY) {
        if (sl_mono_us() + PAUSE_US > until || (pg->stop != NULL && atomic_load(pg->stop) > 0))
            break;
        usleep(PAUSE_US);
    }
    return rc;
}

/* ---- one writer ---- */

static int64_t
lock_number(const struct sl_pg *pg)
{
    char text[300];
    int n = snprintf(text, sizeof text, "sluice:%.250s", pg->connection);

    return (int64_t)XXH3_64bits(text, (size_t)n);
}

/* Whether a connection's name says that it was a process of this machine that is no more. */
static bool
is_dead(const char *app)
{
    char host[64] = "";
    int pid, at = 0;

    (void)gethostname(host, sizeof host - 1);
    return sscanf(app, "sluice %d@%n", &pid, &at) == 1 && at > 0 &&
           strncmp(app + at, host, 40) == 0 && kill(pid, 0) != 0 && errno == ESRCH;
}

/* Who has the lock. *pid 0: nobody any more. *dead: a process that is no more, whose connection the server still works for. */
static sl_rc
find_holder(struct sl_pg *pg, int *pid, bool *dead, struct sl_err *err)
{
    uint64_t number = (uint64_t)lock_number(pg);
    struct sl_sql q;
    PGresult *res;
    sl_rc rc;

    sl_sql_init(&q, &sl_pg_dialect);
    sl_sqlf(&q,
            "SELECT l.pid, coalesce(a.application_name, ''), coalesce(a.client_addr::text, "
            "'this machine') FROM pg_locks l LEFT JOIN pg_stat_activity a ON a.pid = l.pid WHERE "
            "l.locktype = 'advisory' AND l.granted AND l.database = (SELECT oid FROM pg_database "
            "WHERE datname = current_database()) AND l.classid::bigint = %d AND l.objid::bigint = "
            "%d AND l.objsubid = 1",
            (int64_t)(number >> 32), (int64_t)(number & UINT32_MAX));
    rc = sl_pg_exec(pg, sl_sql_text(&q), "asking who holds the lock", &res, err);
    sl_sql_free(&q);
    if (rc)
        return rc;
    *pid = PQntuples(res) ? (int)strtol(PQgetvalue(res, 0, 0), NULL, 10) : 0;
    *dead = PQntuples(res) && is_dead(PQgetvalue(res, 0, 1));
    sl_fail(err, SL_E_LOCKED, "another sync writes to schema %s of %s: %s at %s, server process %d",
            pg->connection, pg->name,
            PQntuples(res) ? PQgetvalue(res, 0, 1) : "one that just ended",
            PQntuples(res) ? PQgetvalue(res, 0, 2) : "?", *pid);
    sl_err_hint(err, "wait for it or end it, and run this again");
    PQclear(res);
    return 0;
}

static sl_rc
try_lock(struct sl_pg *pg, struct sl_err *err)
{
    char sql[100];
    PGresult *res;
    sl_rc rc;

    snprintf(sql, sizeof sql, "SELECT pg_try_advisory_lock(%lld)", (long long)lock_number(pg));
    rc = sl_pg_exec(pg, sql, "taking the writer's lock", &res, err);
    if (rc == 0)
        pg->locked = PQgetvalue(res, 0, 0)[0] == 't';
    PQclear(res);
    return rc;
}

sl_rc
sl_pg_lock(struct sl_pg *pg, struct sl_err *err)
{
    int64_t until = sl_mono_us() + LOST_US;
    int lost = pg->pid, holder = 0;
    bool dead = false;
    char sql[80];
    sl_rc rc = try_lock(pg, err);

    while (rc == 0 && !pg->locked) {
        rc = find_holder(pg, &holder, &dead, err);
        if (rc)
            return rc;
        if (holder != 0 && ((holder != lost && !dead) || sl_mono_us() > until))
            return SL_E_LOCKED;
        /* The connection we lost may still be at work, even at a COMMIT: it must be gone before anything else is decided. */
        if (holder != 0) {
            snprintf(sql, sizeof sql, "SELECT pg_terminate_backend(%d)", holder);
            rc = sl_pg_run(pg, sql, "ending the lost connection", NULL, err);
            usleep(50000);
        }
        if (rc == 0)
            rc = try_lock(pg, err);
    }
    if (rc == 0)
        pg->pid = PQbackendPID(pg->conn);
    return rc;
}

/* ---- the struct ---- */

static sl_rc
run_books(void *ctx, const char *sql, struct sl_err *err)
{
    sl_rc rc = sl_pg_run(ctx, sql, "the bookkeeping", NULL, err);

    return sl_pg_missing(ctx, rc, SL_PG_USE_BOOKS, NULL, NULL, err);
}

static sl_rc
query_books(void *ctx, const char *sql, sl_cells_fn fn, void *arg, struct sl_err *err)
{
    PGresult *res;
    sl_rc rc = sl_pg_exec(ctx, sql, "reading the bookkeeping", &res, err);
    int n = rc ? 0 : PQnfields(res);
    const char **cells = sl_zalloc((size_t)n + 1, sizeof *cells);

    for (int r = 0; rc == 0 && r < PQntuples(res); r++) {
        for (int i = 0; i < n; i++)
            cells[i] = PQgetisnull(res, r, i) ? NULL : PQgetvalue(res, r, i);
        if (!fn(arg, n, cells))
            break;
    }
    free(cells);
    PQclear(res);
    return sl_pg_missing(ctx, rc, SL_PG_USE_BOOKS, NULL, NULL, err);
}

/* information_schema shows only what one has rights on; the catalog all. */
static sl_rc
tables_of(void *ctx, const char *schema, sl_cells_fn fn, void *arg, struct sl_err *err)
{
    struct sl_sql q;
    sl_rc rc;

    sl_sql_init(&q, &sl_pg_dialect);
    sl_sqlf(&q,
            "SELECT n.nspname, c.relname FROM pg_class c JOIN pg_namespace n ON n.oid = "
            "c.relnamespace WHERE n.nspname = %s AND c.relkind IN ('r', 'p')",
            schema);
    rc = query_books(ctx, sl_sql_text(&q), fn, arg, err);
    sl_sql_free(&q);
    return rc;
}

struct sl_pg *
sl_pg_new(const struct sl_dest_conf *conf)
{
    struct sl_pg *pg = sl_zalloc(1, sizeof *pg);

    pg->dest.ops = &sl_postgres_ops;
    pg->options = json_incref((json_t *)conf->options);
    pg->stop = conf->stop;
    pg->connection = sl_strdup_null(conf->connection);
    pg->name = sl_sprintf("%s:%lld/%s", sl_option(pg->options, "host"),
                          (long long)sl_option_int(pg->options, "port"),
                          sl_option(pg->options, "database"));
    pg->answer_us = sl_option_int(pg->options, "statement_timeout") * 1000000 + GRACE_US;
    pg->books = (struct sl_books){
        .d = &sl_pg_dialect,
        .schema = SL_SCHEMA,
        .ctx = pg,
        .run = run_books,
        .query = query_books,
        .tables = tables_of,
    };
    return pg;
}

void
sl_pg_free(struct sl_pg *pg)
{
    if (pg == NULL)
        return;
    sl_pg_disconnect(pg);
    json_decref(pg->options);
    free(pg->tables);
    free(pg->connection);
    free(pg->name);
    free(pg);
}
