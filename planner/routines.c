/* routines.c: see routines.h. */
#include "planner/routines.h"

#include "executor/function_signature.h"
#include "planner/type_facts.h"

#include <pthread.h>
#include <stdlib.h>

static struct {
    struct arena arena;
    struct routine *items; /* by name */
    uint32_t count, cap;
    const struct routine **by_oid; /* operators behind all others */
    uint32_t operators_count;
} routines;

static pthread_once_t routines_once = PTHREAD_ONCE_INIT;

/* Window functions are known to the binder, not to the registry. */
static const struct {
    uint32_t oid;
    const char *name, *args, *result, *help;
} window_rows[] = {
    {3100, "row_number", "", "int8", "row_number() OVER (ORDER BY a) counts rows from 1"},
    {3101, "rank", "", "int8", "rank() OVER (ORDER BY a) gives equal rows the same number, with gaps"},
    {3102, "dense_rank", "", "int8",
     "dense_rank() OVER (ORDER BY a) gives equal rows the same number, without gaps"},
    {3103, "percent_rank", "", "float8", "percent_rank() OVER (ORDER BY a) gives (rank - 1) / (rows - 1)"},
    {3104, "cume_dist", "", "float8", "cume_dist() OVER (ORDER BY a) gives the share of rows up to this one"},
    {3105, "ntile", "int4", "int4", "ntile(4) OVER (ORDER BY a) deals rows into 4 parts"},
    {3106, "lag", "anyelement", "anyelement", "lag(a) OVER (ORDER BY b) gives a of the row before"},
    {3107, "lag", "anyelement,int4", "anyelement", "lag(a, 2) OVER (ORDER BY b) gives a of two rows before"},
    {3108, "lag", "anycompatible,int4,anycompatible", "anycompatible",
     "lag(a, 2, 0) OVER (ORDER BY b) gives 0 when there is no such row"},
    {3109, "lead", "anyelement", "anyelement", "lead(a) OVER (ORDER BY b) gives a of the next row"},
    {3110, "lead", "anyelement,int4", "anyelement", "lead(a, 2) OVER (ORDER BY b) gives a of two rows ahead"},
    {3111, "lead", "anycompatible,int4,anycompatible", "anycompatible",
     "lead(a, 2, 0) OVER (ORDER BY b) gives 0 when there is no such row"},
    {3112, "first_value", "anyelement", "anyelement",
     "first_value(a) OVER (ORDER BY b) gives a of the frame's first row"},
    {3113, "last_value", "anyelement", "anyelement",
     "last_value(a) OVER (ORDER BY b) gives a of the frame's last row"},
    {3114, "nth_value", "anyelement,int4", "anyelement",
     "nth_value(a, 2) OVER (ORDER BY b) gives a of the frame's second row"},
};

static void add(struct routine routine)
{
    ARENA_PUSH(&routines.arena, routines.items, routines.count, routines.cap, routine);
}

static const struct function_signature *parse(const char *args, const char *result)
{
    struct function_signature *signature = ARENA_NEW(&routines.arena, struct function_signature);
    function_signature_parse(&routines.arena, args, result, signature);
    return signature;
}

static void add_io_functions(void)
{
    static const char *const args[] = {NULL, NULL, "bytea", NULL, "cstring[]", "int4"};
    bool end = false;
    for (size_t i = 0; !end; i++) {
        for (enum type_io io = TYPE_IO_IN; io < TYPE_IO_COUNT && !end; io++) {
            char name[TYPE_IO_NAME_MAX];
            uint32_t type_oid;
            uint32_t oid = type_facts_function(i, io, name, &type_oid, &end);
            const struct type_row *type = end || oid == 0 ? NULL : type_find(type_oid);
            if (type == NULL)
                continue;
            const char *in = io == TYPE_IO_IN                          ? "cstring"
                             : io == TYPE_IO_OUT || io == TYPE_IO_SEND ? type->name
                                                                       : args[io];
            const char *out = io == TYPE_IO_OUT || io == TYPE_IO_MODOUT ? "cstring"
                              : io == TYPE_IO_SEND                      ? "bytea"
                              : io == TYPE_IO_MODIN                     ? "int4"
                                                                        : type->name;
            /* those that look at the element type or the type modifier get both */
            struct type_facts facts;
            bool is_typed = type_oid == OID_ANYARRAY || type_oid == OID_RECORD ||
                            (type_facts_find(type_oid, &facts) && facts.io[TYPE_IO_MODIN] != 0);
            if (is_typed && (io == TYPE_IO_IN || io == TYPE_IO_RECV))
                in = arena_printf(&routines.arena, "%s,oid,int4", in);
            add((struct routine){.oid = oid,
                                 .kind = ROUTINE_IO,
                                 .name = arena_strdup(&routines.arena, name),
                                 .signature = parse(in, out),
                                 .result = out,
                                 .help = "I/O"});
        }
    }
}

