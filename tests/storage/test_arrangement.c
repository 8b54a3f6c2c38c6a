/* test_arrangement.c: arrangements against a naive Z-set after every change. */
#include "storage/state/arrangement.h"
#include "tests/storage/saved_image.h"

static const struct sql_type types[] = {{OID_INT4, -1}, {OID_TEXT, -1}, {OID_NUMERIC, -1}};

enum { KEYS = 40, TEXTS = 300 };
/* weight of the row (key, text, 1.0 or 1.00) */
static int64_t model[KEYS][TEXTS][2];

static struct datum number_of(struct arena *arena, uint32_t zeros)
{
    struct datum value;
    struct error err;
    const char *text = zeros ? "1.00" : "1.0";
    EXPECT(type_input(OID_NUMERIC, -1, text, strlen(text), &io_env_default, arena, &value, &err));
    return value;
}

static void check_against_model(struct arrangement *a, struct arena *arena)
{
    uint32_t key_column = 0;
    struct batch *probe_rows = batch_create(arena, types, 1, KEYS + 1);
    for (int32_t k = 0; k < KEYS; k++) {
        struct datum key = k == 0 ? datum_null() : datum_i32(k);
        batch_append_datums(probe_rows, &key, 1);
    }
    uint64_t *hashes = hashes_of(arena, probe_rows, &key_column, 1);
    int64_t weights[KEYS];
    arrangement_weights(a, probe_rows, &key_column, hashes, NULL, weights);
    static int64_t seen[KEYS][TEXTS][2];
    memset(seen, 0, sizeof(seen));
    struct arrangement_probe *probe = ARENA_NEW(arena, struct arrangement_probe);
    uint8_t skip[KEYS] = {0};
    skip[3] = 1;
    arrangement_probe_start(probe, a, probe_rows, &key_column, hashes, skip);
    uint32_t n, numbers[100], stored[100];
    int64_t got[100];
    while ((n = arrangement_probe_next(probe, 100, numbers, stored, got)) > 0) {
        struct column columns[3];
        for (uint32_t c = 0; c < 3; c++)
            arrangement_gather(a, stored, n, c, &columns[c], arena);
        for (uint32_t i = 0; i < n; i++) {
            struct datum key = column_get(&columns[0], i), text = column_get(&columns[1], i),
                         number = column_get(&columns[2], i);
            EXPECT_INT(key.is_null ? 0 : key.i32, numbers[i]);
            EXPECT_INT(key.is_null, numbers[i] == 0);
            struct datum one = number_of(arena, 0);
            long t = strtol((const char *)varlen_bytes(&text.var) + 1, NULL, 10);
            seen[numbers[i]][t][!varlen_identical(&one.var, &number.var)] += got[i];
        }
    }
    uint64_t rows = 0;
    for (uint32_t k = 0; k < KEYS; k++) {
        int64_t sum = 0;
        for (uint32_t t = 0; t < TEXTS; t++) {
            for (int z = 0; z < 2; z++) {
                sum += model[k][t][z];
                rows += model[k][t][z] != 0;
                EXPECT_INT(seen[k][t][z], k == 3 ? 0 : model[k][t][z]);
            }
        }
        EXPECT_INT(weights[k], sum);
    }
    EXPECT_INT(arrangement_rows(a), rows);
    uint64_t cursor = 0, scanned = 0;
    while ((n = arrangement_scan(a, &cursor, 100, stored, got)) > 0)
        scanned += n;
    EXPECT_INT(scanned, rows);
}

static void save_arrangement(struct arrangement *a, struct saved_image *image)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct saved_tables tables = {.arena = &arena};
    arrangement_saved(a, "rows", &tables);
    image_save(image, &tables.items[0]);
    arena_release(&arena);
}

/* The same arrangement from what was saved of it. */
static struct arrangement *restored(struct arrangement *a, struct arrangement *empty,
                                    struct saved_image *image, uint64_t seed)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct saved_tables tables = {.arena = &arena};
    arrangement_saved(empty, "rows", &tables);
    image_restore(image, &tables.items[0], seed);
    arena_release(&arena);
    EXPECT_INT(arrangement_rows(empty), arrangement_rows(a));
    arrangement_destroy(a);
    return empty;
}

