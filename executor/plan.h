/* plan.h: the relational plan: the contract between planner and executor, read-only once made.
 *
 * A tree of nodes in an arena. Every node says the types of its output columns; expressions stand only in
 * CALC, VALUES, PROJECT_SET, SCAN lookups, JOIN residuals and limits: everything else refers to input columns
 * by number. A view runs its plan change by change, a SELECT runs the same plan once over a snapshot. Nothing
 * in it assumes one machine: columns, not pointers, and relations by OID. */
#ifndef MILLRACE_EXECUTOR_PLAN_H
#define MILLRACE_EXECUTOR_PLAN_H

#include "executor/expr.h"
#include "storage/data/batch.h"

struct relation;
struct aggregate_row;
struct query_context;
struct eval_env;
struct calendar; /* storage/data/calendar.h */

enum plan_kind {
    PLAN_SCAN,        /* rows of a table, stream or materialized view */
    PLAN_SYSTEM,      /* rows a callback makes at run time: system views (SELECT only) */
    PLAN_VALUES,      /* rows of constant expressions; one row and no column for a SELECT without FROM */
    PLAN_PROJECT_SET, /* child columns, then the columns of set-returning functions, in lock step */
    PLAN_CALC,        /* filter (optional), then projection */
    PLAN_WINDOW,      /* child columns, then window_start, window_end: TUMBLE, HOP, CUMULATE, slices of HOP */
    PLAN_SESSION,   /* child columns, then window_start, window_end: session windows; or groups and aggregates
                         by session */
    PLAN_AGGREGATE, /* group columns, then aggregates; DISTINCT is one without aggregates */
    PLAN_JOIN,      /* equality keys and a residual */
    PLAN_UNION_ALL, /* children with equal types */
    PLAN_SET_OP,    /* INTERSECT, EXCEPT, with or without ALL; identity by value equality, NULL equals NULL */
    PLAN_SORT,      /* ORDER BY, LIMIT, OFFSET, DISTINCT ON, Top-N per partition, also with its rank */
    PLAN_AT_MOST_ONE,     /* 21000 when a partition holds more than one row: scalar subqueries */
    PLAN_OVER,            /* window functions: child columns, then results */
    PLAN_LATE,            /* rows behind the watermark are taken out: they are late */
    PLAN_TEMPORAL_FILTER, /* views: rows whose time with respect to now() has come and is not over */
    PLAN_FINAL,           /* views: rows once the watermark says that they do not change any more */
    PLAN_EVERY,           /* views: the net change of each period */
    PLAN_INTERVAL_JOIN,   /* equality keys, bounds on the difference of two times, and a residual */
    PLAN_ASOF_JOIN,       /* equality keys; the nearest right row in time */
    PLAN_LOOKUP_JOIN, /* views: right rows as they are in the tick in which the left row comes; never again */
};

enum join_kind {
    JOIN_INNER,
    JOIN_LEFT,
    JOIN_FULL,
    JOIN_SEMI,
    JOIN_ANTI
}; /* RIGHT is LEFT with sides swapped */

/* ---- event time (docs/event-time.md); set for views only, where a watermark is known ---- */

/* Rows that come too late are taken out. Of windows: row and window together, when window_end + grace <= the row's
 * watermark. Of sessions: the same, window_end being that of the session the row would be in. Of other rows (PLAN_LATE):
 * time + grace < the row's watermark. */
struct plan_lateness {
    int64_t grace_us;
    bool keeps_rows; /* late_rows('view') shows them; else they are only counted */
    uint32_t number; /* which of the view's places that find late rows */
};
/* What is kept under a value of this column can be forgotten as soon as the watermark has reached value + after_us
 * (dates: of their midnight): no row with that value changes any more. */
struct plan_expiry {
    bool known; /* false: never forgotten */
    uint32_t column;
    int64_t after_us;
};

enum time_comparison { TIME_GREATER, TIME_GREATER_EQUAL, TIME_LESS, TIME_LESS_EQUAL, TIME_EQUAL };
/* One condition of a temporal filter: value <comparison> now. Both of the same type. */
struct plan_time_bound {
    struct expr *value; /* over the child's columns */
    enum time_comparison comparison;
    struct expr *now; /* over one column: the clock (timestamptz); never decreasing with it */
};

