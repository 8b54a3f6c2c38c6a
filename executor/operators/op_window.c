/* op_window.c: TUMBLE and HOP: each row appears once per window that holds its time, with window_start and
 * window_end behind it.
 *
 * Windows are [k * slide + offset, k * slide + offset + size) for every integer k, so times before the epoch
 * need floor division. TIMESTAMPTZ windows are windows of UTC. A row without a time is in no window. Linear
 * and stateless. */
#include "executor/operators/op_window.h"

#include "storage/data/datetime.h"

struct window {
    struct operator base;
    struct arena scratch;
};

static bool window_open(struct operator* op, const struct plan *plan, struct error *err)
{
    arena_init(&((struct window *)op)->scratch, op->ctx->account);
    if (plan->window.slide_us <= 0 || plan->window.size_us <= 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "window size and slide must be positive");
    return true;
}

static void window_close(struct operator* op)
{
    arena_release(&((struct window *)op)->scratch);
}

struct window_rows {
    uint32_t *rows;
    int64_t *starts;
    uint32_t count;
};

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

static void set_time(struct column *column, uint32_t row, int64_t us)
{
    if (column->phys == PHYS_I32) {
        int64_t days = us / US_PER_DAY - (us % US_PER_DAY < 0);
        ((int32_t *)column->data)[row] = (int32_t)days;
    } else {
        ((int64_t *)column->data)[row] = us;
    }
}

static bool window_flush(struct window *window, const struct batch *change, struct window_rows *found,
                         struct error *err)
{
    struct operator* op = & window->base;
    if (found->count == 0)
        return true;
    struct batch *in = op_gather(&window->scratch, change, found->rows, found->count);
    struct batch *out = batch_header(&window->scratch, op->columns_count);
    out->rows = found->count;
    out->weights = in->weights;
    if (in->columns_count > 0)
        memcpy(out->columns, in->columns, sizeof(struct column) * in->columns_count);
    struct column *start = &out->columns[in->columns_count], *end = start + 1;
    column_init(start, op->types[in->columns_count], found->count, &window->scratch);
    column_init(end, op->types[in->columns_count + 1], found->count, &window->scratch);
    for (uint32_t i = 0; i < found->count; i++) {
        set_time(start, i, found->starts[i]);
        set_time(end, i, found->starts[i] + op->plan->window.size_us);
    }
    found->count = 0;
    return operator_emit(op, out, err);
}

static bool window_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct window *window = (struct window *)op;
    const struct plan *plan = op->plan;
    arena_reset(&window->scratch);
    struct window_rows found = {.rows = arena_alloc(&window->scratch, sizeof(uint32_t) * BATCH_ROWS_MAX),
                                .starts = arena_alloc(&window->scratch, sizeof(int64_t) * BATCH_ROWS_MAX)};
    const struct column *column = &change->columns[plan->window.time_column];
    __int128 slide = plan->window.slide_us, size = plan->window.size_us;
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t time;
        struct error error;
        if (!window_row_time(column, i, &time, &error)) {
            if (error.code != ERRCODE_NONE && !op_error_row(op, change, i, &error, err))
                return false;
            continue;
        }
        __int128 since = (__int128)time - plan->window.offset_us;
        __int128 last =
            since / slide - (since % slide < 0); /* number of the last window that starts by then */
        __int128 behind = since - size;          /* windows that start by `behind` have ended */
        __int128 first = behind / slide - (behind % slide < 0) + 1;
        for (__int128 k = first; k <= last; k++) {
            __int128 start = k * slide + plan->window.offset_us;
            if (start <= INT64_MIN || start + size >= INT64_MAX) {
                error_set(&error, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
                if (!op_error_row(op, change, i, &error, err))
                    return false;
                continue;
            }
            found.rows[found.count] = i;
            found.starts[found.count++] = (int64_t)start;
            if (found.count == BATCH_ROWS_MAX && !window_flush(window, change, &found, err))
                return false;
        }
    }
    return window_flush(window, change, &found, err);
}

const struct operator_class op_window_class = {
    .name = "window",
    .bytes = sizeof(struct window),
    .open = window_open,
    .push = window_push,
    .close = window_close,
};
