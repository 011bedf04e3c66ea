/* Sessions in engine processes. This program is the engine, too: started as `engines_test _engine` by sl_engines. */
#include "worker/engines.h"

#include "base/time.h"
#include "destinations/inspect.h"
#include "wire/frame.h"
#include "worker/engine_main.h"

#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define WAIT_US ((int64_t)60 * 1000000)
#define BIG_STATE ((size_t)10 << 20)
#define FLOOD 30000

static char exe[4096]; /* this program */

/* ---- a rig: engines, a folder, sessions ---- */

struct rig {
    struct sl_engines *en;
    char dir[64], file[80];
};

struct sess {
    struct sl_session_conf conf;
    struct sl_session_result res;
    struct sl_err err;
    struct sl_sink sink;
    sl_rc rc;
    int theirs; /* the connector's end */
    struct sl_frames in;
    struct rig *rig;
    pthread_t thread;
    atomic_int stop;
    /* what the sink saw */
    atomic_int lines, committed, started;
    int tables, catalogs, created;
    struct sl_table_report report[4];
    char names[4][40];
    uint64_t last_number;
    bool excluded_table, excluded_column;
    struct sl_buf log;
};

static void
on_log(void *ctx, enum sl_level level, enum sl_origin from, const char *text, size_t len)
{
    struct sess *s = ctx;

    (void)level;
    if (from == SL_FROM_ENGINE) {
        sl_buf_addn(&s->log, text, len);
        sl_buf_add(&s->log, "\n");
    }
    s->lines++;
}

static void
on_started(void *ctx)
{
    ((struct sess *)ctx)->started++;
}

static void
on_created(void *ctx, const char *name)
{
    assert_non_null(strchr(name, '.'));
    ((struct sess *)ctx)->created++;
}

static sl_rc
on_committed(void *ctx, uint64_t number, const char *state, size_t len, struct sl_err *err)
{
    struct sess *s = ctx;

    (void)err;
    assert_int_equal(state[0], '{');
    assert_int_equal(state[len - 1], '}');
    s->last_number = number;
    s->committed++;
    return 0;
}

static void
on_table(void *ctx, const struct sl_table_report *r)
{
    struct sess *s = ctx;

    if (s->tables < 4) {
        s->report[s->tables] = *r;
        snprintf(s->names[s->tables], sizeof s->names[0], "%s", r->source);
    }
    s->tables++;
}

static void
on_catalog(void *ctx, const struct sl_catalog *cat)
{
    struct sess *s = ctx;

    s->catalogs++;
    for (int i = 0; i < cat->ntables; i++) {
        s->excluded_table |= cat->tables[i]->excluded;
        for (int c = 0; c < cat->tables[i]->ncolumns; c++)
            s->excluded_column |= cat->tables[i]->columns[c]->excluded;
    }
}

static void
sess_init(struct sess *s, struct rig *rig, const char *connection)
{
    int sv[2];

    memset(s, 0, sizeof *s);
    s->rig = rig;
    sl_buf_init(&s->log, (size_t)1 << 30);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv), 0);
    s->theirs = sv[1];
    s->sink = (struct sl_sink){ .ctx = s,
                                .log = on_log,
                                .started = on_started,
                                .table_created = on_created,
                                .committed = on_committed,
                                .table = on_table,
                                .catalog = on_catalog };
    s->conf = (struct sl_session_conf){
        .destination = "duckdb",
        .location = rig->file,
        .spill_dir = rig->dir,
        .connection = connection,
        .mode = "sync",
        .configuration = SL_LIT("{\"token\":\"a secret\"}"),
        .log_level = SL_INFO,
        .block_size = 16384,
        .fd = sv[0],
        .sink = &s->sink,
        .stop = &s->stop,
    };
    sl_frames_init(&s->in, s->theirs);
}

static void *
sess_main(void *arg)
{
    struct sess *s = arg;

    s->rc = sl_engines_session(s->rig->en, &s->conf, &s->res, &s->err);
    return NULL;
}

static void
sess_start(struct sess *s)
{
    assert_int_equal(pthread_create(&s->thread, NULL, sess_main, s), 0);
}

static void
sess_end(struct sess *s, sl_rc expected)
{
    pthread_join(s->thread, NULL);
    if (s->rc != expected)
        fail_msg("the session ended with %s: %s", sl_code_name(s->rc), s->err.text);
    close(s->theirs);
    sl_frames_free(&s->in);
}

