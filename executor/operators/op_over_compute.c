/* op_over_compute.c: the window functions over one sorted partition.
 *
 * Aggregates slide: the rows a frame gains are added and those it loses are taken back, since bounds never go
 * back; excluded rows are taken out for the one result. min and max slide with a queue of candidates. Those
 * that need all values (string_agg ...) collect each frame in row order. A row whose frame equals its
 * predecessor's copies the result. */
#include "executor/operators/op_over.h"

#include "storage/state/slot_pages.h"

#define CHUNK 1024

/* ---- helpers ---- */

static void set_result(struct over_partition *partition, struct column *result, uint32_t position,
                       const struct datum *value)
{
    uint32_t row = partition->first + position;
    if (value->is_null)
        column_set_null(result, row, partition->rows->rows, partition->arena);
    else
        column_set(result, row, value, partition->rows->rows, partition->arena);
}

static struct datum input_value(const struct over_partition *partition, uint32_t column, uint32_t position)
{
    const struct column *from = &partition->rows->columns[column];
    uint32_t row = partition->first + position;
    return column_is_null(from, row) ? datum_null() : column_get(from, row);
}

static int64_t integer_value(const struct over_partition *partition, uint32_t column,
                             const struct datum *value)
{
    enum phys phys = partition->rows->columns[column].phys;
    return phys == PHYS_I64 ? value->i64 : phys == PHYS_I32 ? value->i32 : value->i16;
}

/* ---- ranks ---- */

static void compute_rank(const struct plan_over_call *call, struct over_partition *partition,
                         struct column *result)
{
    for (uint32_t i = 0; i < partition->count; i++) {
        uint32_t group = partition->group[i];
        uint32_t start = partition->group_starts[group], end = partition->group_starts[group + 1];
        struct datum value = datum_i64(0);
        switch (call->kind) {
        case OVER_ROW_NUMBER:
            value.i64 = partition->rows_before + i + 1;
            break;
        case OVER_RANK:
            value.i64 = partition->rows_before + start + 1;
            break;
        case OVER_DENSE_RANK:
            value.i64 = partition->groups_before + group + 1;
            break;
        case OVER_PERCENT_RANK:
            value.f64 = partition->count > 1 ? (double)start / (double)(partition->count - 1) : 0;
            break;
        default: /* OVER_CUME_DIST */
            value.f64 = (double)end / (double)partition->count;
            break;
        }
        set_result(partition, result, i, &value);
    }
}

static bool compute_ntile(const struct plan_over_call *call, struct over_partition *partition,
                          struct column *result, struct error *err)
{
    struct datum value = input_value(partition, call->args[0], 0);
    if (!value.is_null && integer_value(partition, call->args[0], &value) <= 0)
        return error_set(err, ERRCODE_INVALID_ARGUMENT_FOR_NTILE,
                         "argument of ntile must be greater than zero");
    int64_t buckets = value.is_null ? 1 : integer_value(partition, call->args[0], &value);
    int64_t size = partition->count / buckets, larger = partition->count % buckets;
    int64_t bucket = 1, in_bucket = 0;
    for (uint32_t i = 0; i < partition->count; i++) {
        if (in_bucket == size + (bucket <= larger)) {
            bucket++;
            in_bucket = 0;
        }
        in_bucket++;
        struct datum out = {.is_null = value.is_null};
        if (result->phys == PHYS_I32)
            out.i32 = (int32_t)bucket;
        else
            out.i64 = bucket;
        set_result(partition, result, i, &out);
    }
    return true;
}

static void compute_lag(const struct plan_over_call *call, struct over_partition *partition,
                        struct column *result)
{
    for (uint32_t i = 0; i < partition->count; i++) {
        int64_t offset = 1;
        struct datum value = datum_null();
        bool is_null = false;
        if (call->args_count > 1) {
            struct datum given = input_value(partition, call->args[1], i);
            is_null = given.is_null;
            offset = is_null ? 0 : integer_value(partition, call->args[1], &given);
        }
        __int128 at = call->kind == OVER_LAG ? (__int128)i - offset : (__int128)i + offset;
        if (!is_null && at >= 0 && at < partition->count)
            value = input_value(partition, call->args[0], (uint32_t)at);
        else if (!is_null && call->args_count > 2)
            value = input_value(partition, call->args[2], i);
        set_result(partition, result, i, &value);
    }
}

/* ---- frames and exclusion ---- */

