/* op_aggregate_feed.c: which rows reach which aggregate: FILTER, NULL arguments, DISTINCT.
 *
 * DISTINCT keeps an entry per (group, values), looked up once per row for all FILTERs; a call sees +1 when
 * its count in there rises above zero and -1 when it falls back. The values handed on are the set's own
 * representatives, so that what was added is exactly what is taken back. */
#include "executor/operators/op_aggregate.h"

/* Rows that pass; NULL: all of them. */
static const uint32_t *select_rows(const struct batch *change, int32_t filter, const uint32_t *columns,
                                   uint32_t strict_count, uint32_t *selection, uint32_t *count)
{
    bool all = filter < 0;
    for (uint32_t c = 0; c < strict_count && all; c++)
        all = change->columns[columns[c]].nulls == NULL;
    *count = change->rows;
    if (all)
        return NULL;
    uint32_t kept = 0;
    if (filter >= 0) {
        const struct column *column = &change->columns[filter];
        const uint8_t *is_true = column->data;
        for (uint32_t i = 0; i < change->rows; i++) {
            selection[kept] = i;
            kept += is_true[i] != 0 && (column->nulls == NULL || !column->nulls[i]);
        }
    } else {
        for (; kept < change->rows; kept++)
            selection[kept] = kept;
    }
    for (uint32_t c = 0; c < strict_count; c++) {
        const uint8_t *nulls = change->columns[columns[c]].nulls;
        if (nulls == NULL)
            continue;
        uint32_t before = kept;
        kept = 0;
        for (uint32_t i = 0; i < before; i++) {
            uint32_t row = selection[i];
            selection[kept] = row;
            kept += !nulls[row];
        }
    }
    *count = kept;
    return kept == change->rows ? NULL : selection;
}

static void feed_rows(struct agg_feed *feed, struct column *columns, uint32_t rows, const uint32_t *selection,
                      uint32_t count, const int64_t *weights, struct agg_group *const *groups, void **states)
{
    if (feed->values != NULL) {
        agg_value_set_add(feed->values, columns, rows, selection, count, weights, groups);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        states[i] = (uint8_t *)groups[i] + feed->offset;
    feed->call->aggregate->add(feed->call, columns, selection, count, weights, states);
}

/* A call that only counts, over rows that pass `filter` (NULL: all): no list of rows is made. */
static void count_rows(const struct agg_feed *feed, const struct batch *change,
                       struct agg_group *const *groups)
{
    const uint8_t *is_true = NULL, *nulls = NULL;
    if (feed->filter >= 0) {
        is_true = change->columns[feed->filter].data;
        nulls = change->columns[feed->filter].nulls;
    }
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t weight = batch_weight(change, i);
        if (is_true != NULL && (!is_true[i] || (nulls != NULL && nulls[i])))
            weight = 0;
        *(int64_t *)((uint8_t *)groups[i] + feed->offset) += weight;
    }
}

static bool is_strict(const struct agg_feed *feed, const struct batch *change)
{
    for (uint32_t c = 0; c < feed->strict_count; c++)
        if (change->columns[feed->columns[c]].nulls != NULL)
            return true;
    return false;
}

static void feed_plain(struct agg_feed *feed, const struct batch *change, struct agg_buffers *buffers,
                       struct arena *scratch)
{
    if (feed->values == NULL && (feed->call->aggregate->flags & AGG_COUNTS) != 0 &&
        !is_strict(feed, change)) {
        count_rows(feed, change, buffers->groups);
        return;
    }
    uint32_t count;
    const uint32_t *selection =
        select_rows(change, feed->filter, feed->columns, feed->strict_count, buffers->selection, &count);
    if (count == 0)
        return;
    struct agg_group **groups = buffers->groups;
    if (selection != NULL) {
        groups = buffers->picked;
        for (uint32_t i = 0; i < count; i++)
            groups[i] = buffers->groups[selection[i]];
    }
    struct column *columns = arena_alloc(scratch, sizeof(struct column) * feed->columns_count);
    for (uint32_t c = 0; c < feed->columns_count; c++)
        columns[c] = change->columns[feed->columns[c]];
    feed_rows(feed, columns, change->rows, selection, count, change->weights, groups, buffers->states);
}

/* ---- DISTINCT ---- */

static struct agg_link *link_of(struct agg_distinct *set, uint32_t slot)
{
    return (struct agg_link *)(void *)((uint8_t *)hashed_table_payload(set->table, slot) + set->link_offset);
}

static uint32_t *first_of(const struct agg_distinct *set, struct agg_group *group)
{
    return (uint32_t *)(void *)((uint8_t *)group + set->first_offset);
}

