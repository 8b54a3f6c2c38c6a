/* dataflow.c: life of a dataflow and the running of its ticks. dataflow_build.c makes the operators. */
#include "executor/dataflow_internal.h"

#include "executor/dataflow_build.h"
#include "executor/workers.h"
#include "storage/base/clock.h"

#include <xxhash.h>

#define PARALLEL_ROWS_MIN 512 /* below, waking other threads costs more than it brings */

static struct dataflow *dataflow_new(enum dataflow_mode mode, uint32_t shards_count, struct account *parent,
                                     const char *name)
{
    struct dataflow *flow = mem_zalloc(sizeof(*flow));
    flow->mode = mode;
    flow->shards_count = shards_count;
    account_init(&flow->account, parent, name, 0);
    arena_init(&flow->arena, &flow->account);
    flow->shards = mem_zalloc(sizeof(*flow->shards) * shards_count);
    flow->stages_count = 1;
    flow->watermark_before = flow->watermark = WATERMARK_NONE;
    flow->due_clock = flow->due_watermark = TIME_NEVER;
    for (uint32_t i = 0; i < shards_count; i++) {
        struct dataflow_shard *shard = &flow->shards[i];
        shard->dataflow = flow;
        arena_init(&shard->tick_arena, &flow->account);
        shard->ctx = (struct op_context){.mode = mode,
                                         .watermark_before = WATERMARK_NONE,
                                         .watermark = WATERMARK_NONE,
                                         .initial = true,
                                         .shard = i,
                                         .shards_count = shards_count,
                                         .plan_arena = &flow->arena,
                                         .tick_arena = &shard->tick_arena,
                                         .account = &flow->account,
                                         .env = &flow->env,
                                         .collect_errors = mode == DATAFLOW_CONTINUOUS,
                                         .owner = shard};
    }
    return flow;
}

static void close_nodes(struct dataflow *flow)
{
    for (uint32_t n = 0; n < flow->nodes_count; n++) {
        struct node *node = flow->nodes[n];
        for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
            if (node->ops[shard]->class->close != NULL)
                node->ops[shard]->class->close(node->ops[shard]);
        }
    }
    flow->nodes_count = flow->timed_nodes_count = 0;
}

/* Frees operators and memory; inputs have been unhooked before. */
static void dataflow_free(struct dataflow *flow)
{
    close_nodes(flow);
    for (uint32_t i = 0; i < flow->shards_count; i++)
        arena_release(&flow->shards[i].tick_arena);
    if (flow->own_feed.shards != NULL)
        feed_release(&flow->own_feed);
    mem_free(flow->shards);
    mem_free(flow->inputs);
    mem_free(flow->used);
    arena_release(&flow->arena);
    if (flow->plan_arena != NULL) {
        arena_release(flow->plan_arena);
        mem_free(flow->plan_arena);
    }
    mem_free(flow);
}

static void copy_env(struct dataflow *flow, const struct eval_env *env)
{
    flow->env = *env;
    flow->env.io.timezone = arena_strdup(&flow->arena, env->io.timezone ? env->io.timezone : "UTC");
    flow->env.io.reg_output = NULL;
    flow->env.io.reg_input = NULL;
    flow->env.session = NULL;
    flow->env.cancel = NULL;
    flow->env.params = NULL;
    flow->env.params_count = 0;
}

/* The late rows' description, and a relation for them. */
static void make_late(struct dataflow *flow, const struct late_desc *desc)
{
    struct relation *target = flow->target;
    struct late_desc *late = arena_copy(&flow->arena, desc, sizeof(*desc));
    late->types = arena_copy(&flow->arena, desc->types, sizeof(*desc->types) * desc->columns_count);
    const uint32_t **places = ARENA_ARRAY(&flow->arena, const uint32_t *, desc->places_count);
    for (uint32_t i = 0; i < desc->places_count; i++)
        places[i] = arena_copy(&flow->arena, desc->places[i],
                               sizeof(uint32_t) * (desc->columns_count - LATE_EXTRA_COLUMNS));
    late->places = places;
    flow->late = late;
    if (!desc->keeps_rows || target->late != NULL)
        return;
    struct relation_desc relation = {.oid = target->oid,
                                     .kind = RELATION_STREAM,
                                     .schema = target->schema,
                                     .name = target->name,
                                     .columns_count = desc->columns_count,
                                     .types = desc->types,
                                     .column_names = desc->names,
                                     .append_only = true};
    relation.watermark.partition_column = -1;
    target->late = relation_create(&relation, target->shards_count, target->account.parent);
    target->late->is_late = true;
}

