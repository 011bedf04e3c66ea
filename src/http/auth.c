#include "http/auth.h"

#include "base/time.h"
#include "http/limits.h"

#include <stdio.h>
#include <strings.h>

/* With TLS the name itself says: only by https, only to this host, only by this server. */
#define COOKIE "sluice_session"
#define COOKIE_SECURE "__Host-sluice_session"

/* ---- refusals ---- */

/* Where he wanted to go stands behind it; our addresses need no more escaping than this. */
static void
send_to_login(struct sl_call *c)
{
    char where[1024];
    bool here = strcmp(c->req->method, "GET") == 0 && c->nsegs > 1;
    int n = snprintf(where, sizeof where, "%s%s", c->sv->pages->login, here ? "?next=" : "");

    for (const char *p = c->req->target; here && *p != '\0' && n < (int)sizeof where - 4; p++)
        n += snprintf(where + n, sizeof where - (size_t)n, strchr("&#%+?=", *p) ? "%%%02X" : "%c",
                      (unsigned char)*p);
    sl_redirect(c, where);
}

static bool
is_browser(struct sl_call *c)
{
    return sl_req_header(c->req, "Sec-Fetch-Mode") != NULL || sl_auth_cookie(c) != NULL;
}

/* Browsers ask for a name and a password of their own when they see the challenge. */
static void
refuse_key(struct sl_call *c, const char *message)
{
    if (c->page && !c->as_json) {
        send_to_login(c);
        return;
    }
    sl_refuse(c, 401, "AuthFailed", "%s", message);
    if (!is_browser(c))
        sl_req_header_add(c->req, "WWW-Authenticate", "Basic realm=\"sluice\", charset=\"UTF-8\"");
}

static void
refuse_wrong_key(struct sl_call *c)
{
    char wait[12];
    int seconds;

    if (sl_limits_wrong_key(c->sv->limits, c->req->address, sl_mono_us(), &seconds)) {
        refuse_key(c, "The API key or its secret is wrong, or the key was revoked");
        return;
    }
    snprintf(wait, sizeof wait, "%d", seconds);
    sl_refuse(c, 429, "TooManyRequests", "Too many wrong API keys from %s; wait %s s",
              c->req->address, wait);
    sl_req_header_add(c->req, "Retry-After", wait);
}

/* ---- the key ---- */

/* The text after "Basic ", NULL without. */
static const char *
basic(struct sl_call *c)
{
    const char *auth = sl_req_header(c->req, "Authorization");

    if (auth == NULL || strncasecmp(auth, "Basic ", 6) != 0)
        return NULL;
    for (auth += 6; *auth == ' ';)
        auth++;
    return auth;
}

static void
set_actor(struct sl_call *c, const char *kind, const char *id, const char *role)
{
    snprintf(c->actor, sizeof c->actor, "%s:%s", kind, id);
    snprintf(c->req->who, sizeof c->req->who, "%s", c->actor);
    c->role = sl_role_of(role);
}

static bool
check_key(struct sl_call *c, const char *given)
{
    struct sl_err err = { 0 };
    sl_rc rc = sl_key_check(c->sv->pf->keys, given, &c->key, &err);

    if (rc == SL_E_PERMISSION) {
        refuse_wrong_key(c);
        return false;
    }
    if (rc != SL_OK) {
        sl_refuse_err(c, &err);
        return false;
    }
    c->user_id = c->key.user_id;
    set_actor(c, "key", c->key.id, c->key.role);
    return true;
}

/* ---- the session ---- */

const char *
sl_auth_cookie(struct sl_call *c)
{
    return sl_req_cookie(c->req, c->sv->secure ? COOKIE_SECURE : COOKIE);
}

void
sl_auth_set_cookie(struct sl_call *c, const char *token)
{
    char cookie[256];

    /* Lax: a link to a page in a mail opens it. What changes something is guarded by more than the cookie. */
    snprintf(cookie, sizeof cookie, "%s=%s; Path=/; HttpOnly; SameSite=Lax; Max-Age=%d%s",
             c->sv->secure ? COOKIE_SECURE : COOKIE, token != NULL ? token : "",
             token != NULL ? SL_SESSION_S : 0, c->sv->secure ? "; Secure" : "");
    sl_req_header_add(c->req, "Set-Cookie", cookie);
}

static bool
check_session(struct sl_call *c, const char *token)
{
    struct sl_err err = { 0 };
    sl_rc rc = sl_session_check(c->sv->pf->store, token, &c->user, &err);

    if (rc == SL_E_PERMISSION) {
        refuse_key(c, "The session is over: log in again");
        return false;
    }
    if (rc != SL_OK) {
        sl_refuse_err(c, &err);
        return false;
    }
    c->token = token;
    c->user_id = c->user.id;
    set_actor(c, "user", c->user.id, c->user.role);
    return true;
}

bool
sl_auth(struct sl_call *c)
{
    const char *given = basic(c), *token = sl_auth_cookie(c);
    unsigned flags = c->route != NULL ? c->route->flags : 0;

    if (flags & SL_PUBLIC)
        return true;
    if (given != NULL)
        return check_key(c, given);
    if (token != NULL)
        return check_session(c, token);
    if ((flags & SL_OPTIONAL) && c->req->loopback)
        return true;
    refuse_key(c, c->page ? "Log in, or send an API key: Authorization: Basic base64(key:secret)"
                          : "Send an API key: Authorization: Basic base64(key:secret)");
    return false;
}

/* ---- forged requests ---- */

/* The host and port of an address, "" for "null". */
static const char *
authority(const char *url)
{
    const char *p = strstr(url, "://");

    return p != NULL ? p + 3 : "";
}

/* The browser's own word, else the origin compared with where the request went, or with the address we are known by. */
static bool
is_same_origin(struct sl_call *c)
{
    const char *site = sl_req_header(c->req, "Sec-Fetch-Site");
    const char *origin = sl_req_header(c->req, "Origin"), *host = sl_req_header(c->req, "Host");

    if (site != NULL)
        return strcmp(site, "same-origin") == 0;
    if (origin == NULL)
        return false;
    if (c->sv->url != NULL && strcasecmp(origin, c->sv->url) == 0)
        return true;
    return host != NULL && host[0] != '\0' && strcasecmp(authority(origin), host) == 0;
}

static bool
refuse_forged(struct sl_call *c)
{
    sl_refuse(
        c, 403, "Forged",
        "This request does not come from a page of this server: reload the page and try again");
    return false;
}

static bool
has_token(struct sl_call *c)
{
    return sl_session_csrf_is(c->token, sl_req_header(c->req, "X-CSRF-Token"));
}

bool
sl_auth_check_origin(struct sl_call *c)
{
    bool form = c->route->flags & SL_FORM;

    if (strcmp(c->req->method, "GET") == 0 || (c->token == NULL && !form))
        return true;
    if (!is_same_origin(c) || (!form && !has_token(c)))
        return refuse_forged(c);
    return true;
}

bool
sl_auth_check_form(struct sl_call *c)
{
    if (c->token == NULL || has_token(c) ||
        sl_session_csrf_is(c->token, json_string_value(json_object_get(c->body, "csrf"))))
        return true;
    return refuse_forged(c);
}
