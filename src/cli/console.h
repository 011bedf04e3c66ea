/* console.h - what a run shows: log lines and reports on stdout, one rewritten progress line on a terminal's stderr.
 *
 * Threads: any may write; lines never mix.
 */
#ifndef SL_CLI_CONSOLE_H
#define SL_CLI_CONSOLE_H

#include "base/err.h"
#include "engine/session.h"
#include "runtime/options.h"
#include "runtime/redact.h"

struct sl_console;

struct sl_console *sl_console_new(const struct sl_redact *red);
void sl_console_free(struct sl_console *con); /* NULL is fine */

/* "HH:MM:SS.mmm LEVEL - text" for the connector, "… LEVEL Fivetran-Tester-Process: text" for ours. Redacted. */
void sl_console_log(struct sl_console *con, enum sl_level level, enum sl_origin from,
                    const char *text, size_t len);
void sl_console_say(struct sl_console *con, enum sl_level level, const char *fmt, ...)
    SL_PRINTF(3, 4);
/* The same without redaction: for names, counters and state. */
void sl_console_name(struct sl_console *con, enum sl_level level, const char *fmt, ...)
    SL_PRINTF(3, 4);
/* A block below a line: indented, redacted. */
void sl_console_block(struct sl_console *con, const char *text);
/* Plain text of ours, as it is. */
void sl_console_plain(struct sl_console *con, const char *fmt, ...) SL_PRINTF(2, 3);
/* Output of the connector's process, redacted by the caller. A line of ours after half a line of it gets its own. */
void sl_console_raw(struct sl_console *con, const char *text, size_t len);

/* Replaces the progress line; NULL or "" removes it. Nothing when stderr is no terminal. */
void sl_console_progress(struct sl_console *con, const char *text);
bool sl_console_shows_progress(const struct sl_console *con);

/* "warning: text" on stderr. `ctx` is not used: it fits where a callback is wanted. */
void sl_warn(void *ctx, const char *text);

#endif
