/* op_aggregate_slices.c: HOP: rows are added up per slice, and slices into windows.
 *
 * A window of HOP is made of whole slices (plan.h, struct plan_slices). During a tick the rows of a slice
 * are added to an accumulator of the slice; at its end this is merged into the accumulators of the windows
 * that hold the slice, and the windows go on as any touched group. So a row costs one probe, whatever
 * size / slide is, and only the touched slices of a tick are multiplied. Taking rows back works the same
 * way, as accumulators are signed; what cannot be merged is not planned like this.
 *
 * Windows whose bounds no timestamp can hold are left out: op_window has reported their rows. */
#include "executor/operators/op_aggregate.h"

void agg_slices_open(struct aggregate *agg, const struct plan *plan)
{
    struct arena *arena = agg->base.ctx->plan_arena;
    agg->slices = plan->aggregate.slices;
    agg->part_columns_count = agg->groups_count + (agg->slices->has_open ? 1 : 0);
    uint32_t *columns = ARENA_ARRAY(arena, uint32_t, agg->part_columns_count);
    struct sql_type *types = ARENA_ARRAY(arena, struct sql_type, agg->part_columns_count);
    for (uint32_t g = 0; g < agg->part_columns_count; g++) {
        columns[g] = g < agg->groups_count ? agg->groups[g] : agg->slices->open_column;
        types[g] = plan->children[0]->types[columns[g]];
    }
    agg->part_columns = columns;
    agg->parts =
        hashed_table_create(types, agg->part_columns_count, agg->payload_bytes, agg->base.ctx->account);
}

void agg_slices_push(struct aggregate *agg, const struct batch *change)
{
    struct agg_buffers *buffers = agg->buffers;
    batch_hash(change, agg->part_columns, agg->part_columns_count, buffers->hashes);
    hashed_table_upsert(agg->parts, change, agg->part_columns, buffers->hashes, buffers->slots,
                        buffers->inserted);
    for (uint32_t i = 0; i < change->rows; i++) {
        buffers->groups[i] = hashed_table_payload(agg->parts, buffers->slots[i]);
        buffers->groups[i]->rows += batch_weight(change, i);
    }
    agg_feed_all(agg->feeds, agg->feeds_count, NULL, 0, change, buffers, &agg->scratch);
}

/* Slices and, for each, one window that holds it. */
struct slice_windows {
    uint32_t *parts; /* slots */
    int64_t *starts; /* of the windows */
    uint32_t count;
};

static void merge_windows(struct aggregate *agg, struct slice_windows *found)
{
    const struct plan_slices *slices = agg->slices;
    struct agg_buffers *buffers = agg->buffers;
    uint32_t count = found->count;
    if (count == 0)
        return;
    found->count = 0;
    arena_reset(&agg->scratch);
    struct batch *keys = batch_header(&agg->scratch, agg->part_columns_count);
    keys->rows = count;
    hashed_table_gather_keys(agg->parts, found->parts, count, keys->columns, &agg->scratch);
    uint32_t *columns = arena_alloc(&agg->scratch, sizeof(uint32_t) * agg->groups_count);
    for (uint32_t g = 0; g < agg->groups_count; g++) {
        columns[g] = g;
        if (slices->roles[g] == ROLE_NONE)
            continue;
        int64_t shift = slices->roles[g] == ROLE_WINDOW_END ? slices->size_us : 0;
        int64_t *times = keys->columns[g].data;
        for (uint32_t i = 0; i < count; i++)
            times[i] = found->starts[i] + shift;
    }
    batch_hash(keys, columns, agg->groups_count, buffers->hashes);
    hashed_table_upsert(agg->table, keys, columns, buffers->hashes, buffers->slots, buffers->inserted);
    for (uint32_t i = 0; i < count; i++) {
        buffers->groups[i] = hashed_table_payload(agg->table, buffers->slots[i]);
    }
    agg_expire_groups(agg, keys, columns);
    if (agg->base.ctx->mode == DATAFLOW_CONTINUOUS)
        agg_touch_groups(agg, count);
    struct agg_group **parts = buffers->picked;
    for (uint32_t i = 0; i < count; i++) {
        parts[i] = hashed_table_payload(agg->parts, found->parts[i]);
        buffers->groups[i]->rows += parts[i]->rows;
    }
    void **part_states = arena_alloc(&agg->scratch, sizeof(void *) * count);
    for (uint32_t c = 0; c < agg->calls_count; c++) {
        if (agg->offsets[c] == offsetof(struct agg_group, rows))
            continue;
        for (uint32_t i = 0; i < count; i++) {
            buffers->states[i] = (uint8_t *)buffers->groups[i] + agg->offsets[c];
            part_states[i] = (uint8_t *)parts[i] + agg->offsets[c];
        }
        agg->calls[c].aggregate->merge(&agg->calls[c], buffers->states, part_states, count);
    }
}

