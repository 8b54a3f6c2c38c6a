/* op_project_set.c: set-returning functions over each row: child columns, then the functions' columns, in
 * lock step.
 *
 * The longest set decides how many rows an input row gives; shorter ones are filled with NULLs; plain
 * expressions repeat. Input goes through in pieces so that a generous function meets bounded memory per call;
 * the rows of a statement's only set are handed on while the function still makes them. Linear and stateless: a deletion generates the same rows with negative weight. */
#include "executor/expr_program.h"
#include "executor/function.h"
#include "executor/operators/op_common.h"

#define PIECE_ROWS 256

struct set_call {
    const struct function_row *function; /* NULL: a plain expression */
    struct sql_type type;
    uint32_t first_arg, args_count; /* results of the argument program */
    uint32_t columns_count;         /* it gives */
    struct sql_type *types;
    void *state;
};

/* What one call gave for a piece: columns, and for each input row its range in them. */
struct set_rows {
    struct column *columns;
    uint32_t *starts; /* piece rows + 1 */
    uint32_t *at;     /* streamed: where each step's values are, UINT32_MAX none; starts is not used */
};

struct project_set {
    struct operator base;
    uint32_t child_columns;
    struct set_call *calls;
    uint32_t calls_count;
    struct expr_program *args;
    struct expr_run *args_run;
    uint32_t args_count;
    bool streams;         /* one set, in a statement: a row that fails later takes nothing back */
    struct arena scratch; /* per piece */
    struct arena results; /* of one call; streaming: since the last emission */
    struct arena output;  /* per emitted batch */
};

static bool project_set_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct project_set *set = (struct project_set *)op;
    struct arena *arena = op->ctx->plan_arena;
    arena_init(&set->scratch, op->ctx->account);
    arena_init(&set->results, op->ctx->account);
    arena_init(&set->output, op->ctx->account);
    set->child_columns = plan->children[0]->columns_count;
    set->calls_count = plan->project_set.calls_count;
    set->calls = ARENA_ARRAY(arena, struct set_call, set->calls_count);
    const struct expr **args = NULL;
    uint32_t cap = 0, column = set->child_columns, sets_count = 0;
    for (uint32_t c = 0; c < set->calls_count; c++) {
        const struct expr *expr = plan->project_set.calls[c];
        struct set_call *call = &set->calls[c];
        bool is_set = expr->kind == EXPR_CALL && (expr->function->flags & FN_SET) != 0;
        call->type = expr->type;
        call->first_arg = set->args_count;
        call->columns_count = 1;
        sets_count += is_set;
        if (is_set) {
            call->function = expr->function;
            const struct function_signature *signature = function_signature(expr->function);
            if (signature->columns_count > 0)
                call->columns_count = signature->columns_count;
            call->args_count = expr->args_count;
            for (uint32_t a = 0; a < expr->args_count; a++)
                ARENA_PUSH(arena, args, set->args_count, cap, expr->args[a]);
        } else {
            call->args_count = 1;
            ARENA_PUSH(arena, args, set->args_count, cap, expr);
        }
        if (column + call->columns_count + plan->project_set.ordinality > plan->columns_count)
            return error_set(err, ERRCODE_INTERNAL_ERROR,
                             "set-returning functions give more columns than planned");
        call->types = ARENA_ARRAY(arena, struct sql_type, call->columns_count);
        for (uint32_t i = 0; i < call->columns_count; i++)
            call->types[i] = plan->types[column++];
    }
    set->streams = sets_count == 1 && op->ctx->mode == DATAFLOW_ONE_SHOT;
    if (set->args_count == 0)
        return true;
    if (!expr_compile(arena, args, set->args_count, &set->args, err))
        return false;
    set->args_run = expr_run_create(set->args, op->ctx->account);
    return true;
}

static void project_set_close(struct operator* op)
{
    struct project_set *set = (struct project_set *)op;
    if (set->args_run != NULL)
        expr_run_destroy(set->args_run);
    arena_release(&set->scratch);
    arena_release(&set->results);
    arena_release(&set->output);
}

/* Output rows as (input row, step). */
struct steps {
    uint32_t *rows, *steps;
    uint32_t count;
};

