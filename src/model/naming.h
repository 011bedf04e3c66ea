/* naming.h - names in the destination from names in the source.
 *
 * FIVETRAN naming: lower snake case, accents dropped, other signs `_`. Borrowed facts: the documented renaming rules and
 * vectors of the official SDK up to 2.6; its transliteration table is not used, ours is a short one of Latin letters
 * that Unicode does not decompose.
 */
#ifndef SL_MODEL_NAMING_H
#define SL_MODEL_NAMING_H

#include <stdbool.h>
#include <stddef.h>

/* The destination name of a table or column, malloc'ed. An empty result becomes "_". `fivetran` false: as written. */
char *sl_name_of(const char *source, size_t len, bool table, bool fivetran);

/* The name a second comer gets: at most `max` bytes of name, `_` and 6 hex digits of the source name. malloc'ed. */
char *sl_name_suffixed(const char *name, const char *source, size_t len, size_t max);

/* Lower-case form for comparing names without case. malloc'ed. */
char *sl_name_fold(const char *name);

#endif
