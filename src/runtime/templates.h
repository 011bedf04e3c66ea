/* templates.h - the connectors `fivetran init` begins with: folders of the package, so nothing is downloaded. */
#ifndef SL_RUNTIME_TEMPLATES_H
#define SL_RUNTIME_TEMPLATES_H

#include "base/err.h"

/* Names, sorted, NULL-terminated; sl_names_free(). */
SL_MUST_CHECK sl_rc sl_templates_list(char ***names, struct sl_err *err);
/* First line of the template's README without "#". New memory. */
char *sl_template_title(const char *name);
/* Files of a template, relative; sl_names_free(). SL_E_USAGE when there is no such template. */
SL_MUST_CHECK sl_rc sl_template_files(const char *name, char ***files, struct sl_err *err);
SL_MUST_CHECK sl_rc sl_template_copy(const char *name, const char *file, const char *project,
                                     struct sl_err *err);

#endif
