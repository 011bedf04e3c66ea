#include "platform/logs.h"

#include "base/cond.h"
#include "base/time.h"
#include "platform/migrate.h"
#include "platform/readers.h"
#include "runtime/file.h"

#include <ctype.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define BUDGET (INT64_C(50) << 20)
#define QUEUE_MAX ((size_t)8 << 20)
#define TEXT_MAX ((size_t)256 << 10)
/* Lines wait this long for company, unless somebody flushes. */
#define BATCH_US 100000
/* What a line costs besides its text, with its index entries. */
#define LINE_COST 64
#define READERS 4
#define WAIT_US (30 * INT64_C(1000000))

/* Connections and syncs are numbered: their names would take more room than most lines. */
static const char *const steps[] = {
    "CREATE TABLE connection (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, bytes INTEGER NOT "
    "NULL);"
    "CREATE TABLE sync (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE,"
    " connection INTEGER NOT NULL);"
    "CREATE INDEX sync_connection ON sync (connection, id);"
    "CREATE TABLE line (seq INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
    " connection INTEGER NOT NULL, sync INTEGER NOT NULL, level INTEGER NOT NULL,"
    " origin INTEGER NOT NULL, text BLOB NOT NULL);"
    "CREATE INDEX line_connection ON line (connection, seq);"
    "CREATE INDEX line_sync ON line (sync, seq);",
};

static const char *const levels[] = { "DEBUG", "FINE",   "INFO",    "WARNING",
                                      "ERROR", "SEVERE", "CRITICAL" };
static const char *const origins[] = { "connector", "sdk", "sluice" };
#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

struct queued {
    struct queued *next;
    char *connection, *sync;
    int64_t time;
    int level, origin;
    size_t len;
    char text[];
};

struct sl_logs {
    char *path;
    struct sl_db writer; /* this and the budget are used under `writing` only */
    int64_t budget;
    pthread_mutex_t writing;
    struct sl_readers readers;
    pthread_t thread;
    bool have_thread;

    pthread_mutex_t lock; /* guards what follows */
    pthread_cond_t work, room, written;
    struct queued *head, **tail;
    size_t bytes;            /* queued */
    uint64_t added, settled; /* lines so far; settled: written or dropped */
    bool hurry, closing;
    int64_t last_seq; /* of what is readable */
    int64_t dropped;
    bool failing;
};

static int
index_of(const char *const *list, int n, const char *word, int fallback)
{
    for (int i = 0; i < n; i++)
        if (word != NULL && strcasecmp(list[i], word) == 0)
            return i;
    return fallback;
}

static int
level_index(const char *word)
{
    return index_of(levels, COUNT(levels), word, 2);
}

/* ---- the queue ---- */

static struct queued *
copy_line(const struct sl_log_line *line)
{
    bool cut = line->len > TEXT_MAX;
    size_t len = cut ? TEXT_MAX : line->len;
    char note[64] = "";
    struct queued *q;

    /* Not in the middle of a character. */
    while (cut && len > 0 && ((unsigned char)line->text[len] & 0xC0) == 0x80)
        len--;
    if (cut)
        snprintf(note, sizeof note, "… (%zu bytes left out)", line->len - len);
    q = sl_alloc(sizeof *q + len + strlen(note));
    memset(q, 0, sizeof *q);
    q->connection = sl_strdup(line->connection_id ? line->connection_id : "");
    q->sync = sl_strdup(line->sync_id ? line->sync_id : "");
    q->time = line->time ? line->time : sl_now_us();
    q->level = level_index(line->level);
    q->origin = index_of(origins, COUNT(origins), line->origin, 2);
    memcpy(q->text, line->text, len);
    memcpy(q->text + len, note, strlen(note));
    q->len = len + strlen(note);
    return q;
}

static void
free_queue(struct queued *q)
{
    while (q != NULL) {
        struct queued *next = q->next;

        free(q->connection);
        free(q->sync);
        free(q);
        q = next;
    }
}

