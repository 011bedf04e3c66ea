/* Folded rows into a table. One plan for all cases that are not a plain append, because it is the one whose memory stays
 * bounded when every row changes (docs/decisions/0006-merge-plan-and-checkpoints.md):
 *   new by its key → append · the rest: stage → changed rows only (join by key) → DELETE them by rowid → INSERT them.
 * A row that is there and equal is not touched: it keeps its _fivetran_synced and counts as unchanged. */
#include "base/fault.h"
#include "destinations/duckdb/load.h"

#include <stdlib.h>

struct plan {
    struct sl_duckdb *d;
    const struct sl_table *t;
    struct sl_buf sql;
    struct sl_applied *out;
    /* The first key column, if it is LONG, and its largest value in the table: a row beyond it is new. -1: none. */
    int ordered;
    int64_t largest;
};

/* Adds `fmt` for each column that has a type, separated by `sep`; "%" in fmt stands for the quoted name. */
static void
each_column(struct plan *p, const char *fmt, const char *sep,
            bool (*want)(const struct sl_column *))
{
    const char *between = "";

    for (int i = 0; i < p->t->ncolumns; i++) {
        const struct sl_column *c = p->t->columns[i];

        if (c->next.type == SL_T_NONE || (want != NULL && !want(c)))
            continue;
        sl_buf_add(&p->sql, between);
        between = sep;
        for (const char *f = fmt; *f; f++) {
            if (*f == '%')
                sl_sql_name(&p->sql, c->name);
            else
                sl_buf_addn(&p->sql, f, 1);
        }
    }
}

static bool
is_key(const struct sl_column *c)
{
    return c->key >= 0;
}

/* Only a part of the table can hold these keys: whole row groups need not be read (measured: a third of the time, for 50,000 rows
 * of a million). */
static void
within_range(struct plan *p, const struct sl_rows *rows)
{
    const struct sl_column *key = p->t->columns[p->t->keys[0]];

    if (!rows->ascending || key->next.type != SL_T_LONG)
        return;
    sl_buf_add(&p->sql, " AND t.");
    sl_sql_name(&p->sql, key->name);
    sl_buf_addf(&p->sql, " >= %lld AND t.", (long long)rows->first_key);
    sl_sql_name(&p->sql, key->name);
    sl_buf_addf(&p->sql, " <= %lld", (long long)rows->last_key);
}

/* t and the stage hold the same key. NULL equals NULL at no cost; `OR … IS NULL` would not finish. */
static void
same_key(struct plan *p)
{
    each_column(p, "t.% IS NOT DISTINCT FROM s.%", " AND ", is_key);
}

/* Column differs between t and s; JSON is compared as a value. */
static void
differs(struct plan *p, const struct sl_column *c, const char *other)
{
    struct sl_buf *q = &p->sql;

    sl_buf_add(q, "t.");
    sl_sql_name(q, c->name);
    sl_buf_addf(q, " IS DISTINCT FROM %s.", other);
    sl_sql_name(q, c->name);
    if (c->next.type == SL_T_JSON) {
        sl_buf_add(q, " AND NOT sl_json_same(CAST(t.");
        sl_sql_name(q, c->name);
        sl_buf_addf(q, " AS VARCHAR), CAST(%s.", other);
        sl_sql_name(q, c->name);
        sl_buf_add(q, " AS VARCHAR))");
    }
}

static sl_rc
run(struct plan *p, uint64_t *changed, struct sl_err *err)
{
    sl_rc rc = sl_sql_run(p->d->con, sl_buf_str(&p->sql), changed, err);

    p->sql.len = 0;
    return rc;
}

static sl_rc
number(struct plan *p, int64_t *n, struct sl_err *err)
{
    sl_rc rc = sl_sql_number(p->d->con, sl_buf_str(&p->sql), 0, n, err);

    p->sql.len = 0;
    return rc;
}

static void
count_new(struct plan *p, const struct sl_row *row)
{
    if (row->dead)
        p->out->deleted++;
    else
        p->out->inserted++;
}

