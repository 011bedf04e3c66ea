/* tab_usage.c - active rows: by month, and by table within one. */
#include "api/api.h"
#include "dashboard/tab.h"

#include <stdio.h>
#include <stdlib.h>

/* Bars, and tables of a month. */
#define MONTHS 12
#define TABLES 200
/* Pages of 1,000 that are added up: 3,000 tables over two years. */
#define PAGES 72

/* ---- the model ---- */

/* All there is; NULL has refused. */
static json_t *
read_usage(struct sl_call *c)
{
    json_t *all = json_array(), *page;
    char cursor[64] = "";

    for (int i = 0; i < PAGES; i++) {
        page = sl_answer_of(c, sl_api_usage, "limit", "1000", cursor[0] ? "cursor" : NULL, cursor,
                            NULL);
        if (page == NULL) {
            json_decref(all);
            return NULL;
        }
        json_array_extend(all, json_object_get(page, "items"));
        snprintf(cursor, sizeof cursor, "%s", sl_at_text(page, "next_cursor"));
        json_decref(page);
        if (cursor[0] == '\0')
            break;
    }
    return all;
}

static int
by_month(const void *a, const void *b)
{
    return strcmp(sl_at_text(*(json_t *const *)a, "month"),
                  sl_at_text(*(json_t *const *)b, "month"));
}

static int
by_rows(const void *a, const void *b)
{
    int64_t x = sl_at_int(*(json_t *const *)a, "active_rows"),
            y = sl_at_int(*(json_t *const *)b, "active_rows");

    return x < y ? 1 : x > y ? -1 : 0;
}

/* A new list of the same things in order, the last or the first `most` of them. */
static json_t *
sorted(const json_t *list, int (*compare)(const void *, const void *), size_t most, bool last)
{
    size_t n = json_array_size(list), from = last && n > most ? n - most : 0;
    json_t **items = sl_zalloc(n + 1, sizeof *items), *out = json_array();

    for (size_t i = 0; i < n; i++)
        items[i] = json_array_get(list, i);
    qsort(items, n, sizeof *items, compare);
    for (size_t i = from; i < n && i - from < most; i++)
        json_array_append(out, items[i]);
    free(items);
    return out;
}

static json_t *
months_of(const json_t *all)
{
    json_t *sums = json_object(), *list = json_array(), *one, *sum, *out;
    const char *month;
    size_t i;

    json_array_foreach(all, i, one)
    {
        month = sl_at_text(one, "month");
        json_object_set_new(sums, month,
                            json_integer(json_integer_value(json_object_get(sums, month)) +
                                         sl_at_int(one, "active_rows")));
    }
    json_object_foreach(sums, month, sum)
        json_array_append_new(list, json_pack("{s:s, s:O}", "month", month, "active_rows", sum));
    out = sorted(list, by_month, MONTHS, true);
    json_decref(list);
    json_decref(sums);
    return out;
}

static json_t *
tables_of(const json_t *all, const char *month)
{
    json_t *list = json_array(), *one, *out;
    size_t i;

    json_array_foreach(all, i, one)
    {
        if (strcmp(sl_at_text(one, "month"), month) == 0)
            json_array_append(list, one);
    }
    out = json_pack("{s:o, s:I}", "items", sorted(list, by_rows, TABLES, false), "total",
                    (json_int_t)json_array_size(list));
    json_decref(list);
    return out;
}

json_t *
sl_tab_usage_model(struct sl_call *c)
{
    json_t *all = read_usage(c), *months, *model;
    const char *month = sl_param_get(c, "month");

    if (all == NULL)
        return NULL;
    months = months_of(all);
    if (month == NULL || month[0] == '\0')
        month = sl_at_text(json_array_get(months, json_array_size(months) - 1), "month");
    model = json_pack("{s:o, s:s, s:o}", "months", months, "month", month, "tables",
                      tables_of(all, month));
    json_decref(all);
    return model;
}

/* ---- the view ---- */

#define HEIGHT 120
#define STEP 64
#define BAR 40
#define LEAST 2 /* a month with a single row is still there */

