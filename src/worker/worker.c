#include "worker/worker.h"

#include "base/cond.h"
#include "base/time.h"
#include "platform/ids.h"
#include "runtime/file.h"
#include "runtime/install.h"
#include "runtime/python.h"
#include "worker/running.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DEFAULT_PLACES 4
#define DEFAULT_MEMORY ((uint64_t)1 << 30)
#define DEFAULT_DEADLINE (2 * 3600)
/* How long the API waits for a sync to end (compat: sixty seconds). */
#define CANCEL_US ((int64_t)60 * 1000000)

/* ---- what an earlier process left ---- */

/* Its slot is not lost: it is due again at once, and goes on from the committed state. */
static void
interrupted(struct sl_connection *c, struct sl_sync_record *rec, int64_t now)
{
    sl_set_text(&rec->status, "RESCHEDULED");
    sl_set_text(&rec->reason, "the server ended while the sync was running");
    sl_set_text(&rec->hint, "nothing to do: it goes on from its last committed checkpoint");
    sl_set_text(&rec->stage, NULL);
    rec->finished_at = now > rec->started_at ? now : rec->started_at;
    if (c == NULL)
        return;
    sl_set_text(&c->running_sync, NULL);
    sl_run_again(c, rec);
}

static sl_rc
recover_one(struct sl_worker *w, struct sl_sync_record *rec, struct sl_err *err)
{
    struct sl_connection c = { 0 };
    bool there, mine;
    sl_rc rc = sl_store_get(w->pf->store, SL_K_CONNECTION, rec->connection_id, &c, err);

    there = rc == SL_OK;
    if (rc == SL_E_NOT_FOUND)
        rc = SL_OK;
    mine = there && c.running_sync != NULL && strcmp(c.running_sync, rec->id) == 0;
    interrupted(mine ? &c : NULL, rec, sl_now_us());
    if (rc == SL_OK)
        rc = sl_store_put(w->pf->store, SL_K_SYNC, rec, err);
    if (rc == SL_OK && mine)
        rc = sl_store_put(w->pf->store, SL_K_CONNECTION, &c, err);
    sl_record_free(SL_K_CONNECTION, &c);
    return rc;
}

static sl_rc
recover(struct sl_worker *w, struct sl_err *err)
{
    struct sl_query q = { .kind = SL_K_SYNC, .where = { { "status", "RUNNING" } } };
    struct sl_list list = { .kind = SL_K_SYNC };
    sl_rc rc = sl_store_begin(w->pf->store, err);

    if (rc)
        return rc;
    rc = sl_store_list(w->pf->store, &q, &list, err);
    for (size_t i = 0; i < list.count && rc == SL_OK; i++)
        rc = recover_one(w, SL_ITEM(&list, struct sl_sync_record, i), err);
    if (rc == SL_OK)
        rc = sl_store_commit(w->pf->store, err);
    else
        sl_store_rollback(w->pf->store);
    if (list.count > 0)
        fprintf(stderr, "sluiced: %zu sync%s of an earlier process will go on\n", list.count,
                list.count == 1 ? "" : "s");
    sl_list_free(&list);
    return rc;
}

/* Folders of syncs that a killed server left. */
static sl_rc
sweep(struct sl_worker *w, struct sl_err *err)
{
    sl_rc rc = sl_remove_tree(w->run_dir, err);

    sl_jail_sweep(w->jail_prefix);
    if (rc == SL_OK)
        rc = sl_remove_tree(w->spill_dir, err);
    if (rc == SL_OK)
        rc = sl_mkdirs(w->spill_dir, err);
    if (rc == SL_OK)
        rc = sl_mkdirs(w->run_dir, err);
    if (rc == SL_OK)
        rc = sl_mkdirs(w->cache_dir, err);
    /* Connectors run as users of their own and must get through to their folders, not look around. */
    if (rc == SL_OK && (chmod(w->run_dir, 0711) != 0 || chmod(w->cache_dir, 0755) != 0))
        rc = sl_fail_errno(err, "cannot change %s", w->run_dir);
    return rc;
}

