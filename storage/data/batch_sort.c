/* batch_sort.c: row keys and sorting.
 *
 * One fixed-width key becomes a 64-bit integer per row. Several keys, or text, become one encoded key per row
 * (built down the columns) of which the first eight bytes are the integer. The integers are radix sorted;
 * rows that still tie there are merge sorted by the rest of their keys. Both sorts are stable. */
#include "storage/data/batch.h"
#include "storage/data/key_encode.h"
#include "storage/data/text_check.h"

#define INSERTION_ROWS_MAX 48u

struct sort_entry {
    uint64_t key;
    uint32_t row;
};

void batch_encode_key(const struct batch *batch, uint32_t row, const struct sort_key *keys,
                      uint32_t keys_count, struct strbuf *out)
{
    for (uint32_t k = 0; k < keys_count; k++) {
        const struct column *column = &batch->columns[keys[k].column];
        struct datum value = column_get(column, row);
        type_encode_key(column->type.oid, &value, keys[k].descending, keys[k].nulls_first, out);
    }
}

/* ---- sorting entries ---- */

static void insertion_sort(struct sort_entry *entries, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct sort_entry entry = entries[i];
        uint32_t at = i;
        for (; at > 0 && entries[at - 1].key > entry.key; at--)
            entries[at] = entries[at - 1];
        entries[at] = entry;
    }
}

/* Least significant byte first; bytes that are the same in all keys cost nothing. scratch has room for count.
 */
static void radix_sort(struct sort_entry *entries, struct sort_entry *scratch, uint32_t count)
{
    if (count <= INSERTION_ROWS_MAX) {
        insertion_sort(entries, count);
        return;
    }
    uint32_t histogram[8][256] = {0};
    for (uint32_t i = 0; i < count; i++) {
        uint64_t key = entries[i].key;
        for (int byte = 0; byte < 8; byte++)
            histogram[byte][key >> (8 * byte) & 0xff]++;
    }
    struct sort_entry *from = entries, *to = scratch;
    for (int byte = 0; byte < 8; byte++) {
        uint32_t *counts = histogram[byte];
        if (counts[from[0].key >> (8 * byte) & 0xff] == count)
            continue;
        uint32_t sum = 0;
        for (int value = 0; value < 256; value++) {
            uint32_t here = counts[value];
            counts[value] = sum;
            sum += here;
        }
        for (uint32_t i = 0; i < count; i++)
            to[counts[from[i].key >> (8 * byte) & 0xff]++] = from[i];
        struct sort_entry *swap = from;
        from = to;
        to = swap;
    }
    if (from != entries)
        memcpy(entries, from, (size_t)count * sizeof(*entries));
}

/* ---- one fixed-width key ---- */

#define KEY_LOOP(type, expression)                                                                           \
    do {                                                                                                     \
        const type *values = column->data;                                                                   \
        for (uint32_t i = 0; i < rows; i++) {                                                                \
            type value = values[i];                                                                          \
            entries[i].key = (expression);                                                                   \
            entries[i].row = i;                                                                              \
        }                                                                                                    \
    } while (0)

static bool is_narrow(const struct column *column)
{
    return phys_bytes(column->phys) <= 8;
}

static void fill_narrow(const struct column *column, uint32_t rows, struct sort_entry *entries)
{
    switch (column->phys) {
    case PHYS_BOOL:
        KEY_LOOP(uint8_t, value);
        break;
    case PHYS_I16:
        KEY_LOOP(int16_t, (uint64_t)(int64_t)value ^ KEY_SIGN_64);
        break;
    case PHYS_I32:
        KEY_LOOP(int32_t, (uint64_t)(int64_t)value ^ KEY_SIGN_64);
        break;
    case PHYS_I64:
        KEY_LOOP(int64_t, (uint64_t)value ^ KEY_SIGN_64);
        break;
    case PHYS_F32:
        KEY_LOOP(float, float_key((double)value));
        break;
    case PHYS_F64:
        KEY_LOOP(double, float_key(value));
        break;
    default:
        CHECK(false);
    }
}

