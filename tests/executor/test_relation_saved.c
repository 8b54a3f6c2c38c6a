/* test_relation_saved.c: relations that are saved and restored again and again, beside ones that are left alone. */
#include "executor/expr.h"
#include "executor/relation_saved.h"
#include "tests/storage/saved_image.h"

enum { SHARDS = 3, TABLES = 3 };

static struct arena arena;

/* What a checkpoint holds of a relation. */
struct saved_relation {
    struct saved_image images[SHARDS][TABLES];
    struct strbuf rest;
};

static void saved_init(struct saved_relation *saved)
{
    memset(saved, 0, sizeof(*saved));
    for (uint32_t s = 0; s < SHARDS; s++)
        for (uint32_t t = 0; t < TABLES; t++)
            image_init(&saved->images[s][t]);
}

static void saved_release(struct saved_relation *saved)
{
    for (uint32_t s = 0; s < SHARDS; s++)
        for (uint32_t t = 0; t < TABLES; t++)
            image_release(&saved->images[s][t]);
    strbuf_release(&saved->rest);
}

static void save(struct saved_relation *saved, struct relation *relation)
{
    for (uint32_t s = 0; s < SHARDS; s++) {
        struct saved_tables tables = {.arena = &arena};
        relation_saved_tables(relation, s, &tables);
        for (uint32_t t = 0; t < tables.count; t++)
            image_save(&saved->images[s][t], &tables.items[t]);
    }
    strbuf_reset(&saved->rest);
    relation_save_rest(relation, &saved->rest);
}

static void restore(struct saved_relation *saved, struct relation *relation, uint64_t seed)
{
    for (uint32_t s = 0; s < SHARDS; s++) {
        struct saved_tables tables = {.arena = &arena};
        relation_saved_tables(relation, s, &tables);
        for (uint32_t t = 0; t < tables.count; t++) {
            image_restore(&saved->images[s][t], &tables.items[t], seed);
            if (tables.items[t].rows != NULL)
                tables.items[t].rows->saved = saved->images[s][t].used;
        }
    }
    struct error err;
    error_init(&err);
    EXPECT(!relation_restore_rest(relation, saved->rest.data, saved->rest.len - 1, SHARDS, &err));
    bool ok = relation_restore_rest(relation, saved->rest.data, saved->rest.len, SHARDS, &err);
    EXPECT(ok);
    if (!ok)
        fprintf(stderr, "%s\n", err.message);
    struct strbuf again = STRBUF_INIT;
    relation_save_rest(relation, &again);
    EXPECT(again.len == saved->rest.len && memcmp(again.data, saved->rest.data, again.len) == 0);
    strbuf_release(&again);
}

static bool add_error_text(void *ctx, const char *sqlstate, const char *message, const char *row,
                           const char *op_name, int64_t weight)
{
    /* the order is none: a sum of hashes that depends on every byte */
    uint64_t *sum = ctx;
    uint64_t hash = (uint64_t)weight;
    const char *texts[] = {sqlstate, message, row, op_name};
    for (uint32_t t = 0; t < 4; t++)
        for (const char *c = texts[t]; *c != '\0'; c++)
            hash = hash * 31 + (uint8_t)*c;
    *sum += hash;
    return true;
}

static void compare_errors(struct relation *a, struct relation *b)
{
    uint64_t sums[2] = {0, 0};
    relation_errors(a, add_error_text, &sums[0]);
    relation_errors(b, add_error_text, &sums[1]);
    EXPECT(sums[0] == sums[1]);
    struct relation_stats stats[2];
    relation_stats(a, &stats[0]);
    relation_stats(b, &stats[1]);
    EXPECT_INT(stats[0].errors, stats[1].errors);
    EXPECT_INT(stats[0].rows, stats[1].rows);
    EXPECT_INT(stats[0].rows_seen, stats[1].rows_seen);
    EXPECT_INT(stats[0].last_epoch, stats[1].last_epoch);
}

