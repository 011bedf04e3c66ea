#include "runtime/package.h"

#include "runtime/file.h"
#include "runtime/ignore.h"
#include "runtime/project.h"
#include "wire/form_pb.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

/* 1980-01-01 00:00 UTC, the first moment a zip can name. */
#define FIXED_TIME 315532800
/* Folders nested deeper than this are a loop of mounts or links. */
#define DEPTH_MAX 64
#define IGNORE_MAX (4u << 20)
/* A longer .py is data. */
#define SOURCE_MAX (4u << 20)
#define FORM_CLASS "ConfigurationForm"
#define FORM_MAX ((size_t)16 << 20)

struct walk {
    struct sl_package *pkg;
    const char *root, *output;
    struct sl_ignore ignore;
    struct sl_buf form;
    bool drivers, installation;
};

static void
add_file(struct sl_package *pkg, const char *path)
{
    pkg->files = sl_realloc(pkg->files, pkg->nfiles + 2, sizeof *pkg->files);
    pkg->files[pkg->nfiles++] = sl_strdup(path);
    pkg->files[pkg->nfiles] = NULL;
}

static bool
is_left_out_folder(const char *full, const char *name)
{
    static const char *const names[] = { "__pycache__", "lib", "include", "files",
                                         "crash-reports" };
    char *cfg = sl_path_join(full, "pyvenv.cfg");
    bool venv = sl_exists(cfg);

    free(cfg);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    return venv || name[0] == '.';
}

static bool
is_left_out_file(const char *name)
{
    return strcmp(name, "configuration.json") == 0 ||
           (name[0] == '.' && strcmp(name, ".gitignore") != 0);
}

static sl_rc
read_rules(struct walk *w, const char *dir, const char *rel, struct sl_err *err)
{
    char *path = sl_path_join(dir, ".gitignore");
    struct sl_buf buf;
    size_t before = w->ignore.count;
    sl_rc rc = SL_OK;

    sl_buf_init(&buf, IGNORE_MAX);
    if (sl_is_file(path)) {
        rc = sl_file_read(path, &buf, err);
        if (rc == SL_OK)
            sl_ignore_add(&w->ignore, rel, sl_buf_str(&buf));
        w->pkg->patterns += w->ignore.count - before;
    }
    sl_buf_free(&buf);
    free(path);
    return rc;
}

static sl_rc walk_dir(struct walk *w, const char *rel, int depth, struct sl_err *err);

static bool
under_drivers(const char *rel)
{
    return strncmp(rel, "drivers/", 8) == 0 || strstr(rel, "/drivers/") != NULL;
}

static sl_rc
take_entry(struct walk *w, const char *rel, const char *name, int depth, struct sl_err *err)
{
    char *path = rel[0] ? sl_sprintf("%s/%s", rel, name) : sl_strdup(name),
         *full = sl_path_join(w->root, path);
    struct stat st, link;
    sl_rc rc = SL_OK;

    /* A link to a file is packed as the file; a link to a folder could lead anywhere. */
    if (stat(full, &st) != 0 || lstat(full, &link) != 0)
        goto out;
    if (S_ISDIR(st.st_mode)) {
        if (S_ISLNK(link.st_mode) || is_left_out_folder(full, name))
            goto out;
        if (sl_ignore_match(&w->ignore, path, true)) {
            w->pkg->ignored++;
            goto out;
        }
        w->drivers = w->drivers || strcmp(name, "drivers") == 0;
        rc = walk_dir(w, path, depth + 1, err);
    } else if (S_ISREG(st.st_mode) && !is_left_out_file(name) && strcmp(full, w->output) != 0) {
        if (strcmp(name, ".gitignore") != 0 && sl_ignore_match(&w->ignore, path, false)) {
            w->pkg->ignored++;
            goto out;
        }
        if (strcmp(path, SL_FORM_FILE) == 0)
            goto out;
        w->installation = w->installation ||
                          (strcmp(name, "installation.sh") == 0 && under_drivers(path));
        add_file(w->pkg, path);
    }
out:
    free(full);
    free(path);
    return rc;
}

static sl_rc
walk_dir(struct walk *w, const char *rel, int depth, struct sl_err *err)
{
    char *dir = rel[0] ? sl_path_join(w->root, rel) : sl_strdup(w->root), **names = NULL;
    size_t rules = w->ignore.count;
    sl_rc rc;

    if (depth > DEPTH_MAX) {
        rc = sl_fail(err, SL_E_LIMIT, "folders are nested more than %d deep at %s", DEPTH_MAX, rel);
        goto out;
    }
    rc = read_rules(w, dir, rel, err);
    if (rc == SL_OK)
        rc = sl_dir_names(dir, &names, err);
    for (size_t i = 0; rc == SL_OK && names[i] != NULL; i++)
        rc = take_entry(w, rel, names[i], depth, err);
    sl_ignore_cut(&w->ignore, rules);
out:
    sl_names_free(names);
    free(dir);
    return rc;
}

