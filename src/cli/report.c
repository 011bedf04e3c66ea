#include "cli/report.h"

#include "base/time.h"
#include "destinations/destination.h"
#include "runtime/file.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Lines of the connector's own output repeated when nothing else explains a failure. */
#define TAIL_LINES 20

void
sl_group_digits(uint64_t n, char out[32])
{
    char digits[24];
    int len = snprintf(digits, sizeof digits, "%" PRIu64, n), w = 0;

    for (int i = 0; i < len; i++) {
        out[w++] = digits[i];
        if ((len - 1 - i) % 3 == 0 && i + 1 < len)
            out[w++] = ',';
    }
    out[w] = '\0';
}

/* ---- counters ---- */

static void
print_counters(struct sl_console *con, const struct sl_counts *n)
{
    const struct {
        const char *name;
        uint64_t calls;
    } rows[] = {
        { "Upserts", n->upserts },
        { "Updates", n->updates },
        { "Deletes", n->deletes },
        { "Truncates", n->truncates },
        { "SchemaChanges", n->schema_changes },
        { "Checkpoints", n->checkpoints },
    };

    sl_console_name(con, SL_INFO, "SYNC PROGRESS:");
    sl_console_plain(con, "%-13s | %s\n%s\n", "Operation", "Calls", "------------- + ------------");
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        sl_console_plain(con, "%-13s | %" PRIu64 "\n", rows[i].name, rows[i].calls);
}

/* What became of the rows: always the four outcomes, the rest where there was any. */
static void
print_outcome(struct sl_local *loc, const struct sl_counts *n)
{
    const struct {
        const char *name;
        uint64_t count;
        bool always;
    } parts[] = {
        { "inserted", n->inserted, true },
        { "updated", n->updated, true },
        { "deleted", n->deleted, true },
        { "unchanged", n->unchanged, true },
        { "folded into a later call on the same key", n->duplicates, false },
        { "updates and deletes without such a row", n->missed, false },
        { "values rounded", n->rounded, false },
        { "times cut to microseconds", n->cut, false },
        { "values replaced", n->replaced, false },
    };
    struct sl_buf line;
    char count[32];

    sl_buf_init(&line, 4096);
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
        if (!parts[i].always && parts[i].count == 0)
            continue;
        sl_group_digits(parts[i].count, count);
        sl_buf_addf(&line, "%s%s %s", line.len ? ", " : "", count, parts[i].name);
    }
    sl_console_name(loc->con, SL_INFO, "rows: %s (%.2f s)", sl_buf_str(&line),
                    (double)(sl_mono_us() - loc->start_us) / 1e6);
    sl_buf_free(&line);
}

static void
print_counts(struct sl_local *loc, const struct sl_session_result *res)
{
    print_counters(loc->con, &res->counts);
    print_outcome(loc, &res->counts);
    if (loc->printed)
        sl_console_name(loc->con, SL_INFO,
                        "the connector also wrote lines of its own (print, logging): a deployed "
                        "connector's log has only what is written with Logging, e.g. log.info()");
}

int
sl_report_success(struct sl_local *loc, const struct sl_session_result *res)
{
    print_counts(loc, res);
    if (loc->destination_path != NULL)
        sl_console_name(loc->con, SL_INFO, "data: in the %s of %s (schema %s)",
                        sl_destination_find(loc->dest.type)->title, loc->destination_path,
                        loc->dest.schema ? loc->dest.schema : "tester");
    else
        sl_console_name(
            loc->con, SL_INFO, "data: %s (schema tester); look at it with: fivetran show%s%s",
            sl_is_file(loc->pro.warehouse) ? loc->pro.warehouse : "(none)",
            loc->named_project ? " " : "", loc->named_project ? loc->named_project : "");
    sl_console_name(loc->con, SL_INFO, "Sync SUCCEEDED");
    return 0;
}

/* ---- failures ---- */

static void
print_tail(struct sl_local *loc)
{
    const char *text = sl_buf_str(&loc->tail), *p = text + loc->tail.len;
    int lines = 0;

    if (loc->tail.len == 0)
        return;
    while (p > text && !(p[-1] == '\n' && p != text + loc->tail.len && ++lines == TAIL_LINES))
        p--;
    sl_console_name(loc->con, SL_INFO, "the connector's last output:");
    sl_console_block(loc->con, p);
}

