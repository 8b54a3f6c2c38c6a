/* timed_rows.h: rows that joins in time keep: ordered by (key, time), and in a calendar by time when they are to be
 * forgotten. Internal to this folder.
 *
 * Both sides of a join number their keys in one hashed table, so that a row's key is looked up once and then a
 * number leads to its neighbours on either side. A row's place in its side's B+tree is that number, its time, and
 * something that tells rows of one key and time apart: its number in order of arrival where no row is ever taken
 * back; else a hash of the row and a number among rows with that hash; or, where neighbours must stand in an order
 * of their own (has_order), the row's values. Times may be negated (is_reversed), so that "the next one" becomes
 * "the one before".
 *
 * The calendar is a list of rows per piece of time. It is exact to one piece: rows go when all of theirs can. */
#ifndef MILLRACE_OPERATORS_TIMED_ROWS_H
#define MILLRACE_OPERATORS_TIMED_ROWS_H

#include "executor/operators/op_common.h"
#include "executor/operators/op_saved.h"
#include "storage/state/btree.h"

#define TIMED_PLACE_BYTES 12u /* the part of a place that says key and time */

struct timed_entry {
    int64_t count;
    uint64_t number; /* tells rows of a key and time apart */
    uint32_t key;
    uint32_t previous, next; /* in the calendar's list; previous SLOT_NONE: the first */
    bool is_touched;         /* the operator's: in this tick */
    bool is_listed;          /* among those whose count may be 0 */
    bool in_calendar;
};

struct timed_keys {
    struct hashed_table *table; /* NULL: no key columns, all rows have key 0 */
    struct sql_type *types;
    uint32_t count;
};

struct timed_rows {
    struct ordered_table *table;
    const struct row_layout *layout;
    struct timed_keys *keys;
    struct op_context *ctx;
    const struct sql_type *types;
    uint32_t columns_count;
    uint32_t time_column;
    bool is_date, append_only, has_order, is_reversed;
    bool saves_extra;       /* the caller's own state begins with an int64 that checkpoints save */
    bool *may_be_null;      /* for gathers: all true */
    struct sort_key *order; /* has_order: all columns */
    uint64_t arrivals;
    struct strbuf place;
    struct strbuf zeros; /* places of rows whose count fell to 0: length, bytes */
    /* the calendar */
    struct plan_expiry expiry;
    int64_t piece_us;
    struct table_heap *heap;
    struct btree pieces; /* number of the piece -> slot of struct timed_piece */
    struct slot_pages lists;
    int64_t last_piece; /* where the last row went */
    uint32_t last_list; /* SLOT_NONE: unknown */
};

void timed_keys_open(struct timed_keys *keys, const struct sql_type *types, const uint32_t *columns,
                     uint32_t count, struct op_context *ctx);
void timed_keys_close(struct timed_keys *keys);
/* The numbers of the rows' keys; new ones are added: each must then get a row. hashes: room for as many. */
void timed_keys_of(struct timed_keys *keys, const struct batch *rows, const uint32_t *columns, uint32_t count,
                   uint64_t *hashes, uint32_t *numbers, uint8_t *inserted);

/* Adds a table. What each key has of rows is not saved. */
void timed_keys_saved_tables(struct timed_keys *keys, struct saved_tables *out);
/* Once the rows of all sides are complete: has each key a row? XX001 */
MUST_CHECK
bool timed_keys_restored(const struct timed_keys *keys, struct error *err);

/* The flags and `expiry` of a side are set by the caller, as are keys and ctx. payload_bytes: of the caller's own
 * state, behind struct timed_entry. span_us: how far rows reach, for the pieces of the calendar. */
void timed_rows_open(struct timed_rows *side, const struct plan *child, uint32_t time_column,
                     uint32_t payload_bytes, int64_t span_us);
void timed_rows_close(struct timed_rows *side);
int64_t timed_rows_bytes(const struct timed_rows *side);

