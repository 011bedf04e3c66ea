/* tab_status.c - what a connection does now, did, and will do; and who told it to. */
#include "api/api.h"
#include "dashboard/chart.h"
#include "dashboard/tab.h"

#include <stdlib.h>

#define SHOWN "30"

/* ---- the model ---- */

static json_t *
running_now(struct sl_call *c)
{
    json_t *all = sl_worker_running(c->sv->w), *one, *found = json_null();
    size_t i;

    json_array_foreach(all, i, one)
    {
        if (strcmp(sl_at_text(one, "connection_id"), c->args[0]) != 0)
            continue;
        found = json_deep_copy(one);
        json_object_set_new(found, "started_at", sl_json_time(sl_at_int(one, "started_at")));
    }
    json_decref(all);
    return found;
}

json_t *
sl_tab_status_model(struct sl_call *c)
{
    const char *cursor = sl_param_get(c, "cursor");
    json_t *syncs = sl_answer_of(c, sl_api_syncs, "limit", SHOWN, cursor ? "cursor" : NULL, cursor,
                                 NULL);
    json_t *activity = syncs != NULL
                           ? sl_answer_of(c, sl_api_connection_activity, "limit", "12", NULL)
                           : NULL;

    if (activity == NULL) {
        json_decref(syncs);
        return NULL;
    }
    return json_pack("{s:o, s:o, s:o}", "running", running_now(c), "syncs", syncs, "activity",
                     activity);
}

/* ---- now ---- */

static const json_t *
latest(const struct sl_view *v)
{
    return json_array_get(sl_at(v->m, "tab.syncs.items"), 0);
}

static bool
has_failed(const json_t *sync)
{
    return strncmp(sl_at_text(sync, "status"), "FAILURE", 7) == 0;
}

static void
view_problem(struct sl_view *v, const char *title, const char *text, const char *hint)
{
    sl_html(v->h, "<div class=\"note bad\"><h2>%s</h2><p>%s</p>", title, text);
    if (hint[0] != '\0')
        sl_html(v->h, "<p><b>What to do:</b> %s</p>", hint);
    sl_html(v->h, "</div>");
}

/* Why a connection is not what it should be, and what mends it. */
static void
view_problems(struct sl_view *v)
{
    const char *status = sl_at_text(v->m, "connection.display_status");
    const json_t *test, *last = latest(v);
    size_t i;

    if (strcmp(status, "Setup pending") == 0) {
        bool told = false;

        json_array_foreach(sl_at(v->m, "connection.setup_tests"), i, test)
        {
            if (told || strstr(sl_at_text(test, "status"), "FAILED") == NULL)
                continue;
            view_problem(v, "Setup is not finished", sl_at_text(test, "message"),
                         sl_at_text(test, "details"));
            told = true;
        }
        if (!told)
            view_problem(v, "Setup is not finished",
                         "The setup of this connection was not tested yet.", "");
        sl_html(v->h, "<p><a class=\"button primary\" href=\"setup\">Go on with the setup</a></p>");
        return;
    }
    if (last != NULL && has_failed(last))
        view_problem(v, "The last sync failed", sl_at_text(last, "reason"),
                     sl_at_text(last, "hint"));
}

static void
view_running(struct sl_view *v, const json_t *running)
{
    sl_html(
        v->h,
        "<div class=\"card live\"><h2>Syncing now</h2><p class=\"big\" data-progress=\"%s\">%s, ",
        sl_at_text(running, "connection_id"), sl_at_text(running, "stage"));
    sl_html_number(v->h, sl_at_int(running, "rows"));
    sl_html(v->h, " rows</p><p class=\"dim\">since ");
    sl_html_time(v->h, sl_at(running, "started_at"), "clock", "");
    sl_html(v->h, "</p></div>");
}

static void
view_next(struct sl_view *v)
{
    sl_html(v->h, "<div class=\"card\"><h2>Next sync</h2><p class=\"big\">");
    if (sl_at_true(v->m, "connection.paused"))
        sl_html(v->h, "Paused");
    else
        sl_html_time(v->h, sl_at(v->m, "connection.next_sync_at"), "ago", "none planned");
    sl_html(v->h, "</p><p class=\"dim\">");
    sl_part_schedule(v);
    sl_html(v->h, "</p></div>");
}

static void
view_last(struct sl_view *v)
{
    bool good = sl_at_int(v->m, "connection.failures_in_a_row") == 0;

    sl_html(v->h, "<div class=\"card\"><h2>Last successful sync</h2><p class=\"big\">");
    sl_html_time(v->h, sl_at(v->m, "connection.succeeded_at"), "ago", "never");
    sl_html(v->h, "</p><p class=\"%s\">", good ? "dim" : "bad");
    if (good)
        sl_html_time(v->h, sl_at(v->m, "connection.succeeded_at"), "full",
                     "It starts with the first sync");
    else
        sl_html(v->h, "%lld failed since",
                (long long)sl_at_int(v->m, "connection.failures_in_a_row"));
    sl_html(v->h, "</p></div>");
}

/* ---- history ---- */

