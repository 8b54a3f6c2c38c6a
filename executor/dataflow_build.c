/* dataflow_build.c: one operator per plan node, exchanges where rows must change shards, arrangements for
 * joins.
 *
 * Nodes are appended children first, the right side of a join before its left: the order in which a statement
 * runs its sources, and a topological order for ticks. A join's side that is a plain scan, or a filter and
 * projection of one, is arranged once per relation and shared by every view whose sub-plan and keys read the
 * same. */
#include "executor/dataflow_build.h"

#include "executor/operators/op_top_few.h"
#include "executor/outbox_internal.h"
#include "storage/base/strbuf.h"

struct builder {
    struct dataflow *flow;
    struct node **by_id; /* plan id -> node, NULL: not visited */
    uint32_t ids_count;
    struct error *err;
};

static struct node *build(struct builder *b, const struct plan *plan, uint32_t depth);

/* ---- distribution ---- */

static struct distribution hashed(struct builder *b, const uint32_t *columns, uint32_t count)
{
    return (struct distribution){ROWS_BY_HASH, count,
                                 arena_copy(&b->flow->arena, columns, sizeof(*columns) * count)};
}

/* Where output column `column` of a child stands in the parent's output, UINT32_MAX when it is gone. */
static uint32_t position_in(const struct plan *plan, uint32_t column)
{
    if (plan->kind != PLAN_CALC)
        return column < plan->columns_count ? column : UINT32_MAX;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (plan->calc.outputs[i]->kind == EXPR_COLUMN && plan->calc.outputs[i]->index == column)
            return i;
    }
    return UINT32_MAX;
}

/* The child's distribution seen through a node that keeps or maps its columns. */
static struct distribution through(struct builder *b, const struct plan *plan,
                                   const struct distribution *child)
{
    struct distribution result = *child;
    if (child->kind != ROWS_BY_HASH)
        return result;
    result.columns = ARENA_ARRAY(&b->flow->arena, uint32_t, child->columns_count);
    for (uint32_t i = 0; i < child->columns_count; i++) {
        result.columns[i] = position_in(plan, child->columns[i]);
        if (result.columns[i] == UINT32_MAX)
            return (struct distribution){ROWS_ANYWHERE, 0, NULL};
    }
    return result;
}

static bool distributed_by(const struct distribution *have, const uint32_t *columns, uint32_t count)
{
    return have->kind == ROWS_BY_HASH && have->columns_count == count &&
           memcmp(have->columns, columns, sizeof(*columns) * count) == 0;
}

/* Rows with equal `columns` on one shard; no columns: everything on shard 0. */
static struct node *exchange(struct builder *b, struct node *child, const uint32_t *columns, uint32_t count)
{
    struct dataflow *flow = b->flow;
    const struct operator* from = child->ops[0];
    if (flow->shards_count == 1 || (count == 0 && child->distribution.kind == ROWS_ON_SHARD_0) ||
        (count > 0 && distributed_by(&child->distribution, columns, count)))
        return child;
    struct node *send =
        dataflow_add_node(flow, &flow_exchange_class, NULL, from->columns_count, from->types, child->depth);
    struct node *receive =
        dataflow_add_node(flow, &flow_receive_class, NULL, from->columns_count, from->types, child->depth);
    receive->is_source = true;
    receive->distribution =
        count == 0 ? (struct distribution){ROWS_ON_SHARD_0, 0, NULL} : hashed(b, columns, count);
    for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
        flow_exchange_setup(send->ops[shard], receive->distribution.columns, count, count == 0);
        flow_receive_setup(receive->ops[shard], send);
    }
    dataflow_connect(flow, child, send, 0);
    receive->stage = send->stage + 1;
    if (flow->stages_count <= receive->stage)
        flow->stages_count = receive->stage + 1;
    return receive;
}

/* ---- leaves ---- */

