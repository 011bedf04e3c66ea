/* users.c - people and API keys, for administrators; and everybody's own account. */
#include "platform/users.h"
#include "api/api.h"
#include "dashboard/dashboard.h"
#include "dashboard/page.h"

#include <stdlib.h>

#define ALL "1000" /* there are a few people and keys */

/* ---- users ---- */

static const struct {
    const char *name, *may;
} roles[] = {
    { "viewer", "Viewer: sees everything but keys and the audit log" },
    { "operator", "Operator: also starts, cancels and tests" },
    { "admin", "Administrator: everything" },
};

static void
view_role_options(struct sl_view *v, const char *now)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        sl_html(v->h, "<option value=\"%s\"%s>%s</option>", roles[i].name,
                strcmp(now, roles[i].name) == 0 ? " selected" : "", roles[i].may);
}

static void
view_password_field(struct sl_view *v, const char *name, const char *label, bool needed)
{
    sl_html(v->h,
            "<label>%s<input type=\"password\" name=\"%s\" autocomplete=\"new-password\" "
            "minlength=\"%d\" maxlength=\"%d\"%s></label>",
            label, name, SL_PASSWORD_MIN, SL_PASSWORD_MAX, needed ? " required" : "");
}

static void
view_user_forms(struct sl_view *v, const json_t *u)
{
    const char *id = sl_url(&v->c->arena, sl_at_text(u, "id")), *email = sl_at_text(u, "email");

    sl_html(v->h,
            "<details class=\"more\" id=\"user-%s\"><summary>Change<span class=\"sr\"> %s</span>"
            "</summary><form data-call=\"PATCH /v1/users/%s\" data-said=\"The role was "
            "changed\"><label>Role<select name=\"role\">",
            id, email, id);
    view_role_options(v, sl_at_text(u, "access"));
    sl_html(v->h,
            "</select></label><button>Set role</button></form>"
            "<form data-call=\"PATCH /v1/users/%s\" data-reset data-said=\"The password was "
            "set\">",
            id);
    view_password_field(v, "password", "New password", true);
    sl_html(v->h,
            "<button>Set password</button></form><p class=\"dim\">Both log %s out "
            "everywhere.</p><button type=\"button\" class=\"danger\" "
            "data-call=\"DELETE /v1/users/%s\" data-confirm=\"Remove %s? API keys this person made "
            "stay until they are revoked.\" data-confirm-label=\"Remove\">Remove</button>"
            "</details>",
            email, id, email);
}

static void
view_user(struct sl_view *v, const json_t *u)
{
    const char *given = sl_at_text(u, "given_name"), *family = sl_at_text(u, "family_name");

    sl_html(v->h, "<tr><th scope=\"row\">%s%s", sl_at_text(u, "email"),
            v->c->user_id != NULL && strcmp(sl_at_text(u, "id"), v->c->user_id) == 0 ? " (you)"
                                                                                     : "");
    if (given[0] != '\0' || family[0] != '\0')
        sl_html(v->h, "<br><span class=\"dim\">%s %s</span>", given, family);
    sl_html(v->h, "</th><td>%s</td><td>", sl_at_text(u, "access"));
    if (!sl_at_true(u, "can_log_in"))
        sl_html(v->h, "<span class=\"dim\">has no password yet</span>");
    else
        sl_html_time(v->h, sl_at(u, "logged_in_at"), "ago", "never");
    sl_html(v->h, "</td><td>");
    view_user_forms(v, u);
    sl_html(v->h, "</td></tr>");
}

static void
view_new_user(struct sl_view *v)
{
    sl_html(v->h, "<details class=\"more card\"><summary>Add a user</summary>"
                  "<form data-call=\"POST /v1/users\" data-reset><label>E-mail<input "
                  "type=\"email\" name=\"email\" required maxlength=\"254\" "
                  "autocomplete=\"off\"></label><label>First name<input name=\"given_name\" "
                  "maxlength=\"255\" autocomplete=\"off\"></label><label>Last name<input "
                  "name=\"family_name\" maxlength=\"255\" autocomplete=\"off\"></label>"
                  "<label>Role<select name=\"role\">");
    view_role_options(v, "viewer");
    sl_html(v->h, "</select></label>");
    view_password_field(v, "password", "Password", true);
    sl_html(v->h,
            "<p class=\"dim\">At least %d characters; no other rule. Tell it to the person, who "
            "can change it in the menu at the top right.</p><button class=\"primary\">Add the "
            "user</button></form></details>",
            SL_PASSWORD_MIN);
}

