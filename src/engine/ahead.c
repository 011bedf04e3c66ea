#include "engine/ahead.h"

#include "base/fault.h"
#include "base/time.h"
#include "engine/fold.h"
#include "engine/sync.h"

#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

/* What the worker is given at once: small enough that the end of the interval does not wait long for it. */
#define CHUNK_BYTES ((size_t)4 << 20)
/* Tables that have rows are left to the commit after a chunk that took this long (the table is large and its keys lie scattered) or
 * changed this part of its rows: few large slices are better then. */
#define SLOW_US 250000
#define MANY_CHANGED 4
/* Larger rows need the destination's memory as a whole (admit): they go the ordinary way. */
#define ROW_BYTES ((uint64_t)16 << 10)

enum state { READY, OPEN, HALTED, TAKEN, OVER };

/* A table that has rows in the open transaction. */
struct begun {
    struct sl_stage *st;
    int ncolumns;
    struct sl_coltype *before,
        *types; /* `next` of each column: as it was, and as the table has it now */
    bool dirty; /* … it was */
    struct sl_row_counts rows;
};

struct sl_ahead {
    struct sl_sync *s;
    enum state state;
    uint64_t least, next;
    int64_t patience_us, begun_us;
    struct begun *tables;
    size_t ntables;
    uint64_t bytes; /* of the transaction, as a commit counts them */
    bool left;      /* tables that have rows are, to the commit */

    pthread_t thread;
    bool started;
    pthread_mutex_t lock;
    pthread_cond_t change;
    bool busy, quit; /* under the lock */

    /* The chunk: a copy of staged frames, so that their buffer may grow and spill meanwhile. The worker's while busy. */
    struct sl_spool spool;
    struct sl_stage chunk;
    bool given; /* there is one, and what became of it was not looked at */
    size_t to;  /* which of `tables` it goes into */
    uint64_t end;
    bool evolve; /* its table first */
    struct sl_applied applied;
    int64_t took_us;
    sl_rc rc;
};

/* Not there yet, or made by a commit of this session (schema() names it) and still without a row. */
static bool
is_empty(const struct sl_table *t)
{
    return !t->created || (t->ours && t->tally.slices == 0);
}

/* --- the worker ---------------------------------------------------------------------------------------------------- */

static sl_rc
apply(struct sl_ahead *a, struct sl_err *err)
{
    struct sl_dest *dest = a->s->dest;
    struct sl_fold fold = { 0 };
    sl_rc rc = 0;

    if (a->evolve)
        rc = dest->ops->evolve(dest, a->chunk.table, err);
    if (rc)
        return rc;
    rc = sl_fold_open(&fold, &a->spool, &a->chunk, &a->s->shapes, 0, UINT64_MAX,
                      dest->ops->caps.nul_in_text, err);
    if (rc == 0)
        rc = dest->ops->apply(dest, &fold.rows, &a->applied, err);
    if (rc == 0 && a->applied.inserted + a->applied.updated + a->applied.unchanged != a->chunk.ops)
        rc = sl_fail(err, SL_E_INTERNAL, "the counts of %llu rows do not add up",
                     (unsigned long long)a->chunk.ops);
    a->applied.replaced += fold.replaced;
    sl_fold_free(&fold);
    return rc ? rc : SL_FAULT_POINT(ahead_applied, err);
}

static void *
work(void *arg)
{
    struct sl_ahead *a = arg;
    struct sl_err err;
    int64_t begun;

    pthread_mutex_lock(&a->lock);
    for (;;) {
        while (!a->busy && !a->quit)
            pthread_cond_wait(&a->change, &a->lock);
        if (a->quit)
            break;
        pthread_mutex_unlock(&a->lock);
        err = (struct sl_err){ 0 };
        begun = sl_mono_us();
        a->rc = apply(a, &err);
        a->took_us = sl_mono_us() - begun;
        pthread_mutex_lock(&a->lock);
        a->busy = false;
        pthread_cond_broadcast(&a->change);
    }
    pthread_mutex_unlock(&a->lock);
    return NULL;
}

/* Signals are the session's: one that came here would not end its wait for frames. */
static bool
start(struct sl_ahead *a)
{
    sigset_t all, old;

    if (a->started)
        return true;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &old);
    a->started = pthread_create(&a->thread, NULL, work, a) == 0;
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    return a->started;
}

static bool
is_busy(struct sl_ahead *a)
{
    bool busy;

    pthread_mutex_lock(&a->lock);
    busy = a->busy;
    pthread_mutex_unlock(&a->lock);
    return busy;
}

