#include "platform/keys.h"

#include "base/time.h"
#include "platform/rig_test.h"

#include <sodium.h>

static struct sl_store *st;
static struct sl_vault *v;
static struct sl_keys *k;

static int
set_up(void **state)
{
    rig_set_up(state);
    ok(sl_store_open(&st, rig_dir, &err));
    ok(sl_vault_open(&v, st, rig_dir, NULL, &err));
    sl_keys_new(&k, st, v);
    return 0;
}

static int
tear_down(void **state)
{
    sl_keys_free(k);
    sl_vault_close(v);
    sl_store_close(st);
    return rig_tear_down(state);
}

static void
assert_refused(const char *text)
{
    struct sl_key rec;

    assert_int_equal(sl_key_check(k, text, &rec, &err), SL_E_PERMISSION);
    assert_null(rec.id);
    assert_non_null(strstr(err.text, "API key"));
}

static char *
encode(const char *text, size_t len)
{
    size_t room = sodium_base64_ENCODED_LEN(len, sodium_base64_VARIANT_ORIGINAL);
    char *out = sl_alloc(room);

    sodium_bin2base64(out, room, (const unsigned char *)text, len, sodium_base64_VARIANT_ORIGINAL);
    return out;
}

static void
a_key_opens_and_another_does_not(void **state)
{
    struct sl_new_key a, b;
    struct sl_key rec;
    char both[64], *text;

    (void)state;
    assert_refused(
        "MTIzNDU2Nzg5MGFiY2RlZjoxMjM0NTY3ODkwYWJjZGVmMTIzNDU2Nzg5MGFiY2RlZg=="); /* no keys yet */
    ok(sl_key_create(k, "laptop", SL_ROLE_OPERATOR, "user", &a, &err));
    ok(sl_key_create(k, "other", SL_ROLE_ADMIN, NULL, &b, &err));
    assert_int_equal(strlen(a.key), 16);
    assert_int_equal(strlen(a.secret), 32);
    ok(sl_key_check(k, a.base64, &rec, &err));
    assert_string_equal(rec.id, a.key);
    assert_string_equal(rec.name, "laptop");
    assert_int_equal(sl_role_of(rec.role), SL_ROLE_OPERATOR);
    assert_string_equal(rec.user_id, "user");
    assert_null(strstr(rec.hash, a.secret));
    sl_record_free(SL_K_KEY, &rec);
    snprintf(both, sizeof both, "%s:%s", a.key, b.secret);
    text = encode(both, strlen(both));
    assert_refused(text);
    free(text);
    /* One digit of the secret. */
    snprintf(both, sizeof both, "%s:%s", a.key, a.secret);
    both[17 + 31] = both[17 + 31] == '0' ? '1' : '0';
    text = encode(both, strlen(both));
    assert_refused(text);
    free(text);
}

static void
garbage_is_refused(void **state)
{
    static const char *const texts[] = { "",         "=",    "====",
                                         "a",        "a b",  "YWRtaW46YWRtaW4=",
                                         "\xff\xfe", "Og==", "MTIzNDU2Nzg5MGFiY2RlZjo=" };
    struct sl_new_key key;
    char raw[80], *text;

    (void)state;
    ok(sl_key_create(k, "x", SL_ROLE_ADMIN, NULL, &key, &err));
    assert_refused(NULL);
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_refused(texts[i]);
    for (size_t n = 0; n < 80; n++) {
        randombytes_buf(raw, sizeof raw);
        text = encode(raw, n);
        assert_refused(text);
        free(text);
        /* The right key, cut. */
        if (n < strlen(key.base64)) {
            text = sl_memdup(key.base64, n);
            assert_refused(text);
            free(text);
        }
    }
    text = sl_zalloc(1, 100001);
    memset(text, 'A', 100000);
    assert_refused(text);
    free(text);
    /* With a NUL, which would end the comparison early. */
    snprintf(raw, sizeof raw, "%s:%s", key.key, key.secret);
    raw[20] = '\0';
    text = encode(raw, 49);
    assert_refused(text);
    free(text);
}

