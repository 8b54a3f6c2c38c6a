/* op_top_n.c: LIMIT, OFFSET, DISTINCT ON and Top-N per partition in a view, also with the rank of each row.
 *
 * An ordered table holds the rows as counts, by (partition, sort keys, exact row): ties are broken by the row
 * itself, so the result depends on the contents alone. Changes set counts; an entry also keeps its count from
 * before the tick, and entries at 0 go only at the end. So one walk over a touched partition sees old and new
 * contents side by side, in order, and emits for each entry the difference of its share in the new window and
 * in the old one. The walk ends where both windows have ended: O(offset + limit) per touched partition. Over
 * append-only input rows behind the window can never come back: they are dropped. */
#include "executor/operators/op_expiry.h"
#include "executor/operators/op_saved.h"

struct entry {
    int64_t count;
    int64_t old_count; /* before the tick `stamp` */
    uint32_t stamp;
    uint32_t sort_bytes; /* how much of the key is partition and sort keys */
};

struct top_n {
    struct operator base;
    struct ordered_table *table;
    struct sort_key *keys; /* partition, then sort keys */
    uint32_t keys_count;
    uint32_t partition_count;
    int64_t limit, offset; /* limit -1: none */
    enum over_kind rank;   /* what the limit counts */
    bool ready, passes, bounded, shows_rank;
    uint32_t child_columns;
    uint32_t tick;
    bool in_tick;
    struct byte_set partitions; /* touched; tick arena */
    struct strbuf zero_keys;    /* length and bytes of keys whose count came to 0 */
    struct strbuf behind_keys;  /* the same of those behind the window for good */
    struct strbuf key;
    struct op_expiry expiry;
    struct hashed_table *forgettable; /* partitions that are forgotten when their time comes; NULL: none is */
    struct sql_type *partition_types; /* of its keys */
    struct arena scratch;
};

static bool top_n_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct top_n *top = (struct top_n *)op;
    struct arena *arena = op->ctx->plan_arena;
    top->partition_count = plan->sort.partition_count;
    top->keys_count = plan->sort.partition_count + plan->sort.keys_count;
    top->keys = ARENA_ARRAY(arena, struct sort_key, top->keys_count);
    for (uint32_t p = 0; p < plan->sort.partition_count; p++)
        top->keys[p].column = plan->sort.partition[p];
    for (uint32_t k = 0; k < plan->sort.keys_count; k++)
        top->keys[plan->sort.partition_count + k] = plan->sort.keys[k];
    top->rank = plan->sort.with_ties ? OVER_RANK : plan->sort.rank;
    if (top->rank == OVER_AGGREGATE)
        top->rank = OVER_ROW_NUMBER;
    top->shows_rank = plan->sort.shows_rank;
    top->child_columns = plan->children[0]->columns_count;
    top->table = ordered_table_create(op->types, top->child_columns, sizeof(struct entry), op->ctx->account);
    op_expiry_open(&top->expiry, op->ctx, &plan->sort.expiry);
    arena_init(&top->scratch, op->ctx->account);
    if (top->expiry.is_on) {
        top->partition_types = ARENA_ARRAY(arena, struct sql_type, top->partition_count);
        for (uint32_t p = 0; p < top->partition_count; p++)
            top->partition_types[p] = op->types[plan->sort.partition[p]];
        top->forgettable =
            hashed_table_create(top->partition_types, top->partition_count, 0, op->ctx->account);
    }
    return true;
}

static void top_n_close(struct operator* op)
{
    struct top_n *top = (struct top_n *)op;
    if (top->table != NULL)
        ordered_table_destroy(top->table);
    strbuf_release(&top->key);
    strbuf_release(&top->zero_keys);
    strbuf_release(&top->behind_keys);
    hashed_table_destroy(top->forgettable);
    op_expiry_close(&top->expiry);
    arena_release(&top->scratch);
}

/* limit and offset are known. */
static void make_ready(struct top_n *top)
{
    top->passes = top->limit < 0 && top->offset == 0;
    top->bounded = top->limit >= 0 && top->base.plan->children[0]->append_only;
    top->ready = true;
}

static bool top_n_ready(struct top_n *top, struct error *err)
{
    if (top->ready)
        return true;
    struct operator* op = & top->base;
    if (!op_eval_count(op, op->plan->sort.limit, true, &top->limit, err) ||
        !op_eval_count(op, op->plan->sort.offset, false, &top->offset, err))
        return false;
    if (op->plan->sort.distinct_on)
        top->limit = 1;
    if (top->offset < 0)
        top->offset = 0;
    make_ready(top);
    return true;
}