void
sl_logs_add(struct sl_logs *l, const struct sl_log_line *line)
{
    struct queued *q = copy_line(line);
    int64_t until = sl_mono_us() + WAIT_US;

    pthread_mutex_lock(&l->lock);
    /* A disk that hangs must not hold a sync for ever: the line is dropped then. */
    while (l->bytes > QUEUE_MAX && !l->closing)
        if (!sl_cond_wait(&l->room, &l->lock, until))
            break;
    if (l->closing || l->bytes > QUEUE_MAX) {
        l->dropped++;
        pthread_mutex_unlock(&l->lock);
        free_queue(q);
        return;
    }
    *l->tail = q;
    l->tail = &q->next;
    l->bytes += q->len + LINE_COST;
    l->added++;
    pthread_cond_signal(&l->work);
    pthread_mutex_unlock(&l->lock);
}

void
sl_logs_flush(struct sl_logs *l)
{
    int64_t until = sl_mono_us() + WAIT_US;
    uint64_t wanted;

    pthread_mutex_lock(&l->lock);
    wanted = l->added;
    while (l->settled < wanted) {
        l->hurry = true;
        pthread_cond_signal(&l->work);
        if (!sl_cond_wait(&l->written, &l->lock, until))
            break;
    }
    pthread_mutex_unlock(&l->lock);
}

int64_t
sl_logs_dropped(struct sl_logs *l)
{
    int64_t n;

    pthread_mutex_lock(&l->lock);
    n = l->dropped;
    pthread_mutex_unlock(&l->lock);
    return n;
}

void
sl_logs_set_budget(struct sl_logs *l, int64_t budget)
{
    pthread_mutex_lock(&l->writing);
    l->budget = budget > 0 ? budget : BUDGET;
    pthread_mutex_unlock(&l->writing);
}

void
sl_logs_wait(struct sl_logs *l, int64_t after, int64_t timeout_us)
{
    int64_t until = sl_mono_us() + timeout_us;

    pthread_mutex_lock(&l->lock);
    while (l->last_seq <= after && !l->closing)
        if (!sl_cond_wait(&l->written, &l->lock, until))
            break;
    pthread_mutex_unlock(&l->lock);
}

/* ---- writing ---- */

/* Runs a statement with numbers ?1… and, behind them, a text; gives the first column of its row, or 0. */
static sl_rc
run(struct sl_db *db, const char *sql, const int64_t *numbers, int n, const char *text,
    int64_t *result, struct sl_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    sl_rc rc = sl_db_prepare(db, sql, &stmt, err);

    for (int i = 0; i < n && rc == SL_OK; i++)
        sqlite3_bind_int64(stmt, i + 1, numbers[i]);
    if (rc == SL_OK && text != NULL)
        sqlite3_bind_text(stmt, n + 1, text, -1, SQLITE_STATIC);
    if (rc == SL_OK)
        rc = sl_db_step(db, stmt, &row, err);
    if (result != NULL)
        *result = row ? sqlite3_column_int64(stmt, 0) : 0;
    sl_db_done(stmt);
    return rc;
}

/* The number of a connection, with `cost` added to its bytes. */
static sl_rc
connection_number(struct sl_db *db, const char *name, int64_t cost, int64_t *id, struct sl_err *err)
{
    return run(db,
               "INSERT INTO connection (bytes, name) VALUES (?1, ?2)"
               " ON CONFLICT (name) DO UPDATE SET bytes = bytes + excluded.bytes RETURNING id",
               &cost, 1, name, id, err);
}

static sl_rc
sync_number(struct sl_db *db, const char *name, int64_t connection, int64_t *id, struct sl_err *err)
{
    sl_rc rc;

    *id = 0;
    if (name[0] == '\0')
        return SL_OK;
    rc = run(db, "SELECT id FROM sync WHERE connection = ?1 AND name = ?2", &connection, 1, name,
             id, err);
    if (rc || *id != 0)
        return rc;
    return run(db,
               "INSERT INTO sync (connection, name) VALUES (?1, ?2)"
               " ON CONFLICT (name) DO UPDATE SET connection = excluded.connection RETURNING id",
               &connection, 1, name, id, err);
}

