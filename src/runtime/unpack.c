#include "runtime/unpack.h"

#include "base/buf.h"
#include "base/map.h"
#include "base/text.h"
#include "runtime/file.h"

#include <archive.h>
#include <archive_entry.h>
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

const struct sl_unpack_limits sl_unpack_defaults = {
    .packed = 200000000,
    .unpacked = 1ull << 30,
    .files = 20000,
    .depth = 64, /* what `fivetran package` packs at most */
    .path = 1024,
    .ratio = 200,
};

/* Below this no ratio says anything: a file of blanks. */
#define RATIO_FROM (1u << 20)
#define PART_MAX 255 /* bytes of one name on the usual file systems */
#define ENTRY_FILE "connector.py"

struct unpacking {
    const struct sl_unpack_limits *limits;
    const char *zip;
    uint64_t packed, unpacked;
    unsigned count, expected;
    struct sl_map seen; /* path → IS_FILE or IS_FOLDER */
    char *elsewhere;    /* a connector.py that is not in the root */
    bool has_connector;
    int root; /* folder to write to; -1: only check */
    char chunk[1 << 16];
};

enum { IS_FILE, IS_FOLDER };

static sl_rc refuse(struct sl_err *err, const char *entry, const char *fix, const char *fmt, ...)
    SL_PRINTF(4, 5);

