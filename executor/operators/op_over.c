/* op_over.c: window functions: child columns, then one result per call.
 *
 * SELECT: collect, sort by partition and keys, compute partition by partition. View: an ordered table holds
 * the rows as counts by (partition, sort keys, exact row), so that the order among peers depends on the
 * contents alone; counts from before the tick stand beside the new ones. What a change reaches is computed at the
 * tick's end (op_over_view.c). */
#include "executor/operators/op_over.h"

#include "storage/state/hashed_table.h"

static bool over_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct over_state *state = (struct over_state *)op;
    struct arena *arena = op->ctx->plan_arena;
    state->over.plan = plan;
    arena_init(&state->scratch, op->ctx->account);
    arena_init(&state->rows_arena, op->ctx->account);
    arena_init(&state->fold_arena, op->ctx->account);
    state->child_columns = plan->children[0]->columns_count;
    state->partition_count = plan->over.partition_count;
    state->keys_count = plan->over.partition_count + plan->over.keys_count;
    state->keys = ARENA_ARRAY(arena, struct sort_key, state->keys_count);
    for (uint32_t p = 0; p < plan->over.partition_count; p++)
        state->keys[p].column = plan->over.partition[p];
    for (uint32_t k = 0; k < plan->over.keys_count; k++)
        state->keys[plan->over.partition_count + k] = plan->over.keys[k];
    state->over.heap = table_heap_create(op->ctx->account);
    state->over.calls = ARENA_ARRAY(arena, struct agg_call, plan->over.calls_count);
    for (uint32_t c = 0; c < plan->over.calls_count; c++) {
        const struct plan_over_call *call = &plan->over.calls[c];
        if (call->kind != OVER_AGGREGATE)
            continue;
        if ((call->aggregate->flags & AGG_ORDERED_SET) != 0)
            return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "OVER is not supported for ordered-set aggregate %s", call->aggregate->name);
        struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, call->args_count);
        for (uint32_t a = 0; a < call->args_count; a++)
            types[a] = plan->children[0]->types[call->args[a]];
        state->over.calls[c] = (struct agg_call){.aggregate = call->aggregate,
                                                 .result_type = call->type,
                                                 .arg_types = types,
                                                 .args_count = call->args_count};
    }
    if (op->ctx->mode != DATAFLOW_CONTINUOUS)
        return true;
    state->table = ordered_table_create(plan->children[0]->types, state->child_columns,
                                        sizeof(struct over_entry), op->ctx->account);
    state->partition_types = ARENA_ARRAY(arena, struct sql_type, state->partition_count);
    state->partition_keys = ARENA_ARRAY(arena, struct sort_key, state->partition_count);
    for (uint32_t p = 0; p < state->partition_count; p++) {
        state->partition_types[p] = plan->children[0]->types[plan->over.partition[p]];
        state->partition_keys[p].column = p;
    }
    if (plan->over.expiry.known) {
        op_expiry_open(&state->expiry, op->ctx, &plan->over.expiry);
        state->forgettable =
            hashed_table_create(state->partition_types, state->partition_count, 0, op->ctx->account);
    }
    over_reach_init(state);
    if (state->reach.head)
        over_summaries_init(state);
    if (!plan->over.expiry.known)
        over_forget_open(state, &plan->over.order_expiry);
    return true;
}

static void over_close(struct operator* op)
{
    struct over_state *state = (struct over_state *)op;
    if (state->table != NULL)
        ordered_table_destroy(state->table);
    if (state->bases != NULL)
        ordered_table_destroy(state->bases);
    if (state->forgettable != NULL)
        hashed_table_destroy(state->forgettable);
    op_expiry_close(&state->expiry);
    if (state->over.heap != NULL)
        table_heap_destroy(state->over.heap);
    strbuf_release(&state->key);
    arena_release(&state->fold_arena);
    arena_release(&state->scratch);
    arena_release(&state->rows_arena);
}

