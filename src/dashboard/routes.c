/* routes.c - the table of the pages. Each is a list of what a browser may ask for; what it changes goes through the API. */
#include "dashboard/assets.h"
#include "dashboard/dashboard.h"
#include "dashboard/page.h"

#include <stdio.h>

#define VIEW SL_ROLE_VIEWER
#define OPERATE SL_ROLE_OPERATOR
#define ADMIN SL_ROLE_ADMIN
#define CON "/dashboard/connections/:connectionId"
#define FORM_MAX (8 * KIB)

/* clang-format off */
const struct sl_route sl_page_routes[] = {
    /* method  path                             role   body cap  flags                handler */
    { "GET",  "",                               0,     0,        SL_PUBLIC | SL_ANY,  sl_page_home },
    { "GET",  "/dashboard",                     0,     0,        SL_PUBLIC | SL_ANY,  sl_page_home },
    { "GET",  "/dashboard/assets/:version/:name", 0,   0,        SL_PUBLIC | SL_ANY,  sl_page_asset },
    { "GET",  "/dashboard/login",               0,     0,        SL_PUBLIC | SL_ANY,  sl_page_login },
    { "POST", "/dashboard/login",               0,     FORM_MAX, SL_PUBLIC | SL_ANY | SL_FORM, sl_page_login_form },
    { "POST", "/dashboard/logout",              VIEW,  FORM_MAX, SL_ANY | SL_FORM,    sl_page_logout },

    { "GET",  "/dashboard/connections",         VIEW,  0,        SL_ANY,              sl_page_connections },
    { "GET",  CON,                              VIEW,  0,        SL_ANY,              sl_page_connection_home },
    { "GET",  CON "/:tab",                      VIEW,  0,        SL_ANY,              sl_page_connection },

    { "GET",  "/dashboard/destinations",        VIEW,  0,        SL_ANY,              sl_page_destinations },
    { "GET",  "/dashboard/destinations/:destinationId", VIEW, 0, SL_ANY,              sl_page_destination },
    { "GET",  "/dashboard/alerts",              VIEW,  0,        SL_ANY,              sl_page_alerts },
    { "GET",  "/dashboard/users",               ADMIN, 0,        SL_ANY,              sl_page_users },
    { "GET",  "/dashboard/account",             VIEW,  0,        SL_ANY,              sl_page_account },
    { "GET",  "/dashboard/audit",               ADMIN, 0,        SL_ANY,              sl_page_audit },
    { "GET",  "/dashboard/health",              VIEW,  0,        SL_ANY,              sl_page_health },
    { NULL, NULL, 0, 0, 0, NULL }
};
/* clang-format on */

const struct sl_pages sl_pages = {
    .prefix = "dashboard",
    .login = "/dashboard/login",
    .refuse = sl_page_refuse,
};

void
sl_page_home(struct sl_call *c)
{
    sl_redirect(c, "/dashboard/connections");
}

void
sl_page_asset(struct sl_call *c)
{
    const struct sl_asset *a = sl_assets;

    while (a->name != NULL && strcmp(a->name, c->args[1]) != 0)
        a++;
    if (a->name == NULL || strcmp(c->args[0], sl_assets_version) != 0) {
        sl_refuse(c, 404, "NotFound", "There is nothing at this address");
        return;
    }
    sl_req_answer(c->req, 200, a->type, sl_memdup(a->bytes, a->len), a->len);
    sl_req_header_set(c->req, "Cache-Control", "public, max-age=31536000, immutable");
}
