/* op_aggregate_saved.c: what checkpoints save of aggregates (storage/state/saved_table.h).
 *
 * Tables: the groups (their columns, then one column per area of the payload: int8 for those of one int64, bytea, as
 * aggregate_save writes it, for others); per multiset its values (the group's number, the values, how many copies); per
 * DISTINCT set its entries (the group's number, the values, a count per FILTER, or the bits). The one group of an
 * aggregate without group columns is in the rest, behind the last number given to a group.
 *
 * Not saved: lists of DISTINCT entries and queues of times. Every row that upsert tells counts as changed, and no
 * payload changes without it. */
#include "executor/operators/op_aggregate.h"

#include <stdio.h>

static const struct sql_type int8_type = {OID_INT8, -1}, bytea_type = {OID_BYTEA, -1};

static void add_area(struct aggregate *agg, uint32_t offset, struct agg_call *call)
{
    agg->area_types[agg->groups_count + agg->areas_count] = call != NULL ? bytea_type : int8_type;
    agg->areas[agg->areas_count++] = (struct agg_area){.offset = offset, .call = call};
}

void agg_saved_open(struct aggregate *agg)
{
    struct arena *arena = agg->base.ctx->plan_arena;
    uint32_t max = 2 + agg->calls_count + agg->value_sets_count + agg->distincts_count;
    agg->areas = ARENA_ARRAY(arena, struct agg_area, max);
    agg->area_types = ARENA_ARRAY(arena, struct sql_type, agg->groups_count + max);
    for (uint32_t g = 0; g < agg->groups_count; g++)
        agg->area_types[g] = agg->base.types[g];
    add_area(agg, offsetof(struct agg_group, rows), NULL);
    if (agg->has_numbers)
        add_area(agg, sizeof(struct agg_group), NULL);
    for (uint32_t c = 0; c < agg->calls_count; c++) {
        const struct aggregate_row *row = agg->calls[c].aggregate;
        if (agg->call_values[c] != NULL || agg->offsets[c] == offsetof(struct agg_group, rows))
            continue;
        add_area(agg, agg->offsets[c], row->state_bytes == 8 && row->save == NULL ? NULL : &agg->calls[c]);
    }
    for (uint32_t v = 0; v < agg->value_sets_count; v++)
        add_area(agg, agg->value_sets[v]->count_offset, NULL);
}

/* ---- groups ---- */

static void gather_areas(struct aggregate *agg, struct agg_group *const *groups, uint32_t count,
                         struct column *out, struct arena *arena)
{
    struct strbuf bytes = STRBUF_INIT;
    for (uint32_t a = 0; a < agg->areas_count; a++) {
        const struct agg_area *area = &agg->areas[a];
        column_init(&out[a], agg->area_types[agg->groups_count + a], count, arena);
        int64_t *words = out[a].data;
        struct varlen *states = out[a].data;
        for (uint32_t i = 0; i < count; i++) {
            const uint8_t *from = (const uint8_t *)groups[i] + area->offset;
            if (area->call == NULL) {
                memcpy(&words[i], from, sizeof(words[i]));
                continue;
            }
            strbuf_reset(&bytes);
            aggregate_save(area->call, from, &bytes);
            states[i] = varlen_copy(arena, strbuf_text(&bytes), (uint32_t)bytes.len);
        }
    }
    strbuf_release(&bytes);
}

/* Row `row` of the columns into a group of zero bytes. */
static bool restore_areas(struct aggregate *agg, struct agg_group *group, const struct column *columns,
                          uint32_t row, struct error *err)
{
    for (uint32_t a = 0; a < agg->areas_count; a++) {
        const struct agg_area *area = &agg->areas[a];
        uint8_t *to = (uint8_t *)group + area->offset;
        if (area->call == NULL) {
            memcpy(to, (const int64_t *)columns[a].data + row, sizeof(int64_t));
            continue;
        }
        const struct varlen *state = (const struct varlen *)columns[a].data + row;
        if (!aggregate_load(area->call, to, varlen_bytes(state), state->len, err))
            return false;
    }
    return true;
}

static void gather_groups(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                          struct arena *arena)
{
    struct aggregate *agg = of;
    struct agg_group **groups = arena_alloc(arena, sizeof(*groups) * count);
    for (uint32_t i = 0; i < count; i++)
        groups[i] = hashed_table_payload(agg->table, slots[i]);
    hashed_table_gather_keys(agg->table, slots, count, out, arena);
    gather_areas(agg, groups, count, out + agg->groups_count, arena);
}

