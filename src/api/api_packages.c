/* api_packages.c - uploaded code. */
#include "api/api.h"
#include "api/connections.h"
#include "base/time.h"
#include "http/multipart.h"
#include "platform/ids.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

/* Connections that use it, light. */
static sl_rc
users(struct sl_call *c, const char *id, struct sl_list *list, struct sl_err *err)
{
    struct sl_query q = { .kind = SL_K_CONNECTION,
                          .where = { { "package_id", id } },
                          .light = true };

    *list = (struct sl_list){ .kind = SL_K_CONNECTION };
    return sl_store_list(c->sv->pf->store, &q, list, err);
}

static json_t *
item(struct sl_call *c, const void *rec)
{
    const struct sl_package *p = rec;
    json_t *ids = json_array();
    struct sl_list list;

    if (users(c, p->id, &list, NULL) == SL_OK)
        for (size_t i = 0; i < list.count; i++)
            json_array_append_new(ids, json_string(SL_ITEM(&list, struct sl_connection, i)->id));
    sl_list_free(&list);
    return json_pack(
        "{s:s, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:I}", "id", p->id, "connection_id",
        json_array_size(ids) ? json_incref(json_array_get(ids, 0)) : json_null(), "connection_ids",
        ids, "created_by", sl_json_text(p->created_by), "last_updated_by",
        sl_json_text(p->last_updated_by), "created_at", sl_json_time(p->created_at), "updated_at",
        sl_json_time(p->updated_at), "file_sha256_hash", sl_json_text(p->sha256), "file_name",
        sl_json_text(p->file_name), "size", (json_int_t)p->size);
}

void
sl_api_packages(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_PACKAGE };

    sl_say_page(c, &q, item);
}

void
sl_api_package(struct sl_call *c)
{
    struct sl_package p = { 0 };

    if (sl_call_get(c, SL_K_PACKAGE, c->args[0], &p))
        sl_say(c, 200, item(c, &p), NULL);
    sl_record_free(SL_K_PACKAGE, &p);
}

/* The upload is complete: what it is goes into the record. False has answered. */
static bool
finish(struct sl_call *c, struct sl_package *p)
{
    char sha256[65];
    const char *name = NULL;
    struct sl_err err = { 0 };

    if (sl_multipart_finish(c->form, sha256, &p->size, &name, &err)) {
        /* Whatever is wrong with a zip is the client's to mend, unless the disk failed. */
        if (err.code == SL_E_DISK_FULL || err.code == SL_E_IO || err.code == SL_E_NOMEM ||
            err.code == SL_E_INTERNAL || err.code == SL_E_PERMISSION || err.code == SL_E_TIMEOUT)
            sl_refuse_err(c, &err);
        else
            sl_refuse_input(c, "%s%s%s", err.text, err.hint[0] ? ". Hint: " : "", err.hint);
        return false;
    }
    sl_set_text(&p->sha256, sha256);
    sl_set_text(&p->file_name, name && name[0] ? name : "package.zip");
    sl_set_text(&p->last_updated_by, c->user_id);
    p->updated_at = sl_now_us();
    return true;
}

void
sl_api_package_create(struct sl_call *c)
{
    struct sl_package p = { 0 };
    struct sl_err err = { 0 };

    if (!finish(c, &p) || !sl_call_begin(c))
        goto out;
    if (sl_new_id(c->sv->pf->store, SL_K_PACKAGE, &p.id, &err)) {
        sl_call_fail(c, &err);
        goto out;
    }
    sl_set_text(&p.created_by, c->user_id);
    p.created_at = p.updated_at;
    if (sl_call_put(c, SL_K_PACKAGE, &p) && sl_call_commit(c, "package.create", SL_K_PACKAGE, p.id,
                                                           json_pack("{s:s}", "sha256", p.sha256)))
        sl_say(c, 201, item(c, &p), "Package created successfully");
out:
    sl_record_free(SL_K_PACKAGE, &p);
}

/* What its setup tests said was of the code before. */
static bool
forget_tests(struct sl_call *c, const char *id)
{
    struct sl_connection con = { 0 };
    bool ok = sl_call_get(c, SL_K_CONNECTION, id, &con);

    if (!ok)
        sl_call_rollback(c);
    sl_setup_changed(&con);
    ok = ok && sl_call_put(c, SL_K_CONNECTION, &con);
    sl_record_free(SL_K_CONNECTION, &con);
    return ok;
}

