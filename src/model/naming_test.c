#include "model/naming.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

/* The documented vectors: source, table, column (NULL: the same). */
static void
fivetran_vectors(void **state)
{
    static const char *const v[][3] = {
        { "userData", "user_data", NULL },
        { "user.data", "user_data", NULL },
        { "user-data", "user_data", NULL },
        { "User Data", "user_data", NULL },
        { "HTTPServer", "httpserver", NULL },
        { "userID", "user_id", NULL },
        { "iD", "i_d", NULL },
        { "a1b2", "a_1_b_2", NULL },
        { "col1", "col_1", NULL },
        { "1col", "1_col", NULL },
        { "123", "123", NULL },
        { "_private", "private", "_private" },
        { "__x", "x", "_x" },
        { "_1a", "_1_a", NULL },
        { "$amount", "amount", "_amount" },
        { "a$b", "a_b", NULL },
        { "naïve café", "naive_cafe", NULL },
        { "Été", "été", NULL },
        { "日本", "日本", NULL },
        { "a__b", "a_b", NULL },
        { "trailing_", "trailing_", NULL },
        { "ABC123def", "abc_123_def", NULL },
        { "camelCase2Go", "camel_case_2_go", NULL },
        { "_fivetran_id", "fivetran_id", "_fivetran_id" },
        { "order", "order", NULL },
        { "Straße 1", "strasse_1", NULL },
        { "😀", "_", NULL },
        { "", "_", NULL },
    };

    (void)state;
    for (size_t i = 0; i < sizeof v / sizeof v[0]; i++) {
        char *table = sl_name_of(v[i][0], strlen(v[i][0]), true, true);
        char *column = sl_name_of(v[i][0], strlen(v[i][0]), false, true);

        assert_string_equal(table, v[i][1]);
        assert_string_equal(column, v[i][2] ? v[i][2] : v[i][1]);
        free(table);
        free(column);
    }
}

static void
source_keeps_names(void **state)
{
    char *n = sl_name_of("User Data", 9, true, false);

    (void)state;
    assert_string_equal(n, "User Data");
    free(n);
}

static void
suffixes(void **state)
{
    char *a = sl_name_suffixed("user_data", "userData", 8, 255),
         *b = sl_name_suffixed("user_data", "user-data", 9, 255);
    char *again = sl_name_suffixed("user_data", "userData", 8, 255),
         *cut = sl_name_suffixed("éééé", "éééé", 8, 12);

    (void)state;
    assert_int_equal(strlen(a), strlen("user_data") + 7);
    assert_string_not_equal(a, b);
    assert_string_equal(a, again);
    assert_memory_equal(cut, "éé_",
                        5); /* five bytes left for the name: two letters, none of them halved */
    free(a);
    free(b);
    free(again);
    free(cut);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(fivetran_vectors),
        cmocka_unit_test(source_keeps_names),
        cmocka_unit_test(suffixes),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
