/* array.h: arrays of any element type as variable-length values (PostgreSQL manual 8.15).
 *
 * Encoding (little-endian): u32 element oid, u8 ndim, u8 flags (1: has NULLs), u16 zero, then per dimension
 * i32 length and i32 lower bound, then per element u32 byte length (UINT32_MAX: NULL) and its bytes: fixed
 * types as in memory, variable ones as their bytes. Empty arrays have ndim 0. int2vector and oidvector are
 * arrays with lower bound 0. */
#ifndef MILLRACE_DATA_ARRAY_H
#define MILLRACE_DATA_ARRAY_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/data/datum.h"

#define ARRAY_DIMS_MAX 6

struct array_view {
    uint32_t element_oid;
    int32_t ndim;
    int32_t lengths[ARRAY_DIMS_MAX];
    int32_t lower_bounds[ARRAY_DIMS_MAX];
    uint32_t count; /* elements in all */
    const uint8_t *elements;
    const uint8_t *end;
};

/* Opens an array value; borrowed, also from *value itself when it is inline. CHECKs the format: values inside
 * the server are always well formed. */
void array_open(const struct varlen *value, struct array_view *out);
/* Iterates: *cursor starts at view->elements. Text is borrowed. false at the end. */
bool array_next(const struct array_view *view, const uint8_t **cursor, struct datum *out);
/* Element by 0-based flat index; walks from the start for variable-length elements. */
struct datum array_get(const struct array_view *view, uint32_t index);
/* All elements as an array in the arena. */
struct datum *array_elements(const struct array_view *view, struct arena *arena);
/* One-dimensional, lower bound 1. */
struct varlen array_make(struct arena *arena, uint32_t element_oid, const struct datum *elements,
                         uint32_t count);
struct varlen array_make_dims(struct arena *arena, uint32_t element_oid, const struct datum *elements,
                              int32_t ndim, const int32_t *lengths, const int32_t *lower_bounds);

#endif
