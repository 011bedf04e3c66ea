/* cells.c - Python values to cells: the common exact types of each kind of column. */
#include "frames.h"

#include <math.h>

int
sl_give_up(void)
{
    if (!PyErr_ExceptionMatches(PyExc_Exception) || PyErr_ExceptionMatches(PyExc_MemoryError))
        return -1;
    PyErr_Clear();
    return SL_SLOW;
}

static int
put_sized(struct sl_out *out, unsigned tag, const char *data, size_t size)
{
    if (size > SL_VALUE_MAX)
        return SL_SLOW;
    if (sl_need(out, size + 5))
        return -1;
    sl_put8(out, tag);
    sl_put32(out, (uint32_t)size);
    sl_put(out, data, size);
    return 0;
}

static inline int
put_long(struct sl_out *out, unsigned tag, int64_t value)
{
    if (sl_need(out, 9))
        return -1;
    sl_put8(out, tag);
    sl_put64(out, (uint64_t)value);
    return 0;
}

static inline int
put_double(struct sl_out *out, const struct sl_column *col, double value)
{
    uint64_t bits;

    if (SL_UNLIKELY(value != value) && col->is_key)
        return SL_SLOW;
    if (sl_need(out, 9))
        return -1;
    memcpy(&bits, &value, sizeof(bits));
    sl_put8(out, CELL_DOUBLE);
    sl_put64(out, bits);
    return 0;
}

static inline int
put_tag(struct sl_out *out, unsigned tag)
{
    if (sl_need(out, 1))
        return -1;
    sl_put8(out, tag);
    return 0;
}

static inline int
put_str(struct sl_out *out, PyObject *value)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);

    return SL_LIKELY(text != NULL) ? put_sized(out, CELL_STRING, text, (size_t)size) : sl_give_up();
}

/* -------------------------------------------------------------------- undeclared */

/* Let Python look at a string that begins like JSON, until it has seen enough. */
static int
check_text(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    PyObject *more;
    int rc;

    enc->called = true;
    more = PyObject_CallMethodObjArgs(col->column, enc->st->s_check_text, value, NULL);
    if (!more)
        return -1;
    rc = PyObject_IsTrue(more);
    Py_DECREF(more);
    if (rc < 0)
        return -1;
    col->check_text = rc;
    return 0;
}

static inline int
infer_str(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);

    if (SL_UNLIKELY(!text))
        return sl_give_up();
    if (SL_UNLIKELY(size > SL_VALUE_MAX))
        return SL_SLOW;
    if (col->check_text && size && strchr("{[ \t\r\n", *text) && *text &&
        check_text(enc, col, value))
        return -1;
    return put_sized(&enc->out, CELL_STRING, text, (size_t)size);
}

static int
put_json(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    struct sl_json json = { enc->st, &enc->out, col->column, &enc->replaced, false };
    uint64_t replaced = enc->replaced;
    size_t at = enc->out.len, size;
    uint32_t size32;
    int rc;

    if (sl_need(&enc->out, 5))
        return -1;
    sl_put8(&enc->out, CELL_JSON);
    sl_put32(&enc->out, 0);
    rc = sl_json_write(&json, value, 0);
    enc->called |= json.called;
    size = enc->out.len - at - 5;
    if (!rc && size > SL_VALUE_MAX)
        rc = SL_SLOW;
    if (rc) {
        enc->out.len = at;
        enc->replaced = replaced;
        return rc;
    }
    size32 = (uint32_t)size;
    memcpy(enc->out.ptr + at + 1, &size32, sizeof(size32));
    return 0;
}

