#include "api/catalog.h"

#include "base/buf.h"

#include <stdlib.h>

/* The three levels have one form: names under a word. */
static const char *const words[] = { "schemas", "tables", "columns" };
static const char *const nouns[] = { "schema", "table", "column" };
#define LEVELS 3

static json_t *
member(const json_t *o, int level, const char *name)
{
    return json_object_get(json_object_get(o, words[level]), name);
}

json_t *
sl_catalog_table(const json_t *catalog, const char *schema, const char *table)
{
    return member(member(catalog, 0, schema), 1, table);
}

json_t *
sl_catalog_column(const json_t *catalog, const char *schema, const char *table, const char *column)
{
    return member(sl_catalog_table(catalog, schema, table), 2, column);
}

static const char *
handling(const json_t *config)
{
    const char *h = json_string_value(json_object_get(config, "schema_change_handling"));

    return h != NULL ? h : "ALLOW_ALL";
}

/* What is not named. */
static bool
wanted_new(const json_t *config, int level)
{
    const char *h = handling(config);

    return strcmp(h, "ALLOW_ALL") == 0 || (level == 2 && strcmp(h, "ALLOW_COLUMNS") == 0);
}

static bool
wanted_at(const json_t *config, const json_t *entry, int level)
{
    const json_t *e = json_object_get(entry, "enabled");

    return json_is_boolean(e) ? json_is_true(e) : wanted_new(config, level);
}

bool
sl_catalog_wanted(const json_t *config, const char *schema, const char *table, const char *column)
{
    const json_t *entry = member(config, 0, schema);

    if (table == NULL)
        return wanted_at(config, entry, 0);
    entry = member(entry, 1, table);
    if (column == NULL)
        return wanted_at(config, entry, 1);
    return wanted_at(config, member(entry, 2, column), 2);
}

/* ---- shown ---- */

static json_t *
column_shown(const json_t *config, const json_t *known, const json_t *chosen)
{
    bool key = json_is_true(json_object_get(known, "is_primary_key"));
    json_t *o = json_object();
    json_t *patch = key ? json_pack("{s:b, s:s, s:s}", "allowed", 0, "reason_code", "SYSTEM_COLUMN",
                                    "reason",
                                    "The column does not support exclusion as it is a "
                                    "Primary Key")
                        : json_pack("{s:b}", "allowed", 1);

    json_object_set(o, "name_in_destination", json_object_get(known, "name_in_destination"));
    json_object_set_new(o, "enabled", json_boolean(key || wanted_at(config, chosen, 2)));
    json_object_set_new(o, "hashed", json_false());
    json_object_set_new(o, "is_primary_key", json_boolean(key));
    if (json_object_get(known, "type") != NULL)
        json_object_set(o, "type", json_object_get(known, "type"));
    json_object_set_new(o, "enabled_patch_settings", patch);
    return o;
}

/* Only columns that somebody chose, or all. */
static json_t *
columns_shown(const json_t *config, const json_t *table, const json_t *chosen, bool all)
{
    json_t *o = json_object(), *known;
    const char *name;

    json_object_foreach(json_object_get(table, "columns"), name, known)
    {
        json_t *choice = member(chosen, 2, name);

        if (all || choice != NULL)
            json_object_set_new(o, name, column_shown(config, known, choice));
    }
    return o;
}

static json_t *
table_shown(const json_t *config, const json_t *table, const json_t *chosen)
{
    json_t *o = json_object(), *columns = columns_shown(config, table, chosen, false);

    json_object_set(o, "name_in_destination", json_object_get(table, "name_in_destination"));
    json_object_set_new(o, "enabled", json_boolean(wanted_at(config, chosen, 1)));
    json_object_set_new(o, "sync_mode", json_string("SOFT_DELETE"));
    json_object_set_new(o, "supports_columns_config", json_true());
    json_object_set_new(o, "supports_history_mode", json_false());
    json_object_set_new(o, "enabled_patch_settings", json_pack("{s:b}", "allowed", 1));
    if (json_object_size(columns) > 0)
        json_object_set(o, "columns", columns);
    json_decref(columns);
    return o;
}

json_t *
sl_catalog_shown(const json_t *catalog, const json_t *config)
{
    json_t *schemas = json_object(), *schema, *table;
    const char *s, *t;

    json_object_foreach(json_object_get(catalog, "schemas"), s, schema)
    {
        json_t *o = json_object(), *tables = json_object();
        const json_t *chosen = member(config, 0, s);

        json_object_foreach(json_object_get(schema, "tables"), t, table)
            json_object_set_new(tables, t, table_shown(config, table, member(chosen, 1, t)));
        json_object_set(o, "name_in_destination", json_object_get(schema, "name_in_destination"));
        json_object_set_new(o, "enabled", json_boolean(wanted_at(config, chosen, 0)));
        json_object_set_new(o, "tables", tables);
        json_object_set_new(schemas, s, o);
    }
    return json_pack("{s:b, s:s, s:o}", "enable_new_by_default",
                     strcmp(handling(config), "ALLOW_ALL") == 0, "schema_change_handling",
                     handling(config), "schemas", schemas);
}