/* Positions [*start, *end) that exclusion takes out around a position; EXCLUDE TIES keeps the row itself. */
static void excluded_range(const struct plan_over_call *call, const struct over_partition *partition,
                           uint32_t i, uint32_t *start, uint32_t *end)
{
    *start = *end = i;
    if (call->frame_exclude == 1) {
        *end = i + 1;
    } else if (call->frame_exclude >= 2) {
        *start = partition->group_starts[partition->group[i]];
        *end = partition->group_starts[partition->group[i] + 1];
    }
}

static bool is_excluded(const struct plan_over_call *call, const struct over_partition *partition, uint32_t i,
                        uint32_t position)
{
    if (call->frame_exclude == 0)
        return false;
    uint32_t start, end;
    excluded_range(call, partition, i, &start, &end);
    return position >= start && position < end && !(call->frame_exclude == 3 && position == i);
}

/* A value at a position, which may be before the piece. */
struct far_value {
    int64_t position;
    struct datum value;
};

static struct datum value_at(const struct over_partition *partition, uint32_t column, int64_t position,
                             struct far_value *far)
{
    if (position >= 0)
        return input_value(partition, column, (uint32_t)position);
    if (far->position == position)
        return far->value;
    far->position = position;
    far->value = datum_null();
    uint32_t slot = over_slot_at(partition->state, partition->prefix, partition->prefix_bytes,
                                 partition->rows_before + position);
    if (slot != SLOT_NONE) {
        const struct row_layout *layout = ordered_table_layout(partition->state->table);
        far->value = row_layout_get(layout, ordered_table_row(partition->state->table, slot), column);
    }
    return far->value;
}

/* first_value, last_value, nth_value. */
static void compute_value(const struct plan_over_call *call, struct over_partition *partition,
                          const struct over_frame *frame, struct column *result, struct error **errors)
{
    struct far_value far = {0};
    bool from_first = call->frame_start == BOUND_UNBOUNDED_PRECEDING;
    for (uint32_t i = 0; i < partition->count; i++) {
        int64_t wanted = 1;
        struct datum value = datum_null();
        if (call->kind == OVER_NTH_VALUE) {
            struct datum given = input_value(partition, call->args[1], i);
            if (given.is_null) {
                set_result(partition, result, i, &value);
                continue;
            }
            wanted = integer_value(partition, call->args[1], &given);
            if (wanted <= 0) {
                struct error error;
                (void)error_set(&error, ERRCODE_INVALID_ARGUMENT_FOR_NTH_VALUE,
                                "argument of nth_value must be greater than zero");
                struct error **place = &errors[partition->first + i];
                if (*place == NULL)
                    *place = arena_copy(partition->arena, &error, sizeof(error));
                set_result(partition, result, i, &value);
                continue;
            }
        }
        int64_t start = from_first ? -partition->rows_before : frame->starts[i], end = frame->ends[i];
        if (call->frame_exclude == 0) {
            if (call->kind == OVER_LAST_VALUE && end > start)
                value = value_at(partition, call->args[0], end - 1, &far);
            else if (call->kind != OVER_LAST_VALUE && wanted <= end - start)
                value = value_at(partition, call->args[0], start + wanted - 1, &far);
        } else if (call->kind == OVER_LAST_VALUE) {
            while (end > start && end > 0 && is_excluded(call, partition, i, (uint32_t)(end - 1)))
                end--;
            if (end > start)
                value = value_at(partition, call->args[0], end - 1, &far);
        } else {
            /* what is excluded is in the piece */
            int64_t before = start < 0 ? -start : 0;
            if (wanted <= before) {
                value = value_at(partition, call->args[0], start + wanted - 1, &far);
            } else {
                wanted -= before;
                for (start += before; start < end; start++) {
                    if (is_excluded(call, partition, i, (uint32_t)start) || --wanted > 0)
                        continue;
                    value = input_value(partition, call->args[0], (uint32_t)start);
                    break;
                }
            }
        }
        set_result(partition, result, i, &value);
    }
}

/* ---- aggregates ---- */

struct over_aggregate {
    struct over *over;
    const struct plan_over_call *call;
    struct agg_call *agg;
    struct over_partition *partition;
    const struct over_frame *frame;
    struct column *result;
    struct error **errors;
    struct column *args;
    void *state;
    void *head;      /* state of the rows before the piece, where frames begin with them; or NULL */
    int64_t *minus;  /* a weight of -1 for every row */
    uint8_t *counts; /* positions that the aggregate sees: FILTER true, arguments not NULL */
};

