/* tab_setup.c - how a connection is set up: its configuration, tests, schedule, code, state; and its end. */
#include "api/api.h"
#include "dashboard/setup.h"
#include "dashboard/tab.h"

#include <stdio.h>
#include <stdlib.h>

#define VERSIONS "20"

/* ---- the model ---- */

static json_t *
pythons_of(struct sl_call *c)
{
    const char *const *found = sl_worker_pythons(c->sv->w);
    json_t *list = json_array();

    for (; *found != NULL; found++)
        json_array_append_new(list, json_string(*found));
    return list;
}

json_t *
sl_tab_setup_model(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    json_t *form, *versions, *model;

    form = sl_answer_of(c, sl_api_form, NULL);
    versions = form != NULL ? sl_answer_of(c, sl_api_deployments, "limit", VERSIONS, NULL) : NULL;
    if (versions == NULL || !sl_call_get(c, SL_K_CONNECTION, c->args[0], &con)) {
        json_decref(form);
        json_decref(versions);
        return NULL;
    }
    model = json_pack("{s:o, s:o, s:o, s:o}", "form", form, "versions", versions, "pythons",
                      pythons_of(c), "state", sl_setup_state_model(c, &con));
    sl_record_free(SL_K_CONNECTION, &con);
    return model;
}

/* ---- what is missing, and the tests ---- */

static const char *
url_of(struct sl_view *v)
{
    return sl_url(&v->c->arena, sl_at_text(v->m, "connection.id"));
}

/* Made through the API, or its package was taken away. */
static void
view_no_code(struct sl_view *v)
{
    char *line = sl_deploy_line(v->c, sl_at_text(v->m, "destination"),
                                sl_at_text(v->m, "connection.schema"));

    sl_html(v->h, "<div class=\"note bad\"><h2>Setup is not finished</h2><p>It cannot sync: it has "
                  "no code yet.</p><p><b>What to do:</b> deploy it from the folder of its "
                  "<code>connector.py</code>:</p>");
    sl_part_copy(v->h, line);
    sl_html(v->h, "</div>");
    free(line);
}

static void
view_call(struct sl_view *v)
{
    const char *problem = sl_at_text(v->m, "tab.form.problem");

    if (problem[0] == '\0')
        return;
    if (sl_at_text(v->m, "connection.config.package_id")[0] == '\0') {
        view_no_code(v);
        return;
    }
    sl_html(v->h, "<div class=\"note bad\"><h2>Setup is not finished</h2><p>It cannot sync: %s</p>",
            problem);
    if (sl_may(v, SL_ROLE_ADMIN))
        sl_html(v->h,
                "<p><b>What to do:</b> fill in <a href=\"#configuration\">the "
                "configuration</a> and press <b>Save and test</b>. The connection is ready as "
                "soon as its tests pass.</p>");
    else
        sl_html(v->h,
                "<p><b>What to do:</b> ask an administrator to fill in the configuration.</p>");
    sl_html(v->h, "</div>");
}

static const char *
word_of(const char *status)
{
    static const char *const words[][2] = {
        { "PASSED", "Successful" },
        { "SKIPPED", "Skipped" },
        { "WARNING", "WARNING" },
    };

    for (size_t i = 0; i < sizeof words / sizeof words[0]; i++)
        if (strcmp(words[i][0], status) == 0)
            return words[i][1];
    return "Failed";
}

