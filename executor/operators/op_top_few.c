/* op_top_few.c: the first few rows of each partition of an append-only input.
 *
 * A hashed table holds, per partition, its kept rows in order: for each the first eight bytes of its sort key
 * as a number, the slot of the row, how many copies. A row that comes is compared with the last one kept, by
 * that number alone nearly always, and most rows end there: one hashed probe and one comparison. Ties of the
 * sort keys are broken by the exact bytes of the row, as everywhere in views. Nothing that was pushed out
 * comes back, so rows behind the limit are forgotten.
 *
 * A join of two inputs that both changed gives some rows twice and takes them back in the same tick: rows that
 * may come so wait for the end of the tick and are summed up first, but for those that lose against what stood
 * there before it, since that can only get better.
 *
 * What a touched partition held before the tick is noted at its first change, and rows that are pushed out
 * live on until the end of the tick; then old and new are compared slot by slot and the difference goes out.
 *
 * A row's slot also says to which partition it belongs and how many copies of it there are: a checkpoint saves the rows
 * with these two and the partitions' keys, and what partitions hold is made of them again. */
#include "executor/operators/op_top_few.h"

#include "executor/operators/op_expiry.h"
#include "executor/operators/op_saved.h"
#include "executor/relation.h"

struct kept {
    uint64_t head;
    uint32_t slot;
    uint32_t copies;
};

struct partition {
    uint32_t touched; /* its number there; of this tick only if that entry names the partition */
    uint32_t count;   /* entries */
    uint32_t copies;  /* rows: the sum of their copies, at most the limit */
    uint32_t cap;
    union {
        struct kept one;   /* cap 0 and 1 */
        struct kept *many; /* in the table's heap */
    };
};

/* Behind a row. */
struct owner {
    uint32_t partition; /* slot */
    uint32_t copies;
};

/* A partition that this tick changed. Old entries only ever leave from the end. */
struct touched {
    uint32_t partition; /* slot */
    uint32_t old_count, old_left;
    struct kept *old; /* tick arena */
};

struct top_few {
    struct operator base;
    struct hashed_table *partitions;
    struct sql_type *partition_types;
    struct row_layout layout; /* of rows; struct owner follows */
    struct slot_pages rows;
    struct table_heap *heap; /* of the rows' text */
    const uint32_t *partition_columns;
    uint32_t partition_count;
    const struct sort_key *keys;
    uint32_t keys_count;
    uint32_t limit;
    uint32_t child_columns;
    bool plain_head; /* the first sort key is an integer or a date or time: its value is the head */
    bool shows_rank;
    bool corrects;           /* the input may take rows back that it gave in the same tick */
    struct batch *waiting;   /* tick arena */
    struct op_expiry expiry; /* of partitions */
    bool in_tick;
    struct touched *touched; /* tick arena */
    uint32_t touched_count, touched_cap;
    uint32_t *pushed_out; /* slots of rows from before this tick; tick arena */
    uint32_t pushed_out_count, pushed_out_cap;
    struct strbuf key, other;
    /* the output of a tick, up to BATCH_ROWS_MAX rows at a time; plan arena */
    const uint8_t **out_rows;
    int64_t *out_weights, *out_ranks;
    uint32_t out_count;
    struct arena scratch;
};

bool op_top_few_fits(const struct plan *plan)
{
    const struct expr *limit = plan->sort.limit;
    if (!plan->children[0]->append_only || plan->sort.with_ties || plan->sort.rank > OVER_ROW_NUMBER ||
        plan->sort.offset != NULL)
        return false;
    return plan->sort.distinct_on ||
           (limit != NULL && limit->kind == EXPR_CONSTANT && !limit->value.is_null && limit->value.i64 >= 1 &&
            limit->value.i64 <= TOP_FEW_ROWS_MAX);
}

static bool is_plain(const struct sql_type *type)
{
    enum phys phys = type_phys(type->oid);
    switch (type->oid) {
    case OID_INT2:
    case OID_INT4:
    case OID_INT8:
    case OID_DATE:
    case OID_TIME:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
        return phys == PHYS_I16 || phys == PHYS_I32 || phys == PHYS_I64;
    default:
        return false;
    }
}

