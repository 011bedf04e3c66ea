/* buf.h - growable byte buffers that know their ceiling, and allocation with checked sizes.
 *
 * A buffer carries its largest size from birth: growth past it is an ordinary error that names the limit.
 * Ownership: the struct is the caller's; sl_buf_free() ends it and makes it reusable. `ptr` may move on any append.
 * The bytes are not NUL-terminated unless sl_buf_str() is called.
 */
#ifndef SL_BASE_BUF_H
#define SL_BASE_BUF_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

struct sl_bytes {
    const char *ptr;
    size_t len;
};

#define SL_LIT(s) ((struct sl_bytes){ (s), sizeof(s) - 1 })

struct sl_buf {
    char *ptr;
    size_t len, cap, max;
};

/* Small program-sized requests: never NULL, the process ends if there is no memory. */
void *sl_alloc(size_t size) __attribute__((malloc, alloc_size(1)));
void *sl_zalloc(size_t count, size_t size) __attribute__((malloc, alloc_size(1, 2)));
void *sl_realloc(void *ptr, size_t count, size_t size);
char *sl_strdup(const char *s);
char *sl_strdup_null(const char *s); /* NULL stays NULL */
/* Replaces a malloc'ed text, which may be NULL, by a copy of another, which may be NULL, or part of the old one. */
void sl_set_text(char **field, const char *text);
char *sl_memdup(const void *ptr, size_t len); /* adds a NUL after the copy */
char *sl_sprintf(const char *fmt, ...) SL_PRINTF(1, 2);
/* Sizes that come from data: NULL when there is no memory or count*size overflows. */
void *sl_try_realloc(void *ptr, size_t count, size_t size);

void sl_buf_init(struct sl_buf *buf, size_t max);
void sl_buf_free(struct sl_buf *buf);
/* Makes room for `more` bytes after len. Fails past max (SL_E_LIMIT) or without memory (SL_E_NOMEM). */
SL_MUST_CHECK sl_rc sl_buf_reserve(struct sl_buf *buf, size_t more, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_buf_put(struct sl_buf *buf, const void *ptr, size_t len, struct sl_err *err);
/* For text of our own making that stays far below the buffer's ceiling: a failure ends the process. */
void sl_buf_add(struct sl_buf *buf, const char *s);
void sl_buf_addn(struct sl_buf *buf, const void *ptr, size_t len);
void sl_buf_addf(struct sl_buf *buf, const char *fmt, ...) SL_PRINTF(2, 3);
/* Appends, and drops from the front what is more than `most` bytes: the end of a long output. */
void sl_buf_keep_last(struct sl_buf *buf, size_t most, const void *ptr, size_t len);
/* Terminates the text and lends it. */
const char *sl_buf_str(struct sl_buf *buf);

static inline bool
sl_bytes_eq(struct sl_bytes a, struct sl_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

static inline struct sl_bytes
sl_bytes_of(const char *s)
{
    return (struct sl_bytes){ s, strlen(s) };
}

#endif
