/* pass_event_time.c: of a view: which rows can be late, and what can be forgotten (docs/event-time.md).
 *
 * Facts are found bottom-up. A column is a time column when it comes from a watermark: the declared column of a
 * stream, windows and truncations of it. It is bounded when rows with a value v change no more once the watermark
 * has reached v + after_us: because rows behind the watermark are taken out below. An operator that keeps something
 * under a time column asks for that:
 *
 *   pass_lateness     early, while rows are whole: windows and sessions get a lateness, and where a plain time column
 *                     reaches such an operator PLAN_LATE is put in front of it
 *   pass_event_time   late: operators learn what they can forget (struct plan_expiry), EMIT FINAL gets its node, and
 *                     what grows without bound is said in a notice
 *
 * Only rows that are never taken back can be late, so everything starts from append-only inputs. */
#include "planner/pass.h"

#include "executor/function.h"
#include "executor/operators/op_over.h"
#include "planner/late_places.h"
#include "planner/node_build.h"

struct fact {
    bool is_time;
    bool is_bounded;
    bool is_raw;    /* a time column of rows that PLAN_LATE could judge */
    bool can_bound; /* a lateness below would bound it */
    bool
        has_other; /* NULL where a FULL JOIN found no row; then the time is in the column `other`, also bounded */
    uint32_t other;
    int64_t after_us; /* of values that are not bounded: as if they were */
    int64_t span_us;  /* of raw ones: what a value stands for: 1, or the length of what was truncated */
};

struct event_time {
    struct planner_context *ctx;
    bool decides;        /* pass_lateness: latenesses are given out */
    bool has_watermark;  /* some input has one */
    const char *endless; /* what is never forgotten */
    const char *endless_of;
};

#define NEVER   INT64_MAX
#define HOUR_US INT64_C(3600000000)

static int64_t plus(int64_t a, int64_t b)
{
    int64_t sum;
    return a == NEVER || b == NEVER || __builtin_add_overflow(a, b, &sum) ? NEVER : sum;
}

