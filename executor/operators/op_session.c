/* op_session.c: session windows: the rows of a key in order of time, cut wherever two neighbours are at least
 * a gap apart.
 *
 * A hashed table leads from a key to its newest session; the older ones lie in a B+tree by (key, start).
 * Input in order of time thus extends or follows the newest session and never descends the tree. A session
 * lists itself at its first touch in a tick, with its bounds and results from before; at the end of the tick
 * those that differ are taken back and given anew. A session that bridges two joins their accumulators.
 *
 * Aggregates of an input without retractions need the sessions alone. Otherwise rows are kept as counts by
 * (key, time, exact row), and a tick is worked off at its end, when the counts are final: first the times
 * that are there are placed, which only extends, bridges and creates; then the differences are added to the
 * accumulators; then times that have gone shorten, split or end their session, and the smaller part of a
 * split is taken out of the larger one. min and max cannot take back: a session that lost rows is walked
 * again.
 *
 * The row form (no aggregates) keeps rows always, and replaces all rows of a session whose bounds have
 * changed; where they have not, the changes pass through. */
#include "executor/operators/op_session.h"

/* ---- opening ---- */

static void open_calls(struct sessions *state, const struct plan *plan, uint32_t *bytes)
{
    struct arena *arena = state->base.ctx->plan_arena;
    const struct sql_type *input_types = plan->children[0]->types;
    state->calls_count = plan->session.calls_count;
    state->calls = ARENA_ARRAY(arena, struct agg_call, state->calls_count);
    state->offsets = ARENA_ARRAY(arena, uint32_t, state->calls_count);
    state->feeds = ARENA_ARRAY(arena, struct agg_feed, state->calls_count);
    state->fed_columns = ARENA_ARRAY(arena, bool, state->child_columns);
    for (int pass = 0; pass < 2; pass++) {
        for (uint32_t c = 0; c < state->calls_count; c++) {
            const struct plan_aggregate_call *spec = &plan->session.calls[c];
            const struct aggregate_row *row = spec->aggregate;
            if (((row->flags & AGG_APPEND_ONLY_ADD) != 0) != (pass == 1))
                continue;
            struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, spec->args_count);
            for (uint32_t a = 0; a < spec->args_count; a++) {
                types[a] = input_types[spec->args[a]];
                state->fed_columns[spec->args[a]] = true;
            }
            if (spec->filter >= 0)
                state->fed_columns[spec->filter] = true;
            state->calls[c] = (struct agg_call){.aggregate = row,
                                                .result_type = spec->type,
                                                .arg_types = types,
                                                .args_count = spec->args_count,
                                                .heap = state->heap};
            state->offsets[c] = *bytes;
            *bytes += row->state_bytes;
            state->feeds[state->feeds_count++] =
                (struct agg_feed){.columns_count = spec->args_count,
                                  .columns = spec->args,
                                  .strict_count = (row->flags & AGG_NULLS) == 0 ? spec->args_count : 0,
                                  .filter = spec->filter,
                                  .call = &state->calls[c],
                                  .offset = state->offsets[c]};
        }
        if (pass == 0)
            state->invertible_count = state->feeds_count;
    }
}

static bool sessions_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct sessions *state = (struct sessions *)op;
    struct arena *arena = op->ctx->plan_arena;
    const struct plan *child = plan->children[0];
    arena_init(&state->scratch, op->ctx->account);
    arena_init(&state->hold, op->ctx->account);
    state->gap = plan->session.gap_us;
    state->child_columns = child->columns_count;
    uint32_t keys_count = plan->session.keys_count;
    struct sql_type *key_types = ARENA_ARRAY(arena, struct sql_type, keys_count);
    for (uint32_t k = 0; k < keys_count; k++)
        key_types[k] = child->types[plan->session.keys[k]];
    state->keys = hashed_table_create(key_types, keys_count, sizeof(struct session_key), op->ctx->account);
    state->heap = table_heap_create(op->ctx->account);
    uint32_t bytes = (sizeof(struct session) + 7) & ~7u;
    open_calls(state, plan, &bytes);
    slot_pages_init(&state->pages, bytes, 8, op->ctx->account);
    btree_init(&state->older, state->heap, op->ctx->account);
    state->buffers = arena_alloc(arena, sizeof(*state->buffers));
    if (plan->session.lateness != NULL)
        op_expiry_open(&state->expiry, op->ctx,
                       &(struct plan_expiry){.known = true, .after_us = plan->session.lateness->grace_us});
    bool only_inserts = op->ctx->mode == DATAFLOW_ONE_SHOT || child->append_only;
    if (plan->session.is_aggregate && only_inserts)
        return true;
    state->rows = ordered_table_create(child->types, child->columns_count, sizeof(struct session_entry),
                                       op->ctx->account);
    session_rows_open(state);
    state->encoded = ARENA_ARRAY(arena, bool, state->child_columns);
    for (uint32_t c = 0; c < state->child_columns; c++)
        state->encoded[c] = c != plan->session.time_column;
    for (uint32_t k = 0; k < keys_count; k++)
        if (agg_type_is_exact(key_types[k]))
            state->encoded[plan->session.keys[k]] = false;
    (void)err;
    return true;
}