/* Every connection that uses it runs other code from now on. */
static bool
put_deployments(struct sl_call *c, const struct sl_package *p)
{
    struct sl_list list;
    struct sl_err err = { 0 };
    bool ok = true;

    if (users(c, p->id, &list, &err)) {
        sl_call_fail(c, &err);
        return false;
    }
    for (size_t i = 0; i < list.count && ok; i++) {
        const struct sl_connection *con = SL_ITEM(&list, struct sl_connection, i);

        ok = sl_put_deployment(c, con, p->sha256, "package updated") &&
             (strcmp(sl_setup_state(con), "incomplete") != 0 || forget_tests(c, con->id));
    }
    sl_list_free(&list);
    return ok;
}

void
sl_api_package_update(struct sl_call *c)
{
    struct sl_package p = { 0 }, file = { 0 };
    const char *id = c->args[0];

    if (!finish(c, &file) || !sl_call_begin(c))
        goto out;
    if (!sl_call_get(c, SL_K_PACKAGE, id, &p)) {
        sl_call_rollback(c);
        goto out;
    }
    sl_set_text(&p.sha256, file.sha256);
    sl_set_text(&p.file_name, file.file_name);
    sl_set_text(&p.last_updated_by, file.last_updated_by);
    p.updated_at = file.updated_at;
    p.size = file.size;
    if (sl_call_put(c, SL_K_PACKAGE, &p) && put_deployments(c, &p) &&
        sl_call_commit(c, "package.update", SL_K_PACKAGE, id,
                       json_pack("{s:s}", "sha256", p.sha256)))
        sl_say(c, 200, item(c, &p), "Package updated successfully");
out:
    sl_record_free(SL_K_PACKAGE, &p);
    sl_record_free(SL_K_PACKAGE, &file);
}

void
sl_api_package_delete(struct sl_call *c)
{
    struct sl_platform *pf = c->sv->pf;
    struct sl_package p = { 0 };
    struct sl_list list = { .kind = SL_K_CONNECTION };
    struct sl_err err = { 0 };
    const char *id = c->args[0];
    bool there;

    if (!sl_call_begin(c))
        return;
    there = sl_call_get(c, SL_K_PACKAGE, id, &p);
    sl_record_free(SL_K_PACKAGE, &p);
    if (!there) {
        sl_call_rollback(c);
        return;
    }
    if (users(c, id, &list, &err)) {
        sl_call_fail(c, &err);
        return;
    }
    if (list.count > 0) {
        sl_call_rollback(c);
        sl_refuse(c, 403, "Forbidden", "Package '%s' is used by connection '%s': delete that first",
                  id, SL_ITEM(&list, struct sl_connection, 0)->id);
        sl_list_free(&list);
        return;
    }
    sl_list_free(&list);
    if (sl_store_delete(pf->store, SL_K_PACKAGE, id, &err)) {
        sl_call_fail(c, &err);
        return;
    }
    if (!sl_call_commit(c, "package.delete", SL_K_PACKAGE, id, NULL))
        return;
    if (sl_packages_sweep(pf->packages, &err))
        fprintf(stderr, "sluiced: sweeping packages: %s\n", err.text);
    sl_say(c, 200, NULL, "Package deleted successfully");
}

void
sl_api_package_download(struct sl_call *c)
{
    struct sl_package p = { 0 };
    struct sl_err err = { 0 };
    struct stat sb;
    char *path = NULL, *disposition;
    int fd = -1;

    if (!sl_call_get(c, SL_K_PACKAGE, c->args[0], &p))
        return;
    if (sl_package_zip(c->sv->pf->packages, p.sha256, &path, &err) == SL_OK)
        fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd >= 0 && fstat(fd, &sb) == 0) {
        disposition = sl_sprintf("attachment; filename=\"%s.zip\"", p.id);
        sl_req_answer_fd(c->req, 200, "application/octet-stream", fd, (uint64_t)sb.st_size);
        sl_req_header_add(c->req, "Content-Disposition", disposition);
        free(disposition);
    } else {
        if (fd >= 0)
            close(fd);
        sl_refuse(c, 500, "InternalError", "The file of package '%s' is missing", p.id);
    }
    free(path);
    sl_record_free(SL_K_PACKAGE, &p);
}
