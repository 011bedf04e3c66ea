#include "model/cell.h"

#include "base/text.h"

#include <math.h>
#include <sodium.h>
#include <stdio.h>

#define DAY_US 86400000000LL

static sl_rc
cannot(const struct sl_cell *in, struct sl_coltype to, struct sl_err *err)
{
    char t[24];

    return sl_fail(err, SL_E_DATA, "a value with tag %d does not fit a %s column", (int)in->tag,
                   sl_coltype_text(to, t));
}

/* Civil date of a day number; Howard Hinnant's days algorithm, valid for all years here. */
static void
civil(int64_t days, int64_t *year, unsigned *month, unsigned *day)
{
    int64_t era, y;
    unsigned doe, yoe, doy, mp;

    days += 719468;
    era = (days >= 0 ? days : days - 146096) / 146097;
    doe = (unsigned)(days - era * 146097);
    yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    y = (int64_t)yoe + era * 400;
    doy = doe - (365 * yoe + yoe / 4 - yoe / 100);
    mp = (5 * doy + 2) / 153;
    *day = doy - (153 * mp + 2) / 5 + 1;
    *month = mp < 10 ? mp + 3 : mp - 9;
    *year = y + (*month <= 2);
}

size_t
sl_date_text(int64_t days, char out[40])
{
    int64_t y;
    unsigned m, d;

    civil(days, &y, &m, &d);
    return (size_t)snprintf(out, 40, "%04lld-%02u-%02u", (long long)y, m, d);
}

size_t
sl_datetime_text(int64_t us, bool utc, char out[40])
{
    int64_t days = us / DAY_US, rest = us % DAY_US;
    unsigned s;
    size_t n;

    if (rest < 0) {
        rest += DAY_US;
        days--;
    }
    n = sl_date_text(days, out);
    s = (unsigned)(rest / 1000000);
    n += (size_t)snprintf(out + n, 40 - n, "T%02u:%02u:%02u", s / 3600, s / 60 % 60, s % 60);
    if (rest % 1000000)
        n += (size_t)snprintf(out + n, 40 - n, ".%06u", (unsigned)(rest % 1000000));
    if (utc)
        n += (size_t)snprintf(out + n, 40 - n, "Z");
    return n;
}

size_t
sl_dec_text(__int128 unscaled, unsigned scale, char out[48])
{
    char digits[48];
    unsigned __int128 u = unscaled < 0 ? 0 - (unsigned __int128)unscaled
                                       : (unsigned __int128)unscaled;
    size_t n = 0, k = 0;

    while (scale > 0 && u % 10 == 0) {
        u /= 10;
        scale--;
    }
    do
        digits[k++] = (char)('0' + (int)(u % 10));
    while ((u /= 10) != 0 || k <= scale);
    if (unscaled < 0)
        out[n++] = '-';
    while (k) {
        if (k == scale && scale)
            out[n++] = '.';
        out[n++] = digits[--k];
    }
    out[n] = '\0';
    return n;
}

bool
sl_decimal_digits(const char *s, size_t len, unsigned *before, unsigned *after)
{
    size_t i = 0, start, dot, end = len;

    if (i < len && s[i] == '-')
        i++;
    start = i;
    while (i < len && s[i] >= '0' && s[i] <= '9')
        i++;
    dot = i;
    if (dot == start)
        return false;
    if (i < len && s[i] == '.') {
        size_t from = ++i;

        while (i < len && s[i] >= '0' && s[i] <= '9')
            i++;
        if (i == from)
            return false;
    }
    if (i != len)
        return false;
    while (start < dot && s[start] == '0')
        start++;
    while (end > dot + 1 && s[end - 1] == '0')
        end--;
    *before = (unsigned)(dot - start);
    *after = end > dot + 1 ? (unsigned)(end - dot - 1) : 0;
    return true;
}

/* Plain decimal text → unscaled integer at `scale`. The digits are known to fit 38. */
static bool
dec_parse(const char *s, size_t len, unsigned scale, __int128 *out)
{
    unsigned __int128 u = 0;
    unsigned before, after, seen = 0;
    bool point = false;

    if (!sl_decimal_digits(s, len, &before, &after) || after > scale || before + scale > 38)
        return false;
    for (size_t i = 0; i < len && !(point && seen == scale); i++) {
        if (s[i] == '.') {
            point = true;
        } else if (s[i] != '-') {
            u = u * 10 + (unsigned)(s[i] - '0');
            seen += point;
        }
    }
    for (; seen < scale; seen++)
        u *= 10;
    *out = s[0] == '-' ? -(__int128)u : (__int128)u;
    return true;
}

