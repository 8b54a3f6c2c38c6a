/* timed_rows.c: see timed_rows.h. */
#include "executor/operators/timed_rows.h"

#include "storage/data/datetime.h"

struct timed_key {
    uint32_t rows; /* of both sides */
};

struct timed_piece {
    uint32_t header;
    uint32_t first; /* row */
    int64_t number;
};

/* ---- keys ---- */

void timed_keys_open(struct timed_keys *keys, const struct sql_type *types, const uint32_t *columns,
                     uint32_t count, struct op_context *ctx)
{
    if (count == 0)
        return;
    keys->count = count;
    keys->types = arena_alloc(ctx->plan_arena, sizeof(*keys->types) * count);
    for (uint32_t k = 0; k < count; k++)
        keys->types[k] = types[columns[k]];
    keys->table = hashed_table_create(keys->types, count, sizeof(struct timed_key), ctx->account);
}

void timed_keys_close(struct timed_keys *keys)
{
    if (keys->table != NULL)
        hashed_table_destroy(keys->table);
}

void timed_keys_of(struct timed_keys *keys, const struct batch *rows, const uint32_t *columns, uint32_t count,
                   uint64_t *hashes, uint32_t *numbers, uint8_t *inserted)
{
    if (keys->table == NULL) {
        memset(numbers, 0, sizeof(*numbers) * rows->rows);
        return;
    }
    batch_hash(rows, columns, count, hashes);
    hashed_table_insert_new(keys->table, rows, columns, hashes, numbers, inserted);
}

static void key_count(struct timed_keys *keys, uint32_t key, int32_t change)
{
    if (keys->table == NULL)
        return;
    struct timed_key *entry = hashed_table_payload(keys->table, key);
    entry->rows += (uint32_t)change;
    if (entry->rows == 0)
        hashed_table_remove(keys->table, key);
}

void timed_keys_saved_tables(struct timed_keys *keys, struct saved_tables *out)
{
    if (keys->table != NULL)
        op_saved_keys(out, "keys", keys->table, keys->types, keys->count);
}

bool timed_keys_restored(const struct timed_keys *keys, struct error *err)
{
    uint32_t cursor = 0, key;
    while (keys->table != NULL && (key = hashed_table_next(keys->table, &cursor)) != SLOT_NONE) {
        const struct timed_key *entry = hashed_table_payload(keys->table, key);
        if (entry->rows == 0)
            return op_saved_damaged(err);
    }
    return true;
}

/* ---- a side ---- */

#define PIECES_PER_SPAN 256
#define PIECE_US_MAX    INT64_C(1000000)

void timed_rows_open(struct timed_rows *side, const struct plan *child, uint32_t time_column,
                     uint32_t payload_bytes, int64_t span_us)
{
    struct op_context *ctx = side->ctx;
    side->types = child->types;
    side->columns_count = child->columns_count;
    side->time_column = time_column;
    side->is_date = child->types[time_column].oid == OID_DATE;
    side->append_only = child->append_only || ctx->mode == DATAFLOW_ONE_SHOT;
    side->table = ordered_table_create(child->types, child->columns_count,
                                       (uint32_t)sizeof(struct timed_entry) + payload_bytes, ctx->account);
    side->layout = ordered_table_layout(side->table);
    side->may_be_null = arena_alloc(ctx->plan_arena, sizeof(bool) * child->columns_count);
    memset(side->may_be_null, 1, child->columns_count);
    if (side->has_order) {
        side->order = arena_zalloc(ctx->plan_arena, sizeof(*side->order) * child->columns_count);
        for (uint32_t c = 0; c < child->columns_count; c++)
            side->order[c].column = c;
    }
    int64_t piece = span_us / PIECES_PER_SPAN;
    side->piece_us = piece < 1 ? 1 : piece > PIECE_US_MAX ? PIECE_US_MAX : piece;
    side->heap = table_heap_create(ctx->account);
    btree_init(&side->pieces, side->heap, ctx->account);
    slot_pages_init(&side->lists, sizeof(struct timed_piece), 8, ctx->account);
    side->last_list = SLOT_NONE;
}

