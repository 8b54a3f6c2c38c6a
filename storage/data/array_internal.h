/* array_internal.h: how one element lies inside an array or a record: u32 byte length (UINT32_MAX: NULL),
 * bytes. */
#ifndef MILLRACE_DATA_ARRAY_INTERNAL_H
#define MILLRACE_DATA_ARRAY_INTERNAL_H

#include "storage/base/check.h"
#include "storage/data/datum.h"

#include <stddef.h>

#define ELEMENT_NULL      UINT32_MAX
#define ELEMENT_DEPTH_MAX 64 /* records in arrays in records ...: deeper values are refused when read */

static inline size_t element_bytes(enum phys phys, const struct datum *value)
{
    if (value->is_null)
        return 4;
    return 4 + (phys == PHYS_VAR ? (size_t)value->var.len : phys_bytes(phys));
}

static inline uint8_t *element_write(uint8_t *to, enum phys phys, const struct datum *value)
{
    uint32_t len = ELEMENT_NULL;
    if (!value->is_null)
        len = phys == PHYS_VAR ? value->var.len : phys_bytes(phys);
    memcpy(to, &len, 4);
    to += 4;
    if (value->is_null)
        return to;
    /* every member of the union starts at its beginning */
    const void *from = phys == PHYS_VAR ? (const void *)varlen_bytes(&value->var) : (const void *)&value->i64;
    if (len > 0)
        memcpy(to, from, len);
    return to + len;
}

static inline const uint8_t *element_read(const uint8_t *from, const uint8_t *end, enum phys phys,
                                          struct datum *out)
{
    uint32_t len;
    CHECK(end - from >= 4);
    memcpy(&len, from, 4);
    from += 4;
    memset(out, 0, sizeof(*out));
    if (len == ELEMENT_NULL) {
        out->is_null = true;
        return from;
    }
    CHECK((size_t)(end - from) >= len);
    if (phys == PHYS_VAR) {
        out->var = varlen_view(from, len);
    } else {
        CHECK(len == phys_bytes(phys));
        memcpy(&out->i64, from, len > 8 ? 8 : len);
        if (len == 16)
            memcpy(out->fix16, from, 16);
    }
    return from + len;
}

/* For bytes from disk: steps over one element whose header starts `skip` bytes behind *at; false when
 * damaged. */
bool element_is_valid(const uint8_t **at, const uint8_t *end, uint32_t type_oid, int depth, size_t skip);
/* Is the encoding of an array whole, at every depth? */
bool array_is_valid(const uint8_t *bytes, size_t len, uint32_t array_oid, int depth);

#endif
