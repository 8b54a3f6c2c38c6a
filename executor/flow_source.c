/* flow_source.c: where rows enter a dataflow: relations, shared arrangements, system views.
 *
 * A view's scan gives the relation's rows of its shard in the initial tick, the relation's change afterwards; while it
 * is being filled, those of the tick that its frame tells.
 * A statement's scan gives all shards at its snapshot, corrected by what its own transaction has changed (the
 * overlay): deleted rows are left out as they come by, inserted ones follow at the end. */
#include "executor/dataflow_internal.h"

#include "executor/expr_program.h"
#include "storage/state/state_memory.h"

struct flow_scan {
    struct operator base;
    struct relation *relation;
    struct shared_arrangement *shared;
};

void flow_scan_setup(struct operator* op, struct relation *relation)
{
    ((struct flow_scan *)op)->relation = relation;
}

void flow_shared_setup(struct operator* op, struct shared_arrangement *shared)
{
    ((struct flow_scan *)op)->shared = shared;
}

struct shared_arrangement *flow_shared_arrangement(const struct operator* op)
{
    return ((const struct flow_scan *)op)->shared;
}

/* The plan's selection of columns of a batch; header only. */
static void map_columns(struct batch *mapped, const uint32_t *columns, const struct batch *from)
{
    mapped->rows = from->rows;
    mapped->weights = from->weights;
    mapped->watermarks = from->watermarks;
    mapped->positions = from->positions;
    for (uint32_t i = 0; i < mapped->columns_count; i++)
        mapped->columns[i] = from->columns[columns[i]];
}

static bool emit_mapped(struct operator* op, const uint32_t *columns, const struct batch *from,
                        struct error *err)
{
    struct column *mapped_columns = NULL;
    struct column few[32];
    struct batch mapped = {.columns_count = op->columns_count};
    if (op->columns_count > ARRAY_COUNT(few))
        mapped_columns = mem_alloc(sizeof(*mapped_columns) * op->columns_count);
    mapped.columns = mapped_columns != NULL ? mapped_columns : few;
    map_columns(&mapped, columns, from);
    bool ok = operator_emit(op, &mapped, err);
    mem_free(mapped_columns);
    return ok;
}

/* ---- overlay ---- */

/* Deleted rows of the overlay by hash of all columns: open addressing over row numbers. */
struct deleted_rows {
    const struct batch *rows;
    uint32_t *buckets; /* row + 1; 0 empty */
    int64_t *left;     /* copies still to be left out */
    uint64_t *hashes;
    uint32_t mask;
    uint32_t *all_columns;
};

static void deleted_rows_init(struct deleted_rows *deleted, const struct batch *rows, struct arena *arena)
{
    uint32_t cap = 16;
    while (cap < rows->rows * 2)
        cap *= 2;
    deleted->rows = rows;
    deleted->mask = cap - 1;
    deleted->buckets = ARENA_ARRAY(arena, uint32_t, cap);
    deleted->left = ARENA_ARRAY(arena, int64_t, rows->rows);
    deleted->hashes = ARENA_ARRAY(arena, uint64_t, rows->rows);
    deleted->all_columns = ARENA_ARRAY(arena, uint32_t, rows->columns_count);
    for (uint32_t i = 0; i < rows->columns_count; i++)
        deleted->all_columns[i] = i;
    batch_hash(rows, deleted->all_columns, rows->columns_count, deleted->hashes);
    for (uint32_t row = 0; row < rows->rows; row++) {
        if (batch_weight(rows, row) >= 0)
            continue;
        deleted->left[row] = -batch_weight(rows, row);
        uint32_t bucket = (uint32_t)deleted->hashes[row] & deleted->mask;
        while (deleted->buckets[bucket] != 0)
            bucket = (bucket + 1) & deleted->mask;
        deleted->buckets[bucket] = row + 1;
    }
}

/* What is left of `from`: rows with reduced weights, in the arena. */
static const struct batch *deleted_rows_subtract(struct deleted_rows *deleted, const struct batch *from,
                                                 struct arena *arena)
{
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * from->rows);
    batch_hash(from, deleted->all_columns, from->columns_count, hashes);
    uint32_t *keep = arena_alloc(arena, sizeof(*keep) * from->rows);
    int64_t *weights = arena_alloc(arena, sizeof(*weights) * from->rows);
    uint32_t kept = 0;
    for (uint32_t row = 0; row < from->rows; row++) {
        int64_t weight = batch_weight(from, row);
        uint32_t bucket = (uint32_t)hashes[row] & deleted->mask;
        for (; deleted->buckets[bucket] != 0; bucket = (bucket + 1) & deleted->mask) {
            uint32_t candidate = deleted->buckets[bucket] - 1;
            if (deleted->left[candidate] == 0 || deleted->hashes[candidate] != hashes[row] ||
                !batch_rows_identical(from, row, deleted->rows, candidate))
                continue;
            int64_t taken = weight < deleted->left[candidate] ? weight : deleted->left[candidate];
            deleted->left[candidate] -= taken;
            weight -= taken;
            break;
        }
        if (weight != 0) {
            keep[kept] = row;
            weights[kept++] = weight;
        }
    }
    struct batch *result = batch_header(arena, from->columns_count);
    result->rows = kept;
    result->weights = weights;
    for (uint32_t i = 0; i < from->columns_count; i++)
        column_gather(&result->columns[i], &from->columns[i], keep, kept, arena);
    return result;
}