void timed_rows_close(struct timed_rows *side)
{
    if (side->table == NULL)
        return;
    ordered_table_destroy(side->table);
    btree_release(&side->pieces, false);
    table_heap_destroy(side->heap);
    slot_pages_release(&side->lists);
    strbuf_release(&side->place);
    strbuf_release(&side->zeros);
}

int64_t timed_rows_bytes(const struct timed_rows *side)
{
    return ordered_table_bytes(side->table) + btree_bytes(&side->pieces) + slot_pages_bytes(&side->lists);
}

static int64_t date_time(int32_t date)
{
    if (date == DATE_PLUS_INFINITY)
        return TIMESTAMP_PLUS_INFINITY;
    if (date == DATE_MINUS_INFINITY)
        return TIMESTAMP_MINUS_INFINITY;
    int64_t time; /* dates reach further than timestamps */
    if (__builtin_mul_overflow((int64_t)date, US_PER_DAY, &time))
        return date > 0 ? INT64_MAX - 1 : INT64_MIN + 1;
    return time;
}

bool timed_rows_time(const struct timed_rows *side, const struct batch *rows, uint32_t row, int64_t *time)
{
    const struct column *column = &rows->columns[side->time_column];
    if (column_is_null(column, row))
        return false;
    int64_t us = side->is_date ? date_time(((const int32_t *)column->data)[row])
                               : ((const int64_t *)column->data)[row];
    *time = side->is_reversed ? ~us : us;
    return true;
}

int64_t timed_rows_stored_time(const struct timed_rows *side, uint32_t slot)
{
    struct datum value =
        row_layout_get(side->layout, ordered_table_row(side->table, slot), side->time_column);
    int64_t us = side->is_date ? date_time(value.i32) : value.i64;
    return side->is_reversed ? ~us : us;
}

void timed_rows_gather(const struct timed_rows *side, const uint32_t *slots, uint32_t rows,
                       const uint32_t *fields, uint32_t count, struct column *out, struct arena *arena)
{
    const uint8_t **stored = arena_alloc(arena, sizeof(*stored) * rows);
    for (uint32_t i = 0; i < rows; i++)
        stored[i] = ordered_table_row(side->table, slots[i]);
    row_layout_gather_fields(side->layout, stored, rows, fields, count, side->may_be_null, out, arena);
}

/* ---- places ---- */

static void place_start(struct timed_rows *side, uint32_t key, int64_t time)
{
    uint8_t prefix[TIMED_PLACE_BYTES];
    timed_place_encode(prefix, key, time);
    strbuf_reset(&side->place);
    strbuf_add(&side->place, prefix, TIMED_PLACE_BYTES);
}

static void place_add_number(struct strbuf *place, uint64_t number)
{
    uint64_t order = __builtin_bswap64(number);
    strbuf_add(place, &order, sizeof(order));
}

/* The values, ordered, then what tells apart those that compare equal and look different. */
static void place_add_values(struct timed_rows *side, const struct batch *rows, uint32_t row)
{
    batch_encode_key(rows, row, side->order, side->columns_count, &side->place);
    for (uint32_t c = 0; c < side->columns_count; c++) {
        if (!side->layout->loose[c])
            continue;
        struct datum value = column_get(&rows->columns[c], row);
        type_encode_exact(rows->columns[c].type.oid, &value, &side->place);
    }
}

/* The place of a stored row, in side->place. */
static void place_of_stored(struct timed_rows *side, uint32_t slot)
{
    const struct timed_entry *entry = timed_entry_at(side, slot);
    place_start(side, entry->key, timed_rows_stored_time(side, slot));
    if (!side->has_order) {
        if (!side->append_only) {
            uint64_t hash = row_layout_hash(side->layout, ordered_table_row(side->table, slot));
            place_add_number(&side->place, hash);
        }
        place_add_number(&side->place, entry->number);
        return;
    }
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *row = batch_header(&arena, side->columns_count);
    row->rows = 1;
    timed_rows_gather(side, &slot, 1, NULL, side->columns_count, row->columns, &arena);
    place_add_values(side, row, 0);
    arena_release(&arena);
}

