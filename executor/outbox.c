/* outbox.c: see outbox.h. The operator at the root of a sink's dataflow, and the way to its rows. */
#include "executor/outbox.h"

#include "executor/dataflow_internal.h"
#include "executor/engine_internal.h"
#include "executor/outbox_internal.h"

static const struct sql_type extra_types[OUTBOX_COLUMNS] = {{OID_INT2, -1}, {OID_INT8, -1}, {OID_INT8, -1}};

void outbox_types(struct sql_type *types)
{
    memcpy(types, extra_types, sizeof(extra_types));
}

/* ---- a tick's change in the order in which it goes out ---- */

/* Rows of a change, in order; NULL ops: all are OUTBOX_INSERT. */
struct outgoing {
    uint32_t *rows;
    int16_t *ops;
    uint32_t count, cap;
};

static void add(struct outgoing *out, struct arena *arena, uint32_t row, enum outbox_op op, int64_t copies)
{
    CHECK(copies >= 0 && copies <= UINT32_MAX - out->count);
    if (out->count + copies > out->cap) {
        uint32_t cap = out->cap + out->cap / 2 + (uint32_t)copies;
        out->rows = arena_grow(arena, out->rows, sizeof(*out->rows) * out->count, sizeof(*out->rows) * cap);
        out->ops = arena_grow(arena, out->ops, sizeof(*out->ops) * out->count, sizeof(*out->ops) * cap);
        out->cap = cap;
    }
    for (; copies > 0; copies--) {
        out->rows[out->count] = row;
        out->ops[out->count++] = (int16_t)op;
    }
}

/* For each row that goes, the row that comes with the same key, byte for byte (another spelling of an equal key is
 * another key to whoever reads it); UINT32_MAX: none. And the other way round. */
static uint32_t *match_keys(const struct outbox_desc *desc, const struct batch *net, struct arena *arena)
{
    uint32_t *matches = arena_alloc(arena, sizeof(*matches) * net->rows);
    memset(matches, 0xff, sizeof(*matches) * net->rows);
    if (desc->key_count == 0 || net->weights == NULL)
        return matches;
    struct batch *keys = batch_header(arena, desc->key_count);
    uint32_t *numbers = arena_alloc(arena, sizeof(*numbers) * desc->key_count);
    keys->rows = net->rows;
    for (uint32_t k = 0; k < desc->key_count; k++) {
        keys->columns[k] = net->columns[desc->key[k]];
        numbers[k] = k;
    }
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * net->rows);
    batch_hash(keys, numbers, desc->key_count, hashes);
    uint32_t cap = 16;
    while (cap < net->rows * 2u)
        cap *= 2;
    uint32_t *buckets = ARENA_ARRAY(arena, uint32_t, cap); /* row + 1 of those that come */
    for (uint32_t row = 0; row < net->rows; row++) {
        if (net->weights[row] < 0)
            continue;
        uint32_t at = (uint32_t)hashes[row] & (cap - 1);
        while (buckets[at] != 0)
            at = (at + 1) & (cap - 1);
        buckets[at] = row + 1;
    }
    for (uint32_t row = 0; row < net->rows; row++) {
        if (net->weights[row] >= 0)
            continue;
        for (uint32_t at = (uint32_t)hashes[row] & (cap - 1); buckets[at] != 0; at = (at + 1) & (cap - 1)) {
            uint32_t other = buckets[at] - 1;
            if (hashes[other] == hashes[row] && batch_rows_identical(keys, row, keys, other)) {
                matches[row] = other;
                matches[other] = row;
                break;
            }
        }
    }
    return matches;
}

/* net: consolidated. What goes comes first, so that a reader who folds by key ends with what the sink's query has. */
static void order_change(const struct outbox_desc *desc, const struct batch *net, struct arena *arena,
                         struct outgoing *out)
{
    const uint32_t *matches = match_keys(desc, net, arena);
    bool shows_both = desc->kind == OUTBOX_CHANGES;
    for (uint32_t row = 0; row < net->rows; row++) {
        int64_t weight = batch_weight(net, row);
        if (weight < 0 && matches[row] == UINT32_MAX)
            add(out, arena, row, OUTBOX_DELETE, -weight);
    }
    for (uint32_t row = 0; row < net->rows; row++) {
        int64_t weight = batch_weight(net, row);
        if (weight > 0 && shows_both && matches[row] != UINT32_MAX) {
            CHECK(weight == 1 && net->weights[matches[row]] == -1);
            add(out, arena, matches[row], OUTBOX_BEFORE, 1);
            add(out, arena, row, OUTBOX_AFTER, 1);
        } else if (weight > 0) {
            add(out, arena, row, OUTBOX_INSERT, weight);
        }
    }
}

/* ---- appending ---- */

struct outbox_root {
    struct operator base;
    struct batch *change; /* of this tick, in the tick arena; NULL: none yet */
    bool collects;        /* initial tick: rows are not what is left of them, see outbox_push */
    struct arena arena;   /* of one piece */
};

static struct dataflow *flow_of(const struct operator* op)
{
    return ((struct dataflow_shard *)op->ctx->owner)->dataflow;
}

