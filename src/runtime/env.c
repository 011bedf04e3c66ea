#include "runtime/env.h"

#include "base/time.h"
#include "runtime/explain.h"
#include "runtime/file.h"
#include "runtime/install.h"
#include "runtime/installer.h"
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
#define DRIVERS_DEPTH 16

/* One environment on its way. */
struct making {
    const struct sl_env_conf *conf;
    struct sl_requirements req;
    const char *cache;
    char *uv, *key, *final, *building, *log, *lock;
    char *work;     /* on a server: the installer's folder, with `building` in it; else NULL */
    char *provided; /* added to the list although no file names them, or NULL */
    char *drivers;  /* drivers/installation.sh, to be run; or NULL */
    int lock_fd;
    int64_t deadline_us;
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
sl_env_sdk_path(char **out, const char *cache, struct sl_err *err)
{
    const char *package = sl_install_package();
    char *dir = NULL, *parent, *link = NULL, *tmp = NULL, *there;
    char key[33];
    sl_rc rc;

    if (package == NULL) {
        rc = sl_fail(err, SL_E_ENV,
                     "the package fivetran_connector_sdk was not found beside this program");
        sl_err_hint(err,
                    "run fivetran doctor; it says what is missing and how to install it again");
        return rc;
    }
    cache = cache != NULL ? cache : sl_install_cache();
    if (cache == NULL)
        return sl_fail(err, SL_E_ENV, "no folder for the cache: set HOME or SLUICE_CACHE");
    sl_hash_hex(sl_bytes_of(package), key);
    dir = sl_sprintf("%s/sdk/%s", cache, key);
    parent = sl_path_dir(dir);
    link = sl_path_join(dir, "fivetran_connector_sdk");
    there = sl_path_real(link);
    rc = SL_OK;
    if (there == NULL || strcmp(there, package) != 0) {
        tmp = sl_sprintf("%s.%ld-%lld", link, (long)getpid(), (long long)sl_mono_us());
        rc = sl_mkdirs(dir, err);
        /* Connectors of a server run as users of their own, and its umask is strict. */
        if (rc == SL_OK && (chmod(dir, 0755) != 0 || chmod(parent, 0755) != 0))
            rc = sl_fail_errno(err, "cannot change %s", dir);
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
    free(parent);
    free(dir);
    return rc;
}

char **
sl_env_reads(const struct sl_env *env, const struct sl_python *py, const char *sdk_path,
             const char *project)
{
    const char *const paths[] = { env->dir, py->prefix, sdk_path, sl_install_package(), project };
    size_t n = 0;
    char **list = sl_zalloc(sizeof paths / sizeof paths[0] + 1, sizeof *list);

    for (size_t i = 0; i < sizeof paths / sizeof paths[0]; i++)
        if (paths[i] != NULL)
            list[n++] = sl_strdup(paths[i]);
    return list;
}

/* ---- key and freshness ---- */

/* What the script installs from: names and contents of the folder. A file that cannot be read fails later, with its name. */
static void
add_folder_key(const char *dir, int depth, struct sl_buf *text)
{
    char **names = NULL;

    if (depth > DRIVERS_DEPTH || sl_dir_names(dir, &names, NULL) != SL_OK)
        return;
    for (size_t i = 0; names[i] != NULL; i++) {
        char *path = sl_path_join(dir, names[i]), hex[65] = "";

        if (sl_is_dir(path))
            add_folder_key(path, depth + 1, text);
        else if (sl_file_sha256(path, hex, NULL) == SL_OK)
            sl_buf_addf(text, "%s %s\n", names[i], hex);
        free(path);
    }
    sl_names_free(names);
}

static void
add_drivers_key(const char *project, struct sl_buf *text)
{
    char *dir = sl_path_join(project, "drivers");

    add_folder_key(dir, 0, text);
    free(dir);
}

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
    if (m->drivers != NULL)
        add_drivers_key(m->conf->project, &text);
    sl_hash_hex((struct sl_bytes){ text.ptr, text.len }, hex);
    m->key = sl_strdup(hex);
    m->final = sl_sprintf("%s/envs/%s", m->cache, hex);
    if (m->conf->jail != NULL) {
        m->work = sl_sprintf("%s.work-%ld", m->final, (long)getpid());
        m->building = sl_path_join(m->work, "venv");
    } else {
        m->building = sl_sprintf("%s.building-%ld", m->final, (long)getpid());
    }
    m->log = sl_sprintf("%s/logs/%s.log", m->cache, hex);
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
    struct stat st;
    sl_rc rc;

    if (lstat(bin, &st) != 0 || !S_ISDIR(st.st_mode))
        rc = sl_fail(err, SL_E_ENV, "a requirement replaced the environment's folder bin");
    else
        rc = sl_dir_names(bin, &names, err);
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

/* ---- behind walls ---- */

static int64_t
timeout_of(const struct sl_env_conf *conf)
{
    return conf->timeout_us > 0 ? conf->timeout_us : SL_ENV_TIMEOUT_US;
}

static sl_rc
new_jail(const struct making *m, const struct sl_installer *ins, struct sl_jail **jail,
         struct sl_err *err)
{
    const struct sl_env_jail *walls = m->conf->jail;
    char *shared = sl_sprintf("%s/packages", m->cache);
    const char *write[2] = { ins->build ? NULL : shared, NULL };
    char **read = sl_installer_reads(ins);
    size_t n = 0;
    sl_rc rc = sl_mkdirs(shared, err);

    while (read[n] != NULL)
        n++;
    if (m->conf->allow_sources) { /* the list may name folders of the project */
        read = sl_realloc(read, n + 2, sizeof *read);
        read[n] = sl_strdup(m->conf->project);
        read[n + 1] = NULL;
    }
    if (rc == SL_OK)
        rc = sl_jail_new(jail,
                         &(struct sl_jail_conf){ .mode = walls->mode,
                                                 .name = walls->name,
                                                 .work = m->work,
                                                 .read = (const char *const *)read,
                                                 .write = write,
                                                 .uid = walls->uid,
                                                 .memory = walls->memory,
                                                 .processes = walls->processes },
                         err);
    sl_names_free(read);
    free(shared);
    return rc;
}

/* The installer as its own user. What it leaves is ours again before anybody looks into it. */
static sl_rc
jailed(const struct making *m, struct sl_installer *ins, struct sl_buf *out, int *status,
       struct sl_err *err)
{
    char *cache = ins->build ? sl_path_join(m->work, "cache") : sl_sprintf("%s/packages", m->cache);
    struct sl_jail *jail = NULL;
    sl_rc rc;

    ins->cache = cache;
    rc = new_jail(m, ins, &jail, err);
    if (rc)
        goto out;
    ins->jail = jail;
    rc = sl_installer_run(ins, out, status, err);
    if (rc == SL_OK && *status != 0 && sl_jail_out_of_memory(jail)) {
        rc = sl_fail(err, SL_E_ENV, "the install needed more than %llu MiB of memory",
                     (unsigned long long)(m->conf->jail->memory >> 20));
        sl_err_hint(err, "pin versions that have wheels for Python 3.%d, so that nothing is built",
                    m->conf->python->minor);
    }
    sl_jail_free(jail);
    ins->jail = NULL;
    if (rc == SL_OK)
        rc = sl_tree_give(m->building, geteuid(), SL_TREE_SHARED, err);
out:
    free(cache);
    return rc;
}

/* ---- one attempt ---- */

/* The installer says that something has no wheel (pip does not tell that from a version that does not exist). */
static bool
wants_to_build(const char *output)
{
    static const char *const signs[] = { "building from source is disabled",
                                         "has no usable wheels",
                                         "has no wheels",
                                         "no-build",
                                         "No matching distribution found",
                                         "Could not find a version that satisfies" };

    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++)
        if (strstr(output, signs[i]) != NULL)
            return true;
    return false;
}

static sl_rc
fill_venv(const struct making *m, struct sl_installer *ins, struct sl_buf *out, int *status,
          struct sl_err *err)
{
    char *files[3] = { sl_path_join(m->building, "sluice-requirements.txt"),
                       sl_path_join(m->building, "sluice-constraints.txt"),
                       sl_path_join(m->building, "sluice-overrides.txt") };
    sl_rc rc = write_inputs(m, files[0], files[1], files[2], err);