static int64_t later(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

static struct plan_lateness *new_lateness(struct event_time *e, int64_t grace_us)
{
    struct plan_lateness *lateness = ARENA_NEW(e->ctx->arena, struct plan_lateness);
    lateness->grace_us = grace_us;
    lateness->keeps_rows = e->ctx->view_time.late == VIEW_LATE_SIDE;
    return lateness;
}

/* ---- asking for a bound ---- */

/* Windows and sessions below that make this column judge their rows from now on. */
static void bound_column(struct event_time *e, struct plan *plan, uint32_t column)
{
    switch (plan->kind) {
    case PLAN_CALC:
        if (plan->calc.outputs[column]->kind == EXPR_COLUMN)
            bound_column(e, plan->children[0], plan->calc.outputs[column]->index);
        break;
    case PLAN_WINDOW:
        if (plan->window.lateness == NULL)
            plan->window.lateness = new_lateness(e, e->ctx->view_time.grace_us);
        break;
    case PLAN_UNION_ALL:
        for (uint32_t i = 0; i < plan->children_count; i++)
            bound_column(e, plan->children[i], column);
        break;
    case PLAN_PROJECT_SET:
    case PLAN_LOOKUP_JOIN:
        if (column < plan->children[0]->columns_count)
            bound_column(e, plan->children[0], column);
        break;
    default:
        break;
    }
}

/* The child's time column gets bounded if it can be: true when it is now. *slot may become a PLAN_LATE. */
static bool ask(struct event_time *e, struct plan **slot, struct fact *facts, uint32_t column)
{
    struct fact *fact = &facts[column];
    if (!fact->is_time || fact->is_bounded || !e->decides)
        return fact->is_bounded;
    if (fact->can_bound) {
        bound_column(e, *slot, column);
        for (uint32_t c = 0; c < (*slot)->columns_count; c++)
            facts[c].is_bounded |= facts[c].can_bound && !facts[c].is_raw;
        fact->is_bounded = true;
        return true;
    }
    if (!fact->is_raw)
        return false;
    struct arena *arena = e->ctx->arena;
    struct plan *late = plan_new(arena, PLAN_LATE, (*slot)->columns_count, 1);
    memcpy(late->types, (*slot)->types, sizeof(*late->types) * late->columns_count);
    late->children[0] = *slot;
    late->append_only = (*slot)->append_only;
    late->late.time_column = column;
    late->late.lateness = new_lateness(e, plus(e->ctx->view_time.grace_us, fact->span_us - 1));
    *slot = late;
    *fact = (struct fact){
        .is_time = true, .is_bounded = true, .after_us = plus(late->late.lateness->grace_us, 1)};
    return true;
}

/* The best of the listed columns to forget by: bounded, and soonest. Plain time columns are asked only when no other
 * serves. */
static struct plan_expiry best_expiry(struct event_time *e, struct plan **slot, struct fact *facts,
                                      const uint32_t *columns, uint32_t count)
{
    for (int round = 0; round < 2; round++) {
        for (uint32_t i = 0; i < count; i++) {
            const struct fact *fact = &facts[columns[i]];
            if (fact->is_time && !fact->is_bounded && fact->is_raw == (round == 1))
                (void)ask(e, slot, facts, columns[i]);
        }
        struct plan_expiry best = {.known = false};
        for (uint32_t i = 0; i < count; i++) {
            const struct fact *fact = &facts[columns[i]];
            if (fact->is_bounded && fact->after_us != NEVER &&
                (!best.known || fact->after_us < best.after_us))
                best = (struct plan_expiry){true, columns[i], fact->after_us};
        }
        if (best.known)
            return best;
    }
    return (struct plan_expiry){.known = false};
}

/* ---- what never ends ---- */

/* The first stream whose rows stay. */
static const char *stream_below(const struct plan *plan)
{
    if (plan->kind == PLAN_TEMPORAL_FILTER && plan->children[0]->append_only && !plan->append_only)
        return NULL; /* they leave with the clock */
    if (plan->kind == PLAN_SCAN && plan->scan.relation != NULL &&
        relation_is_append_only(plan->scan.relation))
        return relation_name(plan->scan.relation);
    for (uint32_t i = 0; i < plan->children_count; i++) {
        const char *name = stream_below(plan->children[i]);
        if (name != NULL)
            return name;
    }
    return NULL;
}

static void note_endless(struct event_time *e, const struct plan *plan, const char *what)
{
    const char *name = stream_below(plan);
    if (e->endless != NULL || name == NULL)
        return;
    e->endless = what;
    e->endless_of = name;
}

static bool has_window_below(const struct plan *plan)
{
    while (plan->kind == PLAN_CALC || plan->kind == PLAN_LATE)
        plan = plan->children[0];
    return plan->kind == PLAN_WINDOW;
}

/* ---- facts of each node ---- */

static struct fact *facts_of(struct event_time *e, struct plan **slot, const struct plan *parent);

static struct fact *no_facts(struct event_time *e, const struct plan *plan)
{
    return ARENA_ARRAY(e->ctx->arena, struct fact, plan->columns_count + 1);
}

static struct fact *scan_facts(struct event_time *e, const struct plan *plan)
{
    struct fact *facts = no_facts(e, plan);
    uint32_t column;
    bool is_bounded;
    if (plan->scan.relation == NULL || !relation_event_time(plan->scan.relation, &column, &is_bounded))
        return facts;
    e->has_watermark = true;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        if (plan->scan.columns[i] == column)
            facts[i] = (struct fact){.is_time = true,
                                     .is_bounded = is_bounded,
                                     .is_raw = !is_bounded && plan->append_only,
                                     .span_us = 1};
    }
    return facts;
}

/* The longest a unit of date_trunc can be; 0: no unit. Local time has days of 25 hours. */
static int64_t unit_span(const struct planner_context *ctx, const struct datum *unit, uint32_t type)
{
    static const struct {
        const char *name;
        int64_t us;
        bool is_local;
    } units[] = {{"microseconds", 1, false},
                 {"milliseconds", 1000, false},
                 {"second", 1000000, false},
                 {"minute", 60000000, false},
                 {"hour", HOUR_US, false},
                 {"day", 24 * HOUR_US, true},
                 {"week", 7 * 24 * HOUR_US, true},
                 {"month", 31 * 24 * HOUR_US, true},
                 {"quarter", 92 * 24 * HOUR_US, true},
                 {"year", 366 * 24 * HOUR_US, true}};
    bool is_utc =
        type != OID_TIMESTAMPTZ || ctx->env->io.timezone == NULL || strcmp(ctx->env->io.timezone, "UTC") == 0;
    for (uint32_t i = 0; i < ARRAY_COUNT(units); i++) {
        size_t len = strlen(units[i].name);
        if (unit->var.len == len && memcmp(varlen_bytes(&unit->var), units[i].name, len) == 0)
            return units[i].us + (units[i].is_local && !is_utc ? HOUR_US : 0);
    }
    return 0;
}

