/* Environments on a server: the installer and then the connector behind walls. The packages are small ones made here, in a folder
 * that stands for the operator's index; the tutorial's connector takes its requirement from the real one.
 *
 * As root with own users; as anybody else with the walls that are left. */
#include "runtime/rig_test.h"

#include "base/time.h"
#include "engine/session.h"
#include "runtime/child.h"
#include "runtime/env.h"
#include "runtime/install.h"
#include "runtime/jail.h"
#include "runtime/proc.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define INSTALLER 20003
#define CONNECTOR 20004

static char *dir, *cache, *project, *index_dir, *logs;
static struct sl_python python;

/* Makes NAME-1.0 as a wheel, or, with code for its build, as a source distribution only. */
static const char maker[] =
    "import sys, zipfile, tarfile, io\n"
    "folder, name, build = sys.argv[1:4]\n"
    "if not build:\n"
    "    w = zipfile.ZipFile('%s/%s-1.0-py3-none-any.whl' % (folder, name), 'w')\n"
    "    info = name + '-1.0.dist-info/'\n"
    "    w.writestr(name + '.py', 'VALUE = 42\\n')\n"
    "    w.writestr(info + 'METADATA', 'Metadata-Version: 2.1\\nName: %s\\nVersion: 1.0\\n' % "
    "name)\n"
    "    w.writestr(info + 'WHEEL', 'Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: "
    "py3-none-any\\n')\n"
    "    w.writestr(info + 'entry_points.txt', '[console_scripts]\\ntool = %s:main\\n' % name)\n"
    "    w.writestr(info + 'RECORD', ''.join(n + ',,\\n' for n in w.namelist()) + info + "
    "'RECORD,,\\n')\n"
    "    w.close()\n"
    "else:\n"
    "    backend = '''\n"
    "import os, zipfile\n"
    "def build_wheel(folder, *a, **k):\n"
    "    said = []\n"
    "    %s\n"
    "    name, info = \"NAME-1.0-py3-none-any.whl\", \"NAME-1.0.dist-info/\"\n"
    "    w = zipfile.ZipFile(os.path.join(folder, name), \"w\")\n"
    "    w.writestr(\"NAME.py\", \"SAID = \" + repr(said) + chr(10))\n"
    "    w.writestr(info + \"METADATA\", \"Metadata-Version: 2.1\\\\nName: NAME\\\\nVersion: "
    "1.0\\\\n\")\n"
    "    w.writestr(info + \"WHEEL\", \"Wheel-Version: 1.0\\\\nRoot-Is-Purelib: true\\\\nTag: "
    "py3-none-any\\\\n\")\n"
    "    w.writestr(info + \"RECORD\", \"\".join(n + \",,\\\\n\" for n in w.namelist()) + info + "
    "\"RECORD,,\\\\n\")\n"
    "    w.close()\n"
    "    return name\n"
    "'''.replace('NAME', name) % build.replace('\\n', '\\n    ')\n"
    "    t = tarfile.open('%s/%s-1.0.tar.gz' % (folder, name), 'w:gz')\n"
    "    for path, text in {'backend.py': backend, 'PKG-INFO': 'Metadata-Version: 2.1\\nName: "
    "%s\\nVersion: 1.0\\n' % name,\n"
    "        'pyproject.toml': '[build-system]\\nrequires = []\\nbuild-backend = "
    "\"backend\"\\nbackend-path = [\".\"]\\n'}.items():\n"
    "        m = tarfile.TarInfo('%s-1.0/%s' % (name, path)); m.size = len(text)\n"
    "        t.addfile(m, io.BytesIO(text.encode()))\n"
    "    t.close()\n";

static void
package(const char *name, const char *build)
{
    const char *argv[] = { python.base, "-I", "-c", maker, index_dir, name, build, NULL };
    struct sl_err err = { 0 };
    struct sl_buf out;
    int status = 1;

    sl_buf_init(&out, 1u << 20);
    if (sl_run(&(struct sl_run){ .argv = argv, .log_fd = -1 }, &out, &status, &err) || status != 0)
        fail_msg("%s %s", err.text, sl_buf_str(&out));
    sl_buf_free(&out);
}

