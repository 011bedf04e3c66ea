/* Stage → destination. One transaction: evolve → apply → state → COMMIT (Inv 1). An interval too large for one goes in slices,
 * each committed with the old state, so that rows may be ahead of the state and never behind it. */
#include "base/fault.h"
#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/fold.h"
#include "engine/sync.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Tries of one transaction, with 0.1, 0.2, 0.4 … s between them. */
#define TRIES 6
/* A known mirror's digest and its two predecessors are kept: the file may be one commit behind after a kill. */
#define MIRRORS 3

struct commit {
    struct sl_sync *s;
    size_t stage; /* next stage to apply, and where in it */
    uint64_t offset;
    uint64_t tx_bytes;  /* applied in this transaction */
    uint64_t limit;     /* of one transaction */
    bool written;       /* a transaction of this interval was committed */
    int64_t folding_us; /* of its time, not the destination's */
    char batch[33];
};

static sl_rc
settle_column(struct sl_sync *s, struct sl_table *t, struct sl_column *c, bool rows,
              struct sl_err *err)
{
    struct sl_stored stored = { 0 };
    char a[24], b[24];
    sl_rc rc;

    if (c->declared || c->excluded)
        return 0;
    if (t->created && c->type.type != SL_T_NONE && sl_join_needs_stored(c->type, &c->seen)) {
        rc = s->dest->ops->stored(s->dest, t, c, &stored, err);
        if (rc)
            return rc;
    }
    /* `next` may already be wider than `type` by a declaration that ended. */
    c->next = sl_type_join(c->next.type ? c->next : c->type, &c->seen, stored);
    if (c->next.type == SL_T_NONE && c->key >= 0 && rows)
        c->next = (struct sl_coltype){ SL_T_STRING, 0, 0 };
    if (c->type.type != SL_T_NONE && !sl_coltype_eq(c->type, c->next))
        sl_sync_log(
            s, c->key >= 0 ? SL_WARNING : SL_INFO, SL_FROM_ENGINE, "%s.%s.%s: %s → %s%s", t->schema,
            t->name, c->name, sl_coltype_text(c->type, a), sl_coltype_text(c->next, b),
            c->key >= 0 ? " (a key column: rows are matched by the new type from now on)" : "");
    return 0;
}

static sl_rc
check_width(const struct sl_sync *s, const struct sl_table *t, struct sl_err *err)
{
    int most = s->dest->ops->caps.columns_max, n = 2;

    for (int c = 0; most && c < t->ncolumns; c++)
        n += t->columns[c]->next.type != SL_T_NONE;
    if (most == 0 || n <= most)
        return 0;
    sl_fail(err, SL_E_LIMIT, "%s.%s would have %d columns; %s takes %d", t->schema, t->name, n,
            s->dest->ops->title, most);
    sl_err_hint(err, "put what belongs together into one column as a dict: it is stored as JSON");
    return SL_E_LIMIT;
}

/* Final types of everything staged, before anything is written. */
static sl_rc
settle_types(struct sl_sync *s, struct sl_err *err)
{
    sl_rc rc = 0;

    for (int i = 0; i < s->cat.ntables && rc == 0; i++) {
        struct sl_table *t = s->cat.tables[i];
        bool rows = t->stage != NULL && t->stage->ops > t->stage->truncates;

        for (int c = 0; c < t->ncolumns && rc == 0; c++)
            if (t->columns[c]->seen.tags || (rows && t->columns[c]->key >= 0))
                rc = settle_column(s, t, t->columns[c], rows, err);
        if (rc == 0 && !t->excluded)
            rc = check_width(s, t, err);
        if (rc == 0 && t->stage != NULL && s->dest->ops->admit != NULL)
            rc = s->dest->ops->admit(s->dest, t, t->stage->ops,
                                     t->stage->spilled + t->stage->tail.len, err);
    }
    return rc;
}

