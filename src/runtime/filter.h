/* filter.h - the system calls a jail does not have (seccomp). Linux with libseccomp. */
#ifndef SL_RUNTIME_FILTER_H
#define SL_RUNTIME_FILTER_H

#include "base/err.h"

#include <stdbool.h>

struct sl_filter;

/* The compiled filter, made once per process and shared. `one_session`: setsid() and setpgid() succeed and do nothing. NULL and
 * `why` (static text) where the system has none. */
const struct sl_filter *sl_filter_get(bool one_session, const char **why);
/* For this process and all it starts; needs PR_SET_NO_NEW_PRIVS. Async-signal-safe. 0 or errno. */
int sl_filter_enter(const struct sl_filter *filter);

#endif
