/* fn_array.c: functions and operators over arrays of any element type (PostgreSQL manual 9.19).
 *
 * Elements are compared as type_compare does, NULLs are equal to each other only where the manual says "IS
 * NOT DISTINCT FROM". int2vector and oidvector are arrays with lower bound 0 and need nothing special here.
 */
#define _GNU_SOURCE
#include "executor/functions/text_kernel.h"
#include "storage/data/array.h"

#include <stdio.h>

#define ARRAY_BYTES_HEAD   64
#define ARRAY_COUNT_MAX    134217727 /* PostgreSQL's limit on elements */
#define NESTED_LOOP_MAX    1024u     /* pairs of elements that are compared without a hash table */
#define CANCEL_CHECK_ITEMS 65536u

/* Opens the array of a row; one that is NULL or failed reads as empty. */
static void view_at(const struct column *column, uint32_t row, struct array_view *view)
{
    const struct varlen *value = &COLUMN_VAR(column)[COLUMN_AT(column, row)];
    if (value->len > 0) {
        array_open(value, view);
        return;
    }
    const struct type_row *type = type_find(column->type.oid);
    *view = (struct array_view){.element_oid = type != NULL ? type->element_oid : OID_TEXT};
}

/* Arrays can hold types without an equality: json. */
static bool elements_compare(struct fn_call *call, uint32_t row, uint32_t element_oid)
{
    if (element_oid == OID_JSON)
        fn_error(call, row, ERRCODE_UNDEFINED_FUNCTION,
                 "could not identify an equality operator for type json");
    return element_oid != OID_JSON;
}

static bool not_distinct(uint32_t oid, const struct datum *a, const struct datum *b)
{
    if (a->is_null || b->is_null)
        return a->is_null == b->is_null;
    return type_compare(oid, a, b) == 0;
}

/* Stores an array as the result of a row, or the error that it is too large. */
static void store(struct fn_call *call, struct column *result, uint32_t row, uint32_t element_oid,
                  const struct datum *elements, int32_t ndim, const int32_t *lengths,
                  const int32_t *lower_bounds)
{
    enum phys phys = type_phys(element_oid);
    uint64_t count = ndim > 0, bytes = ARRAY_BYTES_HEAD;
    for (int32_t i = 0; i < ndim; i++)
        count *= (uint32_t)lengths[i];
    for (uint64_t i = 0; i < count; i++)
        bytes += 4 + (elements[i].is_null ? 0 : phys == PHYS_VAR ? elements[i].var.len : phys_bytes(phys));
    struct varlen *out = &RESULT_VAR(result)[row];
    *out = (struct varlen){0};
    if (count > ARRAY_COUNT_MAX || bytes > VALUE_BYTES_MAX) {
        fn_error(call, row, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed (%d)",
                 ARRAY_COUNT_MAX);
        return;
    }
    for (int32_t i = 0; i < ndim; i++) {
        int32_t behind;
        if (!__builtin_add_overflow(lengths[i], lower_bounds[i], &behind))
            continue;
        fn_error(call, row, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "array lower bound is too large: %d",
                 lower_bounds[i]);
        return;
    }
    *out = array_make_dims(call->arena, element_oid, elements, ndim, lengths, lower_bounds);
}

static void store_one_dimension(struct fn_call *call, struct column *result, uint32_t row,
                                uint32_t element_oid, const struct datum *elements, uint32_t count,
                                int32_t lower_bound)
{
    int32_t length = (int32_t)count;
    store(call, result, row, element_oid, elements, 1, &length, &lower_bound);
}

static void set_null(struct fn_call *call, struct column *result, uint32_t row)
{
    RESULT_VAR(result)[row] = (struct varlen){0};
    fn_set_null(call, result, row);
}

/* ---- joining ---- */

