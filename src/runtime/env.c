#include "runtime/env.h"

#include "base/time.h"
#include "runtime/explain.h"
#include "runtime/file.h"
#include "runtime/install.h"
#include "runtime/pipconf.h"
#include "runtime/proc.h"
#include "runtime/provided.h"
#include "runtime/prune.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Requirements without "==" may resolve to newer packages: look again once a day. */
#define UNPINNED_SECONDS (24 * 3600)
#define OUTPUT_MAX (4u << 20)
/* Part of every key: raise it when environments are made differently. */
#define LAYOUT "2"
#define META "sluice.json"

/* One environment on its way. */
struct making {
    const struct sl_env_conf *conf;
    struct sl_requirements req;
    char *uv, *key, *final, *building, *log, *lock;
    char *provided; /* added to the list although no file names them, or NULL */
    int lock_fd;
};

static void say(const struct making *m, const char *fmt, ...) SL_PRINTF(2, 3);

static void
say(const struct making *m, const char *fmt, ...)
{
    struct sl_err line;
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(line.text, sizeof line.text, fmt, ap);
    va_end(ap);
    m->conf->say(m->conf->ctx, line.text);
}

static void
progress(const struct making *m, const char *stage)
{
    if (m->conf->progress != NULL)
        m->conf->progress(m->conf->ctx, stage);
}

char *
sl_env_uv(const struct sl_python *py)
{
    const char *forced = getenv("SLUICE_INSTALLER");
    char *dir, *uv;

    if (forced != NULL && strcmp(forced, "pip") == 0)
        return NULL;
    dir = sl_path_dir(py->path);
    uv = sl_path_join(dir, "uv");
    free(dir);
    if (access(uv, X_OK) == 0)
        return uv;
    free(uv);
    return sl_find_program("uv", 0);
}

void
sl_env_free(struct sl_env *env)
{
    free(env->dir);
    free(env->python);
    *env = (struct sl_env){ 0 };
}

/* ---- the SDK's own folder ---- */

sl_rc
sl_env_sdk_path(char **out, struct sl_err *err)
{
    const char *package = sl_install_package();
    char *dir = NULL, *link = NULL, *tmp = NULL, *there;
    char key[33];
    sl_rc rc;

    if (package == NULL) {
        rc = sl_fail(err, SL_E_ENV,
                     "the package fivetran_connector_sdk was not found beside this program");
        sl_err_hint(err,
                    "run fivetran doctor; it says what is missing and how to install it again");
        return rc;
    }
    if (sl_install_cache() == NULL)
        return sl_fail(err, SL_E_ENV, "no folder for the cache: set HOME or SLUICE_CACHE");
    sl_hash_hex(sl_bytes_of(package), key);
    dir = sl_sprintf("%s/sdk/%s", sl_install_cache(), key);
    link = sl_path_join(dir, "fivetran_connector_sdk");
    there = sl_path_real(link);
    rc = SL_OK;
    if (there == NULL || strcmp(there, package) != 0) {
        tmp = sl_sprintf("%s.%ld", link, (long)getpid());
        rc = sl_mkdirs(dir, err);
        if (rc == SL_OK && (symlink(package, tmp) != 0 || rename(tmp, link) != 0))
            rc = sl_fail_errno(err, "cannot make the link %s", link);
    }
    if (rc == SL_OK) {
        *out = dir;
        dir = NULL;
    }
    free(there);
    free(tmp);
    free(link);
    free(dir);
    return rc;
}

/* ---- key and freshness ---- */

static void
make_key(struct making *m)
{
    const struct sl_python *py = m->conf->python;
    char *real = sl_path_real(py->base), hex[33];
    struct sl_buf text;

    sl_buf_init(&text, OUTPUT_MAX);
    sl_buf_addf(&text, "%s\n%s\n%s\n%s\n%s\n", LAYOUT, py->version, real ? real : py->base,
                py->platform, sl_requirements_any(&m->req) ? (m->uv ? "uv" : "pip") : "none");
    if (sl_requirements_any(&m->req))
        sl_requirements_key(&m->req, &text);
    sl_hash_hex((struct sl_bytes){ text.ptr, text.len }, hex);
    m->key = sl_strdup(hex);
    m->final = sl_sprintf("%s/envs/%s", sl_install_cache(), hex);
    m->building = sl_sprintf("%s.building-%ld", m->final, (long)getpid());
    m->log = sl_sprintf("%s/logs/%s.log", sl_install_cache(), hex);
    m->lock = sl_sprintf("%s.lock", m->final);
    sl_buf_free(&text);
    free(real);
}

