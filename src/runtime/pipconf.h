/* pipconf.h - pip's settings for uv, which does not read them: where packages come from. */
#ifndef SL_RUNTIME_PIPCONF_H
#define SL_RUNTIME_PIPCONF_H

#include "runtime/proc.h"

/* Sets uv's variables from PIP_… variables and pip.conf where uv has no setting of its own. `venv` may be NULL. */
void sl_pipconf_for_uv(struct sl_vars *vars, const char *venv);

/* The same settings of pip's own files and variables, as pip's variables: for a pip that does not see the files. */
void sl_pipconf_for_pip(struct sl_vars *vars);

#endif
