#include "runtime/child.h"

#include "base/time.h"
#include "runtime/file.h"
#include "runtime/proc.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define WAIT_FOR_EXIT_US (2 * 1000000)
#define WAIT_AFTER_TERM_US (10 * 1000000)

struct sl_child {
    struct sl_child_conf conf;
    pid_t pid;
    pthread_t reader, waiter;
    bool have_reader, have_waiter, ended;
    int out, err; /* our ends of its stdout and stderr */
    int wake[2];  /* closing wake[1] tells the reader to take what is there and end */
    pthread_mutex_t lock;
    pthread_cond_t exited_cond;
    bool exited;
    siginfo_t info;
    char fate[128];
};

/* ---- its output ---- */

/* One read. False when the stream has ended or, while draining, has nothing more. */
static bool
read_some(struct sl_child *child, int fd, bool is_stderr)
{
    char chunk[16384];
    ssize_t n = read(fd, chunk, sizeof chunk);

    if (n > 0)
        child->conf.output(child->conf.ctx, is_stderr, chunk, (size_t)n);
    return n > 0 || (n < 0 && errno == EINTR);
}

static void *
read_output(void *arg)
{
    struct sl_child *child = arg;
    struct pollfd p[3] = { { child->out, POLLIN, 0 },
                           { child->err, POLLIN, 0 },
                           { child->wake[0], POLLIN, 0 } };

    while (p[0].fd >= 0 || p[1].fd >= 0) {
        int n = poll(p, 3, -1);

        if (n < 0)
            continue;
        for (int i = 0; i < 2; i++)
            if (p[i].fd >= 0 && p[i].revents != 0 && !read_some(child, p[i].fd, i == 1))
                p[i].fd = -1;
        /* The process is gone. A descendant that left the group may keep a pipe open: do not wait for it. */
        if (p[2].revents != 0 && p[0].revents == 0 && p[1].revents == 0)
            break;
    }
    child->conf.output(child->conf.ctx, false, NULL, 0);
    child->conf.output(child->conf.ctx, true, NULL, 0);
    return NULL;
}

/* ---- its end ---- */

static void *
wait_for_exit(void *arg)
{
    struct sl_child *child = arg;
    siginfo_t info = { 0 };

    /* WNOWAIT leaves a zombie: the process id cannot be given to another while we may still signal it. */
    while (waitid(P_PID, (id_t)child->pid, &info, WEXITED | WNOWAIT) != 0 && errno == EINTR)
        ;
    pthread_mutex_lock(&child->lock);
    child->info = info;
    child->exited = true;
    pthread_cond_broadcast(&child->exited_cond);
    pthread_mutex_unlock(&child->lock);
    return NULL;
}

static bool
exits_within(struct sl_child *child, int64_t us)
{
    struct timespec at;
    bool exited;
    int r = 0;

    clock_gettime(CLOCK_REALTIME, &at);
    at.tv_sec += us / 1000000;
    pthread_mutex_lock(&child->lock);
    while (!child->exited && r == 0)
        r = pthread_cond_timedwait(&child->exited_cond, &child->lock, &at);
    exited = child->exited;
    pthread_mutex_unlock(&child->lock);
    return exited;
}

static void
describe(struct sl_child *child)
{
    int n = child->info.si_status;

    if (child->info.si_code == CLD_EXITED && n == 0)
        snprintf(child->fate, sizeof child->fate,
                 "exited with status 0 before update() had ended (os._exit?)");
    else if (child->info.si_code == CLD_EXITED)
        snprintf(child->fate, sizeof child->fate, "exited with status %d%s", n,
                 n == 1 ? "" : " (os._exit?)");
    else if (n == SIGKILL)
        snprintf(child->fate, sizeof child->fate, "was killed by signal 9 (out of memory?)");
    else
        snprintf(child->fate, sizeof child->fate, "was killed by signal %d (%s)", n, strsignal(n));
}

void
sl_child_end(struct sl_child *child, enum sl_child_patience patience)
{
    if (child->ended)
        return;
    child->ended = true;
    if (patience == SL_CHILD_KILL ||
        (patience == SL_CHILD_WAIT && exits_within(child, WAIT_FOR_EXIT_US)))
        goto gone;
    kill(-child->pid, SIGTERM);
    (void)exits_within(child, WAIT_AFTER_TERM_US);
gone:
    kill(-child->pid, SIGKILL);
    if (child->conf.jail != NULL) {
        sl_jail_kill(child->conf.jail);
        sl_jail_note(child->conf.jail, 0); /* its id is about to be free */
    }
    pthread_join(child->waiter, NULL);
    close(child->wake[1]);
    child->wake[1] = -1;
    if (child->have_reader)
        pthread_join(child->reader, NULL);
    waitpid(child->pid, NULL, 0);
    describe(child);
}

const char *
sl_child_fate(const struct sl_child *child)
{
    return child->fate;
}

int
sl_child_pid(const struct sl_child *child)
{
    return (int)child->pid;
}

void
sl_child_free(struct sl_child *child)
{
    int fds[4];

    if (child == NULL)
        return;
    if (child->have_waiter) {
        sl_child_end(child, SL_CHILD_KILL);
    } else if (child->pid > 0) {
        kill(-child->pid, SIGKILL);
        if (child->conf.jail != NULL)
            sl_jail_note(child->conf.jail, 0);
        waitpid(child->pid, NULL, 0);
    }
    fds[0] = child->out, fds[1] = child->err, fds[2] = child->wake[0], fds[3] = child->wake[1];
    for (int i = 0; i < 4; i++)
        if (fds[i] >= 0)
            close(fds[i]);
    pthread_cond_destroy(&child->exited_cond);
    pthread_mutex_destroy(&child->lock);
    free(child);
}