/* With as many columns as what is read beside it: the transaction may have changed the relation when it had fewer. */
static const struct batch *overlay_of(const struct dataflow *flow, const struct relation *relation,
                                      uint32_t columns_count, struct arena *arena)
{
    const struct overlay *overlay = flow->options->overlay;
    for (uint32_t i = 0; overlay != NULL && i < overlay->count; i++) {
        if (overlay->items[i].relation == relation)
            return relation_fit(relation, overlay->items[i].rows, columns_count, arena);
    }
    return NULL;
}

/* Rows of the overlay that were inserted; with keys (point lookup) only those that match. */
static bool emit_inserted(struct operator* op, const struct plan_scan *scan, const struct batch *overlay,
                          const struct batch *keys, struct arena *arena, struct error *err)
{
    uint32_t *rows = arena_alloc(arena, sizeof(*rows) * overlay->rows);
    uint32_t count = 0;
    uint32_t *key_columns = ARENA_ARRAY(arena, uint32_t, scan->lookup_count + 1);
    for (uint32_t i = 0; i < scan->lookup_count; i++)
        key_columns[i] = i;
    for (uint32_t row = 0; row < overlay->rows; row++) {
        if (batch_weight(overlay, row) <= 0)
            continue;
        if (keys != NULL && (keys->rows == 0 || !batch_rows_equal(overlay, row, scan->lookup_columns, keys, 0,
                                                                  key_columns, scan->lookup_count)))
            continue;
        rows[count++] = row;
    }
    if (count == 0)
        return true;
    struct batch *inserted = batch_header(arena, overlay->columns_count);
    inserted->rows = count;
    inserted->weights = arena_alloc(arena, sizeof(int64_t) * count);
    for (uint32_t i = 0; i < count; i++)
        inserted->weights[i] = batch_weight(overlay, rows[i]);
    for (uint32_t i = 0; i < overlay->columns_count; i++)
        column_gather(&inserted->columns[i], &overlay->columns[i], rows, count, arena);
    return emit_mapped(op, scan->columns, inserted, err);
}

/* ---- a statement's scan ---- */

static bool run_lookup(struct operator* op, const struct plan_scan *scan, struct relation *relation,
                       struct error *err)
{
    struct dataflow *flow = ((struct dataflow_shard *)op->ctx->owner)->dataflow;
    struct arena *arena = op->ctx->tick_arena;
    struct datum *values = ARENA_ARRAY(arena, struct datum, scan->lookup_count);
    struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, scan->lookup_count);
    bool has_null = false;
    for (uint32_t i = 0; i < scan->lookup_count; i++) {
        if (!expr_eval_constant(scan->lookup_values[i], op->ctx->env, arena, &values[i], err))
            return false;
        types[i] = relation_shape(relation)->types[scan->lookup_columns[i]];
        has_null |= values[i].is_null;
    }
    struct batch *keys = batch_create(arena, types, scan->lookup_count, 1);
    if (!has_null) /* nothing equals NULL */
        batch_append_datums(keys, values, 1);
    struct batch *found =
        batch_create(arena, relation_shape(relation)->types, relation_shape(relation)->columns_count, 16);
    relation_lookup(relation, scan->lookup_index, scan->lookup_columns, flow->options->snapshot, keys, found);
    const struct batch *overlay = overlay_of(flow, relation, found->columns_count, arena);
    const struct batch *rows = found;
    if (overlay != NULL && found->rows > 0) {
        struct deleted_rows deleted;
        deleted_rows_init(&deleted, overlay, arena);
        rows = deleted_rows_subtract(&deleted, found, arena);
    }
    if (!emit_mapped(op, scan->columns, rows, err))
        return false;
    return overlay == NULL || emit_inserted(op, scan, overlay, keys, arena, err);
}

static bool is_maintained(struct relation *relation, struct error *err)
{
    if (LIKELY(!atomic_load(&relation->failed)))
        return true;
    pthread_mutex_lock(&relation->lock);
    *err = relation->failure;
    pthread_mutex_unlock(&relation->lock);
    return false;
}

