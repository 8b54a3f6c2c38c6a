/* disk_wal.h: a WAL that is not damaged. SQLite takes the first frame that does not fit for the end, since that is what a
 * crash leaves; so a flipped bit would silently take away what was committed after it. A mark beside the WAL (its path
 * with "-mark") says up to where it was durable once: before that nothing may be wrong.
 *
 * The mark is written after the sync, and not synced itself: it may be older than the WAL, which is harmless, never newer.
 * Not needed to open a database. */
#ifndef MILLRACE_DISK_DISK_WAL_H
#define MILLRACE_DISK_DISK_WAL_H

#include "storage/disk/disk.h"

/* Follows one open WAL. One thread at a time. Functions return 0 or an errno value. */
struct wal_mark {
    char *path;
    struct disk_file *file; /* NULL: not opened yet */
    uint32_t page_bytes;    /* 0: no header yet */
    uint8_t salt[8];
    uint64_t committed; /* end of the last commit's last frame */
    uint64_t marked;    /* as the mark says */
};

void wal_mark_open(struct wal_mark *mark, const char *wal_path);
void wal_mark_close(struct wal_mark *mark);
/* Before a write, which it looks at. */
int wal_mark_write(struct wal_mark *mark, const void *data, size_t bytes, uint64_t offset);
/* After a sync that has succeeded. */
void wal_mark_synced(struct wal_mark *mark);
/* Before the WAL is cut off, which happens when all of it is in the database. */
int wal_mark_cut(struct wal_mark *mark, uint64_t bytes);
/* Before the WAL at this path is removed: it holds nothing any more. Durable. */
int wal_mark_clear(const char *wal_path);

/* For opening: reads the WAL, writes the same bytes again and syncs them, since what is read must be durable (after a
 * failed sync, or when only the process died, the system may show what the disk has not). XX001 when something is
 * wrong or missing before its mark. */
MUST_CHECK
bool wal_settle(const char *wal_path, struct error *err);

#endif
