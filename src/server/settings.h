/* settings.h - how a server is run: flags, environment variables and one file, in this order of precedence.
 *
 * The file holds lines `name = value` with the names of the flags, `#` begins a comment: --config FILE, else
 * <data>/sluiced.conf if it is there.
 */
#ifndef SL_SERVER_SETTINGS_H
#define SL_SERVER_SETTINGS_H

#include "runtime/options.h"
#include "worker/worker.h"

struct sl_settings {
    char *data;               /* absolute */
    char *host;               /* "127.0.0.1", "::1", "0.0.0.0" */
    int port;                 /* 0: any free one */
    bool loopback;            /* only this machine can reach it */
    char *tls_cert, *tls_key; /* files; NULL: plain HTTP */
    char *public_url;         /* as people reach it; NULL: made from host and port */
    char *key_command;        /* prints the master key; NULL: the key file */
    char *wheels;             /* folder of wheels for /simple/; NULL: <data>/wheels */
    char **
        warehouse_dirs; /* NULL-terminated: folders beside <data> that may hold warehouses; NULL: none */
    bool access_log;
    int64_t log_budget; /* bytes of log per connection */
    struct sl_worker_conf worker;
};

extern const struct sl_opt sl_serve_opts[];

/* SL_E_USAGE or SL_E_CONFIG name the flag or the file's line. */
SL_MUST_CHECK sl_rc sl_settings_read(struct sl_settings *set, const struct sl_args *args,
                                     struct sl_err *err);
void sl_settings_free(struct sl_settings *set);

#endif
