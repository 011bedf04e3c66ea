/* A table's key is a unique index, so that rows are found and never doubled. A primary key where no row has NULL in it; else, from
 * PostgreSQL 15 on, a unique index in which NULL equals NULL. Older servers know none such: there apply looks NULL keys up by itself. */
#include "destinations/postgres/postgres.h"

#include <stdlib.h>

/* The first version with NULLS NOT DISTINCT. */
#define HAS_NULLS 150000
/* … with max_parallel_maintenance_workers. */
#define HAS_WORKERS 110000

struct sl_pg_table *
sl_pg_table_of(struct sl_pg *pg, const struct sl_table *t)
{
    for (int i = 0; i < pg->ntables; i++)
        if (pg->tables[i].t == t)
            return &pg->tables[i];
    pg->tables = sl_realloc(pg->tables, (size_t)pg->ntables + 1, sizeof *pg->tables);
    pg->tables[pg->ntables] = (struct sl_pg_table){ .t = t };
    return &pg->tables[pg->ntables++];
}

void
sl_pg_forget_tables(struct sl_pg *pg)
{
    pg->ntables = 0;
}

static int
by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The names of the key columns as the server sorts them. */
static void
add_sorted_names(struct sl_sql *q, const struct sl_table *t)
{
    const char **names = sl_zalloc((size_t)t->nkeys, sizeof *names);

    for (int k = 0; k < t->nkeys; k++)
        names[k] = t->columns[t->keys[k]]->name;
    qsort(names, (size_t)t->nkeys, sizeof *names, by_text);
    sl_sqlf(q, "ARRAY[");
    for (int k = 0; k < t->nkeys; k++)
        sl_sqlf(q, k ? ", %s" : "%s", names[k]);
    sl_sqlf(q, "]::text[]");
    free(names);
}

struct found {
    char *index; /* malloc'ed; NULL: there is none */
    bool constraint;
    bool used; /* by a foreign key, a view, replication: it cannot go */
};

/* A unique index on exactly the key's columns, whoever made it. */
static sl_rc
find_key(struct sl_pg *pg, struct sl_pg_table *pt, struct found *f, struct sl_err *err)
{
    bool nulls = sl_pg_version(pg) >= HAS_NULLS;
    struct sl_sql q;
    PGresult *res;
    sl_rc rc;

    *f = (struct found){ 0 };
    sl_sql_init(&q, &sl_pg_dialect);
    sl_sqlf(
        &q,
        "SELECT i.indisprimary, %r, x.relname, k.oid IS NOT NULL, i.indisreplident OR EXISTS "
        "(SELECT 1 FROM pg_depend d WHERE d.deptype = 'n' AND ((d.refclassid = "
        "'pg_class'::regclass AND d.refobjid = x.oid) OR (d.refclassid = "
        "'pg_constraint'::regclass AND d.refobjid = k.oid))) FROM pg_index i JOIN pg_class c ON "
        "c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace JOIN pg_class x ON x.oid "
        "= i.indexrelid LEFT JOIN pg_constraint k ON k.conindid = x.oid AND k.contype IN ('p', "
        "'u') WHERE n.nspname = %s AND c.relname = %s AND i.indisunique AND "
        "i.indisvalid AND i.indimmediate AND i.indpred IS NULL AND i.indexprs IS NULL AND "
        "(SELECT array_agg(a.attname::text ORDER BY a.attname::text COLLATE \"C\") FROM "
        "pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)) = ",
        nulls ? "i.indnullsnotdistinct" : "false", pt->t->schema, pt->t->name);
    add_sorted_names(&q, pt->t);
    sl_sqlf(&q, " ORDER BY 1 DESC, 2 DESC LIMIT 1");
    rc = sl_pg_exec(pg, sl_sql_text(&q), "asking for a table's key", &res, err);
    sl_sql_free(&q);
    if (rc)
        return rc;
    pt->key = SL_PG_KEY_NONE;
    if (PQntuples(res)) {
        pt->key = PQgetvalue(res, 0, 0)[0] == 't'   ? SL_PG_KEY_PRIMARY
                  : PQgetvalue(res, 0, 1)[0] == 't' ? SL_PG_KEY_NULLS
                                                    : SL_PG_KEY_PLAIN;
        f->index = sl_strdup(PQgetvalue(res, 0, 2));
        f->constraint = PQgetvalue(res, 0, 3)[0] == 't';
        f->used = PQgetvalue(res, 0, 4)[0] == 't';
    }
    PQclear(res);
    return 0;
}

