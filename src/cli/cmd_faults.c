#include "base/fault.h"
#include "cli/commands.h"

#include <stdio.h>

#ifdef SL_FAULTS
static int
run(const struct sl_args *args)
{
    (void)args;
    for (int i = 0; i < SL_FAULT_ENGINE_COUNT; i++)
        puts(sl_fault_name(i));
    return 0;
}

static const struct sl_opt opts[] = { { 0 } };

const struct sl_command sl_cmd_faults = {
    .name = "faults",
    .operands = "",
    .summary = "list the crash points of this test build",
    .opts = opts,
    .run = run,
    .hidden = true,
};
#endif
