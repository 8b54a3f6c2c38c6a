/* clock_function.h: what a condition of a view makes of now(): sums, roundings and casts of the clock, and when a value
 * compares with it in another way than before.
 *
 * Such an expression rises with the clock, but not always: a local clock goes back in autumn, and the 1st of March
 * minus a month is later than the 31st minus a month a moment before. So it is taken apart into steps of which each
 * knows where it may fall. Between two such places it rises, and there the instant at which a comparison turns is
 * found by the expression itself: one guess, else bisection. Results are exact to the microsecond, and are those of
 * the SQL functions, whose code the steps run.
 *
 * Values are microseconds as in a timestamp, dates those of their midnight. Instants from 2566 BC to the year 38000
 * are looked at: what would turn outside of them never does. */
#ifndef MILLRACE_EXECUTOR_CLOCK_FUNCTION_H
#define MILLRACE_EXECUTOR_CLOCK_FUNCTION_H

#include "executor/plan.h"

struct clock_function;

/* expr: over column 0, the clock (timestamptz). zone: the session's or view's, outlives the result. In the arena.
 * NULL when the expression is not made of what is known here: plus and minus a constant interval (or days, of a
 * date), date_trunc with constant unit and zone, casts among date, timestamp and timestamptz, AT TIME ZONE 'constant',
 * rounding to digits; and when it leaves the range of its type. */
struct clock_function *clock_function_create(struct arena *arena, const struct expr *expr, const char *zone);
/* Before the calls below, by each thread, each time it begins: zones belong to threads. */
void clock_function_bind(struct clock_function *function);
int64_t clock_function_at(const struct clock_function *function, int64_t clock);
/* value <comparison> function(clock) */
bool clock_function_holds(const struct clock_function *function, int64_t value,
                          enum time_comparison comparison, int64_t clock);
/* The first instant after `clock` at which that is another truth than at `clock`; TIME_NEVER (operator.h): never. */
int64_t clock_function_change(const struct clock_function *function, int64_t value,
                              enum time_comparison comparison, int64_t clock);

#endif