static void sort_narrow(const struct column *column, uint32_t rows, const struct sort_key *key,
                        struct sort_entry *entries, struct sort_entry *scratch, uint32_t *order)
{
    fill_narrow(column, rows, entries);
    uint32_t values_count = rows, nulls_count = 0;
    if (column->nulls != NULL) { /* nulls leave the race; their order is that of the rows */
        values_count = 0;
        for (uint32_t i = 0; i < rows; i++) {
            if (!column->nulls[i])
                entries[values_count++] = entries[i];
        }
        nulls_count = rows - values_count;
        uint32_t at = key->nulls_first ? 0 : values_count;
        for (uint32_t i = 0; i < rows; i++) {
            if (column->nulls[i])
                order[at++] = i;
        }
    }
    if (key->descending) {
        for (uint32_t i = 0; i < values_count; i++)
            entries[i].key = ~entries[i].key;
    }
    radix_sort(entries, scratch, values_count);
    uint32_t *to = order + (key->nulls_first ? nulls_count : 0);
    for (uint32_t i = 0; i < values_count; i++)
        to[i] = entries[i].row;
}

/* ---- encoded keys ---- */

/* Keys of types without a fast form, encoded row after row before sizes are known. */
struct side_keys {
    struct strbuf bytes;
    size_t *ends;
};

static bool is_text(const struct column *column)
{
    const struct type_row *row = type_find(column->type.oid);
    return column->phys == PHYS_VAR && row->element_oid == 0 && row->oid != OID_NUMERIC &&
           row->oid != OID_JSONB && row->oid != OID_RECORD;
}

static uint32_t fixed_key_bytes(enum phys phys)
{
    return phys == PHYS_F32 ? 8 : phys_bytes(phys);
}

static inline size_t key_text_len(const struct column *column, const struct varlen *value)
{
    if (column->type.oid != OID_BPCHAR)
        return value->len;
    return text_trimmed_len((const char *)varlen_bytes(value), value->len);
}

/* Adds the key bytes of each row of one column to sizes. */
static void add_sizes(const struct column *column, uint32_t rows, size_t *sizes, struct side_keys *side,
                      struct arena *arena)
{
    const uint8_t *nulls = column->nulls;
    if (column->phys != PHYS_VAR) {
        uint32_t bytes = fixed_key_bytes(column->phys);
        for (uint32_t i = 0; i < rows; i++)
            sizes[i] += 1 + (nulls != NULL && nulls[i] ? 0 : bytes);
        return;
    }
    const struct varlen *values = column->data;
    if (is_text(column)) {
        for (uint32_t i = 0; i < rows; i++) {
            bool null = nulls != NULL && nulls[i];
            sizes[i] +=
                1 +
                (null ? 0 : escaped_key_bytes(varlen_bytes(&values[i]), key_text_len(column, &values[i])));
        }
        return;
    }
    side->ends = arena_alloc(arena, (size_t)rows * sizeof(size_t));
    for (uint32_t i = 0; i < rows; i++) {
        size_t start = side->bytes.len;
        if (nulls == NULL || !nulls[i]) {
            struct datum value = {.var = values[i]};
            type_encode_key_body(column->type.oid, &value, &side->bytes);
        }
        side->ends[i] = side->bytes.len;
        sizes[i] += 1 + (side->bytes.len - start);
    }
}

static inline uint8_t *put_be(uint8_t *to, uint64_t value, uint32_t bytes)
{
    for (uint32_t i = 0; i < bytes; i++)
        to[i] = (uint8_t)(value >> (8 * (bytes - 1 - i)));
    return to + bytes;
}

#define WRITE_LOOP(type, bytes_count, expression)                                                            \
    do {                                                                                                     \
        const type *values = column->data;                                                                   \
        for (uint32_t i = 0; i < rows; i++) {                                                                \
            if (nulls != NULL && nulls[i]) {                                                                 \
                *cursors[i]++ = null_marker;                                                                 \
                continue;                                                                                    \
            }                                                                                                \
            type value = values[i];                                                                          \
            *cursors[i]++ = KEY_VALUE;                                                                       \
            cursors[i] = put_be(cursors[i], (uint64_t)(expression) ^ invert, bytes_count);                   \
        }                                                                                                    \
    } while (0)

