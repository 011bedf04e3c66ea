/* prepare.c - what a connector needs before its session, for syncs and setup tests alike: its configuration, environment,
 * folder, jail and process; its log; and the end of all of that. */
#include "base/time.h"
#include "destinations/destination.h"
#include "model/form.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include "worker/running.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* INFO lines a connector may log per minute (what the hosted platform allows). */
#define INFO_PER_MINUTE 1500
/* Code up to this size is copied for each run, so that a connector may write beside it; larger code is read where it lies. */
#define COPY_FILES 500
#define COPY_BYTES ((int64_t)16 << 20)
#define MINUTE_US 60000000
/* Of an installer: a compiler needs more of both than a connector. */
#define INSTALL_MEMORY ((uint64_t)2 << 30)
#define INSTALL_PROCESSES 256

void
sl_running_init(struct sl_running *r, struct sl_worker *w)
{
    *r = (struct sl_running){ .w = w, .fd = -1, .stage = "starting" };
    sl_buf_init(&r->tail, 2 * SL_TAIL_MAX);
    pthread_mutex_init(&r->tail_lock, NULL);
    r->tables = json_array();
}

void
sl_running_free(struct sl_running *r)
{
    sl_running_again(r);
    for (int i = 0; i < 2; i++)
        sl_redact_stream_free(&r->streams[i]);
    sl_redact_free(r->red);
    json_decref(r->configuration);
    json_decref(r->form);
    json_decref(r->destination);
    json_decref(r->catalog);
    json_decref(r->tables);
    sl_buf_free(&r->tail);
    pthread_mutex_destroy(&r->tail_lock);
    free(r->mirrored);
    sl_record_free(SL_K_SYNC, &r->rec);
    sl_record_free(SL_K_CONNECTION, &r->con);
}

void
sl_running_again(struct sl_running *r)
{
    struct sl_err ignored;

    sl_child_free(r->child);
    r->child = NULL;
    sl_jail_free(r->jail);
    r->jail = NULL;
    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    if (r->work != NULL && sl_remove_tree(r->work, &ignored))
        fprintf(stderr, "sluiced: %s could not be removed: %s\n", r->work, ignored.text);
    free(r->work);
    free(r->code);
    r->work = r->code = NULL;
    sl_env_free(&r->env);
    sl_python_free(&r->python);
    r->out_of_memory = false;
}

void
sl_running_stage(struct sl_running *r, const char *stage)
{
    pthread_mutex_lock(&r->w->lock);
    r->stage = stage;
    sl_worker_changed(r->w);
    pthread_mutex_unlock(&r->w->lock);
}

/* ---- the log ---- */

void
sl_running_tell_dropped(struct sl_running *r)
{
    unsigned dropped = r->info_dropped;

    r->info_lines = r->info_dropped = 0;
    if (dropped)
        sl_running_say(r, SL_WARNING,
                       "%u INFO lines were dropped: a connector may log %d of them a minute",
                       dropped, INFO_PER_MINUTE);
}

/* The connector's INFO lines beyond the limit are counted, not kept; the count is told when the minute is over. */
static bool
within_limit(struct sl_running *r, enum sl_level level, enum sl_origin from)
{
    int64_t minute = sl_mono_us() / MINUTE_US;

    if (level != SL_INFO || from != SL_FROM_CONNECTOR)
        return true;
    if (minute != r->info_minute) {
        r->info_minute = minute;
        sl_running_tell_dropped(r);
    }
    if (++r->info_lines <= INFO_PER_MINUTE)
        return true;
    r->info_dropped++;
    return false;
}

void
sl_running_log(struct sl_running *r, enum sl_level level, enum sl_origin from, const char *text,
               size_t len)
{
    static const char *const origins[] = { "connector", "sdk", "sluice" };
    struct sl_buf out;

    if (r->test || level < SL_INFO || !within_limit(r, level, from))
        return;
    sl_buf_init(&out, (size_t)1 << 30);
    if (r->red != NULL)
        sl_redact_text(r->red, text, len, &out);
    else
        sl_buf_addn(&out, text, len);
    sl_logs_add(r->w->pf->logs, &(struct sl_log_line){ .time = sl_now_us(),
                                                       .connection_id = r->con.id,
                                                       .sync_id = r->rec.id,
                                                       .level = sl_level_name(level),
                                                       .origin = origins[from],
                                                       .text = out.ptr ? out.ptr : "",
                                                       .len = out.len });
    sl_buf_free(&out);
}

