#include "destinations/duckdb/load.h"

#include <stdlib.h>

/* Bytes of text after which a chunk goes to DuckDB before it is full, and the appender is flushed: what the appender holds is
 * outside DuckDB's memory limit. */
#define FLUSH_BYTES ((size_t)8 << 20)

struct slot {
    int column; /* of the row; -1: synced, -2: deleted */
    bool flag;  /* "was given" of that column */
    enum sl_type type;
    uint8_t dec_bytes;
    duckdb_vector vec;
    void *data;
    uint64_t *valid;
};

struct sl_loader {
    struct sl_duckdb *d;
    duckdb_appender app;
    duckdb_data_chunk chunk;
    struct slot *slots;
    int nslots;
    idx_t fill, size;
    struct sl_arena text; /* of the chunk being filled */
    size_t chunk_bytes, since_flush;
};

static void
fetch_vectors(struct sl_loader *l)
{
    for (int i = 0; i < l->nslots; i++) {
        l->slots[i].vec = duck.data_chunk_get_vector(l->chunk, (idx_t)i);
        l->slots[i].data = duck.vector_get_data(l->slots[i].vec);
        l->slots[i].valid = NULL;
    }
    l->fill = 0;
    l->chunk_bytes = 0;
    sl_arena_reset(&l->text);
}

static duckdb_logical_type
logical(struct sl_coltype t)
{
    if (t.type == SL_T_DECIMAL)
        return duck.create_decimal_type(t.precision, t.scale);
    return duck.create_logical_type(sl_duck_type(t.type));
}

static uint8_t
decimal_bytes(uint8_t precision)
{
    return precision <= 4 ? 2 : precision <= 9 ? 4 : precision <= 18 ? 8 : 16;
}

static void
add_slot(struct sl_loader *l, int column, bool flag, struct sl_coltype t)
{
    l->slots[l->nslots++] = (struct slot){
        .column = column,
        .flag = flag,
        .type = t.type,
        .dec_bytes = decimal_bytes(t.precision),
    };
}

static sl_rc
name_columns(struct sl_loader *l, const struct sl_table *t, struct sl_err *err)
{
    for (int i = 0; i < l->nslots; i++) {
        int c = l->slots[i].column;
        const char *name = c == -1 ? SL_COL_SYNCED : c == -2 ? SL_COL_DELETED : t->columns[c]->name;

        if (duck.appender_add_column(l->app, name) != DuckDBSuccess)
            return sl_duck_fail(err, duck.appender_error(l->app), "DuckDB");
    }
    return 0;
}

sl_rc
sl_loader_open(struct sl_loader **out, struct sl_duckdb *d, const struct sl_table *t,
               const char *stage, const bool *given, struct sl_err *err)
{
    const struct sl_coltype utc = { SL_T_UTC_DATETIME, 0, 0 }, boolean = { SL_T_BOOLEAN, 0, 0 };
    struct sl_loader *l = sl_zalloc(1, sizeof *l);
    duckdb_logical_type *types;
    sl_rc rc = 0;

    l->d = d;
    l->slots = sl_zalloc((size_t)t->ncolumns * 2 + 2, sizeof *l->slots);
    for (int i = 0; i < t->ncolumns; i++)
        if (t->columns[i]->next.type != SL_T_NONE)
            add_slot(l, i, false, t->columns[i]->next);
    if (stage == NULL)
        add_slot(l, -1, false, utc);
    add_slot(l, -2, false, boolean);
    for (int i = 0; i < t->ncolumns && given != NULL; i++)
        if (given[i])
            add_slot(l, i, true, boolean);
    types = sl_zalloc((size_t)l->nslots, sizeof *types);
    for (int i = 0; i < l->nslots; i++) {
        int c = l->slots[i].column;

        types[i] = logical(l->slots[i].flag || c == -2 ? boolean
                           : c == -1                   ? utc
                                                       : t->columns[c]->next);
    }
    if (duck.appender_create_ext(d->con, stage ? "temp" : NULL, stage ? NULL : t->schema,
                                 stage ? stage : t->name, &l->app) != DuckDBSuccess)
        rc = sl_duck_fail(err, duck.appender_error(l->app), "DuckDB");
    /* The target's physical order differs once columns were added; a stage is made in slot order. */
    if (rc == 0 && stage == NULL)
        rc = name_columns(l, t, err);
    l->chunk = duck.create_data_chunk(types, (idx_t)l->nslots);
    l->size = duck.vector_size();
    fetch_vectors(l);
    for (int i = 0; i < l->nslots; i++)
        duck.destroy_logical_type(&types[i]);
    free(types);
    if (rc) {
        sl_loader_free(l);
        l = NULL;
    }
    *out = l;
    return rc;
}

