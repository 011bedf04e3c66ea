#include "runtime/jail.h"

#include "base/buf.h"
#include "base/time.h"
#include "runtime/cgroup.h"
#include "runtime/file.h"
#include "runtime/filter.h"
#include "runtime/landlock.h"
#include "runtime/view.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <grp.h>
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

/* As the usual soft limit; select() cannot do more. */
#define OPEN_FILES 1024
#define WALLS_MAX 8192

struct rule {
    char *path;
    enum sl_access access;
};

struct sl_jail {
    enum sl_sandbox mode;
    struct sl_buf walls, missing;
    char *work;
    struct rule *rules;
    size_t nrules;
    struct sl_view *view;
    struct sl_cgroup *cgroup;
    const struct sl_filter *filter;
    unsigned uid;
    int landlock;   /* version; 0: none */
    uint64_t data;  /* RLIMIT_DATA; 0: none */
    uint64_t nproc; /* RLIMIT_NPROC; 0: none */
    uint64_t file_size;
    atomic_int
        *group; /* the process group inside, 0: none. Apart, as it changes under a const jail */
};

/* ---- what this system offers, looked up once ---- */

static struct sl_cgroup_base cgroups;

static void
find_cgroups(void)
{
    sl_cgroup_find(&cgroups, SL_CGROUP_ROOT, SL_CGROUP_SELF);
}

static const struct sl_cgroup_base *
cgroup_base(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, find_cgroups);
    return &cgroups;
}

void
sl_jail_sweep(const char *prefix)
{
    sl_cgroup_sweep(cgroup_base(), prefix);
}

/* ---- making: each wall says that it stands, or why it does not ---- */

static void note(struct sl_buf *list, const char *fmt, ...) SL_PRINTF(2, 3);

static void
note(struct sl_buf *list, const char *fmt, ...)
{
    char text[512];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (list->len > 0)
        sl_buf_add(list, ", ");
    sl_buf_add(list, text);
}

static sl_rc missing(struct sl_jail *j, struct sl_err *err, const char *fmt, ...) SL_PRINTF(3, 4);

/* A wall that cannot stand: an error where all are required, else remembered. */
static sl_rc
missing(struct sl_jail *j, struct sl_err *err, const char *fmt, ...)
{
    char text[400];
    va_list ap;

    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (j->mode == SL_SANDBOX_REQUIRE) {
        (void)sl_fail(err, SL_E_ENV, "a wall of the sandbox cannot stand here: %s", text);
        sl_err_hint(err, "run the server as root on a Linux with cgroups and Landlock, or accept "
                         "fewer walls: --sandbox=best");
        return SL_E_ENV;
    }
    note(&j->missing, "%s", text);
    return SL_OK;
}

static void
add_rule(struct sl_jail *j, const char *path, enum sl_access access)
{
    j->rules = sl_realloc(j->rules, j->nrules + 1, sizeof *j->rules);
    j->rules[j->nrules++] = (struct rule){ .path = sl_strdup(path), .access = access };
}

static void
list_rules(struct sl_jail *j, const struct sl_jail_conf *conf)
{
    for (size_t i = 0; sl_view_system[i] != NULL; i++)
        add_rule(j, sl_view_system[i], SL_ACCESS_READ);
    for (size_t i = 0; sl_view_devices[i] != NULL; i++)
        add_rule(j, sl_view_devices[i], SL_ACCESS_DEVICE);
    for (size_t i = 0; conf->read != NULL && conf->read[i] != NULL; i++)
        add_rule(j, conf->read[i], SL_ACCESS_READ);
    add_rule(j, "/proc", SL_ACCESS_READ);
    add_rule(j, "/dev/shm", SL_ACCESS_WRITE);
    add_rule(j, conf->work, SL_ACCESS_WRITE);
    for (size_t i = 0; conf->write != NULL && conf->write[i] != NULL; i++)
        add_rule(j, conf->write[i], SL_ACCESS_WRITE);
    /* In a view its own, with one line; else the system's, which has no secrets, and programs fail that may not read it. */
    add_rule(j, "/etc/passwd", SL_ACCESS_READ);
    add_rule(j, "/etc/group", SL_ACCESS_READ);
    if (j->view != NULL && sl_view_has_tmp(j->view)) {
        add_rule(j, "/tmp", SL_ACCESS_WRITE);
        add_rule(j, "/var/tmp", SL_ACCESS_WRITE);
    }
}

