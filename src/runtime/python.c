#include "runtime/python.h"

#include "runtime/file.h"
#include "runtime/install.h"
#include "runtime/proc.h"

#include <glob.h>
#include <jansson.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Asked with -I: nothing of the user's environment takes part. find_spec does not import pip. */
static const char question[] =
    "import json, sys, sysconfig, importlib.util as u\n"
    "base = getattr(sys, '_base_executable', None) or sys.executable\n"
    "pip = None\n"
    "if u.find_spec('pip'):\n"
    "    try:\n"
    "        from importlib.metadata import version\n"
    "        pip = version('pip')\n"
    "    except Exception:\n"
    "        pip = '0'\n"
    "print(json.dumps({'version': '%d.%d.%d' % sys.version_info[:3], 'base': base, 'pip': pip,\n"
    "                  'platform': sysconfig.get_platform(), 'prefix': sys.base_prefix,\n"
    "                  'name': sys.implementation.name}))\n";

#define ANSWER_MAX 65536
#define ANSWER_US (30 * 1000000) /* a cold start from a slow network disk */

/* All but the path. */
static void
forget(struct sl_python *py)
{
    free(py->base);
    free(py->prefix);
    free(py->version);
    free(py->platform);
    free(py->pip);
    *py = (struct sl_python){ .path = py->path };
}

void
sl_python_free(struct sl_python *py)
{
    forget(py);
    free(py->path);
    *py = (struct sl_python){ 0 };
}

static char *
resolve(const char *wanted)
{
    const char *venv = getenv("VIRTUAL_ENV");
    char *path;

    if (wanted != NULL)
        return strchr(wanted, '/') ? sl_strdup(wanted) : sl_find_program(wanted, 0);
    if (sl_install_python() != NULL)
        return sl_strdup(sl_install_python());
    if (venv != NULL && *venv != '\0') {
        path = sl_path_join(venv, "bin/python");
        if (access(path, X_OK) == 0)
            return path;
        free(path);
    }
    return sl_find_program("python3", 0);
}

/* What tells one state of an executable from another. pip may come and go in a venv without touching the executable:
 * its folder is not part of this, a missing pip is asked for again when it is needed. */
static char *
stamp_of(const char *path)
{
    struct stat st;

    if (stat(path, &st) != 0)
        return NULL;
    return sl_sprintf("%s|%lld|%lld.%09ld", path, (long long)st.st_size,
                      (long long)st.st_mtim.tv_sec, st.st_mtim.tv_nsec);
}

static char *
dup_text(const json_t *obj, const char *key)
{
    const char *s = json_string_value(json_object_get(obj, key));

    return sl_strdup_null(s);
}

static bool
take_answer(struct sl_python *py, const json_t *obj)
{
    const char *name = json_string_value(json_object_get(obj, "name"));

    forget(py); /* of a note without all of it, written by an older version of this program */
    py->version = dup_text(obj, "version");
    py->base = dup_text(obj, "base");
    py->prefix = dup_text(obj, "prefix");
    py->platform = dup_text(obj, "platform");
    py->pip = dup_text(obj, "pip");
    py->cpython = name == NULL || strcmp(name, "cpython") == 0;
    return py->version != NULL && py->base != NULL && py->prefix != NULL && py->platform != NULL &&
           sscanf(py->version, "%d.%d", &py->major, &py->minor) == 2;
}

static sl_rc
ask(const char *path, json_t **answer, struct sl_err *err)
{
    const char *argv[] = { path, "-I", "-c", question, NULL };
    struct sl_buf out;
    int status = 0;
    sl_rc rc;

    sl_buf_init(&out, ANSWER_MAX);
    rc = sl_run(&(struct sl_run){ .argv = argv, .log_fd = -1, .timeout_us = ANSWER_US }, &out,
                &status, err);
    if (rc == SL_OK) {
        *answer = json_loadb(out.ptr ? out.ptr : "", out.len, JSON_DISABLE_EOF_CHECK, NULL);
        if (status != 0 || *answer == NULL)
            rc = sl_fail(err, SL_E_ENV, "%s does not run: %.300s", path,
                         out.len ? sl_buf_str(&out) : "no output");
    }
    if (rc) {
        if (err != NULL)
            err->code = SL_E_ENV;
        sl_err_hint(err, "repair or remove this Python, or name another one with --python");
        rc = SL_E_ENV;
    }
    sl_buf_free(&out);
    return rc;
}

/* A script such as pyenv's leads to one Python today and to another tomorrow, and itself stays the same. */
static bool
is_script(const char *path)
{
    char head[2] = "";
    FILE *f = fopen(path, "re");
    bool script = f != NULL && fread(head, 1, 2, f) == 2 && memcmp(head, "#!", 2) == 0;

    if (f != NULL)
        fclose(f);
    return script;
}

