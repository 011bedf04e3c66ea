#include "destinations/sql.h"

#include "model/cell.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

void
sl_sql_init(struct sl_sql *q, const struct sl_dialect *d)
{
    q->d = d;
    sl_buf_init(&q->buf, SIZE_MAX / 4);
}

void
sl_sql_free(struct sl_sql *q)
{
    sl_buf_free(&q->buf);
}

void
sl_sql_clear(struct sl_sql *q)
{
    q->buf.len = 0;
}

const char *
sl_sql_text(struct sl_sql *q)
{
    return sl_buf_str(&q->buf);
}

static void
quoted(struct sl_sql *q, char quote, const char *s, size_t len)
{
    sl_buf_addn(&q->buf, &quote, 1);
    for (size_t i = 0, from = 0; i <= len; i++) {
        bool special = i < len && (s[i] == quote || (q->d->backslashes && s[i] == '\\'));

        if (i < len && !special)
            continue;
        sl_buf_addn(&q->buf, s + from, i - from);
        if (special)
            sl_buf_addn(&q->buf, q->d->backslashes ? "\\" : &quote, 1);
        from = i;
    }
    sl_buf_addn(&q->buf, &quote, 1);
}

static void
add_value(struct sl_sql *q, const char *s, size_t len)
{
    if (s == NULL)
        sl_buf_add(&q->buf, "NULL");
    else
        quoted(q, '\'', s, len);
}

static void
add_instant(struct sl_sql *q, int64_t us)
{
    const char *at = strstr(q->d->instant, "%s");
    char text[40];

    sl_datetime_text(us, true, text);
    sl_buf_addn(&q->buf, q->d->instant, (size_t)(at - q->d->instant));
    sl_buf_add(&q->buf, text);
    sl_buf_add(&q->buf, at + 2);
}

static void
add_type(struct sl_sql *q, struct sl_coltype t)
{
    char text[48];

    if (t.type != SL_T_DECIMAL) {
        sl_buf_add(&q->buf, q->d->types[t.type]);
        return;
    }
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wformat-nonliteral"
    snprintf(text, sizeof text, q->d->decimal, (unsigned)t.precision, (unsigned)t.scale);
#pragma GCC diagnostic pop
    sl_buf_add(&q->buf, text);
}

static void
add_table(struct sl_sql *q, const struct sl_table *t)
{
    quoted(q, q->d->quote, t->schema, strlen(t->schema));
    sl_buf_add(&q->buf, ".");
    quoted(q, q->d->quote, t->name, strlen(t->name));
}

static void
add_directive(struct sl_sql *q, char what, va_list *ap)
{
    const struct sl_bytes *b;
    const char *s;

    switch (what) {
    case 'n':
        s = va_arg(*ap, const char *);
        quoted(q, q->d->quote, s, strlen(s));
        break;
    case 't':
        add_table(q, va_arg(*ap, const struct sl_table *));
        break;
    case 's':
        s = va_arg(*ap, const char *);
        add_value(q, s, s ? strlen(s) : 0);
        break;
    case 'b':
        b = va_arg(*ap, const struct sl_bytes *);
        add_value(q, b->ptr, b->len);
        break;
    case 'd':
        sl_buf_addf(&q->buf, "%lld", (long long)va_arg(*ap, int64_t));
        break;
    case 'y':
        sl_buf_add(&q->buf, va_arg(*ap, int) ? "TRUE" : "FALSE");
        break;
    case 'm':
        add_instant(q, va_arg(*ap, int64_t));
        break;
    case 'c':
        add_type(q, *va_arg(*ap, const struct sl_coltype *));
        break;
    case 'r':
        sl_buf_add(&q->buf, va_arg(*ap, const char *));
        break;
    default:
        assert(what == '%');
        sl_buf_addn(&q->buf, &what, 1);
    }
}

void
sl_sqlf(struct sl_sql *q, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    for (const char *p; *fmt; fmt = p) {
        p = strchrnul(fmt, '%');
        sl_buf_addn(&q->buf, fmt, (size_t)(p - fmt));
        if (*p == '\0')
            break;
        add_directive(q, p[1], &ap);
        p += 2;
    }
    va_end(ap);
}

int
sl_sql_columns(struct sl_sql *q, const struct sl_table *t, const char *fmt, const char *between,
               bool (*want)(const struct sl_column *c))
{
    int n = 0;

    for (int i = 0; i < t->ncolumns; i++) {
        const struct sl_column *c = t->columns[i];

        if (c->next.type == SL_T_NONE || (want != NULL && !want(c)))
            continue;
        sl_buf_add(&q->buf, n++ ? between : "");
        for (const char *f = fmt, *p; *f; f = p) {
            p = strchrnul(f, '%');
            sl_buf_addn(&q->buf, f, (size_t)(p - f));
            if (*p == '\0')
                break;
            if (p[1] == 'n')
                quoted(q, q->d->quote, c->name, strlen(c->name));
            else
                add_type(q, c->next);
            p += 2;
        }
    }
    return n;
}

bool
sl_sql_is_key(const struct sl_column *c)
{
    return c->key >= 0;
}

bool
sl_sql_is_plain(const struct sl_column *c)
{
    return c->key < 0;
}
