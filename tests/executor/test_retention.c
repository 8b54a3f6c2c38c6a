/* test_retention.c: marks stay few, rows go neither too early nor more than 1/256 late, and what is saved goes on. */
#include "executor/retention.h"
#include "tests/test.h"

enum { SHARDS = 2, TICKS = 20000, AGE = 256000, ROWS = 25600 };

static uint32_t random_below(uint64_t *seed, uint32_t limit)
{
    *seed = *seed * UINT64_C(6364136223846793005) + 1442695040888963407u;
    return (uint32_t)(*seed >> 33) % limit;
}

static int64_t clocks[TICKS + 1];
static uint64_t seen[TICKS + 1];

static void run(int64_t age, uint64_t rows, uint64_t seed)
{
    struct retention *r = retention_create(age, rows, SHARDS);
    uint64_t first = 0, ends[SHARDS] = {0}, firsts[SHARDS] = {0};
    int64_t clock = 1000;
    uint32_t oldest = 1; /* tick whose rows are not gone */
    for (uint32_t tick = 1; tick <= TICKS; tick++) {
        clock += random_below(&seed, tick % 500 ? 100 : 400000);
        if (tick % 77 == 0)
            clock -= 50; /* machines set their clocks */
        uint32_t count = random_below(&seed, 40);
        ends[tick % SHARDS] += count;
        clocks[tick] = clock > clocks[tick - 1] ? clock : clocks[tick - 1];
        seen[tick] = seen[tick - 1] + count;
        int64_t due = retention_due(r);
        retention_note(r, clock, seen[tick], ends);
        bool passed = retention_pass(r, clock, firsts);
        EXPECT(rows > 0 || clocks[tick] < due || passed);
        first = firsts[0] + firsts[1];
        for (; seen[oldest] <= first && oldest < tick; oldest++) {
            /* all that goes may go */
            bool old = age > 0 && clocks[tick] - clocks[oldest] >= age;
            bool many = rows > 0 && seen[tick] - seen[oldest] >= rows;
            EXPECT(seen[oldest] == seen[oldest - 1] || old || many);
        }
        if (seen[oldest] > first) { /* and what stays is not much too old, or much too far behind */
            EXPECT(age == 0 || clocks[tick] - clocks[oldest] < age + age / 256 + 1);
            EXPECT(rows == 0 || seen[tick] - seen[oldest] < rows + rows / 256 + 40);
        }
        struct strbuf rest = STRBUF_INIT;
        retention_save_rest(r, &rest);
        EXPECT(rest.len < 600 * (4 + SHARDS) * sizeof(uint64_t));
        if (random_below(&seed, 300) == 0) {
            struct error err;
            retention_destroy(r);
            r = retention_create(age, rows, SHARDS);
            struct rest_reader reader = rest_open(rest.data, rest.len);
            retention_restore_rest(r, &reader);
            EXPECT(rest_close(&reader, &err));
        }
        strbuf_release(&rest);
    }
    EXPECT(first > 0 && oldest > TICKS / 2);
    retention_destroy(r);
}

TEST(by_age)
{
    run(AGE, 0, 1);
    run(7, 0, 2);
}

TEST(by_rows)
{
    run(0, ROWS, 3);
    run(0, 3, 4);
}

TEST(by_both)
{
    run(AGE, ROWS, 5);
    run(AGE * 4, ROWS / 2, 6);
}

int main(void)
{
    RUN(by_age);
    RUN(by_rows);
    RUN(by_both);
    return test_result();
}
