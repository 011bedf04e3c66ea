/* Zips that are not what they seem, made byte by byte. */
#include "runtime/rig_test.h"

#include "base/buf.h"
#include "runtime/unpack.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>

static char *zip, *out;

static int
setup(void **state)
{
    if (rig_set_up(state))
        return 1;
    zip = sl_path_join(rig_dir, "code.zip");
    out = sl_path_join(rig_dir, "out");
    return 0;
}

static int
teardown(void **state)
{
    free(zip);
    free(out);
    return rig_tear_down(state);
}

/* One entry; a value of 0 stands for the usual. */
struct entry {
    const char *name, *text;
    size_t name_len, text_len; /* where there are NULs */
    unsigned mode;             /* S_IFREG | 0644 */
    unsigned flags, method;
    uint32_t crc_off, size_off; /* added to the true values */
    const char *local_name;     /* in the header before the data */
    bool deflate, descriptor;
};

static void
le(struct sl_buf *buf, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) {
        char c = (char)(value >> 8 * i);

        sl_buf_addn(buf, &c, 1);
    }
}

static void
deflated(const char *text, size_t len, struct sl_buf *body)
{
    z_stream z = { .next_in = (Bytef *)(uintptr_t)text, .avail_in = (uInt)len };
    size_t bound = len / 2 + 4096;
    char *mem = sl_alloc(bound);

    assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY), Z_OK);
    z.next_out = (Bytef *)mem;
    z.avail_out = (uInt)bound;
    assert_int_equal(deflate(&z, Z_FINISH), Z_STREAM_END);
    sl_buf_addn(body, mem, bound - z.avail_out);
    deflateEnd(&z);
    free(mem);
}

/* The fields that both headers of an entry have. */
static void
common(struct sl_buf *buf, const struct entry *e, uint32_t crc, size_t packed, size_t size,
       bool later)
{
    le(buf, e->flags | 0x800u | (e->descriptor ? 8u : 0), 2);
    le(buf, e->method ? e->method : e->deflate ? 8 : 0, 2);
    le(buf, 0, 4);
    le(buf, later ? 0 : crc, 4);
    le(buf, later ? 0 : packed, 4);
    le(buf, later ? 0 : size, 4);
}

static void
add(struct sl_buf *file, struct sl_buf *table, const struct entry *e)
{
    size_t name_len = e->name_len ? e->name_len : strlen(e->name),
           text_len = e->text_len ? e->text_len
                      : e->text   ? strlen(e->text)
                                  : 0,
           at = file->len, size = text_len + e->size_off;
    const char *local = e->local_name ? e->local_name : e->name;
    size_t local_len = e->local_name ? strlen(local) : name_len;
    uint32_t crc = (uint32_t)crc32(0, (const Bytef *)(e->text ? e->text : ""), (uInt)text_len) +
                   e->crc_off;
    struct sl_buf body;

    sl_buf_init(&body, 1u << 30);
    if (e->deflate)
        deflated(e->text, text_len, &body);
    else
        sl_buf_addn(&body, e->text ? e->text : "", text_len);
    sl_buf_add(file, "PK\3\4");
    le(file, 20, 2);
    common(file, e, crc, body.len, size, e->descriptor);
    le(file, local_len, 2);
    le(file, 0, 2);
    sl_buf_addn(file, local, local_len);
    sl_buf_addn(file, body.ptr ? body.ptr : "", body.len);
    if (e->descriptor) {
        sl_buf_add(file, "PK\7\x8");
        le(file, crc, 4);
        le(file, body.len, 4);
        le(file, size, 4);
    }
    sl_buf_add(table, "PK\1\2");
    le(table, 0x0314, 2); /* made on Unix */
    le(table, 20, 2);
    common(table, e, crc, body.len, size, false);
    le(table, name_len, 2);
    le(table, 0, 8);
    le(table, (uint64_t)(e->mode ? e->mode : S_IFREG | 0644) << 16, 4);
    le(table, at, 4);
    sl_buf_addn(table, e->name, name_len);
    sl_buf_free(&body);
}

static const struct entry connector = { .name = "connector.py", .text = "connector = 1\n" };

