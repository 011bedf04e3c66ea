#include "platform/fields.h"
#include "platform/migrate.h"
#include "platform/store_sqlite.h"
#include "runtime/file.h"

#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ok(call) assert_ok((call), &err, #call, __LINE__)

static struct sl_err err;

static void
assert_ok(sl_rc rc, const struct sl_err *e, const char *call, int line)
{
    if (rc != SL_OK)
        fail_msg("line %d: %s: %s: %s", line, call, sl_code_name(rc), e->text);
}

struct rig {
    char dir[64];
    struct sl_store *st;
};

static int
set_up(void **state)
{
    struct rig *r = sl_zalloc(1, sizeof *r);

    snprintf(r->dir, sizeof r->dir, "/tmp/sluice-store-XXXXXX");
    assert_non_null(mkdtemp(r->dir));
    ok(sl_store_open(&r->st, r->dir, &err));
    *state = r;
    return 0;
}

static int
tear_down(void **state)
{
    struct rig *r = *state;

    sl_store_close(r->st);
    ok(sl_remove_tree(r->dir, &err));
    free(r);
    return 0;
}

static void
put(struct sl_store *st, enum sl_kind kind, void *rec)
{
    ok(sl_store_begin(st, &err));
    ok(sl_store_put(st, kind, rec, &err));
    ok(sl_store_commit(st, &err));
}

static void
put_group(struct sl_store *st, const char *id, const char *name)
{
    struct sl_group g = { .id = (char *)id, .name = (char *)name };

    put(st, SL_K_GROUP, &g);
}

static void
put_package(struct sl_store *st, const char *id)
{
    struct sl_package p = { .id = (char *)id };

    put(st, SL_K_PACKAGE, &p);
}

/* ---- records ---- */

/* A value of its own for every field; what other records must exist for is filled in. */
static void
fill(enum sl_kind kind, void *rec, int round)
{
    const struct sl_kind_def *def = sl_kind_def(kind);

    for (int i = 0; i < def->nfields; i++) {
        const struct sl_field *f = &def->fields[i];

        if (f->type == SL_FIELD_INT)
            *sl_field_int(f, rec) = INT64_C(1000000007) * (i + 1) + round;
        else if (f->type == SL_FIELD_BOOL)
            *sl_field_bool(f, rec) = (i + round) % 2;
        else
            *sl_field_text(f, rec) = sl_sprintf("%s.%s \"'é\n %d", def->name, f->name, round);
    }
}

static void
set(char **text, const char *value)
{
    free(*text);
    *text = sl_strdup(value);
}

static void
point_to_others(enum sl_kind kind, void *rec)
{
    if (kind == SL_K_DESTINATION)
        set(&((struct sl_destination *)rec)->id, "g");
    if (kind == SL_K_CONNECTION) {
        set(&((struct sl_connection *)rec)->group_id, "g");
        set(&((struct sl_connection *)rec)->package_id, "p");
    }
    if (kind == SL_K_SESSION)
        set(&((struct sl_session *)rec)->user_id, "the id"); /* of the user before it */
    for (int i = 0; i < sl_kind_def(kind)->nfields; i++)
        if (kind != SL_K_ACTIVE && strcmp(sl_kind_def(kind)->fields[i].name, "connection_id") == 0)
            set(sl_field_text(&sl_kind_def(kind)->fields[i], rec), "c");
}

static void
assert_same(enum sl_kind kind, void *a, void *b, bool light)
{
    const struct sl_kind_def *def = sl_kind_def(kind);

    for (int i = 0; i < def->nfields; i++) {
        const struct sl_field *f = &def->fields[i];

        if (light && (f->flags & SL_FIELD_LARGE)) {
            assert_null(*sl_field_text(f, b));
        } else if (f->type == SL_FIELD_INT) {
            assert_int_equal(*sl_field_int(f, a), *sl_field_int(f, b));
        } else if (f->type == SL_FIELD_BOOL) {
            assert_int_equal(*sl_field_bool(f, a), *sl_field_bool(f, b));
        } else {
            if (*sl_field_text(f, a) == NULL || *sl_field_text(f, b) == NULL)
                assert_ptr_equal(*sl_field_text(f, a), *sl_field_text(f, b));
            else
                assert_string_equal(*sl_field_text(f, a), *sl_field_text(f, b));
        }
    }
}

