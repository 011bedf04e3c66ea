/* provided.h - packages that connectors find installed elsewhere without listing them.
 *
 * The official runtime always has `requests`, and its published examples import it without naming it in requirements.txt. Such a
 * connector runs here too: what it imports and does not list is added to its environment.
 */
#ifndef SL_RUNTIME_PROVIDED_H
#define SL_RUNTIME_PROVIDED_H

#include "runtime/requirements.h"

/* Adds the provided packages that some .py file of the project imports and the requirements do not name. Returns the names
 * added, separated by ", ", or NULL. New memory. */
char *sl_provided_add(struct sl_requirements *req, const char *project);

#endif
