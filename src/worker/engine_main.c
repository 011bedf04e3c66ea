/* The engine process: a main thread that listens, and a thread per session. */
#include "worker/engine_main.h"

#include "base/time.h"
#include "worker/answer.h"
#include "worker/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#define REQUEST_US ((int64_t)60 * 1000000) /* the server sends its request at once */
/* The server's thread writes log lines into its own store; one that takes longer than this is lost. */
#define EVENT_US ((int64_t)120 * 1000000)
#define CHECKPOINT_EVERY_US 100000
#define PROGRESS_EVERY_US 500000
#define STATE_SHOWN 1000
/* After the control socket closed: sessions stopped at once take about as long as one statement of the destination. */
#define LAST_US ((int64_t)8 * 1000000)

struct session {
    struct session *next;
    pthread_t thread;
    int fd;   /* the session's socket */
    int wake; /* written when `listening` or `ended` changed */
    struct sl_inbox in;
    atomic_bool
        listening; /* the request was read: what comes now are stop bytes, for the main thread */
    atomic_bool ended;
    atomic_int stop;
    bool broken; /* the server does not take events any more */
    int64_t checkpoint_us, progress_us;
};

struct process {
    int control;
    int wake[2];
    struct session *sessions;
    int64_t idle_us;
    int64_t idle_since_us; /* 0: something runs */
};

/* ---- events ---- */

static void
tell(struct session *s, const char *event, json_t *head, const struct sl_bytes *tail)
{
    if (s->broken) {
        json_decref(head);
        return;
    }
    json_object_set_new(head, "event", json_string(event));
    if (sl_message_send(s->fd, head, tail, tail != NULL, -1, EVENT_US, NULL)) {
        s->broken = true;
        atomic_store(&s->stop, 2);
    }
}

static void
on_log(void *ctx, enum sl_level level, enum sl_origin from, const char *text, size_t len)
{
    tell(ctx, "log", json_pack("{s:i, s:i}", "level", (int)level, "from", (int)from),
         &(struct sl_bytes){ text, len });
}

static void
on_started(void *ctx)
{
    tell(ctx, "started", json_object(), NULL);
}

static void
on_schema_done(void *ctx)
{
    tell(ctx, "schema_done", json_object(), NULL);
}

static void
on_table_created(void *ctx, const char *name)
{
    tell(ctx, "table_created", json_pack("{s:o}", "name", sl_json_text(name)), NULL);
}

static void
on_checkpoint(void *ctx, uint64_t number, const char *state, size_t len)
{
    struct session *s = ctx;
    int64_t now = sl_mono_us();

    if (now - s->checkpoint_us < CHECKPOINT_EVERY_US)
        return;
    s->checkpoint_us = now;
    tell(s, "checkpoint", json_pack("{s:I}", "number", (json_int_t)number),
         &(struct sl_bytes){ state, len > STATE_SHOWN ? STATE_SHOWN : len });
}

static sl_rc
on_committed(void *ctx, uint64_t number, const char *state, size_t len, struct sl_err *err)
{
    (void)err;
    tell(ctx, "committed", json_pack("{s:I}", "number", (json_int_t)number),
         &(struct sl_bytes){ state, len });
    return 0;
}

static void
on_progress(void *ctx, const struct sl_counts *now)
{
    struct session *s = ctx;
    int64_t us = sl_mono_us();

    if (us - s->progress_us < PROGRESS_EVERY_US)
        return;
    s->progress_us = us;
    tell(s, "progress", sl_fields_pack(sl_fields_counts, now), NULL);
}

static void
on_table(void *ctx, const struct sl_table_report *report)
{
    tell(ctx, "table", sl_fields_pack(sl_fields_report, report), NULL);
}

static void
on_catalog(void *ctx, const struct sl_catalog *cat)
{
    tell(ctx, "catalog", sl_catalog_pack(cat), NULL);
}

/* ---- one session ---- */

/* The conf's texts lie in the inbox's buffer, one after the other; length -1: not given. */
static sl_rc
read_conf(struct session *s, struct sl_session_conf *conf, struct sl_err *err)
{
    struct sl_bytes rest = s->in.tail;
    const json_t *lens = json_object_get(s->in.head, "texts");

    sl_fields_unpack(sl_fields_conf, s->in.head, conf);
    for (int i = 0; i < SL_CONF_TEXTS; i++) {
        struct sl_bytes *text = (struct sl_bytes *)sl_conf_text(conf, i);
        json_int_t n = json_integer_value(json_array_get(lens, (size_t)i));

        if (n < 0)
            continue;
        if ((uint64_t)n > rest.len)
            return sl_fail(err, SL_E_INTERNAL, "the request of a session is cut short");
        *text = (struct sl_bytes){ rest.ptr, (size_t)n };
        rest.ptr += n;
        rest.len -= (size_t)n;
    }
    if (s->in.passed < 0)
        return sl_fail(err, SL_E_INTERNAL, "the request of a session brings no socket");
    return 0;
}