/* May the changes of a tick hold a row more often than it was added, and the same taken back? */
static bool gives_corrections(const struct plan *plan)
{
    bool may = plan->kind == PLAN_JOIN || plan->kind == PLAN_SET_OP ||
               (plan->kind == PLAN_SCAN && plan->scan.relation != NULL &&
                relation_kind(plan->scan.relation) == RELATION_VIEW);
    for (uint32_t i = 0; i < plan->children_count && !may; i++)
        may = gives_corrections(plan->children[i]);
    return may;
}

static bool top_few_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct top_few *top = (struct top_few *)op;
    struct arena *arena = op->ctx->plan_arena;
    top->child_columns = plan->children[0]->columns_count;
    top->partition_columns = plan->sort.partition;
    top->partition_count = plan->sort.partition_count;
    top->keys = plan->sort.keys;
    top->keys_count = plan->sort.keys_count;
    top->limit = plan->sort.distinct_on ? 1 : (uint32_t)plan->sort.limit->value.i64;
    top->shows_rank = plan->sort.shows_rank;
    top->corrects = gives_corrections(plan->children[0]);
    top->plain_head = top->keys_count > 0 && is_plain(&op->types[top->keys[0].column]);
    arena_init(&top->scratch, op->ctx->account);
    top->out_rows = arena_alloc(arena, sizeof(uint8_t *) * BATCH_ROWS_MAX);
    top->out_weights = arena_alloc(arena, sizeof(int64_t) * BATCH_ROWS_MAX);
    top->out_ranks = arena_alloc(arena, sizeof(int64_t) * BATCH_ROWS_MAX);
    top->partition_types = ARENA_ARRAY(arena, struct sql_type, top->partition_count);
    for (uint32_t p = 0; p < top->partition_count; p++)
        top->partition_types[p] = op->types[top->partition_columns[p]];
    top->partitions = hashed_table_create(top->partition_types, top->partition_count,
                                          sizeof(struct partition), op->ctx->account);
    row_layout_init(&top->layout, op->types, top->child_columns);
    slot_pages_init(&top->rows, top->layout.row_bytes + (uint32_t)sizeof(struct owner), 8, op->ctx->account);
    top->heap = table_heap_create(op->ctx->account);
    op_expiry_open(&top->expiry, op->ctx, &plan->sort.expiry);
    (void)err;
    return true;
}

static void top_few_close(struct operator* op)
{
    struct top_few *top = (struct top_few *)op;
    if (top->partitions != NULL) {
        hashed_table_destroy(top->partitions);
        slot_pages_release(&top->rows);
        row_layout_release(&top->layout);
        table_heap_destroy(top->heap);
    }
    op_expiry_close(&top->expiry);
    strbuf_release(&top->key);
    strbuf_release(&top->other);
    arena_release(&top->scratch);
}

/* ---- order ---- */

/* A number per row that never contradicts the order of the sort keys. */
static void row_heads(struct top_few *top, const struct batch *change, uint64_t *heads)
{
    if (top->keys_count == 0) {
        memset(heads, 0, sizeof(*heads) * change->rows);
        return;
    }
    const struct sort_key *key = &top->keys[0];
    const struct column *column = &change->columns[key->column];
    if (!top->plain_head) {
        for (uint32_t i = 0; i < change->rows; i++) {
            strbuf_reset(&top->key);
            batch_encode_key(change, i, top->keys, 1, &top->key);
            uint8_t bytes[8] = {0};
            memcpy(bytes, top->key.data, top->key.len < 8 ? top->key.len : 8);
            heads[i] = 0;
            for (uint32_t b = 0; b < 8; b++)
                heads[i] = heads[i] << 8 | bytes[b];
        }
        return;
    }
    uint64_t flip = key->descending ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t value = column->phys == PHYS_I64   ? ((const int64_t *)column->data)[i]
                        : column->phys == PHYS_I32 ? ((const int32_t *)column->data)[i]
                                                   : ((const int16_t *)column->data)[i];
        heads[i] = ((uint64_t)value ^ (UINT64_C(1) << 63)) ^ flip;
    }
    for (uint32_t i = 0; column->nulls != NULL && i < change->rows; i++) {
        if (column->nulls[i])
            heads[i] = key->nulls_first ? 0 : UINT64_MAX;
    }
}

