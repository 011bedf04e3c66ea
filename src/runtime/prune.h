/* prune.h - cached environments that nobody has used for a month are removed.
 *
 * When an environment was last used is the time of change of its <key>.lock (env.h). Lock files stay: they are empty, and
 * another process may be waiting on one.
 */
#ifndef SL_RUNTIME_PRUNE_H
#define SL_RUNTIME_PRUNE_H

#include "base/err.h"

/* A connector that is worked on runs more often; one that comes back pays a second or two with uv's cache. */
#define SL_PRUNE_DAYS 30

struct sl_pruned {
    int removed;
    int kept;
};

/* The environment whose lock this is was used just now. Best effort. */
void sl_prune_mark(const char *lock);
/* Removes the environments of the cache not used for SL_PRUNE_DAYS, and what killed installs left of them. Those that
 * another process is making are passed over. The first failure is returned, after the rest was tried. */
SL_MUST_CHECK sl_rc sl_prune(struct sl_pruned *out, struct sl_err *err);

#endif
