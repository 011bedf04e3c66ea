#include "cli/deploy.h"

#include "cli/commands.h"
#include "model/form.h"
#include "runtime/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

/* Setup tests run inside the request: the environment is made and the connector's own tests run. */
#define SETUP_TESTS_S 600
#define NAMES_SHOWN 300

/* ---- the destination ---- */

struct groups {
    const char *wanted;
    char *id, *name; /* the wanted one, else the first */
    bool found;
    struct sl_buf list; /* "A, B", the first of them */
    size_t count;
    char *near; /* spelled most like the wanted one */
    int distance;
};

static void
look_near(struct groups *g, const char *name)
{
    int d = sl_edit_distance(g->wanted, name, 8);

    if (d >= g->distance)
        return;
    free(g->near);
    g->near = sl_strdup(name);
    g->distance = d;
}

static sl_rc
on_group(void *ctx, const json_t *item, bool *more, struct sl_err *err)
{
    struct groups *g = ctx;
    const char *id = sl_answer_text(item, "id"), *name = sl_answer_text(item, "name");

    if (*id == '\0')
        return sl_fail(err, SL_E_PROTOCOL, "the server listed a destination without an id");
    g->found = g->wanted != NULL && strcmp(name, g->wanted) == 0;
    if (g->found || g->id == NULL) {
        free(g->id);
        free(g->name);
        g->id = sl_strdup(id);
        g->name = sl_strdup(name);
    }
    *more = !g->found;
    g->count++;
    if (g->list.len < NAMES_SHOWN)
        sl_buf_addf(&g->list, "%s%.100s", g->list.len ? ", " : "", name);
    if (g->wanted != NULL)
        look_near(g, name);
    return SL_OK;
}

static sl_rc
unknown_destination(struct groups *g, struct sl_err *err)
{
    sl_fail(err, SL_E_DESTINATION, "failed to deploy; destination '%.100s' not found in account",
            g->wanted);
    if (g->near != NULL && g->distance <= (int)strlen(g->wanted) / 2)
        sl_err_hint(err, "did you mean '%.100s'? there are: %.300s", g->near, sl_buf_str(&g->list));
    else
        sl_err_hint(err, "there are: %.400s", sl_buf_str(&g->list));
    return SL_E_DESTINATION;
}

static sl_rc
choose_destination(struct sl_deploy *dep, struct groups *g, struct sl_err *err)
{
    printf("destinations: %s\n", sl_buf_str(&g->list));
    return sl_ask_text(
        "Provide the destination name (as displayed in your dashboard destination list)", NULL,
        false, &dep->destination, err);
}

static sl_rc
list_groups(struct sl_deploy *dep, struct groups *g, struct sl_err *err)
{
    *g = (struct groups){ .wanted = dep->destination, .distance = 9 };
    sl_buf_init(&g->list, 1 << 20);
    return sl_remote_list(&dep->rem, "/v1/groups?limit=500", on_group, g, err);
}

static void
free_groups(struct groups *g)
{
    free(g->id);
    free(g->name);
    free(g->near);
    sl_buf_free(&g->list);
}

static sl_rc
find_destination(struct sl_deploy *dep, struct sl_err *err)
{
    struct groups g;
    sl_rc rc = list_groups(dep, &g, err);

    if (rc == SL_OK && g.count > 1 && dep->destination == NULL && sl_can_ask(dep->args)) {
        rc = choose_destination(dep, &g, err);
        free_groups(&g);
        if (rc == SL_OK)
            rc = list_groups(dep, &g, err);
        else
            g = (struct groups){ 0 };
    }
    if (rc == SL_OK && g.count == 0) {
        rc = sl_fail(err, SL_E_DESTINATION, "failed to deploy; no destinations defined in account");
        sl_err_hint(err, "make one first: POST /v1/groups, then POST /v1/destinations; or see that "
                         "the API key is of the right account");
    } else if (rc == SL_OK && dep->destination != NULL && !g.found) {
        rc = unknown_destination(&g, err);
    } else if (rc == SL_OK && dep->destination == NULL && g.count > 1) {
        rc = sl_fail(
            err, SL_E_USAGE,
            "failed to deploy; multiple destinations found and --destination not provided");
        sl_err_hint(err, "name one of: %.400s", sl_buf_str(&g.list));
    } else if (rc == SL_OK) {
        if (dep->destination == NULL)
            printf("destination: %s (the only one in the account)\n", g.name);
        free(dep->destination);
        dep->destination = g.name;
        dep->group = g.id;
        g.name = g.id = NULL;
    }
    free_groups(&g);
    return rc;
}

