/* op_aggregate.c: GROUP BY and DISTINCT, kept up to date.
 *
 * Groups lie in a hashed table; the payload holds the group's row count and every call's state, so one probe
 * per row finds all. In a tick each touched group is listed once: at the first touch its old output is
 * evaluated (vectorised per batch), at finish its new one; equal ones emit nothing, else -old +new. A group
 * whose row count is 0 goes. Without group columns there is one group that always has a row, on shard 0. An
 * error in a result (22003) withholds the group's row and is data until it goes away.
 *
 * Equal group values may look different (1.0 and 1.00). Where that can be, a multiset of the groups' values
 * as written tells which one stands for the group: the first among those that are still there.
 *
 * ONE_SHOT needs no old outputs: finish walks the table, in order of arrival. */
#include "executor/operators/op_aggregate.h"

/* ---- opening ---- */

static bool same_columns(const uint32_t *a, uint32_t count_a, const uint32_t *b, uint32_t count_b)
{
    return count_a == count_b && (count_a == 0 || memcmp(a, b, sizeof(uint32_t) * count_a) == 0);
}

static bool same_keys(const struct sort_key *a, uint32_t count_a, const struct sort_key *b, uint32_t count_b)
{
    if (count_a != count_b)
        return false;
    for (uint32_t i = 0; i < count_a; i++)
        if (a[i].column != b[i].column || a[i].descending != b[i].descending ||
            a[i].nulls_first != b[i].nulls_first)
            return false;
    return true;
}

/* The DISTINCT set and its FILTER variant a feed belongs to, shared with other calls over the same columns.
 */
static bool open_distinct(struct aggregate *agg, struct agg_feed *feed, uint32_t args_count,
                          bool only_inserts, struct error *err)
{
    struct arena *arena = agg->base.ctx->plan_arena;
    uint32_t strict = feed->strict_count < args_count ? feed->strict_count : args_count;
    struct agg_distinct *set = NULL;
    uint32_t v = 0;
    for (uint32_t d = 0; d < agg->distincts_count && set == NULL; d++) {
        struct agg_distinct *other = &agg->distincts[d];
        if (!same_columns(other->columns, other->columns_count, feed->columns, args_count))
            continue;
        v = 0;
        while (v < other->variants_count &&
               !(other->variants[v].filter == feed->filter && other->variants[v].strict_count == strict))
            v++;
        if (v < DISTINCT_VARIANTS_MAX)
            set = other;
    }
    if (set == NULL) {
        set = &agg->distincts[agg->distincts_count++];
        set->columns = feed->columns;
        set->columns_count = args_count;
        set->variants = ARENA_ARRAY(arena, struct agg_variant, agg->calls_count);
        set->only_inserts = only_inserts;
        v = 0;
    }
    if (v == set->variants_count)
        set->variants[set->variants_count++] = (struct agg_variant){feed->filter, strict};
    set->reads_values =
        set->reads_values || feed->values != NULL || (feed->call->aggregate->flags & AGG_COUNTS) == 0;
    feed->distinct = set;
    feed->variant = v;
    feed->distinct_map = ARENA_ARRAY(arena, uint32_t, feed->columns_count);
    for (uint32_t c = 0; c < feed->columns_count; c++) {
        uint32_t at = 0;
        while (at < args_count && feed->columns[at] != feed->columns[c])
            at++;
        if (at == args_count)
            return error_set(
                err, ERRCODE_INVALID_COLUMN_REFERENCE,
                "in an aggregate with DISTINCT, ORDER BY expressions must appear in argument list");
        feed->distinct_map[c] = at;
    }
    return true;
}

static bool needs_values(const struct aggregate_row *row, bool only_inserts)
{
    return (row->flags & AGG_ORDERED) != 0 || ((row->flags & AGG_APPEND_ONLY_ADD) != 0 && !only_inserts);
}

static bool needs_spellings(const struct plan *plan, bool only_inserts)
{
    bool exact = true;
    for (uint32_t g = 0; g < plan->aggregate.groups_count; g++)
        exact = exact && agg_type_is_exact(plan->types[g]);
    return !exact && !only_inserts;
}

