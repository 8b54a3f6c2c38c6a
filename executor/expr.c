/* expr.c: making, comparing, copying and printing bound expressions.
 *
 * Arguments may be NULL pointers in one place only: omitted bounds of a slice (EXPR_SUBSCRIPT). The second
 * argument of an element-wise array cast is a little expression of its own whose column 0 is the element;
 * remapping and walking leave it alone, because its column numbers mean something else. */
#include "executor/expr.h"

#include "executor/expr_internal.h"
#include "executor/function.h"
#include "storage/base/strbuf.h"
#include "storage/data/hash.h"
#include "storage/data/type.h"

struct expr *expr_new(struct arena *arena, enum expr_kind kind, struct sql_type type)
{
    struct expr *expr = ARENA_NEW(arena, struct expr);
    expr->kind = kind;
    expr->type = type;
    return expr;
}

struct expr *expr_column(struct arena *arena, uint32_t column, struct sql_type type)
{
    struct expr *expr = expr_new(arena, EXPR_COLUMN, type);
    expr->index = column;
    return expr;
}

struct expr *expr_constant(struct arena *arena, struct sql_type type, struct datum value)
{
    struct expr *expr = expr_new(arena, EXPR_CONSTANT, type);
    expr->value = datum_copy(arena, type_phys(type.oid), &value);
    return expr;
}

struct expr *expr_call(struct arena *arena, const struct function_row *function, struct sql_type result,
                       struct expr **args, uint32_t args_count)
{
    struct expr *expr = expr_new(arena, EXPR_CALL, result);
    expr->function = function;
    expr->args_count = args_count;
    if (args_count > 0)
        expr->args = arena_copy(arena, args, sizeof(*args) * args_count);
    return expr;
}

bool expr_arg_is_private(const struct expr *expr, uint32_t arg)
{
    return expr->kind == EXPR_CAST && expr->cast == CAST_ARRAY && arg == 1;
}

bool expr_constant_equal(const struct expr *a, const struct expr *b)
{
    if (a->value.is_null || b->value.is_null)
        return a->value.is_null == b->value.is_null;
    enum phys phys = type_phys(a->type.oid);
    if (phys == PHYS_VAR)
        return varlen_identical(&a->value.var, &b->value.var);
    return memcmp(&a->value.fix16, &b->value.fix16, phys_bytes(phys)) == 0;
}

bool expr_equal(const struct expr *a, const struct expr *b)
{
    if (a == b)
        return true;
    if (a == NULL || b == NULL)
        return false;
    if (a->kind != b->kind || a->type.oid != b->type.oid || a->type.typmod != b->type.typmod ||
        a->flag != b->flag || a->args_count != b->args_count || a->function != b->function ||
        a->planner != b->planner)
        return false;
    switch (a->kind) {
    case EXPR_CONSTANT:
        return expr_constant_equal(a, b);
    case EXPR_COLUMN:
    case EXPR_PARAM:
        return a->index == b->index;
    case EXPR_OUTER:
        return a->index == b->index && a->levels_up == b->levels_up;
    case EXPR_BOOLEAN_TEST:
        if (a->test != b->test)
            return false;
        break;
    case EXPR_CAST:
        if (a->cast != b->cast || a->cast_is_explicit != b->cast_is_explicit)
            return false;
        break;
    default:
        break;
    }
    for (uint32_t i = 0; i < a->args_count; i++) {
        if (!expr_equal(a->args[i], b->args[i]))
            return false;
    }
    return true;
}

