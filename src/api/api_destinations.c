/* api_destinations.c - destinations: one for each group, with its id.
 *
 * The server itself never opens a warehouse: its test looks at the file from outside. */
#include "api/api.h"
#include "api/connections.h"
#include "base/time.h"
#include "http/input.h"
#include "platform/ids.h"
#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <unistd.h>

/* clang-format off */
static const struct sl_input create_inputs[] = {
    { "group_id",         SL_IN_TEXT, SL_IN_MUST, NULL, 1, 0 },
    { "service",          SL_IN_TEXT, SL_IN_MUST, NULL, 1, 0 },
    { "config",           SL_IN_OBJECT, SL_IN_MUST, NULL, 0, 0 },
    { NULL, 0, 0, NULL, 0, 0 }
};
static const struct sl_input field_inputs[] = {
    { "region",           SL_IN_TEXT,   0, NULL, 1, 0 },
    { "time_zone_offset", SL_IN_INT,    0, NULL, -12, 14 },
    { "config",           SL_IN_OBJECT, 0, NULL, 0, 0 },
    { NULL, 0, 0, NULL, 0, 0 }
};
static const struct sl_input how_inputs[] = {
    { "run_setup_tests",  SL_IN_BOOL,   0, NULL, 0, 0 },
    { NULL, 0, 0, NULL, 0, 0 }
};
static const struct sl_input config_inputs[] = {
    { "path",             SL_IN_TEXT,   0, NULL, 1, 1000 },
    { NULL, 0, 0, NULL, 0, 0 }
};
/* clang-format on */

/* ---- its configuration ---- */

static json_t *
open_config(struct sl_call *c, const struct sl_destination *d)
{
    char *owner = sl_sprintf("destination:%s", d->id), *plain = NULL;
    size_t len = 0;
    json_t *o = NULL;

    if (d->config != NULL &&
        sl_vault_unseal(c->sv->pf->vault, owner, d->config, &plain, &len, NULL) == SL_OK)
        o = json_loadb(plain, len, 0, NULL);
    sl_vault_wipe(plain, len);
    free(owner);
    return o != NULL ? o : json_object();
}

static sl_rc
seal_config(struct sl_call *c, struct sl_destination *d, const json_t *config, struct sl_err *err)
{
    char *owner = sl_sprintf("destination:%s", d->id), *plain = sl_json_dump(config);
    char *sealed = NULL;
    sl_rc rc = sl_vault_seal(c->sv->pf->vault, owner, sl_bytes_of(plain), &sealed, err);

    if (rc == SL_OK) {
        free(d->config);
        d->config = sealed;
    }
    sl_vault_wipe(plain, strlen(plain));
    free(owner);
    return rc;
}

static bool
lies_in(const char *path, const char *dir)
{
    size_t n = strlen(dir);

    while (n > 1 && dir[n - 1] == '/')
        n--;
    return strncmp(path, dir, n) == 0 && path[n] == '/';
}

/* The data directory holds our own files, too: only names that cannot be one of them. */
static bool
is_warehouse_name(const char *path)
{
    const char *base = sl_path_base(path), *dot = strrchr(base, '.');

    return dot != NULL && dot != base && sl_word_in(".db|.duckdb", dot) &&
           !sl_word_in("sluice.db|logs.db", base);
}

/* Folders of the data directory that are not for warehouses. */
static bool
is_ours(const char *data, const char *folder)
{
    static const char *const ours[] = { "packages", "code", "envs", "run", "work", "wheels" };

    for (size_t i = 0; i < sizeof ours / sizeof ours[0]; i++) {
        char *dir = sl_path_join(data, ours[i]);
        bool in = strcmp(folder, dir) == 0 || lies_in(folder, dir);

        free(dir);
        if (in)
            return true;
    }
    return false;
}

/* The absolute path that `given` means; NULL has answered. malloc'ed. */
static char *
resolve(struct sl_call *c, const char *given)
{
    const char *data = c->sv->pf->dir;
    char *joined = given[0] == '/' ? sl_strdup(given) : sl_path_join(data, given);
    char *dir = sl_path_dir(joined), *real = sl_path_real(dir), *path = NULL;
    bool allowed = false;

    if (!is_warehouse_name(joined)) {
        sl_refuse_input(c, "config.path must name a file ending in .db or .duckdb, such as "
                           "warehouse.db");
        goto out;
    }
    if (real == NULL) {
        sl_refuse_input(c, "config.path: the folder of '%.200s' does not exist", given);
        goto out;
    }
    allowed = strcmp(real, data) == 0 || (lies_in(real, data) && !is_ours(data, real));
    for (char **p = c->sv->warehouse_dirs; p != NULL && *p != NULL; p++)
        allowed = allowed || strcmp(real, *p) == 0 || lies_in(real, *p);
    if (!allowed) {
        sl_refuse_input(c,
                        "config.path: '%.200s' is outside the server's data directory. Its "
                        "operator can allow more folders",
                        given);
        goto out;
    }
    path = sl_path_join(real, sl_path_base(joined));
out:
    free(joined);
    free(dir);
    free(real);
    return path;
}

