/* openapi.h - docs/openapi.json, made part of the program when it is built (openapi.S). */
#ifndef SL_API_OPENAPI_H
#define SL_API_OPENAPI_H

#include <stddef.h>

extern const char sl_openapi[];
extern const size_t sl_openapi_len;

#endif
