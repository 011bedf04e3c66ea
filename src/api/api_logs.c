/* api_logs.c - log lines of a connection, by pages or as they come; and what runs, as it changes. */
#include "api/api.h"
#include "base/time.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Lines of one turn of a stream. */
#define STREAM_LINES 500
#define WAIT_US 500000

static json_t *
line_json(const struct sl_log_line *line)
{
    json_t *text = json_stringn(line->text, line->len);

    return json_pack("{s:I, s:o, s:o, s:o, s:o, s:o}", "number", (json_int_t)line->seq, "time",
                     sl_json_time(line->time), "level", sl_json_text(line->level), "origin",
                     sl_json_text(line->origin), "sync_id", sl_json_text(line->sync_id), "message",
                     text != NULL ? text : json_string("(not valid UTF-8)"));
}

static bool
take_seq(void *ctx, const struct sl_log_line *line)
{
    *(int64_t *)ctx = line->seq;
    return false;
}

/* Number of the newest line there is, whatever it says; 0: none. */
static sl_rc
newest_line(struct sl_logs *logs, const char *connection_id, int64_t *seq, struct sl_err *err)
{
    struct sl_log_query q = { .connection_id = connection_id, .descending = true, .limit = 1 };

    *seq = 0;
    return sl_logs_read(logs, &q, take_seq, seq, err);
}

/* ---- pages ---- */

/* Where to begin: `after`, a line's number, else `cursor`. */
static bool
read_place(struct sl_call *c, struct sl_log_query *q, int64_t *limit)
{
    return sl_page_read(c, &q->after_seq, limit) &&
           sl_param_int(c, "after", 0, INT64_MAX, &q->after_seq);
}

struct page {
    json_t *items;
    int64_t limit, last;
    bool more;
};

static bool
add_line(void *ctx, const struct sl_log_line *line)
{
    struct page *p = ctx;

    if ((int64_t)json_array_size(p->items) == p->limit) {
        p->more = true;
        return false;
    }
    json_array_append_new(p->items, line_json(line));
    p->last = line->seq;
    return true;
}

static void
say_lines(struct sl_call *c, struct sl_log_query *q)
{
    struct page page = { .items = json_array() };
    struct sl_err err = { 0 };
    json_t *data;

    if (!read_place(c, q, &page.limit)) {
        json_decref(page.items);
        return;
    }
    q->limit = (int)page.limit + 1;
    if (sl_logs_read(c->sv->pf->logs, q, add_line, &page, &err)) {
        json_decref(page.items);
        sl_refuse_err(c, &err);
        return;
    }
    data = json_pack("{s:o}", "items", page.items);
    if (page.more)
        json_object_set_new(data, "next_cursor", sl_page_cursor(page.last));
    sl_say(c, 200, data, NULL);
}

/* ---- where which line is ---- */

/* For who shows a long log as one: how many lines match, and the first of each page of them. */
struct index {
    json_t *numbers;
    int64_t every, count, last;
};

static bool
add_to_index(void *ctx, const struct sl_log_line *line)
{
    struct index *x = ctx;

    if (x->count % x->every == 0)
        json_array_append_new(x->numbers, json_integer(line->seq));
    x->last = line->seq > x->last ? line->seq : x->last;
    x->count++;
    return true;
}

static void
say_index(struct sl_call *c, struct sl_log_query *q, int64_t every)
{
    struct index x = { json_array(), every, 0, 0 };
    struct sl_err err = { 0 };

    q->descending = false;
    if (newest_line(c->sv->pf->logs, q->connection_id, &x.last, &err) ||
        sl_logs_read(c->sv->pf->logs, q, add_to_index, &x, &err)) {
        json_decref(x.numbers);
        sl_refuse_err(c, &err);
        return;
    }
    sl_say(c, 200,
           json_pack("{s:[], s:I, s:o, s:I}", "items", "count", (json_int_t)x.count, "numbers",
                     x.numbers, "last", (json_int_t)x.last),
           NULL);
}

/* ---- live ---- */

/* What the query names is lent by the call, which ends after its answer. */
struct follow {
    struct sl_server *sv;
    struct sl_log_query q;
    struct sl_buf *out;
    int lines; /* of this turn */
};

static bool
add_event(void *ctx, const struct sl_log_line *line)
{
    struct follow *f = ctx;
    json_t *o = line_json(line);
    char *text = sl_json_dump(o);

    sl_buf_addf(f->out, "id: %lld\nevent: log\ndata: %s\n\n", (long long)line->seq, text);
    f->q.after_seq = line->seq;
    f->lines++;
    free(text);
    json_decref(o);
    return f->out->len < MIB; /* the rest next time */
}

static bool
next_lines(void *ctx, struct sl_buf *out)
{
    struct follow *f = ctx;
    struct sl_err err;
    int64_t newest;

    f->out = out;
    f->lines = 0;
    sl_logs_wait(f->sv->pf->logs, f->q.after_seq, WAIT_US);
    if (newest_line(f->sv->pf->logs, NULL, &newest, &err) ||
        sl_logs_read(f->sv->pf->logs, &f->q, add_event, f, &err))
        return false;
    /* Lines that do not match, or are of others, are not looked at again. */
    if (f->lines < STREAM_LINES && out->len < MIB && newest > f->q.after_seq)
        f->q.after_seq = newest;
    return true;
}

