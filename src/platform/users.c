#include "platform/users.h"

#include "base/cond.h"
#include "base/time.h"
#include "platform/ids.h"
#include "platform/platform.h"
#include "platform/sessions.h"

#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <strings.h>

/* Beyond what OWASP asks for (19 MiB, 2 passes). */
#define ARGON_MEMORY ((size_t)32 << 20)
#define ARGON_PASSES 3
#define ARGON_AT_ONCE 2
#define ARGON_WAIT_US (5 * INT64_C(1000000))
#define EMAIL_MAX 254

/* ---- hashing, by a few at once ---- */

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t given;
static int running;
/* Compared with when there is no such user, so that both cases take the same time. */
static char nobody[crypto_pwhash_STRBYTES];

static void
prepare(void)
{
    char random[16];

    sl_cond_init(&given);
    randombytes_buf(random, sizeof random);
    if (crypto_pwhash_str(nobody, random, sizeof random, ARGON_PASSES, ARGON_MEMORY) != 0)
        nobody[0] = '\0';
}

static sl_rc
take_turn(struct sl_err *err)
{
    int64_t until = sl_mono_us() + ARGON_WAIT_US;
    bool mine = true;

    pthread_once(&once, prepare);
    pthread_mutex_lock(&lock);
    while (mine && running == ARGON_AT_ONCE)
        mine = sl_cond_wait(&given, &lock, until);
    running += mine;
    pthread_mutex_unlock(&lock);
    return mine ? SL_OK
                : sl_fail(err, SL_E_TIMEOUT, "too many logins at once: try again in a moment");
}

static void
end_turn(void)
{
    pthread_mutex_lock(&lock);
    running--;
    pthread_cond_signal(&given);
    pthread_mutex_unlock(&lock);
}

static sl_rc
hash_password(const char *password, char out[crypto_pwhash_STRBYTES], struct sl_err *err)
{
    sl_rc rc = take_turn(err);

    if (rc)
        return rc;
    if (crypto_pwhash_str(out, password, strlen(password), ARGON_PASSES, ARGON_MEMORY) != 0)
        rc = sl_fail(err, SL_E_NOMEM, "no memory to hash a password");
    end_turn();
    return rc;
}

/* ---- rules ---- */

sl_rc
sl_password_ok(const char *password, const char *email, struct sl_err *err)
{
    size_t n = strlen(password);
    sl_rc rc = SL_OK;

    if (n < SL_PASSWORD_MIN)
        rc = sl_fail(err, SL_E_CONFIG, "a password needs at least %d characters", SL_PASSWORD_MIN);
    else if (n > SL_PASSWORD_MAX)
        rc = sl_fail(err, SL_E_CONFIG, "a password has at most %d bytes", SL_PASSWORD_MAX);
    else if (email != NULL && strcasecmp(password, email) == 0)
        rc = sl_fail(err, SL_E_CONFIG, "the e-mail address is no password");
    if (rc)
        sl_err_hint(err, "a few words that do not belong together are easy to remember");
    return rc;
}

static sl_rc
email_ok(const char *email, struct sl_err *err)
{
    const char *at = strchr(email, '@');

    for (const char *p = email; *p != '\0'; p++)
        if ((unsigned char)*p <= 0x20 || *p == 0x7f)
            at = NULL;
    if (at != NULL && at != email && at[1] != '\0' && strlen(email) <= EMAIL_MAX)
        return SL_OK;
    return sl_fail(err, SL_E_CONFIG, "\"%.60s\" is not an e-mail address", email);
}

/* ---- finding ---- */

static sl_rc
find_email(struct sl_store *st, const char *email, struct sl_user *u, struct sl_err *err)
{
    struct sl_query q = { .kind = SL_K_USER, .where = { { "email", email } }, .limit = 1 };
    struct sl_list list = { .kind = SL_K_USER };
    sl_rc rc = sl_store_list(st, &q, &list, err);

    if (rc == SL_OK && list.count > 0) {
        *u = *SL_ITEM(&list, struct sl_user, 0); /* moved */
        list.count = 0;
    } else if (rc == SL_OK) {
        rc = sl_fail(err, SL_E_NOT_FOUND, "there is no user \"%.100s\"", email);
    }
    sl_list_free(&list);
    return rc;
}