struct node *dataflow_add_node(struct dataflow *flow, const struct operator_class *class,
                               const struct plan *plan, uint32_t columns_count, const struct sql_type *types,
                               uint32_t depth)
{
    struct node *node = ARENA_NEW(&flow->arena, struct node);
    node->plan = plan;
    node->depth = depth;
    node->ops = ARENA_ARRAY(&flow->arena, struct operator*, flow->shards_count);
    for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
        struct operator* op = arena_zalloc(&flow->arena, class->bytes);
        op->class = class;
        op->plan = plan;
        op->ctx = &flow->shards[shard].ctx;
        op->columns_count = columns_count;
        op->types = types;
        node->ops[shard] = op;
    }
    if (flow->nodes_count == flow->nodes_cap) {
        uint32_t cap = flow->nodes_cap ? flow->nodes_cap * 2 : 16;
        flow->nodes = arena_grow(&flow->arena, flow->nodes, sizeof(*flow->nodes) * flow->nodes_cap,
                                 sizeof(*flow->nodes) * cap);
        flow->nodes_cap = cap;
    }
    flow->nodes[flow->nodes_count++] = node;
    return node;
}

void dataflow_connect(struct dataflow *flow, struct node *from, struct node *to, uint32_t port)
{
    if (to->stage < from->stage)
        to->stage = from->stage;
    if (flow->stages_count <= to->stage)
        flow->stages_count = to->stage + 1;
    for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
        struct operator* source = from->ops[shard], *target = to->ops[shard];
        source->edges = arena_grow(&flow->arena, source->edges, sizeof(*source->edges) * source->edges_count,
                                   sizeof(*source->edges) * (source->edges_count + 1));
        source->edges[source->edges_count++] = (struct operator_edge){target, port};
        if (target->inputs_count <= port) {
            target->inputs =
                arena_grow(&flow->arena, target->inputs, sizeof(*target->inputs) * target->inputs_count,
                           sizeof(*target->inputs) * (port + 1));
            target->inputs_count = port + 1;
        }
        target->inputs[port] = source;
    }
}

bool dataflow_open_node(struct node *node, uint32_t shards_count, struct error *err)
{
    for (uint32_t shard = 0; shard < shards_count; shard++) {
        struct operator* op = node->ops[shard];
        if (op->class->open != NULL && !op->class->open(op, op->plan, err))
            return false;
    }
    return true;
}

/* ---- views and shared arrangements ---- */

static void find_timed_nodes(struct dataflow *flow)
{
    flow->timed_nodes = ARENA_ARRAY(&flow->arena, struct node *, flow->nodes_count);
    for (uint32_t n = 0; n < flow->nodes_count; n++) {
        const struct operator_class *class = flow->nodes[n]->ops[0]->class;
        if (class->due_clock != NULL || class->due_watermark != NULL || class->holds_watermark != NULL)
            flow->timed_nodes[flow->timed_nodes_count++] = flow->nodes[n];
        const struct plan *plan = flow->nodes[n]->plan;
        flow->holds_watermark |=
            class->holds_watermark != NULL && plan->kind == PLAN_LOOKUP_JOIN && plan->lookup_join.is_external;
    }
}

static void print_for_hash(void *ctx, struct plan *node)
{
    struct strbuf *text = ctx;
    if (node->kind == PLAN_SCAN) { /* names may change */
        strbuf_addf(text, "Scan %u", node->scan.relation->oid);
        for (uint32_t i = 0; i < node->columns_count; i++)
            strbuf_addf(text, " %u", node->scan.columns[i]);
    } else {
        plan_print_node(node, text);
    }
    for (uint32_t i = 0; i < node->columns_count; i++)
        strbuf_addf(text, " %u/%d", node->types[i].oid, node->types[i].typmod);
    strbuf_addf(text, " over %u;", node->children_count);
}

/* Of what the operators are made from: state that was saved for another plan means something else. */
static uint64_t hash_plan(const struct plan *plan)
{
    struct strbuf text = STRBUF_INIT;
    plan_walk((struct plan *)(uintptr_t)plan, print_for_hash, &text);
    uint64_t hash = XXH3_64bits(text.data, text.len);
    strbuf_release(&text);
    return hash;
}

