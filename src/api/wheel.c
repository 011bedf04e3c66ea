#include "api/wheel.h"

#include "runtime/file.h"
#include "runtime/install.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define DISTRIBUTION "fivetran_connector_sdk"
/* Ours has a hundred lines. */
#define RECORD_MAX ((size_t)1 << 20)
/* Programs get longer names in a wheel. */
#define MADE_MAX (2 * RECORD_MAX)
/* Whoever asked first waits: level 4 takes half the time of the usual 6 for 4 % more bytes. */
#define DEFLATE "zip:compression=deflate,zip:compression-level=4"
/* Python's sha256 in a RECORD: URL-safe base64 without padding. */
#define DIGEST_TEXT 44

struct file {
    char *name;         /* in the wheel */
    char *path;         /* here */
    const char *digest; /* as RECORD has it; lent from the text of RECORD */
};

struct wheel {
    char *site; /* the folder that has the package and its .dist-info */
    char *base; /* "fivetran_connector_sdk-0.1.0" */
    char *tags; /* "cp310-abi3-linux_x86_64" */
    struct sl_buf record;
    struct file *files;
    size_t nfiles;
    struct sl_buf made; /* the new RECORD */
};

static void
wheel_free(struct wheel *w)
{
    for (size_t i = 0; i < w->nfiles; i++) {
        free(w->files[i].name);
        free(w->files[i].path);
    }
    free(w->files);
    free(w->site);
    free(w->base);
    free(w->tags);
    sl_buf_free(&w->record);
    sl_buf_free(&w->made);
}

static bool
starts(const char *s, const char *with)
{
    return strncmp(s, with, strlen(with)) == 0;
}

static char *
info_path(const struct wheel *w, const char *name)
{
    return sl_sprintf("%s/%s.dist-info/%s", w->site, w->base, name);
}

/* ---- what is installed ---- */

/* What installers put beside what the wheel had. */
static bool
is_of_installer(const struct wheel *w, const char *name)
{
    static const char *const names[] = { "INSTALLER",           "RECORD",        "REQUESTED",
                                         "direct_url.json",     "uv_cache.json", "uv_build.json",
                                         "provenance_url.json", "RECORD.jws",    "RECORD.p7s" };
    size_t n = strlen(w->base);

    if (strstr(name, "__pycache__/") != NULL)
        return true;
    if (!starts(name, w->base) || !starts(name + n, ".dist-info/"))
        return false;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name + n + strlen(".dist-info/"), names[i]) == 0)
            return true;
    return false;
}

/* A path in RECORD is relative to `site`; one that leads out of it is a program: "../../../bin/fivetran". */
static sl_rc
add_file(struct wheel *w, const char *listed, const char *digest, struct sl_err *err)
{
    struct file f = { .path = sl_path_join(w->site, listed), .digest = digest };
    bool outside = starts(listed, "../") || listed[0] == '/';
    char *dir = sl_path_dir(listed);
    sl_rc rc = SL_OK;

    if (!outside)
        f.name = sl_strdup(listed);
    else if (strcmp(sl_path_base(dir), "bin") == 0)
        f.name = sl_sprintf("%s.data/scripts/%s", w->base, sl_path_base(listed));
    else
        rc = sl_fail(err, SL_E_CONFIG, "the installation has a file at an unknown place: %s",
                     listed);
    free(dir);
    if (rc) {
        free(f.path);
        return rc;
    }
    w->files = sl_realloc(w->files, w->nfiles + 1, sizeof *w->files);
    w->files[w->nfiles++] = f;
    return SL_OK;
}

static int
by_name(const void *a, const void *b)
{
    return strcmp(((const struct file *)a)->name, ((const struct file *)b)->name);
}

/* RECORD: "path,sha256=digest,size" a line; bytecode and RECORD itself are without a digest. */
static sl_rc
read_record(struct wheel *w, struct sl_err *err)
{
    char *path = info_path(w, "RECORD"), *text, *line;
    sl_rc rc;

    if (!sl_is_file(path)) {
        rc = sl_fail(err, SL_E_NOT_FOUND,
                     "there is no wheel to hand out: this server was not installed from one (%s is "
                     "not there)",
                     path);
        sl_err_hint(err, "put the wheels of this version (make wheel) into a folder and name it "
                         "with --wheels");
        goto out;
    }
    rc = sl_file_read(path, &w->record, err);
    if (rc)
        goto out;
    (void)sl_buf_str(&w->record);
    text = w->record.ptr;
    while (rc == SL_OK && (line = strsep(&text, "\n")) != NULL) {
        char *digest = strchr(line, ',');

        if (digest == NULL)
            continue;
        *digest++ = '\0';
        digest[strcspn(digest, ",\r")] = '\0';
        if (starts(digest, "sha256=") && !is_of_installer(w, line))
            rc = add_file(w, line, digest + strlen("sha256="), err);
    }
    if (rc == SL_OK && w->nfiles == 0)
        rc = sl_fail(err, SL_E_CONFIG, "%s lists no files", path);
    if (rc == SL_OK)
        qsort(w->files, w->nfiles, sizeof *w->files, by_name);
out:
    free(path);
    return rc;
}

