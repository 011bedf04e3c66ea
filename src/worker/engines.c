#include "worker/engines.h"

#include "base/cond.h"
#include "base/time.h"
#include "destinations/destination.h"
#include "runtime/file.h"
#include "runtime/proc.h"
#include "worker/message.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define DEFAULT_IDLE 60
/* A process that is asked to leave, or whose socket closed, gets this long before it is killed. */
#define LEAVE_US ((int64_t)10 * 1000000)
#define REQUEST_US ((int64_t)60 * 1000000)
/* From the request to "accepted": the start of a process on a busy machine. */
#define ACCEPT_US ((int64_t)30 * 1000000)
#define LOOK_US 50000
/* A session that was told to end at once: closing a large file with a checkpoint takes a while. */
#define STOP_US ((int64_t)180 * 1000000)
/* A question to a warehouse that is not ours: its own time-outs may be longer. */
#define ASK_US ((int64_t)120 * 1000000)
/* Engines that leave just when a session comes, or die of their start. */
#define TRIES 4

enum state { STARTING, ALIVE, DEAD };

/* An engine process; in sl_engines.list until it is dead and nobody refers to it. */
struct engine {
    struct engine *next;
    char *key; /* NULL: for one session only */
    enum state state;
    int control; /* our end */
    pid_t pid;
    int status;         /* of waitpid(), once DEAD */
    int64_t kill_at_us; /* its socket closed: killed if it is not gone by then. 0: not yet */
    int refs;
    struct sl_err err; /* why it could not be started */
};

struct sl_engines {
    char *exe, *lib;
    struct sl_control control;
    uint64_t memory_limit;
    pthread_t keeper;
    pthread_mutex_t lock;
    pthread_cond_t change;
    int wake[2]; /* the keeper's */
    struct engine *list;
    bool stopping, stopped;
};

/* ---- the keeper: the one thread that starts engines and sees them end ---- */

static void
wake_keeper(struct sl_engines *en)
{
    /* A full pipe wakes as well. */
    if (write(en->wake[1], "", 1) < 0)
        return;
}

/* What an engine needs of our environment. Others may hold secrets of the operator. */
static bool
passes_on(const char *var)
{
    static const char *const names[] = {
        "PATH=", "HOME=", "LANG=",  "LC_",   "TZ=", "TMPDIR=", "SLUICE_DUCKDB_LIB=",
#ifdef SL_FAULTS
        "SL_",   "ASAN_", "UBSAN_", "TSAN_",
#endif
    };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strncmp(var, names[i], strlen(names[i])) == 0)
            return true;
    return false;
}

static void
make_environment(const struct sl_engines *en, struct sl_vars *vars)
{
    struct sl_vars all;

    sl_vars_copy(&all);
    *vars = (struct sl_vars){ 0 };
    for (size_t i = 0; i < all.count; i++) {
        char *eq = strchr(all.list[i], '=');

        if (eq == NULL || !passes_on(all.list[i]))
            continue;
        *eq = '\0';
        sl_vars_set(vars, all.list[i], eq + 1);
    }
    if (en->lib != NULL)
        sl_vars_set(vars, "SLUICE_DUCKDB_LIB", en->lib);
    sl_vars_free(&all);
}

/* Without the lock: nobody else touches an engine that is STARTING. */
static sl_rc
launch(struct sl_engines *en, struct engine *e)
{
    const char *argv[] = { en->exe, "_engine", NULL };
    struct sl_vars vars;
    int sv[2];
    sl_rc rc;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, sv) != 0)
        return sl_fail_errno(&e->err, "a socket for an engine process");
    make_environment(en, &vars);
    rc = sl_start(&(struct sl_start){ .argv = argv,
                                      .env = vars.list,
                                      .pass = sv[1],
                                      .out = STDERR_FILENO,
                                      .err = STDERR_FILENO },
                  &e->pid, &e->err);
    sl_vars_free(&vars);
    close(sv[1]);
    if (rc)
        close(sv[0]);
    else
        e->control = sv[0];
    return rc;
}