static void
add_key_columns(struct sl_sql *q, const struct sl_table *t)
{
    for (int k = 0; k < t->nkeys; k++)
        sl_sqlf(q, k ? ", %n" : "%n", t->columns[t->keys[k]]->name);
}

static sl_rc
build(struct sl_pg *pg, struct sl_pg_table *pt, struct sl_err *err)
{
    bool nulls = sl_pg_version(pg) >= HAS_NULLS;
    struct sl_sql q;
    sl_rc rc;

    sl_sql_init(&q, &sl_pg_dialect);
    /* Where the rows lie in the order of the key there is nothing to sort, and parallel workers cost more than they do. */
    if (sl_pg_version(pg) >= HAS_WORKERS)
        sl_sqlf(&q, "SET LOCAL max_parallel_maintenance_workers TO %r; ",
                pt->rising ? "0" : "DEFAULT");
    sl_sqlf(&q, pt->nulls ? "CREATE UNIQUE INDEX ON %t (" : "ALTER TABLE %t ADD PRIMARY KEY (",
            pt->t);
    add_key_columns(&q, pt->t);
    sl_sqlf(&q, pt->nulls && nulls ? ") NULLS NOT DISTINCT" : ")");
    rc = sl_pg_run(pg, sl_sql_text(&q), "building the key", NULL, err);
    sl_sql_free(&q);
    if (rc)
        sl_err_wrap(err, "%s.%s", pt->t->schema, pt->t->name);
    rc = sl_pg_missing(pg, rc, SL_PG_OWN_TABLE, pt->t->schema, pt->t->name, err);
    pt->key = !pt->nulls ? SL_PG_KEY_PRIMARY : nulls ? SL_PG_KEY_NULLS : SL_PG_KEY_PLAIN;
    pt->keyless = false;
    return rc;
}

static sl_rc
drop(struct sl_pg *pg, struct sl_pg_table *pt, const struct found *f, struct sl_err *err)
{
    struct sl_sql q;
    sl_rc rc;

    sl_sql_init(&q, &sl_pg_dialect);
    if (f->constraint)
        sl_sqlf(&q, "ALTER TABLE %t DROP CONSTRAINT %n", pt->t, f->index);
    else
        sl_sqlf(&q, "DROP INDEX %n.%n", pt->t->schema, f->index);
    /* A primary key leaves NOT NULL behind. */
    for (int k = 0; k < pt->t->nkeys && pt->key == SL_PG_KEY_PRIMARY; k++)
        sl_sqlf(&q, "; ALTER TABLE %t ALTER COLUMN %n DROP NOT NULL", pt->t,
                pt->t->columns[pt->t->keys[k]]->name);
    rc = sl_pg_run(pg, sl_sql_text(&q), "changing the key", NULL, err);
    rc = sl_pg_missing(pg, rc, SL_PG_OWN_TABLE, pt->t->schema, pt->t->name, err);
    sl_sql_free(&q);
    pt->key = SL_PG_KEY_NONE;
    return rc;
}

sl_rc
sl_pg_key_ensure(struct sl_pg *pg, struct sl_pg_table *pt, struct sl_err *err)
{
    struct found f = { 0 };
    sl_rc rc = 0;

    if (pt->keyless)
        return build(pg, pt, err);
    if (pt->key == SL_PG_KEY_UNKNOWN || (pt->key == SL_PG_KEY_PRIMARY && pt->nulls))
        rc = find_key(pg, pt, &f, err);
    if (rc == 0 && pt->key == SL_PG_KEY_PRIMARY && pt->nulls)
        rc = drop(pg, pt, &f, err);
    if (rc == 0 && pt->key == SL_PG_KEY_NONE)
        rc = build(pg, pt, err);
    free(f.index);
    return rc;
}

sl_rc
sl_pg_key_postpone(struct sl_pg *pg, struct sl_pg_table *pt, struct sl_err *err)
{
    struct found f = { 0 };
    sl_rc rc = 0;

    if (!pt->keyless) {
        rc = find_key(pg, pt, &f, err);
        if (rc == 0 && f.index != NULL && !f.used)
            rc = drop(pg, pt, &f, err);
        pt->keyless = rc == 0 && pt->key == SL_PG_KEY_NONE;
    }
    free(f.index);
    return rc;
}

sl_rc
sl_pg_keys_build(struct sl_pg *pg, struct sl_err *err)
{
    sl_rc rc = 0;

    for (int i = 0; i < pg->ntables && rc == 0; i++)
        if (pg->tables[i].keyless)
            rc = build(pg, &pg->tables[i], err);
    return rc;
}
