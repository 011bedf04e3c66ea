#include "runtime/requirements.h"

#include "runtime/file.h"
#include "runtime/toml.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

/* Nested -r files: deeper than this is a loop. */
#define DEPTH_MAX 16
#define FILE_MAX (4u << 20)

const char *const sl_sdk_names[] = { "fivetran-connector-sdk", "fivetran-connector-sdk-core",
                                     "fivetran-connector-sdk-common", "fivetran-connector-sdk-cli",
                                     NULL };

bool
sl_names_the_sdk(const char *name)
{
    for (size_t i = 0; sl_sdk_names[i] != NULL; i++)
        if (strcmp(name, sl_sdk_names[i]) == 0)
            return true;
    return false;
}

void
sl_requirements_free(struct sl_requirements *req)
{
    for (size_t i = 0; i < req->count; i++) {
        free(req->list[i].text);
        free(req->list[i].name);
        free(req->list[i].file);
    }
    free(req->list);
    free(req->source);
    sl_names_free(req->dropped);
    *req = (struct sl_requirements){ 0 };
}

/* ---- one line ---- */

/* PEP 503: lower case, runs of -_. are one "-". NULL when the text does not begin with a name. */
static char *
take_name(const char **p)
{
    const char *s = *p;
    char *name, *w;

    if (!isalnum((unsigned char)*s))
        return NULL;
    w = name = sl_alloc(strlen(s) + 1);
    while (isalnum((unsigned char)*s) || *s == '-' || *s == '_' || *s == '.') {
        if (isalnum((unsigned char)*s))
            *w++ = (char)tolower((unsigned char)*s);
        else if (w[-1] != '-')
            *w++ = '-';
        s++;
    }
    if (w[-1] == '-') {
        free(name);
        return NULL;
    }
    *w = '\0';
    *p = s;
    return name;
}

static const char *
skip_space(const char *s)
{
    return s + strspn(s, " \t");
}

static const char *
skip_specifier(const char *s, bool *exact)
{
    static const char *const ops[] = { "===", "==", "~=", "!=", "<=", ">=", "<", ">" };
    size_t n;

    for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
        if (strncmp(s, ops[i], strlen(ops[i])) != 0)
            continue;
        s = skip_space(s + strlen(ops[i]));
        n = strcspn(s, " \t,;)");
        for (size_t k = 0; k < n; k++)
            if (!isalnum((unsigned char)s[k]) && strchr(".*+!-_${}", s[k]) == NULL)
                return NULL;
        *exact = *exact || (i < 2 && memchr(s, '*', n) == NULL);
        return n > 0 ? skip_space(s + n) : NULL;
    }
    return NULL;
}

/* name[extras] (specifiers | @ url) [; marker] [--hash=…]. Says what is wrong, or NULL. */
static const char *
check_requirement(const char *s, bool *pinned)
{
    bool paren;

    *pinned = false;
    s = skip_space(s);
    if (*s == '[') {
        s = strchr(s, ']');
        if (s == NULL)
            return "the list of extras is not closed with ]";
        s = skip_space(s + 1);
    }
    if (*s == '@')
        return s[1 + strspn(s + 1, " \t")] ? NULL : "there is no address after @";
    paren = *s == '(';
    s = paren ? skip_space(s + 1) : s;
    while (*s != '\0' && *s != ';' && *s != ')' && strncmp(s, "--", 2) != 0) {
        s = skip_specifier(s, pinned);
        if (s == NULL)
            return "after the name comes a version such as ==1.2.3, >=1.2 or ~=1.2";
        if (*s == ',')
            s = skip_space(s + 1);
        else if (*s != '\0' && *s != ';' && *s != ')' && strncmp(s, "--", 2) != 0)
            return "one requirement per line; versions of one requirement are separated by commas";
    }
    if (paren && *s++ != ')')
        return "a ) is missing";
    s = skip_space(s);
    if (*s == ';' && s[1 + strspn(s + 1, " \t")] == '\0')
        return "there is no condition after ;";
    return NULL;
}

static void
add_requirement(struct sl_requirements *req, struct sl_requirement one)
{
    req->list = sl_realloc(req->list, req->count + 1, sizeof *req->list);
    one.file = sl_strdup(one.file);
    req->list[req->count++] = one;
    req->pinned = req->pinned && one.pinned;
}