/* A zip that is not what it should be; names are shown with control characters replaced. */
static sl_rc
refuse(struct sl_err *err, const char *entry, const char *fix, const char *fmt, ...)
{
    char text[600], name[140];
    va_list ap;

    snprintf(name, sizeof name, "%.130s", entry);
    for (char *p = name; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            *p = '?';
    va_start(ap, fmt);
    vsnprintf(text, sizeof text, fmt, ap);
    va_end(ap);
    if (name[0] != '\0')
        (void)sl_fail(err, SL_E_CONFIG, "the package's entry \"%s\" %s", name, text);
    else
        (void)sl_fail(err, SL_E_CONFIG, "the package %s", text);
    sl_err_path(err, "%s", name);
    sl_err_hint(err, "%s", fix);
    return SL_E_CONFIG;
}

#define PACK_AGAIN "pack it again with fivetran package"

/* ---- its table of contents, before anything is unpacked ---- */

/* The end record, and one header of the central directory: sizes and places of their fields (APPNOTE 4.3.12, 4.3.16). */
#define END_SIZE 22
#define END_SEARCH (END_SIZE + 65535)
#define HEADER_SIZE 46

static unsigned
u16(const unsigned char *p)
{
    return p[0] | (unsigned)p[1] << 8;
}

static uint32_t
u32(const unsigned char *p)
{
    return u16(p) | (uint32_t)u16(p + 2) << 16;
}

static sl_rc
find_end(int fd, uint64_t size, unsigned char end[END_SIZE], struct sl_err *err)
{
    size_t n = size < END_SEARCH ? (size_t)size : END_SEARCH;
    unsigned char *tail = sl_alloc(n + 1);
    bool there = n >= END_SIZE && pread(fd, tail, n, (off_t)(size - n)) == (ssize_t)n;

    for (size_t i = there ? n - END_SIZE + 1 : 0; i-- > 0;)
        if (memcmp(tail + i, "PK\5\6", 4) == 0 && i + END_SIZE + u16(tail + i + 20) == n) {
            memcpy(end, tail + i, END_SIZE);
            free(tail);
            return SL_OK;
        }
    free(tail);
    return refuse(err, "", "upload the zip that fivetran package or fivetran deploy makes",
                  "is no zip file, or its end is missing");
}

/* Unix and macOS note what an entry is in the upper half of its attributes; libarchive shows pipes and devices as files. */
static bool
is_plain_kind(const unsigned char *p)
{
    unsigned type = u16(p + 40) & S_IFMT;
    bool noted = p[5] == 3 || p[5] == 19;

    return !noted || type == 0 || type == S_IFREG || type == S_IFDIR;
}

/* libarchive gives names as C strings, where one with a NUL inside would look harmless, and turns some backslashes
 * into slashes. */
static sl_rc
check_header(const unsigned char *p, size_t left, size_t *used, struct sl_err *err)
{
    size_t name_len;
    char name[131];

    if (left < HEADER_SIZE || memcmp(p, "PK\1\2", 4) != 0)
        return refuse(err, "", PACK_AGAIN, "is damaged: its table of contents is broken");
    name_len = u16(p + 28);
    *used = HEADER_SIZE + name_len + u16(p + 30) + u16(p + 32);
    if (*used > left)
        return refuse(err, "", PACK_AGAIN, "is damaged: its table of contents is broken");
    snprintf(name, sizeof name, "%.*s", (int)name_len, (const char *)p + HEADER_SIZE);
    if (memchr(p + HEADER_SIZE, '\0', name_len) != NULL)
        return refuse(err, name, PACK_AGAIN, "has a NUL byte in its name");
    if (!sl_utf8_valid((const char *)p + HEADER_SIZE, name_len))
        return refuse(err, "", PACK_AGAIN, "has an entry whose name is not UTF-8");
    if (memchr(p + HEADER_SIZE, '\\', name_len) != NULL)
        return refuse(err, name, PACK_AGAIN ", which writes / between folders on every system",
                      "has a backslash in its name");
    if (u16(p + 8) & 0x2041) /* encrypted, strongly, or with hidden names */
        return refuse(err, name,
                      "pack it without a password; configuration values are uploaded "
                      "encrypted by fivetran deploy",
                      "is encrypted");
    if (!is_plain_kind(p))
        return refuse(err, name, "put the file itself into the project",
                      "is a link or a device, not a file");
    if (u16(p + 10) != 0 && u16(p + 10) != 8)
        return refuse(err, name, PACK_AGAIN, "is compressed in a way that is not supported (%u)",
                      u16(p + 10));
    return SL_OK;
}

static sl_rc
check_contents(struct unpacking *u, int fd, struct sl_err *err)
{
    unsigned char end[END_SIZE] = { 0 }, *table = NULL;
    uint32_t offset, size;
    size_t used = 0;
    sl_rc rc = find_end(fd, u->packed, end, err);

    if (rc)
        return rc;
    u->expected = u16(end + 10);
    size = u32(end + 12);
    offset = u32(end + 16);
    if (u->expected == 0xffff || size == 0xffffffff || offset == 0xffffffff || u16(end + 4) != 0)
        return refuse(err, "", PACK_AGAIN, "has a form for very large or split archives (zip64)");
    if (u->expected > u->limits->files) {
        rc = sl_fail(err, SL_E_LIMIT, "the package has %u files; at most %u are allowed",
                     u->expected, u->limits->files);
        sl_err_hint(err, "leave out what the connector does not need with a .gitignore");
        return rc;
    }
    if ((uint64_t)offset + size > u->packed)
        return refuse(err, "", PACK_AGAIN, "is damaged: its table of contents is outside the file");
    table = sl_try_realloc(NULL, size + 1u, 1);
    if (table == NULL)
        return sl_fail(err, SL_E_NOMEM, "no memory for the package's table of contents");
    if (pread(fd, table, size, offset) != (ssize_t)size)
        rc = sl_fail_errno(err, "cannot read %s", u->zip);
    for (unsigned i = 0, at = 0; rc == SL_OK && i < u->expected; i++, at += (unsigned)used)
        rc = check_header(table + at, size - at, &used, err);
    free(table);
    return rc;
}

/* ---- names ---- */

static sl_rc
check_parts(const struct unpacking *u, const char *name, struct sl_err *err)
{
    unsigned depth = 0;

    for (const char *p = name; *p != '\0';) {
        size_t n = strcspn(p, "/");

        if (n == 0 || (n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.'))
            return refuse(err, name, "pack the project's own files, named relative to its folder",
                          "leads out of its folder or has an empty part in its name");
        if (n > PART_MAX)
            return refuse(err, name, "shorten the name", "has a part of more than %d bytes",
                          PART_MAX);
        if (++depth > u->limits->depth)
            return refuse(err, name, "move it up", "is more than %u folders deep",
                          u->limits->depth);
        p += n;
        p += *p == '/';
    }
    return SL_OK;
}

static sl_rc
check_name(const struct unpacking *u, const char *name, struct sl_err *err)
{
    static const char relative[] = "pack the project's own files, named relative to its folder";

    if (name == NULL || !sl_utf8_valid(name, strlen(name)))
        return refuse(err, "", PACK_AGAIN, "has an entry whose name is not UTF-8");
    if (name[0] == '\0')
        return refuse(err, "", PACK_AGAIN, "has an entry without a name");
    if (strlen(name) > u->limits->path)
        return refuse(err, name, "shorten the path", "has a path of more than %u bytes",
                      u->limits->path);
    for (const char *p = name; *p != '\0'; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f)
            return refuse(err, name, "rename the file", "has a control character in its name");
    if (name[0] == '/')
        return refuse(err, name, relative, "has an absolute path");
    if (isalpha((unsigned char)name[0]) && name[1] == ':')
        return refuse(err, name, relative, "begins with a drive letter");
    return check_parts(u, name, err);
}

/* Remembers a path and the folders above it; a file cannot be there twice, nor have files below it. */
static sl_rc
remember(struct unpacking *u, const char *name, bool folder, struct sl_err *err)
{
    size_t len = strlen(name);
    uint32_t kind;

    while (len > 0 && name[len - 1] == '/')
        len--;
    for (size_t i = 1; i < len; i++) {
        if (name[i] != '/')
            continue;
        if (sl_map_get(&u->seen, name, i, &kind) && kind == IS_FILE)
            return refuse(err, name, "rename one of the two",
                          "lies below something that is a file");
        sl_map_put(&u->seen, name, i, IS_FOLDER);
    }
    if (sl_map_get(&u->seen, name, len, &kind) && !(folder && kind == IS_FOLDER))
        return refuse(err, name, PACK_AGAIN, "is there twice");
    sl_map_put(&u->seen, name, len, folder ? IS_FOLDER : IS_FILE);
    return SL_OK;
}

static void
look_for_connector(struct unpacking *u, const char *name)
{
    if (strcmp(name, ENTRY_FILE) == 0)
        u->has_connector = true;
    else if (u->elsewhere == NULL && strcmp(sl_path_base(name), ENTRY_FILE) == 0)
        u->elsewhere = sl_strdup(name);
}

/* ---- contents ---- */

/* Opens the folder that a path lies in, making what is missing. -1 with errno. */
static int
open_parent(int root, const char *name)
{
    int dir = fcntl(root, F_DUPFD_CLOEXEC, 0);

    for (const char *slash = strchr(name, '/'); dir >= 0 && slash != NULL && slash[1] != '\0';
         slash = strchr(name, '/')) {
        char part[PART_MAX + 1];
        int next = -1;

        snprintf(part, sizeof part, "%.*s", (int)(slash - name), name);
        if (mkdirat(dir, part, 0755) == 0 || errno == EEXIST)
            next = openat(dir, part, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (next >= 0 && fchmod(next, 0755) != 0) {
            close(next);
            next = -1;
        }
        close(dir);
        dir = next;
        name = slash + 1;
    }
    return dir;
}

/* The new file, or -1 when only checking; a folder is made and needs no more. */
static sl_rc
create(const struct unpacking *u, const char *name, bool folder, bool executable, int *fd,
       struct sl_err *err)
{
    int parent;
    char *base;
    sl_rc rc = SL_OK;

    *fd = -1;
    if (u->root < 0)
        return SL_OK;
    parent = open_parent(u->root, name);
    if (parent < 0)
        return sl_fail_errno(err, "cannot make the folder of %s", name);
    if (folder) {
        base = sl_sprintf("%s%s", name, name[strlen(name) - 1] == '/' ? "." : "/.");
        close(parent);
        parent = open_parent(u->root, base); /* the folder itself */
        rc = parent < 0 ? sl_fail_errno(err, "cannot make the folder %s", name) : SL_OK;
        free(base);
    } else {
        *fd = openat(parent, sl_path_base(name),
                     O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644);
        if (*fd < 0 || fchmod(*fd, executable ? 0755 : 0644) != 0)
            rc = sl_fail_errno(err, "cannot write %s", name);
    }
    if (parent >= 0)
        close(parent);
    return rc;
}

static sl_rc
count_bytes(struct unpacking *u, const char *name, size_t n, struct sl_err *err)
{
    sl_rc rc = SL_OK;

    u->unpacked += n;
    if (u->unpacked > u->limits->unpacked) {
        rc = sl_fail(err, SL_E_LIMIT,
                     "the package has more than %llu MiB when unpacked (at \"%s\")",
                     (unsigned long long)(u->limits->unpacked >> 20), name);
        sl_err_hint(err, "leave data files out with a .gitignore");
    } else if (u->unpacked > RATIO_FROM && u->unpacked / u->packed >= u->limits->ratio) {
        rc = sl_fail(err, SL_E_LIMIT,
                     "the package unpacks to more than %u times its size (at \"%s\")",
                     u->limits->ratio, name);
        sl_err_hint(err, "leave data files out with a .gitignore");
    }
    if (rc)
        sl_err_path(err, "%s", name);
    return rc;
}

static sl_rc
copy_body(struct unpacking *u, struct archive *a, const char *name, int fd, struct sl_err *err)
{
    for (;;) {
        la_ssize_t n = archive_read_data(a, u->chunk, sizeof u->chunk);
        sl_rc rc;

        if (n == 0)
            return SL_OK;
        if (n < 0) /* also a wrong checksum or size */
            return refuse(err, name, PACK_AGAIN, "is damaged: %s",
                          archive_error_string(a) ? archive_error_string(a) : "unreadable");
        rc = count_bytes(u, name, (size_t)n, err);
        if (rc)
            return rc;
        for (la_ssize_t at = 0, w = 0; fd >= 0 && at<n; at += w> 0 ? w : 0) {
            w = write(fd, u->chunk + at, (size_t)(n - at));
            if (w < 0 && errno != EINTR)
                return sl_fail_errno(err, "cannot write %s", name);
        }
    }
}

static sl_rc
take_entry(struct unpacking *u, struct archive *a, struct archive_entry *entry, struct sl_err *err)
{
    const char *name = archive_entry_pathname(entry);
    unsigned type = archive_entry_filetype(entry);
    sl_rc rc = check_name(u, name, err);
    bool folder;
    int fd;

    if (rc)
        return rc;
    folder = type == AE_IFDIR || name[strlen(name) - 1] == '/';
    if ((type != AE_IFREG && type != AE_IFDIR) || archive_entry_hardlink(entry) != NULL)
        return refuse(err, name, "put the file itself into the project",
                      "is a link or a device, not a file");
    if (++u->count > u->limits->files)
        return sl_fail(err, SL_E_LIMIT, "the package has more than %u files", u->limits->files);
    rc = remember(u, name, folder, err);
    if (rc == SL_OK)
        rc = create(u, name, folder, (archive_entry_perm(entry) & 0100) != 0, &fd, err);
    if (rc)
        return rc;
    if (!folder)
        look_for_connector(u, name);
    rc = copy_body(u, a, name, fd, err);
    if (fd >= 0 && close(fd) != 0 && rc == SL_OK)
        rc = sl_fail_errno(err, "cannot write %s", name);
    return rc;
}

static sl_rc
take_entries(struct unpacking *u, struct archive *a, struct sl_err *err)
{
    struct archive_entry *entry;
    sl_rc rc = SL_OK;
    int r;

    while (rc == SL_OK && (r = archive_read_next_header(a, &entry)) != ARCHIVE_EOF) {
        if (r == ARCHIVE_OK)
            rc = take_entry(u, a, entry, err);
        else
            rc = refuse(err, "", PACK_AGAIN, "is damaged: %s",
                        archive_error_string(a) ? archive_error_string(a) : "unreadable");
    }
    return rc;
}

static sl_rc
check_whole(const struct unpacking *u, struct sl_err *err)
{
    char *dir;
    sl_rc rc;

    if (u->count != u->expected)
        return refuse(err, "", PACK_AGAIN, "is damaged: it lists %u files and has %u", u->expected,
                      u->count);
    if (u->has_connector)
        return SL_OK;
    if (u->elsewhere == NULL)
        return refuse(err, "", "pack the folder that contains connector.py",
                      "has no connector.py in its root");
    dir = sl_path_dir(u->elsewhere);
    (void)refuse(err, "", "", "has no connector.py in its root, but one at %s", u->elsewhere);
    sl_err_hint(err, "pack what is in the folder %s, not the folder itself", dir);
    rc = SL_E_CONFIG;
    free(dir);
    return rc;
}

/* ---- the whole ---- */

/* libarchive turns names into the locale's character set, which must be UTF-8 here whatever the program's is. */
static locale_t
utf8_locale(locale_t *before)
{
    static const char *const names[] = { "C.UTF-8", "en_US.UTF-8", "UTF-8" };
    locale_t loc = (locale_t)0;

    for (size_t i = 0; i < sizeof names / sizeof names[0] && loc == (locale_t)0; i++)
        loc = newlocale(LC_CTYPE_MASK, names[i], (locale_t)0);
    *before = loc != (locale_t)0 ? uselocale(loc) : (locale_t)0;
    return loc;
}

static sl_rc
read_zip(struct unpacking *u, int fd, struct sl_err *err)
{
    struct archive *a = archive_read_new();
    locale_t before, loc = utf8_locale(&before);
    sl_rc rc;

    if (a == NULL)
        rc = sl_fail(err, SL_E_NOMEM, "no memory to read a zip");
    else if (archive_read_support_format_zip_seekable(a) != ARCHIVE_OK ||
             archive_read_open_fd(a, fd, sizeof u->chunk) != ARCHIVE_OK)
        rc = refuse(err, "", PACK_AGAIN, "cannot be read: %s",
                    archive_error_string(a) ? archive_error_string(a) : "no zip");
    else
        rc = take_entries(u, a, err);
    archive_read_free(a);
    if (loc != (locale_t)0) {
        uselocale(before);
        freelocale(loc);
    }
    return rc;
}

static sl_rc
go_through(const char *zip, int root, const struct sl_unpack_limits *limits, struct sl_err *err)
{
    struct unpacking *u = sl_zalloc(1, sizeof *u);
    int fd = open(zip, O_RDONLY | O_CLOEXEC);
    struct stat st;
    sl_rc rc;

    u->limits = limits != NULL ? limits : &sl_unpack_defaults;
    u->zip = zip;
    u->root = root;
    if (fd < 0 || fstat(fd, &st) != 0) {
        rc = sl_fail_errno(err, "cannot read %s", zip);
    } else if ((uint64_t)st.st_size > u->limits->packed) {
        rc = sl_fail(err, SL_E_LIMIT, "the package has %llu MB; at most %llu MB are allowed",
                     (unsigned long long)st.st_size / 1000000,
                     (unsigned long long)u->limits->packed / 1000000);
        sl_err_hint(err, "leave data files out with a .gitignore");
    } else {
        u->packed = (uint64_t)st.st_size;
        rc = check_contents(u, fd, err);
        if (rc == SL_OK && u->expected > 0) /* libarchive takes an empty zip for none */
            rc = read_zip(u, fd, err);
        if (rc == SL_OK)
            rc = check_whole(u, err);
    }
    if (fd >= 0)
        close(fd);
    sl_map_free(&u->seen);
    free(u->elsewhere);
    free(u);
    return rc;
}

sl_rc
sl_package_check(const char *zip, const struct sl_unpack_limits *limits, struct sl_err *err)
{
    return go_through(zip, -1, limits, err);
}

sl_rc
sl_package_unpack(const char *zip, const char *dir, const struct sl_unpack_limits *limits,
                  struct sl_err *err)
{
    int root;
    sl_rc rc;

    if (mkdir(dir, 0700) != 0)
        return sl_fail_errno(err, "cannot make the folder %s", dir);
    root = open(dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (root < 0)
        rc = sl_fail_errno(err, "cannot open %s", dir);
    else
        rc = go_through(zip, root, limits, err);
    if (rc == SL_OK && fchmod(root, 0755) != 0)
        rc = sl_fail_errno(err, "cannot change %s", dir);
    if (root >= 0)
        close(root);
    if (rc && sl_remove_tree(dir, NULL) != SL_OK)
        sl_err_wrap(err, "(and %s could not be removed)", dir);
    return rc;
}

/* ---- one file ---- */

static sl_rc
read_file(struct archive *a, const char *name, struct sl_buf *out, bool *found, struct sl_err *err)
{
    struct archive_entry *entry;
    char chunk[4096];
    la_ssize_t n = 0;
    sl_rc rc = SL_OK;
    int r;

    while ((r = archive_read_next_header(a, &entry)) == ARCHIVE_OK && !*found) {
        const char *path = archive_entry_pathname(entry);

        *found = path != NULL && strcmp(path, name) == 0;
        while (*found && rc == SL_OK && (n = archive_read_data(a, chunk, sizeof chunk)) > 0)
            rc = sl_buf_put(out, chunk, (size_t)n, err);
    }
    if (rc == SL_OK && (n < 0 || (r != ARCHIVE_OK && r != ARCHIVE_EOF)))
        rc = refuse(err, name, PACK_AGAIN, "cannot be read: %s",
                    archive_error_string(a) ? archive_error_string(a) : "damaged");
    return rc;
}

sl_rc
sl_package_read(const char *zip, const char *name, struct sl_buf *out, bool *found,
                struct sl_err *err)
{
    struct archive *a = archive_read_new();
    locale_t before, loc = utf8_locale(&before);
    sl_rc rc;

    *found = false;
    if (a == NULL)
        rc = sl_fail(err, SL_E_NOMEM, "no memory to read a zip");
    else if (archive_read_support_format_zip_seekable(a) != ARCHIVE_OK ||
             archive_read_open_filename(a, zip, 1 << 16) != ARCHIVE_OK)
        rc = sl_fail(err, SL_E_IO, "cannot read %s: %s", zip,
                     archive_error_string(a) ? archive_error_string(a) : "no zip");
    else
        rc = read_file(a, name, out, found, err);
    archive_read_free(a);
    if (loc != (locale_t)0) {
        uselocale(before);
        freelocale(loc);
    }
    return rc;
}
