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

/* Rows as above with up to two more columns, which came later: long text that is missing, and a number that is NULL. */
static const struct sql_type added_types[] = {{OID_TEXT, -1}, {OID_INT4, -1}};
static const char missing_text[] = "what rows from before have in it";

static const struct batch *wide_rows(struct arena *arena, uint64_t first, uint32_t count,
                                     uint32_t columns_count)
{
    const struct sql_type all[] = {types[0], types[1], types[2], added_types[0], added_types[1]};
    struct batch *batch = batch_create(arena, all, columns_count, count + 1);
    for (uint64_t n = first; n < first + count; n++) {
        struct datum values[5] = {datum_i64((int64_t)n),
                                  text_of(arena, n),
                                  {.i16 = (int16_t)(n % 100)},
                                  text_of(arena, n + 1),
                                  datum_i32((int32_t)n)};
        if (n % 7 == 0 && n > 200)
            values[2] = datum_null();
        batch_append_datums(batch, values, 1);
    }
    return batch;
}

/* The rows below from[i] have the missing value in column 3 + i. */
static uint64_t check_wide(struct segments *s, uint64_t snapshot, uint32_t columns_count,
                           const uint64_t *from)
{
    struct column columns[5];
    struct batch piece;
    uint64_t cursor = segments_first(s), n = cursor;
    struct arena arena;
    arena_init(&arena, NULL);
    while (segments_scan(s, snapshot, &cursor, columns, columns_count, &piece)) {
        EXPECT_INT(piece.columns_count, columns_count);
        for (uint32_t i = 0; i < piece.rows; i++, n++) {
            EXPECT(row_is(&piece, i, n));
            if (columns_count > 3) {
                struct datum text = column_get(&columns[3], i), own = text_of(&arena, n + 1);
                struct varlen expected =
                    n < from[0] ? varlen_view((const uint8_t *)missing_text, sizeof(missing_text) - 1)
                                : own.var;
                EXPECT(!column_is_null(&columns[3], i) && varlen_identical(&text.var, &expected));
            }
            if (columns_count > 4) {
                EXPECT_INT(column_is_null(&columns[4], i), n < from[1]);
                EXPECT(n < from[1] || column_get(&columns[4], i).i32 == (int32_t)n);
            }
        }
        arena_reset(&arena);
    }
    arena_release(&arena);
    return n;
}

static void save_segments(struct segments *s, struct saved_image *image)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct saved_tables tables = {.arena = &arena};
    segments_saved(s, "rows", &tables);
    image_save(image, &tables.items[0]);
    arena_release(&arena);
}

TEST(columns_are_added)
{
    const struct datum missing[] = {
        {.var = varlen_view((const uint8_t *)missing_text, sizeof(missing_text) - 1)}, datum_null()};
    for (uint64_t seed = 1; seed < 10; seed++) {
        uint64_t random = seed, n = 0, ends[40] = {0}, from[2] = {UINT64_MAX, UINT64_MAX};
        struct account account;
        account_init(&account, NULL, "test", 0);
        struct arena arena;
        arena_init(&arena, NULL);
        struct saved_image image;
        image_init(&image);
        struct segments *s = segments_create(types, 3, &account);
        uint32_t columns_count = 3, drops_at = (uint32_t)(next_random(&random) % 40);
        uint64_t widens_at[2] = {next_random(&random) % 20, 20 + next_random(&random) % 20};
        for (uint64_t epoch = 1; epoch < 40; epoch++) {
            if (columns_count < 5 && epoch > widens_at[columns_count - 3]) {
                from[columns_count - 3] = n;
                segments_widen(s, &added_types[columns_count - 3], 1, &missing[columns_count - 3]);
                columns_count++;
            }
            uint32_t count = (uint32_t)(next_random(&random) % (seed % 3 == 0 ? 3000 : 100));
            const struct batch *rows = wide_rows(&arena, n, count, columns_count);
            segments_append(s, rows, epoch);
            if (next_random(&random) % 3 == 0) {
                segments_truncate(s, n);
                segments_append(s, rows, epoch);
            }
            n += count;
            ends[epoch] = n;
            if (next_random(&random) % 3 == 0)
                save_segments(s, &image);
            EXPECT_INT(segments_bytes(s), account.used_bytes);
            arena_reset(&arena);
            for (uint32_t c = 3; c <= columns_count && epoch % 5 == 0;
                 c++) /* who knows fewer columns gets those */
                EXPECT_INT(check_wide(s, epoch, c, from), n);
            if (epoch == drops_at) {
                segments_drop(s, n / 2, epoch);
                segments_trim(s, epoch);
                EXPECT_INT(check_wide(s, epoch, columns_count, from), n);
                EXPECT_INT(segments_bytes(s), account.used_bytes);
            }
        }
        if (drops_at <= 30)
            EXPECT_INT(check_wide(s, 30, columns_count, from), ends[30]);
        /* what was saved with fewer columns comes back with all of them */
        save_segments(s, &image);
        struct segments *back = segments_create(types, 3, &account);
        segments_widen(back, added_types, 2, missing);
        struct saved_tables tables = {.arena = &arena};
        segments_saved(back, "rows", &tables);
        image_restore(&image, &tables.items[0], seed);
        EXPECT_INT(check_wide(back, 100, 5, from), n);
        segments_destroy(back);
        segments_destroy(s);
        EXPECT_INT(account.used_bytes, 0);
        image_release(&image);
        arena_release(&arena);
    }
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
    RUN(columns_are_added);
    RUN(the_front_is_dropped);
    RUN(readers_beside_the_writer);
    RUN(oldest_open_epoch);
    RUN(opening_waits);
    return test_result();
}
