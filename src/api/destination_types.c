/* destination_types.c - what destinations there are and what each wants to know: forms are drawn from this alone.
 *
 * {"id", "name", "options": [{"name", "kind", "required", "secret", "label", "description", "default"?, "placeholder"?, "when"?,
 *   "choices"? (of a choice), "minimum"?, "maximum"? (of an int)}]}
 * kind: text, secret, int, bool, choice, file (the text of one), secret_file. when: "auth=key", only asked for then.
 */
#include "api/api.h"
#include "destinations/destination.h"

static json_t *
describe(const struct sl_dest_ops *ops)
{
    return json_pack("{s:s, s:s, s:o}", "id", ops->name, "name", ops->title, "options",
                     sl_options_describe(ops->options));
}

void
sl_api_destination_types(struct sl_call *c)
{
    const struct sl_dest_ops *ops;
    json_t *items = json_array();

    for (int i = 0; (ops = sl_destination_offered(i)) != NULL; i++)
        json_array_append_new(items, describe(ops));
    sl_say(c, 200, json_pack("{s:o}", "items", items), NULL);
}

void
sl_api_destination_type(struct sl_call *c)
{
    const struct sl_dest_ops *ops = sl_destination_service(c->args[0]);

    if (ops != NULL)
        sl_say(c, 200, describe(ops), NULL);
    else
        sl_refuse(c, 404, "NotFound_Integration", "Cannot find destination type '%.60s'",
                  c->args[0]);
}
