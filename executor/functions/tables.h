/* tables.h: every table of function rows below the planner, one line each.
 *
 * A file with functions ends in `const struct function_row fn_x_rows[]` and `const size_t fn_x_rows_count`. */
#ifndef MILLRACE_EXECUTOR_FUNCTIONS_TABLES_H
#define MILLRACE_EXECUTOR_FUNCTIONS_TABLES_H

#include "executor/function.h"

#define FUNCTION_TABLES(TABLE)                                                                               \
    TABLE(fn_compare_rows)                                                                                   \
    TABLE(fn_text_rows)                                                                                      \
    TABLE(fn_text_format_rows)                                                                               \
    TABLE(fn_text_encode_rows)                                                                               \
    TABLE(fn_like_rows)                                                                                      \
    TABLE(fn_regex_rows)                                                                                     \
    TABLE(fn_misc_rows)                                                                                      \
    TABLE(fn_series_rows)                                                                                    \
    TABLE(fn_window_rows)                                                                                    \
    TABLE(cast_text_rows)                                                                                    \
    TABLE(fn_datetime_rows)                                                                                  \
    TABLE(fn_extract_rows)                                                                                   \
    TABLE(fn_math_rows)                                                                                      \
    TABLE(fn_arith_rows)                                                                                     \
    TABLE(cast_number_rows)                                                                                  \
    TABLE(fn_array_rows)                                                                                     \
    TABLE(fn_json_rows)                                                                                      \
    TABLE(fn_json_build_rows)                                                                                \
    TABLE(fn_json_edit_rows)                                                                                 \
    TABLE(fn_time_format_rows)                                                                               \
    TABLE(fn_number_format_rows)

#define FUNCTION_TABLE_DECLARE(name)                                                                         \
    extern const struct function_row name[];                                                                 \
    extern const size_t name##_count;
FUNCTION_TABLES(FUNCTION_TABLE_DECLARE)
#undef FUNCTION_TABLE_DECLARE

#endif