/* Hashes and column numbers of the first `count` columns, in scratch. */
static uint64_t *hash_keys(struct arena *scratch, const struct batch *rows, uint32_t count,
                           const uint32_t **columns)
{
    uint32_t *numbers = arena_alloc(scratch, sizeof(uint32_t) * (count + 1));
    uint64_t *hashes = arena_alloc(scratch, sizeof(uint64_t) * rows->rows);
    for (uint32_t c = 0; c < count; c++)
        numbers[c] = c;
    batch_hash(rows, numbers, count, hashes);
    *columns = numbers;
    return hashes;
}

static bool restore_groups(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                           struct error *err)
{
    struct aggregate *agg = of;
    const uint32_t *columns;
    (void)version;
    arena_reset(&agg->scratch);
    const uint64_t *hashes = hash_keys(&agg->scratch, rows, agg->groups_count, &columns);
    for (uint32_t i = 0; i < rows->rows; i++) {
        hashed_table_restore(agg->table, slots[i], rows, i, columns, hashes);
        if (!restore_areas(agg, hashed_table_payload(agg->table, slots[i]), rows->columns + agg->groups_count,
                           i, err))
            return false;
        if (agg->expiry.is_on)
            op_expiry_add(&agg->expiry, &rows->columns[agg->expiry.column], i, slots[i]);
    }
    return true;
}

/* ---- DISTINCT sets ---- */

static uint32_t distinct_words(const struct agg_distinct *set)
{
    return set->only_inserts ? 1 : set->variants_count;
}

static void gather_distinct(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                            struct arena *arena)
{
    struct agg_distinct *set = of;
    hashed_table_gather_keys(set->table, slots, count, out, arena);
    for (uint32_t w = 0; w < distinct_words(set); w++) {
        struct column *column = &out[1 + set->columns_count + w];
        column_init(column, int8_type, count, arena);
        int64_t *words = column->data;
        for (uint32_t i = 0; i < count; i++)
            words[i] = ((const int64_t *)hashed_table_payload(set->table, slots[i]))[w];
    }
}

static bool restore_distinct(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                             struct error *err)
{
    struct agg_distinct *set = of;
    struct arena arena;
    const uint32_t *columns;
    (void)version;
    (void)err;
    arena_init(&arena, NULL);
    const uint64_t *hashes = hash_keys(&arena, rows, 1 + set->columns_count, &columns);
    for (uint32_t i = 0; i < rows->rows; i++) {
        hashed_table_restore(set->table, slots[i], rows, i, columns, hashes);
        int64_t *words = hashed_table_payload(set->table, slots[i]);
        for (uint32_t w = 0; w < distinct_words(set); w++)
            words[w] = ((const int64_t *)rows->columns[1 + set->columns_count + w].data)[i];
    }
    arena_release(&arena);
    return true;
}

/* Slots of groups by their numbers, while lists are made. */
struct number_index {
    uint32_t *slots; /* slot + 1; 0: free */
    uint64_t mask;
};

static uint64_t number_place(const struct number_index *index, uint64_t number)
{
    return (number * UINT64_C(0x9E3779B97F4A7C15)) >> 20 & index->mask;
}

static struct agg_group *find_number(struct aggregate *agg, const struct number_index *index, uint64_t number)
{
    for (uint64_t at = number_place(index, number); index->slots[at] != 0; at = (at + 1) & index->mask) {
        struct agg_group *group = hashed_table_payload(agg->table, index->slots[at] - 1);
        if (*agg_group_number(group) == number)
            return group;
    }
    return NULL;
}

/* The entries of each group become a list again. */
static bool link_entries(struct aggregate *agg, struct error *err)
{
    struct number_index index = {.mask = 15};
    uint64_t groups = hashed_table_rows(agg->table);
    while (index.mask < groups * 2)
        index.mask = index.mask * 2 + 1;
    index.slots = mem_zalloc(sizeof(uint32_t) * (index.mask + 1));
    uint32_t cursor = 0, slot;
    while ((slot = hashed_table_next(agg->table, &cursor)) != SLOT_NONE) {
        uint64_t at = number_place(&index, *agg_group_number(hashed_table_payload(agg->table, slot)));
        while (index.slots[at] != 0)
            at = (at + 1) & index.mask;
        index.slots[at] = slot + 1;
    }
    bool ok = true;
    for (uint32_t d = 0; d < agg->distincts_count && ok; d++) {
        struct agg_distinct *set = &agg->distincts[d];
        cursor = 0;
        while (ok && (slot = hashed_table_next(set->table, &cursor)) != SLOT_NONE) {
            struct datum number = hashed_table_key(set->table, slot, 0);
            struct agg_group *group = find_number(agg, &index, (uint64_t)number.i64);
            ok = group != NULL;
            if (ok)
                agg_distinct_link(set, slot, group);
        }
    }
    mem_free(index.slots);
    return ok ||
           error_set(err, ERRCODE_DATA_CORRUPTED, "stored DISTINCT values of a group that is not there");
}

