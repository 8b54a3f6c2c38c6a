/* batch.c: making, growing and copying batches.
 *
 * All loops run down one column with the layout chosen outside: rows are never taken apart value by value.
 * Text longer than its inline form is copied in one piece per column and call. */
#include "storage/data/batch.h"

#define BATCH_ROWS_LEAST 8

/* ---- single columns ---- */

static inline uint32_t element_row(const struct column *column, uint32_t row)
{
    return column->is_constant ? 0 : row;
}

struct datum column_get(const struct column *column, uint32_t row)
{
    struct datum value;
    memset(&value, 0, sizeof(value));
    if (column_is_null(column, row)) {
        value.is_null = true;
        return value;
    }
    row = element_row(column, row);
    switch (column->phys) {
    case PHYS_BOOL:
        value.boolean = ((const uint8_t *)column->data)[row] != 0;
        break;
    case PHYS_I16:
        value.i16 = ((const int16_t *)column->data)[row];
        break;
    case PHYS_I32:
        value.i32 = ((const int32_t *)column->data)[row];
        break;
    case PHYS_I64:
        value.i64 = ((const int64_t *)column->data)[row];
        break;
    case PHYS_F32:
        value.f32 = ((const float *)column->data)[row];
        break;
    case PHYS_F64:
        value.f64 = ((const double *)column->data)[row];
        break;
    case PHYS_FIX16:
        memcpy(value.fix16, (const uint8_t *)column->data + (size_t)row * 16, 16);
        break;
    case PHYS_VAR:
        value.var = ((const struct varlen *)column->data)[row];
        break;
    }
    return value;
}

/* Stores a value that is not NULL. */
static void column_put(struct column *column, uint32_t row, const struct datum *value)
{
    switch (column->phys) {
    case PHYS_BOOL:
        ((uint8_t *)column->data)[row] = value->boolean;
        break;
    case PHYS_I16:
        ((int16_t *)column->data)[row] = value->i16;
        break;
    case PHYS_I32:
        ((int32_t *)column->data)[row] = value->i32;
        break;
    case PHYS_I64:
        ((int64_t *)column->data)[row] = value->i64;
        break;
    case PHYS_F32:
        ((float *)column->data)[row] = value->f32;
        break;
    case PHYS_F64:
        ((double *)column->data)[row] = value->f64;
        break;
    case PHYS_FIX16:
        memcpy((uint8_t *)column->data + (size_t)row * 16, value->fix16, 16);
        break;
    case PHYS_VAR:
        ((struct varlen *)column->data)[row] = value->var;
        break;
    }
}

static void column_zero(struct column *column, uint32_t first, uint32_t count)
{
    uint32_t bytes = phys_bytes(column->phys);
    memset((uint8_t *)column->data + (size_t)first * bytes, 0, (size_t)count * bytes);
}

void column_init(struct column *column, struct sql_type type, uint32_t rows, struct arena *arena)
{
    *column = (struct column){.type = type, .phys = type_phys(type.oid)};
    column->data = arena_zalloc(arena, (size_t)rows * phys_bytes(column->phys));
}

uint8_t *column_need_nulls(struct column *column, uint32_t rows, struct arena *arena)
{
    if (column->nulls == NULL)
        column->nulls = arena_zalloc(arena, rows);
    return column->nulls;
}

void column_set_null(struct column *column, uint32_t row, uint32_t rows, struct arena *arena)
{
    column_need_nulls(column, rows, arena)[row] = 1;
    column_zero(column, row, 1);
}

void column_set(struct column *column, uint32_t row, const struct datum *value, uint32_t rows,
                struct arena *arena)
{
    if (value->is_null) {
        column_set_null(column, row, rows, arena);
        return;
    }
    if (column->nulls != NULL)
        column->nulls[row] = 0;
    column_put(column, row, value);
}

