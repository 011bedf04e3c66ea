/* records.c - records as rows: SQL made from the tables of fields, kept per connection as prepared statements. */
#include "base/buf.h"
#include "platform/fields.h"
#include "platform/store_sqlite.h"

#include <stdio.h>
#include <stdlib.h>

/* Names come from our tables of fields, never from outside. */
#define SQL_MAX 16384

/* ---- fields and columns ---- */

static bool
is_listed(const char *const *names, const char *name)
{
    while (*names != NULL && strcmp(*names, name) != 0)
        names++;
    return *names != NULL;
}

/* "seq", then the fields; those that are not wanted are read as NULL. */
static void
add_columns(struct sl_buf *sql, const struct sl_kind_def *def, const char *prefix, bool light,
            const char *const *only)
{
    sl_buf_addf(sql, "%sseq", prefix);
    for (int i = 0; i < def->nfields; i++)
        if ((light && (def->fields[i].flags & SL_FIELD_LARGE)) ||
            (only != NULL && !is_listed(only, def->fields[i].name)))
            sl_buf_add(sql, ", NULL");
        else
            sl_buf_addf(sql, ", %s\"%s\"", prefix, def->fields[i].name);
}

static bool
has_large(const struct sl_kind_def *def)
{
    for (int i = 0; i < def->nfields; i++)
        if (def->fields[i].flags & SL_FIELD_LARGE)
            return true;
    return false;
}

static sl_rc
read_row(sqlite3_stmt *stmt, const struct sl_kind_def *def, bool light, void *rec,
         struct sl_err *err)
{
    struct sl_record *head = rec;

    head->seq = sqlite3_column_int64(stmt, 0);
    head->light = light;
    for (int i = 0; i < def->nfields; i++) {
        const struct sl_field *f = &def->fields[i];
        const char *text;

        if (f->type == SL_FIELD_INT) {
            *sl_field_int(f, rec) = sqlite3_column_int64(stmt, i + 1);
            continue;
        }
        if (f->type == SL_FIELD_BOOL) {
            *sl_field_bool(f, rec) = sqlite3_column_int64(stmt, i + 1) != 0;
            continue;
        }
        text = (const char *)sqlite3_column_text(stmt, i + 1);
        if (text == NULL)
            continue;
        *sl_field_text(f, rec) = sl_try_realloc(NULL, (size_t)sqlite3_column_bytes(stmt, i + 1) + 1,
                                                1);
        if (*sl_field_text(f, rec) == NULL)
            return sl_fail(err, SL_E_NOMEM, "no memory for %s.%s", def->name, f->name);
        memcpy(*sl_field_text(f, rec), text, (size_t)sqlite3_column_bytes(stmt, i + 1) + 1);
    }
    return SL_OK;
}

static void
bind_field(sqlite3_stmt *stmt, int at, const struct sl_field *f, void *rec)
{
    switch (f->type) {
    case SL_FIELD_TEXT:
        sqlite3_bind_text(stmt, at, *sl_field_text(f, rec), -1, SQLITE_STATIC);
        break;
    case SL_FIELD_INT:
        sqlite3_bind_int64(stmt, at, *sl_field_int(f, rec));
        break;
    case SL_FIELD_BOOL:
        sqlite3_bind_int(stmt, at, *sl_field_bool(f, rec));
        break;
    }
}

static sl_rc
not_found(enum sl_kind kind, const char *id, struct sl_err *err)
{
    return sl_fail(err, SL_E_NOT_FOUND, "there is no %s %s", sl_record_name(kind), id);
}

/* ---- one record ---- */

