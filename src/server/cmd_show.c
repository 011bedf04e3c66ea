/* cmd_show.c - `sluiced show`: what is in the store, beside a running server or without one. Read-only. */
#include "platform/platform.h"
#include "runtime/file.h"
#include "server/commands.h"
#include "server/listing.h"

#include <string.h>

#define ROWS_DEFAULT 50
#define ROWS_MAX 100000

static const struct sl_opt opts[] = {
    SL_OPT_DATA,
    { "rows", "N", NULL, "syncs shown (default 50)", 'n' },
    SL_OPT_JSON,
    { 0 },
};

sl_rc
sl_arg_data(const struct sl_args *args, const char **dir, struct sl_err *err)
{
    *dir = sl_arg(args, "data");
    if (*dir != NULL)
        return SL_OK;
    sl_fail(err, SL_E_USAGE, "--data DIR is needed: the folder where the server keeps everything");
    sl_err_hint(err, "or set SLUICE_DATA");
    return SL_E_USAGE;
}

static sl_rc
show(struct sl_store *st, const char *what, bool json, int rows, struct sl_err *err)
{
    sl_rc rc;

    if (strcmp(what, "connections") == 0)
        return sl_show_connections(st, json, err);
    if (strcmp(what, "syncs") == 0)
        return sl_show_syncs(st, json, rows, err);
    if (strcmp(what, "jobs") == 0)
        return sl_show_jobs(st, json, err);
    if (strcmp(what, "keys") == 0)
        return sl_show_keys(st, json, err);
    if (strcmp(what, "users") == 0)
        return sl_show_users(st, json, err);
    rc = sl_fail(err, SL_E_USAGE, "there is nothing called \"%s\" to show", what);
    sl_err_hint(err, "connections, syncs, jobs, keys or users");
    return rc;
}

static int
run(const struct sl_args *args)
{
    const char *rows = sl_arg(args, "rows"), *dir;
    struct sl_store *st = NULL;
    struct sl_err err = { 0 };
    int64_t n = ROWS_DEFAULT;
    sl_rc rc = sl_arg_data(args, &dir, &err);

    if (rc == SL_OK && rows != NULL && !sl_parse_i64(rows, 1, ROWS_MAX, &n))
        rc = sl_fail(&err, SL_E_USAGE, "--rows is a number from 1 to %d, not \"%s\"", ROWS_MAX,
                     rows);
    if (rc == SL_OK)
        rc = sl_platform_store(&st, dir, &err);
    if (rc == SL_OK)
        rc = show(st, args->nrest ? args->rest[0] : "connections", sl_arg_flag(args, "json"),
                  (int)n, &err);
    sl_store_close(st);
    return rc ? sl_report(&err) : 0;
}

const struct sl_command sl_sluiced_show = {
    .name = "show",
    .operands = "[connections|syncs|jobs|keys] --data DIR [--rows N] [--json]",
    .summary = "show what a server knows; also while it runs",
    .opts = opts,
    .max_rest = 1,
    .run = run,
};
