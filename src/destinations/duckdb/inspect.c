#include "destinations/inspect.h"

#include "destinations/duckdb/duckdb_dest.h"
#include "destinations/duckdb/instance.h"
#include "destinations/duckdb/sql.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

struct look {
    struct sl_inspect pub;
    duckdb_database db;         /* our own, or */
    struct sl_instance *joined; /* the sessions' */
    duckdb_connection con;
    bool ours; /* has the bookkeeping schema */
};

static sl_rc
open_readonly(struct look *in, const char *path, struct sl_err *err)
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
compare(const struct sl_inspect_table *t, const char *schema, const char *name)
{
    int n = strcmp(t->schema, schema);

    return n != 0 ? n : strcmp(t->name, name);
}

static void
add_column(struct sl_inspect_table *t, struct sl_query *q)
{
    char *name = sl_query_text(q, 2), *type = sl_query_text(q, 3);

    sl_inspect_add_column(t, name, type, sl_query_int(q, 4) != 0);
    free(name);
    free(type);
}

/* Of all tables in one go, sorted as they are: asking for each would read the catalog once for every table. */
static sl_rc
read_columns(struct look *in, struct sl_err *err)
{
    static const char key[] = "EXISTS (SELECT 1 FROM _sluice.columns k WHERE k.schema_name = "
                              "c.schema_name AND k.table_name = c.table_name"
                              " AND k.column_name = c.column_name AND k.key_position >= 0)";
    struct sl_inspect_table *t = in->pub.tables, *end = t + in->pub.ntables;
    struct sl_query q = { 0 };
    char *full;
    sl_rc rc;

    full = sl_sprintf("SELECT schema_name, table_name, column_name, data_type, %s FROM "
                      "duckdb_columns() c ORDER BY schema_name, table_name, column_index",
                      in->ours ? key : "false");
    rc = sl_query_open(&q, in->con, full, NULL, err);
    free(full);
    while (rc == 0 && sl_query_next(&q)) {
        char *schema = sl_query_text(&q, 0), *name = sl_query_text(&q, 1);

        /* Both are sorted by bytes. */
        while (t != end && compare(t, schema, name) < 0)
            t++;
        if (t != end && compare(t, schema, name) == 0)
            add_column(t, &q);
        free(schema);
        free(name);
    }
    if (rc == 0)
        sl_query_close(&q);
    return rc;
}

static sl_rc
count_rows(struct look *in, struct sl_inspect_table *t, struct sl_err *err)
{
    struct sl_buf sql;
    int64_t n;
    bool soft = false;
    sl_rc rc;

    for (int i = 0; i < t->ncolumns; i++)
        soft |= strcmp(t->columns[i].name, SL_COL_DELETED) == 0;
    sl_buf_init(&sql, SIZE_MAX / 4);
    sl_buf_add(&sql, "SELECT count(*) FROM ");
    sl_sql_name(&sql, t->schema);
    sl_buf_add(&sql, ".");
    sl_sql_name(&sql, t->name);
    rc = sl_sql_number(in->con, sl_buf_str(&sql), 0, &n, err);
    t->rows = t->live_rows = (uint64_t)n;
    if (rc == 0 && soft) {
        sl_buf_add(&sql, " WHERE NOT " SL_COL_DELETED);
        rc = sl_sql_number(in->con, sl_buf_str(&sql), 0, &n, err);
        t->live_rows = (uint64_t)n;
    }
    sl_buf_free(&sql);
    return rc;
}

static sl_rc
read_tables(struct look *in, const struct sl_inspect_scope *scope, struct sl_err *err)
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
        char *schema = sl_query_text(&q, 0), *name = sl_query_text(&q, 1);

        if (sl_inspect_wants(scope, schema, name))
            sl_inspect_add_table(&in->pub, schema, name);
        free(schema);
        free(name);
    }
    sl_query_close(&q);
    rc = read_columns(in, err);
    for (int i = 0; i < in->pub.ntables && rc == 0; i++)
        rc = count_rows(in, &in->pub.tables[i], err);
    return rc;
}

