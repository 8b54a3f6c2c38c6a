/* op_window.c: TUMBLE, HOP and CUMULATE: each row appears once per window that holds its time, with window_start and
 * window_end behind it; or once with its slice, where the aggregate above makes windows of slices (plan.h,
 * struct plan_slices).
 *
 * Windows are [k * slide + offset, k * slide + offset + size) for every integer k, so times before the epoch
 * need floor division; those of CUMULATE are [base, base + n * step), where base is the start of a window of
 * the whole size, for every n up to size / step with which they hold the row. TIMESTAMPTZ windows are windows of UTC, those
 * of the calendar are made in op_window_calendar.c. A row without a time is in no window. Linear and stateless.
 *
 * TUMBLE and slices give one row per row: columns pass through without a copy, and the division is done
 * where the time leaves the piece of the row before. */
#include "executor/operators/op_window.h"

#include "storage/data/datetime.h"

static bool window_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct window *window = (struct window *)op;
    arena_init(&window->scratch, op->ctx->account);
    arena_init(&window->piece_arena, op->ctx->account);
    if (plan->window.slide_us <= 0 || plan->window.size_us <= 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "window size and slide must be positive");
    return true;
}

static void window_close(struct operator* op)
{
    struct window *window = (struct window *)op;
    arena_release(&window->scratch);
    arena_release(&window->piece_arena);
}

bool window_row_time(const struct column *column, uint32_t row, int64_t *out, struct error *error)
{
    error->code = ERRCODE_NONE;
    if (column_is_null(column, row))
        return false;
    bool is_finite;
    if (column->phys == PHYS_I32) {
        int32_t days = ((const int32_t *)column->data)[row];
        is_finite = days != DATE_MINUS_INFINITY && days != DATE_PLUS_INFINITY;
        *out = (int64_t)days * US_PER_DAY;
    } else {
        *out = ((const int64_t *)column->data)[row];
        is_finite = *out != TIMESTAMP_MINUS_INFINITY && *out != TIMESTAMP_PLUS_INFINITY;
    }
    return is_finite || error_set(error, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
}

bool window_flush(struct window *window, const struct batch *change, struct window_rows *found,
                  struct error *err)
{
    struct operator* op = & window->base;
    const struct plan *plan = op->plan;
    int64_t width = plan->window.slice_us != 0 ? plan->window.slice_us : plan->window.size_us;
    if (found->count > 0 && plan->window.lateness != NULL) {
        if (found->opens != NULL)
            window_take_late_slices(op, change, found, &window->scratch);
        else
            window_take_late(op, change, found, width, &window->scratch);
    }
    if (found->count == 0)
        return true;
    const struct batch *in = change;
    if (!found->has_all)
        in = op_gather(&window->scratch, change, found->rows, found->count);
    struct batch *out = batch_header(&window->scratch, op->columns_count);
    out->rows = found->count;
    out->weights = in->weights;
    out->watermarks = in->watermarks;
    out->positions = in->positions;
    if (in->columns_count > 0)
        memcpy(out->columns, in->columns, sizeof(struct column) * in->columns_count);
    struct column *start = &out->columns[in->columns_count], *end = start + 1;
    column_init(start, op->types[in->columns_count], found->count, &window->scratch);
    column_init(end, op->types[in->columns_count + 1], found->count, &window->scratch);
    int64_t *starts = start->data, *ends = end->data;
    for (uint32_t i = 0; i < found->count; i++) {
        starts[i] = found->starts[i];
        ends[i] = found->ends != NULL ? found->ends[i] : found->starts[i] + width;
    }
    if (found->opens != NULL) {
        struct column *open = end + 1;
        column_init(open, start->type, found->count, &window->scratch);
        memcpy(open->data, found->opens, sizeof(int64_t) * found->count);
    }
    found->count = 0;
    return operator_emit(op, out, err);
}

static __int128 floor_div(__int128 a, __int128 b)
{
    return a / b - (a % b < 0);
}

/* Numbers of the first and last window that hold the time. */
static void windows_of(const struct plan *plan, int64_t time, __int128 *first, __int128 *last)
{
    __int128 since = (__int128)time - plan->window.offset_us;
    *last = floor_div(since, plan->window.slide_us);
    *first = floor_div(since - plan->window.size_us, plan->window.slide_us) + 1;
}

/* false: a bound is none of a timestamp's values. */
static bool window_start(const struct plan *plan, __int128 number, int64_t *start)
{
    __int128 us = number * plan->window.slide_us + plan->window.offset_us;
    if (us <= INT64_MIN || us + plan->window.size_us >= INT64_MAX)
        return false;
    *start = (int64_t)us;
    return true;
}

static bool out_of_range(struct operator* op, const struct batch *change, uint32_t row, struct error *err)
{
    struct error error;
    error_set(&error, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    return op_error_row(op, change, row, &error, err);
}

/* Reports the windows of a time that no timestamp can bound; *some: there are others. */
static bool check_windows(struct operator* op, const struct batch *change, uint32_t row, int64_t time,
                          bool *some, struct error *err)
{
    __int128 first, last;
    int64_t start;
    *some = false;
    windows_of(op->plan, time, &first, &last);
    for (__int128 k = first; k <= last; k++) {
        if (window_start(op->plan, k, &start))
            *some = true;
        else if (!out_of_range(op, change, row, err))
            return false;
    }
    return true;
}

/* Of the windows that end behind the time and that timestamps can bound. */
static int64_t first_window_start(const struct plan *plan, int64_t time)
{
    __int128 first, last;
    int64_t start = INT64_MIN;
    windows_of(plan, time, &first, &last);
    while (!window_start(plan, first, &start) && first <= last)
        first++;
    return start;
}

/* TUMBLE, slices: the one piece that holds each row. */
static bool push_pieces(struct window *window, const struct batch *change, struct window_rows *found,
                        struct error *err)
{
    struct operator* op = & window->base;
    const struct plan *plan = op->plan;
    const struct column *column = &change->columns[plan->window.time_column];
    int64_t width = plan->window.slice_us != 0 ? plan->window.slice_us : plan->window.size_us;
    /* a piece this far inside has none but windows that timestamps can bound */
    __int128 margin = (__int128)plan->window.size_us + plan->window.slide_us + width;
    int64_t start = 0;
    uint64_t cached = 0; /* width of the piece at `start`; 0: none yet */
    int64_t open = 0;    /* start of the first window that holds the piece */
    bool is_plain = column->phys == PHYS_I64 && column->nulls == NULL && !column->is_constant;
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t time;
        struct error error;
        if (LIKELY(is_plain)) {
            time = ((const int64_t *)column->data)[i];
            if (LIKELY((uint64_t)time - (uint64_t)start < cached)) {
                if (found->opens != NULL)
                    found->opens[found->count] = open;
                found->rows[found->count] = i;
                found->starts[found->count++] = start;
                continue;
            }
        }
        if (!window_row_time(column, i, &time, &error)) {
            if (error.code != ERRCODE_NONE && !op_error_row(op, change, i, &error, err))
                return false;
            continue;
        }
        __int128 piece =
            floor_div((__int128)time - plan->window.offset_us, width) * width + plan->window.offset_us;
        bool some = true;
        if (piece > INT64_MIN + margin && piece < INT64_MAX - margin) {
            start = (int64_t)piece;
            cached = (uint64_t)width;
        } else if (!check_windows(op, change, i, time, &some, err)) {
            return false;
        }
        if (!some)
            continue;
        if (found->opens != NULL) {
            open = first_window_start(plan, (int64_t)piece);
            found->opens[found->count] = open;
        }
        found->rows[found->count] = i;
        found->starts[found->count++] = (int64_t)piece;
    }
    found->has_all = found->count == change->rows;
    return window_flush(window, change, found, err);
}

static bool push_windows(struct window *window, const struct batch *change, struct window_rows *found,
                         struct error *err)
{
    struct operator* op = & window->base;
    const struct column *column = &change->columns[op->plan->window.time_column];
    const int64_t *opens =
        op->plan->window.has_open ? change->columns[op->plan->window.open_column].data : NULL;
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t time;
        struct error error;
        if (!window_row_time(column, i, &time, &error)) {
            if (error.code != ERRCODE_NONE && !op_error_row(op, change, i, &error, err))
                return false;
            continue;
        }
        __int128 first, last;
        windows_of(op->plan, time, &first, &last);
        if (opens != NULL) {
            __int128 open =
                floor_div((__int128)opens[i] - op->plan->window.offset_us, op->plan->window.slide_us);
            first = open > first ? open : first;
        }
        for (__int128 k = first; k <= last; k++) {
            int64_t start;
            if (!window_start(op->plan, k, &start)) {
                if (!out_of_range(op, change, i, err))
                    return false;
                continue;
            }
            found->rows[found->count] = i;
            found->starts[found->count++] = start;
            if (found->count == BATCH_ROWS_MAX && !window_flush(window, change, found, err))
                return false;
        }
    }
    return window_flush(window, change, found, err);
}