/* ---- the operator ---- */

static const char *numbered(struct arena *arena, const char *what, uint32_t number)
{
    char name[64];
    snprintf(name, sizeof(name), "%s %u", what, number + 1);
    return arena_strdup(arena, name);
}

void agg_saved_tables(struct operator* op, struct saved_tables *out)
{
    struct aggregate *agg = (struct aggregate *)op;
    if (agg->table != NULL)
        saved_tables_add(out, (struct saved_table){.name = "groups",
                                                   .version = 1,
                                                   .columns_count = agg->groups_count + agg->areas_count,
                                                   .types = agg->area_types,
                                                   .of = agg,
                                                   .slots = hashed_table_slots(agg->table),
                                                   .index = hashed_table_index(agg->table),
                                                   .gather = gather_groups,
                                                   .restore = restore_groups});
    for (uint32_t v = 0; v < agg->value_sets_count; v++)
        agg_value_set_saved(agg->value_sets[v], numbered(out->arena, "values", v), out);
    for (uint32_t d = 0; d < agg->distincts_count; d++) {
        struct agg_distinct *set = &agg->distincts[d];
        uint32_t keys_count = 1 + set->columns_count, words = distinct_words(set);
        struct sql_type *types = ARENA_ARRAY(out->arena, struct sql_type, keys_count + words);
        types[0] = int8_type;
        for (uint32_t c = 0; c < set->columns_count; c++)
            types[1 + c] = op->plan->children[0]->types[set->columns[c]];
        for (uint32_t w = 0; w < words; w++)
            types[keys_count + w] = int8_type;
        saved_tables_add(out, (struct saved_table){.name = numbered(out->arena, "distinct", d),
                                                   .version = 1,
                                                   .columns_count = keys_count + words,
                                                   .types = types,
                                                   .of = set,
                                                   .slots = hashed_table_slots(set->table),
                                                   .index = hashed_table_index(set->table),
                                                   .gather = gather_distinct,
                                                   .restore = restore_distinct});
    }
}

/* One row: the last number, then what there is of the single group. */
static uint32_t rest_columns(struct aggregate *agg, struct arena *arena, struct sql_type **types)
{
    uint32_t count = 1 + (agg->single != NULL ? agg->areas_count : 0);
    *types = ARENA_ARRAY(arena, struct sql_type, count);
    (*types)[0] = int8_type;
    memcpy(*types + 1, agg->area_types, sizeof(struct sql_type) * (count - 1));
    return count;
}

void agg_save_rest(struct operator* op, struct strbuf *out)
{
    struct aggregate *agg = (struct aggregate *)op;
    struct sql_type *types;
    arena_reset(&agg->scratch);
    struct batch *row = batch_header(&agg->scratch, rest_columns(agg, &agg->scratch, &types));
    row->rows = 1;
    column_init(&row->columns[0], int8_type, 1, &agg->scratch);
    *(int64_t *)row->columns[0].data = (int64_t)agg->next_number;
    if (agg->single != NULL)
        gather_areas(agg, &agg->single, 1, row->columns + 1, &agg->scratch);
    batch_serialize(row, out);
}

bool agg_restore_rest(struct operator* op, const void *rest, size_t rest_bytes, struct error *err)
{
    struct aggregate *agg = (struct aggregate *)op;
    struct sql_type *types;
    size_t used = 0;
    arena_reset(&agg->scratch);
    uint32_t count = rest_columns(agg, &agg->scratch, &types);
    struct batch *row = batch_create(&agg->scratch, types, count, 1);
    if (rest_bytes > 0 && !batch_deserialize(row, rest, rest_bytes, &used, err))
        return false;
    if (row->rows != 1 || used != rest_bytes)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "stored state of an aggregate is damaged");
    agg->next_number = (uint64_t) * (const int64_t *)row->columns[0].data;
    if (agg->single != NULL && !restore_areas(agg, agg->single, row->columns + 1, 0, err))
        return false;
    bool has_links = false;
    for (uint32_t d = 0; d < agg->distincts_count; d++)
        has_links = has_links || agg->distincts[d].has_links;
    return !has_links || link_entries(agg, err);
}