static bool
permits(const struct stat *st, unsigned uid, unsigned bits)
{
    unsigned shift = st->st_uid == uid ? 6 : st->st_gid == uid ? 3 : 0;

    return ((st->st_mode >> shift) & bits) == bits;
}

/* The first folder above `path` that the user may not enter; new memory, NULL when there is none. */
static char *
closed_parent(const char *path, unsigned uid)
{
    char *real = sl_path_real(path), *closed = NULL;
    struct stat st;

    for (char *p = real; p != NULL && closed == NULL; p = strchr(p + 1, '/')) {
        char *dir = p == real ? sl_strdup("/") : sl_sprintf("%.*s", (int)(p - real), real);

        if (stat(dir, &st) == 0 && !permits(&st, uid, 1))
            closed = dir;
        else
            free(dir);
    }
    free(real);
    return closed;
}

/* Without a view of its own, the user must be able to walk to its folders. */
static char *
first_closed(const struct sl_jail_conf *conf)
{
    char *closed = closed_parent(conf->work, conf->uid);

    for (size_t i = 0; closed == NULL && conf->read != NULL && conf->read[i] != NULL; i++)
        closed = closed_parent(conf->read[i], conf->uid);
    for (size_t i = 0; closed == NULL && conf->write != NULL && conf->write[i] != NULL; i++)
        closed = closed_parent(conf->write[i], conf->uid);
    return closed;
}

static sl_rc
check_readable(const struct sl_jail_conf *conf, struct sl_err *err)
{
    struct stat st;

    for (size_t i = 0; conf->read != NULL && conf->read[i] != NULL; i++) {
        const char *path = conf->read[i];

        if (stat(path, &st) != 0 || permits(&st, conf->uid, S_ISDIR(st.st_mode) ? 5 : 4))
            continue;
        (void)sl_fail(err, SL_E_ENV, "user %u may not read %s", conf->uid, path);
        sl_err_hint(err, "connectors run as a user of their own: chmod -R o+rX %s", path);
        return SL_E_ENV;
    }
    return SL_OK;
}

static sl_rc
build_view(struct sl_jail *j, const struct sl_jail_conf *conf, struct sl_err *err)
{
    const char *why;

    if (sl_view_possible(&why))
        return sl_view_new(&j->view,
                           &(struct sl_view_conf){ .work = conf->work,
                                                   .write = conf->write,
                                                   .read = conf->read,
                                                   .shm = conf->memory,
                                                   .uid = conf->uid },
                           err);
    note(&j->missing, "own view of files (%s)", why);
    return SL_OK;
}

/* In a user namespace not every number is somebody. */
static bool
can_become(unsigned uid)
{
#ifdef __linux__
    int status = 1;
    pid_t pid = fork();

    if (pid == 0)
        _exit(syscall(SYS_setresgid, uid, uid, uid) != 0 ||
              syscall(SYS_setresuid, uid, uid, uid) != 0);
    while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return pid > 0 && status == 0;
#else
    (void)uid;
    return false;
#endif
}

