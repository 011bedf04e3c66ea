#include "cli/account.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/form.h"
#include "cli/packages.h"
#include "runtime/file.h"
#include "runtime/package.h"
#include "runtime/project.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static const struct sl_opt opts[] = {
    { "output", "FILE", NULL, "where to write it (default files/<project>.zip)", 'o' },
    { "limit", "N", NULL, "of package list: so many at most", '\0' },
    SL_ACCOUNT_OPTS,
    { "yes", NULL, NULL, "answer every question with yes", 'y' },
    { "non-interactive", NULL, NULL, "ask nothing: take the default of every question", '\0' },
    { "force", NULL, NULL, NULL, 'f' },
    { 0 },
};

static char *
output_path(const struct sl_args *args, const struct sl_project *pro)
{
    const char *given = sl_arg(args, "output");
    char *dir, *real, *path;

    if (given == NULL)
        return sl_sprintf("%s/%s.zip", pro->files,
                          strcmp(pro->name, "/") == 0 ? "code" : pro->name);
    /* Absolute, so that a package written into the project does not pack itself. */
    dir = sl_path_dir(given);
    real = sl_path_real(dir);
    path = real ? sl_path_join(real, sl_path_base(given)) : sl_strdup(given);
    free(dir);
    free(real);
    return path;
}

static sl_rc
make(const struct sl_args *args, const struct sl_project *pro, struct sl_err *err)
{
    struct sl_form_packing packing = { .ask = { .project = pro->dir, .launch.stop = &sl_stop } };
    const struct sl_form_maker form = { sl_form_pack, &packing };
    struct sl_package pkg = { 0 };
    char *path = output_path(args, pro);
    sl_rc rc = sl_project_check(pro, err);

    if (rc == SL_OK && sl_arg(args, "output") == NULL)
        rc = sl_mkdirs(pro->files, err);
    if (rc == SL_OK)
        rc = sl_package_make(&pkg, pro->dir, path, &form, err);
    if (rc)
        goto out;
    if (pkg.patterns > 0)
        printf("loaded .gitignore with %zu patterns; %zu files and folders left out\n",
               pkg.patterns, pkg.ignored);
    for (size_t i = 0; i < pkg.nfiles; i++)
        printf("  %s\n", pkg.files[i]);
    printf("package created at: %s\n%zu files, %" PRIu64 " bytes, sha256 %s\n", path, pkg.nfiles,
           pkg.size, pkg.sha256);
out:
    json_decref(packing.form);
    sl_package_free(&pkg);
    free(path);
    return rc;
}

static int
run(const struct sl_args *args)
{
    struct sl_project pro = { .lock_fd = -1 };
    struct sl_err err = { 0 };
    int code;
    sl_rc rc;

    if (sl_packages_run(args, &code))
        return code;
    sl_catch_signals(SL_STOPS);
    if (args->nrest > 1)
        rc = sl_fail(&err, SL_E_USAGE, "fivetran package does not know what to do with \"%s\"",
                     args->rest[1]);
    else
        rc = sl_project_open(&pro, args->nrest ? args->rest[0] : NULL, &err);
    if (rc == SL_OK)
        rc = make(args, &pro, &err);
    sl_project_close(&pro);
    return rc ? sl_report(&err) : 0;
}

const struct sl_command sl_cmd_package = {
    .name = "package",
    .operands = "[project] [--output FILE] | create [project] | update ID [project] | list",
    .summary = "make the zip that would be deployed; create, update, list packages on a server",
    .opts = opts,
    .max_rest = 3,
    .run = run,
    .more = "Left out: names beginning with a dot, configuration.json, __pycache__, lib, include, "
            "files, crash-reports,\n"
            "virtual environments, and what .gitignore says. The same files give the same bytes.\n"
            "Added: configuration_form.pb. A connector with a ConfigurationForm is asked for it, "
            "in its "
            "environment, as debug makes it.",
};
