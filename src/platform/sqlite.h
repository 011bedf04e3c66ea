/* sqlite.h - one connection to an SQLite file: opening with our settings, kept statements, errors in our words.
 *
 * Internal to this folder: store and logs.
 * Threads: one at a time per connection.
 */
#ifndef SL_PLATFORM_SQLITE_H
#define SL_PLATFORM_SQLITE_H

#include "base/err.h"
#include "base/map.h"

#include <sqlite3.h>
#include <stdint.h>

struct sl_db {
    sqlite3 *db;
    char *path;
    struct sl_map index; /* SQL text -> place in stmts */
    sqlite3_stmt **stmts;
    size_t nstmts;
};

/* "SLUC" and "SLUG": what marks a file as ours (PRAGMA application_id). */
#define SL_APP_STORE 0x534c5543
#define SL_APP_LOGS 0x534c5547

enum sl_db_mode { SL_DB_CREATE, SL_DB_WRITE, SL_DB_READ };

/* Opens and checks that it is a database of ours: another program's is refused (SL_E_CONFIG), an empty one is marked with
 * `app_id` (SL_DB_CREATE). WAL. `durable`: each commit waits for the disk. */
SL_MUST_CHECK sl_rc sl_db_open(struct sl_db *db, const char *path, enum sl_db_mode mode, int app_id,
                               bool durable, struct sl_err *err);
void sl_db_close(struct sl_db *db); /* zeroed is fine */

/* A prepared statement, kept until the connection closes, with nothing bound. sl_db_done() gives it back. */
SL_MUST_CHECK sl_rc sl_db_prepare(struct sl_db *db, const char *sql, sqlite3_stmt **stmt,
                                  struct sl_err *err);
/* SL_OK for a row or the end (*row tells), else the error. */
SL_MUST_CHECK sl_rc sl_db_step(struct sl_db *db, sqlite3_stmt *stmt, bool *row, struct sl_err *err);
void sl_db_done(sqlite3_stmt *stmt); /* NULL is fine */
/* Runs statements that give nothing back. */
SL_MUST_CHECK sl_rc sl_db_exec(struct sl_db *db, const char *sql, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_db_int(struct sl_db *db, const char *sql, int64_t *value,
                              struct sl_err *err);
/* The connection's last error in *err; returns its code. */
sl_rc sl_db_fail(struct sl_db *db, struct sl_err *err);

#endif
