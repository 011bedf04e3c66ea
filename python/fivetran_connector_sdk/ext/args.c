/* args.c - positional and named arguments of the operations. */
#include "frames.h"

static PyObject *
name_of(const struct sl_encoder *enc, const struct sl_signature *sig, int i)
{
    PyObject *name;

    memcpy(&name, (const char *)enc->st + sig->names[i], sizeof(name));
    return name;
}

static int
keyword_index(const struct sl_encoder *enc, const struct sl_signature *sig, PyObject *keyword)
{
    /* Keywords in source code are interned, as ours are: the second loop is for f(**kwargs). */
    for (int pass = 0; pass < 2; pass++) {
        for (int i = 0; i < sig->count; i++) {
            PyObject *name = name_of(enc, sig, i);

            if (name == keyword || (pass && PyUnicode_Compare(name, keyword) == 0))
                return i;
        }
    }
    PyErr_Format(PyExc_TypeError, "%s() got an unexpected keyword argument '%U'", sig->function,
                 keyword);
    return -1;
}

int
sl_args(const struct sl_encoder *enc, const struct sl_signature *sig, PyObject *const *given,
        Py_ssize_t count, PyObject *keywords, PyObject **args)
{
    Py_ssize_t named = keywords ? PyTuple_Size(keywords) : 0;

    if (count > sig->positional) {
        PyErr_Format(PyExc_TypeError, "%s() takes %d positional arguments but %zd were given",
                     sig->function, sig->positional, count);
        return -1;
    }
    for (Py_ssize_t i = 0; i < count; i++)
        args[i] = given[i];
    for (Py_ssize_t i = 0; i < named; i++) {
        int at = keyword_index(enc, sig, PyTuple_GetItem(keywords, i));

        if (at < 0)
            return -1;
        if (args[at]) {
            PyErr_Format(PyExc_TypeError, "%s() got multiple values for argument '%U'",
                         sig->function, name_of(enc, sig, at));
            return -1;
        }
        args[at] = given[count + i];
    }
    for (int i = 0; i < sig->required; i++) {
        if (!args[i]) {
            PyErr_Format(PyExc_TypeError, "%s() missing required argument: '%U'", sig->function,
                         name_of(enc, sig, i));
            return -1;
        }
    }
    return 0;
}
