#include "base/fault.h"
#include "base/json.h"
#include "base/text.h"
#include "engine/sync.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* Ids come in order, so more would be a leak of the sender's. Enough for a million tables. */
#define IDS_MAX (1u << 22)

static sl_rc
malformed(const struct sl_sync *s, const char *what, struct sl_err *err)
{
    sl_fail(err, SL_E_PROTOCOL, "frame %llu: %s", (unsigned long long)s->in.count, what);
    sl_err_hint(err, "the SDK and the engine do not fit together: reinstall the package, then "
                     "`fivetran doctor`");
    return SL_E_PROTOCOL;
}

static bool
good_name(struct sl_bytes b)
{
    return b.len > 0 && memchr(b.ptr, 0, b.len) == NULL && sl_utf8_valid(b.ptr, b.len);
}

sl_rc
sl_receive_table(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    const char *p = f->ptr, *end = f->ptr + f->len;
    struct sl_bytes schema, name;
    struct sl_table *t;
    bool renamed;
    sl_rc rc;

    if (f->id != s->shapes.ntables || f->id >= IDS_MAX)
        return malformed(s, "table ids are not in order", err);
    if (!sl_read_text(&p, end, &schema))
        return malformed(s, "a TABLE frame is cut short", err);
    name = (struct sl_bytes){ p, (size_t)(end - p) };
    if (!good_name(name) || (schema.len > 0 && !good_name(schema)))
        return malformed(s, "a table's name is empty, has a NUL or is not UTF-8", err);
    t = sl_catalog_find(&s->cat, schema, name);
    if (t == NULL) {
        t = sl_catalog_add(&s->cat, schema, name, &renamed);
        if (renamed)
            sl_sync_log(s, SL_WARNING, SL_FROM_ENGINE,
                        "table '%.*s' is stored as %s.%s: its plain name is taken or too long",
                        (int)name.len, name.ptr, t->schema, t->name);
    }
    if (!t->declared) {
        rc = sl_declare_undeclared(t, err);
        if (rc)
            return rc;
    }
    t->tally.named = true;
    sl_filter_mark(s->filter, t);
    if (t->excluded)
        sl_sync_log(s, SL_INFO, SL_FROM_ENGINE,
                    "table '%.*s' is switched off for this connection: its rows are dropped",
                    (int)name.len, name.ptr);
    sl_shapes_add_table(&s->shapes, t);
    return 0;
}

static sl_rc
find_column(struct sl_sync *s, struct sl_table *t, struct sl_bytes name, int *out,
            struct sl_err *err)
{
    bool renamed;
    int i = sl_table_find(t, name);

    if (i < 0) {
        i = sl_table_alias(&s->cat, t, name);
        if (i >= 0)
            sl_sync_log(s, SL_INFO, SL_FROM_ENGINE,
                        "%s: rows say '%.*s', schema() says '%s': taken as one column", t->name,
                        (int)name.len, name.ptr, t->columns[i]->source);
    }
    if (i < 0) {
        if (t->ncolumns >= SL_COLUMNS_MAX) {
            sl_fail(err, SL_E_LIMIT, "table %s has more than %d columns; '%.*s' is one too many",
                    t->name, SL_COLUMNS_MAX, (int)(name.len > 100 ? 100 : name.len), name.ptr);
            sl_err_hint(err,
                        "send data with open-ended keys as one dict: it becomes a JSON column");
            return SL_E_LIMIT;
        }
        i = sl_table_add(&s->cat, t, name, &renamed);
        sl_filter_mark_column(s->filter, t, t->columns[i]);
        if (renamed)
            sl_sync_log(s, SL_WARNING, SL_FROM_ENGINE,
                        "%s: column '%.*s' is stored as %s: its plain name is taken or too long",
                        t->name, (int)name.len, name.ptr, t->columns[i]->name);
    }
    sl_table_in_rows(t, i, name);
    *out = i;
    return 0;
}

/* An unwanted column: its values are counted, and the log says once that they are dropped. */
static void
note_excluded(struct sl_sync *s, struct sl_shape *sh, struct sl_column *c)
{
    sh->nexcluded++;
    if (c->told || sh->table->excluded)
        return;
    c->told = true;
    sl_sync_log(s, SL_INFO, SL_FROM_ENGINE,
                "column '%s' of table '%s' is switched off for this connection: its values are "
                "dropped",
                c->source, sh->table->source);
}

