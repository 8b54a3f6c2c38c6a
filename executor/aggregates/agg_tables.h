/* agg_tables.h: the tables of aggregate rows, one per agg_*.c; registry.c lists them all. */
#ifndef MILLRACE_AGGREGATES_AGG_TABLES_H
#define MILLRACE_AGGREGATES_AGG_TABLES_H

#include "executor/aggregates/agg_common.h"

#define AGGREGATE_TABLES(X)                                                                                  \
    X(agg_count_rows)                                                                                        \
    X(agg_sum_rows)                                                                                          \
    X(agg_avg_rows)                                                                                          \
    X(agg_float_rows)                                                                                        \
    X(agg_regr_rows)                                                                                         \
    X(agg_min_max_rows)                                                                                      \
    X(agg_bool_bit_rows)                                                                                     \
    X(agg_variance_rows)                                                                                     \
    X(agg_collect_rows)                                                                                      \
    X(agg_json_rows)                                                                                         \
    X(agg_ordered_set_rows)

#define AGGREGATE_TABLE_DECLARE(name)                                                                        \
    extern const struct aggregate_row name[];                                                                \
    extern const size_t name##_count;
AGGREGATE_TABLES(AGGREGATE_TABLE_DECLARE)
#undef AGGREGATE_TABLE_DECLARE

#endif
