/* op_join.c: equality joins and cross joins of two arrangements, kept up to date change by change.
 *
 * A tick brings dL and dR; L and R are the sides' new contents. Every pair of rows must be counted once, by
 * whichever of the two comes later.
 *
 * An inner join does so as rows are pushed, without keeping them, where it can tell what of the other side
 * came earlier:
 *   - an arrangement of this dataflow gets each batch right before the join does, so all that it holds came
 *     earlier;
 *   - a shared arrangement has its new contents before the join gets the first batch of them. If it is
 *     append-only, what came earlier is below a row number. If it is not, and the other side is append-only,
 *     all rows of the tick on the other side count as coming later: they see the new contents, and this side's
 *     changes see the rows of the other side from before the tick.
 *
 * Otherwise the changes are kept until finish, when the matched rows change by
 *     dL x R + L x dR - dL x dR
 * An unmatched row's fate hangs on its key alone, because residuals exist for INNER only: let m(k) be the sum
 * of the other side's weights under key k. Rows of side S "with status" (m = 0 for LEFT, FULL and ANTI; m > 0
 * for SEMI) change by dS's rows whose key had the status before
 *   + all of S(k), new, for keys k that got the status, - all of S(k), new, for keys that lost it.
 * (Check "lost": -S_old = -S_new + dS, and dS comes from the first line.) m before the tick is m now less the
 * sum of the other side's changes. NULL keys never match, so for them m = 0 always.
 *
 * In an initial tick L x R is computed once: streaming the left arrangement through R in finish, or, without
 * a left arrangement, streaming the pushed left rows (the right side is complete by then).
 *
 * A residual sees only the columns that it needs; the others are gathered for the pairs that pass. */
#include "executor/expr_program.h"
#include "executor/operators/op_arrange.h"
#include "executor/rest_io.h"

struct join {
    struct operator base;
    struct arrangement *sides[2];
    const uint32_t *keys[2];
    uint32_t keys_count;
    const bool *null_safe;
    uint32_t widths[2]; /* columns of each side */
    const struct sql_type *types[2];
    bool shared[2];                 /* the side's arrangement has its new contents before the first push */
    bool streams;                   /* pairs are made as rows are pushed */
    bool in_step;                   /* streams, and on either side it is known what came before each push */
    struct operator* forgetting[2]; /* NULL: what the side keeps stays */
    uint32_t seen[2];               /* append-only sides: rows below this number came before */
    struct expr_run *residual_run;
    uint32_t residual_columns_count;
    uint32_t *residual_columns; /* of the joined row: what the residual's columns are */
    struct batch *stash[2];     /* changes of this tick, in the tick arena */
    struct arena scratch;
    struct arena piece; /* reset for every emitted piece */
    uint64_t hashes[BATCH_ROWS_MAX];
    uint32_t probe_rows[BATCH_ROWS_MAX];
    uint32_t stored_rows[BATCH_ROWS_MAX];
    int64_t weights[BATCH_ROWS_MAX];
    uint32_t selected[BATCH_ROWS_MAX];
    struct arrangement_probe probe;
};

/* Sums of a side's changes per key, for the tick. */
struct key_deltas {
    struct batch *rows; /* the side's distinct changed rows by key: one representative each */
    const struct batch *change;
    uint64_t *hashes; /* of the representatives */
    int64_t *sums;
    uint32_t *representatives; /* row numbers in `change` */
    uint32_t count;
    uint32_t *index;
    uint32_t index_cap;
};

void op_join_setup(struct operator* op, struct arrangement *left, bool left_is_shared,
                   struct arrangement *right, bool right_is_shared)
{
    struct join *join = (struct join *)op;
    join->sides[0] = left;
    join->sides[1] = right;
    join->shared[0] = left_is_shared;
    join->shared[1] = right_is_shared;
}

