#include "runtime/toml.h"

#include "base/buf.h"

#include <ctype.h>
#include <stdlib.h>

/* A requirement longer than this is none. */
#define ITEM_MAX (64u << 10)

struct cursor {
    const char *s;
    int line;
};

static sl_rc
bad(const struct cursor *c, const char *what, struct sl_err *err)
{
    sl_rc rc = sl_fail(err, SL_E_ENV, "pyproject.toml:%d: %s", c->line, what);

    sl_err_path(err, "pyproject.toml:%d", c->line);
    sl_err_hint(err, "write it as: dependencies = [\"requests==2.32.3\", \"pandas>=2\"]");
    return rc;
}

/* Over blanks, comments and, with `lines`, line ends. */
static void
skip(struct cursor *c, bool lines)
{
    for (;;) {
        c->s += strspn(c->s, lines ? " \t\r" : " \t");
        if (*c->s == '#')
            c->s += strcspn(c->s, "\n");
        if (*c->s != '\n' || !lines)
            return;
        c->s++;
        c->line++;
    }
}

/* To the end of a value of no interest; strings may hold brackets, # and, with three quotes, line ends. */
static void
skip_string(struct cursor *c)
{
    char q = *c->s;
    bool triple = c->s[1] == q && c->s[2] == q;

    c->s += triple ? 3 : 1;
    while (*c->s != '\0') {
        if (*c->s == '\n') {
            if (!triple)
                return;
            c->line++;
        }
        if (*c->s == '\\' && q == '"' && c->s[1] != '\0' && c->s[1] != '\n') {
            c->s += 2;
            continue;
        }
        if (*c->s == q && (!triple || (c->s[1] == q && c->s[2] == q))) {
            c->s += triple ? 3 : 1;
            return;
        }
        c->s++;
    }
}

static void
skip_value(struct cursor *c)
{
    int depth = 0;

    for (;;) {
        skip(c, depth > 0);
        if (*c->s == '\0' || *c->s == '\n' || *c->s == '\r')
            return;
        if (*c->s == '"' || *c->s == '\'') {
            skip_string(c);
            continue;
        }
        depth += *c->s == '[' || *c->s == '{';
        depth -= *c->s == ']' || *c->s == '}';
        c->s++;
    }
}

static sl_rc
take_string(struct cursor *c, struct sl_buf *out, struct sl_err *err)
{
    char q = *c->s++;

    out->len = 0;
    while (*c->s != q) {
        if (*c->s == '\0' || *c->s == '\n')
            return bad(c, "a text in dependencies is not closed", err);
        if (*c->s == '\\' && q == '"')
            c->s++;
        if (out->len >= ITEM_MAX - 2 || *c->s == '\0')
            return bad(c, "a text in dependencies is too long", err);
        sl_buf_addn(out, c->s++, 1);
    }
    c->s++;
    return SL_OK;
}

static sl_rc
take_array(struct cursor *c, sl_toml_item fn, void *ctx, struct sl_err *err)
{
    struct sl_buf item;
    sl_rc rc = SL_OK;

    sl_buf_init(&item, ITEM_MAX);
    if (*c->s != '[')
        return bad(c, "dependencies is not a list", err);
    c->s++;
    for (;;) {
        int line;

        skip(c, true);
        if (*c->s == ']')
            break;
        if (*c->s != '"' && *c->s != '\'') {
            rc = bad(c, "dependencies has something that is not a text in quotes", err);
            break;
        }
        line = c->line;
        rc = take_string(c, &item, err);
        if (rc == SL_OK)
            rc = fn(ctx, sl_buf_str(&item), line, err);
        if (rc)
            break;
        skip(c, true);
        if (*c->s == ',') {
            c->s++;
        } else if (*c->s != ']') {
            rc = bad(c, "dependencies: a comma or ] is missing", err);
            break;
        }
    }
    sl_buf_free(&item);
    return rc;
}

static bool
key_is(const char *s, const char *name, const char **after)
{
    size_t n = strlen(name);
    char q = *s == '"' || *s == '\'' ? *s : '\0';

    s += q != '\0';
    if (strncmp(s, name, n) != 0 || (q != '\0' && s[n] != q))
        return false;
    s += n + (q != '\0');
    s += strspn(s, " \t");
    *after = s;
    return *s == '=' || *s == '.' || *s == ']';
}

sl_rc
sl_toml_dependencies(const char *text, sl_toml_item fn, void *ctx, struct sl_err *err)
{
    struct cursor c = { text, 1 };
    bool top = true, project = false;

    if (strncmp(c.s, "\xef\xbb\xbf", 3) == 0)
        c.s += 3;
    for (;;) {
        const char *after = NULL;

        skip(&c, true);
        if (*c.s == '\0')
            return SL_OK;
        if (*c.s == '[') {
            const char *name = c.s + 1 + strspn(c.s + 1, " \t");

            top = false;
            project = key_is(name, "project", &after) && *after == ']';
            c.s += strcspn(c.s, "\n");
            continue;
        }
        /* project.dependencies = […] before any table is the same. */
        if (top && key_is(c.s, "project", &after) && *after == '.')
            c.s = after + 1 + strspn(after + 1, " \t");
        else if (!project) {
            skip_value(&c);
            continue;
        }
        if (key_is(c.s, "dependencies", &after) && *after == '=') {
            c.s = after + 1;
            skip(&c, false);
            return take_array(&c, fn, ctx, err);
        }
        skip_value(&c);
    }
}
