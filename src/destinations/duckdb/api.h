/* api.h - libduckdb, loaded at run time by path, so that a missing or foreign library is a clear message and commands that
 * need no warehouse never pay for loading 70 MB.
 *
 * Use: sl_duck_load() once (threads may race), then the functions as duck.query(…), the C API's names without `duckdb_`.
 */
#ifndef SL_DUCKDB_API_H
#define SL_DUCKDB_API_H

#include "base/err.h"

#include <duckdb.h>

/* The file format version all our files have; a newer library's file is refused with the reason. */
#define SL_DUCKDB_VERSION "v1.5.5"

#define SL_DUCK_FUNCTIONS(X)                                                                       \
    X(library_version)                                                                             \
    X(create_config)                                                                               \
    X(set_config)                                                                                  \
    X(destroy_config)                                                                              \
    X(open_ext)                                                                                    \
    X(close)                                                                                       \
    X(connect)                                                                                     \
    X(disconnect)                                                                                  \
    X(query)                                                                                       \
    X(destroy_result)                                                                              \
    X(result_error)                                                                                \
    X(rows_changed)                                                                                \
    X(column_count)                                                                                \
    X(column_type)                                                                                 \
    X(fetch_chunk)                                                                                 \
    X(data_chunk_get_size)                                                                         \
    X(prepare)                                                                                     \
    X(prepare_error)                                                                               \
    X(destroy_prepare)                                                                             \
    X(bind_varchar_length)                                                                         \
    X(bind_int64)                                                                                  \
    X(bind_boolean)                                                                                \
    X(bind_null)                                                                                   \
    X(execute_prepared)                                                                            \
    X(free)                                                                                        \
    X(appender_create_ext)                                                                         \
    X(appender_add_column)                                                                         \
    X(appender_error)                                                                              \
    X(appender_flush)                                                                              \
    X(appender_close)                                                                              \
    X(appender_destroy)                                                                            \
    X(append_data_chunk)                                                                           \
    X(create_logical_type)                                                                         \
    X(create_decimal_type)                                                                         \
    X(destroy_logical_type)                                                                        \
    X(create_data_chunk)                                                                           \
    X(destroy_data_chunk)                                                                          \
    X(data_chunk_reset)                                                                            \
    X(data_chunk_get_vector)                                                                       \
    X(data_chunk_set_size)                                                                         \
    X(vector_size)                                                                                 \
    X(vector_get_data)                                                                             \
    X(vector_get_validity)                                                                         \
    X(vector_ensure_validity_writable)                                                             \
    X(vector_assign_string_element_len)                                                            \
    X(create_scalar_function)                                                                      \
    X(destroy_scalar_function)                                                                     \
    X(scalar_function_set_name)                                                                    \
    X(scalar_function_add_parameter)                                                               \
    X(scalar_function_set_return_type)                                                             \
    X(scalar_function_set_function)                                                                \
    X(scalar_function_set_error)                                                                   \
    X(register_scalar_function)

struct sl_duck_api {
#define X(f) __typeof__(&duckdb_##f) f;
    SL_DUCK_FUNCTIONS(X)
#undef X
};

extern struct sl_duck_api duck;

/* Loads from $SLUICE_DUCKDB_LIB, or beside the package, or by the system's search. */
SL_MUST_CHECK sl_rc sl_duck_load(struct sl_err *err);

#endif
