#include "platform/schedule.h"

#include <setjmp.h>
#include <sodium.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define MINUTE INT64_C(60000000)
#define DAY (1440 * MINUTE)
/* 2026-11-25 00:00 UTC */
#define MIDNIGHT (INT64_C(1795564800) * 1000000)

static const int64_t frequencies[] = { 1, 5, 15, 30, 60, 120, 180, 360, 480, 720, 1440 };
#define NFREQUENCIES (sizeof frequencies / sizeof frequencies[0])

static int64_t
random_time(int64_t from, int64_t span)
{
    uint64_t r;

    randombytes_buf(&r, sizeof r);
    return from + (int64_t)(r % (uint64_t)span);
}

static struct sl_connection
random_connection(char id[32])
{
    struct sl_connection c = { .id = id, .schedule_type = (char *)"auto" };

    snprintf(id, 32, "id_%u", randombytes_uniform(1000000));
    c.sync_frequency = frequencies[randombytes_uniform(NFREQUENCIES)];
    if (c.sync_frequency == 1440 && randombytes_uniform(2))
        c.daily_sync_time = (char *)(randombytes_uniform(2) ? "14:00" : "00:00");
    return c;
}

/* Going from slot to slot meets each once, an interval apart, from wherever one starts between two. */
static void
no_slot_is_lost_and_none_comes_twice(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        char id[32];
        struct sl_connection c = random_connection(id);
        int zone = (int)randombytes_uniform(27) - 12;
        int64_t step = c.sync_frequency * MINUTE, t = random_time(MIDNIGHT, 400 * DAY);
        int64_t slot = sl_next_slot(&c, zone, t);

        assert_true(slot > t && slot <= t + step);
        for (int i = 0; i < 20; i++) {
            int64_t next = sl_next_slot(&c, zone, slot);

            assert_int_equal(next, slot + step);
            assert_int_equal(sl_next_slot(&c, zone, random_time(slot, step)), next);
            assert_int_equal(sl_next_slot(&c, zone, slot - 1), slot);
            slot = next;
        }
    }
}

/* Slots counted between two times are those met by going; counts add up over any cut. */
static void
counts_are_what_one_meets(void **state)
{
    (void)state;
    for (int round = 0; round < 2000; round++) {
        char id[32];
        struct sl_connection c = random_connection(id);
        int zone = (int)randombytes_uniform(27) - 12;
        int64_t from = random_time(MIDNIGHT, 400 * DAY);
        int64_t to = random_time(from, 50 * c.sync_frequency * MINUTE), met = 0, cut;

        for (int64_t s = sl_next_slot(&c, zone, from); s <= to; s = sl_next_slot(&c, zone, s))
            met++;
        assert_int_equal(sl_slots_between(&c, zone, from, to), met);
        cut = random_time(from, to - from + 1);
        assert_int_equal(
            sl_slots_between(&c, zone, from, cut) + sl_slots_between(&c, zone, cut, to), met);
        assert_int_equal(sl_slots_between(&c, zone, to, from), 0);
    }
}

/* A scheduler that sleeps, is late, restarts: what it claims covers every slot exactly once. */
static void
a_late_server_covers_every_slot_once(void **state)
{
    (void)state;
    for (int round = 0; round < 500; round++) {
        char id[32];
        struct sl_connection c = random_connection(id);
        int64_t step = c.sync_frequency * MINUTE, start = random_time(MIDNIGHT, DAY), now = start,
                covered = 0;
        int64_t next = sl_next_slot(&c, 0, now);

        for (int i = 0; i < 30; i++) {
            now = random_time(next, 7 * step);
            covered += 1 + sl_slots_between(&c, 0, next, now);
            next = sl_next_slot(&c, 0, now);
            assert_true(next > now);
        }
        assert_int_equal(covered, sl_slots_between(&c, 0, start, now));
    }
}

static void
connections_spread_over_their_interval(void **state)
{
    enum { CELLS = 30, COUNT = 3000 };

    (void)state;
    for (size_t f = 1; f < NFREQUENCIES; f++) {
        int cells[CELLS] = { 0 };
        int64_t step = frequencies[f] * MINUTE;

        for (int i = 0; i < COUNT; i++) {
            char id[32];
            struct sl_connection c = { .id = id, .sync_frequency = frequencies[f] };

            snprintf(id, sizeof id, "word_%d", i);
            cells[(sl_next_slot(&c, 0, MIDNIGHT) - MIDNIGHT - 1) * CELLS / step]++;
        }
        /* A hundred each on average; 50 is five standard deviations away. */
        for (int i = 0; i < CELLS; i++)
            assert_in_range(cells[i], 50, 150);
    }
}

