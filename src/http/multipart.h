/* multipart.h - an uploaded file on its way into the package store: a multipart form with exactly one part, `file`.
 *
 * Bytes are handed on as they come; memory does not grow with the file. After the first thing that is wrong the rest is ignored.
 */
#ifndef SL_HTTP_MULTIPART_H
#define SL_HTTP_MULTIPART_H

#include "platform/packages.h"

struct MHD_Connection;
struct sl_multipart;

/* SL_E_USAGE for a request that is no such form. */
SL_MUST_CHECK sl_rc sl_multipart_begin(struct sl_multipart **out, struct sl_packages *packages,
                                       struct MHD_Connection *conn, struct sl_err *err);
void sl_multipart_take(struct sl_multipart *m, const void *ptr, size_t len);
/* Hash, size and the client's name for the file (lent). SL_E_CONFIG, SL_E_LIMIT … when it is not one. */
SL_MUST_CHECK sl_rc sl_multipart_finish(struct sl_multipart *m, char sha256[65], int64_t *size,
                                        const char **file_name, struct sl_err *err);
void sl_multipart_free(struct sl_multipart *m); /* NULL is fine */

#endif