json_t *
sl_catalog_columns(const json_t *catalog, const json_t *config, const char *schema,
                   const char *table)
{
    return columns_shown(config, sl_catalog_table(catalog, schema, table),
                         member(member(config, 0, schema), 1, table), true);
}

/* ---- changed ---- */

/* The entry `name`, made if it is not there. Lent. */
static json_t *
entry_of(json_t *config, int level, const char *name)
{
    json_t *names = json_object_get(config, words[level]), *entry;

    if (names == NULL) {
        names = json_object();
        json_object_set_new(config, words[level], names);
    }
    entry = json_object_get(names, name);
    if (entry == NULL) {
        entry = json_object();
        json_object_set_new(names, name, entry);
    }
    return entry;
}

/* Everything known now is written out as it is now, down to `depth` levels. */
static void
write_out(json_t *config, json_t *into, const json_t *catalog, int level, int depth)
{
    const char *name;
    json_t *known;

    json_object_foreach(json_object_get(catalog, words[level]), name, known)
    {
        json_t *entry = entry_of(into, level, name);

        if (json_object_get(entry, "enabled") == NULL)
            json_object_set_new(entry, "enabled", json_boolean(wanted_new(config, level)));
        if (level + 1 < depth)
            write_out(config, entry, known, level + 1, depth);
    }
}

static void
set_handling(json_t *config, const json_t *catalog, const char *next)
{
    if (strcmp(next, "ALLOW_ALL") != 0)
        write_out(config, config, catalog, 0, strcmp(next, "BLOCK_ALL") == 0 ? 3 : 2);
    json_object_set_new(config, "schema_change_handling", json_string(next));
}

/* Whether the change can be applied: its form, and that it names what there is. */
static char *
check_level(const json_t *change, const json_t *catalog, int level, bool known)
{
    json_t *names = json_object_get(change, words[level]), *one;
    const char *name;
    char *problem = NULL;

    if (names == NULL || json_is_null(names))
        return NULL;
    if (!json_is_object(names))
        return sl_sprintf("%s must be an object", words[level]);
    json_object_foreach(names, name, one)
    {
        const json_t *there = member(catalog, level, name);
        const json_t *enabled = json_object_get(one, "enabled");

        if (!json_is_object(one))
            return sl_sprintf("%s '%.80s' must be an object", nouns[level], name);
        if (known && there == NULL)
            return sl_sprintf("there is no %s '%.80s'", nouns[level], name);
        if (enabled != NULL && !json_is_null(enabled) && !json_is_boolean(enabled))
            return sl_sprintf("enabled of %s '%.80s' must be true or false", nouns[level], name);
        if (json_is_false(enabled) && json_is_true(json_object_get(there, "is_primary_key")))
            return sl_sprintf("column '%.80s' is part of the primary key and cannot be left out",
                              name);
        if (json_is_true(json_object_get(one, "hashed")))
            return sl_sprintf("column '%.80s': hashing is not supported", name);
        if (level + 1 < LEVELS)
            problem = check_level(one, there, level + 1, known);
        if (problem != NULL)
            return problem;
    }
    return NULL;
}

static void
apply_level(json_t *config, const json_t *change, int level)
{
    const char *name;
    json_t *one;

    json_object_foreach(json_object_get(change, words[level]), name, one)
    {
        json_t *entry = entry_of(config, level, name);
        json_t *enabled = json_object_get(one, "enabled");

        if (json_is_boolean(enabled))
            json_object_set(entry, "enabled", enabled);
        if (level + 1 < LEVELS)
            apply_level(entry, one, level + 1);
    }
}

void
sl_catalog_change(json_t *config, const json_t *catalog, const json_t *change, bool known,
                  char **problem)
{
    const char *next = json_string_value(json_object_get(change, "schema_change_handling"));

    *problem = check_level(change, catalog, 0, known);
    if (*problem != NULL)
        return;
    if (next != NULL && strcmp(next, handling(config)) != 0)
        set_handling(config, catalog, next);
    apply_level(config, change, 0);
}

static void
mark_level(json_t *config, const json_t *before, const json_t *now, int level, bool wanted)
{
    const char *name;
    json_t *known;

    json_object_foreach(json_object_get(now, words[level]), name, known)
    {
        const json_t *old = member(before, level, name);

        if (json_is_true(json_object_get(known, "is_primary_key")))
            continue;
        if (old == NULL)
            json_object_set_new(entry_of(config, level, name), "enabled", json_boolean(wanted));
        else if (level + 1 < LEVELS)
            mark_level(entry_of(config, level, name), old, known, level + 1, wanted);
    }
}

void
sl_catalog_mark_new(json_t *config, const json_t *before, const json_t *now, bool wanted)
{
    mark_level(config, before, now, 0, wanted);
}