void
sl_requirements_add(struct sl_requirements *req, const char *name)
{
    add_requirement(req, (struct sl_requirement){
                             .text = sl_strdup(name),
                             .name = sl_strdup(name),
                             .file = (char *)"connector.py",
                         });
    if (req->source == NULL)
        req->source = sl_strdup("connector.py");
}

static void
drop_line(struct sl_requirements *req, const char *line)
{
    size_t n = 0;

    while (req->dropped != NULL && req->dropped[n] != NULL)
        n++;
    req->dropped = sl_realloc(req->dropped, n + 2, sizeof *req->dropped);
    req->dropped[n] = sl_strdup(line);
    req->dropped[n + 1] = NULL;
}

/* Where a line stands. */
struct place {
    const char *project, *dir, *file;
    int line, depth;
};

static sl_rc
bad_line(const struct place *at, const char *line, const char *why, struct sl_err *err)
{
    sl_rc rc = sl_fail(err, SL_E_ENV, "%s:%d: \"%.200s\" is not a requirement", at->file, at->line,
                       line);

    sl_err_path(err, "%s:%d", at->file, at->line);
    sl_err_hint(err, "%s", why);
    return rc;
}

static bool
is_path(const char *s)
{
    return s[0] == '.' || s[0] == '/' || s[0] == '~';
}

static bool
is_url(const char *s)
{
    size_t n = strcspn(s, ":/ \t");

    return n > 0 && strncmp(s + n, "://", 3) == 0;
}

/* A path's text for the key carries the time of its last change: an edited local package is installed anew. */
static char *
absolute(const struct place *at, const char *path)
{
    size_t n = strcspn(path, "[;");
    char *plain = sl_memdup(path, n), *full;

    while (n > 0 && (plain[n - 1] == ' ' || plain[n - 1] == '\t'))
        plain[--n] = '\0';
    full = sl_path_join(at->dir, plain);
    free(plain);
    plain = sl_path_real(full);
    if (plain != NULL) {
        free(full);
        full = plain;
    }
    plain = sl_sprintf("%s%s", full, path + n);
    free(full);
    return plain;
}

static sl_rc read_requirements(struct sl_requirements *req, const struct place *at,
                               const char *path, struct sl_err *err);

/* Value of an option written as "-r x", "-rx", "--requirement x" or "--requirement=x"; NULL: another option. */
static const char *
option_value(const char *line, const char *brief, const char *full)
{
    size_t n = strlen(full);

    if (strncmp(line, full, n) == 0 && (line[n] == ' ' || line[n] == '\t' || line[n] == '='))
        return skip_space(line + n + 1);
    if (brief != NULL && strncmp(line, brief, 2) == 0 && line[1] != '-')
        return skip_space(line + 2);
    return NULL;
}

static sl_rc
read_nested(struct sl_requirements *req, const struct place *at, const char *line, const char *name,
            struct sl_err *err)
{
    char *full = sl_path_join(at->dir, name), *real = sl_path_real(full);
    size_t n = strlen(at->project);
    sl_rc rc;

    if (real == NULL)
        rc = bad_line(at, line, "there is no such file", err);
    else if (strncmp(real, at->project, n) != 0 || real[n] != '/')
        rc = bad_line(at, line,
                      "the file is outside the project, which a deployed connector would not have",
                      err);
    else if (at->depth >= DEPTH_MAX)
        rc = bad_line(at, line, "the files include each other in a circle", err);
    else
        rc = read_requirements(req, at, real, err);
    free(real);
    free(full);
    return rc;
}

static sl_rc
take_option(struct sl_requirements *req, const struct place *at, const char *line,
            struct sl_err *err)
{
    static const char *const with_path[][2] = { { "-c", "--constraint" },
                                                { "-e", "--editable" },
                                                { "-f", "--find-links" } };
    const char *value = option_value(line, "-r", "--requirement");
    char *text = NULL;

