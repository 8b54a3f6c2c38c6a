/* expr_run.c: runs the steps of a program over a batch: registers, scopes, calls.
 *
 * Invariants between steps: a register's rows that are NULL hold zero bytes; a register whose nulls pointer
 * is NULL has no NULLs; rows that failed are NULL, so that nothing wild is read from them. Registers' arrays
 * are kept from batch to batch; text made by functions lies in the scratch arena, which starts anew with each
 * evaluation. */
#include "executor/expr_steps.h"

#include <stdlib.h>

#define CAPACITY_MIN 16u

/* ---- life ---- */

struct expr_run *expr_run_create(const struct expr_program *program, struct account *account)
{
    struct expr_run *run = mem_zalloc(sizeof(*run));
    run->program = program;
    run->account = account;
    arena_init(&run->arena, account);
    arena_init(&run->buffers, account);
    arena_init(&run->scratch, account);
    run->regs = ARENA_ARRAY(&run->arena, struct column, program->regs_count);
    run->data_buffers = ARENA_ARRAY(&run->arena, void *, program->buffers_count);
    run->null_buffers = ARENA_ARRAY(&run->arena, uint8_t *, program->buffers_count);
    run->default_env.io = io_env_default;
    run->scopes = ARENA_ARRAY(&run->arena, struct scope, program->levels_count);
    run->args = ARENA_ARRAY(&run->arena, struct column, program->args_max);
    run->states = ARENA_ARRAY(&run->arena, void *, program->slots_count);
    run->state_releases = arena_zalloc(&run->arena, sizeof(*run->state_releases) * program->slots_count);
    run->subs = ARENA_ARRAY(&run->arena, struct expr_run *, program->slots_count);
    for (uint32_t i = 0; i < program->constants_count; i++)
        run->regs[program->constants[i].reg] = program->constants[i].column;
    return run;
}

void expr_run_destroy(struct expr_run *run)
{
    if (run == NULL)
        return;
    for (uint32_t i = 0; i < run->program->slots_count; i++) {
        expr_run_destroy(run->subs[i]);
        if (run->state_releases[i] != NULL)
            run->state_releases[i](run->states[i]);
    }
    arena_release(&run->arena);
    arena_release(&run->buffers);
    arena_release(&run->scratch);
    strbuf_release(&run->text);
    mem_free(run);
}

static void run_reserve(struct expr_run *run, uint32_t rows)
{
    if (rows <= run->capacity)
        return;
    uint32_t capacity = CAPACITY_MIN;
    while (capacity < rows)
        capacity *= 2;
    run->capacity = capacity;
    arena_release(&run->buffers);
    memset(run->data_buffers, 0, sizeof(*run->data_buffers) * run->program->buffers_count);
    memset(run->null_buffers, 0, sizeof(*run->null_buffers) * run->program->buffers_count);
    memset(run->scopes, 0, sizeof(*run->scopes) * run->program->levels_count);
}

void *run_data(struct expr_run *run, uint32_t reg, enum phys phys)
{
    void **buffer = &run->data_buffers[run->program->reg_buffers[reg]];
    if (*buffer == NULL)
        *buffer = arena_alloc(&run->buffers, (size_t)phys_bytes(phys) * run->capacity);
    return *buffer;
}

uint8_t *run_nulls(struct expr_run *run, uint32_t reg)
{
    uint8_t **buffer = &run->null_buffers[run->program->reg_buffers[reg]];
    if (*buffer == NULL)
        *buffer = arena_alloc(&run->buffers, run->capacity);
    return *buffer;
}

struct column *run_result(struct expr_run *run, const struct step *step)
{
    struct column *column = &run->regs[step->dst];
    *column = (struct column){
        .type = step->type, .phys = step->phys, .data = run_data(run, step->dst, step->phys), .nulls = NULL};
    return column;
}

void run_constant_null(struct expr_run *run, const struct step *step)
{
    struct column *column = run_result(run, step);
    memset(column->data, 0, phys_bytes(column->phys));
    column->nulls = run_nulls(run, step->dst);
    column->nulls[0] = 1;
    column->is_constant = true;
}

