#include "platform/keys.h"

#include "base/text.h"
#include "base/time.h"

#include <pthread.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#define PEPPER "sealed.key_pepper"
#define PEPPER_BYTES 32
#define KEY_LEN 16
#define SECRET_LEN 32
#define HASH_BYTES 32
#define MINUTE_US INT64_C(60000000)

struct sl_keys {
    struct sl_store *st;
    struct sl_vault *v;
    pthread_mutex_t lock;
    unsigned char *pepper; /* in locked memory; NULL: not read yet */
};

static const char *const roles[] = { "", "viewer", "operator", "admin" };

enum sl_role
sl_role_of(const char *name)
{
    for (int i = SL_ROLE_VIEWER; i <= SL_ROLE_ADMIN; i++)
        if (name != NULL && strcmp(name, roles[i]) == 0)
            return i;
    return SL_ROLE_NONE;
}

const char *
sl_role_name(enum sl_role role)
{
    return roles[role];
}

void
sl_keys_new(struct sl_keys **out, struct sl_store *st, struct sl_vault *v)
{
    struct sl_keys *k = sl_zalloc(1, sizeof *k);

    k->st = st;
    k->v = v;
    pthread_mutex_init(&k->lock, NULL);
    *out = k;
}

void
sl_keys_free(struct sl_keys *k)
{
    if (k == NULL)
        return;
    sodium_free(k->pepper);
    pthread_mutex_destroy(&k->lock);
    free(k);
}

/* ---- the pepper ---- */

/* In a transaction: made with the first key. */
static sl_rc
make_pepper(struct sl_keys *k, struct sl_err *err)
{
    unsigned char pepper[PEPPER_BYTES];
    char *sealed, *old = NULL;
    sl_rc rc = sl_store_meta(k->st, PEPPER, &old, err);

    if (rc || old != NULL) {
        free(old);
        return rc;
    }
    randombytes_buf(pepper, sizeof pepper);
    rc = sl_vault_seal(k->v, "meta:" PEPPER, (struct sl_bytes){ (char *)pepper, sizeof pepper },
                       &sealed, err);
    if (rc == SL_OK)
        rc = sl_store_set_meta(k->st, PEPPER, sealed, err);
    free(sealed);
    sodium_memzero(pepper, sizeof pepper);
    return rc;
}

static sl_rc
read_pepper(struct sl_keys *k, unsigned char **pepper, struct sl_err *err)
{
    char *sealed = NULL, *plain = NULL;
    size_t len = 0;
    sl_rc rc = sl_store_meta(k->st, PEPPER, &sealed, err);

    if (rc == SL_OK && sealed == NULL)
        rc = sl_fail(err, SL_E_NOT_FOUND, "there are no API keys yet");
    if (rc == SL_OK)
        rc = sl_vault_unseal(k->v, "meta:" PEPPER, sealed, &plain, &len, err);
    if (rc == SL_OK && len != PEPPER_BYTES)
        rc = sl_fail(err, SL_E_DATA, "the pepper of the API keys is damaged");
    if (rc == SL_OK)
        *pepper = sodium_malloc(PEPPER_BYTES);
    if (rc == SL_OK && *pepper == NULL)
        rc = sl_fail(err, SL_E_NOMEM, "no memory for the pepper of the API keys");
    if (rc == SL_OK)
        memcpy(*pepper, plain, PEPPER_BYTES);
    sl_vault_wipe(plain, len);
    free(sealed);
    return rc;
}

/* Kept in memory only once it is committed: a first key that is rolled back takes its pepper with it. `mine`: read for
 * this call, to be freed. */
static sl_rc
pepper_of(struct sl_keys *k, bool committed, unsigned char **pepper, bool *mine, struct sl_err *err)
{
    sl_rc rc = SL_OK;

    *mine = false;
    pthread_mutex_lock(&k->lock);
    *pepper = k->pepper;
    if (*pepper == NULL) {
        rc = read_pepper(k, pepper, err);
        if (rc == SL_OK && committed)
            k->pepper = *pepper;
        else if (rc == SL_OK)
            *mine = true;
    }
    pthread_mutex_unlock(&k->lock);
    return rc;
}

