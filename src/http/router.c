/* router.c - address → route → key or session (auth.c) → limits → type of the body → body → handler → end.
 *
 * A wrong or missing key is told before anything else, also on addresses that do not exist: nobody without a key learns what
 * there is.
 */
#include "http/router.h"

#include "base/json.h"
#include "base/text.h"
#include "base/time.h"
#include "http/auth.h"
#include "http/limits.h"
#include "http/multipart.h"

#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Our bodies are flat; only states are deeper, and those are not parsed. jansson recurses. */
#define BODY_DEPTH 64

static _Atomic int64_t counts[6];

void
sl_route_counts(int64_t out[6])
{
    for (int i = 0; i < 6; i++)
        out[i] = atomic_load(&counts[i]);
}

/* ---- the address ---- */

static int
hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if ((c | 0x20) >= 'a' && (c | 0x20) <= 'f')
        return (c | 0x20) - 'a' + 10;
    return -1;
}

/* Decodes in place; false for broken escapes, NUL and what is no UTF-8. */
static bool
decode(char *s, bool plus)
{
    char *out = s;

    for (char *p = s; *p != '\0'; p++) {
        if (*p == '%') {
            int high = hex_digit(p[1]), low = high < 0 ? -1 : hex_digit(p[2]);

            if (low < 0 || (high == 0 && low == 0))
                return false;
            *out++ = (char)(high * 16 + low);
            p += 2;
        } else {
            *out++ = plus && *p == '+' ? ' ' : *p;
        }
    }
    *out = '\0';
    return sl_utf8_valid(s, (size_t)(out - s));
}

/* Splits the path; one slash at the end is no segment. */
static bool
split_path(struct sl_call *c, char *path)
{
    while (path != NULL && *path == '/') {
        char *seg = ++path;

        path = strchr(seg, '/');
        if (path == NULL && *seg == '\0')
            return true;
        if (path != NULL) {
            /* The slash begins the next one: keep it, end this one in a copy. */
            seg = sl_arena_dup(&c->arena, seg, (size_t)(path - seg));
        }
        if (c->nsegs == (int)(sizeof c->segs / sizeof c->segs[0]) || !decode(seg, false))
            return false;
        c->segs[c->nsegs++] = seg;
    }
    return path == NULL;
}

static bool
split_query(struct sl_call *c, char *query)
{
    size_t n = 1;

    for (const char *p = query; *p != '\0'; p++)
        n += *p == '&';
    c->query = sl_arena_get(&c->arena, n * sizeof *c->query);
    while (query != NULL && *query != '\0') {
        char *next = strchr(query, '&'), *value;

        if (next != NULL)
            *next++ = '\0';
        value = strchr(query, '=');
        if (value != NULL)
            *value++ = '\0';
        if (!decode(query, true) || (value != NULL && !decode(value, true)))
            return false;
        c->query[c->nquery++] = (struct sl_param){ query, value ? value : "" };
        query = next;
    }
    return true;
}

/* The same thing has several addresses: /v2, and "connectors" for "connections". */
static void
fold(struct sl_call *c)
{
    if (c->nsegs < 2 || (strcmp(c->segs[0], "v1") != 0 && strcmp(c->segs[0], "v2") != 0))
        return;
    c->segs[0] = "v1";
    if (strcmp(c->segs[1], "connectors") == 0)
        c->segs[1] = "connections";
    if (c->nsegs == 4 && strcmp(c->segs[1], "groups") == 0 && strcmp(c->segs[3], "connectors") == 0)
        c->segs[3] = "connections";
}

/* Pages have a twin in JSON: by its name ("….json"), `format=json`, or what the client accepts. */
static void
note_page(struct sl_call *c)
{
    const struct sl_pages *pages = c->sv->pages;
    const char *format = sl_param_get(c, "format");
    size_t n;

    if (pages == NULL || (c->nsegs > 0 && strcmp(c->segs[0], pages->prefix) != 0))
        return;
    c->page = true;
    c->as_json = (format != NULL && strcmp(format, "json") == 0) ||
                 (sl_accepts(c, "application/json") && !sl_accepts(c, "text/html"));
    n = c->nsegs > 1 ? strlen(c->segs[c->nsegs - 1]) : 0;
    if (n <= 5 || strcmp(c->segs[c->nsegs - 1] + n - 5, ".json") != 0)
        return;
    c->segs[c->nsegs - 1] = sl_arena_dup(&c->arena, c->segs[c->nsegs - 1], n - 5);
    c->as_json = true;
}

static bool
read_target(struct sl_call *c)
{
    const char *raw = c->req->target, *host;
    char *path, *query;

    host = strncasecmp(raw, "http://", 7) == 0    ? raw + 7
           : strncasecmp(raw, "https://", 8) == 0 ? raw + 8
                                                  : NULL;
    if (host != NULL) /* the form for proxies */
        raw = strchr(host, '/') != NULL ? strchr(host, '/') : "/";
    path = sl_arena_dup(&c->arena, raw, strlen(raw));
    query = strchr(path, '?');
    if (query != NULL)
        *query++ = '\0';
    if (!split_path(c, path) || (query != NULL && !split_query(c, query)))
        return false;
    fold(c);
    note_page(c);
    return true;
}

