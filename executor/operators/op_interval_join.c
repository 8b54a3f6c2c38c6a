/* op_interval_join.c: joins whose condition bounds the distance of two times.
 *
 * Each side keeps its rows by key and time (timed_rows.h). A row that comes or goes looks for the other side's rows
 * between two times and pairs with all that are there; whichever of two rows comes later finds the other, so every
 * pair is counted once, in any order of pushes. For kinds that show rows alone every row of such a side counts its
 * matches, those of the residual; what it shows alone is compared in finish with what it showed as the tick began.
 *
 * A row without a time or with a NULL key matches nothing and is not kept.
 *
 * Infinite times keep their meaning: as in PostgreSQL, infinity plus an interval is infinity. */
#include "executor/expr_program.h"
#include "executor/operators/timed_rows.h"

/* Behind struct timed_entry, of sides whose rows may stand alone. */
struct match_state {
    int64_t matches; /* weights of the rows it matches; saved */
    int64_t shown;   /* of touched rows: copies that stood alone as the tick began */
};

struct interval_side {
    struct timed_rows rows;
    const uint32_t *keys;
    bool shows_single;
    int64_t lower, upper; /* other's time less own time; INT64_MIN, INT64_MAX: no bound */
    bool lower_is_open, upper_is_open;
    uint32_t *touched; /* of this tick, in the tick arena */
    uint32_t touched_count, touched_cap;
};

struct interval_join {
    struct operator base;
    struct timed_keys keys;
    struct interval_side sides[2];
    uint32_t keys_count;
    const bool *null_safe;
    bool wants_pairs;
    struct expr_run *residual;
    uint32_t residual_columns_count;
    uint32_t *residual_columns; /* of the joined row */
    struct arena scratch;       /* one push */
    struct arena piece;         /* one emitted piece */
    uint64_t hashes[BATCH_ROWS_MAX];
    uint32_t numbers[BATCH_ROWS_MAX];
    uint8_t inserted[BATCH_ROWS_MAX];
    int64_t times[BATCH_ROWS_MAX];
    uint32_t slots[BATCH_ROWS_MAX]; /* of the pushed rows */
    uint8_t is_new[BATCH_ROWS_MAX];
    uint32_t probe_rows[BATCH_ROWS_MAX]; /* pairs: pushed row, stored row, weight */
    uint32_t stored[BATCH_ROWS_MAX];
    int64_t weights[BATCH_ROWS_MAX];
    uint32_t selected[BATCH_ROWS_MAX];
};

static enum join_kind kind_of(const struct interval_join *join)
{
    return join->base.plan->interval_join.kind;
}

static int64_t negated(int64_t bound)
{
    return bound == INT64_MIN ? INT64_MAX : bound == INT64_MAX ? INT64_MIN : -bound;
}

static void set_bounds(struct interval_join *join)
{
    const struct plan *plan = join->base.plan;
    struct interval_side *left = &join->sides[0], *right = &join->sides[1];
    left->lower = plan->interval_join.lower_us;
    left->upper = plan->interval_join.upper_us;
    left->lower_is_open = plan->interval_join.lower_is_open;
    left->upper_is_open = plan->interval_join.upper_is_open;
    right->lower = negated(left->upper);
    right->upper = negated(left->lower);
    right->lower_is_open = left->upper_is_open;
    right->upper_is_open = left->lower_is_open;
}

static bool interval_join_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct interval_join *join = (struct interval_join *)op;
    enum join_kind kind = plan->interval_join.kind;
    join->keys_count = plan->interval_join.keys_count;
    join->null_safe = plan->interval_join.null_safe;
    join->wants_pairs = kind == JOIN_INNER || kind == JOIN_LEFT || kind == JOIN_FULL;
    join->sides[0].keys = plan->interval_join.left_keys;
    join->sides[1].keys = plan->interval_join.right_keys;
    join->sides[0].shows_single = kind != JOIN_INNER;
    join->sides[1].shows_single = kind == JOIN_FULL;
    join->sides[0].rows.expiry = plan->interval_join.left_expiry;
    join->sides[1].rows.expiry = plan->interval_join.right_expiry;
    arena_init(&join->scratch, op->ctx->account);
    arena_init(&join->piece, op->ctx->account);
    set_bounds(join);
    timed_keys_open(&join->keys, plan->children[0]->types, join->sides[0].keys, join->keys_count, op->ctx);
    int64_t lower = plan->interval_join.lower_us, upper = plan->interval_join.upper_us;
    int64_t span = lower == INT64_MIN || upper == INT64_MAX || lower > upper ? INT64_MAX : upper - lower;
    for (uint32_t side = 0; side < 2; side++) {
        struct timed_rows *rows = &join->sides[side].rows;
        rows->ctx = op->ctx;
        rows->keys = &join->keys;
        rows->saves_extra = join->sides[side].shows_single;
        timed_rows_open(rows, plan->children[side],
                        side == 0 ? plan->interval_join.left_time : plan->interval_join.right_time,
                        join->sides[side].shows_single ? sizeof(struct match_state) : 0, span);
    }
    return plan->interval_join.residual == NULL ||
           op_residual_compile(op->ctx, plan->interval_join.residual,
                               join->sides[0].rows.columns_count + join->sides[1].rows.columns_count,
                               &join->residual_columns, &join->residual_columns_count, &join->residual, err);
}

