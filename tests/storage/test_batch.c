/* test_batch.c: batches: growth, copies, hashing, consolidation, sorting, text and bytes. Random batches of
 * all types are compared with a plain recomputation value by value. */
#include "storage/data/batch.h"

#include "storage/data/hash.h"
#include "tests/test.h"

#define TYPES_COUNT 15

static struct arena arena;
static struct strbuf buf;
static const struct sql_type all_types[TYPES_COUNT] = {
    {OID_INT4, -1},   {OID_BOOL, -1},    {OID_INT2, -1},   {OID_INT8, -1},       {OID_FLOAT4, -1},
    {OID_FLOAT8, -1}, {OID_TEXT, -1},    {OID_BPCHAR, 20}, {OID_UUID, -1},       {OID_INTERVAL, -1},
    {OID_JSONB, -1},  {OID_NUMERIC, -1}, {OID_BYTEA, -1},  {OID_INT4_ARRAY, -1}, {OID_TIMESTAMP, -1},
};
static uint64_t random_state = 42;

static uint32_t random_below(uint32_t limit)
{
    random_state = random_state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (uint32_t)(hash_u64(random_state) >> 33) % limit;
}

static struct datum value_of(uint32_t oid, const char *text)
{
    struct datum value;
    struct error err;
    if (!type_input(oid, -1, text, strlen(text), &io_env_default, &arena, &value, &err))
        test_fail(__FILE__, __LINE__, err.message);
    return value;
}

/* One of few values, so that equal ones meet. */
static struct datum random_value(uint32_t oid)
{
    static const char *const texts[] = {
        "", "a", "a ", "abc", "a text beyond inline", "a text beyond inline!", "\xc3\xa9"};
    static const char *const jsons[] = {"1", "1.0", "{\"a\": 1, \"b\": [1.50]}", "{\"a\": 1, \"b\": [1.5]}",
                                        "null"};
    static const char *const numerics[] = {"1", "1.00", "-12.5", "NaN", "12345678901234567890123456789012345",
                                           "0"};
    static const char *const arrays[] = {"{}", "{1}", "{1,NULL}", "{{1,2},{3,4}}", "{2}"};
    struct datum value;
    memset(&value, 0, sizeof(value));
    if (random_below(6) == 0)
        return datum_null();
    uint32_t pick = random_below(5);
    switch (oid) {
    case OID_BOOL:
        value.boolean = pick & 1;
        break;
    case OID_INT2:
        value.i16 = (int16_t)(pick * 10000 - 20000);
        break;
    case OID_INT4:
        value.i32 = (int32_t)pick - 2;
        break;
    case OID_INT8:
    case OID_TIMESTAMP:
        value.i64 = ((int64_t)pick - 2) * 5000000000LL;
        break;
    case OID_FLOAT4:
        value.f32 = pick == 0 ? -0.0f : pick == 1 ? 0.0f : (float)pick / 3;
        break;
    case OID_FLOAT8:
        value.f64 = pick == 0 ? -0.0 : pick == 1 ? 0.0 : pick == 2 ? (double)__builtin_nanf("") : -1.5;
        break;
    case OID_TEXT:
    case OID_BPCHAR:
    case OID_BYTEA:
        return value_of(oid, texts[random_below(ARRAY_COUNT(texts))]);
    case OID_JSONB:
        return value_of(oid, jsons[pick]);
    case OID_NUMERIC:
        return value_of(oid, numerics[random_below(ARRAY_COUNT(numerics))]);
    case OID_INT4_ARRAY:
        return value_of(oid, arrays[pick]);
    case OID_UUID:
        value.fix16[pick] = 1;
        break;
    case OID_INTERVAL:
        value.interval = pick == 0 ? (struct interval){0, 30, 0} : (struct interval){0, 0, (int32_t)pick};
        break;
    default:
        break;
    }
    return value;
}

