/* sync.c - one sync from its claim to its record, on a thread of its own. */
#include "base/fault.h"
#include "base/time.h"
#include "platform/schedule.h"
#include "worker/message.h"
#include "worker/running.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* Committed states kept for a rewind (semantics §3). */
#define STATES_KEPT 50
/* How long the end of a sync waits for a store that does not take it: ten minutes. */
#define RECORD_TRIES 600
#define RECORD_WAIT_US 1000000

/* ---- how it ended ---- */

enum end { END_OK, END_FAILED, END_TASK, END_RESCHEDULED, END_CANCELED, END_INTERRUPTED };

static enum end
classify(const struct sl_running *r, const struct sl_session_result *res, sl_rc rc)
{
    if (rc == SL_OK)
        return END_OK;
    if (r->why == SL_WHY_CANCELLED || r->why == SL_WHY_REPLACED)
        return END_CANCELED;
    if (r->why == SL_WHY_SHUTDOWN)
        return END_INTERRUPTED;
    if (r->why == SL_WHY_DEADLINE || r->out_of_memory)
        return END_RESCHEDULED;
    return rc == SL_E_CONNECTOR && res->failure.by_operation ? END_TASK : END_FAILED;
}

static const char *
status_of(enum end end)
{
    switch (end) {
    case END_OK:
        return "SUCCESSFUL";
    case END_FAILED:
        return "FAILURE";
    case END_TASK:
        return "FAILURE_WITH_TASK";
    case END_CANCELED:
        return "CANCELED";
    case END_RESCHEDULED:
    case END_INTERRUPTED:
        break;
    }
    return "RESCHEDULED";
}

/* Later than anything recorded before: clients compare (Inv: strictly rising). */
static int64_t
end_time(const struct sl_connection *c)
{
    int64_t now = sl_now_us();

    if (now <= c->succeeded_at)
        now = c->succeeded_at + 1;
    if (now <= c->failed_at)
        now = c->failed_at + 1;
    return now;
}

static void
back_off(struct sl_connection *c, int64_t now)
{
    if (sl_runs_by_itself(c))
        c->next_run_at = now + sl_backoff_us(c->failures, randombytes_random());
}

static void
on_success(struct sl_connection *c, const struct sl_running *r, int64_t now)
{
    c->succeeded_at = now;
    c->failures = 0;
    sl_set_text(&c->tasks, NULL);
    sl_set_text(&c->setup_state, "connected");
    if (r->rec.tables == NULL)
        c->historical = false;
}

static void
on_failure(struct sl_connection *c, const struct sl_running *r, enum end end, int64_t now)
{
    c->failed_at = now;
    c->failures++;
    if (end == END_TASK) {
        json_t *tasks = json_pack("[{s:s, s:s}]", "code", "connector_error", "message",
                                  r->rec.reason ? r->rec.reason : "");
        char *text = json_dumps(tasks, JSON_COMPACT);

        sl_set_text(&c->tasks, text);
        sl_set_text(&c->setup_state, "broken");
        free(text);
        json_decref(tasks);
    }
    back_off(c, now);
}

/* Clients wait for the later of the two times to rise: it did not succeed. When another sync follows at once they wait for that one, and
 * a failure between the two would end their wait too early. It is no failure that counts: nothing is wrong with the connection. */
static void
on_canceled(struct sl_connection *c, const struct sl_running *r, int64_t now)
{
    if (r->why != SL_WHY_REPLACED)
        c->failed_at = now;
}

static void
on_rescheduled(struct sl_connection *c, int64_t now)
{
    c->failures++;
    back_off(c, now);
    c->rescheduled_for = c->next_run_at ? c->next_run_at
                                        : now + sl_backoff_us(c->failures, randombytes_random());
}

/* The tables of a re-sync that did not end well are still to be done. */
static void
keep_tables(struct sl_connection *c, const struct sl_sync_record *rec)
{
    if (c->resync_tables == NULL)
        c->resync_tables = sl_strdup_null(rec->tables);
}

void
sl_run_again(struct sl_connection *c, const struct sl_sync_record *rec)
{
    keep_tables(c, rec);
    if (c->requested != NULL)
        return;
    c->requested = sl_strdup(SL_TRIGGER_RESUME);
    c->requested_at = rec->scheduled_for;
}

