/* shape.h - what the connector's ids mean: tables and tuples of column names, as the frames define them. */
#ifndef SL_ENGINE_SHAPE_H
#define SL_ENGINE_SHAPE_H

#include "model/schema.h"

struct sl_shape {
    struct sl_table *table;
    int ncolumns;
    int *columns;       /* column index per cell */
    int *keys;          /* cell index per key column, -1: the shape has no such column */
    bool has_keys;      /* all key columns are there */
    uint32_t nexcluded; /* columns that are not wanted */
    int *by_name; /* cell indexes sorted by destination name; for _fivetran_id; made at first use */
};

struct sl_shapes {
    struct sl_table **tables;
    uint32_t ntables, tables_cap;
    struct sl_shape *shapes;
    uint32_t nshapes, shapes_cap;
};

void sl_shapes_free(struct sl_shapes *sh);
void sl_shapes_add_table(struct sl_shapes *sh, struct sl_table *t);
/* Lends the new shape, zeroed; its arrays are the shapes' from then on. Pointers move when another is added. */
struct sl_shape *sl_shapes_add(struct sl_shapes *sh);
/* Works out keys and has_keys. */
void sl_shape_settle(struct sl_shape *s);
/* The sorted order, made when first asked for. */
const int *sl_shape_by_name(struct sl_shape *s);

#endif
