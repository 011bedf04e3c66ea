/* Folded rows into a table.
 *   no row of it can be meant (it is empty, or rising keys begin after its largest) → COPY straight into it
 *   else → COPY into a temporary table → INSERT … ON CONFLICT, for patches UPDATE
 * A row that is there and equal is not touched: it keeps its _fivetran_synced and counts as unchanged. Columns of the temporary
 * tables are numbered (c0, c1, …, d; g0, … for "was given"), so that no name of the user can meet one of ours. */
#include "destinations/postgres/postgres.h"

#include <stdlib.h>

struct plan {
    struct sl_pg *pg;
    const struct sl_table *t;
    struct sl_pg_table *pt;
    struct sl_sql q;
    struct sl_applied *out;
    uint64_t staged, dead; /* REPLACE rows in the stage, and those of them that are dead */
    bool nulls;            /* a row of the stages has NULL in its key */
};

#define ROWS "pg_temp.sl_rows"
#define PATCHES "pg_temp.sl_patches"

static sl_rc
run(struct plan *p, uint64_t *changed, struct sl_err *err)
{
    sl_rc rc = sl_pg_run(p->pg, sl_sql_text(&p->q), "merging rows", changed, err);

    sl_sql_clear(&p->q);
    return rc;
}

static sl_rc
numbers(struct plan *p, int n, int64_t *out, bool *found, struct sl_err *err)
{
    sl_rc rc = sl_pg_numbers(p->pg, sl_sql_text(&p->q), n, out, found, err);

    sl_sql_clear(&p->q);
    return rc;
}

/* Adds fmt for each column that has a type and is wanted; in it %n is its name, %c its type, %i its number. */
static void
each(struct plan *p, const char *fmt, const char *between, bool (*want)(const struct sl_column *))
{
    const char *sep = "";

    for (int i = 0; i < p->t->ncolumns; i++) {
        const struct sl_column *c = p->t->columns[i];

        if (c->next.type == SL_T_NONE || (want != NULL && !want(c)))
            continue;
        sl_sqlf(&p->q, "%r", sep);
        sep = between;
        for (const char *f = fmt; *f; f++) {
            if (f[0] == '%' && f[1] == 'n')
                sl_sqlf(&p->q, "%n", c->name);
            else if (f[0] == '%' && f[1] == 'c')
                sl_sqlf(&p->q, "%c", &c->next);
            else if (f[0] == '%')
                sl_sqlf(&p->q, "%d", (int64_t)i);
            else
                sl_buf_addn(&p->q.buf, f, 1);
            f += *f == '%';
        }
    }
}

/* t and s hold the same key. With NULL in keys, by a value in which NULL equals NULL: such a join can be hashed, which one over
 * IS NOT DISTINCT FROM cannot. */
static void
same_key(struct plan *p)
{
    if (p->nulls) {
        sl_sqlf(&p->q, "jsonb_build_array(");
        each(p, "t.%n", ", ", sl_sql_is_key);
        sl_sqlf(&p->q, ") = jsonb_build_array(");
        each(p, "s.c%i", ", ", sl_sql_is_key);
        sl_sqlf(&p->q, ")");
    } else {
        each(p, "t.%n = s.c%i", " AND ", sl_sql_is_key);
    }
}

static void
count_new(struct plan *p, const struct sl_row *row)
{
    if (row->dead)
        p->out->deleted++;
    else
        p->out->inserted++;
}

static bool
has_null_key(const struct sl_table *t, const struct sl_row *row)
{
    for (int k = 0; k < t->nkeys; k++)
        if (row->cells[t->keys[k]].tag == SL_C_NULL || row->cells[t->keys[k]].tag == SL_C_ABSENT)
            return true;
    return false;
}

/* ---- straight into the table ---- */

static sl_rc
append(struct plan *p, struct sl_rows *rows, struct sl_err *err)
{
    struct sl_pg_copy *copy = NULL;
    struct sl_row row;
    sl_rc rc;
    int got = 0;

    sl_sqlf(&p->q, "%t (", p->t);
    each(p, "%n", ", ", NULL);
    sl_sqlf(&p->q, ", %n, %n)", SL_COL_SYNCED, SL_COL_DELETED);
    rc = sl_pg_copy_open(&copy, p->pg, p->t, sl_sql_text(&p->q), true, NULL, err);
    sl_sql_clear(&p->q);
    while (rc == 0 && (got = rows->next(rows, &row, err)) == 1) {
        if (row.kind == SL_ROW_PATCH) {
            p->out->missed++;
            continue;
        }
        p->pt->nulls = p->pt->nulls || has_null_key(p->t, &row);
        rc = sl_pg_copy_put(copy, &row, err);
        count_new(p, &row);
    }
    p->pt->rising = rows->ascending && (p->pt->rising || !p->pt->filled);
    p->pt->last_key = rows->last_key;
    p->pt->filled = true;
    return sl_pg_copy_end(copy, got < 0 ? got : rc, err);
}