static bool use_input(struct dataflow *flow, struct relation *relation)
{
    if (relation->level + 1 > flow->level)
        flow->level = relation->level + 1;
    for (uint32_t i = 0; i < flow->inputs_count; i++) {
        if (flow->inputs[i] == relation)
            return true;
    }
    if (flow->inputs_count == flow->inputs_cap) {
        flow->inputs_cap = flow->inputs_cap ? flow->inputs_cap * 2 : 4;
        flow->inputs = mem_realloc(flow->inputs, sizeof(*flow->inputs) * flow->inputs_cap);
    }
    relation_retain(relation);
    flow->inputs[flow->inputs_count++] = relation;
    return true;
}

static struct node *build_scan(struct builder *b, const struct plan *plan, uint32_t depth)
{
    struct dataflow *flow = b->flow;
    struct relation *relation = plan->scan.relation;
    struct node *node =
        dataflow_add_node(flow, &flow_scan_class, plan, plan->columns_count, plan->types, depth);
    node->is_source = true;
    for (uint32_t shard = 0; shard < flow->shards_count; shard++)
        flow_scan_setup(node->ops[shard], relation);
    if (flow->mode == DATAFLOW_ONE_SHOT)
        return node;
    use_input(flow, relation);
    if (!relation->append_only) {
        uint32_t *columns = ARENA_ARRAY(&flow->arena, uint32_t, relation->hash_columns_count);
        uint32_t found = 0;
        for (uint32_t i = 0; i < relation->hash_columns_count; i++) {
            for (uint32_t c = 0; c < plan->columns_count; c++) {
                if (plan->scan.columns[c] == relation->hash_columns[i]) {
                    columns[found++] = c;
                    break;
                }
            }
        }
        if (found == relation->hash_columns_count && found > 0)
            node->distribution = (struct distribution){ROWS_BY_HASH, found, columns};
    }
    return node;
}

/* ---- joins ---- */

static bool subtree_visited(const struct builder *b, const struct plan *plan)
{
    if (b->by_id[plan->id] != NULL)
        return true;
    for (uint32_t i = 0; i < plan->children_count; i++) {
        if (subtree_visited(b, plan->children[i]))
            return true;
    }
    return false;
}

static bool can_share(const struct plan *plan)
{
    if (plan->kind == PLAN_SCAN)
        return true;
    if (plan->kind != PLAN_CALC || plan->children[0]->kind != PLAN_SCAN)
        return false;
    if (plan->calc.condition != NULL && !expr_is_immutable(plan->calc.condition))
        return false;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (!expr_is_immutable(plan->calc.outputs[i]))
            return false;
    }
    return true;
}

static struct node *arrange(struct builder *b, struct node *child, const struct plan *plan,
                            const uint32_t *keys, uint32_t keys_count, const struct plan_expiry *expiry,
                            uint32_t depth)
{
    struct dataflow *flow = b->flow;
    bool forgets = expiry->known && flow->mode == DATAFLOW_CONTINUOUS;
    child = exchange(b, child, keys, keys_count);
    struct node *node =
        dataflow_add_node(flow, &op_arrange_class, NULL, plan->columns_count, plan->types, depth);
    node->distribution = child->distribution;
    for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
        op_arrange_setup(node->ops[shard], keys, keys_count,
                         !forgets && (plan->append_only || flow->mode == DATAFLOW_ONE_SHOT));
        if (forgets)
            op_arrange_expire(node->ops[shard], expiry);
    }
    dataflow_connect(flow, child, node, 0);
    return dataflow_open_node(node, flow->shards_count, b->err) ? node : NULL;
}

static bool build_fragment(struct dataflow *flow, const struct plan *plan, const uint32_t *keys,
                           uint32_t keys_count, struct error *err);

