/* bench_kernel.c: the inner loops, one by one: state tables, expressions, batches, COPY, formats, handing on rows.
 *
 *   bench_kernel [--keys N] [NAME ...]     kernels whose name begins so; all without a name
 *
 * A line per kernel: name, rows, nanoseconds, bytes of state per key (0: none), separated by tabs. Only the
 * kernel itself is measured, not the making of its input. Under callgrind (--collect-atstart=no) the counts of
 * each kernel are dumped under its name; tests/bench/kernel.py does that and makes a table. Input is the same
 * in every run. */
#include "executor/eval_env.h"
#include "executor/expr_program.h"
#include "executor/function.h"
#include "executor/operator.h"
#include "protocol/format/format.h"
#include "protocol/pgwire/copy.h"
#include "storage/base/clock.h"
#include "storage/state/arrangement.h"
#include "storage/state/hashed_table.h"
#include "storage/state/ordered_table.h"
#include "storage/state/row_store.h"
#include "storage/state/segments.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#if __has_include(<valgrind/callgrind.h>)
#include <valgrind/callgrind.h>
#else
#define CALLGRIND_TOGGLE_COLLECT      ((void)0)
#define CALLGRIND_ZERO_STATS          ((void)0)
#define CALLGRIND_DUMP_STATS_AT(name) ((void)(name))
#define RUNNING_ON_VALGRIND           0
#endif

enum { BATCH_MAX = 16384, SMALL = 1024 };

static const struct sql_type int8_types[] = {{OID_INT8, -1}, {OID_INT8, -1}, {OID_INT8, -1}};
enum { AUCTION, BIDDER, PRICE, CHANNEL, URL, TIME, EXTRA, BID_COLUMNS };
static const struct sql_type bid_types[] = {{OID_INT8, -1}, {OID_INT8, -1}, {OID_INT8, -1},
                                            {OID_TEXT, -1}, {OID_TEXT, -1}, {OID_TIMESTAMP, -1},
                                            {OID_TEXT, -1}};
static const uint32_t key_column = 0;

struct bench {
    uint64_t keys;
    uint64_t seed;
    struct account account;
    struct arena arena; /* of the running kernel */
    struct batch *ints; /* (key, value, value) */
    struct batch *bids; /* BATCH_ROWS_MAX of them */
    uint64_t *hashes;
    uint32_t *slots;
    uint8_t *flags;
    int64_t began, ns, bytes;
    uint64_t rows, state_rows;
};

static uint64_t next_random(uint64_t *state)
{
    uint64_t x = *state += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static void start(struct bench *b)
{
    b->began = clock_monotonic_ns();
    CALLGRIND_TOGGLE_COLLECT;
}

static void stop(struct bench *b, uint64_t rows)
{
    CALLGRIND_TOGGLE_COLLECT;
    b->ns += clock_monotonic_ns() - b->began;
    b->rows += rows;
}

static void note_bytes(struct bench *b, int64_t bytes, uint64_t rows)
{
    b->bytes = bytes;
    b->state_rows = rows;
}

/* first_key < 0: random ones of `keys`. */
static void fill_ints(struct bench *b, uint32_t rows, int64_t first_key, uint64_t keys)
{
    b->ints->rows = rows;
    b->ints->weights = NULL;
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t r = next_random(&b->seed);
        ((int64_t *)b->ints->columns[0].data)[i] =
            first_key >= 0 ? first_key + i : (int64_t)(((unsigned __int128)r * keys) >> 64);
        ((int64_t *)b->ints->columns[1].data)[i] = (int64_t)(r & 1023);
        ((int64_t *)b->ints->columns[2].data)[i] = (int64_t)(r >> 40);
    }
}

static void fill_bids(struct bench *b)
{
    static const char *const channels[] = {"Google", "Facebook", "Baidu", "Apple", "channel-4711"};
    b->bids = batch_create(&b->arena, bid_types, BID_COLUMNS, BATCH_ROWS_MAX);
    for (uint32_t i = 0; i < BATCH_ROWS_MAX; i++) {
        uint64_t r = next_random(&b->seed);
        char url[100], extra[64];
        snprintf(url, sizeof(url), "https://www.nexmark.com/%c%c%c/item.htm?query=1%s%u",
                 'a' + (char)(r % 26), 'a' + (char)(r / 26 % 26), 'a' + (char)(r / 676 % 26),
                 r % 3 == 0 ? "&channel_id=" : "&x=", (unsigned)(r >> 40));
        for (uint32_t c = 0; c < 40; c++)
            extra[c] = 'a' + (char)(next_random(&b->seed) % 26);
        const char *channel = channels[r % ARRAY_COUNT(channels)];
        struct datum row[BID_COLUMNS] = {
            [AUCTION] = datum_i64((int64_t)(r % 5000)),
            [BIDDER] = datum_i64((int64_t)(r >> 32 & 0xffff)),
            [PRICE] = datum_i64((int64_t)(r >> 16 & 0xffffff)),
            [CHANNEL] = datum_text(&b->arena, channel, strlen(channel)),
            [URL] = datum_text(&b->arena, url, strlen(url)),
            [TIME] = datum_i64(758548800000000LL + (int64_t)i * 1000),
            [EXTRA] = datum_text(&b->arena, extra, 40),
        };
        batch_append_datums(b->bids, row, 1);
    }
}