/* ---- by a stage ---- */

static sl_rc
make_stage(struct plan *p, const char *name, const bool *given, struct sl_err *err)
{
    sl_sqlf(&p->q, "CREATE TEMP TABLE %r (", name);
    each(p, "c%i %c, ", "", NULL);
    for (int i = 0; i < p->t->ncolumns && given != NULL; i++)
        if (given[i])
            sl_sqlf(&p->q, "g%d boolean, ", (int64_t)i);
    sl_sqlf(&p->q, "d boolean) ON COMMIT DROP");
    return sl_pg_missing(p->pg, run(p, NULL, err), SL_PG_MAKE_TEMP, NULL, NULL, err);
}

/* COPY's list has the columns first, then d, then the flags. */
static sl_rc
open_stage(struct plan *p, const char *name, const bool *given, struct sl_pg_copy **copy,
           struct sl_err *err)
{
    sl_rc rc;

    sl_sqlf(&p->q, "%r (", name);
    each(p, "c%i, ", "", NULL);
    sl_sqlf(&p->q, "d");
    for (int i = 0; i < p->t->ncolumns && given != NULL; i++)
        if (given[i])
            sl_sqlf(&p->q, ", g%d", (int64_t)i);
    sl_sqlf(&p->q, ")");
    rc = sl_pg_copy_open(copy, p->pg, p->t, sl_sql_text(&p->q), false, given, err);
    sl_sql_clear(&p->q);
    return rc;
}

/* The rows of one kind. COPY has the connection to itself, so two kinds take two passes. */
static sl_rc
fill_stage(struct plan *p, struct sl_rows *rows, enum sl_row_kind kind, const bool *given,
           struct sl_err *err)
{
    const char *name = kind == SL_ROW_PATCH ? PATCHES : ROWS;
    struct sl_pg_copy *copy = NULL;
    struct sl_row row;
    sl_rc rc = make_stage(p, name, given, err);
    int got = 0;

    if (rc == 0)
        rc = open_stage(p, name, given, &copy, err);
    while (rc == 0 && (got = rows->next(rows, &row, err)) == 1) {
        if (row.kind != kind)
            continue;
        p->nulls = p->nulls || has_null_key(p->t, &row);
        p->staged += kind == SL_ROW_REPLACE;
        p->dead += kind == SL_ROW_REPLACE && row.dead;
        rc = sl_pg_copy_put(copy, &row, err);
    }
    rc = sl_pg_copy_end(copy, got < 0 ? got : rc, err);
    /* Joins are planned by what is in it. */
    if (rc == 0 && (kind == SL_ROW_PATCH || rows->truncate || p->dead || p->nulls)) {
        sl_sqlf(&p->q, "ANALYZE %r", name);
        rc = run(p, NULL, err);
    }
    return rc;
}

/* How many rows die that were not dead: asked before, as afterwards nobody knows. */
static sl_rc
count_dying(struct plan *p, int64_t *n, struct sl_err *err)
{
    *n = 0;
    if (p->dead == 0)
        return 0;
    sl_sqlf(&p->q, "SELECT count(*) FROM " ROWS " s LEFT JOIN %t t ON ", p->t);
    same_key(p);
    sl_sqlf(&p->q, " WHERE s.d AND NOT coalesce(t.%n, false)", SL_COL_DELETED);
    return numbers(p, 1, n, NULL, err);
}

/* (t's values) IS DISTINCT FROM (the other's). */
static void
differs(struct plan *p, const char *theirs, const char *dead)
{
    sl_sqlf(&p->q, "(");
    each(p, "t.%n, ", "", sl_sql_is_plain);
    sl_sqlf(&p->q, "t.%n) IS DISTINCT FROM (", SL_COL_DELETED);
    each(p, theirs, "", sl_sql_is_plain);
    sl_sqlf(&p->q, "%r)", dead);
}

static void
insert_columns(struct plan *p)
{
    sl_sqlf(&p->q, "INSERT INTO %t AS t (", p->t);
    each(p, "%n, ", "", NULL);
    sl_sqlf(&p->q, "%n, %n) SELECT ", SL_COL_SYNCED, SL_COL_DELETED);
    each(p, "s.c%i, ", "", NULL);
    sl_sqlf(&p->q, "%m, s.d FROM " ROWS " s", p->pg->now_us);
}

