#include "runtime/pipconf.h"

#include "runtime/file.h"

#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#define CONF_MAX (1u << 20)

static const struct {
    const char *key, *pip, *uv;
} settings[] = {
    { "index-url", "PIP_INDEX_URL", "UV_DEFAULT_INDEX" },
    { "extra-index-url", "PIP_EXTRA_INDEX_URL", "UV_INDEX" },
    { "find-links", "PIP_FIND_LINKS", "UV_FIND_LINKS" },
    { "no-index", "PIP_NO_INDEX", "UV_NO_INDEX" },
    { "trusted-host", "PIP_TRUSTED_HOST", "UV_INSECURE_HOST" },
    { "cert", "PIP_CERT", "SSL_CERT_FILE" },
};

/* "key = value" of [global] or [install]; the last one wins. New memory or NULL. */
static char *
ini_value(char *text, const char *key)
{
    bool ours = false;
    char *value = NULL, *next;
    size_t n = strlen(key);

    for (char *line = text; line != NULL && *line != '\0'; line = next) {
        char *end = line + strcspn(line, "\r\n");

        next = *end ? end + 1 : NULL;
        if (*line == '[')
            ours = strncmp(line, "[global]", 8) == 0 || strncmp(line, "[install]", 9) == 0;
        if (!ours || strncasecmp(line, key, n) != 0)
            continue;
        line += n + strspn(line + n, " \t");
        if (*line != '=' && *line != ':')
            continue;
        line += 1 + strspn(line + 1, " \t");
        while (end > line && isspace((unsigned char)end[-1]))
            end--;
        free(value);
        value = sl_memdup(line, (size_t)(end - line));
    }
    return value;
}

static char *
value_in(const char *file, const char *key)
{
    struct sl_buf buf;
    char *value = NULL;

    sl_buf_init(&buf, CONF_MAX);
    if (sl_is_file(file) && sl_file_read(file, &buf, NULL) == SL_OK) {
        (void)sl_buf_str(&buf);
        value = ini_value(buf.ptr, key);
    }
    sl_buf_free(&buf);
    return value;
}

static char *
from_files(const char *key, const char *venv)
{
    const char *home = getenv("HOME"), *own = getenv("PIP_CONFIG_FILE");
    char *files[5] = { own ? sl_strdup(own) : NULL, venv ? sl_path_join(venv, "pip.conf") : NULL,
                       home ? sl_path_join(home, ".config/pip/pip.conf") : NULL,
                       home ? sl_path_join(home, ".pip/pip.conf") : NULL,
                       sl_strdup("/etc/pip.conf") };
    char *value = NULL;

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        if (value == NULL && files[i] != NULL)
            value = value_in(files[i], key);
        free(files[i]);
    }
    return value;
}

void
sl_pipconf_for_uv(struct sl_vars *vars, const char *venv)
{
    if (getenv("UV_INDEX_URL") != NULL || getenv("UV_CONFIG_FILE") != NULL)
        return;
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const char *env = getenv(settings[i].pip);
        char *value;

        if (getenv(settings[i].uv) != NULL)
            continue;
        value = env != NULL ? sl_strdup(env) : from_files(settings[i].key, venv);
        if (value != NULL && *value != '\0')
            sl_vars_set(vars, settings[i].uv, value);
        free(value);
    }
}

void
sl_pipconf_for_pip(struct sl_vars *vars)
{
    for (size_t i = 0; i < sizeof settings / sizeof settings[0]; i++) {
        const char *env = getenv(settings[i].pip);
        char *value = env != NULL ? sl_strdup(env) : from_files(settings[i].key, NULL);

        if (value != NULL && *value != '\0')
            sl_vars_set(vars, settings[i].pip, value);
        free(value);
    }
}
