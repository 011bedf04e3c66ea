#include "runtime/installer.h"

#include "base/time.h"
#include "runtime/file.h"
#include "runtime/pipconf.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- its environment ---- */

static void
user_vars(struct sl_vars *vars, const struct sl_installer *ins)
{
    static const char *const unset[] = { "PYTHONPATH",      "PYTHONHOME",
                                         "PIP_USER",        "PIP_TARGET",
                                         "PIP_PREFIX",      "PIP_REQUIRE_VIRTUALENV",
                                         "PIP_PYTHON",      "UV_PROJECT_ENVIRONMENT",
                                         "UV_CONSTRAINT",   "UV_OVERRIDE",
                                         "UV_SYSTEM_PYTHON" };

    sl_vars_copy(vars);
    if (ins->uv != NULL)
        sl_pipconf_for_uv(vars, getenv("VIRTUAL_ENV"));
    for (size_t i = 0; i < sizeof unset / sizeof unset[0]; i++)
        sl_vars_set(vars, unset[i], NULL);
}

/* How this machine reaches the network and its packages: the operator's to say, in the server's environment. */
static const struct {
    const char *name;
    bool secret; /* an address that may hold a password */
    bool path;   /* a file or folder to read */
} passed[] = {
    { "PIP_INDEX_URL", true, false },
    { "PIP_EXTRA_INDEX_URL", true, false },
    { "PIP_FIND_LINKS", true, true },
    { "PIP_NO_INDEX", false, false },
    { "PIP_TRUSTED_HOST", false, false },
    { "PIP_CERT", false, true },
    { "PIP_DEFAULT_TIMEOUT", false, false },
    { "UV_INDEX_URL", true, false },
    { "UV_EXTRA_INDEX_URL", true, false },
    { "UV_DEFAULT_INDEX", true, false },
    { "UV_INDEX", true, false },
    { "UV_FIND_LINKS", true, true },
    { "UV_NO_INDEX", false, false },
    { "UV_INSECURE_HOST", false, false },
    { "UV_HTTP_TIMEOUT", false, false },
    { "UV_NATIVE_TLS", false, false },
    { "HTTP_PROXY", true, false },
    { "HTTPS_PROXY", true, false },
    { "ALL_PROXY", true, false },
    { "NO_PROXY", false, false },
    { "http_proxy", true, false },
    { "https_proxy", true, false },
    { "all_proxy", true, false },
    { "no_proxy", false, false },
    { "SSL_CERT_FILE", false, true },
    { "SSL_CERT_DIR", false, true },
    { "REQUESTS_CA_BUNDLE", false, true },
    { "CURL_CA_BUNDLE", false, true },
};
#define PASSED (sizeof passed / sizeof passed[0])

void
sl_installer_clean_vars(struct sl_vars *vars, const char *work)
{
    char *tmp = sl_path_join(work, "tmp");

    sl_vars_empty(vars);
    sl_vars_set(vars, "PATH", "/usr/local/bin:/usr/bin:/bin");
    sl_vars_set(vars, "HOME", work);
    sl_vars_set(vars, "TMPDIR", tmp);
    sl_vars_set(vars, "LANG", "C.UTF-8");
    for (size_t i = 0; i < PASSED; i++)
        if (getenv(passed[i].name) != NULL)
            sl_vars_set(vars, passed[i].name, getenv(passed[i].name));
    free(tmp);
}

static void
server_vars(struct sl_vars *vars, const struct sl_installer *ins)
{
    char *cache = sl_path_join(ins->cache, ins->uv ? "uv" : "pip");

    sl_installer_clean_vars(vars, ins->work);
    sl_pipconf_for_pip(vars);
    if (ins->uv != NULL)
        sl_pipconf_for_uv(vars, NULL);
    /* No settings from files: not of the project, which is a stranger's, nor of a home nobody has. */
    sl_vars_set(vars, "UV_NO_CONFIG", "1");
    sl_vars_set(vars, "PIP_CONFIG_FILE", "/dev/null");
    sl_vars_set(vars, ins->uv ? "UV_CACHE_DIR" : "PIP_CACHE_DIR", cache);
    free(cache);
}

