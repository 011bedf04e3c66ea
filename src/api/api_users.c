/* api_users.c - people: who there is, adding and changing them, and one's own password.
 *
 * Clients of this kind of API know roles by longer names; both are understood, `access` tells ours.
 */
#include "api/api.h"
#include "base/time.h"
#include "http/auth.h"
#include "http/input.h"
#include "http/limits.h"
#include "platform/users.h"

#include <sodium.h>
#include <stdlib.h>

static const struct {
    const char *name;
    enum sl_role role;
} roles[] = {
    { "Account Administrator", SL_ROLE_ADMIN },
    { "Account Reviewer", SL_ROLE_VIEWER },
    { "admin", SL_ROLE_ADMIN },
    { "operator", SL_ROLE_OPERATOR },
    { "viewer", SL_ROLE_VIEWER },
};
#define ROLES "viewer|operator|admin|Account Administrator|Account Reviewer"

static enum sl_role
role_of(const char *name)
{
    for (size_t i = 0; i < sizeof roles / sizeof roles[0]; i++)
        if (strcmp(roles[i].name, name) == 0)
            return roles[i].role;
    return SL_ROLE_NONE;
}

/* ---- as clients see them ---- */

static json_t *
user_item(struct sl_call *c, const void *rec)
{
    const struct sl_user *u = rec;
    enum sl_role role = u->role != NULL ? sl_role_of(u->role) : SL_ROLE_NONE;
    const char *name = role == SL_ROLE_ADMIN ? "Account Administrator" : "Account Reviewer";

    (void)c;
    return json_pack("{s:s, s:o, s:o, s:o, s:b, s:b, s:n, s:n, s:s, s:b, s:o, s:o, s:s, s:b}", "id",
                     u->id, "email", sl_json_text(u->email), "given_name",
                     sl_json_text(u->given_name), "family_name", sl_json_text(u->family_name),
                     "verified", 1, "invited", 0, "picture", "phone", "role", name, "active",
                     u->active, "logged_in_at", sl_json_time(u->logged_in_at), "created_at",
                     sl_json_time(u->created_at), "access", sl_role_name(role), "can_log_in",
                     u->active && u->password != NULL);
}

void
sl_api_users(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_USER };

    sl_say_page(c, &q, user_item);
}

static void
say_user(struct sl_call *c, int status, const char *id, const char *message)
{
    struct sl_user u = { 0 };

    if (!sl_call_get(c, SL_K_USER, id, &u))
        return;
    if (message != NULL)
        sl_say(c, status, user_item(c, &u), "%s", message);
    else
        sl_say(c, status, user_item(c, &u), NULL);
    sl_record_free(SL_K_USER, &u);
}

void
sl_api_user(struct sl_call *c)
{
    say_user(c, 200, c->args[0], NULL);
}

/* ---- changing ---- */

void
sl_api_user_create(struct sl_call *c)
{
    static const struct sl_input inputs[] = {
        { "email", SL_IN_TEXT, SL_IN_MUST, NULL, 3, 254 },
        { "given_name", SL_IN_TEXT, 0, NULL, 0, 0 },
        { "family_name", SL_IN_TEXT, 0, NULL, 0, 0 },
        { "role", SL_IN_WORD, 0, ROLES, 0, 0 },
        { "password", SL_IN_TEXT, 0, NULL, 1, SL_PASSWORD_MAX },
        { NULL, 0, 0, NULL, 0, 0 },
    };
    struct sl_new_user u;
    struct sl_err err = { 0 };
    char *id = NULL;

    if (!sl_input_check(c, c->body, inputs, ""))
        return;
    u = (struct sl_new_user){
        .email = sl_in_text(c->body, "email", ""),
        .given_name = sl_in_text(c->body, "given_name", NULL),
        .family_name = sl_in_text(c->body, "family_name", NULL),
        .role = role_of(sl_in_text(c->body, "role", "viewer")),
        .password = sl_in_text(c->body, "password", NULL),
    };
    if (sl_user_add(c->sv->pf->store, c->actor, &u, &id, &err))
        sl_refuse_err(c, &err);
    else
        say_user(c, 201, id, "User has been created");
    free(id);
}

/* Asked before anything is changed. */
static sl_rc
check_new_password(struct sl_store *st, const char *id, const char *password, struct sl_err *err)
{
    struct sl_user u = { 0 };
    sl_rc rc = sl_store_get(st, SL_K_USER, id, &u, err);

    if (rc == SL_OK)
        rc = sl_password_ok(password, u.email, err);
    sl_record_free(SL_K_USER, &u);
    return rc;
}

