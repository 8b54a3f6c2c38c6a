/* key_map.h: rows found by the value of some of their columns (or by whole identity), for the length of one
 * statement.
 *
 * Entries point into batches that stay where they are. In one arena. */
#ifndef MILLRACE_SERVER_KEY_MAP_H
#define MILLRACE_SERVER_KEY_MAP_H

#include "storage/data/batch.h"

struct key_entry {
    uint64_t hash;
    const struct batch *batch;
    uint32_t row;
    uint8_t state; /* the user's */
};

struct key_map {
    struct arena *arena;
    const uint32_t *columns; /* the key; columns_count 0: all columns, identical */
    uint32_t columns_count;
    uint32_t width;  /* columns that count when the key is the whole row */
    uint32_t *slots; /* entry number + 1 */
    uint32_t slots_count;
    struct key_entry *entries;
    uint32_t count, cap;
};

void key_map_init(struct key_map *map, struct arena *arena, const uint32_t *columns, uint32_t columns_count,
                  uint32_t width);
void key_map_hash(const struct key_map *map, const struct batch *rows, uint64_t *hashes);
/* NULL when there is none. Valid until the next add. */
struct key_entry *key_map_find(struct key_map *map, const struct batch *rows, uint32_t row, uint64_t hash);
/* The key must not be in it. */
void key_map_add(struct key_map *map, const struct batch *rows, uint32_t row, uint64_t hash, uint8_t state);

#endif
