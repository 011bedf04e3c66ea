/* main.c - the command `fivetran`: finds the command and hands the rest over. */
#include "cli/commands.h"
#include "cli/console.h"

#include <sodium.h>
#include <stdio.h>
#include <strings.h>

const struct sl_command *const sl_commands[] = {
    &sl_cmd_init,
    &sl_cmd_debug,
    &sl_cmd_show,
    &sl_cmd_reset,
    &sl_cmd_package,
    &sl_cmd_deploy,
    &sl_cmd_login,
    &sl_cmd_logout,
    &sl_cmd_doctor,
    &sl_cmd_version,
    &sl_cmd_configuration,
    &sl_cmd_session,
#ifdef SL_FAULTS
    &sl_cmd_faults,
#endif
    NULL,
};

/* Words people use for a command, as the official command line knows them. */
static const struct {
    const char *word, *command;
} synonyms[] = {
    { "test", "debug" },         { "verify", "debug" },   { "diagnose", "debug" },
    { "check", "debug" },        { "upload", "deploy" },  { "ship", "deploy" },
    { "launch", "deploy" },      { "release", "deploy" }, { "reinitialize", "reset" },
    { "reinitialise", "reset" }, { "reinit", "reset" },   { "restart", "reset" },
    { "restore", "reset" },
};

static void
print_help(void)
{
    printf("usage: fivetran <command> [project] [options]\n\ncommands:\n");
    for (const struct sl_command *const *c = sl_commands; *c != NULL; c++)
        if (!(*c)->hidden)
            printf("  %-10s %s\n", (*c)->name, (*c)->summary);
    printf("\noptions of a command: fivetran <command> --help\nversion: fivetran --version\n");
}

static const struct sl_command *
find_command(const char *name)
{
    for (const struct sl_command *const *c = sl_commands; *c != NULL; c++)
        if (strcasecmp((*c)->name, name) == 0)
            return *c;
    return NULL;
}

static const char *
suggestion(const char *word)
{
    const char *best = NULL;
    int least = 4;

    /* First what people mean, then what they may have mistyped: "test" is no typing mistake of "reset". */
    for (size_t i = 0; i < sizeof synonyms / sizeof synonyms[0]; i++)
        if (strcasecmp(word, synonyms[i].word) == 0)
            return synonyms[i].command;
    for (const struct sl_command *const *c = sl_commands; *c != NULL; c++) {
        int d = sl_edit_distance(word, (*c)->name, 3);

        if (!(*c)->hidden && d < least) {
            least = d;
            best = (*c)->name;
        }
    }
    return best;
}

static int
unknown_command(const char *word)
{
    const char *meant = suggestion(word);

    if (meant == NULL) {
        fprintf(stderr, "invalid command: %s, see `fivetran help`\n", word);
        return 1;
    }
    fprintf(stderr,
            "unknown command: %s\ndid you mean `fivetran %s`?\nuse `fivetran --help` for more "
            "details\n",
            word, meant);
    return 1;
}

static int
run_command(const struct sl_command *command, int argc, char **argv)
{
    struct sl_args args = { .command = command };
    struct sl_err err;

    if (command->anything)
        return command->run(&args);
    if (sl_args_parse(&args, command, argc, argv, &err))
        return sl_report(&err);
    if (args.help) {
        sl_help_command(command);
        return 0;
    }
    return command->run(&args);
}

int
main(int argc, char **argv)
{
    const struct sl_command *command;

    if (sodium_init() < 0)
        return 1;
    if (argc < 2) {
        print_help();
        return 1;
    }
    if (strcmp(argv[1], "--version") == 0 || strcmp(argv[1], "-V") == 0)
        return sl_cmd_version.run(NULL);
    if (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 ||
        strcasecmp(argv[1], "help") == 0) {
        command = argc > 2 ? find_command(argv[2]) : NULL;
        if (command != NULL)
            sl_help_command(command);
        else
            print_help();
        return 0;
    }
    command = find_command(argv[1]);
    if (command == NULL)
        return unknown_command(argv[1]);
    return run_command(command, argc - 1, argv + 1);
}