static int compare_names(const void *a, const void *b)
{
    const struct routine *left = a, *right = b;
    int order = strcmp(left->name, right->name);
    return order != 0 ? order : left->oid < right->oid ? -1 : left->oid > right->oid;
}

static int compare_oids(const void *a, const void *b)
{
    const struct routine *left = *(const struct routine *const *)a,
                         *right = *(const struct routine *const *)b;
    bool left_operator = left->kind == ROUTINE_OPERATOR, right_operator = right->kind == ROUTINE_OPERATOR;
    if (left_operator != right_operator)
        return left_operator ? 1 : -1;
    return left->oid < right->oid ? -1 : left->oid > right->oid;
}

static void fill(void)
{
    arena_init(&routines.arena, NULL);
    const struct function_row *function;
    for (size_t i = 0; (function = function_at(i)) != NULL; i++) {
        if ((function->flags & FN_CAST) != 0)
            continue;
        add((struct routine){.oid = function_oid(function),
                             .kind =
                                 (function->flags & FN_OPERATOR) != 0 ? ROUTINE_OPERATOR : ROUTINE_FUNCTION,
                             .name = function->name,
                             .function = function,
                             .signature = function_signature(function),
                             .result = function->result,
                             .help = function->help});
    }
    const struct aggregate_row *aggregate;
    for (size_t i = 0; (aggregate = aggregate_at(i)) != NULL; i++)
        add((struct routine){.oid = aggregate_oid(aggregate),
                             .kind = ROUTINE_AGGREGATE,
                             .name = aggregate->name,
                             .aggregate = aggregate,
                             .signature = aggregate_signature(aggregate),
                             .result = aggregate->result,
                             .help = aggregate->help});
    for (size_t i = 0; i < ARRAY_COUNT(window_rows); i++)
        add((struct routine){.oid = window_rows[i].oid,
                             .kind = ROUTINE_WINDOW,
                             .name = window_rows[i].name,
                             .signature = parse(window_rows[i].args, window_rows[i].result),
                             .result = window_rows[i].result,
                             .help = window_rows[i].help});
    add_io_functions();
    qsort(routines.items, routines.count, sizeof(*routines.items), compare_names);
    routines.by_oid = ARENA_ARRAY(&routines.arena, const struct routine *, routines.count);
    for (uint32_t i = 0; i < routines.count; i++) {
        routines.by_oid[i] = &routines.items[i];
        routines.operators_count += routines.items[i].kind == ROUTINE_OPERATOR;
    }
    qsort(routines.by_oid, routines.count, sizeof(*routines.by_oid), compare_oids);
}

const struct routine *routine_at(size_t index)
{
    pthread_once(&routines_once, fill);
    return index < routines.count ? &routines.items[index] : NULL;
}

static const struct routine *find_oid(uint32_t oid, uint32_t low, uint32_t high)
{
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (routines.by_oid[middle]->oid < oid)
            low = middle + 1;
        else if (routines.by_oid[middle]->oid > oid)
            high = middle;
        else
            return routines.by_oid[middle];
    }
    return NULL;
}

const struct routine *routine_find_oid(uint32_t oid)
{
    pthread_once(&routines_once, fill);
    return find_oid(oid, 0, routines.count - routines.operators_count);
}

const struct routine *routine_find_operator(uint32_t oid)
{
    pthread_once(&routines_once, fill);
    return find_oid(oid, routines.count - routines.operators_count, routines.count);
}

const struct routine *routine_find_name(const char *name, size_t *count)
{
    pthread_once(&routines_once, fill);
    uint32_t low = 0, high = routines.count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (strcmp(routines.items[middle].name, name) < 0)
            low = middle + 1;
        else
            high = middle;
    }
    *count = 0;
    while (low + *count < routines.count && strcmp(routines.items[low + *count].name, name) == 0)
        (*count)++;
    return *count > 0 ? &routines.items[low] : NULL;
}

void routine_arguments(const struct routine *routine, struct strbuf *out)
{
    const struct function_signature *signature = routine->signature;
    for (uint32_t i = 0; i < signature->args_count; i++) {
        strbuf_adds(out, i > 0 ? ", " : "");
        if (signature->is_variadic && i + 1 == signature->args_count)
            strbuf_adds(out, "VARIADIC ");
        type_format(signature->args[i], -1, out);
    }
}

bool routine_returns_set(const struct routine *routine)
{
    return strncmp(routine->result, "setof ", 6) == 0;
}

void routine_result(const struct routine *routine, struct strbuf *out)
{
    const struct function_signature *signature = routine->signature;
    if (signature->columns_count == 0) {
        strbuf_adds(out, routine_returns_set(routine) ? "SETOF " : "");
        type_format(signature->result, -1, out);
        return;
    }
    strbuf_adds(out, "TABLE(");
    for (uint32_t i = 0; i < signature->columns_count; i++) {
        strbuf_addf(out, "%s%s ", i > 0 ? ", " : "", signature->column_names[i]);
        type_format(signature->column_types[i], -1, out);
    }
    strbuf_addc(out, ')');
}