static void interval_join_close(struct operator* op)
{
    struct interval_join *join = (struct interval_join *)op;
    if (join->residual != NULL)
        expr_run_destroy(join->residual);
    for (uint32_t side = 0; side < 2; side++)
        timed_rows_close(&join->sides[side].rows);
    timed_keys_close(&join->keys);
    arena_release(&join->scratch);
    arena_release(&join->piece);
}

/* ---- rows alone ---- */

static bool has_status(const struct interval_join *join, int64_t matches)
{
    return kind_of(join) == JOIN_SEMI ? matches > 0 : matches <= 0;
}

/* Rows of one side, for SEMI and ANTI as they are, else with NULLs for the other side. */
static bool emit_single(struct interval_join *join, uint32_t side, const struct batch *rows,
                        struct error *err)
{
    enum join_kind kind = kind_of(join);
    if (kind == JOIN_SEMI || kind == JOIN_ANTI)
        return operator_emit(&join->base, rows, err);
    uint32_t other = 1 - side, left_width = join->sides[0].rows.columns_count;
    uint32_t offsets[2] = {0, left_width};
    struct batch *out = batch_header(&join->piece, join->base.columns_count);
    out->rows = rows->rows;
    out->weights = rows->weights;
    for (uint32_t c = 0; c < join->sides[side].rows.columns_count; c++)
        out->columns[offsets[side] + c] = rows->columns[c];
    for (uint32_t c = 0; c < join->sides[other].rows.columns_count; c++)
        op_null_column(&out->columns[offsets[other] + c], join->sides[other].rows.types[c], rows->rows,
                       &join->piece);
    return operator_emit(&join->base, out, err);
}

static struct match_state *match_state_at(const struct interval_side *side, uint32_t slot)
{
    return timed_extra_at(&side->rows, slot);
}

/* Before a row's count or matches change. */
static void touch(struct interval_join *join, uint32_t side_number, uint32_t slot)
{
    struct interval_side *side = &join->sides[side_number];
    struct timed_entry *entry = timed_entry_at(&side->rows, slot);
    if (entry->is_touched)
        return;
    struct match_state *state = match_state_at(side, slot);
    entry->is_touched = true;
    timed_rows_touch(&side->rows, slot);
    state->shown = has_status(join, state->matches) ? entry->count : 0;
    ARENA_PUSH(join->base.ctx->tick_arena, side->touched, side->touched_count, side->touched_cap, slot);
}

static bool flush_singles(struct interval_join *join, uint32_t side, uint32_t count, struct error *err)
{
    if (count == 0)
        return true;
    const struct timed_rows *rows = &join->sides[side].rows;
    arena_reset(&join->piece);
    struct batch *out = batch_header(&join->piece, rows->columns_count);
    out->rows = count;
    out->weights = join->weights;
    timed_rows_gather(rows, join->stored, count, NULL, rows->columns_count, out->columns, &join->piece);
    return op_check(&join->base, err) && emit_single(join, side, out, err);
}

