/* scheduler.c - one thread that starts what is due and stops what has run too long. */
#include "base/cond.h"
#include "base/fault.h"
#include "base/time.h"
#include "platform/ids.h"
#include "platform/schedule.h"
#include "worker/running.h"

#include <stdio.h>
#include <stdlib.h>

/* With nothing due it still looks this often: another process (the key command, a restore) may write to the store. */
#define LOOK_US (15 * 1000000)
/* A clock that tests move does not wake anybody. */
#ifdef SL_FAULTS
#define TICK_US 20000
#else
#define TICK_US LOOK_US
#endif
/* A store that fails is asked again this often. */
#define FAILED_US 1000000

static const char *
trigger_of(const struct sl_connection *c)
{
    if (c->requested != NULL)
        return c->requested;
    if (c->rescheduled_for)
        return SL_TRIGGER_RESUME;
    if (c->failures)
        return SL_TRIGGER_RETRY;
    return c->nsyncs == 0 ? SL_TRIGGER_INITIAL : SL_TRIGGER_SCHEDULE;
}

/* The record of a sync that starts now, and the connection as it is from now on. */
static void
claim_fields(struct sl_worker *w, struct sl_connection *c, struct sl_sync_record *rec, int64_t now)
{
    int zone = sl_zone_hours(w->pf->store, c);

    *rec = (struct sl_sync_record){
        .id = sl_new_uuid(),
        .connection_id = sl_strdup(c->id),
        .number = c->nsyncs + 1,
        .trigger = sl_strdup(trigger_of(c)),
        .status = sl_strdup("RUNNING"),
        .stage = sl_strdup("starting"),
        .epoch = sl_strdup(w->epoch),
        .scheduled_for = c->requested     ? c->requested_at
                         : c->next_run_at ? c->next_run_at
                                          : now,
        .started_at = now,
        .historical = c->historical || c->nsyncs == 0,
        .tables = sl_strdup_null(c->resync_tables),
        .python_version = sl_strdup_null(c->python_version),
    };
    if (c->requested == NULL && c->next_run_at)
        rec->merged = sl_slots_between(c, zone, c->next_run_at, now);
    /* A history begins from an empty state, until something of it is committed. */
    if (c->resync_tables == NULL && (strcmp(rec->trigger, SL_TRIGGER_RESYNC) == 0 ||
                                     (c->nsyncs == 0 && c->state_override == NULL))) {
        sl_set_text(&c->state_override, "{}");
    }
    c->nsyncs++;
    c->rescheduled_for = 0;
    sl_set_text(&c->running_sync, rec->id);
    sl_set_text(&c->requested, NULL);
    sl_set_text(&c->requested_by, NULL);
    sl_set_text(&c->resync_tables, NULL);
    c->requested_at = 0;
    c->next_run_at = sl_next_slot(c, zone, now);
}

/* Under no lock. Claims up to `places` connections: the record and the claim are one transaction (Inv 3). */
static sl_rc
claim(struct sl_worker *w, int places, struct sl_list *due, struct sl_list *records,
      struct sl_err *err)
{
    struct sl_sync_record *recs;
    int64_t now;
    sl_rc rc = sl_store_begin(w->pf->store, err);

    if (rc)
        return rc;
    /* Only now that it is our turn: the end of a connection's last sync may have been written while we waited. */
    now = sl_now_us();
    rc = sl_store_due(w->pf->store, now, places, due, err);
    recs = sl_zalloc(due->count + 1, sizeof *recs);
    records->kind = SL_K_SYNC;
    records->items = recs;
    for (size_t i = 0; i < due->count && rc == SL_OK; i++) {
        struct sl_connection *c = SL_ITEM(due, struct sl_connection, i);

        claim_fields(w, c, &recs[i], now);
        records->count = i + 1;
        rc = sl_store_put(w->pf->store, SL_K_SYNC, &recs[i], err);
        if (rc == SL_OK)
            rc = sl_store_put(w->pf->store, SL_K_CONNECTION, c, err);
    }
    if (rc == SL_OK && due->count > 0)
        rc = SL_FAULT_POINT(claim_before, err);
    if (rc == SL_OK && due->count > 0)
        return sl_store_commit(w->pf->store, err);
    sl_store_rollback(w->pf->store);
    return rc;
}

static int
free_place(struct sl_worker *w)
{
    for (int i = 0; i < w->conf.places; i++)
        if (!w->places[i])
            return i;
    return -1;
}

/* Takes over both records. The thread is detached: it leaves the list of running ones as its last act. */
static sl_rc
launch(struct sl_worker *w, struct sl_connection *c, struct sl_sync_record *rec, struct sl_err *err)
{
    struct sl_running *r = sl_zalloc(1, sizeof *r);
    int64_t deadline = c->deadline_s ? c->deadline_s : w->conf.deadline_s;
    pthread_attr_t attr;
    pthread_t thread;
    int e;

    sl_running_init(r, w);
    r->con = *c;
    r->rec = *rec;
    *c = (struct sl_connection){ 0 };
    *rec = (struct sl_sync_record){ 0 };
    r->deadline = sl_mono_us() + deadline * 1000000;
    pthread_mutex_lock(&w->lock);
    r->place = free_place(w);
    w->places[r->place] = true;
    r->next = w->running;
    w->running = r;
    w->nsyncs++;
    sl_worker_changed(w);
    pthread_mutex_unlock(&w->lock);
    pthread_attr_init(&attr);
    pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attr, 512 * 1024);
    e = pthread_create(&thread, &attr, sl_sync_main, r);
    pthread_attr_destroy(&attr);
    if (e == 0)
        return SL_OK;
    /* Without a thread there is nobody to run it: run it here, slowly, rather than lose the claim. */
    sl_sync_main(r);
    return sl_fail(err, SL_E_NOMEM, "cannot start a thread for a sync");
}

