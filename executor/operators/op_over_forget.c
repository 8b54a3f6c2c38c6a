/* op_over_forget.c: rows behind the watermark are forgotten in partitions that go on.
 *
 * The order begins with the time, and calls look back only: once the watermark has passed a time, no change comes at or
 * before it, and results there stand. Later results still need the last rows before it (lag, ROWS, GROUPS), what
 * RANGE offsets reach, and of everything else the number of rows and peer groups and the states of running aggregates:
 * a summary per partition, with which over_fold begins. A partition is cut between peer groups where peers matter;
 * rows of different times are never peers.
 *
 * A partition waits for one time at most: that at which something can be forgotten next. */
#include "executor/operators/op_over.h"

#include "executor/operators/op_saved.h"
#include "storage/data/datetime.h"

/* Payload of bases, whose rows are the partition's columns; a summary follows. */
struct over_base {
    uint8_t *prefix; /* of the partition's keys; in over.heap */
    int64_t time;    /* is_waiting: in the expiry queue for it */
    uint32_t prefix_bytes;
    bool is_waiting;
};

void over_forget_open(struct over_state *state, const struct plan_expiry *expiry)
{
    struct op_context *ctx = state->over.base.ctx;
    op_expiry_open(&state->expiry, ctx, expiry);
    if (state->expiry.is_on)
        state->bases = ordered_table_create(state->partition_types, state->partition_count,
                                            (uint32_t)sizeof(struct over_base) + state->reach.summary_bytes,
                                            ctx->account);
}

/* ---- what can be forgotten ---- */

/* A constant column of the child, looked for down to where it is made. NULL: it is none. */
static const struct expr *constant_of(const struct plan *child, uint32_t column)
{
    for (;;) {
        if (child->kind == PLAN_LATE) {
            child = child->children[0];
        } else if (child->kind == PLAN_CALC) {
            const struct expr *expr = child->calc.outputs[column];
            if (expr->kind == EXPR_CAST)
                expr = expr->args[0];
            if (expr->kind == EXPR_CONSTANT)
                return expr;
            if (expr->kind != EXPR_COLUMN || expr != child->calc.outputs[column])
                return NULL;
            column = expr->index;
            child = child->children[0];
        } else {
            return NULL;
        }
    }
}

static bool frame_looks_back(const struct plan_over_call *call)
{
    return call->frame_end == BOUND_CURRENT || call->frame_end == BOUND_PRECEDING;
}

static bool lag_looks_back(const struct plan *plan, const struct plan_over_call *call)
{
    if (call->args_count < 2)
        return true;
    const struct expr *offset = constant_of(plan->children[0], call->args[1]);
    if (offset == NULL || offset->value.is_null)
        return offset != NULL;
    switch (offset->type.oid) {
    case OID_INT8:
        return offset->value.i64 >= 0;
    case OID_INT4:
        return offset->value.i32 >= 0;
    case OID_INT2:
        return offset->value.i16 >= 0;
    default:
        return false;
    }
}

bool op_over_looks_back(const struct plan *plan)
{
    if (plan->over.keys_count > 0 && plan->over.keys[0].nulls_first)
        return false;
    for (uint32_t i = 0; i < plan->over.calls_count; i++) {
        const struct plan_over_call *call = &plan->over.calls[i];
        switch (call->kind) {
        case OVER_ROW_NUMBER:
        case OVER_RANK:
        case OVER_DENSE_RANK:
            continue;
        case OVER_LAG:
            if (!lag_looks_back(plan, call))
                return false;
            continue;
        case OVER_AGGREGATE:
        case OVER_FIRST_VALUE:
        case OVER_LAST_VALUE:
        case OVER_NTH_VALUE:
            if (!frame_looks_back(call))
                return false;
            continue;
        default:
            return false;
        }
    }
    return true;
}

static bool can_forget_bound(const struct plan *plan, const struct plan_over_call *call,
                             enum frame_bound bound, int32_t column)
{
    if (bound != BOUND_PRECEDING)
        return true;
    if (call->frame_mode == FRAME_RANGE &&
        (plan->over.keys_count != 1 || plan->children[0]->types[column].oid != OID_INTERVAL))
        return false;
    return constant_of(plan->children[0], (uint32_t)column) != NULL;
}

/* Frames that begin with the partition: does a summary say all of the rows before? */
static bool can_forget_start(const struct plan_over_call *call)
{
    if (call->kind == OVER_AGGREGATE)
        return (call->aggregate->flags & AGG_ORDERED) == 0 && call->aggregate->merge != NULL;
    bool delayed = call->frame_mode == FRAME_RANGE && call->frame_end == BOUND_PRECEDING;
    return call->kind == OVER_LAST_VALUE && call->frame_exclude == 0 && !delayed;
}