static void
hand_over(struct sl_ahead *a)
{
    a->given = true;
    a->applied = (struct sl_applied){ 0 };
    pthread_mutex_lock(&a->lock);
    a->busy = true;
    pthread_cond_broadcast(&a->change);
    pthread_mutex_unlock(&a->lock);
}

void
sl_ahead_pause(struct sl_ahead *a)
{
    if (a == NULL || !a->started)
        return;
    pthread_mutex_lock(&a->lock);
    while (a->busy)
        pthread_cond_wait(&a->change, &a->lock);
    pthread_mutex_unlock(&a->lock);
}

/* What became of the chunk, while the worker rests. False: it failed. */
static bool
collect(struct sl_ahead *a)
{
    struct begun *m;

    if (!a->given)
        return true;
    a->given = false;
    if (a->rc)
        return false;
    m = &a->tables[a->to];
    m->rows.inserted += a->applied.inserted;
    m->rows.updated += a->applied.updated;
    m->rows.unchanged += a->applied.unchanged;
    m->rows.replaced += a->applied.replaced;
    if (!is_empty(a->chunk.table) &&
        (a->took_us > SLOW_US || a->applied.updated > a->chunk.ops / MANY_CHANGED))
        a->left = true;
    m->st->applied = a->end;
    a->bytes += a->applied.held + a->chunk.tail.len + a->chunk.ops * SL_STAGE_ROW_COST;
    return true;
}

/* --- what may go ahead --------------------------------------------------------------------------------------------- */

/* The type a column of a table without rows would get now, as commit.c settles it. `before` is its `next` then. */
static struct sl_coltype
type_so_far(const struct sl_column *c, struct sl_coltype before)
{
    if (c->declared || c->excluded || c->seen.tags == 0)
        return before;
    return sl_type_join(before.type ? before : c->type, &c->seen, (struct sl_stored){ 0 });
}

/* Upserts only, each key once, and rows of a size that needs no looking after. */
static bool
is_simple(const struct sl_stage *st)
{
    return st->ascending && st->upserts == st->ops &&
           st->spilled + st->tail.len <= st->ops * ROW_BYTES;
}

/* A column has no other type with what was seen in it, and that can be told without a look into the table. */
static bool
same_type(const struct sl_table *t, int i, struct sl_coltype before, struct sl_coltype type)
{
    const struct sl_column *c = t->columns[i];

    return sl_coltype_eq(type_so_far(c, before), type) &&
           (is_empty(t) || c->declared || !sl_join_needs_stored(c->type, &c->seen));
}

static bool
can_begin(const struct sl_stage *st, bool unseen)
{
    const struct sl_table *t = st->table;
    const struct sl_column *key = t->nkeys == 1 ? t->columns[t->keys[0]] : NULL;

    if (key == NULL || !is_simple(st) || type_so_far(key, key->next).type != SL_T_LONG)
        return false;
    if (!t->created || (is_empty(t) && !unseen))
        return true;
    if (unseen)
        return false;
    for (int i = 0; i < t->ncolumns; i++)
        if (!same_type(t, i, t->columns[i]->next, t->columns[i]->type))
            return false;
    return !t->dirty;
}

/* All that is staged is as the part of it that was applied. */
static bool
still_fits(const struct begun *m)
{
    const struct sl_table *t = m->st->table;

    if (!is_simple(m->st) || t->dirty || t->ncolumns != m->ncolumns)
        return false;
    for (int i = 0; i < m->ncolumns; i++)
        if (!same_type(t, i, m->before[i], m->types[i]))
            return false;
    return true;
}

static bool
all_fit(const struct sl_ahead *a)
{
    for (size_t i = 0; i < a->ntables; i++)
        if (!still_fits(&a->tables[i]))
            return false;
    return true;
}

static const struct begun *
find(const struct sl_ahead *a, const struct sl_table *t)
{
    for (size_t i = 0; i < a->ntables; i++)
        if (a->tables[i].st->table == t)
            return &a->tables[i];
    return NULL;
}

static void
tables_free(struct sl_ahead *a)
{
    for (size_t i = 0; i < a->ntables; i++) {
        free(a->tables[i].before);
        free(a->tables[i].types);
    }
    free(a->tables);
    a->tables = NULL;
    a->ntables = 0;
    a->bytes = 0;
}

