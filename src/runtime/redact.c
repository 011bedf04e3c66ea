#include "runtime/redact.h"

#include <ctype.h>
#include <sodium.h>
#include <stdint.h>
#include <stdlib.h>
#include <strings.h>

/* Text of our own making between pieces; a piece is at most a frame. */
#define OUT_MAX ((size_t)2 << 30)
/* Patterns are found by their first four bytes; no shorter pattern is taken. */
#define HEAD 4
#define BUCKETS 4096

struct pattern {
    char *ptr;
    size_t len;
};

struct sl_redact {
    struct pattern *list; /* sorted bytewise once in use */
    size_t count;
    size_t longest;
    uint32_t *bucket; /* where each head's patterns begin in by_head */
    uint32_t *by_head;
    bool ready;
};

/* ---- what is hidden ---- */

bool
sl_redact_says_secret(const char *key)
{
    static const char *const words[] = { "key", "token", "secret", "pass", "auth", "cred", "sign" };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasestr(key, words[i]) != NULL)
            return true;
    return false;
}

static bool
is_boolean(const char *s)
{
    static const char *const words[] = { "true", "false", "yes",  "no",      "on",
                                         "off",  "null",  "none", "enabled", "disabled" };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcasecmp(s, words[i]) == 0)
            return true;
    return false;
}

static bool
is_short_number(const char *s)
{
    size_t digits = 0, n = strlen(s);

    for (size_t i = 0; i < n; i++) {
        if (isdigit((unsigned char)s[i]))
            digits++;
        else if (strchr("+-.,_", s[i]) == NULL)
            return false;
    }
    return digits > 0 && n < 10;
}

/* 2024-01-31, with or without a time after it. */
static bool
is_iso_date(const char *s)
{
    static const char form[] = "dddd-dd-dd";
    size_t i;

    for (i = 0; form[i] != '\0'; i++)
        if (form[i] == 'd' ? !isdigit((unsigned char)s[i]) : s[i] != '-')
            return false;
    return s[i] == '\0' ||
           ((s[i] == 'T' || s[i] == ' ') && s[i + strspn(s + i, "T 0123456789:.+-Z")] == '\0');
}

static bool
is_hidden(const char *key, const char *value, bool secret)
{
    size_t n = strlen(value);

    if (n < HEAD || is_boolean(value) || is_short_number(value) || is_iso_date(value))
        return false;
    return n >= 8 || secret || sl_redact_says_secret(key);
}

/* ---- its forms ---- */

static void
add_pattern(struct sl_redact *red, const char *ptr, size_t len)
{
    if (len < HEAD)
        return;
    red->list = sl_realloc(red->list, red->count + 1, sizeof *red->list);
    red->list[red->count++] = (struct pattern){ sl_memdup(ptr, len), len };
    red->longest = len > red->longest ? len : red->longest;
}

static void
add_url_form(struct sl_redact *red, const char *s, size_t n, const char *keep, bool plus,
             const char *hex)
{
    char *text = sl_alloc(3 * n + 1), *w = text;

    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];

        if (isalnum(c) || (c < 0x80 && c != '\0' && strchr(keep, c) != NULL)) {
            *w++ = (char)c;
        } else if (c == ' ' && plus) {
            *w++ = '+';
        } else {
            *w++ = '%';
            *w++ = hex[c >> 4];
            *w++ = hex[c & 15];
        }
    }
    add_pattern(red, text, (size_t)(w - text));
    free(text);
}

static unsigned
take_code_point(const unsigned char *s, size_t *i)
{
    unsigned c = s[*i];
    int more = c >= 0xf0 ? 3 : c >= 0xe0 ? 2 : c >= 0xc0 ? 1 : 0;

    c = more == 3 ? c & 7 : more == 2 ? c & 15 : more == 1 ? c & 31 : c;
    for ((*i)++; more > 0 && (s[*i] & 0xc0) == 0x80; more--, (*i)++)
        c = c << 6 | (s[*i] & 0x3f);
    return c;
}

static void
add_escape(struct sl_buf *out, unsigned c)
{
    static const char from[] = "\b\f\n\r\t", to[] = "bfnrt";
    const char *at = c < 0x80 && c != 0 ? strchr(from, (int)c) : NULL;

    if (at != NULL)
        sl_buf_addf(out, "\\%c", to[at - from]);
    else if (c > 0xffff)
        sl_buf_addf(out, "\\u%04x\\u%04x", 0xd800 + ((c - 0x10000) >> 10),
                    0xdc00 + ((c - 0x10000) & 0x3ff));
    else
        sl_buf_addf(out, "\\u%04x", c);
}

