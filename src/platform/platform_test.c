#include "platform/platform.h"

#include "base/time.h"
#include "platform/backup.h"
#include "platform/ids.h"
#include "platform/rig_test.h"
#include "platform/words.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sodium.h>
#include <sys/stat.h>
#include <time.h>

static struct sl_platform *pf;
static char *data; /* <rig_dir>/data */

static int
set_up(void **state)
{
    rig_set_up(state);
    data = sl_path_join(rig_dir, "data");
    return 0;
}

static int
tear_down(void **state)
{
    sl_platform_close(pf);
    pf = NULL;
    free(data);
    return rig_tear_down(state);
}

static struct sl_new_key
start(void)
{
    struct sl_new_key key;
    bool first;

    ok(sl_platform_open(&pf, data, true, NULL, &err));
    ok(sl_platform_first_start(pf, &first, &key, &err));
    return key;
}

static void
stop(void)
{
    sl_platform_close(pf);
    pf = NULL;
}

/* ---- the first start ---- */

static void
the_first_start_makes_everything_once(void **state)
{
    struct sl_query groups = { .kind = SL_K_GROUP }, users = { .kind = SL_K_USER };
    struct sl_list list = { 0 };
    struct sl_destination d;
    struct sl_new_key key = start(), none;
    struct sl_key rec;
    char *owner, *plain, *want, account[40];
    struct stat info;
    size_t len;
    bool first;

    (void)state;
    assert_int_equal(stat(data, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0700);
    ok(sl_key_check(pf->keys, key.base64, &rec, &err));
    assert_int_equal(sl_role_of(rec.role), SL_ROLE_ADMIN);
    ok(sl_store_list(pf->store, &users, &list, &err));
    assert_int_equal(list.count, 1);
    assert_string_equal(SL_ITEM(&list, struct sl_user, 0)->email, "owner@localhost");
    assert_null(SL_ITEM(&list, struct sl_user, 0)->password);
    assert_string_equal(SL_ITEM(&list, struct sl_user, 0)->id, rec.user_id);
    sl_record_free(SL_K_KEY, &rec);
    sl_list_free(&list);
    ok(sl_store_list(pf->store, &groups, &list, &err));
    assert_int_equal(list.count, 1);
    assert_string_equal(SL_ITEM(&list, struct sl_group, 0)->name, "warehouse");
    ok(sl_store_get(pf->store, SL_K_DESTINATION, SL_ITEM(&list, struct sl_group, 0)->id, &d, &err));
    owner = sl_sprintf("destination:%s", d.id);
    ok(sl_vault_unseal(pf->vault, owner, d.config, &plain, &len, &err));
    want = sl_sprintf("{\"path\":\"%s/warehouse.db\"}", pf->dir);
    assert_string_equal(plain, want);
    snprintf(account, sizeof account, "%s", pf->account_id);
    assert_true(strlen(account) > 0 && strlen(pf->account_name) > 0);
    sl_vault_wipe(plain, len);
    sl_record_free(SL_K_DESTINATION, &d);
    sl_list_free(&list);
    free(owner);
    free(want);
    stop();

    ok(sl_platform_open(&pf, data, true, NULL, &err));
    ok(sl_platform_first_start(pf, &first, &none, &err));
    assert_false(first);
    assert_string_equal(none.key, "");
    assert_string_equal(pf->account_id, account);
    ok(sl_store_list(pf->store, &groups, &list, &err));
    assert_int_equal(list.count, 1);
    sl_list_free(&list);
    assert_false(rig_holds(data, key.secret));
}

#ifdef SL_FAULTS
static sl_rc
start_in_child(void)
{
    struct sl_new_key key;
    bool first;
    sl_rc rc = sl_platform_open(&pf, data, true, NULL, NULL);

    return rc ? rc : sl_platform_first_start(pf, &first, &key, NULL);
}
#endif

/* A server killed on its first way up comes up the next time, and still shows a key if it had not yet. */
static void
a_first_start_may_be_killed(void **state)
{
#ifdef SL_FAULTS
    static const struct {
        const char *fault;
        bool made;
    } points[] = {
        { "migrate_begin=kill", false },         { "migrate_before_commit=kill", false },
        { "migrate_after_commit=kill", false },  { "store_begin=kill", false },
        { "store_begin:2=kill", false },         { "store_before_commit=kill", false },
        { "store_before_commit:2=kill", false }, { "store_after_commit=kill", false },
        { "store_after_commit:2=kill", true },
    };

    (void)state;
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        struct sl_new_key key;
        struct sl_key rec;
        bool first;

        ok(sl_remove_tree(data, &err));
        assert_true(rig_killed(points[i].fault, start_in_child));
        ok(sl_platform_open(&pf, data, true, NULL, &err));
        ok(sl_platform_first_start(pf, &first, &key, &err));
        assert_int_equal(first, !points[i].made);
        if (first) {
            ok(sl_key_check(pf->keys, key.base64, &rec, &err));
            sl_record_free(SL_K_KEY, &rec);
        }
        stop();
    }
#else
    (void)state;
    skip();
#endif
}

