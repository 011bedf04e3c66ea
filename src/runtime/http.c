#include "runtime/http.h"

#include "base/time.h"
#include "runtime/file.h"

#include <ctype.h>
#include <curl/curl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <unistd.h>

#define CONNECT_MS 10000L
#define IDLE_S 60
/* Whatever trickles in: an answer takes no longer than this beyond its idle time, an upload two hours. */
#define ANSWER_MAX_S 300L
#define UPLOAD_MAX_S 7200L
#define FIRST_PAUSE_MS 500
/* How often a pause looks at `stop`. */
#define PAUSE_STEP_MS 50

struct sl_http {
    CURL *curl;
    struct sl_http_conf conf;
    char *address;
    char host[128]; /* for messages: host and port */
    struct curl_slist *headers;
    char *ca_file, *ca_dir;

    /* Of the running request. */
    struct sl_http_answer *ans;
    const struct sl_http_request *req;
    uint64_t read_at; /* bytes of the file handed to libcurl */
    bool too_large;
    struct sl_err read_err; /* reading the file failed */
    bool read_failed;
    char detail[CURL_ERROR_SIZE];
};

/* ---- addresses ---- */

static sl_rc
bad_address(const char *what, const char *given, const char *why, struct sl_err *err)
{
    sl_fail(err, SL_E_USAGE, "%s: \"%.200s\" is not the address of a server: %s", what, given, why);
    sl_err_hint(err, "an address looks like this: https://sluice.example.com or "
                     "http://127.0.0.1:8080");
    return SL_E_USAGE;
}

static bool
part_given(CURLU *url, CURLUPart part)
{
    char *text = NULL;
    bool given = curl_url_get(url, part, &text, 0) == CURLUE_OK && text[0] != '\0';

    curl_free(text);
    return given;
}

/* The path may be empty, "/", "/v1" and "/v1/". */
static bool
path_is_plain(CURLU *url)
{
    char *path = NULL;
    size_t n;
    bool plain;

    if (curl_url_get(url, CURLUPART_PATH, &path, 0) != CURLUE_OK)
        return true;
    n = strlen(path);
    while (n > 0 && path[n - 1] == '/')
        path[--n] = '\0';
    plain = n == 0 || strcmp(path, "/v1") == 0;
    curl_free(path);
    return plain;
}

static const char *
what_is_wrong(CURLU *url, const char *given)
{
    if (strncasecmp(given, "http://", 7) != 0 && strncasecmp(given, "https://", 8) != 0)
        return "it must begin with https:// or http://";
    if (curl_url_set(url, CURLUPART_URL, given, 0) != CURLUE_OK || !part_given(url, CURLUPART_HOST))
        return "it cannot be read as one";
    if (part_given(url, CURLUPART_USER) || part_given(url, CURLUPART_PASSWORD))
        return "a name or key does not belong in it (use --api-key)";
    if (part_given(url, CURLUPART_QUERY) || part_given(url, CURLUPART_FRAGMENT) ||
        !path_is_plain(url))
        return "nothing but /v1 may follow the host";
    return NULL;
}

