/* destinations.c - where data goes: the list, and each one's form.
 *
 * Forms are drawn from what the API says of each type (/v1/metadata/destination-types): a new kind of destination appears by itself.
 * A destination begins as a name (a group) and is then set up.
 */
#include "api/api.h"
#include "dashboard/dashboard.h"
#include "dashboard/page.h"

#include <stdlib.h>

#define LIST "/dashboard/destinations"
#define ALL "1000"
#define CONNECTIONS_SHOWN 50

/* ---- types ---- */

static const json_t *
type_of(const json_t *types, const char *service)
{
    const json_t *t;
    size_t i;

    json_array_foreach(types, i, t) if (strcmp(sl_at_text(t, "id"), service) == 0) return t;
    return NULL;
}

static const char *
title_of(const json_t *types, const char *service)
{
    const json_t *t = type_of(types, service);

    return t != NULL ? sl_at_text(t, "name") : service;
}

/* What tells it from others at a glance: the value of its first option that is no secret. */
static const char *
place_of(const json_t *types, const json_t *destination)
{
    const json_t *t = type_of(types, sl_at_text(destination, "service")), *o;
    size_t i;

    json_array_foreach(
        sl_at(t, "options"), i,
        o) if (!sl_at_true(o, "secret")) return json_string_value(json_object_get(sl_at(destination,
                                                                                        "config"),
                                                                                  sl_at_text(
                                                                                      o, "name")));
    return "";
}

/* ---- the list ---- */

static void
view_item(struct sl_view *v, const json_t *item)
{
    const char *id = sl_url(&v->c->arena, sl_at_text(item, "id"));
    const json_t *d = sl_at(item, "destination");
    int64_t n = sl_at_int(item, "connections");

    sl_html(v->h, "<tr><th scope=\"row\"><a href=\"" LIST "/%s\">%s</a></th><td>%s</td><td>", id,
            sl_at_text(item, "name"), title_of(sl_at(v->m, "types"), sl_at_text(d, "service")));
    sl_part_status(v->h, json_is_null(d) ? "not set up" : sl_at_text(d, "setup_status"));
    sl_html(v->h, "</td><td class=\"wide\">%s</td><td class=\"num\">",
            place_of(sl_at(v->m, "types"), d));
    if (n > 0)
        sl_html(v->h, "<a href=\"/dashboard/connections?destination=%s\">%lld</a>", id,
                (long long)n);
    else
        sl_html(v->h, "<span class=\"dim\">none</span>");
    sl_html(v->h, "</td></tr>");
}

static void
view_list(struct sl_view *v)
{
    const json_t *item;
    size_t i;

    sl_html(v->h, "<div class=\"title\"><h1>Destinations</h1></div><div class=\"scroll\" "
                  "id=\"destinations\" data-live tabindex=\"0\" role=\"region\" "
                  "aria-label=\"Destinations\"><table class=\"list\"><thead><tr><th "
                  "scope=\"col\">Name</th><th scope=\"col\">Type</th><th scope=\"col\">Setup</th>"
                  "<th scope=\"col\" class=\"wide\">Where</th><th scope=\"col\" "
                  "class=\"num\">Connections</th></tr></thead><tbody>");
    json_array_foreach(sl_at(v->m, "items"), i, item) view_item(v, item);
    sl_html(v->h, "</tbody></table></div>");
    if (sl_may(v, SL_ROLE_ADMIN))
        sl_html(v->h, "<details class=\"more card\"><summary>Add a destination</summary><form "
                      "data-call=\"POST /v1/groups\" data-said=\"\" data-then=\"" LIST "/:id\">"
                      "<label>Name<input name=\"name\" required maxlength=\"100\" "
                      "autocomplete=\"off\"></label><p class=\"dim\">Deploys name it: "
                      "<code>--destination</code>.</p><button class=\"primary\">Continue</button>"
                      "</form></details>");
}

static int64_t
connections_of(struct sl_call *c, const char *group_id)
{
    struct sl_query q = { .kind = SL_K_CONNECTION, .where = { { "group_id", group_id } } };
    int64_t n = 0;

    return sl_store_count(c->sv->pf->store, &q, &n, NULL) == SL_OK ? n : 0;
}

static json_t *
list_items(struct sl_call *c, const json_t *groups, const json_t *destinations)
{
    json_t *items = json_array(), *g, *d;
    size_t i, k;

    json_array_foreach(groups, i, g)
    {
        json_t *found = NULL;

        json_array_foreach(destinations, k,
                           d) if (strcmp(sl_at_text(d, "id"), sl_at_text(g, "id")) == 0) found = d;
        json_array_append_new(
            items, json_pack("{s:O, s:O, s:O?, s:I}", "id", json_object_get(g, "id"), "name",
                             json_object_get(g, "name"), "destination", found, "connections",
                             (json_int_t)connections_of(c, sl_at_text(g, "id"))));
    }
    return items;
}

