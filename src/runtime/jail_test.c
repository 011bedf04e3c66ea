/* The walls, tried from inside: each probe runs in a jail as a small Python or shell program would, and its exit status tells. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/time.h"
#include "runtime/file.h"
#include "runtime/jail.h"
#include "runtime/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define USER 20001
#define PYTHON "/usr/bin/python3"

static char *dir, *work;

static int
setup(void **state)
{
    char name[] = "/tmp/sluice-jail-XXXXXX";
    char *made = mkdtemp(name), *secret;

    (void)state;
    if (made == NULL)
        return 1;
    dir = sl_strdup(made);
    work = sl_path_join(dir, "work");
    secret = sl_path_join(dir, "secret");
    if (sl_mkdirs(work, NULL) || sl_file_write(secret, SL_LIT("the server's key"), false, NULL))
        return 1;
    chmod(dir, 0711);
    chmod(secret, 0644);
    free(secret);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    assert_int_equal(sl_remove_tree(dir, NULL), 0);
    free(work);
    free(dir);
    return 0;
}

static struct sl_jail *
jail(void)
{
    struct sl_jail *j = NULL;
    struct sl_err err = { 0 };
    char *name = sl_sprintf("sluicetest-%d", (int)getpid());
    struct sl_jail_conf conf = { .mode = SL_SANDBOX_BEST,
                                 .name = name,
                                 .work = work,
                                 .uid = geteuid() == 0 ? USER : 0,
                                 .memory = 256u << 20,
                                 .processes = 24 };

    if (sl_jail_new(&j, &conf, &err))
        fail_msg("%s (%s)", err.text, err.hint);
    free(name);
    return j;
}

/* Runs Python code in a jail; its output is in `out`. */
static int
python(struct sl_jail *j, const char *code, struct sl_buf *out)
{
    const char *argv[] = { PYTHON, "-I", "-c", code, NULL };
    struct sl_err err = { 0 };
    int status = -1;

    sl_buf_init(out, 65536);
    if (sl_run(&(struct sl_run){ .argv = argv,
                                 .cwd = work,
                                 .log_fd = -1,
                                 .timeout_us = 60 * 1000000,
                                 .jail = j },
               out, &status, &err))
        fail_msg("%s", err.text);
    return status;
}

static void
expect(const char *code, const char *text)
{
    struct sl_jail *j = jail();
    struct sl_buf out;
    int status = python(j, code, &out);

    if (status != 0 || strcmp(sl_buf_str(&out), text) != 0)
        fail_msg("[%s]\nexit %d: %s\nexpected: %s", sl_jail_walls(j), status, sl_buf_str(&out),
                 text);
    sl_buf_free(&out);
    sl_jail_free(j);
}

static void
test_walls(void **state)
{
    struct sl_jail *j = jail();

    (void)state;
    print_message("%s\n", sl_jail_walls(j));
    sl_jail_free(j);
    expect("print('ok', end='')", "ok");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_walls),
    };

    return cmocka_run_group_tests(tests, setup, teardown);
}