/* Completes the place of a row that may be there already: the same hash, and a number that is its own. */
static uint64_t place_add_hash(struct timed_rows *side, const struct batch *rows, uint32_t row)
{
    place_add_number(&side->place, row_layout_hash_of(side->layout, rows, row, NULL));
    uint64_t number = 0;
    struct ordered_cursor cursor;
    ordered_table_seek(side->table, side->place.data, (uint32_t)side->place.len, &cursor);
    for (; ordered_cursor_has_prefix(&cursor, side->place.data, (uint32_t)side->place.len);
         ordered_cursor_next(&cursor)) {
        number = timed_entry_at(side, cursor.slot)->number;
        if (row_layout_identical(side->layout, ordered_table_row(side->table, cursor.slot), rows, row, NULL))
            break;
        number++;
    }
    place_add_number(&side->place, number);
    return number;
}

/* ---- the calendar ---- */

static void piece_key(uint8_t *out, int64_t number)
{
    uint64_t order = __builtin_bswap64((uint64_t)number ^ (UINT64_C(1) << 63));
    memcpy(out, &order, sizeof(order));
}

static int64_t piece_of(const struct timed_rows *side, int64_t time)
{
    int64_t us = side->is_reversed ? ~time : time;
    return us / side->piece_us - (us % side->piece_us < 0);
}

static struct timed_piece *piece_at(const struct timed_rows *side, uint32_t list)
{
    return slot_pages_at(&side->lists, list);
}

static uint32_t piece_find(struct timed_rows *side, int64_t number)
{
    if (side->last_list != SLOT_NONE && side->last_piece == number)
        return side->last_list;
    uint8_t key[sizeof(uint64_t)];
    piece_key(key, number);
    uint32_t list;
    if (!btree_find(&side->pieces, key, sizeof(key), &list)) {
        list = slot_pages_alloc(&side->lists);
        struct timed_piece *piece = piece_at(side, list);
        *piece = (struct timed_piece){.header = SLOT_LIVE, .first = SLOT_NONE, .number = number};
        btree_insert(&side->pieces, key, sizeof(key), &list);
    }
    side->last_piece = number;
    side->last_list = list;
    return list;
}

static void calendar_add(struct timed_rows *side, uint32_t slot, int64_t time)
{
    if (!side->expiry.known || time == INT64_MAX || time == INT64_MIN)
        return;
    struct timed_piece *piece = piece_at(side, piece_find(side, piece_of(side, time)));
    struct timed_entry *entry = timed_entry_at(side, slot);
    entry->in_calendar = true;
    entry->previous = SLOT_NONE;
    entry->next = piece->first;
    if (piece->first != SLOT_NONE)
        timed_entry_at(side, piece->first)->previous = slot;
    piece->first = slot;
}

static void piece_free(struct timed_rows *side, uint32_t list)
{
    uint8_t key[sizeof(uint64_t)];
    piece_key(key, piece_at(side, list)->number);
    btree_remove(&side->pieces, key, sizeof(key), NULL);
    slot_pages_free(&side->lists, list);
    side->last_list = SLOT_NONE;
}

static void calendar_remove(struct timed_rows *side, uint32_t slot)
{
    struct timed_entry *entry = timed_entry_at(side, slot);
    if (!entry->in_calendar)
        return;
    entry->in_calendar = false;
    if (entry->next != SLOT_NONE)
        timed_entry_at(side, entry->next)->previous = entry->previous;
    if (entry->previous != SLOT_NONE) {
        timed_entry_at(side, entry->previous)->next = entry->next;
        return;
    }
    uint32_t list = piece_find(side, piece_of(side, timed_rows_stored_time(side, slot)));
    piece_at(side, list)->first = entry->next;
    if (entry->next == SLOT_NONE)
        piece_free(side, list);
}