static void
sess_free(struct sess *s)
{
    sl_session_result_free(&s->res);
    sl_buf_free(&s->log);
}

/* ---- the connector's side ---- */

static void
send_frame(struct sess *s, uint8_t type, uint32_t id, struct sl_bytes payload)
{
    struct sl_err err;

    if (sl_frame_write(s->theirs, type, id, &payload, 1, WAIT_US, &err))
        return; /* a session that ended closes the socket: what went wrong is its to say */
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

/* Waits for a frame of the engine. */
static void
expect(struct sess *s, uint8_t type)
{
    struct sl_frame f;
    struct sl_err err = { 0 };

    if (sl_frames_next(&s->in, WAIT_US, &f, &err) != 1 || f.type != type)
        fail_msg("no frame %d from the engine: %s", type, err.text);
}

static void
hello(struct sess *s, const char *schema)
{
    send_frame(s, SL_F_HELLO, 0, sl_bytes_of("{\"protocol\":1}"));
    expect(s, SL_F_START);
    send_frame(s, SL_F_SCHEMA, 0, sl_bytes_of(schema));
}

/* Table `number` and its shape of the same number: id, name. */
static void
begin_table(struct sess *s, uint32_t number, const char *name)
{
    struct sl_buf b;

    sl_buf_init(&b, 4096);
    put_u32(&b, 0);
    sl_buf_add(&b, name);
    send_frame(s, SL_F_TABLE, number, (struct sl_bytes){ b.ptr, b.len });
    b.len = 0;
    put_u32(&b, number);
    put_u32(&b, 2);
    put_text(&b, "id");
    put_text(&b, "name");
    send_frame(s, SL_F_SHAPE, number, (struct sl_bytes){ b.ptr, b.len });
    sl_buf_free(&b);
}

static void
send_rows(struct sess *s, uint32_t shape, int64_t from, int64_t n, const char *name)
{
    struct sl_buf row;

    sl_buf_init(&row, 4096);
    for (int64_t i = from; i < from + n; i++) {
        row.len = 0;
        sl_buf_addn(&row, "\x03", 1);
        sl_buf_addn(&row, &i, 8);
        sl_buf_addn(&row, "\x05", 1);
        put_text(&row, name);
        send_frame(s, SL_F_UPSERT, shape, (struct sl_bytes){ row.ptr, row.len });
    }
    sl_buf_free(&row);
}

static void
send_done(struct sess *s, int upserts, int checkpoints)
{
    char done[100];

    snprintf(done, sizeof done, "{\"upserts\":%d,\"checkpoints\":%d}", upserts, checkpoints);
    send_frame(s, SL_F_DONE, 0, sl_bytes_of(done));
}

#define ONE_TABLE "{\"tables\":[{\"table\":\"t\",\"primary_key\":[\"id\"]}]}"

/* A whole sync of n rows with one durable checkpoint. */
static void
sync_rows(struct sess *s, int n, const char *state)
{
    sess_start(s);
    hello(s, ONE_TABLE);
    begin_table(s, 0, "t");
    send_rows(s, 0, 0, n, "a name");
    send_frame(s, SL_F_CHECKPOINT, 1, sl_bytes_of(state));
    expect(s, SL_F_ACK);
    send_done(s, n, 1);
}

/* ---- tests ---- */

static void
two_sessions_share_a_file(void **state)
{
    struct rig *rig = *state;
    struct sess a, b;
    struct sl_inspect *in;
    const struct sl_inspect_table *tables;
    struct sl_err err;
    int pid;

    sess_init(&a, rig, "first");
    sess_init(&b, rig, "second");
    sess_start(&a);
    sess_start(&b);
    hello(&a, ONE_TABLE);
    hello(&b, ONE_TABLE);
    begin_table(&a, 0, "t");
    begin_table(&b, 0, "t");
    for (int i = 0; i < 5; i++) {
        send_rows(&a, 0, i * 100, 100, "a");
        send_rows(&b, 0, i * 100, 100, "b");
        send_frame(&a, SL_F_CHECKPOINT, 1, sl_bytes_of("{\"a\":1}"));
        send_frame(&b, SL_F_CHECKPOINT, 1, sl_bytes_of("{\"b\":1}"));
        expect(&a, SL_F_ACK);
        expect(&b, SL_F_ACK);
    }
    pid = sl_engines_pid(rig->en, "duckdb", rig->file);
    assert_true(pid > 0);
    send_done(&a, 500, 5);
    send_done(&b, 500, 5);
    sess_end(&a, 0);
    sess_end(&b, 0);
    /* Both results are there: the file is free, while the process lives on. */
    assert_int_equal(sl_engines_pid(rig->en, "duckdb", rig->file), pid);
    assert_int_equal(sl_inspect_open(&in, rig->file, &err), 0);
    assert_int_equal(sl_inspect_tables(in, &tables), 2);
    assert_int_equal(tables[0].live_rows + tables[1].live_rows, 1000);
    assert_string_equal(sl_inspect_state(in, "second"), "{\"b\":1}");
    sl_inspect_close(in);
    assert_int_equal(a.started, 1);
    assert_int_equal(a.created, 1);
    assert_int_equal(a.catalogs, 2);
    assert_int_equal(a.committed, 6); /* five, and the end */
    assert_int_equal(a.last_number, 5);
    assert_int_equal(a.tables, 1);
    assert_string_equal(a.names[0], "t");
    assert_int_equal(a.report[0].upserts, 500);
    assert_int_equal(a.report[0].rows.inserted, 500);
    assert_int_equal(a.report[0].active, 500);
    assert_true(a.report[0].exact);
    assert_int_equal(a.res.counts.commits, 5);
    assert_string_equal(a.res.state, "{\"a\":1}");
    assert_true(a.res.destination_us > 0 && a.res.open_us > 0 && a.res.engine_us > 0);
    sess_free(&a);
    sess_free(&b);
}

static void
active_rows_are_distinct_keys(void **state)
{
    struct rig *rig = *state;
    struct sess s;

    sess_init(&s, rig, "active");
    sess_start(&s);
    hello(&s, ONE_TABLE);
    begin_table(&s, 0, "t");
    for (int i = 0; i < 3; i++) {
        char name[32];

        snprintf(name, sizeof name, "change %d", i);
        send_rows(&s, 0, 0, 10, name);
        send_frame(&s, SL_F_CHECKPOINT, 1, sl_bytes_of("{}"));
        expect(&s, SL_F_ACK);
    }
    send_done(&s, 30, 3);
    sess_end(&s, 0);
    assert_int_equal(s.report[0].rows.inserted, 10);
    assert_int_equal(s.report[0].rows.updated, 20);
    assert_int_equal(s.report[0].active, 10);
    assert_true(s.report[0].exact);
    sess_free(&s);
}

static void
a_killed_engine_is_an_error_to_repeat(void **state)
{
    struct rig *rig = *state;
    struct sess s;
    int pid;

    sess_init(&s, rig, "killed");
    sess_start(&s);
    hello(&s, ONE_TABLE);
    begin_table(&s, 0, "t");
    send_rows(&s, 0, 0, 10, "a name");
    send_frame(&s, SL_F_CHECKPOINT, 1, sl_bytes_of("{\"at\":10}"));
    expect(&s, SL_F_ACK);
    send_rows(&s, 0, 10, 10, "a name");
    pid = sl_engines_pid(rig->en, "duckdb", rig->file);
    assert_int_equal(kill(pid, SIGKILL), 0);
    sess_end(&s, SL_E_RETRY);
    assert_non_null(strstr(s.err.text, "killed by signal 9"));
    assert_string_equal(s.res.state, "{\"at\":10}");
    assert_int_equal(s.res.counts.commits, 1);
    assert_null(s.res.failure.type);
    sess_free(&s);

    sess_init(&s, rig, "killed");
    sync_rows(&s, 20, "{\"at\":20}");
    sess_end(&s, 0);
    assert_int_equal(s.res.counts.inserted, 10);
    assert_int_equal(s.res.counts.unchanged, 10);
    assert_int_not_equal(sl_engines_pid(rig->en, "duckdb", rig->file), pid);
    sess_free(&s);
}

/* The body of a server that is killed while a session has the file open. */
static void
doomed_server(struct rig *rig, int report)
{
    struct sl_err err;
    struct sess s;

    if (sl_engines_new(&rig->en, &(struct sl_engines_conf){ .exe = exe }, &err))
        _exit(1);
    sess_init(&s, rig, "doomed");
    sess_start(&s);
    hello(&s, ONE_TABLE);
    if (write(report, "!", 1) == 1)
        kill(getpid(), SIGKILL);
    _exit(1);
}

static void
an_engine_dies_with_its_server(void **state)
{
    struct rig *rig = *state;
    int64_t until = sl_mono_us() + WAIT_US;
    struct sl_inspect *in = NULL;
    struct sl_err err;
    int pipes[2], status;
    char byte;
    pid_t pid;

    assert_int_equal(pipe(pipes), 0);
    pid = fork();
    if (pid == 0)
        doomed_server(rig, pipes[1]);
    assert_int_equal(read(pipes[0], &byte, 1), 1);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFSIGNALED(status));
    while (sl_inspect_open(&in, rig->file, &err) == SL_E_LOCKED && sl_mono_us() < until)
        usleep(1000);
    assert_non_null(in);
    sl_inspect_close(in);
    close(pipes[0]);
    close(pipes[1]);
}