static void
round_trip(struct sl_store *st, enum sl_kind kind)
{
    struct sl_query q = { .kind = kind, .descending = true, .limit = 1 };
    struct sl_list list = { 0 };
    void *rec = sl_zalloc(1, sl_record_size(kind)), *back = sl_zalloc(1, sl_record_size(kind));
    char *id;
    int64_t seq;

    /* New, replaced by other values, replaced by nothing. */
    for (int round = 0; round < 3; round++) {
        sl_record_free(kind, rec);
        if (round < 2)
            fill(kind, rec, round);
        point_to_others(kind, rec);
        set(&((struct sl_record *)rec)->id, kind == SL_K_DESTINATION ? "g" : "the id");
        put(st, kind, rec);
        seq = ((struct sl_record *)rec)->seq;
        assert_true(seq > 0);
        id = sl_strdup(((struct sl_record *)rec)->id);
        ok(sl_store_get(st, kind, id, back, &err));
        assert_same(kind, rec, back, false);
        assert_int_equal(((struct sl_record *)back)->seq, seq);
        sl_record_free(kind, back);
        free(id);
    }
    sl_record_free(kind, rec);
    fill(kind, rec, 7);
    point_to_others(kind, rec);
    set(&((struct sl_record *)rec)->id, kind == SL_K_DESTINATION ? "g" : "the id");
    put(st, kind, rec);
    for (int light = 0; light < 2; light++) {
        q.light = light;
        ok(sl_store_list(st, &q, &list, &err));
        assert_int_equal(list.count, 1);
        assert_same(kind, rec, list.items, light);
        sl_list_free(&list);
    }
    sl_record_free(kind, rec);
    free(rec);
    free(back);
}

static void
every_field_of_every_kind_comes_back(void **state)
{
    struct rig *r = *state;
    struct sl_connection c = { .id = (char *)"c", .group_id = (char *)"g", .schema = (char *)"s" };

    put_group(r->st, "g", "first");
    put_package(r->st, "p");
    put(r->st, SL_K_CONNECTION, &c);
    for (int kind = 0; kind < SL_K_COUNT; kind++)
        round_trip(r->st, kind);
}

static void
tables_have_the_fields_and_no_others(void **state)
{
    struct rig *r = *state;
    struct sl_db *db;

    ok(sl_reader_take(r->st, &db, &err));
    for (int kind = 0; kind < SL_K_COUNT; kind++) {
        const struct sl_kind_def *def = sl_kind_def(kind);
        char *sql = sl_sprintf("SELECT count(*) FROM pragma_table_info('%s')", def->name);
        int64_t columns;

        ok(sl_db_int(db, sql, &columns, &err));
        assert_int_equal(columns, def->nfields + 1);
        free(sql);
    }
    sl_reader_give(r->st, db);
}

static void
a_light_record_is_not_put_back(void **state)
{
    struct rig *r = *state;
    struct sl_connection c = {
        .id = (char *)"c", .group_id = (char *)"g", .schema = (char *)"s", .state = (char *)"{}"
    };
    struct sl_query q = { .kind = SL_K_CONNECTION, .light = true };
    struct sl_list list = { 0 };

    put_group(r->st, "g", "first");
    put(r->st, SL_K_CONNECTION, &c);
    ok(sl_store_list(r->st, &q, &list, &err));
    ok(sl_store_begin(r->st, &err));
    assert_int_equal(sl_store_put(r->st, SL_K_CONNECTION, list.items, &err), SL_E_INTERNAL);
    sl_store_rollback(r->st);
    sl_list_free(&list);
}

static void
only_what_is_asked_for_is_read(void **state)
{
    static const char *const only[] = { "id", "failures", NULL };
    struct rig *r = *state;
    struct sl_connection c = { .id = (char *)"c",
                               .group_id = (char *)"g",
                               .schema = (char *)"s",
                               .failures = 3,
                               .nsyncs = 4 };
    struct sl_query q = { .kind = SL_K_CONNECTION, .only = only };
    struct sl_list list = { 0 };
    struct sl_connection *got;

    put_group(r->st, "g", "first");
    put(r->st, SL_K_CONNECTION, &c);
    ok(sl_store_list(r->st, &q, &list, &err));
    got = list.items;
    assert_string_equal(got->id, "c");
    assert_int_equal(got->failures, 3);
    assert_int_equal(got->seq, c.seq);
    assert_null(got->schema);
    assert_int_equal(got->nsyncs, 0);
    ok(sl_store_begin(r->st, &err));
    assert_int_equal(sl_store_put(r->st, SL_K_CONNECTION, got, &err), SL_E_INTERNAL);
    sl_store_rollback(r->st);
    sl_list_free(&list);
}