bool dataflow_create_view(struct relation *target, const struct plan *plan, struct arena *plan_arena,
                          const struct eval_env *env, const struct late_desc *late, struct account *parent,
                          const struct tick_frame *frame, struct dataflow **out, struct error *err)
{
    struct dataflow *flow =
        dataflow_new(DATAFLOW_CONTINUOUS, target->shards_count, &target->account, target->name);
    flow->plan_arena = plan_arena;
    flow->frame = frame;
    flow->target = target;
    flow->order = target->oid;
    copy_env(flow, env);
    flow->plan_hash = hash_plan(plan);
    if (!dataflow_build_view(flow, plan, err)) {
        dataflow_destroy(flow);
        return false;
    }
    if (late != NULL)
        make_late(flow, late);
    find_timed_nodes(flow);
    pthread_mutex_lock(&target->lock);
    target->dataflow = flow;
    pthread_mutex_unlock(&target->lock);
    target->level = flow->level;
    *out = flow;
    return true;
}

static void forget_arrangement(struct shared_arrangement *shared)
{
    struct shared_arrangement **link = &shared->relation->arrangements;
    while (*link != shared)
        link = &(*link)->next;
    *link = shared->next;
}

/* Nothing reaches it any more; shared arrangements without users go. */
static void unhook(struct dataflow *flow)
{
    for (uint32_t i = 0; i < flow->used_count; i++) {
        struct shared_arrangement *shared = flow->used[i];
        if (shared->is_listed)
            feed_remove_dependent(&shared->dataflow->own_feed, flow);
        if (--shared->users == 0) {
            if (shared->is_listed)
                forget_arrangement(shared);
            dataflow_destroy(shared->dataflow);
        }
    }
    for (uint32_t i = 0; i < flow->inputs_count; i++) {
        if (flow->is_hooked)
            feed_remove_dependent(&flow->inputs[i]->feed, flow);
        relation_release(flow->inputs[i]);
    }
    flow->used_count = flow->inputs_count = 0;
}

void dataflow_destroy(struct dataflow *flow)
{
    unhook(flow);
    if (flow->target != NULL && flow->target->dataflow == flow) {
        pthread_mutex_lock(&flow->target->lock);
        flow->target->dataflow = NULL;
        pthread_mutex_unlock(&flow->target->lock);
    }
    dataflow_free(flow);
}

struct dataflow *dataflow_new_fragment(struct dataflow *user, struct shared_arrangement *shared)
{
    struct account *parent = user->target != NULL ? user->target->account.parent : user->account.parent;
    struct dataflow *flow =
        dataflow_new(DATAFLOW_CONTINUOUS, user->shards_count, parent, "shared arrangement");
    flow->account.is_state = true;
    copy_env(flow, &user->env);
    flow->arrangement = shared;
    flow->order = user->order;
    flow->frame = user->frame;
    feed_init(&flow->own_feed, flow->shards_count);
    return flow;
}

struct dataflow *dataflow_next_unfilled(struct dataflow *dataflow)
{
    for (uint32_t i = 0; i < dataflow->used_count; i++) {
        if (!dataflow->used[i]->filled) {
            dataflow->used[i]->filled = true;
            return dataflow->used[i]->dataflow;
        }
    }
    return NULL;
}

struct dataflow *dataflow_fragment(struct dataflow *dataflow, uint32_t i)
{
    return i < dataflow->used_count ? dataflow->used[i]->dataflow : NULL;
}

void dataflow_visit_inputs(struct dataflow *dataflow, void (*visit)(void *ctx, struct relation *relation),
                           void *ctx)
{
    for (uint32_t i = 0; i < dataflow->inputs_count; i++)
        visit(ctx, dataflow->inputs[i]);
    for (uint32_t i = 0; i < dataflow->used_count; i++)
        dataflow_visit_inputs(dataflow->used[i]->dataflow, visit, ctx);
}

uint64_t dataflow_rows_to_read(const struct dataflow *dataflow)
{
    uint64_t rows = 0;
    for (uint32_t n = 0; n < dataflow->nodes_count; n++) {
        const struct node *node = dataflow->nodes[n];
        struct relation_stats stats;
        if (node->ops[0]->class != &flow_scan_class)
            continue;
        relation_stats(node->plan->scan.relation, &stats);
        rows += stats.rows;
    }
    for (uint32_t i = 0; i < dataflow->used_count; i++)
        rows += dataflow_rows_to_read(dataflow->used[i]->dataflow);
    return rows;
}

/* ---- from its own ticks to everybody's ---- */

static void hook(struct dataflow *flow)
{
    flow->frame = NULL;
    flow->is_hooked = true;
    for (uint32_t i = 0; i < flow->inputs_count; i++)
        feed_add_dependent(&flow->inputs[i]->feed, flow);
}

