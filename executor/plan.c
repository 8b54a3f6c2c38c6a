/* plan.c: builders of plan nodes, the properties that follow from a plan, and its text form.
 *
 * Properties are found bottom-up by plan_finish: whether a node's change stream is free of retractions, and
 * which output columns are unique together (NULL counted as a value). Both say "no" when in doubt. */
#include "executor/plan.h"

#include "executor/aggregate.h"
#include "executor/function.h"
#include "executor/relation.h"
#include "storage/data/calendar.h"

struct plan *plan_new(struct arena *arena, enum plan_kind kind, uint32_t columns_count,
                      uint32_t children_count)
{
    struct plan *plan = ARENA_NEW(arena, struct plan);
    plan->kind = kind;
    plan->columns_count = columns_count;
    plan->types = ARENA_ARRAY(arena, struct sql_type, columns_count);
    plan->children_count = children_count;
    plan->children = ARENA_ARRAY(arena, struct plan *, children_count);
    if (kind == PLAN_SCAN)
        plan->scan.lookup_index = -1;
    return plan;
}

struct plan *plan_filter(struct arena *arena, struct plan *child, struct expr *condition)
{
    struct plan *plan = plan_new(arena, PLAN_CALC, child->columns_count, 1);
    plan->children[0] = child;
    plan->calc.condition = condition;
    plan->calc.outputs = ARENA_ARRAY(arena, struct expr *, child->columns_count);
    for (uint32_t i = 0; i < child->columns_count; i++) {
        plan->types[i] = child->types[i];
        plan->calc.outputs[i] = expr_column(arena, i, child->types[i]);
    }
    plan->names = child->names;
    return plan;
}

struct plan *plan_project(struct arena *arena, struct plan *child, struct expr **outputs,
                          uint32_t outputs_count)
{
    struct plan *plan = plan_new(arena, PLAN_CALC, outputs_count, 1);
    plan->children[0] = child;
    plan->calc.outputs = arena_copy(arena, outputs, sizeof(*outputs) * outputs_count);
    for (uint32_t i = 0; i < outputs_count; i++)
        plan->types[i] = outputs[i]->type;
    return plan;
}

struct plan *plan_distinct(struct arena *arena, struct plan *child)
{
    struct plan *plan = plan_new(arena, PLAN_AGGREGATE, child->columns_count, 1);
    plan->children[0] = child;
    plan->aggregate.groups_count = child->columns_count;
    plan->aggregate.groups = ARENA_ARRAY(arena, uint32_t, child->columns_count);
    for (uint32_t i = 0; i < child->columns_count; i++) {
        plan->types[i] = child->types[i];
        plan->aggregate.groups[i] = i;
    }
    plan->names = child->names;
    return plan;
}

void plan_walk(struct plan *plan, void (*visit)(void *ctx, struct plan *node), void *ctx)
{
    visit(ctx, plan);
    for (uint32_t i = 0; i < plan->children_count; i++)
        plan_walk(plan->children[i], visit, ctx);
}

/* ---- properties ---- */

static void key_set(struct plan *plan, struct arena *arena, const uint32_t *columns, uint32_t count)
{
    plan->has_key = true;
    plan->keys_count = count;
    plan->keys = arena_copy(arena, columns, sizeof(*columns) * count);
}

static void key_add(struct plan *plan, struct arena *arena, const uint32_t *columns, uint32_t count,
                    uint32_t shift)
{
    uint32_t *keys = ARENA_ARRAY(arena, uint32_t, plan->keys_count + count);
    if (plan->keys_count > 0)
        memcpy(keys, plan->keys, sizeof(*keys) * plan->keys_count);
    for (uint32_t i = 0; i < count; i++)
        keys[plan->keys_count++] = columns[i] + shift;
    plan->keys = keys;
    plan->has_key = true;
}

static bool is_among(uint32_t column, const uint32_t *columns, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (columns[i] == column)
            return true;
    }
    return false;
}

