/* destination_types.c - what destinations there are and what each wants to know: forms are drawn from this alone.
 *
 * {"id", "name", "options": [{"name", "kind", "required", "secret", "label", "description", "default"?, "placeholder"?, "when"?,
 *   "choices"? (of a choice), "minimum"?, "maximum"? (of an int)}]}
 * kind: text, secret, int, bool, choice, file (the text of one), secret_file. when: "auth=key", only asked for then.
 */
#include "api/api.h"

static json_t *
duckdb(void)
{
    return json_pack("{s:s, s:s, s:[{s:s, s:s, s:b, s:b, s:s, s:s, s:s}]}", "id", "duckdb", "name",
                     "DuckDB", "options", "name", "path", "kind", "text", "required", 1, "secret",
                     0, "label", "File", "description",
                     "the database file; it is made if it is not there", "placeholder",
                     "warehouse.db");
}

void
sl_api_destination_types(struct sl_call *c)
{
    sl_say(c, 200, json_pack("{s:[o]}", "items", duckdb()), NULL);
}
