/* engine_index.c: secondary indexes are made over present rows while ticks go on, and go between two ticks.
 *
 * An index is kept up to date from its first moment and gets the keys of the rows that were there in steps of some
 * thousand slots between ticks; readers learn of it when it has all of them. A unique one also counts how often each
 * value occurs: the calling thread counts in a snapshot, the engine counts what ticks change since, and the two are added
 * up at a tick boundary, where a value that occurs twice ends the matter. */
#include "executor/engine_internal.h"

#define STEP_SLOTS 4096u /* a few milliseconds */

struct index_job {
    struct engine *engine;
    struct relation *relation;
    const uint32_t *columns;
    uint32_t columns_count;
    bool is_unique;
    const char *name;                   /* of no other index that is being made over the relation */
    struct backfill_progress *progress; /* NULL: nobody asks */
    uint32_t number;
    uint32_t *store_numbers; /* per shard */
    uint32_t shard, cursor;  /* how far the keys are */
    bool has_more;
    /* unique */
    uint64_t snapshot;
    struct hashed_table *counts; /* value -> int64_t */
    uint64_t repeated;           /* values that occur more than once */
    struct error *err;
    bool ok;
};

/* ---- unique values ---- */

/* The rows whose values are all there, as a batch of those columns alone. */
static const struct batch *present_keys(const struct batch *rows, const uint32_t *columns, uint32_t count,
                                        struct arena *arena)
{
    uint32_t *list = arena_alloc(arena, sizeof(*list) * rows->rows), kept = 0;
    for (uint32_t row = 0; row < rows->rows; row++) {
        bool has_null = false;
        for (uint32_t c = 0; c < count; c++)
            has_null |= column_is_null(&rows->columns[columns[c]], row);
        list[kept] = row;
        kept += !has_null;
    }
    struct batch *keys = batch_header(arena, count);
    keys->rows = kept;
    for (uint32_t c = 0; c < count; c++)
        column_gather(&keys->columns[c], &rows->columns[columns[c]], list, kept, arena);
    if (rows->weights != NULL) {
        keys->weights = arena_alloc(arena, sizeof(int64_t) * kept);
        for (uint32_t i = 0; i < kept; i++)
            keys->weights[i] = rows->weights[list[i]];
    }
    return keys;
}

static void count_keys(struct index_job *job, const struct batch *keys, struct arena *arena)
{
    uint32_t *columns = ARENA_ARRAY(arena, uint32_t, job->columns_count);
    for (uint32_t c = 0; c < job->columns_count; c++)
        columns[c] = c;
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * keys->rows);
    uint32_t *slots = arena_alloc(arena, sizeof(*slots) * keys->rows);
    uint8_t *inserted = arena_alloc(arena, keys->rows);
    batch_hash(keys, columns, job->columns_count, hashes);
    hashed_table_upsert(job->counts, keys, columns, hashes, slots, inserted);
    for (uint32_t i = 0; i < keys->rows; i++) {
        int64_t *count = hashed_table_payload(job->counts, slots[i]);
        bool before = *count > 1;
        *count += batch_weight(keys, i);
        job->repeated += (uint64_t)(*count > 1) - (uint64_t)before;
    }
}

static struct hashed_table *make_counts(const struct index_job *job)
{
    struct sql_type types[COLUMNS_MAX];
    for (uint32_t i = 0; i < job->columns_count; i++)
        types[i] = job->relation->types[job->columns[i]];
    return hashed_table_create(types, job->columns_count, sizeof(int64_t), &job->relation->account);
}

static void note_done(const struct index_job *job, uint64_t rows)
{
    if (job->progress != NULL)
        atomic_fetch_add_explicit(&job->progress->rows_done, rows, memory_order_relaxed);
}