static void
launch_all(struct sl_engines *en)
{
    for (struct engine *e = en->list; e != NULL;) {
        sl_rc rc;

        if (e->state != STARTING) {
            e = e->next;
            continue;
        }
        pthread_mutex_unlock(&en->lock);
        rc = launch(en, e);
        pthread_mutex_lock(&en->lock);
        e->state = rc ? DEAD : ALIVE;
        pthread_cond_broadcast(&en->change);
        e = en->list;
    }
}

/* Its socket has closed: it ends, or is ended. */
static void
see_end(struct sl_engines *en, struct engine *e)
{
    int64_t now = sl_mono_us();

    if (e->kill_at_us == 0)
        e->kill_at_us = now + LEAVE_US;
    if (now >= e->kill_at_us)
        kill(e->pid, SIGKILL);
    if (waitpid(e->pid, &e->status, WNOHANG) == 0)
        return;
    close(e->control);
    e->control = -1;
    e->state = DEAD;
    pthread_cond_broadcast(&en->change);
}

static void
engine_free(struct engine *e)
{
    if (e->control >= 0)
        close(e->control);
    free(e->key);
    free(e);
}

static void
forget_dead(struct sl_engines *en)
{
    struct engine **at = &en->list, *e;

    while (*at != NULL) {
        e = *at;
        if (e->state == DEAD && e->refs == 0) {
            *at = e->next;
            engine_free(e);
        } else {
            at = &e->next;
        }
    }
}

/* By descriptor: engines that came while poll() waited stand in front of those it was asked about. */
static bool
hung_up(const struct pollfd *fds, nfds_t n, int fd)
{
    for (nfds_t i = 1; i < n; i++)
        if (fds[i].fd == fd)
            return fds[i].revents != 0;
    return false;
}

/* Under the lock; gives it up while it waits. Returns whether an engine lives. */
static bool
keep(struct sl_engines *en)
{
    struct pollfd *fds;
    struct engine *e;
    nfds_t n = 1, i;
    int wait = -1;
    char bytes[64];

    launch_all(en);
    for (e = en->list; e != NULL; e = e->next)
        n++;
    fds = sl_zalloc(n, sizeof *fds);
    fds[0] = (struct pollfd){ .fd = en->wake[0], .events = POLLIN };
    for (e = en->list, i = 1; e != NULL; e = e->next, i++) {
        bool ending = e->state == ALIVE && e->kill_at_us;

        fds[i].fd = e->state == ALIVE && !ending ? e->control : -1;
        if (ending)
            wait = 5;
    }
    pthread_mutex_unlock(&en->lock);
    (void)poll(fds, n, wait);
    while (read(en->wake[0], bytes, sizeof bytes) == sizeof bytes)
        ;
    pthread_mutex_lock(&en->lock);
    for (e = en->list; e != NULL; e = e->next)
        if (e->state == ALIVE && (e->kill_at_us || hung_up(fds, n, e->control)))
            see_end(en, e);
    free(fds);
    forget_dead(en);
    for (e = en->list; e != NULL; e = e->next)
        if (e->state != DEAD)
            return true;
    return false;
}

static void *
keeper_main(void *arg)
{
    struct sl_engines *en = arg;
    bool living = true;

    pthread_mutex_lock(&en->lock);
    while (!en->stopping || living) {
        for (struct engine *e = en->list; en->stopping && e != NULL; e = e->next)
            if (e->state == ALIVE)
                shutdown(e->control, SHUT_RDWR);
        living = keep(en);
    }
    en->stopped = true;
    pthread_cond_broadcast(&en->change);
    pthread_mutex_unlock(&en->lock);
    return NULL;
}

/* ---- finding an engine ---- */

