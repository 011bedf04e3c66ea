/* schema() → catalog. Declared types win; a stored column that cannot become the declared type without losing values keeps its own
 * (Inv 7). Only a changed primary key cannot be followed. */
#include "engine/sync.h"

#include <jansson.h>
#include <stdlib.h>

static struct sl_bytes
json_bytes(const json_t *v)
{
    return json_is_string(v) ? (struct sl_bytes){ json_string_value(v), json_string_length(v) }
                             : (struct sl_bytes){ "", 0 };
}

static sl_rc
bad_schema(struct sl_err *err, const char *table, const char *what)
{
    return sl_fail(err, SL_E_PROTOCOL, "SCHEMA, table '%.100s': %s", table, what);
}

/* What a column of type t can show the lattice: its widest values. */
static struct sl_seen
widest(struct sl_coltype t)
{
    static const enum sl_tag tags[SL_T_COUNT] = {
        [SL_T_BOOLEAN] = SL_C_TRUE,
        [SL_T_SHORT] = SL_C_LONG,
        [SL_T_INT] = SL_C_LONG,
        [SL_T_LONG] = SL_C_LONG,
        [SL_T_DECIMAL] = SL_C_DECIMAL,
        [SL_T_FLOAT] = SL_C_DOUBLE,
        [SL_T_DOUBLE] = SL_C_DOUBLE,
        [SL_T_NAIVE_DATE] = SL_C_DATE,
        [SL_T_NAIVE_DATETIME] = SL_C_NAIVE_DATETIME,
        [SL_T_UTC_DATETIME] = SL_C_UTC_DATETIME,
        [SL_T_BINARY] = SL_C_BINARY,
        [SL_T_XML] = SL_C_STRING,
        [SL_T_STRING] = SL_C_STRING,
        [SL_T_JSON] = SL_C_JSON,
    };
    struct sl_seen seen = { .tags = t.type ? 1u << tags[t.type] : 0, .scale = t.scale };

    if (t.type == SL_T_DECIMAL)
        seen.int_digits = (uint8_t)(t.precision - t.scale);
    seen.inexact = t.type == SL_T_LONG;
    return seen;
}

/* Position among types whose values hold one another; 0: none of them. */
static int
rank(enum sl_type t)
{
    static const int ranks[SL_T_COUNT] = {
        [SL_T_SHORT] = 1,           [SL_T_INT] = 2,     [SL_T_LONG] = 3,
        [SL_T_FLOAT] = 11,          [SL_T_DOUBLE] = 12, [SL_T_NAIVE_DATE] = 21,
        [SL_T_NAIVE_DATETIME] = 22, [SL_T_XML] = 31,    [SL_T_STRING] = 31,
    };

    return ranks[t];
}

static bool
holds(struct sl_coltype wide, struct sl_coltype narrow)
{
    int w = rank(wide.type), n = rank(narrow.type);

    if (wide.type == SL_T_DECIMAL && narrow.type == SL_T_DECIMAL)
        return wide.scale >= narrow.scale &&
               wide.precision - wide.scale >= narrow.precision - narrow.scale;
    if (wide.type == SL_T_DECIMAL && n >= 1 && n <= 3)
        return wide.precision - wide.scale >= (n == 1 ? 5 : n == 2 ? 10 : 19);
    if (wide.type == SL_T_STRING)
        return true;
    return wide.type == narrow.type || (w && n && w / 10 == n / 10 && w >= n);
}

/* The type of a stored column under a declaration: the declared one if it holds what is there, else the stored one if it holds
 * what was declared, else the join of both. */
static struct sl_coltype
settle_type(struct sl_coltype stored, struct sl_coltype wanted)
{
    struct sl_seen seen = widest(wanted);

    if (stored.type == SL_T_NONE || holds(wanted, stored))
        return wanted;
    if (holds(stored, wanted))
        return stored;
    if (seen.tags & (1u << SL_C_DECIMAL) && stored.type == SL_T_LONG)
        seen.int_digits = seen.int_digits > 19 ? seen.int_digits : 19;
    return sl_type_join(stored, &seen, (struct sl_stored){ .inexact = true, .int_digits = 38 });
}