uint32_t run_step_rows(const struct expr_run *run, const struct step *step, bool *is_constant)
{
    *is_constant = true;
    for (uint32_t i = 0; i < step->args_count; i++) {
        if (step->args[i] != REG_NONE && !run->regs[step->args[i]].is_constant)
            *is_constant = false;
    }
    return *is_constant ? 1 : run->scopes[step->level].rows;
}

/* ---- moving values ---- */

static void gather_values(enum phys phys, void *to, const void *from, const uint32_t *rows, uint32_t count)
{
    switch (phys_bytes(phys)) {
    case 1:
        for (uint32_t i = 0; i < count; i++)
            ((uint8_t *)to)[i] = ((const uint8_t *)from)[rows[i]];
        break;
    case 2:
        for (uint32_t i = 0; i < count; i++)
            ((uint16_t *)to)[i] = ((const uint16_t *)from)[rows[i]];
        break;
    case 4:
        for (uint32_t i = 0; i < count; i++)
            ((uint32_t *)to)[i] = ((const uint32_t *)from)[rows[i]];
        break;
    case 8:
        for (uint32_t i = 0; i < count; i++)
            ((uint64_t *)to)[i] = ((const uint64_t *)from)[rows[i]];
        break;
    default:
        for (uint32_t i = 0; i < count; i++)
            memcpy((uint8_t *)to + (size_t)i * 16, (const uint8_t *)from + (size_t)rows[i] * 16, 16);
        break;
    }
}

void run_gather(struct expr_run *run, uint32_t dst, const struct column *values, const uint32_t *rows,
                uint32_t count)
{
    struct column *column = &run->regs[dst];
    *column = *values;
    if (rows == NULL || values->is_constant)
        return;
    column->data = run_data(run, dst, values->phys);
    gather_values(values->phys, column->data, values->data, rows, count);
    if (values->nulls != NULL) {
        column->nulls = run_nulls(run, dst);
        gather_values(PHYS_BOOL, column->nulls, values->nulls, rows, count);
    }
}

void column_zero_nulls(struct column *column, uint32_t rows)
{
    const uint8_t *nulls = column->nulls;
    switch (phys_bytes(column->phys)) {
    case 1:
        for (uint32_t i = 0; i < rows; i++)
            ((uint8_t *)column->data)[i] &= (uint8_t)(nulls[i] - 1);
        break;
    case 2:
        for (uint32_t i = 0; i < rows; i++)
            ((uint16_t *)column->data)[i] &= (uint16_t)(nulls[i] - 1);
        break;
    case 4:
        for (uint32_t i = 0; i < rows; i++)
            ((uint32_t *)column->data)[i] &= (uint32_t)nulls[i] - 1;
        break;
    case 8:
        for (uint32_t i = 0; i < rows; i++)
            ((uint64_t *)column->data)[i] &= (uint64_t)nulls[i] - 1;
        break;
    default:
        for (uint32_t i = 0; i < rows; i++) {
            if (nulls[i])
                memset((uint8_t *)column->data + (size_t)i * 16, 0, 16);
        }
        break;
    }
}

/* ---- errors ---- */

static struct row_error *error_item(struct row_errors *errors, uint32_t row)
{
    if (errors->failed == NULL)
        errors->failed = arena_zalloc(errors->arena, errors->rows > 0 ? errors->rows : 1);
    if (errors->failed[row])
        return NULL;
    errors->failed[row] = 1;
    struct row_error item = {.row = row};
    ARENA_PUSH(errors->arena, errors->items, errors->count, errors->cap, item);
    return &errors->items[errors->count - 1];
}

void run_error(struct expr_run *run, const struct step *step, uint32_t row, const struct error *err)
{
    struct row_error *item = error_item(&run->step_errors, row);
    if (item != NULL)
        item->error = arena_copy(&run->scratch, err, sizeof(*err));
}

static void set_failed_rows_null(struct expr_run *run, const struct step *step)
{
    struct column *column = &run->regs[step->dst];
    uint32_t rows = run->scopes[step->level].rows;
    if (column->nulls == NULL) {
        column->nulls = run_nulls(run, step->dst);
        memset(column->nulls, 0, rows);
    }
    for (uint32_t i = 0; i < run->step_errors.count; i++) {
        uint32_t row = run->step_errors.items[i].row;
        column->nulls[row] = 1;
        memset((uint8_t *)column->data + (size_t)row * phys_bytes(column->phys), 0, phys_bytes(column->phys));
    }
}

