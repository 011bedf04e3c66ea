/* alerts.c - what a person should look at, why, and what mends it. */
#include "api/api.h"
#include "base/time.h"
#include "dashboard/dashboard.h"
#include "dashboard/page.h"

int64_t
sl_alerts_count(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_DESTINATION, .where = { { "setup_status", "broken" } } };
    struct sl_list none = { .kind = SL_K_CONNECTION };
    int64_t connections = 0, destinations = 0;

    if (sl_store_alerts(c->sv->pf->store, sl_now_us(), 0, &none, &connections, NULL) ||
        sl_store_count(c->sv->pf->store, &q, &destinations, NULL))
        return 0; /* the page itself will say so */
    return connections + destinations;
}

static const struct {
    const char *kind, *label;
} kinds[] = {
    { "broken", "Broken" },           { "failing", "Failing" },
    { "delayed", "Delayed" },         { "rescheduled", "Rescheduled repeatedly" },
    { "destination", "Destination" }, { "setup_pending", "Setup pending" },
};

static const char *
label_of(const char *kind)
{
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++)
        if (strcmp(kinds[i].kind, kind) == 0)
            return kinds[i].label;
    return kind;
}

static void
view_alert(struct sl_view *v, const json_t *a)
{
    const char *id = sl_url(&v->c->arena, sl_at_text(a, "subject_id"));
    bool failing = strcmp(sl_at_text(a, "kind"), "failing") == 0;
    bool connection = strcmp(sl_at_text(a, "subject_kind"), "connection") == 0;
    bool pending = strcmp(sl_at_text(a, "kind"), "setup_pending") == 0;

    sl_html(v->h,
            "<li class=\"card alert\" data-kind=\"%s\"><h2><a href=\"/dashboard/%s/%s%s\">%s"
            "</a></h2><p>",
            sl_at_text(a, "kind"), connection ? "connections" : "destinations", id,
            !connection ? ""
            : pending   ? "/setup"
                        : "/status",
            sl_at_text(a, "name"));
    sl_html(v->h, "<span class=\"status\" data-status=\"%s\">%s</span> <span class=\"dim\">",
            failing ? "Failed" : sl_at_text(a, "status"), label_of(sl_at_text(a, "kind")));
    sl_html_time(v->h, sl_at(a, "since"), "ago", "");
    sl_html(v->h, "</span></p><p>%s</p><p><b>What to do:</b> %s</p>", sl_at_text(a, "cause"),
            sl_at_text(a, "fix"));
    if (connection) {
        sl_html(v->h, "<p>");
        if (!pending)
            sl_html(v->h, "<a href=\"/dashboard/connections/%s/logs\">Its log</a> · ", id);
        sl_html(v->h, "<a href=\"/dashboard/connections/%s/setup\">Its setup</a></p>", id);
    }
    sl_html(v->h, "</li>");
}

static void
view(struct sl_view *v)
{
    const json_t *items = sl_at(v->m, "items"), *a;
    int64_t count = sl_at_int(v->m, "count");
    size_t i;

    sl_html(v->h, "<div class=\"title\"><h1>Alerts</h1></div><div id=\"alerts\" data-live>");
    if (count == 0)
        sl_html(v->h, "<div class=\"empty\"><h2>All is well</h2><p>Connections that are broken, "
                      "fail, come too late, or wait for their setup appear here.</p></div>");
    if (count > (int64_t)json_array_size(items))
        sl_html(v->h, "<p class=\"note\">%lld in all; the first %zu are shown.</p>",
                (long long)count, json_array_size(items));
    sl_html(v->h, "<ul class=\"plain\">");
    json_array_foreach(items, i, a) view_alert(v, a);
    sl_html(v->h, "</ul></div>");
}

void
sl_page_alerts(struct sl_call *c)
{
    static const struct sl_page page = { .nav = "/dashboard/alerts", .view = view };
    json_t *m = sl_answer_of(c, sl_api_alerts, NULL);

    if (m != NULL)
        json_object_set_new(m, "title", json_string("Alerts"));
    sl_page_show(c, &page, m);
}
