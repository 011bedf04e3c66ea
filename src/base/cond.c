#include "base/cond.h"

#include "base/time.h"

#include <time.h>

void
sl_cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;

    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(cond, &attr);
    pthread_condattr_destroy(&attr);
}

bool
sl_cond_wait(pthread_cond_t *cond, pthread_mutex_t *lock, int64_t until)
{
    struct timespec ts = { until / 1000000, until % 1000000 * 1000 };

    return pthread_cond_timedwait(cond, lock, &ts) == 0 || sl_mono_us() < until;
}