/* One statement, for a key whose index finds every row. born: inserted and live. */
static sl_rc
upsert(struct plan *p, int64_t *born, int64_t *changed, struct sl_err *err)
{
    int64_t n[2];
    sl_rc rc;

    sl_sqlf(&p->q, "WITH m AS (");
    insert_columns(p);
    sl_sqlf(&p->q, " ON CONFLICT (");
    each(p, "%n", ", ", sl_sql_is_key);
    sl_sqlf(&p->q, ") DO UPDATE SET ");
    each(p, "%n = excluded.%n, ", "", sl_sql_is_plain);
    sl_sqlf(&p->q, "%n = excluded.%n, %n = excluded.%n WHERE ", SL_COL_SYNCED, SL_COL_SYNCED,
            SL_COL_DELETED, SL_COL_DELETED);
    differs(p, "excluded.%n, ", "excluded." SL_COL_DELETED);
    sl_sqlf(&p->q,
            " RETURNING xmax = 0 AND NOT t.%n AS born) SELECT count(*) FILTER (WHERE born), "
            "count(*) FROM m",
            SL_COL_DELETED);
    rc = numbers(p, 2, n, NULL, err);
    *born = n[0];
    *changed = n[1];
    return rc;
}

/* Two statements, where NULL keys are not found by an index (servers before 15). */
static sl_rc
update_insert(struct plan *p, int64_t *born, int64_t *changed, struct sl_err *err)
{
    uint64_t n = 0;
    int64_t made[2] = { 0 };
    sl_rc rc;

    sl_sqlf(&p->q, "UPDATE %t t SET ", p->t);
    each(p, "%n = s.c%i, ", "", sl_sql_is_plain);
    sl_sqlf(&p->q, "%n = %m, %n = s.d FROM " ROWS " s WHERE ", SL_COL_SYNCED, p->pg->now_us,
            SL_COL_DELETED);
    same_key(p);
    sl_sqlf(&p->q, " AND ");
    differs(p, "s.c%i, ", "s.d");
    rc = run(p, &n, err);
    if (rc)
        return rc;
    sl_sqlf(&p->q, "WITH m AS (");
    insert_columns(p);
    sl_sqlf(&p->q, " WHERE NOT EXISTS (SELECT 1 FROM %t t WHERE ", p->t);
    same_key(p);
    sl_sqlf(&p->q,
            ") RETURNING NOT t.%n AS born) SELECT count(*) FILTER (WHERE born), count(*) FROM m",
            SL_COL_DELETED);
    rc = numbers(p, 2, made, NULL, err);
    *born = made[0];
    *changed = (int64_t)n + made[1];
    return rc;
}

static sl_rc
merge_rows(struct plan *p, struct sl_err *err)
{
    int64_t dying = 0, born = 0, changed = 0;
    sl_rc rc = count_dying(p, &dying, err);

    if (rc == 0)
        rc = p->nulls && p->pt->key == SL_PG_KEY_PLAIN ? update_insert(p, &born, &changed, err)
                                                       : upsert(p, &born, &changed, err);
    if (rc)
        return rc;
    p->out->deleted += (uint64_t)dying;
    p->out->inserted += (uint64_t)born;
    p->out->updated += (uint64_t)(changed - dying - born);
    p->out->unchanged += p->staged - (uint64_t)changed;
    return 0;
}

/* Changes given columns of live rows, and marks deleted ones. */
static sl_rc
patch_rows(struct plan *p, uint64_t n, const bool *given, struct sl_err *err)
{
    uint64_t changed = 0;
    int64_t found[2]; /* live rows meant, those of them to be deleted */
    sl_rc rc;

    sl_sqlf(&p->q, "SELECT count(*), count(*) FILTER (WHERE s.d) FROM " PATCHES " s JOIN %t t ON ",
            p->t);
    same_key(p);
    sl_sqlf(&p->q, " WHERE NOT t.%n", SL_COL_DELETED);
    rc = numbers(p, 2, found, NULL, err);
    if (rc == 0 && found[0] > 0) {
        sl_sqlf(&p->q, "UPDATE %t t SET %n = %m, %n = s.d", p->t, SL_COL_SYNCED, p->pg->now_us,
                SL_COL_DELETED);
        for (int i = 0; i < p->t->ncolumns; i++)
            if (given[i])
                sl_sqlf(&p->q, ", %n = CASE WHEN s.g%d THEN s.c%d ELSE t.%n END",
                        p->t->columns[i]->name, (int64_t)i, (int64_t)i, p->t->columns[i]->name);
        sl_sqlf(&p->q, " FROM " PATCHES " s WHERE ");
        same_key(p);
        sl_sqlf(&p->q, " AND NOT t.%n AND (s.d", SL_COL_DELETED);
        for (int i = 0; i < p->t->ncolumns; i++)
            if (given[i])
                sl_sqlf(&p->q, " OR (s.g%d AND t.%n IS DISTINCT FROM s.c%d)", (int64_t)i,
                        p->t->columns[i]->name, (int64_t)i);
        sl_sqlf(&p->q, ")");
        rc = run(p, &changed, err);
    }
    if (rc)
        return rc;
    p->out->missed += n - (uint64_t)found[0];
    p->out->deleted += (uint64_t)found[1];
    p->out->updated += changed - (uint64_t)found[1];
    p->out->unchanged += (uint64_t)found[0] - changed;
    return 0;
}

