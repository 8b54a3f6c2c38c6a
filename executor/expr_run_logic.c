/* expr_run_logic.c: three-valued logic over whole columns: AND, OR, NOT, tests for NULL and truth, COALESCE,
 * NULLIF, IS DISTINCT.
 *
 * Booleans are bytes 0 and 1, and 0 where the row is NULL: most answers are one operation on bytes. */
#include "executor/expr_steps.h"

static inline uint8_t null_at(const struct column *column, uint32_t row)
{
    return column->nulls != NULL ? column->nulls[COLUMN_AT(column, row)] : 0;
}

void step_and_or(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    const struct column *a = &run->regs[step->args[0]], *b = &run->regs[step->args[1]];
    struct column *result = run_result(run, step);
    result->is_constant = is_constant;
    uint8_t *out = result->data;
    const uint8_t *x = a->data, *y = b->data;
    bool is_and = step->kind == STEP_AND;
    if (!is_constant && !a->is_constant && !b->is_constant) {
        if (is_and) {
            for (uint32_t i = 0; i < rows; i++)
                out[i] = x[i] & y[i];
        } else {
            for (uint32_t i = 0; i < rows; i++)
                out[i] = x[i] | y[i];
        }
    } else {
        for (uint32_t i = 0; i < rows; i++) {
            uint8_t left = x[COLUMN_AT(a, i)], right = y[COLUMN_AT(b, i)];
            out[i] = is_and ? left & right : left | right;
        }
    }
    if (a->nulls == NULL && b->nulls == NULL)
        return;
    uint8_t *nulls = result->nulls = run_nulls(run, step->dst);
    for (uint32_t i = 0; i < rows; i++) {
        uint8_t left_null = null_at(a, i), right_null = null_at(b, i);
        uint8_t left = x[COLUMN_AT(a, i)], right = y[COLUMN_AT(b, i)];
        if (is_and) /* NULL unless one side is false */
            nulls[i] = (left_null & (right_null | right)) | (right_null & left);
        else
            nulls[i] = (left_null | right_null) & (uint8_t)!out[i];
    }
}

void step_not(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    const struct column *from = &run->regs[step->args[0]];
    struct column *result = run_result(run, step);
    result->is_constant = is_constant;
    result->nulls = from->nulls;
    const uint8_t *x = from->data, *nulls = from->nulls;
    uint8_t *out = result->data;
    if (nulls == NULL) {
        for (uint32_t i = 0; i < rows; i++)
            out[i] = x[i] ^ 1;
    } else {
        for (uint32_t i = 0; i < rows; i++)
            out[i] = (x[i] | nulls[i]) ^ 1;
    }
}

void step_is_null(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    const struct column *from = &run->regs[step->args[0]];
    struct column *result = run_result(run, step);
    uint8_t *out = result->data;
    result->is_constant = is_constant;
    if (from->nulls == NULL) {
        memset(out, step->flag, rows);
        return;
    }
    for (uint32_t i = 0; i < rows; i++)
        out[i] = from->nulls[i] ^ (uint8_t)step->flag;
}

void step_boolean_test(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    const struct column *from = &run->regs[step->args[0]];
    struct column *result = run_result(run, step);
    const uint8_t *x = from->data;
    uint8_t *out = result->data;
    result->is_constant = is_constant;
    for (uint32_t i = 0; i < rows; i++) {
        uint8_t is_null = from->nulls != NULL ? from->nulls[i] : 0;
        switch ((enum boolean_test)step->index) {
        case TEST_TRUE:
            out[i] = x[i];
            break;
        case TEST_NOT_TRUE:
            out[i] = !x[i];
            break;
        case TEST_FALSE:
            out[i] = !x[i] & !is_null;
            break;
        case TEST_NOT_FALSE:
            out[i] = x[i] | is_null;
            break;
        case TEST_UNKNOWN:
            out[i] = is_null;
            break;
        case TEST_NOT_UNKNOWN:
            out[i] = !is_null;
            break;
        }
    }
}

void step_coalesce(struct expr_run *run, const struct step *step)
{
    const struct column *a = &run->regs[step->args[0]], *b = &run->regs[step->args[1]];
    if (a->nulls == NULL || (a->is_constant && !a->nulls[0])) {
        run->regs[step->dst] = *a;
        return;
    }
    if (a->is_constant) {
        run->regs[step->dst] = *b;
        return;
    }
    uint32_t rows = run->scopes[step->level].rows;
    struct column *result = run_result(run, step);
    size_t bytes = phys_bytes(step->phys);
    memcpy(result->data, a->data, bytes * rows);
    if (b->nulls != NULL)
        result->nulls = run_nulls(run, step->dst);
    uint8_t *out = result->data;
    const uint8_t *other = b->data;
    for (uint32_t i = 0; i < rows; i++) {
        if (a->nulls[i])
            memcpy(out + i * bytes, other + COLUMN_AT(b, i) * bytes, bytes);
        if (b->nulls != NULL)
            result->nulls[i] = a->nulls[i] & b->nulls[COLUMN_AT(b, i)];
    }
}

void step_distinct(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    const struct column *a = &run->regs[step->args[0]], *b = &run->regs[step->args[1]];
    const struct column *equal = &run->regs[step->args[2]];
    const uint8_t *equals = equal->data;
    struct column *result = run_result(run, step);
    uint8_t *out = result->data, flip = step->flag;
    result->is_constant = is_constant;
    for (uint32_t i = 0; i < rows; i++) {
        uint8_t left = null_at(a, i), right = null_at(b, i), same = equals[COLUMN_AT(equal, i)];
        out[i] = ((left ^ right) | ((left | right | same) ^ 1)) ^ flip;
    }
}

void step_nullif(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    const struct column *a = &run->regs[step->args[0]], *equal = &run->regs[step->args[1]];
    const uint8_t *equals = equal->data;
    struct column *result = run_result(run, step);
    size_t bytes = phys_bytes(step->phys);
    if (a->is_constant) {
        for (uint32_t i = 0; i < rows; i++)
            memcpy((uint8_t *)result->data + i * bytes, a->data, bytes);
    } else {
        memcpy(result->data, a->data, bytes * rows);
    }
    result->is_constant = is_constant;
    result->nulls = run_nulls(run, step->dst);
    for (uint32_t i = 0; i < rows; i++)
        result->nulls[i] = null_at(a, i) | equals[COLUMN_AT(equal, i)];
    column_zero_nulls(result, rows);
}
