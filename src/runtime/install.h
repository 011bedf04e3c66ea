/* install.h - where this program and its parts are: the package folder, libduckdb, the Python beside it. */
#ifndef SL_RUNTIME_INSTALL_H
#define SL_RUNTIME_INSTALL_H

#include "base/err.h"

/* All lend text that lives as long as the process. NULL when there is none. From any thread. */
const char *sl_install_exe(void);       /* the running program's real path */
const char *sl_install_package(void);   /* folder fivetran_connector_sdk; SLUICE_PACKAGE_DIR wins */
const char *sl_install_duckdb(void);    /* <package>/lib/libduckdb.so; SLUICE_DUCKDB_LIB wins */
const char *sl_install_templates(void); /* <package>/templates */
const char *sl_install_python(void);    /* python3 in the program's own folder (its venv) */
const char *sl_install_version(void);   /* "0.1.0" */

/* The cache of environments: $SLUICE_CACHE, $XDG_CACHE_HOME/sluice, ~/.cache/sluice. NULL when none of
 * the three variables is set: a folder all users may write is no place for programs to run. */
const char *sl_install_cache(void);

#endif