void op_join_forget_setup(struct operator* op, struct operator* left, struct operator* right)
{
    struct join *join = (struct join *)op;
    join->forgetting[0] = left;
    join->forgetting[1] = right;
}

static bool join_side_is_append_only(const struct join *join, uint32_t side)
{
    return join->sides[side] != NULL && arrangement_is_append_only(join->sides[side]);
}

/* Chooses how pairs are made. */
static void join_choose(struct join *join)
{
    const struct operator* op = & join->base;
    if (op->ctx->mode != DATAFLOW_CONTINUOUS || op->plan->join.kind != JOIN_INNER)
        return;
    bool append_only[2], known[2];
    for (uint32_t side = 0; side < 2; side++) {
        append_only[side] = join_side_is_append_only(join, side);
        known[side] = !join->shared[side] || append_only[side];
    }
    join->in_step = known[0] && known[1];
    join->streams = join->in_step || append_only[0] || append_only[1];
}

static bool join_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct join *join = (struct join *)op;
    join->keys[0] = plan->join.left_keys;
    join->keys[1] = plan->join.right_keys;
    join->keys_count = plan->join.keys_count;
    join->null_safe = plan->join.null_safe;
    for (uint32_t side = 0; side < 2; side++) {
        join->widths[side] = plan->children[side]->columns_count;
        join->types[side] = plan->children[side]->types;
    }
    arena_init(&join->scratch, op->ctx->account);
    arena_init(&join->piece, op->ctx->account);
    join_choose(join);
    if (plan->join.residual == NULL)
        return true;
    if (plan->join.kind != JOIN_INNER)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                         "a join condition of this kind is not supported");
    return op_residual_compile(op->ctx, plan->join.residual, join->widths[0] + join->widths[1],
                               &join->residual_columns, &join->residual_columns_count, &join->residual_run,
                               err);
}

static void join_close(struct operator* op)
{
    struct join *join = (struct join *)op;
    if (join->residual_run != NULL)
        expr_run_destroy(join->residual_run);
    arena_release(&join->scratch);
    arena_release(&join->piece);
}

/* Pairs of a row of `side` and one of the other side, by number: in the other side's arrangement, or in
 * `others`. */
struct pairs {
    uint32_t side;
    const struct batch *rows;
    const struct batch *others; /* NULL: the arrangement */
    uint32_t count;
    int64_t *weights; /* NULL: all 1 */
};

static bool is_every_row(const struct join *join, const struct pairs *pairs)
{
    if (pairs->count != pairs->rows->rows)
        return false;
    for (uint32_t i = 0; i < pairs->count; i++)
        if (join->probe_rows[i] != i)
            return false;
    return true;
}

/* Columns columns[0..count) (NULL: all) of the joined rows, in the piece's arena. */
static struct batch *pairs_gather(struct join *join, const struct pairs *pairs, const uint32_t *columns,
                                  uint32_t count)
{
    struct batch *out = batch_header(&join->piece, count);
    out->rows = pairs->count;
    out->weights = pairs->weights;
    uint32_t other = 1 - pairs->side, stored_count = 0;
    bool every_row = is_every_row(join, pairs);
    uint32_t *stored = arena_alloc(&join->piece, sizeof(uint32_t) * count);
    uint32_t *places = arena_alloc(&join->piece, sizeof(uint32_t) * count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = columns != NULL ? columns[i] : i;
        uint32_t side = column < join->widths[0] ? 0 : 1;
        column -= side == 0 ? 0 : join->widths[0];
        if (side == other && pairs->others == NULL) {
            stored[stored_count] = column;
            places[stored_count++] = i;
        } else if (side == other) {
            column_gather(&out->columns[i], &pairs->others->columns[column], join->stored_rows, pairs->count,
                          &join->piece);
        } else if (every_row) {
            out->columns[i] = pairs->rows->columns[column];
        } else {
            column_gather(&out->columns[i], &pairs->rows->columns[column], join->probe_rows, pairs->count,
                          &join->piece);
        }
    }
    if (stored_count > 0) {
        struct column *gathered = arena_alloc(&join->piece, sizeof(struct column) * stored_count);
        arrangement_gather_columns(join->sides[other], join->stored_rows, pairs->count, stored, stored_count,
                                   gathered, &join->piece);
        for (uint32_t i = 0; i < stored_count; i++)
            out->columns[places[i]] = gathered[i];
    }
    return out;
}