static void sessions_close(struct operator* op)
{
    struct sessions *state = (struct sessions *)op;
    if (state->keys == NULL)
        return;
    ordered_table_destroy(state->rows);
    btree_release(&state->older, false);
    slot_pages_release(&state->pages);
    hashed_table_destroy(state->keys);
    table_heap_destroy(state->heap);
    strbuf_release(&state->place);
    strbuf_release(&state->zero_keys);
    op_expiry_close(&state->expiry);
    arena_release(&state->scratch);
    arena_release(&state->hold);
}

/* ---- input ---- */

static void tick_begin(struct sessions *state)
{
    if (state->in_tick)
        return;
    state->in_tick = true;
    if (++state->tick == 0) /* 0 means never */
        state->tick = 1;
    state->touched = NULL;
    state->touched_count = state->touched_cap = state->settled = 0;
    state->touched_rows = NULL;
    state->touched_rows_count = state->touched_rows_cap = 0;
    state->idle = NULL;
    state->idle_count = state->idle_cap = 0;
    state->old = NULL;
    state->arrivals = (struct session_arrivals){0};
    strbuf_reset(&state->zero_keys);
}

void session_next_part(struct sessions *state)
{
    if (++state->tick == 0)
        state->tick = 1;
    state->touched_count = state->settled = state->touched_rows_count = 0;
    if (state->old != NULL)
        batch_clear(state->old);
    strbuf_reset(&state->zero_keys);
}

/* Which rows of a batch have a time that a session can be built on. */
static bool select_times(struct sessions *state, const struct batch *change, uint32_t *count,
                         struct error *err)
{
    struct session_buffers *buffers = state->buffers;
    const struct column *column = &change->columns[state->base.plan->session.time_column];
    *count = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t time, end;
        struct error error;
        bool has_time = window_row_time(column, i, &time, &error);
        if (has_time && __builtin_add_overflow(time, state->gap, &end))
            has_time = error_set(&error, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
        if (!has_time) {
            if (error.code != ERRCODE_NONE && !op_error_row(&state->base, change, i, &error, err))
                return false;
            continue;
        }
        buffers->rows[*count] = i;
        buffers->times[(*count)++] = time;
    }
    return true;
}

void session_find_keys(struct sessions *state, const struct batch *rows)
{
    const struct plan *plan = state->base.plan;
    struct agg_buffers *buffers = &state->buffers->agg;
    batch_hash(rows, plan->session.keys, plan->session.keys_count, buffers->hashes);
    hashed_table_upsert(state->keys, rows, plan->session.keys, buffers->hashes, buffers->slots,
                        buffers->inserted);
    for (uint32_t i = 0; i < rows->rows; i++) {
        struct session_key *of = hashed_table_payload(state->keys, buffers->slots[i]);
        if (buffers->inserted[i])
            of->newest = SLOT_NONE;
        else if (of->newest != SLOT_NONE)
            __builtin_prefetch(session_at(state, of->newest), 1);
    }
}

void session_feed(struct sessions *state, const struct batch *rows, const uint32_t *sessions, uint32_t first,
                  uint32_t count)
{
    for (uint32_t i = 0; i < rows->rows; i++)
        state->buffers->agg.groups[i] = (struct agg_group *)session_at(state, sessions[i]);
    for (uint32_t c = 0; c < state->calls_count; c++) {
        state->calls[c].env = state->base.ctx->env;
        state->calls[c].arena = &state->scratch;
    }
    agg_feed_all(state->feeds + first, count, NULL, 0, rows, &state->buffers->agg, &state->scratch);
}

static void push_inserts(struct sessions *state, const struct batch *rows)
{
    struct session_buffers *buffers = state->buffers;
    for (uint32_t i = 0; i < rows->rows; i++)
        buffers->sessions[i] = session_place(state, buffers->agg.slots[i], buffers->times[i]);
    session_settle(state);
    for (uint32_t i = 0; i < rows->rows; i++)
        buffers->sessions[i] = session_present(state, buffers->sessions[i]);
    session_feed(state, rows, buffers->sessions, 0, state->feeds_count);
}

