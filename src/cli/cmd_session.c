/* cmd_session.c - `python connector.py`: the connector's process starts this command as its engine. The first frame on
 * the socket, type 100, brings the configuration and perhaps a state; from then on it is a session like any other. */
#include "cli/commands.h"
#include "cli/local.h"
#include "cli/report.h"
#include "runtime/file.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define FRAME_HEAD 8
#define FRAME_PREPARE 100
#define FRAME_MAX (1u << 30)
/* The SDK sends the frame right after it has started us. */
#define PREPARE_MS 60000

static const struct sl_opt opts[] = {
    { "fd", "N", NULL, "the connector's socket", '\0' },
    { "project", "DIR", NULL, "the connector's folder", '\0' },
    { "destination", "FILE", "SLUICE_DESTINATION_FILE", "the warehouse to load into", '\0' },
    { "naming", "NAMING", "FIVETRAN_NAMING", "FIVETRAN or SOURCE", '\0' },
    { "log-level", "LEVEL", "FIVETRAN_LOG_LEVEL", "least level shown", '\0' },
    { 0 },
};

/* Exactly n bytes: what follows belongs to the session. */
static sl_rc
read_exactly(int fd, unsigned char *ptr, size_t n, struct sl_err *err)
{
    while (n > 0) {
        struct pollfd p = { .fd = fd, .events = POLLIN };
        ssize_t got;

        if (poll(&p, 1, PREPARE_MS) == 0)
            return sl_fail(err, SL_E_TIMEOUT, "the connector's process did not say what to do");
        got = read(fd, ptr, n);
        if (got < 0 && (errno == EINTR || errno == EAGAIN))
            continue;
        if (got < 0)
            return sl_fail_errno(err, "reading the first frame");
        if (got == 0)
            return sl_fail(err, SL_E_PROTOCOL,
                           "the connector's process ended before it said what to do");
        ptr += got;
        n -= (size_t)got;
    }
    return SL_OK;
}

static sl_rc
take_prepare(struct sl_local *loc, json_t *obj, struct sl_err *err)
{
    json_t *conf = json_object_get(obj, "configuration"), *state = json_object_get(obj, "state");
    char *text;

    loc->configuration = conf == NULL || json_is_null(conf) ? json_object() : json_incref(conf);
    loc->configured = true;
    if (json_is_object(state)) {
        text = json_dumps(state, JSON_COMPACT);
        if (text == NULL)
            return sl_fail(err, SL_E_NOMEM, "no memory for the state");
        sl_buf_add(&loc->state, text);
        free(text);
    } else if (state != NULL && !json_is_null(state)) {
        return sl_fail(err, SL_E_CONFIG, "state is not a dict");
    }
    return sl_check_configuration(loc->configuration, "configuration", false, err);
}

static sl_rc
read_prepare(struct sl_local *loc, struct sl_err *err)
{
    unsigned char head[FRAME_HEAD], *body = NULL;
    uint32_t len;
    json_t *obj = NULL;
    sl_rc rc = read_exactly(loc->fd, head, sizeof head, err);

    if (rc)
        return rc;
    len = head[0] | (uint32_t)head[1] << 8 | (uint32_t)head[2] << 16 | (uint32_t)head[3] << 24;
    if (head[4] != FRAME_PREPARE || len > FRAME_MAX)
        return sl_fail(err, SL_E_PROTOCOL, "the first frame is of type %d, not %d", head[4],
                       FRAME_PREPARE);
    body = sl_try_realloc(NULL, (size_t)len + 1, 1);
    if (body == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for a first frame of %u bytes", len);
    rc = read_exactly(loc->fd, body, len, err);
    if (rc == SL_OK) {
        obj = json_loadb((const char *)body, len, JSON_ALLOW_NUL, NULL);
        rc = json_is_object(obj) ? take_prepare(loc, obj, err)
                                 : sl_fail(err, SL_E_PROTOCOL, "the first frame is no JSON object");
    }
    json_decref(obj);
    free(body);
    return rc;
}

static sl_rc
read_inputs(const struct sl_args *args, struct sl_local *loc, struct sl_err *err)
{
    const char *fd = sl_arg(args, "fd");
    int64_t number;
    sl_rc rc;

    if (fd == NULL || !sl_parse_i64(fd, 0, 65535, &number))
        return sl_fail(err, SL_E_USAGE, "--fd is the number of a socket");
    loc->fd = (int)number;
    fcntl(loc->fd, F_SETFD, FD_CLOEXEC);
    rc = sl_local_naming(loc, sl_arg(args, "naming"), err);
    if (rc == SL_OK)
        rc = sl_local_level(loc, sl_arg(args, "log-level"), err);
    if (rc == SL_OK)
        rc = sl_project_open(&loc->pro, sl_arg(args, "project"), err);
    if (rc == SL_OK)
        rc = sl_local_destination(loc, sl_arg(args, "destination"), err);
    if (rc == SL_OK)
        rc = read_prepare(loc, err);
    return rc;
}

static int
run(const struct sl_args *args)
{
    struct sl_local loc;
    struct sl_err err = { 0 };
    int code;
    sl_rc rc;

    sl_local_init(&loc);
    sl_catch_signals(SL_STOPS_SOFTLY);
    rc = read_inputs(args, &loc, &err);
    if (rc == SL_OK)
        rc = sl_project_lock(&loc.pro, "python connector.py", &err);
    if (rc) {
        code = sl_report(&err);
    } else {
        sl_local_open_console(&loc);
        code = sl_local_run(&loc);
    }
    sl_local_free(&loc);
    return code;
}

const struct sl_command sl_cmd_session = {
    .name = "_session",
    .operands = "--fd N --project DIR",
    .summary = "engine of `python connector.py`",
    .opts = opts,
    .run = run,
    .hidden = true,
};
