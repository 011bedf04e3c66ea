/* io.c - the encoder's buffer, the lock that keeps a row whole, the socket, frames. */
#include "frames.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>

/* Larger buffers than this are given back after a flush; one huge row should not stay for hours. */
enum { KEEP_MAX = 8 << 20 };

int
sl_out_grow(struct sl_out *out, size_t need)
{
    const size_t most = (size_t)4 * SL_FRAME_MAX;
    size_t cap = out->cap ? out->cap : SL_CHUNK + (64 << 10);
    uint8_t *grown;

    if (need > most || out->len > most - need) {
        PyErr_SetString(PyExc_MemoryError, "more than 4 GiB wait to be sent");
        return -1;
    }
    while (cap < out->len + need)
        cap += cap / 2;
    grown = realloc(out->ptr, cap);
    if (!grown) {
        PyErr_NoMemory();
        return -1;
    }
    out->ptr = grown;
    out->cap = cap;
    return 0;
}

/* -------------------------------------------------------------------- lock */

/* Wait until the thread inside has left. */
static int
enter_contended(struct sl_encoder *enc, unsigned long me)
{
    int rc = 0;

    if (enc->owner == me) {
        PyErr_SetString(
            PyExc_RuntimeError,
            "an operation was called while another one of this thread reads its values");
        return -1;
    }
    enc->waiting++;
    while (enc->busy && !rc) {
        PyLockStatus status;

        if (!enc->wake_held) {
            /* A wake-up that nobody took yet: take it back, or find that its taker is on the way. */
            PyThread_acquire_lock(enc->wake, NOWAIT_LOCK);
            enc->wake_held = true;
        }
        Py_BEGIN_ALLOW_THREADS status = PyThread_acquire_lock_timed(enc->wake, -1, 1);
        Py_END_ALLOW_THREADS if (status == PY_LOCK_ACQUIRED) enc->wake_held = true;
        else rc = PyErr_CheckSignals();
    }
    enc->waiting--;
    return rc;
}

/* The interpreter lock makes the flag enough: the slow way is for a thread that finds another one inside,
 * which only happens while that one writes to the socket or runs Python code for a value. */
int
sl_enter(struct sl_encoder *enc)
{
    unsigned long me = PyThread_get_thread_ident();

    if (SL_UNLIKELY(enc->busy) && enter_contended(enc, me))
        return -1;
    enc->busy = true;
    enc->owner = me;
    return 0;
}

void
sl_leave(struct sl_encoder *enc)
{
    enc->busy = false;
    enc->owner = 0;
    if (SL_UNLIKELY(enc->waiting) && enc->wake_held) {
        enc->wake_held = false;
        PyThread_release_lock(enc->wake);
    }
}

/* -------------------------------------------------------------------- socket */

int
sl_call_on_stop(struct sl_encoder *enc)
{
    PyObject *result = PyObject_CallFunctionObjArgs(enc->on_stop, NULL);

    if (result) {
        Py_DECREF(result);
        PyErr_SetString(PyExc_SystemError, "on_stop() returned");
    }
    return -1;
}

static int
send_all(int fd, const uint8_t *data, size_t size, size_t *sent)
{
    while (*sent < size) {
        /* Not write(): authors may have made SIGPIPE deadly. */
        ssize_t count = send(fd, data + *sent, size - *sent, MSG_NOSIGNAL);

        if (count < 0)
            return errno;
        *sent += (size_t)count;
    }
    return 0;
}

static void
give_back(struct sl_out *out)
{
    uint8_t *smaller;

    if (out->cap <= KEEP_MAX || out->len)
        return;
    smaller = realloc(out->ptr, SL_CHUNK + (64 << 10));
    if (smaller) {
        out->ptr = smaller;
        out->cap = SL_CHUNK + (64 << 10);
    }
}

/* Write everything. After an error or a signal's exception the unsent rest stays, so the stream stays whole. */
int
sl_flush(struct sl_encoder *enc)
{
    size_t sent = 0;
    int error = 0, rc = 0;

    if (enc->fd < 0 || enc->out.len == 0)
        return 0;
    do {
        Py_BEGIN_ALLOW_THREADS error = send_all(enc->fd, enc->out.ptr, enc->out.len, &sent);
        Py_END_ALLOW_THREADS if (error == EINTR) rc = PyErr_CheckSignals();
    } while (error == EINTR && !rc);
    if (error == EPIPE || error == ECONNRESET) {
        enc->out.len = 0;
        enc->stop = 1;
        return sl_call_on_stop(enc);
    }
    enc->out.len -= sent;
    memmove(enc->out.ptr, enc->out.ptr + sent, enc->out.len);
    give_back(&enc->out);
    if (error && !rc) {
        errno = error;
        PyErr_SetFromErrno(PyExc_OSError);
        rc = -1;
    }
    return rc;
}

/* -------------------------------------------------------------------- frames */

/* Return the place of the payload, 0 with an exception. */
size_t
sl_frame_begin(struct sl_encoder *enc, unsigned kind, uint32_t id)
{
    if (sl_need(&enc->out, 64))
        return 0;
    sl_put32(&enc->out, 0);
    sl_put32(&enc->out, kind | id << 8);
    return enc->out.len;
}

int
sl_frame_end(struct sl_encoder *enc, size_t at)
{
    size_t size = enc->out.len - at;
    uint32_t size32 = (uint32_t)size;

    if (size > SL_FRAME_MAX) {
        PyErr_Format(PyExc_ValueError, "%zu bytes are larger than a frame may be (1 GiB)", size);
        return -1;
    }
    memcpy(enc->out.ptr + at - 8, &size32, sizeof(size32));
    return 0;
}

int
sl_frame_put(struct sl_encoder *enc, unsigned kind, uint32_t id, const char *data, size_t size)
{
    size_t at = sl_frame_begin(enc, kind, id);

    if (!at || sl_need(&enc->out, size))
        return -1;
    sl_put(&enc->out, data, size);
    return sl_frame_end(enc, at);
}

/* Warnings that Python left while it read a row follow the row. */
int
sl_send_notes(struct sl_encoder *enc)
{
    Py_ssize_t count = PyList_Size(enc->notes);

    enc->called = false;
    for (Py_ssize_t i = 0; i < count && enc->log_level <= (SL_NOTE_LEVEL & 0xff); i++) {
        PyObject *utf8 = PyUnicode_AsEncodedString(PyList_GetItem(enc->notes, i), "utf-8",
                                                   "backslashreplace");
        char *data;
        Py_ssize_t size;
        int rc = -1;

        if (utf8 && !PyBytes_AsStringAndSize(utf8, &data, &size))
            rc = sl_frame_put(enc, FRAME_LOG, SL_NOTE_LEVEL, data, (size_t)size);
        Py_XDECREF(utf8);
        if (rc)
            return -1;
    }
    return count > 0 && (PyList_SetSlice(enc->notes, 0, count, NULL) || sl_flush(enc)) ? -1 : 0;
}