static bool has_only_inserts(const struct aggregate *agg, const struct plan *plan)
{
    return agg->base.ctx->mode == DATAFLOW_ONE_SHOT || plan->children[0]->append_only;
}

bool op_aggregate_can_merge(const struct plan *plan, bool only_inserts)
{
    only_inserts = only_inserts || plan->children[0]->append_only;
    for (uint32_t c = 0; c < plan->aggregate.calls_count; c++) {
        const struct plan_aggregate_call *call = &plan->aggregate.calls[c];
        if (call->is_distinct || call->aggregate->merge == NULL ||
            needs_values(call->aggregate, only_inserts))
            return false;
    }
    return !needs_spellings(plan, only_inserts);
}

static bool open_call(struct aggregate *agg, const struct plan *plan, uint32_t c, struct error *err)
{
    struct arena *arena = agg->base.ctx->plan_arena;
    const struct plan_aggregate_call *spec = &plan->aggregate.calls[c];
    const struct aggregate_row *row = spec->aggregate;
    const struct sql_type *input_types = plan->children[0]->types;
    struct agg_call *call = &agg->calls[c];
    call->aggregate = row;
    call->result_type = spec->type;
    call->args_count = spec->args_count;

    bool is_ordered = needs_values(row, has_only_inserts(agg, plan));
    uint32_t order_count = is_ordered ? spec->order_count : 0;
    struct agg_feed feed = {.filter = spec->filter, .call = call, .offset = agg->payload_bytes};
    feed.columns_count = spec->args_count + order_count;
    feed.columns = ARENA_ARRAY(arena, uint32_t, feed.columns_count);
    struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, feed.columns_count);
    for (uint32_t i = 0; i < feed.columns_count; i++) {
        feed.columns[i] = i < spec->args_count ? spec->args[i] : spec->order[i - spec->args_count].column;
        types[i] = input_types[feed.columns[i]];
    }
    call->arg_types = types;
    if ((row->flags & AGG_NULLS) == 0)
        feed.strict_count = (row->flags & AGG_ORDERED_SET) != 0 ? feed.columns_count : spec->args_count;
    if ((row->flags & AGG_STAR) != 0 && spec->args_count == 0)
        feed.strict_count = 0;
    if ((row->flags & AGG_STAR) != 0 && spec->args_count == 0 && spec->filter < 0) {
        agg->offsets[c] = offsetof(struct agg_group, rows);
        return true;
    }
    agg->offsets[c] = agg->payload_bytes;
    if (!is_ordered) {
        agg->payload_bytes += row->state_bytes;
    } else {
        /* Another call may already keep the same multiset. */
        for (uint32_t e = 0; e < c; e++) {
            const struct plan_aggregate_call *other = &plan->aggregate.calls[e];
            if (agg->call_values[e] != NULL &&
                same_columns(other->args, other->args_count, spec->args, spec->args_count) &&
                same_keys(other->order, other->order_count, spec->order, spec->order_count) &&
                other->filter == spec->filter && other->is_distinct == spec->is_distinct &&
                other->keep_input_order == spec->keep_input_order &&
                (other->aggregate->flags & (AGG_NULLS | AGG_ORDERED_SET)) ==
                    (row->flags & (AGG_NULLS | AGG_ORDERED_SET))) {
                agg->call_values[c] = agg->call_values[e];
                return true;
            }
        }
        feed.values = agg_value_set_create(
            arena, types, feed.columns_count, spec->args_count, spec->order, order_count,
            spec->keep_input_order, agg->base.ctx->mode == DATAFLOW_CONTINUOUS, agg->base.ctx->account);
        feed.values->count_offset = agg->payload_bytes;
        agg->payload_bytes += sizeof(int64_t);
        agg->call_values[c] = feed.values;
        agg->value_sets[agg->value_sets_count++] = feed.values;
    }
    if (spec->is_distinct && !open_distinct(agg, &feed, spec->args_count, has_only_inserts(agg, plan), err))
        return false;
    agg->feeds[agg->feeds_count++] = feed;
    return true;
}

