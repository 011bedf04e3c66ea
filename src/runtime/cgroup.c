#include "runtime/cgroup.h"

#include "base/buf.h"
#include "base/time.h"
#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SMALL_FILE (1u << 20) /* cgroup.procs of 64 processes has 512 bytes */
#define EMPTY_US                                                                                   \
    (2 * 1000000) /* KILL takes effect at once, but for a process in a system call on a slow disk */
#define NAP_NS (2 * 1000 * 1000)
#define SWEEP_DEPTH 8 /* slice, user slice, service, scope … */

/* One folder with our processes: of v1 one per hierarchy, of v2 just one. */
struct sl_cgroup {
    int version;
    char *dirs[2];  /* memory, pids; either may be NULL; under v2 the second is NULL */
    char *procs[2]; /* their cgroup.procs */
    bool memory, processes;
};

/* ---- the small files ---- */

static int
put(const char *dir, const char *name, const char *value)
{
    char *path = sl_path_join(dir, name);
    int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC), e = 0;

    free(path);
    if (fd < 0)
        return errno;
    if (write(fd, value, strlen(value)) < 0)
        e = errno;
    close(fd);
    return e;
}

static int
put_number(const char *dir, const char *name, uint64_t value)
{
    char text[32];

    snprintf(text, sizeof text, "%llu", (unsigned long long)value);
    return put(dir, name, text);
}

/* The whole file as text; an empty one when it cannot be read. The buffer is the caller's. */
static const char *
get(const char *dir, const char *name, struct sl_buf *buf)
{
    char *path = name != NULL ? sl_path_join(dir, name) : sl_strdup(dir);

    sl_buf_init(buf, SMALL_FILE);
    if (sl_file_read(path, buf, NULL) != SL_OK)
        buf->len = 0;
    free(path);
    return sl_buf_str(buf);
}

/* The number behind "key " at the start of a line (key NULL: at the start of the file); -1 when there is none. */
static int64_t
number_of(const char *dir, const char *name, const char *key)
{
    struct sl_buf buf;
    const char *line = get(dir, name, &buf);
    size_t n = key != NULL ? strlen(key) : 0;
    int64_t value = -1;

    for (; line != NULL && *line != '\0' && value < 0; line = strchr(line, '\n')) {
        line += *line == '\n';
        if (key == NULL || (strncmp(line, key, n) == 0 && line[n] == ' '))
            value = strtoll(line + n, NULL, 10);
        if (key == NULL)
            break;
    }
    sl_buf_free(&buf);
    return value;
}

static bool
has_word(const char *text, const char *word)
{
    size_t n = strlen(word);

    for (const char *p = strstr(text, word); p != NULL; p = strstr(p + n, word))
        if ((p == text || strchr(" \n", p[-1])) && (p[n] == '\0' || strchr(" \n", p[n])))
            return true;
    return false;
}

static bool
file_has_word(const char *dir, const char *name, const char *word)
{
    struct sl_buf buf;
    bool yes = has_word(get(dir, name, &buf), word);

    sl_buf_free(&buf);
    return yes;
}

/* ---- where ---- */

/* The path this process has in a hierarchy, from lines such as "4:memory:/a/b" and, for v2, "0::/a/b". New memory. */
static char *
own_path(const char *self, const char *controller)
{
    struct sl_buf buf;
    const char *line = get(self, NULL, &buf);
    char *found = NULL;

    while (found == NULL && line != NULL && *line != '\0') {
        const char *first = strchr(line, ':'), *second = first ? strchr(first + 1, ':') : NULL;
        char list[256];

        if (second == NULL)
            break;
        snprintf(list, sizeof list, "%.*s", (int)(second - first - 1), first + 1);
        for (char *p = list; *p != '\0'; p++)
            if (*p == ',')
                *p = ' ';
        if (controller[0] == '\0' ? list[0] == '\0' : has_word(list, controller))
            found = sl_sprintf("%.*s", (int)strcspn(second + 1, "\n"), second + 1);
        line = strchr(line, '\n');
        line = line != NULL ? line + 1 : NULL;
    }
    sl_buf_free(&buf);
    return found;
}

