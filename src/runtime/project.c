#include "runtime/project.h"

#include "runtime/file.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

sl_rc
sl_project_open(struct sl_project *pro, const char *path, struct sl_err *err)
{
    *pro = (struct sl_project){ .lock_fd = -1 };
    pro->dir = sl_path_real(path ? path : ".");
    if (pro->dir == NULL || !sl_is_dir(pro->dir)) {
        free(pro->dir);
        pro->dir = NULL;
        sl_fail(err, SL_E_CONNECTOR,
                "Invalid project path: '%s' does not exist or is not a directory.", path);
        sl_err_hint(err, "name the folder that holds connector.py");
        return SL_E_CONNECTOR;
    }
    pro->name = sl_strdup(sl_path_base(pro->dir));
    pro->files = sl_path_join(pro->dir, "files");
    pro->warehouse = sl_path_join(pro->files, "warehouse.db");
    pro->mirror = sl_path_join(pro->files, "state.json");
    pro->spill = sl_path_join(pro->files, ".spill");
    pro->lock_path = sl_path_join(pro->files, ".lock");
    return SL_OK;
}

void
sl_project_close(struct sl_project *pro)
{
    if (pro->dir != NULL && pro->lock_fd >= 0) {
        if (ftruncate(pro->lock_fd, 0) != 0) {
            /* The lock itself ends with the descriptor; the text is only for people. */
        }
        close(pro->lock_fd);
    }
    free(pro->dir);
    free(pro->name);
    free(pro->files);
    free(pro->warehouse);
    free(pro->mirror);
    free(pro->spill);
    free(pro->lock_path);
    *pro = (struct sl_project){ .lock_fd = -1 };
}

static sl_rc
no_connector(const struct sl_project *pro, struct sl_err *err)
{
    char **names = NULL;
    sl_rc rc = SL_E_CONNECTOR;

    sl_fail(err, rc, "connector.py not found in %s", pro->dir);
    sl_err_hint(err,
                "this file is required to start a sync; change to your connector's folder, name it "
                "(fivetran debug PATH), or begin a new one with: fivetran init");
    if (sl_dir_names(pro->dir, &names, NULL) != SL_OK)
        return rc;
    for (size_t i = 0; names[i] != NULL; i++) {
        char *inner = sl_sprintf("%s/%s/connector.py", pro->dir, names[i]);

        if (strcasecmp(names[i], "connector.py") == 0) {
            sl_err_hint(err, "%s must be named in lowercase: mv %s connector.py", names[i],
                        names[i]);
            free(inner);
            break;
        }
        if (names[i][0] != '.' && sl_is_file(inner))
            sl_err_hint(err, "there is one in the folder %s: fivetran debug %s", names[i],
                        names[i]);
        free(inner);
    }
    sl_names_free(names);
    return rc;
}

sl_rc
sl_project_check(const struct sl_project *pro, struct sl_err *err)
{
    char *file = sl_path_join(pro->dir, "connector.py"), **names = NULL;
    bool there = sl_is_file(file), exact = false;

    free(file);
    /* On a file system that ignores case, Connector.py answers as well, and would fail once deployed. */
    if (there && sl_dir_names(pro->dir, &names, NULL) == SL_OK)
        for (size_t i = 0; names[i] != NULL; i++)
            exact = exact || strcmp(names[i], "connector.py") == 0;
    sl_names_free(names);
    return there && exact ? SL_OK : no_connector(pro, err);
}

bool
sl_project_is_mirror(const char *name, char **stem)
{
    static const char head[] = "state.", tail[] = ".json";
    size_t n = strlen(name), h = sizeof head - 1, t = sizeof tail - 1;

    if (n <= h + t || strncmp(name, head, h) != 0 || strcmp(name + n - t, tail) != 0)
        return false;
    if (stem != NULL)
        *stem = sl_memdup(name + h, n - h - t);
    return true;
}

/* ---- lock ---- */

bool
sl_project_locked_by(const struct sl_project *pro, char *who, size_t size)
{
    char text[128] = "", *nl;
    FILE *f;
    int fd;
    sl_rc rc;

    if (!sl_is_file(pro->lock_path))
        return false;
    rc = sl_lock_file(pro->lock_path, false, &fd, NULL);
    if (rc == SL_OK)
        close(fd);
    if (rc != SL_E_LOCKED)
        return false;
    f = fopen(pro->lock_path, "re");
    if (f != NULL && fgets(text, sizeof text, f) != NULL && (nl = strchr(text, '\n')) != NULL)
        *nl = '\0';
    if (f != NULL)
        fclose(f);
    snprintf(who, size, "%s", text[0] ? text : "another process");
    return true;
}