static void
what_must_be_unique_is(void **state)
{
    struct rig *r = *state;
    struct sl_group g = { .id = (char *)"g2", .name = (char *)"first" };
    struct sl_connection c = { .id = (char *)"c1", .group_id = (char *)"g", .schema = (char *)"s" };
    struct sl_user u = { .id = (char *)"u1", .email = (char *)"ann@example.org" };

    put_group(r->st, "g", "first");
    put_group(r->st, "h", "second");
    put(r->st, SL_K_CONNECTION, &c);
    put(r->st, SL_K_USER, &u);
    ok(sl_store_begin(r->st, &err));
    assert_int_equal(sl_store_put(r->st, SL_K_GROUP, &g, &err), SL_E_LOCKED);
    assert_string_equal(err.path, "name");
    c.id = (char *)"c2";
    assert_int_equal(sl_store_put(r->st, SL_K_CONNECTION, &c, &err), SL_E_LOCKED);
    assert_string_equal(err.path, "schema");
    u.id = (char *)"u2";
    u.email = (char *)"ANN@example.org";
    assert_int_equal(sl_store_put(r->st, SL_K_USER, &u, &err), SL_E_LOCKED);
    assert_string_equal(err.path, "email");
    /* The same name in another group is another connection; the transaction goes on after a refusal. */
    c.group_id = (char *)"h";
    ok(sl_store_put(r->st, SL_K_CONNECTION, &c, &err));
    c.id = (char *)"c3";
    c.schema = (char *)"t";
    c.group_id = (char *)"nowhere";
    assert_int_equal(sl_store_put(r->st, SL_K_CONNECTION, &c, &err), SL_E_NOT_FOUND);
    assert_int_equal(sl_store_delete(r->st, SL_K_GROUP, "g", &err), SL_E_LOCKED);
    assert_int_equal(sl_store_delete(r->st, SL_K_GROUP, "x", &err), SL_E_NOT_FOUND);
    ok(sl_store_commit(r->st, &err));
    ok(sl_store_get(r->st, SL_K_CONNECTION, "c2", &c, &err));
    sl_record_free(SL_K_CONNECTION, &c);
}

static void
a_seq_is_never_used_twice(void **state)
{
    struct rig *r = *state;
    struct sl_audit a = { .id = (char *)"1" };
    int64_t first;

    put(r->st, SL_K_AUDIT, &a);
    first = a.seq;
    ok(sl_store_begin(r->st, &err));
    ok(sl_store_delete(r->st, SL_K_AUDIT, "1", &err));
    ok(sl_store_commit(r->st, &err));
    a = (struct sl_audit){ .id = (char *)"2" };
    put(r->st, SL_K_AUDIT, &a);
    assert_true(a.seq > first);
}

/* ---- queries ---- */

static void
lists_filter_page_and_turn(void **state)
{
    struct rig *r = *state;
    struct sl_query q = { .kind = SL_K_AUDIT };
    struct sl_list list = { 0 };
    int64_t count, last = 0;
    int seen = 0;

    ok(sl_store_begin(r->st, &err));
    for (int i = 0; i < 100; i++) {
        char id[16];
        struct sl_audit a = { .id = id,
                              .created_at = 1000 + i,
                              .actor = (char *)(i % 2 ? "odd" : "even") };

        snprintf(id, sizeof id, "a%d", i);
        ok(sl_store_put(r->st, SL_K_AUDIT, &a, &err));
    }
    ok(sl_store_commit(r->st, &err));
    q.where[0].field = "actor";
    q.where[0].text = "odd";
    q.limit = 7;
    do { /* pages */
        sl_list_free(&list);
        ok(sl_store_list(r->st, &q, &list, &err));
        for (size_t i = 0; i < list.count; i++) {
            assert_string_equal(SL_ITEM(&list, struct sl_audit, i)->actor, "odd");
            assert_true(SL_ITEM(&list, struct sl_audit, i)->seq > last);
            last = q.after_seq = SL_ITEM(&list, struct sl_audit, i)->seq;
            seen++;
        }
    } while (list.count > 0);
    assert_int_equal(seen, 50);
    q = (struct sl_query){ .kind = SL_K_AUDIT,
                           .descending = true,
                           .time_field = "created_at",
                           .since_us = 1010,
                           .before_us = 1020 };
    ok(sl_store_list(r->st, &q, &list, &err));
    assert_int_equal(list.count, 10);
    assert_int_equal(SL_ITEM(&list, struct sl_audit, 0)->created_at, 1019);
    sl_list_free(&list);
    ok(sl_store_count(r->st, &q, &count, &err));
    assert_int_equal(count, 10);
    q = (struct sl_query){ .kind = SL_K_AUDIT,
                           .where = { { "detail", NULL }, { "created_at", "1005" } } };
    ok(sl_store_count(r->st, &q, &count, &err));
    assert_int_equal(count, 1);
    ok(sl_store_begin(r->st, &err));
    q = (struct sl_query){ .kind = SL_K_AUDIT, .where = { { "actor", "even" } } };
    ok(sl_store_delete_where(r->st, &q, &count, &err));
    assert_int_equal(count, 50);
    ok(sl_store_commit(r->st, &err));
    q = (struct sl_query){ .kind = SL_K_AUDIT, .where = { { "nothing", "x" } } };
    assert_int_equal(sl_store_count(r->st, &q, &count, &err), SL_E_INTERNAL);
}

