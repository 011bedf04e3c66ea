#include "base/time.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t
clock_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
sl_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
}

#ifdef SL_FAULTS
/* SL_TIME_FILE holds how many microseconds the clock is moved: tests move the time of a running server. */
static int64_t
moved_us(void)
{
    static _Atomic int64_t read_at, moved;
    const char *path = getenv("SL_TIME_FILE");
    int64_t now = sl_mono_us();
    long long value;
    FILE *f;

    if (path == NULL || (read_at != 0 && now - read_at < 20000))
        return moved;
    f = fopen(path, "re");
    /* A file that is just being written keeps the old value. */
    if (f != NULL && fscanf(f, "%lld", &value) == 1)
        moved = value;
    if (f != NULL)
        fclose(f);
    read_at = now;
    return moved;
}
#else
#define moved_us() 0
#endif

int64_t
sl_now_us(void)
{
    return clock_us(CLOCK_REALTIME) + moved_us();
}

void
sl_clock_text(int64_t utc_us, char out[16])
{
    time_t t = (time_t)(utc_us / 1000000);
    struct tm tm;

    localtime_r(&t, &tm);
    strftime(out, 16, "%H:%M:%S", &tm);
    snprintf(out + 8, 8, ".%03u", (unsigned)(utc_us / 1000 % 1000) % 1000u);
}
