/* router.h - the way of a request through the server (see router.c). */
#ifndef SL_HTTP_ROUTER_H
#define SL_HTTP_ROUTER_H

#include "http/call.h"

/* For sl_web_app; ctx is the struct sl_server. */
void sl_route_begin(void *ctx, struct sl_req *r);
void sl_route_finish(void *ctx, struct sl_req *r);
void sl_route_end(void *ctx, struct sl_req *r);

/* Counts of answers since the start, by the hundreds of their status (index 1 … 5), for the metrics. */
void sl_route_counts(int64_t counts[6]);

#endif