static void run_model(uint64_t seed, bool restores)
{
    memset(model, 0, sizeof(model));
    struct saved_image image;
    image_init(&image);
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t key_column = 0;
    struct arrangement *a = arrangement_create(types, 3, &key_column, 1, &account);
    for (int round = 0; round < 120; round++) {
        struct batch *change = batch_create(&arena, types, 3, 500);
        for (int i = 0; i < 500; i++) {
            /* a few keys are hot, key 0 is NULL */
            uint32_t k = (uint32_t)(next_random(&seed) % (i % 2 ? 3 : KEYS));
            uint32_t t = (uint32_t)(next_random(&seed) % (k < 3 ? TEXTS : 4)),
                     z = (uint32_t)(next_random(&seed) % 2);
            int64_t weight = (int64_t)(next_random(&seed) % 3) - 1;
            if (next_random(&seed) % 2 || (round > 80 && model[k][t][z] != 0))
                weight = -model[k][t][z];
            struct datum values[3] = {k == 0 ? datum_null() : datum_i32((int32_t)k), text_of(&arena, t),
                                      number_of(&arena, z)};
            batch_append_datums(change, values, weight);
            model[k][t][z] += weight;
        }
        arrangement_apply(a, change, hashes_of(&arena, change, &key_column, 1));
        EXPECT_INT(arrangement_bytes(a), account.used_bytes);
        if (restores && round % 3 != 0)
            save_arrangement(a, &image);
        if (restores && round % 7 == 6) {
            save_arrangement(a, &image);
            a = restored(a, arrangement_create(types, 3, &key_column, 1, &account), &image, seed);
            EXPECT_INT(arrangement_bytes(a), account.used_bytes);
            check_against_model(a, &arena);
            if (round % 2)
                save_arrangement(a, &image);
        }
        if (round % 10 == 9)
            check_against_model(a, &arena);
        arena_reset(&arena);
    }
    /* all away: only an empty table remains */
    struct batch *change = batch_create(&arena, types, 3, 500);
    for (uint32_t k = 0; k < KEYS; k++) {
        for (uint32_t t = 0; t < TEXTS; t++) {
            for (uint32_t z = 0; z < 2; z++) {
                struct datum values[3] = {k == 0 ? datum_null() : datum_i32((int32_t)k), text_of(&arena, t),
                                          number_of(&arena, z)};
                batch_append_datums(change, values, -model[k][t][z]);
                model[k][t][z] = 0;
            }
        }
    }
    arrangement_apply(a, change, hashes_of(&arena, change, &key_column, 1));
    check_against_model(a, &arena);
    EXPECT_INT(arrangement_rows(a), 0);
    EXPECT(arrangement_bytes(a) < 140000);
    if (restores) { /* what was given back is gone from what is saved */
        save_arrangement(a, &image);
        a = restored(a, arrangement_create(types, 3, &key_column, 1, &account), &image, seed);
    }
    arrangement_destroy(a);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
    image_release(&image);
}

TEST(agrees_with_a_model)
{
    run_model(3, false);
}

TEST(is_restored)
{
    for (uint64_t seed = 4; seed < 8; seed++)
        run_model(seed, true);
}

/* One key with 100,000 rows: deletes must not walk it. Linear deletes would take minutes under a sanitizer.
 */
TEST(hot_key)
{
    enum { ROWS = 100000 };
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    struct sql_type two[] = {{OID_INT8, -1}, {OID_INT8, -1}};
    uint32_t key_column = 0;
    struct arrangement *a = arrangement_create(two, 2, &key_column, 1, &account);
    struct batch *rows = batch_create(&arena, two, 2, ROWS);
    for (int64_t i = 0; i < ROWS; i++)
        batch_append_datums(rows, (struct datum[]){datum_i64(7), datum_i64(i)}, 1);
    uint64_t *hashes = hashes_of(&arena, rows, &key_column, 1);
    arrangement_apply(a, rows, hashes);
    EXPECT_INT(arrangement_rows(a), ROWS);
    struct batch *one = batch_slice(&arena, rows, 5, 1);
    struct arrangement_probe *probe = ARENA_NEW(&arena, struct arrangement_probe);
    arrangement_probe_start(probe, a, one, &key_column, hashes, NULL);
    uint32_t n, numbers[1000], stored[1000], next = 0;
    int64_t weights[1000];
    while ((n = arrangement_probe_next(probe, 1000, numbers, stored, weights)) > 0) {
        for (uint32_t i = 0; i < n; i++)
            EXPECT_INT(stored[i], next++); /* order of insertion */
    }
    EXPECT_INT(next, ROWS);
    rows->weights = ARENA_ARRAY(&arena, int64_t, ROWS);
    for (uint32_t i = 0; i < ROWS; i++)
        rows->weights[i] = -1;
    arrangement_weights(a, one, &key_column, hashes, NULL, weights);
    EXPECT_INT(weights[0], ROWS);
    arrangement_apply(a, rows, hashes);
    EXPECT_INT(arrangement_rows(a), 0);
    EXPECT(arrangement_bytes(a) < 4000);
    arrangement_apply(a, rows, hashes); /* negative for a while */
    rows->weights = NULL;
    arrangement_apply(a, rows, hashes);
    EXPECT_INT(arrangement_rows(a), 0);
    arrangement_apply(a, rows, hashes);
    arrangement_destroy(a); /* with a big list in it */
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
}

