/* expr_run_array.c: array constructors, subscripts and slices (PostgreSQL manual 8.15, 4.2.12). */
#include "executor/expr_steps.h"

#include "storage/data/array.h"

/* ---- ARRAY[...] ---- */

/* ARRAY[a, b] of arrays: one more dimension in front. false with err filled when they do not fit together. */
static bool nest_arrays(struct expr_run *run, const struct step *step, uint32_t row, struct varlen *out,
                        struct error *err)
{
    struct datum *elements = NULL;
    uint32_t count = 0, cap = 0, full = 0;
    int32_t lengths[ARRAY_DIMS_MAX], lower[ARRAY_DIMS_MAX], ndim = 0;
    for (uint32_t arg = 0; arg < step->args_count; arg++) {
        struct datum value = column_get(&run->regs[step->args[arg]], row);
        struct array_view view = {0};
        if (!value.is_null)
            array_open(&value.var, &view);
        bool fits = true;
        if (view.ndim == 0) {
            fits = full == 0;
        } else if (full++ == 0) {
            fits = arg == 0;
            ndim = view.ndim;
            if (ndim >= ARRAY_DIMS_MAX)
                return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                                 "number of array dimensions (%d) exceeds the maximum allowed (%d)", ndim + 1,
                                 ARRAY_DIMS_MAX);
            memcpy(lengths + 1, view.lengths, sizeof(*lengths) * (size_t)ndim);
            memcpy(lower + 1, view.lower_bounds, sizeof(*lower) * (size_t)ndim);
        } else {
            fits = view.ndim == ndim &&
                   memcmp(lengths + 1, view.lengths, sizeof(*lengths) * (size_t)ndim) == 0 &&
                   memcmp(lower + 1, view.lower_bounds, sizeof(*lower) * (size_t)ndim) == 0;
        }
        if (!fits)
            return error_set(err, ERRCODE_ARRAY_SUBSCRIPT_ERROR,
                             "multidimensional arrays must have array expressions with matching dimensions");
        const uint8_t *cursor = view.elements;
        struct datum element;
        while (view.ndim > 0 && array_next(&view, &cursor, &element))
            ARENA_PUSH(&run->scratch, elements, count, cap, element);
    }
    if (full == 0) {
        *out = array_make(&run->scratch, step->index, NULL, 0);
        return true;
    }
    lengths[0] = (int32_t)step->args_count;
    lower[0] = 1;
    *out = array_make_dims(&run->scratch, step->index, elements, ndim + 1, lengths, lower);
    return true;
}

void step_array(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    struct column *result = run_result(run, step);
    struct varlen *out = result->data;
    result->is_constant = is_constant;
    run->step_errors.rows = rows;
    struct datum *values = arena_alloc(&run->scratch, sizeof(*values) * step->args_count);
    for (uint32_t i = 0; i < rows; i++) {
        if (step->flag) {
            struct error err;
            out[i] = (struct varlen){0};
            if (!nest_arrays(run, step, i, &out[i], &err))
                run_error(run, step, i, &err);
            continue;
        }
        for (uint32_t arg = 0; arg < step->args_count; arg++)
            values[arg] = column_get(&run->regs[step->args[arg]], i);
        out[i] = array_make(&run->scratch, step->index, values, step->args_count);
    }
    run_flush(run, step, is_constant);
}

/* ---- subscripts ---- */

/* Values of the subscripts of one row; false when one is NULL. Omitted bounds get `omitted`. */
static bool subscripts_at(struct expr_run *run, const struct step *step, uint32_t row, int64_t *values,
                          bool *given)
{
    for (uint32_t arg = 1; arg < step->args_count; arg++) {
        given[arg - 1] = step->args[arg] != REG_NONE;
        if (!given[arg - 1])
            continue;
        struct datum value = column_get(&run->regs[step->args[arg]], row);
        if (value.is_null)
            return false;
        values[arg - 1] = value.i32;
    }
    return true;
}

static struct datum element_at(const struct array_view *view, const int64_t *subscripts, uint32_t count)
{
    if (view->ndim == 0 || (uint32_t)view->ndim != count)
        return datum_null();
    uint32_t index = 0;
    for (uint32_t dim = 0; dim < count; dim++) {
        int64_t offset = subscripts[dim] - view->lower_bounds[dim];
        if (offset < 0 || offset >= view->lengths[dim])
            return datum_null();
        index = index * (uint32_t)view->lengths[dim] + (uint32_t)offset;
    }
    return array_get(view, index);
}

/* The slice [from, to] of every dimension, with lower bounds 1. */
static struct varlen slice_of(struct arena *arena, const struct array_view *view, const int64_t *bounds,
                              const bool *given, uint32_t pairs)
{
    int32_t lengths[ARRAY_DIMS_MAX], first[ARRAY_DIMS_MAX], lower[ARRAY_DIMS_MAX];
    uint32_t total = 1;
    if (view->ndim == 0 || pairs > (uint32_t)view->ndim)
        return array_make(arena, view->element_oid, NULL, 0);
    for (int32_t dim = 0; dim < view->ndim; dim++) {
        int64_t from = view->lower_bounds[dim], to = from + view->lengths[dim] - 1;
        if ((uint32_t)dim < pairs) {
            if (given[dim * 2] && bounds[dim * 2] > from)
                from = bounds[dim * 2];
            if (given[dim * 2 + 1] && bounds[dim * 2 + 1] < to)
                to = bounds[dim * 2 + 1];
        }
        if (from > to)
            return array_make(arena, view->element_oid, NULL, 0);
        first[dim] = (int32_t)(from - view->lower_bounds[dim]);
        lengths[dim] = (int32_t)(to - from + 1);
        lower[dim] = 1;
        total *= (uint32_t)lengths[dim];
    }
    struct datum *all = array_elements(view, arena);
    struct datum *kept = arena_alloc(arena, sizeof(*kept) * total);
    for (uint32_t i = 0; i < total; i++) {
        uint32_t rest = i, index = 0, factor = 1;
        for (int32_t dim = view->ndim - 1; dim >= 0; dim--) {
            index += (rest % (uint32_t)lengths[dim] + (uint32_t)first[dim]) * factor;
            rest /= (uint32_t)lengths[dim];
            factor *= (uint32_t)view->lengths[dim];
        }
        kept[i] = all[index];
    }
    return array_make_dims(arena, view->element_oid, kept, view->ndim, lengths, lower);
}

void step_subscript(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    const struct column arrays = run->regs[step->args[0]];
    struct column *result = run_result(run, step);
    size_t bytes = phys_bytes(step->phys);
    uint32_t count = step->args_count - 1;
    int64_t *values = arena_alloc(&run->scratch, sizeof(*values) * count);
    bool *given = arena_alloc(&run->scratch, sizeof(*given) * count);
    uint8_t *nulls = result->nulls = run_nulls(run, step->dst);
    result->is_constant = is_constant;
    for (uint32_t i = 0; i < rows; i++) {
        struct datum value = datum_null();
        if (!column_is_null(&arrays, i) && subscripts_at(run, step, i, values, given)) {
            struct array_view view;
            array_open(&COLUMN_VAR(&arrays)[COLUMN_AT(&arrays, i)], &view);
            if (step->flag)
                value = (struct datum){.var = slice_of(&run->scratch, &view, values, given, count / 2)};
            else
                value = element_at(&view, values, count);
        }
        nulls[i] = value.is_null;
        if (value.is_null)
            memset(value.fix16, 0, sizeof(value.fix16));
        memcpy((uint8_t *)result->data + i * bytes, value.fix16, bytes);
    }
}
