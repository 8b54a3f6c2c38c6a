/* bench_state.c: nanoseconds per row of the state tables, one core, uniform keys.
 *
 *   bench_state              the cases at 1 million keys
 *   bench_state 10000000     at another number of keys
 *
 * The cases are those of the table in docs: a keyed count and sum by int8 in batches of 1,024 and 16,384
 * rows, with and without emitting the old and new row; the ordered table; arrangements (insert, probe,
 * delete, a hot key); row stores without a reader, with a snapshot per batch, and with a scanning reader on
 * another thread. Hashing is included. */
#include "storage/base/clock.h"
#include "storage/state/arrangement.h"
#include "storage/state/hashed_table.h"
#include "storage/state/ordered_table.h"
#include "storage/state/row_store.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH_MAX = 16384 };

static const struct sql_type int8_types[] = {{OID_INT8, -1}, {OID_INT8, -1}, {OID_INT8, -1}};
static const uint32_t key_column = 0;

struct bench {
    struct account account;
    struct arena arena;
    struct batch *batch; /* (key, value, value) */
    uint64_t *hashes;
    uint32_t *slots;
    uint8_t *flags;
    uint64_t seed;
    uint64_t keys;
};

static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void bench_init(struct bench *b, uint64_t keys)
{
    memset(b, 0, sizeof(*b));
    account_init(&b->account, NULL, "bench", 0);
    arena_init(&b->arena, NULL);
    b->batch = batch_create(&b->arena, int8_types, 3, BATCH_MAX);
    b->hashes = ARENA_ARRAY(&b->arena, uint64_t, BATCH_MAX);
    b->slots = ARENA_ARRAY(&b->arena, uint32_t, BATCH_MAX);
    b->flags = ARENA_ARRAY(&b->arena, uint8_t, BATCH_MAX);
    b->seed = 1;
    b->keys = keys;
}

static void fill_batch(struct bench *b, uint32_t rows, int64_t first_key)
{
    b->batch->rows = rows;
    b->batch->weights = NULL;
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t r = next_random(&b->seed);
        ((int64_t *)b->batch->columns[0].data)[i] =
            first_key >= 0 ? first_key + i : (int64_t)(((unsigned __int128)r * b->keys) >> 64);
        ((int64_t *)b->batch->columns[1].data)[i] = (int64_t)(r & 1023);
        ((int64_t *)b->batch->columns[2].data)[i] = (int64_t)(r >> 40);
    }
}

static void hash_keys(struct bench *b)
{
    batch_hash(b->batch, &key_column, 1, b->hashes);
}

static void report(const char *what, int64_t ns, uint64_t rows)
{
    printf("%-58s %8.1f ns/row\n", what, (double)ns / (double)rows);
    fflush(stdout);
}

static void report_bytes(const char *what, int64_t bytes, uint64_t rows)
{
    printf("%-58s %8.1f bytes/row\n", what, (double)bytes / (double)rows);
}

/* ---- hashed table ---- */

struct sums {
    int64_t count, sum;
};

static int64_t add_up(struct bench *b, struct hashed_table *table, struct column *emitted)
{
    int64_t start = clock_monotonic_ns();
    hash_keys(b);
    hashed_table_upsert(table, b->batch, &key_column, b->hashes, b->slots, b->flags);
    const int64_t *values = b->batch->columns[1].data;
    for (uint32_t i = 0; i < b->batch->rows; i++) {
        struct sums *sums = hashed_table_payload(table, b->slots[i]);
        if (emitted != NULL) {
            ((struct sums *)emitted[0].data)[i] = *sums;
            ((struct sums *)emitted[1].data)[i] = (struct sums){sums->count + 1, sums->sum + values[i]};
        }
        sums->count++;
        sums->sum += values[i];
    }
    return clock_monotonic_ns() - start;
}

static void bench_hashed(struct bench *b)
{
    struct hashed_table *table = hashed_table_create(int8_types, 1, sizeof(struct sums), &b->account);
    int64_t ns = 0, slowest = 0;
    for (uint64_t k = 0; k < b->keys; k += 1024) {
        fill_batch(b, 1024, (int64_t)k);
        int64_t one = add_up(b, table, NULL);
        ns += one;
        slowest = one > slowest ? one : slowest;
    }
    report("hashed table: insert new keys, batch 1k", ns, b->keys);
    printf("%-58s %8.1f us\n", "hashed table: slowest batch of 1k while growing", (double)slowest / 1000);
    report_bytes("hashed table: int8 key, 16 bytes of payload", hashed_table_bytes(table),
                 hashed_table_rows(table));
    struct column emitted[2] = {{.data = malloc(sizeof(struct sums) * BATCH_MAX)},
                                {.data = malloc(sizeof(struct sums) * BATCH_MAX)}};
    for (uint32_t rows = 1024; rows <= BATCH_MAX; rows *= 16) {
        for (int emit = 0; emit < 2; emit++) {
            ns = 0;
            uint64_t total = 0;
            for (; total < 4000000; total += rows) {
                fill_batch(b, rows, -1);
                ns += add_up(b, table, emit ? emitted : NULL);
            }
            char what[100];
            snprintf(what, sizeof(what), "hashed table: count and sum%s, batch %u",
                     emit ? ", old and new row" : "", rows);
            report(what, ns, total);
        }
    }
    free(emitted[0].data);
    free(emitted[1].data);
    hashed_table_destroy(table);
}