static void add_element(struct fn_call *call, const struct column *arrays, const struct column *values,
                        struct column *result, bool in_front)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view view;
        view_at(arrays, i, &view);
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (view.ndim > 1) {
            fn_error(call, i, ERRCODE_DATA_EXCEPTION, "argument must be empty or one-dimensional array");
            continue;
        }
        int32_t lower_bound = view.ndim == 1 ? view.lower_bounds[0] : 1;
        struct datum *items = ARENA_ARRAY(call->arena, struct datum, view.count + 1);
        struct datum *to = items + in_front, element;
        const uint8_t *cursor = view.elements;
        while (view.ndim > 0 && array_next(&view, &cursor, &element))
            *to++ = element;
        items[in_front ? 0 : view.count] = column_get(values, i);
        store_one_dimension(call, result, i, view.element_oid, items, view.count + 1, lower_bound);
    }
}

static void fn_array_append(struct fn_call *call, const struct column *args, struct column *result)
{
    add_element(call, &args[0], &args[1], result, false);
}
static void fn_array_prepend(struct fn_call *call, const struct column *args, struct column *result)
{
    add_element(call, &args[1], &args[0], result, true);
}

static bool incompatible(struct fn_call *call, uint32_t row, const char *detail)
{
    struct error err;
    error_set(&err, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "cannot concatenate incompatible arrays");
    error_detail(&err, "%s", detail);
    fn_error_from(call, row, &err);
    return false;
}

/* Dimensions of a || b into *out: arrays of n dimensions join along the first; one of n - 1 is an element. */
static bool joined_dimensions(struct fn_call *call, uint32_t row, const struct array_view *a,
                              const struct array_view *b, struct array_view *out)
{
    if (a->ndim != b->ndim && a->ndim != b->ndim - 1 && a->ndim != b->ndim + 1) {
        char detail[96];
        snprintf(detail, sizeof(detail),
                 "Arrays of %d and %d dimensions are not compatible for concatenation.", a->ndim, b->ndim);
        return incompatible(call, row, detail);
    }
    const struct array_view *outer = a->ndim >= b->ndim ? a : b, *inner = outer == a ? b : a;
    int32_t skip = outer->ndim - inner->ndim; /* 1: inner is one element of outer */
    for (int32_t dim = 1; dim < outer->ndim; dim++) {
        if (outer->lengths[dim] != inner->lengths[dim - skip] ||
            outer->lower_bounds[dim] != inner->lower_bounds[dim - skip])
            return incompatible(
                call, row,
                skip == 0 ? "Arrays with differing element dimensions are not compatible for concatenation."
                          : "Arrays with differing dimensions are not compatible for concatenation.");
    }
    *out = *outer;
    int32_t more = skip == 0 ? inner->lengths[0] : 1;
    if (__builtin_add_overflow(out->lengths[0], more, &out->lengths[0]))
        out->lengths[0] = INT32_MAX;
    return true;
}

static void fn_array_cat(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view a, b, dims;
        bool a_null = column_is_null(&args[0], i), b_null = column_is_null(&args[1], i);
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (a_null && b_null) {
            fn_set_null(call, result, i);
            continue;
        }
        view_at(&args[0], i, &a);
        view_at(&args[1], i, &b);
        if (a_null || b_null || a.count == 0 || b.count == 0) {
            uint32_t from = a_null || (a.count == 0 && !b_null);
            RESULT_VAR(result)[i] = COLUMN_VAR(&args[from])[COLUMN_AT(&args[from], i)];
            continue;
        }
        if (!joined_dimensions(call, i, &a, &b, &dims))
            continue;
        struct datum *items = ARENA_ARRAY(call->arena, struct datum, (size_t)a.count + b.count);
        struct datum *to = items;
        const uint8_t *cursor = a.elements;
        while (array_next(&a, &cursor, to))
            to++;
        cursor = b.elements;
        while (array_next(&b, &cursor, to))
            to++;
        store(call, result, i, a.element_oid, items, dims.ndim, dims.lengths, dims.lower_bounds);
    }
}

/* ---- sizes ---- */

enum bound { BOUND_LENGTH, BOUND_LOWER, BOUND_UPPER };

static void bounds(struct fn_call *call, const struct column *args, struct column *result, enum bound which)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view view;
        view_at(&args[0], i, &view);
        int64_t dim = (int64_t)i32_at(&args[1], i) - 1;
        RESULT_I32(result)[i] = 0;
        if (dim < 0 || dim >= view.ndim) {
            fn_set_null(call, result, i);
            continue;
        }
        int32_t lower = view.lower_bounds[dim], length = view.lengths[dim];
        int32_t bound = which == BOUND_LENGTH  ? length
                        : which == BOUND_LOWER ? lower
                                               : (int32_t)((int64_t)lower + length - 1);
        RESULT_I32(result)[i] = bound;
    }
}