static void mark_counted(struct over_aggregate *agg)
{
    const struct over_partition *partition = agg->partition;
    agg->counts = arena_alloc(partition->arena, partition->count);
    bool strict = (agg->call->aggregate->flags & AGG_NULLS) == 0;
    for (uint32_t i = 0; i < partition->count; i++) {
        uint32_t row = partition->first + i;
        bool counts = true;
        if (agg->call->filter >= 0) {
            const struct column *filter = &partition->rows->columns[agg->call->filter];
            counts = !column_is_null(filter, row) && ((const uint8_t *)filter->data)[row] != 0;
        }
        for (uint32_t a = 0; a < agg->call->args_count && counts && strict; a++)
            counts = !column_is_null(&agg->args[a], row);
        agg->counts[i] = counts;
    }
}

/* Adds or takes back positions [start, end) but `keep`. */
static void feed(struct over_aggregate *agg, uint32_t start, uint32_t end, uint32_t keep, bool add)
{
    uint32_t selection[CHUNK];
    void *states[CHUNK];
    uint32_t count = 0;
    if (!add && agg->minus == NULL) {
        agg->minus = arena_alloc(agg->partition->arena, sizeof(int64_t) * agg->partition->rows->rows);
        for (uint32_t i = 0; i < agg->partition->rows->rows; i++)
            agg->minus[i] = -1;
    }
    for (uint32_t i = start; i < end; i++) {
        if (agg->counts[i] && i != keep) {
            states[count] = agg->state;
            selection[count++] = agg->partition->first + i;
        }
        if (count == CHUNK || (i + 1 == end && count > 0)) {
            agg->call->aggregate->add(agg->agg, agg->args, selection, count, add ? NULL : agg->minus, states);
            count = 0;
        }
    }
}

static void clear_state(struct over_aggregate *agg)
{
    if (agg->call->aggregate->release != NULL)
        agg->call->aggregate->release(agg->agg, agg->state);
    memset(agg->state, 0, agg->call->aggregate->state_bytes);
}

static void begin_state(struct over_aggregate *agg)
{
    clear_state(agg);
    if (agg->head != NULL)
        agg->call->aggregate->merge(agg->agg, &agg->state, &agg->head, 1);
}

static void take_error(struct over_aggregate *agg, uint32_t position)
{
    uint32_t row = agg->partition->first + position;
    if (agg->errors[row] == NULL)
        agg->errors[row] = arena_copy(agg->partition->arena, agg->agg->error, sizeof(struct error));
}

static void finish_state(struct over_aggregate *agg, uint32_t position)
{
    struct column one;
    error_init(agg->agg->error);
    column_init(&one, agg->call->type, 1, agg->partition->arena);
    column_need_nulls(&one, 1, agg->partition->arena);
    agg->call->aggregate->finish(agg->agg, &agg->state, 1, &one);
    struct datum value = one.nulls[0] ? datum_null() : column_get(&one, 0);
    if (agg->agg->error->code != ERRCODE_NONE) {
        take_error(agg, position);
        value = datum_null();
    }
    set_result(agg->partition, agg->result, position, &value);
}

static void copy_previous(struct over_aggregate *agg, uint32_t position)
{
    uint32_t row = agg->partition->first + position;
    struct datum value =
        column_is_null(agg->result, row - 1) ? datum_null() : column_get(agg->result, row - 1);
    if (agg->errors[row - 1] != NULL && agg->errors[row] == NULL)
        agg->errors[row] = agg->errors[row - 1];
    set_result(agg->partition, agg->result, position, &value);
}

static void slide(struct over_aggregate *agg)
{
    uint32_t start = 0, end = 0; /* what the state holds */
    for (uint32_t i = 0; i < agg->partition->count; i++) {
        uint32_t want_start = agg->frame->starts[i], want_end = agg->frame->ends[i];
        bool excludes = agg->call->frame_exclude != 0;
        if (i > 0 && !excludes && want_start == agg->frame->starts[i - 1] &&
            want_end == agg->frame->ends[i - 1]) {
            copy_previous(agg, i);
            continue;
        }
        if (want_start >= end || want_end <= want_start) { /* nothing in common */
            begin_state(agg);
            start = end = want_start;
        }
        if (want_start > start)
            feed(agg, start, want_start, UINT32_MAX, false);
        if (want_end > end)
            feed(agg, end, want_end, UINT32_MAX, true);
        start = want_start;
        end = want_end;
        uint32_t out_start = i, out_end = i;
        if (excludes) {
            excluded_range(agg->call, agg->partition, i, &out_start, &out_end);
            out_start = out_start < start ? start : out_start;
            out_end = out_end > end ? end : out_end;
        }
        uint32_t keep = agg->call->frame_exclude == 3 ? i : UINT32_MAX;
        if (out_start < out_end)
            feed(agg, out_start, out_end, keep, false);
        finish_state(agg, i);
        if (out_start < out_end)
            feed(agg, out_start, out_end, keep, true);
    }
}

