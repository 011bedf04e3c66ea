#include "wire/frame.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

static void
pair(int sv[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sv), 0);
}

static void
whole_frames_whatever_the_cuts(void **state)
{
    char bytes[] = "\x03\x00\x00\x00\x0a\x07\x00\x00"
                   "abc"
                   "\x00\x00\x00\x00\x0d\x00\x00\x00";
    struct sl_frames fr;
    struct sl_frame f;
    struct sl_err err;
    int sv[2], seen = 0;

    (void)state;
    pair(sv);
    sl_frames_init(&fr, sv[0]);
    for (size_t i = 0; i < sizeof bytes - 1; i++) {
        assert_int_equal(write(sv[1], bytes + i, 1), 1);
        if (sl_frames_next(&fr, 0, &f, &err) != 1)
            continue;
        if (seen++ == 0) {
            assert_int_equal(f.type, 10);
            assert_int_equal(f.id, 7);
            assert_memory_equal(f.ptr, "abc", 3);
        } else {
            assert_int_equal(f.type, 13);
            assert_int_equal(f.len, 0);
        }
    }
    assert_int_equal(seen, 2);
    close(sv[1]);
    assert_int_equal(sl_frames_next(&fr, 0, &f, &err), 2);
    sl_frames_free(&fr);
    close(sv[0]);
}

static void
too_long_and_cut_frames(void **state)
{
    struct sl_frames fr;
    struct sl_frame f;
    struct sl_err err;
    int sv[2];

    (void)state;
    pair(sv);
    sl_frames_init(&fr, sv[0]);
    assert_int_equal(write(sv[1], "\xff\xff\xff\xff\x05\x00\x00\x00", 8), 8);
    assert_int_equal(sl_frames_next(&fr, 0, &f, &err), SL_E_PROTOCOL);
    sl_frames_free(&fr);
    close(sv[0]);
    close(sv[1]);
    pair(sv);
    sl_frames_init(&fr, sv[0]);
    assert_int_equal(write(sv[1],
                           "\x09\x00\x00\x00\x05\x00\x00\x00"
                           "ab",
                           10),
                     10);
    close(sv[1]);
    assert_int_equal(sl_frames_next(&fr, 1000000, &f, &err), SL_E_PROTOCOL);
    assert_non_null(strstr(err.text, "frame 1"));
    sl_frames_free(&fr);
    close(sv[0]);
}

static void
a_reader_that_does_not_read(void **state)
{
    struct sl_bytes part = { NULL, 8 << 20 };
    struct sl_err err;
    char *big = sl_zalloc(part.len, 1);
    int sv[2];

    (void)state;
    pair(sv);
    part.ptr = big;
    assert_int_equal(sl_frame_write(sv[0], SL_F_START, 0, &part, 1, 20000, &err), SL_E_TIMEOUT);
    free(big);
    close(sv[0]);
    close(sv[1]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_frames_whatever_the_cuts),
        cmocka_unit_test(too_long_and_cut_frames),
        cmocka_unit_test(a_reader_that_does_not_read),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