void agg_distinct_link(struct agg_distinct *set, uint32_t slot, struct agg_group *group)
{
    uint32_t *first = first_of(set, group);
    *link_of(set, slot) = (struct agg_link){.next = *first};
    if (*first != 0)
        link_of(set, *first - 1)->previous = slot + 1;
    *first = slot + 1;
}

static void unlink_entry(struct agg_distinct *set, uint32_t slot, struct agg_group *group)
{
    struct agg_link link = *link_of(set, slot);
    if (link.next != 0)
        link_of(set, link.next - 1)->previous = link.previous;
    if (link.previous != 0)
        link_of(set, link.previous - 1)->next = link.next;
    else
        *first_of(set, group) = link.next;
}

void agg_distinct_forget(struct agg_distinct *set, struct agg_group *group)
{
    uint32_t *first = first_of(set, group);
    while (*first != 0) {
        uint32_t slot = *first - 1;
        *first = link_of(set, slot)->next;
        hashed_table_remove(set->table, slot);
    }
}

/* Frees the slots whose counts are all zero. slots may repeat. owners: their groups, where entries are linked. */
static void distinct_trim(struct agg_distinct *set, const uint32_t *slots, uint32_t count,
                          struct agg_group *const *owners, struct arena *scratch)
{
    uint32_t *dead = arena_alloc(scratch, sizeof(uint32_t) * count);
    uint32_t dead_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        int64_t *counts = hashed_table_payload(set->table, slots[i]);
        bool is_zero = counts[set->variants_count] == 0; /* not listed yet */
        for (uint32_t v = 0; v < set->variants_count; v++)
            is_zero = is_zero && counts[v] == 0;
        if (!is_zero)
            continue;
        counts[set->variants_count] = 1;
        dead[dead_count++] = slots[i];
        if (set->has_links)
            unlink_entry(set, slots[i], owners[i]);
    }
    for (uint32_t i = 0; i < dead_count; i++)
        hashed_table_remove(set->table, dead[i]);
}

/* bits[row]: which variants see the row. Returns whether any row has any. */
static bool variants_of_rows(const struct agg_distinct *set, const struct batch *change, uint64_t *bits)
{
    uint64_t any = 0;
    memset(bits, 0, sizeof(*bits) * change->rows);
    for (uint32_t v = 0; v < set->variants_count; v++) {
        const struct agg_variant *variant = &set->variants[v];
        uint64_t bit = (uint64_t)1 << v, lost = 0;
        const uint8_t *is_true = NULL, *unknown = NULL;
        if (variant->filter >= 0) {
            is_true = change->columns[variant->filter].data;
            unknown = change->columns[variant->filter].nulls;
        }
        for (uint32_t i = 0; i < change->rows; i++) {
            bool passes = is_true == NULL || (is_true[i] != 0 && (unknown == NULL || !unknown[i]));
            bits[i] |= passes ? bit : 0;
        }
        for (uint32_t c = 0; c < variant->strict_count; c++) {
            const uint8_t *nulls = change->columns[set->columns[c]].nulls;
            for (uint32_t i = 0; nulls != NULL && i < change->rows; i++) {
                lost = nulls[i] ? bit : 0;
                bits[i] &= ~lost;
            }
        }
    }
    for (uint32_t i = 0; i < change->rows; i++)
        any |= bits[i];
    return any != 0;
}

/* Entries whose count of a variant rose above zero or fell back. */
struct crossings {
    uint32_t count;
    uint32_t *slots;
    uint64_t *variants; /* bits */
    int64_t *weights;   /* 1 or -1 */
    struct agg_group **groups;
};

static void add_crossing(struct crossings *found, uint32_t slot, uint64_t variants, int64_t weight,
                         struct agg_group *group)
{
    found->slots[found->count] = slot;
    found->variants[found->count] = variants;
    found->weights[found->count] = weight;
    found->groups[found->count++] = group;
}

/* The variants of a row whose count crosses zero by its weight. */
static uint64_t count_variants(int64_t *counts, uint64_t bits, int64_t weight)
{
    uint64_t crossed = 0;
    for (; bits != 0; bits &= bits - 1) {
        uint32_t v = (uint32_t)__builtin_ctzll(bits);
        int64_t before = counts[v];
        counts[v] += weight;
        if ((before > 0) != (counts[v] > 0))
            crossed |= (uint64_t)1 << v;
    }
    return crossed;
}