static bool
must_evolve(const struct sl_table *t)
{
    if (t->excluded)
        return false;
    if (!t->created)
        return t->declared || (t->stage != NULL && t->stage->ops > 0);
    if (t->dirty)
        return true;
    for (int c = 0; c < t->ncolumns; c++)
        if (!sl_coltype_eq(t->columns[c]->type, t->columns[c]->next))
            return true;
    return false;
}

static sl_rc
evolve_all(struct sl_sync *s, struct sl_err *err)
{
    sl_rc rc = 0;

    for (int i = 0; i < s->cat.ntables && rc == 0; i++)
        if (must_evolve(s->cat.tables[i]) && !sl_ahead_has(s->ahead, s->cat.tables[i]))
            rc = s->dest->ops->evolve(s->dest, s->cat.tables[i], err);
    return rc;
}

/* The destination now has what evolve_all() asked for. */
static void
evolved(struct sl_sync *s)
{
    char name[600];

    for (int i = 0; i < s->cat.ntables; i++) {
        struct sl_table *t = s->cat.tables[i];

        if (!must_evolve(t))
            continue;
        if (!t->created) {
            s->n->schema_changes++;
            snprintf(name, sizeof name, "%s.%s", t->schema, t->name);
            if (s->conf->sink->table_created != NULL)
                s->conf->sink->table_created(s->conf->sink->ctx, name);
        }
        t->ours |= !t->created;
        t->created = t->saved = true;
        t->dirty = false;
        for (int c = 0; c < t->ncolumns; c++)
            t->columns[c]->type = t->columns[c]->next;
    }
}

/* Whether the saved state, or what is known of a table, is not what it is to be. */
static bool
has_news(const struct sl_sync *s)
{
    struct sl_bytes state = { s->state.ptr, s->state.len };

    if (!s->conf->keep_state &&
        (!s->saved.found || s->saved.partial || !sl_bytes_eq(sl_bytes_of(s->saved.state), state)))
        return true;
    for (int i = 0; i < s->cat.ntables; i++)
        if (must_evolve(s->cat.tables[i]))
            return true;
    return false;
}

/* Nothing that was applied has changed a row: the usual sync of a source at rest. It costs no write. */
static bool
is_idle(const struct commit *c)
{
    if (c->written || has_news(c->s))
        return false;
    for (int i = 0; i < c->s->cat.ntables; i++)
        if (c->s->cat.tables[i]->tally.pending_slices)
            return false;
    return true;
}

/* Each folded row came to one thing; what a truncate deleted beside them is the rest. */
static sl_rc
count_slice(struct sl_table *t, const struct sl_fold *fold, const struct sl_applied *a,
            struct sl_err *err)
{
    uint64_t rows = fold->rows.nreplace + fold->rows.npatch;
    uint64_t out = a->inserted + a->updated + a->deleted + a->unchanged + a->missed;

    if (out < rows || (out > rows && !fold->rows.truncate))
        return sl_fail(err, SL_E_INTERNAL,
                       "%s.%s: %llu rows were given to the warehouse, it counts %llu inserted, "
                       "%llu updated, %llu deleted, %llu unchanged, %llu missed",
                       t->schema, t->name, (unsigned long long)rows,
                       (unsigned long long)a->inserted, (unsigned long long)a->updated,
                       (unsigned long long)a->deleted, (unsigned long long)a->unchanged,
                       (unsigned long long)a->missed);
    sl_row_counts_add(&t->tally.pending,
                      &(struct sl_row_counts){ .inserted = a->inserted,
                                               .updated = a->updated,
                                               .deleted = a->deleted,
                                               .truncated = out - rows,
                                               .unchanged = a->unchanged,
                                               .missed = a->missed + fold->missed,
                                               .duplicates = fold->duplicates,
                                               .replaced = a->replaced + fold->replaced });
    t->tally.pending_slices += a->inserted + a->updated + a->deleted > 0;
    return 0;
}

/* Where a stage goes on: what went ahead of the commit is in the warehouse. False: nothing of it is left. */
static bool
find_place(struct commit *c, const struct sl_stage *st)
{
    if (c->offset < st->applied)
        c->offset = st->applied;
    /* Without operations all of it was discarded: the table may not even exist. */
    return st->ops > 0 && c->offset < st->spilled + st->tail.len;
}