static void open_spellings(struct aggregate *agg, const struct plan *plan)
{
    if (!needs_spellings(plan, has_only_inserts(agg, plan)))
        return;
    agg->spellings = agg_value_set_create(agg->base.ctx->plan_arena, agg->base.types, agg->groups_count,
                                          agg->groups_count, NULL, 0, false,
                                          agg->base.ctx->mode == DATAFLOW_CONTINUOUS, agg->base.ctx->account);
    agg->spellings->count_offset = agg->payload_bytes;
    agg->payload_bytes += sizeof(int64_t);
    agg->value_sets[agg->value_sets_count++] = agg->spellings;
    agg->feeds[agg->feeds_count++] = (struct agg_feed){.columns_count = agg->groups_count,
                                                       .columns = plan->aggregate.groups,
                                                       .filter = -1,
                                                       .values = agg->spellings};
}

static bool aggregate_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct aggregate *agg = (struct aggregate *)op;
    struct arena *arena = op->ctx->plan_arena;
    arena_init(&agg->scratch, op->ctx->account);
    agg->groups_count = plan->aggregate.groups_count;
    agg->groups = plan->aggregate.groups;
    agg->calls_count = plan->aggregate.calls_count;
    agg->calls = ARENA_ARRAY(arena, struct agg_call, agg->calls_count);
    agg->offsets = ARENA_ARRAY(arena, uint32_t, agg->calls_count);
    agg->call_values = ARENA_ARRAY(arena, struct agg_value_set *, agg->calls_count);
    agg->value_sets = ARENA_ARRAY(arena, struct agg_value_set *, agg->calls_count + 1);
    agg->feeds = ARENA_ARRAY(arena, struct agg_feed, agg->calls_count + 1);
    agg->distincts = ARENA_ARRAY(arena, struct agg_distinct, agg->calls_count);
    agg->buffers = arena_alloc(arena, sizeof(struct agg_buffers));
    agg->payload_bytes = sizeof(struct agg_group);
    agg->has_numbers = needs_spellings(plan, has_only_inserts(agg, plan));
    for (uint32_t c = 0; c < agg->calls_count; c++)
        if (plan->aggregate.calls[c].is_distinct ||
            needs_values(plan->aggregate.calls[c].aggregate, has_only_inserts(agg, plan)))
            agg->has_numbers = true;
    if (agg->has_numbers)
        agg->payload_bytes += sizeof(uint64_t);
    for (uint32_t c = 0; c < agg->calls_count; c++)
        if (!open_call(agg, plan, c, err))
            return false;
    open_spellings(agg, plan);
    op_expiry_open(&agg->expiry, op->ctx, &plan->aggregate.expiry);

    for (uint32_t d = 0; d < agg->distincts_count; d++) {
        struct agg_distinct *set = &agg->distincts[d];
        struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, set->columns_count + 1);
        types[0] = (struct sql_type){OID_INT8, -1};
        for (uint32_t c = 0; c < set->columns_count; c++)
            types[c + 1] = plan->children[0]->types[set->columns[c]];
        uint32_t words = set->only_inserts ? 1 : set->variants_count + 1;
        if (agg->expiry.is_on) {
            set->has_links = true;
            set->link_offset = (uint32_t)sizeof(int64_t) * words++;
            set->first_offset = agg->payload_bytes;
            agg->payload_bytes += sizeof(uint64_t);
        }
        set->table = hashed_table_create(types, set->columns_count + 1, (uint32_t)sizeof(int64_t) * words,
                                         op->ctx->account);
    }
    struct table_heap *heap;
    if (agg->groups_count > 0) {
        agg->table = hashed_table_create(op->types, agg->groups_count, agg->payload_bytes, op->ctx->account);
        heap = hashed_table_heap(agg->table);
    } else {
        agg->single = arena_zalloc(arena, agg->payload_bytes);
        agg->single_heap = heap = table_heap_create(op->ctx->account);
    }
    for (uint32_t c = 0; c < agg->calls_count; c++)
        agg->calls[c].heap = heap;
    if (plan->aggregate.slices != NULL)
        agg_slices_open(agg, plan);
    if (op->ctx->mode == DATAFLOW_CONTINUOUS)
        agg_saved_open(agg);
    return true;
}

