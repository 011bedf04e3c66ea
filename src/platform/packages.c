#include "platform/packages.h"

#include "base/fault.h"
#include "base/text.h"
#include "base/time.h"
#include "model/form.h"
#include "runtime/file.h"
#include "runtime/unpack.h"
#include "wire/form_pb.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* semantics: a package is at most 200 MB packed. */
#define PACKAGE_MAX (INT64_C(200) << 20)
#define SHA_LEN 64
#define INCOMING "incoming-"
/* Unpacked aside under a name that begins so. */
#define ASIDE "aside-"
#define DEPLOYMENTS_KEPT 10
/* What no record names stays this long: an upload is kept before its record is written. */
#define GRACE_US (60 * INT64_C(60000000))

struct sl_packages {
    struct sl_store *st;
    char *zips, *code;
    pthread_mutex_t unpacking; /* one at a time: it is the disk's turn anyway */
};

/* ---- opening ---- */

/* What was being received or unpacked when the server ended. */
static sl_rc
sweep_unfinished(const char *dir, const char *prefix, struct sl_err *err)
{
    char **names;
    sl_rc rc = sl_dir_names(dir, &names, err);

    for (int i = 0; rc == SL_OK && names[i] != NULL; i++)
        if (strncmp(names[i], prefix, strlen(prefix)) == 0) {
            char *path = sl_path_join(dir, names[i]);

            rc = sl_remove_tree(path, err);
            free(path);
        }
    sl_names_free(names);
    return rc;
}

sl_rc
sl_packages_open(struct sl_packages **out, struct sl_store *st, const char *dir, struct sl_err *err)
{
    struct sl_packages *p = sl_zalloc(1, sizeof *p);
    sl_rc rc;

    *out = NULL;
    p->st = st;
    p->zips = sl_path_join(dir, "packages");
    p->code = sl_path_join(dir, "code");
    pthread_mutex_init(&p->unpacking, NULL);
    rc = sl_mkdirs(p->zips, err);
    if (rc == SL_OK)
        rc = sl_mkdirs(p->code, err);
    if (rc == SL_OK)
        rc = sweep_unfinished(p->zips, INCOMING, err);
    if (rc == SL_OK)
        rc = sweep_unfinished(p->code, ASIDE, err);
    if (rc) {
        sl_packages_close(p);
        return rc;
    }
    *out = p;
    return SL_OK;
}

void
sl_packages_close(struct sl_packages *p)
{
    if (p == NULL)
        return;
    pthread_mutex_destroy(&p->unpacking);
    free(p->zips);
    free(p->code);
    free(p);
}

/* ---- uploads ---- */

struct sl_upload {
    struct sl_packages *p;
    char *path;
    int fd;
    int64_t size;
    crypto_hash_sha256_state hash;
};

sl_rc
sl_upload_begin(struct sl_packages *p, struct sl_upload **out, struct sl_err *err)
{
    struct sl_upload *up = sl_zalloc(1, sizeof *up);

    up->p = p;
    up->path = sl_sprintf("%s/" INCOMING "XXXXXX", p->zips);
    up->fd = mkostemp(up->path, O_CLOEXEC);
    crypto_hash_sha256_init(&up->hash);
    if (up->fd < 0) {
        sl_rc rc = sl_fail_errno(err, "cannot receive a package into %s", p->zips);

        free(up->path);
        free(up);
        *out = NULL;
        return rc;
    }
    *out = up;
    return SL_OK;
}

