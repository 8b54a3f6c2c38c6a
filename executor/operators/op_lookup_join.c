/* op_lookup_join.c: left rows meet the right side as it stands at the end of the tick that brings them, and never again.
 *
 * The right side is an arrangement that others keep; nothing of the left side stays. A shared arrangement has the
 * tick's contents before the first left row comes, so rows are looked up as they are pushed. Otherwise the arrangement
 * is complete only when both sides have finished: left rows wait in the tick arena until then. Changes of the right
 * side by themselves do nothing.
 *
 * Rows without a partner (of keys and residual), or with a NULL key, match nothing: with is_left they get NULLs. What
 * comes out has the watermarks of the left rows, so that whether it is late is judged as of the row itself.
 *
 * A residual sees only the columns that it needs; the others are gathered for the pairs that pass.
 *
 * The right side may be the cache of an external table (struct lookup_source): rows under a key say what the table holds,
 * or that it holds nothing (found is false). A left row whose key is not there waits (waiting_rows.h), and the key is asked for; the
 * tick that brings the answer to the cache hands on what waited for it, before the left rows of its own. Which rows those are
 * follows from the ticks alone, and not from when and how often was asked. */
#include "executor/expr_program.h"
#include "executor/lookup_source.h"
#include "executor/operators/op_saved.h"
#include "executor/operators/waiting_rows.h"

struct lookup_join {
    struct operator base;
    struct arrangement *right;
    bool is_shared;
    uint32_t left_width, right_width;
    struct expr_run *residual;
    uint32_t residual_columns_count;
    uint32_t *residual_columns; /* of the joined row */
    struct batch **waiting;     /* left rows of this tick, in the tick arena */
    uint32_t waiting_count, waiting_cap;
    struct lookup_source *source; /* NULL: the right side is a relation of ours */
    struct waiting_rows unanswered;
    int64_t unanswered_noted;    /* rows, as the source has been told */
    struct arena answer_scratch; /* rows that wait no more */
    uint8_t has_answer[BATCH_ROWS_MAX];
    struct arena scratch; /* one batch of left rows */
    struct arena piece;   /* one emitted piece */
    uint64_t hashes[BATCH_ROWS_MAX];
    uint8_t has_match[BATCH_ROWS_MAX];
    uint32_t probe_rows[BATCH_ROWS_MAX]; /* pairs: left row, stored row, weight */
    uint32_t stored_rows[BATCH_ROWS_MAX];
    int64_t weights[BATCH_ROWS_MAX];
    uint32_t selected[BATCH_ROWS_MAX];
    struct arrangement_probe probe;
};

void op_lookup_join_setup(struct operator* op, struct arrangement *right, bool right_is_shared)
{
    struct lookup_join *join = (struct lookup_join *)op;
    join->right = right;
    join->is_shared = right_is_shared;
}

void op_lookup_join_external(struct operator* op, struct lookup_source *source)
{
    struct lookup_join *join = (struct lookup_join *)op;
    CHECK(join->is_shared);
    join->source = source;
}

void op_lookup_join_replace(struct operator* op, const struct arrangement *from, struct arrangement *to)
{
    struct lookup_join *join = (struct lookup_join *)op;
    if (join->right == from)
        join->right = to;
}

static bool lookup_join_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct lookup_join *join = (struct lookup_join *)op;
    join->left_width = plan->children[0]->columns_count;
    join->right_width = plan->children[1]->columns_count;
    arena_init(&join->scratch, op->ctx->account);
    arena_init(&join->piece, op->ctx->account);
    arena_init(&join->answer_scratch, op->ctx->account);
    if (join->source != NULL)
        waiting_rows_open(&join->unanswered, plan->children[0]->types, join->left_width,
                          plan->lookup_join.left_keys, plan->lookup_join.keys_count, op->ctx->account);
    return plan->lookup_join.residual == NULL ||
           op_residual_compile(op->ctx, plan->lookup_join.residual, join->left_width + join->right_width,
                               &join->residual_columns, &join->residual_columns_count, &join->residual, err);
}

static void lookup_join_close(struct operator* op)
{
    struct lookup_join *join = (struct lookup_join *)op;
    if (join->residual != NULL)
        expr_run_destroy(join->residual);
    if (join->source != NULL)
        lookup_source_wait(join->source, -join->unanswered_noted);
    waiting_rows_close(&join->unanswered);
    arena_release(&join->scratch);
    arena_release(&join->piece);
    arena_release(&join->answer_scratch);
}