static struct shared_arrangement *find_listed(const struct shared_arrangement *like)
{
    struct shared_arrangement *shared = like->relation->arrangements;
    while (shared != NULL && strcmp(shared->fingerprint, like->fingerprint) != 0)
        shared = shared->next;
    return shared;
}

/* Both hold the same rows: they say the same of the same relation, at the same epoch. */
static void use_instead(struct dataflow *flow, uint32_t at, struct shared_arrangement *shared)
{
    struct shared_arrangement *own = flow->used[at];
    for (uint32_t n = 0; n < flow->nodes_count; n++) {
        for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
            struct operator* op = flow->nodes[n]->ops[shard];
            if (op->class == &flow_shared_class && flow_shared_arrangement(op) == own)
                flow_shared_setup(op, shared);
            else if (op->class == &op_join_class)
                op_join_replace(op, own->states[shard], shared->states[shard]);
            else if (op->class == &op_lookup_join_class)
                op_lookup_join_replace(op, own->states[shard], shared->states[shard]);
        }
    }
    flow->used[at] = shared;
    shared->users++;
    feed_add_dependent(&shared->dataflow->own_feed, flow);
}

struct dataflow *dataflow_publish(struct dataflow *flow)
{
    struct dataflow *given_up = NULL;
    hook(flow);
    for (uint32_t i = 0; i < flow->used_count; i++) {
        struct shared_arrangement *own = flow->used[i];
        if (own->is_listed)
            continue;
        struct shared_arrangement *shared = find_listed(own);
        if (shared != NULL) {
            use_instead(flow, i, shared);
            own->dataflow->next = given_up;
            given_up = own->dataflow;
            continue;
        }
        hook(own->dataflow);
        feed_add_dependent(&own->dataflow->own_feed, flow);
        own->is_listed = true;
        own->next = own->relation->arrangements;
        own->relation->arrangements = own;
    }
    return given_up;
}

void dataflow_destroy_list(struct dataflow *first)
{
    while (first != NULL) {
        struct dataflow *next = first->next;
        dataflow_destroy(first);
        first = next;
    }
}

const struct frame_input *frame_input(const struct tick_frame *frame, const struct relation *relation)
{
    uint32_t i = 0;
    while (frame->inputs[i].relation != relation)
        i++;
    return &frame->inputs[i];
}

bool dataflow_is_called(const struct dataflow *flow, uint64_t epoch, int64_t clock_us)
{
    for (uint32_t i = 0; i < flow->inputs_count; i++) {
        const struct frame_input *input = frame_input(flow->frame, flow->inputs[i]);
        if (input->shards != NULL || input->watermark != input->watermark_before)
            return true;
    }
    for (uint32_t i = 0; i < flow->used_count; i++) {
        const struct dataflow *fragment = flow->used[i]->dataflow;
        if (fragment->epoch == epoch &&
            (feed_rows(&fragment->own_feed) > 0 || dataflow_watermark_moved(fragment)))
            return true;
    }
    return dataflow_due_clock(flow) <= clock_us;
}

uint32_t dataflow_level(const struct dataflow *dataflow)
{
    return dataflow->level;
}

uint32_t dataflow_order(const struct dataflow *dataflow)
{
    return dataflow->order;
}

struct feed *dataflow_feed(struct dataflow *dataflow)
{
    return dataflow->target != NULL ? &dataflow->target->feed : &dataflow->own_feed;
}

struct relation *dataflow_target(struct dataflow *dataflow)
{
    return dataflow->target;
}

bool *dataflow_scheduled(struct dataflow *dataflow)
{
    return &dataflow->scheduled;
}

/* ---- event time ---- */

/* The lowest watermark of the relations it reads, before the tick and now. */
static void lowest_watermark(const struct dataflow *flow, uint64_t epoch, bool *found, int64_t *before,
                             int64_t *now)
{
    for (uint32_t i = 0; i < flow->inputs_count; i++) {
        const struct relation *input = flow->inputs[i];
        if (!input->has_watermark)
            continue;
        const struct frame_input *framed = flow->frame != NULL ? frame_input(flow->frame, input) : NULL;
        int64_t input_before =
            framed != NULL ? framed->watermark_before : relation_watermark_before(input, epoch);
        int64_t input_now = framed != NULL ? framed->watermark : input->watermark_now;
        if (!*found || input_before < *before)
            *before = input_before;
        if (!*found || input_now < *now)
            *now = input_now;
        *found = true;
    }
    for (uint32_t i = 0; i < flow->used_count; i++)
        lowest_watermark(flow->used[i]->dataflow, epoch, found, before, now);
}