sl_rc
sl_store_get(struct sl_store *st, enum sl_kind kind, const char *id, void *rec, struct sl_err *err)
{
    const struct sl_kind_def *def = sl_kind_def(kind);
    sqlite3_stmt *stmt = NULL;
    struct sl_db *db = NULL;
    struct sl_buf sql;
    bool row = false;
    sl_rc rc;

    memset(rec, 0, def->size);
    if (id == NULL)
        return not_found(kind, "(none)", err);
    rc = sl_reader_take(st, &db, err);
    if (rc)
        return rc;
    sl_buf_init(&sql, SQL_MAX);
    sl_buf_add(&sql, "SELECT ");
    add_columns(&sql, def, "", false, NULL);
    sl_buf_addf(&sql, " FROM \"%s\" WHERE id = ?1", def->name);
    rc = sl_db_prepare(db, sl_buf_str(&sql), &stmt, err);
    if (rc == SL_OK) {
        sqlite3_bind_text(stmt, 1, id, -1, SQLITE_STATIC);
        rc = sl_db_step(db, stmt, &row, err);
    }
    if (rc == SL_OK && !row)
        rc = not_found(kind, id, err);
    if (rc == SL_OK)
        rc = read_row(stmt, def, false, rec, err);
    if (rc)
        sl_record_free(kind, rec);
    sl_db_done(stmt);
    sl_reader_give(st, db);
    sl_buf_free(&sql);
    return rc;
}

/* "UNIQUE constraint failed: connection.group_id, connection.schema": the last field is the one a person gave. */
static sl_rc
fail_unique(struct sl_db *db, const struct sl_kind_def *def, struct sl_err *err)
{
    const char *words = sqlite3_errmsg(db->db), *dot = strrchr(words, '.');
    const char *field = dot ? dot + 1 : "id";
    sl_rc rc = sl_fail(err, SL_E_LOCKED, "another %s has this %s already", def->name, field);

    sl_err_path(err, "%s", field);
    return rc;
}

static sl_rc
fail_write(struct sl_db *db, const struct sl_kind_def *def, struct sl_err *err)
{
    switch (sqlite3_extended_errcode(db->db)) {
    case SQLITE_CONSTRAINT_UNIQUE:
    case SQLITE_CONSTRAINT_PRIMARYKEY:
        return fail_unique(db, def, err);
    case SQLITE_CONSTRAINT_FOREIGNKEY:
        return sl_fail(err, SL_E_NOT_FOUND, "what this %s belongs to is not there", def->name);
    default:
        return sl_db_fail(db, err);
    }
}

static void
put_sql(struct sl_buf *sql, const struct sl_kind_def *def)
{
    sl_buf_addf(sql, "INSERT INTO \"%s\" (", def->name);
    for (int i = 0; i < def->nfields; i++)
        sl_buf_addf(sql, "%s\"%s\"", i ? ", " : "", def->fields[i].name);
    sl_buf_add(sql, ") VALUES (");
    for (int i = 0; i < def->nfields; i++)
        sl_buf_addf(sql, "%s?%d", i ? ", " : "", i + 1);
    sl_buf_add(sql, ") ON CONFLICT (id) DO UPDATE SET ");
    for (int i = 1; i < def->nfields; i++)
        sl_buf_addf(sql, "%s\"%s\" = excluded.\"%s\"", i > 1 ? ", " : "", def->fields[i].name,
                    def->fields[i].name);
    sl_buf_add(sql, " RETURNING seq");
}

sl_rc
sl_store_put(struct sl_store *st, enum sl_kind kind, void *rec, struct sl_err *err)
{
    const struct sl_kind_def *def = sl_kind_def(kind);
    struct sl_record *head = rec;
    sqlite3_stmt *stmt = NULL;
    struct sl_db *db;
    struct sl_buf sql;
    bool row = false;
    sl_rc rc = sl_writer(st, &db, err);

    if (rc)
        return rc;
    if (head->light || head->id == NULL)
        return sl_fail(err, SL_E_INTERNAL, "a %s %s cannot be put", def->name,
                       head->id ? "that was read light" : "without id");
    sl_buf_init(&sql, SQL_MAX);
    put_sql(&sql, def);
    rc = sl_db_prepare(db, sl_buf_str(&sql), &stmt, err);
    sl_buf_free(&sql);
    if (rc)
        return rc;
    for (int i = 0; i < def->nfields; i++)
        bind_field(stmt, i + 1, &def->fields[i], rec);
    switch (sqlite3_step(stmt)) {
    case SQLITE_ROW:
        head->seq = sqlite3_column_int64(stmt, 0);
        /* Constraints on other tables are looked at when the statement ends. */
        rc = sl_db_step(db, stmt, &row, NULL);
        if (rc)
            rc = fail_write(db, def, err);
        break;
    default:
        rc = fail_write(db, def, err);
        break;
    }
    sl_db_done(stmt);
    return rc;
}

