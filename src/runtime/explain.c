#include "runtime/explain.h"

#include "base/buf.h"
#include "runtime/proc.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define ASK_PIP_US (20 * 1000000)

/* What a failing build says when something of the system is missing, and where that comes from. "#x.h" stands for the
 * compiler's words for a header that is not there: the bare name is in every build's output. */
static const struct {
    const char *needle, *what, *fix;
} missing[] = {
    { "pg_config executable not found", "pg_config of PostgreSQL's client library is missing",
      "use psycopg2-binary or psycopg[binary] instead, or install libpq-dev" },
    { "pg_config is required", "pg_config of PostgreSQL's client library is missing",
      "use psycopg2-binary or psycopg[binary] instead, or install libpq-dev" },
    { "#libpq-fe.h", "the header of PostgreSQL's client library is missing",
      "use psycopg2-binary or psycopg[binary] instead, or install libpq-dev" },
    { "#sql.h", "the ODBC headers (sql.h) are missing",
      "use a version of pyodbc that has a wheel for this Python, or install unixodbc-dev" },
    { "mysql_config", "the client library of MySQL is missing",
      "use PyMySQL or mysql-connector-python, or install default-libmysqlclient-dev" },
    { "Can not find valid pkg-config name", "the client library of MySQL is missing",
      "use PyMySQL or mysql-connector-python, or install default-libmysqlclient-dev and "
      "pkg-config" },
    { "#sasl/sasl.h", "the SASL headers are missing", "install libsasl2-dev" },
    { "#lber.h", "the LDAP headers are missing", "install libldap2-dev and libsasl2-dev" },
    { "#ffi.h", "the headers of libffi are missing", "install libffi-dev" },
    { "#openssl/", "the headers of OpenSSL are missing", "install libssl-dev" },
    { "#libxml/", "the headers of libxml2 are missing", "install libxml2-dev and libxslt1-dev" },
    { "xmlsec1", "the library xmlsec1 is missing", "install libxmlsec1-dev and pkg-config" },
    { "Oracle Client", "Oracle's client library is missing",
      "use the package oracledb, which needs none" },
    { "can't find Rust compiler", "a Rust compiler is needed to build it",
      "use a version that has a wheel for this Python; a newer pip may find one" },
    { "cargo, the Rust package manager, is not installed", "a Rust compiler is needed to build it",
      "use a version that has a wheel for this Python" },
    { "#Python.h", "the headers of this Python (Python.h) are missing", "install python3-dev" },
    { "command 'gcc' failed: No such file", "there is no C compiler",
      "install gcc (build-essential)" },
    { "command 'cc' failed: No such file", "there is no C compiler",
      "install gcc (build-essential)" },
    { "command 'clang' failed: No such file", "there is no C compiler", "install clang or gcc" },
    { "unable to execute 'gcc'", "there is no C compiler", "install gcc (build-essential)" },
    { "unable to execute 'x86_64-linux-gnu-gcc'", "there is no C compiler",
      "install gcc (build-essential)" },
    { "x86_64-linux-gnu-gcc' failed: No such file", "there is no C compiler",
      "install gcc (build-essential)" },
    { "command 'g++' failed: No such file", "there is no C++ compiler",
      "install g++ (build-essential)" },
    { "No such file or directory: 'gcc'", "there is no C compiler",
      "install gcc (build-essential)" },
    { "Unknown compiler(s)", "there is no C compiler", "install gcc (build-essential)" },
    { "CMake must be installed", "CMake is needed to build it", "install cmake" },
};

static const char *const network_signs[] = {
    "Failed to fetch",
    "error sending request",
    "dns error",
    "failed to lookup address",
    "Connection refused",
    "NewConnectionError",
    "ConnectTimeoutError",
    "Name or service not known",
    "Temporary failure in name resolution",
    "Network is unreachable",
    "ProxyError",
    "Could not connect",
    "operation timed out",
    "Read timed out",
    "CERTIFICATE_VERIFY_FAILED",
    "invalid peer certificate",
    "tcp connect error",
    "network was disabled",
};

struct context {
    const char *out;
    const struct sl_requirements *req;
    const struct sl_python *py;
    bool wheels_only;
    struct sl_err *err;
};

/* The line of `text` that holds `at`, without frame characters and blanks around. */
static void
line_at(const char *text, const char *at, char *line, size_t size)
{
    const char *start = at, *end = at + strcspn(at, "\r\n");

    while (start > text && start[-1] != '\n')
        start--;
    while (start < end && (isspace((unsigned char)*start) || (unsigned char)*start >= 0x80))
        start++;
    while (end > start && isspace((unsigned char)end[-1]))
        end--;
    if (strncmp(start, "cause: ", 7) == 0)
        start += 7;
    snprintf(line, size, "%.*s", (int)(end - start), start);
}

