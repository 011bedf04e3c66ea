#include "model/type.h"

#include <stdio.h>
#include <string.h>

static const char *const type_names[SL_T_COUNT] = {
    [SL_T_NONE] = "NONE",
    [SL_T_BOOLEAN] = "BOOLEAN",
    [SL_T_SHORT] = "SHORT",
    [SL_T_INT] = "INT",
    [SL_T_LONG] = "LONG",
    [SL_T_DECIMAL] = "DECIMAL",
    [SL_T_FLOAT] = "FLOAT",
    [SL_T_DOUBLE] = "DOUBLE",
    [SL_T_NAIVE_DATE] = "NAIVE_DATE",
    [SL_T_NAIVE_DATETIME] = "NAIVE_DATETIME",
    [SL_T_UTC_DATETIME] = "UTC_DATETIME",
    [SL_T_BINARY] = "BINARY",
    [SL_T_XML] = "XML",
    [SL_T_STRING] = "STRING",
    [SL_T_JSON] = "JSON",
};

/* The tags a type's own values have. */
static const uint32_t type_tags[SL_T_COUNT] = {
    [SL_T_BOOLEAN] = 1u << SL_C_FALSE | 1u << SL_C_TRUE,
    [SL_T_SHORT] = 1u << SL_C_LONG,
    [SL_T_INT] = 1u << SL_C_LONG,
    [SL_T_LONG] = 1u << SL_C_LONG,
    [SL_T_DECIMAL] = 1u << SL_C_DECIMAL,
    [SL_T_FLOAT] = 1u << SL_C_DOUBLE,
    [SL_T_DOUBLE] = 1u << SL_C_DOUBLE,
    [SL_T_NAIVE_DATE] = 1u << SL_C_DATE,
    [SL_T_NAIVE_DATETIME] = 1u << SL_C_NAIVE_DATETIME,
    [SL_T_UTC_DATETIME] = 1u << SL_C_UTC_DATETIME,
    [SL_T_BINARY] = 1u << SL_C_BINARY,
    [SL_T_XML] = 1u << SL_C_STRING,
    [SL_T_STRING] = 1u << SL_C_STRING,
    [SL_T_JSON] = 1u << SL_C_JSON,
};

const char *
sl_type_name(enum sl_type type)
{
    return type_names[type];
}

char *
sl_coltype_text(struct sl_coltype t, char out[24])
{
    if (t.type == SL_T_DECIMAL)
        snprintf(out, 24, "DECIMAL(%u,%u)", t.precision, t.scale);
    else
        snprintf(out, 24, "%s", type_names[t.type]);
    return out;
}

bool
sl_type_parse(const char *name, size_t len, enum sl_type *type)
{
    for (int i = SL_T_BOOLEAN; i < SL_T_COUNT; i++)
        if (strlen(type_names[i]) == len && memcmp(type_names[i], name, len) == 0) {
            *type = (enum sl_type)i;
            return true;
        }
    return false;
}

bool
sl_coltype_eq(struct sl_coltype a, struct sl_coltype b)
{
    return a.type == b.type && a.precision == b.precision && a.scale == b.scale;
}

bool
sl_tag_fits(enum sl_tag tag, enum sl_type t)
{
    return tag == SL_C_NULL || tag == SL_C_ABSENT || (type_tags[t] >> tag & 1);
}

#define BIT(tag) (1u << (tag))
#define BOOLEANS (BIT(SL_C_FALSE) | BIT(SL_C_TRUE))
#define EXACT (BIT(SL_C_LONG) | BIT(SL_C_BIGINT) | BIT(SL_C_DECIMAL))
#define NUMBERS (EXACT | BIT(SL_C_DOUBLE))
#define NAIVE (BIT(SL_C_DATE) | BIT(SL_C_NAIVE_DATETIME))

static uint32_t
all_tags(struct sl_coltype now, const struct sl_seen *seen)
{
    return (seen->tags & ~(BIT(SL_C_NULL) | BIT(SL_C_ABSENT))) | type_tags[now.type];
}

#define NO_STEP 255

/* DECIMAL(38,s): the scale grows in steps, so that a column is not altered for each new digit. */
static uint8_t
scale_step(uint8_t scale)
{
    static const uint8_t steps[] = { 0, 2, 6, 10, 18 };

    for (size_t i = 0; i < sizeof steps; i++)
        if (steps[i] >= scale)
            return steps[i];
    return NO_STEP;
}

bool
sl_join_needs_stored(struct sl_coltype now, const struct sl_seen *seen)
{
    uint32_t tags = all_tags(now, seen);

    if (tags & ~NUMBERS)
        return false;
    if (now.type == SL_T_LONG)
        return (tags & ~BIT(SL_C_LONG)) != 0;
    return now.type == SL_T_DECIMAL &&
           scale_step(seen->scale > now.scale ? seen->scale : now.scale) != now.scale;
}

static struct sl_coltype
join_decimal(struct sl_coltype now, const struct sl_seen *seen, struct sl_stored stored)
{
    uint8_t scale = seen->scale, digits = seen->int_digits;

    if (now.type == SL_T_DECIMAL && now.scale > scale)
        scale = now.scale;
    if (digits < stored.int_digits)
        digits = stored.int_digits;
    if (seen->tags & BIT(SL_C_LONG) && digits < 19)
        digits = 19;
    scale = scale_step(scale);
    if (scale == NO_STEP || digits + scale > 38)
        return (struct sl_coltype){ SL_T_STRING, 0, 0 };
    return (struct sl_coltype){ SL_T_DECIMAL, 38, scale };
}

static struct sl_coltype
join_numbers(uint32_t tags, struct sl_coltype now, const struct sl_seen *seen,
             struct sl_stored stored)
{
    struct sl_coltype string = { SL_T_STRING, 0, 0 }, dbl = { SL_T_DOUBLE, 0, 0 };

    if (tags == BIT(SL_C_LONG))
        return (struct sl_coltype){ SL_T_LONG, 0, 0 };
    if (tags == BIT(SL_C_DOUBLE))
        return dbl;
    if (tags == (BIT(SL_C_LONG) | BIT(SL_C_DOUBLE)))
        return seen->inexact || stored.inexact ? string : dbl;
    if (tags & BIT(SL_C_DOUBLE))
        return string;
    return join_decimal(now, seen, stored);
}

struct sl_coltype
sl_type_join(struct sl_coltype now, const struct sl_seen *seen, struct sl_stored stored)
{
    uint32_t tags = all_tags(now, seen);
    enum sl_type t = SL_T_STRING;

    if (tags == 0 || tags == type_tags[now.type]) {
        if (now.type != SL_T_DECIMAL)
            return now; /* nothing new, or more of the same */
    }
    if (tags & BIT(SL_C_JSON))
        t = SL_T_JSON; /* also with BINARY: docs/decisions/0004 */
    else if (tags == BIT(SL_C_BINARY))
        t = SL_T_BINARY;
    else if ((tags & ~BOOLEANS) == 0)
        t = SL_T_BOOLEAN;
    else if ((tags & ~NUMBERS) == 0)
        return join_numbers(tags, now, seen, stored);
    else if (tags == BIT(SL_C_DATE))
        t = SL_T_NAIVE_DATE;
    else if ((tags & ~NAIVE) == 0)
        t = SL_T_NAIVE_DATETIME;
    else if (tags == BIT(SL_C_UTC_DATETIME))
        t = SL_T_UTC_DATETIME;
    return (struct sl_coltype){ t, 0, 0 };
}
