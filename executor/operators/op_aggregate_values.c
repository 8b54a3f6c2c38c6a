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
                                           bool by_arrival, bool is_saved, struct account *account)
{
    struct agg_value_set *set = ARENA_NEW(arena, struct agg_value_set);
    set->table = ordered_table_create(types, columns_count,
                                      is_saved ? sizeof(struct agg_value) : sizeof(int64_t), account);
    set->is_saved = is_saved;
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

/* Into set->key. */
static void encode_key(struct agg_value_set *set, uint64_t number, const struct batch *values, uint32_t row)
{
    strbuf_reset(&set->key);
    strbuf_add_u64be(&set->key, number);
    batch_encode_key(values, row, set->keys, set->keys_count, &set->key);
    if (set->needs_identity)
        op_encode_row(values, row, &set->key);
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
        uint64_t number = *agg_group_number(groups[i]);
        if (set->by_arrival) {
            strbuf_reset(key);
            strbuf_add_u64be(key, number);
            strbuf_add_u64be(key, set->arrivals++);
        } else {
            encode_key(set, number, &view, row);
        }
        bool inserted;
        uint32_t slot =
            ordered_table_upsert(set->table, key->data, (uint32_t)key->len, &view, row, NULL, &inserted);
        struct agg_value *value = ordered_table_payload(set->table, slot);
        if (inserted && set->is_saved)
            value->number = number;
        value->copies += weight;
        if (value->copies == 0)
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

/* ---- checkpoints ---- */

static void gather_values(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                          struct arena *arena)
{
    struct agg_value_set *set = of;
    struct column *copies_column = &out[1 + set->columns_count];
    const uint8_t **rows = arena_alloc(arena, sizeof(*rows) * count);
    column_init(&out[0], (struct sql_type){OID_INT8, -1}, count, arena);
    column_init(copies_column, (struct sql_type){OID_INT8, -1}, count, arena);
    int64_t *numbers = out[0].data, *copies = copies_column->data;
    for (uint32_t i = 0; i < count; i++) {
        const struct agg_value *value = ordered_table_payload(set->table, slots[i]);
        rows[i] = ordered_table_row(set->table, slots[i]);
        numbers[i] = (int64_t)value->number;
        copies[i] = value->copies;
    }
    for (uint32_t c = 0; c < set->columns_count; c++)
        row_layout_gather(ordered_table_layout(set->table), rows, count, c, true, &out[1 + c], arena);
}

static bool restore_values(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                           struct error *err)
{
    struct agg_value_set *set = of;
    const struct column *copies = &rows->columns[1 + set->columns_count];
    struct batch values = {
        .rows = rows->rows, .columns_count = set->columns_count, .columns = rows->columns + 1};
    (void)version;
    for (uint32_t i = 0; i < rows->rows; i++) {
        uint64_t number = (uint64_t)((const int64_t *)rows->columns[0].data)[i];
        encode_key(set, number, &values, i);
        if (!ordered_table_restore(set->table, slots[i], set->key.data, (uint32_t)set->key.len, &values, i,
                                   NULL))
            return error_set(err, ERRCODE_DATA_CORRUPTED, "stored values of a group repeat");
        *(struct agg_value *)ordered_table_payload(set->table, slots[i]) =
            (struct agg_value){.copies = ((const int64_t *)copies->data)[i], .number = number};
    }
    return true;
}

void agg_value_set_saved(struct agg_value_set *set, const char *name, struct saved_tables *out)
{
    struct sql_type *types = ARENA_ARRAY(out->arena, struct sql_type, set->columns_count + 2);
    types[0] = types[1 + set->columns_count] = (struct sql_type){OID_INT8, -1};
    memcpy(types + 1, ordered_table_layout(set->table)->types, sizeof(struct sql_type) * set->columns_count);
    saved_tables_add(out, (struct saved_table){.name = name,
                                               .version = 1,
                                               .columns_count = set->columns_count + 2,
                                               .types = types,
                                               .of = set,
                                               .slots = ordered_table_slots(set->table),
                                               .gather = gather_values,
                                               .restore = restore_values});
}

/* ---- reading ---- */

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