void
sl_page_destinations(struct sl_call *c)
{
    static const struct sl_page page = { .nav = LIST, .view = view_list };
    json_t *types = sl_answer_of(c, sl_api_destination_types, NULL);
    json_t *groups = types ? sl_answer_of(c, sl_api_groups, "limit", ALL, NULL) : NULL;
    json_t *all = groups ? sl_answer_of(c, sl_api_destinations, "limit", ALL, NULL) : NULL;

    if (all != NULL)
        sl_page_show(c, &page,
                     json_pack("{s:s, s:o, s:O}", "title", "Destinations", "items",
                               list_items(c, sl_at(groups, "items"), sl_at(all, "items")), "types",
                               sl_at(types, "items")));
    json_decref(types);
    json_decref(groups);
    json_decref(all);
}

/* ---- the form ---- */

/* As text; "" without one. Booleans are no text. */
static const char *
value_of(struct sl_view *v, const json_t *option, char number[24])
{
    const json_t *config = sl_at(v->m, "destination.config");
    const json_t *value = json_object_get(config, sl_at_text(option, "name"));

    if (value == NULL && json_is_null(sl_at(v->m, "destination")))
        return sl_at_text(option, "default");
    if (!json_is_integer(value))
        return json_is_string(value) ? json_string_value(value) : "";
    snprintf(number, 24, "%lld", (long long)json_integer_value(value));
    return number;
}

static void
view_choice(struct sl_view *v, const json_t *o, const char *name, const char *value)
{
    const json_t *choice;
    size_t i;

    sl_html(v->h, "<select name=\"config.%s\"%s>", name,
            sl_at_true(o, "required") ? " required" : "");
    if (!sl_at_true(o, "required"))
        sl_html(v->h, "<option value=\"\">(default)</option>");
    json_array_foreach(sl_at(o, "choices"), i, choice)
        sl_html(v->h, "<option%s>%s</option>",
                strcmp(json_string_value(choice), value) == 0 ? " selected" : "",
                json_string_value(choice));
    sl_html(v->h, "</select>");
}

static void
view_input(struct sl_view *v, const json_t *o, const char *name, const char *value)
{
    const char *kind = sl_at_text(o, "kind");
    bool secret = sl_at_true(o, "secret"), kept = secret && value[0] != '\0';
    bool file = strstr(kind, "file") != NULL, number = strcmp(kind, "int") == 0;
    const char *hint = kept ? "(unchanged)" : sl_at_text(o, "placeholder");

    sl_html(v->h,
            "<%s name=\"config.%s\" placeholder=\"%s\"%s%s autocomplete=\"%s\" "
            "spellcheck=\"false\"",
            file ? "textarea rows=\"4\"" : "input", name, hint,
            sl_at_true(o, "required") && !kept ? " required" : "",
            value[0] != '\0' && !secret ? " data-empty" : "", secret ? "new-password" : "off");
    if (number)
        sl_html(v->h, " type=\"number\" data-type=\"integer\" min=\"%lld\" max=\"%lld\"",
                (long long)sl_at_int(o, "minimum"), (long long)sl_at_int(o, "maximum"));
    if (file)
        sl_html(v->h, ">%s</textarea>", secret ? "" : value);
    else
        sl_html(v->h, "%s value=\"%s\">", secret ? " type=\"password\"" : "", secret ? "" : value);
}

static void
view_option(struct sl_view *v, const json_t *o)
{
    const char *name = sl_at_text(o, "name"), *kind = sl_at_text(o, "kind");
    char number[24];
    const char *value = value_of(v, o, number), *when = sl_at_text(o, "when");

    sl_html(v->h, "<div data-when=\"%s\"><label%s>", when,
            strcmp(kind, "bool") == 0 ? " class=inline" : "");
    if (strcmp(kind, "bool") == 0) {
        const json_t *set = json_object_get(sl_at(v->m, "destination.config"), name);

        sl_html(v->h, "<input type=\"checkbox\" name=\"config.%s\"%s> %s</label>", name,
                set != NULL ? (json_is_true(set) ? " checked" : "")
                            : (strcmp(sl_at_text(o, "default"), "true") == 0 ? " checked" : ""),
                sl_at_text(o, "label"));
    } else {
        sl_html(v->h, "%s%s", sl_at_text(o, "label"),
                sl_at_true(o, "required") ? "" : " (optional)");
        if (strcmp(kind, "choice") == 0)
            view_choice(v, o, name, value);
        else
            view_input(v, o, name, value);
        sl_html(v->h, "</label>");
    }
    sl_html(v->h, "<p class=\"dim\">%s</p></div>", sl_at_text(o, "description"));
}

