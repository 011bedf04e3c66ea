/* api_data.c - rows of the warehouse to look at.
 *
 * For operators: keys of viewers lie in the configuration of monitors and on wallboards, which need no customer's row. And only tables
 * of the connection: other connections may write into the same warehouse.
 */
#include "api/api.h"
#include "api/catalog.h"
#include "api/data.h"
#include "http/input.h"

#include <stdlib.h>

#define LIMIT 50
#define LIMIT_MAX 200

/* What a table of the source is called in the warehouse; SL_E_NOT_FOUND says that the connection has none of this name. Lent by the
 * catalog. */
static sl_rc
find_table(const json_t *catalog, const char *schema, const char *table, const char **in_schema,
           const char **in_table, struct sl_err *err)
{
    const json_t *s = json_object_get(json_object_get(catalog, "schemas"), schema);
    const json_t *t = sl_catalog_table(catalog, schema, table);

    if (t == NULL)
        return sl_fail(err, SL_E_NOT_FOUND, "Cannot find table '%.80s' in schema '%.80s'", table,
                       schema);
    *in_schema = sl_in_text(s, "name_in_destination", schema);
    *in_table = sl_in_text(t, "name_in_destination", table);
    return SL_OK;
}

static sl_rc
look(struct sl_call *c, const struct sl_connection *con, const char *schema, const char *table,
     int64_t limit, json_t **answer, struct sl_err *err)
{
    json_t *request = json_pack("{s:s, s:s, s:s, s:I}", "what", "rows", "schema", schema, "table",
                                table, "limit", (json_int_t)limit);
    sl_rc rc = sl_worker_look(c->sv->w, con->group_id, request, answer, err);

    json_decref(request);
    if (rc == SL_E_NOT_FOUND)
        sl_fail(err, SL_E_NOT_FOUND, "Nothing of table '%.80s' is in the warehouse yet", table);
    return rc;
}

sl_rc
sl_data_rows(struct sl_call *c, const struct sl_connection *con, const char *schema,
             const char *table, int64_t limit, json_t **answer, struct sl_err *err)
{
    json_t *catalog = sl_json_stored(con->catalog, "{}");
    const char *in_schema = NULL, *in_table = NULL;
    sl_rc rc = find_table(catalog, schema, table, &in_schema, &in_table, err);

    *answer = NULL;
    if (rc == SL_OK)
        rc = look(c, con, in_schema, in_table, limit, answer, err);
    if (rc == SL_OK) {
        json_object_set_new(*answer, "schema", json_string(schema));
        json_object_set_new(*answer, "table", json_string(table));
        json_object_set_new(*answer, "name_in_destination",
                            json_pack("{s:s, s:s}", "schema", in_schema, "table", in_table));
    }
    json_decref(catalog);
    return rc;
}

sl_rc
sl_data_counts(struct sl_call *c, const struct sl_connection *con, json_t *schemas, json_t *tables,
               json_t **counts, struct sl_err *err)
{
    json_t *request = json_pack("{s:s, s:o, s:o}", "what", "tables", "schemas", schemas, "tables",
                                tables);
    json_t *answer = NULL, *one;
    size_t i;
    sl_rc rc = sl_worker_look(c->sv->w, con->group_id, request, &answer, err);

    *counts = json_object();
    json_array_foreach(json_object_get(answer, "tables"), i, one)
    {
        const char *name = sl_in_text(one, "schema", "");
        json_t *group = json_object_get(*counts, name);

        if (group == NULL) {
            group = json_object();
            json_object_set_new(*counts, name, group);
        }
        json_object_set_new(group, sl_in_text(one, "table", ""),
                            json_pack("{s:O, s:O}", "rows", json_object_get(one, "rows"),
                                      "live_rows", json_object_get(one, "live_rows")));
    }
    json_decref(answer);
    json_decref(request);
    return rc;
}

/* ---- the route ---- */

static void
refuse(struct sl_call *c, const struct sl_err *err)
{
    if (err->code == SL_E_NOT_FOUND)
        sl_refuse(c, 404, "NotFound_Table", "%s", err->text);
    else if (err->code == SL_E_USAGE)
        sl_refuse(c, 409, "IllegalState", "%s", err->text);
    else
        sl_refuse_err(c, err);
}

void
sl_api_data(struct sl_call *c)
{
    const char *schema = sl_param_get(c, "schema"), *table = sl_param_get(c, "table");
    struct sl_connection con = { 0 };
    struct sl_err err = { 0 };
    int64_t limit = LIMIT;
    json_t *answer;

    if (!sl_param_int(c, "limit", 0, LIMIT_MAX, &limit) ||
        !sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return;
    if (schema == NULL || table == NULL)
        sl_refuse_input(c, "%s is missing: schema and table name what to look at",
                        schema == NULL ? "schema" : "table");
    else if (sl_data_rows(c, &con, schema, table, limit, &answer, &err))
        refuse(c, &err);
    else
        sl_say(c, 200, answer, NULL);
    sl_record_free(SL_K_CONNECTION, &con);
}
