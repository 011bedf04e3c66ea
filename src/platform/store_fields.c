#include "platform/fields.h"

#include <assert.h>
#include <stddef.h>
#include <stdlib.h>

#define TEXT(s, f, flags)                                                                          \
    {                                                                                              \
#f, SL_FIELD_TEXT, offsetof(struct s, f), flags                                            \
    }
#define INT(s, f)                                                                                  \
    {                                                                                              \
#f, SL_FIELD_INT, offsetof(struct s, f), 0                                                 \
    }
#define BOOL(s, f)                                                                                 \
    {                                                                                              \
#f, SL_FIELD_BOOL, offsetof(struct s, f), 0                                                \
    }

/* clang-format off */
static const struct sl_field group_fields[] = {
    TEXT(sl_group, id, 0),
    TEXT(sl_group, name, 0),
    INT(sl_group, created_at),
};

static const struct sl_field destination_fields[] = {
    TEXT(sl_destination, id, 0),
    TEXT(sl_destination, service, 0),
    TEXT(sl_destination, region, 0),
    TEXT(sl_destination, time_zone_offset, 0),
    TEXT(sl_destination, setup_status, 0),
    TEXT(sl_destination, config, SL_FIELD_SEALED),
    INT(sl_destination, created_at),
};

static const struct sl_field package_fields[] = {
    TEXT(sl_package, id, 0),
    TEXT(sl_package, sha256, 0),
    TEXT(sl_package, file_name, 0),
    INT(sl_package, size),
    TEXT(sl_package, created_by, 0),
    TEXT(sl_package, last_updated_by, 0),
    INT(sl_package, created_at),
    INT(sl_package, updated_at),
};

static const struct sl_field deployment_fields[] = {
    TEXT(sl_deployment, id, 0),
    TEXT(sl_deployment, connection_id, 0),
    INT(sl_deployment, number),
    TEXT(sl_deployment, package_id, 0),
    TEXT(sl_deployment, sha256, 0),
    TEXT(sl_deployment, python_version, 0),
    TEXT(sl_deployment, sdk_version, 0),
    TEXT(sl_deployment, made_by, 0),
    TEXT(sl_deployment, reason, 0),
    INT(sl_deployment, created_at),
};

static const struct sl_field connection_fields[] = {
    TEXT(sl_connection, id, 0),
    TEXT(sl_connection, group_id, 0),
    TEXT(sl_connection, service, 0),
    TEXT(sl_connection, schema, 0),
    TEXT(sl_connection, created_by, 0),
    INT(sl_connection, created_at),
    TEXT(sl_connection, package_id, 0),
    TEXT(sl_connection, python_version, 0),
    TEXT(sl_connection, naming, 0),
    TEXT(sl_connection, secrets, SL_FIELD_SEALED),
    TEXT(sl_connection, options, 0),
    INT(sl_connection, memory_limit),
    INT(sl_connection, deadline_s),
    BOOL(sl_connection, durable),
    BOOL(sl_connection, paused),
    INT(sl_connection, sync_frequency),
    TEXT(sl_connection, schedule_type, 0),
    TEXT(sl_connection, daily_sync_time, 0),
    INT(sl_connection, next_run_at),
    TEXT(sl_connection, requested, 0),
    TEXT(sl_connection, requested_by, 0),
    INT(sl_connection, requested_at),
    TEXT(sl_connection, resync_tables, 0),
    BOOL(sl_connection, historical),
    TEXT(sl_connection, setup_state, 0),
    TEXT(sl_connection, setup_tests, 0),
    TEXT(sl_connection, tasks, 0),
    TEXT(sl_connection, warnings, 0),
    TEXT(sl_connection, running_sync, 0),
    INT(sl_connection, succeeded_at),
    INT(sl_connection, failed_at),
    INT(sl_connection, failures),
    INT(sl_connection, rescheduled_for),
    INT(sl_connection, nsyncs),
    TEXT(sl_connection, state, SL_FIELD_LARGE),
    TEXT(sl_connection, state_override, SL_FIELD_LARGE),
    TEXT(sl_connection, catalog, SL_FIELD_LARGE),
    TEXT(sl_connection, schema_config, SL_FIELD_LARGE),
};

static const struct sl_field sync_fields[] = {
    TEXT(sl_sync_record, id, 0),
    TEXT(sl_sync_record, connection_id, 0),
    INT(sl_sync_record, number),
    TEXT(sl_sync_record, trigger, 0),
    TEXT(sl_sync_record, status, 0),
    TEXT(sl_sync_record, stage, 0),
    TEXT(sl_sync_record, epoch, 0),
    INT(sl_sync_record, scheduled_for),
    INT(sl_sync_record, started_at),
    INT(sl_sync_record, finished_at),
    INT(sl_sync_record, merged),
    BOOL(sl_sync_record, historical),
    TEXT(sl_sync_record, tables, 0),
    TEXT(sl_sync_record, reason, 0),
    TEXT(sl_sync_record, hint, 0),
    TEXT(sl_sync_record, detail, SL_FIELD_LARGE),
    TEXT(sl_sync_record, sha256, 0),
    TEXT(sl_sync_record, python_version, 0),
    TEXT(sl_sync_record, sdk_version, 0),
    TEXT(sl_sync_record, counts, 0),
    TEXT(sl_sync_record, table_counts, SL_FIELD_LARGE),
    TEXT(sl_sync_record, stages, 0),
    TEXT(sl_sync_record, walls, 0),
    INT(sl_sync_record, peak_memory),
    INT(sl_sync_record, bytes),
    INT(sl_sync_record, checkpoints),
    TEXT(sl_sync_record, state, SL_FIELD_LARGE),
};

