/* shapes.c - tables and shapes. Python (_catalog.py) knows the declarations and checks the names, once per
 * table and once per shape; what comes out of it is kept here in flat arrays. */
#include "frames.h"

static PyObject *
get_int(PyObject *object, PyObject *name, int *value)
{
    PyObject *number = PyObject_GetAttr(object, name);

    if (!number)
        return NULL;
    *value = (int)PyLong_AsLong(number);
    Py_DECREF(number);
    return PyErr_Occurred() ? NULL : object;
}

/* Append an element to an array of pointers. */
static int
append(void ***array, size_t *count, size_t *cap, void *element)
{
    if (*count == *cap) {
        size_t want = *cap ? *cap * 2 : 8;
        void **grown = PyMem_Realloc(*array, want * sizeof(**array));

        if (!grown) {
            PyErr_NoMemory();
            return -1;
        }
        *array = grown;
        *cap = want;
    }
    (*array)[(*count)++] = element;
    return 0;
}

static int
put_name(struct sl_out *out, PyObject *name)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(name, &size);

    if (!text || sl_need(out, (size_t)size + 4))
        return -1;
    sl_put32(out, (uint32_t)size);
    sl_put(out, text, (size_t)size);
    return 0;
}

/* -------------------------------------------------------------------- tables */

/* The TABLE frame: the schema name with its length, the table name without. */
static int
put_table_frame(struct sl_encoder *enc, struct sl_table *table)
{
    PyObject *schema = PyObject_GetAttr(table->table, enc->st->s_schema);
    PyObject *name = PyObject_GetAttr(table->table, enc->st->s_name);
    size_t at = sl_frame_begin(enc, FRAME_TABLE, table->id);
    const char *text;
    Py_ssize_t size;
    int rc = -1;

    if (!schema || !name || !at)
        goto out;
    if (schema == Py_None) {
        if (sl_need(&enc->out, 4))
            goto out;
        sl_put32(&enc->out, 0);
    } else if (put_name(&enc->out, schema)) {
        goto out;
    }
    text = PyUnicode_AsUTF8AndSize(name, &size);
    if (!text || sl_need(&enc->out, (size_t)size))
        goto out;
    sl_put(&enc->out, text, (size_t)size);
    rc = sl_frame_end(enc, at);
out:
    Py_XDECREF(schema);
    Py_XDECREF(name);
    return rc;
}

static struct sl_table *
table_new(struct sl_encoder *enc, PyObject *object)
{
    struct sl_table *table = PyMem_Calloc(1, sizeof(*table));
    PyObject *index = NULL;
    size_t start = enc->out.len;

    if (!table) {
        PyErr_NoMemory();
        return NULL;
    }
    table->id = (uint32_t)enc->table_count;
    table->shapes_dict = PyDict_New();
    Py_INCREF(object);
    table->table = object;
    index = PyLong_FromSize_t(enc->table_count);
    if (!table->shapes_dict || !index || put_table_frame(enc, table) ||
        PyDict_SetItem(enc->known, object, index) ||
        append((void ***)&enc->tables, &enc->table_count, &enc->table_cap, table)) {
        enc->out.len = start;
        Py_XDECREF(table->shapes_dict);
        Py_DECREF(table->table);
        PyMem_Free(table);
        table = NULL;
    }
    Py_XDECREF(index);
    return table;
}

static void
remember_table(struct sl_encoder *enc, PyObject *schema, PyObject *name, struct sl_table *table)
{
    struct sl_recent_table *slot = &enc->recent[enc->recent_next++ % SL_RECENT_TABLES];

    if (Py_TYPE(name) != &PyUnicode_Type || (schema && Py_TYPE(schema) != &PyUnicode_Type))
        return;
    Py_INCREF(name);
    Py_XINCREF(schema);
    Py_XDECREF(slot->name);
    Py_XDECREF(slot->schema);
    *slot = (struct sl_recent_table){ schema, name, table };
}

/* Names built anew for each row are other objects with the same text. */
static struct sl_table *
find_by_text(struct sl_encoder *enc, PyObject *schema, PyObject *name)
{
    if (Py_TYPE(name) != &PyUnicode_Type || (schema && Py_TYPE(schema) != &PyUnicode_Type))
        return NULL;
    for (int i = 0; i < SL_RECENT_TABLES; i++) {
        struct sl_recent_table *slot = &enc->recent[i];

        if (!slot->name || !slot->schema != !schema || PyUnicode_Compare(slot->name, name) != 0)
            continue;
        if (!schema || PyUnicode_Compare(slot->schema, schema) == 0)
            return slot->table;
    }
    return NULL;
}

