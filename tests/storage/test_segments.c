/* test_segments.c: snapshots and append-only segments, also with readers on other threads. */
#include "storage/base/clock.h"
#include "storage/state/segments.h"
#include "storage/state/snapshot.h"
#include "tests/storage/saved_image.h"

#include <pthread.h>

static const struct sql_type types[] = {{OID_INT8, -1}, {OID_TEXT, -1}, {OID_INT2, -1}};

/* Row n of the stream: its number, a text, NULL in every seventh. */
static void append_row(struct batch *batch, struct arena *arena, uint64_t n)
{
    struct datum values[3] = {datum_i64((int64_t)n), text_of(arena, n), {.i16 = (int16_t)(n % 100)}};
    if (n % 7 == 0 && n > 200)
        values[2] = datum_null();
    batch_append_datums(batch, values, 1);
}

static bool row_is(const struct batch *batch, uint32_t row, uint64_t n)
{
    char text[96];
    const struct varlen *stored = &((const struct varlen *)batch->columns[1].data)[row];
    int len = snprintf(text, sizeof(text), "k%llu", (unsigned long long)n);
    bool small_ok = column_is_null(&batch->columns[2], row) == (n % 7 == 0 && n > 200);
    return ((const int64_t *)batch->columns[0].data)[row] == (int64_t)n && small_ok &&
           stored->len >= (uint32_t)len && memcmp(varlen_bytes(stored), text, (size_t)len) == 0;
}

static uint64_t count_rows(struct segments *s, uint64_t snapshot)
{
    struct column columns[3];
    struct batch piece;
    uint64_t cursor = 0, n = 0;
    while (segments_scan(s, snapshot, &cursor, columns, 3, &piece)) {
        EXPECT(piece.rows > 0 && piece.rows <= BATCH_ROWS_MAX);
        for (uint32_t i = 0; i < piece.rows; i++, n++) {
            if (!row_is(&piece, i, n))
                EXPECT_INT(((const int64_t *)piece.columns[0].data)[i], (int64_t)n);
        }
    }
    return n;
}

TEST(snapshots_see_their_epoch)
{
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    struct segments *s = segments_create(types, 3, &account);
    EXPECT(account.used_bytes < 2000);
    uint64_t ends[60] = {0}, seed = 1, n = 0;
    for (uint64_t epoch = 1; epoch < 60; epoch++) {
        for (int part = 0; part < 3; part++) {
            uint32_t rows = (uint32_t)(next_random(&seed) % (epoch % 5 ? 30 : 3000));
            struct batch *batch = batch_create(&arena, types, 3, rows + 1);
            for (uint32_t i = 0; i < rows; i++)
                append_row(batch, &arena, n + i);
            uint64_t mark = segments_rows(s);
            EXPECT_INT(mark, n);
            int64_t bytes = segments_bytes(s);
            segments_append(s, batch, epoch);
            if (next_random(&seed) % 2) {
                segments_truncate(s, mark); /* and once more: what was cut leaves nothing behind */
                EXPECT_INT(segments_rows(s), mark);
                EXPECT(segments_bytes(s) >= bytes);
                segments_append(s, batch, epoch);
            }
            n += rows;
            arena_reset(&arena);
        }
        ends[epoch] = n;
        EXPECT_INT(segments_bytes(s), account.used_bytes);
    }
    for (uint64_t epoch = 0; epoch < 60; epoch++)
        EXPECT_INT(count_rows(s, epoch), ends[epoch]);
    segments_trim(s, 40);
    for (uint64_t epoch = 40; epoch < 60; epoch++)
        EXPECT_INT(count_rows(s, epoch), ends[epoch]);
    segments_truncate(s, ends[58]);
    EXPECT_INT(count_rows(s, 1000), ends[58]);
    EXPECT_INT(count_rows(s, 58), ends[58]);
    EXPECT_INT(count_rows(s, 57), ends[57]);
    segments_destroy(s);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
}

