/* kept_rows.c: see kept_rows.h. An entry is the row's column of arrival and its key, in this order. */
#include "executor/kept_rows.h"

#include "storage/state/ordered_table.h"

struct kept_rows {
    struct relation *relation;
    uint32_t columns_count; /* of an entry */
    uint32_t *columns;      /* of the relation */
    struct sort_key *order;
    struct ordered_table *entries;
    uint64_t rows;
    int64_t age_us;
};

struct kept_rows *kept_rows_create(struct relation *relation, uint32_t column)
{
    CHECK(relation->key_count > 0 && relation_shape(relation)->types[column].oid == OID_TIMESTAMPTZ);
    struct kept_rows *kept = mem_zalloc(sizeof(*kept));
    uint32_t count = kept->columns_count = relation->key_count + 1;
    kept->relation = relation;
    kept->columns = mem_zalloc(sizeof(*kept->columns) * count);
    kept->order = mem_zalloc(sizeof(*kept->order) * count);
    kept->columns[0] = column;
    for (uint32_t i = 1; i < count; i++)
        kept->columns[i] = relation->key_columns[i - 1];
    struct sql_type types[COLUMNS_MAX + 1];
    for (uint32_t i = 0; i < count; i++) {
        types[i] = relation_shape(relation)->types[kept->columns[i]];
        kept->order[i].column = kept->columns[i];
    }
    kept->entries = ordered_table_create(types, count, 0, &relation->account);
    return kept;
}

void kept_rows_destroy(struct kept_rows *kept)
{
    if (kept == NULL)
        return;
    ordered_table_destroy(kept->entries);
    mem_free(kept->columns);
    mem_free(kept->order);
    mem_free(kept);
}

void kept_rows_limit(struct kept_rows *kept, uint64_t rows, int64_t age_us)
{
    kept->rows = rows;
    kept->age_us = age_us;
}

void kept_rows_note(struct kept_rows *kept, const struct batch *change)
{
    struct strbuf key = STRBUF_INIT;
    for (int pass = 0; pass < 2; pass++) { /* what goes first: what takes its place may have the same entry */
        for (uint32_t row = 0; row < change->rows; row++) {
            bool comes = batch_weight(change, row) > 0, ignored;
            if (comes != (pass == 1))
                continue;
            key.len = 0;
            batch_encode_key(change, row, kept->order, kept->columns_count, &key);
            if (comes)
                ordered_table_upsert(kept->entries, key.data, (uint32_t)key.len, change, row, kept->columns,
                                     &ignored);
            else
                ordered_table_remove(kept->entries, key.data, (uint32_t)key.len);
        }
    }
    strbuf_release(&key);
}

static uint64_t too_many(const struct kept_rows *kept)
{
    uint64_t rows = ordered_table_rows(kept->entries);
    return kept->rows > 0 && rows > kept->rows ? rows - kept->rows : 0;
}

static int64_t goes_at(const struct kept_rows *kept, const struct ordered_cursor *cursor)
{
    int64_t due, came = row_layout_get(ordered_table_layout(kept->entries),
                                       ordered_table_row(kept->entries, cursor->slot), 0)
                            .i64;
    return kept->age_us == 0 || __builtin_add_overflow(came, kept->age_us, &due) ? INT64_MAX : due;
}

int64_t kept_rows_due(const struct kept_rows *kept)
{
    struct ordered_cursor cursor;
    if (too_many(kept) > 0)
        return INT64_MIN;
    ordered_table_seek(kept->entries, NULL, 0, &cursor);
    return cursor.slot != SLOT_NONE ? goes_at(kept, &cursor) : INT64_MAX;
}

const struct batch *kept_rows_take(struct kept_rows *kept, int64_t clock_us, uint64_t most,
                                   struct arena *arena)
{
    struct relation *relation = kept->relation;
    const struct row_layout *layout = ordered_table_layout(kept->entries);
    const uint8_t **rows = NULL;
    uint32_t count = 0, cap = 0;
    uint64_t excess = too_many(kept);
    struct ordered_cursor cursor;
    ordered_table_seek(kept->entries, NULL, 0, &cursor);
    for (; cursor.slot != SLOT_NONE && count < most && (count < excess || goes_at(kept, &cursor) <= clock_us);
         ordered_cursor_next(&cursor))
        ARENA_PUSH(arena, rows, count, cap, ordered_table_row(kept->entries, cursor.slot));
    if (count == 0)
        return NULL;
    struct batch *gone = batch_header(arena, relation_shape(relation)->columns_count);
    struct datum none = datum_null();
    gone->rows = count;
    gone->weights = arena_alloc(arena, sizeof(*gone->weights) * count);
    for (uint32_t i = 0; i < count; i++)
        gone->weights[i] = -1;
    for (uint32_t c = 0; c < relation_shape(relation)->columns_count; c++) { /* only the key's count */
        column_init_constant(&gone->columns[c], relation_shape(relation)->types[c], &none, arena);
        column_expand(&gone->columns[c], count, arena);
    }
    for (uint32_t i = 1; i < kept->columns_count; i++)
        row_layout_gather(layout, rows, count, i, true, &gone->columns[kept->columns[i]], arena);
    return gone;
}