/* Appends every row straight to the table: none of their keys can be there. */
static sl_rc
append(struct plan *p, struct sl_rows *rows, struct sl_err *err)
{
    struct sl_loader *l = NULL;
    struct sl_row row;
    sl_rc rc = sl_loader_open(&l, p->d, p->t, NULL, NULL, err);
    int got = 0;

    while (rc == 0 && (got = rows->next(rows, &row, err)) == 1) {
        if (row.kind == SL_ROW_PATCH) {
            p->out->missed++;
            continue;
        }
        rc = sl_loader_put(l, &row, err);
        count_new(p, &row);
    }
    if (rc == 0)
        rc = got < 0 ? got : sl_loader_finish(l, err);
    sl_loader_free(l);
    return rc;
}

static sl_rc
make_stage(struct plan *p, const char *name, const bool *given, struct sl_err *err)
{
    char type[32];

    sl_buf_addf(&p->sql, "CREATE OR REPLACE TEMP TABLE %s (", name);
    for (int i = 0; i < p->t->ncolumns; i++) {
        const struct sl_column *c = p->t->columns[i];

        if (c->next.type == SL_T_NONE)
            continue;
        sl_sql_name(&p->sql, c->name);
        sl_buf_addf(&p->sql, " %s, ", sl_sql_type(c->next, type));
    }
    sl_buf_add(&p->sql, SL_COL_DELETED " BOOLEAN");
    for (int i = 0; i < p->t->ncolumns && given != NULL; i++)
        if (given[i])
            sl_buf_addf(&p->sql, ", _given_%d BOOLEAN", i);
    sl_buf_add(&p->sql, ")");
    return run(p, NULL, err);
}

static bool
is_new(const struct plan *p, const struct sl_row *row)
{
    const struct sl_cell *key;

    if (p->ordered < 0 || row->kind != SL_ROW_REPLACE)
        return false;
    key = &row->cells[p->ordered];
    return key->tag != SL_C_NULL && key->tag != SL_C_ABSENT && key->i > p->largest;
}

/* Fills the stages: REPLACE rows into sl_rows (*staged counts them) or, if new, into the table; PATCH rows into sl_patches. */
static sl_rc
fill_stages(struct plan *p, struct sl_rows *rows, const bool *given, uint64_t *staged,
            struct sl_err *err)
{
    enum { TABLE, REPLACE, PATCH, N };
    struct sl_loader *to[N] = { NULL };
    struct sl_row row;
    sl_rc rc = make_stage(p, "sl_rows", NULL, err);
    int got = 0;

    if (rc == 0 && rows->npatch)
        rc = make_stage(p, "sl_patches", given, err);
    if (rc == 0)
        rc = sl_loader_open(&to[REPLACE], p->d, p->t, "sl_rows", NULL, err);
    if (rc == 0 && rows->npatch)
        rc = sl_loader_open(&to[PATCH], p->d, p->t, "sl_patches", given, err);
    if (rc == 0 && p->ordered >= 0)
        rc = sl_loader_open(&to[TABLE], p->d, p->t, NULL, NULL, err);
    while (rc == 0 && (got = rows->next(rows, &row, err)) == 1) {
        int n = row.kind == SL_ROW_PATCH ? PATCH : is_new(p, &row) ? TABLE : REPLACE;

        rc = sl_loader_put(to[n], &row, err);
        if (n == TABLE)
            count_new(p, &row);
        *staged += n == REPLACE;
    }
    if (rc == 0 && got < 0)
        rc = got;
    for (int i = 0; i < N; i++) {
        if (rc == 0 && to[i] != NULL)
            rc = sl_loader_finish(to[i], err);
        sl_loader_free(to[i]);
    }
    return rc;
}

