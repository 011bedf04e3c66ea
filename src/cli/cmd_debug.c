#include "cli/commands.h"
#include "cli/launch.h"
#include "cli/report.h"
#include "runtime/file.h"

static const struct sl_opt opts[] = {
    { "configuration", "FILE", "FIVETRAN_CONFIGURATION",
      "configuration (default: configuration.json in the project)", '\0' },
    { "state", "FILE", "FIVETRAN_STATE", "start from this state instead of the stored one", '\0' },
    { "destination", "FILE", "SLUICE_DESTINATION_FILE",
      "load into the warehouse this JSON file names, not into files/warehouse.db", '\0' },
    { "naming", "NAMING", "FIVETRAN_NAMING", "FIVETRAN (default) or SOURCE: table and column names",
      '\0' },
    { "log-level", "LEVEL", "FIVETRAN_LOG_LEVEL", "least level shown (default DEBUG)", '\0' },
    { "no-isolation", NULL, NULL, "use the packages of your own Python, install nothing", '\0' },
    { "refresh", NULL, NULL, "install the requirements anew", '\0' },
    { "durable-checkpoints", NULL, NULL, "every checkpoint returns after its commit", '\0' },
    { "idle-timeout", "SECONDS", NULL,
      "end a connector that says nothing for so long (default 1800)", '\0' },
    { "memory-limit", "SIZE", "SLUICE_MEMORY", "memory of the local database, e.g. 512M", '\0' },
    { "python", "PATH", NULL, "Python to run the connector with", '\0' },
    { 0 },
};

static sl_rc
read_numbers(const struct sl_args *args, struct sl_local *loc, struct sl_err *err)
{
    const char *idle = sl_arg(args, "idle-timeout"), *memory = sl_arg(args, "memory-limit");
    int64_t seconds;

    if (idle != NULL) {
        if (!sl_parse_i64(idle, 1, 7 * 86400, &seconds))
            return sl_fail(err, SL_E_USAGE, "--idle-timeout is a number of seconds, not \"%s\"",
                           idle);
        loc->idle_us = seconds * 1000000;
    }
    if (memory != NULL && !sl_parse_size(memory, &loc->memory)) {
        sl_fail(err, SL_E_USAGE, "--memory-limit is a size, not \"%s\"", memory);
        sl_err_hint(err, "for example 512M or 2G");
        return SL_E_USAGE;
    }
    return SL_OK;
}

/* All that can be wrong with what the user gave, before anything is started or locked. */
static sl_rc
read_inputs(const struct sl_args *args, struct sl_local *loc, struct sl_err *err)
{
    const char *state = sl_arg(args, "state");
    sl_rc rc;

    loc->named_project = args->nrest ? args->rest[0] : NULL;
    loc->durable = sl_arg_flag(args, "durable-checkpoints");
    rc = sl_local_naming(loc, sl_arg(args, "naming"), err);
    if (rc == SL_OK)
        rc = sl_local_level(loc, sl_arg(args, "log-level"), err);
    if (rc == SL_OK)
        rc = read_numbers(args, loc, err);
    if (rc == SL_OK)
        rc = sl_project_open(&loc->pro, loc->named_project, err);
    if (rc == SL_OK)
        rc = sl_project_check(&loc->pro, err);
    if (rc == SL_OK)
        rc = sl_project_configuration(&loc->pro, sl_arg(args, "configuration"), false,
                                      &loc->configuration, &loc->configured, err);
    if (rc == SL_OK)
        rc = sl_local_destination(loc, sl_arg(args, "destination"), err);
    if (rc == SL_OK && state != NULL)
        rc = sl_project_state(state, &loc->state, err);
    return rc;
}

static int
run(const struct sl_args *args)
{
    struct sl_launch launch = { .python = sl_arg(args, "python"),
                                .no_isolation = sl_arg_flag(args, "no-isolation"),
                                .refresh = sl_arg_flag(args, "refresh"),
                                .stop = &sl_stop };
    struct sl_local loc;
    struct sl_err err = { 0 };
    int code;
    sl_rc rc;

    sl_local_init(&loc);
    sl_catch_signals(SL_STOPS_SOFTLY);
    rc = read_inputs(args, &loc, &err);
    if (rc == SL_OK)
        rc = sl_project_lock(&loc.pro, "fivetran debug", &err);
    if (rc) {
        code = sl_report(&err);
        goto out;
    }
    sl_local_open_console(&loc);
    rc = sl_launch(&loc, &launch, &err);
    code = rc ? sl_local_failed(&loc, &err) : sl_local_run(&loc);
out:
    sl_local_free(&loc);
    return code;
}

const struct sl_command sl_cmd_debug = {
    .name = "debug",
    .operands = "[project] [options]",
    .summary = "run the connector here and load its data into files/warehouse.db",
    .opts = opts,
    .max_rest = 1,
    .run = run,
    .more = "A destination file: {\"type\": \"postgres\", \"host\": \"db\", \"database\": \"app\", "
            "\"user\": "
            "\"me\", \"password\": \"…\"};\n"
            "with \"schema\": \"name\" the tables go there instead of into schema tester.\n"
            "The requirements are installed once into an isolated environment kept in the cache.\n"
            "Exit codes: 0 ok, 1 failed, 2 usage or configuration, 3 environment, 4 locked, 130 "
            "interrupted.",
};
