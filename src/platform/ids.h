/* ids.h - ids as clients of the API know them: two words ("calm_river"), UUIDs for syncs. */
#ifndef SL_PLATFORM_IDS_H
#define SL_PLATFORM_IDS_H

#include "platform/store.h"

/* Two words of word lists of our own (words.h), 1.4 million pairs; tried until `kind` has none of that id, then with two hex
 * digits behind. malloc'ed. In a transaction, which makes it unique. */
SL_MUST_CHECK sl_rc sl_new_id(struct sl_store *st, enum sl_kind kind, char **id,
                              struct sl_err *err);
/* Two words, whether taken or not; malloc'ed. */
char *sl_new_words(void);
/* Version 4; malloc'ed. */
char *sl_new_uuid(void);

#endif
