#include "server/listing.h"

#include "base/time.h"
#include "platform/fields.h"
#include "platform/schedule.h"
#include "runtime/box.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>

#define TEXT_MAX 32

/* ---- cells ---- */

/* "2026-11-25 10:12:07" in UTC, or "-". */
static const char *
time_text(int64_t us, char out[TEXT_MAX])
{
    time_t t = (time_t)(us / 1000000);
    struct tm tm;

    if (us == 0 || gmtime_r(&t, &tm) == NULL)
        return "-";
    strftime(out, TEXT_MAX, "%Y-%m-%d %H:%M:%S", &tm);
    return out;
}

/* "850 ms", "12.3 s", "4 min 5 s", "2 h 3 min" */
static const char *
span_text(int64_t us, char out[TEXT_MAX])
{
    long long s = us / 1000000;

    if (us < 1000000)
        snprintf(out, TEXT_MAX, "%d ms", (int)(us / 1000));
    else if (s < 60)
        snprintf(out, TEXT_MAX, "%.1f s", (double)us / 1e6);
    else if (s < 3600)
        snprintf(out, TEXT_MAX, "%lld min %lld s", s / 60, s % 60);
    else
        snprintf(out, TEXT_MAX, "%lld h %lld min", s / 3600, s / 60 % 60);
    return out;
}

static const char *
or_dash(const char *s)
{
    return s != NULL && *s != '\0' ? s : "-";
}

static struct sl_box *
box_of(const char *const *heads, int n)
{
    struct sl_box *box = sl_box_new(n);

    for (int i = 0; i < n; i++)
        sl_box_head(box, i, heads[i], "", false);
    return box;
}

#define COUNT(a) ((int)(sizeof(a) / sizeof(a)[0]))

static void
end_box(struct sl_box *box, size_t rows, const char *none)
{
    if (rows > 0)
        sl_box_print(box);
    else
        puts(none);
    sl_box_free(box);
}

/* ---- JSON ---- */

static bool
ends_with(const char *s, const char *end)
{
    size_t n = strlen(s), m = strlen(end);

    return n >= m && strcmp(s + n - m, end) == 0;
}

static json_t *
json_time(int64_t us)
{
    char text[TEXT_MAX + 8];
    time_t t = (time_t)(us / 1000000);
    struct tm tm;
    size_t n;

    if (us == 0 || gmtime_r(&t, &tm) == NULL)
        return json_null();
    n = strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(text + n, sizeof text - n, ".%06dZ", (int)(us % 1000000));
    return json_string(text);
}

/* Texts that are JSON are given as what they are. */
static json_t *
json_text(const char *s)
{
    json_t *value = NULL;

    if (s == NULL)
        return json_null();
    if (s[0] == '{' || s[0] == '[')
        value = json_loads(s, JSON_ALLOW_NUL, NULL);
    if (value == NULL)
        value = json_string(s);
    return value ? value : json_null();
}

static json_t *
json_record(enum sl_kind kind, void *rec)
{
    const struct sl_kind_def *def = sl_kind_def(kind);
    json_t *o = json_object();

    for (int i = 0; i < def->nfields; i++) {
        const struct sl_field *f = &def->fields[i];
        json_t *value;

        if (f->flags != 0) /* sealed, hashes; large ones were not read */
            continue;
        if (f->type == SL_FIELD_TEXT)
            value = json_text(*sl_field_text(f, rec));
        else if (f->type == SL_FIELD_BOOL)
            value = json_boolean(*sl_field_bool(f, rec));
        else if (ends_with(f->name, "_at") || ends_with(f->name, "_for"))
            value = json_time(*sl_field_int(f, rec));
        else
            value = json_integer(*sl_field_int(f, rec));
        json_object_set_new(o, f->name, value);
    }
    return o;
}

static void
print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_INDENT(2));
    putchar('\n');
    json_decref(value);
}

static json_t *
json_list(const struct sl_list *list)
{
    json_t *all = json_array();

    for (size_t i = 0; i < list->count; i++)
        json_array_append_new(
            all, json_record(list->kind, (char *)list->items + i * sl_record_size(list->kind)));
    return all;
}