static void
view_fields(struct sl_view *v)
{
    const char *service = sl_at_text(v->m, "service"), *offset;
    const json_t *o;
    size_t i;

    json_array_foreach(sl_at(type_of(sl_at(v->m, "types"), service), "options"), i, o)
        view_option(v, o);
    offset = sl_at_text(v->m, "destination.time_zone_offset");
    sl_html(v->h,
            "<div><label>Time zone<input type=\"number\" name=\"time_zone_offset\" "
            "data-type=\"integer\" min=\"-12\" max=\"14\" value=\"%s\"></label><p class=\"dim\">"
            "hours from UTC: what the times of daily syncs are meant in</p></div>",
            offset[0] != '\0' ? offset + (offset[0] == '+') : "0");
}

/* Links: another type is another form. */
static void
view_types(struct sl_view *v)
{
    const json_t *t;
    size_t i;

    sl_html(v->h, "<nav class=\"chips\" aria-label=\"Type\">");
    json_array_foreach(sl_at(v->m, "types"), i, t) sl_html(
        v->h, "<a href=\"%s\"%s>%s</a>", sl_part_link(v->c, "service", sl_at_text(t, "id")),
        strcmp(sl_at_text(t, "id"), sl_at_text(v->m, "service")) == 0 ? " aria-current=true" : "",
        sl_at_text(t, "name"));
    sl_html(v->h, "</nav>");
}

static void
view_form(struct sl_view *v, const char *id)
{
    bool made = !json_is_null(sl_at(v->m, "destination"));

    sl_html(v->h, "<section class=\"card\"><h2>%s</h2>",
            made ? title_of(sl_at(v->m, "types"), sl_at_text(v->m, "service")) : "Set it up");
    if (!made)
        view_types(v);
    if (made)
        sl_html(v->h,
                "<form class=\"fields\" data-call=\"PATCH /v1/destinations/%s\" "
                "data-tests data-said=\"The destination was changed and tested\">",
                id);
    else
        sl_html(v->h,
                "<form class=\"fields\" data-call=\"POST /v1/destinations\" "
                "data-then=\"" LIST "/:id?test=1\"><input type=\"hidden\" name=\"group_id\" "
                "value=\"%s\"><input type=\"hidden\" name=\"service\" value=\"%s\"><input "
                "type=\"hidden\" name=\"run_setup_tests\" data-type=\"boolean\" value=\"false\">",
                sl_at_text(v->m, "group.id"), sl_at_text(v->m, "service"));
    view_fields(v);
    sl_html(v->h, "<button class=\"primary\">Save and test</button></form></section>");
}

/* For those who may not change it. */
static void
view_values(struct sl_view *v)
{
    const json_t *o;
    char number[24];
    size_t i;

    if (json_is_null(sl_at(v->m, "destination")))
        return;
    sl_html(v->h, "<section class=\"card\"><h2>%s</h2><dl class=\"facts\">",
            title_of(sl_at(v->m, "types"), sl_at_text(v->m, "service")));
    json_array_foreach(sl_at(type_of(sl_at(v->m, "types"), sl_at_text(v->m, "service")), "options"),
                       i, o)
        sl_html(v->h, "<div><dt>%s</dt><dd>%s</dd></div>", sl_at_text(o, "label"),
                sl_at_true(o, "secret") ? "******" : value_of(v, o, number));
    sl_html(v->h, "</dl></section>");
}

/* ---- one destination ---- */

static void
view_head(struct sl_view *v, const char *id)
{
    const json_t *d = sl_at(v->m, "destination");
    const char *asked = sl_param_get(v->c, "test");

    sl_html(v->h,
            "<nav class=\"crumbs\" aria-label=\"Above\"><a href=\"" LIST "\">Destinations</a></nav>"
            "<div class=\"title\" id=\"head\" data-live><div><h1>%s</h1><p>",
            sl_at_text(v->m, "group.name"));
    sl_part_status(v->h, json_is_null(d) ? "not set up" : sl_at_text(d, "setup_status"));
    sl_html(v->h, " <span class=\"dim\">%s</span></p></div>", sl_at_text(v->m, "group.id"));
    if (!json_is_null(d) && sl_may(v, SL_ROLE_OPERATOR))
        sl_html(v->h,
                "<div class=\"buttons\"><button type=\"button\" data-call=\"POST "
                "/v1/destinations/%s/test\" data-said=\"Tested\" data-tests%s>Test</button></div>",
                id, asked != NULL ? " data-auto" : "");
    sl_html(v->h, "</div><div id=\"tests\" role=\"status\"></div>");
}