/* ---- the connection ---- */

/* The first of the destination with that name; *conn NULL: there is none. */
static sl_rc
look_up(struct sl_deploy *dep, json_t **conn, struct sl_err *err)
{
    char *group = sl_http_escape(dep->group), *name = sl_http_escape(dep->connection);
    char *path = sl_sprintf("/v1/groups/%s/connectors?schema=%s", group, name);
    json_t *data = NULL, *item;
    sl_rc rc = sl_remote_call(&dep->rem, "GET", path, NULL, SL_REPEATABLE, 0, &data, err);

    *conn = NULL;
    item = json_array_get(json_object_get(data, "items"), 0);
    if (rc == SL_OK && item != NULL)
        *conn = json_incref(item);
    if (rc == SL_OK && item != NULL && *sl_answer_text(item, "id") == '\0')
        rc = sl_fail(err, SL_E_PROTOCOL, "the server listed a connection without an id");
    json_decref(data);
    free(path);
    free(name);
    free(group);
    return rc;
}

static char *
text_or_null(const json_t *obj, const char *name)
{
    const char *text = sl_answer_text(obj, name);

    return *text ? sl_strdup(text) : NULL;
}

static char *
connection_path(const char *id)
{
    char *escaped = sl_http_escape(id), *path = sl_sprintf("/v1/connectors/%s", escaped);

    free(escaped);
    return path;
}

static sl_rc
read_connection(struct sl_deploy *dep, struct sl_err *err)
{
    char *path = connection_path(dep->id);
    json_t *data = NULL;
    sl_rc rc = sl_remote_call(&dep->rem, "GET", path, NULL, SL_REPEATABLE, 0, &data, err);

    if (rc == SL_OK) {
        dep->package_used = text_or_null(json_object_get(data, "config"), "package_id");
        dep->naming_used = text_or_null(data, "destination_schema_names");
    }
    json_decref(data);
    free(path);
    return rc;
}

static sl_rc
get_package(struct sl_deploy *dep, const char *id, json_t **data, struct sl_err *err)
{
    char *escaped = sl_http_escape(id);
    char *path = sl_sprintf("/v1/connector-sdk/packages/%s", escaped);
    sl_rc rc = sl_remote_call(&dep->rem, "GET", path, NULL, SL_REPEATABLE, 0, data, err);

    free(path);
    free(escaped);
    return rc;
}

/* New code goes into a new package: the other connections of a shared one would not get it. */
static sl_rc
refuse_shared(struct sl_deploy *dep, struct sl_err *err)
{
    json_t *data = NULL;
    sl_rc rc;

    if (dep->package_used == NULL || dep->package_given != NULL)
        return SL_OK;
    rc = get_package(dep, dep->package_used, &data, err);
    if (rc && dep->rem.status == 404)
        return SL_OK;
    if (rc == SL_OK && json_array_size(json_object_get(data, "connection_ids")) > 1) {
        rc = sl_fail(err, SL_E_DESTINATION,
                     "connection '%s' shares its package '%s' with %zu other connections",
                     dep->connection, dep->package_used,
                     json_array_size(json_object_get(data, "connection_ids")) - 1);
        sl_err_hint(err,
                    "change the code of all of them: fivetran package update %s; or give this "
                    "one another package: --package-id",
                    dep->package_used);
    }
    json_decref(data);
    return rc;
}

static sl_rc
refuse_other_naming(const struct sl_deploy *dep, struct sl_err *err)
{
    const char *wanted = dep->naming == SL_NAMING_SOURCE ? "SOURCE_NAMING" : "FIVETRAN_NAMING";

    if (!dep->naming_given || dep->naming_used == NULL || strcmp(wanted, dep->naming_used) == 0)
        return SL_OK;
    sl_fail(err, SL_E_USAGE, "connection '%s' was made with %s, which cannot be changed to %s",
            dep->connection, dep->naming_used, wanted);
    sl_err_hint(err, "leave --naming out, or deploy under another connection name");
    return SL_E_USAGE;
}

