/* rig_test.h - what the unit tests of this folder share: a directory of their own, checked calls, killed children. */
#ifndef SL_PLATFORM_RIG_TEST_H
#define SL_PLATFORM_RIG_TEST_H

#include "base/buf.h"
#include "runtime/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static struct sl_err err;

/* The call must be well; says what it was otherwise. */
#define ok(call) assert_ok((call), #call, __LINE__)

static inline void
assert_ok(sl_rc rc, const char *call, int line)
{
    if (rc != SL_OK)
        fail_msg("line %d: %s: %s: %s", line, call, sl_code_name(rc), err.text);
}

/* Of the running test; made by rig_set_up(), removed by rig_tear_down(). */
static char rig_dir[64];

static inline int
rig_set_up(void **state)
{
    (void)state;
    snprintf(rig_dir, sizeof rig_dir, "/tmp/sluice-test-XXXXXX");
    assert_non_null(mkdtemp(rig_dir));
    return 0;
}

static inline int
rig_tear_down(void **state)
{
    (void)state;
    unsetenv("SL_FAULT");
    ok(sl_remove_tree(rig_dir, &err));
    return 0;
}

/* Runs `change` in a child with SL_FAULT set; true if it was killed. It must not end otherwise with anything but 0. */
static inline bool
rig_killed(const char *fault, sl_rc (*change)(void))
{
    int status;
    pid_t pid = fork();

    if (pid == 0) {
        setenv("SL_FAULT", fault, 1);
        _exit(change() != SL_OK);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status) || WEXITSTATUS(status) == 0);
    return WIFSIGNALED(status);
}

/* True if `text` stands anywhere in the files below rig_dir. */
static inline bool
rig_holds(const char *dir, const char *text)
{
    char **names;
    bool found = false;

    ok(sl_dir_names(dir, &names, &err));
    for (int i = 0; names[i] != NULL && !found; i++) {
        char *path = sl_path_join(dir, names[i]);
        struct sl_buf buf;

        sl_buf_init(&buf, 1u << 28);
        if (sl_is_dir(path)) {
            found = rig_holds(path, text);
        } else {
            ok(sl_file_read(path, &buf, &err));
            found = buf.len > 0 && memmem(buf.ptr, buf.len, text, strlen(text)) != NULL;
        }
        sl_buf_free(&buf);
        free(path);
    }
    sl_names_free(names);
    return found;
}

#define RIG_TEST(f) cmocka_unit_test_setup_teardown(f, rig_set_up, rig_tear_down)

#endif
