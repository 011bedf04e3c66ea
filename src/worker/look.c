/* look.c - a look into the warehouse of a group, through the engine process that holds it. */
#include "worker/running.h"

#include <stdlib.h>

static sl_rc
open_location(struct sl_worker *w, const struct sl_destination *d, char **location,
              struct sl_err *err)
{
    char *owner = sl_sprintf("destination:%s", d->id), *plain = NULL;
    json_t *config = NULL;
    const char *path;
    size_t len = 0;
    sl_rc rc = sl_vault_unseal(w->pf->vault, owner, d->config, &plain, &len, err);

    if (rc == SL_OK)
        config = json_loadb(plain, len, 0, NULL);
    path = json_string_value(json_object_get(config, "path"));
    *location = path != NULL ? sl_strdup(path) : NULL;
    sl_vault_wipe(plain, len);
    json_decref(config);
    free(owner);
    return rc;
}

sl_rc
sl_worker_look(struct sl_worker *w, const char *group_id, const json_t *request, json_t **answer,
               struct sl_err *err)
{
    struct sl_destination d = { 0 };
    char *location = NULL;
    sl_rc rc = sl_store_get(w->pf->store, SL_K_DESTINATION, group_id, &d, err);

    *answer = NULL;
    if (rc == SL_OK && d.config != NULL)
        rc = open_location(w, &d, &location, err);
    if (rc == SL_OK && location == NULL)
        rc = sl_fail(err, SL_E_USAGE, "destinations of the kind %s cannot be looked into",
                     d.service);
    if (rc == SL_OK)
        rc = sl_engines_inspect(w->engines, d.service, location, request, answer, err);
    free(location);
    sl_record_free(SL_K_DESTINATION, &d);
    return rc;
}
