/* serve_pending.c - until cmd_serve.c is here. */
#include "server/commands.h"

int
sl_cmd_serve_run(const struct sl_args *args)
{
    struct sl_err err = { 0 };

    (void)args;
    sl_fail(&err, SL_E_USAGE, "this build has no server yet");
    return sl_report(&err);
}
