/* options.h - what a destination wants to know of its user: one table per destination, from which the API's validation, the setup
 * form, the masking of secrets and the docs come.
 *
 * Values are a JSON object: texts, integers and booleans under the options' names. A value that came through a form may be the text
 * of a number or boolean. sl_options_complete() checks one and fills in what was left out; what destinations read is complete.
 */
#ifndef SL_DESTINATIONS_OPTIONS_H
#define SL_DESTINATIONS_OPTIONS_H

#include "base/err.h"

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

enum sl_option_kind {
    SL_OPTION_TEXT,
    SL_OPTION_SECRET, /* one line: a password. Sealed, masked, redacted */
    SL_OPTION_INT,
    SL_OPTION_BOOL,
    SL_OPTION_CHOICE,
    SL_OPTION_FILE,       /* the text of a file: a certificate */
    SL_OPTION_SECRET_FILE /* … of a secret one: a private key, a service account's JSON */
};

struct sl_option {
    const char *name; /* "host"; NULL ends the table */
    enum sl_option_kind kind;
    bool required;
    const char *fallback;    /* the default, as text; NULL: none */
    const char *label;       /* "Host" */
    const char *help;        /* one sentence, for form and docs */
    const char *placeholder; /* "db.example.com" */
    const char *choices;     /* of a CHOICE: "disable|require" */
    int64_t least, most;     /* of an INT */
    const char *when; /* "auth=key": asked for, and required, only if that option has that value */
};

/* Longest value: certificates and service accounts are a few kB. */
#define SL_OPTION_MAX 65536
/* What a client sends back of a secret it was shown: "keep what is there". */
#define SL_OPTION_MASK "******"

bool sl_option_is_secret(const struct sl_option *o);
bool sl_option_is_file(const struct sl_option *o);
/* The table's entry, or NULL. `table` may be NULL. */
const struct sl_option *sl_option_find(const struct sl_option *table, const char *name);

/* Checks every value given, and that none is unknown (with `prefix`, as "config.", in front of names in messages). *out, a new
 * reference, has them in their types and the defaults of those left out; with `all` those required must be there. SL_E_CONFIG names
 * the option and what it may be, never the value of a secret. */
SL_MUST_CHECK sl_rc sl_options_check(const struct sl_option *table, const json_t *given, bool all,
                                     const char *prefix, json_t **out, struct sl_err *err);
/* A new object: secrets are SL_OPTION_MASK. */
json_t *sl_options_masked(const struct sl_option *table, const json_t *values);
/* The table as JSON, for forms: a new array of {"name", "kind", "required", …}. */
json_t *sl_options_describe(const struct sl_option *table);

/* Reading a complete object. The text, or NULL if there is none or it is empty; lent. */
const char *sl_option(const json_t *values, const char *name);
int64_t sl_option_int(const json_t *values, const char *name); /* 0 if there is none */
bool sl_option_bool(const json_t *values, const char *name);

/* What a person's destination file says: {"type": "postgres", "schema": "mine", "host": …}. */
struct sl_dest_file {
    const char *type; /* the destination's name, static */
    char *schema;     /* to load into; NULL: not said */
    json_t *values;   /* as sl_options_check() makes them */
};

/* Reads its text. The value of a FILE option may be "@name": the text of that file, relative to `folder`. */
SL_MUST_CHECK sl_rc sl_dest_file_read(struct sl_dest_file *out, const char *text, size_t len,
                                      const char *folder, struct sl_err *err);
void sl_dest_file_free(struct sl_dest_file *file);

#endif