/* The id is hashed too: a hash moved to another key's record fits nothing. */
static void
hash_secret(const unsigned char *pepper, const char *id, const char *secret,
            char out[2 * HASH_BYTES + 1])
{
    crypto_generichash_state st;
    unsigned char sum[HASH_BYTES];

    crypto_generichash_init(&st, pepper, PEPPER_BYTES, sizeof sum);
    crypto_generichash_update(&st, (const unsigned char *)id, strlen(id) + 1);
    crypto_generichash_update(&st, (const unsigned char *)secret, strlen(secret));
    crypto_generichash_final(&st, sum, sizeof sum);
    sl_hex(sum, sizeof sum, out);
}

/* ---- making and revoking ---- */

static void
draw(struct sl_new_key *out)
{
    unsigned char bytes[(KEY_LEN + SECRET_LEN) / 2];
    char both[KEY_LEN + 1 + SECRET_LEN + 1];

    randombytes_buf(bytes, sizeof bytes);
    sl_hex(bytes, KEY_LEN / 2, out->key);
    sl_hex(bytes + KEY_LEN / 2, SECRET_LEN / 2, out->secret);
    snprintf(both, sizeof both, "%s:%s", out->key, out->secret);
    sodium_bin2base64(out->base64, sizeof out->base64, (unsigned char *)both, strlen(both),
                      sodium_base64_VARIANT_ORIGINAL);
    sodium_memzero(bytes, sizeof bytes);
    sodium_memzero(both, sizeof both);
}

sl_rc
sl_key_add(struct sl_keys *k, const char *name, enum sl_role role, const char *user_id,
           struct sl_new_key *out, struct sl_err *err)
{
    char hash[2 * HASH_BYTES + 1];
    unsigned char *pepper;
    bool mine;
    struct sl_key rec = {
        .id = out->key,
        .name = (char *)name,
        .hash = hash,
        .role = (char *)sl_role_name(role),
        .user_id = (char *)user_id,
        .created_at = sl_now_us(),
    };
    sl_rc rc = make_pepper(k, err);

    if (rc == SL_OK)
        rc = pepper_of(k, false, &pepper, &mine, err);
    if (rc)
        return rc;
    draw(out);
    hash_secret(pepper, out->key, out->secret, hash);
    if (mine)
        sodium_free(pepper);
    rc = sl_store_put(k->st, SL_K_KEY, &rec, err);
    if (rc)
        sodium_memzero(out, sizeof *out);
    return rc;
}

sl_rc
sl_key_create(struct sl_keys *k, const char *name, enum sl_role role, const char *user_id,
              struct sl_new_key *out, struct sl_err *err)
{
    sl_rc rc = sl_store_begin(k->st, err);

    if (rc)
        return rc;
    rc = sl_key_add(k, name, role, user_id, out, err);
    if (rc == SL_OK) {
        rc = sl_store_commit(k->st, err);
        if (rc)
            sodium_memzero(out, sizeof *out);
        return rc;
    }
    sl_store_rollback(k->st);
    return rc;
}

sl_rc
sl_key_revoke(struct sl_keys *k, const char *id, struct sl_err *err)
{
    struct sl_key rec = { 0 };
    sl_rc rc = sl_store_begin(k->st, err);

    if (rc)
        return rc;
    rc = sl_store_get(k->st, SL_K_KEY, id, &rec, err);
    if (rc == SL_OK && rec.revoked_at == 0) {
        rec.revoked_at = sl_now_us();
        rc = sl_store_put(k->st, SL_K_KEY, &rec, err);
    }
    sl_record_free(SL_K_KEY, &rec);
    if (rc == SL_OK)
        return sl_store_commit(k->st, err);
    sl_store_rollback(k->st);
    return rc;
}

