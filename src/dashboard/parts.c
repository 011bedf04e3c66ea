/* parts.c - pieces that several pages have: badges, paging, sorted columns. */
#include "dashboard/page.h"

#include <stdio.h>

void
sl_part_status(struct sl_buf *h, const char *status)
{
    sl_html(h, "<span class=\"status\" data-status=\"%s\">%s</span>", status, status);
}

/* A failing connection is as active as any other until somebody looks at it. The other states say already what is wrong. */
void
sl_part_health(struct sl_buf *h, const char *status, int64_t failures, const char *reason)
{
    static const char *const silent[] = { "Active", "Paused", "Delayed", "Syncing" };
    bool told = failures == 0;

    if (!told) {
        told = true;
        for (size_t i = 0; i < sizeof silent / sizeof silent[0]; i++)
            told = told && strcmp(status, silent[i]) != 0;
    }
    if (told) {
        sl_part_status(h, status);
        return;
    }
    sl_html(h, "<span class=\"status\" data-status=\"%s\" data-failing>%s</span>", status, status);
    sl_html(h, " <span class=\"bad failing\" title=\"%s\"><span>· </span>", reason);
    if (failures == 1)
        sl_html(h, "last sync failed</span>");
    else
        sl_html(h, "last %lld syncs failed</span>", (long long)failures);
}

/* What the audit calls it, and what people do. */
static const struct {
    const char *action, *words;
} actions[] = {
    { "connection.create", "created the connection" },
    { "connection.update", "changed the connection" },
    { "connection.pause", "paused the connection" },
    { "connection.unpause", "enabled the connection" },
    { "connection.delete", "deleted the connection" },
    { "connection.sync", "asked for a sync" },
    { "connection.cancel", "canceled the sync" },
    { "connection.resync", "asked for a re-sync" },
    { "connection.rewind", "went back to an earlier state" },
    { "connection.state", "changed the state" },
    { "connection.schemas", "changed the schemas" },
    { "connection.rollback", "went back to an earlier version of the code" },
};

const char *
sl_part_action(const char *action)
{
    for (size_t i = 0; i < sizeof actions / sizeof actions[0]; i++)
        if (strcmp(actions[i].action, action) == 0)
            return actions[i].words;
    return action;
}

/* ---- addresses ---- */

/* Room for a query of ours; longer ones lose their end, which only makes a link forget a filter. */
#define LINK_MAX 2048

const char *
sl_part_link(struct sl_call *c, const char *name, const char *value)
{
    char out[LINK_MAX];
    size_t n = 0;
    char sep = '?';
    bool done = value == NULL;

    for (int i = 0; i < c->nsegs && n < sizeof out; i++)
        n += (size_t)snprintf(out + n, sizeof out - n, "/%s", sl_url(&c->arena, c->segs[i]));
    for (size_t i = 0; i <= c->nquery && n < sizeof out; i++) {
        const char *key = i < c->nquery ? c->query[i].name : name;
        const char *text = i < c->nquery ? c->query[i].value : value;

        if (i < c->nquery && strcmp(key, name) == 0) {
            text = done ? NULL : value;
            done = true;
        } else if (i == c->nquery && done) {
            break;
        } else if (i < c->nquery && (strcmp(key, "page") == 0 || strcmp(key, "cursor") == 0)) {
            text = NULL;
        }
        if (text == NULL || text[0] == '\0')
            continue;
        n += (size_t)snprintf(out + n, sizeof out - n, "%c%s=%s", sep, sl_url(&c->arena, key),
                              sl_url(&c->arena, text));
        sep = '&';
    }
    return sl_arena_dup(&c->arena, out, n < sizeof out ? n : sizeof out - 1);
}

/* ---- paging ---- */

static void
page_link(struct sl_view *v, int64_t page, const char *label, const char *name)
{
    char number[24];

    snprintf(number, sizeof number, "%lld", (long long)page);
    sl_html(v->h, "<a href=\"%s\" aria-label=\"%s\">%s</a>",
            sl_part_link(v->c, "page", page > 1 ? number : NULL), name, label);
}

void
sl_part_pages(struct sl_view *v, int64_t page, int64_t pages)
{
    if (pages <= 1)
        return;
    sl_html(v->h, "<nav class=\"pages\" aria-label=\"Pages\">");
    if (page > 1)
        page_link(v, page - 1, "‹ Previous", "Previous page");
    sl_html(v->h, "<span>Page %lld of %lld</span>", (long long)page, (long long)pages);
    if (page < pages)
        page_link(v, page + 1, "Next ›", "Next page");
    sl_html(v->h, "</nav>");
}

void
sl_part_more(struct sl_view *v, const char *path, const char *label)
{
    const char *cursor = sl_at_text(v->m, path);

    if (cursor[0] != '\0')
        sl_html(v->h, "<nav class=\"pages\" aria-label=\"Pages\"><a href=\"%s\">%s ›</a></nav>",
                sl_part_link(v->c, "cursor", cursor), label);
}

/* ---- tables ---- */

void
sl_part_sort(struct sl_view *v, const char *name, const char *label, const char *sorted_by)
{
    bool down = sorted_by[0] == '-';
    bool here = strcmp(sorted_by + down, name) == 0;
    char other[64];

    snprintf(other, sizeof other, "%s%s", here && !down ? "-" : "", name);
    sl_html(v->h,
            "<th scope=\"col\"%s><a href=\"%s\">%s<span aria-hidden=\"true\">%s</span></a></th>",
            !here  ? ""
            : down ? " aria-sort=descending"
                   : " aria-sort=ascending",
            sl_part_link(v->c, "sort", other), label,
            !here  ? ""
            : down ? " ↓"
                   : " ↑");
}

void
sl_part_copy(struct sl_buf *h, const char *text)
{
    sl_html(h,
            "<div class=\"copy\"><pre><code>%s</code></pre>"
            "<button type=\"button\" class=\"quiet\" data-copy hidden>Copy</button></div>",
            text);
}

void
sl_part_schedule(struct sl_view *v)
{
    int64_t minutes = sl_at_int(v->m, "connection.sync_frequency");
    const char *daily = sl_at_text(v->m, "connection.daily_sync_time");

    if (strcmp(sl_at_text(v->m, "connection.schedule_type"), "manual") == 0)
        sl_html(v->h, "only when asked for");
    else if (daily[0] != '\0')
        sl_html(v->h, "every day at %s (%s)", daily, sl_at_text(v->m, "zone"));
    else if (minutes == 1440)
        sl_html(v->h, "every day");
    else if (minutes % 60 == 0)
        sl_html(v->h, minutes == 60 ? "every hour" : "every %lld hours", (long long)minutes / 60);
    else
        sl_html(v->h, minutes == 1 ? "every minute" : "every %lld minutes", (long long)minutes);
}

char *
sl_deploy_line(struct sl_call *c, const char *destination, const char *connection)
{
    return sl_sprintf("fivetran deploy --url %s --api-key <base64 API key> --destination %s "
                      "--connection %s --configuration configuration.json",
                      sl_page_url(c), destination, connection);
}
