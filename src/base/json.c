#include "base/json.h"

#include "base/text.h"

#include <stdint.h>
#include <string.h>

struct scan {
    const char *p, *end;
};

static void
blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

static bool
hex4(struct scan *s)
{
    if (s->end - s->p < 4)
        return false;
    for (int i = 0; i < 4; i++, s->p++)
        if (!((*s->p >= '0' && *s->p <= '9') || (*s->p >= 'a' && *s->p <= 'f') ||
              (*s->p >= 'A' && *s->p <= 'F')))
            return false;
    return true;
}

static bool
string(struct scan *s)
{
    if (s->p == s->end || *s->p++ != '"')
        return false;
    while (s->p < s->end) {
        unsigned char c = (unsigned char)*s->p++;

        if (c == '"')
            return true;
        if (c < 0x20)
            return false;
        if (c != '\\')
            continue;
        if (s->p == s->end)
            return false;
        c = (unsigned char)*s->p++;
        if (c == 'u' ? !hex4(s) : strchr("\"\\/bfnrt", c) == NULL || c == 0)
            return false;
    }
    return false;
}

static bool
digits(struct scan *s)
{
    const char *from = s->p;

    while (s->p < s->end && *s->p >= '0' && *s->p <= '9')
        s->p++;
    return s->p > from;
}

static bool
number(struct scan *s)
{
    if (s->p < s->end && *s->p == '-')
        s->p++;
    if (s->p < s->end && *s->p == '0')
        s->p++;
    else if (!digits(s))
        return false;
    if (s->p < s->end && *s->p == '.') {
        s->p++;
        if (!digits(s))
            return false;
    }
    if (s->p < s->end && (*s->p == 'e' || *s->p == 'E')) {
        s->p++;
        if (s->p < s->end && (*s->p == '+' || *s->p == '-'))
            s->p++;
        return digits(s);
    }
    return true;
}

static bool
word(struct scan *s, const char *w)
{
    size_t n = strlen(w);

    if ((size_t)(s->end - s->p) < n || memcmp(s->p, w, n) != 0)
        return false;
    s->p += n;
    return true;
}

static bool
scalar(struct scan *s)
{
    switch (*s->p) {
    case '"':
        return string(s);
    case 't':
        return word(s, "true");
    case 'f':
        return word(s, "false");
    case 'n':
        return word(s, "null");
    default:
        return number(s);
    }
}

/* After a member of a container: its end, or the next member. Closes as many containers as end here. */
static bool
after_member(struct scan *s, uint8_t *object, int *depth, bool *more)
{
    *more = false;
    while (*depth > 0) {
        blanks(s);
        if (s->p == s->end)
            return false;
        if (*s->p == ',') {
            s->p++;
            *more = true;
            return true;
        }
        if (*s->p != (object[*depth - 1] ? '}' : ']'))
            return false;
        s->p++;
        (*depth)--;
    }
    return true;
}

bool
sl_json_valid(const char *text, size_t len)
{
    struct scan s = { text, text + len };
    uint8_t object[SL_JSON_DEPTH];
    int depth = 0;
    bool more = true;

    if (!sl_utf8_valid(text, len))
        return false;
    while (more) {
        blanks(&s);
        if (depth > 0 && object[depth - 1]) {
            if (!string(&s))
                return false;
            blanks(&s);
            if (s.p == s.end || *s.p++ != ':')
                return false;
            blanks(&s);
        }
        if (s.p == s.end)
            return false;
        if (*s.p == '{' || *s.p == '[') {
            char close = *s.p == '{' ? '}' : ']';

            if (depth == SL_JSON_DEPTH)
                return false;
            object[depth++] = *s.p++ == '{';
            blanks(&s);
            if (s.p == s.end)
                return false;
            if (*s.p != close)
                continue; /* its first member */
            s.p++;
            depth--;
        } else if (!scalar(&s)) {
            return false;
        }
        if (!after_member(&s, object, &depth, &more))
            return false;
    }
    blanks(&s);
    return s.p == s.end;
}
