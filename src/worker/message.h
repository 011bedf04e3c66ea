/* message.h - what server and engine process say to each other about one session, over its Unix socket.
 *
 * A message is a JSON object, perhaps with bytes behind it that are no business of JSON: a configuration, a state, a log line.
 *   u32 length of the object, u32 length of the bytes, the object, the bytes
 * A descriptor may travel with its first byte. After its request the server sends only single bytes: 1 and 2, the stop flag.
 * Structs are written and read by tables of their fields (the last part).
 */
#ifndef SL_WORKER_MESSAGE_H
#define SL_WORKER_MESSAGE_H

#include "base/buf.h"
#include "engine/session.h"

#include <jansson.h>

/* The control socket: one of these, with a session's socket attached. */
struct sl_control {
    uint32_t idle_seconds;
};

/* Writes all of it, waiting at most timeout_us for the other side. Consumes `head`. pass_fd -1: none. */
SL_MUST_CHECK sl_rc sl_message_send(int fd, json_t *head, const struct sl_bytes *tails, int ntails,
                                    int pass_fd, int64_t timeout_us, struct sl_err *err);

struct sl_inbox {
    int fd;
    int passed; /* descriptor that came along, the taker's to close; -1: none */
    struct sl_buf buf;
    json_t *head; /* of the last message; lent until the next call */
    struct sl_bytes tail;
};

void sl_inbox_init(struct sl_inbox *in, int fd);
/* Wipes and frees; closes neither descriptor. */
void sl_inbox_free(struct sl_inbox *in);
/* 1: a message; 0: none whole within timeout_us; 2: the other side is gone; or a negative code. */
int sl_inbox_next(struct sl_inbox *in, int64_t timeout_us, struct sl_err *err);

/* ---- structs as JSON ---- */

enum sl_field_kind {
    SL_FK_TEXT,  /* const char *: read as lent from the JSON */
    SL_FK_OWN,   /* char *: read as a copy */
    SL_FK_CHARS, /* char[size] */
    SL_FK_BOOL,
    SL_FK_INT,
    SL_FK_U32,
    SL_FK_I64,
    SL_FK_U64,
};

struct sl_field {
    const char *name; /* NULL ends */
    enum sl_field_kind kind;
    size_t offset, size;
};

extern const struct sl_field
    sl_fields_conf[]; /* struct sl_session_conf without texts, fd, sink and stop */
extern const struct sl_field sl_fields_counts[]; /* struct sl_counts */
extern const struct sl_field
    sl_fields_result[]; /* struct sl_session_result without counts and state */
extern const struct sl_field sl_fields_err[];    /* struct sl_err */
extern const struct sl_field sl_fields_report[]; /* struct sl_table_report */

/* The texts of a conf, in the order they travel. */
#define SL_CONF_TEXTS 5
const struct sl_bytes *sl_conf_text(const struct sl_session_conf *conf, int i);

/* Text that is not UTF-8 travels with '?' for its bad bytes. */
json_t *sl_json_text(const char *s);
json_t *sl_fields_pack(const struct sl_field *fields, const void *base);
void sl_fields_unpack(const struct sl_field *fields, const json_t *o, void *base);

json_t *sl_catalog_pack(const struct sl_catalog *cat);
/* Into an sl_catalog that sl_catalog_free() ends. */
void sl_catalog_unpack(const json_t *o, struct sl_catalog *cat);

#endif
