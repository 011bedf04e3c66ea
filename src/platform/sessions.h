/* sessions.h - logins of the dashboard: a random token in the browser, its hash in the store.
 *
 * A session ends 7 days after the login, 12 hours after it was last used (a night between two working days), at logout, and when
 * its user's password or role changes. Every check reads the store: an end counts at once, also one by another process.
 * Threads: any.
 */
#ifndef SL_PLATFORM_SESSIONS_H
#define SL_PLATFORM_SESSIONS_H

#include "platform/store.h"

#define SL_SESSION_S (7 * 86400)
#define SL_SESSION_IDLE_S (12 * 3600)
/* 256 random bits as base64url, and the NUL. */
#define SL_TOKEN_TEXT 44
/* 256 bits as hex, and the NUL. */
#define SL_CSRF_TEXT 65

/* A new session, in a transaction of its own that also notes the login of its user and its audit record. The caller wipes the token. */
SL_MUST_CHECK sl_rc sl_session_begin(struct sl_store *st, const char *user_id,
                                     char token[SL_TOKEN_TEXT], struct sl_err *err);
/* Its user, as sl_store_get gives it. SL_E_PERMISSION for anything that is no session now. When it was last used is kept to the
 * minute. */
SL_MUST_CHECK sl_rc sl_session_check(struct sl_store *st, const char *token, struct sl_user *u,
                                     struct sl_err *err);
/* Logout. Fine when it is over already. */
SL_MUST_CHECK sl_rc sl_session_end(struct sl_store *st, const char *token, struct sl_err *err);
/* All of a user, in the running transaction. */
SL_MUST_CHECK sl_rc sl_sessions_end(struct sl_store *st, const char *user_id, struct sl_err *err);

/* What forms of this session must carry: made from the token, tells nothing of it. */
void sl_session_csrf(const char *token, char out[SL_CSRF_TEXT]);
/* In constant time; given may be NULL. */
bool sl_session_csrf_is(const char *token, const char *given);

#endif
