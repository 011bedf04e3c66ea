#include "platform/vault.h"

#include "platform/rig_test.h"

#include <sodium.h>
#include <sys/stat.h>

#define SECRET "a-password-nobody-guesses"

static struct sl_store *st;
static struct sl_vault *v;

static void
open_all(const char *command)
{
    ok(sl_store_open(&st, rig_dir, &err));
    ok(sl_vault_open(&v, st, rig_dir, command, &err));
}

static void
close_all(void)
{
    sl_vault_close(v);
    sl_store_close(st);
    v = NULL;
    st = NULL;
}

static char *
key_path(void)
{
    return sl_path_join(rig_dir, "secret.key");
}

static void
assert_opens(const char *owner, const char *sealed, const char *wanted)
{
    char *plain;
    size_t len;

    ok(sl_vault_unseal(v, owner, sealed, &plain, &len, &err));
    assert_int_equal(len, strlen(wanted));
    assert_string_equal(plain, wanted);
    sl_vault_wipe(plain, len);
}

/* ---- sealing ---- */

static void
what_is_sealed_opens_for_its_owner_only(void **state)
{
    char *a, *b, *plain = NULL;
    size_t len;

    (void)state;
    open_all(NULL);
    ok(sl_vault_seal(v, "connection:a", sl_bytes_of(SECRET), &a, &err));
    ok(sl_vault_seal(v, "connection:a", sl_bytes_of(SECRET), &b, &err));
    assert_string_not_equal(a, b); /* a fresh nonce */
    assert_null(strstr(a, SECRET));
    assert_opens("connection:a", a, SECRET);
    assert_int_equal(sl_vault_unseal(v, "connection:b", a, &plain, &len, &err), SL_E_DATA);
    assert_null(plain);
    assert_null(strstr(err.text, SECRET));
    free(b);
    ok(sl_vault_seal(v, "connection:a", SL_LIT(""), &b, &err));
    assert_opens("connection:a", b, "");
    free(a);
    free(b);
    close_all();
}

static void
every_changed_bit_is_noticed(void **state)
{
    unsigned char box[256];
    char *sealed, text[400], *plain = NULL;
    size_t n, len;

    (void)state;
    open_all(NULL);
    ok(sl_vault_seal(v, "x", sl_bytes_of(SECRET), &sealed, &err));
    assert_int_equal(sodium_base642bin(box, sizeof box, sealed, strlen(sealed), NULL, &n, NULL,
                                       sodium_base64_VARIANT_ORIGINAL),
                     0);
    for (size_t bit = 0; bit < n * 8; bit++) {
        box[bit / 8] ^= (unsigned char)(1u << bit % 8);
        sodium_bin2base64(text, sizeof text, box, n, sodium_base64_VARIANT_ORIGINAL);
        assert_int_equal(sl_vault_unseal(v, "x", text, &plain, &len, &err), SL_E_DATA);
        box[bit / 8] ^= (unsigned char)(1u << bit % 8);
    }
    for (size_t cut = 0; cut < n; cut++) {
        sodium_bin2base64(text, sizeof text, box, cut, sodium_base64_VARIANT_ORIGINAL);
        assert_int_equal(sl_vault_unseal(v, "x", text, &plain, &len, &err), SL_E_DATA);
    }
    assert_int_equal(sl_vault_unseal(v, "x", "not base64 ***", &plain, &len, &err), SL_E_DATA);
    free(sealed);
    close_all();
}

/* ---- the key ---- */

static void
the_key_file_is_private_and_outside_the_store(void **state)
{
    char *path = key_path(), *sealed;
    struct sl_buf key;
    struct stat info;
    char hex[65], *store = sl_path_join(rig_dir, "sluice.db");

    (void)state;
    open_all(NULL);
    ok(sl_vault_seal(v, "x", sl_bytes_of(SECRET), &sealed, &err));
    assert_int_equal(stat(path, &info), 0);
    assert_int_equal(info.st_mode & 0777, 0600);
    assert_int_equal(info.st_size, 65);
    sl_buf_init(&key, 1u << 20);
    ok(sl_file_read(path, &key, &err));
    memcpy(hex, key.ptr, 64);
    hex[64] = '\0';
    close_all();
    assert_int_equal(unlink(path), 0);
    assert_false(rig_holds(rig_dir, hex));
    assert_false(rig_holds(rig_dir, SECRET));
    free(sealed);
    free(path);
    free(store);
    sl_buf_free(&key);
}