/* Time of a row as places have it; false: it has none. */
bool timed_rows_time(const struct timed_rows *side, const struct batch *rows, uint32_t row, int64_t *time);
int64_t timed_rows_stored_time(const struct timed_rows *side, uint32_t slot);
/* Finds the row or adds it with count 0; its slot. */
uint32_t timed_rows_upsert(struct timed_rows *side, uint32_t key, int64_t time, const struct batch *rows,
                           uint32_t row, bool *inserted);
/* Adds to the count. Rows whose count is 0 go with timed_rows_drop_zeros. */
void timed_rows_count(struct timed_rows *side, uint32_t slot, int64_t weight);
void timed_rows_drop_zeros(struct timed_rows *side);
/* Removes a row. */
void timed_rows_remove(struct timed_rows *side, uint32_t slot);
/* Takes all rows out of the calendar that the watermark has passed and hands them over, piece by piece. */
void timed_rows_expire(struct timed_rows *side, void (*expired)(void *ctx, uint32_t slot), void *ctx);
/* The watermark at which timed_rows_expire has something to do; TIME_NEVER: none. */
int64_t timed_rows_due(const struct timed_rows *side);

/* Checkpoints: adds a table; name: of the side. timed_rows_touch: the caller's own state of a row has changed. */
void timed_rows_saved_tables(struct timed_rows *side, const char *name, struct saved_tables *out);
/* Completes the rows when the keys are back as well. XX001 */
MUST_CHECK
bool timed_rows_restored(struct timed_rows *side, struct error *err);
static inline void timed_rows_touch(struct timed_rows *side, uint32_t slot)
{
    ordered_table_touch(side->table, slot);
}

/* Columns fields[0..count) (NULL: the first ones) of stored rows, borrowed text, into out[0..count). */
void timed_rows_gather(const struct timed_rows *side, const uint32_t *slots, uint32_t rows,
                       const uint32_t *fields, uint32_t count, struct column *out, struct arena *arena);

static inline struct timed_entry *timed_entry_at(const struct timed_rows *side, uint32_t slot)
{
    return ordered_table_payload(side->table, slot);
}
/* The caller's own state of a row. */
static inline void *timed_extra_at(const struct timed_rows *side, uint32_t slot)
{
    return timed_entry_at(side, slot) + 1;
}

static inline void timed_place_encode(uint8_t *out, uint32_t key, int64_t time)
{
    uint32_t number = __builtin_bswap32(key);
    uint64_t order = __builtin_bswap64((uint64_t)time ^ (UINT64_C(1) << 63));
    memcpy(out, &number, sizeof(number));
    memcpy(out + sizeof(number), &order, sizeof(order));
}

static inline int64_t timed_place_time(const uint8_t *place)
{
    uint64_t order;
    memcpy(&order, place + sizeof(uint32_t), sizeof(order));
    return (int64_t)(__builtin_bswap64(order) ^ (UINT64_C(1) << 63));
}

static inline uint32_t timed_place_key(const uint8_t *place)
{
    uint32_t number;
    memcpy(&number, place, sizeof(number));
    return __builtin_bswap32(number);
}

/* The row under a cursor is one of this key; its time. */
static inline bool timed_cursor_at(const struct ordered_cursor *cursor, uint32_t key, int64_t *time)
{
    uint32_t bytes;
    if (cursor->slot == SLOT_NONE)
        return false;
    const uint8_t *place = ordered_cursor_key(cursor, &bytes);
    *time = timed_place_time(place);
    return timed_place_key(place) == key;
}

/* The first row of the key at or after the time; the last one at or before it. */
static inline void timed_seek(const struct timed_rows *side, uint32_t key, int64_t time,
                              struct ordered_cursor *cursor)
{
    uint8_t place[TIMED_PLACE_BYTES];
    timed_place_encode(place, key, time);
    ordered_table_seek(side->table, place, TIMED_PLACE_BYTES, cursor);
}

static inline void timed_seek_last(const struct timed_rows *side, uint32_t key, int64_t time,
                                   struct ordered_cursor *cursor)
{
    uint8_t place[TIMED_PLACE_BYTES];
    timed_place_encode(place, key, time);
    ordered_table_seek_last(side->table, place, TIMED_PLACE_BYTES, cursor);
}

#endif