static void feed_crossings(const struct agg_distinct *set, struct agg_feed *feed, struct column *keys,
                           const struct crossings *found, struct agg_buffers *buffers, struct arena *scratch)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < found->count; i++) {
        buffers->selection[count] = i;
        buffers->picked[count] = found->groups[i];
        count += found->variants[i] >> feed->variant & 1;
    }
    if (count == 0)
        return;
    struct column *columns = arena_alloc(scratch, sizeof(struct column) * feed->columns_count);
    for (uint32_t c = 0; c < feed->columns_count && set->reads_values; c++)
        columns[c] = keys[1 + feed->distinct_map[c]];
    feed_rows(feed, columns, found->count, buffers->selection, count, found->weights, buffers->picked,
              buffers->states);
}

static void feed_distinct(struct agg_distinct *set, struct agg_feed *feeds, uint32_t feeds_count,
                          const struct batch *change, struct agg_buffers *buffers, struct arena *scratch)
{
    uint64_t *bits = arena_alloc(scratch, sizeof(uint64_t) * change->rows);
    if (!variants_of_rows(set, change, bits))
        return;
    uint32_t count = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        buffers->selection[count] = i;
        count += bits[i] != 0;
    }
    const uint32_t *selection = count < change->rows ? buffers->selection : NULL;
    struct batch *rows = batch_header(scratch, set->columns_count + 1);
    rows->rows = count;
    column_init(&rows->columns[0], (struct sql_type){OID_INT8, -1}, count, scratch);
    int64_t *numbers = rows->columns[0].data;
    struct crossings found = {.slots = arena_alloc(scratch, sizeof(uint32_t) * count),
                              .variants = arena_alloc(scratch, sizeof(uint64_t) * count),
                              .weights = buffers->weights,
                              .groups = arena_alloc(scratch, sizeof(void *) * count)};
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = (int64_t)*agg_group_number(buffers->groups[selection != NULL ? selection[i] : i]);
    uint32_t *key_columns = arena_alloc(scratch, sizeof(uint32_t) * (set->columns_count + 1));
    for (uint32_t c = 0; c <= set->columns_count; c++)
        key_columns[c] = c;
    for (uint32_t c = 0; c < set->columns_count; c++) {
        const struct column *from = &change->columns[set->columns[c]];
        if (selection != NULL)
            column_gather(&rows->columns[c + 1], from, selection, count, scratch);
        else
            rows->columns[c + 1] = *from;
    }
    batch_hash(rows, key_columns, set->columns_count + 1, buffers->hashes);
    hashed_table_upsert(set->table, rows, key_columns, buffers->hashes, buffers->slots, buffers->inserted);

    bool trims = change->weights != NULL && !set->only_inserts;
    struct agg_group **owners = NULL;
    if (set->has_links) {
        owners = arena_alloc(scratch, sizeof(*owners) * (count + 1));
        for (uint32_t i = 0; i < count; i++) {
            owners[i] = buffers->groups[selection != NULL ? selection[i] : i];
            if (buffers->inserted[i])
                agg_distinct_link(set, buffers->slots[i], owners[i]);
        }
    }
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection != NULL ? selection[i] : i;
        void *payload = hashed_table_payload(set->table, buffers->slots[i]);
        int64_t weight = 1;
        uint64_t crossed;
        if (set->only_inserts) {
            uint64_t *seen = payload;
            crossed = bits[row] & ~*seen;
            *seen |= crossed;
        } else {
            weight = batch_weight(change, row);
            crossed = count_variants(payload, bits[row], weight);
        }
        if (crossed != 0)
            add_crossing(&found, buffers->slots[i], crossed, weight > 0 ? 1 : -1, buffers->groups[row]);
    }
    if (found.count > 0) {
        struct column *keys = arena_alloc(scratch, sizeof(struct column) * (set->columns_count + 1));
        if (set->reads_values)
            hashed_table_gather_keys(set->table, found.slots, found.count, keys, scratch);
        for (uint32_t f = 0; f < feeds_count; f++)
            if (feeds[f].distinct == set)
                feed_crossings(set, &feeds[f], keys, &found, buffers, scratch);
    }
    if (trims)
        distinct_trim(set, buffers->slots, count, owners, scratch);
}

void agg_feed_all(struct agg_feed *feeds, uint32_t feeds_count, struct agg_distinct *distincts,
                  uint32_t distincts_count, const struct batch *change, struct agg_buffers *buffers,
                  struct arena *scratch)
{
    for (uint32_t f = 0; f < feeds_count; f++)
        if (feeds[f].distinct == NULL)
            feed_plain(&feeds[f], change, buffers, scratch);
    for (uint32_t d = 0; d < distincts_count; d++)
        feed_distinct(&distincts[d], feeds, feeds_count, change, buffers, scratch);
}