static void aggregate_close(struct operator* op)
{
    struct aggregate *agg = (struct aggregate *)op;
    for (uint32_t v = 0; v < agg->value_sets_count; v++)
        agg_value_set_destroy(agg->value_sets[v]);
    for (uint32_t d = 0; d < agg->distincts_count; d++)
        if (agg->distincts[d].table != NULL)
            hashed_table_destroy(agg->distincts[d].table);
    account_charge(agg->base.ctx->account, -(int64_t)sizeof(uint64_t) * agg->touched_slots_words);
    mem_free(agg->touched_slots);
    if (agg->parts != NULL)
        hashed_table_destroy(agg->parts);
    if (agg->table != NULL)
        hashed_table_destroy(agg->table);
    if (agg->single_heap != NULL)
        table_heap_destroy(agg->single_heap);
    op_expiry_close(&agg->expiry);
    arena_release(&agg->scratch);
}

/* ---- results ---- */

static struct agg_group *group_of(struct aggregate *agg, uint32_t slot)
{
    return agg->table != NULL ? hashed_table_payload(agg->table, slot) : agg->single;
}

static void evaluate_values(struct aggregate *agg, uint32_t c, struct agg_group *const *groups,
                            uint32_t count, struct column *result, struct error **errors)
{
    struct agg_call *call = &agg->calls[c];
    struct error error;
    call->error = &error;
    for (uint32_t i = 0; i < count; i++) {
        struct datum value = datum_null();
        error_init(&error);
        if (agg_value_set_collect(agg->call_values[c], call, groups[i], &value)) {
            op_result_set(result, i, &value, count, &agg->scratch);
        } else {
            op_result_set(result, i, &(struct datum){.is_null = true}, count, &agg->scratch);
            if (errors[i] == NULL)
                errors[i] = arena_copy(&agg->scratch, &error, sizeof(error));
        }
    }
}

static void evaluate_states(struct aggregate *agg, uint32_t c, struct agg_group *const *groups,
                            uint32_t count, struct column *result, struct error **errors)
{
    struct agg_call *call = &agg->calls[c];
    void **states = agg->buffers->states;
    for (uint32_t i = 0; i < count; i++)
        states[i] = (uint8_t *)groups[i] + agg->offsets[c];
    op_finish_states(call, states, count, result, errors, &agg->scratch);
}

/* Results of all calls for some groups, in scratch: a batch of calls_count columns, and an error per failed
 * group. */
static struct batch *evaluate(struct aggregate *agg, struct agg_group *const *groups, uint32_t count,
                              struct error ***errors)
{
    struct batch *results = batch_header(&agg->scratch, agg->calls_count);
    results->rows = count;
    *errors = arena_zalloc(&agg->scratch, sizeof(struct error *) * count);
    for (uint32_t c = 0; c < agg->calls_count; c++) {
        struct agg_call *call = &agg->calls[c];
        call->env = agg->base.ctx->env;
        call->arena = &agg->scratch;
        column_init(&results->columns[c], call->result_type, count, &agg->scratch);
        column_need_nulls(&results->columns[c], count, &agg->scratch);
        if (agg->call_values[c] != NULL)
            evaluate_values(agg, c, groups, count, &results->columns[c], *errors);
        else
            evaluate_states(agg, c, groups, count, &results->columns[c], *errors);
    }
    return results;
}

/* Group columns of the slots, then the results' rows `rows` (NULL: all). */
static struct batch *output_rows(struct aggregate *agg, const uint32_t *slots, const struct batch *results,
                                 const uint32_t *rows, uint32_t count, int64_t weight)
{
    struct batch *out = batch_header(&agg->scratch, agg->base.columns_count);
    out->rows = count;
    if (agg->table != NULL)
        hashed_table_gather_keys(agg->table, slots, count, out->columns, &agg->scratch);
    for (uint32_t c = 0; c < agg->calls_count; c++) {
        if (rows != NULL)
            column_gather(&out->columns[agg->groups_count + c], &results->columns[c], rows, count,
                          &agg->scratch);
        else
            out->columns[agg->groups_count + c] = results->columns[c];
    }
    if (weight != 1) {
        out->weights = arena_alloc(&agg->scratch, sizeof(int64_t) * count);
        for (uint32_t i = 0; i < count; i++)
            out->weights[i] = weight;
    }
    return out;
}

/* ---- input ---- */