static void
view_tests(struct sl_view *v)
{
    const json_t *tests = sl_at(v->m, "connection.setup_tests"), *t;
    size_t i;

    sl_html(v->h, "<section class=\"card\"><div class=\"title\"><h2>Setup tests</h2>");
    if (sl_may(v, SL_ROLE_OPERATOR))
        sl_html(v->h,
                "<button type=\"button\" class=\"quiet\" data-call=\"POST "
                "/v1/connections/%s/test\">Run the tests</button>",
                url_of(v));
    sl_html(v->h, "</div><ul class=\"results\">");
    json_array_foreach(tests, i, t)
    {
        sl_html(v->h, "<li>");
        sl_part_status(v->h, word_of(sl_at_text(t, "status")));
        sl_html(v->h, " <b>%s</b>", sl_at_text(t, "title"));
        if (sl_at_text(t, "message")[0] != '\0')
            sl_html(v->h, "<p>%s</p>", sl_at_text(t, "message"));
        if (sl_at_text(t, "details")[0] != '\0')
            sl_html(v->h, "<p class=\"dim\">%s</p>", sl_at_text(t, "details"));
        if (sl_at_text(t, "details.traceback")[0] != '\0')
            sl_html(v->h,
                    "<details id=\"where-%zu\"><summary>Where</summary><pre tabindex=\"0\">%s</pre>"
                    "</details>",
                    i, sl_at_text(t, "details.traceback"));
        sl_html(v->h, "</li>");
    }
    if (i == 0)
        sl_html(v->h, "<li class=\"dim\">They did not run yet.</li>");
    sl_html(v->h, "</ul></section>");
}

/* ---- choices ---- */

struct choice {
    int64_t value;
    const char *label;
};

/* Those of a list that ends without a label, and what is set now if it is none of them. */
static void
view_choices(struct sl_view *v, const char *name, const struct choice *list, int64_t now)
{
    bool there = false;

    sl_html(v->h, "<select name=\"%s\" data-type=\"integer\">", name);
    for (; list->label != NULL; list++) {
        there |= list->value == now;
        sl_html(v->h, "<option value=\"%lld\"%s>%s</option>", (long long)list->value,
                list->value == now ? " selected" : "", list->label);
    }
    if (!there)
        sl_html(v->h, "<option value=\"%lld\" selected>%lld</option>", (long long)now,
                (long long)now);
    sl_html(v->h, "</select>");
}

static const struct choice frequencies[] = {
    { 1, "every minute" },     { 5, "every 5 minutes" }, { 15, "every 15 minutes" },
    { 30, "every half hour" }, { 60, "every hour" },     { 120, "every 2 hours" },
    { 180, "every 3 hours" },  { 360, "every 6 hours" }, { 480, "every 8 hours" },
    { 720, "every 12 hours" }, { 1440, "every day" },    { 0, NULL },
};

static const struct choice memories[] = {
    { 0, "as the server gives" },
    { INT64_C(256) << 20, "256 MiB" },
    { INT64_C(512) << 20, "512 MiB" },
    { INT64_C(1) << 30, "1 GiB" },
    { INT64_C(2) << 30, "2 GiB" },
    { INT64_C(4) << 30, "4 GiB" },
    { INT64_C(8) << 30, "8 GiB" },
    { INT64_C(16) << 30, "16 GiB" },
    { 0, NULL },
};

static const struct choice deadlines[] = {
    { 0, "as the server gives" }, { 900, "15 minutes" }, { 3600, "1 hour" }, { 7200, "2 hours" },
    { 14400, "4 hours" },         { 28800, "8 hours" },  { 86400, "a day" }, { 0, NULL },
};

/* ---- schedule ---- */

static void
view_daily(struct sl_view *v)
{
    const char *now = sl_at_text(v->m, "connection.daily_sync_time");

    sl_html(v->h,
            "<label data-only-daily>At (%s, set at the destination)<select "
            "name=\"daily_sync_time\" data-empty><option value=\"\"%s>any time</option>",
            sl_at_text(v->m, "zone"), now[0] == '\0' ? " selected" : "");
    for (int hour = 0; hour < 24; hour++) {
        char text[16];

        snprintf(text, sizeof text, "%02d:00", hour);
        sl_html(v->h, "<option%s>%s</option>", strcmp(text, now) == 0 ? " selected" : "", text);
    }
    sl_html(v->h, "</select></label>");
}

