/* tick.c: one tick: transactions checked and applied in order, then every dataflow they reach, once.
 *
 * A transaction is checked against the state its predecessors in the tick have left and either applied as a
 * whole or taken back as a whole (row_store marks). Applied changes stand in their relations' feeds;
 * dataflows run by (level, age) so that each sees the finished change of everything below it. */
#include "executor/backfill.h"
#include "executor/cache.h"
#include "executor/engine_internal.h"
#include "executor/kept_rows.h"
#include "executor/outbox_internal.h"
#include "executor/replace.h"

#include "storage/base/clock.h"
#include "storage/base/log.h"
#include "storage/disk/tick_log.h"
#include "storage/state/state_memory.h"

#include <stdio.h>

/* One relation's part of a transaction while it is being applied. */
struct part {
    struct relation *relation;
    const struct batch *net;          /* consolidated */
    const struct source_range *range; /* see struct txn_change */
    const struct batch *logged;       /* as it was given: with the rows that were rejected */
    const struct batch *rejected;     /* NULL: none */
    bool replaces, has_partition;     /* see struct txn_change */
    int32_t partition;
    struct watermark_undo *watermark_undo;
    bool counted;                /* in rows_seen */
    uint64_t *marks;             /* per shard, for taking it back */
    const struct batch **pieces; /* per shard */
    uint32_t uniques_applied;
};

struct tick {
    struct engine *engine;
    uint64_t epoch;
    struct tick_log_entry *entries;
    uint32_t entries_count, entries_cap;
    uint64_t rows;
    int64_t clock_us;
};

static void touch(struct tick *tick, struct relation *relation)
{
    struct engine *engine = tick->engine;
    atomic_store(&relation->last_epoch, tick->epoch);
    if (relation->touched)
        return;
    relation->touched = true;
    engine_list_relation(engine, relation);
    relation_begin_tick(relation, tick->epoch);
    if (engine->touched_count == engine->touched_cap) {
        engine->touched_cap = engine->touched_cap ? engine->touched_cap * 2 : 16;
        engine->touched = mem_realloc(engine->touched, sizeof(*engine->touched) * engine->touched_cap);
    }
    engine->touched[engine->touched_count++] = relation;
}

/* Rows of `batch` whose weight has the sign, in the arena; the batch itself when that is all of them. */
static const struct batch *select_sign(const struct batch *batch, bool positive, struct arena *arena)
{
    if (batch->weights == NULL)
        return positive ? batch : batch_slice(arena, batch, 0, 0);
    uint32_t *rows = arena_alloc(arena, sizeof(*rows) * batch->rows);
    uint32_t count = 0;
    for (uint32_t row = 0; row < batch->rows; row++) {
        rows[count] = row;
        count += (batch->weights[row] > 0) == positive;
    }
    if (count == batch->rows)
        return batch;
    struct batch *result = batch_header(arena, batch->columns_count);
    result->rows = count;
    result->weights = arena_alloc(arena, sizeof(int64_t) * count);
    for (uint32_t i = 0; i < count; i++)
        result->weights[i] = batch->weights[rows[i]];
    for (uint32_t i = 0; i < batch->columns_count; i++)
        column_gather(&result->columns[i], &batch->columns[i], rows, count, arena);
    return result;
}

static void describe_key(const struct relation *relation, const uint32_t *columns, uint32_t count,
                         const struct batch *rows, uint32_t row, struct error *err)
{
    struct strbuf text = STRBUF_INIT;
    strbuf_adds(&text, "Key (");
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(&text, "%s%s", i ? ", " : "", relation_shape(relation)->column_names[columns[i]]);
    strbuf_adds(&text, ")=(");
    for (uint32_t i = 0; i < count; i++) {
        strbuf_adds(&text, i ? ", " : "");
        struct datum value = column_get(&rows->columns[columns[i]], row);
        if (value.is_null)
            strbuf_adds(&text, "null");
        else
            type_output(relation_shape(relation)->types[columns[i]].oid, &value, &io_env_default, &text);
    }
    strbuf_adds(&text, ") already exists.");
    error_detail(err, "%s", strbuf_text(&text));
    strbuf_release(&text);
}

static bool unique_violation(const struct relation *relation, const char *name, const uint32_t *columns,
                             uint32_t count, const struct batch *rows, uint32_t row, struct error *err)
{
    error_set(err, ERRCODE_UNIQUE_VIOLATION, "duplicate key value violates unique constraint \"%s\"", name);
    describe_key(relation, columns, count, rows, row, err);
    snprintf(err->schema_name, sizeof(err->schema_name), "%s", relation->schema);
    snprintf(err->table_name, sizeof(err->table_name), "%s", relation->name);
    snprintf(err->constraint_name, sizeof(err->constraint_name), "%s", name);
    return false;
}

static bool conflict(const struct relation *relation, struct error *err)
{
    error_set(err, ERRCODE_SERIALIZATION_FAILURE, "could not serialize access due to concurrent update");
    error_detail(err, "Rows of \"%s\" that this transaction has read were changed by another one.",
                 relation->name);
    return error_hint(err, "Run the transaction again.");
}