static void
set_claiming(struct sl_worker *w, bool claiming)
{
    pthread_mutex_lock(&w->lock);
    w->claiming = claiming;
    sl_worker_changed(w);
    pthread_mutex_unlock(&w->lock);
}

/* How many were started. *next: when something becomes due next, or INT64_MAX if that does not matter now. */
static int
start_due(struct sl_worker *w, int64_t *next, struct sl_err *err)
{
    struct sl_list due = { .kind = SL_K_CONNECTION }, records = { .kind = SL_K_SYNC };
    int places, started = 0;
    sl_rc rc, claimed;

    pthread_mutex_lock(&w->lock);
    places = w->stopping ? 0 : w->conf.places - w->nsyncs;
    pthread_mutex_unlock(&w->lock);
    *next = INT64_MAX;
    if (places <= 0)
        return 0; /* an end wakes us */
    /* Read first: a claim would keep others from writing, and mostly nothing is due. */
    rc = sl_store_next_due(w->pf->store, next, err);
    if (rc || *next > sl_now_us())
        return rc;
    set_claiming(w, true);
    rc = claimed = claim(w, places, &due, &records, err);
    /* What is claimed is launched, whatever became of the one before. */
    for (size_t i = 0; i < due.count && claimed == SL_OK; i++, started++)
        if (launch(w, SL_ITEM(&due, struct sl_connection, i),
                   SL_ITEM(&records, struct sl_sync_record, i), err))
            rc = err->code;
    set_claiming(w, false);
    sl_list_free(&due);
    sl_list_free(&records);
    return rc ? rc : started;
}

/* ---- stopping ---- */

struct sl_running *
sl_running_find(struct sl_worker *w, const char *connection_id)
{
    for (struct sl_running *r = w->running; r != NULL; r = r->next)
        if (!r->test && strcmp(r->con.id, connection_id) == 0)
            return r;
    return NULL;
}

void
sl_running_stop(struct sl_running *r, enum sl_why why, const char *text, int64_t soft_us)
{
    if (r->why == SL_WHY_NONE) {
        r->why = why;
        snprintf(r->why_text, sizeof r->why_text, "%s", text);
        r->soft_until = sl_mono_us() + soft_us;
        atomic_store(&r->stop, 1);
    } else if (sl_mono_us() + soft_us < r->soft_until) {
        r->soft_until = sl_mono_us() + soft_us;
    }
    pthread_cond_signal(&r->w->wake);
}

/* Under the lock. Gives the time until the next of them needs attention. */
static int64_t
look_at_running(struct sl_worker *w)
{
    int64_t now = sl_mono_us(), next = LOOK_US;

    for (struct sl_running *r = w->running; r != NULL; r = r->next) {
        if (r->why == SL_WHY_NONE && r->deadline && now >= r->deadline)
            sl_running_stop(r, SL_WHY_DEADLINE, "it ran longer than its deadline", 30 * 1000000);
        if (r->why != SL_WHY_NONE && now >= r->soft_until)
            atomic_store(&r->stop, 2);
        else if (r->why != SL_WHY_NONE && r->soft_until - now < next)
            next = r->soft_until - now;
        else if (r->why == SL_WHY_NONE && r->deadline && r->deadline - now < next)
            next = r->deadline - now;
    }
    return next;
}

void
sl_worker_changed(struct sl_worker *w)
{
    w->version++;
    pthread_cond_broadcast(&w->changed);
}

/* ---- the loop ---- */

/* `due`: in UTC. */
static void
sleep_until(struct sl_worker *w, int64_t due)
{
    int64_t wait = due == INT64_MAX ? LOOK_US : due - sl_now_us(), at;

    pthread_mutex_lock(&w->lock);
    at = look_at_running(w);
    if (at < wait)
        wait = at;
    if (wait > TICK_US)
        wait = TICK_US;
    if (wait < 1000)
        wait = 1000;
    if (!w->woken)
        (void)sl_cond_wait(&w->wake, &w->lock, sl_mono_us() + wait);
    w->woken = false;
    pthread_mutex_unlock(&w->lock);
}

void *
sl_scheduler_main(void *arg)
{
    struct sl_worker *w = arg;
    char said[sizeof((struct sl_err *)0)->text] = "";

    for (;;) {
        struct sl_err err = { 0 };
        int64_t next;
        bool done;
        int started;

        pthread_mutex_lock(&w->lock);
        done = w->stopping && w->running == NULL;
        pthread_mutex_unlock(&w->lock);
        if (done)
            return NULL;
        started = start_due(w, &next, &err);
        if (started > 0)
            continue; /* there may be more */
        if (started < 0 && strcmp(said, err.text) != 0) {
            snprintf(said, sizeof said, "%s", err.text);
            fprintf(stderr, "sluiced: scheduler: %s\n", err.text);
        }
        /* After a failure, or when what is due could not be claimed: do not spin. */
        sleep_until(w, next > sl_now_us() && started == 0 ? next : sl_now_us() + FAILED_US);
    }
}