static sl_rc
fail_delete(struct sl_db *db, const struct sl_kind_def *def, struct sl_err *err)
{
    if (sqlite3_extended_errcode(db->db) == SQLITE_CONSTRAINT_FOREIGNKEY)
        return sl_fail(err, SL_E_LOCKED, "this %s is still in use", def->name);
    return sl_db_fail(db, err);
}

sl_rc
sl_store_delete(struct sl_store *st, enum sl_kind kind, const char *id, struct sl_err *err)
{
    struct sl_query q = { .kind = kind, .where = { { "id", id } } };
    int64_t count;
    sl_rc rc = sl_store_delete_where(st, &q, &count, err);

    return rc == SL_OK && count == 0 ? not_found(kind, id, err) : rc;
}

/* ---- queries ---- */

/* The values of a query, in the order of their numbers in the text. */
struct binds {
    struct {
        const char *text; /* NULL: number */
        int64_t number;
    } list[8];
    int count;
};

static void
bind_number(struct binds *b, int64_t number)
{
    b->list[b->count].text = NULL;
    b->list[b->count++].number = number;
}

static sl_rc
add_value(struct sl_buf *sql, struct binds *b, const struct sl_query *q, int i, struct sl_err *err)
{
    const char *name = q->where[i].field, *text = q->where[i].text;
    const struct sl_field *f = sl_field_of(q->kind, name);

    if (f == NULL)
        return sl_fail(err, SL_E_INTERNAL, "a %s has no field %s", sl_record_name(q->kind), name);
    sl_buf_addf(sql, " AND \"%s\"", name);
    if (text == NULL) {
        sl_buf_add(sql, " IS NULL");
        return SL_OK;
    }
    sl_buf_addf(sql, " = ?%d", b->count + 1);
    if (f->type == SL_FIELD_TEXT) {
        b->list[b->count++].text = text;
        return SL_OK;
    }
    bind_number(b, strcmp(text, "true") == 0 ? 1 : strtoll(text, NULL, 10));
    return SL_OK;
}

static sl_rc
add_time(struct sl_buf *sql, struct binds *b, const struct sl_query *q, struct sl_err *err)
{
    const struct sl_field *f = q->time_field ? sl_field_of(q->kind, q->time_field) : NULL;

    if (q->time_field == NULL)
        return SL_OK;
    if (f == NULL || f->type != SL_FIELD_INT)
        return sl_fail(err, SL_E_INTERNAL, "a %s has no time %s", sl_record_name(q->kind),
                       q->time_field);
    if (q->since_us) {
        sl_buf_addf(sql, " AND \"%s\" >= ?%d", f->name, b->count + 1);
        bind_number(b, q->since_us);
    }
    if (q->before_us) {
        sl_buf_addf(sql, " AND \"%s\" < ?%d", f->name, b->count + 1);
        bind_number(b, q->before_us);
    }
    return SL_OK;
}

static sl_rc
add_where(struct sl_buf *sql, struct binds *b, const struct sl_query *q, struct sl_err *err)
{
    sl_rc rc = SL_OK;

    sl_buf_add(sql, " WHERE 1");
    for (size_t i = 0; i < sizeof q->where / sizeof q->where[0] && rc == SL_OK; i++) {
        if (q->where[i].field == NULL)
            break;
        rc = add_value(sql, b, q, (int)i, err);
    }
    if (rc == SL_OK)
        rc = add_time(sql, b, q, err);
    if (q->after_seq) {
        sl_buf_addf(sql, " AND seq %s ?%d", q->descending ? "<" : ">", b->count + 1);
        bind_number(b, q->after_seq);
    }
    return rc;
}

