/* form.h - the configuration form of a connector: its fields, and what a configuration must be to fit them.
 *
 * A form is a JSON object, the same wherever it is kept, sent or shown (docs/protocol.md, FORM):
 *   {"fields": [{"name", "label", "kind", "required", "description", "placeholder", "default", "options", "allowed",
 *                "max_bytes", "when"}, …],
 *    "tests": [{"name", "label"}, …]}
 * After sl_form_check() every field has exactly the members it may have, in this order: description, placeholder and default are
 * text or null, options is there for dropdowns, allowed and max_bytes for uploads, `when` is an array of conditions.
 *
 * Threads: any; nothing is kept.
 */
#ifndef SL_MODEL_FORM_H
#define SL_MODEL_FORM_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>

/* As many fields as a configuration may have; the rest are ten times what forms of real connectors have. */
#define SL_FORM_FIELDS 100
#define SL_FORM_TESTS 100
#define SL_FORM_OPTIONS 2000
#define SL_FORM_CONDITIONS 8
/* All of a form, in any of its shapes. */
#define SL_FORM_MAX ((size_t)1 << 20)

/* Checks what a connector or a file said and gives it in the one form; *form is new. SL_E_CONFIG, with the field in err->path. */
SL_MUST_CHECK sl_rc sl_form_check(const json_t *given, json_t **form, struct sl_err *err);

/* A member of a field, an option or a test: its text, "" without. Lent. */
const char *sl_form_text(const json_t *o, const char *member);
/* Whether a field is of this kind: "text", "password", … */
bool sl_form_is(const json_t *field, const char *kind);

/* Whether it has neither fields nor tests: the connector has no form. NULL is empty. */
bool sl_form_empty(const json_t *form);
/* Whether a field of this name is a password or hidden. */
bool sl_form_secret(const json_t *form, const char *name);
/* Whether a field's conditions hold with this configuration. */
bool sl_form_shown(const json_t *field, const json_t *configuration);
/* The label of a test; NULL: there is none of that name. Lent. */
const char *sl_form_test(const json_t *form, const char *name);

/* One value of one field, as a person may give it: a choice of a dropdown, true or false, a file that is not too large. SL_E_CONFIG
 * names the field, and not the value when that may be a secret. */
SL_MUST_CHECK sl_rc sl_form_check_value(const json_t *field, const char *value, struct sl_err *err);
/* All values of a configuration that the form knows; with `whole` also that no required field is without one. Fields that are not
 * shown and keys that are not in the form are left alone. */
SL_MUST_CHECK sl_rc sl_form_check_values(const json_t *form, const json_t *configuration,
                                         bool whole, struct sl_err *err);

#endif
