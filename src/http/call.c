#include "http/call.h"

#include "runtime/file.h"

#include <ctype.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- reading ---- */

const char *
sl_param_get(const struct sl_call *c, const char *name)
{
    for (size_t i = 0; i < c->nquery; i++)
        if (strcmp(c->query[i].name, name) == 0)
            return c->query[i].value;
    return NULL;
}

bool
sl_param_int(struct sl_call *c, const char *name, int64_t min, int64_t max, int64_t *out)
{
    const char *text = sl_param_get(c, name);

    if (text == NULL || sl_parse_i64(text, min, max, out))
        return true;
    sl_refuse_input(c, "%s must be a whole number from %lld to %lld, not '%.40s'", name,
                    (long long)min, (long long)max, text);
    return false;
}

bool
sl_param_bool(struct sl_call *c, const char *name, bool *out)
{
    const char *text = sl_param_get(c, name);

    if (text == NULL)
        return true;
    if (strcmp(text, "true") == 0 || strcmp(text, "false") == 0) {
        *out = text[0] == 't';
        return true;
    }
    sl_refuse_input(c, "%s must be true or false, not '%.40s'", name, text);
    return false;
}

bool
sl_word_in(const char *words, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = words; *p != '\0'; p += strcspn(p, "|"), p += *p == '|')
        if (strcspn(p, "|") == n && strncmp(p, word, n) == 0)
            return true;
    return false;
}

bool
sl_param_word(struct sl_call *c, const char *name, const char *words, const char **out)
{
    const char *text = sl_param_get(c, name);

    if (text == NULL)
        return true;
    if (sl_word_in(words, text)) {
        *out = text;
        return true;
    }
    sl_refuse_input(c, "%s must be one of %s, not '%.40s'", name, words, text);
    return false;
}

/* n digits; moves on. */
static bool
digits(const char **p, int n, int *out)
{
    *out = 0;
    for (int i = 0; i < n; i++, (*p)++) {
        if (**p < '0' || **p > '9')
            return false;
        *out = *out * 10 + (**p - '0');
    }
    return true;
}

static bool
literal(const char **p, const char *any)
{
    if (**p == '\0' || strchr(any, **p) == NULL)
        return false;
    (*p)++;
    return true;
}

/* "Z", "+02:00" or nothing (UTC). */
static bool
zone(const char **p, int *seconds)
{
    int sign, hours, minutes;

    *seconds = 0;
    if (**p == '\0')
        return true;
    if (literal(p, "Zz"))
        return true;
    sign = **p == '-' ? -1 : 1;
    /* A "+" that nobody escaped arrives as a blank. */
    if (!literal(p, "+- ") || !digits(p, 2, &hours))
        return false;
    literal(p, ":");
    if (!digits(p, 2, &minutes) || hours > 14 || minutes > 59)
        return false;
    *seconds = sign * (hours * 3600 + minutes * 60);
    return true;
}

bool
sl_time_parse(const char *s, int64_t *us)
{
    struct tm tm = { 0 };
    int offset, fraction = 0, n = 0;

    if (!digits(&s, 4, &tm.tm_year) || !literal(&s, "-") || !digits(&s, 2, &tm.tm_mon) ||
        !literal(&s, "-") || !digits(&s, 2, &tm.tm_mday))
        return false;
    if (*s != '\0') {
        if (!literal(&s, "Tt ") || !digits(&s, 2, &tm.tm_hour) || !literal(&s, ":") ||
            !digits(&s, 2, &tm.tm_min))
            return false;
        if (literal(&s, ":") && !digits(&s, 2, &tm.tm_sec))
            return false;
        if (literal(&s, ".")) {
            for (; *s >= '0' && *s <= '9'; s++, n++)
                fraction = n < 6 ? fraction * 10 + (*s - '0') : fraction;
            if (n == 0)
                return false;
            for (; n < 6; n++)
                fraction *= 10;
        }
    }
    if (!zone(&s, &offset) || *s != '\0' || tm.tm_mon < 1 || tm.tm_mon > 12 || tm.tm_mday < 1 ||
        tm.tm_mday > 31 || tm.tm_hour > 23 || tm.tm_min > 59 || tm.tm_sec > 60 || tm.tm_year < 1970)
        return false;
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *us = ((int64_t)timegm(&tm) - offset) * 1000000 + fraction;
    return true;
}