/* Every deleted row must still be there as the transaction saw it. */
static bool check_deletes(struct relation *relation, uint32_t shard, const struct batch *deletes,
                          const uint64_t *hashes, struct arena *arena, struct error *err)
{
    uint8_t *found = arena_alloc(arena, deletes->rows);
    int64_t *counts = arena_alloc(arena, sizeof(*counts) * deletes->rows);
    if (relation->key_count == 0) {
        row_store_current(relation->stores[shard], deletes, NULL, hashes, found, counts, NULL);
        for (uint32_t row = 0; row < deletes->rows; row++) {
            if (!found[row] || counts[row] < -deletes->weights[row])
                return conflict(relation, err);
        }
        return true;
    }
    struct batch *current = batch_create(arena, relation_shape(relation)->types,
                                         relation_shape(relation)->columns_count, deletes->rows);
    row_store_current(relation->stores[shard], deletes, relation->key_columns, hashes, found, NULL, current);
    uint32_t next = 0;
    for (uint32_t row = 0; row < deletes->rows; row++) {
        if (!found[row] || !batch_rows_identical(deletes, row, current, next++))
            return conflict(relation, err);
    }
    return true;
}

/* Keys of the inserted rows: none may exist in the store (deletes are applied) or twice among themselves. */
static bool check_inserts(struct relation *relation, uint32_t shard, const struct batch *inserts,
                          const uint64_t *hashes, struct arena *arena, struct error *err)
{
    uint8_t *found = arena_alloc(arena, inserts->rows);
    row_store_current(relation->stores[shard], inserts, relation->key_columns, hashes, found, NULL, NULL);
    uint32_t cap = 16;
    while (cap < inserts->rows * 2)
        cap *= 2;
    uint32_t *buckets = ARENA_ARRAY(arena, uint32_t, cap);
    for (uint32_t row = 0; row < inserts->rows; row++) {
        bool duplicate = found[row] || batch_weight(inserts, row) > 1;
        uint32_t bucket = (uint32_t)hashes[row] & (cap - 1);
        for (; !duplicate && buckets[bucket] != 0; bucket = (bucket + 1) & (cap - 1)) {
            uint32_t other = buckets[bucket] - 1;
            duplicate = hashes[other] == hashes[row] &&
                        batch_rows_equal(inserts, row, relation->key_columns, inserts, other,
                                         relation->key_columns, relation->key_count);
        }
        if (duplicate)
            return unique_violation(relation, relation->key_name, relation->key_columns, relation->key_count,
                                    inserts, row, err);
        buckets[bucket] = row + 1;
    }
    return true;
}

/* Adds `sign` times the rows to a UNIQUE constraint's counts. The row that makes a value appear twice is in
 * *twice. */
static void count_unique(struct unique_index *unique, const struct batch *rows, int64_t sign,
                         struct arena *arena, uint32_t *twice)
{
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * rows->rows);
    batch_hash(rows, unique->columns, unique->columns_count, hashes);
    *twice = UINT32_MAX;
    for (int pass = 0; pass < 2; pass++) { /* what takes values away first */
        for (uint32_t row = 0; row < rows->rows; row++) {
            int64_t weight = sign * batch_weight(rows, row);
            if ((weight > 0) != (pass == 1))
                continue;
            bool has_null = false;
            for (uint32_t c = 0; c < unique->columns_count; c++)
                has_null |= column_is_null(&rows->columns[unique->columns[c]], row);
            if (has_null)
                continue;
            struct batch *one = batch_slice(arena, rows, row, 1);
            uint32_t slot;
            uint8_t inserted;
            hashed_table_upsert(unique->counts, one, unique->columns, &hashes[row], &slot, &inserted);
            int64_t *count = hashed_table_payload(unique->counts, slot);
            *count += weight;
            if (*count > 1 && *twice == UINT32_MAX)
                *twice = row;
            if (*count == 0)
                hashed_table_remove(unique->counts, slot);
        }
    }
}

static const uint64_t *hash_for_store(const struct row_store *store, const struct batch *rows,
                                      struct arena *arena)
{
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * (rows->rows + 1));
    row_store_hash(store, rows, hashes);
    return hashes;
}

/* Append-only rows need no owner: each shard gets a run of whole batches, another one first in each tick. */
static void slice_by_shard(struct tick *tick, struct part *part)
{
    uint32_t shards = part->relation->shards_count, rows = part->net->rows;
    uint32_t batches = (rows + BATCH_ROWS_MAX - 1) / BATCH_ROWS_MAX;
    uint32_t run = (batches + shards - 1) / shards * BATCH_ROWS_MAX;
    for (uint32_t i = 0, first = 0; i < shards; i++) {
        uint32_t count = rows - first < run ? rows - first : run;
        part->pieces[(tick->epoch + i) % shards] =
            batch_slice(&tick->engine->tick_arena, part->net, first, count);
        first += count;
    }
}

static void split_by_shard(struct tick *tick, struct part *part)
{
    struct relation *relation = part->relation;
    struct arena *arena = &tick->engine->tick_arena;
    part->pieces = ARENA_ARRAY(arena, const struct batch *, relation->shards_count);
    part->marks = ARENA_ARRAY(arena, uint64_t, relation->shards_count);
    if (relation->shards_count == 1) {
        part->pieces[0] = part->net;
        return;
    }
    if (relation->append_only) {
        slice_by_shard(tick, part);
        return;
    }
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * (part->net->rows + 1));
    batch_hash(part->net, relation->hash_columns, relation->hash_columns_count, hashes);
    uint32_t *lists[SHARDS_MAX], counts[SHARDS_MAX];
    relation_partition(relation, part->net, hashes, arena, lists, counts);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        struct batch *piece = batch_header(arena, part->net->columns_count);
        piece->rows = counts[shard];
        for (uint32_t c = 0; c < part->net->columns_count; c++)
            column_gather(&piece->columns[c], &part->net->columns[c], lists[shard], counts[shard], arena);
        if (part->net->weights != NULL) {
            piece->weights = arena_alloc(arena, sizeof(int64_t) * counts[shard]);
            for (uint32_t i = 0; i < counts[shard]; i++)
                piece->weights[i] = part->net->weights[lists[shard][i]];
        }
        part->pieces[shard] = piece;
    }
}

