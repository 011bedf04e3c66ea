#include "cli/local.h"

#include "base/fault.h"
#include "base/time.h"
#include "cli/report.h"
#include "destinations/destination.h"
#include "model/form.h"
#include "runtime/env.h"
#include "runtime/file.h"
#include "runtime/install.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

/* How much of the connector's own output is kept for the report of a failure. */
#define TAIL_MAX (64u << 10)
/* A state shown in a checkpoint line is cut here; the whole is in files/state.json. */
#define STATE_SHOWN 300
#define CHECKPOINTS_SHOWN 20

atomic_int sl_stop;

/* ---- signals ---- */

static const char *first_text;

static void
on_signal(int sig)
{
    int n = atomic_fetch_add(&sl_stop, 1) + 1;

    (void)sig;
    if (n == 1 && write(STDERR_FILENO, first_text, strlen(first_text)) < 0)
        return;
    /* Twice was not enough: the children go with us. */
    if (n > 2)
        _exit(130);
}

void
sl_catch_signals(const char *first)
{
    struct sigaction act = { .sa_handler = on_signal, .sa_flags = SA_RESTART };

    first_text = first;
    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
}

/* ---- what the session tells ---- */

static void
on_log(void *ctx, enum sl_level level, enum sl_origin from, const char *text, size_t len)
{
    struct sl_local *loc = ctx;

    sl_console_log(loc->con, level, from, text, len);
}

static void
on_started(void *ctx)
{
    struct sl_local *loc = ctx;

    sl_console_name(loc->con, SL_INFO, "calling schema()");
}

static void
on_schema_done(void *ctx)
{
    struct sl_local *loc = ctx;

    sl_console_name(loc->con, SL_INFO, "calling update()");
}

static void
on_table_created(void *ctx, const char *name)
{
    struct sl_local *loc = ctx;

    sl_console_name(loc->con, SL_INFO, "table created: %s", name);
}

/* The first ones, then one a second: a connector may make a thousand of them. */
static void
on_checkpoint(void *ctx, uint64_t number, const char *state, size_t len)
{
    struct sl_local *loc = ctx;
    int64_t now = sl_mono_us();

    if (number > CHECKPOINTS_SHOWN && now - loc->checkpoint_us < 1000000)
        return;
    loc->checkpoint_us = now;
    sl_console_name(loc->con, SL_INFO, "Checkpoint: %.*s%s",
                    (int)(len > STATE_SHOWN ? STATE_SHOWN : len), state,
                    len > STATE_SHOWN ? "…" : "");
}

static sl_rc
on_committed(void *ctx, uint64_t number, const char *state, size_t len, struct sl_err *err)
{
    struct sl_local *loc = ctx;
    sl_rc rc = SL_FAULT_POINT(mirror_before, err);

    (void)number;
    if (rc == SL_OK)
        rc = sl_file_write(loc->pro.mirror, (struct sl_bytes){ state, len }, true, err);
    if (rc == SL_OK)
        rc = SL_FAULT_POINT(mirror_after, err);
    return rc;
}

static void
on_progress(void *ctx, const struct sl_counts *now)
{
    struct sl_local *loc = ctx;
    uint64_t rows = now->upserts + now->updates + now->deletes;
    int64_t us = sl_mono_us();
    char text[120], count[32], rate[32];

    if (!sl_console_shows_progress(loc->con))
        return;
    if (us - loc->rate_us >= 1000000) {
        loc->rate = (rows - loc->rate_rows) * 1000000 / (uint64_t)(us - loc->rate_us);
        loc->rate_us = us;
        loc->rate_rows = rows;
    }
    sl_group_digits(rows, count);
    sl_group_digits(loc->rate, rate);
    snprintf(text, sizeof text, "%s rows · %s rows/s · %.1f s", count, rate,
             (double)(us - loc->start_us) / 1e6);
    sl_console_progress(loc->con, text);
}

/* ---- the connector's own output ---- */