/* Keeps the pairs selected[0..count). */
static void pairs_keep(struct join *join, struct pairs *pairs, uint32_t count)
{
    if (count == pairs->count)
        return;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t at = join->selected[i];
        join->probe_rows[i] = join->probe_rows[at];
        join->stored_rows[i] = join->stored_rows[at];
        if (pairs->weights != NULL)
            pairs->weights[i] = pairs->weights[at];
    }
    pairs->count = count;
}

static bool pairs_filter(struct join *join, struct pairs *pairs, struct error *err)
{
    struct operator* op = & join->base;
    struct batch *narrow = pairs_gather(join, pairs, join->residual_columns, join->residual_columns_count);
    struct row_errors errors = {.arena = &join->piece};
    uint32_t count = 0;
    if (!expr_run_filter(join->residual_run, op->ctx->env, narrow, NULL, narrow->rows, join->selected, &count,
                         op->ctx->collect_errors ? &errors : NULL, err))
        return false;
    if (errors.count > 0) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < count; i++)
            if (!errors.failed[join->selected[i]])
                join->selected[kept++] = join->selected[i];
        count = kept;
        struct batch *whole = pairs_gather(join, pairs, NULL, join->widths[0] + join->widths[1]);
        if (!op_emit_row_errors(op, whole, NULL, &errors, err))
            return false;
    }
    pairs_keep(join, pairs, count);
    return true;
}

/* Emits joined rows after the residual. */
static bool pairs_emit(struct join *join, struct pairs *pairs, struct error *err)
{
    arena_reset(&join->piece);
    if (join->residual_run != NULL && !pairs_filter(join, pairs, err))
        return false;
    if (pairs->count == 0)
        return true;
    return operator_emit(&join->base, pairs_gather(join, pairs, NULL, join->widths[0] + join->widths[1]),
                         err);
}

static void weights_drop_ones(struct batch *out)
{
    for (uint32_t i = 0; i < out->rows; i++)
        if (out->weights[i] != 1)
            return;
    out->weights = NULL;
}

/* Joins up to BATCH_ROWS_MAX rows of one side with the other side's arrangement; of an append-only one with the
 * rows below `limit`. */
static bool join_probe(struct join *join, uint32_t side, const struct batch *rows, uint32_t limit,
                       struct error *err)
{
    struct arrangement *state = join->sides[1 - side];
    batch_hash(rows, join->keys[side], join->keys_count, join->hashes);
    uint8_t *skip = op_null_keys(&join->scratch, rows, join->keys[side], join->keys_count, join->null_safe);
    arrangement_probe_start(&join->probe, state, rows, join->keys[side], join->hashes, skip);
    join->probe.limit = limit;
    bool weighted = rows->weights != NULL || !arrangement_is_append_only(state);
    for (;;) {
        struct pairs pairs = {.side = side, .rows = rows};
        pairs.count = arrangement_probe_next(&join->probe, BATCH_ROWS_MAX, join->probe_rows,
                                             join->stored_rows, weighted ? join->weights : NULL);
        if (pairs.count == 0 || join->base.ctx->stop)
            return true;
        if (!op_check(&join->base, err))
            return false;
        bool all_one = true;
        for (uint32_t i = 0; weighted && i < pairs.count; i++) {
            join->weights[i] *= batch_weight(rows, join->probe_rows[i]);
            all_one &= join->weights[i] == 1;
        }
        pairs.weights = all_one ? NULL : join->weights;
        if (!pairs_emit(join, &pairs, err))
            return false;
    }
}

