/* connections.h - what several handlers need of connections. */
#ifndef SL_API_CONNECTIONS_H
#define SL_API_CONNECTIONS_H

#include "http/input.h"

/* In one word for people: "Setup pending", "Paused", "Active", "Syncing", "Rescheduled", "Delayed", "Broken". */
const char *sl_connection_status(const struct sl_connection *con, int64_t now);
/* As clients see it. Light records do. */
json_t *sl_connection_json(struct sl_call *c, const struct sl_connection *con);
/* Answers with it. tests: borrowed, NULL for none; message NULL for none. */
void sl_say_connection(struct sl_call *c, int status, const struct sl_connection *con,
                       json_t *tests, const char *message);

/* Answers with any object (taken) that may have been tested. */
void sl_say_tested(struct sl_call *c, int status, json_t *o, json_t *tests, const char *message);
/* DELETE of a group or destination: refused while it has connections. */
void sl_delete_unused(struct sl_call *c, enum sl_kind kind, const char *noun, const char *action);

/* A transaction with the connection read. False has answered. */
bool sl_begin_connection(struct sl_call *c, const char *id, struct sl_connection *con);
/* The same, and no sync of it runs: a running one is cancelled (60 s at most, else 409). another: one follows at once, for which those
 * who waited for the first now wait. */
bool sl_begin_idle(struct sl_call *c, const char *id, const char *why, bool another,
                   struct sl_connection *con);
/* False has answered 409. */
bool sl_cancel_sync(struct sl_call *c, const char *id, const char *why);

/* "incomplete", "connected", "broken": what clients know. */
const char *sl_setup_state(const struct sl_connection *con);
/* Its setup was never tested: the first sync does that (docs/decisions/0011). Else nothing. */
void sl_setup_by_sync(struct sl_connection *con);
/* Its code or configuration is another, and nobody tests it now: an earlier failure says nothing any more. */
void sl_setup_changed(struct sl_connection *con);

/* Its last sync that ended, for sl_record_free(); zeros without. */
void sl_last_sync(struct sl_call *c, const struct sl_connection *con, struct sl_sync_record *rec);

/* Not paused from now on; due now if it never ran or missed a slot, else at its next slot. */
void sl_unpause(struct sl_call *c, struct sl_connection *con);
void sl_reschedule(struct sl_call *c, struct sl_connection *con);
/* Asks for a run. */
void sl_request(struct sl_call *c, struct sl_connection *con, const char *trigger);
/* What keeps it from running, as a sentence; NULL: nothing. malloc'ed. */
char *sl_setup_missing(const struct sl_connection *con);

/* Another version of its code runs from now on: its record. In a transaction; false has rolled back and answered. */
bool sl_put_deployment(struct sl_call *c, const struct sl_connection *con, const char *sha256,
                       const char *reason);
/* The values that are stored now: a new object. NULL has filled *err. */
json_t *sl_open_secrets(struct sl_call *c, const struct sl_connection *con, struct sl_err *err);
/* The configuration form of its package; new reference. NULL: there is no package, or nobody knows its form yet. */
json_t *sl_connection_form(struct sl_call *c, const struct sl_connection *con);

/* What GET …/form says: the fields with what is stored of them, never a secret. New reference; NULL has filled *err. */
json_t *sl_connection_form_json(struct sl_call *c, const struct sl_connection *con,
                                struct sl_err *err);

/* The setup tests, run now and recorded. New reference: an array. */
json_t *sl_run_tests(struct sl_call *c, const char *id);
/* "3.12" for "3.12" and "3.12.4" if it is here; NULL has answered 400. Lent. given NULL: the newest. */
const char *sl_python_version(struct sl_call *c, const char *given);

/* Member `key` of an options object (struct sl_connection.options). Fields that clients set and get back, which mean nothing here. */

extern const struct sl_input sl_option_inputs[];

#endif
