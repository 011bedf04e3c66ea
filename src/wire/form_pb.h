/* form_pb.h - a configuration form as a package carries it: configuration_form.pb, a serialised ConfigurationFormResponse of the
 * fivetran_sdk.v2 protocol (docs/protocol.md has its numbers).
 *
 * A codec of its own and not a protobuf library: it is four kinds of messages made of texts, booleans and lists, read from a file
 * that strangers upload.
 */
#ifndef SL_WIRE_FORM_PB_H
#define SL_WIRE_FORM_PB_H

#include "base/buf.h"

#include <jansson.h>

#define SL_FORM_FILE "configuration_form.pb"

/* Reads it into the form of model/form.h, checked; *form is new. No bytes: the form without fields and tests. What it does not
 * know it skips, as protobuf asks. SL_E_CONFIG. */
SL_MUST_CHECK sl_rc sl_form_from_pb(struct sl_bytes pb, json_t **form, struct sl_err *err);
/* Appends the message of a checked form; nothing for an empty one. The same form gives the same bytes. */
void sl_form_to_pb(const json_t *form, struct sl_buf *out);

#endif
