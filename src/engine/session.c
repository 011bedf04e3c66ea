#include "engine/session.h"

#include "base/fault.h"
#include "base/text.h"
#include "base/time.h"
#include "engine/sync.h"
#include "engine/talk.h"

#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Decided in semantics: commit at a checkpoint when this much is staged or this long has passed since the first one not
 * committed; one transaction takes at most SLICE. BUFFER is what all tables' rows may hold in memory before they spill. */
#define COMMIT_BYTES ((uint64_t)64 << 20)
#define COMMIT_US (10 * 1000000)
#define SLICE_BYTES ((uint64_t)256 << 20)
#define BUFFER_BYTES ((uint64_t)16 << 20)

#define HELLO_US ((int64_t)60 * 1000000)
#define IDLE_US ((int64_t)1800 * 1000000)
#define STOP_US ((int64_t)10 * 1000000)  /* a connector told to stop gets this long */
#define QUIET_US ((int64_t)60 * 1000000) /* say so when nothing has come for this long */
#define PROGRESS_US 100000
#define LOCK_TICK_US 100000
#define TICK_US 100000 /* how often the stop flag is looked at while waiting */

void
sl_sync_log(struct sl_sync *s, enum sl_level level, enum sl_origin from, const char *fmt, ...)
{
    va_list ap;
    char *text = NULL;
    int n;

    if (s->conf->sink->log == NULL)
        return;
    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n >= 0)
        s->conf->sink->log(s->conf->sink->ctx, level, from, text, (size_t)n);
    free(text);
}

/* --- frames from the connector ------------------------------------------------------------------------------------- */

static sl_rc
on_hello(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    const struct sl_talk talk = {
        .fd = s->in.fd,
        .mode = s->conf->schema_only ? "test" : s->conf->mode,
        .configuration = s->conf->configuration,
        .project = s->conf->project,
        .log_level = s->conf->log_level,
        .durable = s->conf->durable,
    };
    sl_rc rc = sl_talk_start(&talk, f, (struct sl_bytes){ s->state.ptr, s->state.len }, err);

    s->hello = s->hello || rc == 0;
    if (rc == 0 && s->conf->sink->started != NULL)
        s->conf->sink->started(s->conf->sink->ctx);
    return rc ? rc : SL_FAULT_POINT(session_started, err);
}

static sl_rc
send_ack(struct sl_sync *s, struct sl_err *err)
{
    struct sl_bytes part = { (const char *)&s->n->checkpoints, 8 };

    return sl_frame_write(s->in.fd, SL_F_ACK, 0, &part, 1, SL_TALK_SEND_US, err);
}

static sl_rc
on_schema(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    sl_rc rc;

    if (s->schema)
        return sl_fail(err, SL_E_PROTOCOL, "a second SCHEMA");
    if (s->shapes.ntables)
        return sl_fail(err, SL_E_PROTOCOL, "a SCHEMA frame after the first TABLE");
    s->schema = true;
    rc = sl_declare(s, f, err);
    if (rc == 0 && s->conf->sink->schema_done != NULL && !s->conf->schema_only)
        s->conf->sink->schema_done(s->conf->sink->ctx);
    if (rc == 0)
        sl_report_catalog(s);
    return rc;
}

static sl_rc
on_checkpoint(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    bool durable = s->conf->durable || (f->id & 1);
    uint64_t most = s->dest->ops->caps.state_max ? s->dest->ops->caps.state_max : SL_STATE_MAX;
    sl_rc rc = SL_FAULT_POINT(checkpoint_seen, err);

    if (rc)
        return rc;
    if (f->len == 0)
        return sl_fail(err, SL_E_PROTOCOL, "a CHECKPOINT frame without a state");
    if (f->len > most) {
        sl_fail(err, SL_E_LIMIT, "a state of %u bytes; the limit is %llu", f->len,
                (unsigned long long)most);
        sl_err_hint(err, "keep cursors in the state, not data");
        return SL_E_LIMIT;
    }
    /* That all of it is JSON is looked at when it is committed: a state may come with every row. */
    if (f->ptr[0] != '{' || memchr(f->ptr, 0, f->len) != NULL || !sl_utf8_valid(f->ptr, f->len))
        return sl_fail(err, SL_E_PROTOCOL, "the state of checkpoint %llu is not a JSON object",
                       (unsigned long long)s->n->checkpoints + 1);
    s->state.len = 0;
    rc = sl_buf_put(&s->state, f->ptr, f->len, err);
    if (rc)
        return rc;
    s->n->checkpoints++;
    sl_spool_seal(&s->spool);
    if (s->conf->sink->checkpoint != NULL)
        s->conf->sink->checkpoint(s->conf->sink->ctx, s->n->checkpoints, f->ptr, f->len);
    if (!s->checkpointed) {
        s->checkpointed = true;
        s->first_checkpoint_us = sl_mono_us();
    }
    if (durable || s->spool.bytes >= s->commit_bytes ||
        sl_mono_us() - s->first_checkpoint_us >= (int64_t)s->commit_us) {
        rc = sl_commit(s, err);
        if (rc == 0 && durable)
            rc = send_ack(s, err);
    }
    return rc;
}

