#include "cli/commands.h"
#include "cli/console.h"
#include "runtime/file.h"
#include "runtime/install.h"
#include "runtime/templates.h"

#include <stdio.h>
#include <stdlib.h>

static const struct sl_opt opts[] = {
    { "template", "NAME", NULL, "what to begin with (default blank)", '\0' },
    { "list", NULL, NULL, "list the templates", '\0' },
    { "yes", NULL, NULL, "overwrite files of the same name", 'y' },
    { "non-interactive", NULL, NULL, "do not ask; take the answer in capitals", '\0' },
    { "force", NULL, NULL, NULL, 'f' },
    { 0 },
};

static sl_rc
list(struct sl_err *err)
{
    char **names = NULL;
    sl_rc rc = sl_templates_list(&names, err);

    for (size_t i = 0; rc == SL_OK && names[i] != NULL; i++) {
        char *title = sl_template_title(names[i]);

        printf("  %-14s %s\n", names[i], title);
        free(title);
    }
    sl_names_free(names);
    return rc;
}

/* Asks when files of the template are already there. */
static sl_rc
may_write(const struct sl_args *args, const char *project, char **files, bool *yes,
          struct sl_err *err)
{
    size_t there = 0;

    *yes = true;
    for (size_t i = 0; files[i] != NULL; i++) {
        char *path = sl_path_join(project, files[i]);

        if (sl_exists(path)) {
            printf("%s exists already\n", path);
            there++;
        }
        free(path);
    }
    return there ? sl_ask(args, "Overwrite existing project?", false, yes, err) : SL_OK;
}

static sl_rc
init(const struct sl_args *args, const char *project, struct sl_err *err)
{
    const char *name = sl_arg(args, "template");
    char **files = NULL, *shown = NULL;
    bool yes = false;
    sl_rc rc;

    name = name ? name : "blank";
    rc = sl_template_files(name, &files, err);
    if (rc == SL_OK)
        rc = may_write(args, project, files, &yes, err);
    if (rc)
        goto out;
    if (!yes) {
        rc = sl_fail(err, SL_E_CONNECTOR, "nothing was changed");
        sl_err_hint(err, "choose another folder (fivetran init PATH) or overwrite with --yes");
        goto out;
    }
    rc = sl_mkdirs(project, err);
    for (size_t i = 0; rc == SL_OK && files[i] != NULL; i++)
        rc = sl_template_copy(name, files[i], project, err);
    if (rc)
        goto out;
    shown = sl_path_real(project);
    printf("new project created at: %s (template %s)\n", shown ? shown : project, name);
    if (strcmp(project, ".") != 0)
        printf("next: cd %s\n", project);
    printf("run it: fivetran debug --configuration configuration.json\n");
out:
    free(shown);
    sl_names_free(files);
    return rc;
}

static int
run(const struct sl_args *args)
{
    struct sl_err err = { 0 };
    sl_rc rc;

    rc = sl_arg_flag(args, "list") ? list(&err)
                                   : init(args, args->nrest ? args->rest[0] : ".", &err);
    return rc ? sl_report(&err) : 0;
}

const struct sl_command sl_cmd_init = {
    .name = "init",
    .operands = "[project] [--template NAME]",
    .summary = "begin a new connector from a template",
    .opts = opts,
    .max_rest = 1,
    .run = run,
};
