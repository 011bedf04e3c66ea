/* cell.h - one value, its text form, and its conversion to a column's type.
 *
 * A decoded cell points into the frame it came from; a converted one may point into the arena it was given.
 * The text form is the only one a value has in this product (widening an old column, _fivetran_id, JSON of a scalar):
 *   integers decimal · floats Python's shortest repr · booleans true/false · dates ISO · UTC datetimes ISO with Z,
 *   microseconds only if present · binary base64 · decimals plain, without trailing zeros after the point.
 */
#ifndef SL_MODEL_CELL_H
#define SL_MODEL_CELL_H

#include "base/arena.h"
#include "base/buf.h"
#include "model/type.h"

struct sl_cell {
    enum sl_tag tag;
    uint32_t len; /* of ptr */
    union {
        int64_t i; /* LONG, DATE (days), *_DATETIME (microseconds) */
        double d;
        const char *ptr; /* STRING, BINARY, JSON, BIGINT, DECIMAL text: len bytes, no NUL */
        __int128 dec;    /* a converted DECIMAL: unscaled value at the column's scale; len is 0 */
    };
};

/* Reads the cell at *p (at most `end`), moves *p past it. Returns false if it is malformed. Does not check text. */
static inline bool sl_cell_read(const char **p, const char *end, struct sl_cell *c);

/* The text form, allocated in the arena. Returns false without memory. NULL and ABSENT have none. */
bool sl_cell_text(const struct sl_cell *c, struct sl_arena *arena, struct sl_bytes *out);

/* Converts to the form a column of type `to` stores: the tag of that type, or NULL. A DECIMAL becomes `dec`.
 * `from_json` cells entering a STRING column keep their JSON text. Fails (SL_E_DATA) only if the value cannot be
 * expressed, which a join that includes this cell rules out. */
SL_MUST_CHECK sl_rc sl_cell_convert(const struct sl_cell *in, struct sl_coltype to,
                                    struct sl_arena *arena, struct sl_cell *out,
                                    struct sl_err *err);

/* For destinations that cannot keep U+0000: makes it U+FFFD in the text of a STRING and in the escapes of a JSON cell. *changed tells
 * how many there were. */
SL_MUST_CHECK sl_rc sl_cell_without_nul(struct sl_cell *c, struct sl_arena *arena,
                                        uint64_t *changed, struct sl_err *err);

/* Digits before and after the point of a BIGINT or DECIMAL text, sign and needless zeros not counted.
 * Returns false if it is not `-?digits[.digits]`. */
bool sl_decimal_digits(const char *s, size_t len, unsigned *before, unsigned *after);

/* The text of an unscaled decimal, without trailing zeros after the point. out needs 48 bytes. Returns the length. */
size_t sl_dec_text(__int128 unscaled, unsigned scale, char out[48]);

/* "YYYY-MM-DD" and "YYYY-MM-DDTHH:MM:SS[.ffffff]"; `utc` adds Z. out needs 40 bytes. Returns the length. */
size_t sl_date_text(int64_t days, char out[40]);
size_t sl_datetime_text(int64_t us, bool utc, char out[40]);

static inline bool
sl_cell_read(const char **p, const char *end, struct sl_cell *c)
{
    const char *s = *p;
    int32_t day;

    if (s == end)
        return false;
    c->len = 0;
    c->tag = (enum sl_tag)(unsigned char)*s++;
    switch (c->tag) {
    case SL_C_NULL:
    case SL_C_FALSE:
    case SL_C_TRUE:
    case SL_C_ABSENT:
        break;
    case SL_C_LONG:
    case SL_C_DOUBLE:
    case SL_C_NAIVE_DATETIME:
    case SL_C_UTC_DATETIME:
        if (end - s < 8)
            return false;
        memcpy(&c->i, s, 8);
        s += 8;
        break;
    case SL_C_DATE:
        if (end - s < 4)
            return false;
        memcpy(&day, s, 4);
        c->i = day;
        s += 4;
        break;
    case SL_C_STRING:
    case SL_C_BINARY:
    case SL_C_JSON:
    case SL_C_BIGINT:
    case SL_C_DECIMAL:
        if (end - s < 4)
            return false;
        memcpy(&c->len, s, 4);
        s += 4;
        if ((size_t)(end - s) < c->len)
            return false;
        c->ptr = s;
        s += c->len;
        break;
    default:
        return false;
    }
    *p = s;
    return true;
}

#endif