static void
view_users(struct sl_view *v)
{
    const json_t *u;
    size_t i;

    sl_html(v->h,
            "<section><h2>Users</h2><div class=\"scroll\" id=\"users\" data-live tabindex=\"0\" "
            "role=\"region\" aria-label=\"Users\"><table class=\"list\"><thead><tr>"
            "<th scope=\"col\">User</th><th scope=\"col\">Role</th><th scope=\"col\">Last "
            "login</th><th scope=\"col\"><span class=\"sr\">Change</span></th></tr></thead>"
            "<tbody>");
    json_array_foreach(sl_at(v->m, "users.items"), i, u) view_user(v, u);
    sl_html(v->h, "</tbody></table></div>");
    view_new_user(v);
    sl_html(v->h, "</section>");
}

/* ---- keys ---- */

static const char *
email_of(const struct sl_view *v, const char *user_id)
{
    const json_t *u;
    size_t i;

    json_array_foreach(sl_at(v->m, "users.items"), i, u) if (strcmp(sl_at_text(u, "id"), user_id) ==
                                                             0) return sl_at_text(u, "email");
    return "";
}

static void
view_key(struct sl_view *v, const json_t *k)
{
    const char *id = sl_at_text(k, "id"), *name = sl_at_text(k, "name");
    bool revoked = !json_is_null(sl_at(k, "revoked_at"));

    sl_html(v->h, "<tr%s><th scope=\"row\">%s<br><code>%s</code></th><td>%s</td><td>",
            revoked ? " class=dim" : "", name, id, sl_at_text(k, "role"));
    sl_html_time(v->h, sl_at(k, "created_at"), "ago", "");
    sl_html(v->h, "<br><span class=\"dim\">%s</span></td><td>",
            email_of(v, sl_at_text(k, "user_id")));
    sl_html_time(v->h, sl_at(k, "last_used_at"), "ago", "never");
    sl_html(v->h, "</td><td>");
    if (revoked) {
        sl_html(v->h, "revoked ");
        sl_html_time(v->h, sl_at(k, "revoked_at"), "ago", "");
    } else {
        sl_html(v->h,
                "<button type=\"button\" class=\"danger\" data-call=\"DELETE /v1/keys/%s\" "
                "data-confirm=\"Revoke the key %s? Whatever uses it stops working at once.\" "
                "data-confirm-label=\"Revoke\">Revoke<span class=\"sr\"> %s</span></button>",
                sl_url(&v->c->arena, id), name, name);
    }
    sl_html(v->h, "</td></tr>");
}

/* Where the script puts a key that was just made (web/admin.js). */
static void
view_made_key(struct sl_view *v)
{
    static const struct {
        const char *field, *label;
    } fields[] = {
        { "base64", "For fivetran deploy and other clients (base64)" },
        { "key", "Key" },
        { "secret", "Secret" },
        { "line", "To deploy" },
    };

    sl_html(v->h,
            "<div class=\"note\" id=\"new-key\" hidden tabindex=\"-1\" data-line=\"fivetran deploy "
            "--url %s --api-key BASE64 --destination %s --connection my_connection --configuration "
            "configuration.json\"><h3>The key <b data-field=\"name\"></b> was made</h3><p>Copy it "
            "now: its secret is not shown again.</p>",
            sl_page_url(v->c), sl_at_text(v->m, "destination"));
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        sl_html(v->h,
                "<p>%s</p><div class=\"copy\"><pre><code data-field=\"%s\"></code></pre>"
                "<button type=\"button\" class=\"quiet\" data-copy hidden>Copy</button></div>",
                fields[i].label, fields[i].field);
    }
    sl_html(v->h, "</div>");
}