/* Adds a tag to a dot-separated set. */
static void
add_tag(char **set, const char *tag)
{
    char *padded = sl_sprintf(".%s.", *set ? *set : ""), *wanted = sl_sprintf(".%s.", tag), *more;

    if (strstr(padded, wanted) == NULL) {
        more = *set ? sl_sprintf("%s.%s", *set, tag) : sl_strdup(tag);
        free(*set);
        *set = more;
    }
    free(padded);
    free(wanted);
}

/* The lines "Tag: cp310-abi3-linux_x86_64" of WHEEL, as a file name has them: python.python-abi-platform. */
static sl_rc
read_tags(struct wheel *w, struct sl_err *err)
{
    char *path = info_path(w, "WHEEL"), *sets[3] = { NULL, NULL, NULL }, *text, *line;
    struct sl_buf buf;
    sl_rc rc;

    sl_buf_init(&buf, RECORD_MAX);
    rc = sl_file_read(path, &buf, err);
    if (rc)
        goto out;
    (void)sl_buf_str(&buf);
    text = buf.ptr;
    while ((line = strsep(&text, "\r\n")) != NULL) {
        char *rest = line + strlen("Tag: "), *part;

        if (!starts(line, "Tag: "))
            continue;
        for (int i = 0; i < 3 && (part = strsep(&rest, "-")) != NULL; i++)
            add_tag(&sets[i], part);
    }
    if (sets[2] == NULL)
        rc = sl_fail(err, SL_E_CONFIG, "%s names no tag", path);
    else
        w->tags = sl_sprintf("%s-%s-%s", sets[0], sets[1], sets[2]);
out:
    for (int i = 0; i < 3; i++)
        free(sets[i]);
    sl_buf_free(&buf);
    free(path);
    return rc;
}

/* ---- the zip ---- */

static sl_rc
fail_zip(struct archive *zip, const char *name, struct sl_err *err)
{
    errno = archive_errno(zip);
    if (errno == ENOSPC || errno == EDQUOT)
        return sl_fail_errno(err, "packing %s", name);
    return sl_fail(err, SL_E_IO, "packing %s: %s", name, archive_error_string(zip));
}

static sl_rc
write_head(struct archive *zip, const char *name, off_t size, struct sl_err *err)
{
    struct archive_entry *entry = archive_entry_new();
    bool program = strstr(name, ".data/scripts/") != NULL;
    sl_rc rc = SL_OK;

    if (entry == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for %s", name);
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, size);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, program ? 0755 : 0644);
    /* No time of modification: the zip then says 1980-01-01 in every time zone. */
    if (archive_write_header(zip, entry) != ARCHIVE_OK)
        rc = fail_zip(zip, name, err);
    archive_entry_free(entry);
    return rc;
}

static sl_rc
write_body(struct archive *zip, int fd, const struct file *f, char digest[DIGEST_TEXT],
           struct sl_err *err)
{
    unsigned char hash[crypto_hash_sha256_BYTES];
    crypto_hash_sha256_state sha;
    char chunk[1 << 15];
    ssize_t n;

