/* source_progress.c: see source_progress.h. */
#include "server/source_progress.h"

#include "server/source_parts.h"
#include "storage/base/clock.h"

#include <string.h>

static const struct sql_type types[PROGRESS_COLUMNS] = {
    [PROGRESS_PARTITION] = {OID_INT4, -1},
    [PROGRESS_NEXT_OFFSET] = {OID_INT8, -1},
    [PROGRESS_ACCEPTED] = {OID_INT8, -1},
    [PROGRESS_REJECTED] = {OID_INT8, -1},
    [PROGRESS_SKIPPED] = {OID_INT8, -1},
    [PROGRESS_ABSENT] = {OID_INT8, -1},
    [PROGRESS_LOST] = {OID_INT8, -1},
    [PROGRESS_LAST_OFFSET] = {OID_INT8, -1},
    [PROGRESS_LAST_TIMESTAMP] = {OID_TIMESTAMPTZ, -1},
    [PROGRESS_INCARNATION] = {OID_TEXT, -1},
    [PROGRESS_UPDATED] = {OID_TIMESTAMPTZ, -1},
};

struct batch *progress_batch(struct arena *arena, uint32_t rows)
{
    return batch_create(arena, types, PROGRESS_COLUMNS, rows);
}

void progress_append(struct batch *rows, const struct partition_progress *p, int64_t weight)
{
    struct datum values[PROGRESS_COLUMNS] = {
        [PROGRESS_PARTITION] = datum_i32(p->partition),
        [PROGRESS_NEXT_OFFSET] = datum_i64(p->next_offset),
        [PROGRESS_ACCEPTED] = datum_i64(p->accepted),
        [PROGRESS_REJECTED] = datum_i64(p->rejected),
        [PROGRESS_SKIPPED] = datum_i64(p->skipped),
        [PROGRESS_ABSENT] = datum_i64(p->absent),
        [PROGRESS_LOST] = datum_i64(p->lost),
        [PROGRESS_LAST_OFFSET] = p->last_offset >= 0 ? datum_i64(p->last_offset) : datum_null(),
        [PROGRESS_LAST_TIMESTAMP] =
            p->last_offset >= 0 && p->last_time_us != INT64_MIN ? datum_i64(p->last_time_us) : datum_null(),
        [PROGRESS_INCARNATION] = datum_text(rows->arena, p->incarnation, strlen(p->incarnation)),
        [PROGRESS_UPDATED] = datum_i64(p->updated_us),
    };
    batch_append_datums(rows, values, weight);
}

static int64_t value(const struct batch *rows, enum progress_column column, uint32_t row, int64_t none)
{
    return column_is_null(&rows->columns[column], row) ? none
                                                       : ((const int64_t *)rows->columns[column].data)[row];
}

void progress_read(struct server *server, struct relation *relation, struct arena *arena,
                   struct partition_progress **out, uint32_t *count)
{
    struct snapshots *snapshots = engine_snapshots(server->engine);
    uint64_t snapshot = snapshot_open(snapshots, 0);
    struct relation_scan scan;
    uint32_t cap = 0;
    *out = NULL;
    *count = 0;
    relation_scan_start(&scan, relation, snapshot, NULL);
    for (const struct batch *rows; (rows = relation_scan_next(&scan)) != NULL;) {
        for (uint32_t row = 0; row < rows->rows; row++) {
            struct datum incarnation = column_get(&rows->columns[PROGRESS_INCARNATION], row);
            struct partition_progress p = {
                .partition = ((const int32_t *)rows->columns[PROGRESS_PARTITION].data)[row],
                .next_offset = value(rows, PROGRESS_NEXT_OFFSET, row, 0),
                .accepted = value(rows, PROGRESS_ACCEPTED, row, 0),
                .rejected = value(rows, PROGRESS_REJECTED, row, 0),
                .skipped = value(rows, PROGRESS_SKIPPED, row, 0),
                .absent = value(rows, PROGRESS_ABSENT, row, 0),
                .lost = value(rows, PROGRESS_LOST, row, 0),
                .last_offset = value(rows, PROGRESS_LAST_OFFSET, row, -1),
                .last_time_us = value(rows, PROGRESS_LAST_TIMESTAMP, row, INT64_MIN),
                .incarnation =
                    arena_strndup(arena, (const char *)varlen_bytes(&incarnation.var), incarnation.var.len),
                .updated_us = value(rows, PROGRESS_UPDATED, row, 0),
            };
            ARENA_PUSH(arena, *out, *count, cap, p);
        }
    }
    relation_scan_end(&scan);
    snapshot_close(snapshots, snapshot);
}

struct partition_progress progress_at(const struct partition_position *position, const char *incarnation)
{
    return (struct partition_progress){.partition = position->partition,
                                       .next_offset = position->offset,
                                       .last_offset = -1,
                                       .last_time_us = INT64_MIN,
                                       .incarnation = incarnation,
                                       .updated_us = clock_now_us()};
}

struct partition_position progress_position(const struct partition_progress *p)
{
    return (struct partition_position){p->partition, p->next_offset, p->last_offset, p->last_time_us};
}