/* A truncation of a time column stands for the time it spans. */
static struct fact truncated_fact(struct event_time *e, const struct expr *expr, const struct fact *child)
{
    struct fact none = {.is_time = false};
    if (expr->kind != EXPR_CALL || expr->args_count != 2 || expr->args[1]->kind != EXPR_COLUMN ||
        expr->args[0]->kind != EXPR_CONSTANT || expr->args[0]->value.is_null ||
        strcmp(expr->function->name, "date_trunc") != 0)
        return none;
    struct fact fact = child[expr->args[1]->index];
    int64_t span = unit_span(e->ctx, &expr->args[0]->value, expr->args[1]->type.oid);
    if (!fact.is_time || span == 0 || expr->type.oid != expr->args[1]->type.oid)
        return none;
    fact.can_bound = false;
    if (fact.is_raw)
        fact.span_us = plus(span, fact.span_us - 1);
    else
        fact.after_us = plus(fact.after_us, span);
    return fact;
}

static struct fact *calc_facts(struct event_time *e, struct plan *plan)
{
    struct fact *child = facts_of(e, &plan->children[0], plan), *facts = no_facts(e, plan);
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        const struct expr *output = plan->calc.outputs[i];
        facts[i] = output->kind == EXPR_COLUMN ? child[output->index] : truncated_fact(e, output, child);
    }
    return facts;
}

static struct fact *window_facts(struct event_time *e, struct plan *plan)
{
    struct plan *child = plan->children[0];
    struct fact *below = facts_of(e, &plan->children[0], plan), *facts = no_facts(e, plan);
    uint32_t width = child->columns_count;
    for (uint32_t i = 0; i < width; i++) {
        facts[i] = below[i];
        facts[i].is_raw = false; /* the window judges */
    }
    const struct fact *time = &below[plan->window.time_column];
    if (!time->is_time)
        return facts;
    bool judges = plan->window.lateness != NULL || plan->window.has_open;
    int64_t grace =
        plan->window.lateness != NULL ? plan->window.lateness->grace_us : e->ctx->view_time.grace_us;
    struct fact end = {.is_time = true,
                       .is_bounded = time->is_bounded || judges,
                       .can_bound = time->is_raw && child->append_only,
                       .after_us = time->is_bounded && !judges ? time->after_us : grace};
    struct fact start = end;
    int64_t span = plan_window_span_us(plan);
    start.after_us = plus(end.after_us, span);
    if (plan->window.slice_us != 0) /* windows that hold the slice end up to a size behind its start */
        end.after_us = start.after_us;
    facts[width] = start;
    facts[width + 1] = end;
    if (time->is_raw)
        facts[plan->window.time_column] = start; /* not before its windows are closed */
    return facts;
}

static struct fact *session_facts(struct event_time *e, struct plan *plan)
{
    struct fact *below = facts_of(e, &plan->children[0], plan), *facts = no_facts(e, plan);
    const struct fact *time = &below[plan->session.time_column];
    uint32_t width = plan->children[0]->columns_count;
    if (e->decides && time->is_raw && plan->children[0]->append_only && plan->session.lateness == NULL)
        plan->session.lateness = new_lateness(e, e->ctx->view_time.grace_us);
    if (plan->session.lateness == NULL)
        note_endless(e, plan, "sessions");
    struct fact end = {.is_time = time->is_time,
                       .is_bounded = plan->session.lateness != NULL,
                       .after_us = plan->session.lateness != NULL ? plan->session.lateness->grace_us
                                                                  : e->ctx->view_time.grace_us};
    if (!plan->session.is_aggregate) {
        facts[width + 1] = end;
        return facts;
    }
    for (uint32_t g = 0; g < plan->session.groups_count; g++) {
        if (plan->session.groups[g] == width + 1)
            facts[g] = end;
    }
    return facts;
}

/* Columns of an aggregate over slices: slices are forgotten with the last window that holds them, windows when they
 * are closed. */
