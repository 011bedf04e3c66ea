/* call.h - one request on its way through a handler: what it asks, and the answer.
 *
 * Every answer is an object {"code", "message"?, "data"?}. A handler answers exactly once, by one of sl_say* or sl_refuse*.
 * Ownership: everything a call lends lives until its end. json_t handed to sl_say() is taken.
 */
#ifndef SL_HTTP_CALL_H
#define SL_HTTP_CALL_H

#include "base/arena.h"
#include "http/web.h"
#include "platform/sessions.h"
#include "worker/message.h"
#include "worker/worker.h"

struct sl_asked;
struct sl_call;
struct sl_limits;
struct sl_multipart;
struct sl_route;

#define KIB ((size_t)1 << 10)
#define MIB ((size_t)1 << 20)
#define SL_CALL_ARGS 4

/* What the dashboard gives to the layers below it. */
struct sl_pages {
    const char *prefix; /* first segment of its addresses */
    const char *login;  /* where to send who is not logged in; "?next=" comes behind it */
    /* Answers what was refused with a page. The text is one sentence. */
    void (*refuse)(struct sl_call *c, int status, const char *text);
};

struct sl_server {
    struct sl_platform *pf;
    struct sl_worker *w;
    struct sl_web *http;
    struct sl_limits *limits;
    const struct sl_route *const *routes; /* the tables of what there is; NULL-terminated */
    const struct sl_pages *pages;         /* NULL: none */
    bool secure;                          /* browsers reach it by https */
    char *url;                            /* as people reach it; NULL: sl_web_url() */
    char *wheels_dir;                     /* the operator's; NULL: own_wheels */
    char *own_wheels;                     /* <data>/wheels, filled by wheel.c */
    char **warehouse_dirs;                /* NULL-terminated */
    int64_t started_at;
};

typedef void sl_handler(struct sl_call *c);

enum sl_route_flag {
    SL_PUBLIC = 1, /* without a key */
    SL_UPLOAD = 2, /* the body is a multipart form with one file */
    SL_RAW = 4,    /* the handler reads the body's text itself */
    SL_STREAM = 8, /* may answer text/event-stream */
    SL_ANY = 16,   /* answers something else than JSON: no 406 */
    SL_OPTIONAL =
        32,       /* a key is checked if there is one, or if the client is not on this machine */
    SL_FORM = 64, /* the body is a form of a page; fields are texts of c->body */
};

struct sl_route {
    const char *method;
    const char *path; /* ":name" is one segment */
    enum sl_role role;
    size_t body_cap; /* 0: no body is read */
    unsigned flags;
    sl_handler *handler;
};
/* A table of them ends with a zero entry. Literal paths stand before those with a name in that place; a path stands in one table. */

struct sl_param {
    const char *name, *value;
};

struct sl_call {
    struct sl_server *sv;
    struct sl_req *req;
    const struct sl_route *route;
    struct sl_arena arena;
    const char *segs[12]; /* of the path, decoded and folded */
    int nsegs;
    const char *args[SL_CALL_ARGS]; /* what stands for the route's names, in order */
    struct sl_param *query;
    size_t nquery;
    /* who asks: an API key, a session of the dashboard, or nobody */
    struct sl_key key;   /* zeros without one */
    struct sl_user user; /* of the session; zeros without one */
    const char *token;   /* of the session, lent; NULL without one */
    const char *user_id; /* of either */
    enum sl_role role;
    char actor[72];         /* "key:<id>", "user:<id>" */
    bool page;              /* a page of the dashboard: what is refused is a page, too */
    bool as_json;           /* of which the JSON twin is wanted */
    struct sl_asked *asked; /* inside sl_answer_of() */
    json_t *body;           /* an object, empty if nothing was sent */
    struct sl_multipart *form;
    int rate_left;
};

/* ---- reading ---- */

/* NULL when it is not there. */
const char *sl_param_get(const struct sl_call *c, const char *name);
/* These answer 400 and return false for what is no such value. Absent: *out stays. */
bool sl_param_int(struct sl_call *c, const char *name, int64_t min, int64_t max, int64_t *out);
bool sl_param_time(struct sl_call *c, const char *name, int64_t *out);
bool sl_param_bool(struct sl_call *c, const char *name, bool *out);
/* One of "a|b". */
bool sl_param_word(struct sl_call *c, const char *name, const char *words, const char **out);
bool sl_word_in(const char *words, const char *word);
/* "2026-11-23T06:41:30.880174Z", other offsets, or without fraction. */
bool sl_time_parse(const char *s, int64_t *us);
/* Whether `Accept` names this type (not by a wildcard). */
bool sl_accepts(struct sl_call *c, const char *type);

/* ---- answering ---- */

/* 303: see there, with GET. */
void sl_redirect(struct sl_call *c, const char *where);
/* code "Success"; message and data may be NULL. */
void sl_say(struct sl_call *c, int status, json_t *data, const char *message, ...) SL_PRINTF(4, 5);
/* `data` as text of our making; the buffer is emptied. */
void sl_say_raw(struct sl_call *c, int status, struct sl_buf *data);
void sl_refuse(struct sl_call *c, int status, const char *code, const char *message, ...)
    SL_PRINTF(4, 5);
/* 400 InvalidInput. */
void sl_refuse_input(struct sl_call *c, const char *message, ...) SL_PRINTF(2, 3);
/* "Cannot find connection with id 'x'", NotFound_Connection. */
void sl_refuse_missing(struct sl_call *c, enum sl_kind kind, const char *id);
/* From an error of the layers below. */
void sl_refuse_err(struct sl_call *c, const struct sl_err *err);

/* What another handler would answer: its data, a new reference. NULL when it refused, which is the answer then. It sees the same
 * args, and this query: names and values in turn, ended by NULL. Whoever may not call its route is refused. */
json_t *sl_answer_of(struct sl_call *c, sl_handler *handler, ...) __attribute__((sentinel));

/* null for 0. */
json_t *sl_json_time(int64_t us);
/* What the stored text says; a new `otherwise` ("[]", "{}") for NULL or what is no JSON. */
json_t *sl_json_stored(const char *text, const char *otherwise);
char *sl_json_dump(const json_t *v);

/* ---- records ---- */

/* Answers 404 (or 500) and returns false when there is none. */
bool sl_call_get(struct sl_call *c, enum sl_kind kind, const char *id, void *rec);
/* A transaction; false has answered. After a true sl_call_begin() either sl_call_commit() or sl_call_rollback(). */
bool sl_call_begin(struct sl_call *c);
bool sl_call_put(struct sl_call *c, enum sl_kind kind, void *rec);
/* Adds the audit record and commits. Rolls back and answers when that fails. detail is taken, may be NULL. */
bool sl_call_commit(struct sl_call *c, const char *action, enum sl_kind kind, const char *id,
                    json_t *detail);
void sl_call_rollback(struct sl_call *c);
/* Rolls back and answers. */
void sl_call_fail(struct sl_call *c, const struct sl_err *err);

/* Answers with one page of `q` by the query's `cursor` and `limit` (1 … 1000, default 100). Each item is one record's object; NULL
 * leaves it out. */
void sl_say_page(struct sl_call *c, struct sl_query *q,
                 json_t *(*item)(struct sl_call *c, const void *rec));
/* The same in parts, for lists that do not come from the store: false has answered. */
bool sl_page_read(struct sl_call *c, int64_t *after, int64_t *limit);
/* Cursors are opaque: this one stands for "after seq". New reference. */
json_t *sl_page_cursor(int64_t seq);

#endif