void
sl_running_say(struct sl_running *r, enum sl_level level, const char *fmt, ...)
{
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n >= 0)
        sl_running_log(r, level, SL_FROM_ENGINE, text, (size_t)n);
    free(text);
}

/* ---- configuration ---- */

static sl_rc
unseal_json(struct sl_running *r, const char *kind, const char *id, const char *sealed,
            json_t **out, struct sl_err *err)
{
    char *owner = sl_sprintf("%s:%s", kind, id), *plain = NULL;
    size_t len = 0;
    sl_rc rc = SL_OK;

    if (sealed == NULL) {
        *out = json_object();
    } else {
        rc = sl_vault_unseal(r->w->pf->vault, owner, sealed, &plain, &len, err);
        if (rc == SL_OK) {
            *out = json_loadb(plain, len, JSON_ALLOW_NUL, NULL);
            if (!json_is_object(*out))
                rc = sl_fail(err, SL_E_INTERNAL, "the sealed configuration of %s is damaged",
                             owner);
        }
    }
    sl_vault_wipe(plain, len);
    free(owner);
    return rc;
}

/* The form that the package brought; a sync does without when it cannot be read. */
static void
find_form(struct sl_running *r)
{
    struct sl_package p = { 0 };
    struct sl_err ignored = { 0 };

    if (r->con.package_id != NULL &&
        (sl_store_get(r->w->pf->store, SL_K_PACKAGE, r->con.package_id, &p, &ignored) ||
         sl_package_form(r->w->pf->packages, p.sha256, &r->form, &ignored)))
        fprintf(stderr, "sluiced: the configuration form of package %s: %s\n", r->con.package_id,
                ignored.text);
    sl_record_free(SL_K_PACKAGE, &p);
}

/* Its secrets may come back in an error of the warehouse. */
static void
hide_options(struct sl_running *r, const struct sl_dest_ops *ops)
{
    const char *name;
    json_t *value;

    json_object_foreach(r->destination, name, value)
    {
        const struct sl_option *o = sl_option_find(ops->options, name);

        if (json_is_string(value) && o != NULL && sl_option_is_secret(o))
            sl_redact_add(r->red, name, json_string_value(value), true);
    }
}

static sl_rc
open_destination(struct sl_running *r, struct sl_err *err)
{
    struct sl_destination d = { 0 };
    const struct sl_dest_ops *ops = NULL;
    sl_rc rc = sl_store_get(r->w->pf->store, SL_K_DESTINATION, r->con.group_id, &d, err);

    if (rc == SL_OK)
        rc = unseal_json(r, "destination", d.id, d.config, &r->destination, err);
    if (rc == SL_OK)
        ops = sl_destination_service(d.service);
    if (rc == SL_OK && ops == NULL)
        rc = sl_fail(err, SL_E_CONFIG, "this server has no destination of the kind %s", d.service);
    if (rc == SL_OK) {
        r->service = ops->name;
        hide_options(r, ops);
    }
    sl_record_free(SL_K_DESTINATION, &d);
    return rc;
}

sl_rc
sl_prepare_configuration(struct sl_running *r, struct sl_err *err)
{
    const char *key;
    json_t *value;
    sl_rc rc = unseal_json(r, "connection", r->con.id, r->con.secrets, &r->configuration, err);

    if (rc == SL_OK && r->given != NULL)
        json_object_update(r->configuration, (json_t *)(uintptr_t)r->given);
    find_form(r);
    r->red = sl_redact_new();
    json_object_foreach(r->configuration, key, value) if (json_is_string(value))
        sl_redact_add(r->red, key, json_string_value(value), sl_form_secret(r->form, key));
    if (rc == SL_OK)
        rc = open_destination(r, err);
    for (int i = 0; i < 2; i++)
        sl_redact_stream_init(&r->streams[i], r->red);
    return rc;
}

/* ---- environment ---- */

static void
on_say(void *ctx, const char *text)
{
    sl_running_say(ctx, SL_INFO, "%s", text);
}