static void sliced_facts(struct event_time *e, const struct plan *plan, const struct fact *below,
                         struct fact *facts)
{
    const struct plan_slices *slices = plan->aggregate.slices;
    for (uint32_t g = 0; g < plan->aggregate.groups_count; g++) {
        if (slices->roles[g] == ROLE_NONE)
            continue;
        facts[g] = below[plan->aggregate.groups[g]];
        facts[g].can_bound = false;
        facts[g].after_us = e->ctx->view_time.grace_us;
        if (slices->roles[g] == ROLE_WINDOW_START)
            facts[g].after_us = plus(facts[g].after_us, slices->size_us);
    }
}

static struct fact *aggregate_facts(struct event_time *e, struct plan *plan)
{
    struct fact *below = facts_of(e, &plan->children[0], plan), *facts = no_facts(e, plan);
    uint32_t groups = plan->aggregate.groups_count;
    struct plan_expiry best = best_expiry(e, &plan->children[0], below, plan->aggregate.groups, groups);
    for (uint32_t g = 0; g < groups; g++) {
        facts[g] = below[plan->aggregate.groups[g]];
        facts[g].is_raw = facts[g].can_bound = false;
    }
    if (plan->aggregate.slices != NULL)
        sliced_facts(e, plan, below, facts);
    plan->aggregate.expiry = (struct plan_expiry){.known = false};
    for (uint32_t g = 0; g < groups && best.known && !e->decides; g++) {
        if (facts[g].is_bounded && facts[g].after_us != NEVER &&
            (!plan->aggregate.expiry.known || facts[g].after_us < plan->aggregate.expiry.after_us))
            plan->aggregate.expiry = (struct plan_expiry){true, g, facts[g].after_us};
    }
    if (!best.known && has_window_below(plan->children[0]))
        note_endless(e, plan, "windows");
    return facts;
}

/* The times of both sides in the output of a join of this kind; bounded ones. right_column: UINT32_MAX when it has no
 * right columns. */
static void set_join_times(struct fact *facts, enum join_kind kind, uint32_t left_column, int64_t left_after,
                           uint32_t right_column, int64_t right_after)
{
    struct fact left = {
        .is_time = left_after != NEVER, .is_bounded = left_after != NEVER, .after_us = left_after};
    struct fact right = {
        .is_time = right_after != NEVER, .is_bounded = right_after != NEVER, .after_us = right_after};
    if (kind == JOIN_FULL) {
        if (!left.is_time || !right.is_time)
            return;
        left.has_other = right.has_other = true;
        left.other = right_column;
        right.other = left_column;
    }
    facts[left_column] = left;
    if (kind == JOIN_INNER || kind == JOIN_FULL)
        facts[right_column] = right;
}

/* Nothing is known of columns that may be NULL because there was no match. */
static void forget_nullable(struct fact *facts, const struct plan *plan, enum join_kind kind,
                            uint32_t left_width)
{
    for (uint32_t c = 0; c < plan->columns_count; c++) {
        if (kind == JOIN_FULL || (kind == JOIN_LEFT && c >= left_width))
            facts[c] = (struct fact){.is_time = false};
    }
}

/* Both sides have the time of a key: when both are over, so is the key. */
static struct fact *join_facts(struct event_time *e, struct plan *plan)
{
    struct fact *left = facts_of(e, &plan->children[0], plan), *right = facts_of(e, &plan->children[1], plan);
    struct fact *facts = no_facts(e, plan);
    uint32_t width = plan->children[0]->columns_count;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        facts[i] = i < width ? left[i] : right[i - width];
        facts[i].is_bounded = facts[i].is_raw = facts[i].can_bound = false;
    }
    forget_nullable(facts, plan, plan->join.kind, width);
    plan->join.left_expiry = plan->join.right_expiry = (struct plan_expiry){.known = false};
    for (int round = 0; round < 2 && !plan->join.left_expiry.known; round++) {
        for (uint32_t k = 0; k < plan->join.keys_count; k++) {
            uint32_t l = plan->join.left_keys[k], r = plan->join.right_keys[k];
            if (!left[l].is_time || !right[r].is_time || (round == 0 && (left[l].is_raw || right[r].is_raw)))
                continue;
            bool possible = (left[l].is_bounded || left[l].can_bound || left[l].is_raw) &&
                            (right[r].is_bounded || right[r].can_bound || right[r].is_raw);
            if (!possible || !ask(e, &plan->children[0], left, l) || !ask(e, &plan->children[1], right, r))
                continue;
            int64_t after = later(left[l].after_us, right[r].after_us);
            if (after == NEVER)
                continue;
            set_join_times(facts, plan->join.kind, l, after, width + r, after);
            if (!plan->join.left_expiry.known || after < plan->join.left_expiry.after_us) {
                plan->join.left_expiry = (struct plan_expiry){true, l, after};
                plan->join.right_expiry = (struct plan_expiry){true, r, after};
            }
        }
    }
    if (!plan->join.left_expiry.known)
        note_endless(e, plan, "the rows of both sides of a join");
    return facts;
}

