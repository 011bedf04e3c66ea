/* answer.h - looks into a warehouse and tests of one, for sl_engines_ask(), in the engine process. */
#ifndef SL_WORKER_ANSWER_H
#define SL_WORKER_ANSWER_H

#include "base/buf.h"

#include <jansson.h>
#include <stdatomic.h>

/* request: what sl_engines_ask() takes, with "destination", "location" and "memory_limit" beside it. options: the destination's, as
 * JSON; ptr NULL: none. *answer: a new reference. */
SL_MUST_CHECK sl_rc sl_answer(const json_t *request, struct sl_bytes options,
                              const atomic_int *stop, json_t **answer, struct sl_err *err);

#endif
