/* api_alerts.c - what a person should look at: each with its cause and what mends it. */
#include "api/api.h"
#include "api/connections.h"
#include "base/text.h"
#include "base/time.h"
#include "platform/schedule.h"

#include <stdio.h>
#include <stdlib.h>

/* More than anybody reads at once; the number of all is told beside. */
#define LIMIT 200

struct alert {
    const char *kind;
    int64_t since;
    char cause[600], fix[400];
};

static const char *
or_else(const char *text, const char *otherwise)
{
    return text != NULL && text[0] != '\0' ? text : otherwise;
}

static void
of_setup(const struct sl_connection *con, struct alert *a)
{
    char *missing = sl_setup_missing(con);

    a->kind = "setup_pending";
    a->since = con->created_at;
    snprintf(a->cause, sizeof a->cause, "It cannot run: %s",
             or_else(missing, "its setup was not tested"));
    snprintf(a->fix, sizeof a->fix, "Give it what is missing, and test its setup");
    free(missing);
}

static void
of_failure(const struct sl_connection *con, const struct sl_sync_record *last, struct alert *a)
{
    bool broken = con->setup_state != NULL && strcmp(con->setup_state, "broken") == 0;

    a->kind = broken ? "broken" : "failing";
    a->since = con->failed_at;
    if (con->failures > 1)
        snprintf(a->cause, sizeof a->cause, "%lld syncs in a row failed. %s",
                 (long long)con->failures, or_else(last->reason, "See its log"));
    else
        snprintf(a->cause, sizeof a->cause, "%s", or_else(last->reason, "Its last sync failed"));
    snprintf(a->fix, sizeof a->fix, "%s",
             or_else(last->hint, broken ? "Mend it, then sync again: it does not run by itself"
                                        : "It is tried again by itself; its log tells more"));
}

static void
of_rescheduled(const struct sl_sync_record *last, struct alert *a)
{
    a->kind = "rescheduled";
    a->since = last->finished_at;
    snprintf(a->cause, sizeof a->cause, "It was cut short more than once in a row. %s",
             or_else(last->reason, "It ran out of memory or time"));
    snprintf(a->fix, sizeof a->fix, "%s",
             or_else(last->hint, "Checkpoint more often, or give it more memory or time"));
}

static void
of_connection(struct sl_call *c, const struct sl_connection *con, int64_t now, struct alert *a)
{
    struct sl_sync_record last;

    if (con->setup_state == NULL || strcmp(con->setup_state, "incomplete") == 0) {
        of_setup(con, a);
        return;
    }
    sl_last_sync(c, con, &last);
    if (strcmp(con->setup_state, "broken") == 0 || con->failures > 0) {
        of_failure(con, &last, a);
    } else if (sl_is_delayed(con, now)) {
        a->kind = "delayed";
        a->since = con->next_run_at;
        snprintf(a->cause, sizeof a->cause,
                 "Its time came and its sync could not begin: all places are taken by others");
        snprintf(a->fix, sizeof a->fix,
                 "Let fewer run at the same time, or more at once (sluiced serve --workers)");
    } else {
        of_rescheduled(&last, a);
    }
    sl_record_free(SL_K_SYNC, &last);
}

/* Cut in the middle of a character, a text is not valid any more. */
static json_t *
text(char *s)
{
    size_t n = strlen(s);

    while (n > 0 && !sl_utf8_valid(s, n))
        n--;
    return json_stringn(s, n);
}

static void
add_connection(struct sl_call *c, json_t *items, const struct sl_connection *con, int64_t now)
{
    struct alert a = { 0 };

    of_connection(c, con, now, &a);
    json_array_append_new(items, json_pack("{s:s, s:s, s:s, s:s, s:o, s:o, s:o, s:s, s:o}", "kind",
                                           a.kind, "subject_kind", "connection", "subject_id",
                                           con->id, "name", con->schema ? con->schema : "", "since",
                                           sl_json_time(a.since), "cause", text(a.cause), "fix",
                                           text(a.fix), "status", sl_connection_status(con, now),
                                           "group_id", sl_json_text(con->group_id)));
}

/* Destinations whose last test failed. */
static bool
add_destinations(struct sl_call *c, json_t *items, int64_t *count)
{
    struct sl_query q = { .kind = SL_K_DESTINATION, .where = { { "setup_status", "broken" } } };
    struct sl_list list = { .kind = SL_K_DESTINATION };
    struct sl_err err = { 0 };

    if (sl_store_list(c->sv->pf->store, &q, &list, &err)) {
        sl_refuse_err(c, &err);
        return false;
    }
    *count += (int64_t)list.count;
    for (size_t i = 0; i < list.count; i++) {
        const struct sl_destination *d = SL_ITEM(&list, struct sl_destination, i);
        struct sl_group g = { 0 };

        if (sl_store_get(c->sv->pf->store, SL_K_GROUP, d->id, &g, NULL))
            memset(&g, 0, sizeof g);
        json_array_append_new(items,
                              json_pack("{s:s, s:s, s:s, s:s, s:n, s:s, s:s, s:s, s:s}", "kind",
                                        "destination", "subject_kind", "destination", "subject_id",
                                        d->id, "name", g.name ? g.name : d->id, "since", "cause",
                                        "The last test of this destination failed", "fix",
                                        "Mend what the test tells, and test it again", "status",
                                        "Broken", "group_id", d->id));
        sl_record_free(SL_K_GROUP, &g);
    }
    sl_list_free(&list);
    return true;
}

void
sl_api_alerts(struct sl_call *c)
{
    struct sl_list list = { .kind = SL_K_CONNECTION };
    json_t *items = json_array();
    struct sl_err err = { 0 };
    int64_t now = sl_now_us(), count = 0;

    if (sl_store_alerts(c->sv->pf->store, now, LIMIT, &list, &count, &err)) {
        sl_refuse_err(c, &err);
    } else if (add_destinations(c, items, &count)) {
        for (size_t i = 0; i < list.count; i++)
            add_connection(c, items, SL_ITEM(&list, struct sl_connection, i), now);
        sl_say(c, 200, json_pack("{s:O, s:I}", "items", items, "count", (json_int_t)count), NULL);
    }
    sl_list_free(&list);
    json_decref(items);
}
