#include "base/json.h"

#include "base/text.h"

#include <stdint.h>
#include <string.h>

struct scan {
    const char *p, *end;
    bool python; /* NaN and the infinities are numbers */
};

static void
blanks(struct scan *s)
{
    while (s->p < s->end && (*s->p == ' ' || *s->p == '\n' || *s->p == '\t' || *s->p == '\r'))
        s->p++;
}

static bool
hex4(struct scan *s, unsigned *code)
{
    *code = 0;
    if (s->end - s->p < 4)
        return false;
    for (int i = 0; i < 4; i++, s->p++) {
        char c = *s->p;

        if (c >= '0' && c <= '9')
            *code = *code * 16 + (unsigned)(c - '0');
        else if ((c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'))
            *code = *code * 16 + (unsigned)((c | 0x20) - 'a') + 10;
        else
            return false;
    }
    return true;
}

/* After "\u": four digits, and a second escape if they are the first half of a pair. Half a pair
 * alone is no text: readers of the warehouse refuse the whole column. */
static bool
unicode(struct scan *s)
{
    unsigned code;

    if (!hex4(s, &code) || (code >= 0xDC00 && code < 0xE000))
        return false;
    if (code < 0xD800 || code >= 0xE000)
        return true;
    if (s->end - s->p < 2 || s->p[0] != '\\' || s->p[1] != 'u')
        return false;
    s->p += 2;
    return hex4(s, &code) && code >= 0xDC00 && code < 0xE000;
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
        if (c == 'u' ? !unicode(s) : strchr("\"\\/bfnrt", c) == NULL || c == 0)
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
    case 'N':
        return s->python && word(s, "NaN");
    case 'I':
        return s->python && word(s, "Infinity");
    default:
        return (s->python && word(s, "-Infinity")) || number(s);
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

static bool
valid(const char *text, size_t len, bool python)
{
    struct scan s = { text, text + len, python };
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

bool
sl_json_valid(const char *text, size_t len)
{
    return valid(text, len, false);
}

bool
sl_json_valid_python(const char *text, size_t len)
{
    return valid(text, len, true);
}
