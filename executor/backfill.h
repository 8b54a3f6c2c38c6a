/* backfill.h: a new view is filled from old data while its inputs go on.
 *
 * At a tick boundary the engine takes an empty tick for the view, whose epoch is where its contents start; a snapshot
 * of that epoch is pinned, and from then on the engine records every tick for the view: its epoch, clock and seed, and
 * what it did to the relations that the view reads. The thread that wants the view runs the initial tick over the
 * snapshot, then the recorded ticks one by one, in arrangements and in a relation that nobody else sees. When few are
 * left, the engine's thread runs them between two ticks and publishes the dataflow: it is then as if it had been there
 * all the time. So it is what a restart makes of it: filled at that epoch, then run by every tick since. Checkpoints that are
 * made meanwhile know nothing of it, and take away the log that a restart would need for that: see
 * engine_checkpoint_lacks.
 *
 * Recorded ticks that wait are bounded in bytes: beyond, the engine takes no transaction before the view has run some
 * (the same holds for a view that does not come nearer: it would hold up every tick once it lives). What is done for a
 * view that comes to nothing leaves no trace but the empty tick. */
#ifndef MILLRACE_EXECUTOR_BACKFILL_H
#define MILLRACE_EXECUTOR_BACKFILL_H

#include <stdint.h>

struct engine;

/* Engine's thread, when all dataflows of a tick have run and their feeds still stand. */
void backfill_record(struct engine *engine, uint64_t epoch, int64_t clock_us, uint64_t seed);

#endif