/* The calling thread: the values as they were in the snapshot. */
static bool count_snapshot(struct index_job *job, const _Atomic bool *cancel)
{
    struct relation_scan scan;
    struct arena arena;
    arena_init(&arena, &job->relation->account);
    relation_scan_start(&scan, job->relation, job->snapshot, &job->relation->account);
    const struct batch *rows;
    bool ok = true;
    while (ok && (rows = relation_scan_next(&scan)) != NULL) {
        arena_reset(&arena);
        count_keys(job, present_keys(rows, job->columns, job->columns_count, &arena), &arena);
        note_done(job, rows->rows);
        ok = account_check(&job->relation->account, job->err);
        if (ok && cancel != NULL && atomic_load(cancel))
            ok = error_set(job->err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    }
    relation_scan_end(&scan);
    arena_release(&arena);
    return ok;
}

/* From now on ticks count in a table of their own. */
static void begin_counting(struct index_job *job)
{
    struct relation *relation = job->relation;
    engine_drain(job->engine);
    job->snapshot = snapshot_open(job->engine->snapshots, 0);
    struct unique_index *grown =
        ARENA_ARRAY(&relation->arena, struct unique_index, relation->uniques_count + 1);
    if (relation->uniques_count > 0)
        memcpy(grown, relation->uniques, sizeof(*grown) * relation->uniques_count);
    grown[relation->uniques_count++] = (struct unique_index){
        .name = arena_strdup(&relation->arena, job->name),
        .columns_count = job->columns_count,
        .columns = arena_copy(&relation->arena, job->columns, sizeof(uint32_t) * job->columns_count),
        .counts = make_counts(job),
        .is_counting = true};
    relation->uniques = grown;
}

/* The entry of begin_counting; others come and go meanwhile. */
static struct unique_index *find_counting(const struct index_job *job)
{
    struct unique_index *unique = job->relation->uniques;
    while (!unique->is_counting || strcmp(unique->name, job->name) != 0)
        unique++;
    return unique;
}

/* Adds what ticks have changed; false: some value occurs twice. */
static bool end_counting(struct index_job *job)
{
    struct unique_index *unique = find_counting(job);
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t cursor = 0, slot = 0, slots[BATCH_ROWS_MAX];
    while (slot != SLOT_NONE) {
        uint32_t count = 0;
        while (count < BATCH_ROWS_MAX && (slot = hashed_table_next(unique->counts, &cursor)) != SLOT_NONE)
            slots[count++] = slot;
        arena_reset(&arena);
        struct batch *keys = batch_header(&arena, job->columns_count);
        keys->rows = count;
        keys->weights = arena_alloc(&arena, sizeof(int64_t) * count);
        for (uint32_t i = 0; i < count; i++)
            keys->weights[i] = *(int64_t *)hashed_table_payload(unique->counts, slots[i]);
        hashed_table_gather_keys(unique->counts, slots, count, keys->columns, &arena);
        if (count > 0)
            count_keys(job, keys, &arena);
    }
    arena_release(&arena);
    if (job->repeated > 0)
        return error_set(job->err, ERRCODE_UNIQUE_VIOLATION, "could not create unique index \"%s\"",
                         job->name);
    struct hashed_table *changes = unique->counts;
    unique->counts = job->counts;
    unique->is_counting = false;
    job->counts = changes;
    return true;
}

static void forget_counting(const struct index_job *job)
{
    struct unique_index *unique = find_counting(job);
    hashed_table_destroy(unique->counts);
    *unique = job->relation->uniques[--job->relation->uniques_count];
}

/* ---- keys ---- */

static void run_begin(struct engine *engine, void *ctx)
{
    struct index_job *job = ctx;
    struct relation *relation = job->relation;
    job->engine = engine;
    job->ok = true;
    if (job->is_unique)
        begin_counting(job);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++)
        job->store_numbers[shard] =
            row_store_begin_index(relation->stores[shard], job->columns, job->columns_count, true);
}

static void run_step(struct engine *engine, void *ctx)
{
    struct index_job *job = ctx;
    struct relation *relation = job->relation;
    uint32_t before = job->cursor;
    job->has_more = row_store_fill_index(relation->stores[job->shard], job->store_numbers[job->shard],
                                         &job->cursor, STEP_SLOTS);
    note_done(job, job->cursor - before);
    if (job->has_more)
        return;
    job->shard++;
    job->cursor = 0;
    job->has_more = job->shard < relation->shards_count;
}

static void run_abort(struct engine *engine, void *ctx)
{
    struct index_job *job = ctx;
    struct relation *relation = job->relation;
    for (uint32_t shard = 0; shard < relation->shards_count; shard++)
        row_store_drop_index(relation->stores[shard], job->store_numbers[shard]);
    if (job->is_unique)
        forget_counting(job);
}

