/* cmd_deploy.c - `fivetran deploy`: what was given, checked before the first request; and how it ended, told. */
#include "cli/commands.h"
#include "cli/deploy.h"
#include "runtime/file.h"
#include "runtime/imports.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const struct sl_opt opts[] = {
    SL_ACCOUNT_OPTS,
    { "destination", "NAME", "FIVETRAN_DESTINATION_NAME", "may be left out when there is only one",
      '\0' },
    { "connection", "NAME", "FIVETRAN_CONNECTION_NAME", "lower-case letters, digits and _", '\0' },
    { "configuration", "FILE", "FIVETRAN_CONFIGURATION",
      "values to store with the connection (a new one: else configuration.json in the project)",
      '\0' },
    { "python-version", "X.Y", "FIVETRAN_PYTHON_VERSION", "Python to run it with on the server",
      '\0' },
    { "python", "X.Y", NULL, NULL, '\0' },
    { "naming", "NAMING", "FIVETRAN_NAMING", "FIVETRAN (default) or SOURCE: table and column names",
      '\0' },
    { "package-id", "ID", NULL, "use this package instead of uploading the project", '\0' },
    { "hybrid-deployment-agent-id", "ID", "FIVETRAN_HD_AGENT_ID", "agent to run it on", '\0' },
    { "force", NULL, NULL, "update an existing connection without asking", 'f' },
    { "yes", NULL, NULL, "answer every question with yes", 'y' },
    { "non-interactive", NULL, NULL, "ask nothing: take the default of every question", '\0' },
    { "state", "FILE", NULL, NULL, '\0' },
    { 0 },
};

/* ---- what was given ---- */

static bool
is_connection_name(const char *name)
{
    if (name[0] != '_' && !islower((unsigned char)name[0]))
        return false;
    for (const char *p = name; *p != '\0'; p++)
        if (*p != '_' && !(*p >= 'a' && *p <= 'z') && !(*p >= '0' && *p <= '9'))
            return false;
    return true;
}

/* The name as it could have been meant: "Hello-Connection" -> "hello_connection". */
static void
mend_name(const char *name, char *out, size_t size)
{
    size_t n = 0;

    if (isdigit((unsigned char)name[0]))
        out[n++] = '_';
    for (; *name != '\0' && n + 1 < size; name++)
        out[n++] = isalnum((unsigned char)*name) ? (char)tolower((unsigned char)*name) : '_';
    out[n] = '\0';
}

static sl_rc
check_name(const char *name, struct sl_err *err)
{
    char mended[80];

    if (is_connection_name(name))
        return SL_OK;
    mend_name(name, mended, sizeof mended);
    sl_fail(err, SL_E_USAGE,
            "invalid connection name: '%.100s'; connection names must use only [a-z0-9_] and begin "
            "with '_' or a lowercase letter",
            name);
    sl_err_hint(err, "for example: --connection %s", mended);
    return SL_E_USAGE;
}

/* "3.12" or "3.12.8" */
static sl_rc
check_python(const char *version, struct sl_err *err)
{
    int major, minor, patch, n = 0, m = 0;

    if (version == NULL ||
        (sscanf(version, "%1d.%2d%n.%3d%n", &major, &minor, &n, &patch, &m) >= 2 && major == 3 &&
         (version[n] == '\0' || (m > 0 && version[m] == '\0'))))
        return SL_OK;
    sl_fail(err, SL_E_USAGE, "--python-version is a version like 3.12, not \"%.60s\"", version);
    sl_err_hint(err, "without it the connection runs with the server's default");
    return SL_E_USAGE;
}

static sl_rc
refuse_state(const struct sl_args *args, struct sl_err *err)
{
    if (sl_arg(args, "state") == NULL)
        return SL_OK;
    sl_fail(err, SL_E_USAGE,
            "--state is not for deploy: the server keeps each connection's state "
            "itself, and the first sync begins with an empty one");
    sl_err_hint(err,
                "to begin elsewhere, deploy, then set it while the connection is paused: PATCH "
                "/v1/connections/ID/state");
    return SL_E_USAGE;
}

