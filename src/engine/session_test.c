/* Several sessions of one process into one DuckDB file, each on its thread, their frames made here by hand. */
#include "engine/session.h"

#include "base/time.h"
#include "destinations/destination.h"
#include "destinations/inspect.h"
#include "wire/frame.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#define SESSIONS 4
#define ROWS 3000
#define WAIT_US ((int64_t)60 * 1000000)
#define SLOW_ROWS 24
#define SLOW_US ((int64_t)120000)

struct rig {
    char name[24];
    const char *dir;
    int theirs; /* the connector's end */
    struct sl_session_conf conf;
    struct sl_session_result res;
    struct sl_err err;
    sl_rc rc;
    struct sl_sink sink;
    bool stopped; /* the connector was told to stop */
};

/* A session that ended early closes the socket: what went wrong is its to say. */
static void
send_frame(int fd, uint8_t type, uint32_t id, struct sl_bytes payload)
{
    struct sl_err err;

    if (sl_frame_write(fd, type, id, &payload, 1, WAIT_US, &err))
        return;
}

static void
put_u32(struct sl_buf *buf, uint32_t v)
{
    sl_buf_addn(buf, &v, 4);
}

static void
put_text(struct sl_buf *buf, const char *s)
{
    put_u32(buf, (uint32_t)strlen(s));
    sl_buf_add(buf, s);
}

/* One row: id, name. */
static void
send_row(int fd, int64_t id)
{
    struct sl_buf row;

    sl_buf_init(&row, 4096);
    sl_buf_addn(&row, "\x03", 1);
    sl_buf_addn(&row, &id, 8);
    sl_buf_addn(&row, "\x05", 1);
    put_text(&row, "a name of more than twelve bytes");
    send_frame(fd, SL_F_UPSERT, 0, (struct sl_bytes){ row.ptr, row.len });
    sl_buf_free(&row);
}

/* As far as the first row. False: the session failed and says why. */
static bool
introduce(struct rig *r, struct sl_frames *in)
{
    struct sl_frame f;
    struct sl_err err = { 0 };
    struct sl_buf b;

    send_frame(r->theirs, SL_F_HELLO, 0, sl_bytes_of("{\"protocol\":1}"));
    if (sl_frames_next(in, WAIT_US, &f, &err) != 1 || f.type != SL_F_START)
        return false;
    sl_buf_init(&b, 4096);
    send_frame(r->theirs, SL_F_SCHEMA, 0,
               sl_bytes_of("{\"tables\":[{\"table\":\"t\",\"primary_key\":[\"id\"]}]}"));
    put_u32(&b, 0);
    sl_buf_add(&b, "t");
    send_frame(r->theirs, SL_F_TABLE, 0, (struct sl_bytes){ b.ptr, b.len });
    b.len = 0;
    put_u32(&b, 0);
    put_u32(&b, 2);
    put_text(&b, "id");
    put_text(&b, "name");
    send_frame(r->theirs, SL_F_SHAPE, 0, (struct sl_bytes){ b.ptr, b.len });
    sl_buf_free(&b);
    return true;
}

static void *
connector(void *arg)
{
    struct rig *r = arg;
    struct sl_frames in;
    char done[200];

    sl_frames_init(&in, r->theirs);
    if (introduce(r, &in)) {
        for (int64_t i = 0; i < ROWS; i++) {
            send_row(r->theirs, i);
            if (i % 1000 == 999)
                send_frame(r->theirs, SL_F_CHECKPOINT, 1, sl_bytes_of("{\"n\":1}"));
        }
        snprintf(done, sizeof done, "{\"upserts\":%d,\"checkpoints\":%d}", ROWS, ROWS / 1000);
        send_frame(r->theirs, SL_F_DONE, 0, sl_bytes_of(done));
    }
    sl_frames_free(&in);
    return NULL;
}

static void *
engine(void *arg)
{
    struct rig *r = arg;

    r->rc = sl_session_run(&r->conf, &r->res, &r->err);
    return NULL;
}

static void
rig_init(struct rig *r, int i, const char *dir, const char *file)
{
    int sv[2];

    *r = (struct rig){ .dir = dir };
    snprintf(r->name, sizeof r->name, "conn_%d", i);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    r->theirs = sv[1];
    r->conf = (struct sl_session_conf){
        .destination = "duckdb",
        .location = file,
        .spill_dir = dir,
        .connection = r->name,
        .mode = "sync",
        .configuration = SL_LIT("{}"),
        .log_level = SL_INFO,
        .ahead_bytes = 4096,
        .fd = sv[0],
        .sink = &r->sink,
    };
}

