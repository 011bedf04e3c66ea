#include "runtime/rig_test.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

/* Folders in each other, as deep as nobody can name them. */
static void
dig(int levels)
{
    int at = open(rig_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

    assert_true(at >= 0);
    for (int i = 0; i < levels; i++) {
        int next, file;

        assert_int_equal(mkdirat(at, "d", 0700), 0);
        next = openat(at, "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        file = openat(at, "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
        assert_true(next >= 0 && file >= 0);
        close(file);
        close(at);
        at = next;
    }
    close(at);
}

static void
test_removes_deep_trees(void **state)
{
    struct rlimit few, before;

    (void)state;
    dig(1000);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    few = before;
    few.rlim_cur = 128;
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
    assert_int_equal(sl_remove_tree(rig_dir, NULL), 0);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_false(sl_exists(rig_dir));
    assert_int_equal(mkdir(rig_dir, 0700), 0);
}

/* Somebody has taken the names that deep folders are moved to. */
static void
test_removes_deep_trees_beside_others(void **state)
{
    (void)state;
    dig(300);
    for (int i = 0; i < 3; i++) {
        char *path = sl_sprintf("%s/.deep-%d/full", rig_dir, i);

        assert_int_equal(sl_mkdirs(path, NULL), 0);
        free(path);
    }
    assert_int_equal(sl_remove_tree(rig_dir, NULL), 0);
    assert_false(sl_exists(rig_dir));
    assert_int_equal(mkdir(rig_dir, 0700), 0);
}

static void
test_removes_read_only_folders_and_links(void **state)
{
    char *closed = sl_path_join(rig_dir, "closed"), *kept = sl_sprintf("%s.kept", rig_dir),
         *in = sl_path_join(closed, "in"), *link = sl_path_join(rig_dir, "link"),
         *file = sl_path_join(kept, "file");

    (void)state;
    assert_int_equal(sl_mkdirs(in, NULL), 0);
    assert_int_equal(sl_mkdirs(kept, NULL), 0);
    assert_int_equal(sl_file_write(file, SL_LIT("x"), false, NULL), 0);
    assert_int_equal(symlink(kept, link), 0);
    assert_int_equal(chmod(in, 0), 0);
    assert_int_equal(chmod(closed, 0500), 0);
    assert_int_equal(sl_remove_tree(rig_dir, NULL), 0);
    assert_true(sl_is_file(file)); /* a link is removed, not followed */
    assert_int_equal(mkdir(rig_dir, 0700), 0);
    assert_int_equal(sl_remove_tree(kept, NULL), 0);
    assert_int_equal(sl_remove_tree(kept, NULL), 0); /* absent is fine */
    free(file);
    free(link);
    free(in);
    free(kept);
    free(closed);
}

static unsigned
mode_of(const char *name)
{
    char *path = sl_path_join(rig_dir, name);
    struct stat st;
    unsigned mode = lstat(path, &st) == 0 ? st.st_mode : 0;

    free(path);
    return mode;
}

static void
make(const char *name, mode_t mode)
{
    char *path = sl_path_join(rig_dir, name);

    assert_int_equal(sl_file_write(path, SL_LIT("x"), false, NULL), 0);
    assert_int_equal(chmod(path, mode), 0);
    free(path);
}

static void
test_shared_tree(void **state)
{
    char *sub = sl_path_join(rig_dir, "sub"), *pipe = sl_path_join(rig_dir, "pipe"),
         *outside = sl_sprintf("%s.outside", rig_dir), *link = sl_path_join(rig_dir, "link"),
         *same = sl_path_join(rig_dir, "same");

    (void)state;
    assert_int_equal(mkdir(sub, 0700), 0);
    assert_int_equal(mkfifo(pipe, 0600), 0);
    make("program", 06777);
    make("sub/text", 0600);
    assert_int_equal(sl_file_write(outside, SL_LIT("x"), false, NULL), 0);
    assert_int_equal(chmod(outside, 0600), 0);
    assert_int_equal(symlink(outside, link), 0);
    assert_int_equal(link == NULL || (linkat(AT_FDCWD, outside, AT_FDCWD, same, 0) != 0), 0);
    assert_int_equal(sl_tree_give(rig_dir, geteuid(), SL_TREE_SHARED, NULL), 0);
    assert_int_equal(mode_of("."), S_IFDIR | 0755);
    assert_int_equal(mode_of("sub"), S_IFDIR | 0755);
    assert_int_equal(mode_of("sub/text"), S_IFREG | 0644);
    assert_int_equal(mode_of("program"), S_IFREG | 0755);
    assert_int_equal(mode_of("pipe"), 0);
    assert_int_equal(mode_of("link") & S_IFMT, S_IFLNK);
    assert_int_equal(mode_of("same"), S_IFREG | 0600); /* it is somebody else's, too */
    assert_int_equal(unlink(outside), 0);
    free(same);
    free(link);
    free(outside);
    free(pipe);
    free(sub);
}

static void
test_no_tree_is_given_through_a_link(void **state)
{
    char *link = sl_sprintf("%s.link", rig_dir);

    (void)state;
    assert_int_equal(symlink(rig_dir, link), 0);
    assert_int_not_equal(sl_tree_give(link, geteuid(), SL_TREE_SHARED, NULL), 0);
    assert_int_equal(unlink(link), 0);
    free(link);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_removes_deep_trees, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_removes_deep_trees_beside_others, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(test_removes_read_only_folders_and_links, rig_set_up,
                                        rig_tear_down),
        cmocka_unit_test_setup_teardown(test_shared_tree, rig_set_up, rig_tear_down),
        cmocka_unit_test_setup_teardown(test_no_tree_is_given_through_a_link, rig_set_up,
                                        rig_tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
