/* op_aggregate_values.c: counted ordered multisets, for aggregates that need their values in order and for
 * min and max over input with retractions.
 *
 * One B+tree holds all groups. Key: group number (8 bytes, big-endian), the order, and, where equal values
 * may differ (1.0 and 1.00) or the order leaves out a column, the exact bytes. Payload: how many copies,
 * which may be negative for a moment inside a tick. A walk seeks the group's prefix. */
#include "executor/operators/op_aggregate.h"

bool agg_type_is_exact(struct sql_type type)
{
    /* a numeric with a typmod has one scale */
    return type_equal_is_identical(type.oid) || (type.oid == OID_NUMERIC && type.typmod >= 0);
}

struct agg_value_set *agg_value_set_create(struct arena *arena, const struct sql_type *types,
                                           uint32_t columns_count, uint32_t args_count,
                                           const struct sort_key *order, uint32_t order_count,
                                           bool by_arrival, struct account *account)
{
    struct agg_value_set *set = ARENA_NEW(arena, struct agg_value_set);
    set->table = ordered_table_create(types, columns_count, sizeof(int64_t), account);
    set->columns_count = columns_count;
    set->by_arrival = by_arrival;
    set->keys_count = order_count > 0 ? order_count : args_count;
    set->keys = ARENA_ARRAY(arena, struct sort_key, set->keys_count);
    for (uint32_t k = 0; k < set->keys_count; k++) {
        set->keys[k] = order_count > 0 ? order[k] : (struct sort_key){0};
        set->keys[k].column = order_count > 0 ? args_count + k : k;
    }
    set->needs_identity = order_count > 0 && args_count > 0;
    for (uint32_t c = 0; c < columns_count; c++)
        set->needs_identity = set->needs_identity || !agg_type_is_exact(types[c]);
    return set;
}

void agg_value_set_destroy(struct agg_value_set *set)
{
    ordered_table_destroy(set->table);
    strbuf_release(&set->key);
}

void agg_value_set_add(struct agg_value_set *set, struct column *columns, uint32_t rows,
                       const uint32_t *selection, uint32_t count, const int64_t *weights,
                       struct agg_group *const *groups)
{
    struct batch view = {.rows = rows, .columns_count = set->columns_count, .columns = columns};
    struct strbuf *key = &set->key;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = selection != NULL ? selection[i] : i;
        int64_t weight = weights != NULL ? weights[row] : 1;
        if (weight == 0)
            continue;
        strbuf_reset(key);
        strbuf_add_u64be(key, *agg_group_number(groups[i]));
        if (set->by_arrival) {
            strbuf_add_u64be(key, set->arrivals++);
        } else {
            batch_encode_key(&view, row, set->keys, set->keys_count, key);
            if (set->needs_identity)
                op_encode_row(&view, row, key);
        }
        bool inserted;
        uint32_t slot =
            ordered_table_upsert(set->table, key->data, (uint32_t)key->len, &view, row, NULL, &inserted);
        int64_t *copies = ordered_table_payload(set->table, slot);
        *copies += weight;
        if (*copies == 0)
            ordered_table_remove(set->table, key->data, (uint32_t)key->len);
        int64_t *total = (int64_t *)((uint8_t *)groups[i] + set->count_offset);
        *total += weight;
    }
}

void agg_value_set_forget(struct agg_value_set *set, const struct agg_group *group)
{
    struct strbuf *key = &set->key;
    uint8_t prefix[8];
    strbuf_reset(key);
    strbuf_add_u64be(key, *agg_group_number(group));
    memcpy(prefix, key->data, sizeof(prefix));
    struct ordered_cursor cursor;
    for (;;) {
        ordered_table_seek(set->table, prefix, sizeof(prefix), &cursor);
        if (cursor.slot == SLOT_NONE || !ordered_cursor_has_prefix(&cursor, prefix, sizeof(prefix)))
            return;
        uint32_t bytes;
        const uint8_t *found = ordered_cursor_key(&cursor, &bytes);
        strbuf_reset(key);
        strbuf_add(key, found, bytes);
        ordered_table_remove(set->table, key->data, bytes);
    }
}

struct value_walk {
    struct agg_value_set *set;
    struct ordered_cursor cursor;
    uint8_t prefix[8];
    bool started;
};

static bool walk_holds(const struct value_walk *walk)
{
    return walk->cursor.slot != SLOT_NONE && ordered_cursor_has_prefix(&walk->cursor, walk->prefix, 8);
}

static void walk_row(struct value_walk *walk, struct datum *args)
{
    const struct row_layout *layout = ordered_table_layout(walk->set->table);
    const uint8_t *row = ordered_table_row(walk->set->table, walk->cursor.slot);
    for (uint32_t c = 0; c < walk->set->columns_count; c++)
        args[c] = row_layout_get(layout, row, c);
}

static int64_t walk_copies(struct value_walk *walk)
{
    return *(int64_t *)ordered_table_payload(walk->set->table, walk->cursor.slot);
}

static bool value_walk_next(struct agg_values *values, struct datum *args, int64_t *count)
{
    struct value_walk *walk = values->state;
    do {
        if (!walk->started)
            ordered_table_seek(walk->set->table, walk->prefix, 8, &walk->cursor);
        else
            ordered_cursor_next(&walk->cursor);
        walk->started = true;
        if (!walk_holds(walk))
            return false;
        *count = walk_copies(walk);
    } while (*count <= 0);
    walk_row(walk, args);
    return true;
}

static bool value_walk_last(struct agg_values *values, struct datum *args)
{
    struct value_walk *walk = values->state;
    ordered_table_seek_last(walk->set->table, walk->prefix, 8, &walk->cursor);
    while (walk_holds(walk)) {
        if (walk_copies(walk) > 0) {
            walk_row(walk, args);
            return true;
        }
        ordered_cursor_prev(&walk->cursor);
    }
    return false;
}

static struct value_walk walk_of(struct agg_value_set *set, const struct agg_group *group)
{
    struct value_walk walk = {.set = set};
    for (uint32_t i = 0; i < 8; i++)
        walk.prefix[i] = (uint8_t)(*agg_group_number(group) >> (56 - 8 * i));
    return walk;
}

bool agg_value_set_first(struct agg_value_set *set, const struct agg_group *group, struct datum *args)
{
    struct value_walk walk = walk_of(set, group);
    struct agg_values values = {.state = &walk};
    int64_t copies;
    return value_walk_next(&values, args, &copies);
}

bool agg_value_set_collect(struct agg_value_set *set, struct agg_call *call, struct agg_group *group,
                           struct datum *result)
{
    struct value_walk walk = walk_of(set, group);
    int64_t total = *(int64_t *)((uint8_t *)group + set->count_offset);
    struct agg_values values = {.next = value_walk_next, .last = value_walk_last, .state = &walk};
    values.count = total > 0 ? (uint64_t)total : 0;
    return call->aggregate->collect(call, &values, result);
}