static void write_wide(const struct column *column, uint32_t rows, uint8_t null_marker, uint8_t invert,
                       const struct side_keys *side, uint8_t **cursors)
{
    bool text = is_text(column), interval = column->type.oid == OID_INTERVAL;
    for (uint32_t i = 0; i < rows; i++) {
        if (column->nulls != NULL && column->nulls[i]) {
            *cursors[i]++ = null_marker;
            continue;
        }
        *cursors[i]++ = KEY_VALUE;
        uint8_t *start = cursors[i], *to = start;
        if (text) {
            const struct varlen *value = (const struct varlen *)column->data + i;
            to = escaped_key_write(to, varlen_bytes(value), key_text_len(column, value));
        } else if (interval) {
            __int128 span = interval_span((const struct interval *)column->data + i);
            to = put_be(put_be(to, (uint64_t)(span >> 64) ^ KEY_SIGN_64, 8), (uint64_t)span, 8);
        } else if (column->phys == PHYS_FIX16) {
            memcpy(to, (const uint8_t *)column->data + (size_t)i * 16, 16);
            to += 16;
        } else {
            size_t from = i == 0 ? 0 : side->ends[i - 1], len = side->ends[i] - from;
            memcpy(to, side->bytes.data + from, len);
            to += len;
        }
        for (uint8_t *p = start; invert != 0 && p < to; p++)
            *p ^= invert;
        cursors[i] = to;
    }
}

static void write_column(const struct column *column, uint32_t rows, const struct sort_key *key,
                         const struct side_keys *side, uint8_t **cursors)
{
    const uint8_t *nulls = column->nulls;
    uint8_t null_marker = key->nulls_first ? KEY_NULL_FIRST : KEY_NULL_LAST;
    uint64_t invert = key->descending ? UINT64_MAX : 0;
    switch (column->phys) {
    case PHYS_BOOL:
        WRITE_LOOP(uint8_t, 1, value);
        break;
    case PHYS_I16:
        WRITE_LOOP(int16_t, 2, (uint16_t)value ^ 0x8000u);
        break;
    case PHYS_I32:
        WRITE_LOOP(int32_t, 4, (uint32_t)value ^ 0x80000000u);
        break;
    case PHYS_I64:
        WRITE_LOOP(int64_t, 8, (uint64_t)value ^ KEY_SIGN_64);
        break;
    case PHYS_F32:
        WRITE_LOOP(float, 8, float_key((double)value));
        break;
    case PHYS_F64:
        WRITE_LOOP(double, 8, float_key(value));
        break;
    default:
        write_wide(column, rows, null_marker, (uint8_t)invert, side, cursors);
        break;
    }
}

struct encoded_keys {
    uint8_t *bytes;
    size_t *offsets; /* rows + 1 */
};

static struct encoded_keys encode_keys(const struct batch *batch, const struct sort_key *keys,
                                       uint32_t keys_count, struct arena *arena)
{
    uint32_t rows = batch->rows;
    size_t *sizes = ARENA_ARRAY(arena, size_t, rows);
    struct side_keys *sides = ARENA_ARRAY(arena, struct side_keys, keys_count);
    struct column *columns = ARENA_ARRAY(arena, struct column, keys_count);
    for (uint32_t k = 0; k < keys_count; k++) {
        columns[k] = batch->columns[keys[k].column];
        column_expand(&columns[k], rows, arena);
        add_sizes(&columns[k], rows, sizes, &sides[k], arena);
    }
    struct encoded_keys out;
    out.offsets = arena_alloc(arena, ((size_t)rows + 1) * sizeof(size_t));
    size_t total = 0;
    for (uint32_t i = 0; i < rows; i++) {
        out.offsets[i] = total;
        total += sizes[i];
    }
    out.offsets[rows] = total;
    out.bytes = arena_alloc(arena, total + 8);
    memset(out.bytes + total, 0, 8);
    uint8_t **cursors = arena_alloc(arena, (size_t)rows * sizeof(uint8_t *));
    for (uint32_t i = 0; i < rows; i++)
        cursors[i] = out.bytes + out.offsets[i];
    for (uint32_t k = 0; k < keys_count; k++) {
        write_column(&columns[k], rows, &keys[k], &sides[k], cursors);
        strbuf_release(&sides[k].bytes);
    }
    return out;
}

