/* op_saved.h: what the saved tables of operators (storage/state/saved_table.h) have in common: a row is SQL columns, and
 * behind them some int8 of the operator's own. Internal to this folder. */
#ifndef MILLRACE_OPERATORS_OP_SAVED_H
#define MILLRACE_OPERATORS_OP_SAVED_H

#include "executor/operators/op_common.h"
#include "storage/state/hashed_table.h"
#include "storage/state/ordered_table.h"

/* ---- saving ---- */

/* The types of such a row; in the tables' arena. */
const struct sql_type *op_saved_types(const struct saved_tables *out, const struct sql_type *types,
                                      uint32_t count, uint32_t numbers);
/* All columns of stored rows into out[0..columns of the layout), text copied. */
void op_saved_rows(const struct row_layout *layout, const uint8_t *const *rows, uint32_t count,
                   struct column *out, struct arena *arena);
/* The same of rows in these slots. */
void op_saved_slots(struct ordered_table *table, const uint32_t *slots, uint32_t count, struct column *out,
                    struct arena *arena);
/* Makes an int8 column: its values, to be filled. */
int64_t *op_saved_numbers(struct column *out, uint32_t count, struct arena *arena);
/* Adds a table whose payloads are not saved, as they follow from other tables. types: of its keys. */
void op_saved_keys(struct saved_tables *out, const char *name, struct hashed_table *table,
                   const struct sql_type *types, uint32_t count);
/* Appends little-endian integers: for save_rest. */
void op_rest_add(struct strbuf *out, const int64_t *values, uint32_t count);

/* ---- restoring ---- */

/* XX001, always false. */
bool op_saved_damaged(struct error *err);
/* Is this version of a table one that is known here, the only one so far? XX001 */
MUST_CHECK
bool op_saved_version(uint32_t version, struct error *err);
/* The first columns of restored rows; a header in *out that borrows everything. */
const struct batch *op_restored_columns(const struct batch *rows, uint32_t columns_count, struct batch *out);
/* Values of an int8 column; NULLs are 0. */
const int64_t *op_restored_numbers(const struct batch *rows, uint32_t column);
/* Gives back exactly so many integers. XX001 */
MUST_CHECK
bool op_rest_take(const void *rest, size_t rest_bytes, int64_t *values, uint32_t count, struct error *err);

/* ---- walking over slots ---- */

/* The next slot in use; *cursor starts at 0; SLOT_NONE at the end. */
static inline uint32_t op_slots_next(const struct slot_pages *slots, uint32_t *cursor)
{
    while (*cursor < slots->used) {
        uint32_t slot = (*cursor)++;
        if (slot_header(slot_pages_at(slots, slot)) != 0)
            return slot;
    }
    return SLOT_NONE;
}

/* Does the number name a slot in use? */
static inline bool op_slots_have(const struct slot_pages *slots, int64_t slot)
{
    return slot >= 0 && slot < slots->used && slot_header(slot_pages_at(slots, (uint32_t)slot)) != 0;
}

#endif
