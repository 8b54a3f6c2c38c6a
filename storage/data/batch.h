/* batch.h: columns of rows with weights, the one format in which rows move (a Z-set).
 *
 * A batch is columns_count columns of `rows` values each, and one int64 weight per row: +1 inserts, -1
 * deletes, other values mean that many copies. `weights` NULL means that every weight is +1; append-only
 * paths never touch it.
 *
 * Who owns what: a batch handed to a function is borrowed for that call. Whoever keeps rows copies them
 * (batch_append_*). A growing batch owns its arrays through its arena. One thread owns a batch.
 *
 * Rows of a stream that declares a watermark carry where they came from (`watermarks`, `positions`), as far as
 * operators hand rows on one by one: whoever makes new rows out of several leaves both NULL.
 *
 * A column may be constant (`is_constant`): then only element 0 of data and nulls exists and it counts for
 * every row. Operators never emit constant columns; expression kernels take and give them. */
#ifndef MILLRACE_DATA_BATCH_H
#define MILLRACE_DATA_BATCH_H

#include "storage/base/arena.h"
#include "storage/base/error.h"
#include "storage/base/limits.h"
#include "storage/base/strbuf.h"
#include "storage/data/datum.h"
#include "storage/data/type.h"

#define WATERMARK_NONE INT64_MIN

struct column {
    struct sql_type type;
    enum phys phys;
    bool is_constant;
    void *data;     /* phys_bytes(phys) per row; rows that are NULL hold zero bytes (varlen: len 0) */
    uint8_t *nulls; /* one byte per row, 1 = NULL; NULL pointer: no row is NULL */
};

struct batch {
    uint32_t rows;
    uint32_t columns_count;
    struct column *columns;
    int64_t *weights; /* NULL: all +1 */
    /* Per row, borrowed, both or none: the source's watermark when the row arrived, rows before it counted and itself
     * not (microseconds as in a timestamp; WATERMARK_NONE: there was none), and its number among the source's rows. */
    const int64_t *watermarks, *positions;
    /* only of batches made by batch_create: */
    uint32_t capacity;      /* rows there is room for */
    struct arena *arena;    /* its arrays and text; NULL for a batch that only borrows */
    int64_t *spare_weights; /* array kept by batch_clear for the next need */
};

/* ---- reading ---- */

static inline bool column_is_null(const struct column *column, uint32_t row)
{
    return column->nulls != NULL && column->nulls[column->is_constant ? 0 : row];
}
/* The value; variable-length bytes are borrowed from the batch. */
struct datum column_get(const struct column *column, uint32_t row);
static inline int64_t batch_weight(const struct batch *batch, uint32_t row)
{
    return batch->weights != NULL ? batch->weights[row] : 1;
}

/* ---- making ---- */

/* An empty batch of these types with room for `capacity` rows; everything lives in the arena. It grows by
 * doubling. */
struct batch *batch_create(struct arena *arena, const struct sql_type *types, uint32_t columns_count,
                           uint32_t capacity);
/* A batch header with unset columns for `columns_count` borrowed columns. */
struct batch *batch_header(struct arena *arena, uint32_t columns_count);
/* rows = 0; keeps the arrays. Text already in the arena stays there until the arena is reset. */
void batch_clear(struct batch *batch);
/* Allocates data (zeroed) and no nulls for `rows` rows. */
void column_init(struct column *column, struct sql_type type, uint32_t rows, struct arena *arena);
/* Gives a column its nulls array (zeroed) when it has none yet. rows: how long. Returns it. */
uint8_t *column_need_nulls(struct column *column, uint32_t rows, struct arena *arena);
void column_set_null(struct column *column, uint32_t row, uint32_t rows, struct arena *arena);
/* Stores a value at row (< room); text is NOT copied: the caller sees to its life. */
void column_set(struct column *column, uint32_t row, const struct datum *value, uint32_t rows,
                struct arena *arena);
/* A constant column holding one value; text borrowed. */
void column_init_constant(struct column *column, struct sql_type type, const struct datum *value,
                          struct arena *arena);
