#include "runtime/proc.h"

#include "base/time.h"
#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/prctl.h>
#include <sys/syscall.h>
#endif

extern char **environ;

/* ---- environment ---- */

static bool
names_variable(const char *entry, const char *name)
{
    size_t n = strlen(name);

    return strncmp(entry, name, n) == 0 && entry[n] == '=';
}

static void
copy_list(struct sl_vars *vars, char *const *list)
{
    *vars = (struct sl_vars){ 0 };
    while (list[vars->count] != NULL)
        vars->count++;
    vars->list = sl_zalloc(vars->count + 1, sizeof *vars->list);
    for (size_t i = 0; i < vars->count; i++)
        vars->list[i] = sl_strdup(list[i]);
}

void
sl_vars_copy(struct sl_vars *vars)
{
    copy_list(vars, environ);
}

void
sl_vars_dup(struct sl_vars *vars, const struct sl_vars *from)
{
    copy_list(vars, from->list);
}

void
sl_vars_empty(struct sl_vars *vars)
{
    *vars = (struct sl_vars){ .list = sl_zalloc(1, sizeof *vars->list) };
}

void
sl_vars_set(struct sl_vars *vars, const char *name, const char *value)
{
    size_t keep = 0;

    for (size_t i = 0; i < vars->count; i++) {
        if (names_variable(vars->list[i], name))
            free(vars->list[i]);
        else
            vars->list[keep++] = vars->list[i];
    }
    vars->list = sl_realloc(vars->list, keep + 2, sizeof *vars->list);
    if (value != NULL)
        vars->list[keep++] = sl_sprintf("%s=%s", name, value);
    vars->list[keep] = NULL;
    vars->count = keep;
}

void
sl_vars_free(struct sl_vars *vars)
{
    for (size_t i = 0; i < vars->count; i++)
        free(vars->list[i]);
    free(vars->list);
    *vars = (struct sl_vars){ 0 };
}

/* ---- starting ---- */

/* The one place that knows how a system ends children with their parent. */
static void
end_with_parent(pid_t parent)
{
#ifdef __linux__
    prctl(PR_SET_PDEATHSIG, SIGKILL);
#endif
    if (getppid() != parent)
        _exit(127);
}

static void
close_from(int first)
{
#if defined(__linux__) && defined(SYS_close_range)
    if (syscall(SYS_close_range, (unsigned)first, ~0u, 0u) == 0)
        return;
#endif
    for (int fd = first, end = (int)sysconf(_SC_OPEN_MAX); fd < end && fd < 65536; fd++)
        close(fd);
}

/* What the child says when it could not become the program. */
struct report {
    int error;
    char step[124]; /* of the jail; "" */
};

static void
fill_report(struct report *r, int error, const char *step)
{
    *r = (struct report){ .error = error };
    for (size_t i = 0; step[i] != '\0' && i < sizeof r->step - 1; i++)
        r->step[i] = step[i];
}

/* Runs in the child between fork and exec: only async-signal-safe calls. */
static void __attribute__((noreturn))
become(const struct sl_start *start, const char *file, int report, pid_t parent)
{
    static const int reset[] = { SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGQUIT, SIGCHLD };
    struct report told;
    int null, e;
    sigset_t none;

    if (start->jail == NULL)
        setpgid(0, 0);
    end_with_parent(parent);
    for (size_t i = 0; i < sizeof reset / sizeof reset[0]; i++)
        signal(reset[i], SIG_DFL);
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    null = open("/dev/null", O_RDONLY);
    /* Our descriptors are all above 4 (sl_start), so that none of these overwrites one still needed. */
    if (null < 0 || dup2(null, 0) < 0 || dup2(start->out, 1) < 0 || dup2(start->err, 2) < 0)
        goto failed;
    if (start->pass >= 0 && dup2(start->pass, SL_PASS_FD) < 0)
        goto failed;
    if (dup2(report, SL_PASS_FD + 1) < 0 || fcntl(SL_PASS_FD + 1, F_SETFD, FD_CLOEXEC) != 0)
        goto failed;
    report = SL_PASS_FD + 1;
    if (start->pass < 0)
        close(SL_PASS_FD);
    close_from(SL_PASS_FD + 2);
    if (start->jail != NULL) {
        e = sl_jail_enter(start->jail);
        if (getppid() != parent)
            _exit(127);
        fill_report(&told, e, sl_jail_failed_at());
        if (e != 0)
            goto report;
    }
    if (start->cwd != NULL && chdir(start->cwd) != 0)
        goto failed;
    execve(file, (char *const *)start->argv, start->env != NULL ? start->env : environ);
failed:
    fill_report(&told, errno, "");
report:
    if (write(report, &told, sizeof told) < 0)
        _exit(126);
    _exit(127);
}