static void tick_begin(struct aggregate *agg)
{
    if (agg->in_tick)
        return;
    agg->in_tick = true;
    agg->touched = NULL;
    agg->touched_count = agg->touched_cap = 0;
    agg->old = NULL;
}

static bool always_present(const struct aggregate *agg)
{
    return agg->groups_count == 0 && agg->base.ctx->shard == 0;
}

/* Marks the slot as touched; was it before? */
static bool was_touched(struct aggregate *agg, uint32_t slot)
{
    uint32_t word = slot / 64;
    if (UNLIKELY(word >= agg->touched_slots_words)) {
        uint32_t words = word + 1 > agg->touched_slots_words * 2 ? word + 1 : agg->touched_slots_words * 2;
        agg->touched_slots = mem_realloc(agg->touched_slots, sizeof(uint64_t) * words);
        memset(agg->touched_slots + agg->touched_slots_words, 0,
               sizeof(uint64_t) * (words - agg->touched_slots_words));
        account_charge(agg->base.ctx->account,
                       (int64_t)sizeof(uint64_t) * (words - agg->touched_slots_words));
        agg->touched_slots_words = words;
    }
    uint64_t bit = (uint64_t)1 << slot % 64;
    bool was = (agg->touched_slots[word] & bit) != 0;
    agg->touched_slots[word] |= bit;
    return was;
}

void agg_touch_groups(struct aggregate *agg, uint32_t rows)
{
    struct agg_buffers *buffers = agg->buffers;
    struct arena *tick_arena = agg->base.ctx->tick_arena;
    uint32_t count = 0;
    uint32_t first = agg->touched_count;
    for (uint32_t i = 0; i < rows; i++) {
        struct agg_group *group = buffers->groups[i];
        if (was_touched(agg, buffers->slots[i]))
            continue;
        struct touched_group touched = {.slot = buffers->slots[i], .old_row = UINT32_MAX};
        bool had_row = always_present(agg) ? !agg->base.ctx->initial : group->rows > 0;
        if (had_row) {
            touched.old_row = 0;
            buffers->picked[count++] = group;
        }
        ARENA_PUSH(tick_arena, agg->touched, agg->touched_count, agg->touched_cap, touched);
    }
    if (count == 0)
        return;
    struct error **errors;
    struct batch *results = evaluate(agg, buffers->picked, count, &errors);
    if (agg->old == NULL) {
        const struct sql_type *types = agg->base.types + agg->groups_count;
        agg->old = batch_create(tick_arena, types, agg->calls_count, count);
    }
    uint32_t base = agg->old->rows, done = 0;
    batch_append_range(agg->old, results, 0, count, 1);
    for (uint32_t t = first; t < agg->touched_count; t++) {
        struct touched_group *touched = &agg->touched[t];
        if (touched->old_row == UINT32_MAX)
            continue;
        touched->old_row = base + done;
        if (errors[done] != NULL) {
            touched->old_row = UINT32_MAX;
            touched->old_error = arena_copy(tick_arena, errors[done], sizeof(struct error));
        }
        done++;
    }
}

void agg_expire_groups(struct aggregate *agg, const struct batch *rows, const uint32_t *columns)
{
    if (!agg->expiry.is_on)
        return;
    const struct column *times = &rows->columns[columns[agg->expiry.column]];
    for (uint32_t i = 0; i < rows->rows; i++)
        if (agg->buffers->inserted[i])
            op_expiry_add(&agg->expiry, times, i, agg->buffers->slots[i]);
}