static int64_t negated(int64_t us)
{
    return us == INT64_MIN ? NEVER : us == INT64_MAX ? NEVER : -us;
}

static struct fact *interval_facts(struct event_time *e, struct plan *plan)
{
    struct fact *left = facts_of(e, &plan->children[0], plan), *right = facts_of(e, &plan->children[1], plan);
    struct fact *facts = no_facts(e, plan);
    uint32_t width = plan->children[0]->columns_count;
    uint32_t l = plan->interval_join.left_time, r = plan->interval_join.right_time;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        facts[i] = i < width ? left[i] : right[i - width];
        facts[i].is_bounded = facts[i].is_raw = facts[i].can_bound = false;
    }
    forget_nullable(facts, plan, plan->interval_join.kind, width);
    plan->interval_join.left_expiry = plan->interval_join.right_expiry = (struct plan_expiry){.known = false};
    bool possible = (left[l].is_bounded || left[l].can_bound || left[l].is_raw) &&
                    (right[r].is_bounded || right[r].can_bound || right[r].is_raw);
    int64_t upper = plan->interval_join.upper_us == INT64_MAX ? NEVER : plan->interval_join.upper_us;
    int64_t lower = negated(plan->interval_join.lower_us);
    if (possible && (upper != NEVER || lower != NEVER) && ask(e, &plan->children[0], left, l) &&
        ask(e, &plan->children[1], right, r)) {
        int64_t left_after = later(left[l].after_us, plus(right[r].after_us, upper));
        int64_t right_after = later(right[r].after_us, plus(left[l].after_us, lower));
        if (left_after != NEVER)
            plan->interval_join.left_expiry = (struct plan_expiry){true, l, left_after};
        if (right_after != NEVER)
            plan->interval_join.right_expiry = (struct plan_expiry){true, r, right_after};
        set_join_times(facts, plan->interval_join.kind, l, left_after, width + r, right_after);
    }
    if (!plan->interval_join.left_expiry.known || !plan->interval_join.right_expiry.known)
        note_endless(e, plan, "the rows of both sides of a join");
    return facts;
}

static struct fact *asof_facts(struct event_time *e, struct plan *plan)
{
    struct fact *left = facts_of(e, &plan->children[0], plan), *right = facts_of(e, &plan->children[1], plan);
    struct fact *facts = no_facts(e, plan);
    uint32_t width = plan->children[0]->columns_count;
    uint32_t l = plan->asof_join.left_time, r = plan->asof_join.right_time;
    bool looks_back =
        plan->asof_join.comparison == TIME_GREATER || plan->asof_join.comparison == TIME_GREATER_EQUAL;
    for (uint32_t i = 0; i < plan->columns_count; i++) {
        facts[i] = i < width ? left[i] : right[i - width];
        facts[i].is_bounded = facts[i].is_raw = facts[i].can_bound = false;
    }
    forget_nullable(facts, plan, plan->asof_join.is_left ? JOIN_LEFT : JOIN_INNER, width);
    plan->asof_join.left_expiry = plan->asof_join.right_expiry = (struct plan_expiry){.known = false};
    bool possible = (left[l].is_bounded || left[l].can_bound || left[l].is_raw) &&
                    (right[r].is_bounded || right[r].can_bound || right[r].is_raw);
    if (looks_back && possible && ask(e, &plan->children[0], left, l) &&
        ask(e, &plan->children[1], right, r)) {
        int64_t after = later(left[l].after_us, right[r].after_us);
        if (after != NEVER) {
            plan->asof_join.left_expiry = (struct plan_expiry){true, l, after};
            plan->asof_join.right_expiry = (struct plan_expiry){true, r, after};
            facts[l] = (struct fact){.is_time = true, .is_bounded = true, .after_us = after};
        }
    }
    if (!plan->asof_join.left_expiry.known)
        note_endless(e, plan, "the rows of both sides of a join");
    return facts;
}

