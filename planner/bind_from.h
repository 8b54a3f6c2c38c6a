/* bind_from.h: what the files that bind the items of FROM share. */
#ifndef MILLRACE_PLANNER_BIND_FROM_H
#define MILLRACE_PLANNER_BIND_FROM_H

#include "planner/bind.h"
#include "storage/data/calendar.h"

struct from_item {
    struct plan *plan;
    struct scope *scope; /* entries over the item's own row; parent: what it was bound in */
};

struct scope *from_scope(struct planner_context *ctx, struct scope *parent);
struct range_entry *from_entry(struct planner_context *ctx, const char *alias, uint32_t columns_count);
/* Gives the entry an alias and column aliases (NULL: none); 42P10 when there are too many. */
bool from_alias(struct planner_context *ctx, struct range_entry *entry, const PgQuery__Alias *alias,
                int32_t location, struct error *err);
bool from_relation(struct planner_context *ctx, struct scope *parent, const PgQuery__RangeVar *name,
                   struct from_item *out, struct error *err);
bool from_subselect(struct planner_context *ctx, struct scope *parent, const PgQuery__RangeSubselect *node,
                    struct from_item *out, struct error *err);

/* ---- functions over a relation: tumble(relation, ...) ---- */

enum table_parameter {
    PARAMETER_SLIDE,
    PARAMETER_SIZE,
    PARAMETER_STEP,
    PARAMETER_GAP,
    PARAMETER_OFFSET,
    PARAMETER_TIMEZONE,
    PARAMETER_N,
    PARAMETER_START,
    PARAMETER_FINISH,
    PARAMETER_LOCF,
    PARAMETER_INTERPOLATE,
    TABLE_PARAMETERS_MAX
};

/* A call being bound. */
struct table_call {
    struct planner_context *ctx;
    struct scope *parent;
    const PgQuery__FuncCall *node; /* args[1] is the column in whose order rows stand */
    const char *name;
    const PgQuery__Alias *alias;
    struct from_item input;
    const PgQuery__Node *nodes[TABLE_PARAMETERS_MAX]; /* NULL: not given */
    uint32_t keys_count;
    const PgQuery__Node **keys;
};

/* bind_window.c. An expression over the input's columns. */
bool table_call_expr(struct table_call *call, const PgQuery__Node *node, struct expr **out,
                     struct error *err);
/* A parameter's value, which must be constant; *out NULL: not given. */
bool table_call_constant(struct table_call *call, enum table_parameter parameter, uint32_t type,
                         const struct datum **out, struct error *err);
/* A key: a column of the input. */
bool table_call_key(struct table_call *call, const PgQuery__Node *node, uint32_t *out, struct error *err);
/* The second argument: a column of the input of type timestamp, timestamptz or date. */
bool table_call_time(struct table_call *call, uint32_t *column, uint32_t *type, struct error *err);
/* Slide, size, step, offset and time zone as given. size_parameter: SIZE, or STEP where a step is a window's size. */
bool table_call_calendar(struct table_call *call, enum table_parameter size_parameter, struct calendar *out,
                         struct error *err);
/* The item of FROM: a plan whose columns are the input's, and the last `count` ones under these names. */
bool table_call_item(struct table_call *call, struct plan *plan, const char *const *names, uint32_t count,
                     struct from_item *out, struct error *err);
/* A text constant as a string. */
const char *table_call_text(struct planner_context *ctx, const struct datum *text);
/* The windows that tumble(time, size, offset, zone) speaks of, from its arguments behind the time. */
bool bind_is_constant_calendar(struct expr *const *args, uint32_t count);
bool bind_calendar(struct planner_context *ctx, struct expr *const *args, uint32_t count, int32_t location,
                   struct calendar *out, struct error *err);
/* Puts windows over a column of the child: its columns, then window_start and window_end. */
struct plan *bind_window_plan(struct planner_context *ctx, struct plan *child, uint32_t time_column,
                              const struct calendar *calendar);
/* 42804 when there is a zone and the time's type has none. */
bool bind_time_zone(struct planner_context *ctx, const char *zone, uint32_t time_type, int32_t location,
                    struct error *err);

bool is_table_function(const PgQuery__FuncCall *call);
bool from_table_function(struct planner_context *ctx, struct scope *parent, const PgQuery__FuncCall *call,
                         const PgQuery__Alias *alias, struct from_item *out, struct error *err);

/* bind_series.c: count_window(relation, order column, n, key ...), gap_fill(relation, time column, step, key ...). */
bool bind_count_window(struct table_call *call, struct from_item *out, struct error *err);
bool bind_gap_fill(struct table_call *call, struct from_item *out, struct error *err);

#endif
