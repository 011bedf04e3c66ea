#include "platform/migrate.h"

#include "base/buf.h"
#include "base/fault.h"
#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* A step is never changed once a release has it: add one. */
static const char step_1[] =
    "CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE \"group\" (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " name TEXT UNIQUE, created_at INTEGER NOT NULL);"
    "CREATE TABLE destination (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE"
    "  REFERENCES \"group\"(id) ON DELETE CASCADE,"
    " service TEXT, region TEXT, time_zone_offset TEXT, setup_status TEXT, config TEXT,"
    " created_at INTEGER NOT NULL);"
    "CREATE TABLE package (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " sha256 TEXT, file_name TEXT, size INTEGER NOT NULL, created_by TEXT, last_updated_by TEXT,"
    " created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL);"
    "CREATE TABLE connection (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " group_id TEXT REFERENCES \"group\"(id), service TEXT, schema TEXT, created_by TEXT,"
    " created_at INTEGER NOT NULL, package_id TEXT REFERENCES package(id), python_version TEXT,"
    " naming TEXT, secrets TEXT, options TEXT, memory_limit INTEGER NOT NULL,"
    " deadline_s INTEGER NOT NULL, durable INTEGER NOT NULL, paused INTEGER NOT NULL,"
    " sync_frequency INTEGER NOT NULL, schedule_type TEXT, daily_sync_time TEXT,"
    " next_run_at INTEGER NOT NULL, requested TEXT, requested_by TEXT,"
    " requested_at INTEGER NOT NULL, resync_tables TEXT, historical INTEGER NOT NULL,"
    " setup_state TEXT, setup_tests TEXT, tasks TEXT, warnings TEXT, running_sync TEXT,"
    " succeeded_at INTEGER NOT NULL, failed_at INTEGER NOT NULL, failures INTEGER NOT NULL,"
    " rescheduled_for INTEGER NOT NULL, nsyncs INTEGER NOT NULL,"
    /* Last: what lies behind a large text in its row is slow to reach. */
    " schema_config TEXT, state_override TEXT, state TEXT, catalog TEXT);"
    "CREATE UNIQUE INDEX connection_schema ON connection (group_id, schema);"
    "CREATE INDEX connection_group ON connection (group_id, seq);"
    "CREATE INDEX connection_package ON connection (package_id, seq);"
    "CREATE INDEX connection_due ON connection (next_run_at)"
    " WHERE next_run_at > 0 AND paused = 0 AND running_sync IS NULL;"
    "CREATE INDEX connection_requested ON connection (requested_at) WHERE requested IS NOT NULL;"
    "CREATE TABLE deployment (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " connection_id TEXT REFERENCES connection(id) ON DELETE CASCADE, number INTEGER NOT NULL,"
    " package_id TEXT, sha256 TEXT, python_version TEXT, sdk_version TEXT, made_by TEXT,"
    " reason TEXT, created_at INTEGER NOT NULL);"
    "CREATE UNIQUE INDEX deployment_number ON deployment (connection_id, number);"
    "CREATE INDEX deployment_connection ON deployment (connection_id, seq);"
    "CREATE TABLE sync (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " connection_id TEXT REFERENCES connection(id) ON DELETE CASCADE, number INTEGER NOT NULL,"
    " \"trigger\" TEXT, status TEXT, stage TEXT, epoch TEXT, scheduled_for INTEGER NOT NULL,"
    " started_at INTEGER NOT NULL, finished_at INTEGER NOT NULL, merged INTEGER NOT NULL,"
    " historical INTEGER NOT NULL, tables TEXT, reason TEXT, hint TEXT, sha256 TEXT,"
    " python_version TEXT, sdk_version TEXT, counts TEXT, stages TEXT, walls TEXT,"
    " peak_memory INTEGER NOT NULL, bytes INTEGER NOT NULL, checkpoints INTEGER NOT NULL,"
    " detail TEXT, table_counts TEXT, state TEXT);"
    /* Not unique by scheduled_for: a resumed sync takes up its slot again. The claim is what keeps a slot from running twice:
     * it moves next_run_at in the transaction that makes the record. */
    "CREATE UNIQUE INDEX sync_number ON sync (connection_id, number);"
    "CREATE INDEX sync_connection ON sync (connection_id, seq);"
    "CREATE INDEX sync_status ON sync (status, seq);"
    "CREATE INDEX sync_started ON sync (started_at);"
    "CREATE TABLE state (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " connection_id TEXT REFERENCES connection(id) ON DELETE CASCADE, sync_id TEXT,"
    " created_at INTEGER NOT NULL, state TEXT);"
    "CREATE INDEX state_connection ON state (connection_id, seq);"
    /* Outlives its connection: what was used in a month stays so. */
    "CREATE TABLE active (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " connection_id TEXT, month TEXT, schema TEXT, table_name TEXT, rows INTEGER NOT NULL);"
    "CREATE INDEX active_connection ON active (connection_id, month);"
    "CREATE INDEX active_month ON active (month, seq);"
    "CREATE TABLE \"key\" (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " name TEXT, hash TEXT, role TEXT, user_id TEXT, created_at INTEGER NOT NULL,"
    " last_used_at INTEGER NOT NULL, revoked_at INTEGER NOT NULL);"
    "CREATE TABLE user (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " email TEXT COLLATE NOCASE UNIQUE, given_name TEXT, family_name TEXT, role TEXT,"
    " password TEXT, created_at INTEGER NOT NULL, logged_in_at INTEGER NOT NULL,"
    " active INTEGER NOT NULL);"
    "CREATE TABLE audit (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " created_at INTEGER NOT NULL, actor TEXT, action TEXT, subject_kind TEXT, subject_id TEXT,"
    " detail TEXT);"
    "CREATE INDEX audit_time ON audit (created_at);"
    "CREATE INDEX audit_subject ON audit (subject_kind, subject_id, seq);";

