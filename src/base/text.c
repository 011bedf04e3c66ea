#include "base/text.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Length of the sequence at s (1..4), or 0 if it is not well-formed. Table 3-7 of the Unicode standard. */
static size_t
sequence(const unsigned char *s, size_t left)
{
    unsigned char lo = 0x80, hi = 0xBF;
    size_t n;

    if (s[0] < 0x80)
        return 1;
    if (s[0] < 0xC2)
        return 0;
    if (s[0] < 0xE0)
        n = 2;
    else if (s[0] < 0xF0)
        n = 3;
    else if (s[0] < 0xF5)
        n = 4;
    else
        return 0;
    if (left < n)
        return 0;
    if (s[0] == 0xE0)
        lo = 0xA0;
    else if (s[0] == 0xED)
        hi = 0x9F;
    else if (s[0] == 0xF0)
        lo = 0x90;
    else if (s[0] == 0xF4)
        hi = 0x8F;
    if (s[1] < lo || s[1] > hi)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xC0) != 0x80)
            return 0;
    return n;
}

bool
sl_utf8_valid(const char *text, size_t len)
{
    const unsigned char *s = (const unsigned char *)text, *end = s + len;
    uint64_t w;
    size_t n;

    while (s < end) {
        /* Eight ASCII bytes at a time: most text is. */
        while (end - s >= 8) {
            memcpy(&w, s, 8);
            if (w & 0x8080808080808080u)
                break;
            s += 8;
        }
        if (s == end)
            break;
        n = sequence(s, (size_t)(end - s));
        if (n == 0)
            return false;
        s += n;
    }
    return true;
}

/* Digits and exponent of the shortest decimal that reads back to v > 0: "d[.ddd]e±xx" in out. */
static void
shortest(double v, char out[SL_DOUBLE_TEXT])
{
    char next[SL_DOUBLE_TEXT];
    int exponent;

    /* Up to 15 digits any decimal survives the way through a double, so a shorter text than that is found with its zeros;
     * not so for subnormal numbers, which have fewer digits. */
    for (int p = v < DBL_MIN ? 1 : 15; p <= 17; p++) {
        snprintf(out, SL_DOUBLE_TEXT, "%.*e", p - 1, v);
        if (strtod(out, NULL) == v)
            return;
        /* At a power of two the interval below v is half as wide, so the nearest p-digit number may fall out of it
         * while its upper neighbour does not: Python's repr finds that one. */
        if (frexp(v, &exponent) == 0.5) {
            size_t last = (size_t)p; /* "d.ddd": p digits and a point */
            memcpy(next, out, SL_DOUBLE_TEXT);
            if (next[last] < '9') {
                next[last]++;
                if (strtod(next, NULL) == v) {
                    memcpy(out, next, SL_DOUBLE_TEXT);
                    return;
                }
            }
        }
    }
}

size_t
sl_double_text(double value, char out[SL_DOUBLE_TEXT])
{
    char sci[SL_DOUBLE_TEXT], digits[20], *o = out;
    int n = 0, e, point;

    if (isnan(value))
        return (size_t)snprintf(out, SL_DOUBLE_TEXT, "nan");
    if (isinf(value))
        return (size_t)snprintf(out, SL_DOUBLE_TEXT, value < 0 ? "-inf" : "inf");
    if (signbit(value))
        *o++ = '-';
    value = fabs(value);
    if (value == 0) {
        memcpy(o, "0.0", 4);
        return (size_t)(o - out) + 3;
    }
    shortest(value, sci);
    for (const char *p = sci; *p != 'e'; p++)
        if (*p != '.')
            digits[n++] = *p;
    e = (int)strtol(strchr(sci, 'e') + 1, NULL, 10);
    while (n > 1 && digits[n - 1] == '0')
        n--;
    /* Python: exponent form below 1e-4 and from 1e16 on. */
    if (e < -4 || e >= 16) {
        *o++ = digits[0];
        if (n > 1) {
            *o++ = '.';
            memcpy(o, digits + 1, (size_t)n - 1);
            o += n - 1;
        }
        o += snprintf(o, 8, "e%c%02d", e < 0 ? '-' : '+', abs(e));
        return (size_t)(o - out);
    }
    point = e + 1;
    if (point <= 0) {
        *o++ = '0';
        *o++ = '.';
        for (int i = point; i < 0; i++)
            *o++ = '0';
        memcpy(o, digits, (size_t)n);
        o += n;
    } else {
        for (int i = 0; i < point || i < n; i++) {
            if (i == point)
                *o++ = '.';
            *o++ = i < n ? digits[i] : '0';
        }
        if (n <= point) {
            *o++ = '.';
            *o++ = '0';
        }
    }
    *o = '\0';
    return (size_t)(o - out);
}

size_t
sl_i64_text(int64_t value, char out[24])
{
    char t[24];
    size_t n = 0, k = 0;
    uint64_t u = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

    if (value < 0)
        out[n++] = '-';
    do
        t[k++] = (char)('0' + u % 10);
    while (u /= 10);
    while (k)
        out[n++] = t[--k];
    out[n] = '\0';
    return n;
}

void
sl_hex(const void *bytes, size_t n, char *out)
{
    static const char hex[] = "0123456789abcdef";
    const unsigned char *b = bytes;

    for (size_t i = 0; i < n; i++) {
        out[2 * i] = hex[b[i] >> 4];
        out[2 * i + 1] = hex[b[i] & 15];
    }
    out[2 * n] = '\0';
}