TEST(truncated_text_is_given_back)
{
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    struct segments *s = segments_create(types, 3, &account);
    struct batch *batch = batch_create(&arena, types, 3, 64);
    for (uint32_t i = 0; i < 30; i++)
        append_row(batch, &arena, i * 3);
    segments_append(s, batch, 1);
    int64_t bytes = 0;
    for (int round = 0; round < 1000; round++) {
        segments_append(s, batch, 2);
        segments_truncate(s, 30);
        if (round == 0)
            bytes = segments_bytes(s);
    }
    EXPECT_INT(segments_bytes(s), bytes);
    segments_truncate(s, 0);
    EXPECT_INT(segments_rows(s), 0);
    segments_destroy(s);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
}

/* The rows a snapshot sees are first .. end. */
static void check_range(struct segments *s, uint64_t snapshot, uint64_t first, uint64_t end)
{
    struct column columns[3];
    struct batch piece;
    uint64_t cursor = 0, n = first;
    while (segments_scan(s, snapshot, &cursor, columns, 3, &piece)) {
        for (uint32_t i = 0; i < piece.rows; i++, n++) {
            if (!row_is(&piece, i, n))
                EXPECT_INT(((const int64_t *)piece.columns[0].data)[i], (int64_t)n);
        }
    }
    EXPECT_INT(n, end);
}

/* A window of rows moves over `total` rows: old snapshots see what they saw, memory stays in proportion to the window,
 * and from time to time all of it is saved and restored. */
static void run_window(uint64_t seed, uint64_t total, uint32_t most, uint64_t window, int64_t bytes_max)
{
    enum { EPOCHS = 8 };
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    struct saved_image image;
    image_init(&image);
    struct segments *s = segments_create(types, 3, &account);
    uint64_t firsts[EPOCHS] = {0}, ends[EPOCHS] = {0}, n = 0, epoch = 1, oldest = 1;
    int64_t peak = 0;
    for (; n < total; epoch++) {
        uint32_t rows = (uint32_t)(next_random(&seed) % most);
        struct batch *batch = batch_create(&arena, types, 3, rows + 1);
        for (uint32_t i = 0; i < rows; i++)
            append_row(batch, &arena, n + i);
        if (next_random(&seed) % 3 == 0) {
            segments_append(s, batch, epoch);
            segments_truncate(s, n);
        }
        segments_append(s, batch, epoch);
        n += rows;
        uint64_t first = segments_first(s);
        if (next_random(&seed) % 3 == 0 && n - first > window) {
            first = next_random(&seed) % 9 == 0 ? n : n - window + next_random(&seed) % (window / 4 + 1);
            segments_drop(s, first, epoch);
        }
        firsts[epoch % EPOCHS] = first;
        ends[epoch % EPOCHS] = n;
        if (epoch - oldest == EPOCHS - 1 || next_random(&seed) % 4 == 0)
            oldest += next_random(&seed) % (epoch - oldest + 1) + (epoch - oldest == EPOCHS - 1);
        segments_trim(s, oldest);
        for (uint64_t e = oldest; e <= epoch && total < 100000; e++)
            check_range(s, e, firsts[e % EPOCHS], ends[e % EPOCHS]);
        check_range(s, epoch, first, n);
        EXPECT_INT(segments_bytes(s), account.used_bytes);
        peak = segments_bytes(s) > peak ? segments_bytes(s) : peak;
        arena_reset(&arena);
        if (next_random(&seed) % 40 != 0)
            continue;
        struct saved_tables tables = {.arena = &arena};
        segments_saved(s, "rows", &tables);
        image_save(&image, &tables.items[0]);
        struct segments *other = segments_create(types, 3, &account);
        segments_saved(other, "rows", &tables);
        image_restore(&image, &tables.items[1], seed);
        if (segments_rows(other) == 0)
            segments_begin(other, n);
        EXPECT_INT(segments_first(other), first);
        EXPECT_INT(segments_rows(other), n);
        tables.items[1].rows->saved = n;
        segments_destroy(s);
        s = other;
        for (uint64_t e = oldest; e <= epoch; e++) {
            firsts[e % EPOCHS] = first;
            ends[e % EPOCHS] = n;
        }
        check_range(s, epoch, first, n);
    }
    EXPECT(peak < bytes_max);
    segments_destroy(s);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
    image_release(&image);
}

TEST(the_front_is_dropped)
{
    for (uint64_t seed = 1; seed < 6; seed++)
        run_window(seed, 20000, 300, 500, 4 << 20);
    run_window(7, 3500000, 100000, 150000, 100 << 20); /* beyond where segments stop growing */
}