static void add_errors(struct relation *relation, uint64_t *seed)
{
    for (uint64_t n = next_random(seed) % 4; n > 0; n--) {
        char row[80];
        uint64_t number = next_random(seed) % 20;
        snprintf(row, sizeof(row), "(%llu,%s)", (unsigned long long)number,
                 number % 2 ? "a row that is too long to be inline" : "");
        relation_add_error(relation, "calc", "22012", "division by zero", row,
                           (int64_t)(next_random(seed) % 3) - 1 + (number < 10));
    }
}

/* ---- a table: (id int8 primary key, v int4 unique, t text) ---- */

static const struct sql_type table_types[] = {{OID_INT8, -1}, {OID_INT4, -1}, {OID_TEXT, -1}};

static struct relation *make_table(void)
{
    static const uint32_t key = 0, v_column = 1;
    static const struct unique_desc unique = {"t_v_key", 1, &v_column};
    struct relation_desc desc = {.oid = 1,
                                 .kind = RELATION_TABLE,
                                 .name = "t",
                                 .columns_count = 3,
                                 .types = table_types,
                                 .key_count = 1,
                                 .key_columns = &key,
                                 .unique_count = 1,
                                 .uniques = &unique};
    desc.watermark.partition_column = -1;
    return relation_create(&desc, SHARDS, NULL);
}

static void change_table(struct relation *relation, uint64_t epoch, uint64_t *seed)
{
    struct batch *change = batch_create(&arena, table_types, 3, 64);
    for (uint32_t i = 0; i < 40; i++) {
        int64_t k = (int64_t)(next_random(seed) % 500);
        int32_t v = (int32_t)(next_random(seed) % 300);
        struct datum values[3] = {datum_i64(k), v == 0 ? datum_null() : datum_i32(v),
                                  text_of(&arena, (uint64_t)v)};
        batch_append_datums(change, values, 1);
    }
    uint64_t *hashes = hashes_of(&arena, change, relation->hash_columns, relation->hash_columns_count);
    uint32_t *lists[SHARDS], counts[SHARDS];
    relation_partition(relation, change, hashes, &arena, lists, counts);
    for (uint32_t s = 0; s < SHARDS; s++) {
        struct batch *piece = batch_create(&arena, table_types, 3, counts[s] + 1);
        batch_append_rows(piece, change, lists[s], counts[s], 1);
        row_store_begin_tick(relation->stores[s], epoch);
        row_store_apply(relation->stores[s], piece, hashes_of(&arena, piece, relation->hash_columns, 1));
        (void)row_store_trim(relation->stores[s], epoch - 1, UINT64_MAX);
    }
    atomic_store(&relation->last_epoch, epoch);
}

static int64_t unique_count(struct relation *relation, int32_t v)
{
    struct batch *one = batch_create(&arena, &table_types[1], 1, 1);
    batch_append_datums(one, &(struct datum){.i32 = v}, 1);
    uint32_t zero = 0, slot;
    hashed_table_find(relation->uniques[0].counts, one, &zero, hashes_of(&arena, one, &zero, 1), &slot);
    return slot == SLOT_NONE ? 0 : *(int64_t *)hashed_table_payload(relation->uniques[0].counts, slot);
}

static void compare_tables(struct relation *a, struct relation *b, bool restored)
{
    compare_errors(a, b);
    int64_t counts[300] = {0};
    uint64_t sums[2] = {0, 0}, distinct = 0;
    for (int which = 0; which < 2; which++) {
        struct relation_scan scan;
        relation_scan_start(&scan, which ? b : a, UINT64_MAX - 1, NULL);
        const struct batch *rows;
        while ((rows = relation_scan_next(&scan)) != NULL) {
            uint64_t *hashes = hashes_of(&arena, rows, (uint32_t[]){0, 1, 2}, 3);
            for (uint32_t i = 0; i < rows->rows; i++) {
                sums[which] += hashes[i];
                struct datum v = column_get(&rows->columns[1], i);
                if (which == 1 && !v.is_null)
                    counts[v.i32]++;
            }
        }
        relation_scan_end(&scan);
    }
    EXPECT(sums[0] == sums[1]);
    for (int32_t v = 1; restored && v < 300; v++) {
        distinct += counts[v] > 0;
        EXPECT_INT(unique_count(b, v), counts[v]);
    }
    if (restored)
        EXPECT_INT(hashed_table_rows(b->uniques[0].counts), distinct);
}

