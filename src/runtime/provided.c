#include "runtime/provided.h"

#include "runtime/file.h"

#include <ctype.h>
#include <stdlib.h>

/* Import name and distribution name are the same for each. */
static const char *const provided[] = { "requests" };

/* Projects are small; a folder deeper or larger than this is data, not code. */
#define DEPTH_MAX 8
#define FILE_MAX ((size_t)4 << 20)

/* Whether a line of the text is `import name…` or `from name…`. */
static bool
text_imports(const char *text, const char *name)
{
    size_t n = strlen(name);

    for (const char *line = text; line != NULL; line = strchr(line, '\n')) {
        line += strspn(line, "\n \t");
        if (strncmp(line, "import ", 7) == 0)
            line += 7;
        else if (strncmp(line, "from ", 5) == 0)
            line += 5;
        else
            continue;
        /* import a, b as c, requests */
        for (line += strspn(line, " \t"); *line && *line != '\n';) {
            if (strncmp(line, name, n) == 0 && !isalnum((unsigned char)line[n]) && line[n] != '_')
                return true;
            line += strcspn(line, ",\n");
            line += strspn(line, ", \t");
        }
    }
    return false;
}

static bool
file_imports(const char *path, const char *name)
{
    struct sl_err ignored;
    struct sl_buf text;
    bool found;

    sl_buf_init(&text, FILE_MAX);
    found = sl_file_read(path, &text, &ignored) == 0 && text_imports(sl_buf_str(&text), name);
    sl_buf_free(&text);
    return found;
}

static bool
is_code_folder(const char *path, const char *name)
{
    char *cfg = sl_path_join(path, "pyvenv.cfg");
    bool venv = sl_exists(cfg);

    free(cfg);
    return !venv && name[0] != '.' && strcmp(name, "files") != 0 &&
           strcmp(name, "__pycache__") != 0;
}

static bool
folder_imports(const char *dir, const char *name, int depth)
{
    struct sl_err ignored;
    char **names;
    bool found = false;

    if (depth > DEPTH_MAX || sl_dir_names(dir, &names, &ignored))
        return false;
    for (char **n = names; *n != NULL && !found; n++) {
        char *path = sl_path_join(dir, *n);
        size_t len = strlen(*n);

        if (len > 3 && strcmp(*n + len - 3, ".py") == 0)
            found = file_imports(path, name);
        else if (sl_is_dir(path) && is_code_folder(path, *n))
            found = folder_imports(path, name, depth + 1);
        free(path);
    }
    sl_names_free(names);
    return found;
}

static bool
listed(const struct sl_requirements *req, const char *name)
{
    for (size_t i = 0; i < req->count; i++)
        if (req->list[i].name != NULL && strcmp(req->list[i].name, name) == 0)
            return true;
    return false;
}

char *
sl_provided_add(struct sl_requirements *req, const char *project)
{
    char *added = NULL;

    for (size_t i = 0; i < sizeof provided / sizeof provided[0]; i++) {
        char *more;

        if (listed(req, provided[i]) || !folder_imports(project, provided[i], 0))
            continue;
        sl_requirements_add(req, provided[i]);
        more = added ? sl_sprintf("%s, %s", added, provided[i]) : sl_strdup(provided[i]);
        free(added);
        added = more;
    }
    return added;
}
