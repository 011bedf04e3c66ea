/* connections.c - the list: found, filtered, sorted, grouped, by pages.
 *
 * A status is a rule over many fields and the clock (sl_connection_status()), which no index can know: of all connections the few fields
 * that choosing needs are read, and the wanted page is chosen here. Only its rows are then looked up further: what ran last, and what
 * runs now.
 */
#include "api/connections.h"
#include "base/time.h"
#include "dashboard/dashboard.h"
#include "dashboard/page.h"

#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

#define PAGE_ROWS 50
#define SORTS "name|-name|destination|-destination|status|-status|last|-last|next|-next"

static const char *const statuses[] = {
    "Broken", "Delayed", "Rescheduled", "Syncing", "Setup pending", "Active", "Paused",
};
#define NSTATUSES (sizeof statuses / sizeof statuses[0])

struct row {
    const struct sl_connection *con;
    const char *destination; /* name */
    const char *status;
    int rank; /* of the status */
    int64_t last;
};

struct table {
    struct sl_call *c;
    struct sl_list connections, groups;
    struct row *rows;
    size_t n;
    int64_t counts[NSTATUSES]; /* of what all other filters let through */
    int64_t all;
    /* what is asked for */
    const char *q, *status, *destination, *sort;
    bool grouped;
    int64_t page;
};

/* What choosing and showing needs of a connection: an index of the store has just these. */
static const char *const fields[] = {
    "id",          "group_id",        "schema",       "paused",       "sync_frequency",
    "next_run_at", "setup_state",     "running_sync", "succeeded_at", "failed_at",
    "failures",    "rescheduled_for", "nsyncs",       NULL,
};

/* ---- choosing ---- */

static const char *
name_of(const struct table *t, const char *group_id)
{
    for (size_t i = 0; group_id != NULL && i < t->groups.count; i++)
        if (strcmp(SL_ITEM(&t->groups, struct sl_group, i)->id, group_id) == 0)
            return SL_ITEM(&t->groups, struct sl_group, i)->name;
    return "";
}

static int
rank_of(const char *status)
{
    int i = 0;

    while (i < (int)NSTATUSES - 1 && strcmp(statuses[i], status) != 0)
        i++;
    return i;
}

static bool
is_wanted(const struct table *t, const struct row *r)
{
    if (t->destination != NULL &&
        strcmp(t->destination, r->con->group_id ? r->con->group_id : "") != 0)
        return false;
    return t->q == NULL || strcasestr(r->con->schema, t->q) != NULL ||
           strcasestr(r->con->id, t->q) != NULL;
}

static void
choose(struct table *t)
{
    int64_t now = sl_now_us();

    t->rows = sl_zalloc(t->connections.count + 1, sizeof *t->rows);
    for (size_t i = 0; i < t->connections.count; i++) {
        const struct sl_connection *con = SL_ITEM(&t->connections, struct sl_connection, i);
        struct row r = { .con = con };

        if (!is_wanted(t, &r))
            continue;
        r.destination = name_of(t, con->group_id);
        r.status = sl_connection_status(con, now);
        r.rank = rank_of(r.status);
        r.last = con->succeeded_at > con->failed_at ? con->succeeded_at : con->failed_at;
        t->counts[r.rank]++;
        t->all++;
        if (t->status == NULL || strcmp(t->status, r.status) == 0)
            t->rows[t->n++] = r;
    }
}

static int
by_number(int64_t a, int64_t b)
{
    return (a > b) - (a < b);
}

static int
compare_by(const char *sort, const struct row *a, const struct row *b)
{
    switch (sort[0]) {
    case 'd':
        return strcmp(a->destination, b->destination);
    case 's':
        return a->rank - b->rank;
    case 'l':
        return by_number(a->last, b->last);
    default: /* next; none is after all others */
        return by_number(a->con->next_run_at ? a->con->next_run_at : INT64_MAX,
                         b->con->next_run_at ? b->con->next_run_at : INT64_MAX);
    }
}

static int
compare(const void *left, const void *right, void *arg)
{
    const struct row *a = left, *b = right;
    const struct table *t = arg;
    bool down = t->sort[0] == '-';
    int order = t->grouped ? strcmp(a->destination, b->destination) : 0;

    if (order != 0)
        return order;
    if (t->sort[down] != 'n' || t->sort[down + 1] == 'e')
        order = compare_by(t->sort + down, a, b);
    else
        order = strcmp(a->con->schema, b->con->schema);
    if (order != 0)
        return down ? -order : order;
    order = strcmp(a->con->schema, b->con->schema);
    return order != 0 ? order : by_number(a->con->seq, b->con->seq);
}

