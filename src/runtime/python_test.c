/* The Pythons of this machine, as a server finds them: one is enough. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "runtime/file.h"
#include "runtime/proc.h"
#include "runtime/python.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

static char *dir;

/* In front of everything on PATH: shims as pyenv's of a version that is not active. */
static int
setup(void **state)
{
    char name[] = "/tmp/sluice-python-XXXXXX";
    char *made = mkdtemp(name), *path;
    const char *before = getenv("PATH");

    (void)state;
    if (made == NULL)
        return 1;
    dir = sl_strdup(made);
    for (int minor = SL_PYTHON_OLDEST; minor <= SL_PYTHON_NEWEST; minor++) {
        path = sl_sprintf("%s/python3.%d", dir, minor);
        if (sl_file_write(path, SL_LIT("#!/bin/sh\nexit 127\n"), false, NULL) ||
            chmod(path, 0755) != 0)
            return 1;
        free(path);
    }
    path = sl_sprintf("%s:%s", dir, before ? before : "/usr/bin");
    setenv("PATH", path, 1);
    setenv("SLUICE_PYTHONS", "/nowhere/python3:/bin/true",
           1); /* what is no Python is passed over */
    free(path);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    assert_int_equal(sl_remove_tree(dir, NULL), 0);
    free(dir);
    return 0;
}

static void
test_each_that_is_listed_runs(void **state)
{
    int minors[SL_PYTHON_NEWEST - SL_PYTHON_OLDEST + 1], n = sl_pythons_list(minors);

    (void)state;
    assert_true(n > 0);
    for (int i = 0; i < n; i++) {
        struct sl_python py;
        struct sl_err err = { 0 };
        struct sl_buf out;
        const char *argv[] = { NULL, "-I", "-c",
                               "import sys, os; print('%d.%d.%d %s' % (*sys.version_info[:3],\n"
                               "    os.path.isdir(sys.prefix)), end='')",
                               NULL };
        char *want;
        int status = -1;

        assert_true(i == 0 || minors[i] > minors[i - 1]);
        if (sl_python_minor(&py, minors[i], &err))
            fail_msg("%s", err.text);
        assert_int_equal(py.minor, minors[i]);
        assert_true(sl_is_dir(py.prefix));
        assert_true(strncmp(py.path, dir, strlen(dir)) != 0);
        want = sl_sprintf("%s True", py.version);
        argv[0] = py.path;
        sl_buf_init(&out, 1u << 20);
        assert_int_equal(
            sl_run(&(struct sl_run){ .argv = argv, .log_fd = -1 }, &out, &status, NULL), SL_OK);
        assert_string_equal(sl_buf_str(&out), want);
        sl_buf_free(&out);
        free(want);
        sl_python_free(&py);
    }
}

static void
test_one_that_is_not_there(void **state)
{
    static const int never[] = { 8, 15, -1, 99 };

    (void)state;
    for (size_t i = 0; i < sizeof never / sizeof never[0]; i++) {
        struct sl_python py;
        struct sl_err err = { 0 };
        char *want = sl_sprintf("there is no Python 3.%d on the server; it has 3.", never[i]);

        assert_int_equal(sl_python_minor(&py, never[i], &err), SL_E_ENV);
        assert_memory_equal(err.text, want, strlen(want));
        assert_non_null(strstr(err.hint, "SLUICE_PYTHONS"));
        sl_python_free(&py);
        free(want);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_each_that_is_listed_runs),
        cmocka_unit_test(test_one_that_is_not_there),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