static int64_t held_watermark(const struct dataflow *flow)
{
    int64_t held = TIME_NEVER;
    for (uint32_t n = 0; n < flow->timed_nodes_count; n++) {
        const struct operator_class *class = flow->timed_nodes[n]->ops[0]->class;
        for (uint32_t shard = 0; shard < flow->shards_count && class->holds_watermark != NULL; shard++) {
            int64_t one = class->holds_watermark(flow->timed_nodes[n]->ops[shard]);
            held = one < held ? one : held;
        }
    }
    return held;
}

/* Where rows may have to wait, only the end of a tick tells which do: the watermark follows that of the inputs one tick
 * behind, and not past what rows that wait came with. */
static void follow_watermark(struct dataflow *flow, bool initial, int64_t before)
{
    int64_t held = held_watermark(flow);
    flow->watermark_before = flow->watermark;
    if (initial)
        return;
    before = before < held ? before : held;
    if (before > flow->watermark)
        flow->watermark = before;
}

/* Would the watermark move in another tick though nothing comes? */
static bool can_go_on(const struct dataflow *flow)
{
    bool found = false;
    int64_t before = WATERMARK_NONE, now = WATERMARK_NONE;
    lowest_watermark(flow, flow->epoch, &found, &before, &now);
    return now > flow->watermark && held_watermark(flow) > flow->watermark;
}

static void begin_event_time(struct dataflow *flow, uint64_t epoch, int64_t clock_us, bool initial)
{
    bool found = false;
    int64_t before = WATERMARK_NONE, now = WATERMARK_NONE;
    lowest_watermark(flow, epoch, &found, &before, &now);
    if (flow->holds_watermark) {
        follow_watermark(flow, initial, before);
    } else {
        flow->watermark_before = initial ? WATERMARK_NONE : before;
        if (now > flow->watermark)
            flow->watermark = now;
    }
    for (uint32_t i = 0; i < flow->shards_count; i++) {
        struct dataflow_shard *shard = &flow->shards[i];
        shard->ctx.watermark_before = flow->watermark_before;
        shard->ctx.watermark = flow->watermark;
        shard->judged = shard->late_count = 0;
        shard->late = NULL;
        shard->late_batches = shard->late_cap = 0;
    }
    for (uint32_t n = 0; n < flow->timed_nodes_count; n++) {
        struct node *node = flow->timed_nodes[n];
        const struct operator_class *class = node->ops[0]->class;
        for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
            struct operator* op = node->ops[shard];
            op->dirty |= (class->due_clock != NULL && class->due_clock(op) <= clock_us) ||
                         (class->due_watermark != NULL && class->due_watermark(op) <= flow->watermark);
        }
    }
}

static void end_event_time(struct dataflow *flow)
{
    flow->due_clock = flow->due_watermark = TIME_NEVER;
    for (uint32_t n = 0; n < flow->timed_nodes_count; n++) {
        struct node *node = flow->timed_nodes[n];
        const struct operator_class *class = node->ops[0]->class;
        for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
            struct operator* op = node->ops[shard];
            int64_t clock = class->due_clock != NULL ? class->due_clock(op) : TIME_NEVER;
            int64_t watermark = class->due_watermark != NULL ? class->due_watermark(op) : TIME_NEVER;
            flow->due_clock = clock < flow->due_clock ? clock : flow->due_clock;
            flow->due_watermark = watermark < flow->due_watermark ? watermark : flow->due_watermark;
        }
    }
    if (flow->holds_watermark && can_go_on(flow)) /* at once */
        flow->due_clock = flow->env.io.now_us < flow->due_clock ? flow->env.io.now_us : flow->due_clock;
    for (uint32_t i = 0; i < flow->shards_count && flow->target != NULL; i++) {
        atomic_fetch_add(&flow->target->judged_count, flow->shards[i].judged);
        atomic_fetch_add(&flow->target->late_count, flow->shards[i].late_count);
    }
}

void dataflow_set_watermark(struct dataflow *flow, int64_t watermark)
{
    flow->watermark = flow->watermark_before = watermark;
    for (uint32_t i = 0; i < flow->shards_count; i++)
        flow->shards[i].ctx.watermark = flow->shards[i].ctx.watermark_before = watermark;
}

void dataflow_restored(struct dataflow *flow)
{
    end_event_time(flow);
    dataflow_end_tick(flow);
}