static void fn_array_length(struct fn_call *call, const struct column *args, struct column *result)
{
    bounds(call, args, result, BOUND_LENGTH);
}
static void fn_array_lower(struct fn_call *call, const struct column *args, struct column *result)
{
    bounds(call, args, result, BOUND_LOWER);
}
static void fn_array_upper(struct fn_call *call, const struct column *args, struct column *result)
{
    bounds(call, args, result, BOUND_UPPER);
}

static void fn_array_ndims(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view view;
        view_at(&args[0], i, &view);
        RESULT_I32(result)[i] = view.ndim;
        if (view.ndim == 0)
            fn_set_null(call, result, i);
    }
}

static void fn_array_dims(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view view;
        char text[ARRAY_DIMS_MAX * 32];
        int len = 0;
        view_at(&args[0], i, &view);
        if (view.ndim == 0) {
            set_null(call, result, i);
            continue;
        }
        for (int32_t dim = 0; dim < view.ndim; dim++)
            len += snprintf(text + len, sizeof(text) - (size_t)len, "[%d:%lld]", view.lower_bounds[dim],
                            (long long)view.lower_bounds[dim] + view.lengths[dim] - 1);
        RESULT_VAR(result)[i] = varlen_copy(call->arena, text, (uint32_t)len);
    }
}

static void fn_cardinality(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view view;
        view_at(&args[0], i, &view);
        RESULT_I32(result)[i] = (int32_t)view.count;
    }
}

/* ---- searching ---- */

static bool can_search(struct fn_call *call, uint32_t row, const struct array_view *view)
{
    if (view->ndim > 1)
        fn_error(call, row, ERRCODE_FEATURE_NOT_SUPPORTED,
                 "searching for elements in multidimensional arrays is not supported");
    return view->ndim <= 1 && elements_compare(call, row, view->element_oid);
}

static void fn_array_position(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view view;
        RESULT_I32(result)[i] = 0;
        if (column_is_null(&args[0], i)) {
            fn_set_null(call, result, i);
            continue;
        }
        view_at(&args[0], i, &view);
        if (!can_search(call, i, &view))
            continue;
        int64_t from = INT32_MIN;
        if (call->args_count == 3) {
            if (column_is_null(&args[2], i)) {
                fn_error(call, i, ERRCODE_NULL_VALUE_NOT_ALLOWED, "initial position must not be null");
                continue;
            }
            from = i32_at(&args[2], i);
        }
        struct datum wanted = column_get(&args[1], i), element;
        const uint8_t *cursor = view.elements;
        int64_t at = view.ndim > 0 ? view.lower_bounds[0] : 0;
        bool found = false;
        for (; view.ndim > 0 && !found && array_next(&view, &cursor, &element); at++)
            found = at >= from && not_distinct(view.element_oid, &element, &wanted);
        if (found)
            RESULT_I32(result)[i] = (int32_t)(at - 1);
        else
            fn_set_null(call, result, i);
    }
}

static void fn_array_positions(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view view;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(&args[0], i)) {
            fn_set_null(call, result, i);
            continue;
        }
        view_at(&args[0], i, &view);
        if (!can_search(call, i, &view))
            continue;
        struct datum wanted = column_get(&args[1], i), element, *places = NULL;
        uint32_t count = 0, cap = 0;
        const uint8_t *cursor = view.elements;
        for (int32_t at = 0; view.ndim > 0 && array_next(&view, &cursor, &element); at++) {
            if (not_distinct(view.element_oid, &element, &wanted))
                ARENA_PUSH(call->arena, places, count, cap, datum_i32(view.lower_bounds[0] + at));
        }
        RESULT_VAR(result)[i] = array_make(call->arena, OID_INT4, places, count);
    }
}

