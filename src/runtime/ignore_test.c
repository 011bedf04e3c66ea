#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/ignore.h"

static void
check(const char *rules, const char *path, bool is_dir, bool want)
{
    struct sl_ignore ig = { 0 };

    sl_ignore_add(&ig, "", rules);
    if (sl_ignore_match(&ig, path, is_dir) != want)
        fail_msg("rules \"%s\", path \"%s\": expected %d", rules, path, want);
    sl_ignore_free(&ig);
}

static void
patterns(void **state)
{
    (void)state;
    check("*.log", "a.log", false, true);
    check("*.log", "d/a.log", false, true);
    check("/a.log", "d/a.log", false, false);
    check("d/a.log", "d/a.log", false, true);
    check("d/a.log", "e/d/a.log", false, false);
    check("build/", "build", true, true);
    check("build/", "build", false, false);
    check("build/", "x/build", true, true);
    check("**/tmp", "a/b/tmp", false, true);
    check("**/tmp", "tmp", false, true);
    check("a/**/z", "a/z", false, true);
    check("a/**/z", "a/b/c/z", false, true);
    check("a/**", "a/b/c", false, true);
    check("a/**", "a", true, false);
    check("a*b", "axx/b", false, false);
    check("data?.csv", "data1.csv", false, true);
    check("data[0-3].csv", "data2.csv", false, true);
    check("data[!0-3].csv", "data2.csv", false, false);
    check("data[0-3.csv", "data2.csv", false, false);
    check("\\#x", "#x", false, true);
    check("#x", "#x", false, false);
    check("x\\ ", "x ", false, true);
    check("x  ", "x", false, true);
    check("*", "anything", false, true);
    check("a*a*a*a*a*a*a*a*a*a*b", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaac", false,
          false);
}

static void
the_last_rule_decides(void **state)
{
    (void)state;
    check("*.csv\n!keep.csv\n", "keep.csv", false, false);
    check("*.csv\n!keep.csv\n", "other.csv", false, true);
    check("!keep.csv\n*.csv\n", "keep.csv", false, true);
}

static void
folders_add_to_those_above(void **state)
{
    struct sl_ignore ig = { 0 };

    (void)state;
    sl_ignore_add(&ig, "", "*.txt\n");
    sl_ignore_add(&ig, "sub", "!a.txt\n/b.md\n");
    assert_true(sl_ignore_match(&ig, "a.txt", false));
    assert_false(sl_ignore_match(&ig, "sub/a.txt", false));
    assert_true(sl_ignore_match(&ig, "sub/b.md", false));
    assert_false(sl_ignore_match(&ig, "sub/deep/b.md", false));
    sl_ignore_cut(&ig, 1);
    assert_true(sl_ignore_match(&ig, "sub/a.txt", false));
    sl_ignore_free(&ig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(the_last_rule_decides),
        cmocka_unit_test(folders_add_to_those_above),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
