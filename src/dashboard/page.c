#include "dashboard/page.h"

#include "dashboard/assets.h"
#include "dashboard/dashboard.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* The longest page there should be has 200 rows; what is larger is cut off. */
#define PAGE_MAX (32 * MIB)

/* clang-format off */
static const struct {
    const char *path, *label;
    enum sl_role role;
} nav[] = {
    { "/dashboard/connections", "Connections", SL_ROLE_VIEWER },
    { "/dashboard/destinations", "Destinations", SL_ROLE_VIEWER },
    { "/dashboard/alerts", "Alerts", SL_ROLE_VIEWER },
    { "/dashboard/users", "Users and keys", SL_ROLE_ADMIN },
    { "/dashboard/audit", "Audit log", SL_ROLE_ADMIN },
    { "/dashboard/health", "Health", SL_ROLE_VIEWER },
};
/* clang-format on */

bool
sl_may(const struct sl_view *v, enum sl_role role)
{
    return v->c->role >= role;
}

static bool
is_host(const char *s)
{
    for (const char *p = s; *p != '\0'; p++)
        if (!isalnum((unsigned char)*p) && strchr(".-:[]", *p) == NULL)
            return false;
    return s[0] != '\0' && strlen(s) < 256;
}

const char *
sl_page_url(struct sl_call *c)
{
    const char *host = sl_req_header(c->req, "Host");
    char url[300];
    int n;

    if (c->sv->url != NULL)
        return c->sv->url;
    if (host == NULL || !is_host(host))
        return sl_web_url(c->sv->http);
    n = snprintf(url, sizeof url, "%s://%s", c->sv->secure ? "https" : "http", host);
    return sl_arena_dup(&c->arena, url, (size_t)n);
}

/* ---- the frame ---- */

#define ASSETS "/dashboard/assets/%s/"

void
sl_page_head(struct sl_view *v, const char *title, const char *script)
{
    struct sl_buf *h = v->h;
    char csrf[SL_CSRF_TEXT] = "";

    if (v->c->token != NULL)
        sl_session_csrf(v->c->token, csrf);
    sl_html(h,
            "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\">"
            "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">"
            "<meta name=\"color-scheme\" content=\"light dark\">"
            "<meta name=\"csrf\" content=\"%s\"><title>%s - Sluice</title>",
            csrf, title);
    sl_html(h,
            "<link rel=\"icon\" type=\"image/svg+xml\" href=\"" ASSETS "icon.svg\">"
            "<link rel=\"stylesheet\" href=\"" ASSETS "style.css\">"
            "<script type=\"module\" src=\"" ASSETS "main.js\"></script>",
            sl_assets_version, sl_assets_version, sl_assets_version);
    if (script != NULL)
        sl_html(h, "<script type=\"module\" src=\"" ASSETS "%s\"></script>", sl_assets_version,
                script);
    sl_html(h, "</head>\n<body>");
}

void
sl_page_foot(struct sl_view *v)
{
    sl_html(v->h, "</body></html>\n");
}

static void
write_user(struct sl_view *v)
{
    char csrf[SL_CSRF_TEXT];

    if (v->c->token == NULL)
        return;
    sl_session_csrf(v->c->token, csrf);
    sl_html(v->h,
            "<details class=\"menu\" data-menu><summary>%s</summary><div>"
            "<p>%s<br><span class=\"dim\">%s</span></p>"
            "<p><a href=\"/dashboard/account\">Your account</a></p>"
            "<form method=\"post\" action=\"/dashboard/logout\">"
            "<input type=\"hidden\" name=\"csrf\" value=\"%s\"><button>Log out</button></form>"
            "</div></details>",
            v->c->user.given_name && v->c->user.given_name[0] ? v->c->user.given_name
                                                              : v->c->user.email,
            v->c->user.email, v->c->user.role, csrf);
}

/* Live: it follows what happens on every page. */
static void
write_alerts(struct sl_view *v)
{
    int64_t n = sl_alerts_count(v->c);

    sl_html(v->h, "<span id=\"alerts-count\" data-live%s>", n > 0 ? " class=alerts" : "");
    if (n > 0)
        sl_html(v->h, "%lld<span class=\"sr\"> open</span>", (long long)n);
    sl_html(v->h, "</span>");
}

