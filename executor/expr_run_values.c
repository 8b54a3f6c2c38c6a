/* expr_run_values.c: the steps that go value by value: casts through text, ANY and ALL, IN lists, GREATEST
 * and LEAST, rows. */
#include "executor/expr_steps.h"

#include "storage/data/array.h"
#include "storage/data/record.h"

#include <stdio.h>

#define HASHED_ARRAY_MIN 9u /* PostgreSQL hashes from the same number on */

/* ---- casts ---- */

void step_cast_input(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    const struct column *from = &run->regs[step->args[0]];
    struct column *result = run_result(run, step);
    result->nulls = from->nulls;
    result->is_constant = is_constant;
    run->step_errors.rows = rows;
    int32_t typmod = step->type.oid == OID_INTERVAL ? step->type.typmod : -1;
    const struct io_env *io = &run->env->io;
    for (uint32_t i = 0; i < rows; i++) {
        struct datum value = datum_null();
        const struct varlen *text = &COLUMN_VAR(from)[i];
        struct error err;
        if (!column_is_null(from, i) && !type_input(step->type.oid, typmod, (const char *)varlen_bytes(text),
                                                    text->len, io, &run->scratch, &value, &err))
            run_error(run, step, i, &err);
        memcpy((uint8_t *)result->data + (size_t)i * phys_bytes(step->phys), value.fix16,
               phys_bytes(step->phys));
        if (value.is_null)
            memset((uint8_t *)result->data + (size_t)i * phys_bytes(step->phys), 0, phys_bytes(step->phys));
    }
    if (run->step_errors.count > 0 &&
        result->nulls != NULL) /* failed rows become NULL: not in the argument's array */
        result->nulls = memcpy(run_nulls(run, step->dst), from->nulls, rows);
    run_flush(run, step, is_constant);
}

static uint32_t format_i64(int64_t value, char *out)
{
    char digits[24];
    uint32_t len = 0, at = 0;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do {
        digits[len++] = (char)('0' + rest % 10);
        rest /= 10;
    } while (rest > 0);
    if (value < 0)
        out[at++] = '-';
    while (len > 0)
        out[at++] = digits[--len];
    return at;
}

static bool integer_at(const struct column *column, uint32_t oid, uint32_t row, int64_t *value)
{
    switch (oid) {
    case OID_INT2:
        *value = COLUMN_I16(column)[row];
        return true;
    case OID_INT4:
        *value = COLUMN_I32(column)[row];
        return true;
    case OID_INT8:
    case OID_OID:
        *value = COLUMN_I64(column)[row];
        return true;
    default:
        return false;
    }
}

void step_cast_output(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    const struct column *from = &run->regs[step->args[0]];
    struct column *result = run_result(run, step);
    struct varlen *out = result->data;
    result->nulls = from->nulls;
    result->is_constant = is_constant;
    const struct io_env *io = &run->env->io;
    for (uint32_t i = 0; i < rows; i++) {
        out[i] = (struct varlen){0};
        if (column_is_null(from, i))
            continue;
        int64_t integer;
        if (integer_at(from, step->index, i, &integer)) {
            char digits[24];
            uint32_t len = format_i64(integer, digits);
            out[i] = varlen_copy(&run->scratch, digits, len);
            continue;
        }
        strbuf_reset(&run->text);
        struct datum value = column_get(from, i);
        type_output(step->index, &value, io, &run->text);
        size_t len = run->text.len;
        if (step->type.oid == OID_NAME && len > NAME_BYTES_MAX)
            len = NAME_BYTES_MAX;
        out[i] = varlen_copy(&run->scratch, strbuf_text(&run->text), (uint32_t)len);
    }
}

static bool typmod_array(struct expr_run *run, const struct step *step, uint32_t element, struct datum *value,
                         struct error *err)
{
    struct array_view view;
    array_open(&value->var, &view);
    struct datum *elements = array_elements(&view, &run->scratch);
    for (uint32_t i = 0; i < view.count; i++) {
        if (!elements[i].is_null && !type_apply_typmod(element, step->type.typmod, step->flag, &elements[i],
                                                       &run->scratch, &elements[i], err))
            return false;
    }
    value->var = array_make_dims(&run->scratch, view.element_oid, elements, view.ndim, view.lengths,
                                 view.lower_bounds);
    return true;
}