/* A state that was being written when its process was killed. */
static void
sweep(const struct sl_project *pro)
{
    char **names = NULL;

    if (sl_dir_names(pro->files, &names, NULL) != SL_OK)
        return;
    for (size_t i = 0; names[i] != NULL; i++)
        if (strncmp(names[i], "state.json.", 11) == 0 &&
            strcmp(names[i] + strlen(names[i]) - 4, ".tmp") == 0) {
            char *path = sl_path_join(pro->files, names[i]);

            (void)unlink(path);
            free(path);
        }
    sl_names_free(names);
}

sl_rc
sl_project_lock(struct sl_project *pro, const char *what, struct sl_err *err)
{
    char who[160];
    sl_rc rc = sl_mkdirs(pro->files, err);

    if (rc)
        goto out;
    rc = sl_lock_file(pro->lock_path, false, &pro->lock_fd, err);
    if (rc == SL_E_LOCKED) {
        if (!sl_project_locked_by(pro, who, sizeof who))
            snprintf(who, sizeof who, "another process");
        sl_fail(err, SL_E_LOCKED, "%s is working on this project", who);
        sl_err_hint(err, "wait for it or end it, then run this again");
        return rc;
    }
    if (rc)
        goto out;
    sweep(pro);
    if (ftruncate(pro->lock_fd, 0) != 0 ||
        dprintf(pro->lock_fd, "%s (process %ld)\n", what, (long)getpid()) < 0)
        rc = sl_fail_errno(err, "cannot write %s", pro->lock_path);
    else if (mkdir(pro->spill, 0700) != 0 && errno != EEXIST)
        rc = sl_fail_errno(err, "cannot make %s", pro->spill);
out:
    if (rc == SL_E_PERMISSION)
        sl_err_hint(
            err,
            "the data of a local run goes to the folder files/ of the project: make it writable");
    return rc;
}

/* ---- JSON files ---- */

static void
hint_at_json(struct sl_err *err, const char *text, size_t len, int position)
{
    size_t at = position > 0 && (size_t)position <= len ? (size_t)position - 1 : 0;
    const char *before = text + at;

    if (len == 0 || strspn(text, " \t\r\n") == len) {
        sl_err_hint(err, "the file is empty; an empty object is written {}");
        return;
    }
    if (memchr(text, '\'', len) != NULL && memchr(text, '"', len) == NULL) {
        sl_err_hint(err, "JSON texts stand in double quotes: \"my_key\": \"value\"");
        return;
    }
    while (before > text && strchr(" \t\r\n}]", before[0]) != NULL)
        before--;
    if (*before == ',')
        sl_err_hint(err, "remove the comma before the closing bracket");
    else
        sl_err_hint(err, "JSON looks like this: {\"my_key\": \"value\", \"other\": \"value\"}");
}