static sl_rc
read_naming(struct sl_deploy *dep, struct sl_err *err)
{
    const char *text = sl_arg(dep->args, "naming");

    dep->naming = SL_NAMING_FIVETRAN;
    dep->naming_given = text != NULL;
    if (text == NULL || strcasecmp(text, "FIVETRAN") == 0 ||
        strcasecmp(text, "FIVETRAN_NAMING") == 0)
        return SL_OK;
    dep->naming = SL_NAMING_SOURCE;
    if (strcasecmp(text, "SOURCE") == 0 || strcasecmp(text, "SOURCE_NAMING") == 0)
        return SL_OK;
    return sl_fail(err, SL_E_USAGE, "--naming is FIVETRAN or SOURCE, not \"%.60s\"", text);
}

/* What a shell makes of `--connection $UNSET --force`. */
static sl_rc
refuse_swallowed(const struct sl_args *args, struct sl_err *err)
{
    for (int i = 0; opts[i].name != NULL; i++)
        if (opts[i].arg != NULL && args->value[i] != NULL &&
            strncmp(args->value[i], "--", 2) == 0) {
            sl_fail(err, SL_E_USAGE, "--%s has no value: \"%.60s\" follows it", opts[i].name,
                    args->value[i]);
            sl_err_hint(err, "is a shell variable empty? write it in quotes");
            return SL_E_USAGE;
        }
    return SL_OK;
}

static sl_rc
read_options(struct sl_deploy *dep, struct sl_err *err)
{
    const struct sl_args *args = dep->args;
    const char *python = sl_arg(args, "python");
    sl_rc rc = refuse_swallowed(args, err);

    if (rc == SL_OK)
        rc = refuse_state(args, err);
    if (rc == SL_OK && sl_arg_flag(args, "yes") && sl_arg_flag(args, "non-interactive"))
        rc = sl_fail(err, SL_E_USAGE, "--yes and --non-interactive cannot be used together");
    dep->python_version = python ? python : sl_arg(args, "python-version");
    dep->agent = sl_arg(args, "hybrid-deployment-agent-id");
    dep->package_given = sl_arg(args, "package-id");
    if (rc == SL_OK)
        rc = check_python(dep->python_version, err);
    if (rc == SL_OK)
        rc = read_naming(dep, err);
    return rc;
}

static sl_rc
read_configuration(struct sl_deploy *dep, struct sl_err *err)
{
    const char *file = sl_arg(dep->args, "configuration");
    bool found = false;
    sl_rc rc = sl_project_configuration(&dep->pro, file, true, &dep->configuration, &found, err);

    if (rc || !found) {
        json_decref(dep->configuration);
        dep->configuration = NULL;
        return rc;
    }
    dep->own_configuration = file == NULL;
    dep->configuration_file = file ? file : "configuration.json";
    return SL_OK;
}

static sl_rc
read_project(struct sl_deploy *dep, struct sl_err *err)
{
    sl_rc rc = sl_project_open(&dep->pro, dep->args->nrest ? dep->args->rest[0] : NULL, err);

    if (rc == SL_OK && dep->package_given == NULL)
        rc = sl_project_check(&dep->pro, err);
    if (rc == SL_OK)
        rc = read_configuration(dep, err);
    return rc;
}

/* ---- what is missing ---- */

struct missing {
    const char *option, *variable;
    bool is;
};

/* One line for each, so that one try is enough to learn of all. */
static sl_rc
say_missing(const struct missing *list, size_t n, struct sl_err *err)
{
    struct sl_buf text;
    sl_rc rc = SL_OK;

    sl_buf_init(&text, sizeof err->text);
    for (size_t i = 0; i < n; i++)
        if (list[i].is)
            sl_buf_addf(&text,
                        "%s--%s is required; provide it via the --%s flag or the %s environment "
                        "variable.",
                        text.len ? "\nfivetran: " : "", list[i].option, list[i].option,
                        list[i].variable);
    if (text.len > 0)
        rc = sl_fail(err, SL_E_USAGE, "%s", sl_buf_str(&text));
    if (rc && list[0].is)
        sl_err_hint(err, "the server's address and key can be kept once with: fivetran login");
    sl_buf_free(&text);
    return rc;
}