/* Registers the partitions of the rows that are new and have a time. */
static void expire_partitions(struct over_state *state, const struct batch *change)
{
    const uint32_t *partition = state->over.plan->over.partition;
    const struct column *times = &change->columns[state->expiry.column];
    arena_reset(&state->scratch);
    uint32_t *rows = arena_alloc(&state->scratch, sizeof(uint32_t) * (change->rows + 1)), count = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        struct datum value = column_is_null(times, i) ? datum_null() : column_get(times, i);
        int64_t time;
        rows[count] = i;
        count += op_expiry_has_time(&value, times->phys, &time);
    }
    const struct batch *timed =
        count == change->rows ? change : op_gather(&state->scratch, change, rows, count);
    uint64_t *hashes = arena_alloc(&state->scratch, sizeof(uint64_t) * (count + 1));
    uint32_t *slots = arena_alloc(&state->scratch, sizeof(uint32_t) * (count + 1));
    uint8_t *inserted = arena_alloc(&state->scratch, count + 1);
    batch_hash(timed, partition, state->partition_count, hashes);
    hashed_table_insert_new(state->forgettable, timed, partition, hashes, slots, inserted);
    for (uint32_t i = 0; i < count; i++)
        if (inserted[i])
            op_expiry_add(&state->expiry, &timed->columns[state->expiry.column], i, slots[i]);
}

static void forget_partition(struct over_state *state, const struct strbuf *prefix)
{
    for (;;) {
        struct ordered_cursor cursor;
        ordered_table_seek(state->table, prefix->data, (uint32_t)prefix->len, &cursor);
        if (!ordered_cursor_has_prefix(&cursor, prefix->data, (uint32_t)prefix->len))
            return;
        uint32_t bytes;
        const uint8_t *found = ordered_cursor_key(&cursor, &bytes);
        strbuf_reset(&state->key);
        strbuf_add(&state->key, found, bytes);
        ordered_table_remove(state->table, state->key.data, bytes);
    }
}

/* Partitions whose time has come: what is in the result stays there. */
static void forget_partitions(struct over_state *state)
{
    uint32_t slots[256], count;
    struct strbuf prefix = STRBUF_INIT;
    while ((count = op_expiry_take(&state->expiry, state->over.base.ctx, slots, ARRAY_COUNT(slots))) > 0) {
        arena_reset(&state->scratch);
        struct batch *keys = batch_header(&state->scratch, state->partition_count);
        keys->rows = count;
        hashed_table_gather_keys(state->forgettable, slots, count, keys->columns, &state->scratch);
        for (uint32_t i = 0; i < count; i++) {
            strbuf_reset(&prefix);
            batch_encode_key(keys, i, state->partition_keys, state->partition_count, &prefix);
            forget_partition(state, &prefix);
            hashed_table_remove(state->forgettable, slots[i]);
        }
    }
    strbuf_release(&prefix);
}

void over_row_key(struct over_state *state, const struct batch *rows, uint32_t row, uint32_t *prefix_bytes,
                  uint32_t *peer_bytes)
{
    struct strbuf *key = &state->key;
    strbuf_reset(key);
    batch_encode_key(rows, row, state->keys, state->partition_count, key);
    *prefix_bytes = (uint32_t)key->len;
    batch_encode_key(rows, row, state->keys + state->partition_count,
                     state->keys_count - state->partition_count, key);
    *peer_bytes = (uint32_t)key->len;
    op_encode_row(rows, row, key);
}

static bool over_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct over_state *state = (struct over_state *)op;
    if (op->ctx->mode == DATAFLOW_ONE_SHOT) {
        if (!op_check(op, err))
            return false;
        if (state->rows == NULL)
            state->rows = batch_create(&state->rows_arena, op->plan->children[0]->types, state->child_columns,
                                       change->rows);
        if (change->weights == NULL) {
            batch_append_range(state->rows, change, 0, change->rows, 1);
            return true;
        }
        struct batch plain = *change;
        plain.weights = NULL;
        for (uint32_t i = 0; i < change->rows; i++)
            for (int64_t copy = 0; copy < change->weights[i]; copy++)
                batch_append_range(state->rows, &plain, i, 1, 1);
        return true;
    }
    if (!state->in_tick) {
        state->in_tick = true;
        state->tick++;
        state->changes = NULL;
        state->changes_count = state->changes_cap = 0;
    }
    if (state->forgettable != NULL)
        expire_partitions(state, change);
    if (state->bases != NULL)
        over_forget_observe(state, change);
    over_reach_observe(state, change);
    struct strbuf *key = &state->key;
    for (uint32_t i = 0; i < change->rows; i++) {
        uint32_t prefix_bytes, peer_bytes;
        over_row_key(state, change, i, &prefix_bytes, &peer_bytes);
        bool inserted;
        uint32_t key_bytes = (uint32_t)key->len;
        uint32_t slot = ordered_table_upsert(state->table, key->data, key_bytes, change, i, NULL, &inserted);
        struct over_entry *entry = ordered_table_payload(state->table, slot);
        if (entry->stamp != state->tick) {
            entry->stamp = state->tick;
            entry->old_count = entry->count;
            entry->peer_bytes = peer_bytes;
            struct over_change mark = {.key_bytes = key_bytes, .prefix_bytes = prefix_bytes, .slot = slot};
            mark.key = arena_copy(op->ctx->tick_arena, key->data, key_bytes);
            ARENA_PUSH(op->ctx->tick_arena, state->changes, state->changes_count, state->changes_cap, mark);
        }
        entry->count += batch_weight(change, i);
    }
    return true;
}

