/* migrate.h - brings a database's tables up to date: numbered steps, forward only. Internal to this folder. */
#ifndef SL_PLATFORM_MIGRATE_H
#define SL_PLATFORM_MIGRATE_H

#include "platform/sqlite.h"

/* Step i (from 0) takes version i to i + 1 (PRAGMA user_version), in one transaction. Before the first of them a copy of
 * the file is put beside it as <path>.v<version>, unless it is new. A version past the last step is refused (SL_E_CONFIG). */
SL_MUST_CHECK sl_rc sl_migrate(struct sl_db *db, const char *const *steps, int nsteps,
                               struct sl_err *err);
/* A copy without gaps, durably written; `path` must not exist. */
SL_MUST_CHECK sl_rc sl_db_copy(struct sl_db *db, const char *path, struct sl_err *err);

/* The store's own steps. */
extern const char *const sl_store_steps[];
extern const int sl_store_nsteps;

#endif