/* What the connection is after this sync. */
static void
settle(struct sl_connection *c, const struct sl_running *r, enum end end, int64_t now)
{
    sl_set_text(&c->running_sync, NULL);
    if (r->set_up && c->setup_state != NULL && strcmp(c->setup_state, "untested") == 0)
        sl_set_text(&c->setup_state, "connected");
    switch (end) {
    case END_OK:
        on_success(c, r, now);
        break;
    case END_FAILED:
    case END_TASK:
        on_failure(c, r, end, now);
        break;
    case END_RESCHEDULED:
        on_rescheduled(c, now);
        break;
    case END_INTERRUPTED:
        sl_run_again(c, &r->rec);
        break;
    case END_CANCELED:
        on_canceled(c, r, now);
        break;
    }
    if (end != END_OK && end != END_CANCELED)
        keep_tables(c, &r->rec);
    if (r->catalog != NULL) {
        free(c->catalog);
        c->catalog = json_dumps(r->catalog, JSON_COMPACT);
    }
}

/* ---- the record ---- */

static sl_rc
add_active(struct sl_running *r, const json_t *table, const char *month, struct sl_err *err)
{
    const char *schema = json_string_value(json_object_get(table, "schema"));
    const char *name = json_string_value(json_object_get(table, "table"));
    json_int_t rows = json_integer_value(json_object_get(table, "active"));
    struct sl_active a = { 0 };
    sl_rc rc;
    char *id;

    if (schema == NULL || name == NULL || rows == 0)
        return SL_OK;
    id = sl_sprintf("%s:%s:%s.%s", r->con.id, month, schema, name);
    rc = sl_store_get(r->w->pf->store, SL_K_ACTIVE, id, &a, err);
    if (rc == SL_E_NOT_FOUND) {
        a = (struct sl_active){ .id = sl_strdup(id),
                                .connection_id = sl_strdup(r->con.id),
                                .month = sl_strdup(month),
                                .schema = sl_strdup(schema),
                                .table_name = sl_strdup(name) };
        rc = SL_OK;
    }
    a.rows += rows;
    if (rc == SL_OK)
        rc = sl_store_put(r->w->pf->store, SL_K_ACTIVE, &a, err);
    sl_record_free(SL_K_ACTIVE, &a);
    free(id);
    return rc;
}

static sl_rc
put_active(struct sl_running *r, int64_t now, struct sl_err *err)
{
    time_t t = (time_t)(now / 1000000);
    struct tm tm;
    char month[16];
    json_t *table;
    size_t i;
    sl_rc rc = SL_OK;

    gmtime_r(&t, &tm);
    strftime(month, sizeof month, "%Y-%m", &tm);
    json_array_foreach(r->tables, i, table)
    {
        rc = add_active(r, table, month, err);
        if (rc)
            break;
    }
    return rc;
}

static void
fill_record(struct sl_running *r, const struct sl_session_result *res, enum end end, int64_t now)
{
    struct sl_sync_record *rec = &r->rec;
    json_t *counts = sl_fields_pack(sl_fields_counts, &res->counts);
    json_t *stages = json_pack("{s:I, s:I, s:I, s:I, s:I}", "environment", (json_int_t)r->env_us,
                               "connector", (json_int_t)res->connector_us, "engine",
                               (json_int_t)res->engine_us, "destination",
                               (json_int_t)res->destination_us, "open", (json_int_t)res->open_us);

    sl_set_text(&rec->status, status_of(end));
    sl_set_text(&rec->stage, NULL);
    if (end == END_CANCELED || end == END_INTERRUPTED || r->why == SL_WHY_DEADLINE)
        sl_set_text(&rec->reason, r->why_text);
    if (end == END_CANCELED || end == END_INTERRUPTED)
        sl_set_text(&rec->hint, NULL);
    if (r->why == SL_WHY_DEADLINE)
        sl_set_text(&rec->hint, "it goes on from its last committed checkpoint; make checkpoints "
                                "on the way, or give the connection a longer deadline");
    rec->finished_at = now;
    free(rec->counts);
    rec->counts = json_dumps(counts, JSON_COMPACT);
    free(rec->table_counts);
    rec->table_counts = json_dumps(r->tables, JSON_COMPACT);
    free(rec->stages);
    rec->stages = json_dumps(stages, JSON_COMPACT);
    rec->bytes = (int64_t)res->counts.bytes;
    rec->checkpoints = (int64_t)res->counts.checkpoints;
    if (res->state != NULL)
        sl_set_text(&rec->state, res->state);
    json_decref(counts);
    json_decref(stages);
}