static void set_weights(struct bench *b, struct batch *batch, int64_t weight)
{
    batch->weights = arena_alloc(&b->arena, sizeof(int64_t) * batch->rows);
    for (uint32_t i = 0; i < batch->rows; i++)
        batch->weights[i] = weight;
}

/* ---- hashed table ---- */

struct sums {
    int64_t count, sum;
};

static struct hashed_table *hashed_full(struct bench *b, bool measure)
{
    struct hashed_table *table = hashed_table_create(int8_types, 1, sizeof(struct sums), &b->account);
    for (uint64_t k = 0; k < b->keys; k += SMALL) {
        fill_ints(b, SMALL, (int64_t)k, 0);
        if (measure)
            start(b);
        batch_hash(b->ints, &key_column, 1, b->hashes);
        hashed_table_upsert(table, b->ints, &key_column, b->hashes, b->slots, b->flags);
        if (measure)
            stop(b, SMALL);
    }
    return table;
}

static void hashed_insert(struct bench *b)
{
    struct hashed_table *table = hashed_full(b, true);
    note_bytes(b, hashed_table_bytes(table), hashed_table_rows(table));
    hashed_table_destroy(table);
}

static void hashed_update(struct bench *b, uint32_t batch_rows)
{
    struct hashed_table *table = hashed_full(b, false);
    for (uint64_t total = 0; total < b->keys; total += batch_rows) {
        fill_ints(b, batch_rows, -1, b->keys);
        start(b);
        batch_hash(b->ints, &key_column, 1, b->hashes);
        hashed_table_upsert(table, b->ints, &key_column, b->hashes, b->slots, b->flags);
        const int64_t *values = b->ints->columns[1].data;
        for (uint32_t i = 0; i < batch_rows; i++) {
            struct sums *sums = hashed_table_payload(table, b->slots[i]);
            sums->count++;
            sums->sum += values[i];
        }
        stop(b, batch_rows);
    }
    hashed_table_destroy(table);
}

static void hashed_update_1k(struct bench *b)
{
    hashed_update(b, SMALL);
}

static void hashed_update_16k(struct bench *b)
{
    hashed_update(b, BATCH_MAX);
}

static void hashed_find(struct bench *b)
{
    struct hashed_table *table = hashed_full(b, false);
    for (uint64_t total = 0; total < b->keys; total += SMALL) {
        fill_ints(b, SMALL, -1, b->keys * 2); /* every other one is there */
        start(b);
        batch_hash(b->ints, &key_column, 1, b->hashes);
        hashed_table_find(table, b->ints, &key_column, b->hashes, b->slots);
        stop(b, SMALL);
    }
    hashed_table_destroy(table);
}

static void hashed_remove(struct bench *b)
{
    struct hashed_table *table = hashed_full(b, false);
    for (uint64_t k = 0; k < b->keys; k += SMALL) {
        fill_ints(b, SMALL, (int64_t)k, 0);
        start(b);
        batch_hash(b->ints, &key_column, 1, b->hashes);
        hashed_table_find(table, b->ints, &key_column, b->hashes, b->slots);
        for (uint32_t i = 0; i < SMALL; i++)
            hashed_table_remove(table, b->slots[i]);
        stop(b, SMALL);
    }
    hashed_table_destroy(table);
}

/* ---- ordered table ---- */

static void ordered(struct bench *b, bool again)
{
    struct ordered_table *table = ordered_table_create(NULL, 0, sizeof(struct sums), &b->account);
    for (int round = 0; round < (again ? 2 : 1); round++) {
        b->seed = 5;
        for (uint64_t total = 0; total < b->keys; total += SMALL) {
            fill_ints(b, SMALL, -1, b->keys);
            if (round == again)
                start(b);
            for (uint32_t i = 0; i < SMALL; i++) {
                uint8_t key[9] = {1};
                uint64_t big =
                    __builtin_bswap64(((uint64_t *)b->ints->columns[0].data)[i] ^ (UINT64_C(1) << 63));
                memcpy(key + 1, &big, 8);
                bool inserted;
                ordered_table_upsert(table, key, sizeof(key), NULL, 0, NULL, &inserted);
            }
            if (round == again)
                stop(b, SMALL);
        }
    }
    note_bytes(b, ordered_table_bytes(table), ordered_table_rows(table));
    ordered_table_destroy(table);
}

static void ordered_insert(struct bench *b)
{
    ordered(b, false);
}

static void ordered_find(struct bench *b)
{
    ordered(b, true);
}

/* ---- arrangements ---- */

enum arranged { APPLY, PROBE, DELETE };