/* Complete, its Python still there, and young enough. */
static bool
usable(const struct making *m, bool *expired)
{
    char *meta = sl_path_join(m->final, META), *python = sl_path_join(m->final, "bin/python");
    struct stat st;
    bool there = stat(meta, &st) == 0 && access(python, X_OK) == 0;

    *expired = there && sl_requirements_any(&m->req) && !m->req.pinned &&
               sl_now_us() / 1000000 - (int64_t)st.st_mtime > UNPINNED_SECONDS;
    free(meta);
    free(python);
    return there;
}

/* ---- the venv itself ---- */

/* As the module venv makes it, without a Python start and without needing ensurepip: pyvenv.cfg, symbolic links, an
 * empty site-packages. */
static sl_rc
make_venv(const struct making *m, struct sl_err *err)
{
    const struct sl_python *py = m->conf->python;
    char *bin = sl_path_join(m->building, "bin"), *site, *cfg, *home, *text, *versioned;
    char *links[3] = { sl_path_join(bin, "python"), sl_path_join(bin, "python3"),
                       sl_sprintf("%s/python3.%d", bin, py->minor) };
    sl_rc rc;

    site = sl_sprintf("%s/lib/python3.%d/site-packages", m->building, py->minor);
    cfg = sl_path_join(m->building, "pyvenv.cfg");
    home = sl_path_dir(py->base);
    text = sl_sprintf(
        "home = %s\ninclude-system-site-packages = false\nversion = %s\nexecutable = %s\n", home,
        py->version, py->base);
    versioned = sl_path_join(m->building, "lib64");
    rc = sl_mkdirs(site, err);
    if (rc == SL_OK)
        rc = sl_mkdirs(bin, err);
    if (rc == SL_OK)
        rc = sl_file_write(cfg, sl_bytes_of(text), false, err);
    for (size_t i = 0; rc == SL_OK && i < 3; i++)
        if (symlink(i == 0 ? py->base : "python", links[i]) != 0)
            rc = sl_fail_errno(err, "cannot make %s", links[i]);
#ifdef __linux__
    if (rc == SL_OK && symlink("lib", versioned) != 0)
        rc = sl_fail_errno(err, "cannot make %s", versioned);
#endif
    for (size_t i = 0; i < 3; i++)
        free(links[i]);
    free(versioned);
    free(text);
    free(home);
    free(cfg);
    free(site);
    free(bin);
    return rc;
}

/* Scripts begin with the path of the Python that installed them; the folder is renamed afterwards. */
static sl_rc
fix_script(const struct making *m, const char *path, struct sl_err *err)
{
    struct sl_buf buf;
    sl_rc rc = SL_OK;
    struct stat st;
    size_t n = strlen(m->building);
    char *text;

    if (lstat(path, &st) != 0 || !S_ISREG(st.st_mode) || st.st_size > 1 << 20)
        return SL_OK;
    sl_buf_init(&buf, 2u << 20);
    rc = sl_file_read(path, &buf, err);
    if (rc == SL_OK && buf.len > n + 2 && memcmp(buf.ptr, "#!", 2) == 0 &&
        memcmp(buf.ptr + 2, m->building, n) == 0) {
        text = sl_sprintf("#!%s%.*s", m->final, (int)(buf.len - n - 2), buf.ptr + n + 2);
        rc = sl_file_write(path, sl_bytes_of(text), false, err);
        free(text);
        if (rc == SL_OK && chmod(path, st.st_mode & 0777) != 0)
            rc = sl_fail_errno(err, "cannot change %s", path);
    }
    sl_buf_free(&buf);
    return rc;
}

