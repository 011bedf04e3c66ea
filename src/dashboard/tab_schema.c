/* tab_schema.c - which tables and columns there are, which of them are wanted, and the re-sync of one.
 *
 * Rows are counted in the warehouse, which takes a moment: only when the query says rows=true, which web/schema.js asks for once the page
 * stands.
 */
#include "api/api.h"
#include "api/catalog.h"
#include "api/data.h"
#include "dashboard/tab.h"
#include "http/input.h"

#include <stdlib.h>
#include <strings.h>

#define SHOWN 50

/* ---- the model ---- */

static json_t *
keys_of(const json_t *table)
{
    json_t *keys = json_array(), *column;
    const char *name;

    json_object_foreach(json_object_get(table, "columns"), name, column)
    {
        if (json_is_true(json_object_get(column, "is_primary_key")))
            json_array_append_new(keys, json_string(name));
    }
    return keys;
}

static bool
matches(const char *q, const char *schema, const char *table)
{
    return q == NULL || strcasestr(table, q) != NULL || strcasestr(schema, q) != NULL;
}

static json_t *
table_json(const json_t *config, const char *s, const json_t *schema, const char *t,
           const json_t *table)
{
    return json_pack("{s:s, s:s, s:s, s:s, s:b, s:b, s:I, s:o, s:n, s:n}", "schema", s, "table", t,
                     "schema_in_destination", sl_in_text(schema, "name_in_destination", s),
                     "table_in_destination", sl_in_text(table, "name_in_destination", t), "enabled",
                     (int)sl_catalog_wanted(config, s, t, NULL), "schema_enabled",
                     (int)sl_catalog_wanted(config, s, NULL, NULL), "columns",
                     (json_int_t)json_object_size(json_object_get(table, "columns")), "keys",
                     keys_of(table), "rows", "live_rows");
}

/* The page of the tables that match; counts what there is. */
static json_t *
tables_json(const json_t *catalog, const json_t *config, const char *q, int64_t page,
            int64_t *total, int64_t *found)
{
    json_t *list = json_array(), *schema, *table;
    const char *s, *t;

    *total = *found = 0;
    json_object_foreach(json_object_get(catalog, "schemas"), s, schema)
    {
        json_object_foreach(json_object_get(schema, "tables"), t, table)
        {
            ++*total;
            if (!matches(q, s, t))
                continue;
            if (*found / SHOWN == page - 1)
                json_array_append_new(list, table_json(config, s, schema, t, table));
            ++*found;
        }
    }
    return list;
}

/* Rows into each of them, as far as the warehouse can say. */
static void
add_counts(struct sl_call *c, const struct sl_connection *con, json_t *list)
{
    json_t *schemas = json_array(), *tables = json_array(), *counts, *one;
    struct sl_err ignored = { 0 };
    size_t i;

    json_array_foreach(list, i, one)
    {
        json_array_append(schemas, json_object_get(one, "schema_in_destination"));
        json_array_append(tables, json_object_get(one, "table_in_destination"));
    }
    (void)!sl_data_counts(c, con, schemas, tables, &counts, &ignored);
    json_array_foreach(list, i, one)
    {
        const json_t *n = json_object_get(
            json_object_get(counts, sl_in_text(one, "schema_in_destination", "")),
            sl_in_text(one, "table_in_destination", ""));

        if (n != NULL)
            json_object_update(one, (json_t *)(uintptr_t)n);
    }
    json_decref(counts);
}

/* The one whose columns are looked at; null: none. */
static json_t *
one_json(struct sl_call *c, const json_t *catalog, const json_t *config)
{
    const char *s = sl_param_get(c, "schema"), *t = sl_param_get(c, "table");
    const json_t *schema = json_object_get(json_object_get(catalog, "schemas"), s ? s : "");
    const json_t *table = s != NULL && t != NULL ? sl_catalog_table(catalog, s, t) : NULL;
    json_t *o;

    if (table == NULL)
        return json_null();
    o = table_json(config, s, schema, t, table);
    json_object_set_new(o, "columns", sl_catalog_columns(catalog, config, s, t));
    return o;
}

