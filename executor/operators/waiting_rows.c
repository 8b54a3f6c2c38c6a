/* waiting_rows.c: see waiting_rows.h. */
#include "executor/operators/waiting_rows.h"

#include <stdlib.h>

#define NO_POSITION    (-1) /* the row came without a watermark and a position of its own */
#define ARRIVAL        3u   /* columns behind those of the left side: number, watermark, position */
#define HOLD_KEY_BYTES 16u

void waiting_rows_open(struct waiting_rows *waiting, const struct sql_type *types, uint32_t width,
                       const uint32_t *keys, uint32_t keys_count, struct account *account)
{
    struct sql_type *all = mem_alloc(sizeof(*all) * (width + ARRIVAL));
    memcpy(all, types, sizeof(*all) * width);
    for (uint32_t i = 0; i < ARRIVAL; i++)
        all[width + i] = (struct sql_type){OID_INT8, -1};
    *waiting = (struct waiting_rows){.width = width, .keys = keys, .keys_count = keys_count};
    waiting->rows = arrangement_create(all, width + ARRIVAL, keys, keys_count, account);
    waiting->holds = ordered_table_create(NULL, 0, 0, account);
    mem_free(all);
}

void waiting_rows_close(struct waiting_rows *waiting)
{
    if (waiting->rows != NULL)
        arrangement_destroy(waiting->rows);
    if (waiting->holds != NULL)
        ordered_table_destroy(waiting->holds);
}

/* ---- watermarks ---- */

static void hold_key(int64_t watermark, int64_t number, uint8_t key[HOLD_KEY_BYTES])
{
    uint64_t high = __builtin_bswap64((uint64_t)watermark ^ (UINT64_C(1) << 63));
    uint64_t low = __builtin_bswap64((uint64_t)number);
    memcpy(key, &high, sizeof(high));
    memcpy(key + sizeof(high), &low, sizeof(low));
}

static void hold(struct waiting_rows *waiting, int64_t watermark, int64_t number)
{
    uint8_t key[HOLD_KEY_BYTES];
    bool inserted;
    hold_key(watermark, number, key);
    ordered_table_upsert(waiting->holds, key, HOLD_KEY_BYTES, NULL, 0, NULL, &inserted);
}

static void release(struct waiting_rows *waiting, int64_t watermark, int64_t number)
{
    uint8_t key[HOLD_KEY_BYTES];
    hold_key(watermark, number, key);
    ordered_table_remove(waiting->holds, key, HOLD_KEY_BYTES);
}

int64_t waiting_rows_watermark(const struct waiting_rows *waiting)
{
    struct ordered_cursor cursor;
    uint32_t bytes;
    uint64_t high;
    if (waiting->holds == NULL)
        return TIME_NEVER;
    ordered_table_seek(waiting->holds, NULL, 0, &cursor);
    if (cursor.slot == SLOT_NONE)
        return TIME_NEVER;
    memcpy(&high, ordered_cursor_key(&cursor, &bytes), sizeof(high));
    return (int64_t)(__builtin_bswap64(high) ^ (UINT64_C(1) << 63));
}

/* ---- checkpoints ---- */

void waiting_rows_saved(struct waiting_rows *waiting, struct saved_tables *out)
{
    arrangement_saved(waiting->rows, "waiting", out);
}

void waiting_rows_restored(struct waiting_rows *waiting, int64_t next)
{
    struct arena arena;
    uint64_t cursor = 0;
    uint32_t count;
    arena_init(&arena, NULL);
    waiting->next = next;
    do {
        uint32_t *stored_rows = arena_alloc(&arena, sizeof(*stored_rows) * BATCH_ROWS_MAX);
        int64_t *weights = arena_alloc(&arena, sizeof(*weights) * BATCH_ROWS_MAX);
        struct column numbers, watermarks;
        count = arrangement_scan(waiting->rows, &cursor, BATCH_ROWS_MAX, stored_rows, weights);
        if (count > 0) {
            arrangement_gather(waiting->rows, stored_rows, count, waiting->width, &numbers, &arena);
            arrangement_gather(waiting->rows, stored_rows, count, waiting->width + 1, &watermarks, &arena);
        }
        for (uint32_t i = 0; i < count; i++)
            hold(waiting, ((const int64_t *)watermarks.data)[i], ((const int64_t *)numbers.data)[i]);
        arena_reset(&arena);
    } while (count > 0);
    arena_release(&arena);
}