static void
due_ones_come_longest_due_first(void **state)
{
    static const struct {
        const char *id, *requested, *running, *setup, *package;
        int64_t at, requested_at;
        bool paused;
    } all[] = {
        { "late", NULL, NULL, "connected", "p", 100, 0, false },
        { "later", NULL, NULL, "connected", "p", 50, 0, false },
        { "future", NULL, NULL, "connected", "p", 5000, 0, false },
        { "paused", NULL, NULL, "connected", "p", 10, 0, true },
        { "runs", NULL, "s", "connected", "p", 10, 0, false },
        { "manual", NULL, NULL, "connected", "p", 0, 0, false },
        { "asked", "api", NULL, "connected", "p", 5000, 70, false },
        { "asked_paused", "api", NULL, "broken", "p", 0, 80, true },
        { "resync_paused", "resync", NULL, "connected", "p", 0, 20, true },
        { "incomplete", "api", NULL, "incomplete", "p", 10, 20, false },
        { "no_package", "api", NULL, "connected", NULL, 10, 20, false },
        { "both", "api", NULL, "connected", "p", 90, 60, false },
    };
    static const char *const wanted[] = { "later", "both", "asked", "asked_paused", "late" };
    struct rig *r = *state;
    struct sl_list list = { 0 };
    int64_t at;

    put_group(r->st, "g", "first");
    put_package(r->st, "p");
    ok(sl_store_next_due(r->st, &at, &err));
    assert_true(at == INT64_MAX);
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        struct sl_connection c = {
            .id = (char *)all[i].id,
            .group_id = (char *)"g",
            .schema = (char *)all[i].id,
            .package_id = (char *)all[i].package,
            .requested = (char *)all[i].requested,
            .requested_at = all[i].requested_at,
            .running_sync = (char *)all[i].running,
            .setup_state = (char *)all[i].setup,
            .next_run_at = all[i].at,
            .paused = all[i].paused,
        };
        put(r->st, SL_K_CONNECTION, &c);
    }
    ok(sl_store_due(r->st, 1000, 10, &list, &err));
    assert_int_equal(list.count, 5);
    for (size_t i = 0; i < list.count; i++)
        assert_string_equal(SL_ITEM(&list, struct sl_connection, i)->id, wanted[i]);
    sl_list_free(&list);
    ok(sl_store_due(r->st, 1000, 2, &list, &err));
    assert_int_equal(list.count, 2);
    sl_list_free(&list);
    ok(sl_store_next_due(r->st, &at, &err));
    assert_int_equal(at, 50);
}

/* With thousands of connections and a handful of places, what is due is found without looking at the others. */
static void
finding_what_is_due_reads_few_rows(void **state)
{
    struct rig *r = *state;
    struct sl_list list = { 0 };
    struct sl_db *db;
    int64_t at, steps;

    put_group(r->st, "g", "first");
    put_package(r->st, "p");
    ok(sl_store_begin(r->st, &err));
    for (int i = 0; i < 3000; i++) {
        char id[16];
        struct sl_connection c = { .id = id,
                                   .group_id = (char *)"g",
                                   .schema = id,
                                   .package_id = (char *)"p",
                                   .setup_state = (char *)"connected",
                                   .next_run_at = 1000 + i };

        snprintf(id, sizeof id, "c%d", i);
        ok(sl_store_put(r->st, SL_K_CONNECTION, &c, &err));
    }
    ok(sl_writer(r->st, &db, &err));
    for (int round = 0; round < 3; round++) { /* none is due, all are, and when the next will be */
        for (size_t i = 0; i < db->nstmts; i++)
            sqlite3_stmt_status(db->stmts[i], SQLITE_STMTSTATUS_VM_STEP, 1);
        if (round < 2)
            ok(sl_store_due(r->st, round == 0 ? 500 : 100000, 4, &list, &err));
        else
            ok(sl_store_next_due(r->st, &at, &err));
        steps = 0;
        for (size_t i = 0; i < db->nstmts; i++)
            steps += sqlite3_stmt_status(db->stmts[i], SQLITE_STMTSTATUS_VM_STEP, 0);
        assert_int_equal(list.count, round == 1 ? 4 : 0);
        assert_in_range(steps, 1, 3000);
        sl_list_free(&list);
    }
    ok(sl_store_commit(r->st, &err));
}