/* Microseconds between an exact datetime and the epoch; `aware` says which of the two epochs. */
static int
datetime_micros(struct sl_state *st, PyObject *value, int64_t *micros, bool *aware)
{
    PyObject *names[] = { st->s_days, st->s_seconds, st->s_microseconds };
    const int64_t units[] = { INT64_C(86400000000), 1000000, 1 };
    PyObject *zone = PyObject_GetAttr(value, st->s_tzinfo), *delta;
    int rc = 0;

    if (!zone)
        return sl_give_up();
    *aware = zone != Py_None;
    Py_DECREF(zone);
    delta = PyNumber_Subtract(value, *aware ? st->epoch_utc : st->epoch);
    if (!delta)
        return sl_give_up(); /* a zone without an offset counts as naive */
    *micros = 0;
    for (int i = 0; i < 3 && !rc; i++) {
        PyObject *part = PyObject_GetAttr(delta, names[i]);

        if (!part) {
            rc = -1;
            break;
        }
        *micros += PyLong_AsLongLong(part) * units[i];
        Py_DECREF(part);
    }
    Py_DECREF(delta);
    return rc;
}

/* Days since the epoch of an exact date or datetime, as its calendar says. */
static int
date_days(struct sl_state *st, PyObject *value, int64_t *days)
{
    PyObject *ordinal = PyObject_CallMethodObjArgs(value, st->s_toordinal, NULL);

    if (!ordinal)
        return -1;
    *days = PyLong_AsLongLong(ordinal) - 719163; /* date(1970, 1, 1).toordinal() */
    Py_DECREF(ordinal);
    return 0;
}

static int
put_date(struct sl_out *out, int64_t days)
{
    if (sl_need(out, 5))
        return -1;
    sl_put8(out, CELL_DATE);
    sl_put32(out, (uint32_t)(int32_t)days);
    return 0;
}

static int
infer_decimal(struct sl_encoder *enc, PyObject *value)
{
    PyObject *text = PyObject_Str(value);
    const char *utf8;
    Py_ssize_t size;
    int rc = SL_SLOW;

    if (!text)
        return -1;
    utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    if (!utf8)
        rc = -1;
    else if (sl_is_plain_decimal(utf8, (size_t)size))
        rc = put_sized(&enc->out, CELL_DECIMAL, utf8, (size_t)size);
    Py_DECREF(text);
    return rc;
}

static int
infer_other(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    struct sl_state *st = enc->st;
    PyObject *type = (PyObject *)Py_TYPE(value);
    int64_t number;
    bool aware;
    int rc;

    if (type == (PyObject *)&PyDict_Type || type == (PyObject *)&PyList_Type ||
        type == (PyObject *)&PyTuple_Type)
        return put_json(enc, col, value);
    if (type == st->datetime_type) {
        rc = datetime_micros(st, value, &number, &aware);
        return rc ? rc : put_long(&enc->out, aware ? CELL_UTC : CELL_NAIVE, number);
    }
    if (type == (PyObject *)&PyBytes_Type) {
        char *data;
        Py_ssize_t size;

        if (PyBytes_AsStringAndSize(value, &data, &size))
            return -1;
        return put_sized(&enc->out, CELL_BINARY, data, (size_t)size);
    }
    if (type == st->date_type) {
        rc = date_days(st, value, &number);
        return rc ? rc : put_date(&enc->out, number);
    }
    if (type == st->decimal_type)
        return infer_decimal(enc, value);
    return SL_SLOW;
}

static inline int
infer(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);

    if (type == &PyUnicode_Type)
        return infer_str(enc, col, value);
    if (type == &PyLong_Type) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

        return SL_LIKELY(!overflow) ? put_long(&enc->out, CELL_LONG, number) : SL_SLOW;
    }
    if (type == &PyFloat_Type)
        return put_double(&enc->out, col, PyFloat_AsDouble(value));
    if (type == &PyBool_Type)
        return put_tag(&enc->out, value == Py_True ? CELL_TRUE : CELL_FALSE);
    return infer_other(enc, col, value);
}

/* -------------------------------------------------------------------- declared */

