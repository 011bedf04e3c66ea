#include "platform/logs.h"

#include "base/time.h"
#include "platform/rig_test.h"
#include "platform/sqlite.h"

#include <pthread.h>
#include <sys/stat.h>

static struct sl_logs *l;

static int
set_up(void **state)
{
    rig_set_up(state);
    ok(sl_logs_open(&l, rig_dir, 0, &err));
    return 0;
}

static int
tear_down(void **state)
{
    sl_logs_close(l);
    l = NULL;
    return rig_tear_down(state);
}

static void
add(const char *connection, const char *sync, const char *level, const char *text)
{
    struct sl_log_line line = { .connection_id = connection,
                                .sync_id = sync,
                                .level = level,
                                .origin = "connector",
                                .text = text,
                                .len = strlen(text) };

    sl_logs_add(l, &line);
}

/* What a query gives: the texts, joined by "|". */
struct seen {
    char text[4000];
    int n, stop_after;
    int64_t last;
};

static bool
see(void *ctx, const struct sl_log_line *line)
{
    struct seen *s = ctx;
    size_t at = strlen(s->text);

    snprintf(s->text + at, sizeof s->text - at, "%s%.*s", at ? "|" : "",
             (int)(line->len < 40 ? line->len : 40), line->text);
    s->n++;
    s->last = line->seq;
    return s->n != s->stop_after;
}

static struct seen
read_all(struct sl_log_query q)
{
    struct seen s = { .n = 0 };

    ok(sl_logs_read(l, &q, see, &s, &err));
    return s;
}

#define READ(...) read_all((struct sl_log_query){ __VA_ARGS__ })

static bool
see_fields(void *ctx, const struct sl_log_line *line)
{
    int *n = ctx;

    if ((*n)++ == 0) {
        assert_string_equal(line->connection_id, "c");
        assert_string_equal(line->sync_id, "s");
        assert_string_equal(line->level, "SEVERE");
        assert_string_equal(line->origin, "sdk");
        assert_int_equal(line->time, 1234567);
        assert_int_equal(line->len, 5);
        assert_memory_equal(line->text, "a\0b\xff\n", 5);
        assert_true(line->seq > 0);
    } else {
        /* What is not given: the server's own line, now, INFO. */
        assert_string_equal(line->connection_id, "");
        assert_null(line->sync_id);
        assert_string_equal(line->level, "INFO");
        assert_string_equal(line->origin, "sluice");
        assert_true(line->time > INT64_C(1000000000000000));
        assert_int_equal(line->len, 0);
    }
    return true;
}

static void
lines_come_back_as_they_were(void **state)
{
    struct sl_log_line line = { .connection_id = "c",
                                .sync_id = "s",
                                .level = "SEVERE",
                                .origin = "sdk",
                                .time = 1234567,
                                .text = "a\0b\xff\n",
                                .len = 5 };
    struct sl_log_query q = { 0 };
    int n = 0;

    (void)state;
    sl_logs_add(l, &line);
    line = (struct sl_log_line){ .text = "" };
    sl_logs_add(l, &line);
    sl_logs_flush(l);
    ok(sl_logs_read(l, &q, see_fields, &n, &err));
    assert_int_equal(n, 2);
    /* And after a restart, with numbers that go on. */
    sl_logs_close(l);
    ok(sl_logs_open(&l, rig_dir, 0, &err));
    add("c", "s", "INFO", "later");
    sl_logs_flush(l);
    assert_int_equal(READ(.connection_id = "c").n, 2);
    assert_string_equal(READ(.after_seq = 2).text, "later");
}