/* Is the child's key wholly among the columns? Then each value of the columns occurs at most once. */
static bool key_within(const struct plan *child, const uint32_t *columns, uint32_t count)
{
    if (!child->has_key)
        return false;
    for (uint32_t i = 0; i < child->keys_count; i++) {
        if (!is_among(child->keys[i], columns, count))
            return false;
    }
    return true;
}

static void copy_key(struct plan *plan, const struct plan *child)
{
    plan->has_key = child->has_key;
    plan->keys_count = child->keys_count;
    plan->keys = child->keys;
}

static void finish_scan(struct plan *plan, struct arena *arena)
{
    if (plan->scan.relation == NULL)
        return;
    plan->append_only = relation_is_append_only(plan->scan.relation);
    const uint32_t *key = NULL;
    uint32_t key_count = relation_key(plan->scan.relation, &key);
    if (key_count == 0)
        return;
    uint32_t *columns = ARENA_ARRAY(arena, uint32_t, key_count);
    for (uint32_t i = 0; i < key_count; i++) {
        uint32_t at = 0;
        while (at < plan->columns_count && plan->scan.columns[at] != key[i])
            at++;
        if (at == plan->columns_count)
            return;
        columns[i] = at;
    }
    key_set(plan, arena, columns, key_count);
}

static void finish_calc(struct plan *plan, struct arena *arena)
{
    const struct plan *child = plan->children[0];
    plan->append_only = child->append_only;
    if (!child->has_key)
        return;
    uint32_t *columns = ARENA_ARRAY(arena, uint32_t, child->keys_count);
    for (uint32_t i = 0; i < child->keys_count; i++) {
        uint32_t at = 0;
        while (at < plan->columns_count && !(plan->calc.outputs[at]->kind == EXPR_COLUMN &&
                                             plan->calc.outputs[at]->index == child->keys[i]))
            at++;
        if (at == plan->columns_count)
            return;
        columns[i] = at;
    }
    key_set(plan, arena, columns, child->keys_count);
}

static void finish_join(struct plan *plan, struct arena *arena)
{
    const struct plan *left = plan->children[0], *right = plan->children[1];
    enum join_kind kind = plan->join.kind;
    plan->append_only = (kind == JOIN_INNER || kind == JOIN_SEMI) && left->append_only && right->append_only;
    if (kind == JOIN_SEMI || kind == JOIN_ANTI) {
        copy_key(plan, left);
        return;
    }
    bool right_once = key_within(right, plan->join.right_keys, plan->join.keys_count);
    bool left_once = key_within(left, plan->join.left_keys, plan->join.keys_count);
    if ((kind == JOIN_INNER || kind == JOIN_LEFT) && right_once && left->has_key) {
        copy_key(plan, left);
    } else if (kind == JOIN_INNER && left_once && right->has_key) {
        key_add(plan, arena, right->keys, right->keys_count, left->columns_count);
    } else if (left->has_key && right->has_key) {
        key_set(plan, arena, left->keys, left->keys_count);
        key_add(plan, arena, right->keys, right->keys_count, left->columns_count);
        /* Of a FULL join of two single rows two may remain: no column tells them apart when all are NULL. */
        plan->has_key = kind != JOIN_FULL || (left->keys_count > 0 && right->keys_count > 0);
    }
}

static void finish_window(struct plan *plan, struct arena *arena)
{
    const struct plan *child = plan->children[0];
    plan->append_only = child->append_only;
    copy_key(plan, child);
    if (child->has_key && plan->window.slide_us != plan->window.size_us && plan->window.slice_us == 0)
        key_add(plan, arena, &(uint32_t){child->columns_count}, 1, 0);
    if (child->has_key && plan->window.step_us != 0)
        key_add(plan, arena, &(uint32_t){child->columns_count + 1}, 1, 0);
}

static void finish_session(struct plan *plan, struct arena *arena)
{
    if (!plan->session.is_aggregate) {
        copy_key(plan, plan->children[0]);
        return;
    }
    uint32_t *columns = ARENA_ARRAY(arena, uint32_t, plan->session.groups_count);
    for (uint32_t i = 0; i < plan->session.groups_count; i++)
        columns[i] = i;
    key_set(plan, arena, columns, plan->session.groups_count);
}

