/* key_map.c: see key_map.h. Open addressing over entry numbers, at most half full. */
#include "server/key_map.h"

#include <string.h>

#define FIRST_SLOTS 64u

void key_map_init(struct key_map *map, struct arena *arena, const uint32_t *columns, uint32_t columns_count,
                  uint32_t width)
{
    *map =
        (struct key_map){.arena = arena, .columns = columns, .columns_count = columns_count, .width = width};
    if (columns_count == 0) {
        uint32_t *all = ARENA_ARRAY(arena, uint32_t, width);
        for (uint32_t i = 0; i < width; i++)
            all[i] = i;
        map->columns = all;
    }
    map->slots_count = FIRST_SLOTS;
    map->slots = ARENA_ARRAY(arena, uint32_t, map->slots_count);
}

static uint32_t columns_of(const struct key_map *map)
{
    return map->columns_count > 0 ? map->columns_count : map->width;
}

void key_map_hash(const struct key_map *map, const struct batch *rows, uint64_t *hashes)
{
    batch_hash(rows, map->columns, columns_of(map), hashes);
}

static bool equal(const struct key_map *map, const struct key_entry *entry, const struct batch *rows,
                  uint32_t row)
{
    if (!batch_rows_equal(entry->batch, entry->row, map->columns, rows, row, map->columns, columns_of(map)))
        return false;
    if (map->columns_count > 0)
        return true;
    /* equal is not enough: 1.0 and 1.00 are different rows. The batches may be wider than the row. */
    struct batch a = *entry->batch, b = *rows;
    a.columns_count = b.columns_count = map->width;
    return batch_rows_identical(&a, entry->row, &b, row);
}

struct key_entry *key_map_find(struct key_map *map, const struct batch *rows, uint32_t row, uint64_t hash)
{
    uint32_t mask = map->slots_count - 1;
    for (uint32_t at = (uint32_t)hash & mask; map->slots[at] != 0; at = (at + 1) & mask) {
        struct key_entry *entry = &map->entries[map->slots[at] - 1];
        if (entry->hash == hash && equal(map, entry, rows, row))
            return entry;
    }
    return NULL;
}

static void slot_add(struct key_map *map, uint32_t entry)
{
    uint32_t mask = map->slots_count - 1, at = (uint32_t)map->entries[entry].hash & mask;
    while (map->slots[at] != 0)
        at = (at + 1) & mask;
    map->slots[at] = entry + 1;
}

void key_map_add(struct key_map *map, const struct batch *rows, uint32_t row, uint64_t hash, uint8_t state)
{
    struct key_entry entry = {.hash = hash, .batch = rows, .row = row, .state = state};
    ARENA_PUSH(map->arena, map->entries, map->count, map->cap, entry);
    if (map->count * 2 <= map->slots_count) {
        slot_add(map, map->count - 1);
        return;
    }
    map->slots_count *= 4;
    map->slots = ARENA_ARRAY(map->arena, uint32_t, map->slots_count);
    for (uint32_t i = 0; i < map->count; i++)
        slot_add(map, i);
}