void session_push_rows(struct sessions *state, const struct batch *rows)
{
    if (state->rows == NULL)
        push_inserts(state, rows);
    else
        session_rows_push(state, rows);
}

static bool sessions_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct sessions *state = (struct sessions *)op;
    arena_reset(&state->scratch);
    if (!op_check(op, err))
        return false;
    tick_begin(state);
    uint32_t count;
    if (!select_times(state, change, &count, err))
        return false;
    if (count == 0)
        return true;
    bool judges = state->expiry.is_on;
    arena_reset(&state->hold);
    const struct batch *rows = change;
    if (count < change->rows)
        rows = op_gather(judges ? &state->hold : &state->scratch, change, state->buffers->rows, count);
    if (judges)
        return session_judge(state, rows, err);
    session_find_keys(state, rows);
    session_push_rows(state, rows);
    return true;
}

/* ---- output ---- */

static bool same_error(const struct error *a, const struct error *b)
{
    return a->code == b->code && strcmp(a->message, b->message) == 0;
}

void session_set_times(struct column *column, struct sql_type type, const int64_t *times, uint32_t count,
                       struct arena *arena)
{
    column_init(column, type, count, arena);
    memcpy(column->data, times, sizeof(int64_t) * count);
}

/* One side of the change: sessions with given bounds. */
struct session_rows {
    uint32_t count;
    uint32_t keys[BATCH_ROWS_MAX];
    int64_t starts[BATCH_ROWS_MAX], ends[BATCH_ROWS_MAX];
    uint32_t rows[BATCH_ROWS_MAX]; /* of the results */
};

static struct batch *output_rows(struct sessions *state, const struct session_rows *from,
                                 const struct batch *results, int64_t weight)
{
    struct operator* op = & state->base;
    const struct plan *plan = op->plan;
    struct arena *scratch = &state->scratch;
    struct batch *out = batch_header(scratch, op->columns_count);
    out->rows = from->count;
    struct column *keys = arena_alloc(scratch, sizeof(struct column) * (plan->session.keys_count + 1));
    hashed_table_gather_keys(state->keys, from->keys, from->count, keys, scratch);
    uint32_t groups = plan->session.groups_count;
    for (uint32_t g = 0; g < groups; g++) {
        uint32_t column = plan->session.groups[g], k = 0;
        if (column >= state->child_columns) {
            session_set_times(&out->columns[g], op->types[g],
                              column == state->child_columns ? from->starts : from->ends, from->count,
                              scratch);
            continue;
        }
        while (plan->session.keys[k] != column)
            k++;
        out->columns[g] = keys[k];
    }
    for (uint32_t c = 0; c < state->calls_count; c++)
        column_gather(&out->columns[groups + c], &results->columns[c], from->rows, from->count, scratch);
    if (weight != 1) {
        out->weights = arena_alloc(scratch, sizeof(int64_t) * (from->count + 1));
        for (uint32_t i = 0; i < from->count; i++)
            out->weights[i] = weight;
    }
    return out;
}

static void rows_add(struct sessions *state, struct session_rows *to, uint32_t key, int64_t start,
                     int64_t last, uint32_t row)
{
    to->keys[to->count] = key;
    to->starts[to->count] = start;
    to->ends[to->count] = last + state->gap;
    to->rows[to->count++] = row;
}