static void finish_aggregate(struct plan *plan, struct arena *arena)
{
    plan->append_only = plan->aggregate.calls_count == 0 && plan->children[0]->append_only;
    uint32_t *columns = ARENA_ARRAY(arena, uint32_t, plan->aggregate.groups_count);
    for (uint32_t i = 0; i < plan->aggregate.groups_count; i++)
        columns[i] = i;
    key_set(plan, arena, columns, plan->aggregate.groups_count);
    if (plan->aggregate.groups_count == 0 && plan->aggregate.calls_count == 0)
        plan->has_key = true; /* DISTINCT of rows without columns: one row at most */
}

static void finish_sort(struct plan *plan, struct arena *arena)
{
    const struct plan *child = plan->children[0];
    bool cuts = plan->sort.limit != NULL || plan->sort.offset != NULL || plan->sort.distinct_on;
    plan->append_only = child->append_only && !cuts;
    copy_key(plan, child);
    const struct expr *limit = plan->sort.limit;
    bool counts_rows = !plan->sort.with_ties && plan->sort.rank <= OVER_ROW_NUMBER;
    bool one = limit != NULL && limit->kind == EXPR_CONSTANT && !limit->value.is_null &&
               limit->value.i64 <= 1 && counts_rows;
    bool by_rank = plan->sort.shows_rank && counts_rows && !child->has_key;
    if (plan->sort.distinct_on || one || by_rank)
        key_set(plan, arena, plan->sort.partition, plan->sort.partition_count);
    if (by_rank && !one)
        key_add(plan, arena, &(uint32_t){plan->columns_count - 1}, 1, 0);
}

/* Of a temporal filter: no row leaves, as conditions only become true. */
static bool rows_stay(const struct plan *plan)
{
    for (uint32_t i = 0; i < plan->temporal_filter.bounds_count; i++) {
        const struct plan_time_bound *bound = &plan->temporal_filter.bounds[i];
        bool becomes_true = bound->comparison == TIME_LESS || bound->comparison == TIME_LESS_EQUAL;
        if (!becomes_true || bound->now->kind != EXPR_COLUMN) /* other functions of the clock may fall */
            return false;
    }
    return plan->temporal_filter.ttl_us == 0;
}

static void finish_node(struct plan *plan, struct arena *arena)
{
    const struct plan *child = plan->children_count > 0 ? plan->children[0] : NULL;
    plan->append_only = false;
    plan->has_key = false;
    plan->keys_count = 0;
    plan->keys = NULL;
    switch (plan->kind) {
    case PLAN_SCAN:
        finish_scan(plan, arena);
        break;
    case PLAN_SYSTEM:
        break;
    case PLAN_VALUES:
        plan->append_only = true;
        plan->has_key = plan->values.rows_count <= 1;
        break;
    case PLAN_PROJECT_SET:
        plan->append_only = child->append_only && !plan->project_set.keep_empty;
        if (plan->project_set.ordinality && child->has_key) {
            copy_key(plan, child);
            key_add(plan, arena, &(uint32_t){plan->columns_count - 1}, 1, 0);
        }
        plan->append_only = child->append_only;
        break;
    case PLAN_CALC:
        finish_calc(plan, arena);
        break;
    case PLAN_WINDOW:
        finish_window(plan, arena);
        break;
    case PLAN_SESSION:
        finish_session(plan, arena);
        break;
    case PLAN_AGGREGATE:
        finish_aggregate(plan, arena);
        break;
    case PLAN_JOIN:
        finish_join(plan, arena);
        break;
    case PLAN_UNION_ALL:
        plan->append_only = true;
        for (uint32_t i = 0; i < plan->children_count; i++)
            plan->append_only = plan->append_only && plan->children[i]->append_only;
        if (plan->children_count == 1)
            copy_key(plan, child);
        break;
    case PLAN_SET_OP:
        plan->append_only =
            !plan->set_op.is_except && plan->children[0]->append_only && plan->children[1]->append_only;
        if (!plan->set_op.all) {
            uint32_t *columns = ARENA_ARRAY(arena, uint32_t, plan->columns_count);
            for (uint32_t i = 0; i < plan->columns_count; i++)
                columns[i] = i;
            key_set(plan, arena, columns, plan->columns_count);
        } else if (plan->set_op.is_except) {
            copy_key(plan, child);
        }
        break;
    case PLAN_SORT:
        finish_sort(plan, arena);
        break;
    case PLAN_AT_MOST_ONE:
        plan->append_only = child->append_only;
        key_set(plan, arena, plan->at_most_one.partition, plan->at_most_one.partition_count);
        break;
    case PLAN_OVER:
        copy_key(plan, child);
        break;
    case PLAN_LATE:
        plan->append_only = child->append_only;
        copy_key(plan, child);
        break;
    case PLAN_TEMPORAL_FILTER:
        plan->append_only = child->append_only && rows_stay(plan);
        copy_key(plan, child);
        break;
    case PLAN_FINAL:
        plan->append_only = !plan->final.corrects;
        copy_key(plan, child);
        break;
    case PLAN_EVERY:
        plan->append_only = child->append_only;
        copy_key(plan, child);
        break;
    case PLAN_INTERVAL_JOIN:
        plan->append_only =
            plan->interval_join.kind == JOIN_INNER && child->append_only && plan->children[1]->append_only;
        break;
    case PLAN_ASOF_JOIN:
        copy_key(plan, child);
        break;
    case PLAN_LOOKUP_JOIN:
        plan->append_only = child->append_only;
        break;
    }
}

