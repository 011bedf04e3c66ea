#include "runtime/templates.h"

#include "runtime/file.h"
#include "runtime/install.h"

#include <stdlib.h>

#define TEMPLATE_FILE_MAX (1u << 20)

static sl_rc
folder(char **out, struct sl_err *err)
{
    const char *dir = sl_install_templates();

    if (dir == NULL || !sl_is_dir(dir)) {
        sl_fail(err, SL_E_ENV, "the templates were not found: the installation is broken");
        sl_err_hint(err,
                    "run fivetran doctor; it says what is missing and how to install it again");
        return SL_E_ENV;
    }
    *out = sl_strdup(dir);
    return SL_OK;
}

sl_rc
sl_templates_list(char ***names, struct sl_err *err)
{
    char *dir = NULL;
    size_t keep = 0;
    sl_rc rc;

    *names = NULL;
    rc = folder(&dir, err);
    if (rc == SL_OK)
        rc = sl_dir_names(dir, names, err);
    for (size_t i = 0; rc == SL_OK && (*names)[i] != NULL; i++) {
        char *file = sl_sprintf("%s/%s/connector.py", dir, (*names)[i]);

        if (sl_is_file(file))
            (*names)[keep++] = (*names)[i];
        else
            free((*names)[i]);
        free(file);
    }
    if (rc == SL_OK)
        (*names)[keep] = NULL;
    free(dir);
    return rc;
}

char *
sl_template_title(const char *name)
{
    char *path = sl_sprintf("%s/%s/README.md", sl_install_templates(), name), *title;
    struct sl_buf buf;
    const char *text;

    sl_buf_init(&buf, TEMPLATE_FILE_MAX);
    text = sl_file_read(path, &buf, NULL) == SL_OK ? sl_buf_str(&buf) : "";
    text += strspn(text, "# ");
    title = sl_memdup(text, strcspn(text, "\n"));
    sl_buf_free(&buf);
    free(path);
    return title;
}

sl_rc
sl_template_files(const char *name, char ***files, struct sl_err *err)
{
    char **known = NULL, *dir = NULL;
    bool found = false;
    size_t keep = 0;
    sl_rc rc = sl_templates_list(&known, err);

    *files = NULL;
    for (size_t i = 0; rc == SL_OK && known[i] != NULL; i++)
        found = found || strcmp(known[i], name) == 0;
    if (rc == SL_OK && !found) {
        rc = sl_fail(err, SL_E_CONNECTOR, "there is no template \"%s\"", name);
        sl_err_hint(err, "the templates: fivetran init --list");
    }
    if (rc == SL_OK) {
        dir = sl_path_join(sl_install_templates(), name);
        rc = sl_dir_names(dir, files, err);
    }
    for (size_t i = 0; rc == SL_OK && (*files)[i] != NULL; i++) {
        char *path = sl_path_join(dir, (*files)[i]);

        if (sl_is_file(path))
            (*files)[keep++] = (*files)[i];
        else
            free((*files)[i]);
        free(path);
    }
    if (rc == SL_OK)
        (*files)[keep] = NULL;
    sl_names_free(known);
    free(dir);
    return rc;
}

sl_rc
sl_template_copy(const char *name, const char *file, const char *project, struct sl_err *err)
{
    char *from = sl_sprintf("%s/%s/%s", sl_install_templates(), name, file),
         *to = sl_path_join(project, file);
    struct sl_buf buf;
    sl_rc rc;

    sl_buf_init(&buf, TEMPLATE_FILE_MAX);
    rc = sl_file_read(from, &buf, err);
    if (rc == SL_OK)
        rc = sl_file_write(to, (struct sl_bytes){ buf.ptr, buf.len }, false, err);
    sl_buf_free(&buf);
    free(from);
    free(to);
    return rc;
}