/* Only adding is possible: every frame from scratch, or growing while the start stays. */
static void grow(struct over_aggregate *agg)
{
    bool excludes = agg->call->frame_exclude != 0;
    uint32_t start = 0, end = 0;
    for (uint32_t i = 0; i < agg->partition->count; i++) {
        uint32_t want_start = agg->frame->starts[i], want_end = agg->frame->ends[i];
        if (i > 0 && !excludes && want_start == start && want_end == end) {
            copy_previous(agg, i);
            continue;
        }
        if (i == 0 || excludes || want_start != start || want_end < end) {
            begin_state(agg);
            end = want_start;
        }
        start = want_start;
        if (excludes) {
            uint32_t out_start, out_end;
            excluded_range(agg->call, agg->partition, i, &out_start, &out_end);
            out_start = out_start < want_start ? want_start : out_start > want_end ? want_end : out_start;
            out_end = out_end < out_start ? out_start : out_end > want_end ? want_end : out_end;
            feed(agg, want_start, out_start, UINT32_MAX, true);
            if (agg->call->frame_exclude == 3 && i >= want_start && i < want_end)
                feed(agg, i, i + 1, UINT32_MAX, true);
            feed(agg, out_end, want_end, UINT32_MAX, true);
        } else {
            feed(agg, end, want_end, UINT32_MAX, true);
        }
        end = want_end;
        finish_state(agg, i);
    }
}

/* min and max of frames whose start moves: a queue of positions whose values get worse; its head is the
 * result. */
static void slide_extreme(struct over_aggregate *agg, int sign)
{
    struct over_partition *partition = agg->partition;
    uint32_t *queue = arena_alloc(partition->arena, sizeof(uint32_t) * partition->count);
    uint32_t head = 0, tail = 0, added = 0;
    for (uint32_t i = 0; i < partition->count; i++) {
        for (; added < agg->frame->ends[i]; added++) {
            if (!agg->counts[added])
                continue;
            struct datum value = input_value(partition, agg->call->args[0], added);
            while (tail > head) {
                struct datum last = input_value(partition, agg->call->args[0], queue[tail - 1]);
                if (type_compare(agg->args[0].type.oid, &value, &last) * sign <= 0)
                    break;
                tail--;
            }
            queue[tail++] = added;
        }
        while (head < tail && queue[head] < agg->frame->starts[i])
            head++;
        struct datum out = datum_null();
        if (head < tail && queue[head] < agg->frame->ends[i])
            out = input_value(partition, agg->call->args[0], queue[head]);
        set_result(partition, agg->result, i, &out);
    }
}

struct frame_values {
    struct over_aggregate *agg;
    uint32_t row, at, end;
};

static bool frame_next(struct agg_values *values, struct datum *args, int64_t *count)
{
    struct frame_values *frame = values->state;
    const struct over_aggregate *agg = frame->agg;
    for (; frame->at < frame->end; frame->at++) {
        if (!agg->counts[frame->at] || is_excluded(agg->call, agg->partition, frame->row, frame->at))
            continue;
        for (uint32_t a = 0; a < agg->call->args_count; a++)
            args[a] = input_value(agg->partition, agg->call->args[a], frame->at);
        frame->at++;
        *count = 1;
        return true;
    }
    return false;
}

static bool frame_last(struct agg_values *values, struct datum *args)
{
    int64_t count;
    bool any = false;
    while (frame_next(values, args, &count))
        any = true;
    return any;
}

static void collect_frames(struct over_aggregate *agg)
{
    for (uint32_t i = 0; i < agg->partition->count; i++) {
        if (i > 0 && agg->call->frame_exclude == 0 && agg->frame->starts[i] == agg->frame->starts[i - 1] &&
            agg->frame->ends[i] == agg->frame->ends[i - 1]) {
            copy_previous(agg, i);
            continue;
        }
        struct frame_values frame = {
            .agg = agg, .row = i, .at = agg->frame->starts[i], .end = agg->frame->ends[i]};
        struct agg_values values = {.next = frame_next, .last = frame_last, .state = &frame};
        for (uint32_t at = frame.at; at < frame.end; at++)
            values.count += agg->counts[at] && !is_excluded(agg->call, agg->partition, i, at);
        struct datum value = datum_null();
        error_init(agg->agg->error);
        if (!agg->call->aggregate->collect(agg->agg, &values, &value)) {
            take_error(agg, i);
            value = datum_null();
        }
        if (!value.is_null)
            value = datum_copy(agg->partition->arena, agg->result->phys, &value);
        set_result(agg->partition, agg->result, i, &value);
    }
}