/* ---- the model ---- */

/* Rows that the sync changed in the warehouse. */
static int64_t
rows_of(const struct sl_sync_record *r)
{
    json_t *counts = sl_json_stored(r->counts, "{}");
    int64_t n = sl_at_int(counts, "inserted") + sl_at_int(counts, "updated") +
                sl_at_int(counts, "deleted");

    json_decref(counts);
    return n;
}

/* The last sync that ended; null before the first. */
static json_t *
last_sync(struct sl_call *c, const struct sl_connection *con)
{
    struct sl_sync_record r = { 0 };
    json_t *o = NULL;

    if (con->nsyncs > 0)
        sl_last_sync(c, con, &r);
    if (r.id != NULL)
        o = json_pack("{s:s, s:o, s:o, s:I, s:o}", "id", r.id, "status", sl_json_text(r.status),
                      "ended_at", sl_json_time(r.finished_at), "rows", (json_int_t)rows_of(&r),
                      "reason", sl_json_text(r.reason));
    sl_record_free(SL_K_SYNC, &r);
    return o != NULL ? o : json_null();
}

static json_t *
running_of(const json_t *running, const char *id)
{
    json_t *one;
    size_t i;

    json_array_foreach(running, i, one) if (strcmp(sl_at_text(one, "connection_id"), id) ==
                                            0) return json_incref(one);
    return json_null();
}

static json_t *
row_json(struct sl_call *c, const struct row *r, const json_t *running)
{
    return json_pack("{s:s, s:s, s:s, s:{s:s, s:s}, s:b, s:o, s:o, s:o, s:I}", "id", r->con->id,
                     "name", r->con->schema, "status", r->status, "destination", "id",
                     r->con->group_id ? r->con->group_id : "", "name", r->destination, "paused",
                     r->con->paused, "last_sync", last_sync(c, r->con), "next_sync_at",
                     sl_json_time(r->con->next_run_at), "running", running_of(running, r->con->id),
                     "failures_in_a_row", (json_int_t)r->con->failures);
}

static json_t *
model(struct table *t)
{
    json_t *items = json_array(), *counts = json_object(), *groups = json_array();
    json_t *running = sl_worker_running(t->c->sv->w);
    int64_t pages = ((int64_t)t->n + PAGE_ROWS - 1) / PAGE_ROWS;
    size_t first;

    if (t->page > pages)
        t->page = pages > 0 ? pages : 1;
    first = (size_t)(t->page - 1) * PAGE_ROWS;
    for (size_t i = first; i < t->n && i < first + PAGE_ROWS; i++)
        json_array_append_new(items, row_json(t->c, &t->rows[i], running));
    for (size_t i = 0; i < NSTATUSES; i++)
        json_object_set_new(counts, statuses[i], json_integer(t->counts[i]));
    for (size_t i = 0; i < t->groups.count; i++) {
        const struct sl_group *g = SL_ITEM(&t->groups, struct sl_group, i);

        json_array_append_new(groups,
                              json_pack("{s:s, s:s}", "id", g->id, "name", g->name ? g->name : ""));
    }
    json_decref(running);
    return json_pack("{s:s, s:o, s:I, s:I, s:I, s:I, s:o, s:o, s:s, s:b, s:b}", "title",
                     "Connections", "items", items, "page", (json_int_t)t->page, "pages",
                     (json_int_t)pages, "found", (json_int_t)t->n, "all", (json_int_t)t->all,
                     "counts", counts, "destinations", groups, "sort", t->sort, "grouped",
                     t->grouped, "none_yet", t->connections.count == 0);
}

/* An empty field of the form is no filter. */
static const char *
filter(struct sl_call *c, const char *name)
{
    const char *value = sl_param_get(c, name);

    return value != NULL && value[0] != '\0' ? value : NULL;
}

static bool
read_query(struct sl_call *c, struct table *t)
{
    t->q = filter(c, "q");
    t->status = filter(c, "status");
    t->destination = filter(c, "destination");
    t->grouped = filter(c, "group") != NULL;
    t->sort = "name";
    t->page = 1;
    return sl_param_word(c, "sort", SORTS, &t->sort) &&
           sl_param_int(c, "page", 1, 1000000, &t->page);
}

