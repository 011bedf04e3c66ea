/* auth.h - who asks: an API key in the Authorization header, or a session of the dashboard in a cookie.
 *
 * A session may do what its user's role may, on the pages and in the API. Browsers send cookies with every request to us, also one that
 * another site makes them send; so whatever changes something by cookie must show that it comes from our own pages: by what the
 * browser says of its origin, and by a token that only our pages know (header X-CSRF-Token, or the field `csrf` of a form).
 */
#ifndef SL_HTTP_AUTH_H
#define SL_HTTP_AUTH_H

#include "http/call.h"

/* Each: false has answered. */
bool sl_auth(struct sl_call *c);
bool sl_auth_check_origin(struct sl_call *c);
/* Of a form of a page, once its body is there. */
bool sl_auth_check_form(struct sl_call *c);

/* The cookie of the session as the browser sent it; NULL without one. Lent. */
const char *sl_auth_cookie(struct sl_call *c);
/* Sets it, or removes it (token NULL), in the answer. */
void sl_auth_set_cookie(struct sl_call *c, const char *token);

#endif
