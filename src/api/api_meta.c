/* api_meta.c - about the server: types of connectors, its description, health and metrics. */
#include "api/api.h"
#include "api/openapi.h"
#include "base/time.h"
#include "http/router.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* ---- types of connectors ---- */

static json_t *
property(const char *type, const char *title, const char *description, bool nullable)
{
    json_t *o = json_pack("{s:s, s:s, s:s, s:s}", "type", type, "title", title, "description",
                          description, "fieldStatus", "general_availability");

    if (nullable)
        json_object_set_new(o, "nullable", json_true());
    return o;
}

static json_t *
properties(void)
{
    json_t *o = json_object(), *secrets, *item;

    json_object_set_new(o, "schema",
                        property("string", "Connection name",
                                 "Name of the connection and of its schema in the destination",
                                 false));
    json_object_set_new(
        o, "package_id",
        property("string", "Package", "Id of the uploaded connector SDK package", true));
    json_object_set_new(
        o, "python_version",
        property("string", "Python version", "Minor version of Python that runs it", false));
    json_object_set_new(o, "proxy_host_config_key",
                        property("string", "Proxy host", "Kept, without effect here", true));
    secrets = property("array", "Configuration", "Values of configuration.json", false);
    item = json_pack("{s:s, s:{s:{s:s}, s:{s:s, s:s}}}", "type", "object", "properties", "key",
                     "type", "string", "value", "type", "string", "format", "password");
    json_object_set_new(secrets, "items", item);
    json_object_set_new(o, "secrets_list", secrets);
    return o;
}

static json_t *
type_json(void)
{
    return json_pack(
        "{s:s, s:s, s:s, s:s, s:[], s:s, s:s, s:s, s:s, s:s, s:[], s:{s:s, s:o}, s:{}}", "id",
        "connector_sdk", "name", "Connector SDK", "type", "Function", "description",
        "Connectors written in Python with the Connector SDK", "icons", "icon_url", "",
        "link_to_docs", "", "link_to_erd", "", "connector_class", "standard", "service_status",
        "general_availability", "supported_features", "config", "type", "object", "properties",
        properties(), "auth");
}

void
sl_api_types(struct sl_call *c)
{
    int64_t after, limit;

    if (!sl_page_read(c, &after, &limit))
        return;
    sl_say(c, 200,
           after > 0 ? json_pack("{s:[]}", "items") : json_pack("{s:[o]}", "items", type_json()),
           NULL);
}

void
sl_api_type(struct sl_call *c)
{
    if (strcmp(c->args[0], "connector_sdk") == 0)
        sl_say(c, 200, type_json(), NULL);
    else
        sl_refuse(c, 404, "NotFound_Integration", "This server has no connector type '%.60s'",
                  c->args[0]);
}

/* ---- the description ---- */

void
sl_api_openapi(struct sl_call *c)
{
    char *text = sl_memdup(sl_openapi, sl_openapi_len);

    sl_req_answer(c->req, 200, "application/json; charset=utf-8", text, sl_openapi_len);
}

/* ---- health and metrics ---- */

void
sl_api_health(struct sl_call *c)
{
    struct sl_query q = { .kind = SL_K_GROUP };
    struct sl_err err = { 0 };
    int64_t groups;
    json_t *o;
    char *text;

    if (sl_store_count(c->sv->pf->store, &q, &groups, &err)) {
        sl_refuse(c, 503, "ServiceUnavailable", "The store cannot be read");
        return;
    }
    o = json_pack("{s:s, s:s, s:s, s:s}", "code", "Success", "status", "ok", "name", "sluice",
                  "version", SL_VERSION);
    text = sl_json_dump(o);
    sl_req_answer(c->req, 200, "application/json; charset=utf-8", text, strlen(text));
    json_decref(o);
}

static int64_t
count(struct sl_call *c, enum sl_kind kind, const char *field, const char *text)
{
    struct sl_query q = { .kind = kind, .where = { { field, text } } };
    int64_t n = 0;

    if (sl_store_count(c->sv->pf->store, &q, &n, NULL))
        return 0;
    return n;
}

static int64_t
resident_bytes(void)
{
    long pages = 0, resident = 0;
    FILE *f = fopen("/proc/self/statm", "re");

    if (f == NULL)
        return 0;
    if (fscanf(f, "%ld %ld", &pages, &resident) != 2)
        resident = 0;
    fclose(f);
    return (int64_t)resident * sysconf(_SC_PAGESIZE);
}

static void
head(struct sl_buf *out, const char *name, const char *type, const char *help)
{
    sl_buf_addf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

static void
gauge(struct sl_buf *out, const char *name, const char *help, int64_t value)
{
    head(out, name, "gauge", help);
    sl_buf_addf(out, "%s %lld\n", name, (long long)value);
}

static void
add_connections(struct sl_call *c, struct sl_buf *out)
{
    static const char *const states[] = { "incomplete", "connected", "broken" };
    int64_t untested = count(c, SL_K_CONNECTION, "setup_state", "untested");

    head(out, "sluice_connections", "gauge", "Connections by the state of their setup.");
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++, untested = 0) {
        int64_t n = count(c, SL_K_CONNECTION, "setup_state", states[i]) + untested;

        sl_buf_addf(out, "sluice_connections{setup_state=\"%s\"} %lld\n", states[i], (long long)n);
    }
}

static void
add_requests(struct sl_buf *out)
{
    int64_t counts[6];

    sl_route_counts(counts);
    head(out, "sluice_http_requests_total", "counter", "Answers by the class of their status.");
    for (int i = 2; i < 6; i++)
        sl_buf_addf(out, "sluice_http_requests_total{status=\"%dxx\"} %lld\n", i,
                    (long long)counts[i]);
}

void
sl_api_metrics(struct sl_call *c)
{
    json_t *running = sl_worker_running(c->sv->w);
    struct sl_buf out;

    sl_buf_init(&out, MIB);
    head(&out, "sluice_info", "gauge", "The version of this server.");
    sl_buf_addf(&out, "sluice_info{version=\"%s\"} 1\n", SL_VERSION);
    gauge(&out, "sluice_uptime_seconds", "Since the start.",
          (sl_mono_us() - c->sv->started_at) / 1000000);
    gauge(&out, "sluice_resident_bytes", "Memory of the server itself.", resident_bytes());
    gauge(&out, "sluice_syncs_running", "Syncs that run now.", (int64_t)json_array_size(running));
    add_connections(c, &out);
    add_requests(&out);
    json_decref(running);
    sl_req_answer(c->req, 200, "text/plain; version=0.0.4; charset=utf-8", out.ptr, out.len);
}