/* The number of thresholds that are not above the operand; they are in ascending order. */
static void fn_width_bucket(struct fn_call *call, const struct column *args, struct column *result)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view view;
        RESULT_I32(result)[i] = 0;
        if (column_is_null(result, i))
            continue;
        view_at(&args[1], i, &view);
        arena_reset(&scratch);
        const struct datum operand = column_get(&args[0], i);
        const struct datum *thresholds = array_elements(&view, &scratch);
        bool has_null = false;
        for (uint32_t at = 0; at < view.count; at++)
            has_null = has_null || thresholds[at].is_null;
        if (view.ndim > 1) {
            fn_error(call, i, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "thresholds must be one-dimensional array");
            continue;
        }
        if (has_null) {
            fn_error(call, i, ERRCODE_NULL_VALUE_NOT_ALLOWED, "thresholds array must not contain NULLs");
            continue;
        }
        if (!elements_compare(call, i, view.element_oid))
            continue;
        uint32_t low = 0, high = view.count;
        while (low < high) {
            uint32_t middle = low + (high - low) / 2;
            if (type_compare(view.element_oid, &operand, &thresholds[middle]) < 0)
                high = middle;
            else
                low = middle + 1;
        }
        RESULT_I32(result)[i] = (int32_t)low;
    }
    arena_release(&scratch);
}

/* ---- changing ---- */

static void fn_array_remove(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view view;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(&args[0], i)) {
            fn_set_null(call, result, i);
            continue;
        }
        view_at(&args[0], i, &view);
        if (view.ndim > 1) {
            fn_error(call, i, ERRCODE_FEATURE_NOT_SUPPORTED,
                     "removing elements from multidimensional arrays is not supported");
            continue;
        }
        if (!elements_compare(call, i, view.element_oid))
            continue;
        struct datum wanted = column_get(&args[1], i);
        struct datum *items = array_elements(&view, call->arena);
        uint32_t kept = 0;
        for (uint32_t at = 0; at < view.count; at++) {
            if (!not_distinct(view.element_oid, &items[at], &wanted))
                items[kept++] = items[at];
        }
        if (kept == view.count)
            RESULT_VAR(result)[i] = COLUMN_VAR(&args[0])[COLUMN_AT(&args[0], i)];
        else
            store_one_dimension(call, result, i, view.element_oid, items, kept, view.lower_bounds[0]);
    }
}

static void fn_array_replace(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view view;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(&args[0], i)) {
            fn_set_null(call, result, i);
            continue;
        }
        view_at(&args[0], i, &view);
        if (!elements_compare(call, i, view.element_oid))
            continue;
        struct datum from = column_get(&args[1], i), to = column_get(&args[2], i);
        struct datum *items = array_elements(&view, call->arena);
        for (uint32_t at = 0; at < view.count; at++) {
            if (not_distinct(view.element_oid, &items[at], &from))
                items[at] = to;
        }
        store(call, result, i, view.element_oid, items, view.ndim, view.lengths, view.lower_bounds);
    }
}

static void fn_trim_array(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct array_view view;
        view_at(&args[0], i, &view);
        int32_t count = i32_at(&args[1], i), length = view.ndim > 0 ? view.lengths[0] : 0;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        if (count < 0 || count > length) {
            fn_error(call, i, ERRCODE_ARRAY_SUBSCRIPT_ERROR,
                     "number of elements to trim must be between 0 and %d", length);
            continue;
        }
        for (int32_t dim = 0; dim < view.ndim; dim++)
            view.lower_bounds[dim] = 1;
        view.lengths[0] -= count;
        store(call, result, i, view.element_oid, array_elements(&view, call->arena), view.ndim, view.lengths,
              view.lower_bounds);
    }
}

/* ---- array_fill ---- */

