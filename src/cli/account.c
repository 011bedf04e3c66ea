#include "cli/account.h"

#include "base/buf.h"
#include "runtime/file.h"
#include "runtime/http.h"
#include "runtime/project.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Longer than any key; a whole file given by mistake is not sent. */
#define KEY_MAX_LEN 1024
#define LOGIN_FILE_MAX (1u << 20)

/* ---- the file ---- */

char *
sl_account_path(void)
{
    const char *xdg = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (xdg != NULL && xdg[0] == '/')
        return sl_path_join(xdg, "sluice/login.json");
    if (home != NULL && home[0] == '/')
        return sl_path_join(home, ".config/sluice/login.json");
    return NULL;
}

static sl_rc
load(char **address, char **key, struct sl_err *err)
{
    char *path = sl_account_path();
    struct sl_buf text;
    json_t *obj = NULL;
    sl_rc rc = SL_OK;

    *address = *key = NULL;
    sl_buf_init(&text, LOGIN_FILE_MAX);
    if (path == NULL || !sl_exists(path))
        goto out;
    rc = sl_json_file(path, &text, &obj, err);
    if (rc == SL_OK && json_unpack(obj, "{s:s}", "url", address) != 0)
        rc = sl_fail(err, SL_E_CONFIG, "%s is not what fivetran login writes", path);
    if (rc) {
        sl_err_hint(err, "write it anew: fivetran login");
        goto out;
    }
    *address = sl_strdup(*address);
    if (json_is_string(json_object_get(obj, "api_key")))
        *key = sl_strdup(json_string_value(json_object_get(obj, "api_key")));
out:
    json_decref(obj);
    sl_buf_free(&text);
    free(path);
    return rc;
}

sl_rc
sl_account_save(const char *address, const char *key, struct sl_err *err)
{
    char *path = sl_account_path(), *dir = NULL, *text = NULL;
    json_t *obj = json_pack("{s:s, s:s}", "url", address, "api_key", key);
    mode_t mask;
    sl_rc rc;

    if (path == NULL) {
        rc = sl_fail(err, SL_E_CONFIG, "there is no folder to keep the key in");
        sl_err_hint(err, "set HOME or XDG_CONFIG_HOME");
        goto out;
    }
    dir = sl_path_dir(path);
    text = json_dumps(obj, JSON_INDENT(2));
    if (text == NULL) {
        rc = sl_fail(err, SL_E_USAGE, "the API key is not text");
        goto out;
    }
    /* Nobody else may read the file, not even for the moment before a chmod. */
    mask = umask(077);
    rc = sl_mkdirs(dir, err);
    if (rc == SL_OK)
        rc = sl_file_write(path, sl_bytes_of(text), true, err);
    umask(mask);
out:
    json_decref(obj);
    free(text);
    free(dir);
    free(path);
    return rc;
}

sl_rc
sl_account_remove(bool *there, struct sl_err *err)
{
    char *path = sl_account_path();
    sl_rc rc = SL_OK;

    *there = path != NULL && unlink(path) == 0;
    if (path != NULL && !*there && errno != ENOENT && errno != ENOTDIR)
        rc = sl_fail_errno(err, "cannot remove %s", path);
    free(path);
    return rc;
}

/* ---- the key ---- */

sl_rc
sl_account_check_key(const char *key, const char *from, struct sl_err *err)
{
    size_t n = strlen(key);

    /* What a shell makes of `--api-key $UNSET --destination D`. */
    if (strncmp(key, "--", 2) == 0 || n == 0) {
        sl_fail(err, SL_E_USAGE, "%s has no value", from);
        sl_err_hint(err, "is the shell variable empty? write --api-key \"$FIVETRAN_APIKEY\"");
        return SL_E_USAGE;
    }
    for (const char *p = key; *p != '\0'; p++)
        if (n > KEY_MAX_LEN || *p <= ' ' || *p > '~') {
            sl_fail(err, SL_E_USAGE,
                    "%s is not an API key: it has blanks or other characters "
                    "that no key has",
                    from);
            sl_err_hint(err, "use the base64-encoded key and secret as they were shown");
            return SL_E_USAGE;
        }
    return SL_OK;
}

void
sl_account_mask(const char *key, char out[24])
{
    size_t n = strlen(key), shown = n >= 32 ? 8 : n >= 16 ? 4 : 0;

    snprintf(out, 24, "%.*s********", (int)shown, key);
}

/* The word on the command line is ours to change: it is argv's memory. */
static char *
take_from_command_line(const char *word)
{
    char *copy = sl_strdup(word), *argument = (char *)word;

    memset(argument, '*', strlen(argument));
    return copy;
}

static void
find_key(struct sl_account *acc, const struct sl_args *args)
{
    static const char *const variables[] = { "FIVETRAN_API_KEY", "FIVETRAN_APIKEY" };
    const char *given = args ? sl_arg(args, "api-key") : NULL;

    if (given != NULL && given != getenv(variables[0])) {
        acc->key = take_from_command_line(given);
        acc->key_from = "--api-key";
    }
    for (size_t i = 0; acc->key == NULL && i < sizeof variables / sizeof variables[0]; i++) {
        const char *value = getenv(variables[i]);

        if (value == NULL || *value == '\0')
            continue;
        acc->key = sl_strdup(value);
        acc->key_from = variables[i];
    }
}

/* ---- both ---- */

sl_rc
sl_account_no_address(struct sl_err *err)
{
    sl_fail(err, SL_E_CONFIG, "no server is set");
    sl_err_hint(err, "name it with --url https://…, in FIVETRAN_API_URL, or once with: fivetran "
                     "login --url https://…; sluiced prints its address when it starts");
    return SL_E_CONFIG;
}

static sl_rc
find_address(struct sl_account *acc, const struct sl_args *args, struct sl_err *err)
{
    const char *env = getenv("FIVETRAN_API_URL"), *given = args ? sl_arg(args, "url") : env;

    if (given == NULL || *given == '\0')
        return SL_OK;
    acc->address_from = given == env ? "FIVETRAN_API_URL" : "--url";
    return sl_http_address(given, acc->address_from, &acc->address, err);
}

sl_rc
sl_account_find(struct sl_account *acc, const struct sl_args *args, struct sl_err *err)
{
    char *address = NULL, *key = NULL;
    sl_rc rc;

    *acc = (struct sl_account){ 0 };
    rc = find_address(acc, args, err);
    if (rc)
        return rc;
    find_key(acc, args);
    if (acc->key != NULL)
        rc = sl_account_check_key(acc->key, acc->key_from, err);
    if (rc || (acc->address != NULL && acc->key != NULL))
        return rc;
    rc = load(&address, &key, err);
    if (rc)
        return rc;
    if (acc->address == NULL && address != NULL) {
        rc = sl_http_address(address, "fivetran login", &acc->address, err);
        acc->address_from = "fivetran login";
    }
    /* A key goes to the server it was stored for and to no other. */
    if (rc == SL_OK && acc->key == NULL && key != NULL && strcmp(acc->address, address) == 0) {
        acc->key = key;
        acc->key_from = "fivetran login";
        key = NULL;
    }
    free(address);
    free(key);
    return rc;
}

void
sl_account_free(struct sl_account *acc)
{
    free(acc->address);
    free(acc->key);
    *acc = (struct sl_account){ 0 };
}
