/* op_over_fold.c: what stands before a piece of a partition, without walking there: rows, peer groups and states of
 * aggregates, from the summaries of the tree's nodes. */
#include "executor/operators/op_over.h"

#include "storage/state/btree.h"

static void *state_at(const struct over_state *state, const void *summary, uint32_t call)
{
    return (uint8_t *)(uintptr_t)summary + state->reach.summary_offset[call];
}

static bool slots_are_peers(const struct over_state *state, uint32_t a, uint32_t b)
{
    const struct row_layout *layout = ordered_table_layout(state->table);
    const uint8_t *row_a = ordered_table_row(state->table, a), *row_b = ordered_table_row(state->table, b);
    for (uint32_t k = 0; k < state->keys_count; k++) {
        uint32_t column = state->keys[k].column;
        bool null = row_layout_is_null(row_a, column);
        if (null != row_layout_is_null(row_b, column))
            return false;
        if (null)
            continue;
        struct datum x = row_layout_get(layout, row_a, column), y = row_layout_get(layout, row_b, column);
        if (type_compare(layout->types[column].oid, &x, &y) != 0)
            return false;
    }
    return true;
}

static void add_groups(const struct over_state *state, struct over_summary *summary, const uint32_t *slots,
                       uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (summary->groups == 0)
            summary->first = slots[i];
        if (summary->groups == 0 || !slots_are_peers(state, summary->last, slots[i]))
            summary->groups++;
        summary->last = slots[i];
    }
}

/* Adds counts[i] copies of rows[i] to the call's accumulator. Uses fold_arena. */
static void add_rows(struct over_state *state, void *accumulator, uint32_t c, const uint8_t *const *rows,
                     const int64_t *counts, uint32_t count)
{
    const struct plan_over_call *call = &state->over.plan->over.calls[c];
    const struct row_layout *layout = ordered_table_layout(state->table);
    struct arena *arena = &state->fold_arena;
    struct error error;
    struct agg_call *agg = over_agg_call(&state->over, c, arena, &error);
    struct column *args = arena_alloc(arena, sizeof(struct column) * (call->args_count + 1));
    for (uint32_t a = 0; a < call->args_count; a++)
        row_layout_gather(layout, rows, count, call->args[a], false, &args[a], arena);
    uint32_t *selection = arena_alloc(arena, sizeof(uint32_t) * count), selected = 0;
    void **states = arena_alloc(arena, sizeof(void *) * count);
    bool strict = (call->aggregate->flags & AGG_NULLS) == 0;
    for (uint32_t i = 0; i < count; i++) {
        bool counted = counts[i] > 0;
        if (counted && call->filter >= 0) {
            struct datum value = row_layout_get(layout, rows[i], (uint32_t)call->filter);
            counted = !row_layout_is_null(rows[i], (uint32_t)call->filter) && value.boolean;
        }
        for (uint32_t a = 0; a < call->args_count && counted && strict; a++)
            counted = !column_is_null(&args[a], i);
        states[selected] = accumulator;
        selection[selected] = i;
        selected += counted;
    }
    if (selected > 0)
        call->aggregate->add(agg, args, selection, selected, counts, states);
}

static void summary_add(void *ctx, void *bytes, const uint32_t *values, uint32_t count)
{
    struct over_state *state = ctx;
    struct over_summary *summary = bytes;
    struct arena *arena = &state->fold_arena;
    arena_reset(arena);
    const uint8_t **rows = arena_alloc(arena, sizeof(rows[0]) * count);
    int64_t *counts = arena_alloc(arena, sizeof(int64_t) * count);
    uint32_t *slots = arena_alloc(arena, sizeof(uint32_t) * count), kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        const struct over_entry *entry = ordered_table_payload(state->table, values[i]);
        if (entry->count <= 0)
            continue;
        rows[kept] = ordered_table_row(state->table, values[i]);
        counts[kept] = entry->count;
        slots[kept++] = values[i];
        summary->rows += entry->count;
    }
    state->rows_computed += kept;
    if (kept == 0)
        return;
    if (state->reach.counts_groups)
        add_groups(state, summary, slots, kept);
    for (uint32_t c = 0; c < state->over.plan->over.calls_count; c++)
        if (state->reach.summarized[c])
            add_rows(state, state_at(state, summary, c), c, rows, counts, kept);
}

bool over_same_state(struct over_state *state, uint32_t call, const uint8_t *const *rows, const int64_t *old,
                     const int64_t *now, uint32_t count)
{
    struct arena *arena = &state->fold_arena;
    arena_reset(arena);
    const struct aggregate_row *aggregate = state->over.calls[call].aggregate;
    void *before = arena_zalloc(arena, aggregate->state_bytes),
         *after = arena_zalloc(arena, aggregate->state_bytes);
    add_rows(state, before, call, rows, old, count);
    add_rows(state, after, call, rows, now, count);
    /* states that point at memory of their own count as different */
    bool same = memcmp(before, after, aggregate->state_bytes) == 0;
    if (aggregate->release != NULL) {
        aggregate->release(&state->over.calls[call], before);
        aggregate->release(&state->over.calls[call], after);
    }
    return same;
}