/* Columns columns[0..count) (NULL: all) of the first `pairs` pairs, without weights. */
static struct batch *gather_pairs(struct lookup_join *join, const struct batch *rows, uint32_t pairs,
                                  const uint32_t *columns, uint32_t count)
{
    struct batch *out = batch_header(&join->piece, count);
    out->rows = pairs;
    bool every_row = pairs == rows->rows;
    for (uint32_t i = 0; i < pairs && every_row; i++)
        every_row = join->probe_rows[i] == i;
    uint32_t stored_count = 0;
    uint32_t *stored = arena_alloc(&join->piece, sizeof(uint32_t) * count);
    uint32_t *places = arena_alloc(&join->piece, sizeof(uint32_t) * count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t column = columns != NULL ? columns[i] : i;
        if (column >= join->left_width) {
            stored[stored_count] = column - join->left_width;
            places[stored_count++] = i;
        } else if (every_row) {
            out->columns[i] = rows->columns[column];
        } else {
            column_gather(&out->columns[i], &rows->columns[column], join->probe_rows, pairs, &join->piece);
        }
    }
    if (stored_count > 0) {
        struct column *gathered = arena_alloc(&join->piece, sizeof(struct column) * stored_count);
        arrangement_gather_columns(join->right, join->stored_rows, pairs, stored, stored_count, gathered,
                                   &join->piece);
        for (uint32_t i = 0; i < stored_count; i++)
            out->columns[places[i]] = gathered[i];
    }
    return out;
}

/* Leaves the pairs that fulfil the residual; *count of them. */
static bool filter_pairs(struct lookup_join *join, const struct batch *rows, uint32_t *count,
                         struct error *err)
{
    struct operator* op = & join->base;
    struct batch *narrow =
        gather_pairs(join, rows, *count, join->residual_columns, join->residual_columns_count);
    struct row_errors errors = {.arena = &join->piece};
    uint32_t passed = 0, kept = 0;
    if (!expr_run_filter(join->residual, op->ctx->env, narrow, NULL, narrow->rows, join->selected, &passed,
                         op->ctx->collect_errors ? &errors : NULL, err))
        return false;
    if (errors.count > 0) {
        struct batch *whole = gather_pairs(join, rows, *count, NULL, op->columns_count);
        whole->weights = join->weights;
        if (!op_emit_row_errors(op, whole, NULL, &errors, err))
            return false;
    }
    for (uint32_t i = 0; i < passed; i++) {
        uint32_t at = join->selected[i];
        if (errors.count > 0 && errors.failed[at])
            continue;
        join->probe_rows[kept] = join->probe_rows[at];
        join->stored_rows[kept] = join->stored_rows[at];
        join->weights[kept++] = join->weights[at];
    }
    *count = kept;
    return true;
}

static bool emit_pairs(struct lookup_join *join, const struct batch *rows, uint32_t count, struct error *err)
{
    arena_reset(&join->piece);
    for (uint32_t i = 0; i < count; i++)
        join->weights[i] *= batch_weight(rows, join->probe_rows[i]);
    if (join->residual != NULL && !filter_pairs(join, rows, &count, err))
        return false;
    bool all_one = true;
    for (uint32_t i = 0; i < count; i++) {
        all_one &= join->weights[i] == 1;
        join->has_match[join->probe_rows[i]] = 1;
    }
    if (count == 0)
        return true;
    struct batch *out = gather_pairs(join, rows, count, NULL, join->base.columns_count);
    out->weights = all_one ? NULL : join->weights;
    op_pick_arrival(&join->piece, out, rows, join->probe_rows);
    return operator_emit(&join->base, out, err);
}

/* Rows without a match, with NULLs for the right side. */
static bool emit_single(struct lookup_join *join, const struct batch *rows, struct error *err)
{
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows->rows; i++)
        if (!join->has_match[i])
            join->selected[count++] = i;
    if (count == 0)
        return true;
    arena_reset(&join->piece);
    const struct batch *single =
        count == rows->rows ? rows : op_gather(&join->piece, rows, join->selected, count);
    struct batch *out = batch_header(&join->piece, join->base.columns_count);
    out->rows = count;
    out->weights = single->weights;
    op_pick_arrival(&join->piece, out, single, NULL);
    for (uint32_t c = 0; c < join->left_width; c++)
        out->columns[c] = single->columns[c];
    for (uint32_t c = join->left_width; c < join->base.columns_count; c++)
        op_null_column(&out->columns[c], join->base.types[c], count, &join->piece);
    return operator_emit(&join->base, out, err);
}

