/* filter.h - which tables and columns a sync is wanted for, by their source names.
 *
 * As data, a JSON object; everything in it is optional:
 *   {"others": true,                            tables not named below are wanted
 *    "schemas": {"sales": false},               those of this schema are not
 *    "tables": [{"schema": "", "table": "orders",
 *                "wanted": true,
 *                "others": true,                columns not named are wanted
 *                "columns": {"note": false}}]}
 * What is said of a table holds, then what is said of its schema, then "others".
 * So {"others": false, "tables": [{"table": "orders"}]} is only `orders`, {"tables": [{"table": "log", "wanted": false}]} all but
 * `log`. Key columns are always wanted. For a table without a key an unwanted column still counts for a row's identity.
 * Names are those schema() or the rows use; a column that rows spell otherwise than schema() goes by schema()'s name.
 * Ownership: sl_filter_new() gives. Read-only afterwards.
 */
#ifndef SL_ENGINE_FILTER_H
#define SL_ENGINE_FILTER_H

#include "model/schema.h"

struct sl_filter;

/* SL_E_CONFIG for text that is not of this form. Text with ptr NULL gives NULL: all is wanted. */
SL_MUST_CHECK sl_rc sl_filter_new(struct sl_filter **out, struct sl_bytes text, struct sl_err *err);
void sl_filter_free(struct sl_filter *f); /* NULL is fine */
/* Sets `excluded` of the table and its columns. */
void sl_filter_mark(const struct sl_filter *f, struct sl_table *t);
/* The same for a column that was just added. */
void sl_filter_mark_column(const struct sl_filter *f, const struct sl_table *t,
                           struct sl_column *c);

#endif