static void
queries_filter(void **state)
{
    (void)state;
    add("a", "1", "INFO", "one");
    add("b", "2", "WARNING", "two");
    add("a", "3", "SEVERE", "THREE 100%");
    add("a", "3", "DEBUG", "four");
    add("a", NULL, "CRITICAL", "five");
    sl_logs_flush(l);
    assert_string_equal(READ(.limit = 0).text, "one|two|THREE 100%|four|five");
    assert_string_equal(READ(.connection_id = "a").text, "one|THREE 100%|four|five");
    assert_string_equal(READ(.sync_id = "3").text, "THREE 100%|four");
    assert_string_equal(READ(.connection_id = "a", .sync_id = "3").text, "THREE 100%|four");
    assert_string_equal(READ(.connection_id = "b", .sync_id = "3").text, "");
    assert_string_equal(READ(.connection_id = "none").text, "");
    assert_string_equal(READ(.sync_id = "none").text, "");
    assert_string_equal(READ(.level = "WARNING").text, "two|THREE 100%|five");
    assert_string_equal(READ(.text = "three 100%").text, "THREE 100%");
    assert_string_equal(READ(.text = "o", .connection_id = "a").text, "one|four");
    assert_string_equal(READ(.text = "'; DROP TABLE line; --").text, "");
    assert_string_equal(READ(.limit = 2).text, "one|two");
    assert_string_equal(READ(.descending = true, .limit = 2).text, "five|four");
}

static void
pages_meet_every_line_once(void **state)
{
    char text[16];
    int64_t after = 0;
    int total = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        snprintf(text, sizeof text, "%d", i);
        add(i % 3 ? "a" : "b", "s", "INFO", text);
    }
    sl_logs_flush(l);
    for (int down = 0; down < 2; down++) {
        struct seen page;

        after = total = 0;
        do {
            page = READ(.connection_id = "a", .after_seq = after, .limit = 77, .descending = down);
            assert_true(page.n == 0 || (after == 0) ||
                        (down ? page.last < after : page.last > after));
            after = page.last;
            total += page.n;
        } while (page.n > 0);
        assert_int_equal(total, 666);
    }
}

static void
a_false_ends_the_reading(void **state)
{
    struct sl_log_query q = { 0 };
    struct seen s = { .stop_after = 2 };

    (void)state;
    for (int i = 0; i < 5; i++)
        add("a", "s", "INFO", "x");
    sl_logs_flush(l);
    ok(sl_logs_read(l, &q, see, &s, &err));
    assert_int_equal(s.n, 2);
}

static void
times_are_a_half_open_range(void **state)
{
    (void)state;
    for (int i = 0; i < 10; i++) {
        struct sl_log_line line = {
            .connection_id = "a", .time = 100 + i, .text = "0123456789" + i, .len = 1
        };

        sl_logs_add(l, &line);
    }
    sl_logs_flush(l);
    assert_string_equal(READ(.since_us = 103, .before_us = 106).text, "3|4|5");
    assert_string_equal(READ(.since_us = 108).text, "8|9");
}

static void
a_very_long_line_is_cut_and_says_so(void **state)
{
    char *text = sl_alloc(400001), want[80];
    struct sl_log_query q = { 0 };
    struct seen s = { 0 };
    struct stat info;
    char *path = sl_path_join(rig_dir, "logs.db");

    (void)state;
    /* Three bytes each: the cut would fall into one. */
    for (int i = 0; i < 400000; i += 4)
        memcpy(text + i, "€x", 4);
    text[400000] = '\0';
    add("a", "s", "INFO", text);
    sl_logs_flush(l);
    snprintf(want, sizeof want, "bytes left out");
    q.text = want;
    ok(sl_logs_read(l, &q, see, &s, &err));
    assert_int_equal(s.n, 1);
    assert_int_equal(stat(path, &info), 0);
    free(path);
    free(text);
}

/* ---- the budget ---- */

#define SMALL (256 << 10)

