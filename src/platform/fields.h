/* fields.h - what the store's records consist of, as tables: the only place where their fields are listed.
 *
 * SQL, freeing, the rotation of the master key and `sluiced show` read them.
 */
#ifndef SL_PLATFORM_FIELDS_H
#define SL_PLATFORM_FIELDS_H

#include "platform/store.h"

enum sl_field_type { SL_FIELD_TEXT, SL_FIELD_INT, SL_FIELD_BOOL };

#define SL_FIELD_LARGE 1u  /* left out of light reads */
#define SL_FIELD_SEALED 2u /* a sealed value; its owner is "<kind>:<id>" (vault.h) */
#define SL_FIELD_HIDDEN 4u /* a hash that nobody needs to see */

struct sl_field {
    const char *name;
    enum sl_field_type type;
    size_t offset;
    unsigned flags;
};

/* The first field is "id"; seq and light stand in every record and not here. */
struct sl_kind_def {
    const char *name; /* in messages, and of its table */
    size_t size;
    const struct sl_field *fields;
    int nfields;
};

/* What every record begins with. */
struct sl_record {
    char *id;
    int64_t seq;
    bool light;
};

const struct sl_kind_def *sl_kind_def(enum sl_kind kind);
/* NULL when the kind has none of that name. */
const struct sl_field *sl_field_of(enum sl_kind kind, const char *name);

static inline char **
sl_field_text(const struct sl_field *f, void *rec)
{
    return (char **)((char *)rec + f->offset);
}

static inline int64_t *
sl_field_int(const struct sl_field *f, void *rec)
{
    return (int64_t *)((char *)rec + f->offset);
}

static inline bool *
sl_field_bool(const struct sl_field *f, void *rec)
{
    return (bool *)((char *)rec + f->offset);
}

#endif