struct sl_table *
sl_table_get(struct sl_encoder *enc, PyObject *schema, PyObject *name)
{
    struct sl_table *table;
    PyObject *object, *index;

    if (schema == Py_None)
        schema = NULL;
    for (int i = 0; i < SL_RECENT_TABLES; i++) {
        if (enc->recent[i].name == name && enc->recent[i].schema == schema && name)
            return enc->recent[i].table;
    }
    table = find_by_text(enc, schema, name);
    if (table)
        return table;
    object = PyObject_CallMethodObjArgs(enc->catalog, enc->st->s_table, schema ? schema : Py_None,
                                        name, NULL);
    if (!object)
        return NULL;
    index = PyDict_GetItemWithError(enc->known, object);
    if (index)
        table = enc->tables[PyLong_AsSize_t(index)];
    else if (!PyErr_Occurred())
        table = table_new(enc, object);
    Py_DECREF(object);
    if (table)
        remember_table(enc, schema, name, table);
    return table;
}

/* -------------------------------------------------------------------- shapes */

static void
shape_free(struct sl_shape *shape)
{
    for (Py_ssize_t i = 0; i < shape->count; i++) {
        Py_XDECREF(shape->columns[i].key);
        Py_XDECREF(shape->columns[i].column);
    }
    PyMem_Free(shape);
}

static int
fill_column(struct sl_state *st, struct sl_column *col, PyObject *key, PyObject *column)
{
    int kind, is_key;

    if (!get_int(column, st->s_kind, &kind) || !get_int(column, st->s_precision, &col->precision) ||
        !get_int(column, st->s_scale, &col->scale) || !get_int(column, st->s_is_key, &is_key))
        return -1;
    col->kind = (uint8_t)kind;
    col->is_key = is_key;
    col->check_text = true;
    Py_INCREF(column);
    col->column = column;
    /* A subclass of str may change how it compares; the column keeps the plain text. */
    if (Py_TYPE(key) == &PyUnicode_Type) {
        Py_INCREF(key);
        col->key = key;
        return 0;
    }
    col->key = PyObject_GetAttr(column, st->s_name);
    return col->key ? 0 : -1;
}

static int
put_shape_frame(struct sl_encoder *enc, const struct sl_table *table, const struct sl_shape *shape)
{
    size_t at = sl_frame_begin(enc, FRAME_SHAPE, shape->id);

    if (!at || sl_need(&enc->out, 8))
        return -1;
    sl_put32(&enc->out, table->id);
    sl_put32(&enc->out, (uint32_t)shape->count);
    for (Py_ssize_t i = 0; i < shape->count; i++) {
        PyObject *name = PyObject_GetAttr(shape->columns[i].column, enc->st->s_name);
        int rc = name ? put_name(&enc->out, name) : -1;

        Py_XDECREF(name);
        if (rc)
            return -1;
    }
    return sl_frame_end(enc, at);
}

/* Make a shape of a tuple of names and the list of their columns, and announce it. */
static struct sl_shape *
shape_new(struct sl_encoder *enc, struct sl_table *table, PyObject *names, PyObject *columns)
{
    Py_ssize_t count = PyTuple_Size(names);
    struct sl_shape *shape = PyMem_Calloc(1, sizeof(*shape) +
                                                 (size_t)count * sizeof(shape->columns[0]));
    PyObject *missing = NULL;
    size_t start = enc->out.len;

    if (!shape) {
        PyErr_NoMemory();
        return NULL;
    }
    shape->count = count;
    shape->id = enc->shape_count;
    for (Py_ssize_t i = 0; i < count; i++) {
        if (fill_column(enc->st, &shape->columns[i], PyTuple_GetItem(names, i),
                        PyList_GetItem(columns, i)))
            goto fail;
    }
    missing = PyObject_CallMethodObjArgs(table->table, enc->st->s_missing_keys, names, NULL);
    if (!missing)
        goto fail;
    shape->keyless = PyList_Size(missing) > 0;
    if (put_shape_frame(enc, table, shape) ||
        append((void ***)&table->shapes, &table->shape_count, &table->shape_cap, shape))
        goto fail;
    Py_DECREF(missing);
    enc->shape_count++;
    return shape;
fail:
    enc->out.len = start;
    Py_XDECREF(missing);
    shape_free(shape);
    return NULL;
}

bool
sl_shape_fits(const struct sl_shape *shape, PyObject *row, Py_ssize_t pos, Py_ssize_t from)
{
    PyObject *key, *value;

    while (PyDict_Next(row, &pos, &key, &value)) {
        if (from >= shape->count || !sl_same_name(key, shape->columns[from].key))
            return false;
        from++;
    }
    return from == shape->count;
}

