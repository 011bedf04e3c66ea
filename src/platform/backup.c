#include "platform/backup.h"

#include "base/text.h"
#include "base/time.h"
#include "platform/migrate.h"
#include "runtime/file.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define FORMAT 1
#define MANIFEST "sluice.json"
#define STORE "sluice.db"
#define KEY_FILE "secret.key"
#define PACKAGES "packages/"
#define SHA_LEN 64
#define CHUNK 65536

/* ---- writing ---- */

static sl_rc
fail_archive(struct archive *a, const char *file, struct sl_err *err)
{
    int e = archive_errno(a);

    if (e == ENOSPC || e == EDQUOT || e == EACCES || e == EROFS) {
        errno = e;
        return sl_fail_errno(err, "cannot write %s", file);
    }
    return sl_fail(err, SL_E_IO, "%s: %s", file,
                   archive_error_string(a) ? archive_error_string(a) : "unknown error");
}

static sl_rc
begin_entry(struct archive *a, const char *name, int64_t size, const char *file, struct sl_err *err)
{
    struct archive_entry *e = archive_entry_new();
    int r;

    archive_entry_set_pathname(e, name);
    archive_entry_set_size(e, size);
    archive_entry_set_filetype(e, AE_IFREG);
    archive_entry_set_perm(e, 0600);
    archive_entry_set_mtime(e, (time_t)(sl_now_us() / 1000000), 0);
    r = archive_write_header(a, e);
    archive_entry_free(e);
    return r == ARCHIVE_OK ? SL_OK : fail_archive(a, file, err);
}

static sl_rc
add_text(struct archive *a, const char *name, struct sl_bytes text, const char *file,
         struct sl_err *err)
{
    sl_rc rc = begin_entry(a, name, (int64_t)text.len, file, err);

    if (rc == SL_OK && archive_write_data(a, text.ptr, text.len) != (la_ssize_t)text.len)
        rc = fail_archive(a, file, err);
    return rc;
}

static sl_rc
add_file(struct archive *a, const char *name, const char *path, const char *file,
         struct sl_err *err)
{
    char chunk[CHUNK];
    struct stat st;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    sl_rc rc = SL_OK;
    ssize_t n = 0;

    if (fd < 0 || fstat(fd, &st) != 0)
        rc = sl_fail_errno(err, "cannot read %s", path);
    if (rc == SL_OK)
        rc = begin_entry(a, name, st.st_size, file, err);
    while (rc == SL_OK && (n = read(fd, chunk, sizeof chunk)) != 0) {
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            rc = sl_fail_errno(err, "cannot read %s", path);
        else if (archive_write_data(a, chunk, (size_t)n) != n)
            rc = fail_archive(a, file, err);
    }
    sodium_memzero(chunk, sizeof chunk); /* it may have been the key */
    if (fd >= 0)
        close(fd);
    return rc;
}

static sl_rc
add_manifest(struct archive *a, struct sl_store *st, bool with_key, const char *file,
             struct sl_err *err)
{
    char *account = NULL, *text, made[40];
    time_t t = (time_t)(sl_now_us() / 1000000);
    struct tm tm;
    json_t *m;
    sl_rc rc = sl_store_meta(st, "account_id", &account, err);

    if (rc)
        return rc;
    gmtime_r(&t, &tm);
    strftime(made, sizeof made, "%Y-%m-%dT%H:%M:%SZ", &tm);
    m = json_pack("{s:i,s:s,s:s,s:s?,s:b}", "format", FORMAT, "sluice", SL_VERSION, "made_at", made,
                  "account_id", account, "with_key", (int)with_key);
    text = json_dumps(m, JSON_INDENT(2));
    rc = add_text(a, MANIFEST, sl_bytes_of(text), file, err);
    free(text);
    json_decref(m);
    free(account);
    return rc;
}

/* Packages are only ever added while a server runs, and swept an hour after the last record of them went: every one that
 * the copy of the store names is there. */
static sl_rc
add_packages(struct archive *a, const char *dir, const char *file, struct sl_err *err)
{
    char *folder = sl_path_join(dir, "packages"), **names = NULL;
    sl_rc rc = sl_is_dir(folder) ? sl_dir_names(folder, &names, err) : SL_OK;

    for (int i = 0; rc == SL_OK && names != NULL && names[i] != NULL; i++) {
        char *path, *name;

        if (strlen(names[i]) != SHA_LEN + 4 || strcmp(names[i] + SHA_LEN, ".zip") != 0)
            continue;
        path = sl_path_join(folder, names[i]);
        name = sl_sprintf(PACKAGES "%s", names[i]);
        rc = add_file(a, name, path, file, err);
        if (rc && !sl_exists(path))
            rc = SL_OK; /* swept in this moment */
        free(path);
        free(name);
    }
    sl_names_free(names);
    free(folder);
    return rc;
}