static struct batch *random_batch(const struct sql_type *types, uint32_t columns, uint32_t rows,
                                  bool weighted)
{
    struct batch *batch = batch_create(&arena, types, columns, 4);
    struct datum values[TYPES_COUNT];
    for (uint32_t row = 0; row < rows; row++) {
        for (uint32_t k = 0; k < columns; k++)
            values[k] = random_value(types[k].oid);
        batch_append_datums(batch, values, weighted ? (int64_t)random_below(5) - 2 : 1);
    }
    return batch;
}

static const char *text_of(const struct batch *batch)
{
    strbuf_reset(&buf);
    batch_to_text(batch, &buf);
    return strbuf_text(&buf);
}

TEST(text)
{
    struct sql_type types[] = {{OID_INT4, -1}, {OID_TEXT, -1}};
    struct batch *batch = batch_create(&arena, types, 2, 0);
    struct error err;
    const char *text = "+ 1 apple\n- 7 \"two words\"\n+3 \\N \"\"\n-2 5 \"a\\\"b\\\\ \\n\"\n+ 6 \\N\n+ 8 "
                       "\"\\\\N\"\n+ 9 a\\b\n";
    if (!batch_from_text(batch, text, &err))
        test_fail(__FILE__, __LINE__, err.message);
    EXPECT_INT(batch->rows, 7);
    EXPECT_TEXT(text_of(batch), text);
    EXPECT_INT(batch_weight(batch, 2), 3);
    EXPECT(column_is_null(&batch->columns[1], 4) && !column_is_null(&batch->columns[1], 5));
    EXPECT(!batch_from_text(batch, "+ 1", &err));
    EXPECT_TEXT(err.message, "batch text, line 1: too few values");
    EXPECT(!batch_from_text(batch, "\n+ 1 a b", &err));
    EXPECT_TEXT(err.message, "batch text, line 2: too many values");
    EXPECT(!batch_from_text(batch, "1 a", &err));
    EXPECT(!batch_from_text(batch, "+ x a", &err));
    EXPECT_TEXT(err.message, "invalid input syntax for type integer: \"x\"");
    struct batch *empty = batch_create(&arena, NULL, 0, 0);
    EXPECT(batch_from_text(empty, "+\n-2\n", &err));
    EXPECT_TEXT(text_of(empty), "+\n-2\n");
}

TEST(append)
{
    struct batch *from = random_batch(all_types, TYPES_COUNT, 200, true);
    struct batch *to = batch_create(&arena, all_types, TYPES_COUNT, 0);
    uint32_t rows[300];
    batch_append_range(to, from, 50, 100, -2);
    EXPECT_INT(to->rows, 100);
    for (uint32_t i = 0; i < 100; i++) {
        EXPECT(batch_rows_identical(to, i, from, 50 + i));
        EXPECT_INT(to->weights[i], from->weights[50 + i] * -2);
    }
    for (uint32_t i = 0; i < 300; i++)
        rows[i] = random_below(200);
    batch_append_rows(to, from, rows, 300, 1);
    for (uint32_t i = 0; i < 300; i++) {
        EXPECT(batch_rows_identical(to, 100 + i, from, rows[i]));
        EXPECT_INT(to->weights[100 + i], from->weights[rows[i]]);
    }
    /* text is copied: nothing points into `from` */
    for (uint32_t i = 0; i < to->rows; i++) {
        const struct varlen *value = (const struct varlen *)to->columns[6].data + i;
        for (uint32_t k = 0; k < from->rows && value->len > VARLEN_INLINE_MAX; k++)
            EXPECT(varlen_bytes(value) != varlen_bytes((const struct varlen *)from->columns[6].data + k));
    }
    struct sql_type two[] = {{OID_TEXT, -1}, {OID_INT4, -1}};
    uint32_t map[] = {6, 0};
    struct batch *mapped = batch_create(&arena, two, 2, 0);
    batch_append_mapped(mapped, from, map, 10, 20, 1);
    uint32_t both[] = {0, 1};
    for (uint32_t i = 0; i < 20; i++)
        EXPECT(batch_rows_equal(mapped, i, both, from, 10 + i, map, 2));
    const struct batch *slice = batch_slice(&arena, from, 30, 40);
    for (uint32_t i = 0; i < 40; i++) {
        EXPECT(batch_rows_identical(slice, i, from, 30 + i));
        EXPECT_INT(batch_weight(slice, i), batch_weight(from, 30 + i));
    }
    batch_clear(to);
    EXPECT(to->rows == 0 && to->weights == NULL);
    struct batch *plain = random_batch(all_types, TYPES_COUNT, 20, false);
    batch_append_range(to, plain, 0, 20, 1);
    EXPECT(to->weights == NULL);
    for (uint32_t i = 0; i < 20; i++)
        EXPECT(batch_rows_identical(to, i, plain, i));
    batch_append_range(to, plain, 0, 20, -1);
    EXPECT_INT(to->weights[19], 1);
    EXPECT_INT(to->weights[20], -1);
}

