/* dashboard.h - the pages people look at. page.h says what a page is made of, routes.c which there are.
 *
 * login.c           logging in and out
 * connections.c     the list of connections
 * connection.c      one connection: its head, and the table of its tabs (tab.h); tab_<name>.c is one tab
 * destinations.c    the list of destinations, and each one's form
 * alerts.c          what a person should look at, and how many there are
 * audit.c, health.c   who did what; how the server itself is
 * users.c           people and keys, one's own account
 * page.c, parts.c, html.c   the frame, pieces, and the writing of HTML
 */
#ifndef SL_DASHBOARD_DASHBOARD_H
#define SL_DASHBOARD_DASHBOARD_H

#include "http/call.h"

extern const struct sl_route sl_page_routes[];
extern const struct sl_pages sl_pages;

sl_handler sl_page_home;
sl_handler sl_page_asset;
sl_handler sl_page_login;
sl_handler sl_page_login_form;
sl_handler sl_page_logout;
sl_handler sl_page_connections;
sl_handler sl_page_connection_home;
sl_handler sl_page_connection;
sl_handler sl_page_destinations;
sl_handler sl_page_destination;
sl_handler sl_page_alerts;
sl_handler sl_page_users;
sl_handler sl_page_account;
sl_handler sl_page_audit;
sl_handler sl_page_health;

/* For the navigation. */
int64_t sl_alerts_count(struct sl_call *c);

#endif
