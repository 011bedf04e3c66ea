#include "runtime/file.h"

#include "base/fault.h"
#include "base/text.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

char *
sl_path_join(const char *dir, const char *name)
{
    size_t n = strlen(dir);

    if (name[0] == '/' || n == 0)
        return sl_strdup(name);
    return sl_sprintf("%s%s%s", dir, dir[n - 1] == '/' ? "" : "/", name);
}

char *
sl_path_dir(const char *path)
{
    const char *slash = strrchr(path, '/');

    if (slash == NULL)
        return sl_strdup(".");
    if (slash == path)
        return sl_strdup("/");
    return sl_memdup(path, (size_t)(slash - path));
}

const char *
sl_path_base(const char *path)
{
    const char *slash = strrchr(path, '/');

    return slash ? slash + 1 : path;
}

char *
sl_path_real(const char *path)
{
    return realpath(path, NULL);
}

bool
sl_is_file(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

bool
sl_is_dir(const char *path)
{
    struct stat st;

    return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

bool
sl_exists(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

sl_rc
sl_mkdirs(const char *path, struct sl_err *err)
{
    char *copy = sl_strdup(path);
    sl_rc rc = SL_OK;

    for (char *p = copy + 1; rc == SL_OK; p++) {
        char c = *p;

        if (c != '/' && c != '\0')
            continue;
        *p = '\0';
        /* Asked first: on a read-only file system mkdir refuses even what is there. */
        if (!sl_is_dir(copy) && mkdir(copy, 0777) != 0 && errno != EEXIST)
            rc = sl_fail_errno(err, "cannot make the folder %s", copy);
        *p = c;
        if (c == '\0')
            break;
    }
    free(copy);
    return rc;
}

sl_rc
sl_file_read(const char *path, struct sl_buf *buf, struct sl_err *err)
{
    sl_rc rc = SL_OK;
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    if (fd < 0)
        return sl_fail_errno(err, "cannot read %s", path);
    do {
        rc = sl_buf_reserve(buf, 65536, err);
        if (rc) {
            sl_err_wrap(err, "reading %s", path);
            goto out;
        }
        n = read(fd, buf->ptr + buf->len, 65536);
        if (n > 0)
            buf->len += (size_t)n;
    } while (n > 0 || (n < 0 && errno == EINTR));
    if (n < 0)
        rc = sl_fail_errno(err, "cannot read %s", path);
out:
    close(fd);
    return rc;
}

static sl_rc
write_all(int fd, struct sl_bytes text)
{
    for (size_t at = 0; at < text.len;) {
        ssize_t n = write(fd, text.ptr + at, text.len - at);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return SL_E_IO;
        at += (size_t)n;
    }
    return SL_OK;
}

sl_rc
sl_file_sync(const char *path, struct sl_err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    sl_rc rc = SL_OK;

    if (fd < 0 || fsync(fd) != 0)
        rc = sl_fail_errno(err, "cannot write %s", path);
    if (fd >= 0)
        close(fd);
    return rc;
}

static void
sync_dir_of(const char *path)
{
    char *dir = sl_path_dir(path);

    if (sl_file_sync(dir, NULL)) {
        /* Some file systems refuse this; the rename itself has succeeded. */
    }
    free(dir);
}

static sl_rc
write_file(const char *path, struct sl_bytes text, bool durable, mode_t mode, struct sl_err *err)
{
    static atomic_uint count; /* threads of one process */
    char *tmp = sl_sprintf("%s.%ld-%u.tmp", path, (long)getpid(), atomic_fetch_add(&count, 1));
    sl_rc rc = SL_OK;
    int fd;

    (void)unlink(tmp);
    fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (fd < 0) {
        rc = sl_fail_errno(err, "cannot write %s", path);
        goto out;
    }
    if (write_all(fd, text) || (durable && fsync(fd) != 0) || close(fd) != 0) {
        rc = sl_fail_errno(err, "cannot write %s", path);
        (void)unlink(tmp);
        goto out;
    }
    rc = SL_FAULT_POINT(file_written, err);
    if (rc) {
        (void)unlink(tmp);
        goto out;
    }
    if (rename(tmp, path) != 0) {
        rc = sl_fail_errno(err, "cannot replace %s", path);
        (void)unlink(tmp);
        goto out;
    }
    if (durable)
        sync_dir_of(path);
out:
    free(tmp);
    return rc;
}

sl_rc
sl_file_write(const char *path, struct sl_bytes text, bool durable, struct sl_err *err)
{
    return write_file(path, text, durable, 0666, err);
}

sl_rc
sl_file_write_private(const char *path, struct sl_bytes text, struct sl_err *err)
{
    return write_file(path, text, true, 0600, err);
}

/* Each level holds a descriptor: what lies deeper is first moved up to the top of the tree. */
#define REMOVE_DEPTH 64

struct removing {
    const char *shown;
    int top; /* the tree's own folder */
    unsigned moved;
};

static sl_rc remove_below(struct removing *r, int fd, int depth, struct sl_err *err);

/* Under a name that nothing in the tree has. */
static sl_rc
move_up(struct removing *r, int dirfd, const char *name, struct sl_err *err)
{
    char deep[40];
    int e;

    do {
        snprintf(deep, sizeof deep, ".deep-%u", r->moved++);
        e = renameat(dirfd, name, r->top, deep) == 0 ? 0 : errno;
    } while (e == EEXIST || e == ENOTEMPTY || e == ENOTDIR);
    errno = e;
    return e == 0 ? SL_OK : sl_fail_errno(err, "cannot remove %s", r->shown);
}

static sl_rc
remove_entry(struct removing *r, int dirfd, const char *name, int depth, struct sl_err *err)
{
    sl_rc rc;
    int fd;

    if (unlinkat(dirfd, name, 0) == 0 || errno == ENOENT)
        return SL_OK;
    fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0 && errno == EACCES && fchmodat(dirfd, name, 0700, 0) == 0)
        fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return sl_fail_errno(err, "cannot remove %s", r->shown);
    if (r->top < 0)
        r->top = fd;
    if (depth > REMOVE_DEPTH) {
        (void)fchmod(fd, 0700); /* moving it changes what is in it */
        close(fd);
        return move_up(r, dirfd, name, err);
    }
    rc = remove_below(r, fd, depth, err);
    if (rc == SL_OK && unlinkat(dirfd, name, AT_REMOVEDIR) != 0)
        rc = sl_fail_errno(err, "cannot remove %s", r->shown);
    return rc;
}

/* Empties the folder and closes fd. */
static sl_rc
remove_below(struct removing *r, int fd, int depth, struct sl_err *err)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    unsigned before;
    sl_rc rc = SL_OK;

    if (dir == NULL) {
        rc = sl_fail_errno(err, "cannot remove %s", r->shown);
        close(fd);
        return rc;
    }
    (void)fchmod(fd, 0700); /* one of ours may be read-only */
    do {
        before = r->moved;
        rewinddir(dir);
        while (rc == SL_OK && (entry = readdir(dir)) != NULL)
            if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
                rc = remove_entry(r, fd, entry->d_name, depth + 1, err);
    } while (rc == SL_OK && depth == 0 && r->moved > before); /* what was moved up */
    closedir(dir);
    return rc;
}

sl_rc
sl_remove_tree(const char *path, struct sl_err *err)
{
    struct removing r = { .shown = path, .top = -1 };

    return remove_entry(&r, AT_FDCWD, path, 0, err);
}

/* Deeper trees are somebody's trick; each level holds a descriptor. */
#define GIVE_DEPTH 100

struct giving {
    const char *shown;
    unsigned uid;
    enum sl_tree_mode mode;
    dev_t device;
};

static sl_rc give_folder(const struct giving *g, int fd, int depth, struct sl_err *err);

static sl_rc
give_entry(const struct giving *g, int dirfd, const char *name, int depth, struct sl_err *err)
{
    struct stat st;
    int fd;
    sl_rc rc;

    if (fstatat(dirfd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return sl_fail_errno(err, "cannot look at %s in %s", name, g->shown);
    if (st.st_dev != g->device || (S_ISREG(st.st_mode) && st.st_nlink > 1))
        return SL_OK;
    if (S_ISDIR(st.st_mode)) {
        fd = openat(dirfd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
            return sl_fail_errno(err, "cannot open %s in %s", name, g->shown);
        rc = give_folder(g, fd, depth + 1, err);
        return rc;
    }
    if (g->mode == SL_TREE_SHARED && !S_ISREG(st.st_mode) && !S_ISLNK(st.st_mode))
        return unlinkat(dirfd, name, 0) == 0
                   ? SL_OK
                   : sl_fail_errno(err, "cannot remove %s in %s", name, g->shown);
    if (st.st_uid != g->uid && fchownat(dirfd, name, g->uid, g->uid, AT_SYMLINK_NOFOLLOW) != 0 &&
        geteuid() == 0)
        return sl_fail_errno(err, "cannot give %s in %s to user %u", name, g->shown, g->uid);
    if (g->mode == SL_TREE_SHARED && S_ISREG(st.st_mode) &&
        fchmodat(dirfd, name, st.st_mode & 0111 ? 0755 : 0644, 0) != 0)
        return sl_fail_errno(err, "cannot change %s in %s", name, g->shown);
    return SL_OK;
}

/* Closes fd. */
static sl_rc
give_folder(const struct giving *g, int fd, int depth, struct sl_err *err)
{
    DIR *dir = fdopendir(fd);
    struct dirent *entry;
    sl_rc rc = SL_OK;

    if (dir == NULL) {
        rc = sl_fail_errno(err, "cannot read %s", g->shown);
        close(fd);
        return rc;
    }
    if (depth > GIVE_DEPTH)
        rc = sl_fail(err, SL_E_LIMIT, "%s has folders more than %d deep", g->shown, GIVE_DEPTH);
    else if (fchown(fd, g->uid, g->uid) != 0 && geteuid() == 0)
        rc = sl_fail_errno(err, "cannot give %s to user %u", g->shown, g->uid);
    else if (g->mode == SL_TREE_SHARED && fchmod(fd, 0755) != 0)
        rc = sl_fail_errno(err, "cannot change %s", g->shown);
    while (rc == SL_OK && (entry = readdir(dir)) != NULL)
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            rc = give_entry(g, fd, entry->d_name, depth, err);
    closedir(dir);
    return rc;
}

sl_rc
sl_tree_give(const char *dir, unsigned uid, enum sl_tree_mode mode, struct sl_err *err)
{
    struct giving g = { .shown = dir, .uid = uid, .mode = mode };
    int fd = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat st;

    if (fd < 0 || fstat(fd, &st) != 0) {
        sl_rc rc = sl_fail_errno(err, "cannot open %s", dir);

        if (fd >= 0)
            close(fd);
        return rc;
    }
    g.device = st.st_dev;
    return give_folder(&g, fd, 0, err);
}

sl_rc
sl_lock_file(const char *path, bool wait, int *fd, struct sl_err *err)
{
    int r;

    *fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    if (*fd < 0)
        return sl_fail_errno(err, "cannot open the lock file %s", path);
    do
        r = flock(*fd, wait ? LOCK_EX : LOCK_EX | LOCK_NB);
    while (r != 0 && errno == EINTR);
    if (r == 0)
        return SL_OK;
    r = errno;
    close(*fd);
    *fd = -1;
    if (r == EWOULDBLOCK)
        return sl_fail(err, SL_E_LOCKED, "%s is locked by another process", path);
    errno = r;
    return sl_fail_errno(err, "cannot lock %s", path);
}

static int
by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

sl_rc
sl_dir_names(const char *path, char ***names, struct sl_err *err)
{
    DIR *dir = opendir(path);
    struct dirent *entry;
    size_t n = 0;

    *names = NULL;
    if (dir == NULL)
        return sl_fail_errno(err, "cannot list %s", path);
    *names = sl_zalloc(1, sizeof **names);
    while ((entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        *names = sl_realloc(*names, n + 2, sizeof **names);
        (*names)[n++] = sl_strdup(entry->d_name);
        (*names)[n] = NULL;
    }
    closedir(dir);
    qsort(*names, n, sizeof **names, by_bytes);
    return SL_OK;
}

void
sl_names_free(char **names)
{
    if (names == NULL)
        return;
    for (size_t i = 0; names[i] != NULL; i++)
        free(names[i]);
    free(names);
}

char *
sl_find_program(const char *name, int skip)
{
    const char *path = getenv("PATH");

    while (path != NULL && *path != '\0') {
        size_t n = strcspn(path, ":");
        char *file = sl_sprintf("%.*s/%s", n ? (int)n : 1, n ? path : ".", name);

        if (sl_is_file(file) && access(file, X_OK) == 0 && skip-- == 0)
            return file;
        free(file);
        path += n;
        path += *path == ':';
    }
    return NULL;
}

bool
sl_parse_i64(const char *s, int64_t min, int64_t max, int64_t *out)
{
    char *end;
    long long v;

    if (s[0] == '\0' || s[0] == ' ' || s[0] == '+')
        return false;
    errno = 0;
    v = strtoll(s, &end, 10);
    if (errno != 0 || *end != '\0' || v < min || v > max)
        return false;
    *out = v;
    return true;
}

bool
sl_parse_size(const char *s, uint64_t *out)
{
    static const char units[] = "KMGT";
    char *end;
    double v = strtod(s, &end);
    const char *unit;

    if (end == s || !(v > 0))
        return false;
    if (*end != '\0') {
        unit = strchr(units, *end & ~0x20);
        if (unit == NULL)
            return false;
        for (const char *u = units; u <= unit; u++)
            v *= 1024;
        end++;
        if (*end == 'i')
            end++;
        if (*end == 'B' || *end == 'b')
            end++;
    }
    if (*end != '\0' || v > (double)(1ull << 50))
        return false;
    *out = (uint64_t)v;
    return true;
}

void
sl_hash_hex(struct sl_bytes text, char out[33])
{
    unsigned char sum[16];

    crypto_generichash(sum, sizeof sum, (const unsigned char *)text.ptr, text.len, NULL, 0);
    sl_hex(sum, sizeof sum, out);
}

sl_rc
sl_file_sha256(const char *path, char out[65], struct sl_err *err)
{
    crypto_hash_sha256_state st;
    unsigned char sum[crypto_hash_sha256_BYTES];
    static unsigned char chunk[65536];
    size_t n;
    FILE *f = fopen(path, "rbe");

    if (f == NULL)
        return sl_fail_errno(err, "cannot read %s", path);
    crypto_hash_sha256_init(&st);
    while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
        crypto_hash_sha256_update(&st, chunk, n);
    if (ferror(f)) {
        fclose(f);
        return sl_fail_errno(err, "cannot read %s", path);
    }
    fclose(f);
    crypto_hash_sha256_final(&st, sum);
    sl_hex(sum, sizeof sum, out);
    return SL_OK;
}
