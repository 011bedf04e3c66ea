#include "http/web.h"

#include "base/cond.h"
#include "base/time.h"
#include "runtime/file.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <microhttpd.h>
#include <netdb.h>
#include <poll.h>
#include <pthread.h>
#include <sodium.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define SECOND INT64_C(1000000)
/* From the accept, or from the request line, to the end of the head. */
#define HEAD_US (10 * SECOND)
/* Between two requests of one connection. */
#define IDLE_S 75
/* A body or an answer may take this long, and longer the larger it is: 16 KiB a second is a bad mobile line. */
#define TRANSFER_US (30 * SECOND)
#define SLOWEST_BYTES_PER_S (16 << 10)
/* The body of a refused request is read up to this size, so that the client gets to read the answer: closing a socket with unread
 * bytes resets it. */
#define DRAIN_MAX (1u << 20)
/* libmicrohttpd's memory of one connection: the head and a buffer for the body. Larger heads it refuses itself (pages.c); we
 * never see them. */
#define POOL_BYTES (128u << 10)
#define STACK_BYTES (512u << 10)
#define COMMENT_US (15 * SECOND)
/* In GnuTLS's words: what is secure today, without the versions that browsers have dropped. */
static char tls_versions[] = "NORMAL:-VERS-ALL:+VERS-TLS1.3:+VERS-TLS1.2";

/* What the watchdog knows of a connection. */
struct conn {
    struct conn *next, **at;
    int fd;
    int64_t deadline; /* monotonic; INT64_MAX: none */
    bool busy;        /* in a request */
};

struct sl_web {
    struct MHD_Daemon *daemon;
    struct sl_web_app app;
    char *url;
    char *cert, *key;
    bool access_log;
    atomic_bool stopping;
    int listen_fd;
    /* the watchdog */
    pthread_mutex_t lock;
    pthread_cond_t wake; /* a connection came, a request ended, the end */
    pthread_t watchdog;
    bool watching, ended;
    struct conn *conns;
    int busy;
};

bool
sl_web_stopping(const struct sl_web *h)
{
    return atomic_load(&h->stopping);
}

const char *
sl_web_url(const struct sl_web *h)
{
    return h->url;
}

/* ---- deadlines ---- */

static void *
watch(void *arg)
{
    struct sl_web *h = arg;

    pthread_mutex_lock(&h->lock);
    while (!h->ended) {
        int64_t now = sl_mono_us();

        for (struct conn *c = h->conns; c != NULL; c = c->next) {
            if (now < c->deadline)
                continue;
            /* Its thread sees the end of the connection. The descriptor is closed only after the connection left this list. */
            shutdown(c->fd, SHUT_RDWR);
            c->deadline = INT64_MAX;
        }
        if (h->conns == NULL) {
            pthread_cond_wait(&h->wake, &h->lock);
            continue;
        }
        (void)sl_cond_wait(&h->wake, &h->lock, sl_mono_us() + 1000000);
    }
    pthread_mutex_unlock(&h->lock);
    return NULL;
}

static struct conn *
conn_of(struct MHD_Connection *conn)
{
    const union MHD_ConnectionInfo *info = MHD_get_connection_info(
        conn, MHD_CONNECTION_INFO_SOCKET_CONTEXT);

    return info != NULL ? info->socket_context : NULL;
}

static void
arm(struct sl_web *h, struct MHD_Connection *conn, int64_t us)
{
    struct conn *c = conn_of(conn);

    if (c == NULL)
        return;
    pthread_mutex_lock(&h->lock);
    c->deadline = us == INT64_MAX ? INT64_MAX : sl_mono_us() + us;
    pthread_mutex_unlock(&h->lock);
}

static int64_t
transfer_us(uint64_t bytes)
{
    if (bytes > (UINT64_C(1) << 40))
        bytes = UINT64_C(1) << 40;
    return TRANSFER_US + (int64_t)(bytes / SLOWEST_BYTES_PER_S) * SECOND;
}

static void
set_busy(struct sl_web *h, struct MHD_Connection *conn, bool busy)
{
    struct conn *c = conn_of(conn);

    pthread_mutex_lock(&h->lock);
    if (c != NULL && c->busy != busy) {
        c->busy = busy;
        h->busy += busy ? 1 : -1;
        pthread_cond_broadcast(&h->wake);
    }
    pthread_mutex_unlock(&h->lock);
}

static void
on_connection(void *cls, struct MHD_Connection *conn, void **ctx,
              enum MHD_ConnectionNotificationCode what)
{
    struct sl_web *h = cls;
    struct conn *c = *ctx;

