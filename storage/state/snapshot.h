/* snapshot.h: which epochs somebody is reading.
 *
 * One registry per server. A reader opens the newest visible epoch, reads any number of tables at it, closes
 * it. Writers of versioned tables ask for the oldest open epoch to know which before-images may go. A mutex
 * inside, held for a few instructions; snapshots are opened per statement, not per row. Any thread. */
#ifndef MILLRACE_STATE_SNAPSHOT_H
#define MILLRACE_STATE_SNAPSHOT_H

#include <stdint.h>

struct snapshots;

struct snapshots *snapshots_create(void);
void snapshots_destroy(struct snapshots *set);
/* The engine makes `epoch` the newest that readers may open. Never goes back. */
void snapshots_publish(struct snapshots *set, uint64_t epoch);
uint64_t snapshots_visible(struct snapshots *set);
/* Registers a reader of the newest visible epoch and returns it; blocks until an epoch >= at_least is
 * visible. */
uint64_t snapshot_open(struct snapshots *set, uint64_t at_least);
void snapshot_close(struct snapshots *set, uint64_t epoch);
/* The oldest epoch that is open or could still be opened (the visible one). Before-images that only older
 * snapshots could need may be dropped. */
uint64_t snapshots_oldest(struct snapshots *set);
/* Waits until epoch >= at_least is visible or deadline_ns (clock_monotonic_ns; 0 none) passed; false on the
 * latter. */
_Bool snapshots_wait(struct snapshots *set, uint64_t at_least, int64_t deadline_ns);

#endif
