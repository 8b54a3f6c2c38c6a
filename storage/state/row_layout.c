/* row_layout.c: see row_layout.h. Loops are typed by physical layout; only types whose equal values may
 * differ in bytes are compared by type_compare. */
#include "storage/state/row_layout.h"
#include "storage/state/memory_governor.h"
#include "storage/state/slot_pages.h"

#include "storage/data/hash.h"

#include <math.h>

/* ---- shape ---- */

static uint32_t phys_alignment(enum phys phys)
{
    /* a varlen and a FIX16 are handled through memcpy; 8 keeps them within one cache line more often */
    static const uint8_t alignment[] = {1, 2, 4, 8, 4, 8, 8, 8};
    return alignment[phys];
}

/* Whether values that are equal may have different bytes. */
static bool type_is_loose(uint32_t oid, enum phys phys)
{
    if (phys == PHYS_FIX16)
        return oid == OID_INTERVAL;
    if (phys != PHYS_VAR)
        return false;
    const struct type_row *type = type_find(oid);
    return oid == OID_BPCHAR || oid == OID_NUMERIC || oid == OID_JSONB || oid == OID_RECORD ||
           type->element_oid != 0;
}

void row_layout_init(struct row_layout *layout, const struct sql_type *types, uint32_t columns_count)
{
    *layout = (struct row_layout){.columns_count = columns_count};
    layout->types = mem_alloc(sizeof(*types) * columns_count);
    layout->offsets = mem_zalloc(sizeof(*layout->offsets) * columns_count);
    layout->phys = mem_alloc(columns_count);
    layout->loose = mem_alloc(sizeof(bool) * columns_count);
    for (uint32_t c = 0; c < columns_count; c++) {
        layout->types[c] = types[c];
        layout->phys[c] = (uint8_t)type_phys(types[c].oid);
        layout->loose[c] = type_is_loose(types[c].oid, layout->phys[c]);
        layout->has_varlen = layout->has_varlen || layout->phys[c] == PHYS_VAR;
    }
    /* Always the most aligned field that fits here without a gap; a gap only when none does. */
    uint32_t offset = ROW_HEADER_BYTES + (columns_count + 7) / 8;
    for (uint32_t placed = 0; placed < columns_count;) {
        uint32_t best = columns_count, best_alignment = 0, least = 8;
        for (uint32_t c = 0; c < columns_count; c++) {
            uint32_t alignment = phys_alignment(layout->phys[c]);
            if (layout->offsets[c] != 0)
                continue;
            if (alignment < least)
                least = alignment;
            if (offset % alignment == 0 && alignment > best_alignment) {
                best = c;
                best_alignment = alignment;
            }
        }
        if (best == columns_count) {
            offset = (offset + least - 1) & ~(least - 1);
            continue;
        }
        layout->offsets[best] = (uint16_t)offset;
        offset += phys_bytes(layout->phys[best]);
        CHECK(offset <= UINT16_MAX);
        placed++;
    }
    layout->row_bytes = (offset + 7) & ~7u;
}

void row_layout_release(struct row_layout *layout)
{
    mem_free(layout->types);
    mem_free(layout->offsets);
    mem_free(layout->phys);
    mem_free(layout->loose);
    *layout = (struct row_layout){0};
}

/* ---- writing ---- */

static inline const uint8_t *column_value(const struct column *column, uint32_t bytes, uint32_t row)
{
    return (const uint8_t *)column->data + (size_t)(column->is_constant ? 0 : row) * bytes;
}