/* Makes sl_changed: what is new or different in sl_rows, with the rowid of what it replaces. */
static sl_rc
find_changed(struct plan *p, const struct sl_rows *rows, int64_t *changed, struct sl_err *err)
{
    sl_rc rc;

    sl_buf_add(
        &p->sql,
        "CREATE OR REPLACE TEMP TABLE sl_changed AS SELECT s.*, t.rowid AS _rid, t." SL_COL_DELETED
        " AS _was_dead FROM sl_rows s LEFT JOIN ");
    sl_sql_table(&p->sql, p->t);
    sl_buf_add(&p->sql, " t ON ");
    same_key(p);
    within_range(p, rows);
    sl_buf_add(&p->sql,
               " WHERE t.rowid IS NULL OR t." SL_COL_DELETED " IS DISTINCT FROM s." SL_COL_DELETED);
    for (int i = 0; i < p->t->ncolumns; i++)
        if (p->t->columns[i]->key < 0 && p->t->columns[i]->next.type != SL_T_NONE) {
            sl_buf_add(&p->sql, " OR (");
            differs(p, p->t->columns[i], "s");
            sl_buf_add(&p->sql, ")");
        }
    rc = run(p, NULL, err);
    if (rc)
        return rc;
    sl_buf_add(&p->sql, "SELECT count(*) FROM sl_changed");
    return number(p, changed, err);
}

/* Replaces what is in sl_changed. */
static sl_rc
replace_changed(struct plan *p, struct sl_err *err)
{
    uint64_t changed = 0, gone = 0;
    int64_t died = 0, born = 0;
    sl_rc rc;

    sl_buf_add(&p->sql, "SELECT count(*) FROM sl_changed WHERE " SL_COL_DELETED
                        " AND NOT coalesce(_was_dead, false)");
    rc = number(p, &died, err);
    if (rc == 0) {
        sl_buf_add(&p->sql,
                   "SELECT count(*) FROM sl_changed WHERE _rid IS NULL AND NOT " SL_COL_DELETED);
        rc = number(p, &born, err);
    }
    if (rc == 0) {
        sl_buf_add(&p->sql, "DELETE FROM ");
        sl_sql_table(&p->sql, p->t);
        sl_buf_add(&p->sql, " WHERE rowid IN (SELECT _rid FROM sl_changed WHERE _rid IS NOT NULL)");
        rc = run(p, &gone, err);
    }
    if (rc == 0) {
        sl_buf_add(&p->sql, "INSERT INTO ");
        sl_sql_table(&p->sql, p->t);
        sl_buf_add(&p->sql, " (");
        each_column(p, "%", ", ", NULL);
        sl_buf_add(&p->sql, ", " SL_COL_SYNCED ", " SL_COL_DELETED ") SELECT ");
        each_column(p, "%", ", ", NULL);
        sl_buf_addf(&p->sql, ", make_timestamptz(%lld), " SL_COL_DELETED " FROM sl_changed",
                    (long long)p->d->now_us);
        rc = run(p, &changed, err);
    }
    p->d->replaced += gone;
    p->out->deleted += (uint64_t)died;
    p->out->inserted += (uint64_t)born;
    p->out->updated += changed - (uint64_t)(died + born);
    return rc;
}

/* The n rows staged in sl_rows. */
static sl_rc
merge_rows(struct plan *p, const struct sl_rows *rows, uint64_t n, struct sl_err *err)
{
    int64_t changed = 0;
    sl_rc rc = find_changed(p, rows, &changed, err);

    if (rc == 0 && changed)
        rc = replace_changed(p, err);
    if (rc == 0) {
        sl_buf_add(&p->sql, "DROP TABLE sl_changed");
        rc = run(p, NULL, err);
    }
    p->out->unchanged += n - (uint64_t)changed;
    return rc;
}