TEST(table)
{
    arena_init(&arena, NULL);
    struct saved_relation saved;
    saved_init(&saved);
    struct relation *reference = make_table(), *relation = make_table();
    uint64_t seed = 1;
    for (uint64_t epoch = 1; epoch < 80; epoch++) {
        uint64_t same = seed;
        change_table(reference, epoch, &seed);
        change_table(relation, epoch, &same);
        same = seed;
        add_errors(reference, &seed);
        add_errors(relation, &same);
        bool restored = epoch % 9 == 8;
        if (next_random(&seed) % 2 || restored)
            save(&saved, relation);
        if (restored) {
            relation_release(relation);
            relation = make_table();
            restore(&saved, relation, seed);
        }
        compare_tables(reference, relation, restored);
        arena_reset(&arena);
    }
    relation_release(reference);
    relation_release(relation);
    saved_release(&saved);
    arena_release(&arena);
}

/* ---- a stream with a watermark: (ts timestamp, part text) ---- */

static const struct sql_type stream_types[] = {{OID_TIMESTAMP, -1}, {OID_TEXT, -1}};

static struct relation *make_stream(bool by_part)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    struct relation_desc desc = {.oid = 2,
                                 .kind = RELATION_STREAM,
                                 .name = "s",
                                 .columns_count = 2,
                                 .types = stream_types,
                                 .append_only = true};
    desc.watermark = (struct watermark_desc){.is_declared = true,
                                             .expression = expr_column(&scratch, 0, stream_types[0]),
                                             .text = "ts",
                                             .partition_column = by_part ? 1 : -1,
                                             .idle_timeout_us = 400,
                                             .advances_when_idle = true};
    struct relation *relation = relation_create(&desc, SHARDS, NULL);
    struct error err;
    CHECK(watermark_create(&desc.watermark, stream_types, 2, NULL, &relation->watermark, &err));
    arena_release(&scratch);
    return relation;
}

/* One tick: rows of some partitions, sometimes taken back; then silence of some length. */
static void stream_tick(struct relation *relation, uint64_t epoch, int64_t clock, uint64_t *seed)
{
    struct watermark *w = relation->watermark;
    struct batch *rows = batch_create(&arena, stream_types, 2, 64);
    for (uint64_t n = next_random(seed) % 30; n > 0; n--) {
        struct datum values[2] = {datum_i64(clock - (int64_t)(next_random(seed) % 200)),
                                  text_of(&arena, next_random(seed) % (clock % 3 ? 5 : 40))};
        batch_append_datums(rows, values, 1);
    }
    int64_t *watermarks = arena_alloc(&arena, sizeof(int64_t) * (rows->rows + 1));
    int64_t *positions = arena_alloc(&arena, sizeof(int64_t) * (rows->rows + 1));
    struct watermark_undo *undo;
    if (next_random(seed) % 4 == 0) {
        watermark_judge(w, rows, NULL, clock, watermarks, &arena, &undo);
        watermark_take_back(w, undo);
    }
    (void)watermark_pass_time(w, clock);
    watermark_judge(w, rows, NULL, clock, watermarks, &arena, &undo);
    for (uint32_t i = 0; i < rows->rows; i++)
        positions[i] = (int64_t)relation->rows_seen++;
    rows->watermarks = watermarks;
    rows->positions = positions;
    relation_append(relation, (uint32_t)epoch % SHARDS, rows, WATERMARK_NONE, epoch);
    relation_set_watermark(relation, epoch, watermark_value(w));
    if (next_random(seed) % 5 == 0)
        watermark_count_rejected(w, 1);
    atomic_store(&relation->last_epoch, epoch);
}

