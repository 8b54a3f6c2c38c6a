/* pass_lookup.c: a condition that gives every column of a key or an index a value reads those rows instead of
 * all. SELECT only. The condition stays above the scan: it also decides what NULL means. */
#include "planner/pass.h"

#include "executor/relation.h"

/* The row-less value a condition gives to a relation's column, NULL when none. */
static struct expr *value_of(const struct plan *calc, struct expr *const *parts, uint32_t count,
                             uint32_t relation_column)
{
    const struct plan *scan = calc->children[0];
    for (uint32_t i = 0; i < count; i++) {
        const struct expr *part = parts[i];
        if (part->kind != EXPR_CALL || part->args_count != 2 || !(part->function->flags & FN_OPERATOR) ||
            strcmp(part->function->name, "=") != 0)
            continue;
        for (int side = 0; side < 2; side++) {
            const struct expr *column = part->args[side];
            struct expr *value = part->args[1 - side];
            while (column->kind == EXPR_CAST && column->cast == CAST_RELABEL &&
                   column->args[0]->type.oid != OID_BPCHAR && column->type.oid != OID_BPCHAR)
                column = column->args[0];
            if (column->kind != EXPR_COLUMN || scan->scan.columns[column->index] != relation_column)
                continue;
            if (type_phys(value->type.oid) != type_phys(column->type.oid) || bound_uses_row(value) ||
                part->args[0]->type.oid != part->args[1]->type.oid || expr_is_volatile(value))
                continue;
            return value;
        }
    }
    return NULL;
}

static bool try_lookup(struct planner_context *ctx, struct plan *calc, struct expr *const *parts,
                       uint32_t count, const uint32_t *columns, uint32_t columns_count, int32_t index)
{
    if (columns_count == 0)
        return false;
    struct expr **values = ARENA_ARRAY(ctx->arena, struct expr *, columns_count);
    for (uint32_t i = 0; i < columns_count; i++) {
        values[i] = value_of(calc, parts, count, columns[i]);
        if (values[i] == NULL)
            return false;
    }
    struct plan_scan *scan = &calc->children[0]->scan;
    scan->lookup_count = columns_count;
    scan->lookup_columns = arena_copy(ctx->arena, columns, sizeof(*columns) * columns_count);
    scan->lookup_values = values;
    scan->lookup_index = index;
    return true;
}

static void lookup(struct planner_context *ctx, struct plan *plan)
{
    for (uint32_t i = 0; i < plan->children_count; i++)
        lookup(ctx, plan->children[i]);
    if (plan->kind != PLAN_CALC || plan->calc.condition == NULL || plan->children[0]->kind != PLAN_SCAN ||
        plan->children[0]->scan.relation == NULL || plan->children[0]->scan.lookup_count > 0)
        return;
    uint32_t count;
    struct expr **parts = bound_conjuncts(ctx->arena, plan->calc.condition, &count);
    const struct plan_scan *scan = &plan->children[0]->scan;
    const uint32_t *key;
    uint32_t key_count = relation_key(scan->relation, &key);
    if (try_lookup(ctx, plan, parts, count, key, key_count, -1))
        return;
    uint32_t dependents_count;
    uint32_t *dependents =
        catalog_dependents(ctx->catalog, scan->relation_oid, ctx->arena, &dependents_count);
    for (uint32_t i = 0; i < dependents_count; i++) {
        const struct catalog_object *object = catalog_find_oid(ctx->catalog, dependents[i]);
        if (object == NULL || object->kind != CATALOG_INDEX || object->index_of != scan->relation_oid ||
            object->index_number < 0)
            continue;
        if (try_lookup(ctx, plan, parts, count, object->index_columns, object->index_columns_count,
                       object->index_number))
            return;
    }
}

bool pass_lookup(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    if (!ctx->for_view && ctx->catalog != NULL)
        lookup(ctx, *plan);
    (void)err;
    return true;
}
