/* A parser of JSON knows numbers as 64-bit integers and doubles. So each number becomes, before it is parsed, a string of its exact
 * value, and each string gets another first letter. */
#include "base/buf.h"
#include "base/json.h"

#include <jansson.h>
#include <stdio.h>
#include <string.h>

/* An exponent of more digits is not worked out: such numbers are equal if they are written alike. */
#define EXPONENT_DIGITS 15

static bool
in_number(char c)
{
    return (c >= '0' && c <= '9') || c == '-' || c == '+' || c == '.' || c == 'e' || c == 'E';
}

/* The exponent's value at p, behind the "e". */
static bool
read_exponent(const char *p, const char *end, long long *out)
{
    bool negative = p < end && *p == '-';

    if (p < end && (*p == '-' || *p == '+'))
        p++;
    if (end - p > EXPONENT_DIGITS)
        return false;
    for (*out = 0; p < end; p++)
        *out = *out * 10 + (*p - '0');
    if (negative)
        *out = -*out;
    return true;
}

/* 1, 1.0 and 10e-1 become "n1e0", -0 becomes "n0". */
static sl_rc
put_number(struct sl_buf *out, const char *s, const char *end, struct sl_err *err)
{
    const char *e = s, *p;
    long long exponent = 0;
    bool point = false;
    size_t start;
    char tail[32];
    sl_rc rc = sl_buf_reserve(out, (size_t)(end - s) + sizeof tail, err);

    if (rc)
        return rc;
    while (e < end && *e != 'e' && *e != 'E')
        e++;
    sl_buf_add(out, *s == '-' ? "\"n-" : "\"n");
    start = out->len;
    if (e < end && !read_exponent(e + 1, end, &exponent)) {
        sl_buf_addn(out, s, (size_t)(end - s));
        sl_buf_add(out, "\"");
        return 0;
    }
    for (p = s + (*s == '-'); p < e; p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        exponent -= point;
        if (*p != '0' || out->len > start)
            sl_buf_addn(out, p, 1);
    }
    while (out->len > start && out->ptr[out->len - 1] == '0') {
        out->len--;
        exponent++;
    }
    if (out->len == start) {
        out->len -= *s == '-';
        sl_buf_add(out, "0\"");
        return 0;
    }
    snprintf(tail, sizeof tail, "e%lld\"", exponent);
    sl_buf_add(out, tail);
    return 0;
}

const char *
sl_json_string_end(const char *p, const char *end)
{
    for (p++; p < end && *p != '"'; p++)
        if (*p == '\\')
            p++;
    return p < end ? p + 1 : end;
}

static sl_rc
rewrite(struct sl_buf *out, const char *p, size_t len, struct sl_err *err)
{
    const char *end = p + len, *to;
    sl_rc rc = 0;

    for (; p < end && rc == 0; p = to) {
        to = p + 1;
        if (*p == '"') {
            to = sl_json_string_end(p, end);
            rc = sl_buf_put(out, "\"s", 2, err);
            if (rc == 0)
                rc = sl_buf_put(out, p + 1, (size_t)(to - p - 1), err);
        } else if (*p == '-' || (*p >= '0' && *p <= '9')) {
            while (to < end && in_number(*to))
                to++;
            rc = put_number(out, p, to, err);
        } else {
            rc = sl_buf_put(out, p, 1, err);
        }
    }
    return rc;
}

static json_t *
parse(const char *text, size_t len)
{
    struct sl_err err = { 0 };
    struct sl_buf buf;
    json_t *value = NULL;

    sl_buf_init(&buf, SIZE_MAX / 4);
    if (rewrite(&buf, text, len, &err) == 0)
        value = json_loadb(buf.ptr, buf.len, JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    sl_buf_free(&buf);
    return value;
}

bool
sl_json_same(const char *a, size_t alen, const char *b, size_t blen)
{
    json_t *ja, *jb;
    bool same;

    if (alen == blen && memcmp(a, b, alen) == 0)
        return true;
    ja = parse(a, alen);
    jb = ja != NULL ? parse(b, blen) : NULL;
    same = jb != NULL && json_equal(ja, jb);
    json_decref(ja);
    json_decref(jb);
    return same;
}
