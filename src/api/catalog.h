/* catalog.h - what a connection's schemas, tables and columns are, and which of them its users want.
 *
 * catalog (written by the worker): {"schemas": {S: {"name_in_destination": …, "tables": {T: {"name_in_destination": …,
 *     "columns": {C: {"name_in_destination": …, "type": "STRING", "is_primary_key": bool}}}}}}}
 * config (written here): {"schema_change_handling": …, "schemas": {S: {"enabled": bool, "tables": {T: {"enabled": bool,
 *     "columns": {C: {"enabled": bool}}}}}}}
 * What config does not name is wanted with ALLOW_ALL. With the others it is new, and blocked: when one of them is set, all that is
 * known then is written into the config. ALLOW_COLUMNS blocks new schemas and tables, BLOCK_ALL new columns, too.
 * Names are those of the source, as they are written there.
 */
#ifndef SL_API_CATALOG_H
#define SL_API_CATALOG_H

#include <jansson.h>
#include <stdbool.h>

/* All lend; NULL when there is none. */
json_t *sl_catalog_table(const json_t *catalog, const char *schema, const char *table);
json_t *sl_catalog_column(const json_t *catalog, const char *schema, const char *table,
                          const char *column);

/* Whether it is wanted; table and column may be NULL. Of the thing itself, not of what it lies in. */
bool sl_catalog_wanted(const json_t *config, const char *schema, const char *table,
                       const char *column);
/* The answer to GET …/schemas and …/columns: new references. */
json_t *sl_catalog_shown(const json_t *catalog, const json_t *config);
json_t *sl_catalog_columns(const json_t *catalog, const json_t *config, const char *schema,
                           const char *table);

/* Applies {"schema_change_handling", "schemas": {…}} of a client. `known`: names that are not in the catalog are an error, as are key
 * columns that should go. *problem is malloc'ed: what is wrong with it, and nothing is changed; NULL when all is well. */
void sl_catalog_change(json_t *config, const json_t *catalog, const json_t *change, bool known,
                       char **problem);
/* New things of `now` that were not in `before`: wanted or not. */
void sl_catalog_mark_new(json_t *config, const json_t *before, const json_t *now, bool wanted);

#endif
