/* op_asof_join.c: joins of each left row with the right row that is nearest in time.
 *
 * Both sides are kept by key and time (timed_rows.h); where the nearest row is the next one instead of the one before,
 * times are negated, so that below the match is always the last right row at or before (or before) the left row's
 * time. Right rows of one key and time are ordered by their values, and the greatest counts.
 *
 * Every left row remembers what it shows. Pushes only change the two sides; finish looks again at the left rows that
 * were pushed, and at those between the time of each right row that changed and the next time of its key: no other
 * left row can have another match now. Removed right rows stay until then, so that what was shown can be taken back.
 *
 * A row without a time or with a NULL key matches nothing and is not kept.
 *
 * Forgetting: left rows go as the watermark passes them. A right row that the watermark has passed takes those before
 * it along, and stays itself: left rows to come can match it. */
#include "executor/operators/timed_rows.h"

/* Behind struct timed_entry of left rows. */
struct left_state {
    int64_t match; /* its slot; SLOT_NONE: it is shown with NULLs, or not at all; saved */
    int64_t shown; /* copies in the output: between ticks all */
};

/* Behind struct timed_entry of right rows. What holds for one finish carries its number. */
struct right_state {
    uint64_t seen;        /* the last row of its time: the left rows of that time have been looked at */
    uint64_t known;       /* removed: live_before is known */
    uint32_t live_before; /* the last row before it that is there, SLOT_NONE */
};

struct asof_side {
    struct timed_rows rows;
    const uint32_t *keys;
    uint32_t *touched; /* of this tick, in the tick arena */
    uint32_t touched_count, touched_cap;
};

/* Rows to emit, all with a match or all without one. */
struct asof_output {
    uint32_t count;
    uint32_t left[BATCH_ROWS_MAX], right[BATCH_ROWS_MAX];
    int64_t weights[BATCH_ROWS_MAX];
};

struct asof_join {
    struct operator base;
    struct timed_keys keys;
    struct asof_side sides[2];
    uint32_t keys_count;
    bool is_left, is_strict;
    uint64_t finishes;
    struct arena scratch;                    /* one push */
    struct arena piece;                      /* one emitted piece */
    struct asof_output removed[2], added[2]; /* without a match, with one; what goes is emitted first */
    uint64_t hashes[BATCH_ROWS_MAX];
    uint32_t numbers[BATCH_ROWS_MAX];
    uint8_t inserted[BATCH_ROWS_MAX];
    uint32_t kept[BATCH_ROWS_MAX], gone[BATCH_ROWS_MAX];
};

static bool asof_join_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct asof_join *join = (struct asof_join *)op;
    enum time_comparison comparison = plan->asof_join.comparison;
    bool is_reversed = comparison == TIME_LESS || comparison == TIME_LESS_EQUAL;
    (void)err;
    join->is_left = plan->asof_join.is_left;
    join->is_strict = comparison == TIME_GREATER || comparison == TIME_LESS;
    join->keys_count = plan->asof_join.keys_count;
    join->sides[0].keys = plan->asof_join.left_keys;
    join->sides[1].keys = plan->asof_join.right_keys;
    join->sides[0].rows.expiry = plan->asof_join.left_expiry;
    join->sides[1].rows.expiry = plan->asof_join.right_expiry;
    join->sides[1].rows.has_order = true;
    arena_init(&join->scratch, op->ctx->account);
    arena_init(&join->piece, op->ctx->account);
    timed_keys_open(&join->keys, plan->children[0]->types, join->sides[0].keys, join->keys_count, op->ctx);
    for (uint32_t side = 0; side < 2; side++) {
        struct timed_rows *rows = &join->sides[side].rows;
        rows->ctx = op->ctx;
        rows->keys = &join->keys;
        rows->is_reversed = is_reversed;
        rows->saves_extra = side == 0;
        timed_rows_open(rows, plan->children[side],
                        side == 0 ? plan->asof_join.left_time : plan->asof_join.right_time,
                        side == 0 ? sizeof(struct left_state) : sizeof(struct right_state), INT64_MAX);
    }
    return true;
}

static void asof_join_close(struct operator* op)
{
    struct asof_join *join = (struct asof_join *)op;
    for (uint32_t side = 0; side < 2; side++)
        timed_rows_close(&join->sides[side].rows);
    timed_keys_close(&join->keys);
    arena_release(&join->scratch);
    arena_release(&join->piece);
}

/* ---- changes ---- */

