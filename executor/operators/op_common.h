/* op_common.h: small helpers that several operators share. Internal to this folder.
 *
 * An operator keeps one scratch arena that it resets at the start of each call: emitted batches are borrowed
 * by the consumers only for the duration of operator_emit, so nothing in it is needed afterwards. */
#ifndef MILLRACE_OPERATORS_OP_COMMON_H
#define MILLRACE_OPERATORS_OP_COMMON_H

#include "executor/aggregate.h"
#include "executor/operator.h"

/* Called once per batch of a statement: 53200 above its memory limit, 57014 when it is to stop. A view is
 * judged by the engine, between ticks. */
MUST_CHECK
bool op_check(const struct operator* op, struct error *err);

/* Rows `rows[0..count)` of a batch, weights included; text and untouched arrays are shared. */
struct batch *op_gather(struct arena *arena, const struct batch *from, const uint32_t *rows, uint32_t count);
/* Hangs the watermarks and positions of rows `rows` (NULL: all rows as they are) of `from` on `out`, which holds those
 * rows. */
void op_pick_arrival(struct arena *arena, struct batch *out, const struct batch *from, const uint32_t *rows);
/* The same columns with other rows' weights: a header that borrows everything. */
struct batch *op_with_weights(struct arena *arena, const struct batch *from, int64_t *weights);
/* Rows of a, then rows of b, in new arrays that share text. Weights are always given. */
struct batch *op_concat(struct arena *arena, const struct batch *a, const struct batch *b);
/* A column of `rows` NULLs. */
void op_null_column(struct column *out, struct sql_type type, uint32_t rows, struct arena *arena);
/* skip[i] = 1 for rows with a NULL in a key column that is not null-safe; returns NULL when there is none. */
uint8_t *op_null_keys(struct arena *arena, const struct batch *rows, const uint32_t *keys,
                      uint32_t keys_count, const bool *null_safe);
/* Orders two rows by sort keys (PostgreSQL's default: NULLs last ascending; as the keys say). */
int op_compare_rows(const struct batch *a, uint32_t row_a, const struct batch *b, uint32_t row_b,
                    const struct sort_key *keys, uint32_t keys_count);
/* Appends type_encode_exact of every column: the identity of a row. */
void op_encode_row(const struct batch *batch, uint32_t row, struct strbuf *out);
/* A row-less int8 expression of LIMIT or OFFSET: *out = -1 when it is NULL or not there. */
MUST_CHECK
bool op_eval_count(const struct operator* op, const struct expr *expr, bool is_limit, int64_t *out,
                   struct error *err);
/* Hands every error of an evaluation to op_error_row; row numbers are positions in `rows` (NULL: the batch's
 * own). */
MUST_CHECK
bool op_emit_row_errors(struct operator* op, const struct batch *change, const uint32_t *rows,
                        const struct row_errors *errors, struct error *err);

/* Stores a value or NULL at a row of a result column of `rows` rows; text is not copied. */
void op_result_set(struct column *result, uint32_t row, const struct datum *value, uint32_t rows,
                   struct arena *arena);
/* Results of an aggregate's states, one per row, into `result` (rows: count); a group that fails gets its
 * error in errors[] (in the scratch arena) unless it has one already, the others their results. */
void op_finish_states(struct agg_call *call, void **states, uint32_t count, struct column *result,
                      struct error **errors, struct arena *scratch);

/* A set of byte strings in order of their first appearance, in an arena. Zero bytes are an empty set. */
struct byte_set_entry {
    const uint8_t *bytes;
    uint32_t len;
    uint64_t hash;
};
struct byte_set {
    struct byte_set_entry *entries;
    uint32_t count, cap;
    uint32_t *index; /* entry number + 1, 0 free */
    uint32_t index_cap;
};
/* Number of the entry; *added tells whether it is new. */
uint32_t byte_set_add(struct byte_set *set, struct arena *arena, const void *bytes, uint32_t len,
                      bool *added);

/* Compiles the condition of a join over the columns it reads alone: *columns lists which of the joined row's `width`
 * columns those are, in the order of the batch to give it. In the plan's arena; the caller destroys *run. */
struct expr_run;
MUST_CHECK
bool op_residual_compile(const struct op_context *ctx, const struct expr *residual, uint32_t width,
                         uint32_t **columns, uint32_t *count, struct expr_run **run, struct error *err);

#endif