/* The stage with the most that the worker has not had, if that is enough. */
static struct sl_stage *
pick(const struct sl_ahead *a)
{
    struct sl_spool *sp = &a->s->spool;
    bool unseen = a->s->dest->ops->caps.ahead_unseen;
    struct sl_stage *best = NULL;
    uint64_t most = a->least - 1;

    for (size_t i = 0; i < sp->nstages; i++) {
        struct sl_stage *st = sp->stages[i];
        uint64_t left = st->spilled + st->tail.len - st->applied;

        if (left > most && (st->applied > 0 || can_begin(st, unseen)) &&
            (!a->left || is_empty(st->table))) {
            best = st;
            most = left;
        }
    }
    return best;
}

/* --- handing over -------------------------------------------------------------------------------------------------- */

/* Whether a table can take rows like these. An empty one gets the types its rows have so far. */
static bool
begin_table(struct sl_ahead *a, struct sl_stage *st)
{
    const struct sl_dest_ops *ops = a->s->dest->ops;
    struct sl_table *t = st->table;
    struct begun *m;

    if (ops->admit != NULL && ops->admit(a->s->dest, t, st->ops, st->spilled + st->tail.len, NULL))
        return false;
    a->tables = sl_realloc(a->tables, a->ntables + 1, sizeof *a->tables);
    m = &a->tables[a->ntables++];
    *m = (struct begun){
        .st = st,
        .ncolumns = t->ncolumns,
        .before = sl_alloc((size_t)t->ncolumns * sizeof *m->before),
        .types = sl_alloc((size_t)t->ncolumns * sizeof *m->types),
        .dirty = t->dirty,
    };
    t->dirty = false; /* set again, it tells of something new */
    for (int i = 0; i < t->ncolumns; i++) {
        m->before[i] = t->columns[i]->next;
        m->types[i] = t->columns[i]->next = type_so_far(t->columns[i], m->before[i]);
    }
    return true;
}

/* Copies what is staged of a table, from where the last chunk ended. */
static sl_rc
fill(struct sl_ahead *a, struct sl_stage *st)
{
    struct sl_stage *c = &a->chunk;
    struct sl_stage_reader r;
    struct sl_frame f = { 0 };
    sl_rc rc = 0;
    int got = 0;

    c->table = st->table;
    c->tail.len = 0;
    c->ops = 0;
    c->ascending = true;
    sl_stage_reader_init(&r, &a->s->spool, st, st->applied);
    while (rc == 0 && c->tail.len < CHUNK_BYTES) {
        got = sl_stage_reader_next(&r, &f, NULL);
        if (got <= 0)
            break;
        if (c->ops++ == 0)
            c->first_key = sl_fold_key(&a->s->shapes, &f);
        rc = sl_buf_put(&c->tail, f.ptr - SL_FRAME_HEAD, SL_FRAME_HEAD + f.len, NULL);
    }
    if (rc == 0 && got >= 0 && c->ops > 0)
        c->last_key = sl_fold_key(&a->s->shapes, &f);
    c->upserts = c->ops;
    a->end = r.at;
    sl_stage_reader_free(&r);
    return got < 0 ? got : rc;
}

static bool
give_next(struct sl_ahead *a)
{
    struct sl_stage *st = a->bytes < a->s->slice_bytes ? pick(a) : NULL;

    if (st == NULL)
        return true;
    a->evolve = false;
    if (find(a, st->table) == NULL) {
        a->evolve = is_empty(st->table);
        if (!begin_table(a, st))
            return false;
    }
    a->to = (size_t)(find(a, st->table) - a->tables);
    if (fill(a, st))
        return false;
    hand_over(a);
    return true;
}

/* Opens the transaction once there is something to put into it and nobody else is writing. */
static bool
begin(struct sl_ahead *a)
{
    struct sl_sync *s = a->s;
    bool begun = false;

    if (pick(a) == NULL)
        return true;
    if (s->first_commit_us == 0)
        s->first_commit_us = sl_now_us();
    if (s->dest->ops->begin_ahead(s->dest, &begun, NULL) || !start(a)) {
        if (begun)
            s->dest->ops->rollback(s->dest);
        return false;
    }
    if (!begun)
        return true;
    a->state = OPEN;
    a->begun_us = sl_mono_us();
    return SL_FAULT_POINT(ahead_begun, NULL) == 0 && give_next(a);
}

void
sl_ahead_look(struct sl_ahead *a)
{
    struct sl_dest *dest = a != NULL ? a->s->dest : NULL;
    bool good = true, busy;

    if (a == NULL || a->state > OPEN)
        return;
    a->next = a->s->spool.bytes + a->least / 4;
    if (a->s->ahead_in_turn)
        sl_ahead_pause(a);
    if (a->state == READY) {
        good = begin(a);
    } else {
        busy = is_busy(a);
        good = (busy || collect(a)) && all_fit(a) && !dest->ops->wanted(dest) &&
               sl_mono_us() - a->begun_us < a->patience_us;
        if (good && !busy)
            good = give_next(a);
    }
    if (!good)
        sl_ahead_drop(a);
}

