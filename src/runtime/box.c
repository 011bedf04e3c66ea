#include "runtime/box.h"

#include "base/buf.h"
#include "runtime/file.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <utf8proc.h>

/* Narrower than this a column says nothing; columns that do not fit at this width are left out. */
#define COLUMN_MIN 6
/* A single long text must not take the whole line from the others. */
#define COLUMN_MAX 60

struct sl_box {
    int ncolumns, nrows;
    char **name, **type;
    int *width;   /* wanted */
    char ***rows; /* nrows of ncolumns cells */
};

/* ---- text on a terminal ---- */

/* The next character's bytes and its width in columns. Broken bytes count as one. */
static int
step(const char *s, size_t len, size_t *bytes)
{
    utf8proc_int32_t c;
    utf8proc_ssize_t n = utf8proc_iterate((const utf8proc_uint8_t *)s, (utf8proc_ssize_t)len, &c);

    *bytes = n > 0 ? (size_t)n : 1;
    return n > 0 ? utf8proc_charwidth(c) : 1;
}

static int
text_width(const char *s)
{
    size_t len = strlen(s), n;
    int width = 0;

    for (; len > 0; s += n, len -= n)
        width += step(s, len, &n);
    return width;
}

static void
put_cell(const char *s, int width)
{
    bool cut = text_width(s) > width;
    int room = cut ? width - 1 : width, used = 0;
    size_t len = strlen(s), n;

    while (len > 0) {
        int w = step(s, len, &n);

        if (used + w > room)
            break;
        fwrite(s, 1, n, stdout);
        used += w;
        s += n;
        len -= n;
    }
    if (cut) {
        fputs("…", stdout);
        used++;
    }
    printf("%*s", width - used, "");
}

/* Line ends and control characters would break the box. */
static char *
one_line(const char *s)
{
    size_t len = strlen(s);
    char *out = sl_memdup(s, len);

    for (size_t i = 0; i < len; i++)
        if ((unsigned char)out[i] < 0x20 || out[i] == 0x7f)
            out[i] = ' ';
    return out;
}

/* ---- the table ---- */

struct sl_box *
sl_box_new(int ncolumns)
{
    struct sl_box *t = sl_zalloc(1, sizeof *t);

    t->ncolumns = ncolumns;
    t->name = sl_zalloc((size_t)ncolumns, sizeof *t->name);
    t->type = sl_zalloc((size_t)ncolumns, sizeof *t->type);
    t->width = sl_zalloc((size_t)ncolumns, sizeof *t->width);
    return t;
}

static void
widen(struct sl_box *t, int column, const char *text)
{
    int w = text_width(text);

    w = w > COLUMN_MAX ? COLUMN_MAX : w;
    t->width[column] = w > t->width[column] ? w : t->width[column];
}

void
sl_box_head(struct sl_box *t, int column, const char *name, const char *type, bool key)
{
    t->name[column] = one_line(name);
    t->type[column] = sl_sprintf("%s%s", type, key ? " key" : "");
    widen(t, column, t->name[column]);
    widen(t, column, t->type[column]);
}

void
sl_box_row(struct sl_box *t, int ncells, const char *const *cells)
{
    char **row = sl_zalloc((size_t)t->ncolumns, sizeof *row);

    for (int c = 0; c < t->ncolumns; c++) {
        row[c] = one_line(c < ncells && cells[c] ? cells[c] : "NULL");
        widen(t, c, row[c]);
    }
    t->rows = sl_realloc(t->rows, (size_t)t->nrows + 1, sizeof *t->rows);
    t->rows[t->nrows++] = row;
}

void
sl_box_free(struct sl_box *t)
{
    for (int r = 0; r < t->nrows; r++) {
        for (int c = 0; c < t->ncolumns; c++)
            free(t->rows[r][c]);
        free(t->rows[r]);
    }
    for (int c = 0; c < t->ncolumns; c++) {
        free(t->name[c]);
        free(t->type[c]);
    }
    free(t->rows);
    free(t->name);
    free(t->type);
    free(t->width);
    free(t);
}

/* Of a terminal; a pipe has no width. */
static int
screen_width(void)
{
    const char *columns = getenv("COLUMNS");
    struct winsize ws;
    int64_t n;

    if (columns != NULL && sl_parse_i64(columns, 20, 100000, &n))
        return (int)n;
    return ioctl(STDOUT_FILENO, TIOCGWINSZ, &ws) == 0 && ws.ws_col >= 20 ? ws.ws_col : 1 << 30;
}

/* Takes the excess from the widest columns first; then leaves out columns at the end. Gives how many remain. */
static int
fit(const struct sl_box *t, int *width)
{
    long long room = screen_width(), total = 1;
    int n = t->ncolumns;

    for (int c = 0; c < n; c++) {
        width[c] = t->width[c] > 1 ? t->width[c] : 1;
        total += width[c] + 3;
    }
    while (total > room) {
        int widest = 0;

        for (int c = 1; c < n; c++)
            widest = width[c] > width[widest] ? c : widest;
        if (width[widest] > COLUMN_MIN) {
            width[widest]--;
            total--;
        } else if (n > 1) {
            n--;
            total -= width[n] + 3;
        } else {
            break;
        }
    }
    return n;
}

static void
rule(const int *width, int n, const char *left, const char *mid, const char *right)
{
    for (int c = 0; c < n; c++) {
        fputs(c ? mid : left, stdout);
        for (int i = 0; i < width[c] + 2; i++)
            fputs("─", stdout);
    }
    printf("%s\n", right);
}

static void
line(char *const *cells, const int *width, int n)
{
    for (int c = 0; c < n; c++) {
        fputs("│ ", stdout);
        put_cell(cells[c], width[c]);
        putchar(' ');
    }
    puts("│");
}

static bool
has_types(const struct sl_box *t)
{
    for (int c = 0; c < t->ncolumns; c++)
        if (t->type[c][0] != '\0')
            return true;
    return false;
}

void
sl_box_print(const struct sl_box *t)
{
    int *width = sl_zalloc((size_t)t->ncolumns, sizeof *width), n = fit(t, width);

    if (n > 0) {
        rule(width, n, "┌", "┬", "┐");
        line(t->name, width, n);
        if (has_types(t))
            line(t->type, width, n);
        rule(width, n, "├", "┼", "┤");
        for (int r = 0; r < t->nrows; r++)
            line(t->rows[r], width, n);
        rule(width, n, "└", "┴", "┘");
    }
    if (n < t->ncolumns)
        printf("%d more columns do not fit here\n", t->ncolumns - n);
    free(width);
}
