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

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(bad),
        cmocka_unit_test(numbers_as_python_writes_them),
        cmocka_unit_test(depth_has_a_ceiling),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