/* ---- event time ---- */

static const struct batch *pick_rows(struct arena *arena, const struct batch *from, const uint32_t *rows,
                                     uint32_t count)
{
    struct batch *out = batch_header(arena, from->columns_count);
    out->rows = count;
    for (uint32_t c = 0; c < from->columns_count; c++)
        column_gather(&out->columns[c], &from->columns[c], rows, count, arena);
    return out;
}

/* The source has ended: it says so by a range without rows. */
static bool part_ends(const struct part *part)
{
    return part->range != NULL && part->range->count == 0;
}

/* Rows of a partition are going to come (struct txn_change). */
static bool part_expects(const struct part *part)
{
    return part->has_partition && part->net->rows == 0;
}

/* A relation's watermark is known to the engine from its first rows on. */
void engine_list_watermark(struct engine *engine, struct relation *relation)
{
    if (relation->watermark_listed)
        return;
    relation->watermark_listed = true;
    if (engine->watermarked_count == engine->watermarked_cap) {
        engine->watermarked_cap = engine->watermarked_cap ? engine->watermarked_cap * 2 : 16;
        engine->watermarked =
            mem_realloc(engine->watermarked, sizeof(*engine->watermarked) * engine->watermarked_cap);
    }
    engine->watermarked[engine->watermarked_count++] = relation;
}

static void use_watermark(struct tick *tick, struct relation *relation)
{
    engine_list_watermark(tick->engine, relation);
    if (relation->watermark_epoch == tick->epoch)
        return;
    relation_set_watermark(relation, tick->epoch, relation->watermark_now);
    if (watermark_pass_time(relation->watermark, tick->clock_us))
        relation_set_watermark(relation, tick->epoch, watermark_value(relation->watermark));
}

/* Takes out what is too far in the future, and gives the others their watermarks. */
static void judge_times(struct tick *tick, struct part *part)
{
    struct relation *relation = part->relation;
    struct arena *arena = &tick->engine->tick_arena;
    uint32_t rows = part->net->rows;
    if (rows == 0 && !part_ends(part) && !part_expects(part))
        return;
    use_watermark(tick, relation);
    if (part_expects(part)) {
        watermark_expect(relation->watermark, part->partition, tick->clock_us, arena, &part->watermark_undo);
        return;
    }
    if (part_ends(part)) {
        watermark_end(relation->watermark, arena, &part->watermark_undo);
        return;
    }
    uint32_t *rejected = arena_alloc(arena, sizeof(*rejected) * rows);
    uint32_t count = watermark_reject(relation->watermark, part->net, tick->clock_us, rejected);
    if (count > 0 && part->net->weights == NULL) {
        uint32_t *kept = arena_alloc(arena, sizeof(*kept) * rows), kept_count = 0, next = 0;
        for (uint32_t i = 0; i < rows; i++) {
            if (next < count && rejected[next] == i)
                next++;
            else
                kept[kept_count++] = i;
        }
        part->rejected = pick_rows(arena, part->net, rejected, count);
        part->net = pick_rows(arena, part->net, kept, kept_count);
        rows = kept_count;
    }
    int64_t *watermarks = arena_alloc(arena, sizeof(*watermarks) * (rows + 1));
    watermark_judge(relation->watermark, part->net, part->has_partition ? &part->partition : NULL,
                    tick->clock_us, watermarks, arena, &part->watermark_undo);
    if (!relation->append_only)
        return;
    int64_t *positions = arena_alloc(arena, sizeof(*positions) * (rows + 1));
    int64_t first = (int64_t)atomic_load(&relation->rows_seen);
    for (uint32_t i = 0; i < rows; i++)
        positions[i] = first + i;
    struct batch *judged = batch_slice(arena, part->net, 0, rows);
    judged->watermarks = watermarks;
    judged->positions = positions;
    part->net = judged;
}

static void report_rejected(struct tick *tick, const struct part *part)
{
    struct relation *relation = part->relation;
    watermark_count_rejected(relation->watermark, part->rejected->rows);
    struct error error;
    error_init(&error);
    error_set(&error, ERRCODE_DATETIME_FIELD_OVERFLOW,
              "column \"%s\" is further ahead of the clock than max_future",
              relation_shape(relation)->column_names[relation->watermark_desc.column]);
    struct io_env io = io_env_default;
    for (uint32_t row = 0; row < part->rejected->rows; row++) {
        struct strbuf text = STRBUF_INIT;
        relation_row_text(part->rejected, row, &io, &text);
        relation_add_error(relation, "watermark", error_sqlstate(error.code), error.message,
                           strbuf_text(&text), 1);
        strbuf_release(&text);
    }
}

static bool apply_piece(struct tick *tick, struct relation *relation, uint32_t shard,
                        const struct batch *piece, bool check, struct error *err)
{
    struct arena *arena = &tick->engine->tick_arena;
    if (relation->append_only) {
        if (!relation->no_retention)
            relation_append(relation, shard, piece, WATERMARK_NONE, tick->epoch);
        return true;
    }
    const struct batch *deletes = select_sign(piece, false, arena),
                       *inserts = select_sign(piece, true, arena);
    if (deletes->rows > 0) {
        const uint64_t *hashes = hash_for_store(relation->stores[shard], deletes, arena);
        if (check && !check_deletes(relation, shard, deletes, hashes, arena, err))
            return false;
        row_store_apply(relation->stores[shard], deletes, hashes);
    }
    if (inserts->rows > 0) {
        const uint64_t *hashes = hash_for_store(relation->stores[shard], inserts, arena);
        if (check && relation->key_count > 0 && !check_inserts(relation, shard, inserts, hashes, arena, err))
            return false;
        row_store_apply(relation->stores[shard], inserts, hashes);
    }
    return true;
}

