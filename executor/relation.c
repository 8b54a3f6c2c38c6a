/* relation.c: sharded storage of one relation, its scans and lookups, and its error rows. */
#include "executor/relation_internal.h"

#include "executor/cache.h"
#include "executor/dataflow.h"
#include "executor/kept_rows.h"
#include "executor/lookup_source.h"
#include "executor/outbox_internal.h"
#include "executor/workers.h"

#include <stdio.h>

static const struct sql_type error_types[RELATION_ERROR_COLUMNS] = {
    {OID_TEXT, -1}, {OID_TEXT, -1}, {OID_TEXT, -1}, {OID_TEXT, -1}};

static uint32_t *copy_columns(struct arena *arena, const uint32_t *columns, uint32_t count)
{
    return arena_copy(arena, columns, sizeof(*columns) * count);
}

/* missing NULL: they are the first. */
static const struct relation_shape *add_columns(struct arena *arena, const struct relation_shape *before,
                                                uint32_t count, const struct sql_type *types,
                                                const char *const *names, const struct datum *missing)
{
    struct relation_shape *shape = arena_copy(arena, before, sizeof(*before));
    uint32_t had = before->columns_count, total = had + count, had_added = had - before->base_count;
    struct sql_type *all = ARENA_ARRAY(arena, struct sql_type, total);
    struct datum *values = ARENA_ARRAY(arena, struct datum, missing != NULL ? had_added + count : 0);
    shape->columns_count = total;
    shape->column_names = ARENA_ARRAY(arena, char *, total);
    for (uint32_t i = 0; i < total; i++) {
        all[i] = i < had ? before->types[i] : types[i - had];
        shape->column_names[i] = i < had ? before->column_names[i]
                                         : arena_strdup(arena, names != NULL ? names[i - had] : "?column?");
    }
    for (uint32_t i = 0; missing != NULL && i < had_added + count; i++) {
        values[i] = i < had_added ? before->missing[i] : missing[i - had_added];
        if (i >= had_added && !values[i].is_null && type_phys(all[before->base_count + i].oid) == PHYS_VAR)
            values[i].var = varlen_copy(arena, varlen_bytes(&missing[i - had_added].var), values[i].var.len);
    }
    shape->types = all;
    shape->missing = values;
    return shape;
}

