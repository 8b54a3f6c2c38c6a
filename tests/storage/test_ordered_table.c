/* test_ordered_table.c: the B+tree and the ordered table against a sorted array. */
#include "storage/state/btree.h"
#include "storage/state/ordered_table.h"
#include "tests/storage/state_rows.h"

enum { KEYS = 4000, KEY_MAX = 700 };

struct model_key {
    uint8_t bytes[KEY_MAX];
    uint32_t len;
    uint32_t slot; /* SLOT_NONE: absent */
    uint64_t payload;
};

static int compare_bytes(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
    int order = memcmp(a, b, a_len < b_len ? a_len : b_len);
    return order != 0 ? order : (a_len > b_len) - (a_len < b_len);
}

static int by_key(const void *a, const void *b)
{
    const struct model_key *x = a, *y = b;
    return compare_bytes(x->bytes, x->len, y->bytes, y->len);
}

/* Keys with common beginnings, some very long, some prefixes of others. */
static uint32_t make_keys(struct model_key *keys, uint64_t *seed, int kind)
{
    for (uint32_t i = 0; i < KEYS; i++) {
        struct model_key *key = &keys[i];
        memset(key, 0, sizeof(*key));
        key->slot = SLOT_NONE;
        uint64_t r = next_random(seed);
        if (kind == 0) { /* fixed: partition, then number */
            key->len = 17;
            key->bytes[8] = (uint8_t)(r % 5);
            for (int j = 0; j < 8; j++)
                key->bytes[9 + j] = (uint8_t)((r >> 8) >> (8 * j));
        } else { /* text of few letters */
            key->len = (uint32_t)(r % (r % 7 == 0 ? KEY_MAX : 12));
            for (uint32_t j = 0; j < key->len; j++)
                key->bytes[j] = (uint8_t)('a' + (kind == 2 && j < 300 ? 0 : next_random(seed) % 3));
        }
    }
    qsort(keys, KEYS, sizeof(*keys), by_key);
    uint32_t count = 1;
    for (uint32_t i = 1; i < KEYS; i++) {
        if (by_key(&keys[count - 1], &keys[i]) != 0)
            keys[count++] = keys[i];
    }
    return count;
}

static void check_seeks(struct ordered_table *table, const struct model_key *keys, uint32_t count,
                        uint64_t *seed)
{
    for (int round = 0; round < 60; round++) {
        const struct model_key *probe = &keys[next_random(seed) % count];
        uint32_t len = (uint32_t)(next_random(seed) % (probe->len + 1));
        struct ordered_cursor cursor;
        ordered_table_seek(table, probe->bytes, len, &cursor);
        uint32_t at = 0;
        while (at < count && (keys[at].slot == SLOT_NONE ||
                              compare_bytes(keys[at].bytes, keys[at].len, probe->bytes, len) < 0))
            at++;
        EXPECT_INT(cursor.slot, at < count ? keys[at].slot : SLOT_NONE);
        ordered_table_seek_last(table, probe->bytes, len, &cursor);
        uint32_t last = SLOT_NONE;
        for (at = 0; at < count; at++) {
            uint32_t least = keys[at].len < len ? keys[at].len : len;
            if (keys[at].slot != SLOT_NONE && memcmp(keys[at].bytes, probe->bytes, least) <= 0)
                last = at;
        }
        EXPECT_INT(cursor.slot, last != SLOT_NONE ? keys[last].slot : SLOT_NONE);
        bool prefixed =
            last != SLOT_NONE && keys[last].len >= len && memcmp(keys[last].bytes, probe->bytes, len) == 0;
        EXPECT_INT(ordered_cursor_has_prefix(&cursor, probe->bytes, len), prefixed);
    }
}

static void check_walk(struct ordered_table *table, const struct model_key *keys, uint32_t count)
{
    struct ordered_cursor cursor;
    ordered_table_seek(table, NULL, 0, &cursor);
    for (uint32_t i = 0; i < count; i++) {
        if (keys[i].slot == SLOT_NONE)
            continue;
        EXPECT_INT(cursor.slot, keys[i].slot);
        uint32_t len;
        const uint8_t *bytes = ordered_cursor_key(&cursor, &len);
        EXPECT_INT(compare_bytes(bytes, len, keys[i].bytes, keys[i].len), 0);
        EXPECT_INT(*(uint64_t *)ordered_table_payload(table, cursor.slot), keys[i].payload);
        ordered_cursor_next(&cursor);
    }
    EXPECT_INT(cursor.slot, SLOT_NONE);
    ordered_table_seek_last(table, NULL, 0, &cursor);
    for (uint32_t i = count; i-- > 0;) {
        if (keys[i].slot == SLOT_NONE)
            continue;
        EXPECT_INT(cursor.slot, keys[i].slot);
        ordered_cursor_prev(&cursor);
    }
    EXPECT_INT(cursor.slot, SLOT_NONE);
}