/* An interpreter with pip that the current user may read. */
static bool
find_python(void)
{
    static const char *const places[] = { NULL, "/usr/bin/python3", "/usr/local/bin/python3" };

    for (size_t i = 0; i < sizeof places / sizeof places[0]; i++) {
        if (sl_python_find(&python, places[i], NULL) != SL_OK)
            continue;
        if (access(python.base, X_OK) == 0 && python.pip != NULL)
            return true;
        sl_python_free(&python);
    }
    return false;
}

static int
setup(void **state)
{
    char name[] = "/tmp/sluice-env-XXXXXX"; /* mode 0700, as a server's data */
    char *made = mkdtemp(name), *secret;

    (void)state;
    if (made == NULL)
        return 1;
    dir = sl_path_real(made);
    cache = sl_path_join(dir, "cache");
    project = sl_path_join(dir, "project");
    index_dir = sl_path_join(dir, "index");
    logs = sl_path_join(cache, "logs");
    secret = sl_path_join(dir, "secret");
    if (sl_mkdirs(index_dir, NULL) || sl_mkdirs(project, NULL) ||
        sl_file_write(secret, SL_LIT("key"), false, NULL))
        return 1;
    free(secret);
    if (python.path == NULL && !find_python())
        return 1;
    setenv("PIP_NO_INDEX", "1", 1);
    setenv("PIP_FIND_LINKS", index_dir, 1);
    setenv("SLUICE_SECRET", "of the server", 1);
    return 0;
}

static int
teardown(void **state)
{
    (void)state;
    assert_int_equal(sl_remove_tree(dir, NULL), 0);
    free(dir);
    free(cache);
    free(project);
    free(index_dir);
    free(logs);
    return 0;
}

static void
say(void *ctx, const char *text)
{
    struct sl_buf *said = ctx;

    if (said != NULL)
        sl_buf_addf(said, "%s\n", text);
}

static const struct sl_env_jail walls = {
    .mode = SL_SANDBOX_BEST, .name = "sluicetest-install", .uid = INSTALLER, .memory = 512u << 20
};

static sl_rc
ensure(struct sl_env *env, struct sl_env_conf more, struct sl_buf *said, struct sl_err *err)
{
    more.project = project;
    more.python = &python;
    more.cache = cache;
    more.jail = &walls;
    more.untrusted = true;
    more.say = say;
    more.ctx = said;
    return sl_env_ensure(env, &more, err);
}

/* Runs code as a connector of the environment would; what it printed. */
static char *
in_environment(const struct sl_env *env, const char *code)
{
    const char *argv[] = { env->python, "-c", code, NULL };
    char *work = sl_path_join(dir, "work"), *text,
         **read = sl_env_reads(env, &python, NULL, project);
    struct sl_child_names names = { "c", "c", "g", work };
    struct sl_jail *jail = NULL;
    struct sl_err err = { 0 };
    struct sl_vars vars;
    struct sl_buf out;
    int status = -1;

    sl_buf_init(&out, 1u << 20);
    assert_int_equal(sl_mkdirs(work, NULL), 0);
    sl_child_server_vars(&vars, &names);
    if (sl_jail_new(&jail,
                    &(struct sl_jail_conf){ .mode = SL_SANDBOX_BEST,
                                            .name = "sluicetest-run",
                                            .work = work,
                                            .read = (const char *const *)read,
                                            .uid = CONNECTOR },
                    &err) ||
        sl_run(&(struct sl_run){ .argv = argv,
                                 .env = vars.list,
                                 .cwd = work,
                                 .log_fd = -1,
                                 .timeout_us = 60 * 1000000,
                                 .jail = jail },
               &out, &status, &err) ||
        status != 0)
        fail_msg("%s %d %s", err.text, status, sl_buf_str(&out));
    text = sl_strdup(sl_buf_str(&out));
    sl_jail_free(jail);
    sl_vars_free(&vars);
    sl_names_free(read);
    sl_buf_free(&out);
    free(work);
    return text;
}

static void
expect_in(const struct sl_env *env, const char *code, const char *want)
{
    char *text = in_environment(env, code);

    if (strcmp(text, want) != 0)
        fail_msg("%s\nsays %s, expected %s", code, text, want);
    free(text);
}

