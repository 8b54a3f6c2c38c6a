/* test_hashed_table.c: the hash index, slots, heap and the hashed state table against naive models. */
#include "storage/base/simd.h"
#include "storage/state/hash_index.h"
#include "storage/state/hashed_table.h"
#include "tests/storage/state_rows.h"

TEST(simd_matches_agree)
{
    uint64_t seed = 1;
    for (int round = 0; round < 20000; round++) {
        uint8_t bytes[16], needle = (uint8_t)(next_random(&seed) % 4 * 85);
        uint32_t expected = 0;
        for (int i = 0; i < 16; i++) {
            bytes[i] = round % 2 ? (uint8_t)(next_random(&seed) % 4 * 85) : (uint8_t)next_random(&seed);
            expected |= (uint32_t)(bytes[i] == needle) << i;
        }
        EXPECT_INT(simd_match16(bytes, needle), expected);
        EXPECT_INT(simd_match16_portable(bytes, needle), expected);
    }
}

TEST(slots_do_not_move)
{
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct slot_pages pages;
    slot_pages_init(&pages, 24, 4, &account);
    EXPECT_INT(account.used_bytes, 0);
    static uint64_t *seen[100000];
    for (uint32_t i = 0; i < 100000; i++) {
        EXPECT_INT(slot_pages_alloc(&pages), i);
        seen[i] = slot_pages_at(&pages, i);
        seen[i][0] = seen[i][1] = seen[i][2] = i + 1;
        if (i == 0)
            EXPECT(account.used_bytes <= 128);
    }
    for (uint32_t i = 0; i < 100000; i++) {
        EXPECT(seen[i] == slot_pages_at(&pages, i));
        EXPECT(seen[i][0] == i + 1 && seen[i][2] == i + 1);
    }
    EXPECT(account.used_bytes >= 2400000 && account.used_bytes < 2400000 + 400000);
    slot_pages_free(&pages, 77);
    slot_pages_free(&pages, 5);
    EXPECT_INT(slot_pages_alloc(&pages), 5);
    EXPECT_INT(slot_pages_alloc(&pages), 77);
    EXPECT_INT(slot_pages_alloc(&pages), 100000);
    slot_pages_release(&pages);
    EXPECT_INT(account.used_bytes, 0);
}

/* The index alone, with hashes as bad as can be: `distinct` different ones. */
struct index_model {
    uint64_t hash[5000];
    bool present[5000];
};

static uint32_t model_hash(void *ctx, uint32_t slot)
{
    return hash_31(((struct index_model *)ctx)->hash[slot]);
}

static void model_prefetch(void *ctx, uint32_t slot)
{
    (void)ctx;
    (void)slot;
}

static bool index_has(const struct hash_index *index, uint64_t hash, uint32_t slot)
{
    struct hash_probe probe = hash_probe_start(index, hash);
    for (uint32_t found; (found = hash_probe_next(&probe)) != SLOT_NONE;) {
        if (found == slot)
            return true;
    }
    return false;
}

static void check_index(uint64_t distinct)
{
    static struct index_model model;
    memset(&model, 0, sizeof(model));
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct hash_index index;
    hash_index_init(&index, model_hash, model_prefetch, &model, &account);
    uint64_t seed = distinct, entries = 0;
    for (int step = 0; step < 40000; step++) {
        uint32_t slot = (uint32_t)(next_random(&seed) % ARRAY_COUNT(model.hash));
        if (!model.present[slot]) {
            uint64_t which = next_random(&seed) % distinct;
            model.hash[slot] = next_random(&which);
            hash_index_insert(&index, model.hash[slot], slot);
            model.present[slot] = true;
            entries++;
        } else if (step % 3 != 0) {
            hash_index_remove(&index, hash_31(model.hash[slot]), slot);
            model.present[slot] = false;
            entries--;
        }
    }
    EXPECT_INT(index.entries, entries);
    for (uint32_t slot = 0; slot < ARRAY_COUNT(model.hash); slot++)
        EXPECT_INT(index_has(&index, model.hash[slot], slot), model.present[slot]);
    for (uint32_t slot = 0; slot < ARRAY_COUNT(model.hash); slot++) {
        if (model.present[slot])
            hash_index_remove(&index, hash_31(model.hash[slot]), slot);
    }
    EXPECT_INT(index.entries, 0);
    for (uint32_t slot = 0; slot < ARRAY_COUNT(model.hash); slot++) { /* and no search goes past its bucket */
        struct hash_probe probe = hash_probe_start(&index, model.hash[slot]);
        EXPECT_INT(probe.segment[probe.bucket].sent, 0);
    }
    hash_index_release(&index);
    EXPECT_INT(account.used_bytes, 0);
}

