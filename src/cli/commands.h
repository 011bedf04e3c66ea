/* commands.h - every command of `fivetran`, one file each. */
#ifndef SL_CLI_COMMANDS_H
#define SL_CLI_COMMANDS_H

#include "runtime/ask.h"
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

#endif