/* Registers the partitions of the rows that are new and have a time. */
static void expire_partitions(struct top_n *top, const struct batch *change)
{
    const struct plan *plan = top->base.plan;
    const struct column *times = &change->columns[top->expiry.column];
    arena_reset(&top->scratch);
    uint32_t *rows = arena_alloc(&top->scratch, sizeof(uint32_t) * change->rows), count = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        struct datum value = column_get(times, i);
        int64_t time;
        rows[count] = i;
        count += op_expiry_has_time(&value, times->phys, &time);
    }
    const struct batch *timed =
        count == change->rows ? change : op_gather(&top->scratch, change, rows, count);
    uint64_t *hashes = arena_alloc(&top->scratch, sizeof(uint64_t) * (count + 1));
    uint32_t *slots = arena_alloc(&top->scratch, sizeof(uint32_t) * (count + 1));
    uint8_t *inserted = arena_alloc(&top->scratch, count + 1);
    batch_hash(timed, plan->sort.partition, top->partition_count, hashes);
    hashed_table_insert_new(top->forgettable, timed, plan->sort.partition, hashes, slots, inserted);
    for (uint32_t i = 0; i < count; i++)
        if (inserted[i])
            op_expiry_add(&top->expiry, &timed->columns[top->expiry.column], i, slots[i]);
}

/* The row's key in top->key; tells how much of it is the partition, and how much that and the sort keys. */
static void encode_row_key(struct top_n *top, const struct batch *rows, uint32_t row,
                           uint32_t *partition_bytes, uint32_t *sort_bytes)
{
    struct strbuf *key = &top->key;
    strbuf_reset(key);
    batch_encode_key(rows, row, top->keys, top->partition_count, key);
    *partition_bytes = (uint32_t)key->len;
    batch_encode_key(rows, row, top->keys + top->partition_count, top->keys_count - top->partition_count,
                     key);
    *sort_bytes = (uint32_t)key->len;
    op_encode_row(rows, row, key);
}

static bool top_n_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct top_n *top = (struct top_n *)op;
    if (!top_n_ready(top, err))
        return false;
    if (top->passes)
        return operator_emit(op, change, err); /* order alone means nothing in a view */
    if (!top->in_tick) {
        top->in_tick = true;
        top->tick++;
        top->partitions = (struct byte_set){0};
        strbuf_reset(&top->zero_keys);
    }
    if (top->expiry.is_on)
        expire_partitions(top, change);
    struct strbuf *key = &top->key;
    for (uint32_t i = 0; i < change->rows; i++) {
        bool added, inserted;
        uint32_t partition_bytes, sort_bytes;
        encode_row_key(top, change, i, &partition_bytes, &sort_bytes);
        byte_set_add(&top->partitions, op->ctx->tick_arena, key->data, partition_bytes, &added);
        uint32_t slot =
            ordered_table_upsert(top->table, key->data, (uint32_t)key->len, change, i, NULL, &inserted);
        struct entry *entry = ordered_table_payload(top->table, slot);
        if (entry->stamp != top->tick) {
            entry->stamp = top->tick;
            entry->old_count = entry->count;
            entry->sort_bytes = sort_bytes;
        }
        entry->count += batch_weight(change, i);
        if (entry->count == 0) {
            uint32_t bytes = (uint32_t)key->len;
            strbuf_add(&top->zero_keys, &bytes, sizeof(bytes));
            strbuf_add(&top->zero_keys, key->data, key->len);
        }
    }
    return true;
}

/* Where one of the two contents stands in the walk over a partition. */
struct window {
    int64_t position;   /* rows so far */
    int64_t peers_from; /* rows before the peers of the last row */
    int64_t peers;      /* groups of peers so far */
    const uint8_t *key; /* sort key of the last row */
    uint32_t key_bytes;
};

/* The rows of one entry that lie in a window; with ranks, those of the first and the last. */
struct share {
    int64_t count, first_rank, last_rank;
};

static bool is_peer(const struct window *window, const uint8_t *key, uint32_t sort_bytes)
{
    return window->key != NULL && window->key_bytes == sort_bytes &&
           memcmp(window->key, key, sort_bytes) == 0;
}

