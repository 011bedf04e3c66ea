/* talk.h - what every conversation with a connector has in common: HELLO and START, log lines, its failure. */
#ifndef SL_ENGINE_TALK_H
#define SL_ENGINE_TALK_H

#include "engine/session.h"
#include "wire/frame.h"

#include <jansson.h>

/* A connector that does not read what is sent to it. */
#define SL_TALK_SEND_US ((int64_t)30 * 1000000)

/* What START says. */
struct sl_talk {
    int fd;
    const char *mode;
    struct sl_bytes configuration; /* JSON object */
    const json_t *tests;           /* names of tests to run; NULL: none is said */
    const char *project;           /* may be NULL */
    enum sl_level log_level;
    bool durable;
};

/* Answers HELLO with START, in the connector's version of the protocol. SL_E_PROTOCOL when that is none we speak, or has not what the
 * mode needs. */
SL_MUST_CHECK sl_rc sl_talk_start(const struct sl_talk *talk, const struct sl_frame *hello,
                                  struct sl_bytes state, struct sl_err *err);
/* A LOG or WARNING frame goes to the sink. */
SL_MUST_CHECK sl_rc sl_talk_log(const struct sl_sink *sink, const struct sl_frame *f,
                                struct sl_err *err);
/* An ERROR frame: always an error, SL_E_CONNECTOR with what the connector said in *fail. */
sl_rc sl_talk_error(struct sl_failure *fail, const struct sl_frame *f, struct sl_err *err);
/* The JSON object that a frame is; NULL has reported. New reference. */
json_t *sl_talk_parse(const struct sl_frame *f, const char *what, struct sl_err *err);

#endif