    if (value != NULL)
        return read_nested(req, at, line, value, err);
    for (size_t i = 0; i < sizeof with_path / sizeof with_path[0] && text == NULL; i++) {
        value = option_value(line, with_path[i][0], with_path[i][1]);
        if (value == NULL)
            continue;
        if (is_url(value)) {
            text = sl_sprintf("%s %s", with_path[i][1], value);
        } else {
            char *full = absolute(at, value);

            text = sl_sprintf("%s %s", with_path[i][1], full);
            free(full);
        }
    }
    /* Where packages come from may change what a version means, but it pins as much as the index it names. */
    add_requirement(req, (struct sl_requirement){ .text = text ? text : sl_strdup(line),
                                                  .file = (char *)at->file,
                                                  .line = at->line,
                                                  .option = true,
                                                  .pinned = strncmp(line, "-e", 2) != 0 &&
                                                            strncmp(line, "--e", 3) != 0 });
    return SL_OK;
}

static sl_rc
take_line(struct sl_requirements *req, const struct place *at, const char *line, struct sl_err *err)
{
    const char *p = line, *why;
    bool pinned = false;
    char *name;

    if (line[0] == '-')
        return take_option(req, at, line, err);
    if (is_path(line) || is_url(line)) {
        char *text = is_path(line) ? absolute(at, line) : sl_strdup(line);

        add_requirement(req, (struct sl_requirement){
                                 .text = text, .file = (char *)at->file, .line = at->line });
        return SL_OK;
    }
    name = take_name(&p);
    if (name == NULL)
        return bad_line(
            at, line, "a requirement begins with the package's name, for example requests==2.32.3",
            err);
    if (sl_names_the_sdk(name)) {
        drop_line(req, line);
        free(name);
        return SL_OK;
    }
    why = check_requirement(p, &pinned);
    if (why != NULL) {
        free(name);
        return bad_line(at, line, why, err);
    }
    add_requirement(req, (struct sl_requirement){ .text = sl_strdup(line),
                                                  .name = name,
                                                  .file = (char *)at->file,
                                                  .line = at->line,
                                                  .pinned = pinned });
    return SL_OK;
}

/* ---- files ---- */

/* Cuts a comment: "#" at the start of the line or after a blank. */
static size_t
without_comment(const char *s, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (s[i] == '#' && (i == 0 || s[i - 1] == ' ' || s[i - 1] == '\t'))
            n = i;
    while (n > 0 && isspace((unsigned char)s[n - 1]))
        n--;
    return n;
}

static sl_rc
take_lines(struct sl_requirements *req, struct place *at, const char *s, size_t len,
           struct sl_err *err)
{
    struct sl_buf line;
    sl_rc rc = SL_OK;
    int number = 0;

    sl_buf_init(&line, FILE_MAX);
    at->line = 1;
    for (size_t i = 0; i < len && rc == SL_OK;) {
        const char *nl = memchr(s + i, '\n', len - i);
        size_t n = nl ? (size_t)(nl - (s + i)) : len - i, all = n, cut;
        bool goes_on;

        if (n > 0 && s[i + n - 1] == '\r')
            n--;
        number++;
        if (line.len == 0)
            at->line = number;
        cut = without_comment(s + i, n);
        goes_on = n > 0 && cut == n && s[i + n - 1] == '\\';
        sl_buf_addn(&line, s + i, goes_on ? n - 1 : cut);
        i += all + 1;
        if (goes_on && i < len)
            continue;
        if (*skip_space(sl_buf_str(&line)) != '\0')
            rc = take_line(req, at, skip_space(line.ptr), err);
        line.len = 0;
    }
    sl_buf_free(&line);
    return rc;
}

static sl_rc
read_requirements(struct sl_requirements *req, const struct place *from, const char *path,
                  struct sl_err *err)
{
    char *dir = sl_path_dir(path);
    const char *shown = path + strlen(from->project) + 1, *text;
    struct place at = { from->project, dir, shown, 1, from->depth + 1 };
    struct sl_buf buf;
    size_t skip = 0;
    sl_rc rc;

    sl_buf_init(&buf, FILE_MAX);
    rc = sl_file_read(path, &buf, err);
    if (rc == SL_OK) {
        text = sl_buf_str(&buf);
        if (strncmp(text, "\xff\xfe", 2) == 0) {
            rc = bad_line(&at, "(UTF-16 text)", "save the file as UTF-8", err);
        } else {
            skip = strncmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
            rc = take_lines(req, &at, text + skip, buf.len - skip, err);
        }
    }
    sl_buf_free(&buf);
    free(dir);
    return rc;
}