/* The text after `before` up to one of `stops`. */
static bool
cut_out(const char *text, const char *before, const char *stops, char *word, size_t size)
{
    const char *at = strstr(text, before);

    if (at == NULL)
        return false;
    at += strlen(before);
    snprintf(word, size, "%.*s", (int)strcspn(at, stops), at);
    return word[0] != '\0';
}

/* Where in the project a package is asked for: "requirements.txt:3", or "" when another package asks for it. */
static const char *
place_of(const struct context *c, const char *package)
{
    static _Thread_local char place[160];
    size_t n = strcspn(package, " =<>!~[;(@");

    place[0] = '\0';
    for (size_t i = 0; i < c->req->count && n > 0; i++) {
        const struct sl_requirement *one = &c->req->list[i];

        if (one->name != NULL && strlen(one->name) == n && strncasecmp(one->name, package, n) == 0)
            snprintf(place, sizeof place, "%s:%d: ", one->file, one->line);
    }
    return place;
}

/* pip names what it works on before it fails: "Collecting gamma==1.0 (from …" or "Processing ./x/gamma-1.0.tar.gz". */
static bool
last_collected(const struct context *c, char *package, size_t size)
{
    static const char *const words[] = { "Collecting ", "Processing " };
    const char *failed = strstr(c->out, "subprocess-exited-with-error"), *best = NULL, *at, *slash;
    size_t n;

    for (size_t i = 0; failed != NULL && i < sizeof words / sizeof words[0]; i++)
        for (at = c->out; (at = strstr(at, words[i])) != NULL && at < failed;
             at += strlen(words[i]))
            best = best == NULL || at > best ? at : best;
    if (best == NULL)
        return false;
    best += strlen(words[0]);
    n = strcspn(best, " \n");
    slash = memrchr(best, '/', n);
    if (slash != NULL) {
        n -= (size_t)(slash + 1 - best);
        best = slash + 1;
        for (size_t i = 0; i + 1 < n; i++)
            if (best[i] == '-' && isdigit((unsigned char)best[i + 1]))
                n = i;
    }
    snprintf(package, size, "%.*s", (int)n, best);
    return n > 0;
}

/* A package the failing output speaks of, for sentences that need one. */
static bool
find_package(const struct context *c, char *package, size_t size)
{
    static const char *const before[] = {
        "Failed to build `",
        "Failed to build: ",
        "Failed building wheel for ",
        "Failed to download and build `",
        "Failed to download `",
        "Failed to build installable wheels for some pyproject.toml based projects (",
        "no matching distribution found for ",
        "Could not build wheels for "
    };

    for (size_t i = 0; i < sizeof before / sizeof before[0]; i++)
        if (cut_out(c->out, before[i], "`,\n )", package, size))
            return true;
    return last_collected(c, package, size);
}

static bool
explain_disk(const struct context *c)
{
    if (strstr(c->out, "No space left on device") == NULL && strstr(c->out, "os error 28") == NULL)
        return false;
    sl_fail(c->err, SL_E_ENV, "the disk is full: the requirements could not be installed");
    sl_err_hint(c->err,
                "free some space, or put the cache on another disk with SLUICE_CACHE=/path");
    return true;
}

static bool
explain_sdk(const struct context *c)
{
    if (strstr(c->out, "sluice-provides-the-sdk") == NULL)
        return false;
    sl_fail(c->err, SL_E_ENV,
            "one of the requirements depends on fivetran-connector-sdk, which this installation "
            "provides itself and never takes from an index");
    sl_err_hint(c->err,
                "remove that requirement, or install uv, which can leave the dependency out");
    return true;
}

static bool
explain_network(const struct context *c)
{
    char line[400];
    const char *at = NULL;

    for (size_t i = 0; i < sizeof network_signs / sizeof network_signs[0] && at == NULL; i++)
        at = strstr(c->out, network_signs[i]);
    if (at == NULL)
        return false;
    /* A package index that answers "no such project" is not a network failure. */
    if (strstr(at, "404 Not Found") != NULL)
        return false;
    line_at(c->out, at, line, sizeof line);
    sl_fail(c->err, SL_E_ENV, "the package index cannot be reached: %.300s", line);
    sl_err_hint(c->err, "check the network and the proxy (HTTPS_PROXY); once installed, later runs "
                        "need no network. "
                        "With the packages in your own venv: fivetran debug --no-isolation");
    return true;
}