/* A BIGINT or DECIMAL text in its canonical form: no trailing zeros after the point, no needless leading ones. */
static struct sl_bytes
trim_decimal(const struct sl_cell *c)
{
    struct sl_bytes b = { c->ptr, c->len };
    const char *dot = memchr(b.ptr, '.', b.len);

    if (dot == NULL)
        return b;
    while (b.ptr[b.len - 1] == '0')
        b.len--;
    if (b.ptr[b.len - 1] == '.')
        b.len--;
    return b;
}

static bool
base64(const struct sl_cell *c, struct sl_arena *arena, struct sl_bytes *out)
{
    size_t need = sodium_base64_encoded_len(c->len, sodium_base64_VARIANT_ORIGINAL);
    char *p = sl_arena_get(arena, need);

    if (p == NULL)
        return false;
    sodium_bin2base64(p, need, (const unsigned char *)c->ptr, c->len,
                      sodium_base64_VARIANT_ORIGINAL);
    *out = (struct sl_bytes){ p, need - 1 };
    return true;
}

bool
sl_cell_text(const struct sl_cell *c, struct sl_arena *arena, struct sl_bytes *out)
{
    char t[48];
    size_t n = 0;

    switch (c->tag) {
    case SL_C_FALSE:
        *out = SL_LIT("false");
        return true;
    case SL_C_TRUE:
        *out = SL_LIT("true");
        return true;
    case SL_C_STRING:
    case SL_C_JSON:
        *out = (struct sl_bytes){ c->ptr, c->len };
        return true;
    case SL_C_BIGINT:
    case SL_C_DECIMAL:
        *out = trim_decimal(c);
        return true;
    case SL_C_BINARY:
        return base64(c, arena, out);
    case SL_C_LONG:
        n = sl_i64_text(c->i, t);
        break;
    case SL_C_DOUBLE:
        n = sl_double_text(c->d, t);
        break;
    case SL_C_DATE:
        n = sl_date_text(c->i, t);
        break;
    case SL_C_NAIVE_DATETIME:
    case SL_C_UTC_DATETIME:
        n = sl_datetime_text(c->i, c->tag == SL_C_UTC_DATETIME, t);
        break;
    default:
        break;
    }
    out->ptr = sl_arena_dup(arena, t, n);
    out->len = n;
    return out->ptr != NULL;
}

static sl_rc
to_string(const struct sl_cell *in, struct sl_arena *arena, struct sl_cell *out, struct sl_err *err)
{
    struct sl_bytes text;

    if (!sl_cell_text(in, arena, &text))
        return sl_fail(err, SL_E_NOMEM, "no memory for a value's text");
    *out = (struct sl_cell){ .tag = SL_C_STRING, .len = (uint32_t)text.len, .ptr = text.ptr };
    return 0;
}