sl_rc
sl_http_address(const char *given, const char *what, char **out, struct sl_err *err)
{
    CURLU *url = curl_url();
    const char *why;
    char *text = NULL;
    sl_rc rc = SL_OK;

    *out = NULL;
    if (url == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for an address");
    why = what_is_wrong(url, given);
    if (why == NULL &&
        (curl_url_set(url, CURLUPART_PATH, NULL, 0) != CURLUE_OK ||
         curl_url_get(url, CURLUPART_URL, &text, CURLU_NO_DEFAULT_PORT) != CURLUE_OK))
        why = "it cannot be read as one";
    if (why != NULL) {
        rc = bad_address(what, given, why, err);
    } else {
        *out = sl_strdup(text);
        /* libcurl ends it with a slash. */
        if ((*out)[strlen(*out) - 1] == '/')
            (*out)[strlen(*out) - 1] = '\0';
    }
    curl_free(text);
    curl_url_cleanup(url);
    return rc;
}

static bool
is_loopback(const char *address)
{
    const char *host = strstr(address, "://");
    size_t n;

    host = host ? host + 3 : address;
    n = strcspn(host, "/");
    if (n > 4 && strncmp(host, "127.", 4) == 0)
        return true;
    if (n >= 5 && strncmp(host, "[::1]", 5) == 0)
        return true;
    n = strcspn(host, ":/");
    return n == 9 && strncasecmp(host, "localhost", 9) == 0;
}

bool
sl_http_in_clear(const char *address)
{
    return strncasecmp(address, "http://", 7) == 0 && !is_loopback(address);
}

char *
sl_http_escape(const char *text)
{
    char *escaped = curl_easy_escape(NULL, text, 0), *copy = sl_strdup(escaped ? escaped : "");

    curl_free(escaped);
    return copy;
}

/* ---- a client ---- */

/* Where the systems keep the authorities they trust, all in one file. */
static const char *const stores[] = {
    "/etc/ssl/certs/ca-certificates.crt", /* Debian, Ubuntu, Arch, Gentoo */
    "/etc/pki/tls/certs/ca-bundle.crt",   /* Fedora, RHEL */
    "/etc/ssl/ca-bundle.pem",             /* SUSE */
    "/etc/ssl/cert.pem",                  /* Alpine, macOS, BSD */
};

static const char *
given_in(const char *variable)
{
    const char *value = getenv(variable);

    return value != NULL && *value != '\0' ? value : NULL;
}

static void
find_authorities(struct sl_http *http)
{
    const char *file = given_in("CURL_CA_BUNDLE"), *dir = given_in("SSL_CERT_DIR");

    file = file ? file : given_in("SSL_CERT_FILE");
    for (size_t i = 0; file == NULL && dir == NULL && i < sizeof stores / sizeof stores[0]; i++)
        if (sl_is_file(stores[i]))
            file = stores[i];
    http->ca_file = sl_strdup_null(file);
    http->ca_dir = sl_strdup_null(dir);
}

static sl_rc
check_authorities(const struct sl_http *http, struct sl_err *err)
{
    if (strncmp(http->address, "https://", 8) != 0)
        return SL_OK;
    if (http->ca_file != NULL && access(http->ca_file, R_OK) != 0) {
        sl_fail_errno(err, "cannot read the certificates of trusted authorities in %s",
                      http->ca_file);
        sl_err_hint(err, "CURL_CA_BUNDLE or SSL_CERT_FILE names that file: correct it or unset it");
        return err ? err->code : SL_E_CONFIG;
    }
    if (http->ca_file == NULL && http->ca_dir == NULL) {
        sl_fail(err, SL_E_CONFIG, "this system has no list of trusted certificate authorities");
        sl_err_hint(err, "install it (apt install ca-certificates), or name a file of certificates "
                         "in SSL_CERT_FILE");
        return SL_E_CONFIG;
    }
    return SL_OK;
}

static size_t
on_body(char *ptr, size_t size, size_t count, void *ctx)
{
    struct sl_http *http = ctx;

    if (sl_buf_put(&http->ans->body, ptr, size * count, NULL) == SL_OK)
        return size * count;
    http->too_large = true;
    return 0;
}

/* The value of a header line if it has this name: trimmed, cut to what fits. */
static bool
take_header(const char *line, size_t len, const char *name, char *out, size_t size)
{
    size_t n = strlen(name);

    if (len <= n || line[n] != ':' || strncasecmp(line, name, n) != 0)
        return false;
    line += n + 1;
    len -= n + 1;
    while (len > 0 && (*line == ' ' || *line == '\t')) {
        line++;
        len--;
    }
    while (len > 0 && isspace((unsigned char)line[len - 1]))
        len--;
    snprintf(out, size, "%.*s", (int)len, line);
    return true;
}

static size_t
on_header(char *ptr, size_t size, size_t count, void *ctx)
{
    struct sl_http *http = ctx;
    struct sl_http_answer *ans = http->ans;
    size_t len = size * count;
    char seconds[32];

    if (len > 5 && strncmp(ptr, "HTTP/", 5) == 0) {
        /* A new answer: that before was "100 Continue". */
        ans->type[0] = ans->dashboard[0] = ans->location[0] = '\0';
        ans->retry_after = -1;
    } else if (take_header(ptr, len, "Content-Type", ans->type, sizeof ans->type)) {
        ans->type[strcspn(ans->type, "; ")] = '\0';
        for (char *p = ans->type; *p; p++)
            *p = (char)tolower((unsigned char)*p);
    } else if (take_header(ptr, len, "Retry-After", seconds, sizeof seconds)) {
        if (!sl_parse_i64(seconds, 0, 1 << 30, &ans->retry_after))
            ans->retry_after = -1;
    } else if (!take_header(ptr, len, "X-Sluice-Dashboard", ans->dashboard,
                            sizeof ans->dashboard)) {
        (void)take_header(ptr, len, "Location", ans->location, sizeof ans->location);
    }
    return len;
}

static size_t
on_read(char *ptr, size_t size, size_t count, void *ctx)
{
    struct sl_http *http = ctx;
    ssize_t n = pread(http->req->fd, ptr, size * count, (off_t)http->read_at);

    if (n < 0) {
        sl_fail_errno(&http->read_err, "reading the packed project");
        http->read_failed = true;
        return CURL_READFUNC_ABORT;
    }
    http->read_at += (uint64_t)n;
    return (size_t)n;
}

static int
on_seek(void *ctx, curl_off_t offset, int origin)
{
    struct sl_http *http = ctx;

    if (origin != SEEK_SET)
        return CURL_SEEKFUNC_CANTSEEK;
    http->read_at = (uint64_t)offset;
    return CURL_SEEKFUNC_OK;
}

static bool
stopped(const struct sl_http *http)
{
    return http->conf.stop != NULL && atomic_load(http->conf.stop) != 0;
}

static int
on_progress(void *ctx, curl_off_t dltotal, curl_off_t dlnow, curl_off_t ultotal, curl_off_t ulnow)
{
    struct sl_http *http = ctx;

    (void)dltotal;
    (void)dlnow;
    if (http->conf.progress != NULL && http->req->file_name != NULL && ulnow < ultotal)
        http->conf.progress(http->conf.ctx, (uint64_t)ulnow, (uint64_t)ultotal);
    else if (http->conf.progress != NULL)
        http->conf.progress(http->conf.ctx, 0, 0);
    return stopped(http);
}

sl_rc
sl_http_open(struct sl_http **out, const struct sl_http_conf *conf, struct sl_err *err)
{
    struct sl_http *http = sl_zalloc(1, sizeof *http);
    const char *host = strstr(conf->address, "://");
    sl_rc rc;

    *out = http;
    http->conf = *conf;
    http->address = sl_strdup(conf->address);
    snprintf(http->host, sizeof http->host, "%s", host ? host + 3 : conf->address);
    find_authorities(http);
    rc = check_authorities(http, err);
    if (rc == SL_OK && (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK ||
                        (http->curl = curl_easy_init()) == NULL))
        rc = sl_fail(err, SL_E_INTERNAL, "the HTTP library did not start");
    if (rc == SL_OK && conf->authorization != NULL) {
        char *line = sl_sprintf("Authorization: %s", conf->authorization);

        http->headers = curl_slist_append(http->headers, line);
        free(line);
    }
    if (rc) {
        sl_http_close(http);
        *out = NULL;
    }
    return rc;
}

void
sl_http_close(struct sl_http *http)
{
    if (http == NULL)
        return;
    curl_easy_cleanup(http->curl);
    curl_slist_free_all(http->headers);
    free(http->ca_file);
    free(http->ca_dir);
    free(http->address);
    free(http);
}

void
sl_http_answer_free(struct sl_http_answer *ans)
{
    sl_buf_free(&ans->body);
}

/* ---- one try ---- */

static void
set_connection(struct sl_http *http)
{
    CURL *curl = http->curl;

    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "sluice-fivetran/" SL_VERSION);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYPEER, 1L);
    curl_easy_setopt(curl, CURLOPT_SSL_VERIFYHOST, 2L);
    if (http->ca_file != NULL)
        curl_easy_setopt(curl, CURLOPT_CAINFO, http->ca_file);
    if (http->ca_dir != NULL)
        curl_easy_setopt(curl, CURLOPT_CAPATH, http->ca_dir);
    if (is_loopback(http->address))
        curl_easy_setopt(curl, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, http->detail);
}

