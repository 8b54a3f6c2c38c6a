/* op_saved.c: see op_saved.h. */
#include "executor/operators/op_saved.h"

const struct sql_type *op_saved_types(const struct saved_tables *out, const struct sql_type *types,
                                      uint32_t count, uint32_t numbers)
{
    struct sql_type *all = ARENA_ARRAY(out->arena, struct sql_type, count + numbers + 1);
    if (count > 0)
        memcpy(all, types, sizeof(*types) * count);
    for (uint32_t i = 0; i < numbers; i++)
        all[count + i] = (struct sql_type){OID_INT8, -1};
    return all;
}

void op_saved_rows(const struct row_layout *layout, const uint8_t *const *rows, uint32_t count,
                   struct column *out, struct arena *arena)
{
    for (uint32_t c = 0; c < layout->columns_count; c++)
        row_layout_gather(layout, rows, count, c, true, &out[c], arena);
}

void op_saved_slots(struct ordered_table *table, const uint32_t *slots, uint32_t count, struct column *out,
                    struct arena *arena)
{
    const uint8_t **rows = arena_alloc(arena, sizeof(*rows) * count);
    for (uint32_t i = 0; i < count; i++)
        rows[i] = ordered_table_row(table, slots[i]);
    op_saved_rows(ordered_table_layout(table), rows, count, out, arena);
}

int64_t *op_saved_numbers(struct column *out, uint32_t count, struct arena *arena)
{
    column_init(out, (struct sql_type){OID_INT8, -1}, count, arena);
    return out->data;
}

/* ---- tables of keys ---- */

struct saved_keys {
    struct hashed_table *table;
    uint32_t *columns; /* 0, 1, ... */
    uint32_t count;
};

static void gather_keys(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                        struct arena *arena)
{
    hashed_table_gather_keys(((struct saved_keys *)of)->table, slots, count, out, arena);
}

static bool restore_keys(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                         struct error *err)
{
    const struct saved_keys *keys = of;
    if (!op_saved_version(version, err))
        return false;
    uint64_t *hashes = mem_alloc(sizeof(*hashes) * (rows->rows + 1));
    batch_hash(rows, keys->columns, keys->count, hashes);
    for (uint32_t i = 0; i < rows->rows; i++)
        hashed_table_restore(keys->table, slots[i], rows, i, keys->columns, hashes);
    mem_free(hashes);
    return true;
}

void op_saved_keys(struct saved_tables *out, const char *name, struct hashed_table *table,
                   const struct sql_type *types, uint32_t count)
{
    struct saved_keys *keys = ARENA_NEW(out->arena, struct saved_keys);
    *keys = (struct saved_keys){
        .table = table, .columns = ARENA_ARRAY(out->arena, uint32_t, count + 1), .count = count};
    for (uint32_t k = 0; k < count; k++)
        keys->columns[k] = k;
    saved_tables_add(out, (struct saved_table){.name = name,
                                               .version = 1,
                                               .columns_count = count,
                                               .types = op_saved_types(out, types, count, 0),
                                               .of = keys,
                                               .slots = hashed_table_slots(table),
                                               .index = hashed_table_index(table),
                                               .gather = gather_keys,
                                               .restore = restore_keys});
}

/* ---- restoring ---- */

bool op_saved_damaged(struct error *err)
{
    return error_set(err, ERRCODE_DATA_CORRUPTED, "saved state is damaged");
}

bool op_saved_version(uint32_t version, struct error *err)
{
    return version == 1 ||
           error_set(err, ERRCODE_DATA_CORRUPTED, "saved state has version %u, which is not known", version);
}

const struct batch *op_restored_columns(const struct batch *rows, uint32_t columns_count, struct batch *out)
{
    *out = (struct batch){.rows = rows->rows, .columns_count = columns_count, .columns = rows->columns};
    return out;
}

const int64_t *op_restored_numbers(const struct batch *rows, uint32_t column)
{
    return rows->columns[column].data;
}

/* ---- the rest ---- */

void op_rest_add(struct strbuf *out, const int64_t *values, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint8_t bytes[8];
        for (uint32_t b = 0; b < 8; b++)
            bytes[b] = (uint8_t)((uint64_t)values[i] >> 8 * b);
        strbuf_add(out, bytes, sizeof(bytes));
    }
}

bool op_rest_take(const void *rest, size_t rest_bytes, int64_t *values, uint32_t count, struct error *err)
{
    const uint8_t *bytes = rest;
    if (rest_bytes != (size_t)count * 8)
        return op_saved_damaged(err);
    for (uint32_t i = 0; i < count; i++) {
        uint64_t value = 0;
        for (uint32_t b = 0; b < 8; b++)
            value |= (uint64_t)bytes[8 * i + b] << 8 * b;
        values[i] = (int64_t)value;
    }
    return true;
}