/* Readers may use it. */
static void show(struct index_job *job)
{
    struct relation *relation = job->relation;
    uint32_t number = 0;
    while (number < relation->indexes_count && relation->indexes[number].used)
        number++;
    pthread_mutex_lock(&relation->lock);
    if (number == relation->indexes_count) {
        relation->indexes = mem_realloc(relation->indexes, sizeof(*relation->indexes) * (number + 1));
        relation->indexes_count++;
        relation->indexes[number] = (struct relation_index){0};
    }
    struct relation_index *index = &relation->indexes[number];
    mem_free(index->columns);
    mem_free(index->store_numbers);
    *index = (struct relation_index){.used = true,
                                     .columns_count = job->columns_count,
                                     .is_unique = job->is_unique,
                                     .serial = ++relation->indexes_created};
    index->columns = mem_alloc(sizeof(uint32_t) * job->columns_count);
    memcpy(index->columns, job->columns, sizeof(uint32_t) * job->columns_count);
    index->store_numbers = mem_alloc(sizeof(uint32_t) * relation->shards_count);
    memcpy(index->store_numbers, job->store_numbers, sizeof(uint32_t) * relation->shards_count);
    pthread_mutex_unlock(&relation->lock);
    job->number = number;
}

static void run_finish(struct engine *engine, void *ctx)
{
    struct index_job *job = ctx;
    job->ok = !job->is_unique || end_counting(job);
    if (!job->ok) {
        run_abort(engine, job);
        return;
    }
    engine_drain(engine);
    show(job);
}

bool engine_create_index(struct engine *engine, struct relation *relation, const uint32_t *columns,
                         uint32_t columns_count, bool is_unique, const char *name, const _Atomic bool *cancel,
                         struct backfill_progress *progress, uint32_t *index, struct error *err)
{
    if (relation->append_only) {
        error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "\"%s\" is append-only and cannot have an index",
                  relation->name);
        return error_hint(err, "Create the index on a materialized view over it.");
    }
    uint32_t store_numbers[SHARDS_MAX];
    struct index_job job = {.relation = relation,
                            .columns = columns,
                            .columns_count = columns_count,
                            .is_unique = is_unique,
                            .name = name,
                            .progress = progress,
                            .store_numbers = store_numbers,
                            .has_more = true,
                            .err = err};
    if (progress != NULL) {
        struct relation_stats stats;
        relation_stats(relation, &stats);
        atomic_store(&progress->rows_total, stats.rows * (is_unique ? 2 : 1));
        atomic_store(&progress->phase, BACKFILL_SNAPSHOT);
    }
    engine_command(engine, run_begin, &job);
    bool ok = true;
    if (is_unique) {
        job.counts = make_counts(&job);
        ok = count_snapshot(&job, cancel);
        snapshot_close(engine->snapshots, job.snapshot);
    }
    while (ok && job.has_more) {
        engine_command(engine, run_step, &job);
        if (cancel != NULL && atomic_load(cancel))
            ok = error_set(err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    }
    engine_command(engine, ok ? run_finish : run_abort, &job);
    if (job.counts != NULL)
        hashed_table_destroy(job.counts);
    *index = job.number;
    return ok && job.ok;
}

/* ---- dropping ---- */

struct drop_job {
    struct relation *relation;
    uint32_t number;
};

static void run_drop_index(struct engine *engine, void *ctx)
{
    const struct drop_job *job = ctx;
    struct relation *relation = job->relation;
    struct relation_index *index = &relation->indexes[job->number];
    for (uint32_t i = 0; index->is_unique && i < relation->uniques_count; i++) {
        struct unique_index *unique = &relation->uniques[i];
        if (unique->is_counting || unique->columns_count != index->columns_count ||
            memcmp(unique->columns, index->columns, sizeof(uint32_t) * index->columns_count) != 0)
            continue;
        hashed_table_destroy(unique->counts);
        *unique = relation->uniques[--relation->uniques_count];
        break;
    }
    pthread_mutex_lock(&relation->lock);
    index->used = false; /* first, so that a reader of the stores' indexes can tell */
    pthread_mutex_unlock(&relation->lock);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++)
        row_store_drop_index(relation->stores[shard], index->store_numbers[shard]);
}

bool engine_drop_index(struct engine *engine, struct relation *relation, uint32_t index, struct error *err)
{
    struct drop_job job = {.relation = relation, .number = index};
    engine_command(engine, run_drop_index, &job);
    return true;
}
