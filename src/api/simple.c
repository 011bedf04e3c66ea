/* simple.c - a package index with one project: the SDK's own wheels (PEP 503). It never asks or names another index: for any
 * other project it has nothing, so that pip is not led elsewhere. */
#include "api/api.h"
#include "api/wheel.h"
#include "runtime/file.h"
#include "runtime/install.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
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

/* What was read of a wheel. Anybody may ask for the page, and reading takes a quarter of a second. */
struct known {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec changed;
    char sha256[65], python[64];
};

/* Few folders have more wheels than this: two for each version. */
#define KNOWN_MAX 16

static bool
is_same(const struct known *k, const struct stat *st)
{
    return k->device == st->st_dev && k->inode == st->st_ino && k->size == st->st_size &&
           k->changed.tv_sec == st->st_mtim.tv_sec && k->changed.tv_nsec == st->st_mtim.tv_nsec;
}

static bool
read_wheel(const char *path, struct known *out)
{
    static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
    static struct known list[KNOWN_MAX];
    static size_t next;
    struct stat st;
    bool found = false;

    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode))
        return false;
    pthread_mutex_lock(&lock);
    for (size_t i = 0; i < KNOWN_MAX && !found; i++)
        if (list[i].sha256[0] != '\0' && is_same(&list[i], &st)) {
            *out = list[i];
            found = true;
        }
    if (!found) {
        *out = (struct known){
            .device = st.st_dev, .inode = st.st_ino, .size = st.st_size, .changed = st.st_mtim
        };
        requires_python(path, out->python);
        found = sl_file_sha256(path, out->sha256, NULL) == SL_OK;
        if (found)
            list[next++ % KNOWN_MAX] = *out;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

static void
add_wheel(struct sl_buf *out, const char *dir, const char *name)
{
    char *path = sl_path_join(dir, name);
    struct known k;

    if (read_wheel(path, &k)) {
        sl_buf_addf(out, "<a href=\"/simple/" PROJECT "/%s#sha256=%s\"", name, k.sha256);
        if (k.python[0] != '\0') {
            sl_buf_add(out, " data-requires-python=\"");
            add_escaped(out, k.python);
            sl_buf_add(out, "\"");
        }
        sl_buf_addf(out, ">%s</a><br>\n", name);
    }
    free(path);
}

/* The folder of wheels. Our own wheel is put into ours when it is first asked for: few servers are asked, and it takes some
 * seconds. */
static const char *
wheels(struct sl_call *c)
{
    static atomic_bool told;
    const char *package = sl_install_package();
    struct sl_err err = { 0 };
    sl_rc rc = SL_OK;

    if (c->sv->wheels_dir != NULL)
        return c->sv->wheels_dir;
    if (package != NULL)
        rc = sl_wheel_repack(package, c->sv->own_wheels, &err);
    if (rc != SL_OK && !atomic_exchange(&told, true))
        fprintf(stderr, "sluiced: /simple/ has no wheel of this version: %s%s%s\n", err.text,
                err.hint[0] ? "; " : "", err.hint);
    return c->sv->own_wheels;
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
    const char *dir = is_project(c->args[0]) ? wheels(c) : NULL;
    char **names = NULL;
    struct sl_buf out;

    if (dir == NULL || sl_dir_names(dir, &names, NULL) != SL_OK) {
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
    struct stat sb;
    char *path;
    int fd = -1;

    if (is_project(c->args[0]) && is_wheel(c->args[1])) {
        path = sl_path_join(wheels(c), c->args[1]);
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
