/* routines.h: every function, aggregate and operator once more, by OID and by name: what pg_proc,
 * pg_operator, regproc and \df are about.
 *
 * Built on first use, after all tables were registered; read-only afterwards. Cast functions have no name
 * that SQL could call and are left out. */
#ifndef MILLRACE_PLANNER_ROUTINES_H
#define MILLRACE_PLANNER_ROUTINES_H

#include "executor/aggregate.h"
#include "executor/function.h"

#define PG_LANGUAGE_INTERNAL 12u

enum routine_kind {
    ROUTINE_FUNCTION,
    ROUTINE_OPERATOR,
    ROUTINE_AGGREGATE,
    ROUTINE_WINDOW, /* row_number() and its like */
    ROUTINE_IO,     /* input and output functions of types: listed, not callable */
};

struct routine {
    uint32_t oid;
    enum routine_kind kind;
    const char *name;
    const struct function_row *function;   /* functions and operators */
    const struct aggregate_row *aggregate; /* aggregates */
    const struct function_signature *signature;
    const char *result; /* as its row says it */
    const char *help;   /* NULL: none */
};

/* In order of names, operators among them; NULL behind the last. */
const struct routine *routine_at(size_t index);
/* Functions, aggregates ...: not operators, which have numbers of their own in pg_operator. */
const struct routine *routine_find_oid(uint32_t oid);
const struct routine *routine_find_operator(uint32_t oid);
/* The first of that name, *count of them stand in a row. */
const struct routine *routine_find_name(const char *name, size_t *count);
/* Appends "text, integer" as pg_get_function_identity_arguments shows it. */
void routine_arguments(const struct routine *routine, struct strbuf *out);
/* Appends "SETOF integer", "TABLE(a text, b integer)". */
void routine_result(const struct routine *routine, struct strbuf *out);
bool routine_returns_set(const struct routine *routine);

#endif