    for (int i = 0; i < 3; i++)
        ins->files[i] = files[i];
    if (rc == SL_OK && m->conf->jail != NULL)
        rc = jailed(m, ins, out, status, err);
    else if (rc == SL_OK)
        rc = sl_installer_run(ins, out, status, err);
    for (int i = 0; i < 3; i++)
        free(files[i]);
    return rc;
}

/* Builds are allowed only where they are needed: a wheel runs nothing while it is installed. */
static sl_rc
attempts(const struct making *m, struct sl_installer *ins, struct sl_buf *out, int *status,
         struct sl_err *err)
{
    sl_rc rc = fill_venv(m, ins, out, status, err);

    if (rc || *status == 0 || m->conf->jail == NULL || !wants_to_build(sl_buf_str(out)))
        return rc;
    say(m, "not everything has a wheel for Python %s; building the rest", m->conf->python->version);
    out->len = 0;
    ins->build = true;
    rc = sl_remove_tree(m->work, err);
    if (rc == SL_OK)
        rc = make_venv(m, err);
    return rc ? rc : fill_venv(m, ins, out, status, err);
}

static sl_rc
install(const struct making *m, int log_fd, struct sl_err *err)
{
    struct sl_redact *secrets = m->conf->jail != NULL ? sl_installer_secrets() : NULL;
    struct sl_installer ins = { .python = m->conf->python,
                                .uv = m->uv,
                                .venv = m->building,
                                .cwd = m->work != NULL ? m->work : m->conf->project,
                                .log_fd = log_fd,
                                .stop = m->conf->stop,
                                .deadline_us = m->deadline_us,
                                .progress = m->conf->progress,
                                .ctx = m->conf->ctx,
                                .work = m->work,
                                .redact = secrets };
    struct sl_buf out;
    int status = 0;
    sl_rc rc;

    sl_buf_init(&out, OUTPUT_MAX);
    rc = attempts(m, &ins, &out, &status, err);
    if (rc == SL_OK && status != 0)
        rc = sl_explain_install(sl_buf_str(&out), &m->req, m->conf->python, m->conf->untrusted,
                                m->log, err);
    if (rc == SL_E_TIMEOUT) {
        (void)sl_fail(err, rc, "the install did not end within %d minutes",
                      (int)(timeout_of(m->conf) / 60000000));
        sl_err_hint(err, "pin versions that have wheels for Python 3.%d, so that nothing is built",
                    m->conf->python->minor);
        sl_err_path(err, "%s", m->log);
    }
    if (rc == SL_OK)
        rc = refuse_sdk(m, err);
    if (rc == SL_OK)
        rc = fix_scripts(m, err);
    sl_buf_free(&out);
    sl_redact_free(secrets);
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

/* With all our rights, as the operator allowed: it installs system packages. */
static sl_rc
run_drivers(const struct making *m, int log_fd, struct sl_err *err)
{
    char *dir = sl_path_dir(m->drivers), *work = sl_sprintf("%s.drivers", m->final);
    const char *argv[] = { "/bin/sh", m->drivers, NULL };
    struct sl_vars vars;
    struct sl_buf out;
    int status = 0;
    sl_rc rc = sl_mkdirs(work, err);

    say(m, "running drivers/installation.sh");
    sl_buf_init(&out, OUTPUT_MAX);
    sl_installer_clean_vars(&vars, work);
    sl_vars_set(&vars, "PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
    sl_vars_set(&vars, "TMPDIR", NULL);
    if (rc == SL_OK)
        rc = sl_run(&(struct sl_run){ .argv = argv,
                                      .env = vars.list,
                                      .cwd = dir,
                                      .log_fd = log_fd,
                                      .stop = m->conf->stop,
                                      .timeout_us = timeout_of(m->conf) },
                    &out, &status, err);
    if (rc == SL_OK && status != 0) {
        const char *last = sl_buf_str(&out) + (out.len > 300 ? out.len - 300 : 0);

        rc = sl_fail(err, SL_E_ENV, "drivers/installation.sh ended with status %d: %s", status,
                     last);
        sl_err_path(err, "%s", m->log);
    }
    sl_vars_free(&vars);
    sl_buf_free(&out);
    free(work);
    free(dir);
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
    if (m->drivers != NULL && sl_mkdirs(logs, NULL) == SL_OK)
        log_fd = open(m->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (sl_requirements_any(&m->req)) {
        say(m, "installing %zu requirement%s from %s with %s for Python %s", n, n == 1 ? "" : "s",
            m->req.source, m->uv ? "uv" : "pip", m->conf->python->version);
        if (log_fd < 0 && sl_mkdirs(logs, NULL) == SL_OK)
            log_fd = open(m->log, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    }
    rc = m->drivers != NULL ? run_drivers(m, log_fd, err) : SL_OK;
    if (rc == SL_OK)
        rc = make_venv(m, err);
    if (rc == SL_OK && sl_requirements_any(&m->req))
        rc = install(m, log_fd, err);
    if (rc == SL_OK && m->work != NULL)
        rc = sl_tree_give(m->building, geteuid(), SL_TREE_SHARED, err);
    if (rc == SL_OK)
        rc = write_meta(m, err);
    if (rc == SL_OK)
        rc = put_in_place(m, err);
    if (rc == SL_OK && sl_requirements_any(&m->req))
        say(m, "environment ready after %.1f s; it is kept for the next run",
            (double)(sl_mono_us() - start) / 1e6);
    if ((rc || m->work != NULL) &&
        sl_remove_tree(m->work != NULL ? m->work : m->building, NULL) != SL_OK) {
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
        if (m->deadline_us > 0 && sl_mono_us() > m->deadline_us) {
            rc = sl_fail(err, SL_E_TIMEOUT,
                         "another install of the same requirements does not end");
            sl_err_path(err, "%s", m->log);
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

/* What somebody else's project may not do. */
static sl_rc
check_policy(struct making *m, struct sl_err *err)
{
    char *script = sl_path_join(m->conf->project, "drivers/installation.sh");
    sl_rc rc = sl_requirements_check(&m->req, m->conf->allow_sources, err);

    if (rc == SL_OK && sl_is_file(script)) {
        if (m->conf->allow_drivers) {
            m->drivers = script;
            script = NULL;
        } else {
            rc = sl_fail(err, SL_E_ENV,
                         "drivers/installation.sh is refused: it would install "
                         "software on the server with all of the server's rights");
            sl_err_path(err, "drivers/installation.sh");
            sl_err_hint(err, "use a package from requirements.txt instead, or ask the operator to "
                             "start the server with --allow-drivers");
        }
    }
    free(script);
    return rc;
}

static void
free_making(struct making *m)
{
    if (m->lock_fd >= 0)
        close(m->lock_fd);
    sl_requirements_free(&m->req);
    free(m->uv);
    free(m->provided);
    free(m->drivers);
    free(m->key);
    free(m->final);
    free(m->work);
    free(m->building);
    free(m->log);
    free(m->lock);
}

sl_rc
sl_env_ensure(struct sl_env *env, const struct sl_env_conf *conf, struct sl_err *err)
{
    struct making m = { .conf = conf, .lock_fd = -1 };
    bool expired = false;
    sl_rc rc;

    *env = (struct sl_env){ 0 };
    m.cache = conf->cache != NULL ? conf->cache : sl_install_cache();
    m.deadline_us = conf->jail != NULL || conf->timeout_us > 0 ? sl_mono_us() + timeout_of(conf)
                                                               : 0;
    if (m.cache == NULL)
        return sl_fail(err, SL_E_ENV, "no folder for the cache: set HOME or SLUICE_CACHE");
    rc = sl_requirements_load(&m.req, conf->project, err);
    if (rc)
        return rc;
    say_dropped(&m);
    if (conf->untrusted)
        rc = check_policy(&m, err);
    if (rc)
        goto out;
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
out:
    free_making(&m);
    return rc;
}