/* ---- rows come ---- */

void waiting_rows_add(struct waiting_rows *waiting, const struct operator* op, const struct batch *rows,
                      const uint32_t *which, uint32_t count, uint32_t *first, uint32_t *first_count,
                      struct arena *scratch)
{
    struct batch *added = batch_header(scratch, waiting->width + ARRIVAL);
    struct sql_type int8 = {OID_INT8, -1};
    added->rows = count;
    for (uint32_t c = 0; c < waiting->width; c++)
        column_gather(&added->columns[c], &rows->columns[c], which, count, scratch);
    for (uint32_t c = 0; c < ARRIVAL; c++)
        column_init(&added->columns[waiting->width + c], int8, count, scratch);
    int64_t *numbers = added->columns[waiting->width].data;
    int64_t *watermarks = added->columns[waiting->width + 1].data;
    int64_t *positions = added->columns[waiting->width + 2].data;
    if (rows->weights != NULL)
        added->weights = arena_alloc(scratch, sizeof(*added->weights) * count);
    for (uint32_t i = 0; i < count; i++) {
        numbers[i] = waiting->next++;
        watermarks[i] = op_row_watermark(op, rows, which[i]);
        positions[i] = rows->positions != NULL ? rows->positions[which[i]] : NO_POSITION;
        if (rows->weights != NULL)
            added->weights[i] = rows->weights[which[i]];
        hold(waiting, watermarks[i], numbers[i]);
    }
    uint64_t *hashes = arena_alloc(scratch, sizeof(*hashes) * count);
    int64_t *weights = arena_alloc(scratch, sizeof(*weights) * count);
    batch_hash(added, waiting->keys, waiting->keys_count, hashes);
    arrangement_weights(waiting->rows, added, waiting->keys, hashes, NULL, weights);
    *first_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (weights[i] == 0)
            first[(*first_count)++] = which[i];
    arrangement_apply(waiting->rows, added, hashes);
}

/* ---- and go ---- */

void waiting_rows_answer(struct waiting_rows *waiting, const struct batch *change, const uint32_t *keys,
                         struct arena *tick_arena, struct arena *scratch)
{
    if (arrangement_rows(waiting->rows) == 0)
        return;
    uint64_t *hashes = arena_alloc(scratch, sizeof(*hashes) * change->rows);
    uint8_t *skip = arena_zalloc(scratch, change->rows);
    batch_hash(change, keys, waiting->keys_count, hashes);
    for (uint32_t i = 0; i < change->rows; i++)
        skip[i] = batch_weight(change, i) <= 0;
    struct arrangement_probe *probe = arena_alloc(scratch, sizeof(*probe));
    uint32_t *probe_rows = arena_alloc(scratch, sizeof(*probe_rows) * BATCH_ROWS_MAX);
    uint32_t *stored_rows = arena_alloc(scratch, sizeof(*stored_rows) * BATCH_ROWS_MAX);
    int64_t *weights = arena_alloc(scratch, sizeof(*weights) * BATCH_ROWS_MAX);
    arrangement_probe_start(probe, waiting->rows, change, keys, hashes, skip);
    if (waiting->answered_count == 0)
        waiting->answered_cap = 0; /* of an earlier tick */
    uint32_t count;
    while ((count = arrangement_probe_next(probe, BATCH_ROWS_MAX, probe_rows, stored_rows, weights)) > 0) {
        struct column numbers;
        arrangement_gather(waiting->rows, stored_rows, count, waiting->width, &numbers, scratch);
        for (uint32_t i = 0; i < count; i++) {
            struct answered_row row = {((const int64_t *)numbers.data)[i], weights[i], stored_rows[i]};
            ARENA_PUSH(tick_arena, waiting->answered, waiting->answered_count, waiting->answered_cap, row);
        }
    }
    waiting->answered_sorted = false;
}

static int compare_numbers(const void *a_, const void *b_)
{
    const struct answered_row *a = a_, *b = b_;
    return a->number < b->number ? -1 : a->number > b->number;
}

