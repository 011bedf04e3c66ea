/* health.c - how the server itself is. */
#include "api/api.h"
#include "base/time.h"
#include "dashboard/dashboard.h"
#include "dashboard/page.h"
#include "runtime/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

/* More than so many wait: the number is a lower bound then. */
#define QUEUE_MAX 1000
/* Less than this share of a disk free is worth a warning. */
#define DISK_LOW 10

/* ---- the model ---- */

static json_int_t
size_of(const char *dir, const char *name)
{
    char *path = sl_path_join(dir, name);
    struct stat st;
    json_int_t size = stat(path, &st) == 0 ? (json_int_t)st.st_size : 0;

    free(path);
    return size;
}

static json_int_t
resident(long pid)
{
    char path[64];
    long pages = 0, in = 0;
    FILE *f;

    snprintf(path, sizeof path, "/proc/%ld/statm", pid);
    f = fopen(path, "re");
    if (f == NULL)
        return 0;
    if (fscanf(f, "%ld %ld", &pages, &in) != 2)
        in = 0;
    fclose(f);
    return (json_int_t)in * sysconf(_SC_PAGESIZE);
}

static json_t *
disk(const char *dir)
{
    struct statvfs fs;

    if (statvfs(dir, &fs) != 0)
        return json_null();
    return json_pack("{s:I, s:I}", "free", (json_int_t)(fs.f_bavail * fs.f_frsize), "size",
                     (json_int_t)(fs.f_blocks * fs.f_frsize));
}

static json_t *
queue(struct sl_call *c)
{
    struct sl_list list = { .kind = SL_K_CONNECTION };
    int64_t now = sl_now_us(), oldest = now;
    json_t *o;

    if (sl_store_due(c->sv->pf->store, now, QUEUE_MAX, &list, NULL))
        list.count = 0;
    for (size_t i = 0; i < list.count; i++) {
        const struct sl_connection *con = SL_ITEM(&list, struct sl_connection, i);
        int64_t at = con->requested != NULL ? con->requested_at : con->next_run_at;

        oldest = at > 0 && at < oldest ? at : oldest;
    }
    o = json_pack("{s:I, s:I}", "waiting", (json_int_t)list.count, "longest_us",
                  (json_int_t)(now - oldest));
    sl_list_free(&list);
    return o;
}

/* What stood around the connector that ran last. */
static json_t *
walls(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_SYNC, .descending = true, .light = true, .limit = 20 };
    struct sl_list list = { .kind = SL_K_SYNC };
    json_t *text = NULL;

    if (sl_store_list(c->sv->pf->store, &q, &list, NULL))
        list.count = 0;
    for (size_t i = 0; i < list.count && text == NULL; i++)
        if (SL_ITEM(&list, struct sl_sync_record, i)->walls != NULL)
            text = json_string(SL_ITEM(&list, struct sl_sync_record, i)->walls);
    sl_list_free(&list);
    return text != NULL ? text : json_null();
}

static json_t *
engines(const json_t *pids)
{
    json_t *list = json_array(), *pid;
    size_t i;

    json_array_foreach(pids, i, pid)
        json_array_append_new(list, json_pack("{s:O, s:I}", "pid", pid, "resident",
                                              resident((long)json_integer_value(pid))));
    return list;
}

static json_t *
make_model(struct sl_call *c)
{
    const char *dir = c->sv->pf->dir;
    json_t *worker = sl_worker_health(c->sv->w), *running = sl_worker_running(c->sv->w);
    json_t *m = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:o, s:o, s:o, s:o, s:O, s:O}", "title", "Health",
        "version", SL_VERSION, "uptime_us", (json_int_t)(sl_mono_us() - c->sv->started_at),
        "resident", resident(getpid()), "store_bytes",
        size_of(dir, "sluice.db") + size_of(dir, "sluice.db-wal"), "logs_bytes",
        size_of(dir, "logs.db") + size_of(dir, "logs.db-wal"), "disk", disk(dir), "queue", queue(c),
        "running", running, "engines", engines(json_object_get(worker, "engines")), "places",
        json_object_get(worker, "places"), "sandbox", json_object_get(worker, "sandbox"));

    json_object_set_new(m, "now", sl_json_time(sl_now_us()));
    json_object_set_new(m, "walls", walls(c));
    json_object_set_new(m, "pythons", json_array());
    for (const char *const *p = sl_worker_pythons(c->sv->w); *p != NULL; p++)
        json_array_append_new(json_object_get(m, "pythons"), json_string(*p));
    json_object_set_new(m, "data", c->role >= SL_ROLE_ADMIN ? json_string(dir) : json_null());
    json_decref(worker);
    return m;
}

/* ---- the view ---- */

static void
card(struct sl_view *v, const char *title)
{
    sl_html(v->h, "<div class=\"card\"><h2>%s</h2><p class=\"big\">", title);
}

static void
card_end(struct sl_view *v, const char *more)
{
    sl_html(v->h, "</p><p class=\"dim\">%s</p></div>", more);
}

