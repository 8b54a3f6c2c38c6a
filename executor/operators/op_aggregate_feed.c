/* op_aggregate_feed.c: which rows reach which aggregate: FILTER, NULL arguments, DISTINCT.
 *
 * DISTINCT keeps a count per (group, values) and FILTER; a call sees +1 when its count rises above zero and
 * -1 when it falls back. The values handed on are the set's own representatives, so that what was added is
 * exactly what is taken back. */
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

static void feed_plain(struct agg_feed *feed, const struct batch *change, struct agg_buffers *buffers,
                       struct arena *scratch)
{
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

/* Frees the slots whose counts are all zero. slots may repeat. */
static void distinct_trim(struct agg_distinct *set, const uint32_t *slots, uint32_t count,
                          struct arena *scratch)
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
    }
    for (uint32_t i = 0; i < dead_count; i++)
        hashed_table_remove(set->table, dead[i]);
}

static void feed_distinct(struct agg_distinct *set, uint32_t variant, struct agg_feed *feeds,
                          uint32_t feeds_count, const struct batch *change, struct agg_buffers *buffers,
                          struct arena *scratch)
{
    uint32_t count;
    const uint32_t *selection = select_rows(change, set->variants[variant].filter, set->columns,
                                            set->variants[variant].strict_count, buffers->selection, &count);
    if (count == 0)
        return;
    struct batch *rows = batch_header(scratch, set->columns_count + 1);
    rows->rows = count;
    column_init(&rows->columns[0], (struct sql_type){OID_INT8, -1}, count, scratch);
    int64_t *numbers = rows->columns[0].data;
    for (uint32_t i = 0; i < count; i++)
        numbers[i] = (int64_t)buffers->groups[selection != NULL ? selection[i] : i]->number;
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

    uint32_t *crossed = arena_alloc(scratch, sizeof(uint32_t) * count);
    uint32_t crossed_count = 0;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection != NULL ? selection[i] : i;
        int64_t *counts = hashed_table_payload(set->table, buffers->slots[i]);
        int64_t before = counts[variant];
        counts[variant] += batch_weight(change, row);
        if ((before > 0) == (counts[variant] > 0))
            continue;
        buffers->picked[crossed_count] = buffers->groups[row];
        buffers->weights[crossed_count] = before > 0 ? -1 : 1;
        crossed[crossed_count++] = buffers->slots[i];
    }
    if (crossed_count > 0) {
        struct column *keys = arena_alloc(scratch, sizeof(struct column) * (set->columns_count + 1));
        hashed_table_gather_keys(set->table, crossed, crossed_count, keys, scratch);
        for (uint32_t f = 0; f < feeds_count; f++) {
            if (feeds[f].distinct != set || feeds[f].variant != variant)
                continue;
            struct column *columns = arena_alloc(scratch, sizeof(struct column) * feeds[f].columns_count);
            for (uint32_t c = 0; c < feeds[f].columns_count; c++)
                columns[c] = keys[1 + feeds[f].distinct_map[c]];
            feed_rows(&feeds[f], columns, crossed_count, NULL, crossed_count, buffers->weights,
                      buffers->picked, buffers->states);
        }
    }
    if (change->weights != NULL)
        distinct_trim(set, buffers->slots, count, scratch);
}

void agg_feed_all(struct agg_feed *feeds, uint32_t feeds_count, struct agg_distinct *distincts,
                  uint32_t distincts_count, const struct batch *change, struct agg_buffers *buffers,
                  struct arena *scratch)
{
    for (uint32_t f = 0; f < feeds_count; f++)
        if (feeds[f].distinct == NULL)
            feed_plain(&feeds[f], change, buffers, scratch);
    for (uint32_t d = 0; d < distincts_count; d++)
        for (uint32_t v = 0; v < distincts[d].variants_count; v++)
            feed_distinct(&distincts[d], v, feeds, feeds_count, change, buffers, scratch);
}