struct relation *relation_create(const struct relation_desc *desc, uint32_t shards_count,
                                 struct account *parent)
{
    struct relation *relation = mem_zalloc(sizeof(*relation));
    atomic_init(&relation->references, 1);
    arena_init(&relation->arena, NULL);
    relation->oid = desc->oid;
    relation->kind = desc->kind;
    relation->schema = arena_strdup(&relation->arena, desc->schema ? desc->schema : "public");
    relation->name = arena_strdup(&relation->arena, desc->name);
    account_init(&relation->account, parent,
                 desc->outbox != NULL ? arena_printf(&relation->arena, "sink \"%s\"", relation->name)
                 : desc->kind == RELATION_VIEW
                     ? arena_printf(&relation->arena, "materialized view \"%s\"", relation->name)
                     : relation->name,
                 desc->memory_limit_bytes);
    relation->account.is_state = true;
    uint32_t base_count = desc->base_count > 0 ? desc->base_count : desc->columns_count;
    const struct relation_shape none = {.base_count = base_count};
    const struct relation_shape *shape =
        add_columns(&relation->arena, &none, base_count, desc->types, desc->column_names, NULL);
    atomic_init(&relation->shape, shape);
    relation->key_count = desc->key_count;
    relation->key_columns = copy_columns(&relation->arena, desc->key_columns, desc->key_count);
    relation->key_name = arena_strdup(&relation->arena, desc->key_name ? desc->key_name : "");
    relation->append_only = desc->append_only && desc->key_count == 0;
    relation->only_grows = relation->append_only || desc->only_grows;
    if (desc->outbox != NULL) {
        CHECK(relation->append_only);
        struct outbox_desc *outbox = arena_copy(&relation->arena, desc->outbox, sizeof(*outbox));
        outbox->key = copy_columns(&relation->arena, outbox->key, outbox->key_count);
        relation->outbox = outbox;
    }
    relation->no_retention = relation->append_only && desc->no_retention;
    if (relation->append_only && !desc->no_retention && (desc->retention_us > 0 || desc->retention_rows > 0))
        relation->retention = retention_create(desc->retention_us, desc->retention_rows, shards_count);
    if (desc->key_count > 0) {
        relation->hash_columns = relation->key_columns;
        relation->hash_columns_count = relation->key_count;
    } else {
        relation->hash_columns = ARENA_ARRAY(&relation->arena, uint32_t, base_count);
        for (uint32_t i = 0; i < base_count; i++)
            relation->hash_columns[i] = i;
        relation->hash_columns_count = base_count;
    }
    relation->uniques_count = desc->unique_count;
    relation->uniques = ARENA_ARRAY(&relation->arena, struct unique_index, desc->unique_count);
    for (uint32_t i = 0; i < desc->unique_count; i++) {
        struct unique_index *unique = &relation->uniques[i];
        unique->name = arena_strdup(&relation->arena, desc->uniques[i].name);
        unique->columns_count = desc->uniques[i].columns_count;
        unique->columns = copy_columns(&relation->arena, desc->uniques[i].columns, unique->columns_count);
        struct sql_type *types = ARENA_ARRAY(&relation->arena, struct sql_type, unique->columns_count);
        for (uint32_t c = 0; c < unique->columns_count; c++)
            types[c] = desc->types[unique->columns[c]];
        unique->counts =
            hashed_table_create(types, unique->columns_count, sizeof(int64_t), &relation->account);
    }
    relation->has_watermark = desc->watermark.is_declared;
    relation->watermark_desc = desc->watermark;
    relation->watermark_desc.text =
        desc->watermark.text != NULL ? arena_strdup(&relation->arena, desc->watermark.text) : NULL;
    relation->watermark_desc.timezone =
        desc->watermark.timezone != NULL ? arena_strdup(&relation->arena, desc->watermark.timezone) : NULL;
    relation->watermark_desc.expression = NULL;
    relation->watermark_now = relation->watermark_previous = WATERMARK_NONE;
    relation->watermark_wake_us = INT64_MAX;
    relation->watermark_stats = (struct watermark_stats){.column = desc->watermark.column,
                                                         .text = relation->watermark_desc.text,
                                                         .watermark = WATERMARK_NONE,
                                                         .greatest = WATERMARK_NONE,
                                                         .last_row_us = WATERMARK_NONE};
    relation->shards_count = shards_count;
    uint32_t kept_columns = base_count + (relation_keeps_arrival(relation) ? ARRIVAL_COLUMNS : 0) +
                            (relation->outbox != NULL ? OUTBOX_COLUMNS : 0);
    struct sql_type *kept_types = ARENA_ARRAY(&relation->arena, struct sql_type, kept_columns);
    if (base_count > 0)
        memcpy(kept_types, desc->types, sizeof(*kept_types) * base_count);
    for (uint32_t i = base_count; i < kept_columns; i++)
        kept_types[i] = (struct sql_type){OID_INT8, -1};
    if (relation->outbox != NULL)
        outbox_types(&kept_types[base_count]);
    relation->stores = ARENA_ARRAY(&relation->arena, struct row_store *, shards_count);
    relation->segments = ARENA_ARRAY(&relation->arena, struct segments *, shards_count);
    for (uint32_t shard = 0; shard < shards_count; shard++) {
        if (relation->append_only)
            relation->segments[shard] = segments_create(kept_types, kept_columns, &relation->account);
        else
            relation->stores[shard] = row_store_create(desc->types, base_count, relation->key_columns,
                                                       relation->key_count, &relation->account);
    }
    if (desc->is_cache) {
        CHECK(desc->key_count > 0 && desc->columns_count > CACHE_COLUMNS);
        relation->lookup = lookup_source_create();
    }
    feed_init(&relation->feed, shards_count);
    pthread_mutex_init(&relation->lock, NULL);
    uint32_t added = desc->columns_count - base_count;
    for (uint32_t shard = 0; added > 0 && !relation->append_only && shard < shards_count; shard++)
        row_store_widen(relation->stores[shard], desc->types + base_count, added, desc->missing);
    if (added > 0)
        relation_widen(relation, added, desc->types + base_count, desc->column_names + base_count,
                       desc->missing);
    return relation;
}

