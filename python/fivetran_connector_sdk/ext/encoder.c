/* encoder.c - the Encoder type: the operations, and what the run asks of it. */
#include "frames.h"

#include <stddef.h>
#include <stdlib.h>

#define NAME(name) offsetof(struct sl_state, s_##name)

/* -------------------------------------------------------------------- rows */

static inline bool
is_container(PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);

    return type == &PyDict_Type || type == &PyList_Type || type == &PyTuple_Type;
}

/* Write the value of the column before `next`. SL_SLOW: the rest of the row has other columns.
 *
 * What Python counts and says for a value must happen once. So before it first sees one, all keys are compared. */
static int
put_value(struct sl_encoder *enc, struct sl_shape *shape, Py_ssize_t next, PyObject *value,
          PyObject *row, Py_ssize_t pos, bool *verified)
{
    struct sl_column *col = &shape->columns[next - 1];
    int rc = SL_SLOW;

    if (SL_LIKELY(!is_container(value))) {
        rc = sl_cell_fast(enc, col, value);
        if (SL_LIKELY(rc != SL_SLOW))
            return rc;
    }
    if (!*verified && !sl_shape_fits(shape, row, pos, next))
        return SL_SLOW;
    *verified = true;
    if (is_container(value))
        rc = sl_cell_fast(enc, col, value);
    return rc == SL_SLOW ? sl_cell_slow(enc, col, value) : rc;
}

/* Write the cells of a row of this shape. SL_SLOW: it has another shape. */
static int
put_cells(struct sl_encoder *enc, struct sl_shape *shape, PyObject *row)
{
    Py_ssize_t pos = 0, next = 0;
    PyObject *key, *value;
    bool verified = false;
    int rc;

    while (PyDict_Next(row, &pos, &key, &value)) {
        if (SL_UNLIKELY(next == shape->count))
            return SL_SLOW;
        if (SL_UNLIKELY(key != shape->columns[next].key) &&
            !sl_same_name(key, shape->columns[next].key))
            return SL_SLOW;
        /* str() of a value may change the row, so the row must not own the value alone. */
        Py_INCREF(value);
        rc = put_value(enc, shape, ++next, value, row, pos, &verified);
        Py_DECREF(value);
        if (SL_UNLIKELY(rc))
            return rc;
    }
    return next == shape->count ? 0 : SL_SLOW;
}

static int
put_union_cells(struct sl_encoder *enc, struct sl_shape *shape, PyObject *row)
{
    for (Py_ssize_t i = 0; i < shape->count; i++) {
        struct sl_column *col = &shape->columns[i];
        PyObject *value = PyDict_GetItemWithError(row, col->key);
        int rc;

        if (value) {
            Py_INCREF(value);
            rc = sl_cell_fast(enc, col, value);
            if (rc == SL_SLOW)
                rc = sl_cell_slow(enc, col, value);
            Py_DECREF(value);
        } else {
            rc = PyErr_Occurred() || sl_need(&enc->out, 1) ? -1 : 0;
            if (!rc)
                sl_put8(&enc->out, CELL_ABSENT);
        }
        if (rc)
            return -1;
    }
    return 0;
}

/* An update or delete must name its row. */
static int
check_keys(struct sl_encoder *enc, struct sl_table *table, struct sl_shape *shape, PyObject *row,
           unsigned kind)
{
    PyObject *missing, *word, *result;
    bool keyless = shape->keyless;

    if (shape->is_union) {
        missing = PyObject_CallMethodObjArgs(table->table, enc->st->s_missing_keys, row, NULL);
        if (!missing)
            return -1;
        keyless = PyList_Size(missing) > 0;
        Py_DECREF(missing);
    }
    if (!keyless)
        return 0;
    word = PyUnicode_FromString(kind == FRAME_UPDATE ? "update" : "delete");
    result = word ? PyObject_CallMethodObjArgs(table->table, enc->st->s_refuse_without_keys, word,
                                               row, NULL)
                  : NULL;
    Py_XDECREF(word);
    Py_XDECREF(result);
    return -1;
}

static int
end_row(struct sl_encoder *enc, struct sl_table *table, size_t at)
{
    size_t size = enc->out.len - at;
    PyObject *label;

    if (SL_LIKELY(size <= SL_FRAME_MAX))
        return sl_frame_end(enc, at);
    label = PyObject_GetAttr(table->table, enc->st->s_label);
    if (label)
        PyErr_Format(PyExc_ValueError,
                     "%U: a row of %zu bytes is larger than a frame may be (1 GiB)", label, size);
    Py_XDECREF(label);
    return -1;
}