struct column *over_result_columns(struct over_state *state, uint32_t rows, struct arena *arena)
{
    uint32_t calls = state->over.plan->over.calls_count;
    struct column *results = arena_alloc(arena, sizeof(struct column) * (calls + 1));
    for (uint32_t c = 0; c < calls; c++)
        column_init(&results[c], state->over.plan->over.calls[c].type, rows, arena);
    return results;
}

/* ---- SELECT ---- */

static bool finish_once(struct over_state *state, struct error *err)
{
    struct operator* op = & state->over.base;
    if (state->rows == NULL || state->rows->rows == 0)
        return true;
    uint32_t count = state->rows->rows;
    uint32_t *order = arena_alloc(&state->scratch, sizeof(uint32_t) * count);
    batch_sort(state->rows, state->keys, state->keys_count, order);
    struct batch *sorted = op_gather(&state->scratch, state->rows, order, count);
    struct column *results = over_result_columns(state, count, &state->scratch);
    struct error **errors = arena_zalloc(&state->scratch, sizeof(struct error *) * count);
    for (uint32_t first = 0, end = 1; first < count; first = end, end = first + 1) {
        while (end < count &&
               op_compare_rows(sorted, first, sorted, end, state->keys, state->partition_count) == 0)
            end++;
        struct over_partition partition = {
            .rows = sorted, .first = first, .count = end - first, .arena = &state->scratch};
        over_compute(&state->over, &partition, results, errors);
        for (uint32_t i = first; i < end; i++)
            if (errors[i] != NULL)
                return op_error_row(op, sorted, i, errors[i], err);
        if (!op_check(op, err))
            return false;
    }
    struct batch *out = batch_header(&state->scratch, op->columns_count);
    out->rows = count;
    memcpy(out->columns, sorted->columns, sizeof(struct column) * state->child_columns);
    memcpy(out->columns + state->child_columns, results,
           sizeof(struct column) * (op->columns_count - state->child_columns));
    return operator_emit(op, out, err);
}

static bool over_finish(struct operator* op, struct error *err)
{
    struct over_state *state = (struct over_state *)op;
    if (op->ctx->mode == DATAFLOW_ONE_SHOT)
        return finish_once(state, err);
    bool done = !state->in_tick || over_finish_view(state, err);
    if (!state->in_tick)
        state->changes_count = 0;
    state->in_tick = false;
    if (state->forgettable != NULL)
        forget_partitions(state);
    if (state->bases != NULL && done)
        over_forget(state);
    return done;
}

static int64_t over_bytes(const struct operator* op)
{
    const struct over_state *state = (const struct over_state *)op;
    if (state->table == NULL)
        return 0;
    int64_t bytes = ordered_table_bytes(state->table) + table_heap_bytes(state->over.heap) +
                    op_expiry_bytes(&state->expiry);
    if (state->bases != NULL)
        bytes += ordered_table_bytes(state->bases);
    return state->forgettable != NULL ? bytes + hashed_table_bytes(state->forgettable) : bytes;
}

static int64_t over_due(const struct operator* op)
{
    return op_expiry_due(&((const struct over_state *)op)->expiry);
}

static uint64_t over_rows(const struct operator* op)
{
    const struct over_state *state = (const struct over_state *)op;
    return state->table != NULL ? ordered_table_rows(state->table) : 0;
}

const struct operator_class op_over_class = {
    .name = "over",
    .bytes = sizeof(struct over_state),
    .open = over_open,
    .push = over_push,
    .finish = over_finish,
    .close = over_close,
    .due_watermark = over_due,
    .state_bytes = over_bytes,
    .state_rows = over_rows,
    .saved_tables = over_saved_tables,
    .save_rest = over_save_rest,
    .restore_rest = over_restore_rest,
};
