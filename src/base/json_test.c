#include "base/json.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void
good(void **state)
{
    static const char *const texts[] = { "1",
                                         "-0",
                                         "0.5",
                                         "1e9",
                                         "-1.25E-7",
                                         "true",
                                         "false",
                                         "null",
                                         "\"\"",
                                         "[]",
                                         "{}",
                                         "[1,2,[3,{}]]",
                                         "{\"a\":{\"b\":[null]},\"c\":\"\\u00e9\\n\"}",
                                         " [ 1 , 2 ] ",
                                         "\"\xc3\xa9\"",
                                         "\"\\ud83d\\uDE00\"" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (!sl_json_valid(texts[i], strlen(texts[i])))
            fail_msg("refused: %s", texts[i]);
}

static void
bad(void **state)
{
    static const char *const texts[] = { "", " ", "{a:", "[1,]", "{\"a\"}", "{\"a\":1,}", "01",
                                         "1.", ".5", "+1", "NaN", "nul", "\"", "\"\\x\"",
                                         "\"\\u12g4\"", "\"\n\"", "[1 2]", "[1]]", "{}{}", "'a'",
                                         "\"\xc3\"", "tru", "[", "{\"a\":[}",
                                         /* Half a surrogate pair, in every place. */
                                         "\"\\ud83d\"", "\"\\ude00\"", "\"\\ud83d\\ud83d\"",
                                         "\"\\ud83dx\"", "\"\\ud83d\\n\"", "{\"\\uDC00\":1}" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        if (sl_json_valid(texts[i], strlen(texts[i])))
            fail_msg("accepted: %s", texts[i]);
    assert_false(sl_json_valid("1\0", 2));
}

static void
numbers_as_python_writes_them(void **state)
{
    static const char *const texts[] = { "{\"a\":NaN}", "[Infinity,-Infinity]" };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_true(sl_json_valid_python(texts[i], strlen(texts[i])));
        assert_false(sl_json_valid(texts[i], strlen(texts[i])));
    }
    assert_false(sl_json_valid_python("-Inf", 4));
}

static void
depth_has_a_ceiling(void **state)
{
    char text[2 * SL_JSON_DEPTH + 2];

    (void)state;
    memset(text, '[', SL_JSON_DEPTH);
    memset(text + SL_JSON_DEPTH, ']', SL_JSON_DEPTH);
    assert_true(sl_json_valid(text, 2 * SL_JSON_DEPTH));
    memset(text, '[', SL_JSON_DEPTH + 1);
    memset(text + SL_JSON_DEPTH + 1, ']', SL_JSON_DEPTH + 1);
    assert_false(sl_json_valid(text, sizeof text));
}

static void
same_value(void **state)
{
    static const struct {
        const char *a, *b;
        bool same;
    } pairs[] = {
        { "{\"a\":1,\"b\":[1,{\"c\":null}]}", " {\"b\":[ 1, {\"c\":null}], \"a\":1}", true },
        { "[1.50,1e2,-0,0.0,100]", "[1.5,1.0E+2,0,0e5,1e2]", true },
        { "\"\\u00e9\\/\"", "\"\xc3\xa9/\"", true },
        { "123456789012345678901234567890", "1.2345678901234567890123456789e29", true },
        { "1e400", "10e399", true },
        { "1e9999999999999999999", "1e9999999999999999999", true },
        { "1e9999999999999999999", "1e9999999999999999998", false },
        { "0.1234567890123456789", "0.1234567890123456788", false },
        { "9007199254740993", "9007199254740992", false },
        { "10", "1", false },
        { "10", "100", false },
        { "-1", "1", false },
        { "1", "\"1\"", false },
        { "1", "\"n1e0\"", false },
        { "\"1e2\"", "\"100\"", false },
        { "{\"a\":1,\"a\":2}", "{\"a\":2}", true },
        { "{\"n1\":\"\\\"1\"}", "{\"n1\":\"\\\"1.0\"}", false },
        { "[1,2]", "[2,1]", false },
        { "null", "{}", false },
        { "0", "false", false },
        { "{", "{ ", false },
        { "\"", "\"\\", false },
    };

    (void)state;
    for (size_t i = 0; i < sizeof pairs / sizeof pairs[0]; i++) {
        const char *a = pairs[i].a, *b = pairs[i].b;

        assert_int_equal(sl_json_same(a, strlen(a), b, strlen(b)), pairs[i].same);
        assert_int_equal(sl_json_same(b, strlen(b), a, strlen(a)), pairs[i].same);
        assert_true(sl_json_same(a, strlen(a), a, strlen(a)));
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
        cmocka_unit_test(numbers_as_python_writes_them),
        cmocka_unit_test(depth_has_a_ceiling),
        cmocka_unit_test(same_value),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
