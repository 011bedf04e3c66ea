/* data.h - what a connection wrote into its warehouse, as far as one may look. */
#ifndef SL_API_DATA_H
#define SL_API_DATA_H

#include "http/call.h"

/* The first rows of a table, named as its source names it: the answer of GET …/data, a new reference. SL_E_NOT_FOUND: the connection has
 * no such table, or nothing of it was written yet; SL_E_USAGE: this kind of destination cannot answer. */
SL_MUST_CHECK sl_rc sl_data_rows(struct sl_call *c, const struct sl_connection *con,
                                 const char *schema, const char *table, int64_t limit,
                                 json_t **answer, struct sl_err *err);
/* {"<schema>": {"<table>": {"rows", "live_rows"}}} of tables of these names in these schemas, all as in the warehouse. A new reference;
 * the lists are taken. */
SL_MUST_CHECK sl_rc sl_data_counts(struct sl_call *c, const struct sl_connection *con,
                                   json_t *schemas, json_t *tables, json_t **counts,
                                   struct sl_err *err);

#endif