static void arranged(struct bench *b, bool append_only, uint64_t keys, enum arranged what)
{
    struct arrangement *a = append_only
                                ? arrangement_create_append_only(int8_types, 3, &key_column, 1, &b->account)
                                : arrangement_create(int8_types, 3, &key_column, 1, &b->account);
    struct arrangement_probe *probe = malloc(sizeof(*probe));
    for (int round = 0; round < 2; round++) {
        b->seed = 7;
        if (round == 1 && what == APPLY)
            break;
        for (uint64_t total = 0; total < b->keys && b->rows <= 4 * b->keys; total += SMALL) {
            fill_ints(b, SMALL, -1, keys);
            if (round == 1 && what == PROBE) {
                struct arena arena;
                arena_init(&arena, NULL);
                start(b);
                batch_hash(b->ints, &key_column, 1, b->hashes);
                arrangement_probe_start(probe, a, b->ints, &key_column, b->hashes, NULL);
                uint32_t n, matches = 0;
                while (matches < 10 * BATCH_ROWS_MAX &&
                       (n = arrangement_probe_next(probe, BATCH_ROWS_MAX, b->slots, b->slots + BATCH_ROWS_MAX,
                                                   (int64_t *)(void *)(b->slots + 2 * BATCH_ROWS_MAX))) > 0) {
                    static const uint32_t columns[] = {1, 2};
                    struct column out[2];
                    arrangement_gather_columns(a, b->slots + BATCH_ROWS_MAX, n, columns, 2, out, &arena);
                    matches += n;
                    arena_reset(&arena);
                }
                stop(b, matches);
                arena_release(&arena);
                continue;
            }
            if (round == 1)
                set_weights(b, b->ints, -1);
            if (round == 1 || what == APPLY)
                start(b);
            batch_hash(b->ints, &key_column, 1, b->hashes);
            arrangement_apply(a, b->ints, b->hashes);
            if (round == 1 || what == APPLY)
                stop(b, SMALL);
        }
    }
    if (what == APPLY)
        note_bytes(b, arrangement_bytes(a), arrangement_rows(a));
    free(probe);
    arrangement_destroy(a);
}

#define ARRANGED(name, append_only, keys, what)                                                              \
    static void name(struct bench *b)                                                                        \
    {                                                                                                        \
        arranged(b, append_only, keys, what);                                                                \
    }
ARRANGED(arrangement_insert, false, b->keys, APPLY)
ARRANGED(arrangement_match, false, b->keys, PROBE)
ARRANGED(arrangement_delete, false, b->keys, DELETE)
ARRANGED(arrangement_20_insert, false, b->keys / 20 + 1, APPLY)
ARRANGED(arrangement_20_match, false, b->keys / 20 + 1, PROBE)
ARRANGED(arrangement_20_delete, false, b->keys / 20 + 1, DELETE)
ARRANGED(arrangement_hot_insert, false, 1, APPLY)
ARRANGED(arrangement_hot_match, false, 1, PROBE)
ARRANGED(arrangement_hot_delete, false, 1, DELETE)
ARRANGED(append_insert, true, b->keys, APPLY)
ARRANGED(append_match, true, b->keys, PROBE)
ARRANGED(append_20_insert, true, b->keys / 20 + 1, APPLY)
ARRANGED(append_20_match, true, b->keys / 20 + 1, PROBE)
ARRANGED(append_hot_insert, true, 1, APPLY)
ARRANGED(append_hot_match, true, 1, PROBE)

/* ---- row store ---- */

struct scanner {
    struct row_store *store;
    struct snapshots *snapshots;
    _Atomic bool stop;
};

static void *scan_on(void *argument)
{
    struct scanner *scanner = argument;
    struct arena arena;
    arena_init(&arena, NULL);
    while (!atomic_load(&scanner->stop)) {
        uint64_t epoch = snapshot_open(scanner->snapshots, 0), cursor = 0;
        struct batch *out = batch_create(&arena, int8_types, 3, BATCH_ROWS_MAX);
        do
            batch_clear(out);
        while (row_store_scan(scanner->store, epoch, &cursor, BATCH_ROWS_MAX, out));
        snapshot_close(scanner->snapshots, epoch);
        arena_reset(&arena);
    }
    arena_release(&arena);
    return NULL;
}

enum readers { NO_READER, SNAPSHOT_PER_TICK, SCANNING };

static void put_rows(struct bench *b, struct row_store *store, struct snapshots *snapshots, uint64_t epoch)
{
    batch_hash(b->ints, &key_column, 1, b->hashes);
    row_store_begin_tick(store, epoch);
    row_store_apply(store, b->ints, b->hashes);
    snapshots_publish(snapshots, epoch);
    (void)row_store_trim(store, snapshots_oldest(snapshots), UINT64_MAX);
}