bool op_over_can_forget(const struct plan *plan)
{
    if (!op_over_looks_back(plan))
        return false;
    for (uint32_t i = 0; i < plan->over.calls_count; i++) {
        const struct plan_over_call *call = &plan->over.calls[i];
        if (call->kind != OVER_AGGREGATE && call->kind != OVER_FIRST_VALUE && call->kind != OVER_LAST_VALUE &&
            call->kind != OVER_NTH_VALUE)
            continue;
        if (!can_forget_bound(plan, call, call->frame_start, call->frame_start_offset) ||
            !can_forget_bound(plan, call, call->frame_end, call->frame_end_offset) ||
            (call->frame_start == BOUND_UNBOUNDED_PRECEDING && !can_forget_start(call)))
            return false;
    }
    return true;
}

/* No RANGE offset reaches further than this: an upper bound, as months and days are not equally long. */
static int64_t greatest_span(const struct interval *offset)
{
    __int128 span = offset->us > 0 ? offset->us : 0;
    if (offset->days > 0)
        span += (__int128)offset->days * US_PER_DAY;
    if (offset->months > 0)
        span += (__int128)offset->months * 31 * US_PER_DAY;
    if (offset->days != 0 || offset->months != 0)
        span += 2 * US_PER_DAY; /* ends of months; clocks that were moved */
    return span > INT64_MAX ? INT64_MAX : (int64_t)span;
}

void over_forget_observe(struct over_state *state, const struct batch *change)
{
    for (uint32_t r = 0; r < state->reach.after_count && change->rows > 0; r++) {
        const struct column *offsets = &change->columns[state->reach.after[r].offset_column];
        if (column_is_null(offsets, 0))
            continue; /* constants: equal in all rows */
        struct datum offset = column_get(offsets, 0);
        int64_t span = greatest_span(&offset.interval);
        state->range_span = span > state->range_span ? span : state->range_span;
    }
}

/* ---- bases ---- */

static void base_key(struct over_state *state, const void *prefix, uint32_t prefix_bytes)
{
    strbuf_reset(&state->key);
    strbuf_add(&state->key, prefix, prefix_bytes);
    strbuf_add(&state->key, "", 1); /* no key is empty */
}

static struct over_summary *summary_of(struct over_base *base)
{
    return (struct over_summary *)(void *)(base + 1);
}

static uint32_t find_base(struct over_state *state, const void *prefix, uint32_t prefix_bytes)
{
    base_key(state, prefix, prefix_bytes);
    return ordered_table_find(state->bases, state->key.data, (uint32_t)state->key.len);
}

const struct over_summary *over_forgotten(struct over_state *state, const void *prefix, uint32_t prefix_bytes)
{
    if (state->bases == NULL)
        return NULL;
    uint32_t slot = find_base(state, prefix, prefix_bytes);
    return slot != SLOT_NONE ? summary_of(ordered_table_payload(state->bases, slot)) : NULL;
}

static void set_prefix(struct over_state *state, struct over_base *base, const void *prefix,
                       uint32_t prefix_bytes)
{
    base->prefix_bytes = prefix_bytes;
    base->prefix = table_heap_alloc(state->over.heap, prefix_bytes + 1);
    memcpy(base->prefix, prefix, prefix_bytes);
}

/* The partition's base, a new one if need be; SLOT_NONE: it has none and no rows either. */
static uint32_t make_base(struct over_state *state, const void *prefix, uint32_t prefix_bytes)
{
    uint32_t slot = find_base(state, prefix, prefix_bytes);
    if (slot != SLOT_NONE)
        return slot;
    struct ordered_cursor at;
    ordered_table_seek(state->table, prefix, prefix_bytes, &at);
    if (!ordered_cursor_has_prefix(&at, prefix, prefix_bytes))
        return SLOT_NONE;
    arena_reset(&state->scratch);
    const uint8_t *row = ordered_table_row(state->table, at.slot);
    struct batch *columns = batch_header(&state->scratch, state->partition_count);
    columns->rows = 1;
    for (uint32_t p = 0; p < state->partition_count; p++)
        row_layout_gather(ordered_table_layout(state->table), &row, 1, state->keys[p].column, false,
                          &columns->columns[p], &state->scratch);
    bool inserted;
    slot = ordered_table_upsert(state->bases, state->key.data, (uint32_t)state->key.len, columns, 0, NULL,
                                &inserted);
    set_prefix(state, ordered_table_payload(state->bases, slot), prefix, prefix_bytes);
    return slot;
}