static void
a_soft_stop_keeps_what_a_checkpoint_covers(void **state)
{
    struct rig *rig = *state;
    struct sess s;

    sess_init(&s, rig, "soft");
    sess_start(&s);
    hello(&s, ONE_TABLE);
    begin_table(&s, 0, "t");
    send_rows(&s, 0, 0, 10, "a name");
    send_frame(&s, SL_F_CHECKPOINT, 0, sl_bytes_of("{\"at\":10}"));
    send_rows(&s, 0, 10, 5, "a name");
    s.stop = 1;
    expect(&s, SL_F_STOP);
    send_frame(&s, SL_F_ERROR, 0,
               sl_bytes_of("{\"type\":\"SyncCancelled\",\"message\":\"stopped\"}"));
    sess_end(&s, SL_E_CANCELLED);
    assert_int_equal(s.res.counts.inserted, 10);
    assert_int_equal(s.res.discarded, 5);
    assert_string_equal(s.res.state, "{\"at\":10}");
    assert_int_equal(s.report[0].active, 10);
    sess_free(&s);
}

static void
a_hard_stop_ends_at_once(void **state)
{
    struct rig *rig = *state;
    struct sess s;

    sess_init(&s, rig, "hard");
    sess_start(&s);
    hello(&s, ONE_TABLE);
    begin_table(&s, 0, "t");
    send_rows(&s, 0, 0, 10, "a name");
    send_frame(&s, SL_F_CHECKPOINT, 0, sl_bytes_of("{\"at\":10}"));
    s.stop = 2;
    sess_end(&s, SL_E_CANCELLED);
    assert_int_equal(s.res.counts.commits, 0);
    sess_free(&s);
}