static bool fill_dimensions(struct fn_call *call, uint32_t row, const struct column *column, int32_t *values,
                            int32_t *count)
{
    struct array_view view;
    struct error err;
    view_at(column, row, &view);
    if (view.ndim > 1) {
        error_set(&err, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts");
        error_detail(&err, "Dimension array must be one dimensional.");
        fn_error_from(call, row, &err);
        return false;
    }
    if (view.count > ARRAY_DIMS_MAX) {
        fn_error(call, row, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                 "number of array dimensions (%u) exceeds the maximum allowed (%d)", view.count,
                 ARRAY_DIMS_MAX);
        return false;
    }
    const uint8_t *cursor = view.elements;
    struct datum element;
    *count = 0;
    while (view.ndim > 0 && array_next(&view, &cursor, &element)) {
        if (element.is_null) {
            fn_error(call, row, ERRCODE_NULL_VALUE_NOT_ALLOWED, "dimension values cannot be null");
            return false;
        }
        values[(*count)++] = element.i32;
    }
    return true;
}

static bool fill_row(struct fn_call *call, const struct column *args, uint32_t row, int32_t *lengths,
                     int32_t *lower, int32_t *ndim, uint64_t *total)
{
    struct error err;
    int32_t lower_count = 0;
    for (uint32_t arg = 1; arg < call->args_count; arg++) {
        if (column_is_null(&args[arg], row)) {
            fn_error(call, row, ERRCODE_NULL_VALUE_NOT_ALLOWED,
                     "dimension array or low bound array cannot be null");
            return false;
        }
    }
    if (!fill_dimensions(call, row, &args[1], lengths, ndim) ||
        (call->args_count == 3 && !fill_dimensions(call, row, &args[2], lower, &lower_count)))
        return false;
    if (call->args_count == 3 && lower_count != *ndim) {
        error_set(&err, ERRCODE_ARRAY_SUBSCRIPT_ERROR, "wrong number of array subscripts");
        error_detail(&err, "Low bound array has different size than dimensions array.");
        fn_error_from(call, row, &err);
        return false;
    }
    *total = *ndim > 0;
    for (int32_t dim = 0; dim < *ndim; dim++) {
        lower[dim] = call->args_count == 3 ? lower[dim] : 1;
        if (lengths[dim] >= 0)
            *total *= (uint32_t)lengths[dim];
        if (lengths[dim] < 0 || *total > ARRAY_COUNT_MAX) {
            fn_error(call, row, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed (%d)",
                     ARRAY_COUNT_MAX);
            return false;
        }
    }
    return true;
}

static void fn_array_fill(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t lengths[ARRAY_DIMS_MAX], lower[ARRAY_DIMS_MAX], ndim;
        uint64_t total;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (!fill_row(call, args, i, lengths, lower, &ndim, &total))
            continue;
        struct datum value = column_get(&args[0], i);
        enum phys phys = type_phys(args[0].type.oid);
        uint64_t each = 4 + (value.is_null ? 0 : phys == PHYS_VAR ? value.var.len : phys_bytes(phys));
        if (total * each > VALUE_BYTES_MAX) {
            fn_error(call, i, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "array size exceeds the maximum allowed (%d)",
                     ARRAY_COUNT_MAX);
            continue;
        }
        struct datum *items = mem_alloc(sizeof(*items) * (total + 1));
        for (uint64_t at = 0; at < total; at++)
            items[at] = value;
        store(call, result, i, args[0].type.oid, items, ndim, lengths, lower);
        mem_free(items);
    }
}

/* ---- as text and as rows ---- */

static void fn_array_to_string(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf text = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        if (column_is_null(&args[0], i) || column_is_null(&args[1], i)) {
            set_null(call, result, i);
            continue;
        }
        struct array_view view;
        struct text_arg separator = text_at(&args[1], i);
        bool show_null = call->args_count == 3 && !column_is_null(&args[2], i), any = false;
        view_at(&args[0], i, &view);
        strbuf_reset(&text);
        const uint8_t *cursor = view.elements;
        struct datum element;
        while (view.ndim > 0 && text.len <= VALUE_BYTES_MAX && array_next(&view, &cursor, &element)) {
            if (element.is_null && !show_null)
                continue;
            if (any)
                strbuf_add(&text, separator.bytes, separator.len);
            any = true;
            if (element.is_null) {
                struct text_arg null = text_at(&args[2], i);
                strbuf_add(&text, null.bytes, null.len);
            } else {
                type_output(view.element_oid, &element, &call->env->io, &text);
            }
        }
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (text.len > VALUE_BYTES_MAX)
            fn_error(call, i, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
        else
            RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &text);
    }
    strbuf_release(&text);
}