static bool push_cumulated(struct window *window, const struct batch *change, struct window_rows *found,
                           struct error *err)
{
    struct operator* op = & window->base;
    const struct plan *plan = op->plan;
    const struct column *column = &change->columns[plan->window.time_column];
    __int128 size = plan->window.size_us, step = plan->window.step_us, offset = plan->window.offset_us;
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t time;
        struct error error;
        if (!window_row_time(column, i, &time, &error)) {
            if (error.code != ERRCODE_NONE && !op_error_row(op, change, i, &error, err))
                return false;
            continue;
        }
        __int128 base = floor_div(time - offset, size) * size + offset;
        for (__int128 end = base + ((time - base) / step + 1) * step; end <= base + size; end += step) {
            if (base <= INT64_MIN || end >= INT64_MAX) {
                if (!out_of_range(op, change, i, err))
                    return false;
                continue;
            }
            found->rows[found->count] = i;
            found->starts[found->count] = (int64_t)base;
            found->ends[found->count++] = (int64_t)end;
            if (found->count == BATCH_ROWS_MAX && !window_flush(window, change, found, err))
                return false;
        }
    }
    return window_flush(window, change, found, err);
}

static bool window_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct window *window = (struct window *)op;
    const struct plan *plan = op->plan;
    arena_reset(&window->scratch);
    struct window_rows found = {.rows = arena_alloc(&window->scratch, sizeof(uint32_t) * BATCH_ROWS_MAX),
                                .starts = arena_alloc(&window->scratch, sizeof(int64_t) * BATCH_ROWS_MAX)};
    if (plan->window.calendar != NULL || plan->window.step_us != 0)
        found.ends = arena_alloc(&window->scratch, sizeof(int64_t) * BATCH_ROWS_MAX);
    if (plan->window.calendar != NULL)
        return window_push_calendar(window, change, &found, err);
    if (plan->window.step_us != 0)
        return push_cumulated(window, change, &found, err);
    if (plan->window.slice_us != 0 && plan->window.lateness != NULL)
        found.opens = arena_alloc(&window->scratch, sizeof(int64_t) * BATCH_ROWS_MAX);
    if (plan->window.slice_us != 0 || plan->window.slide_us == plan->window.size_us)
        return push_pieces(window, change, &found, err);
    return push_windows(window, change, &found, err);
}

const struct operator_class op_window_class = {
    .name = "window",
    .bytes = sizeof(struct window),
    .open = window_open,
    .push = window_push,
    .close = window_close,
};