static sl_rc
insert_line(struct sl_db *db, const struct queued *q, int64_t connection, int64_t sync,
            struct sl_err *err)
{
    const int64_t numbers[] = { q->time, connection, sync, q->level, q->origin };
    sqlite3_stmt *stmt = NULL;
    bool row;
    sl_rc rc = sl_db_prepare(db,
                             "INSERT INTO line (time, connection, sync, level, origin, text)"
                             " VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
                             &stmt, err);

    if (rc)
        return rc;
    for (int i = 0; i < COUNT(numbers); i++)
        sqlite3_bind_int64(stmt, i + 1, numbers[i]);
    sqlite3_bind_blob(stmt, 6, q->text, (int)q->len, SQLITE_STATIC);
    rc = sl_db_step(db, stmt, &row, err);
    sl_db_done(stmt);
    return rc;
}

/* Commits when all went well; whatever is open then is undone. */
static sl_rc
end_transaction(struct sl_db *db, sl_rc rc, struct sl_err *err)
{
    if (rc == SL_OK)
        rc = sl_db_exec(db, "COMMIT", err);
    if (!sqlite3_get_autocommit(db->db))
        sqlite3_exec(db->db, "ROLLBACK", NULL, NULL, NULL);
    return rc;
}

static sl_rc
write_batch(struct sl_db *db, const struct queued *q, int64_t *last, struct sl_err *err)
{
    int64_t connection, sync;
    sl_rc rc = sl_db_exec(db, "BEGIN IMMEDIATE", err);

    for (; q != NULL && rc == SL_OK; q = q->next) {
        rc = connection_number(db, q->connection, (int64_t)q->len + LINE_COST, &connection, err);
        if (rc == SL_OK)
            rc = sync_number(db, q->sync, connection, &sync, err);
        if (rc == SL_OK)
            rc = insert_line(db, q, connection, sync, err);
    }
    *last = sqlite3_last_insert_rowid(db->db);
    rc = end_transaction(db, rc, err);
    return rc;
}

/* ---- the budget ---- */

/* Deletes the oldest lines of a connection, at most 2000, so that `need` bytes become free; *freed of them did. */
static sl_rc
delete_oldest(struct sl_db *db, int64_t connection, int64_t need, int64_t *freed,
              struct sl_err *err)
{
    sqlite3_stmt *stmt = NULL;
    int64_t last = 0;
    bool row = false;
    sl_rc rc = sl_db_prepare(
        db,
        "SELECT max(seq), max(total) FROM (SELECT seq, length(text) + 64 AS cost,"
        "  sum(length(text) + 64) OVER (ORDER BY seq) AS total FROM"
        "  (SELECT seq, text FROM line WHERE connection = ?1 ORDER BY seq LIMIT 2000))"
        " WHERE total - cost < ?2",
        &stmt, err);

    if (rc == SL_OK) {
        sqlite3_bind_int64(stmt, 1, connection);
        sqlite3_bind_int64(stmt, 2, need);
        rc = sl_db_step(db, stmt, &row, err);
    }
    if (row) {
        last = sqlite3_column_int64(stmt, 0);
        *freed = sqlite3_column_int64(stmt, 1);
    }
    sl_db_done(stmt);
    if (rc == SL_OK && last == 0)
        *freed = need; /* no lines: the count was wrong */
    if (rc == SL_OK)
        rc = run(db, "DELETE FROM line WHERE connection = ?1 AND seq <= ?2",
                 (const int64_t[]){ connection, last }, 2, NULL, NULL, err);
    /* Syncs of which no line is left. */
    if (rc == SL_OK)
        rc = run(db,
                 "DELETE FROM sync WHERE connection = ?1 AND id < coalesce((SELECT sync FROM line"
                 " WHERE connection = ?1 AND sync > 0 ORDER BY seq LIMIT 1), 0x7fffffffffffffff)",
                 &connection, 1, NULL, NULL, err);
    return rc;
}

