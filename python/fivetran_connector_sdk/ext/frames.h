/* frames.h - the C encoder of the frame protocol (docs/protocol.md): what its files share.
 *
 * _frames.c   module, its state, constants
 * encoder.c   the Encoder type: operations
 * args.c      their arguments
 * io.c        buffer, lock, socket, frames
 * shapes.c    tables and shapes: from names to numbers, once per shape
 * cells.c     Python values to cells: the common exact types
 * json.c      JSON text
 * text.c      numbers and dates from and to text
 *
 * The reference is _frames.py and _values.py. Whatever is not handled here, and every error, goes to
 * Column.cell() in _values.py: both encoders then say the same, byte for byte. Results are:
 *   0          done
 *   -1         a Python exception is set
 *   SL_SLOW    nothing is set and nothing is written: let Python do it
 *
 * Threads: the interpreter lock protects everything. The Encoder's own lock (sl_enter, sl_leave)
 * keeps one row whole while Python code runs in its middle or the socket blocks.
 *
 * Compiled against the stable ABI of 3.10 (Py_LIMITED_API), or without it for 3.9.
 */
#ifndef SLUICE_FRAMES_H
#define SLUICE_FRAMES_H

#define PY_SSIZE_T_CLEAN
#include <Python.h>

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#pragma GCC visibility push(hidden)

#define SL_LIKELY(x) __builtin_expect(!!(x), 1)
#define SL_UNLIKELY(x) __builtin_expect(!!(x), 0)

enum { SL_SLOW = 1 };

enum sl_frame {
    FRAME_TABLE = 3,
    FRAME_SHAPE,
    FRAME_UPSERT,
    FRAME_UPDATE,
    FRAME_DELETE,
    FRAME_TRUNCATE,
    FRAME_CHECKPOINT,
    FRAME_LOG,
};

enum sl_cell {
    CELL_NULL,
    CELL_FALSE,
    CELL_TRUE,
    CELL_LONG,
    CELL_DOUBLE,
    CELL_STRING,
    CELL_BINARY,
    CELL_JSON,
    CELL_BIGINT,
    CELL_DECIMAL,
    CELL_DATE,
    CELL_NAIVE,
    CELL_UTC,
    CELL_ABSENT,
};

/* Order of KINDS in _protocol.py. */
enum sl_kind {
    KIND_UNDECLARED,
    KIND_BOOLEAN,
    KIND_SHORT,
    KIND_INT,
    KIND_LONG,
    KIND_DECIMAL,
    KIND_FLOAT,
    KIND_DOUBLE,
    KIND_NAIVE_DATE,
    KIND_NAIVE_DATETIME,
    KIND_UTC_DATETIME,
    KIND_BINARY,
    KIND_XML,
    KIND_STRING,
    KIND_JSON,
};

enum {
    SL_FRAME_MAX = 1 << 30,
    SL_VALUE_MAX = SL_FRAME_MAX - 4096, /* as _values.py: the row's other cells need room too */
    SL_SHAPES_MAX = 1000,
    SL_DEPTH_MAX = 512,
    SL_CHUNK =
        256 << 10, /* one write: large enough to forget the call, small enough for the cache */
    SL_DURABLE = 1,
    SL_NOTE_LEVEL = 4 | 1 << 8, /* WARNING, from the library */
};

/* ---------------------------------------------------------------- growing bytes */

struct sl_out {
    uint8_t *ptr;
    size_t len, cap;
};

/* Make room for `need` more bytes. The ceiling is four frames: a socket's buffer never holds two, and
 * a test that keeps all bytes should find out. */
int sl_out_grow(struct sl_out *out, size_t need);

static inline int
sl_need(struct sl_out *out, size_t need)
{
    return SL_LIKELY(out->cap - out->len >= need) ? 0 : sl_out_grow(out, need);
}

/* The sl_put functions trust that sl_need() was asked. */
static inline void
sl_put8(struct sl_out *out, unsigned value)
{
    out->ptr[out->len++] = (uint8_t)value;
}

static inline void
sl_put32(struct sl_out *out, uint32_t value)
{
    memcpy(out->ptr + out->len, &value, sizeof(value));
    out->len += sizeof(value);
}

static inline void
sl_put64(struct sl_out *out, uint64_t value)
{
    memcpy(out->ptr + out->len, &value, sizeof(value));
    out->len += sizeof(value);
}

static inline void
sl_put(struct sl_out *out, const void *data, size_t size)
{
    memcpy(out->ptr + out->len, data, size);
    out->len += size;
}

/* ---------------------------------------------------------------- module state */

/* Every Python object the module keeps. Names are interned, so keywords are found by address. */
/* clang-format off */
#define SL_NAMES(X) \
    X(table) X(data) X(schema) X(file) X(modified) X(keys) X(state) X(durable) \
    X(cell) X(check_text) X(column) X(plain) X(key_text) X(names) X(missing_keys) \
    X(refuse_without_keys) X(name) X(kind) X(precision) X(scale) X(is_key) X(label) X(tally) \
    X(notes) X(rounded) X(cut) X(replaced) X(tzinfo) X(days) X(seconds) X(microseconds) X(toordinal)

#define SL_OBJECTS(X) \
    X(check_data) X(refuse_file) X(state_text) X(state_plain) X(state_key) X(datetime_type) \
    X(date_type) X(decimal_type) X(epoch) X(epoch_utc) X(empty) X(encoder_type)
/* clang-format on */

struct sl_state {
#define X(name) PyObject *s_##name;
    SL_NAMES(X)
#undef X
#define X(name) PyObject *name;
    SL_OBJECTS(X)
#undef X
};

/* ---------------------------------------------------------------- tables and shapes */

