/* expr.h: bound expressions, the planner's output and the compiler's input. Read-only once made; in an arena.
 *
 * Every node has its SQL type. Names are resolved: a column is a number into the input row, a function is its
 * row in the registry. Kinds from EXPR_OUTER on exist only inside the planner; expr_compile refuses them. */
#ifndef MILLRACE_EXECUTOR_EXPR_H
#define MILLRACE_EXECUTOR_EXPR_H

#include "storage/data/datum.h"

struct function_row;
struct aggregate_row;
struct plan;

enum expr_kind {
    EXPR_CONSTANT, /* value */
    EXPR_COLUMN,   /* column of the input row */
    EXPR_PARAM,    /* $index, 0-based; value in eval_env.params */
    EXPR_CALL,     /* function(args) */
    EXPR_AND,      /* args, any number >= 2; later ones run only on rows the earlier ones left open */
    EXPR_OR,
    EXPR_NOT,          /* args[0] */
    EXPR_IS_NULL,      /* args[0]; flag: IS NOT NULL */
    EXPR_BOOLEAN_TEST, /* args[0]; test */
    EXPR_IS_DISTINCT,  /* args[0] IS DISTINCT FROM args[1]; flag: IS NOT DISTINCT FROM. function: the "=" */
    EXPR_CASE,     /* args: when, then, when, then, ..., else (always present). Whens are boolean. Lazy. */
    EXPR_COALESCE, /* args, lazy */
    EXPR_NULLIF,   /* args[0], args[1]; function: the "=" */
    EXPR_GREATEST, /* args, same type; NULLs ignored */
    EXPR_LEAST,
    EXPR_ANY,       /* args[0] op ANY (args[1] array); function: op; flag: ALL */
    EXPR_IN,        /* args[0] = one of args[1..]; function: "="; all of one type; flag: NOT IN. Constants:
                       hashed */
    EXPR_ARRAY,     /* ARRAY[args]; type is the array type. Nested arrays give dimensions. */
    EXPR_SUBSCRIPT, /* args[0][args[1]][args[2]]...; flag: slices, then args come as lower, upper pairs; a
                       NULL pointer there is an omitted bound */
    EXPR_ROW,       /* ROW(args), type record */
    EXPR_CAST,      /* args[0] to type; cast says how; function when CAST_FUNCTION */
    EXPR_TYPMOD,    /* args[0] coerced to type.typmod; flag: explicit cast (cuts silently) */

    EXPR_OUTER,     /* planner: column of a query `levels_up` above */
    EXPR_AGGREGATE, /* planner: aggregate call before it moves into PLAN_AGGREGATE */
    EXPR_OVER,      /* planner: window function call before it moves into PLAN_OVER */
    EXPR_SUBQUERY,  /* planner: subquery in an expression before decorrelation */
    EXPR_SET,       /* planner: set-returning call before it moves into PLAN_PROJECT_SET */
    EXPR_GROUPING,  /* planner: grouping() */
    EXPR_SESSION,   /* planner: session(args[0] time, args[1] gap in us), a group that becomes PLAN_SESSION */
};

enum boolean_test { TEST_TRUE, TEST_NOT_TRUE, TEST_FALSE, TEST_NOT_FALSE, TEST_UNKNOWN, TEST_NOT_UNKNOWN };

enum cast_method {
    CAST_RELABEL,  /* same bytes: text <-> varchar <-> name <-> bpchar(strip done by a function), oid <->
                      regclass ... */
    CAST_FUNCTION, /* a cast function's kernel; the same as CAST_RELABEL when the row has none */
    CAST_INPUT,    /* text form through type_input */
    CAST_OUTPUT,   /* type_output to text */
    CAST_ARRAY,    /* element-wise: args[1] casts one element, which it sees as EXPR_COLUMN 0 */
};

struct expr {
    enum expr_kind kind;
    struct sql_type type;
    int32_t position; /* 1-based character in the statement, 0 unknown */
    bool flag;        /* see the kinds */
    uint32_t args_count;
    struct expr **args;
    const struct function_row *function;
    struct datum value;     /* CONSTANT */
    uint32_t index;         /* COLUMN, PARAM, OUTER */
    enum boolean_test test; /* BOOLEAN_TEST */
    enum cast_method cast;  /* CAST */
    bool cast_is_explicit;  /* CAST: explicit cast semantics (cuts over-long text) */
    uint32_t levels_up;     /* OUTER: 1 = the enclosing query */
    void *planner;          /* planner-only kinds: their own struct */
};

/* Builders: everything in the arena. */
struct expr *expr_new(struct arena *arena, enum expr_kind kind, struct sql_type type);
struct expr *expr_column(struct arena *arena, uint32_t column, struct sql_type type);
struct expr *expr_constant(struct arena *arena, struct sql_type type, struct datum value);
struct expr *expr_call(struct arena *arena, const struct function_row *function, struct sql_type result,
                       struct expr **args, uint32_t args_count);
/* Same shape, functions, constants (identical) and columns. */
bool expr_equal(const struct expr *a, const struct expr *b);
/* Two constants of one type: the same bytes, or both NULL. */
bool expr_constant_equal(const struct expr *a, const struct expr *b);
/* Deep copy with EXPR_COLUMN numbers replaced by map[number] (UINT32_MAX in the map CHECKs); map NULL: plain
 * copy. */
struct expr *expr_remap(struct arena *arena, const struct expr *expr, const uint32_t *map);
/* Calls visit(ctx, node) for every node, parents first; stops when it returns false, and returns false then.
 * The element expression of a CAST_ARRAY (args[1]) is not entered: its columns are others. */
bool expr_walk(const struct expr *expr, bool (*visit)(void *ctx, const struct expr *node), void *ctx);
bool expr_is_immutable(const struct expr *expr); /* no volatile or stable function, no parameter */
bool expr_is_volatile(const struct expr *expr);
/* One-line text for EXPLAIN and fingerprints: "(#0 + 1)", "lower(#2)". */
struct strbuf;
void expr_print(const struct expr *expr, struct strbuf *out);

#endif