/* Whole lines are shown: Python writes one print() in several pieces. */
static void
show_lines(struct sl_local *loc, struct sl_buf *line, bool all)
{
    size_t n = line->len;

    while (!all && n > 0 && line->ptr[n - 1] != '\n' && line->ptr[n - 1] != '\r')
        n--;
    if (n == 0)
        return;
    sl_console_raw(loc->con, line->ptr, n);
    sl_buf_keep_last(&loc->tail, TAIL_MAX, line->ptr, n);
    memmove(line->ptr, line->ptr + n, line->len - n);
    line->len -= n;
}

static void
on_output(void *ctx, bool is_stderr, const char *text, size_t len)
{
    struct sl_local *loc = ctx;
    struct sl_buf *line = &loc->lines[is_stderr];

    if (atomic_load(&loc->muted))
        return;
    sl_redact_stream_put(&loc->streams[is_stderr], text, len, len == 0, line);
    show_lines(loc, line, len == 0 || line->len > TAIL_MAX);
    loc->printed = loc->printed || len > 0;
}

/* ---- preparing ---- */

void
sl_local_init(struct sl_local *loc)
{
    *loc = (struct sl_local){
        .naming = SL_NAMING_FIVETRAN, .level = SL_DEBUG, .fd = -1, .pro = { .lock_fd = -1 }
    };
    sl_buf_init(&loc->state, SL_TEXT_FILE_MAX);
    sl_buf_init(&loc->tail, 2 * TAIL_MAX);
    for (int i = 0; i < 2; i++)
        sl_buf_init(&loc->lines[i], (size_t)1 << 30);
}

sl_rc
sl_local_naming(struct sl_local *loc, const char *text, struct sl_err *err)
{
    sl_rc rc;

    if (text == NULL || strcasecmp(text, "FIVETRAN") == 0 ||
        strcasecmp(text, "FIVETRAN_NAMING") == 0) {
        loc->naming = SL_NAMING_FIVETRAN;
        return SL_OK;
    }
    if (strcasecmp(text, "SOURCE") == 0 || strcasecmp(text, "SOURCE_NAMING") == 0) {
        loc->naming = SL_NAMING_SOURCE;
        return SL_OK;
    }
    rc = sl_fail(err, SL_E_USAGE, "--naming is FIVETRAN or SOURCE, not \"%s\"", text);
    sl_err_hint(
        err,
        "FIVETRAN renames tables and columns to lower_snake_case, SOURCE keeps them as written");
    return rc;
}

sl_rc
sl_local_level(struct sl_local *loc, const char *text, struct sl_err *err)
{
    int64_t number;

    if (text == NULL)
        return SL_OK;
    if (sl_parse_i64(text, SL_DEBUG, SL_CRITICAL, &number)) {
        loc->level = (enum sl_level)number;
        return SL_OK;
    }
    for (enum sl_level level = SL_DEBUG; level <= SL_CRITICAL; level++)
        if (strcasecmp(text, sl_level_name(level)) == 0) {
            loc->level = level;
            return SL_OK;
        }
    return sl_fail(err, SL_E_USAGE,
                   "--log-level is one of DEBUG, FINE, INFO, WARNING, ERROR, SEVERE, CRITICAL, "
                   "not \"%s\"",
                   text);
}

