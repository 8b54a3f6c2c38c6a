/* op_over.c: window functions: child columns, then one result per call.
 *
 * SELECT: collect, sort by partition and keys, compute partition by partition. View: an ordered table holds
 * the rows as counts by (partition, sort keys, exact row), so that the order among peers depends on the
 * contents alone. A touched partition is walked once per tick; counts from before the tick stand beside the
 * new ones, both contents are computed, and each row whose result differs is replaced. Partitions that were
 * not touched cost nothing. */
#include "executor/operators/op_over.h"

#include "storage/state/hashed_table.h"
#include "storage/state/ordered_table.h"

struct entry {
    int64_t count;
    int64_t old_count; /* before the tick `stamp` */
    uint32_t stamp;
    uint32_t unused;
};

struct over_state {
    struct over over;
    uint32_t child_columns;
    struct sort_key *keys; /* partition, then sort keys */
    uint32_t keys_count;
    uint32_t partition_count;
    struct arena rows_arena;
    struct batch *rows; /* ONE_SHOT */
    struct ordered_table *table;
    uint32_t tick;
    bool in_tick;
    struct byte_set partitions; /* touched; tick arena */
    struct strbuf zero_keys;    /* length and bytes of keys whose count came to 0 */
    struct strbuf key;
    struct arena scratch;
};

static bool over_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct over_state *state = (struct over_state *)op;
    struct arena *arena = op->ctx->plan_arena;
    state->over.plan = plan;
    arena_init(&state->scratch, op->ctx->account);
    arena_init(&state->rows_arena, op->ctx->account);
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
    if (op->ctx->mode == DATAFLOW_CONTINUOUS)
        state->table = ordered_table_create(plan->children[0]->types, state->child_columns,
                                            sizeof(struct entry), op->ctx->account);
    return true;
}

static void over_close(struct operator* op)
{
    struct over_state *state = (struct over_state *)op;
    if (state->table != NULL)
        ordered_table_destroy(state->table);
    if (state->over.heap != NULL)
        table_heap_destroy(state->over.heap);
    strbuf_release(&state->key);
    strbuf_release(&state->zero_keys);
    arena_release(&state->scratch);
    arena_release(&state->rows_arena);
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
        state->partitions = (struct byte_set){0};
        strbuf_reset(&state->zero_keys);
    }
    struct strbuf *key = &state->key;
    for (uint32_t i = 0; i < change->rows; i++) {
        strbuf_reset(key);
        batch_encode_key(change, i, state->keys, state->partition_count, key);
        bool added, inserted;
        byte_set_add(&state->partitions, op->ctx->tick_arena, key->data, (uint32_t)key->len, &added);
        batch_encode_key(change, i, state->keys + state->partition_count,
                         state->keys_count - state->partition_count, key);
        op_encode_row(change, i, key);
        uint32_t slot =
            ordered_table_upsert(state->table, key->data, (uint32_t)key->len, change, i, NULL, &inserted);
        struct entry *entry = ordered_table_payload(state->table, slot);
        if (entry->stamp != state->tick) {
            entry->stamp = state->tick;
            entry->old_count = entry->count;
        }
        entry->count += batch_weight(change, i);
        if (entry->count == 0) {
            uint32_t bytes = (uint32_t)key->len;
            strbuf_add(&state->zero_keys, &bytes, sizeof(bytes));
            strbuf_add(&state->zero_keys, key->data, key->len);
        }
    }
    return true;
}

/* Columns for the results of all calls over `rows` rows. */
static struct column *result_columns(struct over_state *state, uint32_t rows, struct arena *arena)
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
    struct column *results = result_columns(state, count, &state->scratch);
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

/* ---- view ---- */

/* One content of a partition, before or after the tick: rows in order, each copy for itself. */
struct content {
    struct batch *rows;
    struct column *results;
    struct error **errors;
};

static void compute_content(struct over_state *state, struct content *content)
{
    struct batch *rows = content->rows;
    content->results = result_columns(state, rows->rows, &state->scratch);
    content->errors = arena_zalloc(&state->scratch, sizeof(struct error *) * (rows->rows + 1));
    if (rows->rows == 0)
        return;
    struct over_partition partition = {.rows = rows, .count = rows->rows, .arena = &state->scratch};
    over_compute(&state->over, &partition, content->results, content->errors);
}

static struct batch *content_batch(struct over_state *state, const struct content *content)
{
    struct operator* op = & state->over.base;
    struct batch *out = batch_header(&state->scratch, op->columns_count);
    out->rows = content->rows->rows;
    memcpy(out->columns, content->rows->columns, sizeof(struct column) * state->child_columns);
    memcpy(out->columns + state->child_columns, content->results,
           sizeof(struct column) * (op->columns_count - state->child_columns));
    return out;
}

static bool emit_error(struct over_state *state, const struct content *content, uint32_t row, int64_t weight,
                       struct error *err)
{
    struct batch *one = batch_slice(&state->scratch, content->rows, row, 1);
    one->weights = arena_alloc(&state->scratch, sizeof(int64_t));
    one->weights[0] = weight;
    return op_error_row(&state->over.base, one, 0, content->errors[row], err);
}

static bool same_error(const struct error *a, const struct error *b)
{
    return a->code == b->code && strcmp(a->message, b->message) == 0;
}