    pthread_mutex_lock(&h->lock);
    if (what == MHD_CONNECTION_NOTIFY_STARTED) {
        c = sl_zalloc(1, sizeof *c);
        c->fd = MHD_get_connection_info(conn, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
        c->deadline = sl_mono_us() + HEAD_US;
        c->next = h->conns;
        c->at = &h->conns;
        if (c->next != NULL)
            c->next->at = &c->next;
        h->conns = c;
        *ctx = c;
        pthread_cond_broadcast(&h->wake);
    } else if (c != NULL) {
        *c->at = c->next;
        if (c->next != NULL)
            c->next->at = c->at;
        h->busy -= c->busy;
        free(c);
        *ctx = NULL;
    }
    pthread_mutex_unlock(&h->lock);
}

/* ---- answers ---- */

const char *
sl_req_header(struct sl_req *r, const char *name)
{
    return MHD_lookup_connection_value(r->conn, MHD_HEADER_KIND, name);
}

const char *
sl_req_cookie(struct sl_req *r, const char *name)
{
    return MHD_lookup_connection_value(r->conn, MHD_COOKIE_KIND, name);
}

void
sl_req_header_add(struct sl_req *r, const char *name, const char *value)
{
    MHD_add_response_header(r->response, name, value);
}

void
sl_req_header_set(struct sl_req *r, const char *name, const char *value)
{
    const char *old = MHD_get_response_header(r->response, name);

    if (old != NULL)
        MHD_del_response_header(r->response, name, old);
    MHD_add_response_header(r->response, name, value);
}

static void
set_response(struct sl_req *r, int status, const char *type, struct MHD_Response *response)
{
    r->status = status;
    r->response = response;
    MHD_add_response_header(response, "Content-Type", type);
    MHD_add_response_header(response, "X-Request-Id", r->id);
    MHD_add_response_header(response, "Cache-Control", "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
}

void
sl_req_answer(struct sl_req *r, int status, const char *type, char *text, size_t len)
{
    struct MHD_Response *response = MHD_create_response_from_buffer(len, text,
                                                                    MHD_RESPMEM_MUST_FREE);

    if (response == NULL)
        abort(); /* out of memory */
    set_response(r, status, type, response);
}

void
sl_req_answer_fd(struct sl_req *r, int status, const char *type, int fd, uint64_t size)
{
    struct MHD_Response *response = MHD_create_response_from_fd64(size, fd);

    if (response == NULL)
        abort();
    set_response(r, status, type, response);
}

/* A stream as libmicrohttpd reads it: by blocks, on the connection's thread. */
struct streaming {
    struct sl_web *http;
    struct sl_stream stream;
    struct sl_buf buf;
    size_t at; /* of buf: sent */
    int64_t said;
    int fd;
    bool over;
};

/* The client closed its side. */
static bool
is_gone(int fd)
{
    struct pollfd p = { .fd = fd, .events = POLLRDHUP };

    return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}

static ssize_t
stream_read(void *cls, uint64_t pos, char *out, size_t max)
{
    struct streaming *s = cls;
    size_t n;

    (void)pos;
    while (s->at == s->buf.len) {
        s->buf.len = s->at = 0;
        if (s->over || sl_web_stopping(s->http) || is_gone(s->fd))
            return MHD_CONTENT_READER_END_OF_STREAM;
        s->over = !s->stream.next(s->stream.ctx, &s->buf);
        if (s->buf.len == 0 && sl_mono_us() - s->said > COMMENT_US)
            sl_buf_add(&s->buf, ": alive\n\n");
    }
    s->said = sl_mono_us();
    n = s->buf.len - s->at < max ? s->buf.len - s->at : max;
    memcpy(out, s->buf.ptr + s->at, n);
    s->at += n;
    return (ssize_t)n;
}

static void
stream_free(void *cls)
{
    struct streaming *s = cls;

    if (s->stream.done != NULL)
        s->stream.done(s->stream.ctx);
    sl_buf_free(&s->buf);
    free(s);
}

void
sl_req_answer_stream(struct sl_req *r, const struct sl_stream *stream)
{
    struct streaming *s = sl_zalloc(1, sizeof *s);
    struct MHD_Response *response;

    s->http = r->http;
    s->stream = *stream;
    s->said = sl_mono_us();
    s->fd = MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
    sl_buf_init(&s->buf, 4u << 20);
    sl_buf_add(&s->buf, ": hello\n\n"); /* the head goes out with the first bytes */
    response = MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, 16 << 10, stream_read, s,
                                                 stream_free);
    if (response == NULL)
        abort();
    set_response(r, 200, "text/event-stream", response);
    r->on_the_way = true;
}

/* ---- a request ---- */

/* Sees the request line before anything is decoded: the raw target. */
static void *
on_target(void *cls, const char *uri, struct MHD_Connection *conn)
{
    struct sl_web *h = cls;
    struct sl_req *r = sl_zalloc(1, sizeof *r);
    unsigned char random[8];

    r->http = h;
    r->conn = conn;
    r->target = sl_strdup(uri);
    r->began = sl_mono_us();
    randombytes_buf(random, sizeof random);
    sodium_bin2hex(r->id, sizeof r->id, random, sizeof random);
    sl_buf_init(&r->body, 0);
    arm(h, conn, HEAD_US);
    return r;
}

static bool
is_loopback(const struct sockaddr *sa)
{
    if (sa->sa_family == AF_INET)
        return ntohl(((const struct sockaddr_in *)(const void *)sa)->sin_addr.s_addr) >> 24 == 127;
    if (sa->sa_family == AF_INET6) {
        const struct in6_addr *a = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;

        return IN6_IS_ADDR_LOOPBACK(a) || (IN6_IS_ADDR_V4MAPPED(a) && a->s6_addr[12] == 127);
    }
    return false;
}

static void
fill_address(struct sl_req *r)
{
    const struct sockaddr *sa =
        MHD_get_connection_info(r->conn, MHD_CONNECTION_INFO_CLIENT_ADDRESS)->client_addr;
    const void *a = &((const struct sockaddr_in *)(const void *)sa)->sin_addr;

    if (sa->sa_family == AF_INET6)
        a = &((const struct sockaddr_in6 *)(const void *)sa)->sin6_addr;
    if (inet_ntop(sa->sa_family, a, r->address, sizeof r->address) == NULL)
        r->address[0] = '\0';
    r->loopback = is_loopback(sa);
}

static enum MHD_Result
add_length(void *cls, enum MHD_ValueKind kind, const char *key, const char *value)
{
    (void)kind;
    *(size_t *)cls += strlen(key) + (value ? strlen(value) : 0) + 4;
    return MHD_YES;
}

static void
refuse(struct sl_req *r, int status, const char *code, const char *message)
{
    char *text = sl_sprintf("{\"code\":\"%s\",\"message\":\"%s\"}", code, message);

    sl_req_answer(r, status, "application/json", text, strlen(text));
}

/* What no application should have to think of. */
static void
check_head(struct sl_req *r)
{
    const char *length = sl_req_header(r, "Content-Length");
    bool chunked = sl_req_header(r, "Transfer-Encoding") != NULL;
    size_t head = strlen(r->target);
    int64_t n = 0;

    MHD_get_connection_values(r->conn, MHD_HEADER_KIND, add_length, &head);
    if (head > SL_WEB_HEAD_MAX) {
        refuse(r, 431, "HeaderTooLarge",
               "The request's address and headers are larger than 16 KiB");
        return;
    }
    if (chunked && length != NULL) {
        /* Two lengths are the way to smuggle a second request past a proxy. */
        refuse(r, 400, "BadRequest", "Send Content-Length or Transfer-Encoding, not both");
        return;
    }
    if (length != NULL && !sl_parse_i64(length, 0, INT64_MAX, &n)) {
        refuse(r, 400, "BadRequest", "Content-Length is not a number");
        return;
    }
    r->length = chunked ? UINT64_MAX : (uint64_t)n;
}

static enum MHD_Result
send_answer(struct sl_req *r)
{
    enum MHD_Result ok;

    if (r->status == 0)
        refuse(r, 500, "InternalError", "The server has no answer");
    if (sl_web_stopping(r->http))
        MHD_add_response_header(r->response, "Connection", "close");
    arm(r->http, r->conn, r->on_the_way ? INT64_MAX : transfer_us(r->received));
    ok = MHD_queue_response(r->conn, (unsigned)r->status, r->response);
    r->queued = ok == MHD_YES;
    return ok;
}

static enum MHD_Result
begin(struct sl_req *r)
{
    struct sl_web *h = r->http;
    uint64_t drain;

    r->begun = true;
    fill_address(r);
    set_busy(h, r->conn, true);
    check_head(r);
    if (r->status == 0)
        h->app.begin(h->app.ctx, r);
    r->body.max = r->body_cap;
    drain = r->body_cap > DRAIN_MAX ? 2 * (uint64_t)r->body_cap : DRAIN_MAX;
    if (r->length != UINT64_MAX && r->length > drain) {
        /* Far too much: not worth reading. This also closes the connection. */
        if (r->status == 0) {
            r->too_large = true;
            h->app.finish(h->app.ctx, r);
        }
        return send_answer(r);
    }
    arm(h, r->conn, transfer_us(r->length == UINT64_MAX ? r->body_cap : r->length));
    return MHD_YES;
}

/* A piece of the body. False cuts the connection. */
static bool
take(struct sl_req *r, const char *ptr, size_t len)
{
    r->received += len;
    if (r->received > r->body_cap)
        r->too_large = true;
    if (r->status == 0 && !r->too_large) {
        if (r->sink != NULL)
            r->sink(r, ptr, len);
        else if (sl_buf_put(&r->body, ptr, len, NULL))
            r->too_large = true;
    }
    return r->received <= (uint64_t)r->body_cap + DRAIN_MAX ||
           (r->length != UINT64_MAX && r->received <= r->length);
}

static enum MHD_Result
on_request(void *cls, struct MHD_Connection *conn, const char *url, const char *method,
           const char *version, const char *data, size_t *size, void **con_cls)
{
    struct sl_web *h = cls;
    struct sl_req *r = *con_cls;
    bool ok;

    (void)conn;
    (void)url;
    (void)version;
    if (!r->begun) {
        r->method = method;
        return begin(r);
    }
    if (*size > 0) {
        ok = take(r, data, *size);
        *size = 0;
        return ok ? MHD_YES : MHD_NO;
    }
    if (r->queued)
        return MHD_YES;
    arm(h, r->conn, INT64_MAX); /* handlers keep their own deadlines */
    if (r->status == 0)
        h->app.finish(h->app.ctx, r);
    return send_answer(r);
}

void
sl_time_text(int64_t us, char out[32])
{
    time_t t = (time_t)(us / 1000000);
    struct tm tm;
    size_t n;

    gmtime_r(&t, &tm);
    n = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out + n, 32 - n, ".%06dZ", (int)(us % 1000000));
}