/* Writes a zip of connector.py and the entries; `cut` bytes are missing at its end. */
static void
make_zip(const struct entry *entries, size_t n, bool with_connector, size_t cut)
{
    struct sl_buf file, table;
    size_t at, all = n + with_connector;

    sl_buf_init(&file, 1u << 30);
    sl_buf_init(&table, 1u << 30);
    if (with_connector)
        add(&file, &table, &connector);
    for (size_t i = 0; i < n; i++)
        add(&file, &table, &entries[i]);
    at = file.len;
    sl_buf_addn(&file, table.ptr ? table.ptr : "", table.len);
    sl_buf_add(&file, "PK\5\6");
    le(&file, 0, 4);
    le(&file, all, 2);
    le(&file, all, 2);
    le(&file, table.len, 4);
    le(&file, at, 4);
    le(&file, 0, 2);
    assert_int_equal(sl_file_write(zip, (struct sl_bytes){ file.ptr, file.len - cut }, false, NULL),
                     0);
    sl_buf_free(&file);
    sl_buf_free(&table);
}

/* Both calls say the same, and nothing is left of the attempt. */
static void
expect_refused(const struct sl_unpack_limits *limits, sl_rc want, const char *text)
{
    struct sl_err err = { 0 };
    sl_rc rc = sl_package_check(zip, limits, &err);

    if (rc != want || strstr(err.text, text) == NULL)
        fail_msg("check: %d %s, expected %d %s", rc, err.text, want, text);
    assert_true(err.hint[0] != '\0');
    rc = sl_package_unpack(zip, out, limits, &err);
    if (rc != want || strstr(err.text, text) == NULL)
        fail_msg("unpack: %d %s, expected %d %s", rc, err.text, want, text);
    assert_false(sl_exists(out));
}

static void
expect_file(const char *name, const char *text, unsigned mode)
{
    char *path = sl_path_join(out, name);
    struct sl_buf buf;
    struct stat st;

    sl_buf_init(&buf, 1u << 20);
    if (sl_file_read(path, &buf, NULL) != SL_OK || lstat(path, &st) != 0)
        fail_msg("%s is not there", name);
    assert_string_equal(sl_buf_str(&buf), text);
    assert_int_equal(st.st_mode, S_IFREG | mode);
    sl_buf_free(&buf);
    free(path);
}

static void
expect_fine(void)
{
    struct sl_err err = { 0 };

    if (sl_package_check(zip, NULL, &err) || sl_package_unpack(zip, out, NULL, &err))
        fail_msg("%s", err.text);
}

static void
test_unpacks(void **state)
{
    const struct entry entries[] = {
        { .name = "a/b/c.py", .text = "x = 1\n", .deflate = true },
        { .name = "a/", .text = "", .mode = S_IFDIR | 0777 },
        { .name = "run.sh", .text = "#!/bin/sh\n", .mode = S_IFREG | 06777 },
        { .name = "locked", .text = "1", .mode = S_IFREG },
        { .name = "sch\xc3\xb6n.txt", .text = "later", .descriptor = true, .deflate = true },
        { .name = "empty/", .text = "", .mode = S_IFDIR | 0755 },
        { .name = "Readme", .text = "1" },
        { .name = "readme", .text = "2" },
        { .name = "nothing", .text = "" },
    };
    char *path;
    struct stat st;

    (void)state;
    make_zip(entries, sizeof entries / sizeof entries[0], true, 0);
    umask(077);
    expect_fine();
    umask(022);
    expect_file("connector.py", "connector = 1\n", 0644);
    expect_file("a/b/c.py", "x = 1\n", 0644);
    expect_file("run.sh", "#!/bin/sh\n", 0755);
    expect_file("locked", "1", 0644);
    expect_file("sch\xc3\xb6n.txt", "later", 0644);
    expect_file("readme", "2", 0644);
    expect_file("nothing", "", 0644);
    path = sl_path_join(out, "empty");
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0755);
    free(path);
    path = sl_path_join(out, "a/b");
    assert_int_equal(lstat(path, &st), 0);
    assert_int_equal(st.st_mode, S_IFDIR | 0755);
    free(path);
}

static void
test_folder_must_be_new(void **state)
{
    struct sl_err err = { 0 };

    (void)state;
    make_zip(NULL, 0, true, 0);
    assert_int_equal(mkdir(out, 0755), 0);
    assert_int_not_equal(sl_package_unpack(zip, out, NULL, &err), SL_OK);
    assert_true(sl_is_dir(out)); /* not ours to remove */
}

