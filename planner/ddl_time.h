/* ddl_time.h: what the options of relations say about time: WATERMARK and its options of streams, emission and late
 * rows of materialized views, alignment of sources. All of it lies in the object's options and watermark columns, so
 * that recovery reads it by the same functions. Intervals are whole microseconds: no months, a day is 24 hours. */
#ifndef MILLRACE_PLANNER_DDL_TIME_H
#define MILLRACE_PLANNER_DDL_TIME_H

#include "planner/planner.h"

/* Options of streams that need a watermark, ended by NULL: idle_timeout, on_idle, ... */
extern const char *const ddl_stream_time_options[];
/* Options of materialized views about time, ended by NULL: emit, every, ... */
extern const char *const ddl_view_time_options[];
/* Is it in such a list? */
bool ddl_is_option(const char *const *list, const char *name);

/* The interval of an option: 22023 naming option and relation when it is none, has months, or is not greater than zero
 * (zero_allowed: less than zero). *us stays as it is when the option is absent. */
MUST_CHECK
bool ddl_interval_option(const struct catalog_object *object, const char *name, bool zero_allowed,
                         int64_t *us, struct error *err);
/* What retention and retention_rows of a stream say; *none: no row is kept. *us and *rows are 0 where there is no limit. 22023
 * and 42P16 as below. */
struct stream_retention {
    bool none;
    int64_t us;
    uint64_t rows;
};
MUST_CHECK
bool ddl_stream_retention(const struct catalog_object *object, struct stream_retention *out,
                          struct error *err);
/* Checks the time options of a table or stream against its columns and its watermark: 22023 for values, 42P16 for what
 * does not go together, 42703 for columns. */
MUST_CHECK
bool ddl_check_stream_time(const struct catalog_object *object, struct error *err);
/* The watermark of a table or stream as the engine wants it; is_declared is false when there is none. The
 * expression lies in ctx->arena, texts are the object's. Needs the catalog's read lock. */
MUST_CHECK
bool ddl_watermark_desc(struct planner_context *ctx, const struct catalog_object *object,
                        struct watermark_desc *out, struct error *err);
/* Refuses (42P16) an expression whose value depends on a session's time zone. */
MUST_CHECK
bool ddl_check_watermark_zone(const struct catalog_object *object, const struct expr *expr,
                              struct error *err);
/* WITH (...) of a materialized view; the defaults for what it does not say. 22023 and 42P16 as above. */
MUST_CHECK
bool ddl_view_time(const struct catalog_object *object, struct view_time *out, struct error *err);

#endif
