/* json.c - compact JSON text, keys in the order given; the same as _write() and _write_state() in _values.py. */
#include "frames.h"

#include <math.h>

/* True if one of eight bytes must be escaped: a control character, a quote or a backslash. Bytes above 0x7f pass. */
static inline bool
has_special(uint64_t word)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
    uint64_t quote = word ^ (ones * '"'), slash = word ^ (ones * '\\');

    /* Borrows may flag a byte too many, never one too few; the slow loop looks again. */
    return ((((word - ones * 0x20) & ~word) | ((quote - ones) & ~quote) |
             ((slash - ones) & ~slash)) &
            tops) != 0;
}

static void
put_escape(struct sl_out *out, unsigned char byte)
{
    static const char hex[] = "0123456789abcdef";
    static const char shorts[] = "btn\0fr"; /* from 0x08 */
    char text[6] = { '\\', 'u', '0', '0', hex[byte >> 4], hex[byte & 15] };

    if (byte == '"' || byte == '\\')
        text[1] = (char)byte;
    else if (byte >= 0x08 && byte <= 0x0d && shorts[byte - 0x08])
        text[1] = shorts[byte - 0x08];
    sl_put(out, text, text[1] == 'u' ? 6 : 2);
}

static int
write_text(struct sl_json *json, const char *text, size_t size)
{
    struct sl_out *out = json->out;
    const char *end = text + size;

    if (sl_need(out, size + 16))
        return -1;
    sl_put8(out, '"');
    while (text < end) {
        uint64_t word;

        if (end - text >= 8) {
            memcpy(&word, text, 8);
            memcpy(out->ptr + out->len, text, 8);
            if (!has_special(word)) {
                text += 8;
                out->len += 8;
                continue;
            }
        }
        for (int i = 0; i < 8 && text < end; i++) {
            unsigned char byte = (unsigned char)*text++;

            if (byte >= 0x20 && byte != '"' && byte != '\\') {
                sl_put8(out, byte);
                continue;
            }
            /* Room for this escape, the rest unescaped, and the eight bytes copied ahead. */
            if (sl_need(out, 6 + (size_t)(end - text) + 16))
                return -1;
            put_escape(out, byte);
        }
    }
    sl_put8(out, '"');
    return 0;
}

static int
write_str(struct sl_json *json, PyObject *value)
{
    Py_ssize_t size;
    const char *text = PyUnicode_AsUTF8AndSize(value, &size);

    if (!text)
        return sl_give_up(); /* a lone surrogate: Python has the words */
    return write_text(json, text, (size_t)size);
}

static inline int
write_int(struct sl_json *json, PyObject *value)
{
    int overflow;
    long long number = PyLong_AsLongLongAndOverflow(value, &overflow);
    PyObject *text;
    const char *utf8;
    Py_ssize_t size;
    int rc = -1;

    if (!overflow) {
        if (sl_need(json->out, SL_NUMBER_MAX))
            return -1;
        json->out->len += (size_t)sl_i64_text(number, (char *)json->out->ptr + json->out->len);
        return 0;
    }
    text = PyObject_Str(value);
    if (!text)
        return sl_give_up(); /* more digits than the interpreter converts */
    utf8 = PyUnicode_AsUTF8AndSize(text, &size);
    if (utf8 && !sl_need(json->out, (size_t)size)) {
        sl_put(json->out, utf8, (size_t)size);
        rc = 0;
    }
    Py_DECREF(text);
    return rc;
}

static int
write_float(struct sl_json *json, double value)
{
    int size;

    if (sl_need(json->out, SL_NUMBER_MAX))
        return -1;
    if (isfinite(value)) {
        size = sl_float_text(value, (char *)json->out->ptr + json->out->len);
        if (size < 0)
            return -1;
        json->out->len += (size_t)size;
    } else if (json->column) {
        sl_put(json->out, "null", 4);
        ++*json->replaced;
    } else {
        const char *text = value != value ? "NaN" : value > 0 ? "Infinity" : "-Infinity";
        sl_put(json->out, text, strlen(text));
    }
    return 0;
}

