#include "cli/remote.h"

#include "base/time.h"
#include "cli/commands.h"
#include "cli/form.h"
#include "runtime/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* More pages than an account has; a server whose cursor goes round in circles is found out. */
#define PAGES_MAX 1000
/* A message of the server in a sentence of ours. */
#define MESSAGE_SHOWN 500

/* ---- Ctrl-C ---- */

static atomic_int interrupts, allowed, stop;

static void
on_signal(int sig)
{
    int n = atomic_fetch_add(&interrupts, 1) + 1;

    (void)sig;
    if (n > atomic_load(&allowed))
        atomic_store(&stop, 1);
    /* Neither the call nor the clean-up ended by itself. */
    if (n > 3)
        _exit(130);
}

static void
set_signals(void (*handler)(int))
{
    /* Without SA_RESTART: a question must end, too. */
    struct sigaction act = { .sa_handler = handler };

    sigemptyset(&act.sa_mask);
    sigaction(SIGINT, &act, NULL);
    sigaction(SIGTERM, &act, NULL);
    sigaction(SIGHUP, &act, NULL);
    signal(SIGPIPE, SIG_IGN);
}

bool
sl_remote_interrupted(void)
{
    return atomic_load(&interrupts) > 0;
}

void
sl_remote_begin_cleanup(struct sl_remote *rem)
{
    (void)rem;
    atomic_store(&allowed, atomic_load(&interrupts));
    atomic_store(&stop, 0);
}

/* ---- opening ---- */

static void
on_progress(void *ctx, uint64_t sent, uint64_t total)
{
    struct sl_remote *rem = ctx;
    int64_t waited = (sl_mono_us() - rem->since_us) / 1000000;
    char line[100] = "";

    if (total > 0)
        snprintf(line, sizeof line, "uploading · %.1f of %.1f MB · %d %%", (double)sent / 1e6,
                 (double)total / 1e6, (int)(sent * 100 / total));
    else if (waited > 0)
        snprintf(line, sizeof line, "waiting for the server · %" PRId64 " s", waited);
    sl_console_progress(rem->con, line);
}

static void
on_waiting(void *ctx, const char *why)
{
    struct sl_remote *rem = ctx;

    sl_console_progress(rem->con, NULL);
    fflush(stdout);
    fprintf(stderr, "fivetran: %s\n", why);
}

/* SLUICE_HTTP_TIMEOUT, for slow networks. 0: not set. */
static sl_rc
read_timeout(int64_t *seconds, struct sl_err *err)
{
    const char *text = getenv("SLUICE_HTTP_TIMEOUT");

    *seconds = 0;
    if (text == NULL || *text == '\0' || sl_parse_i64(text, 1, 86400, seconds))
        return SL_OK;
    return sl_fail(err, SL_E_USAGE, "SLUICE_HTTP_TIMEOUT is a number of seconds, not \"%s\"", text);
}

static sl_rc
open_client(struct sl_remote *rem, struct sl_err *err)
{
    struct sl_http_conf conf = { .address = rem->acc.address,
                                 .stop = &stop,
                                 .progress = on_progress,
                                 .waiting = on_waiting,
                                 .ctx = rem };
    char *authorization = sl_sprintf("Basic %s", rem->acc.key ? rem->acc.key : "");
    sl_rc rc = read_timeout(&conf.idle_s, err);

    conf.authorization = rem->acc.key ? authorization : NULL;
    if (rc == SL_OK)
        rc = sl_http_open(&rem->http, &conf, err);
    free(authorization);
    return rc;
}

sl_rc
sl_remote_open_account(struct sl_remote *rem, struct sl_account *acc, struct sl_err *err)
{
    *rem = (struct sl_remote){ .acc = *acc, .red = sl_redact_new() };
    *acc = (struct sl_account){ 0 };
    rem->con = sl_console_new(rem->red);
    set_signals(on_signal);
    if (rem->acc.address == NULL)
        return sl_account_no_address(err);
    if (rem->acc.key != NULL)
        sl_redact_add(rem->red, "api_key", rem->acc.key, true);
    if (rem->acc.key != NULL && sl_http_in_clear(rem->acc.address))
        sl_warn(NULL,
                "the API key goes over http:// without encryption; anyone on the way can read "
                "it. Use https:// if the server has it");
    return open_client(rem, err);
}