#define TWO_TABLES                                                                                 \
    "{\"tables\":[{\"table\":\"t\",\"primary_key\":[\"id\"],\"columns\":[[\"name\",\"STRING\"]]}," \
    "{\"table\":\"u\",\"primary_key\":[\"id\"]}]}"

static void
unwanted_tables_and_columns_are_dropped(void **state)
{
    struct rig *rig = *state;
    struct sl_inspect *in;
    const struct sl_inspect_table *tables;
    struct sl_err err;
    struct sess s;

    sess_init(&s, rig, "filtered");
    s.conf.filter = SL_LIT("{\"tables\":[{\"table\":\"u\",\"wanted\":false},"
                           "{\"table\":\"t\",\"columns\":{\"name\":false,\"id\":false}}]}");
    sess_start(&s);
    hello(&s, TWO_TABLES);
    begin_table(&s, 0, "t");
    begin_table(&s, 1, "u");
    send_rows(&s, 0, 0, 10, "private");
    send_rows(&s, 1, 0, 7, "private");
    send_frame(&s, SL_F_TRUNCATE, 1, (struct sl_bytes){ "", 0 });
    send_frame(&s, SL_F_DONE, 0, sl_bytes_of("{\"upserts\":17,\"truncates\":1}"));
    sess_end(&s, 0);
    assert_int_equal(s.res.counts.filtered, 7);
    assert_int_equal(s.res.counts.filtered_cells, 10);
    assert_int_equal(s.res.counts.inserted, 10);
    assert_int_equal(s.tables, 2);
    assert_int_equal(s.report[1].filtered, 7);
    assert_true(s.excluded_table && s.excluded_column);
    assert_non_null(strstr(sl_buf_str(&s.log), "table 'u' is switched off"));
    assert_non_null(strstr(sl_buf_str(&s.log), "column 'name' of table 't' is switched off"));
    assert_int_equal(sl_inspect_open(&in, rig->file, &err), 0);
    assert_int_equal(sl_inspect_tables(in, &tables), 1);
    assert_int_equal(tables[0].live_rows, 10);
    for (int i = 0; i < tables[0].ncolumns; i++)
        assert_string_not_equal(tables[0].columns[i].name, "name");
    sl_inspect_close(in);
    sess_free(&s);

    /* Switched on again: the column comes, with its type. */
    sess_init(&s, rig, "filtered");
    s.conf.filter = SL_LIT("{\"others\":false,\"tables\":[{\"table\":\"t\"}]}");
    sess_start(&s);
    hello(&s, TWO_TABLES);
    begin_table(&s, 0, "t");
    send_rows(&s, 0, 0, 10, "public");
    send_done(&s, 10, 0);
    sess_end(&s, 0);
    assert_int_equal(s.res.counts.updated, 10);
    sess_free(&s);

    sess_init(&s, rig, "filtered");
    s.conf.filter = SL_LIT("{\"tables\":[{\"table\":1}]}");
    sess_start(&s);
    sess_end(&s, SL_E_CONFIG);
    sess_free(&s);
}

