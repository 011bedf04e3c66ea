/* schema.h - tables and columns of one connection: source names, destination names, types, keys.
 *
 * A catalog is read from the destination when a session starts, grows as schema() and the rows name new things, and is
 * written back with each commit. Source names map to destination names for good: the mapping is stored.
 * Ownership: the catalog owns its tables, a table its columns; pointers to both stay valid until sl_catalog_free().
 * Threads: one session.
 */
#ifndef SL_MODEL_SCHEMA_H
#define SL_MODEL_SCHEMA_H

#include "base/buf.h"
#include "base/map.h"
#include "model/type.h"

/* System columns; a source column may not take their names. */
#define SL_COL_ID "_fivetran_id"
#define SL_COL_SYNCED "_fivetran_synced"
#define SL_COL_DELETED "_fivetran_deleted"
/* Bookkeeping schema of the destination. */
#define SL_SCHEMA "_sluice"

/* Columns of one table: what a destination can be asked to hold and a shape's cells to be decoded into. */
#define SL_COLUMNS_MAX 10000

/* What became of calls in the destination. */
struct sl_row_counts {
    uint64_t inserted, updated, deleted, truncated, unchanged, missed, duplicates;
    uint64_t replaced; /* values the destination cannot keep as they are */
};

/* What a session counts for one table (engine/session.h explains the words). */
struct sl_tally {
    uint64_t upserts, updates, deletes, truncates, filtered, filtered_cells;
    struct sl_row_counts rows;    /* committed */
    struct sl_row_counts pending; /* in the running transaction */
    uint64_t slices;              /* that changed a row, committed; more than one may share keys */
    uint64_t pending_slices;
    bool named; /* by a TABLE frame of this session */
};

struct sl_column {
    char *source;           /* as the author wrote it; "" for _fivetran_id */
    char *name;             /* in the destination */
    struct sl_coltype type; /* as stored now; SL_T_NONE: not created yet */
    struct sl_coltype next; /* as it will be after the running commit */
    bool declared;          /* by schema(): `next` is fixed */
    bool was_declared;      /* by the schema() of the sync that stored it */
    char *row_name;         /* its source name as rows spell it; NULL: only schema() has named it */
    bool updated;           /* given by some staged UPDATE */
    bool excluded;          /* not wanted: its values are dropped. Never a key column */
    bool told;              /* … and the log says so */
    int key;                /* position in the key, or -1 */
    struct sl_seen seen;    /* values staged since the last commit */
};

struct sl_table {
    char *source_schema; /* "" for none */
    char *source;
    char *schema, *name; /* in the destination */
    struct sl_column **columns;
    int ncolumns;
    int *keys; /* column indexes in key order */
    int nkeys;
    bool keyless;  /* its key is _fivetran_id, column 0 */
    bool declared; /* named by schema() in this session */
    bool created;  /* exists in the destination */
    bool ours;     /* … since a commit of this session */
    bool saved;    /* the destination's catalog has it */
    bool dirty;    /* something about it is not written to the destination's catalog yet */
    bool excluded; /* not wanted: its rows are dropped, it is not created */
    struct sl_map by_source; /* column source name → index */
    struct sl_map by_name;   /* folded destination name → index + 1; 0: reserved */
    struct sl_stage *stage;  /* the engine's; NULL outside it */
    struct sl_tally tally;   /* the engine's */
};

struct sl_catalog {
    char *prefix; /* "tester": the schema of tables without one */
    bool fivetran_naming;
    size_t name_max;      /* bytes of a name in this destination */
    const char *reserved; /* column names it keeps for itself: "ctid|xmin"; NULL: none */
    struct sl_table **tables;
    int ntables;
    struct sl_map by_source; /* schema NUL table → index */
    struct sl_map
        by_name; /* folded schema NUL folded table → index; NUL nothing: a table of that schema */
};

void sl_catalog_init(struct sl_catalog *cat, const char *prefix, bool fivetran_naming,
                     size_t name_max);
void sl_catalog_free(struct sl_catalog *cat);

/* The table with these source names, or NULL. `schema` may be empty. */
struct sl_table *sl_catalog_find(const struct sl_catalog *cat, struct sl_bytes schema,
                                 struct sl_bytes table);
/* Adds one that is not there. *renamed tells that its name collided with another's and got a suffix. */
struct sl_table *sl_catalog_add(struct sl_catalog *cat, struct sl_bytes schema,
                                struct sl_bytes table, bool *renamed);
/* Adds one as the destination has it, all names given. */
struct sl_table *sl_catalog_restore(struct sl_catalog *cat, const char *source_schema,
                                    const char *source, const char *schema, const char *name);

/* Index of the column with this source name, or -1. */
int sl_table_find(const struct sl_table *t, struct sl_bytes source);
/* Adds a column that is not there; returns its index. */
int sl_table_add(const struct sl_catalog *cat, struct sl_table *t, struct sl_bytes source,
                 bool *renamed);
/* row_name may be NULL. */
int sl_table_restore(struct sl_table *t, const char *source, const char *row_name, const char *name,
                     struct sl_coltype type, bool declared);
/* The column a differently spelled source name means: one that only schema() named so far and whose destination name is the
 * same. -1 if there is none. */
int sl_table_alias(const struct sl_catalog *cat, struct sl_table *t, struct sl_bytes source);
/* A row names column i by this source name. */
void sl_table_in_rows(struct sl_table *t, int i, struct sl_bytes source);
/* Appends column i to the key. */
void sl_table_key(struct sl_table *t, int i);
/* Works out the key of a restored table from its columns' positions in it. */
void sl_table_settle_keys(struct sl_table *t);
/* Makes a table without a key keyed by _fivetran_id. */
void sl_table_keyless(struct sl_table *t);

#endif