int64_t plan_window_span_us(const struct plan *plan)
{
    return plan->window.size_us;
}

static void finish_tree(struct plan *plan, struct arena *arena, uint32_t *next_id)
{
    plan->id = (*next_id)++;
    for (uint32_t i = 0; i < plan->children_count; i++)
        finish_tree(plan->children[i], arena, next_id);
    finish_node(plan, arena);
}

void plan_finish(struct plan *plan, struct arena *arena)
{
    uint32_t next_id = 0;
    finish_tree(plan, arena, &next_id);
}

/* ---- text ---- */

static void print_columns(const uint32_t *columns, uint32_t count, struct strbuf *out)
{
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(out, "%s#%u", i > 0 ? ", " : "", columns[i]);
}

static void print_exprs(struct expr *const *exprs, uint32_t count, struct strbuf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        strbuf_adds(out, i > 0 ? ", " : "");
        expr_print(exprs[i], out);
    }
}

static void print_keys(const struct sort_key *keys, uint32_t count, struct strbuf *out)
{
    for (uint32_t i = 0; i < count; i++) {
        strbuf_addf(out, "%s#%u%s", i > 0 ? ", " : "", keys[i].column, keys[i].descending ? " desc" : "");
        if (keys[i].nulls_first != keys[i].descending)
            strbuf_adds(out, keys[i].nulls_first ? " nulls first" : " nulls last");
    }
}

static void print_partition(const uint32_t *columns, uint32_t count, struct strbuf *out)
{
    if (count == 0)
        return;
    strbuf_adds(out, " partition by ");
    print_columns(columns, count, out);
}

static bool is_identity(const struct plan *plan)
{
    if (plan->columns_count != plan->children[0]->columns_count)
        return false;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        const struct expr *output = plan->calc.outputs[i];
        if (output->kind != EXPR_COLUMN || output->index != i)
            return false;
    }
    return true;
}

static void print_calc(const struct plan *plan, struct strbuf *out)
{
    strbuf_adds(out, "Calc");
    if (plan->calc.condition != NULL) {
        strbuf_adds(out, " where ");
        expr_print(plan->calc.condition, out);
    }
    if (!is_identity(plan)) {
        strbuf_adds(out, " [");
        print_exprs(plan->calc.outputs, plan->columns_count, out);
        strbuf_adds(out, "]");
    }
}