static sl_rc
on_log(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    return sl_talk_log(s->conf->sink, f, err);
}

static sl_rc
on_error(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    struct sl_failure *fail = &s->res->failure;
    sl_rc rc = sl_talk_error(fail, f, err);

    if (rc == SL_E_CONNECTOR && s->stop_sent_us && fail->type != NULL &&
        strcmp(fail->type, "SyncCancelled") == 0)
        return sl_fail(err, SL_E_CANCELLED, "stopped by the user");
    return rc;
}

/* The connector's own count of what it sent must be what was read: three counts agree or the sync fails. */
static sl_rc
on_done(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    const struct {
        const char *key;
        uint64_t read;
    } calls[] = {
        { "upserts", s->n->upserts },         { "updates", s->n->updates },
        { "deletes", s->n->deletes },         { "truncates", s->n->truncates },
        { "checkpoints", s->n->checkpoints },
    };
    json_t *root = sl_talk_parse(f, "DONE", err);
    sl_rc rc = 0;

    if (root == NULL)
        return SL_E_PROTOCOL;
    for (size_t i = 0; i < sizeof calls / sizeof calls[0] && rc == 0; i++) {
        json_int_t sent = json_integer_value(json_object_get(root, calls[i].key));

        if ((uint64_t)sent != calls[i].read)
            rc = sl_fail(err, SL_E_INTERNAL, "the connector sent %lld %s, the engine read %llu",
                         (long long)sent, calls[i].key, (unsigned long long)calls[i].read);
    }
    s->n->rounded += (uint64_t)json_integer_value(json_object_get(root, "rounded"));
    s->n->cut += (uint64_t)json_integer_value(json_object_get(root, "cut"));
    s->n->replaced += (uint64_t)json_integer_value(json_object_get(root, "replaced"));
    json_decref(root);
    s->done = rc == 0;
    return rc;
}

static void
note_op(struct sl_sync *s, const char *what, const struct sl_table *t)
{
    snprintf(s->last_op, sizeof s->last_op, "%s %.200s", what, t->source);
}

static sl_rc
on_frame(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    if (!s->hello && f->type != SL_F_HELLO && f->type != SL_F_LOG && f->type != SL_F_ERROR)
        return sl_fail(err, SL_E_PROTOCOL, "frame %llu comes before HELLO",
                       (unsigned long long)s->in.count);
    if (s->conf->schema_only && f->type >= SL_F_TABLE && f->type <= SL_F_CHECKPOINT) {
        sl_fail(err, SL_E_PROTOCOL,
                "the connector's SDK went on to update() in a test of schema()");
        sl_err_hint(err, "pip install --upgrade fivetran-connector-sdk, in the environment that "
                         "runs the connector");
        return SL_E_PROTOCOL;
    }
    switch (f->type) {
    case SL_F_UPSERT:
    case SL_F_UPDATE:
    case SL_F_DELETE:
        return sl_receive_row(s, f, err);
    case SL_F_TRUNCATE:
        return sl_receive_truncate(s, f, err);
    case SL_F_CHECKPOINT:
        snprintf(s->last_op, sizeof s->last_op, "checkpoint");
        return on_checkpoint(s, f, err);
    case SL_F_TABLE:
        sl_ahead_pause(s->ahead);
        return sl_receive_table(s, f, err);
    case SL_F_SHAPE:
        sl_ahead_pause(s->ahead);
        return sl_receive_shape(s, f, err);
    case SL_F_LOG:
    case SL_F_WARNING:
        return on_log(s, f, err);
    case SL_F_HELLO:
        return s->hello ? sl_fail(err, SL_E_PROTOCOL, "a second HELLO") : on_hello(s, f, err);
    case SL_F_SCHEMA:
        return on_schema(s, f, err);
    case SL_F_ERROR:
        return on_error(s, f, err);
    case SL_F_DONE:
        return on_done(s, f, err);
    default:
        return sl_fail(err, SL_E_PROTOCOL, "frame %llu is of unknown type %u",
                       (unsigned long long)s->in.count, f->type);
    }
}

