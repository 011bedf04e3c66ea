/* ask.h - questions on a terminal. */
#ifndef SL_RUNTIME_ASK_H
#define SL_RUNTIME_ASK_H

#include "runtime/options.h"

/* "Question? (Y/n): " on the terminal. `fallback` is the capital letter. --yes answers yes, --non-interactive the
 * fallback; without a terminal and without either it is SL_E_USAGE. */
SL_MUST_CHECK sl_rc sl_ask(const struct sl_args *args, const char *question, bool fallback,
                           bool *yes, struct sl_err *err);

/* Whether a question can be asked: a terminal, and no --non-interactive. The command's table has that option. */
bool sl_can_ask(const struct sl_args *args);
/* One line as it was typed, without its end: may be empty, and as long as the terminal allows. `secret`: not shown.
 * SL_E_CANCELLED at the end of input and after Ctrl-C. New memory. */
SL_MUST_CHECK sl_rc sl_ask_line(const char *prompt, bool secret, char **out, struct sl_err *err);
/* A line of text; an empty one is `fallback` (may be NULL: asked again). `secret`: not shown while it is typed.
 * SL_E_CANCELLED at the end of input and after Ctrl-C. New memory. */
SL_MUST_CHECK sl_rc sl_ask_text(const char *question, const char *fallback, bool secret, char **out,
                                struct sl_err *err);

#endif