static void compare_streams(struct relation *a, struct relation *b, int64_t clock)
{
    compare_errors(a, b);
    EXPECT_INT(a->watermark_now, b->watermark_now);
    EXPECT_INT(a->watermark_previous, b->watermark_previous);
    EXPECT_INT(watermark_value(a->watermark), watermark_value(b->watermark));
    EXPECT_INT(watermark_reaches(a->watermark, clock + 1000), watermark_reaches(b->watermark, clock + 1000));
    EXPECT_INT(watermark_reaches(a->watermark, clock - 100), watermark_reaches(b->watermark, clock - 100));
    struct watermark_stats stats[2];
    watermark_fill_stats(a->watermark, &stats[0]);
    watermark_fill_stats(b->watermark, &stats[1]);
    EXPECT_INT(stats[0].greatest, stats[1].greatest);
    EXPECT_INT(stats[0].last_row_us, stats[1].last_row_us);
    EXPECT_INT(stats[0].partitions, stats[1].partitions);
    EXPECT_INT(stats[0].idle_partitions, stats[1].idle_partitions);
    EXPECT_INT(stats[0].rejected, stats[1].rejected);
    struct relation_scan scans[2];
    relation_scan_start(&scans[0], a, UINT64_MAX - 1, NULL);
    relation_scan_start(&scans[1], b, UINT64_MAX - 1, NULL);
    const struct batch *one, *two;
    do {
        one = relation_scan_next(&scans[0]);
        two = relation_scan_next(&scans[1]);
        EXPECT((one != NULL) == (two != NULL) && (one == NULL || one->rows == two->rows));
        for (uint32_t i = 0; one != NULL && two != NULL && i < one->rows; i++) {
            EXPECT(batch_rows_identical(one, i, two, i));
            EXPECT_INT(one->watermarks[i], two->watermarks[i]);
            EXPECT_INT(one->positions[i], two->positions[i]);
        }
    } while (one != NULL && two != NULL);
    relation_scan_end(&scans[0]);
    relation_scan_end(&scans[1]);
}

static void run_stream(bool by_part)
{
    arena_init(&arena, NULL);
    struct saved_relation saved;
    saved_init(&saved);
    struct relation *reference = make_stream(by_part), *relation = make_stream(by_part);
    uint64_t seed = 5;
    int64_t clock = 1000;
    for (uint64_t epoch = 1; epoch < 150; epoch++) {
        uint64_t same = seed;
        clock += (int64_t)(next_random(&same) % (epoch % 10 ? 60 : 900));
        seed = same;
        stream_tick(reference, epoch, clock, &seed);
        stream_tick(relation, epoch, clock, &same);
        compare_streams(reference, relation, clock);
        if (next_random(&seed) % 2)
            save(&saved, relation);
        if (next_random(&seed) % 6 == 0) {
            save(&saved, relation);
            relation_release(relation);
            relation = make_stream(by_part);
            restore(&saved, relation, seed);
            compare_streams(reference, relation, clock);
        }
        arena_reset(&arena);
    }
    relation_release(reference);
    relation_release(relation);
    saved_release(&saved);
    arena_release(&arena);
}

TEST(stream)
{
    run_stream(false);
}

TEST(partitioned_stream)
{
    run_stream(true);
}

TEST(failed_view)
{
    arena_init(&arena, NULL);
    struct saved_relation saved;
    saved_init(&saved);
    struct relation *relation = make_table(), *other = make_table();
    error_init(&relation->failure);
    error_set(&relation->failure, ERRCODE_DIVISION_BY_ZERO, "division by zero");
    error_hint(&relation->failure, "Divide by something else.");
    atomic_store(&relation->failed, true);
    save(&saved, relation);
    restore(&saved, other, 1);
    EXPECT(atomic_load(&other->failed));
    EXPECT_INT(other->failure.code, ERRCODE_DIVISION_BY_ZERO);
    EXPECT_TEXT(other->failure.message, "division by zero");
    EXPECT_TEXT(other->failure.hint, "Divide by something else.");
    relation_release(relation);
    relation_release(other);
    saved_release(&saved);
    arena_release(&arena);
}

int main(void)
{
    RUN(table);
    RUN(stream);
    RUN(partitioned_stream);
    RUN(failed_view);
    return test_result();
}