static sl_rc
prepare_bound(struct sl_db *db, struct sl_buf *sql, const struct binds *b, sqlite3_stmt **stmt,
              struct sl_err *err)
{
    sl_rc rc = sl_db_prepare(db, sl_buf_str(sql), stmt, err);

    for (int i = 0; i < b->count && rc == SL_OK; i++)
        if (b->list[i].text != NULL)
            sqlite3_bind_text(*stmt, i + 1, b->list[i].text, -1, SQLITE_STATIC);
        else
            sqlite3_bind_int64(*stmt, i + 1, b->list[i].number);
    return rc;
}

/* Steps to the end and appends every row to *list. */
static sl_rc
collect(struct sl_db *db, sqlite3_stmt *stmt, bool light, struct sl_list *list, struct sl_err *err)
{
    const struct sl_kind_def *def = sl_kind_def(list->kind);
    /* The caller may have appended before: its array is grown by its count, and in steps here. */
    size_t room = list->count;
    bool row = true;
    sl_rc rc = SL_OK;

    while (rc == SL_OK) {
        void *grown;

        rc = sl_db_step(db, stmt, &row, err);
        if (rc || !row)
            break;
        if (list->count == room) {
            room = room < 16 ? 16 : room * 2;
            grown = sl_try_realloc(list->items, room, def->size);
            if (grown == NULL)
                return sl_fail(err, SL_E_NOMEM, "no memory for %zu records", room);
            list->items = grown;
        }
        grown = (char *)list->items + list->count * def->size;
        memset(grown, 0, def->size);
        list->count++;
        rc = read_row(stmt, def, light, grown, err);
    }
    return rc;
}

sl_rc
sl_store_list(struct sl_store *st, const struct sl_query *q, struct sl_list *list,
              struct sl_err *err)
{
    const struct sl_kind_def *def = sl_kind_def(q->kind);
    bool light = q->only != NULL || (q->light && has_large(def));
    struct binds binds = { .count = 0 };
    sqlite3_stmt *stmt = NULL;
    struct sl_db *db = NULL;
    struct sl_buf sql;
    sl_rc rc = sl_reader_take(st, &db, err);

    if (rc)
        return rc;
    list->kind = q->kind;
    sl_buf_init(&sql, SQL_MAX);
    sl_buf_add(&sql, "SELECT ");
    add_columns(&sql, def, "", q->light, q->only);
    sl_buf_addf(&sql, " FROM \"%s\"", def->name);
    rc = add_where(&sql, &binds, q, err);
    sl_buf_addf(&sql, " ORDER BY seq%s", q->descending ? " DESC" : "");
    if (q->limit > 0) {
        sl_buf_addf(&sql, " LIMIT ?%d", binds.count + 1);
        bind_number(&binds, q->limit);
    }
    if (rc == SL_OK)
        rc = prepare_bound(db, &sql, &binds, &stmt, err);
    if (rc == SL_OK)
        rc = collect(db, stmt, light, list, err);
    sl_db_done(stmt);
    sl_reader_give(st, db);
    sl_buf_free(&sql);
    return rc;
}

/* `verb` FROM what the query names. The binds' texts are the query's. */
static sl_rc
prepare_where(struct sl_db *db, const char *verb, const struct sl_query *q, struct binds *binds,
              struct sl_buf *sql, sqlite3_stmt **stmt, struct sl_err *err)
{
    sl_rc rc;

    sl_buf_addf(sql, "%s FROM \"%s\"", verb, sl_record_name(q->kind));
    rc = add_where(sql, binds, q, err);
    return rc ? rc : prepare_bound(db, sql, binds, stmt, err);
}

