/* requirements.h - what a project needs: requirements.txt, or [project].dependencies of pyproject.toml.
 *
 * Lines are joined at continuations, comments are dropped, `-r` files inside the project are read in place, and
 * relative paths become absolute, so that the result can be installed from anywhere and compared as text.
 */
#ifndef SL_RUNTIME_REQUIREMENTS_H
#define SL_RUNTIME_REQUIREMENTS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>

struct sl_requirement {
    char *text; /* the normalised line, also for options ("--index-url …") */
    char *name; /* normalised distribution name; NULL for an option, a path or a bare URL */
    char *file; /* as shown: "requirements.txt" */
    int line;
    bool option; /* begins with "-" */
    bool pinned; /* == or === without a wildcard, or an option that brings nothing */
};

struct sl_requirements {
    struct sl_requirement *list;
    size_t count;
    char *source;   /* "requirements.txt", "pyproject.toml" or NULL: the project has neither */
    char **dropped; /* NULL-terminated: lines that name the SDK itself, as written */
    bool pinned;    /* nothing in it can resolve to something else tomorrow */
};

/* SL_E_ENV with file and line in `path` for a line that is no requirement. A project without the files has none. */
SL_MUST_CHECK sl_rc sl_requirements_load(struct sl_requirements *req, const char *project,
                                         struct sl_err *err);
void sl_requirements_free(struct sl_requirements *req);
/* Adds one that no file names: a plain distribution name. */
void sl_requirements_add(struct sl_requirements *req, const char *name);
/* True when something is to be installed: a requirement that is not an option, or -e. */
bool sl_requirements_any(const struct sl_requirements *req);
/* The file for the installer, and with order and spelling normalised the text of the environment's key. */
void sl_requirements_text(const struct sl_requirements *req, struct sl_buf *out);
void sl_requirements_key(const struct sl_requirements *req, struct sl_buf *out);

/* What a stranger's list may hold: names with versions, conditions and hashes, from the operator's index. Anything that names another
 * source, or has the installer do something else, is SL_E_ENV with file, line and reason. `sources`: the operator allowed indexes,
 * addresses and paths. */
SL_MUST_CHECK sl_rc sl_requirements_check(const struct sl_requirements *req, bool sources,
                                          struct sl_err *err);

/* Distribution names that must never come from an index: the SDK's own, however spelled. */
bool sl_names_the_sdk(const char *normalised_name);
extern const char *const sl_sdk_names[]; /* NULL-terminated */

#endif