/* Keys with 0 to some thousand rows, added in batches: all rows, and those below a mark. */
static void run_append_only(bool restores)
{
    struct saved_image image;
    image_init(&image);
    enum { HOT = 12, BATCHES = 30, ROWS = 700 };
    struct account account;
    account_init(&account, NULL, "test", 0);
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t key_column = 1;
    struct sql_type three[] = {{OID_TEXT, -1}, {OID_INT8, -1}, {OID_INT8, -1}};
    struct arrangement *a = arrangement_create_append_only(three, 3, &key_column, 1, &account);
    EXPECT(arrangement_is_append_only(a));
    uint64_t seed = 9;
    int64_t counts[HOT] = {0}, counts_at_mark[HOT] = {0};
    int64_t serial = 0;
    uint32_t mark = 0;
    for (int b = 0; b < BATCHES; b++) {
        if (b == BATCHES / 2) {
            mark = arrangement_mark(a);
            memcpy(counts_at_mark, counts, sizeof(counts));
        }
        struct batch *rows = batch_create(&arena, three, 3, ROWS);
        for (int i = 0; i < ROWS; i++) {
            uint32_t k = (uint32_t)(next_random(&seed) % (i % 3 ? 2 : HOT));
            int64_t copies = (int64_t)(next_random(&seed) % 3);
            struct datum values[] = {text_of(&arena, k), k == 0 ? datum_null() : datum_i64(k),
                                     k == 5 ? datum_null() : datum_i64(serial++)};
            batch_append_datums(rows, values, copies);
            counts[k] += copies;
        }
        arrangement_apply(a, rows, hashes_of(&arena, rows, &key_column, 1));
        if (restores && b % 3 == 1) {
            save_arrangement(a, &image);
            EXPECT(b % 2 != 0 || image.written <= 3 * 2 * ROWS); /* else all of them */
            struct arrangement *empty = arrangement_create_append_only(three, 3, &key_column, 1, &account);
            a = restored(a, empty, &image, seed);
            if (b % 2) { /* the next checkpoint goes on where the last one ended */
                struct saved_tables tables = {.arena = &arena};
                arrangement_saved(a, "rows", &tables);
                tables.items[0].rows->saved = image.used;
            }
        }
        EXPECT_INT(arrangement_bytes(a), account.used_bytes);
    }
    struct batch *probe_rows = batch_create(&arena, three + 1, 1, HOT + 1);
    for (int32_t k = 0; k <= HOT; k++) {
        struct datum key = k == 0 ? datum_null() : datum_i64(k);
        batch_append_datums(probe_rows, &key, 1);
    }
    uint32_t probe_column = 0;
    uint64_t *hashes = hashes_of(&arena, probe_rows, &probe_column, 1);
    int64_t weights[HOT + 1], total = 0;
    arrangement_weights(a, probe_rows, &probe_column, hashes, NULL, weights);
    for (int k = 0; k < HOT; k++) {
        EXPECT_INT(weights[k], counts[k]);
        total += counts[k];
    }
    EXPECT_INT(weights[HOT], 0);
    EXPECT_INT(arrangement_rows(a), total);
    struct arrangement_probe *probe = ARENA_NEW(&arena, struct arrangement_probe);
    for (int limited = 0; limited < 2; limited++) {
        for (uint32_t max = 1; max < 2000; max = max * 7 + 1) {
            int64_t found[HOT + 1] = {0};
            uint32_t *numbers = ARENA_ARRAY(&arena, uint32_t, max),
                     *stored = ARENA_ARRAY(&arena, uint32_t, max);
            uint8_t *twice = ARENA_ARRAY(&arena, uint8_t, arrangement_mark(a));
            arrangement_probe_start(probe, a, probe_rows, &probe_column, hashes, NULL);
            if (limited)
                probe->limit = mark;
            uint32_t n;
            while ((n = arrangement_probe_next(probe, max, numbers, stored, NULL)) > 0) {
                struct column columns[3];
                arrangement_gather_columns(a, stored, n, NULL, 3, columns, &arena);
                for (uint32_t i = 0; i < n; i++) {
                    uint32_t k = numbers[i];
                    struct datum text = column_get(&columns[0], i), key = column_get(&columns[1], i);
                    struct datum wanted = text_of(&arena, k);
                    EXPECT(varlen_identical(&text.var, &wanted.var));
                    EXPECT(k == 0 ? key.is_null : key.i64 == k);
                    EXPECT_INT(column_get(&columns[2], i).is_null, k == 5);
                    EXPECT(!limited || stored[i] < mark);
                    EXPECT_INT(twice[stored[i]]++, 0);
                    found[k]++;
                }
            }
            for (int k = 0; k < HOT; k++)
                EXPECT_INT(found[k], limited ? counts_at_mark[k] : counts[k]);
        }
    }
    arrangement_destroy(a);
    EXPECT_INT(account.used_bytes, 0);
    arena_release(&arena);
    image_release(&image);
}

TEST(append_only)
{
    run_append_only(false);
}

TEST(append_only_is_restored)
{
    run_append_only(true);
}

int main(void)
{
    RUN(agrees_with_a_model);
    RUN(is_restored);
    RUN(hot_key);
    RUN(append_only);
    RUN(append_only_is_restored);
    return test_result();
}