/* --- waiting and stopping ------------------------------------------------------------------------------------------ */

static sl_rc
look_at_stop(struct sl_sync *s, struct sl_err *err)
{
    int stop = s->conf->stop ? atomic_load_explicit(s->conf->stop, memory_order_relaxed) : 0;
    struct sl_err ignored;

    if (stop == 0)
        return 0;
    if (stop > 1 || (s->stop_sent_us && sl_mono_us() - s->stop_sent_us > STOP_US))
        return sl_fail(err, SL_E_CANCELLED, "stopped by the user");
    if (s->stop_sent_us == 0) {
        s->stop_sent_us = sl_mono_us();
        if (sl_frame_write(s->in.fd, SL_F_STOP, 1, NULL, 0, SL_TALK_SEND_US, &ignored))
            return sl_fail(err, SL_E_CANCELLED, "stopped by the user");
    }
    return 0;
}

/* Nothing came for a while: say so, or give up. */
static sl_rc
on_silence(struct sl_sync *s, int64_t since, int64_t *said, struct sl_err *err)
{
    int64_t quiet = sl_mono_us() - since;
    int64_t limit = s->hello ? s->conf->idle_timeout_us : s->conf->hello_timeout_us;

    if (limit == 0)
        limit = s->hello ? IDLE_US : HELLO_US;
    if (quiet > limit && !s->hello) {
        sl_fail(err, SL_E_TIMEOUT, "the connector's process did not start within %lld s",
                (long long)(limit / 1000000));
        sl_err_hint(
            err, "does something at the top of connector.py wait or loop? It runs before schema()");
        return SL_E_TIMEOUT;
    }
    if (quiet > limit) {
        sl_fail(err, SL_E_TIMEOUT, "the connector did nothing for %lld s (last: %s)",
                (long long)(quiet / 1000000),
                s->last_op[0] ? s->last_op
                : s->schema   ? "update() began"
                              : "schema() began");
        sl_err_hint(err, "give calls to the source a time-out of their own, or allow more with "
                         "--idle-timeout SECONDS");
        return SL_E_TIMEOUT;
    }
    if (quiet > QUIET_US && sl_mono_us() - *said > QUIET_US) {
        *said = sl_mono_us();
        sl_sync_log(s, SL_INFO, SL_FROM_ENGINE, "no operation for %lld s (last: %s)",
                    (long long)(quiet / 1000000),
                    s->last_op[0] ? s->last_op
                    : s->schema   ? "update() began"
                                  : "schema() began");
    }
    return 0;
}

static void
show_progress(struct sl_sync *s, int64_t *shown)
{
    int64_t now = sl_mono_us();

    if (now - *shown < PROGRESS_US || s->conf->sink->progress == NULL)
        return;
    *shown = now;
    s->conf->sink->progress(s->conf->sink->ctx, s->n);
}

/* Commits that are due although no further checkpoint comes: the first one not committed is old enough. */
static sl_rc
commit_if_late(struct sl_sync *s, struct sl_err *err)
{
    if (!s->checkpointed || s->spool.ops != s->spool.sealed_ops ||
        sl_mono_us() - s->first_checkpoint_us < (int64_t)s->commit_us)
        return 0;
    return sl_commit(s, err);
}

static sl_rc
loop(struct sl_sync *s, struct sl_err *err)
{
    int64_t last = sl_mono_us(), said = last, shown = last;
    struct sl_frame f;
    uint64_t n = 0;
    sl_rc rc = 0;
    int got;

    while (rc == 0 && !s->done) {
        got = sl_frames_next(&s->in, TICK_US, &f, err);
        if (got == 1) {
            rc = SL_FAULT_POINT(frame_read, err);
            if (rc == 0)
                rc = on_frame(s, &f, err);
            if (f.type >= SL_F_TABLE && f.type <= SL_F_DELETE && (n & 1023) == 0 &&
                s->shapes.ntables)
                note_op(s, "rows for", s->shapes.tables[s->shapes.ntables - 1]);
            if (rc == 0 && s->spool.bytes >= sl_ahead_next(s->ahead))
                sl_ahead_look(s->ahead);
            /* More is here already: look at clocks and flags now and then only. */
            if ((++n & 1023) != 0 && s->in.begin < s->in.end)
                continue;
        }
        if (got < 0)
            return got;
        if (got == 2) {
            s->res->failure.died = true;
            return sl_fail(err, SL_E_CONNECTOR, "the connector's process ended without a word");
        }
        if (rc == 0)
            rc = look_at_stop(s, err);
        if (rc == 0)
            sl_ahead_look(s->ahead);
        if (got == 1)
            last = sl_mono_us();
        else if (rc == 0)
            rc = on_silence(s, last, &said, err);
        if (rc == 0 && got == 0)
            rc = commit_if_late(s, err);
        show_progress(s, &shown);
    }
    return rc;
}

