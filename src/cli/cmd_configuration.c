/* cmd_configuration.c - `fivetran configuration`: the connector's form asked here, its answers in configuration.json, its tests. */
#include "cli/commands.h"
#include "cli/form.h"
#include "cli/questions.h"
#include "model/form.h"
#include "runtime/ask.h"
#include "runtime/file.h"
#include "runtime/project.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static const struct sl_opt opts[] = {
    { "test", NULL, NULL, "run the form's tests with configuration.json, ask nothing", '\0' },
    { "python", "PATH", NULL, "Python to run the connector with", '\0' },
    { "no-isolation", NULL, NULL, "use the packages of your own Python, install nothing", '\0' },
    { "refresh", NULL, NULL, "install the requirements anew", '\0' },
    { "yes", NULL, NULL, "run the tests without asking whether to", 'y' },
    { "non-interactive", NULL, NULL, NULL, '\0' },
    { "disable-encryption", NULL, NULL, NULL, '\0' },
    { 0 },
};

struct filling {
    const struct sl_args *args;
    struct sl_project pro;
    json_t *form, *values;
};

static struct sl_form_ask
question(const struct filling *fill)
{
    return (
        struct sl_form_ask){ .project = fill->pro.dir,
                             .configuration = fill->values,
                             .launch = { .python = sl_arg(fill->args, "python"),
                                         .no_isolation = sl_arg_flag(fill->args, "no-isolation"),
                                         .refresh = sl_arg_flag(fill->args, "refresh"),
                                         .stop = &sl_stop } };
}

static sl_rc
prepare(struct filling *fill, struct sl_err *err)
{
    const struct sl_args *args = fill->args;
    struct sl_form_ask ask;
    bool found;
    sl_rc rc = sl_project_open(&fill->pro, args->nrest ? args->rest[0] : NULL, err);

    if (rc == SL_OK)
        rc = sl_project_check(&fill->pro, err);
    if (rc == SL_OK)
        rc = sl_project_configuration(&fill->pro, NULL, false, &fill->values, &found, err);
    if (rc)
        return rc;
    ask = question(fill);
    rc = sl_form_ask(&ask, &fill->form, NULL, err);
    if (rc == SL_OK && sl_form_empty(fill->form)) {
        rc = sl_fail(err, SL_E_CONNECTOR, "the connector has no configuration form");
        sl_err_hint(err, "write configuration.json yourself, {\"my_key\": \"value\"}, or give the "
                         "connector one: Connector(update, configuration_form=configuration_form)");
    }
    return rc;
}

/* ---- tests ---- */

static int
show_results(const struct filling *fill, const json_t *results)
{
    json_t *one;
    int failed = 0;
    size_t i;

    json_array_foreach(results, i, one)
    {
        const char *label = sl_form_test(fill->form,
                                         json_string_value(json_object_get(one, "name")));
        const char *message = json_string_value(json_object_get(one, "message"));
        bool passed = json_is_true(json_object_get(one, "passed"));

        printf("%s %s%s%s\n", passed ? "✓" : "✗", label, message ? ": " : "",
               message ? message : "");
        failed += !passed;
    }
    return failed;
}

static sl_rc
run_tests(const struct filling *fill, struct sl_err *err)
{
    struct sl_form_ask ask = question(fill);
    json_t *names = json_array(), *form = NULL, *results = NULL, *test;
    size_t i;
    int failed;
    sl_rc rc;

    json_array_foreach(json_object_get(fill->form, "tests"), i, test)
        json_array_append(names, json_object_get(test, "name"));
    ask.tests = names;
    ask.form = fill->form;
    ask.launch.refresh = false;
    printf("› running %zu test%s\n", json_array_size(names),
           json_array_size(names) == 1 ? "" : "s");
    fflush(stdout);
    rc = sl_form_ask(&ask, &form, &results, err);
    failed = rc ? 0 : show_results(fill, results);
    if (failed > 0)
        rc = sl_fail(err, SL_E_CONNECTOR, "%d of %zu tests failed", failed, json_array_size(names));
    json_decref(names);
    json_decref(form);
    json_decref(results);
    return rc;
}

