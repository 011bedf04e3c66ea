#include "base/fault.h"

#include "base/buf.h"

#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const names[] = {
#define X(name) #name,
    SL_FAULT_LIST(X)
#undef X
};

const char *
sl_fault_name(int i)
{
    return names[i];
}

#ifdef SL_FAULTS
sl_rc
sl_fault_hit(enum sl_fault point, struct sl_err *err)
{
    static atomic_int visits[SL_FAULT_COUNT];
    const char *spec = getenv("SL_FAULT"), *name = names[point];
    size_t n = strlen(name);
    int nth = 1;

    if (spec == NULL || strncmp(spec, name, n) != 0)
        return 0;
    spec += n;
    if (*spec == ':') {
        char *end;
        nth = (int)strtol(spec + 1, &end, 10);
        spec = end;
    }
    /* Counted only while it is named: a child of a test, forked with the variable set, begins at 1. */
    if (*spec != '=' || atomic_fetch_add(&visits[point], 1) + 1 != nth)
        return 0;
    spec++;
    if (strcmp(spec, "kill") == 0)
        kill(getpid(), SIGKILL);
    if (strcmp(spec, "hang") == 0)
        for (;;)
            pause();
    if (strcmp(spec, "enospc") == 0)
        return sl_fail(err, SL_E_DISK_FULL, "no space left on device (fault %s)", name);
    if (strcmp(spec, "oom") == 0)
        return sl_fail(err, SL_E_NOMEM, "out of memory (fault %s)", name);
    if (strcmp(spec, "eio") == 0)
        return sl_fail(err, SL_E_IO, "input/output error (fault %s)", name);
    return 0;
}
#endif
