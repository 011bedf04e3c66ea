#include "destinations/duckdb/functions.h"

#include "base/json.h"
#include "base/text.h"
#include "model/cell.h"

static bool
valid(const uint64_t *mask, idx_t row)
{
    return mask == NULL || (mask[row / 64] >> (row % 64) & 1);
}

static void
set_null(duckdb_vector out, idx_t row)
{
    duck.vector_ensure_validity_writable(out);
    duck.vector_get_validity(out)[row / 64] &= ~((uint64_t)1 << (row % 64));
}

static size_t
double_text(const void *data, idx_t row, char out[48])
{
    return sl_double_text(((const double *)data)[row], out);
}

static size_t
naive_text(const void *data, idx_t row, char out[48])
{
    return sl_datetime_text(((const int64_t *)data)[row], false, out);
}

static size_t
utc_text(const void *data, idx_t row, char out[48])
{
    return sl_datetime_text(((const int64_t *)data)[row], true, out);
}

static void
each_text(duckdb_data_chunk in, duckdb_vector out, size_t (*text)(const void *, idx_t, char[48]))
{
    duckdb_vector v = duck.data_chunk_get_vector(in, 0);
    const void *data = duck.vector_get_data(v);
    const uint64_t *mask = duck.vector_get_validity(v);
    char t[48];

    for (idx_t i = 0, n = duck.data_chunk_get_size(in); i < n; i++) {
        if (valid(mask, i))
            duck.vector_assign_string_element_len(out, i, t, text(data, i, t));
        else
            set_null(out, i);
    }
}

static void
text_of_double(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out)
{
    (void)info;
    each_text(in, out, double_text);
}

static void
text_of_naive(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out)
{
    (void)info;
    each_text(in, out, naive_text);
}

static void
text_of_utc(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out)
{
    (void)info;
    each_text(in, out, utc_text);
}

static const char *
text_of(const duckdb_string_t *s, size_t *len)
{
    *len = s->value.inlined.length;
    return *len <= 12 ? s->value.inlined.inlined : s->value.pointer.ptr;
}

static void
json_same(duckdb_function_info info, duckdb_data_chunk in, duckdb_vector out)
{
    duckdb_vector va = duck.data_chunk_get_vector(in, 0), vb = duck.data_chunk_get_vector(in, 1);
    duckdb_string_t *a = duck.vector_get_data(va), *b = duck.vector_get_data(vb);
    const uint64_t *ma = duck.vector_get_validity(va), *mb = duck.vector_get_validity(vb);
    bool *same = duck.vector_get_data(out);
    const char *ta, *tb;
    size_t na, nb;

    (void)info;
    for (idx_t i = 0, n = duck.data_chunk_get_size(in); i < n; i++) {
        if (!valid(ma, i) || !valid(mb, i)) {
            same[i] = valid(ma, i) == valid(mb, i);
            continue;
        }
        ta = text_of(&a[i], &na);
        tb = text_of(&b[i], &nb);
        same[i] = sl_json_same(ta, na, tb, nb);
    }
}

/* Every overload: name, argument types, result. */
static const struct {
    const char *name;
    duckdb_type args[2];
    int nargs;
    duckdb_type result;
    duckdb_scalar_function_t fn;
} functions[] = {
    { "sl_text", { DUCKDB_TYPE_DOUBLE }, 1, DUCKDB_TYPE_VARCHAR, text_of_double },
    { "sl_text_naive", { DUCKDB_TYPE_TIMESTAMP }, 1, DUCKDB_TYPE_VARCHAR, text_of_naive },
    { "sl_text_utc", { DUCKDB_TYPE_TIMESTAMP_TZ }, 1, DUCKDB_TYPE_VARCHAR, text_of_utc },
    { "sl_json_same",
      { DUCKDB_TYPE_VARCHAR, DUCKDB_TYPE_VARCHAR },
      2,
      DUCKDB_TYPE_BOOLEAN,
      json_same },
};

sl_rc
sl_duck_functions(duckdb_connection con, struct sl_err *err)
{
    sl_rc rc = 0;

    for (size_t i = 0; i < sizeof functions / sizeof functions[0] && rc == 0; i++) {
        duckdb_scalar_function f = duck.create_scalar_function();
        duckdb_logical_type t;

        duck.scalar_function_set_name(f, functions[i].name);
        for (int a = 0; a < functions[i].nargs; a++) {
            t = duck.create_logical_type(functions[i].args[a]);
            duck.scalar_function_add_parameter(f, t);
            duck.destroy_logical_type(&t);
        }
        t = duck.create_logical_type(functions[i].result);
        duck.scalar_function_set_return_type(f, t);
        duck.destroy_logical_type(&t);
        duck.scalar_function_set_function(f, functions[i].fn);
        if (duck.register_scalar_function(con, f) != DuckDBSuccess)
            rc = sl_fail(err, SL_E_INTERNAL, "SQL function %s could not be registered",
                         functions[i].name);
        duck.destroy_scalar_function(&f);
    }
    return rc;
}
