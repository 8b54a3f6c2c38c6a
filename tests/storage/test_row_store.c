/* test_row_store.c: row stores against the whole history of a naive model: every open epoch is read again
 * after every tick, by scan, by key and by index; and readers on other threads beside a writer. */
#include "storage/state/row_store_internal.h" /* what its text takes */
#include "tests/storage/saved_image.h"

#include <pthread.h>

enum { KEYS = 150, EPOCHS = 120, VALUES = 60 };

/* ---- keyed: (id int8 primary key, v int4, t text), hash index on v, ordered index on (v, t) ---- */

static const struct sql_type types[] = {{OID_INT8, -1}, {OID_INT4, -1}, {OID_TEXT, -1}};
static const uint32_t key_column = 0, v_column = 1, range_columns[] = {1, 2};

/* history[e][k]: the value of key k at the end of epoch e, -1 none */
static int32_t history[EPOCHS + 1][KEYS], current[KEYS];

static void append_row(struct batch *batch, struct arena *arena, int64_t k, int32_t v, int64_t weight)
{
    struct datum values[3] = {datum_i64(k), datum_i32(v), text_of(arena, (uint64_t)v)};
    if (v % 10 == 9)
        values[1] = datum_null();
    batch_append_datums(batch, values, weight);
}

static int32_t row_value(struct arena *arena, const struct batch *batch, uint32_t row)
{
    struct datum text = column_get(&batch->columns[2], row), v = column_get(&batch->columns[1], row);
    int32_t value = (int32_t)strtol((const char *)varlen_bytes(&text.var) + 1, NULL, 10);
    struct datum expected = text_of(arena, (uint64_t)value);
    EXPECT(varlen_identical(&text.var, &expected.var));
    EXPECT_INT(v.is_null ? -1 : v.i32, value % 10 == 9 ? -1 : value);
    return value;
}

/* Marks what was read; every row may come once. */
static void check_rows(struct arena *arena, const struct batch *rows, const int32_t *expected, int32_t only_v)
{
    bool seen[KEYS] = {false};
    for (uint32_t i = 0; i < rows->rows; i++) {
        int64_t k = column_get(&rows->columns[0], i).i64;
        EXPECT(k >= 0 && k < KEYS && !seen[k]);
        seen[k] = true;
        EXPECT_INT(row_value(arena, rows, i), expected[k]);
        EXPECT(only_v < 0 || expected[k] == only_v);
    }
    for (int32_t k = 0; k < KEYS; k++)
        EXPECT_INT(seen[k], expected[k] >= 0 && (only_v < 0 || expected[k] == only_v));
}

/* Indexes are filled from the first of these epochs to the second. */
enum { FIRST_FILL = 6, FIRST_INDEX = 15 };

static void fill_some(struct row_store *store, struct store_index *const *indexes, uint32_t *cursors,
                      uint64_t *seed)
{
    uint32_t i = next_random(seed) % 2, keys;
    int64_t bytes = 0;
    switch (next_random(seed) % 6) {
    case 0:
        (void)row_store_fill_index(store, indexes[i], &cursors[i], &keys);
        break;
    case 1:
        (void)row_store_fill_noted(store, indexes[i]);
        EXPECT_INT(row_store_noted(indexes[i], &bytes), 0);
        EXPECT_INT(bytes, 0);
    }
}

static void check_epoch(struct row_store *store, uint64_t epoch, const int32_t *expected, bool indexed,
                        struct arena *arena)
{
    struct batch *out = batch_create(arena, types, 3, 16);
    uint64_t cursor = 0;
    while (row_store_scan(store, epoch, &cursor, 37, out))
        ;
    EXPECT(out->weights == NULL);
    check_rows(arena, out, expected, -1);
    struct batch *keys = batch_create(arena, types, 1, KEYS + 10);
    for (int64_t k = -5; k < KEYS + 5; k++)
        batch_append_datums(keys, &(struct datum){.i64 = k}, 1);
    batch_clear(out);
    row_store_lookup(store, epoch, keys, &key_column, hashes_of(arena, keys, &key_column, 1), out);
    check_rows(arena, out, expected, -1);
    if (!indexed)
        return;
    for (int32_t v = 0; v < VALUES; v += 7) {
        if (v % 10 == 9)
            continue;
        struct batch *one = batch_create(arena, &types[1], 1, 1);
        batch_append_datums(one, &(struct datum){.i32 = v}, 1);
        uint32_t zero = 0;
        batch_clear(out);
        row_store_index_lookup(store, 0, epoch, one, &zero, out);
        check_rows(arena, out, expected, v);
    }
    /* the whole range in order, then a part */
    struct strbuf place = STRBUF_INIT, low = STRBUF_INIT, high = STRBUF_INIT;
    batch_clear(out);
    while (row_store_index_range(store, 1, epoch, NULL, NULL, &place, 11, out))
        ;
    check_rows(arena, out, expected, -1);
    struct sort_key order[] = {{1, false, false}, {2, false, false}};
    struct strbuf last = STRBUF_INIT, next = STRBUF_INIT;
    for (uint32_t i = 0; i < out->rows; i++) {
        strbuf_reset(&next);
        batch_encode_key(out, i, order, 2, &next);
        EXPECT(i == 0 || memcmp(last.data, next.data, last.len < next.len ? last.len : next.len) <= 0);
        strbuf_reset(&last);
        strbuf_add(&last, next.data, next.len);
    }
    struct datum from = datum_i32(10), to = datum_i32(30);
    type_encode_key(OID_INT4, &from, false, false, &low);
    type_encode_key(OID_INT4, &to, false, false, &high);
    strbuf_reset(&place);
    batch_clear(out);
    while (row_store_index_range(store, 1, epoch, &low, &high, &place, 1000, out))
        ;
    uint32_t within = 0;
    for (uint32_t k = 0; k < KEYS; k++)
        within += expected[k] >= 10 && expected[k] < 30 && expected[k] % 10 != 9;
    EXPECT_INT(out->rows, within);
    strbuf_release(&place);
    strbuf_release(&low);
    strbuf_release(&high);
    strbuf_release(&last);
    strbuf_release(&next);
}

/* One random batch: inserts, replacements, deletes (some of rows that are not there), updates as pairs. */
static void change_some(struct row_store *store, uint64_t *seed, struct arena *arena)
{
    struct batch *batch = batch_create(arena, types, 3, 64);
    uint32_t rows = (uint32_t)(next_random(seed) % 30);
    bool touched[KEYS] = {false};
    for (uint32_t i = 0; i < rows; i++) {
        int32_t k = (int32_t)(next_random(seed) % KEYS), v = (int32_t)(next_random(seed) % VALUES);
        if (touched[k])
            continue;
        touched[k] = true;
        switch (next_random(seed) % 6) {
        case 0: /* a delete that does not fit */
            if (current[k] != v) {
                append_row(batch, arena, k, v, -1);
                break;
            }
            /* fall through */
        case 1:
            if (current[k] >= 0)
                append_row(batch, arena, k, current[k], -1);
            current[k] = -1;
            break;
        case 2: /* the insert stands before the delete */
            append_row(batch, arena, k, v, 1);
            if (current[k] >= 0)
                append_row(batch, arena, k, current[k], -1);
            current[k] = v;
            break;
        case 3:
            if (current[k] >= 0) {
                append_row(batch, arena, k, current[k], -1);
                append_row(batch, arena, k, current[k], 1);
            }
            break;
        default:
            append_row(batch, arena, k, v, 1);
            current[k] = v;
        }
    }
    row_store_apply(store, batch, hashes_of(arena, batch, &key_column, 1));
}

