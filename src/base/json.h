/* json.h - a check, without building anything, that bytes are one JSON value. For untrusted text on the row path. */
#ifndef SL_BASE_JSON_H
#define SL_BASE_JSON_H

#include <stdbool.h>
#include <stddef.h>

/* Deeper nesting is refused: readers of the warehouse recurse. */
#define SL_JSON_DEPTH 512

/* True if s is exactly one JSON value (RFC 8259) of valid UTF-8, without escaped lone surrogates, at
 * most SL_JSON_DEPTH deep. */
bool sl_json_valid(const char *s, size_t len);

/* The same, and also what Python's json.dumps writes for numbers that JSON has not: NaN, Infinity, -Infinity. */
bool sl_json_valid_python(const char *s, size_t len);

#endif