static void
a_revoked_key_is_refused_at_once(void **state)
{
    struct sl_new_key key;
    struct sl_key rec;
    struct sl_store *other;
    struct sl_keys *ok2;

    (void)state;
    ok(sl_key_create(k, "x", SL_ROLE_ADMIN, NULL, &key, &err));
    ok(sl_key_check(k, key.base64, &rec, &err));
    sl_record_free(SL_K_KEY, &rec);
    /* As `sluiced key revoke` beside a running server does. */
    ok(sl_store_open(&other, rig_dir, &err));
    sl_keys_new(&ok2, other, NULL);
    ok(sl_key_revoke(ok2, key.key, &err));
    ok(sl_key_revoke(ok2, key.key, &err));
    assert_int_equal(sl_key_revoke(ok2, "nothing", &err), SL_E_NOT_FOUND);
    sl_keys_free(ok2);
    sl_store_close(other);
    assert_refused(key.base64);
}

static void
use_is_noted_once_a_minute_and_never_waits(void **state)
{
    struct sl_new_key key;
    struct sl_key rec;
    struct sl_store *other;
    int64_t first, before;

    (void)state;
    ok(sl_key_create(k, "x", SL_ROLE_ADMIN, NULL, &key, &err));
    /* While another writes, a check neither waits nor fails. */
    ok(sl_store_open(&other, rig_dir, &err));
    ok(sl_store_begin(other, &err));
    before = sl_mono_us();
    ok(sl_key_check(k, key.base64, &rec, &err));
    sl_record_free(SL_K_KEY, &rec);
    assert_true(sl_mono_us() - before < 2000000);
    sl_store_rollback(other);
    sl_store_close(other);
    ok(sl_store_get(st, SL_K_KEY, key.key, &rec, &err));
    assert_int_equal(rec.last_used_at, 0);
    sl_record_free(SL_K_KEY, &rec);
    for (int i = 0; i < 3; i++) {
        ok(sl_key_check(k, key.base64, &rec, &err));
        sl_record_free(SL_K_KEY, &rec);
        ok(sl_store_get(st, SL_K_KEY, key.key, &rec, &err));
        if (i == 0)
            first = rec.last_used_at;
        assert_true(rec.last_used_at > 0 && rec.last_used_at == first);
        sl_record_free(SL_K_KEY, &rec);
    }
}

static void
keys_survive_a_new_master_key(void **state)
{
    struct sl_new_key key;
    struct sl_key rec;

    (void)state;
    ok(sl_key_create(k, "x", SL_ROLE_ADMIN, NULL, &key, &err));
    ok(sl_vault_rotate(v, &err));
    sl_keys_free(k);
    sl_keys_new(&k, st, v);
    ok(sl_key_check(k, key.base64, &rec, &err));
    sl_record_free(SL_K_KEY, &rec);
    assert_false(rig_holds(rig_dir, key.secret));
    assert_false(rig_holds(rig_dir, key.base64));
}

static void
a_first_key_that_is_rolled_back_leaves_nothing(void **state)
{
    struct sl_new_key key;
    struct sl_key rec;

    (void)state;
    ok(sl_store_begin(st, &err));
    ok(sl_key_add(k, "x", SL_ROLE_ADMIN, NULL, &key, &err));
    sl_store_rollback(st);
    assert_refused(key.base64);
    ok(sl_key_create(k, "x", SL_ROLE_ADMIN, NULL, &key, &err));
    ok(sl_key_check(k, key.base64, &rec, &err));
    sl_record_free(SL_K_KEY, &rec);
}

static void
roles_have_names(void **state)
{
    (void)state;
    for (int r = SL_ROLE_VIEWER; r <= SL_ROLE_ADMIN; r++)
        assert_int_equal(sl_role_of(sl_role_name(r)), r);
    assert_int_equal(sl_role_of("root"), SL_ROLE_NONE);
    assert_int_equal(sl_role_of(""), SL_ROLE_NONE);
    assert_int_equal(sl_role_of(NULL), SL_ROLE_NONE);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_key_opens_and_another_does_not),
        TEST(garbage_is_refused),
        TEST(a_revoked_key_is_refused_at_once),
        TEST(use_is_noted_once_a_minute_and_never_waits),
        TEST(keys_survive_a_new_master_key),
        TEST(a_first_key_that_is_rolled_back_leaves_nothing),
        TEST(roles_have_names),
    };

    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