static char *
v1_folder(const char *root, const char *self, const char *controller, char *reason, size_t size)
{
    char *path = own_path(self, controller), *top = sl_path_join(root, controller), *own;

    /* In a container the tree may begin at our own cgroup, whatever path we have outside. */
    own = path != NULL && strcmp(path, "/") != 0 ? sl_sprintf("%s%s", top, path) : sl_strdup(top);
    if (!sl_is_dir(own)) {
        free(own);
        own = sl_strdup(top);
    }
    free(path);
    free(top);
    if (access(own, W_OK) == 0)
        return own;
    snprintf(reason, size, "%s: %s", own, strerror(errno));
    free(own);
    return NULL;
}

static void
find_v1(struct sl_cgroup_base *base, const char *root, const char *self)
{
    base->pids = v1_folder(root, self, "pids", base->reason, sizeof base->reason);
    base->memory = v1_folder(root, self, "memory", base->reason, sizeof base->reason);
    base->version = base->memory != NULL || base->pids != NULL ? 1 : 0;
}

/* True when this process is the only one in the cgroup. */
static bool
alone(const char *dir)
{
    struct sl_buf buf;
    const char *text = get(dir, "cgroup.procs", &buf);
    char *end;
    bool yes = strtol(text, &end, 10) == (long)getpid() && *end == '\n' && end[1] == '\0';

    sl_buf_free(&buf);
    return yes;
}

static int
enable(const char *dir)
{
    if (file_has_word(dir, "cgroup.subtree_control", "memory") &&
        file_has_word(dir, "cgroup.subtree_control", "pids"))
        return 0;
    return put(dir, "cgroup.subtree_control", "+memory +pids");
}

/* Lets children of `dir` have limits. A cgroup other than the root may do that only while it holds no process itself: ours moves one
 * level down then. */
static bool
v2_prepare(const char *dir, char *reason, size_t size)
{
    int e = enable(dir);
    char *own;

    if (e == EBUSY && alone(dir)) {
        own = sl_path_join(dir, SL_CGROUP_SERVER);
        if (mkdir(own, 0755) != 0 && errno != EEXIST)
            e = errno;
        else
            e = put(own, "cgroup.procs", "0");
        free(own);
        if (e == 0)
            e = enable(dir);
    }
    if (e == EBUSY)
        snprintf(
            reason, size,
            "%s holds other processes; start the server as a systemd service with Delegate=yes",
            dir);
    else if (e != 0)
        snprintf(reason, size, "%s: %s", dir, strerror(e));
    return e == 0;
}

static void
find_v2(struct sl_cgroup_base *base, const char *root, const char *self)
{
    char *path = own_path(self, ""), *slash, *dir;
    bool ready;

    slash = path != NULL ? strrchr(path, '/') : NULL;
    if (slash != NULL && strcmp(slash + 1, SL_CGROUP_SERVER) == 0)
        *slash = '\0'; /* moved earlier */
    dir = sl_sprintf("%s%s", root, path != NULL && strcmp(path, "/") != 0 ? path : "");
    if (!sl_is_dir(dir)) {
        free(dir);
        dir = sl_strdup(root);
    }
    ready = v2_prepare(dir, base->reason, sizeof base->reason);
    /* The root may hold processes and still hand out limits; what we make is kept in one folder of its own. */
    if (!ready && geteuid() == 0 && strcmp(dir, root) != 0) {
        char why[sizeof base->reason];

        free(dir);
        dir = sl_path_join(root, "sluice");
        ready = v2_prepare(root, why, sizeof why) && (mkdir(dir, 0755) == 0 || errno == EEXIST) &&
                v2_prepare(dir, why, sizeof why);
    }
    if (ready) {
        base->version = 2;
        base->memory = sl_strdup(dir);
        base->pids = sl_strdup(dir);
        base->reason[0] = '\0';
    }
    free(dir);
    free(path);
}

void
sl_cgroup_find(struct sl_cgroup_base *base, const char *root, const char *self)
{
    char *controllers = sl_path_join(root, "cgroup.controllers");

    *base = (struct sl_cgroup_base){ .tree = sl_strdup(root) };
    if (sl_is_file(controllers)) {
        if (file_has_word(root, "cgroup.controllers", "memory") &&
            file_has_word(root, "cgroup.controllers", "pids"))
            find_v2(base, root, self);
        else
            snprintf(base->reason, sizeof base->reason, "%s has no memory and pids controllers",
                     root);
    } else if (sl_is_dir(root)) {
        find_v1(base, root, self);
    } else {
        snprintf(base->reason, sizeof base->reason, "%s is not there", root);
    }
    free(controllers);
}

