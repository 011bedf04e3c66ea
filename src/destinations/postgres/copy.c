/* The format: docs of COPY, "Binary Format". Values are written straight from cells into one buffer. */
#include "destinations/postgres/postgres.h"

#include "base/time.h"

#include <endian.h>
#include <stdlib.h>

/* Sent at once. The server's socket takes about this much without waiting, so that both sides work. */
#define CHUNK ((size_t)128 << 10)
/* The server takes messages of up to 1 GB; a row may go in several. */
#define MESSAGE_MAX ((size_t)64 << 20)
/* A server that takes nothing for so long has hung: it holds no locks of others while it reads. */
#define TAKE_US ((int64_t)120 * 1000000)
/* 2000-01-01, PostgreSQL's epoch, after 1970-01-01. */
#define EPOCH_DAYS 10957
#define EPOCH_US (INT64_C(86400000000) * EPOCH_DAYS)
/* Bytes of a fixed value with its length in front, at most: a DECIMAL has 10 digits of 4 and an 8-byte head. */
#define FIXED_MAX 40

enum { SYNCED = -1, DELETED = -2 };

struct slot {
    int column; /* of the row, or SYNCED, DELETED */
    bool flag;  /* "was given" of that column */
    enum sl_type type;
    uint8_t scale;
};

struct sl_pg_copy {
    struct sl_pg *pg;
    const struct sl_table *t;
    struct slot *slots;
    int nslots;
    char *buf;
    size_t len, cap;
};

