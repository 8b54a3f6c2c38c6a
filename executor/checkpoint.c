/* checkpoint.c: the walk over everything that is remembered (see checkpoint.h). checkpoint_restore.c is the way
 * back. */
#include "executor/checkpoint.h"

#include "executor/checkpoint_internal.h"
#include "executor/engine_internal.h"
#include "executor/relation_saved.h"
#include "storage/base/clock.h"
#include "storage/state/memory_governor.h"

#include <stdarg.h>

#define STEP_ROWS BATCH_ROWS_MAX /* copied at a time */
#define FINAL_ROWS                                                                                           \
    UINT64_C(16384)       /* as much as this may be left for the last step, which is not interrupted */
#define PATIENT_ROUNDS 6u /* from then on the last step may be twice as long each round */
#define MERGE_ROWS_MIN                                                                                       \
    UINT64_C(4096) /* tables smaller than this are not worth a whole save for their deltas */

/* One table, and how far it is copied in this round. */
struct unit {
    const char *owner;
    uint32_t shard;
    struct saved_table table;
    uint32_t word; /* of the dirty bits */
};

struct checkpoint {
    struct checkpoint_sink sink;
    struct arena arena; /* of the present list */
    struct unit *units;
    uint32_t units_count, units_cap;
    struct owner *owners;
    uint32_t owners_count, owners_cap;
    uint32_t at; /* unit being copied */
    uint32_t round;
    bool complete;
};

/* ---- what there is ---- */

static void add_owner(struct checkpoint *run, const struct owner *owner)
{
    ARENA_PUSH(&run->arena, run->owners, run->owners_count, run->owners_cap, *owner);
    struct saved_tables tables = {.arena = &run->arena};
    owner_tables(owner, &tables);
    for (uint32_t i = 0; i < tables.count; i++) {
        struct unit unit = {.owner = owner->name, .shard = owner->shard, .table = tables.items[i]};
        ARENA_PUSH(&run->arena, run->units, run->units_count, run->units_cap, unit);
    }
}

static void visit_owner(void *ctx, const struct owner *owner)
{
    add_owner(ctx, owner);
}

/* The list is made anew for each round: relations, views and operators' tables may have come and gone. */
static void list_all(struct engine *engine, struct checkpoint *run)
{
    arena_reset(&run->arena);
    run->units = NULL;
    run->units_count = run->units_cap = 0;
    run->owners = NULL;
    run->owners_count = run->owners_cap = 0;
    for (uint32_t i = 0; i < engine->relations_count; i++) {
        struct relation *relation = engine->relations[i];
        owners_of_relation(relation, &run->arena, visit_owner, run);
        if (relation->dataflow != NULL && !relation->dataflow->failed)
            owners_of_view(relation->dataflow, &run->arena, visit_owner, run);
    }
    run->at = 0;
    engine->checkpoint_stale = false;
}

/* ---- copying ---- */

static struct checkpoint_piece *piece_of(const struct unit *unit, enum piece_kind kind)
{
    struct checkpoint_piece *piece = checkpoint_piece_new(NULL);
    piece->owner = arena_strdup(&piece->arena, unit->owner);
    piece->table = arena_strdup(&piece->arena, unit->table.name);
    piece->shard = unit->shard;
    piece->version = unit->table.version;
    piece->kind = kind;
    return piece;
}

static void put(struct checkpoint *run, struct checkpoint_piece *piece)
{
    run->sink.put(run->sink.ctx, piece);
}

static struct batch *batch_of(struct checkpoint_piece *piece, const struct saved_table *table,
                              struct column *columns, uint32_t rows)
{
    struct batch *batch = ARENA_NEW(&piece->arena, struct batch);
    batch->columns = columns;
    batch->columns_count = table->columns_count;
    batch->rows = rows;
    return batch;
}

static bool is_row(const struct saved_table *table, uint32_t slot)
{
    if (slot_header(slot_pages_at(table->slots, slot)) == 0)
        return false;
    return table->is_row == NULL || table->is_row(table->of, slot);
}

static void begin_unit(struct checkpoint *run, const struct unit *unit)
{
    struct slot_pages *slots = unit->table.slots;
    slot_pages_track(slots);
    if (!slots->is_whole && run->round == 0 && !slots->taken_whole && slots->saved_since > MERGE_ROWS_MIN &&
        slots->saved_since > slots->saved_live)
        slot_pages_mark_whole(slots);
    if (!slots->is_whole)
        return;
    put(run, piece_of(unit, PIECE_VOID));
    slot_pages_take_whole(slots);
}

