#include "base/text.h"
#include "cli/commands.h"
#include "cli/console.h"
#include "cli/report.h"
#include "destinations/destination.h"
#include "destinations/inspect.h"
#include "runtime/box.h"
#include "runtime/file.h"
#include "runtime/install.h"
#include "runtime/project.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>

static const struct sl_opt opts[] = {
    { "rows", "N", NULL, "rows shown of each table (default 10)", 'n' },
    { "json", NULL, NULL, "print JSON", '\0' },
    { "destination", "FILE", "SLUICE_DESTINATION_FILE",
      "look into the warehouse that debug --destination FILE loads", '\0' },
    { "warehouse", "FILE", NULL, "look into this DuckDB file instead of the project's", '\0' },
    { 0 },
};

#define ROWS_DEFAULT 10
#define ROWS_MAX 1000000

struct show {
    struct sl_inspect *in;
    const struct sl_inspect_table *tables;
    int ntables;
    const char *wanted; /* NULL: all */
    struct sl_dest_file dest;
    int64_t rows;
};

static const char *
connection_of(const struct show *sh)
{
    return sh->dest.schema ? sh->dest.schema : "tester";
}

/* "crypto" or "tester.crypto", in any case. */
static bool
is_wanted(const struct show *sh, const struct sl_inspect_table *t)
{
    char *full;
    bool yes;

    if (sh->wanted == NULL || strcasecmp(sh->wanted, t->name) == 0)
        return true;
    full = sl_sprintf("%s.%s", t->schema, t->name);
    yes = strcasecmp(full, sh->wanted) == 0;
    free(full);
    return yes;
}

/* ---- text ---- */

static bool
add_row(void *ctx, int ncells, const char *const *cells)
{
    sl_box_row(ctx, ncells, cells);
    return true;
}

static sl_rc
show_table(const struct show *sh, int i, struct sl_err *err)
{
    const struct sl_inspect_table *t = &sh->tables[i];
    struct sl_box *table = sl_box_new(t->ncolumns);
    char rows[32], live[32];
    sl_rc rc;

    sl_group_digits(t->rows, rows);
    sl_group_digits(t->live_rows, live);
    printf("%s.%s: %s%s row%s", t->schema, t->name, t->estimated ? "about " : "", rows,
           t->rows == 1 ? "" : "s");
    if (t->live_rows != t->rows)
        printf(", %s not deleted", live);
    printf("\n");
    for (int c = 0; c < t->ncolumns; c++)
        sl_box_head(table, c, t->columns[c].name, t->columns[c].type, t->columns[c].key);
    rc = sl_inspect_rows(sh->in, i, (int)sh->rows, add_row, table, err);
    if (rc == SL_OK)
        sl_box_print(table);
    if (rc == SL_OK && (uint64_t)sh->rows < t->rows)
        printf("the first %lld of %s rows; more with --rows N\n", (long long)sh->rows, rows);
    printf("\n");
    sl_box_free(table);
    return rc;
}

static sl_rc
show_text(const struct show *sh, struct sl_err *err)
{
    const char *state = sl_inspect_state(sh->in, connection_of(sh));
    sl_rc rc = SL_OK;

    for (int i = 0; rc == SL_OK && i < sh->ntables; i++)
        if (is_wanted(sh, &sh->tables[i]))
            rc = show_table(sh, i, err);
    if (rc == SL_OK && sh->wanted == NULL)
        printf("%s%s\n",
               sh->ntables ? "state: " : "no tables yet; state: ", state ? state : "none");
    return rc;
}

/* ---- JSON ---- */

struct json_rows {
    const struct sl_inspect_table *table;
    json_t *list;
};

static bool
add_json_row(void *ctx, int ncells, const char *const *cells)
{
    struct json_rows *rows = ctx;
    json_t *row = json_object();

    for (int c = 0; c < ncells; c++)
        json_object_set_new(row, rows->table->columns[c].name,
                            cells[c] ? json_string(cells[c]) : json_null());
    json_array_append_new(rows->list, row);
    return true;
}

