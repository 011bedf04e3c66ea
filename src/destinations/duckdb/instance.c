#include "destinations/duckdb/instance.h"

#include "base/buf.h"
#include "destinations/duckdb/functions.h"
#include "destinations/duckdb/sql.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* A first load runs at full speed from 64 MB on; joins of a million rows against millions want about this much. What is above
 * spills to disk. Measured: bench/ and docs/decisions/0003-one-merge-plan.md. */
#define DEFAULT_MEMORY ((uint64_t)256 << 20)

/* How long a session waits for another's commit on the same file. */
#define TURN_SECONDS 600

struct sl_instance {
    struct sl_instance *next;
    char *path; /* absolute */
    duckdb_database db;
    uint64_t memory;
    int refs;
    pthread_mutex_t turn;
    atomic_int waiting; /* sessions, for the turn */
};

static pthread_mutex_t all_lock = PTHREAD_MUTEX_INITIALIZER;
static struct sl_instance *all;

/* Settings given at open, so that nothing runs before they hold. */
static duckdb_config
settings(const struct sl_instance_conf *conf, uint64_t memory)
{
    char num[32];
    duckdb_config cfg = NULL;

    duck.create_config(&cfg);
    snprintf(num, sizeof num, "%lluB", (unsigned long long)memory);
    duck.set_config(cfg, "memory_limit", num);
    duck.set_config(cfg, "temp_directory", conf->spill_dir);
    if (conf->block_size) {
        snprintf(num, sizeof num, "%u", conf->block_size);
        duck.set_config(cfg, "default_block_size", num);
    }
    duck.set_config(cfg, "threads", "2");
    /* A commit that writes as much goes to the file at once, not first to the log and then, at the close, to the file. */
    duck.set_config(cfg, "checkpoint_threshold", "4MB");
    /* A row group goes to the file when it is full, not five at a time: a commit has less left to write (same size, same time). */
    duck.set_config(cfg, "write_buffer_row_group_count", "1");
    duck.set_config(cfg, "max_vacuum_tasks", "0"); /* tidy() in duckdb_dest.c turns it on */
    duck.set_config(cfg, "autoinstall_known_extensions", "false");
    duck.set_config(cfg, "autoload_known_extensions", "false");
    return cfg;
}

void
sl_instance_explain_lock(struct sl_err *err, const char *path, const char *text)
{
    const char *in = strstr(text, "held in "), *pid = strstr(text, "(PID ");

    if (in == NULL || pid == NULL || pid < in)
        return;
    in += strlen("held in ");
    sl_fail(err, SL_E_LOCKED, "%s is open in another program: %.*s, PID %d", path,
            (int)(pid - in - (pid > in)), in, (int)strtol(pid + 5, NULL, 10));
    sl_err_hint(
        err, "close it there (DuckDB lets one program at a time have a file) and run this again");
}

static sl_rc
open_file(struct sl_instance *in, const struct sl_instance_conf *conf, struct sl_err *err)
{
    duckdb_config cfg = settings(conf, in->memory);
    duckdb_connection con = NULL;
    char *text = NULL;
    sl_rc rc = 0;

    if (duck.open_ext(in->path, &in->db, cfg, &text) != DuckDBSuccess) {
        rc = sl_duck_fail(err, text, in->path);
        if (rc == SL_E_LOCKED)
            sl_instance_explain_lock(err, in->path, text);
        duck.free(text);
    } else if (duck.connect(in->db, &con) != DuckDBSuccess) {
        rc = sl_fail(err, SL_E_DESTINATION, "%s: no connection", in->path);
    } else {
        rc = sl_duck_functions(con, err);
    }
    if (con != NULL)
        duck.disconnect(&con);
    if (rc && in->db != NULL)
        duck.close(&in->db);
    duck.destroy_config(&cfg);
    return rc;
}

static void
instance_free(struct sl_instance *in)
{
    pthread_mutex_destroy(&in->turn);
    free(in->path);
    free(in);
}

/* The file's path without links, also while it does not exist yet. */
static char *
absolute(const char *path)
{
    char *full = realpath(path, NULL), *dir, *slash;

    if (full != NULL)
        return full;
    dir = sl_strdup(path);
    slash = strrchr(dir, '/');
    if (slash != NULL && slash != dir) {
        *slash = '\0';
        full = realpath(dir, NULL);
    }
    if (full != NULL) {
        char *joined = sl_sprintf("%s/%s", full, slash + 1);

        free(full);
        full = joined;
    } else {
        full = sl_strdup(path);
    }
    free(dir);
    return full;
}

sl_rc
sl_instance_get(struct sl_instance **out, const struct sl_instance_conf *conf, struct sl_err *err)
{
    char *full;
    struct sl_instance *in;
    sl_rc rc = sl_duck_load(err);

    if (rc)
        return rc;
    full = absolute(conf->path);
    pthread_mutex_lock(&all_lock);
    for (in = all; in != NULL && strcmp(in->path, full) != 0;)
        in = in->next;
    if (in != NULL) {
        in->refs++;
        free(full);
    } else {
        in = sl_zalloc(1, sizeof *in);
        in->path = full;
        in->refs = 1;
        in->memory = conf->memory_limit ? conf->memory_limit : DEFAULT_MEMORY;
        pthread_mutex_init(&in->turn, NULL);
        rc = open_file(in, conf, err);
        if (rc) {
            instance_free(in);
        } else {
            in->next = all;
            all = in;
        }
    }
    pthread_mutex_unlock(&all_lock);
    *out = rc ? NULL : in;
    return rc;
}

void
sl_instance_put(struct sl_instance *in)
{
    if (in == NULL)
        return;
    pthread_mutex_lock(&all_lock);
    if (--in->refs == 0) {
        struct sl_instance **p = &all;

        while (*p != in)
            p = &(*p)->next;
        *p = in->next;
        duck.close(&in->db);
        instance_free(in);
    }
    pthread_mutex_unlock(&all_lock);
}

duckdb_database
sl_instance_db(struct sl_instance *in)
{
    return in->db;
}

uint64_t
sl_instance_memory(const struct sl_instance *in)
{
    return in->memory;
}

sl_rc
sl_instance_lock(struct sl_instance *in, struct sl_err *err)
{
    struct timespec until;
    int e;

    clock_gettime(CLOCK_REALTIME, &until);
    until.tv_sec += TURN_SECONDS;
    atomic_fetch_add(&in->waiting, 1);
    e = pthread_mutex_timedlock(&in->turn, &until);
    atomic_fetch_sub(&in->waiting, 1);
    if (e != 0)
        return sl_fail(err, SL_E_TIMEOUT, "another sync has been writing to %s for %d s", in->path,
                       TURN_SECONDS);
    return 0;
}

bool
sl_instance_try_lock(struct sl_instance *in)
{
    return pthread_mutex_trylock(&in->turn) == 0;
}

bool
sl_instance_wanted(struct sl_instance *in)
{
    return atomic_load(&in->waiting) > 0;
}

void
sl_instance_unlock(struct sl_instance *in)
{
    pthread_mutex_unlock(&in->turn);
}