static void print_calls(const struct plan_aggregate_call *calls, uint32_t calls_count, struct strbuf *out)
{
    for (uint32_t i = 0; i < calls_count; i++) {
        const struct plan_aggregate_call *call = &calls[i];
        strbuf_addf(out, "%s%s(%s", i > 0 ? ", " : ": ", call->aggregate->name,
                    call->is_distinct ? "distinct " : "");
        if (call->args_count == 0)
            strbuf_adds(out, "*");
        print_columns(call->args, call->args_count, out);
        if (call->order_count > 0) {
            strbuf_adds(out, " order by ");
            print_keys(call->order, call->order_count, out);
        }
        strbuf_adds(out, ")");
        if (call->filter >= 0)
            strbuf_addf(out, " filter #%d", call->filter);
    }
}

static void print_aggregate(const struct plan *plan, struct strbuf *out)
{
    strbuf_adds(out, plan->aggregate.calls_count == 0 ? "Distinct" : "Aggregate");
    if (plan->aggregate.groups_count > 0) {
        strbuf_adds(out, plan->aggregate.calls_count == 0 ? " on " : " by ");
        print_columns(plan->aggregate.groups, plan->aggregate.groups_count, out);
    }
    print_calls(plan->aggregate.calls, plan->aggregate.calls_count, out);
    if (plan->aggregate.slices != NULL)
        strbuf_addf(out, " over windows of slices: slide %lld size %lld",
                    (long long)plan->aggregate.slices->slide_us, (long long)plan->aggregate.slices->size_us);
}

static void print_session(const struct plan *plan, struct strbuf *out)
{
    strbuf_addf(out, "Session #%u gap %lld", plan->session.time_column, (long long)plan->session.gap_us);
    print_partition(plan->session.keys, plan->session.keys_count, out);
    if (!plan->session.is_aggregate)
        return;
    strbuf_adds(out, " aggregate by ");
    print_columns(plan->session.groups, plan->session.groups_count, out);
    print_calls(plan->session.calls, plan->session.calls_count, out);
}

static void print_join(const struct plan *plan, struct strbuf *out)
{
    static const char *const names[] = {"Join", "Left Join", "Full Join", "Semi Join", "Anti Join"};
    if (plan->join.keys_count == 0 && plan->join.residual == NULL && plan->join.kind == JOIN_INNER)
        strbuf_adds(out, "Cross Join");
    else
        strbuf_adds(out, names[plan->join.kind]);
    for (uint32_t i = 0; i < plan->join.keys_count; i++) {
        bool null_safe = plan->join.null_safe != NULL && plan->join.null_safe[i];
        strbuf_addf(out, "%s#%u %s #%u", i == 0 ? " on " : " and ", plan->join.left_keys[i],
                    null_safe ? "is not distinct from" : "=",
                    plan->join.right_keys[i] + plan->children[0]->columns_count);
    }
    if (plan->join.residual != NULL) {
        strbuf_adds(out, " if ");
        expr_print(plan->join.residual, out);
    }
}

static const char *const over_names[] = {"",           "row_number", "rank", "dense_rank", "percent_rank",
                                         "cume_dist",  "ntile",      "lag",  "lead",       "first_value",
                                         "last_value", "nth_value"};

static void print_sort(const struct plan *plan, struct strbuf *out)
{
    strbuf_adds(out, plan->sort.distinct_on ? "Distinct On" : plan->sort.keys_count > 0 ? "Sort" : "Limit");
    print_partition(plan->sort.partition, plan->sort.partition_count, out);
    if (plan->sort.keys_count > 0) {
        strbuf_adds(out, " by ");
        print_keys(plan->sort.keys, plan->sort.keys_count, out);
    }
    if (plan->sort.limit != NULL) {
        strbuf_adds(out, " limit ");
        expr_print(plan->sort.limit, out);
        strbuf_adds(out, plan->sort.with_ties ? " with ties" : "");
    }
    if (plan->sort.offset != NULL) {
        strbuf_adds(out, " offset ");
        expr_print(plan->sort.offset, out);
    }
    if (plan->sort.rank != OVER_AGGREGATE)
        strbuf_addf(out, " of %s%s", over_names[plan->sort.rank], plan->sort.shows_rank ? ", shown" : "");
}