/* Emits rows of one side alone: for SEMI and ANTI as they are, else with NULLs for the other side. */
static bool join_emit_single(struct join *join, uint32_t side, const struct batch *rows, struct error *err)
{
    enum join_kind kind = join->base.plan->join.kind;
    if (rows->rows == 0)
        return true;
    if (kind == JOIN_SEMI || kind == JOIN_ANTI)
        return operator_emit(&join->base, rows, err);
    uint32_t other = 1 - side, offsets[2] = {0, join->widths[0]};
    struct batch *out = batch_header(&join->piece, join->widths[0] + join->widths[1]);
    out->rows = rows->rows;
    out->weights = rows->weights;
    for (uint32_t c = 0; c < join->widths[side]; c++)
        out->columns[offsets[side] + c] = rows->columns[c];
    for (uint32_t c = 0; c < join->widths[other]; c++)
        op_null_column(&out->columns[offsets[other] + c], join->types[other][c], rows->rows, &join->piece);
    return operator_emit(&join->base, out, err);
}

static bool join_wants_pairs(const struct join *join)
{
    enum join_kind kind = join->base.plan->join.kind;
    return kind == JOIN_INNER || kind == JOIN_LEFT || kind == JOIN_FULL;
}

/* Does a row of this side stand alone in the output when the other side's weight under its key is m? */
static bool join_has_status(const struct join *join, int64_t m)
{
    return join->base.plan->join.kind == JOIN_SEMI ? m > 0 : m <= 0;
}

static bool join_shows_single(const struct join *join, uint32_t side)
{
    enum join_kind kind = join->base.plan->join.kind;
    return side == 0 ? kind != JOIN_INNER : kind == JOIN_FULL;
}

/* The rows of one piece of a side that stand alone, by the other side's present weights. */
static bool join_single_rows(struct join *join, uint32_t side, const struct batch *rows, struct error *err)
{
    batch_hash(rows, join->keys[side], join->keys_count, join->hashes);
    uint8_t *skip = op_null_keys(&join->scratch, rows, join->keys[side], join->keys_count, join->null_safe);
    arrangement_weights(join->sides[1 - side], rows, join->keys[side], join->hashes, skip, join->weights);
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->rows; i++)
        if (join_has_status(join, join->weights[i]))
            join->selected[count++] = i;
    if (count == 0)
        return true;
    arena_reset(&join->piece);
    const struct batch *out = rows;
    if (count < rows->rows)
        out = op_gather(&join->piece, rows, join->selected, count);
    return join_emit_single(join, side, out, err);
}

/* ---- a single pass over everything: initial ticks and SELECT ---- */

static bool join_pass(struct join *join, uint32_t side, const struct batch *rows, bool pairs,
                      struct error *err)
{
    if (pairs && !join_probe(join, side, rows, UINT32_MAX, err))
        return false;
    return !join_shows_single(join, side) || join_single_rows(join, side, rows, err);
}

static bool join_scan_side(struct join *join, uint32_t side, bool pairs, struct error *err)
{
    uint64_t cursor = 0;
    uint32_t *stored = arena_alloc(join->base.ctx->tick_arena, sizeof(uint32_t) * BATCH_ROWS_MAX);
    int64_t *weights = arena_alloc(join->base.ctx->tick_arena, sizeof(int64_t) * BATCH_ROWS_MAX);
    for (;;) {
        uint32_t count = arrangement_scan(join->sides[side], &cursor, BATCH_ROWS_MAX, stored, weights);
        if (count == 0 || join->base.ctx->stop)
            return true;
        arena_reset(&join->scratch);
        struct batch *rows = batch_header(&join->scratch, join->widths[side]);
        rows->rows = count;
        rows->weights = weights;
        arrangement_gather_columns(join->sides[side], stored, count, NULL, join->widths[side], rows->columns,
                                   &join->scratch);
        weights_drop_ones(rows);
        if (!join_pass(join, side, rows, pairs, err))
            return false;
    }
}