static sl_rc
no_key(struct sl_err *err)
{
    sl_fail(err, SL_E_USAGE,
            "--api-key is required; provide it via the --api-key flag or the "
            "FIVETRAN_API_KEY environment variable.");
    sl_err_hint(err, "or keep it once with: fivetran login; sluiced key create makes one");
    return SL_E_USAGE;
}

sl_rc
sl_remote_open(struct sl_remote *rem, const struct sl_args *args, struct sl_err *err)
{
    struct sl_account acc;
    sl_rc rc = sl_account_find(&acc, args, err);

    *rem = (struct sl_remote){ 0 };
    set_signals(on_signal);
    if (rc == SL_OK && acc.address == NULL)
        rc = sl_account_no_address(err);
    if (rc == SL_OK && acc.key == NULL)
        rc = sl_can_ask(args)
                 ? sl_ask_text("Provide your API Key (Base64 Encoded)", NULL, true, &acc.key, err)
                 : no_key(err);
    if (rc == SL_OK && acc.key_from == NULL) {
        acc.key_from = "the API key";
        rc = sl_account_check_key(acc.key, acc.key_from, err);
    }
    if (rc == SL_OK)
        rc = sl_remote_open_account(rem, &acc, err);
    sl_account_free(&acc);
    return rc;
}

void
sl_remote_close(struct sl_remote *rem)
{
    set_signals(SIG_DFL);
    sl_http_close(rem->http);
    sl_console_free(rem->con);
    sl_redact_free(rem->red);
    sl_account_free(&rem->acc);
    *rem = (struct sl_remote){ 0 };
}

/* ---- text from outside ---- */

char *
sl_remote_text(struct sl_remote *rem, const char *text)
{
    struct sl_buf out;
    char *copy;

    sl_buf_init(&out, 4 * SL_HTTP_BODY_MAX);
    if (rem->red != NULL)
        sl_redact_text(rem->red, text, strlen(text), &out);
    else
        sl_buf_add(&out, text);
    copy = sl_memdup(out.ptr ? out.ptr : "", out.len);
    /* Nothing of it may act on the reader's terminal. */
    for (char *p = copy; *p != '\0'; p++)
        if (((unsigned char)*p < 0x20 && *p != '\n') || *p == 0x7f)
            *p = ' ';
    sl_buf_free(&out);
    return copy;
}

int
sl_remote_report(struct sl_remote *rem, const struct sl_err *err)
{
    struct sl_err shown = *err;
    char *text = sl_remote_text(rem, err->text), *hint = sl_remote_text(rem, err->hint);

    snprintf(shown.text, sizeof shown.text, "%s", text);
    snprintf(shown.hint, sizeof shown.hint, "%s", hint);
    free(text);
    free(hint);
    if (rem->con != NULL)
        sl_console_progress(rem->con, NULL);
    return sl_report(&shown);
}

const char *
sl_answer_text(const json_t *obj, const char *name)
{
    const char *text = json_string_value(json_object_get(obj, name));

    return text ? text : "";
}

/* ---- judging answers ---- */

static const char *
host_of(const struct sl_remote *rem)
{
    const char *host = strstr(rem->acc.address, "://");

    return host ? host + 3 : rem->acc.address;
}

static sl_rc
not_a_server(struct sl_remote *rem, const struct sl_http_answer *ans, struct sl_err *err)
{
    const char *html = strcmp(ans->type, "text/html") == 0 ? "a web page"
                       : ans->body.len == 0                ? "nothing"
                       : ans->type[0]                      ? ans->type
                                                           : "something else";

    if (ans->status >= 502 && ans->status <= 504) {
        sl_fail(err, SL_E_UNREACHABLE,
                "%s answered with status %ld: the server behind it does "
                "not work",
                host_of(rem), ans->status);
        sl_err_hint(err, "try again later; its operator sees why in the log of the proxy and of "
                         "sluiced");
        return SL_E_UNREACHABLE;
    }
    sl_fail(err, SL_E_PROTOCOL,
            "%s is not a server to deploy to: it answered with status %ld and %s instead of the "
            "API's JSON",
            rem->acc.address, ans->status, html);
    sl_err_hint(err, "check the address (it came from %s); %s", rem->acc.address_from,
                ans->status == 401 || ans->status == 403 ? "a proxy in front of it may ask for "
                                                           "a login of its own"
                                                         : "sluiced prints its own when it starts");
    return SL_E_PROTOCOL;
}