/* ---- checking ---- */

static bool
is_hex(const char *s, size_t n)
{
    return strlen(s) == n && strspn(s, "0123456789abcdef") == n;
}

/* base64("key:secret") taken apart; false for anything else. */
static bool
take_apart(const char *base64, char key[KEY_LEN + 1], char secret[SECRET_LEN + 1])
{
    char both[KEY_LEN + 1 + SECRET_LEN + 1];
    size_t n = 0, room = sizeof both - 1;
    bool ok = strlen(base64) < 128 &&
              sodium_base642bin((unsigned char *)both, room, base64, strlen(base64), " \t\r\n", &n,
                                NULL, sodium_base64_VARIANT_ORIGINAL) == 0 &&
              n == room && both[KEY_LEN] == ':';

    if (ok) {
        both[n] = both[KEY_LEN] = '\0';
        memcpy(key, both, KEY_LEN + 1);
        memcpy(secret, both + KEY_LEN + 1, SECRET_LEN + 1);
        ok = is_hex(key, KEY_LEN) && is_hex(secret, SECRET_LEN);
    }
    sodium_memzero(both, sizeof both);
    return ok;
}

static sl_rc
refuse(struct sl_err *err)
{
    sl_rc rc = sl_fail(err, SL_E_PERMISSION,
                       "the API key or its secret is wrong, or the key was revoked");

    sl_err_hint(err, "make one with: sluiced key create --name NAME");
    return rc;
}

/* A busy store leaves the time as it was: a check does not wait for that. */
static void
note_use(struct sl_keys *k, const char *id)
{
    struct sl_key rec = { 0 };
    int64_t now = sl_now_us();

    if (sl_store_begin_within(k->st, 20000, NULL))
        return;
    if (sl_store_get(k->st, SL_K_KEY, id, &rec, NULL) == SL_OK &&
        now - rec.last_used_at >= MINUTE_US) {
        rec.last_used_at = now;
        if (sl_store_put(k->st, SL_K_KEY, &rec, NULL) == SL_OK)
            (void)!sl_store_commit(k->st, NULL);
    }
    sl_store_rollback(k->st);
    sl_record_free(SL_K_KEY, &rec);
}

sl_rc
sl_key_check(struct sl_keys *k, const char *base64, struct sl_key *rec, struct sl_err *err)
{
    /* Compared with when there is no such key, so that both cases take the same time. */
    static const char nothing[2 * HASH_BYTES + 1] =
        "----------------------------------------------------------------";
    char key[KEY_LEN + 1], secret[SECRET_LEN + 1], hash[2 * HASH_BYTES + 1];
    unsigned char *pepper;
    bool mine, same;
    sl_rc rc;

    memset(rec, 0, sizeof *rec);
    if (base64 == NULL || !take_apart(base64, key, secret))
        return refuse(err);
    rc = pepper_of(k, true, &pepper, &mine, err);
    if (rc == SL_E_NOT_FOUND)
        rc = refuse(err);
    if (rc == SL_OK)
        rc = sl_store_get(k->st, SL_K_KEY, key, rec, err);
    if (rc && rc != SL_E_NOT_FOUND)
        goto out;
    hash_secret(pepper, key, secret, hash);
    same = sodium_memcmp(hash,
                         rec->hash && strlen(rec->hash) == 2 * HASH_BYTES ? rec->hash : nothing,
                         2 * HASH_BYTES) == 0;
    rc = same && rec->revoked_at == 0 ? SL_OK : refuse(err);
    if (rc)
        sl_record_free(SL_K_KEY, rec);
    else if (sl_now_us() - rec->last_used_at >= MINUTE_US)
        note_use(k, key);
out:
    sodium_memzero(secret, sizeof secret);
    return rc;
}