/* Notes which rows have an answer, and leaves the pairs whose right row was found; how many. */
static uint32_t take_answers(struct lookup_join *join, uint32_t count)
{
    struct column found;
    uint32_t kept = 0;
    arena_reset(&join->piece);
    arrangement_gather(join->right, join->stored_rows, count, join->base.plan->lookup_join.found_column,
                       &found, &join->piece);
    for (uint32_t i = 0; i < count; i++) {
        join->has_answer[join->probe_rows[i]] = 1;
        if (!((const uint8_t *)found.data)[i])
            continue;
        join->probe_rows[kept] = join->probe_rows[i];
        join->stored_rows[kept] = join->stored_rows[i];
        join->weights[kept++] = join->weights[i];
    }
    return kept;
}

/* Rows without an answer wait for it; they are left out of what follows. */
static void keep_unanswered(struct lookup_join *join, const struct batch *rows, bool have_waited)
{
    const struct plan *plan = join->base.plan;
    uint32_t *which = arena_alloc(&join->scratch, sizeof(*which) * rows->rows), count = 0;
    for (uint32_t i = 0; i < rows->rows; i++) {
        if (join->has_answer[i])
            continue;
        join->has_match[i] = 1;
        which[count++] = i;
    }
    if (!have_waited)
        lookup_source_count(join->source, rows->rows - count, count);
    if (count == 0)
        return;
    uint32_t *first = arena_alloc(&join->scratch, sizeof(*first) * count), first_count;
    waiting_rows_add(&join->unanswered, &join->base, rows, which, count, first, &first_count, &join->scratch);
    struct batch *keys = batch_header(&join->scratch, plan->lookup_join.keys_count);
    keys->rows = first_count;
    for (uint32_t i = 0; i < keys->columns_count; i++)
        column_gather(&keys->columns[i], &rows->columns[plan->lookup_join.left_keys[i]], first, first_count,
                      &join->scratch);
    lookup_source_ask(join->source, keys);
}

/* have_waited: their keys have been answered in this tick. */
static bool look_up(struct lookup_join *join, const struct batch *rows, bool have_waited, struct error *err)
{
    const struct plan *plan = join->base.plan;
    const uint32_t *keys = plan->lookup_join.left_keys;
    uint32_t keys_count = plan->lookup_join.keys_count;
    arena_reset(&join->scratch);
    memset(join->has_match, 0, rows->rows);
    batch_hash(rows, keys, keys_count, join->hashes);
    uint8_t *null_keys = op_null_keys(&join->scratch, rows, keys, keys_count, NULL);
    for (uint32_t i = 0; i < rows->rows && join->source != NULL; i++)
        join->has_answer[i] = null_keys != NULL && null_keys[i];
    arrangement_probe_start(&join->probe, join->right, rows, keys, join->hashes, null_keys);
    for (;;) {
        uint32_t count = arrangement_probe_next(&join->probe, BATCH_ROWS_MAX, join->probe_rows,
                                                join->stored_rows, join->weights);
        if (count == 0)
            break;
        if (join->source != NULL)
            count = take_answers(join, count);
        if (!op_check(&join->base, err) || (count > 0 && !emit_pairs(join, rows, count, err)))
            return false;
    }
    if (join->source != NULL)
        keep_unanswered(join, rows, have_waited);
    return !plan->lookup_join.is_left || emit_single(join, rows, err);
}

/* Hands on the rows whose answers have come in this tick, and tells how many still wait. */
static bool emit_answered(struct lookup_join *join, struct error *err)
{
    for (;;) {
        arena_reset(&join->answer_scratch);
        struct batch *rows = waiting_rows_take(&join->unanswered, &join->answer_scratch);
        if (rows == NULL)
            return true;
        if (!look_up(join, rows, true, err))
            return false;
    }
}

static void note_unanswered(struct lookup_join *join)
{
    int64_t rows = (int64_t)arrangement_rows(join->unanswered.rows);
    lookup_source_wait(join->source, rows - join->unanswered_noted);
    join->unanswered_noted = rows;
}