void step_typmod(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    const struct column *from = &run->regs[step->args[0]];
    struct column *result = run_result(run, step);
    uint32_t element = type_find(step->type.oid)->element_oid;
    result->is_constant = is_constant;
    run->step_errors.rows = rows;
    if (from->nulls != NULL)
        result->nulls = memcpy(run_nulls(run, step->dst), from->nulls, rows);
    for (uint32_t i = 0; i < rows; i++) {
        struct datum value = column_get(from, i);
        struct error err;
        bool ok =
            value.is_null || (element != 0 ? typmod_array(run, step, element, &value, &err)
                                           : type_apply_typmod(step->type.oid, step->type.typmod, step->flag,
                                                               &value, &run->scratch, &value, &err));
        if (!ok) {
            run_error(run, step, i, &err);
            value = datum_null();
        }
        if (value.is_null)
            memset(value.fix16, 0, sizeof(value.fix16));
        memcpy((uint8_t *)result->data + (size_t)i * phys_bytes(step->phys), value.fix16,
               phys_bytes(step->phys));
    }
    run_flush(run, step, is_constant);
}

/* Casts the elements of one array in place, a batch at a time. */
static bool cast_elements(struct expr_run *run, struct expr_run *sub, uint32_t element_oid,
                          struct datum *elements, uint32_t count, struct error *err)
{
    for (uint32_t first = 0; first < count; first += BATCH_ROWS_MAX) {
        uint32_t rows = count - first < BATCH_ROWS_MAX ? count - first : BATCH_ROWS_MAX;
        struct column column, result;
        column_init(&column, (struct sql_type){.oid = element_oid, .typmod = -1}, rows, &run->scratch);
        for (uint32_t i = 0; i < rows; i++)
            column_set(&column, i, &elements[first + i], rows, &run->scratch);
        struct batch batch = {.rows = rows, .columns_count = 1, .columns = &column};
        if (!expr_run_eval(sub, run->env, &batch, NULL, rows, &result, NULL, err))
            return false;
        for (uint32_t i = 0; i < rows; i++) {
            struct datum value = column_get(&result, i);
            elements[first + i] = datum_copy(&run->scratch, result.phys, &value);
        }
    }
    return true;
}

void step_cast_array(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    const struct column *from = &run->regs[step->args[0]];
    struct column *result = run_result(run, step);
    struct varlen *out = result->data;
    uint32_t target = type_find(step->type.oid)->element_oid;
    if (run->subs[step->slot] == NULL)
        run->subs[step->slot] = expr_run_create(step->sub, run->account);
    result->is_constant = is_constant;
    run->step_errors.rows = rows;
    if (from->nulls != NULL)
        result->nulls = memcpy(run_nulls(run, step->dst), from->nulls, rows);
    for (uint32_t i = 0; i < rows; i++) {
        out[i] = (struct varlen){0};
        if (column_is_null(from, i))
            continue;
        struct array_view view;
        array_open(&COLUMN_VAR(from)[i], &view);
        struct datum *elements = array_elements(&view, &run->scratch);
        struct error err;
        if (cast_elements(run, run->subs[step->slot], view.element_oid, elements, view.count, &err))
            out[i] =
                array_make_dims(&run->scratch, target, elements, view.ndim, view.lengths, view.lower_bounds);
        else
            run_error(run, step, i, &err);
    }
    run_flush(run, step, is_constant);
}

/* ---- IN, ANY, ALL ---- */

void step_in(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    struct column *result = run_result(run, step);
    uint8_t *found = result->data, *nulls = run_nulls(run, step->dst);
    result->is_constant = is_constant;
    if (value_set_contains(step->set, &run->regs[step->args[0]], rows, found, nulls))
        result->nulls = nulls;
    if (step->flag) {
        for (uint32_t i = 0; i < rows; i++)
            found[i] = (found[i] ^ 1) & (uint8_t)!nulls[i];
    }
}

