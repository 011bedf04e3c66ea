/* session.c - the session of a sync or a setup test: what the engine is told, and what becomes of what it tells. */
#include "base/time.h"
#include "worker/running.h"

#include <stdlib.h>

/* A warehouse file that another program has open: for so long a sync waits. */
#define LOCK_WAIT_US ((int64_t)30 * 1000000)
/* Of files we create: a thousand one-row tables would take 276 MB otherwise (semantics: 16 KiB). */
#define BLOCK_SIZE 16384
/* A connector that checkpoints durably after every row must not cost the store a commit per row. */
#define MIRROR_US 1000000

/* ---- which tables are wanted ---- */

/* The API calls the schema of tables without one by the connection's name. */
static const char *
source_schema(const struct sl_running *r, const char *name)
{
    return strcmp(name, r->con.schema) == 0 ? "" : name;
}

/* The filter's entry for a table, made if it is not there. Lent. */
static json_t *
entry(json_t *tables, const char *schema, const char *table)
{
    json_t *e;
    size_t i;

    json_array_foreach(tables, i, e)
    {
        if (strcmp(json_string_value(json_object_get(e, "schema")), schema) == 0 &&
            strcmp(json_string_value(json_object_get(e, "table")), table) == 0)
            return e;
    }
    e = json_pack("{s:s, s:s, s:b, s:{}}", "schema", schema, "table", table, "wanted", 1,
                  "columns");
    json_array_append_new(tables, e);
    return e;
}

static bool
is_off(const json_t *o)
{
    return json_is_false(json_object_get(o, "enabled"));
}

/* `handling` other than ALLOW_ALL: the API has written out all that was known then, what is not there is new and not wanted. */
static void
add_choices(const struct sl_running *r, const json_t *config, const json_t *catalog,
            const char *handling, json_t *schemas, json_t *tables)
{
    bool new_tables = strcmp(handling, "ALLOW_ALL") == 0;
    bool new_columns = strcmp(handling, "BLOCK_ALL") != 0;
    const char *s, *t, *c;
    json_t *schema, *table, *column, *e;

    json_object_foreach(json_object_get(config, "schemas"), s, schema)
    {
        const json_t *known = json_object_get(json_object_get(catalog, "schemas"), s);

        if (is_off(schema)) {
            /* Also for what nobody has seen yet. */
            json_object_set_new(schemas, source_schema(r, s), json_false());
            json_object_foreach(json_object_get(known, "tables"), t, table)
                json_object_set_new(entry(tables, source_schema(r, s), t), "wanted", json_false());
        }
        json_object_foreach(json_object_get(schema, "tables"), t, table)
        {
            const json_t *on = json_object_get(table, "enabled");

            e = entry(tables, source_schema(r, s), t);
            json_object_set_new(e, "others", json_boolean(new_columns));
            if (is_off(schema) || (json_is_boolean(on) ? json_is_false(on) : !new_tables))
                json_object_set_new(e, "wanted", json_false());
            json_object_foreach(json_object_get(table, "columns"), c,
                                column) if (json_is_boolean(json_object_get(column, "enabled")))
                json_object_set_new(json_object_get(e, "columns"), c,
                                    json_boolean(!is_off(column)));
        }
    }
}

/* "schema.table": a connection's name has no dot, so that a table's may have one. */
static bool
named(const struct sl_running *r, const json_t *names, const json_t *e)
{
    const char *schema = json_string_value(json_object_get(e, "schema"));
    const char *table = json_string_value(json_object_get(e, "table"));
    char *full = sl_sprintf("%s.%s", schema[0] ? schema : r->con.schema, table);
    const json_t *name;
    bool found = false;
    size_t i;

    json_array_foreach(names, i, name) found = found || strcmp(json_string_value(name), full) == 0;
    free(full);
    return found;
}

