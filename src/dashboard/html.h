/* html.h - writing HTML that cannot be broken by what is written into it.
 *
 * The only way text gets into a page is `%s` of sl_html(), which escapes it for elements and for attributes in double quotes alike. So
 * formats are literals of ours, attributes are always quoted, and nothing from outside is ever written into a script, a style, or the
 * beginning of an address.
 */
#ifndef SL_DASHBOARD_HTML_H
#define SL_DASHBOARD_HTML_H

#include "base/arena.h"
#include "base/buf.h"

#include <jansson.h>

/* Knows %s, %d, %lld, %zu and %%, without widths; the compiler checks the arguments. NULL is written as nothing. */
void sl_html(struct sl_buf *h, const char *fmt, ...) SL_PRINTF(2, 3);

/* <time>: UTC until a script shows it in the viewer's zone. `iso` is a time of the API (JSON text), or null: `otherwise` is written.
 * form: "full", "clock" (of the day), "ago" ("5 min ago", "in 3 min"). */
void sl_html_time(struct sl_buf *h, const json_t *iso, const char *form, const char *otherwise);
/* "1,234,567" */
void sl_html_number(struct sl_buf *h, int64_t n);
/* "1.2 MB"; "4.2 s" from microseconds */
void sl_html_bytes(struct sl_buf *h, int64_t n);
void sl_html_duration(struct sl_buf *h, int64_t us);

/* For one segment of a path, or a value of a query: percent-encoded. */
const char *sl_url(struct sl_arena *arena, const char *text);

/* What lies at "a.b.c" of a model; NULL, "", 0, false when it is not there. Lent. */
const json_t *sl_at(const json_t *model, const char *path);
const char *sl_at_text(const json_t *model, const char *path);
int64_t sl_at_int(const json_t *model, const char *path);
bool sl_at_true(const json_t *model, const char *path);

#endif