TEST(index_survives_any_hashes)
{
    check_index(UINT64_C(1) << 60);
    check_index(100);
    check_index(3);
    check_index(1);
}

static uint64_t many_hash(uint64_t slot, uint64_t distinct)
{
    uint64_t which = slot % distinct;
    return next_random(&which);
}

static uint32_t many_hash_of(void *ctx, uint32_t slot)
{
    return hash_31(many_hash(slot, *(const uint64_t *)ctx));
}

/* Collected and put in part by part, with room for all of them or with growth meanwhile. */
static void check_many(uint32_t entries, uint64_t distinct, uint64_t expected)
{
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct hash_index index;
    hash_index_init(&index, many_hash_of, model_prefetch, &distinct, &account);
    hash_index_bulk_begin(&index, expected);
    EXPECT(index.bulk != NULL);
    for (uint32_t slot = 0; slot < entries; slot++)
        hash_index_insert(&index, many_hash(slot, distinct), slot);
    hash_index_bulk_end(&index);
    EXPECT(index.bulk == NULL);
    EXPECT_INT(index.entries, entries);
    uint32_t missing = 0;
    for (uint32_t slot = 0; slot < entries; slot++)
        missing += !index_has(&index, many_hash(slot, distinct), slot);
    EXPECT_INT(missing, 0);
    for (uint32_t slot = 0; slot < entries; slot++)
        hash_index_remove(&index, many_hash_of(&distinct, slot), slot);
    EXPECT_INT(index.entries, 0);
    hash_index_bulk_begin(&index, 0); /* released in the middle of it */
    hash_index_insert(&index, 1, 1);
    hash_index_release(&index);
    EXPECT_INT(account.used_bytes, 0);
}

TEST(index_takes_many_at_once)
{
    check_many(300000, UINT64_MAX, 300000);
    check_many(3000000, UINT64_MAX, 3000000);
    check_many(300000, UINT64_MAX, 0);
    check_many(300000, UINT64_MAX, 70000);
    check_many(20000, 100, 0);
    check_many(5000, 1, 0);
}

TEST(heap_reuses_blocks)
{
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct table_heap *heap = table_heap_create(&account);
    static struct varlen values[3000];
    static uint8_t bytes[40000];
    uint64_t seed = 5;
    for (int round = 0; round < 3; round++) {
        for (uint32_t i = 0; i < 3000; i++) {
            uint32_t len = (uint32_t)(next_random(&seed) % (i % 100 == 0 ? sizeof(bytes) : 900));
            memset(bytes, (int)(i % 251), len);
            struct varlen value = varlen_view(bytes, len);
            values[i] = table_heap_store(heap, &value);
        }
        for (uint32_t i = 0; i < 3000; i++) {
            for (uint32_t j = 0; j < values[i].len; j += 7)
                EXPECT_INT(varlen_bytes(&values[i])[j], i % 251);
        }
        int64_t full = table_heap_bytes(heap);
        EXPECT_INT(full, account.used_bytes);
        for (uint32_t i = 0; i < 3000; i++)
            table_heap_free(heap, &values[i]);
        EXPECT(table_heap_bytes(heap) < 4000);
    }
    table_heap_destroy(heap);
    EXPECT_INT(account.used_bytes, 0);
}

static const struct sql_type int8_type = {OID_INT8, -1}, text_type = {OID_TEXT, -1},
                             numeric_type = {OID_NUMERIC, -1}, float8_type = {OID_FLOAT8, -1},
                             int2_type = {OID_INT2, -1};

