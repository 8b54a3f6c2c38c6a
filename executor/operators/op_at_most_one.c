/* op_at_most_one.c: a scalar subquery gives one row per partition; more are an error, 21000.
 *
 * SELECT: rows pass and the second one of a partition fails the statement. View: the rows are remembered by
 * partition; while a partition holds more than one, all its rows are withheld and one error is data; when it
 * shrinks back the remaining row appears. */
#include "executor/operators/op_common.h"
#include "storage/state/arrangement.h"
#include "storage/state/hashed_table.h"

struct touched_partition {
    int64_t old_count;
    uint32_t old_row; /* in `old`; UINT32_MAX: none was shown */
};

struct at_most_one {
    struct operator base;
    const uint32_t *partition;
    uint32_t partition_count;
    struct arrangement *rows;    /* CONTINUOUS */
    struct hashed_table *counts; /* ONE_SHOT with partitions */
    int64_t total;               /* ONE_SHOT without */
    bool in_tick;
    struct byte_set partitions; /* touched; tick arena */
    struct touched_partition *touched;
    uint32_t touched_count, touched_cap;
    struct batch *samples; /* tick arena: a row of each touched partition, for its key */
    struct batch *old;     /* tick arena: rows that were shown */
    struct strbuf key;
    struct arena scratch;
    uint64_t hashes[BATCH_ROWS_MAX];
    int64_t weights[BATCH_ROWS_MAX];
    uint32_t slots[BATCH_ROWS_MAX];
    uint8_t inserted[BATCH_ROWS_MAX];
    uint32_t probe_rows[BATCH_ROWS_MAX];
    uint32_t stored_rows[BATCH_ROWS_MAX];
    struct arrangement_probe probe;
};

static bool too_many(struct error *err)
{
    return error_set(err, ERRCODE_CARDINALITY_VIOLATION,
                     "more than one row returned by a subquery used as an expression");
}

static bool at_most_one_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct at_most_one *one = (struct at_most_one *)op;
    arena_init(&one->scratch, op->ctx->account);
    one->partition = plan->at_most_one.partition;
    one->partition_count = plan->at_most_one.partition_count;
    if (op->ctx->mode == DATAFLOW_CONTINUOUS) {
        one->rows = arrangement_create(op->types, op->columns_count, one->partition, one->partition_count,
                                       op->ctx->account);
    } else if (one->partition_count > 0) {
        struct sql_type *types = ARENA_ARRAY(op->ctx->plan_arena, struct sql_type, one->partition_count);
        for (uint32_t p = 0; p < one->partition_count; p++)
            types[p] = op->types[one->partition[p]];
        one->counts = hashed_table_create(types, one->partition_count, sizeof(int64_t), op->ctx->account);
    }
    return true;
}

static void at_most_one_close(struct operator* op)
{
    struct at_most_one *one = (struct at_most_one *)op;
    if (one->rows != NULL)
        arrangement_destroy(one->rows);
    if (one->counts != NULL)
        hashed_table_destroy(one->counts);
    strbuf_release(&one->key);
    arena_release(&one->scratch);
}

static bool push_once(struct at_most_one *one, const struct batch *change, struct error *err)
{
    if (one->counts == NULL) {
        for (uint32_t i = 0; i < change->rows; i++)
            one->total += batch_weight(change, i);
        if (one->total > 1)
            return too_many(err);
        return operator_emit(&one->base, change, err);
    }
    batch_hash(change, one->partition, one->partition_count, one->hashes);
    hashed_table_upsert(one->counts, change, one->partition, one->hashes, one->slots, one->inserted);
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t *count = hashed_table_payload(one->counts, one->slots[i]);
        *count += batch_weight(change, i);
        if (*count > 1)
            return too_many(err);
    }
    return operator_emit(&one->base, change, err);
}