static void
view_schedule_form(struct sl_view *v)
{
    bool manual = strcmp(sl_at_text(v->m, "connection.schedule_type"), "manual") == 0;

    sl_html(
        v->h,
        "<form class=\"fields row\" id=\"schedule-form\" data-call=\"PATCH /v1/connections/%s\" "
        "data-said=\"The schedule is saved\"><label>Syncs start<select name=\"schedule_type\">"
        "<option value=\"auto\">by themselves</option><option value=\"manual\"%s>only when asked "
        "for</option></select></label><label data-only-auto>How often",
        url_of(v), manual ? " selected" : "");
    view_choices(v, "sync_frequency", frequencies, sl_at_int(v->m, "connection.sync_frequency"));
    sl_html(v->h, "</label>");
    view_daily(v);
    sl_html(v->h, "<div class=\"buttons\"><button>Save the schedule</button></div></form>");
}

static void
view_run_form(struct sl_view *v)
{
    const char *python = sl_at_text(v->m, "connection.config.python_version");
    const json_t *one;
    size_t i;

    sl_html(v->h,
            "<form class=\"fields row\" id=\"run-form\" data-call=\"PATCH /v1/connections/%s\" "
            "data-said=\"Saved\"><label>Python<select data-python>",
            url_of(v));
    json_array_foreach(sl_at(v->m, "tab.pythons"), i, one) sl_html(
        v->h, "<option%s>%s</option>",
        strcmp(json_string_value(one), python) == 0 ? " selected" : "", json_string_value(one));
    sl_html(v->h, "</select></label><label>Memory of the connector");
    view_choices(v, "memory_limit", memories, sl_at_int(v->m, "connection.memory_limit"));
    sl_html(v->h, "</label><label>A sync may take");
    view_choices(v, "deadline_seconds", deadlines, sl_at_int(v->m, "connection.deadline_seconds"));
    sl_html(v->h,
            "</label><label>Checkpoints<select name=\"durable_checkpoints\" "
            "data-type=\"boolean\"><option value=\"false\">gathered, then written</option>"
            "<option value=\"true\"%s>each waits until it is written</option></select></label>"
            "<div class=\"buttons\"><button>Save</button></div></form>",
            sl_at_true(v->m, "connection.durable_checkpoints") ? " selected" : "");
}

static void
view_settings(struct sl_view *v)
{
    sl_html(v->h, "<section class=\"card\"><h2>Schedule</h2>");
    if (sl_may(v, SL_ROLE_ADMIN)) {
        view_schedule_form(v);
        sl_html(v->h, "</section><section class=\"card\"><h2>How it runs</h2>");
        view_run_form(v);
    } else {
        const char *python = sl_at_text(v->m, "connection.config.python_version");

        sl_html(v->h, "<p>It syncs ");
        sl_part_schedule(v);
        sl_html(v->h, python[0] != '\0' ? ", with Python %s.</p>" : ".</p>", python);
    }
    sl_html(v->h, "</section>");
}

/* ---- versions of the code ---- */

static void
view_version(struct sl_view *v, const json_t *d, bool current)
{
    long long number = sl_at_int(d, "number");
    char sha[13];

    snprintf(sha, sizeof sha, "%s", sl_at_text(d, "package_sha256"));
    sl_html(v->h, "<tr><th scope=\"row\" class=\"num\">%lld</th><td>", number);
    sl_html_time(v->h, sl_at(d, "created_at"), "full", "");
    sl_html(v->h, "</td><td>%s</td><td>Python %s</td><td class=\"wide\"><code>%s</code></td><td>",
            sl_at_text(d, "reason"), sl_at_text(d, "python_version"), sha);
    if (current)
        sl_html(v->h, "<span class=\"tag\">runs now</span>");
    else if (sl_may(v, SL_ROLE_ADMIN))
        sl_html(v->h,
                "<button type=\"button\" class=\"quiet\" "
                "data-call=\"POST /v1/connections/%s/deployments/%lld/rollback\" "
                "data-confirm=\"Run version %lld again? A running sync is stopped first. State and "
                "rows stay as they are.\" data-confirm-label=\"Roll back\" "
                "data-said=\"Version %lld runs from now on\">Roll back</button>",
                url_of(v), number, number, number);
    sl_html(v->h, "</td></tr>");
}