static bool aggregate_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct aggregate *agg = (struct aggregate *)op;
    struct agg_buffers *buffers = agg->buffers;
    arena_reset(&agg->scratch);
    if (!op_check(op, err))
        return false;
    tick_begin(agg);
    for (uint32_t c = 0; c < agg->calls_count; c++) {
        agg->calls[c].env = op->ctx->env;
        agg->calls[c].arena = &agg->scratch;
    }
    if (agg->slices != NULL) {
        agg_slices_push(agg, change);
        return true;
    }
    if (agg->table != NULL) {
        batch_hash(change, agg->groups, agg->groups_count, buffers->hashes);
        hashed_table_upsert(agg->table, change, agg->groups, buffers->hashes, buffers->slots,
                            buffers->inserted);
        for (uint32_t i = 0; i < change->rows; i++) {
            buffers->groups[i] = hashed_table_payload(agg->table, buffers->slots[i]);
            if (agg->has_numbers && buffers->inserted[i])
                *agg_group_number(buffers->groups[i]) = ++agg->next_number;
        }
        agg_expire_groups(agg, change, agg->groups);
    } else {
        for (uint32_t i = 0; i < change->rows; i++) {
            buffers->groups[i] = agg->single;
            buffers->slots[i] = 0;
        }
    }
    if (op->ctx->mode == DATAFLOW_CONTINUOUS)
        agg_touch_groups(agg, change->rows);
    if (change->weights == NULL)
        for (uint32_t i = 0; i < change->rows; i++)
            buffers->groups[i]->rows++;
    else
        for (uint32_t i = 0; i < change->rows; i++)
            buffers->groups[i]->rows += change->weights[i];
    agg_feed_all(agg->feeds, agg->feeds_count, agg->distincts, agg->distincts_count, change, buffers,
                 &agg->scratch);
    return true;
}

/* ---- output ---- */

static bool same_error(const struct error *a, const struct error *b)
{
    return a->code == b->code && strcmp(a->message, b->message) == 0;
}

static void remove_group(struct aggregate *agg, uint32_t slot, struct agg_group *group)
{
    for (uint32_t c = 0; c < agg->calls_count; c++)
        if (agg->call_values[c] == NULL && agg->calls[c].aggregate->release != NULL)
            agg->calls[c].aggregate->release(&agg->calls[c], (uint8_t *)group + agg->offsets[c]);
    hashed_table_remove(agg->table, slot);
}

/* Registered ones stay until their time comes (op_expiry.h). */
static bool is_registered(struct aggregate *agg, uint32_t slot)
{
    if (!agg->expiry.is_on)
        return false;
    struct datum value = hashed_table_key(agg->table, slot, agg->expiry.column);
    int64_t time;
    return op_expiry_has_time(&value, type_phys(agg->base.types[agg->expiry.column].oid), &time);
}

/* Groups whose time has come go without a word: their rows stay in the result. */
static void forget_groups(struct aggregate *agg)
{
    uint32_t *slots = agg->buffers->slots, count;
    while ((count = op_expiry_take(&agg->expiry, agg->base.ctx, slots, BATCH_ROWS_MAX)) > 0) {
        for (uint32_t i = 0; i < count; i++) {
            struct agg_group *group = group_of(agg, slots[i]);
            for (uint32_t v = 0; v < agg->value_sets_count; v++)
                agg_value_set_forget(agg->value_sets[v], group);
            for (uint32_t d = 0; d < agg->distincts_count; d++)
                agg_distinct_forget(&agg->distincts[d], group);
            remove_group(agg, slots[i], group);
        }
    }
}

/* Group columns that must change their spelling: respelled[t] = row of the returned batch, UINT32_MAX: none.
 */
static struct batch *find_respelled(struct aggregate *agg, const struct touched_group *touched,
                                    uint32_t count, uint32_t *respelled)
{
    memset(respelled, 0xFF, sizeof(uint32_t) * count);
    if (agg->spellings == NULL)
        return NULL;
    struct arena *scratch = &agg->scratch;
    struct batch *now = batch_create(scratch, agg->base.types, agg->groups_count, count);
    struct batch *before = batch_header(scratch, agg->groups_count);
    uint32_t *slots = arena_alloc(scratch, sizeof(uint32_t) * count);
    uint32_t *places = arena_alloc(scratch, sizeof(uint32_t) * count);
    struct datum *values = arena_alloc(scratch, sizeof(struct datum) * agg->groups_count);
    uint32_t found = 0;
    for (uint32_t t = 0; t < count; t++) {
        const struct agg_group *group = group_of(agg, touched[t].slot);
        if (group->rows <= 0 || !agg_value_set_first(agg->spellings, group, values))
            continue;
        batch_append_datums(now, values, 1);
        slots[found] = touched[t].slot;
        places[found++] = t;
    }
    before->rows = found;
    hashed_table_gather_keys(agg->table, slots, found, before->columns, scratch);
    for (uint32_t i = 0; i < found; i++)
        if (!batch_rows_identical(before, i, now, i))
            respelled[places[i]] = i;
    return now;
}