/* Every file of the environment: ours, and written by nobody else. */
static void
expect_ours(const char *path)
{
    char **names = NULL;
    struct stat st;

    assert_int_equal(lstat(path, &st), 0);
    if (st.st_uid != geteuid() || (!S_ISLNK(st.st_mode) && (st.st_mode & 07022) != 0))
        fail_msg("%s: user %u, mode %o", path, st.st_uid, st.st_mode);
    if (!S_ISDIR(st.st_mode))
        return;
    assert_int_equal(sl_dir_names(path, &names, NULL), 0);
    for (size_t i = 0; names[i] != NULL; i++) {
        char *below = sl_path_join(path, names[i]);

        expect_ours(below);
        free(below);
    }
    sl_names_free(names);
}

static void
expect_no_leftovers(void)
{
    char *envs = sl_path_join(cache, "envs"), **names = NULL;

    assert_int_equal(sl_dir_names(envs, &names, NULL), 0);
    for (size_t i = 0; names[i] != NULL; i++)
        if (strlen(names[i]) != 32 && strcmp(names[i] + 32, ".lock") != 0)
            fail_msg("left: %s", names[i]);
    sl_names_free(names);
    free(envs);
}

/* Fails with the end of the installer's log. */
static void
fail_with_log(const struct sl_err *err)
{
    struct sl_buf log;
    const char *text = "";

    sl_buf_init(&log, 1u << 24);
    if (err->path[0] == '/' && sl_file_read(err->path, &log, NULL) == SL_OK)
        text = sl_buf_str(&log) + (log.len > 800 ? log.len - 800 : 0);
    fail_msg("%s\n%s", err->text, text);
}

static void
wheel_with(const char *installer)
{
    struct sl_env env = { 0 };
    struct sl_err err = { 0 };
    struct sl_buf said;

    sl_buf_init(&said, 1u << 20);
    setenv("SLUICE_INSTALLER", installer, 1);
    package("tinything", "");
    rig_put(project, "requirements.txt", "tinything==1.0\n");
    if (ensure(&env, (struct sl_env_conf){ 0 }, &said, &err))
        fail_with_log(&err);
    assert_true(env.made);
    assert_null(strstr(sl_buf_str(&said), "building the rest"));
    expect_ours(env.dir);
    expect_no_leftovers();
    expect_in(
        &env,
        "import tinything, sys, os\n"
        "def denied(f):\n"
        "    try: f()\n"
        "    except OSError: return True\n"
        "    return False\n"
        "p = os.path.dirname(tinything.__file__)\n"
        "tool = open(sys.prefix + '/bin/tool').readline().strip()\n"
        "print(tinything.VALUE, denied(lambda: open(p + '/x', 'w')), denied(lambda: os.unlink(p + "
        "'/tinything.py')),\n"
        "  tool == '#!' + sys.prefix + '/bin/python', end='')\n",
        geteuid() == 0 ? "42 True True True" : "42 True True True");
    sl_env_free(&env);
    /* Kept. */
    assert_int_equal(ensure(&env, (struct sl_env_conf){ 0 }, NULL, &err), SL_OK);
    assert_false(env.made);
    sl_env_free(&env);
    sl_buf_free(&said);
}

static void
test_wheel(void **state)
{
    (void)state;
    wheel_with("pip");
}

static char *
uv_or_skip(void)
{
    char *uv;

    setenv("SLUICE_INSTALLER", "uv", 1);
    uv = sl_env_uv(&python);
    if (uv == NULL) {
        print_message("uv is not on PATH\n");
        skip();
    }
    return uv;
}

static void
test_wheel_uv(void **state)
{
    (void)state;
    free(uv_or_skip());
    wheel_with("uv");
}

/* A build that tries what it should not; what came of it is in the module it builds. */
static const char hostile[] =
    "def attempt(what, f):\n"
    "    try: f(); said.append(what + ' done')\n"
    "    except Exception as e: said.append(what + ' denied')\n"
    "attempt('secret', lambda: open('DIR/secret').read())\n"
    "attempt('shared cache', lambda: open('DIR/cache/packages/x', 'w'))\n"
    "attempt('other environments', lambda: os.listdir('DIR/cache/envs'))\n"
    "attempt('usr', lambda: open('/usr/x', 'w'))\n"
    "attempt('server', lambda: os.kill(PID, 0))\n"
    "said.append(str(any(k.startswith('SLUICE') for k in os.environ)))\n"
    "import glob\n"
    "venv = os.environ['VIRTUAL_ENV']\n"
    "open(venv + '/bin/evil', 'w').write('#!/bin/sh')\n"
    "os.chmod(venv + '/bin/evil', 0o6777)\n"
    "os.mkfifo(venv + '/pipe')\n"
    "os.symlink('/etc/passwd', venv + '/sluice.json')\n"
    "if os.fork() == 0:\n"
    "    os.setsid()\n"
    "    import time\n"
    "    for fd in range(64):\n"
    "        try: os.close(fd)\n"
    "        except OSError: pass\n"
    "    while True:\n"
    "        try: open(venv + '/late', 'w').write('x')\n"
    "        except OSError: pass\n"
    "        time.sleep(0.01)\n";