static struct fact *union_facts(struct event_time *e, struct plan *plan)
{
    struct fact *facts = no_facts(e, plan);
    for (uint32_t i = 0; i < plan->children_count; i++) {
        struct fact *child = facts_of(e, &plan->children[i], plan);
        for (uint32_t c = 0; c < plan->columns_count; c++) {
            struct fact *fact = &facts[c];
            if (i == 0) {
                *fact = child[c];
                continue;
            }
            fact->is_time = fact->is_time && child[c].is_time;
            fact->is_bounded = fact->is_time && fact->is_bounded && child[c].is_bounded;
            fact->can_bound = fact->is_time && (fact->can_bound || fact->is_bounded) &&
                              (child[c].can_bound || child[c].is_bounded) && !fact->is_bounded;
            fact->is_raw = fact->is_time && fact->is_raw && child[c].is_raw;
            fact->after_us = later(fact->after_us, child[c].after_us);
            fact->span_us = later(fact->span_us, child[c].span_us);
        }
    }
    return facts;
}

static struct fact *partitioned_facts(struct event_time *e, struct plan *plan, const uint32_t *partition,
                                      uint32_t count, struct plan_expiry *expiry, struct fact **below_out)
{
    struct fact *below = facts_of(e, &plan->children[0], plan), *facts = no_facts(e, plan);
    *expiry = best_expiry(e, &plan->children[0], below, partition, count);
    for (uint32_t c = 0; c < plan->columns_count && c < plan->children[0]->columns_count; c++) {
        facts[c] = below[c];
        facts[c].is_bounded = facts[c].is_raw = facts[c].can_bound = false;
    }
    for (uint32_t i = 0; i < count; i++)
        facts[partition[i]] = below[partition[i]];
    if (below_out != NULL)
        *below_out = below;
    return facts;
}

/* Will pass_top make the first rows of each partition of it, which are not forgotten by the order? */
static bool becomes_top(const struct plan *over, const struct plan *parent)
{
    return parent != NULL && parent->kind == PLAN_CALC && parent->calc.condition != NULL &&
           over->over.calls_count == 1 &&
           (over->over.calls[0].kind == OVER_ROW_NUMBER || over->over.calls[0].kind == OVER_RANK ||
            over->over.calls[0].kind == OVER_DENSE_RANK);
}

static struct fact *over_facts(struct event_time *e, struct plan *plan, const struct plan *parent)
{
    struct fact *below;
    struct fact *facts = partitioned_facts(e, plan, plan->over.partition, plan->over.partition_count,
                                           &plan->over.expiry, &below);
    plan->over.order_expiry = (struct plan_expiry){.known = false};
    if (plan->over.expiry.known)
        return facts;
    if (plan->over.keys_count > 0 && !plan->over.keys[0].descending && op_over_looks_back(plan) &&
        !(e->decides && becomes_top(plan, parent))) {
        uint32_t column = plan->over.keys[0].column;
        if (ask(e, &plan->children[0], below, column) && below[column].after_us != NEVER) {
            plan->over.order_expiry =
                (struct plan_expiry){op_over_can_forget(plan), column, below[column].after_us};
            facts[column] = below[column];
        }
    }
    if (!plan->over.order_expiry.known)
        note_endless(e, plan, "the rows of window functions");
    return facts;
}

static struct fact *set_op_facts(struct event_time *e, struct plan *plan)
{
    struct fact *left = facts_of(e, &plan->children[0], plan), *right = facts_of(e, &plan->children[1], plan);
    struct fact *facts = no_facts(e, plan);
    plan->set_op.expiry = (struct plan_expiry){.known = false};
    for (uint32_t c = 0; c < plan->columns_count; c++) {
        facts[c] = left[c];
        facts[c].is_bounded = facts[c].is_raw = facts[c].can_bound = false;
        bool possible = left[c].is_time && right[c].is_time &&
                        (left[c].is_bounded || left[c].can_bound || left[c].is_raw) &&
                        (right[c].is_bounded || right[c].can_bound || right[c].is_raw);
        if (plan->set_op.expiry.known || !possible || !ask(e, &plan->children[0], left, c) ||
            !ask(e, &plan->children[1], right, c))
            continue;
        int64_t after = later(left[c].after_us, right[c].after_us);
        if (after == NEVER)
            continue;
        facts[c] = (struct fact){.is_time = true, .is_bounded = true, .after_us = after};
        plan->set_op.expiry = (struct plan_expiry){true, c, after};
    }
    if (!plan->set_op.expiry.known)
        note_endless(e, plan, "the rows of INTERSECT and EXCEPT");
    return facts;
}