/* ---- ordered table ---- */

static void bench_ordered(struct bench *b)
{
    struct ordered_table *table = ordered_table_create(NULL, 0, sizeof(struct sums), &b->account);
    uint64_t total = 0;
    int64_t ns = 0;
    for (int round = 0; round < 2; round++) {
        ns = 0;
        for (total = 0; total < b->keys; total += 1024) {
            fill_batch(b, 1024, -1);
            int64_t start = clock_monotonic_ns();
            for (uint32_t i = 0; i < 1024; i++) {
                uint8_t key[9] = {1};
                uint64_t big =
                    __builtin_bswap64(((uint64_t *)b->batch->columns[0].data)[i] ^ (UINT64_C(1) << 63));
                memcpy(key + 1, &big, 8);
                bool inserted;
                uint32_t slot = ordered_table_upsert(table, key, sizeof(key), NULL, 0, NULL, &inserted);
                ((struct sums *)ordered_table_payload(table, slot))->count++;
            }
            ns += clock_monotonic_ns() - start;
        }
        report(round == 0 ? "ordered table: random keys, filling" : "ordered table: random keys, full", ns,
               total);
    }
    report_bytes("ordered table: 9-byte key, 16 bytes of payload", ordered_table_bytes(table),
                 ordered_table_rows(table));
    int64_t start = clock_monotonic_ns();
    struct ordered_cursor cursor;
    total = 0;
    for (ordered_table_seek(table, NULL, 0, &cursor); cursor.slot != SLOT_NONE; ordered_cursor_next(&cursor))
        total++;
    report("ordered table: walk", clock_monotonic_ns() - start, total);
    ordered_table_destroy(table);
}

/* ---- arrangement ---- */

static int64_t apply_rows(struct bench *b, struct arrangement *a, int64_t weight)
{
    int64_t *weights = ARENA_ARRAY(&b->arena, int64_t, BATCH_MAX);
    for (uint32_t i = 0; i < b->batch->rows; i++)
        weights[i] = weight;
    b->batch->weights = weights;
    int64_t start = clock_monotonic_ns();
    hash_keys(b);
    arrangement_apply(a, b->batch, b->hashes);
    int64_t ns = clock_monotonic_ns() - start;
    b->batch->weights = NULL;
    return ns;
}

static void bench_arrangement(struct bench *b, uint64_t keys, const char *what)
{
    char text[100];
    uint64_t all_keys = b->keys, rows = all_keys, total = 0;
    struct arrangement *a = arrangement_create(int8_types, 3, &key_column, 1, &b->account);
    b->keys = keys;
    b->seed = 7;
    int64_t ns = 0;
    for (total = 0; total < rows; total += 1024) {
        fill_batch(b, 1024, -1);
        ns += apply_rows(b, a, 1);
    }
    snprintf(text, sizeof(text), "arrangement: insert, %s", what);
    report(text, ns, total);
    snprintf(text, sizeof(text), "arrangement: int8 key, 24 bytes of row, %s", what);
    report_bytes(text, arrangement_bytes(a), arrangement_rows(a));
    struct arrangement_probe *probe = malloc(sizeof(*probe));
    static uint32_t numbers[2048], stored[2048];
    static int64_t weights[2048];
    uint64_t matches = 0;
    ns = 0;
    for (uint64_t probed = 0; probed < 1000000 && matches < 20000000; probed += 1024) {
        fill_batch(b, 1024, -1);
        struct arena arena;
        arena_init(&arena, NULL);
        int64_t start = clock_monotonic_ns();
        hash_keys(b);
        arrangement_probe_start(probe, a, b->batch, &key_column, b->hashes, NULL);
        uint32_t n;
        while ((n = arrangement_probe_next(probe, 2048, numbers, stored, weights)) > 0 &&
               matches < 20000000) {
            struct column out;
            arrangement_gather(a, stored, n, 1, &out, &arena);
            matches += n;
            arena_reset(&arena);
        }
        ns += clock_monotonic_ns() - start;
        arena_release(&arena);
    }
    snprintf(text, sizeof(text), "arrangement: probe and gather a column, per match, %s", what);
    report(text, ns, matches);
    b->seed = 7;
    ns = 0;
    for (total = 0; total < rows; total += 1024) {
        fill_batch(b, 1024, -1);
        ns += apply_rows(b, a, -1);
    }
    snprintf(text, sizeof(text), "arrangement: delete, %s", what);
    report(text, ns, total);
    if (arrangement_rows(a) != 0)
        printf("arrangement: %llu rows were left\n", (unsigned long long)arrangement_rows(a));
    free(probe);
    arrangement_destroy(a);
    b->keys = all_keys;
}

/* ---- row store ---- */

