/* What is written where, on trees of plain files: this machine has one version, and a real v2 hierarchy needs to be delegated. */
#include "runtime/rig_test.h"

#include "base/buf.h"
#include "runtime/cgroup.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static void
expect_file(const char *name, const char *want)
{
    char *path = sl_path_join(rig_dir, name);
    struct sl_buf buf;

    sl_buf_init(&buf, 1u << 20);
    if (sl_file_read(path, &buf, NULL) != SL_OK)
        fail_msg("%s is not there", name);
    if (strcmp(sl_buf_str(&buf), want) != 0)
        fail_msg("%s: \"%s\", expected \"%s\"", name, buf.ptr, want);
    sl_buf_free(&buf);
    free(path);
}

static void
find(struct sl_cgroup_base *base)
{
    char *root = sl_path_join(rig_dir, "fs"), *self = sl_path_join(rig_dir, "self");

    sl_cgroup_find(base, root, self);
    free(self);
    free(root);
}

static void
expect_base(const char *field, const char *want)
{
    char *path = want ? sl_path_join(rig_dir, want) : NULL;

    if (want == NULL)
        assert_null(field);
    else
        assert_string_equal(field, path);
    free(path);
}

/* The files that the kernel makes in each new cgroup. */
static void
fake_v2(const char *at)
{
    static const char *const files[] = { "memory.max",  "memory.swap.max", "memory.oom.group",
                                         "pids.max",    "cgroup.procs",    "cgroup.kill",
                                         "memory.peak", "memory.events" };

    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *name = sl_sprintf("%s/%s", at, files[i]);

        rig_put(rig_dir, name, "");
        free(name);
    }
}

/* As in a service with Delegate=yes: our cgroup holds this process only, and may hand out controllers. A plain file does not refuse
 * while it is busy as the kernel does; that case is told by `subtree_control` being there already. */
static void
delegated(void)
{
    char procs[32];

    rig_put(rig_dir, "fs/cgroup.controllers", "cpuset cpu io memory hugetlb pids rdma\n");
    rig_put(rig_dir, "self", "0::/system.slice/sluiced.service\n");
    rig_put(rig_dir, "fs/system.slice/sluiced.service/cgroup.subtree_control", "");
    snprintf(procs, sizeof procs, "%d\n", (int)getpid());
    rig_put(rig_dir, "fs/system.slice/sluiced.service/cgroup.procs", procs);
}

static void
test_v2_delegated(void **state)
{
    struct sl_cgroup_base base;

    (void)state;
    delegated();
    find(&base);
    assert_int_equal(base.version, 2);
    expect_base(base.memory, "fs/system.slice/sluiced.service");
    expect_base(base.pids, "fs/system.slice/sluiced.service");
    expect_file("fs/system.slice/sluiced.service/cgroup.subtree_control", "+memory +pids");
    sl_cgroup_base_free(&base);

    /* Already moved one level down, by an earlier start in the same service. */
    rig_put(rig_dir, "self", "0::/system.slice/sluiced.service/" SL_CGROUP_SERVER "\n");
    rig_put(rig_dir, "fs/system.slice/sluiced.service/cgroup.subtree_control", "memory pids\n");
    find(&base);
    expect_base(base.memory, "fs/system.slice/sluiced.service");
    expect_file("fs/system.slice/sluiced.service/cgroup.subtree_control", "memory pids\n");
    sl_cgroup_base_free(&base);
}

static void
test_v2_limits(void **state)
{
    struct sl_cgroup_base base;
    struct sl_cgroup *cg = NULL;
    struct sl_err err = { 0 };
    int status;
    pid_t pid;

    (void)state;
    delegated();
    fake_v2("fs/system.slice/sluiced.service/sync-1");
    find(&base);
    if (sl_cgroup_new(&cg, &base, "sync-1", 1u << 30, 64, &err))
        fail_msg("%s", err.text);
    assert_true(sl_cgroup_limits_memory(cg));
    assert_true(sl_cgroup_limits_processes(cg));
    expect_file("fs/system.slice/sluiced.service/sync-1/memory.max", "1073741824");
    expect_file("fs/system.slice/sluiced.service/sync-1/memory.swap.max", "0");
    expect_file("fs/system.slice/sluiced.service/sync-1/memory.oom.group", "1");
    expect_file("fs/system.slice/sluiced.service/sync-1/pids.max", "64");

    pid = fork();
    if (pid == 0)
        _exit(sl_cgroup_enter(cg));
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    expect_file("fs/system.slice/sluiced.service/sync-1/cgroup.procs", "0");

    assert_false(sl_cgroup_oom_killed(cg));
    assert_int_equal(sl_cgroup_peak(cg), 0);
    rig_put(rig_dir, "fs/system.slice/sluiced.service/sync-1/memory.events",
            "low 0\nhigh 0\nmax 12\noom 1\noom_kill 1\noom_group_kill 1\n");
    rig_put(rig_dir, "fs/system.slice/sluiced.service/sync-1/memory.peak", "536870912\n");
    assert_true(sl_cgroup_oom_killed(cg));
    assert_int_equal(sl_cgroup_peak(cg), 536870912);

    /* A plain file keeps listing the process; the kernel would not: the wait ends at its deadline. */
    rig_put(rig_dir, "fs/system.slice/sluiced.service/sync-1/cgroup.procs", "");
    sl_cgroup_kill(cg);
    expect_file("fs/system.slice/sluiced.service/sync-1/cgroup.kill", "");
    rig_put(rig_dir, "fs/system.slice/sluiced.service/sync-1/cgroup.procs", "999999999\n");
    sl_cgroup_kill(cg);
    expect_file("fs/system.slice/sluiced.service/sync-1/cgroup.kill", "1");
    expect_file("fs/system.slice/sluiced.service/sync-1/pids.max", "64");
    rig_put(rig_dir, "fs/system.slice/sluiced.service/sync-1/cgroup.procs", "");
    sl_cgroup_free(cg);
    sl_cgroup_base_free(&base);
}