static char *
replaced(const char *text, const char *what, const char *with)
{
    struct sl_buf buf;
    const char *at;
    char *made;

    sl_buf_init(&buf, 1u << 20);
    for (at = strstr(text, what); at != NULL; at = strstr(text, what)) {
        sl_buf_addn(&buf, text, (size_t)(at - text));
        sl_buf_add(&buf, with);
        text = at + strlen(what);
    }
    sl_buf_add(&buf, text);
    made = sl_strdup(sl_buf_str(&buf));
    sl_buf_free(&buf);
    return made;
}

static void
build_with(const char *installer)
{
    char pid[16], *code, *with_dir = replaced(hostile, "DIR", dir), *path;
    struct sl_env env = { 0 };
    struct sl_err err = { 0 };
    struct sl_buf said;

    sl_buf_init(&said, 1u << 20);
    snprintf(pid, sizeof pid, "%d", (int)getpid());
    code = replaced(with_dir, "PID", pid);
    setenv("SLUICE_INSTALLER", installer, 1);
    package("fromsource", code);
    rig_put(project, "requirements.txt", "fromsource==1.0\n");
    if (ensure(&env, (struct sl_env_conf){ 0 }, &said, &err))
        fail_with_log(&err);
    assert_non_null(strstr(sl_buf_str(&said), "not everything has a wheel"));
    expect_in(&env, "import fromsource; print(fromsource.SAID, end='')",
              "['secret denied', 'shared cache denied', 'other environments denied', 'usr denied', "
              "'server denied', 'False']");
    expect_ours(env.dir);
    expect_no_leftovers();
    path = sl_path_join(env.dir, "late"); /* its writer is dead, or this would have made it again */
    (void)unlink(path);
    for (int i = 0; i < 20; i++) {
        struct timespec nap = { .tv_nsec = 2500000 };

        nanosleep(&nap, NULL);
        assert_false(sl_exists(path));
    }
    free(path);
    path = sl_path_join(env.dir, "pipe");
    assert_false(sl_exists(path));
    free(path);
    sl_env_free(&env);
    sl_buf_free(&said);
    free(code);
    free(with_dir);
}

static void
test_build(void **state)
{
    (void)state;
    build_with("pip");
}

static void
test_build_uv(void **state)
{
    (void)state;
    free(uv_or_skip());
    build_with("uv");
}

static void
test_build_that_hangs(void **state)
{
    struct sl_env env = { 0 };
    struct sl_err err = { 0 };
    int64_t start = sl_mono_us();

    (void)state;
    setenv("SLUICE_INSTALLER", "any", 1);
    package("hangs", "import time; time.sleep(600)");
    rig_put(project, "requirements.txt", "hangs==1.0\n");
    assert_int_equal(ensure(&env, (struct sl_env_conf){ .timeout_us = 4 * 1000000 }, NULL, &err),
                     SL_E_ENV);
    assert_non_null(strstr(err.text, "the install did not end within"));
    assert_true(sl_mono_us() - start < 15 * 1000000);
    expect_no_leftovers();
}

static void
test_errors_are_explained(void **state)
{
    struct sl_env env = { 0 };
    struct sl_err err = { 0 };

    (void)state;
    setenv("SLUICE_INSTALLER", "pip", 1);
    package("tinything", "");
    rig_put(project, "requirements.txt", "# the list\ntinything==9.9\n");
    assert_int_equal(ensure(&env, (struct sl_env_conf){ 0 }, NULL, &err), SL_E_ENV);
    if (strstr(err.text, "requirements.txt:2: there is no tinything==9.9") == NULL ||
        strstr(err.hint, "1.0") == NULL)
        fail_msg("%s (%s)", err.text, err.hint);
    assert_memory_equal(err.path, logs, strlen(logs));
    rig_put(project, "requirements.txt", "tinything==1.0\n-i http://evil\n");
    assert_int_equal(ensure(&env, (struct sl_env_conf){ 0 }, NULL, &err), SL_E_ENV);
    assert_string_equal(err.path, "requirements.txt:2");
}