static void fn_unnest(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        if (column_is_null(&args[0], i))
            continue;
        struct array_view view;
        view_at(&args[0], i, &view);
        const uint8_t *cursor = view.elements;
        struct datum element;
        while (view.ndim > 0 && array_next(&view, &cursor, &element)) {
            if (output->stopped)
                return;
            srf_append(output, i, &element);
        }
    }
}

/* ---- sets of elements ---- */

/* Elements of an array by hash: 1 + index into items, 0 empty; cap is a power of two. NULLs are left out. */
struct element_table {
    uint32_t oid;
    const struct datum *items;
    uint32_t count, cap;
    uint32_t *slots; /* NULL: few elements, compared one by one */
};

static void table_fill(struct element_table *table, const struct array_view *view, struct arena *arena,
                       uint32_t lookups)
{
    *table = (struct element_table){
        .oid = view->element_oid, .items = array_elements(view, arena), .count = view->count};
    if ((uint64_t)view->count * lookups <= NESTED_LOOP_MAX)
        return;
    for (table->cap = 16; table->cap < view->count * 2; table->cap *= 2)
        continue;
    table->slots = ARENA_ARRAY(arena, uint32_t, table->cap);
    for (uint32_t i = 0; i < table->count; i++) {
        if (table->items[i].is_null)
            continue;
        uint32_t at = (uint32_t)type_hash(table->oid, &table->items[i]) & (table->cap - 1);
        while (table->slots[at] != 0)
            at = (at + 1) & (table->cap - 1);
        table->slots[at] = i + 1;
    }
}

static bool table_has(const struct element_table *table, const struct datum *value)
{
    if (table->slots == NULL) {
        for (uint32_t i = 0; i < table->count; i++) {
            if (!table->items[i].is_null && type_compare(table->oid, &table->items[i], value) == 0)
                return true;
        }
        return false;
    }
    uint32_t at = (uint32_t)type_hash(table->oid, value) & (table->cap - 1);
    for (; table->slots[at] != 0; at = (at + 1) & (table->cap - 1)) {
        if (type_compare(table->oid, &table->items[table->slots[at] - 1], value) == 0)
            return true;
    }
    return false;
}

/* all: every element of `parts` is in `whole`; else: any is. A NULL is in no array. */
static void match_rows(struct fn_call *call, const struct column *whole, const struct column *parts,
                       struct column *result, bool all)
{
    struct arena scratch;
    arena_init(&scratch, NULL);
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_BOOL(result)[i] = 0;
        if (column_is_null(result, i))
            continue;
        struct array_view a, b;
        struct element_table table;
        struct datum element;
        view_at(whole, i, &a);
        view_at(parts, i, &b);
        if (!elements_compare(call, i, a.element_oid))
            continue;
        arena_reset(&scratch);
        table_fill(&table, &a, &scratch, b.count);
        const uint8_t *cursor = b.elements;
        bool found = all;
        while (b.ndim > 0 && found == all && array_next(&b, &cursor, &element))
            found = !element.is_null && table_has(&table, &element);
        RESULT_BOOL(result)[i] = found;
    }
    arena_release(&scratch);
}

static void fn_contains(struct fn_call *call, const struct column *args, struct column *result)
{
    match_rows(call, &args[0], &args[1], result, true);
}
static void fn_contained(struct fn_call *call, const struct column *args, struct column *result)
{
    match_rows(call, &args[1], &args[0], result, true);
}
static void fn_overlaps(struct fn_call *call, const struct column *args, struct column *result)
{
    match_rows(call, &args[0], &args[1], result, false);
}

/* ---- rows ---- */

#define OPERATOR FN_OPERATOR
#define ZONED    (FN_STABLE | FN_VIEW_OK) /* the text of times depends on the session */
#define AAC      "anycompatiblearray"
#define AC       "anycompatible"