/* A truncate in this slice: what is not live by a later upsert dies. Rows that come back unchanged were never touched. */
static sl_rc
truncate_rest(struct plan *p, struct sl_err *err)
{
    uint64_t n = 0;
    sl_rc rc;

    sl_sqlf(&p->q,
            "UPDATE %t t SET %n = true, %n = %m WHERE NOT t.%n AND NOT EXISTS (SELECT 1 FROM " ROWS
            " s WHERE NOT s.d AND ",
            p->t, SL_COL_DELETED, SL_COL_SYNCED, p->pg->now_us, SL_COL_DELETED);
    same_key(p);
    sl_sqlf(&p->q, ")");
    rc = run(p, &n, err);
    p->out->deleted += n;
    return rc;
}

static sl_rc
merge(struct plan *p, struct sl_rows *rows, struct sl_err *err)
{
    bool *given = sl_zalloc((size_t)p->t->ncolumns, sizeof *given);
    sl_rc rc = 0;

    for (int i = 0; i < p->t->ncolumns; i++)
        given[i] = p->t->columns[i]->updated && p->t->columns[i]->key < 0 &&
                   p->t->columns[i]->next.type != SL_T_NONE;
    if (rows->nreplace || rows->truncate)
        rc = fill_stage(p, rows, SL_ROW_REPLACE, NULL, err);
    if (rc == 0 && rows->npatch) {
        rows->rewind(rows);
        rc = fill_stage(p, rows, SL_ROW_PATCH, given, err);
    }
    p->pt->nulls = p->pt->nulls || p->nulls;
    if (rc == 0)
        rc = sl_pg_key_ensure(p->pg, p->pt, err);
    if (rc == 0 && p->staged)
        rc = merge_rows(p, err);
    if (rc == 0 && rows->npatch)
        rc = patch_rows(p, rows->npatch, given, err);
    if (rc == 0 && rows->truncate)
        rc = truncate_rest(p, err);
    if (rc == 0) {
        sl_sqlf(&p->q, "DROP TABLE IF EXISTS " ROWS ", " PATCHES);
        rc = run(p, NULL, err);
    }
    p->pt->filled = true;
    p->pt->rising = false;
    free(given);
    return rc;
}

/* Whether no row of the table can be meant. */
static sl_rc
is_plain(struct plan *p, const struct sl_rows *rows, bool *plain, struct sl_err *err)
{
    const struct sl_column *key = p->t->columns[p->t->keys[0]];
    int64_t largest;
    bool any = p->pt->filled;
    sl_rc rc = 0;

    *plain = false;
    if (!any && !p->pt->made) {
        sl_sqlf(&p->q, "SELECT 1 FROM %t LIMIT 1", p->t);
        rc = numbers(p, 1, &largest, &any, err);
    }
    if (rc == 0 && !any) {
        *plain = true;
        return sl_pg_key_postpone(p->pg, p->pt, err);
    }
    if (rc || !rows->ascending || key->next.type != SL_T_LONG)
        return rc;
    /* Rising keys go to the end of the index; without one yet, the server does not have the largest at hand. */
    if (!p->pt->rising && !p->pt->keyless) {
        sl_sqlf(&p->q, "SELECT max(%n) FROM %t", key->name, p->t);
        rc = numbers(p, 1, &p->pt->last_key, NULL, err);
        p->pt->rising = rc == 0;
    }
    *plain = p->pt->rising && rows->first_key > p->pt->last_key;
    return rc;
}

sl_rc
sl_pg_apply(struct sl_dest *dest, struct sl_rows *rows, struct sl_applied *out, struct sl_err *err)
{
    struct sl_pg *pg = (struct sl_pg *)dest;
    struct plan p = { .pg = pg, .t = rows->table, .out = out };
    bool plain = false;
    sl_rc rc;

    *out = (struct sl_applied){ 0 };
    p.pt = sl_pg_table_of(pg, rows->table);
    sl_sql_init(&p.q, &sl_pg_dialect);
    rc = is_plain(&p, rows, &plain, err);
    if (rc == 0)
        rc = plain ? append(&p, rows, err) : merge(&p, rows, err);
    if (rc && err->hint[0] == '\0')
        sl_pg_missing(pg, rc, SL_PG_USE_TABLE, p.t->schema, p.t->name, err);
    if (rc)
        sl_err_wrap(err, "writing %s.%s", rows->table->schema, rows->table->name);
    pg->failed |= rc != 0;
    sl_sql_free(&p.q);
    return rc;
}
