#include "platform/store_sqlite.h"

#include "base/cond.h"
#include "base/fault.h"
#include "base/time.h"
#include "platform/migrate.h"
#include "platform/readers.h"
#include "runtime/file.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>

/* Requests that read at the same time; the next waits for one of them, which takes milliseconds. */
#define READERS 8
#define WAIT_US (30 * INT64_C(1000000))

struct sl_store {
    char *path;
    struct sl_db writer;
    struct sl_readers readers;
    pthread_mutex_t lock; /* held for moments: guards what follows */
    pthread_cond_t turn;
    bool busy;   /* a transaction is open */
    bool broken; /* the disk failed while a commit was written: what it holds is not known */
    _Atomic(const void *) owner; /* the address of the owning thread's `self` */
};

/* Only its address matters: one per thread. */
static _Thread_local char self;

static bool
is_owner(struct sl_store *st)
{
    return atomic_load(&st->owner) == &self;
}

/* ---- opening ---- */

sl_rc
sl_store_open(struct sl_store **out, const char *dir, struct sl_err *err)
{
    struct sl_store *st = sl_zalloc(1, sizeof *st);
    sl_rc rc;

    *out = NULL;
    st->path = sl_path_join(dir, "sluice.db");
    pthread_mutex_init(&st->lock, NULL);
    sl_cond_init(&st->turn);
    st->readers = (struct sl_readers){
        .path = st->path, .what = "store", .app_id = SL_APP_STORE, .durable = true, .count = READERS
    };
    sl_readers_init(&st->readers);
    rc = sl_db_open(&st->writer, st->path, SL_DB_CREATE, SL_APP_STORE, true, err);
    if (rc == SL_OK)
        rc = sl_migrate(&st->writer, sl_store_steps, sl_store_nsteps, err);
    if (rc) {
        sl_store_close(st);
        return rc;
    }
    *out = st;
    return SL_OK;
}

void
sl_store_close(struct sl_store *st)
{
    if (st == NULL)
        return;
    sl_readers_close(&st->readers);
    sl_db_close(&st->writer);
    pthread_mutex_destroy(&st->lock);
    pthread_cond_destroy(&st->turn);
    free(st->path);
    free(st);
}

/* ---- transactions ---- */

static sl_rc
fail_broken(struct sl_store *st, struct sl_err *err)
{
    sl_rc rc = sl_fail(err, SL_E_IO, "%s: the disk failed while it was written", st->path);

    sl_err_hint(err,
                "look at the disk (dmesg), then restart the server: it reads back what was kept");
    return rc;
}

static sl_rc
take_turn(struct sl_store *st, int64_t until, struct sl_err *err)
{
    sl_rc rc = SL_OK;

    pthread_mutex_lock(&st->lock);
    while (st->busy && rc == SL_OK)
        if (!sl_cond_wait(&st->turn, &st->lock, until))
            rc = sl_fail(err, SL_E_TIMEOUT, "the store is busy: another write did not end in time");
    if (rc == SL_OK && st->broken)
        rc = fail_broken(st, err);
    if (rc == SL_OK)
        st->busy = true;
    pthread_mutex_unlock(&st->lock);
    return rc;
}

static void
end_turn(struct sl_store *st)
{
    atomic_store(&st->owner, NULL);
    pthread_mutex_lock(&st->lock);
    st->busy = false;
    pthread_cond_signal(&st->turn);
    pthread_mutex_unlock(&st->lock);
}

sl_rc
sl_store_begin_within(struct sl_store *st, int64_t wait_us, struct sl_err *err)
{
    int64_t until = sl_mono_us() + wait_us, left;
    sl_rc rc;

    if (is_owner(st))
        return sl_fail(err, SL_E_INTERNAL, "this thread has a transaction already");
    rc = SL_FAULT_POINT(store_begin, err);
    if (rc == SL_OK)
        rc = take_turn(st, until, err);
    if (rc)
        return rc;
    left = until - sl_mono_us();
    sqlite3_busy_timeout(st->writer.db, left > 0 ? (int)(left / 1000) : 0);
    rc = sl_db_exec(&st->writer, "BEGIN IMMEDIATE", err);
    if (rc)
        end_turn(st);
    else
        atomic_store(&st->owner, &self);
    return rc;
}

sl_rc
sl_store_begin(struct sl_store *st, struct sl_err *err)
{
    return sl_store_begin_within(st, WAIT_US, err);
}

void
sl_store_rollback(struct sl_store *st)
{
    if (!is_owner(st))
        return;
    if (!sqlite3_get_autocommit(st->writer.db))
        (void)!sl_db_exec(&st->writer, "ROLLBACK", NULL);
    end_turn(st);
}

/* After a failed fsync the kernel may have dropped what was to be written, so that a repeated commit could report success
 * for lost data. A full disk is no such case: SQLite undoes its writes, and goes on when there is room. */
