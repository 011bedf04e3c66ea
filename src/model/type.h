/* type.h - column types and the lattice they widen in. Pure: no I/O, no allocation.
 *
 * A declared column has the type its author asked for and never widens. An undeclared one has the join of all kinds of
 * values ever seen in it. While rows are staged the engine only notes what it saw (struct sl_seen); the type is
 * worked out once, at the commit: sl_type_join().
 */
#ifndef SL_MODEL_TYPE_H
#define SL_MODEL_TYPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum sl_type {
    SL_T_NONE, /* only NULL so far */
    SL_T_BOOLEAN,
    SL_T_SHORT,
    SL_T_INT,
    SL_T_LONG,
    SL_T_DECIMAL,
    SL_T_FLOAT,
    SL_T_DOUBLE,
    SL_T_NAIVE_DATE,
    SL_T_NAIVE_DATETIME,
    SL_T_UTC_DATETIME,
    SL_T_BINARY,
    SL_T_XML,
    SL_T_STRING,
    SL_T_JSON,
    SL_T_COUNT
};

struct sl_coltype {
    enum sl_type type;
    uint8_t precision, scale; /* of SL_T_DECIMAL */
};

/* Cell tags of the frame protocol (docs/protocol.md). */
enum sl_tag {
    SL_C_NULL,
    SL_C_FALSE,
    SL_C_TRUE,
    SL_C_LONG,
    SL_C_DOUBLE,
    SL_C_STRING,
    SL_C_BINARY,
    SL_C_JSON,
    SL_C_BIGINT,
    SL_C_DECIMAL,
    SL_C_DATE,
    SL_C_NAIVE_DATETIME,
    SL_C_UTC_DATETIME,
    SL_C_ABSENT,
    SL_C_COUNT
};

/* What was seen in a column since its type was last settled. */
struct sl_seen {
    uint32_t tags;      /* bit per enum sl_tag */
    bool inexact;       /* an integer beyond ±2^53 */
    uint8_t int_digits; /* most digits before the point, of BIGINT and DECIMAL; 255: more than 38 */
    uint8_t scale;      /* most digits after the point, trailing zeros not counted */
};

/* Facts about the values a column holds in the destination, asked for only where the join depends on them. */
struct sl_stored {
    bool inexact;       /* of a LONG column */
    uint8_t int_digits; /* of LONG and DECIMAL columns */
};

#define SL_EXACT_INT ((int64_t)1 << 53)

/* The name as authors write it ("NAIVE_DATE"); a DECIMAL without its numbers. Static. */
const char *sl_type_name(enum sl_type type);
/* "DECIMAL(38,2)" and so on into out (24 bytes is enough). Returns out. */
char *sl_coltype_text(struct sl_coltype t, char out[24]);
bool sl_type_parse(const char *name, size_t len, enum sl_type *type);
bool sl_coltype_eq(struct sl_coltype a, struct sl_coltype b);

/* Whether the join of `now` and `seen` depends on values already stored. */
bool sl_join_needs_stored(struct sl_coltype now, const struct sl_seen *seen);
/* The join. `now` is SL_T_NONE for a column without a type; `stored` may be zero when not needed. */
struct sl_coltype sl_type_join(struct sl_coltype now, const struct sl_seen *seen,
                               struct sl_stored stored);
/* Whether a cell of this tag is what a column declared as t must carry. NULL and ABSENT always are. */
bool sl_tag_fits(enum sl_tag tag, enum sl_type t);

#endif