static void print_over_call(const struct plan_over_call *call, struct strbuf *out)
{
    static const char *const modes[] = {"rows", "range", "groups"};
    static const char *const bounds[] = {"unbounded preceding", "preceding", "current row", "following",
                                         "unbounded following"};
    static const char *const excludes[] = {"", " exclude current row", " exclude group", " exclude ties"};
    strbuf_addf(out, "%s(", call->kind == OVER_AGGREGATE ? call->aggregate->name : over_names[call->kind]);
    print_columns(call->args, call->args_count, out);
    strbuf_adds(out, ")");
    if (call->filter >= 0)
        strbuf_addf(out, " filter #%d", call->filter);
    bool framed = call->kind == OVER_AGGREGATE || call->kind >= OVER_FIRST_VALUE;
    if (!framed || (call->frame_mode == FRAME_RANGE && call->frame_start == BOUND_UNBOUNDED_PRECEDING &&
                    call->frame_end == BOUND_CURRENT && call->frame_exclude == 0))
        return;
    strbuf_addf(out, " %s ", modes[call->frame_mode]);
    if (call->frame_start_offset >= 0)
        strbuf_addf(out, "#%d ", call->frame_start_offset);
    strbuf_addf(out, "%s to ", bounds[call->frame_start]);
    if (call->frame_end_offset >= 0)
        strbuf_addf(out, "#%d ", call->frame_end_offset);
    strbuf_addf(out, "%s%s", bounds[call->frame_end], excludes[call->frame_exclude]);
}

static void print_over(const struct plan *plan, struct strbuf *out)
{
    strbuf_adds(out, "Over");
    print_partition(plan->over.partition, plan->over.partition_count, out);
    if (plan->over.keys_count > 0) {
        strbuf_adds(out, " order by ");
        print_keys(plan->over.keys, plan->over.keys_count, out);
    }
    for (uint32_t i = 0; i < plan->over.calls_count; i++) {
        strbuf_adds(out, i > 0 ? ", " : ": ");
        print_over_call(&plan->over.calls[i], out);
    }
}

static void print_scan(const struct plan *plan, struct strbuf *out)
{
    strbuf_addf(out, "Scan %s", plan->scan.name != NULL ? plan->scan.name : "?");
    strbuf_adds(out, " [");
    print_columns(plan->scan.columns, plan->columns_count, out);
    strbuf_adds(out, "]");
    for (uint32_t i = 0; i < plan->scan.lookup_count; i++) {
        strbuf_addf(out, "%s#%u = ", i == 0 ? " lookup " : " and ", plan->scan.lookup_columns[i]);
        expr_print(plan->scan.lookup_values[i], out);
    }
}

static void print_values(const struct plan *plan, struct strbuf *out)
{
    strbuf_adds(out, plan->values.rows_count == 0 ? "Empty" : "Values");
    for (uint32_t i = 0; i < plan->values.rows_count && plan->columns_count > 0; i++) {
        if (i == 10) {
            strbuf_addf(out, " ... %u rows", plan->values.rows_count);
            break;
        }
        strbuf_adds(out, i > 0 ? ", (" : " (");
        print_exprs(plan->values.rows[i], plan->columns_count, out);
        strbuf_adds(out, ")");
    }
}

static const char *comparison_text(enum time_comparison comparison)
{
    static const char *const texts[] = {">", ">=", "<", "<=", "="};
    return texts[comparison];
}

/* An expression whose one column is the clock. */
static void print_of_clock(const struct expr *expr, struct strbuf *out)
{
    struct strbuf text = STRBUF_INIT;
    expr_print(expr, &text);
    for (const char *at = strbuf_text(&text); *at != '\0'; at++) {
        if (at[0] == '#' && at[1] == '0') {
            strbuf_adds(out, "now()");
            at++;
        } else {
            strbuf_addc(out, *at);
        }
    }
    strbuf_release(&text);
}