/* ---- transactions ---- */

static void
a_rollback_leaves_nothing(void **state)
{
    struct rig *r = *state;
    struct sl_group g = { .id = (char *)"g", .name = (char *)"n" }, back;
    char *value;

    assert_int_equal(sl_store_put(r->st, SL_K_GROUP, &g, &err), SL_E_INTERNAL);
    ok(sl_store_begin(r->st, &err));
    assert_int_equal(sl_store_begin(r->st, &err), SL_E_INTERNAL);
    ok(sl_store_put(r->st, SL_K_GROUP, &g, &err));
    ok(sl_store_set_meta(r->st, "name", "value", &err));
    ok(sl_store_get(r->st, SL_K_GROUP, "g", &back, &err)); /* its own writes are seen */
    sl_record_free(SL_K_GROUP, &back);
    sl_store_rollback(r->st);
    sl_store_rollback(r->st);
    assert_int_equal(sl_store_get(r->st, SL_K_GROUP, "g", &back, &err), SL_E_NOT_FOUND);
    ok(sl_store_meta(r->st, "name", &value, &err));
    assert_null(value);
    assert_int_equal(sl_store_commit(r->st, &err), SL_E_INTERNAL);
}

struct reader {
    struct sl_store *st;
    atomic_int *stop;
    int64_t seen[64];
    int nseen;
    bool wrong;
};

/* Both counters are put in one transaction: a reader must never see them differ, and never see them go back. */
static void *
read_main(void *arg)
{
    struct reader *rd = arg;
    int64_t last = -1;

    while (!atomic_load(rd->stop)) {
        struct sl_list list = { 0 };
        struct sl_query q = { .kind = SL_K_GROUP };
        struct sl_err e;

        if (sl_store_list(rd->st, &q, &list, &e) || list.count != 2 ||
            SL_ITEM(&list, struct sl_group, 0)->created_at !=
                SL_ITEM(&list, struct sl_group, 1)->created_at ||
            SL_ITEM(&list, struct sl_group, 0)->created_at < last)
            rd->wrong = true;
        else
            last = SL_ITEM(&list, struct sl_group, 0)->created_at;
        sl_list_free(&list);
        rd->nseen++;
    }
    return NULL;
}

static void
readers_see_whole_transactions(void **state)
{
    struct rig *r = *state;
    struct reader rd[12];
    pthread_t t[12];
    atomic_int stop = 0;

    put_group(r->st, "a", "a");
    put_group(r->st, "b", "b");
    for (int i = 0; i < 12; i++) {
        rd[i] = (struct reader){ .st = r->st, .stop = &stop };
        assert_int_equal(pthread_create(&t[i], NULL, read_main, &rd[i]), 0);
    }
    for (int n = 1; n <= 40; n++) {
        struct sl_group a = { .id = (char *)"a", .name = (char *)"a", .created_at = n };
        struct sl_group b = { .id = (char *)"b", .name = (char *)"b", .created_at = n };

        ok(sl_store_begin(r->st, &err));
        ok(sl_store_put(r->st, SL_K_GROUP, &a, &err));
        ok(sl_store_put(r->st, SL_K_GROUP, &b, &err));
        ok(sl_store_commit(r->st, &err));
    }
    atomic_store(&stop, 1);
    for (int i = 0; i < 12; i++) {
        pthread_join(t[i], NULL);
        assert_false(rd[i].wrong);
        assert_true(rd[i].nseen > 0);
    }
}

static void *
add_main(void *arg)
{
    struct reader *rd = arg;

    for (int i = 0; i < 50 && !rd->wrong; i++) {
        struct sl_group g;

        rd->wrong = sl_store_begin(rd->st, NULL) || sl_store_get(rd->st, SL_K_GROUP, "a", &g, NULL);
        if (rd->wrong)
            break;
        g.created_at++;
        rd->wrong = sl_store_put(rd->st, SL_K_GROUP, &g, NULL) || sl_store_commit(rd->st, NULL);
        sl_record_free(SL_K_GROUP, &g);
    }
    return NULL;
}

static void
read_change_put_does_not_race(void **state)
{
    struct rig *r = *state;
    struct reader rd[4];
    pthread_t t[4];
    struct sl_group g;

    put_group(r->st, "a", "a");
    for (int i = 0; i < 4; i++) {
        rd[i] = (struct reader){ .st = r->st };
        assert_int_equal(pthread_create(&t[i], NULL, add_main, &rd[i]), 0);
    }
    for (int i = 0; i < 4; i++) {
        pthread_join(t[i], NULL);
        assert_false(rd[i].wrong);
    }
    ok(sl_store_get(r->st, SL_K_GROUP, "a", &g, &err));
    assert_int_equal(g.created_at, 200);
    sl_record_free(SL_K_GROUP, &g);
}

