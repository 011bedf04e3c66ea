/* rig_test.h - what the unit tests of this folder share: a folder of their own, and a second run as an ordinary user. */
#ifndef SL_RUNTIME_RIG_TEST_H
#define SL_RUNTIME_RIG_TEST_H

#include "runtime/file.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

/* The user of the second run; nobody else's on a machine that runs tests. */
#define RIG_ORDINARY 20002

/* Of the running test; made by rig_set_up(), removed by rig_tear_down(). */
static char *rig_dir;

static inline int
rig_set_up(void **state)
{
    char name[] = "/tmp/sluice-test-XXXXXX";
    char *made = mkdtemp(name);

    (void)state;
    rig_dir = made ? sl_path_real(made) : NULL;
    return rig_dir == NULL;
}

static inline int
rig_tear_down(void **state)
{
    (void)state;
    assert_int_equal(sl_remove_tree(rig_dir, NULL), 0);
    assert_false(sl_exists(rig_dir));
    free(rig_dir);
    return 0;
}

/* Writes a file below `dir`, with the folders on its way. */
static inline void
rig_put(const char *dir, const char *name, const char *text)
{
    char *path = sl_path_join(dir, name), *parent = sl_path_dir(path);

    assert_int_equal(sl_mkdirs(parent, NULL), 0);
    assert_int_equal(sl_file_write(path, sl_bytes_of(text), false, NULL), 0);
    free(parent);
    free(path);
}

/* Runs this program once more, with an argument, as an ordinary user. True if it failed. For root only. */
static inline bool
rig_fails_as_ordinary(const char *program)
{
    int status = 0;
    pid_t pid;

    fflush(stdout);
    pid = fork();
    if (pid == 0) {
        if (setgid(RIG_ORDINARY) != 0 || setuid(RIG_ORDINARY) != 0)
            _exit(1);
        setenv("HOME", "/nonexistent", 1);
        execl("/proc/self/exe", program, "again", (char *)NULL);
        _exit(1);
    }
    waitpid(pid, &status, 0);
    return status != 0;
}

#endif