/* Appends to `out` the single row of each partition that `keys` rows name; places[i] gets its number. */
static void read_single(struct at_most_one *one, const struct batch *keys, const uint64_t *hashes,
                        struct batch *out, uint32_t *places)
{
    arrangement_probe_start(&one->probe, one->rows, keys, one->partition, hashes, NULL);
    for (;;) {
        uint32_t found = arrangement_probe_next(&one->probe, BATCH_ROWS_MAX, one->probe_rows,
                                                one->stored_rows, one->weights);
        if (found == 0)
            return;
        struct batch *rows = batch_header(&one->scratch, one->base.columns_count);
        rows->rows = found;
        for (uint32_t c = 0; c < one->base.columns_count; c++)
            arrangement_gather(one->rows, one->stored_rows, found, c, &rows->columns[c], &one->scratch);
        for (uint32_t i = 0; i < found; i++) {
            if (one->weights[i] <= 0)
                continue;
            places[one->probe_rows[i]] = out->rows;
            batch_append_range(out, rows, i, 1, 1);
        }
    }
}

static bool at_most_one_push(struct operator* op, uint32_t port, const struct batch *change,
                             struct error *err)
{
    struct at_most_one *one = (struct at_most_one *)op;
    if (op->ctx->mode == DATAFLOW_ONE_SHOT)
        return push_once(one, change, err);
    struct arena *tick_arena = op->ctx->tick_arena;
    arena_reset(&one->scratch);
    if (!one->in_tick) {
        one->in_tick = true;
        one->partitions = (struct byte_set){0};
        one->touched = NULL;
        one->touched_count = one->touched_cap = 0;
        one->samples = batch_create(tick_arena, op->types, op->columns_count, change->rows);
        one->old = batch_create(tick_arena, op->types, op->columns_count, 1);
    }
    uint32_t *fresh = arena_alloc(&one->scratch, sizeof(uint32_t) * change->rows);
    uint32_t fresh_count = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        strbuf_reset(&one->key);
        for (uint32_t p = 0; p < one->partition_count; p++) {
            struct sort_key key = {.column = one->partition[p]};
            batch_encode_key(change, i, &key, 1, &one->key);
        }
        bool added;
        byte_set_add(&one->partitions, tick_arena, one->key.data, (uint32_t)one->key.len, &added);
        if (added)
            fresh[fresh_count++] = i;
    }
    if (fresh_count > 0) {
        struct batch *keys = op_gather(&one->scratch, change, fresh, fresh_count);
        batch_hash(keys, one->partition, one->partition_count, one->hashes);
        int64_t *counts = arena_alloc(&one->scratch, sizeof(int64_t) * fresh_count);
        arrangement_weights(one->rows, keys, one->partition, one->hashes, NULL, counts);
        uint32_t *single = arena_alloc(&one->scratch, sizeof(uint32_t) * fresh_count);
        uint32_t *places = arena_alloc(&one->scratch, sizeof(uint32_t) * fresh_count);
        uint32_t single_count = 0, first = one->touched_count;
        for (uint32_t i = 0; i < fresh_count; i++) {
            struct touched_partition touched = {.old_count = counts[i], .old_row = UINT32_MAX};
            ARENA_PUSH(tick_arena, one->touched, one->touched_count, one->touched_cap, touched);
            if (counts[i] == 1)
                single[single_count++] = i;
        }
        batch_append_range(one->samples, keys, 0, fresh_count, 1);
        if (single_count > 0) {
            struct batch *shown = op_gather(&one->scratch, keys, single, single_count);
            batch_hash(shown, one->partition, one->partition_count, one->hashes);
            memset(places, 0xFF, sizeof(uint32_t) * single_count);
            read_single(one, shown, one->hashes, one->old, places);
            for (uint32_t i = 0; i < single_count; i++)
                one->touched[first + single[i]].old_row = places[i];
        }
    }
    batch_hash(change, one->partition, one->partition_count, one->hashes);
    arrangement_apply(one->rows, change, one->hashes);
    return true;
}