/* Copies changed slots, up to STEP_ROWS; false: there are no more in this round. */
static bool copy_slots(struct checkpoint *run, struct unit *unit)
{
    struct slot_pages *slots = unit->table.slots;
    if (unit->word == 0 || slots->is_whole) { /* emptied since the last step: what was copied is void */
        unit->word = 0;
        begin_unit(run, unit);
    }
    uint32_t words = (slots->used + 63) / 64, count = 0, freed_count = 0;
    struct checkpoint_piece *piece = NULL;
    uint32_t *live = NULL, *freed = NULL;
    while (unit->word < words && count + freed_count <= STEP_ROWS - 64) {
        uint64_t bits = slots->dirty[unit->word];
        if (bits == 0) {
            unit->word++;
            continue;
        }
        if (piece == NULL) {
            piece = piece_of(unit, PIECE_SLOTS);
            live = arena_alloc(&piece->arena, sizeof(*live) * STEP_ROWS);
            freed = arena_alloc(&piece->arena, sizeof(*freed) * STEP_ROWS);
        }
        slot_pages_take_dirty(slots, unit->word);
        for (; bits != 0; bits &= bits - 1) {
            uint32_t slot = unit->word * 64 + (uint32_t)__builtin_ctzll(bits);
            if (slot >= slots->used)
                continue;
            if (is_row(&unit->table, slot))
                live[count++] = slot;
            else
                freed[freed_count++] = slot;
        }
        unit->word++;
    }
    if (piece == NULL)
        return false;
    piece->slots = live;
    piece->freed = freed;
    piece->freed_count = freed_count;
    if (count > 0) {
        struct column *columns = ARENA_ARRAY(&piece->arena, struct column, unit->table.columns_count);
        unit->table.gather(unit->table.of, live, count, columns, &piece->arena);
        piece->rows = batch_of(piece, &unit->table, columns, count);
    }
    slots->saved_taken += count + freed_count;
    put(run, piece);
    return unit->word < words;
}

static bool copy_rows(struct checkpoint *run, struct unit *unit)
{
    const struct saved_table *table = &unit->table;
    uint64_t first, end;
    table->bounds(table->of, &first, &end);
    struct saved_rows *rows = table->rows;
    if (!rows->is_begun) {
        put(run, piece_of(unit, PIECE_VOID));
        rows->is_begun = true;
    }
    if (rows->taken < rows->saved)
        rows->taken = rows->saved;
    if (rows->front_taken < first) { /* what is gone at the front */
        struct checkpoint_piece *piece = piece_of(unit, PIECE_FRONT);
        piece->first = first;
        put(run, piece);
        rows->front_taken = first;
    }
    if (rows->taken < first)
        rows->taken = first;
    if (rows->taken >= end)
        return false;
    struct checkpoint_piece *piece = piece_of(unit, PIECE_ROWS);
    uint32_t count = end - rows->taken < STEP_ROWS ? (uint32_t)(end - rows->taken) : STEP_ROWS;
    struct column *columns = ARENA_ARRAY(&piece->arena, struct column, table->columns_count);
    table->gather_range(table->of, rows->taken, &count, columns, &piece->arena);
    piece->first = rows->taken;
    piece->rows = batch_of(piece, table, columns, count);
    rows->taken += count;
    put(run, piece);
    return rows->taken < end;
}

/* Rows of all tables that have changed since they were copied. */
static uint64_t count_left(const struct checkpoint *run)
{
    uint64_t left = 0;
    for (uint32_t u = 0; u < run->units_count; u++) {
        const struct saved_table *table = &run->units[u].table;
        if (table->slots == NULL) {
            uint64_t first, end;
            table->bounds(table->of, &first, &end);
            uint64_t taken = table->rows->taken > first ? table->rows->taken : first;
            left += end - taken;
            continue;
        }
        if (table->slots->dirty == NULL) {
            left += table->slots->used;
            continue;
        }
        for (uint32_t word = 0; word < (table->slots->used + 63) / 64; word++)
            left += (uint64_t)__builtin_popcountll(table->slots->dirty[word]);
    }
    return left;
}

/* One step of a round; false: the round is done. */
static bool copy_some(struct checkpoint *run)
{
    while (run->at < run->units_count) {
        struct unit *unit = &run->units[run->at];
        bool more = unit->table.slots != NULL ? copy_slots(run, unit) : copy_rows(run, unit);
        if (more)
            return true;
        run->at++;
        if (run->at % 64 == 0)
            return true;
    }
    return false;
}

