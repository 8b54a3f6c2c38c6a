/* batch_serialize.c: the columnar bytes of the log and of checkpoints. Little-endian:
 *
 *   u32 rows, u32 columns, u8 has_weights, [integers: weights], then per column
 *   u8 layout, u8 has_nulls, [bitmap], values
 *
 * Integers (also lengths of text) are written as distances from their minimum in the fewest of 0, 1, 2, 4 or
 * 8 bytes: u8 width, i64 minimum, the distances. Floats, uuids and intervals stand as in memory, booleans one
 * byte each; text is the lengths and then all bytes. Constant columns are written as such integers of width
 * 0, or in full. */
#include "storage/data/batch.h"
#include "storage/data/type_check.h"

#define SERIALIZED_ROWS_MAX (1u << 28)

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "batches are stored as they lie in memory");

/* ---- writing ---- */

#define DISTANCES(bytes)                                                                                     \
    do {                                                                                                     \
        for (uint32_t i = 0; i < count; i++) {                                                               \
            uint64_t distance = (uint64_t)values[i] - (uint64_t)min;                                         \
            memcpy(to + (size_t)i * (bytes), &distance, (bytes));                                            \
        }                                                                                                    \
    } while (0)

static void write_integers(const int64_t *values, uint32_t count, struct strbuf *out)
{
    int64_t min = count > 0 ? values[0] : 0, max = min;
    for (uint32_t i = 1; i < count; i++) {
        min = values[i] < min ? values[i] : min;
        max = values[i] > max ? values[i] : max;
    }
    uint64_t span = (uint64_t)max - (uint64_t)min;
    uint8_t width = span == 0            ? 0
                    : span <= UINT8_MAX  ? 1
                    : span <= UINT16_MAX ? 2
                    : span <= UINT32_MAX ? 4
                                         : 8;
    strbuf_addc(out, (char)width);
    strbuf_add(out, &min, 8);
    strbuf_reserve(out, (size_t)count * width);
    char *to = out->data + out->len;
    switch (width) {
    case 1:
        DISTANCES(1);
        break;
    case 2:
        DISTANCES(2);
        break;
    case 4:
        DISTANCES(4);
        break;
    case 8:
        DISTANCES(8);
        break;
    default:
        break;
    }
    out->len += (size_t)count * width;
    out->data[out->len] = '\0';
}

#define WIDEN(type)                                                                                          \
    do {                                                                                                     \
        const type *values = column->data;                                                                   \
        for (uint32_t i = 0; i < rows; i++)                                                                  \
            wide[i] = (int64_t)values[i];                                                                    \
    } while (0)

static void write_column(const struct column *column, uint32_t rows, int64_t *wide, struct strbuf *out)
{
    strbuf_addc(out, (char)column->phys);
    strbuf_addc(out, column->nulls != NULL);
    if (column->nulls != NULL) {
        for (uint32_t i = 0; i < rows; i += 8) {
            uint8_t bits = 0;
            for (uint32_t k = 0; k < 8 && i + k < rows; k++)
                bits = (uint8_t)(bits | (column->nulls[i + k] != 0) << k);
            strbuf_addc(out, (char)bits);
        }
    }
    switch (column->phys) {
    case PHYS_I16:
        WIDEN(int16_t);
        write_integers(wide, rows, out);
        return;
    case PHYS_I32:
        WIDEN(int32_t);
        write_integers(wide, rows, out);
        return;
    case PHYS_I64:
        write_integers(column->data, rows, out);
        return;
    case PHYS_VAR: {
        const struct varlen *values = column->data;
        size_t total = 0;
        for (uint32_t i = 0; i < rows; i++) {
            wide[i] = values[i].len;
            total += values[i].len;
        }
        write_integers(wide, rows, out);
        strbuf_reserve(out, total);
        char *to = out->data + out->len;
        for (uint32_t i = 0; i < rows; i++) {
            memcpy(to, varlen_bytes(&values[i]), values[i].len);
            to += values[i].len;
        }
        out->len += total;
        out->data[out->len] = '\0';
        return;
    }
    default:
        strbuf_add(out, column->data, (size_t)rows * phys_bytes(column->phys));
        return;
    }
}

void batch_serialize(const struct batch *batch, struct strbuf *out)
{
    struct arena arena;
    arena_init(&arena, NULL);
    int64_t *wide = arena_alloc(&arena, (size_t)batch->rows * sizeof(int64_t));
    strbuf_add(out, &batch->rows, 4);
    strbuf_add(out, &batch->columns_count, 4);
    strbuf_addc(out, batch->weights != NULL);
    if (batch->weights != NULL)
        write_integers(batch->weights, batch->rows, out);
    for (uint32_t k = 0; k < batch->columns_count; k++) {
        struct column column = batch->columns[k];
        column_expand(&column, batch->rows, &arena);
        write_column(&column, batch->rows, wide, out);
    }
    arena_release(&arena);
}

/* ---- reading ---- */

struct byte_reader {
    const uint8_t *at;
    const uint8_t *end;
};

static const uint8_t *take(struct byte_reader *reader, size_t bytes)
{
    if ((size_t)(reader->end - reader->at) < bytes)
        return NULL;
    const uint8_t *start = reader->at;
    reader->at += bytes;
    return start;
}

