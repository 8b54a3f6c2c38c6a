/* engine_index.c: secondary indexes are made over present rows while ticks go on.
 *
 * The calling thread fills it: it reads the rows piece by piece, sorts their keys and puts them in place. The engine only
 * notes the keys that ticks change meanwhile (storage/state/row_store_index.c), which the same thread adds afterwards, in
 * rounds, each shorter than the one before. When few are left, the engine runs them between two ticks, keeps the index from
 * there on, and readers learn of it. As with views (backfill.h), what is noted is bounded, and writers wait when it comes
 * to nothing otherwise.
 *
 * A unique one also counts how often each value occurs: the calling thread counts in a snapshot, the engine counts what
 * ticks change since, and the two are added up, in rounds as well and at last at a tick boundary, where a value that occurs
 * twice ends the matter. */
#include "executor/engine_internal.h"

#define HANDOVER_KEYS 1024u /* what the engine runs itself, between two ticks */
#define ROUNDS_MAX    4u    /* rounds that may fail to bring it nearer before writers wait for it */

struct index_job {
    struct engine *engine;
    struct relation *relation;
    const uint32_t *columns;
    uint32_t columns_count;
    bool is_unique;
    const char *name;                   /* of no other index that is being made over the relation */
    struct backfill_progress *progress; /* NULL: nobody asks */
    const _Atomic bool *cancel;
    uint32_t number;
    uint32_t *store_numbers;      /* per shard, as the next */
    struct store_index **indexes; /* NULL: it is there, or gone */
    struct index_job *next;       /* the engine's list */
    bool holds;                   /* engine_hold */
    bool declined;                /* run_finish: too much is left */
    /* unique */
    uint64_t snapshot;
    struct hashed_table *counts;        /* value -> int64_t */
    struct hashed_table *taken, *spare; /* run_take_changes */
    uint64_t repeated;                  /* values that occur more than once */
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
        types[i] = relation_shape(job->relation)->types[job->columns[i]];
    return hashed_table_create(types, job->columns_count, sizeof(int64_t), &job->relation->account);
}

static void note_done(const struct index_job *job, uint64_t rows)
{
    if (job->progress != NULL)
        atomic_fetch_add_explicit(&job->progress->rows_done, rows, memory_order_relaxed);
}

static bool is_cancelled(const struct index_job *job)
{
    if (job->cancel == NULL || !atomic_load(job->cancel))
        return false;
    error_set(job->err, ERRCODE_QUERY_CANCELED, "canceling statement due to user request");
    return true;
}

/* The calling thread: the values as they were in the snapshot. */
static bool count_snapshot(struct index_job *job)
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
        ok = account_check(&job->relation->account, job->err) && !is_cancelled(job);
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

/* Adds what ticks have changed. */
static void count_changes(struct index_job *job, struct hashed_table *changes)
{
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t cursor = 0, slot = 0, slots[BATCH_ROWS_MAX];
    while (slot != SLOT_NONE) {
        uint32_t count = 0;
        while (count < BATCH_ROWS_MAX && (slot = hashed_table_next(changes, &cursor)) != SLOT_NONE)
            slots[count++] = slot;
        arena_reset(&arena);
        struct batch *keys = batch_header(&arena, job->columns_count);
        keys->rows = count;
        keys->weights = arena_alloc(&arena, sizeof(int64_t) * count);
        for (uint32_t i = 0; i < count; i++)
            keys->weights[i] = *(int64_t *)hashed_table_payload(changes, slots[i]);
        hashed_table_gather_keys(changes, slots, count, keys->columns, &arena);
        if (count > 0)
            count_keys(job, keys, &arena);
    }
    arena_release(&arena);
}

/* Ticks begin a new table of changes. */
static void run_take_changes(struct engine *engine, void *ctx)
{
    struct index_job *job = ctx;
    struct unique_index *unique = find_counting(job);
    job->taken = unique->counts;
    unique->counts = job->spare;
    job->spare = NULL;
}

static void count_round(struct index_job *job)
{
    job->spare = make_counts(job);
    engine_command(job->engine, run_take_changes, job);
    count_changes(job, job->taken);
    hashed_table_destroy(job->taken);
}

/* From now on the counts are checked; false: some value occurs twice. */
static bool end_counting(struct index_job *job)
{
    struct unique_index *unique = find_counting(job);
    count_changes(job, unique->counts);
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
    job->ok = true;
    if (job->is_unique)
        begin_counting(job);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++)
        job->indexes[shard] = row_store_begin_index(relation->stores[shard], job->columns, job->columns_count,
                                                    true, &job->store_numbers[shard]);
    job->next = engine->index_jobs;
    engine->index_jobs = job;
}

/* What ticks have changed and is not in the index yet, in keys. */
static uint64_t changes_left(const struct index_job *job, int64_t *bytes)
{
    uint64_t keys = 0;
    *bytes = 0;
    for (uint32_t shard = 0; shard < job->relation->shards_count; shard++)
        keys += row_store_noted(job->indexes[shard], bytes);
    return keys;
}

void engine_index_noted(struct engine *engine)
{
    for (struct index_job *job = engine->index_jobs; job != NULL; job = job->next) {
        int64_t bytes;
        (void)changes_left(job, &bytes);
        if (bytes > engine->backfill_bytes)
            engine_hold(engine, &job->holds, true);
    }
}

static void fill_noted(struct index_job *job)
{
    for (uint32_t shard = 0; shard < job->relation->shards_count; shard++)
        note_done(job, row_store_fill_noted(job->relation->stores[shard], job->indexes[shard]));
}

