#include "cli/commands.h"
#include "cli/console.h"
#include "cli/remote.h"
#include "destinations/inspect.h"
#include "runtime/env.h"
#include "runtime/file.h"
#include "runtime/install.h"
#include "runtime/project.h"
#include "runtime/prune.h"
#include "runtime/python.h"
#include "runtime/requirements.h"

#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/statvfs.h>
#include <unistd.h>

static const struct sl_opt opts[] = {
    { "python", "PATH", NULL, "check this Python instead of the one debug would take", '\0' },
    { "clean", NULL, NULL, "remove cached environments not used for 30 days", '\0' },
    { 0 },
};

/* Less free space than this is a warning, a tenth of it a failure: an environment with pandas takes 200 MB. */
#define SPACE_LOW (1024ull << 20)

enum verdict { OK, WARN, FAIL };

struct doctor {
    struct sl_project pro;
    struct sl_python python;
    const char *wanted; /* --python */
    bool in_project;
    int failed;
};

static void say(struct doctor *doc, enum verdict v, const char *fix, const char *fmt, ...)
    SL_PRINTF(4, 5);

static void
say(struct doctor *doc, enum verdict v, const char *fix, const char *fmt, ...)
{
    static const char *const words[] = { "OK  ", "WARN", "FAIL" };
    va_list ap;

    printf("%s  ", words[v]);
    va_start(ap, fmt);
    vprintf(fmt, ap);
    va_end(ap);
    putchar('\n');
    if (fix != NULL && *fix != '\0')
        printf("      fix: %s\n", fix);
    doc->failed += v == FAIL;
}

static void
say_err(struct doctor *doc, enum verdict v, const struct sl_err *err)
{
    say(doc, v, err->hint, "%s", err->text);
}

/* ---- the installation ---- */

/* A glob below the folder of a program; first match or NULL. */
static char *
near(const char *program, const char *pattern)
{
    char *dir = sl_path_dir(program), *full = sl_path_join(dir, pattern), *found = NULL;
    glob_t g = { 0 };

    if (glob(full, 0, NULL, &g) == 0)
        found = sl_strdup(g.gl_pathv[0]);
    globfree(&g);
    free(full);
    free(dir);
    return found;
}

/* Which package a `fivetran` found on PATH belongs to, told from the files beside it: nothing of it is run. */
static char *
origin_of(const char *program, bool *ours)
{
    char *package = near(program, "../lib/python3*/*-packages/fivetran_connector_sdk");
    char *info = near(program, "../lib/python3*/*-packages/fivetran_connector_sdk-*.dist-info"),
         *text, *runner, *p;
    char *real = sl_path_real(program);
    const char *exe = sl_install_exe();

    runner = package ? sl_path_join(package, "_runner.py") : NULL;
    *ours = (runner != NULL && sl_is_file(runner)) ||
            (real != NULL && exe != NULL && strcmp(real, exe) == 0);
    p = info ? strstr(info, ".dist-info") : NULL;
    if (p != NULL)
        *p = '\0';
    p = p ? strrchr(info, '-') : NULL;
    if (p != NULL) {
        text = sl_sprintf("fivetran-connector-sdk %s, %s", p + 1,
                          *ours ? "this implementation" : "the official one");
    } else {
        text = sl_strdup(*ours ? "this implementation" : "another program of that name");
    }
    free(real);
    free(runner);
    free(info);
    free(package);
    return text;
}

static void
check_path(struct doctor *doc)
{
    int n = 0;
    char *program;

    while ((program = sl_find_program("fivetran", n)) != NULL) {
        bool ours;
        char *origin = origin_of(program, &ours);

        if (ours)
            say(doc, OK, NULL, "fivetran on PATH: %s (%s)", program, origin);
        else if (n == 0)
            say(doc, FAIL,
                "activate the environment this one is in, or remove the other: pip uninstall "
                "fivetran-connector-sdk in its environment",
                "the first fivetran on PATH is %s (%s), not this one (%s)", program, origin,
                sl_install_exe());
        else
            say(doc, WARN,
                "remove it if you do not need it: it would be found first in other environments",
                "another fivetran on PATH: %s (%s)", program, origin);
        free(origin);
        free(program);
        n++;
    }
    if (n == 0)
        say(doc, WARN, "activate the environment: source venv/bin/activate",
            "fivetran is not on PATH");
}

static void
check_venv(struct doctor *doc)
{
    const char *venv = getenv("VIRTUAL_ENV"), *exe = sl_install_exe();
    char *real = venv ? sl_path_real(venv) : NULL;
    size_t n = real ? strlen(real) : 0;

    if (venv == NULL)
        say(doc, OK, NULL, "no virtual environment is active; this program is %s", exe);
    else if (real == NULL)
        say(doc, WARN, "deactivate, then activate the one you want",
            "the active environment %s does not exist", venv);
    else if (strncmp(exe, real, n) == 0 && exe[n] == '/')
        say(doc, OK, NULL, "this program belongs to the active environment %s", venv);
    else
        say(doc, WARN, "install this SDK in the active environment too, or deactivate that",
            "the active environment is %s, but this program is %s", venv, exe);
    free(real);
}