static const struct sl_field state_fields[] = {
    TEXT(sl_state_record, id, 0),
    TEXT(sl_state_record, connection_id, 0),
    TEXT(sl_state_record, sync_id, 0),
    INT(sl_state_record, created_at),
    TEXT(sl_state_record, state, SL_FIELD_LARGE),
};

static const struct sl_field active_fields[] = {
    TEXT(sl_active, id, 0),
    TEXT(sl_active, connection_id, 0),
    TEXT(sl_active, month, 0),
    TEXT(sl_active, schema, 0),
    TEXT(sl_active, table_name, 0),
    INT(sl_active, rows),
};

static const struct sl_field key_fields[] = {
    TEXT(sl_key, id, 0),
    TEXT(sl_key, name, 0),
    TEXT(sl_key, hash, SL_FIELD_HIDDEN),
    TEXT(sl_key, role, 0),
    TEXT(sl_key, user_id, 0),
    INT(sl_key, created_at),
    INT(sl_key, last_used_at),
    INT(sl_key, revoked_at),
};

static const struct sl_field user_fields[] = {
    TEXT(sl_user, id, 0),
    TEXT(sl_user, email, 0),
    TEXT(sl_user, given_name, 0),
    TEXT(sl_user, family_name, 0),
    TEXT(sl_user, role, 0),
    TEXT(sl_user, password, SL_FIELD_HIDDEN),
    INT(sl_user, created_at),
    INT(sl_user, logged_in_at),
    BOOL(sl_user, active),
};

static const struct sl_field audit_fields[] = {
    TEXT(sl_audit, id, 0),
    INT(sl_audit, created_at),
    TEXT(sl_audit, actor, 0),
    TEXT(sl_audit, action, 0),
    TEXT(sl_audit, subject_kind, 0),
    TEXT(sl_audit, subject_id, 0),
    TEXT(sl_audit, detail, 0),
};

static const struct sl_field session_fields[] = {
    TEXT(sl_session, id, SL_FIELD_HIDDEN),
    TEXT(sl_session, user_id, 0),
    INT(sl_session, created_at),
    INT(sl_session, last_used_at),
    INT(sl_session, expires_at),
};

#define KIND(name, type) { #name, sizeof(struct type), name##_fields, (int)(sizeof name##_fields / sizeof name##_fields[0]) }
static const struct sl_kind_def kinds[SL_K_COUNT] = {
    [SL_K_GROUP] = KIND(group, sl_group),
    [SL_K_DESTINATION] = KIND(destination, sl_destination),
    [SL_K_PACKAGE] = KIND(package, sl_package),
    [SL_K_DEPLOYMENT] = KIND(deployment, sl_deployment),
    [SL_K_CONNECTION] = KIND(connection, sl_connection),
    [SL_K_SYNC] = KIND(sync, sl_sync_record),
    [SL_K_STATE] = KIND(state, sl_state_record),
    [SL_K_ACTIVE] = KIND(active, sl_active),
    [SL_K_KEY] = KIND(key, sl_key),
    [SL_K_USER] = KIND(user, sl_user),
    [SL_K_AUDIT] = KIND(audit, sl_audit),
    [SL_K_SESSION] = KIND(session, sl_session),
};
/* clang-format on */

const struct sl_kind_def *
sl_kind_def(enum sl_kind kind)
{
    assert(kind < SL_K_COUNT);
    return &kinds[kind];
}

const struct sl_field *
sl_field_of(enum sl_kind kind, const char *name)
{
    const struct sl_kind_def *def = sl_kind_def(kind);

    for (int i = 0; i < def->nfields; i++)
        if (strcmp(def->fields[i].name, name) == 0)
            return &def->fields[i];
    return NULL;
}

size_t
sl_record_size(enum sl_kind kind)
{
    return sl_kind_def(kind)->size;
}

const char *
sl_record_name(enum sl_kind kind)
{
    return sl_kind_def(kind)->name;
}

void
sl_record_free(enum sl_kind kind, void *rec)
{
    const struct sl_kind_def *def = sl_kind_def(kind);

    if (rec == NULL)
        return;
    for (int i = 0; i < def->nfields; i++)
        if (def->fields[i].type == SL_FIELD_TEXT)
            free(*sl_field_text(&def->fields[i], rec));
    memset(rec, 0, def->size);
}

void
sl_list_free(struct sl_list *list)
{
    if (list == NULL)
        return;
    for (size_t i = 0; i < list->count; i++)
        sl_record_free(list->kind, (char *)list->items + i * sl_record_size(list->kind));
    free(list->items);
    list->items = NULL;
    list->count = 0;
}
