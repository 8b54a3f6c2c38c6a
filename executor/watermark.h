/* watermark.h: how far a stream is complete (docs/event-time.md): judged row by row in the order of arrival.
 *
 * Per partition the greatest value of the declared expression so far; the stream's watermark is the lowest of
 * those of its live partitions, and never goes back (Akidau et al. 2015, section 2.3, for the idea; per-row
 * judgement is ours). Times are microseconds as in a timestamp. Engine's thread only. */
#ifndef MILLRACE_EXECUTOR_WATERMARK_H
#define MILLRACE_EXECUTOR_WATERMARK_H

#include "executor/relation.h"
#include "executor/rest_io.h"
#include "storage/state/saved_table.h"

struct watermark;

/* Copies the declaration; 0A000 when the expression cannot be compiled. types: of the relation's columns. */
MUST_CHECK
bool watermark_create(const struct watermark_desc *desc, const struct sql_type *types, uint32_t columns_count,
                      struct account *account, struct watermark **out, struct error *err);
void watermark_destroy(struct watermark *watermark);
int64_t watermark_value(const struct watermark *watermark);

/* By this clock: partitions that have been silent for too long are left out, and if all are, the watermark
 * may go on with the clock. Returns whether it moved. */
bool watermark_pass_time(struct watermark *watermark, int64_t clock_us);
/* The clock at which passing time moves the watermark to `target` or beyond it; INT64_MAX: never. */
int64_t watermark_reaches(const struct watermark *watermark, int64_t target);

/* What judging a batch has changed, for taking it back in reverse order. In the arena. */
struct watermark_undo;
/* Judges rows in order: watermarks[i] is the watermark before row i, which row i then moves. Values that are
 * NULL, infinite or an error move nothing. partition: of the source, that all rows come from; where the watermark is one
 * per such partition, rows without (NULL: clients insert them) move nothing either. */
void watermark_judge(struct watermark *watermark, const struct batch *rows, const int32_t *partition,
                     int64_t clock_us, int64_t *watermarks, struct arena *arena,
                     struct watermark_undo **undo);
/* Rows of this partition of the source are there to be read: it counts from now on, without a value so far. *undo as of
 * watermark_judge. */
void watermark_expect(struct watermark *watermark, int32_t partition, int64_t clock_us, struct arena *arena,
                      struct watermark_undo **undo);
/* No row comes any more: everything is complete. *undo as of watermark_judge. */
void watermark_end(struct watermark *watermark, struct arena *arena, struct watermark_undo **undo);
void watermark_take_back(struct watermark *watermark, const struct watermark_undo *undo);
/* Rows whose time is further ahead of the clock than allowed: writes their numbers to `rejected` (room for all
 * rows) and returns how many. */
uint32_t watermark_reject(struct watermark *watermark, const struct batch *rows, int64_t clock_us,
                          uint32_t *rejected);
void watermark_count_rejected(struct watermark *watermark, uint32_t rows);
/* column and text are those of the declaration; text lives as long as the watermark. */
void watermark_fill_stats(const struct watermark *watermark, struct watermark_stats *out);

/* What a checkpoint saves: a table of the partitions, if there are several, and some numbers. restore_rest comes when the
 * table is back. */
void watermark_saved(struct watermark *watermark, const char *name, struct saved_tables *out);
void watermark_save_rest(const struct watermark *watermark, struct strbuf *out);
void watermark_restore_rest(struct watermark *watermark, struct rest_reader *reader);

#endif