static void
access_line(const struct sl_req *r, enum MHD_RequestTerminationCode why)
{
    char path[256], when[32];
    const char *q = strchr(r->target, '?');
    size_t n = q ? (size_t)(q - r->target) : strlen(r->target);
    char *line;
    json_t *o;

    sl_time_text(sl_now_us(), when);
    /* Without the query: people put keys there. */
    snprintf(path, sizeof path, "%.*s", (int)(n < 250 ? n : 250), r->target);
    for (char *p = path; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || (unsigned char)*p > 0x7e)
            *p = '?';
    o = json_pack("{s:s, s:s, s:s, s:s, s:s, s:i, s:I, s:I, s:s, s:s, s:b}", "time", when, "event",
                  "request", "id", r->id, "method", r->method, "path", path, "status", r->status,
                  "us", (json_int_t)(sl_mono_us() - r->began), "received", (json_int_t)r->received,
                  "who", r->who, "address", r->address, "complete",
                  why == MHD_REQUEST_TERMINATED_COMPLETED_OK);
    line = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
    if (line != NULL)
        fprintf(stderr, "%s\n", line);
    free(line);
    json_decref(o);
}

static void
on_completed(void *cls, struct MHD_Connection *conn, void **con_cls,
             enum MHD_RequestTerminationCode why)
{
    struct sl_web *h = cls;
    struct sl_req *r = *con_cls;

