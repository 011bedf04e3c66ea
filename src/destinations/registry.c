#include "destinations/destination.h"

#include "destinations/chaos/chaos.h"
#include "destinations/duckdb/duckdb_dest.h"
#include "destinations/null/null.h"
#include "destinations/postgres/postgres.h"

#include <stdlib.h>

/* One line per destination. */
static const struct sl_dest_ops *const destinations[] = {
    &sl_duckdb_ops,
    &sl_postgres_ops,
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

static bool
is_word_of(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = words; p != NULL; p = strchr(p, '|') ? strchr(p, '|') + 1 : NULL)
        if (strcspn(p, "|") == n && strncmp(p, word, n) == 0)
            return n > 0;
    return false;
}

const struct sl_dest_ops *
sl_destination_service(const char *name)
{
    const struct sl_dest_ops *ops;

    for (int i = 0; (ops = sl_destination_offered(i)) != NULL; i++)
        if (strcmp(ops->name, name) == 0 || is_word_of(ops->also, name))
            return ops;
    return NULL;
}

const struct sl_dest_ops *
sl_destination_offered(int n)
{
    for (size_t i = 0; i < sizeof destinations / sizeof destinations[0]; i++)
        if (destinations[i]->title != NULL && n-- == 0)
            return destinations[i];
    return NULL;
}

sl_rc
sl_tests_add(struct sl_tests *tests, const char *name, sl_rc rc, const struct sl_err *err)
{
    struct sl_test *t = &tests->list[tests->count];

    if (tests->count == sizeof tests->list / sizeof tests->list[0])
        return rc;
    tests->count++;
    *t = (struct sl_test){ .name = name };
    if (rc != 0 && err != NULL)
        t->err = *err;
    t->err.code = rc;
    return rc;
}

void
sl_saved_state_free(struct sl_saved_state *st)
{
    free(st->state);
    free(st->batch);
    free(st->mirrors);
    *st = (struct sl_saved_state){ 0 };
}
