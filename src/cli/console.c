#include "cli/console.h"

#include "base/buf.h"
#include "base/time.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define OURS "Fivetran-Tester-Process: "
#define LIBRARY "Fivetran-Connector-SDK: "
#define LINE_MAX_BYTES ((size_t)2 << 30)

struct sl_console {
    const struct sl_redact *red;
    pthread_mutex_t lock;
    bool colour;        /* stdout is a terminal that takes it */
    bool live;          /* stderr is a terminal: progress is shown */
    bool same_terminal; /* both are: the progress line must go before a line is printed */
    bool half_line;     /* the connector's last output did not end its line */
    bool progress;      /* a progress line stands there */
};

struct sl_console *
sl_console_new(const struct sl_redact *red)
{
    struct sl_console *con = sl_zalloc(1, sizeof *con);
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    bool out = isatty(STDOUT_FILENO), dumb = term == NULL || strcmp(term, "dumb") == 0;

    con->red = red;
    con->colour = out && !dumb && (no == NULL || *no == '\0');
    con->live = isatty(STDERR_FILENO) && !dumb;
    con->same_terminal = con->live && out;
    pthread_mutex_init(&con->lock, NULL);
    return con;
}

void
sl_console_free(struct sl_console *con)
{
    if (con == NULL)
        return;
    sl_console_progress(con, NULL);
    pthread_mutex_destroy(&con->lock);
    free(con);
}

static void
erase_progress(struct sl_console *con)
{
    if (con->progress)
        fputs("\r\033[K", stderr);
    con->progress = false;
}

/* Terminal control of a log line's author must not act on the reader's terminal. */
static void
disarm(struct sl_buf *line)
{
    for (size_t i = 0; i < line->len; i++) {
        unsigned char c = (unsigned char)line->ptr[i];

        if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
            line->ptr[i] = '?';
    }
}

static void
print_buf(struct sl_console *con, const struct sl_buf *buf)
{
    pthread_mutex_lock(&con->lock);
    if (con->same_terminal)
        erase_progress(con);
    if (con->half_line)
        fputc('\n', stdout);
    con->half_line = false;
    fwrite(buf->ptr, 1, buf->len, stdout);
    fflush(stdout);
    pthread_mutex_unlock(&con->lock);
}

static const char *
colour_of(const struct sl_console *con, enum sl_level level)
{
    if (!con->colour || level < SL_WARNING)
        return "";
    return level == SL_WARNING ? "\033[33m" : "\033[31m";
}

/* Lines after the first are set in, so that they are seen to belong to it. */
static void
add_indented(struct sl_buf *out, const char *text, size_t len)
{
    while (len > 0) {
        const char *nl = memchr(text, '\n', len);
        size_t n = nl ? (size_t)(nl - text) + 1 : len;

        sl_buf_addn(out, text, n);
        text += n;
        len -= n;
        if (len > 0)
            sl_buf_add(out, "    ");
    }
}

static void
put_line(struct sl_console *con, enum sl_level level, enum sl_origin from, const char *text,
         size_t len, bool hide)
{
    static const char *const marks[] = { "- ", LIBRARY, OURS };
    const char *colour = colour_of(con, level);
    struct sl_buf out, body;
    char clock[16];

    sl_buf_init(&out, LINE_MAX_BYTES);
    sl_buf_init(&body, LINE_MAX_BYTES);
    if (hide)
        sl_redact_text(con->red, text, len, &body);
    else
        sl_buf_addn(&body, text, len);
    disarm(&body);
    sl_clock_text(sl_now_us(), clock);
    sl_buf_addf(&out, "%s%s %s %s", colour, clock, sl_level_name(level), marks[from]);
    add_indented(&out, body.ptr, body.len);
    sl_buf_addf(&out, "%s\n", *colour ? "\033[0m" : "");
    print_buf(con, &out);
    sl_buf_free(&body);
    sl_buf_free(&out);
}

void
sl_console_log(struct sl_console *con, enum sl_level level, enum sl_origin from, const char *text,
               size_t len)
{
    put_line(con, level, from, text, len, true);
}

static void
put_formatted(struct sl_console *con, enum sl_level level, bool hide, const char *fmt, va_list ap)
{
    char *text = NULL;
    int n = vasprintf(&text, fmt, ap);

    if (n >= 0)
        put_line(con, level, SL_FROM_ENGINE, text, (size_t)n, hide);
    free(text);
}

void
sl_console_say(struct sl_console *con, enum sl_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_formatted(con, level, true, fmt, ap);
    va_end(ap);
}

void
sl_console_name(struct sl_console *con, enum sl_level level, const char *fmt, ...)
{
    va_list ap;

    va_start(ap, fmt);
    put_formatted(con, level, false, fmt, ap);
    va_end(ap);
}

void
sl_console_block(struct sl_console *con, const char *text)
{
    size_t len = strlen(text);
    struct sl_buf out, body;

    while (len > 0 && text[len - 1] == '\n')
        len--;
    if (len == 0)
        return;
    sl_buf_init(&out, LINE_MAX_BYTES);
    sl_buf_init(&body, LINE_MAX_BYTES);
    sl_redact_text(con->red, text, len, &body);
    disarm(&body);
    sl_buf_add(&out, "    ");
    add_indented(&out, body.ptr, body.len);
    sl_buf_add(&out, "\n");
    print_buf(con, &out);
    sl_buf_free(&body);
    sl_buf_free(&out);
}

void
sl_console_plain(struct sl_console *con, const char *fmt, ...)
{
    struct sl_buf out;
    char *text = NULL;
    va_list ap;
    int n;

    va_start(ap, fmt);
    n = vasprintf(&text, fmt, ap);
    va_end(ap);
    if (n < 0)
        return;
    sl_buf_init(&out, LINE_MAX_BYTES);
    sl_buf_addn(&out, text, (size_t)n);
    print_buf(con, &out);
    sl_buf_free(&out);
    free(text);
}

void
sl_console_raw(struct sl_console *con, const char *text, size_t len)
{
    if (len == 0)
        return;
    pthread_mutex_lock(&con->lock);
    if (con->same_terminal)
        erase_progress(con);
    fwrite(text, 1, len, stdout);
    fflush(stdout);
    con->half_line = text[len - 1] != '\n';
    pthread_mutex_unlock(&con->lock);
}

bool
sl_console_shows_progress(const struct sl_console *con)
{
    return con->live;
}

/* How many bytes of text fit into one line of the terminal: a line that wraps cannot be rewritten. */
static int
bytes_that_fit(const char *text)
{
    struct winsize ws = { 0 };
    int columns = ioctl(STDERR_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col > 0 ? ws.ws_col : 80;
    int n = 0;

    for (; text[n] != '\0' && columns > 1; n++)
        if ((text[n + 1] & 0xc0) != 0x80)
            columns--;
    return n;
}

void
sl_console_progress(struct sl_console *con, const char *text)
{
    if (!con->live)
        return;
    pthread_mutex_lock(&con->lock);
    if (text == NULL || *text == '\0') {
        erase_progress(con);
    } else if (!(con->half_line && con->same_terminal)) {
        fprintf(stderr, "\r\033[K%.*s", bytes_that_fit(text), text);
        con->progress = true;
    }
    fflush(stderr);
    pthread_mutex_unlock(&con->lock);
}

void
sl_warn(void *ctx, const char *text)
{
    (void)ctx;
    fflush(stdout);
    fprintf(stderr, "warning: %s\n", text);
}