static struct shared_arrangement *find_shared(struct builder *b, const struct plan *plan,
                                              const uint32_t *keys, uint32_t keys_count)
{
    struct dataflow *flow = b->flow;
    const struct plan *scan = plan->kind == PLAN_SCAN ? plan : plan->children[0];
    struct relation *relation = scan->scan.relation;
    struct strbuf text = STRBUF_INIT;
    plan_print(plan, &text);
    for (uint32_t i = 0; i < scan->columns_count; i++)
        strbuf_addf(&text, " c%u", scan->scan.columns[i]);
    for (uint32_t i = 0; i < keys_count; i++)
        strbuf_addf(&text, " k%u", keys[i]);
    if (!relation_keeps_all_rows(relation)) /* views made at different times have seen different rows */
        strbuf_addf(&text, " v%u", flow->target->oid);
    struct shared_arrangement *shared = NULL;
    for (uint32_t i = 0; i < flow->used_count && shared == NULL; i++) {
        if (flow->used[i]->relation == relation &&
            strcmp(flow->used[i]->fingerprint, strbuf_text(&text)) == 0)
            shared = flow->used[i];
    }
    if (shared == NULL && flow->frame == NULL) {
        shared = relation->arrangements;
        while (shared != NULL && strcmp(shared->fingerprint, strbuf_text(&text)) != 0)
            shared = shared->next;
    }
    if (shared == NULL) {
        struct dataflow *fragment = dataflow_new_fragment(flow, NULL);
        shared = ARENA_NEW(&fragment->arena, struct shared_arrangement);
        shared->fingerprint = arena_strdup(&fragment->arena, strbuf_text(&text));
        shared->relation = relation;
        shared->dataflow = fragment;
        shared->states = ARENA_ARRAY(&fragment->arena, struct arrangement *, flow->shards_count);
        fragment->arrangement = shared;
        if (!build_fragment(fragment, plan, keys, keys_count, b->err)) {
            dataflow_destroy(fragment);
            strbuf_release(&text);
            return NULL;
        }
    }
    strbuf_release(&text);
    for (uint32_t i = 0; i < flow->used_count; i++) {
        if (flow->used[i] == shared)
            return shared;
    }
    if (flow->used_count == flow->used_cap) {
        flow->used_cap = flow->used_cap ? flow->used_cap * 2 : 4;
        flow->used = mem_realloc(flow->used, sizeof(*flow->used) * flow->used_cap);
    }
    flow->used[flow->used_count++] = shared;
    shared->users++;
    if (shared->is_listed)
        feed_add_dependent(&shared->dataflow->own_feed, flow);
    if (shared->dataflow->level + 1 > flow->level)
        flow->level = shared->dataflow->level + 1;
    return shared;
}

/* One side of a join: its node (whose output feeds the join) and its arrangements, NULL when it is not kept.
 */
struct side {
    struct node *node;
    struct arrangement **states;
    bool is_shared;
    bool forgets;
};

static bool build_side(struct builder *b, const struct plan *plan, const uint32_t *keys, uint32_t keys_count,
                       const struct plan_expiry *expiry, bool keep, uint32_t depth, struct side *out)
{
    struct dataflow *flow = b->flow;
    *out = (struct side){NULL, NULL, false, false};
    if (flow->mode == DATAFLOW_CONTINUOUS && !expiry->known && can_share(plan)) {
        struct shared_arrangement *shared = find_shared(b, plan, keys, keys_count);
        if (shared == NULL)
            return false;
        struct node *node =
            dataflow_add_node(flow, &flow_shared_class, NULL, plan->columns_count, plan->types, depth);
        node->is_source = true;
        node->distribution = shared->dataflow->nodes[shared->dataflow->nodes_count - 1]->distribution;
        node->distribution.columns = arena_copy(&flow->arena, node->distribution.columns,
                                                sizeof(uint32_t) * node->distribution.columns_count);
        for (uint32_t shard = 0; shard < flow->shards_count; shard++)
            flow_shared_setup(node->ops[shard], shared);
        *out = (struct side){node, shared->states, true, false};
        return true;
    }
    struct node *child = build(b, plan, depth);
    if (child == NULL)
        return false;
    if (!keep) {
        out->node = child;
        return true;
    }
    struct node *arranged = arrange(b, child, plan, keys, keys_count, expiry, depth);
    if (arranged == NULL)
        return false;
    out->node = arranged;
    out->forgets = expiry->known && flow->mode == DATAFLOW_CONTINUOUS;
    out->states = ARENA_ARRAY(&flow->arena, struct arrangement *, flow->shards_count);
    for (uint32_t shard = 0; shard < flow->shards_count; shard++)
        out->states[shard] = op_arrange_state(arranged->ops[shard]);
    return true;
}