static sl_rc
fix_scripts(const struct making *m, struct sl_err *err)
{
    char *bin = sl_path_join(m->building, "bin"), **names = NULL;
    sl_rc rc = sl_dir_names(bin, &names, err);

    for (size_t i = 0; rc == SL_OK && names[i] != NULL; i++) {
        char *path = sl_path_join(bin, names[i]);

        rc = fix_script(m, path, err);
        free(path);
    }
    sl_names_free(names);
    free(bin);
    return rc;
}

/* ---- installing ---- */

/* The SDK's names lead nowhere: pip and uv take the constraint's address instead of asking an index. */
static sl_rc
write_inputs(const struct making *m, const char *req_file, const char *con_file,
             const char *over_file, struct sl_err *err)
{
    struct sl_buf req, con, over;
    sl_rc rc;

    sl_buf_init(&req, OUTPUT_MAX);
    sl_buf_init(&con, OUTPUT_MAX);
    sl_buf_init(&over, OUTPUT_MAX);
    sl_requirements_text(&m->req, &req);
    for (size_t i = 0; sl_sdk_names[i] != NULL; i++) {
        sl_buf_addf(&con, "%s @ file:///sluice-provides-the-sdk/none-0-py3-none-any.whl\n",
                    sl_sdk_names[i]);
        /* uv leaves out what an override's condition excludes: a package that depends on the SDK finds ours. */
        sl_buf_addf(&over, "%s ; python_version < '3'\n", sl_sdk_names[i]);
    }
    rc = sl_file_write(req_file, (struct sl_bytes){ req.ptr, req.len }, false, err);
    if (rc == SL_OK)
        rc = sl_file_write(con_file, (struct sl_bytes){ con.ptr, con.len }, false, err);
    if (rc == SL_OK)
        rc = sl_file_write(over_file, (struct sl_bytes){ over.ptr, over.len }, false, err);
    sl_buf_free(&req);
    sl_buf_free(&con);
    sl_buf_free(&over);
    return rc;
}

static void
installer_vars(struct sl_vars *vars, const struct making *m)
{
    static const char *const unset[] = { "PYTHONPATH",      "PYTHONHOME",
                                         "PIP_USER",        "PIP_TARGET",
                                         "PIP_PREFIX",      "PIP_REQUIRE_VIRTUALENV",
                                         "PIP_PYTHON",      "UV_PROJECT_ENVIRONMENT",
                                         "UV_CONSTRAINT",   "UV_OVERRIDE",
                                         "UV_SYSTEM_PYTHON" };

    sl_vars_copy(vars);
    if (m->uv != NULL)
        sl_pipconf_for_uv(vars, getenv("VIRTUAL_ENV"));
    for (size_t i = 0; i < sizeof unset / sizeof unset[0]; i++)
        sl_vars_set(vars, unset[i], NULL);
    sl_vars_set(vars, "UV_PYTHON_DOWNLOADS", "never");
    sl_vars_set(vars, "VIRTUAL_ENV", m->building);
}

static void
installer_line(void *arg, const char *line)
{
    const struct making *m = arg;
    char stage[120];

    if (line == NULL) {
        progress(m, NULL);
        return;
    }
    snprintf(stage, sizeof stage, "%s: %.100s", m->uv ? "uv" : "pip", line + strspn(line, " \t"));
    progress(m, stage);
}

/* One run of a helper that belongs to the install; its output is appended to `out` and the log. */
static sl_rc
run_logged(const struct making *m, const char *const *argv, int log_fd, struct sl_buf *out,
           int *status, struct sl_err *err)
{
    struct sl_vars vars;
    sl_rc rc;

    installer_vars(&vars, m);
    rc = sl_run(&(struct sl_run){ .argv = argv,
                                  .env = vars.list,
                                  .cwd = m->conf->project,
                                  .log_fd = log_fd,
                                  .stop = m->conf->stop,
                                  .line = installer_line,
                                  .ctx = (void *)m },
                out, status, err);
    sl_vars_free(&vars);
    return rc;
}

