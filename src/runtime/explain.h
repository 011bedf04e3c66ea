/* explain.h - why uv or pip failed, in one sentence, with what to do. */
#ifndef SL_RUNTIME_EXPLAIN_H
#define SL_RUNTIME_EXPLAIN_H

#include "base/err.h"
#include "runtime/python.h"
#include "runtime/requirements.h"

/* Fills err from the installer's output. Always SL_E_ENV (or SL_E_DISK_FULL's words with that code). It may ask pip which versions there
 * are; `wheels_only`: without running anything of a package. */
sl_rc sl_explain_install(const char *output, const struct sl_requirements *req,
                         const struct sl_python *py, bool wheels_only, const char *log,
                         struct sl_err *err);

#endif