static void
view_bar(struct sl_view *v, const json_t *m, int x, int64_t most)
{
    int64_t rows = sl_at_int(m, "active_rows");
    int height = LEAST + (int)((double)(HEIGHT - LEAST) * (double)rows / (double)most);
    const char *month = sl_at_text(m, "month");

    sl_html(v->h, "<a href=\"%s\" aria-label=\"%s: ", sl_part_link(v->c, "month", month), month);
    sl_html_number(v->h, rows);
    sl_html(v->h,
            " active rows\"><rect class=\"hit\" x=\"%d\" y=\"0\" width=\"%d\" height=\"%d\"/>"
            "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"3\" data-here=\"%s\"/>"
            "<text x=\"%d\" y=\"%d\">%s</text></a>",
            x, STEP, HEIGHT + 20, x + (STEP - BAR) / 2, HEIGHT - height, BAR, height,
            strcmp(month, sl_at_text(v->m, "tab.month")) == 0 ? "true" : "", x + STEP / 2,
            HEIGHT + 16, month);
}

static void
view_chart(struct sl_view *v)
{
    const json_t *months = sl_at(v->m, "tab.months"), *m;
    int n = (int)json_array_size(months);
    int64_t most = 1;
    size_t i;

    json_array_foreach(months, i, m)
        most = sl_at_int(m, "active_rows") > most ? sl_at_int(m, "active_rows") : most;
    sl_html(v->h,
            "<figure class=\"chart months\"><svg viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" "
            "role=\"group\" aria-label=\"Active rows by month\">",
            n * STEP, HEIGHT + 22, n * STEP, HEIGHT + 22);
    json_array_foreach(months, i, m) view_bar(v, m, (int)i * STEP, most);
    sl_html(v->h, "</svg><figcaption class=\"dim\">Active rows by month; the most: ");
    sl_html_number(v->h, most);
    sl_html(v->h, "</figcaption></figure>");
}

static void
view_tables(struct sl_view *v)
{
    const json_t *t;
    int64_t sum = 0, total = sl_at_int(v->m, "tab.tables.total");
    size_t i;

    json_array_foreach(sl_at(v->m, "tab.months"), i, t)
    {
        if (strcmp(sl_at_text(t, "month"), sl_at_text(v->m, "tab.month")) == 0)
            sum = sl_at_int(t, "active_rows");
    }
    sl_html(v->h,
            "<section><h2>%s</h2><div class=\"scroll\" tabindex=\"0\" role=\"region\" "
            "aria-label=\"Tables\"><table class=\"list\"><thead><tr><th scope=\"col\">Table</th>"
            "<th scope=\"col\">Schema</th><th scope=\"col\" class=\"num\">Active rows</th></tr>"
            "</thead><tbody>",
            sl_at_text(v->m, "tab.month"));
    json_array_foreach(sl_at(v->m, "tab.tables.items"), i, t)
    {
        sl_html(v->h, "<tr><th scope=\"row\">%s</th><td>%s</td><td class=\"num\">",
                sl_at_text(t, "table"), sl_at_text(t, "schema"));
        sl_html_number(v->h, sl_at_int(t, "active_rows"));
        sl_html(v->h, "</td></tr>");
    }
    sl_html(v->h, "</tbody><tfoot><tr><th scope=\"row\">Total</th><td>");
    if (total > TABLES)
        sl_html(v->h, "%lld tables, the largest %d shown", (long long)total, TABLES);
    sl_html(v->h, "</td><td class=\"num\"><b>");
    sl_html_number(v->h, sum);
    sl_html(v->h, "</b></td></tr></tfoot></table></div></section>");
}

void
sl_tab_usage_view(struct sl_view *v)
{
    sl_html(v->h, "<div id=\"usage\" data-live>");
    if (json_array_size(sl_at(v->m, "tab.months")) == 0) {
        sl_html(v->h, "<p class=\"empty\">No row was changed yet.</p></div>");
        return;
    }
    sl_html(v->h,
            "<p class=\"dim\">An active row is a row that a sync inserted, updated or deleted. "
            "Within a sync each counts once; over the syncs of a month the counts are added up, "
            "so a month's number is an upper bound: a row that several syncs changed counts "
            "several times.</p>");
    view_chart(v);
    view_tables(v);
    sl_html(v->h, "</div>");
}
