/* running.h - the inside of the worker, shared by the files of this folder only. */
#ifndef SL_WORKER_RUNNING_H
#define SL_WORKER_RUNNING_H

#include "engine/form.h"
#include "engine/session.h"
#include "runtime/child.h"
#include "runtime/env.h"
#include "runtime/python.h"
#include "runtime/redact.h"
#include "worker/engines.h"
#include "worker/worker.h"

#include <pthread.h>
#include <stdatomic.h>

/* Users of connectors, when the server runs as root: one per place, so that no two running connectors share one. Below the
 * range systemd takes for its own dynamic users, above what distributions give to people. */
#define SL_UID_FIRST 60200u
#define SL_UID_INSTALLER 60199u
#define SL_PLACES_MAX 200
/* Setup tests run beside the syncs, in places of their own. */
#define SL_SETUP_PLACES 4
/* What is kept of a connector's own output (semantics §6). */
#define SL_TAIL_MAX ((size_t)64 << 10)

enum sl_why {
    SL_WHY_NONE,
    SL_WHY_CANCELLED, /* somebody asked */
    SL_WHY_REPLACED,  /* the same, and another sync follows at once */
    SL_WHY_DEADLINE,
    SL_WHY_SHUTDOWN /* of the server */
};

/* One connector that runs or is about to: a sync, or a setup test. Lives on its thread's stack or as its argument. */
struct sl_running {
    struct sl_running *next;
    struct sl_worker *w;
    bool test;                 /* a setup test: no record, ends after schema() */
    struct sl_connection con;  /* as claimed */
    struct sl_sync_record rec; /* what will be written at the end */
    int place;                 /* its user is SL_UID_FIRST + place */
    /* Under the worker's lock. */
    enum sl_why why;
    char why_text[200];
    int64_t soft_until; /* monotonic; when a soft stop becomes a hard one. 0: no stop was asked */
    int64_t deadline;   /* monotonic; 0: none */
    const char *stage;
    uint64_t rows;
    atomic_int stop; /* 0, 1 softly, 2 at once: looked at by installer, session and child */

    /* Its own thread's. */
    struct sl_redact *red;
    json_t *configuration;
    const json_t *given; /* values on top of the stored ones, for tests of the form; lent */
    json_t *form;        /* the package's; NULL: not known */
    json_t *destination; /* its configuration, opened */
    const char *service; /* the destination's name, static */
    char *work, *code;   /* folders */
    struct sl_python python;
    struct sl_env env;
    struct sl_jail *jail;
    struct sl_child *child;
    int fd;
    pthread_mutex_t tail_lock; /* the child's output comes on another thread */
    struct sl_buf tail;
    struct sl_redact_stream streams[2];
    json_t *catalog; /* as the engine reported it, in the form the store keeps */
    json_t *tables;  /* reports per table */
    char *mirrored;  /* the state this sync has put into the store; NULL: none yet */
    int64_t env_us, mirrored_us;
    int64_t info_minute; /* rate limit of INFO lines */
    unsigned info_lines, info_dropped;
    bool out_of_memory;
    bool set_up; /* schema() has answered: what a setup test would have found out */
};

struct sl_worker {
    struct sl_platform *pf;
    struct sl_worker_conf conf;
    struct sl_engines *engines;
    char *epoch;
    char *sdk_path, *run_dir, *cache_dir, *spill_dir;
    char *jail_prefix; /* of the names of our jails */
    char *pythons[SL_PYTHON_NEWEST - SL_PYTHON_OLDEST + 2];
    pthread_t scheduler;
    bool have_scheduler;
    pthread_mutex_t lock;
    pthread_cond_t wake;    /* the scheduler's: something may be due, ended or be asked to stop */
    pthread_cond_t changed; /* for those who watch or wait for an end */
    bool woken, stopping;
    bool claiming; /* a claim may be in the store whose sync is not among the running ones yet */
    uint64_t version;
    struct sl_running *running;
    int nsyncs; /* syncs among them */
    bool places[SL_PLACES_MAX + SL_SETUP_PLACES];
};