/* What the touched rows show alone now, less what they showed; rows that go first. */
static bool emit_touched(struct interval_join *join, uint32_t side_number, struct error *err)
{
    struct interval_side *side = &join->sides[side_number];
    for (int pass = 0; pass < 2; pass++) {
        uint32_t count = 0;
        for (uint32_t t = 0; t < side->touched_count && !join->base.ctx->stop; t++) {
            uint32_t slot = side->touched[t];
            const struct match_state *state = match_state_at(side, slot);
            int64_t shows = has_status(join, state->matches) ? timed_entry_at(&side->rows, slot)->count : 0;
            int64_t change = shows - state->shown;
            if (change == 0 || (change > 0) != (pass == 1))
                continue;
            join->stored[count] = slot;
            join->weights[count++] = change;
            if (count < BATCH_ROWS_MAX)
                continue;
            if (!flush_singles(join, side_number, count, err))
                return false;
            count = 0;
        }
        if (!flush_singles(join, side_number, count, err))
            return false;
    }
    for (uint32_t t = 0; t < side->touched_count; t++)
        timed_entry_at(&side->rows, side->touched[t])->is_touched = false;
    side->touched = NULL;
    side->touched_count = side->touched_cap = 0;
    return true;
}

/* ---- pairs ---- */

struct pairs {
    uint32_t side; /* of the pushed rows */
    const struct batch *rows;
    uint32_t count;
};

/* Columns columns[0..count) (NULL: all) of the joined rows. */
static struct batch *gather_pairs(struct interval_join *join, const struct pairs *pairs,
                                  const uint32_t *columns, uint32_t count)
{
    struct batch *out = batch_header(&join->piece, count);
    out->rows = pairs->count;
    out->weights = join->weights;
    const struct timed_rows *other = &join->sides[1 - pairs->side].rows;
    uint32_t left_width = join->sides[0].rows.columns_count, stored_count = 0;
    uint32_t *stored = arena_alloc(&join->piece, sizeof(uint32_t) * count);
    uint32_t *places = arena_alloc(&join->piece, sizeof(uint32_t) * count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = columns != NULL ? columns[i] : i;
        uint32_t side = column < left_width ? 0 : 1;
        column -= side == 0 ? 0 : left_width;
        if (side == pairs->side) {
            column_gather(&out->columns[i], &pairs->rows->columns[column], join->probe_rows, pairs->count,
                          &join->piece);
            continue;
        }
        stored[stored_count] = column;
        places[stored_count++] = i;
    }
    if (stored_count == 0)
        return out;
    struct column *gathered = arena_alloc(&join->piece, sizeof(struct column) * stored_count);
    timed_rows_gather(other, join->stored, pairs->count, stored, stored_count, gathered, &join->piece);
    for (uint32_t i = 0; i < stored_count; i++)
        out->columns[places[i]] = gathered[i];
    return out;
}

static void keep_selected(struct interval_join *join, struct pairs *pairs, uint32_t count)
{
    for (uint32_t i = 0; i < count && count < pairs->count; i++) {
        uint32_t at = join->selected[i];
        join->probe_rows[i] = join->probe_rows[at];
        join->stored[i] = join->stored[at];
        join->weights[i] = join->weights[at];
    }
    pairs->count = count;
}

static bool filter_pairs(struct interval_join *join, struct pairs *pairs, struct error *err)
{
    struct operator* op = & join->base;
    struct batch *narrow = gather_pairs(join, pairs, join->residual_columns, join->residual_columns_count);
    struct row_errors errors = {.arena = &join->piece};
    uint32_t count = 0;
    if (!expr_run_filter(join->residual, op->ctx->env, narrow, NULL, narrow->rows, join->selected, &count,
                         op->ctx->collect_errors ? &errors : NULL, err))
        return false;
    if (errors.count > 0) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < count; i++)
            if (!errors.failed[join->selected[i]])
                join->selected[kept++] = join->selected[i];
        count = kept;
        uint32_t width = join->sides[0].rows.columns_count + join->sides[1].rows.columns_count;
        if (!op_emit_row_errors(op, gather_pairs(join, pairs, NULL, width), NULL, &errors, err))
            return false;
    }
    keep_selected(join, pairs, count);
    return true;
}

/* Both rows of each pair have found a match: the stored one of the pushed one's weight, and the pushed one, if it has
 * only now come to be stored, of the stored one's count. */
static void count_matches(struct interval_join *join, const struct pairs *pairs)
{
    struct interval_side *own = &join->sides[pairs->side], *other = &join->sides[1 - pairs->side];
    for (uint32_t i = 0; i < pairs->count; i++) {
        uint32_t row = join->probe_rows[i];
        if (other->shows_single) {
            touch(join, 1 - pairs->side, join->stored[i]);
            match_state_at(other, join->stored[i])->matches += batch_weight(pairs->rows, row);
        }
        if (own->shows_single && join->is_new[row])
            match_state_at(own, join->slots[row])->matches +=
                timed_entry_at(&other->rows, join->stored[i])->count;
    }
}