/* What the comparisons of one row with its elements have said so far. */
struct any_state {
    uint8_t *decided; /* ANY: one was true; ALL: one was false */
    uint8_t *unknown; /* one was NULL */
    bool is_all;
};

static void any_add(struct any_state *state, const struct column *compared, const uint32_t *owners,
                    uint32_t count)
{
    const uint8_t *values = compared->data;
    for (uint32_t i = 0; i < count; i++) {
        uint32_t row = owners != NULL ? owners[i] : i;
        uint8_t is_null = compared->nulls != NULL ? compared->nulls[i] : 0;
        state->unknown[row] |= is_null;
        state->decided[row] |= (uint8_t)!is_null & (values[i] ^ (uint8_t)state->is_all);
    }
}

static struct column comparison_column(struct expr_run *run, uint32_t rows)
{
    struct column column;
    column_init(&column, (struct sql_type){.oid = OID_BOOL, .typmod = -1}, rows, &run->scratch);
    return column;
}

/* Errors of comparisons belong to the rows that own them. */
static void any_errors(struct expr_run *run, const uint32_t *owners, struct row_errors *collected)
{
    for (uint32_t i = 0; i < run->step_errors.count; i++) {
        struct row_error item = run->step_errors.items[i];
        item.row = owners != NULL ? owners[item.row] : item.row;
        if (collected->failed == NULL)
            collected->failed = arena_zalloc(&run->scratch, collected->rows);
        if (collected->failed[item.row])
            continue;
        collected->failed[item.row] = 1;
        ARENA_PUSH(&run->scratch, collected->items, collected->count, collected->cap, item);
    }
    run->step_errors.failed = NULL;
    run->step_errors.count = 0;
}

static void any_of_constant(struct expr_run *run, const struct step *step, const struct column *left,
                            const struct column *array, uint32_t rows, struct any_state *state,
                            struct row_errors *errors)
{
    struct array_view view;
    array_open(&COLUMN_VAR(array)[0], &view);
    const uint8_t *cursor = view.elements;
    struct datum element;
    struct column compared = comparison_column(run, rows);
    uint8_t *nulls = arena_zalloc(&run->scratch, rows);
    struct sql_type type = {.oid = view.element_oid, .typmod = -1};
    while (array_next(&view, &cursor, &element)) {
        struct column args[2] = {*left};
        column_init_constant(&args[1], type, &element, &run->scratch);
        run_kernel(run, step->function, step->type, step->slot, args, 2, rows, &compared, nulls);
        any_add(state, &compared, NULL, rows);
        any_errors(run, NULL, errors);
    }
}

static void any_flush(struct expr_run *run, const struct step *step, const struct column *left,
                      struct column *elements, const uint32_t *owners, uint32_t count,
                      struct any_state *state, struct row_errors *errors)
{
    if (count == 0)
        return;
    struct column args[2];
    if (left->is_constant)
        args[0] = *left;
    else
        column_gather(&args[0], left, owners, count, &run->scratch);
    args[1] = *elements;
    struct column compared = comparison_column(run, count);
    run_kernel(run, step->function, step->type, step->slot, args, 2, count, &compared,
               arena_alloc(&run->scratch, count));
    any_add(state, &compared, owners, count);
    any_errors(run, owners, errors);
}