/* Do this key and all that follow lie behind the window? */
static bool window_is_over(const struct top_n *top, const struct window *window, int64_t end,
                           const uint8_t *key, uint32_t sort_bytes)
{
    int64_t so_far = top->rank == OVER_DENSE_RANK ? window->peers : window->position;
    return so_far >= end && (top->rank == OVER_ROW_NUMBER || !is_peer(window, key, sort_bytes));
}

/* What of an entry's `count` rows lies in the window; moves on. */
static struct share window_share(const struct top_n *top, struct window *window, int64_t end, int64_t count,
                                 const uint8_t *key, uint32_t sort_bytes)
{
    if (count <= 0 || window_is_over(top, window, end, key, sort_bytes))
        return (struct share){0};
    int64_t first = window->position, last = first + count;
    if (!is_peer(window, key, sort_bytes)) {
        window->peers_from = first;
        window->peers++;
        window->key = key;
        window->key_bytes = sort_bytes;
    }
    window->position = last;
    if (top->rank == OVER_ROW_NUMBER && last > end)
        last = end;
    if (first < top->offset)
        first = top->offset;
    if (last <= first)
        return (struct share){0};
    if (top->rank == OVER_ROW_NUMBER)
        return (struct share){last - first, first + 1, last};
    int64_t rank = top->rank == OVER_RANK ? window->peers_from + 1 : window->peers;
    return (struct share){last - first, rank, rank};
}

struct emitter {
    struct batch *out[2]; /* deletes, inserts */
    struct datum *row;
};

static bool emit_pending(struct top_n *top, struct emitter *emitter, struct error *err)
{
    for (uint32_t i = 0; i < 2; i++) {
        if (emitter->out[i]->rows > 0 && !operator_emit(&top->base, emitter->out[i], err))
            return false;
        batch_clear(emitter->out[i]);
    }
    return true;
}

/* The rows of `from` whose ranks `other` does not have. */
static void emit_ranks(const struct top_n *top, struct emitter *emitter, const struct share *from,
                       const struct share *other, bool is_insert)
{
    int64_t sign = is_insert ? 1 : -1;
    for (int64_t rank = from->first_rank; from->count > 0 && rank <= from->last_rank; rank++) {
        emitter->row[top->child_columns] = datum_i64(rank);
        if (other->count > 0 && rank >= other->first_rank && rank <= other->last_rank) {
            rank = other->last_rank;
            continue;
        }
        int64_t rows = top->rank == OVER_ROW_NUMBER ? 1 : from->count;
        batch_append_datums(emitter->out[is_insert], emitter->row, sign * rows);
    }
}

static void emit_entry(const struct top_n *top, struct emitter *emitter, const uint8_t *row,
                       const struct share *was, const struct share *is)
{
    int64_t change = is->count - was->count;
    bool moved = top->shows_rank && (was->first_rank != is->first_rank || was->last_rank != is->last_rank);
    if (change == 0 && !moved)
        return;
    const struct row_layout *layout = ordered_table_layout(top->table);
    for (uint32_t c = 0; c < top->child_columns; c++)
        emitter->row[c] = row_layout_get(layout, row, c);
    if (moved) {
        emit_ranks(top, emitter, was, is, false);
        emit_ranks(top, emitter, is, was, true);
        return;
    }
    if (top->shows_rank)
        emitter->row[top->child_columns] = datum_i64(is->first_rank);
    batch_append_datums(emitter->out[change > 0], emitter->row, change);
}

/* Bounded: what lies behind the window now lies there for good. */
static void drop_later(struct top_n *top, const uint8_t *key, uint32_t key_bytes)
{
    strbuf_add(&top->behind_keys, &key_bytes, sizeof(key_bytes));
    strbuf_add(&top->behind_keys, key, key_bytes);
}

