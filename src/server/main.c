/* main.c - the program `sluiced`: finds the command and hands the rest over. */
#include "base/fault.h"
#include "server/commands.h"
#include "server/settings.h"

#include <sodium.h>
#include <stdio.h>

static const struct sl_opt none[] = { { 0 } };

static int
print_version(const struct sl_args *args)
{
    (void)args;
    printf("sluiced " SL_VERSION "\nSluice: an independent, compatible implementation\n");
    return 0;
}

static const struct sl_command version = {
    .name = "version",
    .operands = "",
    .summary = "print the version",
    .opts = none,
    .run = print_version,
};

static const struct sl_command serve = {
    .name = "serve",
    .operands = "--data DIR [options]",
    .summary = "run the server",
    .opts = sl_serve_opts,
    .run = sl_cmd_serve_run,
};

/* Started by the server itself. */
static const struct sl_command engine = {
    .name = "_engine",
    .operands = "",
    .summary = "one warehouse's engine",
    .opts = none,
    .run = sl_cmd_engine_run,
    .hidden = true,
};

#ifdef SL_FAULTS
static int
print_faults(const struct sl_args *args)
{
    (void)args;
    for (int i = SL_FAULT_ENGINE_COUNT; i < SL_FAULT_COUNT; i++)
        puts(sl_fault_name(i));
    return 0;
}

static const struct sl_command faults = {
    .name = "faults",
    .operands = "",
    .summary = "list the crash points of this test build",
    .opts = none,
    .run = print_faults,
    .hidden = true,
};
#endif

static const struct sl_command *const commands[] = {
    &serve,
    &sl_sluiced_init,
    &sl_sluiced_key,
    &sl_sluiced_user,
    &sl_sluiced_show,
    &sl_sluiced_backup,
    &sl_sluiced_restore,
    &sl_sluiced_rotate_key,
    &version,
    &engine,
#ifdef SL_FAULTS
    &faults,
#endif
    NULL,
};

static const struct sl_synonym synonyms[] = {
    { "start", "serve" },       { "run", "serve" }, { "server", "serve" }, { "keys", "key" },
    { "users", "user" },        { "list", "show" }, { "status", "show" },  { "dump", "backup" },
    { "rotate", "rotate-key" }, { NULL, NULL },
};

static const struct sl_program program = {
    .name = "sluiced",
    .operands = "[options]",
    .commands = commands,
    .synonyms = synonyms,
    .version = &version,
    .unknown = 2,
};

int
main(int argc, char **argv)
{
    if (sodium_init() < 0)
        return 1;
    return sl_program_main(&program, argc, argv);
}
