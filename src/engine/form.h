/* form.h - asks a connector for its configuration form, and has it run tests of it. No destination is opened; schema() and update()
 * do not run.
 *
 * Threads: one per session, which waits for the connector.
 */
#ifndef SL_ENGINE_FORM_H
#define SL_ENGINE_FORM_H

#include "engine/session.h"

#include <jansson.h>

struct sl_form_conf {
    int fd;                        /* the connector's socket; closed at the end */
    struct sl_bytes configuration; /* JSON object of strings, given to the tests */
    const json_t *tests;           /* array of names: run these; NULL: none */
    const char *project;           /* as in sl_session_conf */
    enum sl_level log_level;
    int64_t timeout_us;         /* for all of it; 0: 5 min */
    const struct sl_sink *sink; /* its `log`; may be NULL */
    atomic_int *stop;           /* not 0: give up; may be NULL */
};

struct sl_form_result {
    json_t *form; /* model/form.h; NULL unless it went well */
    json_t *
        results; /* [{"name", "passed", "message"}]: message null when it passed; in the order they ran */
    struct sl_failure failure; /* set when rc is SL_E_CONNECTOR */
};

/* SL_E_CONNECTOR: connector.py or its form failed, as in a sync. SL_E_CONFIG: the form is none (model/form.h). */
SL_MUST_CHECK sl_rc sl_form_run(const struct sl_form_conf *conf, struct sl_form_result *res,
                                struct sl_err *err);
void sl_form_result_free(struct sl_form_result *res);

#endif
