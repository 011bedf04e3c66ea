/* form.h - the configuration form of a project on this machine: its connector runs in its environment and is asked. */
#ifndef SL_CLI_FORM_H
#define SL_CLI_FORM_H

#include "cli/launch.h"
#include "runtime/package.h"

#include <jansson.h>

struct sl_form_ask {
    const char *project;         /* its folder */
    const json_t *configuration; /* for the tests, and hidden in what is shown; NULL: none */
    const json_t *tests;         /* array of names to run; NULL: none */
    const json_t *form; /* as it was asked before: its passwords are hidden; NULL: not yet */
    struct sl_launch launch;
};

/* *form is new (model/form.h), and *results (engine/form.h; redacted), which may be NULL. What the connector and the installer say goes to
 * the console. An error has been explained there; its text is the reason in one line. */
SL_MUST_CHECK sl_rc sl_form_ask(const struct sl_form_ask *ask, json_t **form, json_t **results,
                                struct sl_err *err);

/* For sl_package_make(): a maker whose ctx is one of these. The form stays in it, for the caller to release; NULL: none was asked for. */
struct sl_form_packing {
    struct sl_form_ask ask;
    json_t *form;
};
SL_MUST_CHECK sl_rc sl_form_pack(void *packing, struct sl_buf *pb, struct sl_err *err);

#endif
