/* main.c - the command `fivetran`: finds the command and hands the rest over. */
#include "cli/commands.h"

#include <sodium.h>

const struct sl_command *const sl_commands[] = {
    &sl_cmd_init,   &sl_cmd_debug,         &sl_cmd_show,
    &sl_cmd_reset,  &sl_cmd_configuration, &sl_cmd_package,
    &sl_cmd_deploy, &sl_cmd_login,         &sl_cmd_logout,
    &sl_cmd_doctor, &sl_cmd_version,       &sl_cmd_session,
#ifdef SL_FAULTS
    &sl_cmd_faults,
#endif
    NULL,
};

/* Words people use for a command, as the official command line knows them. */
static const struct sl_synonym synonyms[] = {
    { "test", "debug" },         { "verify", "debug" },   { "diagnose", "debug" },
    { "check", "debug" },        { "upload", "deploy" },  { "ship", "deploy" },
    { "launch", "deploy" },      { "release", "deploy" }, { "reinitialize", "reset" },
    { "reinitialise", "reset" }, { "reinit", "reset" },   { "restart", "reset" },
    { "restore", "reset" },      { NULL, NULL },
};

static const struct sl_program program = {
    .name = "fivetran",
    .operands = "[project] [options]",
    .commands = sl_commands,
    .synonyms = synonyms,
    .version = &sl_cmd_version,
    .unknown = 1,
};

int
main(int argc, char **argv)
{
    if (sodium_init() < 0)
        return 1;
    return sl_program_main(&program, argc, argv);
}