/* scheduler.c */
void *sl_scheduler_main(void *worker);
/* Under the lock: the running one of a connection, or NULL. */
struct sl_running *sl_running_find(struct sl_worker *w, const char *connection_id);
/* Under the lock: asks it to stop; a second reason does not replace the first. */
void sl_running_stop(struct sl_running *r, enum sl_why why, const char *text, int64_t soft_us);
/* Under the lock: something worth showing changed. */
void sl_worker_changed(struct sl_worker *w);
/* Under the lock: waits for that, or until this monotonic time. */
void sl_worker_wait(struct sl_worker *w, int64_t until);

/* sync.c: this sync was cut short by the end of its server: it is due again at once. */
void sl_run_again(struct sl_connection *c, const struct sl_sync_record *rec);
/* sync.c: the thread of one sync; frees `running` at its end. */
void *sl_sync_main(void *running);

/* prepare.c: everything before the session, and the end of all of it. Both a sync and a setup test use them. */
SL_MUST_CHECK sl_rc sl_prepare_configuration(struct sl_running *r, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_prepare_environment(struct sl_running *r, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_prepare_connector(struct sl_running *r, struct sl_err *err);
void sl_running_init(struct sl_running *r, struct sl_worker *w);
/* Forgets the process, its jail and its folder, so that sl_prepare_environment() and sl_prepare_connector() can be called again. */
void sl_running_again(struct sl_running *r);
/* Ends the child (patience by how the session ended), the jail, removes the folder. */
void sl_running_end_child(struct sl_running *r, sl_rc session_rc);
void sl_running_free(struct sl_running *r);
void sl_running_stage(struct sl_running *r, const char *stage);
/* A line into the sync's log, redacted. */
void sl_running_log(struct sl_running *r, enum sl_level level, enum sl_origin from,
                    const char *text, size_t len);
void sl_running_say(struct sl_running *r, enum sl_level level, const char *fmt, ...)
    SL_PRINTF(3, 4);
/* Says how many INFO lines were not kept since it was last said, if any. */
void sl_running_tell_dropped(struct sl_running *r);
/* session.c: fills what both have in common into *conf and runs the session in an engine process. */
SL_MUST_CHECK sl_rc sl_running_session(struct sl_running *r, struct sl_session_conf *conf,
                                       struct sl_session_result *res, struct sl_err *err);

/* form.c: starts the connector once, asks for its form and runs tests of it (names; NULL: none). The environment is prepared. */
SL_MUST_CHECK sl_rc sl_running_form(struct sl_running *r, const json_t *names,
                                    struct sl_form_result *res, struct sl_err *err);
/* form.c: r->form if the package did not say it: asked once and kept. The environment is prepared, before and after. */
SL_MUST_CHECK sl_rc sl_running_know_form(struct sl_running *r, struct sl_form_result *res,
                                         struct sl_err *err);

/* setup.c: enters the list of running ones when there is a free place for tests, so that deadlines and the server's end reach it. */
SL_MUST_CHECK sl_rc sl_running_enter(struct sl_running *r, struct sl_err *err);

/* sync.c: the store's copy of a committed state. Called by the session's sink. */
SL_MUST_CHECK sl_rc sl_running_committed(struct sl_running *r, const char *state, size_t len,
                                         struct sl_err *err);
/* Under no lock: takes it off the list and gives its place back. */
void sl_running_leave(struct sl_running *r);

/* report.c: what a session came to, in words and records. */
/* reason, hint, detail of the record from a failure; redacted. */
void sl_report_failed(struct sl_running *r, const struct sl_failure *fail, uint64_t discarded,
                      const struct sl_err *err);
/* As people may see it: redacted, without our folders. New memory; NULL stays NULL. */
char *sl_report_text(const struct sl_running *r, const char *text);

#endif