int64_t dataflow_due_clock(const struct dataflow *flow)
{
    return flow->failed ? TIME_NEVER : flow->due_clock;
}

bool *dataflow_timed(struct dataflow *flow)
{
    return &flow->timed;
}

static int64_t due_watermark(const struct dataflow *flow)
{
    const struct relation *target = flow->target;
    int64_t due = flow->failed ? TIME_NEVER : flow->due_watermark, next = TIME_NEVER;
    if (target == NULL)
        next = feed_due_watermark(&flow->own_feed);
    else if (target->has_watermark)
        next = feed_due_watermark(&target->feed);
    if (next != TIME_NEVER && target != NULL &&
        __builtin_add_overflow(next, target->watermark_desc.hold_us, &next))
        next = TIME_NEVER;
    return due < next ? due : next;
}

int64_t feed_due_watermark(const struct feed *feed)
{
    int64_t due = TIME_NEVER;
    for (uint32_t i = 0; i < feed->dependents_count; i++) {
        int64_t one = due_watermark(feed->dependents[i]);
        due = one < due ? one : due;
    }
    return due;
}

int64_t dataflow_watermark(const struct dataflow *flow)
{
    return flow->watermark;
}

bool dataflow_watermark_moved(const struct dataflow *flow)
{
    return flow->watermark != flow->watermark_before;
}

bool dataflow_pass_watermark(struct dataflow *flow, uint64_t epoch)
{
    struct relation *target = flow->target;
    if (target == NULL)
        return dataflow_watermark_moved(flow);
    if (!target->has_watermark)
        return false;
    if (flow->watermark != WATERMARK_NONE && flow->watermark > INT64_MIN + target->watermark_desc.hold_us + 1)
        relation_set_watermark(target, epoch, flow->watermark - target->watermark_desc.hold_us);
    return relation_watermark_moved(target, epoch);
}

bool dataflow_has_late_rows(const struct dataflow *flow)
{
    for (uint32_t i = 0; i < flow->shards_count; i++) {
        if (flow->shards[i].late_batches > 0)
            return true;
    }
    return false;
}

void dataflow_store_late_rows(struct dataflow *flow)
{
    struct relation *late = flow->target->late;
    for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
        for (uint32_t i = 0; i < flow->shards[shard].late_batches; i++) {
            segments_append(late->segments[shard], flow->shards[shard].late[i], flow->epoch);
            feed_count(&late->feed, shard, flow->shards[shard].late[i]->rows);
        }
    }
    late->feed.dirty = true;
}

/* ---- a tick ---- */

struct stage_run {
    struct dataflow *flow;
    uint32_t stage;
    _Atomic bool failed;
};

static bool run_node(struct dataflow *flow, struct node *node, uint32_t shard, struct error *err)
{
    struct operator* op = node->ops[shard];
    if (node->is_source) {
        bool ok = op->class == &flow_receive_class ? flow_receive_run(op, err) : flow_source_run(op, err);
        if (!ok)
            return false;
    }
    if (op->class->finish != NULL && (op->dirty || op->ctx->initial) && !op->class->finish(op, err))
        return false;
    op->dirty = false;
    return true;
}

static void run_stage(void *ctx, uint32_t shard)
{
    struct stage_run *run = ctx;
    struct dataflow *flow = run->flow;
    struct dataflow_shard *state = &flow->shards[shard];
    for (uint32_t n = 0; n < flow->nodes_count; n++) {
        if (flow->nodes[n]->stage != run->stage)
            continue;
        if (!run_node(flow, flow->nodes[n], shard, &state->failure)) {
            atomic_store(&run->failed, true);
            return;
        }
    }
}

void dataflow_fail(struct dataflow *flow, const struct error *err)
{
    if (flow->failed)
        return;
    flow->failed = true;
    flow->failure = *err;
    if (flow->target != NULL) {
        pthread_mutex_lock(&flow->target->lock);
        flow->target->failure = *err;
        atomic_store(&flow->target->failed, true);
        pthread_mutex_unlock(&flow->target->lock);
    }
    const struct feed *feed = dataflow_feed(flow);
    for (uint32_t i = 0; i < feed->dependents_count; i++)
        dataflow_fail(feed->dependents[i], err);
}

void dataflow_give_up(struct dataflow *flow)
{
    pthread_mutex_lock(&flow->target->lock); /* others look at the nodes */
    close_nodes(flow);
    pthread_mutex_unlock(&flow->target->lock);
    unhook(flow);
}