void relation_widen(struct relation *relation, uint32_t count, const struct sql_type *types,
                    const char *const *names, const struct datum *missing)
{
    CHECK(relation->outbox == NULL && relation->lookup == NULL && relation->kind != RELATION_VIEW);
    for (uint32_t shard = 0; relation->append_only && shard < relation->shards_count; shard++)
        segments_widen(relation->segments[shard], types, count, missing);
    const struct relation_shape *shape =
        add_columns(&relation->arena, relation_shape(relation), count, types, names, missing);
    atomic_store_explicit(&relation->shape, shape, memory_order_release);
}

static void relation_destroy(struct relation *relation)
{
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        if (relation->segments[shard] != NULL)
            segments_destroy(relation->segments[shard]);
        if (relation->stores[shard] != NULL)
            row_store_destroy(relation->stores[shard]);
    }
    for (uint32_t i = 0; i < relation->uniques_count; i++)
        hashed_table_destroy(relation->uniques[i].counts);
    for (uint32_t i = 0; i < relation->indexes_count; i++) {
        mem_free(relation->indexes[i].columns);
        mem_free(relation->indexes[i].store_numbers);
    }
    mem_free(relation->indexes);
    if (relation->errors != NULL)
        hashed_table_destroy(relation->errors);
    watermark_destroy(relation->watermark);
    retention_destroy(relation->retention);
    relation_release(relation->late);
    cache_release(relation);
    kept_rows_destroy(relation->kept);
    lookup_source_destroy(relation->lookup);
    feed_release(&relation->feed);
    pthread_mutex_destroy(&relation->lock);
    arena_release(&relation->arena);
    mem_free(relation);
}

uint32_t relation_oid(const struct relation *relation)
{
    return relation->oid;
}

const char *relation_name(const struct relation *relation)
{
    return relation->name;
}

enum relation_kind relation_kind(const struct relation *relation)
{
    return relation->kind;
}

uint32_t relation_columns(const struct relation *relation, const struct sql_type **types)
{
    const struct relation_shape *shape = relation_shape(relation);
    if (types != NULL)
        *types = shape->types;
    return shape->columns_count;
}

const char *const *relation_column_names(const struct relation *relation)
{
    return (const char *const *)relation_shape(relation)->column_names;
}

uint32_t relation_base_columns(const struct relation *relation)
{
    return relation_shape(relation)->base_count;
}

const struct batch *relation_fit(const struct relation *relation, const struct batch *rows,
                                 uint32_t columns_count, struct arena *arena)
{
    const struct relation_shape *shape = relation_shape(relation);
    if (rows->columns_count == columns_count)
        return rows;
    CHECK(columns_count <= shape->columns_count && rows->columns_count >= shape->base_count);
    struct batch *fitted = batch_header(arena, columns_count);
    uint32_t shared = rows->columns_count < columns_count ? rows->columns_count : columns_count;
    fitted->rows = rows->rows;
    fitted->weights = rows->weights;
    fitted->watermarks = rows->watermarks;
    fitted->positions = rows->positions;
    if (shared > 0)
        memcpy(fitted->columns, rows->columns, sizeof(*fitted->columns) * shared);
    for (uint32_t c = shared; c < columns_count; c++) {
        column_init_constant(&fitted->columns[c], shape->types[c], &shape->missing[c - shape->base_count],
                             arena);
        column_expand(&fitted->columns[c], rows->rows, arena);
    }
    return fitted;
}

