/* cmd_rotate_key.c - `sluiced rotate-key`: a new master key for a directory whose server is stopped. */
#include "platform/platform.h"
#include "server/commands.h"

#include <stdio.h>
#include <unistd.h>

static const struct sl_opt opts[] = { SL_OPT_DATA, SL_OPT_KEY_COMMAND, { 0 } };

static sl_rc
rotate(const char *dir, const char *command, struct sl_err *err)
{
    struct sl_vault *v = NULL;
    struct sl_store *st;
    int lock = -1;
    sl_rc rc = sl_platform_store(&st, dir, err);

    if (rc == SL_OK)
        rc = sl_platform_lock(dir, &lock, err);
    if (rc == SL_OK)
        rc = sl_vault_open(&v, st, dir, command, err);
    if (rc == SL_OK)
        rc = sl_vault_rotate(v, err);
    if (rc == SL_OK)
        rc = sl_store_begin(st, err);
    if (rc == SL_OK) {
        rc = sl_audit(st, "command", "vault.rotate", "vault", "master", NULL, err);
        if (rc == SL_OK)
            rc = sl_store_commit(st, err);
        sl_store_rollback(st);
    }
    sl_vault_close(v);
    sl_store_close(st);
    if (lock >= 0)
        close(lock);
    return rc;
}

static int
run(const struct sl_args *args)
{
    const char *dir, *command = sl_arg(args, "key-command");
    struct sl_err err = { 0 };
    sl_rc rc = sl_arg_data(args, &dir, &err);

    if (rc == SL_OK)
        rc = rotate(dir, command, &err);
    if (rc)
        return sl_report(&err);
    if (command != NULL)
        puts(
            "every secret is sealed with the new key; let the key command print only that one now");
    else
        printf(
            "every secret is sealed with a new key: keep a copy of %s/secret.key in a safe place; "
            "older backups need the old one\n",
            dir);
    return 0;
}

const struct sl_command sl_sluiced_rotate_key = {
    .name = "rotate-key",
    .operands = "--data DIR",
    .summary = "seal all secrets with a new master key (server stopped)",
    .opts = opts,
    .run = run,
};
