/* landlock.h - which files a jail may read, which it may write: rules of the kernel that no uid and no link gets around. */
#ifndef SL_RUNTIME_LANDLOCK_H
#define SL_RUNTIME_LANDLOCK_H

#include "base/err.h"

enum sl_access {
    SL_ACCESS_READ,   /* read and execute, with all below */
    SL_ACCESS_WRITE,  /* everything but device nodes, with all below */
    SL_ACCESS_DEVICE, /* read and write the one file */
};

/* Version of the kernel's interface, 0 when there is none; errno says why. */
int sl_landlock_version(void);

/* The four calls in this order; async-signal-safe. */
int sl_landlock_open(int version); /* a ruleset, or -1 with errno */
/* A path that is not there is no error. 0 or errno. */
int sl_landlock_allow(int ruleset, int version, const char *path, enum sl_access access);
/* For this process and all it starts; needs PR_SET_NO_NEW_PRIVS. 0 or errno. */
int sl_landlock_enter(int ruleset);

#endif