static void
a_test_ends_after_schema(void **state)
{
    struct rig *rig = *state;
    struct sess s;

    sess_init(&s, rig, "tested");
    s.conf.schema_only = true;
    sess_start(&s);
    hello(&s, ONE_TABLE);
    send_done(&s, 0, 0);
    sess_end(&s, 0);
    assert_int_equal(s.catalogs, 1);
    assert_int_equal(s.committed, 0);
    assert_int_not_equal(access(rig->file, F_OK), 0);
    sess_free(&s);

    sess_init(&s, rig, "tested");
    s.conf.schema_only = true;
    sess_start(&s);
    hello(&s, ONE_TABLE);
    begin_table(&s, 0, "t");
    sess_end(&s, SL_E_PROTOCOL);
    assert_non_null(strstr(s.err.text, "update()"));
    sess_free(&s);
}

static void
a_kept_state_stays(void **state)
{
    struct rig *rig = *state;
    struct sess s;

    sess_init(&s, rig, "kept");
    sync_rows(&s, 5, "{\"cursor\":5}");
    sess_end(&s, 0);
    sess_free(&s);

    sess_init(&s, rig, "kept");
    s.conf.keep_state = true;
    s.conf.state = SL_LIT("{}");
    sync_rows(&s, 8, "{\"cursor\":8}");
    sess_end(&s, 0);
    assert_int_equal(s.res.counts.inserted, 3);
    assert_string_equal(s.res.state, "{\"cursor\":5}");
    sess_free(&s);

    sess_init(&s, rig, "kept");
    sync_rows(&s, 8, "{\"cursor\":9}");
    sess_end(&s, 0);
    assert_int_equal(s.res.counts.unchanged, 8);
    assert_string_equal(s.res.state, "{\"cursor\":9}");
    sess_free(&s);
}

static void
a_large_state_passes(void **state)
{
    struct rig *rig = *state;
    char *big = sl_zalloc(BIG_STATE + 32, 1);
    struct sess s;

    snprintf(big, 32, "{\"s\":\"");
    memset(big + strlen(big), 'x', BIG_STATE);
    snprintf(big + strlen(big), 8, "\"}");
    sess_init(&s, rig, "large");
    sync_rows(&s, 1, big);
    sess_end(&s, 0);
    assert_string_equal(s.res.state, big);
    sess_free(&s);
    sess_init(&s, rig, "large");
    s.conf.state = sl_bytes_of(big);
    sess_start(&s);
    hello(&s, ONE_TABLE);
    send_done(&s, 0, 0);
    sess_end(&s, 0);
    assert_string_equal(s.res.state, big);
    sess_free(&s);
    free(big);
}

static void
a_flood_of_log_lines_passes(void **state)
{
    struct rig *rig = *state;
    struct sess s;

    sess_init(&s, rig, "flood");
    sess_start(&s);
    hello(&s, ONE_TABLE);
    for (int i = 0; i < FLOOD; i++)
        send_frame(&s, SL_F_LOG, SL_INFO, sl_bytes_of(i % 2 ? "a line" : "broken \xff\xfe line"));
    begin_table(&s, 0, "t");
    send_rows(&s, 0, 0, 3, "a name");
    send_done(&s, 3, 0);
    sess_end(&s, 0);
    assert_true(s.lines >= FLOOD);
    assert_int_equal(s.res.counts.inserted, 3);
    sess_free(&s);
}