/* A new table takes all of a transaction at once: nothing is there to join with. Joins go by halves: their memory is a
 * multiple of the slice. A truncate is folded with all of its table at hand, so that rows which come back unchanged are
 * seen to. */
static uint64_t
slice_size(const struct commit *c, const struct sl_stage *st)
{
    if (st->truncates)
        return UINT64_MAX;
    if (!st->table->created && c->offset == st->applied)
        return c->s->slice_bytes;
    return c->s->slice_bytes / 2;
}

static sl_rc
apply_slice(struct commit *c, bool *more, struct sl_err *err)
{
    struct sl_sync *s = c->s;
    struct sl_stage *st = s->spool.stages[c->stage];
    struct sl_applied a = { 0 };
    struct sl_fold fold;
    int64_t begun;
    sl_rc rc;

    if (!find_place(c, st)) {
        *more = ++c->stage < s->spool.nstages;
        c->offset = 0;
        return 0;
    }
    begun = sl_mono_us();
    rc = sl_fold_open(&fold, &s->spool, st, &s->shapes, c->offset, slice_size(c, st),
                      s->dest->ops->caps.nul_in_text, err);
    c->folding_us += sl_mono_us() - begun;
    if (rc == 0)
        rc = s->dest->ops->apply(s->dest, &fold.rows, &a, err);
    if (rc == 0)
        rc = count_slice(st->table, &fold, &a, err);
    if (rc == 0) {
        c->tx_bytes += a.held + fold.rows.bytes +
                       (fold.rows.nreplace + fold.rows.npatch) * SL_STAGE_ROW_COST;
        c->offset = fold.next_offset;
        if (!fold.more) {
            c->stage++;
            c->offset = 0;
        }
        *more = c->stage < s->spool.nstages;
        rc = SL_FAULT_POINT(commit_applied_table, err);
    }
    sl_fold_free(&fold);
    return rc;
}

/* The state row of this transaction: the new state at the end of the interval, the old one in between. */
static sl_rc
save_state(struct commit *c, bool last, struct sl_err *err)
{
    struct sl_sync *s = c->s;
    bool keep = s->conf->keep_state;
    struct sl_saved_state st = { .found = true,
                                 .batch = c->batch,
                                 .partial = !last || (keep && s->saved.partial),
                                 .again = keep };
    char digest[65], mirrors[(64 + 1) * MIRRORS + 1];
    unsigned char id[16];

    randombytes_buf(id, sizeof id);
    sl_hex(id, sizeof id, c->batch);
    st.mirrors = mirrors;
    if (last && !keep) {
        st.state = (char *)sl_buf_str(&s->state);
        sl_state_digest(s->state.ptr, s->state.len, digest);
    } else {
        st.state = s->saved.state ? s->saved.state : (char *)"{}";
        sl_state_digest(st.state, strlen(st.state), digest);
    }
    snprintf(mirrors, sizeof mirrors, "%s %.*s", digest, 65 * (MIRRORS - 1),
             s->saved.mirrors ? s->saved.mirrors : "");
    return s->dest->ops->save_state(s->dest, &st, err);
}

/* After COMMIT answered: whether it holds. */
static sl_rc
finish(struct commit *c, enum sl_flush flush, struct sl_err *err)
{
    bool committed = false;
    sl_rc rc;

    switch (flush) {
    case SL_FLUSH_OK:
        return 0;
    case SL_FLUSH_RETRY:
        return SL_E_RETRY;
    case SL_FLUSH_FATAL:
        return err->code ? err->code : SL_E_DESTINATION;
    case SL_FLUSH_UNKNOWN:
        break;
    }
    rc = c->s->dest->ops->resolve(c->s->dest, c->batch, &committed, err);
    if (rc)
        return rc;
    sl_sync_log(c->s, SL_INFO, SL_FROM_ENGINE,
                "the outcome of a commit was not known: the warehouse says it %s",
                committed ? "is there" : "is not there");
    return committed ? 0 : SL_E_RETRY;
}

