/* setup.h - the parts of the setup tab (tab_setup.c), each a section that finds its model in "tab.…". */
#ifndef SL_DASHBOARD_SETUP_H
#define SL_DASHBOARD_SETUP_H

#include "dashboard/page.h"

/* setup_form.c: "tab.form", as the API's GET …/form. Fields of the form, or the keys there are. */
void sl_setup_form_view(struct sl_view *v);
/* setup_state.c */
json_t *sl_setup_state_model(struct sl_call *c, const struct sl_connection *con);
void sl_setup_state_view(struct sl_view *v);

#endif
