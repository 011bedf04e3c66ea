#include "model/type.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static struct sl_seen
saw(enum sl_tag tag)
{
    struct sl_seen s = { .tags = 1u << tag };

    if (tag == SL_C_BIGINT)
        s.int_digits = 20;
    if (tag == SL_C_DECIMAL) {
        s.int_digits = 3;
        s.scale = 2;
    }
    return s;
}

static struct sl_seen
both(struct sl_seen a, struct sl_seen b)
{
    return (struct sl_seen){
        .tags = a.tags | b.tags,
        .inexact = a.inexact || b.inexact,
        .int_digits = a.int_digits > b.int_digits ? a.int_digits : b.int_digits,
        .scale = a.scale > b.scale ? a.scale : b.scale,
    };
}

static struct sl_coltype
join(struct sl_coltype now, struct sl_seen seen)
{
    return sl_type_join(now, &seen, (struct sl_stored){ 0 });
}

static const struct sl_coltype none = { SL_T_NONE, 0, 0 };

/* What two kinds in one column become; the table of the semantics. */
static void
pairs(void **state)
{
    static const struct {
        enum sl_tag a, b;
        const char *type;
    } table[] = {
        { SL_C_TRUE, SL_C_FALSE, "BOOLEAN" },
        { SL_C_TRUE, SL_C_LONG, "STRING" },
        { SL_C_TRUE, SL_C_STRING, "STRING" },
        { SL_C_LONG, SL_C_LONG, "LONG" },
        { SL_C_LONG, SL_C_BIGINT, "DECIMAL(38,0)" },
        { SL_C_LONG, SL_C_DOUBLE, "DOUBLE" },
        { SL_C_LONG, SL_C_DECIMAL, "DECIMAL(38,2)" },
        { SL_C_LONG, SL_C_STRING, "STRING" },
        { SL_C_DOUBLE, SL_C_DECIMAL, "STRING" },
        { SL_C_DOUBLE, SL_C_BIGINT, "STRING" },
        { SL_C_DATE, SL_C_NAIVE_DATETIME, "NAIVE_DATETIME" },
        { SL_C_DATE, SL_C_UTC_DATETIME, "STRING" },
        { SL_C_NAIVE_DATETIME, SL_C_UTC_DATETIME, "STRING" },
        { SL_C_DATE, SL_C_LONG, "STRING" },
        { SL_C_BINARY, SL_C_BINARY, "BINARY" },
        { SL_C_BINARY, SL_C_STRING, "STRING" },
        { SL_C_BINARY, SL_C_JSON, "JSON" },
        { SL_C_JSON, SL_C_LONG, "JSON" },
        { SL_C_JSON, SL_C_STRING, "JSON" },
        { SL_C_JSON, SL_C_DATE, "JSON" },
        { SL_C_NULL, SL_C_NULL, "NONE" },
        { SL_C_NULL, SL_C_DATE, "NAIVE_DATE" },
    };
    char text[24];

    (void)state;
    for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
        struct sl_seen a = saw(table[i].a), b = saw(table[i].b);

        assert_string_equal(sl_coltype_text(join(none, both(a, b)), text), table[i].type);
        /* the same over two commits, in either order */
        assert_string_equal(sl_coltype_text(join(join(none, a), b), text), table[i].type);
        assert_string_equal(sl_coltype_text(join(join(none, b), a), text), table[i].type);
    }
}

/* A value's kind stays expressible: joining never goes back to a type that would not take it. */
static void
only_widens(void **state)
{
    (void)state;
    for (int a = SL_C_FALSE; a < SL_C_ABSENT; a++)
        for (int b = SL_C_FALSE; b < SL_C_ABSENT; b++)
            for (int c = SL_C_FALSE; c < SL_C_ABSENT; c++) {
                struct sl_coltype one = join(
                    join(join(none, saw((enum sl_tag)a)), saw((enum sl_tag)b)),
                    saw((enum sl_tag)c));
                struct sl_coltype again = join(one, saw((enum sl_tag)a));

                assert_true(sl_coltype_eq(one, again));
            }
}

static void
integers_beyond_double(void **state)
{
    struct sl_seen seen = { .tags = 1u << SL_C_LONG | 1u << SL_C_DOUBLE, .inexact = true };
    struct sl_coltype stored = { SL_T_LONG, 0, 0 };
    struct sl_seen dbl = saw(SL_C_DOUBLE);

    (void)state;
    assert_int_equal(join(none, seen).type, SL_T_STRING);
    assert_true(sl_join_needs_stored(stored, &dbl));
    assert_int_equal(sl_type_join(stored, &dbl, (struct sl_stored){ .inexact = true }).type,
                     SL_T_STRING);
    assert_int_equal(sl_type_join(stored, &dbl, (struct sl_stored){ 0 }).type, SL_T_DOUBLE);
}

static void
decimal_scales_grow_in_steps(void **state)
{
    static const struct {
        uint8_t digits, scale;
        const char *type;
    } cases[] = {
        { 5, 0, "DECIMAL(38,0)" },    { 5, 1, "DECIMAL(38,2)" },  { 5, 2, "DECIMAL(38,2)" },
        { 5, 3, "DECIMAL(38,6)" },    { 5, 7, "DECIMAL(38,10)" }, { 5, 11, "DECIMAL(38,18)" },
        { 20, 18, "DECIMAL(38,18)" }, { 21, 18, "STRING" },       { 5, 19, "STRING" },
        { 38, 0, "DECIMAL(38,0)" },   { 255, 0, "STRING" },
    };
    struct sl_coltype stored = { SL_T_DECIMAL, 38, 2 };
    char text[24];

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct sl_seen s = { .tags = 1u << SL_C_DECIMAL,
                             .int_digits = cases[i].digits,
                             .scale = cases[i].scale };

        assert_string_equal(sl_coltype_text(join(none, s), text), cases[i].type);
    }
    /* a stored 30-digit number leaves room for a scale of 6, not of 10 */
    for (uint8_t scale = 6; scale <= 10; scale += 4) {
        struct sl_seen s = { .tags = 1u << SL_C_DECIMAL, .int_digits = 1, .scale = scale };

        assert_true(sl_join_needs_stored(stored, &s));
        sl_coltype_text(sl_type_join(stored, &s, (struct sl_stored){ .int_digits = 30 }), text);
        assert_string_equal(text, scale == 6 ? "DECIMAL(38,6)" : "STRING");
    }
}

static void
names(void **state)
{
    enum sl_type t;

    (void)state;
    for (int i = SL_T_BOOLEAN; i < SL_T_COUNT; i++) {
        const char *name = sl_type_name((enum sl_type)i);

        assert_true(sl_type_parse(name, strlen(name), &t));
        assert_int_equal(t, i);
    }
    assert_false(sl_type_parse("INTEGER", 7, &t));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(pairs),
        cmocka_unit_test(only_widens),
        cmocka_unit_test(integers_beyond_double),
        cmocka_unit_test(decimal_scales_grow_in_steps),
        cmocka_unit_test(names),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