static void
view_keys(struct sl_view *v)
{
    const json_t *keys = sl_at(v->m, "keys.items"), *k;
    size_t i;

    sl_html(v->h, "<section><h2>API keys</h2>");
    view_made_key(v);
    sl_html(v->h, "<div class=\"scroll\" id=\"keys\" data-live tabindex=\"0\" role=\"region\" "
                  "aria-label=\"API keys\"><table class=\"list\"><thead><tr><th scope=\"col\">Key"
                  "</th><th scope=\"col\">Role</th><th scope=\"col\">Made</th><th "
                  "scope=\"col\">Last used</th><th scope=\"col\"><span class=\"sr\">Revoke</span>"
                  "</th></tr></thead><tbody>");
    json_array_foreach(keys, i, k) view_key(v, k);
    sl_html(v->h,
            "</tbody></table></div><details class=\"more card\"%s><summary>Create a key</summary>"
            "<form data-call=\"POST /v1/keys\" data-reset data-made=\"new-key\"><label>Name<input "
            "name=\"name\" required maxlength=\"255\" autocomplete=\"off\" placeholder=\"ci\">"
            "</label><label>Role<select name=\"role\">",
            json_array_size(keys) == 0 ? " open" : "");
    view_role_options(v, "admin");
    sl_html(v->h, "</select></label><p class=\"dim\">Deploying needs an administrator's.</p>"
                  "<button class=\"primary\">Create the key</button></form></details></section>");
}

static void
view(struct sl_view *v)
{
    sl_html(v->h, "<div class=\"title\"><h1>Users and keys</h1></div>");
    view_users(v);
    view_keys(v);
}

/* ---- the pages ---- */

static json_t *
first_destination(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_GROUP, .limit = 1 };
    struct sl_list list = { .kind = SL_K_GROUP };
    json_t *name = NULL;

    if (sl_store_list(c->sv->pf->store, &q, &list, NULL) == SL_OK && list.count > 0)
        name = sl_json_text(SL_ITEM(&list, struct sl_group, 0)->name);
    sl_list_free(&list);
    return name != NULL ? name : json_string("warehouse");
}

void
sl_page_users(struct sl_call *c)
{
    static const struct sl_page page = { .nav = "/dashboard/users",
                                         .script = "admin.js",
                                         .view = view };
    json_t *users = sl_answer_of(c, sl_api_users, "limit", ALL, NULL);
    json_t *keys = users != NULL ? sl_answer_of(c, sl_api_keys, "limit", ALL, NULL) : NULL;

    if (keys == NULL) {
        json_decref(users);
        return;
    }
    sl_page_show(c, &page,
                 json_pack("{s:s, s:o, s:o, s:o}", "title", "Users and keys", "users", users,
                           "keys", keys, "destination", first_destination(c)));
}

static void
view_account(struct sl_view *v)
{
    sl_html(v->h,
            "<div class=\"title\"><div><h1>Your account</h1><p>%s <span "
            "class=\"dim\">%s</span></p></div></div>",
            sl_at_text(v->m, "user.email"), sl_at_text(v->m, "user.access"));
    if (v->c->token == NULL)
        return;
    sl_html(v->h, "<section class=\"card\"><h2>Change your password</h2><form class=\"fields\" "
                  "data-call=\"POST /v1/account/password\" data-then=\"reload\" data-repeat>"
                  "<label>Current password<input type=\"password\" name=\"current_password\" "
                  "required autocomplete=\"current-password\"></label>");
    view_password_field(v, "new_password", "New password", true);
    sl_html(v->h,
            "<label>Once more<input type=\"password\" required autocomplete=\"new-password\">"
            "</label><p class=\"dim\">At least %d characters; no other rule. All your other logins "
            "end.</p><button class=\"primary\">Change the password</button></form></section>",
            SL_PASSWORD_MIN);
}

void
sl_page_account(struct sl_call *c)
{
    static const struct sl_page page = { .script = "admin.js", .view = view_account };
    json_t *user;

    c->args[0] = c->user_id;
    user = sl_answer_of(c, sl_api_user, NULL);
    if (user != NULL)
        sl_page_show(c, &page, json_pack("{s:s, s:o}", "title", "Your account", "user", user));
}
