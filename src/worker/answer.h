/* answer.h - looks into a warehouse for sl_engines_inspect(), in the engine process that holds its file. */
#ifndef SL_WORKER_ANSWER_H
#define SL_WORKER_ANSWER_H

#include "base/err.h"

#include <jansson.h>

/* request: what sl_engines_inspect() takes, with "location" and "memory_limit" beside it. *answer: a new reference. */
SL_MUST_CHECK sl_rc sl_answer(const json_t *request, json_t **answer, struct sl_err *err);

#endif