static void
only_named(const struct sl_running *r, const json_t *names, json_t *tables)
{
    size_t prefix = strlen(r->con.schema), i;
    const json_t *name;
    json_t *e;

    json_array_foreach(names, i, name)
    {
        const char *text = json_string_value(name), *dot = strchr(text, '.');

        if (strncmp(text, r->con.schema, prefix) == 0 && text[prefix] == '.') {
            entry(tables, "", text + prefix + 1);
        } else if (dot != NULL) {
            char *schema = sl_memdup(text, (size_t)(dot - text));

            entry(tables, schema, dot + 1);
            free(schema);
        }
    }
    json_array_foreach(tables, i, e) if (!named(r, names, e))
        json_object_set_new(e, "wanted", json_false());
}

/* New memory, or NULL: everything is wanted. */
static char *
make_filter(const struct sl_running *r)
{
    json_t *config = r->con.schema_config ? json_loads(r->con.schema_config, 0, NULL) : NULL;
    json_t *catalog = r->con.catalog ? json_loads(r->con.catalog, 0, NULL) : NULL;
    json_t *names = r->rec.tables ? json_loads(r->rec.tables, 0, NULL) : NULL;
    const char *chosen = json_string_value(json_object_get(config, "schema_change_handling"));
    const char *handling = chosen != NULL ? chosen : "ALLOW_ALL";
    bool block = strcmp(handling, "ALLOW_ALL") != 0;
    json_t *schemas = json_object(), *tables = json_array(), *filter;
    char *text = NULL;

    add_choices(r, config, catalog, handling, schemas, tables);
    if (names != NULL)
        only_named(r, names, tables);
    if (block || names != NULL || json_object_size(schemas) + json_array_size(tables) > 0) {
        filter = json_pack("{s:b, s:O, s:O}", "others", !block && names == NULL, "schemas", schemas,
                           "tables", tables);
        text = json_dumps(filter, JSON_COMPACT);
        json_decref(filter);
    }
    json_decref(schemas);
    json_decref(tables);
    json_decref(names);
    json_decref(catalog);
    json_decref(config);
    return text;
}

/* ---- what the session tells ---- */

static void
on_log(void *ctx, enum sl_level level, enum sl_origin from, const char *text, size_t len)
{
    sl_running_log(ctx, level, from, text, len);
}

static void
on_started(void *ctx)
{
    sl_running_stage(ctx, "schema()");
}

static void
on_schema_done(void *ctx)
{
    struct sl_running *r = ctx;

    r->set_up = true;
    sl_running_stage(r, "update()");
}

static void
on_table_created(void *ctx, const char *name)
{
    sl_running_say(ctx, SL_INFO, "table created: %s", name);
}

static sl_rc
on_committed(void *ctx, uint64_t number, const char *state, size_t len, struct sl_err *err)
{
    struct sl_running *r = ctx;
    int64_t now = sl_mono_us();

    (void)number;
    if (now - r->mirrored_us < MIRROR_US)
        return SL_OK; /* the end of the sync brings the last one */
    r->mirrored_us = now;
    return sl_running_committed(r, state, len, err);
}

static void
on_progress(void *ctx, const struct sl_counts *now)
{
    struct sl_running *r = ctx;

    pthread_mutex_lock(&r->w->lock);
    r->rows = now->upserts + now->updates + now->deletes;
    sl_worker_changed(r->w);
    pthread_mutex_unlock(&r->w->lock);
}

static void
on_table(void *ctx, const struct sl_table_report *t)
{
    struct sl_running *r = ctx;
    const struct {
        const char *name;
        uint64_t count;
    } counts[] = {
        { "upserts", t->upserts },        { "updates", t->updates },
        { "deletes", t->deletes },        { "truncates", t->truncates },
        { "inserted", t->rows.inserted }, { "updated", t->rows.updated },
        { "deleted", t->rows.deleted },   { "unchanged", t->rows.unchanged },
        { "missed", t->rows.missed },     { "duplicates", t->rows.duplicates },
        { "filtered", t->filtered },      { "active", t->active },
    };
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "schema", t->schema, "table", t->name,
                          "source_schema", t->source_schema, "source_table", t->source);

    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        json_object_set_new(o, counts[i].name, json_integer((json_int_t)counts[i].count));
    json_array_append_new(r->tables, o);
}

