/* The description (docs/openapi.json) and the route table say the same. */
#include "api/api.h"
#include "api/openapi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <strings.h>
/* after those */
#include <cmocka.h>
#include <stdlib.h>

/* "/v1/groups/:groupId" as "/v1/groups/{groupId}". */
static char *
described_path(const char *path)
{
    struct sl_buf out;
    char *text;

    sl_buf_init(&out, 1024);
    for (const char *p = path; *p != '\0';) {
        size_t n = strcspn(p, "/");

        if (*p == ':')
            sl_buf_addf(&out, "{%.*s}", (int)n - 1, p + 1);
        else
            sl_buf_addn(&out, p, n);
        p += n;
        if (*p == '/')
            sl_buf_addn(&out, p++, 1);
    }
    text = sl_strdup(sl_buf_str(&out));
    sl_buf_free(&out);
    return text;
}

static json_t *
description(void)
{
    json_t *doc = json_loadb(sl_openapi, sl_openapi_len, 0, NULL);

    assert_non_null(doc);
    return doc;
}

static void
every_route_is_described(void **state)
{
    json_t *doc = description(), *paths = json_object_get(doc, "paths");

    (void)state;
    for (const struct sl_route *r = sl_api_routes; r->method != NULL; r++) {
        char *path = described_path(r->path), method[16] = "";
        json_t *op;

        for (size_t i = 0; r->method[i] != '\0'; i++)
            method[i] = (char)(r->method[i] | 0x20);
        op = json_object_get(json_object_get(paths, path), method);
        if (op == NULL)
            fail_msg("docs/openapi.json does not describe %s %s", r->method, r->path);
        assert_string_equal(json_string_value(json_object_get(op, "x-role")),
                            r->role ? sl_role_name(r->role) : "none");
        assert_int_equal(json_object_get(op, "requestBody") != NULL, r->body_cap > 0);
        free(path);
    }
    json_decref(doc);
}

static bool
is_routed(const char *method, const char *path)
{
    bool found = false;

    for (const struct sl_route *r = sl_api_routes; r->method != NULL && !found; r++) {
        char *described = described_path(r->path);

        found = strcasecmp(method, r->method) == 0 && strcmp(path, described) == 0;
        free(described);
    }
    return found;
}

static void
everything_described_is_routed(void **state)
{
    json_t *doc = description(), *ops, *op;
    const char *path, *method;

    (void)state;
    json_object_foreach(json_object_get(doc, "paths"), path, ops)
        json_object_foreach(ops, method, op) if (!is_routed(method, path))
            fail_msg("docs/openapi.json describes %s %s, which is not there", method, path);
    json_decref(doc);
}

static void
routes_fit_their_call(void **state)
{
    (void)state;
    for (const struct sl_route *r = sl_api_routes; r->method != NULL; r++) {
        int names = 0;

        for (const char *p = r->path; *p != '\0'; p++)
            names += *p == ':';
        assert_true(names <= SL_CALL_ARGS);
        assert_non_null(r->handler);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_route_is_described),
        cmocka_unit_test(everything_described_is_routed),
        cmocka_unit_test(routes_fit_their_call),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