static void check_current(struct row_store *store, struct arena *arena)
{
    struct batch *keys = batch_create(arena, types, 1, KEYS);
    for (int64_t k = 0; k < KEYS; k++)
        batch_append_datums(keys, &(struct datum){.i64 = k}, 1);
    uint8_t found[KEYS];
    struct batch *out = batch_create(arena, types, 3, KEYS);
    row_store_current(store, keys, &key_column, hashes_of(arena, keys, &key_column, 1), found, NULL, out);
    check_rows(arena, out, current, -1);
    uint64_t rows = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        EXPECT_INT(found[k], current[k] >= 0);
        rows += found[k];
    }
    EXPECT_INT(row_store_rows(store), rows);
}

/* The same store from what was saved of it. */
static struct row_store *restored(struct row_store *store, struct row_store *empty, struct saved_image *image,
                                  uint64_t seed)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct saved_tables tables = {.arena = &arena};
    row_store_saved(empty, "rows", &tables);
    image_restore(image, &tables.items[0], seed);
    EXPECT_INT(row_store_rows(empty), row_store_rows(store));
    arena_release(&arena);
    row_store_destroy(store);
    return empty;
}

static void save_store(struct row_store *store, struct saved_image *image)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct saved_tables tables = {.arena = &arena};
    row_store_saved(store, "rows", &tables);
    image_save(image, &tables.items[0]);
    arena_release(&arena);
}

static void run_keyed(uint64_t seed, bool restores)
{
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    struct row_store *store = row_store_create(types, 3, &key_column, 1, &account);
    memset(current, 0xff, sizeof(current));
    memset(history, 0xff, sizeof(history));
    uint64_t oldest = 0;
    struct saved_image image;
    image_init(&image);
    bool indexed = false;
    struct store_index *filled[2];
    uint32_t cursors[2] = {0, 0}, number, keys;
    for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
        row_store_begin_tick(store, epoch);
        for (uint64_t t = next_random(&seed) % 4; t-- > 0;) {
            uint64_t mark = row_store_mark(store);
            int32_t before[KEYS];
            memcpy(before, current, sizeof(before));
            for (uint64_t b = next_random(&seed) % 4; b-- > 0;) {
                change_some(store, &seed, &arena);
                check_current(store, &arena);
                if (epoch > FIRST_FILL && epoch < FIRST_INDEX)
                    fill_some(store, filled, cursors, &seed);
            }
            if (next_random(&seed) % 3 == 0) {
                if (restores) /* what it saves is taken back */
                    save_store(store, &image);
                row_store_rollback_to(store, mark);
                memcpy(current, before, sizeof(before));
                check_current(store, &arena);
            }
        }
        memcpy(history[epoch], current, sizeof(current));
        if (epoch == FIRST_FILL) {
            filled[0] = row_store_begin_index(store, &v_column, 1, false, &number);
            EXPECT_INT(number, 0);
            filled[1] = row_store_begin_index(store, range_columns, 2, true, &number);
            EXPECT_INT(number, 1);
        }
        if (epoch == FIRST_INDEX) {
            for (int i = 0; i < 2; i++) {
                while (row_store_fill_index(store, filled[i], &cursors[i], &keys))
                    ;
                row_store_end_index(store, filled[i]);
            }
            indexed = true;
        }
        if (epoch == 100) {
            for (uint32_t i = 0; i < 2; i++)
                row_store_free_index(store, row_store_take_index(store, i));
            indexed = false;
        }
        if (next_random(&seed) % 3 == 0) {
            oldest += next_random(&seed) % (epoch - oldest + 1);
            (void)row_store_trim(store, oldest,
                                 next_random(&seed) % 2 ? UINT64_MAX : next_random(&seed) % 4096);
        }
        if (restores && next_random(&seed) % 2 == 0)
            save_store(store, &image);
        if (restores && next_random(&seed) % 8 == 0 && (epoch < FIRST_FILL || epoch >= FIRST_INDEX)) {
            save_store(store, &image);
            EXPECT(epoch == 1 || image.written < KEYS);
            struct row_store *empty = row_store_create(types, 3, &key_column, 1, &account);
            bool before = epoch % 2 == 0; /* indexes are there before the rows */
            for (int i = 0; indexed && before && i < 2; i++)
                (void)row_store_add_index(empty, i == 0 ? &v_column : range_columns, i + 1, i == 1);
            store = restored(store, empty, &image, seed);
            for (int i = 0; indexed && !before && i < 2; i++)
                (void)row_store_add_index(store, i == 0 ? &v_column : range_columns, i + 1, i == 1);
            row_store_restore_end(store);
            oldest = epoch;
        }
        for (uint64_t e = oldest; e <= epoch; e++)
            check_epoch(store, e, history[e], indexed, &arena);
        if (epoch < FIRST_FILL || epoch >= FIRST_INDEX)
            EXPECT_INT(row_store_bytes(store), account.used_bytes);
        arena_reset(&arena);
    }
    /* all away, all trimmed */
    row_store_begin_tick(store, EPOCHS + 1);
    struct batch *batch = batch_create(&arena, types, 3, KEYS);
    for (int32_t k = 0; k < KEYS; k++) {
        if (current[k] >= 0)
            append_row(batch, &arena, k, current[k], -1);
    }
    row_store_apply(store, batch, hashes_of(&arena, batch, &key_column, 1));
    EXPECT_INT(row_store_rows(store), 0);
    check_epoch(store, EPOCHS, history[EPOCHS], false, &arena);
    (void)row_store_trim(store, EPOCHS + 1, UINT64_MAX);
    struct batch *out = batch_create(&arena, types, 3, 1);
    uint64_t cursor = 0;
    EXPECT(!row_store_scan(store, EPOCHS + 1, &cursor, 100, out));
    EXPECT_INT(out->rows, 0);
    EXPECT(row_store_bytes(store) < 40000);
    row_store_destroy(store);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
    image_release(&image);
}

TEST(keyed_agrees_with_its_history)
{
    run_keyed(1, false);
    run_keyed(2, false);
    run_keyed(3, false);
}

TEST(keyed_is_restored)
{
    for (uint64_t seed = 4; seed < 12; seed++)
        run_keyed(seed, true);
}

/* ---- multiset: (v int4, t text) with counts, hash index on v ---- */

static int64_t counts_at[EPOCHS + 1][VALUES], counts_now[VALUES];