static sl_rc
redirected(struct sl_remote *rem, const struct sl_http_answer *ans, struct sl_err *err)
{
    sl_fail(err, SL_E_PROTOCOL, "%s sends us elsewhere: %s", rem->acc.address,
            ans->location[0] ? ans->location : "it does not say where");
    sl_err_hint(err, "if that is the server, name it: --url with its address, without the path");
    return SL_E_PROTOCOL;
}

static sl_rc
refused_key(struct sl_remote *rem, struct sl_err *err)
{
    char masked[24] = "none";

    if (rem->acc.key != NULL)
        sl_account_mask(rem->acc.key, masked);
    sl_fail(err, SL_E_PERMISSION,
            "request failed error: 401: %s does not accept the API key %s "
            "(from %s): %s",
            host_of(rem), masked, rem->acc.key_from ? rem->acc.key_from : "nowhere", rem->message);
    sl_err_hint(err, "ensure you're using a valid base64-encoded API key of this server; "
                     "sluiced key create makes a new one");
    return SL_E_PERMISSION;
}

static sl_rc
rate_limited(struct sl_remote *rem, const struct sl_http_answer *ans, struct sl_err *err)
{
    sl_fail(err, SL_E_RETRY, "%s takes no more requests for now: %s", host_of(rem), rem->message);
    if (ans->retry_after >= 0)
        sl_err_hint(err, "run it again in %" PRId64 " seconds", ans->retry_after);
    else
        sl_err_hint(err, "run it again later");
    return SL_E_RETRY;
}

static sl_rc
too_large(struct sl_remote *rem, const struct sl_http_request *req, struct sl_err *err)
{
    sl_fail(err, SL_E_LIMIT, "the package (%.1f MB) is too large for %s: %s",
            (double)req->file_size / 1e6, host_of(rem), rem->message);
    sl_err_hint(err, "leave out what the connector does not need with a .gitignore; fivetran "
                     "package lists what is in it");
    return SL_E_LIMIT;
}

/* A server of ours knows the route and names what is missing: NotFound_Connection and so on. */
static bool
is_unknown_route(const struct sl_remote *rem)
{
    return rem->status == 405 || (rem->status == 404 && strncmp(rem->code, "NotFound_", 9) != 0);
}

static sl_rc
judge(struct sl_remote *rem, const struct sl_http_request *req, const struct sl_http_answer *ans,
      bool envelope, struct sl_err *err)
{
    long status = ans->status;

    if (status >= 300 && status < 400)
        return redirected(rem, ans, err);
    if (status == 413 && req->file_name != NULL)
        return too_large(rem, req, err);
    if (!envelope && status != 429)
        return not_a_server(rem, ans, err);
    if (status >= 200 && status < 300)
        return SL_OK;
    if (status == 401)
        return refused_key(rem, err);
    if (status == 429)
        return rate_limited(rem, ans, err);
    if (is_unknown_route(rem)) {
        sl_fail(err, SL_E_PROTOCOL, "%s does not know %s %s: %s", host_of(rem), req->method,
                req->path, rem->message);
        sl_err_hint(err, "the server is older than this command: have it updated");
        return SL_E_PROTOCOL;
    }
    sl_fail(err, status == 403 ? SL_E_PERMISSION : SL_E_DESTINATION, "%s (status %ld%s%s)",
            rem->message[0] ? rem->message : "the server refused and did not say why", status,
            rem->code[0] ? ", " : "", rem->code);
    if (status == 403)
        sl_err_hint(err, "this API key may not do that: use another, or ask the server's operator");
    else if (status >= 500)
        sl_err_hint(err, "the server failed: its operator sees why in its log");
    return err ? err->code : SL_E_DESTINATION;
}

