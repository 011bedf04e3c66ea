#include "server/settings.h"

#include "base/text.h"
#include "runtime/file.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <strings.h>

#define DEFAULT_LISTEN "127.0.0.1:8042"
#define FILE_NAME "sluiced.conf"
/* A hundred lines and their comments. */
#define FILE_MAX_BYTES (256u << 10)
#define LOG_BUDGET ((uint64_t)50 << 20)

const struct sl_opt sl_serve_opts[] = {
    { "data", "DIR", "SLUICE_DATA", "the server's directory; made if it is not there", '\0' },
    { "listen", "HOST:PORT", "SLUICE_LISTEN", "address (default " DEFAULT_LISTEN "; port 0: any)",
      '\0' },
    { "public-url", "URL", "SLUICE_PUBLIC_URL", "the address as people reach it (for links)",
      '\0' },
    { "tls-cert", "FILE", "SLUICE_TLS_CERT", "certificate chain (PEM): serve HTTPS", '\0' },
    { "tls-key", "FILE", "SLUICE_TLS_KEY", "its private key (PEM)", '\0' },
    { "workers", "N", "SLUICE_WORKERS", "syncs at once (default 4)", '\0' },
    { "sandbox", "MODE", "SLUICE_SANDBOX",
      "walls around connectors: require, best or off (default: best on loopback, else require)",
      '\0' },
    { "memory", "SIZE", "SLUICE_CONNECTOR_MEMORY", "of a connector (default 1G)", '\0' },
    { "deadline", "MINUTES", "SLUICE_DEADLINE", "of a sync (default 120)", '\0' },
    { "warehouse-memory", "SIZE", "SLUICE_MEMORY", "of a DuckDB warehouse's engine (default 256M)",
      '\0' },
    { "log-budget", "SIZE", "SLUICE_LOG_BUDGET", "log kept per connection (default 50M)", '\0' },
    { "wheels", "DIR", "SLUICE_WHEELS", "wheels that /simple/ serves (default DIR/wheels)", '\0' },
    { "warehouse-dirs", "DIRS", "SLUICE_WAREHOUSE_DIRS",
      "folders beside DIR that may hold warehouses, separated by colons", '\0' },
    { "access-log", NULL, "SLUICE_ACCESS_LOG", "a line of JSON on stderr for each request", '\0' },
    { "key-command", "COMMAND", "SLUICE_KEY_COMMAND",
      "prints the master key (default: the file secret.key)", '\0' },
    { "allow-drivers", NULL, "SLUICE_ALLOW_DRIVERS", "run drivers/installation.sh of packages",
      '\0' },
    { "allow-any-requirement", NULL, "SLUICE_ALLOW_ANY_REQUIREMENT",
      "let requirements.txt name indexes, URLs and options", '\0' },
    { "config", "FILE", "SLUICE_CONFIG", "a file of such settings (default DIR/" FILE_NAME ")",
      '\0' },
    { 0 },
};

/* ---- the file ---- */

struct file {
    char *path;
    struct sl_buf text;
    char *value[SL_OPTS_MAX]; /* by index in sl_serve_opts; lent from text */
};

static int
option_index(const char *name)
{
    for (int i = 0; sl_serve_opts[i].name != NULL; i++)
        if (strcmp(sl_serve_opts[i].name, name) == 0)
            return i;
    return -1;
}

static char *
trim(char *s)
{
    char *end = s + strlen(s);

    while (isspace((unsigned char)*s))
        s++;
    while (end > s && isspace((unsigned char)end[-1]))
        *--end = '\0';
    if (end - s >= 2 && *s == '"' && end[-1] == '"') {
        end[-1] = '\0';
        s++;
    }
    return s;
}

static sl_rc
parse_line(struct file *f, char *line, int number, struct sl_err *err)
{
    char *s = trim(line), *eq = strchr(s, '='), *name;
    int i;

    if (*s == '\0' || *s == '#')
        return SL_OK;
    if (eq != NULL)
        *eq = '\0';
    name = trim(s);
    i = option_index(name);
    if (eq == NULL || i < 0 || strcmp(name, "config") == 0 || strcmp(name, "data") == 0) {
        sl_fail(err, SL_E_CONFIG, "%s, line %d: %s%s", f->path, number,
                eq ? "there is no setting " : "a line is `name = value`, not ", name);
        sl_err_hint(err, "sluiced serve --help lists them: the names are those of the flags");
        return SL_E_CONFIG;
    }
    f->value[i] = trim(eq + 1);
    return SL_OK;
}