/* The index's password goes to the installer and nowhere else. */
static void
test_password_of_the_index(void **state)
{
    struct sl_env env = { 0 };
    struct sl_err err = { 0 };
    struct sl_buf log;

    (void)state;
    setenv("SLUICE_INSTALLER", "pip", 1);
    unsetenv("PIP_NO_INDEX");
    unsetenv("PIP_FIND_LINKS");
    setenv("PIP_INDEX_URL", "http://reader:Hunter2Hunter2@127.0.0.1:9/simple", 1);
    rig_put(project, "requirements.txt", "tinything==1.0\n");
    assert_int_equal(ensure(&env, (struct sl_env_conf){ 0 }, NULL, &err), SL_E_ENV);
    unsetenv("PIP_INDEX_URL");
    sl_buf_init(&log, 1u << 24);
    assert_int_equal(sl_file_read(err.path, &log, NULL), SL_OK);
    assert_non_null(strstr(sl_buf_str(&log), "127.0.0.1"));
    assert_null(strstr(sl_buf_str(&log), "Hunter2"));
    assert_null(strstr(err.text, "Hunter2"));
    assert_null(strstr(err.hint, "Hunter2"));
    sl_buf_free(&log);
}

static void
test_drivers(void **state)
{
    struct sl_env env = { 0 };
    struct sl_err err = { 0 };
    char *mark = sl_path_join(dir, "installed"), *script;

    (void)state;
    script = sl_sprintf("echo $SLUICE_SECRET $(cat lib) > %s\n", mark);
    rig_put(project, "requirements.txt", "");
    rig_put(project, "drivers/installation.sh", script);
    rig_put(project, "drivers/lib", "one");
    assert_int_equal(ensure(&env, (struct sl_env_conf){ 0 }, NULL, &err), SL_E_ENV);
    assert_non_null(strstr(err.text, "drivers/installation.sh is refused"));
    assert_non_null(strstr(err.hint, "--allow-drivers"));
    assert_false(sl_exists(mark));
    if (ensure(&env, (struct sl_env_conf){ .allow_drivers = true }, NULL, &err))
        fail_msg("%s", err.text);
    sl_env_free(&env);
    {
        struct sl_buf text;

        sl_buf_init(&text, 1u << 20);
        assert_int_equal(sl_file_read(mark, &text, NULL), SL_OK);
        assert_string_equal(sl_buf_str(&text), "one\n");
        sl_buf_free(&text);
    }
    /* Once per content of the folder. */
    assert_int_equal(unlink(mark), 0);
    assert_int_equal(ensure(&env, (struct sl_env_conf){ .allow_drivers = true }, NULL, &err),
                     SL_OK);
    sl_env_free(&env);
    assert_false(sl_exists(mark));
    rig_put(project, "drivers/lib", "two");
    assert_int_equal(ensure(&env, (struct sl_env_conf){ .allow_drivers = true }, NULL, &err),
                     SL_OK);
    sl_env_free(&env);
    assert_true(sl_exists(mark));
    rig_put(project, "drivers/installation.sh", "echo the disk is gone; exit 3\n");
    assert_int_equal(ensure(&env, (struct sl_env_conf){ .allow_drivers = true }, NULL, &err),
                     SL_E_ENV);
    assert_non_null(strstr(err.text, "status 3: the disk is gone"));
    free(script);
    free(mark);
}

static void *
one_of_several(void *arg)
{
    struct sl_env env = { 0 };
    struct sl_err err = { 0 };
    struct sl_env_jail own = walls;
    struct sl_env_conf conf = { .project = project,
                                .python = &python,
                                .cache = cache,
                                .jail = &own,
                                .untrusted = true,
                                .say = say };
    long made = -1;

    own.name = arg;
    if (sl_env_ensure(&env, &conf, &err) == SL_OK)
        made = env.made;
    sl_env_free(&env);
    return (void *)made;
}

