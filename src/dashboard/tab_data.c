/* tab_data.c - the first rows of a table, as the warehouse has them. ?at=["schema","table"], named as in the source. */
#include "api/api.h"
#include "api/data.h"
#include "dashboard/tab.h"

#include <stdlib.h>
#include <strings.h>

#define ROWS 50
/* Tables to choose from; the schema tab finds any other. */
#define CHOICES 500

/* ---- the model ---- */

static json_t *
pair(const char *schema, const char *table)
{
    return json_pack("{s:s, s:s}", "schema", schema, "table", table);
}

/* The table that is asked for; null: none is. */
static json_t *
asked_for(struct sl_call *c)
{
    const char *at = sl_param_get(c, "at");
    json_t *names = at != NULL ? json_loads(at, 0, NULL) : NULL, *found;
    const char *schema = json_string_value(json_array_get(names, 0));
    const char *table = json_string_value(json_array_get(names, 1));

    found = schema != NULL && table != NULL ? pair(schema, table) : json_null();
    json_decref(names);
    return found;
}

static json_t *
tables_of(const json_t *catalog)
{
    json_t *list = json_array(), *schema, *table;
    const char *s, *t;

    json_object_foreach(json_object_get(catalog, "schemas"), s, schema)
        json_object_foreach(json_object_get(schema, "tables"), t, table)
    {
        if (json_array_size(list) < CHOICES)
            json_array_append_new(list, pair(s, t));
    }
    return list;
}

/* Into the model: the rows, or the sentence why there are none. */
static void
add_rows(struct sl_call *c, const struct sl_connection *con, json_t *model)
{
    const char *schema = sl_at_text(model, "at.schema"), *table = sl_at_text(model, "at.table");
    struct sl_err err = { 0 };
    json_t *rows = NULL;

    if (c->role < SL_ROLE_OPERATOR)
        sl_fail(&err, SL_E_PERMISSION,
                "Rows are shown to operators and administrators: ask one of them for the role");
    else if (json_is_object(json_object_get(model, "at")) &&
             sl_data_rows(c, con, schema, table, ROWS, &rows, &err))
        rows = NULL;
    json_object_set_new(model, "rows", rows != NULL ? rows : json_null());
    json_object_set_new(model, "problem", err.code ? sl_json_text(err.text) : json_null());
}