static void encode_stored(const struct top_few *top, const uint8_t *row, struct strbuf *out)
{
    for (uint32_t c = 0; c < top->child_columns; c++) {
        struct datum value = row_layout_get(&top->layout, row, c);
        type_encode_exact(top->layout.types[c].oid, &value, out);
    }
}

/* The row of the batch against a stored one with the same head; 0: the same row. */
static int compare_tied(struct top_few *top, const struct batch *change, uint32_t at, uint32_t slot)
{
    const uint8_t *row = slot_pages_at(&top->rows, slot);
    for (uint32_t k = 0; k < top->keys_count; k++) {
        const struct sort_key *key = &top->keys[k];
        const struct column *column = &change->columns[key->column];
        bool is_null = column_is_null(column, at), other_null = row_layout_is_null(row, key->column);
        if (is_null || other_null) {
            if (is_null && other_null)
                continue;
            return is_null == key->nulls_first ? -1 : 1;
        }
        struct datum value = column_get(column, at), other = row_layout_get(&top->layout, row, key->column);
        int order = type_compare(column->type.oid, &value, &other);
        if (order != 0)
            return key->descending ? -order : order;
    }
    strbuf_reset(&top->key);
    strbuf_reset(&top->other);
    op_encode_row(change, at, &top->key);
    encode_stored(top, row, &top->other);
    size_t least = top->key.len < top->other.len ? top->key.len : top->other.len;
    int order = least > 0 ? memcmp(top->key.data, top->other.data, least) : 0;
    return order != 0 ? order : (top->key.len > top->other.len) - (top->key.len < top->other.len);
}

static inline int compare_kept(struct top_few *top, const struct batch *change, uint32_t at, uint64_t head,
                               const struct kept *kept)
{
    if (LIKELY(head != kept->head))
        return head < kept->head ? -1 : 1;
    return compare_tied(top, change, at, kept->slot);
}

/* ---- pushing ---- */

static inline struct kept *entries_of(struct partition *partition)
{
    return partition->cap <= 1 ? &partition->one : partition->many;
}

static struct owner *owner_at(const struct top_few *top, uint32_t row)
{
    return (struct owner *)(void *)((uint8_t *)slot_pages_at(&top->rows, row) + top->layout.row_bytes);
}

static void set_copies(struct top_few *top, struct kept *kept, uint32_t copies)
{
    kept->copies = copies;
    owner_at(top, kept->slot)->copies = copies;
    slot_pages_touch(&top->rows, kept->slot);
}

static void touch(struct top_few *top, struct partition *partition, uint32_t slot)
{
    if (partition->touched < top->touched_count && top->touched[partition->touched].partition == slot)
        return;
    partition->touched = top->touched_count;
    struct arena *arena = top->base.ctx->tick_arena;
    struct touched touched = {.partition = slot, .old_count = partition->count, .old_left = partition->count};
    if (partition->count > 0)
        touched.old = arena_copy(arena, entries_of(partition), sizeof(struct kept) * partition->count);
    ARENA_PUSH(arena, top->touched, top->touched_count, top->touched_cap, touched);
}

static void free_row(struct top_few *top, uint32_t slot)
{
    row_layout_free_text(&top->layout, slot_pages_at(&top->rows, slot), top->heap);
    slot_pages_free(&top->rows, slot);
}

/* Takes the last entry away. A row of this very tick leaves no trace. */
static void push_out(struct top_few *top, struct partition *partition)
{
    struct touched *touched = &top->touched[partition->touched];
    const struct kept *last = &entries_of(partition)[--partition->count];
    partition->copies -= last->copies;
    if (touched->old_left == 0 || touched->old[touched->old_left - 1].slot != last->slot) {
        free_row(top, last->slot);
        return;
    }
    touched->old_left--;
    ARENA_PUSH(top->base.ctx->tick_arena, top->pushed_out, top->pushed_out_count, top->pushed_out_cap,
               last->slot);
}