/* pip learnt to install into another environment (--python) in 22.3. An older one, or none, means that the new
 * environment gets its own pip from the Python's ensurepip. */
static bool
pip_reaches_out(const struct sl_python *py)
{
    int major = 0, minor = 0;

    return py->pip != NULL && sscanf(py->pip, "%d.%d", &major, &minor) == 2 &&
           (major > 22 || (major == 22 && minor >= 3));
}

static sl_rc
ensure_pip(const struct making *m, const char *python, int log_fd, struct sl_buf *out,
           struct sl_err *err)
{
    const char *argv[] = { python, "-I", "-m", "ensurepip", NULL };
    int status = 0;
    sl_rc rc;

    progress(m, "ensurepip");
    rc = run_logged(m, argv, log_fd, out, &status, err);
    if (rc == SL_OK && status != 0) {
        rc = sl_fail(err, SL_E_ENV, "neither uv nor pip is available for %s",
                     m->conf->python->path);
        sl_err_hint(err, "install one of them: pip install uv, or python3 -m ensurepip "
                         "(Debian and Ubuntu: apt install python3-pip python3-venv)");
    }
    return rc;
}

static sl_rc
run_installer(const struct making *m, const char *python, const char *const files[3], int log_fd,
              struct sl_buf *out, int *status, struct sl_err *err)
{
    const char *with_uv[] = { m->uv,         "pip",        "install", "--python", python,
                              "--link-mode", "copy",       "-r",      files[0],   "-c",
                              files[1],      "--override", files[2],  NULL };
    const char *with_pip[] = { m->conf->python->path,
                               "-m",
                               "pip",
                               "--python",
                               python,
                               "install",
                               "--no-input",
                               "--no-compile",
                               "--disable-pip-version-check",
                               "--progress-bar",
                               "off",
                               "--retries",
                               "2",
                               "--timeout",
                               "15",
                               "-r",
                               files[0],
                               "-c",
                               files[1],
                               NULL };
    const char *own_pip[] = { python,
                              "-I",
                              "-m",
                              "pip",
                              "install",
                              "--no-input",
                              "--no-compile",
                              "--disable-pip-version-check",
                              "--progress-bar",
                              "off",
                              "--retries",
                              "2",
                              "--timeout",
                              "15",
                              "-r",
                              files[0],
                              "-c",
                              files[1],
                              NULL };
    sl_rc rc;

    if (m->uv != NULL)
        return run_logged(m, with_uv, log_fd, out, status, err);
    if (pip_reaches_out(m->conf->python))
        return run_logged(m, with_pip, log_fd, out, status, err);
    rc = ensure_pip(m, python, log_fd, out, err);
    if (rc)
        return rc;
    out->len = 0;
    return run_logged(m, own_pip, log_fd, out, status, err);
}

/* The name itself, its metadata, or an editable install's finder. */
static bool
is_sdk_entry(const char *name)
{
    static const char *const heads[] = { "fivetran_connector_sdk", "fivetran-connector-sdk",
                                         "__editable__.fivetran_connector_sdk",
                                         "__editable___fivetran_connector_sdk" };

    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++)
        if (strncasecmp(name, heads[i], strlen(heads[i])) == 0)
            return true;
    return false;
}

static sl_rc
refuse_sdk(const struct making *m, struct sl_err *err)
{
    char *site = sl_sprintf("%s/lib/python3.%d/site-packages", m->building, m->conf->python->minor),
         **names = NULL;
    sl_rc rc = sl_dir_names(site, &names, err);

    for (size_t i = 0; rc == SL_OK && names[i] != NULL; i++)
        if (is_sdk_entry(names[i])) {
            rc = sl_fail(err, SL_E_ENV, "a requirement brought its own copy of the SDK (%s)",
                         names[i]);
            sl_err_hint(err,
                        "remove that requirement: the SDK is always the one `fivetran` belongs to");
        }
    sl_names_free(names);
    free(site);
    return rc;
}

