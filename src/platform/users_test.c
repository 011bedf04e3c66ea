#include "platform/users.h"

#include "base/time.h"
#include "platform/rig_test.h"

#include <pthread.h>
#include <sys/resource.h>

static struct sl_store *st;

static int
set_up(void **state)
{
    rig_set_up(state);
    ok(sl_store_open(&st, rig_dir, &err));
    return 0;
}

static int
tear_down(void **state)
{
    sl_store_close(st);
    return rig_tear_down(state);
}

static sl_rc
add(const char *email, enum sl_role role, const char *password)
{
    struct sl_new_user u = { .email = email, .role = role, .password = password };
    char *id;
    sl_rc rc = sl_user_add(st, "test", &u, &id, &err);

    assert_int_equal(rc == SL_OK, id != NULL);
    free(id);
    return rc;
}

static sl_rc
login(const char *email, const char *password)
{
    struct sl_user u = { 0 };
    sl_rc rc = sl_user_login(st, email, password, &u, &err);

    assert_int_equal(rc == SL_OK, u.id != NULL);
    sl_record_free(SL_K_USER, &u);
    return rc;
}

static void
only_the_password_opens(void **state)
{
    (void)state;
    ok(add("ann@example.com", SL_ROLE_ADMIN, "correct horse battery"));
    ok(add("no@example.com", SL_ROLE_ADMIN, NULL));
    ok(login("ann@example.com", "correct horse battery"));
    ok(login("ANN@example.com", "correct horse battery"));
    assert_int_equal(login("ann@example.com", "Correct horse battery"), SL_E_PERMISSION);
    assert_int_equal(login("ann@example.com", ""), SL_E_PERMISSION);
    assert_int_equal(login("bob@example.com", "correct horse battery"), SL_E_PERMISSION);
    assert_int_equal(login("no@example.com", ""), SL_E_PERMISSION);
    assert_false(rig_holds(rig_dir, "correct horse"));
}

static void
bad_ones_are_refused(void **state)
{
    char longer[SL_PASSWORD_MAX + 2];

    (void)state;
    memset(longer, 'x', sizeof longer);
    longer[sizeof longer - 1] = '\0';
    assert_int_equal(add("ann", SL_ROLE_ADMIN, NULL), SL_E_CONFIG);
    assert_int_equal(add("ann@", SL_ROLE_ADMIN, NULL), SL_E_CONFIG);
    assert_int_equal(add("a nn@b", SL_ROLE_ADMIN, NULL), SL_E_CONFIG);
    assert_int_equal(add("ann@b", SL_ROLE_ADMIN, "123456789"), SL_E_CONFIG);
    assert_int_equal(add("ann@b", SL_ROLE_ADMIN, longer), SL_E_CONFIG);
    assert_int_equal(add("ann@example.com", SL_ROLE_ADMIN, "Ann@example.com"), SL_E_CONFIG);
    ok(add("ann@example.com", SL_ROLE_ADMIN, longer + 1));
    assert_int_equal(add("Ann@Example.com", SL_ROLE_VIEWER, NULL), SL_E_LOCKED);
    assert_non_null(strstr(err.text, "already"));
}

static char *
id_of(const char *email)
{
    struct sl_user u = { 0 };
    char *id;

    ok(sl_user_find(st, email, &u, &err));
    id = sl_strdup(u.id);
    sl_record_free(SL_K_USER, &u);
    ok(sl_user_find(st, id, &u, &err));
    assert_string_equal(u.id, id);
    sl_record_free(SL_K_USER, &u);
    return id;
}

static void
the_last_administrator_stays(void **state)
{
    char *ann, *bob;
    bool any;

    (void)state;
    ok(sl_user_any(st, &any, &err));
    assert_false(any);
    ok(add("ann@example.com", SL_ROLE_ADMIN, "correct horse battery"));
    ok(add("bob@example.com", SL_ROLE_ADMIN, NULL)); /* cannot log in: does not count */
    ok(sl_user_any(st, &any, &err));
    assert_true(any);
    ann = id_of("ann@example.com");
    bob = id_of("bob@example.com");
    assert_int_equal(sl_user_remove(st, "test", ann, &err), SL_E_LOCKED);
    assert_int_equal(sl_user_set_role(st, "test", ann, SL_ROLE_OPERATOR, &err), SL_E_LOCKED);
    ok(sl_user_set_password(st, "test", bob, "another long one", &err));
    ok(login("bob@example.com", "another long one"));
    ok(sl_user_set_role(st, "test", ann, SL_ROLE_VIEWER, &err));
    ok(sl_user_remove(st, "test", ann, &err));
    assert_int_equal(sl_user_remove(st, "test", ann, &err), SL_E_NOT_FOUND);
    assert_int_equal(sl_user_remove(st, "test", bob, &err), SL_E_LOCKED);
    assert_int_equal(login("ann@example.com", "correct horse battery"), SL_E_PERMISSION);
    free(ann);
    free(bob);
}

static void *
one_login(void *arg)
{
    struct sl_user u = { 0 };
    struct sl_err e = { 0 };

    (void)arg;
    (void)!sl_user_login(st, "ann@example.com", "wrong wrong wrong", &u, &e);
    return e.code == SL_E_PERMISSION || e.code == SL_E_TIMEOUT ? NULL : st;
}

/* 8 threads would take 256 MiB. */
static void
logins_do_not_take_all_memory(void **state)
{
    pthread_t threads[8];
    struct rusage before, after;
    void *failed;

    (void)state;
    ok(add("ann@example.com", SL_ROLE_ADMIN, "correct horse battery"));
    getrusage(RUSAGE_SELF, &before);
    for (int i = 0; i < 8; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_login, NULL), 0);
    for (int i = 0; i < 8; i++) {
        pthread_join(threads[i], &failed);
        assert_null(failed);
    }
    getrusage(RUSAGE_SELF, &after);
    assert_true(after.ru_maxrss - before.ru_maxrss < 160 << 10);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(only_the_password_opens),
        TEST(bad_ones_are_refused),
        TEST(the_last_administrator_stays),
        TEST(logins_do_not_take_all_memory),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