/* JSON text or Python's repr: `quote` is escaped, `slash` too if set, and all beyond ASCII if `ascii`. */
static void
add_escaped_form(struct sl_redact *red, const char *s, size_t n, char quote, bool slash, bool ascii)
{
    struct sl_buf out;
    size_t i = 0;

    sl_buf_init(&out, OUT_MAX);
    while (i < n) {
        size_t start = i;
        unsigned c = take_code_point((const unsigned char *)s, &i);

        if (c == (unsigned char)quote || c == '\\' || (slash && c == '/'))
            sl_buf_addf(&out, "\\%c", (char)c);
        else if (c < 0x20 || (ascii && c >= 0x7f))
            add_escape(&out, c);
        else
            sl_buf_addn(&out, s + start, i - start);
    }
    add_pattern(red, out.ptr, out.len);
    sl_buf_free(&out);
}

/* The characters of a longer text's base64 that are decided by the value alone, when it begins `shift` bytes after a
 * group of three. Fewer than five of them would hide innocent text. */
static void
add_base64_form(struct sl_redact *red, const char *s, size_t n, size_t shift, int variant)
{
    size_t size = sodium_base64_encoded_len(n + shift, variant), first = (8 * shift + 5) / 6,
           last = 8 * (n + shift) / 6;
    unsigned char *in = sl_zalloc(n + shift, 1);
    char *text = sl_alloc(size);

    memcpy(in + shift, s, n);
    sodium_bin2base64(text, size, in, n + shift, variant);
    if (last >= first + 5)
        add_pattern(red, text + first, last - first);
    free(text);
    free(in);
}

