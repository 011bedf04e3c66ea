/* json.h - checks of JSON text on the row path: that bytes are one value, without building anything; that two are the same. */
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

/* Whether two JSON texts have the same value: members in any order (of a name that comes twice the last one counts), numbers by
 * their exact value, text by its characters. Both are JSON already: of other text nothing is promised. */
bool sl_json_same(const char *a, size_t alen, const char *b, size_t blen);

/* Behind the closing quote of the string that begins at p; `end` if it has none. The text is known to be valid. */
const char *sl_json_string_end(const char *p, const char *end);

#endif