static sl_rc
write_archive(struct sl_store *st, const char *dir, const char *copy, int fd, const char *file,
              bool with_key, struct sl_err *err)
{
    char *key = sl_path_join(dir, KEY_FILE);
    struct archive *a = archive_write_new();
    sl_rc rc = SL_OK;

    if (archive_write_set_format_pax_restricted(a) != ARCHIVE_OK ||
        archive_write_add_filter_zstd(a) != ARCHIVE_OK ||
        archive_write_open_fd(a, fd) != ARCHIVE_OK)
        rc = fail_archive(a, file, err);
    if (rc == SL_OK)
        rc = add_manifest(a, st, with_key, file, err);
    if (rc == SL_OK)
        rc = add_file(a, STORE, copy, file, err);
    if (rc == SL_OK)
        rc = add_packages(a, dir, file, err);
    if (rc == SL_OK && with_key)
        rc = add_file(a, KEY_FILE, key, file, err);
    if (rc == SL_OK && archive_write_close(a) != ARCHIVE_OK)
        rc = fail_archive(a, file, err);
    archive_write_free(a);
    free(key);
    return rc;
}

static sl_rc
fail_exists(const char *file, struct sl_err *err)
{
    sl_rc rc = sl_fail(err, SL_E_USAGE, "%s exists already", file);

    sl_err_hint(err, "give another name: a backup is not replaced");
    return rc;
}

sl_rc
sl_backup(struct sl_store *st, const char *dir, const char *file, bool with_key, struct sl_err *err)
{
    char *copy = sl_sprintf("%s.%ld.db", file, (long)getpid());
    char *part = sl_sprintf("%s.%ld.part", file, (long)getpid());
    int fd = -1;
    sl_rc rc = sl_exists(file) ? fail_exists(file, err) : sl_store_backup(st, copy, err);

    if (rc == SL_OK) {
        fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
        if (fd < 0)
            rc = sl_fail_errno(err, "cannot write %s", part);
    }
    if (rc == SL_OK)
        rc = write_archive(st, dir, copy, fd, file, with_key, err);
    if (rc == SL_OK && (fsync(fd) != 0 || link(part, file) != 0))
        rc = errno == EEXIST ? fail_exists(file, err) : sl_fail_errno(err, "cannot write %s", file);
    if (fd >= 0) {
        close(fd);
        (void)unlink(part);
    }
    (void)unlink(copy);
    free(copy);
    free(part);
    return rc;
}

/* ---- reading ---- */

static sl_rc
fail_backup(const char *file, const char *why, struct sl_err *err)
{
    sl_rc rc = sl_fail(err, SL_E_DATA, "%s is no whole backup of sluiced: %s", file, why);

    sl_err_path(err, "%s", file);
    return rc;
}

static bool
is_package(const char *name)
{
    size_t n = strlen(PACKAGES);

    return strncmp(name, PACKAGES, n) == 0 && strlen(name) == n + SHA_LEN + 4 &&
           strspn(name + n, "0123456789abcdef") == SHA_LEN &&
           strcmp(name + n + SHA_LEN, ".zip") == 0;
}

/* Nothing in the archive chooses where it goes: these names and no others. */
static bool
is_expected(const char *name)
{
    return strcmp(name, MANIFEST) == 0 || strcmp(name, STORE) == 0 || strcmp(name, KEY_FILE) == 0 ||
           is_package(name);
}

static sl_rc
extract(struct archive *a, const char *name, const char *dir, const char *file, struct sl_err *err)
{
    char *path = sl_path_join(dir, name), chunk[CHUNK];
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    sl_rc rc = SL_OK;
    la_ssize_t n;

    if (fd < 0)
        rc = sl_fail_errno(err, "cannot write %s", path);
    while (rc == SL_OK && (n = archive_read_data(a, chunk, sizeof chunk)) != 0) {
        if (n < 0)
            rc = fail_backup(file, archive_error_string(a), err);
        else if (write(fd, chunk, (size_t)n) != n)
            rc = sl_fail_errno(err, "cannot write %s", path);
    }
    sodium_memzero(chunk, sizeof chunk);
    if (rc == SL_OK && fsync(fd) != 0)
        rc = sl_fail_errno(err, "cannot write %s", path);
    if (fd >= 0)
        close(fd);
    free(path);
    return rc;
}

static sl_rc
check_package(const char *dir, const char *name, const char *file, struct sl_err *err)
{
    char *path = sl_path_join(dir, name), sha256[SHA_LEN + 1];
    sl_rc rc = sl_file_sha256(path, sha256, err);

    if (rc == SL_OK && strncmp(sha256, name + strlen(PACKAGES), SHA_LEN) != 0)
        rc = fail_backup(file, "a package in it does not fit its hash", err);
    free(path);
    return rc;
}

static sl_rc
extract_all(struct archive *a, const char *dir, const char *file, struct sl_restored *res,
            struct sl_err *err)
{
    struct archive_entry *e;
    sl_rc rc = SL_OK;
    int r = ARCHIVE_OK;