/* Where the slices start, from the first group column with a role, and the first window that takes their rows. */
static void slice_starts(struct aggregate *agg, const uint32_t *slots, uint32_t count, int64_t *starts,
                         int64_t *opens)
{
    const struct plan_slices *slices = agg->slices;
    arena_reset(&agg->scratch);
    uint32_t g = 0;
    while (slices->roles[g] == ROLE_NONE)
        g++;
    struct column *keys = arena_alloc(&agg->scratch, sizeof(struct column) * agg->part_columns_count);
    hashed_table_gather_keys(agg->parts, slots, count, keys, &agg->scratch);
    int64_t shift = slices->roles[g] == ROLE_WINDOW_END ? slices->slice_us : 0;
    for (uint32_t i = 0; i < count; i++)
        starts[i] = ((const int64_t *)keys[g].data)[i] - shift;
    for (uint32_t i = 0; i < count; i++)
        opens[i] = slices->has_open ? ((const int64_t *)keys[agg->groups_count].data)[i] : INT64_MIN;
}

static void release_part(struct aggregate *agg, uint32_t slot)
{
    uint8_t *part = hashed_table_payload(agg->parts, slot);
    for (uint32_t c = 0; c < agg->calls_count; c++)
        if (agg->calls[c].aggregate->release != NULL)
            agg->calls[c].aggregate->release(&agg->calls[c], part + agg->offsets[c]);
    hashed_table_remove(agg->parts, slot);
}

void agg_slices_finish(struct aggregate *agg)
{
    const struct plan_slices *slices = agg->slices;
    struct arena list;
    arena_init(&list, agg->base.ctx->account);
    uint32_t *slots = arena_alloc(&list, sizeof(uint32_t) * BATCH_ROWS_MAX);
    int64_t *starts = arena_alloc(&list, sizeof(int64_t) * BATCH_ROWS_MAX);
    int64_t *opens = arena_alloc(&list, sizeof(int64_t) * BATCH_ROWS_MAX);
    struct slice_windows found = {.parts = arena_alloc(&list, sizeof(uint32_t) * BATCH_ROWS_MAX),
                                  .starts = arena_alloc(&list, sizeof(int64_t) * BATCH_ROWS_MAX)};
    __int128 slide = slices->slide_us, size = slices->size_us;
    for (uint32_t cursor = 0, slot = 0; slot != SLOT_NONE;) {
        uint32_t count = 0;
        while (count < BATCH_ROWS_MAX && (slot = hashed_table_next(agg->parts, &cursor)) != SLOT_NONE)
            slots[count++] = slot;
        slice_starts(agg, slots, count, starts, opens);
        for (uint32_t i = 0; i < count; i++) {
            __int128 since = (__int128)starts[i] - slices->offset_us;
            __int128 last = since / slide - (since % slide < 0);
            for (__int128 k = last; k * slide + size > since; k--) {
                __int128 start = k * slide + slices->offset_us;
                if (start < opens[i])
                    break;
                if (start <= INT64_MIN || start + size >= INT64_MAX)
                    continue;
                found.parts[found.count] = slots[i];
                found.starts[found.count++] = (int64_t)start;
                if (found.count == BATCH_ROWS_MAX)
                    merge_windows(agg, &found);
            }
        }
        merge_windows(agg, &found);
        for (uint32_t i = 0; i < count; i++)
            release_part(agg, slots[i]);
    }
    arena_release(&list);
}