void
sl_cgroup_base_free(struct sl_cgroup_base *base)
{
    free(base->memory);
    free(base->pids);
    free(base->tree);
    *base = (struct sl_cgroup_base){ 0 };
}

/* ---- ending what is in one ---- */

/* Signals every process in the folder; how many there were. */
static int
kill_listed(const char *dir)
{
    struct sl_buf buf;
    char *end;
    int n = 0;

    for (const char *p = get(dir, "cgroup.procs", &buf); *p != '\0'; p = end) {
        long pid = strtol(p, &end, 10);

        if (end == p)
            break;
        end += *end == '\n';
        if (pid <= 0)
            continue; /* of another pid namespace */
        n++;
        kill((pid_t)pid, SIGKILL);
    }
    sl_buf_free(&buf);
    return n;
}

static bool
is_empty(const char *dir)
{
    struct sl_buf buf;
    bool empty = *get(dir, "cgroup.procs", &buf) == '\0';

    sl_buf_free(&buf);
    return empty;
}

static void
kill_all_in(const char *dir)
{
    struct timespec nap = { .tv_nsec = NAP_NS };
    int64_t start = sl_mono_us();
    struct sl_buf limit;
    bool whole;

    if (is_empty(dir))
        return;
    get(dir, "pids.max", &limit);
    whole = put(dir, "cgroup.kill", "1") == 0; /* v2 since Linux 5.14 */
    /* Elsewhere nothing may be added while we count; then each round finds fewer. */
    if (!whole && limit.len > 0)
        put(dir, "pids.max", "0");
    while (sl_mono_us() - start < EMPTY_US) {
        if (whole ? is_empty(dir) : kill_listed(dir) == 0)
            break;
        nanosleep(&nap, NULL);
    }
    if (!whole && limit.len > 0)
        put(dir, "pids.max", sl_buf_str(&limit));
    sl_buf_free(&limit);
}

static void
remove_folder(const char *dir)
{
    struct timespec nap = { .tv_nsec = NAP_NS };
    int64_t start = sl_mono_us();

    /* Busy for a moment after the last process ended. What stays is swept at the next start. */
    while (rmdir(dir) != 0 && errno == EBUSY && sl_mono_us() - start < EMPTY_US)
        nanosleep(&nap, NULL);
}

/* ---- one ---- */

/* A folder of that name, empty of processes. */
static char *
make_folder(const char *base, const char *name, struct sl_err *err)
{
    char *dir = sl_path_join(base, name);

    if (mkdir(dir, 0755) == 0)
        return dir;
    if (errno == EEXIST) {
        kill_all_in(dir);
        if (rmdir(dir) != 0 || mkdir(dir, 0755) == 0)
            return dir;
    }
    (void)sl_fail_errno(err, "cannot make the cgroup %s", dir);
    free(dir);
    return NULL;
}

static int
limit_memory(const struct sl_cgroup *cg, uint64_t memory)
{
    const char *dir = cg->dirs[0];
    int e;

    if (cg->version == 2) {
        e = put_number(dir, "memory.max", memory);
        /* Swapping would only delay the end. Absent where there is no swap. */
        put(dir, "memory.swap.max", "0");
        /* A connector that lost one of its processes is of no use. */
        put(dir, "memory.oom.group", "1");
        return e;
    }
    e = put_number(dir, "memory.limit_in_bytes", memory);
    put_number(dir, "memory.memsw.limit_in_bytes", memory);
    return e;
}

/* Adds the hierarchy's folder and its limit. */
static sl_rc
add_folder(struct sl_cgroup *cg, int i, const char *base, const char *name, struct sl_err *err)
{
    cg->dirs[i] = make_folder(base, name, err);
    if (cg->dirs[i] == NULL)
        return SL_E_ENV;
    cg->procs[i] = sl_path_join(cg->dirs[i], "cgroup.procs");
    return SL_OK;
}