static int
declared_integer(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    static const int64_t highest[] = {
        [KIND_SHORT] = INT16_MAX, [KIND_INT] = INT32_MAX, [KIND_LONG] = INT64_MAX
    };
    int64_t number, high = highest[col->kind];
    PyTypeObject *type = Py_TYPE(value);

    if (type == &PyLong_Type) {
        int overflow;

        number = PyLong_AsLongLongAndOverflow(value, &overflow);
        if (overflow)
            return SL_SLOW;
    } else if (type == &PyUnicode_Type) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(value, &size);

        if (!text)
            return sl_give_up();
        if (!sl_parse_i64(text, (size_t)size, &number))
            return SL_SLOW;
    } else if (type == &PyFloat_Type) {
        double real = PyFloat_AsDouble(value);

        /* 2^63 itself is out of range, and the largest double below it is in. */
        if (!(fabs(real) < 9223372036854775808.0) || real != floor(real))
            return SL_SLOW;
        number = (int64_t)real;
    } else {
        return SL_SLOW;
    }
    if (number > high || number < -high - 1)
        return SL_SLOW;
    return put_long(&enc->out, CELL_LONG, number);
}

static int
declared_float(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    double real;

    if (type == &PyFloat_Type) {
        real = PyFloat_AsDouble(value);
    } else if (type == &PyLong_Type) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

        if (overflow)
            return SL_SLOW;
        real = (double)number;
    } else {
        return SL_SLOW;
    }
    if (col->kind == KIND_FLOAT && isfinite(real)) {
        real = (float)real;
        if (!isfinite(real))
            return SL_SLOW;
    }
    return put_double(&enc->out, col, real);
}

static int
put_decimal(struct sl_encoder *enc, struct sl_column *col, const char *text, size_t size)
{
    size_t keep = sl_decimal_fit(text, size, col->precision, col->scale);

    return keep ? put_sized(&enc->out, CELL_DECIMAL, text, keep) : SL_SLOW;
}

static int
put_decimal_str(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);

    return text ? put_decimal(enc, col, text, (size_t)size) : sl_give_up();
}

static int
declared_decimal(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    char room[SL_NUMBER_MAX];
    int size, rc, overflow;

    if ((PyObject *)type == enc->st->decimal_type) {
        PyObject *text = PyObject_Str(value);

        if (!text)
            return -1;
        rc = put_decimal_str(enc, col, text);
        Py_DECREF(text);
        return rc;
    }
    if (type == &PyUnicode_Type)
        return put_decimal_str(enc, col, value);
    if (type == &PyLong_Type) {
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

        return overflow ? SL_SLOW : put_decimal(enc, col, room, (size_t)sl_i64_text(number, room));
    }
    if (type != &PyFloat_Type || !isfinite(PyFloat_AsDouble(value)))
        return SL_SLOW;
    size = sl_float_text(PyFloat_AsDouble(value), room);
    return size < 0 ? -1 : put_decimal(enc, col, room, (size_t)size);
}

static int
declared_instant(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    struct sl_state *st = enc->st;
    PyObject *type = (PyObject *)Py_TYPE(value);
    unsigned tag = col->kind == KIND_UTC_DATETIME ? CELL_UTC : CELL_NAIVE;
    struct sl_instant when = { 0, 0, 0, false };
    int64_t micros;
    bool aware;
    int rc;

    if (type == (PyObject *)&PyUnicode_Type) {
        Py_ssize_t size;
        const char *text = PyUnicode_AsUTF8AndSize(value, &size);

        if (!text)
            return sl_give_up();
        if (!sl_parse_iso(text, (size_t)size, &when))
            return SL_SLOW;
    } else if (type == st->date_type ||
               (type == st->datetime_type && col->kind == KIND_NAIVE_DATE)) {
        rc = date_days(st, value, &when.days);
        if (rc)
            return rc;
    } else if (type == st->datetime_type) {
        rc = datetime_micros(st, value, &micros, &aware);
        return rc ? rc : put_long(&enc->out, tag, micros);
    } else {
        return SL_SLOW;
    }
    if (col->kind == KIND_NAIVE_DATE)
        return put_date(&enc->out, when.days);
    enc->cut += when.cut;
    return put_long(&enc->out, tag, (when.days * 86400 - when.offset) * 1000000 + when.micros);
}