static void
view_work(struct sl_view *v)
{
    int64_t waiting = sl_at_int(v->m, "queue.waiting");

    card(v, "Syncs running");
    sl_html(v->h, "%zu of %lld", json_array_size(sl_at(v->m, "running")),
            (long long)sl_at_int(v->m, "places"));
    card_end(v, "at the same time at most");
    card(v, "Waiting for a place");
    sl_html(v->h, "%lld%s", (long long)waiting, waiting == QUEUE_MAX ? " or more" : "");
    sl_html(v->h, "</p><p class=\"dim\">");
    if (waiting > 0) {
        sl_html(v->h, "the first for ");
        sl_html_duration(v->h, sl_at_int(v->m, "queue.longest_us"));
    } else {
        sl_html(v->h, "all begin in time");
    }
    sl_html(v->h, "</p></div>");
    card(v, "Engine processes");
    sl_html(v->h, "%zu", json_array_size(sl_at(v->m, "engines")));
    card_end(v, "one for each warehouse file in use");
}

static void
view_memory(struct sl_view *v)
{
    const json_t *e;
    int64_t engines_bytes = 0;
    size_t i;

    json_array_foreach(sl_at(v->m, "engines"), i, e) engines_bytes += sl_at_int(e, "resident");
    card(v, "Memory");
    sl_html_bytes(v->h, sl_at_int(v->m, "resident"));
    sl_html(v->h, "</p><p class=\"dim\">the server; its engines ");
    sl_html_bytes(v->h, engines_bytes);
    sl_html(v->h, "</p></div>");
}

static void
view_disk(struct sl_view *v)
{
    int64_t left = sl_at_int(v->m, "disk.free"), size = sl_at_int(v->m, "disk.size");
    bool low = size > 0 && left / (size / 100 + 1) < DISK_LOW;

    card(v, "Disk space");
    sl_html_bytes(v->h, left);
    sl_html(v->h, "</p><p class=\"%s\">%s%lld %% of it is free</p></div>", low ? "bad" : "dim",
            low ? "only " : "", (long long)(left / (size / 100 + 1)));
    card(v, "Store");
    sl_html_bytes(v->h, sl_at_int(v->m, "store_bytes"));
    sl_html(v->h, "</p><p class=\"dim\">logs ");
    sl_html_bytes(v->h, sl_at_int(v->m, "logs_bytes"));
    sl_html(v->h, "</p></div>");
}

static void
view_about(struct sl_view *v)
{
    const json_t *python;
    size_t i;

    sl_html(v->h,
            "<section><h2>About</h2><dl class=\"facts down\"><div><dt>Sandbox of connectors"
            "</dt><dd>%s</dd></div><div><dt>Its walls at the last sync</dt><dd>%s</dd></div>"
            "<div><dt>Python</dt><dd>",
            sl_at_text(v->m, "sandbox"),
            json_is_null(sl_at(v->m, "walls")) ? "none ran yet" : sl_at_text(v->m, "walls"));
    json_array_foreach(sl_at(v->m, "pythons"), i, python)
        sl_html(v->h, "%s%s", i > 0 ? ", " : "", json_string_value(python));
    sl_html(v->h, "</dd></div>");
    if (sl_may(v, SL_ROLE_ADMIN))
        sl_html(v->h, "<div><dt>Data directory</dt><dd><code>%s</code></dd></div>",
                sl_at_text(v->m, "data"));
    sl_html(v->h, "</dl></section>");
}

static void
view_lines(struct sl_view *v)
{
    char *index = sl_sprintf("pip install fivetran-connector-sdk --index-url %s/simple/",
                             sl_page_url(v->c));
    char *backup = sl_sprintf("sluiced backup sluice-backup.tar --data %s",
                              sl_may(v, SL_ROLE_ADMIN) ? sl_at_text(v->m, "data") : "DIR");

    sl_html(v->h, "<section><h2>Back up</h2><p class=\"dim\">On its machine, while it runs:</p>");
    sl_part_copy(v->h, backup);
    sl_html(v->h, "</section><section><h2>Package index</h2><p class=\"dim\">To install the SDK "
                  "from this server:</p>");
    sl_part_copy(v->h, index);
    sl_html(v->h, "</section>");
    free(index);
    free(backup);
}

static void
view(struct sl_view *v)
{
    sl_html(v->h, "<div class=\"title\"><h1>Health</h1></div><div class=\"cards\" id=\"health\" "
                  "data-live>");
    card(v, "Version");
    sl_html(v->h, "%s", sl_at_text(v->m, "version"));
    sl_html(v->h, "</p><p class=\"dim\">runs for ");
    sl_html_duration(v->h, sl_at_int(v->m, "uptime_us"));
    sl_html(v->h, "</p></div>");
    view_work(v);
    view_memory(v);
    view_disk(v);
    sl_html(v->h, "</div>");
    view_about(v);
    view_lines(v);
}

void
sl_page_health(struct sl_call *c)
{
    static const struct sl_page page = { .nav = "/dashboard/health", .view = view };

    sl_page_show(c, &page, make_model(c));
}
