/* relation_saved.c: see relation_saved.h. */
#include "executor/relation_saved.h"

#include "executor/rest_io.h"

#include <stdio.h>

#define ERRORS_VERSION 1u
#define REST_VERSION   1u

/* ---- error rows: operator, sqlstate, message, row; how often ---- */

static const uint32_t error_columns[RELATION_ERROR_COLUMNS] = {0, 1, 2, 3};
static const struct sql_type saved_error_types[RELATION_ERROR_COLUMNS + 1] = {
    {OID_TEXT, -1}, {OID_TEXT, -1}, {OID_TEXT, -1}, {OID_TEXT, -1}, {OID_INT8, -1}};

static void gather_errors(void *of, const uint32_t *slots, uint32_t count, struct column *out,
                          struct arena *arena)
{
    struct hashed_table *errors = of;
    hashed_table_gather_keys(errors, slots, count, out, arena);
    struct column *weights = &out[RELATION_ERROR_COLUMNS];
    column_init(weights, (struct sql_type){OID_INT8, -1}, count, arena);
    for (uint32_t i = 0; i < count; i++)
        ((int64_t *)weights->data)[i] = *(int64_t *)hashed_table_payload(errors, slots[i]);
}

static bool restore_errors(void *of, const uint32_t *slots, const struct batch *rows, uint32_t version,
                           struct error *err)
{
    struct hashed_table *errors = of;
    if (version != ERRORS_VERSION || rows->columns_count != RELATION_ERROR_COLUMNS + 1)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "saved error rows are not of this form");
    uint64_t *hashes = mem_alloc(sizeof(*hashes) * rows->rows);
    batch_hash(rows, error_columns, RELATION_ERROR_COLUMNS, hashes);
    const int64_t *weights = rows->columns[RELATION_ERROR_COLUMNS].data;
    bool ok = true;
    for (uint32_t i = 0; ok && i < rows->rows; i++) {
        ok = slots[i] < hashed_table_slots(errors)->used;
        if (!ok) {
            error_set(err, ERRCODE_DATA_CORRUPTED, "a saved error row has the number %u", slots[i]);
            break;
        }
        hashed_table_restore(errors, slots[i], rows, i, error_columns, hashes);
        *(int64_t *)hashed_table_payload(errors, slots[i]) = weights[i];
    }
    mem_free(hashes);
    return ok;
}

static void count_errors(struct relation *relation)
{
    if (relation->errors == NULL)
        return;
    uint32_t cursor = 0, slot;
    uint64_t count = 0;
    while ((slot = hashed_table_next(relation->errors, &cursor)) != SLOT_NONE)
        count += (uint64_t) * (int64_t *)hashed_table_payload(relation->errors, slot);
    atomic_store(&relation->errors_count, count);
}

/* ---- tables ---- */

void relation_saved_tables(struct relation *relation, uint32_t shard, struct saved_tables *out)
{
    if (relation->append_only)
        segments_saved(relation->segments[shard], "rows", out);
    else
        row_store_saved(relation->stores[shard], "rows", out);
    out->items[out->count - 1].spread_by = relation->hash_columns;
    out->items[out->count - 1].spread_by_count = relation->hash_columns_count;
    if (shard != 0)
        return;
    relation_need_errors(relation);
    saved_tables_add(out, (struct saved_table){.name = "errors",
                                               .version = ERRORS_VERSION,
                                               .columns_count = RELATION_ERROR_COLUMNS + 1,
                                               .types = saved_error_types,
                                               .of = relation->errors,
                                               .slots = hashed_table_slots(relation->errors),
                                               .gather = gather_errors,
                                               .restore = restore_errors});
    if (relation->watermark != NULL)
        watermark_saved(relation->watermark, "watermark", out);
}

/* ---- the rest ---- */

static void save_failure(struct relation *relation, struct strbuf *out)
{
    rest_add(out, atomic_load(&relation->failed));
    if (!atomic_load(&relation->failed))
        return;
    rest_add(out, relation->failure.code);
    rest_add_text(out, relation->failure.message);
    rest_add_text(out, relation->failure.detail);
    rest_add_text(out, relation->failure.hint);
}

static void restore_failure(struct relation *relation, struct rest_reader *reader)
{
    if (rest_take(reader) == 0)
        return;
    struct error *failure = &relation->failure;
    error_init(failure);
    failure->code = (enum error_code)rest_take(reader);
    rest_take_text(reader, failure->message, sizeof(failure->message));
    rest_take_text(reader, failure->detail, sizeof(failure->detail));
    rest_take_text(reader, failure->hint, sizeof(failure->hint));
    atomic_store(&relation->failed, true);
}

void relation_save_rest(struct relation *relation, struct strbuf *out)
{
    rest_add(out, REST_VERSION);
    rest_add(out, atomic_load(&relation->rows_seen));
    rest_add(out, atomic_load(&relation->last_epoch));
    rest_add(out, relation->created_epoch);
    rest_add(out, atomic_load(&relation->judged_count));
    rest_add(out, atomic_load(&relation->late_count));
    rest_add(out, (uint64_t)relation->watermark_now);
    rest_add(out, (uint64_t)relation->watermark_previous);
    rest_add(out, relation->watermark_epoch);
    save_failure(relation, out);
    for (uint32_t shard = 0; relation->append_only && shard < relation->shards_count; shard++) {
        rest_add(out, segments_first(relation->segments[shard]));
        rest_add(out, segments_rows(relation->segments[shard]));
    }
    if (relation->watermark != NULL)
        watermark_save_rest(relation->watermark, out);
    if (relation->retention != NULL)
        retention_save_rest(relation->retention, out);
}