/* Columns of the child are those of the node; whatever was bounded or could be judged is not any more. */
static struct fact *weakened_facts(struct event_time *e, struct plan *plan)
{
    struct fact *below = facts_of(e, &plan->children[0], plan), *facts = no_facts(e, plan);
    for (uint32_t c = 0; c < plan->columns_count && c < plan->children[0]->columns_count; c++) {
        facts[c] = below[c];
        facts[c].is_bounded = facts[c].is_raw = facts[c].can_bound = false;
    }
    for (uint32_t i = 1; i < plan->children_count; i++)
        (void)facts_of(e, &plan->children[i], plan);
    return facts;
}

static struct fact *passed_facts(struct event_time *e, struct plan *plan)
{
    struct fact *below = facts_of(e, &plan->children[0], plan), *facts = no_facts(e, plan);
    for (uint32_t c = 0; c < plan->columns_count && c < plan->children[0]->columns_count; c++)
        facts[c] = below[c];
    for (uint32_t i = 1; i < plan->children_count; i++)
        (void)facts_of(e, &plan->children[i], plan);
    return facts;
}

/* Left rows are handed on as they come; the right side stays. */
static struct fact *lookup_facts(struct event_time *e, struct plan *plan)
{
    struct fact *facts = passed_facts(e, plan);
    if (plan->children[1]->append_only)
        note_endless(e, plan->children[1], "the rows of the right side of a join");
    return facts;
}

static struct fact *late_facts(struct event_time *e, struct plan *plan)
{
    struct fact *facts = passed_facts(e, plan);
    facts[plan->late.time_column] = (struct fact){
        .is_time = true, .is_bounded = true, .after_us = plus(plan->late.lateness->grace_us, 1)};
    return facts;
}

/* Rows come out when they are final. */
static struct fact *final_facts(struct event_time *e, struct plan *plan)
{
    struct fact *facts = weakened_facts(e, plan);
    facts[plan->final.column] =
        (struct fact){.is_time = true, .is_bounded = !plan->final.corrects, .after_us = plan->final.after_us};
    return facts;
}

static struct fact *node_facts(struct event_time *e, struct plan **slot, const struct plan *parent)
{
    struct plan *plan = *slot;
    switch (plan->kind) {
    case PLAN_SCAN:
        return scan_facts(e, plan);
    case PLAN_SYSTEM:
    case PLAN_VALUES:
        return no_facts(e, plan);
    case PLAN_CALC:
        return calc_facts(e, plan);
    case PLAN_WINDOW:
        return window_facts(e, plan);
    case PLAN_SESSION:
        return session_facts(e, plan);
    case PLAN_AGGREGATE:
        return aggregate_facts(e, plan);
    case PLAN_JOIN:
        return join_facts(e, plan);
    case PLAN_INTERVAL_JOIN:
        return interval_facts(e, plan);
    case PLAN_ASOF_JOIN:
        return asof_facts(e, plan);
    case PLAN_UNION_ALL:
        return union_facts(e, plan);
    case PLAN_SET_OP:
        return set_op_facts(e, plan);
    case PLAN_SORT:
        return partitioned_facts(e, plan, plan->sort.partition, plan->sort.partition_count,
                                 &plan->sort.expiry, NULL);
    case PLAN_OVER:
        return over_facts(e, plan, parent);
    case PLAN_PROJECT_SET:
        return passed_facts(e, plan);
    case PLAN_LOOKUP_JOIN:
        return lookup_facts(e, plan);
    case PLAN_LATE:
        return late_facts(e, plan);
    case PLAN_FINAL:
        return final_facts(e, plan);
    case PLAN_AT_MOST_ONE:
    case PLAN_TEMPORAL_FILTER:
    case PLAN_EVERY:
        return weakened_facts(e, plan);
    }
    return no_facts(e, plan);
}

/* Columns that a FULL JOIN leaves NULL serve EMIT FINAL right above it, and nothing else. */
static struct fact *facts_of(struct event_time *e, struct plan **slot, const struct plan *parent)
{
    struct fact *facts = node_facts(e, slot, parent);
    for (uint32_t c = 0; c < (*slot)->columns_count; c++) {
        if (facts[c].has_other)
            facts[c] = (struct fact){.is_time = false};
    }
    return facts;
}

