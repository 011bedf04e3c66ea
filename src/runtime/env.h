/* env.h - isolated environments: a venv per set of requirements and Python, kept in the cache.
 *
 * <cache>/envs/<key>/            the environment; meta in sluice.json, whose time of change is the time of making
 * <cache>/envs/<key>.building-*  being made; renamed when complete, so a killed install leaves no half environment
 * <cache>/envs/<key>.lock        held while one is made; its time of change is that of the last use (prune.h)
 * <cache>/logs/<key>.log         what the installer said
 * <cache>/sdk/<hash>/            a folder with nothing but our package, for PYTHONPATH
 *
 * A second run with unchanged requirements costs a few stat() calls. The user's own venv is never written to, and the
 * SDK's name is never resolved from an index: lines naming it are dropped, and a constraint points it nowhere.
 */
#ifndef SL_RUNTIME_ENV_H
#define SL_RUNTIME_ENV_H

#include "base/err.h"
#include "runtime/python.h"
#include "runtime/requirements.h"

#include <stdatomic.h>
#include <stdbool.h>

struct sl_env_conf {
    const char *project;
    const struct sl_python *python;
    bool refresh;     /* make it anew even if it is fresh */
    atomic_int *stop; /* not 0: give up; may be NULL */
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

/* The folder that makes our package, and nothing beside it, importable. New memory. */
SL_MUST_CHECK sl_rc sl_env_sdk_path(char **out, struct sl_err *err);
/* Path of uv (PATH, beside the python), or NULL. New memory. SLUICE_INSTALLER=pip says there is none. */
char *sl_env_uv(const struct sl_python *py);

#endif
