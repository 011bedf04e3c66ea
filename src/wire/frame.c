#include "wire/frame.h"

#include "base/time.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

/* One read: what a socket buffer holds at most, several times over. */
#define READ_SIZE ((size_t)1 << 20)

void
sl_frames_init(struct sl_frames *fr, int fd)
{
    *fr = (struct sl_frames){ .fd = fd, .max = SL_FRAME_MAX };
}

void
sl_frames_free(struct sl_frames *fr)
{
    free(fr->buf);
    fr->buf = NULL;
    fr->cap = fr->begin = fr->end = 0;
}

/* 1: a whole frame lies in the buffer; 0: more bytes are needed (*need of them in all); or SL_E_PROTOCOL. */
static int
complete(struct sl_frames *fr, struct sl_frame *f, size_t *need, struct sl_err *err)
{
    uint32_t head[2];

    *need = SL_FRAME_HEAD;
    if (fr->end - fr->begin < SL_FRAME_HEAD)
        return 0;
    memcpy(head, fr->buf + fr->begin, SL_FRAME_HEAD);
    if (head[0] > fr->max)
        return sl_fail(err, SL_E_PROTOCOL, "frame %llu is %u bytes long, the limit is %zu",
                       (unsigned long long)fr->count + 1, head[0], fr->max);
    *need += head[0];
    if (fr->end - fr->begin < *need)
        return 0;
    *f = (struct sl_frame){
        .type = (uint8_t)head[1],
        .id = head[1] >> 8,
        .len = head[0],
        .ptr = fr->buf + fr->begin + SL_FRAME_HEAD,
    };
    fr->begin += *need;
    fr->count++;
    return 1;
}

/* Room for `need` bytes from begin on, and for one large read. A buffer that one large frame made grow shrinks again. */
static sl_rc
make_room(struct sl_frames *fr, size_t need, struct sl_err *err)
{
    size_t cap = need + READ_SIZE, have = fr->end - fr->begin;
    char *p;

    if (cap < 2 * READ_SIZE)
        cap = 2 * READ_SIZE;
    if (fr->cap >= cap && fr->cap <= cap + 8 * READ_SIZE) {
        if (fr->cap - fr->end >= READ_SIZE)
            return 0;
        memmove(fr->buf, fr->buf + fr->begin, have);
    } else {
        p = malloc(cap);
        if (p == NULL)
            return sl_fail(err, SL_E_NOMEM, "no memory for a frame of %zu bytes", need);
        if (have)
            memcpy(p, fr->buf + fr->begin, have);
        free(fr->buf);
        fr->buf = p;
        fr->cap = cap;
    }
    fr->begin = 0;
    fr->end = have;
    return 0;
}

int
sl_frames_next(struct sl_frames *fr, int64_t timeout_us, struct sl_frame *f, struct sl_err *err)
{
    int64_t until = 0, begun;
    struct pollfd pfd = { .fd = fr->fd, .events = POLLIN };
    size_t need;
    ssize_t n;
    int rc, wait;

    for (;;) {
        rc = complete(fr, f, &need, err);
        if (rc)
            return rc;
        if (fr->eof) {
            if (fr->begin == fr->end)
                return 2;
            return sl_fail(err, SL_E_PROTOCOL, "the stream ends inside frame %llu",
                           (unsigned long long)fr->count + 1);
        }
        rc = make_room(fr, need, err);
        if (rc)
            return rc;
        n = recv(fr->fd, fr->buf + fr->end, READ_SIZE, MSG_DONTWAIT);
        if (n > 0) {
            fr->end += (size_t)n;
            continue;
        }
        if (n == 0 || errno == ECONNRESET) {
            fr->eof = true;
            continue;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return sl_fail_errno(err, "reading from the connector");
        if (until == 0)
            until = sl_mono_us() + timeout_us;
        wait = (int)((until - sl_mono_us() + 999) / 1000);
        if (wait <= 0)
            return 0;
        begun = sl_mono_us();
        rc = poll(&pfd, 1, wait);
        fr->waited_us += sl_mono_us() - begun;
        if (rc < 0 && errno == EINTR)
            return 0; /* a signal: the caller looks why */
    }
}

sl_rc
sl_frame_write(int fd, uint8_t type, uint32_t id, const struct sl_bytes *parts, int nparts,
               int64_t timeout_us, struct sl_err *err)
{
    int64_t until = sl_mono_us() + timeout_us;
    struct pollfd pfd = { .fd = fd, .events = POLLOUT };
    uint32_t head[2] = { 0, type | id << 8 };
    struct sl_buf buf;
    size_t off = 0;
    sl_rc rc = 0;
    ssize_t n;

    sl_buf_init(&buf, SL_FRAME_MAX + SL_FRAME_HEAD);
    for (int i = 0; i < nparts; i++)
        head[0] += (uint32_t)parts[i].len;
    rc = sl_buf_put(&buf, head, sizeof head, err);
    for (int i = 0; i < nparts && rc == 0; i++)
        rc = sl_buf_put(&buf, parts[i].ptr, parts[i].len, err);
    while (rc == 0 && off < buf.len) {
        n = send(fd, buf.ptr + off, buf.len - off, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n >= 0) {
            off += (size_t)n;
        } else if (errno == EAGAIN) {
            int wait = (int)((until - sl_mono_us() + 999) / 1000);

            if (wait <= 0)
                rc = sl_fail(err, SL_E_TIMEOUT,
                             "the connector does not read what the engine sends");
            else
                (void)poll(&pfd, 1, wait);
        } else if (errno != EINTR) {
            rc = sl_fail_errno(err, "writing to the connector");
        }
    }
    sl_buf_free(&buf);
    return rc;
}

bool
sl_read_u32(const char **p, const char *end, uint32_t *v)
{
    if (end - *p < 4)
        return false;
    memcpy(v, *p, 4);
    *p += 4;
    return true;
}

bool
sl_read_text(const char **p, const char *end, struct sl_bytes *out)
{
    uint32_t n;

    if (!sl_read_u32(p, end, &n) || (size_t)(end - *p) < n)
        return false;
    *out = (struct sl_bytes){ *p, n };
    *p += n;
    return true;
}