sl_rc
sl_cgroup_new(struct sl_cgroup **out, const struct sl_cgroup_base *base, const char *name,
              uint64_t memory, int processes, struct sl_err *err)
{
    struct sl_cgroup *cg = sl_zalloc(1, sizeof *cg);
    const char *pids;
    sl_rc rc = SL_OK;
    int e = 0;

    cg->version = base->version;
    if (base->memory != NULL)
        rc = add_folder(cg, 0, base->memory, name, err);
    if (rc == SL_OK && base->pids != NULL && base->version == 1)
        rc = add_folder(cg, 1, base->pids, name, err);
    if (rc)
        goto out;
    pids = base->version == 1 ? cg->dirs[1] : cg->dirs[0];
    if (memory > 0 && cg->dirs[0] != NULL) {
        e = limit_memory(cg, memory);
        cg->memory = e == 0;
    }
    if (e == 0 && pids != NULL) {
        e = put_number(pids, "pids.max", (uint64_t)processes);
        cg->processes = e == 0;
    }
    if (e != 0) {
        errno = e;
        rc = sl_fail_errno(err, "cannot set the limits of the cgroup %s", name);
    }
out:
    if (rc) {
        sl_cgroup_free(cg);
        return rc;
    }
    *out = cg;
    return SL_OK;
}

bool
sl_cgroup_limits_memory(const struct sl_cgroup *cg)
{
    return cg->memory;
}

bool
sl_cgroup_limits_processes(const struct sl_cgroup *cg)
{
    return cg->processes;
}

int
sl_cgroup_enter(const struct sl_cgroup *cg)
{
    for (int i = 0; i < 2; i++) {
        int fd, e = 0;

        if (cg->procs[i] == NULL)
            continue;
        fd = open(cg->procs[i], O_WRONLY | O_CLOEXEC);
        if (fd < 0)
            return errno;
        if (write(fd, "0", 1) != 1)
            e = errno;
        close(fd);
        if (e != 0)
            return e;
    }
    return 0;
}

bool
sl_cgroup_oom_killed(const struct sl_cgroup *cg)
{
    if (cg->dirs[0] == NULL)
        return false;
    return number_of(cg->dirs[0], cg->version == 2 ? "memory.events" : "memory.oom_control",
                     "oom_kill") > 0;
}

uint64_t
sl_cgroup_peak(const struct sl_cgroup *cg)
{
    int64_t peak = -1;

    if (cg->dirs[0] != NULL) /* v2: since Linux 5.19 */
        peak = number_of(cg->dirs[0],
                         cg->version == 2 ? "memory.peak" : "memory.max_usage_in_bytes", NULL);
    return peak > 0 ? (uint64_t)peak : 0;
}

void
sl_cgroup_kill(struct sl_cgroup *cg)
{
    /* The pids hierarchy first: it stops the forking. */
    for (int i = 1; i >= 0; i--)
        if (cg->dirs[i] != NULL)
            kill_all_in(cg->dirs[i]);
}

void
sl_cgroup_free(struct sl_cgroup *cg)
{
    if (cg == NULL)
        return;
    sl_cgroup_kill(cg);
    for (int i = 0; i < 2; i++) {
        if (cg->dirs[i] != NULL)
            remove_folder(cg->dirs[i]);
        free(cg->dirs[i]);
        free(cg->procs[i]);
    }
    free(cg);
}

/* ---- those of a server that was killed ---- */

static void
sweep_folder(const char *dir, const char *prefix, int depth)
{
    char **names = NULL;

    if (depth == 0 || sl_dir_names(dir, &names, NULL) != SL_OK)
        return;
    for (size_t i = 0; names[i] != NULL; i++) {
        char *path = sl_path_join(dir, names[i]);
        struct stat st;

        if (lstat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
            /* one of its files */
        } else if (strncmp(names[i], prefix, strlen(prefix)) == 0) {
            kill_all_in(path);
            remove_folder(path);
        } else {
            sweep_folder(path, prefix, depth - 1);
        }
        free(path);
    }
    sl_names_free(names);
}

void
sl_cgroup_sweep(const struct sl_cgroup_base *base, const char *prefix)
{
    static const char *const hierarchies[] = { "pids", "memory" };

    if (base->version == 2)
        sweep_folder(base->tree, prefix, SWEEP_DEPTH);
    for (size_t i = 0; base->version == 1 && i < 2; i++) {
        char *dir = sl_path_join(base->tree, hierarchies[i]);

        sweep_folder(dir, prefix, SWEEP_DEPTH);
        free(dir);
    }
}