static struct node *build_join(struct builder *b, const struct plan *plan, uint32_t depth)
{
    struct dataflow *flow = b->flow;
    const struct plan *left_plan = plan->children[0], *right_plan = plan->children[1];
    uint32_t keys_count = plan->join.keys_count;
    struct side left, right;
    if (!build_side(b, right_plan, plan->join.right_keys, keys_count, &plan->join.right_expiry, true,
                    depth + 1, &right))
        return NULL;
    /* a statement streams its left rows through, unless some of them have already flowed */
    bool keep_left =
        flow->mode == DATAFLOW_CONTINUOUS || plan->join.kind == JOIN_FULL || subtree_visited(b, left_plan);
    if (!build_side(b, left_plan, plan->join.left_keys, keys_count, &plan->join.left_expiry, keep_left,
                    depth + 1, &left))
        return NULL;
    struct node *node =
        dataflow_add_node(flow, &op_join_class, plan, plan->columns_count, plan->types, depth);
    for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
        op_join_setup(node->ops[shard], left.states != NULL ? left.states[shard] : NULL, left.is_shared,
                      right.states[shard], right.is_shared);
        op_join_forget_setup(node->ops[shard], left.forgets ? left.node->ops[shard] : NULL,
                             right.forgets ? right.node->ops[shard] : NULL);
    }
    dataflow_connect(flow, left.node, node, 0);
    dataflow_connect(flow, right.node, node, 1);
    if (keys_count == 0)
        node->distribution = (struct distribution){ROWS_ON_SHARD_0, 0, NULL};
    else if (plan->join.kind != JOIN_FULL)
        node->distribution = hashed(b, plan->join.left_keys, keys_count);
    return dataflow_open_node(node, flow->shards_count, b->err) ? node : NULL;
}

/* Of the external table that the right side of a lookup join scans. */
static struct lookup_source *external_source(const struct plan *plan)
{
    while (plan->kind == PLAN_CALC)
        plan = plan->children[0];
    CHECK(plan->kind == PLAN_SCAN && plan->scan.relation->lookup != NULL);
    return plan->scan.relation->lookup;
}

/* Its left rows pass through; only the right side is kept. */
static struct node *build_lookup_join(struct builder *b, const struct plan *plan, uint32_t depth)
{
    struct dataflow *flow = b->flow;
    uint32_t keys_count = plan->lookup_join.keys_count;
    struct side right;
    if (!build_side(b, plan->children[1], plan->lookup_join.right_keys, keys_count, &(struct plan_expiry){0},
                    true, depth + 1, &right))
        return NULL;
    struct node *left = build(b, plan->children[0], depth + 1);
    if (left == NULL)
        return NULL;
    left = exchange(b, left, plan->lookup_join.left_keys, keys_count);
    struct node *node =
        dataflow_add_node(flow, &op_lookup_join_class, plan, plan->columns_count, plan->types, depth);
    for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
        op_lookup_join_setup(node->ops[shard], right.states[shard], right.is_shared);
        if (plan->lookup_join.is_external)
            op_lookup_join_external(node->ops[shard], external_source(plan->children[1]));
    }
    dataflow_connect(flow, left, node, 0);
    dataflow_connect(flow, right.node, node, 1);
    node->distribution = left->distribution;
    return dataflow_open_node(node, flow->shards_count, b->err) ? node : NULL;
}

/* ---- all other nodes ---- */