bool
sl_param_time(struct sl_call *c, const char *name, int64_t *out)
{
    const char *text = sl_param_get(c, name);

    if (text == NULL || sl_time_parse(text, out))
        return true;
    sl_refuse_input(c, "%s must be a time such as 2026-01-31T06:00:00Z, not '%.40s'", name, text);
    return false;
}

bool
sl_accepts(struct sl_call *c, const char *type)
{
    const char *accept = sl_req_header(c->req, "Accept");

    return accept != NULL && strcasestr(accept, type) != NULL;
}

/* ---- JSON ---- */

json_t *
sl_json_time(int64_t us)
{
    char text[32];

    if (us <= 0)
        return json_null();
    sl_time_text(us, text);
    return json_string(text);
}

json_t *
sl_json_stored(const char *text, const char *otherwise)
{
    json_t *v = text != NULL ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;

    return v != NULL ? v : json_loads(otherwise, JSON_DECODE_ANY, NULL);
}

char *
sl_json_dump(const json_t *v)
{
    char *text = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);

    if (text == NULL)
        abort(); /* out of memory: the values are valid UTF-8 */
    return text;
}

/* ---- answering ---- */

/* In sl_answer_of(): where the answer of the handler goes. */
struct sl_asked {
    json_t *data;
    bool answered;
};

static void
send_text(struct sl_call *c, int status, char *text)
{
    sl_req_answer(c->req, status, "application/json; charset=utf-8", text, strlen(text));
}

/* A refusal on a page is a page. */
static void
refuse_page(struct sl_call *c, int status, const char *message, va_list ap)
{
    char *text = NULL;

    if (message == NULL || vasprintf(&text, message, ap) < 0)
        text = NULL;
    c->sv->pages->refuse(c, status, text != NULL ? text : "");
    free(text);
}

/* Takes data. */
static void
envelope(struct sl_call *c, int status, const char *code, json_t *data, const char *message,
         va_list ap)
{
    json_t *o;
    char *text = NULL;

    if (c->asked != NULL && status < 400) {
        c->asked->data = data != NULL ? data : json_null();
        c->asked->answered = true;
        return;
    }
    if (c->page && !c->as_json && status >= 400) {
        refuse_page(c, status, message, ap);
        json_decref(data);
        return;
    }
    o = json_object();
    json_object_set_new(o, "code", json_string(code));
    if (message != NULL && vasprintf(&text, message, ap) >= 0) {
        json_t *s = json_string(text);

        /* Cut in the middle of a character, or bytes of a client: say it without them. */
        json_object_set_new(o, "message", s != NULL ? s : json_string("Bad request"));
    }
    if (data != NULL)
        json_object_set_new(o, "data", data);
    send_text(c, status, sl_json_dump(o));
    json_decref(o);
    free(text);
}

void
sl_say(struct sl_call *c, int status, json_t *data, const char *message, ...)
{
    va_list ap;

    va_start(ap, message);
    envelope(c, status, "Success", data, message, ap);
    va_end(ap);
}

void
sl_say_raw(struct sl_call *c, int status, struct sl_buf *data)
{
    char *text;

    if (c->asked != NULL) {
        c->asked->data = json_loadb(data->ptr, data->len, JSON_DECODE_ANY, NULL);
        c->asked->answered = c->asked->data != NULL;
        sl_buf_free(data);
        return;
    }
    text = sl_sprintf("{\"code\":\"Success\",\"data\":%s}", sl_buf_str(data));
    sl_buf_free(data);
    send_text(c, status, text);
}

void
sl_refuse(struct sl_call *c, int status, const char *code, const char *message, ...)
{
    va_list ap;

    va_start(ap, message);
    envelope(c, status, code, NULL, message, ap);
    va_end(ap);
}

void
sl_refuse_input(struct sl_call *c, const char *message, ...)
{
    va_list ap;

    va_start(ap, message);
    envelope(c, 400, "InvalidInput", NULL, message, ap);
    va_end(ap);
}

void
sl_redirect(struct sl_call *c, const char *where)
{
    sl_req_answer(c->req, 303, "text/plain; charset=utf-8", sl_strdup(""), 0);
    sl_req_header_add(c->req, "Location", where);
}

/* ---- asking another handler ---- */