static json_t *
make_model(struct sl_call *c)
{
    struct table t = { .c = c,
                       .connections = { .kind = SL_K_CONNECTION },
                       .groups = { .kind = SL_K_GROUP } };
    struct sl_query connections = { .kind = SL_K_CONNECTION, .only = fields };
    struct sl_query groups = { .kind = SL_K_GROUP };
    struct sl_err err = { 0 };
    json_t *m = NULL;

    if (!read_query(c, &t))
        return NULL;
    if (sl_store_list(c->sv->pf->store, &connections, &t.connections, &err) ||
        sl_store_list(c->sv->pf->store, &groups, &t.groups, &err)) {
        sl_refuse_err(c, &err);
        goto out;
    }
    choose(&t);
    qsort_r(t.rows, t.n, sizeof *t.rows, compare, &t);
    m = model(&t);
out:
    free(t.rows);
    sl_list_free(&t.connections);
    sl_list_free(&t.groups);
    return m;
}

/* ---- the view ---- */

static void
view_empty(struct sl_view *v)
{
    const json_t *first = json_array_get(sl_at(v->m, "destinations"), 0);
    char *line = sl_deploy_line(v->c, first ? sl_at_text(first, "name") : "warehouse",
                                "my_connection");

    sl_html(v->h, "<div class=\"empty\"><h2>No connections yet</h2><p>A connection runs a "
                  "connector you deployed. "
                  "Deploy one from the folder of its <code>connector.py</code>:</p>");
    sl_part_copy(v->h, line);
    sl_html(v->h, "<p class=\"dim\">It appears here, paused. No connector yet? <code>fivetran "
                  "init</code> writes one. "
                  "<code>sluiced key create</code> makes an API key.</p></div>");
    free(line);
}

static void
view_chip(struct sl_view *v, const char *status, int64_t count)
{
    const char *now = sl_param_get(v->c, "status");
    bool here = status == NULL ? now == NULL || now[0] == '\0'
                               : now != NULL && strcmp(now, status) == 0;

    if (status != NULL && count == 0 && !here)
        return;
    sl_html(v->h, "<a href=\"%s\"%s>%s <b>%lld</b></a>", sl_part_link(v->c, "status", status),
            here ? " aria-current=true" : "", status ? status : "All", (long long)count);
}

static void
view_select(struct sl_view *v)
{
    const char *now = sl_param_get(v->c, "destination");
    const json_t *groups = sl_at(v->m, "destinations"), *g;
    size_t i;

    if (json_array_size(groups) < 2)
        return;
    sl_html(
        v->h,
        "<label class=\"inline\"><span class=\"sr\">Destination</span><select name=\"destination\">"
        "<option value=\"\">All destinations</option>");
    json_array_foreach(groups, i, g)
        sl_html(v->h, "<option value=\"%s\"%s>%s</option>", sl_at_text(g, "id"),
                now != NULL && strcmp(now, sl_at_text(g, "id")) == 0 ? " selected" : "",
                sl_at_text(g, "name"));
    sl_html(v->h, "</select></label>");
}

static void
view_filters(struct sl_view *v)
{
    const char *q = sl_param_get(v->c, "q"), *sort = sl_param_get(v->c, "sort");
    const char *status = sl_param_get(v->c, "status");

    sl_html(v->h,
            "<form class=\"filters\" method=\"get\" data-filter=\"list\" role=\"search\">"
            "<label class=\"grow\"><span class=\"sr\">Search connections</span>"
            "<input type=\"search\" name=\"q\" placeholder=\"Search by name\" value=\"%s\" "
            "data-key=\"/\"></label>",
            q);
    view_select(v);
    if (json_array_size(sl_at(v->m, "destinations")) > 1)
        sl_html(v->h,
                "<label class=\"inline\"><input type=\"checkbox\" name=\"group\" "
                "value=\"destination\"%s> "
                "Group by destination</label>",
                sl_at_true(v->m, "grouped") ? " checked" : "");
    if (sort != NULL)
        sl_html(v->h, "<input type=\"hidden\" name=\"sort\" value=\"%s\">", sort);
    if (status != NULL)
        sl_html(v->h, "<input type=\"hidden\" name=\"status\" value=\"%s\">", status);
    sl_html(v->h, "<button class=\"quiet\" data-noscript>Search</button></form>");
}

