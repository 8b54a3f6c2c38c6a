/* row_queue.c: rows that wait for a time. Keys are the time, the row's hash and a number that tells rows of one hash
 * apart; where nothing is taken back, the time and the number of the row. */
#include "executor/operators/row_queue.h"

#include "executor/operators/op_saved.h"

#define KEY_BYTES    20u
#define PREFIX_BYTES 16u /* time and hash */

struct waiting {
    int64_t time; /* as in the key, for checkpoints, */
    int64_t weight;
    uint64_t number : 63; /* and this too */
    uint64_t flag : 1;
};

static void put_u64(uint8_t *out, uint64_t value)
{
    value = __builtin_bswap64(value);
    memcpy(out, &value, sizeof(value));
}

static uint64_t get_u64(const uint8_t *bytes)
{
    uint64_t value;
    memcpy(&value, bytes, sizeof(value));
    return __builtin_bswap64(value);
}

static void put_u32(uint8_t *out, uint32_t value)
{
    value = __builtin_bswap32(value);
    memcpy(out, &value, sizeof(value));
}

static uint32_t get_u32(const uint8_t *bytes)
{
    uint32_t value;
    memcpy(&value, bytes, sizeof(value));
    return __builtin_bswap32(value);
}

static uint64_t time_key(int64_t time)
{
    return (uint64_t)time ^ (UINT64_C(1) << 63);
}

void row_queue_open(struct row_queue *queue, const struct sql_type *types, uint32_t types_count,
                    bool append_only, struct account *account)
{
    queue->append_only = append_only;
    queue->table = ordered_table_create(types, types_count, sizeof(struct waiting), account);
}

void row_queue_close(struct row_queue *queue)
{
    if (queue->table != NULL)
        ordered_table_destroy(queue->table);
}

/* Finds the row among those of its time and hash; else the key gets the number behind the last of them. */
static uint32_t find_row(struct row_queue *queue, uint8_t key[KEY_BYTES], const struct batch *rows,
                         uint32_t row)
{
    const struct row_layout *layout = ordered_table_layout(queue->table);
    struct ordered_cursor cursor;
    uint32_t number = 0;
    ordered_table_seek(queue->table, key, PREFIX_BYTES, &cursor);
    for (; cursor.slot != SLOT_NONE && ordered_cursor_has_prefix(&cursor, key, PREFIX_BYTES);
         ordered_cursor_next(&cursor)) {
        uint32_t bytes;
        const uint8_t *found = ordered_cursor_key(&cursor, &bytes);
        number = get_u32(found + PREFIX_BYTES) + 1;
        if (row_layout_identical(layout, ordered_table_row(queue->table, cursor.slot), rows, row, NULL)) {
            memcpy(key, found, KEY_BYTES);
            return cursor.slot;
        }
    }
    put_u32(key + PREFIX_BYTES, number);
    return SLOT_NONE;
}

void row_queue_add(struct row_queue *queue, int64_t time, const struct batch *rows, uint32_t row,
                   int64_t weight, bool flag)
{
    uint8_t key[KEY_BYTES] = {0};
    uint32_t slot = SLOT_NONE;
    put_u64(key, time_key(time));
    if (queue->append_only) {
        put_u64(key + 8, queue->sequence++);
    } else {
        put_u64(key + 8, row_layout_hash_of(ordered_table_layout(queue->table), rows, row, NULL));
        slot = find_row(queue, key, rows, row);
    }
    struct waiting *waiting;
    if (slot == SLOT_NONE) {
        bool inserted;
        slot = ordered_table_upsert(queue->table, key, KEY_BYTES, rows, row, NULL, &inserted);
        waiting = ordered_table_payload(queue->table, slot);
        waiting->time = time;
        waiting->number = queue->append_only ? get_u64(key + 8) : get_u32(key + PREFIX_BYTES);
    } else {
        ordered_table_touch(queue->table, slot);
        waiting = ordered_table_payload(queue->table, slot);
    }
    waiting->weight += weight;
    waiting->flag = flag;
    if (waiting->weight == 0)
        ordered_table_remove(queue->table, key, KEY_BYTES);
}

static int64_t cursor_time(const struct ordered_cursor *cursor)
{
    uint32_t bytes;
    return (int64_t)(get_u64(ordered_cursor_key(cursor, &bytes)) ^ (UINT64_C(1) << 63));
}

int64_t row_queue_first(const struct row_queue *queue)
{
    struct ordered_cursor cursor;
    ordered_table_seek(queue->table, NULL, 0, &cursor);
    return cursor.slot != SLOT_NONE ? cursor_time(&cursor) : TIME_NEVER;
}