/* A partition without rows, of which nothing is to be remembered. */
static void drop_base(struct over_state *state, struct over_base *base)
{
    base_key(state, base->prefix, base->prefix_bytes);
    table_heap_release(state->over.heap, base->prefix, base->prefix_bytes + 1);
    ordered_table_remove(state->bases, state->key.data, (uint32_t)state->key.len);
}

/* ---- forgetting ---- */

static bool in_base(const struct over_base *base, const struct ordered_cursor *at)
{
    return ordered_cursor_has_prefix(at, base->prefix, base->prefix_bytes);
}

/* The partition's rows at `time` (us) begin with this; days of dates. */
static void time_key(struct over_state *state, const struct over_base *base, int64_t time, bool next)
{
    const struct sort_key *key = &state->over.plan->over.keys[0];
    uint32_t oid = state->over.plan->children[0]->types[key->column].oid;
    struct datum value = {0};
    if (oid == OID_DATE)
        value.i32 = (int32_t)(time / US_PER_DAY - (time % US_PER_DAY < 0) + next);
    else
        value.i64 = time + next;
    strbuf_reset(&state->key);
    strbuf_add(&state->key, base->prefix, base->prefix_bytes);
    type_encode_key(oid, &value, false, key->nulls_first, &state->key);
}

static bool last_until(struct over_state *state, const struct over_base *base, int64_t time,
                       struct ordered_cursor *out)
{
    time_key(state, base, time, false);
    ordered_table_seek_last(state->table, state->key.data, (uint32_t)state->key.len, out);
    return in_base(base, out);
}

static bool row_time(struct over_state *state, const struct ordered_cursor *at, int64_t *time)
{
    const struct row_layout *layout = ordered_table_layout(state->table);
    const uint8_t *row = ordered_table_row(state->table, at->slot);
    if (row_layout_is_null(row, state->expiry.column))
        return false;
    struct datum value = row_layout_get(layout, row, state->expiry.column);
    bool is_date = layout->types[state->expiry.column].oid == OID_DATE;
    return op_expiry_has_time(&value, is_date ? PHYS_I32 : PHYS_I64, time);
}

/* The last row that nothing later needs, `closed` being the last time that is over. */
static bool last_forgettable(struct over_state *state, const struct over_base *base, int64_t closed,
                             struct ordered_cursor *out)
{
    const struct over_reach *reach = &state->reach;
    if (!last_until(state, base, closed, out))
        return false;
    int64_t rows = 0, groups = 0;
    for (bool cut = true; rows < reach->rows_after || groups < reach->groups_after || !cut;) {
        struct ordered_cursor before = *out;
        ordered_cursor_prev(&before);
        if (!in_base(base, &before))
            return false;
        cut = over_may_cut(state, &before, out);
        const struct over_entry *entry = ordered_table_payload(state->table, out->slot);
        rows += entry->count;
        groups += cut;
        *out = before;
    }
    if (state->range_span == 0)
        return true;
    struct ordered_cursor reached;
    int64_t until;
    if (__builtin_sub_overflow(closed, state->range_span, &until) ||
        !last_until(state, base, until, &reached))
        return false;
    uint32_t bytes, reached_bytes;
    const uint8_t *key = ordered_cursor_key(out, &bytes);
    const uint8_t *reached_key = ordered_cursor_key(&reached, &reached_bytes);
    int order = memcmp(reached_key, key, bytes < reached_bytes ? bytes : reached_bytes);
    if (order < 0 || (order == 0 && reached_bytes < bytes))
        *out = reached;
    return true;
}

static void forget_until(struct over_state *state, struct over_base *base, const struct ordered_cursor *last)
{
    struct strbuf end = STRBUF_INIT;
    uint32_t bytes;
    const uint8_t *key = ordered_cursor_key(last, &bytes);
    strbuf_add(&end, key, bytes);
    strbuf_add(&end, "", 1);
    if (state->reach.head) {
        arena_reset(&state->scratch);
        struct over_summary *sum = over_fold_rows(state, &state->scratch, base->prefix, base->prefix_bytes,
                                                  end.data, (uint32_t)end.len);
        over_summary_append(state, summary_of(base), sum);
        over_summary_release(state, sum);
    }
    bool more = true;
    while (more) {
        struct ordered_cursor at;
        ordered_table_seek(state->table, base->prefix, base->prefix_bytes, &at);
        key = ordered_cursor_key(&at, &bytes);
        strbuf_reset(&state->key);
        strbuf_add(&state->key, key, bytes);
        more = bytes + 1 != end.len || memcmp(key, end.data, bytes) != 0;
        ordered_table_remove(state->table, state->key.data, bytes);
    }
    strbuf_release(&end);
}

