#include "destinations/duckdb/duckdb_dest.h"

#include "base/time.h"

#include <stdlib.h>

/* The unit DuckDB pins at a commit, a checkpoint or a scan is a vector of 2048 rows; its columns must fit the limit with room
 * to work (measured factor 1.3). */
#define VECTOR_ROWS 2048

/* A checkpoint merges row groups as soon as one fewer would do, four into three: a commit that replaced 5 % of a million rows
 * waited 0.12 s of 0.47 for that (docs/decisions/0006-merge-plan-and-checkpoints.md). It is left to a session that made an
 * eighth of the file's rows dead, and to every 16th commit: a file stays below three times what it need be. Row groups without
 * a live row are dropped at every checkpoint. */
#define TIDY_DEAD 8
#define TIDY_COMMITS 16

static sl_rc
attach(struct sl_duckdb *d, struct sl_err *err)
{
    sl_rc rc = sl_instance_get(&d->in,
                               &(struct sl_instance_conf){ .path = d->path,
                                                           .spill_dir = d->spill_dir,
                                                           .memory_limit = d->memory_limit,
                                                           .block_size = d->block_size },
                               err);

    if (rc)
        return rc;
    if (duck.connect(sl_instance_db(d->in), &d->con) != DuckDBSuccess)
        return sl_fail(err, SL_E_DESTINATION, "%s: no connection", d->path);
    /* In turn: sessions that start together would make the same tables. */
    rc = sl_instance_lock(d->in, err);
    if (rc)
        return rc;
    rc = sl_duckdb_bootstrap(d, err);
    sl_instance_unlock(d->in);
    return rc;
}

static void
detach(struct sl_duckdb *d)
{
    if (d->con != NULL)
        duck.disconnect(&d->con);
    d->con = NULL;
    sl_instance_put(d->in);
    d->in = NULL;
    d->tidied = false; /* a setting of the open file */
}

static void
dest_close(struct sl_dest *dest)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;

    if (d == NULL)
        return;
    if (d->in_tx)
        d->dest.ops->rollback(dest);
    detach(d);
    free(d->connection);
    free(d->path);
    free(d->spill_dir);
    free(d);
}

static sl_rc
dest_open(struct sl_dest **out, const struct sl_dest_conf *conf, struct sl_err *err)
{
    struct sl_duckdb *d = sl_zalloc(1, sizeof *d);
    sl_rc rc;

    d->dest.ops = &sl_duckdb_ops;
    d->connection = sl_strdup(conf->connection);
    d->path = sl_strdup(conf->location);
    d->spill_dir = sl_strdup(conf->spill_dir);
    d->memory_limit = conf->memory_limit;
    d->block_size = conf->block_size;
    rc = attach(d, err);
    if (rc) {
        dest_close(&d->dest);
        d = NULL;
    }
    *out = d ? &d->dest : NULL;
    return rc;
}

static sl_rc
dest_admit(struct sl_dest *dest, const struct sl_table *t, uint64_t rows, uint64_t bytes,
           struct sl_err *err)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;
    uint64_t average = rows ? bytes / rows : 0,
             vector = average * (rows < VECTOR_ROWS ? rows : VECTOR_ROWS);
    uint64_t need = vector + vector / 3 + 2 * (uint64_t)t->ncolumns * SL_DUCKDB_BLOCK +
                    ((uint64_t)64 << 20);
    uint64_t limit = sl_instance_memory(d->in);
    char sql[96];

    if (need <= limit)
        return 0;
    /* A limit of our own choosing gives way up to the one we promise; one the user set is kept. */
    if (d->memory_limit == 0 && need <= (uint64_t)1 << 30) {
        /* One thread: each holds vectors of its own, a quarter of the memory of such rows (measured). */
        snprintf(sql, sizeof sql, "SET memory_limit = '%lluB'; SET threads = 1",
                 (unsigned long long)need);
        return sl_sql_run(d->con, sql, NULL, err);
    }
    sl_fail(err, SL_E_LIMIT,
            "the rows of %s.%s have %d columns and are %llu kB on average; DuckDB handles %d at a "
            "time and needs %llu MB for them",
            t->schema, t->name, t->ncolumns, (unsigned long long)(average >> 10), VECTOR_ROWS,
            (unsigned long long)(need >> 20) + 1);
    sl_err_hint(err,
                "nothing was written; run with --memory-limit %lluMB (or SLUICE_MEMORY=%lluMB), or "
                "split the large values",
                (unsigned long long)(need >> 20) + 64, (unsigned long long)(need >> 20) + 64);
    return SL_E_LIMIT;
}

/* The writer's turn is ours. */
static sl_rc
start_transaction(struct sl_duckdb *d, struct sl_err *err)
{
    sl_rc rc;

    d->in_tx = true;
    d->failed = false;
    d->known = NULL;
    d->now_us = sl_now_us();
    rc = sl_sql_run(d->con, "BEGIN", NULL, err);
    if (rc)
        d->dest.ops->rollback(&d->dest);
    return rc;
}

static sl_rc
dest_begin(struct sl_dest *dest, struct sl_err *err)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;
    sl_rc rc = sl_instance_lock(d->in, err);

    return rc ? rc : start_transaction(d, err);
}

static sl_rc
dest_begin_ahead(struct sl_dest *dest, bool *begun, struct sl_err *err)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;
    sl_rc rc = 0;

    *begun = false;
    if (!sl_instance_try_lock(d->in))
        return 0;
    rc = start_transaction(d, err);
    *begun = rc == 0;
    return rc;
}