uint64_t relation_created_epoch(const struct relation *relation)
{
    return relation->created_epoch;
}

bool relation_is_append_only(const struct relation *relation)
{
    return relation->append_only;
}

bool relation_only_grows(const struct relation *relation)
{
    return relation->only_grows;
}

bool relation_has_failed(struct relation *relation, struct error *err)
{
    if (LIKELY(!atomic_load(&relation->failed)))
        return false;
    pthread_mutex_lock(&relation->lock);
    *err = relation->failure;
    pthread_mutex_unlock(&relation->lock);
    return true;
}

uint32_t relation_key(const struct relation *relation, const uint32_t **columns)
{
    if (columns != NULL)
        *columns = relation->key_columns;
    return relation->key_count;
}

struct lookup_source *relation_lookup_source(const struct relation *relation)
{
    return relation->lookup;
}

void relation_retain(struct relation *relation)
{
    atomic_fetch_add(&relation->references, 1);
}

void relation_release(struct relation *relation)
{
    if (relation != NULL && atomic_fetch_sub(&relation->references, 1) == 1)
        relation_destroy(relation);
}

void relation_begin_tick(struct relation *relation, uint64_t epoch)
{
    for (uint32_t shard = 0; shard < relation->shards_count && !relation->append_only; shard++)
        row_store_begin_tick(relation->stores[shard], epoch);
}

bool relation_trim(struct relation *relation, uint64_t oldest, uint64_t bytes_max)
{
    bool has_all = true;
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        if (relation->append_only)
            segments_trim(relation->segments[shard], oldest);
        else
            has_all &= row_store_trim(relation->stores[shard], oldest, bytes_max);
    }
    return has_all;
}

void relation_partition(const struct relation *relation, const struct batch *change, const uint64_t *hashes,
                        struct arena *arena, uint32_t **lists, uint32_t *counts)
{
    uint32_t shards_count = relation->shards_count;
    memset(counts, 0, sizeof(*counts) * shards_count);
    uint32_t *owners = arena_alloc(arena, sizeof(*owners) * change->rows);
    for (uint32_t row = 0; row < change->rows; row++) {
        uint32_t owner = shard_of_hash(hashes[row], shards_count);
        owners[row] = owner;
        counts[owner]++;
    }
    for (uint32_t shard = 0; shard < shards_count; shard++) {
        lists[shard] = arena_alloc(arena, sizeof(uint32_t) * counts[shard]);
        counts[shard] = 0;
    }
    for (uint32_t row = 0; row < change->rows; row++)
        lists[owners[row]][counts[owners[row]]++] = row;
}

void relation_row_text(const struct batch *rows, uint32_t row, const struct io_env *io, struct strbuf *out)
{
    for (uint32_t i = 0; i < rows->columns_count; i++) {
        strbuf_adds(out, i == 0 ? "(" : ",");
        if (!column_is_null(&rows->columns[i], row)) {
            struct datum value = column_get(&rows->columns[i], row);
            type_output(rows->columns[i].type.oid, &value, io, out);
        }
    }
    strbuf_adds(out, rows->columns_count == 0 ? "()" : ")");
}

/* ---- event time ---- */