static void
check_install(struct doctor *doc)
{
    /* Not by name: an index would answer with the official package. */
    static const char *const again =
        "install the wheel it came from again: pip install --force-reinstall FILE.whl";
    const char *package = sl_install_package(), *lib = sl_install_duckdb(),
               *templates = sl_install_templates();
    char *core, *site;

    if (package == NULL) {
        say(doc, FAIL, again, "the Python package fivetran_connector_sdk was not found beside %s",
            sl_install_exe());
    } else {
        say(doc, OK, NULL, "Python package: %s", package);
        site = sl_path_dir(package);
        core = sl_path_join(site, "fivetran_connector_sdk_core");
        if (sl_exists(core))
            say(doc, FAIL, "make a fresh environment with only one of the two",
                "two SDKs in one environment: %s is the official one", core);
        free(core);
        free(site);
    }
    if (lib == NULL || access(lib, R_OK) != 0)
        say(doc, FAIL, again, "the database library is missing: %s", lib ? lib : "libduckdb");
    else
        say(doc, OK, NULL, "database library: %s", lib);
    if (templates == NULL || !sl_is_dir(templates))
        say(doc, WARN, again, "the templates of fivetran init are missing");
}

static void
check_python(struct doctor *doc)
{
    struct sl_err err = { 0 };
    char *uv;

    if (sl_python_find(&doc->python, doc->wanted, &err)) {
        say_err(doc, FAIL, &err);
        return;
    }
    if (doc->python.minor > SL_PYTHON_NEWEST)
        say(doc, WARN, "if something fails, try Python 3.14 or older",
            "Python %s (%s) is newer than those tested", doc->python.version, doc->python.path);
    else
        say(doc, OK, NULL, "Python %s: %s", doc->python.version, doc->python.path);
    uv = sl_env_uv(&doc->python);
    if (uv != NULL)
        say(doc, OK, NULL, "installer: uv (%s)", uv);
    else if (doc->python.pip != NULL)
        say(doc, OK, NULL, "installer: pip %s (uv would be faster: pip install uv)",
            doc->python.pip);
    else
        say(doc, WARN, "pip install uv, or apt install python3-pip python3-venv",
            "neither uv nor pip was found");
    free(uv);
}

static void
check_space(struct doctor *doc, const char *what, const char *path)
{
    char *at = sl_strdup(path), *up;
    struct statvfs st;
    unsigned long long left;

    while (!sl_exists(at) && strcmp(at, "/") != 0) {
        up = sl_path_dir(at);
        free(at);
        at = up;
    }
    if (access(at, W_OK) != 0)
        say(doc, FAIL, "make it writable, or use another one", "%s %s is not writable", what, at);
    else if (statvfs(at, &st) == 0) {
        left = (unsigned long long)st.f_bavail * st.f_frsize;
        say(doc,
            left < SPACE_LOW / 10 ? FAIL
            : left < SPACE_LOW    ? WARN
                                  : OK,
            left < SPACE_LOW ? "free some space on this disk" : NULL, "%s %s: %llu MB free", what,
            at, left >> 20);
    }
    free(at);
}

/* ---- the server ---- */

static void
ask_server(struct doctor *doc, struct sl_remote *rem)
{
    struct sl_err err = { 0 };
    char address[200], *name;
    json_t *data = NULL;

    snprintf(address, sizeof address, "%s", rem->acc.address);
    if (rem->acc.key == NULL) {
        say(doc, WARN, "fivetran login keeps one",
            "server %s (from %s): there is no API key for it", address, rem->acc.address_from);
        return;
    }
    if (sl_remote_call(rem, "GET", "/v1/account/info", NULL, SL_REPEATABLE, 0, &data, &err)) {
        say_err(doc, FAIL, &err);
        return;
    }
    name = sl_remote_text(rem, sl_answer_text(data, "account_name"));
    say(doc, OK, NULL, "server %s (from %s) answers and takes the API key%s%s", address,
        rem->acc.address_from, *name ? ", account " : "", name);
    free(name);
    json_decref(data);
}

/* Nothing is said when none is configured: local work needs none. */
static void
check_server(struct doctor *doc)
{
    struct sl_account acc;
    struct sl_remote rem = { 0 };
    struct sl_err err = { 0 };

    if (sl_account_find(&acc, NULL, &err)) {
        say_err(doc, FAIL, &err);
    } else if (acc.address != NULL) {
        if (sl_remote_open_account(&rem, &acc, &err))
            say_err(doc, FAIL, &err);
        else
            ask_server(doc, &rem);
        sl_remote_close(&rem);
    }
    sl_account_free(&acc);
}

static void
clean(struct doctor *doc)
{
    struct sl_pruned pruned;
    struct sl_err err = { 0 };

    if (sl_prune(&pruned, &err))
        say_err(doc, FAIL, &err);
    else
        say(doc, OK, NULL, "cache: %d environment%s not used for %d days removed, %d kept",
            pruned.removed, pruned.removed == 1 ? "" : "s", SL_PRUNE_DAYS, pruned.kept);
}

