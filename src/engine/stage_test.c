#include "engine/stage.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

struct record {
    char head[SL_FRAME_HEAD];
    char data[40];
};

static void
append(struct sl_spool *sp, struct sl_stage *st, uint32_t n)
{
    struct record r = { 0 };
    struct sl_frame f = { SL_F_UPSERT, n, sizeof r.data, r.data };
    uint32_t head[2] = { sizeof r.data, SL_F_UPSERT | n << 8 };
    struct sl_err err;

    memcpy(r.head, head, sizeof head);
    memcpy(r.data, &n, sizeof n);
    assert_int_equal(sl_stage_append(sp, st, &f, &err), 0);
    st->upserts++;
}

/* Reads from `at` and expects n, n+1 … up to before `end`. */
static void
expect(struct sl_spool *sp, struct sl_stage *st, uint32_t n, uint32_t end)
{
    struct sl_stage_reader r;
    struct sl_frame f;
    struct sl_err err;
    uint32_t v;

    sl_stage_reader_init(&r, sp, st, (uint64_t)n * sizeof(struct record));
    for (; n < end; n++) {
        assert_int_equal(sl_stage_reader_next(&r, &f, &err), 1);
        memcpy(&v, f.ptr, sizeof v);
        assert_int_equal(v, n);
        assert_int_equal(f.id, n);
    }
    assert_int_equal(sl_stage_reader_next(&r, &f, &err), 0);
    sl_stage_reader_free(&r);
}

/* Two tables, a budget that spills every few rows, a cut at each possible place. */
static void
rows_come_back_in_order_through_spill_and_cut(void **state)
{
    for (uint32_t sealed = 0; sealed <= 40; sealed++) {
        struct sl_table a = { 0 }, b = { 0 };
        struct sl_spool sp;
        struct sl_stage *sa, *sb;
        struct sl_frame f;
        struct sl_buf buf;
        struct sl_err err;

        (void)state;
        sl_spool_init(&sp, "/tmp", 5 * sizeof(struct record));
        sa = sl_spool_stage(&sp, &a);
        sb = sl_spool_stage(&sp, &b);
        for (uint32_t i = 0; i < 40; i++) {
            if (i == sealed)
                sl_spool_seal(&sp);
            append(&sp, sa, i);
            if (i % 3 == 0)
                append(&sp, sb, i / 3);
        }
        if (sealed == 40)
            sl_spool_seal(&sp);
        assert_true(sa->nextents > 1);
        expect(&sp, sa, 0, 40);
        expect(&sp, sa, 17, 40);
        sl_buf_init(&buf, 1 << 20);
        assert_int_equal(sl_stage_fetch(&sp, sa, 11 * sizeof(struct record), &buf, &f, &err), 0);
        assert_int_equal(f.id, 11);
        sl_buf_free(&buf);
        assert_int_equal(sl_spool_discard_unsealed(&sp), (40 - sealed) + (14 - (sealed + 2) / 3));
        expect(&sp, sa, 0, sealed);
        expect(&sp, sb, 0, (sealed + 2) / 3);
        append(&sp, sa, sealed);
        expect(&sp, sa, 0, sealed + 1);
        sl_spool_clear(&sp);
        assert_null(a.stage);
        sl_spool_free(&sp);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(
        rows_come_back_in_order_through_spill_and_cut) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