static void
write_nav(struct sl_view *v, const char *here)
{
    struct sl_buf *h = v->h;

    sl_html(h,
            "<a class=\"skip\" href=\"#main\">Skip to content</a><header class=\"top\">"
            "<a class=\"brand\" href=\"/dashboard/connections\">"
            "<img alt=\"\" width=\"20\" height=\"20\" src=\"" ASSETS "icon.svg\">Sluice</a>"
            "<nav aria-label=\"Main\">",
            sl_assets_version);
    for (size_t i = 0; i < sizeof nav / sizeof nav[0]; i++)
        if (v->c->role >= nav[i].role) {
            sl_html(h, "<a href=\"%s\"%s>%s", nav[i].path,
                    here != NULL && strcmp(here, nav[i].path) == 0 ? " aria-current=page" : "",
                    nav[i].label);
            if (strcmp(nav[i].path, "/dashboard/alerts") == 0)
                write_alerts(v);
            sl_html(h, "</a>");
        }
    sl_html(h, "</nav>");
    write_user(v);
    sl_html(h, "</header>");
}

/* ---- answers ---- */

static const char *const headers[][2] = {
    { "Content-Security-Policy", "default-src 'none'; script-src 'self'; style-src 'self'; img-src "
                                 "'self'; connect-src 'self'; "
                                 "form-action 'self'; frame-ancestors 'none'; base-uri 'none'" },
    { "X-Frame-Options", "DENY" },
    { "Referrer-Policy", "same-origin" },
    { "Cross-Origin-Opener-Policy", "same-origin" },
    { "Cross-Origin-Resource-Policy", "same-origin" },
    { "Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()" },
};

void
sl_page_answer(struct sl_call *c, int status, struct sl_buf *h)
{
    size_t len = h->len;
    char *text = sl_memdup(h->ptr, len);

    sl_buf_free(h);
    sl_req_answer(c->req, status, "text/html; charset=utf-8", text, len);
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++)
        sl_req_header_add(c->req, headers[i][0], headers[i][1]);
}

void
sl_page_show(struct sl_call *c, const struct sl_page *page, json_t *model)
{
    struct sl_buf buf;
    struct sl_view v = { c, &buf, model };

    if (model == NULL)
        return;
    if (c->as_json) {
        sl_say(c, 200, model, NULL);
        return;
    }
    sl_buf_init(&buf, PAGE_MAX);
    sl_page_head(&v, sl_at_text(model, "title"), page->script);
    write_nav(&v, page->nav);
    sl_html(&buf, "<main id=\"main\" tabindex=\"-1\"><noscript><p class=\"note\">Without scripts "
                  "this page shows everything but changes nothing: its buttons need them.</p>"
                  "</noscript>");
    page->view(&v);
    sl_html(&buf, "</main>");
    sl_page_foot(&v);
    json_decref(model);
    sl_page_answer(c, 200, &buf);
}

void
sl_page_refuse(struct sl_call *c, int status, const char *text)
{
    static const struct {
        int status;
        const char *title;
    } titles[] = { { 403, "Not allowed" },
                   { 404, "Not found" },
                   { 429, "Too many requests" },
                   { 0, "That did not work" } };
    struct sl_buf buf;
    struct sl_view v = { c, &buf, NULL };
    size_t i = 0;

    while (titles[i].status != 0 && titles[i].status != status)
        i++;
    sl_buf_init(&buf, MIB);
    sl_page_head(&v, titles[i].title, NULL);
    if (c->token != NULL)
        write_nav(&v, NULL);
    sl_html(&buf,
            "<main id=\"main\" tabindex=\"-1\"><div class=\"empty\"><h1>%s</h1><p>%s.</p>"
            "<p><a class=\"button\" href=\"/dashboard/connections\">To the connections</a></p>"
            "</div></main>",
            titles[i].title, text);
    sl_page_foot(&v);
    sl_page_answer(c, status, &buf);
}