sl_rc
sl_receive_shape(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    const char *p = f->ptr, *end = f->ptr + f->len;
    struct sl_shape *sh;
    struct sl_bytes name;
    uint32_t table, n;
    sl_rc rc;

    if (f->id != s->shapes.nshapes || f->id >= IDS_MAX)
        return malformed(s, "shape ids are not in order", err);
    if (!sl_read_u32(&p, end, &table) || !sl_read_u32(&p, end, &n) || table >= s->shapes.ntables ||
        n > f->len)
        return malformed(s, "a SHAPE frame is wrong", err);
    sh = sl_shapes_add(&s->shapes);
    sh->table = s->shapes.tables[table];
    sh->columns = sl_alloc((n + 1) * sizeof *sh->columns);
    for (uint32_t i = 0; i < n; i++) {
        if (!sl_read_text(&p, end, &name) || memchr(name.ptr, 0, name.len) != NULL ||
            !sl_utf8_valid(name.ptr, name.len))
            return malformed(s, "a column's name has a NUL or is not UTF-8", err);
        rc = find_column(s, sh->table, name, &sh->columns[i], err);
        if (rc)
            return rc;
        for (uint32_t k = 0; k < i; k++)
            if (sh->columns[k] == sh->columns[i])
                return sl_fail(err, SL_E_SCHEMA, "%s: a row gives column %s twice, once as '%.*s'",
                               sh->table->name, sh->table->columns[sh->columns[i]]->name,
                               (int)name.len, name.ptr);
        sh->ncolumns = (int)i + 1;
        if (sh->table->columns[sh->columns[i]]->excluded)
            note_excluded(s, sh, sh->table->columns[sh->columns[i]]);
    }
    if (p != end)
        return malformed(s, "a SHAPE frame has bytes left over", err);
    sl_shape_settle(sh);
    return 0;
}

static sl_rc
bad_value(struct sl_sync *s, const struct sl_column *c, const struct sl_table *t, const char *what,
          struct sl_err *err)
{
    sl_fail(err, SL_E_DATA, "%s.%s, operation %llu: %s", t->name,
            c->source[0] ? c->source : c->name,
            (unsigned long long)(s->n->upserts + s->n->updates + s->n->deletes + 1), what);
    sl_err_path(err, "%s.%s", t->name, c->name);
    return SL_E_DATA;
}

static sl_rc
too_long(struct sl_sync *s, const struct sl_column *c, const struct sl_table *t,
         const struct sl_cell *v, struct sl_err *err)
{
    char what[160];

    snprintf(what, sizeof what, "a value of %u bytes; %s takes %llu", v->len,
             s->dest->ops->title ? s->dest->ops->title : "the warehouse",
             (unsigned long long)s->value_max);
    bad_value(s, c, t, what, err);
    err->code = SL_E_LIMIT;
    sl_err_hint(err, "split it over several rows, or keep it elsewhere and load its address");
    return SL_E_LIMIT;
}

/* Days of 0001-01-01 and 9999-12-31: what Python has, and every text form here. */
#define FIRST_DAY (-719162)
#define LAST_DAY 2932896
#define DAY_US INT64_C(86400000000)

static bool
in_calendar(const struct sl_cell *v)
{
    if (v->tag == SL_C_DATE)
        return v->i >= FIRST_DAY && v->i <= LAST_DAY;
    return v->i >= FIRST_DAY * DAY_US && v->i < (LAST_DAY + 1) * DAY_US;
}

static bool
in_range(const struct sl_column *c, int64_t v)
{
    if (c->next.type == SL_T_SHORT)
        return v >= INT16_MIN && v <= INT16_MAX;
    if (c->next.type == SL_T_INT)
        return v >= INT32_MIN && v <= INT32_MAX;
    return true;
}