static void row_store_rows_of(struct bench *b, bool replace, enum readers readers)
{
    struct row_store *store = row_store_create(int8_types, 3, &key_column, 1, &b->account);
    struct snapshots *snapshots = snapshots_create();
    uint64_t epoch = 0;
    for (uint64_t k = 0; k < b->keys; k += SMALL) {
        fill_ints(b, SMALL, (int64_t)k, 0);
        if (!replace)
            start(b);
        put_rows(b, store, snapshots, ++epoch);
        if (!replace)
            stop(b, SMALL);
    }
    if (!replace)
        note_bytes(b, row_store_bytes(store), row_store_rows(store));
    struct scanner scanner = {.store = store, .snapshots = snapshots};
    pthread_t thread;
    bool scans = readers == SCANNING && pthread_create(&thread, NULL, scan_on, &scanner) == 0;
    for (uint64_t total = 0; replace && total < b->keys; total += SMALL) {
        fill_ints(b, SMALL, -1, b->keys);
        uint64_t held = readers == SNAPSHOT_PER_TICK ? snapshot_open(snapshots, 0) : 0;
        start(b);
        put_rows(b, store, snapshots, ++epoch);
        stop(b, SMALL);
        if (readers == SNAPSHOT_PER_TICK)
            snapshot_close(snapshots, held);
    }
    if (scans) {
        atomic_store(&scanner.stop, true);
        pthread_join(thread, NULL);
    }
    row_store_destroy(store);
    snapshots_destroy(snapshots);
}

static void store_insert(struct bench *b)
{
    row_store_rows_of(b, false, NO_READER);
}

static void store_replace(struct bench *b)
{
    row_store_rows_of(b, true, NO_READER);
}

static void store_replace_snapshots(struct bench *b)
{
    row_store_rows_of(b, true, SNAPSHOT_PER_TICK);
}

static void store_replace_scanned(struct bench *b)
{
    row_store_rows_of(b, true, SCANNING);
}

/* ---- segments ---- */

static void segments_of(struct bench *b, bool scan)
{
    struct segments *segments = segments_create(bid_types, BID_COLUMNS, &b->account);
    uint64_t epoch = 0;
    for (uint64_t total = 0; total < b->keys / 4; total += BATCH_ROWS_MAX) {
        if (!scan)
            start(b);
        segments_append(segments, b->bids, ++epoch);
        if (!scan)
            stop(b, BATCH_ROWS_MAX);
    }
    if (!scan)
        note_bytes(b, segments_bytes(segments), segments_rows(segments));
    struct column columns[BID_COLUMNS];
    struct batch piece = {.columns = columns, .columns_count = BID_COLUMNS};
    uint64_t cursor = 0;
    int64_t sum = 0;
    for (bool more = scan; more;) {
        start(b);
        more = segments_scan(segments, epoch, &cursor, columns, BID_COLUMNS, &piece);
        const int64_t *values = piece.columns[PRICE].data;
        for (uint32_t i = 0; i < piece.rows; i++)
            sum += values[i];
        stop(b, piece.rows);
        if (!more || piece.rows == 0)
            break;
    }
    if (scan && sum == 0)
        printf("no rows\n");
    segments_destroy(segments);
}

static void segments_fill(struct bench *b)
{
    segments_of(b, false);
}

static void segments_read(struct bench *b)
{
    segments_of(b, true);
}

/* ---- expressions, over batches of bids ---- */

static struct sql_type type_of(uint32_t oid)
{
    return (struct sql_type){.oid = oid, .typmod = -1};
}

static struct expr *column(struct bench *b, uint32_t number)
{
    return expr_column(&b->arena, number, bid_types[number]);
}

static struct expr *constant(struct bench *b, uint32_t oid, const char *text)
{
    struct datum value;
    struct error err;
    CHECK(type_input(oid, -1, text, strlen(text), &io_env_default, &b->arena, &value, &err));
    return expr_constant(&b->arena, type_of(oid), value);
}

static struct expr *node(struct bench *b, enum expr_kind kind, uint32_t oid, uint32_t count, va_list args)
{
    struct expr *expr = expr_new(&b->arena, kind, type_of(oid));
    expr->args_count = count;
    expr->args = ARENA_ARRAY(&b->arena, struct expr *, count);
    for (uint32_t i = 0; i < count; i++)
        expr->args[i] = va_arg(args, struct expr *);
    return expr;
}

static struct expr *special(struct bench *b, enum expr_kind kind, uint32_t oid, uint32_t count, ...)
{
    va_list args;
    va_start(args, count);
    struct expr *expr = node(b, kind, oid, count, args);
    va_end(args);
    return expr;
}

static struct expr *call(struct bench *b, const char *name, uint32_t count, ...)
{
    va_list args;
    va_start(args, count);
    struct expr *expr = node(b, EXPR_CALL, OID_INT8, count, args);
    va_end(args);
    uint32_t types[4];
    CHECK(count <= ARRAY_COUNT(types));
    for (uint32_t i = 0; i < count; i++)
        types[i] = expr->args[i]->type.oid;
    expr->function = function_find_exact(name, types, count);
    CHECK(expr->function != NULL);
    expr->type = type_of(type_find_name(expr->function->result)->oid);
    return expr;
}

static void evaluate(struct bench *b, const struct expr *expr, bool filter)
{
    struct expr_program *program;
    struct error err;
    CHECK(expr_compile(&b->arena, &expr, 1, &program, &err));
    struct expr_run *run = expr_run_create(program, &b->account);
    struct eval_env env = {.io = io_env_default};
    for (uint64_t total = 0; total < b->keys; total += BATCH_ROWS_MAX) {
        struct column result;
        uint32_t count;
        start(b);
        bool ok = filter
                      ? expr_run_filter(run, &env, b->bids, NULL, b->bids->rows, b->slots, &count, NULL, &err)
                      : expr_run_eval(run, &env, b->bids, NULL, b->bids->rows, &result, NULL, &err);
        stop(b, BATCH_ROWS_MAX);
        CHECK(ok);
    }
    expr_run_destroy(run);
}