/* True when the body is the API's envelope. `data` becomes its member, or an empty object. */
static bool
read_envelope(struct sl_remote *rem, const struct sl_http_answer *ans, json_t **data)
{
    json_t *obj = json_loadb(ans->body.ptr ? ans->body.ptr : "", ans->body.len, 0, NULL), *inner;
    bool envelope = json_is_string(json_object_get(obj, "code"));
    char *message = sl_remote_text(rem, sl_answer_text(obj, "message"));

    snprintf(rem->code, sizeof rem->code, "%s", sl_answer_text(obj, "code"));
    snprintf(rem->message, sizeof rem->message, "%.*s", MESSAGE_SHOWN, message);
    snprintf(rem->dashboard, sizeof rem->dashboard, "%s", ans->dashboard);
    inner = json_object_get(obj, "data");
    *data = json_is_object(inner) ? json_incref(inner) : json_object();
    json_decref(obj);
    free(message);
    return envelope;
}

static sl_rc
send_request(struct sl_remote *rem, const struct sl_http_request *req, json_t **out,
             struct sl_err *err)
{
    struct sl_http_answer ans;
    json_t *data = NULL;
    sl_rc rc;

    rem->since_us = sl_mono_us();
    rem->status = 0;
    rem->code[0] = rem->message[0] = rem->dashboard[0] = '\0';
    rc = sl_http_send(rem->http, req, &ans, err);
    sl_console_progress(rem->con, NULL);
    if (rc == SL_OK) {
        bool envelope = read_envelope(rem, &ans, &data);

        rem->status = ans.status;
        rc = judge(rem, req, &ans, envelope, err);
    }
    sl_http_answer_free(&ans);
    if (rc == SL_OK && out != NULL) {
        *out = data;
        data = NULL;
    }
    json_decref(data);
    return rc;
}

/* ---- calls ---- */

sl_rc
sl_remote_call(struct sl_remote *rem, const char *method, const char *path, const json_t *body,
               enum sl_repeat repeat, int64_t idle_s, json_t **data, struct sl_err *err)
{
    bool harmless = strcmp(method, "GET") == 0 || strcmp(method, "DELETE") == 0;
    char *text = body ? json_dumps(body, JSON_COMPACT) : NULL;
    struct sl_http_request req = { .method = method,
                                   .path = path,
                                   .json = text,
                                   .fd = -1,
                                   .repeatable = harmless || repeat == SL_REPEATABLE,
                                   .idle_s = idle_s };
    sl_rc rc;

    if (data != NULL)
        *data = NULL;
    if (body != NULL && text == NULL)
        return sl_fail(err, SL_E_CONFIG, "a value is not valid UTF-8 text");
    rc = send_request(rem, &req, data, err);
    if (text != NULL)
        memset(text, 0, strlen(text));
    free(text);
    return rc;
}

sl_rc
sl_remote_upload(struct sl_remote *rem, const char *method, const char *path, enum sl_repeat repeat,
                 int fd, const char *name, uint64_t size, json_t **data, struct sl_err *err)
{
    struct sl_http_request req = { .method = method,
                                   .path = path,
                                   .fd = fd,
                                   .file_name = name,
                                   .file_size = size,
                                   .repeatable = repeat == SL_REPEATABLE };

    *data = NULL;
    return send_request(rem, &req, data, err);
}

/* The items of one page; `cursor` becomes that of the next, or NULL. */
static sl_rc
one_page(struct sl_remote *rem, const char *path, sl_remote_item fn, void *ctx, char **cursor,
         bool *more, struct sl_err *err)
{
    json_t *data = NULL, *items, *item;
    const char *next;
    size_t i;
    sl_rc rc;

    rc = sl_remote_call(rem, "GET", path, NULL, SL_REPEATABLE, 0, &data, err);
    if (rc)
        return rc;
    items = json_object_get(data, "items");
    if (!json_is_array(items))
        rc = sl_fail(err, SL_E_PROTOCOL, "%s answered GET %s without a list of items", host_of(rem),
                     path);
    json_array_foreach(items, i, item)
    {
        if (rc || !*more)
            break;
        rc = fn(ctx, item, more, err);
    }
    next = sl_answer_text(data, "next_cursor");
    *cursor = rc == SL_OK && *more && *next ? sl_http_escape(next) : NULL;
    json_decref(data);
    return rc;
}

sl_rc
sl_remote_list(struct sl_remote *rem, const char *path, sl_remote_item fn, void *ctx,
               struct sl_err *err)
{
    char *at = sl_strdup(path), *cursor = NULL, *last = NULL;
    bool more = true;
    int pages = 0;
    sl_rc rc;

