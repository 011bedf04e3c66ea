/* questions.h - a configuration form asked field by field on a terminal. */
#ifndef SL_CLI_QUESTIONS_H
#define SL_CLI_QUESTIONS_H

#include "base/err.h"

#include <jansson.h>

/* Asks for every field whose conditions hold and puts the answers into `values`, an object of strings: what stands there is kept by Enter.
 * Gives only what fits the form. SL_E_CANCELLED after Ctrl-C: then `values` is half done. */
SL_MUST_CHECK sl_rc sl_questions_ask(const json_t *form, json_t *values, struct sl_err *err);
/* One line per field, for those who have no terminal: "  region  one of eu, us (required)". */
void sl_questions_list(const json_t *form);

#endif
