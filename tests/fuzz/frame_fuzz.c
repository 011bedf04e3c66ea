/* What a connector may send, as the fuzzer likes: bytes after a good HELLO go through decoder, stage, fold and a destination that only
 * counts. Nothing may crash, leak or hang; every outcome but that is an ordinary result. */
#include "engine/session.h"
#include "wire/frame.h"

#include <stdint.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char hello[] = "\x0e\x00\x00\x00\x01\x00\x00\x00{\"protocol\":1}";
    static const struct sl_sink sink;
    struct sl_session_result res;
    struct sl_err err;
    int sv[2];

    /* All of it must fit the socket's buffer: one thread plays both sides. */
    if (size > 1 << 16 || socketpair(AF_UNIX, SOCK_STREAM, 0, sv) != 0)
        return 0;
    if (write(sv[1], hello, sizeof hello - 1) == (ssize_t)sizeof hello - 1 &&
        write(sv[1], data, size) == (ssize_t)size) {
        struct sl_session_conf conf = {
            .destination = "null",
            .location = "",
            .spill_dir = "/tmp",
            .connection = "fuzz",
            .mode = "sync",
            .configuration = SL_LIT("{}"),
            .log_level = SL_INFO,
            .fd = sv[0],
            .sink = &sink,
            .commit_bytes = 2000,
            .slice_bytes = 4000,
            .buffer_bytes = 1000,
        };

        shutdown(sv[1], SHUT_WR);
        if (sl_session_run(&conf, &res, &err) == 0 && res.counts.commits == 0 &&
            res.counts.upserts > 0)
            abort(); /* success without a commit */
        sl_session_result_free(&res);
    } else {
        close(sv[0]);
    }
    close(sv[1]);
    return 0;
}