static bool join_finish_initial(struct join *join, struct error *err)
{
    if (join->sides[0] != NULL && !join_scan_side(join, 0, join_wants_pairs(join), err))
        return false;
    return !join_shows_single(join, 1) || join_scan_side(join, 1, false, err);
}

/* ---- a tick's changes ---- */

static struct key_deltas *key_deltas_create(struct join *join, uint32_t side, const struct batch *change)
{
    struct arena *arena = join->base.ctx->tick_arena;
    struct key_deltas *deltas = ARENA_NEW(arena, struct key_deltas);
    const uint32_t *keys = join->keys[side];
    deltas->change = change;
    if (change == NULL || change->rows == 0)
        return deltas;
    uint32_t cap = 16;
    while (cap < change->rows * 2)
        cap *= 2;
    deltas->index = arena_zalloc(arena, sizeof(uint32_t) * cap);
    deltas->index_cap = cap;
    deltas->hashes = arena_alloc(arena, sizeof(uint64_t) * change->rows);
    deltas->sums = arena_alloc(arena, sizeof(int64_t) * change->rows);
    deltas->representatives = arena_alloc(arena, sizeof(uint32_t) * change->rows);
    uint64_t *hashes = arena_alloc(arena, sizeof(uint64_t) * change->rows);
    batch_hash(change, keys, join->keys_count, hashes);
    uint8_t *skip = op_null_keys(arena, change, keys, join->keys_count, join->null_safe);
    for (uint32_t i = 0; i < change->rows; i++) {
        if (skip != NULL && skip[i])
            continue;
        uint32_t at = (uint32_t)hashes[i] & (cap - 1);
        uint32_t entry = UINT32_MAX;
        for (; deltas->index[at] != 0; at = (at + 1) & (cap - 1)) {
            entry = deltas->index[at] - 1;
            if (deltas->hashes[entry] == hashes[i] &&
                batch_rows_equal(change, deltas->representatives[entry], keys, change, i, keys,
                                 join->keys_count))
                break;
            entry = UINT32_MAX;
        }
        if (entry == UINT32_MAX) {
            entry = deltas->count++;
            deltas->index[at] = entry + 1;
            deltas->hashes[entry] = hashes[i];
            deltas->sums[entry] = 0;
            deltas->representatives[entry] = i;
        }
        deltas->sums[entry] += batch_weight(change, i);
    }
    return deltas;
}

/* Sum of the changes under the key of a row of the other side. */
static int64_t key_deltas_sum(const struct join *join, const struct key_deltas *deltas, uint32_t side,
                              const struct batch *rows, uint32_t row, uint64_t hash)
{
    if (deltas->count == 0)
        return 0;
    for (uint32_t at = (uint32_t)hash & (deltas->index_cap - 1); deltas->index[at] != 0;
         at = (at + 1) & (deltas->index_cap - 1)) {
        uint32_t entry = deltas->index[at] - 1;
        if (deltas->hashes[entry] == hash &&
            batch_rows_equal(deltas->change, deltas->representatives[entry], join->keys[1 - side], rows, row,
                             join->keys[side], join->keys_count))
            return deltas->sums[entry];
    }
    return 0;
}

/* dS's rows whose key had the status before this tick. */
static bool join_single_changes(struct join *join, uint32_t side, const struct batch *rows,
                                const struct key_deltas *other, struct error *err)
{
    batch_hash(rows, join->keys[side], join->keys_count, join->hashes);
    uint8_t *skip = op_null_keys(&join->scratch, rows, join->keys[side], join->keys_count, join->null_safe);
    arrangement_weights(join->sides[1 - side], rows, join->keys[side], join->hashes, skip, join->weights);
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->rows; i++) {
        int64_t before = 0;
        if (skip == NULL || !skip[i])
            before = join->weights[i] - key_deltas_sum(join, other, side, rows, i, join->hashes[i]);
        if (join_has_status(join, before))
            join->selected[count++] = i;
    }
    if (count == 0)
        return true;
    arena_reset(&join->piece);
    return join_emit_single(join, side, op_gather(&join->piece, rows, join->selected, count), err);
}