static void fail_base_row(struct expr_run *run, uint32_t base, const struct error *err)
{
    struct row_error *item = error_item(run->errors, base);
    if (item != NULL)
        item->error = arena_copy(run->errors->arena, err, sizeof(*err));
}

void run_flush(struct expr_run *run, const struct step *step, bool is_constant)
{
    if (LIKELY(run->step_errors.count == 0))
        return;
    const struct scope *scope = &run->scopes[step->level];
    if (is_constant) {
        for (uint32_t i = 0; i < scope->rows; i++)
            fail_base_row(run, scope->base != NULL ? scope->base[i] : i, run->step_errors.items[0].error);
        run_constant_null(run, step);
    } else {
        set_failed_rows_null(run, step);
        for (uint32_t i = 0; i < run->step_errors.count; i++) {
            const struct row_error *item = &run->step_errors.items[i];
            fail_base_row(run, scope->base != NULL ? scope->base[item->row] : item->row, item->error);
        }
    }
    run->step_errors.failed = NULL;
    run->step_errors.count = 0;
}

/* ---- calls ---- */

/* OR of the arguments' nulls into nulls; false when there is none. */
static bool merge_nulls(const struct column *args, uint32_t args_count, uint32_t rows, uint8_t *nulls)
{
    bool started = false;
    for (uint32_t i = 0; i < args_count; i++) {
        const uint8_t *from = args[i].nulls;
        if (from == NULL || args[i].is_constant) /* a NULL constant never gets here */
            continue;
        if (started) {
            for (uint32_t row = 0; row < rows; row++)
                nulls[row] |= from[row];
        } else {
            memcpy(nulls, from, rows);
            started = true;
        }
    }
    return started && memchr(nulls, 1, rows) != NULL;
}

void run_kernel(struct expr_run *run, const struct function_row *function, struct sql_type type,
                uint32_t slot, const struct column *args, uint32_t args_count, uint32_t rows,
                struct column *result, uint8_t *nulls)
{
    bool strict = (function->flags & FN_NULLS) == 0;
    result->nulls = NULL;
    if (strict) {
        for (uint32_t i = 0; i < args_count; i++) {
            if (args[i].is_constant && args[i].nulls != NULL && args[i].nulls[0]) {
                memset(nulls, 1, rows);
                memset(result->data, 0, (size_t)phys_bytes(result->phys) * rows);
                result->nulls = nulls;
                return;
            }
        }
        if (rows > 0 && merge_nulls(args, args_count, rows, nulls))
            result->nulls = nulls;
    }
    run->step_errors.rows = rows;
    struct fn_call call = {
        .rows = rows,
        .args_count = args_count,
        .result_type = type,
        .arena = &run->scratch,
        .env = run->env,
        .function = function,
        .result = result,
        .errors = &run->step_errors,
        .state = &run->states[slot],
        .state_arena = &run->arena,
        .state_release = &run->state_releases[slot],
    };
    function->kernel(&call, args, result);
    if (result->nulls != NULL)
        column_zero_nulls(result, rows);
}

static void step_call(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    if ((step->function->flags & FN_VOLATILE) != 0) {
        is_constant = false;
        rows = run->scopes[step->level].rows;
    }
    bool strict = (step->function->flags & FN_NULLS) == 0;
    for (uint32_t i = 0; i < step->args_count; i++) {
        run->args[i] = run->regs[step->args[i]];
        if (strict && run->args[i].is_constant && column_is_null(&run->args[i], 0)) {
            run_constant_null(run, step);
            return;
        }
    }
    struct column *result = run_result(run, step);
    run_kernel(run, step->function, step->type, step->slot, run->args, step->args_count, rows, result,
               run_nulls(run, step->dst));
    result->is_constant = is_constant;
    run_flush(run, step, is_constant);
}

/* ---- scopes ---- */

