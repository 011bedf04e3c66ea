/* wheel.h - the wheel this server was installed from, made again out of what is installed.
 *
 * The index at /simple/ hands out our own SDK, so that `pip install fivetran-connector-sdk` works against a server. Whoever
 * installed the server need not keep the wheel for that: its RECORD lists every file, with a checksum.
 */
#ifndef SL_API_WHEEL_H
#define SL_API_WHEEL_H

#include "base/err.h"

/* Writes <out_dir>/<name>-<version>-<tags>.whl, durably and under its name only when it is whole; the same installation gives
 * the same bytes. A wheel that is there and not older than the installation is left alone: that costs reading two small files. What only an
 * installer made (bytecode, INSTALLER, …) is left out. It takes some seconds of one core the first time.
 *
 * `package_dir` is the folder fivetran_connector_sdk as installed. Threads: any; the second caller waits for the first.
 * SL_E_NOT_FOUND: not installed from a wheel, as in a source tree. SL_E_CONFIG: a file is not what was installed. */
SL_MUST_CHECK sl_rc sl_wheel_repack(const char *package_dir, const char *out_dir,
                                    struct sl_err *err);

#endif
