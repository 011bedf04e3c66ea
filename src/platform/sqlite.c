#include "platform/sqlite.h"

#include "base/buf.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Another process (sluiced key create, backup) writes for milliseconds; a wait this long means that one hangs. */
#define BUSY_MS 30000
/* The store has a few hundred different statements at most; a caller that makes up more only loses speed. */
#define STMTS_MAX 400
/* Pages kept in memory, in KiB. SQLite would keep 2 MB a connection, and the server has fourteen of them. The writer's pages
 * stay good from one transaction to the next; a reader forgets all of its own after every write of another connection, so
 * that more would only be memory: the system has the file in its own cache. */
#define WRITER_KIB "1024"
#define READER_KIB "256"
/* After a checkpoint the log file is cut back to this. */
#define WAL_BYTES "67108864"

static sl_rc
fail_code(struct sl_err *err, int code, const char *path, const char *words)
{
    sl_rc rc;

    switch (code & 0xff) {
    case SQLITE_FULL:
        rc = sl_fail(err, SL_E_DISK_FULL, "%s: the disk is full", path);
        sl_err_hint(err, "free some space on this disk; nothing that was acknowledged is lost");
        break;
    case SQLITE_READONLY:
    case SQLITE_PERM:
    case SQLITE_AUTH:
        rc = sl_fail(err, SL_E_PERMISSION, "%s cannot be written: %s", path, words);
        sl_err_hint(err,
                    "the data directory must belong to the user who runs sluiced, on a file system "
                    "that can be written");
        break;
    case SQLITE_CANTOPEN:
        rc = sl_fail(err, SL_E_PERMISSION, "%s cannot be opened: %s", path, words);
        sl_err_hint(err, "look at the permissions of the data directory and of the files in it");
        break;
    case SQLITE_CORRUPT:
        rc = sl_fail(err, SL_E_IO, "%s is damaged: %s", path, words);
        sl_err_hint(
            err,
            "stop the server, keep the file, and restore the last backup into a new directory: "
            "sluiced restore FILE --data DIR");
        break;
    case SQLITE_NOTADB:
        rc = sl_fail(err, SL_E_CONFIG, "%s is not a file of Sluice: it is no SQLite database",
                     path);
        sl_err_hint(err, "give --data the directory that sluiced made, or restore a backup");
        break;
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
        rc = sl_fail(err, SL_E_TIMEOUT, "%s is held by another process", path);
        sl_err_hint(err, "another sluiced command may hang: look for it with ps");
        break;
    case SQLITE_NOMEM:
        rc = sl_fail(err, SL_E_NOMEM, "%s: no memory", path);
        break;
    case SQLITE_TOOBIG:
        rc = sl_fail(err, SL_E_LIMIT, "%s: a value is larger than 1,000,000,000 bytes", path);
        break;
    case SQLITE_IOERR:
        rc = sl_fail(err, SL_E_IO, "%s: %s", path, words);
        break;
    default:
        rc = sl_fail(err, SL_E_INTERNAL, "%s: %s (SQLite %d)", path, words, code);
        break;
    }
    sl_err_path(err, "%s", path);
    return rc;
}

sl_rc
sl_db_fail(struct sl_db *db, struct sl_err *err)
{
    /* A full disk also comes as an I/O error of the system call. */
    int code = sqlite3_extended_errcode(db->db), sys = sqlite3_system_errno(db->db);

    if ((code & 0xff) == SQLITE_IOERR && (sys == ENOSPC || sys == EDQUOT))
        code = SQLITE_FULL;
    return fail_code(err, code, db->path, sqlite3_errmsg(db->db));
}

void
sl_db_done(sqlite3_stmt *stmt)
{
    if (stmt == NULL)
        return;
    sqlite3_reset(stmt);
    sqlite3_clear_bindings(stmt);
}

static void
drop_stmts(struct sl_db *db)
{
    for (size_t i = 0; i < db->nstmts; i++)
        sqlite3_finalize(db->stmts[i]);
    db->nstmts = 0;
    sl_map_free(&db->index);
    db->index = (struct sl_map){ 0 };
}

sl_rc
sl_db_prepare(struct sl_db *db, const char *sql, sqlite3_stmt **stmt, struct sl_err *err)
{
    uint32_t at;

    if (sl_map_get(&db->index, sql, strlen(sql), &at)) {
        *stmt = db->stmts[at];
        return SL_OK;
    }
    if (db->nstmts == STMTS_MAX)
        drop_stmts(db);
    if (sqlite3_prepare_v3(db->db, sql, -1, SQLITE_PREPARE_PERSISTENT, stmt, NULL) != SQLITE_OK)
        return sl_db_fail(db, err);
    if (db->stmts == NULL)
        db->stmts = sl_zalloc(STMTS_MAX, sizeof(sqlite3_stmt *));
    sl_map_put(&db->index, sql, strlen(sql), (uint32_t)db->nstmts);
    db->stmts[db->nstmts++] = *stmt;
    return SL_OK;
}