static sl_rc
find_code(struct sl_running *r, struct sl_err *err)
{
    struct sl_package p = { 0 };
    sl_rc rc;

    if (r->con.package_id == NULL) {
        sl_fail(err, SL_E_CONFIG, "the connection has no code yet");
        sl_err_hint(err, "fivetran deploy --connection %s", r->con.schema);
        return SL_E_CONFIG;
    }
    rc = sl_store_get(r->w->pf->store, SL_K_PACKAGE, r->con.package_id, &p, err);
    if (rc == SL_OK) {
        sl_set_text(&r->rec.sha256, p.sha256);
        rc = sl_package_code(r->w->pf->packages, p.sha256, &r->code, err);
    }
    sl_record_free(SL_K_PACKAGE, &p);
    return rc;
}

static sl_rc
find_python(struct sl_running *r, struct sl_err *err)
{
    int64_t minor = 0;

    if (r->con.python_version == NULL || strncmp(r->con.python_version, "3.", 2) != 0 ||
        !sl_parse_i64(r->con.python_version + 2, SL_PYTHON_OLDEST, SL_PYTHON_NEWEST, &minor))
        return sl_fail(err, SL_E_CONFIG, "\"%s\" is no version of Python that connectors can use",
                       r->con.python_version ? r->con.python_version : "");
    return sl_python_minor(&r->python, (int)minor, err);
}

sl_rc
sl_prepare_environment(struct sl_running *r, struct sl_err *err)
{
    const struct sl_worker_conf *wc = &r->w->conf;
    char *name = sl_sprintf("%sinstall-%s", r->w->jail_prefix, r->rec.id);
    const struct sl_env_jail jail = {
        .mode = wc->sandbox,
        .name = name,
        .uid = geteuid() == 0 ? SL_UID_INSTALLER : 0,
        .memory = INSTALL_MEMORY,
        .processes = INSTALL_PROCESSES,
    };
    int64_t start = sl_mono_us();
    sl_rc rc;

    sl_running_stage(r, "environment");
    rc = find_code(r, err);
    if (rc == SL_OK)
        rc = find_python(r, err);
    if (rc == SL_OK)
        rc = sl_env_ensure(&r->env,
                           &(struct sl_env_conf){
                               .project = r->code,
                               .python = &r->python,
                               .cache = r->w->cache_dir,
                               .stop = &r->stop,
                               .jail = &jail,
                               .untrusted = true,
                               .allow_sources = wc->allow_any_requirement,
                               .allow_drivers = wc->allow_drivers,
                               .say = on_say,
                               .ctx = r,
                           },
                           err);
    r->env_us = sl_mono_us() - start;
    free(name);
    return rc;
}

/* ---- its folder ---- */

/* Copies a small tree of plain files and folders; false when it is not small. */
static bool
small_enough(const char *path, int *files, int64_t *bytes)
{
    DIR *d = opendir(path);
    struct dirent *e;
    bool small = d != NULL;

    while (small && (e = readdir(d)) != NULL) {
        struct stat st;
        char *sub;

        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0)
            continue;
        sub = sl_path_join(path, e->d_name);
        small = lstat(sub, &st) == 0 && ++*files <= COPY_FILES;
        if (small && S_ISDIR(st.st_mode))
            small = small_enough(sub, files, bytes);
        else if (small)
            small = (*bytes += st.st_size) <= COPY_BYTES;
        free(sub);
    }
    if (d != NULL)
        closedir(d);
    return small;
}

static sl_rc
copy_tree(const char *from, const char *to, struct sl_err *err)
{
    char **names = NULL;
    sl_rc rc = sl_mkdirs(to, err);

    if (rc == SL_OK)
        rc = sl_dir_names(from, &names, err);
    for (size_t i = 0; rc == SL_OK && names[i] != NULL; i++) {
        char *a = sl_path_join(from, names[i]), *b = sl_path_join(to, names[i]);
        bool folder = sl_is_dir(a);
        struct sl_buf buf;

        sl_buf_init(&buf, (size_t)COPY_BYTES + 1);
        rc = folder ? copy_tree(a, b, err) : sl_file_read(a, &buf, err);
        if (rc == SL_OK && !folder)
            rc = sl_file_write(b, (struct sl_bytes){ buf.ptr, buf.len }, false, err);
        sl_buf_free(&buf);
        free(a);
        free(b);
    }
    sl_names_free(names);
    return rc;
}