static sl_rc
install(const struct making *m, int log_fd, struct sl_err *err)
{
    char *files[3] = { sl_path_join(m->building, "sluice-requirements.txt"),
                       sl_path_join(m->building, "sluice-constraints.txt"),
                       sl_path_join(m->building, "sluice-overrides.txt") };
    char *python = sl_path_join(m->building, "bin/python");
    struct sl_buf out;
    int status = 0;
    sl_rc rc;

    sl_buf_init(&out, OUTPUT_MAX);
    rc = write_inputs(m, files[0], files[1], files[2], err);
    if (rc)
        goto out;
    rc = run_installer(m, python, (const char *const *)files, log_fd, &out, &status, err);
    if (rc == SL_OK && status != 0)
        rc = sl_explain_install(sl_buf_str(&out), &m->req, m->conf->python, m->log, err);
    if (rc == SL_OK)
        rc = refuse_sdk(m, err);
    if (rc == SL_OK)
        rc = fix_scripts(m, err);
out:
    sl_buf_free(&out);
    free(python);
    for (int i = 0; i < 3; i++)
        free(files[i]);
    return rc;
}

static sl_rc
write_meta(const struct making *m, struct sl_err *err)
{
    char *path = sl_path_join(m->building, META), *text;
    json_t *obj = json_object(), *list = json_array();
    sl_rc rc;

    json_object_set_new(obj, "created", json_integer(sl_now_us() / 1000000));
    json_object_set_new(obj, "python", json_string(m->conf->python->version));
    json_object_set_new(obj, "installer", json_string(m->uv ? "uv" : "pip"));
    for (size_t i = 0; i < m->req.count; i++)
        json_array_append_new(list, json_string(m->req.list[i].text));
    json_object_set_new(obj, "requirements", list);
    text = json_dumps(obj, JSON_INDENT(1));
    rc = text ? sl_file_write(path, sl_bytes_of(text), false, err)
              : sl_fail(err, SL_E_NOMEM, "no memory");
    free(text);
    json_decref(obj);
    free(path);
    return rc;
}

/* Leftovers of this key: of killed installs (we hold the lock) and of environments replaced earlier. */
static void
sweep(const struct making *m)
{
    char *dir = sl_path_dir(m->final), **names = NULL;

    if (sl_dir_names(dir, &names, NULL) == SL_OK) {
        for (size_t i = 0; names[i] != NULL; i++) {
            char *path = sl_path_join(dir, names[i]);

            if (strncmp(names[i], m->key, 32) == 0 && names[i][32] == '.' &&
                strcmp(names[i] + 32, ".lock") != 0 && sl_remove_tree(path, NULL) != SL_OK) {
                /* It will be tried again. */
            }
            free(path);
        }
    }
    sl_names_free(names);
    free(dir);
}

/* The old one stays under another name until the next sweep: a running connector may still import from it. */
static sl_rc
put_in_place(const struct making *m, struct sl_err *err)
{
    char *old = sl_sprintf("%s.old-%ld", m->final, (long)getpid());
    sl_rc rc = SL_OK;

    if (rename(m->final, old) != 0 && errno != ENOENT)
        rc = sl_fail_errno(err, "cannot replace %s", m->final);
    else if (rename(m->building, m->final) != 0)
        rc = sl_fail_errno(err, "cannot make %s", m->final);
    free(old);
    return rc;
}