/* Keys whose value is null, "a, b": "" for none. New memory. */
static char *
null_keys(const json_t *configuration)
{
    struct sl_buf names;
    const char *key;
    json_t *value;
    char *text;

    sl_buf_init(&names, SL_TEXT_FILE_MAX);
    json_object_foreach((json_t *)configuration, key, value) if (json_is_null(value))
        sl_buf_addf(&names, "%s%s", names.len ? ", " : "", key);
    text = sl_strdup(sl_buf_str(&names));
    sl_buf_free(&names);
    return text;
}

static void
say_kept(const struct sl_deploy *dep)
{
    char *keys = null_keys(dep->configuration);

    if (*keys)
        printf("null in %s keeps the stored value of: %s\n", dep->configuration_file, keys);
    free(keys);
}

static sl_rc
ask_to_overwrite(struct sl_deploy *dep, struct sl_err *err)
{
    const char *code = dep->package_given ? "replace its package" : "overwrite the existing code";
    bool yes = false;
    sl_rc rc;

    printf("connection '%s' already exists in destination '%s'.\n", dep->connection,
           dep->destination);
    if (dep->configuration != NULL)
        printf("updating it will %s and replace its configuration with keys and values from %s.\n"
               "please provide the complete configuration, as any missing keys will be deleted.\n",
               code, dep->configuration_file);
    else
        printf("updating it will %s; its stored configuration is kept.\n", code);
    rc = sl_ask(dep->args, "continue with update?", false, &yes, err);
    if (rc || yes)
        return rc;
    if (sl_remote_interrupted())
        return sl_fail(err, SL_E_CANCELLED, "interrupted");
    sl_fail(err, SL_E_DESTINATION, "update cancelled; nothing was changed");
    sl_err_hint(err, "--force or --yes updates without asking");
    return SL_E_DESTINATION;
}

static sl_rc
take_existing(struct sl_deploy *dep, const json_t *conn, struct sl_err *err)
{
    sl_rc rc;

    if (strcmp(sl_answer_text(conn, "service"), "connector_sdk") != 0) {
        rc = sl_fail(err, SL_E_DESTINATION,
                     "cannot update connection '%s'; not a Connector SDK connection (it is of the "
                     "service '%s')",
                     dep->connection, sl_answer_text(conn, "service"));
        sl_err_hint(err, "choose another name with --connection");
        return rc;
    }
    dep->existed = true;
    dep->id = sl_strdup(sl_answer_text(conn, "id"));
    /* configuration.json is for local runs, too: it must be named to replace what the server has. */
    if (dep->own_configuration) {
        printf("configuration.json is not sent: the stored configuration is kept (to replace it: "
               "--configuration configuration.json)\n");
        json_decref(dep->configuration);
        dep->configuration = NULL;
    }
    say_kept(dep);
    rc = read_connection(dep, err);
    if (rc == SL_OK)
        rc = refuse_shared(dep, err);
    if (rc == SL_OK)
        rc = refuse_other_naming(dep, err);
    dep->unchanged = rc == SL_OK && dep->package_given != NULL && dep->package_used != NULL &&
                     strcmp(dep->package_given, dep->package_used) == 0;
    if (rc == SL_OK && !dep->unchanged)
        rc = ask_to_overwrite(dep, err);
    return rc;
}

static sl_rc
need_configuration(const struct sl_deploy *dep, struct sl_err *err)
{
    bool form = dep->package_given == NULL && sl_project_says_form(dep->pro.dir);

    sl_fail(err, SL_E_CONFIG,
            "configuration is required for a new connection; there is no configuration.json");
    if (form)
        sl_err_hint(err,
                    "fill in the connector's form, which writes it: fivetran configuration; to "
                    "fill it in on the connection's page instead: echo '{}' > "
                    "configuration.json");
    else
        sl_err_hint(err, "name a file with --configuration; if the connector needs none, pass an "
                         "empty one: echo '{}' > configuration.json");
    return SL_E_CONFIG;
}

/* A new connection: its whole configuration is in the file. */
static sl_rc
check_configuration(const struct sl_deploy *dep, struct sl_err *err)
{
    char *keys;
    sl_rc rc = SL_OK;

    if (dep->configuration == NULL)
        return need_configuration(dep, err);
    keys = null_keys(dep->configuration);
    if (*keys) {
        rc = sl_fail(err, SL_E_CONFIG,
                     "%s: null keeps a stored value, and the new connection '%s' has none for: %s",
                     dep->configuration_file, dep->connection, keys);
        sl_err_hint(err, "give each a text, an empty one if need be: \"\"");
    }
    free(keys);
    return rc;
}