/* Two destinations in one file would share their schemas. */
static bool
is_taken(struct sl_call *c, const char *id, const char *path)
{
    struct sl_query q = { .kind = SL_K_DESTINATION };
    struct sl_list list = { .kind = SL_K_DESTINATION };
    bool taken = false;

    if (sl_store_list(c->sv->pf->store, &q, &list, NULL))
        return false;
    for (size_t i = 0; i < list.count && !taken; i++) {
        struct sl_destination *d = SL_ITEM(&list, struct sl_destination, i);
        json_t *config = open_config(c, d);

        taken = strcmp(d->id, id) != 0 && strcmp(sl_in_text(config, "path", ""), path) == 0;
        json_decref(config);
    }
    sl_list_free(&list);
    return taken;
}

/* ---- test ---- */

static json_t *
test_result(const char *title, const char *problem)
{
    return json_pack("{s:s, s:s, s:s, s:n}", "title", title, "status",
                     problem[0] ? "FAILED" : "PASSED", "message", problem, "details");
}

static const char *
folder_problem(const char *path)
{
    char *dir = sl_path_dir(path);
    const char *problem = "";

    if (!sl_is_dir(dir))
        problem = "The folder does not exist";
    else if (access(dir, W_OK | X_OK) != 0)
        problem = "The server may not write into the folder";
    free(dir);
    return problem;
}

/* A DuckDB file has its name at byte 8. Reading is safe beside its writer: a lock taken by us would be lost when we close it, but
 * we take none, and locks are per process. */
static const char *
file_problem(const char *path)
{
    char head[12] = { 0 };
    const char *problem = "";
    ssize_t n;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

    if (fd < 0)
        return errno == ENOENT ? "" : "The file cannot be opened";
    n = pread(fd, head, sizeof head, 0);
    if (n != 0 && (n < 12 || memcmp(head + 8, "DUCK", 4) != 0))
        problem = "The file exists and is no DuckDB database";
    close(fd);
    return problem;
}

/* A new array; *ok tells whether all passed. */
static json_t *
run_tests(const char *path, bool *ok)
{
    const char *folder = folder_problem(path), *file = folder[0] ? "" : file_problem(path);
    json_t *tests = json_array();

    json_array_append_new(tests, test_result("Folder", folder));
    json_array_append_new(tests, test_result("Database file", file));
    *ok = !folder[0] && !file[0];
    return tests;
}

/* ---- as clients see it ---- */

static json_t *
item(struct sl_call *c, const void *rec)
{
    const struct sl_destination *d = rec;
    json_t *config = open_config(c, d);

    return json_pack("{s:s, s:s, s:o, s:o, s:o, s:s, s:b, s:s, s:n, s:n, s:o, s:o}", "id", d->id,
                     "group_id", d->id, "service", sl_json_text(d->service), "region",
                     sl_json_text(d->region), "time_zone_offset", sl_json_text(d->time_zone_offset),
                     "setup_status", d->setup_status ? d->setup_status : "incomplete",
                     "daylight_saving_time_enabled", 0, "networking_method", "Directly",
                     "private_link_id", "hybrid_deployment_agent_id", "created_at",
                     sl_json_time(d->created_at), "config", config);
}

/* tests is taken, may be NULL. */
static void
say(struct sl_call *c, int status, const struct sl_destination *d, json_t *tests,
    const char *message)
{
    sl_say_tested(c, status, item(c, d), tests, message);
    json_decref(tests);
}

void
sl_api_destinations(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_DESTINATION };

    sl_say_page(c, &q, item);
}

void
sl_api_destination(struct sl_call *c)
{
    struct sl_destination d = { 0 };

    if (sl_call_get(c, SL_K_DESTINATION, c->args[0], &d))
        say(c, 200, &d, NULL, NULL);
    sl_record_free(SL_K_DESTINATION, &d);
}

/* ---- changing ---- */

static bool
check_fields(struct sl_call *c)
{
    json_t *config;

    if (!sl_input_check(c, c->body, how_inputs, "") ||
        !sl_input_check(c, c->body, field_inputs, ""))
        return false;
    config = json_object_get(c->body, "config");
    return config == NULL || sl_input_check(c, config, config_inputs, "config.");
}

