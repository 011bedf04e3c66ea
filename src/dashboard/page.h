/* page.h - what every page of the dashboard is made of.
 *
 * A handler makes a model (JSON, mostly what the API's own handlers answer: sl_answer_of()) and shows it: as a page by its view, or, when
 * the JSON twin is wanted, as it is. The view writes HTML from the model alone; what a viewer may not do is left out by sl_may().
 *
 * Live: an element with an id and `data-live` is replaced when something happens on the server by what the page has in its place then
 * (web/live.js fetches the page again). So a page is only ever made here, and nothing of it is made twice.
 * Actions: a button or form with `data-call="POST /v1/…"` calls the API (web/actions.js says what else it may carry).
 */
#ifndef SL_DASHBOARD_PAGE_H
#define SL_DASHBOARD_PAGE_H

#include "dashboard/html.h"
#include "http/call.h"

struct sl_view {
    struct sl_call *c;
    struct sl_buf *h;
    const json_t *m; /* the model */
};

struct sl_page {
    const char *nav;    /* address of the part of the navigation it belongs to; NULL: none */
    const char *script; /* a module of web/ that only this page needs; NULL: none */
    void (*view)(struct sl_view *v);
};

/* Answers with the page or with its model, which is taken; NULL: a refusal was the answer already. model.title is the page's name. */
void sl_page_show(struct sl_call *c, const struct sl_page *page, json_t *model);
/* For sl_pages.refuse. */
void sl_page_refuse(struct sl_call *c, int status, const char *text);
/* The bare frame around what is shown before anybody is logged in. h is emptied. */
void sl_page_answer(struct sl_call *c, int status, struct sl_buf *h);
void sl_page_head(struct sl_view *v, const char *title, const char *script);
void sl_page_foot(struct sl_view *v);

/* Whether who looks has this role. */
bool sl_may(const struct sl_view *v, enum sl_role role);
/* The address people reach this server by: as configured, else as this request came. Lent by the call. */
const char *sl_page_url(struct sl_call *c);

/* ---- parts ---- */

/* "Active" as a coloured badge; any word is fine. */
void sl_part_status(struct sl_buf *h, const char *status);
/* The same, and that it is failing when it is: "Active · last sync failed". failures: in a row; reason: of the last, may be "". */
void sl_part_health(struct sl_buf *h, const char *status, int64_t failures, const char *reason);
/* "asked for a sync" for "connection.sync"; what it does not know, as it is. */
const char *sl_part_action(const char *action);
/* The address of this page with one value of its query changed (NULL: left out), and without its page number. Lent by the call. */
const char *sl_part_link(struct sl_call *c, const char *name, const char *value);
/* "‹ 1 2 3 ›" for pages by number: the query's `page`, from 1. */
void sl_part_pages(struct sl_view *v, int64_t page, int64_t pages);
/* "Older" for lists by cursor: model.next_cursor at `path`. */
void sl_part_more(struct sl_view *v, const char *path, const char *label);
/* Head of a column that sorts by `sort=<name>` or `-<name>`. */
void sl_part_sort(struct sl_view *v, const char *name, const char *label, const char *sorted_by);
/* "every day at 03:00 (UTC)": when the connection of the model syncs. */
void sl_part_schedule(struct sl_view *v);
/* The line that brings code to a connection of this server. To be freed. */
char *sl_deploy_line(struct sl_call *c, const char *destination, const char *connection);
/* A text to copy, with its button. */
void sl_part_copy(struct sl_buf *h, const char *text);

#endif
