/* op_top_n.c: LIMIT, OFFSET, DISTINCT ON and Top-N per partition in a view.
 *
 * An ordered table holds the rows as counts, by (partition, sort keys, exact row): ties are broken by the row
 * itself, so the result depends on the contents alone. Changes set counts; an entry also keeps its count from
 * before the tick, and entries at 0 go only at the end. So one walk over a touched partition sees old and new
 * contents side by side, in order, and emits for each entry the difference of its share in the new window and
 * in the old one. The walk ends where both windows have ended: O(offset + limit) per touched partition. Over
 * append-only input rows behind the window can never come back: they are dropped. */
#include "executor/operators/op_common.h"
#include "storage/state/hashed_table.h"
#include "storage/state/ordered_table.h"

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
    bool ready, passes, with_ties, bounded;
    uint32_t tick;
    bool in_tick;
    struct byte_set partitions; /* touched; tick arena */
    struct strbuf
        zero_keys; /* length and bytes of keys to look at in the end: count 0, or behind the window */
    struct strbuf key;
    struct arena scratch;
};

static bool top_n_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct top_n *top = (struct top_n *)op;
    struct arena *arena = op->ctx->plan_arena;
    arena_init(&top->scratch, op->ctx->account);
    top->partition_count = plan->sort.partition_count;
    top->keys_count = plan->sort.partition_count + plan->sort.keys_count;
    top->keys = ARENA_ARRAY(arena, struct sort_key, top->keys_count);
    for (uint32_t p = 0; p < plan->sort.partition_count; p++)
        top->keys[p].column = plan->sort.partition[p];
    for (uint32_t k = 0; k < plan->sort.keys_count; k++)
        top->keys[plan->sort.partition_count + k] = plan->sort.keys[k];
    top->with_ties = plan->sort.with_ties;
    top->table = ordered_table_create(op->types, op->columns_count, sizeof(struct entry), op->ctx->account);
    return true;
}

static void top_n_close(struct operator* op)
{
    struct top_n *top = (struct top_n *)op;
    if (top->table != NULL)
        ordered_table_destroy(top->table);
    strbuf_release(&top->key);
    strbuf_release(&top->zero_keys);
    arena_release(&top->scratch);
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
    top->passes = top->limit < 0 && top->offset == 0;
    top->bounded = top->limit >= 0 && op->plan->children[0]->append_only;
    top->ready = true;
    return true;
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
    struct strbuf *key = &top->key;
    for (uint32_t i = 0; i < change->rows; i++) {
        strbuf_reset(key);
        batch_encode_key(change, i, top->keys, top->partition_count, key);
        bool added;
        byte_set_add(&top->partitions, op->ctx->tick_arena, key->data, (uint32_t)key->len, &added);
        batch_encode_key(change, i, top->keys + top->partition_count, top->keys_count - top->partition_count,
                         key);
        uint32_t sort_bytes = (uint32_t)key->len;
        op_encode_row(change, i, key);
        bool inserted;
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
    int64_t position;
    const uint8_t *tie; /* sort key of the window's last row, once it was passed */
    uint32_t tie_bytes;
};

static bool window_is_over(const struct top_n *top, const struct window *window, int64_t end,
                           const uint8_t *key, uint32_t sort_bytes)
{
    if (window->position < end)
        return false;
    return !top->with_ties || window->tie == NULL || window->tie_bytes != sort_bytes ||
           memcmp(window->tie, key, sort_bytes) != 0;
}

/* How many of an entry's `count` rows lie in the window; moves on. */
static int64_t window_share(const struct top_n *top, struct window *window, int64_t end, int64_t count,
                            const uint8_t *key, uint32_t sort_bytes, struct arena *arena)
{
    if (count <= 0)
        return 0;
    if (window->position >= end)
        return window_is_over(top, window, end, key, sort_bytes) ? 0 : count;
    int64_t first = window->position, last = first + count;
    window->position = last;
    if (last >= end && top->with_ties) {
        window->tie = arena_copy(arena, key, sort_bytes);
        window->tie_bytes = sort_bytes;
    } else if (last > end) {
        last = end;
    }
    if (first < top->offset)
        first = top->offset;
    return last > first ? last - first : 0;
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

/* Bounded: what lies behind the window now lies there for good. */
static void drop_later(struct top_n *top, const uint8_t *key, uint32_t key_bytes)
{
    strbuf_add(&top->zero_keys, &key_bytes, sizeof(key_bytes));
    strbuf_add(&top->zero_keys, key, key_bytes);
}

static bool finish_partition(struct top_n *top, const struct byte_set_entry *partition,
                             struct emitter *emitter, struct error *err)
{
    const struct row_layout *layout = ordered_table_layout(top->table);
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
        int64_t change = window_share(top, &now, end, entry->count, key, entry->sort_bytes, &top->scratch) -
                         window_share(top, &before, end, old_count, key, entry->sort_bytes, &top->scratch);
        if (change == 0)
            continue;
        const uint8_t *row = ordered_table_row(top->table, cursor.slot);
        for (uint32_t c = 0; c < top->base.columns_count; c++)
            emitter->row[c] = row_layout_get(layout, row, c);
        batch_append_datums(emitter->out[change > 0], emitter->row, change);
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

static bool top_n_finish(struct operator* op, struct error *err)
{
    struct top_n *top = (struct top_n *)op;
    if (!top->in_tick)
        return true;
    top->in_tick = false;
    arena_reset(&top->scratch);
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

    for (size_t at = 0; at < top->zero_keys.len;) {
        uint32_t bytes;
        memcpy(&bytes, top->zero_keys.data + at, sizeof(bytes));
        const char *key = top->zero_keys.data + at + sizeof(bytes);
        at += sizeof(bytes) + bytes;
        uint32_t slot = ordered_table_find(top->table, key, bytes);
        if (slot == SLOT_NONE)
            continue;
        const struct entry *entry = ordered_table_payload(top->table, slot);
        if (entry->count == 0 || top->bounded)
            ordered_table_remove(top->table, key, bytes);
    }
    strbuf_reset(&top->zero_keys);
    return done;
}

static int64_t top_n_bytes(const struct operator* op)
{
    return ordered_table_bytes(((const struct top_n *)op)->table);
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
    .state_bytes = top_n_bytes,
    .state_rows = top_n_rows,
};