/* The same when they have been spread over another number of shards: their number must be right. */
static bool restore_moved_bounds(const struct relation *relation, struct rest_reader *reader,
                                 uint32_t saved_shards, struct error *err)
{
    uint64_t expected = 0, found = 0;
    for (uint32_t shard = 0; shard < saved_shards; shard++) {
        uint64_t first = rest_take(reader);
        expected += rest_take(reader) - first;
    }
    for (uint32_t shard = 0; shard < relation->shards_count; shard++)
        found += segments_rows(relation->segments[shard]);
    return expected == found ||
           error_set(err, ERRCODE_DATA_CORRUPTED, "of %llu rows of \"%s\" %llu are there",
                     (unsigned long long)expected, relation->name, (unsigned long long)found);
}

/* Whether the rows of an append-only relation are back; those before its first may be among them. */
static bool restore_bounds(struct relation *relation, struct rest_reader *reader, uint32_t saved_shards,
                           struct error *err)
{
    if (relation->append_only && saved_shards != relation->shards_count)
        return restore_moved_bounds(relation, reader, saved_shards, err);
    for (uint32_t shard = 0; relation->append_only && shard < relation->shards_count; shard++) {
        struct segments *segments = relation->segments[shard];
        uint64_t first = rest_take(reader), end = rest_take(reader);
        if (first > end)
            return error_set(err, ERRCODE_DATA_CORRUPTED, "rows of \"%s\" were saved without an order",
                             relation->name);
        if (first == end && segments_rows(segments) == 0)
            segments_begin(segments, end);
        if (segments_rows(segments) != end || segments_first(segments) > first)
            return error_set(err, ERRCODE_DATA_CORRUPTED, "rows %llu to %llu of \"%s\" are not all there",
                             (unsigned long long)first, (unsigned long long)end, relation->name);
        segments_drop(segments, first, 0);
    }
    return true;
}

/* Adds a batch to a UNIQUE constraint's counts. */
static void count_values(struct unique_index *unique, const struct batch *rows, struct arena *arena)
{
    uint32_t *kept = arena_alloc(arena, sizeof(*kept) * rows->rows), count = 0;
    for (uint32_t row = 0; row < rows->rows; row++) {
        bool has_null = false;
        for (uint32_t c = 0; c < unique->columns_count; c++)
            has_null |= column_is_null(&rows->columns[unique->columns[c]], row);
        kept[count] = row;
        count += !has_null;
    }
    struct batch *values = batch_header(arena, unique->columns_count);
    uint32_t *columns = arena_alloc(arena, sizeof(*columns) * unique->columns_count);
    values->rows = count;
    for (uint32_t c = 0; c < unique->columns_count; c++) {
        columns[c] = c;
        if (count == rows->rows)
            values->columns[c] = rows->columns[unique->columns[c]];
        else
            column_gather(&values->columns[c], &rows->columns[unique->columns[c]], kept, count, arena);
    }
    uint64_t *hashes = arena_alloc(arena, sizeof(*hashes) * (count + 1));
    uint32_t *slots = arena_alloc(arena, sizeof(*slots) * (count + 1));
    uint8_t *inserted = arena_alloc(arena, count + 1);
    batch_hash(values, columns, unique->columns_count, hashes);
    hashed_table_upsert(unique->counts, values, columns, hashes, slots, inserted);
    for (uint32_t i = 0; i < count; i++)
        *(int64_t *)hashed_table_payload(unique->counts, slots[i]) += batch_weight(rows, kept[i]);
}

static void count_uniques(struct relation *relation)
{
    if (relation->uniques_count == 0)
        return;
    struct relation_scan scan;
    struct arena arena;
    arena_init(&arena, NULL);
    relation_scan_start(&scan, relation, UINT64_MAX - 1, NULL);
    const struct batch *rows;
    while ((rows = relation_scan_next(&scan)) != NULL) {
        for (uint32_t i = 0; i < relation->uniques_count; i++)
            count_values(&relation->uniques[i], rows, &arena);
        arena_reset(&arena);
    }
    relation_scan_end(&scan);
    arena_release(&arena);
}

bool relation_restore_rest(struct relation *relation, const void *rest, size_t rest_bytes,
                           uint32_t saved_shards, struct error *err)
{
    if (rest_bytes == 0)
        return true;
    struct rest_reader reader = rest_open(rest, rest_bytes);
    if (rest_take(&reader) != REST_VERSION)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "what was saved of \"%s\" is not of this form",
                         relation->name);
    atomic_store(&relation->rows_seen, rest_take(&reader));
    atomic_store(&relation->last_epoch, rest_take(&reader));
    relation->created_epoch = rest_take(&reader);
    atomic_store(&relation->judged_count, rest_take(&reader));
    atomic_store(&relation->late_count, rest_take(&reader));
    relation->watermark_now = (int64_t)rest_take(&reader);
    relation->watermark_previous = (int64_t)rest_take(&reader);
    relation->watermark_epoch = rest_take(&reader);
    restore_failure(relation, &reader);
    if (!restore_bounds(relation, &reader, saved_shards, err))
        return false;
    if (relation->watermark != NULL)
        watermark_restore_rest(relation->watermark, &reader);
    if (relation->retention != NULL)
        retention_restore_rest(relation->retention, &reader);
    if (!rest_close(&reader, err))
        return false;
    count_errors(relation);
    for (uint32_t shard = 0; !relation->append_only && shard < relation->shards_count; shard++)
        row_store_restore_end(relation->stores[shard]);
    count_uniques(relation);
    if (relation->has_watermark)
        relation_publish_watermark(relation);
    return true;
}
