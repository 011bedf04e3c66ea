/* err.h - results and error messages.
 *
 * A function that can fail returns 0 or a negative code from `enum sl_code`. Words go into an optional
 * struct on the caller's stack, so reporting never allocates. Lower layers fill and wrap it; whoever
 * handles the error prints it, once.
 */
#ifndef SL_BASE_ERR_H
#define SL_BASE_ERR_H

#include <stdarg.h>
#include <stddef.h>

#define SL_MUST_CHECK __attribute__((warn_unused_result))
#define SL_PRINTF(f, a) __attribute__((format(printf, f, a)))

typedef int sl_rc;

/* Stable, documented codes (docs/errors.md). The command's exit code follows from them: sl_exit_code(). */
enum sl_code {
    SL_OK = 0,
    SL_E_INTERNAL = -1, /* a bug of ours */
    SL_E_NOMEM = -2,    /* memory or a stated memory limit */
    SL_E_IO = -3,       /* reading or writing failed */
    SL_E_DISK_FULL = -4,
    SL_E_PERMISSION = -5,
    SL_E_NOT_FOUND = -6,
    SL_E_LIMIT = -7,        /* a documented limit was passed */
    SL_E_USAGE = -8,        /* command line */
    SL_E_CONFIG = -9,       /* configuration, state or project file */
    SL_E_ENV = -10,         /* environment or install */
    SL_E_LOCKED = -11,      /* destination held by another process */
    SL_E_UNREACHABLE = -12, /* destination cannot be reached */
    SL_E_PROTOCOL = -13,    /* the other side sent something that is not protocol */
    SL_E_SCHEMA = -14,      /* schema() or a schema change that cannot be done */
    SL_E_DATA = -15,        /* a value that cannot be stored */
    SL_E_CONNECTOR = -16,   /* the connector failed: exception, exit, killed */
    SL_E_CANCELLED = -17,   /* stopped by the user */
    SL_E_TIMEOUT = -18,
    SL_E_DESTINATION = -19, /* the destination refused; not repeatable */
    SL_E_RETRY = -20,       /* the destination refused; worth repeating */
    SL_E_UNKNOWN = -21,     /* a commit whose outcome is not known */
    SL_E_STATE = -22,       /* a state that does not belong to the rows in the warehouse */
};

struct sl_err {
    sl_rc code;
    char path[160];  /* table.column, option or file the code is about; may be empty */
    char text[1024]; /* one sentence: what happened */
    char hint[512];  /* one sentence: what to do; may be empty */
};

/* Fills *err (NULL is fine) and returns code. Overwrites what was there. */
sl_rc sl_fail(struct sl_err *err, sl_rc code, const char *fmt, ...) SL_PRINTF(3, 4);
/* As sl_fail, with strerror(errno) appended and the code chosen from errno (ENOSPC, EACCES, …). */
sl_rc sl_fail_errno(struct sl_err *err, const char *fmt, ...) SL_PRINTF(2, 3);
/* Sets hint or path; return nothing, so that they read as an aside after sl_fail. */
void sl_err_hint(struct sl_err *err, const char *fmt, ...) SL_PRINTF(2, 3);
void sl_err_path(struct sl_err *err, const char *fmt, ...) SL_PRINTF(2, 3);
/* Puts "<context>: " in front of the text. */
void sl_err_wrap(struct sl_err *err, const char *fmt, ...) SL_PRINTF(2, 3);
/* The name of a code, e.g. "disk_full". Static. */
const char *sl_code_name(sl_rc code);
/* The process exit code that belongs to it: 0, 1, 2, 3, 4 or 130. */
int sl_exit_code(sl_rc code);

#endif
