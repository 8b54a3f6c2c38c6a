/* expr_program.h: expressions compiled to flat steps that run a column at a time.
 *
 * A program is read-only and may be run by many threads, each with its own expr_run (registers, function
 * states, scratch arena). Constants are folded and common sub-expressions shared at compile time. Lazy parts
 * (CASE, COALESCE, AND, OR) run under a selection so that a branch not taken raises no error. */
#ifndef MILLRACE_EXECUTOR_EXPR_PROGRAM_H
#define MILLRACE_EXECUTOR_EXPR_PROGRAM_H

#include "executor/eval_env.h"
#include "executor/expr.h"

struct expr_program;
struct expr_run;

/* exprs_count results over input rows. Everything in the arena. 0A000 for planner-only kinds; errors of
 * folding are not raised here but when a row is evaluated. */
MUST_CHECK
bool expr_compile(struct arena *arena, const struct expr *const *exprs, uint32_t exprs_count,
                  struct expr_program **out, struct error *err);
uint32_t expr_program_results(const struct expr_program *program);

struct expr_run *expr_run_create(const struct expr_program *program, struct account *account);
void expr_run_destroy(struct expr_run *run);

/* Evaluates all results for the rows selection[0..rows) of the input (NULL: rows 0..rows). results[i] gets
 * `rows` values (dense; never constant); they live until the next call on this run, and share input columns
 * where they are plain column references without selection. rows <= BATCH_ROWS_MAX. errors NULL: the first
 * row that fails makes the call fail with its error. errors given: it is reset and filled, row numbers are
 * positions 0..rows, and values of failed rows mean nothing. */
MUST_CHECK
bool expr_run_eval(struct expr_run *run, const struct eval_env *env, const struct batch *input,
                   const uint32_t *selection, uint32_t rows, struct column *results,
                   struct row_errors *errors, struct error *err);
/* Result 0 is a boolean: writes the numbers of the rows (of selection's values, or 0..rows) where it is
 * true. */
MUST_CHECK
bool expr_run_filter(struct expr_run *run, const struct eval_env *env, const struct batch *input,
                     const uint32_t *selection, uint32_t rows, uint32_t *selected, uint32_t *selected_count,
                     struct row_errors *errors, struct error *err);
/* A row-less expression: constants, parameters, functions of them. The value lives in the arena. */
MUST_CHECK
bool expr_eval_constant(const struct expr *expr, const struct eval_env *env, struct arena *arena,
                        struct datum *out, struct error *err);

#endif