/* ---- the passes ---- */

bool pass_lateness(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    (void)err;
    if (!ctx->for_view || ctx->view_time.late == VIEW_LATE_CORRECT)
        return true;
    plan_finish(*plan, ctx->arena); /* what is append-only */
    struct event_time e = {.ctx = ctx, .decides = true};
    (void)facts_of(&e, plan, NULL);
    return true;
}

/* The time column by which rows of the node become final: bounded before others, soonest first. */
static int32_t final_column(const struct fact *facts, uint32_t count)
{
    int32_t best = -1;
    for (uint32_t c = 0; c < count; c++) {
        if (!facts[c].is_time || facts[c].after_us == NEVER)
            continue;
        if (best < 0 || (facts[c].is_bounded && !facts[best].is_bounded) ||
            (facts[c].is_bounded == facts[best].is_bounded && facts[c].after_us < facts[best].after_us))
            best = (int32_t)c;
    }
    return best;
}

static bool put_final(struct event_time *e, struct plan **slot, struct error *err)
{
    while ((*slot)->kind == PLAN_CALC || (*slot)->kind == PLAN_PROJECT_SET)
        slot = &(*slot)->children[0];
    struct event_time quiet = {.ctx = e->ctx, .endless = ""};
    const struct fact *facts = node_facts(&quiet, slot, NULL);
    struct plan *plan = *slot;
    int32_t column = final_column(facts, plan->columns_count);
    if (plan->append_only && (column < 0 || !facts[column].is_bounded))
        return true; /* every row is final when it comes */
    if (column < 0) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "nothing says when rows of this query are final");
        return error_hint(
            err,
            "EMIT FINAL needs a watermark, and a result that has the window's end or the event time as a "
            "group, key or order column.");
    }
    struct plan *final = plan_new(e->ctx->arena, PLAN_FINAL, plan->columns_count, 1);
    memcpy(final->types, plan->types, sizeof(*final->types) * plan->columns_count);
    final->children[0] = plan;
    final->final.column = (uint32_t)column;
    final->final.after_us = facts[column].after_us;
    if (facts[column].is_raw) /* rows of this time come until then */
        final->final.after_us = plus(e->ctx->view_time.grace_us, facts[column].span_us);
    if (facts[column].has_other) {
        final->final.has_other = true;
        final->final.other_column = facts[column].other;
        final->final.other_after_us = facts[facts[column].other].after_us;
    }
    final->final.corrects = e->ctx->view_time.late == VIEW_LATE_CORRECT;
    *slot = final;
    return true;
}

/* What the view's own rows say about event time, for views over it. */
static void describe_watermark(struct event_time *e, struct plan **plan)
{
    struct planner_context *ctx = e->ctx;
    ctx->view_watermark = (struct watermark_desc){.partition_column = -1};
    if (!e->has_watermark || ctx->view_time.emit == VIEW_EMIT_EVERY)
        return;
    struct event_time quiet = {.ctx = ctx, .endless = ""};
    const struct fact *facts = facts_of(&quiet, plan, NULL);
    int32_t column = final_column(facts, (*plan)->columns_count);
    if (column < 0 || (!facts[column].is_bounded && !(facts[column].is_raw && facts[column].span_us == 1)))
        return;
    ctx->view_watermark =
        (struct watermark_desc){.is_declared = true,
                                .is_bounded = facts[column].is_bounded,
                                .column = (uint32_t)column,
                                .partition_column = -1,
                                .hold_us = facts[column].is_bounded ? facts[column].after_us : 0};
}

bool pass_event_time(struct planner_context *ctx, struct plan **plan, struct error *err)
{
    if (!ctx->for_view)
        return true;
    plan_finish(*plan, ctx->arena);
    struct event_time e = {.ctx = ctx};
    (void)facts_of(&e, plan, NULL);
    if (ctx->view_time.emit == VIEW_EMIT_FINAL && !put_final(&e, plan, err))
        return false;
    plan_finish(*plan, ctx->arena);
    describe_watermark(&e, plan);
    ctx->view_late = late_places(ctx->arena, *plan);
    if (e.endless != NULL && ctx->view_time.state_ttl_us == 0)
        planner_notice(ctx, "%s over stream \"%s\" are kept for ever", e.endless, e.endless_of);
    return true;
}