static void
run_session(struct session *s)
{
    const struct sl_sink sink = {
        .ctx = s,
        .log = on_log,
        .started = on_started,
        .schema_done = on_schema_done,
        .table_created = on_table_created,
        .checkpoint = on_checkpoint,
        .committed = on_committed,
        .progress = on_progress,
        .table = on_table,
        .catalog = on_catalog,
    };
    struct sl_session_conf conf = { 0 };
    struct sl_session_result res = { 0 };
    struct sl_err err = { 0 };
    struct sl_bytes state;
    json_t *head;
    sl_rc rc = read_conf(s, &conf, &err);

    if (rc == 0) {
        conf.fd = s->in.passed;
        s->in.passed = -1;
        conf.stop = &s->stop;
        conf.sink = &sink;
        rc = sl_session_run(&conf, &res, &err);
    }
    head = sl_fields_pack(sl_fields_result, &res);
    json_object_set_new(head, "rc", json_integer(rc));
    json_object_set_new(head, "err", sl_fields_pack(sl_fields_err, &err));
    json_object_set_new(head, "counts", sl_fields_pack(sl_fields_counts, &res.counts));
    json_object_set_new(head, "state", json_boolean(res.state != NULL));
    state = sl_bytes_of(res.state ? res.state : "");
    tell(s, "result", head, &state);
    sl_session_result_free(&res);
}

static void
run_ask(struct session *s)
{
    struct sl_bytes options = s->in.tail.len ? s->in.tail : (struct sl_bytes){ 0 };
    struct sl_err err = { 0 };
    json_t *answer = NULL, *head = json_object();
    sl_rc rc = sl_answer(s->in.head, options, &s->stop, &answer, &err);

    json_object_set_new(head, "rc", json_integer(rc));
    json_object_set_new(head, "err", sl_fields_pack(sl_fields_err, &err));
    json_object_set_new(head, "answer", answer ? answer : json_null());
    tell(s, "result", head, NULL);
}

static void
wake(struct session *s)
{
    /* A full pipe wakes as well. */
    if (write(s->wake, "", 1) < 0)
        return;
}

static void *
session_main(void *arg)
{
    struct session *s = arg;
    struct sl_err err = { 0 };
    const char *what;

    if (sl_inbox_next(&s->in, REQUEST_US, &err) == 1) {
        what = json_string_value(json_object_get(s->in.head, "do"));
        tell(s, "accepted", json_object(), NULL);
        atomic_store(&s->listening, true);
        wake(s);
        if (what != NULL && strcmp(what, "session") == 0)
            run_session(s);
        else
            run_ask(s);
    }
    atomic_store(&s->ended, true);
    wake(s);
    return NULL;
}

static void
session_free(struct session *s)
{
    if (s->in.passed >= 0)
        close(s->in.passed);
    sl_inbox_free(&s->in);
    close(s->fd);
    free(s);
}

/* ---- the main thread ---- */

static void
start_session(struct process *p, int fd)
{
    struct session *s = sl_zalloc(1, sizeof *s);

    s->fd = fd;
    s->wake = p->wake[1];
    sl_inbox_init(&s->in, fd);
    if (pthread_create(&s->thread, NULL, session_main, s) != 0) {
        session_free(s); /* the server sees its socket close before it was accepted */
        return;
    }
    s->next = p->sessions;
    p->sessions = s;
    p->idle_since_us = 0;
}

static void
reap(struct process *p)
{
    struct session **at = &p->sessions, *s;

    while (*at != NULL) {
        s = *at;
        if (!atomic_load(&s->ended)) {
            at = &s->next;
            continue;
        }
        pthread_join(s->thread, NULL);
        *at = s->next;
        session_free(s);
    }
    if (p->sessions == NULL && p->idle_since_us == 0)
        p->idle_since_us = sl_mono_us();
}

/* The next session's socket; -1: none waits; -2: the server is gone. */
static int
next_control(struct process *p)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } space;
    struct sl_control c;
    struct iovec iov = { &c, sizeof c };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = space.space,
                          .msg_controllen = sizeof space.space };
    ssize_t n = recvmsg(p->control, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *h = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;
    int fd = -1;

    if (n < 0)
        return errno == EAGAIN || errno == EINTR ? -1 : -2;
    if (n != sizeof c || h == NULL || h->cmsg_type != SCM_RIGHTS)
        return -2;
    memcpy(&fd, CMSG_DATA(h), sizeof fd);
    p->idle_us = (int64_t)c.idle_seconds * 1000000;
    return fd;
}

