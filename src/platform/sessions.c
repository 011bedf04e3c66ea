#include "platform/sessions.h"

#include "base/text.h"
#include "base/time.h"
#include "platform/platform.h"

#include <sodium.h>
#include <stdlib.h>

#define SECOND_US INT64_C(1000000)
#define MINUTE_US (60 * SECOND_US)
#define TOKEN_BYTES 32
#define HASH_BYTES 32
#define HASH_TEXT (2 * HASH_BYTES + 1)

static bool
is_token(const char *token)
{
    return token != NULL && strlen(token) == SL_TOKEN_TEXT - 1;
}

/* The token is random: a plain hash cannot be searched for. `purpose` keeps the two hashes of a token apart. */
static void
hash_token(const char *token, const char *purpose, char out[HASH_TEXT])
{
    crypto_generichash_state st;
    unsigned char sum[HASH_BYTES];

    crypto_generichash_init(&st, NULL, 0, sizeof sum);
    crypto_generichash_update(&st, (const unsigned char *)purpose, strlen(purpose) + 1);
    crypto_generichash_update(&st, (const unsigned char *)token, strlen(token));
    crypto_generichash_final(&st, sum, sizeof sum);
    sl_hex(sum, sizeof sum, out);
}

void
sl_session_csrf(const char *token, char out[SL_CSRF_TEXT])
{
    hash_token(token, "csrf", out);
}

bool
sl_session_csrf_is(const char *token, const char *given)
{
    char want[SL_CSRF_TEXT];

    sl_session_csrf(token, want);
    return given != NULL && strlen(given) == SL_CSRF_TEXT - 1 &&
           sodium_memcmp(want, given, SL_CSRF_TEXT - 1) == 0;
}

/* ---- begin ---- */

/* What is over is of no use to anybody. In a transaction. */
static sl_rc
sweep(struct sl_store *st, int64_t now, struct sl_err *err)
{
    struct sl_query expired = { .kind = SL_K_SESSION,
                                .time_field = "expires_at",
                                .before_us = now };
    struct sl_query idle = { .kind = SL_K_SESSION,
                             .time_field = "last_used_at",
                             .before_us = now - SL_SESSION_IDLE_S * SECOND_US };
    sl_rc rc = sl_store_delete_where(st, &expired, NULL, err);

    return rc ? rc : sl_store_delete_where(st, &idle, NULL, err);
}

static sl_rc
note_login(struct sl_store *st, const char *user_id, int64_t now, struct sl_err *err)
{
    struct sl_user u = { 0 };
    char *actor = sl_sprintf("user:%s", user_id);
    sl_rc rc = sl_store_get(st, SL_K_USER, user_id, &u, err);

    if (rc == SL_OK) {
        u.logged_in_at = now;
        rc = sl_store_put(st, SL_K_USER, &u, err);
    }
    if (rc == SL_OK)
        rc = sl_audit(st, actor, "user.login", "user", user_id, NULL, err);
    sl_record_free(SL_K_USER, &u);
    free(actor);
    return rc;
}

sl_rc
sl_session_begin(struct sl_store *st, const char *user_id, char token[SL_TOKEN_TEXT],
                 struct sl_err *err)
{
    unsigned char bytes[TOKEN_BYTES];
    char id[HASH_TEXT];
    int64_t now = sl_now_us();
    struct sl_session s = {
        .id = id,
        .user_id = (char *)user_id,
        .created_at = now,
        .last_used_at = now,
        .expires_at = now + SL_SESSION_S * SECOND_US,
    };
    sl_rc rc = sl_store_begin(st, err);

    if (rc)
        return rc;
    randombytes_buf(bytes, sizeof bytes);
    sodium_bin2base64(token, SL_TOKEN_TEXT, bytes, sizeof bytes,
                      sodium_base64_VARIANT_URLSAFE_NO_PADDING);
    sodium_memzero(bytes, sizeof bytes);
    hash_token(token, "session", id);
    rc = sweep(st, now, err);
    if (rc == SL_OK)
        rc = note_login(st, user_id, now, err);
    if (rc == SL_OK)
        rc = sl_store_put(st, SL_K_SESSION, &s, err);
    if (rc == SL_OK)
        rc = sl_store_commit(st, err);
    sl_store_rollback(st);
    if (rc)
        sodium_memzero(token, SL_TOKEN_TEXT);
    return rc;
}

/* ---- check ---- */

static bool
is_over(const struct sl_session *s, int64_t now)
{
    return now >= s->expires_at || now >= s->last_used_at + SL_SESSION_IDLE_S * SECOND_US;
}

/* A busy store leaves the time as it was: a check does not wait for that. */
static void
note_use(struct sl_store *st, const char *id)
{
    struct sl_session s = { 0 };

    if (sl_store_begin_within(st, 20000, NULL))
        return;
    if (sl_store_get(st, SL_K_SESSION, id, &s, NULL) == SL_OK) {
        s.last_used_at = sl_now_us();
        if (sl_store_put(st, SL_K_SESSION, &s, NULL) == SL_OK)
            (void)!sl_store_commit(st, NULL);
    }
    sl_store_rollback(st);
    sl_record_free(SL_K_SESSION, &s);
}

sl_rc
sl_session_check(struct sl_store *st, const char *token, struct sl_user *u, struct sl_err *err)
{
    struct sl_session s = { 0 };
    int64_t now = sl_now_us();
    char id[HASH_TEXT];
    sl_rc rc = SL_E_NOT_FOUND;

    if (is_token(token)) {
        hash_token(token, "session", id);
        rc = sl_store_get(st, SL_K_SESSION, id, &s, err);
    }
    if (rc == SL_OK && is_over(&s, now))
        rc = SL_E_NOT_FOUND;
    if (rc == SL_OK)
        rc = sl_store_get(st, SL_K_USER, s.user_id, u, err);
    if (rc == SL_OK && !u->active) {
        sl_record_free(SL_K_USER, u);
        rc = SL_E_NOT_FOUND;
    }
    if (rc == SL_OK && now - s.last_used_at >= MINUTE_US)
        note_use(st, id);
    sl_record_free(SL_K_SESSION, &s);
    return rc == SL_E_NOT_FOUND ? sl_fail(err, SL_E_PERMISSION, "the session is over: log in again")
                                : rc;
}

/* ---- end ---- */

sl_rc
sl_session_end(struct sl_store *st, const char *token, struct sl_err *err)
{
    char id[HASH_TEXT];
    sl_rc rc;

    if (!is_token(token))
        return SL_OK;
    hash_token(token, "session", id);
    rc = sl_store_begin(st, err);
    if (rc)
        return rc;
    rc = sl_store_delete(st, SL_K_SESSION, id, err);
    if (rc == SL_OK)
        rc = sl_store_commit(st, err);
    sl_store_rollback(st);
    return rc == SL_E_NOT_FOUND ? SL_OK : rc;
}

sl_rc
sl_sessions_end(struct sl_store *st, const char *user_id, struct sl_err *err)
{
    struct sl_query q = { .kind = SL_K_SESSION, .where = { { "user_id", user_id } } };

    return sl_store_delete_where(st, &q, NULL, err);
}