/* Random upserts and removals of (int8, text, int2) keys, some NULL, against an array indexed by the key's
 * number. */
TEST(agrees_with_a_model)
{
    enum { KEYS = 6000, BATCH = 300 };
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    struct sql_type types[] = {text_type, int8_type, int2_type};
    uint32_t key_columns[] = {2, 0, 1};
    struct sql_type batch_types[] = {int8_type, int2_type, text_type};
    struct hashed_table *table = hashed_table_create(types, 3, 12, &account);
    static uint32_t slot_of[KEYS];
    static uint64_t payload_of[KEYS];
    memset(slot_of, 0xff, sizeof(slot_of));
    uint64_t seed = 9, live = 0;
    for (int round = 0; round < 200; round++) {
        struct batch *rows = batch_create(&arena, batch_types, 3, BATCH);
        static uint32_t numbers[BATCH];
        for (uint32_t i = 0; i < BATCH; i++) {
            uint64_t k = numbers[i] = (uint32_t)(next_random(&seed) % (round < 20 ? 50 : KEYS));
            struct datum values[3] = {datum_i64((int64_t)(k / 4) * 1000003), datum_null(),
                                      text_of(&arena, k / 2)};
            if (k % 4 != 0)
                values[1] = (struct datum){.i16 = (int16_t)(k % 4)};
            if (k % 4 == 0)
                values[0] = datum_i64((int64_t)k);
            if (k == 1)
                values[0] = datum_null();
            batch_append_datums(rows, values, 1);
        }
        uint64_t *hashes = hashes_of(&arena, rows, key_columns, 3);
        uint32_t slots[BATCH], found[BATCH];
        uint8_t inserted[BATCH];
        hashed_table_find(table, rows, key_columns, hashes, found);
        for (uint32_t i = 0; i < BATCH; i++)
            EXPECT_INT(found[i], slot_of[numbers[i]]);
        hashed_table_upsert(table, rows, key_columns, hashes, slots, inserted);
        for (uint32_t i = 0; i < BATCH; i++) {
            uint32_t k = numbers[i];
            EXPECT_INT(inserted[i], slot_of[k] == SLOT_NONE);
            if (slot_of[k] == SLOT_NONE) {
                slot_of[k] = slots[i];
                payload_of[k] = 0;
                live++;
            }
            EXPECT_INT(slots[i], slot_of[k]);
            uint64_t *payload = hashed_table_payload(table, slots[i]);
            EXPECT_INT(*payload, payload_of[k]);
            *payload = payload_of[k] = next_random(&seed);
        }
        for (uint32_t i = 0; i < BATCH; i++) {
            uint32_t k = numbers[i];
            if (slot_of[k] == SLOT_NONE || (round < 150 && k % 3 != 0))
                continue;
            hashed_table_remove(table, slot_of[k]);
            slot_of[k] = SLOT_NONE;
            live--;
        }
        EXPECT_INT(hashed_table_rows(table), live);
        EXPECT_INT(hashed_table_bytes(table), account.used_bytes);
        arena_reset(&arena);
    }
    uint32_t cursor = 0, slot, walked = 0, last = 0;
    while ((slot = hashed_table_next(table, &cursor)) != SLOT_NONE) {
        EXPECT(walked == 0 || slot > last);
        last = slot;
        walked++;
        bool known = false;
        for (uint32_t k = 0; k < KEYS && !known; k++)
            known = slot_of[k] == slot;
        EXPECT(known);
    }
    EXPECT_INT(walked, live);
    hashed_table_destroy(table);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
}