static void append_copies(struct batch *batch, struct arena *arena, int32_t v, int64_t weight)
{
    batch_append_datums(batch, (struct datum[]){datum_i32(v / 2), text_of(arena, (uint64_t)v)}, weight);
}

static void check_copies(struct arena *arena, const struct batch *rows, const int64_t *expected, int32_t only)
{
    int64_t seen[VALUES] = {0};
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct datum text = column_get(&rows->columns[1], i);
        int32_t v = (int32_t)strtol((const char *)varlen_bytes(&text.var) + 1, NULL, 10);
        EXPECT_INT(column_get(&rows->columns[0], i).i32, v / 2);
        seen[v] += batch_weight(rows, i);
    }
    for (int32_t v = 0; v < VALUES; v++)
        EXPECT_INT(seen[v], only < 0 || v / 2 == only ? expected[v] : 0);
}

static void run_multiset(uint64_t seed, bool restores)
{
    memset(counts_now, 0, sizeof(counts_now));
    memset(counts_at, 0, sizeof(counts_at));
    struct saved_image image;
    image_init(&image);
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    const struct sql_type two[] = {{OID_INT4, -1}, {OID_TEXT, -1}};
    uint32_t all[] = {0, 1}, zero = 0;
    struct row_store *store = row_store_create(two, 2, NULL, 0, &account);
    EXPECT_INT(row_store_add_index(store, &zero, 1, false), 0);
    uint64_t oldest = 0;
    for (uint64_t epoch = 1; epoch <= EPOCHS; epoch++) {
        row_store_begin_tick(store, epoch);
        for (uint64_t t = next_random(&seed) % 4; t-- > 0;) {
            uint64_t mark = row_store_mark(store);
            int64_t before[VALUES];
            memcpy(before, counts_now, sizeof(before));
            for (uint64_t b = next_random(&seed) % 3; b-- > 0;) {
                struct batch *batch = batch_create(&arena, two, 2, 32);
                for (uint64_t i = next_random(&seed) % 32; i-- > 0;) {
                    int32_t v = (int32_t)(next_random(&seed) % VALUES);
                    int64_t weight = (int64_t)(next_random(&seed) % 4) - (counts_now[v] > 2 ? 3 : 0);
                    if (next_random(&seed) % 4 == 0)
                        weight = -counts_now[v];
                    append_copies(batch, &arena, v, weight);
                    counts_now[v] += weight;
                }
                uint64_t *hashes = hashes_of(&arena, batch, all, 2);
                row_store_apply(store, batch, hashes);
                uint8_t found[32];
                int64_t counts[32];
                row_store_current(store, batch, all, hashes, found, counts, NULL);
                for (uint32_t i = 0; i < batch->rows; i++) {
                    struct datum text = column_get(&batch->columns[1], i);
                    int32_t v = (int32_t)strtol((const char *)varlen_bytes(&text.var) + 1, NULL, 10);
                    EXPECT_INT(counts[i], counts_now[v]);
                    EXPECT_INT(found[i], counts_now[v] != 0);
                }
            }
            if (next_random(&seed) % 3 == 0) {
                if (restores) /* what it saves is taken back */
                    save_store(store, &image);
                row_store_rollback_to(store, mark);
                memcpy(counts_now, before, sizeof(before));
            }
        }
        memcpy(counts_at[epoch], counts_now, sizeof(counts_now));
        int64_t sum = 0;
        for (uint32_t v = 0; v < VALUES; v++)
            sum += counts_now[v];
        EXPECT_INT(row_store_rows(store), sum);
        if (next_random(&seed) % 3 == 0) {
            oldest += next_random(&seed) % (epoch - oldest + 1);
            (void)row_store_trim(store, oldest,
                                 next_random(&seed) % 2 ? UINT64_MAX : next_random(&seed) % 4096);
        }
        if (restores && next_random(&seed) % 2 == 0)
            save_store(store, &image);
        if (restores && next_random(&seed) % 8 == 0 && (epoch < FIRST_FILL || epoch >= FIRST_INDEX)) {
            save_store(store, &image);
            struct row_store *empty = row_store_create(two, 2, NULL, 0, &account);
            EXPECT_INT(row_store_add_index(empty, &zero, 1, false), 0);
            store = restored(store, empty, &image, seed);
            row_store_restore_end(store);
            oldest = epoch;
        }
        for (uint64_t e = oldest; e <= epoch; e++) {
            struct batch *out = batch_create(&arena, two, 2, 16);
            uint64_t cursor = 0;
            while (row_store_scan(store, e, &cursor, 13, out))
                ;
            check_copies(&arena, out, counts_at[e], -1);
            struct batch *one = batch_create(&arena, two, 1, 1);
            int32_t v = (int32_t)(next_random(&seed) % VALUES) / 2;
            batch_append_datums(one, &(struct datum){.i32 = v}, 1);
            batch_clear(out);
            row_store_index_lookup(store, 0, e, one, &zero, out);
            check_copies(&arena, out, counts_at[e], v);
        }
        if (epoch < FIRST_FILL || epoch >= FIRST_INDEX)
            EXPECT_INT(row_store_bytes(store), account.used_bytes);
        arena_reset(&arena);
    }
    row_store_destroy(store);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
    image_release(&image);
}

TEST(multiset_agrees_with_its_history)
{
    run_multiset(11, false);
}

TEST(multiset_is_restored)
{
    for (uint64_t seed = 12; seed < 20; seed++)
        run_multiset(seed, true);
}

/* ---- columns that are added ---- */

enum { WIDE_KEYS = 60, WIDE_EPOCHS = 60, WIDE_COLUMNS = 6 };

static const struct sql_type wide_types[WIDE_COLUMNS] = {{OID_INT8, -1}, {OID_INT4, -1}, {OID_TEXT, -1},
                                                         {OID_TEXT, -1}, {OID_INT2, -1}, {OID_NUMERIC, -1}};
static const char missing_text[] = "what rows from before have in it";

/* A row: its value, and how many columns there were when it was written; 0 columns: none. */
struct wide_row {
    int32_t v;
    uint32_t columns;
};

static struct datum missing_of(uint32_t column)
{
    if (column == 3)
        return (struct datum){.var = varlen_view((const uint8_t *)missing_text, sizeof(missing_text) - 1)};
    return datum_null();
}

static void wide_values(struct arena *arena, int64_t k, struct wide_row row, struct datum *values)
{
    values[0] = datum_i64(k);
    values[1] = row.v % 10 == 9 ? datum_null() : datum_i32(row.v);
    values[2] = text_of(arena, (uint64_t)row.v);
    for (uint32_t c = 3; c < WIDE_COLUMNS; c++)
        values[c] = missing_of(c);
    if (row.columns > 3 && row.v % 4 != 0)
        values[3] = text_of(arena, (uint64_t)row.v + 1);
    if (row.columns > 4 && row.v % 3 != 0)
        values[4] = (struct datum){.i16 = (int16_t)row.v};
}

