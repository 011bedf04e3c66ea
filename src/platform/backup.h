/* backup.h - one file with what a server needs to start again elsewhere: its store and the packages it names.
 *
 * A tar packed by zstd: sluice.json (what it is), sluice.db, packages/<sha256>.zip, and secret.key only when asked for.
 * Not in it: warehouses (they are the user's data, in files of their own), logs, unpacked code, environments.
 */
#ifndef SL_PLATFORM_BACKUP_H
#define SL_PLATFORM_BACKUP_H

#include "platform/store.h"

/* Consistent while a server runs on `dir`. `file` must not exist; it appears complete and durable, readable by this user only. */
SL_MUST_CHECK sl_rc sl_backup(struct sl_store *st, const char *dir, const char *file, bool with_key,
                              struct sl_err *err);

struct sl_restored {
    int packages;
    bool with_key;
    char made_at[40]; /* ISO 8601 */
};
/* `dir` must be absent or an empty folder; it appears complete, and only if every file fits its hash and the store is whole. */
SL_MUST_CHECK sl_rc sl_restore(const char *file, const char *dir, struct sl_restored *res,
                               struct sl_err *err);

#endif
