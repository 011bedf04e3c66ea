/* functions.h - SQL functions of ours: text forms and comparisons that must not be the warehouse's. */
#ifndef SL_DUCKDB_FUNCTIONS_H
#define SL_DUCKDB_FUNCTIONS_H

#include "base/err.h"
#include "destinations/duckdb/api.h"

/* Registers, once per open file:
 *   sl_text(DOUBLE), sl_text_naive(TIMESTAMP), sl_text_utc(TIMESTAMPTZ) → VARCHAR   the text form of model/cell.h
 *   sl_json_same(VARCHAR, VARCHAR) → BOOLEAN              equal as JSON values */
SL_MUST_CHECK sl_rc sl_duck_functions(duckdb_connection con, struct sl_err *err);

#endif