static void
view_last(struct sl_view *v, const json_t *con)
{
    const json_t *last = sl_at(con, "last_sync");

    if (json_is_null(last)) {
        sl_html(v->h, "<td class=\"dim\">never</td><td class=\"num dim\">–</td>");
        return;
    }
    sl_html(v->h, "<td>");
    sl_html_time(v->h, sl_at(last, "ended_at"), "ago", "");
    /* That it failed stands beside its status. */
    if (strcmp(sl_at_text(last, "status"), "CANCELED") == 0)
        sl_html(v->h, " <span class=\"dim\">canceled</span>");
    else if (strcmp(sl_at_text(last, "status"), "RESCHEDULED") == 0)
        sl_html(v->h, " <span class=\"dim\" title=\"%s\">rescheduled</span>",
                sl_at_text(last, "reason"));
    sl_html(v->h, "</td><td class=\"num\">");
    sl_html_number(v->h, sl_at_int(last, "rows"));
    sl_html(v->h, "</td>");
}

static void
view_row(struct sl_view *v, const json_t *con)
{
    const json_t *running = sl_at(con, "running");
    const char *id = sl_at_text(con, "id");

    sl_html(v->h,
            "<tr><th scope=\"row\"><a "
            "href=\"/dashboard/connections/%s/%s\">%s</a></th><td>%s</td><td>",
            sl_url(&v->c->arena, id),
            strcmp(sl_at_text(con, "status"), "Setup pending") == 0 ? "setup" : "status",
            sl_at_text(con, "name"), sl_at_text(con, "destination.name"));
    sl_part_health(v->h, sl_at_text(con, "status"), sl_at_int(con, "failures_in_a_row"),
                   sl_at_text(con, "last_sync.reason"));
    if (!json_is_null(running)) {
        sl_html(v->h, " <span class=\"dim\" data-progress=\"%s\">%s, ", id,
                sl_at_text(running, "stage"));
        sl_html_number(v->h, sl_at_int(running, "rows"));
        sl_html(v->h, " rows</span>");
    }
    sl_html(v->h, "</td>");
    view_last(v, con);
    sl_html(v->h, "<td>");
    sl_html_time(v->h, sl_at(con, "next_sync_at"), "ago", "–");
    sl_html(v->h, "</td></tr>");
}

static void
view_table(struct sl_view *v)
{
    const char *sort = sl_at_text(v->m, "sort"), *group = NULL;
    const json_t *con;
    size_t i;

    sl_html(v->h, "<div class=\"scroll\" tabindex=\"0\" role=\"region\" "
                  "aria-label=\"Connections\"><table class=\"list connections\"><thead><tr>");
    sl_part_sort(v, "name", "Name", sort);
    sl_part_sort(v, "destination", "Destination", sort);
    sl_part_sort(v, "status", "Status", sort);
    sl_part_sort(v, "last", "Last sync", sort);
    sl_html(v->h, "<th scope=\"col\" class=\"num\">Rows</th>");
    sl_part_sort(v, "next", "Next sync", sort);
    sl_html(v->h, "</tr></thead><tbody>");
    json_array_foreach(sl_at(v->m, "items"), i, con)
    {
        const char *destination = sl_at_text(con, "destination.name");

        if (sl_at_true(v->m, "grouped") && (group == NULL || strcmp(group, destination) != 0)) {
            group = destination;
            sl_html(v->h, "<tr class=\"group\"><th scope=\"rowgroup\" colspan=\"6\">%s</th></tr>",
                    group);
        }
        view_row(v, con);
    }
    sl_html(v->h, "</tbody></table></div>");
}

static void
view(struct sl_view *v)
{
    const json_t *counts = sl_at(v->m, "counts");

    sl_html(v->h, "<div class=\"title\"><h1>Connections</h1></div>");
    if (sl_at_true(v->m, "none_yet")) {
        sl_html(v->h, "<div id=\"list\" data-live>");
        view_empty(v);
        sl_html(v->h, "</div>");
        return;
    }
    view_filters(v);
    sl_html(v->h, "<div id=\"list\" data-live><nav class=\"chips\" aria-label=\"By status\">");
    view_chip(v, NULL, sl_at_int(v->m, "all"));
    for (size_t i = 0; i < NSTATUSES; i++)
        view_chip(v, statuses[i], json_integer_value(json_object_get(counts, statuses[i])));
    sl_html(v->h, "</nav>");
    if (sl_at_int(v->m, "found") == 0)
        sl_html(v->h, "<div class=\"empty\"><p>No connection matches. <a "
                      "href=\"/dashboard/connections\">Show all</a>"
                      "</p></div>");
    else
        view_table(v);
    sl_part_pages(v, sl_at_int(v->m, "page"), sl_at_int(v->m, "pages"));
    sl_html(v->h, "</div>");
}

void
sl_page_connections(struct sl_call *c)
{
    static const struct sl_page page = { .nav = "/dashboard/connections", .view = view };

    sl_page_show(c, &page, make_model(c));
}