/* From what the client saw last (Last-Event-ID, after, cursor), or from `since`, or from now. */
static bool
follow_from(struct sl_call *c, struct sl_log_query *q)
{
    const char *id = sl_req_header(c->req, "Last-Event-ID");
    struct sl_err err = { 0 };
    int64_t limit, seen = id != NULL ? strtoll(id, NULL, 10) : 0;

    if (!read_place(c, q, &limit))
        return false;
    /* A browser that comes back asks as it did at first, and says what it saw since. */
    if (seen > q->after_seq)
        q->after_seq = seen;
    if (q->after_seq != 0 || q->since_us != 0 || sl_param_get(c, "after") != NULL)
        return true;
    if (newest_line(c->sv->pf->logs, q->connection_id, &q->after_seq, &err) == SL_OK)
        return true;
    sl_refuse_err(c, &err);
    return false;
}

static void
follow_lines(struct sl_call *c, struct sl_log_query *q)
{
    struct follow *f;
    struct sl_stream stream = { next_lines, free, NULL };

    if (!follow_from(c, q))
        return;
    f = sl_zalloc(1, sizeof *f);
    q->limit = STREAM_LINES;
    q->descending = false;
    f->sv = c->sv;
    f->q = *q;
    stream.ctx = f;
    sl_req_answer_stream(c->req, &stream);
}

/* ---- as a file ---- */

static bool
write_line(void *ctx, const struct sl_log_line *line)
{
    char when[32];

    sl_time_text(line->time, when);
    return fprintf(ctx, "%s %-8s %s: %.*s\n", when, line->level, line->origin, (int)line->len,
                   line->text) > 0;
}

/* A file without a name: nothing is left of it, and it takes no memory. */
static void
download_lines(struct sl_call *c, struct sl_log_query *q)
{
    int fd = open(c->sv->pf->dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    FILE *f = fd >= 0 ? fdopen(dup(fd), "w") : NULL;
    struct sl_err err = { 0 };
    struct stat st;
    sl_rc rc = f != NULL ? sl_logs_read(c->sv->pf->logs, q, write_line, f, &err)
                         : sl_fail_errno(&err, "cannot write the file to download");

    if (f != NULL && fclose(f) != 0 && rc == SL_OK)
        rc = sl_fail_errno(&err, "cannot write the file to download");
    if (rc == SL_OK && fstat(fd, &st) == 0) {
        sl_req_answer_fd(c->req, 200, "text/plain; charset=utf-8", fd, (uint64_t)st.st_size);
        sl_req_header_add(c->req, "Content-Disposition", "attachment; filename=\"sync.log\"");
        return;
    }
    if (fd >= 0)
        close(fd);
    sl_refuse_err(c, &err);
}

void
sl_api_logs(struct sl_call *c)
{
    struct sl_log_query q = { .connection_id = c->args[0],
                              .sync_id = sl_param_get(c, "sync_id"),
                              .text = sl_param_get(c, "q") };
    struct sl_connection con = { 0 };
    const char *order = "asc";
    bool follow = false, download = false;
    int64_t index = 0;

    if (!sl_call_get(c, SL_K_CONNECTION, c->args[0], &con))
        return;
    sl_record_free(SL_K_CONNECTION, &con);
    if (!sl_param_word(c, "level", "INFO|WARNING|ERROR|SEVERE|CRITICAL", &q.level) ||
        !sl_param_word(c, "order", "asc|desc", &order) || !sl_param_bool(c, "follow", &follow) ||
        !sl_param_bool(c, "download", &download) || !sl_param_time(c, "since", &q.since_us) ||
        !sl_param_time(c, "before", &q.before_us) || !sl_param_int(c, "index", 1, 1000, &index))
        return;
    q.descending = order[0] == 'd';
    if (download)
        download_lines(c, &q);
    else if (follow || sl_accepts(c, "text/event-stream"))
        follow_lines(c, &q);
    else if (index != 0)
        say_index(c, &q, index);
    else
        say_lines(c, &q);
}

/* ---- what runs ---- */

struct events {
    struct sl_server *sv;
    uint64_t seen;
    bool begun;
};

static bool
next_events(void *ctx, struct sl_buf *out)
{
    struct events *e = ctx;
    uint64_t now = sl_worker_watch(e->sv->w, e->seen, e->begun ? WAIT_US : 0);
    json_t *running;
    char *text;

    if (e->begun && now == e->seen)
        return true;
    e->begun = true;
    e->seen = now;
    running = sl_worker_running(e->sv->w);
    text = sl_json_dump(running);
    sl_buf_addf(out, "id: %llu\nevent: running\ndata: %s\n\n", (unsigned long long)now, text);
    free(text);
    json_decref(running);
    return true;
}

void
sl_api_events(struct sl_call *c)
{
    struct events *e = sl_zalloc(1, sizeof *e);
    struct sl_stream stream = { next_events, free, e };

    e->sv = c->sv;
    sl_req_answer_stream(c->req, &stream);
}
