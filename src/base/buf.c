#include "base/buf.h"

#include <stdio.h>
#include <stdlib.h>

static void __attribute__((noreturn)) die_no_memory(size_t size)
{
    fprintf(stderr, "sluice: out of memory (%zu bytes wanted)\n", size);
    abort();
}

void *
sl_alloc(size_t size)
{
    void *p = malloc(size ? size : 1);

    if (p == NULL)
        die_no_memory(size);
    return p;
}

void *
sl_zalloc(size_t count, size_t size)
{
    void *p = calloc(count ? count : 1, size ? size : 1);

    if (p == NULL)
        die_no_memory(count * size);
    return p;
}

void *
sl_try_realloc(void *ptr, size_t count, size_t size)
{
    size_t bytes;

    if (__builtin_mul_overflow(count, size, &bytes))
        return NULL;
    return realloc(ptr, bytes ? bytes : 1);
}

void *
sl_realloc(void *ptr, size_t count, size_t size)
{
    void *p = sl_try_realloc(ptr, count, size);

    if (p == NULL)
        die_no_memory(count * size);
    return p;
}

char *
sl_strdup_null(const char *s)
{
    return s != NULL ? sl_strdup(s) : NULL;
}

void
sl_set_text(char **field, const char *text)
{
    char *copy = sl_strdup_null(text);

    free(*field);
    *field = copy;
}

char *
sl_memdup(const void *ptr, size_t len)
{
    char *p = sl_alloc(len + 1);

    if (len)
        memcpy(p, ptr, len);
    p[len] = '\0';
    return p;
}

char *
sl_strdup(const char *s)
{
    return sl_memdup(s, strlen(s));
}

char *
sl_sprintf(const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        die_no_memory(0);
    return s;
}

void
sl_buf_init(struct sl_buf *buf, size_t max)
{
    *buf = (struct sl_buf){ .max = max };
}

void
sl_buf_free(struct sl_buf *buf)
{
    free(buf->ptr);
    *buf = (struct sl_buf){ .max = buf->max };
}

sl_rc
sl_buf_reserve(struct sl_buf *buf, size_t more, struct sl_err *err)
{
    size_t need, cap;
    char *p;

    if (__builtin_add_overflow(buf->len, more, &need) || need > buf->max)
        return sl_fail(err, SL_E_LIMIT, "more than %zu bytes", buf->max);
    if (need <= buf->cap)
        return 0;
    cap = buf->cap ? buf->cap : 256;
    while (cap < need)
        cap += cap / 2;
    if (cap > buf->max)
        cap = buf->max;
    p = sl_try_realloc(buf->ptr, cap, 1);
    if (p == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for %zu bytes", cap);
    buf->ptr = p;
    buf->cap = cap;
    return 0;
}

sl_rc
sl_buf_put(struct sl_buf *buf, const void *ptr, size_t len, struct sl_err *err)
{
    sl_rc rc = sl_buf_reserve(buf, len, err);

    if (rc)
        return rc;
    if (len)
        memcpy(buf->ptr + buf->len, ptr, len);
    buf->len += len;
    return 0;
}

void
sl_buf_addn(struct sl_buf *buf, const void *ptr, size_t len)
{
    if (sl_buf_put(buf, ptr, len, NULL))
        die_no_memory(len);
}

void
sl_buf_add(struct sl_buf *buf, const char *s)
{
    sl_buf_addn(buf, s, strlen(s));
}

void
sl_buf_addf(struct sl_buf *buf, const char *fmt, ...)
{
    va_list ap;
    char *s = NULL;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&s, fmt, ap);
    va_end(ap);
    if (n < 0)
        die_no_memory(0);
    sl_buf_addn(buf, s, (size_t)n);
    free(s);
}

void
sl_buf_keep_last(struct sl_buf *buf, size_t most, const void *ptr, size_t len)
{
    const char *p = ptr;
    size_t drop;

    if (len > most) {
        p += len - most;
        len = most;
    }
    if (buf->len + len > most) {
        drop = buf->len + len - most;
        memmove(buf->ptr, buf->ptr + drop, buf->len - drop);
        buf->len -= drop;
    }
    sl_buf_addn(buf, p, len);
}

const char *
sl_buf_str(struct sl_buf *buf)
{
    if (sl_buf_reserve(buf, 1, NULL))
        die_no_memory(1);
    buf->ptr[buf->len] = '\0';
    return buf->ptr;
}