/* One transaction: the sync's end, and what the connection is from now on. Fenced: only while the connection still says that
 * this sync of this process runs (Inv 3). */
static sl_rc
record(struct sl_running *r, const struct sl_session_result *res, enum end end, struct sl_err *err)
{
    struct sl_store *st = r->w->pf->store;
    struct sl_connection c = { 0 };
    int64_t now;
    sl_rc rc = sl_store_begin(st, err);

    if (rc)
        return rc;
    rc = sl_store_get(st, SL_K_CONNECTION, r->con.id, &c, err);
    if (rc == SL_OK && (c.running_sync == NULL || strcmp(c.running_sync, r->rec.id) != 0))
        rc = sl_fail(err, SL_E_CANCELLED, "another process has taken over this sync");
    if (rc == SL_OK) {
        now = end_time(&c);
        fill_record(r, res, end, now);
        settle(&c, r, end, now);
        rc = sl_store_put(st, SL_K_SYNC, &r->rec, err);
        if (rc == SL_OK)
            rc = sl_store_put(st, SL_K_CONNECTION, &c, err);
        if (rc == SL_OK)
            rc = put_active(r, now, err);
        if (rc == SL_OK)
            rc = SL_FAULT_POINT(record_before, err);
    }
    if (rc == SL_OK)
        rc = sl_store_commit(st, err);
    else
        sl_store_rollback(st);
    sl_record_free(SL_K_CONNECTION, &c);
    /* The connection was deleted while it ran: there is nothing to record it for. */
    return rc == SL_E_NOT_FOUND ? SL_OK : rc;
}

/* A store that is full or busy for a while must not lose the end of a sync. What is not recorded at last is found by the next
 * start of the server, which lets the sync go on from its checkpoint. */
static void
record_patiently(struct sl_running *r, const struct sl_session_result *res, enum end end)
{
    struct sl_worker *w = r->w;
    struct sl_err err = { 0 };
    bool stopping = false;

    for (int tries = 0; record(r, res, end, &err); tries++) {
        if (tries == 0 || stopping || tries == RECORD_TRIES)
            fprintf(stderr, "sluiced: sync %s of %s: its end could not be recorded: %s\n",
                    r->rec.id, r->con.schema, err.text);
        if (stopping || tries == RECORD_TRIES || err.code == SL_E_CANCELLED)
            return;
        pthread_mutex_lock(&w->lock);
        if (!w->stopping)
            sl_worker_wait(w, sl_mono_us() + RECORD_WAIT_US);
        stopping = w->stopping;
        pthread_mutex_unlock(&w->lock);
    }
}

static void
say_end(struct sl_running *r, const struct sl_session_result *res, enum end end)
{
    const struct sl_counts *n = &res->counts;

    sl_running_tell_dropped(r);
    if (end == END_OK) {
        sl_running_say(r, SL_INFO,
                       "sync ended well: %llu inserted, %llu updated, %llu deleted, %llu unchanged",
                       (unsigned long long)n->inserted, (unsigned long long)n->updated,
                       (unsigned long long)n->deleted, (unsigned long long)n->unchanged);
        return;
    }
    if (end == END_CANCELED || end == END_INTERRUPTED) {
        sl_running_say(r, SL_WARNING, "sync stopped: %s", r->why_text);
        return;
    }
    sl_running_say(r, SL_SEVERE, "sync failed: %s", r->rec.reason ? r->rec.reason : "");
    if (r->rec.detail != NULL) {
        json_t *detail = json_loads(r->rec.detail, 0, NULL);
        const char *trace = json_string_value(json_object_get(detail, "traceback"));
        const char *output = json_string_value(json_object_get(detail, "output"));

        if (trace != NULL)
            sl_running_log(r, SL_SEVERE, SL_FROM_CONNECTOR, trace, strlen(trace));
        else if (output != NULL)
            sl_running_say(r, SL_INFO, "the connector's last output:\n%s", output);
        json_decref(detail);
    }
    if (r->rec.hint != NULL && r->rec.hint[0] != '\0')
        sl_running_say(r, SL_INFO, "hint: %s", r->rec.hint);
}

/* ---- what the session tells on the way ---- */