static const struct {
    const char *name, *label, *word;
} stages[] = {
    { "environment", "Environment", "environment" },
    { "connector", "Connector", "connector" },
    { "engine", "Engine", "engine" },
    { "destination", "Warehouse", "warehouse" },
};

static const struct {
    const char *name, *label;
} counts[] = {
    { "inserted", "inserted" },
    { "updated", "updated" },
    { "deleted", "deleted" },
    { "unchanged", "unchanged" },
};

static void
view_tables(struct sl_view *v, const json_t *sync)
{
    const json_t *tables = sl_at(sync, "tables"), *t;
    size_t i;

    if (json_array_size(tables) == 0)
        return;
    sl_html(v->h, "<table class=\"small\" tabindex=\"0\"><thead><tr><th scope=\"col\">Table</th>");
    for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++)
        sl_html(v->h, "<th scope=\"col\" class=\"num\">%s</th>", counts[k].label);
    sl_html(v->h, "</tr></thead><tbody>");
    json_array_foreach(tables, i, t)
    {
        sl_html(v->h, "<tr><th scope=\"row\">%s</th>", sl_at_text(t, "table"));
        for (size_t k = 0; k < sizeof counts / sizeof counts[0]; k++) {
            sl_html(v->h, "<td class=\"num\">");
            sl_html_number(v->h,
                           json_integer_value(json_object_get(
                               json_object_get(t, "counts") ? json_object_get(t, "counts") : t,
                               counts[k].name)));
            sl_html(v->h, "</td>");
        }
        sl_html(v->h, "</tr>");
    }
    sl_html(v->h, "</tbody></table>");
}

static int64_t
duration(const json_t *sync)
{
    int64_t from = 0, to = 0;

    if (!sl_time_parse(sl_at_text(sync, "start_time"), &from) ||
        !sl_time_parse(sl_at_text(sync, "end_time"), &to))
        return -1;
    return to - from;
}

static const char *
word_of(const char *status)
{
    static const char *const words[][2] = {
        { "SUCCESSFUL", "Successful" }, { "FAILURE_WITH_TASK", "Failed" }, { "FAILURE", "Failed" },
        { "CANCELED", "Canceled" },     { "RESCHEDULED", "Rescheduled" },  { "RUNNING", "Syncing" },
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i][0], status) == 0)
            return words[i][1];
    return status;
}

static void
view_failure(struct sl_view *v, const json_t *sync)
{
    static const char *const texts[] = { "detail.traceback", "detail.output" };

    if (sl_at_text(sync, "reason")[0] == '\0')
        return;
    sl_html(v->h, "<div class=\"note%s\"><p><b>%s</b></p>", has_failed(sync) ? " bad" : "",
            sl_at_text(sync, "reason"));
    if (sl_at_text(sync, "hint")[0] != '\0')
        sl_html(v->h, "<p>What to do: %s</p>", sl_at_text(sync, "hint"));
    sl_html(v->h, "</div>");
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (sl_at_text(sync, texts[i])[0] != '\0')
            sl_html(v->h, "<pre tabindex=\"0\">%s</pre>", sl_at_text(sync, texts[i]));
}

static void
view_stages(struct sl_view *v, const json_t *sync)
{
    sl_chart_stages(v->h, sl_at(sync, "stages"));
    sl_html(v->h, "<dl class=\"facts\">");
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        sl_html(v->h, "<div data-stage=\"%s\"><dt>%s</dt><dd>", stages[i].name, stages[i].label);
        sl_html_duration(
            v->h, json_integer_value(json_object_get(sl_at(sync, "stages"), stages[i].name)));
        sl_html(v->h, "</dd></div>");
    }
    sl_html(v->h, "<div><dt>Peak memory</dt><dd>");
    sl_html_bytes(v->h, sl_at_int(sync, "peak_memory"));
    sl_html(v->h, "</dd></div><div><dt>Received</dt><dd>");
    sl_html_bytes(v->h, sl_at_int(sync, "bytes"));
    sl_html(v->h, "</dd></div><div><dt>Checkpoints</dt><dd>");
    sl_html_number(v->h, sl_at_int(sync, "checkpoints"));
    sl_html(v->h, "</dd></div><div><dt>Python</dt><dd>%s</dd></div></dl>",
            sl_at_text(sync, "python_version"));
}

/* In one line: why it failed, else where its time went. */
static void
view_summary(struct sl_view *v, const json_t *sync)
{
    size_t tables = json_array_size(sl_at(sync, "tables"));
    const char *reason = sl_at_text(sync, "reason");

    if (reason[0] != '\0') {
        sl_html(v->h, "<span class=\"%s\">%s</span>", has_failed(sync) ? "bad" : "dim", reason);
        return;
    }
    sl_html(v->h, "<span class=\"dim\">");
    if (!json_is_object(sl_at(sync, "stages"))) {
        sl_html(v->h, "Details</span>");
        return;
    }
    sl_html(v->h, tables == 1 ? "%zu table" : "%zu tables", tables);
    for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++) {
        sl_html(v->h, " · %s ", stages[i].word);
        sl_html_duration(
            v->h, json_integer_value(json_object_get(sl_at(sync, "stages"), stages[i].name)));
    }
    sl_html(v->h, "</span>");
}

