/* commands.h - every command of `sluiced`. */
#ifndef SL_SERVER_COMMANDS_H
#define SL_SERVER_COMMANDS_H

#include "platform/keys.h"
#include "runtime/options.h"

/* cmd_serve.c, cmd_engine.c */
int sl_cmd_serve_run(const struct sl_args *args);
int sl_cmd_engine_run(const struct sl_args *args);

extern const struct sl_command sl_sluiced_init;
extern const struct sl_command sl_sluiced_key;
extern const struct sl_command sl_sluiced_user;
extern const struct sl_command sl_sluiced_show;
extern const struct sl_command sl_sluiced_backup;
extern const struct sl_command sl_sluiced_restore;
extern const struct sl_command sl_sluiced_rotate_key;

/* Options that several of them have. */
#define SL_OPT_DATA                                                                                \
    {                                                                                              \
        "data", "DIR", "SLUICE_DATA", "the server's directory", '\0'                               \
    }
#define SL_OPT_KEY_COMMAND                                                                         \
    {                                                                                              \
        "key-command", "COMMAND", "SLUICE_KEY_COMMAND",                                            \
            "prints the master key (default: the file secret.key)", '\0'                           \
    }
#define SL_OPT_JSON                                                                                \
    {                                                                                              \
        "json", NULL, NULL, "print JSON", '\0'                                                     \
    }

/* A key that was just made, on stdout: the only time its secret is shown. */
void sl_print_key(const struct sl_new_key *key, bool json);
/* --data, which has no default: a server's directory is nothing to guess. SL_E_USAGE. */
SL_MUST_CHECK sl_rc sl_arg_data(const struct sl_args *args, const char **dir, struct sl_err *err);

#endif