/* Which sessions share a process: those into one file. NULL: none. */
static char *
key_of(const char *destination, const char *location)
{
    const struct sl_dest_ops *ops = sl_destination_find(destination);
    char *full, *dir, *real, *key;

    if (location == NULL || (ops != NULL && ops->caps.many_writers))
        return NULL;
    full = sl_path_real(location);
    if (full == NULL) {
        dir = sl_path_dir(location);
        real = sl_path_real(dir);
        full = sl_path_join(real ? real : dir, sl_path_base(location));
        free(real);
        free(dir);
    }
    key = sl_sprintf("%s:%s", destination, full);
    free(full);
    return key;
}

static struct engine *
find(struct sl_engines *en, const char *key)
{
    for (struct engine *e = en->list; e != NULL && key != NULL; e = e->next)
        if (e->key != NULL && e->state != DEAD && e->kill_at_us == 0 && strcmp(e->key, key) == 0)
            return e;
    return NULL;
}

/* The engine of a key, started if there is none. Give it back with put(). */
static sl_rc
get(struct sl_engines *en, const char *key, struct engine **out, struct sl_err *err)
{
    struct engine *e;
    sl_rc rc = 0;

    pthread_mutex_lock(&en->lock);
    e = en->stopping ? NULL : find(en, key);
    if (e == NULL && !en->stopping) {
        e = sl_zalloc(1, sizeof *e);
        e->key = sl_strdup_null(key);
        e->control = -1;
        e->next = en->list;
        en->list = e;
        wake_keeper(en);
    }
    if (e != NULL) {
        e->refs++;
        while (e->state == STARTING)
            pthread_cond_wait(&en->change, &en->lock);
        if (e->state == DEAD && e->err.code) {
            rc = e->err.code;
            *err = e->err;
            sl_err_wrap(err, "starting the engine process %s", en->exe);
            e->refs--;
            e = NULL;
        }
    } else {
        rc = sl_fail(err, SL_E_CANCELLED, "the server is being stopped");
    }
    pthread_mutex_unlock(&en->lock);
    *out = e;
    return rc;
}

static void
put(struct sl_engines *en, struct engine *e)
{
    pthread_mutex_lock(&en->lock);
    e->refs--;
    if (e->key == NULL && e->state == ALIVE)
        shutdown(e->control, SHUT_RDWR); /* its one session is over */
    if (e->state == DEAD)
        wake_keeper(en);
    pthread_mutex_unlock(&en->lock);
}

/* How an engine ended whose session's socket closed. */
static void
describe_end(struct sl_engines *en, struct engine *e, struct sl_err *err)
{
    int64_t until = sl_mono_us() + 2 * LEAVE_US;

    pthread_mutex_lock(&en->lock);
    while (e->state != DEAD && sl_cond_wait(&en->change, &en->lock, until))
        ;
    if (e->state != DEAD)
        sl_fail(err, SL_E_RETRY, "the engine process gave the session up");
    else if (WIFSIGNALED(e->status))
        sl_fail(err, SL_E_RETRY, "the engine process was killed by signal %d%s",
                WTERMSIG(e->status), WTERMSIG(e->status) == SIGKILL ? " (out of memory?)" : "");
    else
        sl_fail(err, SL_E_RETRY, "the engine process ended with status %d", WEXITSTATUS(e->status));
    pthread_mutex_unlock(&en->lock);
    sl_err_hint(err, "what is committed is safe; the next sync continues from there");
}

/* ---- a session ---- */

static sl_rc
hand_over(struct sl_engines *en, struct engine *e, int session_fd, struct sl_err *err)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } space = { 0 };
    struct iovec iov = { &en->control, sizeof en->control };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = space.space,
                          .msg_controllen = sizeof space.space };
    ssize_t n = -1;

    space.align.cmsg_level = SOL_SOCKET;
    space.align.cmsg_type = SCM_RIGHTS;
    space.align.cmsg_len = CMSG_LEN(sizeof(int));
    memcpy(CMSG_DATA(&space.align), &session_fd, sizeof(int));
    pthread_mutex_lock(&en->lock);
    if (e->state == ALIVE)
        n = sendmsg(e->control, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
    pthread_mutex_unlock(&en->lock);
    return n > 0 ? 0 : sl_fail(err, SL_E_RETRY, "the engine process takes no sessions");
}