static void
view_detail(struct sl_view *v, const json_t *sync)
{
    const char *id = sl_at_text(sync, "sync_id");

    sl_html(v->h,
            "<tr class=\"more\"><td colspan=\"5\"><details class=\"sync\" id=\"sync-%s\"><summary>",
            id);
    view_summary(v, sync);
    sl_html(v->h, "</summary>");
    view_failure(v, sync);
    view_tables(v, sync);
    view_stages(v, sync);
    sl_html(v->h, "<p><a href=\"logs?sync_id=%s\">Log of this sync</a></p></details></td></tr>",
            sl_url(&v->c->arena, id));
}

static void
view_rows(struct sl_view *v, const json_t *sync)
{
    static const char *const signs[] = { "+", "~", "−" };
    bool any = false;

    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        int64_t n = json_integer_value(json_object_get(sl_at(sync, "counts"), counts[i].name));

        if (n == 0)
            continue;
        any = true;
        sl_html(v->h, "<span class=\"count\" title=\"%s\">%s", counts[i].label, signs[i]);
        sl_html_number(v->h, n);
        sl_html(v->h, "</span>");
    }
    if (!any)
        sl_html(v->h, "<span class=\"dim\">none</span>");
}

static void
view_sync(struct sl_view *v, const json_t *sync)
{
    int64_t us = duration(sync);

    sl_html(v->h, "<tr><th scope=\"row\">");
    sl_html_time(v->h, sl_at(sync, "start_time"), "full", "");
    sl_html(v->h, "</th><td>");
    sl_part_status(v->h, word_of(sl_at_text(sync, "status")));
    sl_html(v->h, "</td><td class=\"wide\">%s%s</td><td class=\"num\">",
            sl_at_text(sync, "trigger"), sl_at_true(sync, "is_historical") ? ", full" : "");
    view_rows(v, sync);
    sl_html(v->h, "</td><td class=\"num\">");
    if (us >= 0)
        sl_html_duration(v->h, us);
    sl_html(v->h, "</td></tr>");
    view_detail(v, sync);
}

static const char *
first_step(struct sl_view *v)
{
    if (strcmp(sl_at_text(v->m, "connection.display_status"), "Setup pending") == 0)
        return "The first one can start when the setup is finished.";
    return sl_may(v, SL_ROLE_OPERATOR)
               ? "Switch the connection on, or press Start initial sync."
               : "An operator or administrator can switch the connection on.";
}

static void
view_history(struct sl_view *v)
{
    const json_t *syncs = sl_at(v->m, "tab.syncs.items"), *sync;
    size_t i;

    sl_html(v->h, "<section><h2>Sync history</h2>");
    if (json_array_size(syncs) == 0) {
        sl_html(v->h, "<div class=\"empty\"><p>No sync yet. %s</p></div></section>", first_step(v));
        return;
    }
    sl_chart_syncs(v->h, syncs);
    sl_html(v->h,
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Sync "
            "history\"><table class=\"list history\"><thead><tr>"
            "<th scope=\"col\">Started</th><th scope=\"col\">Result</th><th scope=\"col\" "
            "class=\"wide\">Why</th>"
            "<th scope=\"col\" class=\"num\">Rows</th><th scope=\"col\" class=\"num\">Time</th>"
            "</tr></thead><tbody>");
    json_array_foreach(syncs, i, sync) view_sync(v, sync);
    sl_html(v->h, "</tbody></table></div>");
    sl_part_more(v, "tab.syncs.next_cursor", "Older syncs");
    sl_html(v->h, "</section>");
}

/* ---- who did what ---- */

static void
view_activity(struct sl_view *v)
{
    const json_t *items = sl_at(v->m, "tab.activity.items"), *a, *field;
    size_t i, k;

    sl_html(v->h, "<section><h2>Activity</h2><ul class=\"activity\">");
    json_array_foreach(items, i, a)
    {
        sl_html(v->h, "<li><b>%s</b> %s", sl_at_text(a, "actor_name"),
                sl_part_action(sl_at_text(a, "action")));
        json_array_foreach(sl_at(a, "detail.fields"), k, field)
            sl_html(v->h, "%s%s", k == 0 ? ": " : ", ", json_string_value(field));
        sl_html(v->h, " <span class=\"dim\">");
        sl_html_time(v->h, sl_at(a, "created_at"), "ago", "");
        sl_html(v->h, "</span></li>");
    }
    if (json_array_size(items) == 0)
        sl_html(v->h, "<li class=\"dim\">Nothing yet</li>");
    sl_html(v->h, "</ul></section>");
}

void
sl_tab_status_view(struct sl_view *v)
{
    const json_t *running = sl_at(v->m, "tab.running");

    sl_html(v->h, "<div id=\"status\" data-live>");
    view_problems(v);
    sl_html(v->h, "<div class=\"cards\">");
    if (!json_is_null(running))
        view_running(v, running);
    view_last(v);
    view_next(v);
    sl_html(v->h, "</div>");
    view_history(v);
    view_activity(v);
    sl_html(v->h, "</div>");
}
