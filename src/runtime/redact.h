/* redact.h - replaces configured values in everything that is shown, in every form they are likely to take.
 *
 * What is hidden: values of 8 bytes and more; of 4 to 7 if the key's name says key, token, secret, pass, auth, cred or
 * sign. Never booleans, short numbers and ISO dates. Also URL-encoded, escaped as in JSON and Python's repr, and
 * base64 at each of its three alignments.
 *
 * Threads: a redactor does not change after sl_redact_add; a stream belongs to one thread at a time.
 */
#ifndef SL_RUNTIME_REDACT_H
#define SL_RUNTIME_REDACT_H

#include "base/buf.h"

#include <stdbool.h>

#define SL_REDACTED "******"

struct sl_redact;

struct sl_redact *sl_redact_new(void);
/* Whether a key's name says that its value is a secret. */
bool sl_redact_says_secret(const char *key);
/* `secret`: the form says that it is a password. Call before the first use. */
void sl_redact_add(struct sl_redact *red, const char *key, const char *value, bool secret);
void sl_redact_free(struct sl_redact *red); /* NULL is fine */

/* Appends text with everything hidden that is hidden. */
void sl_redact_text(const struct sl_redact *red, const char *text, size_t len, struct sl_buf *out);

/* A stream that is cut anywhere: the end of a piece that may be the beginning of a value waits for the next piece. */
struct sl_redact_stream {
    const struct sl_redact *red;
    struct sl_buf held;
    size_t covered; /* so many bytes of `held` belong to a value already shown as ****** */
};

void sl_redact_stream_init(struct sl_redact_stream *st, const struct sl_redact *red);
/* Appends what can be shown. `end`: nothing follows, all is shown. */
void sl_redact_stream_put(struct sl_redact_stream *st, const char *text, size_t len, bool end,
                          struct sl_buf *out);
void sl_redact_stream_free(struct sl_redact_stream *st);

#endif
