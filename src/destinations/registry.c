#include "destinations/destination.h"

#include "destinations/chaos/chaos.h"
#include "destinations/duckdb/duckdb_dest.h"
#include "destinations/null/null.h"

#include <stdlib.h>

/* One line per destination. */
static const struct sl_dest_ops *const destinations[] = {
    &sl_duckdb_ops,
    &sl_null_ops,
    &sl_chaos_ops,
};

const struct sl_dest_ops *
sl_destination_find(const char *name)
{
    for (size_t i = 0; i < sizeof destinations / sizeof destinations[0]; i++)
        if (strcmp(destinations[i]->name, name) == 0)
            return destinations[i];
    return NULL;
}

void
sl_saved_state_free(struct sl_saved_state *st)
{
    free(st->state);
    free(st->batch);
    free(st->mirrors);
    *st = (struct sl_saved_state){ 0 };
}