struct plan_scan {
    uint32_t relation_oid;
    struct relation *relation; /* bound; the plan's owner holds a reference */
    const char *name;          /* for EXPLAIN */
    uint32_t *columns;         /* relation columns that are output, in order */
    /* Point lookup: rows whose lookup_columns (relation columns: the whole key, or all columns of an index)
     * equal these row-less expressions. lookup_count 0: full scan. SELECT only. */
    uint32_t lookup_count;
    uint32_t *lookup_columns;
    struct expr **lookup_values;
    int32_t lookup_index; /* secondary index number, -1: the primary key */
};

/* Fills `out` with all rows of a system relation (all its columns, in order). Runs on the statement's thread.
 */
typedef bool (*system_rows_fn)(void *ctx, const struct eval_env *env, struct batch *out, struct error *err);

struct plan_aggregate_call {
    const struct aggregate_row *aggregate;
    struct sql_type type;
    uint32_t args_count;
    uint32_t *args; /* input columns */
    int32_t filter; /* boolean input column, -1 none */
    bool is_distinct;
    uint32_t order_count;
    struct sort_key *order; /* input columns; NULL: by the arguments */
    bool keep_input_order;  /* SELECT only: input comes sorted and no ORDER BY was given; collect in arrival
                               order */
};

/* What a group column of an aggregate over slices says of the window. */
enum window_role { ROLE_NONE, ROLE_WINDOW_START, ROLE_WINDOW_END };

/* An aggregate over HOP whose input gives every row once, with the slice that holds it in the place of a
 * window: slices are pieces of slice_us (the greatest common divisor of slide and size, from offset_us on),
 * so that a window is made of whole ones. The aggregate adds rows up per slice and slices up into windows;
 * its output has windows. At least one group column has a role; every call can be merged. */
struct plan_slices {
    int64_t slide_us, size_us, offset_us, slice_us;
    uint8_t *roles; /* enum window_role per group column */
    /* Where rows can be late, for some of their windows perhaps and not for others: a window that gives slices has a
     * third column behind start and end, the start of the first window that takes the row. Slices are added up
     * by it as well, and into no window before it. open_column: of the aggregate's input. */
    bool has_open;
    uint32_t open_column;
};

enum frame_mode { FRAME_ROWS, FRAME_RANGE, FRAME_GROUPS };
enum frame_bound {
    BOUND_UNBOUNDED_PRECEDING,
    BOUND_PRECEDING,
    BOUND_CURRENT,
    BOUND_FOLLOWING,
    BOUND_UNBOUNDED_FOLLOWING
};
enum over_kind {
    OVER_AGGREGATE,
    OVER_ROW_NUMBER,
    OVER_RANK,
    OVER_DENSE_RANK,
    OVER_PERCENT_RANK,
    OVER_CUME_DIST,
    OVER_NTILE,
    OVER_LAG,
    OVER_LEAD,
    OVER_FIRST_VALUE,
    OVER_LAST_VALUE,
    OVER_NTH_VALUE,
};
struct plan_over_call {
    enum over_kind kind;
    const struct aggregate_row *aggregate; /* OVER_AGGREGATE */
    struct sql_type type;
    uint32_t args_count;
    uint32_t *args; /* input columns: value, offset, default ... */
    int32_t filter;
    enum frame_mode frame_mode;
    enum frame_bound frame_start, frame_end;
    int32_t frame_start_offset, frame_end_offset; /* input columns holding the offsets, -1 none */
    uint8_t frame_exclude;                        /* 0 none, 1 current row, 2 group, 3 ties */
};

struct plan {
    enum plan_kind kind;
    uint32_t columns_count; /* output */
    struct sql_type *types;
    const char **names; /* output names; NULL except on the topmost node and where EXPLAIN wants them */
    uint32_t children_count;
    struct plan **children;
    uint32_t id; /* stable operator number: preorder position, given by plan_finish */