static bool
says(const char *out, const char *needle)
{
    char words[2][80];

    if (needle[0] != '#')
        return strstr(out, needle) != NULL;
    snprintf(words[0], sizeof words[0], "fatal error: %s", needle + 1);
    snprintf(words[1], sizeof words[1], "fatal error: '%s", needle + 1);
    return strstr(out, words[0]) != NULL || strstr(out, words[1]) != NULL;
}

static bool
explain_build(const struct context *c)
{
    char package[120] = "a requirement";
    bool building = find_package(c, package, sizeof package) ||
                    strstr(c->out, "subprocess-exited-with-error") ||
                    strstr(c->out, "build backend returned an error");
    const char *place = place_of(c, package);

    if (!building)
        return false;
    for (size_t i = 0; i < sizeof missing / sizeof missing[0]; i++) {
        if (!says(c->out, missing[i].needle))
            continue;
        sl_fail(c->err, SL_E_ENV,
                "%s%s has no ready-made wheel for Python %s here and cannot be built: %s", place,
                package, c->py->version, missing[i].what);
        sl_err_hint(c->err, "%s", missing[i].fix);
        return true;
    }
    sl_fail(c->err, SL_E_ENV,
            "%s%s has no ready-made wheel for Python %s here and its build failed", place, package,
            c->py->version);
    sl_err_hint(c->err,
                "take a version that has a wheel for this Python, or another Python with --python");
    return true;
}

static bool
explain_python(const struct context *c)
{
    const char *at = strstr(c->out, "requires a different Python");
    char line[400];

    if (at == NULL)
        at = strstr(c->out, "does not satisfy Python");
    if (at == NULL)
        return false;
    line_at(c->out, at, line, sizeof line);
    sl_fail(c->err, SL_E_ENV, "a requirement does not support Python %s: %.300s", c->py->version,
            line);
    sl_err_hint(c->err,
                "take a version of it that supports Python %d.%d, or another Python with --python",
                c->py->major, c->py->minor);
    return true;
}

/* The versions an index has, as pip lists them when asked for one that cannot be. */
static bool
ask_versions(const struct context *c, const char *package, char *versions, size_t size)
{
    char *spec = sl_sprintf("%.*s===0.0.0.none", (int)strcspn(package, " =<>!~[;("), package);
    const char *argv[] = { c->py->path,
                           "-m",
                           "pip",
                           "install",
                           "--dry-run",
                           "--no-deps",
                           "--ignore-installed",
                           "--disable-pip-version-check",
                           "--no-input",
                           "--retries",
                           "1",
                           spec,
                           c->wheels_only ? "--only-binary=:all:" : NULL,
                           NULL };
    struct sl_buf out;
    int status;
    bool found = false;

    sl_buf_init(&out, 1u << 20);
    if (c->py->pip != NULL &&
        sl_run(&(struct sl_run){ .argv = argv, .log_fd = -1, .timeout_us = ASK_PIP_US }, &out,
               &status, NULL) == SL_OK)
        found = cut_out(sl_buf_str(&out), "(from versions: ", ")", versions, size);
    sl_buf_free(&out);
    free(spec);
    return found && strcmp(versions, "none") != 0;
}

/* The last few of "1.0, 1.1, 2.0": those one would take. */
static const char *
last_versions(const char *versions)
{
    const char *p = versions + strlen(versions);
    int commas = 0;

    while (p > versions && !(p[-1] == ',' && ++commas == 12))
        p--;
    return p + strspn(p, " ");
}

static void
no_such_version(const struct context *c, const char *wanted, const char *known)
{
    static _Thread_local char versions[64 << 10];

    sl_fail(c->err, SL_E_ENV, "%sthere is no %s for Python %s", place_of(c, wanted), wanted,
            c->py->version);
    if (known == NULL && ask_versions(c, wanted, versions, sizeof versions))
        known = versions;
    if (known != NULL)
        sl_err_hint(c->err, "newest versions there are: %s", last_versions(known));
    else
        sl_err_hint(c->err, "take a version that exists for this Python");
}

static void
no_such_package(const struct context *c, const char *wanted)
{
    sl_fail(c->err, SL_E_ENV, "%sthe package index has no package \"%s\" for Python %s",
            place_of(c, wanted), wanted, c->py->version);
    sl_err_hint(c->err,
                "check the spelling: the name to install may differ from the name to import "
                "(PyYAML is imported as yaml)");
}