/* In a transaction; false has rolled back and answered. *tests: the tests of what is now there, if they are to run. */
static bool
apply(struct sl_call *c, struct sl_destination *d, json_t **tests)
{
    const char *given = sl_in_text(json_object_get(c->body, "config"), "path", NULL);
    struct sl_err err = { 0 };
    json_t *config = open_config(c, d);
    char zone[24], *path = NULL;
    bool ok = true;
    sl_rc rc = SL_OK;

    if (json_object_get(c->body, "region") != NULL)
        sl_set_text(&d->region, sl_in_text(c->body, "region", ""));
    if (json_object_get(c->body, "time_zone_offset") != NULL) {
        snprintf(zone, sizeof zone, "%lld", (long long)sl_in_int(c->body, "time_zone_offset", 0));
        sl_set_text(&d->time_zone_offset, zone);
    }
    if (given != NULL) {
        path = resolve(c, given);
        if (path == NULL)
            goto refused;
        if (is_taken(c, d->id, path)) {
            sl_refuse(c, 409, "Conflict", "Another destination already uses '%s'", path);
            goto refused;
        }
        json_object_set_new(config, "path", json_string(path));
        rc = seal_config(c, d, config, &err);
    }
    if (rc) {
        json_decref(config);
        free(path);
        sl_call_fail(c, &err);
        return false;
    }
    if (sl_in_bool(c->body, "run_setup_tests", true)) {
        *tests = run_tests(sl_in_text(config, "path", ""), &ok);
        sl_set_text(&d->setup_status, ok ? "connected" : "incomplete");
    }
    json_decref(config);
    free(path);
    return true;
refused:
    json_decref(config);
    free(path);
    sl_call_rollback(c);
    return false;
}

static bool
put(struct sl_call *c, struct sl_destination *d, const char *action)
{
    return sl_call_put(c, SL_K_DESTINATION, d) &&
           sl_call_commit(c, action, SL_K_DESTINATION, d->id, NULL);
}

static bool
check_new(struct sl_call *c)
{
    const char *service;

    if (!sl_input_check(c, c->body, create_inputs, "") || !check_fields(c))
        return false;
    service = sl_in_text(c->body, "service", "");
    if (strcmp(service, "duckdb") != 0) {
        sl_refuse_input(c, "Unsupported destination service '%.60s'. This server has duckdb",
                        service);
        return false;
    }
    if (sl_in_text(json_object_get(c->body, "config"), "path", NULL) == NULL) {
        sl_refuse_input(c, "config.path is missing: the database file, such as warehouse.db");
        return false;
    }
    return true;
}

void
sl_api_destination_create(struct sl_call *c)
{
    struct sl_destination d = { 0 }, other = { 0 };
    struct sl_group g = { 0 };
    json_t *tests = NULL;
    const char *group;

    if (!check_new(c) || !sl_call_begin(c))
        return;
    group = sl_in_text(c->body, "group_id", "");
    if (!sl_call_get(c, SL_K_GROUP, group, &g)) {
        sl_call_rollback(c);
        return;
    }
    sl_record_free(SL_K_GROUP, &g);
    if (sl_store_get(c->sv->pf->store, SL_K_DESTINATION, group, &other, NULL) == SL_OK) {
        sl_record_free(SL_K_DESTINATION, &other);
        sl_call_rollback(c);
        sl_refuse(c, 409, "Conflict", "Group '%s' has a destination already", group);
        return;
    }
    d.id = sl_strdup(group);
    d.service = sl_strdup("duckdb");
    d.region = sl_strdup("LOCAL");
    d.time_zone_offset = sl_strdup("0");
    d.setup_status = sl_strdup("incomplete");
    d.created_at = sl_now_us();
    if (apply(c, &d, &tests)) {
        if (put(c, &d, "destination.create"))
            say(c, 201, &d, tests, "Destination has been created");
        else
            json_decref(tests);
    }
    sl_record_free(SL_K_DESTINATION, &d);
}

void
sl_api_destination_update(struct sl_call *c)
{
    struct sl_destination d = { 0 };
    json_t *tests = NULL;

    if (!check_fields(c))
        return;
    if (!sl_input_any(c->body, field_inputs)) {
        sl_refuse_input(c, "Nothing to change: give at least one field of the destination");
        return;
    }
    if (!sl_call_begin(c))
        return;
    if (!sl_call_get(c, SL_K_DESTINATION, c->args[0], &d)) {
        sl_call_rollback(c);
        return;
    }
    if (apply(c, &d, &tests)) {
        if (put(c, &d, "destination.update"))
            say(c, 200, &d, tests, "Destination has been updated");
        else
            json_decref(tests);
    }
    sl_record_free(SL_K_DESTINATION, &d);
}

void
sl_api_destination_delete(struct sl_call *c)
{
    sl_delete_unused(c, SL_K_DESTINATION, "Destination", "destination.delete");
}

void
sl_api_destination_test(struct sl_call *c)
{
    struct sl_destination d = { 0 };
    json_t *config, *tests;
    bool ok;

    if (!sl_call_begin(c))
        return;
    if (!sl_call_get(c, SL_K_DESTINATION, c->args[0], &d)) {
        sl_call_rollback(c);
        return;
    }
    config = open_config(c, &d);
    tests = run_tests(sl_in_text(config, "path", ""), &ok);
    json_decref(config);
    sl_set_text(&d.setup_status, ok ? "connected" : "broken");
    if (put(c, &d, "destination.test"))
        say(c, 200, &d, tests, "Setup tests have been completed");
    else
        json_decref(tests);
    sl_record_free(SL_K_DESTINATION, &d);
}