static bool flush_pairs(struct interval_join *join, struct pairs *pairs, struct error *err)
{
    if (pairs->count == 0)
        return true;
    if (!op_check(&join->base, err))
        return false;
    arena_reset(&join->piece);
    const struct timed_rows *other = &join->sides[1 - pairs->side].rows;
    for (uint32_t i = 0; i < pairs->count; i++)
        join->weights[i] =
            batch_weight(pairs->rows, join->probe_rows[i]) * timed_entry_at(other, join->stored[i])->count;
    if (join->residual != NULL && !filter_pairs(join, pairs, err))
        return false;
    count_matches(join, pairs);
    uint32_t kept = 0;
    bool all_one = true;
    for (uint32_t i = 0; i < pairs->count; i++) {
        all_one &= join->weights[i] == 1;
        if (join->weights[i] != 0)
            join->selected[kept++] = i;
    }
    keep_selected(join, pairs, kept);
    bool ok = true;
    if (join->wants_pairs && kept > 0) {
        struct batch *out = gather_pairs(
            join, pairs, NULL, join->sides[0].rows.columns_count + join->sides[1].rows.columns_count);
        if (all_one)
            out->weights = NULL;
        ok = operator_emit(&join->base, out, err);
    }
    pairs->count = 0;
    return ok;
}

static int64_t add_finite(int64_t time, int64_t distance)
{
    int64_t sum;
    if (__builtin_add_overflow(time, distance, &sum))
        return distance > 0 ? INT64_MAX - 1 : INT64_MIN + 1;
    return sum == INT64_MAX ? INT64_MAX - 1 : sum == INT64_MIN ? INT64_MIN + 1 : sum;
}

/* The times on the other side that match a time of this one; false: none. */
static bool matching_times(const struct interval_side *side, int64_t time, int64_t *from, int64_t *to)
{
    *from = INT64_MIN;
    *to = INT64_MAX;
    bool is_infinite = time == INT64_MAX || time == INT64_MIN;
    if (side->lower != INT64_MIN && is_infinite) {
        if (time == INT64_MAX && side->lower_is_open)
            return false;
        *from = time == INT64_MAX ? INT64_MAX : INT64_MIN + side->lower_is_open;
    } else if (side->lower != INT64_MIN) {
        *from = add_finite(time, side->lower);
    }
    if (side->upper != INT64_MAX && is_infinite) {
        if (time == INT64_MIN && side->upper_is_open)
            return false;
        *to = time == INT64_MIN ? INT64_MIN : INT64_MAX - side->upper_is_open;
    } else if (side->upper != INT64_MAX) {
        *to = add_finite(time, side->upper);
    }
    return *from <= *to;
}

/* Pairs the stored rows of a batch with what the other side has. */
static bool probe(struct interval_join *join, uint32_t side_number, const struct batch *rows,
                  struct error *err)
{
    const struct interval_side *side = &join->sides[side_number];
    const struct timed_rows *other = &join->sides[1 - side_number].rows;
    struct pairs pairs = {.side = side_number, .rows = rows};
    if (ordered_table_rows(other->table) == 0)
        return true;
    for (uint32_t i = 0; i < rows->rows && !join->base.ctx->stop; i++) {
        int64_t from, to, time;
        if (!matching_times(side, join->times[i], &from, &to))
            continue;
        struct ordered_cursor cursor;
        for (timed_seek(other, join->numbers[i], from, &cursor);
             timed_cursor_at(&cursor, join->numbers[i], &time) && time <= to; ordered_cursor_next(&cursor)) {
            join->probe_rows[pairs.count] = i;
            join->stored[pairs.count++] = cursor.slot;
            if (pairs.count == BATCH_ROWS_MAX && !flush_pairs(join, &pairs, err))
                return false;
        }
    }
    return flush_pairs(join, &pairs, err);
}

/* ---- changes ---- */

