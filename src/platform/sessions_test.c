#include "platform/sessions.h"

#include "base/time.h"
#include "platform/rig_test.h"
#include "platform/users.h"

static struct sl_store *st;
static char *user;

static int
set_up(void **state)
{
    struct sl_new_user u = { .email = "ann@example.com", .role = SL_ROLE_ADMIN };

    rig_set_up(state);
    ok(sl_store_open(&st, rig_dir, &err));
    ok(sl_user_add(st, "test", &u, &user, &err));
    return 0;
}

static int
tear_down(void **state)
{
    free(user);
    sl_store_close(st);
    return rig_tear_down(state);
}

static bool
is_open(const char *token)
{
    struct sl_user u = { 0 };
    sl_rc rc = sl_session_check(st, token, &u, &err);

    assert_true(rc == SL_OK || rc == SL_E_PERMISSION);
    if (rc == SL_OK)
        assert_string_equal(u.id, user);
    else
        assert_null(u.id);
    sl_record_free(SL_K_USER, &u);
    return rc == SL_OK;
}

static void
a_session_lasts_until_logout(void **state)
{
    char a[SL_TOKEN_TEXT], b[SL_TOKEN_TEXT];

    (void)state;
    assert_false(is_open(NULL));
    assert_false(is_open(""));
    assert_false(is_open("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
    ok(sl_session_begin(st, user, a, &err));
    ok(sl_session_begin(st, user, b, &err));
    assert_string_not_equal(a, b);
    assert_true(is_open(a) && is_open(b));
    ok(sl_session_end(st, a, &err));
    assert_true(!is_open(a) && is_open(b));
    ok(sl_session_end(st, a, &err));
}

static void
the_token_is_not_stored(void **state)
{
    char token[SL_TOKEN_TEXT], csrf[SL_CSRF_TEXT];

    (void)state;
    ok(sl_session_begin(st, user, token, &err));
    sl_session_csrf(token, csrf);
    assert_false(rig_holds(rig_dir, token));
    assert_false(rig_holds(rig_dir, csrf));
}

/* Moves the times of all sessions into the past. */
static void
age(int64_t created_s, int64_t used_s)
{
    struct sl_query q = { .kind = SL_K_SESSION };
    struct sl_list list = { .kind = SL_K_SESSION };
    int64_t now = sl_now_us();

    ok(sl_store_list(st, &q, &list, &err));
    ok(sl_store_begin(st, &err));
    for (size_t i = 0; i < list.count; i++) {
        struct sl_session *s = SL_ITEM(&list, struct sl_session, i);

        s->expires_at = now + (SL_SESSION_S - created_s) * 1000000;
        s->last_used_at = now - used_s * 1000000;
        ok(sl_store_put(st, SL_K_SESSION, s, &err));
    }
    ok(sl_store_commit(st, &err));
    sl_list_free(&list);
}

static int64_t
count(void)
{
    struct sl_query q = { .kind = SL_K_SESSION };
    int64_t n;

    ok(sl_store_count(st, &q, &n, &err));
    return n;
}

static void
a_session_ends_by_itself(void **state)
{
    char token[SL_TOKEN_TEXT], other[SL_TOKEN_TEXT];

    (void)state;
    ok(sl_session_begin(st, user, token, &err));
    age(SL_SESSION_S - 60, SL_SESSION_IDLE_S - 60);
    assert_true(is_open(token)); /* and that is a use */
    age(SL_SESSION_S - 60, 60);
    assert_true(is_open(token));
    age(SL_SESSION_S, 60);
    assert_false(is_open(token));
    age(60, SL_SESSION_IDLE_S);
    assert_false(is_open(token));
    ok(sl_session_begin(st, user, other, &err)); /* which sweeps */
    assert_int_equal(count(), 1);
}

static void
use_is_noted(void **state)
{
    char token[SL_TOKEN_TEXT];

    (void)state;
    ok(sl_session_begin(st, user, token, &err));
    age(0, SL_SESSION_IDLE_S - 60);
    assert_true(is_open(token));
    age(0, 0);
    assert_true(is_open(token));
}

static void
a_change_of_the_user_ends_all(void **state)
{
    char a[SL_TOKEN_TEXT], b[SL_TOKEN_TEXT];

    (void)state;
    ok(sl_session_begin(st, user, a, &err));
    ok(sl_session_begin(st, user, b, &err));
    ok(sl_user_set_password(st, "test", user, "correct horse battery", &err));
    assert_true(!is_open(a) && !is_open(b));
    ok(sl_session_begin(st, user, a, &err));
    assert_int_equal(sl_user_set_role(st, "test", user, SL_ROLE_VIEWER, &err), SL_E_LOCKED);
    assert_true(is_open(a));
    ok(sl_user_set_role(st, "test", user, SL_ROLE_ADMIN, &err));
    assert_false(is_open(a));
    assert_int_equal(count(), 0);
}

static void
forms_carry_what_only_the_session_gives(void **state)
{
    char a[SL_CSRF_TEXT], b[SL_CSRF_TEXT];

    (void)state;
    sl_session_csrf("one", a);
    sl_session_csrf("two", b);
    assert_string_not_equal(a, b);
    assert_true(sl_session_csrf_is("one", a));
    assert_false(sl_session_csrf_is("one", b));
    assert_false(sl_session_csrf_is("one", ""));
    assert_false(sl_session_csrf_is("one", NULL));
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_session_lasts_until_logout),  TEST(the_token_is_not_stored),
        TEST(a_session_ends_by_itself),      TEST(use_is_noted),
        TEST(a_change_of_the_user_ends_all), TEST(forms_carry_what_only_the_session_gives),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
