#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "api/wheel.h"
#include "runtime/file.h"
#include "runtime/install.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

/* What sha256 -> base64 gives for the three contents below; `python -c` made them. */
#define PY "x = 1\n"
#define PY_DIGEST "nia_NpkRxFwkPGhBR7I_yeHc_PJX0pmhxjIBam_NM_Q"
#define PROGRAM "\177ELF program"
#define PROGRAM_DIGEST "RQl_amY8Rix0cT9Y_sWBKwDPlNiolnLajqQx8AaUQGY"
#define WHEEL                                                                                      \
    "Wheel-Version: 1.0\nTag: cp310-abi3-linux_x86_64\nTag: cp310-abi3-manylinux_2_36_x86_64\n"
#define WHEEL_DIGEST "sBsb5dlHXyyL_91yEdAyFZZbYEmpGYf21L-7SLprZkc"

#define INFO "fivetran_connector_sdk-" SL_VERSION ".dist-info/"
#define DATA "fivetran_connector_sdk-" SL_VERSION ".data/"
#define NAME                                                                                       \
    "fivetran_connector_sdk-" SL_VERSION "-cp310-abi3-linux_x86_64.manylinux_2_36_x86_64.whl"

static char *root, *package, *out, *wheel;

static char *
at(const char *name)
{
    return sl_sprintf("%s/lib/python3.11/site-packages/%s", root, name);
}

static void
put(const char *name, const char *text)
{
    struct sl_err err;
    char *path = at(name), *dir = sl_path_dir(path);

    assert_int_equal(sl_mkdirs(dir, &err), 0);
    if (sl_file_write(path, sl_bytes_of(text), false, &err))
        fail_msg("%s", err.text);
    free(dir);
    free(path);
}

static int
installed(void **state)
{
    char base[] = "/tmp/sluice wheel XXXXXX"; /* with a space, as some homes have */

    (void)state;
    root = sl_strdup(mkdtemp(base));
    package = at("fivetran_connector_sdk");
    out = sl_sprintf("%s/data/wheels", root);
    wheel = sl_sprintf("%s/" NAME, out);
    put("../../../bin/sluiced", PROGRAM);
    put("fivetran_connector_sdk/__init__.py", PY);
    put("fivetran_connector_sdk/__pycache__/__init__.cpython-311.pyc", "bytecode");
    put(INFO "WHEEL", WHEEL);
    put(INFO "INSTALLER", "pip\n");
    put(INFO "RECORD", "fivetran_connector_sdk/__init__.py,sha256=" PY_DIGEST ",6\n"
                       "../../../bin/sluiced,sha256=" PROGRAM_DIGEST ",12\n"
                       "fivetran_connector_sdk/__pycache__/__init__.cpython-311.pyc,,\n" INFO
                       "INSTALLER,sha256=AAAA,4\n" INFO "REQUESTED,sha256=AAAA,0\n" INFO
                       "WHEEL,sha256=" WHEEL_DIGEST ",86\r\n" INFO "RECORD,,\n");
    return 0;
}

static int
removed(void **state)
{
    (void)state;
    if (sl_remove_tree(root, NULL))
        return -1;
    free(root);
    free(package);
    free(out);
    free(wheel);
    return 0;
}

/* "name perm content\n" for each entry. */
static void
list(struct sl_buf *text)
{
    struct archive *zip = archive_read_new();
    struct archive_entry *entry;
    char body[4096];

    archive_read_support_format_zip(zip);
    assert_int_equal(archive_read_open_filename(zip, wheel, 65536), ARCHIVE_OK);
    while (archive_read_next_header(zip, &entry) == ARCHIVE_OK) {
        ssize_t n = archive_read_data(zip, body, sizeof body);

        assert_true(n >= 0);
        sl_buf_addf(text, "%s %o ", archive_entry_pathname(entry),
                    (unsigned)archive_entry_perm(entry));
        sl_buf_addn(text, body, (size_t)n);
        sl_buf_add(text, "\n");
    }
    archive_read_free(zip);
}

static void
repack(void)
{
    struct sl_err err = { 0 };

    if (sl_wheel_repack(package, out, &err))
        fail_msg("%s", err.text);
}

static void
has_what_the_wheel_had(void **state)
{
    struct sl_buf text;

    (void)state;
    repack();
    sl_buf_init(&text, 1 << 20);
    list(&text);
    assert_string_equal(
        sl_buf_str(&text), DATA
        "scripts/sluiced 755 " PROGRAM "\n" INFO "WHEEL 644 " WHEEL "\n"
        "fivetran_connector_sdk/__init__.py 644 " PY "\n" INFO "RECORD 644 " DATA
        "scripts/sluiced,sha256=" PROGRAM_DIGEST ",12\n" INFO "WHEEL,sha256=" WHEEL_DIGEST ",86\n"
        "fivetran_connector_sdk/__init__.py,sha256=" PY_DIGEST ",6\n" INFO "RECORD,,\n\n");
    sl_buf_free(&text);
}

static void
same_bytes_again_and_only_when_needed(void **state)
{
    char first[65], second[65];
    struct timespec old[2] = { { .tv_sec = 1000 }, { .tv_sec = 1000 } };
    struct stat before, after;

    (void)state;
    repack();
    assert_int_equal(sl_file_sha256(wheel, first, NULL), 0);
    assert_int_equal(stat(wheel, &before), 0);
    repack();
    assert_int_equal(stat(wheel, &after), 0);
    assert_true(before.st_ino == after.st_ino); /* left alone */

    assert_int_equal(utimensat(AT_FDCWD, wheel, old, 0), 0); /* older than the installation */
    setenv("TZ", "Asia/Tokyo", 1);
    repack();
    unsetenv("TZ");
    assert_int_equal(stat(wheel, &after), 0);
    assert_true(after.st_mtim.tv_sec > 1000);
    assert_int_equal(sl_file_sha256(wheel, second, NULL), 0);
    assert_string_equal(first, second);
}

static void
refuses_a_changed_file(void **state)
{
    struct sl_err err = { 0 };

    (void)state;
    put("fivetran_connector_sdk/__init__.py", "x = 2\n");
    assert_int_equal(sl_wheel_repack(package, out, &err), SL_E_CONFIG);
    assert_non_null(strstr(err.text, "__init__.py was changed since it was installed"));
    assert_false(sl_exists(wheel));
    rmdir(out);
    assert_false(sl_exists(out)); /* nothing else was left in it */
}

static void
says_that_a_source_tree_has_none(void **state)
{
    struct sl_err err = { 0 };
    char *record = at(INFO "RECORD");

    (void)state;
    assert_int_equal(unlink(record), 0);
    assert_int_equal(sl_wheel_repack(package, out, &err), SL_E_NOT_FOUND);
    assert_non_null(strstr(err.text, "was not installed from one"));
    assert_non_null(strstr(err.hint, "--wheels"));
    free(record);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, installed, removed)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(has_what_the_wheel_had),
        TEST(same_bytes_again_and_only_when_needed),
        TEST(refuses_a_changed_file),
        TEST(says_that_a_source_tree_has_none),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
