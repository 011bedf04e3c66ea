/* tab_logs.c - what the connector and the server said: the newest lines, oldest of them first. */
#include "api/api.h"
#include "dashboard/tab.h"

#include <stdio.h>

#define SHOWN "200"
/* Of one line, without scripts: the API has it whole. */
#define LINE_MAX_BYTES 2000

static const char *const levels[][2] = {
    { "", "All levels" },
    { "WARNING", "Warnings and worse" },
    { "SEVERE", "Errors" },
};

static const char *
filter(struct sl_call *c, const char *name)
{
    const char *value = sl_param_get(c, name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

/* The sync whose lines are asked for can be chosen even when it is an old one. */
static void
add_asked_for(struct sl_call *c, json_t *syncs)
{
    const char *id = filter(c, "sync_id");
    json_t *items = json_object_get(syncs, "items"), *one;
    struct sl_sync_record r = { 0 };
    size_t i;

    json_array_foreach(items, i,
                       one) if (id != NULL && strcmp(sl_at_text(one, "sync_id"), id) == 0) return;
    if (id == NULL || sl_store_get(c->sv->pf->store, SL_K_SYNC, id, &r, NULL))
        return;
    if (strcmp(r.connection_id, c->args[0]) == 0)
        json_array_append_new(items,
                              json_pack("{s:s, s:I, s:o, s:o}", "sync_id", r.id, "number",
                                        (json_int_t)r.number, "status", sl_json_text(r.status),
                                        "start_time", sl_json_time(r.started_at)));
    sl_record_free(SL_K_SYNC, &r);
}

json_t *
sl_tab_logs_model(struct sl_call *c)
{
    const char *const names[] = { "level", "sync_id", "q", "cursor" };
    const char *pairs[2 * 4 + 1] = { NULL };
    json_t *lines, *syncs;
    int n = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *value = filter(c, names[i]);

        if (value != NULL) {
            pairs[n++] = names[i];
            pairs[n++] = value;
        }
    }
    lines = sl_answer_of(c, sl_api_logs, "limit", SHOWN, "order", "desc", pairs[0], pairs[1],
                         pairs[2], pairs[3], pairs[4], pairs[5], pairs[6], pairs[7], NULL);
    syncs = lines != NULL ? sl_answer_of(c, sl_api_syncs, "limit", "50", NULL) : NULL;
    if (syncs == NULL) {
        json_decref(lines);
        return NULL;
    }
    add_asked_for(c, syncs);
    return json_pack("{s:o, s:o}", "lines", lines, "syncs", syncs);
}

/* ---- the view ---- */

static void
view_levels(struct sl_view *v)
{
    const char *now = filter(v->c, "level");

    sl_html(v->h, "<label class=\"inline\"><span class=\"sr\">Level</span><select name=\"level\">");
    for (size_t i = 0; i < sizeof levels / sizeof levels[0]; i++)
        sl_html(v->h, "<option value=\"%s\"%s>%s</option>", levels[i][0],
                now != NULL && strcmp(now, levels[i][0]) == 0 ? " selected" : "", levels[i][1]);
    sl_html(v->h, "</select></label>");
}

static void
view_syncs(struct sl_view *v)
{
    const char *now = filter(v->c, "sync_id");
    const json_t *s;
    size_t i;

    sl_html(v->h, "<label class=\"inline\"><span class=\"sr\">Sync</span><select name=\"sync_id\">"
                  "<option value=\"\">All syncs</option>");
    json_array_foreach(sl_at(v->m, "tab.syncs.items"), i, s)
    {
        const char *id = sl_at_text(s, "sync_id"), *at = sl_at_text(s, "start_time");

        sl_html(v->h, "<option value=\"%s\" data-time=\"%s\"%s>Sync %lld%s</option>", id, at,
                now != NULL && strcmp(now, id) == 0 ? " selected" : "",
                (long long)sl_at_int(s, "number"),
                strncmp(sl_at_text(s, "status"), "FAILURE", 7) == 0 ? " (failed)" : "");
    }
    sl_html(v->h, "</select></label>");
}

/* What is shown, as a file. */
static void
view_download(struct sl_view *v)
{
    static const char *const names[] = { "level", "sync_id", "q" };

    sl_html(v->h,
            "<a class=\"button quiet\" id=\"log-download\" download href=\"/v1/connections/%s/"
            "logs?download=true",
            sl_url(&v->c->arena, sl_at_text(v->m, "connection.id")));
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (filter(v->c, names[i]) != NULL)
            sl_html(v->h, "&amp;%s=%s", names[i], sl_url(&v->c->arena, filter(v->c, names[i])));
    sl_html(v->h, "\">Download</a>");
}

static void
view_filters(struct sl_view *v)
{
    sl_html(v->h, "<form class=\"filters\" method=\"get\" data-filter=\"log\" role=\"search\">");
    view_levels(v);
    view_syncs(v);
    sl_html(v->h,
            "<label class=\"grow\"><span class=\"sr\">Search in the log</span><input "
            "type=\"search\" name=\"q\" "
            "placeholder=\"Search in the log\" value=\"%s\" data-key=\"/\"></label>"
            "<button class=\"quiet\" data-noscript>Search</button>",
            filter(v->c, "q"));
    view_download(v);
    sl_html(v->h, "</form>");
}

static void
view_line(struct sl_view *v, const json_t *line)
{
    char text[LINE_MAX_BYTES + 1];

    snprintf(text, sizeof text, "%s", sl_at_text(line, "message"));
    sl_html(v->h, "<li id=\"L%lld\" data-level=\"%s\"><span class=\"dim\">",
            (long long)sl_at_int(line, "number"), sl_at_text(line, "level"));
    sl_html_time(v->h, sl_at(line, "time"), "clock", "");
    sl_html(v->h, "</span> <b>%s</b> <span>%s</span></li>", sl_at_text(line, "level"), text);
}

void
sl_tab_logs_view(struct sl_view *v)
{
    const json_t *lines = sl_at(v->m, "tab.lines.items");
    size_t n = json_array_size(lines);

    view_filters(v);
    sl_html(
        v->h,
        "<div id=\"log\" class=\"log\" data-live tabindex=\"0\" role=\"log\" aria-label=\"Log\" "
        "aria-live=\"off\" data-connection=\"%s\">",
        sl_at_text(v->m, "connection.id"));
    if (n == 0)
        sl_html(v->h, "<p class=\"empty\">No line %s.</p>",
                filter(v->c, "q") || filter(v->c, "level") || filter(v->c, "sync_id")
                    ? "matches"
                    : "yet: the first sync writes some");
    sl_html(v->h, "<ol>");
    while (n > 0)
        view_line(v, json_array_get(lines, --n));
    sl_html(v->h, "</ol>");
    sl_part_more(v, "tab.lines.next_cursor", "Older lines");
    sl_html(v->h, "</div>");
}
