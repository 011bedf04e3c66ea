/* view.h - a file system with nothing in it but what a jail needs: a mount namespace of its own, made of bind mounts on an empty
 * root. What is not listed is not there, also for calls that only ask for names and times; and a folder below one that the jail's
 * user may not enter (/root, a data directory of mode 0700) can be given all the same. Linux 5.12, with CAP_SYS_ADMIN.
 */
#ifndef SL_RUNTIME_VIEW_H
#define SL_RUNTIME_VIEW_H

#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

/* What every program needs of the system: libraries, certificates, name resolution, time zones. NULL-terminated; not
 * all are there. */
extern const char *const sl_view_system[];
extern const char *const sl_view_devices[];

struct sl_view;

/* Asked once per process by trying it in a child. */
bool sl_view_possible(const char **why);

struct sl_view_conf {
    const char *
        work; /* writable; NULL: none. /tmp and /var/tmp are its folder tmp, where no listed path lies below them */
    const char *const *write; /* NULL-terminated, as the next; may be NULL */
    const char *const *read;  /* read-only, also inside `work` */
    uint64_t shm;             /* bytes that /dev/shm, which is new, may hold; 0: 64 MiB */
    unsigned uid; /* /etc/passwd and /etc/group know this one, by the name "connector" */
};

SL_MUST_CHECK sl_rc sl_view_new(struct sl_view **out, const struct sl_view_conf *conf,
                                struct sl_err *err);
/* True when /tmp and /var/tmp are writable in it. */
bool sl_view_has_tmp(const struct sl_view *view);
/* Async-signal-safe, once per process, not after landlock. 0 or errno; *step is then what failed (lent). */
int sl_view_enter(const struct sl_view *view, const char **step);
void sl_view_free(struct sl_view *view); /* NULL is fine */

#endif