static const struct operator_class *class_of(const struct dataflow *flow, const struct plan *plan)
{
    switch (plan->kind) {
    case PLAN_VALUES:
        return &op_values_class;
    case PLAN_PROJECT_SET:
        return &op_project_set_class;
    case PLAN_CALC:
        return &op_calc_class;
    case PLAN_WINDOW:
        return &op_window_class;
    case PLAN_SESSION:
        return &op_session_class;
    case PLAN_AGGREGATE:
        return &op_aggregate_class;
    case PLAN_UNION_ALL:
        return &op_union_class;
    case PLAN_SET_OP:
        return &op_set_op_class;
    case PLAN_SORT:
        if (flow->mode == DATAFLOW_ONE_SHOT)
            return &op_sort_class;
        return op_top_few_fits(plan) ? &op_top_few_class : &op_top_n_class;
    case PLAN_AT_MOST_ONE:
        return &op_at_most_one_class;
    case PLAN_OVER:
        return &op_over_class;
    case PLAN_LATE:
        return &op_late_class;
    case PLAN_TEMPORAL_FILTER:
        return &op_temporal_filter_class;
    case PLAN_FINAL:
        return &op_final_class;
    case PLAN_EVERY:
        return &op_every_class;
    case PLAN_INTERVAL_JOIN:
        return &op_interval_join_class;
    case PLAN_ASOF_JOIN:
        return &op_asof_join_class;
    case PLAN_SCAN:
    case PLAN_SYSTEM:
    case PLAN_JOIN:
    case PLAN_LOOKUP_JOIN:
        break;
    }
    return NULL;
}

/* The group columns of an aggregate whose rows must meet: all but those of the window, since slices of
 * different windows meet. numbers NULL: by their place in its output. */
static uint32_t *meeting_columns(struct builder *b, const struct plan *plan, const uint32_t *numbers,
                                 uint32_t *count)
{
    uint32_t *columns = ARENA_ARRAY(&b->flow->arena, uint32_t, plan->aggregate.groups_count);
    const struct plan_slices *slices = plan->aggregate.slices;
    *count = 0;
    for (uint32_t g = 0; g < plan->aggregate.groups_count; g++)
        if (slices == NULL || slices->roles[g] == ROLE_NONE)
            columns[(*count)++] = numbers != NULL ? numbers[g] : g;
    return columns;
}

/* The columns of a child whose rows must meet on one shard before this node; false: rows may be anywhere. */
static bool needs_partition(struct builder *b, const struct plan *plan, uint32_t child,
                            const uint32_t **columns, uint32_t *count)
{
    switch (plan->kind) {
    case PLAN_INTERVAL_JOIN:
        *columns = child == 0 ? plan->interval_join.left_keys : plan->interval_join.right_keys;
        *count = plan->interval_join.keys_count;
        return true;
    case PLAN_ASOF_JOIN:
        *columns = child == 0 ? plan->asof_join.left_keys : plan->asof_join.right_keys;
        *count = plan->asof_join.keys_count;
        return true;
    case PLAN_AGGREGATE:
        *columns = meeting_columns(b, plan, plan->aggregate.groups, count);
        return true;
    case PLAN_SESSION:
        *columns = plan->session.keys;
        *count = plan->session.keys_count;
        return true;
    case PLAN_SORT:
        *columns = plan->sort.partition;
        *count = plan->sort.partition_count;
        return true;
    case PLAN_AT_MOST_ONE:
        *columns = plan->at_most_one.partition;
        *count = plan->at_most_one.partition_count;
        return true;
    case PLAN_OVER:
        *columns = plan->over.partition;
        *count = plan->over.partition_count;
        return true;
    case PLAN_SET_OP: {
        uint32_t *all = ARENA_ARRAY(&b->flow->arena, uint32_t, plan->columns_count);
        for (uint32_t i = 0; i < plan->columns_count; i++)
            all[i] = i;
        *columns = all;
        *count = plan->columns_count;
        return true;
    }
    default:
        return false;
    }
}