static sl_rc
build_user(struct sl_jail *j, const struct sl_jail_conf *conf, struct sl_err *err)
{
    char *closed = NULL;
    sl_rc rc;

    if (conf->uid == 0)
        return SL_OK;
    if (geteuid() != 0)
        return missing(j, err, "own user (it needs root)");
    if (!can_become(conf->uid))
        return missing(j, err, "own user (this process may not become user %u)", conf->uid);
    if (j->view == NULL)
        closed = first_closed(conf);
    if (closed != NULL) {
        rc = missing(j, err, "own user (user %u may not enter %s: chmod o+x)", conf->uid, closed);
        free(closed);
        return rc;
    }
    rc = check_readable(conf, err);
    if (rc)
        return rc;
    j->uid = conf->uid;
    for (size_t i = 0; conf->write != NULL && conf->write[i] != NULL; i++)
        if (chown(conf->write[i], conf->uid, conf->uid) != 0)
            return sl_fail_errno(err, "cannot give %s to user %u", conf->write[i], conf->uid);
    return sl_tree_give(conf->work, conf->uid, SL_TREE_AS_IS, err);
}

static void
note_cgroup(struct sl_jail *j, int version, uint64_t memory, int processes)
{
    char m[48] = "", p[32] = "";

    if (sl_cgroup_limits_memory(j->cgroup))
        snprintf(m, sizeof m, "memory %llu MiB", (unsigned long long)(memory >> 20));
    if (sl_cgroup_limits_processes(j->cgroup))
        snprintf(p, sizeof p, "%s%d processes", m[0] ? ", " : "", processes);
    note(&j->walls, "cgroup v%d (%s%s)", version, m, p);
}

static sl_rc
build_cgroup(struct sl_jail *j, const struct sl_jail_conf *conf, int processes, struct sl_err *err)
{
    const struct sl_cgroup_base *base = cgroup_base();
    struct sl_err e = { 0 };

    if (base->version == 0)
        return missing(j, err, "cgroup (%s)", base->reason);
    if (sl_cgroup_new(&j->cgroup, base, conf->name, conf->memory, processes, &e))
        return missing(j, err, "cgroup (%s)", e.text);
    note_cgroup(j, base->version, conf->memory, processes);
    if (base->memory == NULL && conf->memory > 0)
        return missing(j, err, "memory in a cgroup (%s)", base->reason);
    if (base->pids == NULL)
        return missing(j, err, "number of processes in a cgroup (%s)", base->reason);
    return SL_OK;
}

/* Tasks of a user now: RLIMIT_NPROC counts all of them. */
static uint64_t
tasks_of(unsigned uid)
{
    DIR *proc = opendir("/proc");
    uint64_t n = 0;

    for (struct dirent *e = proc ? readdir(proc) : NULL; e != NULL; e = readdir(proc)) {
        char path[300];
        struct stat st;

        if (e->d_name[0] < '1' || e->d_name[0] > '9')
            continue;
        snprintf(path, sizeof path, "/proc/%s/task", e->d_name);
        if (stat(path, &st) == 0 && st.st_uid == uid && st.st_nlink > 2)
            n += st.st_nlink - 2;
    }
    if (proc != NULL)
        closedir(proc);
    return n;
}

/* Limits of single processes and of the user, for what no cgroup limits. */
static sl_rc
build_limits(struct sl_jail *j, const struct sl_jail_conf *conf, int processes, struct sl_err *err)
{
    if (conf->memory > 0 && (j->cgroup == NULL || !sl_cgroup_limits_memory(j->cgroup))) {
        j->data = conf->memory;
        note(&j->walls, "memory of each process %llu MiB", (unsigned long long)(j->data >> 20));
    }
    if (j->cgroup != NULL && sl_cgroup_limits_processes(j->cgroup))
        return SL_OK;
    if (j->uid == 0 && geteuid() == 0)
        return missing(j, err, "number of processes (root has no limit)");
    j->nproc = (uint64_t)processes + (j->uid == 0 ? tasks_of(geteuid()) : 0);
    note(&j->walls, "%d processes", processes);
    return SL_OK;
}