uint64_t expr_hash(const struct expr *expr)
{
    if (expr == NULL)
        return 0;
    uint64_t hash = hash_u64(((uint64_t)expr->kind << 32) | expr->type.oid);
    hash = hash_combine(hash, (uint64_t)(uintptr_t)expr->function);
    hash = hash_combine(hash, ((uint64_t)expr->index << 8) | ((uint64_t)expr->test << 4) | expr->flag);
    if (expr->kind == EXPR_CONSTANT && !expr->value.is_null) {
        enum phys phys = type_phys(expr->type.oid);
        hash = hash_combine(hash, phys == PHYS_VAR
                                      ? hash_bytes(varlen_bytes(&expr->value.var), expr->value.var.len)
                                      : hash_bytes(expr->value.fix16, phys_bytes(phys)));
    }
    for (uint32_t i = 0; i < expr->args_count; i++)
        hash = hash_combine(hash, expr_hash(expr->args[i]));
    return hash;
}

struct expr *expr_remap(struct arena *arena, const struct expr *expr, const uint32_t *map)
{
    if (expr == NULL)
        return NULL;
    struct expr *copy = arena_copy(arena, expr, sizeof(*expr));
    if (expr->kind == EXPR_COLUMN && map != NULL) {
        CHECK(map[expr->index] != UINT32_MAX);
        copy->index = map[expr->index];
    }
    if (expr->kind == EXPR_CONSTANT)
        copy->value = datum_copy(arena, type_phys(expr->type.oid), &expr->value);
    if (expr->args_count > 0) {
        copy->args = arena_alloc(arena, sizeof(*copy->args) * expr->args_count);
        for (uint32_t i = 0; i < expr->args_count; i++)
            copy->args[i] = expr_remap(arena, expr->args[i], expr_arg_is_private(expr, i) ? NULL : map);
    }
    return copy;
}

bool expr_walk(const struct expr *expr, bool (*visit)(void *ctx, const struct expr *node), void *ctx)
{
    if (expr == NULL)
        return true;
    if (!visit(ctx, expr))
        return false;
    for (uint32_t i = 0; i < expr->args_count; i++) {
        if (!expr_arg_is_private(expr, i) && !expr_walk(expr->args[i], visit, ctx))
            return false;
    }
    return true;
}

/* Types whose text form depends on the session or on the time. */
static bool io_is_stable(uint32_t oid)
{
    const struct type_row *row = type_find(oid);
    if (row != NULL && row->element_oid != 0)
        return io_is_stable(row->element_oid);
    switch (oid) {
    case OID_DATE:
    case OID_TIME:
    case OID_TIMESTAMP:
    case OID_TIMESTAMPTZ:
    case OID_INTERVAL:
    case OID_REGCLASS:
    case OID_REGTYPE:
    case OID_REGPROC:
    case OID_REGNAMESPACE:
    case OID_RECORD:
        return true;
    default:
        return false;
    }
}

static bool is_immutable_node(void *ctx, const struct expr *node)
{
    if (node->function != NULL && (node->function->flags & (FN_STABLE | FN_VOLATILE)) != 0)
        return false;
    switch (node->kind) {
    case EXPR_PARAM:
    case EXPR_OUTER:
    case EXPR_AGGREGATE:
    case EXPR_OVER:
    case EXPR_SUBQUERY:
    case EXPR_SET:
    case EXPR_GROUPING:
    case EXPR_SESSION:
        return false;
    case EXPR_CAST:
        if (node->cast == CAST_INPUT)
            return !io_is_stable(node->type.oid);
        if (node->cast == CAST_OUTPUT)
            return !io_is_stable(node->args[0]->type.oid);
        if (node->cast == CAST_ARRAY)
            return expr_is_immutable(node->args[1]);
        return true;
    default:
        return true;
    }
}

bool expr_is_immutable(const struct expr *expr)
{
    return expr_walk(expr, is_immutable_node, NULL);
}

static bool is_not_volatile_node(void *ctx, const struct expr *node)
{
    if (node->function != NULL && (node->function->flags & FN_VOLATILE) != 0)
        return false;
    return node->kind != EXPR_CAST || node->cast != CAST_ARRAY || !expr_is_volatile(node->args[1]);
}