static uint32_t select_rows(const struct column *condition, enum select_mode mode, uint32_t rows,
                            uint32_t *out)
{
    const uint8_t *nulls = condition->nulls, *values = condition->data;
    uint32_t count = 0;
    if (condition->is_constant) {
        bool is_null = nulls != NULL && nulls[0], value = mode != SELECT_NULL && !is_null && values[0];
        bool all = mode == SELECT_TRUE       ? value
                   : mode == SELECT_NOT_TRUE ? !value
                   : mode == SELECT_NULL     ? is_null
                                             : is_null || value;
        for (uint32_t i = 0; all && i < rows; i++)
            out[i] = i;
        return all ? rows : 0;
    }
    switch (mode) {
    case SELECT_TRUE: /* NULL rows hold zero */
        for (uint32_t i = 0; i < rows; i++) {
            out[count] = i;
            count += values[i];
        }
        break;
    case SELECT_NOT_TRUE:
        for (uint32_t i = 0; i < rows; i++) {
            out[count] = i;
            count += !values[i];
        }
        break;
    case SELECT_NOT_FALSE:
        for (uint32_t i = 0; i < rows; i++) {
            out[count] = i;
            count += values[i] | (nulls != NULL && nulls[i]);
        }
        break;
    case SELECT_NULL:
        for (uint32_t i = 0; nulls != NULL && i < rows; i++) {
            out[count] = i;
            count += nulls[i];
        }
        break;
    }
    return count;
}

static uint32_t *scope_buffer(struct expr_run *run, uint32_t **buffer)
{
    if (*buffer == NULL)
        *buffer = arena_alloc(&run->buffers,
                              sizeof(**buffer) * (run->capacity + 1)); /* the loops write one behind */
    return *buffer;
}

/* false: no row, jump. */
static bool step_enter(struct expr_run *run, const struct step *step)
{
    const struct scope *parent = &run->scopes[step->level - 1];
    struct scope *scope = &run->scopes[step->level];
    uint32_t *rows = scope_buffer(run, &scope->parent_buffer);
    scope->rows = select_rows(&run->regs[step->args[0]], step->mode, parent->rows, rows);
    if (scope->rows == 0)
        return false;
    if (scope->rows == parent->rows) {
        scope->parent = NULL;
        scope->base = parent->base;
        scope->input = parent->input;
        return true;
    }
    scope->parent = rows;
    scope->base = rows;
    if (parent->base != NULL) {
        uint32_t *base = scope_buffer(run, &scope->base_buffer);
        gather_values(PHYS_I32, base, parent->base, rows, scope->rows);
        scope->base = base;
    }
    scope->input = scope->base;
    if (parent->input != parent->base) {
        uint32_t *input = scope_buffer(run, &scope->input_buffer);
        gather_values(PHYS_I32, input, parent->input, rows, scope->rows);
        scope->input = input;
    }
    return true;
}

/* to[rows[i]] = from[i] */
static void scatter_values(size_t bytes, void *to, const void *from, const uint32_t *rows, uint32_t count)
{
    switch (bytes) {
    case 1:
        for (uint32_t i = 0; i < count; i++)
            ((uint8_t *)to)[rows[i]] = ((const uint8_t *)from)[i];
        break;
    case 2:
        for (uint32_t i = 0; i < count; i++)
            ((uint16_t *)to)[rows[i]] = ((const uint16_t *)from)[i];
        break;
    case 4:
        for (uint32_t i = 0; i < count; i++)
            ((uint32_t *)to)[rows[i]] = ((const uint32_t *)from)[i];
        break;
    case 8:
        for (uint32_t i = 0; i < count; i++)
            ((uint64_t *)to)[rows[i]] = ((const uint64_t *)from)[i];
        break;
    default:
        for (uint32_t i = 0; i < count; i++)
            memcpy((uint8_t *)to + (size_t)rows[i] * 16, (const uint8_t *)from + (size_t)i * 16, 16);
        break;
    }
}

/* to[rows[i]] = *from */
static void scatter_constant(size_t bytes, void *to, const void *from, const uint32_t *rows, uint32_t count)
{
    switch (bytes) {
    case 1:
        for (uint32_t i = 0; i < count; i++)
            ((uint8_t *)to)[rows[i]] = *(const uint8_t *)from;
        break;
    case 4: {
        const uint32_t value = *(const uint32_t *)from;
        for (uint32_t i = 0; i < count; i++)
            ((uint32_t *)to)[rows[i]] = value;
        break;
    }
    case 8: {
        const uint64_t value = *(const uint64_t *)from;
        for (uint32_t i = 0; i < count; i++)
            ((uint64_t *)to)[rows[i]] = value;
        break;
    }
    default:
        for (uint32_t i = 0; i < count; i++)
            memcpy((uint8_t *)to + rows[i] * bytes, from, bytes);
        break;
    }
}