static void append_wide(struct batch *batch, struct arena *arena, int64_t k, struct wide_row row,
                        int64_t weight)
{
    struct datum values[WIDE_COLUMNS];
    wide_values(arena, k, row, values);
    batch_append_datums(batch, values, weight);
}

static void check_wide(struct row_store *store, uint64_t epoch, uint32_t columns_count,
                       const struct wide_row *expected, struct arena *arena)
{
    struct batch *out = batch_create(arena, wide_types, columns_count, 16);
    struct batch *all = batch_create(arena, wide_types, columns_count, WIDE_KEYS);
    uint64_t cursor = 0;
    while (row_store_scan(store, epoch, &cursor, 7, out))
        ;
    bool seen[WIDE_KEYS] = {false};
    for (uint32_t i = 0; i < out->rows; i++) {
        int64_t k = column_get(&out->columns[0], i).i64;
        EXPECT(k >= 0 && k < WIDE_KEYS && !seen[k] && batch_weight(out, i) == 1);
        seen[k] = true;
        batch_clear(all);
        append_wide(all, arena, k, expected[k], 1);
        EXPECT(batch_rows_identical(out, i, all, 0));
    }
    for (int k = 0; k < WIDE_KEYS; k++)
        EXPECT_INT(seen[k], expected[k].columns > 0);
}

/* By an index: the rows whose value in the column is that of this row. */
static void check_wide_index(struct row_store *store, uint32_t index, uint32_t column, uint64_t epoch,
                             uint32_t columns_count, const struct wide_row *expected, struct wide_row like,
                             struct arena *arena)
{
    struct datum wanted[WIDE_COLUMNS], values[WIDE_COLUMNS];
    wide_values(arena, 0, like, wanted);
    struct batch *one = batch_create(arena, &wide_types[column], 1, 1);
    batch_append_datums(one, &wanted[column], 1);
    struct batch *out = batch_create(arena, wide_types, columns_count, 16);
    uint32_t zero = 0, count = 0;
    row_store_index_lookup(store, index, epoch, one, &zero, out);
    for (int64_t k = 0; k < WIDE_KEYS; k++) {
        wide_values(arena, k, expected[k], values);
        bool is_null = wanted[column].is_null || values[column].is_null;
        bool same = is_null       ? wanted[column].is_null && values[column].is_null
                    : column == 1 ? wanted[1].i32 == values[1].i32
                                  : varlen_identical(&wanted[column].var, &values[column].var);
        count += expected[k].columns > 0 && same;
    }
    EXPECT_INT(out->rows, count);
}

/* Columns on their way: steps of all sizes between ticks, given up now and then and begun again. */
struct widening_run {
    struct store_widening *widening; /* NULL: none */
    uint32_t count;
    bool undoes;
    uint64_t left;
    struct datum missing[2];
};

static void begin_widening(struct row_store *store, struct widening_run *run, uint32_t columns_count,
                           uint32_t count)
{
    run->count = count;
    for (uint32_t i = 0; i < count; i++)
        run->missing[i] = missing_of(columns_count + i);
    run->widening = row_store_begin_widen(store, &wide_types[columns_count], count, run->missing);
    run->undoes = false;
    run->left = UINT64_MAX;
}

/* What may happen between two ticks; must_end: it does. Returns how many columns the store has got. */
static uint32_t go_on_widening(struct row_store *store, struct widening_run *run, uint32_t columns_count,
                               bool must_end, uint64_t *seed)
{
    uint32_t choice = (uint32_t)(next_random(seed) % 16);
    if (run->widening == NULL)
        return 0;
    if (!run->undoes && choice == 0)
        run->undoes = true;
    if (run->undoes && (choice < 8 || must_end)) {
        while (row_store_undo_widen(store, 7)) {
            if (!must_end)
                return 0;
        }
        row_store_free_widening(store, run->widening);
        begin_widening(store, run, columns_count, run->count);
    }
    if (!run->undoes && choice < 6)
        run->left = row_store_widen_step(store, (uint32_t)(next_random(seed) % 20));
    if (!run->undoes && (must_end || choice >= 14)) {
        while (row_store_widen_step(store, 3) > 0) {
        }
        row_store_end_widen(store);
        row_store_free_widening(store, run->widening);
        run->widening = NULL;
        return run->count;
    }
    return 0;
}

/* All rows away: no text is left behind, and none was given back twice. */
static void check_emptied(struct row_store *store, uint64_t epoch, uint32_t key_count, uint32_t columns_count,
                          const struct wide_row *now, struct arena *arena)
{
    row_store_begin_tick(store, epoch);
    struct batch *batch = batch_create(arena, wide_types, columns_count, WIDE_KEYS);
    for (int64_t k = 0; k < WIDE_KEYS; k++)
        if (now[k].columns > 0)
            append_wide(batch, arena, k, now[k], -1);
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * (batch->rows + 1));
    row_store_hash(store, batch, hashes);
    row_store_apply(store, batch, hashes);
    (void)row_store_trim(store, epoch, UINT64_MAX);
    EXPECT_INT(row_store_rows(store), 0);
    struct table_heap *heap = table_heap_create(NULL);
    struct varlen text = varlen_view((const uint8_t *)missing_text, sizeof(missing_text) - 1);
    (void)table_heap_store(heap, &text);
    EXPECT_INT(table_heap_bytes(store->heap), table_heap_bytes(heap));
    table_heap_destroy(heap);
}

