#include "runtime/view.h"

#include "base/buf.h"
#include "runtime/file.h"

#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const char *const sl_view_system[] = {
    "/usr",
    "/bin",
    "/sbin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/nix/store",
    "/gnu/store",
    "/etc/alpine-release",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/debian_version",
    "/etc/gai.conf",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/localtime",
    "/etc/lsb-release",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/protocols",
    "/etc/redhat-release",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/system-release",
    "/etc/timezone",
    NULL,
};

const char *const sl_view_devices[] = {
    "/dev/full", "/dev/null", "/dev/random", "/dev/urandom", "/dev/zero", NULL,
};

#ifdef __linux__

#include <fcntl.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/syscall.h>
#include <sys/wait.h>

/* The kernel's numbers, written out: older headers do not have them, and newer C libraries have functions instead. */
#ifndef SYS_open_tree
#define SYS_open_tree 428
#define SYS_move_mount 429
#endif
#ifndef SYS_mount_setattr
#define SYS_mount_setattr 442
#endif
#define TREE_CLONE 1u
#define TREE_CLOEXEC ((unsigned)O_CLOEXEC)
#define TREE_RECURSIVE 0x8000u
#define FROM_EMPTY_PATH 4u
#define ATTR_READ_ONLY 1u
#define ATTR_NO_SUID 2u
#define ATTR_NO_DEVICES 4u
#define ATTR_PATH_EMPTY 0x1000u

/* The new root is put together here; every system has the folder, and nothing needs the old one meanwhile. */
#define STAGE "/proc"
#define SHM_DEFAULT (64u << 20) /* as containers have */
/* A jail lists a dozen paths beside the system's. */
#define MOUNTS_MAX 128

enum kind { FOLDER, PLAIN_FILE, DEVICE, LINK, TEXT };

struct mount {
    char *path;   /* in the view, absolute */
    char *source; /* outside; for a LINK where it leads, for a TEXT what is in it */
    enum kind kind;
    bool write;
};

struct sl_view {
    struct mount list[MOUNTS_MAX];
    size_t count;
    bool tmp;
    char shm[64]; /* options of its /dev/shm */
};

/* ---- the list, before the fork ---- */

static bool
is_below(const char *path, const char *folder)
{
    size_t n = strlen(folder);

    return strncmp(path, folder, n) == 0 && path[n] == '/';
}

static sl_rc
add(struct sl_view *view, const char *path, const char *source, enum kind kind, bool write,
    struct sl_err *err)
{
    for (size_t i = 0; i < view->count; i++)
        if (strcmp(view->list[i].path, path) == 0)
            return SL_OK;
    if (view->count == MOUNTS_MAX)
        return sl_fail(err, SL_E_LIMIT, "more than %d paths for a jail", MOUNTS_MAX);
    view->list[view->count++] = (struct mount){
        .path = sl_strdup(path), .source = sl_strdup(source), .kind = kind, .write = write
    };
    return SL_OK;
}

/* A path with what it leads to: both names are there. One that is absent is left out. */
static sl_rc
add_path(struct sl_view *view, const char *path, bool write, struct sl_err *err)
{
    char *real = sl_path_real(path);
    enum kind kind;
    sl_rc rc;

    if (real == NULL)
        return SL_OK;
    kind = sl_is_dir(real) ? FOLDER : PLAIN_FILE;
    rc = add(view, real, real, kind, write, err);
    if (rc == SL_OK && strcmp(real, path) != 0)
        rc = add(view, path, real, kind, write, err);
    free(real);
    return rc;
}

/* /lib and others are links into /usr today; they stay links. */
static sl_rc
add_system(struct sl_view *view, const char *path, struct sl_err *err)
{
    char *real = sl_path_real(path);
    sl_rc rc = SL_OK;

    if (real == NULL)
        return SL_OK;
    if (strcmp(real, path) != 0 && is_below(real, "/usr"))
        rc = add(view, path, real, LINK, false, err);
    else
        rc = add(view, path, real, sl_is_dir(real) ? FOLDER : PLAIN_FILE, false, err);
    free(real);
    return rc;
}

