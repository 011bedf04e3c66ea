/* python.h - which Python runs connectors, and what is known of it without starting it.
 *
 * What a Python is (version, base executable, pip) is asked of it once and kept in the cache beside its path, size and
 * time of change.
 */
#ifndef SL_RUNTIME_PYTHON_H
#define SL_RUNTIME_PYTHON_H

#include "base/err.h"

#include <stdbool.h>

struct sl_python {
    char *path;     /* as found; in a venv this is the venv's */
    char *base;     /* the executable environments are made from */
    char *prefix;   /* the folder with its library: what must be readable to run it */
    char *version;  /* "3.11.7" */
    char *platform; /* "linux-x86_64" */
    int major, minor;
    bool cpython;
    char *pip; /* version of its pip, NULL when it has none */
};

/* The oldest and newest minor version of Python 3 that the SDK supports. */
#define SL_PYTHON_OLDEST 9
#define SL_PYTHON_NEWEST 14

/* `wanted` (--python: a path, or a name on PATH) or NULL: the Python beside this program, the active venv's, python3
 * on PATH. SL_E_ENV when there is none or it is too old. */
SL_MUST_CHECK sl_rc sl_python_find(struct sl_python *py, const char *wanted, struct sl_err *err);
void sl_python_free(struct sl_python *py);

/* The newest CPython 3.<minor> found: SLUICE_PYTHONS (paths separated by colons), PATH, /usr/bin, /usr/local/bin, pyenv's versions, those
 * uv has installed. One that does not run (a shim of pyenv without its version) is passed over. SL_E_ENV names the ones there are. The
 * search is made once per process; these two may be called from any thread. */
SL_MUST_CHECK sl_rc sl_python_minor(struct sl_python *py, int minor, struct sl_err *err);
/* The minor versions found, ascending; how many. */
int sl_pythons_list(int minors[SL_PYTHON_NEWEST - SL_PYTHON_OLDEST + 1]);

#endif