/* Call Python for a value or key of another type, and return what to write instead of it. */
static PyObject *
foreign(struct sl_json *json, PyObject *value, bool is_key)
{
    struct sl_state *st = json->st;

    json->called = true;
    if (json->column)
        return PyObject_CallMethodObjArgs(json->column, is_key ? st->s_key_text : st->s_plain,
                                          value, NULL);
    return PyObject_CallFunctionObjArgs(is_key ? st->state_key : st->state_plain, value, NULL);
}

static int
write_key(struct sl_json *json, PyObject *key)
{
    PyObject *text;
    int rc;

    if (SL_LIKELY(Py_TYPE(key) == &PyUnicode_Type))
        return write_str(json, key);
    text = foreign(json, key, true);
    if (!text)
        return -1;
    rc = write_str(json, text);
    Py_DECREF(text);
    return rc;
}

/* Values are held while they are written: a str() called in between may drop them from their container. */
static int
write_dict(struct sl_json *json, PyObject *dict, int depth)
{
    Py_ssize_t pos = 0;
    PyObject *key, *value;
    char mark = '{';
    int rc;

    while (PyDict_Next(dict, &pos, &key, &value)) {
        if (sl_need(json->out, 1))
            return -1;
        sl_put8(json->out, (unsigned char)mark);
        mark = ',';
        Py_INCREF(key);
        Py_INCREF(value);
        rc = write_key(json, key);
        if (!rc && !(rc = sl_need(json->out, 1))) {
            sl_put8(json->out, ':');
            rc = sl_json_write(json, value, depth + 1);
        }
        Py_DECREF(key);
        Py_DECREF(value);
        if (rc)
            return rc;
    }
    if (sl_need(json->out, 2))
        return -1;
    sl_put(json->out, mark == ',' ? "}" : "{}", mark == ',' ? 1 : 2);
    return 0;
}

static int
write_sequence(struct sl_json *json, PyObject *items, int depth)
{
    bool is_list = PyList_Check(items);
    Py_ssize_t size = is_list ? PyList_Size(items) : PyTuple_Size(items);
    char mark = '[';
    int rc;

    for (Py_ssize_t i = 0; i < size; i++) {
        PyObject *value = is_list ? PyList_GetItem(items, i) : PyTuple_GetItem(items, i);

        if (!value || sl_need(json->out, 1))
            return -1;
        sl_put8(json->out, (unsigned char)mark);
        mark = ',';
        Py_INCREF(value);
        rc = sl_json_write(json, value, depth + 1);
        Py_DECREF(value);
        if (rc)
            return rc;
        /* Only Python code can have changed the list. */
        if (json->called && is_list)
            size = PyList_Size(items);
    }
    if (sl_need(json->out, 2))
        return -1;
    sl_put(json->out, mark == ',' ? "]" : "[]", mark == ',' ? 1 : 2);
    return 0;
}

static int
write_word(struct sl_json *json, const char *word, size_t size)
{
    if (sl_need(json->out, size))
        return -1;
    sl_put(json->out, word, size);
    return 0;
}

static int
write_foreign(struct sl_json *json, PyObject *value, int depth)
{
    PyObject *plain = foreign(json, value, false);
    int rc;

    if (!plain)
        return -1;
    /* plain() promises one of the types below; should it ever not, stop instead of asking forever. */
    if (Py_TYPE(plain) == Py_TYPE(value)) {
        PyErr_Format(PyExc_SystemError, "plain() returned a %R", Py_TYPE(value));
        rc = -1;
    } else {
        rc = sl_json_write(json, plain, depth);
    }
    Py_DECREF(plain);
    return rc;
}

int
sl_json_write(struct sl_json *json, PyObject *value, int depth)
{
    PyTypeObject *type = Py_TYPE(value);

    if (type == &PyUnicode_Type)
        return write_str(json, value);
    if (type == &PyLong_Type)
        return write_int(json, value);
    if (type == &PyFloat_Type)
        return write_float(json, PyFloat_AsDouble(value));
    if (value == Py_None)
        return write_word(json, "null", 4);
    if (value == Py_True)
        return write_word(json, "true", 4);
    if (value == Py_False)
        return write_word(json, "false", 5);
    if (type != &PyDict_Type && type != &PyList_Type && type != &PyTuple_Type)
        return write_foreign(json, value, depth);
    if (depth >= SL_DEPTH_MAX)
        return SL_SLOW; /* Python has the words */
    return type == &PyDict_Type ? write_dict(json, value, depth)
                                : write_sequence(json, value, depth);
}