static void
add_forms(struct sl_redact *red, const char *s, size_t n)
{
    static const char *const hex[] = { "0123456789ABCDEF", "0123456789abcdef" };
    static const char *const keep[] = { "-_.~", "-_.~/", "-_.~!*'()" };

    add_pattern(red, s, n);
    for (size_t i = 0; i < 2; i++)
        for (size_t k = 0; k < 3; k++) {
            add_url_form(red, s, n, keep[k], false, hex[i]);
            add_url_form(red, s, n, keep[k], true, hex[i]);
        }
    add_escaped_form(red, s, n, '"', false, false);
    add_escaped_form(red, s, n, '"', false, true);
    add_escaped_form(red, s, n, '"', true, true);
    add_escaped_form(red, s, n, '\'', false, false);
    for (size_t shift = 0; shift < 3; shift++) {
        add_base64_form(red, s, n, shift, sodium_base64_VARIANT_ORIGINAL_NO_PADDING);
        add_base64_form(red, s, n, shift, sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    }
}

/* A private key printed line by line: its lines are secrets as well, its first and last line are not. */
static void
add_lines(struct sl_redact *red, const char *value)
{
    while (*value != '\0') {
        size_t n = strcspn(value, "\r\n");

        if (n >= 16 && value[0] != '-')
            add_pattern(red, value, n);
        value += n + strspn(value + n, "\r\n");
    }
}

struct sl_redact *
sl_redact_new(void)
{
    return sl_zalloc(1, sizeof(struct sl_redact));
}

/* The same without blanks and line ends around, as a connector will have stripped it; the password of an address. */
static void
add_parts(struct sl_redact *red, const char *value)
{
    size_t skip = strspn(value, " \t\r\n"), n = strlen(value);
    const char *at = strstr(value, "://"), *colon, *end;

    while (n > skip && strchr(" \t\r\n", value[n - 1]) != NULL)
        n--;
    if (n - skip >= HEAD && n - skip < strlen(value))
        add_forms(red, value + skip, n - skip);
    if (at == NULL)
        return;
    at += 3;
    end = at + strcspn(at, "/?# ");
    while (end > at && end[-1] != '@')
        end--;
    colon = memchr(at, ':', (size_t)(end - at));
    if (colon != NULL && end - colon > HEAD + 1)
        add_forms(red, colon + 1, (size_t)(end - colon) - 2);
}

void
sl_redact_add(struct sl_redact *red, const char *key, const char *value, bool secret)
{
    if (!is_hidden(key, value, secret))
        return;
    add_forms(red, value, strlen(value));
    add_parts(red, value);
    if (strpbrk(value, "\r\n") != NULL)
        add_lines(red, value);
    red->ready = false;
}

void
sl_redact_free(struct sl_redact *red)
{
    if (red == NULL)
        return;
    for (size_t i = 0; i < red->count; i++) {
        sodium_memzero(red->list[i].ptr, red->list[i].len);
        free(red->list[i].ptr);
    }
    free(red->list);
    free(red->bucket);
    free(red->by_head);
    free(red);
}

/* ---- finding ---- */

static int
compare(const void *a, const void *b)
{
    const struct pattern *x = a, *y = b;
    size_t n = x->len < y->len ? x->len : y->len;
    int c = memcmp(x->ptr, y->ptr, n);

    return c ? c : (x->len > y->len) - (x->len < y->len);
}

static unsigned
head_of(const char *s)
{
    uint32_t v;

    memcpy(&v, s, sizeof v);
    return (v * 2654435761u) >> 20; /* BUCKETS = 2^12 */
}

static void
sort_unique(struct sl_redact *red)
{
    size_t keep = 0;

    qsort(red->list, red->count, sizeof *red->list, compare);
    for (size_t i = 0; i < red->count; i++) {
        if (keep > 0 && compare(&red->list[keep - 1], &red->list[i]) == 0)
            free(red->list[i].ptr);
        else
            red->list[keep++] = red->list[i];
    }
    red->count = keep;
}

static void
prepare(struct sl_redact *red)
{
    if (red->count > 0)
        sort_unique(red);
    free(red->bucket);
    free(red->by_head);
    red->bucket = sl_zalloc(BUCKETS + 2, sizeof *red->bucket);
    red->by_head = sl_zalloc(red->count, sizeof *red->by_head);
    /* Counting sort: after the sums bucket[b + 1] is the start of bucket b, and its end once b is filled. */
    for (size_t i = 0; i < red->count; i++)
        red->bucket[head_of(red->list[i].ptr) + 2]++;
    for (size_t b = 1; b <= BUCKETS; b++)
        red->bucket[b + 1] += red->bucket[b];
    for (size_t i = 0; i < red->count; i++)
        red->by_head[red->bucket[head_of(red->list[i].ptr) + 1]++] = (uint32_t)i;
    red->ready = true;
}

/* Length of the longest pattern at s, 0 for none. */
static size_t
match_at(const struct sl_redact *red, const char *s, size_t len)
{
    size_t best = 0;
    unsigned b;

    if (len < HEAD)
        return 0;
    b = head_of(s);
    for (uint32_t i = red->bucket[b]; i < red->bucket[b + 1]; i++) {
        const struct pattern *p = &red->list[red->by_head[i]];

        if (p->len > best && p->len <= len && memcmp(p->ptr, s, p->len) == 0)
            best = p->len;
    }
    return best;
}

/* True if s is the beginning of a longer pattern. */
static bool
begins_pattern(const struct sl_redact *red, const char *s, size_t len)
{
    size_t low = 0, high = red->count;

    while (low < high) {
        size_t mid = (low + high) / 2;
        const struct pattern *p = &red->list[mid];
        int c = memcmp(p->ptr, s, p->len < len ? p->len : len);

        if (c < 0 || (c == 0 && p->len <= len))
            low = mid + 1;
        else if (c > 0)
            high = mid;
        else
            return true;
    }
    return false;
}

/* Shows text up to where a value may go on behind its end (unless `end`) and returns that position. *covered: in, how
 * many bytes at the start belong to a value already shown; out, the same for the rest. */
static size_t
scan(const struct sl_redact *red, const char *text, size_t len, bool end, size_t *covered,
     struct sl_buf *out)
{
    size_t until = *covered, plain = until, i;

    for (i = 0; i < len; i++) {
        size_t n;

        if (!end && len - i < red->longest && begins_pattern(red, text + i, len - i))
            break;
        n = match_at(red, text + i, len - i);
        if (n == 0 || i + n <= until)
            continue;
        if (i >= until) {
            sl_buf_addn(out, text + plain, i - plain);
            sl_buf_add(out, SL_REDACTED);
        }
        until = plain = i + n;
    }
    if (i > plain)
        sl_buf_addn(out, text + plain, i - plain);
    *covered = until > i ? until - i : 0;
    return i;
}

void
sl_redact_text(const struct sl_redact *red, const char *text, size_t len, struct sl_buf *out)
{
    size_t covered = 0;

    if (!red->ready)
        prepare((struct sl_redact *)red);
    if (red->count == 0)
        sl_buf_addn(out, text, len);
    else
        (void)scan(red, text, len, true, &covered, out);
}

void
sl_redact_stream_init(struct sl_redact_stream *st, const struct sl_redact *red)
{
    /* Here, so that two streams on two threads find it done. */
    if (!red->ready)
        prepare((struct sl_redact *)red);
    *st = (struct sl_redact_stream){ .red = red };
    sl_buf_init(&st->held, OUT_MAX);
}

void
sl_redact_stream_put(struct sl_redact_stream *st, const char *text, size_t len, bool end,
                     struct sl_buf *out)
{
    size_t shown;

    if (st->red->count == 0) {
        sl_buf_addn(out, text, len);
        return;
    }
    sl_buf_addn(&st->held, text, len);
    if (st->held.len == 0)
        return;
    shown = scan(st->red, st->held.ptr, st->held.len, end, &st->covered, out);
    memmove(st->held.ptr, st->held.ptr + shown, st->held.len - shown);
    st->held.len -= shown;
}

void
sl_redact_stream_free(struct sl_redact_stream *st)
{
    sl_buf_free(&st->held);
}
