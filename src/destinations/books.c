#include "destinations/books.h"

#include <stdlib.h>

/* States kept for rewinding. */
#define HISTORY 50
#define FORMAT_KEY "format"
#define FORMAT "1"
/* Columns written by one statement. */
#define ROWS_AT_ONCE 100

/* The tables. %1 schema, %t text, %w whole number, %f flag, %i instant. */
static const char *const tables[] = {
    "meta(key %t, value %t)",
    "tables(connection %t, source_schema %t, source_table %t, schema_name %t, table_name %t, "
    "keyless %f)",
    "columns(connection %t, schema_name %t, table_name %t, position %w, source_name %t, "
    "column_name %t, type %t, type_precision %w, type_scale %w, declared %f, key_position %w, "
    "row_name %t)",
    "state(connection %t, state %t, batch %t, mirrors %t, partial %f, committed_at %i)",
    "state_history(connection %t, number %w, state %t, batch %t, committed_at %i)",
};

static void
add_layout(struct sl_sql *q, const char *layout)
{
    const struct sl_coltype instant = { SL_T_UTC_DATETIME, 0, 0 };

    for (; *layout; layout++) {
        if (*layout != '%') {
            sl_buf_addn(&q->buf, layout, 1);
            continue;
        }
        switch (*++layout) {
        case 't':
            sl_sqlf(q, "%r", q->d->text);
            break;
        case 'w':
            sl_sqlf(q, "%r", q->d->whole);
            break;
        case 'f':
            sl_sqlf(q, "%r", q->d->flag);
            break;
        default:
            sl_sqlf(q, "%c", &instant);
        }
    }
}

char *
sl_books_bootstrap(const struct sl_books *b, bool schema)
{
    struct sl_sql q;
    char *all;

    sl_sql_init(&q, b->d);
    if (schema) {
        sl_sqlf(&q, "CREATE SCHEMA IF NOT EXISTS %n", b->schema);
        sl_buf_addn(&q.buf, "", 1);
    }
    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        sl_sqlf(&q, "CREATE TABLE IF NOT EXISTS %n.", b->schema);
        add_layout(&q, tables[i]);
        sl_buf_addn(&q.buf, "", 1);
    }
    sl_sqlf(
        &q,
        "INSERT INTO %n.meta SELECT %s, %s WHERE NOT EXISTS (SELECT 1 FROM %n.meta WHERE key = %s)",
        b->schema, FORMAT_KEY, FORMAT, b->schema, FORMAT_KEY);
    sl_buf_addn(&q.buf, "\0", 2);
    all = sl_memdup(q.buf.ptr, q.buf.len);
    sl_sql_free(&q);
    return all;
}

/* ---- reading ---- */

static int64_t
number(const char *cell)
{
    return cell ? strtoll(cell, NULL, 10) : 0;
}

static bool
truth(const char *cell)
{
    return cell != NULL && (*cell == 't' || *cell == 'T' || *cell == '1');
}

static const char *
text(const char *cell)
{
    return cell ? cell : "";
}

static sl_rc
query(const struct sl_books *b, struct sl_sql *q, sl_cells_fn fn, void *arg, struct sl_err *err)
{
    sl_rc rc = b->query(b->ctx, sl_sql_text(q), fn, arg, err);

    sl_sql_free(q);
    return rc;
}

static bool
take_format(void *arg, int ncells, const char *const *cells)
{
    (void)ncells;
    *(char **)arg = sl_strdup_null(cells[0]);
    return false;
}

sl_rc
sl_books_format(const struct sl_books *b, struct sl_err *err)
{
    char *format = NULL;
    struct sl_sql q;
    sl_rc rc;

    sl_sql_init(&q, b->d);
    sl_sqlf(&q, "SELECT value FROM %n.meta WHERE key = %s", b->schema, FORMAT_KEY);
    rc = query(b, &q, take_format, &format, err);
    if (rc)
        return rc;
    if (format == NULL)
        return sl_fail(err, SL_E_NOT_FOUND, "the bookkeeping in schema %s is incomplete",
                       b->schema);
    if (strcmp(format, FORMAT) != 0) {
        rc = sl_fail(err, SL_E_CONFIG,
                     "the warehouse was written by a newer version (bookkeeping format %.20s, this "
                     "one knows " FORMAT ")",
                     format);
        sl_err_hint(err, "upgrade this one");
    }
    free(format);
    return rc;
}

static bool
take_table(void *arg, int ncells, const char *const *cells)
{
    struct sl_table *t = sl_catalog_restore(arg, text(cells[0]), text(cells[1]), text(cells[2]),
                                            text(cells[3]));

    (void)ncells;
    t->keyless = truth(cells[4]);
    return true;
}

static struct sl_table *
table_named(const struct sl_catalog *cat, const char *schema, const char *name)
{
    for (int i = 0; i < cat->ntables; i++)
        if (strcmp(cat->tables[i]->schema, schema) == 0 && strcmp(cat->tables[i]->name, name) == 0)
            return cat->tables[i];
    return NULL;
}