static json_t *
make(struct sl_call *c, const struct sl_connection *con, int64_t page, bool count)
{
    json_t *catalog = sl_json_stored(con->catalog, "{}"),
           *config = sl_json_stored(con->schema_config, "{}"), *one, *tables;
    int64_t total, found;
    const char *q = sl_param_get(c, "q");

    if (q != NULL && q[0] == '\0')
        q = NULL;
    one = one_json(c, catalog, config);
    tables = tables_json(catalog, config, q, page, &total, &found);
    if (count)
        add_counts(c, con, tables);
    tables = json_pack("{s:o, s:I, s:I, s:I, s:I, s:b, s:s, s:o, s:o}", "tables", tables, "total",
                       (json_int_t)total, "found", (json_int_t)found, "page", (json_int_t)page,
                       "pages", (json_int_t)((found + SHOWN - 1) / SHOWN), "counted", (int)count,
                       "schema_change_handling",
                       sl_in_text(config, "schema_change_handling", "ALLOW_ALL"), "table", one,
                       "waiting", sl_json_stored(con->resync_tables, "[]"));
    json_decref(catalog);
    json_decref(config);
    return tables;
}

json_t *
sl_tab_schema_model(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    json_t *model = NULL;
    int64_t page = 1;
    bool count = false;

    if (sl_param_int(c, "page", 1, 1000000, &page) && sl_param_bool(c, "rows", &count) &&
        sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        model = make(c, &con, page, count);
    sl_record_free(SL_K_CONNECTION, &con);
    return model;
}

/* ---- pieces ---- */

static const char *
connection_url(struct sl_view *v)
{
    return sl_url(&v->c->arena, sl_at_text(v->m, "connection.id"));
}

/* A switch whose click sends `body`, which is taken. */
static void
view_switch(struct sl_view *v, const char *what, bool on, json_t *body)
{
    char *text = sl_json_dump(body);

    if (sl_may(v, SL_ROLE_ADMIN))
        sl_html(v->h,
                "<button type=\"button\" role=\"switch\" class=\"switch mini\" "
                "aria-checked=\"%s\" aria-label=\"Sync %s\" "
                "data-call=\"PATCH /v1/connections/%s/schemas\" data-body=\"%s\" "
                "data-said=\"%s\"></button>",
                on ? "true" : "false", what, connection_url(v), text,
                on ? "It is left out from the next sync on"
                   : "It is part of the next sync. A re-sync brings the rows it missed");
    else
        sl_html(v->h, "%s", on ? "yes" : "no");
    free(text);
    json_decref(body);
}

static void
view_resync(struct sl_view *v, const json_t *t)
{
    json_t *body = json_pack("{s:[s]}", sl_at_text(t, "schema"), sl_at_text(t, "table"));
    char *text = sl_json_dump(body);

    if (sl_may(v, SL_ROLE_OPERATOR))
        sl_html(v->h,
                "<button type=\"button\" class=\"quiet\" "
                "data-call=\"POST /v1/connections/%s/schemas/tables/resync\" data-body=\"%s\" "
                "data-confirm=\"Re-sync the table %s? The connector reads this table again from "
                "the beginning, and its rows are updated. Rows "
                "that the source does not have any more stay.\" data-confirm-label=\"Re-sync\" "
                "data-said=\"The table will be re-synced\">Re-sync</button>",
                connection_url(v), text, sl_at_text(t, "table"));
    free(text);
    json_decref(body);
}

static bool
is_waiting(const struct sl_view *v, const json_t *t)
{
    const json_t *one;
    size_t i;
    char *name = sl_sprintf("%s.%s", sl_at_text(t, "schema"), sl_at_text(t, "table"));
    bool found = false;

    json_array_foreach(sl_at(v->m, "tab.waiting"), i, one)
        found |= json_is_string(one) && strcmp(json_string_value(one), name) == 0;
    free(name);
    return found;
}

static void
view_count(struct sl_view *v, const json_t *t)
{
    int64_t rows = sl_at_int(t, "rows"), live = sl_at_int(t, "live_rows");

    if (!json_is_integer(sl_at(t, "rows"))) {
        sl_html(v->h, "<span class=\"dim\">%s</span>", sl_at_true(v->m, "tab.counted") ? "–" : "…");
        return;
    }
    sl_html_number(v->h, live);
    if (live != rows) {
        sl_html(v->h, " <span class=\"dim\">+ ");
        sl_html_number(v->h, rows - live);
        sl_html(v->h, " deleted</span>");
    }
}

/* ---- one table ---- */

static void
view_column(struct sl_view *v, const json_t *t, const char *name, const json_t *col)
{
    bool key = sl_at_true(col, "is_primary_key");

    sl_html(v->h, "<tr><td>");
    if (key)
        sl_html(v->h, "<span class=\"dim\">always</span>");
    else
        view_switch(v, name, sl_at_true(col, "enabled"),
                    json_pack("{s:{s:{s:{s:{s:{s:{s:b}}}}}}}", "schemas", sl_at_text(t, "schema"),
                              "tables", sl_at_text(t, "table"), "columns", name, "enabled",
                              (int)!sl_at_true(col, "enabled")));
    sl_html(v->h, "</td><th scope=\"row\">%s", name);
    if (key)
        sl_html(v->h, " <span class=\"tag\">key</span>");
    sl_html(v->h, "</th><td>%s</td><td class=\"type\">%s</td></tr>",
            sl_at_text(col, "name_in_destination"), sl_at_text(col, "type"));
}

static void
view_table(struct sl_view *v, const json_t *t)
{
    json_t *at = json_pack("[s, s]", sl_at_text(t, "schema"), sl_at_text(t, "table")), *col;
    char *text = sl_json_dump(at);
    const char *name;

    sl_html(v->h,
            "<section class=\"detail\" id=\"table\"><div class=\"title\"><h2>%s "
            "<span class=\"dim\">%s.%s</span></h2><div class=\"buttons\">",
            sl_at_text(t, "table"), sl_at_text(t, "schema_in_destination"),
            sl_at_text(t, "table_in_destination"));
    view_resync(v, t);
    sl_html(v->h,
            "<a class=\"button quiet\" href=\"/dashboard/connections/%s/data?at=%s\">Rows</a>"
            "<a class=\"button quiet\" href=\"%s\">Close</a></div></div>",
            connection_url(v), sl_url(&v->c->arena, text), sl_part_link(v->c, "table", NULL));
    free(text);
    json_decref(at);
    sl_html(v->h,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Columns\"><table "
            "class=\"list\"><thead><tr><th scope=\"col\">Synced</th><th scope=\"col\">Column"
            "</th><th scope=\"col\">In the warehouse</th><th scope=\"col\">Type</th></tr>"
            "</thead><tbody>");
    json_object_foreach((json_t *)(uintptr_t)sl_at(t, "columns"), name, col)
        view_column(v, t, name, col);
    sl_html(v->h, "</tbody></table></div></section>");
}

/* ---- the list ---- */

static const char *const policies[][2] = {
    { "ALLOW_ALL", "Sync new tables and columns" },
    { "ALLOW_COLUMNS", "Sync new columns, leave out new tables" },
    { "BLOCK_ALL", "Leave out new tables and columns" },
};

static void
view_policy(struct sl_view *v)
{
    const char *now = sl_at_text(v->m, "tab.schema_change_handling");

    if (!sl_may(v, SL_ROLE_ADMIN)) {
        for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++)
            if (strcmp(policies[i][0], now) == 0)
                sl_html(v->h, "<p class=\"dim\">%s.</p>", policies[i][1]);
        return;
    }
    sl_html(v->h,
            "<form class=\"filters policy\" data-call=\"PATCH /v1/connections/%s/schemas\" "
            "data-said=\"Saved\"><label class=\"inline\">When the source changes "
            "<select name=\"schema_change_handling\">",
            connection_url(v));
    for (size_t i = 0; i < sizeof policies / sizeof policies[0]; i++)
        sl_html(v->h, "<option value=\"%s\"%s>%s</option>", policies[i][0],
                strcmp(policies[i][0], now) == 0 ? " selected" : "", policies[i][1]);
    sl_html(v->h, "</select></label><button class=\"quiet\">Save</button></form>");
}

