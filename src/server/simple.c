/* simple.c - a package index with one project: the SDK's own wheels (PEP 503). It never asks or names another index: for any
 * other project it has nothing, so that pip is not led elsewhere. */
#include "runtime/file.h"
#include "server/api.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PROJECT "fivetran-connector-sdk"
#define PREFIX "fivetran_connector_sdk-"
#define HTML "text/html; charset=utf-8"
/* METADATA of a wheel is a few KiB. */
#define METADATA_MAX (256 * KIB)

static void
say_html(struct sl_call *c, int status, struct sl_buf *out)
{
    sl_req_answer(c->req, status, HTML, out->ptr, out->len);
}

static void
refuse_nothing(struct sl_call *c)
{
    sl_refuse(c, 404, "NotFound", "This index has no such file");
}

/* "Fivetran.Connector_SDK" is the same name. */
static bool
is_project(const char *name)
{
    const char *p = PROJECT;

    for (; *name != '\0'; p++) {
        if (*name == '-' || *name == '_' || *name == '.') {
            if (*p != '-')
                return false;
            name += strspn(name, "-_.");
        } else if (tolower((unsigned char)*name++) != *p) {
            return false;
        }
    }
    return *p == '\0';
}

static bool
is_wheel(const char *name)
{
    size_t n = strlen(name);

    return strncmp(name, PREFIX, strlen(PREFIX)) == 0 && n > 4 &&
           strcmp(name + n - 4, ".whl") == 0 &&
           name[strspn(
               name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-.+")] == '\0';
}

/* The value of Requires-Python in the wheel's METADATA; empty if there is none. */
static void
requires_python(const char *path, char out[64])
{
    struct archive *a = archive_read_new();
    struct archive_entry *e;

    out[0] = '\0';
    archive_read_support_format_zip(a);
    if (archive_read_open_filename(a, path, 64 << 10) == ARCHIVE_OK) {
        while (archive_read_next_header(a, &e) == ARCHIVE_OK) {
            const char *name = archive_entry_pathname(e), *found;
            char *text;
            la_ssize_t n;

            if (name == NULL || strstr(name, ".dist-info/METADATA") == NULL)
                continue;
            text = sl_alloc(METADATA_MAX + 1);
            n = archive_read_data(a, text, METADATA_MAX);
            text[n > 0 ? n : 0] = '\0';
            found = strstr(text, "\nRequires-Python: ");
            if (found != NULL)
                snprintf(out, 64, "%.*s", (int)strcspn(found + 18, "\r\n"), found + 18);
            free(text);
            break;
        }
    }
    archive_read_free(a);
}

static void
add_escaped(struct sl_buf *out, const char *s)
{
    for (; *s != '\0'; s++) {
        if (*s == '<')
            sl_buf_add(out, "&lt;");
        else if (*s == '>')
            sl_buf_add(out, "&gt;");
        else if (*s == '&')
            sl_buf_add(out, "&amp;");
        else if (*s == '"')
            sl_buf_add(out, "&quot;");
        else
            sl_buf_addn(out, s, 1);
    }
}

static void
add_wheel(struct sl_buf *out, const char *dir, const char *name)
{
    char *path = sl_path_join(dir, name);
    char sha256[65], python[64];

    if (sl_file_sha256(path, sha256, NULL) == SL_OK) {
        requires_python(path, python);
        sl_buf_addf(out, "<a href=\"/simple/" PROJECT "/%s#sha256=%s\"", name, sha256);
        if (python[0] != '\0') {
            sl_buf_add(out, " data-requires-python=\"");
            add_escaped(out, python);
            sl_buf_add(out, "\"");
        }
        sl_buf_addf(out, ">%s</a><br>\n", name);
    }
    free(path);
}

static void
begin_page(struct sl_buf *out, const char *title)
{
    sl_buf_init(out, MIB);
    sl_buf_addf(out,
                "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\">"
                "<meta name=\"pypi:repository-version\" content=\"1.0\">"
                "<title>%s</title></head><body>\n",
                title);
}

void
sl_api_simple(struct sl_call *c)
{
    struct sl_buf out;

    begin_page(&out, "Packages");
    sl_buf_add(&out, "<a href=\"/simple/" PROJECT "/\">" PROJECT "</a>\n</body></html>\n");
    say_html(c, 200, &out);
}

void
sl_api_simple_project(struct sl_call *c)
{
    const char *dir = c->sv->wheels_dir;
    char **names = NULL;
    struct sl_buf out;

    if (!is_project(c->args[0]) || dir == NULL || sl_dir_names(dir, &names, NULL) != SL_OK) {
        refuse_nothing(c);
        return;
    }
    begin_page(&out, PROJECT);

    for (char **n = names; *n != NULL; n++)
        if (is_wheel(*n))
            add_wheel(&out, dir, *n);
    sl_buf_add(&out, "</body></html>\n");
    sl_names_free(names);
    say_html(c, 200, &out);
}

void
sl_api_simple_file(struct sl_call *c)
{
    const char *dir = c->sv->wheels_dir;
    struct stat sb;
    char *path;
    int fd = -1;

    if (is_project(c->args[0]) && dir != NULL && is_wheel(c->args[1])) {
        path = sl_path_join(dir, c->args[1]);
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
        free(path);
    }
    if (fd >= 0 && fstat(fd, &sb) == 0 && S_ISREG(sb.st_mode)) {
        sl_req_answer_fd(c->req, 200, "application/octet-stream", fd, (uint64_t)sb.st_size);
        return;
    }
    if (fd >= 0)
        close(fd);
    refuse_nothing(c);
}
