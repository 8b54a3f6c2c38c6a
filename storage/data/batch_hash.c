/* batch_hash.c: hashes, equality and consolidation of rows.
 *
 * Hashing goes down one column at a time, the layout chosen once per column. Two kinds of hash: batch_hash is
 * by value (it decides groups and shards), the one inside batch_consolidate is by bytes (1.0 and 1.00 are
 * different rows). */
#include "storage/data/batch.h"
#include "storage/data/key_encode.h"
#include "storage/data/text_check.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#define CHUNK_ROWS 512u

/* ---- by value ---- */

enum var_class { VAR_BYTES, VAR_BLANK_PADDED, VAR_OTHER };

/* How the values of a variable-length type are equal. */
static enum var_class var_class(uint32_t oid)
{
    const struct type_row *row = type_find(oid);
    if (oid == OID_BPCHAR)
        return VAR_BLANK_PADDED;
    return oid == OID_NUMERIC || oid == OID_JSONB || oid == OID_RECORD || row->element_oid != 0 ? VAR_OTHER
                                                                                                : VAR_BYTES;
}

static inline uint64_t varlen_hash(const struct varlen *value)
{
    return XXH3_64bits(varlen_bytes(value), value->len);
}

static void hash_var(uint32_t oid, const struct varlen *values, const uint8_t *nulls, uint32_t count,
                     uint64_t *out)
{
    switch (var_class(oid)) {
    case VAR_BYTES:
        for (uint32_t i = 0; i < count; i++)
            out[i] = varlen_hash(&values[i]);
        break;
    case VAR_BLANK_PADDED:
        for (uint32_t i = 0; i < count; i++) {
            const uint8_t *bytes = varlen_bytes(&values[i]);
            out[i] = XXH3_64bits(bytes, text_trimmed_len((const char *)bytes, values[i].len));
        }
        break;
    case VAR_OTHER:
        for (uint32_t i = 0; i < count; i++) {
            struct datum value = {.is_null = nulls != NULL && nulls[i], .var = values[i]};
            out[i] = type_hash(oid, &value);
        }
        break;
    }
}

#define HASH_LOOP(type, expression)                                                                          \
    do {                                                                                                     \
        const type *values = (const type *)column->data + first;                                             \
        for (uint32_t i = 0; i < count; i++)                                                                 \
            out[i] = (expression);                                                                           \
    } while (0)

/* type_hash of rows [first, first + count). */
static void hash_column(const struct column *column, uint32_t first, uint32_t count, uint64_t *out)
{
    const uint8_t *nulls = column->nulls != NULL ? column->nulls + first : NULL;
    switch (column->phys) {
    case PHYS_BOOL:
        HASH_LOOP(uint8_t, hash_u64(values[i]));
        break;
    case PHYS_I16:
        HASH_LOOP(int16_t, hash_u64((uint64_t)(int64_t)values[i]));
        break;
    case PHYS_I32:
        HASH_LOOP(int32_t, hash_u64((uint64_t)(int64_t)values[i]));
        break;
    case PHYS_I64:
        HASH_LOOP(int64_t, hash_u64((uint64_t)values[i]));
        break;
    case PHYS_F32:
        HASH_LOOP(float, hash_u64(float_bits((double)values[i])));
        break;
    case PHYS_F64:
        HASH_LOOP(double, hash_u64(float_bits(values[i])));
        break;
    case PHYS_FIX16:
        if (column->type.oid == OID_INTERVAL)
            HASH_LOOP(struct interval, interval_hash(&values[i]));
        else
            HASH_LOOP(struct interval, XXH3_64bits(&values[i], 16));
        break;
    case PHYS_VAR:
        hash_var(column->type.oid, (const struct varlen *)column->data + first, nulls, count, out);
        break;
    }
    if (nulls != NULL) {
        for (uint32_t i = 0; i < count; i++)
            out[i] = nulls[i] ? HASH_OF_NULL : out[i];
    }
}

