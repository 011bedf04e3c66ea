#include "destinations/chaos/chaos.h"

#include "destinations/duckdb/duckdb_dest.h"

#include <stdlib.h>

enum call { BEGIN, BEGIN_AHEAD, EVOLVE, APPLY, SAVE_STATE, COMMIT, CALLS };

static const char *const call_names[CALLS] = { "begin", "begin_ahead", "evolve",
                                               "apply", "save_state",  "commit" };

struct chaos {
    struct sl_dest dest;
    struct sl_dest *inner;
    int calls[CALLS];
};

/* What the plan says of this visit: "retry", "fatal", "lost", "kept", or NULL. */
static const char *
planned(struct chaos *c, enum call call)
{
    const char *p = getenv("SL_CHAOS");
    size_t n = strlen(call_names[call]);

    c->calls[call]++;
    for (; p != NULL && *p; p = strchr(p, ',') ? strchr(p, ',') + 1 : NULL) {
        char *end;

        if (strncmp(p, call_names[call], n) != 0 || p[n] != ':')
            continue;
        if (strtol(p + n + 1, &end, 10) == c->calls[call] && *end == '=')
            return end + 1;
    }
    return NULL;
}

static bool
is(const char *what, const char *word)
{
    return what != NULL && strncmp(what, word, strlen(word)) == 0;
}

static sl_rc
disturb(struct chaos *c, enum call call, struct sl_err *err)
{
    const char *what = planned(c, call);

    if (is(what, "retry"))
        return sl_fail(err, SL_E_RETRY, "chaos: %s number %d is to be repeated", call_names[call],
                       c->calls[call]);
    if (is(what, "fatal"))
        return sl_fail(err, SL_E_DESTINATION, "chaos: %s number %d fails", call_names[call],
                       c->calls[call]);
    return 0;
}

static sl_rc
chaos_open(struct sl_dest **out, const struct sl_dest_conf *conf, struct sl_err *err)
{
    struct chaos *c = sl_zalloc(1, sizeof *c);
    sl_rc rc = sl_duckdb_ops.open(&c->inner, conf, err);

    c->dest.ops = &sl_chaos_ops;
    *out = &c->dest;
    if (rc) {
        free(c);
        *out = NULL;
    }
    return rc;
}

static void
chaos_close(struct sl_dest *d)
{
    if (d != NULL)
        sl_duckdb_ops.close(((struct chaos *)d)->inner);
    free(d);
}

static sl_rc
chaos_load(struct sl_dest *d, struct sl_catalog *cat, struct sl_saved_state *state,
           struct sl_err *err)
{
    return sl_duckdb_ops.load(((struct chaos *)d)->inner, cat, state, err);
}

static sl_rc
chaos_stored(struct sl_dest *d, const struct sl_table *t, const struct sl_column *c,
             struct sl_stored *out, struct sl_err *err)
{
    return sl_duckdb_ops.stored(((struct chaos *)d)->inner, t, c, out, err);
}

static sl_rc
chaos_admit(struct sl_dest *d, const struct sl_table *t, uint64_t rows, uint64_t bytes,
            struct sl_err *err)
{
    return sl_duckdb_ops.admit(((struct chaos *)d)->inner, t, rows, bytes, err);
}

static sl_rc
chaos_begin(struct sl_dest *d, struct sl_err *err)
{
    sl_rc rc = disturb((struct chaos *)d, BEGIN, err);

    return rc ? rc : sl_duckdb_ops.begin(((struct chaos *)d)->inner, err);
}

static sl_rc
chaos_begin_ahead(struct sl_dest *d, bool *begun, struct sl_err *err)
{
    sl_rc rc = disturb((struct chaos *)d, BEGIN_AHEAD, err);

    return rc ? rc : sl_duckdb_ops.begin_ahead(((struct chaos *)d)->inner, begun, err);
}

static bool
chaos_wanted(struct sl_dest *d)
{
    return sl_duckdb_ops.wanted(((struct chaos *)d)->inner);
}

static sl_rc
chaos_evolve(struct sl_dest *d, const struct sl_table *t, struct sl_err *err)
{
    sl_rc rc = disturb((struct chaos *)d, EVOLVE, err);

    return rc ? rc : sl_duckdb_ops.evolve(((struct chaos *)d)->inner, t, err);
}

static sl_rc
chaos_apply(struct sl_dest *d, struct sl_rows *rows, struct sl_applied *out, struct sl_err *err)
{
    sl_rc rc = disturb((struct chaos *)d, APPLY, err);

    return rc ? rc : sl_duckdb_ops.apply(((struct chaos *)d)->inner, rows, out, err);
}

static sl_rc
chaos_save_state(struct sl_dest *d, const struct sl_saved_state *state, struct sl_err *err)
{
    sl_rc rc = disturb((struct chaos *)d, SAVE_STATE, err);

    return rc ? rc : sl_duckdb_ops.save_state(((struct chaos *)d)->inner, state, err);
}

static enum sl_flush
chaos_commit(struct sl_dest *d, struct sl_err *err)
{
    struct chaos *c = (struct chaos *)d;
    const char *what = planned(c, COMMIT);

    if (is(what, "kept")) {
        (void)sl_duckdb_ops.commit(c->inner, err);
        sl_fail(err, SL_E_UNKNOWN, "chaos: the answer to COMMIT was lost");
        return SL_FLUSH_UNKNOWN;
    }
    if (what != NULL) {
        sl_duckdb_ops.rollback(c->inner);
        sl_fail(err, SL_E_DESTINATION, "chaos: COMMIT number %d did not happen", c->calls[COMMIT]);
        return is(what, "lost")    ? SL_FLUSH_UNKNOWN
               : is(what, "retry") ? SL_FLUSH_RETRY
                                   : SL_FLUSH_FATAL;
    }
    return sl_duckdb_ops.commit(c->inner, err);
}

static void
chaos_rollback(struct sl_dest *d)
{
    sl_duckdb_ops.rollback(((struct chaos *)d)->inner);
}

static sl_rc
chaos_resolve(struct sl_dest *d, const char *batch, bool *committed, struct sl_err *err)
{
    return sl_duckdb_ops.resolve(((struct chaos *)d)->inner, batch, committed, err);
}

static sl_rc
chaos_changed_since(struct sl_dest *d, const struct sl_table *t, int64_t since_us, uint64_t *rows,
                    struct sl_err *err)
{
    return sl_duckdb_ops.changed_since(((struct chaos *)d)->inner, t, since_us, rows, err);
}

const struct sl_dest_ops sl_chaos_ops = {
    .name = "chaos",
    .caps = { .transactional_ddl = true,
              .native_json = true,
              .nul_in_text = true,
              .name_max = 255 },
    .open = chaos_open,
    .close = chaos_close,
    .load = chaos_load,
    .stored = chaos_stored,
    .admit = chaos_admit,
    .begin = chaos_begin,
    .begin_ahead = chaos_begin_ahead,
    .wanted = chaos_wanted,
    .evolve = chaos_evolve,
    .apply = chaos_apply,
    .save_state = chaos_save_state,
    .commit = chaos_commit,
    .rollback = chaos_rollback,
    .resolve = chaos_resolve,
    .changed_since = chaos_changed_since,
};
