/* http.h - requests to a server's REST API: JSON or one file up, JSON down, over HTTP or HTTPS.
 *
 * A client keeps one connection open from request to request. Certificates are always verified; which authorities are trusted
 * comes from CURL_CA_BUNDLE, SSL_CERT_FILE or SSL_CERT_DIR, else from the system's store. Redirects are not followed: the key
 * would go to wherever they point. Proxies come from the usual variables, never for this machine's own addresses.
 *
 * Deadlines: connecting CONNECT_MS; then a request ends when nothing moves for its idle time, and at its total time anyway.
 * Repeats: when the server could not be reached, for 429 (Retry-After), and, for requests that may be repeated, also when the
 * connection broke and for 502 to 504; with growing pauses, at most SL_HTTP_TRIES times in all.
 *
 * Threads: one at a time per client. sl_http_open() initialises libcurl and wants to be called first from the main thread.
 */
#ifndef SL_RUNTIME_HTTP_H
#define SL_RUNTIME_HTTP_H

#include "base/buf.h"
#include "base/err.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* Pauses of 0.5, 1 and 2 seconds: what a restarting server takes, and short enough to wait for. */
#define SL_HTTP_TRIES 4
/* A server that asks for a longer pause than this is not waited for. */
#define SL_HTTP_PAUSE_MAX_S 60
/* The largest answer taken. A page of 1000 connections is under 2 MB. */
#define SL_HTTP_BODY_MAX (64u << 20)

struct sl_http;

struct sl_http_conf {
    const char *address;       /* as sl_http_address() gives it */
    const char *authorization; /* the header's value, "Basic …"; NULL: none */
    int64_t idle_s;            /* what the user asks for, for every request; 0: not set */
    atomic_int *stop;          /* not 0: the request is SL_E_CANCELLED; may be NULL */
    /* Called several times a second: bytes of the file sent, or 0 and 0 while there is nothing to send and the answer is waited
     * for. And before each pause, why there is one. Both may be NULL. */
    void (*progress)(void *ctx, uint64_t sent, uint64_t total);
    void (*waiting)(void *ctx, const char *why);
    void *ctx;
};

struct sl_http_request {
    const char *method; /* GET, POST, PATCH, DELETE */
    const char *path;   /* after the address: "/v1/groups?limit=500" */
    const char *json;   /* body, or NULL */
    int fd; /* with file_name: the file sent as the only part, "file", from its beginning */
    const char *file_name; /* NULL: no file */
    uint64_t file_size;
    bool repeatable; /* a second time does no harm */
    int64_t idle_s;  /* how long nothing may move; 0: 60 */
};

struct sl_http_answer {
    long status;
    struct sl_buf body;
    char type[64];       /* media type, lower case, without parameters; may be empty */
    char dashboard[256]; /* X-Sluice-Dashboard; may be empty */
    char location[256];  /* of a redirect; may be empty */
    int64_t retry_after; /* seconds; -1: not said */
};

/* "https://host:port" from what people give: with or without /v1 and a slash at the end. SL_E_USAGE says what is wrong with it;
 * `what` names where it came from. New memory. */
SL_MUST_CHECK sl_rc sl_http_address(const char *given, const char *what, char **out,
                                    struct sl_err *err);
/* True for http:// to another machine: what is sent can be read on the way. */
bool sl_http_in_clear(const char *address);
/* One part of a path or query, percent-encoded. New memory. */
char *sl_http_escape(const char *text);

SL_MUST_CHECK sl_rc sl_http_open(struct sl_http **out, const struct sl_http_conf *conf,
                                 struct sl_err *err);
void sl_http_close(struct sl_http *http); /* NULL is fine */

/* An answer of whatever status is SL_OK; the caller judges it and ends it with sl_http_answer_free(), also after an error.
 * SL_E_UNREACHABLE: no answer, and the request did not arrive. SL_E_UNKNOWN: no answer, and it may have been carried out.
 * SL_E_CANCELLED, SL_E_LIMIT (answer too large). */
SL_MUST_CHECK sl_rc sl_http_send(struct sl_http *http, const struct sl_http_request *req,
                                 struct sl_http_answer *ans, struct sl_err *err);
void sl_http_answer_free(struct sl_http_answer *ans);

#endif
