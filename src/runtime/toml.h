/* toml.h - the one thing needed from pyproject.toml: the array [project].dependencies. */
#ifndef SL_RUNTIME_TOML_H
#define SL_RUNTIME_TOML_H

#include "base/err.h"

#include <stdbool.h>

/* Called for each string of the array with the line it stands on. An error ends the reading. */
typedef sl_rc (*sl_toml_item)(void *ctx, const char *text, int line, struct sl_err *err);

/* `text` is NUL-terminated TOML. No such array: nothing is called. SL_E_ENV with the line for an array that is not
 * one of strings. */
SL_MUST_CHECK sl_rc sl_toml_dependencies(const char *text, sl_toml_item fn, void *ctx,
                                         struct sl_err *err);

#endif