/* ---- the project ---- */

static void
check_requirements(struct doctor *doc)
{
    struct sl_requirements req = { 0 };
    struct sl_err err = { 0 };
    size_t n = 0;

    if (sl_requirements_load(&req, doc->pro.dir, &err)) {
        say_err(doc, FAIL, &err);
        return;
    }
    for (char **line = req.dropped; line != NULL && *line != NULL; line++)
        say(doc, WARN, "remove the line", "%s names the SDK itself (%s), which is always provided",
            req.source, *line);
    for (size_t i = 0; i < req.count; i++)
        n += !req.list[i].option;
    if (req.source == NULL)
        say(doc, OK, NULL, "no requirements.txt: the connector needs nothing but the SDK");
    else if (!req.pinned)
        say(doc, WARN, "pin versions with ==, so that a new release cannot break the connector",
            "%s: %zu requirements, not all pinned", req.source, n);
    else
        say(doc, OK, NULL, "%s: %zu requirement%s", req.source, n, n == 1 ? "" : "s");
    sl_requirements_free(&req);
}

static void
check_json(struct doctor *doc)
{
    struct sl_err err = { 0 };
    json_t *conf = NULL;
    struct sl_buf state;
    bool found = false;

    if (sl_project_configuration(&doc->pro, NULL, false, &conf, &found, &err))
        say_err(doc, FAIL, &err);
    else if (found)
        say(doc, OK, NULL, "configuration.json: %zu field%s", json_object_size(conf),
            json_object_size(conf) == 1 ? "" : "s");
    json_decref(conf);
    if (!sl_is_file(doc->pro.mirror))
        return;
    sl_buf_init(&state, SL_TEXT_FILE_MAX);
    if (sl_project_state(doc->pro.mirror, &state, &err))
        say_err(doc, FAIL, &err);
    else if (!sl_is_file(doc->pro.warehouse) && strcmp(sl_buf_str(&state), "{}") != 0)
        say(doc, FAIL, "fivetran reset begins anew; or put warehouse.db back",
            "files/state.json has a state, but its files/warehouse.db is gone");
    sl_buf_free(&state);
}

static void
check_warehouse(struct doctor *doc)
{
    struct sl_inspect *in = NULL;
    const struct sl_inspect_table *tables;
    const char *lib = sl_install_duckdb();
    struct sl_err err = { 0 };
    char who[160];
    sl_rc rc;

    if (sl_project_locked_by(&doc->pro, who, sizeof who)) {
        say(doc, WARN, "wait for it or end it", "%s is working on this project", who);
        return;
    }
    if (!sl_is_file(doc->pro.warehouse))
        return;
    if (lib != NULL)
        setenv("SLUICE_DUCKDB_LIB", lib, 1);
    rc = sl_inspect_open(&in, doc->pro.warehouse, &err);
    if (rc) {
        say_err(doc, FAIL, &err);
        return;
    }
    say(doc, OK, NULL, "files/warehouse.db: %d tables", sl_inspect_tables(in, &tables));
    sl_inspect_close(in);
}

static void
check_project(struct doctor *doc)
{
    struct sl_err err = { 0 };

    if (sl_project_check(&doc->pro, &err)) {
        say(doc, doc->in_project ? FAIL : WARN, err.hint, "%s", err.text);
        return;
    }
    say(doc, OK, NULL, "project: %s", doc->pro.dir);
    check_requirements(doc);
    check_json(doc);
    check_space(doc, "project folder", doc->pro.dir);
    if (sl_is_dir(doc->pro.files) && access(doc->pro.files, W_OK) != 0)
        say(doc, FAIL, "make it writable", "%s is not writable", doc->pro.files);
    check_warehouse(doc);
}

static int
run(const struct sl_args *args)
{
    struct doctor doc = { .in_project = args->nrest > 0, .wanted = sl_arg(args, "python") };
    struct sl_err err = { 0 };

    if (sl_project_open(&doc.pro, args->nrest ? args->rest[0] : NULL, &err))
        return sl_report(&err);
    printf("fivetran-connector-sdk %s\n", sl_install_version());
    check_path(&doc);
    check_venv(&doc);
    check_install(&doc);
    check_python(&doc);
    if (sl_install_cache() != NULL)
        check_space(&doc, "cache", sl_install_cache());
    else
        say(&doc, FAIL, "set HOME or SLUICE_CACHE", "there is no folder for the cache");
    check_server(&doc);
    if (sl_arg_flag(args, "clean"))
        clean(&doc);
    check_project(&doc);
    printf("%s\n", doc.failed ? "something has to be fixed" : "all is well");
    sl_python_free(&doc.python);
    sl_project_close(&doc.pro);
    return doc.failed ? 1 : 0;
}

const struct sl_command sl_cmd_doctor = {
    .name = "doctor",
    .operands = "[project]",
    .summary = "check the installation and the project",
    .opts = opts,
    .max_rest = 1,
    .run = run,
};