static void run_wide(uint64_t seed, uint32_t key_count)
{
    struct widening_run run = {0};
    bool empties = seed % 3 == 0;
    static struct wide_row rows_at[WIDE_EPOCHS + 1][WIDE_KEYS];
    struct wide_row now[WIDE_KEYS] = {{0}}, before[WIDE_KEYS], gone[WIDE_KEYS] = {{0}};
    memset(rows_at, 0, sizeof(rows_at));
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    struct saved_image image;
    image_init(&image);
    struct row_store *store = row_store_create(wide_types, 3, &key_column, key_count, &account);
    EXPECT_INT(row_store_add_index(store, &v_column, 1, true), 0);
    uint32_t columns_count = 3, text_column = 3, added = 0;
    uint64_t oldest = 0;
    for (uint64_t epoch = 1; epoch <= WIDE_EPOCHS; epoch++) {
        if (epoch % 15 == 10 && columns_count < WIDE_COLUMNS)
            begin_widening(store, &run, columns_count, epoch == 25 ? 2 : 1);
        columns_count += go_on_widening(store, &run, columns_count, epoch % 15 == 9, &seed);
        EXPECT_INT(row_store_bytes(store), account.used_bytes);
        if (epoch == 30) {
            added = row_store_add_index(store, &text_column, 1, false);
            EXPECT_INT(added, 1);
        }
        row_store_begin_tick(store, epoch);
        for (uint64_t t = next_random(&seed) % 4; t-- > 0;) {
            uint64_t mark = row_store_mark(store);
            memcpy(before, now, sizeof(before));
            struct batch *batch = batch_create(&arena, wide_types, columns_count, 64);
            for (int64_t k = 0; k < WIDE_KEYS; k++) {
                if (next_random(&seed) % 5 != 0)
                    continue;
                if (now[k].columns > 0)
                    append_wide(batch, &arena, k, now[k], -1);
                struct wide_row fresh = {(int32_t)(next_random(&seed) % 40), columns_count};
                if (now[k].columns > 0)
                    gone[k] = now[k];
                else if (gone[k].columns > 0 && next_random(&seed) % 2 == 0)
                    fresh = gone[k]; /* the same row again */
                now[k] = next_random(&seed) % 4 == 0 ? (struct wide_row){0} : fresh;
                if (now[k].columns > 0)
                    append_wide(batch, &arena, k, now[k], 1);
            }
            uint64_t *hashes = arena_alloc(&arena, sizeof(*hashes) * (batch->rows + 1));
            const struct batch *net = key_count > 0 ? batch : batch_consolidate(batch, &arena);
            row_store_hash(store, net, hashes);
            row_store_apply(store, net, hashes);
            if (next_random(&seed) % 4 == 0) {
                row_store_rollback_to(store, mark);
                memcpy(now, before, sizeof(now));
            }
        }
        memcpy(rows_at[epoch], now, sizeof(now));
        if (next_random(&seed) % 4 == 0) {
            oldest += next_random(&seed) % (epoch - oldest + 1);
            (void)row_store_trim(store, oldest,
                                 next_random(&seed) % 2 ? UINT64_MAX : next_random(&seed) % 4096);
        }
        if (next_random(&seed) % 2 == 0)
            save_store(store, &image);
        for (uint64_t e = oldest; e <= epoch; e++) {
            check_wide(store, e, columns_count, rows_at[e], &arena);
            struct wide_row like = {(int32_t)(next_random(&seed) % 40),
                                    3 + (uint32_t)(next_random(&seed) % 2)};
            check_wide_index(store, 0, 1, e, columns_count, rows_at[e], like, &arena);
            if (epoch >= 30)
                check_wide_index(store, added, 3, e, columns_count, rows_at[e], like, &arena);
        }
        check_wide(store, epoch, 2, now, &arena); /* who knows fewer columns gets those */
        EXPECT_INT(row_store_bytes(store), account.used_bytes);
        arena_reset(&arena);
    }
    EXPECT_INT(columns_count, WIDE_COLUMNS);
    if (empties)
        check_emptied(store, WIDE_EPOCHS + 1, key_count, columns_count, now, &arena);
    if (empties)
        memset(now, 0, sizeof(now));
    /* what was saved with fewer columns comes back with all of them */
    save_store(store, &image);
    struct row_store *back = row_store_create(wide_types, 3, &key_column, key_count, &account);
    struct datum missing[3] = {missing_of(3), missing_of(4), missing_of(5)};
    row_store_widen(back, &wide_types[3], 3, missing);
    store = restored(store, back, &image, seed);
    row_store_restore_end(store);
    check_wide(store, WIDE_EPOCHS, WIDE_COLUMNS, now, &arena);
    row_store_destroy(store);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
    image_release(&image);
}

TEST(columns_are_added)
{
    for (uint64_t seed = 1; seed < 40; seed++)
        run_wide(seed, (uint32_t)(seed % 2));
}

/* All rows go while they are copied, and slots get others: memory that is given back later. */
TEST(columns_of_an_emptied_store)
{
    enum { ROWS = 4000, AGAIN = 100 };
    for (uint32_t round = 0; round < 6; round++) {
        struct account account;
        account_init(&account, NULL, "test", 0);
        struct arena arena;
        arena_init(&arena, NULL);
        struct row_store *store = row_store_create(wide_types, 3, &key_column, 1, &account);
        struct batch *batch = batch_create(&arena, wide_types, 3, ROWS);
        for (int64_t k = 0; k < ROWS; k++)
            append_wide(batch, &arena, k, (struct wide_row){1, 3}, 1);
        row_store_begin_tick(store, 1);
        uint64_t *hashes = arena_alloc(&arena, sizeof(*hashes) * ROWS);
        row_store_hash(store, batch, hashes);
        row_store_apply(store, batch, hashes);
        (void)row_store_trim(store, 1, UINT64_MAX);
        struct widening_run run;
        begin_widening(store, &run, 3, 1);
        EXPECT_INT(row_store_widen_step(store, ROWS / 2), ROWS / 2);
        batch_clear(batch);
        for (int64_t k = 0; k < ROWS; k++)
            append_wide(batch, &arena, k, (struct wide_row){1, 3}, -1);
        row_store_begin_tick(store, 2);
        row_store_apply(store, batch, hashes);
        (void)row_store_trim(store, 2, UINT64_MAX);
        EXPECT_INT(row_store_rows(store), 0);
        EXPECT_INT(row_store_bytes(store), account.used_bytes);
        if (round % 3 == 1)
            (void)row_store_widen_step(store, ROWS / 4);
        if (round < 3) {
            batch_clear(batch);
            for (int64_t k = 0; k < AGAIN; k++)
                append_wide(batch, &arena, k + 7, (struct wide_row){2, 3}, 1);
            row_store_begin_tick(store, 3);
            row_store_hash(store, batch, hashes);
            row_store_apply(store, batch, hashes);
            (void)row_store_trim(store, 3, UINT64_MAX);
        }
        uint32_t columns_count = 3;
        if (round % 3 == 2) {
            while (row_store_undo_widen(store, 100)) {
            }
        } else {
            while (row_store_widen_step(store, 1000) > 0) {
            }
            row_store_end_widen(store);
            columns_count = 4;
        }
        row_store_free_widening(store, run.widening);
        EXPECT_INT(row_store_bytes(store), account.used_bytes);
        EXPECT((row_store_bytes(store) < 100000) == (round >= 3));
        struct batch *out = batch_create(&arena, wide_types, columns_count, 16);
        uint64_t cursor = 0;
        while (row_store_scan(store, 3, &cursor, 7, out)) {
        }
        EXPECT_INT(out->rows, round < 3 ? AGAIN : 0);
        struct batch *expected = batch_create(&arena, wide_types, columns_count, 1);
        for (uint32_t i = 0; i < out->rows; i++) {
            batch_clear(expected);
            append_wide(expected, &arena, column_get(&out->columns[0], i).i64, (struct wide_row){2, 3}, 1);
            EXPECT(batch_rows_identical(out, i, expected, 0));
        }
        row_store_destroy(store);
        EXPECT_INT(account.used_bytes, 0);
        arena_release(&arena);
    }
}