void relation_append(struct relation *relation, uint32_t shard, const struct batch *rows, int64_t watermark,
                     uint64_t epoch)
{
    if (!relation_keeps_arrival(relation)) {
        segments_append(relation->segments[shard], rows, epoch);
        return;
    }
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *kept = batch_header(&arena, rows->columns_count + ARRIVAL_COLUMNS);
    uint32_t base = relation_shape(relation)->base_count, added = rows->columns_count - base;
    kept->rows = rows->rows;
    if (base > 0)
        memcpy(kept->columns, rows->columns, sizeof(struct column) * base);
    struct column *arrival = &kept->columns[base]; /* columns that were added come behind */
    if (added > 0)
        memcpy(arrival + ARRIVAL_COLUMNS, rows->columns + base, sizeof(struct column) * added);
    struct sql_type int8 = {OID_INT8, -1};
    if (rows->watermarks != NULL) {
        arrival[0] = (struct column){.type = int8, .phys = PHYS_I64, .data = (void *)rows->watermarks};
        arrival[1] = (struct column){.type = int8, .phys = PHYS_I64, .data = (void *)rows->positions};
    } else {
        for (uint32_t i = 0; i < ARRIVAL_COLUMNS; i++)
            column_init(&arrival[i], int8, rows->rows, &arena);
        int64_t *watermarks = arrival[0].data, *positions = arrival[1].data;
        uint64_t first = segments_rows(relation->segments[shard]);
        for (uint32_t i = 0; i < rows->rows; i++) {
            watermarks[i] = watermark;
            positions[i] = (int64_t)(first + i);
        }
    }
    segments_append(relation->segments[shard], kept, epoch);
    arena_release(&arena);
}

void relation_set_watermark(struct relation *relation, uint64_t epoch, int64_t value)
{
    if (relation->watermark_epoch != epoch) {
        relation->watermark_epoch = epoch;
        relation->watermark_previous = relation->watermark_now;
    }
    if (value <= relation->watermark_now)
        return;
    relation->watermark_now = value;
}

void relation_publish_watermark(struct relation *relation)
{
    struct watermark_stats stats = relation->watermark_stats;
    if (relation->watermark != NULL)
        watermark_fill_stats(relation->watermark, &stats);
    stats.watermark = relation->watermark_now;
    stats.text = relation->watermark_desc.text;
    pthread_mutex_lock(&relation->lock);
    relation->watermark_stats = stats;
    pthread_mutex_unlock(&relation->lock);
}

bool relation_event_time(const struct relation *relation, uint32_t *column, bool *is_bounded)
{
    *column = relation->watermark_desc.column;
    *is_bounded = relation->watermark_desc.is_bounded;
    return relation->has_watermark;
}

bool relation_watermark(struct relation *relation, struct watermark_stats *out)
{
    if (!relation->has_watermark)
        return false;
    pthread_mutex_lock(&relation->lock);
    *out = relation->watermark_stats;
    pthread_mutex_unlock(&relation->lock);
    return true;
}

struct relation *relation_late_rows(const struct relation *relation)
{
    return relation->late;
}

void relation_late_counts(const struct relation *relation, uint64_t *judged, uint64_t *late)
{
    *judged = atomic_load(&relation->judged_count);
    *late = atomic_load(&relation->late_count);
}

/* ---- scans ---- */

void relation_scan_start(struct relation_scan *scan, struct relation *relation, uint64_t snapshot,
                         struct account *account)
{
    *scan =
        (struct relation_scan){.relation = relation, .shape = relation_shape(relation), .snapshot = snapshot};
    arena_init(&scan->arena, account);
}

/* The arrival of rows lies between the columns of the start and those that were added. */
static void take_arrival(const struct relation_scan *scan)
{
    uint32_t base = scan->shape->base_count, added = scan->shape->columns_count - base;
    struct column *columns = scan->batch->columns;
    scan->batch->columns_count = scan->shape->columns_count;
    scan->batch->watermarks = columns[base].data;
    scan->batch->positions = columns[base + 1].data;
    memmove(columns + base, columns + base + ARRIVAL_COLUMNS, sizeof(*columns) * added);
}