static bool read_integers(struct byte_reader *reader, uint32_t count, int64_t *values)
{
    const uint8_t *head = take(reader, 9);
    if (head == NULL)
        return false;
    uint8_t width = head[0];
    uint64_t min;
    memcpy(&min, head + 1, 8);
    if (width != 0 && width != 1 && width != 2 && width != 4 && width != 8)
        return false;
    const uint8_t *from = take(reader, (size_t)count * width);
    if (from == NULL)
        return false;
    for (uint32_t i = 0; i < count; i++) {
        uint64_t distance = 0;
        memcpy(&distance, from, width);
        values[i] = (int64_t)(min + distance);
        from += width;
    }
    return true;
}

#define NARROW(type, least, most)                                                                            \
    do {                                                                                                     \
        type *to = (type *)column->data + at;                                                                \
        if (!read_integers(reader, rows, wide))                                                              \
            return false;                                                                                    \
        for (uint32_t i = 0; i < rows; i++) {                                                                \
            if (wide[i] < (least) || wide[i] > (most))                                                       \
                return false;                                                                                \
            to[i] = (type)wide[i];                                                                           \
        }                                                                                                    \
    } while (0)

static bool read_text(struct byte_reader *reader, uint32_t oid, struct varlen *to, const uint8_t *nulls,
                      uint32_t rows, int64_t *wide, struct arena *arena)
{
    if (!read_integers(reader, rows, wide))
        return false;
    size_t total = 0;
    for (uint32_t i = 0; i < rows; i++) {
        if (wide[i] < 0 || wide[i] > VALUE_BYTES_MAX || (nulls != NULL && nulls[i] && wide[i] != 0))
            return false;
        total += (size_t)wide[i];
    }
    const uint8_t *from = take(reader, total);
    if (from == NULL)
        return false;
    const uint8_t *bytes = arena_copy(arena, from, total);
    for (uint32_t i = 0; i < rows; i++) {
        if ((nulls == NULL || !nulls[i]) && !var_bytes_valid(oid, bytes, (size_t)wide[i]))
            return false;
        to[i] = varlen_view(bytes, (uint32_t)wide[i]);
        bytes += wide[i];
    }
    return true;
}

static bool read_column(struct batch *batch, struct column *column, uint32_t rows, struct byte_reader *reader,
                        int64_t *wide)
{
    uint32_t at = batch->rows;
    const uint8_t *head = take(reader, 2);
    if (head == NULL || head[0] != (uint8_t)column->phys || head[1] > 1)
        return false;
    uint8_t *nulls = NULL;
    if (head[1]) {
        const uint8_t *bits = take(reader, ((size_t)rows + 7) / 8);
        if (bits == NULL)
            return false;
        nulls = column_need_nulls(column, batch->capacity, batch->arena) + at;
        for (uint32_t i = 0; i < rows; i++)
            nulls[i] = bits[i / 8] >> (i % 8) & 1;
    } else if (column->nulls != NULL) {
        memset(column->nulls + at, 0, rows);
    }
    switch (column->phys) {
    case PHYS_I16:
        NARROW(int16_t, INT16_MIN, INT16_MAX);
        return true;
    case PHYS_I32:
        NARROW(int32_t, INT32_MIN, INT32_MAX);
        return true;
    case PHYS_I64:
        return read_integers(reader, rows, (int64_t *)column->data + at);
    case PHYS_VAR:
        return read_text(reader, column->type.oid, (struct varlen *)column->data + at, nulls, rows, wide,
                         batch->arena);
    default:
        break;
    }
    size_t bytes = phys_bytes(column->phys);
    const uint8_t *from = take(reader, rows * bytes);
    if (from == NULL)
        return false;
    for (uint32_t i = 0; column->phys == PHYS_BOOL && i < rows; i++) {
        if (from[i] > 1)
            return false;
    }
    memcpy((uint8_t *)column->data + at * bytes, from, rows * bytes);
    return true;
}

static bool read_batch(struct batch *batch, struct byte_reader *reader)
{
    const uint8_t *head = take(reader, 9);
    uint32_t rows, columns_count;
    if (head == NULL)
        return false;
    memcpy(&rows, head, 4);
    memcpy(&columns_count, head + 4, 4);
    if (rows > SERIALIZED_ROWS_MAX || rows > UINT32_MAX / 4 - batch->rows ||
        columns_count != batch->columns_count || head[8] > 1)
        return false;
    batch_reserve(batch, rows);
    bool ok = true;
    int64_t *wide = mem_alloc(((size_t)rows + 1) * sizeof(int64_t));
    if (head[8] || batch->weights != NULL) {
        batch_need_weights(batch);
        int64_t *weights = batch->weights + batch->rows;
        if (head[8])
            ok = read_integers(reader, rows, weights);
        for (uint32_t i = 0; !head[8] && i < rows; i++)
            weights[i] = 1;
    }
    for (uint32_t k = 0; ok && k < columns_count; k++)
        ok = read_column(batch, &batch->columns[k], rows, reader, wide);
    mem_free(wide);
    if (ok)
        batch->rows += rows;
    return ok;
}

uint32_t batch_serialized_columns(const uint8_t *bytes, size_t len)
{
    uint32_t columns_count = 0;
    if (len >= 9)
        memcpy(&columns_count, bytes + 4, 4);
    return columns_count;
}

bool batch_deserialize(struct batch *batch, const uint8_t *bytes, size_t len, size_t *used, struct error *err)
{
    struct byte_reader reader = {bytes, bytes + len};
    if (!read_batch(batch, &reader))
        return error_set(err, ERRCODE_DATA_CORRUPTED, "stored rows are damaged or of other types");
    *used = (size_t)(reader.at - bytes);
    return true;
}