/* In the order of arrival, each once: a key may have been answered twice. */
static void sort_answered(struct waiting_rows *waiting)
{
    uint32_t kept = 0;
    struct answered_row *rows = waiting->answered;
    if (waiting->answered_count > 0)
        qsort(rows, waiting->answered_count, sizeof(*rows), compare_numbers);
    for (uint32_t i = 0; i < waiting->answered_count; i++)
        if (kept == 0 || rows[i].number != rows[kept - 1].number)
            rows[kept++] = rows[i];
    waiting->answered_count = kept;
    waiting->answered_sorted = true;
}

/* What the columns behind the row say becomes the batch's own. */
static void restore_arrival(struct waiting_rows *waiting, const struct batch *stored, struct batch *out,
                            struct arena *arena)
{
    const int64_t *watermarks = stored->columns[waiting->width + 1].data;
    const int64_t *positions = stored->columns[waiting->width + 2].data;
    bool all = true;
    for (uint32_t i = 0; i < stored->rows; i++)
        all &= positions[i] != NO_POSITION;
    if (!all) /* they are judged by the watermark of the tick, which has been held for them */
        return;
    out->watermarks = arena_copy(arena, watermarks, sizeof(*watermarks) * stored->rows);
    out->positions = arena_copy(arena, positions, sizeof(*positions) * stored->rows);
}

struct batch *waiting_rows_take(struct waiting_rows *waiting, struct arena *arena)
{
    if (!waiting->answered_sorted)
        sort_answered(waiting);
    uint32_t left = waiting->answered_count - waiting->answered_taken;
    if (left == 0) {
        waiting->answered = NULL;
        waiting->answered_count = waiting->answered_cap = waiting->answered_taken = 0;
        return NULL;
    }
    uint32_t count = left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX;
    const struct answered_row *answered = waiting->answered + waiting->answered_taken;
    waiting->answered_taken += count;
    uint32_t *stored_rows = arena_alloc(arena, sizeof(*stored_rows) * count);
    struct batch *stored = batch_header(arena, waiting->width + ARRIVAL);
    stored->rows = count;
    stored->weights = arena_alloc(arena, sizeof(*stored->weights) * count);
    bool all_one = true;
    for (uint32_t i = 0; i < count; i++) {
        stored_rows[i] = answered[i].stored_row;
        stored->weights[i] = answered[i].weight;
        all_one &= answered[i].weight == 1;
    }
    if (all_one)
        stored->weights = NULL;
    arrangement_gather_columns(waiting->rows, stored_rows, count, NULL, stored->columns_count,
                               stored->columns, arena);
    struct sql_type *types = arena_alloc(arena, sizeof(*types) * (waiting->width + 1));
    for (uint32_t c = 0; c < waiting->width; c++)
        types[c] = stored->columns[c].type;
    struct batch *out = batch_create(arena, types, waiting->width, count); /* text of its own: the rows go */
    batch_append_range(out, stored, 0, count, 1);
    restore_arrival(waiting, stored, out, arena);
    const int64_t *watermarks = stored->columns[waiting->width + 1].data;
    for (uint32_t i = 0; i < count; i++)
        release(waiting, watermarks[i], answered[i].number);
    arrangement_remove(waiting->rows, stored_rows, count, arena);
    return out;
}

struct batch *waiting_rows_keys(struct waiting_rows *waiting, uint64_t *cursor, struct arena *arena)
{
    uint32_t *stored_rows = arena_alloc(arena, sizeof(*stored_rows) * BATCH_ROWS_MAX);
    int64_t *weights = arena_alloc(arena, sizeof(*weights) * BATCH_ROWS_MAX);
    uint32_t count = arrangement_scan(waiting->rows, cursor, BATCH_ROWS_MAX, stored_rows, weights);
    if (count == 0)
        return NULL;
    struct batch *keys = batch_header(arena, waiting->keys_count);
    keys->rows = count;
    for (uint32_t i = 0; i < waiting->keys_count; i++)
        arrangement_gather(waiting->rows, stored_rows, count, waiting->keys[i], &keys->columns[i], arena);
    return keys;
}
