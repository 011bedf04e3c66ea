#include "engine/stage.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

/* Bytes read from the spill file at once. */
#define WINDOW ((size_t)1 << 20)

void
sl_spool_init(struct sl_spool *sp, const char *dir, uint64_t budget)
{
    *sp = (struct sl_spool){ .dir = dir, .fd = -1, .budget = budget };
}

static void
stage_free(struct sl_stage *st)
{
    st->table->stage = NULL;
    free(st->extents);
    sl_buf_free(&st->tail);
    free(st);
}

void
sl_spool_free(struct sl_spool *sp)
{
    for (size_t i = 0; i < sp->nstages; i++)
        stage_free(sp->stages[i]);
    free(sp->stages);
    free(sp->touched);
    if (sp->fd >= 0)
        close(sp->fd);
    *sp = (struct sl_spool){ .fd = -1 };
}

static void
push(struct sl_stage ***list, size_t *n, struct sl_stage *st)
{
    if ((*n & (*n - 1)) == 0)
        *list = sl_realloc(*list, *n ? *n * 2 : 1, sizeof(struct sl_stage *));
    (*list)[(*n)++] = st;
}

struct sl_stage *
sl_spool_stage(struct sl_spool *sp, struct sl_table *t)
{
    struct sl_stage *st = t->stage;

    if (st == NULL) {
        st = sl_zalloc(1, sizeof *st);
        st->table = t;
        st->ascending = st->sealed.ascending = t->nkeys == 1 && !t->keyless;
        sl_buf_init(&st->tail, SIZE_MAX / 4);
        t->stage = st;
        push(&sp->stages, &sp->nstages, st);
    }
    return st;
}

