/* imports.h - what a project's code imports beside what its requirements name, read from the text: nothing is run or asked of an
 * index.
 *
 * Which distribution brings an import of another name is known for the common ones (imports_table.h). Imports that may fail
 * (inside try, or for type checking) are never called missing. Tests in the project are not read.
 */
#ifndef SL_RUNTIME_IMPORTS_H
#define SL_RUNTIME_IMPORTS_H

#include "base/err.h"

/* Calls `warn` with one sentence for each import missing from the requirements, each requirement nothing imports, and each one
 * that is not pinned. SL_E_ENV for requirements that cannot be read. */
SL_MUST_CHECK sl_rc sl_imports_check(const char *project,
                                     void (*warn)(void *ctx, const char *sentence), void *ctx,
                                     struct sl_err *err);

#endif