/* Left rows with NULLs for the right side, whose columns are set here. */
static bool emit_single(struct asof_join *join, struct batch *out, struct error *err)
{
    const struct timed_rows *right = &join->sides[1].rows;
    uint32_t width = join->sides[0].rows.columns_count;
    for (uint32_t c = 0; c < right->columns_count; c++)
        op_null_column(&out->columns[width + c], right->types[c], out->rows, &join->piece);
    return operator_emit(&join->base, out, err);
}

/* Takes out the rows that match nothing; those of the left side of a left join go straight on. */
static bool take_unmatchable(struct asof_join *join, uint32_t side_number, const struct batch **rows,
                             struct error *err)
{
    const struct asof_side *side = &join->sides[side_number];
    const struct batch *change = *rows;
    const struct column *time = &change->columns[side->rows.time_column];
    uint8_t *skip = op_null_keys(&join->scratch, change, side->keys, join->keys_count, NULL);
    if (skip == NULL && time->nulls == NULL)
        return true;
    uint32_t kept = 0, gone = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        if ((skip != NULL && skip[i]) || column_is_null(time, i))
            join->gone[gone++] = i;
        else
            join->kept[kept++] = i;
    }
    if (gone == 0)
        return true;
    *rows = op_gather(&join->scratch, change, join->kept, kept);
    if (side_number == 1 || !join->is_left)
        return true;
    arena_reset(&join->piece);
    const struct batch *alone = op_gather(&join->piece, change, join->gone, gone);
    struct batch *out = batch_header(&join->piece, join->base.columns_count);
    out->rows = gone;
    out->weights = alone->weights;
    for (uint32_t c = 0; c < side->rows.columns_count; c++)
        out->columns[c] = alone->columns[c];
    return emit_single(join, out, err);
}

static bool asof_join_push(struct operator* op, uint32_t port, const struct batch *rows, struct error *err)
{
    struct asof_join *join = (struct asof_join *)op;
    struct asof_side *side = &join->sides[port];
    arena_reset(&join->scratch);
    if (op->ctx->stop)
        return true;
    if (!take_unmatchable(join, port, &rows, err))
        return false;
    if (rows->rows == 0)
        return true;
    timed_keys_of(&join->keys, rows, side->keys, join->keys_count, join->hashes, join->numbers,
                  join->inserted);
    for (uint32_t i = 0; i < rows->rows; i++) {
        bool is_new;
        int64_t time = 0;
        (void)timed_rows_time(&side->rows, rows, i, &time);
        uint32_t slot = timed_rows_upsert(&side->rows, join->numbers[i], time, rows, i, &is_new);
        struct timed_entry *entry = timed_entry_at(&side->rows, slot);
        if (!entry->is_touched) {
            entry->is_touched = true;
            ARENA_PUSH(op->ctx->tick_arena, side->touched, side->touched_count, side->touched_cap, slot);
        }
        timed_rows_count(&side->rows, slot, batch_weight(rows, i));
    }
    return true;
}

/* ---- output ---- */

static bool flush(struct asof_join *join, struct asof_output *output, struct error *err)
{
    if (output->count == 0)
        return true;
    if (!op_check(&join->base, err))
        return false;
    const struct timed_rows *left = &join->sides[0].rows, *right = &join->sides[1].rows;
    arena_reset(&join->piece);
    struct batch *out = batch_header(&join->piece, join->base.columns_count);
    out->rows = output->count;
    out->weights = output->weights;
    bool all_one = true;
    for (uint32_t i = 0; i < output->count; i++)
        all_one &= output->weights[i] == 1;
    if (all_one)
        out->weights = NULL;
    timed_rows_gather(left, output->left, output->count, NULL, left->columns_count, out->columns,
                      &join->piece);
    output->count = 0;
    if (output == &join->removed[0] || output == &join->added[0])
        return emit_single(join, out, err);
    timed_rows_gather(right, output->right, out->rows, NULL, right->columns_count,
                      out->columns + left->columns_count, &join->piece);
    return operator_emit(&join->base, out, err);
}

static bool flush_all(struct asof_join *join, struct error *err)
{
    return flush(join, &join->removed[0], err) && flush(join, &join->removed[1], err) &&
           flush(join, &join->added[0], err) && flush(join, &join->added[1], err);
}

static bool add_output(struct asof_join *join, uint32_t left, uint32_t right, int64_t weight,
                       struct error *err)
{
    if (weight == 0 || (right == SLOT_NONE && !join->is_left))
        return true;
    struct asof_output *output =
        weight < 0 ? &join->removed[right != SLOT_NONE] : &join->added[right != SLOT_NONE];
    output->left[output->count] = left;
    output->right[output->count] = right;
    output->weights[output->count++] = weight;
    return output->count < BATCH_ROWS_MAX || flush_all(join, err);
}

