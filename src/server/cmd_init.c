/* cmd_init.c - `sluiced init`: the first start of a directory without a server, for those who set machines up by script. */
#include "platform/platform.h"
#include "server/commands.h"

#include <sodium.h>
#include <stdio.h>

static const struct sl_opt opts[] = { SL_OPT_DATA, SL_OPT_JSON, SL_OPT_KEY_COMMAND, { 0 } };

void
sl_print_key(const struct sl_new_key *key, bool json)
{
    /* Not through jansson: what it allocates is not wiped. Hex and base64 need no quoting. */
    if (json)
        printf("{\"key\":\"%s\",\"secret\":\"%s\",\"base64\":\"%s\"}\n", key->key, key->secret,
               key->base64);
    else
        printf("key     %s\nsecret  %s\nbase64  %s\n\nThe secret is shown only now. For the "
               "command line:\n"
               "  export FIVETRAN_API_KEY=%s\n",
               key->key, key->secret, key->base64, key->base64);
}

static int
run(const struct sl_args *args)
{
    struct sl_new_key key = { 0 };
    struct sl_platform *pf = NULL;
    struct sl_err err = { 0 };
    bool first = false;
    const char *dir;
    sl_rc rc = sl_arg_data(args, &dir, &err);

    if (rc == SL_OK)
        rc = sl_platform_open(&pf, dir, true, sl_arg(args, "key-command"), &err);
    if (rc == SL_OK)
        rc = sl_platform_first_start(pf, &first, &key, &err);
    if (rc == SL_OK && !first) {
        rc = sl_fail(&err, SL_E_USAGE, "%s is a data directory of sluiced already", pf->dir);
        sl_err_hint(&err, "another key: sluiced key create --name NAME --data %s", pf->dir);
    }
    if (rc == SL_OK)
        sl_print_key(&key, sl_arg_flag(args, "json"));
    sodium_memzero(&key, sizeof key);
    sl_platform_close(pf);
    return rc ? sl_report(&err) : 0;
}

const struct sl_command sl_sluiced_init = {
    .name = "init",
    .operands = "--data DIR [--json]",
    .summary = "make a server's directory and its first key; `serve` does it too",
    .opts = opts,
    .run = run,
};
