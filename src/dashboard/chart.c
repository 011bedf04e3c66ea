#include "dashboard/chart.h"

#include "http/call.h"

#include <stdio.h>

#define HEIGHT 56
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

static void
bar(struct sl_buf *h, const json_t *sync, int x, int64_t longest)
{
    int height = LEAST + (int)((double)(HEIGHT - LEAST) * (double)took(sync) / (double)longest);

    sl_html(
        h, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" rx=\"2\" data-result=\"%s\"><title>",
        x, HEIGHT - height, BAR, height, sl_at_text(sync, "status"));
    sl_html(h, "%s: ", sl_at_text(sync, "start_time"));
    sl_html_number(h, rows(sync));
    sl_html(h, " rows in ");
    sl_html_duration(h, took(sync));
    sl_html(h, "</title></rect>");
}

void
sl_chart_syncs(struct sl_buf *h, const json_t *syncs)
{
    int n = (int)json_array_size(syncs), failed = 0;
    int64_t longest = 1;
    const json_t *sync;
    size_t i;

    json_array_foreach(syncs, i, sync)
    {
        longest = took(sync) > longest ? took(sync) : longest;
        failed += strncmp(sl_at_text(sync, "status"), "FAILURE", 7) == 0;
    }
    sl_html(h,
            "<figure class=\"chart\"><svg role=\"img\" viewBox=\"0 0 %d %d\" width=\"%d\" "
            "height=\"%d\" "
            "aria-label=\"Time of the last %d syncs, %d of them failed\">",
            n * STEP, HEIGHT, n * STEP, HEIGHT, n, failed);
    for (int k = 0; k < n; k++)
        bar(h, json_array_get(syncs, (size_t)(n - 1 - k)), k * STEP, longest);
    sl_html(h, "</svg><figcaption class=\"dim\">Time of each sync; longest ");
    sl_html_duration(h, longest > 1 ? longest : 0);
    sl_html(h, "</figcaption></figure>");
}