static struct distribution distribution_after(struct builder *b, const struct plan *plan,
                                              struct node *const *inputs)
{
    switch (plan->kind) {
    case PLAN_VALUES:
        return (struct distribution){ROWS_ON_SHARD_0, 0, NULL};
    case PLAN_AGGREGATE: {
        uint32_t count;
        uint32_t *columns = meeting_columns(b, plan, NULL, &count);
        if (count == 0)
            return (struct distribution){ROWS_ON_SHARD_0, 0, NULL};
        return (struct distribution){ROWS_BY_HASH, count, columns};
    }
    case PLAN_SESSION: {
        if (!plan->session.is_aggregate)
            return through(b, plan, &inputs[0]->distribution);
        if (plan->session.keys_count == 0)
            return (struct distribution){ROWS_ON_SHARD_0, 0, NULL};
        uint32_t *columns = ARENA_ARRAY(&b->flow->arena, uint32_t, plan->session.keys_count);
        for (uint32_t k = 0; k < plan->session.keys_count; k++)
            while (plan->session.groups[columns[k]] != plan->session.keys[k])
                columns[k]++;
        return (struct distribution){ROWS_BY_HASH, plan->session.keys_count, columns};
    }
    case PLAN_UNION_ALL:
        return (struct distribution){ROWS_ANYWHERE, 0, NULL};
    default:
        return through(b, plan, &inputs[0]->distribution);
    }
}

static struct node *build_inner(struct builder *b, const struct plan *plan, uint32_t depth)
{
    struct dataflow *flow = b->flow;
    struct node **inputs = ARENA_ARRAY(&flow->arena, struct node *, plan->children_count);
    for (uint32_t i = 0; i < plan->children_count; i++) {
        const uint32_t *columns = NULL;
        uint32_t count = 0;
        bool partition = needs_partition(b, plan, i, &columns, &count);
        inputs[i] = build(b, plan->children[i], depth + 1);
        if (inputs[i] == NULL)
            return NULL;
        if (partition)
            inputs[i] = exchange(b, inputs[i], columns, count);
    }
    struct node *node =
        dataflow_add_node(flow, class_of(flow, plan), plan, plan->columns_count, plan->types, depth);
    for (uint32_t i = 0; i < plan->children_count; i++)
        dataflow_connect(flow, inputs[i], node, i);
    node->distribution = distribution_after(b, plan, inputs);
    return dataflow_open_node(node, flow->shards_count, b->err) ? node : NULL;
}

static struct node *build(struct builder *b, const struct plan *plan, uint32_t depth)
{
    CHECK(plan->id < b->ids_count);
    if (b->by_id[plan->id] != NULL)
        return b->by_id[plan->id];
    struct node *node;
    switch (plan->kind) {
    case PLAN_SCAN:
        node = build_scan(b, plan, depth);
        break;
    case PLAN_SYSTEM:
        if (b->flow->mode == DATAFLOW_CONTINUOUS) {
            error_set(b->err, ERRCODE_FEATURE_NOT_SUPPORTED,
                      "system view \"%s\" cannot be read by a materialized view", plan->system.name);
            return NULL;
        }
        node = dataflow_add_node(b->flow, &flow_system_class, plan, plan->columns_count, plan->types, depth);
        node->is_source = true;
        break;
    case PLAN_JOIN:
        node = build_join(b, plan, depth);
        break;
    case PLAN_LOOKUP_JOIN:
        node = build_lookup_join(b, plan, depth);
        break;
    default:
        node = build_inner(b, plan, depth);
    }
    b->by_id[plan->id] = node;
    return node;
}

static uint32_t greatest_id(const struct plan *plan)
{
    uint32_t greatest = plan->id;
    for (uint32_t i = 0; i < plan->children_count; i++) {
        uint32_t below = greatest_id(plan->children[i]);
        greatest = below > greatest ? below : greatest;
    }
    return greatest;
}

