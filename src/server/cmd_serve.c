/* cmd_serve.c - `sluiced serve`: opens the directory, starts the worker and the HTTP side, waits for a signal. */
#include "base/time.h"
#include "platform/platform.h"
#include "platform/users.h"
#include "runtime/file.h"
#include "runtime/install.h"
#include "server/commands.h"
#include "server/notify.h"
#include "server/server.h"
#include "server/settings.h"

#include <errno.h>
#include <malloc.h>
#include <pthread.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

/* After SIGTERM: syncs have this long to reach a checkpoint, requests to be answered. A second signal ends both at once. */
#define GRACE_US ((int64_t)8 * 1000000)

/* Heaps of the C library. It would make eight per core, each growing to what its busiest moment needed; every sync and request
 * has a thread of its own, which allocates little. */
#define HEAPS 4

struct serve {
    struct sl_settings set;
    struct sl_platform *pf;
    struct sl_worker *worker;
    struct sl_server *server;
    struct sl_new_key key;
    bool first;
};

/* Keys pass through our memory: no core files, nobody may attach. */
static void
protect_memory(void)
{
    struct rlimit none = { 0, 0 };

    setrlimit(RLIMIT_CORE, &none);
    prctl(PR_SET_DUMPABLE, 0);
}

static void
bound_heaps(void)
{
#ifdef M_ARENA_MAX
    mallopt(M_ARENA_MAX, HEAPS);
#endif
}

/* Connections, engines and connectors each hold a few descriptors. */
static void
raise_files(void)
{
    struct rlimit files;

    if (getrlimit(RLIMIT_NOFILE, &files) == 0 && files.rlim_cur < files.rlim_max) {
        files.rlim_cur = files.rlim_max > 65536 ? 65536 : files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
}

/* For every thread to come; the main thread alone takes signals, with sigwait. */
static void
block_signals(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGINT);
    sigaddset(set, SIGTERM);
    sigaddset(set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, set, NULL);
    signal(SIGPIPE, SIG_IGN);
}

static sl_rc
check_duckdb(struct sl_err *err)
{
    const char *lib = sl_install_duckdb();

    if (lib != NULL && access(lib, R_OK) == 0)
        return SL_OK;
    sl_fail(err, SL_E_ENV, "the database library %s is missing: the installation is broken",
            lib ? lib : "libduckdb");
    sl_err_hint(err,
                "install the package again: pip install --force-reinstall fivetran-connector-sdk");
    return SL_E_ENV;
}

/* The worker needs the address for its messages and the HTTP side needs the worker: the address is known once it listens. */
static sl_rc
start(struct serve *s, struct sl_err *err)
{
    struct sl_server_conf conf = {
        .web = { .host = s->set.host,
                 .port = s->set.port,
                 .cert_file = s->set.tls_cert,
                 .key_file = s->set.tls_key,
                 .access_log = s->set.access_log },
        .url = s->set.public_url,
        .wheels_dir = s->set.wheels,
        .warehouse_dirs = (const char *const *)s->set.warehouse_dirs,
    };
    sl_rc rc = check_duckdb(err);

    if (rc == SL_OK)
        rc = sl_platform_open(&s->pf, s->set.data, true, s->set.key_command, err);
    if (rc == SL_OK)
        rc = sl_platform_first_start(s->pf, &s->first, &s->key, err);
    if (rc == SL_OK)
        sl_logs_set_budget(s->pf->logs, s->set.log_budget);
    if (rc == SL_OK)
        rc = sl_worker_start(&s->worker, s->pf, &s->set.worker, err);
    if (rc)
        return rc;
    return sl_server_start(&s->server, s->pf, s->worker, &conf, err);
}

/* Until somebody can log in. */
static void
greet_people(const struct serve *s, const char *url)
{
    bool any = true;

    if (sl_user_any(s->pf->store, &any, NULL) == SL_OK && !any)
        printf("\nThe dashboard is at %s/dashboard. Make its first user:\n"
               "  sluiced user add you@example.com --role admin --data %s\n",
               url, s->pf->dir);
}

static void
greet(const struct serve *s)
{
    static const char *const modes[] = { "off", "best", "require" };
    const char *url = s->set.public_url ? s->set.public_url : sl_server_url(s->server);

    printf("sluiced " SL_VERSION "\n"
           "listening  %s\n"
           "data       %s\n"
           "sandbox    %s\n",
           sl_server_url(s->server), s->pf->dir, modes[s->set.worker.sandbox]);
    if (s->first)
        printf("\nThe first API key, shown this once (sluiced key create makes others):\n"
               "  key      %s\n"
               "  secret   %s\n"
               "  base64   %s\n"
               "\nDeploy a connector from its folder:\n"
               "  fivetran deploy --url %s --api-key %s --destination warehouse "
               "--connection my_connection --configuration configuration.json\n",
               s->key.key, s->key.secret, s->key.base64, url, s->key.base64);
    greet_people(s, url);
    fflush(stdout);
}

/* Stops the worker while requests that wait for it still have their threads; a second signal shortens the wait. */
static void *
hurry(void *arg)
{
    struct serve *s = arg;
    sigset_t set;
    int sig;

    block_signals(&set);
    sigwait(&set, &sig);
    fprintf(stderr, "sluiced: stopping at once\n");
    sl_worker_stop(s->worker, 0);
    return NULL;
}

static void
stop(struct serve *s)
{
    pthread_t thread;
    bool watching = pthread_create(&thread, NULL, hurry, s) == 0;

    sl_worker_stop(s->worker, GRACE_US);
    sl_server_stop(s->server, GRACE_US);
    if (watching) {
        pthread_cancel(thread);
        pthread_join(thread, NULL);
    }
}

int
sl_cmd_serve_run(const struct sl_args *args)
{
    struct serve s = { 0 };
    struct sl_err err = { 0 };
    sigset_t set;
    int sig = 0, code = 0;
    sl_rc rc;

    bound_heaps();
    protect_memory();
    raise_files();
    sl_notify_begin();
    block_signals(&set);
    rc = sl_settings_read(&s.set, args, &err);
    if (rc == SL_OK)
        rc = start(&s, &err);
    if (rc) {
        code = sl_report(&err);
        goto out;
    }
    greet(&s);
    sodium_memzero(&s.key, sizeof s.key);
    sl_notify("READY=1");
    sigwait(&set, &sig);
    fprintf(stderr, "sluiced: stopping (%s)\n", strsignal(sig));
    sl_notify("STOPPING=1");
    stop(&s);
out:
    sl_server_free(s.server);
    sl_worker_free(s.worker);
    sl_platform_close(s.pf);
    sl_settings_free(&s.set);
    return code;
}