/* All of S(k) for keys that got or lost the status by the other side's changes. `reps` are rows of the other
 * side. */
static bool join_status_changes(struct join *join, uint32_t side, const struct batch *reps,
                                const uint64_t *hashes, const int64_t *sums, struct error *err)
{
    uint32_t other = 1 - side;
    arrangement_weights(join->sides[other], reps, join->keys[other], hashes, NULL, join->weights);
    uint32_t count = 0;
    int64_t *factors = arena_alloc(&join->scratch, sizeof(int64_t) * reps->rows);
    for (uint32_t i = 0; i < reps->rows; i++) {
        bool now = join_has_status(join, join->weights[i]);
        bool before = join_has_status(join, join->weights[i] - sums[i]);
        if (now == before)
            continue;
        factors[count] = now ? 1 : -1;
        join->selected[count++] = i;
    }
    if (count == 0)
        return true;
    struct batch *changed = op_gather(&join->scratch, reps, join->selected, count);
    batch_hash(changed, join->keys[other], join->keys_count, join->hashes);
    arrangement_probe_start(&join->probe, join->sides[side], changed, join->keys[other], join->hashes, NULL);
    for (;;) {
        uint32_t found = arrangement_probe_next(&join->probe, BATCH_ROWS_MAX, join->probe_rows,
                                                join->stored_rows, join->weights);
        if (found == 0)
            return true;
        arena_reset(&join->piece);
        struct batch *out = batch_header(&join->piece, join->widths[side]);
        out->rows = found;
        arrangement_gather_columns(join->sides[side], join->stored_rows, found, NULL, join->widths[side],
                                   out->columns, &join->piece);
        for (uint32_t i = 0; i < found; i++)
            join->weights[i] *= factors[join->probe_rows[i]];
        out->weights = join->weights;
        if (!join_emit_single(join, side, out, err))
            return false;
    }
}

/* - dL x dR: pairs that both other terms have counted. The index is over dR's keys, then a list of rows per
 * key. */
