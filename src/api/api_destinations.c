/* api_destinations.c - destinations: one for each group, with its id.
 *
 * What a kind of destination wants to know, it says in its table of options (destinations/options.h): that checks, masks and
 * completes `config`. The server itself never opens a warehouse: a file it looks at from outside, others an engine process tests. */
#include "api/api.h"
#include "api/connections.h"
#include "base/time.h"
#include "destinations/destination.h"
#include "http/input.h"
#include "platform/ids.h"
#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <strings.h>
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

/* What makes two of them the same place: there they would share their schemas. */
static bool
is_same_place(const json_t *a, const json_t *b)
{
    static const char *const names[] = { "path", "host", "database" };

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        const char *x = sl_option(a, names[i]), *y = sl_option(b, names[i]);

        if ((x == NULL) != (y == NULL) ||
            (x != NULL && (strcmp(names[i], "host") == 0 ? strcasecmp(x, y) : strcmp(x, y)) != 0))
            return false;
    }
    return sl_option_int(a, "port") == sl_option_int(b, "port");
}

static bool
is_taken(struct sl_call *c, const char *id, const json_t *config)
{
    struct sl_query q = { .kind = SL_K_DESTINATION };
    struct sl_list list = { .kind = SL_K_DESTINATION };
    bool taken = false;

    if (sl_store_list(c->sv->pf->store, &q, &list, NULL))
        return false;
    for (size_t i = 0; i < list.count && !taken; i++) {
        struct sl_destination *d = SL_ITEM(&list, struct sl_destination, i);
        json_t *other = open_config(c, d);

        taken = strcmp(d->id, id) != 0 && is_same_place(other, config);
        json_decref(other);
    }
    sl_list_free(&list);
    return taken;
}

/* ---- its options ---- */

/* What is stored, with what is given on top: a mask keeps, null removes. A new object. */
static json_t *
merged(const struct sl_dest_ops *ops, const json_t *stored, const json_t *given)
{
    json_t *all = json_copy((json_t *)stored), *v;
    const char *name;

    json_object_foreach((json_t *)given, name, v)
    {
        const struct sl_option *o = sl_option_find(ops->options, name);
        const char *text = json_string_value(v);

        if (o != NULL && sl_option_is_secret(o) && text != NULL &&
            strcmp(text, SL_OPTION_MASK) == 0)
            continue;
        if (json_is_null(v))
            json_object_del(all, name);
        else
            json_object_set(all, name, v);
    }
    return all;
}

/* Who calls it by another API's name sends that API's fields, too: those that mean nothing here are left out, but not a tunnel. */
static bool
drop_foreign(struct sl_call *c, const struct sl_dest_ops *ops, const char *service, json_t *config)
{
    const char *way = json_string_value(json_object_get(config, "connection_type")), *name;
    json_t *v;
    void *next;

    if (strcmp(service, ops->name) == 0)
        return true;
    if (way != NULL && strcasecmp(way, "Directly") != 0) {
        sl_refuse_input(c,
                        "config.connection_type: this server connects to warehouses directly; "
                        "there is no %.60s",
                        way);
        return false;
    }
    json_object_foreach_safe(config, next, name, v)
    {
        if (sl_option_find(ops->options, name) == NULL)
            json_object_del(config, name);
    }
    return true;
}

/* The place of a file is made absolute, and must be one for warehouses. False has answered. */
static bool
place(struct sl_call *c, const struct sl_dest_ops *ops, json_t *config)
{
    char *path;
    bool ok;

    if (sl_option_find(ops->options, "path") == NULL)
        return true;
    path = resolve(c, sl_option(config, "path"));
    ok = path != NULL;
    if (ok)
        json_object_set_new(config, "path", json_string(path));
    free(path);
    return ok;
}

static bool
check_free(struct sl_call *c, const char *id, const json_t *config)
{
    const char *path = sl_option(config, "path");

    if (!is_taken(c, id, config))
        return true;
    if (path != NULL)
        sl_refuse(c, 409, "Conflict", "Another destination already uses '%s'", path);
    else
        sl_refuse(c, 409, "Conflict",
                  "Another destination already uses the database '%.100s' of '%.200s'",
                  sl_option(config, "database"), sl_option(config, "host"));
    return false;
}

