/* packages.h - `fivetran package create|update|list`: packages on a server, beside the local `fivetran package`. */
#ifndef SL_CLI_PACKAGES_H
#define SL_CLI_PACKAGES_H

#include "runtime/options.h"

/* True when the first operand is one of the three words. *code is then the exit code. */
bool sl_packages_run(const struct sl_args *args, int *code);

#endif
