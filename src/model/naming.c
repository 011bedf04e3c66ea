#include "model/naming.h"

#include "base/buf.h"
#include "base/text.h"

#include <sodium.h>
#include <stdlib.h>
#include <utf8proc.h>

/* Latin letters without a canonical decomposition, by the spelling most readers expect. */
static const struct {
    int from;
    const char *to;
} spelled[] = {
    { 0xC6, "AE" },   { 0xE6, "ae" },  { 0xD0, "D" },   { 0xF0, "d" },  { 0xD8, "O" },
    { 0xF8, "o" },    { 0xDE, "Th" },  { 0xFE, "th" },  { 0xDF, "ss" }, { 0x110, "D" },
    { 0x111, "d" },   { 0x126, "H" },  { 0x127, "h" },  { 0x131, "i" }, { 0x141, "L" },
    { 0x142, "l" },   { 0x152, "OE" }, { 0x153, "oe" }, { 0x166, "T" }, { 0x167, "t" },
    { 0x1E9E, "SS" },
};

/* Python's \w: letters, numbers and the underscore. */
static bool
is_word(int c)
{
    utf8proc_category_t k;

    if (c < 128)
        return c == '_' || (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') ||
               (c >= 'A' && c <= 'Z');
    k = utf8proc_category(c);
    return (k >= UTF8PROC_CATEGORY_LU && k <= UTF8PROC_CATEGORY_LO) ||
           (k >= UTF8PROC_CATEGORY_ND && k <= UTF8PROC_CATEGORY_NO);
}

static bool
is_upper(int c)
{
    return utf8proc_category(c) == UTF8PROC_CATEGORY_LU;
}

static bool
is_lower(int c)
{
    return utf8proc_category(c) == UTF8PROC_CATEGORY_LL;
}

static bool
is_digit(int c)
{
    return utf8proc_category(c) == UTF8PROC_CATEGORY_ND;
}

static int
next(const char *s, size_t len, size_t *i)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s + *i,
                                          (utf8proc_ssize_t)(len - *i), &c);

    if (n <= 0) { /* callers give valid UTF-8; this keeps a stray byte from looping for ever */
        (*i)++;
        return '_';
    }
    *i += (size_t)n;
    return c;
}

static void
put(struct sl_buf *buf, int c)
{
    utf8proc_uint8_t out[4];

    sl_buf_addn(buf, out, (size_t)utf8proc_encode_char(c, out));
}

static bool
all_plain(const char *s, size_t len)
{
    for (size_t i = 0; i < len;) {
        int c = next(s, len, &i);

        if (!is_word(c) && c != '.' && c != '-')
            return false;
    }
    return true;
}

/* Step 1: accents dropped and special letters spelled out, for names that need it at all. */
static void
plain_letters(const char *s, size_t len, struct sl_buf *out)
{
    utf8proc_uint8_t *nfd = NULL;
    utf8proc_ssize_t n;
    size_t i = 0;

    n = utf8proc_map((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, &nfd,
                     UTF8PROC_DECOMPOSE | UTF8PROC_STABLE);
    if (n < 0) {
        sl_buf_addn(out, s, len);
        return;
    }
    while (i < (size_t)n) {
        int c = next((char *)nfd, (size_t)n, &i);
        size_t k = 0;

        if (utf8proc_category(c) == UTF8PROC_CATEGORY_MN)
            continue;
        while (k < sizeof spelled / sizeof spelled[0] && spelled[k].from != c)
            k++;
        if (k < sizeof spelled / sizeof spelled[0])
            sl_buf_add(out, spelled[k].to);
        else
            put(out, c);
    }
    free(nfd);
    if (out->len == 0) /* nothing but marks: keep the name rather than lose it */
        sl_buf_addn(out, s, len);
}

/* Steps 2 and 3: signs to `_`, words apart, lower case, no double `_`. */
static void
snake(const char *s, size_t len, struct sl_buf *out)
{
    int before = 0;

    for (size_t i = 0; i < len;) {
        int c = next(s, len, &i);

        if (!is_word(c))
            c = '_';
        if (before && ((is_upper(c) && is_lower(before)) || is_digit(c) != is_digit(before)))
            if (out->ptr[out->len - 1] != '_')
                put(out, '_');
        if (c != '_' || out->len == 0 || out->ptr[out->len - 1] != '_')
            put(out, utf8proc_tolower(c));
        before = c;
    }
}

char *
sl_name_of(const char *source, size_t len, bool table, bool fivetran)
{
    struct sl_buf plain, out;
    const char *s;
    char *name;

    if (!fivetran)
        return len ? sl_memdup(source, len) : sl_strdup("_");
    sl_buf_init(&plain, SIZE_MAX / 4);
    sl_buf_init(&out, SIZE_MAX / 4);
    if (all_plain(source, len))
        sl_buf_addn(&plain, source, len);
    else
        plain_letters(source, len, &plain);
    snake(plain.ptr ? plain.ptr : "", plain.len, &out);
    s = sl_buf_str(&out);
    if (table) {
        const char *t = s + strspn(s, "_");
        size_t i = 0;
        int c = *t ? next(t, strlen(t), &i) : 0;

        /* Only if a letter follows: `_1a` keeps its underscore. */
        if (c && is_word(c) && !is_digit(c))
            s = t;
    }
    name = sl_strdup(*s ? s : "_");
    sl_buf_free(&plain);
    sl_buf_free(&out);
    return name;
}

char *
sl_name_suffixed(const char *name, const char *source, size_t len, size_t max)
{
    unsigned char digest[crypto_generichash_BYTES_MIN];
    char hex[7];
    size_t keep = strlen(name);

    crypto_generichash(digest, sizeof digest, (const unsigned char *)source, len, NULL, 0);
    sl_hex(digest, 3, hex);
    if (keep + 7 > max)
        keep = max - 7;
    /* Never cut inside a character. */
    while (keep > 0 && ((unsigned char)name[keep] & 0xC0) == 0x80)
        keep--;
    return sl_sprintf("%.*s_%s", (int)keep, name, hex);
}

char *
sl_name_fold(const char *name)
{
    struct sl_buf out;
    char *folded;

    sl_buf_init(&out, SIZE_MAX / 4);
    for (size_t i = 0, len = strlen(name); i < len;)
        put(&out, utf8proc_tolower(next(name, len, &i)));
    folded = sl_strdup(sl_buf_str(&out));
    sl_buf_free(&out);
    return folded;
}
