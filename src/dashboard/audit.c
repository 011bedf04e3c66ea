/* audit.c - who did what, found by who, what and when. */
#include "api/api.h"
#include "dashboard/dashboard.h"
#include "dashboard/page.h"

#include <stdlib.h>

static const char *const actions[] = {
    "connection.create",  "connection.update",  "connection.pause",   "connection.unpause",
    "connection.delete",  "connection.sync",    "connection.cancel",  "connection.resync",
    "connection.rewind",  "connection.state",   "connection.schemas", "connection.rollback",
    "destination.create", "destination.update", "destination.delete", "destination.test",
    "group.create",       "group.update",       "group.delete",       "key.create",
    "key.revoke",         "package.create",     "package.update",     "package.delete",
    "user.create",        "user.delete",        "user.login",         "user.login_failed",
    "user.name",          "user.password",      "user.role",          "vault.rotate",
};

/* An empty field of the form is no filter. */
static const char *
filter(struct sl_call *c, const char *name)
{
    const char *value = sl_param_get(c, name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static void
view_option(struct sl_view *v, const char *kind, const char *id, const char *label)
{
    const char *now = filter(v->c, "actor");
    char *actor = sl_sprintf("%s%s", kind, id);

    sl_html(v->h, "<option value=\"%s\"%s>%s</option>", actor,
            now != NULL && strcmp(now, actor) == 0 ? " selected" : "", label);
    free(actor);
}

static void
view_who(struct sl_view *v)
{
    const json_t *one;
    size_t i;

    sl_html(v->h, "<label class=\"inline\"><span class=\"sr\">Who</span><select name=\"actor\">"
                  "<option value=\"\">Everybody</option>");
    json_array_foreach(sl_at(v->m, "users"), i, one)
        view_option(v, "user:", sl_at_text(one, "id"), sl_at_text(one, "email"));
    json_array_foreach(sl_at(v->m, "keys"), i, one)
        view_option(v, "key:", sl_at_text(one, "id"), sl_at_text(one, "name"));
    view_option(v, "", "server", "the server");
    view_option(v, "", "command", "commands on its machine");
    sl_html(v->h, "</select></label>");
}

static void
view_what(struct sl_view *v)
{
    const char *now = filter(v->c, "action");

    sl_html(v->h, "<label class=\"inline\"><span class=\"sr\">What</span><select name=\"action\">"
                  "<option value=\"\">Everything</option>");
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        sl_html(v->h, "<option%s>%s</option>",
                now != NULL && strcmp(now, actions[i]) == 0 ? " selected" : "", actions[i]);
    sl_html(v->h, "</select></label>");
}

static void
view_day(struct sl_view *v, const char *name, const char *label)
{
    sl_html(v->h,
            "<label class=\"inline\">%s<input type=\"date\" name=\"%s\" value=\"%s\"></label>",
            label, name, filter(v->c, name));
}

static void
view_filters(struct sl_view *v)
{
    sl_html(v->h, "<form class=\"filters\" method=\"get\" data-filter=\"list\" role=\"search\">");
    view_who(v);
    view_what(v);
    view_day(v, "start_time", "From");
    view_day(v, "end_time", "before");
    sl_html(v->h, "<button class=\"quiet\" data-noscript>Show</button></form>");
}

static void
view_subject(struct sl_view *v, const json_t *a)
{
    const char *kind = sl_at_text(a, "subject_kind"), *id = sl_at_text(a, "subject_id");
    bool linked = strcmp(kind, "connection") == 0 || strcmp(kind, "destination") == 0;

    if (linked && strstr(sl_at_text(a, "action"), ".delete") == NULL)
        sl_html(v->h, "%s <a href=\"/dashboard/%ss/%s\">%s</a>", kind, kind,
                sl_url(&v->c->arena, id), id);
    else
        sl_html(v->h, "%s %s", kind, id);
}

static void
view_row(struct sl_view *v, const json_t *a)
{
    const json_t *detail = sl_at(a, "detail");

    sl_html(v->h, "<tr><th scope=\"row\">");
    sl_html_time(v->h, sl_at(a, "created_at"), "full", "");
    sl_html(v->h, "</th><td>%s</td><td>%s</td><td>", sl_at_text(a, "actor_name"),
            sl_at_text(a, "action"));
    view_subject(v, a);
    sl_html(v->h, "</td><td>");
    if (!json_is_null(detail)) {
        char *text = sl_json_dump(detail);

        sl_html(v->h, "<code>%s</code>", text);
        free(text);
    }
    sl_html(v->h, "</td></tr>");
}

static void
view(struct sl_view *v)
{
    const json_t *items = sl_at(v->m, "audit.items"), *a;
    size_t i;

    sl_html(v->h, "<div class=\"title\"><h1>Audit log</h1></div>");
    view_filters(v);
    sl_html(v->h, "<div id=\"audit\" data-live>");
    if (json_array_size(items) == 0)
        sl_html(v->h, "<div class=\"empty\"><p>Nothing matches.</p></div>");
    else
        sl_html(v->h, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Audit "
                      "log\"><table class=\"list audit\"><thead><tr><th scope=\"col\">When</th><th "
                      "scope=\"col\">Who</th><th scope=\"col\">What</th><th scope=\"col\">To what"
                      "</th><th scope=\"col\">Details</th></tr></thead><tbody>");
    json_array_foreach(items, i, a) view_row(v, a);
    if (json_array_size(items) > 0)
        sl_html(v->h, "</tbody></table></div>");
    sl_part_more(v, "audit.next_cursor", "Older");
    sl_html(v->h, "</div>");
}

void
sl_page_audit(struct sl_call *c)
{
    static const struct sl_page page = { .nav = "/dashboard/audit", .view = view };
    json_t *audit = sl_answer_of(c, sl_api_audit, "limit", "100", "cursor", filter(c, "cursor"),
                                 "actor", filter(c, "actor"), "action", filter(c, "action"),
                                 "start_time", filter(c, "start_time"), "end_time",
                                 filter(c, "end_time"), NULL);
    json_t *users = audit ? sl_answer_of(c, sl_api_users, "limit", "1000", NULL) : NULL;
    json_t *keys = users ? sl_answer_of(c, sl_api_keys, "limit", "1000", NULL) : NULL;

    if (keys != NULL)
        sl_page_show(c, &page,
                     json_pack("{s:s, s:O, s:O, s:O}", "title", "Audit log", "audit", audit,
                               "users", sl_at(users, "items"), "keys", sl_at(keys, "items")));
    json_decref(audit);
    json_decref(users);
    json_decref(keys);
}