static void respell(struct aggregate *agg, const struct touched_group *touched, uint32_t count,
                    const uint32_t *respelled, const struct batch *spellings)
{
    if (spellings == NULL)
        return;
    uint32_t *columns = arena_alloc(&agg->scratch, sizeof(uint32_t) * agg->groups_count);
    for (uint32_t g = 0; g < agg->groups_count; g++)
        columns[g] = g;
    for (uint32_t t = 0; t < count; t++)
        if (respelled[t] != UINT32_MAX)
            hashed_table_set_key(agg->table, touched[t].slot, spellings, respelled[t], columns);
}

static bool finish_chunk(struct aggregate *agg, const struct touched_group *touched, uint32_t count,
                         struct error *err)
{
    struct operator* op = & agg->base;
    arena_reset(&agg->scratch);
    struct agg_group **alive = agg->buffers->picked;
    uint32_t alive_count = 0;
    uint32_t *new_row = arena_alloc(&agg->scratch, sizeof(uint32_t) * count);
    for (uint32_t t = 0; t < count; t++) {
        struct agg_group *group = group_of(agg, touched[t].slot);
        new_row[t] = UINT32_MAX;
        if (group->rows > 0 || always_present(agg)) {
            new_row[t] = alive_count;
            alive[alive_count++] = group;
        }
    }
    struct error **errors;
    struct batch *now = evaluate(agg, alive, alive_count, &errors);

    uint32_t *respelled = arena_alloc(&agg->scratch, sizeof(uint32_t) * count);
    struct batch *spellings = find_respelled(agg, touched, count, respelled);
    uint32_t *out_slots = arena_alloc(&agg->scratch, sizeof(uint32_t) * count * 2);
    uint32_t *out_rows = arena_alloc(&agg->scratch, sizeof(uint32_t) * count * 2);
    uint32_t deletes = 0, inserts = 0;
    uint32_t *in_slots = out_slots + count, *in_rows = out_rows + count;
    for (uint32_t t = 0; t < count; t++) {
        const struct error *old_error = touched[t].old_error;
        const struct error *new_error = new_row[t] != UINT32_MAX ? errors[new_row[t]] : NULL;
        if (old_error != NULL && (new_error == NULL || !same_error(old_error, new_error)) &&
            !op_error_weight(op, -1, old_error, err))
            return false;
        if (new_error != NULL && (old_error == NULL || !same_error(old_error, new_error)) &&
            !op_error_weight(op, 1, new_error, err))
            return false;
        bool has_old = touched[t].old_row != UINT32_MAX;
        bool has_new = new_row[t] != UINT32_MAX && new_error == NULL;
        if (has_old && has_new && respelled[t] == UINT32_MAX &&
            batch_rows_identical(agg->old, touched[t].old_row, now, new_row[t]))
            continue;
        if (has_old) {
            out_slots[deletes] = touched[t].slot;
            out_rows[deletes++] = touched[t].old_row;
        }
        if (has_new) {
            in_slots[inserts] = touched[t].slot;
            in_rows[inserts++] = new_row[t];
        }
    }
    if (deletes > 0 && !operator_emit(op, output_rows(agg, out_slots, agg->old, out_rows, deletes, -1), err))
        return false;
    respell(agg, touched, count, respelled, spellings);
    if (inserts > 0 && !operator_emit(op, output_rows(agg, in_slots, now, in_rows, inserts, 1), err))
        return false;
    if (agg->table == NULL)
        return true;
    for (uint32_t t = 0; t < count; t++) {
        struct agg_group *group = group_of(agg, touched[t].slot);
        if (group->rows == 0 && !is_registered(agg, touched[t].slot))
            remove_group(agg, touched[t].slot, group);
    }
    return true;
}

