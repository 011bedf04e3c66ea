/* What the role must be let do, and the statement that gives it: said when it is missing, and by the setup tests. */
#include "destinations/postgres/postgres.h"

/* Who may run it. */
static const char *const owners[] = {
    [SL_PG_MAKE_SCHEMAS] = "the database's owner",
    [SL_PG_MAKE_TEMP] = "the database's owner",
    [SL_PG_USE_BOOKS] = ("who made the schema " SL_SCHEMA),
    [SL_PG_USE_SCHEMA] = "the schema's owner",
    [SL_PG_USE_TABLE] = "the table's owner",
    [SL_PG_OWN_TABLE] = "the table's owner",
};

static void
add_statement(struct sl_sql *q, const struct sl_pg *pg, enum sl_pg_grant what, const char *schema,
              const char *table)
{
    const char *user = PQuser(pg->conn), *db = PQdb(pg->conn);

    switch (what) {
    case SL_PG_MAKE_SCHEMAS:
        sl_sqlf(q, "GRANT CREATE ON DATABASE %n TO %n", db, user);
        break;
    case SL_PG_MAKE_TEMP:
        sl_sqlf(q, "GRANT TEMPORARY ON DATABASE %n TO %n", db, user);
        break;
    case SL_PG_USE_BOOKS:
        sl_sqlf(q,
                "GRANT USAGE, CREATE ON SCHEMA " SL_SCHEMA " TO %n; GRANT SELECT, INSERT, UPDATE, "
                "DELETE ON ALL TABLES IN SCHEMA " SL_SCHEMA " TO %n",
                user, user);
        break;
    case SL_PG_USE_SCHEMA:
        sl_sqlf(q, "GRANT USAGE, CREATE ON SCHEMA %n TO %n", schema, user);
        break;
    case SL_PG_USE_TABLE:
        sl_sqlf(q, "GRANT USAGE ON SCHEMA %n TO %n; GRANT SELECT, INSERT, UPDATE ON %n.%n TO %n",
                schema, user, schema, table, user);
        break;
    case SL_PG_OWN_TABLE:
        sl_sqlf(q, "ALTER TABLE %n.%n OWNER TO %n", schema, table, user);
        break;
    }
}

sl_rc
sl_pg_missing(const struct sl_pg *pg, sl_rc rc, enum sl_pg_grant what, const char *schema,
              const char *table, struct sl_err *err)
{
    struct sl_sql q;

    if (rc != SL_E_PERMISSION || err == NULL || pg->conn == NULL)
        return rc;
    sl_sql_init(&q, &sl_pg_dialect);
    add_statement(&q, pg, what, schema, table);
    sl_err_hint(err, "let %s run: %.400s", owners[what], sl_sql_text(&q));
    sl_sql_free(&q);
    return rc;
}
