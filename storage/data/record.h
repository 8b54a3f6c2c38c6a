/* record.h: a row value of any types as one variable-length value (ROW(1, 'a')).
 *
 * Encoding (little-endian): u32 count, then per field u32 type oid, u32 byte length (UINT32_MAX: NULL) and
 * its bytes: fixed types as in memory, variable ones as their bytes. */
#ifndef MILLRACE_DATA_RECORD_H
#define MILLRACE_DATA_RECORD_H

#include "storage/base/arena.h"
#include "storage/data/datum.h"

struct record_view {
    uint32_t count;
    const uint8_t *fields;
    const uint8_t *end;
};

struct varlen record_make(struct arena *arena, const uint32_t *type_oids, const struct datum *values,
                          uint32_t count);
/* Borrowed. CHECKs the format. */
void record_open(const struct varlen *value, struct record_view *out);
/* *cursor starts at view->fields. false at the end. */
bool record_next(const struct record_view *view, const uint8_t **cursor, uint32_t *type_oid,
                 struct datum *out);
/* Is the encoding whole and of known types, at every depth? For bytes read from disk. */
bool record_is_valid(const uint8_t *bytes, size_t len, int depth);

#endif