static char *
note_path(const char *path)
{
    char key[33];

    if (sl_install_cache() == NULL || is_script(path))
        return NULL;
    sl_hash_hex(sl_bytes_of(path), key);
    return sl_sprintf("%s/pythons/%s.json", sl_install_cache(), key);
}

static bool
recall(struct sl_python *py, const char *note, const char *stamp)
{
    json_t *obj = json_load_file(note, 0, NULL);
    const char *then = json_string_value(json_object_get(obj, "stamp"));
    bool known = then != NULL && strcmp(then, stamp) == 0 && take_answer(py, obj);

    json_decref(obj);
    return known;
}

static void
remember(json_t *answer, const char *note, const char *stamp)
{
    char *dir = sl_path_dir(note), *text;

    json_object_set_new(answer, "stamp", json_string(stamp));
    text = json_dumps(answer, JSON_INDENT(1));
    /* Not being able to remember costs a Python start next time, nothing else. */
    if (text != NULL && sl_mkdirs(dir, NULL) == SL_OK &&
        sl_file_write(note, sl_bytes_of(text), false, NULL) != SL_OK)
        (void)unlink(note);
    free(text);
    free(dir);
}

static sl_rc
learn(struct sl_python *py, struct sl_err *err)
{
    char *stamp = stamp_of(py->path), *note = note_path(py->path);
    json_t *answer = NULL;
    sl_rc rc = SL_OK;

    if (stamp == NULL) {
        rc = sl_fail(err, SL_E_ENV, "there is no Python at %s", py->path);
        goto out;
    }
    if (note != NULL && recall(py, note, stamp))
        goto out;
    rc = ask(py->path, &answer, err);
    if (rc)
        goto out;
    if (!take_answer(py, answer)) {
        rc = sl_fail(err, SL_E_ENV, "%s does not answer like a Python", py->path);
        goto out;
    }
    if (note != NULL)
        remember(answer, note, stamp);
out:
    json_decref(answer);
    free(stamp);
    free(note);
    return rc;
}

sl_rc
sl_python_find(struct sl_python *py, const char *wanted, struct sl_err *err)
{
    sl_rc rc;

    *py = (struct sl_python){ .path = resolve(wanted) };
    if (py->path == NULL) {
        rc = sl_fail(err, SL_E_ENV, "no Python found%s%s", wanted ? " of the name " : "",
                     wanted ? wanted : "");
        sl_err_hint(err, "install Python 3.%d to 3.%d, or name one: --python PATH",
                    SL_PYTHON_OLDEST, SL_PYTHON_NEWEST);
        return rc;
    }
    rc = learn(py, err);
    if (rc == SL_OK && (py->major != 3 || py->minor < SL_PYTHON_OLDEST)) {
        rc = sl_fail(err, SL_E_ENV, "%s is Python %s, which is too old", py->path, py->version);
        sl_err_hint(err, "connectors need Python 3.%d to 3.%d; name one with --python PATH",
                    SL_PYTHON_OLDEST, SL_PYTHON_NEWEST);
    }
    if (rc)
        sl_python_free(py);
    return rc;
}

/* ---- those of a server: one of each minor version ---- */

#define MINORS (SL_PYTHON_NEWEST - SL_PYTHON_OLDEST + 1)

static struct sl_python found[MINORS]; /* path NULL: none. Never changed after the search */

static int
patch_of(const struct sl_python *py)
{
    const char *dot = strrchr(py->version, '.');

    return dot != NULL ? (int)strtol(dot + 1, NULL, 10) : 0;
}

/* Ends a Python; gives the executable it is made from. */
static char *
base_of(struct sl_python *py)
{
    char *base = sl_strdup(py->base);

    sl_python_free(py);
    return base;
}

/* Takes a Python into the list, unless it does not run, has another version than its path says, or is no newer. */
static void
consider(const char *path, int minor)
{
    struct sl_python py = { 0 };
    struct sl_python *best = &found[minor - SL_PYTHON_OLDEST];
    bool ok;

    /* Scripts are pyenv's shims: what they lead to is looked at itself. */
    if (access(path, X_OK) != 0 || is_script(path))
        return;
    py.path = sl_strdup(path);
    ok = learn(&py, NULL) == SL_OK;
    if (ok && strcmp(py.path, py.base) != 0) {
        /* A venv's link may be gone tomorrow, and its pip is not that of the Python. */
        py = (struct sl_python){ .path = base_of(&py) };
        ok = learn(&py, NULL) == SL_OK;
    }
    if (ok && py.cpython && py.major == 3 && py.minor == minor &&
        (best->path == NULL || patch_of(&py) > patch_of(best))) {
        sl_python_free(best);
        *best = py;
        return;
    }
    sl_python_free(&py);
}

