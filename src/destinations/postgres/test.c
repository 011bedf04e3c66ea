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

/* As a first sync would: the bookkeeping, a schema, a table with a key. */
static sl_rc
test_create(struct sl_pg *pg, struct sl_err *err)
{
    struct sl_sql q;
    int64_t may = 0;
    sl_rc rc;

    sl_sql_init(&q, &sl_pg_dialect);
    rc = sl_pg_numbers(pg, "SELECT has_database_privilege(current_database(), 'CREATE')::int", 1,
                       &may, NULL, err);
    if (rc == 0 && !may) {
        rc = sl_fail(err, SL_E_PERMISSION, "%s may not create schemas in the database %s",
                     PQuser(pg->conn), PQdb(pg->conn));
        sl_sqlf(&q, "GRANT CREATE ON DATABASE %n TO %n", PQdb(pg->conn), PQuser(pg->conn));
        sl_err_hint(err, "let the database's owner run: %.400s", sl_sql_text(&q));
    }
    sl_sql_free(&q);
    return rc;
}

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
    if (rc == SL_E_PERMISSION)
        sl_err_hint(err, "the role needs CREATE and TEMPORARY on the database");
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
        { "Permission to create schemas", test_create },
        { "Writing", test_write },
    };
    struct sl_pg *pg = sl_pg_new(conf);
    struct sl_err err = { 0 };
    sl_rc rc = sl_tests_add(tests, "Connection and login", sl_pg_connect(pg, 0, &err), &err);

    for (size_t i = 0; rc == 0 && i < sizeof steps / sizeof steps[0]; i++)
        rc = sl_tests_add(tests, steps[i].name, steps[i].test(pg, &err), &err);
    sl_pg_free(pg);
}
