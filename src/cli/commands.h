/* commands.h - every command of `fivetran`, one file each. */
#ifndef SL_CLI_COMMANDS_H
#define SL_CLI_COMMANDS_H

#include "runtime/options.h"

extern const struct sl_command sl_cmd_version;
extern const struct sl_command sl_cmd_debug;
extern const struct sl_command sl_cmd_reset;
extern const struct sl_command sl_cmd_init;
extern const struct sl_command sl_cmd_package;
extern const struct sl_command sl_cmd_show;
extern const struct sl_command sl_cmd_doctor;
extern const struct sl_command sl_cmd_deploy;
extern const struct sl_command sl_cmd_login;
extern const struct sl_command sl_cmd_logout;
extern const struct sl_command sl_cmd_configuration;
extern const struct sl_command sl_cmd_session;
#ifdef SL_FAULTS
extern const struct sl_command sl_cmd_faults;
#endif

/* All of them in the order of help; ends with NULL. */
extern const struct sl_command *const sl_commands[];

/* "Question? (Y/n): " on the terminal. `fallback` is the capital letter. --yes answers yes, --non-interactive the
 * fallback; without a terminal and without either it is SL_E_USAGE. */
SL_MUST_CHECK sl_rc sl_ask(const struct sl_args *args, const char *question, bool fallback,
                           bool *yes, struct sl_err *err);

/* Whether a question can be asked: a terminal, and no --non-interactive. The command's table has that option. */
bool sl_can_ask(const struct sl_args *args);
/* A line of text; an empty one is `fallback` (may be NULL: asked again). `secret`: not shown while it is typed.
 * SL_E_CANCELLED at the end of input and after Ctrl-C. New memory. */
SL_MUST_CHECK sl_rc sl_ask_text(const char *question, const char *fallback, bool secret, char **out,
                                struct sl_err *err);

#endif