struct batch *row_queue_take(struct row_queue *queue, int64_t until, uint8_t **flags, struct arena *arena)
{
    struct ordered_cursor cursor;
    ordered_table_seek(queue->table, NULL, 0, &cursor);
    if (cursor.slot == SLOT_NONE || cursor_time(&cursor) > until)
        return NULL;
    const struct row_layout *layout = ordered_table_layout(queue->table);
    const uint8_t **rows = arena_alloc(arena, sizeof(*rows) * BATCH_ROWS_MAX);
    uint8_t *keys = arena_alloc(arena, KEY_BYTES * BATCH_ROWS_MAX);
    uint8_t *marks = arena_alloc(arena, BATCH_ROWS_MAX);
    struct batch *out = batch_header(arena, layout->columns_count);
    out->weights = arena_alloc(arena, sizeof(int64_t) * BATCH_ROWS_MAX);
    for (; cursor.slot != SLOT_NONE && out->rows < BATCH_ROWS_MAX && cursor_time(&cursor) <= until;
         ordered_cursor_next(&cursor)) {
        const struct waiting *waiting = ordered_table_payload(queue->table, cursor.slot);
        uint32_t bytes;
        memcpy(keys + (size_t)out->rows * KEY_BYTES, ordered_cursor_key(&cursor, &bytes), KEY_BYTES);
        rows[out->rows] = ordered_table_row(queue->table, cursor.slot);
        out->weights[out->rows] = waiting->weight;
        marks[out->rows++] = waiting->flag != 0;
    }
    for (uint32_t c = 0; c < out->columns_count; c++)
        row_layout_gather(layout, rows, out->rows, c, true, &out->columns[c], arena);
    for (uint32_t i = 0; i < out->rows; i++)
        ordered_table_remove(queue->table, keys + (size_t)i * KEY_BYTES, KEY_BYTES);
    bool is_plain = true;
    for (uint32_t i = 0; i < out->rows && is_plain; i++)
        is_plain = out->weights[i] == 1;
    if (is_plain && flags == NULL)
        out->weights = NULL;
    if (flags != NULL)
        *flags = marks;
    return out;
}

/* ---- checkpoints ---- */

enum { SAVED_TIME, SAVED_WEIGHT, SAVED_NUMBER, SAVED_FLAG, SAVED_NUMBERS };

static void gather_waiting(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                           struct arena *arena)
{
    const struct row_queue *queue = of;
    uint32_t columns = ordered_table_layout(queue->table)->columns_count;
    int64_t *numbers[SAVED_NUMBERS];
    op_saved_slots(queue->table, slots, count, out, arena);
    for (uint32_t n = 0; n < SAVED_NUMBERS; n++)
        numbers[n] = op_saved_numbers(&out[columns + n], count, arena);
    for (uint32_t i = 0; i < count; i++) {
        const struct waiting *waiting = ordered_table_payload(queue->table, slots[i]);
        numbers[SAVED_TIME][i] = waiting->time;
        numbers[SAVED_WEIGHT][i] = waiting->weight;
        numbers[SAVED_NUMBER][i] = (int64_t)waiting->number;
        numbers[SAVED_FLAG][i] = waiting->flag;
    }
}

static bool restore_waiting(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                            struct error *err)
{
    struct row_queue *queue = of;
    const struct row_layout *layout = ordered_table_layout(queue->table);
    struct batch header;
    const struct batch *columns = op_restored_columns(rows, layout->columns_count, &header);
    const int64_t *numbers[SAVED_NUMBERS];
    if (!op_saved_version(version, err))
        return false;
    for (uint32_t n = 0; n < SAVED_NUMBERS; n++)
        numbers[n] = op_restored_numbers(rows, layout->columns_count + n);
    for (uint32_t i = 0; i < rows->rows; i++) {
        uint8_t key[KEY_BYTES] = {0};
        int64_t time = numbers[SAVED_TIME][i], number = numbers[SAVED_NUMBER][i];
        int64_t number_max = queue->append_only ? INT64_MAX - 1 : UINT32_MAX;
        put_u64(key, time_key(time));
        if (queue->append_only) {
            put_u64(key + 8, (uint64_t)number);
        } else {
            put_u64(key + 8, row_layout_hash_of(layout, columns, i, NULL));
            put_u32(key + PREFIX_BYTES, (uint32_t)number);
        }
        if (number < 0 || number > number_max || numbers[SAVED_WEIGHT][i] == 0 ||
            !ordered_table_restore(queue->table, slots[i], key, KEY_BYTES, columns, i, NULL))
            return op_saved_damaged(err);
        struct waiting *waiting = ordered_table_payload(queue->table, slots[i]);
        waiting->time = time;
        waiting->weight = numbers[SAVED_WEIGHT][i];
        waiting->number = (uint64_t)number;
        waiting->flag = numbers[SAVED_FLAG][i] != 0;
        if (queue->append_only && queue->sequence <= waiting->number)
            queue->sequence = waiting->number + 1;
    }
    return true;
}

/* "waiting": the row, time, weight, number, flag. */
void row_queue_saved_tables(struct row_queue *queue, struct saved_tables *out)
{
    const struct row_layout *layout = ordered_table_layout(queue->table);
    saved_tables_add(out, (struct saved_table){.name = "waiting",
                                               .version = 1,
                                               .columns_count = layout->columns_count + SAVED_NUMBERS,
                                               .types = op_saved_types(out, layout->types,
                                                                       layout->columns_count, SAVED_NUMBERS),
                                               .of = queue,
                                               .slots = ordered_table_slots(queue->table),
                                               .gather = gather_waiting,
                                               .restore = restore_waiting});
}
