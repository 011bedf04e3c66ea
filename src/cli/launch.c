#include "cli/launch.h"

#include "base/time.h"
#include "runtime/env.h"
#include "runtime/prune.h"
#include "runtime/python.h"

#include <stdio.h>

static void
on_say(void *ctx, const char *text)
{
    struct sl_local *loc = ctx;

    sl_console_say(loc->con, SL_INFO, "%s", text);
}

/* The cache has just grown: time to look for what nobody uses. What cannot be removed is tried again next time. */
static void
prune(struct sl_local *loc)
{
    struct sl_pruned pruned;
    struct sl_err ignored;

    if (sl_prune(&pruned, &ignored) == SL_OK && pruned.removed > 0)
        sl_console_say(loc->con, SL_INFO, "removed %d cached environment%s not used for %d days",
                       pruned.removed, pruned.removed == 1 ? "" : "s", SL_PRUNE_DAYS);
}

static void
on_stage(void *ctx, const char *stage)
{
    static char last[120];
    static int64_t start;
    struct sl_local *loc = ctx;
    char line[160];

    if (start == 0)
        start = sl_mono_us();
    if (stage != NULL)
        snprintf(last, sizeof last, "%s", stage);
    snprintf(line, sizeof line, "%s · %.1f s", last, (double)(sl_mono_us() - start) / 1e6);
    sl_console_progress(loc->con, line);
}

/* The environment, then the process: it starts up while the engine opens the destination. */
static sl_rc
start(struct sl_local *loc, const struct sl_launch *launch, const struct sl_python *python,
      struct sl_env *env, struct sl_err *err)
{
    sl_rc rc;

    if (python->minor > SL_PYTHON_NEWEST)
        sl_console_say(loc->con, SL_WARNING, "Python %s is newer than those tested (3.%d to 3.%d)",
                       python->version, SL_PYTHON_OLDEST, SL_PYTHON_NEWEST);
    if (launch->no_isolation)
        return sl_local_start_child(loc, python->path, NULL, python->minor >= 11, err);
    rc = sl_env_ensure(env,
                       &(struct sl_env_conf){ .project = loc->pro.dir,
                                              .python = python,
                                              .refresh = launch->refresh,
                                              .stop = launch->stop,
                                              .say = on_say,
                                              .progress = on_stage,
                                              .ctx = loc },
                       err);
    sl_console_progress(loc->con, NULL);
    if (rc == SL_OK && env->made)
        prune(loc);
    return rc ? rc : sl_local_start_child(loc, env->python, env->dir, python->minor >= 11, err);
}

sl_rc
sl_launch(struct sl_local *loc, const struct sl_launch *launch, struct sl_err *err)
{
    struct sl_python python = { 0 };
    struct sl_env env = { 0 };
    sl_rc rc = sl_python_find(&python, launch->python, err);

    if (rc == SL_OK)
        rc = start(loc, launch, &python, &env, err);
    sl_python_free(&python);
    sl_env_free(&env);
    return rc;
}
