#include "runtime/ignore.h"

#include "base/buf.h"

#include <stdlib.h>

struct sl_ignore_rule {
    char *dir;                        /* where its file stands */
    char *pattern;                    /* without "!", the slash at the end and a leading one */
    bool negate, only_dirs, anchored; /* anchored: matches from `dir`, not any name below it */
};

/* ---- rules ---- */

static void
add_rule(struct sl_ignore *ig, const char *dir, const char *line, size_t n)
{
    struct sl_ignore_rule rule = { 0 };

    while (n > 0 && (line[n - 1] == '\r' || (line[n - 1] == ' ' && (n < 2 || line[n - 2] != '\\'))))
        n--;
    if (n == 0 || line[0] == '#')
        return;
    rule.negate = line[0] == '!';
    line += rule.negate;
    n -= rule.negate;
    if (n > 0 && line[n - 1] == '/') {
        rule.only_dirs = true;
        n--;
    }
    rule.anchored = memchr(line, '/', n) != NULL;
    if (n > 0 && line[0] == '/') {
        line++;
        n--;
    }
    if (n == 0)
        return;
    rule.dir = sl_strdup(dir);
    rule.pattern = sl_memdup(line, n);
    ig->rules = sl_realloc(ig->rules, ig->count + 1, sizeof *ig->rules);
    ig->rules[ig->count++] = rule;
}

void
sl_ignore_add(struct sl_ignore *ig, const char *dir, const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        add_rule(ig, dir, text, n);
        text += n + (text[n] == '\n');
    }
}

void
sl_ignore_cut(struct sl_ignore *ig, size_t count)
{
    while (ig->count > count) {
        ig->count--;
        free(ig->rules[ig->count].dir);
        free(ig->rules[ig->count].pattern);
    }
}

void
sl_ignore_free(struct sl_ignore *ig)
{
    sl_ignore_cut(ig, 0);
    free(ig->rules);
    *ig = (struct sl_ignore){ 0 };
}

/* ---- matching ---- */

/* [a-z], [!x]. *p stands behind the opening bracket and is moved behind the closing one; NULL when there is none. */
static bool
in_class(const char **p, char c)
{
    const char *s = *p;
    bool negate = *s == '!' || *s == '^', found = false, first = true;

    for (s += negate; *s != '\0' && (*s != ']' || first); first = false) {
        char low, high;

        if (*s == '\\' && s[1] != '\0')
            s++;
        low = high = *s++;
        if (*s == '-' && s[1] != ']' && s[1] != '\0') {
            s++;
            if (*s == '\\' && s[1] != '\0')
                s++;
            high = *s++;
        }
        found = found ||
                ((unsigned char)c >= (unsigned char)low && (unsigned char)c <= (unsigned char)high);
    }
    *p = *s == ']' ? s + 1 : NULL;
    return found != negate;
}

static bool wild(const char *p, const char *s, int *budget);

/* "**" between slashes: any number of folders, also none. */
static bool
wild_folders(const char *p, const char *s, int *budget)
{
    if (*p == '\0')
        return true;
    while (s != NULL) {
        if (wild(p, s, budget))
            return true;
        s = strchr(s, '/');
        s = s ? s + 1 : NULL;
    }
    return false;
}

/* The budget bounds hostile patterns such as a*a*a*a*b: past it nothing matches. */
static bool
wild(const char *p, const char *s, int *budget)
{
    for (; *p != '\0'; s++) {
        if (--*budget < 0)
            return false;
        if (p[0] == '*' && p[1] == '*' && (p[2] == '/' || p[2] == '\0'))
            return wild_folders(p + 2 + (p[2] == '/'), s, budget);
        if (*p == '*') {
            p += strspn(p, "*");
            for (;; s++) {
                if (wild(p, s, budget))
                    return true;
                if (*s == '\0' || *s == '/')
                    return false;
            }
        }
        if (*s == '\0')
            return false;
        if (*p == '?') {
            if (*s == '/')
                return false;
            p++;
        } else if (*p == '[') {
            p++;
            if (*s == '/' || !in_class(&p, *s) || p == NULL)
                return false;
        } else {
            p += *p == '\\' && p[1] != '\0';
            if (*p++ != *s)
                return false;
        }
    }
    return *s == '\0';
}

static bool
rule_matches(const struct sl_ignore_rule *rule, const char *path, bool is_dir)
{
    size_t n = strlen(rule->dir);
    const char *slash;
    int budget = 100000;

    if (rule->only_dirs && !is_dir)
        return false;
    if (n > 0) {
        if (strncmp(path, rule->dir, n) != 0 || path[n] != '/')
            return false;
        path += n + 1;
    }
    if (!rule->anchored) {
        slash = strrchr(path, '/');
        path = slash ? slash + 1 : path;
    }
    return wild(rule->pattern, path, &budget);
}

bool
sl_ignore_match(const struct sl_ignore *ig, const char *path, bool is_dir)
{
    for (size_t i = ig->count; i-- > 0;)
        if (rule_matches(&ig->rules[i], path, is_dir))
            return !ig->rules[i].negate;
    return false;
}