static int
put_row(struct sl_encoder *enc, struct sl_table *table, unsigned kind, PyObject *row)
{
    struct sl_shape *shape = table->recent[0];
    uint64_t cut = enc->cut;
    size_t at = 0;
    int rc = SL_SLOW;

    if (SL_LIKELY(shape != NULL) && SL_LIKELY(kind == FRAME_UPSERT || !shape->keyless)) {
        at = sl_frame_begin(enc, kind, shape->id);
        rc = at ? put_cells(enc, shape, row) : -1;
    }
    if (SL_UNLIKELY(rc == SL_SLOW)) {
        if (at)
            enc->out.len = at - 8;
        at = 0;
        enc->cut = cut;
        shape = sl_shape_find(enc, table, row);
        if (!shape || (kind != FRAME_UPSERT && check_keys(enc, table, shape, row, kind)))
            return -1;
        at = sl_frame_begin(enc, kind, shape->id);
        rc = !at               ? -1
             : shape->is_union ? put_union_cells(enc, shape, row)
                               : put_cells(enc, shape, row);
    }
    if (SL_UNLIKELY(rc == SL_SLOW))
        PyErr_SetString(PyExc_RuntimeError, "the row changed while it was read");
    if (SL_UNLIKELY(rc) || end_row(enc, table, at)) {
        if (at)
            enc->out.len = at - 8;
        return -1;
    }
    enc->counts[kind - FRAME_UPSERT]++;
    return 0;
}

/* A row that is not a plain dict, or a file: rare enough for Python. */
static PyObject *
check_row(struct sl_encoder *enc, struct sl_table *table, PyObject *data, PyObject *file)
{
    PyObject *label = PyObject_GetAttr(table->table, enc->st->s_label), *result = NULL;

    if (label && file && file != Py_None)
        result = PyObject_CallFunctionObjArgs(enc->st->refuse_file, label, NULL);
    else if (label)
        result = PyObject_CallFunctionObjArgs(enc->st->check_data, label, data, NULL);
    Py_XDECREF(label);
    return result;
}

static int
row_locked(struct sl_encoder *enc, unsigned kind, PyObject **args)
{
    PyObject *data = args[1], *made = NULL;
    struct sl_table *table;
    int rc;

    if (SL_UNLIKELY(enc->stop == 1))
        return sl_call_on_stop(enc);
    table = sl_table_get(enc, args[2], args[0]);
    if (!table)
        return -1;
    if (SL_UNLIKELY(Py_TYPE(data) != &PyDict_Type) || SL_UNLIKELY(args[3] && args[3] != Py_None)) {
        data = made = check_row(enc, table, data, args[3]);
        if (!made)
            return -1;
    }
    rc = put_row(enc, table, kind, data);
    Py_XDECREF(made);
    if (SL_LIKELY(!rc) && SL_UNLIKELY(enc->called))
        rc = sl_send_notes(enc);
    return rc ? rc : sl_flush_full(enc);
}

static inline PyObject *
nothing(const struct sl_encoder *enc)
{
    Py_INCREF(enc->st->empty);
    return enc->st->empty;
}

static PyObject *
row_operation(PyObject *self, const struct sl_signature *sig, unsigned kind, PyObject *const *given,
              Py_ssize_t count, PyObject *keywords)
{
    struct sl_encoder *enc = (struct sl_encoder *)self;
    PyObject *args[4] = { NULL, NULL, NULL, NULL };
    int rc;

    if (sl_args(enc, sig, given, count, keywords, args) || sl_enter(enc))
        return NULL;
    rc = row_locked(enc, kind, args);
    sl_leave(enc);
    return rc ? NULL : nothing(enc);
}

static PyObject *
encoder_upsert(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const struct sl_signature sig = {
        "upsert", { NAME(table), NAME(data), NAME(schema), NAME(file) }, 4, 2, 2
    };

    return row_operation(self, &sig, FRAME_UPSERT, given, count, keywords);
}

static PyObject *
encoder_update(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const struct sl_signature sig = {
        "update", { NAME(table), NAME(modified), NAME(schema), NAME(file) }, 4, 2, 2
    };

    return row_operation(self, &sig, FRAME_UPDATE, given, count, keywords);
}

static PyObject *
encoder_delete(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const struct sl_signature sig = {
        "delete", { NAME(table), NAME(keys), NAME(schema) }, 3, 2, 2
    };

    return row_operation(self, &sig, FRAME_DELETE, given, count, keywords);
}

/* -------------------------------------------------------------------- truncate, checkpoint */