sl_rc
sl_pipe(int fds[2], struct sl_err *err)
{
    if (pipe(fds) != 0)
        return sl_fail_errno(err, "cannot make a pipe");
    for (int i = 0; i < 2; i++)
        fcntl(fds[i], F_SETFD, FD_CLOEXEC);
    return SL_OK;
}

/* A copy of fd above the numbers the child uses for itself. */
static int
lifted(int fd)
{
    return fcntl(fd, F_DUPFD_CLOEXEC, SL_PASS_FD + 2);
}

static sl_rc
fork_and_exec(const struct sl_start *start, const char *file, int report[2], pid_t *pid,
              struct sl_err *err)
{
    struct sl_start high = *start;
    struct report told = { 0 };
    pid_t parent = getpid();
    int report_fd;
    ssize_t n;

    high.out = lifted(start->out);
    high.err = lifted(start->err);
    high.pass = start->pass >= 0 ? lifted(start->pass) : -1;
    report_fd = lifted(report[1]);
    fflush(NULL);
    *pid = fork();
    if (*pid == 0)
        become(&high, file, report_fd, parent);
    if (*pid < 0)
        told.error = errno;
    close(report[1]);
    report[1] = -1;
    close(report_fd);
    close(high.out);
    close(high.err);
    if (high.pass >= 0)
        close(high.pass);
    if (*pid > 0) {
        if (start->jail == NULL)
            setpgid(
                *pid,
                *pid); /* in a jail it becomes the leader of a session, which a group's leader cannot */
        do
            n = read(report[0], &told, sizeof told);
        while (n < 0 && errno == EINTR);
        if (n != sizeof told) {
            if (start->jail != NULL)
                sl_jail_note(start->jail, *pid);
            return SL_OK;
        }
        waitpid(*pid, NULL, 0);
    }
    errno = told.error;
    if (told.step[0] == '\0')
        return sl_fail_errno(err, "cannot start %s", start->argv[0]);
    return sl_fail_errno(err, "cannot put up the walls around %s: %.*s", start->argv[0],
                         (int)sizeof told.step, told.step);
}

sl_rc
sl_start(const struct sl_start *start, pid_t *pid, struct sl_err *err)
{
    int report[2] = { -1, -1 };
    char *file = NULL;
    sl_rc rc;

    file = strchr(start->argv[0], '/') ? sl_strdup(start->argv[0])
                                       : sl_find_program(start->argv[0], 0);
    if (file == NULL)
        return sl_fail(err, SL_E_NOT_FOUND, "the program %s is not on PATH", start->argv[0]);
    rc = sl_pipe(report, err);
    if (rc)
        goto out;
    rc = fork_and_exec(start, file, report, pid, err);
out:
    for (int i = 0; i < 2; i++)
        if (report[i] >= 0)
            close(report[i]);
    free(file);
    return rc;
}

/* ---- running to the end ---- */

/* One read with what the redactor held back: hidden values are shorter. */
#define SHOWN_MAX (16u << 20)

/* Output that is cut into lines as it comes. A longer line than this is passed on in pieces. */
struct lines {
    char text[4096];
    size_t len;
};

static void
feed_lines(const struct sl_run *run, struct lines *lines, const char *ptr, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        bool end = ptr[i] == '\n' || ptr[i] == '\r';

        if (!end)
            lines->text[lines->len++] = ptr[i];
        if ((end && lines->len > 0) || lines->len == sizeof lines->text - 1) {
            lines->text[lines->len] = '\0';
            run->line(run->ctx, lines->text);
            lines->len = 0;
        }
    }
}

static void
take_output(const struct sl_run *run, struct lines *lines, struct sl_buf *out, const char *ptr,
            size_t len)
{
    if (out != NULL && out->len + len <= out->max)
        sl_buf_addn(out, ptr, len);
    if (run->log_fd >= 0 && write(run->log_fd, ptr, len) < 0) {
        /* A log that cannot be written costs the log only. */
    }
    if (run->line != NULL)
        feed_lines(run, lines, ptr, len);
}

