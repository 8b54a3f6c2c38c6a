/* retention.h: which of a stream's rows are too old, or too many, to be kept: decided by the clocks of ticks, which are
 * logged, and by counts.
 *
 * Where rows ended is noted in marks: one per tick, but no more than some 256 per span of time (or number of rows) that is
 * kept. A mark's rows go together, when the last of them is old enough: a row stays up to 1/256 longer than it
 * must. Engine's thread only. */
#ifndef MILLRACE_EXECUTOR_RETENTION_H
#define MILLRACE_EXECUTOR_RETENTION_H

#include "executor/rest_io.h"

#include <stdint.h>

struct retention;

/* age_us 0: rows do not grow too old; rows 0: nor too many. */
struct retention *retention_create(int64_t age_us, uint64_t rows, uint32_t shards_count);
void retention_destroy(struct retention *retention);
/* By the end of a tick with this clock so many rows have come, ends[shard] of them to each shard. */
void retention_note(struct retention *retention, int64_t clock_us, uint64_t rows_seen, const uint64_t *ends);
/* Whether rows go at this clock: those below firsts[shard]. */
bool retention_pass(struct retention *retention, int64_t clock_us, uint64_t *firsts);
/* The clock at which rows go next, if none comes; INT64_MAX: none go. */
int64_t retention_due(const struct retention *retention);

void retention_save_rest(const struct retention *retention, struct strbuf *out);
void retention_restore_rest(struct retention *retention, struct rest_reader *reader);

#endif
