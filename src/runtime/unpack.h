/* unpack.h - the zip somebody uploaded: is it what it says, and its files in a folder.
 *
 * Nothing in a zip is believed: sizes are counted while unpacking, checksums compared, and a name that is absolute, leads upwards,
 * means something else on another system or appears twice refuses the whole zip, as do links, devices, encryption and a zip without
 * connector.py in its root. Names that differ in letter case are different files, as on the systems that run connectors.
 *
 * Threads: any.
 */
#ifndef SL_RUNTIME_UNPACK_H
#define SL_RUNTIME_UNPACK_H

#include "base/buf.h"
#include "base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct sl_unpack_limits {
    uint64_t packed;   /* bytes of the zip */
    uint64_t unpacked; /* bytes of all files */
    unsigned files;    /* and folders */
    unsigned depth;    /* parts of a path */
    unsigned path;     /* bytes of a path */
    unsigned
        ratio; /* unpacked to packed, once 1 MiB is unpacked. Deflate cannot do more than 1032; code gets 3 to 10 */
};

/* As documented: 200 MB, 1 GiB, 20,000 files. */
extern const struct sl_unpack_limits sl_unpack_defaults;

/* limits NULL: the defaults. SL_E_CONFIG, or SL_E_LIMIT for one of the limits; `path` is the entry, the hint says what to do. Reads all
 * of it and writes nothing. */
SL_MUST_CHECK sl_rc sl_package_check(const char *zip, const struct sl_unpack_limits *limits,
                                     struct sl_err *err);
/* Checks and unpacks into `dir`, which must not exist and is made; files 0644, or 0755 if executable, folders 0755. On an error `dir`
 * is not there. */
SL_MUST_CHECK sl_rc sl_package_unpack(const char *zip, const char *dir,
                                      const struct sl_unpack_limits *limits, struct sl_err *err);

/* Appends one file of a zip that was checked before; *found tells whether it is there. SL_E_LIMIT past the buffer's ceiling. */
SL_MUST_CHECK sl_rc sl_package_read(const char *zip, const char *name, struct sl_buf *out,
                                    bool *found, struct sl_err *err);

#endif