/* All that `q` finds: as JSON, or each as a line by `row` below these heads; `none` when there is nothing. */
static sl_rc
show_list(struct sl_store *st, const struct sl_query *q, bool json, const char *const *heads,
          int nheads, void (*row)(struct sl_box *box, const void *rec), const char *none,
          struct sl_err *err)
{
    struct sl_list list = { 0 };
    struct sl_box *box;
    sl_rc rc = sl_store_list(st, q, &list, err);

    if (rc == SL_OK && json) {
        print_json(json_list(&list));
    } else if (rc == SL_OK) {
        box = box_of(heads, nheads);
        for (size_t i = 0; i < list.count; i++)
            row(box, (char *)list.items + i * sl_record_size(list.kind));
        end_box(box, list.count, none);
    }
    sl_list_free(&list);
    return rc;
}

/* ---- connections ---- */

static const char *
condition(const struct sl_connection *c, int64_t now)
{
    if (c->running_sync != NULL)
        return "syncing";
    if (c->setup_state == NULL || strcmp(c->setup_state, "incomplete") == 0)
        return "incomplete";
    if (c->paused)
        return "paused";
    if (strcmp(c->setup_state, "broken") == 0)
        return "broken";
    if (c->rescheduled_for)
        return "rescheduled";
    return sl_is_delayed(c, now) ? "delayed" : "scheduled";
}

static const char *
group_name(const struct sl_list *groups, const char *id)
{
    for (size_t i = 0; i < groups->count; i++)
        if (id != NULL && strcmp(SL_ITEM(groups, struct sl_group, i)->id, id) == 0)
            return or_dash(SL_ITEM(groups, struct sl_group, i)->name);
    return or_dash(id);
}

static const char *
every_text(const struct sl_connection *c, char out[TEXT_MAX])
{
    if (c->schedule_type != NULL && strcmp(c->schedule_type, "manual") == 0)
        return "manual";
    if (c->daily_sync_time != NULL)
        snprintf(out, TEXT_MAX, "daily %.10s", c->daily_sync_time);
    else
        snprintf(out, TEXT_MAX, "%lld min", (long long)c->sync_frequency);
    return out;
}

sl_rc
sl_show_connections(struct sl_store *st, bool json, struct sl_err *err)
{
    static const char *const heads[] = { "connection",   "destination",  "id",
                                         "state",        "every",        "next run",
                                         "last success", "last failure", "failures",
                                         "syncs" };
    struct sl_query q = { .kind = SL_K_CONNECTION, .light = true }, gq = { .kind = SL_K_GROUP };
    struct sl_list list = { 0 }, groups = { 0 };
    struct sl_box *box;
    sl_rc rc = sl_store_list(st, &q, &list, err);

    if (rc == SL_OK)
        rc = sl_store_list(st, &gq, &groups, err);
    if (rc == SL_OK && json) {
        print_json(json_list(&list));
    } else if (rc == SL_OK) {
        box = box_of(heads, COUNT(heads));
        for (size_t i = 0; i < list.count; i++) {
            const struct sl_connection *c = SL_ITEM(&list, struct sl_connection, i);
            char t[4][TEXT_MAX], n[2][TEXT_MAX];
            const char *cells[COUNT(heads)];

            snprintf(n[0], TEXT_MAX, "%lld", (long long)c->failures);
            snprintf(n[1], TEXT_MAX, "%lld", (long long)c->nsyncs);
            cells[0] = or_dash(c->schema);
            cells[1] = group_name(&groups, c->group_id);
            cells[2] = c->id;
            cells[3] = condition(c, sl_now_us());
            cells[4] = every_text(c, t[0]);
            cells[5] = time_text(c->next_run_at, t[1]);
            cells[6] = time_text(c->succeeded_at, t[2]);
            cells[7] = time_text(c->failed_at, t[3]);
            cells[8] = n[0];
            cells[9] = n[1];
            sl_box_row(box, COUNT(heads), cells);
        }
        end_box(box, list.count, "no connections yet: fivetran deploy makes one");
    }
    sl_list_free(&list);
    sl_list_free(&groups);
    return rc;
}

/* ---- syncs ---- */

