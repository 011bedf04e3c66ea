/* api_schemas.c - which schemas, tables and columns are wanted (catalog.h has the rules). */
#include "api/api.h"
#include "api/catalog.h"
#include "api/connections.h"
#include "http/input.h"

#include <stdlib.h>

static const struct sl_input change_inputs[] = {
    { "schema_change_handling", SL_IN_WORD, 0, "ALLOW_ALL|ALLOW_COLUMNS|BLOCK_ALL", 0, 0 },
    { "schemas", SL_IN_OBJECT, 0, NULL, 0, 0 },
    { NULL, 0, 0, NULL, 0, 0 },
};

static void
refuse_none(struct sl_call *c)
{
    sl_refuse(c, 404, "NotFound_SchemaConfig",
              "Connection doesn't have schema config: run its setup tests or a sync first");
}

static void
say_schemas(struct sl_call *c, const struct sl_connection *con, const char *message)
{
    json_t *catalog = sl_json_stored(con->catalog, "{}");
    json_t *config = sl_json_stored(con->schema_config, "{}");
    json_t *shown = sl_catalog_shown(catalog, config);

    json_decref(catalog);
    json_decref(config);
    if (message != NULL)
        sl_say(c, 200, shown, "%s", message);
    else
        sl_say(c, 200, shown, NULL);
}