/* Where in the set's columns step i has its values. */
static uint32_t step_at(const struct set_rows *rows, const struct steps *steps, uint32_t i)
{
    if (rows->at != NULL)
        return rows->at[i];
    uint32_t start = rows->starts[steps->rows[i]], end = rows->starts[steps->rows[i] + 1];
    return steps->steps[i] < end - start ? start + steps->steps[i] : UINT32_MAX;
}

static bool emit_steps(struct project_set *set, const struct batch *piece, const struct set_rows *sets,
                       struct steps *steps, struct error *err)
{
    struct operator* op = & set->base;
    uint32_t count = steps->count;
    if (count == 0)
        return true;
    steps->count = 0;
    arena_reset(&set->output);
    struct batch *in = op_gather(&set->output, piece, steps->rows, count);
    struct batch *out = batch_header(&set->output, op->columns_count);
    out->rows = count;
    out->weights = in->weights;
    op_pick_arrival(&set->output, out, in, NULL);
    if (in->columns_count > 0)
        memcpy(out->columns, in->columns, sizeof(struct column) * in->columns_count);
    uint32_t column = set->child_columns;
    uint32_t *at = arena_alloc(&set->output, sizeof(uint32_t) * count);
    for (uint32_t c = 0; c < set->calls_count; c++) {
        const struct set_call *call = &set->calls[c];
        if (call->function == NULL) {
            column_gather(&out->columns[column++], &sets[c].columns[0], steps->rows, count, &set->output);
            continue;
        }
        bool any_missing = false;
        for (uint32_t i = 0; i < count; i++) {
            at[i] = step_at(&sets[c], steps, i);
            any_missing = any_missing || at[i] == UINT32_MAX;
        }
        for (uint32_t k = 0; k < call->columns_count; k++, column++) {
            if (!any_missing) {
                column_gather(&out->columns[column], &sets[c].columns[k], at, count, &set->output);
                continue;
            }
            column_init(&out->columns[column], call->types[k], count, &set->output);
            for (uint32_t i = 0; i < count; i++) {
                if (at[i] == UINT32_MAX || column_is_null(&sets[c].columns[k], at[i])) {
                    column_set_null(&out->columns[column], i, count, &set->output);
                } else {
                    struct datum value = column_get(&sets[c].columns[k], at[i]);
                    column_set(&out->columns[column], i, &value, count, &set->output);
                }
            }
        }
    }
    if (op->plan->project_set.ordinality) {
        column_init(&out->columns[column], op->types[column], count, &set->output);
        int64_t *numbers = out->columns[column].data;
        for (uint32_t i = 0; i < count; i++) {
            numbers[i] = (int64_t)steps->steps[i] + 1;
            bool any = false;
            for (uint32_t c = 0; c < set->calls_count && !any; c++)
                any = set->calls[c].function == NULL || step_at(&sets[c], steps, i) != UINT32_MAX;
            if (!any) /* the row that LEFT JOIN LATERAL adds */
                column_set_null(&out->columns[column], i, count, &set->output);
        }
    }
    return operator_emit(op, out, err);
}

/* ---- a set that is handed on while it is made ---- */

struct set_stream {
    struct project_set *set;
    const struct batch *piece;
    struct set_rows *sets; /* of all calls */
    uint32_t call;         /* the set's */
    const uint32_t *selected;
    struct steps steps;
    uint32_t next_row; /* of the piece: those before it have begun */
    uint32_t step;     /* of row next_row - 1 */
    bool ok;
    struct error *err;
};

static void stream_emit(struct set_stream *stream)
{
    if (stream->ok && stream->steps.count > 0)
        stream->ok = emit_steps(stream->set, stream->piece, stream->sets, &stream->steps, stream->err);
}

static void stream_add(struct set_stream *stream, uint32_t row, uint32_t step, uint32_t at)
{
    struct steps *steps = &stream->steps;
    steps->rows[steps->count] = row;
    steps->steps[steps->count] = step;
    stream->sets[stream->call].at[steps->count++] = at;
    if (steps->count == BATCH_ROWS_MAX)
        stream_emit(stream);
}

/* Rows of the piece before `end` for which the set gave nothing. */
static void stream_skip(struct set_stream *stream, uint32_t end)
{
    for (; stream->next_row < end && stream->ok; stream->next_row++)
        if (stream->set->base.plan->project_set.keep_empty)
            stream_add(stream, stream->next_row, 0, UINT32_MAX);
}