static void
one_server_per_directory(void **state)
{
    struct sl_platform *other;
    struct sl_new_key key;
    struct sl_key rec;
    char pid[32];

    (void)state;
    assert_int_equal(sl_platform_open(&other, data, false, NULL, &err), SL_E_NOT_FOUND);
    assert_false(sl_exists(data)); /* a command makes nothing */
    start();
    assert_int_equal(sl_platform_open(&other, data, true, NULL, &err), SL_E_LOCKED);
    snprintf(pid, sizeof pid, "process %ld", (long)getpid());
    assert_non_null(strstr(err.text, pid));
    /* A command works beside it. */
    ok(sl_platform_open(&other, data, false, NULL, &err));
    assert_null(other->logs);
    ok(sl_key_create(other->keys, "x", SL_ROLE_VIEWER, NULL, &key, &err));
    sl_platform_close(other);
    ok(sl_key_check(pf->keys, key.base64, &rec, &err));
    sl_record_free(SL_K_KEY, &rec);
}

/* ---- ids ---- */

static void
ids_are_two_words_and_free(void **state)
{
    char *id, *again;
    int words = 0;

    (void)state;
    for (const char *p = sl_adjectives; p != NULL; p = strchr(p + 1, ' '))
        words++;
    assert_int_equal(words, SL_ADJECTIVES);
    words = 0;
    for (const char *p = sl_nouns; p != NULL; p = strchr(p + 1, ' '))
        words++;
    assert_int_equal(words, SL_NOUNS);
    assert_true(SL_ADJECTIVES >= 1000 && SL_NOUNS >= 1000);
    assert_int_equal(strspn(sl_adjectives, "abcdefghijklmnopqrstuvwxyz "), strlen(sl_adjectives));
    assert_int_equal(strspn(sl_nouns, "abcdefghijklmnopqrstuvwxyz "), strlen(sl_nouns));
    start();
    ok(sl_store_begin(pf->store, &err));
    for (int i = 0; i < 300; i++) {
        struct sl_group g = { .name = NULL };

        ok(sl_new_id(pf->store, SL_K_GROUP, &g.id, &err));
        assert_int_equal(strspn(g.id, "abcdefghijklmnopqrstuvwxyz_"), strlen(g.id));
        assert_non_null(strchr(g.id, '_'));
        ok(sl_store_put(pf->store, SL_K_GROUP, &g, &err));
        free(g.id);
    }
    ok(sl_store_commit(pf->store, &err));
    id = sl_new_uuid();
    again = sl_new_uuid();
    assert_int_equal(strlen(id), 36);
    assert_int_equal(id[14], '4');
    assert_non_null(strchr("89ab", id[19]));
    assert_string_not_equal(id, again);
    free(id);
    free(again);
}

/* ---- packages ---- */

/* A zip with a connector.py that holds `body`, as bytes. */
static void
make_zip(struct sl_buf *out, const char *name, const char *body)
{
    char *path = sl_path_join(rig_dir, "made.zip");
    struct archive *a = archive_write_new();
    struct archive_entry *e = archive_entry_new();

    archive_write_set_format_zip(a);
    assert_int_equal(archive_write_open_filename(a, path), ARCHIVE_OK);
    archive_entry_set_pathname(e, name);
    archive_entry_set_size(e, (int64_t)strlen(body));
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0644);
    assert_int_equal(archive_write_header(a, e), ARCHIVE_OK);
    assert_int_equal(archive_write_data(a, body, strlen(body)), strlen(body));
    archive_entry_free(e);
    archive_write_free(a);
    sl_buf_init(out, 1u << 20);
    ok(sl_file_read(path, out, &err));
    assert_int_equal(unlink(path), 0);
    free(path);
}

static sl_rc
upload(const char *name, const char *body, char sha256[65])
{
    struct sl_buf zip;
    struct sl_upload *up;
    int64_t size;
    sl_rc rc;

    make_zip(&zip, name, body);
    ok(sl_upload_begin(pf->packages, &up, &err));
    /* As it comes: in pieces. */
    for (size_t at = 0; at < zip.len; at += 7)
        ok(sl_upload_write(up, zip.ptr + at, zip.len - at < 7 ? zip.len - at : 7, &err));
    rc = sl_upload_finish(up, sha256, &size, &err);
    if (rc == SL_OK)
        assert_int_equal(size, zip.len);
    sl_upload_free(up);
    sl_buf_free(&zip);
    return rc;
}