static bool finish_partition(struct top_n *top, const struct byte_set_entry *partition,
                             struct emitter *emitter, struct error *err)
{
    int64_t end =
        top->limit < 0 || top->limit > INT64_MAX - top->offset ? INT64_MAX : top->offset + top->limit;
    if (top->limit == 0)
        return true;
    struct window before = {0}, now = {0};
    struct ordered_cursor cursor;
    ordered_table_seek(top->table, partition->bytes, partition->len, &cursor);
    for (; cursor.slot != SLOT_NONE && ordered_cursor_has_prefix(&cursor, partition->bytes, partition->len);
         ordered_cursor_next(&cursor)) {
        struct entry *entry = ordered_table_payload(top->table, cursor.slot);
        uint32_t key_bytes;
        const uint8_t *key = ordered_cursor_key(&cursor, &key_bytes);
        bool is_behind = window_is_over(top, &now, end, key, entry->sort_bytes);
        if (is_behind && window_is_over(top, &before, end, key, entry->sort_bytes))
            break;
        if (is_behind && top->bounded)
            drop_later(top, key, key_bytes);
        int64_t old_count = entry->stamp == top->tick ? entry->old_count : entry->count;
        struct share is = window_share(top, &now, end, entry->count, key, entry->sort_bytes);
        struct share was = window_share(top, &before, end, old_count, key, entry->sort_bytes);
        emit_entry(top, emitter, ordered_table_row(top->table, cursor.slot), &was, &is);
    }
    if (top->bounded) {
        for (;
             cursor.slot != SLOT_NONE && ordered_cursor_has_prefix(&cursor, partition->bytes, partition->len);
             ordered_cursor_next(&cursor)) {
            uint32_t key_bytes;
            const uint8_t *key = ordered_cursor_key(&cursor, &key_bytes);
            drop_later(top, key, key_bytes);
        }
    }
    if (emitter->out[0]->rows + emitter->out[1]->rows >= BATCH_ROWS_MAX)
        return emit_pending(top, emitter, err);
    return true;
}

/* Those that count nothing, or all of them; empties the list. */
static void remove_keys(struct top_n *top, struct strbuf *keys, bool only_zero)
{
    for (size_t at = 0; at < keys->len;) {
        uint32_t bytes;
        memcpy(&bytes, keys->data + at, sizeof(bytes));
        const char *key = keys->data + at + sizeof(bytes);
        at += sizeof(bytes) + bytes;
        uint32_t slot = ordered_table_find(top->table, key, bytes);
        if (slot == SLOT_NONE)
            continue;
        const struct entry *entry = ordered_table_payload(top->table, slot);
        if (entry->count == 0 || !only_zero)
            ordered_table_remove(top->table, key, bytes);
    }
    strbuf_reset(keys);
}

static void forget_partition(struct top_n *top, const struct strbuf *prefix)
{
    for (;;) {
        struct ordered_cursor cursor;
        ordered_table_seek(top->table, prefix->data, (uint32_t)prefix->len, &cursor);
        if (cursor.slot == SLOT_NONE ||
            !ordered_cursor_has_prefix(&cursor, prefix->data, (uint32_t)prefix->len))
            return;
        uint32_t bytes;
        const uint8_t *found = ordered_cursor_key(&cursor, &bytes);
        strbuf_reset(&top->key);
        strbuf_add(&top->key, found, bytes);
        ordered_table_remove(top->table, top->key.data, bytes);
    }
}

/* Partitions whose time has come: what is in the result stays there. */
static void forget_partitions(struct top_n *top)
{
    uint32_t slots[256], count;
    struct strbuf prefix = STRBUF_INIT;
    while ((count = op_expiry_take(&top->expiry, top->base.ctx, slots, ARRAY_COUNT(slots))) > 0) {
        arena_reset(&top->scratch);
        struct batch *keys = batch_header(&top->scratch, top->partition_count);
        struct sort_key *columns =
            arena_copy(&top->scratch, top->keys, sizeof(*columns) * top->partition_count);
        for (uint32_t p = 0; p < top->partition_count; p++)
            columns[p].column = p;
        keys->rows = count;
        hashed_table_gather_keys(top->forgettable, slots, count, keys->columns, &top->scratch);
        for (uint32_t i = 0; i < count; i++) {
            strbuf_reset(&prefix);
            batch_encode_key(keys, i, columns, top->partition_count, &prefix);
            forget_partition(top, &prefix);
            hashed_table_remove(top->forgettable, slots[i]);
        }
    }
    strbuf_release(&prefix);
}

static bool top_n_finish(struct operator* op, struct error *err)
{
    struct top_n *top = (struct top_n *)op;
    if (!top->in_tick) {
        forget_partitions(top);
        return true;
    }
    top->in_tick = false;
    struct emitter emitter = {.row =
                                  arena_alloc(op->ctx->tick_arena, sizeof(struct datum) * op->columns_count)};
    struct arena out_arena;
    arena_init(&out_arena, op->ctx->account);
    for (uint32_t i = 0; i < 2; i++)
        emitter.out[i] = batch_create(&out_arena, op->types, op->columns_count, 16);
    bool done = true;
    for (uint32_t p = 0; p < top->partitions.count && done; p++)
        done = finish_partition(top, &top->partitions.entries[p], &emitter, err);
    done = done && emit_pending(top, &emitter, err);
    arena_release(&out_arena);

    remove_keys(top, &top->zero_keys, true);
    remove_keys(top, &top->behind_keys, false);
    forget_partitions(top);
    return done;
}

