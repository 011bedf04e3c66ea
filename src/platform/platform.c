#include "platform/platform.h"

#include "base/time.h"
#include "platform/ids.h"
#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define LOCK_NAME "server.lock"

/* ---- the directory ---- */

static sl_rc
make_dir(const char *dir, char **absolute, struct sl_err *err)
{
    struct stat st;
    sl_rc rc = sl_mkdirs(dir, err);

    *absolute = NULL;
    if (rc)
        return rc;
    *absolute = sl_path_real(dir);
    if (*absolute == NULL || stat(*absolute, &st) != 0)
        return sl_fail_errno(err, "cannot open the data directory %s", dir);
    if (st.st_uid != geteuid()) {
        rc = sl_fail(err, SL_E_PERMISSION, "the data directory %s belongs to another user (uid %u)",
                     *absolute, (unsigned)st.st_uid);
        sl_err_hint(err, "run sluiced as that user, or give it the directory with chown");
        return rc;
    }
    /* It holds the master key and everybody's data. */
    if ((st.st_mode & 077) != 0 && chmod(*absolute, 0700) != 0)
        return sl_fail_errno(err, "cannot restrict access to %s", *absolute);
    return SL_OK;
}

static sl_rc
fail_not_started(const char *dir, struct sl_err *err)
{
    sl_rc rc = sl_fail(err, SL_E_NOT_FOUND, "%s is not a data directory of sluiced", dir);

    sl_err_path(err, "%s", dir);
    sl_err_hint(err,
                "name it with --data DIR or SLUICE_DATA; `sluiced serve --data DIR` makes one");
    return rc;
}

static sl_rc
find_dir(const char *dir, char **absolute, struct sl_err *err)
{
    char *store = sl_path_join(dir, "sluice.db");
    bool there = sl_is_file(store);

    free(store);
    *absolute = there ? sl_path_real(dir) : NULL;
    return *absolute ? SL_OK : fail_not_started(dir, err);
}

/* The PID stands in the file only for people; the lock is the kernel's. */
sl_rc
sl_platform_lock(const char *dir, int *fd, struct sl_err *err)
{
    char *path = sl_path_join(dir, LOCK_NAME), pid[32] = "";
    sl_rc rc = sl_lock_file(path, false, fd, err);
    ssize_t n;

    if (rc == SL_E_LOCKED) {
        int other = open(path, O_RDONLY | O_CLOEXEC);

        n = other >= 0 ? read(other, pid, sizeof pid - 1) : 0;
        pid[n > 0 ? n : 0] = '\0';
        pid[strspn(pid, "0123456789")] = '\0';
        if (other >= 0)
            close(other);
        rc = sl_fail(err, SL_E_LOCKED, "a server is running on %s (process %s)", dir,
                     pid[0] ? pid : "unknown");
        sl_err_hint(err, "stop it first, or use another directory with --data");
    } else if (rc == SL_OK) {
        n = snprintf(pid, sizeof pid, "%ld\n", (long)getpid());
        if (ftruncate(*fd, 0) != 0 || pwrite(*fd, pid, (size_t)n, 0) != n) {
            rc = sl_fail_errno(err, "cannot write %s", path);
            close(*fd);
            *fd = -1;
        }
    }
    free(path);
    return rc;
}

/* Key files that were being written when the process was killed. */
static sl_rc
sweep_key_files(const char *dir, struct sl_err *err)
{
    char **names;
    sl_rc rc = sl_dir_names(dir, &names, err);

    for (int i = 0; rc == SL_OK && names[i] != NULL; i++) {
        size_t n = strlen(names[i]);

        if (strncmp(names[i], "secret.key.", 11) == 0 && n > 4 &&
            strcmp(names[i] + n - 4, ".tmp") == 0) {
            char *path = sl_path_join(dir, names[i]);

            rc = sl_remove_tree(path, err);
            free(path);
        }
    }
    sl_names_free(names);
    return rc;
}

/* ---- opening ---- */