sl_rc
sl_user_find(struct sl_store *st, const char *who, struct sl_user *u, struct sl_err *err)
{
    sl_rc rc = strchr(who, '@') != NULL ? SL_E_NOT_FOUND : sl_store_get(st, SL_K_USER, who, u, err);

    return rc == SL_E_NOT_FOUND ? find_email(st, who, u, err) : rc;
}

static bool
can_log_in(const struct sl_user *u)
{
    return u->active && u->password != NULL;
}

sl_rc
sl_user_any(struct sl_store *st, bool *any, struct sl_err *err)
{
    struct sl_query q = { .kind = SL_K_USER };
    struct sl_list list = { .kind = SL_K_USER };
    sl_rc rc = sl_store_list(st, &q, &list, err);

    *any = false;
    for (size_t i = 0; rc == SL_OK && i < list.count; i++)
        *any = *any || can_log_in(SL_ITEM(&list, struct sl_user, i));
    sl_list_free(&list);
    return rc;
}

/* In a transaction: is there another administrator who can log in? */
static sl_rc
check_other_admin(struct sl_store *st, const struct sl_user *u, struct sl_err *err)
{
    struct sl_query q = { .kind = SL_K_USER, .where = { { "role", "admin" } } };
    struct sl_list list = { .kind = SL_K_USER };
    bool found = !can_log_in(u) || sl_role_of(u->role) != SL_ROLE_ADMIN;
    sl_rc rc = sl_store_list(st, &q, &list, err);

    for (size_t i = 0; rc == SL_OK && i < list.count; i++) {
        const struct sl_user *other = SL_ITEM(&list, struct sl_user, i);

        found = found || (can_log_in(other) && strcmp(other->id, u->id) != 0);
    }
    sl_list_free(&list);
    if (rc == SL_OK && !found) {
        rc = sl_fail(err, SL_E_LOCKED, "%s is the only administrator who can log in", u->email);
        sl_err_hint(err, "make another one first");
    }
    return rc;
}

/* ---- changing ---- */

sl_rc
sl_user_add(struct sl_store *st, const char *actor, const struct sl_new_user *new_user, char **id,
            struct sl_err *err)
{
    char hash[crypto_pwhash_STRBYTES];
    struct sl_user u = {
        .email = (char *)new_user->email,
        .given_name = (char *)(new_user->given_name ? new_user->given_name : ""),
        .family_name = (char *)(new_user->family_name ? new_user->family_name : ""),
        .role = (char *)sl_role_name(new_user->role),
        .created_at = sl_now_us(),
        .active = true,
    };
    sl_rc rc = email_ok(new_user->email, err);

    *id = NULL;
    if (rc == SL_OK && new_user->password != NULL) {
        rc = sl_password_ok(new_user->password, new_user->email, err);
        if (rc == SL_OK)
            rc = hash_password(new_user->password, hash, err);
        u.password = hash;
    }
    if (rc == SL_OK)
        rc = sl_store_begin(st, err);
    if (rc)
        return rc;
    rc = sl_new_id(st, SL_K_USER, &u.id, err);
    if (rc == SL_OK)
        rc = sl_store_put(st, SL_K_USER, &u, err);
    if (rc == SL_E_LOCKED)
        sl_fail(err, rc, "there is a user %s already", new_user->email);
    if (rc == SL_OK)
        rc = sl_audit(st, actor, "user.create", "user", u.id, NULL, err);
    if (rc == SL_OK)
        rc = sl_store_commit(st, err);
    sl_store_rollback(st);
    if (rc == SL_OK)
        *id = u.id;
    else
        free(u.id);
    return rc;
}

/* Reads the user, changes it by `how`, which ends the sessions where it matters, and commits. */
static sl_rc
change(struct sl_store *st, const char *actor, const char *id, const char *action,
       sl_rc (*how)(struct sl_store *st, struct sl_user *u, const void *arg, struct sl_err *err),
       const void *arg, struct sl_err *err)
{
    struct sl_user u = { 0 };
    sl_rc rc = sl_store_begin(st, err);

    if (rc)
        return rc;
    rc = sl_store_get(st, SL_K_USER, id, &u, err);
    if (rc == SL_OK)
        rc = how(st, &u, arg, err);
    if (rc == SL_OK)
        rc = sl_audit(st, actor, action, "user", id, NULL, err);
    if (rc == SL_OK)
        rc = sl_store_commit(st, err);
    sl_store_rollback(st);
    sl_record_free(SL_K_USER, &u);
    return rc;
}