static bool
explain_version_pip(const struct context *c)
{
    static _Thread_local char versions[64 << 10];
    char wanted[160];

    if (!cut_out(c->out, "Could not find a version that satisfies the requirement ", "(\n", wanted,
                 sizeof wanted))
        return false;
    if (wanted[strlen(wanted) - 1] == ' ')
        wanted[strlen(wanted) - 1] = '\0';
    if (!cut_out(c->out, "(from versions: ", ")", versions, sizeof versions) ||
        strcmp(versions, "none") == 0)
        no_such_package(c, wanted);
    else
        no_such_version(c, wanted, versions);
    return true;
}

/* uv's explanation is a sentence over several lines inside a frame; this is the sentence. */
static void
flow(const char *from, char *text, size_t size)
{
    size_t n = 0;
    bool blank = true;

    for (; *from != '\0' && n + 2 < size; from++) {
        if (from[0] == '\n' && strncmp(from, "\n\n", 2) == 0)
            break;
        if ((unsigned char)*from >= 0x80 || isspace((unsigned char)*from)) {
            if (!blank)
                text[n++] = ' ';
            blank = true;
            continue;
        }
        text[n++] = *from;
        blank = false;
    }
    while (n > 0 && text[n - 1] == ' ')
        n--;
    text[n] = '\0';
    if (strncmp(text, "cause: ", 7) == 0)
        memmove(text, text + 7, n - 6);
}

static bool
explain_conflict(const struct context *c, const char *what)
{
    sl_fail(c->err, SL_E_ENV, "the requirements contradict each other: %.900s", what);
    sl_err_hint(c->err,
                "loosen one of the versions named, or leave one out and let the installer choose");
    return true;
}

static bool
explain_uv(const struct context *c)
{
    const char *at = strstr(c->out, "No solution found when resolving dependencies");
    char text[900], word[160];

    if (at == NULL)
        return false;
    at += strcspn(at, "\n");
    flow(at, text, sizeof text);
    if (cut_out(text, "Because there is no version of ", " ", word, sizeof word) ||
        cut_out(text, "Because there are no versions of ", " ", word, sizeof word))
        no_such_version(c, word, NULL);
    else if (strstr(text, "has no wheels with a matching") != NULL &&
             cut_out(text, "Because ", " ", word, sizeof word))
        no_such_version(c, word, NULL);
    else if (strstr(text, "was not found in the package registry") != NULL &&
             cut_out(text, "Because ", " ", word, sizeof word))
        no_such_package(c, word);
    else if (strstr(text, "was not found in the provided package locations") != NULL &&
             cut_out(text, "Because ", " ", word, sizeof word))
        no_such_package(c, word);
    else
        return explain_conflict(c, text);
    return true;
}

static bool
explain_pip_conflict(const struct context *c)
{
    const char *at = strstr(c->out, "Cannot install ");
    char line[600], text[900] = "";
    const char *cause = strstr(c->out, "The conflict is caused by:");

    if (at == NULL)
        return false;
    line_at(c->out, at, line, sizeof line);
    if (cause != NULL)
        flow(cause + strcspn(cause, "\n"), text, sizeof text);
    return explain_conflict(c, text[0] ? text : line);
}

/* The line that decides when nothing else is known: pip's last ERROR, uv's "error:". */
static void
explain_other(const struct context *c)
{
    static const char *const marks[] = { "\nERROR: ", "\nerror: ", "ERROR: ", "error: " };
    const char *at = NULL;
    char line[600];

    for (size_t i = 0; i < sizeof marks / sizeof marks[0] && at == NULL; i++)
        at = strstr(c->out, marks[i]);
    if (at != NULL)
        at += *at == '\n';
    else
        at = c->out + strspn(c->out, " \n");
    line_at(c->out, at, line, sizeof line);
    sl_fail(c->err, SL_E_ENV, "the requirements could not be installed: %s", line);
}

sl_rc
sl_explain_install(const char *output, const struct sl_requirements *req,
                   const struct sl_python *py, bool wheels_only, const char *log,
                   struct sl_err *err)
{
    struct context c = { output, req, py, wheels_only, err };

    if (!explain_disk(&c) && !explain_sdk(&c) && !explain_network(&c) && !explain_python(&c) &&
        !explain_build(&c) && !explain_version_pip(&c) && !explain_pip_conflict(&c) &&
        !explain_uv(&c))
        explain_other(&c);
    sl_err_path(err, "%s", log);
    return SL_E_ENV;
}