/* Test builds take the limits and the destination from the environment: SL_COMMIT_BYTES, SL_COMMIT_US, SL_SLICE_BYTES,
 * SL_BUFFER_BYTES, SL_AHEAD_BYTES, SL_AHEAD_US, SL_AHEAD_IN_TURN, SL_DESTINATION. */
static uint64_t
knob(const char *name, uint64_t given, uint64_t usual)
{
#ifdef SL_FAULTS
    const char *v = getenv(name);

    if (v != NULL)
        return strtoull(v, NULL, 10);
#endif
    (void)name;
    return given ? given : usual;
}

/* --- the life of a session ----------------------------------------------------------------------------------------- */

/* Another program may have the file open for a moment: on a server that is worth waiting for. */
static sl_rc
open_patiently(struct sl_sync *s, const struct sl_dest_ops *ops, const struct sl_dest_conf *dc,
               struct sl_err *err)
{
    int64_t until = sl_mono_us() + s->conf->lock_wait_us;
    sl_rc rc = ops->open(&s->dest, dc, err);

    if (rc == SL_E_LOCKED && s->conf->lock_wait_us > 0)
        sl_sync_log(s, SL_WARNING, SL_FROM_ENGINE, "%s; waiting up to %lld s for it", err->text,
                    (long long)(s->conf->lock_wait_us / 1000000));
    while (rc == SL_E_LOCKED && sl_mono_us() < until) {
        if (s->conf->stop != NULL && atomic_load(s->conf->stop) > 0)
            return sl_fail(err, SL_E_CANCELLED, "stopped by the user");
        usleep(LOCK_TICK_US);
        rc = ops->open(&s->dest, dc, err);
    }
    return rc;
}

/* The options, checked once more: what comes from a store may be of an older version. */
static sl_rc
read_options(struct sl_sync *s, const struct sl_dest_ops *ops, struct sl_err *err)
{
    json_t *given;
    sl_rc rc;

    if (s->conf->options.ptr == NULL)
        return 0;
    given = json_loadb(s->conf->options.ptr, s->conf->options.len, 0, NULL);
    rc = json_is_object(given) ? sl_options_check(ops->options, given, true, "", &s->options, err)
                               : sl_fail(err, SL_E_CONFIG, "the destination's options are no JSON");
    json_decref(given);
    return rc;
}

static sl_rc
open_destination(struct sl_sync *s, struct sl_err *err)
{
    const struct sl_session_conf *conf = s->conf;
    const struct sl_dest_ops *ops = sl_destination_find(conf->destination);
#ifdef SL_FAULTS
    const char *other = getenv("SL_DESTINATION");
#endif
    struct sl_dest_conf dc = {
        .location = conf->location,
        .spill_dir = conf->spill_dir,
        .connection = conf->connection,
        .memory_limit = conf->memory_limit,
        .block_size = conf->block_size,
        .stop = conf->stop,
    };
    sl_rc rc;

#ifdef SL_FAULTS
    if (other != NULL)
        ops = sl_destination_find(other);
#endif
    if (ops == NULL)
        return sl_fail(err, SL_E_CONFIG, "there is no destination '%s'", conf->destination);
    sl_catalog_init(&s->cat, conf->connection, conf->naming == SL_NAMING_FIVETRAN,
                    ops->caps.name_max);
    s->cat.reserved = ops->caps.reserved;
    s->value_max = ops->caps.value_max ? ops->caps.value_max : UINT64_MAX;
    if (conf->schema_only)
        return sl_buf_put(&s->state, "{}", 2, err);
    rc = read_options(s, ops, err);
    dc.options = s->options;
    if (rc == 0)
        rc = open_patiently(s, ops, &dc, err);
    if (rc == 0)
        rc = ops->load(s->dest, &s->cat, &s->saved, err);
    if (rc == 0)
        rc = sl_state_choose(s, err);
    if (rc == 0 && s->saved.partial)
        sl_sync_log(
            s, SL_INFO, SL_FROM_ENGINE,
            "the last sync ended within a large interval: rows ahead of its state are in the "
            "warehouse and are repaired by this one");
    return rc;
}