/* The watermark at which all rows of a piece can go. */
static int64_t piece_due(const struct timed_rows *side, int64_t number)
{
    __int128 due = (__int128)(number + 1) * side->piece_us - 1 + side->expiry.after_us;
    return due <= INT64_MIN ? INT64_MIN + 1 : due >= TIME_NEVER ? TIME_NEVER : (int64_t)due;
}

int64_t timed_rows_due(const struct timed_rows *side)
{
    if (side->pieces.entries == 0)
        return TIME_NEVER;
    struct btree_cursor first = btree_seek(&side->pieces, NULL, 0);
    return piece_due(side, piece_at(side, btree_value(&first))->number);
}

void timed_rows_expire(struct timed_rows *side, void (*expired)(void *ctx, uint32_t slot), void *ctx)
{
    int64_t watermark = side->ctx->watermark;
    if (!side->expiry.known || watermark == WATERMARK_NONE)
        return;
    while (side->pieces.entries > 0) {
        struct btree_cursor place = btree_seek(&side->pieces, NULL, 0);
        const struct timed_piece *piece = piece_at(side, btree_value(&place));
        int64_t due = piece_due(side, piece->number);
        if (due == TIME_NEVER || due > watermark)
            return;
        uint32_t slot = piece->first;
        calendar_remove(side, slot);
        timed_rows_touch(side, slot);
        expired(ctx, slot);
    }
}

/* ---- rows ---- */

uint32_t timed_rows_upsert(struct timed_rows *side, uint32_t key, int64_t time, const struct batch *rows,
                           uint32_t row, bool *inserted)
{
    place_start(side, key, time);
    uint64_t number = 0;
    if (side->has_order)
        place_add_values(side, rows, row);
    else if (side->append_only)
        place_add_number(&side->place, number = side->arrivals++);
    else
        number = place_add_hash(side, rows, row);
    uint32_t slot = ordered_table_upsert(side->table, side->place.data, (uint32_t)side->place.len, rows, row,
                                         NULL, inserted);
    if (!*inserted)
        return slot;
    struct timed_entry *entry = timed_entry_at(side, slot);
    entry->number = number;
    entry->key = key;
    key_count(side->keys, key, 1);
    calendar_add(side, slot, time);
    return slot;
}

void timed_rows_count(struct timed_rows *side, uint32_t slot, int64_t weight)
{
    struct timed_entry *entry = timed_entry_at(side, slot);
    entry->count += weight;
    if (entry->count != 0 || entry->is_listed)
        return;
    entry->is_listed = true;
    strbuf_add(&side->zeros, &slot, sizeof(slot));
}

void timed_rows_drop_zeros(struct timed_rows *side)
{
    for (size_t at = 0; at < side->zeros.len; at += sizeof(uint32_t)) {
        uint32_t slot;
        memcpy(&slot, side->zeros.data + at, sizeof(slot));
        struct timed_entry *entry = timed_entry_at(side, slot);
        entry->is_listed = false;
        if (entry->count == 0)
            timed_rows_remove(side, slot);
    }
    strbuf_reset(&side->zeros);
}

void timed_rows_remove(struct timed_rows *side, uint32_t slot)
{
    uint32_t key = timed_entry_at(side, slot)->key;
    calendar_remove(side, slot);
    place_of_stored(side, slot);
    CHECK(ordered_table_remove(side->table, side->place.data, (uint32_t)side->place.len));
    key_count(side->keys, key, -1);
}

/* ---- checkpoints ---- */

enum { SAVED_KEY, SAVED_COUNT, SAVED_NUMBER, SAVED_IN_CALENDAR, SAVED_EXTRA, SAVED_NUMBERS };

static uint32_t saved_numbers_count(const struct timed_rows *side)
{
    return side->saves_extra ? SAVED_NUMBERS : SAVED_EXTRA;
}