/* user:password of an address, and the password alone. */
static void
hide_password(struct sl_redact *red, const char *url)
{
    const char *start = strstr(url, "://"), *end, *colon;
    char *text;

    if (start == NULL)
        return;
    start += 3;
    end = start + strcspn(start, "/ \t");
    while (end > start && *end != '@')
        end--;
    if (end == start)
        return;
    text = sl_memdup(start, (size_t)(end - start));
    colon = strchr(text, ':');
    sl_redact_add(red, "password", text, true);
    if (colon != NULL)
        sl_redact_add(red, "password", colon + 1, true);
    free(text);
}

struct sl_redact *
sl_installer_secrets(void)
{
    struct sl_redact *red = sl_redact_new();
    struct sl_vars vars;

    sl_vars_empty(&vars);
    sl_pipconf_for_pip(&vars);
    for (size_t i = 0; i < vars.count; i++)
        hide_password(red, vars.list[i]);
    sl_vars_free(&vars);
    for (size_t i = 0; i < PASSED; i++) {
        const char *list = passed[i].secret ? getenv(passed[i].name) : NULL;

        for (; list != NULL && *list != '\0'; list += strspn(list, " ")) {
            size_t n = strcspn(list, " ");
            char *one = sl_memdup(list, n);

            hide_password(red, one);
            free(one);
            list += n;
        }
    }
    return red;
}

/* ---- what it reads ---- */

static void
push(char ***list, size_t *n, char *text)
{
    *list = sl_realloc(*list, *n + 2, sizeof **list);
    (*list)[(*n)++] = text;
    (*list)[*n] = NULL;
}

char **
sl_installer_reads(const struct sl_installer *ins)
{
    char **list = sl_zalloc(1, sizeof *list), *real;
    struct sl_vars vars;
    size_t n = 0;

    push(&list, &n, sl_strdup(ins->python->prefix));
    real = ins->uv != NULL ? sl_path_real(ins->uv) : NULL;
    if (real != NULL)
        push(&list, &n, real);
    if (ins->uv != NULL)
        push(&list, &n, sl_strdup(ins->uv));
    server_vars(&vars, ins);
    for (size_t i = 0; i < PASSED; i++) {
        size_t len = strlen(passed[i].name);

        for (size_t k = 0; passed[i].path && k < vars.count; k++) {
            const char *value = vars.list[k] + len + 1;

            if (strncmp(vars.list[k], passed[i].name, len) == 0 && vars.list[k][len] == '=' &&
                value[0] == '/' && sl_exists(value))
                push(&list, &n, sl_strdup(value));
        }
    }
    sl_vars_free(&vars);
    return list;
}

/* ---- running ---- */

static void
installer_line(void *arg, const char *line)
{
    const struct sl_installer *ins = arg;
    char stage[120];

    if (ins->progress == NULL)
        return;
    if (line == NULL) {
        ins->progress(ins->ctx, NULL);
        return;
    }
    snprintf(stage, sizeof stage, "%s: %.100s", ins->uv ? "uv" : "pip", line + strspn(line, " \t"));
    ins->progress(ins->ctx, stage);
}

/* One run of a helper that belongs to the install; its output is appended to `out` and the log. */
static sl_rc
run_logged(const struct sl_installer *ins, const char *const *argv, struct sl_buf *out, int *status,
           struct sl_err *err)
{
    int64_t left = ins->deadline_us > 0 ? ins->deadline_us - sl_mono_us() : 0;
    struct sl_vars vars;
    sl_rc rc;