static bool apply_part(struct tick *tick, struct part *part, bool check, struct error *err)
{
    struct relation *relation = part->relation;
    struct arena *arena = &tick->engine->tick_arena;
    touch(tick, relation);
    part->logged = part->net;
    if (relation->watermark != NULL)
        judge_times(tick, part);
    if (relation->lookup != NULL)
        part->net = cache_replace(relation, part->net, arena);
    else if (part->replaces)
        part->net = replace_by_key(relation, part->net, arena);
    split_by_shard(tick, part);
    if (relation->append_only) {
        atomic_fetch_add(&relation->rows_seen, part->net->rows);
        part->counted = true;
    }
    for (uint32_t shard = 0; shard < relation->shards_count; shard++)
        part->marks[shard] = relation->append_only ? segments_rows(relation->segments[shard])
                                                   : row_store_mark(relation->stores[shard]);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        if (part->pieces[shard]->rows > 0 &&
            !apply_piece(tick, relation, shard, part->pieces[shard], check && !part->replaces, err))
            return false;
    }
    for (; part->uniques_applied < relation->uniques_count;) {
        struct unique_index *unique = &relation->uniques[part->uniques_applied++];
        uint32_t twice;
        count_unique(unique, part->net, 1, arena, &twice);
        if (check && twice != UINT32_MAX && !unique->is_counting)
            return unique_violation(relation, unique->name, unique->columns, unique->columns_count, part->net,
                                    twice, err);
    }
    return true;
}

static void take_back(struct tick *tick, struct part *part)
{
    struct relation *relation = part->relation;
    if (part->watermark_undo != NULL)
        watermark_take_back(relation->watermark, part->watermark_undo);
    if (part->marks == NULL)
        return;
    if (part->counted)
        atomic_fetch_sub(&relation->rows_seen, part->net->rows);
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        if (relation->append_only)
            segments_truncate(relation->segments[shard], part->marks[shard]);
        else
            row_store_rollback_to(relation->stores[shard], part->marks[shard]);
    }
    uint32_t ignored;
    while (part->uniques_applied > 0)
        count_unique(&relation->uniques[--part->uniques_applied], part->net, -1, &tick->engine->tick_arena,
                     &ignored);
}

/* The transaction's changes: one part per relation, but rows that are only inserted stay as they are. Those made before a
 * column was added get it. */
static struct part *make_parts(struct tick *tick, const struct txn_change *changes, uint32_t changes_count,
                               uint32_t *parts_count)
{
    struct arena *arena = &tick->engine->tick_arena;
    struct part *parts = ARENA_ARRAY(arena, struct part, changes_count);
    *parts_count = 0;
    for (uint32_t i = 0; i < changes_count; i++) {
        const struct batch *rows = relation_fit(changes[i].relation, changes[i].rows,
                                                relation_shape(changes[i].relation)->columns_count, arena);
        struct part *part = NULL;
        bool stands_alone = changes[i].replaces || changes[i].has_partition;
        for (uint32_t p = 0; p < *parts_count && rows->weights != NULL && !stands_alone; p++) {
            if (parts[p].relation == changes[i].relation && !parts[p].replaces && !parts[p].has_partition)
                part = &parts[p];
        }
        if (part == NULL) {
            parts[(*parts_count)++] = (struct part){.relation = changes[i].relation,
                                                    .net = rows,
                                                    .range = changes[i].range,
                                                    .replaces = changes[i].replaces,
                                                    .has_partition = changes[i].has_partition,
                                                    .partition = changes[i].partition};
            continue;
        }
        struct batch *sum =
            batch_create(arena, relation_shape(part->relation)->types,
                         relation_shape(part->relation)->columns_count, part->net->rows + rows->rows);
        batch_append_range(sum, part->net, 0, part->net->rows, 1);
        batch_append_range(sum, rows, 0, rows->rows, 1);
        part->net = sum;
        part->range = NULL;
    }
    for (uint32_t p = 0; p < *parts_count; p++) {
        if (parts[p].net->weights != NULL && !parts[p].replaces)
            parts[p].net = batch_consolidate(parts[p].net, arena);
    }
    return parts;
}

/* What was applied is what the dataflows will see. */
static void feed_part(struct tick *tick, struct part *part)
{
    for (uint32_t shard = 0; shard < part->relation->shards_count; shard++)
        feed_add(&part->relation->feed, shard, part->pieces[shard]);
    struct relation *relation = part->relation;
    if (relation->lookup != NULL)
        cache_note(relation, part->net, &tick->engine->tick_arena);
    if (relation->kept != NULL)
        kept_rows_note(relation->kept, part->net);
    relation->feed.dirty |= part->net->rows > 0;
    tick->rows += part->net->rows;
    if (relation->watermark != NULL)
        relation_set_watermark(relation, tick->epoch, watermark_value(relation->watermark));
    if (part->rejected != NULL)
        report_rejected(tick, part);
}