static void
view_filters(struct sl_view *v)
{
    sl_html(v->h,
            "<form class=\"filters\" method=\"get\" data-filter=\"list\" role=\"search\">"
            "<label class=\"grow\"><span class=\"sr\">Search tables</span><input type=\"search\" "
            "name=\"q\" placeholder=\"Search tables\" value=\"%s\" data-key=\"/\"></label>"
            "<button class=\"quiet\" data-noscript>Search</button>",
            sl_param_get(v->c, "q"));
    if (sl_may(v, SL_ROLE_OPERATOR))
        sl_html(v->h,
                "<button type=\"button\" class=\"quiet\" "
                "data-call=\"POST /v1/connections/%s/schemas/reload\" "
                "data-said=\"The tables were read from the connector again\">Reload</button>",
                connection_url(v));
    sl_html(v->h, "</form>");
}

/* The address of this list with the columns of a table opened. */
static const char *
table_link(struct sl_view *v, const json_t *t)
{
    const char *q = sl_param_get(v->c, "q"), *page = sl_param_get(v->c, "page");
    struct sl_arena *a = &v->c->arena;
    struct sl_buf link;
    const char *text;

    sl_buf_init(&link, MIB);
    sl_buf_addf(&link, "schema?schema=%s&table=%s", sl_url(a, sl_at_text(t, "schema")),
                sl_url(a, sl_at_text(t, "table")));
    if (q != NULL && q[0] != '\0')
        sl_buf_addf(&link, "&q=%s", sl_url(a, q));
    if (page != NULL && page[0] != '\0')
        sl_buf_addf(&link, "&page=%s", sl_url(a, page));
    sl_buf_add(&link, "#table");
    text = sl_arena_dup(a, link.ptr, link.len);
    sl_buf_free(&link);
    return text;
}

