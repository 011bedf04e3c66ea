/* _frames.c - the module fivetran_connector_sdk._cframes: its state, its functions, its numbers. */
#include "frames.h"

#include <signal.h>
#ifdef __linux__
#include <sys/prctl.h>
#endif

/* -------------------------------------------------------------------- state */

static int
import_object(PyObject **to, const char *module, const char *name)
{
    PyObject *from = PyImport_ImportModule(module);

    if (!from)
        return -1;
    *to = PyObject_GetAttrString(from, name);
    Py_DECREF(from);
    return *to ? 0 : -1;
}

static int
intern_names(struct sl_state *st)
{
#define X(name)                                                                                    \
    st->s_##name = PyUnicode_InternFromString(#name);                                              \
    if (!st->s_##name)                                                                             \
        return -1;
    SL_NAMES(X)
#undef X
    return 0;
}

static int
import_objects(struct sl_state *st)
{
    static const char state[] = "fivetran_connector_sdk._state";
    static const char times[] = "fivetran_connector_sdk._times";
    static const char catalog[] = "fivetran_connector_sdk._catalog";

    if (import_object(&st->check_data, catalog, "check_data") ||
        import_object(&st->refuse_file, catalog, "refuse_file") ||
        import_object(&st->state_text, state, "state_text") ||
        import_object(&st->state_plain, state, "state_plain") ||
        import_object(&st->state_key, state, "state_key") ||
        import_object(&st->epoch, times, "EPOCH") ||
        import_object(&st->epoch_utc, times, "EPOCH_UTC") ||
        import_object(&st->datetime_type, "datetime", "datetime") ||
        import_object(&st->date_type, "datetime", "date") ||
        import_object(&st->decimal_type, "decimal", "Decimal"))
        return -1;
    st->empty = PyTuple_New(0);
    return st->empty ? 0 : -1;
}

/* -------------------------------------------------------------------- functions */

static PyObject *
die_with_parent(PyObject *module, PyObject *unused)
{
    (void)module;
    (void)unused;
#ifdef __linux__
    /* SIGTERM, not SIGKILL: an author's handler may still tidy up. A failure only means a slower end. */
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM, 0, 0, 0);
#endif
    Py_RETURN_NONE;
}

static PyObject *
float_text(PyObject *module, PyObject *value)
{
    char room[SL_NUMBER_MAX];
    double number = PyFloat_AsDouble(value);
    int size;

    (void)module;
    if (number == -1.0 && PyErr_Occurred())
        return NULL;
    size = sl_float_text(number, room);
    return size < 0 ? NULL : PyUnicode_FromStringAndSize(room, size);
}

static PyMethodDef functions[] = {
    { "die_with_parent", die_with_parent, METH_NOARGS,
      "Get SIGTERM when the parent process dies, where there is such a thing." },
    { "float_text", float_text, METH_O, "Return repr() of a finite float; for tests." },
    { NULL, NULL, 0, NULL },
};

/* -------------------------------------------------------------------- module */