static bool finish_once(struct aggregate *agg, struct error *err)
{
    struct operator* op = & agg->base;
    uint32_t cursor = 0;
    uint32_t *slots = agg->buffers->slots;
    bool at_end = false;
    while (!at_end && !op->ctx->stop) {
        uint32_t count = 0;
        if (agg->table == NULL) {
            at_end = true;
            if (always_present(agg) || agg->single->rows > 0)
                slots[count++] = 0;
        } else {
            while (count < BATCH_ROWS_MAX) {
                uint32_t slot = hashed_table_next(agg->table, &cursor);
                if (slot == SLOT_NONE) {
                    at_end = true;
                    break;
                }
                if (group_of(agg, slot)->rows > 0)
                    slots[count++] = slot;
            }
        }
        if (count == 0)
            continue;
        arena_reset(&agg->scratch);
        for (uint32_t i = 0; i < count; i++)
            agg->buffers->picked[i] = group_of(agg, slots[i]);
        struct error **errors;
        struct batch *results = evaluate(agg, agg->buffers->picked, count, &errors);
        for (uint32_t i = 0; i < count; i++)
            if (errors[i] != NULL)
                return op_error_weight(op, 1, errors[i], err);
        if (!op_check(op, err) || !operator_emit(op, output_rows(agg, slots, results, NULL, count, 1), err))
            return false;
    }
    return true;
}

static bool aggregate_finish(struct operator* op, struct error *err)
{
    struct aggregate *agg = (struct aggregate *)op;
    if (agg->slices != NULL && agg->in_tick)
        agg_slices_finish(agg);
    if (op->ctx->mode == DATAFLOW_ONE_SHOT)
        return finish_once(agg, err);
    tick_begin(agg);
    if (op->ctx->initial && always_present(agg) && agg->touched_count == 0) {
        agg->buffers->groups[0] = agg->single;
        agg->buffers->slots[0] = 0;
        agg_touch_groups(agg, 1);
    }
    for (uint32_t t = 0; t < agg->touched_count; t += CHUNK_GROUPS) {
        uint32_t count = agg->touched_count - t < CHUNK_GROUPS ? agg->touched_count - t : CHUNK_GROUPS;
        if (!finish_chunk(agg, agg->touched + t, count, err))
            return false;
    }
    for (uint32_t t = 0; t < agg->touched_count; t++)
        agg->touched_slots[agg->touched[t].slot / 64] = 0;
    agg->in_tick = false;
    forget_groups(agg);
    return true;
}

static int64_t aggregate_bytes(const struct operator* op)
{
    const struct aggregate *agg = (const struct aggregate *)op;
    int64_t bytes = agg->table != NULL ? hashed_table_bytes(agg->table)
                                       : (int64_t)agg->payload_bytes + table_heap_bytes(agg->single_heap);
    bytes += (int64_t)sizeof(uint64_t) * agg->touched_slots_words + op_expiry_bytes(&agg->expiry);
    if (agg->parts != NULL)
        bytes += hashed_table_bytes(agg->parts);
    for (uint32_t v = 0; v < agg->value_sets_count; v++)
        bytes += ordered_table_bytes(agg->value_sets[v]->table);
    for (uint32_t d = 0; d < agg->distincts_count; d++)
        bytes += hashed_table_bytes(agg->distincts[d].table);
    return bytes;
}

static int64_t aggregate_due(const struct operator* op)
{
    return op_expiry_due(&((const struct aggregate *)op)->expiry);
}

static uint64_t aggregate_rows(const struct operator* op)
{
    const struct aggregate *agg = (const struct aggregate *)op;
    uint64_t rows = agg->table != NULL ? hashed_table_rows(agg->table) : 1;
    for (uint32_t v = 0; v < agg->value_sets_count; v++)
        rows += ordered_table_rows(agg->value_sets[v]->table);
    for (uint32_t d = 0; d < agg->distincts_count; d++)
        rows += hashed_table_rows(agg->distincts[d].table);
    return rows;
}

const struct operator_class op_aggregate_class = {
    .name = "aggregate",
    .bytes = sizeof(struct aggregate),
    .open = aggregate_open,
    .push = aggregate_push,
    .finish = aggregate_finish,
    .close = aggregate_close,
    .due_watermark = aggregate_due,
    .state_bytes = aggregate_bytes,
    .state_rows = aggregate_rows,
    .saved_tables = agg_saved_tables,
    .save_rest = agg_save_rest,
    .restore_rest = agg_restore_rest,
};