static void
note_broken(struct sl_store *st)
{
    int code = sqlite3_extended_errcode(st->writer.db), sys = sqlite3_system_errno(st->writer.db);

    if ((code != SQLITE_IOERR_FSYNC && code != SQLITE_IOERR_DIR_FSYNC &&
         code != SQLITE_IOERR_WRITE) ||
        sys == ENOSPC || sys == EDQUOT)
        return;
    pthread_mutex_lock(&st->lock);
    st->broken = true;
    pthread_mutex_unlock(&st->lock);
}

sl_rc
sl_store_commit(struct sl_store *st, struct sl_err *err)
{
    sl_rc rc;

    if (!is_owner(st))
        return sl_fail(err, SL_E_INTERNAL, "commit without a transaction");
    rc = SL_FAULT_POINT(store_before_commit, err);
    if (rc == SL_OK) {
        rc = sl_db_exec(&st->writer, "COMMIT", err); /* Inv 4: synchronous = FULL */
        if (rc)
            note_broken(st);
    }
    sl_store_rollback(st);
    if (rc == SL_OK)
        (void)SL_FAULT_POINT(store_after_commit, NULL); /* only a kill says anything here */
    return rc;
}

/* ---- connections ---- */

sl_rc
sl_reader_take(struct sl_store *st, struct sl_db **db, struct sl_err *err)
{
    if (!is_owner(st))
        return sl_readers_take(&st->readers, db, err);
    *db = &st->writer;
    return SL_OK;
}

void
sl_reader_give(struct sl_store *st, struct sl_db *db)
{
    if (db != &st->writer)
        sl_readers_give(&st->readers, db);
}

sl_rc
sl_writer(struct sl_store *st, struct sl_db **db, struct sl_err *err)
{
    if (!is_owner(st))
        return sl_fail(err, SL_E_INTERNAL, "a write outside a transaction");
    *db = &st->writer;
    return SL_OK;
}

/* ---- values by name ---- */

sl_rc
sl_store_meta(struct sl_store *st, const char *name, char **value, struct sl_err *err)
{
    sqlite3_stmt *stmt = NULL;
    struct sl_db *db = NULL;
    bool row = false;
    sl_rc rc;

    *value = NULL;
    rc = sl_reader_take(st, &db, err);
    if (rc)
        return rc;
    rc = sl_db_prepare(db, "SELECT value FROM meta WHERE name = ?1", &stmt, err);
    if (rc == SL_OK) {
        sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
        rc = sl_db_step(db, stmt, &row, err);
    }
    if (row)
        *value = sl_strdup((const char *)sqlite3_column_text(stmt, 0));
    sl_db_done(stmt);
    sl_reader_give(st, db);
    return rc;
}

sl_rc
sl_store_set_meta(struct sl_store *st, const char *name, const char *value, struct sl_err *err)
{
    sqlite3_stmt *stmt = NULL;
    struct sl_db *db = NULL;
    bool row;
    sl_rc rc = sl_writer(st, &db, err);

    if (rc == SL_OK)
        rc = sl_db_prepare(db,
                           "INSERT INTO meta (name, value) VALUES (?1, ?2)"
                           " ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                           &stmt, err);
    if (rc == SL_OK) {
        sqlite3_bind_text(stmt, 1, name, -1, SQLITE_STATIC);
        sqlite3_bind_text(stmt, 2, value, -1, SQLITE_STATIC);
        rc = sl_db_step(db, stmt, &row, err);
    }
    sl_db_done(stmt);
    return rc;
}

sl_rc
sl_store_meta_names(struct sl_store *st, const char *prefix, char ***names, struct sl_err *err)
{
    sqlite3_stmt *stmt = NULL;
    struct sl_db *db = NULL;
    bool row = true;
    size_t n = 0;
    sl_rc rc = sl_reader_take(st, &db, err);

    *names = sl_zalloc(1, sizeof **names);
    if (rc)
        return rc;
    rc = sl_db_prepare(db,
                       "SELECT name FROM meta WHERE substr(name, 1, length(?1)) = ?1 ORDER BY name",
                       &stmt, err);
    if (rc == SL_OK)
        sqlite3_bind_text(stmt, 1, prefix, -1, SQLITE_STATIC);
    while (rc == SL_OK && row) {
        rc = sl_db_step(db, stmt, &row, err);
        if (rc || !row)
            break;
        *names = sl_realloc(*names, n + 2, sizeof **names);
        (*names)[n++] = sl_strdup((const char *)sqlite3_column_text(stmt, 0));
        (*names)[n] = NULL;
    }
    sl_db_done(stmt);
    sl_reader_give(st, db);
    return rc;
}

/* ---- copies ---- */

sl_rc
sl_store_backup(struct sl_store *st, const char *path, struct sl_err *err)
{
    struct sl_db db;
    /* A connection of its own: a copy may take seconds, and the pool's readers forbid writing anywhere. */
    sl_rc rc = sl_db_open(&db, st->path, SL_DB_WRITE, SL_APP_STORE, true, err);

    if (rc)
        return rc;
    rc = sl_db_copy(&db, path, err);
    sl_db_close(&db);
    return rc;
}