/* A store goes while it is being widened, or while that is taken back. */
TEST(destroyed_while_columns_are_added)
{
    for (int undoes = 0; undoes < 2; undoes++) {
        struct account account;
        account_init(&account, NULL, "test", 0);
        struct arena arena;
        arena_init(&arena, NULL);
        struct row_store *store = row_store_create(wide_types, 3, &key_column, 1, &account);
        struct batch *batch = batch_create(&arena, wide_types, 3, WIDE_KEYS);
        for (int64_t k = 0; k < WIDE_KEYS; k++)
            append_wide(batch, &arena, k, (struct wide_row){1, 3}, 1);
        uint64_t hashes[WIDE_KEYS];
        row_store_begin_tick(store, 1);
        row_store_hash(store, batch, hashes);
        row_store_apply(store, batch, hashes);
        struct widening_run run;
        begin_widening(store, &run, 3, 1);
        EXPECT_INT(row_store_widen_step(store, 20), WIDE_KEYS - 20);
        if (undoes)
            EXPECT(row_store_undo_widen(store, 5));
        row_store_destroy(store);
        EXPECT_INT(account.used_bytes, 0);
        arena_release(&arena);
    }
}

/* Where each tick changes more rows than a step is to copy, it comes to its end nevertheless. */
TEST(columns_catch_up)
{
    enum { ROWS = 3000, CHANGED = 200 };
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    struct row_store *store = row_store_create(wide_types, 3, &key_column, 1, &account);
    struct batch *batch = batch_create(&arena, wide_types, 3, ROWS);
    for (int64_t k = 0; k < ROWS; k++)
        append_wide(batch, &arena, k, (struct wide_row){1, 3}, 1);
    uint64_t *hashes = arena_alloc(&arena, sizeof(*hashes) * ROWS);
    row_store_begin_tick(store, 1);
    row_store_hash(store, batch, hashes);
    row_store_apply(store, batch, hashes);
    struct widening_run run;
    begin_widening(store, &run, 3, 1);
    uint64_t epoch = 2;
    int64_t next = ROWS;
    for (uint64_t left = ROWS; left > 0; epoch++) {
        batch_clear(batch);
        for (int64_t k = 0; k < CHANGED; k++) { /* some change, some come */
            bool comes = k % 4 == 0;
            append_wide(batch, &arena, comes ? next++ : ((int64_t)epoch * CHANGED + k) % ROWS,
                        (struct wide_row){(int32_t)epoch, 3}, 1);
        }
        row_store_begin_tick(store, epoch);
        row_store_hash(store, batch, hashes);
        row_store_apply(store, batch, hashes);
        left = row_store_widen_step(store, 20);
        EXPECT(epoch < 200);
    }
    row_store_end_widen(store);
    row_store_free_widening(store, run.widening);
    EXPECT_INT(row_store_rows(store), next);
    EXPECT_INT(row_store_bytes(store), account.used_bytes);
    row_store_destroy(store);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
}

/* Images of rows that no longer fit where those of the store's first layout did. */
TEST(rows_outgrow_the_log)
{
    enum { COLUMNS = 400 };
    struct arena arena;
    struct account account;
    account_init(&account, NULL, "test", 0);
    arena_init(&arena, NULL);
    struct sql_type *many = ARENA_ARRAY(&arena, struct sql_type, COLUMNS);
    struct datum *values = ARENA_ARRAY(&arena, struct datum, COLUMNS);
    for (uint32_t c = 0; c < COLUMNS; c++) {
        many[c] = (struct sql_type){c == 0 ? OID_INT8 : OID_TEXT, -1};
        values[c] = c == 0 ? datum_i64(1) : text_of(&arena, c);
    }
    struct row_store *store = row_store_create(many, 2, &key_column, 1, &account);
    uint64_t hashes[1];
    for (uint64_t epoch = 1; epoch < 40; epoch++) {
        uint32_t columns_count = epoch < 10 ? 2 : COLUMNS;
        if (epoch == 10)
            row_store_widen(store, many + 2, COLUMNS - 2, values + 2);
        row_store_begin_tick(store, epoch);
        values[1] = text_of(&arena, epoch);
        struct batch *batch = batch_create(&arena, many, columns_count, 1);
        batch_append_datums(batch, values, 1);
        row_store_hash(store, batch, hashes);
        row_store_apply(store, batch, hashes);
        uint64_t mark = row_store_mark(store);
        values[1] = text_of(&arena, 1000);
        batch_clear(batch);
        batch_append_datums(batch, values, 1);
        row_store_apply(store, batch, hashes);
        row_store_rollback_to(store, mark);
        if (epoch == 30)
            (void)row_store_trim(store, 20, UINT64_MAX);
        EXPECT_INT(row_store_bytes(store), account.used_bytes);
    }
    for (uint64_t epoch = 20; epoch < 40; epoch++) {
        struct batch *out = batch_create(&arena, many, COLUMNS, 1);
        uint64_t cursor = 0;
        while (row_store_scan(store, epoch, &cursor, 7, out))
            ;
        EXPECT_INT(out->rows, 1);
        struct datum got = column_get(&out->columns[1], 0), last = column_get(&out->columns[COLUMNS - 1], 0),
                     expected = text_of(&arena, epoch);
        EXPECT(varlen_identical(&got.var, &expected.var) &&
               varlen_identical(&last.var, &values[COLUMNS - 1].var));
    }
    (void)row_store_trim(store, 100, UINT64_MAX);
    row_store_destroy(store);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
}

/* ---- small things ---- */

/* A row that changes while a snapshot is open: when that has gone, all its versions go, piece by piece, in a time that does not
 * grow with the square of their number (that would be hours). */
TEST(versions_of_a_row_go_together)
{
    enum { VERSIONS = 400000 };
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    struct row_store *store = row_store_create(types, 3, &key_column, 1, &account);
    uint32_t index = row_store_add_index(store, &v_column, 1, true);
    for (uint64_t epoch = 1; epoch <= VERSIONS; epoch++) {
        arena_reset(&arena);
        struct batch *batch = batch_create(&arena, types, 3, 1);
        append_row(batch, &arena, 1, (int32_t)epoch * 10, 1);
        row_store_begin_tick(store, epoch);
        row_store_apply(store, batch, hashes_of(&arena, batch, &key_column, 1));
    }
    uint32_t pieces = 1;
    while (!row_store_trim(store, VERSIONS - 2, 1 << 16))
        pieces++;
    EXPECT(pieces > 200);
    for (uint64_t epoch = VERSIONS - 2; epoch <= VERSIONS; epoch++) {
        struct batch *out = batch_create(&arena, types, 3, 1);
        struct strbuf cursor = STRBUF_INIT;
        while (row_store_index_range(store, index, epoch, NULL, NULL, &cursor, 7, out))
            ;
        strbuf_release(&cursor);
        EXPECT_INT(out->rows, 1);
        EXPECT_INT(row_value(&arena, out, 0), epoch * 10);
    }
    EXPECT(row_store_trim(store, VERSIONS, UINT64_MAX));
    row_store_destroy(store);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
}