const struct function_row fn_array_rows[] = {
    {"array_append", AAC "," AC, AAC, fn_array_append, "array_append(ARRAY[1], 2) gives {1,2}", FN_NULLS},
    {"array_prepend", AC "," AAC, AAC, fn_array_prepend, "array_prepend(1, ARRAY[2]) gives {1,2}", FN_NULLS},
    {"array_cat", AAC "," AAC, AAC, fn_array_cat, "array_cat(ARRAY[1], ARRAY[2]) gives {1,2}", FN_NULLS},
    {"||", AAC "," AAC, AAC, fn_array_cat, "ARRAY[1] || ARRAY[2] gives {1,2}", FN_NULLS | OPERATOR},
    {"||", AAC "," AC, AAC, fn_array_append, "ARRAY[1] || 2 gives {1,2}", FN_NULLS | OPERATOR},
    {"||", AC "," AAC, AAC, fn_array_prepend, "1 || ARRAY[2] gives {1,2}", FN_NULLS | OPERATOR},
    {"array_length", "anyarray,int4", "int4", fn_array_length, "array_length(ARRAY[1,2], 1) gives 2"},
    {"array_lower", "anyarray,int4", "int4", fn_array_lower, "array_lower(ARRAY[1,2], 1) gives 1"},
    {"array_upper", "anyarray,int4", "int4", fn_array_upper, "array_upper(ARRAY[1,2], 1) gives 2"},
    {"array_ndims", "anyarray", "int4", fn_array_ndims, "array_ndims(ARRAY[[1]]) gives 2"},
    {"array_dims", "anyarray", "text", fn_array_dims, "array_dims(ARRAY[1,2]) gives '[1:2]'"},
    {"cardinality", "anyarray", "int4", fn_cardinality, "cardinality(ARRAY[[1,2],[3,4]]) gives 4"},
    {"array_position", AAC "," AC, "int4", fn_array_position, "array_position(ARRAY['a','b'], 'b') gives 2",
     FN_NULLS},
    {"array_position", AAC "," AC ",int4", "int4", fn_array_position,
     "array_position(ARRAY[1,2,1], 1, 2) gives 3", FN_NULLS},
    {"array_positions", AAC "," AC, "int4[]", fn_array_positions,
     "array_positions(ARRAY[1,2,1], 1) gives {1,3}", FN_NULLS},
    {"width_bucket", AC "," AAC, "int4", fn_width_bucket, "width_bucket(5, ARRAY[1,3,10]) gives 2"},
    {"array_remove", AAC "," AC, AAC, fn_array_remove, "array_remove(ARRAY[1,2,1], 1) gives {2}", FN_NULLS},
    {"array_replace", AAC "," AC "," AC, AAC, fn_array_replace, "array_replace(ARRAY[1,2], 1, 5) gives {5,2}",
     FN_NULLS},
    {"array_fill", "anyelement,int4[]", "anyarray", fn_array_fill, "array_fill(7, ARRAY[3]) gives {7,7,7}",
     FN_NULLS},
    {"array_fill", "anyelement,int4[],int4[]", "anyarray", fn_array_fill,
     "array_fill(7, ARRAY[2], ARRAY[5]) gives [5:6]={7,7}", FN_NULLS},
    {"trim_array", "anyarray,int4", "anyarray", fn_trim_array, "trim_array(ARRAY[1,2,3], 1) gives {1,2}"},
    {"array_to_string", "anyarray,text", "text", fn_array_to_string,
     "array_to_string(ARRAY[1,NULL,3], ',') gives '1,3'", FN_NULLS | ZONED},
    {"array_to_string", "anyarray,text,text", "text", fn_array_to_string,
     "array_to_string(ARRAY[1,NULL,3], ',', '*') gives '1,*,3'", FN_NULLS | ZONED},
    {"unnest", "anyarray", "setof anyelement", NULL, "unnest(ARRAY[1,2]) gives rows 1, 2", FN_SET, fn_unnest},
    {"@>", "anyarray,anyarray", "bool", fn_contains, "ARRAY[1,2] @> ARRAY[2] gives true", OPERATOR, NULL,
     "<@"},
    {"<@", "anyarray,anyarray", "bool", fn_contained, "ARRAY[2] <@ ARRAY[1,2] gives true", OPERATOR, NULL,
     "@>"},
    {"&&", "anyarray,anyarray", "bool", fn_overlaps, "ARRAY[1,2] && ARRAY[2,3] gives true", OPERATOR, NULL,
     "&&"},
};
const size_t fn_array_rows_count = sizeof(fn_array_rows) / sizeof(fn_array_rows[0]);