static bool join_subtract_both(struct join *join, const struct batch *left, const struct batch *right,
                               const struct key_deltas *right_deltas, struct error *err)
{
    struct arena *arena = join->base.ctx->tick_arena;
    uint32_t *heads = arena_alloc(arena, sizeof(uint32_t) * right_deltas->count);
    uint32_t *next = arena_alloc(arena, sizeof(uint32_t) * right->rows);
    memset(heads, 0xFF, sizeof(uint32_t) * right_deltas->count);
    uint64_t *hashes =
        arena_alloc(arena, sizeof(uint64_t) * (left->rows > right->rows ? left->rows : right->rows));
    const uint32_t *right_keys = join->keys[1], *left_keys = join->keys[0];
    uint8_t *skip = op_null_keys(arena, right, right_keys, join->keys_count, join->null_safe);
    batch_hash(right, right_keys, join->keys_count, hashes);
    uint32_t mask = right_deltas->index_cap - 1;
    for (uint32_t i = right->rows; i-- > 0;) {
        if (skip != NULL && skip[i])
            continue;
        for (uint32_t at = (uint32_t)hashes[i] & mask; right_deltas->index[at] != 0; at = (at + 1) & mask) {
            uint32_t entry = right_deltas->index[at] - 1;
            if (right_deltas->hashes[entry] == hashes[i] &&
                batch_rows_equal(right, right_deltas->representatives[entry], right_keys, right, i,
                                 right_keys, join->keys_count)) {
                next[i] = heads[entry];
                heads[entry] = i;
                break;
            }
        }
    }
    skip = op_null_keys(arena, left, left_keys, join->keys_count, join->null_safe);
    batch_hash(left, left_keys, join->keys_count, hashes);
    uint32_t count = 0;
    for (uint32_t i = 0; i <= left->rows; i++) {
        uint32_t match = UINT32_MAX;
        if (i < left->rows && (skip == NULL || !skip[i])) {
            for (uint32_t at = (uint32_t)hashes[i] & mask; right_deltas->index[at] != 0;
                 at = (at + 1) & mask) {
                uint32_t entry = right_deltas->index[at] - 1;
                if (right_deltas->hashes[entry] == hashes[i] &&
                    batch_rows_equal(right, right_deltas->representatives[entry], right_keys, left, i,
                                     left_keys, join->keys_count)) {
                    match = heads[entry];
                    break;
                }
            }
        }
        for (; match != UINT32_MAX || (i == left->rows && count > 0);) {
            if (match != UINT32_MAX) {
                join->probe_rows[count] = i;
                join->stored_rows[count] = match;
                join->weights[count] = -batch_weight(left, i) * batch_weight(right, match);
                count++;
                match = next[match];
            }
            if (count < BATCH_ROWS_MAX && i < left->rows)
                continue;
            struct pairs pairs = {
                .side = 0, .rows = left, .others = right, .count = count, .weights = join->weights};
            count = 0;
            if (!pairs_emit(join, &pairs, err))
                return false;
        }
    }
    return true;
}

static bool join_finish_side(struct join *join, uint32_t side, const struct batch *changes[2],
                             struct key_deltas *deltas[2], struct error *err)
{
    uint32_t other = 1 - side;
    for (uint32_t at = 0; changes[side] != NULL && at < changes[side]->rows; at += BATCH_ROWS_MAX) {
        uint32_t rows = changes[side]->rows - at;
        arena_reset(&join->scratch);
        struct batch *piece =
            batch_slice(&join->scratch, changes[side], at, rows < BATCH_ROWS_MAX ? rows : BATCH_ROWS_MAX);
        if (join_wants_pairs(join) && !join_probe(join, side, piece, UINT32_MAX, err))
            return false;
        if (join_shows_single(join, side) && !join_single_changes(join, side, piece, deltas[other], err))
            return false;
    }
    if (!join_shows_single(join, side))
        return true;
    struct key_deltas *changed = deltas[other];
    for (uint32_t at = 0; at < changed->count; at += BATCH_ROWS_MAX) {
        uint32_t rows = changed->count - at < BATCH_ROWS_MAX ? changed->count - at : BATCH_ROWS_MAX;
        arena_reset(&join->scratch);
        struct batch *reps = op_gather(&join->scratch, changes[other], changed->representatives + at, rows);
        if (!join_status_changes(join, side, reps, changed->hashes + at, changed->sums + at, err))
            return false;
    }
    return true;
}

/* The tick is over: what comes from now on comes later. */
static void join_note_seen(struct join *join)
{
    for (uint32_t side = 0; side < 2; side++)
        if (join_side_is_append_only(join, side))
            join->seen[side] = arrangement_mark(join->sides[side]);
}

void op_join_replace(struct operator* op, const struct arrangement *from, struct arrangement *to)
{
    struct join *join = (struct join *)op;
    for (uint32_t side = 0; side < 2; side++)
        if (join->sides[side] == from)
            join->sides[side] = to;
    join_note_seen(join); /* rows have other numbers there */
}