/* Digits of a BIGINT or DECIMAL; false if it is no number. */
static bool
note_digits(struct sl_column *c, const struct sl_cell *v)
{
    unsigned before, after;

    if (!sl_decimal_digits(v->ptr, v->len, &before, &after))
        return false;
    if (c->declared && c->next.type == SL_T_DECIMAL)
        return after <= c->next.scale && before + c->next.scale <= c->next.precision;
    if (before > 38)
        before = 255;
    if (after > 38)
        after = 255;
    if (before > c->seen.int_digits)
        c->seen.int_digits = (uint8_t)before;
    if (after > c->seen.scale)
        c->seen.scale = (uint8_t)after;
    return true;
}

/* Checks one value and notes what it shows of its column. Everything about it that untrusted code could get wrong is checked
 * here: after this, staged rows are known to be good. */
static sl_rc
note(struct sl_sync *s, const struct sl_table *t, struct sl_column *c, const struct sl_cell *v,
     struct sl_err *err)
{
    if (c->declared && !sl_tag_fits(v->tag, c->next.type))
        return bad_value(s, c, t, "the value does not have the declared type", err);
    c->seen.tags |= 1u << v->tag;
    if (v->len > s->value_max && v->tag >= SL_C_STRING && v->tag <= SL_C_JSON)
        return too_long(s, c, t, v, err);
    switch (v->tag) {
    case SL_C_LONG:
        if (v->i > SL_EXACT_INT || v->i < -SL_EXACT_INT)
            c->seen.inexact = true;
        if (c->declared && !in_range(c, v->i))
            return bad_value(s, c, t, "the integer is out of the declared type's range", err);
        break;
    case SL_C_DOUBLE:
        if (c->key >= 0 && isnan(v->d)) {
            bad_value(s, c, t, "NaN in a primary key", err);
            sl_err_hint(err,
                        "NaN equals nothing, not even itself: give the row another key, or None");
            return SL_E_DATA;
        }
        break;
    case SL_C_STRING:
        if (!sl_utf8_valid(v->ptr, v->len))
            return bad_value(s, c, t, "the text is not UTF-8", err);
        break;
    case SL_C_JSON:
        if (!sl_json_valid(v->ptr, v->len))
            return bad_value(s, c, t, "the value is not JSON", err);
        break;
    case SL_C_DATE:
    case SL_C_NAIVE_DATETIME:
    case SL_C_UTC_DATETIME:
        if (!in_calendar(v))
            return bad_value(s, c, t, "the time is not within the years 1 to 9999", err);
        break;
    case SL_C_BIGINT:
    case SL_C_DECIMAL:
        if (!note_digits(c, v))
            return bad_value(s, c, t,
                             "the number is malformed or does not fit the declared precision", err);
        break;
    default:
        break;
    }
    return 0;
}

static sl_rc
note_row(struct sl_sync *s, const struct sl_shape *sh, const struct sl_frame *f,
         struct sl_cell *key, struct sl_err *err)
{
    const char *p = f->ptr, *end = f->ptr + f->len;
    struct sl_cell v;
    sl_rc rc;

    for (int i = 0; i < sh->ncolumns; i++) {
        if (!sl_cell_read(&p, end, &v))
            return malformed(s, "a row's cell is cut short or of an unknown kind", err);
        rc = note(s, sh->table, sh->table->columns[sh->columns[i]], &v, err);
        if (rc)
            return rc;
        if (i == sh->keys[0])
            *key = v;
    }
    return p == end ? 0 : malformed(s, "a row has bytes left over", err);
}

static sl_rc
missing_key(const struct sl_sync *s, const struct sl_shape *sh, const struct sl_frame *f,
            struct sl_err *err)
{
    (void)s;
    for (int k = 0; k < sh->table->nkeys; k++)
        if (sh->keys[k] < 0) {
            const struct sl_column *c = sh->table->columns[sh->table->keys[k]];

            sl_fail(err, SL_E_DATA, "%s.%s: the key column is missing in op.%s", sh->table->name,
                    c->source, f->type == SL_F_UPDATE ? "update" : "delete");
            sl_err_path(err, "%s.%s", sh->table->name, c->name);
            sl_err_hint(err, "give every column of the primary key");
        }
    return SL_E_DATA;
}

static void
note_updated(struct sl_shape *sh)
{
    for (int i = 0; i < sh->ncolumns; i++)
        if (!sh->table->columns[sh->columns[i]]->excluded)
            sh->table->columns[sh->columns[i]]->updated = true;
}