static sl_rc
read_file(struct file *f, const char *wanted, const char *data, struct sl_err *err)
{
    char *text, *line;
    int number = 0;
    sl_rc rc = SL_OK;

    sl_buf_init(&f->text, FILE_MAX_BYTES);
    f->path = wanted ? sl_strdup(wanted) : sl_path_join(data, FILE_NAME);
    if (wanted == NULL && !sl_exists(f->path))
        return SL_OK;
    rc = sl_file_read(f->path, &f->text, err);
    if (rc)
        return rc;
    (void)sl_buf_str(&f->text);
    text = f->text.ptr;
    while (rc == SL_OK && (line = strsep(&text, "\n")) != NULL)
        rc = parse_line(f, line, ++number, err);
    return rc;
}

/* ---- values ---- */

static const char *
get(const struct sl_args *args, const struct file *f, const char *name)
{
    const char *given = sl_arg(args, name);

    return given != NULL ? given : f->value[option_index(name)];
}

static bool
is_on(const char *text)
{
    return text != NULL && strcasecmp(text, "false") != 0 && strcasecmp(text, "no") != 0 &&
           strcmp(text, "0") != 0;
}

static sl_rc
get_size(const struct sl_args *args, const struct file *f, const char *name, uint64_t *out,
         struct sl_err *err)
{
    const char *text = get(args, f, name);

    if (text == NULL || sl_parse_size(text, out))
        return SL_OK;
    sl_fail(err, SL_E_USAGE, "--%s is a size, not \"%s\"", name, text);
    sl_err_hint(err, "for example 512M or 2G");
    return SL_E_USAGE;
}

static sl_rc
get_number(const struct sl_args *args, const struct file *f, const char *name, int64_t least,
           int64_t most, int64_t *out, struct sl_err *err)
{
    const char *text = get(args, f, name);

    if (text == NULL || sl_parse_i64(text, least, most, out))
        return SL_OK;
    return sl_fail(err, SL_E_USAGE, "--%s is a number from %lld to %lld, not \"%s\"", name,
                   (long long)least, (long long)most, text);
}

static bool
is_loopback(const char *host)
{
    struct in_addr four;
    struct in6_addr six;

    if (strcmp(host, "localhost") == 0)
        return true;
    if (inet_pton(AF_INET, host, &four) == 1)
        return (ntohl(four.s_addr) >> 24) == 127;
    return inet_pton(AF_INET6, host, &six) == 1 && IN6_IS_ADDR_LOOPBACK(&six);
}

/* "127.0.0.1:8042", "[::1]:8042", ":8042" (every address), "8042". */
static sl_rc
set_listen(struct sl_settings *set, const char *text, struct sl_err *err)
{
    const char *colon = strrchr(text, ':'), *port = colon ? colon + 1 : text;
    size_t n = colon ? (size_t)(colon - text) : 0;
    int64_t number;

    if (!sl_parse_i64(port, 0, 65535, &number)) {
        sl_fail(err, SL_E_USAGE, "--listen is HOST:PORT, not \"%s\"", text);
        sl_err_hint(err, "for example " DEFAULT_LISTEN ", [::1]:8042 or 0.0.0.0:443");
        return SL_E_USAGE;
    }
    if (n >= 2 && text[0] == '[' && text[n - 1] == ']')
        set->host = sl_memdup(text + 1, n - 2);
    else if (n > 0)
        set->host = sl_memdup(text, n);
    else
        set->host = sl_strdup(colon ? "0.0.0.0" : "127.0.0.1");
    set->port = (int)number;
    set->loopback = is_loopback(set->host);
    return SL_OK;
}

static sl_rc
set_sandbox(struct sl_settings *set, const char *text, struct sl_err *err)
{
    static const char *const modes[] = { "off", "best", "require" };

    set->worker.sandbox = set->loopback ? SL_SANDBOX_BEST : SL_SANDBOX_REQUIRE;
    if (text == NULL)
        return SL_OK;
    for (int i = 0; i < 3; i++)
        if (strcasecmp(text, modes[i]) == 0) {
            set->worker.sandbox = (enum sl_sandbox)i;
            return SL_OK;
        }
    return sl_fail(err, SL_E_USAGE, "--sandbox is require, best or off, not \"%s\"", text);
}

