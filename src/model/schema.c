#include "model/schema.h"

#include "model/naming.h"

#include <stdlib.h>

static void
pair_key(struct sl_buf *buf, struct sl_bytes a, struct sl_bytes b)
{
    sl_buf_init(buf, SIZE_MAX / 4);
    sl_buf_addn(buf, a.ptr, a.len);
    sl_buf_addn(buf, "", 1);
    sl_buf_addn(buf, b.ptr, b.len);
}

static bool
pair_get(const struct sl_map *map, struct sl_bytes a, struct sl_bytes b, uint32_t *value)
{
    struct sl_buf key;
    bool found;

    pair_key(&key, a, b);
    found = sl_map_get(map, key.ptr, key.len, value);
    sl_buf_free(&key);
    return found;
}

static void
pair_put(struct sl_map *map, struct sl_bytes a, struct sl_bytes b, uint32_t value)
{
    struct sl_buf key;

    pair_key(&key, a, b);
    sl_map_put(map, key.ptr, key.len, value);
    sl_buf_free(&key);
}

void
sl_catalog_init(struct sl_catalog *cat, const char *prefix, bool fivetran_naming, size_t name_max)
{
    *cat = (struct sl_catalog){
        .prefix = sl_strdup(prefix),
        .fivetran_naming = fivetran_naming,
        .name_max = name_max,
    };
}

static void
table_free(struct sl_table *t)
{
    for (int i = 0; i < t->ncolumns; i++) {
        free(t->columns[i]->source);
        free(t->columns[i]->row_name);
        free(t->columns[i]->name);
        free(t->columns[i]);
    }
    free(t->columns);
    free(t->keys);
    free(t->source_schema);
    free(t->source);
    free(t->schema);
    free(t->name);
    sl_map_free(&t->by_source);
    sl_map_free(&t->by_name);
    free(t);
}

void
sl_catalog_free(struct sl_catalog *cat)
{
    for (int i = 0; i < cat->ntables; i++)
        table_free(cat->tables[i]);
    free(cat->tables);
    free(cat->prefix);
    sl_map_free(&cat->by_source);
    sl_map_free(&cat->by_name);
    *cat = (struct sl_catalog){ 0 };
}

struct sl_table *
sl_catalog_find(const struct sl_catalog *cat, struct sl_bytes schema, struct sl_bytes table)
{
    uint32_t i;

    return pair_get(&cat->by_source, schema, table, &i) ? cat->tables[i] : NULL;
}

static void
map_name(struct sl_map *map, const char *name, uint32_t value)
{
    char *folded = sl_name_fold(name);

    sl_map_put(map, folded, strlen(folded), value);
    free(folded);
}

/* Takes the two destination names. */
static struct sl_table *
append_table(struct sl_catalog *cat, struct sl_bytes source_schema, struct sl_bytes source,
             char *schema, char *name)
{
    struct sl_table *t = sl_zalloc(1, sizeof *t);
    char *folded = sl_name_fold(name), *in = sl_name_fold(schema);
    uint32_t first;

    t->source_schema = sl_memdup(source_schema.ptr, source_schema.len);
    t->source = sl_memdup(source.ptr, source.len);
    t->schema = schema;
    t->name = name;
    t->dirty = true;
    map_name(&t->by_name, SL_COL_ID, 0);
    map_name(&t->by_name, SL_COL_SYNCED, 0);
    map_name(&t->by_name, SL_COL_DELETED, 0);
    if ((cat->ntables & (cat->ntables - 1)) == 0)
        cat->tables = sl_realloc(cat->tables, cat->ntables ? (size_t)cat->ntables * 2 : 1,
                                 sizeof *cat->tables);
    pair_put(&cat->by_source, source_schema, source, (uint32_t)cat->ntables);
    pair_put(&cat->by_name, sl_bytes_of(in), sl_bytes_of(folded), (uint32_t)cat->ntables);
    if (!pair_get(&cat->by_name, sl_bytes_of(in), SL_LIT(""), &first))
        pair_put(&cat->by_name, sl_bytes_of(in), SL_LIT(""), (uint32_t)cat->ntables);
    cat->tables[cat->ntables++] = t;
    free(folded);
    free(in);
    return t;
}

