/* type_check.h: may bytes read from disk stand for a value of this variable-length type? */
#ifndef MILLRACE_DATA_TYPE_CHECK_H
#define MILLRACE_DATA_TYPE_CHECK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool var_bytes_valid(uint32_t oid, const uint8_t *bytes, size_t len);

#endif