static const struct sl_route *
route_of(struct sl_call *c, sl_handler *handler)
{
    for (const struct sl_route *const *t = c->sv->routes; *t != NULL; t++)
        for (const struct sl_route *r = *t; r->method != NULL; r++)
            if (r->handler == handler)
                return r;
    return NULL;
}

json_t *
sl_answer_of(struct sl_call *c, sl_handler *handler, ...)
{
    struct sl_asked asked = { 0 }, *outer = c->asked;
    const struct sl_route *route = c->route, *other = route_of(c, handler);
    struct sl_param query[8], *own = c->query;
    size_t n = 0, nown = c->nquery;
    const char *name;
    va_list ap;

    va_start(ap, handler);
    while ((name = va_arg(ap, const char *)) != NULL && n < sizeof query / sizeof query[0]) {
        query[n].name = name;
        query[n].value = va_arg(ap, const char *);
        n += query[n].value != NULL;
    }
    va_end(ap);
    if (other == NULL || c->role < other->role) {
        sl_refuse(c, 403, "Forbidden", "This needs the role %s",
                  other != NULL ? sl_role_name(other->role) : "of nobody");
        return NULL;
    }
    c->asked = &asked;
    c->route = other;
    c->query = query;
    c->nquery = n;
    handler(c);
    c->asked = outer;
    c->route = route;
    c->query = own;
    c->nquery = nown;
    return asked.answered ? asked.data : NULL;
}

/* Names as clients test them. */
static const struct {
    const char *code, *noun;
} missing[SL_K_COUNT] = {
    [SL_K_GROUP] = { "NotFound_Group", "group" },
    [SL_K_DESTINATION] = { "NotFound_Destination", "destination" },
    [SL_K_PACKAGE] = { "NotFound_ConnectorSdkPackage", "connector SDK package" },
    [SL_K_DEPLOYMENT] = { "NotFound_Deployment", "deployment" },
    [SL_K_CONNECTION] = { "NotFound_Connection", "connection" },
    [SL_K_SYNC] = { "NotFound_Sync", "sync" },
    [SL_K_STATE] = { "NotFound_State", "state" },
    [SL_K_ACTIVE] = { "NotFound", "count" },
    [SL_K_KEY] = { "NotFound_Key", "key" },
    [SL_K_USER] = { "NotFound_User", "user" },
    [SL_K_AUDIT] = { "NotFound", "audit record" },
    [SL_K_SESSION] = { "NotFound", "session" },
};

void
sl_refuse_missing(struct sl_call *c, enum sl_kind kind, const char *id)
{
    sl_refuse(c, 404, missing[kind].code, "Cannot find %s with id '%.80s'", missing[kind].noun, id);
}

static const struct {
    sl_rc rc;
    int status;
    const char *code;
} statuses[] = {
    { SL_E_NOT_FOUND, 404, "NotFound" },
    { SL_E_LOCKED, 409, "Conflict" },
    { SL_E_LIMIT, 413, "PayloadTooLarge" },
    { SL_E_CONFIG, 400, "InvalidInput" },
    { SL_E_DATA, 400, "InvalidInput" },
    { SL_E_USAGE, 400, "InvalidInput" },
    { SL_E_TIMEOUT, 503, "ServiceUnavailable" },
    { SL_E_CANCELLED, 503, "ServiceUnavailable" },
    { SL_E_DISK_FULL, 507, "InsufficientStorage" },
};

void
sl_refuse_err(struct sl_call *c, const struct sl_err *err)
{
    int status = 500;
    const char *code = "InternalError";

    for (size_t i = 0; i < sizeof statuses / sizeof statuses[0]; i++) {
        if (statuses[i].rc == err->code) {
            status = statuses[i].status;
            code = statuses[i].code;
        }
    }
    if (status >= 500)
        fprintf(stderr, "sluiced: %s %s: %s (request %s)\n", c->req->method,
                c->route ? c->route->path : "?", err->text, c->req->id);
    sl_refuse(c, status, code, "%s%s%s", err->text, err->hint[0] ? ". Hint: " : "", err->hint);
}

/* ---- records ---- */

bool
sl_call_get(struct sl_call *c, enum sl_kind kind, const char *id, void *rec)
{
    struct sl_err err = { 0 };
    sl_rc rc = sl_store_get(c->sv->pf->store, kind, id, rec, &err);

    if (rc == SL_OK)
        return true;
    if (rc == SL_E_NOT_FOUND)
        sl_refuse_missing(c, kind, id);
    else
        sl_refuse_err(c, &err);
    return false;
}