static sl_rc
read_account(struct sl_platform *p, bool *there, struct sl_err *err)
{
    char *id = NULL, *name = NULL;
    sl_rc rc = sl_store_meta(p->store, "account_id", &id, err);

    if (rc == SL_OK)
        rc = sl_store_meta(p->store, "account_name", &name, err);
    *there = id != NULL;
    snprintf(p->account_id, sizeof p->account_id, "%s", id ? id : "");
    snprintf(p->account_name, sizeof p->account_name, "%s", name ? name : "");
    free(id);
    free(name);
    return rc;
}

static sl_rc
open_parts(struct sl_platform *p, const char *dir, bool serving, const char *key_command,
           struct sl_err *err)
{
    bool there;
    sl_rc rc = serving ? make_dir(dir, &p->dir, err) : find_dir(dir, &p->dir, err);

    if (rc == SL_OK && serving)
        rc = sl_platform_lock(p->dir, &p->lock_fd, err);
    if (rc == SL_OK && serving)
        rc = sweep_key_files(p->dir, err);
    if (rc == SL_OK)
        rc = sl_store_open(&p->store, p->dir, err);
    if (rc == SL_OK)
        rc = read_account(p, &there, err);
    if (rc == SL_OK && !serving && !there)
        rc = fail_not_started(p->dir, err);
    if (rc == SL_OK)
        rc = sl_vault_open(&p->vault, p->store, p->dir, key_command, err);
    if (rc)
        return rc;
    sl_keys_new(&p->keys, p->store, p->vault);
    if (serving)
        rc = sl_packages_open(&p->packages, p->store, p->dir, err);
    if (rc == SL_OK && serving)
        rc = sl_logs_open(&p->logs, p->dir, 0, err);
    return rc;
}

sl_rc
sl_platform_store(struct sl_store **out, const char *dir, struct sl_err *err)
{
    char *absolute, *account = NULL;
    sl_rc rc;

    umask(077);
    *out = NULL;
    rc = find_dir(dir, &absolute, err);
    if (rc == SL_OK)
        rc = sl_store_open(out, absolute, err);
    if (rc == SL_OK)
        rc = sl_store_meta(*out, "account_id", &account, err);
    if (rc == SL_OK && account == NULL)
        rc = fail_not_started(dir, err);
    if (rc) {
        sl_store_close(*out);
        *out = NULL;
    }
    free(account);
    free(absolute);
    return rc;
}

sl_rc
sl_platform_open(struct sl_platform **out, const char *dir, bool serving, const char *key_command,
                 struct sl_err *err)
{
    struct sl_platform *p = sl_zalloc(1, sizeof *p);
    sl_rc rc;

    umask(077);
    p->lock_fd = -1;
    rc = open_parts(p, dir, serving, key_command, err);
    if (rc) {
        sl_platform_close(p);
        p = NULL;
    }
    *out = p;
    return rc;
}

void
sl_platform_close(struct sl_platform *p)
{
    if (p == NULL)
        return;
    sl_logs_close(p->logs);
    sl_packages_close(p->packages);
    sl_keys_free(p->keys);
    sl_vault_close(p->vault);
    sl_store_close(p->store);
    if (p->lock_fd >= 0)
        close(p->lock_fd);
    free(p->dir);
    free(p);
}

/* ---- the first start ---- */

static sl_rc
put_owner(struct sl_platform *p, int64_t now, char **id, struct sl_err *err)
{
    struct sl_user user = {
        .email = (char *)"owner@localhost",
        .given_name = (char *)"Owner",
        .family_name = (char *)"",
        .role = (char *)"admin",
        .created_at = now,
        .active = true,
    };
    sl_rc rc = sl_new_id(p->store, SL_K_USER, &user.id, err);

    if (rc == SL_OK)
        rc = sl_store_put(p->store, SL_K_USER, &user, err);
    *id = user.id;
    return rc;
}

static sl_rc
seal_config(struct sl_platform *p, const char *group_id, char **sealed, struct sl_err *err)
{
    char *owner = sl_sprintf("destination:%s", group_id);
    char *path = sl_path_join(p->dir, "warehouse.db");
    json_t *config = json_pack("{s:s}", "path", path);
    char *text = config ? json_dumps(config, JSON_COMPACT) : NULL;
    sl_rc rc;

    if (text == NULL)
        rc = sl_fail(err, SL_E_CONFIG, "the path of the data directory is not UTF-8 text");
    else
        rc = sl_vault_seal(p->vault, owner, sl_bytes_of(text), sealed, err);
    free(text);
    json_decref(config);
    free(path);
    free(owner);
    return rc;
}