    crypto_hash_sha256_init(&sha);
    while ((n = read(fd, chunk, sizeof chunk)) > 0) {
        crypto_hash_sha256_update(&sha, (unsigned char *)chunk, (size_t)n);
        if (archive_write_data(zip, chunk, (size_t)n) != n)
            return fail_zip(zip, f->name, err);
    }
    if (n < 0)
        return sl_fail_errno(err, "cannot read %s", f->path);
    crypto_hash_sha256_final(&sha, hash);
    sodium_bin2base64(digest, DIGEST_TEXT, hash, sizeof hash,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    if (strcmp(digest, f->digest) == 0)
        return SL_OK;
    sl_fail(err, SL_E_CONFIG, "%s was changed since it was installed, so it is not handed out",
            f->path);
    sl_err_hint(err, "install the wheel again, or name a folder of wheels with --wheels");
    return SL_E_CONFIG;
}

static sl_rc
write_file(struct wheel *w, struct archive *zip, const struct file *f, struct sl_err *err)
{
    char digest[DIGEST_TEXT];
    struct stat st;
    int fd = open(f->path, O_RDONLY | O_CLOEXEC);
    sl_rc rc = SL_OK;

    if (fd < 0 || fstat(fd, &st) != 0)
        rc = sl_fail_errno(err, "cannot read %s", f->path);
    if (rc == SL_OK)
        rc = write_head(zip, f->name, st.st_size, err);
    if (rc == SL_OK)
        rc = write_body(zip, fd, f, digest, err);
    if (rc == SL_OK)
        sl_buf_addf(&w->made, "%s,sha256=%s,%lld\n", f->name, digest, (long long)st.st_size);
    if (fd >= 0)
        close(fd);
    return rc;
}

static sl_rc
write_record(struct wheel *w, struct archive *zip, struct sl_err *err)
{
    char *name = sl_sprintf("%s.dist-info/RECORD", w->base);
    sl_rc rc;

    sl_buf_addf(&w->made, "%s,,\n", name);
    rc = write_head(zip, name, (off_t)w->made.len, err);
    if (rc == SL_OK && archive_write_data(zip, w->made.ptr, w->made.len) != (ssize_t)w->made.len)
        rc = fail_zip(zip, name, err);
    free(name);
    return rc;
}

static sl_rc
write_zip(struct wheel *w, int fd, const char *path, struct sl_err *err)
{
    struct archive *zip = archive_write_new();
    sl_rc rc = SL_OK;

    if (zip == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for a zip");
    if (archive_write_set_format_zip(zip) != ARCHIVE_OK ||
        archive_write_set_options(zip, DEFLATE) < ARCHIVE_WARN ||
        archive_write_open_fd(zip, fd) != ARCHIVE_OK)
        rc = fail_zip(zip, path, err);
    for (size_t i = 0; rc == SL_OK && i < w->nfiles; i++)
        rc = write_file(w, zip, &w->files[i], err);
    if (rc == SL_OK)
        rc = write_record(w, zip, err);
    if (archive_write_close(zip) != ARCHIVE_OK && rc == SL_OK)
        rc = fail_zip(zip, path, err);
    archive_write_free(zip);
    return rc;
}

/* ---- the file ---- */

static sl_rc
write_wheel(struct wheel *w, const char *out_dir, const char *path, struct sl_err *err)
{
    /* One name for every attempt: what a killed one left is written over. */
    char *tmp = sl_sprintf("%s.tmp", path);
    int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
    sl_rc rc;

    if (fd < 0) {
        rc = sl_fail_errno(err, "cannot write %s", tmp);
        goto out;
    }
    rc = write_zip(w, fd, path, err);
    if (rc == SL_OK && fsync(fd) != 0)
        rc = sl_fail_errno(err, "cannot write %s", path);
    close(fd);
    if (rc == SL_OK && rename(tmp, path) != 0)
        rc = sl_fail_errno(err, "cannot write %s", path);
    if (rc)
        (void)unlink(tmp);
    else if (sl_file_sync(out_dir, NULL)) {
        /* Some file systems refuse this; the rename itself has succeeded. */
    }
out:
    free(tmp);
    return rc;
}

/* As make decides: by the times of the wheel and of what was written last when installing. */
static bool
is_there(const struct wheel *w, const char *path)
{
    char *record = info_path(w, "RECORD");
    struct stat made, installed;
    bool known = stat(path, &made) == 0 && stat(record, &installed) == 0;

    free(record);
    if (!known || made.st_mtim.tv_sec != installed.st_mtim.tv_sec)
        return known && made.st_mtim.tv_sec > installed.st_mtim.tv_sec;
    return made.st_mtim.tv_nsec >= installed.st_mtim.tv_nsec;
}

sl_rc
sl_wheel_repack(const char *package_dir, const char *out_dir, struct sl_err *err)
{
    static pthread_mutex_t turn = PTHREAD_MUTEX_INITIALIZER;
    struct wheel w = { .site = sl_path_dir(package_dir),
                       .base = sl_sprintf("%s-%s", DISTRIBUTION, sl_install_version()) };
    char *path = NULL;
    sl_rc rc;

    sl_buf_init(&w.record, RECORD_MAX);
    sl_buf_init(&w.made, MADE_MAX);
    pthread_mutex_lock(&turn);
    rc = read_record(&w, err);
    if (rc == SL_OK)
        rc = read_tags(&w, err);
    if (rc == SL_OK)
        rc = sl_mkdirs(out_dir, err);
    if (rc == SL_OK) {
        path = sl_sprintf("%s/%s-%s.whl", out_dir, w.base, w.tags);
        if (!is_there(&w, path))
            rc = write_wheel(&w, out_dir, path, err);
    }
    pthread_mutex_unlock(&turn);
    free(path);
    wheel_free(&w);
    return rc;
}