void row_layout_store(const struct row_layout *layout, uint8_t *row, const struct batch *batch,
                      uint32_t batch_row, const uint32_t *columns_map, struct table_heap *heap)
{
    memset(row + ROW_HEADER_BYTES, 0, (layout->columns_count + 7) / 8);
    for (uint32_t c = 0; c < layout->columns_count; c++) {
        const struct column *column = &batch->columns[columns_map != NULL ? columns_map[c] : c];
        enum phys phys = layout->phys[c];
        uint32_t bytes = phys_bytes(phys);
        uint8_t *field = row + layout->offsets[c];
        if (column_is_null(column, batch_row)) {
            row[ROW_HEADER_BYTES + c / 8] |= (uint8_t)(1u << (c % 8));
            memset(field, 0, bytes);
            continue;
        }
        const uint8_t *value = column_value(column, bytes, batch_row);
        switch (phys) {
        case PHYS_BOOL:
            *field = *value;
            break;
        case PHYS_I16:
            memcpy(field, value, 2);
            break;
        case PHYS_I32:
        case PHYS_F32:
            memcpy(field, value, 4);
            break;
        case PHYS_I64:
        case PHYS_F64:
            memcpy(field, value, 8);
            break;
        case PHYS_FIX16:
            memcpy(field, value, 16);
            break;
        case PHYS_VAR: {
            struct varlen var;
            memcpy(&var, value, sizeof(var));
            if (var.len > VARLEN_INLINE_MAX)
                var = table_heap_store(heap, &var);
            memcpy(field, &var, sizeof(var));
            break;
        }
        }
    }
}

#define STORE_LOOP(type)                                                                                     \
    do {                                                                                                     \
        const type *values = column->data;                                                                   \
        for (uint32_t i = 0; i < count; i++)                                                                 \
            memcpy(rows[i] + offset, &values[source[i] * step], sizeof(type));                               \
    } while (0)

struct sixteen_bytes {
    uint32_t words[4];
};

static void store_text(uint8_t *const *rows, uint32_t offset, const struct varlen *values, uint32_t step,
                       const uint32_t *source, uint32_t count, struct table_heap *heap)
{
    for (uint32_t i = 0; i < count; i++) {
        struct varlen var = values[source[i] * step];
        if (var.len > VARLEN_INLINE_MAX)
            var = table_heap_store(heap, &var);
        memcpy(rows[i] + offset, &var, sizeof(var));
    }
}

void row_layout_store_many(const struct row_layout *layout, uint8_t *const *rows, const struct batch *batch,
                           const uint32_t *source, uint32_t count, struct table_heap *heap)
{
    uint32_t null_bytes = (layout->columns_count + 7) / 8;
    for (uint32_t i = 0; null_bytes == 1 && i < count; i++)
        rows[i][ROW_HEADER_BYTES] = 0;
    for (uint32_t i = 0; null_bytes > 1 && i < count; i++)
        memset(rows[i] + ROW_HEADER_BYTES, 0, null_bytes);
    for (uint32_t c = 0; c < layout->columns_count; c++) {
        const struct column *column = &batch->columns[c];
        uint32_t offset = layout->offsets[c], step = column->is_constant ? 0 : 1;
        switch (phys_bytes(layout->phys[c])) { /* rows that are NULL hold zero bytes */
        case 1:
            STORE_LOOP(uint8_t);
            break;
        case 2:
            STORE_LOOP(uint16_t);
            break;
        case 4:
            STORE_LOOP(uint32_t);
            break;
        case 8:
            STORE_LOOP(uint64_t);
            break;
        default:
            if (layout->phys[c] == PHYS_VAR)
                store_text(rows, offset, column->data, step, source, count, heap);
            else
                STORE_LOOP(struct sixteen_bytes);
            break;
        }
        if (column->nulls == NULL)
            continue;
        uint32_t byte = ROW_HEADER_BYTES + c / 8, bit = c % 8;
        for (uint32_t i = 0; i < count; i++)
            rows[i][byte] |= (uint8_t)(column->nulls[source[i] * step] << bit);
    }
}

void row_layout_free_text(const struct row_layout *layout, const uint8_t *row, struct table_heap *heap)
{
    if (!layout->has_varlen)
        return;
    for (uint32_t c = 0; c < layout->columns_count; c++) {
        if (layout->phys[c] != PHYS_VAR)
            continue;
        struct varlen var;
        memcpy(&var, row + layout->offsets[c], sizeof(var));
        if (var.len > VARLEN_INLINE_MAX)
            table_heap_free(heap, &var);
    }
}

static void store_value(const struct row_layout *layout, uint8_t *row, uint32_t column,
                        const struct datum *value, struct table_heap *heap)
{
    uint8_t *field = row + layout->offsets[column];
    enum phys phys = layout->phys[column];
    if (value->is_null) {
        row[ROW_HEADER_BYTES + column / 8] |= (uint8_t)(1u << (column % 8));
        memset(field, 0, phys_bytes(phys));
    } else if (phys == PHYS_VAR && value->var.len > VARLEN_INLINE_MAX && heap != NULL) {
        struct varlen var = table_heap_store(heap, &value->var);
        memcpy(field, &var, sizeof(var));
    } else {
        memcpy(field, &value->fix16, phys_bytes(phys));
    }
}

