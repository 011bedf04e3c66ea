#include "cli/packages.h"

#include "cli/commands.h"
#include "cli/remote.h"
#include "runtime/file.h"
#include "runtime/imports.h"
#include "runtime/project.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* What the server gives in one page at most. */
#define PAGE 1000

static sl_rc
open_project(struct sl_project *pro, const char *path, struct sl_err *err)
{
    sl_rc rc = sl_project_open(pro, path, err);

    if (rc == SL_OK)
        rc = sl_project_check(pro, err);
    if (rc == SL_OK)
        rc = sl_imports_check(pro->dir, sl_warn, NULL, err);
    return rc;
}

static sl_rc
create(struct sl_remote *rem, const struct sl_args *args, struct sl_err *err)
{
    struct sl_project pro = { .lock_fd = -1 };
    char *id = NULL;
    sl_rc rc = open_project(&pro, args->nrest > 1 ? args->rest[1] : NULL, err);

    if (rc == SL_OK)
        rc = sl_remote_open(rem, args, err);
    if (rc == SL_OK)
        rc = sl_remote_send_project(rem, pro.dir, pro.name, NULL, &id, NULL, err);
    if (rc == SL_OK)
        printf("use it with: fivetran deploy --package-id %s\n", id);
    free(id);
    sl_project_close(&pro);
    return rc;
}

/* Connections that use the package; the older form of the answer knows one at most. */
static size_t
count_users(const json_t *package)
{
    const json_t *ids = json_object_get(package, "connection_ids");

    if (json_is_array(ids))
        return json_array_size(ids);
    return json_is_string(json_object_get(package, "connection_id")) ? 1 : 0;
}

static sl_rc
ask_to_update(struct sl_remote *rem, const struct sl_args *args, const char *id, struct sl_err *err)
{
    char *escaped = sl_http_escape(id), *path;
    json_t *data = NULL;
    bool yes = false;
    sl_rc rc;

    path = sl_sprintf("/v1/connector-sdk/packages/%s", escaped);
    rc = sl_remote_call(rem, "GET", path, NULL, SL_REPEATABLE, 0, &data, err);
    if (rc && rem->status == 404)
        sl_err_hint(err, "the packages of the account: fivetran package list");
    if (rc == SL_OK && count_users(data) > 0) {
        printf("package '%s' is used by %zu connection%s; the next sync of each runs the new "
               "code.\n",
               id, count_users(data), count_users(data) == 1 ? "" : "s");
        rc = sl_ask(args, "continue with update?", false, &yes, err);
        if (rc == SL_OK && !yes && sl_remote_interrupted())
            rc = sl_fail(err, SL_E_CANCELLED, "interrupted");
        else if (rc == SL_OK && !yes)
            rc = sl_fail(err, SL_E_DESTINATION, "update cancelled; nothing was changed");
    }
    json_decref(data);
    free(path);
    free(escaped);
    return rc;
}

static sl_rc
update(struct sl_remote *rem, const struct sl_args *args, struct sl_err *err)
{
    struct sl_project pro = { .lock_fd = -1 };
    char *id = NULL;
    sl_rc rc;

    if (args->nrest < 2) {
        rc = sl_fail(err, SL_E_USAGE, "fivetran package update needs the package's id");
        sl_err_hint(err, "the packages of the account: fivetran package list");
        return rc;
    }
    rc = open_project(&pro, args->nrest > 2 ? args->rest[2] : NULL, err);
    if (rc == SL_OK)
        rc = sl_remote_open(rem, args, err);
    if (rc == SL_OK)
        rc = ask_to_update(rem, args, args->rest[1], err);
    if (rc == SL_OK)
        rc = sl_remote_send_project(rem, pro.dir, pro.name, args->rest[1], &id, NULL, err);
    free(id);
    sl_project_close(&pro);
    return rc;
}

struct listing {
    int64_t limit, shown;
};

static sl_rc
on_package(void *ctx, const json_t *item, bool *more, struct sl_err *err)
{
    struct listing *list = ctx;

    (void)err;
    if (list->shown == 0)
        printf("%-28s %-11s %-20s %s\n", "package id", "connections", "updated", "sha256");
    printf("%-28s %11zu %-20.19s %.12s\n", sl_answer_text(item, "id"), count_users(item),
           sl_answer_text(item, "updated_at"), sl_answer_text(item, "file_sha256_hash"));
    *more = ++list->shown != list->limit;
    return SL_OK;
}

static sl_rc
list(struct sl_remote *rem, const struct sl_args *args, struct sl_err *err)
{
    struct listing listing = { 0 };
    const char *limit = sl_arg(args, "limit");
    char *path;
    sl_rc rc;

    if (args->nrest > 1)
        return sl_fail(err, SL_E_USAGE,
                       "fivetran package list does not know what to do with \"%s\"", args->rest[1]);
    if (limit != NULL && !sl_parse_i64(limit, 1, 1000000, &listing.limit))
        return sl_fail(err, SL_E_USAGE, "--limit is a number of packages, not \"%s\"", limit);
    rc = sl_remote_open(rem, args, err);
    if (rc)
        return rc;
    path = sl_sprintf("/v1/connector-sdk/packages?limit=%" PRId64,
                      listing.limit > 0 && listing.limit < PAGE ? listing.limit : PAGE);
    rc = sl_remote_list(rem, path, on_package, &listing, err);
    if (rc == SL_OK && listing.shown == 0)
        printf("there are no packages\n");
    free(path);
    return rc;
}

static const struct {
    const char *word;
    sl_rc (*run)(struct sl_remote *rem, const struct sl_args *args, struct sl_err *err);
} actions[] = {
    { "create", create },
    { "update", update },
    { "list", list },
};

bool
sl_packages_run(const struct sl_args *args, int *code)
{
    struct sl_remote rem = { 0 };
    struct sl_err err = { 0 };
    size_t n = sizeof actions / sizeof actions[0], i = 0;
    sl_rc rc;

    while (args->nrest > 0 && i < n && strcmp(args->rest[0], actions[i].word) != 0)
        i++;
    if (args->nrest == 0 || i == n)
        return false;
    rc = actions[i].run(&rem, args, &err);
    *code = rc ? sl_remote_report(&rem, &err) : 0;
    sl_remote_close(&rem);
    return true;
}
