/* cmd_login.c - `fivetran login` and `logout`: address and key of a server, checked and kept for the other commands. */
#include "cli/commands.h"
#include "cli/remote.h"

#include <stdio.h>
#include <stdlib.h>

static const struct sl_opt login_opts[] = {
    SL_ACCOUNT_OPTS,
    { "remove", NULL, NULL, "forget what is kept, as logout does", '\0' },
    { "non-interactive", NULL, NULL, "ask nothing", '\0' },
    { 0 },
};

static const struct sl_opt no_opts[] = { { 0 } };

static int
forget(void)
{
    struct sl_err err = { 0 };
    char *path = sl_account_path();
    bool there = false;
    int code = 0;

    if (sl_account_remove(&there, &err))
        code = sl_report(&err);
    else if (there)
        printf("the key was removed from %s; it is still valid on the server\n", path);
    else
        printf("there was nothing to remove\n");
    free(path);
    return code;
}

/* What was stored is the proposal for the address, not for the key: who logs in wants to give one. */
static sl_rc
complete(const struct sl_args *args, struct sl_account *acc, struct sl_err *err)
{
    bool can_ask = sl_can_ask(args),
         stored = acc->address_from != NULL && strcmp(acc->address_from, "fivetran login") == 0;
    char *given = NULL;
    sl_rc rc = SL_OK;

    if (acc->address == NULL && !can_ask)
        return sl_account_no_address(err);
    if (can_ask && (acc->address == NULL || stored)) {
        rc = sl_ask_text("Address of the server", acc->address, false, &given, err);
        free(acc->address);
        acc->address = NULL;
        acc->address_from = "the address";
        if (rc == SL_OK)
            rc = sl_http_address(given, "the address", &acc->address, err);
        free(given);
    }
    if (rc == SL_OK && can_ask &&
        (acc->key == NULL || strcmp(acc->key_from, "fivetran login") == 0)) {
        free(acc->key);
        acc->key_from = "the API key";
        rc = sl_ask_text("Provide your API Key (Base64 Encoded)", NULL, true, &acc->key, err);
    }
    if (rc == SL_OK && acc->key == NULL) {
        rc = sl_fail(err, SL_E_USAGE,
                     "--api-key is required; provide it via the --api-key flag or "
                     "the FIVETRAN_API_KEY environment variable.");
        sl_err_hint(err, "sluiced key create makes one");
    }
    return rc == SL_OK ? sl_account_check_key(acc->key, acc->key_from, err) : rc;
}

static sl_rc
check_and_keep(struct sl_remote *rem, struct sl_err *err)
{
    json_t *data = NULL;
    char masked[24], *path = sl_account_path();
    sl_rc rc = sl_remote_call(rem, "GET", "/v1/account/info", NULL, SL_REPEATABLE, 0, &data, err);

    if (rc == SL_OK)
        rc = sl_account_save(rem->acc.address, rem->acc.key, err);
    if (rc == SL_OK) {
        char *name = sl_remote_text(rem, sl_answer_text(data, "account_name"));

        sl_account_mask(rem->acc.key, masked);
        printf("✓ logged in to %s%s%s with the key %s\n  kept in %s, readable by you only\n",
               rem->acc.address, *name ? ", account " : "", name, masked, path);
        free(name);
    }
    json_decref(data);
    free(path);
    return rc;
}

static int
run_login(const struct sl_args *args)
{
    struct sl_account acc;
    struct sl_remote rem = { 0 };
    struct sl_err err = { 0 };
    int code;
    sl_rc rc;

    if (sl_arg_flag(args, "remove"))
        return forget();
    rc = sl_account_find(&acc, args, &err);
    if (rc == SL_OK)
        rc = complete(args, &acc, &err);
    if (rc == SL_OK)
        rc = sl_remote_open_account(&rem, &acc, &err);
    if (rc == SL_OK)
        rc = check_and_keep(&rem, &err);
    code = rc ? sl_remote_report(&rem, &err) : 0;
    sl_account_free(&acc);
    sl_remote_close(&rem);
    return code;
}

static int
run_logout(const struct sl_args *args)
{
    (void)args;
    return forget();
}

const struct sl_command sl_cmd_login = {
    .name = "login",
    .operands = "[--url URL] [--api-key KEY]",
    .summary = "keep a server's address and API key for the other commands",
    .opts = login_opts,
    .run = run_login,
    .more = "Kept in ~/.config/sluice/login.json (or below XDG_CONFIG_HOME), readable by you only. "
            "Options and variables win over it.",
};

const struct sl_command sl_cmd_logout = {
    .name = "logout",
    .operands = "",
    .summary = "forget what login keeps",
    .opts = no_opts,
    .run = run_logout,
};
