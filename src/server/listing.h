/* listing.h - what is in a store, for an operator in a terminal. */
#ifndef SL_SERVER_LISTING_H
#define SL_SERVER_LISTING_H

#include "platform/store.h"

/* A table on stdout, or a JSON array. `limit` of the newest syncs. */
SL_MUST_CHECK sl_rc sl_show_connections(struct sl_store *st, bool json, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_show_syncs(struct sl_store *st, bool json, int limit, struct sl_err *err);
/* What runs now, then what is due next. */
SL_MUST_CHECK sl_rc sl_show_jobs(struct sl_store *st, bool json, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_show_keys(struct sl_store *st, bool json, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_show_users(struct sl_store *st, bool json, struct sl_err *err);

#endif