static sl_rc
apply(struct sl_call *c, const char *id, struct sl_err *err)
{
    struct sl_store *st = c->sv->pf->store;
    const char *role = sl_in_text(c->body, "role", NULL);
    const char *password = sl_in_text(c->body, "password", NULL);
    const char *given = sl_in_text(c->body, "given_name", NULL);
    const char *family = sl_in_text(c->body, "family_name", NULL);
    sl_rc rc = password != NULL ? check_new_password(st, id, password, err) : SL_OK;

    if (rc == SL_OK && role != NULL)
        rc = sl_user_set_role(st, c->actor, id, role_of(role), err);
    if (rc == SL_OK && (given != NULL || family != NULL))
        rc = sl_user_set_name(st, c->actor, id, given, family, err);
    if (rc == SL_OK && password != NULL)
        rc = sl_user_set_password(st, c->actor, id, password, err);
    return rc;
}

void
sl_api_user_update(struct sl_call *c)
{
    static const struct sl_input inputs[] = {
        { "given_name", SL_IN_TEXT, 0, NULL, 0, 0 },
        { "family_name", SL_IN_TEXT, 0, NULL, 0, 0 },
        { "role", SL_IN_WORD, 0, ROLES, 0, 0 },
        { "password", SL_IN_TEXT, 0, NULL, 1, SL_PASSWORD_MAX },
        { NULL, 0, 0, NULL, 0, 0 },
    };
    struct sl_err err = { 0 };
    const char *id = c->args[0];

    if (!sl_input_check(c, c->body, inputs, ""))
        return;
    if (!sl_input_any(c->body, inputs)) {
        sl_refuse_input(c, "Nothing to change: give a name, a role or a password");
        return;
    }
    if (apply(c, id, &err) == SL_OK)
        say_user(c, 200, id, "User has been updated");
    else if (err.code == SL_E_NOT_FOUND)
        sl_refuse_missing(c, SL_K_USER, id);
    else
        sl_refuse_err(c, &err);
}

void
sl_api_user_delete(struct sl_call *c)
{
    struct sl_err err = { 0 };
    const char *id = c->args[0];
    sl_rc rc = sl_user_remove(c->sv->pf->store, c->actor, id, &err);

    if (rc == SL_E_NOT_FOUND)
        sl_refuse_missing(c, SL_K_USER, id);
    else if (rc)
        sl_refuse_err(c, &err);
    else
        sl_say(c, 200, NULL, "User with id '%s' has been deleted", id);
}

/* ---- one's own password ---- */

/* Whoever found an open browser has as few guesses as at the login. False has answered. */
static bool
check_current(struct sl_call *c, const char *password)
{
    struct sl_err err = { 0 };
    int wait_s;
    sl_rc rc;

    if (!sl_limits_login(c->sv->limits, c->req->address, sl_mono_us(), &wait_s)) {
        sl_refuse(c, 429, "TooManyRequests", "Too many attempts: try again in %d s", wait_s);
        return false;
    }
    rc = sl_user_check_password(c->sv->pf->store, c->user.id, password, &err);
    if (rc == SL_OK)
        sl_limits_login_right(c->sv->limits, c->req->address, sl_mono_us());
    else if (rc == SL_E_PERMISSION)
        sl_refuse(c, 403, "WrongPassword", "The current password is wrong");
    else
        sl_refuse_err(c, &err);
    return rc == SL_OK;
}

/* All its sessions end with the old password; this browser gets a new one. */
void
sl_api_password(struct sl_call *c)
{
    static const struct sl_input inputs[] = {
        { "current_password", SL_IN_TEXT, SL_IN_MUST, NULL, 1, SL_PASSWORD_MAX },
        { "new_password", SL_IN_TEXT, SL_IN_MUST, NULL, 1, SL_PASSWORD_MAX },
        { NULL, 0, 0, NULL, 0, 0 },
    };
    struct sl_store *st = c->sv->pf->store;
    char token[SL_TOKEN_TEXT];
    struct sl_err err = { 0 };

    if (c->token == NULL) {
        sl_refuse(c, 403, "Forbidden", "A key has no password: log in to change yours");
        return;
    }
    if (!sl_input_check(c, c->body, inputs, "") ||
        !check_current(c, sl_in_text(c->body, "current_password", "")))
        return;
    if (sl_user_set_password(st, c->actor, c->user.id, sl_in_text(c->body, "new_password", ""),
                             &err) ||
        sl_session_begin(st, c->user.id, token, &err)) {
        sl_refuse_err(c, &err);
        return;
    }
    sl_say(c, 200, NULL, "Your password has been changed");
    sl_auth_set_cookie(c, token);
    sodium_memzero(token, sizeof token);
}