void row_layout_convert(const struct row_layout *from, const uint8_t *row, const struct row_layout *to,
                        uint8_t *out, const struct datum *missing, struct table_heap *heap)
{
    slot_set_header(out, slot_header(row));
    memset(out + ROW_HEADER_BYTES, 0, (to->columns_count + 7) / 8);
    memcpy(out + ROW_HEADER_BYTES, row + ROW_HEADER_BYTES, (from->columns_count + 7) / 8);
    for (uint32_t c = 0; c < from->columns_count; c++)
        memcpy(out + to->offsets[c], row + from->offsets[c], phys_bytes(from->phys[c]));
    for (uint32_t c = from->columns_count; c < to->columns_count; c++)
        store_value(to, out, c, &missing[c - from->columns_count], heap);
}

/* ---- reading ---- */

struct datum row_layout_get(const struct row_layout *layout, const uint8_t *row, uint32_t column)
{
    struct datum value = {.is_null = row_layout_is_null(row, column)};
    if (!value.is_null)
        memcpy(&value.fix16, row + layout->offsets[column], phys_bytes(layout->phys[column]));
    return value;
}

static void copy_fields(const struct row_layout *layout, const uint8_t *const *rows, uint32_t count,
                        uint32_t column, uint8_t *out)
{
    uint32_t offset = layout->offsets[column];
    switch ((enum phys)layout->phys[column]) {
    case PHYS_BOOL:
        for (uint32_t i = 0; i < count; i++)
            out[i] = rows[i][offset];
        break;
    case PHYS_I16:
        for (uint32_t i = 0; i < count; i++)
            memcpy(out + (size_t)i * 2, rows[i] + offset, 2);
        break;
    case PHYS_I32:
    case PHYS_F32:
        for (uint32_t i = 0; i < count; i++)
            memcpy(out + (size_t)i * 4, rows[i] + offset, 4);
        break;
    case PHYS_I64:
    case PHYS_F64:
        for (uint32_t i = 0; i < count; i++)
            memcpy(out + (size_t)i * 8, rows[i] + offset, 8);
        break;
    case PHYS_FIX16:
    case PHYS_VAR:
        for (uint32_t i = 0; i < count; i++)
            memcpy(out + (size_t)i * 16, rows[i] + offset, 16);
        break;
    }
}

static void copy_text_of(struct varlen *values, uint32_t count, struct arena *arena)
{
    for (uint32_t i = 0; i < count; i++) {
        if (values[i].len > VARLEN_INLINE_MAX)
            values[i] = varlen_copy(arena, varlen_bytes(&values[i]), values[i].len);
    }
}

static bool any_null(const uint8_t *const *rows, uint32_t count, uint32_t column)
{
    uint32_t byte = ROW_HEADER_BYTES + column / 8, bit = column % 8;
    for (uint32_t i = 0; i < count; i++) {
        if (rows[i][byte] >> bit & 1)
            return true;
    }
    return false;
}

void row_layout_gather(const struct row_layout *layout, const uint8_t *const *rows, uint32_t count,
                       uint32_t column, bool copy_text, struct column *out, struct arena *arena)
{
    enum phys phys = layout->phys[column];
    *out = (struct column){.type = layout->types[column], .phys = phys};
    out->data = arena_alloc(arena, (size_t)count * phys_bytes(phys));
    copy_fields(layout, rows, count, column, out->data);
    if (copy_text && phys == PHYS_VAR)
        copy_text_of(out->data, count, arena);
    if (any_null(rows, count, column)) {
        out->nulls = arena_alloc(arena, count);
        for (uint32_t i = 0; i < count; i++)
            out->nulls[i] = row_layout_is_null(rows[i], column);
    }
}

#define GATHER_ROWS 128u /* that stay in the first-level cache while their fields are taken out */

