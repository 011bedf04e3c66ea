/* report.h - the end of a run: counters, what became of the rows, and why it failed. */
#ifndef SL_CLI_REPORT_H
#define SL_CLI_REPORT_H

#include "cli/local.h"

/* Both give the exit code. `res` may be NULL when there was no session. */
int sl_report_success(struct sl_local *loc, const struct sl_session_result *res);
int sl_report_failure(struct sl_local *loc, const struct sl_session_result *res,
                      const struct sl_err *err);

/* What a failure was, told in lines of the console; gives the reason in one line. `f` may be NULL. New memory. */
char *sl_report_reason(struct sl_local *loc, const struct sl_failure *f, const struct sl_err *err);

/* "1,234,567" */
void sl_group_digits(uint64_t n, char out[32]);

#endif
