/* api_state.c - the state of a connection. States are handed through as text: numbers of any size survive. */
#include "api/api.h"
#include "api/connections.h"
#include "base/json.h"
#include "base/time.h"
#include "http/input.h"
#include "runtime/file.h"

#include <stdlib.h>

/* {"state": …}; takes nothing. */
static void
say_state(struct sl_call *c, const char *state)
{
    struct sl_buf data;

    sl_buf_init(&data, 64 * MIB);
    sl_buf_addf(&data, "{\"state\":%s}", state);
    sl_say_raw(c, 200, &data);
}

void
sl_api_state(struct sl_call *c)
{
    struct sl_connection con = { 0 };
    const char *state;

    if (!sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return;
    state = con.state_override != NULL ? con.state_override : con.state;
    if (state != NULL)
        say_state(c, state);
    else
        sl_refuse(c, 400, "IllegalState", "Connection '%s' has no state yet: it has not synced",
                  con.id);
    sl_record_free(SL_K_CONNECTION, &con);
}

/* The next sync begins with it. False has answered. */
static bool
set_state(struct sl_call *c, const char *id, struct sl_bytes state, const char *action,
          json_t *detail)
{
    struct sl_connection con = { 0 };
    bool ok = false;

    if (!sl_begin_connection(c, id, &con)) {
        json_decref(detail);
        return false;
    }
    if (con.running_sync != NULL) {
        sl_call_rollback(c);
        sl_refuse(c, 409, "IllegalState",
                  "Connection '%s' is syncing: its state can be set when it is paused", id);
        json_decref(detail);
        goto out;
    }
    free(con.state_override);
    con.state_override = sl_memdup(state.ptr, state.len);
    ok = true;
    if (!sl_call_put(c, SL_K_CONNECTION, &con)) {
        json_decref(detail);
        ok = false;
    } else {
        ok = sl_call_commit(c, action, SL_K_CONNECTION, id, detail);
    }
out:
    sl_record_free(SL_K_CONNECTION, &con);
    return ok;
}

void
sl_api_state_update(struct sl_call *c)
{
    struct sl_bytes body = { c->req->body.ptr, c->req->body.len }, state = { NULL, 0 };
    char *text;

    if (body.len == 0 || !sl_json_valid(body.ptr, body.len)) {
        sl_refuse(c, 400, "BadRequest", "The body is not valid JSON in UTF-8");
        return;
    }
    if (!sl_raw_member(body, "state", &state) ||
        (state.len == 4 && memcmp(state.ptr, "null", 4) == 0)) {
        const char *first = body.ptr;

        while (strchr(" \n\t\r", *first) != NULL)
            first++;
        if (*first == '{')
            sl_api_state(c); /* absent or null keeps what there is */
        else
            sl_refuse_input(c, "The body must be a JSON object");
        return;
    }
    if (state.ptr[0] != '{') {
        sl_refuse_input(c, "state must be an object");
        return;
    }
    if (!set_state(c, c->args[0], state, "connection.state", NULL))
        return;
    text = sl_memdup(state.ptr, state.len);
    say_state(c, text);
    free(text);
}

/* ---- history ---- */

static void
add_item(struct sl_buf *out, const struct sl_state_record *s)
{
    json_t *head = json_pack("{s:I, s:o, s:o}", "number", (json_int_t)s->seq, "sync_id",
                             sl_json_text(s->sync_id), "created_at", sl_json_time(s->created_at));
    char *text = sl_json_dump(head);

    text[strlen(text) - 1] = '\0'; /* the closing brace */
    sl_buf_addf(out, "%s,\"state\":%s}", text, s->state ? s->state : "{}");
    free(text);
    json_decref(head);
}

void
sl_api_state_history(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_STATE,
                          .where = { { "connection_id", c->args[0] } },
                          .descending = true };
    struct sl_list list = { .kind = SL_K_STATE };
    struct sl_connection con = { 0 };
    struct sl_err err = { 0 };
    struct sl_buf data;
    int64_t limit;

    if (!sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return;
    sl_record_free(SL_K_CONNECTION, &con);
    if (!sl_page_read(c, &q.after_seq, &limit))
        return;
    /* At most 50 are kept; still, states may be large. */
    q.limit = (int)limit + 1;
    if (sl_store_list(c->sv->pf->store, &q, &list, &err)) {
        sl_refuse_err(c, &err);
        return;
    }
    sl_buf_init(&data, (size_t)1 << 30);
    sl_buf_add(&data, "{\"items\":[");
    for (size_t i = 0; i < list.count && i < (size_t)limit; i++) {
        if (i > 0)
            sl_buf_add(&data, ",");
        add_item(&data, SL_ITEM(&list, struct sl_state_record, i));
    }
    sl_buf_add(&data, "]");
    if (list.count > (size_t)limit) {
        json_t *cursor = sl_page_cursor(
            SL_ITEM(&list, struct sl_state_record, (size_t)limit - 1)->seq);

        sl_buf_addf(&data, ",\"next_cursor\":\"%s\"", json_string_value(cursor));
        json_decref(cursor);
    }
    sl_buf_add(&data, "}");
    sl_list_free(&list);
    sl_say_raw(c, 200, &data);
}

void
sl_api_state_restore(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_STATE, .where = { { "connection_id", c->args[0] } } };
    struct sl_list list = { .kind = SL_K_STATE };
    struct sl_connection con = { 0 };
    struct sl_state_record *s = NULL;
    struct sl_err err = { 0 };
    int64_t number = 0;

    if (!sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return;
    sl_record_free(SL_K_CONNECTION, &con);
    if (sl_parse_i64(c->args[1], 1, INT64_MAX, &number)) {
        q.after_seq = number - 1;
        q.limit = 1;
        if (sl_store_list(c->sv->pf->store, &q, &list, &err)) {
            sl_refuse_err(c, &err);
            return;
        }
    }
    if (list.count == 1 && SL_ITEM(&list, struct sl_state_record, 0)->seq == number)
        s = SL_ITEM(&list, struct sl_state_record, 0);
    if (s == NULL || s->state == NULL)
        sl_refuse_missing(c, SL_K_STATE, c->args[1]);
    else if (set_state(c, c->args[0], sl_bytes_of(s->state), "connection.rewind",
                       json_pack("{s:I}", "to", (json_int_t)number)))
        say_state(c, s->state);
    sl_list_free(&list);
}
