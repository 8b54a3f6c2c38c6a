/* op_window.h: what the window operators share. Internal to this folder. */
#ifndef MILLRACE_OPERATORS_OP_WINDOW_H
#define MILLRACE_OPERATORS_OP_WINDOW_H

#include "executor/operators/op_common.h"
#include "storage/data/calendar.h"

/* Rows and, for each, one window (or slice) that holds it. All arrays have BATCH_ROWS_MAX entries. */
struct window_rows {
    bool has_all; /* every row of the input once, in order */
    uint32_t *rows;
    int64_t *starts;
    int64_t *ends; /* NULL: a width behind the start */
    int64_t
        *opens; /* slices, where rows can be late: start of the first window that takes the row; else NULL */
    uint32_t count;
};

/* The time of a row (timestamp, timestamptz or date) in us; false: the row is in no window, because it has no
 * time (error->code is ERRCODE_NONE then) or an infinite one. */
bool window_row_time(const struct column *column, uint32_t row, int64_t *out, struct error *error);

struct window {
    struct operator base;
    struct arena scratch;        /* of one push */
    struct arena piece_arena;    /* of the following */
    struct calendar_piece piece; /* calendar windows: around the time seen last */
};

/* Hands on what was found, and empties it. Full at BATCH_ROWS_MAX. */
MUST_CHECK
bool window_flush(struct window *window, const struct batch *change, struct window_rows *found,
                  struct error *err);
/* op_window_calendar.c: a change into windows that follow the calendar of a zone. */
MUST_CHECK
bool window_push_calendar(struct window *window, const struct batch *change, struct window_rows *found,
                          struct error *err);

/* ---- lateness (op_window_late.c); plan->window.lateness is set ---- */

/* Takes out the pairs of row and window that came too late for the window and hands them on as late rows. width: of
 * windows without ends. */
void window_take_late(struct operator* op, const struct batch *change, struct window_rows *found,
                      int64_t width, struct arena *scratch);
/* The same of rows with slices: opens, at first that of the slice's first window, is moved on to the first one that
 * takes the row; rows that no window takes are taken out. */
void window_take_late_slices(struct operator* op, const struct batch *change, struct window_rows *found,
                             struct arena *scratch);

#endif