TEST(order_and_size)
{
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    struct row_store *store = row_store_create(types, 3, &key_column, 1, &account);
    EXPECT(account.used_bytes < 2500);
    row_store_begin_tick(store, 1);
    enum { ROWS = 5000 };
    struct batch *batch = batch_create(&arena, types, 3, ROWS);
    for (int64_t i = 0; i < ROWS; i++)
        append_row(batch, &arena, (i * 7919) % ROWS, (int32_t)i, 1);
    uint64_t *hashes = hashes_of(&arena, batch, &key_column, 1);
    row_store_apply(store, batch, hashes);
    struct batch *out = batch_create(&arena, types, 3, 16);
    uint64_t cursor = 0;
    while (row_store_scan(store, 1, &cursor, BATCH_ROWS_MAX, out))
        EXPECT_INT(out->rows % BATCH_ROWS_MAX, 0);
    EXPECT_INT(out->rows, ROWS);
    for (uint32_t i = 0; i < ROWS; i++)
        EXPECT(batch_rows_identical(batch, i, out, i)); /* order of insertion */
    /* nothing is visible before, and the same rows again change and log nothing */
    batch_clear(out);
    cursor = 0;
    EXPECT(!row_store_scan(store, 0, &cursor, BATCH_ROWS_MAX, out));
    EXPECT_INT(out->rows, 0);
    (void)row_store_trim(store, 1, UINT64_MAX);
    row_store_begin_tick(store, 2);
    int64_t bytes = row_store_bytes(store);
    row_store_apply(store, batch, hashes);
    EXPECT_INT(row_store_bytes(store), bytes);
    /* many changes of one row in one tick cost one before-image */
    struct batch *one = batch_create(&arena, types, 3, 1);
    for (int32_t i = 0; i < 3000; i++) {
        batch_clear(one);
        append_row(one, &arena, 5, i, 1);
        row_store_apply(store, one, hashes_of(&arena, one, &key_column, 1));
    }
    EXPECT(row_store_bytes(store) < bytes + 8000);
    /* taking a whole bulk load back leaves nothing */
    uint64_t mark = row_store_mark(store);
    for (int64_t i = 0; i < ROWS; i++)
        ((int64_t *)batch->columns[0].data)[i] += ROWS;
    row_store_apply(store, batch, hashes_of(&arena, batch, &key_column, 1));
    EXPECT_INT(row_store_rows(store), 2 * ROWS);
    row_store_rollback_to(store, mark);
    EXPECT_INT(row_store_rows(store), ROWS);
    row_store_destroy(store);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
}

/* ---- readers on other threads ----
 * At the end of every epoch e each key holds either nothing or a value v with v == e or older, and the number
 * of rows and their sum are known for each epoch: a reader recomputes both. */

enum { SHARED_KEYS = 400, SHARED_EPOCHS = 300 };

struct shared {
    struct snapshots *snapshots;
    struct row_store *store;
    int64_t sums[SHARED_EPOCHS + 1];
    uint32_t rows[SHARED_EPOCHS + 1];
    _Atomic bool stop;
    _Atomic int wrong;
};

static void *reader(void *argument)
{
    struct shared *shared = argument;
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t rounds = 0;
    while (!atomic_load(&shared->stop)) {
        uint64_t epoch = snapshot_open(shared->snapshots, 0);
        struct batch *out = batch_create(&arena, types, 3, SHARED_KEYS);
        if (rounds++ % 2 == 0) {
            uint64_t cursor = 0;
            while (row_store_scan(shared->store, epoch, &cursor, 50, out))
                ;
        } else {
            struct strbuf place = STRBUF_INIT;
            while (row_store_index_range(shared->store, 0, epoch, NULL, NULL, &place, 50, out))
                ;
            strbuf_release(&place);
        }
        int64_t sum = 0;
        for (uint32_t i = 0; i < out->rows; i++) {
            struct datum text = column_get(&out->columns[2], i);
            sum += strtol((const char *)varlen_bytes(&text.var) + 1, NULL, 10);
        }
        if (out->rows != shared->rows[epoch] || sum != shared->sums[epoch] ||
            row_store_bytes(shared->store) <= 0)
            atomic_fetch_add(&shared->wrong, 1);
        struct batch *keys = batch_create(&arena, types, 1, 64);
        for (int64_t k = 0; k < 64; k++)
            batch_append_datums(keys, &(struct datum){.i64 = k * 6}, 1);
        batch_clear(out);
        row_store_lookup(shared->store, epoch, keys, &key_column, hashes_of(&arena, keys, &key_column, 1),
                         out);
        snapshot_close(shared->snapshots, epoch);
        arena_reset(&arena);
    }
    arena_release(&arena);
    return NULL;
}

/* Fills an index as often as it can; the writer begins and ends it. */
struct filling {
    struct shared *shared;
    struct store_index *index;
    _Atomic bool begun, filled;
};

static void *filler(void *argument)
{
    struct filling *filling = argument;
    struct row_store *store = filling->shared->store;
    while (!atomic_load(&filling->shared->stop)) {
        if (!atomic_load(&filling->begun) || atomic_load(&filling->filled)) {
            sched_yield();
            continue;
        }
        uint32_t cursor = 0, keys;
        while (row_store_fill_index(store, filling->index, &cursor, &keys))
            (void)row_store_fill_noted(store, filling->index);
        (void)row_store_fill_noted(store, filling->index);
        atomic_store(&filling->filled, true);
    }
    return NULL;
}

/* What the index has must be what a scan has. */
static void compare_index(struct row_store *store, uint32_t number, uint64_t epoch, struct arena *arena)
{
    struct batch *scanned = batch_create(arena, types, 3, SHARED_KEYS);
    struct batch *ranged = batch_create(arena, types, 3, SHARED_KEYS);
    uint64_t cursor = 0;
    while (row_store_scan(store, epoch, &cursor, SHARED_KEYS, scanned))
        ;
    struct strbuf place = STRBUF_INIT;
    while (row_store_index_range(store, number, epoch, NULL, NULL, &place, SHARED_KEYS, ranged))
        ;
    strbuf_release(&place);
    EXPECT_INT(ranged->rows, scanned->rows);
    int64_t sum = 0;
    for (uint32_t i = 0; i < scanned->rows && i < ranged->rows; i++)
        sum += column_get(&scanned->columns[0], i).i64 * 1000003 + column_get(&scanned->columns[1], i).i32 -
               column_get(&ranged->columns[0], i).i64 * 1000003 - column_get(&ranged->columns[1], i).i32;
    EXPECT_INT(sum, 0);
}

/* Keys that were read before a change, and are not in the tree yet when its notes are run. */
TEST(notes_come_behind_what_was_read)
{
    struct row_store *store = row_store_create(types, 3, &key_column, 1, NULL);
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *before = batch_create(&arena, types, 3, 1), *after = batch_create(&arena, types, 3, 2);
    append_row(before, &arena, 7, 5, 1);
    append_row(after, &arena, 7, 5, -1);
    append_row(after, &arena, 7, 6, 1);
    row_store_begin_tick(store, 1);
    row_store_apply(store, before, hashes_of(&arena, before, &key_column, 1));
    uint32_t number, cursor = 0, keys;
    struct store_index *index = row_store_begin_index(store, range_columns, 2, true, &number);
    EXPECT(row_store_fill_index(store, index, &cursor, &keys));
    EXPECT_INT(keys, 0); /* read, but not there */
    row_store_begin_tick(store, 2);
    row_store_apply(store, after, hashes_of(&arena, after, &key_column, 1));
    (void)row_store_trim(store, 2, UINT64_MAX);
    EXPECT_INT(row_store_fill_noted(store, index), 1);
    while (row_store_fill_index(store, index, &cursor, &keys))
        ;
    row_store_end_index(store, index);
    struct batch *ranged = batch_create(&arena, types, 3, 4);
    struct strbuf place = STRBUF_INIT;
    while (row_store_index_range(store, number, 2, NULL, NULL, &place, 4, ranged))
        ;
    EXPECT_INT(ranged->rows, 1);
    EXPECT_INT(row_value(&arena, ranged, 0), 6);
    strbuf_release(&place);
    arena_release(&arena);
    row_store_destroy(store);
}