static void
a_file_held_by_another_program_is_waited_for(void **state)
{
    struct rig *rig = *state;
    struct sl_inspect *in;
    struct sl_err err;
    struct sess s;

    sess_init(&s, rig, "waits");
    sync_rows(&s, 1, "{}");
    sess_end(&s, 0);
    sess_free(&s);
    assert_int_equal(sl_inspect_open(&in, rig->file, &err), 0);
    sess_init(&s, rig, "waits");
    sess_start(&s);
    sess_end(&s, SL_E_LOCKED);
    sess_free(&s);
    sess_init(&s, rig, "waits");
    s.conf.lock_wait_us = WAIT_US;
    sess_start(&s);
    for (int64_t until = sl_mono_us() + WAIT_US; s.lines == 0 && sl_mono_us() < until;)
        usleep(1000);
    sl_inspect_close(in);
    hello(&s, ONE_TABLE);
    send_done(&s, 0, 0);
    sess_end(&s, 0);
    assert_non_null(strstr(sl_buf_str(&s.log), "waiting up to 60 s"));
    sess_free(&s);
}

/* A DuckDB file has two headers, at 4096 and 8192, whose sixth number is the size of its blocks. */
static void
files_of_a_server_have_small_blocks(void **state)
{
    struct rig *rig = *state;
    uint64_t size = 0;
    struct sess s;
    FILE *f;

    sess_init(&s, rig, "small");
    sync_rows(&s, 1, "{}");
    sess_end(&s, 0);
    sess_free(&s);
    f = fopen(rig->file, "rb");
    assert_non_null(f);
    assert_int_equal(fseek(f, 4096 + 5 * 8, SEEK_SET), 0);
    assert_int_equal(fread(&size, 8, 1, f), 1);
    fclose(f);
    assert_int_equal(size, 16384);
}

static void
an_idle_engine_leaves(void **state)
{
    struct rig *rig = *state;
    int64_t until;
    struct sess s;
    int pid;

    sess_init(&s, rig, "idle");
    sync_rows(&s, 1, "{}");
    sess_end(&s, 0);
    sess_free(&s);
    pid = sl_engines_pid(rig->en, "duckdb", rig->file);
    assert_true(pid > 0);
    until = sl_mono_us() + WAIT_US;
    while (kill(pid, 0) == 0 && sl_mono_us() < until)
        usleep(10000);
    assert_int_equal(sl_engines_pid(rig->en, "duckdb", rig->file), 0);
    sess_init(&s, rig, "idle");
    sync_rows(&s, 1, "{}");
    sess_end(&s, 0);
    sess_free(&s);
}

static void
a_warehouse_can_be_looked_into_while_it_is_written(void **state)
{
    struct rig *rig = *state;
    json_t *request = json_pack("{s:s, s:[s]}", "what", "tables", "schemas", "looked"), *answer,
           *first;
    struct sl_err err;
    struct sess s;

    assert_int_equal(sl_engines_ask(rig->en, "duckdb", rig->file, NULL, request, &answer, &err),
                     SL_E_NOT_FOUND);
    sess_init(&s, rig, "looked");
    sess_start(&s);
    hello(&s, ONE_TABLE);
    begin_table(&s, 0, "t");
    send_rows(&s, 0, 0, 12, "a name");
    send_frame(&s, SL_F_CHECKPOINT, 1, sl_bytes_of("{}"));
    expect(&s, SL_F_ACK);
    send_rows(&s, 0, 12, 3, "a name");
    if (sl_engines_ask(rig->en, "duckdb", rig->file, NULL, request, &answer, &err))
        fail_msg("%s", err.text);
    first = json_array_get(json_object_get(answer, "tables"), 0);
    assert_int_equal(json_integer_value(json_object_get(first, "live_rows")), 12);
    assert_string_equal(json_string_value(json_object_get(first, "table")), "t");
    json_decref(answer);
    send_done(&s, 15, 1);
    sess_end(&s, 0);
    sess_free(&s);
    json_decref(request);
    request = json_pack("{s:s, s:s, s:s, s:i}", "what", "rows", "schema", "looked", "table", "t",
                        "limit", 2);
    if (sl_engines_ask(rig->en, "duckdb", rig->file, NULL, request, &answer, &err))
        fail_msg("%s", err.text);
    assert_int_equal(json_array_size(json_object_get(answer, "rows")), 2);
    first = json_array_get(json_object_get(answer, "columns"), 0);
    assert_string_equal(json_string_value(json_object_get(first, "name")), "id");
    assert_true(json_is_true(json_object_get(first, "key")));
    assert_int_equal(json_integer_value(json_object_get(answer, "total_rows")), 15);
    json_decref(answer);
    json_object_set_new(request, "table", json_string("none"));
    assert_int_equal(sl_engines_ask(rig->en, "duckdb", rig->file, NULL, request, &answer, &err),
                     SL_E_NOT_FOUND);
    json_decref(request);
}