/* <run>/<sync>/ with tmp/ and, where it is small, a copy of the code. */
static sl_rc
make_folder(struct sl_running *r, struct sl_err *err)
{
    char *tmp, *copy;
    int files = 0;
    int64_t bytes = 0;
    sl_rc rc;

    r->work = sl_path_join(r->w->run_dir, r->rec.id);
    tmp = sl_path_join(r->work, "tmp");
    rc = sl_mkdirs(tmp, err);
    if (rc == SL_OK && small_enough(r->code, &files, &bytes)) {
        copy = sl_path_join(r->work, "code");
        rc = copy_tree(r->code, copy, err);
        free(r->code);
        r->code = copy;
    }
    free(tmp);
    return rc;
}

/* ---- its process ---- */

/* print(), logging and crashes of the connector: no log entries; the end of it is shown when the sync fails. */
static void
on_output(void *ctx, bool is_stderr, const char *text, size_t len)
{
    struct sl_running *r = ctx;
    struct sl_buf out;

    sl_buf_init(&out, (size_t)1 << 30);
    sl_redact_stream_put(&r->streams[is_stderr], text, len, len == 0, &out);
    pthread_mutex_lock(&r->tail_lock);
    sl_buf_keep_last(&r->tail, SL_TAIL_MAX, out.ptr ? out.ptr : "", out.len);
    pthread_mutex_unlock(&r->tail_lock);
    sl_buf_free(&out);
}

static sl_rc
open_jail(struct sl_running *r, struct sl_err *err)
{
    /* A copy of the code lies in the work folder and may be written. */
    bool copied = strncmp(r->code, r->work, strlen(r->work)) == 0;
    char **reads = sl_env_reads(&r->env, &r->python, r->w->sdk_path, copied ? NULL : r->code);
    char *name = sl_sprintf("%s%s", r->w->jail_prefix, r->rec.id);
    struct sl_jail_conf conf = {
        .mode = r->w->conf.sandbox,
        .name = name,
        .work = r->work,
        .read = (const char *const *)reads,
        .uid = geteuid() == 0 ? SL_UID_FIRST + (unsigned)r->place : 0,
        .memory = r->con.memory_limit ? (uint64_t)r->con.memory_limit : r->w->conf.memory,
    };
    sl_rc rc = sl_jail_new(&r->jail, &conf, err);

    if (rc == SL_OK) {
        sl_set_text(&r->rec.walls, sl_jail_walls(r->jail));
    }
    free(name);
    sl_names_free(reads);
    return rc;
}

sl_rc
sl_prepare_connector(struct sl_running *r, struct sl_err *err)
{
    struct sl_vars vars = { 0 };
    sl_rc rc;

    sl_running_stage(r, "starting the connector");
    rc = make_folder(r, err);
    if (rc == SL_OK)
        rc = open_jail(r, err);
    if (rc)
        return rc;
    sl_child_server_vars(&vars, &(struct sl_child_names){ .connection_id = r->con.id,
                                                          .connection_name = r->con.schema,
                                                          .group_id = r->con.group_id,
                                                          .work = r->work });
    rc = sl_child_start(&r->child,
                        &(struct sl_child_conf){ .python = r->env.python,
                                                 .sdk_path = r->w->sdk_path,
                                                 .venv = r->env.dir,
                                                 .project = r->code,
                                                 .safe_path = r->python.minor >= 11,
                                                 .jail = r->jail,
                                                 .vars = &vars,
                                                 .output = on_output,
                                                 .ctx = r },
                        &r->fd, err);
    sl_vars_free(&vars);
    return rc;
}

void
sl_running_end_child(struct sl_running *r, sl_rc rc)
{
    uint64_t peak;

    if (r->fd >= 0)
        close(r->fd);
    r->fd = -1;
    if (r->child == NULL)
        return;
    r->rec.peak_memory = (int64_t)sl_jail_peak(r->jail);
    sl_child_end(r->child, rc == SL_E_CANCELLED && r->why == SL_WHY_SHUTDOWN ? SL_CHILD_KILL
                           : rc == SL_E_TIMEOUT || rc == SL_E_CANCELLED      ? SL_CHILD_STOP
                                                                             : SL_CHILD_WAIT);
    sl_jail_kill(r->jail);
    r->out_of_memory = rc != SL_OK && sl_jail_out_of_memory(r->jail);
    peak = sl_jail_peak(r->jail);
    if ((int64_t)peak > r->rec.peak_memory)
        r->rec.peak_memory = (int64_t)peak;
}