static sl_rc
ask_connection(struct sl_deploy *dep, struct sl_err *err)
{
    char mended[80];
    sl_rc rc = SL_OK;

    mend_name(dep->pro.name, mended, sizeof mended);
    while (rc == SL_OK && dep->connection == NULL) {
        rc = sl_ask_text("Provide the connection name", mended, false, &dep->connection, err);
        if (rc == SL_OK && !is_connection_name(dep->connection)) {
            printf("only lower-case letters, digits and _ are allowed, and no digit first\n");
            free(dep->connection);
            dep->connection = NULL;
        }
    }
    return rc;
}

static sl_rc
complete(struct sl_deploy *dep, struct sl_account *acc, struct sl_err *err)
{
    const char *destination = sl_arg(dep->args, "destination"),
               *connection = sl_arg(dep->args, "connection");
    struct missing missing[] = {
        { "url", "FIVETRAN_API_URL", acc->address == NULL },
        { "api-key", "FIVETRAN_API_KEY", acc->key == NULL },
        { "connection", "FIVETRAN_CONNECTION_NAME", connection == NULL },
    };
    sl_rc rc;

    dep->destination = destination && *destination ? sl_strdup(destination) : NULL;
    dep->connection = sl_strdup_null(connection);
    if (!sl_can_ask(dep->args)) {
        rc = say_missing(missing, sizeof missing / sizeof missing[0], err);
    } else if (acc->address == NULL) {
        rc = sl_account_no_address(err);
    } else {
        rc = ask_connection(dep, err);
        if (rc == SL_OK && acc->key == NULL) {
            acc->key_from = "the API key";
            rc = sl_ask_text("Provide your API Key (Base64 Encoded)", NULL, true, &acc->key, err);
            if (rc == SL_OK)
                rc = sl_account_check_key(acc->key, acc->key_from, err);
        }
    }
    return rc == SL_OK ? check_name(dep->connection, err) : rc;
}

/* ---- what is told ---- */

static void
say_source(const char *what, const struct sl_args *args, const char *option, const char *variable)
{
    const char *value = getenv(variable);

    if (value != NULL && *value != '\0' && sl_arg(args, option) == value)
        printf("reading %s from %s environment variable\n", what, variable);
}

static void
say_command(const struct sl_deploy *dep)
{
    char masked[24];

    say_source("destination", dep->args, "destination", "FIVETRAN_DESTINATION_NAME");
    say_source("connection name", dep->args, "connection", "FIVETRAN_CONNECTION_NAME");
    say_source("configuration", dep->args, "configuration", "FIVETRAN_CONFIGURATION");
    if (strncmp(dep->rem.acc.key_from, "FIVETRAN_", 9) == 0)
        printf("reading api key from %s environment variable\n", dep->rem.acc.key_from);
    sl_account_mask(dep->rem.acc.key, masked);
    printf("executing deploy:\nfivetran deploy");
    if (dep->destination != NULL)
        printf(" --destination %s", dep->destination);
    printf(" --connection %s --api-key %s", dep->connection, masked);
    if (dep->configuration != NULL && !dep->own_configuration)
        printf(" --configuration %s", dep->configuration_file);
    if (dep->python_version != NULL)
        printf(" --python-version %s", dep->python_version);
    if (dep->package_given != NULL)
        printf(" --package-id %s", dep->package_given);
    printf("\nserver: %s (from %s)\n", dep->rem.acc.address, dep->rem.acc.address_from);
    if (dep->python_version == NULL)
        printf("python version not specified; the connection will use the server's default, or "
               "keep its own\n");
    fflush(stdout);
}

/* A message may have several lines; all of them stand below its title. */
static void
show_message(const char *text)
{
    while (*text != '\0') {
        size_t n = strcspn(text, "\n");

        printf("    %.*s\n", (int)n, text);
        text += n + (text[n] == '\n');
    }
}

/* Gives how many failed. Warnings are shown, what passed is not. */
static int
show_setup_tests(struct sl_deploy *dep)
{
    json_t *tests = json_object_get(dep->result, "setup_tests"), *test;
    int failed = 0;
    size_t i;

    json_array_foreach(tests, i, test) failed += sl_setup_test_failed(test);
    if (failed > 0)
        printf("✗ failed setup tests:\n");
    json_array_foreach(tests, i, test)
    {
        bool warning = strcmp(sl_answer_text(test, "status"), "WARNING") == 0;
        char *title, *message;

        if (!warning && !sl_setup_test_failed(test))
            continue;
        title = sl_remote_text(&dep->rem, sl_answer_text(test, "title"));
        message = sl_remote_text(&dep->rem, sl_answer_text(test, "message"));
        printf("  %s: %s\n", title, sl_answer_text(test, "status"));
        show_message(message);
        free(title);
        free(message);
    }
    return failed;
}

