/* login.c - logging in and out. Both are plain forms: no script is needed. */
#include "base/time.h"
#include "dashboard/dashboard.h"
#include "dashboard/page.h"
#include "http/auth.h"
#include "http/limits.h"
#include "platform/users.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* Only to a page of ours: "//elsewhere" and "/\elsewhere" are addresses of other hosts. */
static const char *
next_page(const char *next)
{
    if (next != NULL && strncmp(next, "/dashboard/", 11) == 0 && strpbrk(next, "\\\r\n") == NULL &&
        strstr(next, "//") == NULL)
        return next;
    return "/dashboard/connections";
}

static void
first_user_hint(struct sl_view *v)
{
    bool any = true;

    if (sl_user_any(v->c->sv->pf->store, &any, NULL) || any)
        return;
    sl_html(v->h, "<div class=\"note\"><p>Nobody can log in yet. On the machine that runs this "
                  "server, make the first "
                  "administrator:</p>");
    sl_part_copy(v->h, "sluiced user add you@example.com --role admin --data DIR");
    sl_html(v->h, "</div>");
}

static void
show(struct sl_call *c, int status, const char *email, const char *next, const char *problem)
{
    struct sl_buf buf;
    struct sl_view v = { c, &buf, NULL };

    sl_buf_init(&buf, MIB);
    sl_page_head(&v, "Log in", NULL);
    sl_html(&buf,
            "<main id=\"main\" class=\"login\"><form method=\"post\" action=\"/dashboard/login\">"
            "<h1>Log in to Sluice</h1>");
    if (problem != NULL)
        sl_html(&buf, "<p class=\"problem\" role=\"alert\" id=\"problem\">%s.</p>", problem);
    sl_html(&buf,
            "<input type=\"hidden\" name=\"next\" value=\"%s\">"
            "<label>E-mail<input name=\"email\" type=\"text\" inputmode=\"email\" "
            "autocomplete=\"username\" required value=\"%s\"%s></label>"
            "<label>Password<input name=\"password\" type=\"password\" "
            "autocomplete=\"current-password\" required%s></label>"
            "<button class=\"primary\">Log in</button>",
            next, email, email[0] == '\0' ? " autofocus" : "",
            email[0] != '\0' ? " autofocus" : "");
    first_user_hint(&v);
    sl_html(&buf, "</form></main>");
    sl_page_foot(&v);
    sl_page_answer(c, status, &buf);
}

void
sl_page_login(struct sl_call *c)
{
    show(c, 200, "", next_page(sl_param_get(c, "next")), NULL);
}

/* A session of its own for every login: nothing that was known before it opens anything after it. */
static void
begin_session(struct sl_call *c, const struct sl_user *u, const char *next)
{
    const char *old = sl_auth_cookie(c);
    char token[SL_TOKEN_TEXT];
    struct sl_err err = { 0 };
    sl_rc rc = old != NULL ? sl_session_end(c->sv->pf->store, old, &err) : SL_OK;

    if (rc == SL_OK)
        rc = sl_session_begin(c->sv->pf->store, u->id, token, &err);
    if (rc) {
        sl_refuse_err(c, &err);
        return;
    }
    sl_redirect(c, next);
    sl_auth_set_cookie(c, token);
    sodium_memzero(token, sizeof token);
}

static void
note_failure(struct sl_call *c, const char *email)
{
    struct sl_store *st = c->sv->pf->store;
    json_t *detail = json_pack("{s:s%, s:s}", "email", email,
                               strlen(email) < 100 ? strlen(email) : 100, "address",
                               c->req->address);
    char *text = detail != NULL ? sl_json_dump(detail) : NULL;

    if (sl_store_begin_within(st, 1000000, NULL) == SL_OK) {
        if (sl_audit(st, "server", "user.login_failed", "user", NULL, text, NULL) == SL_OK)
            (void)!sl_store_commit(st, NULL);
        sl_store_rollback(st);
    }
    json_decref(detail);
    free(text);
}

static void
refuse_often(struct sl_call *c, const char *email, const char *next, int wait_s)
{
    char text[100], wait[12];

    snprintf(text, sizeof text, "Too many attempts from your address: try again in %d s", wait_s);
    show(c, 429, email, next, text);
    snprintf(wait, sizeof wait, "%d", wait_s);
    sl_req_header_add(c->req, "Retry-After", wait);
}

void
sl_page_login_form(struct sl_call *c)
{
    const char *email = sl_at_text(c->body, "email"), *password = sl_at_text(c->body, "password");
    const char *next = next_page(json_string_value(json_object_get(c->body, "next")));
    struct sl_user u = { 0 };
    struct sl_err err = { 0 };
    int wait_s;
    sl_rc rc;

    if (!sl_limits_login(c->sv->limits, c->req->address, sl_mono_us(), &wait_s)) {
        refuse_often(c, email, next, wait_s);
        return;
    }
    rc = sl_user_login(c->sv->pf->store, email, password, &u, &err);
    if (rc == SL_OK) {
        sl_limits_login_right(c->sv->limits, c->req->address, sl_mono_us());
        begin_session(c, &u, next);
    } else if (rc == SL_E_PERMISSION) {
        note_failure(c, email);
        show(c, 403, email, next, "The e-mail address or the password is wrong");
    } else if (rc == SL_E_TIMEOUT) {
        show(c, 503, email, next, "Too many people log in at this moment: try again");
    } else {
        sl_refuse_err(c, &err);
    }
    sl_record_free(SL_K_USER, &u);
}

void
sl_page_logout(struct sl_call *c)
{
    struct sl_err err = { 0 };

    if (c->token != NULL && sl_session_end(c->sv->pf->store, c->token, &err)) {
        sl_refuse_err(c, &err);
        return;
    }
    sl_redirect(c, "/dashboard/login");
    sl_auth_set_cookie(c, NULL);
}