/* "connector.py:10: in schema(): ValueError: Could not find 'my_key'" without the parts that are not known. */
static void
describe_failure(const struct sl_failure *f, bool place_first, struct sl_buf *out)
{
    char place[512] = "";

    if (f->file != NULL && f->line > 0)
        snprintf(place, sizeof place, "%s:%d", f->file, f->line);
    if (place_first && place[0] != '\0')
        sl_buf_addf(out, "%s: ", place);
    if (place_first && f->function != NULL && f->function[0] != '\0' && f->function[0] != '<')
        sl_buf_addf(out, "in %s(): ", f->function);
    if (f->by_operation)
        sl_buf_add(out, "op.error: ");
    else if (f->type != NULL && f->type[0] != '\0')
        sl_buf_addf(out, "%s%s", f->type, f->message && f->message[0] ? ": " : "");
    sl_buf_add(out, f->message ? f->message : "");
    if (!place_first && place[0] != '\0')
        sl_buf_addf(out, " (%s)", place);
}

static const char *
hint_for(const struct sl_local *loc, const struct sl_failure *f)
{
    if (f->hint != NULL && f->hint[0] != '\0')
        return f->hint;
    if (f->has_exit)
        return "sys.exit() ends a sync as a failure, whatever its argument; return from update() "
               "to end it well, "
               "raise an exception to say what is wrong";
    if (!loc->configured && json_object_size(loc->configuration) == 0)
        return "the connector got an empty configuration: there is no configuration.json in the "
               "project and "
               "--configuration was not given";
    return NULL;
}

/* The author's place first, what happened, what to do, and the traceback below. */
static char *
report_connector(struct sl_local *loc, const struct sl_failure *f)
{
    const char *hint = hint_for(loc, f);
    struct sl_buf text;
    char *reason;

    sl_buf_init(&text, 64u << 20);
    describe_failure(f, true, &text);
    sl_console_say(loc->con, SL_SEVERE, "%s", sl_buf_str(&text));
    if (hint != NULL)
        sl_console_say(loc->con, SL_INFO, "hint: %s", hint);
    if (f->traceback != NULL)
        sl_console_block(loc->con, f->traceback);
    text.len = 0;
    describe_failure(f, false, &text);
    reason = sl_strdup(sl_buf_str(&text));
    sl_buf_free(&text);
    return reason;
}

/* The process ended without a word: the system knows more than the protocol. */
static char *
report_death(struct sl_local *loc)
{
    const char *fate = sl_child_fate(loc->child);

    print_tail(loc);
    if (strstr(fate, "signal 9") != NULL)
        sl_console_name(loc->con, SL_INFO,
                        "hint: yield rows in smaller pieces instead of collecting them, and make "
                        "checkpoints on the way");
    return sl_sprintf("the connector's process %s", fate);
}

static char *
report_other(struct sl_local *loc, const struct sl_err *err)
{
    if (err->hint[0] != '\0')
        sl_console_say(loc->con, SL_INFO, "hint: %s", err->hint);
    if (err->code == SL_E_ENV && err->path[0] == '/')
        sl_console_name(loc->con, SL_INFO, "the installer's whole log: %s", err->path);
    if (err->code == SL_E_TIMEOUT)
        print_tail(loc);
    return sl_strdup(err->text);
}

char *
sl_report_reason(struct sl_local *loc, const struct sl_failure *f, const struct sl_err *err)
{
    if (err->code == SL_E_CONNECTOR && f != NULL && f->died && loc->child != NULL)
        return report_death(loc);
    if (err->code == SL_E_CONNECTOR && f != NULL && !f->died &&
        (f->message != NULL || f->type != NULL))
        return report_connector(loc, f);
    return report_other(loc, err);
}

int
sl_report_failure(struct sl_local *loc, const struct sl_session_result *res,
                  const struct sl_err *err)
{
    char *reason = sl_report_reason(loc, res ? &res->failure : NULL, err), count[32];

    if (res != NULL &&
        (res->counts.commits > 0 || res->counts.bytes > 0 || res->counts.checkpoints > 0))
        print_counts(loc, res);
    if (res != NULL && res->rows_discarded) {
        sl_group_digits(res->discarded, count);
        sl_console_name(loc->con, SL_WARNING,
                        "%s operations after the last checkpoint were discarded; the next run "
                        "continues from that checkpoint",
                        count);
    }
    sl_console_say(loc->con, SL_SEVERE, "Sync FAILED: %s", reason);
    free(reason);
    return sl_exit_code(err->code);
}
