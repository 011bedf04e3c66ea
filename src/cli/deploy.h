/* deploy.h - the steps of `fivetran deploy` on the server: find the destination and the connection, upload, create or change.
 *
 * cmd_deploy.c reads what was given and tells how it ended; what is asked of the server, in which order, is here.
 */
#ifndef SL_CLI_DEPLOY_H
#define SL_CLI_DEPLOY_H

#include "cli/remote.h"
#include "engine/session.h"
#include "runtime/project.h"

struct sl_deploy {
    const struct sl_args *args;
    struct sl_project pro;
    struct sl_remote rem;

    /* Given. */
    char *destination; /* NULL: the only one there is */
    char *connection;
    const char *configuration_file; /* as shown; NULL: none is sent */
    json_t *configuration;          /* NULL: none is sent */
    bool own_configuration;     /* it is configuration.json of the project, which was not named */
    const char *python_version; /* NULL: not given */
    const char *agent;          /* NULL: not given */
    const char *package_given;  /* --package-id; NULL: the project is uploaded */
    enum sl_naming naming;
    bool naming_given;

    /* Found out. */
    char *group;        /* the destination's id */
    char *id;           /* of the connection; NULL: there is none yet */
    bool existed;       /* it was there before */
    char *package_used; /* the existing connection's; may be NULL */
    char *naming_used;  /* the existing connection's; may be NULL */
    char *package;      /* what it will run */
    bool orphan;        /* the package was uploaded now, and no connection has it yet */
    json_t *form;       /* of the project that was uploaded; NULL: it has none */
    json_t *result;     /* the connection as the server answered */
    bool unchanged;     /* it ran that package already */
};

/* All steps. SL_E_CANCELLED also when the overwrite question was answered with no: then `err` is empty. An uploaded package is removed
 * again when the connection could not be made. */
SL_MUST_CHECK sl_rc sl_deploy_run(struct sl_deploy *dep, struct sl_err *err);
void sl_deploy_free(struct sl_deploy *dep);

/* True for FAILED and JOB_FAILED. */
bool sl_setup_test_failed(const json_t *test);

#endif