    while (rc == SL_OK && (r = archive_read_next_header(a, &e)) == ARCHIVE_OK) {
        const char *name = archive_entry_pathname(e);

        if (name == NULL || archive_entry_filetype(e) != AE_IFREG || !is_expected(name))
            return fail_backup(file, "there is something in it that does not belong there", err);
        rc = extract(a, name, dir, file, err);
        if (rc == SL_OK && is_package(name)) {
            rc = check_package(dir, name, file, err);
            res->packages++;
        }
        res->with_key |= strcmp(name, KEY_FILE) == 0;
    }
    if (rc == SL_OK && r != ARCHIVE_EOF)
        rc = fail_backup(
            file, archive_error_string(a) ? archive_error_string(a) : "it is cut short", err);
    return rc;
}

static sl_rc
read_manifest(const char *dir, const char *file, struct sl_restored *res, struct sl_err *err)
{
    char *path = sl_path_join(dir, MANIFEST);
    json_t *m = json_load_file(path, 0, NULL);
    const char *made = json_string_value(json_object_get(m, "made_at"));
    json_int_t format = json_integer_value(json_object_get(m, "format"));
    sl_rc rc = SL_OK;

    if (format < 1)
        rc = fail_backup(file, MANIFEST " is missing in it", err);
    else if (format > FORMAT)
        rc = fail_backup(file, "it was made by a newer sluiced", err);
    snprintf(res->made_at, sizeof res->made_at, "%s", made ? made : "");
    json_decref(m);
    (void)unlink(path);
    free(path);
    return rc;
}

/* The file is whole, and one of ours. */
static sl_rc
check_store(const char *dir, const char *file, struct sl_err *err)
{
    char *path = sl_path_join(dir, STORE);
    sqlite3_stmt *stmt = NULL;
    struct sl_db db = { 0 };
    bool row = false;
    sl_rc rc = sl_is_file(path) ? sl_db_open(&db, path, SL_DB_WRITE, SL_APP_STORE, true, err)
                                : fail_backup(file, "the store is missing in it", err);

    if (rc == SL_OK)
        rc = sl_migrate(&db, sl_store_steps, sl_store_nsteps, err);
    if (rc == SL_OK)
        rc = sl_db_prepare(&db, "PRAGMA integrity_check(1)", &stmt, err);
    if (rc == SL_OK)
        rc = sl_db_step(&db, stmt, &row, err);
    if (rc == SL_OK && (!row || strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") != 0))
        rc = fail_backup(file, "the store in it is damaged", err);
    sl_db_done(stmt);
    if (db.db != NULL)
        sl_db_close(&db);
    free(path);
    return rc;
}

static sl_rc
unpack_to(const char *file, const char *dir, struct sl_restored *res, struct sl_err *err)
{
    char *packages = sl_path_join(dir, "packages");
    struct archive *a = archive_read_new();
    sl_rc rc = SL_OK;

    if (mkdir(dir, 0700) != 0 || mkdir(packages, 0700) != 0)
        rc = sl_fail_errno(err, "cannot make the folder %s", dir);
    archive_read_support_filter_zstd(a);
    archive_read_support_format_tar(a);
    if (rc == SL_OK && archive_read_open_filename(a, file, CHUNK) != ARCHIVE_OK) {
        errno = archive_errno(a);
        rc = sl_is_file(file) ? fail_backup(file, archive_error_string(a), err)
                              : sl_fail_errno(err, "cannot read %s", file);
    }
    if (rc == SL_OK)
        rc = extract_all(a, dir, file, res, err);
    if (rc == SL_OK)
        rc = read_manifest(dir, file, res, err);
    if (rc == SL_OK)
        rc = check_store(dir, file, err);
    archive_read_free(a);
    free(packages);
    return rc;
}

static sl_rc
check_empty(const char *dir, struct sl_err *err)
{
    char **names = NULL;
    sl_rc rc;

    if (!sl_exists(dir))
        return SL_OK;
    rc = sl_is_dir(dir) ? sl_dir_names(dir, &names, err)
                        : sl_fail(err, SL_E_USAGE, "%s is not a folder", dir);
    if (rc == SL_OK && names[0] != NULL) {
        rc = sl_fail(err, SL_E_USAGE, "%s is not empty", dir);
        sl_err_hint(err, "restore into a new directory; nothing was changed");
    }
    sl_names_free(names);
    return rc;
}

/* Without slashes at its end, which would put the folder aside inside of it. */
static char *
bare(const char *dir)
{
    size_t n = strlen(dir);

    while (n > 1 && dir[n - 1] == '/')
        n--;
    return sl_memdup(dir, n);
}

sl_rc
sl_restore(const char *file, const char *dir, struct sl_restored *res, struct sl_err *err)
{
    char *target = bare(dir), *aside = sl_sprintf("%s.restoring-%ld", target, (long)getpid());
    sl_rc rc = check_empty(target, err);

    *res = (struct sl_restored){ 0 };
    if (rc == SL_OK)
        rc = sl_remove_tree(aside, err);
    if (rc == SL_OK)
        rc = unpack_to(file, aside, res, err);
    if (rc == SL_OK && rename(aside, target) != 0)
        rc = sl_fail_errno(err, "cannot make %s", target);
    if (rc)
        (void)!sl_remove_tree(aside, NULL);
    free(target);
    free(aside);
    return rc;
}
