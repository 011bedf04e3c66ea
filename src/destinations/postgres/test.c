/* Setup tests: what a user wants to know before the first sync. Whatever they make is rolled back. */
#include "destinations/postgres/postgres.h"

#include <stdio.h>
#include <stdlib.h>

/* Older ones are neither tested nor supported by their makers. */
#define OLDEST 100000

static sl_rc
test_version(struct sl_pg *pg, struct sl_err *err)
{
    int v = PQserverVersion(pg->conn);

    if (v >= OLDEST)
        return 0;
    return sl_fail(err, SL_E_CONFIG, "the server is version %d.%d; from 10 on it is supported",
                   v / 10000, v / 100 % 100);
}

static sl_rc
test_writable(struct sl_pg *pg, struct sl_err *err)
{
    int64_t standby = 0;
    sl_rc rc = sl_pg_numbers(pg, "SELECT pg_is_in_recovery()::int", 1, &standby, NULL, err);

    if (rc == 0 && standby) {
        rc = sl_fail(err, SL_E_CONFIG, "the server is a standby: nothing can be written to it");
        sl_err_hint(err, "give the address of the primary");
    }
    return rc;
}

/* has_…_privilege() of several rights at once is true with any of them. */
#define BOOKS                                                                                      \
    "SELECT coalesce(bool_and(has_schema_privilege(n.oid, 'USAGE') AND CASE WHEN c.oid IS NULL "   \
    "THEN has_schema_privilege(n.oid, 'CREATE') ELSE has_table_privilege(c.oid, 'SELECT') AND "    \
    "has_table_privilege(c.oid, 'INSERT') AND has_table_privilege(c.oid, 'UPDATE') AND "           \
    "has_table_privilege(c.oid, 'DELETE') END), true)::int FROM pg_namespace n LEFT JOIN "         \
    "pg_class c ON c.relnamespace = n.oid AND c.relkind = 'r' WHERE n.nspname = '" SL_SCHEMA "'"

static sl_rc
test_right(struct sl_pg *pg, const char *sql, enum sl_pg_grant what, const char *lacks,
           struct sl_err *err)
{
    int64_t may = 0;
    sl_rc rc = sl_pg_numbers(pg, sql, 1, &may, NULL, err);

    if (rc == 0 && !may)
        rc = sl_fail(err, SL_E_PERMISSION, "%s may not %s", PQuser(pg->conn), lacks);
    return sl_pg_missing(pg, rc, what, NULL, NULL, err);
}

static sl_rc
test_schemas(struct sl_pg *pg, struct sl_err *err)
{
    return test_right(pg, "SELECT has_database_privilege(current_database(), 'CREATE')::int",
                      SL_PG_MAKE_SCHEMAS, "create schemas in the database", err);
}

static sl_rc
test_temporary(struct sl_pg *pg, struct sl_err *err)
{
    return test_right(pg, "SELECT has_database_privilege(current_database(), 'TEMPORARY')::int",
                      SL_PG_MAKE_TEMP, "create temporary tables in the database", err);
}

/* There may be none yet. */
static sl_rc
test_books(struct sl_pg *pg, struct sl_err *err)
{
    return test_right(pg, BOOKS, SL_PG_USE_BOOKS,
                      "read and write the bookkeeping in schema " SL_SCHEMA, err);
}

/* As a first sync would: a schema, a table with a key, a temporary one. */
static sl_rc
test_write(struct sl_pg *pg, struct sl_err *err)
{
    char sql[300];
    sl_rc rc;

    snprintf(
        sql, sizeof sql,
        "BEGIN; CREATE SCHEMA _sluice_test_%d; CREATE TABLE _sluice_test_%d.t (id bigint PRIMARY "
        "KEY); INSERT INTO _sluice_test_%d.t VALUES (1); CREATE TEMP TABLE sl_test (id bigint) "
        "ON COMMIT DROP",
        PQbackendPID(pg->conn), PQbackendPID(pg->conn), PQbackendPID(pg->conn));
    rc = sl_pg_run(pg, sql, "making a table for the test", NULL, err);
    sl_pg_try(pg, "ROLLBACK");
    return rc;
}

void
sl_pg_test(const struct sl_dest_conf *conf, struct sl_tests *tests)
{
    static const struct {
        const char *name;
        sl_rc (*test)(struct sl_pg *pg, struct sl_err *err);
    } steps[] = {
        { "Server version", test_version },
        { "Server is writable", test_writable },
        { "Permission to create schemas", test_schemas },
        { "Permission to create temporary tables", test_temporary },
        { "Permission to use the bookkeeping", test_books },
        { "Writing", test_write },
    };
    struct sl_pg *pg = sl_pg_new(conf);
    struct sl_err err = { 0 };
    sl_rc rc = sl_tests_add(tests, "Connection and login", sl_pg_connect(pg, 0, &err), &err);
    bool lacks = false;

    /* Each right that is missing is named; writing is tried with all of them. */
    for (size_t i = 0; rc == 0 && i < sizeof steps / sizeof steps[0]; i++) {
        if (lacks && steps[i].test == test_write)
            break;
        err = (struct sl_err){ 0 };
        rc = sl_tests_add(tests, steps[i].name, steps[i].test(pg, &err), &err);
        lacks |= rc == SL_E_PERMISSION;
        rc = rc == SL_E_PERMISSION ? 0 : rc;
    }
    sl_pg_free(pg);
}
