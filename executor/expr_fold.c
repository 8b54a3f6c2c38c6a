/* expr_fold.c: evaluates what does not depend on rows, session or time before the program is made.
 *
 * A part that fails stays as it is and fails when (and only if) a row reaches it: "case when false then 1/0
 * end" is no error. Conditions decided by constants disappear, as in PostgreSQL's planner. */
#include "executor/expr_internal.h"
#include "executor/expr_steps.h"

static struct eval_env fold_env(void)
{
    return (struct eval_env){.io = io_env_default};
}

/* Text forms that depend on settings PostgreSQL ignores when it calls a cast immutable. */
static bool io_depends_on_settings(const struct expr *expr)
{
    if (expr->kind != EXPR_CAST || expr->cast != CAST_OUTPUT)
        return false;
    uint32_t oid = expr->args[0]->type.oid;
    const struct type_row *row = type_find(oid);
    if (row != NULL && row->element_oid != 0)
        oid = row->element_oid;
    return oid == OID_FLOAT4 || oid == OID_FLOAT8 || oid == OID_BYTEA || oid == OID_RECORD;
}

static bool is_constant(const struct expr *expr)
{
    return expr->kind == EXPR_CONSTANT;
}

static bool is_null_constant(const struct expr *expr)
{
    return expr->kind == EXPR_CONSTANT && expr->value.is_null;
}

static const struct expr *make_constant(struct arena *arena, const struct expr *like, struct datum value)
{
    struct expr *constant = expr_constant(arena, like->type, value);
    constant->position = like->position;
    return constant;
}

static const struct expr *with_args(struct arena *arena, const struct expr *expr, struct expr **args,
                                    uint32_t count)
{
    struct expr *copy = arena_copy(arena, expr, sizeof(*expr));
    copy->args = args;
    copy->args_count = count;
    return copy;
}

static const struct expr *fold_and_or(struct arena *arena, const struct expr *expr)
{
    bool decides = expr->kind == EXPR_OR; /* the value that settles it */
    struct expr **args = ARENA_ARRAY(arena, struct expr *, expr->args_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < expr->args_count; i++) {
        const struct expr *arg = expr->args[i];
        if (is_constant(arg) && !arg->value.is_null) {
            if (arg->value.boolean == decides)
                return make_constant(arena, expr, datum_bool(decides));
            continue;
        }
        args[count++] = expr->args[i];
    }
    if (count == 0)
        return make_constant(arena, expr, datum_bool(!decides));
    if (count == 1)
        return args[0];
    return count == expr->args_count ? expr : with_args(arena, expr, args, count);
}

static const struct expr *fold_case(struct arena *arena, const struct expr *expr)
{
    struct expr **args = ARENA_ARRAY(arena, struct expr *, expr->args_count);
    uint32_t count = 0;
    const struct expr *otherwise = expr->args[expr->args_count - 1];
    for (uint32_t i = 0; i + 1 < expr->args_count; i += 2) {
        const struct expr *when = expr->args[i];
        if (is_constant(when)) {
            if (when->value.is_null || !when->value.boolean)
                continue;
            otherwise = expr->args[i + 1];
            break;
        }
        args[count++] = expr->args[i];
        args[count++] = expr->args[i + 1];
    }
    if (count == 0)
        return otherwise;
    args[count++] = (struct expr *)otherwise;
    return count == expr->args_count ? expr : with_args(arena, expr, args, count);
}

static const struct expr *fold_coalesce(struct arena *arena, const struct expr *expr)
{
    struct expr **args = ARENA_ARRAY(arena, struct expr *, expr->args_count);
    uint32_t count = 0;
    for (uint32_t i = 0; i < expr->args_count; i++) {
        if (is_null_constant(expr->args[i]))
            continue;
        args[count++] = expr->args[i];
        if (is_constant(expr->args[i]))
            break;
    }
    if (count == 0)
        return make_constant(arena, expr, datum_null());
    if (count == 1)
        return args[0];
    return count == expr->args_count ? expr : with_args(arena, expr, args, count);
}

static bool is_foldable(const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_CONSTANT:
    case EXPR_COLUMN:
    case EXPR_PARAM:
    case EXPR_ROW:
        return false;
    default:
        break;
    }
    if (expr->kind >= EXPR_OUTER || io_depends_on_settings(expr))
        return false;
    for (uint32_t i = 0; i < expr->args_count; i++) {
        if (expr->args[i] != NULL && !expr_arg_is_private(expr, i) && !is_constant(expr->args[i]))
            return false;
    }
    return expr_is_immutable(expr);
}

static bool evaluate(const struct expr *expr, const struct eval_env *env, bool fold, struct arena *arena,
                     struct datum *out, struct error *err)
{
    struct arena temporary;
    arena_init(&temporary, arena->account);
    struct expr_program *program;
    bool ok = fold ? expr_compile(&temporary, &expr, 1, &program, err)
                   : expr_compile_plain(&temporary, &expr, 1, &program, err);
    if (ok) {
        struct expr_run *run = expr_run_create(program, arena->account);
        struct batch none = {.rows = 1};
        struct column result;
        ok = expr_run_eval(run, env, &none, NULL, 1, &result, NULL, err);
        if (ok) {
            struct datum value = column_get(&result, 0);
            *out = datum_copy(arena, result.phys, &value);
        }
        expr_run_destroy(run);
    }
    arena_release(&temporary);
    return ok;
}

bool expr_eval_constant(const struct expr *expr, const struct eval_env *env, struct arena *arena,
                        struct datum *out, struct error *err)
{
    return evaluate(expr, env, true, arena, out, err);
}

static const struct expr *fold_node(struct arena *arena, const struct expr *expr)
{
    switch (expr->kind) {
    case EXPR_AND:
    case EXPR_OR:
        return fold_and_or(arena, expr);
    case EXPR_CASE:
        return fold_case(arena, expr);
    case EXPR_COALESCE:
        return fold_coalesce(arena, expr);
    case EXPR_CALL:
        if ((expr->function->flags & (FN_NULLS | FN_SET)) == 0) {
            for (uint32_t i = 0; i < expr->args_count; i++) {
                if (is_null_constant(expr->args[i]))
                    return make_constant(arena, expr, datum_null());
            }
        }
        break;
    default:
        break;
    }
    if (!is_foldable(expr))
        return expr;
    struct eval_env env = fold_env();
    struct datum value;
    if (!evaluate(expr, &env, false, arena, &value, NULL))
        return expr;
    return make_constant(arena, expr, value);
}

const struct expr *expr_fold(struct arena *arena, const struct expr *expr)
{
    if (expr == NULL || expr->args_count == 0)
        return expr == NULL ? NULL : fold_node(arena, expr);
    struct expr **args = NULL;
    for (uint32_t i = 0; i < expr->args_count; i++) {
        if (expr_arg_is_private(expr, i))
            continue;
        const struct expr *folded = expr_fold(arena, expr->args[i]);
        if (folded != expr->args[i] && args == NULL)
            args = arena_copy(arena, expr->args, sizeof(*args) * expr->args_count);
        if (args != NULL)
            args[i] = (struct expr *)folded;
    }
    return fold_node(arena, args == NULL ? expr : with_args(arena, expr, args, expr->args_count));
}