bool expr_is_volatile(const struct expr *expr)
{
    return !expr_walk(expr, is_not_volatile_node, NULL);
}

/* ---- printing ---- */

static void print_constant(const struct expr *expr, struct strbuf *out)
{
    if (expr->value.is_null) {
        strbuf_adds(out, "NULL");
        return;
    }
    struct strbuf text = STRBUF_INIT;
    type_output(expr->type.oid, &expr->value, &io_env_default, &text);
    uint32_t oid = expr->type.oid;
    if (oid == OID_BOOL) {
        strbuf_adds(out, expr->value.boolean ? "true" : "false");
    } else if (oid == OID_INT4 || oid == OID_NUMERIC) {
        strbuf_add(out, strbuf_text(&text), text.len);
    } else {
        strbuf_addc(out, '\'');
        for (size_t i = 0; i < text.len; i++) {
            if (text.data[i] == '\'')
                strbuf_addc(out, '\'');
            strbuf_addc(out, text.data[i]);
        }
        strbuf_addc(out, '\'');
        if (oid != OID_TEXT) {
            strbuf_adds(out, "::");
            type_format(oid, expr->type.typmod, out);
        }
    }
    strbuf_release(&text);
}

static void print_args(const struct expr *expr, uint32_t first, const char *separator, struct strbuf *out)
{
    for (uint32_t i = first; i < expr->args_count; i++) {
        if (i > first)
            strbuf_adds(out, separator);
        if (expr->args[i] != NULL)
            expr_print(expr->args[i], out);
    }
}

static void print_call(const struct expr *expr, struct strbuf *out)
{
    bool is_operator = (expr->function->flags & FN_OPERATOR) != 0;
    if (is_operator && expr->args_count == 2) {
        strbuf_addc(out, '(');
        expr_print(expr->args[0], out);
        strbuf_addf(out, " %s ", expr->function->name);
        expr_print(expr->args[1], out);
        strbuf_addc(out, ')');
        return;
    }
    strbuf_addf(out, is_operator ? "(%s " : "%s(", expr->function->name);
    print_args(expr, 0, ", ", out);
    strbuf_addc(out, ')');
}

static void print_infix(const struct expr *expr, const char *operator_text, struct strbuf *out)
{
    strbuf_addc(out, '(');
    print_args(expr, 0, operator_text, out);
    strbuf_addc(out, ')');
}

static void print_named(const struct expr *expr, const char *name, struct strbuf *out)
{
    strbuf_addf(out, "%s(", name);
    print_args(expr, 0, ", ", out);
    strbuf_addc(out, ')');
}

static void print_suffix(const struct expr *expr, const char *suffix, struct strbuf *out)
{
    strbuf_addc(out, '(');
    expr_print(expr->args[0], out);
    strbuf_addf(out, " %s)", suffix);
}

static void print_case(const struct expr *expr, struct strbuf *out)
{
    strbuf_adds(out, "CASE");
    for (uint32_t i = 0; i + 1 < expr->args_count; i += 2) {
        strbuf_adds(out, " WHEN ");
        expr_print(expr->args[i], out);
        strbuf_adds(out, " THEN ");
        expr_print(expr->args[i + 1], out);
    }
    strbuf_adds(out, " ELSE ");
    expr_print(expr->args[expr->args_count - 1], out);
    strbuf_adds(out, " END");
}

static void print_subscript(const struct expr *expr, struct strbuf *out)
{
    expr_print(expr->args[0], out);
    for (uint32_t i = 1; i < expr->args_count; i++) {
        bool upper = expr->flag && i % 2 == 0;
        strbuf_addc(out, upper ? ':' : '[');
        if (expr->args[i] != NULL)
            expr_print(expr->args[i], out);
        if (!expr->flag || upper)
            strbuf_addc(out, ']');
    }
}

static void print_cast(const struct expr *expr, struct strbuf *out)
{
    expr_print(expr->args[0], out);
    strbuf_adds(out, "::");
    type_format(expr->type.oid, expr->type.typmod, out);
}