/* Gives the request to an engine. SL_E_RETRY: it was not accepted, and another engine may. */
static sl_rc
begin(struct sl_engines *en, struct engine *e, json_t *head, const struct sl_bytes *texts,
      int ntexts, int pass_fd, struct sl_inbox *in, struct sl_err *err)
{
    int sv[2], got;
    sl_rc rc;

    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) != 0) {
        json_decref(head);
        return sl_fail_errno(err, "a socket for a session");
    }
    sl_inbox_init(in, sv[0]);
    rc = hand_over(en, e, sv[1], err);
    close(sv[1]);
    if (rc == 0)
        rc = sl_message_send(sv[0], head, texts, ntexts, pass_fd, REQUEST_US, err);
    else
        json_decref(head);
    if (rc)
        return SL_E_RETRY;
    got = sl_inbox_next(in, ACCEPT_US, err);
    if (got == 1)
        return 0;
    if (got == 0)
        return sl_fail(err, SL_E_TIMEOUT, "the engine process did not begin the session in %d s",
                       (int)(ACCEPT_US / 1000000));
    return got == 2 ? sl_fail(err, SL_E_RETRY, "the engine process left") : got;
}

/* One that works: an engine may leave at the moment it is asked. */
static sl_rc
begin_somewhere(struct sl_engines *en, const char *key, const json_t *head,
                const struct sl_bytes *texts, int ntexts, int pass_fd, struct engine **e,
                struct sl_inbox *in, struct sl_err *err)
{
    sl_rc rc = SL_E_RETRY;

    for (int i = 0; i < TRIES && rc == SL_E_RETRY; i++) {
        rc = get(en, key, e, err);
        if (rc)
            return rc;
        rc = begin(en, *e, json_deep_copy(head), texts, ntexts, pass_fd, in, err);
        if (rc == 0)
            return 0;
        if (rc == SL_E_RETRY && i + 1 == TRIES)
            describe_end(en, *e, err);
        if (in->fd >= 0)
            close(in->fd);
        sl_inbox_free(in);
        put(en, *e);
        *e = NULL;
    }
    return rc;
}

struct follow {
    const struct sl_session_conf *conf;
    const struct sl_sink *sink;
    struct sl_session_result *res;
    struct sl_inbox *in;
    int told;           /* the stop flag as the engine knows it */
    int64_t give_up_us; /* after "at once"; 0: not said */
    int64_t until_us;   /* then the answer is not waited for any more; 0: no limit */
};

static uint64_t
number_of(const json_t *head)
{
    return (uint64_t)json_integer_value(json_object_get(head, "number"));
}

static void
on_committed(struct follow *fo)
{
    const struct sl_sink *sink = fo->sink;
    struct sl_bytes state = fo->in->tail;
    struct sl_err err = { 0 };
    char *text;

    free(fo->res->state);
    fo->res->state = sl_memdup(state.ptr, state.len);
    fo->res->counts.commits++;
    if (sink->committed == NULL ||
        sink->committed(sink->ctx, number_of(fo->in->head), state.ptr, state.len, &err) == 0 ||
        sink->log == NULL)
        return;
    text = sl_sprintf(
        "the copy of the committed state could not be written (%s); the state is safe "
        "in the warehouse",
        err.text);
    sink->log(sink->ctx, SL_WARNING, SL_FROM_ENGINE, text, strlen(text));
    free(text);
}