static sl_rc
build(const struct making *m, struct sl_err *err)
{
    char *logs = sl_path_dir(m->log);
    int log_fd = -1;
    size_t n = 0;
    int64_t start = sl_mono_us();
    sl_rc rc;

    sweep(m);
    for (size_t i = 0; i < m->req.count; i++)
        n += !m->req.list[i].option;
    if (m->provided != NULL)
        say(m,
            "%s is imported but not listed: it is provided, as in production; list it to fix its "
            "version",
            m->provided);
    if (sl_requirements_any(&m->req)) {
        say(m, "installing %zu requirement%s from %s with %s for Python %s", n, n == 1 ? "" : "s",
            m->req.source, m->uv ? "uv" : "pip", m->conf->python->version);
        if (sl_mkdirs(logs, NULL) == SL_OK)
            log_fd = open(m->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    }
    rc = make_venv(m, err);
    if (rc == SL_OK && sl_requirements_any(&m->req))
        rc = install(m, log_fd, err);
    if (rc == SL_OK)
        rc = write_meta(m, err);
    if (rc == SL_OK)
        rc = put_in_place(m, err);
    if (rc == SL_OK && sl_requirements_any(&m->req))
        say(m, "environment ready after %.1f s; it is kept for the next run",
            (double)(sl_mono_us() - start) / 1e6);
    if (rc && sl_remove_tree(m->building, NULL) != SL_OK) {
        /* The next install sweeps it. */
    }
    if (log_fd >= 0)
        close(log_fd);
    free(logs);
    return rc;
}

static sl_rc
take_lock(struct making *m, struct sl_err *err)
{
    char *dir = sl_path_dir(m->lock);
    struct timespec nap = { .tv_nsec = 100 * 1000 * 1000 };
    bool told = false;
    sl_rc rc = sl_mkdirs(dir, err);

    while (rc == SL_OK) {
        rc = sl_lock_file(m->lock, false, &m->lock_fd, err);
        if (rc != SL_E_LOCKED)
            break;
        if (!told)
            say(m, "another process is preparing this environment; waiting");
        told = true;
        progress(m, "waiting for another install");
        if (m->conf->stop != NULL && atomic_load(m->conf->stop) != 0) {
            rc = sl_fail(err, SL_E_CANCELLED, "interrupted");
            break;
        }
        nanosleep(&nap, NULL);
        rc = SL_OK;
    }
    free(dir);
    return rc;
}

/* Makes it under the lock, unless another process has just done so. An expired environment outlives a failure to
 * renew it: yesterday's packages are better than none. */
static sl_rc
make(struct making *m, bool *made, struct sl_err *err)
{
    bool expired = false, there;
    sl_rc rc = take_lock(m, err);

    if (rc)
        return rc;
    there = usable(m, &expired);
    if (there && !expired && !m->conf->refresh)
        return SL_OK;
    rc = build(m, err);
    *made = rc == SL_OK;
    if (rc && rc != SL_E_CANCELLED && there && !m->conf->refresh) {
        say(m, "could not look for newer packages (%s); using those of the last install",
            err->text);
        rc = SL_OK;
    }
    return rc;
}

static void
say_dropped(const struct making *m)
{
    for (char **line = m->req.dropped; line != NULL && *line != NULL; line++)
        say(m, "%s: left out \"%s\", the SDK is always provided and does not belong there",
            m->req.source, *line);
}

sl_rc
sl_env_ensure(struct sl_env *env, const struct sl_env_conf *conf, struct sl_err *err)
{
    struct making m = { .conf = conf, .lock_fd = -1 };
    bool expired = false;
    sl_rc rc;

    *env = (struct sl_env){ 0 };
    if (sl_install_cache() == NULL)
        return sl_fail(err, SL_E_ENV, "no folder for the cache: set HOME or SLUICE_CACHE");
    rc = sl_requirements_load(&m.req, conf->project, err);
    if (rc)
        return rc;
    say_dropped(&m);
    m.provided = sl_provided_add(&m.req, conf->project);
    if (sl_requirements_any(&m.req))
        m.uv = sl_env_uv(conf->python);
    make_key(&m);
    if (conf->refresh || !usable(&m, &expired) || expired)
        rc = make(&m, &env->made, err);
    if (rc == SL_OK) {
        sl_prune_mark(m.lock);
        env->dir = sl_strdup(m.final);
        env->python = sl_path_join(m.final, "bin/python");
    } else if (rc != SL_E_CANCELLED && err != NULL) {
        rc = err->code = SL_E_ENV;
    }
    if (m.lock_fd >= 0)
        close(m.lock_fd);
    sl_requirements_free(&m.req);
    free(m.uv);
    free(m.provided);
    free(m.key);
    free(m.final);
    free(m.building);
    free(m.log);
    free(m.lock);
    return rc;
}