static void
another_key_or_none_is_refused(void **state)
{
    char *path = key_path(), *kept;
    struct sl_buf key;

    (void)state;
    open_all(NULL);
    close_all();
    sl_buf_init(&key, 1u << 20);
    ok(sl_file_read(path, &key, &err));
    kept = sl_memdup(key.ptr, key.len);

    assert_int_equal(unlink(path), 0);
    ok(sl_store_open(&st, rig_dir, &err));
    assert_int_equal(sl_vault_open(&v, st, rig_dir, NULL, &err), SL_E_CONFIG);
    assert_non_null(strstr(err.text, "missing"));
    assert_false(sl_exists(path)); /* no new one is made up */

    kept[0] = kept[0] == 'a' ? 'b' : 'a';
    ok(sl_file_write_private(path, sl_bytes_of(kept), &err));
    assert_int_equal(sl_vault_open(&v, st, rig_dir, NULL, &err), SL_E_CONFIG);
    assert_non_null(strstr(err.text, "not the one"));

    ok(sl_file_write_private(path, SL_LIT("something else\n"), &err));
    assert_int_equal(sl_vault_open(&v, st, rig_dir, NULL, &err), SL_E_CONFIG);
    ok(sl_file_write_private(path, SL_LIT(""), &err));
    assert_int_equal(sl_vault_open(&v, st, rig_dir, NULL, &err), SL_E_CONFIG);

    ok(sl_file_write_private(path, (struct sl_bytes){ key.ptr, key.len }, &err));
    ok(sl_vault_open(&v, st, rig_dir, NULL, &err));
    close_all();
    free(kept);
    free(path);
    sl_buf_free(&key);
}

#define OLD_KEY "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"
#define NEW_KEY "ffeeddccbbaa99887766554433221100ffeeddccbbaa99887766554433221100"

static void
a_command_may_give_the_key(void **state)
{
    char *sealed, *path = key_path();

    (void)state;
    open_all("echo " OLD_KEY "; echo noise >&2");
    ok(sl_vault_seal(v, "x", sl_bytes_of(SECRET), &sealed, &err));
    assert_false(sl_exists(path));
    close_all();
    open_all("echo " OLD_KEY);
    assert_opens("x", sealed, SECRET);
    assert_int_equal(sl_vault_rotate(v, &err), SL_E_CONFIG); /* it prints no new one */
    close_all();
    ok(sl_store_open(&st, rig_dir, &err));
    assert_int_equal(sl_vault_open(&v, st, rig_dir, "echo " NEW_KEY, &err), SL_E_CONFIG);
    assert_int_equal(sl_vault_open(&v, st, rig_dir, "exit 3", &err), SL_E_CONFIG);
    assert_non_null(strstr(err.text, "status 3"));
    sl_store_close(st);
    open_all("echo " NEW_KEY "; echo " OLD_KEY);
    ok(sl_vault_rotate(v, &err));
    close_all();
    open_all("echo " NEW_KEY);
    close_all();
    free(sealed);
    free(path);
}

/* ---- rotation ---- */

#define CONNECTIONS 5

static void
put_sealed(void)
{
    struct sl_group g = { .id = (char *)"g", .name = (char *)"g" };
    struct sl_destination d = { .id = (char *)"g" };
    char *meta;

    ok(sl_vault_seal(v, "destination:g", SL_LIT("{\"path\":\"x\"}"), &d.config, &err));
    ok(sl_vault_seal(v, "meta:sealed.word", SL_LIT("the word"), &meta, &err));
    ok(sl_store_begin(st, &err));
    ok(sl_store_put(st, SL_K_GROUP, &g, &err));
    ok(sl_store_put(st, SL_K_DESTINATION, &d, &err));
    ok(sl_store_set_meta(st, "sealed.word", meta, &err));
    for (int i = 0; i < CONNECTIONS; i++) {
        char id[16], owner[32], secret[64];
        struct sl_connection c = {
            .id = id, .group_id = (char *)"g", .schema = id, .state = (char *)"{\"n\":1}"
        };

        snprintf(id, sizeof id, "c%d", i);
        snprintf(owner, sizeof owner, "connection:%s", id);
        snprintf(secret, sizeof secret, SECRET "-%d", i);
        /* One has none. */
        if (i > 0)
            ok(sl_vault_seal(v, owner, sl_bytes_of(secret), &c.secrets, &err));
        ok(sl_store_put(st, SL_K_CONNECTION, &c, &err));
        free(c.secrets);
    }
    ok(sl_store_commit(st, &err));
    free(d.config);
    free(meta);
}