static sl_rc
find_connection(struct sl_deploy *dep, struct sl_err *err)
{
    json_t *conn = NULL;
    sl_rc rc = look_up(dep, &conn, err);

    if (rc == SL_OK && conn != NULL)
        rc = take_existing(dep, conn, err);
    else if (rc == SL_OK)
        rc = check_configuration(dep, err);
    json_decref(conn);
    return rc;
}

/* ---- the package ---- */

static sl_rc
take_given_package(struct sl_deploy *dep, struct sl_err *err)
{
    json_t *data = NULL;
    sl_rc rc = get_package(dep, dep->package_given, &data, err);

    json_decref(data);
    if (rc && dep->rem.status == 404)
        sl_err_hint(err, "the packages of the account: fivetran package list");
    if (rc == SL_OK)
        dep->package = sl_strdup(dep->package_given);
    return rc;
}

/* A package nobody uses would stay for ever. Runs also after Ctrl-C. */
static void
remove_orphan(struct sl_deploy *dep)
{
    char *path = sl_sprintf("/v1/connector-sdk/packages/%s", dep->package);
    struct sl_err err = { 0 };

    if (!dep->orphan || dep->package == NULL)
        goto out;
    sl_remote_begin_cleanup(&dep->rem);
    printf("› cleaning up orphaned package: %s\n", dep->package);
    fflush(stdout);
    if (sl_remote_call(&dep->rem, "DELETE", path, NULL, SL_REPEATABLE, 0, NULL, &err) == SL_OK ||
        dep->rem.status == 404)
        printf("✓ cleaned up orphaned package\n");
    else
        fprintf(stderr, "fivetran: package %s could not be removed: %s\n", dep->package, err.text);
    dep->orphan = false;
out:
    free(path);
}

/* What the form wants and the configuration has not. The server says so too, but late, and not with these commands. */
static void
compare_with_form(const struct sl_deploy *dep)
{
    json_t *none = json_object();
    const json_t *values = dep->configuration ? dep->configuration : none;
    struct sl_err err = { 0 };

    /* An existing connection keeps the values it has. */
    if (dep->form != NULL && !(dep->existed && dep->configuration == NULL) &&
        sl_form_check_values(dep->form, values, true, &err)) {
        fflush(stdout);
        fprintf(
            stderr,
            "fivetran: warning: the configuration does not fit the connector's form: %s\n"
            "hint: fill in the form with fivetran configuration and deploy with --configuration "
            "configuration.json, or fill it in on the connection's page\n",
            err.text);
    }
    json_decref(none);
}

static sl_rc
upload(struct sl_deploy *dep, struct sl_err *err)
{
    sl_rc rc;

    if (dep->package_given != NULL)
        return take_given_package(dep, err);
    rc = sl_remote_send_project(&dep->rem, dep->pro.dir, dep->pro.name, NULL, &dep->package,
                                &dep->form, err);
    dep->orphan = dep->package != NULL;
    if (rc == SL_OK)
        compare_with_form(dep);
    return rc;
}

/* ---- create or change ---- */

static json_t *
secrets_list(const json_t *configuration)
{
    json_t *list = json_array(), *value;
    const char *key;

    json_object_foreach((json_t *)configuration, key, value)
    {
        json_array_append_new(list, json_pack("{s:s, s:O}", "key", key, "value", value));
    }
    return list;
}

static json_t *
config_body(const struct sl_deploy *dep)
{
    json_t *config = json_object();

    json_object_set_new(config, "schema", json_string(dep->connection));
    if (dep->configuration != NULL)
        json_object_set_new(config, "secrets_list", secrets_list(dep->configuration));
    if (dep->python_version != NULL)
        json_object_set_new(config, "python_version", json_string(dep->python_version));
    json_object_set_new(config, "package_id", json_string(dep->package));
    return config;
}

/* No sync_frequency: the server's default holds. */
static json_t *
create_body(const struct sl_deploy *dep)
{
    return json_pack("{s:s, s:s, s:o, s:b, s:b, s:s, s:s?}", "group_id", dep->group, "service",
                     "connector_sdk", "config", config_body(dep), "paused", 1, "run_setup_tests", 1,
                     "destination_schema_names",
                     dep->naming == SL_NAMING_SOURCE ? "SOURCE_NAMING" : "FIVETRAN_NAMING",
                     "hybrid_deployment_agent_id", dep->agent);
}