bool
sl_call_begin(struct sl_call *c)
{
    struct sl_err err = { 0 };

    if (sl_store_begin(c->sv->pf->store, &err) == SL_OK)
        return true;
    sl_refuse_err(c, &err);
    return false;
}

void
sl_call_rollback(struct sl_call *c)
{
    sl_store_rollback(c->sv->pf->store);
}

void
sl_call_fail(struct sl_call *c, const struct sl_err *err)
{
    sl_call_rollback(c);
    sl_refuse_err(c, err);
}

bool
sl_call_put(struct sl_call *c, enum sl_kind kind, void *rec)
{
    struct sl_err err = { 0 };

    if (sl_store_put(c->sv->pf->store, kind, rec, &err) == SL_OK)
        return true;
    sl_call_fail(c, &err);
    return false;
}

bool
sl_call_commit(struct sl_call *c, const char *action, enum sl_kind kind, const char *id,
               json_t *detail)
{
    struct sl_store *st = c->sv->pf->store;
    struct sl_err err = { 0 };
    char *text = detail != NULL ? sl_json_dump(detail) : NULL;
    sl_rc rc = sl_audit(st, c->actor, action, sl_record_name(kind), id, text, &err);

    json_decref(detail);
    free(text);
    if (rc == SL_OK)
        rc = sl_store_commit(st, &err);
    if (rc == SL_OK)
        return true;
    sl_call_fail(c, &err);
    return false;
}

/* ---- pages ---- */

/* base64url of {"after":<seq>}. */
json_t *
sl_page_cursor(int64_t seq)
{
    char text[48], cursor[96];
    int n = snprintf(text, sizeof text, "{\"after\":%lld}", (long long)seq);

    sodium_bin2base64(cursor, sizeof cursor, (const unsigned char *)text, (size_t)n,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    return json_string(cursor);
}

static bool
cursor_parse(const char *cursor, int64_t *seq)
{
    unsigned char text[64];
    size_t n;
    long long value;
    int used = 0;

    if (sodium_base642bin(text, sizeof text - 1, cursor, strlen(cursor), NULL, &n, NULL,
                          sodium_base64_VARIANT_URLSAFE_NO_PADDING) != 0)
        return false;
    text[n] = '\0';
    if (sscanf((const char *)text, "{\"after\":%lld}%n", &value, &used) != 1 || (size_t)used != n)
        return false;
    *seq = value;
    return value > 0;
}

bool
sl_page_read(struct sl_call *c, int64_t *after, int64_t *limit)
{
    const char *cursor = sl_param_get(c, "cursor");

    *after = 0;
    *limit = 100;
    if (!sl_param_int(c, "limit", 1, 1000, limit))
        return false;
    if (cursor == NULL || cursor_parse(cursor, after))
        return true;
    sl_refuse_input(c, "cursor '%.40s' is not one of this server; leave it out to begin again",
                    cursor);
    return false;
}

void
sl_say_page(struct sl_call *c, struct sl_query *q,
            json_t *(*item)(struct sl_call *c, const void *rec))
{
    struct sl_list list = { .kind = q->kind };
    struct sl_err err = { 0 };
    json_t *data, *items;
    int64_t limit;
    size_t size = sl_record_size(q->kind);

    if (!sl_page_read(c, &q->after_seq, &limit))
        return;
    q->limit = (int)limit + 1; /* one more shows whether there is a next page */
    if (sl_store_list(c->sv->pf->store, q, &list, &err)) {
        sl_refuse_err(c, &err);
        return;
    }
    data = json_object();
    items = json_array();
    json_object_set_new(data, "items", items);
    for (size_t i = 0; i < list.count && i < (size_t)limit; i++) {
        const char *rec = (const char *)list.items + i * size;
        json_t *o = item(c, rec);

        if (o != NULL)
            json_array_append_new(items, o);
        /* id and seq begin every record. */
        if (i + 1 == (size_t)limit && list.count > (size_t)limit)
            json_object_set_new(data, "next_cursor",
                                sl_page_cursor(((const struct sl_group *)(const void *)rec)->seq));
    }
    sl_list_free(&list);
    sl_say(c, 200, data, NULL);
}
