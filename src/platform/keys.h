/* keys.h - API keys: made once, shown once, kept as hashes.
 *
 * A key is 16 hex digits, its secret 32; clients send base64("key:secret"). Secrets are random, so that a keyed BLAKE2b hash
 * is enough (its key is a random pepper, sealed in the store); it is compared in constant time. Every check reads the store,
 * which costs some 20 µs: a revocation counts at once, also one by another process.
 * Threads: any.
 */
#ifndef SL_PLATFORM_KEYS_H
#define SL_PLATFORM_KEYS_H

#include "platform/store.h"
#include "platform/vault.h"

enum sl_role { SL_ROLE_NONE, SL_ROLE_VIEWER, SL_ROLE_OPERATOR, SL_ROLE_ADMIN };

enum sl_role sl_role_of(const char *name); /* NONE for an unknown word */
const char *sl_role_name(enum sl_role role);

struct sl_new_key {
    char key[17], secret[33], base64[128];
};

struct sl_keys;
void sl_keys_new(struct sl_keys **out, struct sl_store *st, struct sl_vault *v);
void sl_keys_free(struct sl_keys *k); /* NULL is fine */

/* In a transaction of its own. The caller wipes `out`. */
SL_MUST_CHECK sl_rc sl_key_create(struct sl_keys *k, const char *name, enum sl_role role,
                                  const char *user_id, struct sl_new_key *out, struct sl_err *err);
/* The same in the running transaction. */
SL_MUST_CHECK sl_rc sl_key_add(struct sl_keys *k, const char *name, enum sl_role role,
                               const char *user_id, struct sl_new_key *out, struct sl_err *err);
/* Already revoked is fine. SL_E_NOT_FOUND. */
SL_MUST_CHECK sl_rc sl_key_revoke(struct sl_keys *k, const char *id, struct sl_err *err);
/* The text after "Basic ". SL_E_PERMISSION for anything that is no valid key. *rec as sl_store_get gives it. last_used_at is
 * kept to the minute. */
SL_MUST_CHECK sl_rc sl_key_check(struct sl_keys *k, const char *base64, struct sl_key *rec,
                                 struct sl_err *err);

#endif
