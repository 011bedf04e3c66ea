/* installer.h - one run of uv or pip that fills an environment. */
#ifndef SL_RUNTIME_INSTALLER_H
#define SL_RUNTIME_INSTALLER_H

#include "base/buf.h"
#include "base/err.h"
#include "runtime/jail.h"
#include "runtime/proc.h"
#include "runtime/python.h"
#include "runtime/redact.h"

#include <stdatomic.h>
#include <stdbool.h>

struct sl_installer {
    const struct sl_python *python;
    const char *uv;   /* NULL: pip */
    const char *venv; /* the environment to fill */
    const char *cwd;
    const char *files[3]; /* requirements, constraints, overrides (uv) */
    int log_fd;
    atomic_int *stop;
    int64_t deadline_us; /* monotonic; 0: none */
    void (*progress)(void *ctx, const char *stage);
    void *ctx;
    /* On a server: */
    struct sl_jail *jail;           /* NULL: the user's own environment and rights */
    const char *work;               /* its work folder: HOME */
    const char *cache;              /* folder of the installer's cache */
    bool build;                     /* packages without a wheel are built; else refused */
    const struct sl_redact *redact; /* what its output must not show; may be NULL */
};

/* The output, and what a helper said before, is appended to `out` and the log. */
SL_MUST_CHECK sl_rc sl_installer_run(const struct sl_installer *ins, struct sl_buf *out,
                                     int *status, struct sl_err *err);
/* The environment of a program of the server's that has nothing to do with the server: paths, the operator's index, proxy and certificates.
 * `work` is its HOME. */
void sl_installer_clean_vars(struct sl_vars *vars, const char *work);
/* Passwords in those variables. New; sl_redact_free() ends it. */
struct sl_redact *sl_installer_secrets(void);
/* What the installer must be able to read behind walls: itself, certificates, local indexes. NULL-terminated; sl_names_free() ends it. */
char **sl_installer_reads(const struct sl_installer *ins);

#endif