/* A left row's match is this one now. */
static bool settle(struct asof_join *join, uint32_t left, uint32_t match, struct error *err)
{
    struct left_state *state = timed_extra_at(&join->sides[0].rows, left);
    int64_t count = timed_entry_at(&join->sides[0].rows, left)->count, shown = state->shown;
    uint32_t before = (uint32_t)state->match;
    state->shown = count;
    if (before != match)
        timed_rows_touch(&join->sides[0].rows, left);
    state->match = match;
    if (before == match)
        return add_output(join, left, match, count - shown, err);
    return add_output(join, left, before, -shown, err) && add_output(join, left, match, count, err);
}

/* ---- matches ---- */

/* The last right row of the key at the cursor or before it that is there. What lies between is remembered, so that a
 * long run of removed rows is walked once. */
static uint32_t last_live(struct asof_join *join, uint32_t key, struct ordered_cursor cursor)
{
    const struct timed_rows *right = &join->sides[1].rows;
    struct ordered_cursor at = cursor;
    uint32_t found = SLOT_NONE, passed = 0;
    int64_t time;
    for (; timed_cursor_at(&at, key, &time); ordered_cursor_prev(&at)) {
        const struct right_state *state = timed_extra_at(right, at.slot);
        if (timed_entry_at(right, at.slot)->count > 0) {
            found = at.slot;
            break;
        }
        if (state->known == join->finishes) {
            found = state->live_before;
            break;
        }
        passed++;
    }
    for (; passed > 0; passed--, ordered_cursor_prev(&cursor)) {
        struct right_state *state = timed_extra_at(right, cursor.slot);
        state->known = join->finishes;
        state->live_before = found;
    }
    return found;
}

static bool settle_touched_left(struct asof_join *join, struct error *err)
{
    const struct asof_side *left = &join->sides[0];
    for (uint32_t t = 0; t < left->touched_count && !join->base.ctx->stop; t++) {
        uint32_t slot = left->touched[t];
        const struct timed_entry *entry = timed_entry_at(&left->rows, slot);
        const struct left_state *state = timed_extra_at(&left->rows, slot);
        uint32_t match = entry->count == 0 ? (uint32_t)state->match : SLOT_NONE;
        int64_t time = timed_rows_stored_time(&left->rows, slot);
        if (entry->count != 0 && !(join->is_strict && time == INT64_MIN)) {
            struct ordered_cursor cursor;
            timed_seek_last(&join->sides[1].rows, entry->key, time - join->is_strict, &cursor);
            match = last_live(join, entry->key, cursor);
        }
        if (!settle(join, slot, match, err))
            return false;
    }
    return true;
}

/* The left rows that see the right rows of this key and time before all others. */
static bool settle_behind(struct asof_join *join, uint32_t key, int64_t time, struct error *err)
{
    const struct timed_rows *left = &join->sides[0].rows, *right = &join->sides[1].rows;
    struct ordered_cursor last, next, cursor;
    timed_seek_last(right, key, time, &last);
    struct right_state *state = timed_extra_at(right, last.slot);
    if (state->seen == join->finishes)
        return true;
    state->seen = join->finishes;
    int64_t from = time, to = INT64_MAX, next_time, at;
    if (join->is_strict && time == INT64_MAX)
        return true;
    from += join->is_strict;
    next = last;
    ordered_cursor_next(&next);
    if (timed_cursor_at(&next, key, &next_time))
        to = next_time - !join->is_strict;
    uint32_t match = SLOT_NONE;
    bool is_known = false;
    for (timed_seek(left, key, from, &cursor); timed_cursor_at(&cursor, key, &at) && at <= to;
         ordered_cursor_next(&cursor)) {
        if (!is_known)
            match = last_live(join, key, last);
        is_known = true;
        if (!settle(join, cursor.slot, match, err))
            return false;
    }
    return true;
}

static bool settle_touched_right(struct asof_join *join, struct error *err)
{
    const struct asof_side *left = &join->sides[0], *right = &join->sides[1];
    if (left->touched_count == ordered_table_rows(left->rows.table))
        return true; /* all left rows have been looked at */
    for (uint32_t t = 0; t < right->touched_count && !join->base.ctx->stop; t++) {
        uint32_t slot = right->touched[t];
        if (!settle_behind(join, timed_entry_at(&right->rows, slot)->key,
                           timed_rows_stored_time(&right->rows, slot), err))
            return false;
    }
    return true;
}

