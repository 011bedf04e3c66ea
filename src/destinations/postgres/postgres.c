#include "destinations/postgres/postgres.h"

#include "base/time.h"

#include <stdlib.h>

/* How long a server that was there may be away: the time of a restart or of a standby's promotion. */
#define AWAY_US ((int64_t)45 * 1000000)
/* After a COMMIT without an answer it is worth more to know. */
#define RESOLVE_US ((int64_t)90 * 1000000)

static void
pg_close(struct sl_dest *dest)
{
    struct sl_pg *pg = (struct sl_pg *)dest;

    if (pg != NULL && pg->in_tx)
        dest->ops->rollback(dest);
    sl_pg_free(pg);
}

static sl_rc
pg_open(struct sl_dest **out, const struct sl_dest_conf *conf, struct sl_err *err)
{
    struct sl_pg *pg;
    sl_rc rc;

    *out = NULL;
    if (conf->options == NULL)
        return sl_fail(err, SL_E_CONFIG, "the destination postgres needs its options");
    pg = sl_pg_new(conf);
    rc = sl_pg_connect(pg, 0, err);
    if (rc == 0)
        rc = sl_pg_lock(pg, err);
    if (rc == 0)
        rc = sl_pg_bootstrap(pg, err);
    if (rc)
        sl_pg_free(pg);
    else
        *out = &pg->dest;
    return rc;
}

static sl_rc
pg_load(struct sl_dest *dest, struct sl_catalog *cat, struct sl_saved_state *state,
        struct sl_err *err)
{
    struct sl_pg *pg = (struct sl_pg *)dest;

    return sl_books_load(&pg->books, pg->connection, cat, state, err);
}

/* A connection that works and has the lock. */
static sl_rc
come_back(struct sl_pg *pg, int64_t patience_us, struct sl_err *err)
{
    sl_rc rc = sl_pg_connect(pg, patience_us, err);

    return rc ? rc : sl_pg_lock(pg, err);
}

static sl_rc
pg_begin(struct sl_dest *dest, struct sl_err *err)
{
    struct sl_pg *pg = (struct sl_pg *)dest;
    sl_rc rc = 0;

    if (sl_pg_is_lost(pg) || !pg->locked)
        rc = come_back(pg, AWAY_US, err);
    if (rc)
        return rc;
    pg->failed = false;
    pg->now_us = sl_now_us();
    sl_pg_forget_tables(pg);
    rc = sl_pg_run(pg, "BEGIN", "beginning a transaction", NULL, err);
    pg->in_tx = rc == 0;
    return rc;
}

/* Whoever else writes here has other tables; a lost connection is the commit's to make anew. */
static sl_rc
pg_begin_ahead(struct sl_dest *dest, bool *begun, struct sl_err *err)
{
    struct sl_pg *pg = (struct sl_pg *)dest;
    sl_rc rc = 0;

    if (!sl_pg_is_lost(pg) && pg->locked)
        rc = pg_begin(dest, err);
    *begun = pg->in_tx;
    return rc;
}

/* Only tables that nobody sees yet go ahead. */
static bool
pg_wanted(struct sl_dest *dest)
{
    (void)dest;
    return false;
}

static void
pg_rollback(struct sl_dest *dest)
{
    struct sl_pg *pg = (struct sl_pg *)dest;

    if (pg->in_tx && !sl_pg_is_lost(pg))
        sl_pg_try(pg, "ROLLBACK");
    pg->in_tx = pg->failed = false;
    sl_pg_forget_tables(pg);
}

static sl_rc
pg_save_state(struct sl_dest *dest, const struct sl_saved_state *state, struct sl_err *err)
{
    struct sl_pg *pg = (struct sl_pg *)dest;
    sl_rc rc = sl_pg_keys_build(pg, err);

    if (rc == 0)
        rc = sl_books_save_state(&pg->books, pg->connection, state, pg->now_us, err);
    pg->failed |= rc != 0;
    return rc;
}

static enum sl_flush
pg_commit(struct sl_dest *dest, struct sl_err *err)
{
    struct sl_pg *pg = (struct sl_pg *)dest;
    PGresult *res;
    bool done;
    sl_rc rc;

    if (pg->failed || !pg->in_tx) {
        sl_fail(err, SL_E_INTERNAL, "a failed transaction was to be committed");
        pg_rollback(dest);
        return SL_FLUSH_FATAL;
    }
    rc = sl_pg_exec(pg, "COMMIT", "committing", &res, err);
    /* A transaction that failed answers COMMIT with success and the word ROLLBACK. */
    done = rc == 0 && strcmp(PQcmdStatus(res), "COMMIT") == 0;
    PQclear(res);
    if (rc == 0 && !done)
        sl_fail(err, SL_E_INTERNAL, "the server rolled the transaction back");
    pg->in_tx = false;
    sl_pg_forget_tables(pg);
    if (done)
        return SL_FLUSH_OK;
    /* With the connection gone, or given up, nobody has said what became of it. */
    if (sl_pg_is_lost(pg))
        return SL_FLUSH_UNKNOWN;
    return rc == SL_E_RETRY ? SL_FLUSH_RETRY : SL_FLUSH_FATAL;
}

static sl_rc
pg_resolve(struct sl_dest *dest, const char *batch, bool *committed, struct sl_err *err)
{
    struct sl_pg *pg = (struct sl_pg *)dest;
    sl_rc rc;

    *committed = false;
    /* The lock is ours again only once the connection that sent COMMIT is no more. */
    rc = come_back(pg, RESOLVE_US, err);
    return rc ? rc : sl_books_has_batch(&pg->books, pg->connection, batch, committed, err);
}

static sl_rc
pg_changed_since(struct sl_dest *dest, const struct sl_table *t, int64_t since_us, uint64_t *rows,
                 struct sl_err *err)
{
    struct sl_pg *pg = (struct sl_pg *)dest;
    struct sl_sql q;
    int64_t n = 0;
    sl_rc rc;

    sl_sql_init(&q, &sl_pg_dialect);
    sl_sqlf(&q, "SELECT count(*) FROM %t WHERE %n >= %m", t, SL_COL_SYNCED, since_us);
    rc = sl_pg_numbers(pg, sl_sql_text(&q), 1, &n, NULL, err);
    sl_sql_free(&q);
    *rows = (uint64_t)n;
    return rc;
}

const struct sl_dest_ops sl_postgres_ops = {
    .name = "postgres",
    .title = "PostgreSQL",
    .also = "postgres_warehouse|postgres_rds_warehouse|postgres_gcp_warehouse|"
            "aurora_postgres_warehouse|azure_postgres_warehouse",
    .caps = { .many_writers = true,
              .transactional_ddl = true,
              .ahead_unseen = true,
              .native_json = true,
              .name_max = 63,
              .reserved = "ctid|xmin|cmin|xmax|cmax|tableoid",
              /* A field has less than 1 GB, a jsonb string 256 MB; what is sent needs room beside it. */
              .value_max = (uint64_t)255 << 20,
              .columns_max = 1600 },
    .options = sl_pg_options,
    .test = sl_pg_test,
    .inspect = sl_pg_inspect,
    .open = pg_open,
    .close = pg_close,
    .load = pg_load,
    .stored = sl_pg_stored,
    .begin = pg_begin,
    .begin_ahead = pg_begin_ahead,
    .wanted = pg_wanted,
    .evolve = sl_pg_evolve,
    .apply = sl_pg_apply,
    .save_state = pg_save_state,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .resolve = pg_resolve,
    .changed_since = pg_changed_since,
};
