#include "worker/message.h"

#include "base/time.h"

#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define HEAD 8
/* Three texts of the largest size, and then some. */
#define MESSAGE_MAX ((size_t)2 << 30)

/* ---- sending ---- */

static int
left_ms(int64_t until)
{
    int64_t us = until - sl_mono_us();

    return us <= 0 ? 0 : (int)((us + 999) / 1000);
}

static sl_rc
send_all(int fd, const char *p, size_t len, int *pass_fd, int64_t until, struct sl_err *err)
{
    while (len > 0) {
        union {
            struct cmsghdr align;
            char space[CMSG_SPACE(sizeof(int))];
        } control;
        struct iovec iov = { (void *)p, len };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };
        struct pollfd pfd = { .fd = fd, .events = POLLOUT };
        ssize_t n;

        if (*pass_fd >= 0) {
            struct cmsghdr *c = &control.align;

            memset(&control, 0, sizeof control);
            msg.msg_control = control.space;
            msg.msg_controllen = sizeof control.space;
            c->cmsg_level = SOL_SOCKET;
            c->cmsg_type = SCM_RIGHTS;
            c->cmsg_len = CMSG_LEN(sizeof(int));
            memcpy(CMSG_DATA(c), pass_fd, sizeof(int));
        }
        n = sendmsg(fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
        if (n > 0) {
            *pass_fd = -1;
            p += n;
            len -= (size_t)n;
        } else if (n < 0 && errno == EAGAIN) {
            if (left_ms(until) == 0)
                return sl_fail(err, SL_E_TIMEOUT, "the other process does not read");
            (void)poll(&pfd, 1, left_ms(until));
        } else if (n < 0 && errno != EINTR) {
            return sl_fail_errno(err, "writing to the other process");
        }
    }
    return 0;
}

