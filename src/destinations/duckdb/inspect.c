#include "destinations/inspect.h"

#include "destinations/duckdb/instance.h"
#include "destinations/duckdb/sql.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct table {
    struct sl_inspect_table pub;
    char *schema, *name;
    struct sl_inspect_column *columns;
};

struct sl_inspect {
    duckdb_database db;         /* our own, or */
    struct sl_instance *joined; /* the sessions' */
    duckdb_connection con;
    struct table *tables;
    struct sl_inspect_table *list;
    int ntables;
    int cell_max;
    bool ours; /* has the bookkeeping schema */
    char *state;
};

static sl_rc
open_readonly(struct sl_inspect *in, const char *path, struct sl_err *err)
{
    duckdb_config cfg = NULL;
    char *text = NULL;
    sl_rc rc = sl_duck_load(err);

    if (rc)
        return rc;
    duck.create_config(&cfg);
    duck.set_config(cfg, "access_mode", "READ_ONLY");
    duck.set_config(cfg, "threads", "2");
    if (duck.open_ext(path, &in->db, cfg, &text) != DuckDBSuccess) {
        rc = sl_duck_fail(err, text, path);
        if (rc == SL_E_LOCKED)
            sl_instance_explain_lock(err, path, text);
        duck.free(text);
    } else if (duck.connect(in->db, &in->con) != DuckDBSuccess) {
        rc = sl_fail(err, SL_E_DESTINATION, "%s: no connection", path);
    }
    duck.destroy_config(&cfg);
    return rc;
}

static int
compare(const struct table *t, const char *schema, const char *name)
{
    int n = strcmp(t->schema, schema);

    return n != 0 ? n : strcmp(t->name, name);
}

static void
add_column(struct table *t, struct sl_query *q)
{
    int n = t->pub.ncolumns++;

    t->columns = sl_realloc(t->columns, (size_t)n + 1, sizeof *t->columns);
    t->columns[n].name = sl_query_text(q, 2);
    t->columns[n].type = sl_query_text(q, 3);
    t->columns[n].key = sl_query_int(q, 4) != 0;
    t->pub.columns = t->columns;
}

/* Of all tables in one go, sorted as they are: asking for each would read the catalog once for every table. */
static sl_rc
read_columns(struct sl_inspect *in, struct sl_err *err)
{
    static const char key[] = "EXISTS (SELECT 1 FROM _sluice.columns k WHERE k.schema_name = "
                              "c.schema_name AND k.table_name = c.table_name"
                              " AND k.column_name = c.column_name AND k.key_position >= 0)";
    struct sl_query q = { 0 };
    char *full;
    int at = 0;
    sl_rc rc;

    full = sl_sprintf("SELECT schema_name, table_name, column_name, data_type, %s FROM "
                      "duckdb_columns() c ORDER BY schema_name, table_name, column_index",
                      in->ours ? key : "false");
    rc = sl_query_open(&q, in->con, full, NULL, err);
    free(full);
    while (rc == 0 && sl_query_next(&q)) {
        char *schema = sl_query_text(&q, 0), *name = sl_query_text(&q, 1);

        /* Both are sorted by bytes. */
        while (at < in->ntables && compare(&in->tables[at], schema, name) < 0)
            at++;
        if (at < in->ntables && compare(&in->tables[at], schema, name) == 0)
            add_column(&in->tables[at], &q);
        free(schema);
        free(name);
    }
    if (rc == 0)
        sl_query_close(&q);
    return rc;
}

static sl_rc
count_rows(struct sl_inspect *in, struct table *t, struct sl_err *err)
{
    struct sl_buf sql;
    int64_t n;
    bool soft = false;
    sl_rc rc;

    for (int i = 0; i < t->pub.ncolumns; i++)
        soft |= strcmp(t->columns[i].name, SL_COL_DELETED) == 0;
    sl_buf_init(&sql, SIZE_MAX / 4);
    sl_buf_add(&sql, "SELECT count(*) FROM ");
    sl_sql_name(&sql, t->schema);
    sl_buf_add(&sql, ".");
    sl_sql_name(&sql, t->name);
    rc = sl_sql_number(in->con, sl_buf_str(&sql), 0, &n, err);
    t->pub.rows = t->pub.live_rows = (uint64_t)n;
    if (rc == 0 && soft) {
        sl_buf_add(&sql, " WHERE NOT " SL_COL_DELETED);
        rc = sl_sql_number(in->con, sl_buf_str(&sql), 0, &n, err);
        t->pub.live_rows = (uint64_t)n;
    }
    sl_buf_free(&sql);
    return rc;
}

static bool
is_among(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; names != NULL && i < n; i++)
        if (strcmp(names[i], name) == 0)
            return true;
    return names == NULL;
}

