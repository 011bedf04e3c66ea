/* text.h - checks and small text forms that know nothing of the product. */
#ifndef SL_BASE_TEXT_H
#define SL_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* True for well-formed UTF-8 (no surrogates, no overlong forms, at most U+10FFFF). NUL is allowed. */
bool sl_utf8_valid(const char *s, size_t len);

/* Python's repr of a double: the shortest digits that read back to the same value; "nan", "inf", "-inf".
 * Returns the length; out gets a NUL. */
#define SL_DOUBLE_TEXT 32
size_t sl_double_text(double value, char out[SL_DOUBLE_TEXT]);

/* Decimal text of an integer; returns the length, adds a NUL. */
size_t sl_i64_text(int64_t value, char out[24]);

/* Lower-case hex of n bytes; out needs 2n+1. */
void sl_hex(const void *bytes, size_t n, char *out);

#endif