static sl_rc
send_chunk(struct sl_loader *l, struct sl_err *err)
{
    if (l->fill == 0)
        return 0;
    duck.data_chunk_set_size(l->chunk, l->fill);
    if (duck.append_data_chunk(l->app, l->chunk) != DuckDBSuccess)
        return sl_duck_fail(err, duck.appender_error(l->app), "DuckDB");
    l->since_flush += l->chunk_bytes;
    if (l->since_flush >= FLUSH_BYTES) {
        l->since_flush = 0;
        if (duck.appender_flush(l->app) != DuckDBSuccess)
            return sl_duck_fail(err, duck.appender_error(l->app), "DuckDB");
    }
    duck.data_chunk_reset(l->chunk);
    fetch_vectors(l);
    return 0;
}

static void
set_null(struct slot *s, idx_t row)
{
    if (s->valid == NULL) {
        duck.vector_ensure_validity_writable(s->vec);
        s->valid = duck.vector_get_validity(s->vec);
    }
    s->valid[row / 64] &= ~((uint64_t)1 << (row % 64));
}

static void
put_decimal(const struct slot *s, idx_t row, __int128 v)
{
    switch (s->dec_bytes) {
    case 2:
        ((int16_t *)s->data)[row] = (int16_t)v;
        break;
    case 4:
        ((int32_t *)s->data)[row] = (int32_t)v;
        break;
    case 8:
        ((int64_t *)s->data)[row] = (int64_t)v;
        break;
    default:
        ((duckdb_hugeint *)s->data)[row] = (duckdb_hugeint){ (uint64_t)v, (int64_t)(v >> 64) };
    }
}

/* A raw duckdb_string_t, its bytes copied into our arena until the chunk is appended: cheaper than the vector's own heap, and
 * bytes that are not UTF-8 are an error here, where the heap's function would store NULL. */
static sl_rc
put_text(struct sl_loader *l, duckdb_string_t *out, const struct sl_cell *c, struct sl_err *err)
{
    memset(out, 0, sizeof *out);
    out->value.inlined.length = c->len;
    if (c->len <= sizeof out->value.inlined.inlined) {
        if (c->len)
            memcpy(out->value.inlined.inlined, c->ptr, c->len);
        return 0;
    }
    out->value.pointer.ptr = sl_arena_dup(&l->text, c->ptr, c->len);
    if (out->value.pointer.ptr == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for a value of %u bytes", c->len);
    memcpy(out->value.pointer.prefix, c->ptr, sizeof out->value.pointer.prefix);
    l->chunk_bytes += c->len;
    return 0;
}

static sl_rc
put_cell(struct sl_loader *l, struct slot *s, const struct sl_cell *c, struct sl_err *err)
{
    idx_t row = l->fill;

    if (c->tag == SL_C_NULL || c->tag == SL_C_ABSENT) {
        set_null(s, row);
        return 0;
    }
    switch (s->type) {
    case SL_T_BOOLEAN:
        ((bool *)s->data)[row] = c->tag == SL_C_TRUE;
        break;
    case SL_T_SHORT:
        ((int16_t *)s->data)[row] = (int16_t)c->i;
        break;
    case SL_T_INT:
    case SL_T_NAIVE_DATE:
        ((int32_t *)s->data)[row] = (int32_t)c->i;
        break;
    case SL_T_FLOAT:
        ((float *)s->data)[row] = (float)c->d;
        break;
    case SL_T_DOUBLE:
        ((double *)s->data)[row] = c->d;
        break;
    case SL_T_DECIMAL:
        put_decimal(s, row, c->dec);
        break;
    case SL_T_BINARY:
    case SL_T_XML:
    case SL_T_STRING:
    case SL_T_JSON:
        return put_text(l, (duckdb_string_t *)s->data + row, c, err);
    default:
        ((int64_t *)s->data)[row] = c->i;
    }
    return 0;
}

sl_rc
sl_loader_put(struct sl_loader *l, const struct sl_row *row, struct sl_err *err)
{
    sl_rc rc = 0;

    for (int i = 0; i < l->nslots; i++) {
        struct slot *s = &l->slots[i];

        if (s->column >= 0 && !s->flag)
            rc = put_cell(l, s, &row->cells[s->column], err);
        else if (s->column == -1)
            ((int64_t *)s->data)[l->fill] = l->d->now_us;
        else
            ((bool *)s->data)[l->fill] = s->column == -2 ? row->dead
                                                         : row->cells[s->column].tag != SL_C_ABSENT;
        if (rc)
            return rc;
    }
    l->fill++;
    if (l->fill == l->size || l->chunk_bytes >= FLUSH_BYTES)
        return send_chunk(l, err);
    return 0;
}

sl_rc
sl_loader_finish(struct sl_loader *l, struct sl_err *err)
{
    sl_rc rc = send_chunk(l, err);

    if (rc == 0 && duck.appender_close(l->app) != DuckDBSuccess)
        rc = sl_duck_fail(err, duck.appender_error(l->app), "DuckDB");
    return rc;
}

void
sl_loader_free(struct sl_loader *l)
{
    if (l == NULL)
        return;
    if (l->app != NULL)
        duck.appender_destroy(&l->app);
    if (l->chunk != NULL)
        duck.destroy_data_chunk(&l->chunk);
    sl_arena_free(&l->text);
    free(l->slots);
    free(l);
}
