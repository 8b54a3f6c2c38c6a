/* state_rows.h: what the tests of state tables share: a small generator of random numbers and batches made in
 * place. */
#ifndef MILLRACE_TESTS_STATE_ROWS_H
#define MILLRACE_TESTS_STATE_ROWS_H

#include "storage/data/batch.h"
#include "tests/test.h"

static inline uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

/* Text that is inline for short numbers and in a heap for others: "k7", "k7-long-long-..." */
static inline struct datum text_of(struct arena *arena, uint64_t number)
{
    char text[96];
    int len = snprintf(text, sizeof(text), "k%llu", (unsigned long long)number);
    if (number % 3 == 0)
        len += snprintf(text + len, sizeof(text) - (size_t)len, "-with-a-tail-that-does-not-fit-%0*d",
                        (int)(number % 20) + 1, 7);
    return datum_text(arena, text, (size_t)len);
}

static inline uint64_t *hashes_of(struct arena *arena, const struct batch *batch, const uint32_t *columns,
                                  uint32_t count)
{
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * (batch->rows + 1));
    batch_hash(batch, columns, count, hashes);
    return hashes;
}

#endif
