/* arrangement_saved.c: what a checkpoint saves of an arrangement: its rows. What leads to them is made again. */
#include "storage/state/arrangement_internal.h"

#define SAVED_VERSION 1u

static void gather_rows(struct arrangement *a, const uint8_t *const *rows, uint32_t count, struct column *out,
                        struct arena *arena)
{
    for (uint32_t c = 0; c < a->layout.columns_count; c++)
        row_layout_gather(&a->layout, rows, count, c, true, &out[c], arena);
}

static uint64_t *hash_keys(const struct arrangement *a, const struct batch *rows)
{
    uint64_t *hashes = mem_alloc(sizeof(*hashes) * rows->rows);
    batch_hash(rows, a->key_columns, a->key_count, hashes);
    return hashes;
}

/* ---- rows in slots ---- */

static void gather(void *of, const uint32_t *slots, uint32_t count, struct column *out, struct arena *arena)
{
    struct arrangement *a = of;
    const uint8_t **rows = arena_alloc(arena, sizeof(*rows) * count);
    for (uint32_t i = 0; i < count; i++) {
        rows[i] = arrangement_row(a, slots[i]);
        __builtin_prefetch(rows[i]);
    }
    gather_rows(a, rows, count, out, arena);
    struct column *weights = &out[a->layout.columns_count];
    column_init(weights, (struct sql_type){OID_INT8, -1}, count, arena);
    for (uint32_t i = 0; i < count; i++)
        ((int64_t *)weights->data)[i] = arrangement_meta(a, slots[i])->weight;
}

/* Rows first .. first + count of the batch, at most a group. */
static bool restore_group(struct arrangement *a, const uint32_t *slots, const struct batch *rows,
                          uint32_t first, uint32_t count, const uint64_t *hashes, struct error *err)
{
    uint8_t *stored[PREFETCH_GROUP];
    uint32_t source[PREFETCH_GROUP];
    for (uint32_t i = 0; i < count; i++) {
        if (slots[first + i] >= a->slots.used)
            return error_set(err, ERRCODE_DATA_CORRUPTED, "a saved row has the number %u of %u",
                             slots[first + i], a->slots.used);
        stored[i] = arrangement_row(a, slots[first + i]);
        __builtin_prefetch(stored[i], 1);
        hash_index_prefetch(&a->index, hashes[first + i]);
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t head = hash_index_peek(&a->index, hashes[first + i]);
        if (head == SLOT_NONE) {
            hash_index_prefetch_insert(&a->index, hashes[first + i]);
        } else {
            __builtin_prefetch(arrangement_row(a, head));
            __builtin_prefetch(arrangement_meta(a, head), 1);
        }
        if (slot_header(stored[i]) != 0)
            return error_set(err, ERRCODE_DATA_CORRUPTED, "two saved rows have the number %u",
                             slots[first + i]);
        source[i] = first + i;
        slot_set_header(stored[i], hash_31(hashes[first + i]) | SLOT_LIVE);
        slot_pages_take(&a->slots, slots[first + i]);
    }
    row_layout_store_many(&a->layout, stored, rows, source, count, a->heap);
    const int64_t *weights = rows->columns[a->layout.columns_count].data;
    for (uint32_t i = 0; i < count; i++)
        *arrangement_meta(a, slots[first + i]) =
            (struct row_meta){.weight = weights[first + i], .link = LIST_NONE};
    for (uint32_t i = 0; i < count; i++)
        arrangement_link(a, rows, first + i, hashes[first + i], slots[first + i]);
    return true;
}

static bool restore(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                    struct error *err)
{
    struct arrangement *a = of;
    if (version != SAVED_VERSION || rows->columns_count != a->layout.columns_count + 1)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "saved rows are not of this form");
    arrangement_note_nulls(a, rows);
    hash_index_reserve(&a->index, a->slots.used / 4); /* of keys, which are fewer */
    uint64_t *hashes = hash_keys(a, rows);
    bool ok = true;
    for (uint32_t first = 0; ok && first < rows->rows; first += PREFETCH_GROUP) {
        uint32_t count = rows->rows - first < PREFETCH_GROUP ? rows->rows - first : PREFETCH_GROUP;
        ok = restore_group(a, slots, rows, first, count, hashes, err);
    }
    mem_free(hashes);
    return ok;
}

/* ---- append-only ---- */

static void bounds(const void *of, uint64_t *first, uint64_t *end)
{
    const struct arrangement *a = of;
    *first = 0;
    *end = a->slots.used;
}

static void gather_range(void *of, uint64_t first, uint32_t *count, struct column *out, struct arena *arena)
{
    struct arrangement *a = of;
    const uint8_t **rows = arena_alloc(arena, sizeof(*rows) * *count);
    for (uint32_t i = 0; i < *count; i++)
        rows[i] = arrangement_row(a, (uint32_t)first + i);
    gather_rows(a, rows, *count, out, arena);
}

static bool append(void *of, uint64_t first, const struct batch *rows, uint32_t version, struct error *err)
{
    struct arrangement *a = of;
    if (version != SAVED_VERSION || rows->columns_count != a->layout.columns_count || first != a->slots.used)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "saved rows are not of this form");
    arrangement_note_nulls(a, rows);
    uint64_t *hashes = hash_keys(a, rows);
    append_only_apply(a, rows, hashes);
    mem_free(hashes);
    return true;
}

void arrangement_saved(struct arrangement *a, const char *name, struct saved_tables *out)
{
    struct saved_table table = {.name = name,
                                .version = SAVED_VERSION,
                                .columns_count = a->layout.columns_count,
                                .types = a->layout.types,
                                .of = a};
    if (a->append_only) {
        table.rows = &a->saved;
        table.bounds = bounds;
        table.gather_range = gather_range;
        table.append = append;
        saved_tables_add(out, table);
        return;
    }
    struct sql_type *types = arena_alloc(out->arena, sizeof(*types) * (table.columns_count + 1));
    memcpy(types, a->layout.types, sizeof(*types) * table.columns_count);
    types[table.columns_count++] = (struct sql_type){OID_INT8, -1};
    table.types = types;
    table.slots = &a->slots;
    table.gather = gather;
    table.restore = restore;
    saved_tables_add(out, table);
}