static int64_t
kept_bytes(const char *connection)
{
    char *path = sl_path_join(rig_dir, "logs.db");
    char *sql = sl_sprintf(
        "SELECT coalesce(sum(length(text) + 64), 0) FROM line WHERE connection = "
        "(SELECT id FROM connection WHERE name = '%s')",
        connection);
    struct sl_db db;
    int64_t bytes;

    ok(sl_db_open(&db, path, SL_DB_READ, SL_APP_LOGS, false, &err));
    ok(sl_db_int(&db, sql, &bytes, &err));
    sl_db_close(&db);
    free(sql);
    free(path);
    return bytes;
}

static void
the_oldest_lines_of_a_flood_go_first(void **state)
{
    char text[600], sync[16];

    (void)state;
    sl_logs_set_budget(l, SMALL);
    add("calm", "s", "INFO", "still here");
    for (int i = 0; i < 5000; i++) {
        snprintf(sync, sizeof sync, "s%d", i / 100);
        snprintf(text, sizeof text, "%05d %0*d", i, 20 + i % 500, 0);
        add("flood", sync, "INFO", text);
        if (i % 500 == 0)
            sl_logs_flush(l);
    }
    sl_logs_flush(l);
    /* The trimming comes behind the writing: the next batch's writing waits for it. */
    add("calm", "s", "INFO", "and here");
    sl_logs_flush(l);
    assert_true(kept_bytes("flood") <= SMALL);
    assert_true(kept_bytes("flood") > SMALL / 2);
    assert_string_equal(READ(.connection_id = "calm").text, "still here|and here");
    assert_string_equal(READ(.connection_id = "flood", .text = "00000 ").text, "");
    assert_int_equal(READ(.connection_id = "flood", .text = "04999 ").n, 1);
    /* What remains is the end, without gaps. */
    {
        struct seen s = { 0 };
        struct sl_log_query q = { .connection_id = "flood", .limit = 1 };
        int first;

        ok(sl_logs_read(l, &q, see, &s, &err));
        first = (int)strtol(s.text, NULL, 10);
        assert_int_equal(READ(.connection_id = "flood").n, 5000 - first);
    }
    assert_int_equal(sl_logs_dropped(l), 0);
}

static void
a_single_line_may_be_larger_than_the_budget(void **state)
{
    char *text = sl_zalloc(1, 200001);

    (void)state;
    memset(text, 'x', 200000);
    sl_logs_set_budget(l, 100000);
    add("a", "s", "INFO", text);
    add("a", "s", "INFO", text);
    sl_logs_flush(l);
    add("a", "s", "INFO", "small");
    sl_logs_flush(l);
    add("b", "s", "INFO", "small");
    sl_logs_flush(l);
    assert_true(kept_bytes("a") <= 100000);
    assert_string_equal(READ(.connection_id = "a").text, "small");
    free(text);
}

static void
a_connection_is_forgotten_alone(void **state)
{
    (void)state;
    for (int i = 0; i < 5000; i++) {
        add("a", "1", "INFO", "x");
        add("b", "2", "INFO", "y");
    }
    ok(sl_logs_forget(l, "a", &err));
    ok(sl_logs_forget(l, "a", &err));
    ok(sl_logs_forget(l, "nobody", &err));
    assert_int_equal(READ(.connection_id = "a").n, 0);
    assert_int_equal(READ(.connection_id = "b").n, 5000);
    add("a", "1", "INFO", "again");
    sl_logs_flush(l);
    assert_string_equal(READ(.connection_id = "a").text, "again");
}

/* ---- threads ---- */

static void *
add_many(void *arg)
{
    for (int i = 0; i < 2000; i++)
        add(arg, "s", "INFO", "a line of some length, as connectors write them");
    return NULL;
}

static void
many_write_at_once(void **state)
{
    static char names[8][16];
    pthread_t t[8];
    int64_t last = 0;
    struct seen s;

    (void)state;
    for (int i = 0; i < 8; i++) {
        snprintf(names[i], sizeof names[i], "c%d", i);
        assert_int_equal(pthread_create(&t[i], NULL, add_many, names[i]), 0);
    }
    for (int i = 0; i < 8; i++)
        pthread_join(t[i], NULL);
    sl_logs_flush(l);
    for (int i = 0; i < 8; i++) {
        s = READ(.connection_id = names[i]);
        assert_int_equal(s.n, 2000);
        last = s.last > last ? s.last : last;
    }
    assert_int_equal(last, 16000);
}

