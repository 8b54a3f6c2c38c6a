/* op_window_calendar.c: TUMBLE, HOP and CUMULATE by days, months and the clock of a zone.
 *
 * storage/data/calendar.h says which windows there are. They are asked for where the time leaves the piece that the row
 * before was in; within it a row is in the windows that end behind it. */
#include "executor/operators/op_window.h"

#include "storage/data/datetime.h"

/* The first window of the piece that ends behind the time. */
static uint32_t first_open(const struct calendar_piece *piece, int64_t time)
{
    uint32_t low = 0, high = piece->count;
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        if (piece->ends[middle] <= time)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static bool out_of_range(struct operator* op, const struct batch *change, uint32_t row, struct error *err)
{
    struct error error;
    error_set(&error, ERRCODE_DATETIME_FIELD_OVERFLOW, "timestamp out of range");
    return op_error_row(op, change, row, &error, err);
}

bool window_push_calendar(struct window *window, const struct batch *change, struct window_rows *found,
                          struct error *err)
{
    struct operator* op = & window->base;
    const struct calendar *calendar = op->plan->window.calendar;
    const struct column *column = &change->columns[op->plan->window.time_column];
    struct calendar_piece *piece = &window->piece;
    struct zone *zone = NULL;
    bool one_each = calendar->step.count == 0 && calendar->slide.count == calendar->size.count;
    for (uint32_t i = 0; i < change->rows; i++) {
        int64_t time;
        struct error error;
        if (!window_row_time(column, i, &time, &error)) {
            if (error.code != ERRCODE_NONE && !op_error_row(op, change, i, &error, err))
                return false;
            continue;
        }
        if (piece->count == 0 || time < piece->from || time >= piece->to) {
            zone = zone == NULL ? calendar_zone(calendar) : zone;
            if (!calendar_piece_at(calendar, zone, time, piece, &window->piece_arena)) {
                piece->count = 0;
                if (!out_of_range(op, change, i, err))
                    return false;
                continue;
            }
        }
        for (uint32_t w = first_open(piece, time); w < piece->count; w++) {
            found->rows[found->count] = i;
            found->starts[found->count] = piece->starts[w];
            found->ends[found->count++] = piece->ends[w];
            if (!one_each && found->count == BATCH_ROWS_MAX && !window_flush(window, change, found, err))
                return false;
        }
    }
    found->has_all = one_each && found->count == change->rows;
    return window_flush(window, change, found, err);
}