static sl_rc
put_and_log_out(struct sl_store *st, struct sl_user *u, struct sl_err *err)
{
    sl_rc rc = sl_store_put(st, SL_K_USER, u, err);

    return rc ? rc : sl_sessions_end(st, u->id, err);
}

static sl_rc
put_password(struct sl_store *st, struct sl_user *u, const void *hash, struct sl_err *err)
{
    sl_set_text(&u->password, hash);
    return put_and_log_out(st, u, err);
}

sl_rc
sl_user_set_password(struct sl_store *st, const char *actor, const char *id, const char *password,
                     struct sl_err *err)
{
    char hash[crypto_pwhash_STRBYTES];
    struct sl_user u = { 0 };
    sl_rc rc = sl_store_get(st, SL_K_USER, id, &u, err);

    if (rc == SL_OK)
        rc = sl_password_ok(password, u.email, err);
    sl_record_free(SL_K_USER, &u);
    if (rc == SL_OK)
        rc = hash_password(password, hash, err);
    return rc ? rc : change(st, actor, id, "user.password", put_password, hash, err);
}

static sl_rc
put_role(struct sl_store *st, struct sl_user *u, const void *arg, struct sl_err *err)
{
    const enum sl_role *role = arg;
    sl_rc rc = *role == SL_ROLE_ADMIN ? SL_OK : check_other_admin(st, u, err);

    if (rc)
        return rc;
    sl_set_text(&u->role, sl_role_name(*role));
    return put_and_log_out(st, u, err);
}

sl_rc
sl_user_set_role(struct sl_store *st, const char *actor, const char *id, enum sl_role role,
                 struct sl_err *err)
{
    return change(st, actor, id, "user.role", put_role, &role, err);
}

static sl_rc
put_name(struct sl_store *st, struct sl_user *u, const void *arg, struct sl_err *err)
{
    const char *const *names = arg;

    if (names[0] != NULL)
        sl_set_text(&u->given_name, names[0]);
    if (names[1] != NULL)
        sl_set_text(&u->family_name, names[1]);
    return sl_store_put(st, SL_K_USER, u, err);
}

sl_rc
sl_user_set_name(struct sl_store *st, const char *actor, const char *id, const char *given_name,
                 const char *family_name, struct sl_err *err)
{
    const char *const names[] = { given_name, family_name };

    return change(st, actor, id, "user.name", put_name, names, err);
}

/* Its sessions go with it. */
static sl_rc
delete_user(struct sl_store *st, struct sl_user *u, const void *arg, struct sl_err *err)
{
    sl_rc rc = check_other_admin(st, u, err);

    (void)arg;
    return rc ? rc : sl_store_delete(st, SL_K_USER, u->id, err);
}

sl_rc
sl_user_remove(struct sl_store *st, const char *actor, const char *id, struct sl_err *err)
{
    return change(st, actor, id, "user.delete", delete_user, NULL, err);
}

/* ---- logging in ---- */

/* u NULL: nobody, which takes as long. */
static sl_rc
check_password(const struct sl_user *u, const char *password, struct sl_err *err)
{
    bool right;
    sl_rc rc = take_turn(err);

    if (rc)
        return rc;
    right = crypto_pwhash_str_verify(u != NULL ? u->password : nobody, password,
                                     strlen(password)) == 0;
    end_turn();
    return right && u != NULL
               ? SL_OK
               : sl_fail(err, SL_E_PERMISSION, "the e-mail address or the password is wrong");
}

sl_rc
sl_user_login(struct sl_store *st, const char *email, const char *password, struct sl_user *u,
              struct sl_err *err)
{
    sl_rc rc = strlen(password) <= SL_PASSWORD_MAX ? find_email(st, email, u, err) : SL_E_NOT_FOUND;

    if (rc && rc != SL_E_NOT_FOUND)
        return rc;
    rc = check_password(rc == SL_OK && can_log_in(u) ? u : NULL, password, err);
    if (rc)
        sl_record_free(SL_K_USER, u);
    return rc;
}

sl_rc
sl_user_check_password(struct sl_store *st, const char *id, const char *password,
                       struct sl_err *err)
{
    struct sl_user u = { 0 };
    sl_rc rc = sl_store_get(st, SL_K_USER, id, &u, err);

    if (rc == SL_OK)
        rc = check_password(can_log_in(&u) ? &u : NULL, password, err);
    sl_record_free(SL_K_USER, &u);
    return rc;
}
