/* arrival.h: the watermarks and positions of rows that are collected into one batch (struct batch). */
#ifndef MILLRACE_EXECUTOR_ARRIVAL_H
#define MILLRACE_EXECUTOR_ARRIVAL_H

#include "storage/data/batch.h"

struct arrival { /* zeroed: empty; arrays in the arena of the calls */
    int64_t *watermarks, *positions;
    uint32_t count, cap;
    bool is_lost; /* some row came without */
};

/* Rows `rows[0..count)` of a batch (NULL: its first `count` rows) follow. */
void arrival_append(struct arrival *arrival, struct arena *arena, const struct batch *from,
                    const uint32_t *rows, uint32_t count);
/* Hangs what was collected on the batch of those rows; borrowed. */
void arrival_give(const struct arrival *arrival, struct batch *to);

#endif
