/* op_set_op.c: INTERSECT and EXCEPT, with and without ALL.
 *
 * A count per distinct row and side; the row's output count follows from the two. Rows are the same by value,
 * NULL equal to NULL. A left row stands for its value in the output (EXCEPT shows 1.0 as the left side wrote
 * it). Each touched row is listed once per tick; finish emits the difference of its output counts. */
#include "executor/operators/op_expiry.h"
#include "storage/state/hashed_table.h"

struct sides {
    int64_t counts[2];
    int64_t old_counts[2];
    uint32_t stamp;
    uint32_t unused;
};

struct set_op {
    struct operator base;
    struct hashed_table *table;
    uint32_t *columns; /* identity */
    uint32_t tick;
    bool in_tick;
    uint32_t *touched; /* slots; tick arena */
    uint32_t touched_count, touched_cap;
    struct op_expiry expiry; /* of rows */
    struct arena scratch;
    uint64_t hashes[BATCH_ROWS_MAX];
    uint32_t slots[BATCH_ROWS_MAX];
    uint8_t inserted[BATCH_ROWS_MAX];
};

static bool set_op_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct set_op *set = (struct set_op *)op;
    arena_init(&set->scratch, op->ctx->account);
    set->columns = ARENA_ARRAY(op->ctx->plan_arena, uint32_t, op->columns_count);
    for (uint32_t c = 0; c < op->columns_count; c++)
        set->columns[c] = c;
    set->table = hashed_table_create(op->types, op->columns_count, sizeof(struct sides), op->ctx->account);
    op_expiry_open(&set->expiry, op->ctx, &plan->set_op.expiry);
    return true;
}

static void set_op_close(struct operator* op)
{
    struct set_op *set = (struct set_op *)op;
    if (set->table != NULL)
        hashed_table_destroy(set->table);
    op_expiry_close(&set->expiry);
    arena_release(&set->scratch);
}

static int64_t output_count(const struct plan *plan, const int64_t *counts)
{
    int64_t left = counts[0] > 0 ? counts[0] : 0, right = counts[1] > 0 ? counts[1] : 0;
    if (plan->set_op.is_except) {
        if (!plan->set_op.all)
            return left > 0 && right == 0;
        return left > right ? left - right : 0;
    }
    if (!plan->set_op.all)
        return left > 0 && right > 0;
    return left < right ? left : right;
}

static bool set_op_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct set_op *set = (struct set_op *)op;
    if (!op_check(op, err))
        return false;
    if (!set->in_tick) {
        set->in_tick = true;
        set->tick++;
        set->touched = NULL;
        set->touched_count = set->touched_cap = 0;
    }
    batch_hash(change, set->columns, op->columns_count, set->hashes);
    hashed_table_upsert(set->table, change, set->columns, set->hashes, set->slots, set->inserted);
    if (set->expiry.is_on)
        for (uint32_t i = 0; i < change->rows; i++)
            if (set->inserted[i])
                op_expiry_add(&set->expiry, &change->columns[set->expiry.column], i, set->slots[i]);
    for (uint32_t i = 0; i < change->rows; i++) {
        struct sides *sides = hashed_table_payload(set->table, set->slots[i]);
        if (sides->stamp != set->tick) {
            sides->stamp = set->tick;
            memcpy(sides->old_counts, sides->counts, sizeof(sides->counts));
            ARENA_PUSH(op->ctx->tick_arena, set->touched, set->touched_count, set->touched_cap,
                       set->slots[i]);
        }
        if (port == 0 && sides->counts[0] <= 0 && sides->old_counts[0] <= 0 && !set->inserted[i])
            hashed_table_set_key(set->table, set->slots[i], change, i, set->columns);
        sides->counts[port] += batch_weight(change, i);
    }
    return true;
}

/* Registered ones stay until their time comes (op_expiry.h). */
static bool is_registered(struct set_op *set, uint32_t slot)
{
    if (!set->expiry.is_on)
        return false;
    struct datum value = hashed_table_key(set->table, slot, set->expiry.column);
    int64_t time;
    return op_expiry_has_time(&value, type_phys(set->base.types[set->expiry.column].oid), &time);
}

/* Rows whose time has come: what is in the result stays there. */
static void forget_rows(struct set_op *set)
{
    uint32_t count;
    while ((count = op_expiry_take(&set->expiry, set->base.ctx, set->slots, BATCH_ROWS_MAX)) > 0)
        for (uint32_t i = 0; i < count; i++)
            hashed_table_remove(set->table, set->slots[i]);
}