static void
on_progress(struct follow *fo)
{
    sl_fields_unpack(sl_fields_counts, fo->in->head, &fo->res->counts);
    if (fo->sink->progress != NULL)
        fo->sink->progress(fo->sink->ctx, &fo->res->counts);
}

static void
on_catalog(struct follow *fo)
{
    struct sl_catalog cat;

    if (fo->sink->catalog == NULL)
        return;
    sl_catalog_unpack(fo->in->head, &cat);
    fo->sink->catalog(fo->sink->ctx, &cat);
    sl_catalog_free(&cat);
}

static void
on_event(struct follow *fo, const char *event)
{
    const struct sl_sink *sink = fo->sink;
    const json_t *head = fo->in->head;
    struct sl_bytes tail = fo->in->tail;
    struct sl_table_report report;

    if (strcmp(event, "log") == 0 && sink->log != NULL) {
        sink->log(sink->ctx, (enum sl_level)json_integer_value(json_object_get(head, "level")),
                  (enum sl_origin)json_integer_value(json_object_get(head, "from")), tail.ptr,
                  tail.len);
    } else if (strcmp(event, "started") == 0 && sink->started != NULL) {
        sink->started(sink->ctx);
    } else if (strcmp(event, "schema_done") == 0 && sink->schema_done != NULL) {
        sink->schema_done(sink->ctx);
    } else if (strcmp(event, "table_created") == 0 && sink->table_created != NULL) {
        sink->table_created(sink->ctx, json_string_value(json_object_get(head, "name")));
    } else if (strcmp(event, "checkpoint") == 0 && sink->checkpoint != NULL) {
        sink->checkpoint(sink->ctx, number_of(head), tail.ptr, tail.len);
    } else if (strcmp(event, "committed") == 0) {
        on_committed(fo);
    } else if (strcmp(event, "progress") == 0) {
        on_progress(fo);
    } else if (strcmp(event, "table") == 0 && sink->table != NULL) {
        sl_fields_unpack(sl_fields_report, head, &report);
        sink->table(sink->ctx, &report);
    } else if (strcmp(event, "catalog") == 0) {
        on_catalog(fo);
    }
}

static sl_rc
on_result(struct follow *fo, struct sl_err *err)
{
    const json_t *head = fo->in->head;

    free(fo->res->state);
    fo->res->state = NULL;
    sl_fields_unpack(sl_fields_result, head, fo->res);
    sl_fields_unpack(sl_fields_counts, json_object_get(head, "counts"), &fo->res->counts);
    sl_fields_unpack(sl_fields_err, json_object_get(head, "err"), err);
    if (json_is_true(json_object_get(head, "state")))
        fo->res->state = sl_memdup(fo->in->tail.ptr, fo->in->tail.len);
    return (sl_rc)json_integer_value(json_object_get(head, "rc"));
}

static void
forward_stop(struct follow *fo)
{
    int stop = fo->conf->stop ? atomic_load(fo->conf->stop) : 0;
    char byte = (char)(stop > 2 ? 2 : stop);

    if (byte <= fo->told)
        return;
    if (send(fo->in->fd, &byte, 1, MSG_DONTWAIT | MSG_NOSIGNAL) != 1)
        return;
    fo->told = byte;
    if (byte == 2)
        fo->give_up_us = sl_mono_us() + STOP_US;
}

static void
kill_engine(struct sl_engines *en, struct engine *e)
{
    pthread_mutex_lock(&en->lock);
    if (e->state == ALIVE)
        kill(e->pid, SIGKILL);
    pthread_mutex_unlock(&en->lock);
}