static void
consider_glob(const char *pattern, int minor)
{
    glob_t g = { 0 };

    if (glob(pattern, 0, NULL, &g) == 0)
        for (size_t i = 0; i < g.gl_pathc; i++)
            consider(g.gl_pathv[i], minor);
    globfree(&g);
}

/* python3.N in the folders of a list such as PATH. */
static void
consider_folders(const char *list, int minor)
{
    while (list != NULL && *list != '\0') {
        size_t n = strcspn(list, ":");
        char *path = sl_sprintf("%.*s/python3.%d", (int)n, list, minor);

        if (list[0] == '/') /* what a relative folder holds depends on where we stand */
            consider(path, minor);
        free(path);
        list += n;
        list += *list == ':';
    }
}

/* SLUICE_PYTHONS: executables; each is asked for its version. */
static void
consider_named(const char *list)
{
    while (list != NULL && *list != '\0') {
        size_t n = strcspn(list, ":");
        struct sl_python py = { .path = sl_memdup(list, n) };

        if (learn(&py, NULL) == SL_OK && py.major == 3 && py.minor >= SL_PYTHON_OLDEST &&
            py.minor <= SL_PYTHON_NEWEST)
            consider(py.path, py.minor);
        sl_python_free(&py);
        list += n;
        list += *list == ':';
    }
}

static void
search(void)
{
    const char *home = getenv("HOME"), *pyenv = getenv("PYENV_ROOT"),
               *uv = getenv("UV_PYTHON_INSTALL_DIR"), *data = getenv("XDG_DATA_HOME");
    char *roots[4] = { pyenv ? sl_strdup(pyenv) : NULL, home ? sl_path_join(home, ".pyenv") : NULL,
                       uv     ? sl_strdup(uv)
                       : data ? sl_path_join(data, "uv/python")
                              : NULL,
                       home ? sl_path_join(home, ".local/share/uv/python") : NULL };

    consider_named(getenv("SLUICE_PYTHONS"));
    for (int minor = SL_PYTHON_OLDEST; minor <= SL_PYTHON_NEWEST; minor++) {
        consider_folders(getenv("PATH"), minor);
        consider_folders("/usr/bin:/usr/local/bin", minor);
        for (size_t i = 0; i < 4; i++) {
            char *pattern = roots[i] == NULL
                                ? NULL
                                : sl_sprintf(i < 2 ? "%s/versions/3.%d.*/bin/python3.%d"
                                                   : "%s/cpython-3.%d.*/bin/python3.%d",
                                             roots[i], minor, minor);

            if (pattern != NULL)
                consider_glob(pattern, minor);
            free(pattern);
        }
    }
    for (size_t i = 0; i < 4; i++)
        free(roots[i]);
}

static void
search_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, search);
}

int
sl_pythons_list(int minors[MINORS])
{
    int n = 0;

    search_once();
    for (int i = 0; i < MINORS; i++)
        if (found[i].path != NULL)
            minors[n++] = SL_PYTHON_OLDEST + i;
    return n;
}

sl_rc
sl_python_minor(struct sl_python *py, int minor, struct sl_err *err)
{
    const struct sl_python *from;
    int minors[MINORS], n = sl_pythons_list(minors);
    char list[128] = "";
    size_t len = 0;
    sl_rc rc;

    from = minor >= SL_PYTHON_OLDEST && minor <= SL_PYTHON_NEWEST ? &found[minor - SL_PYTHON_OLDEST]
                                                                  : NULL;
    if (from != NULL && from->path != NULL) {
        *py = (struct sl_python){ .path = sl_strdup(from->path),
                                  .base = sl_strdup(from->base),
                                  .prefix = sl_strdup(from->prefix),
                                  .version = sl_strdup(from->version),
                                  .platform = sl_strdup(from->platform),
                                  .major = from->major,
                                  .minor = from->minor,
                                  .pip = sl_strdup_null(from->pip) };
        return SL_OK;
    }
    for (int i = 0; i < n; i++)
        len += (size_t)snprintf(list + len, sizeof list - len, "%s3.%d", i ? ", " : "", minors[i]);
    *py = (struct sl_python){ 0 };
    rc = sl_fail(err, SL_E_ENV, "there is no Python 3.%d on the server; it has %s", minor,
                 n ? list : "none at all");
    sl_err_hint(err,
                "install it there (or name its path in SLUICE_PYTHONS) and start the server anew");
    return rc;
}