static void log_part(struct tick *tick, const struct part *part)
{
    struct tick_log_entry entry = {.relation_oid = part->relation->oid,
                                   .rows = part->logged,
                                   .range = part->range,
                                   .replaces = part->replaces,
                                   .has_partition = part->has_partition,
                                   .partition = part->partition};
    ARENA_PUSH(&tick->engine->tick_arena, tick->entries, tick->entries_count, tick->entries_cap, entry);
}

static bool adds_rows(const struct engine_txn *txn)
{
    for (uint32_t i = 0; i < txn->changes_count; i++) {
        const struct batch *rows = txn->changes[i].rows;
        if (rows->weights == NULL && rows->rows > 0)
            return true;
        for (uint32_t row = 0; rows->weights != NULL && row < rows->rows; row++) {
            if (rows->weights[row] > 0)
                return true;
        }
    }
    return false;
}

static bool apply_transaction(struct tick *tick, const struct engine_txn *txn, struct error *err)
{
    /* rows can be deleted on a full disk */
    struct error full;
    if (UNLIKELY(!state_memory_check(&full)) && adds_rows(txn)) {
        *err = full;
        return false;
    }
    for (uint32_t i = 0; i < txn->reads_count; i++) {
        struct relation *relation = txn->reads[i].relation;
        if (atomic_load(&relation->last_epoch) > txn->snapshot)
            return conflict(relation, err);
        /* a view changes at the end of the tick: what its inputs have got from transactions before counts */
        if (relation->dataflow != NULL && dataflow_is_reached(relation->dataflow, ++tick->engine->visits))
            return conflict(relation, err);
    }
    for (uint32_t i = 0; i < txn->changes_count; i++) {
        if (txn->changes[i].relation->dropped)
            return error_set(err, ERRCODE_UNDEFINED_TABLE, "relation \"%s\" does not exist",
                             txn->changes[i].relation->name);
    }
    uint32_t parts_count;
    struct part *parts = make_parts(tick, txn->changes, txn->changes_count, &parts_count);
    uint64_t *last_epochs = ARENA_ARRAY(&tick->engine->tick_arena, uint64_t, parts_count);
    for (uint32_t p = 0; p < parts_count; p++) {
        last_epochs[p] = atomic_load(&parts[p].relation->last_epoch);
        if (apply_part(tick, &parts[p], true, err))
            continue;
        for (uint32_t back = p + 1; back-- > 0;) {
            take_back(tick, &parts[back]);
            atomic_store(&parts[back].relation->last_epoch, last_epochs[back]);
        }
        return false;
    }
    for (uint32_t p = 0; p < parts_count; p++) {
        struct part *part = &parts[p];
        if (part->logged->rows == 0 && !part_ends(part) && !part->has_partition)
            continue;
        feed_part(tick, part);
        log_part(tick, part);
    }
    return true;
}

/* Rows of external tables whose time is over leave their caches before anything else happens in the tick. That follows from
 * the clock, so that it is not logged. */
static void expire_caches(struct tick *tick)
{
    struct engine *engine = tick->engine;
    for (uint32_t i = 0; i < engine->caches_count; i++) {
        struct relation *relation = engine->caches[i];
        struct part part = {.relation = relation,
                            .net = cache_take_expired(relation, tick->clock_us, &engine->tick_arena)};
        struct error ignored;
        if (part.net == NULL)
            continue;
        CHECK(apply_part(tick, &part, false, &ignored));
        feed_part(tick, &part);
    }
}

static bool has_expired(const struct engine *engine, int64_t clock_us)
{
    for (uint32_t i = 0; i < engine->caches_count; i++)
        if (cache_has_expired(engine->caches[i], clock_us))
            return true;
    return false;
}

#define KEPT_ROWS_MAX 16384u /* go in one tick, and as many as it brings */

/* Tables that keep their newest rows: behind the tick's transactions. That is logged, since what they keep may be another number
 * when this is replayed. */
static void drop_kept_rows(struct tick *tick)
{
    struct engine *engine = tick->engine;
    for (uint32_t i = 0; i < engine->kept_count; i++) {
        struct relation *relation = engine->kept[i];
        struct part part = {.relation = relation, .replaces = true};
        struct error ignored;
        part.net =
            kept_rows_take(relation->kept, tick->clock_us, KEPT_ROWS_MAX + tick->rows, &engine->tick_arena);
        if (part.net == NULL)
            continue;
        CHECK(apply_part(tick, &part, false, &ignored));
        feed_part(tick, &part);
        log_part(tick, &part);
    }
}

/* ---- the schedule ---- */

static bool runs_before(const struct dataflow *a, const struct dataflow *b)
{
    if (dataflow_level(a) != dataflow_level(b))
        return dataflow_level(a) < dataflow_level(b);
    return dataflow_order(a) < dataflow_order(b);
}

/* Binary heap on (level, order). */
static void schedule_add(struct engine *engine, struct dataflow *flow)
{
    bool *scheduled = dataflow_scheduled(flow);
    if (*scheduled)
        return;
    *scheduled = true;
    if (engine->schedule_count == engine->schedule_cap) {
        engine->schedule_cap = engine->schedule_cap ? engine->schedule_cap * 2 : 16;
        engine->schedule = mem_realloc(engine->schedule, sizeof(*engine->schedule) * engine->schedule_cap);
    }
    uint32_t at = engine->schedule_count++;
    while (at > 0 && runs_before(flow, engine->schedule[(at - 1) / 2])) {
        engine->schedule[at] = engine->schedule[(at - 1) / 2];
        at = (at - 1) / 2;
    }
    engine->schedule[at] = flow;
}