static inline char *
put16(char *p, uint16_t v)
{
    v = htobe16(v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

static inline char *
put32(char *p, uint32_t v)
{
    v = htobe32(v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

static inline char *
put64(char *p, uint64_t v)
{
    v = htobe64(v);
    memcpy(p, &v, sizeof v);
    return p + sizeof v;
}

/* Digits of base 10000, the point between two of them. */
static char *
put_decimal(char *p, __int128 v, unsigned scale)
{
    static const unsigned tens[] = { 1, 10, 100, 1000 };
    unsigned __int128 u = v < 0 ? 0 - (unsigned __int128)v : (unsigned __int128)v;
    uint16_t digits[12];
    unsigned odd = scale % 4;
    int n = 0, after = (int)(scale / 4), zeros = 0, weight;

    /* From the last digit on. */
    if (odd) {
        digits[n++] = (uint16_t)((unsigned)(u % tens[odd]) * tens[4 - odd]);
        u /= tens[odd];
        after++;
    }
    while (u > UINT64_MAX) {
        digits[n++] = (uint16_t)(u % 10000);
        u /= 10000;
    }
    for (uint64_t small = (uint64_t)u; small > 0 || n < after; small /= 10000)
        digits[n++] = (uint16_t)(small % 10000);
    weight = n - after - 1;
    while (n > 0 && digits[n - 1] == 0) {
        n--;
        weight--;
    }
    while (zeros < n && digits[zeros] == 0)
        zeros++;
    if (n == 0)
        weight = 0;
    p = put32(p, (uint32_t)(8 + 2 * (n - zeros)));
    p = put16(p, (uint16_t)(n - zeros));
    p = put16(p, (uint16_t)weight);
    p = put16(p, v < 0 ? 0x4000 : 0);
    p = put16(p, (uint16_t)scale);
    while (n > zeros)
        p = put16(p, digits[--n]);
    return p;
}

static inline char *
put_text(char *p, const struct sl_cell *c, bool jsonb)
{
    p = put32(p, c->len + jsonb);
    if (jsonb)
        *p++ = 1; /* version of its format */
    if (c->len)
        memcpy(p, c->ptr, c->len);
    return p + c->len;
}

static char *
put_cell(char *p, const struct slot *s, const struct sl_cell *c)
{
    uint64_t bits;
    float f;
    uint32_t small;

    if (c->tag == SL_C_NULL || c->tag == SL_C_ABSENT)
        return put32(p, UINT32_MAX);
    switch (s->type) {
    case SL_T_BOOLEAN:
        p = put32(p, 1);
        *p++ = c->tag == SL_C_TRUE;
        return p;
    case SL_T_SHORT:
        return put16(put32(p, 2), (uint16_t)c->i);
    case SL_T_INT:
        return put32(put32(p, 4), (uint32_t)c->i);
    case SL_T_NAIVE_DATE:
        return put32(put32(p, 4), (uint32_t)(c->i - EPOCH_DAYS));
    case SL_T_FLOAT:
        f = (float)c->d;
        memcpy(&small, &f, sizeof small);
        return put32(put32(p, 4), small);
    case SL_T_DOUBLE:
        memcpy(&bits, &c->d, sizeof bits);
        return put64(put32(p, 8), bits);
    case SL_T_NAIVE_DATETIME:
    case SL_T_UTC_DATETIME:
        return put64(put32(p, 8), (uint64_t)(c->i - EPOCH_US));
    case SL_T_DECIMAL:
        return put_decimal(p, c->dec, s->scale);
    case SL_T_BINARY:
    case SL_T_XML:
    case SL_T_STRING:
        return put_text(p, c, false);
    case SL_T_JSON:
        return put_text(p, c, true);
    default:
        return put64(put32(p, 8), (uint64_t)c->i);
    }
}

static sl_rc
send_buffer(struct sl_pg_copy *c, struct sl_err *err)
{
    struct sl_pg *pg = c->pg;
    sl_rc rc = 0;

    for (size_t at = 0, n; at < c->len && rc == 0; at += n) {
        int64_t until = sl_mono_us() + TAKE_US;
        int sent;

        n = c->len - at < MESSAGE_MAX ? c->len - at : MESSAGE_MAX;
        while (rc == 0 && (sent = PQputCopyData(pg->conn, c->buf + at, (int)n)) != 1)
            rc = sent < 0 ? sl_pg_fail(pg, NULL, "sending rows", err) : sl_pg_flush(pg, until, err);
        if (rc == 0)
            rc = sl_pg_flush(pg, until, err);
    }
    c->len = 0;
    return rc;
}

/* Room for `more` bytes. A row larger than the buffer makes it grow. */
static sl_rc
make_room(struct sl_pg_copy *c, size_t more, struct sl_err *err)
{
    sl_rc rc = c->len ? send_buffer(c, err) : 0;

    if (rc == 0 && more > c->cap) {
        free(c->buf);
        c->cap = more;
        c->buf = sl_try_realloc(NULL, more, 1);
        if (c->buf == NULL) {
            c->cap = 0;
            rc = sl_fail(err, SL_E_NOMEM, "no memory for a row of %zu bytes", more);
        }
    }
    return rc;
}

static void
add_slot(struct sl_pg_copy *c, int column, bool flag, struct sl_coltype t)
{
    c->slots[c->nslots++] =
        (struct slot){ .column = column, .flag = flag, .type = t.type, .scale = t.scale };
}

sl_rc
sl_pg_copy_open(struct sl_pg_copy **out, struct sl_pg *pg, const struct sl_table *t,
                const char *target, bool synced, const bool *given, struct sl_err *err)
{
    static const char head[] = "PGCOPY\n\377\r\n\0\0\0\0\0\0\0\0";
    struct sl_pg_copy *c = sl_zalloc(1, sizeof *c);
    char *sql = sl_sprintf("COPY %s FROM STDIN (FORMAT binary)", target);
    sl_rc rc = sl_pg_exec(pg, sql, "loading rows", NULL, err);

    free(sql);
    *out = NULL;
    if (rc) {
        free(c);
        return rc;
    }
    c->pg = pg;
    c->t = t;
    c->slots = sl_zalloc((size_t)t->ncolumns * 2 + 2, sizeof *c->slots);
    for (int i = 0; i < t->ncolumns; i++)
        if (t->columns[i]->next.type != SL_T_NONE)
            add_slot(c, i, false, t->columns[i]->next);
    if (synced)
        add_slot(c, SYNCED, false, (struct sl_coltype){ 0 });
    add_slot(c, DELETED, false, (struct sl_coltype){ 0 });
    for (int i = 0; i < t->ncolumns && given != NULL; i++)
        if (given[i])
            add_slot(c, i, true, (struct sl_coltype){ 0 });
    c->cap = CHUNK + (size_t)c->nslots * FIXED_MAX + 2;
    c->buf = sl_alloc(c->cap);
    memcpy(c->buf, head, sizeof head); /* its last NUL is the signature's */
    c->len = sizeof head;
    *out = c;
    return 0;
}

sl_rc
sl_pg_copy_put(struct sl_pg_copy *c, const struct sl_row *row, struct sl_err *err)
{
    size_t need = 2 + (size_t)c->nslots * FIXED_MAX;
    char *p;
    sl_rc rc;

    for (int i = 0; i < c->nslots; i++)
        if (c->slots[i].column >= 0 && row->cells[c->slots[i].column].tag >= SL_C_STRING &&
            row->cells[c->slots[i].column].tag <= SL_C_JSON)
            need += row->cells[c->slots[i].column].len;
    if (c->len + need > c->cap) {
        rc = make_room(c, need, err);
        if (rc)
            return rc;
    }
    p = put16(c->buf + c->len, (uint16_t)c->nslots);
    for (int i = 0; i < c->nslots; i++) {
        const struct slot *s = &c->slots[i];

        if (s->column >= 0 && !s->flag) {
            p = put_cell(p, s, &row->cells[s->column]);
        } else if (s->column == SYNCED) {
            p = put64(put32(p, 8), (uint64_t)(c->pg->now_us - EPOCH_US));
        } else {
            p = put32(p, 1);
            *p++ = s->column == DELETED ? row->dead : row->cells[s->column].tag != SL_C_ABSENT;
        }
    }
    c->len = (size_t)(p - c->buf);
    return c->len >= CHUNK ? send_buffer(c, err) : 0;
}

sl_rc
sl_pg_copy_end(struct sl_pg_copy *c, sl_rc rc, struct sl_err *err)
{
    struct sl_pg *pg;
    struct sl_err second;
    bool failed = rc != 0;

    if (c == NULL)
        return rc;
    pg = c->pg;
    if (rc == 0) {
        put16(c->buf + c->len, UINT16_MAX); /* the end of the rows */
        c->len += 2;
        rc = send_buffer(c, err);
    }
    if (!sl_pg_is_lost(pg)) {
        /* What the server says of the rows comes first: it is why sending failed. */
        if (PQputCopyEnd(pg->conn, rc ? "the rows could not be sent" : NULL) < 0 && rc == 0)
            rc = sl_pg_fail(pg, NULL, "loading rows", err);
        if (rc == 0)
            rc = sl_pg_finish(pg, "loading rows", NULL, err);
        else if (sl_pg_finish(pg, "loading rows", NULL, &second) && !failed && !sl_pg_is_lost(pg))
            *err = second;
    }
    pg->failed |= rc != 0;
    free(c->slots);
    free(c->buf);
    free(c);
    return rc;
}
