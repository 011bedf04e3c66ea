#include "destinations/duckdb/api.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct sl_duck_api duck;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static struct sl_err failure;

static void
load(void)
{
    const char *path = getenv("SLUICE_DUCKDB_LIB"), *version;
    void *lib, *sym;

    if (path == NULL || *path == '\0')
        path = "libduckdb.so";
    lib = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (lib == NULL) {
        sl_fail(&failure, SL_E_ENV, "the DuckDB library cannot be loaded: %s", dlerror());
        sl_err_hint(&failure,
                    "reinstall the package (pip install --force-reinstall fivetran-connector-sdk); "
                    "`fivetran doctor` shows what is there");
        return;
    }
#define X(f)                                                                                       \
    sym = dlsym(lib, "duckdb_" #f);                                                                \
    if (sym == NULL) {                                                                             \
        sl_fail(&failure, SL_E_ENV,                                                                \
                "%s is not a DuckDB library this version can use: duckdb_" #f " is missing",       \
                path);                                                                             \
        return;                                                                                    \
    }                                                                                              \
    memcpy(&duck.f, &sym, sizeof sym);
    SL_DUCK_FUNCTIONS(X)
#undef X
    version = duck.library_version();
    if (strcmp(version, SL_DUCKDB_VERSION) != 0) {
        sl_fail(&failure, SL_E_ENV, "%s is DuckDB %s; this version works with %s only", path,
                version, SL_DUCKDB_VERSION);
        sl_err_hint(&failure, "files written by another DuckDB may not open again: keep to the "
                              "library in the package");
    }
}

sl_rc
sl_duck_load(struct sl_err *err)
{
    pthread_once(&once, load);
    if (failure.code && err != NULL)
        *err = failure;
    return failure.code;
}
