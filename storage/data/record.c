/* record.c: encoding of row values. */
#include "storage/data/record.h"

#include "storage/base/check.h"
#include "storage/data/array_internal.h"
#include "storage/data/type.h"

struct varlen record_make(struct arena *arena, const uint32_t *type_oids, const struct datum *values,
                          uint32_t count)
{
    size_t bytes = 4;
    for (uint32_t i = 0; i < count; i++)
        bytes += 4 + element_bytes(type_phys(type_oids[i]), &values[i]);
    CHECK(bytes < UINT32_MAX);
    uint8_t *start = arena_alloc(arena, bytes), *to = start;
    memcpy(to, &count, 4);
    to += 4;
    for (uint32_t i = 0; i < count; i++) {
        memcpy(to, &type_oids[i], 4);
        to = element_write(to + 4, type_phys(type_oids[i]), &values[i]);
    }
    return varlen_view(start, (uint32_t)bytes);
}

void record_open(const struct varlen *value, struct record_view *out)
{
    const uint8_t *bytes = varlen_bytes(value);
    CHECK(value->len >= 4);
    memcpy(&out->count, bytes, 4);
    out->fields = bytes + 4;
    out->end = bytes + value->len;
}

bool record_next(const struct record_view *view, const uint8_t **cursor, uint32_t *type_oid,
                 struct datum *out)
{
    if (*cursor == view->end)
        return false;
    CHECK(view->end - *cursor >= 8);
    memcpy(type_oid, *cursor, 4);
    *cursor = element_read(*cursor + 4, view->end, type_phys(*type_oid), out);
    return true;
}

bool record_is_valid(const uint8_t *bytes, size_t len, int depth)
{
    uint32_t count;
    if (len < 4 || depth > ELEMENT_DEPTH_MAX)
        return false;
    memcpy(&count, bytes, 4);
    const uint8_t *at = bytes + 4, *end = bytes + len;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t oid;
        if (end - at < 8)
            return false;
        memcpy(&oid, at, 4);
        if (type_find(oid) == NULL || !element_is_valid(&at, end, oid, depth, 4))
            return false;
    }
    return at == end;
}
