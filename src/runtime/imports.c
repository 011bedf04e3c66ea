#include "runtime/imports.h"

#include "runtime/file.h"
#include "runtime/imports_table.h"
#include "runtime/requirements.h"

#include <ctype.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#define COUNT(table) (sizeof(table) / sizeof(table)[0])
/* A folder deeper or a file larger than this is data, not code. */
#define DEPTH_MAX 8
#define FILE_MAX ((size_t)4 << 20)
#define NAME_MAX_LEN 200
/* Blocks open around a line. Deeper ones are not looked at. */
#define BLOCKS_MAX 64

struct import {
    char *dotted; /* "google.cloud.bigquery" */
    char *file;   /* relative to the project */
    int line;
    bool optional;
};

struct code {
    const char *project;
    struct import *list;
    size_t count;
    char **local; /* modules and folders of the project */
    size_t nlocal;
};

/* ---- reading one file ---- */

struct text {
    const char *p;
    int line, depth;
    struct code *code;
    const char *file;
    struct {
        int indent;
        bool optional;
    } block[BLOCKS_MAX];
    int nblocks;
};

static bool
is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || (unsigned char)c >= 0x80;
}

static bool
at_word(const char *p, const char *word)
{
    size_t n = strlen(word);

    return strncmp(p, word, n) == 0 && !is_word(p[n]);
}

/* Blanks, and line ends after a backslash. */
static void
skip_blanks(struct text *t)
{
    for (;;) {
        if (*t->p == ' ' || *t->p == '\t' || *t->p == '\r' || *t->p == '\f') {
            t->p++;
        } else if (t->p[0] == '\\' && (t->p[1] == '\n' || t->p[1] == '\r')) {
            t->p += t->p[1] == '\r' && t->p[2] == '\n' ? 3 : 2;
            t->line++;
        } else {
            return;
        }
    }
}

static void
skip_string(struct text *t)
{
    char quote = *t->p;
    bool triple = t->p[1] == quote && t->p[2] == quote;

    t->p += triple ? 3 : 1;
    while (*t->p != '\0') {
        if (*t->p == '\\' && t->p[1] != '\0') {
            t->line += t->p[1] == '\n';
            t->p += 2;
            continue;
        }
        if (*t->p == '\n' && !triple)
            return; /* not closed: the line end is the next to be read */
        if (*t->p == quote && (!triple || (t->p[1] == quote && t->p[2] == quote))) {
            t->p += triple ? 3 : 1;
            return;
        }
        t->line += *t->p == '\n';
        t->p++;
    }
}

/* "a.b.c", blanks around the dots allowed. False: there is no name. */
static bool
read_dotted(struct text *t, char *out)
{
    size_t n = 0;

    for (;;) {
        skip_blanks(t);
        if (!is_word(*t->p) || isdigit((unsigned char)*t->p))
            return false;
        for (; is_word(*t->p); t->p++)
            if (n + 2 < NAME_MAX_LEN)
                out[n++] = *t->p;
        out[n] = '\0';
        skip_blanks(t);
        if (*t->p != '.')
            return true;
        t->p++;
        if (n + 2 < NAME_MAX_LEN)
            out[n++] = '.';
    }
}

static void
add_import(struct text *t, const char *dotted, int line, bool optional)
{
    struct code *code = t->code;

    for (size_t i = 0; i < code->count; i++)
        if (strcmp(code->list[i].dotted, dotted) == 0 && (optional || !code->list[i].optional))
            return;
    code->list = sl_realloc(code->list, code->count + 1, sizeof *code->list);
    code->list[code->count++] = (struct import){
        .dotted = sl_strdup(dotted), .file = sl_strdup(t->file), .line = line, .optional = optional
    };
}

static bool
is_optional(const struct text *t)
{
    for (int i = 0; i < t->nblocks; i++)
        if (t->block[i].optional)
            return true;
    return false;
}

/* import a.b as c, d */
static void
read_import(struct text *t)
{
    char name[NAME_MAX_LEN];

    do {
        int line = t->line;

        if (!read_dotted(t, name))
            return;
        add_import(t, name, line, is_optional(t));
        if (at_word(t->p, "as")) {
            char alias[NAME_MAX_LEN];

            t->p += 2;
            if (!read_dotted(t, alias))
                return;
        }
    } while (*t->p++ == ',');
    t->p--;
}

/* Many distributions share these: which one is meant shows only in what is imported from them. */
static bool
is_shared_namespace(const char *dotted)
{
    return at_word(dotted, "google") || at_word(dotted, "azure");
}

