#include "runtime/install.h"

#include "runtime/file.h"

#include <glob.h>
#include <limits.h>
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

const char *
sl_install_exe(void)
{
    static char *exe;

    if (exe == NULL)
        exe = exe_path();
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
    const char *env = getenv("SLUICE_PACKAGE_DIR"), *exe = sl_install_exe();
    char *dir, *found = NULL;

    if (env != NULL && *env != '\0')
        return is_package(env) ? sl_path_real(env) : NULL;
    if (exe == NULL)
        return NULL;
    dir = sl_path_dir(exe);
    for (size_t i = 0; i < sizeof places / sizeof places[0] && found == NULL; i++)
        found = package_at(dir, places[i]);
    free(dir);
    return found;
}

const char *
sl_install_package(void)
{
    static char *dir;

    if (dir == NULL)
        dir = find_package();
    return dir;
}

const char *
sl_install_duckdb(void)
{
    static char *lib;
    const char *env = getenv("SLUICE_DUCKDB_LIB"), *package = sl_install_package();

    if (env != NULL && *env != '\0')
        return env;
    if (lib == NULL && package != NULL)
#ifdef __APPLE__
        lib = sl_path_join(package, "lib/libduckdb.dylib");
#else
        lib = sl_path_join(package, "lib/libduckdb.so");
#endif
    return lib;
}

const char *
sl_install_templates(void)
{
    static char *dir;
    const char *package = sl_install_package();

    if (dir == NULL && package != NULL)
        dir = sl_path_join(package, "templates");
    return dir;
}

const char *
sl_install_python(void)
{
    static char *python;
    static bool looked;
    char *dir;

    if (!looked && sl_install_exe() != NULL) {
        dir = sl_path_dir(sl_install_exe());
        python = sl_path_join(dir, "python3");
        if (access(python, X_OK) != 0) {
            free(python);
            python = NULL;
        }
        free(dir);
    }
    looked = true;
    return python;
}

const char *
sl_install_cache(void)
{
    static char *cache;
    const char *own = getenv("SLUICE_CACHE"), *xdg = getenv("XDG_CACHE_HOME"),
               *home = getenv("HOME");
    char here[PATH_MAX];

    if (cache != NULL)
        return cache;
    if (own != NULL && own[0] == '/')
        cache = sl_strdup(own);
    else if (own != NULL && own[0] != '\0' && getcwd(here, sizeof here) != NULL)
        cache = sl_path_join(here, own);
    else if (xdg != NULL && xdg[0] == '/')
        cache = sl_path_join(xdg, "sluice");
    else if (home != NULL && home[0] == '/')
        cache = sl_path_join(home, ".cache/sluice");
    return cache;
}