static int
by_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static sl_rc
collect(struct walk *w, struct sl_err *err)
{
    sl_rc rc = walk_dir(w, "", 0, err);

    sl_ignore_free(&w->ignore);
    if (rc)
        return rc;
    if (w->drivers && !w->installation) {
        rc = sl_fail(err, SL_E_CONNECTOR, "installation.sh not found in the drivers directory");
        sl_err_hint(err,
                    "a drivers folder needs a script installation.sh that installs what is in it");
        return rc;
    }
    add_file(w->pkg, SL_FORM_FILE);
    qsort(w->pkg->files, w->pkg->nfiles, sizeof *w->pkg->files, by_bytes);
    return SL_OK;
}

/* ---- the form ---- */

static bool
says_form(const char *project, const char *name)
{
    size_t n = strlen(name);
    char *path;
    struct sl_buf text;
    bool says;

    if (n < 4 || strcmp(name + n - 3, ".py") != 0)
        return false;
    path = sl_path_join(project, name);
    sl_buf_init(&text, SOURCE_MAX);
    says = sl_file_read(path, &text, NULL) == SL_OK &&
           memmem(text.ptr ? text.ptr : "", text.len, FORM_CLASS, strlen(FORM_CLASS)) != NULL;
    sl_buf_free(&text);
    free(path);
    return says;
}

static bool
any_says_form(const struct walk *w)
{
    for (size_t i = 0; i < w->pkg->nfiles; i++)
        if (says_form(w->root, w->pkg->files[i]))
            return true;
    return false;
}

bool
sl_project_says_form(const char *project)
{
    struct sl_package pkg = { .files = sl_zalloc(1, sizeof *pkg.files) };
    struct walk w = { .pkg = &pkg, .root = project, .output = "" };
    struct sl_err ignored = { 0 };
    /* What cannot be read is not known: the connector is asked. */
    bool says = collect(&w, &ignored) != SL_OK || any_says_form(&w);

    sl_package_free(&pkg);
    return says;
}

static sl_rc
make_form(struct walk *w, const struct sl_form_maker *form, struct sl_err *err)
{
    sl_buf_init(&w->form, FORM_MAX);
    return any_says_form(w) ? form->make(form->ctx, &w->form, err) : SL_OK;
}

/* ---- the zip ---- */

static sl_rc
write_body(struct archive *zip, int fd, const char *name, struct sl_err *err)
{
    static char chunk[1 << 16];
    ssize_t n;

    while ((n = read(fd, chunk, sizeof chunk)) > 0)
        if (archive_write_data(zip, chunk, (size_t)n) != n)
            return sl_fail(err, SL_E_IO, "packing %s: %s", name, archive_error_string(zip));
    return n < 0 ? sl_fail_errno(err, "cannot read %s", name) : SL_OK;
}

/* What our entries have in common. */
static struct archive_entry *
new_entry(const char *name, int64_t size, int perm)
{
    struct archive_entry *entry = archive_entry_new();

    if (entry == NULL)
        return NULL;
    archive_entry_set_pathname(entry, name);
    archive_entry_set_size(entry, size);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, (unsigned)perm);
    archive_entry_set_mtime(entry, FIXED_TIME, 0);
    return entry;
}

static sl_rc
add_form(struct archive *zip, const struct sl_buf *form, struct sl_err *err)
{
    struct archive_entry *entry = new_entry(SL_FORM_FILE, (int64_t)form->len, 0644);
    sl_rc rc = SL_OK;

    if (entry == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for " SL_FORM_FILE);
    if (archive_write_header(zip, entry) != ARCHIVE_OK ||
        (form->len > 0 && archive_write_data(zip, form->ptr, form->len) != (la_ssize_t)form->len))
        rc = sl_fail(err, SL_E_IO, "packing " SL_FORM_FILE ": %s", archive_error_string(zip));
    archive_entry_free(entry);
    return rc;
}

static sl_rc
add_entry(struct archive *zip, const char *project, const char *name, struct sl_err *err)
{
    char *full = sl_path_join(project, name);
    struct archive_entry *entry = NULL;
    struct stat st;
    int fd = open(full, O_RDONLY | O_CLOEXEC);
    sl_rc rc = SL_OK;

    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = sl_fail_errno(err, "cannot read %s", name);
        goto out;
    }
    entry = new_entry(name, st.st_size, st.st_mode & 0100 ? 0755 : 0644);
    if (entry == NULL)
        rc = sl_fail(err, SL_E_NOMEM, "no memory for %s", name);
    else if (archive_write_header(zip, entry) != ARCHIVE_OK)
        rc = sl_fail(err, SL_E_IO, "packing %s: %s", name, archive_error_string(zip));
    else
        rc = write_body(zip, fd, name, err);
out:
    if (fd >= 0)
        close(fd);
    archive_entry_free(entry);
    free(full);
    return rc;
}

