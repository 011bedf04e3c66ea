#include "cli/commands.h"
#include "runtime/install.h"

#include <stdio.h>

static int
run(const struct sl_args *args)
{
    (void)args;
    printf("fivetran-connector-sdk %s\nSluice: an independent, compatible implementation\n",
           sl_install_version());
    return 0;
}

static const struct sl_opt opts[] = { { 0 } };

const struct sl_command sl_cmd_version = {
    .name = "version",
    .operands = "",
    .summary = "print the version",
    .opts = opts,
    .run = run,
};
