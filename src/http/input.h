/* input.h - checks of JSON bodies, by tables.
 *
 * What the table names is brought into one form: numbers given as text ("360") become numbers, "true" a boolean; null counts as
 * not given and is removed, but where it means something (SL_IN_NULL). What it does not name is left alone: clients of next year
 * send fields we do not know.
 */
#ifndef SL_HTTP_INPUT_H
#define SL_HTTP_INPUT_H

#include "http/call.h"

enum sl_input_type {
    SL_IN_TEXT,
    SL_IN_WORD,
    SL_IN_INT,
    SL_IN_BOOL,
    SL_IN_OBJECT,
    SL_IN_ARRAY,
    SL_IN_ANY
};

enum sl_input_flag {
    SL_IN_MUST = 1, /* has to be there */
    SL_IN_NULL = 2, /* null is kept */
};

struct sl_input {
    const char *name; /* NULL ends the table */
    enum sl_input_type type;
    unsigned flags;
    const char *words; /* of SL_IN_WORD: "a|b" */
    int64_t min, max;  /* of an int; of the length of a text (max 0: 255) */
};

/* False has answered 400, naming the field. `where` is "" or "config." */
bool sl_input_check(struct sl_call *c, json_t *object, const struct sl_input *inputs,
                    const char *where);
/* Whether the object has one of the table's fields. */
bool sl_input_any(const json_t *object, const struct sl_input *inputs);

/* After a check: the field, or `otherwise`. */
const char *sl_in_text(const json_t *o, const char *name, const char *otherwise);
int64_t sl_in_int(const json_t *o, const char *name, int64_t otherwise);
bool sl_in_bool(const json_t *o, const char *name, bool otherwise);

/* The text of member `name` of the object that `text` is (valid JSON), exactly as it was sent: numbers of any size survive.
 * False when it has none. */
bool sl_raw_member(struct sl_bytes text, const char *name, struct sl_bytes *out);

#endif