/* When something can be forgotten next, or nothing can before another row comes. */
static void wait_for_next(struct over_state *state, uint32_t slot, int64_t closed)
{
    struct over_base *base = ordered_table_payload(state->bases, slot);
    struct ordered_cursor at;
    int64_t time;
    base->is_waiting = false;
    ordered_table_seek(state->table, base->prefix, base->prefix_bytes, &at);
    if (!in_base(base, &at)) {
        if (!state->reach.head)
            drop_base(state, base);
        return;
    }
    bool known = row_time(state, &at, &time);
    if (known && __builtin_add_overflow(time, state->range_span, &time))
        return;                     /* never */
    if (!known || time <= closed) { /* kept for its number: until rows follow */
        time_key(state, base, closed, true);
        ordered_table_seek(state->table, state->key.data, (uint32_t)state->key.len, &at);
        known = in_base(base, &at) && row_time(state, &at, &time);
    }
    if (!known)
        return;
    base->is_waiting = true;
    base->time = time;
    expiry_queue_add(&state->expiry.queue, time, slot);
}

static void forget_rows(struct over_state *state, uint32_t slot, int64_t closed)
{
    struct over_base *base = ordered_table_payload(state->bases, slot);
    struct ordered_cursor last;
    ordered_table_touch(state->bases, slot);
    if (closed != INT64_MIN && last_forgettable(state, base, closed, &last))
        forget_until(state, base, &last);
    wait_for_next(state, slot, closed);
}

void over_forget(struct over_state *state)
{
    const struct op_context *ctx = state->over.base.ctx;
    int64_t closed = op_expiry_over_by(&state->expiry, ctx->watermark);
    if (closed > TIMESTAMP_PLUS_INFINITY - 1)
        closed = TIMESTAMP_PLUS_INFINITY - 1;
    uint32_t slots[256], count;
    while ((count = op_expiry_take(&state->expiry, ctx, slots, ARRAY_COUNT(slots))) > 0)
        for (uint32_t i = 0; i < count; i++)
            forget_rows(state, slots[i], closed);
    const struct over_change *previous = NULL;
    for (uint32_t i = 0; i < state->changes_count; i++) {
        const struct over_change *change = &state->changes[i];
        bool same = previous != NULL && previous->prefix_bytes == change->prefix_bytes &&
                    memcmp(previous->key, change->key, change->prefix_bytes) == 0;
        previous = change;
        if (same)
            continue;
        uint32_t slot = make_base(state, change->key, change->prefix_bytes);
        if (slot != SLOT_NONE &&
            !((const struct over_base *)ordered_table_payload(state->bases, slot))->is_waiting)
            forget_rows(state, slot, closed);
    }
}

/* ---- checkpoints ---- */

enum { SAVED_ROWS, SAVED_GROUPS, SAVED_IS_WAITING, SAVED_TIME, SAVED_NUMBERS };

/* The next summarized call from `call` on; the number of calls: there is none. */
static uint32_t next_summarized(const struct over_state *state, uint32_t call)
{
    uint32_t calls = state->over.plan->over.calls_count;
    if (!state->reach.head)
        return calls;
    while (call < calls && !state->reach.summarized[call])
        call++;
    return call;
}

static void *state_of(const struct over_state *state, struct over_base *base, uint32_t call)
{
    return (uint8_t *)summary_of(base) + state->reach.summary_offset[call];
}

static void gather_bases(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                         struct arena *arena)
{
    struct over_state *state = of;
    uint32_t calls = state->over.plan->over.calls_count;
    int64_t *numbers[SAVED_NUMBERS];
    op_saved_slots(state->bases, slots, count, out, arena);
    out += state->partition_count;
    for (uint32_t n = 0; n < SAVED_NUMBERS; n++)
        numbers[n] = op_saved_numbers(out++, count, arena);
    for (uint32_t i = 0; i < count; i++) {
        struct over_base *base = ordered_table_payload(state->bases, slots[i]);
        numbers[SAVED_ROWS][i] = state->reach.head ? summary_of(base)->rows : 0;
        numbers[SAVED_GROUPS][i] = state->reach.head ? summary_of(base)->groups : 0;
        numbers[SAVED_IS_WAITING][i] = base->is_waiting;
        numbers[SAVED_TIME][i] = base->is_waiting ? base->time : 0;
    }
    for (uint32_t c = next_summarized(state, 0); c < calls; c = next_summarized(state, c + 1), out++) {
        struct error error;
        struct agg_call *call = over_agg_call(&state->over, c, arena, &error);
        struct strbuf bytes = STRBUF_INIT;
        column_init(out, (struct sql_type){OID_BYTEA, -1}, count, arena);
        for (uint32_t i = 0; i < count; i++) {
            strbuf_reset(&bytes);
            aggregate_save(call, state_of(state, ordered_table_payload(state->bases, slots[i]), c), &bytes);
            ((struct varlen *)out->data)[i] = varlen_copy(arena, strbuf_text(&bytes), (uint32_t)bytes.len);
        }
        strbuf_release(&bytes);
    }
}