/* from a.b import (c as d, e): of the names only the first counts. */
static void
read_from(struct text *t)
{
    char name[NAME_MAX_LEN], member[NAME_MAX_LEN], *full;
    int line = t->line;

    skip_blanks(t);
    if (*t->p == '.' || !read_dotted(t, name) || !at_word(t->p, "import"))
        return; /* relative: of the project */
    t->p += strlen("import");
    if (!is_shared_namespace(name)) {
        add_import(t, name, line, is_optional(t));
        return;
    }
    skip_blanks(t);
    while (*t->p == '(' || *t->p == '\n' || *t->p == ' ') {
        t->depth += *t->p == '(';
        t->line += *t->p == '\n';
        t->p++;
    }
    full = read_dotted(t, member) ? sl_sprintf("%s.%s", name, member) : sl_strdup(name);
    add_import(t, full, line, is_optional(t));
    free(full);
}

/* import_module("name"), __import__("name") */
static void
read_call(struct text *t)
{
    char name[NAME_MAX_LEN];
    struct text at = *t;

    skip_blanks(&at);
    if (*at.p++ != '(')
        return;
    skip_blanks(&at);
    if (*at.p != '"' && *at.p != '\'')
        return;
    at.p++;
    if (read_dotted(&at, name))
        add_import(t, name, t->line, true);
}

/* The end of what `if` asks stands on the same line. */
static bool
asks_for_type_checking(const char *p)
{
    const char *end = strchr(p, '\n'), *found = strstr(p, "TYPE_CHECKING");

    return found != NULL && (end == NULL || found < end);
}

/* A new logical line: leaves the blocks that end here, enters the one that begins. */
static void
begin_line(struct text *t)
{
    const char *from = t->p;
    int indent;

    skip_blanks(t);
    if (*t->p == '\n' || *t->p == '#' || *t->p == '\0')
        return;
    indent = (int)(t->p - from);
    while (t->nblocks > 0 && t->block[t->nblocks - 1].indent >= indent)
        t->nblocks--;
    if (t->nblocks < BLOCKS_MAX) {
        t->block[t->nblocks].indent = indent;
        t->block[t->nblocks++].optional = at_word(t->p, "try") || at_word(t->p, "except") ||
                                          ((at_word(t->p, "if") || at_word(t->p, "elif")) &&
                                           asks_for_type_checking(t->p));
    }
}

/* At a place where a statement may begin. True if it was an import. */
static bool
read_statement(struct text *t)
{
    skip_blanks(t);
    if (at_word(t->p, "import")) {
        t->p += strlen("import");
        read_import(t);
        return true;
    }
    if (at_word(t->p, "from")) {
        t->p += strlen("from");
        read_from(t);
        return true;
    }
    return false;
}

static void
read_word(struct text *t)
{
    const char *word = t->p;

    while (is_word(*t->p))
        t->p++;
    if (at_word(word, "import_module") || at_word(word, "__import__"))
        read_call(t);
}

static void
read_text(struct text *t)
{
    bool start = true;

    begin_line(t);
    while (*t->p != '\0') {
        if (start && t->depth == 0 && read_statement(t)) {
            start = false;
            continue;
        }
        start = false;
        switch (*t->p) {
        case '#':
            t->p += strcspn(t->p, "\n");
            break;
        case '"':
        case '\'':
            skip_string(t);
            break;
        case '\\':
            skip_blanks(t);
            t->p += *t->p == '\\';
            break;
        case '\n':
            t->p++;
            t->line++;
            if (t->depth == 0) {
                begin_line(t);
                start = true;
            }
            break;
        case '(':
        case '[':
        case '{':
            t->depth++;
            t->p++;
            break;
        case ')':
        case ']':
        case '}':
            t->depth -= t->depth > 0;
            t->p++;
            break;
        case ';':
        case ':':
            t->p++;
            start = true;
            break;
        default:
            if (is_word(*t->p))
                read_word(t);
            else if (*t->p != '\0')
                t->p++;
        }
    }
}

static void
read_file(struct code *code, const char *path, const char *rel)
{
    struct text t = { .line = 1, .code = code, .file = rel };
    struct sl_buf buf;

    sl_buf_init(&buf, FILE_MAX);
    if (sl_file_read(path, &buf, NULL) == SL_OK) {
        t.p = sl_buf_str(&buf);
        if (strncmp(t.p, "\xef\xbb\xbf", 3) == 0)
            t.p += 3;
        read_text(&t);
    }
    sl_buf_free(&buf);
}

