#include "dashboard/chart.h"

#include "http/call.h"

#include <stdio.h>
#include <stdlib.h>

#define HEIGHT 72
#define MARKS 12 /* below the bars: what failed is marked, not only coloured */
#define STEP 18
#define BAR 12
#define LEAST 3 /* what took no time is still there */

static int64_t
took(const json_t *sync)
{
    int64_t from = 0, to = 0;

    if (!sl_time_parse(sl_at_text(sync, "start_time"), &from) ||
        !sl_time_parse(sl_at_text(sync, "end_time"), &to) || to < from)
        return 0;
    return to - from;
}

static int64_t
rows(const json_t *sync)
{
    return sl_at_int(sync, "counts.inserted") + sl_at_int(sync, "counts.updated") +
           sl_at_int(sync, "counts.deleted");
}

static bool
has_failed(const json_t *sync)
{
    return strncmp(sl_at_text(sync, "status"), "FAILURE", 7) == 0;
}

static void
bar(struct sl_buf *h, const json_t *sync, int x, int64_t longest)
{
    int height = LEAST + (int)((double)(HEIGHT - LEAST) * (double)took(sync) / (double)longest);

    sl_html(
        h, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"2\" data-result=\"%s\"><title>",
        x, HEIGHT - height, BAR, height, sl_at_text(sync, "status"));
    sl_html(h, "%s %s: ", sl_at_text(sync, "start_time"), sl_at_text(sync, "status"));
    sl_html_number(h, rows(sync));
    sl_html(h, " rows in ");
    sl_html_duration(h, took(sync));
    sl_html(h, "</title></rect>");
    if (has_failed(sync))
        sl_html(h, "<path class=\"mark\" d=\"M%d %d l6 6 m0 -6 l-6 6\"/>", x + 3, HEIGHT + 4);
}

static int
by_size(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

    return (x > y) - (x < y);
}

/* Of those that succeeded; 0: none did. */
static int64_t
median(const json_t *syncs)
{
    int64_t *all = sl_zalloc(json_array_size(syncs) + 1, sizeof *all), value;
    const json_t *sync;
    size_t i, n = 0;

    json_array_foreach(syncs, i, sync) if (strcmp(sl_at_text(sync, "status"), "SUCCESSFUL") == 0)
        all[n++] = took(sync);
    qsort(all, n, sizeof *all, by_size);
    value = n > 0 ? all[n / 2] : 0;
    free(all);
    return value;
}

static void
caption(struct sl_buf *h, int64_t usual, int64_t longest)
{
    sl_html(h, "<figcaption class=\"dim\">Time of each sync");
    if (usual > 0) {
        sl_html(h, " · usually ");
        sl_html_duration(h, usual);
    }
    if (longest > 1) {
        sl_html(h, " · longest ");
        sl_html_duration(h, longest);
    }
    sl_html(h, " <span class=\"key\"><b class=\"mark\">×</b> failed</span></figcaption>");
}

void
sl_chart_syncs(struct sl_buf *h, const json_t *syncs)
{
    int n = (int)json_array_size(syncs), failed = 0;
    int64_t longest = 1, usual = median(syncs);
    const json_t *sync;
    size_t i;

    json_array_foreach(syncs, i, sync)
    {
        longest = took(sync) > longest ? took(sync) : longest;
        failed += has_failed(sync);
    }
    sl_html(h,
            "<figure class=\"chart\" tabindex=\"0\"><svg role=\"img\" viewBox=\"0 0 %d %d\" "
            "width=\"%d\" "
            "height=\"%d\" aria-labelledby=\"chart-title chart-desc\">",
            n * STEP, HEIGHT + MARKS, n * STEP, HEIGHT + MARKS);
    sl_html(h,
            "<title id=\"chart-title\">Time of the last %d syncs</title><desc id=\"chart-desc\">%d "
            "of them failed. The table below has the same in words.</desc>",
            n, failed);
    for (int k = 0; k < n; k++)
        bar(h, json_array_get(syncs, (size_t)(n - 1 - k)), k * STEP, longest);
    if (usual > 0) {
        int y = HEIGHT - LEAST - (int)((double)(HEIGHT - LEAST) * (double)usual / (double)longest);

        sl_html(h, "<path class=\"usual\" d=\"M0 %d H%d\"/>", y, n * STEP);
    }
    sl_html(h, "</svg>");
    caption(h, usual, longest);
    sl_html(h, "</figure>");
}

void
sl_chart_stages(struct sl_buf *h, const json_t *stages)
{
    static const char *const names[] = { "environment", "connector", "engine", "destination" };
    int64_t all = 0;
    int x = 0;

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        all += sl_at_int(stages, names[i]);
    if (all <= 0)
        return;
    sl_html(h, "<svg class=\"stages\" viewBox=\"0 0 1000 8\" preserveAspectRatio=\"none\" "
               "aria-hidden=\"true\">");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        int width = (int)(1000 * sl_at_int(stages, names[i]) / all);

        sl_html(h, "<rect x=\"%d\" width=\"%d\" height=\"8\" data-stage=\"%s\"/>", x, width,
                names[i]);
        x += width;
    }
    sl_html(h, "</svg>");
}