TEST(constants)
{
    struct datum values[] = {value_of(OID_TEXT, "a text beyond inline"), datum_null()};
    for (int i = 0; i < 2; i++) {
        struct batch *from = batch_header(&arena, 1);
        from->rows = 5;
        column_init_constant(&from->columns[0], (struct sql_type){OID_TEXT, -1}, &values[i], &arena);
        struct batch *to = batch_create(&arena, &from->columns[0].type, 1, 0);
        batch_append_range(to, from, 0, 5, 1);
        uint32_t rows[] = {4, 0, 2}, column = 0;
        struct column gathered, expanded = from->columns[0];
        column_gather(&gathered, &from->columns[0], rows, 3, &arena);
        column_expand(&expanded, 5, &arena);
        EXPECT(!gathered.is_constant && !expanded.is_constant);
        uint64_t a[5], b[5];
        batch_hash(from, &column, 1, a);
        batch_hash(to, &column, 1, b);
        for (uint32_t row = 0; row < 5; row++) {
            EXPECT(batch_rows_identical(to, row, from, row));
            EXPECT(column_is_null(&expanded, row) == values[i].is_null);
            EXPECT(a[row] == b[row]);
        }
        EXPECT(column_is_null(&gathered, 2) == values[i].is_null);
        EXPECT_INT(batch_consolidate(from, &arena)->rows, 1);
        EXPECT_INT(batch_consolidate(from, &arena)->weights[0], 5);
    }
}

TEST(hash)
{
    struct batch *batch = random_batch(all_types, TYPES_COUNT, 700, false);
    uint64_t hashes[700];
    uint32_t columns[TYPES_COUNT];
    for (uint32_t k = 0; k < TYPES_COUNT; k++) {
        columns[k] = k;
        batch_hash(batch, &k, 1, hashes);
        for (uint32_t row = 0; row < 700; row++) {
            struct datum value = column_get(&batch->columns[k], row);
            EXPECT(hashes[row] == type_hash(all_types[k].oid, &value));
        }
    }
    batch_hash(batch, columns, TYPES_COUNT, hashes);
    for (uint32_t row = 0; row < 700; row++) {
        uint64_t expected = 0;
        for (uint32_t k = 0; k < TYPES_COUNT; k++) {
            struct datum value = column_get(&batch->columns[k], row);
            uint64_t next = type_hash(all_types[k].oid, &value);
            expected = k == 0 ? next : hash_combine(expected, next);
        }
        EXPECT(hashes[row] == expected);
    }
    batch_hash(batch, columns, 0, hashes);
    EXPECT(hashes[0] == HASH_OF_NOTHING && hashes[699] == HASH_OF_NOTHING);
}

TEST(equality)
{
    struct batch *batch = random_batch(all_types, TYPES_COUNT, 60, false);
    for (uint32_t k = 0; k < TYPES_COUNT; k++) {
        for (uint32_t a = 0; a < 60; a++) {
            for (uint32_t b = 0; b < 60; b++) {
                struct datum x = column_get(&batch->columns[k], a), y = column_get(&batch->columns[k], b);
                bool expected = x.is_null || y.is_null ? x.is_null && y.is_null
                                                       : type_compare(all_types[k].oid, &x, &y) == 0;
                EXPECT(batch_rows_equal(batch, a, &k, batch, b, &k, 1) == expected);
            }
        }
    }
}