/* The store's copy of the committed state; the last STATES_KEPT are kept for a rewind. */
static sl_rc
put_state(struct sl_running *r, const char *state, struct sl_err *err)
{
    struct sl_store *st = r->w->pf->store;
    struct sl_connection c = { 0 };
    struct sl_state_record s = {
        .id = sl_sprintf("%s:%llx", r->con.id, (unsigned long long)sl_now_us()),
        .connection_id = r->con.id,
        .sync_id = r->rec.id,
        .created_at = sl_now_us(),
        .state = (char *)state,
    };
    struct sl_query q = { .kind = SL_K_STATE,
                          .where = { { "connection_id", r->con.id } },
                          .descending = true,
                          .limit = STATES_KEPT + 1,
                          .light = true };
    struct sl_list list = { .kind = SL_K_STATE };
    sl_rc rc = sl_store_begin(st, err);

    if (rc)
        goto out;
    rc = sl_store_get(st, SL_K_CONNECTION, r->con.id, &c, err);
    if (rc == SL_OK && (c.state == NULL || strcmp(c.state, state) != 0))
        rc = sl_store_put(st, SL_K_STATE, &s, err);
    if (rc == SL_OK) {
        sl_set_text(&c.state, state);
        sl_set_text(&c.state_override, NULL);
        rc = sl_store_put(st, SL_K_CONNECTION, &c, err);
    }
    if (rc == SL_OK)
        rc = sl_store_list(st, &q, &list, err);
    if (rc == SL_OK && list.count > STATES_KEPT)
        rc = sl_store_delete(st, SL_K_STATE,
                             SL_ITEM(&list, struct sl_state_record, STATES_KEPT)->id, err);
    if (rc == SL_OK)
        rc = sl_store_commit(st, err);
    else
        sl_store_rollback(st);
    sl_list_free(&list);
    sl_record_free(SL_K_CONNECTION, &c);
out:
    free(s.id);
    return rc;
}

sl_rc
sl_running_committed(struct sl_running *r, const char *state, size_t len, struct sl_err *err)
{
    const char *known = r->con.state_override ? NULL : r->con.state;
    char *text;
    sl_rc rc = SL_OK;

    if (r->test || r->rec.tables != NULL)
        return SL_OK; /* a table re-sync's state is its own affair */
    text = sl_memdup(state, len);
    if (r->mirrored != NULL)
        known = r->mirrored;
    /* Most syncs commit a state more than once, or the one there was: no reason to write. */
    if (known == NULL || strcmp(known, text) != 0) {
        rc = put_state(r, text, err);
        if (rc == SL_OK)
            sl_set_text(&r->mirrored, text);
    }
    free(text);
    return rc;
}

/* ---- the thread ---- */

static sl_rc
run(struct sl_running *r, struct sl_session_result *res, struct sl_err *err)
{
    struct sl_session_conf conf = { 0 };
    sl_rc rc = sl_prepare_configuration(r, err);

    if (rc == SL_OK)
        rc = sl_prepare_environment(r, err);
    if (rc == SL_OK)
        rc = SL_FAULT_POINT(sync_prepared, err);
    if (rc == SL_OK)
        rc = sl_prepare_connector(r, err);
    if (rc == SL_OK)
        rc = sl_running_session(r, &conf, res, err);
    sl_running_end_child(r, rc);
    return rc;
}

void
sl_running_leave(struct sl_running *r)
{
    struct sl_worker *w = r->w;
    struct sl_running **p;

    pthread_mutex_lock(&w->lock);
    for (p = &w->running; *p != r;)
        p = &(*p)->next;
    *p = r->next;
    w->places[r->place] = false;
    if (!r->test)
        w->nsyncs--;
    w->woken = true;
    sl_worker_changed(w);
    pthread_cond_signal(&w->wake);
    pthread_mutex_unlock(&w->lock);
}

void *
sl_sync_main(void *arg)
{
    struct sl_running *r = arg;
    struct sl_session_result res = { 0 };
    struct sl_err err = { 0 };
    enum end end;
    sl_rc rc = run(r, &res, &err);

    end = classify(r, &res, rc);
    if (rc != SL_OK)
        sl_report_failed(r, &res.failure, res.discarded, &err);
    sl_running_stage(r, "recording");
    say_end(r, &res, end);
    sl_logs_flush(r->w->pf->logs);
    record_patiently(r, &res, end);
    sl_running_leave(r);
    sl_session_result_free(&res);
    sl_running_free(r);
    free(r);
    return NULL;
}
