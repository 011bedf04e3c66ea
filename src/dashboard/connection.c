/* connection.c - one connection: what stands above its tabs, and which tabs there are. */
#include "api/api.h"
#include "api/connections.h"
#include "base/time.h"
#include "dashboard/dashboard.h"
#include "dashboard/tab.h"

#include <stdio.h>

static const struct sl_tab tabs[] = {
    { "status", "Status", sl_tab_status_model, sl_tab_status_view, NULL },
    { "logs", "Connector SDK logs", sl_tab_logs_model, sl_tab_logs_view, "logs.js" },
    { "schema", "Schema", sl_tab_schema_model, sl_tab_schema_view, "schema.js" },
    { "data", "Data", sl_tab_data_model, sl_tab_data_view, NULL },
    { "usage", "Usage", sl_tab_usage_model, sl_tab_usage_view, NULL },
    { "setup", "Setup", sl_tab_setup_model, sl_tab_setup_view, "setup.js" },
};
#define NTABS (sizeof tabs / sizeof tabs[0])

/* ---- the head ---- */

static void
view_toggle(struct sl_view *v, const char *id)
{
    bool paused = sl_at_true(v->m, "connection.paused");

    if (!sl_may(v, SL_ROLE_OPERATOR))
        return;
    sl_html(v->h,
            "<button type=\"button\" role=\"switch\" class=\"switch\" aria-checked=\"%s\" "
            "aria-label=\"Enabled\" "
            "data-call=\"PATCH /v1/connections/%s\" data-body='{\"paused\":%s}' "
            "data-said=\"%s\"><span>%s</span></button>",
            paused ? "false" : "true", sl_url(&v->c->arena, id), paused ? "false" : "true",
            paused ? "Enabled" : "Paused", paused ? "Paused" : "Enabled");
}

static void
view_buttons(struct sl_view *v, const char *id)
{
    const char *status = sl_at_text(v->m, "connection.display_status");
    bool first = json_is_null(sl_at(v->m, "connection.succeeded_at"));
    const char *url = sl_url(&v->c->arena, id);

    if (!sl_may(v, SL_ROLE_OPERATOR))
        return;
    if (strcmp(status, "Syncing") == 0)
        sl_html(v->h,
                "<button type=\"button\" data-call=\"POST /v1/connections/%s/cancel\" "
                "data-said=\"The sync was canceled\">Cancel sync</button>",
                url);
    else if (strcmp(status, "Setup pending") != 0)
        sl_html(v->h,
                "<button type=\"button\" class=\"%s\" data-call=\"POST /v1/connections/%s/sync\" "
                "data-said=\"The sync was started\">%s</button>",
                first ? "primary" : "", url, first ? "Start initial sync" : "Sync now");
}

static void
view_head(struct sl_view *v)
{
    const char *id = sl_at_text(v->m, "connection.id");

    sl_html(v->h,
            "<nav class=\"crumbs\" aria-label=\"Above\"><a "
            "href=\"/dashboard/connections\">Connections</a></nav>"
            "<div class=\"title\" id=\"head\" data-live><div><h1>%s</h1><p>",
            sl_at_text(v->m, "connection.schema"));
    sl_part_health(v->h, sl_at_text(v->m, "connection.display_status"),
                   sl_at_int(v->m, "connection.failures_in_a_row"), "");
    sl_html(v->h, " <span class=\"dim\">to %s · %s</span></p></div><div class=\"buttons\">",
            sl_at_text(v->m, "destination"), id);
    view_buttons(v, id);
    view_toggle(v, id);
    sl_html(v->h, "</div></div>");
}

static void
view_tabs(struct sl_view *v, const struct sl_tab *here)
{
    const char *id = sl_url(&v->c->arena, sl_at_text(v->m, "connection.id"));

    sl_html(v->h, "<nav class=\"tabs\" aria-label=\"Connection\">");
    for (size_t i = 0; i < NTABS; i++)
        if (tabs[i].view != NULL)
            sl_html(v->h, "<a href=\"/dashboard/connections/%s/%s\"%s>%s</a>", id, tabs[i].word,
                    &tabs[i] == here ? " aria-current=page" : "", tabs[i].label);
    sl_html(v->h, "</nav>");
}

static const struct sl_tab *
tab_of(const char *word)
{
    for (size_t i = 0; i < NTABS; i++)
        if (tabs[i].view != NULL && strcmp(tabs[i].word, word) == 0)
            return &tabs[i];
    return NULL;
}

static void
view(struct sl_view *v)
{
    const struct sl_tab *tab = tab_of(v->c->args[1]);

    view_head(v);
    view_tabs(v, tab);
    tab->view(v);
}

/* ---- the page ---- */

/* "UTC+3": what times of day are meant in, as set at the destination. */
static json_t *
zone_of(struct sl_call *c, const char *destination)
{
    struct sl_destination d = { 0 };
    const char *hours = "0";
    json_t *zone;

    if (sl_store_get(c->sv->pf->store, SL_K_DESTINATION, destination, &d, NULL))
        memset(&d, 0, sizeof d);
    if (d.time_zone_offset != NULL && d.time_zone_offset[0] != '\0')
        hours = d.time_zone_offset;
    zone = strcmp(hours, "0") == 0
               ? json_string("UTC")
               : json_sprintf("UTC%s%.6s", strchr("+-", hours[0]) ? "" : "+", hours);
    sl_record_free(SL_K_DESTINATION, &d);
    return zone;
}

static json_t *
make_model(struct sl_call *c, const struct sl_tab *tab)
{
    json_t *con = sl_answer_of(c, sl_api_connection_get, NULL), *part = NULL;
    struct sl_group g = { 0 };
    char title[160];

    if (con == NULL)
        return NULL;
    part = tab->model(c);
    if (part == NULL) {
        json_decref(con);
        return NULL;
    }
    if (sl_store_get(c->sv->pf->store, SL_K_GROUP, sl_at_text(con, "group_id"), &g, NULL))
        memset(&g, 0, sizeof g);
    snprintf(title, sizeof title, "%s - %s", sl_at_text(con, "schema"), tab->label);
    con = json_pack("{s:s, s:o, s:o, s:o, s:o}", "title", title, "destination",
                    sl_json_text(g.name), "zone", zone_of(c, sl_at_text(con, "group_id")),
                    "connection", con, "tab", part);
    sl_record_free(SL_K_GROUP, &g);
    return con;
}

void
sl_page_connection(struct sl_call *c)
{
    const struct sl_tab *tab = tab_of(c->args[1]);
    struct sl_page page = { .nav = "/dashboard/connections", .view = view };

    if (tab == NULL) {
        sl_refuse(c, 404, "NotFound", "A connection has no tab '%.40s'", c->args[1]);
        return;
    }
    page.script = tab->script;
    sl_page_show(c, &page, make_model(c, tab));
}

void
sl_page_connection_home(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    char where[512];

    if (!sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return;
    snprintf(where, sizeof where, "/dashboard/connections/%s/%s", sl_url(&c->arena, con.id),
             strcmp(sl_connection_status(&con, sl_now_us()), "Setup pending") == 0 ? "setup"
                                                                                   : "status");
    sl_record_free(SL_K_CONNECTION, &con);
    sl_redirect(c, where);
}