struct columns {
    struct sl_catalog *cat;
    struct sl_table *t; /* of the row before: they come in order */
};

static bool
take_column(void *arg, int ncells, const char *const *cells)
{
    struct columns *cs = arg;
    const char *schema = text(cells[0]), *name = text(cells[1]), *word = text(cells[4]);
    struct sl_coltype type = { 0 };
    int i;

    (void)ncells;
    if (cs->t == NULL || strcmp(cs->t->schema, schema) != 0 || strcmp(cs->t->name, name) != 0)
        cs->t = table_named(cs->cat, schema, name);
    if (cs->t == NULL)
        return true;
    if (!sl_type_parse(word, strlen(word), &type.type))
        type.type = SL_T_NONE;
    type.precision = (uint8_t)number(cells[5]);
    type.scale = (uint8_t)number(cells[6]);
    i = sl_table_restore(cs->t, text(cells[2]), cells[9], text(cells[3]), type, truth(cells[7]));
    cs->t->columns[i]->key = (int)number(cells[8]);
    return true;
}

static sl_rc
load_tables(const struct sl_books *b, const char *connection, struct sl_catalog *cat,
            struct sl_err *err)
{
    struct columns cs = { .cat = cat };
    struct sl_sql q;
    sl_rc rc;

    sl_sql_init(&q, b->d);
    sl_sqlf(&q,
            "SELECT source_schema, source_table, schema_name, table_name, keyless FROM %n.tables "
            "WHERE connection = %s ORDER BY schema_name, table_name",
            b->schema, connection);
    rc = query(b, &q, take_table, cat, err);
    if (rc)
        return rc;
    sl_sql_init(&q, b->d);
    sl_sqlf(&q,
            "SELECT schema_name, table_name, source_name, column_name, type, type_precision, "
            "type_scale, declared, key_position, row_name FROM %n.columns WHERE connection = %s "
            "ORDER BY schema_name, table_name, position",
            b->schema, connection);
    rc = query(b, &q, take_column, &cs, err);
    for (int i = 0; i < cat->ntables; i++)
        sl_table_settle_keys(cat->tables[i]);
    return rc;
}

static bool
take_present(void *arg, int ncells, const char *const *cells)
{
    struct sl_table *t = table_named(arg, text(cells[0]), text(cells[1]));

    (void)ncells;
    if (t != NULL)
        t->created = true;
    return true;
}

static sl_rc
ask_present(const struct sl_books *b, struct sl_catalog *cat, const char *schema,
            struct sl_err *err)
{
    struct sl_sql q;

    if (b->tables != NULL)
        return b->tables(b->ctx, schema, take_present, cat, err);
    sl_sql_init(&q, b->d);
    sl_sqlf(&q,
            "SELECT table_schema, table_name FROM information_schema.tables WHERE table_schema = "
            "%s",
            schema);
    return query(b, &q, take_present, cat, err);
}

/* A table the user dropped is one to be made again, with the types its columns had. */
static sl_rc
check_present(const struct sl_books *b, struct sl_catalog *cat, struct sl_err *err)
{
    sl_rc rc = 0;

    for (int i = 0; i < cat->ntables; i++)
        cat->tables[i]->created = false;
    /* They come ordered by schema. */
    for (int i = 0; i < cat->ntables && rc == 0; i++)
        if (i == 0 || strcmp(cat->tables[i]->schema, cat->tables[i - 1]->schema) != 0)
            rc = ask_present(b, cat, cat->tables[i]->schema, err);
    for (int i = 0; i < cat->ntables; i++) {
        struct sl_table *t = cat->tables[i];

        for (int c = 0; c < t->ncolumns && !t->created; c++)
            t->columns[c]->type = (struct sl_coltype){ 0 };
    }
    return rc;
}

static bool
take_state(void *arg, int ncells, const char *const *cells)
{
    struct sl_saved_state *s = arg;

    (void)ncells;
    s->found = true;
    s->state = sl_strdup_null(cells[0]);
    s->batch = sl_strdup_null(cells[1]);
    s->mirrors = sl_strdup_null(cells[2]);
    s->partial = truth(cells[3]);
    return false;
}

static sl_rc
load_state(const struct sl_books *b, const char *connection, struct sl_saved_state *state,
           struct sl_err *err)
{
    struct sl_sql q;

    *state = (struct sl_saved_state){ 0 };
    sl_sql_init(&q, b->d);
    sl_sqlf(&q, "SELECT state, batch, mirrors, partial FROM %n.state WHERE connection = %s",
            b->schema, connection);
    return query(b, &q, take_state, state, err);
}

sl_rc
sl_books_load(const struct sl_books *b, const char *connection, struct sl_catalog *cat,
              struct sl_saved_state *state, struct sl_err *err)
{
    sl_rc rc = load_tables(b, connection, cat, err);

