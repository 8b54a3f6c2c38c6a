/* source_progress.h: rows of a source's relation of progress (source_parts.h), one per partition. */
#ifndef MILLRACE_SERVER_SOURCE_PROGRESS_H
#define MILLRACE_SERVER_SOURCE_PROGRESS_H

#include "protocol/connector/partitioned.h"
#include "server/server.h"

struct partition_progress {
    int32_t partition;
    int64_t next_offset, accepted, rejected, skipped, absent, lost;
    int64_t last_offset; /* -1: none */
    int64_t last_time_us;
    const char *incarnation;
    int64_t updated_us;
};

/* A batch for so many rows. */
struct batch *progress_batch(struct arena *arena, uint32_t rows);
void progress_append(struct batch *rows, const struct partition_progress *progress, int64_t weight);
/* All rows as they are now, in no order; in the arena. */
void progress_read(struct server *server, struct relation *relation, struct arena *arena,
                   struct partition_progress **out, uint32_t *count);
/* A partition that nothing was read of. */
struct partition_progress progress_at(const struct partition_position *position, const char *incarnation);
struct partition_position progress_position(const struct partition_progress *progress);

#endif
