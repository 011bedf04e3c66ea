/* look.c - questions to the warehouse of a group: looks into it, and its setup tests. An engine process answers them. */
#include "destinations/destination.h"
#include "worker/running.h"

#include <stdlib.h>

/* A destination with its configuration opened. */
struct target {
    struct sl_destination d;
    json_t *config;
};

static void
target_free(struct target *t)
{
    json_decref(t->config);
    sl_record_free(SL_K_DESTINATION, &t->d);
}

static sl_rc
target_open(struct sl_worker *w, const char *group_id, struct target *t, struct sl_err *err)
{
    char *owner = sl_sprintf("destination:%s", group_id), *plain = NULL;
    size_t len = 0;
    sl_rc rc = sl_store_get(w->pf->store, SL_K_DESTINATION, group_id, &t->d, err);

    if (rc == SL_OK && t->d.config != NULL)
        rc = sl_vault_unseal(w->pf->vault, owner, t->d.config, &plain, &len, err);
    if (rc == SL_OK && plain != NULL)
        t->config = json_loadb(plain, len, 0, NULL);
    sl_vault_wipe(plain, len);
    free(owner);
    if (rc == SL_OK && !json_is_object(t->config))
        rc = sl_fail(err, SL_E_CONFIG, "the destination has no configuration");
    return rc;
}

static sl_rc
ask(struct sl_worker *w, const struct target *t, const json_t *request, json_t **answer,
    struct sl_err *err)
{
    const struct sl_dest_ops *ops = sl_destination_service(t->d.service);
    const char *path = json_string_value(json_object_get(t->config, "path"));

    if (ops == NULL)
        return sl_fail(err, SL_E_USAGE, "destinations of the kind %s cannot be looked into",
                       t->d.service);
    return sl_engines_ask(w->engines, ops->name, path, path ? NULL : t->config, request, answer,
                          err);
}

sl_rc
sl_worker_look(struct sl_worker *w, const char *group_id, const json_t *request, json_t **answer,
               struct sl_err *err)
{
    struct target t = { 0 };
    sl_rc rc = target_open(w, group_id, &t, err);

    *answer = NULL;
    if (rc == SL_OK)
        rc = ask(w, &t, request, answer, err);
    target_free(&t);
    return rc;
}

sl_rc
sl_worker_destination_test(struct sl_worker *w, const char *group_id, json_t **tests,
                           struct sl_err *err)
{
    json_t *request = json_pack("{s:s}", "what", "test"), *answer = NULL;
    sl_rc rc = sl_worker_look(w, group_id, request, &answer, err);

    *tests = json_incref(json_object_get(answer, "tests"));
    json_decref(request);
    json_decref(answer);
    return rc;
}