/* ---- forgetting ---- */

static void forget_left(void *join_, uint32_t slot)
{
    struct asof_join *join = join_;
    timed_rows_remove(&join->sides[0].rows, slot);
}

/* Nothing as old as this right row changes any more, and no left row that old is kept: rows before it match nothing. */
static void forget_before(void *join_, uint32_t slot)
{
    struct asof_join *join = join_;
    struct timed_rows *right = &join->sides[1].rows;
    uint32_t key = timed_entry_at(right, slot)->key;
    int64_t time = timed_rows_stored_time(right, slot), at;
    for (;;) {
        struct ordered_cursor cursor;
        timed_seek_last(right, key, time - 1, &cursor);
        if (!timed_cursor_at(&cursor, key, &at))
            return;
        timed_rows_remove(right, cursor.slot);
    }
}

static bool asof_join_finish(struct operator* op, struct error *err)
{
    struct asof_join *join = (struct asof_join *)op;
    join->finishes++;
    if (!settle_touched_left(join, err) || !settle_touched_right(join, err) || !flush_all(join, err))
        return false;
    for (uint32_t side = 0; side < 2; side++) {
        struct asof_side *s = &join->sides[side];
        for (uint32_t t = 0; t < s->touched_count; t++)
            timed_entry_at(&s->rows, s->touched[t])->is_touched = false;
        s->touched = NULL;
        s->touched_count = s->touched_cap = 0;
        timed_rows_drop_zeros(&s->rows);
    }
    timed_rows_expire(&join->sides[0].rows, forget_left, join);
    timed_rows_expire(&join->sides[1].rows, forget_before, join);
    return true;
}

static void asof_join_saved_tables(struct operator* op, struct saved_tables *out)
{
    struct asof_join *join = (struct asof_join *)op;
    timed_keys_saved_tables(&join->keys, out);
    timed_rows_saved_tables(&join->sides[0].rows, "left", out);
    timed_rows_saved_tables(&join->sides[1].rows, "right", out);
}

static bool asof_join_restore_rest(struct operator* op, const void *rest, size_t rest_bytes,
                                   struct error *err)
{
    struct asof_join *join = (struct asof_join *)op;
    struct timed_rows *left = &join->sides[0].rows, *right = &join->sides[1].rows;
    (void)rest;
    if (rest_bytes != 0)
        return op_saved_damaged(err);
    if (!timed_rows_restored(left, err) || !timed_rows_restored(right, err) ||
        !timed_keys_restored(&join->keys, err))
        return false;
    uint32_t cursor = 0, slot;
    while ((slot = op_slots_next(ordered_table_slots(left->table), &cursor)) != SLOT_NONE) {
        struct left_state *state = timed_extra_at(left, slot);
        state->shown = timed_entry_at(left, slot)->count;
        /* a row at -infinity stays, though its match is forgotten: nothing looks at either again */
        if (!op_slots_have(ordered_table_slots(right->table), state->match))
            state->match = SLOT_NONE;
    }
    return true;
}

static int64_t asof_join_due(const struct operator* op)
{
    const struct asof_join *join = (const struct asof_join *)op;
    int64_t left = timed_rows_due(&join->sides[0].rows), right = timed_rows_due(&join->sides[1].rows);
    return left < right ? left : right;
}

static int64_t asof_join_bytes(const struct operator* op)
{
    const struct asof_join *join = (const struct asof_join *)op;
    int64_t bytes = join->keys.table != NULL ? hashed_table_bytes(join->keys.table) : 0;
    return bytes + timed_rows_bytes(&join->sides[0].rows) + timed_rows_bytes(&join->sides[1].rows);
}

static uint64_t asof_join_rows(const struct operator* op)
{
    const struct asof_join *join = (const struct asof_join *)op;
    return ordered_table_rows(join->sides[0].rows.table) + ordered_table_rows(join->sides[1].rows.table);
}

const struct operator_class op_asof_join_class = {
    .name = "asof_join",
    .bytes = sizeof(struct asof_join),
    .open = asof_join_open,
    .push = asof_join_push,
    .finish = asof_join_finish,
    .close = asof_join_close,
    .due_watermark = asof_join_due,
    .state_bytes = asof_join_bytes,
    .state_rows = asof_join_rows,
    .saved_tables = asof_join_saved_tables,
    .restore_rest = asof_join_restore_rest,
};
