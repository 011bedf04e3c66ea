/* What a sync counted: that the counts agree, and what is told of each table. */
#include "base/time.h"
#include "engine/sync.h"

void
sl_row_counts_add(struct sl_row_counts *n, const struct sl_row_counts *more)
{
    n->inserted += more->inserted;
    n->updated += more->updated;
    n->deleted += more->deleted;
    n->truncated += more->truncated;
    n->unchanged += more->unchanged;
    n->missed += more->missed;
    n->duplicates += more->duplicates;
    n->replaced += more->replaced;
}

sl_rc
sl_report_check(const struct sl_sync *s, struct sl_err *err)
{
    const struct sl_counts *n = s->n;
    uint64_t read = n->upserts + n->updates + n->deletes;
    uint64_t became = n->inserted + n->updated + n->deleted - n->truncated + n->unchanged +
                      n->missed + n->duplicates + n->filtered;

    if (read == became)
        return 0;
    return sl_fail(err, SL_E_INTERNAL,
                   "the engine read %llu operations, %llu are accounted for: %llu inserted, %llu "
                   "updated, %llu deleted (%llu by truncates), %llu unchanged, %llu missed, %llu "
                   "duplicates, %llu filtered",
                   (unsigned long long)read, (unsigned long long)became,
                   (unsigned long long)n->inserted, (unsigned long long)n->updated,
                   (unsigned long long)n->deleted, (unsigned long long)n->truncated,
                   (unsigned long long)n->unchanged, (unsigned long long)n->missed,
                   (unsigned long long)n->duplicates, (unsigned long long)n->filtered);
}

/* Distinct keys changed. One slice has each key once; over several only the destination knows. */
static uint64_t
count_active(struct sl_sync *s, const struct sl_table *t, bool *exact)
{
    const struct sl_row_counts *n = &t->tally.rows;
    uint64_t rows;

    *exact = true;
    if (t->tally.slices < 2)
        return n->inserted + n->updated + n->deleted;
    if (s->dest->ops->changed_since != NULL &&
        s->dest->ops->changed_since(s->dest, t, s->first_commit_us, &rows, NULL) == 0)
        return rows;
    *exact = false;
    return n->inserted + n->updated + n->deleted;
}

void
sl_report_tables(struct sl_sync *s)
{
    const struct sl_sink *sink = s->conf->sink;

    if (sink->table == NULL)
        return;
    for (int i = 0; i < s->cat.ntables; i++) {
        const struct sl_table *t = s->cat.tables[i];
        struct sl_table_report r = {
            .source_schema = t->source_schema,
            .source = t->source,
            .schema = t->schema,
            .name = t->name,
            .upserts = t->tally.upserts,
            .updates = t->tally.updates,
            .deletes = t->tally.deletes,
            .truncates = t->tally.truncates,
            .rows = t->tally.rows,
            .filtered = t->tally.filtered,
            .filtered_cells = t->tally.filtered_cells,
        };

        if (!t->tally.named)
            continue;
        r.active = count_active(s, t, &r.exact);
        sink->table(sink->ctx, &r);
    }
}

void
sl_report_catalog(struct sl_sync *s)
{
    if (s->conf->sink->catalog != NULL)
        s->conf->sink->catalog(s->conf->sink->ctx, &s->cat);
}