static void expr_arithmetic(struct bench *b)
{
    evaluate(
        b, call(b, "+", 2, call(b, "*", 2, column(b, PRICE), constant(b, OID_INT8, "89")), column(b, BIDDER)),
        false);
}

static void expr_filter(struct bench *b)
{
    evaluate(b,
             special(b, EXPR_AND, OID_BOOL, 2,
                     call(b, ">", 2, column(b, PRICE), constant(b, OID_INT8, "500000")),
                     call(b, "<", 2, column(b, AUCTION), constant(b, OID_INT8, "2500"))),
             true);
}

static void expr_numeric(struct bench *b)
{
    struct expr *cast = special(b, EXPR_CAST, OID_NUMERIC, 1, column(b, PRICE));
    cast->cast = CAST_FUNCTION;
    cast->function = function_find_cast(OID_INT8, OID_NUMERIC);
    evaluate(b, call(b, "*", 2, constant(b, OID_NUMERIC, "0.908"), cast), false);
}

static void expr_case(struct bench *b)
{
    evaluate(b,
             special(b, EXPR_CASE, OID_INT8, 5,
                     call(b, "<", 2, column(b, PRICE), constant(b, OID_INT8, "1000000")),
                     constant(b, OID_INT8, "1"),
                     call(b, "<", 2, column(b, PRICE), constant(b, OID_INT8, "9000000")),
                     constant(b, OID_INT8, "2"), constant(b, OID_INT8, "3")),
             false);
}

static void expr_lower(struct bench *b)
{
    evaluate(b, call(b, "lower", 1, column(b, CHANNEL)), false);
}

static void expr_split(struct bench *b)
{
    evaluate(b,
             call(b, "split_part", 3, column(b, URL), constant(b, OID_TEXT, "/"), constant(b, OID_INT4, "4")),
             false);
}

static void expr_replace(struct bench *b)
{
    evaluate(
        b,
        call(b, "length", 1,
             call(b, "replace", 3, column(b, EXTRA), constant(b, OID_TEXT, "c"), constant(b, OID_TEXT, ""))),
        false);
}

static void expr_regex(struct bench *b)
{
    evaluate(b, call(b, "regexp_match", 2, column(b, URL), constant(b, OID_TEXT, "(&|^)channel_id=([^&]*)")),
             false);
}

static void expr_to_char(struct bench *b)
{
    evaluate(b, call(b, "to_char", 2, column(b, TIME), constant(b, OID_TEXT, "YYYY-MM-DD")), false);
}

static void expr_date_bin(struct bench *b)
{
    evaluate(b,
             call(b, "date_bin", 3, constant(b, OID_INTERVAL, "10 seconds"), column(b, TIME),
                  constant(b, OID_TIMESTAMP, "2000-01-01")),
             false);
}

/* ---- batches ---- */

static void hash_columns(struct bench *b, const uint32_t *columns, uint32_t count)
{
    for (uint64_t total = 0; total < b->keys; total += BATCH_ROWS_MAX) {
        start(b);
        batch_hash(b->bids, columns, count, b->hashes);
        stop(b, BATCH_ROWS_MAX);
    }
}

static void hash_int8(struct bench *b)
{
    hash_columns(b, (uint32_t[]){AUCTION}, 1);
}

static void hash_int8_timestamp(struct bench *b)
{
    hash_columns(b, (uint32_t[]){AUCTION, TIME}, 2);
}

static void hash_text(struct bench *b)
{
    hash_columns(b, (uint32_t[]){CHANNEL}, 1);
}

static void consolidate(struct bench *b, const struct batch *batch)
{
    for (uint64_t total = 0; total < b->keys; total += batch->rows) {
        struct arena arena;
        arena_init(&arena, NULL);
        start(b);
        (void)batch_consolidate(batch, &arena);
        stop(b, batch->rows);
        arena_release(&arena);
    }
}

static void consolidate_updates(struct bench *b)
{
    fill_ints(b, BATCH_ROWS_MAX, -1, 700); /* some of the rows meet their opposite */
    set_weights(b, b->ints, 1);
    for (uint32_t c = 1; c < 3; c++)
        memset(b->ints->columns[c].data, 0, sizeof(int64_t) * BATCH_ROWS_MAX);
    for (uint32_t i = 0; i < BATCH_ROWS_MAX; i += 2)
        b->ints->weights[i] = -1;
    consolidate(b, b->ints);
}

static void consolidate_bids(struct bench *b)
{
    consolidate(b, b->bids);
}