static const char step_2[] =
    "CREATE TABLE session (seq INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE,"
    " user_id TEXT REFERENCES user(id) ON DELETE CASCADE, created_at INTEGER NOT NULL,"
    " last_used_at INTEGER NOT NULL, expires_at INTEGER NOT NULL);"
    "CREATE INDEX session_user ON session (user_id, seq);"
    "CREATE INDEX session_expires ON session (expires_at);";

/* What sl_store_alerts() looks at, and the audit by who did it and by what was done. */
static const char step_3[] =
    "CREATE INDEX connection_troubled ON connection (seq)"
    " WHERE setup_state IS NOT 'connected' OR failures > 0 OR rescheduled_for > 0;"
    "CREATE INDEX audit_actor ON audit (actor, seq);"
    "CREATE INDEX audit_action ON audit (action, seq);";

/* What the list of connections chooses by (dashboard/connections.c), without the rest of their rows, which is 20 times as much. */
static const char step_4[] =
    "CREATE INDEX connection_list ON connection (seq, id, group_id, schema, paused, sync_frequency,"
    " next_run_at, setup_state, running_sync, succeeded_at, failed_at, failures, rescheduled_for,"
    " nsyncs);";

const char *const sl_store_steps[] = { step_1, step_2, step_3, step_4 };
const int sl_store_nsteps = (int)(sizeof sl_store_steps / sizeof sl_store_steps[0]);

/* ---- copies ---- */

sl_rc
sl_db_copy(struct sl_db *db, const char *path, struct sl_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row;
    char *dir;
    sl_rc rc;

    if (sl_exists(path))
        return sl_fail(err, SL_E_USAGE, "%s exists already", path);
    /* Prepared for this once: VACUUM cannot be kept. */
    if (sqlite3_prepare_v2(db->db, "VACUUM INTO ?1", -1, &stmt, NULL) != SQLITE_OK)
        return sl_db_fail(db, err);
    sqlite3_bind_text(stmt, 1, path, -1, SQLITE_STATIC);
    rc = sl_db_step(db, stmt, &row, err);
    sqlite3_finalize(stmt);
    if (rc == SL_OK)
        rc = sl_file_sync(path, err);
    dir = sl_path_dir(path);
    if (rc == SL_OK)
        rc = sl_file_sync(dir, err);
    free(dir);
    if (rc) {
        (void)unlink(path);
        sl_err_wrap(err, "copying to %s", path);
    }
    return rc;
}

/* A copy of this version may stand there from an attempt that was cut short: made anew. */
static sl_rc
keep_copy(struct sl_db *db, int64_t version, struct sl_err *err)
{
    char *path = sl_sprintf("%s.v%lld", db->path, (long long)version);
    char *aside = sl_sprintf("%s.tmp", path);
    sl_rc rc;

    (void)unlink(aside);
    rc = sl_db_copy(db, aside, err);
    if (rc == SL_OK && rename(aside, path) != 0)
        rc = sl_fail_errno(err, "cannot replace %s", path);
    free(path);
    free(aside);
    return rc;
}

/* ---- steps ---- */

static sl_rc
version_of(struct sl_db *db, int nsteps, int64_t *version, struct sl_err *err)
{
    sl_rc rc = sl_db_int(db, "PRAGMA user_version", version, err);

    if (rc || *version <= nsteps)
        return rc;
    rc = sl_fail(err, SL_E_CONFIG,
                 "%s was written by a newer Sluice (its version is %lld, this program knows %d)",
                 db->path, (long long)*version, nsteps);
    sl_err_hint(err, "run the newer sluiced, or restore the backup made before the upgrade");
    return rc;
}

/* One step, in a transaction that looks again: another process may have been first. */
static sl_rc
step(struct sl_db *db, const char *const *steps, int nsteps, struct sl_err *err)
{
    int64_t version;
    char *mark;
    sl_rc rc = sl_db_exec(db, "BEGIN IMMEDIATE", err);

    if (rc)
        return rc;
    rc = version_of(db, nsteps, &version, err);
    if (rc == SL_OK && version < nsteps) {
        mark = sl_sprintf("PRAGMA user_version = %lld", (long long)version + 1);
        rc = sl_db_exec(db, steps[version], err);
        if (rc == SL_OK)
            rc = sl_db_exec(db, mark, err);
        free(mark);
    }
    if (rc == SL_OK)
        rc = SL_FAULT_POINT(migrate_before_commit, err);
    if (rc == SL_OK)
        rc = sl_db_exec(db, "COMMIT", err);
    if (rc == SL_OK)
        rc = SL_FAULT_POINT(migrate_after_commit, err);
    if (!sqlite3_get_autocommit(db->db))
        sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

sl_rc
sl_migrate(struct sl_db *db, const char *const *steps, int nsteps, struct sl_err *err)
{
    int64_t version;
    sl_rc rc = version_of(db, nsteps, &version, err);

    if (rc || version == nsteps)
        return rc;
    rc = SL_FAULT_POINT(migrate_begin, err);
    if (rc == SL_OK && version > 0)
        rc = keep_copy(db, version, err);
    while (rc == SL_OK && version < nsteps) {
        rc = step(db, steps, nsteps, err);
        if (rc == SL_OK)
            rc = version_of(db, nsteps, &version, err);
    }
    if (rc)
        sl_err_wrap(err, "bringing %s up to date", db->path);
    return rc;
}