static void gather_rows(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                        struct arena *arena)
{
    const struct timed_rows *side = of;
    int64_t *numbers[SAVED_NUMBERS];
    op_saved_slots(side->table, slots, count, out, arena);
    for (uint32_t n = 0; n < saved_numbers_count(side); n++)
        numbers[n] = op_saved_numbers(&out[side->columns_count + n], count, arena);
    for (uint32_t i = 0; i < count; i++) {
        const struct timed_entry *entry = timed_entry_at(side, slots[i]);
        numbers[SAVED_KEY][i] = entry->key;
        numbers[SAVED_COUNT][i] = entry->count;
        numbers[SAVED_NUMBER][i] = (int64_t)entry->number;
        numbers[SAVED_IN_CALENDAR][i] = entry->in_calendar;
        if (side->saves_extra)
            numbers[SAVED_EXTRA][i] = *(const int64_t *)timed_extra_at(side, slots[i]);
    }
}

static bool restore_rows(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                         struct error *err)
{
    struct timed_rows *side = of;
    struct batch header;
    const struct batch *columns = op_restored_columns(rows, side->columns_count, &header);
    const int64_t *numbers[SAVED_NUMBERS];
    if (!op_saved_version(version, err))
        return false;
    for (uint32_t n = 0; n < saved_numbers_count(side); n++)
        numbers[n] = op_restored_numbers(rows, side->columns_count + n);
    for (uint32_t i = 0; i < rows->rows; i++) {
        int64_t time, key = numbers[SAVED_KEY][i], number = numbers[SAVED_NUMBER][i];
        if (!timed_rows_time(side, columns, i, &time) || key < 0 || key >= SLOT_NONE || number < 0 ||
            number == INT64_MAX || numbers[SAVED_COUNT][i] == 0)
            return op_saved_damaged(err);
        place_start(side, (uint32_t)key, time);
        if (side->has_order) {
            place_add_values(side, columns, i);
        } else {
            if (!side->append_only)
                place_add_number(&side->place, row_layout_hash_of(side->layout, columns, i, NULL));
            place_add_number(&side->place, (uint64_t)number);
        }
        if (!ordered_table_restore(side->table, slots[i], side->place.data, (uint32_t)side->place.len,
                                   columns, i, NULL))
            return op_saved_damaged(err);
        struct timed_entry *entry = timed_entry_at(side, slots[i]);
        entry->key = (uint32_t)key;
        entry->count = numbers[SAVED_COUNT][i];
        entry->number = (uint64_t)number;
        entry->in_calendar = numbers[SAVED_IN_CALENDAR][i] != 0; /* but not yet: timed_rows_restored */
        if (side->saves_extra)
            *(int64_t *)timed_extra_at(side, slots[i]) = numbers[SAVED_EXTRA][i];
    }
    return true;
}

/* The row, slot of its key, count, number, whether it is in the calendar, and the caller's own number. */
void timed_rows_saved_tables(struct timed_rows *side, const char *name, struct saved_tables *out)
{
    uint32_t numbers = saved_numbers_count(side);
    saved_tables_add(
        out, (struct saved_table){.name = name,
                                  .version = 1,
                                  .columns_count = side->columns_count + numbers,
                                  .types = op_saved_types(out, side->types, side->columns_count, numbers),
                                  .of = side,
                                  .slots = ordered_table_slots(side->table),
                                  .gather = gather_rows,
                                  .restore = restore_rows});
}

bool timed_rows_restored(struct timed_rows *side, struct error *err)
{
    const struct slot_pages *slots = ordered_table_slots(side->table);
    uint32_t cursor = 0, slot;
    while ((slot = op_slots_next(slots, &cursor)) != SLOT_NONE) {
        struct timed_entry *entry = timed_entry_at(side, slot);
        bool is_listed = entry->in_calendar;
        entry->in_calendar = false;
        if (side->keys->table != NULL ? !op_slots_have(hashed_table_slots(side->keys->table), entry->key)
                                      : entry->key != 0)
            return op_saved_damaged(err);
        key_count(side->keys, entry->key, 1);
        if (is_listed)
            calendar_add(side, slot, timed_rows_stored_time(side, slot));
        if (side->append_only && side->arrivals <= entry->number)
            side->arrivals = entry->number + 1;
    }
    return true;
}