static void
view_users(struct sl_view *v, const char *id)
{
    int64_t n = sl_at_int(v->m, "connections");
    const json_t *con;
    size_t i;

    sl_html(v->h, "<section><h2>Connections</h2><ul class=\"activity\">");
    json_array_foreach(sl_at(v->m, "used_by"), i, con)
        sl_html(v->h, "<li><a href=\"/dashboard/connections/%s/status\">%s</a></li>",
                sl_url(&v->c->arena, sl_at_text(con, "id")), sl_at_text(con, "name"));
    if (n == 0)
        sl_html(v->h, "<li class=\"dim\">None uses it</li>");
    sl_html(v->h, "</ul>");
    if (n > CONNECTIONS_SHOWN)
        sl_html(v->h, "<p><a href=\"/dashboard/connections?destination=%s\">All %lld</a></p>", id,
                (long long)n);
    sl_html(v->h, "</section>");
}

static void
view_name(struct sl_view *v, const char *id)
{
    const char *name = sl_at_text(v->m, "group.name");

    sl_html(v->h,
            "<section><h2>Name</h2><details class=\"more\"><summary>Rename</summary><form "
            "data-call=\"PATCH /v1/groups/%s\" data-said=\"It has a new name\"><label>Name<input "
            "name=\"name\" required maxlength=\"100\" value=\"%s\" autocomplete=\"off\"></label>"
            "<p class=\"dim\">Deploys that name it have to use the new name.</p><button>Rename"
            "</button></form></details></section><section><h2>Remove</h2>",
            id, name);
    if (sl_at_int(v->m, "connections") > 0)
        sl_html(v->h, "<p class=\"dim\">It can be removed once no connection uses it.</p>");
    else
        sl_html(v->h,
                "<button type=\"button\" class=\"danger\" data-call=\"DELETE /v1/groups/%s\" "
                "data-confirm=\"Remove %s? What is in the warehouse stays there.\" "
                "data-confirm-label=\"Remove\" data-then=\"" LIST "\">Remove this "
                "destination</button>",
                id, name);
    sl_html(v->h, "</section>");
}

static void
view_one(struct sl_view *v)
{
    const char *id = sl_url(&v->c->arena, sl_at_text(v->m, "group.id"));

    view_head(v, id);
    if (sl_may(v, SL_ROLE_ADMIN))
        view_form(v, id);
    else
        view_values(v);
    view_users(v, id);
    if (sl_may(v, SL_ROLE_ADMIN))
        view_name(v, id);
}

static json_t *
used_by(struct sl_call *c, const char *group_id)
{
    struct sl_query q = { .kind = SL_K_CONNECTION,
                          .where = { { "group_id", group_id } },
                          .light = true,
                          .limit = CONNECTIONS_SHOWN };
    struct sl_list list = { .kind = SL_K_CONNECTION };
    json_t *items = json_array();

    if (sl_store_list(c->sv->pf->store, &q, &list, NULL))
        list.count = 0;
    for (size_t i = 0; i < list.count; i++) {
        const struct sl_connection *con = SL_ITEM(&list, struct sl_connection, i);

        json_array_append_new(
            items, json_pack("{s:s, s:s}", "id", con->id, "name", con->schema ? con->schema : ""));
    }
    sl_list_free(&list);
    return items;
}

/* null when it is a name only. */
static json_t *
destination(struct sl_call *c, const char *id)
{
    struct sl_query q = { .kind = SL_K_DESTINATION, .where = { { "id", id } } };
    int64_t n = 0;

    if (sl_store_count(c->sv->pf->store, &q, &n, NULL) || n == 0)
        return json_null();
    return sl_answer_of(c, sl_api_destination, NULL);
}

static const char *
service_of(struct sl_call *c, const json_t *d, const json_t *types)
{
    const char *asked = sl_param_get(c, "service");

    if (!json_is_null(d))
        return sl_at_text(d, "service");
    if (asked != NULL && type_of(types, asked) != NULL)
        return asked;
    return sl_at_text(json_array_get(types, 0), "id");
}

void
sl_page_destination(struct sl_call *c)
{
    static const struct sl_page page = { .nav = LIST, .script = "admin.js", .view = view_one };
    json_t *group = sl_answer_of(c, sl_api_group, NULL);
    json_t *types = group ? sl_answer_of(c, sl_api_destination_types, NULL) : NULL;
    json_t *d = types ? destination(c, c->args[0]) : NULL;

    if (d != NULL)
        sl_page_show(c, &page,
                     json_pack("{s:O, s:O, s:O, s:s, s:O, s:I, s:o}", "title",
                               json_object_get(group, "name"), "group", group, "destination", d,
                               "service", service_of(c, d, sl_at(types, "items")), "types",
                               sl_at(types, "items"), "connections",
                               (json_int_t)connections_of(c, c->args[0]), "used_by",
                               used_by(c, c->args[0])));
    json_decref(group);
    json_decref(types);
    json_decref(d);
}
