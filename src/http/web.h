/* web.h - HTTP and TLS, and nothing of the product: requests come in, answers go out.
 *
 * libmicrohttpd with a thread per connection. What it leaves to us is here: a deadline for each phase of a connection (a client
 * that drips bytes is cut off however steadily it drips), a ceiling for every body, and an orderly stop.
 *
 * A request lives in three calls of the application, all on its connection's thread:
 *   begin   the head is here. Answers (a refusal; the body is then read and dropped), or says where the body goes
 *   finish  the body is here, too. Answers
 *   end     the answer is on its way or the client is gone. Frees req->user
 * Every request that began ends. Other requests run at the same time.
 */
#ifndef SL_HTTP_WEB_H
#define SL_HTTP_WEB_H

#include "base/buf.h"

#include <jansson.h>
#include <sys/types.h>

struct sl_web;
struct MHD_Connection;
struct MHD_Response;

/* A head larger than this is refused: 431. No client of ours sends more than 2 KiB. */
#define SL_WEB_HEAD_MAX (16u << 10)

struct sl_web_conf {
    const char *host;                 /* "127.0.0.1", "::1"; NULL: every address of IPv4 and IPv6 */
    int port;                         /* 0: any free one */
    const char *cert_file, *key_file; /* PEM; both or neither */
    int connections;                  /* at once; 0: 512 */
    int per_address;                  /* of them from one address; 0: 256 */
    bool access_log;                  /* a line of JSON on stderr for each request */
};

struct sl_req {
    /* the request */
    const char *method;
    char *target;     /* path and query as they were sent */
    char address[64]; /* of the client, without port */
    bool loopback;
    char id[17];
    char who[72];    /* for the access log: the application fills it */
    int64_t began;   /* monotonic */
    uint64_t length; /* of the body as announced; UINT64_MAX: chunked */
    /* the body: begin() says how much is taken (0 at first) and, if it is not to be gathered in `body`, who takes it */
    size_t body_cap;
    void (*sink)(struct sl_req *r, const void *ptr, size_t len);
    struct sl_buf body;
    uint64_t received;
    bool too_large; /* more came than body_cap: what was gathered is incomplete */
    /* the answer */
    int status; /* 0: none yet */
    /* of the application */
    void *user;
    /* of web.c */
    struct sl_web *http;
    struct MHD_Connection *conn;
    struct MHD_Response *response;
    bool begun, queued, on_the_way;
};

struct sl_web_app {
    void *ctx;
    void (*begin)(void *ctx, struct sl_req *r);
    void (*finish)(void *ctx, struct sl_req *r);
    void (*end)(void *ctx, struct sl_req *r);
};

SL_MUST_CHECK sl_rc sl_web_start(struct sl_web **out, const struct sl_web_conf *conf,
                                 const struct sl_web_app *app, struct sl_err *err);
/* "http://127.0.0.1:8080", with the port that was chosen. Lent. */
const char *sl_web_url(const struct sl_web *h);
/* Takes no more requests, lets those in work finish for `grace_us`, then cuts them off. Streams end at once. */
void sl_web_stop(struct sl_web *h, int64_t grace_us);
bool sl_web_stopping(const struct sl_web *h);
void sl_web_free(struct sl_web *h); /* stops, if nobody did; NULL is fine */

/* "2026-11-23T06:41:30.880174Z" */
void sl_time_text(int64_t us, char out[32]);

/* Lent; NULL when it was not sent. The name in any case. */
const char *sl_req_header(struct sl_req *r, const char *name);

/* The same of a cookie. */
const char *sl_req_cookie(struct sl_req *r, const char *name);

/* One of these answers; status is 0 before. The answer's headers are added after it. */
void sl_req_answer(struct sl_req *r, int status, const char *type, char *text,
                   size_t len); /* takes */
void sl_req_answer_fd(struct sl_req *r, int status, const char *type, int fd,
                      uint64_t size); /* takes */
void sl_req_header_add(struct sl_req *r, const char *name, const char *value);
/* In place of what the answer has by that name. */
void sl_req_header_set(struct sl_req *r, const char *name, const char *value);

/* A stream of events (text/event-stream). `next` appends what there is to tell and returns true, waiting for at most a second; false
 * ends the stream. Between events the client gets a comment every 15 s, so that a dead one is noticed. `done` frees ctx. */
struct sl_stream {
    bool (*next)(void *ctx, struct sl_buf *out);
    void (*done)(void *ctx);
    void *ctx;
};
void sl_req_answer_stream(struct sl_req *r, const struct sl_stream *stream);

#endif