static int
count_files(const char *name)
{
    char *dir = sl_path_join(data, name), **names;
    int n = 0;

    ok(sl_dir_names(dir, &names, &err));
    while (names[n] != NULL)
        n++;
    sl_names_free(names);
    free(dir);
    return n;
}

static void
a_package_is_kept_by_its_hash_and_unpacked_once(void **state)
{
    char sha256[65], again[65], *zip, *code, *second, *file, sum[65];

    (void)state;
    start();
    ok(upload("connector.py", "print('hello')\n", sha256));
    ok(upload("connector.py", "print('hello')\n", again));
    ok(sl_package_zip(pf->packages, sha256, &zip, &err));
    ok(sl_file_sha256(zip, sum, &err));
    assert_string_equal(sum, sha256);
    ok(sl_package_code(pf->packages, sha256, &code, &err));
    ok(sl_package_code(pf->packages, sha256, &second, &err));
    assert_string_equal(code, second);
    free(second);
    free(zip);
    file = sl_path_join(code, "connector.py");
    assert_true(sl_is_file(file));
    assert_int_equal(sl_package_zip(pf->packages, "../../etc/passwd", &zip, &err), SL_E_NOT_FOUND);
    assert_null(zip);
    assert_int_equal(sl_package_code(pf->packages, NULL, &second, &err), SL_E_NOT_FOUND);
    sum[0] = sum[0] == 'a' ? 'b' : 'a';
    assert_int_equal(sl_package_code(pf->packages, sum, &second, &err), SL_E_NOT_FOUND);
    ok(sl_package_zip(pf->packages, sha256, &zip, &err));
    free(zip);
    free(code);
    free(file);
}

static void
bad_uploads_leave_nothing(void **state)
{
    struct sl_upload *up;
    char sha256[65], *chunk = sl_zalloc(1, 1 << 20);
    int64_t size;
    sl_rc rc = SL_OK;
    int mb = 0;

    (void)state;
    start();
    assert_int_equal(upload("main.py", "x", sha256), SL_E_CONFIG);
    assert_int_equal(upload("../connector.py", "x", sha256), SL_E_CONFIG);
    ok(sl_upload_begin(pf->packages, &up, &err));
    ok(sl_upload_write(up, "no zip at all", 13, &err));
    assert_int_not_equal(sl_upload_finish(up, sha256, &size, &err), SL_OK);
    sl_upload_free(up);
    ok(sl_upload_begin(pf->packages, &up, &err));
    while (rc == SL_OK && mb < 300) {
        rc = sl_upload_write(up, chunk, 1 << 20, &err);
        mb += rc == SL_OK;
    }
    assert_int_equal(rc, SL_E_LIMIT);
    assert_int_equal(mb, 200);
    sl_upload_free(up);
    sl_upload_free(NULL);
    assert_int_equal(count_files("packages"), 0);
    free(chunk);
}

#ifdef SL_FAULTS
static sl_rc
upload_in_child(void)
{
    char sha256[65];

    if (sl_platform_open(&pf, data, true, NULL, &err))
        return SL_E_INTERNAL;
    return upload("connector.py", "x = 1\n", sha256);
}
#endif

static void
a_killed_upload_is_all_or_nothing(void **state)
{
#ifdef SL_FAULTS
    static const char *const points[] = { "upload_written=kill", "upload_checked=kill",
                                          "upload_kept=kill" };

    (void)state;
    start();
    for (int i = 0; i < 3; i++) {
        stop();
        assert_true(rig_killed(points[i], upload_in_child));
        ok(sl_platform_open(&pf, data, true, NULL, &err));
        assert_int_equal(count_files("packages"), i == 2);
    }
#else
    (void)state;
    skip();
#endif
}

static void
age(const char *folder, const char *sha256, const char *suffix)
{
    char *path = sl_sprintf("%s/%s/%s%s", data, folder, sha256, suffix);
    struct timespec old[2] = { { time(NULL) - 7200, 0 }, { time(NULL) - 7200, 0 } };

    assert_int_equal(utimensat(AT_FDCWD, path, old, 0), 0);
    free(path);
}