static sl_rc
put_warehouse(struct sl_platform *p, int64_t now, struct sl_err *err)
{
    struct sl_group group = { .name = (char *)"warehouse", .created_at = now };
    struct sl_destination dest = {
        .service = (char *)"duckdb",
        .region = (char *)"LOCAL",
        .time_zone_offset = (char *)"0",
        .setup_status = (char *)"connected",
        .created_at = now,
    };
    sl_rc rc = sl_new_id(p->store, SL_K_GROUP, &group.id, err);

    if (rc == SL_OK)
        rc = sl_store_put(p->store, SL_K_GROUP, &group, err);
    dest.id = group.id;
    if (rc == SL_OK)
        rc = seal_config(p, group.id, &dest.config, err);
    if (rc == SL_OK)
        rc = sl_store_put(p->store, SL_K_DESTINATION, &dest, err);
    free(dest.config);
    free(group.id);
    return rc;
}

static sl_rc
put_account(struct sl_platform *p, struct sl_err *err)
{
    char *id = sl_new_words(), host[sizeof p->account_name] = "";
    sl_rc rc;

    snprintf(p->account_id, sizeof p->account_id, "%s", id);
    free(id);
    if (gethostname(host, sizeof host - 1) != 0 || host[0] == '\0')
        snprintf(host, sizeof host, "sluice");
    snprintf(p->account_name, sizeof p->account_name, "%s", host);
    rc = sl_store_set_meta(p->store, "account_id", p->account_id, err);
    if (rc == SL_OK)
        rc = sl_store_set_meta(p->store, "account_name", p->account_name, err);
    return rc;
}

sl_rc
sl_platform_first_start(struct sl_platform *p, bool *first, struct sl_new_key *key,
                        struct sl_err *err)
{
    int64_t now = sl_now_us();
    char *owner = NULL;
    bool there = false;
    sl_rc rc;

    memset(key, 0, sizeof *key);
    *first = false;
    rc = sl_store_begin(p->store, err);
    if (rc)
        return rc;
    rc = read_account(p, &there, err);
    if (rc || there) {
        sl_store_rollback(p->store);
        return rc;
    }
    rc = put_account(p, err);
    if (rc == SL_OK)
        rc = put_owner(p, now, &owner, err);
    if (rc == SL_OK)
        rc = put_warehouse(p, now, err);
    if (rc == SL_OK)
        rc = sl_key_add(p->keys, "first key", SL_ROLE_ADMIN, owner, key, err);
    if (rc == SL_OK)
        rc = sl_audit(p->store, "server", "account.create", "account", p->account_id, NULL, err);
    free(owner);
    if (rc == SL_OK)
        rc = sl_store_commit(p->store, err);
    else
        sl_store_rollback(p->store);
    if (rc)
        sodium_memzero(key, sizeof *key);
    *first = rc == SL_OK;
    return rc;
}

int
sl_zone_hours(struct sl_store *st, const struct sl_connection *c)
{
    struct sl_destination d = { 0 };
    int hours = 0;

    if (c->daily_sync_time == NULL || c->group_id == NULL)
        return 0;
    if (sl_store_get(st, SL_K_DESTINATION, c->group_id, &d, NULL) == SL_OK &&
        d.time_zone_offset != NULL)
        hours = (int)strtol(d.time_zone_offset, NULL, 10);
    sl_record_free(SL_K_DESTINATION, &d);
    return hours;
}

sl_rc
sl_audit(struct sl_store *st, const char *actor, const char *action, const char *kind,
         const char *id, const char *detail, struct sl_err *err)
{
    struct sl_audit a = {
        .id = sl_new_uuid(),
        .created_at = sl_now_us(),
        .actor = (char *)actor,
        .action = (char *)action,
        .subject_kind = (char *)kind,
        .subject_id = (char *)id,
        .detail = (char *)detail,
    };
    sl_rc rc = sl_store_put(st, SL_K_AUDIT, &a, err);

    free(a.id);
    return rc;
}