void expr_print(const struct expr *expr, struct strbuf *out)
{
    static const char *const tests[] = {
        [TEST_TRUE] = "IS TRUE",       [TEST_NOT_TRUE] = "IS NOT TRUE",
        [TEST_FALSE] = "IS FALSE",     [TEST_NOT_FALSE] = "IS NOT FALSE",
        [TEST_UNKNOWN] = "IS UNKNOWN", [TEST_NOT_UNKNOWN] = "IS NOT UNKNOWN",
    };
    switch (expr->kind) {
    case EXPR_CONSTANT:
        print_constant(expr, out);
        break;
    case EXPR_COLUMN:
        strbuf_addf(out, "#%u", expr->index);
        break;
    case EXPR_PARAM:
        strbuf_addf(out, "$%u", expr->index + 1);
        break;
    case EXPR_CALL:
        print_call(expr, out);
        break;
    case EXPR_AND:
        print_infix(expr, " AND ", out);
        break;
    case EXPR_OR:
        print_infix(expr, " OR ", out);
        break;
    case EXPR_NOT:
        strbuf_adds(out, "(NOT ");
        expr_print(expr->args[0], out);
        strbuf_addc(out, ')');
        break;
    case EXPR_IS_NULL:
        print_suffix(expr, expr->flag ? "IS NOT NULL" : "IS NULL", out);
        break;
    case EXPR_BOOLEAN_TEST:
        print_suffix(expr, tests[expr->test], out);
        break;
    case EXPR_IS_DISTINCT:
        print_infix(expr, expr->flag ? " IS NOT DISTINCT FROM " : " IS DISTINCT FROM ", out);
        break;
    case EXPR_CASE:
        print_case(expr, out);
        break;
    case EXPR_COALESCE:
        print_named(expr, "COALESCE", out);
        break;
    case EXPR_NULLIF:
        print_named(expr, "NULLIF", out);
        break;
    case EXPR_GREATEST:
        print_named(expr, "GREATEST", out);
        break;
    case EXPR_LEAST:
        print_named(expr, "LEAST", out);
        break;
    case EXPR_ANY:
        strbuf_addc(out, '(');
        expr_print(expr->args[0], out);
        strbuf_addf(out, " %s %s (", expr->function->name, expr->flag ? "ALL" : "ANY");
        expr_print(expr->args[1], out);
        strbuf_adds(out, "))");
        break;
    case EXPR_IN:
        strbuf_addc(out, '(');
        expr_print(expr->args[0], out);
        strbuf_adds(out, expr->flag ? " NOT IN (" : " IN (");
        print_args(expr, 1, ", ", out);
        strbuf_adds(out, "))");
        break;
    case EXPR_ARRAY:
        strbuf_adds(out, "ARRAY[");
        print_args(expr, 0, ", ", out);
        strbuf_addc(out, ']');
        break;
    case EXPR_SUBSCRIPT:
        print_subscript(expr, out);
        break;
    case EXPR_ROW:
        print_named(expr, "ROW", out);
        break;
    case EXPR_CAST:
    case EXPR_TYPMOD:
        print_cast(expr, out);
        break;
    case EXPR_OUTER:
        strbuf_addf(out, "outer%u#%u", expr->levels_up, expr->index);
        break;
    case EXPR_AGGREGATE:
        print_named(expr, "aggregate", out);
        break;
    case EXPR_OVER:
        print_named(expr, "window", out);
        break;
    case EXPR_SUBQUERY:
        print_named(expr, "subquery", out);
        break;
    case EXPR_SET:
        print_named(expr, expr->function != NULL ? expr->function->name : "set", out);
        break;
    case EXPR_GROUPING:
        print_named(expr, "grouping", out);
        break;
    case EXPR_SESSION:
        print_named(expr, "session", out);
        break;
    }
}