static json_t *
column_json(const struct sl_column *c)
{
    char type[24];

    return json_pack("{s:s, s:s, s:b}", "name_in_destination", c->name, "type",
                     sl_coltype_text(c->next.type ? c->next : c->type, type), "is_primary_key",
                     c->key >= 0);
}

static json_t *
table_json(const struct sl_table *t)
{
    json_t *columns = json_object();

    for (int i = 0; i < t->ncolumns; i++) {
        const struct sl_column *c = t->columns[i];

        json_object_set_new(columns, c->source[0] ? c->source : c->name, column_json(c));
    }
    return json_pack("{s:s, s:o}", "name_in_destination", t->name, "columns", columns);
}

static void
on_catalog(void *ctx, const struct sl_catalog *cat)
{
    struct sl_running *r = ctx;
    json_t *schemas = json_object();

    for (int i = 0; i < cat->ntables; i++) {
        const struct sl_table *t = cat->tables[i];
        const char *name = t->source_schema[0] ? t->source_schema : r->con.schema;
        json_t *schema = json_object_get(schemas, name);

        if (schema == NULL) {
            schema = json_pack("{s:s, s:{}}", "name_in_destination", t->schema, "tables");
            json_object_set_new(schemas, name, schema);
        }
        json_object_set_new(json_object_get(schema, "tables"), t->source, table_json(t));
    }
    json_decref(r->catalog);
    r->catalog = json_pack("{s:o}", "schemas", schemas);
}

/* ---- the session ---- */

static void
choose_state(struct sl_running *r, struct sl_session_conf *conf)
{
    if (r->rec.tables != NULL) {
        conf->state = SL_LIT("{}");
        conf->keep_state = true;
    } else if (r->con.state_override != NULL) {
        conf->state = sl_bytes_of(r->con.state_override);
    }
}

sl_rc
sl_running_session(struct sl_running *r, struct sl_session_conf *conf,
                   struct sl_session_result *res, struct sl_err *err)
{
    const struct sl_sink sink = {
        .ctx = r,
        .log = on_log,
        .started = on_started,
        .schema_done = on_schema_done,
        .table_created = on_table_created,
        .committed = on_committed,
        .progress = on_progress,
        .table = on_table,
        .catalog = on_catalog,
    };
    const char *path = json_string_value(json_object_get(r->destination, "path"));
    char *text = json_dumps(r->configuration, JSON_COMPACT), *filter = make_filter(r);
    /* A file is known by its place; what else a warehouse needs goes in memory only. */
    char *options = path == NULL ? json_dumps(r->destination, JSON_COMPACT) : NULL;
    sl_rc rc;

    choose_state(r, conf);
    conf->destination = r->service;
    conf->location = path;
    conf->spill_dir = r->w->spill_dir;
    conf->connection = r->con.schema;
    if (conf->mode == NULL)
        conf->mode = "sync";
    conf->project = r->code;
    conf->configuration = sl_bytes_of(text);
    if (options != NULL)
        conf->options = sl_bytes_of(options);
    if (filter != NULL)
        conf->filter = sl_bytes_of(filter);
    conf->naming = r->con.naming != NULL && strncmp(r->con.naming, "SOURCE", 6) == 0
                       ? SL_NAMING_SOURCE
                       : SL_NAMING_FIVETRAN;
    conf->log_level = SL_INFO;
    conf->durable = r->con.durable;
    conf->block_size = BLOCK_SIZE;
    conf->lock_wait_us = LOCK_WAIT_US;
    conf->memory_limit = r->w->conf.engine_memory;
    conf->fd = r->fd;
    conf->stop = &r->stop;
    conf->sink = &sink;
    r->fd = -1; /* the session closes it */
    rc = sl_engines_session(r->w->engines, conf, res, err);
    if (res->state != NULL && res->counts.commits > 0) {
        struct sl_err mirror = { 0 };

        if (sl_running_committed(r, res->state, strlen(res->state), &mirror))
            sl_running_say(r, SL_WARNING,
                           "the server's copy of the state could not be written (%s); the state is "
                           "safe in the warehouse",
                           mirror.text);
    }
    sl_vault_wipe(text, strlen(text));
    if (options != NULL)
        sl_vault_wipe(options, strlen(options));
    free(filter);
    return rc;
}
