/* api_account.c - the account, its keys, the audit trail; and what this server has. */
#include "api/api.h"
#include "http/input.h"

#include <sodium.h>

void
sl_api_account(struct sl_call *c)
{
    const struct sl_platform *pf = c->sv->pf;

    sl_say(c, 200,
           json_pack("{s:s, s:s, s:o}", "account_id", pf->account_id, "account_name",
                     pf->account_name, "user_id", sl_json_text(c->user_id)),
           NULL);
}

/* ---- keys ---- */

static json_t *
key_item(struct sl_call *c, const void *rec)
{
    const struct sl_key *k = rec;

    (void)c;
    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o}", "id", k->id, "name",
                     sl_json_text(k->name), "role", sl_json_text(k->role), "user_id",
                     sl_json_text(k->user_id), "created_at", sl_json_time(k->created_at),
                     "last_used_at", sl_json_time(k->last_used_at), "revoked_at",
                     sl_json_time(k->revoked_at));
}

void
sl_api_keys(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_KEY };

    sl_say_page(c, &q, key_item);
}

static bool
audit(struct sl_call *c, const char *action, const char *id)
{
    return sl_call_begin(c) && sl_call_commit(c, action, SL_K_KEY, id, NULL);
}

void
sl_api_key_create(struct sl_call *c)
{
    static const struct sl_input inputs[] = {
        { "name", SL_IN_TEXT, SL_IN_MUST, NULL, 1, 0 },
        { "role", SL_IN_WORD, SL_IN_MUST, "viewer|operator|admin", 0, 0 },
        { NULL, 0, 0, NULL, 0, 0 },
    };
    struct sl_new_key key;
    struct sl_err err = { 0 };
    const char *role;

    if (!sl_input_check(c, c->body, inputs, ""))
        return;
    role = sl_in_text(c->body, "role", "");
    if (sl_key_create(c->sv->pf->keys, sl_in_text(c->body, "name", ""), sl_role_of(role),
                      c->user_id, &key, &err)) {
        sl_refuse_err(c, &err);
        return;
    }
    if (audit(c, "key.create", key.key))
        sl_say(c, 201,
               json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", key.key, "name",
                         sl_in_text(c->body, "name", ""), "role", role, "key", key.key, "secret",
                         key.secret, "base64", key.base64),
               "Key has been created. Its secret is not shown again");
    sodium_memzero(&key, sizeof key);
}

void
sl_api_key_revoke(struct sl_call *c)
{
    struct sl_key k = { 0 };
    struct sl_err err = { 0 };
    const char *id = c->args[0];

    if (!sl_call_get(c, SL_K_KEY, id, &k))
        return;
    sl_record_free(SL_K_KEY, &k);
    if (sl_key_revoke(c->sv->pf->keys, id, &err)) {
        sl_refuse_err(c, &err);
        return;
    }
    if (audit(c, "key.revoke", id))
        sl_say(c, 200, NULL, "Key with id '%s' has been revoked", id);
}

/* ---- audit ---- */

/* Who stands behind "key:<id>" or "user:<id>": the name of the key, the address of the user; the actor itself when that is gone. */
static json_t *
actor_name(struct sl_call *c, const char *actor)
{
    struct sl_key k = { 0 };
    struct sl_user u = { 0 };
    json_t *name = NULL;

    if (actor != NULL && strncmp(actor, "key:", 4) == 0 &&
        sl_store_get(c->sv->pf->store, SL_K_KEY, actor + 4, &k, NULL) == SL_OK)
        name = sl_json_text(k.name);
    else if (actor != NULL && strncmp(actor, "user:", 5) == 0 &&
             sl_store_get(c->sv->pf->store, SL_K_USER, actor + 5, &u, NULL) == SL_OK)
        name = sl_json_text(u.email);
    sl_record_free(SL_K_KEY, &k);
    sl_record_free(SL_K_USER, &u);
    return name != NULL ? name : sl_json_text(actor);
}

static json_t *
audit_item(struct sl_call *c, const void *rec)
{
    const struct sl_audit *a = rec;

    return json_pack("{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "id", a->id, "created_at",
                     sl_json_time(a->created_at), "actor", sl_json_text(a->actor), "actor_name",
                     actor_name(c, a->actor), "action", sl_json_text(a->action), "subject_kind",
                     sl_json_text(a->subject_kind), "subject_id", sl_json_text(a->subject_id),
                     "detail", sl_json_stored(a->detail, "null"));
}

void
sl_api_audit(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_AUDIT, .descending = true, .time_field = "created_at" };
    static const char *const fields[] = { "subject_kind", "subject_id", "actor", "action" };
    int n = 0;

    if (!sl_param_time(c, "start_time", &q.since_us) || !sl_param_time(c, "end_time", &q.before_us))
        return;
    for (size_t i = 0; i < sizeof fields / sizeof fields[0]; i++) {
        const char *wanted = sl_param_get(c, fields[i]);

        if (wanted != NULL) {
            q.where[n].field = fields[i];
            q.where[n++].text = wanted;
        }
    }
    sl_say_page(c, &q, audit_item);
}

/* What was done to one connection: of interest to all who see it. */
void
sl_api_connection_activity(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_AUDIT,
                          .where = { { "subject_kind", "connection" },
                                     { "subject_id", c->args[0] } },
                          .descending = true };
    struct sl_connection con = { 0 };

    if (sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        sl_say_page(c, &q, audit_item);
    sl_record_free(SL_K_CONNECTION, &con);
}

void
sl_api_pythons(struct sl_call *c)
{
    json_t *items = json_array();

    for (const char *const *p = sl_worker_pythons(c->sv->w); *p != NULL; p++)
        json_array_append_new(items, json_string(*p));
    sl_say(c, 200, json_pack("{s:o}", "items", items), NULL);
}