static void stream_full(struct srf_output *output)
{
    struct set_stream *stream = output->full_ctx;
    struct project_set *set = stream->set;
    stream->sets[stream->call].columns = output->out->columns;
    for (uint32_t k = 0; k < output->count && stream->ok; k++) {
        uint32_t row = stream->selected[output->out_rows[k]];
        if (row >= stream->next_row) {
            stream_skip(stream, row);
            stream->next_row = row + 1;
            stream->step = 0;
        }
        stream_add(stream, row, stream->step++, k);
    }
    stream_emit(stream);
    const struct set_call *call = &set->calls[stream->call];
    arena_reset(&set->results);
    output->out = batch_create(&set->results, call->types, call->columns_count, BATCH_ROWS_MAX);
    output->out_rows = NULL;
    output->count = output->cap = 0;
    stream->ok = stream->ok && op_check(&set->base, stream->err);
    output->stopped = !stream->ok || set->base.ctx->stop || set->base.ctx->enough;
}

struct set_check {
    const struct operator* op;
    bool ok;
    struct error *err;
};

/* Everything is kept: it must fit, and the one who waits for it must still want it. */
static void check_full(struct srf_output *output)
{
    struct set_check *check = output->full_ctx;
    const struct op_context *ctx = check->op->ctx;
    if (ctx->env->cancel != NULL && atomic_load_explicit(ctx->env->cancel, memory_order_relaxed))
        check->ok = error_set(check->err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    else
        check->ok = ctx->account == NULL || account_check(ctx->account, check->err);
    output->stopped = !check->ok;
}

/* A plain expression counts as a set that repeats: ranges are empty and the value is read by input row. */
static bool call_set(struct project_set *set, struct set_call *call, const struct column *args, uint32_t rows,
                     struct row_errors *errors, struct set_rows *out, struct set_stream *stream,
                     struct error *err)
{
    struct operator* op = & set->base;
    struct arena *scratch = &set->scratch;
    out->starts = arena_zalloc(scratch, sizeof(uint32_t) * (rows + 1));
    if (call->function == NULL) {
        out->columns = arena_copy(scratch, args, sizeof(struct column));
        return true;
    }
    /* A strict function gives no rows where an argument is NULL: those rows stay out of the call. */
    uint32_t *selected = arena_alloc(scratch, sizeof(uint32_t) * (rows + 1));
    uint32_t count = 0;
    for (uint32_t i = 0; i < rows; i++) {
        bool skip = errors->failed != NULL && errors->failed[i];
        for (uint32_t a = 0; a < call->args_count && !skip && (call->function->flags & FN_NULLS) == 0; a++)
            skip = column_is_null(&args[a], i);
        if (!skip)
            selected[count++] = i;
    }
    struct column *chosen = arena_alloc(scratch, sizeof(struct column) * (call->args_count + 1));
    for (uint32_t a = 0; a < call->args_count; a++)
        column_gather(&chosen[a], &args[a], selected, count, scratch);
    struct set_check check = {.op = op, .ok = true, .err = err};
    struct srf_output output = {.arena = &set->results};
    output.out = batch_create(&set->results, call->types, call->columns_count, count);
    output.full = stream != NULL ? stream_full : check_full;
    output.full_ctx = stream != NULL ? (void *)stream : &check;
    if (stream != NULL)
        stream->selected = selected;
    struct column dummy = {.type = call->type};
    struct row_errors failed = {.arena = scratch, .rows = count};
    struct fn_call fn = {.rows = count,
                         .args_count = call->args_count,
                         .result_type = call->type,
                         .arena = scratch,
                         .env = op->ctx->env,
                         .function = call->function,
                         .result = &dummy,
                         .errors = &failed,
                         .state = &call->state,
                         .state_arena = op->ctx->plan_arena};
    if (count > 0)
        call->function->set(&fn, chosen, &output);
    if (stream != NULL) {
        stream_full(&output);
        stream_skip(stream, rows);
        stream_emit(stream);
        return stream->ok &&
               (failed.count == 0 ||
                op_error_row(op, stream->piece, selected[failed.items[0].row], failed.items[0].error, err));
    }
    if (!check.ok)
        return false;
    out->columns = output.out->columns;
    /* Kernels walk their input in order, so an input row's results stand together. */
    uint32_t at = 0;
    for (uint32_t i = 0, s = 0; i < rows; i++) {
        out->starts[i] = at;
        if (s < count && selected[s] == i) {
            while (at < output.count && output.out_rows[at] == s)
                at++;
            s++;
        }
    }
    out->starts[rows] = at;
    CHECK(at == output.count);
    for (uint32_t e = 0; e < failed.count; e++) {
        uint32_t row = selected[failed.items[e].row];
        if (errors->failed == NULL)
            errors->failed = arena_zalloc(scratch, rows);
        if (errors->failed[row])
            continue;
        errors->failed[row] = 1;
        struct row_error item = {.row = row, .error = failed.items[e].error};
        ARENA_PUSH(scratch, errors->items, errors->count, errors->cap, item);
    }
    return true;
}

static bool project_piece(struct project_set *set, const struct batch *piece, struct error *err)
{
    struct operator* op = & set->base;
    struct row_errors errors = {.arena = &set->scratch, .rows = piece->rows};
    struct column *args = arena_alloc(&set->scratch, sizeof(struct column) * (set->args_count + 1));
    if (set->args_count > 0 && !expr_run_eval(set->args_run, op->ctx->env, piece, NULL, piece->rows, args,
                                              op->ctx->collect_errors ? &errors : NULL, err))
        return false;
    struct set_rows *sets = arena_alloc(&set->scratch, sizeof(struct set_rows) * (set->calls_count + 1));
    struct steps steps = {.rows = arena_alloc(&set->scratch, sizeof(uint32_t) * BATCH_ROWS_MAX),
                          .steps = arena_alloc(&set->scratch, sizeof(uint32_t) * BATCH_ROWS_MAX)};
    struct set_stream stream = {
        .set = set, .piece = piece, .sets = sets, .steps = steps, .ok = true, .err = err};
    for (uint32_t c = 0; c < set->calls_count; c++) {
        sets[c] = (struct set_rows){0};
        if (set->streams && set->calls[c].function != NULL) {
            stream.call = c; /* comes last: the repeated values must be there */
            sets[c].at = arena_alloc(&set->scratch, sizeof(uint32_t) * BATCH_ROWS_MAX);
        } else if (!call_set(set, &set->calls[c], args + set->calls[c].first_arg, piece->rows, &errors,
                             &sets[c], NULL, err)) {
            return false;
        }
    }
    if (set->streams)
        return call_set(set, &set->calls[stream.call], args + set->calls[stream.call].first_arg, piece->rows,
                        &errors, &sets[stream.call], &stream, err);
    if (errors.count > 0 && !op_emit_row_errors(op, piece, NULL, &errors, err))
        return false;

    for (uint32_t i = 0; i < piece->rows; i++) {
        if (errors.failed != NULL && errors.failed[i])
            continue;
        uint32_t longest = 0;
        bool any_set = false;
        for (uint32_t c = 0; c < set->calls_count; c++) {
            if (set->calls[c].function == NULL)
                continue;
            any_set = true;
            uint32_t rows = sets[c].starts[i + 1] - sets[c].starts[i];
            longest = rows > longest ? rows : longest;
        }
        if (longest == 0 && (!any_set || op->plan->project_set.keep_empty))
            longest = 1;
        for (uint32_t step = 0; step < longest; step++) {
            steps.rows[steps.count] = i;
            steps.steps[steps.count++] = step;
            if (steps.count == BATCH_ROWS_MAX && !emit_steps(set, piece, sets, &steps, err))
                return false;
        }
    }
    return emit_steps(set, piece, sets, &steps, err);
}

static bool project_set_push(struct operator* op, uint32_t port, const struct batch *change,
                             struct error *err)
{
    struct project_set *set = (struct project_set *)op;
    for (uint32_t at = 0; at < change->rows && !op->ctx->stop && !op->ctx->enough; at += PIECE_ROWS) {
        arena_reset(&set->scratch);
        arena_reset(&set->results);
        uint32_t rows = change->rows - at < PIECE_ROWS ? change->rows - at : PIECE_ROWS;
        if (!op_check(op, err) || !project_piece(set, batch_slice(&set->scratch, change, at, rows), err))
            return false;
    }
    return true;
}

const struct operator_class op_project_set_class = {
    .name = "project_set",
    .bytes = sizeof(struct project_set),
    .open = project_set_open,
    .push = project_set_push,
    .close = project_set_close,
};