json_t *
sl_tab_data_model(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    json_t *model = NULL, *catalog, *at, *tables;

    if (!sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return NULL;
    catalog = sl_json_stored(con.catalog, "{}");
    tables = tables_of(catalog);
    at = asked_for(c);
    if (json_is_null(at) && json_array_size(tables) > 0)
        at = json_incref(json_array_get(tables, 0));
    model = json_pack("{s:o, s:o}", "tables", tables, "at", at);
    add_rows(c, &con, model);
    json_decref(catalog);
    sl_record_free(SL_K_CONNECTION, &con);
    return model;
}

/* ---- the view ---- */

static void
view_choice(struct sl_view *v, const json_t *t, bool chosen)
{
    json_t *names = json_pack("[s, s]", sl_at_text(t, "schema"), sl_at_text(t, "table"));
    char *text = sl_json_dump(names);

    sl_html(v->h, "<option value=\"%s\"%s>%s.%s</option>", text, chosen ? " selected" : "",
            sl_at_text(t, "schema"), sl_at_text(t, "table"));
    free(text);
    json_decref(names);
}

static void
view_choices(struct sl_view *v)
{
    const json_t *at = sl_at(v->m, "tab.at"), *t;
    bool there = false;
    size_t i;

    sl_html(v->h, "<form class=\"filters\" method=\"get\" data-filter=\"list\"><label "
                  "class=\"inline\">Table <select name=\"at\">");
    json_array_foreach(sl_at(v->m, "tab.tables"), i, t)
    {
        bool chosen = json_equal(t, at);

        there |= chosen;
        view_choice(v, t, chosen);
    }
    if (!there)
        view_choice(v, at, true);
    sl_html(v->h, "</select></label><button class=\"quiet\" data-noscript>Show</button>");
    if (i == CHOICES)
        sl_html(v->h, "<span class=\"dim\">More are in the <a href=\"schema\">schema</a></span>");
    sl_html(v->h, "</form>");
}

/* By the names of DuckDB and of PostgreSQL. */
static bool
is_number(const char *type)
{
    static const char *const names[] = {
        "TINYINT",  "SMALLINT", "INTEGER", "BIGINT",  "HUGEINT", "UTINYINT", "USMALLINT", "UBIGINT",
        "UINTEGER", "UHUGEINT", "DECIMAL", "NUMERIC", "DOUBLE",  "FLOAT",    "REAL",
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncasecmp(type, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void
view_cell(struct sl_view *v, const json_t *cell, const char *type)
{
    bool number = is_number(type);

    if (json_is_null(cell))
        sl_html(v->h, "<td class=\"dim\">NULL</td>");
    else
        sl_html(v->h, "<td class=\"%s\"><div>%s</div></td>", number ? "num" : "",
                json_string_value(cell));
}

/* Whether the cell of the column _fivetran_deleted says so. */
static bool
is_deleted(const json_t *columns, const json_t *row)
{
    const json_t *col;
    size_t i;

    json_array_foreach(columns, i, col)
    {
        const char *cell = json_string_value(json_array_get(row, i));

        if (strcmp(sl_at_text(col, "name"), "_fivetran_deleted") == 0)
            return cell != NULL && strcmp(cell, "true") == 0;
    }
    return false;
}

static void
view_row(struct sl_view *v, const json_t *columns, const json_t *row)
{
    const json_t *cell;
    size_t i;

    sl_html(v->h, is_deleted(columns, row) ? "<tr class=\"gone\">" : "<tr>");
    json_array_foreach(row, i, cell)
        view_cell(v, cell, sl_at_text(json_array_get(columns, i), "type"));
    sl_html(v->h, "</tr>");
}

static void
view_counts(struct sl_view *v, size_t shown)
{
    int64_t rows = sl_at_int(v->m, "tab.rows.total_rows"),
            live = sl_at_int(v->m, "tab.rows.live_rows");

    sl_html(v->h, "<p class=\"dim\">");
    if ((int64_t)shown < rows)
        sl_html(v->h, "The first %zu of ", shown);
    if (sl_at_true(v->m, "tab.rows.estimated"))
        sl_html(v->h, "about ");
    sl_html_number(v->h, rows);
    sl_html(v->h, rows == 1 ? " row" : " rows");
    if (live != rows) {
        sl_html(v->h, ", ");
        sl_html_number(v->h, rows - live);
        sl_html(v->h, " of them marked as deleted");
    }
    sl_html(v->h, " in %s.%s</p>", sl_at_text(v->m, "tab.rows.name_in_destination.schema"),
            sl_at_text(v->m, "tab.rows.name_in_destination.table"));
}

static void
view_rows(struct sl_view *v)
{
    const json_t *columns = sl_at(v->m, "tab.rows.columns"), *rows = sl_at(v->m, "tab.rows.rows"),
                 *one;
    size_t i;

    view_counts(v, json_array_size(rows));
    sl_html(v->h, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Rows\"><table "
                  "class=\"list rows\"><thead><tr>");
    json_array_foreach(columns, i, one)
    {
        sl_html(v->h, "<th scope=\"col\">%s", sl_at_text(one, "name"));
        if (sl_at_true(one, "key"))
            sl_html(v->h, " <span class=\"tag\">key</span>");
        sl_html(v->h, "<br><span class=\"dim\">%s</span></th>", sl_at_text(one, "type"));
    }
    sl_html(v->h, "</tr></thead><tbody>");
    json_array_foreach(rows, i, one) view_row(v, columns, one);
    sl_html(v->h, "</tbody></table></div>");
}

void
sl_tab_data_view(struct sl_view *v)
{
    bool any = json_array_size(sl_at(v->m, "tab.tables")) > 0;

    if (any)
        view_choices(v);
    sl_html(v->h, "<div id=\"data\" data-live>");
    if (sl_at_text(v->m, "tab.problem")[0] != '\0')
        sl_html(v->h, "<p class=\"empty\">%s.</p>", sl_at_text(v->m, "tab.problem"));
    else if (!any)
        sl_html(v->h, "<p class=\"empty\">No table is known yet: the first sync brings rows.</p>");
    else
        view_rows(v);
    sl_html(v->h, "</div>");
}