struct toml_ctx {
    struct sl_requirements *req;
    struct place at;
};

static sl_rc
take_dependency(void *arg, const char *text, int line, struct sl_err *err)
{
    struct toml_ctx *ctx = arg;

    ctx->at.line = line;
    return take_line(ctx->req, &ctx->at, skip_space(text), err);
}

static sl_rc
read_pyproject(struct sl_requirements *req, const char *project, const char *path,
               struct sl_err *err)
{
    struct toml_ctx ctx = { req, { project, project, "pyproject.toml", 1, 1 } };
    struct sl_buf buf;
    sl_rc rc;

    sl_buf_init(&buf, FILE_MAX);
    rc = sl_file_read(path, &buf, err);
    if (rc == SL_OK)
        rc = sl_toml_dependencies(sl_buf_str(&buf), take_dependency, &ctx, err);
    sl_buf_free(&buf);
    return rc;
}

sl_rc
sl_requirements_load(struct sl_requirements *req, const char *project, struct sl_err *err)
{
    char *txt = sl_path_join(project, "requirements.txt"),
         *toml = sl_path_join(project, "pyproject.toml");
    struct place at = { project, project, "requirements.txt", 1, 0 };
    sl_rc rc = SL_OK;

    *req = (struct sl_requirements){ .pinned = true };
    if (sl_is_file(txt)) {
        req->source = sl_strdup("requirements.txt");
        rc = read_requirements(req, &at, txt, err);
    } else if (sl_is_file(toml)) {
        req->source = sl_strdup("pyproject.toml");
        rc = read_pyproject(req, project, toml, err);
    }
    if (rc) {
        sl_requirements_free(req);
        if (err != NULL && err->code != SL_E_NOMEM)
            rc = err->code = SL_E_ENV;
    }
    free(txt);
    free(toml);
    return rc;
}

bool
sl_requirements_any(const struct sl_requirements *req)
{
    for (size_t i = 0; i < req->count; i++)
        if (!req->list[i].option || strncmp(req->list[i].text, "--editable", 10) == 0)
            return true;
    return false;
}

void
sl_requirements_text(const struct sl_requirements *req, struct sl_buf *out)
{
    for (size_t i = 0; i < req->count; i++)
        sl_buf_addf(out, "%s\n", req->list[i].text);
}