static void
look_close(struct sl_inspect *pub)
{
    struct look *in = (struct look *)pub;

    if (in->con != NULL)
        duck.disconnect(&in->con);
    if (in->db != NULL)
        duck.close(&in->db);
    sl_instance_put(in->joined);
    free(in);
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
add_cell(const struct look *in, struct sl_buf *sql, const struct sl_inspect_column *c)
{
    struct sl_buf name;

    sl_buf_init(&name, SIZE_MAX / 4);
    sl_sql_name(&name, c->name);
    if (in->pub.cell_max > 0)
        add_bounded(sql, c->type, sl_buf_str(&name), in->pub.cell_max);
    else
        add_text(sql, "CAST(%s AS VARCHAR)", sl_buf_str(&name));
    sl_buf_free(&name);
}

static sl_rc
look_rows(struct sl_inspect *pub, int i, int limit, sl_inspect_row fn, void *ctx,
          struct sl_err *err)
{
    struct look *in = (struct look *)pub;
    const struct sl_inspect_table *t = &pub->tables[i];
    char **cells = sl_zalloc((size_t)t->ncolumns, sizeof *cells);
    struct sl_query q = { 0 };
    struct sl_buf sql;
    bool on = true;
    sl_rc rc;

    sl_buf_init(&sql, SIZE_MAX / 4);
    sl_buf_add(&sql, "SELECT ");
    for (int c = 0; c < t->ncolumns; c++) {
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
        for (int c = 0; c < t->ncolumns; c++)
            cells[c] = sl_query_text(&q, c);
        on = fn(ctx, t->ncolumns, (const char *const *)cells);
        for (int c = 0; c < t->ncolumns; c++)
            free(cells[c]);
    }
    if (rc == 0)
        sl_query_close(&q);
    sl_buf_free(&sql);
    free(cells);
    return rc;
}

static char *
look_state(struct sl_inspect *pub, const char *connection)
{
    struct look *in = (struct look *)pub;
    struct sl_err ignored;
    struct sl_query q;
    char *state;

    if (!in->ours ||
        sl_query_open(&q, in->con, "SELECT state FROM _sluice.state WHERE connection = $1",
                      connection, &ignored))
        return NULL;
    state = sl_query_next(&q) ? sl_query_text(&q, 0) : NULL;
    sl_query_close(&q);
    return state;
}

static const struct sl_inspect_ops look_ops = {
    .close = look_close,
    .rows = look_rows,
    .state = look_state,
};

static struct look *
look_new(const struct sl_inspect_scope *scope)
{
    struct look *in = sl_zalloc(1, sizeof *in);

    in->pub.ops = &look_ops;
    in->pub.cell_max = scope != NULL ? scope->cell_max : 0;
    return in;
}

sl_rc
sl_inspect_open(struct sl_inspect **out, const char *path, struct sl_err *err)
{
    struct look *in;
    sl_rc rc;

    *out = NULL;
    if (access(path, F_OK) != 0) {
        rc = sl_fail_errno(err, "%s", path);
        sl_err_hint(err, "run `fivetran debug` first: it makes the warehouse");
        return rc;
    }
    in = look_new(NULL);
    rc = open_readonly(in, path, err);
    if (rc == 0)
        rc = read_tables(in, NULL, err);
    if (rc)
        sl_inspect_close(&in->pub);
    else
        *out = &in->pub;
    return rc;
}

/* A file that sessions of this process may have open: joins them, or opens it as they would. */
sl_rc
sl_duckdb_inspect(struct sl_inspect **out, const struct sl_dest_conf *conf,
                  const struct sl_inspect_scope *scope, struct sl_err *err)
{
    struct look *in;
    sl_rc rc;

    *out = NULL;
    if (access(conf->location, F_OK) != 0)
        return sl_fail_errno(err, "%s", conf->location);
    in = look_new(scope);
    rc = sl_instance_get(&in->joined,
                         &(struct sl_instance_conf){ .path = conf->location,
                                                     .spill_dir = conf->spill_dir,
                                                     .memory_limit = conf->memory_limit },
                         err);
    if (rc == 0 && duck.connect(sl_instance_db(in->joined), &in->con) != DuckDBSuccess)
        rc = sl_fail(err, SL_E_DESTINATION, "%s: no connection", conf->location);
    /* One snapshot for all that is asked. */
    if (rc == 0)
        rc = sl_sql_run(in->con, "BEGIN READ ONLY", NULL, err);
    if (rc == 0)
        rc = read_tables(in, scope, err);
    if (rc)
        sl_inspect_close(&in->pub);
    else
        *out = &in->pub;
    return rc;
}