static int
truncate_locked(struct sl_encoder *enc, PyObject *name, PyObject *schema)
{
    struct sl_table *table;

    if (enc->stop == 1)
        return sl_call_on_stop(enc);
    table = sl_table_get(enc, schema, name);
    if (!table || sl_frame_put(enc, FRAME_TRUNCATE, table->id, "", 0))
        return -1;
    enc->counts[FRAME_TRUNCATE - FRAME_UPSERT]++;
    return sl_flush_full(enc);
}

static PyObject *
encoder_truncate(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const struct sl_signature sig = { "truncate", { NAME(table), NAME(schema) }, 2, 1, 1 };
    struct sl_encoder *enc = (struct sl_encoder *)self;
    PyObject *args[4] = { NULL, NULL, NULL, NULL };
    int rc;

    if (sl_args(enc, &sig, given, count, keywords, args) || sl_enter(enc))
        return NULL;
    rc = truncate_locked(enc, args[0], args[1]);
    sl_leave(enc);
    return rc ? NULL : nothing(enc);
}

/* Write the state's JSON; what is not written here, Python refuses or writes. */
static int
put_state(struct sl_encoder *enc, PyObject *state)
{
    struct sl_json json = { enc->st, &enc->out, NULL, NULL, false };
    size_t at = enc->out.len;
    PyObject *text;
    const char *utf8;
    Py_ssize_t size;
    int rc = PyDict_Check(state) ? sl_json_write(&json, state, 0) : SL_SLOW;

    if (rc != SL_SLOW)
        return rc;
    enc->out.len = at;
    rc = -1;
    text = PyObject_CallFunctionObjArgs(enc->st->state_text, state, NULL);
    if (!text)
        return -1;
    utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    if (utf8 && !sl_need(&enc->out, (size_t)size)) {
        sl_put(&enc->out, utf8, (size_t)size);
        rc = 0;
    }
    Py_DECREF(text);
    return rc;
}

static int
checkpoint_locked(struct sl_encoder *enc, PyObject *state, bool durable)
{
    size_t at;

    if (enc->stop == 1)
        return sl_call_on_stop(enc);
    at = sl_frame_begin(enc, FRAME_CHECKPOINT, durable ? SL_DURABLE : 0);
    if (!at)
        return -1;
    if (put_state(enc, state) || sl_frame_end(enc, at)) {
        enc->out.len = at - 8;
        return -1;
    }
    enc->counts[FRAME_CHECKPOINT - FRAME_UPSERT]++;
    if (sl_flush(enc))
        return -1;
    if (enc->stop != 2)
        return 0;
    enc->stop = 1;
    return sl_call_on_stop(enc);
}

static PyObject *
encoder_checkpoint(PyObject *self, PyObject *const *given, Py_ssize_t count, PyObject *keywords)
{
    static const struct sl_signature sig = {
        "checkpoint", { NAME(state), NAME(durable) }, 2, 2, 1
    };
    struct sl_encoder *enc = (struct sl_encoder *)self;
    PyObject *args[4] = { NULL, NULL, NULL, NULL }, *number, *result;
    unsigned long long at;
    int rc, durable;

    if (sl_args(enc, &sig, given, count, keywords, args))
        return NULL;
    durable = args[1] ? PyObject_IsTrue(args[1]) : 0;
    if (durable < 0 || sl_enter(enc))
        return NULL;
    durable |= enc->durable;
    rc = checkpoint_locked(enc, args[0], durable);
    at = enc->counts[FRAME_CHECKPOINT - FRAME_UPSERT];
    sl_leave(enc);
    if (rc)
        return NULL;
    if (durable) {
        number = PyLong_FromUnsignedLongLong(at);
        result = number ? PyObject_CallFunctionObjArgs(enc->on_durable, number, NULL) : NULL;
        Py_XDECREF(number);
        if (!result)
            return NULL;
        Py_DECREF(result);
    }
    return nothing(enc);
}

/* -------------------------------------------------------------------- the run's side */

static PyObject *
encoder_frame(PyObject *self, PyObject *args)
{
    struct sl_encoder *enc = (struct sl_encoder *)self;
    int kind;
    unsigned int id;
    const char *data;
    Py_ssize_t size;
    size_t start;
    int rc;

    if (!PyArg_ParseTuple(args, "iIy#:frame", &kind, &id, &data, &size) || sl_enter(enc))
        return NULL;
    start = enc->out.len;
    rc = sl_frame_put(enc, (unsigned)kind, id, data, (size_t)size);
    if (rc)
        enc->out.len = start;
    else
        rc = sl_flush(enc);
    sl_leave(enc);
    if (rc)
        return NULL;
    Py_RETURN_NONE;
}

