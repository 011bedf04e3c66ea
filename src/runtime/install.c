#include "runtime/install.h"

#include "runtime/file.h"

#include <glob.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <unistd.h>
#ifdef __APPLE__
#include <mach-o/dyld.h>
#endif

#ifndef SL_VERSION
#define SL_VERSION "0.1.0"
#endif

#define PACKAGE "fivetran_connector_sdk"

const char *
sl_install_version(void)
{
    return SL_VERSION;
}

#ifdef __APPLE__
static char *
exe_path(void)
{
    char raw[PATH_MAX];
    uint32_t n = sizeof raw;

    return _NSGetExecutablePath(raw, &n) == 0 ? sl_path_real(raw) : NULL;
}
#else
static char *
exe_path(void)
{
    return sl_path_real("/proc/self/exe");
}
#endif

static char *exe;

static void
find_exe(void)
{
    exe = exe_path();
}

const char *
sl_install_exe(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, find_exe);
    return exe;
}

static bool
is_package(const char *dir)
{
    char *init = sl_path_join(dir, "__init__.py");
    bool yes = sl_is_file(init);

    free(init);
    return yes;
}

/* First match of a glob pattern under the program's folder that is the package. */
static char *
package_at(const char *exe_dir, const char *pattern)
{
    char *full = sl_path_join(exe_dir, pattern), *found = NULL;
    glob_t g = { 0 };

    if (glob(full, 0, NULL, &g) == 0)
        for (size_t i = 0; i < g.gl_pathc && found == NULL; i++)
            if (is_package(g.gl_pathv[i]))
                found = sl_path_real(g.gl_pathv[i]);
    globfree(&g);
    free(full);
    return found;
}

static char *
find_package(void)
{
    /* In the order of how common they are: a venv, the program inside the package, pip --target, a build tree. */
    static const char *const places[] = {
        "../lib/python3*/site-packages/" PACKAGE,
        "../lib/python3*/dist-packages/" PACKAGE,
        "../../" PACKAGE,
        "../" PACKAGE,
        "../python/" PACKAGE,
        "../../python/" PACKAGE,
    };
    const char *env = getenv("SLUICE_PACKAGE_DIR");
    char *dir, *found = NULL;

    if (env != NULL && *env != '\0')
        return is_package(env) ? sl_path_real(env) : NULL;
    if (sl_install_exe() == NULL)
        return NULL;
    dir = sl_path_dir(sl_install_exe());
    for (size_t i = 0; i < sizeof places / sizeof places[0] && found == NULL; i++)
        found = package_at(dir, places[i]);
    free(dir);
    return found;
}

/* What does not change while we run, looked up once by whichever thread comes first. */
static char *package, *duckdb, *templates, *python, *cache;

static void
find_python(void)
{
    char *dir;

    if (sl_install_exe() == NULL)
        return;
    dir = sl_path_dir(sl_install_exe());
    python = sl_path_join(dir, "python3");
    if (access(python, X_OK) != 0) {
        free(python);
        python = NULL;
    }
    free(dir);
}

static void
find_cache(void)
{
    const char *own = getenv("SLUICE_CACHE"), *xdg = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    char here[PATH_MAX];

    if (own != NULL && own[0] == '/')
        cache = sl_strdup(own);
    else if (own != NULL && own[0] != '\0' && getcwd(here, sizeof here) != NULL)
        cache = sl_path_join(here, own);
    else if (xdg != NULL && xdg[0] == '/')
        cache = sl_path_join(xdg, "sluice");
    else if (home != NULL && home[0] == '/')
        cache = sl_path_join(home, ".cache/sluice");
}

static void
find_parts(void)
{
    const char *lib = getenv("SLUICE_DUCKDB_LIB");

    package = find_package();
    if (lib != NULL && *lib != '\0')
        duckdb = sl_strdup(lib);
    else if (package != NULL)
#ifdef __APPLE__
        duckdb = sl_path_join(package, "lib/libduckdb.dylib");
#else
        duckdb = sl_path_join(package, "lib/libduckdb.so");
#endif
    if (package != NULL)
        templates = sl_path_join(package, "templates");
    find_python();
    find_cache();
}

static void
find_once(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;

    pthread_once(&once, find_parts);
}

const char *
sl_install_package(void)
{
    find_once();
    return package;
}

const char *
sl_install_duckdb(void)
{
    find_once();
    return duckdb;
}

const char *
sl_install_templates(void)
{
    find_once();
    return templates;
}

const char *
sl_install_python(void)
{
    find_once();
    return python;
}

const char *
sl_install_cache(void)
{
    find_once();
    return cache;
}