static sl_rc
only_test(const struct filling *fill, struct sl_err *err)
{
    sl_rc rc = sl_form_check_values(fill->form, fill->values, true, err);

    if (rc) {
        sl_err_hint(err, "fill in the form: fivetran configuration");
        return rc;
    }
    if (json_array_size(json_object_get(fill->form, "tests")) > 0)
        return run_tests(fill, err);
    printf("the form has no tests; the values fit it\n");
    return SL_OK;
}

/* ---- filling in ---- */

static sl_rc
write_values(const struct filling *fill, struct sl_err *err)
{
    char *text = json_dumps(fill->values, JSON_INDENT(4)),
         *path = sl_path_join(fill->pro.dir, "configuration.json"),
         *whole = sl_sprintf("%s\n", text);
    sl_rc rc = sl_file_write_private(path, sl_bytes_of(whole), err);

    if (rc == SL_OK)
        printf("\n✓ %zu value%s written to %s, readable by you only\n",
               json_object_size(fill->values), json_object_size(fill->values) == 1 ? "" : "s",
               path);
    sodium_memzero(text, strlen(text));
    sodium_memzero(whole, strlen(whole));
    free(text);
    free(whole);
    free(path);
    return rc;
}

static sl_rc
offer_tests(const struct filling *fill, struct sl_err *err)
{
    char *answer = NULL;
    bool no;
    sl_rc rc = SL_OK;

    if (json_array_size(json_object_get(fill->form, "tests")) == 0)
        return SL_OK;
    if (!sl_arg_flag(fill->args, "yes"))
        rc = sl_ask_line("run the form's tests with these values? (Y/n): ", false, &answer, err);
    no = answer != NULL && (answer[0] == 'n' || answer[0] == 'N');
    free(answer);
    if (rc == SL_OK && no)
        printf("later: fivetran configuration --test\n");
    return rc || no ? rc : run_tests(fill, err);
}

static sl_rc
fill_in(struct filling *fill, struct sl_err *err)
{
    size_t n = json_array_size(json_object_get(fill->form, "fields"));
    sl_rc rc;

    if (!sl_can_ask(fill->args)) {
        printf("the fields of the form:\n");
        sl_questions_list(fill->form);
        fflush(stdout);
        rc = sl_fail(err, SL_E_USAGE,
                     "fivetran configuration asks on a terminal, and there is none");
        sl_err_hint(err, "write the fields above into configuration.json, then: fivetran "
                         "configuration --test");
        return rc;
    }
    printf("configuration of %s: %zu field%s. Enter keeps what stands in [ ], - clears it, Ctrl-C "
           "ends without a change.\n",
           fill->pro.name, n, n == 1 ? "" : "s");
    rc = sl_questions_ask(fill->form, fill->values, err);
    if (rc == SL_OK)
        rc = sl_check_configuration(fill->values, "configuration.json", false, err);
    if (rc == SL_OK)
        rc = write_values(fill, err);
    else if (rc == SL_E_CANCELLED)
        sl_fail(err, SL_E_CANCELLED, "interrupted; configuration.json was not changed");
    return rc ? rc : offer_tests(fill, err);
}

static int
run(const struct sl_args *args)
{
    struct filling fill = { .args = args, .pro = { .lock_fd = -1 } };
    struct sl_err err = { 0 };
    sl_rc rc;

    sl_catch_signals(SL_STOPS);
    rc = prepare(&fill, &err);
    if (rc == SL_OK)
        rc = sl_arg_flag(args, "test") ? only_test(&fill, &err) : fill_in(&fill, &err);
    fflush(stdout);
    json_decref(fill.form);
    json_decref(fill.values);
    sl_project_close(&fill.pro);
    return rc ? sl_report(&err) : 0;
}

const struct sl_command sl_cmd_configuration = {
    .name = "configuration",
    .operands = "[project] [options]",
    .summary = "fill in the connector's configuration form: writes configuration.json",
    .opts = opts,
    .max_rest = 1,
    .run = run,
    .more =
        "The connector is asked for its form in its environment, as debug makes it. Secrets are "
        "not shown while "
        "they are typed.\n"
        "Values of keys that the form does not have are kept.\n"
        "Exit codes: 0 ok, 1 a test or the form failed, 2 usage or configuration, 3 environment, "
        "130 interrupted.",
};