static struct dataflow *schedule_take(struct engine *engine)
{
    if (engine->schedule_count == 0)
        return NULL;
    struct dataflow *first = engine->schedule[0];
    struct dataflow *last = engine->schedule[--engine->schedule_count];
    uint32_t at = 0;
    for (;;) {
        uint32_t child = 2 * at + 1;
        if (child >= engine->schedule_count)
            break;
        if (child + 1 < engine->schedule_count &&
            runs_before(engine->schedule[child + 1], engine->schedule[child]))
            child++;
        if (runs_before(last, engine->schedule[child]))
            break;
        engine->schedule[at] = engine->schedule[child];
        at = child;
    }
    if (engine->schedule_count > 0)
        engine->schedule[at] = last;
    return first;
}

static void schedule_dependents(struct engine *engine, struct feed *feed)
{
    for (uint32_t i = 0; i < feed->dependents_count; i++)
        schedule_add(engine, feed->dependents[i]);
}

/* The late rows of a view's tick. */
static void add_late_rows(struct tick *tick, struct dataflow *flow)
{
    struct relation *target = dataflow_target(flow);
    if (target == NULL || target->late == NULL || !dataflow_has_late_rows(flow))
        return;
    touch(tick, target->late);
    dataflow_store_late_rows(flow);
}

/* What the clock alone asks for: silent partitions, timers of operators. */
static void schedule_due(struct tick *tick)
{
    struct engine *engine = tick->engine;
    for (uint32_t i = 0; i < engine->watermarked_count; i++) {
        struct relation *relation = engine->watermarked[i];
        if (relation->watermark_wake_us <= tick->clock_us)
            use_watermark(tick, relation);
        if (relation_watermark_moved(relation, tick->epoch))
            schedule_dependents(engine, &relation->feed);
    }
    for (uint32_t i = 0; i < engine->timed_count;) {
        struct dataflow *flow = engine->timed[i];
        if (dataflow_due_clock(flow) == TIME_NEVER) {
            *dataflow_timed(flow) = false;
            engine->timed[i] = engine->timed[--engine->timed_count];
            continue;
        }
        if (dataflow_due_clock(flow) <= tick->clock_us)
            schedule_add(engine, flow);
        i++;
    }
}

void engine_note_timer(struct engine *engine, struct dataflow *flow)
{
    bool *timed = dataflow_timed(flow);
    if (*timed || dataflow_due_clock(flow) == TIME_NEVER)
        return;
    *timed = true;
    if (engine->timed_count == engine->timed_cap) {
        engine->timed_cap = engine->timed_cap ? engine->timed_cap * 2 : 16;
        engine->timed = mem_realloc(engine->timed, sizeof(*engine->timed) * engine->timed_cap);
    }
    engine->timed[engine->timed_count++] = flow;
}

void engine_forget_timer(struct engine *engine, struct dataflow *flow)
{
    for (uint32_t i = 0; i < engine->timed_count; i++) {
        if (engine->timed[i] == flow)
            engine->timed[i--] = engine->timed[--engine->timed_count];
    }
}

/* ---- retention ---- */

void engine_list_retention(struct engine *engine, struct relation *relation)
{
    if (relation->retention == NULL || relation->retention_listed)
        return;
    relation->retention_listed = true;
    if (engine->retained_count == engine->retained_cap) {
        engine->retained_cap = engine->retained_cap ? engine->retained_cap * 2 : 16;
        engine->retained = mem_realloc(engine->retained, sizeof(*engine->retained) * engine->retained_cap);
    }
    engine->retained[engine->retained_count++] = relation;
}

/* Rows of streams that are too old by the tick's clock, or too many with the tick's rows, end with it. Views over them
 * have seen them. Only in ticks that are logged: replayed, they do the same. */
static void drop_old_rows(struct tick *tick)
{
    struct engine *engine = tick->engine;
    uint64_t rows[SHARDS_MAX];
    for (uint32_t i = 0; i < engine->touched_count; i++) {
        struct relation *relation = engine->touched[i];
        if (relation->retention == NULL)
            continue;
        engine_list_retention(engine, relation);
        for (uint32_t shard = 0; shard < relation->shards_count; shard++)
            rows[shard] = segments_rows(relation->segments[shard]);
        retention_note(relation->retention, tick->clock_us, atomic_load(&relation->rows_seen), rows);
    }
    for (uint32_t i = 0; i < engine->retained_count; i++) {
        struct relation *relation = engine->retained[i];
        if (!retention_pass(relation->retention, tick->clock_us, rows))
            continue;
        for (uint32_t shard = 0; shard < relation->shards_count; shard++)
            segments_drop(relation->segments[shard], rows[shard], tick->epoch);
        relation->dropped_epoch = tick->epoch;
        engine_note_trim(engine, relation);
    }
}

/* The view that has failed and those over it. */
static void note_failed(struct engine *engine, struct dataflow *flow)
{
    for (uint32_t i = 0; i < engine->failed_count; i++) {
        if (engine->failed[i] == flow)
            return;
    }
    if (dataflow_target(flow) != NULL) {
        if (engine->failed_count == engine->failed_cap) {
            engine->failed_cap = engine->failed_cap ? engine->failed_cap * 2 : 8;
            engine->failed = mem_realloc(engine->failed, sizeof(*engine->failed) * engine->failed_cap);
        }
        engine->failed[engine->failed_count++] = flow;
    }
    const struct feed *feed = dataflow_feed(flow);
    for (uint32_t i = 0; i < feed->dependents_count; i++)
        note_failed(engine, feed->dependents[i]);
}