/* Where its output goes, and what is on the way. */
struct sink {
    const struct sl_run *run;
    struct sl_buf *out;
    struct lines lines;
    struct sl_redact_stream hidden;
    struct sl_buf shown;
};

static void
take_piece(struct sink *to, const char *ptr, size_t len, bool end)
{
    if (to->run->redact == NULL) {
        take_output(to->run, &to->lines, to->out, ptr, len);
        return;
    }
    to->shown.len = 0;
    sl_redact_stream_put(&to->hidden, ptr, len, end, &to->shown);
    take_output(to->run, &to->lines, to->out, to->shown.ptr, to->shown.len);
}

/* Reads until the program closed its output, is stopped or out of time. */
static sl_rc
follow(const struct sl_run *run, int fd, int64_t start, struct sink *to, struct sl_err *err)
{
    char chunk[8192];

    for (;;) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t n;

        if (run->stop != NULL && atomic_load(run->stop) != 0)
            return sl_fail(err, SL_E_CANCELLED, "interrupted");
        if (run->timeout_us > 0 && sl_mono_us() - start > run->timeout_us)
            return sl_fail(err, SL_E_TIMEOUT, "%s did not end in time", run->argv[0]);
        if (poll(&p, 1, 100) <= 0) {
            if (run->line != NULL)
                run->line(run->ctx, NULL); /* a tick: nothing new */
            continue;
        }
        n = read(fd, chunk, sizeof chunk);
        if (n == 0)
            return SL_OK;
        if (n > 0)
            take_piece(to, chunk, (size_t)n, false);
        else if (errno != EINTR)
            return sl_fail_errno(err, "reading the output of %s", run->argv[0]);
    }
}

static sl_rc
take_all(const struct sl_run *run, int fd, int64_t start, struct sl_buf *out, struct sl_err *err)
{
    struct sink to = { .run = run, .out = out };
    sl_rc rc;

    sl_buf_init(&to.shown, SHOWN_MAX);
    if (run->redact != NULL)
        sl_redact_stream_init(&to.hidden, run->redact);
    rc = follow(run, fd, start, &to, err);
    if (run->redact != NULL) {
        take_piece(&to, "", 0, true);
        sl_redact_stream_free(&to.hidden);
    }
    sl_buf_free(&to.shown);
    return rc;
}

/* It closed its output: usually the end. A program that lives on without is given the rest of its time. */
static sl_rc
await_exit(const struct sl_run *run, pid_t pid, int64_t start, struct sl_err *err)
{
    struct timespec nap = { .tv_nsec = 1000 * 1000 };

    for (;;) {
        siginfo_t info = { 0 };

        if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT | WNOHANG) == 0 && info.si_pid == pid)
            return SL_OK;
        if (run->stop != NULL && atomic_load(run->stop) != 0)
            return sl_fail(err, SL_E_CANCELLED, "interrupted");
        if (run->timeout_us > 0 && sl_mono_us() - start > run->timeout_us)
            return sl_fail(err, SL_E_TIMEOUT, "%s did not end in time", run->argv[0]);
        nanosleep(&nap, NULL);
        if (nap.tv_nsec < 50 * 1000 * 1000)
            nap.tv_nsec *= 2;
    }
}

sl_rc
sl_run(const struct sl_run *run, struct sl_buf *out, int *status, struct sl_err *err)
{
    int fds[2] = { -1, -1 }, st = 0;
    int64_t start = sl_mono_us();
    pid_t pid;
    sl_rc rc = sl_pipe(fds, err);

    if (rc)
        return rc;
    rc = sl_start(&(struct sl_start){ .argv = run->argv,
                                      .env = run->env,
                                      .cwd = run->cwd,
                                      .pass = -1,
                                      .out = fds[1],
                                      .err = fds[1],
                                      .jail = run->jail },
                  &pid, err);
    close(fds[1]);
    if (rc)
        goto out;
    rc = take_all(run, fds[0], start, out, err);
    if (rc == SL_OK)
        rc = await_exit(run, pid, start, err);
    if (rc)
        kill(-pid, SIGKILL);
    /* While its id is still taken. */
    if (run->jail != NULL) {
        sl_jail_kill(run->jail);
        sl_jail_note(run->jail, 0);
    }
    while (waitpid(pid, &st, 0) < 0 && errno == EINTR)
        ;
    *status = WIFSIGNALED(st) ? 128 + WTERMSIG(st) : WEXITSTATUS(st);
out:
    close(fds[0]);
    return rc;
}