static bool
is_covered(const struct sl_view *view, size_t i)
{
    for (size_t k = 0; k < view->count; k++)
        if (k != i && view->list[k].kind == FOLDER && !view->list[k].write &&
            is_below(view->list[i].path, view->list[k].path))
            return true;
    return false;
}

static int
by_path(const void *a, const void *b)
{
    return strcmp(((const struct mount *)a)->path, ((const struct mount *)b)->path);
}

static void
drop(struct sl_view *view, size_t i)
{
    free(view->list[i].path);
    free(view->list[i].source);
    view->list[i] = view->list[--view->count];
}

static sl_rc
add_tmp(struct sl_view *view, const char *work, struct sl_err *err)
{
    char *tmp = sl_path_join(work, "tmp");
    sl_rc rc = SL_OK;

    view->tmp = sl_is_dir(tmp);
    for (size_t i = 0; i < view->count; i++)
        if (is_below(view->list[i].path, "/tmp") || is_below(view->list[i].path, "/var/tmp"))
            view->tmp = false;
    if (view->tmp)
        rc = add(view, "/tmp", tmp, FOLDER, true, err);
    if (rc == SL_OK && view->tmp)
        rc = add(view, "/var/tmp", tmp, FOLDER, true, err);
    free(tmp);
    return rc;
}

/* Programs that look up their own user fail without an entry (libpq, Java). */
static sl_rc
add_user(struct sl_view *view, const struct sl_view_conf *conf, struct sl_err *err)
{
    const char *home = conf->work != NULL ? conf->work : "/";
    char *passwd = sl_sprintf("connector:x:%u:%u::%s:/bin/sh\n", conf->uid, conf->uid, home),
         *group = sl_sprintf("connector:x:%u:\n", conf->uid);
    sl_rc rc = add(view, "/etc/passwd", passwd, TEXT, false, err);

    if (rc == SL_OK)
        rc = add(view, "/etc/group", group, TEXT, false, err);
    free(passwd);
    free(group);
    return rc;
}

static sl_rc
collect(struct sl_view *view, const struct sl_view_conf *conf, struct sl_err *err)
{
    const char *work = conf->work;
    const char *const *write = conf->write;
    const char *const *read = conf->read;
    static const struct {
        const char *path, *to;
    } links[] = { { "/dev/fd", "/proc/self/fd" },
                  { "/dev/stdin", "/proc/self/fd/0" },
                  { "/dev/stdout", "/proc/self/fd/1" },
                  { "/dev/stderr", "/proc/self/fd/2" } };
    sl_rc rc = work != NULL ? add_path(view, work, true, err) : SL_OK;

    for (size_t i = 0; rc == SL_OK && write != NULL && write[i] != NULL; i++)
        rc = add_path(view, write[i], true, err);
    for (size_t i = 0; rc == SL_OK && read != NULL && read[i] != NULL; i++)
        rc = add_path(view, read[i], false, err);
    for (size_t i = 0; rc == SL_OK && sl_view_system[i] != NULL; i++)
        rc = add_system(view, sl_view_system[i], err);
    for (size_t i = 0; rc == SL_OK && sl_view_devices[i] != NULL; i++)
        if (sl_exists(sl_view_devices[i]))
            rc = add(view, sl_view_devices[i], sl_view_devices[i], DEVICE, true, err);
    for (size_t i = 0; rc == SL_OK && i < sizeof links / sizeof links[0]; i++)
        rc = add(view, links[i].path, links[i].to, LINK, false, err);
    if (rc == SL_OK)
        rc = add_user(view, conf, err);
    if (rc == SL_OK && work != NULL)
        rc = add_tmp(view, work, err);
    return rc;
}

