/* flow_exchange.c: rows cross to the shard that owns their key.
 *
 * The sending half appends each row to a mailbox (from, to); the receiving half, a stage later, hands on what
 * all senders have put there, in the senders' order. */
#include "executor/arrival.h"
#include "executor/dataflow_internal.h"

struct flow_exchange {
    struct operator base;
    const uint32_t *columns;
    uint32_t columns_count;
    bool to_shard_0;
    struct batch **mail;      /* per receiving shard; in this shard's tick arena; NULL: empty */
    struct arrival *arrivals; /* of the mail */
};

struct flow_receive {
    struct operator base;
    struct node *exchange;
};

void flow_exchange_setup(struct operator* op, const uint32_t *columns, uint32_t columns_count,
                         bool to_shard_0)
{
    struct flow_exchange *self = (struct flow_exchange *)op;
    self->columns = columns;
    self->columns_count = columns_count;
    self->to_shard_0 = to_shard_0;
    self->mail = ARENA_ARRAY(op->ctx->plan_arena, struct batch *, op->ctx->shards_count);
    self->arrivals = ARENA_ARRAY(op->ctx->plan_arena, struct arrival, op->ctx->shards_count);
}

static bool exchange_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct flow_exchange *self = (struct flow_exchange *)op;
    uint32_t shards_count = op->ctx->shards_count;
    uint64_t hashes[BATCH_ROWS_MAX];
    uint32_t rows[BATCH_ROWS_MAX];
    if (!self->to_shard_0)
        batch_hash(change, self->columns, self->columns_count, hashes);
    for (uint32_t to = 0; to < shards_count; to++) {
        uint32_t count = 0;
        if (self->to_shard_0) {
            if (to != 0)
                break;
            for (uint32_t row = 0; row < change->rows; row++)
                rows[count++] = row;
        } else {
            for (uint32_t row = 0; row < change->rows; row++) {
                rows[count] = row;
                count += shard_of_hash(hashes[row], shards_count) == to;
            }
        }
        if (count == 0)
            continue;
        if (self->mail[to] == NULL) {
            self->mail[to] = batch_create(op->ctx->tick_arena, op->types, op->columns_count, count);
            self->arrivals[to] = (struct arrival){.count = 0};
        }
        batch_append_rows(self->mail[to], change, rows, count, 1);
        arrival_append(&self->arrivals[to], op->ctx->tick_arena, change, rows, count);
    }
    return flow_check(op, err);
}

bool flow_receive_run(struct operator* op, struct error *err)
{
    struct flow_receive *self = (struct flow_receive *)op;
    for (uint32_t from = 0; from < op->ctx->shards_count; from++) {
        struct flow_exchange *sender = (struct flow_exchange *)self->exchange->ops[from];
        struct batch *mail = sender->mail[op->ctx->shard];
        sender->mail[op->ctx->shard] = NULL;
        if (mail == NULL)
            continue;
        arrival_give(&sender->arrivals[op->ctx->shard], mail);
        if (!operator_emit(op, mail, err))
            return false;
    }
    return true;
}

void flow_receive_setup(struct operator* op, struct node *exchange)
{
    ((struct flow_receive *)op)->exchange = exchange;
}

const struct operator_class flow_exchange_class = {
    .name = "exchange", .bytes = sizeof(struct flow_exchange), .push = exchange_push};
const struct operator_class flow_receive_class = {.name = "receive", .bytes = sizeof(struct flow_receive)};