static sl_rc
add_json_table(const struct show *sh, int i, json_t *tables, struct sl_err *err)
{
    const struct sl_inspect_table *t = &sh->tables[i];
    struct json_rows rows = { t, json_array() };
    json_t *columns = json_array();
    sl_rc rc = sl_inspect_rows(sh->in, i, (int)sh->rows, add_json_row, &rows, err);

    for (int c = 0; c < t->ncolumns; c++)
        json_array_append_new(columns,
                              json_pack("{s:s,s:s,s:b}", "name", t->columns[c].name, "type",
                                        t->columns[c].type, "key", (int)t->columns[c].key));
    json_array_append_new(tables, json_pack("{s:s,s:s,s:I,s:I,s:o,s:o}", "schema", t->schema,
                                            "table", t->name, "rows", (json_int_t)t->rows,
                                            "live_rows", (json_int_t)t->live_rows, "columns",
                                            columns, "first_rows", rows.list));
    return rc;
}

static sl_rc
show_json(const struct show *sh, struct sl_err *err)
{
    const char *state = sl_inspect_state(sh->in, connection_of(sh));
    json_t *all = json_object(), *tables = json_array(), *value;
    sl_rc rc = SL_OK;

    for (int i = 0; rc == SL_OK && i < sh->ntables; i++)
        if (is_wanted(sh, &sh->tables[i]))
            rc = add_json_table(sh, i, tables, err);
    json_object_set_new(all, "tables", tables);
    value = state ? json_loads(state, JSON_ALLOW_NUL, NULL) : NULL;
    if (value == NULL && state != NULL)
        value = json_string(state);
    json_object_set_new(all, "state", value ? value : json_null());
    if (rc == SL_OK && json_dumpf(all, stdout, JSON_INDENT(2)) == 0)
        putchar('\n');
    json_decref(all);
    return rc;
}

/* ---- the command ---- */

static sl_rc
check_wanted(const struct show *sh, struct sl_err *err)
{
    struct sl_buf names;
    sl_rc rc = SL_OK;
    int found = 0;

    sl_buf_init(&names, 1u << 20);
    for (int i = 0; i < sh->ntables; i++) {
        found += is_wanted(sh, &sh->tables[i]);
        if (names.len < 400)
            sl_buf_addf(&names, "%s%s", i ? ", " : "", sh->tables[i].name);
    }
    if (found == 0 && sh->wanted != NULL) {
        rc = sl_fail(err, SL_E_CONNECTOR, "there is no table \"%s\"", sh->wanted);
        if (sh->ntables > 0)
            sl_err_hint(err, "the tables: %.400s", sl_buf_str(&names));
        else
            sl_err_hint(err, "there are no tables yet");
    }
    sl_buf_free(&names);
    return rc;
}

/* One operand is a project if it is a folder, else a table of the project here. With a file given, it is a table. New memory:
 * the warehouse's path. */
static sl_rc
find_warehouse(const struct sl_args *args, char **file, const char **table, struct sl_err *err)
{
    const char *path = args->nrest ? args->rest[0] : NULL, *given = sl_arg(args, "warehouse");
    struct sl_project pro = { .lock_fd = -1 };
    sl_rc rc;

    *table = args->nrest > 1 ? args->rest[1] : NULL;
    if (given != NULL || sl_arg(args, "destination") != NULL) {
        if (args->nrest > 0 && !sl_is_dir(args->rest[args->nrest - 1]))
            *table = args->rest[args->nrest - 1];
        *file = sl_strdup_null(given);
        return SL_OK;
    }
    if (args->nrest == 1 && !sl_is_dir(path) && strchr(path, '/') == NULL) {
        *table = path;
        path = NULL;
    }
    rc = sl_project_open(&pro, path, err);
    if (rc == SL_OK)
        *file = sl_strdup(pro.warehouse);
    sl_project_close(&pro);
    return rc;
}

static sl_rc
open_warehouse(const char *file, struct show *sh, struct sl_err *err)
{
    const char *lib = sl_install_duckdb();
    sl_rc rc;

    if (!sl_is_file(file)) {
        rc = sl_fail(err, SL_E_CONNECTOR, "there is no %s yet", file);
        sl_err_hint(err, "run fivetran debug first");
        return rc;
    }
    if (lib != NULL)
        setenv("SLUICE_DUCKDB_LIB", lib, 1);
    rc = sl_inspect_open(&sh->in, file, err);
    if (rc == SL_OK)
        sh->ntables = sl_inspect_tables(sh->in, &sh->tables);
    return rc;
}

