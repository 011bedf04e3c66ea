/* readers.h - a few connections that only read one SQLite file, lent to the threads that want them.
 *
 * They are opened when first needed; who finds all of them lent waits for one, which takes milliseconds.
 * Internal to this folder: store and logs each have a pool.
 * Threads: any; a reader that was taken is the taker's until it is given back.
 */
#ifndef SL_PLATFORM_READERS_H
#define SL_PLATFORM_READERS_H

#include "platform/sqlite.h"

#include <pthread.h>

#define SL_READERS_MAX 8

struct sl_readers {
    const char *path, *what; /* lent: the file, and its name in messages: "store" */
    int app_id;
    bool durable; /* both as sl_db_open() wants them */
    int count;
    pthread_mutex_t lock;
    pthread_cond_t given;
    struct sl_db list[SL_READERS_MAX];
    bool taken[SL_READERS_MAX];
};

/* Before the first use; the fields above `lock` are the caller's to set. */
void sl_readers_init(struct sl_readers *pool);
/* None may be lent. */
void sl_readers_close(struct sl_readers *pool);
/* SL_E_TIMEOUT when none came back within 30 s. */
SL_MUST_CHECK sl_rc sl_readers_take(struct sl_readers *pool, struct sl_db **db, struct sl_err *err);
void sl_readers_give(struct sl_readers *pool, struct sl_db *db); /* NULL is fine */

#endif