sl_rc
sl_db_step(struct sl_db *db, sqlite3_stmt *stmt, bool *row, struct sl_err *err)
{
    int r = sqlite3_step(stmt);

    *row = r == SQLITE_ROW;
    return r == SQLITE_ROW || r == SQLITE_DONE ? SL_OK : sl_db_fail(db, err);
}

sl_rc
sl_db_exec(struct sl_db *db, const char *sql, struct sl_err *err)
{
    return sqlite3_exec(db->db, sql, NULL, NULL, NULL) == SQLITE_OK ? SL_OK : sl_db_fail(db, err);
}

sl_rc
sl_db_int(struct sl_db *db, const char *sql, int64_t *value, struct sl_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    sl_rc rc = sl_db_prepare(db, sql, &stmt, err);

    if (rc == SL_OK)
        rc = sl_db_step(db, stmt, &row, err);
    *value = row ? sqlite3_column_int64(stmt, 0) : 0;
    sl_db_done(stmt);
    return rc;
}

/* ---- opening ---- */

static sl_rc
check_owner(struct sl_db *db, enum sl_db_mode mode, int app_id, struct sl_err *err)
{
    int64_t found, objects;
    char *mark;
    sl_rc rc = sl_db_int(db, "PRAGMA application_id", &found, err);

    if (rc == SL_OK)
        rc = sl_db_int(db, "SELECT count(*) FROM sqlite_master", &objects, err);
    if (rc || found == app_id)
        return rc;
    if (found != 0 || objects > 0 || mode != SL_DB_CREATE) {
        rc = sl_fail(err, SL_E_CONFIG, "%s is not a file of Sluice: it belongs to another program",
                     db->path);
        sl_err_hint(err, "give --data the directory that sluiced made, or an empty one");
        sl_err_path(err, "%s", db->path);
        return rc;
    }
    mark = sl_sprintf("PRAGMA application_id = %d", app_id);
    rc = sl_db_exec(db, mark, err);
    free(mark);
    return rc;
}

static sl_rc
settings(struct sl_db *db, enum sl_db_mode mode, bool durable, struct sl_err *err)
{
    sl_rc rc = sl_db_exec(db, "PRAGMA foreign_keys = ON; PRAGMA temp_store = MEMORY;", err);

    if (rc)
        return rc;
    if (mode == SL_DB_READ)
        return sl_db_exec(db, "PRAGMA cache_size = -" READER_KIB, err);
    rc = sl_db_exec(db,
                    "PRAGMA cache_size = -" WRITER_KIB "; PRAGMA journal_mode = WAL;"
                    "PRAGMA journal_size_limit = " WAL_BYTES,
                    err);
    if (rc == SL_OK)
        rc = sl_db_exec(db, durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
                        err);
    return rc;
}

sl_rc
sl_db_open(struct sl_db *db, const char *path, enum sl_db_mode mode, int app_id, bool durable,
           struct sl_err *err)
{
    /* Readers open for writing as well: one that comes first after a crash must be able to recover the log. They are kept
     * from writing by query_only. */
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX |
                (mode == SL_DB_CREATE ? SQLITE_OPEN_CREATE : 0);
    sl_rc rc = SL_OK;

    *db = (struct sl_db){ .path = sl_strdup(path) };
    if (sqlite3_open_v2(path, &db->db, flags, NULL) != SQLITE_OK) {
        rc = sl_db_fail(db, err);
        goto out;
    }
    sqlite3_extended_result_codes(db->db, 1);
    sqlite3_busy_timeout(db->db, BUSY_MS);
    rc = check_owner(db, mode, app_id, err);
    if (rc == SL_OK)
        rc = settings(db, mode, durable, err);
    if (rc == SL_OK && mode == SL_DB_READ)
        rc = sl_db_exec(db, "PRAGMA query_only = ON", err);
out:
    if (rc)
        sl_db_close(db);
    return rc;
}

void
sl_db_close(struct sl_db *db)
{
    drop_stmts(db);
    free(db->stmts);
    sqlite3_close(db->db);
    free(db->path);
    *db = (struct sl_db){ 0 };
}
