#include "base/err.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

static const struct {
    sl_rc code;
    const char *name;
    int exit;
} codes[] = {
    { SL_OK, "ok", 0 },
    { SL_E_INTERNAL, "internal", 1 },
    { SL_E_NOMEM, "out_of_memory", 1 },
    { SL_E_IO, "io", 1 },
    { SL_E_DISK_FULL, "disk_full", 1 },
    { SL_E_PERMISSION, "permission", 1 },
    { SL_E_NOT_FOUND, "not_found", 2 },
    { SL_E_LIMIT, "limit", 1 },
    { SL_E_USAGE, "usage", 2 },
    { SL_E_CONFIG, "configuration", 2 },
    { SL_E_ENV, "environment", 3 },
    { SL_E_LOCKED, "locked", 4 },
    { SL_E_UNREACHABLE, "unreachable", 4 },
    { SL_E_PROTOCOL, "protocol", 1 },
    { SL_E_SCHEMA, "schema", 1 },
    { SL_E_DATA, "data", 1 },
    { SL_E_CONNECTOR, "connector", 1 },
    { SL_E_CANCELLED, "cancelled", 130 },
    { SL_E_TIMEOUT, "timeout", 1 },
    { SL_E_DESTINATION, "destination", 1 },
    { SL_E_RETRY, "retry", 1 },
    { SL_E_UNKNOWN, "unknown_commit", 1 },
    { SL_E_STATE, "state", 1 },
};

sl_rc
sl_fail(struct sl_err *err, sl_rc code, const char *fmt, ...)
{
    va_list ap;

    if (err == NULL)
        return code;
    err->code = code;
    err->path[0] = err->hint[0] = '\0';
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    return code;
}

static sl_rc
code_of_errno(int e)
{
    switch (e) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
        return SL_E_DISK_FULL;
    case EACCES:
    case EPERM:
    case EROFS:
        return SL_E_PERMISSION;
    case ENOENT:
        return SL_E_NOT_FOUND;
    case ENOMEM:
        return SL_E_NOMEM;
    default:
        return SL_E_IO;
    }
}

sl_rc
sl_fail_errno(struct sl_err *err, const char *fmt, ...)
{
    int e = errno;
    va_list ap;
    size_t n;

    if (err == NULL)
        return code_of_errno(e);
    err->code = code_of_errno(e);
    err->path[0] = err->hint[0] = '\0';
    va_start(ap, fmt);
    vsnprintf(err->text, sizeof err->text, fmt, ap);
    va_end(ap);
    n = strlen(err->text);
    snprintf(err->text + n, sizeof err->text - n, ": %s", strerror(e));
    if (err->code == SL_E_DISK_FULL)
        sl_err_hint(err, "free some space on this disk and run it again; nothing was lost");
    return err->code;
}

void
sl_err_hint(struct sl_err *err, const char *fmt, ...)
{
    va_list ap;

    if (err == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(err->hint, sizeof err->hint, fmt, ap);
    va_end(ap);
}

void
sl_err_path(struct sl_err *err, const char *fmt, ...)
{
    va_list ap;

    if (err == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(err->path, sizeof err->path, fmt, ap);
    va_end(ap);
}

void
sl_err_wrap(struct sl_err *err, const char *fmt, ...)
{
    char before[sizeof err->text], after[sizeof err->text];
    va_list ap;

    if (err == NULL)
        return;
    va_start(ap, fmt);
    vsnprintf(before, sizeof before, fmt, ap);
    va_end(ap);
    memcpy(after, err->text, sizeof after);
    /* A text cut short here still has its beginning, which names the cause's place. */
    snprintf(err->text, sizeof err->text, "%.400s: %.600s", before, after);
}

const char *
sl_code_name(sl_rc code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].code == code)
            return codes[i].name;
    return "internal";
}

int
sl_exit_code(sl_rc code)
{
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++)
        if (codes[i].code == code)
            return codes[i].exit;
    return 1;
}
