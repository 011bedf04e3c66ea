/* env.h - isolated environments: a venv per set of requirements and Python, kept in the cache.
 *
 * <cache>/envs/<key>/            the environment; meta in sluice.json, whose time of change is the time of making
 * <cache>/envs/<key>.building-*  being made; renamed when complete, so a killed install leaves no half environment
 * <cache>/envs/<key>.lock        held while one is made; its time of change is that of the last use (prune.h)
 * <cache>/logs/<key>.log         what the installer said
 * <cache>/packages/              on a server: the installers' cache of wheels
 * <cache>/sdk/<hash>/            a folder with nothing but our package, for PYTHONPATH
 *
 * A second run with unchanged requirements costs a few stat() calls. The user's own venv is never written to, and the
 * SDK's name is never resolved from an index: lines naming it are dropped, and a constraint points it nowhere.
 *
 * On a server (`jail`) the installer runs behind walls, with a clean environment: the operator's index, proxy and certificates, nothing
 * else of ours. It takes wheels first, from and into the shared cache: nothing of a package runs then. Only when something has no
 * wheel it is run again, allowed to build, without the shared cache: what a build writes ends in this one environment. The finished
 * environment belongs to us and is read-only for everybody else. A build sees the address of the operator's index with the
 * password in it, if there is one: use one that can only read.
 *
 * Threads: any. Those that want the same environment wait for the one that makes it.
 */
#ifndef SL_RUNTIME_ENV_H
#define SL_RUNTIME_ENV_H

#include "base/err.h"
#include "runtime/jail.h"
#include "runtime/python.h"
#include "runtime/requirements.h"

#include <stdatomic.h>
#include <stdbool.h>

/* An install that takes longer hangs: building pandas from source takes minutes. */
#define SL_ENV_TIMEOUT_US (15LL * 60 * 1000000)

/* The walls around an installer. */
struct sl_env_jail {
    enum sl_sandbox mode;
    const char *name; /* unique among running jails: "install-<id>" */
    unsigned
        uid; /* the installers' own user, when we are root; the same for all installs: the package cache is its */
    uint64_t memory; /* bytes; 0: no limit */
    int processes;   /* 0: as for connectors, which is few for compilers */
};

struct sl_env_conf {
    const char *project;
    const struct sl_python *python;
    const char *cache;              /* folder; NULL: sl_install_cache() */
    bool refresh;                   /* make it anew even if it is fresh */
    atomic_int *stop;               /* not 0: give up; may be NULL */
    int64_t timeout_us;             /* for the whole install; 0: SL_ENV_TIMEOUT_US */
    const struct sl_env_jail *jail; /* NULL: the installer is the user's own and runs as he does */
    bool untrusted;                 /* the project is somebody else's: sl_requirements_check() */
    bool allow_sources; /* the operator allows indexes, addresses and paths in requirements */
    /* The operator allows drivers/installation.sh, which then runs with all our rights before the install; else such a
     * project is refused. Only for untrusted projects: a local run leaves the folder alone. */
    bool allow_drivers;
    /* One line for the user, e.g. "installing 3 requirements …". From the calling thread. */
    void (*say)(void *ctx, const char *text);
    /* What happens just now, at least ten times a second: "uv: Prepared 3 packages". */
    void (*progress)(void *ctx, const char *stage);
    void *ctx;
};

struct sl_env {
    char *dir;    /* the venv */
    char *python; /* its bin/python */
    bool made;    /* not found in the cache */
};

/* SL_E_ENV: text and hint fit one screen; `path` names the log. */
SL_MUST_CHECK sl_rc sl_env_ensure(struct sl_env *env, const struct sl_env_conf *conf,
                                  struct sl_err *err);
void sl_env_free(struct sl_env *env);

/* The folder that makes our package, and nothing beside it, importable. `cache` NULL: sl_install_cache(). New memory. */
SL_MUST_CHECK sl_rc sl_env_sdk_path(char **out, const char *cache, struct sl_err *err);
/* What a connector of this environment must be able to read, for its jail: environment, Python, SDK and project. NULL-terminated;
 * sl_names_free() ends it. */
char **sl_env_reads(const struct sl_env *env, const struct sl_python *py, const char *sdk_path,
                    const char *project);
/* Path of uv (PATH, beside the python), or NULL. New memory. SLUICE_INSTALLER=pip says there is none. */
char *sl_env_uv(const struct sl_python *py);

#endif