static void
show_link(const struct sl_deploy *dep)
{
    const char *own = sl_answer_text(dep->result, "dashboard_url");

    if (dep->rem.dashboard[0] != '\0')
        own = dep->rem.dashboard;
    if (*own != '\0')
        printf("%s\n", own);
    else
        printf("%s/dashboard/connections/%s/status\n", dep->rem.acc.address, dep->id);
}

static int
show_result(struct sl_deploy *dep, bool new)
{
    const char *word = new ? "created" : "updated";
    json_t *config = json_object_get(dep->result, "config");
    const char *python = sl_answer_text(config, "python_version"),
               *naming = sl_answer_text(dep->result, "destination_schema_names");

    if (show_setup_tests(dep) > 0) {
        printf("connection %s but setup tests failed\n  connection id: %s\n", word, dep->id);
        fflush(stdout);
        fprintf(stderr,
                "fivetran: connection %s, but its setup tests failed\nhint: mend what they "
                "name and run fivetran deploy again; the connection was kept\n",
                word);
        return 1;
    }
    printf("✓ connection %s\n  connection id: %s\n", word, dep->id);
    if (*python != '\0')
        printf("  runtime python version: %s\n", python);
    if (*naming != '\0')
        printf("  naming strategy: %s\n", naming);
    if (new)
        printf("the connection is paused; visit the dashboard to start the initial sync:\n");
    else
        printf("visit the dashboard to manage the connection:\n");
    show_link(dep);
    return 0;
}

/* ---- the command ---- */

static sl_rc
prepare(struct sl_deploy *dep, struct sl_err *err)
{
    struct sl_account acc = { 0 };
    const char *key, *value;
    json_t *text;
    sl_rc rc = read_options(dep, err);

    if (rc == SL_OK)
        rc = read_project(dep, err);
    if (rc == SL_OK)
        rc = sl_account_find(&acc, dep->args, err);
    if (rc == SL_OK)
        rc = complete(dep, &acc, err);
    if (rc == SL_OK && dep->package_given == NULL)
        rc = sl_imports_check(dep->pro.dir, sl_warn, NULL, err);
    if (rc == SL_OK)
        rc = sl_remote_open_account(&dep->rem, &acc, err);
    if (rc == SL_OK)
        json_object_foreach(dep->configuration, key,
                            text) if ((value = json_string_value(text)) != NULL)
            sl_redact_add(dep->rem.red, key, value, false);
    sl_account_free(&acc);
    return rc;
}

static int
run(const struct sl_args *args)
{
    struct sl_deploy dep = { .args = args, .pro = { .lock_fd = -1 } };
    struct sl_err err = { 0 };
    bool new;
    int code;
    sl_rc rc = prepare(&dep, &err);

    if (rc == SL_OK) {
        say_command(&dep);
        rc = sl_deploy_run(&dep, &err);
    }
    new = !dep.existed;
    if (rc)
        code = sl_remote_report(&dep.rem, &err);
    else if (dep.unchanged)
        code = printf("connection '%s' already uses package '%s'\n", dep.connection,
                      dep.package_given) < 0;
    else
        code = show_result(&dep, new);
    sl_deploy_free(&dep);
    return code;
}

const struct sl_command sl_cmd_deploy = {
    .name = "deploy",
    .operands = "[project] --connection NAME [options]",
    .summary = "upload the connector to a server and make a connection of it",
    .opts = opts,
    .max_rest = 1,
    .run = run,
    .more =
        "A new connection is paused. An existing one gets the new code; its stored configuration "
        "stays unless --configuration\n"
        "names a file. SLUICE_HTTP_TIMEOUT: seconds without a sign of the server before a request "
        "is given up.\n"
        "Exit codes: 0 ok, 1 refused or failed, 2 usage or configuration, 3 requirements, 4 server "
        "not reached, 130 interrupted.",
};