    if (r == NULL)
        return;
    *con_cls = NULL;
    if (r->begun) {
        h->app.end(h->app.ctx, r);
        if (h->access_log)
            access_line(r, why);
        set_busy(h, conn, false);
    }
    arm(h, conn, IDLE_S * SECOND);
    if (r->response != NULL)
        MHD_destroy_response(r->response);
    if (r->body.ptr != NULL)
        sodium_memzero(r->body.ptr, r->body.len); /* it may hold secrets */
    sl_buf_free(&r->body);
    free(r->target);
    free(r);
}

/* The application decodes: libmicrohttpd must not. */
static size_t
keep_escapes(void *cls, struct MHD_Connection *conn, char *s)
{
    (void)cls;
    (void)conn;
    return strlen(s);
}

/* libmicrohttpd's own complaints are about clients. */
static void
no_log(void *cls, const char *fmt, va_list ap)
{
    (void)cls;
    (void)fmt;
    (void)ap;
}

/* ---- start and stop ---- */

static sl_rc
open_socket(const struct addrinfo *ai, const char *listen_at, int *out, struct sl_err *err)
{
    int one = 1, zero = 0;
    int fd = socket(ai->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

    if (fd < 0)
        return sl_fail_errno(err, "listen: a socket for %s", listen_at);
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
    if (ai->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &zero, sizeof zero);
    if (bind(fd, ai->ai_addr, ai->ai_addrlen) != 0 || listen(fd, 256) != 0) {
        sl_rc rc = sl_fail_errno(err, "listen: %s", listen_at);

        if (errno == EADDRINUSE)
            sl_err_hint(err, "another program listens there; choose another port with --listen");
        close(fd);
        return rc;
    }
    *out = fd;
    return SL_OK;
}

static char *
url_of(int fd, const char *host, bool tls)
{
    struct sockaddr_storage ss;
    socklen_t len = sizeof ss;
    char port[8] = "0", name[64] = "127.0.0.1";
    bool six;

    if (getsockname(fd, (struct sockaddr *)&ss, &len) == 0)
        getnameinfo((struct sockaddr *)&ss, len, name, sizeof name, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV);
    /* Every address: name one that can be opened here. */
    if (host == NULL || strcmp(name, "0.0.0.0") == 0 || strcmp(name, "::") == 0)
        snprintf(name, sizeof name, "127.0.0.1");
    six = strchr(name, ':') != NULL;
    return sl_sprintf("%s://%s%s%s:%s", tls ? "https" : "http", six ? "[" : "", name,
                      six ? "]" : "", port);
}

static sl_rc
bind_listen(struct sl_web *h, const struct sl_web_conf *conf, struct sl_err *err)
{
    struct addrinfo hints = { .ai_flags = AI_PASSIVE, .ai_socktype = SOCK_STREAM }, *found = NULL;
    char port[12], at[80];
    int e;
    sl_rc rc;

    snprintf(port, sizeof port, "%d", conf->port);
    snprintf(at, sizeof at, "%.60s:%s", conf->host ? conf->host : "*", port);
    e = getaddrinfo(conf->host, port, &hints, &found);
    if (e != 0 || found == NULL)
        rc = sl_fail(err, SL_E_CONFIG, "listen: %s: %s", at, gai_strerror(e));
    else
        rc = open_socket(found, at, &h->listen_fd, err);
    if (rc == SL_OK)
        h->url = url_of(h->listen_fd, conf->host, conf->cert_file != NULL);
    if (found != NULL)
        freeaddrinfo(found);
    return rc;
}

static sl_rc
read_pem(const char *path, char **out, struct sl_err *err)
{
    struct sl_buf buf;
    sl_rc rc;

    sl_buf_init(&buf, 1u << 20); /* a chain of certificates is a few KiB */
    rc = sl_file_read(path, &buf, err);
    if (rc == SL_OK)
        *out = sl_memdup(buf.ptr ? buf.ptr : "", buf.len);
    if (buf.ptr != NULL)
        sodium_memzero(buf.ptr, buf.cap);
    sl_buf_free(&buf);
    return rc;
}

static sl_rc
start_daemon(struct sl_web *h, const struct sl_web_conf *conf, struct sl_err *err)
{
    unsigned flags = MHD_USE_AUTO | MHD_USE_INTERNAL_POLLING_THREAD |
                     MHD_USE_THREAD_PER_CONNECTION | (h->cert ? MHD_USE_TLS : 0);
    struct MHD_OptionItem options[] = {
        { MHD_OPTION_EXTERNAL_LOGGER, (intptr_t)no_log,
          NULL }, /* first: the others complain to it */
        { MHD_OPTION_LISTEN_SOCKET, h->listen_fd, NULL },
        { MHD_OPTION_CONNECTION_LIMIT, conf->connections ? conf->connections : 512, NULL },
        { MHD_OPTION_PER_IP_CONNECTION_LIMIT, conf->per_address ? conf->per_address : 256, NULL },
        { MHD_OPTION_CONNECTION_TIMEOUT, IDLE_S, NULL },
        { MHD_OPTION_CONNECTION_MEMORY_LIMIT, POOL_BYTES, NULL },
        { MHD_OPTION_CONNECTION_MEMORY_INCREMENT, 16 << 10, NULL },
        { MHD_OPTION_THREAD_STACK_SIZE, STACK_BYTES, NULL },
        { MHD_OPTION_NOTIFY_COMPLETED, (intptr_t)on_completed, h },
        { MHD_OPTION_NOTIFY_CONNECTION, (intptr_t)on_connection, h },
        { MHD_OPTION_URI_LOG_CALLBACK, (intptr_t)on_target, h },
        { MHD_OPTION_UNESCAPE_CALLBACK, (intptr_t)keep_escapes, NULL },
        { MHD_OPTION_STRICT_FOR_CLIENT, 1, NULL },
        { h->cert ? MHD_OPTION_HTTPS_MEM_CERT : MHD_OPTION_END, 0, h->cert },
        { h->cert ? MHD_OPTION_HTTPS_MEM_KEY : MHD_OPTION_END, 0, h->key },
        { MHD_OPTION_HTTPS_PRIORITIES, 0, tls_versions },
        { MHD_OPTION_END, 0, NULL },
    };

    h->daemon = MHD_start_daemon(flags, 0, NULL, NULL, on_request, h, MHD_OPTION_ARRAY, options,
                                 MHD_OPTION_END);
    if (h->daemon != NULL)
        return SL_OK;
    sl_fail(err, SL_E_CONFIG, "the HTTP server did not start");
    if (h->cert != NULL)
        sl_err_hint(err, "check that %s is a PEM certificate and %s its key", conf->cert_file,
                    conf->key_file);
    return SL_E_CONFIG;
}

static sl_rc
start_watchdog(struct sl_web *h, struct sl_err *err)
{
    sl_cond_init(&h->wake);
    pthread_mutex_init(&h->lock, NULL);
    if (pthread_create(&h->watchdog, NULL, watch, h) != 0)
        return sl_fail(err, SL_E_NOMEM, "cannot start a thread");
    h->watching = true;
    return SL_OK;
}

sl_rc
sl_web_start(struct sl_web **out, const struct sl_web_conf *conf, const struct sl_web_app *app,
             struct sl_err *err)
{
    struct sl_web *h = sl_zalloc(1, sizeof *h);
    sl_rc rc = SL_OK;

    h->app = *app;
    h->access_log = conf->access_log;
    h->listen_fd = -1;
    if ((conf->cert_file == NULL) != (conf->key_file == NULL))
        rc = sl_fail(err, SL_E_CONFIG, "TLS needs both a certificate and its key");
    if (rc == SL_OK && conf->cert_file != NULL)
        rc = read_pem(conf->cert_file, &h->cert, err);
    if (rc == SL_OK && conf->key_file != NULL)
        rc = read_pem(conf->key_file, &h->key, err);
    if (rc == SL_OK)
        rc = start_watchdog(h, err);
    if (rc == SL_OK)
        rc = bind_listen(h, conf, err);
    *out = h; /* now: a request may come before the daemon's start has returned */
    if (rc == SL_OK)
        rc = start_daemon(h, conf, err);
    if (rc) {
        *out = NULL;
        sl_web_free(h);
    }
    return rc;
}

void
sl_web_stop(struct sl_web *h, int64_t grace_us)
{
    int64_t until = sl_mono_us() + grace_us;
    int fd;

    if (h->daemon == NULL)
        return;
    atomic_store(&h->stopping, true);
    fd = MHD_quiesce_daemon(h->daemon);
    if (fd >= 0)
        close(fd);
    h->listen_fd = -1;
    pthread_mutex_lock(&h->lock);
    while (h->busy > 0 && sl_mono_us() < until)
        (void)sl_cond_wait(&h->wake, &h->lock, sl_mono_us() + 1000000);
    for (struct conn *c = h->conns; c != NULL; c = c->next)
        shutdown(c->fd, SHUT_RDWR);
    pthread_mutex_unlock(&h->lock);
    MHD_stop_daemon(h->daemon);
    h->daemon = NULL;
}

void
sl_web_free(struct sl_web *h)
{
    if (h == NULL)
        return;
    sl_web_stop(h, 0);
    if (h->watching) {
        pthread_mutex_lock(&h->lock);
        h->ended = true;
        pthread_cond_broadcast(&h->wake);
        pthread_mutex_unlock(&h->lock);
        pthread_join(h->watchdog, NULL);
        pthread_cond_destroy(&h->wake);
        pthread_mutex_destroy(&h->lock);
    }
    if (h->listen_fd >= 0)
        close(h->listen_fd);
    if (h->key != NULL)
        sodium_memzero(h->key, strlen(h->key));
    free(h->key);
    free(h->cert);
    free(h->url);
    free(h);
}
