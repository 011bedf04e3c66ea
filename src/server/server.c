#include "server/server.h"

#include "api/api.h"
#include "base/time.h"
#include "dashboard/dashboard.h"
#include "http/call.h"
#include "http/limits.h"
#include "http/router.h"
#include "runtime/file.h"

#include <stdlib.h>

static const struct sl_route *const routes[] = { sl_api_routes, sl_page_routes, NULL };

/* Real paths: they are compared with real paths. One that does not exist allows nothing. */
static char **
real_dirs(const char *const *dirs)
{
    size_t n = 0, m = 0;
    char **out;

    while (dirs != NULL && dirs[n] != NULL)
        n++;
    out = sl_zalloc(n + 1, sizeof *out);
    for (size_t i = 0; i < n; i++) {
        out[m] = sl_path_real(dirs[i]);
        m += out[m] != NULL;
    }
    return out;
}

sl_rc
sl_server_start(struct sl_server **out, struct sl_platform *pf, struct sl_worker *w,
                const struct sl_server_conf *conf, struct sl_err *err)
{
    struct sl_server *sv = sl_zalloc(1, sizeof *sv);
    struct sl_web_app app = { sv, sl_route_begin, sl_route_finish, sl_route_end };
    sl_rc rc;

    sv->pf = pf;
    sv->w = w;
    sv->limits = sl_limits_new();
    sv->routes = routes;
    sv->pages = &sl_pages;
    sv->secure = conf->url != NULL ? strncmp(conf->url, "https:", 6) == 0
                                   : conf->web.cert_file != NULL;
    sv->wheels_dir = sl_strdup_null(conf->wheels_dir);
    sv->own_wheels = sl_path_join(pf->dir, "wheels");
    sv->warehouse_dirs = real_dirs(conf->warehouse_dirs);
    sv->started_at = sl_mono_us();
    sv->url = sl_strdup_null(conf->url);
    rc = sl_web_start(&sv->http, &conf->web, &app, err);
    if (rc) {
        sl_server_free(sv);
        return rc;
    }
    *out = sv;
    return SL_OK;
}

const char *
sl_server_url(const struct sl_server *sv)
{
    return sl_web_url(sv->http);
}

void
sl_server_stop(struct sl_server *sv, int64_t grace_us)
{
    sl_web_stop(sv->http, grace_us);
}

void
sl_server_free(struct sl_server *sv)
{
    if (sv == NULL)
        return;
    sl_web_free(sv->http);
    sl_limits_free(sv->limits);
    for (char **p = sv->warehouse_dirs; *p != NULL; p++)
        free(*p);
    free(sv->warehouse_dirs);
    free(sv->wheels_dir);
    free(sv->own_wheels);
    free(sv->url);
    free(sv);
}
