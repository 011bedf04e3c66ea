#include "engine/fold.h"

#include "base/text.h"

#include <math.h>
#include <sodium.h>
#include <stdlib.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#define NONE UINT32_MAX

/* What is known of one key after the operations so far. */
struct entry {
    uint64_t h1, h2;
    uint32_t head;        /* its newest operation that still matters */
    uint32_t truncs : 30; /* truncates seen when it was last made live */
    uint32_t replace : 1; /* its chain ends in an upsert */
    uint32_t deleted : 1; /* by a delete after it was made live */
};

/* One operation that is the head or in the chain of some entry. */
struct op {
    uint64_t at;   /* in the stage */
    uint32_t prev; /* older operation of the same key that still matters, or NONE */
    uint32_t entry;
};

struct sl_fold_state {
    struct sl_spool *sp;
    struct sl_stage *st;
    struct sl_shapes *shapes;
    struct sl_table *table;
    uint64_t from, to;
    bool keep_nul; /* of texts */
    bool plain;    /* all upserts, no two on one key: no hashing */
    uint64_t seed; /* of the key hash: unpredictable for the connector */
    struct entry *entries;
    uint32_t nentries, entries_cap;
    uint32_t *slots, nslots; /* power of two; entry number or NONE */
    struct op *ops;
    uint32_t nops, ops_cap;
    uint32_t truncs;
    /* second pass */
    struct sl_stage_reader reader;
    uint32_t next_op;
    struct sl_cell *cells;
    struct sl_arena arena; /* of the current row */
    struct sl_buf key, chain;
    char id[33];
};

static bool
entry_dead(const struct sl_fold_state *fs, const struct entry *e)
{
    return e->deleted || e->truncs != fs->truncs;
}

