#include "engine/shape.h"

#include <stdlib.h>

void
sl_shapes_free(struct sl_shapes *sh)
{
    for (uint32_t i = 0; i < sh->nshapes; i++) {
        free(sh->shapes[i].columns);
        free(sh->shapes[i].keys);
        free(sh->shapes[i].by_name);
    }
    free(sh->shapes);
    free(sh->tables);
    *sh = (struct sl_shapes){ 0 };
}

void
sl_shapes_add_table(struct sl_shapes *sh, struct sl_table *t)
{
    if (sh->ntables == sh->tables_cap) {
        sh->tables_cap = sh->tables_cap ? sh->tables_cap * 2 : 8;
        sh->tables = sl_realloc(sh->tables, sh->tables_cap, sizeof(struct sl_table *));
    }
    sh->tables[sh->ntables++] = t;
}

struct sl_shape *
sl_shapes_add(struct sl_shapes *sh)
{
    if (sh->nshapes == sh->shapes_cap) {
        sh->shapes_cap = sh->shapes_cap ? sh->shapes_cap * 2 : 8;
        sh->shapes = sl_realloc(sh->shapes, sh->shapes_cap, sizeof *sh->shapes);
    }
    sh->shapes[sh->nshapes] = (struct sl_shape){ 0 };
    return &sh->shapes[sh->nshapes++];
}

void
sl_shape_settle(struct sl_shape *s)
{
    const struct sl_table *t = s->table;

    s->keys = sl_realloc(s->keys, (size_t)t->nkeys, sizeof *s->keys);
    s->has_keys = true;
    for (int k = 0; k < t->nkeys; k++) {
        s->keys[k] = -1;
        for (int i = 0; i < s->ncolumns; i++)
            if (s->columns[i] == t->keys[k])
                s->keys[k] = i;
        if (s->keys[k] < 0)
            s->has_keys = false;
    }
}

static int
by_name(const void *a, const void *b, void *ctx)
{
    const struct sl_shape *s = ctx;

    return strcmp(s->table->columns[s->columns[*(const int *)a]]->name,
                  s->table->columns[s->columns[*(const int *)b]]->name);
}

const int *
sl_shape_by_name(struct sl_shape *s)
{
    if (s->by_name == NULL) {
        s->by_name = sl_alloc((size_t)s->ncolumns * sizeof *s->by_name);
        for (int i = 0; i < s->ncolumns; i++)
            s->by_name[i] = i;
        qsort_r(s->by_name, (size_t)s->ncolumns, sizeof *s->by_name, by_name, s);
    }
    return s->by_name;
}