void row_layout_gather_fields(const struct row_layout *layout, const uint8_t *const *rows, uint32_t count,
                              const uint32_t *fields, uint32_t fields_count, const bool *may_be_null,
                              struct column *out, struct arena *arena)
{
    for (uint32_t f = 0; f < fields_count; f++) {
        uint32_t field = fields != NULL ? fields[f] : f;
        enum phys phys = layout->phys[field];
        out[f] = (struct column){.type = layout->types[field], .phys = phys};
        out[f].data = arena_alloc(arena, (size_t)count * phys_bytes(phys));
        if (may_be_null[field])
            out[f].nulls = arena_alloc(arena, count);
    }
    for (uint32_t first = 0; first < count; first += GATHER_ROWS) {
        memory_pace();
        uint32_t piece = count - first < GATHER_ROWS ? count - first : GATHER_ROWS;
        for (uint32_t i = first; i < first + piece; i++) {
            for (uint32_t line = 0; line < layout->row_bytes; line += 64)
                __builtin_prefetch(rows[i] + line);
        }
        for (uint32_t f = 0; f < fields_count; f++) {
            uint32_t field = fields != NULL ? fields[f] : f;
            copy_fields(layout, rows + first, piece, field,
                        (uint8_t *)out[f].data + (size_t)first * phys_bytes(out[f].phys));
            for (uint32_t i = first; out[f].nulls != NULL && i < first + piece; i++)
                out[f].nulls[i] = row_layout_is_null(rows[i], field);
        }
    }
    for (uint32_t f = 0; f < fields_count; f++) {
        if (out[f].nulls != NULL && memchr(out[f].nulls, 1, count) == NULL)
            out[f].nulls = NULL;
    }
}

void row_layout_append(const struct row_layout *layout, const uint8_t *const *rows, const int64_t *counts,
                       uint32_t count, struct batch *out)
{
    CHECK(out->columns_count <= layout->columns_count);
    if (count == 0)
        return;
    batch_reserve(out, count);
    uint32_t at = out->rows;
    for (uint32_t c = 0; c < out->columns_count; c++) {
        struct column *column = &out->columns[c];
        uint8_t *data = (uint8_t *)column->data + (size_t)at * phys_bytes(layout->phys[c]);
        copy_fields(layout, rows, count, c, data);
        if (layout->phys[c] == PHYS_VAR)
            copy_text_of((struct varlen *)(void *)data, count, out->arena);
        if (column->nulls == NULL && !any_null(rows, count, c))
            continue;
        uint8_t *nulls = column_need_nulls(column, out->capacity, out->arena);
        for (uint32_t i = 0; i < count; i++)
            nulls[at + i] = row_layout_is_null(rows[i], c);
    }
    bool weighted = out->weights != NULL;
    for (uint32_t i = 0; counts != NULL && i < count && !weighted; i++)
        weighted = counts[i] != 1;
    if (weighted) {
        if (out->weights == NULL) {
            out->weights = arena_alloc(out->arena, sizeof(int64_t) * out->capacity);
            for (uint32_t i = 0; i < at; i++)
                out->weights[i] = 1;
        }
        for (uint32_t i = 0; i < count; i++)
            out->weights[at + i] = counts != NULL ? counts[i] : 1;
    }
    out->rows += count;
}

/* ---- comparing ---- */

static bool loosely_equal(const struct sql_type *type, enum phys phys, const uint8_t *a, const uint8_t *b)
{
    struct datum left = {0}, right = {0};
    memcpy(&left.fix16, a, phys_bytes(phys));
    memcpy(&right.fix16, b, phys_bytes(phys));
    if (phys == PHYS_VAR ? varlen_identical(&left.var, &right.var) : memcmp(left.fix16, right.fix16, 16) == 0)
        return true;
    return type_compare(type->oid, &left, &right) == 0;
}