/* What tests compare with _protocol.py. */
static const struct {
    const char *name;
    long value;
} numbers[] = {
    { "FRAME_MAX", SL_FRAME_MAX },
    { "SHAPES_MAX", SL_SHAPES_MAX },
    { "TABLE", FRAME_TABLE },
    { "SHAPE", FRAME_SHAPE },
    { "UPSERT", FRAME_UPSERT },
    { "UPDATE", FRAME_UPDATE },
    { "DELETE", FRAME_DELETE },
    { "TRUNCATE", FRAME_TRUNCATE },
    { "CHECKPOINT", FRAME_CHECKPOINT },
    { "LOG", FRAME_LOG },
    { "CHECKPOINT_DURABLE", SL_DURABLE },
    { "CELL_NULL", CELL_NULL },
    { "CELL_FALSE", CELL_FALSE },
    { "CELL_TRUE", CELL_TRUE },
    { "CELL_LONG", CELL_LONG },
    { "CELL_DOUBLE", CELL_DOUBLE },
    { "CELL_STRING", CELL_STRING },
    { "CELL_BINARY", CELL_BINARY },
    { "CELL_JSON", CELL_JSON },
    { "CELL_BIGINT", CELL_BIGINT },
    { "CELL_DECIMAL", CELL_DECIMAL },
    { "CELL_DATE", CELL_DATE },
    { "CELL_NAIVE", CELL_NAIVE },
    { "CELL_UTC", CELL_UTC },
    { "CELL_ABSENT", CELL_ABSENT },
    { "KIND_BOOLEAN", KIND_BOOLEAN },
    { "KIND_SHORT", KIND_SHORT },
    { "KIND_INT", KIND_INT },
    { "KIND_LONG", KIND_LONG },
    { "KIND_DECIMAL", KIND_DECIMAL },
    { "KIND_FLOAT", KIND_FLOAT },
    { "KIND_DOUBLE", KIND_DOUBLE },
    { "KIND_NAIVE_DATE", KIND_NAIVE_DATE },
    { "KIND_NAIVE_DATETIME", KIND_NAIVE_DATETIME },
    { "KIND_UTC_DATETIME", KIND_UTC_DATETIME },
    { "KIND_BINARY", KIND_BINARY },
    { "KIND_XML", KIND_XML },
    { "KIND_STRING", KIND_STRING },
    { "KIND_JSON", KIND_JSON },
};

static int
add_numbers(PyObject *module)
{
    PyObject *dict = PyDict_New();

    for (size_t i = 0; dict && i < sizeof(numbers) / sizeof(*numbers); i++) {
        PyObject *number = PyLong_FromLong(numbers[i].value);

        if (!number || PyDict_SetItemString(dict, numbers[i].name, number))
            Py_CLEAR(dict);
        Py_XDECREF(number);
    }
    if (dict && !PyModule_AddObject(module, "NUMBERS", dict))
        return 0;
    Py_XDECREF(dict);
    return -1;
}

static int
module_exec(PyObject *module)
{
    struct sl_state *st = PyModule_GetState(module);

    if (!st || intern_names(st) || import_objects(st) || add_numbers(module))
        return -1;
    st->encoder_type = PyType_FromModuleAndSpec(module, &sl_encoder_spec, NULL);
    if (!st->encoder_type)
        return -1;
    Py_INCREF(st->encoder_type);
    if (!PyModule_AddObject(module, "Encoder", st->encoder_type))
        return 0;
    Py_DECREF(st->encoder_type);
    return -1;
}

static int
module_traverse(PyObject *module, visitproc visit, void *arg)
{
    struct sl_state *st = PyModule_GetState(module);

    if (!st)
        return 0;
#define X(name) Py_VISIT(st->name);
    SL_OBJECTS(X)
#undef X
    return 0;
}

static int
module_clear(PyObject *module)
{
    struct sl_state *st = PyModule_GetState(module);

    if (!st)
        return 0;
#define X(name) Py_CLEAR(st->s_##name);
    SL_NAMES(X)
#undef X
#define X(name) Py_CLEAR(st->name);
    SL_OBJECTS(X)
#undef X
    return 0;
}

static void
module_free(void *module)
{
    module_clear(module);
}

static PyModuleDef_Slot slots[] = {
    { Py_mod_exec, module_exec },
    { 0, NULL },
};

static struct PyModuleDef definition = {
    .m_base = PyModuleDef_HEAD_INIT,
    .m_name = "fivetran_connector_sdk._cframes",
    .m_doc = "The C encoder of the frame protocol.",
    .m_size = sizeof(struct sl_state),
    .m_methods = functions,
    .m_slots = slots,
    .m_traverse = module_traverse,
    .m_clear = module_clear,
    .m_free = module_free,
};

PyMODINIT_FUNC PyInit__cframes(void);

PyMODINIT_FUNC
PyInit__cframes(void)
{
    return PyModuleDef_Init(&definition);
}
