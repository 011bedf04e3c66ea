/* report.c - a failed session in words, the author's place first. */
#include "base/text.h"
#include "worker/message.h"
#include "worker/running.h"

#include <stdio.h>
#include <stdlib.h>

/* Our folders mean nothing to the author: "<run>/<sync>/code/connector.py" is "connector.py". In place. */
static void
drop_folder(char *text, const char *folder)
{
    size_t n = folder ? strlen(folder) : 0;

    if (n == 0)
        return;
    while ((text = strstr(text, folder)) != NULL) {
        size_t drop = text[n] == '/' ? n + 1 : n;

        memmove(text, text + drop, strlen(text + drop) + 1);
    }
}

/* Redacted; new memory. NULL stays NULL. */
static char *
shown(const struct sl_running *r, const char *text, size_t len)
{
    struct sl_buf out;
    char *copy;

    if (text == NULL)
        return NULL;
    sl_buf_init(&out, (size_t)1 << 30);
    if (r->red != NULL)
        sl_redact_text(r->red, text, len, &out);
    else
        sl_buf_addn(&out, text, len);
    copy = sl_memdup(out.ptr ? out.ptr : "", out.len);
    sl_buf_free(&out);
    drop_folder(copy, r->code);
    return copy;
}

char *
sl_report_text(const struct sl_running *r, const char *text)
{
    return shown(r, text, text ? strlen(text) : 0);
}

static void
put(const struct sl_running *r, json_t *detail, const char *key, const char *text)
{
    char *s = sl_report_text(r, text);

    if (s != NULL && s[0] != '\0')
        json_object_set_new(detail, key, sl_json_text(s));
    free(s);
}

/* "ValueError: Could not find 'my_key' (connector.py:10)". */
static char *
connector_reason(const struct sl_failure *f)
{
    const char *what = f->by_operation ? "op.error" : f->type;
    bool both = what && what[0] && f->message && f->message[0];
    char *place = f->file != NULL && f->line > 0 ? sl_sprintf(" (%s:%d)", f->file, f->line)
                                                 : sl_strdup("");
    char *text = sl_sprintf("%s%s%s%s", what ? what : "", both ? ": " : "",
                            f->message ? f->message : "", place);

    free(place);
    return text;
}

static const char *
connector_hint(const struct sl_running *r, const struct sl_failure *f)
{
    if (f->hint != NULL && f->hint[0] != '\0')
        return f->hint;
    if (f->has_exit)
        return "sys.exit() ends a sync as a failure, whatever its argument; return from update() "
               "to "
               "end it well, raise an exception to say what is wrong";
    if (f->type != NULL && strcmp(f->type, "ModuleNotFoundError") == 0)
        return "add the package to requirements.txt and deploy again";
    if (!f->by_operation && json_object_size(r->configuration) == 0)
        return "the connector got an empty configuration: deploy again with --configuration";
    return NULL;
}

static char *
death_reason(struct sl_running *r, const char **hint)
{
    if (r->out_of_memory) {
        *hint = "yield rows in smaller pieces instead of collecting them, make checkpoints on the "
                "way, or give the connection more memory";
        return sl_sprintf("the connector used more than its %llu MiB of memory",
                          (unsigned long long)((r->con.memory_limit ? (uint64_t)r->con.memory_limit
                                                                    : r->w->conf.memory) >>
                                               20));
    }
    *hint = "its last output is below; os._exit(), a crash in a compiled package and an end by "
            "another program look like this";
    return sl_sprintf("the connector's process %s",
                      r->child ? sl_child_fate(r->child) : "ended without a word");
}

void
sl_report_failed(struct sl_running *r, const struct sl_failure *f, uint64_t discarded,
                 const struct sl_err *err)
{
    bool said = f != NULL && !f->died && (f->message != NULL || f->type != NULL);
    const char *hint = err->hint;
    json_t *detail = json_object();
    char *reason;

    if (err->code == SL_E_CONNECTOR && f != NULL && said) {
        reason = connector_reason(f);
        hint = connector_hint(r, f);
        put(r, detail, "phase", f->phase);
        put(r, detail, "type", f->type);
        put(r, detail, "file", f->file);
        put(r, detail, "function", f->function);
        put(r, detail, "traceback", f->traceback);
        if (f->line)
            json_object_set_new(detail, "line", json_integer(f->line));
    } else if (err->code == SL_E_CONNECTOR || r->out_of_memory) {
        reason = death_reason(r, &hint);
    } else {
        reason = sl_strdup(err->text);
    }
    json_object_set_new(detail, "code", json_string(sl_code_name(err->code)));
    if (err->path[0] != '\0')
        put(r, detail, "path", err->path);
    if (discarded)
        json_object_set_new(detail, "discarded", json_integer((json_int_t)discarded));
    pthread_mutex_lock(&r->tail_lock);
    if (r->tail.len > 0 && !said)
        put(r, detail, "output", sl_buf_str(&r->tail));
    pthread_mutex_unlock(&r->tail_lock);
    free(r->rec.reason);
    free(r->rec.hint);
    free(r->rec.detail);
    r->rec.reason = shown(r, reason, strlen(reason));
    r->rec.hint = shown(r, hint, hint ? strlen(hint) : 0);
    r->rec.detail = json_dumps(detail, JSON_COMPACT);
    json_decref(detail);
    free(reason);
}