static void check_kind(int kind)
{
    static struct model_key keys[KEYS];
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    uint64_t seed = (uint64_t)kind + 1;
    uint32_t count = make_keys(keys, &seed, kind);
    struct sql_type types[] = {{OID_TEXT, -1}, {OID_INT4, -1}};
    struct sql_type batch_types[] = {{OID_INT4, -1}, {OID_TEXT, -1}};
    uint32_t map[] = {1, 0};
    struct ordered_table *table = ordered_table_create(types, 2, 12, &account);
    uint64_t live = 0;
    for (int phase = 0; phase < 4; phase++) {
        for (uint32_t step = 0; step < 3000; step++) {
            /* phase 0 in order, 1 at random, 2 mostly removing, 3 in reverse */
            uint32_t at = (uint32_t)(next_random(&seed) % count);
            if (phase == 0)
                at = step % count;
            if (phase == 3)
                at = count - 1 - step % count;
            struct model_key *key = &keys[at];
            EXPECT_INT(ordered_table_find(table, key->bytes, key->len), key->slot);
            if (next_random(&seed) % 10 < (phase == 2 ? 8u : 2u)) {
                EXPECT_INT(ordered_table_remove(table, key->bytes, key->len), key->slot != SLOT_NONE);
                live -= key->slot != SLOT_NONE;
                key->slot = SLOT_NONE;
                continue;
            }
            struct batch *row = batch_create(&arena, batch_types, 2, 1);
            batch_append_datums(row, (struct datum[]){datum_i32((int32_t)at), text_of(&arena, at)}, 1);
            bool inserted;
            uint32_t slot = ordered_table_upsert(table, key->bytes, key->len, row, 0, map, &inserted);
            EXPECT_INT(inserted, key->slot == SLOT_NONE);
            uint64_t *payload = ordered_table_payload(table, slot);
            if (inserted) {
                live++;
                EXPECT_INT(*payload, 0);
                key->slot = slot;
                *payload = key->payload = next_random(&seed);
            }
            EXPECT_INT(slot, key->slot);
            EXPECT_INT(row_layout_get(ordered_table_layout(table), ordered_table_row(table, slot), 1).i32,
                       at);
            struct datum text =
                row_layout_get(ordered_table_layout(table), ordered_table_row(table, slot), 0);
            struct datum expected = text_of(&arena, at);
            EXPECT(varlen_identical(&text.var, &expected.var));
            if (step % 64 == 0)
                arena_reset(&arena);
        }
        EXPECT_INT(ordered_table_rows(table), live);
        EXPECT_INT(ordered_table_bytes(table), account.used_bytes);
        check_walk(table, keys, count);
        check_seeks(table, keys, count, &seed);
    }
    for (uint32_t i = 0; i < count; i++) {
        if (keys[i].slot != SLOT_NONE)
            EXPECT(ordered_table_remove(table, keys[i].bytes, keys[i].len));
        keys[i].slot = SLOT_NONE;
    }
    EXPECT_INT(ordered_table_rows(table), 0);
    check_walk(table, keys, count);
    EXPECT(account.used_bytes < 4000);
    ordered_table_destroy(table);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
}

TEST(agrees_with_a_sorted_array)
{
    check_kind(0);
    check_kind(1);
    check_kind(2);
}