struct follower {
    int seen;
    int64_t after;
    bool wrong;
};

static void *
follow(void *arg)
{
    struct follower *f = arg;
    int64_t until = sl_mono_us() + 20 * INT64_C(1000000);

    while (f->seen < 300 && sl_mono_us() < until) {
        struct sl_log_query q = { .connection_id = "a", .after_seq = f->after, .limit = 50 };
        struct seen s = { 0 };
        struct sl_err e;

        sl_logs_wait(l, f->after, 5000000);
        if (sl_logs_read(l, &q, see, &s, &e))
            f->wrong = true;
        f->seen += s.n;
        f->after = s.n ? s.last : f->after;
    }
    return NULL;
}

static void
a_follower_misses_nothing(void **state)
{
    struct follower f[3] = { { 0 } };
    pthread_t t[3];

    (void)state;
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&t[i], NULL, follow, &f[i]), 0);
    for (int i = 0; i < 300; i++) {
        add("a", "s", "INFO", "x");
        if (i % 37 == 0)
            sl_logs_flush(l);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(t[i], NULL);
        assert_false(f[i].wrong);
        assert_int_equal(f[i].seen, 300);
    }
}

static void
waiting_ends_in_time(void **state)
{
    int64_t before = sl_mono_us();

    (void)state;
    sl_logs_wait(l, 0, 50000);
    assert_true(sl_mono_us() - before >= 50000);
    add("a", "s", "INFO", "x");
    before = sl_mono_us();
    sl_logs_wait(l, 0, 10000000); /* written within a batch's time */
    assert_true(sl_mono_us() - before < 5000000);
}

static void
what_cannot_be_written_is_counted(void **state)
{
    char *path = sl_path_join(rig_dir, "logs.db");
    sqlite3 *db;

    (void)state;
    add("a", "s", "INFO", "kept");
    sl_logs_flush(l);
    /* The table goes away under it: every batch fails until it is back. */
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "ALTER TABLE line RENAME TO away", NULL, NULL, NULL),
                     SQLITE_OK);
    add("a", "s", "INFO", "lost");
    sl_logs_flush(l);
    assert_int_equal(sl_logs_dropped(l), 1);
    assert_int_equal(sqlite3_exec(db, "ALTER TABLE away RENAME TO line", NULL, NULL, NULL),
                     SQLITE_OK);
    sqlite3_close(db);
    add("a", "s", "INFO", "kept again");
    sl_logs_flush(l);
    assert_string_equal(READ(.connection_id = "a").text, "kept|kept again");
    assert_int_equal(sl_logs_dropped(l), 1);
    free(path);
}

static void
closing_writes_what_waits(void **state)
{
    (void)state;
    for (int i = 0; i < 100; i++)
        add("a", "s", "INFO", "x");
    sl_logs_close(l);
    ok(sl_logs_open(&l, rig_dir, 0, &err));
    assert_int_equal(READ(.connection_id = "a").n, 100);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(lines_come_back_as_they_were),
        TEST(queries_filter),
        TEST(pages_meet_every_line_once),
        TEST(a_false_ends_the_reading),
        TEST(times_are_a_half_open_range),
        TEST(a_very_long_line_is_cut_and_says_so),
        TEST(the_oldest_lines_of_a_flood_go_first),
        TEST(a_single_line_may_be_larger_than_the_budget),
        TEST(a_connection_is_forgotten_alone),
        TEST(many_write_at_once),
        TEST(a_follower_misses_nothing),
        TEST(waiting_ends_in_time),
        TEST(what_cannot_be_written_is_counted),
        TEST(closing_writes_what_waits),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