static sl_rc
declare_column(struct sl_sync *s, struct sl_table *t, json_t *col, struct sl_err *err)
{
    struct sl_bytes name = json_bytes(json_array_get(col, 0)),
                    word = json_bytes(json_array_get(col, 1));
    json_int_t p = json_integer_value(json_array_get(col, 2)),
               sc = json_integer_value(json_array_get(col, 3));
    struct sl_coltype wanted = { 0 }, stored;
    char a[24], b[24];
    bool renamed = false;
    int i;

    if (!sl_type_parse(word.ptr, word.len, &wanted.type))
        return bad_schema(err, t->source, "a column has an unknown type");
    if (wanted.type == SL_T_DECIMAL) {
        if (p < 1 || p > 38 || sc < 0 || sc > p)
            return bad_schema(
                err, t->source,
                "a DECIMAL has a precision beyond 38 or a scale beyond its precision");
        wanted.precision = (uint8_t)p;
        wanted.scale = (uint8_t)sc;
    }
    i = sl_table_find(t, name);
    if (i < 0)
        i = sl_table_add(&s->cat, t, name, &renamed);
    if (renamed)
        sl_sync_log(s, SL_WARNING, SL_FROM_ENGINE,
                    "%s: column '%.*s' is stored as %s: its plain name is taken or too long",
                    t->name, (int)name.len, name.ptr, t->columns[i]->name);
    stored = t->columns[i]->type;
    t->columns[i]->next = settle_type(stored, wanted);
    /* A column stored wider than declared takes what the author's type lets through and stays as it is. */
    t->columns[i]->declared = sl_coltype_eq(t->columns[i]->next, wanted);
    if (!t->columns[i]->declared)
        sl_sync_log(s, SL_WARNING, SL_FROM_ENGINE,
                    "%s.%s: schema() declares %s, the warehouse holds %s: it is kept as %s",
                    t->name, t->columns[i]->name, sl_coltype_text(wanted, a),
                    sl_coltype_text(stored, b), sl_type_name(t->columns[i]->next.type));
    return 0;
}

static sl_rc
key_changed(const struct sl_table *t, json_t *keys, struct sl_err *err)
{
    char was[200] = "", now[200] = "";

    for (int k = 0; k < t->nkeys; k++)
        snprintf(was + strlen(was), sizeof was - strlen(was), "%s%s", k ? ", " : "",
                 t->keyless ? "none" : t->columns[t->keys[k]]->source);
    for (size_t k = 0; k < json_array_size(keys); k++)
        snprintf(now + strlen(now), sizeof now - strlen(now), "%s%s", k ? ", " : "",
                 json_bytes(json_array_get(keys, k)).ptr);
    sl_fail(err, SL_E_SCHEMA,
            "the primary key of table %s changed: it was (%s), schema() now says (%s)", t->source,
            was, *now ? now : "none");
    sl_err_path(err, "%s", t->source);
    sl_err_hint(
        err, "rows cannot be matched across keys: put the old key back, give the table a new name, "
             "or start over with `fivetran reset`");
    return SL_E_SCHEMA;
}

static sl_rc
declare_keys(struct sl_sync *s, struct sl_table *t, json_t *keys, struct sl_err *err)
{
    size_t n = json_array_size(keys);
    bool renamed, fresh = t->nkeys == 0;

    if (n == 0) {
        if (!fresh && !t->keyless)
            return key_changed(t, keys, err);
        if (fresh)
            sl_table_keyless(t);
        return 0;
    }
    if (!fresh && (t->keyless || (size_t)t->nkeys != n))
        return key_changed(t, keys, err);
    for (size_t k = 0; k < n; k++) {
        struct sl_bytes name = json_bytes(json_array_get(keys, k));
        int i = sl_table_find(t, name);

        if (fresh) {
            if (i < 0)
                i = sl_table_add(&s->cat, t, name, &renamed);
            if (t->columns[i]->key >= 0)
                return bad_schema(err, t->source, "a key column is named twice");
            sl_table_key(t, i);
        } else if (i < 0 || t->columns[i]->key < 0) {
            return key_changed(t, keys, err);
        }
    }
    return 0;
}