/* Room for one entry more than the partition has. */
static struct kept *grow(struct top_few *top, struct partition *partition)
{
    if (partition->count < partition->cap)
        return entries_of(partition);
    struct table_heap *heap = hashed_table_heap(top->partitions);
    uint32_t cap = partition->cap == 0 ? 1 : partition->cap == 1 ? 4 : partition->cap * 2;
    if (cap > 1) {
        struct kept *many = table_heap_alloc(heap, cap * (uint32_t)sizeof(struct kept));
        memcpy(many, entries_of(partition), sizeof(struct kept) * partition->count);
        if (partition->cap > 1)
            table_heap_release(heap, partition->many, partition->cap * (uint32_t)sizeof(struct kept));
        partition->many = many;
    }
    partition->cap = cap;
    return entries_of(partition);
}

static void put_entry(struct top_few *top, struct partition *partition, uint32_t at, struct kept kept)
{
    struct kept *entries = grow(top, partition);
    memmove(&entries[at + 1], &entries[at], sizeof(*entries) * (partition->count - at));
    entries[at] = kept;
    partition->count++;
    partition->copies += kept.copies;
}

/* Takes copies off the end until the limit is kept. */
static void cut(struct top_few *top, struct partition *partition)
{
    while (partition->copies > top->limit) {
        struct kept *last = &entries_of(partition)[partition->count - 1];
        uint32_t over = partition->copies - top->limit;
        if (over >= last->copies) {
            push_out(top, partition);
            continue;
        }
        set_copies(top, last, last->copies - over);
        partition->copies -= over;
    }
}

static void add_row(struct top_few *top, const struct batch *change, uint32_t at, uint64_t head,
                    uint32_t partition_slot)
{
    struct partition *partition = hashed_table_payload(top->partitions, partition_slot);
    int64_t weight = batch_weight(change, at);
    CHECK(weight > 0);
    uint32_t copies = weight < top->limit ? (uint32_t)weight : top->limit;
    struct kept *entries = entries_of(partition);
    uint32_t low = 0, high = partition->count;
    if (partition->copies >= top->limit) {
        if (compare_kept(top, change, at, head, &entries[high - 1]) >= 0)
            return; /* the same as the last: its copies reach the limit as it is */
        high--;
    }
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = compare_kept(top, change, at, head, &entries[middle]);
        if (order == 0) {
            touch(top, partition, partition_slot);
            set_copies(top, &entries[middle], entries[middle].copies + copies);
            partition->copies += copies;
            cut(top, partition);
            return;
        }
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    touch(top, partition, partition_slot);
    uint32_t slot = slot_pages_alloc(&top->rows);
    uint8_t *row = slot_pages_at(&top->rows, slot);
    slot_set_header(row, SLOT_LIVE);
    row_layout_store(&top->layout, row, change, at, NULL, top->heap);
    *owner_at(top, slot) = (struct owner){partition_slot, copies};
    if (partition->copies == top->limit && entries[partition->count - 1].copies == 1)
        push_out(top, partition); /* its place is used again */
    put_entry(top, partition, low, (struct kept){head, slot, copies});
    cut(top, partition);
}

/* Hashes of the partitions, heads and room for slots, of each row; in the scratch arena. */
struct prepared {
    uint64_t *hashes, *heads;
    uint32_t *slots;
};

static struct prepared prepare(struct top_few *top, const struct batch *change)
{
    arena_reset(&top->scratch);
    struct prepared prepared = {.hashes = arena_alloc(&top->scratch, sizeof(uint64_t) * change->rows),
                                .heads = arena_alloc(&top->scratch, sizeof(uint64_t) * change->rows),
                                .slots = arena_alloc(&top->scratch, sizeof(uint32_t) * change->rows)};
    batch_hash(change, top->partition_columns, top->partition_count, prepared.hashes);
    row_heads(top, change, prepared.heads);
    return prepared;
}

static void add_rows(struct top_few *top, const struct batch *change)
{
    struct prepared prepared = prepare(top, change);
    uint8_t *inserted = arena_alloc(&top->scratch, change->rows);
    hashed_table_insert_new(top->partitions, change, top->partition_columns, prepared.hashes, prepared.slots,
                            inserted);
    if (top->expiry.is_on)
        for (uint32_t i = 0; i < change->rows; i++)
            if (inserted[i])
                op_expiry_add(&top->expiry, &change->columns[top->expiry.column], i, prepared.slots[i]);
    for (uint32_t i = 0; i < change->rows; i++)
        add_row(top, change, i, prepared.heads[i], prepared.slots[i]);
}

