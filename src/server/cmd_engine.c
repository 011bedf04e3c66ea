/* cmd_engine.c - `sluiced _engine`: an engine process, started by the worker with its control socket as descriptor 3. */
#include "server/commands.h"
#include "worker/engine_main.h"

int
sl_cmd_engine_run(const struct sl_args *args)
{
    (void)args;
    return sl_engine_main(3);
}