void column_init_constant(struct column *column, struct sql_type type, const struct datum *value,
                          struct arena *arena)
{
    column_init(column, type, 1, arena);
    column->is_constant = true;
    column_set(column, 0, value, 1, arena);
}

/* Writes element 0 of `from` to rows [at, at + count) of `to`. */
static void fill_constant(struct column *to, uint32_t at, uint32_t count, const struct column *from)
{
    uint32_t bytes = phys_bytes(to->phys);
    uint8_t *start = (uint8_t *)to->data + (size_t)at * bytes;
    size_t total = (size_t)count * bytes, done = bytes;
    if (count == 0)
        return;
    memcpy(start, from->data, bytes);
    for (; done * 2 <= total; done *= 2)
        memcpy(start + done, start, done);
    memcpy(start + done, start, total - done);
}

void column_expand(struct column *column, uint32_t rows, struct arena *arena)
{
    if (!column->is_constant)
        return;
    struct column from = *column;
    column->is_constant = false;
    column->data = arena_alloc(arena, (size_t)rows * phys_bytes(column->phys));
    fill_constant(column, 0, rows, &from);
    column->nulls = NULL;
    if (from.nulls != NULL && from.nulls[0])
        memset(column_need_nulls(column, rows, arena), 1, rows);
}

/* ---- gathering ---- */

#define GATHER(type)                                                                                         \
    do {                                                                                                     \
        type *restrict to_ = (type *)to;                                                                     \
        const type *restrict from_ = from;                                                                   \
        for (uint32_t i = 0; i < count; i++)                                                                 \
            to_[i] = from_[rows[i]];                                                                         \
    } while (0)

struct sixteen_bytes {
    uint32_t words[4]; /* aligned like struct varlen */
};

static void gather_values(void *to, const void *from, enum phys phys, const uint32_t *rows, uint32_t count)
{
    switch (phys_bytes(phys)) {
    case 1:
        GATHER(uint8_t);
        break;
    case 2:
        GATHER(uint16_t);
        break;
    case 4:
        GATHER(uint32_t);
        break;
    case 8:
        GATHER(uint64_t);
        break;
    default:
        GATHER(struct sixteen_bytes);
        break;
    }
}

void column_gather(struct column *out, const struct column *from, const uint32_t *rows, uint32_t count,
                   struct arena *arena)
{
    *out = (struct column){.type = from->type, .phys = from->phys};
    out->data = arena_alloc(arena, (size_t)count * phys_bytes(from->phys));
    if (from->is_constant) {
        fill_constant(out, 0, count, from);
        if (from->nulls != NULL && from->nulls[0])
            memset(column_need_nulls(out, count, arena), 1, count);
        return;
    }
    gather_values(out->data, from->data, from->phys, rows, count);
    if (from->nulls == NULL)
        return;
    uint8_t *nulls = arena_alloc(arena, count), any = 0;
    for (uint32_t i = 0; i < count; i++)
        any |= nulls[i] = from->nulls[rows[i]];
    if (any)
        out->nulls = nulls;
}

/* ---- batches ---- */

struct batch *batch_header(struct arena *arena, uint32_t columns_count)
{
    struct batch *batch = ARENA_NEW(arena, struct batch);
    batch->columns = ARENA_ARRAY(arena, struct column, columns_count);
    batch->columns_count = columns_count;
    return batch;
}

struct batch *batch_create(struct arena *arena, const struct sql_type *types, uint32_t columns_count,
                           uint32_t capacity)
{
    struct batch *batch = batch_header(arena, columns_count);
    batch->arena = arena;
    batch->capacity = capacity;
    for (uint32_t i = 0; i < columns_count; i++) {
        struct column *column = &batch->columns[i];
        column->type = types[i];
        column->phys = type_phys(types[i].oid);
        column->data = arena_alloc(arena, (size_t)capacity * phys_bytes(column->phys));
    }
    return batch;
}