/* Arrays of many rows: their elements side by side, compared a batch at a time. */
static void any_of_rows(struct expr_run *run, const struct step *step, const struct column *left,
                        const struct column *arrays, uint32_t rows, struct any_state *state,
                        struct row_errors *errors)
{
    struct sql_type type = {.oid = step->index, .typmod = -1};
    uint32_t *owners = arena_alloc(&run->scratch, sizeof(*owners) * BATCH_ROWS_MAX);
    uint32_t count = 0;
    struct column elements;
    column_init(&elements, type, BATCH_ROWS_MAX, &run->scratch);
    for (uint32_t i = 0; i < rows; i++) {
        if (column_is_null(arrays, i))
            continue;
        struct array_view view;
        array_open(&COLUMN_VAR(arrays)[i], &view);
        const uint8_t *cursor = view.elements;
        struct datum element;
        while (array_next(&view, &cursor, &element)) {
            column_set(&elements, count, &element, BATCH_ROWS_MAX, &run->scratch);
            owners[count++] = i;
            if (count == BATCH_ROWS_MAX) {
                any_flush(run, step, left, &elements, owners, count, state, errors);
                column_init(&elements, type, BATCH_ROWS_MAX, &run->scratch);
                count = 0;
            }
        }
    }
    any_flush(run, step, left, &elements, owners, count, state, errors);
}

/* The hash set of an array, kept for the next batch. */
struct kept_set {
    struct varlen array;
    const struct value_set *set;
};

static const struct value_set *set_of_array(struct expr_run *run, const struct step *step,
                                            const struct varlen *array, uint32_t type_oid)
{
    struct kept_set *kept = run->states[step->slot + 1];
    if (kept != NULL && varlen_identical(&kept->array, array))
        return kept->set;
    bool keep = kept == NULL; /* the first one: a literal, or the parameter of a prepared statement */
    struct arena *arena = keep ? &run->arena : &run->scratch;
    struct varlen copy = varlen_copy(arena, varlen_bytes(array), array->len);
    struct array_view view;
    array_open(&copy, &view);
    struct datum *elements = array_elements(&view, arena);
    const struct value_set *set = value_set_create(arena, type_oid, elements, view.count);
    if (keep) {
        kept = ARENA_NEW(arena, struct kept_set);
        kept->array = copy;
        kept->set = set;
        run->states[step->slot + 1] = kept;
    }
    return set;
}

/* "x = ANY (array)" and "x <> ALL (array)" with many elements: a hash set. */
static bool any_hashed(struct expr_run *run, const struct step *step, const struct column *left,
                       const struct column *array, uint32_t rows, struct column *result)
{
    struct array_view view;
    array_open(&COLUMN_VAR(array)[0], &view);
    if (view.count < HASHED_ARRAY_MIN || rows < HASHED_ARRAY_MIN || left->is_constant ||
        strcmp(step->function->name, step->flag ? "<>" : "=") != 0 || type_is_array(view.element_oid))
        return false;
    const struct function_signature *signature = function_signature(step->function);
    if (signature->args[0] != signature->args[1] || left->phys != type_phys(view.element_oid))
        return false;
    const struct value_set *set = set_of_array(run, step, &COLUMN_VAR(array)[0], signature->args[0]);
    uint8_t *found = result->data, *nulls = run_nulls(run, step->dst);
    if (value_set_contains(set, left, rows, found, nulls))
        result->nulls = nulls;
    for (uint32_t i = 0; step->flag && i < rows; i++)
        found[i] = (found[i] ^ 1) & (uint8_t)!nulls[i];
    return true;
}

void step_any(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    struct column left = run->regs[step->args[0]], arrays = run->regs[step->args[1]];
    if (arrays.is_constant && column_is_null(&arrays, 0)) {
        run_constant_null(run, step);
        return;
    }
    struct column *result = run_result(run, step);
    result->is_constant = is_constant;
    if (arrays.is_constant && any_hashed(run, step, &left, &arrays, rows, result))
        return;
    struct any_state state = {.decided = arena_zalloc(&run->scratch, rows),
                              .unknown = arena_zalloc(&run->scratch, rows),
                              .is_all = step->flag};
    struct row_errors errors = {.arena = &run->scratch, .rows = rows};
    if (arrays.is_constant)
        any_of_constant(run, step, &left, &arrays, rows, &state, &errors);
    else
        any_of_rows(run, step, &left, &arrays, rows, &state, &errors);
    uint8_t *out = result->data, *nulls = run_nulls(run, step->dst);
    for (uint32_t i = 0; i < rows; i++) {
        nulls[i] = column_is_null(&arrays, i) | (state.unknown[i] & (uint8_t)!state.decided[i]);
        out[i] = nulls[i] ? 0 : state.decided[i] ^ (uint8_t)step->flag;
    }
    result->nulls = nulls;
    errors.arena = &run->scratch;
    run->step_errors = errors;
    run_flush(run, step, is_constant);
}