struct sl_column {
    PyObject *key;    /* owned; the key of the first row: usually the same object in the next one */
    PyObject *column; /* owned; _values.Column */
    uint8_t kind;
    bool is_key;
    bool check_text; /* strings are still looked at for double encoding */
    int precision, scale;
};

struct sl_shape {
    uint32_t id;
    bool keyless; /* a declared key column is missing: no update, no delete */
    bool is_union;
    Py_ssize_t count;
    struct sl_column columns[];
};

enum { SL_RECENT_SHAPES = 4, SL_RECENT_TABLES = 8 };

struct sl_table {
    uint32_t id;
    PyObject *table;       /* owned; _catalog.Table */
    PyObject *shapes_dict; /* owned; {names: index} */
    struct sl_shape **shapes;
    size_t shape_count, shape_cap;
    struct sl_shape *union_shape;
    PyObject *union_set;                       /* owned or NULL; columns of union_shape */
    struct sl_shape *recent[SL_RECENT_SHAPES]; /* the last one first */
    size_t plain_shapes;                       /* all but unions */
};

struct sl_recent_table {
    PyObject *schema, *name; /* owned; schema NULL: none */
    struct sl_table *table;
};

struct sl_encoder {
    PyObject_HEAD struct sl_state *st;
    struct sl_out out;
    PyObject *catalog, *tally, *notes, *on_stop, *on_durable; /* owned */
    PyObject *known;                                          /* owned; {Table: index} */
    struct sl_table **tables;
    size_t table_count, table_cap;
    struct sl_recent_table recent[SL_RECENT_TABLES];
    unsigned recent_next;
    uint32_t shape_count;
    int fd;
    int stop; /* 1: the next operation ends the run, 2: the next checkpoint does */
    int log_level;
    bool durable;
    bool called; /* Python saw a value of this row, so there may be notes */
    uint64_t counts[5];
    uint64_t cut, replaced;
    bool busy;
    unsigned long owner;
    int waiting;
    PyThread_type_lock wake;
    bool wake_held;
};

/* encoder.c */
extern PyType_Spec sl_encoder_spec;

/* io.c */
/* One thread at a time; the same thread twice is an error, as is a signal's exception while it waits. */
int sl_enter(struct sl_encoder *enc);
void sl_leave(struct sl_encoder *enc);
/* Write everything, without the interpreter lock. */
int sl_flush(struct sl_encoder *enc);
/* Let Python raise what ends the run. Always -1. */
int sl_call_on_stop(struct sl_encoder *enc);
/* Begin a frame; returns the place of its payload, 0 with an exception. */
size_t sl_frame_begin(struct sl_encoder *enc, unsigned kind, uint32_t id);
int sl_frame_end(struct sl_encoder *enc, size_t at);
int sl_frame_put(struct sl_encoder *enc, unsigned kind, uint32_t id, const char *data, size_t size);
/* Send the warnings that Python left while it read a row. */
int sl_send_notes(struct sl_encoder *enc);

static inline int
sl_flush_full(struct sl_encoder *enc)
{
    return SL_UNLIKELY(enc->out.len >= SL_CHUNK) ? sl_flush(enc) : 0;
}

/* args.c */
/* The parameters of an operation, in the order of the array they go to: the positional ones first. */
struct sl_signature {
    const char *function;
    size_t names[4]; /* offsets in sl_state */
    int count, positional, required;
};

int sl_args(const struct sl_encoder *enc, const struct sl_signature *sig, PyObject *const *given,
            Py_ssize_t count, PyObject *keywords, PyObject **args);

/* shapes.c: borrowed results, NULL with an exception */
struct sl_table *sl_table_get(struct sl_encoder *enc, PyObject *schema, PyObject *name);
struct sl_shape *sl_shape_find(struct sl_encoder *enc, struct sl_table *table, PyObject *row);
bool sl_shape_fits(const struct sl_shape *shape, PyObject *row, Py_ssize_t pos, Py_ssize_t from);
void sl_tables_free(struct sl_encoder *enc);

static inline bool
sl_same_name(PyObject *left, PyObject *right)
{
    return left == right || (PyUnicode_Check(left) && PyUnicode_Compare(left, right) == 0);
}

/* cells.c */
int sl_cell_fast(struct sl_encoder *enc, struct sl_column *col, PyObject *value);
int sl_cell_slow(struct sl_encoder *enc, struct sl_column *col, PyObject *value);

/* json.c */
struct sl_json {
    struct sl_state *st;
    struct sl_out *out;
    PyObject *column;   /* borrowed; NULL: checkpoint state, where only json.dumps's types pass */
    uint64_t *replaced; /* NaN and infinities written as null */
    bool called;        /* Python code ran */
};
int sl_json_write(struct sl_json *json, PyObject *value, int depth);

/* text.c: write at most SL_NUMBER_MAX bytes and return how many, or -1 with an exception */
enum { SL_NUMBER_MAX = 40 };
int sl_i64_text(int64_t value, char *to);
int sl_float_text(double value, char *to);
/* Text to values; false: not in the simple form that is understood here. */
bool sl_parse_i64(const char *text, size_t size, int64_t *value);
struct sl_instant {
    int64_t days, micros; /* since the epoch; of the day */
    int64_t offset;       /* of the zone, in seconds */
    bool cut;
};
bool sl_parse_iso(const char *text, size_t size, struct sl_instant *when);

/* Length of the plain decimal text that fits DECIMAL(precision, scale), maybe shorter by zeros; 0: Python decides. */
size_t sl_decimal_fit(const char *text, size_t size, int precision, int scale);
bool sl_is_plain_decimal(const char *text, size_t size);

/* An error that Python code of ours will say better: clear it unless it is not an Exception at all. */
int sl_give_up(void);

#pragma GCC visibility pop
#endif