/* Events until the result. */
static sl_rc
follow(struct sl_engines *en, struct engine *e, struct follow *fo, struct sl_err *err)
{
    const char *event;
    int got;

    for (;;) {
        got = sl_inbox_next(fo->in, LOOK_US, err);
        if (got < 0)
            return got;
        if (got == 2) {
            describe_end(en, e, err);
            return SL_E_RETRY;
        }
        forward_stop(fo);
        if (got == 0 && fo->give_up_us && sl_mono_us() > fo->give_up_us) {
            kill_engine(en, e);
            return sl_fail(err, SL_E_CANCELLED,
                           "stopped by the user; the engine process did not answer and was killed");
        }
        if (got == 0 && fo->until_us && sl_mono_us() > fo->until_us)
            return sl_fail(err, SL_E_TIMEOUT, "the warehouse did not answer within %d s",
                           (int)(ASK_US / 1000000));
        event = got == 1 ? json_string_value(json_object_get(fo->in->head, "event")) : NULL;
        if (event != NULL && strcmp(event, "result") == 0)
            return on_result(fo, err);
        if (event != NULL)
            on_event(fo, event);
    }
}

static json_t *
request_of(const struct sl_engines *en, const struct sl_session_conf *conf,
           struct sl_bytes texts[SL_CONF_TEXTS])
{
    json_t *head = sl_fields_pack(sl_fields_conf, conf), *lens = json_array();

    for (int i = 0; i < SL_CONF_TEXTS; i++) {
        texts[i] = *sl_conf_text(conf, i);
        json_array_append_new(lens, json_integer(texts[i].ptr ? (json_int_t)texts[i].len : -1));
        if (texts[i].ptr == NULL)
            texts[i].len = 0;
    }
    json_object_set_new(head, "do", json_string("session"));
    json_object_set_new(head, "texts", lens);
    if (conf->memory_limit == 0)
        json_object_set_new(head, "memory_limit", json_integer((json_int_t)en->memory_limit));
    return head;
}

sl_rc
sl_engines_session(struct sl_engines *en, const struct sl_session_conf *conf,
                   struct sl_session_result *res, struct sl_err *err)
{
    static const struct sl_sink silent;
    struct sl_bytes texts[SL_CONF_TEXTS];
    struct sl_inbox in = { .fd = -1 };
    struct follow fo = {
        .conf = conf, .sink = conf->sink ? conf->sink : &silent, .res = res, .in = &in
    };
    struct engine *e = NULL;
    struct sl_err own;
    char *key = key_of(conf->destination, conf->location);
    json_t *head = request_of(en, conf, texts);
    sl_rc rc;

    if (err == NULL)
        err = &own;
    *err = (struct sl_err){ 0 };
    *res = (struct sl_session_result){ 0 };
    rc = begin_somewhere(en, key, head, texts, SL_CONF_TEXTS, conf->fd, &e, &in, err);
    if (conf->fd >= 0)
        close(conf->fd);
    if (rc == 0) {
        *err = (struct sl_err){ 0 };
        rc = follow(en, e, &fo, err);
        close(in.fd);
        sl_inbox_free(&in);
        put(en, e);
    }
    json_decref(head);
    free(key);
    return rc;
}

/* ---- questions to a warehouse ---- */

static json_t *
question_of(const struct sl_engines *en, const char *destination, const char *location,
            const json_t *request)
{
    json_t *head = json_deep_copy(request);

    json_object_set_new(head, "do", json_string("ask"));
    json_object_set_new(head, "destination", json_string(destination));
    json_object_set_new(head, "location", location ? json_string(location) : json_null());
    json_object_set_new(head, "memory_limit", json_integer((json_int_t)en->memory_limit));
    return head;
}