static void
two_processes_write_the_same_store(void **state)
{
    struct rig *r = *state;
    struct sl_group g;
    int status;
    pid_t pid;

    put_group(r->st, "a", "a");
    /* SQLite's connections do not survive a fork: the child opens its own. */
    sl_store_close(r->st);
    r->st = NULL;
    pid = fork();
    if (pid == 0) {
        struct reader rd = { 0 };

        if (sl_store_open(&rd.st, r->dir, NULL))
            _exit(2);
        add_main(&rd);
        sl_store_close(rd.st);
        _exit(rd.wrong);
    }
    ok(sl_store_open(&r->st, r->dir, &err));
    {
        struct reader rd = { .st = r->st };

        add_main(&rd);
        assert_false(rd.wrong);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_int_equal(status, 0);
    ok(sl_store_get(r->st, SL_K_GROUP, "a", &g, &err));
    assert_int_equal(g.created_at, 100);
    sl_record_free(SL_K_GROUP, &g);
}

static void
a_turn_has_a_deadline(void **state)
{
    struct rig *r = *state;
    struct sl_store *other;

    ok(sl_store_open(&other, r->dir, &err));
    ok(sl_store_begin(other, &err));
    assert_int_equal(sl_store_begin_within(r->st, 30000, &err), SL_E_TIMEOUT);
    sl_store_rollback(other);
    ok(sl_store_begin_within(r->st, 30000, &err));
    sl_store_rollback(r->st);
    sl_store_close(other);
}

/* ---- killed ---- */

#ifdef SL_FAULTS
/* Runs a change in a child that is killed at `point`; how it ended. */
static int
killed(struct rig *r, const char *point, void (*change)(struct sl_store *st))
{
    int status;
    pid_t pid;

    sl_store_close(r->st);
    r->st = NULL;
    pid = fork();
    if (pid == 0) {
        struct sl_store *st;

        if (sl_store_open(&st, r->dir, NULL))
            _exit(2);
        setenv("SL_FAULT", point, 1);
        change(st);
        _exit(0);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    ok(sl_store_open(&r->st, r->dir, &err));
    return status;
}

static void
change_two(struct sl_store *st)
{
    struct sl_group g = { .id = (char *)"g", .name = (char *)"g" };
    struct sl_user u = { .id = (char *)"u", .email = (char *)"u" };

    if (sl_store_begin(st, NULL) || sl_store_put(st, SL_K_GROUP, &g, NULL) ||
        sl_store_put(st, SL_K_USER, &u, NULL) || sl_store_commit(st, NULL))
        _exit(3);
}

static void
a_kill_leaves_all_or_nothing(void **state)
{
    static const struct {
        const char *point;
        bool kept;
    } points[] = {
        { "store_begin=kill", false },
        { "store_before_commit=kill", false },
        { "store_after_commit=kill", true },
    };
    struct rig *r = *state;

    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        struct sl_group g;
        struct sl_user u;
        sl_rc want = points[i].kept ? SL_OK : SL_E_NOT_FOUND;
        int status = killed(r, points[i].point, change_two);

        assert_true(WIFSIGNALED(status));
        assert_int_equal(sl_store_get(r->st, SL_K_GROUP, "g", &g, &err), want);
        assert_int_equal(sl_store_get(r->st, SL_K_USER, "u", &u, &err), want);
        sl_record_free(SL_K_GROUP, &g);
        sl_record_free(SL_K_USER, &u);
    }
}
#else
static void
a_kill_leaves_all_or_nothing(void **state)
{
    (void)state;
    skip();
}
#endif

/* ---- files ---- */

static void
write_file(const char *dir, const char *name, const char *text)
{
    char *path = sl_path_join(dir, name);

    ok(sl_file_write(path, sl_bytes_of(text), false, &err));
    free(path);
}

static void
other_files_are_refused(void **state)
{
    struct rig *r = *state;
    struct sl_store *st;
    char dir[] = "/tmp/sluice-other-XXXXXX", *path;
    sqlite3 *db;

    assert_non_null(mkdtemp(dir));
    write_file(dir, "sluice.db",
               "this is a text of somebody else, long enough to be looked at as a database file by "
               "anybody who wants to do so");
    assert_int_equal(sl_store_open(&st, dir, &err), SL_E_CONFIG);
    assert_non_null(strstr(err.text, "no SQLite database"));
    path = sl_path_join(dir, "sluice.db");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "CREATE TABLE t (a)", NULL, NULL, NULL), SQLITE_OK);
    sqlite3_close(db);
    assert_int_equal(sl_store_open(&st, dir, &err), SL_E_CONFIG);
    assert_non_null(strstr(err.text, "another program"));
    free(path);
    ok(sl_remove_tree(dir, &err));
    /* One of a later version. */
    ok(sl_store_begin(r->st, &err));
    {
        struct sl_db *w;

        ok(sl_writer(r->st, &w, &err));
        ok(sl_db_exec(w, "PRAGMA user_version = 99", &err));
    }
    ok(sl_store_commit(r->st, &err));
    assert_int_equal(sl_store_open(&st, r->dir, &err), SL_E_CONFIG);
    assert_non_null(strstr(err.text, "newer"));
}