/* ---- the route ---- */

static bool
matches(struct sl_call *c, const struct sl_route *route)
{
    const char *p = route->path;
    int nargs = 0;

    for (int i = 0; i < c->nsegs; i++) {
        size_t n;

        if (*p != '/')
            return false;
        p++;
        n = strcspn(p, "/");
        if (*p == ':')
            c->args[nargs++] = c->segs[i];
        else if (strlen(c->segs[i]) != n || memcmp(c->segs[i], p, n) != 0)
            return false;
        p += n;
    }
    return *p == '\0';
}

/* 404, or 405 with what the address allows. */
static void
refuse_route(struct sl_call *c, const char *allow)
{
    if (allow[0] == '\0') {
        sl_refuse(c, 404, "NotFound", "There is nothing at this address");
        return;
    }
    sl_refuse(c, 405, "MethodNotAllowed", "This address does not allow %.20s, only %s",
              c->req->method, allow);
    sl_req_header_add(c->req, "Allow", allow);
}

/* Whether the table has this path, with whatever method. */
static bool
find_in(const struct sl_route *table, struct sl_call *c, char allow[64])
{
    const char *literal = NULL; /* "schemas/reload" is not the schema "reload" */

    for (const struct sl_route *r = table; r->method != NULL; r++) {
        if (literal != NULL && strcmp(literal, r->path) != 0)
            continue;
        if (!matches(c, r))
            continue;
        literal = r->path;
        if (strcmp(r->method, c->req->method) == 0) {
            c->route = r;
            return true;
        }
        snprintf(allow + strlen(allow), 64 - strlen(allow), "%s%s", allow[0] ? ", " : "",
                 r->method);
    }
    return literal != NULL;
}

static void
find_route(struct sl_call *c, char allow[64])
{
    allow[0] = '\0';
    for (const struct sl_route *const *t = c->sv->routes; *t != NULL; t++)
        if (find_in(*t, c, allow))
            return;
}

/* ---- limits and roles ---- */

static bool
check_rate(struct sl_call *c, int *left)
{
    *left = SL_REQUESTS_PER_SECOND;
    if (c->actor[0] == '\0')
        return true;
    if (sl_limits_request(c->sv->limits, c->actor, sl_mono_us(), left))
        return true;
    sl_refuse(c, 429, "TooManyRequests", "More than %d requests a second with this %s",
              SL_REQUESTS_PER_SECOND, c->token != NULL ? "login" : "key");
    sl_req_header_add(c->req, "Retry-After", "1");
    return false;
}

static bool
check_role(struct sl_call *c)
{
    if (c->actor[0] == '\0' || c->role >= c->route->role)
        return true; /* without either: sl_auth() let it in */
    sl_refuse(c, 403, "Forbidden", "This needs %s with the role %s; yours has %s",
              c->token != NULL ? "a user" : "a key", sl_role_name(c->route->role),
              sl_role_name(c->role));
    return false;
}

/* ---- types ---- */

/* Whether a list of media types has one of ours; weights do not matter with one choice. */
static bool
check_accept(struct sl_call *c)
{
    const char *accept = sl_req_header(c->req, "Accept");

    if (accept == NULL || accept[0] == '\0' || (c->route->flags & SL_ANY) ||
        strcasestr(accept, "application/json") != NULL || strstr(accept, "*/*") != NULL ||
        strcasestr(accept, "application/*") != NULL ||
        ((c->route->flags & SL_STREAM) && strcasestr(accept, "text/event-stream") != NULL))
        return true;
    sl_refuse(c, 406, "NotAcceptable", "Answers are application/json, not '%.60s'", accept);
    return false;
}

static bool
type_is(const char *type, const char *want)
{
    size_t n = strlen(want);

    return type != NULL && strncasecmp(type, want, n) == 0 &&
           (type[n] == '\0' || type[n] == ';' || type[n] == ' ');
}

static bool
check_type(struct sl_call *c)
{
    const char *type = sl_req_header(c->req, "Content-Type");
    const char *want = c->route->flags & SL_UPLOAD ? "multipart/form-data"
                       : c->route->flags & SL_FORM ? "application/x-www-form-urlencoded"
                                                   : "application/json";

    if (c->route->body_cap == 0 || type_is(type, want))
        return true;
    if (c->req->length == 0 && !(c->route->flags & SL_UPLOAD))
        return true; /* nothing, of whatever type */
    sl_refuse(c, 415, "UnsupportedMediaType", "Send %s, not '%.60s'", want, type ? type : "");
    return false;
}

/* ---- the body ---- */

static void
refuse_size(struct sl_call *c)
{
    sl_refuse(c, 413, "PayloadTooLarge", "The body is larger than %zu KiB",
              c->route->body_cap / KIB);
}