static void
set_deadlines(struct sl_http *http)
{
    const struct sl_http_request *req = http->req;
    int64_t idle = http->conf.idle_s ? http->conf.idle_s : req->idle_s ? req->idle_s : IDLE_S;

    curl_easy_setopt(http->curl, CURLOPT_CONNECTTIMEOUT_MS, CONNECT_MS);
    /* Less than one byte a second on average over that time: nothing moves. */
    curl_easy_setopt(http->curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(http->curl, CURLOPT_LOW_SPEED_TIME, (long)idle);
    curl_easy_setopt(http->curl, CURLOPT_TIMEOUT,
                     (long)idle + (req->file_name ? UPLOAD_MAX_S : ANSWER_MAX_S));
}

static void
set_callbacks(struct sl_http *http)
{
    CURL *curl = http->curl;

    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, on_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, http);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, on_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, http);
    curl_easy_setopt(curl, CURLOPT_NOPROGRESS, 0L);
    curl_easy_setopt(curl, CURLOPT_XFERINFOFUNCTION, on_progress);
    curl_easy_setopt(curl, CURLOPT_XFERINFODATA, http);
}

/* The one part, read as it is sent; its size is known, so that the whole has a Content-Length. */
static curl_mime *
file_part(struct sl_http *http)
{
    curl_mime *mime = curl_mime_init(http->curl);
    curl_mimepart *part = mime ? curl_mime_addpart(mime) : NULL;

    if (part == NULL)
        return mime;
    curl_mime_name(part, "file");
    curl_mime_filename(part, http->req->file_name);
    curl_mime_type(part, "application/zip");
    curl_mime_data_cb(part, (curl_off_t)http->req->file_size, on_read, on_seek, NULL, http);
    return mime;
}