static bool emit_aggregates(struct sessions *state, const struct touched_session *touched, uint32_t count,
                            struct error *err)
{
    struct operator* op = & state->base;
    arena_reset(&state->scratch);
    uint32_t *slots = state->buffers->sessions, alive = 0;
    for (uint32_t t = 0; t < count; t++)
        if (!session_at(state, touched[t].slot)->is_gone)
            slots[alive++] = touched[t].slot;
    struct error **errors;
    struct batch *now = session_evaluate(state, slots, alive, &errors);
    struct session_rows *deletes = arena_alloc(&state->scratch, sizeof(*deletes));
    struct session_rows *inserts = arena_alloc(&state->scratch, sizeof(*inserts));
    deletes->count = inserts->count = 0;
    uint32_t next = 0;
    for (uint32_t t = 0; t < count; t++) {
        const struct touched_session *before = &touched[t];
        const struct session *session = session_at(state, before->slot);
        bool has_new = !session->is_gone, has_old = before->old_row != UINT32_MAX;
        uint32_t new_row = next;
        next += has_new;
        const struct error *new_error = has_new ? errors[new_row] : NULL;
        if (before->old_error != NULL && (new_error == NULL || !same_error(before->old_error, new_error)) &&
            !op_error_weight(op, -1, before->old_error, err))
            return false;
        if (new_error != NULL && (before->old_error == NULL || !same_error(before->old_error, new_error)) &&
            !op_error_weight(op, 1, new_error, err))
            return false;
        has_new = has_new && new_error == NULL;
        if (has_old && has_new && before->old_start == session->start && before->old_last == session->last &&
            batch_rows_identical(state->old, before->old_row, now, new_row))
            continue;
        if (has_old)
            rows_add(state, deletes, session->key, before->old_start, before->old_last, before->old_row);
        if (has_new)
            rows_add(state, inserts, session->key, session->start, session->last, new_row);
    }
    if (deletes->count > 0 && !operator_emit(op, output_rows(state, deletes, state->old, -1), err))
        return false;
    return inserts->count == 0 || operator_emit(op, output_rows(state, inserts, now, 1), err);
}

/* ---- the end of a tick ---- */

/* Where sessions are registered under their ends they stay until then. */
static void drop_sessions(struct sessions *state)
{
    if (state->expiry.is_on)
        return;
    for (uint32_t t = 0; t < state->touched_count; t++) {
        uint32_t slot = state->touched[t].slot;
        struct session *session = session_at(state, slot);
        if (!session->is_gone)
            continue;
        for (uint32_t c = 0; c < state->calls_count; c++)
            session_release_call(state, session, c);
        slot_pages_free(&state->pages, slot);
    }
}

static void drop_keys(struct sessions *state)
{
    for (uint32_t i = 0; i < state->idle_count; i++) {
        uint32_t key = state->idle[i];
        struct session_key *of = hashed_table_payload(state->keys, key);
        of->is_listed = false;
        if (of->newest != SLOT_NONE)
            continue;
        if (state->rows == NULL || !session_has_rows(state, key)) /* counts below 0 wait for their inserts */
            hashed_table_remove(state->keys, key);
    }
}

bool session_work_off(struct sessions *state, struct error *err)
{
    struct operator* op = & state->base;
    arena_reset(&state->scratch);
    if (state->rows != NULL)
        session_rows_settle(state);
    if (!op->plan->session.is_aggregate) {
        if (!session_rows_emit(state, err))
            return false;
    } else {
        for (uint32_t t = 0; t < state->touched_count && !op->ctx->stop; t += BATCH_ROWS_MAX) {
            uint32_t count =
                state->touched_count - t < BATCH_ROWS_MAX ? state->touched_count - t : BATCH_ROWS_MAX;
            if (!op_check(op, err) || !emit_aggregates(state, state->touched + t, count, err))
                return false;
        }
    }
    if (state->rows != NULL)
        session_rows_drop(state);
    drop_sessions(state);
    return true;
}

static bool sessions_finish(struct operator* op, struct error *err)
{
    struct sessions *state = (struct sessions *)op;
    if (!state->in_tick && !state->expiry.is_on)
        return true;
    tick_begin(state);
    if (!session_judge_collected(state, err) || !session_work_off(state, err))
        return false;
    if (state->expiry.is_on)
        session_forget(state);
    drop_keys(state);
    state->in_tick = false;
    return true;
}

static int64_t sessions_due(const struct operator* op)
{
    return op_expiry_due(&((const struct sessions *)op)->expiry);
}

static int64_t sessions_bytes(const struct operator* op)
{
    const struct sessions *state = (const struct sessions *)op;
    int64_t bytes = hashed_table_bytes(state->keys) + slot_pages_bytes(&state->pages) +
                    btree_bytes(&state->older) + table_heap_bytes(state->heap) +
                    op_expiry_bytes(&state->expiry);
    return state->rows != NULL ? bytes + ordered_table_bytes(state->rows) : bytes;
}

static uint64_t sessions_rows(const struct operator* op)
{
    const struct sessions *state = (const struct sessions *)op;
    return state->rows != NULL ? ordered_table_rows(state->rows) : state->live;
}

const struct operator_class op_session_class = {
    .name = "session",
    .bytes = sizeof(struct sessions),
    .open = sessions_open,
    .push = sessions_push,
    .finish = sessions_finish,
    .close = sessions_close,
    .due_watermark = sessions_due,
    .state_bytes = sessions_bytes,
    .state_rows = sessions_rows,
    .saved_tables = session_saved_tables,
};
