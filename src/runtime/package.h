/* package.h - the zip of a project: the same files give the same bytes. */
#ifndef SL_RUNTIME_PACKAGE_H
#define SL_RUNTIME_PACKAGE_H

#include "base/buf.h"
#include "base/err.h"

#include <stddef.h>
#include <stdint.h>

struct sl_package {
    char **files; /* NULL-terminated, relative, sorted */
    size_t nfiles;
    size_t patterns; /* .gitignore rules read */
    size_t ignored;  /* files and folders they left out */
    uint64_t size;   /* of the zip */
    char sha256[65];
};

/* Who knows the connector's form. `make` appends configuration_form.pb (wire/form_pb.h); it is called only when some .py of the
 * project says ConfigurationForm: without that word there is no form, the file is empty, and nothing has to run. */
struct sl_form_maker {
    sl_rc (*make)(void *ctx, struct sl_buf *pb, struct sl_err *err);
    void *ctx;
};

/* Writes the zip to `output`. connector.py must be in the root (the caller has checked), a folder drivers needs its
 * installation.sh. A configuration_form.pb of the project is not packed: ours takes its place. */
SL_MUST_CHECK sl_rc sl_package_make(struct sl_package *pkg, const char *project, const char *output,
                                    const struct sl_form_maker *form, struct sl_err *err);
/* The same into a file without a name: *fd, which the caller closes. Nothing is left whatever ends the process. */
SL_MUST_CHECK sl_rc sl_package_make_nameless(struct sl_package *pkg, const char *project, int *fd,
                                             const struct sl_form_maker *form, struct sl_err *err);
void sl_package_free(struct sl_package *pkg);

#endif