/* ---- GREATEST, LEAST, ROW ---- */

static void keep_better(const struct step *step, struct column *best, const struct column *other,
                        uint32_t rows)
{
    int sign = step->kind == STEP_GREATEST ? 1 : -1;
    size_t bytes = phys_bytes(step->phys);
    for (uint32_t i = 0; i < rows; i++) {
        struct datum value = column_get(other, i);
        if (value.is_null)
            continue;
        struct datum present = column_get(best, i);
        if (!present.is_null && type_compare(step->type.oid, &value, &present) * sign <= 0)
            continue;
        memcpy((uint8_t *)best->data + i * bytes, value.fix16, bytes);
        if (best->nulls != NULL)
            best->nulls[i] = 0;
    }
}

#define KEEP_BETTER(name, type)                                                                              \
    static void name(bool greatest, type *best, const type *other, bool constant, uint32_t rows)             \
    {                                                                                                        \
        for (uint32_t i = 0; i < rows; i++) {                                                                \
            type value = other[constant ? 0 : i];                                                            \
            bool better = greatest ? value > best[i] : value < best[i];                                      \
            best[i] = better ? value : best[i];                                                              \
        }                                                                                                    \
    }
KEEP_BETTER(keep_better_i32, int32_t)
KEEP_BETTER(keep_better_i64, int64_t)
#undef KEEP_BETTER

void step_min_max(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    struct column *result = run_result(run, step);
    size_t bytes = phys_bytes(step->phys);
    bool any_nulls = false;
    for (uint32_t arg = 0; arg < step->args_count; arg++)
        any_nulls = any_nulls || run->regs[step->args[arg]].nulls != NULL;
    const struct column *first = &run->regs[step->args[0]];
    for (uint32_t i = 0; i < rows; i++)
        memcpy((uint8_t *)result->data + i * bytes,
               (const uint8_t *)first->data + COLUMN_AT(first, i) * bytes, bytes);
    if (any_nulls) {
        result->nulls = run_nulls(run, step->dst);
        for (uint32_t i = 0; i < rows; i++)
            result->nulls[i] = column_is_null(first, i);
    }
    for (uint32_t arg = 1; arg < step->args_count; arg++) {
        const struct column *other = &run->regs[step->args[arg]];
        if (!any_nulls && step->phys == PHYS_I32)
            keep_better_i32(step->kind == STEP_GREATEST, result->data, other->data, other->is_constant, rows);
        else if (!any_nulls && step->phys == PHYS_I64)
            keep_better_i64(step->kind == STEP_GREATEST, result->data, other->data, other->is_constant, rows);
        else
            keep_better(step, result, other, rows);
    }
    result->is_constant = is_constant;
}

void step_row(struct expr_run *run, const struct step *step)
{
    bool is_constant;
    uint32_t rows = run_step_rows(run, step, &is_constant);
    struct column *result = run_result(run, step);
    struct varlen *out = result->data;
    struct datum *values = arena_alloc(&run->scratch, sizeof(*values) * step->args_count);
    uint32_t *types = arena_alloc(&run->scratch, sizeof(*types) * step->args_count);
    for (uint32_t arg = 0; arg < step->args_count; arg++)
        types[arg] = run->regs[step->args[arg]].type.oid;
    for (uint32_t i = 0; i < rows; i++) {
        for (uint32_t arg = 0; arg < step->args_count; arg++)
            values[arg] = column_get(&run->regs[step->args[arg]], i);
        out[i] = record_make(&run->scratch, types, values, step->args_count);
    }
    result->is_constant = is_constant;
}
