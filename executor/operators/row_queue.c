/* row_queue.c: rows that wait for a time. Keys are the time, the row's hash and a number that tells rows of one hash
 * apart; where nothing is taken back, the time and the number of the row. */
#include "executor/operators/row_queue.h"

#include "storage/state/hashed_table.h"

#define KEY_BYTES    20u
#define PREFIX_BYTES 16u /* time and hash */

struct waiting {
    int64_t weight;
    uint64_t flag;
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
        memcpy(&number, found + PREFIX_BYTES, sizeof(number));
        if (row_layout_identical(layout, ordered_table_row(queue->table, cursor.slot), rows, row, NULL)) {
            memcpy(key, found, KEY_BYTES);
            return cursor.slot;
        }
        number = __builtin_bswap32(number) + 1;
    }
    number = __builtin_bswap32(number);
    memcpy(key + PREFIX_BYTES, &number, sizeof(number));
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
    bool inserted = false;
    if (slot == SLOT_NONE)
        slot = ordered_table_upsert(queue->table, key, KEY_BYTES, rows, row, NULL, &inserted);
    struct waiting *waiting = ordered_table_payload(queue->table, slot);
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