static int
set_catalog(struct sl_encoder *enc, PyObject *catalog)
{
    PyObject *tally = PyObject_GetAttr(catalog, enc->st->s_tally), *notes;

    if (!tally)
        return -1;
    notes = PyObject_GetAttr(tally, enc->st->s_notes);
    if (!notes) {
        Py_DECREF(tally);
        return -1;
    }
    Py_INCREF(catalog);
    Py_XDECREF(enc->catalog);
    Py_XDECREF(enc->tally);
    Py_XDECREF(enc->notes);
    enc->catalog = catalog;
    enc->tally = tally;
    enc->notes = notes;
    return 0;
}

static PyObject *
encoder_configure(PyObject *self, PyObject *args)
{
    struct sl_encoder *enc = (struct sl_encoder *)self;
    PyObject *catalog;
    int durable, log_level, rc;

    if (!PyArg_ParseTuple(args, "Opi:configure", &catalog, &durable, &log_level) || sl_enter(enc))
        return NULL;
    enc->durable = durable;
    enc->log_level = log_level;
    rc = set_catalog(enc, catalog);
    sl_leave(enc);
    if (rc)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
encoder_cancel(PyObject *self, PyObject *when)
{
    /* No lock: it must not wait for a row that is being sent, and is called in signal handlers. */
    ((struct sl_encoder *)self)->stop = (int)PyLong_AsLong(when);
    if (PyErr_Occurred())
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
encoder_flush(PyObject *self, PyObject *unused)
{
    struct sl_encoder *enc = (struct sl_encoder *)self;
    int rc;

    (void)unused;
    if (sl_enter(enc))
        return NULL;
    rc = sl_flush(enc);
    sl_leave(enc);
    if (rc)
        return NULL;
    Py_RETURN_NONE;
}

static PyObject *
encoder_take(PyObject *self, PyObject *unused)
{
    struct sl_encoder *enc = (struct sl_encoder *)self;
    PyObject *bytes;

    (void)unused;
    if (sl_enter(enc))
        return NULL;
    bytes = PyBytes_FromStringAndSize((const char *)enc->out.ptr, (Py_ssize_t)enc->out.len);
    if (bytes)
        enc->out.len = 0;
    sl_leave(enc);
    return bytes;
}

/* The Python side's count of something, plus ours. */
static int
add_count(struct sl_encoder *enc, PyObject *counts, PyObject *name, uint64_t ours)
{
    PyObject *theirs = PyObject_GetAttr(enc->tally, name), *sum;
    int rc = -1;

    if (!theirs)
        return -1;
    sum = PyLong_FromUnsignedLongLong(ours + PyLong_AsUnsignedLongLong(theirs));
    if (sum && !PyErr_Occurred())
        rc = PyDict_SetItem(counts, name, sum);
    Py_DECREF(theirs);
    Py_XDECREF(sum);
    return rc;
}

static PyObject *
encoder_counts(PyObject *self, PyObject *unused)
{
    static const char *const names[] = { "upserts", "updates", "deletes", "truncates",
                                         "checkpoints" };
    struct sl_encoder *enc = (struct sl_encoder *)self;
    PyObject *counts = PyDict_New();
    int rc = counts ? 0 : -1;

    (void)unused;
    for (int i = 0; i < 5 && !rc; i++) {
        PyObject *number = PyLong_FromUnsignedLongLong(enc->counts[i]);

        rc = number ? PyDict_SetItemString(counts, names[i], number) : -1;
        Py_XDECREF(number);
    }
    if (rc || add_count(enc, counts, enc->st->s_rounded, 0) ||
        add_count(enc, counts, enc->st->s_cut, enc->cut) ||
        add_count(enc, counts, enc->st->s_replaced, enc->replaced)) {
        Py_XDECREF(counts);
        return NULL;
    }
    return counts;
}

static PyObject *
encoder_dirty(PyObject *self, void *unused)
{
    (void)unused;
    return PyBool_FromLong(((struct sl_encoder *)self)->out.len > 0);
}

/* -------------------------------------------------------------------- life */

static PyObject *
encoder_new(PyTypeObject *type, PyObject *args, PyObject *keywords)
{
    allocfunc alloc = (allocfunc)PyType_GetSlot(type, Py_tp_alloc);
    struct sl_encoder *enc = (struct sl_encoder *)alloc(type, 0);
    PyObject *catalog;

    if (!enc)
        return NULL;
    enc->fd = -1;
    enc->st = PyType_GetModuleState(type);
    enc->known = PyDict_New();
    enc->wake = PyThread_allocate_lock();
    if (!enc->st || !enc->known || !enc->wake || (keywords && PyDict_Size(keywords)) ||
        !PyArg_ParseTuple(args, "iOOO:Encoder", &enc->fd, &catalog, &enc->on_stop,
                          &enc->on_durable)) {
        /* Borrowed until here. */
        enc->on_stop = enc->on_durable = NULL;
        if (!PyErr_Occurred())
            PyErr_SetString(PyExc_TypeError, "Encoder() takes no keywords, or memory is short");
        goto fail;
    }
    PyThread_acquire_lock(enc->wake, WAIT_LOCK);
    enc->wake_held = true;
    Py_INCREF(enc->on_stop);
    Py_INCREF(enc->on_durable);
    if (set_catalog(enc, catalog))
        goto fail;
    return (PyObject *)enc;
fail:
    Py_DECREF(enc);
    return NULL;
}

static int
encoder_traverse(PyObject *self, visitproc visit, void *arg)
{
    struct sl_encoder *enc = (struct sl_encoder *)self;

    Py_VISIT(Py_TYPE(self));
    Py_VISIT(enc->catalog);
    Py_VISIT(enc->tally);
    Py_VISIT(enc->notes);
    Py_VISIT(enc->on_stop);
    Py_VISIT(enc->on_durable);
    Py_VISIT(enc->known);
    return 0;
}

static int
encoder_clear(PyObject *self)
{
    struct sl_encoder *enc = (struct sl_encoder *)self;

    sl_tables_free(enc);
    Py_CLEAR(enc->catalog);
    Py_CLEAR(enc->tally);
    Py_CLEAR(enc->notes);
    Py_CLEAR(enc->on_stop);
    Py_CLEAR(enc->on_durable);
    Py_CLEAR(enc->known);
    return 0;
}

static void
encoder_dealloc(PyObject *self)
{
    struct sl_encoder *enc = (struct sl_encoder *)self;
    PyTypeObject *type = Py_TYPE(self);
    freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

    PyObject_GC_UnTrack(self);
    encoder_clear(self);
    free(enc->out.ptr);
    if (enc->wake) {
        if (enc->wake_held)
            PyThread_release_lock(enc->wake);
        PyThread_free_lock(enc->wake);
    }
    release(self);
    Py_DECREF(type);
}

#define FAST(name) (PyCFunction)(void (*)(void))(name), METH_FASTCALL | METH_KEYWORDS

static PyMethodDef methods[] = {
    { "upsert", FAST(encoder_upsert), "Insert or replace a row." },
    { "update", FAST(encoder_update), "Change columns of a row." },
    { "delete", FAST(encoder_delete), "Mark a row as deleted." },
    { "truncate", FAST(encoder_truncate), "Mark all rows as deleted." },
    { "checkpoint", FAST(encoder_checkpoint), "Save the state with the rows before it." },
    { "frame", encoder_frame, METH_VARARGS,
      "Send a frame of any type, after everything before it." },
    { "configure", encoder_configure, METH_VARARGS, "Set the catalog, durable and the log level." },
    { "cancel", encoder_cancel, METH_O,
      "End with the next operation (1) or the next checkpoint (2)." },
    { "flush", encoder_flush, METH_NOARGS, "Write what waits." },
    { "take", encoder_take, METH_NOARGS,
      "Return and forget the bytes of an encoder without a socket." },
    { "counts", encoder_counts, METH_NOARGS, "Return the DONE object." },
    { NULL, NULL, 0, NULL },
};

static PyGetSetDef getset[] = {
    { "dirty", encoder_dirty, NULL, "Whether bytes wait to be written.", NULL },
    { NULL, NULL, NULL, NULL, NULL },
};

static char doc[] =
    "Turns operations into frames and writes them to a socket; see _frames.Encoder.";

static PyType_Slot slots[] = {
    { Py_tp_new, encoder_new },
    { Py_tp_dealloc, encoder_dealloc },
    { Py_tp_traverse, encoder_traverse },
    { Py_tp_clear, encoder_clear },
    { Py_tp_methods, methods },
    { Py_tp_getset, getset },
    { Py_tp_doc, doc },
    { 0, NULL },
};

PyType_Spec sl_encoder_spec = {
    .name = "fivetran_connector_sdk._cframes.Encoder",
    .basicsize = sizeof(struct sl_encoder),
    .flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC,
    .slots = slots,
};
