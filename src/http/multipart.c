#include "http/multipart.h"

#include <microhttpd.h>
#include <stdlib.h>

struct sl_multipart {
    struct MHD_PostProcessor *pp;
    struct sl_upload *upload;
    struct sl_err err; /* the first thing that was wrong */
    char *file_name;
    int parts;
};

/* The last part of a path, without what no file name needs. */
static char *
clean_name(const char *name)
{
    const char *base = name;
    char *out;
    size_t n = 0;

    for (const char *p = name; *p != '\0'; p++)
        if (*p == '/' || *p == '\\')
            base = p + 1;
    out = sl_zalloc(1, 129);
    for (const char *p = base; *p != '\0' && n < 128; p++)
        if ((unsigned char)*p > 0x20 && (unsigned char)*p < 0x7f && *p != '"')
            out[n++] = *p;
    return out;
}

static void
new_part(struct sl_multipart *m, const char *key, const char *file_name)
{
    m->parts++;
    if (key == NULL || strcmp(key, "file") != 0)
        sl_fail(&m->err, SL_E_CONFIG, "the form must have one part named 'file', not '%.40s'",
                key ? key : "");
    else if (m->parts > 1)
        sl_fail(&m->err, SL_E_CONFIG, "the form must have one part named 'file', not several");
    else
        m->file_name = clean_name(file_name ? file_name : "");
}

static enum MHD_Result
on_data(void *cls, enum MHD_ValueKind kind, const char *key, const char *file_name,
        const char *type, const char *encoding, const char *data, uint64_t off, size_t size)
{
    struct sl_multipart *m = cls;

    (void)kind;
    (void)type;
    (void)encoding;
    if (off == 0 && m->err.code == SL_OK)
        new_part(m, key, file_name);
    if (m->err.code == SL_OK && size > 0 &&
        sl_upload_write(m->upload, data, size, &m->err) != SL_OK && m->err.code == SL_OK)
        m->err.code = SL_E_IO;
    return MHD_YES; /* the rest is read and dropped */
}

sl_rc
sl_multipart_begin(struct sl_multipart **out, struct sl_packages *packages,
                   struct MHD_Connection *conn, struct sl_err *err)
{
    struct sl_multipart *m = sl_zalloc(1, sizeof *m);
    sl_rc rc;

    m->pp = MHD_create_post_processor(conn, 64 << 10, on_data, m);
    rc = m->pp != NULL ? sl_upload_begin(packages, &m->upload, err)
                       : sl_fail(err, SL_E_USAGE, "the form has no boundary");
    if (rc) {
        sl_multipart_free(m);
        return rc;
    }
    *out = m;
    return SL_OK;
}

void
sl_multipart_take(struct sl_multipart *m, const void *ptr, size_t len)
{
    if (m->err.code == SL_OK && MHD_post_process(m->pp, ptr, len) != MHD_YES &&
        m->err.code == SL_OK)
        sl_fail(&m->err, SL_E_CONFIG, "the form is malformed");
}

sl_rc
sl_multipart_finish(struct sl_multipart *m, char sha256[65], int64_t *size, const char **file_name,
                    struct sl_err *err)
{
    enum MHD_Result complete = MHD_destroy_post_processor(m->pp);

    m->pp = NULL;
    *file_name = m->file_name;
    if (m->err.code == SL_OK && m->parts == 0)
        sl_fail(&m->err, SL_E_CONFIG, "the form has no part named 'file'");
    if (m->err.code == SL_OK && complete != MHD_YES)
        sl_fail(&m->err, SL_E_CONFIG, "the form ends early: its last boundary is missing");
    if (m->err.code != SL_OK) {
        *err = m->err;
        return err->code;
    }
    return sl_upload_finish(m->upload, sha256, size, err);
}

void
sl_multipart_free(struct sl_multipart *m)
{
    if (m == NULL)
        return;
    if (m->pp != NULL)
        MHD_destroy_post_processor(m->pp);
    sl_upload_free(m->upload);
    free(m->file_name);
    free(m);
}