static void append_bids(struct bench *b)
{
    struct arena arena;
    arena_init(&arena, NULL);
    for (uint64_t total = 0; total < b->keys; total += BATCH_ROWS_MAX) {
        start(b);
        struct batch *copy = batch_create(&arena, bid_types, BID_COLUMNS, BATCH_ROWS_MAX);
        batch_append_range(copy, b->bids, 0, BATCH_ROWS_MAX, 1);
        stop(b, BATCH_ROWS_MAX);
        arena_reset(&arena);
    }
    arena_release(&arena);
}

static void gather_bids(struct bench *b)
{
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t count = 0;
    for (uint32_t i = 0; i < BATCH_ROWS_MAX; i++)
        if (next_random(&b->seed) % 4 != 0)
            b->slots[count++] = i;
    for (uint64_t total = 0; total < b->keys; total += count) {
        struct column out;
        start(b);
        for (uint32_t c = 0; c < BID_COLUMNS; c++)
            column_gather(&out, &b->bids->columns[c], b->slots, count, &arena);
        stop(b, count);
        arena_reset(&arena);
    }
    arena_release(&arena);
}

static void serialize_bids(struct bench *b)
{
    struct strbuf out = STRBUF_INIT;
    for (uint64_t total = 0; total < b->keys; total += BATCH_ROWS_MAX) {
        strbuf_reset(&out);
        start(b);
        batch_serialize(b->bids, &out);
        stop(b, BATCH_ROWS_MAX);
    }
    strbuf_release(&out);
}

/* ---- COPY ---- */

static bool take_rows(void *ctx, const struct batch *rows, struct error *err)
{
    *(uint64_t *)ctx += rows->rows;
    return true;
}

static void copy_bids(struct bench *b)
{
    static const char *const names[] = {"auction", "bidder", "price", "channel", "url", "date_time", "extra"};
    struct copy_options options = {.format = COPY_TEXT, .delimiter = '\t', .null_text = "\\N"};
    struct copy_column columns[BID_COLUMNS];
    for (uint32_t c = 0; c < BID_COLUMNS; c++)
        columns[c] = (struct copy_column){names[c], bid_types[c]};
    struct copy_writer writer;
    struct error err;
    struct strbuf lines = STRBUF_INIT;
    CHECK(copy_writer_init(&writer, &b->arena, &options, names, bid_types, BID_COLUMNS, &err));
    for (uint32_t i = 0; i < BATCH_ROWS_MAX; i++)
        copy_writer_row(&writer, b->bids, i, &io_env_default, &lines);
    copy_writer_release(&writer);
    uint64_t taken = 0;
    struct copy_reader *reader = copy_reader_create(&options, "bid", columns, BID_COLUMNS, &io_env_default,
                                                    &b->account, NULL, take_rows, &taken);
    for (uint64_t total = 0; total < b->keys; total += BATCH_ROWS_MAX) {
        start(b);
        bool ok = copy_reader_feed(reader, (const uint8_t *)lines.data, lines.len, &err);
        stop(b, BATCH_ROWS_MAX);
        CHECK(ok);
    }
    CHECK(copy_reader_end(reader, &err));
    copy_reader_destroy(reader);
    strbuf_release(&lines);
}

/* ---- formats ---- */

struct lines {
    struct strbuf text;
    uint32_t count, starts[BATCH_ROWS_MAX + 1];
};

/* Decodes records of the columns; every member is a column's. */
static void decode_lines(struct bench *b, const struct format_class *class, const char *const *names,
                         const struct sql_type *types, uint32_t columns_count, const struct lines *lines)
{
    struct error err;
    struct decoder *decoder;
    struct format_column *columns = ARENA_ARRAY(&b->arena, struct format_column, columns_count);
    for (uint32_t i = 0; i < columns_count; i++)
        columns[i] = (struct format_column){.name = names[i], .type = types[i]};
    struct format_spec spec = {.relation_name = "t", .columns_count = columns_count, .columns = columns};
    CHECK(class->open_decoder(&spec, &decoder, &err));
    struct arena arena;
    arena_init(&arena, &b->account);
    for (uint64_t done = 0; done < b->keys; done += lines->count) {
        struct batch *rows = batch_create(&arena, types, columns_count, BATCH_ROWS_MAX);
        start(b);
        for (uint32_t i = 0; i < lines->count; i++) {
            struct record record = {.value = (const uint8_t *)lines->text.data + lines->starts[i],
                                    .value_len = lines->starts[i + 1] - lines->starts[i]};
            CHECK(class->decode(decoder, &record, rows, &err));
        }
        stop(b, lines->count);
        CHECK(rows->rows == lines->count);
        arena_reset(&arena);
    }
    class->close_decoder(decoder);
    arena_release(&arena);
}

