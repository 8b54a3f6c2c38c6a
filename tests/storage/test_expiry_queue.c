/* test_expiry_queue.c: what comes out of an expiry queue, and when, against looking at all items. */
#include "storage/state/expiry_queue.h"

#include "tests/test.h"

static uint32_t random_of(uint32_t *seed, uint32_t below)
{
    *seed = *seed * 1664525u + 1013904223u;
    return (uint32_t)(((uint64_t)(*seed >> 8) * below) >> 24);
}

#define ITEMS 20000u

/* Adds items with times around the clock and moves the clock in steps of all sizes. */
static void compare(uint32_t seed, int64_t start, int64_t ahead, int64_t step)
{
    static int64_t times[ITEMS];
    static bool is_out[ITEMS];
    struct expiry_queue queue;
    expiry_queue_init(&queue, NULL);
    EXPECT_INT(expiry_queue_least(&queue), INT64_MAX);
    uint32_t added = 0, out = 0;
    int64_t clock = start;
    while (out < ITEMS) {
        uint32_t more = random_of(&seed, 200);
        int64_t common = clock + (int64_t)((__int128)random_of(&seed, 1000) * ahead / 1000);
        for (uint32_t i = 0; i < more && added < ITEMS; i++, added++) {
            is_out[added] = false;
            times[added] = random_of(&seed, 3) == 0
                               ? clock + (int64_t)((__int128)random_of(&seed, 1000) * ahead / 1000) - 5
                               : common;
            expiry_queue_add(&queue, times[added], added);
        }
        uint32_t kind = random_of(&seed, 10);
        clock += kind == 0  ? ahead / 2
                 : kind < 5 ? step
                            : (int64_t)((__int128)random_of(&seed, 1000) * step / 1000);
        uint32_t items[50], count;
        while ((count = expiry_queue_take(&queue, clock, items, ARRAY_COUNT(items))) > 0) {
            for (uint32_t i = 0; i < count; i++) {
                EXPECT(items[i] < added && !is_out[items[i]] && times[items[i]] <= clock);
                is_out[items[i]] = true;
            }
            out += count;
        }
        int64_t least = INT64_MAX;
        uint32_t left = 0;
        for (uint32_t i = 0; i < added; i++) {
            left += !is_out[i];
            least = !is_out[i] && times[i] < least ? times[i] : least;
        }
        EXPECT_INT(added - out, left);
        EXPECT_INT(expiry_queue_least(&queue), least);
        EXPECT(least > clock);
    }
    EXPECT_INT(expiry_queue_bytes(&queue), 0);
    expiry_queue_release(&queue);
}

TEST(items_come_out_once_their_time_has_come)
{
    compare(1, 0, 1000000, 20000);
    compare(2, -3000000, 1000000, 20000);
    compare(3, INT64_C(800000000000000), INT64_C(3600000000), 1000000);
    compare(4, 7, 100, 3);
    compare(5, INT64_MIN + 100, INT64_MAX / 50, INT64_MAX / 900);
}

TEST(an_item_behind_the_clock_is_due_at_once)
{
    struct expiry_queue queue;
    uint32_t item;
    expiry_queue_init(&queue, NULL);
    EXPECT_INT(expiry_queue_take(&queue, 100, &item, 1), 0);
    expiry_queue_add(&queue, 50, 7);
    EXPECT(expiry_queue_least(&queue) <= 100);
    EXPECT_INT(expiry_queue_take(&queue, 100, &item, 1), 1);
    EXPECT_INT(item, 7);
    expiry_queue_release(&queue);
}

TEST(memory_is_used_again)
{
    struct expiry_queue queue;
    expiry_queue_init(&queue, NULL);
    uint32_t seed = 9, items[64];
    int64_t greatest = 0, clock = INT64_C(800000000000000);
    for (uint32_t i = 0; i < 1000000; i++) {
        expiry_queue_add(&queue, clock + (int64_t)random_of(&seed, 1000) * 1000, i);
        clock += 997;
        while (i % 10 == 0 && expiry_queue_take(&queue, clock, items, 64) > 0)
            continue;
        if (i == 100000)
            greatest = expiry_queue_bytes(&queue);
        EXPECT(i < 100000 || expiry_queue_bytes(&queue) <= greatest * 2);
    }
    EXPECT(greatest < 100000);
    expiry_queue_release(&queue);
}

int main(void)
{
    RUN(items_come_out_once_their_time_has_come);
    RUN(an_item_behind_the_clock_is_due_at_once);
    RUN(memory_is_used_again);
    return test_result();
}