static bool restore_states(struct over_state *state, struct over_base *base, const struct batch *rows,
                           uint32_t row, struct error *err)
{
    uint32_t calls = state->over.plan->over.calls_count, column = state->partition_count + SAVED_NUMBERS;
    for (uint32_t c = next_summarized(state, 0); c < calls; c = next_summarized(state, c + 1), column++) {
        struct error error;
        struct agg_call *call = over_agg_call(&state->over, c, &state->fold_arena, &error);
        const struct varlen *saved = (const struct varlen *)rows->columns[column].data + row;
        if (!aggregate_load(call, state_of(state, base, c), varlen_bytes(saved), saved->len, err))
            return false;
    }
    return true;
}

static bool restore_bases(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                          struct error *err)
{
    struct over_state *state = of;
    struct batch header;
    const struct batch *columns = op_restored_columns(rows, state->partition_count, &header);
    const int64_t *numbers[SAVED_NUMBERS];
    if (!op_saved_version(version, err))
        return false;
    for (uint32_t n = 0; n < SAVED_NUMBERS; n++)
        numbers[n] = op_restored_numbers(rows, state->partition_count + n);
    for (uint32_t i = 0; i < rows->rows; i++) {
        strbuf_reset(&state->key);
        batch_encode_key(columns, i, state->partition_keys, state->partition_count, &state->key);
        uint32_t prefix_bytes = (uint32_t)state->key.len;
        strbuf_add(&state->key, "", 1);
        if (!ordered_table_restore(state->bases, slots[i], state->key.data, (uint32_t)state->key.len, columns,
                                   i, NULL) ||
            numbers[SAVED_ROWS][i] < 0 || numbers[SAVED_GROUPS][i] < 0)
            return op_saved_damaged(err);
        struct over_base *base = ordered_table_payload(state->bases, slots[i]);
        set_prefix(state, base, state->key.data, prefix_bytes);
        base->is_waiting = numbers[SAVED_IS_WAITING][i] != 0;
        base->time = numbers[SAVED_TIME][i];
        if (state->reach.head) {
            summary_of(base)->rows = numbers[SAVED_ROWS][i];
            summary_of(base)->groups = numbers[SAVED_GROUPS][i];
        }
        if (!restore_states(state, base, rows, i, err))
            return false;
    }
    return true;
}

/* The partition's columns; rows and groups that are forgotten; whether and for which time it waits; states of the
 * running aggregates as bytea (aggregate.h). */
void over_forget_saved_tables(struct over_state *state, struct saved_tables *out)
{
    uint32_t calls = state->over.plan->over.calls_count;
    uint32_t count = state->partition_count + SAVED_NUMBERS;
    struct sql_type *types = ARENA_ARRAY(out->arena, struct sql_type, count + calls);
    memcpy(types, op_saved_types(out, state->partition_types, state->partition_count, SAVED_NUMBERS),
           sizeof(*types) * count);
    for (uint32_t c = next_summarized(state, 0); c < calls; c = next_summarized(state, c + 1))
        types[count++] = (struct sql_type){OID_BYTEA, -1};
    saved_tables_add(out, (struct saved_table){.name = "bases",
                                               .version = 1,
                                               .columns_count = count,
                                               .types = types,
                                               .of = state,
                                               .slots = ordered_table_slots(state->bases),
                                               .gather = gather_bases,
                                               .restore = restore_bases});
}

void over_forget_restored(struct over_state *state)
{
    const struct slot_pages *slots = ordered_table_slots(state->bases);
    uint32_t cursor = 0, slot;
    while ((slot = op_slots_next(slots, &cursor)) != SLOT_NONE) {
        const struct over_base *base = ordered_table_payload(state->bases, slot);
        if (base->is_waiting)
            expiry_queue_add(&state->expiry.queue, base->time, slot);
    }
}