/* Changes given columns of live rows, and marks deleted ones. */
static sl_rc
patch_rows(struct plan *p, uint64_t n, const bool *given, struct sl_err *err)
{
    uint64_t changed = 0;
    int64_t matched = 0, dead = 0;
    sl_rc rc;

    sl_buf_add(&p->sql, "CREATE OR REPLACE TEMP TABLE sl_found AS SELECT t.rowid AS _rid, s.* FROM "
                        "sl_patches s JOIN ");
    sl_sql_table(&p->sql, p->t);
    sl_buf_add(&p->sql, " t ON ");
    same_key(p);
    sl_buf_add(&p->sql, " WHERE NOT t." SL_COL_DELETED);
    rc = run(p, NULL, err);
    if (rc == 0) {
        sl_buf_add(&p->sql, "SELECT count(*) FROM sl_found");
        rc = number(p, &matched, err);
    }
    if (rc == 0) {
        sl_buf_add(&p->sql, "SELECT count(*) FROM sl_found WHERE " SL_COL_DELETED);
        rc = number(p, &dead, err);
    }
    if (rc == 0 && matched) {
        sl_buf_add(&p->sql, "UPDATE ");
        sl_sql_table(&p->sql, p->t);
        sl_buf_addf(&p->sql,
                    " t SET " SL_COL_SYNCED " = make_timestamptz(%lld), " SL_COL_DELETED
                    " = f." SL_COL_DELETED,
                    (long long)p->d->now_us);
        for (int i = 0; i < p->t->ncolumns; i++)
            if (given[i]) {
                sl_buf_add(&p->sql, ", ");
                sl_sql_name(&p->sql, p->t->columns[i]->name);
                sl_buf_addf(&p->sql, " = CASE WHEN f._given_%d THEN f.", i);
                sl_sql_name(&p->sql, p->t->columns[i]->name);
                sl_buf_add(&p->sql, " ELSE t.");
                sl_sql_name(&p->sql, p->t->columns[i]->name);
                sl_buf_add(&p->sql, " END");
            }
        sl_buf_add(&p->sql, " FROM sl_found f WHERE t.rowid = f._rid AND (f." SL_COL_DELETED);
        for (int i = 0; i < p->t->ncolumns; i++)
            if (given[i]) {
                sl_buf_addf(&p->sql, " OR (f._given_%d AND ", i);
                differs(p, p->t->columns[i], "f");
                sl_buf_add(&p->sql, ")");
            }
        sl_buf_add(&p->sql, ")");
        rc = run(p, &changed, err);
    }
    if (rc == 0) {
        sl_buf_add(&p->sql, "DROP TABLE sl_found; DROP TABLE sl_patches");
        rc = run(p, NULL, err);
    }
    p->out->missed += n - (uint64_t)matched;
    p->out->deleted += (uint64_t)dead;
    p->out->updated += changed - (uint64_t)dead;
    p->out->unchanged += (uint64_t)matched - changed;
    return rc;
}

/* A truncate in this slice: what is not live by a later upsert dies. Rows that come back unchanged were never touched. */
static sl_rc
truncate_rest(struct plan *p, struct sl_err *err)
{
    uint64_t n = 0;
    sl_rc rc;

    sl_buf_add(&p->sql, "UPDATE ");
    sl_sql_table(&p->sql, p->t);
    sl_buf_addf(&p->sql,
                " t SET " SL_COL_DELETED " = true, " SL_COL_SYNCED
                " = make_timestamptz(%lld) WHERE NOT t." SL_COL_DELETED
                " AND NOT EXISTS (SELECT 1 FROM sl_rows s WHERE NOT s." SL_COL_DELETED " AND ",
                (long long)p->d->now_us);
    same_key(p);
    sl_buf_add(&p->sql, ")");
    rc = run(p, &n, err);
    p->out->deleted += n;
    return rc;
}

/* Learns what the table's keys allow: *plain if it has no row that one of these could replace, because it is empty or
 * their rising keys begin after its largest. */
