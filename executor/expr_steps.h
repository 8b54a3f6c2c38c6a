/* expr_steps.h: what a compiled expression looks like inside; shared by expr_compile.c and expr_run*.c.
 *
 * A register is one column. Every step works in a scope, a set of rows; scopes nest: level 0 is all rows of
 * the call, STEP_ENTER opens the next level with the parent's rows that meet a condition (and jumps over the
 * part when there are none), STEP_LEAVE closes it. A register belongs to the level it was computed in and
 * holds one value per row of that scope; STEP_NARROW brings a value one level down. Results of lazy parts are
 * merged into a register over the rows of level 0, from where STEP_MERGE_END takes them back to the level of
 * the whole.
 *
 * "case when x <> 0 then 1 / x else 0 end":
 *   r0 = column 0; r1 = r0 <> 0; merge_begin r2; enter r1 is true; r3 = column 0; r4 = 1 / r3; merge r2 <-
 * r4; leave; enter r1 is not true; merge r2 <- constant 0; leave; r5 = merge_end r2 */
#ifndef MILLRACE_EXECUTOR_EXPR_STEPS_H
#define MILLRACE_EXECUTOR_EXPR_STEPS_H

#include "executor/expr_program.h"
#include "executor/function.h"
#include "executor/value_set.h"

#define REG_NONE UINT32_MAX

enum step_kind {
    STEP_COLUMN, /* input column `index` for the rows of the scope */
    STEP_NARROW, /* args[0] of level - 1 for the rows of `level` */
    STEP_ENTER,  /* args[0] is the condition, `mode` which rows stay; `jump`: behind the matching leave */
    STEP_LEAVE,
    STEP_MERGE_BEGIN, /* dst over the rows of level 0, values unset */
    STEP_MERGE,       /* dst[row at level 0] = args[0] */
    STEP_MERGE_END,   /* dst at this level = args[0] over level 0 */
    STEP_CALL,
    STEP_AND, /* both arguments are known */
    STEP_OR,
    STEP_NOT,
    STEP_IS_NULL,      /* flag: IS NOT NULL */
    STEP_BOOLEAN_TEST, /* index: enum boolean_test */
    STEP_COALESCE,     /* args[0], where NULL args[1] */
    STEP_DISTINCT,     /* args: a, b, a = b; flag: NOT DISTINCT */
    STEP_NULLIF,       /* args: a, a = b */
    STEP_GREATEST,
    STEP_LEAST,
    STEP_ANY,       /* flag: ALL */
    STEP_IN,        /* flag: NOT IN; set */
    STEP_ARRAY,     /* flag: the arguments are arrays themselves */
    STEP_SUBSCRIPT, /* REG_NONE: omitted bound. flag: slices */
    STEP_ROW,
    STEP_RELABEL,
    STEP_CAST_INPUT,
    STEP_CAST_OUTPUT,
    STEP_CAST_ARRAY, /* sub: the element's program */
    STEP_TYPMOD,     /* flag: explicit */
};

enum select_mode { SELECT_TRUE, SELECT_NOT_TRUE, SELECT_NOT_FALSE, SELECT_NULL };

struct step {
    enum step_kind kind;
    enum select_mode mode;
    bool flag;
    uint32_t level;
    uint32_t dst;
    const uint32_t *args; /* registers */
    uint32_t args_count;
    uint32_t jump;
    uint32_t index;
    uint32_t slot; /* of what a step keeps between calls */
    struct sql_type type;
    enum phys phys;
    const struct function_row *function;
    const struct value_set *set;
    const struct expr_program *sub;
};

struct expr_program {
    struct step *steps;
    uint32_t steps_count;
    uint32_t regs_count;
    uint32_t
        *reg_buffers; /* which arrays a register uses: those of registers no longer needed are used again */
    uint32_t buffers_count;
    uint32_t slots_count;
    uint32_t levels_count;
    uint32_t args_max;
    struct program_constant {
        uint32_t reg;
        struct column column;
    } * constants;
    uint32_t constants_count;
    struct program_param {
        uint32_t reg, index;
        struct sql_type type;
    } * params;
    uint32_t params_count;
    uint32_t *results;
    struct sql_type *result_types;
    uint32_t results_count;
};