static void
test_v2_without_controllers(void **state)
{
    struct sl_cgroup_base base;

    (void)state;
    rig_put(rig_dir, "fs/cgroup.controllers", "hugetlb\n");
    rig_put(rig_dir, "self", "0::/\n");
    find(&base);
    assert_int_equal(base.version, 0);
    assert_non_null(strstr(base.reason, "has no memory and pids controllers"));
    sl_cgroup_base_free(&base);
}

/* Nothing there may be written: not delegated. */
static void
test_v2_not_delegated(void **state)
{
    struct sl_cgroup_base base;

    (void)state;
    rig_put(rig_dir, "fs/cgroup.controllers", "memory pids\n");
    rig_put(rig_dir, "self", "0::/user.slice\n");
    rig_put(rig_dir, "fs/user.slice/cgroup.procs", "1\n2\n");
    find(&base);
    assert_int_equal(base.version, 0);
    assert_non_null(strstr(base.reason, "user.slice: No such file"));
    sl_cgroup_base_free(&base);
}

static void
test_v1(void **state)
{
    struct sl_cgroup_base base;
    struct sl_cgroup *cg = NULL;
    struct sl_err err = { 0 };

    (void)state;
    rig_put(rig_dir, "self", "9:name=systemd:/\n8:pids:/\n4:memory:/a/b\n3:cpu,cpuacct:/\n0::/\n");
    rig_put(rig_dir, "fs/memory/a/b/sync-1/memory.limit_in_bytes", "");
    rig_put(rig_dir, "fs/memory/a/b/sync-1/memory.memsw.limit_in_bytes", "");
    rig_put(rig_dir, "fs/memory/a/b/sync-1/cgroup.procs", "");
    rig_put(rig_dir, "fs/memory/a/b/sync-1/memory.oom_control",
            "oom_kill_disable 0\nunder_oom 0\noom_kill 3\n");
    rig_put(rig_dir, "fs/memory/a/b/sync-1/memory.max_usage_in_bytes", "4096\n");
    rig_put(rig_dir, "fs/pids/sync-1/pids.max", "");
    rig_put(rig_dir, "fs/pids/sync-1/cgroup.procs", "");
    find(&base);
    assert_int_equal(base.version, 1);
    expect_base(base.memory, "fs/memory/a/b");
    expect_base(base.pids, "fs/pids");
    if (sl_cgroup_new(&cg, &base, "sync-1", 5000000, 7, &err))
        fail_msg("%s", err.text);
    expect_file("fs/memory/a/b/sync-1/memory.limit_in_bytes", "5000000");
    expect_file("fs/memory/a/b/sync-1/memory.memsw.limit_in_bytes", "5000000");
    expect_file("fs/pids/sync-1/pids.max", "7");
    assert_true(sl_cgroup_oom_killed(cg));
    assert_int_equal(sl_cgroup_peak(cg), 4096);
    sl_cgroup_free(cg);
    sl_cgroup_base_free(&base);
}

/* In a container the path outside is not there inside; a machine may have one hierarchy only. */
static void
test_v1_in_a_container(void **state)
{
    struct sl_cgroup_base base;

    (void)state;
    rig_put(rig_dir, "self", "8:pids:/docker/0123\n4:memory:/docker/0123\n");
    rig_put(rig_dir, "fs/pids/cgroup.procs", "");
    find(&base);
    assert_int_equal(base.version, 1);
    expect_base(base.pids, "fs/pids");
    expect_base(base.memory, NULL);
    assert_non_null(strstr(base.reason, "fs/memory: No such file"));
    sl_cgroup_base_free(&base);
}

static void
test_limit_that_fails(void **state)
{
    struct sl_cgroup_base base;
    struct sl_cgroup *cg = NULL;
    struct sl_err err = { 0 };

    (void)state;
    delegated();
    rig_put(rig_dir, "fs/system.slice/sluiced.service/sync-1/pids.max", "");
    find(&base);
    assert_int_not_equal(sl_cgroup_new(&cg, &base, "sync-1", 1u << 30, 64, &err), SL_OK);
    assert_non_null(strstr(err.text, "cannot set the limits of the cgroup sync-1"));
    sl_cgroup_base_free(&base);
}

static void
test_sweep(void **state)
{
    struct sl_cgroup_base base;
    char *left, *other;

    (void)state;
    delegated();
    find(&base);
    left = sl_path_join(rig_dir, "fs/system.slice/sluiced.service/sluice-ab12-sync-1");
    other = sl_path_join(rig_dir, "fs/system.slice/sluiced.service/sluice-cd34-sync-1");
    assert_int_equal(mkdir(left, 0755), 0);
    assert_int_equal(mkdir(other, 0755), 0);
    sl_cgroup_sweep(&base, "sluice-ab12-");
    assert_false(sl_exists(left));
    assert_true(sl_exists(other));
    free(other);
    free(left);
    sl_cgroup_base_free(&base);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_v2_delegated, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_v2_limits, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_v2_without_controllers, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_v2_not_delegated, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_v1, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_v1_in_a_container, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_limit_that_fails, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_sweep, rig_set_up, rig_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
