#include "cli/commands.h"

#include <stdio.h>

static int
run(const struct sl_args *args)
{
    (void)args;
    fprintf(stderr, "fivetran: configuration is not built yet\n"
                    "hint: write configuration.json yourself: {\"my_key\": \"value\"}\n");
    return 1;
}

const struct sl_command sl_cmd_configuration = {
    .name = "configuration",
    .operands = "[project]",
    .summary = "fill in a setup form (not built yet)",
    .run = run,
    .hidden = true,
    .anything = true,
};