/* "pg" of "/etc/pg.json", of the letters a file name may have here. malloc'ed. */
static char *
stem_of(const char *path)
{
    char *stem = sl_strdup(sl_path_base(path)), *dot = strrchr(stem, '.');

    if (dot != NULL && dot != stem)
        *dot = '\0';
    for (char *p = stem; *p; p++)
        if (!((*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') || (*p >= '0' && *p <= '9') ||
              *p == '-' || *p == '_'))
            *p = '_';
    return stem;
}

/* Relative to the file that names it. */
static void
place_file(struct sl_local *loc, const char *folder)
{
    const char *path = sl_option(loc->dest.values, "path");
    char *full = path[0] == '/' ? sl_strdup(path) : sl_path_join(folder, path);

    free(loc->pro.warehouse);
    loc->pro.warehouse = full;
}

sl_rc
sl_local_destination(struct sl_local *loc, const char *path, struct sl_err *err)
{
    struct sl_buf text;
    char *folder, *stem, *name;
    sl_rc rc;

    if (path == NULL)
        return SL_OK;
    sl_buf_init(&text, SL_TEXT_FILE_MAX);
    folder = sl_path_dir(path);
    rc = sl_file_read(path, &text, err);
    if (rc == SL_OK)
        rc = sl_dest_file_read(&loc->dest, sl_buf_str(&text), text.len, folder, err);
    if (rc) {
        sl_err_wrap(err, "the destination %s", path);
        rc = err->code == SL_E_IO || err->code == SL_E_NOT_FOUND ? SL_E_CONFIG : rc;
        err->code = rc;
        goto out;
    }
    loc->destination_path = sl_strdup(path);
    stem = stem_of(path);
    name = sl_sprintf("state.%s.json", stem);
    free(loc->pro.mirror);
    loc->pro.mirror = sl_path_join(loc->pro.files, name);
    free(name);
    free(stem);
    if (strcmp(loc->dest.type, "duckdb") == 0)
        place_file(loc, folder);
out:
    if (text.ptr != NULL)
        memset(text.ptr, 0, text.len);
    sl_buf_free(&text);
    free(folder);
    return rc;
}

static void
hide_options(struct sl_local *loc)
{
    const struct sl_dest_ops *ops = loc->dest.type ? sl_destination_find(loc->dest.type) : NULL;
    const char *name;
    json_t *value;

    json_object_foreach(loc->dest.values, name, value)
    {
        const struct sl_option *o = sl_option_find(ops->options, name);

        if (json_is_string(value) && o != NULL && sl_option_is_secret(o))
            sl_redact_add(loc->red, name, json_string_value(value), true);
    }
}

void
sl_local_open_console(struct sl_local *loc)
{
    const char *key;
    json_t *value;

    loc->red = sl_redact_new();
    json_object_foreach(loc->configuration, key, value)
        sl_redact_add(loc->red, key, json_string_value(value), sl_form_secret(loc->form, key));
    hide_options(loc);
    for (int i = 0; i < 2; i++)
        sl_redact_stream_init(&loc->streams[i], loc->red);
    loc->con = sl_console_new(loc->red);
}

sl_rc
sl_local_start_child(struct sl_local *loc, const char *python, const char *venv, bool safe_path,
                     struct sl_err *err)
{
    char *sdk = NULL;
    sl_rc rc = sl_env_sdk_path(&sdk, NULL, err);

    if (rc == SL_OK)
        rc = sl_child_start(&loc->child,
                            &(struct sl_child_conf){ .python = python,
                                                     .sdk_path = sdk,
                                                     .venv = venv,
                                                     .project = loc->pro.dir,
                                                     .safe_path = safe_path,
                                                     .output = on_output,
                                                     .ctx = loc },
                            &loc->fd, err);
    free(sdk);
    return rc;
}

void
sl_local_free(struct sl_local *loc)
{
    sl_child_free(loc->child);
    if (loc->fd >= 0)
        close(loc->fd);
    sl_console_free(loc->con);
    for (int i = 0; i < 2; i++) {
        sl_redact_stream_free(&loc->streams[i]);
        sl_buf_free(&loc->lines[i]);
    }
    sl_redact_free(loc->red);
    json_decref(loc->configuration);
    sl_dest_file_free(&loc->dest);
    free(loc->destination_path);
    sl_buf_free(&loc->state);
    sl_buf_free(&loc->tail);
    if (loc->pro.lock_fd >= 0)
        (void)rmdir(loc->pro.spill);
    sl_project_close(&loc->pro);
}

/* ---- running ---- */

static sl_rc
need_duckdb(struct sl_err *err)
{
    const char *lib = sl_install_duckdb();

    if (lib == NULL || access(lib, R_OK) != 0) {
        sl_fail(err, SL_E_ENV, "the database library %s is missing: the installation is broken",
                lib ? lib : "libduckdb");
        sl_err_hint(err,
                    "run fivetran doctor; it says what is missing and how to install it again");
        return SL_E_ENV;
    }
    setenv("SLUICE_DUCKDB_LIB", lib, 1);
    return SL_OK;
}

static sl_rc
run_session(struct sl_local *loc, struct sl_session_result *res, struct sl_err *err)
{
    const struct sl_sink sink = {
        .ctx = loc,
        .log = on_log,
        .started = on_started,
        .schema_done = on_schema_done,
        .table_created = on_table_created,
        .checkpoint = on_checkpoint,
        .committed = on_committed,
        .progress = on_progress,
    };
    char *text = json_dumps(loc->configuration, JSON_COMPACT);
    char *options = loc->dest.values ? json_dumps(loc->dest.values, JSON_COMPACT) : NULL;
    char *mirror_name = sl_sprintf("files/%s", sl_path_base(loc->pro.mirror));
    struct sl_buf mirror;
    struct sl_session_conf conf = {
        .destination = loc->dest.type ? loc->dest.type : "duckdb",
        .location = loc->pro.warehouse,
        .spill_dir = loc->pro.spill,
        .connection = loc->dest.schema ? loc->dest.schema : "tester",
        .mode = "debug",
        .project = loc->pro.dir,
        .mirror_name = mirror_name,
        .naming = loc->naming,
        .log_level = loc->level,
        .durable = loc->durable,
        .memory_limit = loc->memory,
        .fd = loc->fd,
        .idle_timeout_us = loc->idle_us,
        .sink = &sink,
        .stop = &sl_stop,
    };
    sl_rc rc = SL_OK;

    sl_buf_init(&mirror, SL_TEXT_FILE_MAX);
    if (text == NULL) {
        rc = sl_fail(err, SL_E_NOMEM, "no memory for the configuration");
        goto out;
    }
    conf.configuration = sl_bytes_of(text);
    if (options != NULL)
        conf.options = sl_bytes_of(options);
    if (loc->state.len > 0)
        conf.state = (struct sl_bytes){ loc->state.ptr, loc->state.len };
    if (sl_is_file(loc->pro.mirror)) {
        rc = sl_file_read(loc->pro.mirror, &mirror, err);
        conf.mirror = (struct sl_bytes){ sl_buf_str(&mirror), mirror.len };
    }
    if (rc == SL_OK) {
        loc->start_us = loc->rate_us = sl_mono_us();
        loc->fd = -1; /* the session closes it */
        rc = sl_session_run(&conf, res, err);
    }
out:
    if (text != NULL)
        memset(text, 0, strlen(text));
    if (options != NULL)
        memset(options, 0, strlen(options));
    free(text);
    free(options);
    free(mirror_name);
    sl_buf_free(&mirror);
    return rc;
}

static enum sl_child_patience
patience_for(sl_rc rc)
{
    if (rc == SL_E_CANCELLED && atomic_load(&sl_stop) > 1)
        return SL_CHILD_STOP;
    return rc == SL_E_TIMEOUT ? SL_CHILD_STOP : SL_CHILD_WAIT;
}

int
sl_local_failed(struct sl_local *loc, const struct sl_err *err)
{
    if (loc->con == NULL)
        return sl_report(err);
    return sl_report_failure(loc, NULL, err);
}

int
sl_local_run(struct sl_local *loc)
{
    struct sl_session_result res = { 0 };
    struct sl_err err = { 0 };
    int code;
    bool duckdb = loc->dest.type == NULL || strcmp(loc->dest.type, "duckdb") == 0;
    sl_rc rc = duckdb ? need_duckdb(&err) : SL_OK;

    if (rc == SL_OK)
        rc = run_session(loc, &res, &err);
    if (loc->fd >= 0)
        close(loc->fd);
    loc->fd = -1;
    sl_console_progress(loc->con, NULL);
    atomic_store(&loc->muted, rc != SL_OK && rc != SL_E_CONNECTOR);
    if (loc->child != NULL)
        sl_child_end(loc->child, patience_for(rc));
    if (rc == SL_OK)
        code = sl_report_success(loc, &res);
    else
        code = sl_report_failure(loc, &res, &err);
    sl_session_result_free(&res);
    return code;
}
