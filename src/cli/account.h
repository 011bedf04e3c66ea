/* account.h - which server, and with which key: what was given, what `fivetran login` keeps.
 *
 * The address comes from --url, else FIVETRAN_API_URL, else from login; the key from --api-key, FIVETRAN_API_KEY,
 * FIVETRAN_APIKEY, else from login, but only for the address it was stored with. There is no default server.
 */
#ifndef SL_CLI_ACCOUNT_H
#define SL_CLI_ACCOUNT_H

#include "runtime/options.h"

struct sl_account {
    char *address; /* as sl_http_address() gives it; NULL: none is set */
    char *key;     /* base64 of key:secret, as it goes into the header; NULL: none is set */
    const char *address_from; /* "--url", "FIVETRAN_API_URL", "fivetran login" */
    const char *key_from;     /* "--api-key", "FIVETRAN_API_KEY", … */
};

/* The options every command that talks to a server has, in front of its own. The key is wiped from the command line, where other
 * users of the machine could read it. */
#define SL_ACCOUNT_OPTS                                                                            \
    { "api-key", "KEY", "FIVETRAN_API_KEY",                                                        \
      "base64 of key:secret (else asked for, or from login)", '\0' },                              \
    {                                                                                              \
        "url", "URL", "FIVETRAN_API_URL", "address of the server (else from fivetran login)", '\0' \
    }

/* Fills what is known; SL_E_USAGE for an address or a key that cannot be one. `args` NULL: variables and login only. */
SL_MUST_CHECK sl_rc sl_account_find(struct sl_account *acc, const struct sl_args *args,
                                    struct sl_err *err);
void sl_account_free(struct sl_account *acc);
/* A key is one word of printable characters: it becomes part of a header. */
SL_MUST_CHECK sl_rc sl_account_check_key(const char *key, const char *from, struct sl_err *err);
/* "YWJjZGVm********": enough to tell keys apart, too little to use one. */
void sl_account_mask(const char *key, char out[24]);
/* The error when there is no address. */
sl_rc sl_account_no_address(struct sl_err *err);

/* What login keeps: ~/.config/sluice/login.json or below XDG_CONFIG_HOME, readable by its owner only. */
char *sl_account_path(void); /* NULL: there is no home */
SL_MUST_CHECK sl_rc sl_account_save(const char *address, const char *key, struct sl_err *err);
/* *there tells whether there was something. */
SL_MUST_CHECK sl_rc sl_account_remove(bool *there, struct sl_err *err);

#endif