sl_rc
sl_store_count(struct sl_store *st, const struct sl_query *q, int64_t *count, struct sl_err *err)
{
    struct binds binds = { .count = 0 };
    sqlite3_stmt *stmt = NULL;
    struct sl_db *db = NULL;
    struct sl_buf sql;
    bool row = false;
    sl_rc rc = sl_reader_take(st, &db, err);

    *count = 0;
    if (rc)
        return rc;
    sl_buf_init(&sql, SQL_MAX);
    rc = prepare_where(db, "SELECT count(*)", q, &binds, &sql, &stmt, err);
    if (rc == SL_OK)
        rc = sl_db_step(db, stmt, &row, err);
    if (row)
        *count = sqlite3_column_int64(stmt, 0);
    sl_db_done(stmt);
    sl_reader_give(st, db);
    sl_buf_free(&sql);
    return rc;
}

sl_rc
sl_store_delete_where(struct sl_store *st, const struct sl_query *q, int64_t *count,
                      struct sl_err *err)
{
    struct binds binds = { .count = 0 };
    sqlite3_stmt *stmt = NULL;
    struct sl_db *db;
    struct sl_buf sql;
    bool row;
    sl_rc rc = sl_writer(st, &db, err);

    if (rc)
        return rc;
    sl_buf_init(&sql, SQL_MAX);
    rc = prepare_where(db, "DELETE", q, &binds, &sql, &stmt, err);
    if (rc == SL_OK) {
        rc = sl_db_step(db, stmt, &row, NULL);
        if (rc)
            rc = fail_delete(db, sl_kind_def(q->kind), err);
    }
    if (rc == SL_OK && count != NULL)
        *count = sqlite3_changes64(db->db);
    sl_db_done(stmt);
    sl_buf_free(&sql);
    return rc;
}

/* ---- what a person should look at ---- */

/* Candidates by the indexes connection_troubled and connection_due, whose conditions stand here word by word; then what they are.
 * Late is what sl_is_delayed() calls so. */
#define TROUBLED                                                                                   \
    " FROM (SELECT seq AS s FROM connection WHERE"                                                 \
    " setup_state IS NOT 'connected' OR failures > 0 OR rescheduled_for > 0"                       \
    " UNION SELECT seq FROM connection WHERE next_run_at > 0 AND paused = 0"                       \
    " AND running_sync IS NULL AND next_run_at < ?1 - 60000000) JOIN connection c ON c.seq = s"
#define RANK                                                                                       \
    "CASE WHEN c.setup_state IS NULL OR c.setup_state = 'incomplete' THEN 5 WHEN c.paused THEN 0"  \
    " WHEN c.setup_state = 'broken' THEN 1 WHEN c.failures > 0 THEN 2"                             \
    " WHEN c.running_sync IS NULL AND c.next_run_at > 0"                                           \
    " AND ?1 - c.next_run_at > 60000000 + c.sync_frequency * 6000000 THEN 3"                       \
    " WHEN c.rescheduled_for > 0 AND (SELECT count(*) FROM (SELECT status FROM sync"               \
    " WHERE connection_id = c.id ORDER BY seq DESC LIMIT 2) WHERE status = 'RESCHEDULED') = 2"     \
    " THEN 4 ELSE 0 END"

static sl_rc
count_alerts(struct sl_db *db, int64_t now, int64_t *count, struct sl_err *err)
{
    sqlite3_stmt *stmt = NULL;
    bool row = false;
    sl_rc rc = sl_db_prepare(db, "SELECT count(*)" TROUBLED " WHERE " RANK " > 0", &stmt, err);

    if (rc == SL_OK) {
        sqlite3_bind_int64(stmt, 1, now);
        rc = sl_db_step(db, stmt, &row, err);
    }
    *count = row ? sqlite3_column_int64(stmt, 0) : 0;
    sl_db_done(stmt);
    return rc;
}