/* Checked and complete, a new object; NULL has answered. */
static json_t *
take_config(struct sl_call *c, const struct sl_dest_ops *ops, const struct sl_destination *d)
{
    json_t *stored, *all, *config = NULL, *given = json_object_get(c->body, "config");
    struct sl_err err = { 0 };

    if (!drop_foreign(c, ops, d->service, given))
        return NULL;
    stored = open_config(c, d);
    all = merged(ops, stored, given);
    if (sl_options_check(ops->options, all, true, "config.", &config, &err))
        sl_refuse_input(c, "%s%s%s", err.text, err.hint[0] ? "; " : "", err.hint);
    if (config != NULL && (!place(c, ops, config) || !check_free(c, d->id, config))) {
        json_decref(config);
        config = NULL;
    }
    json_decref(all);
    json_decref(stored);
    return config;
}

/* ---- test ---- */

static json_t *
test_result(const char *title, const char *problem, const char *hint)
{
    const char *between = hint[0] ? "\n" : "";
    char *message = sl_sprintf("%s%s%s", problem, between, hint);
    json_t *o = json_pack("{s:s, s:s, s:o, s:n}", "title", title, "status",
                          problem[0] ? "FAILED" : "PASSED", "message", sl_json_text(message),
                          "details");

    free(message);
    return o;
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

static json_t *
test_file(const char *path)
{
    const char *folder = folder_problem(path), *file = folder[0] ? "" : file_problem(path);
    json_t *tests = json_array();

    json_array_append_new(tests, test_result("Folder", folder, ""));
    json_array_append_new(tests, test_result("Database file", file, ""));
    return tests;
}

/* By the destination's own tests, in an engine process. */
static json_t *
test_elsewhere(struct sl_call *c, const char *id)
{
    json_t *tests = json_array(), *list = NULL, *one;
    struct sl_err err = { 0 };
    size_t i;

    if (sl_worker_destination_test(c->sv->w, id, &list, &err))
        json_array_append_new(tests, test_result("Setup tests", err.text, err.hint));
    json_array_foreach(list, i, one)
        json_array_append_new(tests, test_result(json_string_value(json_object_get(one, "name")),
                                                 json_string_value(json_object_get(one, "message")),
                                                 json_string_value(json_object_get(one, "hint"))));
    json_decref(list);
    return tests;
}

static bool
all_passed(const json_t *tests)
{
    const json_t *one;
    size_t i;

    json_array_foreach(tests, i, one) if (strcmp(json_string_value(json_object_get(one, "status")),
                                                 "PASSED") != 0) return false;
    return true;
}

/* ---- as clients see it ---- */

static json_t *
item(struct sl_call *c, const void *rec)
{
    const struct sl_destination *d = rec;
    const struct sl_dest_ops *ops = sl_destination_service(d->service);
    json_t *opened = open_config(c, d);
    json_t *config = sl_options_masked(ops ? ops->options : NULL, opened);

    json_decref(opened);
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
    const char *zone = json_string_value(json_object_get(c->body, "time_zone_offset"));
    json_t *kept = zone != NULL && zone[0] == '+' ? json_string(zone) : NULL;
    bool ok = sl_input_check(c, c->body, how_inputs, "") &&
              sl_input_check(c, c->body, field_inputs, "");

    /* Answered as it was given: Terraform compares. */
    if (ok && kept != NULL)
        json_object_set(c->body, "time_zone_offset", kept);
    json_decref(kept);
    return ok;
}

/* In a transaction; false has rolled back and answered. */
static bool
apply(struct sl_call *c, struct sl_destination *d)
{
    const struct sl_dest_ops *ops = sl_destination_service(d->service);
    struct sl_err err = { 0 };
    json_t *config;
    char zone[24];
    sl_rc rc = SL_OK;

    if (json_object_get(c->body, "region") != NULL)
        sl_set_text(&d->region, sl_in_text(c->body, "region", ""));
    if (json_object_get(c->body, "time_zone_offset") != NULL) {
        snprintf(zone, sizeof zone, "%lld", (long long)sl_in_int(c->body, "time_zone_offset", 0));
        sl_set_text(&d->time_zone_offset, sl_in_text(c->body, "time_zone_offset", zone));
    }
    if (ops != NULL && json_object_get(c->body, "config") != NULL) {
        config = take_config(c, ops, d);
        if (config == NULL) {
            sl_call_rollback(c);
            return false;
        }
        sl_set_text(&d->setup_status, "incomplete");
        rc = seal_config(c, d, config, &err);
        json_decref(config);
    }
    if (rc)
        sl_call_fail(c, &err);
    return rc == SL_OK;
}

static bool
put(struct sl_call *c, struct sl_destination *d, const char *action)
{
    return sl_call_put(c, SL_K_DESTINATION, d) &&
           sl_call_commit(c, action, SL_K_DESTINATION, d->id, NULL);
}

/* What they found is recorded, unless the destination was changed or removed meanwhile. False has answered. */
static bool
record(struct sl_call *c, struct sl_destination *d, const json_t *tests, const char *failed,
       const char *action)
{
    struct sl_destination now = { 0 };
    bool ok = sl_call_begin(c), same;

    if (!ok)
        return false;
    ok = sl_call_get(c, SL_K_DESTINATION, d->id, &now);
    same = ok && now.config != NULL && d->config != NULL && strcmp(now.config, d->config) == 0;
    if (same) {
        sl_set_text(&now.setup_status, all_passed(tests) ? "connected" : failed);
        sl_set_text(&d->setup_status, now.setup_status);
        ok = put(c, &now, action);
    } else {
        sl_call_rollback(c);
    }
    sl_record_free(SL_K_DESTINATION, &now);
    return ok;
}

/* Runs its tests, outside of any transaction: a warehouse elsewhere takes its time. Answers. */
static void
test_and_say(struct sl_call *c, int status, struct sl_destination *d, const char *failed,
             const char *action, const char *message)
{
    json_t *config = open_config(c, d), *tests;
    const char *path = sl_option(config, "path");

    tests = path != NULL ? test_file(path) : test_elsewhere(c, d->id);
    if (record(c, d, tests, failed, action))
        say(c, status, d, tests, message);
    else
        json_decref(tests);
    json_decref(config);
}

static const struct sl_dest_ops *
check_service(struct sl_call *c)
{
    const char *service = sl_in_text(c->body, "service", "");
    const struct sl_dest_ops *ops = sl_destination_service(service);
    char names[200] = "";

    if (ops != NULL)
        return ops;
    for (int i = 0; (ops = sl_destination_offered(i)) != NULL; i++)
        snprintf(names + strlen(names), sizeof names - strlen(names), "%s%s", i ? ", " : "",
                 ops->name);
    sl_refuse_input(c, "Unsupported destination service '%.60s'. This server has: %s", service,
                    names);
    return NULL;
}

static bool
check_group(struct sl_call *c, const char *group)
{
    struct sl_destination other = { 0 };
    struct sl_group g = { 0 };

    if (!sl_call_get(c, SL_K_GROUP, group, &g))
        return false;
    sl_record_free(SL_K_GROUP, &g);
    if (sl_store_get(c->sv->pf->store, SL_K_DESTINATION, group, &other, NULL) != SL_OK)
        return true;
    sl_record_free(SL_K_DESTINATION, &other);
    sl_refuse(c, 409, "Conflict", "Group '%s' has a destination already", group);
    return false;
}

void
sl_api_destination_create(struct sl_call *c)
{
    static const char made[] = "Destination has been created";
    struct sl_destination d = { 0 };
    const char *group;

    if (!sl_input_check(c, c->body, create_inputs, "") || !check_fields(c) ||
        check_service(c) == NULL || !sl_call_begin(c))
        return;
    group = sl_in_text(c->body, "group_id", "");
    if (!check_group(c, group)) {
        sl_call_rollback(c);
        return;
    }
    d.id = sl_strdup(group);
    d.service = sl_strdup(sl_in_text(c->body, "service", ""));
    d.region = sl_strdup("LOCAL");
    d.time_zone_offset = sl_strdup("0");
    d.setup_status = sl_strdup("incomplete");
    d.created_at = sl_now_us();
    if (apply(c, &d) && put(c, &d, "destination.create")) {
        if (sl_in_bool(c->body, "run_setup_tests", true))
            test_and_say(c, 201, &d, "incomplete", "destination.test", made);
        else
            say(c, 201, &d, NULL, made);
    }
    sl_record_free(SL_K_DESTINATION, &d);
}

void
sl_api_destination_update(struct sl_call *c)
{
    static const char changed[] = "Destination has been updated";
    struct sl_destination d = { 0 };

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
    if (apply(c, &d) && put(c, &d, "destination.update")) {
        if (sl_in_bool(c->body, "run_setup_tests", true))
            test_and_say(c, 200, &d, "incomplete", "destination.test", changed);
        else
            say(c, 200, &d, NULL, changed);
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

    if (sl_call_get(c, SL_K_DESTINATION, c->args[0], &d))
        test_and_say(c, 200, &d, "broken", "destination.test", "Setup tests have been completed");
    sl_record_free(SL_K_DESTINATION, &d);
}