/* One bad entry each, and what is said of it. */
static void
test_refused_entries(void **state)
{
    const struct {
        struct entry e;
        const char *text;
    } cases[] = {
        { { .name = "../x" }, "\"../x\" leads out of its folder" },
        { { .name = "a/../../x" }, "leads out of its folder" },
        { { .name = "a/.." }, "leads out of its folder" },
        { { .name = "./x" }, "leads out of its folder" },
        { { .name = "a//x" }, "leads out of its folder" },
        { { .name = "/etc/cron.d/x" }, "has an absolute path" },
        { { .name = "//host/x" }, "has an absolute path" },
        { { .name = "..\\x" }, "has a backslash" },
        { { .name = "a\\x" }, "has a backslash" },
        { { .name = "C:/x" }, "drive letter" },
        { { .name = "c:x" }, "drive letter" },
        { { .name = "x.py\0.txt", .name_len = 9 }, "\"x.py\" has a NUL byte" },
        { { .name = "connector.py\0", .name_len = 13 }, "has a NUL byte" },
        { { .name = "a\nb" }, "\"a?b\" has a control character" },
        { { .name = "a\x1b[31m" }, "has a control character" },
        { { .name = "\xff\xfe" }, "not UTF-8" },
        { { .name = "" }, "without a name" },
        { { .name = "link", .text = "/etc/passwd", .mode = S_IFLNK | 0777 },
          "is a link or a device" },
        { { .name = "fifo", .mode = S_IFIFO | 0644 }, "is a link or a device" },
        { { .name = "dev", .mode = S_IFCHR | 0644 }, "is a link or a device" },
        { { .name = "connector.py", .text = "other" }, "\"connector.py\" is there twice" },
        { { .name = "connector.py/", .mode = S_IFDIR | 0755 }, "is there twice" },
        { { .name = "connector.py/x" }, "lies below something that is a file" },
        { { .name = "secret", .text = "123456789012", .flags = 1 }, "is encrypted" },
        { { .name = "secret", .text = "1", .flags = 0x40 }, "is encrypted" },
        { { .name = "lzma", .text = "1", .method = 14 }, "not supported (14)" },
        { { .name = "crc", .text = "text", .crc_off = 1 }, "\"crc\" is damaged" },
        { { .name = "crc", .text = "text", .crc_off = 1, .deflate = true }, "\"crc\" is damaged" },
        { { .name = "size", .text = "text", .size_off = 3, .deflate = true },
          "\"size\" is damaged" },
        { { .name = "size", .text = "text", .size_off = (uint32_t)-2, .deflate = true },
          "\"size\" is damaged" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        make_zip(&cases[i].e, 1, true, 0);
        expect_refused(NULL, SL_E_CONFIG, cases[i].text);
    }
}

static void
test_long_names(void **state)
{
    char *part = sl_zalloc(300, 1), *path = sl_zalloc(1200, 1), *deep = sl_zalloc(400, 1);
    const struct entry one = { .name = part, .text = "" }, two = { .name = path, .text = "" },
                       three = { .name = deep, .text = "" };

    (void)state;
    memset(part, 'a', 256);
    make_zip(&one, 1, true, 0);
    expect_refused(NULL, SL_E_CONFIG, "more than 255 bytes");
    for (int i = 0; i < 1100; i++)
        path[i] = i % 100 == 99 ? '/' : 'a';
    make_zip(&two, 1, true, 0);
    expect_refused(NULL, SL_E_CONFIG, "a path of more than 1024 bytes");
    for (int i = 0; i < 140; i++)
        deep[i] = i % 2 ? '/' : 'a';
    deep[140] = 'x';
    make_zip(&three, 1, true, 0);
    expect_refused(NULL, SL_E_CONFIG, "more than 64 folders deep");
    free(part);
    free(path);
    free(deep);
}

static void
test_no_connector(void **state)
{
    const struct entry deep = { .name = "project/connector.py", .text = "x" },
                       other = { .name = "main.py", .text = "x" };
    struct sl_err err = { 0 };

    (void)state;
    make_zip(&deep, 1, false, 0);
    expect_refused(NULL, SL_E_CONFIG,
                   "has no connector.py in its root, but one at project/connector.py");
    assert_int_not_equal(sl_package_check(zip, NULL, &err), SL_OK);
    assert_string_equal(err.hint, "pack what is in the folder project, not the folder itself");
    make_zip(&other, 1, false, 0);
    expect_refused(NULL, SL_E_CONFIG, "has no connector.py in its root");
    make_zip(NULL, 0, false, 0);
    expect_refused(NULL, SL_E_CONFIG, "has no connector.py in its root");
}

/* The name that is used is the one that was checked: the table's, or the two differ. */
static void
test_two_names(void **state)
{
    const struct entry e = { .name = "fine.py", .text = "x", .local_name = "../../evil" };
    struct sl_err err = { 0 };
    char *evil = sl_path_join(rig_dir, "../evil");

    (void)state;
    make_zip(&e, 1, true, 0);
    if (sl_package_unpack(zip, out, NULL, &err) == SL_OK)
        expect_file("fine.py", "x", 0644);
    else
        assert_false(sl_exists(out));
    assert_false(sl_exists(evil));
    free(evil);
}

static void
test_broken_files(void **state)
{
    const struct entry e = { .name = "a.py", .text = "x = 1\n" };

    (void)state;
    for (size_t cut = 1; cut < 200; cut += 7) {
        make_zip(&e, 1, true, cut);
        expect_refused(NULL, SL_E_CONFIG, "is no zip file, or its end is missing");
    }
    assert_int_equal(sl_file_write(zip, SL_LIT(""), false, NULL), 0);
    expect_refused(NULL, SL_E_CONFIG, "is no zip file");
    assert_int_equal(
        sl_file_write(zip, SL_LIT("\x1f\x8b\x08 not a zip at all, but long enough"), false, NULL),
        0);
    expect_refused(NULL, SL_E_CONFIG, "is no zip file");
}

/* Every byte of a small zip changed once: refused, or unpacked without harm, never outside. */
static void
test_flipped_bytes(void **state)
{
    const struct entry e = { .name = "pkg/a.py", .text = "x = 1\n", .deflate = true };
    struct sl_buf buf;

    (void)state;
    make_zip(&e, 1, true, 0);
    sl_buf_init(&buf, 1u << 20);
    assert_int_equal(sl_file_read(zip, &buf, NULL), 0);
    for (size_t i = 0; i < buf.len; i++) {
        struct sl_err err = { 0 };
        char **names = NULL;

        buf.ptr[i] = (char)(buf.ptr[i] ^ 0xff);
        assert_int_equal(sl_file_write(zip, (struct sl_bytes){ buf.ptr, buf.len }, false, NULL), 0);
        if (sl_package_unpack(zip, out, NULL, &err) == SL_OK)
            assert_int_equal(sl_remove_tree(out, NULL), 0);
        assert_false(sl_exists(out));
        assert_int_equal(sl_dir_names(rig_dir, &names, NULL), 0);
        assert_string_equal(names[0], "code.zip");
        assert_null(names[1]);
        sl_names_free(names);
        buf.ptr[i] = (char)(buf.ptr[i] ^ 0xff);
    }
    sl_buf_free(&buf);
}

static void
test_limits(void **state)
{
    struct sl_unpack_limits limits = sl_unpack_defaults;
    const struct entry few[] = { { .name = "a", .text = "1" }, { .name = "b", .text = "2" } };
    size_t size = 8u << 20;
    char *zeros = sl_zalloc(size, 1);
    const struct entry bomb = { .name = "zeros", .text = zeros, .text_len = size, .deflate = true },
                       liar = { .name = "zeros",
                                .text = zeros,
                                .text_len = size,
                                .size_off = (uint32_t) - (int32_t)(size - 10),
                                .deflate = true };

    (void)state;
    make_zip(few, 2, true, 0);
    limits.files = 2;
    expect_refused(&limits, SL_E_LIMIT, "has 3 files; at most 2");
    limits = sl_unpack_defaults;
    limits.packed = 100;
    expect_refused(&limits, SL_E_LIMIT, "at most");
    make_zip(&bomb, 1, true, 0);
    expect_refused(NULL, SL_E_LIMIT, "unpacks to more than 200 times its size (at \"zeros\")");
    limits = sl_unpack_defaults;
    limits.ratio = 2000;
    limits.unpacked = 4u << 20;
    expect_refused(&limits, SL_E_LIMIT, "has more than 4 MiB when unpacked (at \"zeros\")");
    limits.unpacked = 16u << 20;
    assert_int_equal(sl_package_check(zip, &limits, NULL), SL_OK);
    make_zip(&liar, 1, true, 0);
    expect_refused(&limits, SL_E_CONFIG, "\"zeros\" is damaged");
    free(zeros);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_unpacks, setup, teardown),
        cmocka_unit_test_setup_teardown(test_folder_must_be_new, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refused_entries, setup, teardown),
        cmocka_unit_test_setup_teardown(test_long_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_connector, setup, teardown),
        cmocka_unit_test_setup_teardown(test_two_names, setup, teardown),
        cmocka_unit_test_setup_teardown(test_broken_files, setup, teardown),
        cmocka_unit_test_setup_teardown(test_flipped_bytes, setup, teardown),
        cmocka_unit_test_setup_teardown(test_limits, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