static inline bool key_less(const struct encoded_keys *keys, uint32_t a, uint32_t b)
{
    size_t a_len = keys->offsets[a + 1] - keys->offsets[a], b_len = keys->offsets[b + 1] - keys->offsets[b];
    size_t shorter = a_len < b_len ? a_len : b_len;
    int order = memcmp(keys->bytes + keys->offsets[a], keys->bytes + keys->offsets[b], shorter);
    return order < 0 || (order == 0 && a_len < b_len);
}

static void merge_sort(const struct encoded_keys *keys, struct sort_entry *entries,
                       struct sort_entry *scratch, uint32_t count)
{
    if (count <= 8) {
        for (uint32_t i = 1; i < count; i++) {
            struct sort_entry entry = entries[i];
            uint32_t at = i;
            for (; at > 0 && key_less(keys, entry.row, entries[at - 1].row); at--)
                entries[at] = entries[at - 1];
            entries[at] = entry;
        }
        return;
    }
    uint32_t half = count / 2;
    merge_sort(keys, entries, scratch, half);
    merge_sort(keys, entries + half, scratch, count - half);
    if (!key_less(keys, entries[half].row, entries[half - 1].row))
        return;
    memcpy(scratch, entries, (size_t)half * sizeof(*entries));
    uint32_t left = 0, right = half, to = 0;
    while (left < half && right < count)
        entries[to++] =
            key_less(keys, entries[right].row, scratch[left].row) ? entries[right++] : scratch[left++];
    while (left < half)
        entries[to++] = scratch[left++];
}

static void sort_encoded(const struct batch *batch, const struct sort_key *keys, uint32_t keys_count,
                         struct sort_entry *entries, struct sort_entry *scratch, uint32_t *order)
{
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t rows = batch->rows;
    struct encoded_keys encoded = encode_keys(batch, keys, keys_count, &arena);
    for (uint32_t i = 0; i < rows; i++) {
        uint64_t prefix;
        size_t len = encoded.offsets[i + 1] - encoded.offsets[i];
        memcpy(&prefix, encoded.bytes + encoded.offsets[i], 8); /* the buffer ends in 8 zero bytes */
        prefix = __builtin_bswap64(prefix);
        if (len < 8) /* what stands behind belongs to the next row */
            prefix &= len == 0 ? 0 : UINT64_MAX << (64 - 8 * len);
        entries[i] = (struct sort_entry){prefix, i};
    }
    radix_sort(entries, scratch, rows);
    for (uint32_t first = 0; first < rows;) {
        uint32_t next = first + 1;
        while (next < rows && entries[next].key == entries[first].key)
            next++;
        if (next - first > 1)
            merge_sort(&encoded, entries + first, scratch, next - first);
        first = next;
    }
    for (uint32_t i = 0; i < rows; i++)
        order[i] = entries[i].row;
    arena_release(&arena);
}

void batch_sort(const struct batch *batch, const struct sort_key *keys, uint32_t keys_count, uint32_t *order)
{
    uint32_t rows = batch->rows;
    if (rows <= 1 || keys_count == 0) {
        for (uint32_t i = 0; i < rows; i++)
            order[i] = i;
        return;
    }
    struct sort_entry *entries = mem_alloc((size_t)rows * 2 * sizeof(*entries));
    const struct column *first = &batch->columns[keys[0].column];
    if (keys_count == 1 && is_narrow(first) && !first->is_constant)
        sort_narrow(first, rows, &keys[0], entries, entries + rows, order);
    else
        sort_encoded(batch, keys, keys_count, entries, entries + rows, order);
    mem_free(entries);
}