static void check_consolidated(const struct batch *batch)
{
    const struct batch *out = batch_consolidate(batch, &arena);
    uint32_t next = 0;
    for (uint32_t row = 0; row < batch->rows; row++) {
        bool seen = false;
        int64_t weight = 0;
        for (uint32_t other = 0; other < batch->rows; other++) {
            if (!batch_rows_identical(batch, row, batch, other))
                continue;
            seen |= other < row;
            weight += batch_weight(batch, other);
        }
        if (seen || weight == 0)
            continue;
        EXPECT(next < out->rows);
        if (next >= out->rows)
            return;
        EXPECT(batch_rows_identical(out, next, batch, row));
        EXPECT_INT(batch_weight(out, next), weight);
        next++;
    }
    EXPECT_INT(out->rows, next);
}

TEST(consolidate)
{
    struct sql_type mixed[] = {{OID_NUMERIC, -1}, {OID_TEXT, -1}};
    for (uint32_t k = 0; k < TYPES_COUNT; k++)
        check_consolidated(random_batch(&all_types[k], 1, 100, k % 2 == 0));
    check_consolidated(random_batch(mixed, 2, 300, true));
    struct batch *batch = batch_create(&arena, mixed, 1, 0);
    struct error err;
    EXPECT(batch_from_text(batch, "+ 1.0\n+ 1.00\n+ 2\n", &err));
    EXPECT(batch_consolidate(batch, &arena) == batch); /* 1.0 and 1.00 are two rows */
    EXPECT(batch_from_text(batch, "- 1.0\n+ 2\n", &err));
    EXPECT_TEXT(text_of(batch_consolidate(batch, &arena)), "+ 1.00\n+2 2\n");
    EXPECT(batch_from_text(batch, "- 1.00\n-2 2\n", &err));
    EXPECT_INT(batch_consolidate(batch, &arena)->rows, 0);
}

static int row_order(const struct batch *batch, uint32_t a, uint32_t b, const struct sort_key *keys,
                     uint32_t count)
{
    for (uint32_t k = 0; k < count; k++) {
        const struct column *column = &batch->columns[keys[k].column];
        struct datum x = column_get(column, a), y = column_get(column, b);
        int order;
        if (x.is_null || y.is_null)
            order = ((int)x.is_null - (int)y.is_null) * (keys[k].nulls_first ? -1 : 1);
        else
            order = type_compare(column->type.oid, &x, &y) * (keys[k].descending ? -1 : 1);
        if (order != 0)
            return order;
    }
    return 0;
}

static void check_sort(const struct batch *batch, const struct sort_key *keys, uint32_t count)
{
    uint32_t *order = ARENA_ARRAY(&arena, uint32_t, batch->rows);
    uint8_t *seen = ARENA_ARRAY(&arena, uint8_t, batch->rows);
    struct strbuf last = STRBUF_INIT, key = STRBUF_INIT;
    batch_sort(batch, keys, count, order);
    for (uint32_t i = 0; i < batch->rows; i++) {
        EXPECT(order[i] < batch->rows && !seen[order[i]]);
        seen[order[i]] = 1;
        strbuf_reset(&key);
        batch_encode_key(batch, order[i], keys, count, &key);
        if (i > 0) {
            int found = row_order(batch, order[i - 1], order[i], keys, count);
            EXPECT(found < 0 || (found == 0 && order[i - 1] < order[i]));
            size_t shorter = last.len < key.len ? last.len : key.len;
            int bytes = memcmp(last.data, key.data, shorter);
            EXPECT((bytes > 0) - (bytes < 0) == (found > 0) - (found < 0));
        }
        strbuf_reset(&last);
        strbuf_add(&last, key.data, key.len);
    }
    strbuf_release(&last);
    strbuf_release(&key);
}