static void put_rest(struct checkpoint *run, const struct owner *owner)
{
    struct strbuf rest = STRBUF_INIT;
    if (owner_rest(owner, &rest)) {
        struct unit unit = {.owner = owner->name, .shard = owner->shard, .table = {.name = ""}};
        struct checkpoint_piece *piece = piece_of(&unit, PIECE_REST);
        piece->rest = arena_copy(&piece->arena, rest.data, rest.len);
        piece->rest_bytes = rest.len;
        put(run, piece);
    }
    strbuf_release(&rest);
}

/* The last step: what is left is copied, and with it the state is that of the engine's epoch. Views that are being filled
 * are not in it (engine_checkpoint_lacks). */
static void complete(struct engine *engine, struct checkpoint *run)
{
    while (copy_some(run)) {
    }
    struct arena arena;
    arena_init(&arena, NULL);
    const char **names = ARENA_ARRAY(&arena, const char *, run->owners_count);
    for (uint32_t i = 0; i < run->owners_count; i++) {
        put_rest(run, &run->owners[i]);
        names[i] = run->owners[i].name;
    }
    run->complete = true;
    atomic_store(&engine->checkpoint_epoch, engine->epoch);
    pthread_mutex_lock(&engine->lock);
    engine->checkpoint_waits = true;
    pthread_mutex_unlock(&engine->lock);
    run->sink.complete(run->sink.ctx, engine->epoch, engine->clock_us, names, run->owners_count);
    arena_release(&arena);
}

/* Nothing fits where the pieces go: engine_checkpoint_wake ends this. */
static bool wait_for_room(struct engine *engine, struct checkpoint *run)
{
    pthread_mutex_lock(&engine->lock);
    engine->checkpoint_waits = !run->sink.has_room(run->sink.ctx);
    bool waits = engine->checkpoint_waits;
    pthread_mutex_unlock(&engine->lock);
    return waits;
}

void checkpoint_step(struct engine *engine, int64_t budget_ns)
{
    struct checkpoint *run = engine->checkpoint;
    if (run == NULL || run->complete || wait_for_room(engine, run))
        return;
    int64_t until_ns = clock_monotonic_ns() + budget_ns;
    if (engine->checkpoint_stale) /* the round begins again: what is copied is not marked any more */
        list_all(engine, run);
    do {
        memory_pace(); /* what is copied may come back from disk for that */
        if (copy_some(run))
            continue;
        run->round++;
        list_all(engine, run);
        uint64_t allowed = FINAL_ROWS;
        if (run->round > PATIENT_ROUNDS)
            allowed <<= run->round - PATIENT_ROUNDS < 40 ? run->round - PATIENT_ROUNDS : 40;
        if (count_left(run) <= allowed) {
            complete(engine, run);
            return;
        }
    } while (clock_monotonic_ns() < until_ns && run->sink.has_room(run->sink.ctx));
}

/* ---- beginning and end ---- */

static void run_start(struct engine *engine, void *ctx)
{
    struct checkpoint *run = mem_zalloc(sizeof(*run));
    run->sink = *(const struct checkpoint_sink *)ctx;
    arena_init(&run->arena, NULL);
    CHECK(engine->checkpoint == NULL);
    pthread_mutex_lock(&engine->lock);
    engine->checkpoint_waits = false;
    pthread_mutex_unlock(&engine->lock);
    engine->checkpoint = run;
    list_all(engine, run);
}

void engine_checkpoint_start(struct engine *engine, const struct checkpoint_sink *sink)
{
    engine_command(engine, run_start, (void *)(uintptr_t)sink);
}

void engine_checkpoint_wake(struct engine *engine)
{
    pthread_mutex_lock(&engine->lock);
    engine->checkpoint_waits = false;
    pthread_cond_signal(&engine->work);
    pthread_mutex_unlock(&engine->lock);
}

struct ending {
    bool valid;
};

static void run_end(struct engine *engine, void *ctx)
{
    const struct ending *ending = ctx;
    struct checkpoint *run = engine->checkpoint;
    list_all(engine, run);
    for (uint32_t u = 0; u < run->units_count; u++) {
        const struct saved_table *table = &run->units[u].table;
        if (table->slots != NULL) {
            slot_pages_settle(table->slots, ending->valid);
            continue;
        }
        struct saved_rows *rows = table->rows;
        if (ending->valid)
            rows->saved = rows->taken > rows->saved ? rows->taken : rows->saved;
        else
            rows->front_taken = 0;
        rows->is_begun = ending->valid || rows->saved > 0;
        rows->taken = rows->saved;
    }
    arena_release(&run->arena);
    mem_free(run);
    engine->checkpoint = NULL;
}

