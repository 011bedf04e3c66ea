#include "platform/schedule.h"

#include <sodium.h>
#include <stdio.h>

#define MINUTE_US INT64_C(60000000)
#define DAY_MINUTES 1440

static const int64_t frequencies[] = { 1, 5, 15, 30, 60, 120, 180, 360, 480, 720, DAY_MINUTES };

bool
sl_frequency_ok(int64_t minutes)
{
    for (size_t i = 0; i < sizeof frequencies / sizeof frequencies[0]; i++)
        if (frequencies[i] == minutes)
            return true;
    return false;
}

const char *
sl_frequencies(void)
{
    return "1, 5, 15, 30, 60, 120, 180, 360, 480, 720, 1440";
}

/* Minutes past midnight of "HH:MM"; -1 for anything else. */
static int
minutes_of(const char *text)
{
    int h, m, n = 0;

    if (text == NULL || sscanf(text, "%2d:%2d%n", &h, &m, &n) != 2 || text[n] != '\0' || h < 0 ||
        h > 23 || m < 0 || m > 59)
        return -1;
    return h * 60 + m;
}

static bool
is_daily(const struct sl_connection *c)
{
    return c->sync_frequency == DAY_MINUTES && minutes_of(c->daily_sync_time) >= 0;
}

static int64_t
interval_us(const struct sl_connection *c)
{
    return (c->sync_frequency > 0 ? c->sync_frequency : 1) * MINUTE_US;
}

/* Where in its interval a connection's slots lie. */
static int64_t
offset_us(const struct sl_connection *c, int zone_hours)
{
    uint64_t hash = 0;

    if (is_daily(c)) {
        int64_t local = minutes_of(c->daily_sync_time) - 60 * (int64_t)zone_hours;

        return (local + 2 * DAY_MINUTES) % DAY_MINUTES * MINUTE_US;
    }
    crypto_generichash((unsigned char *)&hash, sizeof hash, (const unsigned char *)c->id,
                       strlen(c->id), NULL, 0);
    return (int64_t)(hash % (uint64_t)interval_us(c));
}

/* How many slots lie at or before `t`, counted from the epoch on: rounds down, also before it. */
static int64_t
slots_until(int64_t t, int64_t interval, int64_t offset)
{
    int64_t d = t - offset;

    return d / interval - (d % interval < 0);
}

bool
sl_runs_by_itself(const struct sl_connection *c)
{
    return !c->paused && (c->schedule_type == NULL || strcmp(c->schedule_type, "manual") != 0);
}

int64_t
sl_next_slot(const struct sl_connection *c, int zone_hours, int64_t after)
{
    int64_t interval = interval_us(c), offset = offset_us(c, zone_hours);

    if (!sl_runs_by_itself(c))
        return 0;
    return (slots_until(after, interval, offset) + 1) * interval + offset;
}

int64_t
sl_slots_between(const struct sl_connection *c, int zone_hours, int64_t from, int64_t to)
{
    int64_t interval = interval_us(c), offset = offset_us(c, zone_hours);

    if (!sl_runs_by_itself(c) || to <= from)
        return 0;
    return slots_until(to, interval, offset) - slots_until(from, interval, offset);
}

int64_t
sl_backoff_us(int64_t failures, uint32_t random)
{
    int64_t minutes = failures < 1 ? 1 : failures > 6 ? 60 : INT64_C(1) << (failures - 1);
    int64_t base = minutes * MINUTE_US;

    /* ±10 %: a whole number of thousandths from -100 to 100. */
    return base + base / 1000 * ((int64_t)(random % 201) - 100);
}

bool
sl_is_delayed(const struct sl_connection *c, int64_t now)
{
    if (c->next_run_at == 0 || c->running_sync != NULL || c->paused)
        return false;
    return now - c->next_run_at > MINUTE_US + interval_us(c) / 10;
}