const struct batch *relation_scan_next(struct relation_scan *scan)
{
    struct relation *relation = scan->relation;
    const struct relation_shape *shape = scan->shape;
    uint32_t stored = shape->columns_count + (relation_keeps_arrival(relation) ? ARRIVAL_COLUMNS : 0);
    for (; scan->shard < relation->shards_count; scan->shard++, scan->cursor = 0) {
        if (relation->append_only) {
            if (scan->batch == NULL)
                scan->batch = batch_header(&scan->arena, stored);
            if (!segments_scan(relation->segments[scan->shard], scan->snapshot, &scan->cursor,
                               scan->batch->columns, stored, scan->batch))
                continue;
            if (relation_keeps_arrival(relation))
                take_arrival(scan);
            return scan->batch;
        }
        while (scan->cursor != UINT64_MAX) {
            arena_reset(&scan->arena);
            scan->batch = batch_create(&scan->arena, shape->types, shape->columns_count, BATCH_ROWS_MAX);
            if (!row_store_scan(relation->stores[scan->shard], scan->snapshot, &scan->cursor, BATCH_ROWS_MAX,
                                scan->batch))
                scan->cursor = UINT64_MAX;
            if (scan->batch->rows > 0)
                return scan->batch;
        }
    }
    return NULL;
}

void relation_scan_end(struct relation_scan *scan)
{
    arena_release(&scan->arena);
}

/* false: the index is not, or no longer, one over these columns. */
static bool lookup_by_index(struct relation *relation, uint32_t index, const uint32_t *columns,
                            uint64_t snapshot, const struct batch *keys, const uint32_t *identity,
                            struct batch *out)
{
    uint32_t numbers[SHARDS_MAX];
    uint64_t serial = 0;
    uint32_t rows_before = out->rows;
    for (int after = 0; after < 2; after++) {
        pthread_mutex_lock(&relation->lock);
        const struct relation_index *entry =
            index < relation->indexes_count ? &relation->indexes[index] : NULL;
        bool same = entry != NULL && entry->used && (!after || entry->serial == serial) &&
                    entry->columns_count == keys->columns_count &&
                    memcmp(entry->columns, columns, sizeof(*columns) * entry->columns_count) == 0;
        if (same) {
            serial = entry->serial;
            memcpy(numbers, entry->store_numbers, sizeof(*numbers) * relation->shards_count);
        }
        pthread_mutex_unlock(&relation->lock);
        if (!same) {
            out->rows = rows_before;
            return false;
        }
        for (uint32_t shard = 0; !after && shard < relation->shards_count; shard++)
            row_store_index_lookup(relation->stores[shard], numbers[shard], snapshot, keys, identity, out);
    }
    return true;
}

static void lookup_by_scan(struct relation *relation, const uint32_t *columns, uint64_t snapshot,
                           const struct batch *keys, const uint32_t *identity, struct batch *out)
{
    struct relation_scan scan;
    relation_scan_start(&scan, relation, snapshot, NULL);
    const struct batch *rows;
    while ((rows = relation_scan_next(&scan)) != NULL) {
        for (uint32_t row = 0; row < rows->rows; row++) {
            uint32_t key = 0;
            while (key < keys->rows &&
                   !batch_rows_equal(rows, row, columns, keys, key, identity, keys->columns_count))
                key++;
            if (key < keys->rows)
                batch_append_range(out, rows, row, 1, 1);
        }
    }
    relation_scan_end(&scan);
}

void relation_lookup(struct relation *relation, int32_t index, const uint32_t *columns, uint64_t snapshot,
                     const struct batch *keys, struct batch *out)
{
    if (keys->rows == 0)
        return;
    struct arena arena;
    arena_init(&arena, NULL);
    uint32_t identity[COLUMNS_MAX];
    for (uint32_t i = 0; i < keys->columns_count; i++)
        identity[i] = i;
    if (index < 0) {
        uint64_t *hashes = arena_alloc(&arena, sizeof(*hashes) * keys->rows);
        batch_hash(keys, identity, keys->columns_count, hashes);
        for (uint32_t row = 0; row < keys->rows; row++) {
            struct batch *one = batch_slice(&arena, keys, row, 1);
            uint32_t shard = shard_of_hash(hashes[row], relation->shards_count);
            row_store_lookup(relation->stores[shard], snapshot, one, identity, &hashes[row], out);
        }
    } else if (!lookup_by_index(relation, (uint32_t)index, columns, snapshot, keys, identity, out)) {
        lookup_by_scan(relation, columns, snapshot, keys, identity, out);
    }
    arena_release(&arena);
}