/* The warehouse of a destination file. */
static sl_rc
open_destination(const char *path, struct show *sh, struct sl_err *err)
{
    struct sl_buf text;
    char *folder = sl_path_dir(path), *file = NULL;
    sl_rc rc;

    sl_buf_init(&text, SL_TEXT_FILE_MAX);
    rc = sl_file_read(path, &text, err);
    if (rc == SL_OK)
        rc = sl_dest_file_read(&sh->dest, sl_buf_str(&text), text.len, folder, err);
    if (rc) {
        sl_err_wrap(err, "the destination %s", path);
    } else if (strcmp(sh->dest.type, "duckdb") == 0) {
        const char *name = sl_option(sh->dest.values, "path");

        file = name[0] == '/' ? sl_strdup(name) : sl_path_join(folder, name);
        rc = open_warehouse(file, sh, err);
    } else {
        const struct sl_dest_conf conf = { .options = sh->dest.values,
                                           .connection = connection_of(sh) };

        rc = sl_destination_find(sh->dest.type)->inspect(&sh->in, &conf, NULL, err);
        if (rc == SL_OK)
            sh->ntables = sl_inspect_tables(sh->in, &sh->tables);
    }
    if (text.ptr != NULL)
        memset(text.ptr, 0, text.len);
    sl_buf_free(&text);
    free(folder);
    free(file);
    return rc;
}

/* Other warehouses this project was loaded into: said, so that nobody misses their tables. */
static void
tell_others(const struct sl_args *args)
{
    struct sl_project pro = { .lock_fd = -1 };
    char **names = NULL, *stem;

    if (sl_arg(args, "warehouse") != NULL || sl_arg(args, "destination") != NULL ||
        sl_arg_flag(args, "json") ||
        sl_project_open(&pro, args->nrest && sl_is_dir(args->rest[0]) ? args->rest[0] : NULL, NULL))
        return;
    if (sl_is_dir(pro.files) && sl_dir_names(pro.files, &names, NULL) == SL_OK)
        for (size_t i = 0; names[i] != NULL; i++)
            if (sl_project_is_mirror(names[i], &stem)) {
                fprintf(
                    stderr,
                    "note: this project was also loaded with --destination %s.json; to see those "
                    "tables: fivetran show --destination %s.json\n",
                    stem, stem);
                free(stem);
            }
    sl_names_free(names);
    sl_project_close(&pro);
}

static int
run(const struct sl_args *args)
{
    struct show sh = { .rows = ROWS_DEFAULT };
    struct sl_err err = { 0 };
    const char *rows = sl_arg(args, "rows"), *dest = sl_arg(args, "destination");
    char *file = NULL;
    sl_rc rc = find_warehouse(args, &file, &sh.wanted, &err);

    if (rc == SL_OK && rows != NULL && !sl_parse_i64(rows, 0, ROWS_MAX, &sh.rows))
        rc = sl_fail(&err, SL_E_USAGE, "--rows is a number from 0 to %d, not \"%s\"", ROWS_MAX,
                     rows);
    if (rc == SL_OK && dest != NULL && file == NULL)
        rc = open_destination(dest, &sh, &err);
    else if (rc == SL_OK)
        rc = open_warehouse(file, &sh, &err);
    if (rc == SL_OK)
        rc = check_wanted(&sh, &err);
    if (rc == SL_OK)
        rc = sl_arg_flag(args, "json") ? show_json(&sh, &err) : show_text(&sh, &err);
    tell_others(args);
    if (sh.in != NULL)
        sl_inspect_close(sh.in);
    sl_dest_file_free(&sh.dest);
    free(file);
    return rc ? sl_report(&err) : 0;
}

const struct sl_command sl_cmd_show = {
    .name = "show",
    .operands = "[project] [table] [options]",
    .summary = "show the tables and the state of the local data",
    .opts = opts,
    .max_rest = 2,
    .run = run,
};
