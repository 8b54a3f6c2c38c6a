/* array.c: the encoding of arrays, see array.h. */
#include "storage/data/array.h"

#include "storage/base/limits.h"
#include "storage/data/array_internal.h"
#include "storage/data/record.h"
#include "storage/data/type.h"

#define ARRAY_HEAD_BYTES 8
#define ARRAY_HAS_NULLS  1

static uint32_t load_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, 4);
    return value;
}

void array_open(const struct varlen *value, struct array_view *out)
{
    const uint8_t *bytes = varlen_bytes(value);
    CHECK(value->len >= ARRAY_HEAD_BYTES);
    memset(out, 0, sizeof(*out));
    out->element_oid = load_u32(bytes);
    out->ndim = bytes[4];
    CHECK(out->ndim <= ARRAY_DIMS_MAX);
    CHECK(value->len >= ARRAY_HEAD_BYTES + 8u * (uint32_t)out->ndim);
    out->count = out->ndim > 0;
    for (int32_t i = 0; i < out->ndim; i++) {
        out->lengths[i] = (int32_t)load_u32(bytes + ARRAY_HEAD_BYTES + 8 * i);
        out->lower_bounds[i] = (int32_t)load_u32(bytes + ARRAY_HEAD_BYTES + 8 * i + 4);
        out->count *= (uint32_t)out->lengths[i];
    }
    out->elements = bytes + ARRAY_HEAD_BYTES + 8 * out->ndim;
    out->end = bytes + value->len;
}

bool array_next(const struct array_view *view, const uint8_t **cursor, struct datum *out)
{
    if (*cursor == view->end)
        return false;
    *cursor = element_read(*cursor, view->end, type_phys(view->element_oid), out);
    return true;
}

struct datum array_get(const struct array_view *view, uint32_t index)
{
    CHECK(index < view->count);
    const uint8_t *at = view->elements;
    for (uint32_t i = 0; i < index; i++) {
        uint32_t len = load_u32(at);
        at += 4 + (len == ELEMENT_NULL ? 0 : len);
    }
    struct datum value;
    element_read(at, view->end, type_phys(view->element_oid), &value);
    return value;
}

struct datum *array_elements(const struct array_view *view, struct arena *arena)
{
    struct datum *items = ARENA_ARRAY(arena, struct datum, view->count);
    enum phys phys = type_phys(view->element_oid);
    const uint8_t *at = view->elements;
    for (uint32_t i = 0; i < view->count; i++)
        at = element_read(at, view->end, phys, &items[i]);
    return items;
}

struct varlen array_make_dims(struct arena *arena, uint32_t element_oid, const struct datum *elements,
                              int32_t ndim, const int32_t *lengths, const int32_t *lower_bounds)
{
    enum phys phys = type_phys(element_oid);
    uint64_t count = ndim > 0;
    CHECK(ndim >= 0 && ndim <= ARRAY_DIMS_MAX);
    for (int32_t i = 0; i < ndim; i++)
        count *= (uint32_t)lengths[i];
    if (count == 0)
        ndim = 0;
    size_t bytes = ARRAY_HEAD_BYTES + 8u * (size_t)ndim;
    uint8_t flags = 0;
    for (uint64_t i = 0; i < count; i++) {
        bytes += element_bytes(phys, &elements[i]);
        flags |= elements[i].is_null ? ARRAY_HAS_NULLS : 0;
    }
    CHECK(bytes < UINT32_MAX);
    uint8_t *start = arena_alloc(arena, bytes), *to = start + ARRAY_HEAD_BYTES;
    memcpy(start, &element_oid, 4);
    start[4] = (uint8_t)ndim;
    start[5] = flags;
    start[6] = start[7] = 0;
    for (int32_t i = 0; i < ndim; i++) {
        memcpy(to, &lengths[i], 4);
        memcpy(to + 4, &lower_bounds[i], 4);
        to += 8;
    }
    for (uint64_t i = 0; i < count; i++)
        to = element_write(to, phys, &elements[i]);
    return varlen_view(start, (uint32_t)bytes);
}

struct varlen array_make(struct arena *arena, uint32_t element_oid, const struct datum *elements,
                         uint32_t count)
{
    int32_t length = (int32_t)count, lower_bound = 1;
    return array_make_dims(arena, element_oid, elements, 1, &length, &lower_bound);
}

bool element_is_valid(const uint8_t **at, const uint8_t *end, uint32_t type_oid, int depth, size_t skip)
{
    if ((size_t)(end - *at) < skip + 4)
        return false;
    const uint8_t *from = *at + skip + 4;
    uint32_t len = load_u32(from - 4);
    if (len == ELEMENT_NULL) {
        *at = from;
        return true;
    }
    if ((size_t)(end - from) < len)
        return false;
    const struct type_row *row = type_find(type_oid);
    if (row->phys != PHYS_VAR) {
        if (len != phys_bytes(row->phys))
            return false;
    } else if (row->element_oid != 0) {
        if (!array_is_valid(from, len, type_oid, depth + 1))
            return false;
    } else if (type_oid == OID_RECORD) {
        if (!record_is_valid(from, len, depth + 1))
            return false;
    }
    *at = from + len;
    return true;
}

bool array_is_valid(const uint8_t *bytes, size_t len, uint32_t array_oid, int depth)
{
    if (len < ARRAY_HEAD_BYTES || depth > ELEMENT_DEPTH_MAX)
        return false;
    uint32_t element_oid = load_u32(bytes);
    const struct type_row *row = type_find(array_oid);
    uint32_t ndim = bytes[4];
    if (row == NULL || row->element_oid != element_oid || ndim > ARRAY_DIMS_MAX ||
        len < ARRAY_HEAD_BYTES + 8u * ndim)
        return false;
    uint64_t count = ndim > 0;
    for (uint32_t i = 0; i < ndim; i++) {
        uint32_t length = load_u32(bytes + ARRAY_HEAD_BYTES + 8 * i);
        count *= length;
        if (length > INT32_MAX || count > VALUE_BYTES_MAX)
            return false;
    }
    const uint8_t *at = bytes + ARRAY_HEAD_BYTES + 8 * ndim, *end = bytes + len;
    for (uint64_t i = 0; i < count; i++) {
        if (!element_is_valid(&at, end, element_oid, depth, 0))
            return false;
    }
    return at == end;
}