static void print_temporal_filter(const struct plan *plan, struct strbuf *out)
{
    if (plan->temporal_filter.ttl_us != 0) {
        strbuf_addf(out, "Time To Live %lld", (long long)plan->temporal_filter.ttl_us);
        return;
    }
    strbuf_adds(out, "Temporal Filter ");
    for (uint32_t i = 0; i < plan->temporal_filter.bounds_count; i++) {
        const struct plan_time_bound *bound = &plan->temporal_filter.bounds[i];
        strbuf_adds(out, i > 0 ? ", " : "");
        expr_print(bound->value, out);
        strbuf_addf(out, " %s ", comparison_text(bound->comparison));
        print_of_clock(bound->now, out);
    }
}

static void print_time_keys(const uint32_t *left, const uint32_t *right, uint32_t count, struct strbuf *out)
{
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(out, "%s#%u = #%u", i > 0 ? ", " : " on ", left[i], right[i]);
}

static void print_interval_join(const struct plan *plan, struct strbuf *out)
{
    static const char *const kinds[] = {"", " Left", " Full", " Semi", " Anti"};
    strbuf_addf(out, "Interval%s Join", kinds[plan->interval_join.kind]);
    print_time_keys(plan->interval_join.left_keys, plan->interval_join.right_keys,
                    plan->interval_join.keys_count, out);
    strbuf_addf(out, " right #%u - left #%u", plan->interval_join.right_time, plan->interval_join.left_time);
    if (plan->interval_join.lower_us != INT64_MIN)
        strbuf_addf(out, " from %lld", (long long)plan->interval_join.lower_us);
    if (plan->interval_join.upper_us != INT64_MAX)
        strbuf_addf(out, " to %lld", (long long)plan->interval_join.upper_us);
    if (plan->interval_join.residual != NULL) {
        strbuf_adds(out, " and ");
        expr_print(plan->interval_join.residual, out);
    }
}

static void print_asof_join(const struct plan *plan, struct strbuf *out)
{
    strbuf_adds(out, plan->asof_join.is_left ? "As Of Left Join" : "As Of Join");
    print_time_keys(plan->asof_join.left_keys, plan->asof_join.right_keys, plan->asof_join.keys_count, out);
    strbuf_addf(out, " left #%u %s right #%u", plan->asof_join.left_time,
                comparison_text(plan->asof_join.comparison), plan->asof_join.right_time);
}

static void print_lookup_join(const struct plan *plan, struct strbuf *out)
{
    strbuf_addf(out, "%sLookup %sJoin", plan->lookup_join.is_external ? "External " : "",
                plan->lookup_join.is_left ? "Left " : "");
    print_time_keys(plan->lookup_join.left_keys, plan->lookup_join.right_keys, plan->lookup_join.keys_count,
                    out);
    if (plan->lookup_join.residual != NULL) {
        strbuf_adds(out, " and ");
        expr_print(plan->lookup_join.residual, out);
    }
}

static void print_width(const char *what, struct calendar_width width, struct strbuf *out)
{
    static const char *const units[] = {[CALENDAR_FIXED] = "",
                                        [CALENDAR_CLOCK] = "",
                                        [CALENDAR_DAYS] = " days",
                                        [CALENDAR_MONTHS] = " months"};
    strbuf_addf(out, " %s %lld%s", what, (long long)width.count, units[width.unit]);
}

static void print_calendar_window(const struct plan *plan, struct strbuf *out)
{
    const struct calendar *calendar = plan->window.calendar;
    strbuf_addf(out, "Window #%u", plan->window.time_column);
    print_width("slide", calendar->slide, out);
    print_width("size", calendar->size, out);
    if (calendar->step.count != 0)
        print_width("step", calendar->step, out);
    if (calendar->offset_months != 0)
        strbuf_addf(out, " offset %d months", calendar->offset_months);
    if (calendar->offset_us != 0)
        strbuf_addf(out, " offset %lld", (long long)calendar->offset_us);
    strbuf_addf(out, " zone %s", calendar->zone != NULL ? calendar->zone : "UTC");
}

