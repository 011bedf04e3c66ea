/* vault.h - secrets at rest: sealed with a master key that is never in the store.
 *
 * XChaCha20-Poly1305 with a fresh nonce; the owner ("connection:<id>") is associated data, so that a sealed value moved to
 * another record does not open (Inv 5). The master key is <dir>/secret.key (0600, made at the first start), or what
 * --key-command prints: one key a line, 64 hex digits. The store keeps a check value: another key, or none while something
 * may be sealed, is refused (SL_E_CONFIG) instead of guessed.
 * What is sealed: the fields marked so in store_fields.c with the owner "<kind>:<id>", and the store's values whose names
 * begin with "sealed." with the owner "meta:<name>". Only these are found by a rotation.
 * Threads: any, after sl_vault_open().
 */
#ifndef SL_PLATFORM_VAULT_H
#define SL_PLATFORM_VAULT_H

#include "platform/store.h"

struct sl_vault;

/* `command` NULL: the key file. The key lives in locked memory. */
SL_MUST_CHECK sl_rc sl_vault_open(struct sl_vault **out, struct sl_store *st, const char *dir,
                                  const char *command, struct sl_err *err);
void sl_vault_close(struct sl_vault *v); /* NULL is fine; wipes */

/* Base64 text, malloc'ed. */
SL_MUST_CHECK sl_rc sl_vault_seal(struct sl_vault *v, const char *owner, struct sl_bytes plain,
                                  char **sealed, struct sl_err *err);
/* The plain text with a NUL after it; end it with sl_vault_wipe(). SL_E_DATA: damaged, or sealed for another owner. */
SL_MUST_CHECK sl_rc sl_vault_unseal(struct sl_vault *v, const char *owner, const char *sealed,
                                    char **plain, size_t *len, struct sl_err *err);
void sl_vault_wipe(char *plain, size_t len); /* zeroes and frees; NULL is fine */

/* A new master key: every sealed value is sealed anew in one transaction, then the key file is replaced. A kill at any point
 * leaves the old or the new key usable: the key file holds both until the transaction is known to be committed. With a key
 * command the new key is the one it prints first, the old one the second.
 * The caller holds the directory's lock: a server that still has the old key in memory would go on sealing with it. */
SL_MUST_CHECK sl_rc sl_vault_rotate(struct sl_vault *v, struct sl_err *err);

#endif