/* Into all rows of the scope: to[i] = from[i], or *from. */
static void spread_values(size_t bytes, void *to, const void *from, bool is_constant, uint32_t count)
{
    if (!is_constant) {
        memcpy(to, from, bytes * count);
        return;
    }
    for (uint32_t i = 0; i < count; i++)
        memcpy((uint8_t *)to + i * bytes, from, bytes);
}

static void merge_values(const struct scope *scope, size_t bytes, void *to, const void *from,
                         bool is_constant)
{
    if (scope->base == NULL)
        spread_values(bytes, to, from, is_constant, scope->rows);
    else if (is_constant)
        scatter_constant(bytes, to, from, scope->base, scope->rows);
    else
        scatter_values(bytes, to, from, scope->base, scope->rows);
}

static void step_merge(struct expr_run *run, const struct step *step)
{
    static const uint8_t not_null = 0;
    const struct scope *scope = &run->scopes[step->level];
    const struct column *from = &run->regs[step->args[0]];
    struct column *to = &run->regs[step->dst];
    merge_values(scope, phys_bytes(to->phys), to->data, from->data, from->is_constant);
    if (from->nulls != NULL) {
        if (to->nulls == NULL) {
            to->nulls = run_nulls(run, step->dst);
            memset(to->nulls, 0, run->scopes[0].rows);
        }
        merge_values(scope, 1, to->nulls, from->nulls, from->is_constant);
    } else if (to->nulls != NULL) {
        merge_values(scope, 1, to->nulls, &not_null, true);
    }
}

/* ---- the loop ---- */

static void step_relabel(struct expr_run *run, const struct step *step)
{
    run->regs[step->dst] = run->regs[step->args[0]];
    run->regs[step->dst].type = step->type;
    CHECK(run->regs[step->dst].phys == step->phys);
}

static void run_steps(struct expr_run *run)
{
    const struct expr_program *program = run->program;
    for (uint32_t i = 0; i < program->steps_count; i++) {
        const struct step *step = &program->steps[i];
        const struct scope *scope = &run->scopes[step->level];
        switch (step->kind) {
        case STEP_COLUMN:
            CHECK(step->index < run->input->columns_count);
            run_gather(run, step->dst, &run->input->columns[step->index], scope->input, scope->rows);
            run->regs[step->dst].type = step->type;
            CHECK(run->regs[step->dst].phys == step->phys);
            break;
        case STEP_NARROW:
            run_gather(run, step->dst, &run->regs[step->args[0]], scope->parent, scope->rows);
            break;
        case STEP_ENTER:
            if (!step_enter(run, step))
                i = step->jump - 1;
            break;
        case STEP_LEAVE:
            break;
        case STEP_MERGE_BEGIN:
            run_result(run, step);
            break;
        case STEP_MERGE:
            step_merge(run, step);
            break;
        case STEP_MERGE_END:
            run_gather(run, step->dst, &run->regs[step->args[0]], scope->base, scope->rows);
            break;
        case STEP_CALL:
            step_call(run, step);
            break;
        case STEP_AND:
        case STEP_OR:
            step_and_or(run, step);
            break;
        case STEP_NOT:
            step_not(run, step);
            break;
        case STEP_IS_NULL:
            step_is_null(run, step);
            break;
        case STEP_BOOLEAN_TEST:
            step_boolean_test(run, step);
            break;
        case STEP_COALESCE:
            step_coalesce(run, step);
            break;
        case STEP_DISTINCT:
            step_distinct(run, step);
            break;
        case STEP_NULLIF:
            step_nullif(run, step);
            break;
        case STEP_GREATEST:
        case STEP_LEAST:
            step_min_max(run, step);
            break;
        case STEP_ANY:
            step_any(run, step);
            break;
        case STEP_IN:
            step_in(run, step);
            break;
        case STEP_ARRAY:
            step_array(run, step);
            break;
        case STEP_SUBSCRIPT:
            step_subscript(run, step);
            break;
        case STEP_ROW:
            step_row(run, step);
            break;
        case STEP_RELABEL:
            step_relabel(run, step);
            break;
        case STEP_CAST_INPUT:
            step_cast_input(run, step);
            break;
        case STEP_CAST_OUTPUT:
            step_cast_output(run, step);
            break;
        case STEP_CAST_ARRAY:
            step_cast_array(run, step);
            break;
        case STEP_TYPMOD:
            step_typmod(run, step);
            break;
        }
    }
}