static bool finish_partition(struct over_state *state, const struct byte_set_entry *partition,
                             struct error *err)
{
    struct operator* op = & state->over.base;
    arena_reset(&state->scratch);
    const struct row_layout *layout = ordered_table_layout(state->table);
    const struct sql_type *types = op->plan->children[0]->types;
    struct content before = {.rows = batch_create(&state->scratch, types, state->child_columns, 16)};
    struct content now = {.rows = batch_create(&state->scratch, types, state->child_columns, 16)};
    struct datum *row = arena_alloc(&state->scratch, sizeof(struct datum) * (state->child_columns + 1));
    /* For each entry: copies before and now. */
    struct copies {
        uint32_t before, now;
    } *copies = NULL;
    uint32_t copies_count = 0, copies_cap = 0;
    struct ordered_cursor cursor;
    ordered_table_seek(state->table, partition->bytes, partition->len, &cursor);
    for (; cursor.slot != SLOT_NONE && ordered_cursor_has_prefix(&cursor, partition->bytes, partition->len);
         ordered_cursor_next(&cursor)) {
        const struct entry *entry = ordered_table_payload(state->table, cursor.slot);
        const uint8_t *stored = ordered_table_row(state->table, cursor.slot);
        for (uint32_t c = 0; c < state->child_columns; c++)
            row[c] = row_layout_get(layout, stored, c);
        int64_t old_count = entry->stamp == state->tick ? entry->old_count : entry->count;
        for (int64_t i = 0; i < old_count; i++)
            batch_append_datums(before.rows, row, 1);
        for (int64_t i = 0; i < entry->count; i++)
            batch_append_datums(now.rows, row, 1);
        struct copies pair = {(uint32_t)(old_count > 0 ? old_count : 0),
                              (uint32_t)(entry->count > 0 ? entry->count : 0)};
        ARENA_PUSH(&state->scratch, copies, copies_count, copies_cap, pair);
    }
    compute_content(state, &before);
    compute_content(state, &now);
    struct batch *old_rows = content_batch(state, &before), *new_rows = content_batch(state, &now);
    uint32_t *deletes = arena_alloc(&state->scratch, sizeof(uint32_t) * (old_rows->rows + 1));
    uint32_t *inserts = arena_alloc(&state->scratch, sizeof(uint32_t) * (new_rows->rows + 1));
    uint32_t deletes_count = 0, inserts_count = 0, old_at = 0, new_at = 0;
    for (uint32_t e = 0; e < copies_count; e++) {
        uint32_t old_end = old_at + copies[e].before, new_end = new_at + copies[e].now;
        while (old_at < old_end || new_at < new_end) {
            bool has_old = old_at < old_end, has_new = new_at < new_end;
            struct error *old_error = has_old ? before.errors[old_at] : NULL;
            struct error *new_error = has_new ? now.errors[new_at] : NULL;
            bool same = has_old && has_new &&
                        (old_error != NULL && new_error != NULL
                             ? same_error(old_error, new_error)
                             : old_error == NULL && new_error == NULL &&
                                   batch_rows_identical(old_rows, old_at, new_rows, new_at));
            if (!same) {
                if (old_error != NULL && !emit_error(state, &before, old_at, -1, err))
                    return false;
                if (new_error != NULL && !emit_error(state, &now, new_at, 1, err))
                    return false;
                if (has_old && old_error == NULL)
                    deletes[deletes_count++] = old_at;
                if (has_new && new_error == NULL)
                    inserts[inserts_count++] = new_at;
            }
            old_at += has_old;
            new_at += has_new;
        }
    }
    if (deletes_count + inserts_count == 0)
        return true;
    struct batch *removed = op_gather(&state->scratch, old_rows, deletes, deletes_count);
    struct batch *added = op_gather(&state->scratch, new_rows, inserts, inserts_count);
    struct batch *out = op_concat(&state->scratch, removed, added);
    for (uint32_t i = 0; i < deletes_count; i++)
        out->weights[i] = -1;
    return operator_emit(op, batch_consolidate(out, &state->scratch), err);
}

static bool over_finish(struct operator* op, struct error *err)
{
    struct over_state *state = (struct over_state *)op;
    if (op->ctx->mode == DATAFLOW_ONE_SHOT)
        return finish_once(state, err);
    if (!state->in_tick)
        return true;
    state->in_tick = false;
    for (uint32_t p = 0; p < state->partitions.count; p++)
        if (!finish_partition(state, &state->partitions.entries[p], err))
            return false;
    for (size_t at = 0; at < state->zero_keys.len;) {
        uint32_t bytes;
        memcpy(&bytes, state->zero_keys.data + at, sizeof(bytes));
        const char *key = state->zero_keys.data + at + sizeof(bytes);
        at += sizeof(bytes) + bytes;
        uint32_t slot = ordered_table_find(state->table, key, bytes);
        if (slot == SLOT_NONE)
            continue;
        const struct entry *entry = ordered_table_payload(state->table, slot);
        if (entry->count == 0)
            ordered_table_remove(state->table, key, bytes);
    }
    return true;
}

static int64_t over_bytes(const struct operator* op)
{
    const struct over_state *state = (const struct over_state *)op;
    return state->table != NULL ? ordered_table_bytes(state->table) : 0;
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
    .state_bytes = over_bytes,
    .state_rows = over_rows,
};
