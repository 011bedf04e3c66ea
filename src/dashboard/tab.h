/* tab.h - the tabs of a connection's page.
 *
 * A tab is one file, tab_<word>.c, and one line in the table of connection.c. Its model becomes "tab" beside "connection" (what the
 * API says of it) in the page's model; c->args[0] is the connection's id, as the API's handlers below /v1/connections/:id want it,
 * so that sl_answer_of() works as it is. Its view finds the whole model in v->m: "connection.…" and "tab.…".
 */
#ifndef SL_DASHBOARD_TAB_H
#define SL_DASHBOARD_TAB_H

#include "dashboard/page.h"

struct sl_tab {
    const char *word; /* in the address */
    const char *label;
    json_t *(*model)(struct sl_call *c); /* NULL answer: it has refused */
    void (*view)(struct sl_view *v);     /* NULL: not built, not shown */
    const char *script;                  /* a module of web/ for it alone; NULL: none */
};

json_t *sl_tab_status_model(struct sl_call *c);
void sl_tab_status_view(struct sl_view *v);
json_t *sl_tab_logs_model(struct sl_call *c);
void sl_tab_logs_view(struct sl_view *v);
json_t *sl_tab_schema_model(struct sl_call *c);
void sl_tab_schema_view(struct sl_view *v);
json_t *sl_tab_data_model(struct sl_call *c);
void sl_tab_data_view(struct sl_view *v);
json_t *sl_tab_usage_model(struct sl_call *c);
void sl_tab_usage_view(struct sl_view *v);
json_t *sl_tab_setup_model(struct sl_call *c);
void sl_tab_setup_view(struct sl_view *v);

#endif