void batch_hash(const struct batch *batch, const uint32_t *columns, uint32_t columns_count, uint64_t *hashes)
{
    if (columns_count == 0) {
        for (uint32_t i = 0; i < batch->rows; i++)
            hashes[i] = HASH_OF_NOTHING;
        return;
    }
    uint64_t part[CHUNK_ROWS];
    for (uint32_t k = 0; k < columns_count; k++) {
        const struct column *column = &batch->columns[columns[k]];
        if (column->is_constant) {
            struct datum value = column_get(column, 0);
            uint64_t hash = type_hash(column->type.oid, &value);
            for (uint32_t i = 0; i < batch->rows; i++)
                hashes[i] = k == 0 ? hash : hash_combine(hashes[i], hash);
        } else if (k == 0) {
            hash_column(column, 0, batch->rows, hashes);
        } else {
            for (uint32_t first = 0; first < batch->rows; first += CHUNK_ROWS) {
                uint32_t count = batch->rows - first < CHUNK_ROWS ? batch->rows - first : CHUNK_ROWS;
                hash_column(column, first, count, part);
                for (uint32_t i = 0; i < count; i++)
                    hashes[first + i] = hash_combine(hashes[first + i], part[i]);
            }
        }
    }
}

/* ---- equality ---- */

static inline const void *element_at(const struct column *column, uint32_t row)
{
    return (const uint8_t *)column->data + (size_t)(column->is_constant ? 0 : row) * phys_bytes(column->phys);
}

static bool elements_equal(const struct column *a, uint32_t row_a, const struct column *b, uint32_t row_b)
{
    const void *x = element_at(a, row_a), *y = element_at(b, row_b);
    switch (a->phys) {
    case PHYS_BOOL:
        return *(const uint8_t *)x == *(const uint8_t *)y;
    case PHYS_I16:
        return *(const int16_t *)x == *(const int16_t *)y;
    case PHYS_I32:
        return *(const int32_t *)x == *(const int32_t *)y;
    case PHYS_I64:
        return *(const int64_t *)x == *(const int64_t *)y;
    case PHYS_F32:
        return float_bits((double)*(const float *)x) == float_bits((double)*(const float *)y);
    case PHYS_F64:
        return float_bits(*(const double *)x) == float_bits(*(const double *)y);
    case PHYS_FIX16:
        if (a->type.oid == OID_INTERVAL)
            return interval_span(x) == interval_span(y);
        return memcmp(x, y, 16) == 0;
    case PHYS_VAR:
        break;
    }
    if (varlen_identical(x, y))
        return true;
    if (var_class(a->type.oid) == VAR_BYTES)
        return false;
    struct datum left = {.var = *(const struct varlen *)x}, right = {.var = *(const struct varlen *)y};
    return value_equal(a->type.oid, &left, &right);
}

bool batch_rows_equal(const struct batch *a, uint32_t row_a, const uint32_t *columns_a, const struct batch *b,
                      uint32_t row_b, const uint32_t *columns_b, uint32_t columns_count)
{
    for (uint32_t k = 0; k < columns_count; k++) {
        const struct column *x = &a->columns[columns_a[k]], *y = &b->columns[columns_b[k]];
        bool x_null = column_is_null(x, row_a), y_null = column_is_null(y, row_b);
        if (x_null != y_null || (!x_null && !elements_equal(x, row_a, y, row_b)))
            return false;
    }
    return true;
}

bool batch_rows_identical(const struct batch *a, uint32_t row_a, const struct batch *b, uint32_t row_b)
{
    for (uint32_t k = 0; k < a->columns_count; k++) {
        const struct column *x = &a->columns[k], *y = &b->columns[k];
        bool x_null = column_is_null(x, row_a), y_null = column_is_null(y, row_b);
        if (x_null != y_null)
            return false;
        if (x_null)
            continue;
        const void *left = element_at(x, row_a), *right = element_at(y, row_b);
        if (x->phys == PHYS_VAR ? !varlen_identical(left, right)
                                : memcmp(left, right, phys_bytes(x->phys)) != 0)
            return false;
    }
    return true;
}

/* ---- consolidation ---- */

static void hash_identity_column(const struct column *column, uint32_t rows, bool is_first, uint64_t *hashes)
{
    for (uint32_t first = 0; first < rows; first += CHUNK_ROWS) {
        uint64_t out[CHUNK_ROWS];
        uint32_t count = rows - first < CHUNK_ROWS ? rows - first : CHUNK_ROWS;
        const uint8_t *nulls = column->nulls != NULL ? column->nulls + first : NULL;
        switch (phys_bytes(column->phys)) {
        case 1:
            HASH_LOOP(uint8_t, hash_u64(values[i]));
            break;
        case 2:
            HASH_LOOP(uint16_t, hash_u64(values[i]));
            break;
        case 4:
            HASH_LOOP(uint32_t, hash_u64(values[i]));
            break;
        case 8:
            HASH_LOOP(uint64_t, hash_u64(values[i]));
            break;
        default:
            if (column->phys == PHYS_VAR)
                HASH_LOOP(struct varlen, varlen_hash(&values[i]));
            else
                HASH_LOOP(struct varlen, XXH3_64bits(&values[i], 16));
            break;
        }
        for (uint32_t i = 0; nulls != NULL && i < count; i++)
            out[i] = nulls[i] ? HASH_OF_NULL : out[i];
        for (uint32_t i = 0; i < count; i++)
            hashes[first + i] = is_first ? out[i] : hash_combine(hashes[first + i], out[i]);
    }
}

