#include "dashboard/html.h"

#include <stdio.h>
#include <stdlib.h>

/* ---- text ---- */

/* A page that grows past its ceiling is cut off there: no text of others may end the process. */
static void
put(struct sl_buf *h, const char *s, size_t n)
{
    (void)!sl_buf_put(h, s, n, NULL);
}

static void
put_number(struct sl_buf *h, long long n)
{
    char text[24];
    int len = snprintf(text, sizeof text, "%lld", n);

    put(h, text, (size_t)len);
}

static const char *
entity(char c)
{
    switch (c) {
    case '&':
        return "&amp;";
    case '<':
        return "&lt;";
    case '>':
        return "&gt;";
    case '"':
        return "&quot;";
    default:
        return "&#39;";
    }
}

static void
escape(struct sl_buf *h, const char *s)
{
    while (s != NULL && *s != '\0') {
        size_t n = strcspn(s, "&<>\"'");

        put(h, s, n);
        s += n;
        if (*s != '\0') {
            put(h, entity(*s), strlen(entity(*s)));
            s++;
        }
    }
}

/* What stands behind a "%"; returns its length. */
static size_t
argument(struct sl_buf *h, const char *p, va_list *ap)
{
    if (*p == 's') {
        escape(h, va_arg(*ap, const char *));
        return 1;
    }
    if (*p == 'd') {
        put_number(h, va_arg(*ap, int));
        return 1;
    }
    if (*p == '%') {
        put(h, "%", 1);
        return 1;
    }
    if (strncmp(p, "lld", 3) == 0) {
        put_number(h, va_arg(*ap, long long));
        return 3;
    }
    if (strncmp(p, "zu", 2) == 0) {
        put_number(h, (long long)va_arg(*ap, size_t));
        return 2;
    }
    abort(); /* a format that this does not know */
}

void
sl_html(struct sl_buf *h, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    while (*fmt != '\0') {
        size_t n = strcspn(fmt, "%");

        put(h, fmt, n);
        fmt += n;
        if (*fmt == '%') {
            fmt++;
            fmt += argument(h, fmt, &ap);
        }
    }
    va_end(ap);
}

/* ---- times and numbers ---- */

void
sl_html_time(struct sl_buf *h, const json_t *iso, const char *form, const char *otherwise)
{
    const char *text = json_string_value(iso);
    char shown[32];

    if (text == NULL || strlen(text) < 19) {
        sl_html(h, "%s", otherwise);
        return;
    }
    snprintf(shown, sizeof shown, "%.10s %.5s UTC", text, text + 11);
    sl_html(h, "<time datetime=\"%s\" data-form=\"%s\">%s</time>", text, form, shown);
}

void
sl_html_number(struct sl_buf *h, int64_t n)
{
    char digits[24], out[32];
    size_t len, at = 0;

    snprintf(digits, sizeof digits, "%llu", n < 0 ? -(unsigned long long)n : (unsigned long long)n);
    len = strlen(digits);
    if (n < 0)
        out[at++] = '-';
    for (size_t i = 0; i < len; i++) {
        if (i > 0 && (len - i) % 3 == 0)
            out[at++] = ',';
        out[at++] = digits[i];
    }
    out[at] = '\0';
    sl_html(h, "%s", out);
}

void
sl_html_bytes(struct sl_buf *h, int64_t n)
{
    static const char *const units[] = { "B", "kB", "MB", "GB", "TB" };
    double value = (double)n;
    char text[32];
    int unit = 0;

    while (value >= 1000 && unit < 4) {
        value /= 1000;
        unit++;
    }
    snprintf(text, sizeof text, value < 10 && unit > 0 ? "%.1f %s" : "%.0f %s", value, units[unit]);
    sl_html(h, "%s", text);
}

void
sl_html_duration(struct sl_buf *h, int64_t us)
{
    int64_t s = us / 1000000;
    char text[40];

    if (us < 1000000)
        snprintf(text, sizeof text, "%d ms", (int)(us / 1000));
    else if (s < 60)
        snprintf(text, sizeof text, "%.1f s", (double)us / 1e6);
    else if (s < 3600)
        snprintf(text, sizeof text, "%d min %d s", (int)(s / 60), (int)(s % 60));
    else
        snprintf(text, sizeof text, "%d h %d min", (int)(s / 3600), (int)(s / 60 % 60));
    sl_html(h, "%s", text);
}

/* ---- addresses ---- */

const char *
sl_url(struct sl_arena *arena, const char *text)
{
    static const char plain[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.~";
    size_t len = strlen(text), n = 0;
    char *out = sl_arena_get(arena, 3 * len + 1);

    for (size_t i = 0; i < len; i++) {
        if (strchr(plain, text[i]) != NULL)
            out[n++] = text[i];
        else
            n += (size_t)snprintf(out + n, 4, "%%%02X", (unsigned char)text[i]);
    }
    out[n] = '\0';
    return out;
}

/* ---- models ---- */

const json_t *
sl_at(const json_t *model, const char *path)
{
    char name[64];

    while (model != NULL && *path != '\0') {
        size_t n = strcspn(path, ".");

        snprintf(name, sizeof name, "%.*s", (int)n, path);
        model = json_object_get(model, name);
        path += n;
        path += *path == '.';
    }
    return model;
}

const char *
sl_at_text(const json_t *model, const char *path)
{
    const char *text = json_string_value(sl_at(model, path));

    return text != NULL ? text : "";
}

int64_t
sl_at_int(const json_t *model, const char *path)
{
    return json_integer_value(sl_at(model, path));
}

bool
sl_at_true(const json_t *model, const char *path)
{
    return json_is_true(sl_at(model, path));
}