/* A scalar as JSON: numbers and booleans as they are, the rest as a JSON string of the text form. */
static sl_rc
to_json(const struct sl_cell *in, struct sl_arena *arena, struct sl_cell *out, struct sl_err *err)
{
    static const char hex[] = "0123456789abcdef";
    struct sl_bytes text;
    char *p, *o;

    if (!sl_cell_text(in, arena, &text))
        return sl_fail(err, SL_E_NOMEM, "no memory for a value's text");
    *out = (struct sl_cell){ .tag = SL_C_JSON, .len = (uint32_t)text.len, .ptr = text.ptr };
    if (in->tag == SL_C_DOUBLE && !isfinite(in->d)) {
        *out = (struct sl_cell){ .tag = SL_C_JSON, .len = 4, .ptr = "null" };
        return 0;
    }
    if (in->tag < SL_C_STRING || in->tag == SL_C_BIGINT || in->tag == SL_C_DECIMAL)
        return 0;
    p = o = sl_arena_get(arena, text.len * 6 + 2);
    if (p == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for a value's text");
    *o++ = '"';
    for (size_t i = 0; i < text.len; i++) {
        unsigned char ch = (unsigned char)text.ptr[i];

        if (ch == '"' || ch == '\\') {
            *o++ = '\\';
            *o++ = (char)ch;
        } else if (ch >= 8 && ch <= 13 && ch != 11) {
            *o++ = '\\';
            *o++ = "btn.fr"[ch - 8];
        } else if (ch < 0x20) {
            memcpy(o, "\\u00", 4);
            o[4] = hex[ch >> 4];
            o[5] = hex[ch & 15];
            o += 6;
        } else {
            *o++ = (char)ch;
        }
    }
    *o++ = '"';
    out->ptr = p;
    out->len = (uint32_t)(o - p);
    return 0;
}

static sl_rc
to_decimal(const struct sl_cell *in, struct sl_coltype to, struct sl_cell *out, struct sl_err *err)
{
    char t[24];
    const char *s = in->ptr;
    size_t n = in->len;

    if (in->tag == SL_C_LONG) {
        n = sl_i64_text(in->i, t);
        s = t;
    } else if (in->tag != SL_C_BIGINT && in->tag != SL_C_DECIMAL) {
        return cannot(in, to, err);
    }
    out->tag = SL_C_DECIMAL;
    out->len = 0;
    if (!dec_parse(s, n, to.scale, &out->dec))
        return sl_fail(err, SL_E_DATA, "%.*s does not fit DECIMAL(%u,%u)", (int)(n > 60 ? 60 : n),
                       s, to.precision, to.scale);
    return 0;
}

static size_t
count_nul(const struct sl_cell *c)
{
    const char *p = c->ptr, *end = c->ptr + c->len;
    size_t n = 0;

    if (c->tag == SL_C_STRING) {
        while (p < end && (p = memchr(p, 0, (size_t)(end - p))) != NULL) {
            n++;
            p++;
        }
        return n;
    }
    /* Every backslash begins an escape, which is skipped whole: \\u0000 is none of these. */
    while (p < end && (p = memchr(p, '\\', (size_t)(end - p))) != NULL) {
        n += end - p >= 6 && memcmp(p, "\\u0000", 6) == 0;
        p += 2;
    }
    return n;
}

sl_rc
sl_cell_without_nul(struct sl_cell *c, struct sl_arena *arena, uint64_t *changed,
                    struct sl_err *err)
{
    static const char replacement[3] = "\xEF\xBF\xBD";
    size_t n = c->len && (c->tag == SL_C_STRING || c->tag == SL_C_JSON) ? count_nul(c) : 0;
    char *copy, *o;

    *changed = n;
    if (n == 0)
        return 0;
    o = copy = sl_arena_get(arena, c->len + 2 * n);
    if (copy == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for a value of %u bytes", c->len);
    for (uint32_t i = 0; i < c->len; i++) {
        if (c->tag == SL_C_STRING && c->ptr[i] == '\0') {
            memcpy(o, replacement, sizeof replacement);
            o += sizeof replacement;
        } else if (c->tag == SL_C_JSON && c->ptr[i] == '\\') {
            bool nul = c->len - i >= 6 && memcmp(c->ptr + i, "\\u0000", 6) == 0;

            memcpy(o, nul ? "\\ufffd" : c->ptr + i, nul ? 6 : 2);
            o += nul ? 6 : 2;
            i += nul ? 5 : 1;
        } else {
            *o++ = c->ptr[i];
        }
    }
    c->ptr = copy;
    c->len = (uint32_t)(o - copy);
    return 0;
}

sl_rc
sl_cell_convert(const struct sl_cell *in, struct sl_coltype to, struct sl_arena *arena,
                struct sl_cell *out, struct sl_err *err)
{
    if (in->tag == SL_C_NULL || in->tag == SL_C_ABSENT) {
        *out = *in;
        return 0;
    }
    switch (to.type) {
    case SL_T_STRING:
        if (in->tag != SL_C_STRING)
            return to_string(in, arena, out, err);
        break;
    case SL_T_JSON:
        if (in->tag != SL_C_JSON)
            return to_json(in, arena, out, err);
        break;
    case SL_T_DECIMAL:
        return to_decimal(in, to, out, err);
    case SL_T_DOUBLE:
        if (in->tag == SL_C_LONG) {
            *out = (struct sl_cell){ .tag = SL_C_DOUBLE, .d = (double)in->i };
            return 0;
        }
        break;
    case SL_T_NAIVE_DATETIME:
        if (in->tag == SL_C_DATE) {
            *out = (struct sl_cell){ .tag = SL_C_NAIVE_DATETIME, .i = in->i * DAY_US };
            return 0;
        }
        break;
    default:
        break;
    }
    if (!sl_tag_fits(in->tag, to.type))
        return cannot(in, to, err);
    *out = *in;
    return 0;
}