static void
many_sessions_share_one_file(void **state)
{
    struct rig rigs[SESSIONS];
    pthread_t engines[SESSIONS], connectors[SESSIONS];
    const struct sl_inspect_table *tables;
    struct sl_inspect *in;
    struct sl_err err = { 0 };
    char dir[] = "/tmp/sluice-test-XXXXXX", *file, *wal;

    (void)state;
    assert_non_null(mkdtemp(dir));
    file = sl_sprintf("%s/w.db", dir);
    wal = sl_sprintf("%s.wal", file);
    for (int i = 0; i < SESSIONS; i++) {
        rig_init(&rigs[i], i, dir, file);
        assert_int_equal(pthread_create(&engines[i], NULL, engine, &rigs[i]), 0);
        assert_int_equal(pthread_create(&connectors[i], NULL, connector, &rigs[i]), 0);
    }
    for (int i = 0; i < SESSIONS; i++) {
        pthread_join(connectors[i], NULL);
        pthread_join(engines[i], NULL);
        close(rigs[i].theirs);
        if (rigs[i].rc)
            fail_msg("session %d: %s", i, rigs[i].err.text);
        assert_int_equal(rigs[i].res.counts.inserted, ROWS);
        assert_int_equal(rigs[i].res.counts.commits, ROWS / 1000);
        sl_session_result_free(&rigs[i].res);
    }
    /* The last session closed the file: another program could open it now. */
    assert_int_equal(sl_inspect_open(&in, file, &err), 0);
    assert_int_equal(sl_inspect_tables(in, &tables), SESSIONS);
    for (int i = 0; i < SESSIONS; i++)
        assert_int_equal(tables[i].live_rows, ROWS);
    assert_string_equal(sl_inspect_state(in, "conn_2"), "{\"n\":1}");
    sl_inspect_close(in);
    unlink(file);
    unlink(wal);
    rmdir(dir);
    free(file);
    free(wal);
}

/* Rows without a checkpoint, so many that some go ahead of it; the end when the test says so. */
static void
send_many(struct rig *r, struct sl_frames *in)
{
    sl_frames_init(in, r->theirs);
    if (introduce(r, in))
        for (int64_t i = 0; i < ROWS; i++)
            send_row(r->theirs, i);
}

/* Waits until another session has the writer's turn. */
static void
wait_for_a_writer(struct sl_dest *d)
{
    int64_t until = sl_mono_us() + WAIT_US;
    bool begun = true;

    while (begun && sl_mono_us() < until) {
        assert_int_equal(d->ops->begin_ahead(d, &begun, NULL), 0);
        if (begun)
            d->ops->rollback(d);
        usleep(1000);
    }
    assert_false(begun);
}

/* A transaction that is open for rows still to come ends as soon as another session wants to write. */
static void
who_went_ahead_makes_room(void **state)
{
    struct rig r;
    struct sl_frames in;
    struct sl_dest *other = NULL;
    struct sl_err err = { 0 };
    pthread_t engine_thread;
    char dir[] = "/tmp/sluice-test-XXXXXX", done[64], *file, *wal;
    int64_t begun;

    (void)state;
    assert_non_null(mkdtemp(dir));
    file = sl_sprintf("%s/w.db", dir);
    wal = sl_sprintf("%s.wal", file);
    rig_init(&r, 0, dir, file);
    assert_int_equal(
        sl_destination_find("duckdb")->open(
            &other,
            &(struct sl_dest_conf){ .location = file, .spill_dir = dir, .connection = "other" },
            &err),
        0);
    assert_int_equal(pthread_create(&engine_thread, NULL, engine, &r), 0);
    send_many(&r, &in);
    wait_for_a_writer(other);
    begun = sl_mono_us();
    assert_int_equal(other->ops->begin(other, &err), 0);
    assert_in_range(sl_mono_us() - begun, 0, WAIT_US / 2);
    other->ops->rollback(other);
    snprintf(done, sizeof done, "{\"upserts\":%d}", ROWS);
    send_frame(r.theirs, SL_F_DONE, 0, sl_bytes_of(done));
    pthread_join(engine_thread, NULL);
    if (r.rc)
        fail_msg("%s", r.err.text);
    assert_int_equal(r.res.counts.inserted, ROWS);
    assert_int_equal(r.res.counts.commits, 1);
    other->ops->close(other);
    close(r.theirs);
    sl_frames_free(&in);
    sl_session_result_free(&r.res);
    unlink(file);
    unlink(wal);
    rmdir(dir);
    free(file);
    free(wal);
}

/* A row now and then, less often than the session looks at its clocks, and no checkpoint: the session must neither take it
 * for silence nor forget to look whether it is to stop. Gives the frame that came back. */
static void *
slow_connector(void *arg)
{
    struct rig *r = arg;
    struct sl_frames in;
    struct sl_frame f = { 0 };
    struct sl_err err = { 0 };

    sl_frames_init(&in, r->theirs);
    if (introduce(r, &in))
        for (int64_t i = 0; i < SLOW_ROWS && f.type != SL_F_STOP; i++) {
            send_row(r->theirs, i);
            if (i == SLOW_ROWS / 2)
                atomic_store(r->conf.stop, 1);
            if (sl_frames_next(&in, SLOW_US, &f, &err) == 2)
                break;
        }
    r->stopped = f.type == SL_F_STOP;
    shutdown(r->theirs, SHUT_RDWR);
    sl_frames_free(&in);
    return NULL;
}

static void
a_slow_connector_is_heard_and_hears(void **state)
{
    atomic_int stop = 0;
    pthread_t engine_thread, connector_thread;
    struct rig r;

    (void)state;
    rig_init(&r, 0, "/tmp", NULL);
    r.conf.destination = "null";
    r.conf.idle_timeout_us = 4 * SLOW_US;
    r.conf.stop = &stop;
    assert_int_equal(pthread_create(&engine_thread, NULL, engine, &r), 0);
    assert_int_equal(pthread_create(&connector_thread, NULL, slow_connector, &r), 0);
    pthread_join(connector_thread, NULL);
    pthread_join(engine_thread, NULL);
    close(r.theirs);
    if (!r.stopped)
        fail_msg("no STOP came; the session said: %s", r.err.text);
    sl_session_result_free(&r.res);
}

int
main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(many_sessions_share_one_file),
                                        cmocka_unit_test(who_went_ahead_makes_room),
                                        cmocka_unit_test(a_slow_connector_is_heard_and_hears) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
