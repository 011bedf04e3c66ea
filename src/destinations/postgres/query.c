#include "destinations/postgres/postgres.h"

#include "base/time.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>

#define TICK_MS 100
/* A request to cancel is one small message. */
#define CANCEL_US ((int64_t)3 * 1000000)

/* Asks the server to end what it does for us; best effort, over a connection of its own. */
static void
cancel(struct sl_pg *pg)
{
    PGcancelConn *c = PQcancelCreate(pg->conn);
    int64_t until = sl_mono_us() + CANCEL_US;
    PostgresPollingStatusType st = PGRES_POLLING_WRITING;

    if (c == NULL || !PQcancelStart(c))
        st = PGRES_POLLING_FAILED;
    while (st != PGRES_POLLING_OK && st != PGRES_POLLING_FAILED && sl_mono_us() < until) {
        struct pollfd p = { .fd = PQcancelSocket(c),
                            .events = st == PGRES_POLLING_READING ? POLLIN : POLLOUT };

        (void)poll(&p, 1, TICK_MS);
        if (p.revents)
            st = PQcancelPoll(c);
    }
    PQcancelFinish(c);
}

/* Whatever the server does now, this connection is not used any more. */
static void
give_up(struct sl_pg *pg)
{
    cancel(pg);
    sl_pg_disconnect(pg);
}

sl_rc
sl_pg_wait(struct sl_pg *pg, int events, int64_t until_us, struct sl_err *err)
{
    struct pollfd p = { .fd = PQsocket(pg->conn), .events = (short)events };

    for (;;) {
        int n = poll(&p, 1, TICK_MS);

        if (n > 0)
            return 0;
        if (n < 0 && errno != EINTR)
            return sl_fail_errno(err, "waiting for %s", pg->name);
        if (pg->stop != NULL && atomic_load(pg->stop) > 1) {
            give_up(pg);
            return sl_fail(err, SL_E_CANCELLED, "stopped by the user");
        }
        if (sl_mono_us() > until_us) {
            give_up(pg);
            return sl_fail(err, SL_E_UNREACHABLE, "%s did not answer in time", pg->name);
        }
    }
}

sl_rc
sl_pg_flush(struct sl_pg *pg, int64_t until_us, struct sl_err *err)
{
    sl_rc rc;
    int left;

    while ((left = PQflush(pg->conn)) == 1) {
        rc = sl_pg_wait(pg, POLLIN | POLLOUT, until_us, err);
        if (rc)
            return rc;
        if (!PQconsumeInput(pg->conn))
            return sl_pg_fail(pg, NULL, "sending", err);
    }
    return left < 0 ? sl_pg_fail(pg, NULL, "sending", err) : 0;
}

static sl_rc
next_result(struct sl_pg *pg, const char *doing, int64_t until_us, PGresult **res,
            struct sl_err *err)
{
    sl_rc rc;

    while (PQisBusy(pg->conn)) {
        rc = sl_pg_wait(pg, POLLIN, until_us, err);
        if (rc)
            return rc;
        if (!PQconsumeInput(pg->conn))
            return sl_pg_fail(pg, NULL, doing, err);
    }
    *res = PQgetResult(pg->conn);
    return 0;
}

static bool
is_bad(const PGresult *res)
{
    ExecStatusType st = PQresultStatus(res);

    return st != PGRES_COMMAND_OK && st != PGRES_TUPLES_OK && st != PGRES_COPY_IN &&
           st != PGRES_EMPTY_QUERY;
}

sl_rc
sl_pg_finish(struct sl_pg *pg, const char *doing, PGresult **res, struct sl_err *err)
{
    int64_t until = sl_mono_us() + pg->answer_us;
    PGresult *last = NULL, *r = NULL;
    sl_rc rc = sl_pg_flush(pg, until, err), failed = 0;

    while (rc == 0 && (rc = next_result(pg, doing, until, &r, err)) == 0 && r != NULL) {
        PQclear(last);
        last = r;
        if (failed == 0 && is_bad(r))
            failed = sl_pg_fail(pg, r, doing, err);
        /* The caller sends the rows; there is no further result before them. */
        if (PQresultStatus(r) == PGRES_COPY_IN)
            break;
    }
    if (rc == 0)
        rc = failed;
    if (rc || res == NULL)
        PQclear(last);
    else
        *res = last;
    if (rc && res != NULL)
        *res = NULL;
    pg->failed |= rc != 0;
    return rc;
}

sl_rc
sl_pg_exec(struct sl_pg *pg, const char *sql, const char *doing, PGresult **res, struct sl_err *err)
{
    if (res != NULL)
        *res = NULL;
    if (pg->conn == NULL)
        return sl_fail(err, SL_E_UNREACHABLE, "%s: the connection to %s was lost", doing, pg->name);
    if (!PQsendQuery(pg->conn, sql)) {
        pg->failed = true;
        return sl_pg_fail(pg, NULL, doing, err);
    }
    return sl_pg_finish(pg, doing, res, err);
}

sl_rc
sl_pg_run(struct sl_pg *pg, const char *sql, const char *doing, uint64_t *changed,
          struct sl_err *err)
{
    PGresult *res;
    sl_rc rc = sl_pg_exec(pg, sql, doing, &res, err);

    if (rc == 0 && changed != NULL)
        *changed = strtoull(PQcmdTuples(res), NULL, 10);
    PQclear(res);
    return rc;
}

void
sl_pg_try(struct sl_pg *pg, const char *sql)
{
    struct sl_err ignored;

    if (sl_pg_exec(pg, sql, "", NULL, &ignored))
        return;
}

sl_rc
sl_pg_numbers(struct sl_pg *pg, const char *sql, int n, int64_t *out, bool *found,
              struct sl_err *err)
{
    PGresult *res;
    sl_rc rc = sl_pg_exec(pg, sql, "asking the warehouse", &res, err);
    bool row = rc == 0 && PQntuples(res) > 0;

    for (int i = 0; i < n; i++)
        out[i] = row ? strtoll(PQgetvalue(res, 0, i), NULL, 10) : 0;
    if (found != NULL)
        *found = row;
    PQclear(res);
    return rc;
}