/* Ten members in about 200 bytes, as records of orders are. */
static void json_orders(struct bench *b)
{
    static const char *const names[] = {"order_id", "customer_id", "sku",        "quantity", "unit_price",
                                        "currency", "paid",        "created_at", "channel",  "note"};
    static const struct sql_type types[] = {
        {OID_INT8, -1}, {OID_INT8, -1}, {OID_TEXT, -1},        {OID_INT4, -1}, {OID_NUMERIC, -1},
        {OID_TEXT, -1}, {OID_BOOL, -1}, {OID_TIMESTAMPTZ, -1}, {OID_TEXT, -1}, {OID_TEXT, -1}};
    static const char *const notes[] = {"leave at the door", "", "ring twice, please", "gift"};
    struct lines lines = {.count = BATCH_ROWS_MAX};
    for (uint32_t i = 0; i < lines.count; i++) {
        uint64_t r = next_random(&b->seed);
        strbuf_addf(&lines.text,
                    "{\"order_id\":%u,\"customer_id\":%u,\"sku\":\"AB-%05u-XL\",\"quantity\":%u,\"unit_"
                    "price\":%u.%02u,"
                    "\"currency\":\"%s\",\"paid\":%s,\"created_at\":\"2024-03-15T12:%02u:%02u.%03uZ\","
                    "\"channel\":\"%s\",\"note\":\"%s\"}",
                    (unsigned)(r >> 32), (unsigned)(r % 1000000), (unsigned)(r >> 20 & 0xffff),
                    (unsigned)(r % 9 + 1), (unsigned)(r >> 8 & 1023), (unsigned)(r % 100),
                    r & 1 ? "EUR" : "USD", r & 2 ? "true" : "false", i / 60 % 60, (unsigned)(r % 60),
                    (unsigned)(r % 1000), r & 4 ? "web" : "store", notes[r >> 3 & 3]);
        lines.starts[i + 1] = (uint32_t)lines.text.len;
    }
    if (!RUNNING_ON_VALGRIND)
        fprintf(stderr, "format/json_orders: %.1f bytes per record\n", (double)lines.text.len / lines.count);
    decode_lines(b, &format_json, names, types, ARRAY_COUNT(types), &lines);
    strbuf_release(&lines.text);
}

static const char *const bid_names[BID_COLUMNS] = {"auction", "bidder",    "price", "channel",
                                                   "url",     "date_time", "extra"};

static void write_bids(struct bench *b, struct encoder *encoder, struct lines *lines)
{
    struct strbuf key = STRBUF_INIT;
    struct error err;
    strbuf_reset(&lines->text);
    for (uint32_t i = 0; i < BATCH_ROWS_MAX; i++) {
        CHECK(format_json.encode(encoder, b->bids, i, false, &key, &lines->text, &err));
        lines->starts[i + 1] = (uint32_t)lines->text.len;
    }
    strbuf_release(&key);
}

static struct encoder *bid_writer(struct bench *b)
{
    struct error err;
    struct encoder *encoder;
    struct format_column *columns = ARENA_ARRAY(&b->arena, struct format_column, BID_COLUMNS);
    for (uint32_t i = 0; i < BID_COLUMNS; i++)
        columns[i] = (struct format_column){.name = bid_names[i], .type = bid_types[i]};
    struct format_spec spec = {.relation_name = "t", .columns_count = BID_COLUMNS, .columns = columns};
    CHECK(format_json.open_encoder(&spec, &encoder, &err));
    return encoder;
}

/* The rows of copy/text_bids. */
static void json_bids(struct bench *b)
{
    struct lines lines = {.count = BATCH_ROWS_MAX};
    struct encoder *encoder = bid_writer(b);
    write_bids(b, encoder, &lines);
    format_json.close_encoder(encoder);
    if (!RUNNING_ON_VALGRIND)
        fprintf(stderr, "format/json_bids: %.1f bytes per record\n", (double)lines.text.len / lines.count);
    decode_lines(b, &format_json, bid_names, bid_types, BID_COLUMNS, &lines);
    strbuf_release(&lines.text);
}

/* One column of seven: the other members are skipped. */
static void json_bids_one(struct bench *b)
{
    struct lines lines = {.count = BATCH_ROWS_MAX};
    struct encoder *encoder = bid_writer(b);
    write_bids(b, encoder, &lines);
    format_json.close_encoder(encoder);
    decode_lines(b, &format_json, bid_names + 2, bid_types + 2, 1, &lines);
    strbuf_release(&lines.text);
}

static void json_write_bids(struct bench *b)
{
    struct lines lines = {.count = BATCH_ROWS_MAX};
    struct encoder *encoder = bid_writer(b);
    for (uint64_t done = 0; done < b->keys; done += BATCH_ROWS_MAX) {
        start(b);
        write_bids(b, encoder, &lines);
        stop(b, BATCH_ROWS_MAX);
    }
    format_json.close_encoder(encoder);
    strbuf_release(&lines.text);
}

/* ---- operators ---- */

static bool swallow(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    return true;
}

/* What it costs a batch of 16 rows to go from one operator to the next. */
static void emit_small(struct bench *b)
{
    static const struct operator_class class = {
        .name = "sink", .bytes = sizeof(struct operator), .push = swallow};
    struct op_context ctx = {.mode = DATAFLOW_CONTINUOUS};
    struct operator sink = {.class = &class, .ctx = &ctx};
    struct operator_edge edge = {.to = &sink};
    struct operator source = {.class = &class, .ctx = &ctx, .edges = &edge, .edges_count = 1};
    struct batch *few = batch_slice(&b->arena, b->bids, 0, 16);
    struct error err;
    for (uint64_t total = 0; total < b->keys; total += 16) {
        start(b);
        CHECK(operator_emit(&source, few, &err));
        stop(b, 16);
    }
}

