/* routes.c - the one table of what the API has. docs/openapi.json describes exactly this (routes_test.c compares). */
#include "api/api.h"

#define VIEW SL_ROLE_VIEWER
#define OPERATE SL_ROLE_OPERATOR
#define ADMIN SL_ROLE_ADMIN
#define ZIP_MAX (201 * MIB) /* a package of 200 MB and the form around it */

#define CON "/v1/connections/:connectionId"
#define PACKAGES "/v1/connector-sdk/packages"
#define TABLE CON "/schemas/:schema/tables/:table"

/* clang-format off */
const struct sl_route sl_api_routes[] = {
    /* method   path                                role     body cap    flags                  handler */
    { "GET",    "/health",                          0,       0,          SL_PUBLIC,             sl_api_health },
    { "GET",    "/metrics",                         VIEW,    0,          SL_OPTIONAL | SL_ANY,  sl_api_metrics },
    { "GET",    "/simple",                          0,       0,          SL_PUBLIC | SL_ANY,    sl_api_simple },
    { "GET",    "/simple/:project",                 0,       0,          SL_PUBLIC | SL_ANY,    sl_api_simple_project },
    { "GET",    "/simple/:project/:file",           0,       0,          SL_PUBLIC | SL_ANY,    sl_api_simple_file },
    { "GET",    "/v1/openapi.json",                 0,       0,          SL_PUBLIC,             sl_api_openapi },

    { "GET",    "/v1/account/info",                 VIEW,    0,          0, sl_api_account },
    { "POST",   "/v1/account/password",             VIEW,    4 * KIB,    0, sl_api_password },
    { "GET",    "/v1/users",                        VIEW,    0,          0, sl_api_users },
    { "POST",   "/v1/users",                        ADMIN,   16 * KIB,   0, sl_api_user_create },
    { "GET",    "/v1/users/:userId",                VIEW,    0,          0, sl_api_user },
    { "PATCH",  "/v1/users/:userId",                ADMIN,   16 * KIB,   0, sl_api_user_update },
    { "DELETE", "/v1/users/:userId",                ADMIN,   0,          0, sl_api_user_delete },
    { "GET",    "/v1/keys",                         ADMIN,   0,          0, sl_api_keys },
    { "POST",   "/v1/keys",                         ADMIN,   16 * KIB,   0, sl_api_key_create },
    { "DELETE", "/v1/keys/:keyId",                  ADMIN,   0,          0, sl_api_key_revoke },
    { "GET",    "/v1/audit",                        ADMIN,   0,          0, sl_api_audit },
    { "GET",    "/v1/alerts",                       VIEW,    0,          0, sl_api_alerts },
    { "GET",    "/v1/pythons",                      VIEW,    0,          0, sl_api_pythons },
    { "GET",    "/v1/events",                       VIEW,    0,          SL_STREAM, sl_api_events },
    { "GET",    "/v1/metadata/connector-types",     VIEW,    0,          0, sl_api_types },
    { "GET",    "/v1/metadata/connector-types/:service", VIEW, 0,        0, sl_api_type },
    { "GET",    "/v1/metadata/destination-types",   VIEW,    0,          0, sl_api_destination_types },
    { "GET",    "/v1/metadata/destination-types/:service", VIEW, 0,      0, sl_api_destination_type },

    { "GET",    "/v1/groups",                       VIEW,    0,          0, sl_api_groups },
    { "POST",   "/v1/groups",                       ADMIN,   16 * KIB,   0, sl_api_group_create },
    { "GET",    "/v1/groups/:groupId",              VIEW,    0,          0, sl_api_group },
    { "PATCH",  "/v1/groups/:groupId",              ADMIN,   16 * KIB,   0, sl_api_group_update },
    { "DELETE", "/v1/groups/:groupId",              ADMIN,   0,          0, sl_api_group_delete },
    { "GET",    "/v1/groups/:groupId/connections",  VIEW,    0,          0, sl_api_group_connections },

    { "GET",    "/v1/destinations",                 VIEW,    0,          0, sl_api_destinations },
    { "POST",   "/v1/destinations",                 ADMIN,   64 * KIB,   0, sl_api_destination_create },
    { "GET",    "/v1/destinations/:destinationId",  VIEW,    0,          0, sl_api_destination },
    { "PATCH",  "/v1/destinations/:destinationId",  ADMIN,   64 * KIB,   0, sl_api_destination_update },
    { "DELETE", "/v1/destinations/:destinationId",  ADMIN,   0,          0, sl_api_destination_delete },
    { "POST",   "/v1/destinations/:destinationId/test", OPERATE, 16 * KIB, 0, sl_api_destination_test },

    { "GET",    PACKAGES,                           VIEW,    0,          0, sl_api_packages },
    { "POST",   PACKAGES,                           ADMIN,   ZIP_MAX,    SL_UPLOAD, sl_api_package_create },
    { "GET",    PACKAGES "/:packageId",             VIEW,    0,          0, sl_api_package },
    { "PATCH",  PACKAGES "/:packageId",             ADMIN,   ZIP_MAX,    SL_UPLOAD, sl_api_package_update },
    { "DELETE", PACKAGES "/:packageId",             ADMIN,   0,          0, sl_api_package_delete },
    { "GET",    PACKAGES "/:packageId/download",    VIEW,    0,          SL_ANY, sl_api_package_download },

    { "GET",    "/v1/connections",                  VIEW,    0,          0, sl_api_connections },
    { "POST",   "/v1/connections",                  ADMIN,   2 * MIB,    0, sl_api_connection_create },
    { "GET",    CON,                                VIEW,    0,          0, sl_api_connection_get },
    { "PATCH",  CON,                                OPERATE, 2 * MIB,    0, sl_api_connection_update }, /* may_change() */
    { "DELETE", CON,                                ADMIN,   0,          0, sl_api_connection_delete },
    { "POST",   CON "/sync",                        OPERATE, 16 * KIB,   0, sl_api_sync },
    { "POST",   CON "/force",                       OPERATE, 16 * KIB,   0, sl_api_sync },
    { "POST",   CON "/cancel",                      OPERATE, 16 * KIB,   0, sl_api_cancel },
    { "POST",   CON "/resync",                      OPERATE, 256 * KIB,  0, sl_api_resync },
    { "POST",   CON "/test",                        OPERATE, 16 * KIB,   0, sl_api_test },
    { "GET",    CON "/form",                        VIEW,    0,          0, sl_api_form },
    { "POST",   CON "/form/tests",                  OPERATE, 2 * MIB,    0, sl_api_form_tests },
    { "POST",   CON "/form/tests/:test",            OPERATE, 2 * MIB,    0, sl_api_form_tests },
    { "GET",    CON "/state",                       VIEW,    0,          0, sl_api_state },
    { "PATCH",  CON "/state",                       ADMIN,   16 * MIB,   SL_RAW, sl_api_state_update },
    { "GET",    CON "/state-history",               VIEW,    0,          0, sl_api_state_history },
    { "POST",   CON "/state-history/:number/restore", ADMIN, 16 * KIB,   0, sl_api_state_restore },

    { "GET",    CON "/schemas",                     VIEW,    0,          0, sl_api_schemas },
    { "POST",   CON "/schemas",                     ADMIN,   1 * MIB,    0, sl_api_schemas_create },
    { "PATCH",  CON "/schemas",                     ADMIN,   1 * MIB,    0, sl_api_schemas_update },
    { "POST",   CON "/schemas/reload",              OPERATE, 16 * KIB,   0, sl_api_schemas_reload },
    { "POST",   CON "/schemas/tables/resync",       OPERATE, 256 * KIB,  0, sl_api_resync_tables },
    { "PATCH",  CON "/schemas/:schema",             ADMIN,   1 * MIB,    0, sl_api_schema_update },
    { "PATCH",  TABLE,                              ADMIN,   1 * MIB,    0, sl_api_table_update },
    { "POST",   TABLE "/resync",                    OPERATE, 16 * KIB,   0, sl_api_resync_table },
    { "GET",    TABLE "/columns",                   VIEW,    0,          0, sl_api_columns },
    { "PATCH",  TABLE "/columns/:column",           ADMIN,   16 * KIB,   0, sl_api_column_update },

    { "GET",    CON "/data",                        OPERATE, 0,          0, sl_api_data },
    { "GET",    CON "/logs",                        VIEW,    0,          SL_STREAM, sl_api_logs },
    { "GET",    CON "/sync-history",                VIEW,    0,          0, sl_api_syncs },
    { "GET",    CON "/syncs/:syncId",               VIEW,    0,          0, sl_api_sync_get },
    { "GET",    CON "/usage",                       VIEW,    0,          0, sl_api_usage },
    { "GET",    CON "/activity",                    VIEW,    0,          0, sl_api_connection_activity },
    { "GET",    CON "/deployments",                 VIEW,    0,          0, sl_api_deployments },
    { "POST",   CON "/deployments/:number/rollback", ADMIN,  16 * KIB,   0, sl_api_rollback },
    { NULL, NULL, 0, 0, 0, NULL }
};
/* clang-format on */