static void
damage_is_named(void **state)
{
    struct rig *r = *state;
    char *path = sl_path_join(r->dir, "sluice.db"), junk[4096];
    struct sl_store *st;
    struct sl_query q = { .kind = SL_K_AUDIT };
    struct sl_list list = { 0 };
    sl_rc rc;
    int fd;

    ok(sl_store_begin(r->st, &err));
    for (int i = 0; i < 2000; i++) {
        char id[16];
        struct sl_audit a = { .id = id,
                              .detail = (char *)"some words that take a little room in the file" };

        snprintf(id, sizeof id, "a%d", i);
        ok(sl_store_put(r->st, SL_K_AUDIT, &a, &err));
    }
    ok(sl_store_commit(r->st, &err));
    sl_store_close(r->st);
    memset(junk, 0x5a, sizeof junk);
    fd = open(path, O_RDWR | O_CLOEXEC);
    assert_true(fd >= 0);
    for (off_t at = 4096 * 10; at < lseek(fd, 0, SEEK_END); at += 4096)
        assert_int_equal(pwrite(fd, junk, sizeof junk, at), sizeof junk);
    close(fd);
    rc = sl_store_open(&st, r->dir, &err);
    if (rc == SL_OK) {
        rc = sl_store_list(st, &q, &list, &err);
        sl_list_free(&list);
        sl_store_close(st);
    }
    assert_int_equal(rc, SL_E_IO);
    assert_non_null(strstr(err.text, "damaged"));
    free(path);
    r->st = NULL;
}

/* A file system of one megabyte; only root can make one. */
static void
a_full_disk_costs_nothing_that_was_kept(void **state)
{
    struct rig *r = *state;
    char small[80], id[16], *text = sl_zalloc(1, 20001);
    struct sl_store *st;
    struct sl_group g;
    struct sl_query all = { .kind = SL_K_AUDIT };
    int64_t count;
    int kept = 0;
    sl_rc rc = SL_OK;

    snprintf(small, sizeof small, "%s/small", r->dir);
    assert_int_equal(mkdir(small, 0700), 0);
    if (mount("none", small, "tmpfs", 0, "size=1m") != 0) {
        free(text);
        skip();
    }
    memset(text, 'x', 20000);
    ok(sl_store_open(&st, small, &err));
    put_group(st, "g", "first");
    while (rc == SL_OK && kept < 1000) {
        struct sl_audit a = { .id = id, .detail = text };

        snprintf(id, sizeof id, "a%d", kept);
        ok(sl_store_begin(st, &err));
        rc = sl_store_put(st, SL_K_AUDIT, &a, &err);
        if (rc == SL_OK)
            rc = sl_store_commit(st, &err);
        sl_store_rollback(st);
        kept += rc == SL_OK;
    }
    assert_int_equal(rc, SL_E_DISK_FULL);
    assert_true(kept > 3);
    assert_non_null(strstr(err.hint, "space"));
    ok(sl_store_count(st, &all, &count, &err));
    assert_int_equal(count, kept);
    /* With room again it goes on, without a restart. */
    assert_int_equal(mount("none", small, "tmpfs", MS_REMOUNT, "size=8m"), 0);
    put_group(st, "h", "second");
    sl_store_close(st);
    ok(sl_store_open(&st, small, &err));
    ok(sl_store_get(st, SL_K_GROUP, "h", &g, &err));
    sl_record_free(SL_K_GROUP, &g);
    ok(sl_store_count(st, &all, &count, &err));
    assert_int_equal(count, kept);
    sl_store_close(st);
    assert_int_equal(umount2(small, MNT_DETACH), 0);
    free(text);
}