static sl_rc
trim_step(struct sl_logs *l, int64_t connection, bool *more, struct sl_err *err)
{
    struct sl_db *db = &l->writer;
    /* A tenth below the budget, so that not every batch has to delete. */
    int64_t goal = l->budget - l->budget / 10, bytes = 0, freed = 0;
    sl_rc rc = sl_db_exec(db, "BEGIN IMMEDIATE", err);

    *more = false;
    if (rc)
        return rc;
    rc = run(db, "SELECT bytes FROM connection WHERE id = ?1", &connection, 1, NULL, &bytes, err);
    if (rc == SL_OK && bytes > goal)
        rc = delete_oldest(db, connection, bytes - goal, &freed, err);
    if (rc == SL_OK)
        rc = run(db, "UPDATE connection SET bytes = max(bytes - ?2, 0) WHERE id = ?1",
                 (const int64_t[]){ connection, freed }, 2, NULL, NULL, err);
    rc = end_transaction(db, rc, err);
    *more = bytes - freed > goal;
    return rc;
}

static sl_rc
trim(struct sl_logs *l, struct sl_err *err)
{
    int64_t connection = 0;
    bool more = true;
    sl_rc rc = SL_OK;

    while (rc == SL_OK) {
        rc = run(&l->writer, "SELECT id FROM connection WHERE bytes > ?1 LIMIT 1", &l->budget, 1,
                 NULL, &connection, err);
        if (rc || connection == 0)
            break;
        for (more = true; more && rc == SL_OK;)
            rc = trim_step(l, connection, &more, err);
    }
    return rc;
}

/* ---- the writer's thread ---- */

/* Takes all that is queued; NULL when the log is being closed and nothing is left. */
static struct queued *
take_batch(struct sl_logs *l, uint64_t *upto)
{
    struct queued *q;
    int64_t until;

    pthread_mutex_lock(&l->lock);
    while (l->head == NULL && !l->closing)
        pthread_cond_wait(&l->work, &l->lock);
    until = sl_mono_us() + BATCH_US;
    while (!l->hurry && !l->closing && l->bytes < QUEUE_MAX / 4)
        if (!sl_cond_wait(&l->work, &l->lock, until))
            break;
    q = l->head;
    l->head = NULL;
    l->tail = &l->head;
    l->bytes = 0;
    l->hurry = false;
    *upto = l->added;
    pthread_cond_broadcast(&l->room);
    pthread_mutex_unlock(&l->lock);
    return q;
}

/* Under the lock. */
static void
note_failure(struct sl_logs *l, uint64_t lines, const struct sl_err *err)
{
    l->dropped += (int64_t)lines;
    if (!l->failing)
        fprintf(stderr, "sluiced: log lines of connectors cannot be kept: %s\n", err->text);
    l->failing = true;
}

static void
settle(struct sl_logs *l, uint64_t upto, sl_rc rc, int64_t last, const struct sl_err *err)
{
    pthread_mutex_lock(&l->lock);
    if (rc) {
        note_failure(l, upto - l->settled, err);
    } else {
        l->last_seq = last;
        if (l->failing)
            fprintf(stderr, "sluiced: log lines are kept again; %lld were dropped\n",
                    (long long)l->dropped);
        l->failing = false;
    }
    l->settled = upto;
    pthread_cond_broadcast(&l->written);
    pthread_mutex_unlock(&l->lock);
}

static void *
write_main(void *logs)
{
    struct sl_logs *l = logs;
    struct sl_err err = { 0 };
    struct queued *q;
    uint64_t upto;
    int64_t last;
    sl_rc rc;

    while ((q = take_batch(l, &upto)) != NULL) {
        pthread_mutex_lock(&l->writing);
        rc = write_batch(&l->writer, q, &last, &err);
        settle(l, upto, rc, last, &err);
        if (rc == SL_OK && trim(l, &err)) {
            pthread_mutex_lock(&l->lock);
            note_failure(l, 0, &err);
            pthread_mutex_unlock(&l->lock);
        }
        pthread_mutex_unlock(&l->writing);
        free_queue(q);
    }
    return NULL;
}

/* ---- opening ---- */