static sl_rc
declare_table(struct sl_sync *s, json_t *entry, struct sl_err *err)
{
    struct sl_bytes schema = json_bytes(json_object_get(entry, "schema")),
                    name = json_bytes(json_object_get(entry, "table"));
    json_t *col, *columns = json_object_get(entry, "columns");
    struct sl_table *t;
    bool renamed;
    size_t i;
    sl_rc rc;

    if (name.len == 0)
        return bad_schema(err, "", "it has no name");
    t = sl_catalog_find(&s->cat, schema, name);
    if (t == NULL) {
        t = sl_catalog_add(&s->cat, schema, name, &renamed);
        if (renamed)
            sl_sync_log(s, SL_WARNING, SL_FROM_ENGINE,
                        "table '%.*s' is stored as %s.%s: its plain name is taken or too long",
                        (int)name.len, name.ptr, t->schema, t->name);
    }
    t->declared = true;
    /* Keys first: they lead the table's columns. */
    rc = declare_keys(s, t, json_object_get(entry, "primary_key"), err);
    json_array_foreach(columns, i, col)
    {
        if (rc)
            break;
        rc = declare_column(s, t, col, err);
    }
    return rc;
}

/* A column that was declared once and is not now widens like any other from a type the lattice knows. */
static void
forget_declarations(struct sl_catalog *cat)
{
    static const enum sl_type free_type[SL_T_COUNT] = {
        [SL_T_SHORT] = SL_T_LONG,
        [SL_T_INT] = SL_T_LONG,
        [SL_T_FLOAT] = SL_T_DOUBLE,
        [SL_T_XML] = SL_T_STRING,
    };

    for (int i = 0; i < cat->ntables; i++)
        for (int c = 0; c < cat->tables[i]->ncolumns; c++) {
            struct sl_column *col = cat->tables[i]->columns[c];

            if (!col->declared || (cat->tables[i]->keyless && col->key >= 0))
                continue;
            col->declared = false;
            col->was_declared = true;
            col->next = col->type;
            if (free_type[col->type.type])
                col->next = (struct sl_coltype){ free_type[col->type.type], 0, 0 };
        }
}

/* Only a real change of what is declared is written to the destination's catalog. */
static void
note_changes(struct sl_catalog *cat)
{
    for (int i = 0; i < cat->ntables; i++)
        for (int c = 0; c < cat->tables[i]->ncolumns; c++) {
            struct sl_column *col = cat->tables[i]->columns[c];

            if (col->declared != col->was_declared && !(cat->tables[i]->keyless && col->key >= 0))
                cat->tables[i]->dirty = true;
        }
}

sl_rc
sl_declare(struct sl_sync *s, const struct sl_frame *f, struct sl_err *err)
{
    json_error_t je;
    json_t *root = json_loadb(f->ptr, f->len, 0, &je), *entry;
    size_t i;
    sl_rc rc = 0;

    if (root == NULL || !json_is_array(json_object_get(root, "tables"))) {
        json_decref(root);
        return sl_fail(err, SL_E_PROTOCOL, "the SCHEMA frame is not JSON with a list of tables");
    }
    forget_declarations(&s->cat);
    json_array_foreach(json_object_get(root, "tables"), i, entry)
    {
        if (rc)
            break;
        rc = declare_table(s, entry, err);
    }
    json_decref(root);
    for (int t = 0; t < s->cat.ntables; t++)
        sl_filter_mark(s->filter, s->cat.tables[t]);
    note_changes(&s->cat);
    return rc;
}

sl_rc
sl_declare_undeclared(struct sl_table *t, struct sl_err *err)
{
    if (t->nkeys == 0)
        sl_table_keyless(t);
    else if (!t->keyless)
        return key_changed(t, NULL, err);
    return 0;
}