static sl_rc
look_at_keys(struct plan *p, const struct sl_rows *rows, bool *plain, struct sl_err *err)
{
    const struct sl_column *key = p->t->columns[p->t->keys[0]];
    int64_t n = 0;
    sl_rc rc;

    p->ordered = -1;
    if (p->d->known == p->t && rows->ascending) {
        p->ordered = p->t->keys[0];
        p->largest = p->d->largest;
        *plain = rows->first_key > p->largest;
        return 0;
    }
    sl_buf_add(&p->sql, "SELECT count(*) FROM (SELECT 1 FROM ");
    sl_sql_table(&p->sql, p->t);
    sl_buf_add(&p->sql, " LIMIT 1)");
    rc = number(p, &n, err);
    *plain = rc == 0 && n == 0;
    if (rc || *plain || key->next.type != SL_T_LONG)
        return rc;
    sl_buf_add(&p->sql, "SELECT max(");
    sl_sql_name(&p->sql, key->name);
    sl_buf_add(&p->sql, ") FROM ");
    sl_sql_table(&p->sql, p->t);
    rc = sl_sql_number(p->d->con, sl_buf_str(&p->sql), INT64_MAX, &p->largest, err);
    p->sql.len = 0;
    *plain = rc == 0 && rows->ascending && rows->first_key > p->largest;
    /* A truncate must find every row of this slice in the stage. */
    if (!rows->truncate)
        p->ordered = p->t->keys[0];
    return rc;
}

static sl_rc
merge(struct plan *p, struct sl_rows *rows, struct sl_err *err)
{
    bool *given = sl_zalloc((size_t)p->t->ncolumns, sizeof *given);
    uint64_t staged = 0;
    sl_rc rc;

    for (int i = 0; i < p->t->ncolumns; i++)
        given[i] = p->t->columns[i]->updated && p->t->columns[i]->key < 0 &&
                   p->t->columns[i]->next.type != SL_T_NONE;
    rc = fill_stages(p, rows, given, &staged, err);
    if (rc == 0 && staged)
        rc = merge_rows(p, rows, staged, err);
    if (rc == 0 && rows->npatch)
        rc = patch_rows(p, rows->npatch, given, err);
    if (rc == 0 && rows->truncate)
        rc = truncate_rest(p, err);
    if (rc == 0) {
        sl_buf_add(&p->sql, "DROP TABLE sl_rows");
        rc = run(p, NULL, err);
    }
    free(given);
    return rc;
}

/* What look_at_keys() would find now, if that is known. */
static void
note_keys(struct plan *p, const struct sl_rows *rows, bool plain)
{
    bool known = p->ordered >= 0 || (plain && p->t->columns[p->t->keys[0]]->next.type == SL_T_LONG);

    p->d->known = known && rows->ascending ? p->t : NULL;
    if (p->ordered < 0 || rows->last_key > p->largest)
        p->d->largest = rows->last_key;
    else
        p->d->largest = p->largest;
}

sl_rc
sl_duckdb_apply(struct sl_dest *dest, struct sl_rows *rows, struct sl_applied *out,
                struct sl_err *err)
{
    struct plan p = { .d = (struct sl_duckdb *)dest, .t = rows->table, .out = out };
    bool plain = false, again = p.d->known == p.t;
    sl_rc rc;

    *out = (struct sl_applied){ 0 };
    sl_buf_init(&p.sql, SIZE_MAX / 4);
    rc = look_at_keys(&p, rows, &plain, err);
    if (rc == 0)
        rc = plain ? append(&p, rows, err) : merge(&p, rows, err);
    if (rc == 0)
        note_keys(&p, rows, plain);
    /* Slices that follow one another share the blocks of their table's columns. */
    if (rc == 0 && !again) {
        out->held = ((uint64_t)rows->table->ncolumns + 2) *
                    (rows->table->created ? SL_DUCKDB_HELD_STORED : SL_DUCKDB_HELD_NEW);
        p.d->held += out->held;
    }
    if (rc)
        sl_err_wrap(err, "writing %s.%s", rows->table->schema, rows->table->name);
    p.d->failed |= rc != 0;
    sl_buf_free(&p.sql);
    return rc;
}