sl_rc
sl_logs_open(struct sl_logs **out, const char *dir, int64_t budget, struct sl_err *err)
{
    struct sl_logs *l = sl_zalloc(1, sizeof *l);
    sl_rc rc;

    *out = NULL;
    l->path = sl_path_join(dir, "logs.db");
    l->budget = budget > 0 ? budget : BUDGET;
    l->tail = &l->head;
    pthread_mutex_init(&l->lock, NULL);
    pthread_mutex_init(&l->writing, NULL);
    sl_cond_init(&l->work);
    sl_cond_init(&l->room);
    sl_cond_init(&l->written);
    l->readers = (struct sl_readers){
        .path = l->path, .what = "log", .app_id = SL_APP_LOGS, .count = READERS
    };
    sl_readers_init(&l->readers);
    rc = sl_db_open(&l->writer, l->path, SL_DB_CREATE, SL_APP_LOGS, false, err);
    if (rc == SL_OK)
        rc = sl_migrate(&l->writer, steps, COUNT(steps), err);
    if (rc == SL_OK)
        rc = run(&l->writer, "SELECT max(seq) FROM line", NULL, 0, NULL, &l->last_seq, err);
    if (rc == SL_OK && pthread_create(&l->thread, NULL, write_main, l) != 0)
        rc = sl_fail_errno(err, "cannot start the log's thread");
    else if (rc == SL_OK)
        l->have_thread = true;
    if (rc) {
        sl_logs_close(l);
        return rc;
    }
    *out = l;
    return SL_OK;
}

void
sl_logs_close(struct sl_logs *l)
{
    if (l == NULL)
        return;
    pthread_mutex_lock(&l->lock);
    l->closing = true;
    pthread_cond_broadcast(&l->work);
    pthread_cond_broadcast(&l->room);
    pthread_cond_broadcast(&l->written);
    pthread_mutex_unlock(&l->lock);
    if (l->have_thread)
        pthread_join(l->thread, NULL);
    sl_readers_close(&l->readers);
    sl_db_close(&l->writer);
    pthread_mutex_destroy(&l->lock);
    pthread_mutex_destroy(&l->writing);
    pthread_cond_destroy(&l->work);
    pthread_cond_destroy(&l->room);
    pthread_cond_destroy(&l->written);
    free(l->path);
    free(l);
}

/* ---- reading ---- */

static bool
contains(const char *text, size_t len, const char *part, size_t n)
{
    int first = n > 0 ? tolower((unsigned char)part[0]) : 0;

    for (size_t i = 0; i + n <= len; i++)
        if (n == 0 || (tolower((unsigned char)text[i]) == first && !strncasecmp(text + i, part, n)))
            return true;
    return false;
}

/* Numbers stand in the text itself: they are ours. */
static void
query_sql(struct sl_buf *sql, const struct sl_log_query *q)
{
    sl_buf_add(sql, "SELECT l.seq, l.time, c.name, s.name, l.level, l.origin, l.text FROM line l"
                    " JOIN connection c ON c.id = l.connection LEFT JOIN sync s ON s.id = l.sync"
                    " WHERE l.seq > ?1 AND l.seq < ?2 AND l.time >= ?3 AND l.time < ?4"
                    " AND l.level >= ?5");
    if (q->sync_id != NULL)
        sl_buf_add(sql, " AND l.sync = (SELECT id FROM sync WHERE name = ?6)");
    /* One index suffices: with a sync the connection is only compared. */
    if (q->connection_id != NULL)
        sl_buf_addf(sql, " AND %sl.connection = (SELECT id FROM connection WHERE name = ?7)",
                    q->sync_id ? "+" : "");
    sl_buf_addf(sql, " ORDER BY l.seq%s", q->descending ? " DESC" : "");
}

static void
bind_query(sqlite3_stmt *stmt, const struct sl_log_query *q)
{
    sqlite3_bind_int64(stmt, 1, q->descending ? 0 : q->after_seq);
    sqlite3_bind_int64(stmt, 2, q->descending && q->after_seq ? q->after_seq : INT64_MAX);
    sqlite3_bind_int64(stmt, 3, q->since_us);
    sqlite3_bind_int64(stmt, 4, q->before_us ? q->before_us : INT64_MAX);
    sqlite3_bind_int(stmt, 5, q->level ? level_index(q->level) : 0);
    if (q->sync_id != NULL)
        sqlite3_bind_text(stmt, 6, q->sync_id, -1, SQLITE_STATIC);
    if (q->connection_id != NULL)
        sqlite3_bind_text(stmt, 7, q->connection_id, -1, SQLITE_STATIC);
}