static sl_rc
grow(struct sl_fold_state *fs, struct sl_err *err)
{
    void *p;

    if (fs->nops == fs->ops_cap) {
        fs->ops_cap = fs->ops_cap ? fs->ops_cap + fs->ops_cap / 2 : 1024;
        p = sl_try_realloc(fs->ops, fs->ops_cap, sizeof *fs->ops);
        if (p == NULL)
            return sl_fail(err, SL_E_NOMEM, "no memory to fold %u operations", fs->ops_cap);
        fs->ops = p;
    }
    if (fs->nentries == fs->entries_cap) {
        fs->entries_cap = fs->entries_cap ? fs->entries_cap + fs->entries_cap / 2 : 1024;
        p = sl_try_realloc(fs->entries, fs->entries_cap, sizeof *fs->entries);
        if (p == NULL)
            return sl_fail(err, SL_E_NOMEM, "no memory to fold %u keys", fs->entries_cap);
        fs->entries = p;
    }
    if ((uint64_t)fs->nentries * 4 < (uint64_t)fs->nslots * 3)
        return 0;
    fs->nslots = fs->nslots ? fs->nslots * 2 : 2048;
    free(fs->slots);
    fs->slots = sl_try_realloc(NULL, fs->nslots, sizeof *fs->slots);
    if (fs->slots == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory to fold %u keys", fs->nslots);
    memset(fs->slots, 0xFF, fs->nslots * sizeof *fs->slots);
    for (uint32_t i = 0; i < fs->nentries; i++) {
        uint32_t s = (uint32_t)fs->entries[i].h1 & (fs->nslots - 1);

        while (fs->slots[s] != NONE)
            s = (s + 1) & (fs->nslots - 1);
        fs->slots[s] = i;
    }
    return 0;
}

/* The entry of a key, made if it is new. */
static uint32_t
entry_of(struct sl_fold_state *fs, uint64_t h1, uint64_t h2, bool *made)
{
    uint32_t s = (uint32_t)h1 & (fs->nslots - 1);

    for (; fs->slots[s] != NONE; s = (s + 1) & (fs->nslots - 1)) {
        const struct entry *e = &fs->entries[fs->slots[s]];

        if (e->h1 == h1 && e->h2 == h2) {
            *made = false;
            return fs->slots[s];
        }
    }
    fs->slots[s] = fs->nentries;
    fs->entries[fs->nentries] = (struct entry){ .h1 = h1, .h2 = h2, .head = NONE };
    *made = true;
    return fs->nentries++;
}

/* Decodes a row's cells into shape order. The session has checked them when they came. */
static void
read_cells(const struct sl_frame *f, int n, struct sl_cell *cells)
{
    const char *p = f->ptr, *end = f->ptr + f->len;

    for (int i = 0; i < n; i++)
        if (!sl_cell_read(&p, end, &cells[i]))
            cells[i].tag = SL_C_NULL;
}

static void
add_u32(struct sl_buf *buf, uint32_t v)
{
    sl_buf_addn(buf, &v, sizeof v);
}

/* The row's own identity for tables without a key: BLAKE2b over (name, text) of its values, names sorted. */
static sl_rc
content_hash(struct sl_fold_state *fs, struct sl_shape *sh, const struct sl_cell *cells,
             uint64_t h[2], struct sl_err *err)
{
    const int *order = sl_shape_by_name(sh);
    struct sl_bytes text;

    fs->key.len = 0;
    for (int i = 0; i < sh->ncolumns; i++) {
        const struct sl_cell *c = &cells[order[i]];
        const char *name = sh->table->columns[sh->columns[order[i]]]->name;

        if (c->tag == SL_C_NULL || c->tag == SL_C_ABSENT)
            continue;
        if (!sl_cell_text(c, &fs->arena, &text))
            return sl_fail(err, SL_E_NOMEM, "no memory for a value's text");
        add_u32(&fs->key, (uint32_t)strlen(name));
        sl_buf_add(&fs->key, name);
        add_u32(&fs->key, (uint32_t)text.len);
        sl_buf_addn(&fs->key, text.ptr, text.len);
    }
    crypto_generichash((unsigned char *)h, 16, (const unsigned char *)fs->key.ptr, fs->key.len,
                       NULL, 0);
    return 0;
}

/* Hash of the key columns in the type the table will have: NULL equals NULL, -0.0 equals 0.0, 1 equals "1" once widened. */
static sl_rc
key_hash(struct sl_fold_state *fs, const struct sl_shape *sh, const struct sl_cell *cells,
         uint64_t h[2], struct sl_err *err)
{
    const struct sl_table *t = sh->table;
    XXH128_hash_t x;
    sl_rc rc;

    fs->key.len = 0;
    for (int k = 0; k < t->nkeys; k++) {
        const struct sl_column *c = t->columns[t->keys[k]];
        struct sl_cell null = { .tag = SL_C_NULL }, v;

        rc = sl_cell_convert(sh->keys[k] < 0 ? &null : &cells[sh->keys[k]], c->next, &fs->arena, &v,
                             err);
        if (rc == 0 && !fs->keep_nul)
            rc = sl_cell_without_nul(&v, &fs->arena, &(uint64_t){ 0 }, err);
        if (rc) {
            sl_err_path(err, "%s.%s", t->name, c->name);
            return rc;
        }
        if (v.tag == SL_C_ABSENT)
            v.tag = SL_C_NULL;
        sl_buf_addn(&fs->key, &v.tag, 1);
        if (v.tag == SL_C_DOUBLE) {
            double d = v.d == 0 ? 0.0 : v.d;

            sl_buf_addn(&fs->key, &d, 8);
        } else if (v.tag == SL_C_DECIMAL) {
            sl_buf_addn(&fs->key, &v.dec, 16);
        } else if (v.tag == SL_C_STRING || v.tag == SL_C_BINARY || v.tag == SL_C_JSON) {
            add_u32(&fs->key, v.len);
            sl_buf_addn(&fs->key, v.ptr, v.len);
        } else if (v.tag >= SL_C_LONG) {
            sl_buf_addn(&fs->key, &v.i, 8);
        }
    }
    x = XXH3_128bits_withSeed(fs->key.ptr, fs->key.len, fs->seed);
    h[0] = x.low64;
    h[1] = x.high64;
    return 0;
}

static uint32_t
add_op(struct sl_fold_state *fs, uint64_t at, uint32_t entry, uint32_t prev)
{
    fs->ops[fs->nops] = (struct op){ .at = at, .prev = prev, .entry = entry };
    return fs->nops++;
}

static void
fold_upsert(struct sl_fold *fold, uint64_t at, uint32_t ei)
{
    struct sl_fold_state *fs = fold->state;
    struct entry *e = &fs->entries[ei];

    fold->duplicates += e->head !=
                        NONE; /* earlier calls that came to nothing are counted as missed */
    e->head = add_op(fs, at, ei, NONE);
    e->replace = 1;
    e->deleted = 0;
    e->truncs = fs->truncs;
}

static void
fold_update(struct sl_fold *fold, uint64_t at, uint32_t ei, bool made)
{
    struct sl_fold_state *fs = fold->state;
    struct entry *e = &fs->entries[ei];

    if (made) {
        /* The destination's row, if it is live: after a truncate it is not. */
        e->truncs = 0;
        if (fs->truncs) {
            e->deleted = 1;
            fold->missed++;
            return;
        }
    } else if (entry_dead(fs, e)) {
        fold->missed++;
        return;
    } else {
        fold->duplicates++;
    }
    e->head = add_op(fs, at, ei, e->head);
}

static void
fold_delete(struct sl_fold *fold, uint64_t at, uint32_t ei, bool made)
{
    struct sl_fold_state *fs = fold->state;
    struct entry *e = &fs->entries[ei];

    if (made) {
        e->deleted = 1;
        if (fs->truncs)
            fold->missed++;
        else
            e->head = add_op(fs, at, ei, NONE);
        return;
    }
    if (entry_dead(fs, e))
        fold->missed++;
    else
        fold->duplicates++;
    e->deleted = 1;
}

static sl_rc
fold_op(struct sl_fold *fold, const struct sl_frame *f, uint64_t at, struct sl_err *err)
{
    struct sl_fold_state *fs = fold->state;
    struct sl_shape *sh = &fs->shapes->shapes[f->id];
    uint64_t h[2];
    bool made;
    uint32_t e;
    sl_rc rc;

    if (f->type == SL_F_TRUNCATE) {
        fs->truncs++;
        return 0;
    }
    sl_arena_reset(&fs->arena);
    read_cells(f, sh->ncolumns, fs->cells);
    rc = sh->table->keyless ? content_hash(fs, sh, fs->cells, h, err)
                            : key_hash(fs, sh, fs->cells, h, err);
    if (rc == 0)
        rc = grow(fs, err);
    if (rc)
        return rc;
    e = entry_of(fs, h[0], h[1], &made);
    if (f->type == SL_F_UPSERT)
        fold_upsert(fold, at, e);
    else if (f->type == SL_F_UPDATE)
        fold_update(fold, at, e, made);
    else
        fold_delete(fold, at, e, made);
    return 0;
}

int64_t
sl_fold_key(const struct sl_shapes *shapes, const struct sl_frame *f)
{
    const struct sl_shape *sh = &shapes->shapes[f->id];
    const char *p = f->ptr;
    struct sl_cell cell = { .tag = SL_C_NULL };

    for (int i = 0; i <= sh->keys[0]; i++)
        if (!sl_cell_read(&p, f->ptr + f->len, &cell))
            break;
    return cell.i;
}

/* Pass 1, or only the slice's end when no two operations share a key. */
static sl_rc
scan(struct sl_fold *fold, uint64_t max_bytes, struct sl_err *err)
{
    struct sl_fold_state *fs = fold->state;
    uint64_t at = fs->from, bytes = 0, total = fs->st->spilled + fs->st->tail.len;
    struct sl_stage_reader r;
    struct sl_frame f;
    sl_rc rc = 0;
    int got;

    fold->rows.last_key = fs->st->last_key;
    if (fs->plain && total - at + fs->st->ops * SL_STAGE_ROW_COST <= max_bytes && at == 0) {
        fold->rows.nreplace = fs->st->ops;
        fs->to = total;
        return 0;
    }
    sl_stage_reader_init(&r, fs->sp, fs->st, at);
    while (bytes < max_bytes && (got = sl_stage_reader_next(&r, &f, err)) != 0) {
        rc = got < 0 ? got : 0;
        if (rc == 0 && !fs->plain)
            rc = fold_op(fold, &f, at, err);
        if (rc)
            break;
        fold->rows.nreplace += fs->plain;
        bytes += SL_FRAME_HEAD + f.len + SL_STAGE_ROW_COST;
        at = r.at;
    }
    fs->to = at;
    if (rc == 0 && fs->plain && at < total)
        fold->rows.last_key = sl_fold_key(fs->shapes, &f);
    sl_stage_reader_free(&r);
    return rc;
}

/* The key of a plain slice's first row. */
static sl_rc
first_key(struct sl_fold *fold, struct sl_err *err)
{
    struct sl_fold_state *fs = fold->state;
    struct sl_stage_reader r;
    struct sl_frame f;
    int got;

    fold->rows.ascending = true;
    fold->rows.first_key = fs->st->first_key;
    if (fs->from == 0)
        return 0;
    sl_stage_reader_init(&r, fs->sp, fs->st, fs->from);
    got = sl_stage_reader_next(&r, &f, err);
    if (got == 1)
        fold->rows.first_key = sl_fold_key(fs->shapes, &f);
    sl_stage_reader_free(&r);
    return got < 0 ? got : 0;
}

static void
count_rows(struct sl_fold *fold)
{
    struct sl_fold_state *fs = fold->state;

    for (uint32_t i = 0; i < fs->nentries; i++) {
        const struct entry *e = &fs->entries[i];

        if (e->head == NONE)
            continue;
        if (e->replace)
            fold->rows.nreplace++;
        else
            fold->rows.npatch++;
    }
    fold->rows.truncate = fs->truncs > 0;
}

/* Puts the values of one operation into the row where newer ones gave none. Strings must outlive the row. */
static sl_rc
overlay(struct sl_fold *fold, const struct sl_frame *f, bool keep, struct sl_err *err)
{
    struct sl_fold_state *fs = fold->state;
    const struct sl_shape *sh = &fs->shapes->shapes[f->id];
    const char *p = f->ptr, *end = f->ptr + f->len;
    bool keys_only = f->type == SL_F_DELETE;
    struct sl_cell in;
    uint64_t replaced = 0;
    sl_rc rc;

    for (int i = 0; i < sh->ncolumns; i++) {
        int ci = sh->columns[i];
        struct sl_cell *out = &fs->cells[ci];

        if (!sl_cell_read(&p, end, &in))
            return sl_fail(err, SL_E_INTERNAL, "a staged row cannot be read back");
        if (in.tag == SL_C_ABSENT || out->tag != SL_C_ABSENT || fs->table->columns[ci]->excluded ||
            (keys_only && fs->table->columns[ci]->key < 0))
            continue;
        rc = sl_cell_convert(&in, fs->table->columns[ci]->next, &fs->arena, out, err);
        if (rc == 0 && !fs->keep_nul) {
            rc = sl_cell_without_nul(out, &fs->arena, &replaced, err);
            fold->replaced += replaced;
        }
        if (rc) {
            sl_err_path(err, "%s.%s", fs->table->name, fs->table->columns[ci]->name);
            return rc;
        }
        if (out->tag == SL_C_DOUBLE && out->d == 0 && fs->table->columns[ci]->key >= 0)
            out->d = 0.0; /* keys compare -0.0 equal to 0.0 */
        if (keep && out->len && out->tag >= SL_C_STRING && out->tag <= SL_C_JSON) {
            out->ptr = sl_arena_dup(&fs->arena, out->ptr, out->len);
            if (out->ptr == NULL)
                return sl_fail(err, SL_E_NOMEM, "no memory for a row");
        }
    }
    return 0;
}

static sl_rc
set_id(struct sl_fold_state *fs, const struct sl_frame *f, const struct entry *e,
       struct sl_err *err)
{
    uint64_t h[2];
    sl_rc rc;

    if (e != NULL) {
        h[0] = e->h1;
        h[1] = e->h2;
    } else {
        struct sl_shape *sh = &fs->shapes->shapes[f->id];
        struct sl_cell *raw = sl_arena_get(&fs->arena, (size_t)sh->ncolumns * sizeof *raw);

        if (raw == NULL)
            return sl_fail(err, SL_E_NOMEM, "no memory for a row");
        read_cells(f, sh->ncolumns, raw);
        rc = content_hash(fs, sh, raw, h, err);
        if (rc)
            return rc;
    }
    sl_hex(h, 16, fs->id);
    fs->cells[0] = (struct sl_cell){ .tag = SL_C_STRING, .len = 32, .ptr = fs->id };
    return 0;
}

/* Builds the row of an entry from the operation just read (its head) and those before it. */
static sl_rc
build(struct sl_fold *fold, const struct sl_frame *f, const struct entry *e, uint32_t prev,
      struct sl_row *row, struct sl_err *err)
{
    struct sl_fold_state *fs = fold->state;
    struct sl_frame older;
    sl_rc rc;

    sl_arena_reset(&fs->arena);
    for (int i = 0; i < fs->table->ncolumns; i++)
        fs->cells[i].tag = SL_C_ABSENT;
    rc = overlay(fold, f, prev != NONE, err);
    for (; rc == 0 && prev != NONE; prev = fs->ops[prev].prev) {
        rc = sl_stage_fetch(fs->sp, fs->st, fs->ops[prev].at, &fs->chain, &older, err);
        if (rc == 0)
            rc = overlay(fold, &older, true, err);
    }
    if (rc == 0 && fs->table->keyless)
        rc = set_id(fs, f, e, err);
    if (rc)
        return rc;
    row->kind = e == NULL || e->replace ? SL_ROW_REPLACE : SL_ROW_PATCH;
    row->dead = e != NULL && entry_dead(fs, e);
    row->cells = fs->cells;
    if (row->kind == SL_ROW_REPLACE)
        for (int i = 0; i < fs->table->ncolumns; i++)
            if (fs->cells[i].tag == SL_C_ABSENT)
                fs->cells[i].tag = SL_C_NULL;
    return 0;
}

static int
next_row(struct sl_rows *rows, struct sl_row *row, struct sl_err *err)
{
    struct sl_fold *fold = (struct sl_fold *)rows;
    struct sl_fold_state *fs = fold->state;
    const struct op *op;
    struct sl_frame f;
    uint64_t at;
    sl_rc rc;
    int got;

    for (;;) {
        at = fs->reader.at;
        if (at >= fs->to || (!fs->plain && fs->next_op == fs->nops))
            return 0;
        got = sl_stage_reader_next(&fs->reader, &f, err);
        if (got <= 0)
            return got;
        if (fs->plain) {
            rc = build(fold, &f, NULL, NONE, row, err);
            return rc ? rc : 1;
        }
        if (fs->ops[fs->next_op].at != at)
            continue; /* a truncate, or an operation that came to nothing */
        op = &fs->ops[fs->next_op++];
        if (fs->entries[op->entry].head != (uint32_t)(op - fs->ops))
            continue;
        rc = build(fold, &f, &fs->entries[op->entry], op->prev, row, err);
        return rc ? rc : 1;
    }
}

static void
rewind_rows(struct sl_rows *rows)
{
    struct sl_fold *fold = (struct sl_fold *)rows;
    struct sl_fold_state *fs = fold->state;

    sl_stage_reader_free(&fs->reader);
    sl_stage_reader_init(&fs->reader, fs->sp, fs->st, fs->from);
    fs->next_op = 0;
    fold->replaced = 0;
}

sl_rc
sl_fold_open(struct sl_fold *fold, struct sl_spool *sp, struct sl_stage *st,
             struct sl_shapes *shapes, uint64_t offset, uint64_t max_bytes, bool keep_nul,
             struct sl_err *err)
{
    struct sl_fold_state *fs = sl_zalloc(1, sizeof *fs);
    int widest = st->table->ncolumns + 1;
    sl_rc rc;

    *fold = (struct sl_fold){
        .state = fs, .rows = { .table = st->table, .next = next_row, .rewind = rewind_rows }
    };
    fs->sp = sp;
    fs->st = st;
    fs->shapes = shapes;
    fs->table = st->table;
    fs->from = offset;
    fs->keep_nul = keep_nul;
    fs->plain = st->ascending && st->upserts == st->ops;
    fs->cells = sl_zalloc((size_t)widest, sizeof *fs->cells);
    randombytes_buf(&fs->seed, sizeof fs->seed);
    sl_buf_init(&fs->key, SIZE_MAX / 4);
    sl_buf_init(&fs->chain, SIZE_MAX / 4);
    rc = grow(fs, err);
    if (rc == 0)
        rc = scan(fold, max_bytes, err);
    if (rc)
        return rc;
    /* The hash index has done its work; the second pass needs only entries and operations. */
    free(fs->slots);
    fs->slots = NULL;
    if (fs->plain)
        rc = first_key(fold, err);
    else
        count_rows(fold);
    fold->rows.bytes = fs->to - fs->from;
    fold->next_offset = fs->to;
    fold->more = fs->to < st->spilled + st->tail.len;
    sl_stage_reader_init(&fs->reader, sp, st, offset);
    return rc;
}

void
sl_fold_free(struct sl_fold *fold)
{
    struct sl_fold_state *fs = fold->state;

    if (fs == NULL)
        return;
    sl_stage_reader_free(&fs->reader);
    sl_arena_free(&fs->arena);
    sl_buf_free(&fs->key);
    sl_buf_free(&fs->chain);
    free(fs->cells);
    free(fs->entries);
    free(fs->slots);
    free(fs->ops);
    free(fs);
    fold->state = NULL;
}
