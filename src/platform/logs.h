/* logs.h - what connectors and the server said of syncs: INFO and up, redacted, in <dir>/logs.db.
 *
 * A log of its own file: a flood there does not hold up the store. Lines are appended in batches (10 times a second, and at
 * a sync's end before its end is recorded). Each connection has a budget of bytes; its oldest lines go first.
 * Threads: any.
 */
#ifndef SL_PLATFORM_LOGS_H
#define SL_PLATFORM_LOGS_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct sl_logs;

struct sl_log_line {
    int64_t seq; /* rises over all lines of the server */
    int64_t time;
    const char *connection_id, *sync_id;
    const char *level;  /* "INFO", "WARNING", "ERROR", "SEVERE", "CRITICAL" */
    const char *origin; /* "connector", "sdk", "sluice" */
    const char *text;
    size_t len;
};

/* `budget`: bytes per connection; 0: 50 MB. */
SL_MUST_CHECK sl_rc sl_logs_open(struct sl_logs **out, const char *dir, int64_t budget,
                                 struct sl_err *err);
void sl_logs_close(struct sl_logs *l);

/* Queues a line (copied; connection_id and sync_id may be NULL; a text beyond 256 KiB is cut, which it says). Blocks while more
 * than 8 MB wait to be written. Lines that cannot be written are dropped, counted, and told on stderr once until writing works
 * again. */
void sl_logs_add(struct sl_logs *l, const struct sl_log_line *line);
/* Everything added before is readable afterwards (or was dropped). */
void sl_logs_flush(struct sl_logs *l);
int64_t sl_logs_dropped(struct sl_logs *l);
/* From the next batch on. */
void sl_logs_set_budget(struct sl_logs *l, int64_t budget);
/* Waits until a line with a larger seq than `after` may be there, or `timeout_us`. */
void sl_logs_wait(struct sl_logs *l, int64_t after, int64_t timeout_us);

struct sl_log_query {
    const char *connection_id, *sync_id; /* either may be NULL */
    const char *level;                   /* least level, NULL: all */
    const char *text;                    /* contains, case-insensitive for ASCII; NULL: all */
    int64_t since_us, before_us;         /* 0: open */
    int64_t after_seq; /* 0: from the beginning; descending: before it, 0: from the newest */
    bool descending;
    int limit; /* 0: all */
};
/* Calls `line` for each; a false return ends it. What a line points to is lent for the call. */
SL_MUST_CHECK sl_rc sl_logs_read(struct sl_logs *l, const struct sl_log_query *q,
                                 bool (*line)(void *ctx, const struct sl_log_line *line), void *ctx,
                                 struct sl_err *err);
/* Removes the lines of a connection. */
SL_MUST_CHECK sl_rc sl_logs_forget(struct sl_logs *l, const char *connection_id,
                                   struct sl_err *err);

#endif
