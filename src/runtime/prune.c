#include "runtime/prune.h"

#include "base/time.h"
#include "runtime/file.h"
#include "runtime/install.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

void
sl_prune_mark(const char *lock)
{
    /* Only the age in a later clean-up depends on it. */
    if (utimensat(AT_FDCWD, lock, NULL, 0) != 0)
        return;
}

static bool
is_old(const struct stat *st)
{
    return sl_now_us() / 1000000 - (int64_t)st->st_mtime > (int64_t)SL_PRUNE_DAYS * 86400;
}

/* The key of "<key>.lock", by length; 0 for another name. */
static size_t
key_length(const char *name)
{
    const char *dot = strrchr(name, '.');

    return dot != NULL && strcmp(dot, ".lock") == 0 ? (size_t)(dot - name) : 0;
}

/* The environment, what killed installs left of it, and its log. */
static sl_rc
remove_key(const char *dir, char **names, const char *key, size_t n, struct sl_pruned *out,
           struct sl_err *err)
{
    char *log = sl_sprintf("%s/../logs/%.*s.log", dir, (int)n, key);
    char *env = sl_sprintf("%s/%.*s", dir, (int)n, key);
    char *old = sl_sprintf("%s.old-%ld", env, (long)getpid());
    bool there = rename(env, old) == 0; /* first, so that a kill leaves no half environment */
    sl_rc rc = there || errno == ENOENT ? SL_OK : sl_fail_errno(err, "cannot remove %s", env);

    if (rc == SL_OK)
        rc = sl_remove_tree(old, err);
    out->removed += there && rc == SL_OK;
    for (size_t i = 0; names[i] != NULL && rc == SL_OK; i++) {
        char *path = sl_path_join(dir, names[i]);

        if (strncmp(names[i], key, n) == 0 && names[i][n] == '.' && key_length(names[i]) == 0)
            rc = sl_remove_tree(path, err);
        free(path);
    }
    if (rc == SL_OK)
        rc = sl_remove_tree(log, err);
    free(old);
    free(env);
    free(log);
    return rc;
}

static sl_rc
prune_key(const char *dir, char **names, const char *lock_name, struct sl_pruned *out,
          struct sl_err *err)
{
    size_t n = key_length(lock_name);
    char *lock = sl_path_join(dir, lock_name), *env = sl_sprintf("%s/%.*s", dir, (int)n, lock_name);
    bool there = sl_is_dir(env);
    struct stat st;
    int fd = -1;
    sl_rc rc = SL_OK;

    if (stat(lock, &st) != 0 || !is_old(&st)) {
        out->kept += there;
        goto out;
    }
    rc = sl_lock_file(lock, false, &fd, err);
    if (rc == SL_E_LOCKED || (rc == SL_OK && (fstat(fd, &st) != 0 || !is_old(&st)))) {
        out->kept += there;
        rc = SL_OK;
        goto out;
    }
    if (rc == SL_OK)
        rc = remove_key(dir, names, lock_name, n, out, err);
out:
    if (fd >= 0)
        close(fd);
    free(env);
    free(lock);
    return rc;
}

sl_rc
sl_prune(struct sl_pruned *out, struct sl_err *err)
{
    const char *cache = sl_install_cache();
    char *dir = cache ? sl_path_join(cache, "envs") : NULL, **names = NULL;
    sl_rc first = SL_OK;

    *out = (struct sl_pruned){ 0 };
    if (dir != NULL && sl_is_dir(dir))
        first = sl_dir_names(dir, &names, err);
    for (size_t i = 0; names != NULL && names[i] != NULL; i++)
        if (key_length(names[i]) > 0) {
            sl_rc rc = prune_key(dir, names, names[i], out, first ? NULL : err);

            first = first ? first : rc;
        }
    sl_names_free(names);
    free(dir);
    return first;
}
