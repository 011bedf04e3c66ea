#include "dashboard/html.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
/* after those */
#include <cmocka.h>
#include <stdlib.h>

static struct sl_buf h;

static int
set_up(void **state)
{
    (void)state;
    sl_buf_init(&h, 1024);
    return 0;
}

static int
tear_down(void **state)
{
    (void)state;
    sl_buf_free(&h);
    return 0;
}

#define assert_html(text) assert_string_equal(sl_buf_str(&h), text)

static void
text_is_escaped(void **state)
{
    (void)state;
    sl_html(&h, "<a title=\"%s\">%s</a>%d %lld %zu 100%%", "\"><script>'", "a & b", -3, 1LL << 40,
            (size_t)7);
    assert_html("<a title=\"&quot;&gt;&lt;script&gt;&#39;\">a &amp; b</a>-3 1099511627776 7 100%");
}

static void
nothing_is_written_as_nothing(void **state)
{
    const char *none = json_string_value(NULL);

    (void)state;
    sl_html(&h, "[%s][%s]", none, "");
    assert_html("[][]");
}

static void
a_page_ends_at_its_ceiling(void **state)
{
    char *text = sl_alloc(4000);

    (void)state;
    memset(text, '<', 3999);
    text[3999] = '\0';
    sl_html(&h, "<p>%s</p>", text);
    assert_true(h.len <= 1024);
    free(text);
}

static void
times_are_utc_without_scripts(void **state)
{
    json_t *time = json_string("2026-11-23T06:41:30.880174Z"),
           *odd = json_string("\"><script>aaaaaaaaaaaaaaaaaaaa");

    (void)state;
    sl_html_time(&h, time, "ago", "never");
    assert_html("<time datetime=\"2026-11-23T06:41:30.880174Z\" data-form=\"ago\">2026-11-23 06:41 "
                "UTC</time>");
    h.len = 0;
    sl_html_time(&h, NULL, "ago", "<never>");
    assert_html("&lt;never&gt;");
    h.len = 0;
    sl_html_time(&h, odd, "ago", "");
    assert_null(strstr(sl_buf_str(&h), "<script>"));
    json_decref(time);
    json_decref(odd);
}

static void
assert_number(int64_t n, const char *text)
{
    h.len = 0;
    sl_html_number(&h, n);
    assert_html(text);
}

static void
numbers_are_grouped(void **state)
{
    (void)state;
    assert_number(0, "0");
    assert_number(999, "999");
    assert_number(1000, "1,000");
    assert_number(-1234567, "-1,234,567");
    assert_number(INT64_MAX, "9,223,372,036,854,775,807");
    assert_number(INT64_MIN, "-9,223,372,036,854,775,808");
}

static void
sizes_and_durations_are_short(void **state)
{
    (void)state;
    sl_html_bytes(&h, 999);
    sl_html_bytes(&h, 1500);
    sl_html_bytes(&h, 64000000);
    assert_html("999 B1.5 kB64 MB");
    h.len = 0;
    sl_html_duration(&h, 12000);
    sl_html_duration(&h, 4200000);
    sl_html_duration(&h, INT64_C(3725000000));
    assert_html("12 ms4.2 s1 h 2 min");
}

static void
addresses_are_encoded(void **state)
{
    struct sl_arena arena = { 0 };

    (void)state;
    assert_string_equal(sl_url(&arena, "a b/c?d&\"ü"), "a%20b%2Fc%3Fd%26%22%C3%BC");
    sl_arena_free(&arena);
}

static void
models_are_read_by_path(void **state)
{
    json_t *m = json_pack("{s:{s:s, s:i, s:b}}", "a", "text", "x", "n", 7, "yes", 1);

    (void)state;
    assert_string_equal(sl_at_text(m, "a.text"), "x");
    assert_int_equal(sl_at_int(m, "a.n"), 7);
    assert_true(sl_at_true(m, "a.yes"));
    assert_string_equal(sl_at_text(m, "b.text"), "");
    assert_int_equal(sl_at_int(m, "a.text.n"), 0);
    assert_null(sl_at(m, "a.none"));
    json_decref(m);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(text_is_escaped),
        TEST(nothing_is_written_as_nothing),
        TEST(a_page_ends_at_its_ceiling),
        TEST(times_are_utc_without_scripts),
        TEST(numbers_are_grouped),
        TEST(sizes_and_durations_are_short),
        TEST(addresses_are_encoded),
        TEST(models_are_read_by_path),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