/* The rows that do not lose against what was kept before this tick. */
static void let_wait(struct top_few *top, const struct batch *change)
{
    struct prepared prepared = prepare(top, change);
    uint32_t *rows = arena_alloc(&top->scratch, sizeof(uint32_t) * change->rows), count = 0;
    hashed_table_find(top->partitions, change, top->partition_columns, prepared.hashes, prepared.slots);
    for (uint32_t i = 0; i < change->rows; i++) {
        if (prepared.slots[i] != SLOT_NONE) {
            struct partition *partition = hashed_table_payload(top->partitions, prepared.slots[i]);
            if (partition->copies >= top->limit &&
                compare_kept(top, change, i, prepared.heads[i],
                             &entries_of(partition)[partition->count - 1]) >= 0)
                continue;
        }
        rows[count++] = i;
    }
    if (count == 0)
        return;
    if (top->waiting == NULL)
        top->waiting = batch_create(top->base.ctx->tick_arena, top->layout.types, top->child_columns, count);
    batch_append_rows(top->waiting, change, rows, count, 1);
}

static void add_waiting(struct top_few *top)
{
    const struct batch *waiting = top->waiting;
    struct arena *arena = top->base.ctx->tick_arena;
    if (waiting == NULL)
        return;
    top->waiting = NULL;
    waiting = batch_consolidate(waiting, arena);
    for (uint32_t first = 0; first < waiting->rows; first += BATCH_ROWS_MAX) {
        uint32_t left = waiting->rows - first;
        add_rows(top, batch_slice(arena, waiting, first, left < BATCH_ROWS_MAX ? left : BATCH_ROWS_MAX));
    }
}

static bool top_few_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct top_few *top = (struct top_few *)op;
    if (!top->in_tick) {
        top->in_tick = true;
        top->touched_count = top->touched_cap = 0;
        top->pushed_out_count = top->pushed_out_cap = 0;
        top->waiting = NULL;
    }
    if (top->corrects && !op->ctx->initial)
        let_wait(top, change);
    else
        add_rows(top, change);
    (void)port;
    (void)err;
    return true;
}

/* ---- the difference ---- */

static bool flush(struct top_few *top, struct error *err)
{
    struct operator* op = & top->base;
    uint32_t count = top->out_count;
    if (count == 0)
        return true;
    top->out_count = 0;
    arena_reset(&top->scratch);
    struct batch *out = batch_header(&top->scratch, op->columns_count);
    out->rows = count;
    for (uint32_t i = 0; i < count && out->weights == NULL; i++)
        out->weights = top->out_weights[i] != 1 ? top->out_weights : NULL;
    for (uint32_t c = 0; c < top->child_columns; c++)
        row_layout_gather(&top->layout, top->out_rows, count, c, false, &out->columns[c], &top->scratch);
    if (top->shows_rank) {
        column_init(&out->columns[top->child_columns], op->types[top->child_columns], count, &top->scratch);
        memcpy(out->columns[top->child_columns].data, top->out_ranks, sizeof(int64_t) * count);
    }
    return operator_emit(op, out, err);
}

static bool put(struct top_few *top, uint32_t slot, int64_t weight, int64_t rank, struct error *err)
{
    if (top->out_count == BATCH_ROWS_MAX && !flush(top, err))
        return false;
    const uint8_t *row = slot_pages_at(&top->rows, slot);
    __builtin_prefetch(row);
    top->out_rows[top->out_count] = row;
    top->out_weights[top->out_count] = weight;
    top->out_ranks[top->out_count++] = rank;
    return true;
}

/* Entries that are in both stand in the same order; what is missing from the new ones stood at the end. */
static bool emit_rows(struct top_few *top, const struct touched *touched, const struct kept *now,
                      uint32_t count, struct error *err)
{
    uint32_t o = 0;
    for (uint32_t n = 0; n < count; n++) {
        int64_t change = now[n].copies;
        if (o < touched->old_count && touched->old[o].slot == now[n].slot)
            change -= touched->old[o++].copies;
        if (change != 0 && !put(top, now[n].slot, change, 0, err))
            return false;
    }
    for (; o < touched->old_count; o++) {
        if (!put(top, touched->old[o].slot, -(int64_t)touched->old[o].copies, 0, err))
            return false;
    }
    return true;
}