static bool finish_chunk(struct at_most_one *one, uint32_t first, uint32_t count, struct error *err)
{
    struct operator* op = & one->base;
    arena_reset(&one->scratch);
    struct batch *keys = batch_slice(&one->scratch, one->samples, first, count);
    batch_hash(keys, one->partition, one->partition_count, one->hashes);
    int64_t *counts = arena_alloc(&one->scratch, sizeof(int64_t) * count);
    arrangement_weights(one->rows, keys, one->partition, one->hashes, NULL, counts);
    uint32_t *places = arena_alloc(&one->scratch, sizeof(uint32_t) * count);
    memset(places, 0xFF, sizeof(uint32_t) * count);
    uint32_t *single = arena_alloc(&one->scratch, sizeof(uint32_t) * count);
    uint32_t single_count = 0;
    for (uint32_t i = 0; i < count; i++)
        if (counts[i] == 1)
            single[single_count++] = i;
    struct batch *now = batch_create(&one->scratch, op->types, op->columns_count, single_count + 1);
    if (single_count > 0) {
        struct batch *shown = op_gather(&one->scratch, keys, single, single_count);
        batch_hash(shown, one->partition, one->partition_count, one->hashes);
        uint32_t *found = arena_alloc(&one->scratch, sizeof(uint32_t) * single_count);
        memset(found, 0xFF, sizeof(uint32_t) * single_count);
        read_single(one, shown, one->hashes, now, found);
        for (uint32_t i = 0; i < single_count; i++)
            places[single[i]] = found[i];
    }
    struct error error;
    too_many(&error);
    struct batch *out = batch_create(&one->scratch, op->types, op->columns_count, count);
    for (uint32_t i = 0; i < count; i++) {
        const struct touched_partition *touched = &one->touched[first + i];
        bool had_error = touched->old_count > 1, has_error = counts[i] > 1;
        if (had_error != has_error && !op_error_weight(op, has_error ? 1 : -1, &error, err))
            return false;
        uint32_t old_row = touched->old_row, new_row = places[i];
        if (old_row != UINT32_MAX && new_row != UINT32_MAX &&
            batch_rows_identical(one->old, old_row, now, new_row))
            continue;
        if (old_row != UINT32_MAX)
            batch_append_range(out, one->old, old_row, 1, -1);
        if (new_row != UINT32_MAX)
            batch_append_range(out, now, new_row, 1, 1);
    }
    return out->rows == 0 || operator_emit(op, out, err);
}

static bool at_most_one_finish(struct operator* op, struct error *err)
{
    struct at_most_one *one = (struct at_most_one *)op;
    if (!one->in_tick)
        return true;
    one->in_tick = false;
    for (uint32_t t = 0; t < one->touched_count; t += BATCH_ROWS_MAX / 2) {
        uint32_t count =
            one->touched_count - t < BATCH_ROWS_MAX / 2 ? one->touched_count - t : BATCH_ROWS_MAX / 2;
        if (!finish_chunk(one, t, count, err))
            return false;
    }
    return true;
}

static int64_t at_most_one_bytes(const struct operator* op)
{
    const struct at_most_one *one = (const struct at_most_one *)op;
    return one->rows != NULL ? arrangement_bytes(one->rows) : 0;
}

static uint64_t at_most_one_rows(const struct operator* op)
{
    const struct at_most_one *one = (const struct at_most_one *)op;
    return one->rows != NULL ? arrangement_rows(one->rows) : 0;
}

static void at_most_one_saved(struct operator* op, struct saved_tables *out)
{
    struct at_most_one *one = (struct at_most_one *)op;
    if (one->rows != NULL)
        arrangement_saved(one->rows, "rows", out);
}

const struct operator_class op_at_most_one_class = {
    .name = "at_most_one",
    .bytes = sizeof(struct at_most_one),
    .open = at_most_one_open,
    .push = at_most_one_push,
    .finish = at_most_one_finish,
    .close = at_most_one_close,
    .state_bytes = at_most_one_bytes,
    .state_rows = at_most_one_rows,
    .saved_tables = at_most_one_saved,
};
