#include "engine/filter.h"

#include <jansson.h>
#include <stdlib.h>

/* One table's choice. */
struct choice {
    bool wanted, others;
    json_t *columns; /* name → bool; NULL: none named. Lent from the root */
};

struct sl_filter {
    json_t *root;
    bool others;
    json_t
        *schemas; /* name → whether its tables are wanted; NULL: none named. Lent from the root */
    struct choice *tables;
    struct sl_map by_name; /* schema NUL table → index */
};

static bool
truth(const json_t *o, const char *key, bool *out)
{
    const json_t *v = json_object_get(o, key);

    *out = v == NULL || json_is_true(v);
    return v == NULL || json_is_boolean(v);
}

/* Names, each true or false. */
static bool
truths(const json_t *o, const char *key, json_t **out)
{
    const char *name;
    json_t *v;

    *out = json_object_get(o, key);
    json_object_foreach(*out, name, v) if (!json_is_boolean(v)) return false;
    return *out == NULL || json_is_object(*out);
}

static void
pair(struct sl_buf *key, const char *schema, const char *table)
{
    sl_buf_init(key, SIZE_MAX / 4);
    sl_buf_addn(key, schema, strlen(schema) + 1);
    sl_buf_add(key, table);
}

static bool
read_table(struct sl_filter *f, size_t i, const json_t *entry)
{
    struct choice *c = &f->tables[i];
    const json_t *schema = json_object_get(entry, "schema"),
                 *table = json_object_get(entry, "table");
    struct sl_buf key;

    if (!json_is_string(table) || (schema != NULL && !json_is_string(schema)) ||
        !truth(entry, "wanted", &c->wanted) || !truth(entry, "others", &c->others))
        return false;
    if (!truths(entry, "columns", &c->columns))
        return false;
    pair(&key, schema ? json_string_value(schema) : "", json_string_value(table));
    sl_map_put(&f->by_name, key.ptr, key.len, (uint32_t)i);
    sl_buf_free(&key);
    return true;
}

sl_rc
sl_filter_new(struct sl_filter **out, struct sl_bytes text, struct sl_err *err)
{
    struct sl_filter *f;
    json_t *tables, *entry;
    size_t i;
    bool good;

    *out = NULL;
    if (text.ptr == NULL)
        return 0;
    f = sl_zalloc(1, sizeof *f);
    f->root = json_loadb(text.ptr, text.len, 0, NULL);
    tables = json_object_get(f->root, "tables");
    good = json_is_object(f->root) && truth(f->root, "others", &f->others) &&
           truths(f->root, "schemas", &f->schemas) && (tables == NULL || json_is_array(tables));
    if (good)
        f->tables = sl_zalloc(json_array_size(tables) + 1, sizeof *f->tables);
    json_array_foreach(tables, i, entry) good = good && read_table(f, i, entry);
    if (!good) {
        sl_filter_free(f);
        return sl_fail(err, SL_E_CONFIG, "the choice of tables and columns is malformed");
    }
    *out = f;
    return 0;
}

void
sl_filter_free(struct sl_filter *f)
{
    if (f == NULL)
        return;
    json_decref(f->root);
    sl_map_free(&f->by_name);
    free(f->tables);
    free(f);
}

static const struct choice *
find(const struct sl_filter *f, const struct sl_table *t)
{
    struct sl_buf key;
    uint32_t i;
    bool found;

    pair(&key, t->source_schema, t->source);
    found = sl_map_get(&f->by_name, key.ptr, key.len, &i);
    sl_buf_free(&key);
    return found ? &f->tables[i] : NULL;
}

static void
mark_column(const struct choice *ch, struct sl_column *c)
{
    const json_t *v = ch ? json_object_get(ch->columns, c->source) : NULL;

    c->excluded = c->key < 0 && ch != NULL && (v ? !json_is_true(v) : !ch->others);
    if (!c->excluded)
        return;
    c->declared = false;
    c->next = c->type;
}

void
sl_filter_mark(const struct sl_filter *f, struct sl_table *t)
{
    const struct choice *ch;
    const json_t *schema;

    if (f == NULL)
        return;
    ch = find(f, t);
    schema = json_object_get(f->schemas, t->source_schema);
    t->excluded = ch != NULL ? !ch->wanted : schema != NULL ? !json_is_true(schema) : !f->others;
    for (int i = 0; i < t->ncolumns; i++)
        mark_column(ch, t->columns[i]);
}

void
sl_filter_mark_column(const struct sl_filter *f, const struct sl_table *t, struct sl_column *c)
{
    if (f != NULL)
        mark_column(find(f, t), c);
}
