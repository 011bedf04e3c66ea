#include "platform/readers.h"

#include "base/cond.h"
#include "base/time.h"

#define WAIT_US (30 * INT64_C(1000000))

void
sl_readers_init(struct sl_readers *pool)
{
    pthread_mutex_init(&pool->lock, NULL);
    sl_cond_init(&pool->given);
}

void
sl_readers_close(struct sl_readers *pool)
{
    for (int i = 0; i < pool->count; i++)
        sl_db_close(&pool->list[i]);
    pthread_mutex_destroy(&pool->lock);
    pthread_cond_destroy(&pool->given);
}

/* Index of one that is not lent, or -1. Under the lock. */
static int
free_one(const struct sl_readers *pool)
{
    for (int i = 0; i < pool->count; i++)
        if (!pool->taken[i])
            return i;
    return -1;
}

sl_rc
sl_readers_take(struct sl_readers *pool, struct sl_db **db, struct sl_err *err)
{
    int64_t until = sl_mono_us() + WAIT_US;
    sl_rc rc;
    int at;

    *db = NULL;
    pthread_mutex_lock(&pool->lock);
    at = free_one(pool);
    while (at < 0 && sl_cond_wait(&pool->given, &pool->lock, until))
        at = free_one(pool);
    if (at >= 0)
        pool->taken[at] = true;
    pthread_mutex_unlock(&pool->lock);
    if (at < 0)
        return sl_fail(err, SL_E_TIMEOUT, "the %s is busy: %d reads did not end in time",
                       pool->what, pool->count);
    if (pool->list[at].db == NULL) {
        rc = sl_db_open(&pool->list[at], pool->path, SL_DB_READ, pool->app_id, pool->durable, err);
        if (rc) {
            sl_readers_give(pool, &pool->list[at]);
            return rc;
        }
    }
    *db = &pool->list[at];
    return SL_OK;
}

void
sl_readers_give(struct sl_readers *pool, struct sl_db *db)
{
    if (db == NULL)
        return;
    pthread_mutex_lock(&pool->lock);
    pool->taken[db - pool->list] = false;
    pthread_cond_signal(&pool->given);
    pthread_mutex_unlock(&pool->lock);
}
