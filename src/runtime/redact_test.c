#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/redact.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define MAX (1u << 20)

static struct sl_redact *
with(const char *key, const char *value)
{
    struct sl_redact *red = sl_redact_new();

    sl_redact_add(red, key, value, false);
    return red;
}

static void
expect(struct sl_redact *red, const char *text, const char *want)
{
    struct sl_buf out;

    sl_buf_init(&out, MAX);
    sl_redact_text(red, text, strlen(text), &out);
    assert_string_equal(sl_buf_str(&out), want);
    sl_buf_free(&out);
}

/* Hides or not, by key and value. */
static void
hides(const char *key, const char *value, bool want)
{
    struct sl_redact *red = with(key, value);
    char *text = sl_sprintf("<%s>", value);

    expect(red, text, want ? "<******>" : text);
    free(text);
    sl_redact_free(red);
}

static void
which_values(void **state)
{
    (void)state;
    hides("host", "warehouse", true);
    hides("host", "short", false);
    hides("api_key", "short", true);
    hides("API-Token", "abcd", true);
    hides("my_password", "abc", false);
    hides("verify_auth", "true", false);
    hides("use_key", "disabled", false);
    hides("pass_count", "123456", false);
    hides("api_key", "1234567890123", true);
    hides("page", "100000", false);
    hides("start_date", "2024-01-31", false);
    hides("start_date", "2024-01-31T00:00:00Z", false);
    hides("sign_date", "2024-01-31 10:00", false);
    hides("note", "2024-01-31 is a date", true);
}

static void
forms(void **state)
{
    struct sl_redact *red = with("secret", "p@ss \"w\\rd\"/\xc3\xa9");

    (void)state;
    expect(red, "a p@ss \"w\\rd\"/\xc3\xa9 b", "a ****** b");
    expect(red, "u=p%40ss%20%22w%5Crd%22%2F%C3%A9&x", "u=******&x");
    expect(red, "u=p%40ss%20%22w%5crd%22%2f%c3%a9&x", "u=******&x");
    expect(red, "u=p%40ss+%22w%5Crd%22/%C3%A9&x", "u=******&x");
    expect(red, "{\"k\":\"p@ss \\\"w\\\\rd\\\"/\xc3\xa9\"}", "{\"k\":\"******\"}");
    expect(red, "{\"k\":\"p@ss \\\"w\\\\rd\\\"/\\u00e9\"}", "{\"k\":\"******\"}");
    expect(red, "{'k': 'p@ss \"w\\\\rd\"/\xc3\xa9'}", "{'k': '******'}");
    sl_redact_free(red);
}

static void
base64_at_every_alignment(void **state)
{
    static const char *const heads[] = { "", "u", "us", "use", "user:", "Basic " };
    struct sl_redact *red = with("api_secret", "s3cr3t?value>");

    (void)state;
    for (size_t i = 0; i < sizeof heads / sizeof heads[0]; i++) {
        char *plain = sl_sprintf("%ss3cr3t?value>tail", heads[i]), text[128];
        struct sl_buf out;

        for (int variant = 1; variant <= 7; variant += 2) {
            if (variant == 3) /* ORIGINAL_NO_PADDING is 3, URLSAFE 5, URLSAFE_NO_PADDING 7 */
                continue;
            sodium_bin2base64(text, sizeof text, (const unsigned char *)plain, strlen(plain),
                              variant);
            sl_buf_init(&out, MAX);
            sl_redact_text(red, text, strlen(text), &out);
            assert_non_null(strstr(sl_buf_str(&out), SL_REDACTED));
            assert_true(out.len < strlen(text));
            sl_buf_free(&out);
        }
        free(plain);
    }
    sl_redact_free(red);
}

/* Every way of cutting a text in two or three pieces gives the same result. */
static void
across_write_boundaries(void **state)
{
    const char *text = "xx password1 yy password12345 zz passwor";
    const char *want = "xx ****** yy ****** zz passwor";
    struct sl_redact *red = with("a", "password1");
    size_t n = strlen(text);

    (void)state;
    sl_redact_add(red, "b", "password12345", false);
    for (size_t i = 0; i <= n; i++)
        for (size_t k = i; k <= n; k++) {
            struct sl_redact_stream st;
            struct sl_buf out;

            sl_buf_init(&out, MAX);
            sl_redact_stream_init(&st, red);
            sl_redact_stream_put(&st, text, i, false, &out);
            sl_redact_stream_put(&st, text + i, k - i, false, &out);
            sl_redact_stream_put(&st, text + k, n - k, false, &out);
            sl_redact_stream_put(&st, "", 0, true, &out);
            assert_string_equal(sl_buf_str(&out), want);
            sl_redact_stream_free(&st);
            sl_buf_free(&out);
        }
    sl_redact_free(red);
}

static void
overlapping_values_are_both_hidden(void **state)
{
    struct sl_redact *red = with("a", "abcdefgh");

    (void)state;
    sl_redact_add(red, "b", "efghijkl", false);
    expect(red, "-abcdefghijkl-", "-******-");
    expect(red, "-abcdefghabcdefgh-", "-************-");
    sl_redact_free(red);
}

static void
only_a_possible_beginning_waits(void **state)
{
    struct sl_redact *red = with("a", "password1");
    struct sl_redact_stream st;
    struct sl_buf out;

    (void)state;
    sl_buf_init(&out, MAX);
    sl_redact_stream_init(&st, red);
    sl_redact_stream_put(&st, "Continue? ", 10, false, &out);
    assert_string_equal(sl_buf_str(&out), "Continue? ");
    sl_redact_stream_put(&st, "pas", 3, false, &out);
    assert_string_equal(sl_buf_str(&out), "Continue? ");
    sl_redact_stream_put(&st, "t", 1, false, &out);
    assert_string_equal(sl_buf_str(&out), "Continue? past");
    sl_redact_stream_free(&st);
    sl_buf_free(&out);
    sl_redact_free(red);
}

static void
lines_of_a_private_key(void **state)
{
    struct sl_redact *red = with(
        "k", "-----BEGIN KEY-----\nMIIEvgIBADANBgkqhkiG\nAAAABBBBCCCCDDDD\n-----END KEY-----\n");

    (void)state;
    expect(red, "line: AAAABBBBCCCCDDDD", "line: ******");
    expect(red, "-----BEGIN KEY-----", "-----BEGIN KEY-----");
    sl_redact_free(red);
}

static void
parts_of_a_value(void **state)
{
    struct sl_redact *red = with("dsn", "postgres://bob:hunter22@db.example/x");

    (void)state;
    sl_redact_add(red, "token", "abcdefgh\n", false);
    expect(red, "password hunter22 for bob", "password ****** for bob");
    expect(red, "Bearer abcdefgh", "Bearer ******");
    sl_redact_free(red);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(which_values),
        cmocka_unit_test(forms),
        cmocka_unit_test(base64_at_every_alignment),
        cmocka_unit_test(across_write_boundaries),
        cmocka_unit_test(overlapping_values_are_both_hidden),
        cmocka_unit_test(only_a_possible_beginning_waits),
        cmocka_unit_test(parts_of_a_value),
        cmocka_unit_test(lines_of_a_private_key),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
