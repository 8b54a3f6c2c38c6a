/* function.h: SQL functions, operators and casts: one table row each, beside its code.
 *
 * Operators are functions whose name is the operator ("+", "~~"; prefix operators carry one argument). Types
 * are written as pg type names, separated by commas: "int4,int4"; "int4[]" for arrays; the polymorphic
 * "anyelement", "anyarray", "anynonarray", "any"; a leading "variadic " on the last one ("text,variadic
 * any"). Overloads are resolved as PostgreSQL does (manual 10.2, 10.3). Adding a function: its kernel and its
 * row; nothing else.
 *
 * Kernels are plain loops over columns. The caller handles NULL unless FN_NULLS is set: before the call
 * result->nulls (if any argument row is NULL) is filled, and the kernel's values in those rows are ignored,
 * so it may compute them (zero bytes stand in NULL rows: no wild pointers); errors raised for those rows are
 * ignored as well. */
#ifndef MILLRACE_EXECUTOR_FUNCTION_H
#define MILLRACE_EXECUTOR_FUNCTION_H

#include "storage/data/batch.h"

struct eval_env;
struct row_errors;

struct fn_call {
    uint32_t rows;
    uint32_t args_count;
    struct sql_type result_type;
    struct arena *arena; /* as long-lived as the result column: text of the result goes here */
    const struct eval_env *env;
    const struct function_row *function;
    const struct column *result; /* the result column, for fn_error's look at its nulls */
    struct row_errors *errors;
    void **state; /* NULL at first; what the kernel keeps from batch to batch (a compiled regular expression,
                     a zone); it lies in state_arena */
    struct arena *state_arena;
    void (**state_release)(void *state); /* NULL at first; set with a state that holds more than arena memory:
                                            called when the state's life ends */
};

/* Computes call->rows results. args[i] may be constant (is_constant): use COLUMN_AT. result->data is
 * allocated (not zeroed), never constant; result->nulls is NULL or allocated. Use fn_set_null to add a
 * NULL. */
typedef void (*fn_kernel)(struct fn_call *call, const struct column *args, struct column *result);

/* Set-returning: called per batch, appends for input row i any number of rows: out has the function's result
 * columns; out_rows gets the input row number of each. */
struct srf_output {
    struct batch *out;  /* columns of the result; append values with batch_append_datums */
    uint32_t *out_rows; /* grown by srf_append */
    uint32_t count, cap;
    struct arena *arena;
    /* Called by srf_append for every BATCH_ROWS_MAX rows: may hand them on and begin anew, may set
     * `stopped`. */
    void (*full)(struct srf_output *output);
    void *full_ctx;
    bool stopped; /* nobody wants more rows: kernels that can give many end */
};
typedef void (*srf_kernel)(struct fn_call *call, const struct column *args, struct srf_output *output);
void srf_append(struct srf_output *output, uint32_t input_row, const struct datum *values);

enum function_flags {
    FN_NULLS = 1,     /* sees NULL arguments itself (not strict) */
    FN_STABLE = 2,    /* depends on the session or transaction: not foldable, not in a view unless
                         FN_VIEW_OK */
    FN_VOLATILE = 4,  /* random(), clock_timestamp(): evaluated per row */
    FN_VIEW_OK = 8,   /* a stable function whose value a view may keep (depends on the zone only, recorded at
                         CREATE) */
    FN_OPERATOR = 16, /* an operator, not callable as a function */
    FN_SET = 32,      /* set-returning: `set` instead of `kernel` */
    FN_CAST = 64,     /* cast function: name is "cast", args the source, result the target type; kernel NULL:
                         the bytes are the same (CAST_RELABEL) */
    FN_CAST_IMPLICIT = 128,   /* with FN_CAST: allowed everywhere */
    FN_CAST_ASSIGNMENT = 256, /* with FN_CAST: allowed in assignments */
    FN_UNKNOWN = 1024,        /* a literal without a type stays "unknown" as an argument of type "any" */
    FN_HIDDEN = 512,          /* not listed in the reference page */
};

struct function_row {
    const char *name;
    const char *args;   /* "" for none */
    const char *result; /* "setof int4" for set-returning; "setof record(key text, value text)" for several
                           columns, "setof json(value)" for one that has a name */
    fn_kernel kernel;
    const char *help; /* one line: "upper('abc') gives 'ABC'" */
    uint32_t flags;
    srf_kernel set;
    const char *commutator; /* operators: "<" of ">"; NULL none */
    const char *negator;    /* "<>" of "=" */
};

/* ---- for kernels ---- */

#define COLUMN_AT(column, row)  ((column)->is_constant ? 0u : (row))
#define COLUMN_I16(column)      ((const int16_t *)(column)->data)
#define COLUMN_I32(column)      ((const int32_t *)(column)->data)
#define COLUMN_I64(column)      ((const int64_t *)(column)->data)
#define COLUMN_F32(column)      ((const float *)(column)->data)
#define COLUMN_F64(column)      ((const double *)(column)->data)
#define COLUMN_BOOL(column)     ((const uint8_t *)(column)->data)
#define COLUMN_VAR(column)      ((const struct varlen *)(column)->data)
#define COLUMN_INTERVAL(column) ((const struct interval *)(column)->data)

/* Raises an error for one row: ignored when result->nulls says the row is NULL. The row's value no longer
 * matters. */
void fn_error(struct fn_call *call, uint32_t row, enum error_code code, const char *format, ...)
    PRINTF_LIKE(4, 5);
/* The same with an error that some other function filled. */
void fn_error_from(struct fn_call *call, uint32_t row, const struct error *err);
void fn_set_null(struct fn_call *call, struct column *result, uint32_t row);

/* ---- the registry ---- */

/* Tables of rows are known to the registry by a list in function_registry.c; layers above the executor add
 * theirs at start, before any thread runs. */
void function_registry_add(const struct function_row *rows, size_t count);
/* All rows of a name (functions or operators), in *rows; 0 when there is none. */
size_t function_find(const char *name, bool is_operator, const struct function_row *const **rows);
/* Parsed signature. Types are OIDs; polymorphic ones OID_ANYELEMENT, OID_ANYARRAY, OID_ANY. */
struct function_signature {
    uint32_t args_count;
    const uint32_t *args;
    bool is_variadic;       /* the last one repeats */
    uint32_t result;        /* element type of a set; OID_RECORD when several columns */
    uint32_t columns_count; /* set-returning with several columns: their names and types */
    const char *const *column_names;
    const uint32_t *column_types;
    const char
        *value_name; /* set-returning with one column: its name, NULL: the alias or the function's name */
};
const struct function_signature *function_signature(const struct function_row *row);
/* The cast function row source -> target, NULL when none. */
const struct function_row *function_find_cast(uint32_t source, uint32_t target);
/* Exact overload by type OIDs ("=" for int4,int4), NULL when none: for code that builds expressions. */
const struct function_row *function_find_exact(const char *name, const uint32_t *args, uint32_t args_count);
/* A stable number for pg_proc.oid and pg_operator.oid. */
uint32_t function_oid(const struct function_row *row);
/* Walks everything: for the reference page and pg_proc. */
const struct function_row *function_at(size_t index);

#endif
