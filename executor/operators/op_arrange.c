/* op_arrange.c: remembers its input as an arrangement keyed by a join's keys, and hands it on.
 *
 * The arrangement holds the new contents when the batch reaches the join. Rows with NULL keys are kept too:
 * outer joins show them, and probing skips them. */
#include "executor/operators/op_arrange.h"

#include <stdlib.h>

struct arrange {
    struct operator base;
    const uint32_t *keys;
    uint32_t keys_count;
    struct arrangement *state;
    struct op_expiry expiry; /* of rows */
    struct arena scratch;
    uint64_t hashes[BATCH_ROWS_MAX];
    uint32_t rows[BATCH_ROWS_MAX];
};

void op_arrange_setup(struct operator* op, const uint32_t *key_columns, uint32_t key_count, bool append_only)
{
    struct arrange *arrange = (struct arrange *)op;
    arrange->keys = arena_copy(op->ctx->plan_arena, key_columns, sizeof(uint32_t) * key_count);
    arrange->keys_count = key_count;
    arena_init(&arrange->scratch, op->ctx->account);
    arrange->state = append_only ? arrangement_create_append_only(op->types, op->columns_count, arrange->keys,
                                                                  key_count, op->ctx->account)
                                 : arrangement_create(op->types, op->columns_count, arrange->keys, key_count,
                                                      op->ctx->account);
}

void op_arrange_expire(struct operator* op, const struct plan_expiry *expiry)
{
    struct arrange *arrange = (struct arrange *)op;
    CHECK(!arrangement_is_append_only(arrange->state));
    op_expiry_open(&arrange->expiry, op->ctx, expiry);
}

struct arrangement *op_arrange_state(struct operator* op)
{
    return ((struct arrange *)op)->state;
}

static bool arrange_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct arrange *arrange = (struct arrange *)op;
    batch_hash(change, arrange->keys, arrange->keys_count, arrange->hashes);
    if (!arrange->expiry.is_on) {
        arrangement_apply(arrange->state, change, arrange->hashes);
        return op_check(op, err) && operator_emit(op, change, err);
    }
    arrangement_apply_noting(arrange->state, change, arrange->hashes, arrange->rows);
    for (uint32_t i = 0; i < change->rows; i++)
        if (arrange->rows[i] != UINT32_MAX)
            op_expiry_add(&arrange->expiry, &change->columns[arrange->expiry.column], i, arrange->rows[i]);
    return op_check(op, err) && operator_emit(op, change, err);
}

static int compare_numbers(const void *a_, const void *b_)
{
    uint32_t a = *(const uint32_t *)a_, b = *(const uint32_t *)b_;
    return a < b ? -1 : a > b;
}

/* A number may have been registered for several rows, one after the other. */
static uint32_t drop_repeated(uint32_t *rows, uint32_t count)
{
    uint32_t kept = 0;
    if (count > 0)
        qsort(rows, count, sizeof(*rows), compare_numbers);
    for (uint32_t i = 0; i < count; i++)
        if (kept == 0 || rows[i] != rows[kept - 1])
            rows[kept++] = rows[i];
    return kept;
}

void op_arrange_forget(struct operator* op)
{
    struct arrange *arrange = (struct arrange *)op;
    uint32_t count;
    while ((count = op_expiry_take(&arrange->expiry, op->ctx, arrange->rows, BATCH_ROWS_MAX)) > 0) {
        uint32_t over = 0;
        for (uint32_t i = 0; i < count; i++) {
            /* A row that was taken back may have left its number to another one, which is registered itself. */
            uint32_t column = arrange->expiry.column, row = arrange->rows[i];
            struct datum value;
            int64_t time;
            if (arrangement_value(arrange->state, row, column, &value) &&
                op_expiry_has_time(&value, type_phys(op->types[column].oid), &time) &&
                op_expiry_is_over(&arrange->expiry, op->ctx->watermark, time))
                arrange->rows[over++] = row;
        }
        arena_reset(&arrange->scratch);
        over = drop_repeated(arrange->rows, over);
        if (over > 0)
            arrangement_remove(arrange->state, arrange->rows, over, &arrange->scratch);
    }
}

int64_t op_arrange_due(const struct operator* op)
{
    return op_expiry_due(&((const struct arrange *)op)->expiry);
}

static void arrange_close(struct operator* op)
{
    struct arrange *arrange = (struct arrange *)op;
    if (arrange->state != NULL)
        arrangement_destroy(arrange->state);
    arrange->state = NULL;
    op_expiry_close(&arrange->expiry);
    arena_release(&arrange->scratch);
}

static int64_t arrange_bytes(const struct operator* op)
{
    const struct arrange *arrange = (const struct arrange *)op;
    return arrangement_bytes(arrange->state) + op_expiry_bytes(&arrange->expiry);
}

static uint64_t arrange_rows(const struct operator* op)
{
    return arrangement_rows(((const struct arrange *)op)->state);
}

/* ---- checkpoints ---- */

static void arrange_saved_tables(struct operator* op, struct saved_tables *out)
{
    arrangement_saved(((struct arrange *)op)->state, "rows", out);
}

/* The times of rows that are to be forgotten follow from the rows. */
static bool arrange_restore_rest(struct operator* op, const void *rest, size_t rest_bytes, struct error *err)
{
    struct arrange *arrange = (struct arrange *)op;
    (void)rest;
    (void)rest_bytes;
    (void)err;
    if (!arrange->expiry.is_on)
        return true;
    int64_t *weights = mem_alloc(sizeof(*weights) * BATCH_ROWS_MAX);
    uint64_t cursor = 0;
    uint32_t count;
    while ((count = arrangement_scan(arrange->state, &cursor, BATCH_ROWS_MAX, arrange->rows, weights)) > 0) {
        struct column times;
        arena_reset(&arrange->scratch);
        arrangement_gather(arrange->state, arrange->rows, count, arrange->expiry.column, &times,
                           &arrange->scratch);
        for (uint32_t i = 0; i < count; i++)
            op_expiry_add(&arrange->expiry, &times, i, arrange->rows[i]);
    }
    mem_free(weights);
    return true;
}

const struct operator_class op_arrange_class = {
    .name = "arrange",
    .bytes = sizeof(struct arrange),
    .push = arrange_push,
    .close = arrange_close,
    .state_bytes = arrange_bytes,
    .state_rows = arrange_rows,
    .saved_tables = arrange_saved_tables,
    .restore_rest = arrange_restore_rest,
};