static void print_window(const struct plan *plan, struct strbuf *out)
{
    if (plan->window.slice_us != 0)
        strbuf_addf(out, "Slice #%u size %lld", plan->window.time_column, (long long)plan->window.slice_us);
    else
        strbuf_addf(out, "Window #%u slide %lld size %lld", plan->window.time_column,
                    (long long)plan->window.slide_us, (long long)plan->window.size_us);
    if (plan->window.step_us != 0)
        strbuf_addf(out, " step %lld", (long long)plan->window.step_us);
    if (plan->window.offset_us != 0)
        strbuf_addf(out, " offset %lld", (long long)plan->window.offset_us);
}

void plan_print_node(const struct plan *plan, struct strbuf *out)
{
    switch (plan->kind) {
    case PLAN_SCAN:
        print_scan(plan, out);
        break;
    case PLAN_SYSTEM:
        strbuf_addf(out, "System %s [", plan->system.name);
        print_columns(plan->system.columns, plan->columns_count, out);
        strbuf_adds(out, "]");
        break;
    case PLAN_VALUES:
        print_values(plan, out);
        break;
    case PLAN_PROJECT_SET:
        strbuf_adds(out, "Project Set ");
        print_exprs(plan->project_set.calls, plan->project_set.calls_count, out);
        strbuf_adds(out, plan->project_set.ordinality ? " with ordinality" : "");
        strbuf_adds(out, plan->project_set.keep_empty ? " keeping empty" : "");
        break;
    case PLAN_CALC:
        print_calc(plan, out);
        break;
    case PLAN_WINDOW:
        if (plan->window.calendar != NULL)
            print_calendar_window(plan, out);
        else
            print_window(plan, out);
        break;
    case PLAN_SESSION:
        print_session(plan, out);
        break;
    case PLAN_AGGREGATE:
        print_aggregate(plan, out);
        break;
    case PLAN_JOIN:
        print_join(plan, out);
        break;
    case PLAN_UNION_ALL:
        strbuf_adds(out, "Union All");
        break;
    case PLAN_SET_OP:
        strbuf_addf(out, "%s%s", plan->set_op.is_except ? "Except" : "Intersect",
                    plan->set_op.all ? " All" : "");
        break;
    case PLAN_SORT:
        print_sort(plan, out);
        break;
    case PLAN_AT_MOST_ONE:
        strbuf_adds(out, "At Most One");
        print_partition(plan->at_most_one.partition, plan->at_most_one.partition_count, out);
        break;
    case PLAN_OVER:
        print_over(plan, out);
        break;
    case PLAN_LATE:
        strbuf_addf(out, "Late #%u grace %lld", plan->late.time_column,
                    (long long)plan->late.lateness->grace_us);
        break;
    case PLAN_TEMPORAL_FILTER:
        print_temporal_filter(plan, out);
        break;
    case PLAN_FINAL:
        strbuf_addf(out, "Final #%u after %lld%s", plan->final.column, (long long)plan->final.after_us,
                    plan->final.corrects ? " with corrections" : "");
        break;
    case PLAN_EVERY:
        strbuf_addf(out, "Every %lld", (long long)plan->every.period_us);
        break;
    case PLAN_INTERVAL_JOIN:
        print_interval_join(plan, out);
        break;
    case PLAN_ASOF_JOIN:
        print_asof_join(plan, out);
        break;
    case PLAN_LOOKUP_JOIN:
        print_lookup_join(plan, out);
        break;
    }
}

static void print_tree(const struct plan *plan, uint32_t depth, struct strbuf *out)
{
    for (uint32_t i = 0; i < depth; i++)
        strbuf_adds(out, "  ");
    plan_print_node(plan, out);
    strbuf_addc(out, '\n');
    for (uint32_t i = 0; i < plan->children_count; i++)
        print_tree(plan->children[i], depth + 1, out);
}

void plan_print(const struct plan *plan, struct strbuf *out)
{
    print_tree(plan, 0, out);
}