/* What became of the rows when the loop ended with an error: those a checkpoint covers are kept, later ones are not. */
static sl_rc
keep_checkpointed(struct sl_sync *s, sl_rc rc)
{
    struct sl_err second = { 0 };
    bool at_once = s->conf->stop != NULL && atomic_load(s->conf->stop) > 1;

    sl_ahead_drop(s->ahead);
    s->res->discarded = sl_spool_discard_unsealed(&s->spool);
    s->res->rows_discarded = s->res->discarded > 0;
    if (at_once || !s->checkpointed || s->commit_failed)
        return rc;
    if (sl_receive_again(s, &second) || sl_commit(s, &second)) {
        sl_sync_log(s, SL_SEVERE, SL_FROM_ENGINE,
                    "the rows of the last checkpoint could not be committed either: %s",
                    second.text);
    }
    return rc;
}

/* update() ended well: rows after the last checkpoint belong to it. */
static sl_rc
end_well(struct sl_sync *s, struct sl_err *err)
{
    sl_rc rc;

    if (s->conf->schema_only)
        return s->schema ? 0 : sl_fail(err, SL_E_PROTOCOL, "DONE without a SCHEMA frame");
    sl_spool_seal(&s->spool);
    rc = sl_commit(s, err);
    return rc ? rc : sl_report_check(s, err);
}

static void
report(struct sl_sync *s, int64_t begun)
{
    struct sl_session_result *t = s->res;

    if (s->dest != NULL) {
        sl_report_tables(s);
        sl_report_catalog(s);
    }
    t->connector_us = s->in.waited_us;
    t->engine_us = sl_mono_us() - begun - t->open_us - t->connector_us - t->destination_us;
    if (s->saved.found)
        s->res->state = sl_strdup(s->saved.state);
}

static void
session_free(struct sl_sync *s)
{
    sl_ahead_free(s->ahead);
    sl_filter_free(s->filter);
    sl_spool_free(&s->spool);
    if (s->dest != NULL)
        s->dest->ops->close(s->dest);
    sl_shapes_free(&s->shapes);
    sl_catalog_free(&s->cat);
    sl_saved_state_free(&s->saved);
    json_decref(s->options);
    sl_buf_free(&s->state);
    sl_frames_free(&s->in);
    if (s->conf->fd >= 0)
        close(s->conf->fd);
}

sl_rc
sl_session_run(const struct sl_session_conf *conf, struct sl_session_result *res,
               struct sl_err *err)
{
    static const struct sl_sink silent;
    struct sl_session_conf with_sink = *conf;
    struct sl_sync s = { .conf = &with_sink, .res = res, .n = &res->counts };
    struct sl_err own;
    int64_t begun = sl_mono_us();
    sl_rc rc;

    if (err == NULL)
        err = &own;
    *err = (struct sl_err){ 0 };
    if (with_sink.sink == NULL)
        with_sink.sink = &silent;
    *res = (struct sl_session_result){ 0 };
    if (sodium_init() < 0)
        return sl_fail(err, SL_E_INTERNAL, "no random numbers");
    s.commit_bytes = knob("SL_COMMIT_BYTES", conf->commit_bytes, COMMIT_BYTES);
    s.commit_us = knob("SL_COMMIT_US", conf->commit_us, COMMIT_US);
    s.slice_bytes = knob("SL_SLICE_BYTES", conf->slice_bytes, SLICE_BYTES);
    s.ahead_bytes = knob("SL_AHEAD_BYTES", conf->ahead_bytes, SL_AHEAD_BYTES);
    s.ahead_us = knob("SL_AHEAD_US", conf->ahead_us, SL_AHEAD_US);
    s.ahead_in_turn = knob("SL_AHEAD_IN_TURN", conf->ahead_in_turn, 0) != 0;
    sl_frames_init(&s.in, conf->fd);
    sl_buf_init(&s.state, SL_STATE_MAX);
    sl_spool_init(&s.spool, conf->spill_dir,
                  knob("SL_BUFFER_BYTES", conf->buffer_bytes, BUFFER_BYTES));
    rc = sl_filter_new(&s.filter, conf->filter, err);
    if (rc == 0)
        rc = open_destination(&s, err);
    if (rc == 0)
        s.ahead = sl_ahead_new(&s);
    res->open_us = sl_mono_us() - begun;
    if (rc == 0)
        rc = loop(&s, err);
    rc = rc ? keep_checkpointed(&s, rc) : end_well(&s, err);
    if (rc == 0)
        rc = SL_FAULT_POINT(session_end, err);
    report(&s, begun);
    session_free(&s);
    return rc;
}

void
sl_session_result_free(struct sl_session_result *res)
{
    free(res->state);
    sl_failure_free(&res->failure);
    *res = (struct sl_session_result){ 0 };
}