static int
declared_string(struct sl_encoder *enc, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);
    char room[SL_NUMBER_MAX];
    int size, overflow;

    if (type == &PyUnicode_Type)
        return put_str(&enc->out, value);
    if (type == &PyBool_Type)
        return value == Py_True ? put_sized(&enc->out, CELL_STRING, "true", 4)
                                : put_sized(&enc->out, CELL_STRING, "false", 5);
    if (type == &PyLong_Type) {
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

        if (overflow)
            return SL_SLOW;
        size = sl_i64_text(number, room);
    } else if (type == &PyFloat_Type && isfinite(PyFloat_AsDouble(value))) {
        size = sl_float_text(PyFloat_AsDouble(value), room);
        if (size < 0)
            return -1;
    } else {
        return SL_SLOW;
    }
    return put_sized(&enc->out, CELL_STRING, room, (size_t)size);
}

static int
declared_boolean(struct sl_encoder *enc, PyObject *value)
{
    if (Py_TYPE(value) == &PyLong_Type) {
        int overflow;
        long long number = PyLong_AsLongLongAndOverflow(value, &overflow);

        if (overflow || (number != 0 && number != 1))
            return SL_SLOW;
        return put_tag(&enc->out, number ? CELL_TRUE : CELL_FALSE);
    }
    if (Py_TYPE(value) != &PyBool_Type)
        return SL_SLOW;
    return put_tag(&enc->out, value == Py_True ? CELL_TRUE : CELL_FALSE);
}

static int
declared_json(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    PyTypeObject *type = Py_TYPE(value);

    if (type == &PyDict_Type || type == &PyList_Type || type == &PyTuple_Type ||
        type == &PyUnicode_Type || type == &PyLong_Type || type == &PyFloat_Type ||
        type == &PyBool_Type)
        return put_json(enc, col, value);
    return SL_SLOW;
}

static int
declared(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    switch (col->kind) {
    case KIND_BOOLEAN:
        return declared_boolean(enc, value);
    case KIND_SHORT:
    case KIND_INT:
    case KIND_LONG:
        return declared_integer(enc, col, value);
    case KIND_DECIMAL:
        return declared_decimal(enc, col, value);
    case KIND_FLOAT:
    case KIND_DOUBLE:
        return declared_float(enc, col, value);
    case KIND_NAIVE_DATE:
    case KIND_NAIVE_DATETIME:
    case KIND_UTC_DATETIME:
        return declared_instant(enc, col, value);
    case KIND_BINARY:
        return Py_TYPE(value) == &PyBytes_Type ? infer_other(enc, col, value) : SL_SLOW;
    case KIND_XML:
        return Py_TYPE(value) == &PyUnicode_Type ? put_str(&enc->out, value) : SL_SLOW;
    case KIND_STRING:
        return declared_string(enc, value);
    case KIND_JSON:
        return declared_json(enc, col, value);
    default:
        return SL_SLOW;
    }
}

int
sl_cell_fast(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    if (value == Py_None)
        return put_tag(&enc->out, CELL_NULL);
    return SL_LIKELY(col->kind == KIND_UNDECLARED) ? infer(enc, col, value)
                                                   : declared(enc, col, value);
}

int
sl_cell_slow(struct sl_encoder *enc, struct sl_column *col, PyObject *value)
{
    PyObject *cell;
    char *data;
    Py_ssize_t size;
    int rc = -1;

    enc->called = true;
    cell = PyObject_CallMethodObjArgs(col->column, enc->st->s_cell, value, NULL);
    if (!cell)
        return -1;
    if (!PyBytes_AsStringAndSize(cell, &data, &size) && !sl_need(&enc->out, (size_t)size)) {
        sl_put(&enc->out, data, (size_t)size);
        rc = 0;
    }
    Py_DECREF(cell);
    return rc;
}