static sl_rc
build_kernel_walls(struct sl_jail *j, struct sl_err *err)
{
    const char *why;
    sl_rc rc = SL_OK;

    j->landlock = sl_landlock_version();
    if (j->landlock > 0)
        note(&j->walls, "landlock %d", j->landlock);
    else
        rc = missing(j, err, "landlock (%s)",
                     errno == EOPNOTSUPP ? "switched off at boot" : "not in this kernel");
    if (rc)
        return rc;
    j->filter = sl_filter_get(j->cgroup == NULL, &why);
    if (j->filter == NULL)
        return missing(j, err, "seccomp (%s)", why);
    note(&j->walls, "seccomp");
    return SL_OK;
}

static sl_rc
build(struct sl_jail *j, const struct sl_jail_conf *conf, struct sl_err *err)
{
    int processes = conf->processes > 0 ? conf->processes : SL_JAIL_PROCESSES;
    sl_rc rc = build_view(j, conf, err);

    if (rc == SL_OK)
        rc = build_user(j, conf, err);
    if (rc == SL_OK && j->uid != 0)
        note(&j->walls, "user %u", j->uid);
    if (rc == SL_OK)
        rc = build_cgroup(j, conf, processes, err);
    if (rc == SL_OK)
        rc = build_limits(j, conf, processes, err);
    if (rc == SL_OK && j->view != NULL)
        note(&j->walls, "own view of files");
    if (rc == SL_OK)
        rc = build_kernel_walls(j, err);
    if (rc)
        return rc;
    list_rules(j, conf);
#ifdef __linux__
    note(&j->walls, "no new privileges");
#endif
    if (j->missing.len > 0)
        sl_buf_addf(&j->walls, "; missing: %s", sl_buf_str(&j->missing));
    return SL_OK;
}

sl_rc
sl_jail_new(struct sl_jail **out, const struct sl_jail_conf *conf, struct sl_err *err)
{
    struct sl_jail *j = sl_zalloc(1, sizeof *j);
    char *tmp = sl_path_join(conf->work, "tmp");
    sl_rc rc;

    j->mode = conf->mode;
    j->file_size = conf->file_size;
    j->work = sl_strdup(conf->work);
    j->group = sl_zalloc(1, sizeof *j->group);
    sl_buf_init(&j->walls, WALLS_MAX);
    sl_buf_init(&j->missing, WALLS_MAX);
    rc = sl_mkdirs(tmp, err);
    if (rc == SL_OK && conf->mode == SL_SANDBOX_OFF)
        sl_buf_add(&j->walls, "none (switched off)");
    else if (rc == SL_OK)
        rc = build(j, conf, err);
    free(tmp);
    if (rc) {
        sl_jail_free(j);
        return rc;
    }
    sl_buf_str(&j->walls);
    *out = j;
    return SL_OK;
}

const char *
sl_jail_walls(const struct sl_jail *j)
{
    return j->walls.ptr;
}

/* ---- entering: system calls only ---- */

static const char *failed_at = "";

const char *
sl_jail_failed_at(void)
{
    return failed_at;
}

static int
limit(int what, uint64_t value)
{
    struct rlimit r = { .rlim_cur = (rlim_t)value, .rlim_max = (rlim_t)value }, now;

    if (value == 0)
        return 0;
    if (getrlimit(what, &now) == 0 && now.rlim_max < r.rlim_max)
        r.rlim_cur = r.rlim_max = now.rlim_max; /* stricter already */
    return setrlimit(what, &r) == 0 ? 0 : errno;
}

static int
enter_limits(const struct sl_jail *j)
{
    int e;

    failed_at = "the resource limits";
    /* 1, not 0: at 0 the kernel still sends cores to a program that collects them. */
    e = limit(RLIMIT_CORE, 1);
    if (e == 0)
        e = limit(RLIMIT_NOFILE, OPEN_FILES);
    if (e == 0)
        e = limit(RLIMIT_FSIZE, j->file_size);
    if (e == 0)
        e = limit(RLIMIT_DATA, j->data);
#ifdef RLIMIT_NPROC
    if (e == 0)
        e = limit(RLIMIT_NPROC, j->nproc);
#endif
    return e;
}

#ifdef __linux__