struct scanner {
    struct row_store *store;
    struct snapshots *snapshots;
    _Atomic bool stop;
    uint64_t scans, rows;
    int64_t ns;
};

static void *scan_on(void *argument)
{
    struct scanner *scanner = argument;
    struct arena arena;
    arena_init(&arena, NULL);
    while (!atomic_load(&scanner->stop)) {
        uint64_t epoch = snapshot_open(scanner->snapshots, 0), cursor = 0;
        int64_t start = clock_monotonic_ns();
        struct batch *out = batch_create(&arena, int8_types, 3, BATCH_ROWS_MAX);
        bool more = true;
        while (more) {
            batch_clear(out);
            more = row_store_scan(scanner->store, epoch, &cursor, BATCH_ROWS_MAX, out);
            scanner->rows += out->rows;
        }
        scanner->ns += clock_monotonic_ns() - start;
        scanner->scans++;
        snapshot_close(scanner->snapshots, epoch);
        arena_reset(&arena);
    }
    arena_release(&arena);
    return NULL;
}

static int64_t put_rows(struct bench *b, struct row_store *store, struct snapshots *snapshots,
                        uint64_t *epoch)
{
    int64_t start = clock_monotonic_ns();
    hash_keys(b);
    row_store_begin_tick(store, ++*epoch);
    row_store_apply(store, b->batch, b->hashes);
    snapshots_publish(snapshots, *epoch);
    row_store_trim(store, snapshots_oldest(snapshots));
    return clock_monotonic_ns() - start;
}

static void bench_row_store(struct bench *b)
{
    struct row_store *store = row_store_create(int8_types, 3, &key_column, 1, &b->account);
    struct snapshots *snapshots = snapshots_create();
    uint64_t epoch = 0, total = 0;
    int64_t ns = 0;
    for (uint64_t k = 0; k < b->keys; k += 1024) {
        fill_batch(b, 1024, (int64_t)k);
        ns += put_rows(b, store, snapshots, &epoch);
    }
    report("row store: insert new keys, a tick per 1k", ns, b->keys);
    report_bytes("row store: three int8", row_store_bytes(store), row_store_rows(store));
    for (int with_reader = 0; with_reader < 2; with_reader++) {
        struct scanner scanner = {.store = store, .snapshots = snapshots};
        pthread_t thread;
        if (with_reader && pthread_create(&thread, NULL, scan_on, &scanner) != 0)
            return;
        for (uint32_t rows = 1024; rows <= BATCH_MAX; rows *= 16) {
            ns = 0;
            for (total = 0; total < 4000000; total += rows) {
                fill_batch(b, rows, -1);
                ns += put_rows(b, store, snapshots, &epoch);
            }
            char what[100];
            snprintf(what, sizeof(what), "row store: replace rows, a tick per %u%s", rows,
                     with_reader ? ", a reader scanning" : "");
            report(what, ns, total);
        }
        if (!with_reader)
            continue;
        atomic_store(&scanner.stop, true);
        pthread_join(thread, NULL);
        report("row store: scan beside the writer", scanner.ns, scanner.rows);
    }
    row_store_trim(store, epoch); /* what the reader's last snapshot held */
    struct batch *out = batch_create(&b->arena, int8_types, 3, 2048);
    ns = 0;
    for (total = 0; total < 2000000; total += 1024) {
        fill_batch(b, 1024, -1);
        int64_t start = clock_monotonic_ns();
        hash_keys(b);
        batch_clear(out);
        row_store_lookup(store, epoch, b->batch, &key_column, b->hashes, out);
        ns += clock_monotonic_ns() - start;
    }
    report("row store: look up keys in batches of 1k", ns, total);
    uint32_t column = 2;
    int64_t start = clock_monotonic_ns();
    row_store_add_index(store, &column, 1, true);
    report("row store: fill an ordered index", clock_monotonic_ns() - start, row_store_rows(store));
    ns = 0;
    for (total = 0; total < 500000; total += 1024) {
        fill_batch(b, 1024, -1);
        ns += put_rows(b, store, snapshots, &epoch);
    }
    report("row store: replace rows, one ordered index", ns, total);
    row_store_destroy(store);
    snapshots_destroy(snapshots);
}

int main(int argc, char **argv)
{
    struct bench b;
    bench_init(&b, argc > 1 ? strtoull(argv[1], NULL, 10) : 1000000);
    if (b.keys < 1024 || b.keys > 1000000000) {
        fprintf(stderr, "bench_state: between 1024 and 1000000000 keys\n");
        return 1;
    }
    printf("%llu keys\n", (unsigned long long)b.keys);
    bench_hashed(&b);
    bench_ordered(&b);
    bench_arrangement(&b, b.keys, "1 row per key");
    bench_arrangement(&b, b.keys / 20 + 1, "20 rows per key");
    bench_arrangement(&b, 1, "all rows under one key");
    bench_row_store(&b);
    if (atomic_load(&b.account.used_bytes) != 0)
        printf("%lld bytes are still charged\n", (long long)b.account.used_bytes);
    arena_release(&b.arena);
    return 0;
}