    *state = (struct sl_saved_state){ 0 };
    if (rc == 0)
        rc = check_present(b, cat, err);
    return rc ? rc : load_state(b, connection, state, err);
}

sl_rc
sl_books_has_batch(const struct sl_books *b, const char *connection, const char *batch, bool *has,
                   struct sl_err *err)
{
    struct sl_saved_state s;
    sl_rc rc = load_state(b, connection, &s, err);

    *has = rc == 0 && s.batch != NULL && strcmp(s.batch, batch) == 0;
    sl_saved_state_free(&s);
    return rc;
}

sl_rc
sl_books_state(const struct sl_books *b, const char *connection, char **state, struct sl_err *err)
{
    struct sl_saved_state s;
    sl_rc rc = load_state(b, connection, &s, err);

    *state = s.state;
    s.state = NULL;
    sl_saved_state_free(&s);
    return rc;
}

/* ---- writing ---- */

static sl_rc
run(const struct sl_books *b, struct sl_sql *q, struct sl_err *err)
{
    sl_rc rc = b->run(b->ctx, sl_sql_text(q), err);

    sl_sql_clear(q);
    return rc;
}

static sl_rc
save_columns(const struct sl_books *b, struct sl_sql *q, const char *connection,
             const struct sl_table *t, struct sl_err *err)
{
    sl_rc rc = 0;

    for (int i = 0; i < t->ncolumns && rc == 0; i++) {
        const struct sl_column *c = t->columns[i];
        bool first = i % ROWS_AT_ONCE == 0;

        if (first)
            sl_sqlf(q, "INSERT INTO %n.columns VALUES ", b->schema);
        sl_sqlf(q, "%r(%s, %s, %s, %d, %s, %s, %s, %d, %d, %y, %d, %s)", first ? "" : ", ",
                connection, t->schema, t->name, (int64_t)i, c->source, c->name,
                sl_type_name(c->next.type), (int64_t)c->next.precision, (int64_t)c->next.scale,
                (int)c->declared, (int64_t)c->key, c->row_name);
        if (i + 1 == t->ncolumns || (i + 1) % ROWS_AT_ONCE == 0)
            rc = run(b, q, err);
    }
    return rc;
}

sl_rc
sl_books_save_table(const struct sl_books *b, const char *connection, const struct sl_table *t,
                    struct sl_err *err)
{
    static const char *const both[] = { "columns", "tables" };
    struct sl_sql q;
    sl_rc rc = 0;

    sl_sql_init(&q, b->d);
    for (int i = 0; i < 2 && rc == 0; i++) {
        sl_sqlf(&q,
                "DELETE FROM %n.%r WHERE connection = %s AND schema_name = %s AND table_name = %s",
                b->schema, both[i], connection, t->schema, t->name);
        rc = run(b, &q, err);
    }
    if (rc == 0) {
        sl_sqlf(&q, "INSERT INTO %n.tables VALUES (%s, %s, %s, %s, %s, %y)", b->schema, connection,
                t->source_schema, t->source, t->schema, t->name, (int)t->keyless);
        rc = run(b, &q, err);
    }
    if (rc == 0)
        rc = save_columns(b, &q, connection, t, err);
    sl_sql_free(&q);
    return rc;
}

static sl_rc
save_history(const struct sl_books *b, struct sl_sql *q, const char *connection,
             const struct sl_saved_state *s, int64_t now_us, struct sl_err *err)
{
    sl_rc rc;

    sl_sqlf(q,
            "INSERT INTO %n.state_history SELECT %s, coalesce(max(number), 0) + 1, %s, %s, %m FROM "
            "%n.state_history WHERE connection = %s",
            b->schema, connection, s->state, s->batch, now_us, b->schema, connection);
    rc = run(b, q, err);
    if (rc)
        return rc;
    sl_sqlf(q,
            "DELETE FROM %n.state_history WHERE connection = %s AND number <= (SELECT max(number) "
            "- %d FROM %n.state_history WHERE connection = %s)",
            b->schema, connection, (int64_t)HISTORY, b->schema, connection);
    return run(b, q, err);
}

sl_rc
sl_books_save_state(const struct sl_books *b, const char *connection,
                    const struct sl_saved_state *s, int64_t now_us, struct sl_err *err)
{
    struct sl_sql q;
    sl_rc rc;

    sl_sql_init(&q, b->d);
    sl_sqlf(&q, "DELETE FROM %n.state WHERE connection = %s", b->schema, connection);
    rc = run(b, &q, err);
    if (rc == 0) {
        sl_sqlf(&q, "INSERT INTO %n.state VALUES (%s, %s, %s, %s, %y, %m)", b->schema, connection,
                s->state, s->batch, s->mirrors, (int)s->partial, now_us);
        rc = run(b, &q, err);
    }
    if (rc == 0 && !s->partial && !s->again)
        rc = save_history(b, &q, connection, s, now_us, err);
    sl_sql_free(&q);
    return rc;
}