/* ---- all of them ---- */

static const struct kernel {
    const char *name;
    void (*run)(struct bench *b);
    bool clock_only; /* what it does depends on the other thread */
} kernels[] = {
    {"hashed_table/insert", hashed_insert},
    {"hashed_table/update_1k", hashed_update_1k},
    {"hashed_table/update_16k", hashed_update_16k},
    {"hashed_table/find", hashed_find},
    {"hashed_table/remove", hashed_remove},
    {"ordered_table/insert", ordered_insert},
    {"ordered_table/find", ordered_find},
    {"arrangement/insert", arrangement_insert},
    {"arrangement/match", arrangement_match},
    {"arrangement/delete", arrangement_delete},
    {"arrangement/insert_20_per_key", arrangement_20_insert},
    {"arrangement/match_20_per_key", arrangement_20_match},
    {"arrangement/delete_20_per_key", arrangement_20_delete},
    {"arrangement/insert_hot_key", arrangement_hot_insert},
    {"arrangement/match_hot_key", arrangement_hot_match},
    {"arrangement/delete_hot_key", arrangement_hot_delete},
    {"append_arrangement/insert", append_insert},
    {"append_arrangement/match", append_match},
    {"append_arrangement/insert_20_per_key", append_20_insert},
    {"append_arrangement/match_20_per_key", append_20_match},
    {"append_arrangement/insert_hot_key", append_hot_insert},
    {"append_arrangement/match_hot_key", append_hot_match},
    {"row_store/insert", store_insert},
    {"row_store/replace", store_replace},
    {"row_store/replace_with_snapshots", store_replace_snapshots},
    {"row_store/replace_while_scanned", store_replace_scanned, true},
    {"segments/append_bids", segments_fill},
    {"segments/scan", segments_read},
    {"expr/int8_arithmetic", expr_arithmetic},
    {"expr/compare_and_filter", expr_filter},
    {"expr/numeric_multiply", expr_numeric},
    {"expr/case", expr_case},
    {"expr/lower", expr_lower},
    {"expr/split_part", expr_split},
    {"expr/length_of_replace", expr_replace},
    {"expr/regexp_match", expr_regex},
    {"expr/to_char", expr_to_char},
    {"expr/date_bin", expr_date_bin},
    {"batch/hash_int8", hash_int8},
    {"batch/hash_int8_timestamp", hash_int8_timestamp},
    {"batch/hash_text", hash_text},
    {"batch/consolidate_updates", consolidate_updates},
    {"batch/consolidate_bids", consolidate_bids},
    {"batch/append_bids", append_bids},
    {"batch/gather_bids", gather_bids},
    {"batch/serialize_bids", serialize_bids},
    {"copy/text_bids", copy_bids},
    {"format/json_orders", json_orders},
    {"format/json_bids", json_bids},
    {"format/json_bids_one_column", json_bids_one},
    {"format/json_write_bids", json_write_bids},
    {"operator/emit_16_rows", emit_small},
};

static void run(const struct kernel *kernel, uint64_t keys)
{
    struct bench b = {.keys = keys, .seed = 1};
    account_init(&b.account, NULL, "bench", 0);
    arena_init(&b.arena, NULL);
    b.ints = batch_create(&b.arena, int8_types, 3, BATCH_MAX);
    b.hashes = ARENA_ARRAY(&b.arena, uint64_t, BATCH_MAX);
    b.slots = ARENA_ARRAY(&b.arena, uint32_t, BATCH_MAX);
    b.flags = ARENA_ARRAY(&b.arena, uint8_t, BATCH_MAX);
    fill_bids(&b);
    CALLGRIND_ZERO_STATS;
    kernel->run(&b);
    CALLGRIND_DUMP_STATS_AT(kernel->name);
    printf("%s\t%llu\t%lld\t%.1f\n", kernel->name, (unsigned long long)b.rows, (long long)b.ns,
           b.state_rows > 0 ? (double)b.bytes / (double)b.state_rows : 0.0);
    fflush(stdout);
    arena_release(&b.arena);
    CHECK(atomic_load(&b.account.used_bytes) == 0);
}

int main(int argc, char **argv)
{
    uint64_t keys = 1000000;
    int first = 1;
    if (argc > 2 && strcmp(argv[1], "--keys") == 0) {
        keys = strtoull(argv[2], NULL, 10);
        first = 3;
    }
    if (keys < BATCH_MAX || keys > 1000000000) {
        fprintf(stderr, "bench_kernel: between %d and 1000000000 keys\n", BATCH_MAX);
        return 2;
    }
    for (size_t i = 0; i < ARRAY_COUNT(kernels); i++) {
        bool wanted = first == argc;
        for (int arg = first; arg < argc; arg++)
            wanted |= strncmp(kernels[i].name, argv[arg], strlen(argv[arg])) == 0;
        if (wanted && !(RUNNING_ON_VALGRIND && kernels[i].clock_only))
            run(&kernels[i], keys);
    }
    return 0;
}