static bool
in_scope(const struct sl_inspect_scope *scope, const struct table *t)
{
    if (scope == NULL)
        return true;
    return is_among(scope->schemas, scope->nschemas, t->schema) &&
           is_among(scope->tables, scope->ntables, t->name);
}

static sl_rc
read_tables(struct sl_inspect *in, const struct sl_inspect_scope *scope, struct sl_err *err)
{
    struct sl_query q;
    int64_t ours;
    sl_rc rc;

    rc = sl_sql_number(in->con,
                       "SELECT count(*) FROM duckdb_tables() WHERE schema_name = '_sluice' AND "
                       "table_name = 'state'",
                       0, &ours, err);
    in->ours = ours > 0;
    if (rc == 0)
        rc = sl_query_open(&q, in->con,
                           "SELECT schema_name, table_name FROM duckdb_tables() WHERE schema_name "
                           "<> '_sluice' AND NOT temporary"
                           " ORDER BY schema_name, table_name",
                           NULL, err);
    if (rc)
        return rc;
    while (sl_query_next(&q)) {
        struct table *t, found = { .schema = sl_query_text(&q, 0), .name = sl_query_text(&q, 1) };

        if (!in_scope(scope, &found)) {
            free(found.schema);
            free(found.name);
            continue;
        }
        in->tables = sl_realloc(in->tables, (size_t)in->ntables + 1, sizeof *in->tables);
        t = &in->tables[in->ntables++];
        *t = found;
        t->pub.schema = t->schema;
        t->pub.name = t->name;
    }
    sl_query_close(&q);
    rc = read_columns(in, err);
    for (int i = 0; i < in->ntables && rc == 0; i++)
        rc = count_rows(in, &in->tables[i], err);
    in->list = sl_zalloc((size_t)in->ntables + 1, sizeof *in->list);
    for (int i = 0; i < in->ntables; i++)
        in->list[i] = in->tables[i].pub;
    return rc;
}

sl_rc
sl_inspect_open(struct sl_inspect **out, const char *path, struct sl_err *err)
{
    struct sl_inspect *in;
    sl_rc rc;

    *out = NULL;
    if (access(path, F_OK) != 0) {
        rc = sl_fail_errno(err, "%s", path);
        sl_err_hint(err, "run `fivetran debug` first: it makes the warehouse");
        return rc;
    }
    in = sl_zalloc(1, sizeof *in);
    rc = open_readonly(in, path, err);
    if (rc == 0)
        rc = read_tables(in, NULL, err);
    if (rc)
        sl_inspect_close(in);
    else
        *out = in;
    return rc;
}

sl_rc
sl_inspect_join(struct sl_inspect **out, const char *path, const char *spill_dir,
                uint64_t memory_limit, const struct sl_inspect_scope *scope, struct sl_err *err)
{
    struct sl_inspect *in;
    sl_rc rc;

    *out = NULL;
    if (access(path, F_OK) != 0)
        return sl_fail_errno(err, "%s", path);
    in = sl_zalloc(1, sizeof *in);
    in->cell_max = scope != NULL ? scope->cell_max : 0;
    rc = sl_instance_get(&in->joined,
                         &(struct sl_instance_conf){
                             .path = path, .spill_dir = spill_dir, .memory_limit = memory_limit },
                         err);
    if (rc == 0 && duck.connect(sl_instance_db(in->joined), &in->con) != DuckDBSuccess)
        rc = sl_fail(err, SL_E_DESTINATION, "%s: no connection", path);
    /* One snapshot for all that is asked. */
    if (rc == 0)
        rc = sl_sql_run(in->con, "BEGIN READ ONLY", NULL, err);
    if (rc == 0)
        rc = read_tables(in, scope, err);
    if (rc)
        sl_inspect_close(in);
    else
        *out = in;
    return rc;
}

void
sl_inspect_close(struct sl_inspect *in)
{
    if (in == NULL)
        return;
    for (int i = 0; i < in->ntables; i++) {
        for (int c = 0; c < in->tables[i].pub.ncolumns; c++) {
            free((char *)in->tables[i].columns[c].name);
            free((char *)in->tables[i].columns[c].type);
        }
        free(in->tables[i].columns);
        free(in->tables[i].schema);
        free(in->tables[i].name);
    }
    free(in->tables);
    free(in->list);
    free(in->state);
    if (in->con != NULL)
        duck.disconnect(&in->con);
    if (in->db != NULL)
        duck.close(&in->db);
    sl_instance_put(in->joined);
    free(in);
}

int
sl_inspect_tables(struct sl_inspect *in, const struct sl_inspect_table **tables)
{
    *tables = in->list;
    return in->ntables;
}