/* ---- statistics and errors ---- */

void relation_stats(struct relation *relation, struct relation_stats *out)
{
    *out = (struct relation_stats){.last_epoch = atomic_load(&relation->last_epoch),
                                   .errors = atomic_load(&relation->errors_count),
                                   .rows_seen = atomic_load(&relation->rows_seen)};
    for (uint32_t shard = 0; shard < relation->shards_count; shard++) {
        if (relation->append_only) {
            out->rows += segments_rows(relation->segments[shard]) - segments_first(relation->segments[shard]);
            out->bytes += segments_bytes(relation->segments[shard]);
        } else {
            out->rows += row_store_rows(relation->stores[shard]);
            out->bytes += row_store_bytes(relation->stores[shard]);
        }
    }
    pthread_mutex_lock(&relation->lock);
    if (relation->dataflow != NULL)
        dataflow_stats(relation->dataflow, out);
    pthread_mutex_unlock(&relation->lock);
}

void relation_need_errors(struct relation *relation)
{
    if (relation->errors != NULL) /* only this thread sets it */
        return;
    struct hashed_table *errors =
        hashed_table_create(error_types, RELATION_ERROR_COLUMNS, sizeof(int64_t), &relation->account);
    pthread_mutex_lock(&relation->lock);
    relation->errors = errors;
    pthread_mutex_unlock(&relation->lock);
}

void relation_add_error(struct relation *relation, const char *op_name, const char *sqlstate,
                        const char *message, const char *row, int64_t weight)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *batch = batch_create(&arena, error_types, 4, 1);
    const char *texts[4] = {op_name, sqlstate, message, row};
    struct datum values[4];
    for (uint32_t i = 0; i < 4; i++)
        values[i] = datum_text(&arena, texts[i], strlen(texts[i]));
    batch_append_datums(batch, values, 1);
    static const uint32_t columns[4] = {0, 1, 2, 3};
    uint64_t hash;
    batch_hash(batch, columns, 4, &hash);
    relation_need_errors(relation);
    pthread_mutex_lock(&relation->lock);
    uint32_t slot;
    uint8_t inserted;
    hashed_table_upsert(relation->errors, batch, columns, &hash, &slot, &inserted);
    int64_t *count = hashed_table_payload(relation->errors, slot);
    *count += weight;
    if (*count == 0)
        hashed_table_remove(relation->errors, slot);
    atomic_fetch_add(&relation->errors_count, (uint64_t)weight);
    pthread_mutex_unlock(&relation->lock);
    arena_release(&arena);
}

void relation_errors(struct relation *relation, relation_error_fn visit, void *ctx)
{
    pthread_mutex_lock(&relation->lock);
    if (relation->errors != NULL) {
        struct arena arena;
        arena_init(&arena, NULL);
        uint32_t cursor = 0, slot;
        while ((slot = hashed_table_next(relation->errors, &cursor)) != SLOT_NONE) {
            struct column columns[4];
            char *texts[4];
            hashed_table_gather_keys(relation->errors, &slot, 1, columns, &arena);
            for (uint32_t i = 0; i < 4; i++) {
                struct datum value = column_get(&columns[i], 0);
                texts[i] = arena_strndup(&arena, (const char *)varlen_bytes(&value.var), value.var.len);
            }
            int64_t weight = *(int64_t *)hashed_table_payload(relation->errors, slot);
            if (!visit(ctx, texts[1], texts[2], texts[3], texts[0], weight))
                break;
        }
        arena_release(&arena);
    }
    pthread_mutex_unlock(&relation->lock);
}

void relation_operators(struct relation *relation, relation_operator_fn visit, void *ctx)
{
    pthread_mutex_lock(&relation->lock);
    if (relation->dataflow != NULL)
        dataflow_operators(relation->dataflow, visit, ctx);
    pthread_mutex_unlock(&relation->lock);
}