/* ---- its start ---- */

void
sl_child_server_vars(struct sl_vars *vars, const struct sl_child_names *names)
{
    char *tmp = sl_path_join(names->work, "tmp");

    sl_vars_empty(vars);
    sl_vars_set(vars, "PATH", "/usr/local/bin:/usr/bin:/bin");
    sl_vars_set(vars, "HOME", names->work);
    sl_vars_set(vars, "TMPDIR", tmp);
    sl_vars_set(vars, "LANG", "C.UTF-8");
    sl_vars_set(vars, "USER", "connector"); /* getpass.getuser() finds no entry of its number */
    sl_vars_set(vars, "LOGNAME", "connector");
    sl_vars_set(vars, "FIVETRAN_CONNECTION_ID", names->connection_id);
    sl_vars_set(vars, "FIVETRAN_CONNECTION_NAME", names->connection_name);
    sl_vars_set(vars, "FIVETRAN_GROUP_ID", names->group_id);
    sl_vars_set(vars, "FIVETRAN_DEPLOYMENT_MODEL", "self_hosted");
    free(tmp);
}

static void
local_vars(struct sl_vars *vars)
{
    sl_vars_copy(vars);
    sl_vars_set(vars, "FIVETRAN_CONNECTION_ID", "test_connection_id");
    sl_vars_set(vars, "FIVETRAN_CONNECTION_NAME", "test_connection_name");
    sl_vars_set(vars, "FIVETRAN_GROUP_ID", "test_group_id");
    sl_vars_set(vars, "FIVETRAN_DEPLOYMENT_MODEL", "local_debug");
}

static void
child_vars(struct sl_vars *vars, const struct sl_child_conf *conf)
{
    const char *theirs = conf->venv == NULL && conf->vars == NULL ? getenv("PYTHONPATH") : NULL;
    char *path = theirs ? sl_sprintf("%s:%s", conf->sdk_path, theirs) : sl_strdup(conf->sdk_path);

    if (conf->vars != NULL)
        sl_vars_dup(vars, conf->vars);
    else
        local_vars(vars);
    sl_vars_set(vars, "PYTHONPATH", path);
    sl_vars_set(vars, "PYTHONHOME", NULL);
    sl_vars_set(vars, "PYTHONSTARTUP", NULL);
    sl_vars_set(vars, "PYTHONIOENCODING", "utf-8:backslashreplace");
    if (conf->venv != NULL) {
        sl_vars_set(vars, "VIRTUAL_ENV", conf->venv);
        sl_vars_set(vars, "PYTHONNOUSERSITE", "1");
    }
    free(path);
}

static sl_rc
start_threads(struct sl_child *child, struct sl_err *err)
{
    sigset_t all, before;
    int r;

    /* Signals are for the main thread. */
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    r = pthread_create(&child->waiter, NULL, wait_for_exit, child);
    child->have_waiter = r == 0;
    if (r == 0) {
        r = pthread_create(&child->reader, NULL, read_output, child);
        child->have_reader = r == 0;
    }
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (r == 0)
        return SL_OK;
    errno = r;
    return sl_fail_errno(err, "cannot start a thread");
}

static sl_rc
launch(struct sl_child *child, int sock, int out, int err_fd, struct sl_err *err)
{
    const struct sl_child_conf *conf = &child->conf;
    const char *argv[] = { conf->python, conf->safe_path ? "-uP" : "-u",
                           "-m",         "fivetran_connector_sdk._runner",
                           "--fd",       "3",
                           "--project",  conf->project,
                           NULL };
    struct sl_vars vars;
    sl_rc rc;

    child_vars(&vars, conf);
    rc = sl_start(&(struct sl_start){ .argv = argv,
                                      .env = vars.list,
                                      .cwd = conf->project,
                                      .pass = sock,
                                      .out = out,
                                      .err = err_fd,
                                      .jail = conf->jail },
                  &child->pid, err);
    sl_vars_free(&vars);
    if (rc == SL_OK)
        rc = start_threads(child, err);
    return rc;
}

sl_rc
sl_child_start(struct sl_child **out, const struct sl_child_conf *conf, int *fd, struct sl_err *err)
{
    struct sl_child *child = sl_zalloc(1, sizeof *child);
    int sock[2] = { -1, -1 }, o[2] = { -1, -1 }, e[2] = { -1, -1 };
    sl_rc rc;

    *child = (struct sl_child){ .conf = *conf, .out = -1, .err = -1, .wake = { -1, -1 } };
    pthread_mutex_init(&child->lock, NULL);
    pthread_cond_init(&child->exited_cond, NULL);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, sock) != 0) {
        rc = sl_fail_errno(err, "cannot make a socket");
        goto out;
    }
    fcntl(sock[0], F_SETFD, FD_CLOEXEC);
    fcntl(sock[1], F_SETFD, FD_CLOEXEC);
    rc = sl_pipe(o, err);
    if (rc == SL_OK)
        rc = sl_pipe(e, err);
    if (rc == SL_OK)
        rc = sl_pipe(child->wake, err);
    if (rc)
        goto out;
    child->out = o[0];
    child->err = e[0];
    rc = launch(child, sock[1], o[1], e[1], err);
out:
    if (sock[1] >= 0)
        close(sock[1]);
    if (o[1] >= 0)
        close(o[1]);
    if (e[1] >= 0)
        close(e[1]);
    if (rc) {
        if (sock[0] >= 0)
            close(sock[0]);
        sl_child_free(child);
        return rc;
    }
    *fd = sock[0];
    *out = child;
    return SL_OK;
}