static void
sync_row(struct sl_box *box, const void *rec)
{
    const struct sl_sync_record *s = rec;
    int64_t end = s->finished_at ? s->finished_at : sl_now_us();
    char started[TEXT_MAX], took[TEXT_MAX], number[TEXT_MAX];
    const char *cells[] = { or_dash(s->connection_id),
                            number,
                            or_dash(s->trigger),
                            or_dash(s->status),
                            time_text(s->started_at, started),
                            s->started_at ? span_text(end - s->started_at, took) : "-",
                            or_dash(s->reason ? s->reason : s->stage),
                            s->id };

    snprintf(number, sizeof number, "%lld", (long long)s->number);
    sl_box_row(box, COUNT(cells), cells);
}

static const char *const sync_heads[] = { "connection", "sync", "trigger", "status",
                                          "started",    "took", "reason",  "id" };

sl_rc
sl_show_syncs(struct sl_store *st, bool json, int limit, struct sl_err *err)
{
    struct sl_query q = { .kind = SL_K_SYNC, .descending = true, .limit = limit, .light = true };

    return show_list(st, &q, json, sync_heads, COUNT(sync_heads), sync_row, "no syncs yet", err);
}

/* ---- jobs ---- */

static void
due_rows(struct sl_box *box, const struct sl_list *due)
{
    for (size_t i = 0; i < due->count; i++) {
        const struct sl_connection *c = SL_ITEM(due, struct sl_connection, i);
        char since[TEXT_MAX];
        const char *cells[] = { c->id,
                                "-",
                                c->requested ? c->requested : SL_TRIGGER_SCHEDULE,
                                "DUE",
                                time_text(c->requested ? c->requested_at : c->next_run_at, since),
                                "-",
                                "waits for a free place",
                                "-" };

        sl_box_row(box, COUNT(cells), cells);
    }
}

sl_rc
sl_show_jobs(struct sl_store *st, bool json, struct sl_err *err)
{
    struct sl_query q = { .kind = SL_K_SYNC, .where = { { "status", "RUNNING" } }, .light = true };
    struct sl_list running = { 0 }, due = { 0 };
    struct sl_box *box;
    sl_rc rc = sl_store_list(st, &q, &running, err);

    if (rc == SL_OK)
        rc = sl_store_due(st, sl_now_us(), 1000, &due, err);
    if (rc == SL_OK && json) {
        print_json(json_pack("{s:o,s:o}", "running", json_list(&running), "due", json_list(&due)));
    } else if (rc == SL_OK) {
        box = box_of(sync_heads, COUNT(sync_heads));
        for (size_t i = 0; i < running.count; i++)
            sync_row(box, SL_ITEM(&running, struct sl_sync_record, i));
        due_rows(box, &due);
        end_box(box, running.count + due.count, "nothing runs, and nothing is due");
    }
    sl_list_free(&running);
    sl_list_free(&due);
    return rc;
}

/* ---- keys ---- */

static void
key_row(struct sl_box *box, const void *rec)
{
    const struct sl_key *k = rec;
    char t[3][TEXT_MAX];
    const char *cells[] = { k->id,
                            or_dash(k->name),
                            or_dash(k->role),
                            time_text(k->created_at, t[0]),
                            time_text(k->last_used_at, t[1]),
                            time_text(k->revoked_at, t[2]) };

    sl_box_row(box, COUNT(cells), cells);
}

sl_rc
sl_show_keys(struct sl_store *st, bool json, struct sl_err *err)
{
    static const char *const heads[] = { "key", "name", "role", "created", "last used", "revoked" };
    struct sl_query q = { .kind = SL_K_KEY };

    return show_list(st, &q, json, heads, COUNT(heads), key_row,
                     "no keys: sluiced key create --name NAME --data DIR", err);
}

/* ---- users ---- */

static void
user_row(struct sl_box *box, const void *rec)
{
    const struct sl_user *u = rec;
    char t[TEXT_MAX];
    const char *cells[] = { u->id, or_dash(u->email), or_dash(u->role),
                            u->active && u->password != NULL ? "yes" : "no",
                            time_text(u->logged_in_at, t) };

    sl_box_row(box, COUNT(cells), cells);
}

sl_rc
sl_show_users(struct sl_store *st, bool json, struct sl_err *err)
{
    static const char *const heads[] = { "user", "e-mail", "role", "can log in", "last login" };
    struct sl_query q = { .kind = SL_K_USER };

    return show_list(st, &q, json, heads, COUNT(heads), user_row,
                     "no users: sluiced user add EMAIL --role admin --data DIR", err);
}