/* Rank by rank: what stood there, what stands there. */
static bool emit_ranks(struct top_few *top, const struct touched *touched, const struct kept *now,
                       uint32_t count, struct error *err)
{
    uint32_t o = 0, n = 0, o_copy = 0, n_copy = 0;
    for (int64_t rank = 1; o < touched->old_count || n < count; rank++) {
        uint32_t was = o < touched->old_count ? touched->old[o].slot : SLOT_NONE;
        uint32_t is = n < count ? now[n].slot : SLOT_NONE;
        if (was != is && was != SLOT_NONE && !put(top, was, -1, rank, err))
            return false;
        if (was != is && is != SLOT_NONE && !put(top, is, 1, rank, err))
            return false;
        if (was != SLOT_NONE && ++o_copy == touched->old[o].copies) {
            o++;
            o_copy = 0;
        }
        if (is != SLOT_NONE && ++n_copy == now[n].copies) {
            n++;
            n_copy = 0;
        }
    }
    return true;
}

/* Partitions whose time has come: what is in the result stays there. */
static void forget_partitions(struct top_few *top)
{
    uint32_t slots[256], count;
    struct table_heap *heap = hashed_table_heap(top->partitions);
    while ((count = op_expiry_take(&top->expiry, top->base.ctx, slots, ARRAY_COUNT(slots))) > 0) {
        for (uint32_t i = 0; i < count; i++) {
            struct partition *partition = hashed_table_payload(top->partitions, slots[i]);
            for (uint32_t e = 0; e < partition->count; e++)
                free_row(top, entries_of(partition)[e].slot);
            if (partition->cap > 1)
                table_heap_release(heap, partition->many, partition->cap * (uint32_t)sizeof(struct kept));
            hashed_table_remove(top->partitions, slots[i]);
        }
    }
}

static bool top_few_finish(struct operator* op, struct error *err)
{
    struct top_few *top = (struct top_few *)op;
    if (!top->in_tick) {
        forget_partitions(top);
        return true;
    }
    top->in_tick = false;
    add_waiting(top);
    bool done = true;
    for (uint32_t t = 0; t < top->touched_count && done; t++) {
        const struct touched *touched = &top->touched[t];
        struct partition *partition = hashed_table_payload(top->partitions, touched->partition);
        if (t + 8 < top->touched_count)
            __builtin_prefetch(hashed_table_payload(top->partitions, touched[8].partition));
        done = (top->shows_rank ? emit_ranks : emit_rows)(top, touched, entries_of(partition),
                                                          partition->count, err);
    }
    done = done && flush(top, err);
    top->out_count = 0;
    for (uint32_t i = 0; i < top->pushed_out_count; i++)
        free_row(top, top->pushed_out[i]);
    forget_partitions(top);
    return done;
}

/* ---- checkpoints ---- */

static void gather_rows(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                        struct arena *arena)
{
    const struct top_few *top = of;
    const uint8_t **rows = arena_alloc(arena, sizeof(*rows) * count);
    int64_t *partitions = op_saved_numbers(&out[top->child_columns], count, arena);
    int64_t *copies = op_saved_numbers(&out[top->child_columns + 1], count, arena);
    for (uint32_t i = 0; i < count; i++) {
        const struct owner *owner = owner_at(top, slots[i]);
        rows[i] = slot_pages_at(&top->rows, slots[i]);
        partitions[i] = owner->partition;
        copies[i] = owner->copies;
    }
    op_saved_rows(&top->layout, rows, count, out, arena);
}

static bool restore_rows(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                         struct error *err)
{
    struct top_few *top = of;
    const int64_t *partitions = op_restored_numbers(rows, top->child_columns);
    const int64_t *copies = op_restored_numbers(rows, top->child_columns + 1);
    if (!op_saved_version(version, err))
        return false;
    for (uint32_t i = 0; i < rows->rows; i++) {
        if (partitions[i] < 0 || partitions[i] >= SLOT_NONE || copies[i] < 1 || copies[i] > top->limit)
            return op_saved_damaged(err);
        slot_pages_take(&top->rows, slots[i]);
        uint8_t *row = slot_pages_at(&top->rows, slots[i]);
        slot_set_header(row, SLOT_LIVE);
        row_layout_store(&top->layout, row, rows, i, NULL, top->heap);
        *owner_at(top, slots[i]) = (struct owner){(uint32_t)partitions[i], (uint32_t)copies[i]};
    }
    return true;
}