/* What was counted in the transaction holds, or is forgotten. */
static void
settle_counts(struct sl_sync *s, bool committed)
{
    for (int i = 0; i < s->cat.ntables; i++) {
        struct sl_tally *t = &s->cat.tables[i]->tally;

        if (committed) {
            sl_row_counts_add(&t->rows, &t->pending);
            t->slices += t->pending_slices;
            s->n->inserted += t->pending.inserted;
            s->n->updated += t->pending.updated;
            s->n->deleted += t->pending.deleted;
            s->n->truncated += t->pending.truncated;
            s->n->unchanged += t->pending.unchanged;
            s->n->missed += t->pending.missed;
            s->n->duplicates += t->pending.duplicates;
            s->n->replaced += t->pending.replaced;
        }
        t->pending = (struct sl_row_counts){ 0 };
        t->pending_slices = 0;
    }
}

/* Goes on with the transaction that has rows already, if there is one. */
static sl_rc
begin(struct commit *c, struct sl_err *err)
{
    sl_rc rc = SL_FAULT_POINT(commit_begin, err);

    if (rc == 0 && !c->s->dest->ops->caps.transactional_ddl)
        rc = evolve_all(c->s, err);
    if (rc || sl_ahead_take(c->s->ahead, &c->tx_bytes))
        return rc;
    return c->s->dest->ops->begin(c->s->dest, err);
}

/* One transaction, from where the last one ended. *last tells that it was the interval's last and the new state is in. */
static sl_rc
transaction(struct commit *c, bool *last, struct sl_err *err)
{
    struct sl_sync *s = c->s;
    const struct sl_dest_ops *ops = s->dest->ops;
    bool more = c->stage < s->spool.nstages;
    struct commit before = *c;
    sl_rc rc;

    c->tx_bytes = 0;
    if (s->first_commit_us == 0)
        s->first_commit_us = sl_now_us();
    rc = begin(c, err);
    if (rc)
        return rc;
    if (ops->caps.transactional_ddl)
        rc = evolve_all(s, err);
    if (rc == 0)
        rc = SL_FAULT_POINT(commit_evolved, err);
    while (rc == 0 && more && c->tx_bytes < c->limit)
        rc = apply_slice(c, &more, err);
    *last = !more;
    if (rc == 0 && *last && is_idle(c)) {
        ops->rollback(s->dest);
        sl_ahead_done(s->ahead);
        settle_counts(s, true);
        return 0;
    }
    if (rc == 0)
        rc = save_state(c, *last, err);
    if (rc == 0)
        rc = SL_FAULT_POINT(commit_state_written, err);
    if (rc == 0)
        rc = SL_FAULT_POINT(commit_before, err);
    if (rc == 0)
        rc = finish(c, ops->commit(s->dest, err), err);
    if (rc) {
        ops->rollback(s->dest);
        sl_ahead_drop(s->ahead);
        c->stage = before.stage;
        c->offset = before.offset;
        settle_counts(s, false);
        return rc;
    }
    evolved(s);
    sl_ahead_done(s->ahead);
    settle_counts(s, true);
    s->n->commits++;
    c->written = true;
    return *last ? SL_FAULT_POINT(commit_after, err) : SL_FAULT_POINT(commit_slice_done, err);
}

static bool
worth_repeating(sl_rc rc)
{
    return rc == SL_E_RETRY || rc == SL_E_UNREACHABLE || rc == SL_E_UNKNOWN;
}