static void
assert_all_open(void)
{
    struct sl_destination d;
    char *meta;

    ok(sl_store_get(st, SL_K_DESTINATION, "g", &d, &err));
    assert_opens("destination:g", d.config, "{\"path\":\"x\"}");
    sl_record_free(SL_K_DESTINATION, &d);
    ok(sl_store_meta(st, "sealed.word", &meta, &err));
    assert_opens("meta:sealed.word", meta, "the word");
    free(meta);
    for (int i = 0; i < CONNECTIONS; i++) {
        char id[16], owner[32], secret[64];
        struct sl_connection c;

        snprintf(id, sizeof id, "c%d", i);
        snprintf(owner, sizeof owner, "connection:%s", id);
        snprintf(secret, sizeof secret, SECRET "-%d", i);
        ok(sl_store_get(st, SL_K_CONNECTION, id, &c, &err));
        if (i > 0)
            assert_opens(owner, c.secrets, secret);
        else
            assert_null(c.secrets);
        assert_string_equal(c.state, "{\"n\":1}");
        sl_record_free(SL_K_CONNECTION, &c);
    }
}

static void
read_key(char out[200])
{
    char *path = key_path();
    struct sl_buf key;

    sl_buf_init(&key, 1u << 20);
    ok(sl_file_read(path, &key, &err));
    snprintf(out, 200, "%s", sl_buf_str(&key));
    sl_buf_free(&key);
    free(path);
}

static void
a_rotation_seals_everything_anew(void **state)
{
    char before[200], after[200];

    (void)state;
    open_all(NULL);
    put_sealed();
    read_key(before);
    ok(sl_vault_rotate(v, &err));
    read_key(after);
    assert_string_not_equal(before, after);
    assert_int_equal(strlen(after), 65);
    assert_all_open();
    close_all();
    open_all(NULL);
    assert_all_open();
    close_all();
    assert_false(rig_holds(rig_dir, SECRET));
}

#ifdef SL_FAULTS
static sl_rc
rotate(void)
{
    sl_rc rc = sl_store_open(&st, rig_dir, NULL);

    if (rc == SL_OK)
        rc = sl_vault_open(&v, st, rig_dir, NULL, NULL);
    return rc ? rc : sl_vault_rotate(v, NULL);
}
#endif

static void
a_rotation_may_be_killed_anywhere(void **state)
{
#ifdef SL_FAULTS
    static const char *const points[] = {
        "vault_rotate_both",  "vault_rotate_sealed",    "store_before_commit",
        "store_after_commit", "vault_rotate_committed",
    };
    char fault[64], before[200], after[200];

    (void)state;
    open_all(NULL);
    put_sealed();
    for (size_t i = 0; i < sizeof points / sizeof points[0]; i++) {
        close_all();
        snprintf(fault, sizeof fault, "%s=kill", points[i]);
        read_key(before);
        assert_true(rig_killed(fault, rotate));
        read_key(after);
        assert_int_equal(strlen(after), 130); /* both */
        open_all(NULL);
        assert_all_open();
        read_key(after);
        assert_int_equal(strlen(after), 65); /* the one not in use is gone */
        /* Old before the commit, new after it. */
        assert_int_equal(strcmp(before, after) == 0, i < 3);
        ok(sl_vault_rotate(v, &err));
        assert_all_open();
    }
    close_all();
#else
    (void)state;
    skip();
#endif
}

static void
a_failed_rotation_changes_nothing(void **state)
{
    struct sl_connection c;

    (void)state;
    open_all(NULL);
    put_sealed();
    /* One value is damaged: it must not be lost by going on without it. */
    ok(sl_store_begin(st, &err));
    ok(sl_store_get(st, SL_K_CONNECTION, "c3", &c, &err));
    c.secrets[10] = c.secrets[10] == 'A' ? 'B' : 'A';
    ok(sl_store_put(st, SL_K_CONNECTION, &c, &err));
    ok(sl_store_commit(st, &err));
    assert_int_equal(sl_vault_rotate(v, &err), SL_E_DATA);
    assert_non_null(strstr(err.text, "connection:c3"));
    c.secrets[10] = c.secrets[10] == 'A' ? 'B' : 'A';
    sl_record_free(SL_K_CONNECTION, &c);
    ok(sl_store_get(st, SL_K_CONNECTION, "c2", &c, &err));
    assert_opens("connection:c2", c.secrets, SECRET "-2");
    sl_record_free(SL_K_CONNECTION, &c);
    close_all();
    open_all(NULL);
    close_all();
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        RIG_TEST(what_is_sealed_opens_for_its_owner_only),
        RIG_TEST(every_changed_bit_is_noticed),
        RIG_TEST(the_key_file_is_private_and_outside_the_store),
        RIG_TEST(another_key_or_none_is_refused),
        RIG_TEST(a_command_may_give_the_key),
        RIG_TEST(a_rotation_seals_everything_anew),
        RIG_TEST(a_rotation_may_be_killed_anywhere),
        RIG_TEST(a_failed_rotation_changes_nothing),
    };

    return sodium_init() < 0 || cmocka_run_group_tests(tests, NULL, NULL);
}