/* The calling thread: the rows that are there, while nobody waits but for too many changes. */
static bool fill_rows(struct index_job *job)
{
    for (uint32_t shard = 0; shard < job->relation->shards_count; shard++) {
        uint32_t cursor = 0, keys;
        while (row_store_fill_index(job->relation->stores[shard], job->indexes[shard], &cursor, &keys)) {
            note_done(job, keys);
            int64_t bytes;
            (void)changes_left(job, &bytes);
            if (bytes > job->engine->backfill_bytes / 2) {
                fill_noted(job);
                engine_hold(job->engine, &job->holds, false);
            }
            if (is_cancelled(job))
                return false;
        }
    }
    return true;
}

static void stop_noting(struct index_job *job)
{
    struct index_job **link = &job->engine->index_jobs;
    while (*link != job)
        link = &(*link)->next;
    *link = job->next;
    engine_hold(job->engine, &job->holds, false);
}

static void run_abort(struct engine *engine, void *ctx)
{
    struct index_job *job = ctx;
    struct relation *relation = job->relation;
    stop_noting(job);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++)
        job->indexes[shard] = row_store_take_index(relation->stores[shard], job->store_numbers[shard]);
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

static bool is_near(struct index_job *job, uint32_t times)
{
    int64_t bytes;
    return changes_left(job, &bytes) <= (uint64_t)times * HANDOVER_KEYS &&
           (!job->is_unique ||
            hashed_table_rows(find_counting(job)->counts) <= (uint64_t)times * HANDOVER_KEYS);
}

static void run_finish(struct engine *engine, void *ctx)
{
    struct index_job *job = ctx;
    job->declined = !is_near(job, 2);
    if (job->declined)
        return;
    job->ok = !job->is_unique || end_counting(job);
    if (!job->ok) {
        run_abort(engine, job);
        return;
    }
    engine_drain(engine);
    for (uint32_t shard = 0; shard < job->relation->shards_count; shard++) {
        row_store_end_index(job->relation->stores[shard], job->indexes[shard]);
        job->indexes[shard] = NULL;
    }
    stop_noting(job);
    show(job);
}

/* Rounds of changes until the engine takes over. */
static bool catch_up(struct index_job *job)
{
    uint64_t before = UINT64_MAX;
    bool keeps_holding = false;
    for (uint32_t wasted = 0;;) {
        int64_t bytes;
        uint64_t keys = changes_left(job, &bytes);
        if (keys <= HANDOVER_KEYS || keeps_holding) {
            engine_command(job->engine, run_finish, job);
            if (!job->declined)
                return job->ok;
        }
        wasted += keys > before - before / 4;
        before = keys;
        keeps_holding |= wasted > ROUNDS_MAX;
        engine_hold(job->engine, &job->holds, keeps_holding);
        fill_noted(job);
        if (job->is_unique)
            count_round(job);
        if (is_cancelled(job)) {
            engine_command(job->engine, run_abort, job);
            return false;
        }
    }
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
    struct store_index *indexes[SHARDS_MAX];
    struct index_job job = {.engine = engine,
                            .relation = relation,
                            .columns = columns,
                            .columns_count = columns_count,
                            .is_unique = is_unique,
                            .name = name,
                            .progress = progress,
                            .cancel = cancel,
                            .store_numbers = store_numbers,
                            .indexes = indexes,
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
        ok = count_snapshot(&job);
        snapshot_close(engine->snapshots, job.snapshot);
    }
    ok = ok && fill_rows(&job);
    if (progress != NULL)
        atomic_store(&progress->phase, BACKFILL_CATCHING_UP);
    if (ok)
        ok = catch_up(&job);
    else
        engine_command(engine, run_abort, &job);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        if (indexes[shard] != NULL)
            row_store_free_index(relation->stores[shard], indexes[shard]);
    }
    if (job.counts != NULL)
        hashed_table_destroy(job.counts);
    *index = job.number;
    return ok;
}

/* ---- dropping ---- */

struct drop_job {
    struct relation *relation;
    uint32_t number;
    struct store_index *indexes[SHARDS_MAX];
    struct hashed_table *counts;
};

static void run_drop_index(struct engine *engine, void *ctx)
{
    struct drop_job *job = ctx;
    struct relation *relation = job->relation;
    struct relation_index *index = &relation->indexes[job->number];
    for (uint32_t i = 0; index->is_unique && i < relation->uniques_count; i++) {
        struct unique_index *unique = &relation->uniques[i];
        if (unique->is_counting || unique->columns_count != index->columns_count ||
            memcmp(unique->columns, index->columns, sizeof(uint32_t) * index->columns_count) != 0)
            continue;
        job->counts = unique->counts;
        *unique = relation->uniques[--relation->uniques_count];
        break;
    }
    pthread_mutex_lock(&relation->lock);
    index->used = false; /* first, so that a reader of the stores' indexes can tell */
    pthread_mutex_unlock(&relation->lock);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++)
        job->indexes[shard] = row_store_take_index(relation->stores[shard], index->store_numbers[shard]);
}

bool engine_drop_index(struct engine *engine, struct relation *relation, uint32_t index, struct error *err)
{
    struct drop_job job = {.relation = relation, .number = index};
    engine_command(engine, run_drop_index, &job);
    if (job.counts != NULL)
        hashed_table_destroy(job.counts);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++)
        row_store_free_index(relation->stores[shard], job.indexes[shard]);
    return true;
}
