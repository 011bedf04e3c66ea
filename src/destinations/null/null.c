#include "destinations/null/null.h"

#include <stdlib.h>

struct null_dest {
    struct sl_dest dest;
    char *batch;
};

static sl_rc
null_open(struct sl_dest **out, const struct sl_dest_conf *conf, struct sl_err *err)
{
    struct null_dest *d = sl_zalloc(1, sizeof *d);

    (void)conf;
    (void)err;
    d->dest.ops = &sl_null_ops;
    *out = &d->dest;
    return 0;
}

static void
null_close(struct sl_dest *dest)
{
    struct null_dest *d = (struct null_dest *)dest;

    if (d != NULL)
        free(d->batch);
    free(d);
}

static sl_rc
null_load(struct sl_dest *d, struct sl_catalog *cat, struct sl_saved_state *state,
          struct sl_err *err)
{
    (void)d;
    (void)cat;
    (void)err;
    *state = (struct sl_saved_state){ 0 };
    return 0;
}

static sl_rc
null_stored(struct sl_dest *d, const struct sl_table *t, const struct sl_column *c,
            struct sl_stored *out, struct sl_err *err)
{
    (void)d;
    (void)t;
    (void)c;
    (void)err;
    *out = (struct sl_stored){ 0 };
    return 0;
}

static sl_rc
null_admit(struct sl_dest *d, const struct sl_table *t, uint64_t rows, uint64_t bytes,
           struct sl_err *err)
{
    (void)d;
    (void)t;
    (void)rows;
    (void)bytes;
    (void)err;
    return 0;
}

static sl_rc
null_begin(struct sl_dest *d, struct sl_err *err)
{
    (void)d;
    (void)err;
    return 0;
}

static sl_rc
null_evolve(struct sl_dest *d, const struct sl_table *t, struct sl_err *err)
{
    (void)d;
    (void)t;
    (void)err;
    return 0;
}

static sl_rc
null_apply(struct sl_dest *d, struct sl_rows *rows, struct sl_applied *out, struct sl_err *err)
{
    struct sl_row row;
    int got;

    (void)d;
    *out = (struct sl_applied){ 0 };
    while ((got = rows->next(rows, &row, err)) == 1) {
        if (row.kind == SL_ROW_PATCH)
            out->missed++;
        else if (row.dead)
            out->deleted++;
        else
            out->inserted++;
    }
    return got;
}

static sl_rc
null_save_state(struct sl_dest *dest, const struct sl_saved_state *state, struct sl_err *err)
{
    struct null_dest *d = (struct null_dest *)dest;

    (void)err;
    free(d->batch);
    d->batch = sl_strdup(state->batch);
    return 0;
}

static enum sl_flush
null_commit(struct sl_dest *d, struct sl_err *err)
{
    (void)d;
    (void)err;
    return SL_FLUSH_OK;
}

static void
null_rollback(struct sl_dest *d)
{
    (void)d;
}

static sl_rc
null_resolve(struct sl_dest *dest, const char *batch, bool *committed, struct sl_err *err)
{
    struct null_dest *d = (struct null_dest *)dest;

    (void)err;
    *committed = d->batch != NULL && strcmp(d->batch, batch) == 0;
    return 0;
}

const struct sl_dest_ops sl_null_ops = {
    .name = "null",
    .caps = { .many_writers = true,
              .transactional_ddl = true,
              .native_json = true,
              .nul_in_text = true,
              .name_max = 255 },
    .open = null_open,
    .close = null_close,
    .load = null_load,
    .stored = null_stored,
    .admit = null_admit,
    .begin = null_begin,
    .evolve = null_evolve,
    .apply = null_apply,
    .save_state = null_save_state,
    .commit = null_commit,
    .rollback = null_rollback,
    .resolve = null_resolve,
};