/* After the tick: views that have failed take part in no other, and what they keep is free for the rest. */
static void give_up_failed(struct engine *engine)
{
    for (uint32_t i = 0; i < engine->failed_count; i++) {
        struct dataflow *flow = engine->failed[i];
        struct relation *target = dataflow_target(flow);
        log_write(LOG_ERROR, "\"%s\" is no longer maintained: %s", target->name, target->failure.message);
        engine_forget_timer(engine, flow);
        subscription_relation_failed(target);
        dataflow_give_up(flow);
    }
    if (engine->failed_count > 0 && engine->outbox_listeners != NULL) { /* one of them may be a sink's */
        pthread_mutex_lock(&engine->lock);
        outbox_wake_listeners(engine);
        pthread_mutex_unlock(&engine->lock);
    }
    engine->failed_count = 0;
}

static void run_dataflows(struct tick *tick, int64_t clock_us, uint64_t seed)
{
    struct engine *engine = tick->engine;
    engine->clock_us = clock_us;
    schedule_due(tick);
    struct dataflow **ran = NULL;
    uint32_t ran_count = 0, ran_cap = 0;
    uint32_t base_count = engine->touched_count;
    for (uint32_t i = 0; i < base_count; i++) {
        if (engine->touched[i]->feed.dirty)
            schedule_dependents(engine, &engine->touched[i]->feed);
    }
    struct dataflow *flow;
    while ((flow = schedule_take(engine)) != NULL) {
        struct relation *target = dataflow_target(flow);
        uint64_t last_epoch = 0;
        if (target != NULL) {
            last_epoch = atomic_load(&target->last_epoch);
            touch(tick, target);
        }
        struct error error;
        bool ok = dataflow_tick(flow, tick->epoch, clock_us, seed, false, NULL, engine->workers, tick->rows,
                                &error);
        ARENA_PUSH(&engine->tick_arena, ran, ran_count, ran_cap, flow);
        if (UNLIKELY(!ok))
            note_failed(engine, flow);
        engine_note_timer(engine, flow);
        struct feed *feed = dataflow_feed(flow);
        if (ok && dataflow_pass_watermark(flow, tick->epoch))
            schedule_dependents(engine, feed);
        if (ok)
            add_late_rows(tick, flow);
        if (!ok || feed_rows(feed) == 0) {
            if (target != NULL && ok)
                atomic_store(&target->last_epoch, last_epoch);
            continue;
        }
        feed->dirty = true;
        schedule_dependents(engine, feed);
    }
    if (engine->backfills != NULL)
        backfill_record(engine, tick->epoch, clock_us, seed);
    engine_index_noted(engine);
    uint64_t rows_processed = 0;
    for (uint32_t i = 0; i < ran_count; i++) {
        rows_processed += dataflow_take_rows_in(ran[i]);
        if (dataflow_target(ran[i]) == NULL) /* a view's batches live on until subscribers have copied them */
            dataflow_end_tick(ran[i]);
    }
    atomic_fetch_add(&engine->stat_rows_processed, rows_processed);
    drop_old_rows(tick);
}

void engine_note_trim(struct engine *engine, struct relation *relation)
{
    if (relation->wants_trim)
        return;
    if (engine->trims_count == engine->trims_cap) {
        engine->trims_cap = engine->trims_cap ? engine->trims_cap * 2 : 16;
        engine->trims = mem_realloc(engine->trims, sizeof(*engine->trims) * engine->trims_cap);
    }
    relation->wants_trim = true;
    engine->trims[engine->trims_count++] = relation;
}

#define TRIM_BYTES ((uint64_t)256 << 10) /* of before-images, per shard, with each tick */

/* Before-images and epoch marks that no snapshot can want any more. What a snapshot has held back for long goes over many ticks: none
 * of them waits for all of it. */
static void trim(struct engine *engine)
{
    uint64_t oldest = snapshots_oldest(engine->snapshots);
    for (uint32_t i = 0; i < engine->touched_count; i++)
        engine_note_trim(engine, engine->touched[i]);
    for (uint32_t i = 0; i < engine->trims_count;) {
        struct relation *relation = engine->trims[i];
        bool has_all = relation_trim(relation, oldest, TRIM_BYTES);
        if (has_all && atomic_load(&relation->last_epoch) <= oldest && relation->dropped_epoch <= oldest &&
            !relation->touched) {
            relation->wants_trim = false;
            engine->trims[i] = engine->trims[--engine->trims_count];
        } else {
            i++;
        }
    }
}

/* pending NULL: a replay, whose ticks are published at once. */
static struct subscription_message *end_tick(struct tick *tick, struct pending_tick *pending)
{
    struct engine *engine = tick->engine;
    struct subscription_message *messages = NULL;
    for (uint32_t i = 0; i < engine->touched_count; i++) {
        struct relation *relation = engine->touched[i];
        if (relation->feed.dirty && relation->subscriptions != NULL)
            messages = subscription_collect(relation, tick->epoch, messages);
    }
    for (uint32_t i = 0; i < engine->touched_count; i++) {
        struct relation *relation = engine->touched[i];
        if (pending != NULL && relation->outbox != NULL && feed_rows(&relation->feed) > 0)
            pending->has_outgoing = true;
        if (relation->dataflow != NULL)
            dataflow_end_tick(relation->dataflow);
        if (relation->has_watermark && relation->watermark == NULL)
            relation_publish_watermark(relation);
        feed_clear(&relation->feed);
    }
    for (uint32_t i = 0; i < engine->watermarked_count; i++) {
        if (engine->watermarked[i]->watermark_epoch == tick->epoch)
            relation_publish_watermark(engine->watermarked[i]);
    }
    trim(engine);
    for (uint32_t i = 0; i < engine->touched_count; i++)
        engine->touched[i]->touched = false;
    engine->touched_count = 0;
    return messages;
}