static void
upload_sink(struct sl_req *r, const void *ptr, size_t len)
{
    struct sl_call *c = r->user;

    sl_multipart_take(c->form, ptr, len);
}

static void
prepare_body(struct sl_call *c)
{
    struct sl_err err = { 0 };

    c->req->body_cap = c->route->body_cap;
    if (!(c->route->flags & SL_UPLOAD))
        return;
    if (sl_multipart_begin(&c->form, c->sv->pf->packages, c->req->conn, &err)) {
        sl_refuse_err(c, &err);
        return;
    }
    c->req->sink = upload_sink;
}

/* False has answered. */
static bool
parse_form(struct sl_call *c)
{
    struct sl_param *query = c->query;
    size_t n = c->nquery;
    bool ok = true;

    c->body = json_object();
    c->nquery = 0;
    if (c->req->body.len > 0)
        ok = split_query(c, sl_arena_dup(&c->arena, c->req->body.ptr, c->req->body.len));
    for (size_t i = 0; ok && i < c->nquery; i++)
        json_object_set_new(c->body, c->query[i].name, json_string(c->query[i].value));
    c->query = query;
    c->nquery = n;
    if (!ok)
        sl_refuse(c, 400, "BadRequest", "The form has a broken escape or no valid UTF-8");
    return ok && sl_auth_check_form(c);
}

/* False has answered. */
static bool
parse_body(struct sl_call *c)
{
    const struct sl_buf *b = &c->req->body;
    json_error_t error;
    int depth = 0, deepest = 0;

    if (c->route->flags & (SL_UPLOAD | SL_RAW))
        return true;
    if (c->route->flags & SL_FORM)
        return parse_form(c);
    if (b->len == 0) {
        c->body = json_object();
        return true;
    }
    if (!sl_json_valid(b->ptr, b->len)) {
        sl_refuse(c, 400, "BadRequest", "The body is not valid JSON in UTF-8");
        return false;
    }
    /* Brackets in texts count, too: a bound, not a measure. */
    for (size_t i = 0; i < b->len; i++) {
        depth += b->ptr[i] == '{' || b->ptr[i] == '[';
        depth -= b->ptr[i] == '}' || b->ptr[i] == ']';
        deepest = depth > deepest ? depth : deepest;
    }
    c->body = deepest <= BODY_DEPTH ? json_loadb(b->ptr, b->len, 0, &error) : NULL;
    if (c->body == NULL && deepest > BODY_DEPTH)
        sl_refuse(c, 400, "BadRequest", "The body is nested too deeply");
    else if (c->body == NULL)
        sl_refuse(c, 400, "BadRequest", "The body cannot be read: %s", error.text);
    else if (!json_is_object(c->body))
        sl_refuse_input(c, "The body must be a JSON object");
    return c->req->status == 0;
}

/* ---- the three calls ---- */

static void
add_rate(struct sl_call *c, int left)
{
    char text[12];

    snprintf(text, sizeof text, "%d", left);
    sl_req_header_add(c->req, "X-Rate-Limit", "300");
    sl_req_header_add(c->req, "X-Rate-Limit-Remaining", text);
}

void
sl_route_begin(void *ctx, struct sl_req *r)
{
    struct sl_call *c = sl_zalloc(1, sizeof *c);
    char allow[64] = "";
    int left = SL_REQUESTS_PER_SECOND;
    bool readable;

    c->sv = ctx;
    c->req = r;
    r->user = c;
    readable = read_target(c);
    if (readable)
        find_route(c, allow);
    if (sl_auth(c) && check_rate(c, &left)) {
        if (!readable)
            sl_refuse(c, 400, "BadRequest", "The address has a broken escape or no valid UTF-8");
        else if (c->route == NULL)
            refuse_route(c, allow);
        else if (sl_auth_check_origin(c) && check_role(c) && check_accept(c) && check_type(c))
            prepare_body(c);
    }
    c->rate_left = left;
    if (r->status != 0)
        add_rate(c, left);
}

void
sl_route_finish(void *ctx, struct sl_req *r)
{
    struct sl_call *c = r->user;

    (void)ctx;
    if (r->too_large && c->route->body_cap > 0)
        refuse_size(c);
    else if (c->route->body_cap == 0 || parse_body(c))
        c->route->handler(c);
    /* Before the client has its answer: nothing of a refused upload is left then. */
    sl_multipart_free(c->form);
    c->form = NULL;
    if (r->status == 0)
        sl_refuse(c, 500, "InternalError", "The server has no answer");
    add_rate(c, c->rate_left);
}

void
sl_route_end(void *ctx, struct sl_req *r)
{
    struct sl_call *c = r->user;
    int kind = r->status / 100;

    (void)ctx;
    if (c == NULL)
        return;
    if (kind >= 1 && kind <= 5)
        atomic_fetch_add(&counts[kind], 1);
    json_decref(c->body);
    sl_multipart_free(c->form);
    sl_record_free(SL_K_KEY, &c->key);
    sl_record_free(SL_K_USER, &c->user);
    sl_arena_free(&c->arena);
    free(c);
}