static void
view_row(struct sl_view *v, const json_t *t)
{
    const json_t *key;
    size_t i;

    sl_html(v->h, "<tr><td>");
    view_switch(v, sl_at_text(t, "table"), sl_at_true(t, "enabled"),
                json_pack("{s:{s:{s:{s:{s:b}}}}}", "schemas", sl_at_text(t, "schema"), "tables",
                          sl_at_text(t, "table"), "enabled", (int)!sl_at_true(t, "enabled")));
    sl_html(v->h, "</td><th scope=\"row\"><a href=\"%s\">%s</a>", table_link(v, t),
            sl_at_text(t, "table"));
    if (is_waiting(v, t))
        sl_html(v->h, " <span class=\"tag\">re-sync asked for</span>");
    sl_html(v->h, "</th><td class=\"wide\">%s.%s</td><td class=\"wide\">",
            sl_at_text(t, "schema_in_destination"), sl_at_text(t, "table_in_destination"));
    json_array_foreach(sl_at(t, "keys"), i, key)
        sl_html(v->h, "%s%s", i > 0 ? ", " : "", json_string_value(key));
    sl_html(v->h, "</td><td class=\"num\">%lld</td><td class=\"num\">",
            (long long)sl_at_int(t, "columns"));
    view_count(v, t);
    sl_html(v->h, "</td><td>");
    view_resync(v, t);
    sl_html(v->h, "</td></tr>");
}

static void
view_list(struct sl_view *v)
{
    const json_t *t;
    size_t i;

    sl_html(v->h,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Tables\"><table "
            "class=\"list\"><thead><tr><th scope=\"col\">Synced</th><th scope=\"col\">Table"
            "</th><th scope=\"col\" class=\"wide\">In the warehouse</th><th scope=\"col\" "
            "class=\"wide\">Key"
            "</th><th scope=\"col\" class=\"num\">Columns</th><th scope=\"col\" class=\"num\">"
            "Rows</th><th scope=\"col\"><span class=\"sr\">Actions</span></th></tr></thead>"
            "<tbody>");
    json_array_foreach(sl_at(v->m, "tab.tables"), i, t) view_row(v, t);
    sl_html(v->h, "</tbody></table></div>");
    sl_part_pages(v, sl_at_int(v->m, "tab.page"), sl_at_int(v->m, "tab.pages"));
}

static void
view_none(struct sl_view *v)
{
    if (sl_at_int(v->m, "tab.total") > 0)
        sl_html(v->h, "<p class=\"empty\">No table has “%s” in its name.</p>",
                sl_param_get(v->c, "q"));
    else
        sl_html(v->h, "<div class=\"empty\"><p>No table is known yet. The setup tests find those "
                      "that schema() declares, the first sync all others.</p></div>");
}

void
sl_tab_schema_view(struct sl_view *v)
{
    int64_t found = sl_at_int(v->m, "tab.found"), total = sl_at_int(v->m, "tab.total");

    if (total > 0)
        view_filters(v);
    sl_html(v->h, "<div id=\"schema\" data-live%s>",
            sl_at_true(v->m, "tab.counted") || found == 0 ? "" : " data-count");
    if (json_is_object(sl_at(v->m, "tab.table")))
        view_table(v, sl_at(v->m, "tab.table"));
    if (found == 0) {
        view_none(v);
    } else {
        sl_html(v->h, "<p class=\"dim\">");
        sl_html_number(v->h, found);
        sl_html(v->h, found == 1 ? " table" : " tables");
        if (found != total) {
            sl_html(v->h, " of ");
            sl_html_number(v->h, total);
        }
        sl_html(v->h, "</p>");
        view_list(v);
        view_policy(v);
    }
    sl_html(v->h, "</div>");
}