/* The C library's functions would signal the server's threads, which do not exist in this child. */
static int
enter_user(unsigned uid)
{
    struct __user_cap_header_struct head = { .version = _LINUX_CAPABILITY_VERSION_3 };
    struct __user_cap_data_struct none[2] = { { 0 }, { 0 } };

    failed_at = "the own user";
    for (unsigned long cap = 0; prctl(PR_CAPBSET_DROP, cap, 0, 0, 0) == 0; cap++)
        ;
    if (uid != 0 &&
        (syscall(SYS_setgroups, 0, NULL) != 0 || syscall(SYS_setresgid, uid, uid, uid) != 0 ||
         syscall(SYS_setresuid, uid, uid, uid) != 0))
        return errno;
    if (syscall(SYS_capset, &head, none) != 0)
        return errno;
    failed_at = "no new privileges";
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 || prctl(PR_SET_PDEATHSIG, SIGKILL) != 0)
        return errno;
    return 0;
}

static int
make_ruleset(const struct sl_jail *j, int *ruleset)
{
    int e = 0;

    failed_at = "landlock";
    *ruleset = -1;
    if (j->landlock == 0)
        return 0;
    *ruleset = sl_landlock_open(j->landlock);
    if (*ruleset < 0)
        return errno;
    for (size_t i = 0; e == 0 && i < j->nrules; i++) {
        failed_at = j->rules[i].path;
        e = sl_landlock_allow(*ruleset, j->landlock, j->rules[i].path, j->rules[i].access);
    }
    return e;
}

static int
enter_walls(const struct sl_jail *j)
{
    int e = 0, ruleset;

    failed_at = "the cgroup";
    if (j->cgroup != NULL)
        e = sl_cgroup_enter(j->cgroup);
    if (e == 0)
        e = enter_limits(j);
    if (e == 0 && j->view != NULL)
        e = sl_view_enter(j->view, &failed_at);
    umask(077);
    /* Opened with our rights, entered without. */
    if (e == 0)
        e = make_ruleset(j, &ruleset);
    if (e == 0)
        e = enter_user(j->uid);
    if (e == 0 && ruleset >= 0) {
        failed_at = "landlock";
        e = sl_landlock_enter(ruleset);
        close(ruleset);
    }
    failed_at = e == 0 ? "seccomp" : failed_at;
    if (e == 0 && j->filter != NULL)
        e = sl_filter_enter(j->filter);
    return e;
}

#else

static int
enter_walls(const struct sl_jail *j)
{
    umask(077);
    return enter_limits(j);
}

#endif

int
sl_jail_enter(const struct sl_jail *j)
{
    failed_at = "an own session";
    if (setsid() < 0)
        return errno;
    return j->mode == SL_SANDBOX_OFF ? 0 : enter_walls(j);
}

/* ---- the end ---- */

bool
sl_jail_out_of_memory(const struct sl_jail *j)
{
    return j->cgroup != NULL && sl_cgroup_oom_killed(j->cgroup);
}

uint64_t
sl_jail_peak(const struct sl_jail *j)
{
    return j->cgroup != NULL ? sl_cgroup_peak(j->cgroup) : 0;
}

void
sl_jail_note(const struct sl_jail *j, pid_t pid)
{
    atomic_store(j->group, (int)pid);
}

void
sl_jail_kill(struct sl_jail *j)
{
    int group = atomic_load(j->group);

    if (group > 0)
        kill(-group, SIGKILL);
    if (j->cgroup != NULL)
        sl_cgroup_kill(j->cgroup);
}

void
sl_jail_free(struct sl_jail *j)
{
    if (j == NULL)
        return;
    sl_jail_kill(j);
    sl_cgroup_free(j->cgroup);
    sl_view_free(j->view);
    for (size_t i = 0; i < j->nrules; i++)
        free(j->rules[i].path);
    free(j->rules);
    sl_buf_free(&j->walls);
    sl_buf_free(&j->missing);
    free(j->group);
    free(j->work);
    free(j);
}