static sl_rc
list_alerts(struct sl_db *db, int64_t now, int limit, struct sl_list *list, struct sl_err *err)
{
    sqlite3_stmt *stmt = NULL;
    struct sl_buf sql;
    sl_rc rc;

    list->kind = SL_K_CONNECTION;
    sl_buf_init(&sql, SQL_MAX);
    sl_buf_add(&sql, "SELECT ");
    add_columns(&sql, sl_kind_def(SL_K_CONNECTION), "c.", true, NULL);
    sl_buf_add(&sql, TROUBLED " WHERE " RANK " > 0 ORDER BY " RANK ", s LIMIT ?2");
    rc = sl_db_prepare(db, sl_buf_str(&sql), &stmt, err);
    if (rc == SL_OK) {
        sqlite3_bind_int64(stmt, 1, now);
        sqlite3_bind_int(stmt, 2, limit);
        rc = collect(db, stmt, true, list, err);
    }
    sl_db_done(stmt);
    sl_buf_free(&sql);
    return rc;
}

sl_rc
sl_store_alerts(struct sl_store *st, int64_t now, int limit, struct sl_list *list, int64_t *count,
                struct sl_err *err)
{
    struct sl_db *db = NULL;
    sl_rc rc = sl_reader_take(st, &db, err);

    *count = 0;
    if (rc)
        return rc;
    rc = count_alerts(db, now, count, err);
    if (rc == SL_OK && limit > 0 && *count > 0)
        rc = list_alerts(db, now, limit, list, err);
    sl_reader_give(st, db);
    return rc;
}

/* ---- what is due ---- */

/* The indexes connection_requested and connection_due answer these (migrate.c): their conditions stand here word by word. */
#define READY " AND running_sync IS NULL AND package_id IS NOT NULL AND setup_state <> 'incomplete'"
#define REQUESTED                                                                                  \
    " FROM connection WHERE requested IS NOT NULL AND (paused = 0 OR requested <> 'resync')" READY
#define SCHEDULED " FROM connection WHERE next_run_at > 0 AND paused = 0" READY

sl_rc
sl_store_due(struct sl_store *st, int64_t now, int limit, struct sl_list *list, struct sl_err *err)
{
    const struct sl_kind_def *def = sl_kind_def(SL_K_CONNECTION);
    sqlite3_stmt *stmt = NULL;
    struct sl_db *db = NULL;
    struct sl_buf sql;
    sl_rc rc = sl_reader_take(st, &db, err);

    if (rc)
        return rc;
    list->kind = SL_K_CONNECTION;
    sl_buf_init(&sql, SQL_MAX);
    sl_buf_add(&sql, "SELECT ");
    add_columns(&sql, def, "c.", false, NULL);
    /* Each half in the order of its index and no further than `limit`: a server that comes up late finds all of them due. */
    sl_buf_add(&sql, " FROM (SELECT seq AS s, min(at) AS at FROM ("
                     "SELECT * FROM (SELECT seq, requested_at AS at" REQUESTED
                     " ORDER BY requested_at LIMIT ?2) UNION ALL"
                     " SELECT * FROM (SELECT seq, next_run_at" SCHEDULED
                     " AND next_run_at <= ?1 ORDER BY next_run_at LIMIT ?2)"
                     ") GROUP BY seq) JOIN connection c ON c.seq = s ORDER BY at, s LIMIT ?2");
    rc = sl_db_prepare(db, sl_buf_str(&sql), &stmt, err);
    if (rc == SL_OK) {
        sqlite3_bind_int64(stmt, 1, now);
        sqlite3_bind_int(stmt, 2, limit);
        rc = collect(db, stmt, false, list, err);
    }
    sl_db_done(stmt);
    sl_reader_give(st, db);
    sl_buf_free(&sql);
    return rc;
}

sl_rc
sl_store_next_due(struct sl_store *st, int64_t *at, struct sl_err *err)
{
    struct sl_db *db = NULL;
    sl_rc rc = sl_reader_take(st, &db, err);

    *at = INT64_MAX;
    if (rc)
        return rc;
    rc = sl_db_int(db,
                   "SELECT min(coalesce((SELECT min(requested_at)" REQUESTED
                   "), 0x7fffffffffffffff),"
                   " coalesce((SELECT min(next_run_at)" SCHEDULED "), 0x7fffffffffffffff))",
                   at, err);
    sl_reader_give(st, db);
    return rc;
}