/* Keeps st->ascending: every operation an upsert whose single LONG key is larger than the one before. */
static void
note_order(struct sl_stage *st, const struct sl_frame *f, const struct sl_cell *key)
{
    if (!st->ascending)
        return;
    if (f->type != SL_F_UPSERT || key->tag != SL_C_LONG ||
        (st->ops > 0 && key->i <= st->last_key)) {
        st->ascending = false;
        return;
    }
    if (st->ops == 0)
        st->first_key = key->i;
    st->last_key = key->i;
}

/* Counts one call; of a table that is not wanted that is all. */
static void
count_call(struct sl_sync *s, struct sl_shape *sh, const struct sl_frame *f)
{
    struct sl_tally *t = &sh->table->tally;

    s->n->bytes += SL_FRAME_HEAD + f->len;
    if (f->type == SL_F_UPSERT) {
        t->upserts++;
        s->n->upserts++;
    } else if (f->type == SL_F_UPDATE) {
        t->updates++;
        s->n->updates++;
    } else {
        t->deletes++;
        s->n->deletes++;
    }
    if (sh->table->excluded) {
        t->filtered++;
        s->n->filtered++;
    } else if (sh->nexcluded) {
        t->filtered_cells += sh->nexcluded;
        s->n->filtered_cells += sh->nexcluded;
    }
}

sl_rc
sl_receive_row(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    struct sl_cell key = { .tag = SL_C_NULL };
    struct sl_shape *sh;
    struct sl_stage *st;
    sl_rc rc;

    if (f->id >= s->shapes.nshapes)
        return malformed(s, "a row of a shape that was not defined", err);
    sh = &s->shapes.shapes[f->id];
    if (f->type != SL_F_UPSERT && !sh->has_keys && !sh->table->keyless)
        return missing_key(s, sh, f, err);
    rc = note_row(s, sh, f, &key, err);
    if (rc)
        return rc;
    if (sh->table->excluded) {
        count_call(s, sh, f);
        return 0;
    }
    st = sl_spool_stage(&s->spool, sh->table);
    note_order(st, f, &key);
    rc = sl_stage_append(&s->spool, st, f, err);
    if (rc)
        return rc;
    count_call(s, sh, f);
    if (f->type == SL_F_UPSERT) {
        st->upserts++;
    } else if (f->type == SL_F_UPDATE) {
        note_updated(sh);
        st->updates++;
    } else {
        st->deletes++;
    }
    return 0;
}

sl_rc
sl_receive_truncate(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    struct sl_stage *st;
    struct sl_table *t;
    sl_rc rc;

    if (f->id >= s->shapes.ntables || f->len)
        return malformed(s, "a TRUNCATE frame is wrong", err);
    t = s->shapes.tables[f->id];
    t->tally.truncates++;
    s->n->truncates++;
    if (t->excluded)
        return 0;
    st = sl_spool_stage(&s->spool, t);
    st->ascending = false;
    rc = sl_stage_append(&s->spool, st, f, err);
    if (rc)
        return rc;
    st->truncates++;
    return 0;
}

sl_rc
sl_receive_again(struct sl_sync *s, struct sl_err *err)
{
    struct sl_stage_reader r;
    struct sl_frame f;
    struct sl_cell key;
    sl_rc rc = 0;
    int got;

    for (int t = 0; t < s->cat.ntables; t++)
        for (int c = 0; c < s->cat.tables[t]->ncolumns; c++)
            s->cat.tables[t]->columns[c]->seen = (struct sl_seen){ 0 };
    for (size_t i = 0; i < s->spool.nstages && rc == 0; i++) {
        sl_stage_reader_init(&r, &s->spool, s->spool.stages[i], 0);
        while (rc == 0 && (got = sl_stage_reader_next(&r, &f, err)) != 0) {
            rc = got < 0 ? got : 0;
            if (rc == 0 && f.type != SL_F_TRUNCATE)
                rc = note_row(s, &s->shapes.shapes[f.id], &f, &key, err);
        }
        sl_stage_reader_free(&r);
    }
    return rc;
}