struct agg_call *over_agg_call(struct over *over, uint32_t call, struct arena *arena, struct error *error)
{
    struct agg_call *agg = &over->calls[call];
    error_init(error);
    agg->error = error;
    agg->env = over->base.ctx->env;
    agg->arena = arena;
    agg->heap = over->heap;
    return agg;
}

static void compute_aggregate(struct over *over, uint32_t c, struct over_partition *partition,
                              const struct over_frame *frame, struct column *result, struct error **errors)
{
    const struct plan_over_call *call = &over->plan->over.calls[c];
    struct over_aggregate agg = {.over = over,
                                 .call = call,
                                 .agg = &over->calls[c],
                                 .partition = partition,
                                 .frame = frame,
                                 .result = result,
                                 .errors = errors};
    struct error error;
    (void)over_agg_call(over, c, partition->arena, &error);
    if (partition->head != NULL && call->frame_start == BOUND_UNBOUNDED_PRECEDING &&
        partition->state->reach.summarized[c])
        agg.head = (uint8_t *)(uintptr_t)partition->head + partition->state->reach.summary_offset[c];
    agg.args = arena_alloc(partition->arena, sizeof(struct column) * (call->args_count + 1));
    for (uint32_t a = 0; a < call->args_count; a++)
        agg.args[a] = partition->rows->columns[call->args[a]];
    mark_counted(&agg);
    uint32_t flags = call->aggregate->flags;
    if ((flags & AGG_ORDERED) != 0) {
        collect_frames(&agg);
        return;
    }
    if ((flags & AGG_APPEND_ONLY_ADD) != 0 && call->frame_start != BOUND_UNBOUNDED_PRECEDING &&
        call->frame_exclude == 0) {
        slide_extreme(&agg, strcmp(call->aggregate->name, "min") == 0 ? -1 : 1);
        return;
    }
    agg.state = arena_zalloc(partition->arena, call->aggregate->state_bytes);
    if ((flags & AGG_APPEND_ONLY_ADD) != 0)
        grow(&agg);
    else
        slide(&agg);
    clear_state(&agg);
}

/* ---- a partition ---- */

static void find_groups(const struct plan *plan, struct over_partition *partition)
{
    partition->group = arena_alloc(partition->arena, sizeof(uint32_t) * partition->count);
    partition->group_starts = arena_alloc(partition->arena, sizeof(uint32_t) * (partition->count + 1));
    uint32_t groups = 0;
    for (uint32_t i = 0; i < partition->count; i++) {
        if (i == 0 || op_compare_rows(partition->rows, partition->first + i, partition->rows,
                                      partition->first + i - 1, plan->over.keys, plan->over.keys_count) != 0)
            partition->group_starts[groups++] = i;
        partition->group[i] = groups - 1;
    }
    partition->group_starts[groups] = partition->count;
    partition->groups_count = groups;
}

static bool compute_call(struct over *over, uint32_t c, struct over_partition *partition,
                         struct column *result, struct error **errors, struct error *err)
{
    const struct plan_over_call *call = &over->plan->over.calls[c];
    const char *zone = over->base.ctx->env->io.timezone;
    struct over_frame frame;
    switch (call->kind) {
    case OVER_NTILE:
        return compute_ntile(call, partition, result, err);
    case OVER_LAG:
    case OVER_LEAD:
        compute_lag(call, partition, result);
        return true;
    case OVER_FIRST_VALUE:
    case OVER_LAST_VALUE:
    case OVER_NTH_VALUE:
        if (!over_frames(call, over->plan, zone, partition, &frame, errors, err))
            return false;
        compute_value(call, partition, &frame, result, errors);
        return true;
    case OVER_AGGREGATE:
        if (!over_frames(call, over->plan, zone, partition, &frame, errors, err))
            return false;
        compute_aggregate(over, c, partition, &frame, result, errors);
        return true;
    default:
        compute_rank(call, partition, result);
        return true;
    }
}

void over_compute(struct over *over, struct over_partition *partition, struct column *results,
                  struct error **errors)
{
    find_groups(over->plan, partition);
    for (uint32_t c = 0; c < over->plan->over.calls_count; c++) {
        struct error error;
        if (compute_call(over, c, partition, &results[c], errors, &error))
            continue;
        struct error *shared = arena_copy(partition->arena, &error, sizeof(error));
        for (uint32_t i = 0; i < partition->count; i++)
            if (errors[partition->first + i] == NULL)
                errors[partition->first + i] = shared;
    }
}
