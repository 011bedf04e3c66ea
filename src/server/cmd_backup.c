/* cmd_backup.c - `sluiced backup` and `restore`. */
#include "platform/backup.h"
#include "platform/platform.h"
#include "server/commands.h"

#include <stdio.h>
#include <sys/stat.h>

static const struct sl_opt backup_opts[] = {
    SL_OPT_DATA,
    { "with-key", NULL, NULL, "also the master key: whoever has the file can open every secret",
      '\0' },
    { 0 },
};

static const struct sl_opt restore_opts[] = { SL_OPT_DATA, { 0 } };

/* Which file and which directory. */
static sl_rc
operands(const struct sl_args *args, const char **file, const char **dir, struct sl_err *err)
{
    *file = args->nrest ? args->rest[0] : NULL;
    if (*file != NULL)
        return sl_arg_data(args, dir, err);
    sl_fail(err, SL_E_USAGE, "which file?");
    sl_err_hint(err, "sluiced %s %s", args->command->name, args->command->operands);
    return SL_E_USAGE;
}

static int
run_backup(const struct sl_args *args)
{
    bool with_key = sl_arg_flag(args, "with-key");
    struct sl_store *st = NULL;
    struct sl_err err = { 0 };
    const char *file, *dir;
    sl_rc rc = operands(args, &file, &dir, &err);

    if (rc == SL_OK)
        rc = sl_platform_store(&st, dir, &err);
    if (rc == SL_OK)
        rc = sl_backup(st, dir, file, with_key, &err);
    sl_store_close(st);
    if (rc)
        return sl_report(&err);
    printf("%s: the store and its packages%s\n", file,
           with_key ? ", and the master key: guard it" : "");
    if (!with_key)
        printf("without the master key (%s/secret.key): keep a copy of that elsewhere\n", dir);
    puts("warehouses are not in it: copy their files while the server is stopped");
    return 0;
}

static int
run_restore(const struct sl_args *args)
{
    struct sl_restored res = { 0 };
    struct sl_err err = { 0 };
    const char *file, *dir;
    sl_rc rc = operands(args, &file, &dir, &err);

    umask(077);
    if (rc == SL_OK)
        rc = sl_restore(file, dir, &res, &err);
    if (rc)
        return sl_report(&err);
    printf("%s: the store of %s and %d package%s\n", dir, res.made_at, res.packages,
           res.packages == 1 ? "" : "s");
    if (!res.with_key)
        printf("before the server starts, put its master key there: %s/secret.key\n", dir);
    puts("destinations still name the warehouse files they had");
    return 0;
}

const struct sl_command sl_sluiced_backup = {
    .name = "backup",
    .operands = "FILE --data DIR [--with-key]",
    .summary = "copy the store and its packages into one file; also while it runs",
    .opts = backup_opts,
    .max_rest = 1,
    .run = run_backup,
};

const struct sl_command sl_sluiced_restore = {
    .name = "restore",
    .operands = "FILE --data DIR",
    .summary = "make a server's directory from a backup",
    .opts = restore_opts,
    .max_rest = 1,
    .run = run_restore,
};
