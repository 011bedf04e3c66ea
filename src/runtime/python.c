#include "runtime/python.h"

#include "runtime/file.h"
#include "runtime/install.h"
#include "runtime/proc.h"

#include <jansson.h>
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
    "                  'platform': sysconfig.get_platform()}))\n";

#define ANSWER_MAX 65536
#define ANSWER_US (30 * 1000000) /* a cold start from a slow network disk */

void
sl_python_free(struct sl_python *py)
{
    free(py->path);
    free(py->base);
    free(py->version);
    free(py->platform);
    free(py->pip);
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

    return s ? sl_strdup(s) : NULL;
}

static bool
take_answer(struct sl_python *py, const json_t *obj)
{
    py->version = dup_text(obj, "version");
    py->base = dup_text(obj, "base");
    py->platform = dup_text(obj, "platform");
    py->pip = dup_text(obj, "pip");
    return py->version != NULL && py->base != NULL && py->platform != NULL &&
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