sl_rc
sl_upload_write(struct sl_upload *up, const void *ptr, size_t len, struct sl_err *err)
{
    if (up->size + (int64_t)len > PACKAGE_MAX) {
        sl_rc rc = sl_fail(err, SL_E_LIMIT, "the package is larger than %lld MB",
                           (long long)(PACKAGE_MAX >> 20));

        sl_err_hint(err, "leave out what the connector does not need, with a .gitignore");
        return rc;
    }
    crypto_hash_sha256_update(&up->hash, ptr, len);
    up->size += (int64_t)len;
    for (size_t at = 0; at < len;) {
        ssize_t n = write(up->fd, (const char *)ptr + at, len - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return sl_fail_errno(err, "cannot write the package into %s", up->p->zips);
        at += (size_t)n;
    }
    return SL_OK;
}

static char *
zip_path(struct sl_packages *p, const char *sha256)
{
    return sl_sprintf("%s/%s.zip", p->zips, sha256);
}

sl_rc
sl_upload_finish(struct sl_upload *up, char sha256[SHA_LEN + 1], int64_t *size, struct sl_err *err)
{
    unsigned char sum[crypto_hash_sha256_BYTES];
    char *path = NULL;
    sl_rc rc = SL_FAULT_POINT(upload_written, err);

    crypto_hash_sha256_final(&up->hash, sum);
    sl_hex(sum, sizeof sum, sha256);
    *size = up->size;
    if (rc == SL_OK && fsync(up->fd) != 0)
        rc = sl_fail_errno(err, "cannot write the package into %s", up->p->zips);
    if (rc == SL_OK)
        rc = sl_package_check(up->path, NULL, err);
    if (rc == SL_OK)
        rc = SL_FAULT_POINT(upload_checked, err);
    if (rc)
        return rc;
    path = zip_path(up->p, sha256);
    if (rename(up->path, path) != 0) {
        rc = sl_fail_errno(err, "cannot keep the package in %s", up->p->zips);
    } else {
        free(up->path);
        up->path = NULL;
        rc = sl_file_sync(up->p->zips, err);
    }
    if (rc == SL_OK)
        rc = SL_FAULT_POINT(upload_kept, err);
    free(path);
    return rc;
}

void
sl_upload_free(struct sl_upload *up)
{
    if (up == NULL)
        return;
    close(up->fd);
    if (up->path != NULL)
        (void)unlink(up->path);
    free(up->path);
    free(up);
}

/* ---- use ---- */

static bool
is_sha(const char *s)
{
    return s != NULL && strlen(s) == SHA_LEN && strspn(s, "0123456789abcdef") == SHA_LEN;
}

sl_rc
sl_package_zip(struct sl_packages *p, const char *sha256, char **path, struct sl_err *err)
{
    sl_rc rc;

    *path = is_sha(sha256) ? zip_path(p, sha256) : NULL;
    if (*path != NULL && sl_is_file(*path))
        return SL_OK;
    free(*path);
    *path = NULL;
    rc = sl_fail(err, SL_E_NOT_FOUND, "the package with the hash %.12s is not there",
                 sha256 ? sha256 : "(none)");
    sl_err_hint(err, "deploy the connector again");
    return rc;
}

static sl_rc
unpack(struct sl_packages *p, const char *sha256, const char *path, struct sl_err *err)
{
    char *aside = sl_sprintf("%s/" ASIDE "%s", p->code, sha256), *zip;
    sl_rc rc = sl_package_zip(p, sha256, &zip, err);

    if (rc == SL_OK)
        rc = sl_remove_tree(aside, err);
    if (rc == SL_OK)
        rc = sl_package_unpack(zip, aside, NULL, err);
    if (rc == SL_OK && rename(aside, path) != 0)
        rc = sl_fail_errno(err, "cannot unpack into %s", p->code);
    if (rc)
        (void)!sl_remove_tree(aside, NULL);
    free(aside);
    free(zip);
    return rc;
}

sl_rc
sl_package_code(struct sl_packages *p, const char *sha256, char **path, struct sl_err *err)
{
    sl_rc rc = SL_OK;

    *path = NULL;
    if (!is_sha(sha256))
        return sl_fail(err, SL_E_NOT_FOUND, "the connection has no package");
    *path = sl_path_join(p->code, sha256);
    pthread_mutex_lock(&p->unpacking);
    if (!sl_is_dir(*path))
        rc = unpack(p, sha256, *path, err);
    pthread_mutex_unlock(&p->unpacking);
    if (rc) {
        free(*path);
        *path = NULL;
    }
    return rc;
}

/* ---- forms ---- */

static char *
form_path(struct sl_packages *p, const char *sha256)
{
    return sl_sprintf("%s/%s.form", p->zips, sha256);
}

/* What is kept. NULL when there is nothing, or something that cannot be read: it is made anew. */
static json_t *
kept_form(struct sl_packages *p, const char *sha256)
{
    char *path = form_path(p, sha256);
    struct sl_err ignored = { 0 };
    struct sl_buf text;
    json_t *given = NULL, *form = NULL;

    sl_buf_init(&text, 16 * SL_FORM_MAX);
    if (sl_is_file(path) && sl_file_read(path, &text, &ignored) == SL_OK)
        given = json_loadb(text.ptr ? text.ptr : "", text.len, 0, NULL);
    if (given != NULL && sl_form_check(given, &form, &ignored))
        form = NULL;
    json_decref(given);
    sl_buf_free(&text);
    free(path);
    return form;
}

sl_rc
sl_package_keep_form(struct sl_packages *p, const char *sha256, const json_t *form,
                     struct sl_err *err)
{
    char *path, *text;
    sl_rc rc;

    if (!is_sha(sha256))
        return sl_fail(err, SL_E_NOT_FOUND, "the connection has no package");
    path = form_path(p, sha256);
    text = json_dumps(form, JSON_COMPACT);
    rc = sl_file_write(path, sl_bytes_of(text), false, err);
    free(text);
    free(path);
    return rc;
}

sl_rc
sl_package_form(struct sl_packages *p, const char *sha256, json_t **form, struct sl_err *err)
{
    struct sl_err unfit = { 0 };
    struct sl_buf pb;
    char *zip = NULL;
    bool found = false;
    sl_rc rc;

    *form = is_sha(sha256) ? kept_form(p, sha256) : NULL;
    if (*form != NULL)
        return SL_OK;
    sl_buf_init(&pb, SL_FORM_MAX);
    rc = sl_package_zip(p, sha256, &zip, err);
    if (rc == SL_OK)
        rc = sl_package_read(zip, SL_FORM_FILE, &pb, &found, err);
    /* Whatever else a file of that name is: then the connector is asked. */
    if (rc == SL_E_LIMIT)
        rc = SL_OK;
    else if (rc == SL_OK && found &&
             sl_form_from_pb((struct sl_bytes){ pb.ptr, pb.len }, form, &unfit) == SL_OK)
        rc = sl_package_keep_form(p, sha256, *form, err);
    if (rc) {
        json_decref(*form);
        *form = NULL;
    }
    sl_buf_free(&pb);
    free(zip);
    return rc;
}

/* ---- sweeping ---- */

static int
by_hash(const void *a, const void *b)
{
    return memcmp(a, b, SHA_LEN);
}

/* The hashes that records name, in a row. */
static void
name_hash(struct sl_buf *named, const char *sha256)
{
    if (is_sha(sha256))
        sl_buf_addn(named, sha256, SHA_LEN);
}

static sl_rc
name_deployments(struct sl_packages *p, const char *connection_id, struct sl_buf *named,
                 struct sl_err *err)
{
    struct sl_query q = { .kind = SL_K_DEPLOYMENT,
                          .where = { { "connection_id", connection_id } },
                          .descending = true,
                          .limit = DEPLOYMENTS_KEPT };
    struct sl_list list = { 0 };
    sl_rc rc = sl_store_list(p->st, &q, &list, err);

    for (size_t i = 0; i < list.count; i++)
        name_hash(named, SL_ITEM(&list, struct sl_deployment, i)->sha256);
    sl_list_free(&list);
    return rc;
}

static sl_rc
all_named(struct sl_packages *p, struct sl_buf *named, struct sl_err *err)
{
    struct sl_query q = { .kind = SL_K_PACKAGE }, cq = { .kind = SL_K_CONNECTION, .light = true };
    struct sl_list packages = { 0 }, connections = { 0 };
    sl_rc rc = sl_store_list(p->st, &q, &packages, err);

    for (size_t i = 0; i < packages.count; i++)
        name_hash(named, SL_ITEM(&packages, struct sl_package, i)->sha256);
    if (rc == SL_OK)
        rc = sl_store_list(p->st, &cq, &connections, err);
    for (size_t i = 0; i < connections.count && rc == SL_OK; i++)
        rc = name_deployments(p, SL_ITEM(&connections, struct sl_connection, i)->id, named, err);
    sl_list_free(&packages);
    sl_list_free(&connections);
    if (rc == SL_OK && named->len > 0)
        qsort(named->ptr, named->len / SHA_LEN, SHA_LEN, by_hash);
    return rc;
}

static bool
is_young(const char *path)
{
    struct stat st;

    return stat(path, &st) != 0 || sl_now_us() - (int64_t)st.st_mtime * 1000000 < GRACE_US;
}

static sl_rc
sweep_dir(const char *dir, const char *suffix, const struct sl_buf *named, struct sl_err *err)
{
    char **names;
    sl_rc rc = sl_dir_names(dir, &names, err);

    for (int i = 0; rc == SL_OK && names[i] != NULL; i++) {
        char *path;

        /* Only what has our names: anything else there is not ours to remove. */
        if (strlen(names[i]) != SHA_LEN + strlen(suffix) ||
            strcmp(names[i] + SHA_LEN, suffix) != 0 ||
            strspn(names[i], "0123456789abcdef") < SHA_LEN)
            continue;
        if (named->len > 0 &&
            bsearch(names[i], named->ptr, named->len / SHA_LEN, SHA_LEN, by_hash) != NULL)
            continue;
        path = sl_path_join(dir, names[i]);
        if (!is_young(path))
            rc = sl_remove_tree(path, err);
        free(path);
    }
    sl_names_free(names);
    return rc;
}

sl_rc
sl_packages_sweep(struct sl_packages *p, struct sl_err *err)
{
    struct sl_buf named;
    sl_rc rc;

    sl_buf_init(&named, (size_t)1 << 30);
    rc = all_named(p, &named, err);
    if (rc == SL_OK)
        rc = sweep_dir(p->zips, ".zip", &named, err);
    if (rc == SL_OK)
        rc = sweep_dir(p->zips, ".form", &named, err);
    /* Not while one is being unpacked for a sync that is about to start. */
    pthread_mutex_lock(&p->unpacking);
    if (rc == SL_OK)
        rc = sweep_dir(p->code, "", &named, err);
    pthread_mutex_unlock(&p->unpacking);
    sl_buf_free(&named);
    return rc;
}