/* A set of rows while a program runs. NULL maps are the identity. */
struct scope {
    uint32_t rows;
    const uint32_t *parent; /* row in the parent scope */
    const uint32_t *base;   /* row at level 0 */
    const uint32_t *input;  /* row of the input batch */
    uint32_t *parent_buffer, *base_buffer, *input_buffer;
};

struct expr_run {
    const struct expr_program *program;
    struct account *account;
    struct arena arena;   /* lives as long as the run: tables below, states of functions */
    struct arena buffers; /* registers' arrays; made anew when more rows come */
    struct arena scratch; /* one evaluation: text of results */
    uint32_t capacity;    /* rows the buffers hold */
    struct column *regs;
    void **data_buffers; /* per buffer, NULL until needed */
    uint8_t **null_buffers;
    struct scope *scopes;
    struct column *args; /* a call's arguments side by side */
    void **states;
    void (**state_releases)(void *state); /* per slot, NULL: nothing to do */
    struct expr_run **subs;
    struct strbuf text;
    struct eval_env default_env; /* for callers that have none */
    /* the present evaluation */
    const struct eval_env *env;
    const struct batch *input;
    struct row_errors *errors;     /* rows of level 0 */
    struct row_errors step_errors; /* rows of the present scope */
};

/* Without folding constants: what folding itself uses. */
MUST_CHECK
bool expr_compile_plain(struct arena *arena, const struct expr *const *exprs, uint32_t exprs_count,
                        struct expr_program **out, struct error *err);

/* Fills reg_buffers when the steps and results are complete. */
void expr_assign_buffers(struct arena *arena, struct expr_program *program);

/* ---- for the steps ---- */

/* The register's own arrays, uninitialised. */
void *run_data(struct expr_run *run, uint32_t reg, enum phys phys);
uint8_t *run_nulls(struct expr_run *run, uint32_t reg);
/* Makes dst a column of the step's type over its own data array, without NULLs. */
struct column *run_result(struct expr_run *run, const struct step *step);
/* dst = values[rows[i]]; rows NULL: shares the values. */
void run_gather(struct expr_run *run, uint32_t dst, const struct column *values, const uint32_t *rows,
                uint32_t count);
/* Calls a function on any columns: NULL handling, kernel, and zero bytes in NULL rows. result has room for
 * `rows` and a place for its nulls. Errors stand in run->step_errors. */
void run_kernel(struct expr_run *run, const struct function_row *function, struct sql_type type,
                uint32_t slot, const struct column *args, uint32_t args_count, uint32_t rows,
                struct column *result, uint8_t *nulls);
/* Records an error of one row of the step; run_flush hands them on. */
void run_error(struct expr_run *run, const struct step *step, uint32_t row, const struct error *err);
/* Gives step_errors to the rows of level 0 and makes dst NULL there. is_constant: row 0 stands for all rows.
 */
void run_flush(struct expr_run *run, const struct step *step, bool is_constant);
/* Zero bytes where nulls is set. */
void column_zero_nulls(struct column *column, uint32_t rows);
/* Result becomes the constant NULL. */
void run_constant_null(struct expr_run *run, const struct step *step);
/* How many rows a step over these arguments has to compute: 1 when all are constant. */
uint32_t run_step_rows(const struct expr_run *run, const struct step *step, bool *is_constant);

void step_and_or(struct expr_run *run, const struct step *step);
void step_not(struct expr_run *run, const struct step *step);
void step_is_null(struct expr_run *run, const struct step *step);
void step_boolean_test(struct expr_run *run, const struct step *step);
void step_coalesce(struct expr_run *run, const struct step *step);
void step_distinct(struct expr_run *run, const struct step *step);
void step_nullif(struct expr_run *run, const struct step *step);
void step_any(struct expr_run *run, const struct step *step);
void step_in(struct expr_run *run, const struct step *step);
void step_min_max(struct expr_run *run, const struct step *step);
void step_array(struct expr_run *run, const struct step *step);
void step_subscript(struct expr_run *run, const struct step *step);
void step_row(struct expr_run *run, const struct step *step);
void step_cast_input(struct expr_run *run, const struct step *step);
void step_cast_output(struct expr_run *run, const struct step *step);
void step_cast_array(struct expr_run *run, const struct step *step);
void step_typmod(struct expr_run *run, const struct step *step);

#endif