static void
test_threads(void **state)
{
    static const char *const names[] = { "sluicetest-t1", "sluicetest-t2", "sluicetest-t3" };
    pthread_t threads[3];
    long made = 0;

    (void)state;
    setenv("SLUICE_INSTALLER", "any", 1);
    package("tinything", "");
    rig_put(project, "requirements.txt", "tinything==1.0\n");
    for (int i = 0; i < 3; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, one_of_several, (void *)names[i]), 0);
    for (int i = 0; i < 3; i++) {
        void *result;

        pthread_join(threads[i], &result);
        assert_true((long)result >= 0);
        made += (long)result;
    }
    assert_int_equal(made, 1);
}

/* ---- a connector from end to end ---- */

struct seen {
    struct sl_buf log, output;
};

static void
on_log(void *ctx, enum sl_level level, enum sl_origin from, const char *text, size_t len)
{
    struct seen *seen = ctx;

    (void)level;
    (void)from;
    sl_buf_addn(&seen->log, text, len);
    sl_buf_add(&seen->log, "\n");
}

static void
on_output(void *ctx, bool is_stderr, const char *text, size_t len)
{
    struct seen *seen = ctx;

    (void)is_stderr;
    sl_buf_addn(&seen->output, text ? text : "", len);
}

/* Runs the project's connector in a jail against a destination that counts. */
static void
run_connector(const struct sl_env *env, const char *configuration, struct seen *seen,
              struct sl_session_result *res)
{
    char *work = sl_path_join(dir, "work"), *sdk = NULL, **read;
    struct sl_child_names names = { "my_id", "my_connection", "my_group", work };
    const struct sl_sink sink = { .ctx = seen, .log = on_log };
    struct sl_session_conf session = { .destination = "null",
                                       .location = "",
                                       .spill_dir = dir,
                                       .connection = "tester",
                                       .mode = "sync",
                                       .project = project,
                                       .configuration = sl_bytes_of(configuration),
                                       .log_level = SL_INFO,
                                       .hello_timeout_us = 60 * 1000000,
                                       .sink = &sink };
    struct sl_child *child = NULL;
    struct sl_jail *jail = NULL;
    struct sl_err err = { 0 };
    struct sl_vars vars;

    sl_buf_init(&seen->log, 1u << 20);
    sl_buf_init(&seen->output, 1u << 20);
    assert_int_equal(sl_mkdirs(work, NULL), 0);
    if (sl_env_sdk_path(&sdk, cache, &err))
        fail_msg("%s", err.text);
    read = sl_env_reads(env, &python, sdk, project);
    sl_child_server_vars(&vars, &names);
    if (sl_jail_new(&jail,
                    &(struct sl_jail_conf){ .mode = SL_SANDBOX_BEST,
                                            .name = "sluicetest-sync",
                                            .work = work,
                                            .read = (const char *const *)read,
                                            .uid = CONNECTOR,
                                            .memory = 512u << 20 },
                    &err) ||
        sl_child_start(&child,
                       &(struct sl_child_conf){ .python = env->python,
                                                .sdk_path = sdk,
                                                .venv = env->dir,
                                                .project = project,
                                                .safe_path = python.minor >= 11,
                                                .output = on_output,
                                                .ctx = seen,
                                                .jail = jail,
                                                .vars = &vars },
                       &session.fd, &err))
        fail_msg("%s", err.text);
    if (sl_session_run(&session, res, &err)) {
        sl_child_end(child, SL_CHILD_KILL);
        fail_msg("[%s]\n%s\n%s\n%s\n%s", sl_jail_walls(jail), err.text, sl_child_fate(child),
                 sl_buf_str(&seen->log), sl_buf_str(&seen->output));
    }
    sl_child_end(child, SL_CHILD_WAIT);
    sl_child_free(child);
    if (geteuid() == 0)
        assert_true(sl_jail_peak(jail) > 1000000);
    sl_jail_free(jail);
    sl_vars_free(&vars);
    sl_names_free(read);
    free(sdk);
    free(work);
}

