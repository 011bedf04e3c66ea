/* packages.h - uploaded code: zips by their hash, and their unpacked folders.
 *
 * <dir>/packages/<sha256>.zip    as uploaded
 * <dir>/packages/<sha256>.form   its configuration form, as JSON (model/form.h); made from the zip when it is not there
 * <dir>/packages/incoming-*      being received; swept at start
 * <dir>/code/<sha256>/           unpacked for running (read-only for connectors); made when first needed, swept when no
 *                                record names it any more
 */
#ifndef SL_PLATFORM_PACKAGES_H
#define SL_PLATFORM_PACKAGES_H

#include "platform/store.h"

#include <jansson.h>

struct sl_packages;

SL_MUST_CHECK sl_rc sl_packages_open(struct sl_packages **out, struct sl_store *st, const char *dir,
                                     struct sl_err *err);
void sl_packages_close(struct sl_packages *p);

/* An upload: bytes are hashed and written as they come; nothing of it is visible before it is complete and checked. */
struct sl_upload;
SL_MUST_CHECK sl_rc sl_upload_begin(struct sl_packages *p, struct sl_upload **out,
                                    struct sl_err *err);
/* SL_E_LIMIT past 200 MB. */
SL_MUST_CHECK sl_rc sl_upload_write(struct sl_upload *up, const void *ptr, size_t len,
                                    struct sl_err *err);
/* Checks the zip (connector.py at its root, sizes, names: runtime/unpack.h) and keeps it, durably. */
SL_MUST_CHECK sl_rc sl_upload_finish(struct sl_upload *up, char sha256[65], int64_t *size,
                                     struct sl_err *err);
void sl_upload_free(struct sl_upload *up); /* NULL is fine; removes what was not finished */

/* Path of the zip; malloc'ed. SL_E_NOT_FOUND. */
SL_MUST_CHECK sl_rc sl_package_zip(struct sl_packages *p, const char *sha256, char **path,
                                   struct sl_err *err);
/* The unpacked folder, made if it is not there (aside, then renamed); malloc'ed. */
SL_MUST_CHECK sl_rc sl_package_code(struct sl_packages *p, const char *sha256, char **path,
                                    struct sl_err *err);
/* Its configuration form; new reference. NULL: the zip does not say whether there is one, and nobody has kept it. */
SL_MUST_CHECK sl_rc sl_package_form(struct sl_packages *p, const char *sha256, json_t **form,
                                    struct sl_err *err);
/* Keeps the form that the connector itself told. */
SL_MUST_CHECK sl_rc sl_package_keep_form(struct sl_packages *p, const char *sha256,
                                         const json_t *form, struct sl_err *err);
/* Removes zips, forms and folders that no package and none of a connection's last 10 deployments name. */
SL_MUST_CHECK sl_rc sl_packages_sweep(struct sl_packages *p, struct sl_err *err);

#endif