/* ---- start and end ---- */

static void
init_locks(struct sl_worker *w)
{
    pthread_mutex_init(&w->lock, NULL);
    sl_cond_init(&w->wake);
    sl_cond_init(&w->changed);
}

static void
settle_conf(struct sl_worker *w, const struct sl_worker_conf *conf)
{
    w->conf = *conf;
    if (w->conf.places <= 0)
        w->conf.places = DEFAULT_PLACES;
    if (w->conf.places > SL_PLACES_MAX)
        w->conf.places = SL_PLACES_MAX;
    if (w->conf.memory == 0)
        w->conf.memory = DEFAULT_MEMORY;
    if (w->conf.deadline_s == 0)
        w->conf.deadline_s = DEFAULT_DEADLINE;
}

static void
list_pythons(struct sl_worker *w)
{
    int minors[SL_PYTHON_NEWEST - SL_PYTHON_OLDEST + 1];
    int n = sl_pythons_list(minors);

    for (int i = 0; i < n; i++)
        w->pythons[i] = sl_sprintf("3.%d", minors[i]);
}

sl_rc
sl_worker_start(struct sl_worker **out, struct sl_platform *pf, const struct sl_worker_conf *conf,
                struct sl_err *err)
{
    struct sl_worker *w = sl_zalloc(1, sizeof *w);
    struct sl_engines_conf ec = { .exe = sl_install_exe(),
                                  .duckdb_lib = sl_install_duckdb(),
                                  .idle_seconds = 60,
                                  .memory_limit = conf->engine_memory };
    char hash[33];
    int e;
    sl_rc rc;

    w->pf = pf;
    settle_conf(w, conf);
    init_locks(w);
    w->epoch = sl_new_uuid();
    /* Of this directory alone: other servers of this machine have jails of their own. */
    sl_hash_hex(sl_bytes_of(pf->dir), hash);
    w->jail_prefix = sl_sprintf("sluice-%.8s-", hash);
    w->run_dir = sl_path_join(pf->dir, "run");
    w->cache_dir = sl_path_join(pf->dir, "cache");
    w->spill_dir = sl_path_join(pf->dir, "spill");
    list_pythons(w);
    rc = sweep(w, err);
    if (rc == SL_OK)
        rc = sl_env_sdk_path(&w->sdk_path, w->cache_dir, err);
    if (rc == SL_OK)
        rc = recover(w, err);
    if (rc == SL_OK)
        rc = sl_engines_new(&w->engines, &ec, err);
    if (rc == SL_OK) {
        e = pthread_create(&w->scheduler, NULL, sl_scheduler_main, w);
        w->have_scheduler = e == 0;
        if (e != 0)
            rc = sl_fail(err, SL_E_NOMEM, "cannot start the scheduler's thread");
    }
    if (rc) {
        sl_worker_free(w);
        return rc;
    }
    *out = w;
    return SL_OK;
}

void
sl_worker_wait(struct sl_worker *w, int64_t until)
{
    (void)sl_cond_wait(&w->changed, &w->lock, until);
}

void
sl_worker_stop(struct sl_worker *w, int64_t grace_us)
{
    int64_t until = sl_mono_us() + grace_us + 15 * 1000000;

    pthread_mutex_lock(&w->lock);
    w->stopping = w->woken = true;
    for (struct sl_running *r = w->running; r != NULL; r = r->next)
        sl_running_stop(r, SL_WHY_SHUTDOWN, "the server is stopping", grace_us);
    pthread_cond_broadcast(&w->wake);
    sl_worker_changed(w);
    while (w->running != NULL && sl_mono_us() < until)
        sl_worker_wait(w, until);
    pthread_mutex_unlock(&w->lock);
    if (w->have_scheduler && w->running == NULL) {
        sl_worker_wake(w);
        pthread_join(w->scheduler, NULL);
        w->have_scheduler = false;
    }
    if (w->engines != NULL)
        sl_engines_stop(w->engines);
}