/* The spill file has no name from birth, or loses it at once where the file system knows no O_TMPFILE. */
static sl_rc
open_spill(struct sl_spool *sp, struct sl_err *err)
{
    char *path;

#ifdef O_TMPFILE
    sp->fd = open(sp->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (sp->fd >= 0)
        return 0;
#endif
    path = sl_sprintf("%s/.sluice-spill-XXXXXX", sp->dir);
    sp->fd = mkostemp(path, O_CLOEXEC);
    if (sp->fd < 0) {
        sl_rc rc = sl_fail_errno(err, "making a spill file in %s", sp->dir);
        free(path);
        return rc;
    }
    unlink(path);
    free(path);
    return 0;
}

static sl_rc
write_all(int fd, const char *p, size_t len, uint64_t at, struct sl_err *err)
{
    ssize_t n;

    while (len) {
        n = pwrite(fd, p, len, (off_t)at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sl_fail_errno(err, "writing the spill file");
        p += n;
        at += (uint64_t)n;
        len -= (size_t)n;
    }
    return 0;
}

static sl_rc
spill(struct sl_spool *sp, struct sl_err *err)
{
    sl_rc rc = SL_FAULT_POINT(stage_spill, err);

    if (rc == 0 && sp->fd < 0)
        rc = open_spill(sp, err);
    for (size_t i = 0; i < sp->nstages && rc == 0; i++) {
        struct sl_stage *st = sp->stages[i];

        if (st->tail.len == 0)
            continue;
        rc = write_all(sp->fd, st->tail.ptr, st->tail.len, sp->file_size, err);
        if (rc)
            break;
        if ((st->nextents & (st->nextents - 1)) == 0)
            st->extents = sl_realloc(st->extents, st->nextents ? st->nextents * 2 : 1,
                                     sizeof *st->extents);
        st->extents[st->nextents++] = (struct sl_extent){ sp->file_size, st->tail.len };
        sp->file_size += st->tail.len;
        st->spilled += st->tail.len;
        sl_buf_free(&st->tail);
    }
    sp->in_memory = 0;
    return rc;
}

sl_rc
sl_stage_append(struct sl_spool *sp, struct sl_stage *st, const struct sl_frame *f,
                struct sl_err *err)
{
    size_t len = SL_FRAME_HEAD + f->len;
    sl_rc rc = SL_FAULT_POINT(stage_append, err);

    if (rc == 0)
        rc = sl_buf_put(&st->tail, f->ptr - SL_FRAME_HEAD, len, err);
    if (rc)
        return rc;
    st->ops++;
    sp->ops++;
    sp->in_memory += len;
    sp->bytes += len + SL_STAGE_ROW_COST;
    if (!st->touched) {
        st->touched = true;
        push(&sp->touched, &sp->ntouched, st);
    }
    return sp->in_memory > sp->budget ? spill(sp, err) : 0;
}

void
sl_spool_seal(struct sl_spool *sp)
{
    for (size_t i = 0; i < sp->ntouched; i++) {
        struct sl_stage *st = sp->touched[i];

        st->touched = false;
        st->sealed.bytes = st->spilled + st->tail.len;
        st->sealed.ops = st->ops;
        st->sealed.upserts = st->upserts;
        st->sealed.updates = st->updates;
        st->sealed.deletes = st->deletes;
        st->sealed.truncates = st->truncates;
        st->sealed.ascending = st->ascending;
        st->sealed.last_key = st->last_key;
    }
    sp->ntouched = 0;
    sp->sealed_bytes = sp->bytes;
    sp->sealed_ops = sp->ops;
}

/* Cuts one stage back to its sealed end. */
static void
cut(struct sl_stage *st)
{
    if (st->sealed.bytes >= st->spilled) {
        st->tail.len = (size_t)(st->sealed.bytes - st->spilled);
    } else {
        st->tail.len = 0;
        while (st->nextents && st->spilled - st->extents[st->nextents - 1].len >= st->sealed.bytes)
            st->spilled -= st->extents[--st->nextents].len;
        if (st->nextents) {
            st->extents[st->nextents - 1].len -= st->spilled - st->sealed.bytes;
            st->spilled = st->sealed.bytes;
        }
    }
    st->ops = st->sealed.ops;
    st->upserts = st->sealed.upserts;
    st->updates = st->sealed.updates;
    st->deletes = st->sealed.deletes;
    st->truncates = st->sealed.truncates;
    st->ascending = st->sealed.ascending;
    st->last_key = st->sealed.last_key;
    st->touched = false;
}

uint64_t
sl_spool_discard_unsealed(struct sl_spool *sp)
{
    uint64_t dropped = sp->ops - sp->sealed_ops;

    for (size_t i = 0; i < sp->ntouched; i++)
        cut(sp->touched[i]);
    sp->ntouched = 0;
    sp->bytes = sp->sealed_bytes;
    sp->ops = sp->sealed_ops;
    return dropped;
}

void
sl_spool_clear(struct sl_spool *sp)
{
    for (size_t i = 0; i < sp->nstages; i++)
        stage_free(sp->stages[i]);
    sp->nstages = sp->ntouched = 0;
    sp->in_memory = sp->bytes = sp->ops = sp->sealed_bytes = sp->sealed_ops = sp->file_size = 0;
    if (sp->fd >= 0 && ftruncate(sp->fd, 0) != 0) {
        /* The space comes back when the file is closed; appending at 0 again is right either way. */
    }
    free(sp->stages);
    free(sp->touched);
    sp->stages = sp->touched = NULL;
}

void
sl_stage_reader_init(struct sl_stage_reader *r, struct sl_spool *sp, struct sl_stage *st,
                     uint64_t at)
{
    *r = (struct sl_stage_reader){ .sp = sp, .st = st, .at = at, .begin = at, .end = at };
    while (r->extent < st->nextents && r->extent_at + st->extents[r->extent].len <= at)
        r->extent_at += st->extents[r->extent++].len;
}

void
sl_stage_reader_free(struct sl_stage_reader *r)
{
    free(r->window);
    r->window = NULL;
    r->cap = 0;
}

/* Makes `need` bytes at r->at readable at once; the record lies within one extent. */
static sl_rc
fill(struct sl_stage_reader *r, size_t need, struct sl_err *err)
{
    const struct sl_extent *e = &r->st->extents[r->extent];
    uint64_t left = e->len - (r->at - r->extent_at);
    size_t want = need > WINDOW ? need : WINDOW, have = 0;
    ssize_t n;

    if (want > left)
        want = (size_t)left;
    if (want < need)
        return sl_fail(err, SL_E_INTERNAL, "a staged record crosses its extent");
    if (r->cap < want) {
        free(r->window);
        r->window = malloc(want);
        r->cap = r->window ? want : 0;
        if (r->window == NULL)
            return sl_fail(err, SL_E_NOMEM, "no memory for a row of %zu bytes", need);
    }
    while (have < want) {
        n = pread(r->sp->fd, r->window + have, want - have,
                  (off_t)(e->at + (r->at - r->extent_at) + have));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return sl_fail_errno(err, "reading the spill file");
        have += (size_t)n;
    }
    r->begin = r->at;
    r->end = r->at + want;
    return 0;
}

/* A pointer to `need` bytes at r->at. */
static sl_rc
look(struct sl_stage_reader *r, size_t need, const char **p, struct sl_err *err)
{
    sl_rc rc;

    if (r->at >= r->st->spilled) {
        *p = r->st->tail.ptr + (r->at - r->st->spilled);
        return 0;
    }
    while (r->at >= r->extent_at + r->st->extents[r->extent].len)
        r->extent_at += r->st->extents[r->extent++].len;
    if (r->at < r->begin || r->at + need > r->end) {
        rc = fill(r, need, err);
        if (rc)
            return rc;
    }
    *p = r->window + (r->at - r->begin);
    return 0;
}

int
sl_stage_reader_next(struct sl_stage_reader *r, struct sl_frame *f, struct sl_err *err)
{
    uint32_t head[2];
    const char *p;
    sl_rc rc;

    if (r->at >= r->st->spilled + r->st->tail.len)
        return 0;
    rc = look(r, SL_FRAME_HEAD, &p, err);
    if (rc)
        return rc;
    memcpy(head, p, sizeof head);
    rc = look(r, SL_FRAME_HEAD + head[0], &p, err);
    if (rc)
        return rc;
    *f = (struct sl_frame){ (uint8_t)head[1], head[1] >> 8, head[0], p + SL_FRAME_HEAD };
    r->at += SL_FRAME_HEAD + head[0];
    return 1;
}

sl_rc
sl_stage_fetch(struct sl_spool *sp, struct sl_stage *st, uint64_t at, struct sl_buf *buf,
               struct sl_frame *f, struct sl_err *err)
{
    struct sl_stage_reader r;
    sl_rc rc;
    int got;

    /* Short reads: a chain member is one row, not the start of a scan. */
    sl_stage_reader_init(&r, sp, st, at);
    got = sl_stage_reader_next(&r, f, err);
    rc = got < 0    ? got
         : got == 0 ? sl_fail(err, SL_E_INTERNAL, "no staged record at its offset")
                    : 0;
    buf->len = 0;
    if (rc == 0)
        rc = sl_buf_put(buf, f->ptr, f->len, err);
    if (rc == 0)
        f->ptr = buf->ptr;
    sl_stage_reader_free(&r);
    return rc;
}