void batch_clear(struct batch *batch)
{
    batch->rows = 0;
    if (batch->weights != NULL)
        batch->spare_weights = batch->weights;
    batch->weights = NULL;
    for (uint32_t i = 0; i < batch->columns_count; i++) {
        struct column *column = &batch->columns[i];
        if (column->nulls != NULL)
            memset(column->nulls, 0, batch->capacity);
    }
}

void batch_reserve(struct batch *batch, uint32_t more)
{
    CHECK(batch->arena != NULL);
    uint64_t need = (uint64_t)batch->rows + more;
    if (need <= batch->capacity)
        return;
    uint64_t capacity = batch->capacity < BATCH_ROWS_LEAST ? BATCH_ROWS_LEAST : batch->capacity;
    while (capacity < need)
        capacity *= 2;
    CHECK(capacity <= UINT32_MAX);
    for (uint32_t i = 0; i < batch->columns_count; i++) {
        struct column *column = &batch->columns[i];
        uint32_t bytes = phys_bytes(column->phys);
        column->data =
            arena_grow(batch->arena, column->data, (size_t)batch->rows * bytes, (size_t)capacity * bytes);
        if (column->nulls != NULL) {
            column->nulls = arena_grow(batch->arena, column->nulls, batch->rows, capacity);
            memset(column->nulls + batch->rows, 0, capacity - batch->rows);
        }
    }
    if (batch->weights != NULL)
        batch->weights =
            arena_grow(batch->arena, batch->weights, (size_t)batch->rows * 8, (size_t)capacity * 8);
    batch->spare_weights = NULL; /* too small now */
    batch->capacity = (uint32_t)capacity;
}

void batch_need_weights(struct batch *batch)
{
    if (batch->weights != NULL)
        return;
    if (batch->spare_weights == NULL)
        batch->spare_weights = arena_alloc(batch->arena, (size_t)batch->capacity * sizeof(int64_t));
    batch->weights = batch->spare_weights;
    for (uint32_t i = 0; i < batch->rows; i++)
        batch->weights[i] = 1;
}

void batch_append_datums(struct batch *batch, const struct datum *values, int64_t weight)
{
    batch_reserve(batch, 1);
    uint32_t row = batch->rows;
    for (uint32_t i = 0; i < batch->columns_count; i++) {
        struct column *column = &batch->columns[i];
        struct datum value = datum_copy(batch->arena, column->phys, &values[i]);
        column_set(column, row, &value, batch->capacity, batch->arena);
    }
    if (weight != 1)
        batch_need_weights(batch);
    if (batch->weights != NULL)
        batch->weights[row] = weight;
    batch->rows++;
}

/* Gives the long texts among values[0..count) memory of the arena, all in one piece. */
static void own_text(struct varlen *values, uint32_t count, struct arena *arena)
{
    size_t total = 0;
    for (uint32_t i = 0; i < count; i++)
        total += values[i].len > VARLEN_INLINE_MAX ? values[i].len : 0;
    if (total == 0)
        return;
    uint8_t *to = arena_alloc(arena, total);
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].len <= VARLEN_INLINE_MAX)
            continue;
        memcpy(to, varlen_bytes(&values[i]), values[i].len);
        memcpy(values[i].pointer_bytes, &to, sizeof(to));
        to += values[i].len;
    }
}