static bool
dest_wanted(struct sl_dest *dest)
{
    return sl_instance_wanted(((struct sl_duckdb *)dest)->in);
}

static void
dest_rollback(struct sl_dest *dest)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;

    if (!d->in_tx)
        return;
    sl_sql_try(d->con, "ROLLBACK");
    d->in_tx = d->failed = false;
    sl_instance_unlock(d->in);
}

/* Lets the checkpoints from this commit's on merge row groups, if it is time for that. Inside the transaction: an error has aborted
 * it like any other. */
static sl_rc
tidy(struct sl_duckdb *d, struct sl_err *err)
{
    struct sl_query q;
    int64_t stored, commits = 0;
    sl_rc rc;

    if (d->tidied)
        return 0;
    rc = sl_sql_number(d->con, "SELECT sum(estimated_size)::BIGINT FROM duckdb_tables()", 0,
                       &stored, err);
    if (rc == 0)
        rc = sl_query_open(&q, d->con,
                           "SELECT max(number) FROM _sluice.state_history WHERE connection = $1",
                           d->connection, err);
    if (rc)
        return rc;
    if (sl_query_next(&q))
        commits = sl_query_int(&q, 0);
    sl_query_close(&q);
    if (commits % TIDY_COMMITS != 0 && d->replaced <= (uint64_t)stored / TIDY_DEAD)
        return 0;
    d->tidied = true;
    return sl_sql_run(d->con, "SET max_vacuum_tasks = 100", NULL, err);
}

static enum sl_flush
dest_commit(struct sl_dest *dest, struct sl_err *err)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;
    sl_rc rc;

    if (d->failed || !d->in_tx) {
        sl_fail(err, SL_E_INTERNAL, "a failed transaction was to be committed");
        dest_rollback(dest);
        return SL_FLUSH_FATAL;
    }
    if (tidy(d, err)) {
        dest_rollback(dest);
        return SL_FLUSH_FATAL;
    }
    rc = sl_sql_run(d->con, "COMMIT", NULL, err);
    d->in_tx = false;
    if (rc == 0 && d->held > sl_instance_memory(d->in) / 4) {
        /* Blocks of many small appends go back only at a checkpoint. One that fails now succeeds at the close. */
        sl_sql_try(d->con, "CHECKPOINT");
        d->held = 0;
    }
    sl_instance_unlock(d->in);
    /* An error of COMMIT may come after it was durable ("COMMIT succeeded and is durable, but …"): only the file knows. */
    return rc ? SL_FLUSH_UNKNOWN : SL_FLUSH_OK;
}

static sl_rc
dest_resolve(struct sl_dest *dest, const char *batch, bool *committed, struct sl_err *err)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;
    struct sl_query q;
    sl_rc rc;

    *committed = false;
    /* A checkpoint that failed leaves the database unusable until it is opened anew. */
    detach(d);
    rc = attach(d, err);
    if (rc == 0)
        rc = sl_query_open(&q, d->con, "SELECT batch FROM _sluice.state WHERE connection = $1",
                           d->connection, err);
    if (rc)
        return rc;
    if (sl_query_next(&q)) {
        char *last = sl_query_text(&q, 0);

        *committed = last != NULL && strcmp(last, batch) == 0;
        free(last);
    }
    sl_query_close(&q);
    return 0;
}

static sl_rc
dest_changed_since(struct sl_dest *dest, const struct sl_table *t, int64_t since_us, uint64_t *rows,
                   struct sl_err *err)
{
    struct sl_duckdb *d = (struct sl_duckdb *)dest;
    struct sl_buf sql;
    int64_t n = 0;
    sl_rc rc;

    sl_buf_init(&sql, SIZE_MAX / 4);
    sl_buf_add(&sql, "SELECT count(*) FROM ");
    sl_sql_table(&sql, t);
    sl_buf_addf(&sql, " WHERE " SL_COL_SYNCED " >= make_timestamptz(%lld)", (long long)since_us);
    rc = sl_sql_number(d->con, sl_buf_str(&sql), 0, &n, err);
    sl_buf_free(&sql);
    *rows = (uint64_t)n;
    return rc;
}

static const struct sl_option options[] = {
    { .name = "path",
      .kind = SL_OPTION_TEXT,
      .required = true,
      .label = "File",
      .help = "the database file; it is made if it is not there",
      .placeholder = "warehouse.db" },
    { 0 },
};

const struct sl_dest_ops sl_duckdb_ops = {
    .name = "duckdb",
    .title = "DuckDB",
    .options = options,
    .caps = { .many_writers = false,
              .transactional_ddl = true,
              .native_json = true,
              .nul_in_text = true,
              .name_max = 255 },
    .inspect = sl_duckdb_inspect,
    .open = dest_open,
    .close = dest_close,
    .load = sl_duckdb_load,
    .stored = sl_duckdb_stored,
    .admit = dest_admit,
    .begin = dest_begin,
    .begin_ahead = dest_begin_ahead,
    .wanted = dest_wanted,
    .evolve = sl_duckdb_evolve,
    .apply = sl_duckdb_apply,
    .save_state = sl_duckdb_save_state,
    .commit = dest_commit,
    .rollback = dest_rollback,
    .resolve = dest_resolve,
    .changed_since = dest_changed_since,
};
