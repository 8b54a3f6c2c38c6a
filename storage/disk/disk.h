/* disk.h: the one door to disk. Whatever touches the data directory goes through the table of functions here: SQLite's
 * files (through the VFS "millrace", disk_vfs.c), the lock, directories, backups, spilled state. The table in use can
 * be replaced before anything is opened, so that a test can put a disk in memory, or a failing one, below a whole
 * server.
 *
 * Any thread; one file may be used by several threads at once where it says so. */
#ifndef MILLRACE_DISK_DISK_H
#define MILLRACE_DISK_DISK_H

#include "storage/base/error.h"

#include <stddef.h>

struct disk;

/* An open file; implementations put their own behind it. */
struct disk_file {
    struct disk *disk;
};

enum disk_open {
    DISK_READ = 0,           /* must exist, only reading */
    DISK_WRITE = 1,          /* reading and writing */
    DISK_CREATE = 2,         /* is made when it is not there; with DISK_WRITE */
    DISK_EXCLUSIVE = 4,      /* with DISK_CREATE: must not exist (EEXIST) */
    DISK_DELETE_ON_CLOSE = 8 /* nobody else needs its name */
};

struct disk_info {
    bool is_dir;
    uint64_t bytes; /* of a file */
};

/* Each function returns 0 or an errno value and has done nothing then, unless it says more. */
struct disk {
    int (*open)(struct disk *disk, const char *path, unsigned flags, struct disk_file **out);
    void (*close)(struct disk_file *file);
    /* *got < bytes only at the end of the file. Reads and writes of several threads at once are fine. */
    int (*read)(struct disk_file *file, void *data, size_t bytes, uint64_t offset, size_t *got);
    /* All or an error, after which the range's contents are unknown. */
    int (*write)(struct disk_file *file, const void *data, size_t bytes, uint64_t offset);
    /* Contents and size are durable. After an error what was written since the last sync may be there or not, and a
     * second sync that succeeds says nothing about it: write it again. */
    int (*sync)(struct disk_file *file);
    int (*truncate)(struct disk_file *file, uint64_t bytes);
    int (*size)(struct disk_file *file, uint64_t *bytes);
    /* Until close or the end of the process, however it ends; EAGAIN: another holder, also of this process. */
    int (*lock)(struct disk_file *file);

    /* What state goes to under a memory limit (storage/state/state_memory.h): a file without a name in `dir`, empty, which
     * is used as memory. */
    int (*open_unnamed)(struct disk *disk, const char *dir, struct disk_file **out);
    /* [offset, offset + bytes) of the file as memory, shared with it: at `at`, in place of what is mapped there, or
     * where there is room (NULL). Multiples of the page size. Unmapped with munmap. */
    int (*map)(struct disk_file *file, void *at, uint64_t bytes, uint64_t offset, void **out);
    /* The range has its space on the disk from now on, so that touching it cannot fail for want of that. */
    int (*reserve)(struct disk_file *file, uint64_t offset, uint64_t bytes);
    /* The range's space goes back, and it is zero. EOPNOTSUPP: not on this file system. */
    int (*release)(struct disk_file *file, uint64_t offset, uint64_t bytes);
    /* What has changed in the range through memory begins to be written; nobody waits for it. Errors: see `lost`. */
    void (*write_out)(struct disk_file *file, uint64_t offset, uint64_t bytes);
    /* Not 0: of what was changed through memory something could not be written since the last call, so that a page may
     * be an old one when it comes back (EIO, ENOSPC), or the file has become shorter than `bytes` (ENODATA). Waits for
     * nothing. One thread at a time. */
    int (*lost)(struct disk_file *file, uint64_t bytes);

    int (*make_dir)(struct disk *disk, const char *path); /* EEXIST */
    /* Names made, renamed and removed in it are durable. */
    int (*sync_dir)(struct disk *disk, const char *path);
    int (*remove)(struct disk *disk, const char *path);                 /* a file or an empty directory */
    int (*rename)(struct disk *disk, const char *from, const char *to); /* replaces `to` */
    int (*info)(struct disk *disk, const char *path, struct disk_info *out); /* ENOENT */
    /* Bytes that can still be written in the file system of `path`, and its size. */
    int (*space)(struct disk *disk, const char *path, uint64_t *free_bytes, uint64_t *all_bytes);
    /* Names in no order, without "." and ".."; stops at false. */
    int (*list)(struct disk *disk, const char *path, bool (*visit)(void *ctx, const char *name), void *ctx);
};

/* The operating system's, until another is put in its place (NULL: back again). Not while anything is open. */
struct disk *disk_current(void);
void disk_use(struct disk *disk);
struct disk *disk_posix(void);

/* The same with an error that names the path: 53100 where there is no space left, 58030 else. */
MUST_CHECK
bool disk_open(const char *path, unsigned flags, struct disk_file **out, struct error *err);
void disk_close(struct disk_file *file); /* NULL: nothing */
/* All bytes, else XX001 (the file is shorter). `path`: for the message. */
MUST_CHECK
bool disk_read(struct disk_file *file, const char *path, void *data, size_t bytes, uint64_t offset,
               struct error *err);
MUST_CHECK
bool disk_write(struct disk_file *file, const char *path, const void *data, size_t bytes, uint64_t offset,
                struct error *err);
MUST_CHECK
bool disk_sync(struct disk_file *file, const char *path, struct error *err);
/* One directory, 0700; true when it was there before. *made (may be NULL): it was not. The name is durable. */
MUST_CHECK
bool disk_make_dir(const char *path, bool *made, struct error *err);
MUST_CHECK
bool disk_sync_dir(const char *path, struct error *err);
/* true as well when there is no such file. */
MUST_CHECK
bool disk_remove(const char *path, struct error *err);
/* Replaces `to`; the names are durable after a sync of the directory. */
MUST_CHECK
bool disk_rename(const char *from, const char *to, struct error *err);
bool disk_exists(const char *path);
/* Size of a file in bytes. */
MUST_CHECK
bool disk_size(const char *path, uint64_t *bytes, struct error *err);
MUST_CHECK
bool disk_list(const char *path, bool (*visit)(void *ctx, const char *name), void *ctx, struct error *err);
/* false with 53100 when so little space is left at `path` that new work should not begin: what has begun must fit, and
 * what makes room. True when that cannot be found out. */
MUST_CHECK
bool disk_has_space(const char *path, struct error *err);
/* Fills err from an errno value: "could not <doing> "<path>": ...". Returns false. */
bool disk_error(int code, const char *doing, const char *path, struct error *err);

/* Name of the SQLite VFS over the disk in use, registered by the first call. Files have no shared memory: WAL needs
 * locking_mode=EXCLUSIVE first, as sqlite_door_open does. */
const char *disk_vfs(void);
/* sqlite3_file_control: *(bool *) whether the pages of the database have checksums. */
#define DISK_CONTROL_HAS_CHECKSUMS 1001

#endif