/* rows NULL: the range [first, first + count). Room was made. */
static void append_column(struct batch *batch, struct column *to, const struct column *from,
                          const uint32_t *rows, uint32_t first, uint32_t count)
{
    CHECK(to->phys == from->phys);
    uint32_t at = batch->rows, bytes = phys_bytes(to->phys);
    uint8_t *start = (uint8_t *)to->data + (size_t)at * bytes;
    if (from->is_constant) {
        if (to->phys == PHYS_VAR) { /* one copy of the text for all rows */
            struct column own = *from;
            struct varlen value = *(const struct varlen *)from->data;
            own_text(&value, 1, batch->arena);
            own.data = &value;
            fill_constant(to, at, count, &own);
        } else {
            fill_constant(to, at, count, from);
        }
        if (from->nulls != NULL && from->nulls[0])
            memset(column_need_nulls(to, batch->capacity, batch->arena) + at, 1, count);
        else if (to->nulls != NULL)
            memset(to->nulls + at, 0, count);
        return;
    }
    if (rows != NULL)
        gather_values(start, from->data, to->phys, rows, count);
    else
        memcpy(start, (const uint8_t *)from->data + (size_t)first * bytes, (size_t)count * bytes);
    if (to->phys == PHYS_VAR)
        own_text((struct varlen *)to->data + at, count, batch->arena);
    if (from->nulls != NULL) {
        uint8_t *nulls = column_need_nulls(to, batch->capacity, batch->arena) + at;
        if (rows != NULL)
            gather_values(nulls, from->nulls, PHYS_BOOL, rows, count);
        else
            memcpy(nulls, from->nulls + first, count);
    } else if (to->nulls != NULL) {
        memset(to->nulls + at, 0, count);
    }
}

static void append_weights(struct batch *batch, const struct batch *from, const uint32_t *rows,
                           uint32_t first, uint32_t count, int64_t factor)
{
    if (from->weights == NULL && factor == 1 && batch->weights == NULL)
        return;
    batch_need_weights(batch);
    int64_t *to = batch->weights + batch->rows;
    if (from->weights == NULL) {
        for (uint32_t i = 0; i < count; i++)
            to[i] = factor;
    } else if (rows != NULL) {
        for (uint32_t i = 0; i < count; i++)
            to[i] = from->weights[rows[i]] * factor;
    } else {
        for (uint32_t i = 0; i < count; i++)
            to[i] = from->weights[first + i] * factor;
    }
}

static void append_any(struct batch *batch, const struct batch *from, const uint32_t *columns_map,
                       const uint32_t *rows, uint32_t first, uint32_t count, int64_t factor)
{
    if (count == 0)
        return;
    batch_reserve(batch, count);
    CHECK(columns_map != NULL || batch->columns_count <= from->columns_count);
    for (uint32_t i = 0; i < batch->columns_count; i++)
        append_column(batch, &batch->columns[i], &from->columns[columns_map != NULL ? columns_map[i] : i],
                      rows, first, count);
    append_weights(batch, from, rows, first, count, factor);
    batch->rows += count;
}

void batch_append_range(struct batch *batch, const struct batch *from, uint32_t first, uint32_t count,
                        int64_t factor)
{
    append_any(batch, from, NULL, NULL, first, count, factor);
}

void batch_append_rows(struct batch *batch, const struct batch *from, const uint32_t *rows, uint32_t count,
                       int64_t factor)
{
    append_any(batch, from, NULL, rows, 0, count, factor);
}

void batch_append_mapped(struct batch *batch, const struct batch *from, const uint32_t *columns_map,
                         uint32_t first, uint32_t count, int64_t factor)
{
    append_any(batch, from, columns_map, NULL, first, count, factor);
}

struct batch *batch_slice(struct arena *arena, const struct batch *from, uint32_t first, uint32_t count)
{
    CHECK((uint64_t)first + count <= from->rows);
    struct batch *slice = batch_header(arena, from->columns_count);
    slice->rows = count;
    slice->weights = from->weights != NULL ? from->weights + first : NULL;
    slice->watermarks = from->watermarks != NULL ? from->watermarks + first : NULL;
    slice->positions = from->positions != NULL ? from->positions + first : NULL;
    for (uint32_t i = 0; i < from->columns_count; i++) {
        struct column *column = &slice->columns[i];
        *column = from->columns[i];
        if (column->is_constant)
            continue;
        if (column->data != NULL)
            column->data = (uint8_t *)column->data + (size_t)first * phys_bytes(column->phys);
        if (column->nulls != NULL)
            column->nulls += first;
    }
    return slice;
}