static void
to_front(struct sl_table *table, int at, struct sl_shape *shape)
{
    for (; at > 0; at--)
        table->recent[at] = table->recent[at - 1];
    table->recent[0] = shape;
}

/* [table.column(name) for name in names] */
static PyObject *
columns_of(struct sl_encoder *enc, struct sl_table *table, PyObject *names)
{
    PyObject *columns = PyList_New(0);

    for (Py_ssize_t i = 0; columns && i < PyTuple_Size(names); i++) {
        PyObject *name = PyTuple_GetItem(names, i);
        PyObject *column = PyObject_CallMethodObjArgs(table->table, enc->st->s_column, name, NULL);

        if (!column || PyList_Append(columns, column))
            Py_CLEAR(columns);
        Py_XDECREF(column);
    }
    return columns;
}

static int
in_union(const struct sl_table *table, PyObject *columns)
{
    int found = table->union_set != NULL;

    for (Py_ssize_t i = 0; found == 1 && i < PyList_Size(columns); i++)
        found = PySet_Contains(table->union_set, PyList_GetItem(columns, i));
    return found;
}

/* A shape of all columns seen so far: the table has too many shapes to give each row its own. */
static struct sl_shape *
union_shape(struct sl_encoder *enc, struct sl_table *table, PyObject *columns)
{
    int found = in_union(table, columns);
    PyObject *names = NULL, *all = NULL, *set = NULL;
    struct sl_shape *shape = NULL;

    if (found)
        return found > 0 ? table->union_shape : NULL;
    names = PyObject_CallMethodObjArgs(table->table, enc->st->s_names, NULL);
    all = names ? columns_of(enc, table, names) : NULL;
    set = all ? PySet_New(all) : NULL;
    shape = set ? shape_new(enc, table, names, all) : NULL;
    if (shape) {
        shape->is_union = true;
        table->union_shape = shape;
        Py_XDECREF(table->union_set);
        Py_INCREF(set);
        table->union_set = set;
    }
    Py_XDECREF(names);
    Py_XDECREF(all);
    Py_XDECREF(set);
    return shape;
}

static struct sl_shape *
plain_shape(struct sl_encoder *enc, struct sl_table *table, PyObject *names, PyObject *columns)
{
    struct sl_shape *shape = shape_new(enc, table, names, columns);
    PyObject *index = shape ? PyLong_FromSize_t(table->shape_count - 1) : NULL;

    /* Without the entry the next such row would announce the shape again, which is only longer. */
    if (!index || PyDict_SetItem(table->shapes_dict, names, index))
        shape = NULL;
    else
        table->plain_shapes++;
    Py_XDECREF(index);
    return shape;
}

struct sl_shape *
sl_shape_find(struct sl_encoder *enc, struct sl_table *table, PyObject *row)
{
    struct sl_shape *shape = NULL;
    PyObject *list, *names, *index, *columns;

    for (int i = 0; i < SL_RECENT_SHAPES; i++) {
        shape = table->recent[i];
        if (shape && sl_shape_fits(shape, row, 0, 0)) {
            to_front(table, i, shape);
            return shape;
        }
    }
    list = PyDict_Keys(row);
    names = list ? PyList_AsTuple(list) : NULL;
    Py_XDECREF(list);
    if (!names)
        return NULL;
    shape = NULL;
    index = PyDict_GetItemWithError(table->shapes_dict, names);
    if (index) {
        shape = table->shapes[PyLong_AsSize_t(index)];
    } else if (!PyErr_Occurred()) {
        columns = columns_of(enc, table, names);
        if (columns && table->plain_shapes < SL_SHAPES_MAX)
            shape = plain_shape(enc, table, names, columns);
        else if (columns)
            shape = union_shape(enc, table, columns);
        Py_XDECREF(columns);
    }
    Py_DECREF(names);
    if (shape && !shape->is_union)
        to_front(table, SL_RECENT_SHAPES - 1, shape);
    return shape;
}

void
sl_tables_free(struct sl_encoder *enc)
{
    for (int i = 0; i < SL_RECENT_TABLES; i++) {
        Py_CLEAR(enc->recent[i].name);
        Py_CLEAR(enc->recent[i].schema);
    }
    for (size_t i = 0; i < enc->table_count; i++) {
        struct sl_table *table = enc->tables[i];

        for (size_t j = 0; j < table->shape_count; j++)
            shape_free(table->shapes[j]);
        PyMem_Free(table->shapes);
        Py_XDECREF(table->union_set);
        Py_XDECREF(table->shapes_dict);
        Py_DECREF(table->table);
        PyMem_Free(table);
    }
    PyMem_Free(enc->tables);
    enc->tables = NULL;
    enc->table_count = enc->table_cap = 0;
}