TEST(sort)
{
    for (uint32_t k = 0; k < TYPES_COUNT; k++) {
        for (uint32_t flags = 0; flags < 4; flags++) {
            struct batch *batch = random_batch(&all_types[k], 1, flags == 0 ? 300 : 40, false);
            struct sort_key key = {0, flags & 1, flags >> 1};
            check_sort(batch, &key, 1);
        }
    }
    for (int i = 0; i < 30; i++) {
        struct batch *batch = random_batch(all_types, TYPES_COUNT, 1 + random_below(150), false);
        struct sort_key keys[3];
        uint32_t count = 1 + random_below(3);
        for (uint32_t k = 0; k < count; k++)
            keys[k] = (struct sort_key){random_below(TYPES_COUNT), random_below(2), random_below(2)};
        check_sort(batch, keys, count);
    }
    /* all 64 bits of wide integers, radix sorted */
    struct sql_type int8 = {OID_INT8, -1};
    struct batch *wide = batch_create(&arena, &int8, 1, 0);
    for (int i = 0; i < 2000; i++) {
        struct datum value = datum_i64((int64_t)hash_u64((uint64_t)i) >> random_below(60));
        batch_append_datums(wide, &value, 1);
    }
    struct sort_key key = {0, false, false};
    check_sort(wide, &key, 1);
}

TEST(serialize)
{
    struct error err;
    for (int round = 0; round < 20; round++) {
        struct batch *batch = random_batch(all_types, TYPES_COUNT, random_below(100), round % 2);
        struct batch *again = random_batch(all_types, TYPES_COUNT, 3, round % 3 == 0);
        struct strbuf bytes = STRBUF_INIT;
        size_t used;
        strbuf_adds(&bytes, "x");
        batch_serialize(batch, &bytes);
        size_t len = bytes.len - 1;
        const uint8_t *start = (const uint8_t *)bytes.data + 1;
        EXPECT(batch_deserialize(again, start, len, &used, &err));
        EXPECT_INT(used, len);
        EXPECT_INT(again->rows, batch->rows + 3);
        for (uint32_t i = 0; i < batch->rows; i++) {
            EXPECT(batch_rows_identical(again, 3 + i, batch, i));
            EXPECT_INT(batch_weight(again, 3 + i), batch_weight(batch, i));
        }
        for (size_t cut = 0; cut < len; cut += 1 + len / 50) {
            struct batch *other = batch_create(&arena, all_types, TYPES_COUNT, 0);
            EXPECT(!batch_deserialize(other, start, cut, &used, &err));
            EXPECT_INT(other->rows, 0);
            EXPECT_TEXT(error_sqlstate(err.code), "XX001");
        }
        /* flipped bits give an error or rows that can be shown, never a crash */
        for (int i = 0; i < 200 && len > 9; i++) {
            size_t at = 9 + random_below((uint32_t)len - 9);
            struct batch *other = batch_create(&arena, all_types, TYPES_COUNT, 0);
            bytes.data[1 + at] ^= (char)(1 << random_below(8));
            (void)!batch_deserialize(other, start, len, &used, &err);
        }
        strbuf_release(&bytes);
    }
    struct sql_type int8 = {OID_INT8, -1};
    struct batch *small = batch_create(&arena, &int8, 1, 0);
    for (int i = 0; i < 1000; i++) {
        struct datum value = datum_i64(1700000000000000LL + i % 200);
        batch_append_datums(small, &value, 1);
    }
    struct strbuf bytes = STRBUF_INIT;
    batch_serialize(small, &bytes);
    EXPECT(bytes.len < 1100); /* one byte per value */
    strbuf_release(&bytes);
}

int main(void)
{
    arena_init(&arena, NULL);
    RUN(text);
    RUN(append);
    RUN(constants);
    RUN(hash);
    RUN(equality);
    RUN(consolidate);
    RUN(sort);
    RUN(serialize);
    arena_release(&arena);
    strbuf_release(&buf);
    return test_result();
}