sl_rc
sl_view_new(struct sl_view **out, const struct sl_view_conf *conf, struct sl_err *err)
{
    struct sl_view *view = sl_zalloc(1, sizeof *view);
    sl_rc rc = collect(view, conf, err);

    if (rc) {
        sl_view_free(view);
        return rc;
    }
    for (size_t i = view->count; i-- > 0;)
        if (!view->list[i].write && is_covered(view, i))
            drop(view, i);
    qsort(view->list, view->count, sizeof view->list[0], by_path); /* parents first */
    snprintf(view->shm, sizeof view->shm, "mode=1777,size=%llu",
             (unsigned long long)(conf->shm > 0 ? conf->shm : SHM_DEFAULT));
    *out = view;
    return SL_OK;
}

bool
sl_view_has_tmp(const struct sl_view *view)
{
    return view->tmp;
}

void
sl_view_free(struct sl_view *view)
{
    if (view == NULL)
        return;
    while (view->count > 0)
        drop(view, view->count - 1);
    free(view);
}

/* ---- the mounts, after the fork: system calls only ---- */

static bool
is_mount(const struct mount *m)
{
    return m->kind != LINK && m->kind != TEXT;
}

struct mount_attr_1 {
    uint64_t set, clear, propagation, userns;
};

/* Folders above a path, relative to the new root. */
static int
make_parents(const char *path)
{
    char part[PATH_MAX];
    size_t n = strlen(path);

    if (n >= sizeof part)
        return ENAMETOOLONG;
    for (size_t i = 1; i < n; i++) {
        if (path[i] != '/')
            continue;
        memcpy(part, path + 1, i - 1);
        part[i - 1] = '\0';
        if (mkdir(part, 0755) != 0 && errno != EEXIST)
            return errno;
    }
    return 0;
}

static int
take_tree(const struct mount *m)
{
    struct mount_attr_1 attr = { .set = ATTR_NO_SUID };
    unsigned recursive = m->kind == FOLDER ? TREE_RECURSIVE : 0;
    int fd = (int)syscall(SYS_open_tree, AT_FDCWD, m->source,
                          TREE_CLONE | TREE_CLOEXEC | recursive);

    if (fd < 0)
        return -1;
    if (m->kind != DEVICE)
        attr.set |= ATTR_NO_DEVICES;
    if (!m->write)
        attr.set |= ATTR_READ_ONLY;
    if (syscall(SYS_mount_setattr, fd, "", ATTR_PATH_EMPTY | recursive, &attr, sizeof attr) != 0) {
        int e = errno;

        close(fd);
        errno = e;
        return -1;
    }
    return fd;
}

