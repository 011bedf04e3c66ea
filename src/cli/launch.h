/* launch.h - the connector of a project started here, in its own environment. */
#ifndef SL_CLI_LAUNCH_H
#define SL_CLI_LAUNCH_H

#include "cli/local.h"

struct sl_launch {
    const char *python; /* --python; NULL: found */
    bool no_isolation;  /* with the packages of that Python, nothing is installed */
    bool refresh;       /* the requirements are installed anew */
    atomic_int *stop;   /* not 0: give up */
};

/* Makes the environment if there is none and starts the process: loc->child, loc->fd. loc->pro is open, the console too. */
SL_MUST_CHECK sl_rc sl_launch(struct sl_local *loc, const struct sl_launch *launch,
                              struct sl_err *err);

#endif
