#include "base/time.h"

#include <stdio.h>
#include <time.h>

static int64_t
clock_us(clockid_t id)
{
    struct timespec ts;

    clock_gettime(id, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

int64_t
sl_now_us(void)
{
    return clock_us(CLOCK_REALTIME);
}

int64_t
sl_mono_us(void)
{
    return clock_us(CLOCK_MONOTONIC);
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