static bool
name_taken(const struct sl_catalog *cat, const char *schema, const char *name)
{
    char *folded = sl_name_fold(name), *in = sl_name_fold(schema);
    uint32_t i;
    bool taken = pair_get(&cat->by_name, sl_bytes_of(in), sl_bytes_of(folded), &i);

    free(folded);
    free(in);
    return taken;
}

/* Schemas that differ in case only are one to a destination: all take the first one's spelling. Takes and gives `schema`. */
static char *
spelled_before(const struct sl_catalog *cat, char *schema)
{
    char *in = sl_name_fold(schema);
    uint32_t i;

    if (pair_get(&cat->by_name, sl_bytes_of(in), SL_LIT(""), &i)) {
        free(schema);
        schema = sl_strdup(cat->tables[i]->schema);
    }
    free(in);
    return schema;
}

/* A name nobody in this schema has. The hash is of both source names, so that tables of two schemas that became one stay apart. */
static char *
free_name(const struct sl_catalog *cat, const char *in, const char *name, struct sl_bytes schema,
          struct sl_bytes table)
{
    char *other = NULL;
    struct sl_buf hashed;

    sl_buf_init(&hashed, SIZE_MAX / 4);
    if (schema.len) {
        sl_buf_addn(&hashed, schema.ptr, schema.len);
        sl_buf_addn(&hashed, "", 1);
    }
    sl_buf_addn(&hashed, table.ptr, table.len);
    do {
        free(other);
        other = sl_name_suffixed(name, hashed.ptr, hashed.len, cat->name_max);
        sl_buf_addn(&hashed, "", 1);
    } while (name_taken(cat, in, other));
    sl_buf_free(&hashed);
    return other;
}

struct sl_table *
sl_catalog_add(struct sl_catalog *cat, struct sl_bytes schema, struct sl_bytes table, bool *renamed)
{
    char *s, *part, *name = sl_name_of(table.ptr, table.len, true, cat->fivetran_naming), *other;

    *renamed = false;
    if (schema.len == 0) {
        s = sl_strdup(cat->prefix);
    } else {
        part = sl_name_of(schema.ptr, schema.len, true, cat->fivetran_naming);
        s = sl_sprintf("%s_%s", cat->prefix, part);
        if (strlen(s) > cat->name_max) {
            other = sl_name_suffixed(s, schema.ptr, schema.len, cat->name_max);
            free(s);
            s = other;
        }
        free(part);
    }
    s = spelled_before(cat, s);
    if (strlen(name) > cat->name_max || name_taken(cat, s, name)) {
        other = free_name(cat, s, name, schema, table);
        free(name);
        name = other;
        *renamed = true;
    }
    return append_table(cat, schema, table, s, name);
}

struct sl_table *
sl_catalog_restore(struct sl_catalog *cat, const char *source_schema, const char *source,
                   const char *schema, const char *name)
{
    struct sl_table *t = append_table(cat, sl_bytes_of(source_schema), sl_bytes_of(source),
                                      sl_strdup(schema), sl_strdup(name));

    t->created = t->saved = true;
    t->dirty = false;
    return t;
}

int
sl_table_find(const struct sl_table *t, struct sl_bytes source)
{
    uint32_t i;

    return sl_map_get(&t->by_source, source.ptr, source.len, &i) ? (int)i : -1;
}

/* Takes `name`. */
static int
append_column(struct sl_table *t, struct sl_bytes source, char *name)
{
    struct sl_column *c = sl_zalloc(1, sizeof *c);
    int i = t->ncolumns;

    c->source = sl_memdup(source.ptr, source.len);
    c->name = name;
    c->key = -1;
    if ((i & (i - 1)) == 0)
        t->columns = sl_realloc(t->columns, i ? (size_t)i * 2 : 1, sizeof(struct sl_column *));
    t->columns[t->ncolumns++] = c;
    if (strcmp(name, SL_COL_ID) != 0) /* "" is a name that a row can give, too */
        sl_map_put(&t->by_source, source.ptr, source.len, (uint32_t)i);
    map_name(&t->by_name, name, (uint32_t)i + 1);
    t->dirty = true;
    return i;
}

