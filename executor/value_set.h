/* value_set.h: a read-only hash set of values of one type, for IN lists and "= ANY" of constant arrays. */
#ifndef MILLRACE_EXECUTOR_VALUE_SET_H
#define MILLRACE_EXECUTOR_VALUE_SET_H

#include "storage/data/batch.h"

struct value_set;

/* In the arena; text is borrowed. NULLs are only remembered to be there. */
struct value_set *value_set_create(struct arena *arena, uint32_t type_oid, const struct datum *values,
                                   uint32_t count);
/* x IN (set) with SQL's logic for `rows` rows: found[i], and nulls[i] = 1 (found 0) where the answer is
 * unknown. Returns whether any is unknown. */
bool value_set_contains(const struct value_set *set, const struct column *values, uint32_t rows,
                        uint8_t *found, uint8_t *nulls);

#endif