static sl_rc
set_tls(struct sl_settings *set, const char *cert, const char *key, struct sl_err *err)
{
    if ((cert == NULL) != (key == NULL))
        return sl_fail(err, SL_E_USAGE, "--tls-cert and --tls-key belong together");
    if (cert != NULL) {
        set->tls_cert = sl_strdup(cert);
        set->tls_key = sl_strdup(key);
    }
    return SL_OK;
}

/* Real paths, so that a link cannot lead elsewhere later. */
static sl_rc
set_warehouse_dirs(struct sl_settings *set, const char *text, struct sl_err *err)
{
    char *all = sl_strdup_null(text), *rest = all, *dir;
    size_t n = 0;
    sl_rc rc = SL_OK;

    while (rc == SL_OK && (dir = strsep(&rest, ":")) != NULL) {
        char *real = dir[0] == '/' && sl_is_dir(dir) ? sl_path_real(dir) : NULL;

        if (real == NULL) {
            rc = sl_fail(err, SL_E_USAGE, "--warehouse-dirs: %s is no absolute path of a folder",
                         dir);
            break;
        }
        set->warehouse_dirs = sl_realloc(set->warehouse_dirs, n + 2, sizeof *set->warehouse_dirs);
        set->warehouse_dirs[n++] = real;
        set->warehouse_dirs[n] = NULL;
    }
    free(all);
    return rc;
}

static sl_rc
read_values(struct sl_settings *set, const struct sl_args *args, const struct file *f,
            struct sl_err *err)
{
    int64_t workers = 0, minutes = 0;
    uint64_t budget = LOG_BUDGET;
    const char *listen = get(args, f, "listen");
    sl_rc rc = set_listen(set, listen ? listen : DEFAULT_LISTEN, err);

    if (rc == SL_OK)
        rc = set_sandbox(set, get(args, f, "sandbox"), err);
    if (rc == SL_OK)
        rc = set_tls(set, get(args, f, "tls-cert"), get(args, f, "tls-key"), err);
    if (rc == SL_OK)
        rc = get_number(args, f, "workers", 1, 200, &workers, err);
    if (rc == SL_OK)
        rc = get_number(args, f, "deadline", 1, 7 * 24 * 60, &minutes, err);
    if (rc == SL_OK)
        rc = get_size(args, f, "memory", &set->worker.memory, err);
    if (rc == SL_OK)
        rc = get_size(args, f, "warehouse-memory", &set->worker.engine_memory, err);
    if (rc == SL_OK)
        rc = get_size(args, f, "log-budget", &budget, err);
    if (rc == SL_OK)
        rc = set_warehouse_dirs(set, get(args, f, "warehouse-dirs"), err);
    set->worker.places = (int)workers;
    set->worker.deadline_s = minutes * 60;
    set->log_budget = (int64_t)budget;
    set->worker.allow_drivers = is_on(get(args, f, "allow-drivers"));
    set->worker.allow_any_requirement = is_on(get(args, f, "allow-any-requirement"));
    set->access_log = is_on(get(args, f, "access-log"));
    set->public_url = sl_strdup_null(get(args, f, "public-url"));
    set->key_command = sl_strdup_null(get(args, f, "key-command"));
    set->wheels = sl_strdup_null(get(args, f, "wheels"));
    return rc;
}

sl_rc
sl_settings_read(struct sl_settings *set, const struct sl_args *args, struct sl_err *err)
{
    const char *data = sl_arg(args, "data");
    struct file f = { 0 };
    char *real;
    sl_rc rc;

    *set = (struct sl_settings){ 0 };
    if (data == NULL) {
        sl_fail(err, SL_E_USAGE,
                "--data DIR is needed: the folder where the server keeps everything");
        sl_err_hint(err, "sluiced serve --data ~/sluice");
        return SL_E_USAGE;
    }
    rc = sl_mkdirs(data, err);
    real = rc == SL_OK ? sl_path_real(data) : NULL;
    set->data = real ? real : sl_strdup(data);
    if (rc == SL_OK)
        rc = read_file(&f, sl_arg(args, "config"), set->data, err);
    if (rc == SL_OK)
        rc = read_values(set, args, &f, err);
    sl_buf_free(&f.text);
    free(f.path);
    return rc;
}

void
sl_settings_free(struct sl_settings *set)
{
    for (char **d = set->warehouse_dirs; d != NULL && *d != NULL; d++)
        free(*d);
    free(set->warehouse_dirs);
    free(set->data);
    free(set->host);
    free(set->tls_cert);
    free(set->tls_key);
    free(set->public_url);
    free(set->key_command);
    free(set->wheels);
    *set = (struct sl_settings){ 0 };
}
