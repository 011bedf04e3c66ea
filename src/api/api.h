/* api.h - the handlers, by file. What each does is said in docs/openapi.json; where it stands, in routes.c. */
#ifndef SL_API_H
#define SL_API_H

#include "http/call.h"

extern const struct sl_route sl_api_routes[];

sl_handler sl_api_health;
sl_handler sl_api_metrics;
sl_handler sl_api_simple;
sl_handler sl_api_simple_project;
sl_handler sl_api_simple_file;
sl_handler sl_api_openapi;
sl_handler sl_api_account;
sl_handler sl_api_users;
sl_handler sl_api_user;
sl_handler sl_api_keys;
sl_handler sl_api_key_create;
sl_handler sl_api_key_revoke;
sl_handler sl_api_audit;
sl_handler sl_api_pythons;
sl_handler sl_api_events;
sl_handler sl_api_types;
sl_handler sl_api_type;
sl_handler sl_api_groups;
sl_handler sl_api_group_create;
sl_handler sl_api_group;
sl_handler sl_api_group_update;
sl_handler sl_api_group_delete;
sl_handler sl_api_group_connections;
sl_handler sl_api_destinations;
sl_handler sl_api_destination_create;
sl_handler sl_api_destination;
sl_handler sl_api_destination_update;
sl_handler sl_api_destination_delete;
sl_handler sl_api_destination_test;
sl_handler sl_api_packages;
sl_handler sl_api_package_create;
sl_handler sl_api_package;
sl_handler sl_api_package_update;
sl_handler sl_api_package_delete;
sl_handler sl_api_package_download;
sl_handler sl_api_connections;
sl_handler sl_api_connection_create;
sl_handler sl_api_connection_get;
sl_handler sl_api_connection_update;
sl_handler sl_api_connection_delete;
sl_handler sl_api_sync;
sl_handler sl_api_cancel;
sl_handler sl_api_resync;
sl_handler sl_api_test;
sl_handler sl_api_form;
sl_handler sl_api_form_tests;
sl_handler sl_api_state;
sl_handler sl_api_state_update;
sl_handler sl_api_state_history;
sl_handler sl_api_state_restore;
sl_handler sl_api_schemas;
sl_handler sl_api_schemas_create;
sl_handler sl_api_schemas_update;
sl_handler sl_api_schemas_reload;
sl_handler sl_api_resync_tables;
sl_handler sl_api_schema_update;
sl_handler sl_api_table_update;
sl_handler sl_api_resync_table;
sl_handler sl_api_columns;
sl_handler sl_api_data;
sl_handler sl_api_column_update;
sl_handler sl_api_logs;
sl_handler sl_api_syncs;
sl_handler sl_api_sync_get;
sl_handler sl_api_usage;
sl_handler sl_api_connection_activity;
sl_handler sl_api_deployments;
sl_handler sl_api_rollback;

#endif