/* The tree's own invariants after each change of a deep tree, and its density when keys come in order. */
TEST(tree_stays_well_formed)
{
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct table_heap *heap = table_heap_create(&account);
    struct btree tree;
    btree_init(&tree, heap, &account);
    enum { ENTRIES = 60000 };
    for (uint32_t i = 0; i < ENTRIES; i++) {
        uint8_t key[16] = {'p', 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        uint32_t value = i;
        EXPECT(btree_insert(&tree, key, sizeof(key), &value));
    }
    btree_verify(&tree);
    EXPECT(btree_bytes(&tree) < ENTRIES * 40 * 2);
    EXPECT(tree.nodes.live < ENTRIES / 110);
    uint64_t seed = 4;
    static bool gone[ENTRIES];
    for (uint32_t left = ENTRIES; left > 0;) {
        uint32_t i = (uint32_t)(next_random(&seed) % ENTRIES);
        for (; gone[i]; i = (i + 1) % ENTRIES)
            ;
        gone[i] = true;
        uint8_t key[16] = {'p', 0, 0, 0, 0, 0, 0, 0, 0, 0, (uint8_t)(i >> 16), (uint8_t)(i >> 8), (uint8_t)i};
        uint32_t value = 0;
        EXPECT(btree_remove(&tree, key, sizeof(key), &value));
        EXPECT_INT(value, i);
        if (--left % 3000 == 0)
            btree_verify(&tree);
    }
    EXPECT_INT(tree.entries, 0);
    EXPECT_INT(btree_bytes(&tree), 0);
    /* short keys between long ones, one change at a time */
    static uint8_t text[3000];
    for (int round = 0; round < 6000; round++) {
        uint32_t len = (uint32_t)(next_random(&seed) % (round % 5 ? 40 : sizeof(text)));
        for (uint32_t j = 0; j < len; j++)
            text[j] = (uint8_t)(j < len / 2 ? 'x' : 'a' + next_random(&seed) % 2);
        uint32_t value = len;
        if (round % 3 == 0) {
            struct btree_cursor cursor = btree_seek(&tree, text, len);
            if (cursor.node == NULL)
                continue;
            uint32_t found_len;
            const uint8_t *found = btree_key(&cursor, &found_len);
            static uint8_t copy[3000];
            memcpy(copy, found, found_len);
            EXPECT(btree_remove(&tree, copy, found_len, NULL));
        } else {
            btree_insert(&tree, text, len, &value);
            EXPECT_INT(value, len);
        }
        if (round % 50 == 0)
            btree_verify(&tree);
    }
    btree_release(&tree, true);
    EXPECT(table_heap_bytes(heap) < 4000);
    table_heap_destroy(heap);
    EXPECT_INT(account.used_bytes, 0);
}

/* ---- summaries: sum, number and order of the values of any range ---- */

struct range_summary {
    uint64_t sum;
    uint32_t count, first, last, unused;
};

static uint64_t entries_added;

static void summary_add(void *ctx, void *bytes, const uint32_t *values, uint32_t count)
{
    struct range_summary *summary = bytes;
    for (uint32_t i = 0; i < count; i++) {
        EXPECT(summary->count == 0 || summary->last < values[i]);
        summary->first = summary->count == 0 ? values[i] : summary->first;
        summary->last = values[i];
        summary->sum += values[i];
        summary->count++;
    }
    entries_added += count;
}

static void summary_merge(void *ctx, void *whole_bytes, const void *part_bytes)
{
    struct range_summary *whole = whole_bytes;
    const struct range_summary *part = part_bytes;
    EXPECT(part->count > 0 && (whole->count == 0 || whole->last < part->first));
    whole->first = whole->count == 0 ? part->first : whole->first;
    whole->last = part->last;
    whole->sum += part->sum;
    whole->count += part->count;
}

static void summary_release(void *ctx, void *bytes)
{
    EXPECT(((struct range_summary *)bytes)->count > 0);
}

TEST(ranges_are_summed_up)
{
    enum { NUMBERS = 20000 };
    static bool there[NUMBERS];
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct table_heap *heap = table_heap_create(&account);
    struct btree tree;
    btree_init(&tree, heap, &account);
    struct btree_summaries summaries = {.bytes = sizeof(struct range_summary),
                                        .add = summary_add,
                                        .merge = summary_merge,
                                        .release = summary_release};
    btree_summarize(&tree, &summaries);
    uint64_t seed = 5;
    uint8_t low_key[30] = "the key of number ", high_key[30] = "the key of number ";
    for (uint32_t round = 0; round < 3000; round++) {
        uint32_t many = round % 100 == 0 ? 2000 : 1, insert = round / 500 % 2 == 0 ? 80 : 30;
        for (uint32_t i = 0; i < many; i++) {
            uint32_t number = (uint32_t)(next_random(&seed) % NUMBERS), value = number;
            uint8_t key[30] = "the key of number ";
            snprintf((char *)key + 18, 8, "%07u", number);
            if (next_random(&seed) % 100 < insert)
                EXPECT(btree_insert(&tree, key, 25, &value) == !there[number]);
            else
                EXPECT(btree_remove(&tree, key, 25, NULL) == there[number]);
            there[number] = btree_find(&tree, key, 25, &value);
        }
        uint32_t low = (uint32_t)(next_random(&seed) % NUMBERS);
        uint32_t high = low + (uint32_t)(next_random(&seed) % (NUMBERS - low));
        snprintf((char *)low_key + 18, 8, "%07u", low);
        snprintf((char *)high_key + 18, 8, "%07u", high);
        struct range_summary got = {0}, again = {0}, wanted = {0};
        btree_fold(&tree, low_key, round % 7 == 0 ? 0 : 25, high_key, 25, &got);
        entries_added = 0;
        btree_fold(&tree, low_key, round % 7 == 0 ? 0 : 25, high_key, 25, &again);
        EXPECT(entries_added < 512); /* two leaves, not the range */
        EXPECT(memcmp(&got, &again, sizeof(got)) == 0);
        for (uint32_t n = round % 7 == 0 ? 0 : low; n < high; n++) {
            wanted.sum += there[n] ? n : 0;
            wanted.count += there[n];
        }
        EXPECT(got.sum == wanted.sum && got.count == wanted.count);
    }
    btree_verify(&tree);
    btree_release(&tree, false);
    table_heap_destroy(heap);
}

int main(void)
{
    RUN(agrees_with_a_sorted_array);
    RUN(tree_stays_well_formed);
    RUN(ranges_are_summed_up);
    return test_result();
}
