/* cmd_key.c - `sluiced key create | list | revoke ID`: with or without a running server on the directory. */
#include "base/buf.h"
#include "platform/platform.h"
#include "server/commands.h"
#include "server/listing.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static const struct sl_opt opts[] = {
    SL_OPT_DATA,
    { "name", "NAME", NULL, "what the key is for (create)", '\0' },
    { "role", "ROLE", NULL, "admin, operator or viewer (create; default admin)", '\0' },
    SL_OPT_JSON,
    SL_OPT_KEY_COMMAND,
    { 0 },
};

/* ---- create ---- */

static sl_rc
owner_of_server(struct sl_store *st, char **id, struct sl_err *err)
{
    struct sl_query q = { .kind = SL_K_USER, .limit = 1 };
    struct sl_list list = { 0 };
    sl_rc rc = sl_store_list(st, &q, &list, err);

    *id = list.count ? sl_strdup(SL_ITEM(&list, struct sl_user, 0)->id) : NULL;
    sl_list_free(&list);
    return rc;
}

static sl_rc
add_key(struct sl_platform *pf, const char *name, enum sl_role role, struct sl_new_key *key,
        struct sl_err *err)
{
    char *owner = NULL;
    sl_rc rc = sl_store_begin(pf->store, err);

    if (rc)
        return rc;
    rc = owner_of_server(pf->store, &owner, err);
    if (rc == SL_OK)
        rc = sl_key_add(pf->keys, name, role, owner, key, err);
    if (rc == SL_OK)
        rc = sl_audit(pf->store, "command", "key.create", "key", key->key, NULL, err);
    free(owner);
    if (rc == SL_OK)
        return sl_store_commit(pf->store, err);
    sl_store_rollback(pf->store);
    return rc;
}

static sl_rc
create(const struct sl_args *args, const char *dir, struct sl_err *err)
{
    const char *name = sl_arg(args, "name"), *word = sl_arg(args, "role");
    enum sl_role role = sl_role_of(word ? word : "admin");
    struct sl_new_key key = { 0 };
    struct sl_platform *pf;
    sl_rc rc;

    if (name == NULL || name[0] == '\0') {
        rc = sl_fail(err, SL_E_USAGE, "a key needs a name that tells what it is for");
        sl_err_hint(err, "sluiced key create --name laptop");
        return rc;
    }
    if (role == SL_ROLE_NONE)
        return sl_fail(err, SL_E_USAGE, "--role is admin, operator or viewer, not \"%s\"", word);
    rc = sl_platform_open(&pf, dir, false, sl_arg(args, "key-command"), err);
    if (rc == SL_OK)
        rc = add_key(pf, name, role, &key, err);
    if (rc == SL_OK)
        sl_print_key(&key, sl_arg_flag(args, "json"));
    sodium_memzero(&key, sizeof key);
    sl_platform_close(pf);
    return rc;
}

/* ---- list, revoke ---- */

static sl_rc
list_keys(const struct sl_args *args, const char *dir, struct sl_err *err)
{
    struct sl_store *st;
    sl_rc rc = sl_platform_store(&st, dir, err);

    if (rc == SL_OK)
        rc = sl_show_keys(st, sl_arg_flag(args, "json"), err);
    sl_store_close(st);
    return rc;
}

static sl_rc
revoke(const struct sl_args *args, const char *dir, struct sl_err *err)
{
    const char *id = args->nrest > 1 ? args->rest[1] : NULL;
    struct sl_keys *keys = NULL;
    struct sl_store *st;
    sl_rc rc;

    if (id == NULL) {
        rc = sl_fail(err, SL_E_USAGE, "which key?");
        sl_err_hint(err, "sluiced key list --data DIR shows their ids");
        return rc;
    }
    rc = sl_platform_store(&st, dir, err);
    if (rc)
        return rc;
    sl_keys_new(&keys, st, NULL);
    rc = sl_key_revoke(keys, id, err);
    if (rc == SL_OK)
        rc = sl_store_begin(st, err);
    if (rc == SL_OK) {
        rc = sl_audit(st, "command", "key.revoke", "key", id, NULL, err);
        if (rc == SL_OK)
            rc = sl_store_commit(st, err);
        sl_store_rollback(st);
    }
    if (rc == SL_OK && sl_arg_flag(args, "json"))
        printf("{\"revoked\":\"%s\"}\n", id);
    else if (rc == SL_OK)
        printf("%s is revoked\n", id);
    sl_keys_free(keys);
    sl_store_close(st);
    return rc;
}

/* ---- the command ---- */

static const struct {
    const char *word;
    sl_rc (*run)(const struct sl_args *args, const char *dir, struct sl_err *err);
    int operands;
} verbs[] = {
    { "create", create, 1 },
    { "list", list_keys, 1 },
    { "revoke", revoke, 2 },
};

static int
run(const struct sl_args *args)
{
    const char *word = args->nrest ? args->rest[0] : "", *dir;
    struct sl_err err = { 0 };
    sl_rc rc = SL_E_USAGE;

    for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++) {
        if (strcmp(word, verbs[i].word) != 0)
            continue;
        if (args->nrest > verbs[i].operands) {
            sl_fail(&err, SL_E_USAGE, "sluiced key %s does not know what to do with \"%s\"", word,
                    args->rest[verbs[i].operands]);
            return sl_report(&err);
        }
        rc = sl_arg_data(args, &dir, &err);
        if (rc == SL_OK)
            rc = verbs[i].run(args, dir, &err);
        return rc ? sl_report(&err) : 0;
    }
    sl_fail(&err, SL_E_USAGE, "sluiced key create, list or revoke%s%s%s", word[0] ? ", not \"" : "",
            word, word[0] ? "\"" : "");
    sl_err_hint(&err, "sluiced key --help");
    return sl_report(&err);
}

const struct sl_command sl_sluiced_key = {
    .name = "key",
    .operands = "create --name NAME [--role ROLE] | list | revoke ID  --data DIR [--json]",
    .summary = "make, list and revoke API keys",
    .opts = opts,
    .max_rest = 2,
    .run = run,
    .more = "With or without a running server on that directory. A revoked key is refused at once.",
};
