/* null.h - a destination for tests and benches: takes everything, keeps only the state and counts, in memory. */
#ifndef SL_NULL_H
#define SL_NULL_H

#include "destinations/destination.h"

extern const struct sl_dest_ops sl_null_ops;

#endif