void op_lookup_join_ask_again(struct operator* op)
{
    struct lookup_join *join = (struct lookup_join *)op;
    uint64_t cursor = 0;
    if (join->source == NULL)
        return;
    for (;;) {
        arena_reset(&join->scratch);
        struct batch *keys = waiting_rows_keys(&join->unanswered, &cursor, &join->scratch);
        if (keys == NULL)
            return;
        lookup_source_ask(join->source, keys);
    }
}

static void keep_waiting(struct lookup_join *join, const struct batch *rows)
{
    struct arena *arena = join->base.ctx->tick_arena;
    struct batch *copy =
        batch_create(arena, join->base.plan->children[0]->types, join->left_width, rows->rows);
    batch_append_range(copy, rows, 0, rows->rows, 1);
    if (rows->watermarks != NULL) {
        copy->watermarks = arena_copy(arena, rows->watermarks, sizeof(*rows->watermarks) * rows->rows);
        copy->positions = arena_copy(arena, rows->positions, sizeof(*rows->positions) * rows->rows);
    }
    ARENA_PUSH(arena, join->waiting, join->waiting_count, join->waiting_cap, copy);
}

static bool lookup_join_push(struct operator* op, uint32_t port, const struct batch *change,
                             struct error *err)
{
    struct lookup_join *join = (struct lookup_join *)op;
    if (port != 0 && join->source != NULL) {
        arena_reset(&join->scratch);
        waiting_rows_answer(&join->unanswered, change, op->plan->lookup_join.right_keys, op->ctx->tick_arena,
                            &join->scratch);
    }
    if (port != 0)
        return true; /* it is in the arrangement */
    if (join->source != NULL && !emit_answered(join, err))
        return false;
    if (join->is_shared)
        return look_up(join, change, false, err);
    keep_waiting(join, change);
    return op_check(op, err);
}

static bool lookup_join_finish(struct operator* op, struct error *err)
{
    struct lookup_join *join = (struct lookup_join *)op;
    struct batch **waiting = join->waiting;
    uint32_t count = join->waiting_count;
    join->waiting = NULL;
    join->waiting_count = join->waiting_cap = 0;
    for (uint32_t i = 0; i < count; i++)
        if (!look_up(join, waiting[i], false, err))
            return false;
    if (join->source == NULL)
        return true;
    if (!emit_answered(join, err))
        return false;
    note_unanswered(join);
    return true;
}

static int64_t lookup_join_holds(const struct operator* op)
{
    return waiting_rows_watermark(&((const struct lookup_join *)op)->unanswered);
}

static int64_t lookup_join_bytes(const struct operator* op)
{
    const struct waiting_rows *waiting = &((const struct lookup_join *)op)->unanswered;
    return waiting->rows != NULL ? arrangement_bytes(waiting->rows) + ordered_table_bytes(waiting->holds) : 0;
}

static uint64_t lookup_join_rows(const struct operator* op)
{
    const struct waiting_rows *waiting = &((const struct lookup_join *)op)->unanswered;
    return waiting->rows != NULL ? arrangement_rows(waiting->rows) : 0;
}

static void lookup_join_saved_tables(struct operator* op, struct saved_tables *out)
{
    struct lookup_join *join = (struct lookup_join *)op;
    if (join->source != NULL)
        waiting_rows_saved(&join->unanswered, out);
}

static void lookup_join_save_rest(struct operator* op, struct strbuf *out)
{
    struct lookup_join *join = (struct lookup_join *)op;
    if (join->source != NULL)
        op_rest_add(out, &join->unanswered.next, 1);
}

static bool lookup_join_restore_rest(struct operator* op, const void *rest, size_t rest_bytes,
                                     struct error *err)
{
    struct lookup_join *join = (struct lookup_join *)op;
    int64_t next;
    if (join->source == NULL)
        return true;
    if (!op_rest_take(rest, rest_bytes, &next, 1, err))
        return false;
    waiting_rows_restored(&join->unanswered, next);
    note_unanswered(join);
    return true;
}

const struct operator_class op_lookup_join_class = {
    .name = "lookup join",
    .bytes = sizeof(struct lookup_join),
    .open = lookup_join_open,
    .push = lookup_join_push,
    .finish = lookup_join_finish,
    .close = lookup_join_close,
    .holds_watermark = lookup_join_holds,
    .state_bytes = lookup_join_bytes,
    .state_rows = lookup_join_rows,
    .saved_tables = lookup_join_saved_tables,
    .save_rest = lookup_join_save_rest,
    .restore_rest = lookup_join_restore_rest,
};