void
sl_api_schemas(struct sl_call *c)
{
    struct sl_connection con = { 0 };

    if (!sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return;
    if (con.catalog == NULL)
        refuse_none(c);
    else
        say_schemas(c, &con, NULL);
    sl_record_free(SL_K_CONNECTION, &con);
}

void
sl_api_columns(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    json_t *catalog, *config;

    if (!sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return;
    catalog = sl_json_stored(con.catalog, "{}");
    config = sl_json_stored(con.schema_config, "{}");
    if (con.catalog == NULL)
        refuse_none(c);
    else if (sl_catalog_table(catalog, c->args[1], c->args[2]) == NULL)
        sl_refuse(c, 404, "NotFound_Table", "Cannot find table '%.80s' in schema '%.80s'",
                  c->args[2], c->args[1]);
    else
        sl_say(c, 200,
               json_pack("{s:o}", "columns",
                         sl_catalog_columns(catalog, config, c->args[1], c->args[2])),
               NULL);
    json_decref(catalog);
    json_decref(config);
    sl_record_free(SL_K_CONNECTION, &con);
}

/* ---- changing ---- */

/* In a transaction. Applies and commits, or rolls back; answers. */
static void
apply(struct sl_call *c, struct sl_connection *con, const json_t *change, bool known,
      const char *message)
{
    json_t *catalog = sl_json_stored(con->catalog, "{}");
    json_t *config = sl_json_stored(con->schema_config, "{}");
    char *problem = NULL;

    sl_catalog_change(config, catalog, change, known, &problem);
    if (problem != NULL) {
        sl_call_rollback(c);
        sl_refuse_input(c, "Schema config: %s", problem);
    } else {
        free(con->schema_config);
        con->schema_config = sl_json_dump(config);
        if (sl_call_put(c, SL_K_CONNECTION, con) &&
            sl_call_commit(c, "connection.schemas", SL_K_CONNECTION, con->id, NULL))
            say_schemas(c, con, message);
    }
    free(problem);
    json_decref(catalog);
    json_decref(config);
}

static void
change(struct sl_call *c, const json_t *what, bool known, const char *message)
{
    struct sl_connection con = { 0 };

    if (!sl_begin_connection(c, c->args[0], &con))
        return;
    if (known && con.catalog == NULL) {
        sl_call_rollback(c);
        refuse_none(c);
    } else {
        apply(c, &con, what, known, message);
    }
    sl_record_free(SL_K_CONNECTION, &con);
}

void
sl_api_schemas_update(struct sl_call *c)
{
    if (!sl_input_check(c, c->body, change_inputs, ""))
        return;
    if (!sl_input_any(c->body, change_inputs)) {
        sl_refuse_input(c, "Nothing to change: give schemas or schema_change_handling");
        return;
    }
    change(c, c->body, true, "Connection schema config has been updated");
}

void
sl_api_schemas_create(struct sl_call *c)
{
    if (!sl_input_check(c, c->body, change_inputs, ""))
        return;
    if (json_object_get(c->body, "schemas") == NULL) {
        sl_refuse_input(c, "schemas is missing");
        return;
    }
    change(c, c->body, false, "Connection schema config has been created");
}

/* Body of one thing at a path: put it where it belongs in a whole. Names at the path that are not there: 404. */
static void
change_at(struct sl_call *c, int depth)
{
    static const char *const nouns[] = { "Schema", "Table", "Column" };
    static const char *const words[] = { "schemas", "tables", "columns" };
    struct sl_connection con = { 0 };
    json_t *catalog, *at, *what = json_incref(c->body);
    bool there = true;

    if (!sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        goto out;
    if (con.catalog == NULL) {
        refuse_none(c);
        goto out;
    }
    catalog = sl_json_stored(con.catalog, "{}");
    at = catalog;
    for (int i = 0; i < depth && there; i++) {
        at = json_object_get(json_object_get(at, words[i]), c->args[1 + i]);
        there = at != NULL;
        if (!there) {
            char code[32];

            snprintf(code, sizeof code, "NotFound_%s", nouns[i]);
            sl_refuse(c, 404, code, "Cannot find %s '%.80s'", nouns[i], c->args[1 + i]);
        }
    }
    json_decref(catalog);
    if (!there)
        goto out;
    for (int i = depth - 1; i >= 0; i--)
        what = json_pack("{s:{s:o}}", words[i], c->args[1 + i], what);
    change(c, what, true, "Connection schema config has been updated");
out:
    json_decref(what);
    sl_record_free(SL_K_CONNECTION, &con);
}

void
sl_api_schema_update(struct sl_call *c)
{
    change_at(c, 1);
}

void
sl_api_table_update(struct sl_call *c)
{
    change_at(c, 2);
}

void
sl_api_column_update(struct sl_call *c)
{
    change_at(c, 3);
}

/* ---- reload ---- */

/* What the tests found that was not known before is wanted or not, as asked. */
static void
mark_new(struct sl_call *c, const char *id, const json_t *before, bool wanted)
{
    struct sl_connection con = { 0 };
    json_t *now, *config;

    if (!sl_begin_connection(c, id, &con))
        return;
    now = sl_json_stored(con.catalog, "{}");
    config = sl_json_stored(con.schema_config, "{}");
    sl_catalog_mark_new(config, before, now, wanted);
    free(con.schema_config);
    con.schema_config = sl_json_dump(config);
    json_decref(now);
    json_decref(config);
    if (sl_call_put(c, SL_K_CONNECTION, &con))
        (void)sl_call_commit(c, "connection.schemas", SL_K_CONNECTION, id, NULL);
    sl_record_free(SL_K_CONNECTION, &con);
}

void
sl_api_schemas_reload(struct sl_call *c)
{
    static const struct sl_input inputs[] = {
        { "exclude_mode", SL_IN_WORD, 0, "PRESERVE|EXCLUDE|INCLUDE", 0, 0 },
        { NULL, 0, 0, NULL, 0, 0 },
    };
    struct sl_connection con = { 0 };
    const char *id = c->args[0], *mode;
    json_t *before, *tests;

    if (!sl_input_check(c, c->body, inputs, "") || !sl_call_get(c, SL_K_CONNECTION, id, &con))
        return;
    mode = sl_in_text(c->body, "exclude_mode", "PRESERVE");
    before = sl_json_stored(con.catalog, "{}");
    sl_record_free(SL_K_CONNECTION, &con);
    tests = sl_run_tests(c, id);
    json_decref(tests);
    if (strcmp(mode, "PRESERVE") != 0)
        mark_new(c, id, before, strcmp(mode, "INCLUDE") == 0);
    json_decref(before);
    if (c->req->status != 0 || !sl_call_get(c, SL_K_CONNECTION, id, &con))
        return;
    if (con.catalog == NULL) {
        char *missing = sl_setup_missing(&con);

        sl_refuse(c, 404, "NotFound_SchemaConfig", "Connection doesn't have schema config: %s",
                  missing ? missing : "its setup tests found no table");
        free(missing);
    } else {
        say_schemas(c, &con, NULL);
    }
    sl_record_free(SL_K_CONNECTION, &con);
}
