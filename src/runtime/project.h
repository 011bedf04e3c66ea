/* project.h - a connector's folder: its files, configuration, state and the lock that keeps two runs apart. */
#ifndef SL_RUNTIME_PROJECT_H
#define SL_RUNTIME_PROJECT_H

#include "base/buf.h"
#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

struct sl_project {
    char *dir;       /* real path */
    char *name;      /* last part of it */
    char *files;     /* <dir>/files */
    char *warehouse; /* <dir>/files/warehouse.db */
    char *mirror;    /* <dir>/files/state.json */
    char *spill;     /* <dir>/files/.spill */
    char *lock_path; /* <dir>/files/.lock */
    int lock_fd;     /* -1: not held */
};

/* `path` NULL: the working directory. SL_E_NOT_FOUND-like usage errors name the path. */
SL_MUST_CHECK sl_rc sl_project_open(struct sl_project *pro, const char *path, struct sl_err *err);
void sl_project_close(struct sl_project *pro);
/* connector.py in the project's root. Says when it is elsewhere or spelled otherwise. */
SL_MUST_CHECK sl_rc sl_project_check(const struct sl_project *pro, struct sl_err *err);
/* Whether a source that would be packed says ConfigurationForm: without that word the connector has no form (package.c). */
bool sl_project_says_form(const char *dir);
/* Makes files/ and takes the lock; SL_E_LOCKED names the process that has it. `what` goes into the lock file. */
SL_MUST_CHECK sl_rc sl_project_lock(struct sl_project *pro, const char *what, struct sl_err *err);
/* Whether a name in files/ is the mirror of a warehouse named by --destination: "state.pg.json". *stem (may be NULL, malloc'ed) is "pg". */
bool sl_project_is_mirror(const char *name, char **stem);
/* Who holds the lock, e.g. "fivetran debug (process 4711)"; false when nobody does. */
bool sl_project_locked_by(const struct sl_project *pro, char *who, size_t size);

/* Most fields a configuration may have, as on the platform. */
#define SL_CONFIG_FIELDS 100

/* The configuration: `path`, else configuration.json in the project, else {}. Every value is a text; with `nulls` it may be
 * null, too (a deploy: what the server has is kept). *found tells whether there was a file. SL_E_CONFIG with file, line and
 * column for text that is not JSON. */
SL_MUST_CHECK sl_rc sl_project_configuration(const struct sl_project *pro, const char *path,
                                             bool nulls, json_t **out, bool *found,
                                             struct sl_err *err);
SL_MUST_CHECK sl_rc sl_check_configuration(const json_t *conf, const char *shown, bool nulls,
                                           struct sl_err *err);
/* The text of a state file, checked to be a JSON object. Appended to buf. */
SL_MUST_CHECK sl_rc sl_project_state(const char *path, struct sl_buf *buf, struct sl_err *err);
/* Parses a file; a relative path is taken as given. */
SL_MUST_CHECK sl_rc sl_json_file(const char *path, struct sl_buf *text, json_t **out,
                                 struct sl_err *err);

#endif
