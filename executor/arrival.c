/* arrival.c: see arrival.h. */
#include "executor/arrival.h"

void arrival_append(struct arrival *arrival, struct arena *arena, const struct batch *from,
                    const uint32_t *rows, uint32_t count)
{
    if (from->watermarks == NULL || arrival->is_lost) {
        arrival->is_lost = true;
        return;
    }
    if (arrival->cap - arrival->count < count) {
        uint32_t cap = arrival->cap * 2 > arrival->count + count ? arrival->cap * 2 : arrival->count + count;
        arrival->watermarks =
            arena_grow(arena, arrival->watermarks, sizeof(int64_t) * arrival->cap, sizeof(int64_t) * cap);
        arrival->positions =
            arena_grow(arena, arrival->positions, sizeof(int64_t) * arrival->cap, sizeof(int64_t) * cap);
        arrival->cap = cap;
    }
    int64_t *watermarks = arrival->watermarks + arrival->count,
            *positions = arrival->positions + arrival->count;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = rows != NULL ? rows[i] : i;
        watermarks[i] = from->watermarks[row];
        positions[i] = from->positions[row];
    }
    arrival->count += count;
}

void arrival_give(const struct arrival *arrival, struct batch *to)
{
    bool known = !arrival->is_lost && arrival->count == to->rows;
    to->watermarks = known ? arrival->watermarks : NULL;
    to->positions = known ? arrival->positions : NULL;
}
