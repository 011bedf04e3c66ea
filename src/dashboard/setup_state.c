/* setup_state.c - the state of a connection, and the way back to an earlier one. */
#include "api/api.h"
#include "dashboard/setup.h"
#include "worker/message.h"

#include <stdlib.h>

/* Of a state, on the page; the API has it whole. */
#define SHOWN ((size_t)64 << 10)
#define CHECKPOINTS 50 /* as many as are kept */

/* ---- the model ---- */

/* Without the states themselves: fifty of them may be large. */
static json_t *
history(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_STATE,
                          .where = { { "connection_id", c->args[0] } },
                          .descending = true,
                          .light = true,
                          .limit = CHECKPOINTS };
    struct sl_list list = { .kind = SL_K_STATE };
    json_t *items = json_array();

    if (sl_store_list(c->sv->pf->store, &q, &list, NULL) == SL_OK) {
        for (size_t i = 0; i < list.count; i++) {
            const struct sl_state_record *s = SL_ITEM(&list, struct sl_state_record, i);

            json_array_append_new(items, json_pack("{s:I, s:o, s:o}", "number", (json_int_t)s->seq,
                                                   "sync_id", sl_json_text(s->sync_id),
                                                   "created_at", sl_json_time(s->created_at)));
        }
    }
    sl_list_free(&list);
    return items;
}

json_t *
sl_setup_state_model(struct sl_call *c, const struct sl_connection *con)
{
    const char *state = con->state_override != NULL ? con->state_override : con->state;

    return json_pack("{s:o, s:b, s:o}", "text", sl_json_text(state), "set_by_hand",
                     (int)(con->state_override != NULL), "history", history(c));
}

/* ---- valid JSON, one member a line; as text: numbers of any size survive ---- */

static void
new_line(struct sl_buf *out, int depth)
{
    sl_buf_addf(out, "\n%*s", 2 * depth, "");
}

static const char *
put_string(struct sl_buf *out, const char *p)
{
    const char *from = p++;

    while (*p != '\0' && *p != '"')
        p += *p == '\\' && p[1] != '\0' ? 2 : 1;
    p += *p == '"';
    sl_buf_addn(out, from, (size_t)(p - from));
    return p;
}

static void
pretty(struct sl_buf *out, const char *p)
{
    int depth = 0;

    while (*p != '\0' && out->len < SHOWN) {
        if (*p == '"') {
            p = put_string(out, p);
            continue;
        }
        if (*p == '}' || *p == ']')
            new_line(out, --depth);
        if (strchr(" \t\r\n", *p) == NULL)
            sl_buf_addn(out, p, 1);
        if (*p == ':')
            sl_buf_add(out, " ");
        if ((*p == '{' || *p == '[') && (p[1] == '}' || p[1] == ']'))
            sl_buf_addn(out, ++p, 1);
        else if (*p == '{' || *p == '[')
            new_line(out, ++depth);
        else if (*p == ',')
            new_line(out, depth);
        p++;
    }
    if (*p != '\0')
        sl_buf_add(out, "\n…");
}

/* ---- the view ---- */

static void
view_text(struct sl_view *v)
{
    const char *text = sl_at_text(v->m, "tab.state.text");
    struct sl_buf out;

    if (text[0] == '\0') {
        sl_html(v->h, "<p class=\"dim\">It has none yet: the first sync starts from {}.</p>");
        return;
    }
    if (sl_at_true(v->m, "tab.state.set_by_hand"))
        sl_html(v->h, "<p>Set by hand: the next sync starts from it.</p>");
    sl_buf_init(&out, SHOWN + ((size_t)17 << 20)); /* one string may be as long as a state */
    pretty(&out, text);
    sl_html(v->h, "<pre class=\"state\" tabindex=\"0\">%s</pre>", sl_buf_str(&out));
    sl_buf_free(&out);
}

static void
view_restore(struct sl_view *v, long long number)
{
    if (sl_may(v, SL_ROLE_ADMIN))
        sl_html(
            v->h,
            "<button type=\"button\" class=\"quiet\" "
            "data-call=\"POST /v1/connections/%s/state-history/%lld/restore\" "
            "data-confirm=\"Go back to checkpoint %lld? The next sync starts from its state and "
            "brings again what came after it. Rows in the warehouse stay as they are.\" "
            "data-confirm-label=\"Go back\" "
            "data-said=\"The next sync starts from checkpoint %lld\">Go back to it</button>",
            sl_url(&v->c->arena, sl_at_text(v->m, "connection.id")), number, number, number);
}

static void
view_checkpoints(struct sl_view *v)
{
    const json_t *list = sl_at(v->m, "tab.state.history"), *s;
    size_t i;

    if (json_array_size(list) == 0)
        return;
    sl_html(v->h,
            "<details id=\"checkpoints\"><summary>Earlier checkpoints (%zu)</summary>"
            "<div class=\"scroll\" tabindex=\"0\" role=\"region\" aria-label=\"Checkpoints\">"
            "<table class=\"list\"><thead><tr><th scope=\"col\" class=\"num\">Checkpoint</th>"
            "<th scope=\"col\">Committed</th><th scope=\"col\"><span class=\"sr\">Actions</span>"
            "</th></tr></thead><tbody>",
            json_array_size(list));
    json_array_foreach(list, i, s)
    {
        sl_html(v->h, "<tr><th scope=\"row\" class=\"num\">%lld</th><td>",
                (long long)sl_at_int(s, "number"));
        sl_html_time(v->h, sl_at(s, "created_at"), "full", "");
        sl_html(v->h, "</td><td>");
        view_restore(v, sl_at_int(s, "number"));
        sl_html(v->h, "</td></tr>");
    }
    sl_html(v->h, "</tbody></table></div></details>");
}

void
sl_setup_state_view(struct sl_view *v)
{
    sl_html(v->h, "<section class=\"card\"><h2>State</h2>");
    view_text(v);
    view_checkpoints(v);
    sl_html(v->h, "</section>");
}