/* ---- evaluation ---- */

static bool set_params(struct expr_run *run, struct error *err)
{
    const struct expr_program *program = run->program;
    for (uint32_t i = 0; i < program->params_count; i++) {
        const struct program_param *param = &program->params[i];
        if (param->index >= run->env->params_count)
            return error_set(err, ERRCODE_UNDEFINED_PARAMETER, "there is no parameter $%u", param->index + 1);
        column_init_constant(&run->regs[param->reg], param->type, &run->env->params[param->index],
                             &run->scratch);
    }
    return true;
}

static bool first_error(const struct row_errors *errors, struct error *err)
{
    const struct row_error *first = NULL;
    for (uint32_t i = 0; i < errors->count; i++) {
        if (first == NULL || errors->items[i].row < first->row)
            first = &errors->items[i];
    }
    if (first == NULL)
        return true;
    if (err != NULL)
        *err = *first->error;
    return false;
}

static void errors_reset(struct row_errors *errors, struct arena *arena, uint32_t rows)
{
    *errors = (struct row_errors){.arena = arena, .rows = rows};
}

/* Runs the steps; the registers of the results are ready after it. */
static bool evaluate(struct expr_run *run, const struct eval_env *env, const struct batch *input,
                     const uint32_t *selection, uint32_t rows, struct row_errors *errors, struct error *err)
{
    CHECK(rows <= BATCH_ROWS_MAX);
    if (env != NULL && env->cancel != NULL && atomic_load_explicit(env->cancel, memory_order_relaxed))
        return error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    run_reserve(run, rows);
    arena_reset(&run->scratch);
    run->env = env != NULL ? env : &run->default_env;
    run->input = input;
    struct row_errors own;
    errors_reset(&own, &run->scratch, rows);
    if (errors != NULL)
        errors_reset(errors, errors->arena, rows);
    run->errors = errors != NULL ? errors : &own;
    errors_reset(&run->step_errors, &run->scratch, rows);
    run->scopes[0].rows = rows;
    run->scopes[0].input = selection;
    run->scopes[0].base = NULL;
    if (!set_params(run, err))
        return false;
    if (rows > 0)
        run_steps(run);
    return errors != NULL || first_error(&own, err);
}

bool expr_run_eval(struct expr_run *run, const struct eval_env *env, const struct batch *input,
                   const uint32_t *selection, uint32_t rows, struct column *results,
                   struct row_errors *errors, struct error *err)
{
    if (!evaluate(run, env, input, selection, rows, errors, err))
        return false;
    for (uint32_t i = 0; i < run->program->results_count; i++) {
        if (rows == 0) {
            column_init(&results[i], run->program->result_types[i], 0, &run->scratch);
            continue;
        }
        results[i] = run->regs[run->program->results[i]];
        if (results[i].is_constant)
            column_expand(&results[i], rows, &run->scratch);
        results[i].is_constant = false;
    }
    return true;
}

bool expr_run_filter(struct expr_run *run, const struct eval_env *env, const struct batch *input,
                     const uint32_t *selection, uint32_t rows, uint32_t *selected, uint32_t *selected_count,
                     struct row_errors *errors, struct error *err)
{
    *selected_count = 0;
    if (!evaluate(run, env, input, selection, rows, errors, err))
        return false;
    if (rows == 0)
        return true;
    struct scope *scope = &run->scopes[0];
    uint32_t *positions = scope_buffer(run, &scope->parent_buffer);
    uint32_t count = select_rows(&run->regs[run->program->results[0]], SELECT_TRUE, rows, positions);
    const uint8_t *failed = run->errors == errors && errors != NULL ? errors->failed : NULL;
    uint32_t kept = 0;
    for (uint32_t i = 0; i < count; i++) {
        if (failed == NULL || !failed[positions[i]])
            selected[kept++] = selection != NULL ? selection[positions[i]] : positions[i];
    }
    *selected_count = kept;
    return true;
}
