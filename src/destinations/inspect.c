#include "destinations/inspect.h"

#include "base/buf.h"

#include <stdlib.h>
#include <string.h>

static bool
is_among(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; names != NULL && i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return names == NULL;
}

bool
sl_inspect_wants(const struct sl_inspect_scope *scope, const char *schema, const char *name)
{
    return scope == NULL || (is_among(scope->schemas, scope->nschemas, schema) &&
                             is_among(scope->tables, scope->ntables, name));
}

struct sl_inspect_table *
sl_inspect_add_table(struct sl_inspect *in, const char *schema, const char *name)
{
    struct sl_inspect_table *t;

    in->tables = sl_realloc(in->tables, (size_t)in->ntables + 1, sizeof *in->tables);
    t = &in->tables[in->ntables++];
    *t = (struct sl_inspect_table){ .schema = sl_strdup(schema), .name = sl_strdup(name) };
    return t;
}

void
sl_inspect_add_column(struct sl_inspect_table *t, const char *name, const char *type, bool key)
{
    t->columns = sl_realloc(t->columns, (size_t)t->ncolumns + 1, sizeof *t->columns);
    t->columns[t->ncolumns++] =
        (struct sl_inspect_column){ .name = sl_strdup(name), .type = sl_strdup(type), .key = key };
}

void
sl_inspect_close(struct sl_inspect *in)
{
    if (in == NULL)
        return;
    for (int i = 0; i < in->ntables; i++) {
        struct sl_inspect_table *t = &in->tables[i];

        for (int c = 0; c < t->ncolumns; c++) {
            free((char *)t->columns[c].name);
            free((char *)t->columns[c].type);
        }
        free(t->columns);
        free((char *)t->schema);
        free((char *)t->name);
    }
    free(in->tables);
    free(in->state);
    in->ops->close(in);
}

int
sl_inspect_tables(struct sl_inspect *in, const struct sl_inspect_table **tables)
{
    *tables = in->tables;
    return in->ntables;
}

sl_rc
sl_inspect_rows(struct sl_inspect *in, int i, int limit, sl_inspect_row fn, void *ctx,
                struct sl_err *err)
{
    return in->ops->rows(in, i, limit, fn, ctx, err);
}

const char *
sl_inspect_state(struct sl_inspect *in, const char *connection)
{
    free(in->state);
    in->state = in->ops->state(in, connection);
    return in->state;
}