void
sl_worker_free(struct sl_worker *w)
{
    if (w == NULL)
        return;
    sl_worker_stop(w, 0);
    if (w->running == NULL)
        sl_engines_free(w->engines);
    pthread_cond_destroy(&w->wake);
    pthread_cond_destroy(&w->changed);
    pthread_mutex_destroy(&w->lock);
    free(w->epoch);
    free(w->jail_prefix);
    free(w->run_dir);
    free(w->cache_dir);
    free(w->spill_dir);
    free(w->sdk_path);
    for (int i = 0; w->pythons[i] != NULL; i++)
        free(w->pythons[i]);
    free(w);
}

/* ---- for the API ---- */

void
sl_worker_wake(struct sl_worker *w)
{
    pthread_mutex_lock(&w->lock);
    w->woken = true;
    pthread_cond_signal(&w->wake);
    sl_worker_changed(w);
    pthread_mutex_unlock(&w->lock);
}

sl_rc
sl_worker_cancel(struct sl_worker *w, const char *connection_id, const char *why, bool replaced,
                 int64_t soft_us, struct sl_err *err)
{
    int64_t until = sl_mono_us() + CANCEL_US;
    struct sl_running *r;
    char id[64] = "";

    pthread_mutex_lock(&w->lock);
    while (w->claiming && sl_mono_us() < until)
        sl_worker_wait(w, until);
    r = sl_running_find(w, connection_id);
    if (r != NULL) {
        snprintf(id, sizeof id, "%s", r->rec.id);
        sl_running_stop(r, replaced ? SL_WHY_REPLACED : SL_WHY_CANCELLED, why, soft_us);
    }
    while (r != NULL && strcmp(r->rec.id, id) == 0 && sl_mono_us() < until) {
        sl_worker_wait(w, until);
        r = sl_running_find(w, connection_id);
    }
    pthread_mutex_unlock(&w->lock);
    if (r != NULL && strcmp(r->rec.id, id) == 0)
        return sl_fail(err, SL_E_TIMEOUT,
                       "Failed to stop in-progress sync after trying for 60 seconds");
    return SL_OK;
}

json_t *
sl_worker_running(struct sl_worker *w)
{
    json_t *list = json_array();

    pthread_mutex_lock(&w->lock);
    for (struct sl_running *r = w->running; r != NULL; r = r->next)
        if (!r->test)
            json_array_append_new(
                list, json_pack("{s:s, s:s, s:s, s:I, s:I}", "sync_id", r->rec.id, "connection_id",
                                r->con.id, "stage", r->stage ? r->stage : "starting", "started_at",
                                (json_int_t)r->rec.started_at, "rows", (json_int_t)r->rows));
    pthread_mutex_unlock(&w->lock);
    return list;
}

json_t *
sl_worker_health(struct sl_worker *w)
{
    static const char *const modes[] = {
        [SL_SANDBOX_OFF] = "off", [SL_SANDBOX_BEST] = "best", [SL_SANDBOX_REQUIRE] = "require"
    };

    return json_pack("{s:i, s:s, s:o}", "places", w->conf.places, "sandbox", modes[w->conf.sandbox],
                     "engines", sl_engines_pids(w->engines));
}

uint64_t
sl_worker_watch(struct sl_worker *w, uint64_t seen, int64_t timeout_us)
{
    int64_t until = sl_mono_us() + timeout_us;
    uint64_t now;

    pthread_mutex_lock(&w->lock);
    while (w->version == seen && !w->stopping && sl_mono_us() < until)
        sl_worker_wait(w, until);
    now = w->version;
    pthread_mutex_unlock(&w->lock);
    return now;
}

const char *const *
sl_worker_pythons(struct sl_worker *w)
{
    return (const char *const *)w->pythons;
}