    do {
        rc = one_page(rem, at, fn, ctx, &cursor, &more, err);
        if (rc == SL_OK && cursor != NULL &&
            (++pages > PAGES_MAX || (last != NULL && strcmp(cursor, last) == 0)))
            rc = sl_fail(err, SL_E_PROTOCOL, "the list %s of %s has no end", path, host_of(rem));
        free(at);
        free(last);
        at = cursor ? sl_sprintf("%s&cursor=%s", path, cursor) : NULL;
        last = cursor;
        cursor = NULL;
    } while (rc == SL_OK && at != NULL);
    free(at);
    free(last);
    return rc;
}

/* ---- the project ---- */

static void
show_packed(const struct sl_package *pkg)
{
    if (pkg->patterns > 0)
        printf("loaded .gitignore with %zu patterns; %zu files and folders left out\n",
               pkg->patterns, pkg->ignored);
    printf("✓ project packaged for upload (%zu file%s, %.1f kB)\n", pkg->nfiles,
           pkg->nfiles == 1 ? "" : "s", (double)pkg->size / 1e3);
}

/* The server tells what it received: a damaged upload must not run. */
static sl_rc
check_sum(struct sl_remote *rem, const struct sl_package *pkg, const json_t *data,
          struct sl_err *err)
{
    const char *theirs = sl_answer_text(data, "file_sha256_hash");

    if (*theirs == '\0' || strcmp(theirs, pkg->sha256) == 0)
        return SL_OK;
    sl_fail(err, SL_E_PROTOCOL, "%s received something else than was sent: SHA-256 %.64s, not %s",
            host_of(rem), theirs, pkg->sha256);
    sl_err_hint(err, "run it again; if it happens again, something on the way changes uploads");
    return SL_E_PROTOCOL;
}

static sl_rc
send_package(struct sl_remote *rem, const struct sl_package *pkg, int fd, const char *name,
             const char *update_id, char **id, struct sl_err *err)
{
    char *file = sl_sprintf("%s.zip", strcmp(name, "/") == 0 ? "code" : name);
    char *escaped = update_id ? sl_http_escape(update_id) : NULL;
    char *path = escaped ? sl_sprintf("/v1/connector-sdk/packages/%s", escaped)
                         : sl_strdup("/v1/connector-sdk/packages");
    json_t *data = NULL;
    sl_rc rc;

    rc = sl_remote_upload(rem, update_id ? "PATCH" : "POST", path,
                          update_id ? SL_REPEATABLE : SL_ONCE, fd, file, pkg->size, &data, err);
    if (rc)
        sl_err_wrap(err, "failed to upload the package");
    if (rc == SL_OK && *sl_answer_text(data, "id") == '\0')
        rc = sl_fail(err, SL_E_PROTOCOL, "%s took the package and gave it no id", host_of(rem));
    if (rc == SL_OK) {
        *id = sl_strdup(sl_answer_text(data, "id"));
        rc = check_sum(rem, pkg, data, err);
    }
    json_decref(data);
    free(path);
    free(escaped);
    free(file);
    return rc;
}

sl_rc
sl_remote_send_project(struct sl_remote *rem, const char *project_dir, const char *project_name,
                       const char *update_id, char **id, json_t **form, struct sl_err *err)
{
    struct sl_form_packing packing = { .ask = { .project = project_dir, .launch.stop = &stop } };
    const struct sl_form_maker maker = { sl_form_pack, &packing };
    struct sl_package pkg = { 0 };
    int fd = -1;
    sl_rc rc;

    *id = NULL;
    printf("› packaging project for upload\n");
    fflush(stdout);
    rc = sl_package_make_nameless(&pkg, project_dir, &fd, &maker, err);
    if (form != NULL)
        *form = packing.form;
    else
        json_decref(packing.form);
    if (rc == SL_OK && sl_remote_interrupted())
        rc = sl_fail(err, SL_E_CANCELLED, "interrupted");
    if (rc == SL_OK) {
        show_packed(&pkg);
        printf("› uploading package\n");
        fflush(stdout);
        rc = send_package(rem, &pkg, fd, project_name, update_id, id, err);
    }
    if (rc == SL_OK)
        printf("✓ package uploaded\n  package id: %s\n", *id);
    if (fd >= 0)
        close(fd);
    sl_package_free(&pkg);
    return rc;
}