static void
what_no_record_names_is_swept_in_time(void **state)
{
    struct sl_group g = { .id = (char *)"g" };
    struct sl_connection c = { .id = (char *)"c", .group_id = (char *)"g", .schema = (char *)"c" };
    struct sl_package p = { .id = (char *)"p" };
    char named[65], deployed[65], old[65], unnamed[65], young[65], *path;

    (void)state;
    start();
    ok(upload("connector.py", "named", named));
    ok(upload("connector.py", "deployed", deployed));
    ok(upload("connector.py", "deployed long ago", old));
    ok(upload("connector.py", "unnamed", unnamed));
    ok(upload("connector.py", "young", young));
    ok(sl_package_code(pf->packages, unnamed, &path, &err));
    free(path);
    ok(sl_package_code(pf->packages, named, &path, &err));
    free(path);
    ok(sl_store_begin(pf->store, &err));
    p.sha256 = named;
    ok(sl_store_put(pf->store, SL_K_PACKAGE, &p, &err));
    ok(sl_store_put(pf->store, SL_K_GROUP, &g, &err));
    ok(sl_store_put(pf->store, SL_K_CONNECTION, &c, &err));
    for (int i = 1; i <= 11; i++) {
        char id[16];
        struct sl_deployment d = {
            .id = id, .connection_id = (char *)"c", .number = i, .sha256 = i == 1 ? old : deployed
        };

        snprintf(id, sizeof id, "c:%d", i);
        ok(sl_store_put(pf->store, SL_K_DEPLOYMENT, &d, &err));
    }
    ok(sl_store_commit(pf->store, &err));
    age("packages", named, ".zip");
    age("packages", deployed, ".zip");
    age("packages", old, ".zip");
    age("packages", unnamed, ".zip");
    age("code", named, "");
    age("code", unnamed, "");
    ok(sl_packages_sweep(pf->packages, &err));
    assert_int_equal(count_files("packages"), 3);
    assert_int_equal(count_files("code"), 1);
    ok(sl_package_zip(pf->packages, named, &path, &err));
    free(path);
    ok(sl_package_zip(pf->packages, deployed, &path, &err));
    free(path);
    ok(sl_package_zip(pf->packages, young, &path, &err));
    free(path);
    assert_int_equal(sl_package_zip(pf->packages, old, &path, &err), SL_E_NOT_FOUND);
    assert_int_equal(sl_package_zip(pf->packages, unnamed, &path, &err), SL_E_NOT_FOUND);
}

/* ---- backups ---- */

#define SECRET "a-password-nobody-guesses"

static void
put_connection(void)
{
    struct sl_group g = { .id = (char *)"g" };
    struct sl_connection c = { .id = (char *)"c", .group_id = (char *)"g", .schema = (char *)"c" };

    ok(sl_vault_seal(pf->vault, "connection:c", SL_LIT("{\"k\":\"" SECRET "\"}"), &c.secrets,
                     &err));
    ok(sl_store_begin(pf->store, &err));
    ok(sl_store_put(pf->store, SL_K_GROUP, &g, &err));
    ok(sl_store_put(pf->store, SL_K_CONNECTION, &c, &err));
    ok(sl_store_commit(pf->store, &err));
    free(c.secrets);
}

