/* chart.h - pictures as inline SVG: colours come from the style sheet, words from the table beside it. */
#ifndef SL_DASHBOARD_CHART_H
#define SL_DASHBOARD_CHART_H

#include "dashboard/html.h"

/* A bar for each sync (as the API lists them, newest first), oldest on the left: height is the time it took, colour its result. */
void sl_chart_syncs(struct sl_buf *h, const json_t *syncs);

/* One bar, divided as the time was among the stages of a sync (microseconds by name). */
void sl_chart_stages(struct sl_buf *h, const json_t *stages);

#endif