    /* Properties, given by plan_finish. */
    bool append_only;    /* the change stream holds no retraction */
    uint32_t keys_count; /* a set of output columns that is unique; has_key false when none is known */
    uint32_t *keys;
    bool has_key; /* keys_count 0 with has_key: at most one row */

    union {
        struct plan_scan scan;
        struct {
            const char *name;
            system_rows_fn rows;
            void *ctx;
            uint32_t all_columns_count; /* columns `rows` makes; `columns` picks */
            struct sql_type *all_types;
            uint32_t *columns;
        } system;
        struct {
            uint32_t rows_count;
            struct expr ***rows; /* rows[r][c]: row-less expressions */
        } values;
        struct {
            uint32_t calls_count;
            struct expr **calls; /* EXPR_CALL of FN_SET functions over the child's row, or plain expressions
                                    (repeated) */
            bool ordinality;     /* one more int8 column */
            bool keep_empty;     /* LEFT JOIN LATERAL: a row with NULLs when there are no rows */
        } project_set;
        struct {
            struct expr *condition; /* boolean or NULL */
            struct expr **outputs;  /* columns_count */
        } calc;
        struct {
            uint32_t time_column;                 /* timestamp, timestamptz or date */
            int64_t slide_us, size_us, offset_us; /* tumble: slide == size */
            int64_t step_us;  /* not 0: CUMULATE: windows of step, 2 * step ... up to size, slide == size */
            int64_t slice_us; /* not 0: one row with the slice's start and end instead (struct plan_slices) */
            /* Not NULL: it says where windows begin and end. Of the numbers above then only this holds: no window is
             * longer than size_us, slide_us equals it but for HOP, step_us is not 0 for CUMULATE. No slices. */
            const struct calendar *calendar;
            struct plan_lateness
                *lateness;        /* NULL: nothing is late. With slice_us: see plan_slices.has_open */
            bool has_open;        /* only those windows that start at the value of open_column or later */
            uint32_t open_column; /* of the child */
        } window;
        struct {
            uint32_t time_column; /* as above */
            int64_t gap_us;
            uint32_t keys_count; /* 0: one sequence of sessions */
            uint32_t *keys;      /* child columns */
            /* With is_aggregate one row per session comes out instead: the columns `groups` of the row form (the
             * keys and window_start or window_end are among them, nothing else is), then the calls over the
             * child's columns. */
            bool is_aggregate;
            uint32_t groups_count;
            uint32_t *groups;
            uint32_t calls_count;
            struct plan_aggregate_call *calls;
            struct plan_lateness
                *lateness; /* NULL: nothing is late, nothing forgotten; else sessions are forgotten once
                                               window_end + grace <= watermark */
        } session;
        struct {
            uint32_t groups_count;
            uint32_t *groups; /* input columns */
            uint32_t calls_count;
            struct plan_aggregate_call *calls;
            struct plan_slices *slices; /* NULL: groups are formed by the input as it is */
            struct plan_expiry expiry;  /* column: one of its output, a group column */
        } aggregate;
        struct {
            enum join_kind kind; /* output: left columns, right columns; SEMI and ANTI: left columns only */
            uint32_t keys_count; /* 0: cross join */
            uint32_t *left_keys, *right_keys; /* child columns, types equal pairwise */
            bool *null_safe;                  /* IS NOT DISTINCT FROM; NULL: all false */
            struct expr *residual; /* over left columns then right columns; INNER only once passes have run */
            struct plan_expiry left_expiry, right_expiry; /* columns of the children */
        } join;
        struct {
            enum join_kind kind; /* output as of PLAN_JOIN */
            uint32_t keys_count;
            uint32_t *left_keys, *right_keys;
            bool *null_safe;
            uint32_t left_time,
                right_time; /* child columns: both timestamptz, or each date or timestamp; rows without a time
                               match nothing */
            int64_t lower_us,
                upper_us; /* lower <= right time - left time <= upper; INT64_MIN, MAX: no bound */
            bool lower_is_open,
                upper_is_open;     /* infinity does not meet itself at this bound: it was < or > */
            struct expr *residual; /* of all kinds; NULL: none */
            /* columns are left_time and right_time: with them set, what finds no match any more is forgotten */
            struct plan_expiry left_expiry, right_expiry;
        } interval_join;
        struct {
            bool is_left; /* left rows without a match get NULLs; else they are dropped */
            uint32_t keys_count;
            uint32_t *left_keys, *right_keys;
            uint32_t left_time, right_time;
            enum time_comparison
                comparison; /* left time <comparison> right time; nearest of those; not TIME_EQUAL */
            struct plan_expiry left_expiry, right_expiry;
        } asof_join;
        struct {
            bool is_left;
            uint32_t keys_count; /* at least 1 */
            uint32_t *left_keys, *right_keys;
            struct expr *residual;
            /* The right child is a scan of an external table's cache; keys are its primary key. A row there whose
             * found_column (boolean, of the right child) is false says that the table has no row with that key. */
            bool is_external;
            uint32_t found_column;
        } lookup_join;
        struct {
            uint32_t time_column;
            struct plan_lateness *lateness;
        } late;
        struct {
            uint32_t bounds_count; /* all must hold */
            struct plan_time_bound *bounds;
            /* Not 0: without bounds; rows of an append-only child are there until so long after the tick that brought
             * them. */
            int64_t ttl_us;
        } temporal_filter;
        struct {
            bool has_other; /* a row whose column is NULL has its time in other_column (FULL JOIN) */
            uint32_t other_column;
            int64_t other_after_us;
            uint32_t column; /* rows come out once the watermark has reached its value + after_us */
            int64_t after_us;
            bool corrects; /* later changes of them come out as well, at once; else they are dropped */
        } final;
        struct {
            int64_t period_us;
        } every;
        struct {
            bool is_except; /* else intersect */
            bool all;
            struct plan_expiry expiry;
        } set_op;
        struct {
            uint32_t partition_count; /* 0: one partition */
            uint32_t *partition;
            uint32_t keys_count;
            struct sort_key *keys;
            struct expr *limit, *offset; /* row-less int8; NULL: none */
            bool with_ties;
            bool distinct_on; /* one row per partition: limit 1 without expression */
            /* Views only: what the limit counts. OVER_ROW_NUMBER rows; OVER_RANK rows, with ties;
             * OVER_DENSE_RANK rows with different keys. OVER_AGGREGATE: rows, with_ties as it says. With
             * shows_rank that number (int8) is one more column behind the child's; no offset then. */
            enum over_kind rank;
            bool shows_rank;
            struct plan_expiry expiry; /* column: one of the partition */
        } sort;
        struct {
            uint32_t partition_count;
            uint32_t *partition;
        } at_most_one;
        struct {
            uint32_t partition_count;
            uint32_t *partition;
            uint32_t keys_count;
            struct sort_key *keys;
            uint32_t calls_count;
            struct plan_over_call *calls;
            struct plan_expiry expiry;       /* column: one of the partition */
            struct plan_expiry order_expiry; /* column: that of the first key, ascending */
        } over;
    };
};

/* Builders. Types and counts are filled; names are NULL. */
struct plan *plan_new(struct arena *arena, enum plan_kind kind, uint32_t columns_count,
                      uint32_t children_count);
/* filter only: outputs are all child columns. */
struct plan *plan_filter(struct arena *arena, struct plan *child, struct expr *condition);
struct plan *plan_project(struct arena *arena, struct plan *child, struct expr **outputs,
                          uint32_t outputs_count);
struct plan *plan_distinct(struct arena *arena, struct plan *child);
/* Numbers the nodes and fills in the properties, bottom-up. Relations tell append-only and keys. */
void plan_finish(struct plan *plan, struct arena *arena);
/* Text of the tree, one node per line, two blanks per level: EXPLAIN, golden files and fingerprints. */
void plan_print(const struct plan *plan, struct strbuf *out);
/* One node, without its children and the end of the line. */
void plan_print_node(const struct plan *plan, struct strbuf *out);
/* PLAN_WINDOW: no window is longer than this. */
int64_t plan_window_span_us(const struct plan *plan);
/* Calls visit on every node, parents first. */
void plan_walk(struct plan *plan, void (*visit)(void *ctx, struct plan *node), void *ctx);

#endif
