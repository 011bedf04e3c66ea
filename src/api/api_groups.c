/* api_groups.c - groups: what clients call a destination by name. */
#include "api/api.h"
#include "api/connections.h"
#include "base/time.h"
#include "http/input.h"
#include "platform/ids.h"

#include <stdlib.h>

static const struct sl_input inputs[] = {
    { "name", SL_IN_TEXT, SL_IN_MUST, NULL, 1, 100 },
    { NULL, 0, 0, NULL, 0, 0 },
};

static json_t *
item(struct sl_call *c, const void *rec)
{
    const struct sl_group *g = rec;

    (void)c;
    return json_pack("{s:s, s:o, s:o}", "id", g->id, "name", sl_json_text(g->name), "created_at",
                     sl_json_time(g->created_at));
}

void
sl_api_groups(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_GROUP };

    sl_say_page(c, &q, item);
}

void
sl_api_group(struct sl_call *c)
{
    struct sl_group g = { 0 };

    if (sl_call_get(c, SL_K_GROUP, c->args[0], &g))
        sl_say(c, 200, item(c, &g), NULL);
    sl_record_free(SL_K_GROUP, &g);
}

/* Ends the transaction unless all is well. */
static bool
put(struct sl_call *c, struct sl_group *g)
{
    struct sl_err err = { 0 };
    sl_rc rc = sl_store_put(c->sv->pf->store, SL_K_GROUP, g, &err);

    if (rc == SL_E_LOCKED) {
        sl_call_rollback(c);
        sl_refuse(c, 409, "Conflict", "A group named '%s' exists already", g->name);
        return false;
    }
    if (rc)
        sl_call_fail(c, &err);
    return rc == SL_OK;
}

void
sl_api_group_create(struct sl_call *c)
{
    struct sl_group g = { 0 };
    struct sl_err err = { 0 };

    if (!sl_input_check(c, c->body, inputs, "") || !sl_call_begin(c))
        return;
    if (sl_new_id(c->sv->pf->store, SL_K_GROUP, &g.id, &err)) {
        sl_call_fail(c, &err);
        return;
    }
    g.name = sl_strdup(sl_in_text(c->body, "name", ""));
    g.created_at = sl_now_us();
    if (put(c, &g) && sl_call_commit(c, "group.create", SL_K_GROUP, g.id, NULL))
        sl_say(c, 201, item(c, &g), "Group has been created");
    sl_record_free(SL_K_GROUP, &g);
}

void
sl_api_group_update(struct sl_call *c)
{
    struct sl_group g = { 0 };

    if (!sl_input_check(c, c->body, inputs, "") || !sl_call_begin(c))
        return;
    if (!sl_call_get(c, SL_K_GROUP, c->args[0], &g)) {
        sl_call_rollback(c);
        return;
    }
    free(g.name);
    g.name = sl_strdup(sl_in_text(c->body, "name", ""));
    if (put(c, &g) && sl_call_commit(c, "group.update", SL_K_GROUP, g.id, NULL))
        sl_say(c, 200, item(c, &g), "Group has been updated");
    sl_record_free(SL_K_GROUP, &g);
}

void
sl_api_group_delete(struct sl_call *c)
{
    sl_delete_unused(c, SL_K_GROUP, "Group", "group.delete");
}