/* Value equality: NULL = NULL, 0.0 = -0.0, NaN = NaN, 1.0 = 1.00; the first stays until set_key. */
TEST(equal_by_value)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct sql_type types[] = {float8_type, numeric_type};
    uint32_t key_columns[] = {0, 1};
    struct hashed_table *table = hashed_table_create(types, 2, 0, NULL);
    struct batch *rows = batch_create(&arena, types, 2, 8);
    struct error err;
    EXPECT(batch_from_text(
        rows, "+ 0 1.0\n+ -0 1.00\n+ NaN 2\n+ NaN 2.0\n+ \\N \\N\n+ \\N \\N\n+ 0 2\n+ 1 1\n", &err));
    uint64_t *hashes = hashes_of(&arena, rows, key_columns, 2);
    uint32_t slots[8];
    uint8_t inserted[8];
    hashed_table_upsert(table, rows, key_columns, hashes, slots, inserted);
    EXPECT_INT(slots[0], slots[1]);
    EXPECT_INT(slots[2], slots[3]);
    EXPECT_INT(slots[4], slots[5]);
    EXPECT_INT(hashed_table_rows(table), 5);
    struct batch *out = batch_create(&arena, types, 2, 8);
    out->rows = 1;
    struct strbuf text = STRBUF_INIT;
    hashed_table_gather_keys(table, slots, 1, out->columns, &arena);
    batch_to_text(out, &text);
    EXPECT_TEXT(strbuf_text(&text), "+ 0 1.0\n");
    hashed_table_set_key(table, slots[0], rows, 1, key_columns);
    hashed_table_gather_keys(table, slots, 1, out->columns, &arena);
    strbuf_reset(&text);
    batch_to_text(out, &text);
    EXPECT_TEXT(strbuf_text(&text), "+ -0 1.00\n");
    strbuf_release(&text);
    hashed_table_destroy(table);
    arena_release(&arena);
}

TEST(small_tables_are_small)
{
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct hashed_table *table = hashed_table_create(&int8_type, 1, 16, &account);
    EXPECT(account.used_bytes < 1500);
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *rows = batch_create(&arena, &int8_type, 1, 8);
    for (int64_t i = 0; i < 5; i++)
        batch_append_datums(rows, &(struct datum){.i64 = i}, 1);
    uint32_t key = 0, slots[8];
    uint8_t inserted[8];
    hashed_table_upsert(table, rows, &key, hashes_of(&arena, rows, &key, 1), slots, inserted);
    EXPECT(account.used_bytes < 2500);
    for (uint32_t i = 0; i < 5; i++)
        EXPECT_INT(slots[i], i); /* order of insertion */
    hashed_table_destroy(table);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
}

/* 200,000 keys in, then out: memory comes back. */
TEST(grows_and_gives_back)
{
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct hashed_table *table = hashed_table_create(&int8_type, 1, 16, &account);
    int64_t empty = account.used_bytes;
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t key = 0, slots[BATCH_ROWS_MAX];
    uint8_t inserted[BATCH_ROWS_MAX];
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t base = 0; base < 200000; base += 2000) {
            struct batch *rows = batch_create(&arena, &int8_type, 1, 2000);
            for (int64_t i = 0; i < 2000; i++)
                batch_append_datums(rows, &(struct datum){.i64 = base + i}, 1);
            uint64_t *hashes = hashes_of(&arena, rows, &key, 1);
            hashed_table_upsert(table, rows, &key, hashes, slots, inserted);
            for (uint32_t i = 0; i < 2000; i++)
                EXPECT_INT(inserted[i], 1);
            hashed_table_upsert(table, rows, &key, hashes, slots, inserted);
            for (uint32_t i = 0; i < 2000; i++)
                EXPECT_INT(slots[i], base + i);
            arena_reset(&arena);
        }
        EXPECT(account.used_bytes < 200000 * 46);
        for (uint32_t slot = 0; slot < 200000; slot++)
            hashed_table_remove(table, slot);
        EXPECT(account.used_bytes <= empty);
    }
    hashed_table_destroy(table);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
}

int main(void)
{
    RUN(simd_matches_agree);
    RUN(slots_do_not_move);
    RUN(index_survives_any_hashes);
    RUN(index_takes_many_at_once);
    RUN(heap_reuses_blocks);
    RUN(agrees_with_a_model);
    RUN(equal_by_value);
    RUN(small_tables_are_small);
    RUN(grows_and_gives_back);
    return test_result();
}
