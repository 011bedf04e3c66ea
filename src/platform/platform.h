/* platform.h - what the parts of a running server share. Opened by main.c, lent to worker and server. */
#ifndef SL_PLATFORM_PLATFORM_H
#define SL_PLATFORM_PLATFORM_H

#include "platform/keys.h"
#include "platform/logs.h"
#include "platform/packages.h"
#include "platform/store.h"
#include "platform/vault.h"

struct sl_platform {
    char *dir; /* the data directory, absolute */
    struct sl_store *store;
    struct sl_vault *vault;
    struct sl_keys *keys;
    struct sl_packages *packages;
    struct sl_logs *logs; /* NULL without `serving` */
    int lock_fd;          /* one server per directory; -1 without `serving` */
    char account_id[40], account_name[80];
};

/* Opens everything below `dir`, creating what is missing, with access for this user only (it sets the umask). `serving` takes
 * the directory's lock (SL_E_LOCKED names the server's PID); without it, for the commands that work beside a running server,
 * nothing is created, and a directory that has not been started yet is SL_E_NOT_FOUND. */
SL_MUST_CHECK sl_rc sl_platform_open(struct sl_platform **out, const char *dir, bool serving,
                                     const char *key_command, struct sl_err *err);
void sl_platform_close(struct sl_platform *p); /* NULL is fine */
/* The store of a directory that was started before, alone: for commands that need no secrets. */
SL_MUST_CHECK sl_rc sl_platform_store(struct sl_store **out, const char *dir, struct sl_err *err);
/* The directory's lock alone, for commands that need the server to be stopped: a descriptor to close. */
SL_MUST_CHECK sl_rc sl_platform_lock(const char *dir, int *fd, struct sl_err *err);

/* The first start of a directory: account, the owner user, the group and destination `warehouse` at <dir>/warehouse.db, and
 * the first key, given once in *key; all in one transaction. *first tells whether this was it; if not, account_id and
 * account_name are read and *key is zero. */
SL_MUST_CHECK sl_rc sl_platform_first_start(struct sl_platform *p, bool *first,
                                            struct sl_new_key *key, struct sl_err *err);
/* The zone a connection's daily time is meant in: its destination's offset to UTC; 0 when it has no daily time. */
int sl_zone_hours(struct sl_store *st, const struct sl_connection *c);
/* Adds an audit record to the running transaction. detail: JSON text or NULL. */
SL_MUST_CHECK sl_rc sl_audit(struct sl_store *st, const char *actor, const char *action,
                             const char *kind, const char *id, const char *detail,
                             struct sl_err *err);

#endif