static void
a_backup_becomes_the_same_server(void **state)
{
    struct sl_new_key key = start();
    char *file = sl_path_join(rig_dir, "backup"), *other = sl_path_join(rig_dir, "other/"), *from,
         *to;
    char sha256[65], *plain;
    struct sl_restored res;
    struct sl_connection c;
    struct sl_key rec;
    struct stat info;
    size_t len;

    (void)state;
    put_connection();
    ok(upload("connector.py", "x = 1\n", sha256));
    ok(sl_backup(pf->store, data, file, false, &err)); /* while it runs */
    assert_int_equal(sl_backup(pf->store, data, file, false, &err), SL_E_USAGE);
    assert_int_equal(stat(file, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    ok(sl_restore(file, other, &res, &err));
    assert_int_equal(res.packages, 1);
    assert_false(res.with_key);
    assert_int_equal(sl_restore(file, other, &res, &err), SL_E_USAGE); /* not empty now */
    assert_int_equal(sl_restore(file, data, &res, &err), SL_E_USAGE);
    stop();
    /* Without the key it refuses; no key is made up. */
    assert_int_equal(sl_platform_open(&pf, other, true, NULL, &err), SL_E_CONFIG);
    assert_non_null(strstr(err.text, "master key"));
    from = sl_path_join(data, "secret.key");
    to = sl_path_join(other, "secret.key");
    assert_false(sl_exists(to));
    assert_int_equal(link(from, to), 0);
    ok(sl_platform_open(&pf, other, true, NULL, &err));
    ok(sl_key_check(pf->keys, key.base64, &rec, &err));
    sl_record_free(SL_K_KEY, &rec);
    ok(sl_store_get(pf->store, SL_K_CONNECTION, "c", &c, &err));
    ok(sl_vault_unseal(pf->vault, "connection:c", c.secrets, &plain, &len, &err));
    assert_string_equal(plain, "{\"k\":\"" SECRET "\"}");
    sl_vault_wipe(plain, len);
    sl_record_free(SL_K_CONNECTION, &c);
    ok(sl_package_zip(pf->packages, sha256, &plain, &err));
    free(plain);
    assert_false(rig_holds(rig_dir, SECRET));
    assert_false(rig_holds(rig_dir, key.secret));
    free(file);
    free(other);
    free(from);
    free(to);
}

static void
a_backup_with_its_key_needs_nothing_else(void **state)
{
    struct sl_new_key key = start();
    char *file = sl_path_join(rig_dir, "backup"), *other = sl_path_join(rig_dir, "other");
    struct sl_restored res;
    struct sl_key rec;

    (void)state;
    ok(sl_backup(pf->store, data, file, true, &err));
    stop();
    assert_int_equal(mkdir(other, 0755), 0); /* an empty one is fine */
    ok(sl_restore(file, other, &res, &err));
    assert_true(res.with_key);
    ok(sl_platform_open(&pf, other, true, NULL, &err));
    ok(sl_key_check(pf->keys, key.base64, &rec, &err));
    sl_record_free(SL_K_KEY, &rec);
    free(file);
    free(other);
}

static void
damaged_backups_restore_nothing(void **state)
{
    char *file = sl_path_join(rig_dir, "backup"), *bad = sl_path_join(rig_dir, "bad");
    char *other = sl_path_join(rig_dir, "other"), sha256[65];
    struct sl_restored res;
    struct sl_buf bytes;

    (void)state;
    start();
    ok(upload("connector.py", "x = 1\n", sha256));
    ok(sl_backup(pf->store, data, file, true, &err));
    sl_buf_init(&bytes, 1u << 28);
    ok(sl_file_read(file, &bytes, &err));
    for (int i = 0; i < 40; i++) {
        size_t at = bytes.len * (size_t)i / 40;

        /* Cut short. */
        ok(sl_file_write(bad, (struct sl_bytes){ bytes.ptr, at }, false, &err));
        assert_int_not_equal(sl_restore(bad, other, &res, &err), SL_OK);
        assert_false(sl_exists(other));
    }
    ok(sl_file_write(bad, SL_LIT("something else entirely"), false, &err));
    assert_int_equal(sl_restore(bad, other, &res, &err), SL_E_DATA);
    assert_int_equal(sl_restore("/nowhere/at/all", other, &res, &err), SL_E_NOT_FOUND);
    assert_false(sl_exists(other));
    sl_buf_free(&bytes);
    free(file);
    free(bad);
    free(other);
}

static void
an_archive_does_not_choose_where_it_goes(void **state)
{
    static const char *const names[] = { "../evil", "/tmp/sluice-evil", "packages/../../evil",
                                         "server.lock", "packages/x.zip" };
    char *bad = sl_path_join(rig_dir, "bad"), *other = sl_path_join(rig_dir, "other");
    struct sl_restored res;

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct archive *a = archive_write_new();
        struct archive_entry *e = archive_entry_new();

        archive_write_set_format_pax_restricted(a);
        archive_write_add_filter_zstd(a);
        assert_int_equal(archive_write_open_filename(a, bad), ARCHIVE_OK);
        archive_entry_set_pathname(e, names[i]);
        archive_entry_set_size(e, 4);
        archive_entry_set_filetype(e, AE_IFREG);
        archive_entry_set_perm(e, 0644);
        archive_write_header(a, e);
        archive_write_data(a, "evil", 4);
        archive_entry_free(e);
        archive_write_free(a);
        assert_int_equal(sl_restore(bad, other, &res, &err), SL_E_DATA);
        assert_false(sl_exists(other));
    }
    assert_false(sl_exists("/tmp/sluice-evil"));
    free(bad);
    free(other);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_first_start_makes_everything_once),
        TEST(a_first_start_may_be_killed),
        TEST(one_server_per_directory),
        TEST(ids_are_two_words_and_free),
        TEST(a_package_is_kept_by_its_hash_and_unpacked_once),
        TEST(bad_uploads_leave_nothing),
        TEST(a_killed_upload_is_all_or_nothing),
        TEST(what_no_record_names_is_swept_in_time),
        TEST(a_backup_becomes_the_same_server),
        TEST(a_backup_with_its_key_needs_nothing_else),
        TEST(damaged_backups_restore_nothing),
        TEST(an_archive_does_not_choose_where_it_goes),
    };

    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
