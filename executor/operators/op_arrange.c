/* op_arrange.c: remembers its input as an arrangement keyed by a join's keys, and hands it on.
 *
 * The arrangement holds the new contents when the batch reaches the join. Rows with NULL keys are kept too:
 * outer joins show them, and probing skips them. */
#include "executor/operators/op_common.h"
#include "storage/state/arrangement.h"

struct arrange {
    struct operator base;
    const uint32_t *keys;
    uint32_t keys_count;
    struct arrangement *state;
    uint64_t hashes[BATCH_ROWS_MAX];
};

void op_arrange_setup(struct operator* op, const uint32_t *key_columns, uint32_t key_count, bool append_only)
{
    struct arrange *arrange = (struct arrange *)op;
    arrange->keys = arena_copy(op->ctx->plan_arena, key_columns, sizeof(uint32_t) * key_count);
    arrange->keys_count = key_count;
    arrange->state = append_only ? arrangement_create_append_only(op->types, op->columns_count, arrange->keys,
                                                                  key_count, op->ctx->account)
                                 : arrangement_create(op->types, op->columns_count, arrange->keys, key_count,
                                                      op->ctx->account);
}

struct arrangement *op_arrange_state(struct operator* op)
{
    return ((struct arrange *)op)->state;
}

static bool arrange_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct arrange *arrange = (struct arrange *)op;
    batch_hash(change, arrange->keys, arrange->keys_count, arrange->hashes);
    arrangement_apply(arrange->state, change, arrange->hashes);
    return op_check(op, err) && operator_emit(op, change, err);
}

static void arrange_close(struct operator* op)
{
    struct arrange *arrange = (struct arrange *)op;
    if (arrange->state != NULL)
        arrangement_destroy(arrange->state);
    arrange->state = NULL;
}

static int64_t arrange_bytes(const struct operator* op)
{
    return arrangement_bytes(((const struct arrange *)op)->state);
}

static uint64_t arrange_rows(const struct operator* op)
{
    return arrangement_rows(((const struct arrange *)op)->state);
}

const struct operator_class op_arrange_class = {
    .name = "arrange",
    .bytes = sizeof(struct arrange),
    .push = arrange_push,
    .close = arrange_close,
    .state_bytes = arrange_bytes,
    .state_rows = arrange_rows,
};