static void
a_daily_time_is_of_the_destinations_zone(void **state)
{
    static const struct {
        const char *time;
        int zone, hour; /* in UTC */
    } cases[] = {
        { "14:00", 0, 14 }, { "14:00", 2, 12 },  { "14:00", -5, 19 }, { "00:00", 1, 23 },
        { "23:00", -3, 2 }, { "00:00", 14, 10 }, { "12:00", -12, 0 }, { "00:00", 0, 0 },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_connection c = { .id = (char *)"x",
                                   .sync_frequency = 1440,
                                   .daily_sync_time = (char *)cases[i].time };
        int64_t slot = sl_next_slot(&c, cases[i].zone, MIDNIGHT + 1);

        assert_int_equal((slot / MINUTE) % 1440, cases[i].hour * 60);
        assert_true(slot > MIDNIGHT && slot <= MIDNIGHT + DAY);
    }
    {
        /* Only with a day's interval. */
        struct sl_connection a = { .id = (char *)"x",
                                   .sync_frequency = 60,
                                   .daily_sync_time = (char *)"14:00" };
        struct sl_connection b = { .id = (char *)"x", .sync_frequency = 60 };

        assert_int_equal(sl_next_slot(&a, 3, MIDNIGHT), sl_next_slot(&b, 0, MIDNIGHT));
    }
}

static void
paused_and_manual_ones_have_no_slots(void **state)
{
    struct sl_connection c = { .id = (char *)"x", .sync_frequency = 5, .paused = true };

    (void)state;
    assert_int_equal(sl_next_slot(&c, 0, MIDNIGHT), 0);
    assert_int_equal(sl_slots_between(&c, 0, MIDNIGHT, MIDNIGHT + DAY), 0);
    c.paused = false;
    c.schedule_type = (char *)"manual";
    assert_int_equal(sl_next_slot(&c, 0, MIDNIGHT), 0);
    c.schedule_type = (char *)"auto";
    assert_true(sl_next_slot(&c, 0, MIDNIGHT) > 0);
    assert_int_equal(sl_slots_between(&c, 0, MIDNIGHT, MIDNIGHT + DAY), 288);
}

static void
waits_after_failures_double_up_to_an_hour(void **state)
{
    static const int minutes[] = { 1, 1, 2, 4, 8, 16, 32, 60, 60, 60 };

    (void)state;
    for (int n = 0; n < 10; n++)
        for (int i = 0; i < 1000; i++) {
            int64_t w = sl_backoff_us(n, randombytes_random());

            assert_true(w >= minutes[n] * MINUTE / 10 * 9 && w <= minutes[n] * MINUTE / 10 * 11);
        }
    assert_true(sl_backoff_us(INT64_MAX, 7) <= 66 * MINUTE);
    assert_true(sl_backoff_us(1, 0) != sl_backoff_us(1, 100));
}

static void
late_ones_are_shown_as_delayed(void **state)
{
    struct sl_connection c = { .id = (char *)"x", .sync_frequency = 60, .next_run_at = MIDNIGHT };

    (void)state;
    assert_false(sl_is_delayed(&c, MIDNIGHT));
    assert_false(sl_is_delayed(&c, MIDNIGHT + 7 * MINUTE));
    assert_true(sl_is_delayed(&c, MIDNIGHT + 7 * MINUTE + 1));
    c.running_sync = (char *)"s";
    assert_false(sl_is_delayed(&c, MIDNIGHT + DAY));
    c.running_sync = NULL;
    c.paused = true;
    assert_false(sl_is_delayed(&c, MIDNIGHT + DAY));
}

static void
frequencies_are_a_closed_list(void **state)
{
    int n = 0;

    (void)state;
    for (int64_t m = -5; m < 3000; m++)
        n += sl_frequency_ok(m);
    assert_int_equal(n, NFREQUENCIES);
    for (size_t i = 0; i < NFREQUENCIES; i++) {
        char text[16];

        assert_true(sl_frequency_ok(frequencies[i]));
        snprintf(text, sizeof text, "%d", (int)frequencies[i]);
        assert_non_null(strstr(sl_frequencies(), text));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_slot_is_lost_and_none_comes_twice),
        cmocka_unit_test(counts_are_what_one_meets),
        cmocka_unit_test(a_late_server_covers_every_slot_once),
        cmocka_unit_test(connections_spread_over_their_interval),
        cmocka_unit_test(a_daily_time_is_of_the_destinations_zone),
        cmocka_unit_test(paused_and_manual_ones_have_no_slots),
        cmocka_unit_test(waits_after_failures_double_up_to_an_hour),
        cmocka_unit_test(late_ones_are_shown_as_delayed),
        cmocka_unit_test(frequencies_are_a_closed_list),
    };

    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