static bool finish_chunk(struct set_op *set, const uint32_t *touched, uint32_t count, struct error *err)
{
    struct operator* op = & set->base;
    arena_reset(&set->scratch);
    uint32_t *slots = arena_alloc(&set->scratch, sizeof(uint32_t) * count);
    int64_t *weights = arena_alloc(&set->scratch, sizeof(int64_t) * count);
    uint32_t changed = 0;
    for (uint32_t t = 0; t < count; t++) {
        const struct sides *sides = hashed_table_payload(set->table, touched[t]);
        int64_t weight = output_count(op->plan, sides->counts) - output_count(op->plan, sides->old_counts);
        if (weight == 0)
            continue;
        slots[changed] = touched[t];
        weights[changed++] = weight;
    }
    if (changed > 0) {
        struct batch *out = batch_header(&set->scratch, op->columns_count);
        out->rows = changed;
        out->weights = weights;
        hashed_table_gather_keys(set->table, slots, changed, out->columns, &set->scratch);
        if (!operator_emit(op, out, err))
            return false;
    }
    for (uint32_t t = 0; t < count; t++) {
        const struct sides *sides = hashed_table_payload(set->table, touched[t]);
        if (sides->counts[0] == 0 && sides->counts[1] == 0 && !is_registered(set, touched[t]))
            hashed_table_remove(set->table, touched[t]);
    }
    return true;
}

static bool set_op_finish(struct operator* op, struct error *err)
{
    struct set_op *set = (struct set_op *)op;
    if (!set->in_tick) {
        forget_rows(set);
        return true;
    }
    set->in_tick = false;
    for (uint32_t t = 0; t < set->touched_count; t += BATCH_ROWS_MAX) {
        uint32_t count = set->touched_count - t < BATCH_ROWS_MAX ? set->touched_count - t : BATCH_ROWS_MAX;
        if (!finish_chunk(set, set->touched + t, count, err))
            return false;
    }
    forget_rows(set);
    return true;
}

static int64_t set_op_due(const struct operator* op)
{
    return op_expiry_due(&((const struct set_op *)op)->expiry);
}

static int64_t set_op_bytes(const struct operator* op)
{
    const struct set_op *set = (const struct set_op *)op;
    return hashed_table_bytes(set->table) + op_expiry_bytes(&set->expiry);
}

static uint64_t set_op_rows(const struct operator* op)
{
    return hashed_table_rows(((const struct set_op *)op)->table);
}

/* ---- saving: the row, then its counts: left, right ---- */

static void gather_saved(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                         struct arena *arena)
{
    struct set_op *set = of;
    uint32_t columns_count = set->base.columns_count;
    hashed_table_gather_keys(set->table, slots, count, out, arena);
    for (uint32_t side = 0; side < 2; side++) {
        struct column *column = &out[columns_count + side];
        column_init(column, (struct sql_type){OID_INT8, -1}, count, arena);
        int64_t *counts = column->data;
        for (uint32_t i = 0; i < count; i++)
            counts[i] = ((const struct sides *)hashed_table_payload(set->table, slots[i]))->counts[side];
    }
}

static bool restore_saved(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                          struct error *err)
{
    struct set_op *set = of;
    uint32_t columns_count = set->base.columns_count;
    const int64_t *left = rows->columns[columns_count].data, *right = rows->columns[columns_count + 1].data;
    (void)version;
    (void)err;
    arena_reset(&set->scratch);
    uint64_t *hashes = arena_alloc(&set->scratch, sizeof(uint64_t) * rows->rows);
    batch_hash(rows, set->columns, columns_count, hashes);
    for (uint32_t i = 0; i < rows->rows; i++) {
        hashed_table_restore(set->table, slots[i], rows, i, set->columns, hashes);
        struct sides *sides = hashed_table_payload(set->table, slots[i]);
        sides->counts[0] = left[i];
        sides->counts[1] = right[i];
        if (set->expiry.is_on)
            op_expiry_add(&set->expiry, &rows->columns[set->expiry.column], i, slots[i]);
    }
    return true;
}

static void set_op_saved(struct operator* op, struct saved_tables *out)
{
    struct set_op *set = (struct set_op *)op;
    struct sql_type *types = ARENA_ARRAY(out->arena, struct sql_type, op->columns_count + 2);
    memcpy(types, op->types, sizeof(struct sql_type) * op->columns_count);
    types[op->columns_count] = types[op->columns_count + 1] = (struct sql_type){OID_INT8, -1};
    saved_tables_add(out, (struct saved_table){.name = "rows",
                                               .version = 1,
                                               .columns_count = op->columns_count + 2,
                                               .types = types,
                                               .of = set,
                                               .slots = hashed_table_slots(set->table),
                                               .index = hashed_table_index(set->table),
                                               .gather = gather_saved,
                                               .restore = restore_saved});
}

const struct operator_class op_set_op_class = {
    .name = "set_op",
    .bytes = sizeof(struct set_op),
    .open = set_op_open,
    .push = set_op_push,
    .finish = set_op_finish,
    .close = set_op_close,
    .due_watermark = set_op_due,
    .state_bytes = set_op_bytes,
    .state_rows = set_op_rows,
    .saved_tables = set_op_saved,
};