static inline bool field_equal(const struct row_layout *layout, uint32_t field, const uint8_t *a,
                               const uint8_t *b)
{
    switch ((enum phys)layout->phys[field]) {
    case PHYS_BOOL:
        return *a == *b;
    case PHYS_I16:
        return memcmp(a, b, 2) == 0;
    case PHYS_I32:
        return memcmp(a, b, 4) == 0;
    case PHYS_I64:
        return memcmp(a, b, 8) == 0;
    case PHYS_F32: {
        float x, y;
        memcpy(&x, a, sizeof(x));
        memcpy(&y, b, sizeof(y));
        return x == y || (isnan(x) && isnan(y));
    }
    case PHYS_F64: {
        double x, y;
        memcpy(&x, a, sizeof(x));
        memcpy(&y, b, sizeof(y));
        return x == y || (isnan(x) && isnan(y));
    }
    case PHYS_FIX16:
        if (layout->loose[field])
            return loosely_equal(&layout->types[field], PHYS_FIX16, a, b);
        return memcmp(a, b, 16) == 0;
    case PHYS_VAR:
        break;
    }
    if (layout->loose[field])
        return loosely_equal(&layout->types[field], PHYS_VAR, a, b);
    struct varlen x, y;
    memcpy(&x, a, sizeof(x));
    memcpy(&y, b, sizeof(y));
    return varlen_identical(&x, &y);
}

bool row_layout_fields_equal(const struct row_layout *layout, const uint8_t *row, const uint32_t *fields,
                             const struct batch *batch, uint32_t batch_row, const uint32_t *columns_map,
                             uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        uint32_t field = fields != NULL ? fields[i] : i;
        const struct column *column = &batch->columns[columns_map != NULL ? columns_map[i] : i];
        bool is_null = row_layout_is_null(row, field);
        if (is_null != column_is_null(column, batch_row))
            return false;
        if (is_null)
            continue;
        const uint8_t *value = column_value(column, phys_bytes(layout->phys[field]), batch_row);
        if (!field_equal(layout, field, row + layout->offsets[field], value))
            return false;
    }
    return true;
}

bool row_layout_equal(const struct row_layout *layout, const uint8_t *row, const struct batch *batch,
                      uint32_t batch_row, const uint32_t *columns_map, uint32_t count)
{
    return row_layout_fields_equal(layout, row, NULL, batch, batch_row, columns_map, count);
}

bool row_layout_identical(const struct row_layout *layout, const uint8_t *row, const struct batch *batch,
                          uint32_t batch_row, const uint32_t *columns_map)
{
    for (uint32_t c = 0; c < layout->columns_count; c++) {
        const struct column *column = &batch->columns[columns_map != NULL ? columns_map[c] : c];
        bool is_null = row_layout_is_null(row, c);
        if (is_null != column_is_null(column, batch_row))
            return false;
        if (is_null)
            continue;
        uint32_t bytes = phys_bytes(layout->phys[c]);
        const uint8_t *field = row + layout->offsets[c], *value = column_value(column, bytes, batch_row);
        if (layout->phys[c] == PHYS_VAR) {
            struct varlen x, y;
            memcpy(&x, field, sizeof(x));
            memcpy(&y, value, sizeof(y));
            if (!varlen_identical(&x, &y))
                return false;
        } else if (memcmp(field, value, bytes) != 0) {
            return false;
        }
    }
    return true;
}

/* ---- hashing ---- */

static inline uint64_t hash_field(enum phys phys, bool is_null, const uint8_t *value)
{
    if (is_null)
        return HASH_OF_NULL;
    if (phys == PHYS_VAR) {
        struct varlen var;
        memcpy(&var, value, sizeof(var));
        return hash_bytes(varlen_bytes(&var), var.len);
    }
    uint64_t words[2] = {0};
    memcpy(words, value, phys_bytes(phys));
    return phys == PHYS_FIX16 ? hash_combine(hash_u64(words[0]), words[1]) : hash_u64(words[0]);
}

uint64_t row_layout_hash(const struct row_layout *layout, const uint8_t *row)
{
    uint64_t hash = HASH_OF_NOTHING;
    for (uint32_t c = 0; c < layout->columns_count; c++)
        hash = hash_combine(
            hash, hash_field(layout->phys[c], row_layout_is_null(row, c), row + layout->offsets[c]));
    return hash;
}

uint64_t row_layout_hash_of(const struct row_layout *layout, const struct batch *batch, uint32_t batch_row,
                            const uint32_t *columns_map)
{
    uint64_t hash = HASH_OF_NOTHING;
    for (uint32_t c = 0; c < layout->columns_count; c++) {
        const struct column *column = &batch->columns[columns_map != NULL ? columns_map[c] : c];
        enum phys phys = layout->phys[c];
        hash = hash_combine(hash, hash_field(phys, column_is_null(column, batch_row),
                                             column_value(column, phys_bytes(phys), batch_row)));
    }
    return hash;
}