/* ---- reading the project ---- */

static void
add_local(struct code *code, const char *name, size_t len)
{
    code->local = sl_realloc(code->local, code->nlocal + 1, sizeof *code->local);
    code->local[code->nlocal++] = sl_memdup(name, len);
}

static bool
is_code_folder(const char *path, const char *name)
{
    static const char *const others[] = { "files", "__pycache__", "lib",          "include",
                                          "tests", "test",        "crash-reports" };
    char *cfg = sl_path_join(path, "pyvenv.cfg");
    bool venv = sl_exists(cfg);

    free(cfg);
    for (size_t i = 0; i < COUNT(others); i++)
        if (strcmp(name, others[i]) == 0)
            return false;
    return !venv && name[0] != '.' && sl_is_dir(path);
}

static bool
is_code_file(const char *name)
{
    size_t n = strlen(name);

    return n > 3 && strcmp(name + n - 3, ".py") == 0 && strncmp(name, "test_", 5) != 0 &&
           strcmp(name, "conftest.py") != 0;
}

static void
read_folder(struct code *code, const char *rel, int depth)
{
    char *dir = *rel ? sl_path_join(code->project, rel) : sl_strdup(code->project), **names;

    if (depth > DEPTH_MAX || sl_dir_names(dir, &names, NULL) != SL_OK) {
        free(dir);
        return;
    }
    for (char **n = names; *n != NULL; n++) {
        char *path = sl_path_join(dir, *n);
        char *below = *rel ? sl_sprintf("%s/%s", rel, *n) : sl_strdup(*n);

        if (is_code_file(*n)) {
            add_local(code, *n, strlen(*n) - 3);
            read_file(code, path, below);
        } else if (is_code_folder(path, *n)) {
            add_local(code, *n, strlen(*n));
            read_folder(code, below, depth + 1);
        }
        free(below);
        free(path);
    }
    sl_names_free(names);
    free(dir);
}

static void
free_code(struct code *code)
{
    for (size_t i = 0; i < code->count; i++) {
        free(code->list[i].dotted);
        free(code->list[i].file);
    }
    for (size_t i = 0; i < code->nlocal; i++)
        free(code->local[i]);
    free(code->list);
    free(code->local);
}

/* ---- comparing ---- */

static size_t
top_length(const char *dotted)
{
    return strcspn(dotted, ".");
}

static bool
in_table(const char *const *table, size_t n, const char *word, size_t len)
{
    for (size_t i = 0; i < n; i++)
        if (strncmp(table[i], word, len) == 0 && table[i][len] == '\0')
            return true;
    return false;
}

/* "Google.cloud_x" -> "google-cloud-x": how distributions spell their names. */
static void
normalise(const char *dotted, size_t len, char *out)
{
    size_t n = len < NAME_MAX_LEN - 1 ? len : NAME_MAX_LEN - 1;

    for (size_t i = 0; i < n; i++)
        out[i] = dotted[i] == '_' || dotted[i] == '.' ? '-'
                                                      : (char)tolower((unsigned char)dotted[i]);
    out[n] = '\0';
}

/* The distributions known to bring an import; NULL: none is listed. */
static const char *
known_for(const char *dotted)
{
    size_t n = top_length(dotted);

    for (size_t i = 0; i < COUNT(known); i++)
        if (strncmp(known[i].import, dotted, n) == 0 && known[i].import[n] == '\0')
            return known[i].distributions;
    return NULL;
}

static bool
has_word(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = words; *p != '\0'; p += strcspn(p, " "), p += *p == ' ')
        if (strncmp(p, word, n) == 0 && (p[n] == ' ' || p[n] == '\0'))
            return true;
    return false;
}

/* Whether a distribution of this (normalised) name brings the import. */
static bool
brings(const char *distribution, const char *dotted)
{
    const char *listed = known_for(dotted);
    char name[NAME_MAX_LEN];
    size_t at = top_length(dotted);

    if (listed != NULL && has_word(listed, distribution))
        return true;
    /* a, a-b, a-b-c for a.b.c */
    for (;;) {
        normalise(dotted, at, name);
        if (strcmp(name, distribution) == 0)
            return true;
        if (dotted[at] == '\0')
            break;
        at += 1 + top_length(dotted + at + 1);
    }
    /* python-a, a-python, pya */
    normalise(dotted, top_length(dotted), name);
    at = strlen(name);
    return (strncmp(distribution, "python-", 7) == 0 && strcmp(distribution + 7, name) == 0) ||
           (strncmp(distribution, name, at) == 0 && strcmp(distribution + at, "-python") == 0) ||
           (strncmp(distribution, "py", 2) == 0 && strcmp(distribution + 2, name) == 0);
}

