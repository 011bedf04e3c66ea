/* chaos.h - a destination for tests: DuckDB that fails where it is told to.
 *
 * SL_CHAOS="call:n=what" makes the n-th call (from 1) of begin, begin_ahead, evolve, apply, save_state or commit answer `what`: retry, fatal,
 * and for commit also lost (rolled back, but the caller cannot know) or kept (committed, but the caller cannot know).
 * Several are separated by commas.
 */
#ifndef SL_CHAOS_H
#define SL_CHAOS_H

#include "destinations/destination.h"

extern const struct sl_dest_ops sl_chaos_ops;

#endif