static struct builder builder_make(struct dataflow *flow, const struct plan *plan, struct error *err)
{
    struct builder b = {.flow = flow, .err = err};
    b.ids_count = greatest_id(plan) + 1;
    b.by_id = ARENA_ARRAY(&flow->arena, struct node *, b.ids_count);
    return b;
}

/* A deep copy of what can_share lets through: a scan, or a calc over one. */
static struct plan *copy_fragment(const struct plan *plan, struct arena *arena)
{
    struct plan *copy = arena_copy(arena, plan, sizeof(*plan));
    copy->types = arena_copy(arena, plan->types, sizeof(*plan->types) * plan->columns_count);
    copy->names = NULL;
    if (plan->kind == PLAN_SCAN) {
        copy->scan.columns = arena_copy(arena, plan->scan.columns, sizeof(uint32_t) * plan->columns_count);
        copy->scan.name = plan->scan.relation->name;
        return copy;
    }
    copy->children = ARENA_ARRAY(arena, struct plan *, 1);
    copy->children[0] = copy_fragment(plan->children[0], arena);
    if (plan->calc.condition != NULL)
        copy->calc.condition = expr_remap(arena, plan->calc.condition, NULL);
    copy->calc.outputs = ARENA_ARRAY(arena, struct expr *, plan->columns_count);
    for (uint32_t i = 0; i < plan->columns_count; i++)
        copy->calc.outputs[i] = expr_remap(arena, plan->calc.outputs[i], NULL);
    return copy;
}

static bool build_fragment(struct dataflow *flow, const struct plan *plan, const uint32_t *keys,
                           uint32_t keys_count, struct error *err)
{
    /* the plan's arena belongs to the first view that uses the arrangement, which may go before the last one
     */
    struct builder b = builder_make(flow, plan, err);
    const struct plan *copy = copy_fragment(plan, &flow->arena);
    struct node *child = build(&b, copy, 0);
    if (child == NULL)
        return false;
    uint32_t *kept_keys = arena_copy(&flow->arena, keys, sizeof(*keys) * keys_count);
    struct node *arranged = arrange(&b, child, copy, kept_keys, keys_count, &(struct plan_expiry){0}, 0);
    if (arranged == NULL)
        return false;
    for (uint32_t shard = 0; shard < flow->shards_count; shard++)
        flow->arrangement->states[shard] = op_arrange_state(arranged->ops[shard]);
    struct node *tap = dataflow_add_node(flow, &flow_tap_class, NULL, copy->columns_count, copy->types, 0);
    tap->distribution = arranged->distribution;
    dataflow_connect(flow, arranged, tap, 0);
    return true;
}

bool dataflow_build_view(struct dataflow *flow, const struct plan *plan, struct error *err)
{
    struct builder b = builder_make(flow, plan, err);
    struct node *top = build(&b, plan, 1);
    if (top == NULL)
        return false;
    struct relation *target = flow->target;
    if (target->outbox != NULL) {
        top = exchange(&b, top, NULL, 0);
        struct node *outbox =
            dataflow_add_node(flow, &flow_outbox_class, NULL, plan->columns_count, plan->types, 0);
        dataflow_connect(flow, top, outbox, 0);
        return dataflow_open_node(outbox, flow->shards_count, err);
    }
    if (!target->append_only)
        top = exchange(&b, top, target->hash_columns, target->hash_columns_count);
    struct node *root =
        dataflow_add_node(flow, &flow_materialize_class, NULL, plan->columns_count, plan->types, 0);
    dataflow_connect(flow, top, root, 0);
    return true;
}

bool dataflow_build_once(struct dataflow *flow, const struct plan *plan, struct error *err)
{
    struct builder b = builder_make(flow, plan, err);
    struct node *top = build(&b, plan, 0);
    if (top == NULL)
        return false;
    struct node *root = dataflow_add_node(flow, &flow_sink_class, NULL, plan->columns_count, plan->types, 0);
    dataflow_connect(flow, top, root, 0);
    return true;
}