static void
view_versions(struct sl_view *v)
{
    const json_t *d;
    size_t i;

    sl_html(v->h,
            "<section class=\"card\"><h2>Versions of the code</h2><div class=\"scroll\" "
            "tabindex=\"0\" role=\"region\" aria-label=\"Versions\"><table class=\"list\"><thead>"
            "<tr><th scope=\"col\" class=\"num\">Version</th><th scope=\"col\">Since</th>"
            "<th scope=\"col\">Why</th><th scope=\"col\">Runs on</th><th scope=\"col\" "
            "class=\"wide\">Package</th><th scope=\"col\"><span class=\"sr\">Actions</span></th>"
            "</tr></thead><tbody>");
    json_array_foreach(sl_at(v->m, "tab.versions.items"), i, d) view_version(v, d, i == 0);
    sl_html(v->h, "</tbody></table></div></section>");
}

/* ---- what cannot be taken back ---- */

static void
view_resync(struct sl_view *v)
{
    sl_html(
        v->h,
        "<div><p><b>Re-sync everything.</b> The connector starts from an empty state and brings "
        "all rows again. Rows are updated where they are; rows the source does not have any more "
        "stay.</p><button type=\"button\" "
        "data-call=\"POST /v1/connections/%s/resync\" data-confirm=\"Re-sync everything? A "
        "running sync is stopped. The connector starts from an empty state, which may take as "
        "long as its first sync did.\" data-confirm-label=\"Re-sync everything\" "
        "data-said=\"%s\">Re-sync everything</button></div>",
        url_of(v),
        sl_at_true(v->m, "connection.paused")
            ? "It is paused: the re-sync starts when it is switched on"
            : "The re-sync was started");
}

static void
view_delete(struct sl_view *v)
{
    sl_html(
        v->h,
        "<div><p><b>Delete the connection.</b> Its configuration, state, history and log go. Its "
        "rows stay in the warehouse.</p><button type=\"button\" class=\"danger\" "
        "data-call=\"DELETE /v1/connections/%s\" data-confirm=\"Delete the connection? This "
        "cannot be taken back.\" data-confirm-name=\"%s\" data-confirm-label=\"Delete\" "
        "data-said=\"The connection was deleted\" data-then=\"/dashboard/connections\">"
        "Delete</button></div>",
        url_of(v), sl_at_text(v->m, "connection.schema"));
}

static void
view_ends(struct sl_view *v)
{
    if (!sl_may(v, SL_ROLE_OPERATOR))
        return;
    sl_html(v->h, "<section class=\"card ends\"><h2>Begin again, or end</h2>");
    view_resync(v);
    if (sl_may(v, SL_ROLE_ADMIN))
        view_delete(v);
    sl_html(v->h, "</section>");
}

void
sl_tab_setup_view(struct sl_view *v)
{
    sl_html(v->h, "<div class=\"setup\" data-setup=\"%s\"><div id=\"setup-call\" data-live>",
            url_of(v));
    view_call(v);
    sl_html(v->h, "</div>");
    sl_setup_form_view(v); /* not live: what is typed there stays (web/setup.js) */
    sl_html(v->h, "<div id=\"setup-tests\" data-live>");
    view_tests(v);
    sl_html(v->h, "</div>");
    view_settings(v);
    sl_html(v->h, "<div id=\"setup-past\" data-live>");
    view_versions(v);
    sl_setup_state_view(v);
    view_ends(v);
    sl_html(v->h, "</div></div>");
}