/* ---- checkpoints ---- */

static void gather_entries(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                           struct arena *arena)
{
    struct top_n *top = of;
    op_saved_slots(top->table, slots, count, out, arena);
    int64_t *counts = op_saved_numbers(&out[top->child_columns], count, arena);
    for (uint32_t i = 0; i < count; i++)
        counts[i] = ((const struct entry *)ordered_table_payload(top->table, slots[i]))->count;
}

static bool restore_entries(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                            struct error *err)
{
    struct top_n *top = of;
    struct batch header;
    const struct batch *columns = op_restored_columns(rows, top->child_columns, &header);
    const int64_t *counts = op_restored_numbers(rows, top->child_columns);
    if (!op_saved_version(version, err))
        return false;
    for (uint32_t i = 0; i < rows->rows; i++) {
        uint32_t partition_bytes, sort_bytes;
        encode_row_key(top, columns, i, &partition_bytes, &sort_bytes);
        if (!ordered_table_restore(top->table, slots[i], top->key.data, (uint32_t)top->key.len, columns, i,
                                   NULL) ||
            counts[i] == 0)
            return op_saved_damaged(err);
        struct entry *entry = ordered_table_payload(top->table, slots[i]);
        entry->count = counts[i];
        entry->sort_bytes = sort_bytes;
    }
    return true;
}

/* "rows": the child's columns, count. "partitions": those that will be forgotten. */
static void top_n_saved_tables(struct operator* op, struct saved_tables *out)
{
    struct top_n *top = (struct top_n *)op;
    saved_tables_add(out, (struct saved_table){.name = "rows",
                                               .version = 1,
                                               .columns_count = top->child_columns + 1,
                                               .types = op_saved_types(out, op->types, top->child_columns, 1),
                                               .of = top,
                                               .slots = ordered_table_slots(top->table),
                                               .gather = gather_entries,
                                               .restore = restore_entries});
    if (top->forgettable != NULL)
        op_saved_keys(out, "partitions", top->forgettable, top->partition_types, top->partition_count);
}

/* Limit and offset, once they are known: they are looked up in the first tick with rows. */
static void top_n_save_rest(struct operator* op, struct strbuf *out)
{
    const struct top_n *top = (const struct top_n *)op;
    if (top->ready)
        op_rest_add(out, (int64_t[]){top->limit, top->offset}, 2);
}

static bool top_n_restore_rest(struct operator* op, const void *rest, size_t rest_bytes, struct error *err)
{
    struct top_n *top = (struct top_n *)op;
    if (rest_bytes > 0) {
        int64_t values[2];
        if (!op_rest_take(rest, rest_bytes, values, 2, err))
            return false;
        top->limit = values[0];
        top->offset = values[1];
        if (top->limit < -1 || top->offset < 0)
            return op_saved_damaged(err);
        make_ready(top);
    }
    if (top->forgettable != NULL)
        op_expiry_add_all(&top->expiry, top->forgettable, op->plan->sort.partition, top->partition_types,
                          top->partition_count);
    return true;
}

static int64_t top_n_bytes(const struct operator* op)
{
    const struct top_n *top = (const struct top_n *)op;
    int64_t bytes = ordered_table_bytes(top->table) + op_expiry_bytes(&top->expiry);
    return top->forgettable != NULL ? bytes + hashed_table_bytes(top->forgettable) : bytes;
}

static int64_t top_n_due(const struct operator* op)
{
    return op_expiry_due(&((const struct top_n *)op)->expiry);
}

static uint64_t top_n_rows(const struct operator* op)
{
    return ordered_table_rows(((const struct top_n *)op)->table);
}

const struct operator_class op_top_n_class = {
    .name = "top_n",
    .bytes = sizeof(struct top_n),
    .open = top_n_open,
    .push = top_n_push,
    .finish = top_n_finish,
    .close = top_n_close,
    .due_watermark = top_n_due,
    .state_bytes = top_n_bytes,
    .state_rows = top_n_rows,
    .saved_tables = top_n_saved_tables,
    .save_rest = top_n_save_rest,
    .restore_rest = top_n_restore_rest,
};