sl_rc
sl_json_file(const char *path, struct sl_buf *text, json_t **out, struct sl_err *err)
{
    json_error_t bad;
    size_t bom;
    sl_rc rc = sl_file_read(path, text, err);

    if (rc)
        return rc == SL_E_NOT_FOUND ? sl_fail(err, SL_E_CONFIG, "there is no file %s", path) : rc;
    (void)sl_buf_str(text);
    if (text->len >= 2 &&
        (memcmp(text->ptr, "\xff\xfe", 2) == 0 || memcmp(text->ptr, "\xfe\xff", 2) == 0)) {
        rc = sl_fail(err, SL_E_CONFIG, "%s is UTF-16 text", path);
        sl_err_hint(err, "save it as UTF-8");
        return rc;
    }
    bom = text->len >= 3 && memcmp(text->ptr, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    /* As Python reads it: duplicate keys are no error, integers have no largest value. */
    *out = json_loadb(text->ptr + bom, text->len - bom, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
                      &bad);
    if (*out == NULL) {
        rc = sl_fail(err, SL_E_CONFIG, "%s is not valid JSON: line %d, column %d: %s", path,
                     bad.line, bad.column, bad.text);
        sl_err_path(err, "%s:%d:%d", sl_path_base(path), bad.line, bad.column);
        hint_at_json(err, text->ptr + bom, text->len - bom, bad.position);
        return rc;
    }
    memmove(text->ptr, text->ptr + bom, text->len - bom);
    text->len -= bom;
    return SL_OK;
}

static const char *
type_word(const json_t *v)
{
    switch (json_typeof(v)) {
    case JSON_OBJECT:
        return "an object";
    case JSON_ARRAY:
        return "a list";
    case JSON_INTEGER:
    case JSON_REAL:
        return "a number";
    case JSON_TRUE:
    case JSON_FALSE:
        return "a boolean";
    case JSON_NULL:
        return "null";
    default:
        return "a text";
    }
}

/* How the value would be written as a text, without showing what may be secret: numbers and booleans only. */
static void
hint_at_value(struct sl_err *err, const char *key, const json_t *v)
{
    char *text;

    if (json_is_object(v) || json_is_array(v)) {
        sl_err_hint(err,
                    "write it as a text, \"%s\": \"{\\\"a\\\": 1}\", and use "
                    "json.loads(configuration[\"%s\"]) "
                    "in the connector",
                    key, key);
        return;
    }
    if (json_is_null(v)) {
        sl_err_hint(err, "write an empty text, \"%s\": \"\", or leave the field out", key);
        return;
    }
    text = json_is_real(v) ? sl_sprintf("%.17g", json_real_value(v))
                           : sl_strdup(json_is_true(v) ? "true" : "false");
    sl_err_hint(err, "write it in quotes: \"%s\": \"%s\"", key, text);
    free(text);
}

sl_rc
sl_check_configuration(const json_t *conf, const char *shown, bool nulls, struct sl_err *err)
{
    const char *key;
    json_t *value;
    sl_rc rc;

    if (!json_is_object(conf)) {
        rc = sl_fail(err, SL_E_CONFIG, "%s is %s, not an object", shown, type_word(conf));
        sl_err_hint(err, "write fields with text values: {\"my_key\": \"value\"}");
        return rc;
    }
    if (json_object_size(conf) > SL_CONFIG_FIELDS)
        return sl_fail(
            err, SL_E_CONFIG,
            "%s: Configuration field count exceeds maximum of %d. Reduce the field count.", shown,
            SL_CONFIG_FIELDS);
    json_object_foreach((json_t *)conf, key, value)
    {
        if (json_is_string(value) || (nulls && json_is_null(value)))
            continue;
        rc = sl_fail(err, SL_E_CONFIG, "%s: all values must be strings%s, but \"%s\" is %s", shown,
                     nulls ? " or null" : "", key, type_word(value));
        sl_err_path(err, "%s", key);
        hint_at_value(err, key, value);
        return rc;
    }
    return SL_OK;
}

sl_rc
sl_project_configuration(const struct sl_project *pro, const char *path, bool nulls, json_t **out,
                         bool *found, struct sl_err *err)
{
    char *own = sl_path_join(pro->dir, "configuration.json");
    struct sl_buf text;
    sl_rc rc;

    sl_buf_init(&text, SL_TEXT_FILE_MAX);
    *out = NULL;
    *found = path != NULL || sl_exists(own);
    if (!*found) {
        *out = json_object();
        rc = SL_OK;
        goto out;
    }
    rc = sl_json_file(path ? path : own, &text, out, err);
    if (rc == SL_OK)
        rc = sl_check_configuration(*out, path ? path : "configuration.json", nulls, err);
    else if (path != NULL && strchr(path, '{') != NULL)
        sl_err_hint(err, "--configuration takes the name of a file");
out:
    if (rc) {
        json_decref(*out);
        *out = NULL;
    }
    sl_buf_free(&text);
    free(own);
    return rc;
}

sl_rc
sl_project_state(const char *path, struct sl_buf *buf, struct sl_err *err)
{
    json_t *obj = NULL;
    sl_rc rc = sl_json_file(path, buf, &obj, err);

    if (rc == SL_OK && !json_is_object(obj)) {
        rc = sl_fail(err, SL_E_CONFIG, "%s is %s, not an object", path, type_word(obj));
        sl_err_hint(err, "a state looks like this: {\"cursor\": \"2024-01-31\"}");
    }
    json_decref(obj);
    return rc;
}
