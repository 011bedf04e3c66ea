/* users.h - people: who they are, what they may do, their passwords.
 *
 * A password is kept as an Argon2id hash and never leaves the process otherwise. Hashing takes some 50 ms and 32 MiB each, so that
 * at most two run at once; who waits longer than a few seconds is told to come again (SL_E_TIMEOUT).
 * Whoever loses a password or a role is logged out: their sessions end in the same transaction.
 * Threads: any. Functions that change something do so in a transaction of their own, with their audit record.
 */
#ifndef SL_PLATFORM_USERS_H
#define SL_PLATFORM_USERS_H

#include "platform/keys.h"
#include "platform/store.h"

/* Length is what counts; NIST SP 800-63B asks for 8 at least and against rules about kinds of characters. The upper bound only
 * keeps a request small. */
#define SL_PASSWORD_MIN 10
#define SL_PASSWORD_MAX 256

struct sl_new_user {
    const char *email;
    const char *given_name, *family_name; /* NULL: none */
    enum sl_role role;
    const char *password; /* NULL: cannot log in yet */
};

/* `actor` is what the audit says: "user:<id>", "command". *id is malloc'ed. SL_E_CONFIG: no address, a bad password;
 * SL_E_LOCKED: the address is taken. */
SL_MUST_CHECK sl_rc sl_user_add(struct sl_store *st, const char *actor,
                                const struct sl_new_user *new_user, char **id, struct sl_err *err);
/* By id or address. SL_E_NOT_FOUND. */
SL_MUST_CHECK sl_rc sl_user_find(struct sl_store *st, const char *who, struct sl_user *u,
                                 struct sl_err *err);
SL_MUST_CHECK sl_rc sl_user_set_password(struct sl_store *st, const char *actor, const char *id,
                                         const char *password, struct sl_err *err);
/* SL_E_LOCKED when nobody who can log in would be an administrator afterwards; removing the same. */
SL_MUST_CHECK sl_rc sl_user_set_role(struct sl_store *st, const char *actor, const char *id,
                                     enum sl_role role, struct sl_err *err);
/* NULL leaves one as it is. Ends no session. */
SL_MUST_CHECK sl_rc sl_user_set_name(struct sl_store *st, const char *actor, const char *id,
                                     const char *given_name, const char *family_name,
                                     struct sl_err *err);
SL_MUST_CHECK sl_rc sl_user_remove(struct sl_store *st, const char *actor, const char *id,
                                   struct sl_err *err);
/* Whether there is anybody with a password. */
SL_MUST_CHECK sl_rc sl_user_any(struct sl_store *st, bool *any, struct sl_err *err);

/* Fills *u when the password is right. SL_E_PERMISSION otherwise, after the same time whether or not there is such a user. */
SL_MUST_CHECK sl_rc sl_user_login(struct sl_store *st, const char *email, const char *password,
                                  struct sl_user *u, struct sl_err *err);
/* Whether it is this user's password: SL_E_PERMISSION if not. */
SL_MUST_CHECK sl_rc sl_user_check_password(struct sl_store *st, const char *id,
                                           const char *password, struct sl_err *err);
/* The rule for passwords alone: SL_E_CONFIG. */
SL_MUST_CHECK sl_rc sl_password_ok(const char *password, const char *email, struct sl_err *err);

#endif