static sl_rc
with_retries(struct commit *c, bool *last, struct sl_err *err)
{
    sl_rc rc = 0;

    for (int i = 0; i < TRIES; i++) {
        int64_t begun = sl_mono_us();

        c->folding_us = 0;
        rc = transaction(c, last, err);
        c->s->res->destination_us += sl_mono_us() - begun - c->folding_us;
        if (rc == 0 || !worth_repeating(rc) || i + 1 == TRIES)
            break;
        sl_sync_log(c->s, SL_WARNING, SL_FROM_ENGINE, "%s; trying again (%d of %d)", err->text,
                    i + 1, TRIES - 1);
        if (c->s->conf->stop != NULL && atomic_load(c->s->conf->stop) > 1)
            return sl_fail(err, SL_E_CANCELLED, "stopped by the user");
        usleep(100000u << i);
    }
    return rc;
}

static void
set_saved(struct sl_sync *s, const struct commit *c)
{
    char digest[65], *mirrors;

    if (s->conf->keep_state) {
        if (!s->saved.found)
            s->saved = (struct sl_saved_state){ .found = true, .state = sl_strdup("{}") };
        free(s->saved.batch);
        s->saved.batch = sl_strdup(c->batch);
        return;
    }
    sl_state_digest(s->state.ptr, s->state.len, digest);
    mirrors = sl_sprintf("%s %.*s", digest, 65 * (MIRRORS - 1),
                         s->saved.mirrors ? s->saved.mirrors : "");
    sl_saved_state_free(&s->saved);
    s->saved = (struct sl_saved_state){
        .found = true,
        .state = sl_memdup(s->state.ptr, s->state.len),
        .batch = sl_strdup(c->batch),
        .mirrors = mirrors,
    };
}

static void
mirror(struct sl_sync *s)
{
    struct sl_err err = { 0 };
    struct sl_bytes state = { s->state.ptr, s->state.len };

    if (s->conf->keep_state)
        state = sl_bytes_of(s->saved.state ? s->saved.state : "{}");
    if (s->conf->sink->committed == NULL)
        return;
    if (s->conf->sink->committed(s->conf->sink->ctx, s->n->checkpoints, state.ptr, state.len, &err))
        sl_sync_log(s, SL_WARNING, SL_FROM_ENGINE,
                    "%s could not be written (%s); the state is safe in the warehouse",
                    s->conf->mirror_name ? s->conf->mirror_name : "the state's copy", err.text);
}

static void
forget_seen(struct sl_sync *s)
{
    for (int t = 0; t < s->cat.ntables; t++)
        for (int i = 0; i < s->cat.tables[t]->ncolumns; i++) {
            s->cat.tables[t]->columns[i]->seen = (struct sl_seen){ 0 };
            s->cat.tables[t]->columns[i]->updated = false;
        }
}

sl_rc
sl_commit(struct sl_sync *s, struct sl_err *err)
{
    struct commit c = { .s = s, .limit = s->slice_bytes };
    bool last = false;
    sl_rc rc = 0;

    if (s->spool.ops > 0 || has_news(s)) {
        sl_ahead_halt(s->ahead);
        if (!sl_json_valid_python(s->state.ptr, s->state.len))
            rc = sl_fail(err, SL_E_PROTOCOL, "the state of checkpoint %llu is not JSON",
                         (unsigned long long)s->n->checkpoints);
        if (rc == 0)
            rc = settle_types(s, err);
        if (rc == 0)
            sl_ahead_resume(s->ahead);
        for (size_t i = 0; i < s->spool.nstages; i++)
            if (s->spool.stages[i]->truncates)
                c.limit = 4 * s->slice_bytes;
        while (rc == 0 && !last) {
            rc = with_retries(&c, &last, err);
            if (rc == 0 && !last && c.limit > s->slice_bytes)
                sl_sync_log(s, SL_WARNING, SL_FROM_ENGINE,
                            "an interval with a truncate is too large for one transaction: until "
                            "the sync ends, readers may see part of it");
        }
        s->commit_failed = rc != 0;
        if (rc) {
            sl_ahead_drop(s->ahead);
            return rc;
        }
        if (c.written)
            set_saved(s, &c);
        sl_ahead_end(s->ahead);
        sl_spool_clear(&s->spool);
        forget_seen(s);
    }
    s->checkpointed = false;
    mirror(s);
    return 0;
}