static bool join_complete(struct join *join, struct error *err)
{
    const struct operator* op = & join->base;
    if (op->ctx->initial || join->streams) {
        bool ok = !op->ctx->initial || join_finish_initial(join, err);
        join_note_seen(join);
        return ok;
    }
    const struct batch *changes[2] = {NULL, NULL};
    for (uint32_t side = 0; side < 2; side++) {
        const struct batch *stash = join->stash[side];
        if (stash != NULL) /* without retractions nothing cancels */
            changes[side] = stash->weights != NULL ? batch_consolidate(stash, op->ctx->tick_arena) : stash;
        join->stash[side] = NULL;
        if (changes[side] != NULL && changes[side]->rows == 0)
            changes[side] = NULL;
    }
    bool both = changes[0] != NULL && changes[1] != NULL;
    struct key_deltas *deltas[2];
    for (uint32_t side = 0; side < 2; side++)
        deltas[side] = key_deltas_create(
            join, side, join_shows_single(join, 1 - side) || (both && side == 1) ? changes[side] : NULL);
    if (both && join_wants_pairs(join) && deltas[1]->count > 0 &&
        !join_subtract_both(join, changes[0], changes[1], deltas[1], err))
        return false;
    return join_finish_side(join, 0, changes, deltas, err) && join_finish_side(join, 1, changes, deltas, err);
}

static bool join_finish(struct operator* op, struct error *err)
{
    struct join *join = (struct join *)op;
    if (!join_complete(join, err))
        return false;
    for (uint32_t side = 0; side < 2; side++)
        if (join->forgetting[side] != NULL)
            op_arrange_forget(join->forgetting[side]);
    return true;
}

static int64_t join_due(const struct operator* op)
{
    const struct join *join = (const struct join *)op;
    int64_t due = TIME_NEVER;
    for (uint32_t side = 0; side < 2; side++) {
        int64_t one = join->forgetting[side] != NULL ? op_arrange_due(join->forgetting[side]) : TIME_NEVER;
        due = one < due ? one : due;
    }
    return due;
}

/* Joins a batch with what of the other side came earlier. */
static bool join_stream(struct join *join, uint32_t side, const struct batch *rows, struct error *err)
{
    uint32_t other = 1 - side, limit = UINT32_MAX;
    if (join_side_is_append_only(join, other) && (!join->in_step || join->shared[other]))
        limit = join->seen[other];
    if (join->in_step)
        for (uint32_t i = 0; i < rows->rows; i++)
            join->seen[side] += (uint32_t)batch_weight(rows, i);
    arena_reset(&join->scratch);
    return join_probe(join, side, rows, limit, err);
}

static bool join_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct join *join = (struct join *)op;
    if (op->ctx->initial) {
        if (port != 0 || join->sides[0] != NULL)
            return true; /* it is in the arrangement, which finish reads */
        arena_reset(&join->scratch);
        return join_pass(join, 0, change, join_wants_pairs(join), err);
    }
    if (join->streams)
        return join_stream(join, port, change, err);
    if (join->stash[port] == NULL)
        join->stash[port] =
            batch_create(op->ctx->tick_arena, join->types[port], join->widths[port], change->rows);
    batch_append_range(join->stash[port], change, 0, change->rows, 1);
    return true;
}

/* ---- checkpoints: the rows are those of the sides ---- */

static void join_save_rest(struct operator* op, struct strbuf *out)
{
    for (uint32_t side = 0; side < 2; side++)
        rest_add(out, ((const struct join *)op)->seen[side]);
}

static bool join_restore_rest(struct operator* op, const void *rest, size_t rest_bytes, struct error *err)
{
    if (rest_bytes == 0)
        return true;
    struct rest_reader reader = rest_open(rest, rest_bytes);
    for (uint32_t side = 0; side < 2; side++)
        ((struct join *)op)->seen[side] = (uint32_t)rest_take(&reader);
    return rest_close(&reader, err);
}

const struct operator_class op_join_class = {
    .name = "join",
    .bytes = sizeof(struct join),
    .open = join_open,
    .push = join_push,
    .finish = join_finish,
    .close = join_close,
    .due_watermark = join_due,
    .save_rest = join_save_rest,
    .restore_rest = join_restore_rest,
};