/* One requirement's text for the key: the name normalised, blanks outside markers and quotes of no meaning dropped. */
static char *
key_text(const struct sl_requirement *one)
{
    char *text = sl_alloc(strlen(one->text) + 1 + (one->name ? strlen(one->name) : 0)), *w = text;
    const char *s = one->text;
    struct stat st;

    if (one->name != NULL) {
        free(take_name(&s));
        memcpy(text, one->name, strlen(one->name));
        w += strlen(one->name);
        while (*s != '\0' && *s != ';' && *s != '@') {
            if (*s != ' ' && *s != '\t')
                *w++ = *s;
            s++;
        }
    }
    memcpy(w, s, strlen(s) + 1);
    s = strncmp(one->text, "--", 2) == 0 ? skip_space(one->text + strcspn(one->text, " "))
                                         : one->text;
    if (one->name != NULL || stat(s, &st) != 0)
        return text;
    w = sl_sprintf("%s %lld", text, (long long)st.st_mtime);
    free(text);
    return w;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

void
sl_requirements_key(const struct sl_requirements *req, struct sl_buf *out)
{
    char **texts = sl_zalloc(req->count + 1, sizeof *texts);

    for (size_t i = 0; i < req->count; i++)
        texts[i] = key_text(&req->list[i]);
    qsort(texts, req->count, sizeof *texts, by_text);
    for (size_t i = 0; i < req->count; i++)
        sl_buf_addf(out, "%s\n", texts[i]);
    sl_names_free(texts);
}

/* ---- a stranger's list ---- */

/* Options by the beginning of their normalised text. The first that fits decides; an option that is not here is refused. */
static const struct {
    const char *option;
    bool source;           /* may be allowed by the operator */
    const char *why, *fix; /* NULL: harmless */
} options[] = {
    { "--pre", false, NULL, NULL },
    { "--prefer-binary", false, NULL, NULL },
    { "--require-hashes", false, NULL, NULL },
    { "--only-binary", false, NULL, NULL },
    { "--editable", true, "a server installs no packages from folders",
      "put the module beside connector.py, where it can be imported, and remove the line" },
    { "--constraint", true, "a constraints file could name addresses to install from",
      "write the versions into this file and remove the line" },
    { "--find-links", true, "packages come from the server's package index",
      "remove the line; the server's operator sets the index" },
    { "--index-url", true, "packages come from the server's package index",
      "remove the line; the server's operator sets the index" },
    { "-i", true, "packages come from the server's package index",
      "remove the line; the server's operator sets the index" },
    { "--extra-index-url", true, "packages come from the server's package index",
      "remove the line; the server's operator sets the index" },
    { "--no-index", true, "packages come from the server's package index",
      "remove the line; the server's operator sets the index" },
    { "--trusted-host", true, "packages come from the server's package index",
      "remove the line; the server's operator sets the index" },
};

static sl_rc
refuse_line(const struct sl_requirement *one, const char *why, const char *fix, struct sl_err *err)
{
    /* The address may hold a password; the line number is enough. */
    bool shows = strstr(one->text, "://") == NULL;
    sl_rc rc = sl_fail(err, SL_E_ENV, "%s:%d: %s%.100s%sis refused: %s", one->file, one->line,
                       shows ? "\"" : "this line ", shows ? one->text : "", shows ? "\" " : "",
                       why);

    sl_err_path(err, "%s:%d", one->file, one->line);
    sl_err_hint(err, "%s", fix);
    return rc;
}

static sl_rc
check_option(const struct sl_requirement *one, bool sources, struct sl_err *err)
{
    for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
        size_t n = strlen(options[i].option);

        /* -i takes its value without a blank, too. */
        if (strncmp(one->text, options[i].option, n) != 0 ||
            (n > 2 && one->text[n] != '\0' && strchr(" \t=", one->text[n]) == NULL))
            continue;
        if (options[i].why == NULL || (options[i].source && sources))
            return SL_OK;
        return refuse_line(one, options[i].why, options[i].fix, err);
    }
    return refuse_line(one, "the server's installer does not take this option", "remove the line",
                       err);
}

/* What follows the name: extras, versions, a condition, then options of this requirement. */
static sl_rc
check_named(const struct sl_requirement *one, bool sources, struct sl_err *err)
{
    const char *s = one->text;

    free(take_name(&s));
    s = skip_space(s);
    if (*s == '[' && strchr(s, ']') != NULL)
        s = skip_space(strchr(s, ']') + 1);
    if (*s == '@' && !sources)
        return refuse_line(one, "packages come from the server's package index, not from addresses",
                           "name a version instead: package==1.2.3", err);
    for (; *s != '\0'; s++) {
        bool begins = *s == '-' && (s[1] == '-' || strchr(" \t;", s[-1]) != NULL);

        if (begins && strncmp(s, "--hash=", 7) != 0 && strncmp(s, "--hash ", 7) != 0)
            return refuse_line(one, "a requirement takes no option but --hash",
                               "leave the option out", err);
        s += begins; /* past the second dash */
    }
    return SL_OK;
}

sl_rc
sl_requirements_check(const struct sl_requirements *req, bool sources, struct sl_err *err)
{
    sl_rc rc = SL_OK;

    for (size_t i = 0; i < req->count && rc == SL_OK; i++) {
        const struct sl_requirement *one = &req->list[i];

        if (strstr(one->text, "${") != NULL)
            /* pip would put the server's variables in its place. */
            rc = refuse_line(one, "variables are not replaced on a server",
                             "write the value itself", err);
        else if (one->option)
            rc = check_option(one, sources, err);
        else if (one->name == NULL && !sources)
            rc = refuse_line(
                one,
                "packages come from the server's package index, not from addresses and folders",
                "name the package and a version: package==1.2.3", err);
        else if (one->name != NULL)
            rc = check_named(one, sources, err);
    }
    return rc;
}
