#include "cli/commands.h"
#include "cli/console.h"
#include "runtime/file.h"
#include "runtime/project.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const struct sl_opt opts[] = {
    { "yes", NULL, NULL, "do not ask", 'y' },
    { "non-interactive", NULL, NULL, "do not ask; take the answer in capitals", '\0' },
    { "force", NULL, NULL, NULL, 'f' },
    { 0 },
};

/* What of files/ is ours: the database with its log, the mirror, what a killed run left, packages. */
static bool
is_ours(const struct sl_project *pro, const char *name)
{
    static const char *const names[] = { "warehouse.db", "warehouse.db.wal", "state.json", ".spill",
                                         ".lock",        "code.zip" };
    size_t n = strlen(pro->name);

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    if (sl_project_is_mirror(name, NULL))
        return true;
    if (strncmp(name, pro->name, n) == 0 && strncmp(name + n, ".zip", 4) == 0)
        return true;
    return strncmp(name, "state.", 6) == 0 && strcmp(name + strlen(name) - 4, ".tmp") == 0;
}

/* ".lock" and ".spill" of a project without data are nothing worth a question. */
static sl_rc
list_ours(const struct sl_project *pro, char ***names, bool *any, struct sl_err *err)
{
    size_t keep = 0;
    sl_rc rc = sl_dir_names(pro->files, names, err);

    *any = false;
    if (rc)
        return rc;
    for (size_t i = 0; (*names)[i] != NULL; i++) {
        if (is_ours(pro, (*names)[i])) {
            *any = *any || (*names)[i][0] != '.';
            (*names)[keep++] = (*names)[i];
        } else {
            free((*names)[i]);
        }
    }
    (*names)[keep] = NULL;
    return SL_OK;
}

static sl_rc
remove_all(const struct sl_project *pro, char **names, struct sl_err *err)
{
    sl_rc rc = SL_OK;

    for (size_t i = 0; rc == SL_OK && names[i] != NULL; i++) {
        char *path = sl_path_join(pro->files, names[i]);

        rc = sl_remove_tree(path, err);
        free(path);
    }
    if (rc == SL_OK) {
        /* Taking the lock has made these two again. The folder goes only when nothing else is in it. */
        (void)rmdir(pro->spill);
        (void)unlink(pro->lock_path);
        (void)rmdir(pro->files);
    }
    return rc;
}

static sl_rc
confirm(const struct sl_args *args, char **names, bool *yes, struct sl_err *err)
{
    printf("This will delete your current state and `warehouse.db` files:\n");
    for (size_t i = 0; names[i] != NULL; i++)
        if (names[i][0] != '.')
            printf("  files/%s\n", names[i]);
    for (size_t i = 0; names[i] != NULL; i++) {
        char *stem;

        if (!sl_project_is_mirror(names[i], &stem))
            continue;
        printf("What was loaded into the warehouse of %s.json stays, and so does its state, from "
               "which the next\n"
               "debug --destination goes on. To begin anew there, drop its schema and the "
               "connection's rows in _sluice.state.\n",
               stem);
        free(stem);
    }
    return sl_ask(args, "Do you want to continue?", true, yes, err);
}

static sl_rc
reset(const struct sl_args *args, struct sl_project *pro, struct sl_err *err)
{
    char **names = NULL;
    bool any = false, yes = false;
    sl_rc rc = SL_OK;

    printf("resetting project %s\n", pro->dir);
    if (sl_is_dir(pro->files))
        rc = list_ours(pro, &names, &any, err);
    if (rc == SL_OK && !any)
        printf("No files were deleted. Ensure you are in the project root directory.\n");
    if (rc || !any)
        goto out;
    rc = confirm(args, names, &yes, err);
    if (rc == SL_OK && !yes)
        printf("reset cancelled\n");
    if (rc || !yes)
        goto out;
    rc = sl_project_lock(pro, "fivetran reset", err);
    if (rc == SL_OK)
        rc = remove_all(pro, names, err);
    if (rc == SL_OK)
        printf("reset successful; the next debug begins with an empty state\n");
out:
    sl_names_free(names);
    return rc;
}

static int
run(const struct sl_args *args)
{
    struct sl_project pro;
    struct sl_err err = { 0 };
    sl_rc rc = sl_project_open(&pro, args->nrest ? args->rest[0] : NULL, &err);

    if (rc == SL_OK)
        rc = reset(args, &pro, &err);
    sl_project_close(&pro);
    return rc ? sl_report(&err) : 0;
}

const struct sl_command sl_cmd_reset = {
    .name = "reset",
    .operands = "[project] [--yes]",
    .summary = "delete the local data and state of a project",
    .opts = opts,
    .max_rest = 1,
    .run = run,
    .more = "Other files in files/ and the cache of environments stay.",
};