static void
a_backup_is_whole_and_does_not_stop_anybody(void **state)
{
    struct rig *r = *state;
    char copy[80], *path;
    struct sl_store *st;
    struct sl_group g;

    put_group(r->st, "g", "first");
    snprintf(copy, sizeof copy, "%s/copy", r->dir);
    assert_int_equal(mkdir(copy, 0700), 0);
    path = sl_path_join(copy, "sluice.db");
    ok(sl_store_begin(r->st, &err));
    g = (struct sl_group){ .id = (char *)"h", .name = (char *)"second" };
    ok(sl_store_put(r->st, SL_K_GROUP, &g, &err));
    ok(sl_store_backup(r->st, path, &err));
    ok(sl_store_commit(r->st, &err));
    assert_int_equal(sl_store_backup(r->st, path, &err), SL_E_USAGE);
    ok(sl_store_open(&st, copy, &err));
    ok(sl_store_get(st, SL_K_GROUP, "g", &g, &err));
    sl_record_free(SL_K_GROUP, &g);
    assert_int_equal(sl_store_get(st, SL_K_GROUP, "h", &g, &err), SL_E_NOT_FOUND);
    sl_store_close(st);
    free(path);
}

/* ---- migrations ---- */

static const char *const two_steps[] = {
    "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1);",
    "ALTER TABLE t ADD COLUMN b INTEGER; UPDATE t SET b = a + 1; INSERT INTO t VALUES (2, 3);",
};
static const char *const bad_steps[] = {
    "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (1);",
    "ALTER TABLE t ADD COLUMN b INTEGER; UPDATE no_such_table SET b = 1;",
};

static sl_rc
open_at(const char *path, const char *const *steps, int n, struct sl_err *e)
{
    struct sl_db db;
    sl_rc rc = sl_db_open(&db, path, SL_DB_CREATE, SL_APP_STORE, true, e);

    if (rc == SL_OK)
        rc = sl_migrate(&db, steps, n, e);
    if (db.db != NULL)
        sl_db_close(&db);
    return rc;
}

static int64_t
value(const char *path, const char *sql)
{
    struct sl_db db;
    int64_t v = -1;

    ok(sl_db_open(&db, path, SL_DB_READ, SL_APP_STORE, true, &err));
    ok(sl_db_int(&db, sql, &v, &err));
    sl_db_close(&db);
    return v;
}

static void
a_migration_happens_once_and_leaves_a_copy(void **state)
{
    static const char *const points[] = { "migrate_begin=kill", "migrate_before_commit=kill",
                                          "migrate_after_commit=kill", NULL };
    struct rig *r = *state;
    char *path = sl_path_join(r->dir, "m.db"), *copy = sl_path_join(r->dir, "m.db.v1");

    ok(open_at(path, two_steps, 1, &err));
    assert_false(sl_exists(copy));
    assert_int_not_equal(open_at(path, bad_steps, 2, &err), SL_OK);
    assert_int_equal(value(path, "PRAGMA user_version"), 1);
    assert_int_equal(value(path, "SELECT count(*) FROM pragma_table_info('t')"), 1);
#ifdef SL_FAULTS
    for (int i = 0; i < 3; i++) {
        int status;
        pid_t pid = fork();

        if (pid == 0) {
            setenv("SL_FAULT", points[i], 1);
            _exit(open_at(path, two_steps, 2, NULL) != SL_OK);
        }
        assert_int_equal(waitpid(pid, &status, 0), pid);
        assert_true(WIFSIGNALED(status));
    }
#else
    (void)points;
#endif
    ok(open_at(path, two_steps, 2, &err));
    ok(open_at(path, two_steps, 2, &err));
    assert_int_equal(value(path, "PRAGMA user_version"), 2);
    assert_int_equal(value(path, "SELECT sum(a * 10 + b) FROM t"), 12 + 23);
    assert_int_equal(value(copy, "PRAGMA user_version"), 1);
    assert_int_equal(value(copy, "SELECT count(*) FROM pragma_table_info('t')"), 1);
    free(path);
    free(copy);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_field_of_every_kind_comes_back),
        TEST(tables_have_the_fields_and_no_others),
        TEST(a_light_record_is_not_put_back),
        TEST(only_what_is_asked_for_is_read),
        TEST(what_must_be_unique_is),
        TEST(a_seq_is_never_used_twice),
        TEST(lists_filter_page_and_turn),
        TEST(due_ones_come_longest_due_first),
        TEST(finding_what_is_due_reads_few_rows),
        TEST(a_rollback_leaves_nothing),
        TEST(readers_see_whole_transactions),
        TEST(read_change_put_does_not_race),
        TEST(two_processes_write_the_same_store),
        TEST(a_turn_has_a_deadline),
        TEST(a_kill_leaves_all_or_nothing),
        TEST(other_files_are_refused),
        TEST(damage_is_named),
        TEST(a_full_disk_costs_nothing_that_was_kept),
        TEST(a_backup_is_whole_and_does_not_stop_anybody),
        TEST(a_migration_happens_once_and_leaves_a_copy),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
