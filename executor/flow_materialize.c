/* flow_materialize.c: the roots of dataflows: a view's contents, a shared arrangement's change, a statement's
 * sink.
 *
 * A view's root collects the tick's output, consolidates it and applies it to the relation's shard; what is
 * left is the view's net change, which dependents and subscribers get. Where nobody reads the change, rows without
 * retractions go straight into a relation without a key, in the initial tick into any: a key must see the
 * retraction of its row before the row that takes its place. */
#include "executor/arrival.h"
#include "executor/dataflow_internal.h"

#include "executor/operator.h"

struct flow_root {
    struct operator base;
    struct batch *change; /* in the tick arena; NULL: none yet */
    struct arrival arrival;
};

/* Each row as often as its weight says; such rows have no weights. */
static const struct batch *single_rows(struct arena *arena, const struct batch *change)
{
    if (change->weights == NULL)
        return change; /* with its watermarks, if it has any */
    uint64_t total = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        CHECK(change->weights[i] >= 0);
        total += (uint64_t)change->weights[i];
    }
    CHECK(total <= UINT32_MAX);
    uint32_t *rows = arena_alloc(arena, sizeof(uint32_t) * total), count = 0;
    for (uint32_t i = 0; i < change->rows; i++)
        for (int64_t copies = change->weights[i]; copies > 0; copies--)
            rows[count++] = i;
    struct batch *out = batch_header(arena, change->columns_count);
    out->rows = count;
    for (uint32_t c = 0; c < change->columns_count; c++)
        column_gather(&out->columns[c], &change->columns[c], rows, count, arena);
    return out;
}

bool flow_check(const struct operator* op, struct error *err)
{
    const _Atomic bool *cancel = op->ctx->env->cancel;
    if (cancel != NULL && atomic_load_explicit(cancel, memory_order_relaxed))
        return error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    return account_check(op->ctx->account, err);
}

static void apply(struct operator* op, struct relation *relation, const struct batch *change, uint64_t epoch)
{
    uint32_t shard = op->ctx->shard;
    if (relation->append_only) {
        relation_append(relation, shard, single_rows(op->ctx->tick_arena, change), op->ctx->watermark_before,
                        epoch);
        return;
    }
    uint64_t piece[BATCH_ROWS_MAX];
    uint64_t *hashes = change->rows <= BATCH_ROWS_MAX
                           ? piece
                           : arena_alloc(op->ctx->tick_arena, sizeof(*hashes) * change->rows);
    batch_hash(change, relation->hash_columns, relation->hash_columns_count, hashes);
    row_store_apply(relation->stores[shard], change, hashes);
}

static bool materialize_push(struct operator* op, uint32_t port, const struct batch *change,
                             struct error *err)
{
    struct flow_root *self = (struct flow_root *)op;
    struct dataflow *flow = ((struct dataflow_shard *)op->ctx->owner)->dataflow;
    struct relation *target = flow->target;
    bool is_read =
        target->subscriptions != NULL || target->feed.dependents_count > 0 || target->recorders > 0;
    if (change->weights == NULL && (op->ctx->initial || (target->key_count == 0 && !is_read))) {
        apply(op, target, change, flow->epoch);
        feed_count(&target->feed, op->ctx->shard, change->rows);
        return flow_check(op, err);
    }
    if (self->change == NULL) {
        self->change = batch_create(op->ctx->tick_arena, op->types, op->columns_count, change->rows);
        self->arrival = (struct arrival){.count = 0};
    }
    batch_append_range(self->change, change, 0, change->rows, 1);
    if (relation_keeps_arrival(target))
        arrival_append(&self->arrival, op->ctx->tick_arena, change, NULL, change->rows);
    return flow_check(op, err);
}

static bool materialize_finish(struct operator* op, struct error *err)
{
    struct flow_root *self = (struct flow_root *)op;
    struct dataflow *flow = ((struct dataflow_shard *)op->ctx->owner)->dataflow;
    if (self->change == NULL)
        return true;
    if (relation_keeps_arrival(flow->target) && self->change->weights == NULL)
        arrival_give(&self->arrival, self->change);
    const struct batch *net = flow->target->append_only && self->change->weights == NULL
                                  ? self->change
                                  : batch_consolidate(self->change, op->ctx->tick_arena);
    self->change = NULL;
    if (net->rows == 0)
        return true;
    apply(op, flow->target, net, flow->epoch);
    if (!op->ctx->initial)
        feed_add(&flow->target->feed, op->ctx->shard, net);
    return true;
}

static bool tap_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct dataflow *flow = ((struct dataflow_shard *)op->ctx->owner)->dataflow;
    if (op->ctx->initial)
        return flow_check(op, err);
    struct batch *copy = batch_create(op->ctx->tick_arena, op->types, op->columns_count, change->rows);
    batch_append_range(copy, change, 0, change->rows, 1);
    feed_add(&flow->own_feed, op->ctx->shard, copy);
    return flow_check(op, err);
}

static bool sink_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct dataflow *flow = ((struct dataflow_shard *)op->ctx->owner)->dataflow;
    if (op->ctx->stop)
        return true;
    return flow->sink(flow->sink_ctx, change, &op->ctx->stop, err);
}

const struct operator_class flow_materialize_class = {.name = "materialize",
                                                      .bytes = sizeof(struct flow_root),
                                                      .push = materialize_push,
                                                      .finish = materialize_finish};
const struct operator_class flow_tap_class = {
    .name = "tap", .bytes = sizeof(struct flow_root), .push = tap_push};
const struct operator_class flow_sink_class = {
    .name = "sink", .bytes = sizeof(struct flow_root), .push = sink_push};