/* Takes out the rows that match nothing; those of a side that shows such rows go straight on. */
static bool take_unmatchable(struct interval_join *join, uint32_t side_number, const struct batch **rows,
                             struct error *err)
{
    const struct interval_side *side = &join->sides[side_number];
    const struct batch *change = *rows;
    const struct column *time = &change->columns[side->rows.time_column];
    uint8_t *skip = op_null_keys(&join->scratch, change, side->keys, join->keys_count, join->null_safe);
    if (skip == NULL && time->nulls == NULL)
        return true;
    uint32_t kept = 0, gone = 0;
    for (uint32_t i = 0; i < change->rows; i++) {
        if ((skip != NULL && skip[i]) || column_is_null(time, i))
            join->stored[gone++] = i;
        else
            join->selected[kept++] = i;
    }
    if (gone == 0)
        return true;
    *rows = op_gather(&join->scratch, change, join->selected, kept);
    if (!side->shows_single || kind_of(join) == JOIN_SEMI)
        return true;
    arena_reset(&join->piece);
    return emit_single(join, side_number, op_gather(&join->piece, change, join->stored, gone), err);
}

static bool interval_join_push(struct operator* op, uint32_t port, const struct batch *rows,
                               struct error *err)
{
    struct interval_join *join = (struct interval_join *)op;
    struct interval_side *side = &join->sides[port];
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
        (void)timed_rows_time(&side->rows, rows, i, &join->times[i]);
        uint32_t slot = timed_rows_upsert(&side->rows, join->numbers[i], join->times[i], rows, i, &is_new);
        join->slots[i] = slot;
        join->is_new[i] = is_new;
        if (side->shows_single)
            touch(join, port, slot);
        timed_rows_count(&side->rows, slot, batch_weight(rows, i));
    }
    return probe(join, port, rows, err);
}

static void forget(void *side, uint32_t slot)
{
    timed_rows_remove(side, slot);
}

static bool interval_join_finish(struct operator* op, struct error *err)
{
    struct interval_join *join = (struct interval_join *)op;
    for (uint32_t side = 0; side < 2; side++)
        if (join->sides[side].shows_single && !emit_touched(join, side, err))
            return false;
    for (uint32_t side = 0; side < 2; side++) {
        struct timed_rows *rows = &join->sides[side].rows;
        timed_rows_drop_zeros(rows);
        timed_rows_expire(rows, forget, rows);
    }
    return true;
}

static void interval_join_saved_tables(struct operator* op, struct saved_tables *out)
{
    struct interval_join *join = (struct interval_join *)op;
    timed_keys_saved_tables(&join->keys, out);
    timed_rows_saved_tables(&join->sides[0].rows, "left", out);
    timed_rows_saved_tables(&join->sides[1].rows, "right", out);
}

static bool interval_join_restore_rest(struct operator* op, const void *rest, size_t rest_bytes,
                                       struct error *err)
{
    struct interval_join *join = (struct interval_join *)op;
    (void)rest;
    return (rest_bytes == 0 || op_saved_damaged(err)) && timed_rows_restored(&join->sides[0].rows, err) &&
           timed_rows_restored(&join->sides[1].rows, err) && timed_keys_restored(&join->keys, err);
}

static int64_t interval_join_due(const struct operator* op)
{
    const struct interval_join *join = (const struct interval_join *)op;
    int64_t left = timed_rows_due(&join->sides[0].rows), right = timed_rows_due(&join->sides[1].rows);
    return left < right ? left : right;
}

static int64_t interval_join_bytes(const struct operator* op)
{
    const struct interval_join *join = (const struct interval_join *)op;
    int64_t bytes = join->keys.table != NULL ? hashed_table_bytes(join->keys.table) : 0;
    return bytes + timed_rows_bytes(&join->sides[0].rows) + timed_rows_bytes(&join->sides[1].rows);
}

static uint64_t interval_join_rows(const struct operator* op)
{
    const struct interval_join *join = (const struct interval_join *)op;
    return ordered_table_rows(join->sides[0].rows.table) + ordered_table_rows(join->sides[1].rows.table);
}

const struct operator_class op_interval_join_class = {
    .name = "interval_join",
    .bytes = sizeof(struct interval_join),
    .open = interval_join_open,
    .push = interval_join_push,
    .finish = interval_join_finish,
    .close = interval_join_close,
    .due_watermark = interval_join_due,
    .state_bytes = interval_join_bytes,
    .state_rows = interval_join_rows,
    .saved_tables = interval_join_saved_tables,
    .restore_rest = interval_join_restore_rest,
};