/* The place of a mount, made of its kind; in a mounted parent it is there already. */
static int
make_place(const struct mount *m)
{
    const char *at = m->path + 1;
    int fd, e = 0;

    if (m->kind == LINK)
        return symlink(m->source, at) == 0 || errno == EEXIST ? 0 : errno;
    if (m->kind == FOLDER)
        return mkdir(at, 0755) == 0 || errno == EEXIST ? 0 : errno;
    fd = open(at, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (fd < 0)
        return errno == EEXIST ? 0 : errno;
    if (m->kind == TEXT && write(fd, m->source, strlen(m->source)) < 0)
        e = errno;
    close(fd);
    return e;
}

static int
put_all(const struct sl_view *view, const int *fds, const char **step)
{
    for (size_t i = 0; i < view->count; i++) {
        const struct mount *m = &view->list[i];
        int e = make_parents(m->path);

        *step = m->path;
        if (e == 0)
            e = make_place(m);
        if (e != 0)
            return e;
        if (!is_mount(m))
            continue;
        if (syscall(SYS_move_mount, fds[i], "", AT_FDCWD, m->path + 1, FROM_EMPTY_PATH) != 0)
            return errno;
        close(fds[i]);
    }
    return 0;
}

/* Processes of other users are not listed, and nothing in /proc is theirs (hidepid). */
static int
put_proc_and_shm(const struct sl_view *view, const char **step)
{
    *step = "/proc";
    if (mkdir("proc", 0755) != 0)
        return errno;
    if (mount("proc", "proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, "hidepid=2") != 0)
        return errno;
    *step = "/dev/shm";
    if (mkdir("dev", 0755) != 0 || mkdir("dev/shm", 0755) != 0)
        return errno;
    return mount("tmpfs", "dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, view->shm) == 0 ? 0 : errno;
}

static int
change_root(const char **step)
{
    *step = "the root";
    if (mount(NULL, ".", NULL, MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NODEV, NULL) != 0)
        return errno;
    /* The old root comes to lie on the new one and is taken away from there. */
    if (syscall(SYS_pivot_root, ".", ".") != 0 || umount2(".", MNT_DETACH) != 0 || chdir("/") != 0)
        return errno;
    return 0;
}

int
sl_view_enter(const struct sl_view *view, const char **step)
{
    int fds[MOUNTS_MAX], e;

    *step = "a mount namespace";
    if (unshare(CLONE_NEWNS) != 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) != 0)
        return errno;
    for (size_t i = 0; i < view->count; i++) {
        if (!is_mount(&view->list[i]))
            continue;
        *step = view->list[i].path;
        fds[i] = take_tree(&view->list[i]);
        if (fds[i] < 0)
            return errno;
    }
    *step = "an empty root";
    if (mount("tmpfs", STAGE, "tmpfs", MS_NOSUID | MS_NODEV, "mode=0755,size=1m") != 0 ||
        chdir(STAGE) != 0)
        return errno;
    umask(022);
    e = put_proc_and_shm(view, step); /* first: a work folder may lie in /dev/shm */
    if (e == 0)
        e = put_all(view, fds, step);
    return e != 0 ? e : change_root(step);
}

/* ---- is it possible here? ---- */

static char reason[256];
static bool possible;

static void
try_it(void)
{
    struct sl_view *view;
    int pipe_fds[2], told[2] = { 0, 0 };
    char step[128] = "";
    pid_t pid;

    if (geteuid() != 0) {
        snprintf(reason, sizeof reason, "it needs root");
        return;
    }
    if (sl_view_new(&view, &(struct sl_view_conf){ 0 }, NULL) != SL_OK)
        return;
    if (pipe2(pipe_fds, O_CLOEXEC) != 0) {
        sl_view_free(view);
        return;
    }
    pid = fork();
    if (pid == 0) {
        const char *at = "";
        size_t n;
        int e = sl_view_enter(view, &at);

        n = strlen(at) < sizeof step ? strlen(at) : sizeof step - 1;
        told[0] = e, told[1] = (int)n;
        if (write(pipe_fds[1], told, sizeof told) < 0 || write(pipe_fds[1], at, n) < 0)
            _exit(1);
        _exit(0);
    }
    close(pipe_fds[1]);
    if (pid > 0 && read(pipe_fds[0], told, sizeof told) == sizeof told && told[1] >= 0 &&
        (size_t)told[1] < sizeof step && read(pipe_fds[0], step, (size_t)told[1]) == told[1]) {
        possible = told[0] == 0;
        snprintf(reason, sizeof reason, "%s: %s", step, strerror(told[0]));
    } else {
        snprintf(reason, sizeof reason, "the attempt failed");
    }
    close(pipe_fds[0]);
    while (pid > 0 && waitpid(pid, NULL, 0) < 0 && errno == EINTR)
        ;
    sl_view_free(view);
}

bool
sl_view_possible(const char **why)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, try_it);
    *why = reason;
    return possible;
}

#else

bool
sl_view_possible(const char **why)
{
    *why = "this system has no mount namespaces";
    return false;
}

sl_rc
sl_view_new(struct sl_view **out, const struct sl_view_conf *conf, struct sl_err *err)
{
    (void)out, (void)conf;
    return sl_fail(err, SL_E_ENV, "this system has no mount namespaces");
}

bool
sl_view_has_tmp(const struct sl_view *view)
{
    (void)view;
    return false;
}

int
sl_view_enter(const struct sl_view *view, const char **step)
{
    (void)view;
    *step = "a mount namespace";
    return ENOSYS;
}

void
sl_view_free(struct sl_view *view)
{
    (void)view;
}

#endif