struct row_groups {
    uint64_t *hashes;
    uint32_t *slots;      /* group + 1, 0 free */
    uint32_t *first_rows; /* of each group */
    int64_t *weights;     /* of each group */
    uint32_t count;
};

/* hash_decides: equal hashes mean equal rows. */
static void group_rows(const struct batch *batch, uint32_t mask, bool hash_decides, struct row_groups *groups)
{
    for (uint32_t row = 0; row < batch->rows; row++) {
        uint64_t hash = groups->hashes[row];
        uint32_t slot = (uint32_t)hash & mask;
        for (;; slot = (slot + 1) & mask) {
            uint32_t group = groups->slots[slot];
            if (group == 0) {
                groups->first_rows[groups->count] = row;
                groups->weights[groups->count] = batch_weight(batch, row);
                groups->slots[slot] = ++groups->count;
                break;
            }
            uint32_t other = groups->first_rows[group - 1];
            if (groups->hashes[other] == hash &&
                (hash_decides || batch_rows_identical(batch, row, batch, other))) {
                groups->weights[group - 1] =
                    (int64_t)((uint64_t)groups->weights[group - 1] + (uint64_t)batch_weight(batch, row));
                break;
            }
        }
    }
}

const struct batch *batch_consolidate(const struct batch *batch, struct arena *arena)
{
    uint32_t rows = batch->rows;
    if (rows == 0 || (rows == 1 && batch_weight(batch, 0) != 0))
        return batch;
    uint64_t slots_count = 16;
    while (slots_count < (uint64_t)rows * 2)
        slots_count *= 2;
    CHECK(slots_count <= UINT32_MAX);
    size_t row_bytes = sizeof(uint64_t) + sizeof(int64_t) + sizeof(uint32_t);
    uint8_t *scratch = mem_alloc((size_t)rows * row_bytes + slots_count * sizeof(uint32_t));
    struct row_groups groups = {.hashes = (uint64_t *)scratch};
    groups.weights = (int64_t *)(groups.hashes + rows);
    groups.first_rows = (uint32_t *)(groups.weights + rows);
    groups.slots = groups.first_rows + rows;
    memset(groups.slots, 0, slots_count * sizeof(uint32_t));

    uint32_t hashed = 0;
    for (uint32_t k = 0; k < batch->columns_count; k++) {
        if (!batch->columns[k].is_constant)
            hash_identity_column(&batch->columns[k], rows, hashed++ == 0, groups.hashes);
    }
    if (hashed == 0)
        memset(groups.hashes, 0, rows * sizeof(uint64_t));
    /* hash_u64 is a bijection: over a single column of integers it is as good as the row */
    bool hash_decides = batch->columns_count == 1 && hashed == 1 && phys_bytes(batch->columns[0].phys) <= 8 &&
                        batch->columns[0].nulls == NULL;
    group_rows(batch, (uint32_t)slots_count - 1, hash_decides, &groups);

    uint32_t kept = 0;
    bool all_one = true;
    for (uint32_t i = 0; i < groups.count; i++) {
        if (groups.weights[i] == 0)
            continue;
        all_one &= groups.weights[i] == 1;
        groups.first_rows[kept] = groups.first_rows[i];
        groups.weights[kept++] = groups.weights[i];
    }
    const struct batch *result = batch;
    if (kept != rows) {
        struct batch *out = batch_header(arena, batch->columns_count);
        out->rows = kept;
        for (uint32_t k = 0; k < batch->columns_count; k++)
            column_gather(&out->columns[k], &batch->columns[k], groups.first_rows, kept, arena);
        if (!all_one)
            out->weights = arena_copy(arena, groups.weights, (size_t)kept * sizeof(int64_t));
        result = out;
    }
    mem_free(scratch);
    return result;
}