    if (ins->jail != NULL)
        server_vars(&vars, ins);
    else
        user_vars(&vars, ins);
    sl_vars_set(&vars, "UV_PYTHON_DOWNLOADS", "never");
    sl_vars_set(&vars, "VIRTUAL_ENV", ins->venv);
    rc = sl_run(&(struct sl_run){ .argv = argv,
                                  .env = vars.list,
                                  .cwd = ins->cwd,
                                  .log_fd = ins->log_fd,
                                  .stop = ins->stop,
                                  .timeout_us = ins->deadline_us > 0 && left <= 0 ? 1 : left,
                                  .line = installer_line,
                                  .ctx = (void *)ins,
                                  .jail = ins->jail,
                                  .redact = ins->redact },
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
ensure_pip(const struct sl_installer *ins, const char *python, struct sl_buf *out,
           struct sl_err *err)
{
    const char *argv[] = { python, "-I", "-m", "ensurepip", NULL };
    int status = 0;
    sl_rc rc;

    if (ins->progress != NULL)
        ins->progress(ins->ctx, "ensurepip");
    rc = run_logged(ins, argv, out, &status, err);
    if (rc == SL_OK && status != 0) {
        rc = sl_fail(err, SL_E_ENV, "neither uv nor pip is available for %s", ins->python->path);
        sl_err_hint(err, "install one of them: pip install uv, or python3 -m ensurepip "
                         "(Debian and Ubuntu: apt install python3-pip python3-venv)");
    }
    return rc;
}

#define ARGS_MAX 32

static void
add_args(const char **argv, size_t *n, const char *const *more)
{
    while (*more != NULL && *n < ARGS_MAX - 1)
        argv[(*n)++] = *more++;
    argv[*n] = NULL;
}

static sl_rc
run_uv(const struct sl_installer *ins, const char *python, struct sl_buf *out, int *status,
       struct sl_err *err)
{
    const char *const args[] = { ins->uv,       "pip",        "install",     "--python",    python,
                                 "--link-mode", "copy",       "-r",          ins->files[0], "-c",
                                 ins->files[1], "--override", ins->files[2], NULL };
    const char *const wheels[] = { "--no-build", NULL };
    /* A connector on a server cannot write into its environment: without this, each sync compiles what it imports. */
    const char *const compile[] = { "--compile-bytecode", NULL };
    const char *argv[ARGS_MAX];
    size_t n = 0;

    add_args(argv, &n, args);
    if (ins->jail != NULL)
        add_args(argv, &n, compile);
    if (ins->jail != NULL && !ins->build)
        add_args(argv, &n, wheels);
    return run_logged(ins, argv, out, status, err);
}

static sl_rc
run_pip(const struct sl_installer *ins, const char *python, struct sl_buf *out, int *status,
        struct sl_err *err)
{
    /* Behind walls there is the Python itself, but no shim or venv that leads to it. */
    const char *const theirs[] = { ins->jail != NULL ? ins->python->base : ins->python->path,
                                   "-m",
                                   "pip",
                                   "--python",
                                   python,
                                   NULL };
    const char *const own[] = { python, "-I", "-m", "pip", NULL };
    const char *const args[] = { "install",
                                 "--no-input",
                                 ins->jail != NULL ? "--compile" : "--no-compile",
                                 "--disable-pip-version-check",
                                 "--progress-bar",
                                 "off",
                                 "--retries",
                                 "2",
                                 "--timeout",
                                 "15",
                                 "-r",
                                 ins->files[0],
                                 "-c",
                                 ins->files[1],
                                 NULL };
    const char *const wheels[] = { "--only-binary", ":all:", NULL };
    const char *argv[ARGS_MAX];
    size_t n = 0;
    sl_rc rc = SL_OK;

    if (pip_reaches_out(ins->python)) {
        add_args(argv, &n, theirs);
    } else {
        rc = ensure_pip(ins, python, out, err);
        out->len = 0;
        add_args(argv, &n, own);
    }
    add_args(argv, &n, args);
    if (ins->jail != NULL && !ins->build)
        add_args(argv, &n, wheels);
    return rc ? rc : run_logged(ins, argv, out, status, err);
}

sl_rc
sl_installer_run(const struct sl_installer *ins, struct sl_buf *out, int *status,
                 struct sl_err *err)
{
    char *python = sl_path_join(ins->venv, "bin/python");
    sl_rc rc = ins->uv != NULL ? run_uv(ins, python, out, status, err)
                               : run_pip(ins, python, out, status, err);

    free(python);
    return rc;
}