sl_rc
sl_message_send(int fd, json_t *head, const struct sl_bytes *tails, int ntails, int pass_fd,
                int64_t timeout_us, struct sl_err *err)
{
    int64_t until = sl_mono_us() + timeout_us;
    char *text = json_dumps(head, JSON_COMPACT);
    uint64_t tail = 0;
    uint32_t lens[2];
    struct sl_buf buf;
    sl_rc rc;

    json_decref(head);
    if (text == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for a message");
    for (int i = 0; i < ntails; i++)
        tail += tails[i].len;
    sl_buf_init(&buf, MESSAGE_MAX);
    lens[0] = (uint32_t)strlen(text);
    lens[1] = (uint32_t)tail;
    rc = tail > UINT32_MAX / 2
             ? sl_fail(err, SL_E_LIMIT, "a message of %llu bytes", (unsigned long long)tail)
             : sl_buf_put(&buf, lens, sizeof lens, err);
    if (rc == 0)
        rc = sl_buf_put(&buf, text, lens[0], err);
    if (rc == 0)
        rc = send_all(fd, buf.ptr, buf.len, &pass_fd, until, err);
    for (int i = 0; i < ntails && rc == 0; i++)
        rc = send_all(fd, tails[i].ptr, tails[i].len, &pass_fd, until, err);
    sl_buf_free(&buf);
    free(text);
    return rc;
}

/* ---- receiving ---- */

void
sl_inbox_init(struct sl_inbox *in, int fd)
{
    *in = (struct sl_inbox){ .fd = fd, .passed = -1 };
    sl_buf_init(&in->buf, MESSAGE_MAX + HEAD);
}

void
sl_inbox_free(struct sl_inbox *in)
{
    json_decref(in->head);
    in->head = NULL;
    if (in->buf.ptr != NULL)
        sodium_memzero(in->buf.ptr, in->buf.cap);
    sl_buf_free(&in->buf);
}

/* Reads at most `want` bytes and a descriptor. Returns recvmsg's result. */
static ssize_t
receive(struct sl_inbox *in, size_t want)
{
    union {
        struct cmsghdr align;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct iovec iov = { in->buf.ptr + in->buf.len, want };
    struct msghdr msg = { .msg_iov = &iov,
                          .msg_iovlen = 1,
                          .msg_control = control.space,
                          .msg_controllen = sizeof control.space };
    ssize_t n = recvmsg(in->fd, &msg, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    struct cmsghdr *c = n > 0 ? CMSG_FIRSTHDR(&msg) : NULL;

    if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
        c->cmsg_len == CMSG_LEN(sizeof(int)))
        memcpy(&in->passed, CMSG_DATA(c), sizeof(int));
    return n;
}

/* How many bytes the message has, as far as is known. */
static size_t
whole(const struct sl_inbox *in)
{
    uint32_t lens[2];

    if (in->buf.len < HEAD)
        return HEAD;
    memcpy(lens, in->buf.ptr, HEAD);
    return HEAD + (size_t)lens[0] + lens[1];
}

static int
take(struct sl_inbox *in, struct sl_err *err)
{
    uint32_t lens[2];

    memcpy(lens, in->buf.ptr, HEAD);
    in->head = json_loadb(in->buf.ptr + HEAD, lens[0], JSON_ALLOW_NUL, NULL);
    in->tail = (struct sl_bytes){ in->buf.ptr + HEAD + lens[0], lens[1] };
    in->buf.len = 0; /* its bytes stay until the next message */
    if (!json_is_object(in->head))
        return sl_fail(err, SL_E_INTERNAL, "a message between server and engine is no JSON object");
    return 1;
}

int
sl_inbox_next(struct sl_inbox *in, int64_t timeout_us, struct sl_err *err)
{
    int64_t until = sl_mono_us() + timeout_us;
    struct pollfd pfd = { .fd = in->fd, .events = POLLIN };
    size_t want;
    ssize_t n;

    if (in->head != NULL) {
        json_decref(in->head);
        in->head = NULL;
    }
    for (;;) {
        want = whole(in);
        if (in->buf.len == want && want > HEAD)
            return take(in, err);
        if (want == HEAD && in->buf.len == HEAD)
            return sl_fail(err, SL_E_INTERNAL, "an empty message between server and engine");
        if (sl_buf_reserve(&in->buf, want - in->buf.len, err))
            return err ? err->code : SL_E_LIMIT;
        n = receive(in, want - in->buf.len);
        if (n > 0) {
            in->buf.len += (size_t)n;
            continue;
        }
        if (n == 0 || errno == ECONNRESET)
            return 2;
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return sl_fail_errno(err, "reading from the other process");
        if (left_ms(until) == 0)
            return 0;
        (void)poll(&pfd, 1, left_ms(until));
    }
}

/* ---- structs as JSON ---- */

#define FIELD(type, member, kind)                                                                  \
    {                                                                                              \
#member, kind, offsetof(type, member), sizeof(((type *)0)->member)                         \
    }
#define CONF(m, k) FIELD(struct sl_session_conf, m, k)
#define COUNT(m) FIELD(struct sl_counts, m, SL_FK_U64)
#define RESULT(m, k) FIELD(struct sl_session_result, m, k)
#define REPORT(m, k) FIELD(struct sl_table_report, m, k)
#define ERROR(m, k) FIELD(struct sl_err, m, k)

const struct sl_field sl_fields_conf[] = {
    CONF(destination, SL_FK_TEXT),    CONF(location, SL_FK_TEXT),
    CONF(spill_dir, SL_FK_TEXT),      CONF(connection, SL_FK_TEXT),
    CONF(mode, SL_FK_TEXT),           CONF(project, SL_FK_TEXT),
    CONF(mirror_name, SL_FK_TEXT),    CONF(naming, SL_FK_INT),
    CONF(log_level, SL_FK_INT),       CONF(durable, SL_FK_BOOL),
    CONF(schema_only, SL_FK_BOOL),    CONF(keep_state, SL_FK_BOOL),
    CONF(lock_wait_us, SL_FK_I64),    CONF(memory_limit, SL_FK_U64),
    CONF(block_size, SL_FK_U32),      CONF(hello_timeout_us, SL_FK_I64),
    CONF(idle_timeout_us, SL_FK_I64), CONF(commit_bytes, SL_FK_U64),
    CONF(commit_us, SL_FK_U64),       CONF(slice_bytes, SL_FK_U64),
    CONF(buffer_bytes, SL_FK_U64),    { 0 },
};

const struct sl_field sl_fields_counts[] = {
    COUNT(upserts),   COUNT(updates),        COUNT(deletes),
    COUNT(truncates), COUNT(checkpoints),    COUNT(schema_changes),
    COUNT(inserted),  COUNT(updated),        COUNT(deleted),
    COUNT(unchanged), COUNT(truncated),      COUNT(duplicates),
    COUNT(missed),    COUNT(filtered),       COUNT(rounded),
    COUNT(cut),       COUNT(filtered_cells), COUNT(replaced),
    COUNT(bytes),     COUNT(commits),        { 0 },
};
/* Every member is a uint64_t and stands above. */
_Static_assert(sizeof sl_fields_counts / sizeof sl_fields_counts[0] - 1 ==
                   sizeof(struct sl_counts) / sizeof(uint64_t),
               "a count is missing in sl_fields_counts");

const struct sl_field sl_fields_result[] = {
    RESULT(rows_discarded, SL_FK_BOOL),
    RESULT(discarded, SL_FK_U64),
    RESULT(open_us, SL_FK_I64),
    RESULT(connector_us, SL_FK_I64),
    RESULT(engine_us, SL_FK_I64),
    RESULT(destination_us, SL_FK_I64),
    RESULT(failure.phase, SL_FK_OWN),
    RESULT(failure.type, SL_FK_OWN),
    RESULT(failure.message, SL_FK_OWN),
    RESULT(failure.hint, SL_FK_OWN),
    RESULT(failure.file, SL_FK_OWN),
    RESULT(failure.function, SL_FK_OWN),
    RESULT(failure.traceback, SL_FK_OWN),
    RESULT(failure.line, SL_FK_INT),
    RESULT(failure.has_exit, SL_FK_BOOL),
    RESULT(failure.exit_code, SL_FK_INT),
    RESULT(failure.died, SL_FK_BOOL),
    RESULT(failure.by_operation, SL_FK_BOOL),
    { 0 },
};

const struct sl_field sl_fields_err[] = {
    ERROR(code, SL_FK_INT),
    ERROR(path, SL_FK_CHARS),
    ERROR(text, SL_FK_CHARS),
    ERROR(hint, SL_FK_CHARS),
    { 0 },
};

const struct sl_field sl_fields_report[] = {
    REPORT(source_schema, SL_FK_TEXT),  REPORT(source, SL_FK_TEXT),
    REPORT(schema, SL_FK_TEXT),         REPORT(name, SL_FK_TEXT),
    REPORT(upserts, SL_FK_U64),         REPORT(updates, SL_FK_U64),
    REPORT(deletes, SL_FK_U64),         REPORT(truncates, SL_FK_U64),
    REPORT(rows.inserted, SL_FK_U64),   REPORT(rows.updated, SL_FK_U64),
    REPORT(rows.deleted, SL_FK_U64),    REPORT(rows.truncated, SL_FK_U64),
    REPORT(rows.unchanged, SL_FK_U64),  REPORT(rows.missed, SL_FK_U64),
    REPORT(rows.duplicates, SL_FK_U64), REPORT(filtered, SL_FK_U64),
    REPORT(filtered_cells, SL_FK_U64),  REPORT(active, SL_FK_U64),
    REPORT(exact, SL_FK_BOOL),          { 0 },
};

const struct sl_bytes *
sl_conf_text(const struct sl_session_conf *conf, int i)
{
    const struct sl_bytes *texts[SL_CONF_TEXTS] = { &conf->configuration, &conf->state,
                                                    &conf->mirror, &conf->filter, &conf->options };

    return texts[i];
}

json_t *
sl_json_text(const char *s)
{
    json_t *v;
    char *copy;

    if (s == NULL)
        return json_null();
    v = json_string(s);
    if (v != NULL)
        return v;
    copy = sl_strdup(s);
    for (char *p = copy; *p; p++)
        if ((unsigned char)*p >= 0x80)
            *p = '?';
    v = json_string(copy);
    free(copy);
    return v;
}

json_t *
sl_fields_pack(const struct sl_field *fields, const void *base)
{
    json_t *o = json_object(), *v = NULL;

    for (; fields->name != NULL; fields++) {
        const char *p = (const char *)base + fields->offset;

        switch (fields->kind) {
        case SL_FK_TEXT:
        case SL_FK_OWN:
            v = sl_json_text(*(char *const *)p);
            break;
        case SL_FK_CHARS:
            v = sl_json_text(p);
            break;
        case SL_FK_BOOL:
            v = json_boolean(*(const bool *)p);
            break;
        case SL_FK_INT:
            v = json_integer(*(const int *)p);
            break;
        case SL_FK_U32:
            v = json_integer(*(const uint32_t *)p);
            break;
        case SL_FK_I64:
        case SL_FK_U64:
            v = json_integer(*(const int64_t *)p);
            break;
        }
        json_object_set_new(o, fields->name, v);
    }
    return o;
}

void
sl_fields_unpack(const struct sl_field *fields, const json_t *o, void *base)
{
    for (; fields->name != NULL; fields++) {
        const json_t *v = json_object_get(o, fields->name);
        char *p = (char *)base + fields->offset;

        switch (fields->kind) {
        case SL_FK_TEXT:
            *(const char **)p = json_string_value(v);
            break;
        case SL_FK_OWN:
            *(char **)p = json_is_string(v) ? sl_strdup(json_string_value(v)) : NULL;
            break;
        case SL_FK_CHARS:
            snprintf(p, fields->size, "%s", json_is_string(v) ? json_string_value(v) : "");
            break;
        case SL_FK_BOOL:
            *(bool *)p = json_is_true(v);
            break;
        case SL_FK_INT:
            *(int *)p = (int)json_integer_value(v);
            break;
        case SL_FK_U32:
            *(uint32_t *)p = (uint32_t)json_integer_value(v);
            break;
        case SL_FK_I64:
        case SL_FK_U64:
            *(int64_t *)p = json_integer_value(v);
            break;
        }
    }
}

/* ---- the catalog ---- */

static json_t *
type_pack(struct sl_coltype t)
{
    return json_pack("[i,i,i]", (int)t.type, (int)t.precision, (int)t.scale);
}

static struct sl_coltype
type_unpack(const json_t *v)
{
    json_int_t type = json_integer_value(json_array_get(v, 0));

    return (struct sl_coltype){
        .type = type > 0 && type < SL_T_COUNT ? (enum sl_type)type : SL_T_NONE,
        .precision = (uint8_t)json_integer_value(json_array_get(v, 1)),
        .scale = (uint8_t)json_integer_value(json_array_get(v, 2)),
    };
}

static json_t *
column_pack(const struct sl_column *c)
{
    return json_pack("{s:o, s:o, s:o, s:o, s:o, s:b, s:i, s:b}", "source", sl_json_text(c->source),
                     "name", sl_json_text(c->name), "row_name", sl_json_text(c->row_name), "type",
                     type_pack(c->type), "next", type_pack(c->next), "declared", (int)c->declared,
                     "key", c->key, "excluded", (int)c->excluded);
}

json_t *
sl_catalog_pack(const struct sl_catalog *cat)
{
    json_t *tables = json_array();

    for (int i = 0; i < cat->ntables; i++) {
        const struct sl_table *t = cat->tables[i];
        json_t *columns = json_array();

        for (int c = 0; c < t->ncolumns; c++)
            json_array_append_new(columns, column_pack(t->columns[c]));
        json_array_append_new(
            tables, json_pack("{s:o, s:o, s:o, s:o, s:b, s:b, s:b, s:b, s:o}", "source_schema",
                              sl_json_text(t->source_schema), "source", sl_json_text(t->source),
                              "schema", sl_json_text(t->schema), "name", sl_json_text(t->name),
                              "keyless", (int)t->keyless, "declared", (int)t->declared, "created",
                              (int)t->created, "excluded", (int)t->excluded, "columns", columns));
    }
    return json_pack("{s:o, s:b, s:I, s:o}", "prefix", sl_json_text(cat->prefix), "fivetran_naming",
                     (int)cat->fivetran_naming, "name_max", (json_int_t)cat->name_max, "tables",
                     tables);
}

static const char *
text_of(const json_t *o, const char *key)
{
    const char *s = json_string_value(json_object_get(o, key));

    return s ? s : "";
}

static bool
truth_of(const json_t *o, const char *key)
{
    return json_is_true(json_object_get(o, key));
}

static void
column_unpack(const json_t *o, struct sl_table *t)
{
    int i = sl_table_restore(t, text_of(o, "source"),
                             json_string_value(json_object_get(o, "row_name")), text_of(o, "name"),
                             type_unpack(json_object_get(o, "type")), truth_of(o, "declared"));

    t->columns[i]->next = type_unpack(json_object_get(o, "next"));
    t->columns[i]->excluded = truth_of(o, "excluded");
    t->columns[i]->key = (int)json_integer_value(json_object_get(o, "key"));
}

void
sl_catalog_unpack(const json_t *o, struct sl_catalog *cat)
{
    json_t *entry, *column;
    size_t i, c;

    sl_catalog_init(cat, text_of(o, "prefix"), truth_of(o, "fivetran_naming"),
                    (size_t)json_integer_value(json_object_get(o, "name_max")));
    json_array_foreach(json_object_get(o, "tables"), i, entry)
    {
        struct sl_table *t = sl_catalog_restore(cat, text_of(entry, "source_schema"),
                                                text_of(entry, "source"), text_of(entry, "schema"),
                                                text_of(entry, "name"));

        t->keyless = truth_of(entry, "keyless");
        t->declared = truth_of(entry, "declared");
        t->created = t->saved = truth_of(entry, "created");
        t->excluded = truth_of(entry, "excluded");
        json_array_foreach(json_object_get(entry, "columns"), c, column) column_unpack(column, t);
        sl_table_settle_keys(t);
    }
}