static struct sl_log_line
line_of(sqlite3_stmt *stmt)
{
    int level = sqlite3_column_int(stmt, 4), origin = sqlite3_column_int(stmt, 5);

    return (struct sl_log_line){
        .seq = sqlite3_column_int64(stmt, 0),
        .time = sqlite3_column_int64(stmt, 1),
        .connection_id = (const char *)sqlite3_column_text(stmt, 2),
        .sync_id = (const char *)sqlite3_column_text(stmt, 3),
        .level = levels[level >= 0 && level < COUNT(levels) ? level : 2],
        .origin = origins[origin >= 0 && origin < COUNT(origins) ? origin : 2],
        .text = sqlite3_column_bytes(stmt, 6) ? sqlite3_column_blob(stmt, 6) : "",
        .len = (size_t)sqlite3_column_bytes(stmt, 6),
    };
}

sl_rc
sl_logs_read(struct sl_logs *l, const struct sl_log_query *q,
             bool (*line)(void *ctx, const struct sl_log_line *line), void *ctx, struct sl_err *err)
{
    size_t n = q->text ? strlen(q->text) : 0;
    sqlite3_stmt *stmt = NULL;
    struct sl_buf sql;
    bool row = true;
    struct sl_db *db = NULL;
    int left = q->limit > 0 ? q->limit : INT32_MAX;
    sl_rc rc = sl_readers_take(&l->readers, &db, err);

    sl_buf_init(&sql, 4096);
    query_sql(&sql, q);
    if (rc == SL_OK)
        rc = sl_db_prepare(db, sl_buf_str(&sql), &stmt, err);
    if (rc == SL_OK)
        bind_query(stmt, q);
    while (rc == SL_OK && left > 0) {
        struct sl_log_line one;

        rc = sl_db_step(db, stmt, &row, err);
        if (rc || !row)
            break;
        one = line_of(stmt);
        if (!contains(one.text, one.len, q->text ? q->text : "", n))
            continue;
        left--;
        if (!line(ctx, &one))
            break;
    }
    sl_db_done(stmt);
    sl_readers_give(&l->readers, db);
    sl_buf_free(&sql);
    return rc;
}

/* ---- forgetting ---- */

sl_rc
sl_logs_forget(struct sl_logs *l, const char *connection_id, struct sl_err *err)
{
    struct sl_db *db = &l->writer;
    int64_t id = 0, left = 1;
    sl_rc rc;

    /* Also what is still on its way. */
    sl_logs_flush(l);
    pthread_mutex_lock(&l->writing);
    rc = run(db, "SELECT id FROM connection WHERE bytes >= ?1 AND name = ?2",
             (const int64_t[]){ 0 }, 1, connection_id, &id, err);
    /* In steps: each is a transaction of its own, and the last one takes the names away. */
    while (rc == SL_OK && id != 0 && left != 0) {
        rc = run(db,
                 "DELETE FROM line WHERE seq IN (SELECT seq FROM line WHERE connection = ?1"
                 " ORDER BY seq LIMIT 2000)",
                 &id, 1, NULL, NULL, err);
        if (rc == SL_OK)
            rc = run(db, "SELECT count(*) FROM (SELECT 1 FROM line WHERE connection = ?1 LIMIT 1)",
                     &id, 1, NULL, &left, err);
    }
    if (rc == SL_OK && id != 0)
        rc = run(db, "DELETE FROM sync WHERE connection = ?1", &id, 1, NULL, NULL, err);
    if (rc == SL_OK && id != 0)
        rc = run(db, "DELETE FROM connection WHERE id = ?1", &id, 1, NULL, NULL, err);
    pthread_mutex_unlock(&l->writing);
    return rc;
}
