#include "engine/talk.h"

#include <sodium.h>
#include <stdlib.h>

#define UPGRADE                                                                                    \
    "pip install --upgrade fivetran-connector-sdk, in the environment that runs the connector"

const char *
sl_level_name(enum sl_level level)
{
    static const char *const names[] = { "DEBUG", "FINE",   "INFO",    "WARNING",
                                         "ERROR", "SEVERE", "CRITICAL" };

    return level >= SL_DEBUG && level <= SL_CRITICAL ? names[level - 1] : "INFO";
}

json_t *
sl_talk_parse(const struct sl_frame *f, const char *what, struct sl_err *err)
{
    json_t *root = json_loadb(f->ptr, f->len, JSON_ALLOW_NUL, NULL);

    if (json_is_object(root))
        return root;
    json_decref(root);
    sl_fail(err, SL_E_PROTOCOL, "a %s frame is not a JSON object", what);
    return NULL;
}

/* ---- HELLO and START ---- */

static sl_rc
read_version(const struct sl_talk *talk, const struct sl_frame *hello, int *version,
             struct sl_err *err)
{
    json_t *root = sl_talk_parse(hello, "HELLO", err);
    json_int_t said;

    if (root == NULL)
        return SL_E_PROTOCOL;
    said = json_integer_value(json_object_get(root, "protocol"));
    json_decref(root);
    *version = (int)said;
    if (said < SL_PROTOCOL_OLDEST || said > SL_PROTOCOL)
        sl_fail(err, SL_E_PROTOCOL,
                "the connector's SDK speaks protocol %lld, this engine speaks %d", (long long)said,
                SL_PROTOCOL);
    else if (talk->tests != NULL && said < 2)
        sl_fail(err, SL_E_PROTOCOL, "the connector's SDK is too old for configuration forms");
    else
        return SL_OK;
    sl_err_hint(err, UPGRADE);
    return SL_E_PROTOCOL;
}

static json_t *
start_object(const struct sl_talk *talk, int version)
{
    json_t *configuration = json_loadb(talk->configuration.ptr, talk->configuration.len,
                                       JSON_ALLOW_NUL, NULL),
           *start;

    start = json_pack("{s:i, s:s, s:o, s:i, s:b, s:s?}", "protocol", version, "mode", talk->mode,
                      "configuration", configuration, "log_level", (int)talk->log_level, "durable",
                      (int)talk->durable, "project", talk->project);
    if (start != NULL && talk->tests != NULL)
        json_object_set(start, "tests", (json_t *)(uintptr_t)talk->tests);
    return start;
}

sl_rc
sl_talk_start(const struct sl_talk *talk, const struct sl_frame *hello, struct sl_bytes state,
              struct sl_err *err)
{
    struct sl_bytes parts[3];
    json_t *start;
    uint32_t n;
    char *text;
    int version;
    sl_rc rc = read_version(talk, hello, &version, err);

    if (rc)
        return rc;
    start = start_object(talk, version);
    if (start == NULL)
        return sl_fail(err, SL_E_CONFIG, "the configuration is not a JSON object");
    text = json_dumps(start, JSON_COMPACT);
    json_decref(start);
    n = (uint32_t)strlen(text);
    parts[0] = (struct sl_bytes){ (const char *)&n, sizeof n };
    parts[1] = (struct sl_bytes){ text, n };
    parts[2] = state;
    rc = sl_frame_write(talk->fd, SL_F_START, 0, parts, 3, SL_TALK_SEND_US, err);
    sodium_memzero(text, n);
    free(text);
    return rc;
}

/* ---- what it says ---- */

sl_rc
sl_talk_log(const struct sl_sink *sink, const struct sl_frame *f, struct sl_err *err)
{
    enum sl_level level = (enum sl_level)(f->id & 0xFF);

    if (f->type == SL_F_WARNING)
        level = SL_WARNING;
    else if (level < SL_DEBUG || level > SL_CRITICAL)
        return sl_fail(err, SL_E_PROTOCOL, "a LOG frame with level %u", f->id & 0xFF);
    if (sink->log != NULL)
        sink->log(sink->ctx, level,
                  f->type == SL_F_LOG && f->id & 0x100 ? SL_FROM_SDK : SL_FROM_CONNECTOR, f->ptr,
                  f->len);
    return SL_OK;
}

static char *
field(const json_t *root, const char *key)
{
    const json_t *v = json_object_get(root, key);

    return json_is_string(v) ? sl_memdup(json_string_value(v), json_string_length(v)) : NULL;
}

sl_rc
sl_talk_error(struct sl_failure *fail, const struct sl_frame *f, struct sl_err *err)
{
    json_t *root = sl_talk_parse(f, "ERROR", err), *exit_code;

    if (root == NULL)
        return SL_E_PROTOCOL;
    sl_failure_free(fail);
    fail->phase = field(root, "phase");
    fail->type = field(root, "type");
    fail->message = field(root, "message");
    fail->hint = field(root, "hint");
    fail->file = field(root, "file");
    fail->function = field(root, "function");
    fail->traceback = field(root, "traceback");
    fail->line = (int)json_integer_value(json_object_get(root, "line"));
    fail->by_operation = f->id == 1;
    exit_code = json_object_get(root, "exit");
    fail->has_exit = json_is_integer(exit_code);
    fail->exit_code = (int)json_integer_value(exit_code);
    json_decref(root);
    sl_fail(err, SL_E_CONNECTOR, "%s%s%s", fail->type ? fail->type : "the connector failed",
            fail->message ? ": " : "", fail->message ? fail->message : "");
    if (fail->hint != NULL)
        sl_err_hint(err, "%s", fail->hint);
    return SL_E_CONNECTOR;
}

void
sl_failure_free(struct sl_failure *fail)
{
    free(fail->phase);
    free(fail->type);
    free(fail->message);
    free(fail->hint);
    free(fail->file);
    free(fail->function);
    free(fail->traceback);
    *fail = (struct sl_failure){ 0 };
}