static void merge_states(struct over_state *state, struct over_summary *whole,
                         const struct over_summary *part)
{
    for (uint32_t c = 0; c < state->over.plan->over.calls_count; c++) {
        if (!state->reach.summarized[c])
            continue;
        struct error error;
        struct agg_call *agg = over_agg_call(&state->over, c, &state->fold_arena, &error);
        void *into = state_at(state, whole, c), *from = state_at(state, part, c);
        agg->aggregate->merge(agg, &into, &from, 1);
    }
}

static void summary_merge(void *ctx, void *whole_bytes, const void *part_bytes)
{
    struct over_state *state = ctx;
    struct over_summary *whole = whole_bytes;
    const struct over_summary *part = part_bytes;
    if (part->groups > 0) {
        if (whole->groups == 0)
            whole->first = part->first;
        else if (slots_are_peers(state, whole->last, part->first))
            whole->groups--;
        whole->groups += part->groups;
        whole->last = part->last;
    }
    whole->rows += part->rows;
    merge_states(state, whole, part);
}

void over_summary_append(struct over_state *state, struct over_summary *whole,
                         const struct over_summary *part)
{
    whole->rows += part->rows;
    whole->groups += part->groups;
    merge_states(state, whole, part);
}

static void summary_release(void *ctx, void *bytes)
{
    over_summary_release(ctx, bytes);
}

void over_summary_release(struct over_state *state, struct over_summary *summary)
{
    for (uint32_t c = 0; c < state->over.plan->over.calls_count; c++) {
        if (!state->reach.summarized[c] || state->over.calls[c].aggregate->release == NULL)
            continue;
        state->over.calls[c].heap = state->over.heap;
        state->over.calls[c].aggregate->release(&state->over.calls[c], state_at(state, summary, c));
    }
}

void over_summaries_init(struct over_state *state)
{
    struct over_reach *reach = &state->reach;
    uint32_t calls = state->over.plan->over.calls_count, bytes = sizeof(struct over_summary);
    reach->summary_offset = ARENA_ARRAY(state->over.base.ctx->plan_arena, uint32_t, calls + 1);
    for (uint32_t c = 0; c < calls; c++) {
        reach->summary_offset[c] = bytes;
        if (reach->summarized[c])
            bytes += state->over.calls[c].aggregate->state_bytes;
    }
    reach->summary_bytes = bytes;
    struct btree_summaries summaries = {
        .bytes = bytes, .add = summary_add, .merge = summary_merge, .release = summary_release, .ctx = state};
    ordered_table_summarize(state->table, &summaries);
}

struct over_summary *over_fold_rows(struct over_state *state, struct arena *arena, const void *prefix,
                                    uint32_t prefix_bytes, const void *key, uint32_t key_bytes)
{
    struct over_summary *summary = arena_zalloc(arena, state->reach.summary_bytes);
    ordered_table_fold(state->table, prefix, prefix_bytes, key, key_bytes, summary);
    return summary;
}

struct over_summary *over_fold(struct over_state *state, struct arena *arena, const void *prefix,
                               uint32_t prefix_bytes, const void *key, uint32_t key_bytes)
{
    const struct over_summary *forgotten = over_forgotten(state, prefix, prefix_bytes);
    struct over_summary *rows = over_fold_rows(state, arena, prefix, prefix_bytes, key, key_bytes);
    if (forgotten == NULL)
        return rows;
    struct over_summary *summary = arena_zalloc(arena, state->reach.summary_bytes);
    over_summary_append(state, summary, forgotten);
    over_summary_append(state, summary, rows);
    over_summary_release(state, rows);
    return summary;
}

uint32_t over_slot_at(struct over_state *state, const void *prefix, uint32_t prefix_bytes, int64_t position)
{
    const struct over_summary *forgotten = over_forgotten(state, prefix, prefix_bytes);
    struct ordered_cursor cursor;
    ordered_table_seek(state->table, prefix, prefix_bytes, &cursor);
    position -= forgotten != NULL ? forgotten->rows : 0;
    for (; ordered_cursor_has_prefix(&cursor, prefix, prefix_bytes); ordered_cursor_next(&cursor)) {
        const struct over_entry *entry = ordered_table_payload(state->table, cursor.slot);
        position -= entry->count;
        if (position < 0)
            return cursor.slot;
    }
    return SLOT_NONE;
}