/* The clock at which silence moves the relation's watermark to where somebody waits for it. */
static int64_t wake_of(const struct relation *relation)
{
    int64_t due = feed_due_watermark(&relation->feed);
    return due == TIME_NEVER ? INT64_MAX : watermark_reaches(relation->watermark, due);
}

int64_t engine_next_due(struct engine *engine)
{
    int64_t due = INT64_MAX;
    for (uint32_t i = 0; i < engine->watermarked_count; i++) {
        struct relation *relation = engine->watermarked[i];
        relation->watermark_wake_us = wake_of(relation);
        if (relation->watermark_wake_us < due)
            due = relation->watermark_wake_us;
    }
    for (uint32_t i = 0; i < engine->retained_count; i++) {
        int64_t goes = retention_due(engine->retained[i]->retention);
        due = goes < due ? goes : due;
    }
    for (uint32_t i = 0; i < engine->kept_count; i++) {
        int64_t goes = kept_rows_due(engine->kept[i]->kept);
        goes = goes == INT64_MIN ? clock_now_us() : goes;
        due = goes < due ? goes : due;
    }
    for (uint32_t i = 0; i < engine->timed_count; i++) {
        if (dataflow_due_clock(engine->timed[i]) < due)
            due = dataflow_due_clock(engine->timed[i]);
    }
    for (uint32_t i = 0; i < engine->caches_count; i++) {
        int64_t expires = cache_due(engine->caches[i]);
        due = expires < due ? expires : due;
    }
    return due;
}

void engine_run_tick(struct engine *engine, struct staged_txn *transactions)
{
    struct tick tick = {.engine = engine, .epoch = engine->epoch + 1, .clock_us = clock_now_us()};
    bool is_due = transactions == NULL || engine->wake_us <= tick.clock_us;
    if (has_expired(engine, tick.clock_us)) {
        is_due = true;
        expire_caches(&tick);
    }
    struct pending_tick *pending = mem_zalloc(sizeof(*pending));
    error_init(&pending->log_error);
    pending->epoch = tick.epoch;
    pending->transactions = transactions;
    uint32_t accepted = 0, count = 0;
    for (struct staged_txn *txn = transactions; txn != NULL; txn = txn->next, count++) {
        error_init(&txn->error);
        accepted += apply_transaction(&tick, txn->txn, &txn->error);
    }
    atomic_fetch_add(&engine->stat_transactions, count);
    atomic_fetch_add(&engine->stat_rows_in, tick.rows);
    if (accepted == 0 && !is_due) {
        CHECK(end_tick(&tick, pending) == NULL);
        engine_acknowledge(pending);
        mem_free(pending);
        arena_reset(&engine->tick_arena);
        return;
    }
    drop_kept_rows(&tick);
    engine->epoch = tick.epoch;
    uint64_t seed = random_u64();
    engine_log_tick(engine, pending, tick.clock_us, seed, tick.entries, tick.entries_count);
    run_dataflows(&tick, tick.clock_us, seed);
    pending->messages = end_tick(&tick, pending);
    give_up_failed(engine);
    engine->wake_us = engine_next_due(engine);
    engine_finish_tick(engine, pending);
    arena_reset(&engine->tick_arena);
}

uint64_t engine_empty_tick(struct engine *engine, int64_t *clock_us, uint64_t *seed)
{
    struct pending_tick *pending = mem_zalloc(sizeof(*pending));
    uint64_t epoch = pending->epoch = ++engine->epoch;
    *clock_us = atomic_load(&engine->fill_clock_us);
    if (*clock_us == INT64_MIN)
        *clock_us = clock_now_us();
    engine->clock_us = *clock_us;
    *seed = random_u64();
    engine_log_tick(engine, pending, *clock_us, *seed, NULL, 0);
    engine_finish_tick(engine, pending);
    engine_drain(engine);
    return epoch;
}

struct replay {
    uint64_t epoch;
    int64_t clock_us;
    uint64_t seed;
    const struct txn_change *changes;
    uint32_t changes_count;
};

static void run_replay(struct engine *engine, void *ctx)
{
    struct replay *replay = ctx;
    struct tick tick = {.engine = engine, .epoch = replay->epoch, .clock_us = replay->clock_us};
    CHECK(replay->epoch > engine->epoch || replay->changes_count == 0);
    engine->epoch = replay->epoch;
    expire_caches(&tick);
    uint32_t parts_count;
    struct part *parts = make_parts(&tick, replay->changes, replay->changes_count, &parts_count);
    struct error ignored;
    for (uint32_t p = 0; p < parts_count; p++) {
        CHECK(apply_part(&tick, &parts[p], false, &ignored));
        if (parts[p].logged->rows > 0 || part_ends(&parts[p]) || parts[p].has_partition)
            feed_part(&tick, &parts[p]);
    }
    run_dataflows(&tick, replay->clock_us, replay->seed);
    CHECK(end_tick(&tick, NULL) == NULL);
    give_up_failed(engine);
    engine->wake_us = engine_next_due(engine);
    engine_published(engine);
    arena_reset(&engine->tick_arena);
}

void engine_replay(struct engine *engine, uint64_t epoch, int64_t clock_us, uint64_t seed,
                   const struct txn_change *changes, uint32_t changes_count)
{
    struct replay replay = {epoch, clock_us, seed, changes, changes_count};
    engine_command(engine, run_replay, &replay);
}