static bool run_statement_scan(struct operator* op, const struct plan_scan *scan, struct relation *relation,
                               struct error *err)
{
    struct dataflow *flow = ((struct dataflow_shard *)op->ctx->owner)->dataflow;
    if (relation->created_epoch > flow->options->snapshot)
        return error_set(err, ERRCODE_SERIALIZATION_FAILURE,
                         "could not serialize access: \"%s\" was created after the transaction's snapshot",
                         relation->name);
    if (relation->no_retention) {
        error_set(err, ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE, "\"%s\" keeps no rows that could be read",
                  relation->name);
        return error_hint(err,
                          "Its rows only pass through the materialized views over it: read one of those, "
                          "or create it WITH (retention = 'forever').");
    }
    if (!is_maintained(relation, err))
        return false;
    if (scan->lookup_count > 0)
        return run_lookup(op, scan, relation, err);
    struct relation_scan rows;
    relation_scan_start(&rows, relation, flow->options->snapshot, op->ctx->account);
    const struct batch *overlay = overlay_of(flow, relation, rows.shape->columns_count, op->ctx->tick_arena);
    struct deleted_rows deleted;
    if (overlay != NULL)
        deleted_rows_init(&deleted, overlay, op->ctx->tick_arena);
    struct arena scratch;
    arena_init(&scratch, op->ctx->account);
    bool ok = true;
    const struct batch *batch;
    while (ok && !op->ctx->stop && !op->ctx->enough && (batch = relation_scan_next(&rows)) != NULL) {
        if (op->ctx->env->cancel != NULL &&
            atomic_load_explicit(op->ctx->env->cancel, memory_order_relaxed)) {
            ok = error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
            break;
        }
        if (overlay != NULL && batch->rows > 0) {
            arena_reset(&scratch);
            batch = deleted_rows_subtract(&deleted, batch, &scratch);
        }
        ok = emit_mapped(op, scan->columns, batch, err) && account_check(op->ctx->account, err);
    }
    arena_release(&scratch);
    relation_scan_end(&rows);
    return ok && (overlay == NULL || emit_inserted(op, scan, overlay, NULL, op->ctx->tick_arena, err));
}

/* ---- a view's scan ---- */

static bool run_initial_scan(struct operator* op, const struct plan_scan *scan, struct relation *relation,
                             struct error *err)
{
    const struct tick_frame *frame = ((struct dataflow_shard *)op->ctx->owner)->dataflow->frame;
    struct relation_scan rows;
    relation_scan_start(&rows, relation, frame != NULL ? frame->snapshot : UINT64_MAX - 1, op->ctx->account);
    rows.shard = op->ctx->shard;
    /* at a start views over failed ones are made, and fail (dataflow_tick) */
    bool ok = op->ctx->env->cancel == NULL || is_maintained(relation, err);
    const struct batch *batch;
    while (ok && (batch = relation_scan_next(&rows)) != NULL && rows.shard == op->ctx->shard) {
        ok = emit_mapped(op, scan->columns, batch, err) && flow_check(op, err) &&
             (op->ctx->env->cancel == NULL || state_memory_check(err));
        if (frame != NULL)
            atomic_fetch_add_explicit(frame->rows_done, batch->rows, memory_order_relaxed);
    }
    relation_scan_end(&rows);
    return ok;
}

static bool run_feed(struct operator* op, const uint32_t *columns, const struct feed_shard *shards,
                     struct error *err)
{
    const struct feed_shard *list = &shards[op->ctx->shard];
    for (uint32_t i = 0; i < list->count; i++) {
        bool ok = columns != NULL ? emit_mapped(op, columns, list->batches[i], err)
                                  : operator_emit(op, list->batches[i], err);
        if (!ok)
            return false;
    }
    return true;
}

static bool run_system(struct operator* op, struct error *err)
{
    const struct plan *plan = op->plan;
    struct batch *rows =
        batch_create(op->ctx->tick_arena, plan->system.all_types, plan->system.all_columns_count, 64);
    if (!plan->system.rows(plan->system.ctx, op->ctx->env, rows, err))
        return false;
    return emit_mapped(op, plan->system.columns, rows, err);
}

bool flow_source_run(struct operator* op, struct error *err)
{
    struct flow_scan *self = (struct flow_scan *)op;
    if (op->class == &flow_system_class)
        return run_system(op, err);
    if (op->class == &flow_shared_class) /* an initial join reads the arrangement itself */
        return op->ctx->initial || run_feed(op, NULL, self->shared->dataflow->own_feed.shards, err);
    const struct plan_scan *scan = &op->plan->scan;
    if (op->ctx->mode == DATAFLOW_ONE_SHOT)
        return run_statement_scan(op, scan, self->relation, err);
    if (op->ctx->initial)
        return run_initial_scan(op, scan, self->relation, err);
    const struct tick_frame *frame = ((struct dataflow_shard *)op->ctx->owner)->dataflow->frame;
    if (frame == NULL)
        return run_feed(op, scan->columns, self->relation->feed.shards, err);
    const struct feed_shard *shards = frame_input(frame, self->relation)->shards;
    return shards == NULL || run_feed(op, scan->columns, shards, err);
}

const struct operator_class flow_scan_class = {.name = "scan", .bytes = sizeof(struct flow_scan)};
const struct operator_class flow_system_class = {.name = "system scan", .bytes = sizeof(struct flow_scan)};
const struct operator_class flow_shared_class = {.name = "shared arrangement",
                                                 .bytes = sizeof(struct flow_scan)};