static json_t *
change_body(const struct sl_deploy *dep)
{
    json_t *body = json_pack("{s:o, s:b}", "config", config_body(dep), "run_setup_tests", 1);

    if (dep->agent != NULL)
        json_object_set_new(body, "hybrid_deployment_agent_id", json_string(dep->agent));
    return body;
}

/* The answer was lost. The server is asked whether the connection runs this package; then it is told as it is. */
static bool
happened_anyway(struct sl_deploy *dep)
{
    struct sl_err ignored;
    json_t *conn = NULL, *config;
    bool there;

    sl_remote_begin_cleanup(&dep->rem);
    if (look_up(dep, &conn, &ignored) != SL_OK)
        conn = NULL;
    config = json_object_get(conn, "config");
    there = strcmp(sl_answer_text(config, "package_id"), dep->package) == 0;
    if (there && dep->id == NULL)
        dep->id = sl_strdup(sl_answer_text(conn, "id"));
    json_decref(conn);
    return there;
}

static sl_rc
lost_answer(struct sl_deploy *dep, sl_rc rc, bool new, struct sl_err *err)
{
    if (!happened_anyway(dep))
        return rc;
    dep->orphan = false;
    sl_err_wrap(err, "connection %s was %s, but whether its setup tests passed is not known",
                dep->id, new ? "created" : "updated");
    sl_err_hint(err, "ask for its state: GET /v1/connections/%s; or run fivetran deploy once more",
                dep->id);
    return rc;
}

static sl_rc
apply(struct sl_deploy *dep, struct sl_err *err)
{
    bool new = dep->id == NULL;
    json_t *body = new ? create_body(dep) : change_body(dep);
    char *path = new ? sl_strdup("/v1/connectors") : connection_path(dep->id);
    sl_rc rc;

    if (dep->own_configuration && dep->configuration != NULL)
        printf("configuration: configuration.json of the project\n");
    if (new)
        printf("› creating connection\n");
    else
        printf("› updating connection %s in destination %s\n", dep->connection, dep->destination);
    printf("› Running setup tests can take up to a few minutes; custom tests may take longer "
           "depending on your code and external APIs.\n");
    fflush(stdout);
    rc = sl_remote_call(&dep->rem, new ? "POST" : "PATCH", path, body, SL_ONCE, SETUP_TESTS_S,
                        &dep->result, err);
    if (rc == SL_OK && *sl_answer_text(dep->result, "id") == '\0')
        rc = sl_fail(err, SL_E_PROTOCOL, "the server answered without the connection's id");
    if (rc == SL_E_UNKNOWN || rc == SL_E_CANCELLED ||
        (dep->rem.status >= 502 && dep->rem.status <= 504))
        rc = lost_answer(dep, rc, new, err);
    else if (rc)
        sl_err_wrap(err, "failed to %s connection", new ? "create" : "update");
    if (rc == SL_OK) {
        dep->orphan = false;
        free(dep->id);
        dep->id = sl_strdup(sl_answer_text(dep->result, "id"));
    }
    json_decref(body);
    free(path);
    return rc;
}

sl_rc
sl_deploy_run(struct sl_deploy *dep, struct sl_err *err)
{
    sl_rc rc = find_destination(dep, err);

    if (rc == SL_OK)
        rc = find_connection(dep, err);
    if (rc || dep->unchanged)
        return rc;
    rc = upload(dep, err);
    if (rc == SL_OK && sl_remote_interrupted())
        rc = sl_fail(err, SL_E_CANCELLED, "interrupted");
    if (rc == SL_OK)
        rc = apply(dep, err);
    if (rc)
        remove_orphan(dep);
    return rc;
}

void
sl_deploy_free(struct sl_deploy *dep)
{
    json_decref(dep->configuration);
    json_decref(dep->form);
    json_decref(dep->result);
    free(dep->destination);
    free(dep->connection);
    free(dep->group);
    free(dep->id);
    free(dep->package_used);
    free(dep->naming_used);
    free(dep->package);
    sl_remote_close(&dep->rem);
    sl_project_close(&dep->pro);
}

bool
sl_setup_test_failed(const json_t *test)
{
    const char *status = sl_answer_text(test, "status");

    return strcmp(status, "FAILED") == 0 || strcmp(status, "JOB_FAILED") == 0;
}