static bool
column_named(const struct sl_table *t, const char *name, uint32_t *value)
{
    char *folded = sl_name_fold(name);
    bool found = sl_map_get(&t->by_name, folded, strlen(folded), value);

    free(folded);
    return found;
}

static bool
is_reserved(const struct sl_catalog *cat, const char *name)
{
    char *folded = sl_name_fold(name);
    size_t n = strlen(folded);
    bool found = false;

    for (const char *p = cat->reserved; p != NULL && !found; p = *p ? p + 1 : NULL) {
        found = strncmp(p, folded, n) == 0 && (p[n] == '|' || p[n] == '\0');
        p = strchrnul(p, '|');
    }
    free(folded);
    return found;
}

int
sl_table_add(const struct sl_catalog *cat, struct sl_table *t, struct sl_bytes source,
             bool *renamed)
{
    char *name = sl_name_of(source.ptr, source.len, false, cat->fivetran_naming);
    uint32_t i;

    *renamed = strlen(name) > cat->name_max || is_reserved(cat, name) || column_named(t, name, &i);
    if (*renamed) {
        char *plain = name;
        struct sl_buf hashed;

        name = NULL;
        sl_buf_init(&hashed, SIZE_MAX / 4);
        sl_buf_addn(&hashed, source.ptr, source.len);
        do {
            free(name);
            name = sl_name_suffixed(plain, hashed.ptr, hashed.len, cat->name_max);
            sl_buf_addn(&hashed, "", 1);
        } while (column_named(t, name, &i));
        sl_buf_free(&hashed);
        free(plain);
    }
    return append_column(t, source, name);
}

int
sl_table_restore(struct sl_table *t, const char *source, const char *row_name, const char *name,
                 struct sl_coltype type, bool declared)
{
    bool dirty = t->dirty;
    int i = append_column(t, sl_bytes_of(source), sl_strdup(name));

    t->columns[i]->type = t->columns[i]->next = type;
    t->columns[i]->declared = declared;
    if (row_name != NULL)
        sl_table_in_rows(t, i, sl_bytes_of(row_name));
    t->dirty = dirty;
    return i;
}

int
sl_table_alias(const struct sl_catalog *cat, struct sl_table *t, struct sl_bytes source)
{
    char *name = sl_name_of(source.ptr, source.len, false, cat->fivetran_naming);
    uint32_t i;
    bool found = column_named(t, name, &i);

    free(name);
    if (!found || i == 0 || t->columns[i - 1]->row_name != NULL ||
        (t->keyless && t->columns[i - 1]->key >= 0))
        return -1;
    return (int)i - 1;
}

void
sl_table_in_rows(struct sl_table *t, int i, struct sl_bytes source)
{
    if (t->columns[i]->row_name != NULL)
        return;
    t->columns[i]->row_name = sl_memdup(source.ptr, source.len);
    sl_map_put(&t->by_source, source.ptr, source.len, (uint32_t)i);
    t->dirty = true;
}

void
sl_table_key(struct sl_table *t, int i)
{
    t->keys = sl_realloc(t->keys, (size_t)t->nkeys + 1, sizeof *t->keys);
    t->columns[i]->key = t->nkeys;
    t->keys[t->nkeys++] = i;
}

void
sl_table_settle_keys(struct sl_table *t)
{
    t->nkeys = 0;
    for (int i = 0; i < t->ncolumns; i++)
        t->nkeys += t->columns[i]->key >= 0;
    free(t->keys);
    t->keys = sl_zalloc((size_t)t->nkeys + 1, sizeof *t->keys);
    for (int i = 0; i < t->ncolumns; i++)
        if (t->columns[i]->key >= 0 && t->columns[i]->key < t->nkeys)
            t->keys[t->columns[i]->key] = i;
}

void
sl_table_keyless(struct sl_table *t)
{
    int i = append_column(t, SL_LIT(""), sl_strdup(SL_COL_ID));

    t->columns[i]->declared = true;
    t->columns[i]->next = (struct sl_coltype){ SL_T_STRING, 0, 0 };
    t->keyless = true;
    sl_table_key(t, i);
}
