/* store_sqlite.h - the inside of the store, shared by store_sqlite.c and records.c. */
#ifndef SL_PLATFORM_STORE_SQLITE_H
#define SL_PLATFORM_STORE_SQLITE_H

#include "platform/sqlite.h"
#include "platform/store.h"

/* The connection that this thread reads with: the writer's in its own transaction, which sees what it wrote, else one of
 * the pool. sl_reader_give() ends it. */
SL_MUST_CHECK sl_rc sl_reader_take(struct sl_store *st, struct sl_db **db, struct sl_err *err);
void sl_reader_give(struct sl_store *st, struct sl_db *db);
/* The writer's, in this thread's transaction; otherwise a bug of the caller: SL_E_INTERNAL. */
SL_MUST_CHECK sl_rc sl_writer(struct sl_store *st, struct sl_db **db, struct sl_err *err);

#endif