sl_rc
sl_engines_ask(struct sl_engines *en, const char *destination, const char *location,
               const json_t *options, const json_t *request, json_t **answer, struct sl_err *err)
{
    struct sl_session_result unused = { 0 };
    struct sl_session_conf none = { 0 };
    const struct sl_sink silent = { 0 };
    struct sl_inbox in = { .fd = -1 };
    struct follow fo = { .conf = &none, .sink = &silent, .res = &unused, .in = &in };
    struct engine *e = NULL;
    struct sl_err own;
    char *key = key_of(destination, location);
    char *text = options ? json_dumps(options, JSON_COMPACT) : NULL;
    const struct sl_bytes tail = sl_bytes_of(text ? text : "");
    json_t *head = question_of(en, destination, location, request);
    sl_rc rc;

    if (err == NULL)
        err = &own;
    *err = (struct sl_err){ 0 };
    *answer = NULL;
    rc = begin_somewhere(en, key, head, &tail, 1, -1, &e, &in, err);
    if (rc == 0) {
        *err = (struct sl_err){ 0 };
        /* An engine of a file has other work, too: it is not left alone for being slow. */
        fo.until_us = key == NULL ? sl_mono_us() + ASK_US : 0;
        rc = follow(en, e, &fo, err);
        if (rc == 0)
            *answer = json_incref(json_object_get(in.head, "answer"));
        close(in.fd);
        sl_inbox_free(&in);
        put(en, e);
    }
    if (text != NULL)
        sodium_memzero(text, strlen(text));
    free(text);
    sl_session_result_free(&unused);
    json_decref(head);
    free(key);
    return rc;
}

/* ---- all of them ---- */

sl_rc
sl_engines_new(struct sl_engines **out, const struct sl_engines_conf *conf, struct sl_err *err)
{
    struct sl_engines *en = sl_zalloc(1, sizeof *en);
    sl_rc rc = 0;

    *out = NULL;
    en->exe = sl_strdup(conf->exe);
    en->lib = sl_strdup_null(conf->duckdb_lib);
    en->control.idle_seconds = conf->idle_seconds > 0 ? (uint32_t)conf->idle_seconds : DEFAULT_IDLE;
    en->memory_limit = conf->memory_limit;
    pthread_mutex_init(&en->lock, NULL);
    sl_cond_init(&en->change);
    if (pipe2(en->wake, O_CLOEXEC | O_NONBLOCK) != 0)
        rc = sl_fail_errno(err, "a pipe for the engine processes");
    else if (pthread_create(&en->keeper, NULL, keeper_main, en) != 0)
        rc = sl_fail(err, SL_E_NOMEM, "no thread for the engine processes");
    if (rc) {
        free(en->exe);
        free(en->lib);
        free(en);
        return rc;
    }
    *out = en;
    return 0;
}

int
sl_engines_pid(struct sl_engines *en, const char *destination, const char *location)
{
    char *key = key_of(destination, location);
    struct engine *e;
    int pid;

    pthread_mutex_lock(&en->lock);
    e = find(en, key);
    pid = e && e->state == ALIVE ? (int)e->pid : 0;
    pthread_mutex_unlock(&en->lock);
    free(key);
    return pid;
}

json_t *
sl_engines_pids(struct sl_engines *en)
{
    json_t *pids = json_array();

    pthread_mutex_lock(&en->lock);
    for (struct engine *e = en->list; e != NULL; e = e->next)
        if (e->state == ALIVE)
            json_array_append_new(pids, json_integer(e->pid));
    pthread_mutex_unlock(&en->lock);
    return pids;
}

void
sl_engines_stop(struct sl_engines *en)
{
    pthread_mutex_lock(&en->lock);
    if (!en->stopping) {
        en->stopping = true;
        wake_keeper(en);
    }
    while (!en->stopped)
        pthread_cond_wait(&en->change, &en->lock);
    pthread_mutex_unlock(&en->lock);
}

void
sl_engines_free(struct sl_engines *en)
{
    if (en == NULL)
        return;
    sl_engines_stop(en);
    pthread_join(en->keeper, NULL);
    for (struct engine *e = en->list, *next; e != NULL; e = next) {
        next = e->next;
        engine_free(e);
    }
    close(en->wake[0]);
    close(en->wake[1]);
    pthread_mutex_destroy(&en->lock);
    pthread_cond_destroy(&en->change);
    free(en->exe);
    free(en->lib);
    free(en);
}