static CURLcode
try_once(struct sl_http *http)
{
    const struct sl_http_request *req = http->req;
    char *url = sl_sprintf("%s%s", http->address, req->path);
    struct curl_slist *headers = NULL;
    curl_mime *mime = NULL;
    CURLcode code;

    http->ans->body.len = 0;
    http->ans->status = 0;
    http->read_at = 0;
    http->detail[0] = '\0';
    curl_easy_reset(http->curl);
    set_connection(http);
    set_deadlines(http);
    set_callbacks(http);
    for (struct curl_slist *h = http->headers; h != NULL; h = h->next)
        headers = curl_slist_append(headers, h->data);
    headers = curl_slist_append(headers, "Accept: application/json");
    if (req->file_name != NULL) {
        mime = file_part(http);
        curl_easy_setopt(http->curl, CURLOPT_MIMEPOST, mime);
    } else if (req->json != NULL) {
        headers = curl_slist_append(headers, "Content-Type: application/json");
        curl_easy_setopt(http->curl, CURLOPT_POSTFIELDS, req->json);
    }
    /* On a connection kept open that breaks, libcurl would send the request again by itself. */
    curl_easy_setopt(http->curl, CURLOPT_FRESH_CONNECT, req->repeatable ? 0L : 1L);
    curl_easy_setopt(http->curl, CURLOPT_CUSTOMREQUEST, req->method);
    curl_easy_setopt(http->curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(http->curl, CURLOPT_URL, url);
    code = curl_easy_perform(http->curl);
    curl_easy_getinfo(http->curl, CURLINFO_RESPONSE_CODE, &http->ans->status);
    curl_mime_free(mime);
    curl_slist_free_all(headers);
    free(url);
    return code;
}

/* ---- what a failure means ---- */

/* The server did not see the whole request, so it cannot have acted on it. */
static bool
did_not_arrive(struct sl_http *http, CURLcode code)
{
    switch (code) {
    case CURLE_COULDNT_RESOLVE_HOST:
    case CURLE_COULDNT_RESOLVE_PROXY:
    case CURLE_COULDNT_CONNECT:
    case CURLE_SSL_CONNECT_ERROR:
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
        return true;
    default:
        /* A file that was not read to its end. */
        return http->req->file_name != NULL && http->read_at < http->req->file_size;
    }
}

static bool
is_for_ever(CURLcode code)
{
    return code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE ||
           code == CURLE_UNSUPPORTED_PROTOCOL || code == CURLE_SSL_CONNECT_ERROR ||
           code == CURLE_URL_MALFORMAT;
}

static sl_rc
certificate_error(struct sl_http *http, struct sl_err *err)
{
    sl_fail(err, SL_E_UNREACHABLE, "the certificate of %s cannot be trusted: %s", http->host,
            http->detail[0] ? http->detail : "it could not be verified");
    sl_err_hint(err,
                "for a certificate of your own, name its authority's file: export "
                "SSL_CERT_FILE=/path/to/ca.pem; and check that the address has the name in the "
                "certificate");
    return SL_E_UNREACHABLE;
}

static sl_rc
timeout_error(struct sl_http *http, struct sl_err *err)
{
    curl_off_t connected = 0;
    sl_rc rc;

    curl_easy_getinfo(http->curl, CURLINFO_CONNECT_TIME_T, &connected);
    if (connected == 0) {
        rc = sl_fail(err, SL_E_UNREACHABLE, "%s did not answer within %ld seconds", http->host,
                     CONNECT_MS / 1000);
        sl_err_hint(err, "check the address and the network, and that the server is running");
        return rc;
    }
    rc = sl_fail(err, SL_E_UNKNOWN, "%s took the request %s %s, then said nothing for too long",
                 http->host, http->req->method, http->req->path);
    sl_err_hint(err,
                "see on the server what became of it; SLUICE_HTTP_TIMEOUT=SECONDS waits longer");
    return rc;
}

static const char *
why_not_connected(struct sl_http *http, CURLcode code)
{
    long os = 0;

    curl_easy_getinfo(http->curl, CURLINFO_OS_ERRNO, &os);
    if (code == CURLE_COULDNT_CONNECT && os != 0)
        return strerror((int)os);
    return http->detail[0] ? http->detail : curl_easy_strerror(code);
}

static sl_rc
no_answer(struct sl_http *http, CURLcode code, struct sl_err *err)
{
    bool lost = did_not_arrive(http, code);
    sl_rc rc;

    if (http->read_failed) {
        if (err != NULL)
            *err = http->read_err;
        return http->read_err.code;
    }
    if (stopped(http))
        return sl_fail(err, SL_E_CANCELLED, "interrupted");
    if (http->too_large)
        return sl_fail(err, SL_E_LIMIT, "%s answered with more than %u MB", http->host,
                       SL_HTTP_BODY_MAX >> 20);
    if (code == CURLE_PEER_FAILED_VERIFICATION || code == CURLE_SSL_CACERT_BADFILE)
        return certificate_error(http, err);
    if (code == CURLE_OPERATION_TIMEDOUT)
        return timeout_error(http, err);
    rc = sl_fail(err, lost ? SL_E_UNREACHABLE : SL_E_UNKNOWN, "%s %s: %s",
                 lost ? "cannot reach" : "no answer from", http->host,
                 why_not_connected(http, code));
    if (code == CURLE_SSL_CONNECT_ERROR)
        sl_err_hint(err, "the server may not speak TLS there: try the address with http://");
    else if (code == CURLE_COULDNT_RESOLVE_HOST)
        sl_err_hint(err, "check how the host is spelled, and the network");
    else
        sl_err_hint(err,
                    "check the address and that the server is running (fivetran doctor looks)");
    return rc;
}

/* ---- repeating ---- */

static bool
worth_repeating(struct sl_http *http, CURLcode code)
{
    long status = http->ans->status;

    if (stopped(http) || http->too_large || http->read_failed)
        return false;
    if (code == CURLE_OK)
        return status == 429 || (http->req->repeatable && status >= 502 && status <= 504);
    return !is_for_ever(code) && (http->req->repeatable || did_not_arrive(http, code));
}

/* Milliseconds before the next try; -1 when the server wants more patience than we have. */
static int64_t
pause_before(struct sl_http *http, CURLcode code, int tried)
{
    int64_t asked = code == CURLE_OK ? http->ans->retry_after : -1;

    if (asked > SL_HTTP_PAUSE_MAX_S)
        return -1;
    if (asked >= 0)
        return asked * 1000;
    return (int64_t)FIRST_PAUSE_MS << (tried - 1);
}

static void
wait_for(struct sl_http *http, int64_t ms)
{
    int64_t until = sl_mono_us() + ms * 1000;

    while (sl_mono_us() < until && !stopped(http))
        (void)poll(NULL, 0, PAUSE_STEP_MS);
}

static void
say_waiting(struct sl_http *http, CURLcode code, int64_t ms)
{
    struct sl_err why = { 0 };
    char text[600];

    if (http->conf.waiting == NULL)
        return;
    if (code == CURLE_OK)
        snprintf(why.text, sizeof why.text, "%s answered with status %ld", http->host,
                 http->ans->status);
    else
        (void)no_answer(http, code, &why);
    snprintf(text, sizeof text, "%.500s; trying again in %.1f s", why.text, (double)ms / 1000);
    http->conf.waiting(http->conf.ctx, text);
}

sl_rc
sl_http_send(struct sl_http *http, const struct sl_http_request *req, struct sl_http_answer *ans,
             struct sl_err *err)
{
    CURLcode code = CURLE_OK;

    *ans = (struct sl_http_answer){ .retry_after = -1 };
    sl_buf_init(&ans->body, SL_HTTP_BODY_MAX);
    http->req = req;
    http->ans = ans;
    http->too_large = http->read_failed = false;
    for (int tried = 1; !stopped(http); tried++) {
        int64_t ms;

        code = try_once(http);
        if (tried == SL_HTTP_TRIES || !worth_repeating(http, code))
            break;
        ms = pause_before(http, code, tried);
        if (ms < 0)
            break;
        say_waiting(http, code, ms);
        wait_for(http, ms);
        ans->status = 0;
    }
    /* An answer that has come is told, even if Ctrl-C came with it. */
    if (code == CURLE_OK && ans->status == 0)
        return sl_fail(err, SL_E_CANCELLED, "interrupted");
    return code == CURLE_OK ? SL_OK : no_answer(http, code, err);
}