static bool
comes_with_python(const struct code *code, const char *dotted)
{
    size_t n = top_length(dotted);
    char name[NAME_MAX_LEN];

    normalise(dotted, n, name);
    /* requests is always there (runtime/provided.h), and so is the SDK. */
    return in_table(standard, COUNT(standard), dotted, n) || sl_names_the_sdk(name) ||
           strcmp(name, "requests") == 0 ||
           in_table((const char *const *)code->local, code->nlocal, dotted, n);
}

struct check {
    struct code code;
    struct sl_requirements req;
    void (*warn)(void *ctx, const char *sentence);
    void *ctx;
};

static void say(const struct check *ck, const char *fmt, ...) SL_PRINTF(2, 3);

static void
say(const struct check *ck, const char *fmt, ...)
{
    char text[600];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    ck->warn(ck->ctx, text);
}

/* A path, a URL or an editable install may bring anything. */
static bool
brings_unknown(const struct sl_requirements *req)
{
    for (size_t i = 0; i < req->count; i++)
        if (req->list[i].name == NULL && (!req->list[i].option || !req->list[i].pinned))
            return true;
    return false;
}

static bool
is_listed(const struct sl_requirements *req, const char *dotted)
{
    for (size_t i = 0; i < req->count; i++)
        if (req->list[i].name != NULL && brings(req->list[i].name, dotted))
            return true;
    return false;
}

static bool
said_before(const struct code *code, size_t at)
{
    size_t n = top_length(code->list[at].dotted);

    for (size_t i = 0; i < at; i++)
        if (!code->list[i].optional && top_length(code->list[i].dotted) == n &&
            strncmp(code->list[i].dotted, code->list[at].dotted, n) == 0 &&
            !is_shared_namespace(code->list[at].dotted))
            return true;
    return false;
}

static void
check_missing(const struct check *ck)
{
    const char *source = ck->req.source ? ck->req.source : "requirements.txt";

    if (brings_unknown(&ck->req))
        return;
    for (size_t i = 0; i < ck->code.count; i++) {
        const struct import *im = &ck->code.list[i];
        const char *listed = known_for(im->dotted);
        char name[NAME_MAX_LEN];

        if (im->optional || comes_with_python(&ck->code, im->dotted) ||
            is_listed(&ck->req, im->dotted) || said_before(&ck->code, i))
            continue;
        normalise(im->dotted,
                  is_shared_namespace(im->dotted) ? strlen(im->dotted) : top_length(im->dotted),
                  name);
        if (listed != NULL)
            snprintf(name, sizeof name, "%.*s", (int)strcspn(listed, " "), listed);
        say(ck, "%s:%d imports %s, but %s %s: add %s==VERSION", im->file, im->line, im->dotted,
            source, ck->req.source ? "does not list it" : "is not there", name);
    }
}

static void
check_listed(const struct check *ck)
{
    for (size_t i = 0; i < ck->req.count; i++) {
        const struct sl_requirement *r = &ck->req.list[i];
        bool used = false;

        if (r->name == NULL)
            continue;
        for (size_t k = 0; k < ck->code.count && !used; k++)
            used = brings(r->name, ck->code.list[k].dotted);
        if (!used && !in_table(plug_ins, COUNT(plug_ins), r->name, strlen(r->name)))
            say(ck, "%s:%d lists %s, which nothing imports: remove it if it is not needed", r->file,
                r->line, r->name);
        if (!r->pinned)
            say(ck, "%s:%d: %s is not pinned: with == a new release cannot break the connector",
                r->file, r->line, r->text);
    }
}

sl_rc
sl_imports_check(const char *project, void (*warn)(void *ctx, const char *sentence), void *ctx,
                 struct sl_err *err)
{
    struct check ck = { .code = { .project = project }, .warn = warn, .ctx = ctx };
    sl_rc rc = sl_requirements_load(&ck.req, project, err);

    if (rc == SL_OK) {
        read_folder(&ck.code, "", 0);
        check_missing(&ck);
        check_listed(&ck);
    }
    free_code(&ck.code);
    sl_requirements_free(&ck.req);
    return rc;
}