/* Stop bytes; a socket that closed is a server thread that lost interest. */
static void
listen_to(struct session *s)
{
    char bytes[16];
    ssize_t n = recv(s->fd, bytes, sizeof bytes, MSG_DONTWAIT);

    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0) {
        atomic_store(&s->stop, 2);
        atomic_store(&s->listening, false);
        return;
    }
    for (ssize_t i = 0; i < n; i++)
        if (bytes[i] > atomic_load(&s->stop) && bytes[i] <= 2)
            atomic_store(&s->stop, bytes[i]);
}

static int
wait_ms(const struct process *p, int64_t until)
{
    int64_t left = -1;

    if (until)
        left = until - sl_mono_us();
    else if (p->idle_since_us)
        left = p->idle_since_us + p->idle_us - sl_mono_us();
    else
        return -1;
    return left <= 0 ? 0 : (int)((left + 999) / 1000);
}

/* Waits for something to happen and does it. `until` 0: no deadline but the idle time's. Returns false once the server is gone. */
static bool
turn(struct process *p, int64_t until)
{
    struct pollfd *fds;
    struct session *s;
    nfds_t n = 2;
    char bytes[64];
    bool alive = true;
    int fd;

    for (s = p->sessions; s != NULL; s = s->next)
        n++;
    fds = sl_zalloc(n, sizeof *fds);
    fds[0] = (struct pollfd){ .fd = p->wake[0], .events = POLLIN };
    fds[1] = (struct pollfd){ .fd = until ? -1 : p->control, .events = POLLIN };
    n = 2;
    for (s = p->sessions; s != NULL; s = s->next)
        fds[n++] = (struct pollfd){ .fd = atomic_load(&s->listening) ? s->fd : -1,
                                    .events = POLLIN };
    (void)poll(fds, n, wait_ms(p, until));
    n = 2;
    for (s = p->sessions; s != NULL; s = s->next, n++)
        if (fds[n].fd >= 0 && fds[n].revents)
            listen_to(s);
    while (read(p->wake[0], bytes, sizeof bytes) == sizeof bytes)
        ;
    if (!until && fds[1].revents) {
        while ((fd = next_control(p)) >= 0)
            start_session(p, fd);
        alive = fd != -2;
    }
    reap(p);
    free(fds);
    return alive;
}

static void
serve(struct process *p)
{
    int64_t until;
    int fd;

    while (turn(p, 0)) {
        if (p->idle_since_us == 0 || sl_mono_us() < p->idle_since_us + p->idle_us)
            continue;
        /* A session that is on its way is refused with the socket: the server starts another engine for it. */
        if ((fd = next_control(p)) < 0)
            return;
        start_session(p, fd);
    }
    for (struct session *s = p->sessions; s != NULL; s = s->next)
        atomic_store(&s->stop, 2);
    until = sl_mono_us() + LAST_US;
    while (p->sessions != NULL && sl_mono_us() < until)
        turn(p, until);
}

static void
settle_process(int fd)
{
    const struct rlimit none = { 0, 0 };

    setrlimit(RLIMIT_CORE, &none);
#ifndef __SANITIZE_ADDRESS__ /* its leak checker attaches to the process */
    prctl(PR_SET_DUMPABLE, 0);
#endif
    prctl(PR_SET_NAME, "sluice-engine");
    signal(SIGINT, SIG_IGN);
    signal(SIGTERM, SIG_IGN);
    signal(SIGHUP, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    fcntl(fd, F_SETFD, FD_CLOEXEC);
#ifdef SYS_close_range
    if (fd == 3)
        (void)syscall(SYS_close_range, 4u, ~0u, 0u);
#endif
}

int
sl_engine_main(int fd)
{
    struct process p = { .control = fd, .idle_us = REQUEST_US, .idle_since_us = sl_mono_us() };

    settle_process(fd);
    if (pipe2(p.wake, O_CLOEXEC | O_NONBLOCK) != 0) {
        perror("engine: pipe");
        return 1;
    }
    serve(&p);
    close(fd);
    /* Sessions that did not end in time hold locks of the library: exit handlers would wait for them. */
    if (p.sessions != NULL)
        _exit(1);
    close(p.wake[0]);
    close(p.wake[1]);
    return 0;
}
