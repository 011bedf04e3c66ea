/* server.h - the HTTP side of sluiced: the API for clients, and the index of our own wheel.
 *
 * http/web.c       connections, bodies, deadlines, TLS
 * http/router.c    the way of a request: address → route → key → limits → body → handler → end
 * http/call.c      what handlers read from and answer with
 * api/routes.c     the table of what the API has; its handlers are api/api_*.c, one topic a file
 *
 * Everything is kept in the store; what is to run is written there and the worker woken. Nothing here waits for a sync but the requests
 * that stop one, and those that test a connection's setup.
 */
#ifndef SL_SERVER_SERVER_H
#define SL_SERVER_SERVER_H

#include "http/web.h"
#include "worker/worker.h"

struct sl_server;

struct sl_server_conf {
    struct sl_web_conf web;
    const char *url;        /* what clients and people reach it by; NULL: the address of `web` */
    const char *wheels_dir; /* wheels of our SDK for /simple/; NULL: <data>/wheels, with our own */
    /* Folders outside the data directory that may hold warehouses; NULL-terminated; NULL: none. */
    const char *const *warehouse_dirs;
};

/* Everything in conf is copied. */
SL_MUST_CHECK sl_rc sl_server_start(struct sl_server **out, struct sl_platform *pf,
                                    struct sl_worker *w, const struct sl_server_conf *conf,
                                    struct sl_err *err);
/* With the port that was chosen: "http://127.0.0.1:8080". Lent. */
const char *sl_server_url(const struct sl_server *sv);
/* Takes no more requests; those in work have `grace_us`. Stop the worker beside it: a request may wait for a setup test. */
void sl_server_stop(struct sl_server *sv, int64_t grace_us);
void sl_server_free(struct sl_server *sv); /* NULL is fine */

#endif