/* --- the commit ---------------------------------------------------------------------------------------------------- */

/* The types of the columns are no longer those the tables were made with. */
static void
put_back(struct sl_ahead *a)
{
    for (size_t i = 0; i < a->ntables; i++) {
        struct begun *m = &a->tables[i];

        for (int c = 0; c < m->ncolumns; c++)
            m->st->table->columns[c]->next = m->before[c];
    }
}

void
sl_ahead_halt(struct sl_ahead *a)
{
    if (a == NULL || a->state != OPEN)
        return;
    sl_ahead_pause(a);
    if (!collect(a) || !all_fit(a)) {
        sl_ahead_drop(a);
        return;
    }
    put_back(a);
    a->state = HALTED;
}

void
sl_ahead_resume(struct sl_ahead *a)
{
    if (a == NULL || a->state != HALTED)
        return;
    for (size_t i = 0; i < a->ntables; i++)
        for (int c = 0; c < a->tables[i].ncolumns; c++)
            if (!sl_coltype_eq(a->tables[i].st->table->columns[c]->next, a->tables[i].types[c])) {
                sl_ahead_drop(a);
                return;
            }
}

bool
sl_ahead_take(struct sl_ahead *a, uint64_t *bytes)
{
    if (a == NULL || a->state != HALTED)
        return false;
    (void)SL_FAULT_POINT(ahead_taken, NULL);
    a->state = TAKEN;
    *bytes += a->bytes;
    for (size_t i = 0; i < a->ntables; i++) {
        struct sl_tally *t = &a->tables[i].st->table->tally;

        sl_row_counts_add(&t->pending, &a->tables[i].rows);
        t->pending_slices += a->tables[i].rows.inserted + a->tables[i].rows.updated > 0;
    }
    return true;
}

bool
sl_ahead_has(const struct sl_ahead *a, const struct sl_table *t)
{
    return a != NULL && a->state == TAKEN && find(a, t) != NULL;
}

void
sl_ahead_done(struct sl_ahead *a)
{
    if (a == NULL || a->state != TAKEN)
        return;
    tables_free(a);
    a->state = OVER;
}

void
sl_ahead_drop(struct sl_ahead *a)
{
    if (a == NULL || a->state == OVER)
        return;
    sl_ahead_pause(a);
    a->given = false;
    if (a->state == OPEN)
        put_back(a);
    if (a->state == OPEN || a->state == HALTED)
        a->s->dest->ops->rollback(a->s->dest);
    if (a->state != READY)
        (void)SL_FAULT_POINT(ahead_dropped, NULL);
    for (size_t i = 0; i < a->ntables; i++) {
        a->tables[i].st->applied = 0;
        a->tables[i].st->table->dirty |= a->tables[i].dirty;
    }
    tables_free(a);
    a->state = OVER;
    a->next = UINT64_MAX;
}

void
sl_ahead_end(struct sl_ahead *a)
{
    if (a == NULL)
        return;
    a->state = READY;
    a->next = a->least;
}

uint64_t
sl_ahead_next(const struct sl_ahead *a)
{
    return a != NULL ? a->next : UINT64_MAX;
}

struct sl_ahead *
sl_ahead_new(struct sl_sync *s)
{
    struct sl_ahead *a;

    if (s->dest == NULL || s->dest->ops->begin_ahead == NULL)
        return NULL;
    a = sl_zalloc(1, sizeof *a);
    a->s = s;
    a->next = a->least = s->ahead_bytes;
    a->patience_us = (int64_t)s->ahead_us;
    a->spool.fd = -1;
    sl_buf_init(&a->chunk.tail, SIZE_MAX / 4);
    pthread_mutex_init(&a->lock, NULL);
    pthread_cond_init(&a->change, NULL);
    return a;
}

void
sl_ahead_free(struct sl_ahead *a)
{
    if (a == NULL)
        return;
    sl_ahead_drop(a);
    if (a->started) {
        pthread_mutex_lock(&a->lock);
        a->quit = true;
        pthread_cond_broadcast(&a->change);
        pthread_mutex_unlock(&a->lock);
        pthread_join(a->thread, NULL);
    }
    sl_buf_free(&a->chunk.tail);
    pthread_cond_destroy(&a->change);
    pthread_mutex_destroy(&a->lock);
    free(a);
}