/* The text form of a column's values, by the name of its type. First match wins; %s is the column. */
static const struct {
    const char *type, *text;
} texts[] = {
    { "DOUBLE", "sl_text(%s)" },
    { "FLOAT", "sl_text(%s)" },
    { "TIMESTAMP WITH TIME ZONE", "sl_text_utc(%s)" },
    { "TIMESTAMP", "sl_text_naive(%s)" },
    { "DECIMAL", "CASE WHEN contains(CAST(%s AS VARCHAR), '.') THEN rtrim(rtrim(CAST(%s AS "
                 "VARCHAR), '0'), '.') ELSE CAST(%s AS VARCHAR) END" },
    { "", "CAST(%s AS VARCHAR)" },
};

/* `format` with the name for each %s. */
static void
add_text(struct sl_buf *sql, const char *format, const char *name)
{
    for (const char *at = format, *next; *at != '\0'; at = next) {
        next = strstr(at, "%s");
        if (next == NULL)
            next = at + strlen(at);
        sl_buf_addn(sql, at, (size_t)(next - at));
        if (*next != '\0') {
            sl_buf_add(sql, name);
            next += 2;
        }
    }
}

static void
add_bounded(struct sl_buf *sql, const char *type, const char *name, int max)
{
    size_t i = 0;

    if (strcmp(type, "BLOB") == 0) {
        sl_buf_addf(sql,
                    "CASE WHEN octet_length(%s) > %d THEN to_base64(%s[1:%d]) || '… (' || "
                    "octet_length(%s) || ' bytes)' ELSE to_base64(%s) END",
                    name, max, name, max, name, name);
        return;
    }
    if (strcmp(type, "VARCHAR") == 0 || strcmp(type, "JSON") == 0) {
        sl_buf_addf(sql,
                    "replace(CASE WHEN length(%s) > %d THEN left(CAST(%s AS VARCHAR), %d) || '… (' "
                    "|| strlen(%s) || ' bytes)' ELSE CAST(%s AS VARCHAR) END, chr(0), '␀')",
                    name, max, name, max, name, name);
        return;
    }
    while (strncmp(type, texts[i].type, strlen(texts[i].type)) != 0)
        i++;
    add_text(sql, texts[i].text, name);
}

static void
add_cell(struct sl_inspect *in, struct sl_buf *sql, const struct sl_inspect_column *c)
{
    struct sl_buf name;

    sl_buf_init(&name, SIZE_MAX / 4);
    sl_sql_name(&name, c->name);
    if (in->cell_max > 0)
        add_bounded(sql, c->type, sl_buf_str(&name), in->cell_max);
    else
        add_text(sql, "CAST(%s AS VARCHAR)", sl_buf_str(&name));
    sl_buf_free(&name);
}

sl_rc
sl_inspect_rows(struct sl_inspect *in, int i, int limit, sl_inspect_row fn, void *ctx,
                struct sl_err *err)
{
    const struct table *t = &in->tables[i];
    char **cells = sl_zalloc((size_t)t->pub.ncolumns, sizeof *cells);
    struct sl_query q = { 0 };
    struct sl_buf sql;
    bool on = true;
    sl_rc rc;

    sl_buf_init(&sql, SIZE_MAX / 4);
    sl_buf_add(&sql, "SELECT ");
    for (int c = 0; c < t->pub.ncolumns; c++) {
        sl_buf_add(&sql, c ? ", " : "");
        add_cell(in, &sql, &t->columns[c]);
    }
    sl_buf_add(&sql, " FROM ");
    sl_sql_name(&sql, t->schema);
    sl_buf_add(&sql, ".");
    sl_sql_name(&sql, t->name);
    sl_buf_addf(&sql, " LIMIT %d", limit);
    rc = sl_query_open(&q, in->con, sl_buf_str(&sql), NULL, err);
    while (rc == 0 && on && sl_query_next(&q)) {
        for (int c = 0; c < t->pub.ncolumns; c++)
            cells[c] = sl_query_text(&q, c);
        on = fn(ctx, t->pub.ncolumns, (const char *const *)cells);
        for (int c = 0; c < t->pub.ncolumns; c++)
            free(cells[c]);
    }
    if (rc == 0)
        sl_query_close(&q);
    sl_buf_free(&sql);
    free(cells);
    return rc;
}

const char *
sl_inspect_state(struct sl_inspect *in, const char *connection)
{
    struct sl_err ignored;
    struct sl_query q;

    if (!in->ours ||
        sl_query_open(&q, in->con, "SELECT state FROM _sluice.state WHERE connection = $1",
                      connection, &ignored))
        return NULL;
    free(in->state);
    in->state = sl_query_next(&q) ? sl_query_text(&q, 0) : NULL;
    sl_query_close(&q);
    return in->state;
}