void engine_checkpoint_end(struct engine *engine, bool valid)
{
    struct ending ending = {valid};
    engine_command(engine, run_end, &ending);
}

bool engine_checkpoint_lacks(struct engine *engine, const struct relation *view)
{
    return atomic_load(&engine->checkpoint_epoch) >= view->created_epoch;
}

bool engine_wait_durable(struct engine *engine, uint64_t epoch)
{
    pthread_mutex_lock(&engine->lock);
    while (snapshots_visible(engine->snapshots) < epoch && !engine->lost)
        pthread_cond_wait(&engine->done, &engine->lock);
    bool is_durable = snapshots_visible(engine->snapshots) >= epoch;
    pthread_mutex_unlock(&engine->lock);
    return is_durable;
}

/* ---- owners ---- */

static void name_owner(struct owner *owner, struct arena *arena,
                       void (*visit)(void *ctx, const struct owner *owner), void *ctx, const char *format,
                       ...) PRINTF_LIKE(5, 6);

static void name_owner(struct owner *owner, struct arena *arena,
                       void (*visit)(void *ctx, const struct owner *owner), void *ctx, const char *format,
                       ...)
{
    va_list args;
    va_start(args, format);
    owner->name = arena_vprintf(arena, format, args);
    va_end(args);
    visit(ctx, owner);
}

void owners_of_relation(struct relation *relation, struct arena *arena,
                        void (*visit)(void *ctx, const struct owner *owner), void *ctx)
{
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        struct owner owner = {.shard = shard, .relation = relation};
        name_owner(&owner, arena, visit, ctx, "r%u", relation->oid);
        if (relation->late == NULL)
            continue;
        owner.relation = relation->late;
        name_owner(&owner, arena, visit, ctx, "l%u", relation->oid);
    }
}

static void owners_of_nodes(struct dataflow *flow, const char *prefix, struct arena *arena,
                            void (*visit)(void *ctx, const struct owner *owner), void *ctx)
{
    for (uint32_t n = 0; n < flow->nodes_count; n++) {
        const struct operator_class *class = flow->nodes[n]->ops[0]->class;
        if (class->saved_tables == NULL && class->save_rest == NULL)
            continue;
        for (uint32_t shard = 0; shard < flow->shards_count; shard++) {
            struct owner owner = {.shard = shard, .op = flow->nodes[n]->ops[shard]};
            name_owner(&owner, arena, visit, ctx, "%s/%u/%s", prefix, n, class->name);
        }
    }
}

bool arrangement_is_saved(const struct shared_arrangement *shared)
{
    return !relation_keeps_all_rows(shared->relation);
}

void owners_of_view(struct dataflow *flow, struct arena *arena,
                    void (*visit)(void *ctx, const struct owner *owner), void *ctx)
{
    uint32_t oid = flow->target->oid;
    struct owner whole = {.flow = flow};
    name_owner(&whole, arena, visit, ctx, "v%u", oid);
    owners_of_nodes(flow, whole.name, arena, visit, ctx);
    for (uint32_t i = 0; i < flow->used_count; i++) {
        if (arrangement_is_saved(flow->used[i]))
            owners_of_nodes(flow->used[i]->dataflow, arena_printf(arena, "v%u/s%u", oid, i), arena, visit,
                            ctx);
    }
}

void owner_tables(const struct owner *owner, struct saved_tables *out)
{
    if (owner->relation != NULL)
        relation_saved_tables(owner->relation, owner->shard, out);
    else if (owner->op != NULL && owner->op->class->saved_tables != NULL)
        owner->op->class->saved_tables(owner->op, out);
}

bool owner_rest(const struct owner *owner, struct strbuf *out)
{
    if (owner->flow != NULL) {
        struct view_rest rest = {.format = VIEW_REST_FORMAT,
                                 .shards = owner->flow->shards_count,
                                 .watermark = owner->flow->watermark,
                                 .plan_hash = owner->flow->plan_hash};
        strbuf_add(out, &rest, sizeof(rest));
        return true;
    }
    if (owner->relation != NULL) {
        if (owner->shard != 0)
            return false;
        relation_save_rest(owner->relation, out);
        return true;
    }
    if (owner->op->class->save_rest == NULL)
        return false;
    owner->op->class->save_rest(owner->op, out);
    return true;
}
