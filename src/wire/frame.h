/* frame.h - frames between connector and engine (docs/protocol.md).
 *
 * A reader owns a buffer and reads ahead; a frame it lends points into that buffer until the next call.
 * The bytes come from untrusted code: every length is checked here, what a frame means is the session's to check.
 */
#ifndef SL_WIRE_FRAME_H
#define SL_WIRE_FRAME_H

#include "base/buf.h"

#define SL_PROTOCOL 2
/* The oldest that an engine speaks: 1 has no forms. */
#define SL_PROTOCOL_OLDEST 1
/* One frame: a value of the largest size a row may hold, twice over. */
#define SL_FRAME_MAX ((size_t)1 << 30)
#define SL_FRAME_HEAD 8

enum sl_frame_type {
    SL_F_HELLO = 1,
    SL_F_SCHEMA,
    SL_F_TABLE,
    SL_F_SHAPE,
    SL_F_UPSERT,
    SL_F_UPDATE,
    SL_F_DELETE,
    SL_F_TRUNCATE,
    SL_F_CHECKPOINT,
    SL_F_LOG,
    SL_F_WARNING,
    SL_F_ERROR,
    SL_F_DONE,
    SL_F_FORM,
    SL_F_TEST,
    SL_F_START = 65,
    SL_F_STOP,
    SL_F_ACK,
    SL_F_PREPARE = 100 /* SDK → engine it started: what the command line would have said */
};

struct sl_frame {
    uint8_t type;
    uint32_t id; /* 24 bits */
    uint32_t len;
    const char *ptr; /* the payload; the 8 bytes before it are the header */
};

struct sl_frames {
    int fd;
    char *buf;
    size_t cap, begin, end; /* unread bytes are buf[begin..end) */
    uint64_t count;         /* frames lent so far: the number errors name */
    size_t max; /* longest frame it takes; set after init if it is less than SL_FRAME_MAX */
    bool eof;
    int64_t waited_us; /* spent waiting for the other side */
};

void sl_frames_init(struct sl_frames *fr, int fd);
void sl_frames_free(struct sl_frames *fr);

/* Lends the next frame. Returns 1; 0 if none is complete yet and `timeout_us` passed; 2 at the end of the stream (at a frame's
 * border); or a negative code: SL_E_PROTOCOL for a malformed or cut frame, SL_E_IO. timeout 0 does not wait. */
int sl_frames_next(struct sl_frames *fr, int64_t timeout_us, struct sl_frame *f,
                   struct sl_err *err);

/* Writes one frame whole, waiting at most timeout_us for the other side to take it. */
SL_MUST_CHECK sl_rc sl_frame_write(int fd, uint8_t type, uint32_t id, const struct sl_bytes *parts,
                                   int nparts, int64_t timeout_us, struct sl_err *err);

/* Little-endian number at *p, moving it; false past the end. */
bool sl_read_u32(const char **p, const char *end, uint32_t *v);
/* A u32 length and that many bytes. */
bool sl_read_text(const char **p, const char *end, struct sl_bytes *out);

#endif