/* "partitions": their keys. "rows": the child's columns, slot of the partition, copies. */
static void top_few_saved_tables(struct operator* op, struct saved_tables *out)
{
    struct top_few *top = (struct top_few *)op;
    op_saved_keys(out, "partitions", top->partitions, top->partition_types, top->partition_count);
    saved_tables_add(out, (struct saved_table){.name = "rows",
                                               .version = 1,
                                               .columns_count = top->child_columns + 2,
                                               .types = op_saved_types(out, op->types, top->child_columns, 2),
                                               .of = top,
                                               .slots = &top->rows,
                                               .gather = gather_rows,
                                               .restore = restore_rows});
}

/* Row `at` of the batch, which lies in a slot, into its partition. */
static bool put_back(struct top_few *top, const struct batch *rows, uint32_t at, uint64_t head, uint32_t slot)
{
    const struct owner *owner = owner_at(top, slot);
    if (!op_slots_have(hashed_table_slots(top->partitions), owner->partition))
        return false;
    struct partition *partition = hashed_table_payload(top->partitions, owner->partition);
    if (owner->copies > top->limit - partition->copies)
        return false;
    const struct kept *entries = entries_of(partition);
    uint32_t low = 0, high = partition->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        int order = compare_kept(top, rows, at, head, &entries[middle]);
        if (order == 0)
            return false;
        if (order < 0)
            high = middle;
        else
            low = middle + 1;
    }
    put_entry(top, partition, low, (struct kept){head, slot, owner->copies});
    return true;
}

static bool top_few_restore_rest(struct operator* op, const void *rest, size_t rest_bytes, struct error *err)
{
    struct top_few *top = (struct top_few *)op;
    uint32_t slots[BATCH_ROWS_MAX], count, cursor = 0;
    uint64_t heads[BATCH_ROWS_MAX];
    do {
        for (count = 0; count < BATCH_ROWS_MAX; count++) {
            slots[count] = op_slots_next(&top->rows, &cursor);
            if (slots[count] == SLOT_NONE)
                break;
            top->out_rows[count] = slot_pages_at(&top->rows, slots[count]);
        }
        arena_reset(&top->scratch);
        struct batch *rows = batch_header(&top->scratch, top->child_columns);
        rows->rows = count;
        for (uint32_t c = 0; c < top->child_columns; c++)
            row_layout_gather(&top->layout, top->out_rows, count, c, false, &rows->columns[c], &top->scratch);
        row_heads(top, rows, heads);
        for (uint32_t i = 0; i < count; i++)
            if (!put_back(top, rows, i, heads[i], slots[i]))
                return op_saved_damaged(err);
    } while (count == BATCH_ROWS_MAX);
    if (top->expiry.is_on)
        op_expiry_add_all(&top->expiry, top->partitions, top->partition_columns, top->partition_types,
                          top->partition_count);
    (void)rest;
    return rest_bytes == 0 || op_saved_damaged(err);
}

static int64_t top_few_bytes(const struct operator* op)
{
    const struct top_few *top = (const struct top_few *)op;
    return hashed_table_bytes(top->partitions) + slot_pages_bytes(&top->rows) + table_heap_bytes(top->heap) +
           op_expiry_bytes(&top->expiry);
}

static int64_t top_few_due(const struct operator* op)
{
    return op_expiry_due(&((const struct top_few *)op)->expiry);
}

static uint64_t top_few_rows(const struct operator* op)
{
    return ((const struct top_few *)op)->rows.live;
}

const struct operator_class op_top_few_class = {
    .name = "top_few",
    .bytes = sizeof(struct top_few),
    .open = top_few_open,
    .push = top_few_push,
    .finish = top_few_finish,
    .close = top_few_close,
    .due_watermark = top_few_due,
    .state_bytes = top_few_bytes,
    .state_rows = top_few_rows,
    .saved_tables = top_few_saved_tables,
    .restore_rest = top_few_restore_rest,
};