static void
stopping_the_server_ends_sessions(void **state)
{
    struct rig *rig = *state;
    struct sess s;

    sess_init(&s, rig, "ended");
    sess_start(&s);
    hello(&s, ONE_TABLE);
    begin_table(&s, 0, "t");
    sl_engines_stop(rig->en);
    sess_end(&s, SL_E_CANCELLED);
    sess_free(&s);
    sess_init(&s, rig, "ended");
    sess_start(&s);
    sess_end(&s, SL_E_CANCELLED);
    sess_free(&s);
}

static void
a_program_that_cannot_be_an_engine_is_named(void **state)
{
    struct rig *rig = *state;
    struct sl_engines *real = rig->en;
    struct sl_err err;
    struct sess s;

    assert_int_equal(
        sl_engines_new(&rig->en, &(struct sl_engines_conf){ .exe = "/nowhere/sluiced" }, &err), 0);
    sess_init(&s, rig, "none");
    sess_start(&s);
    sess_end(&s, SL_E_NOT_FOUND);
    assert_non_null(strstr(s.err.text, "/nowhere/sluiced"));
    sess_free(&s);
    sl_engines_free(rig->en);
    assert_int_equal(
        sl_engines_new(&rig->en, &(struct sl_engines_conf){ .exe = "/bin/false" }, &err), 0);
    sess_init(&s, rig, "none");
    sess_start(&s);
    sess_end(&s, SL_E_RETRY);
    assert_non_null(strstr(s.err.text, "status 1"));
    sess_free(&s);
    sl_engines_free(rig->en);
    rig->en = real;
}

static int
rig_open(void **state)
{
    struct rig *rig = sl_zalloc(1, sizeof *rig);
    struct sl_err err;

    snprintf(rig->dir, sizeof rig->dir, "/tmp/sluice-test-XXXXXX");
    if (mkdtemp(rig->dir) == NULL)
        return -1;
    snprintf(rig->file, sizeof rig->file, "%s/w.db", rig->dir);
    *state = rig;
    return sl_engines_new(&rig->en, &(struct sl_engines_conf){ .exe = exe, .idle_seconds = 1 },
                          &err);
}

static int
rig_close(void **state)
{
    struct rig *rig = *state;
    char *wal = sl_sprintf("%s.wal", rig->file);

    sl_engines_free(rig->en);
    unlink(rig->file);
    unlink(wal);
    rmdir(rig->dir);
    free(wal);
    free(rig);
    return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, rig_open, rig_close)

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        TEST(two_sessions_share_a_file),
        TEST(active_rows_are_distinct_keys),
        TEST(a_killed_engine_is_an_error_to_repeat),
        TEST(an_engine_dies_with_its_server),
        TEST(a_soft_stop_keeps_what_a_checkpoint_covers),
        TEST(a_hard_stop_ends_at_once),
        TEST(unwanted_tables_and_columns_are_dropped),
        TEST(a_test_ends_after_schema),
        TEST(a_kept_state_stays),
        TEST(a_large_state_passes),
        TEST(a_flood_of_log_lines_passes),
        TEST(a_file_held_by_another_program_is_waited_for),
        TEST(files_of_a_server_have_small_blocks),
        TEST(an_idle_engine_leaves),
        TEST(a_warehouse_can_be_looked_into_while_it_is_written),
        TEST(stopping_the_server_ends_sessions),
        TEST(a_program_that_cannot_be_an_engine_is_named),
    };

    if (argc > 1 && strcmp(argv[1], "_engine") == 0)
        return sl_engine_main(3);
    if (readlink("/proc/self/exe", exe, sizeof exe - 1) < 0)
        return 1;
    return cmocka_run_group_tests(tests, NULL, NULL);
}