static void
test_connector(void **state)
{
    struct sl_session_result res = { 0 };
    struct sl_env env = { 0 };
    struct sl_err err = { 0 };
    struct seen seen;

    (void)state;
    setenv("SLUICE_INSTALLER", "any", 1);
    package("tinything", "");
    rig_put(project, "requirements.txt", "tinything==1.0\n");
    rig_put(project, "helper.py", "NAME = 'things'\n");
    rig_put(
        project, "connector.py",
        "import os, ssl, tinything, helper\n"
        "from fivetran_connector_sdk import Connector, Logging as log, Operations as op\n"
        "def update(configuration, state):\n"
        "    log.warning('%s %s %s %s' % (configuration['a'], "
        "os.environ['FIVETRAN_CONNECTION_ID'],\n"
        "        os.environ['FIVETRAN_DEPLOYMENT_MODEL'], 'SLUICE_SECRET' in os.environ))\n"
        "    try: open(__file__, 'a')\n"
        "    except OSError: log.warning('its own code is read-only')\n"
        "    for i in range(1000): op.upsert(helper.NAME, {'id': i, 'value': tinything.VALUE})\n"
        "    op.checkpoint({'n': 1})\n"
        "connector = Connector(update=update)\n");
    if (ensure(&env, (struct sl_env_conf){ 0 }, NULL, &err))
        fail_msg("%s", err.text);
    run_connector(&env, "{\"a\": \"configured\"}", &seen, &res);
    assert_int_equal(res.counts.upserts, 1000);
    assert_non_null(strstr(sl_buf_str(&seen.log), "configured my_id self_hosted False\n"));
    assert_non_null(strstr(seen.log.ptr, "its own code is read-only\n"));
    sl_session_result_free(&res);
    sl_buf_free(&seen.log);
    sl_buf_free(&seen.output);
    sl_env_free(&env);
}

/* The tutorial as it stands, with cryptography from the index: a wheel with compiled code. */
static void
test_tutorial(void **state)
{
    static const char *const files[] = { "connector.py", "requirements.txt", "configuration.json" };
    const char *source = getenv("SLUICE_EXAMPLES");
    struct sl_session_result res = { 0 };
    struct sl_env env = { 0 };
    struct sl_err err = { 0 };
    char *configuration = NULL;
    struct seen seen;

    (void)state;
    if (source == NULL) {
        print_message("SLUICE_EXAMPLES is not set: meson test does\n");
        skip();
    }
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        char *path = sl_sprintf("%s/tutorial/%s", source, files[i]);
        struct sl_buf text;

        sl_buf_init(&text, 1u << 20);
        assert_int_equal(sl_file_read(path, &text, NULL), SL_OK);
        rig_put(project, files[i], sl_buf_str(&text));
        free(configuration);
        configuration = sl_strdup(sl_buf_str(&text));
        sl_buf_free(&text);
        free(path);
    }
    unsetenv("PIP_NO_INDEX");
    unsetenv("PIP_FIND_LINKS");
    setenv("SLUICE_INSTALLER", "any", 1);
    if (ensure(&env, (struct sl_env_conf){ 0 }, NULL, &err))
        fail_with_log(&err);
    run_connector(&env, configuration, &seen, &res);
    assert_int_equal(res.counts.upserts, 1);
    assert_non_null(strstr(sl_buf_str(&seen.log), "Example: QuickStart Examples - Configuration"));
    sl_session_result_free(&res);
    sl_buf_free(&seen.log);
    sl_buf_free(&seen.output);
    sl_env_free(&env);
    free(configuration);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_wheel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_wheel_uv, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_uv, setup, teardown),
        cmocka_unit_test_setup_teardown(test_build_that_hangs, setup, teardown),
        cmocka_unit_test_setup_teardown(test_errors_are_explained, setup, teardown),
        cmocka_unit_test_setup_teardown(test_password_of_the_index, setup, teardown),
        cmocka_unit_test_setup_teardown(test_drivers, setup, teardown),
        cmocka_unit_test_setup_teardown(test_threads, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connector, setup, teardown),
        cmocka_unit_test_setup_teardown(test_tutorial, setup, teardown),
    };
    const struct CMUnitTest again[] = {
        cmocka_unit_test_setup_teardown(test_wheel, setup, teardown),
        cmocka_unit_test_setup_teardown(test_connector, setup, teardown),
    };
    int failed;

    if (argc > 1) {
        failed = find_python() ? cmocka_run_group_tests(again, NULL, NULL) : 0;
        if (python.path == NULL)
            printf("skipped: no Python with pip for this user\n");
        sl_python_free(&python);
        return failed;
    }
    failed = cmocka_run_group_tests(tests, NULL, NULL);
    sl_python_free(&python);
    if (geteuid() != 0)
        return failed;
    printf("two of them as an ordinary user:\n");
    return rig_fails_as_ordinary(argv[0]) || failed;
}
