/* op_calc.c: filter, then projection.
 *
 * The condition selects first; projections run only on selected rows, so an expression never sees (and never
 * fails on) a row the condition removed. Plain column references pass through without a copy. Weights pass
 * unchanged. Stateless.
 *
 * In a view a row whose condition or projection fails goes to the error relation with its weight: its
 * deletion fails in the same way and takes the error back. */
#include "executor/expr_program.h"
#include "executor/operators/op_common.h"

struct calc {
    struct operator base;
    struct expr_program *condition;
    struct expr_run *condition_run;
    struct expr_program *outputs;
    struct expr_run *outputs_run;
    uint32_t *columns; /* all outputs are plain columns: which; else NULL */
    struct arena scratch;
    uint32_t selected[BATCH_ROWS_MAX];
};

static bool calc_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct calc *calc = (struct calc *)op;
    arena_init(&calc->scratch, op->ctx->account);
    if (plan->calc.condition != NULL) {
        const struct expr *condition = plan->calc.condition;
        if (!expr_compile(op->ctx->plan_arena, &condition, 1, &calc->condition, err))
            return false;
        calc->condition_run = expr_run_create(calc->condition, op->ctx->account);
    }
    calc->columns = arena_alloc(op->ctx->plan_arena, sizeof(uint32_t) * plan->columns_count);
    for (uint32_t c = 0; c < plan->columns_count; c++) {
        if (plan->calc.outputs[c]->kind != EXPR_COLUMN) {
            calc->columns = NULL;
            break;
        }
        calc->columns[c] = plan->calc.outputs[c]->index;
    }
    if (calc->columns != NULL)
        return true;
    if (!expr_compile(op->ctx->plan_arena, (const struct expr *const *)plan->calc.outputs,
                      plan->columns_count, &calc->outputs, err))
        return false;
    calc->outputs_run = expr_run_create(calc->outputs, op->ctx->account);
    return true;
}

static void calc_close(struct operator* op)
{
    struct calc *calc = (struct calc *)op;
    if (calc->condition_run != NULL)
        expr_run_destroy(calc->condition_run);
    if (calc->outputs_run != NULL)
        expr_run_destroy(calc->outputs_run);
    arena_release(&calc->scratch);
}

/* The rows the condition lets through; *selection stays NULL when that is all of them. */
static bool calc_filter(struct calc *calc, const struct batch *change, const uint32_t **selection,
                        uint32_t *rows, struct error *err)
{
    struct operator* op = & calc->base;
    struct row_errors errors = {.arena = &calc->scratch};
    uint32_t count = 0;
    if (!expr_run_filter(calc->condition_run, op->ctx->env, change, NULL, change->rows, calc->selected,
                         &count, op->ctx->collect_errors ? &errors : NULL, err))
        return false;
    if (errors.count > 0) {
        uint32_t kept = 0;
        for (uint32_t i = 0; i < count; i++)
            if (!errors.failed[calc->selected[i]])
                calc->selected[kept++] = calc->selected[i];
        count = kept;
        if (!op_emit_row_errors(op, change, NULL, &errors, err))
            return false;
    }
    *rows = count;
    if (count < change->rows)
        *selection = calc->selected;
    return true;
}

static bool calc_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct calc *calc = (struct calc *)op;
    arena_reset(&calc->scratch);
    const uint32_t *selection = NULL;
    uint32_t rows = change->rows;
    if (calc->condition != NULL && !calc_filter(calc, change, &selection, &rows, err))
        return false;
    if (rows == 0)
        return true;

    struct batch *out = batch_header(&calc->scratch, op->columns_count);
    out->rows = rows;
    struct row_errors errors = {.arena = &calc->scratch};
    if (calc->columns != NULL) {
        for (uint32_t c = 0; c < op->columns_count; c++) {
            const struct column *from = &change->columns[calc->columns[c]];
            if (selection != NULL)
                column_gather(&out->columns[c], from, selection, rows, &calc->scratch);
            else
                out->columns[c] = *from;
        }
    } else if (!expr_run_eval(calc->outputs_run, op->ctx->env, change, selection, rows, out->columns,
                              op->ctx->collect_errors ? &errors : NULL, err)) {
        return false;
    }
    if (change->weights != NULL) {
        if (selection == NULL) {
            out->weights = change->weights;
        } else {
            out->weights = arena_alloc(&calc->scratch, sizeof(int64_t) * rows);
            for (uint32_t i = 0; i < rows; i++)
                out->weights[i] = change->weights[selection[i]];
        }
    }
    op_pick_arrival(&calc->scratch, out, change, selection);
    if (errors.count > 0) {
        if (!op_emit_row_errors(op, change, selection, &errors, err))
            return false;
        uint32_t *good = arena_alloc(&calc->scratch, sizeof(uint32_t) * rows);
        uint32_t count = 0;
        for (uint32_t i = 0; i < rows; i++)
            if (!errors.failed[i])
                good[count++] = i;
        out = op_gather(&calc->scratch, out, good, count);
    }
    return operator_emit(op, out, err);
}

const struct operator_class op_calc_class = {
    .name = "calc",
    .bytes = sizeof(struct calc),
    .open = calc_open,
    .push = calc_push,
    .close = calc_close,
};
