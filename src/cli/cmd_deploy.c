#include "cli/commands.h"

#include <stdio.h>

static int
run(const struct sl_args *args)
{
    (void)args;
    fprintf(
        stderr,
        "fivetran: deploy comes with the platform server, which this version does not have yet\n"
        "hint: fivetran package makes the file that would be deployed\n");
    return 1;
}

const struct sl_command sl_cmd_deploy = {
    .name = "deploy",
    .operands = "[project]",
    .summary = "upload the connector (comes with the platform server)",
    .run = run,
    .anything = true,
};
