/* replace.c: see replace.h. */
#include "executor/replace.h"

void relation_find_present(struct relation *relation, const struct batch *rows, const uint32_t *key_columns,
                           struct batch *out, struct arena *arena)
{
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * rows->rows);
    batch_hash(rows, key_columns, relation->key_count, hashes);
    uint32_t *lists[SHARDS_MAX], counts[SHARDS_MAX];
    relation_partition(relation, rows, hashes, arena, lists, counts);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        if (counts[shard] == 0)
            continue;
        struct batch *piece = batch_header(arena, rows->columns_count);
        uint64_t *piece_hashes = arena_alloc(arena, sizeof(*piece_hashes) * counts[shard]);
        piece->rows = counts[shard];
        for (uint32_t i = 0; i < counts[shard]; i++)
            piece_hashes[i] = hashes[lists[shard][i]];
        for (uint32_t i = 0; i < relation->key_count; i++) {
            uint32_t c = key_columns[i];
            column_gather(&piece->columns[c], &rows->columns[c], lists[shard], counts[shard], arena);
        }
        uint8_t *found = arena_alloc(arena, counts[shard]);
        row_store_current(relation->stores[shard], piece, key_columns, piece_hashes, found, NULL, out);
    }
}

const struct batch *replace_by_key(struct relation *relation, const struct batch *change, struct arena *arena)
{
    struct batch *old =
        batch_create(arena, relation_shape(relation)->types, relation_shape(relation)->columns_count, 16);
    relation_find_present(relation, change, relation->key_columns, old, arena);
    if (old->rows == 0 && change->weights == NULL)
        return change;
    struct batch *net = batch_create(arena, relation_shape(relation)->types,
                                     relation_shape(relation)->columns_count, old->rows + change->rows);
    batch_append_range(net, old, 0, old->rows, -1);
    uint32_t *inserted = arena_alloc(arena, sizeof(*inserted) * (change->rows + 1)), count = 0;
    for (uint32_t row = 0; row < change->rows; row++) {
        inserted[count] = row;
        count += batch_weight(change, row) > 0;
    }
    batch_append_rows(net, change, inserted, count, 1);
    return batch_consolidate(net, arena);
}