static bool reads_failed(const struct dataflow *flow, struct error *err)
{
    for (uint32_t i = 0; i < flow->inputs_count; i++) {
        if (atomic_load(&flow->inputs[i]->failed)) {
            pthread_mutex_lock(&flow->inputs[i]->lock);
            *err = flow->inputs[i]->failure;
            pthread_mutex_unlock(&flow->inputs[i]->lock);
            return true;
        }
    }
    for (uint32_t i = 0; i < flow->used_count; i++) {
        if (reads_failed(flow->used[i]->dataflow, err))
            return true;
    }
    return false;
}

/* What the view keeps, whole arrangements that it shares included, against its limit. */
static bool is_within_limit(const struct dataflow *flow, struct error *err)
{
    const struct account *account = &flow->target->account;
    int64_t used = atomic_load(&account->used_bytes);
    for (uint32_t i = 0; i < flow->shards_count; i++) /* the tick's own batches go with it */
        used -= (int64_t)flow->shards[i].tick_arena.total_bytes;
    for (uint32_t i = 0; i < flow->used_count; i++)
        used += atomic_load(&flow->used[i]->dataflow->account.used_bytes);
    if (account->limit_bytes == 0 || used <= account->limit_bytes)
        return true;
    error_set(err, ERRCODE_OUT_OF_MEMORY, "memory limit of %s exceeded", account->name);
    return error_detail(err, "%lld bytes are in use, %lld are allowed.", (long long)used,
                        (long long)account->limit_bytes);
}

bool dataflow_tick(struct dataflow *flow, uint64_t epoch, int64_t clock_us, uint64_t seed, bool initial,
                   const _Atomic bool *cancel, struct workers *workers, uint64_t rows, struct error *err)
{
    if (flow->failed) {
        *err = flow->failure;
        return false;
    }
    int64_t start_ns = clock_monotonic_ns();
    flow->epoch = epoch;
    flow->env.io.now_us = flow->env.statement_us = clock_us;
    flow->env.seed = seed;
    flow->env.cancel = cancel;
    begin_event_time(flow, epoch, clock_us, initial);
    for (uint32_t i = 0; i < flow->shards_count; i++) {
        flow->shards[i].ctx.initial = initial;
        error_init(&flow->shards[i].failure);
    }
    /* Whoever creates a view asks for its memory like any statement. One that is made again at a start and is over its
     * limit is there, as failed, and the server starts. */
    struct account *limited = initial ? flow->target != NULL ? &flow->target->account : &flow->account : NULL;
    int64_t limit_bytes = limited != NULL ? limited->limit_bytes : 0;
    bool is_restored = initial && cancel == NULL;
    if (limited != NULL) {
        limited->is_state = is_restored;
        limited->limit_bytes = is_restored ? 0 : limit_bytes;
    }
    struct stage_run run = {.flow = flow};
    for (run.stage = 0; run.stage < flow->stages_count && !run.failed; run.stage++) {
        if (workers != NULL)
            workers_run(workers, initial || rows >= PARALLEL_ROWS_MIN, run_stage, &run);
        else
            for (uint32_t shard = 0; shard < flow->shards_count; shard++)
                run_stage(&run, shard);
    }
    flow->env.cancel = NULL;
    flow->busy_ns += clock_monotonic_ns() - start_ns;
    if (limited != NULL) {
        limited->limit_bytes = limit_bytes;
        limited->is_state = true;
    }
    struct error failure;
    error_init(&failure);
    for (uint32_t i = 0; i < flow->shards_count && run.failed; i++) {
        if (flow->shards[i].failure.code != ERRCODE_NONE)
            failure = flow->shards[i].failure;
    }
    if (run.failed || (flow->target != NULL && !is_restored && !is_within_limit(flow, &failure))) {
        dataflow_fail(flow, &failure);
        *err = failure;
        return false;
    }
    if (is_restored &&
        (reads_failed(flow, &failure) || (flow->target != NULL && !is_within_limit(flow, &failure))))
        dataflow_fail(flow, &failure);
    for (uint32_t i = 0; i < flow->shards_count; i++) {
        struct dataflow_shard *shard = &flow->shards[i];
        for (uint32_t e = 0; e < shard->errors_count && flow->target != NULL; e++) {
            struct pending_error *error = &shard->errors[e];
            relation_add_error(flow->target, error->op_name, error->sqlstate, error->message, error->row,
                               error->weight);
        }
        shard->errors = NULL;
        shard->errors_count = shard->errors_cap = 0;
    }
    end_event_time(flow);
    return true;
}