/* With columns that were added: they hold what rows from before have in them. */
static const struct batch *padded(struct batch *rows, uint32_t columns_count, struct arena *arena)
{
    struct batch *wide = batch_header(arena, columns_count);
    wide->rows = rows->rows;
    wide->weights = rows->weights;
    memcpy(wide->columns, rows->columns, sizeof(*wide->columns) * 3);
    for (uint32_t c = 3; c < columns_count; c++) {
        struct datum missing = missing_of(3);
        column_init_constant(&wide->columns[c], wide_types[3], &missing, arena);
        column_expand(&wide->columns[c], rows->rows, arena);
    }
    return wide;
}

TEST(readers_beside_the_writer)
{
    static struct shared shared;
    static int32_t values[SHARED_KEYS];
    shared.snapshots = snapshots_create();
    shared.store = row_store_create(types, 3, &key_column, 1, NULL);
    memset(values, 0xff, sizeof(values));
    row_store_add_index(shared.store, &v_column, 1, true);
    pthread_t threads[3];
    for (int i = 0; i < 2; i++)
        EXPECT_INT(pthread_create(&threads[i], NULL, reader, &shared), 0);
    struct filling filling = {.shared = &shared};
    EXPECT_INT(pthread_create(&threads[2], NULL, filler, &filling), 0);
    uint32_t number = 0, filled = 0, columns_count = 3, given_up = 0;
    struct store_widening *widening = NULL;
    struct datum missing = missing_of(3);
    bool undoes = false;
    struct arena arena;
    arena_init(&arena, NULL);
    uint64_t seed = 21;
    for (uint64_t epoch = 1; epoch <= SHARED_EPOCHS; epoch++) {
        row_store_begin_tick(shared.store, epoch);
        for (int t = 0; t < 3; t++) {
            struct batch *batch = batch_create(&arena, types, 3, 128);
            bool refused = t == 1;
            uint64_t mark = row_store_mark(shared.store);
            for (uint32_t i = 0; i < 60; i++) {
                int32_t k = (int32_t)(next_random(&seed) % (SHARED_KEYS / 4)) * 4 + t;
                int32_t v = (int32_t)(epoch * 3) + t;
                if (i % 3 == 0) {
                    if (values[k] >= 0)
                        append_row(batch, &arena, k, values[k], -1);
                    if (!refused)
                        values[k] = -1;
                    for (uint32_t j = 0; j + 1 < batch->rows;
                         j++) { /* a later delete undoes an earlier insert */
                        if (batch->weights != NULL && column_get(&batch->columns[0], j).i64 == k &&
                            batch->weights[j] > 0)
                            batch->weights[j] = 0;
                    }
                    continue;
                }
                append_row(batch, &arena, k, v, 1);
                if (!refused)
                    values[k] = v;
            }
            row_store_apply(shared.store, padded(batch, columns_count, &arena),
                            hashes_of(&arena, batch, &key_column, 1));
            if (refused)
                row_store_rollback_to(shared.store, mark);
            else { /* take the store's word for the newest state: the model above is only a source of changes
                    */
                struct batch *keys = batch_create(&arena, types, 1, SHARED_KEYS);
                for (int64_t k = 0; k < SHARED_KEYS; k++)
                    batch_append_datums(keys, &(struct datum){.i64 = k}, 1);
                uint8_t found[SHARED_KEYS];
                struct batch *out = batch_create(&arena, types, 3, SHARED_KEYS);
                row_store_current(shared.store, keys, &key_column, hashes_of(&arena, keys, &key_column, 1),
                                  found, NULL, out);
                memset(values, 0xff, sizeof(values));
                for (uint32_t i = 0; i < out->rows; i++)
                    values[column_get(&out->columns[0], i).i64] = row_value(&arena, out, i);
            }
        }
        for (uint32_t k = 0; k < SHARED_KEYS; k++) {
            if (values[k] < 0)
                continue;
            shared.rows[epoch]++;
            shared.sums[epoch] += values[k];
        }
        snapshots_publish(shared.snapshots, epoch);
        (void)row_store_trim(shared.store, snapshots_oldest(shared.snapshots), UINT64_MAX);
        if (widening == NULL) {
            widening = row_store_begin_widen(shared.store, &wide_types[3], 1, &missing);
            undoes = false;
        } else if (undoes || (epoch % 37 == 0)) {
            undoes = true;
            if (!row_store_undo_widen(shared.store, 40)) {
                row_store_free_widening(shared.store, widening);
                widening = NULL;
                given_up++;
            }
        } else if (row_store_widen_step(shared.store, 20) == 0) {
            row_store_end_widen(shared.store);
            row_store_free_widening(shared.store, widening);
            widening = NULL;
            columns_count++;
        }
        if (filling.begun && filling.filled) {
            row_store_end_index(shared.store, filling.index);
            compare_index(shared.store, number, epoch, &arena);
            row_store_free_index(shared.store, row_store_take_index(shared.store, number));
            filling.begun = false;
            filled++;
        } else if (!filling.begun) {
            filling.index = row_store_begin_index(shared.store, range_columns, 2, true, &number);
            filling.filled = false;
            filling.begun = true;
        }
        arena_reset(&arena);
        if (epoch == SHARED_EPOCHS / 2) { /* however few processors there are */
            while (filling.begun && !filling.filled)
                sched_yield();
        }
    }
    atomic_store(&shared.stop, true);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    EXPECT(filled > 0);
    EXPECT_INT(shared.wrong, 0);
    EXPECT(columns_count > 6 && given_up > 2);
    EXPECT(shared.rows[SHARED_EPOCHS] > 50);
    row_store_destroy(shared.store);
    snapshots_destroy(shared.snapshots);
    arena_release(&arena);
}

int main(void)
{
    RUN(keyed_agrees_with_its_history);
    RUN(keyed_is_restored);
    RUN(multiset_agrees_with_its_history);
    RUN(multiset_is_restored);
    RUN(columns_are_added);
    RUN(columns_of_an_emptied_store);
    RUN(destroyed_while_columns_are_added);
    RUN(columns_catch_up);
    RUN(rows_outgrow_the_log);
    RUN(versions_of_a_row_go_together);
    RUN(order_and_size);
    RUN(notes_come_behind_what_was_read);
    RUN(readers_beside_the_writer);
    return test_result();
}
