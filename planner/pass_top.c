/* pass_top.c: row_number() <= n becomes the first n rows of each partition.
 *
 * A condition on top of OVER that holds only up to some rank (rank < n, <= n, = n, BETWEEN) cuts every
 * partition short: the rows behind need not be ranked, and over append-only input not be kept. What else is
 * known to hold goes away with it; every other condition stays. A rank that nobody reads any more is not
 * computed. Only of views: a SELECT ranks its rows once. Comes after the columns that nobody reads have gone,
 * since ties are broken by the rest of the row. */
#include "planner/pass.h"

static bool is_integer(uint32_t oid)
{
    return oid == OID_INT2 || oid == OID_INT4 || oid == OID_INT8;
}

static bool integer_constant(const struct expr *expr, int64_t *out)
{
    if (expr->kind != EXPR_CONSTANT || expr->value.is_null || !is_integer(expr->type.oid))
        return false;
    *out = expr->type.oid == OID_INT8   ? expr->value.i64
           : expr->type.oid == OID_INT4 ? expr->value.i32
                                        : expr->value.i16;
    return true;
}

static bool is_column(const struct expr *expr, uint32_t column)
{
    return expr->kind == EXPR_COLUMN && expr->index == column;
}

/* Is the conjunct `rank op constant`, or the other way round? op: of "<=>" with '<' and '>' seen from the
 * rank; or_equal. */
static bool compares_rank(const struct expr *expr, uint32_t rank, char *op, bool *or_equal, int64_t *constant)
{
    if (expr->kind != EXPR_CALL || expr->args_count != 2 || !(expr->function->flags & FN_OPERATOR) ||
        !is_integer(expr->args[0]->type.oid) || !is_integer(expr->args[1]->type.oid))
        return false;
    const char *name = expr->function->name;
    bool known = strcmp(name, "<") == 0 || strcmp(name, "<=") == 0 || strcmp(name, "=") == 0 ||
                 strcmp(name, ">=") == 0 || strcmp(name, ">") == 0;
    if (!known)
        return false;
    *op = name[0];
    *or_equal = name[1] == '=';
    if (is_column(expr->args[0], rank))
        return integer_constant(expr->args[1], constant);
    if (!is_column(expr->args[1], rank) || !integer_constant(expr->args[0], constant))
        return false;
    *op = name[0] == '<' ? '>' : name[0] == '>' ? '<' : '=';
    return true;
}

/* The largest rank for which the conjunct holds. */
static bool bounds_rank(const struct expr *expr, uint32_t rank, int64_t *bound)
{
    char op;
    bool or_equal;
    if (!compares_rank(expr, rank, &op, &or_equal, bound) || op == '>')
        return false;
    if (op == '<' && !or_equal) {
        if (*bound == INT64_MIN)
            return false;
        (*bound)--;
    }
    return true;
}

/* Does the conjunct hold for every rank from 1 to limit? */
static bool always_holds(const struct expr *expr, uint32_t rank, int64_t limit)
{
    char op;
    bool or_equal;
    int64_t constant;
    if (!compares_rank(expr, rank, &op, &or_equal, &constant))
        return false;
    if (op == '>')
        return or_equal ? constant <= 1 : constant < 1;
    if (op == '=')
        return limit == 1 && constant == 1;
    return or_equal ? constant >= limit : constant > limit;
}

struct known_rank {
    struct arena *arena;
    uint32_t rank;
};

static struct expr *one_for_rank(void *known_, const struct expr *expr, uint32_t level)
{
    const struct known_rank *known = known_;
    return level == 0 && is_column(expr, known->rank) ? bound_int8(known->arena, 1) : NULL;
}

static bool reads(const struct plan *calc, const struct expr *condition, uint32_t column)
{
    bool *used = mem_zalloc(column + 1);
    for (uint32_t i = 0; i < calc->columns_count; i++)
        bound_columns(calc->calc.outputs[i], used, column + 1);
    if (condition != NULL)
        bound_columns(condition, used, column + 1);
    bool result = used[column];
    mem_free(used);
    return result;
}

static bool is_identity(const struct plan *plan)
{
    if (plan->calc.condition != NULL || plan->columns_count != plan->children[0]->columns_count)
        return false;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (!is_column(plan->calc.outputs[i], i))
            return false;
    }
    return true;
}

static struct plan *top(struct planner_context *ctx, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan->children[i] = top(ctx, plan->children[i]);
    if (plan->kind != PLAN_CALC || plan->calc.condition == NULL)
        return plan;
    const struct plan *over = plan->children[0];
    if (over->kind != PLAN_OVER || over->over.calls_count != 1)
        return plan;
    enum over_kind kind = over->over.calls[0].kind;
    if (kind != OVER_ROW_NUMBER && kind != OVER_RANK && kind != OVER_DENSE_RANK)
        return plan;

    struct arena *arena = ctx->arena;
    struct plan *child = over->children[0];
    uint32_t rank = child->columns_count, count, kept = 0;
    struct expr **conjuncts = bound_conjuncts(arena, plan->calc.condition, &count);
    int64_t limit = INT64_MAX, bound;
    for (uint32_t i = 0; i < count; i++) {
        if (bounds_rank(conjuncts[i], rank, &bound) && bound < limit)
            limit = bound;
    }
    if (limit == INT64_MAX || limit < 1)
        return plan;
    for (uint32_t i = 0; i < count; i++) {
        if (!always_holds(conjuncts[i], rank, limit))
            conjuncts[kept++] = conjuncts[i];
    }
    struct expr *condition = bound_and_list(arena, conjuncts, kept);
    struct plan *calc = plan_new(arena, PLAN_CALC, plan->columns_count, 1);
    memcpy(calc->types, plan->types, sizeof(*calc->types) * plan->columns_count);
    calc->names = plan->names;
    calc->calc.outputs = ARENA_ARRAY(arena, struct expr *, plan->columns_count);
    for (uint32_t i = 0; i < plan->columns_count; i++)
        calc->calc.outputs[i] = plan->calc.outputs[i];
    if (limit == 1) { /* the first of all orders is the same */
        struct known_rank known = {arena, rank};
        if (condition != NULL)
            condition = bound_map(arena, condition, one_for_rank, &known, 0);
        for (uint32_t i = 0; i < plan->columns_count; i++)
            calc->calc.outputs[i] = bound_map(arena, calc->calc.outputs[i], one_for_rank, &known, 0);
    }
    calc->calc.condition = condition;

    bool shows_rank = reads(calc, condition, rank);
    struct plan *sort = plan_new(arena, PLAN_SORT, child->columns_count + shows_rank, 1);
    memcpy(sort->types, child->types, sizeof(*sort->types) * child->columns_count);
    if (shows_rank)
        sort->types[rank] = over->types[rank];
    sort->children[0] = child;
    sort->sort.partition_count = over->over.partition_count;
    sort->sort.partition = over->over.partition;
    sort->sort.keys_count = over->over.keys_count;
    sort->sort.keys = over->over.keys;
    sort->sort.limit = bound_int8(arena, limit);
    sort->sort.rank = kind;
    sort->sort.shows_rank = shows_rank;
    calc->children[0] = sort;
    return is_identity(calc) ? sort : calc;
}

bool pass_top(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    if (ctx->for_view)
        *plan = top(ctx, *plan);
    (void)err;
    return true;
}