/* ---- statistics ---- */

static void sum_operator(const struct dataflow *flow, const struct node *node, struct operator_stats *out)
{
    const struct operator* first = node->ops[0];
    *out = (struct operator_stats){
        .id = node->plan != NULL ? node->plan->id : 0, .depth = node->depth, .name = first->class->name};
    for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
        const struct operator* op = node->ops[shard];
        out->rows_in += op->rows_in;
        out->rows_out += op->rows_out;
        out->batches += op->batches_in;
    }
    out->state_rows = node->state_rows;
    out->state_bytes = node->state_bytes;
}

static void note_state(const struct dataflow *flow, struct node *node)
{
    const struct operator_class *class = node->ops[0]->class;
    uint64_t rows = 0;
    int64_t bytes = 0;
    for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
        rows += class->state_rows != NULL ? class->state_rows(node->ops[shard]) : 0;
        bytes += class->state_bytes != NULL ? class->state_bytes(node->ops[shard]) : 0;
    }
    node->state_rows = rows;
    node->state_bytes = bytes;
}

/* ---- end of a tick, end of a statement ---- */

void dataflow_end_tick(struct dataflow *flow)
{
    flow->scheduled = false;
    feed_clear(dataflow_feed(flow));
    for (uint32_t n = 0; n < flow->nodes_count; n++)
        note_state(flow, flow->nodes[n]);
    for (uint32_t i = 0; i < flow->shards_count; i++) {
        flow->shards[i].ctx.initial = false;
        arena_reset(&flow->shards[i].tick_arena);
    }
}

/* ---- a statement ---- */

bool dataflow_run_once(const struct plan *plan, const struct query_options *options, query_sink sink,
                       void *sink_ctx, struct error *err)
{
    struct dataflow *flow = dataflow_new(DATAFLOW_ONE_SHOT, 1, options->account, "statement");
    flow->options = options;
    flow->sink = sink;
    flow->sink_ctx = sink_ctx;
    flow->shards[0].ctx.env = options->env;
    bool ok = dataflow_build_once(flow, plan, err);
    for (uint32_t n = 0; ok && n < flow->nodes_count && !flow->shards[0].ctx.stop; n++)
        ok = run_node(flow, flow->nodes[n], 0, err) && account_check(&flow->account, err);
    dataflow_free(flow);
    return ok;
}

bool dataflow_is_reached(struct dataflow *flow, uint64_t visit)
{
    if (flow->visited == visit) /* looked at, and it was not */
        return false;
    flow->visited = visit;
    for (uint32_t i = 0; i < flow->inputs_count; i++) {
        const struct relation *input = flow->inputs[i];
        if (input->feed.dirty || (input->dataflow != NULL && dataflow_is_reached(input->dataflow, visit)))
            return true;
    }
    for (uint32_t i = 0; i < flow->used_count; i++) {
        if (dataflow_is_reached(flow->used[i]->dataflow, visit))
            return true;
    }
    return false;
}

uint64_t dataflow_take_rows_in(struct dataflow *flow)
{
    uint64_t rows = 0;
    for (uint32_t n = 0; n < flow->nodes_count; n++) {
        for (uint32_t shard = 0; shard < flow->shards_count; shard++)
            rows += flow->nodes[n]->ops[shard]->rows_in;
    }
    uint64_t more = rows - flow->rows_in_taken;
    flow->rows_in_taken = rows;
    return more;
}

void dataflow_stats(struct dataflow *flow, struct relation_stats *out)
{
    out->busy_ns += flow->busy_ns;
    for (uint32_t n = 0; n < flow->nodes_count; n++) {
        struct operator_stats stats;
        sum_operator(flow, flow->nodes[n], &stats);
        out->rows_in += stats.rows_in;
        out->rows_out += stats.rows_out;
        out->state_bytes += stats.state_bytes;
    }
    for (uint32_t i = 0; i < flow->used_count; i++)
        dataflow_stats(flow->used[i]->dataflow, out);
}

void dataflow_operators(struct dataflow *flow, relation_operator_fn visit, void *ctx)
{
    for (uint32_t n = flow->nodes_count; n-- > 0;) {
        struct operator_stats stats;
        sum_operator(flow, flow->nodes[n], &stats);
        if (!visit(ctx, &stats))
            return;
    }
    for (uint32_t i = 0; i < flow->used_count; i++)
        dataflow_operators(flow->used[i]->dataflow, visit, ctx);
}