/* Expands a constant column into one with `rows` values; others are returned as they are. */
void column_expand(struct column *column, uint32_t rows, struct arena *arena);

/* Gives a batch of batch_create its weights array (the rows so far count once) when it has none. */
void batch_need_weights(struct batch *batch);
/* Makes room for `more` rows behind the present ones. */
void batch_reserve(struct batch *batch, uint32_t more);
/* Appends a row from values; text is copied into the batch's arena. */
void batch_append_datums(struct batch *batch, const struct datum *values, int64_t weight);
/* Appends rows of a batch with the same physical layout, copying text; weights times `factor`. `rows` lists
 * which, in that order; NULL means the range [first, first + count). */
void batch_append_range(struct batch *batch, const struct batch *from, uint32_t first, uint32_t count,
                        int64_t factor);
void batch_append_rows(struct batch *batch, const struct batch *from, const uint32_t *rows, uint32_t count,
                       int64_t factor);
/* Like batch_append_range but takes column columns_map[i] of `from` as column i. NULL map: identity. */
void batch_append_mapped(struct batch *batch, const struct batch *from, const uint32_t *columns_map,
                         uint32_t first, uint32_t count, int64_t factor);
/* A borrowed view of rows [first, first+count): no copies, header in the arena. */
struct batch *batch_slice(struct arena *arena, const struct batch *from, uint32_t first, uint32_t count);
/* Gathers: out (initialised by this call) gets from[rows[0..count)]; text is shared, not copied. */
void column_gather(struct column *out, const struct column *from, const uint32_t *rows, uint32_t count,
                   struct arena *arena);

/* ---- whole-batch operations ---- */

/* Hash of the listed columns (value equality: type_hash combined in order) for each row. columns_count 0
 * gives a constant. */
void batch_hash(const struct batch *batch, const uint32_t *columns, uint32_t columns_count, uint64_t *hashes);
/* Value equality of listed columns of two rows (NULL equals NULL). Types agree pairwise. */
bool batch_rows_equal(const struct batch *a, uint32_t row_a, const uint32_t *columns_a, const struct batch *b,
                      uint32_t row_b, const uint32_t *columns_b, uint32_t columns_count);
/* Byte identity of whole rows (1.0 differs from 1.00): what "the same row" means in a Z-set. */
bool batch_rows_identical(const struct batch *a, uint32_t row_a, const struct batch *b, uint32_t row_b);
/* Sums the weights of identical rows and drops zeros. The result is a new batch in `arena` that shares text
 * with the input; the order of first appearance is kept. Returns the input itself when nothing needs to
 * change. */
const struct batch *batch_consolidate(const struct batch *batch, struct arena *arena);

/* Order-preserving key of the listed columns of one row, appended. Flags may be NULL (ascending, nulls last).
 */
struct sort_key {
    uint32_t column;
    bool descending;
    bool nulls_first;
};
void batch_encode_key(const struct batch *batch, uint32_t row, const struct sort_key *keys,
                      uint32_t keys_count, struct strbuf *out);
/* Writes the permutation that sorts the rows by the keys, stable. order has `rows` entries. */
void batch_sort(const struct batch *batch, const struct sort_key *keys, uint32_t keys_count, uint32_t *order);

/* Text form for tests and dumps: one row per line, "+ 1 4" or "- 7 5" or "+3 1 4"; NULL as \N, values as
 * type_output. Parsing is by the given types. */
void batch_to_text(const struct batch *batch, struct strbuf *out);
MUST_CHECK
bool batch_from_text(struct batch *batch, const char *text, struct error *err);

/* Columnar encoding for the log and checkpoints (types are not part of it; little-endian; checksummed by the
 * caller). Decoding appends to `batch`, whose columns give the types; XX001 when damaged. */
void batch_serialize(const struct batch *batch, struct strbuf *out);
/* How many columns they have; 0 when there is no telling. */
uint32_t batch_serialized_columns(const uint8_t *bytes, size_t len);
MUST_CHECK
bool batch_deserialize(struct batch *batch, const uint8_t *bytes, size_t len, size_t *used,
                       struct error *err);

#endif
