/* memory_disk.h: a disk in memory (storage/disk/disk.h) that knows what is written and what is durable, fails on demand,
 * and loses power.
 *
 * Every operation that can fail has a number, from 1. A failed write has happened in part. A failed sync has made
 * some of it durable and forgets the rest: later syncs succeed without it, as Linux does it. Files that are used as memory
 * lie in the system's memory, and go when they are closed. */
#ifndef MILLRACE_TESTS_FAULT_MEMORY_DISK_H
#define MILLRACE_TESTS_FAULT_MEMORY_DISK_H

#include "storage/disk/disk.h"

enum disk_op {
    OP_READ = 1,
    OP_WRITE = 2,
    OP_SYNC = 4, /* of files and directories */
    OP_OPEN = 8,
    OP_TRUNCATE = 16,
    OP_REMOVE = 32,
    OP_RENAME = 64,
    OP_MAKE_DIR = 128,
    OP_RESERVE = 256, /* and the making of the files that it is for */
    OP_CHANGES = OP_WRITE | OP_SYNC | OP_TRUNCATE | OP_REMOVE | OP_RENAME | OP_MAKE_DIR,
    OP_ALL = 511,
};

struct memory_disk;

struct memory_disk *memory_disk_create(void);
void memory_disk_destroy(struct memory_disk *disk);
struct disk *memory_disk_door(struct memory_disk *disk);

/* Operations of these kinds are counted from now on, from 0. */
void memory_disk_count(struct memory_disk *disk, unsigned ops);
uint64_t memory_disk_counted(struct memory_disk *disk);
/* Operation number `at` (of those counted) fails with this errno, and those after it, `count` in all. 0: none. */
#define FAIL_LASTING UINT64_MAX
void memory_disk_fail(struct memory_disk *disk, uint64_t at, int code, uint64_t count);
/* Whether it has come to that. */
bool memory_disk_has_failed(struct memory_disk *disk);
/* The power goes at operation `at` (of those counted): it and all later ones fail until memory_disk_power_on. */
void memory_disk_cut(struct memory_disk *disk, uint64_t at);
bool memory_disk_is_cut(struct memory_disk *disk);

/* What happens with what was not durable at that moment. */
enum disk_loss {
    LOSS_NONE,    /* only the process died */
    LOSS_ALL,     /* nothing of it is there */
    LOSS_SECTORS, /* any sectors of 512 bytes, names and sizes of it are there, by seed */
    LOSS_PAGES,   /* the same with 4096 bytes */
};
/* With every file closed: the machine starts again. Also without a cut before: then it is cut now. */
void memory_disk_power_on(struct memory_disk *disk, enum disk_loss loss, uint64_t seed);

/* A copy of what is there, with everything durable. */
struct memory_disk *memory_disk_copy(struct memory_disk *disk);
/* Files, for bit flips and missing ones: *bytes of the i-th by name; NULL: there are no more. */
const char *memory_disk_file(struct memory_disk *disk, uint32_t i, uint8_t **bytes, uint64_t *len);
void memory_disk_delete(struct memory_disk *disk, const char *path);

#endif
