/* remote.h - a server as the commands see it: one call a line, errors in words.
 *
 * sl_remote_open() finds address and key and catches Ctrl-C; from then on a first Ctrl-C ends the running call with
 * SL_E_CANCELLED, so that what was begun can be cleaned up, and a second one ends the clean-up too.
 */
#ifndef SL_CLI_REMOTE_H
#define SL_CLI_REMOTE_H

#include "cli/account.h"
#include "cli/console.h"
#include "runtime/http.h"
#include "runtime/package.h"

#include <jansson.h>

struct sl_remote {
    struct sl_account acc;
    struct sl_http *http;
    struct sl_redact *red;  /* the key; commands add configured values */
    struct sl_console *con; /* the progress line */
    int64_t since_us;       /* when the running call began */
    long status;            /* of the last call; 0: no answer */
    char code[64];          /* its "code", e.g. "NotFound_Connector"; may be empty */
    char message[600];      /* its "message"; may be empty */
    char dashboard[256];    /* its link; may be empty */
};

/* Keys: asked for on a terminal unless --non-interactive. The command's table has SL_ACCOUNT_OPTS and "non-interactive". */
SL_MUST_CHECK sl_rc sl_remote_open(struct sl_remote *rem, const struct sl_args *args,
                                   struct sl_err *err);
/* With an account already found; takes it over, also on error. */
SL_MUST_CHECK sl_rc sl_remote_open_account(struct sl_remote *rem, struct sl_account *acc,
                                           struct sl_err *err);
void sl_remote_close(struct sl_remote *rem);

/* Whether a call that changes something may be sent twice. */
enum sl_repeat { SL_ONCE, SL_REPEATABLE };

/* One call. `data` (may be NULL) receives the envelope's "data", an object; json_decref() it. An answer outside 2xx is an error with
 * the server's message; status and code tell which. `idle_s` 0: the default. Methods GET and DELETE are always repeatable. */
SL_MUST_CHECK sl_rc sl_remote_call(struct sl_remote *rem, const char *method, const char *path,
                                   const json_t *body, enum sl_repeat repeat, int64_t idle_s,
                                   json_t **data, struct sl_err *err);
/* Sends a file as multipart/form-data. */
SL_MUST_CHECK sl_rc sl_remote_upload(struct sl_remote *rem, const char *method, const char *path,
                                     enum sl_repeat repeat, int fd, const char *name, uint64_t size,
                                     json_t **data, struct sl_err *err);
/* Every item of a paged list; `path` ends with its query. *more = false ends early. */
typedef sl_rc (*sl_remote_item)(void *ctx, const json_t *item, bool *more, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_remote_list(struct sl_remote *rem, const char *path, sl_remote_item fn,
                                   void *ctx, struct sl_err *err);

/* The text of a member, or "" when it is not there or no text. Lent. */
const char *sl_answer_text(const json_t *obj, const char *name);

/* Forgets a first Ctrl-C for the calls of a clean-up; a second ends them. */
void sl_remote_begin_cleanup(struct sl_remote *rem);
bool sl_remote_interrupted(void);
/* Reports an error with everything secret hidden. Gives the exit code. */
int sl_remote_report(struct sl_remote *rem, const struct sl_err *err);
/* Text of the server, made fit for a terminal and redacted. New memory. */
char *sl_remote_text(struct sl_remote *rem, const char *text);

/* The project packed and sent: POST makes a package, PATCH replaces one. `id` receives the package's id; `form` (may be NULL) the
 * connector's form, NULL for none. */
SL_MUST_CHECK sl_rc sl_remote_send_project(struct sl_remote *rem, const char *project_dir,
                                           const char *project_name, const char *update_id,
                                           char **id, json_t **form, struct sl_err *err);

#endif