static void constant_i64(struct column *column, int64_t value, struct arena *arena)
{
    struct datum datum = datum_i64(value);
    column_init_constant(column, extra_types[1], &datum, arena);
}

/* ops NULL: all are OUTBOX_INSERT. */
static void append_piece(struct outbox_root *self, const struct batch *from, const uint32_t *rows,
                         const int16_t *ops, uint32_t count)
{
    struct operator* op = & self->base;
    struct dataflow *flow = flow_of(op);
    struct relation *target = flow->target;
    uint32_t own = relation_shape(target)->columns_count;
    struct batch *piece = batch_header(&self->arena, own + OUTBOX_COLUMNS);
    piece->rows = count;
    for (uint32_t c = 0; c < own; c++) {
        if (rows != NULL)
            column_gather(&piece->columns[c], &from->columns[c], rows, count, &self->arena);
        else
            piece->columns[c] = from->columns[c];
    }
    struct column *extra = &piece->columns[own];
    if (ops != NULL) {
        extra[0] = (struct column){.type = extra_types[0], .phys = PHYS_I16, .data = (void *)(uintptr_t)ops};
    } else {
        struct datum inserted = {.i16 = OUTBOX_INSERT};
        column_init_constant(&extra[0], extra_types[0], &inserted, &self->arena);
    }
    constant_i64(&extra[1], (int64_t)flow->epoch, &self->arena);
    constant_i64(&extra[2], op->ctx->env->io.now_us, &self->arena);
    segments_append(target->segments[0], piece, flow->epoch);
    feed_count(&target->feed, op->ctx->shard, count);
    arena_reset(&self->arena);
}

static void append_rows(struct outbox_root *self, const struct batch *from, const uint32_t *rows,
                        const int16_t *ops, uint32_t count)
{
    for (uint32_t first = 0; first < count; first += BATCH_ROWS_MAX) {
        uint32_t some = count - first < BATCH_ROWS_MAX ? count - first : BATCH_ROWS_MAX;
        append_piece(self, from, rows + first, ops != NULL ? ops + first : NULL, some);
    }
}

/* Rows of which none goes. */
static void append_inserts(struct outbox_root *self, const struct batch *change)
{
    if (change->weights == NULL) {
        CHECK(change->rows <= BATCH_ROWS_MAX);
        append_piece(self, change, NULL, NULL, change->rows);
        return;
    }
    struct arena *arena = self->base.ctx->tick_arena;
    struct outgoing out = {0};
    for (uint32_t row = 0; row < change->rows; row++)
        add(&out, arena, row, OUTBOX_INSERT, change->weights[row]);
    append_rows(self, change, out.rows, NULL, out.count);
}

static void collect(struct outbox_root *self, const struct batch *change)
{
    struct operator* op = & self->base;
    if (self->change == NULL)
        self->change = batch_create(op->ctx->tick_arena, op->types, op->columns_count, change->rows);
    batch_append_range(self->change, change, 0, change->rows, 1);
}

/* What an initial tick has appended so far becomes a part of its change. */
static void take_back(struct outbox_root *self)
{
    struct relation *target = flow_of(&self->base)->target;
    struct segments *segments = target->segments[0];
    uint32_t own = relation_shape(target)->columns_count, stored = own + OUTBOX_COLUMNS;
    struct column *columns = arena_alloc(self->base.ctx->tick_arena, sizeof(*columns) * stored);
    uint64_t cursor = 0;
    struct batch rows;
    while (segments_scan(segments, UINT64_MAX - 1, &cursor, columns, stored, &rows)) {
        rows.columns_count = own;
        collect(self, &rows);
    }
    segments_truncate(segments, 0);
    self->collects = true;
}

static bool takes_back(const struct batch *change)
{
    for (uint32_t row = 0; change->weights != NULL && row < change->rows; row++)
        if (change->weights[row] < 0)
            return true;
    return false;
}

/* Rows of a sink that only grows go straight to the table, and so does what an initial tick brings: it would not fit twice
 * into memory. Should it take a row back (it hardly ever does), then all of it is collected after all. */
static bool outbox_push(struct operator* op, uint32_t port, const struct batch *change, struct error *err)
{
    struct outbox_root *self = (struct outbox_root *)op;
    const struct outbox_desc *desc = flow_of(op)->target->outbox;
    (void)port;
    if (op->ctx->initial && !desc->snapshot)
        return flow_check(op, err);
    if (op->ctx->initial && desc->kind != OUTBOX_APPEND && !self->collects && takes_back(change))
        take_back(self);
    if (desc->kind == OUTBOX_APPEND || (op->ctx->initial && !self->collects))
        append_inserts(self, change);
    else
        collect(self, change);
    return flow_check(op, err);
}

static bool outbox_finish(struct operator* op, struct error *err)
{
    struct outbox_root *self = (struct outbox_root *)op;
    (void)err;
    self->collects = false;
    if (self->change == NULL)
        return true;
    struct arena *arena = op->ctx->tick_arena;
    const struct batch *net = batch_consolidate(self->change, arena);
    self->change = NULL;
    struct outgoing out = {0};
    if (net->rows > 0)
        order_change(flow_of(op)->target->outbox, net, arena, &out);
    append_rows(self, net, out.rows, out.ops, out.count);
    return true;
}

