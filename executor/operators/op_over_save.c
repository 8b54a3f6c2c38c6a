/* op_over_save.c: what checkpoints save of a view's window functions: the rows with their counts, the partitions that will
 * be forgotten, what stands for forgotten rows (op_over_forget.c), and the distances that were seen. Summaries of the
 * tree's nodes are made again when they are needed. */
#include "executor/operators/op_over.h"

#include "executor/operators/op_saved.h"

static void gather_entries(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                           struct arena *arena)
{
    struct over_state *state = of;
    op_saved_slots(state->table, slots, count, out, arena);
    int64_t *counts = op_saved_numbers(&out[state->child_columns], count, arena);
    for (uint32_t i = 0; i < count; i++)
        counts[i] = ((const struct over_entry *)ordered_table_payload(state->table, slots[i]))->count;
}

static bool restore_entries(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                            struct error *err)
{
    struct over_state *state = of;
    struct batch header;
    const struct batch *columns = op_restored_columns(rows, state->child_columns, &header);
    const int64_t *counts = op_restored_numbers(rows, state->child_columns);
    if (!op_saved_version(version, err))
        return false;
    for (uint32_t i = 0; i < rows->rows; i++) {
        uint32_t prefix_bytes, peer_bytes;
        over_row_key(state, columns, i, &prefix_bytes, &peer_bytes);
        if (!ordered_table_restore(state->table, slots[i], state->key.data, (uint32_t)state->key.len, columns,
                                   i, NULL) ||
            counts[i] == 0)
            return op_saved_damaged(err);
        struct over_entry *entry = ordered_table_payload(state->table, slots[i]);
        entry->count = counts[i];
        entry->peer_bytes = peer_bytes;
    }
    return true;
}

/* "rows": the child's columns, count. "partitions": those that will be forgotten. "bases": see there. */
void over_saved_tables(struct operator* op, struct saved_tables *out)
{
    struct over_state *state = (struct over_state *)op;
    const struct sql_type *types = op->plan->children[0]->types;
    saved_tables_add(out, (struct saved_table){.name = "rows",
                                               .version = 1,
                                               .columns_count = state->child_columns + 1,
                                               .types = op_saved_types(out, types, state->child_columns, 1),
                                               .of = state,
                                               .slots = ordered_table_slots(state->table),
                                               .gather = gather_entries,
                                               .restore = restore_entries});
    if (state->forgettable != NULL)
        op_saved_keys(out, "partitions", state->forgettable, state->partition_types, state->partition_count);
    if (state->bases != NULL)
        over_forget_saved_tables(state, out);
}

enum { REST_NUMBERS = 6 };

/* The greatest distances that any row has asked for. */
static void distances(struct over_state *state, int64_t **out)
{
    struct over_reach *reach = &state->reach;
    int64_t *all[REST_NUMBERS] = {&reach->rows_after,    &reach->rows_before, &reach->groups_after,
                                  &reach->groups_before, &reach->first_rows,  &state->range_span};
    memcpy(out, all, sizeof(all));
}

void over_save_rest(struct operator* op, struct strbuf *out)
{
    int64_t *at[REST_NUMBERS];
    distances((struct over_state *)op, at);
    for (uint32_t i = 0; i < REST_NUMBERS; i++)
        op_rest_add(out, at[i], 1);
}

bool over_restore_rest(struct operator* op, const void *rest, size_t rest_bytes, struct error *err)
{
    struct over_state *state = (struct over_state *)op;
    int64_t *at[REST_NUMBERS], values[REST_NUMBERS];
    if (!op_rest_take(rest, rest_bytes, values, REST_NUMBERS, err))
        return false;
    distances(state, at);
    for (uint32_t i = 0; i < REST_NUMBERS; i++) {
        if (values[i] < *at[i])
            return op_saved_damaged(err); /* less than the plan says by itself */
        *at[i] = values[i];
    }
    if (state->forgettable != NULL)
        op_expiry_add_all(&state->expiry, state->forgettable, op->plan->over.partition,
                          state->partition_types, state->partition_count);
    if (state->bases != NULL)
        over_forget_restored(state);
    return true;
}