/* ---- readers on other threads ---- */

struct shared {
    struct snapshots *snapshots;
    struct segments *segments;
    _Atomic bool stop;
    _Atomic int wrong;
};

static void *reader(void *argument)
{
    struct shared *shared = argument;
    while (!atomic_load(&shared->stop)) {
        uint64_t epoch = snapshot_open(shared->snapshots, 0);
        if (count_rows(shared->segments, epoch) != epoch * 100)
            atomic_fetch_add(&shared->wrong, 1);
        snapshot_close(shared->snapshots, epoch);
    }
    return NULL;
}

TEST(readers_beside_the_writer)
{
    struct shared shared = {.snapshots = snapshots_create(), .segments = segments_create(types, 3, NULL)};
    pthread_t threads[2];
    for (int i = 0; i < 2; i++)
        EXPECT_INT(pthread_create(&threads[i], NULL, reader, &shared), 0);
    struct arena arena;
    arena_init(&arena, NULL);
    for (uint64_t epoch = 1; epoch <= 150; epoch++) {
        struct batch *batch = batch_create(&arena, types, 3, 100);
        for (uint64_t i = 0; i < 100; i++)
            append_row(batch, &arena, (epoch - 1) * 100 + i);
        if (epoch % 3 == 0) { /* something that is taken back */
            segments_append(shared.segments, batch, epoch);
            segments_truncate(shared.segments, (epoch - 1) * 100);
        }
        segments_append(shared.segments, batch, epoch);
        snapshots_publish(shared.snapshots, epoch);
        segments_trim(shared.segments, snapshots_oldest(shared.snapshots));
        arena_reset(&arena);
    }
    atomic_store(&shared.stop, true);
    for (int i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    EXPECT_INT(shared.wrong, 0);
    EXPECT_INT(count_rows(shared.segments, 150), 15000);
    segments_destroy(shared.segments);
    snapshots_destroy(shared.snapshots);
    arena_release(&arena);
}

/* ---- the registry itself ---- */

TEST(oldest_open_epoch)
{
    struct snapshots *set = snapshots_create();
    EXPECT_INT(snapshots_oldest(set), 0);
    uint64_t open[100];
    for (uint64_t epoch = 1; epoch <= 100; epoch++) {
        snapshots_publish(set, epoch);
        open[epoch - 1] = snapshot_open(set, epoch);
        EXPECT_INT(open[epoch - 1], epoch);
        EXPECT_INT(snapshot_open(set, 0), epoch);
        EXPECT_INT(snapshots_oldest(set), 1);
    }
    for (uint64_t epoch = 2; epoch <= 100; epoch++) {
        snapshot_close(set, epoch);
        snapshot_close(set, epoch);
        EXPECT_INT(snapshots_oldest(set), 1);
    }
    snapshot_close(set, 1);
    EXPECT_INT(snapshots_oldest(set), 1);
    snapshot_close(set, 1);
    EXPECT_INT(snapshots_oldest(set), 100); /* none open: the one that may be opened */
    EXPECT(snapshots_wait(set, 100, 0));
    EXPECT(!snapshots_wait(set, 101, clock_monotonic_ns() + 2000000));
    EXPECT_INT(snapshots_visible(set), 100);
    snapshots_destroy(set);
}

static void *wait_for_five(void *argument)
{
    uint64_t epoch = snapshot_open(argument, 5);
    snapshot_close(argument, epoch);
    return (void *)(uintptr_t)epoch;
}

TEST(opening_waits)
{
    struct snapshots *set = snapshots_create();
    pthread_t thread;
    EXPECT_INT(pthread_create(&thread, NULL, wait_for_five, set), 0);
    for (uint64_t epoch = 1; epoch <= 5; epoch++)
        snapshots_publish(set, epoch);
    void *epoch;
    pthread_join(thread, &epoch);
    EXPECT_INT((uintptr_t)epoch, 5);
    snapshots_destroy(set);
}

int main(void)
{
    RUN(snapshots_see_their_epoch);
    RUN(truncated_text_is_given_back);
    RUN(the_front_is_dropped);
    RUN(readers_beside_the_writer);
    RUN(oldest_open_epoch);
    RUN(opening_waits);
    return test_result();
}