static sl_rc
write_zip(const struct walk *w, int fd, struct sl_err *err)
{
    const struct sl_package *pkg = w->pkg;
    struct archive *zip = archive_write_new();
    bool utf8;
    sl_rc rc = SL_OK;

    if (zip == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for a zip");
    /* The writer turns times into local ones, and knows UTF-8 names only in such a locale. */
    setenv("TZ", "UTC", 1);
    tzset();
    utf8 = setlocale(LC_CTYPE, "C.UTF-8") != NULL || setlocale(LC_CTYPE, "en_US.UTF-8") != NULL;
    if (archive_write_set_format_zip(zip) != ARCHIVE_OK ||
        archive_write_set_options(zip, utf8 ? "zip:compression=deflate,zip:hdrcharset=UTF-8"
                                            : "zip:compression=deflate") < ARCHIVE_WARN ||
        archive_write_open_fd(zip, fd) != ARCHIVE_OK)
        rc = sl_fail(err, SL_E_IO, "cannot write the zip: %s", archive_error_string(zip));
    for (size_t i = 0; rc == SL_OK && i < pkg->nfiles; i++)
        rc = strcmp(pkg->files[i], SL_FORM_FILE) == 0 ? add_form(zip, &w->form, err)
                                                      : add_entry(zip, w->root, pkg->files[i], err);
    if (archive_write_close(zip) != ARCHIVE_OK && rc == SL_OK)
        rc = sl_fail(err, SL_E_IO, "cannot write the zip: %s", archive_error_string(zip));
    archive_write_free(zip);
    return rc;
}

/* Size and checksum of what was written. */
static sl_rc
measure(struct sl_package *pkg, int fd, struct sl_err *err)
{
    char *path = sl_sprintf("/dev/fd/%d", fd);
    struct stat st;
    sl_rc rc;

    if (fstat(fd, &st) != 0 || lseek(fd, 0, SEEK_SET) < 0)
        rc = sl_fail_errno(err, "cannot read the zip");
    else
        rc = sl_file_sha256(path, pkg->sha256, err);
    if (rc == SL_OK)
        pkg->size = (uint64_t)st.st_size;
    free(path);
    return rc;
}

sl_rc
sl_package_make(struct sl_package *pkg, const char *project, const char *output,
                const struct sl_form_maker *form, struct sl_err *err)
{
    struct walk w = { .pkg = pkg, .root = project, .output = output };
    char *tmp = sl_sprintf("%s.%ld.tmp", output, (long)getpid());
    int fd = -1;
    sl_rc rc;

    *pkg = (struct sl_package){ .files = sl_zalloc(1, sizeof *pkg->files) };
    rc = collect(&w, err);
    if (rc == SL_OK)
        rc = make_form(&w, form, err);
    if (rc)
        goto out;
    fd = open(tmp, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0) {
        rc = sl_fail_errno(err, "cannot write %s", output);
        goto out;
    }
    rc = write_zip(&w, fd, err);
    if (rc == SL_OK)
        rc = measure(pkg, fd, err);
    if (rc == SL_OK && rename(tmp, output) != 0)
        rc = sl_fail_errno(err, "cannot write %s", output);
    if (rc)
        (void)unlink(tmp);
    close(fd);
out:
    sl_buf_free(&w.form);
    free(tmp);
    return rc;
}

/* O_TMPFILE where the file system has it. */
static int
nameless_file(void)
{
    const char *dir = getenv("TMPDIR");
    char *path;
    int fd;

    dir = dir != NULL && *dir != '\0' ? dir : "/tmp";
#ifdef O_TMPFILE
    fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd >= 0)
        return fd;
#endif
    path = sl_path_join(dir, "fivetran-package-XXXXXX");
    fd = mkostemp(path, O_CLOEXEC);
    if (fd >= 0)
        (void)unlink(path);
    free(path);
    return fd;
}

sl_rc
sl_package_make_nameless(struct sl_package *pkg, const char *project, int *fd,
                         const struct sl_form_maker *form, struct sl_err *err)
{
    struct walk w = { .pkg = pkg, .root = project, .output = "" };
    sl_rc rc;

    *fd = -1;
    *pkg = (struct sl_package){ .files = sl_zalloc(1, sizeof *pkg->files) };
    rc = collect(&w, err);
    if (rc == SL_OK)
        rc = make_form(&w, form, err);
    if (rc)
        goto out;
    *fd = nameless_file();
    if (*fd < 0) {
        rc = sl_fail_errno(err, "cannot make a temporary file for the package");
        sl_err_hint(err, "TMPDIR names the folder for it");
        goto out;
    }
    rc = write_zip(&w, *fd, err);
    if (rc == SL_OK)
        rc = measure(pkg, *fd, err);
    if (rc) {
        close(*fd);
        *fd = -1;
    }
out:
    sl_buf_free(&w.form);
    return rc;
}

void
sl_package_free(struct sl_package *pkg)
{
    sl_names_free(pkg->files);
    *pkg = (struct sl_package){ 0 };
}