static bool outbox_open(struct operator* op, const struct plan *plan, struct error *err)
{
    struct outbox_root *self = (struct outbox_root *)op;
    (void)plan;
    (void)err;
    arena_init(&self->arena, op->ctx->account);
    return true;
}

static void outbox_close(struct operator* op)
{
    arena_release(&((struct outbox_root *)op)->arena);
}

const struct operator_class flow_outbox_class = {.name = "outbox",
                                                 .bytes = sizeof(struct outbox_root),
                                                 .open = outbox_open,
                                                 .push = outbox_push,
                                                 .finish = outbox_finish,
                                                 .close = outbox_close};

/* ---- reading ---- */

uint64_t outbox_visible(struct engine *engine, struct relation *relation)
{
    uint64_t epoch, end;
    do { /* how things were at an epoch is forgotten when a later one has become visible meanwhile */
        epoch = snapshots_visible(engine->snapshots);
        end = segments_end(relation->segments[0], epoch);
    } while (epoch != snapshots_visible(engine->snapshots));
    return end;
}

bool outbox_read(struct relation *relation, uint64_t end, uint64_t from, struct column *columns,
                 struct outbox_rows *out)
{
    uint64_t at = from;
    uint32_t own = relation_shape(relation)->columns_count;
    if (from >= end || !segments_scan(relation->segments[0], UINT64_MAX - 1, &at, columns,
                                      own + OUTBOX_COLUMNS, &out->batch))
        return false;
    out->first = at - out->batch.rows;
    if (out->first >= end)
        return false;
    if (at > end)
        out->batch.rows = (uint32_t)(end - out->first);
    out->batch.columns_count = own;
    out->ops = columns[own].data;
    out->epochs = columns[own + 1].data;
    out->clocks = columns[own + 2].data;
    return true;
}

uint32_t relation_outbox_key(const struct relation *relation, const uint32_t **columns)
{
    *columns = relation->outbox->key;
    return relation->outbox->key_count;
}

uint64_t outbox_first(const struct relation *relation)
{
    return segments_first(relation->segments[0]);
}

uint64_t outbox_end(const struct relation *relation)
{
    return segments_rows(relation->segments[0]);
}

int64_t outbox_bytes(const struct relation *relation)
{
    return segments_bytes(relation->segments[0]);
}

/* ---- commands ---- */

struct outbox_command {
    struct relation *relation;
    uint64_t row;
};

static void run_drop_rows(struct engine *engine, void *ctx)
{
    const struct outbox_command *command = ctx;
    struct relation *relation = command->relation;
    struct segments *segments = relation->segments[0];
    CHECK(command->row <= segments_rows(segments));
    /* their only reader is the one that asks for this: what older snapshots see does not matter. Rows that are not visible
     * yet must not be hidden behind the mark of a later epoch. */
    uint64_t epoch = snapshots_visible(engine->snapshots), visible = epoch;
    if (atomic_load(&relation->last_epoch) > epoch || relation->dropped_epoch > epoch)
        epoch = engine->epoch;
    segments_drop(segments, command->row, epoch);
    segments_trim(segments, visible);
    relation->dropped_epoch = epoch;
    if (epoch > visible)
        engine_note_trim(engine, relation);
}

void engine_drop_outbox_rows(struct engine *engine, struct relation *relation, uint64_t first)
{
    struct outbox_command command = {relation, first};
    engine_command(engine, run_drop_rows, &command);
}

static void run_saved(struct engine *engine, void *ctx)
{
    struct outbox_command *command = ctx;
    (void)engine;
    command->row = segments_saved_rows(command->relation->segments[0]);
}

uint64_t engine_outbox_saved(struct engine *engine, struct relation *relation)
{
    struct outbox_command command = {relation, 0};
    engine_command(engine, run_saved, &command);
    return command.row;
}

/* ---- telling that there are rows ---- */

struct outbox_listener {
    struct outbox_listener *next;
    struct relation *relation;
    void (*wake)(void *ctx);
    void *ctx;
};

void engine_listen_outbox(struct engine *engine, struct relation *relation, void (*wake)(void *ctx),
                          void *ctx)
{
    pthread_mutex_lock(&engine->lock);
    struct outbox_listener **link = &engine->outbox_listeners;
    while (*link != NULL && (*link)->relation != relation)
        link = &(*link)->next;
    if (wake != NULL && *link == NULL) {
        *link = mem_zalloc(sizeof(**link));
        (*link)->relation = relation;
    }
    if (wake != NULL) {
        (*link)->wake = wake;
        (*link)->ctx = ctx;
    } else if (*link != NULL) {
        struct outbox_listener *gone = *link;
        *link = gone->next;
        mem_free(gone);
    }
    pthread_mutex_unlock(&engine->lock);
}

void outbox_wake_listeners(struct engine *engine)
{
    for (struct outbox_listener *it = engine->outbox_listeners; it != NULL; it = it->next)
        it->wake(it->ctx);
}
