/* disk_vfs.c: SQLite's files on the disk in use (disk.h).
 *
 * The last eight bytes of each page of a database are its checksum, in files whose header reserves them. A WAL has
 * checksums of its own, and a mark (disk_wal.h).
 *
 * There is no shared memory: a database is open once, in exclusive locking mode, which keeps the WAL's index on the heap.
 * A lock is taken with the first read and held until the file is closed. */
#include "storage/disk/disk.h"

#include "storage/base/arena.h"
#include "storage/base/clock.h"
#include "storage/disk/disk_wal.h"

#include <errno.h>
#include <pthread.h>
#include <sqlite3.h>
#include <string.h>
#include <xxhash.h>

#define SECTOR_BYTES   4096
#define PATH_BYTES_MAX 4096

struct vfs_file {
    sqlite3_file base;
    struct disk_file *file;
    char *dir; /* to be synced with the file, since its name is new; NULL: not */
    int lock;
    bool is_database, is_wal;
    bool has_checksums; /* of its pages */
    uint8_t *page;      /* for writing one with its checksum */
    int page_bytes;
    struct wal_mark mark;
};

static _Thread_local int last_errno; /* for sqlite3_system_errno */

static int failed(int code, int result)
{
    last_errno = code;
    return code == ENOSPC || code == EDQUOT ? SQLITE_FULL : result;
}

/* ---- pages ---- */

#define CHECKSUM_BYTES   8
#define RESERVED_AT      20 /* in the header: bytes at the end of each page that are ours */
#define HEADER_BYTES     100
#define PAGE_BYTES_LEAST 512

static bool is_page(const struct vfs_file *file, int bytes, sqlite3_int64 offset)
{
    return file->is_database && bytes >= PAGE_BYTES_LEAST && (bytes & (bytes - 1)) == 0 &&
           offset % bytes == 0;
}

static void look_at_header(struct vfs_file *file, const uint8_t *data, int bytes, sqlite3_int64 offset)
{
    if (file->is_database && offset == 0 && bytes >= HEADER_BYTES &&
        memcmp(data, "SQLite format 3", sizeof("SQLite format 3")) == 0)
        file->has_checksums = data[RESERVED_AT] == CHECKSUM_BYTES;
}

/* Of the page at its place, so that one at another place is noticed. */
static uint64_t page_checksum(const uint8_t *page, int bytes, sqlite3_int64 offset)
{
    return XXH3_64bits_withSeed(page, (size_t)(bytes - CHECKSUM_BYTES), (uint64_t)(offset / bytes));
}

static bool is_zero(const uint8_t *data, int bytes)
{
    return data[0] == 0 && memcmp(data, data + 1, (size_t)bytes - 1) == 0;
}

/* A page that was never written, between others, is all zero. */
static bool page_fits(const uint8_t *page, int bytes, sqlite3_int64 offset)
{
    uint64_t stored;
    memcpy(&stored, page + bytes - CHECKSUM_BYTES, sizeof(stored));
    return stored == page_checksum(page, bytes, offset) || is_zero(page, bytes);
}

/* ---- files ---- */

static int vfs_close(sqlite3_file *base)
{
    struct vfs_file *file = (struct vfs_file *)base;
    disk_close(file->file);
    mem_free(file->dir);
    mem_free(file->page);
    if (file->is_wal)
        wal_mark_close(&file->mark);
    *file = (struct vfs_file){.lock = SQLITE_LOCK_NONE};
    return SQLITE_OK;
}

static int vfs_read(sqlite3_file *base, void *data, int bytes, sqlite3_int64 offset)
{
    struct vfs_file *vfs = (struct vfs_file *)base;
    struct disk_file *file = vfs->file;
    size_t got;
    int code = file->disk->read(file, data, (size_t)bytes, (uint64_t)offset, &got);
    if (code != 0)
        return failed(code, SQLITE_IOERR_READ);
    if (got < (size_t)bytes) {
        memset((char *)data + got, 0, (size_t)bytes - got);
        return SQLITE_IOERR_SHORT_READ;
    }
    look_at_header(vfs, data, bytes, offset);
    if (vfs->has_checksums && is_page(vfs, bytes, offset) && !page_fits(data, bytes, offset))
        return failed(EIO, SQLITE_IOERR_DATA);
    return SQLITE_OK;
}

static int vfs_write(sqlite3_file *base, const void *data, int bytes, sqlite3_int64 offset)
{
    struct vfs_file *vfs = (struct vfs_file *)base;
    struct disk_file *file = vfs->file;
    int code = vfs->is_wal ? wal_mark_write(&vfs->mark, data, (size_t)bytes, (uint64_t)offset) : 0;
    look_at_header(vfs, data, bytes, offset);
    if (vfs->has_checksums && is_page(vfs, bytes, offset)) {
        if (vfs->page_bytes < bytes) {
            vfs->page = mem_realloc(vfs->page, (size_t)bytes);
            vfs->page_bytes = bytes;
        }
        memcpy(vfs->page, data, (size_t)bytes);
        uint64_t checksum = page_checksum(vfs->page, bytes, offset);
        memcpy(vfs->page + bytes - CHECKSUM_BYTES, &checksum, sizeof(checksum));
        data = vfs->page;
    }
    if (code == 0)
        code = file->disk->write(file, data, (size_t)bytes, (uint64_t)offset);
    return code == 0 ? SQLITE_OK : failed(code, SQLITE_IOERR_WRITE);
}

static int vfs_truncate(sqlite3_file *base, sqlite3_int64 bytes)
{
    struct vfs_file *vfs = (struct vfs_file *)base;
    struct disk_file *file = vfs->file;
    int code = vfs->is_wal ? wal_mark_cut(&vfs->mark, (uint64_t)bytes) : 0;
    if (code == 0)
        code = file->disk->truncate(file, (uint64_t)bytes);
    return code == 0 ? SQLITE_OK : failed(code, SQLITE_IOERR_TRUNCATE);
}

static int vfs_sync(sqlite3_file *base, int flags)
{
    struct vfs_file *file = (struct vfs_file *)base;
    struct disk *disk = file->file->disk;
    int code = disk->sync(file->file);
    if (code == 0 && file->dir != NULL) {
        code = disk->sync_dir(disk, file->dir);
        if (code != 0)
            return failed(code, SQLITE_IOERR_DIR_FSYNC);
        mem_free(file->dir);
        file->dir = NULL;
    }
    if (code == 0 && file->is_wal)
        wal_mark_synced(&file->mark);
    return code == 0 ? SQLITE_OK : failed(code, SQLITE_IOERR_FSYNC);
}

static int vfs_size(sqlite3_file *base, sqlite3_int64 *bytes)
{
    struct disk_file *file = ((struct vfs_file *)base)->file;
    uint64_t size;
    int code = file->disk->size(file, &size);
    if (code != 0)
        return failed(code, SQLITE_IOERR_FSTAT);
    *bytes = (sqlite3_int64)size;
    return SQLITE_OK;
}

static int vfs_lock(sqlite3_file *base, int level)
{
    struct vfs_file *file = (struct vfs_file *)base;
    if (file->lock == SQLITE_LOCK_NONE) {
        int code = file->file->disk->lock(file->file);
        if (code != 0)
            return code == EAGAIN ? SQLITE_BUSY : failed(code, SQLITE_IOERR_LOCK);
    }
    if (level > file->lock)
        file->lock = level;
    return SQLITE_OK;
}

/* What was locked once stays so. */
static int vfs_unlock(sqlite3_file *base, int level)
{
    struct vfs_file *file = (struct vfs_file *)base;
    if (file->lock > SQLITE_LOCK_SHARED)
        file->lock = SQLITE_LOCK_SHARED;
    return SQLITE_OK;
}

static int vfs_check_reserved(sqlite3_file *base, int *is_reserved)
{
    *is_reserved = ((struct vfs_file *)base)->lock >= SQLITE_LOCK_RESERVED;
    return SQLITE_OK;
}

static int vfs_control(sqlite3_file *base, int op, void *arg)
{
    if (op != DISK_CONTROL_HAS_CHECKSUMS)
        return SQLITE_NOTFOUND;
    *(bool *)arg = ((struct vfs_file *)base)->has_checksums;
    return SQLITE_OK;
}

static int vfs_sector_bytes(sqlite3_file *base)
{
    return SECTOR_BYTES;
}

static int vfs_characteristics(sqlite3_file *base)
{
    return SQLITE_IOCAP_POWERSAFE_OVERWRITE;
}

static const sqlite3_io_methods methods = {.iVersion = 1,
                                           .xClose = vfs_close,
                                           .xRead = vfs_read,
                                           .xWrite = vfs_write,
                                           .xTruncate = vfs_truncate,
                                           .xSync = vfs_sync,
                                           .xFileSize = vfs_size,
                                           .xLock = vfs_lock,
                                           .xUnlock = vfs_unlock,
                                           .xCheckReservedLock = vfs_check_reserved,
                                           .xFileControl = vfs_control,
                                           .xSectorSize = vfs_sector_bytes,
                                           .xDeviceCharacteristics = vfs_characteristics};

/* ---- names ---- */

static char *dir_of(const char *path)
{
    if (strchr(path, '/') == NULL)
        return mem_strdup(".");
    char *dir = mem_strdup(path);
    char *slash = strrchr(dir, '/');
    slash[slash == dir] = '\0';
    return dir;
}

static int vfs_open(sqlite3_vfs *vfs, const char *path, sqlite3_file *base, int flags, int *out_flags)
{
    struct vfs_file *file = (struct vfs_file *)base;
    *file = (struct vfs_file){.lock = SQLITE_LOCK_NONE};
    struct disk *disk = disk_current();
    if (path == NULL) /* of temporary files, which we have none of: temp_store=MEMORY */
        return failed(EINVAL, SQLITE_CANTOPEN);
    unsigned how = flags & SQLITE_OPEN_READWRITE ? DISK_WRITE : DISK_READ;
    struct disk_info info;
    bool is_new = (flags & SQLITE_OPEN_CREATE) && disk->info(disk, path, &info) == ENOENT;
    if (flags & SQLITE_OPEN_CREATE)
        how |= DISK_CREATE | (flags & SQLITE_OPEN_EXCLUSIVE ? DISK_EXCLUSIVE : 0);
    if (flags & SQLITE_OPEN_DELETEONCLOSE)
        how |= DISK_DELETE_ON_CLOSE;
    int code = disk->open(disk, path, how, &file->file);
    if (code != 0)
        return failed(code, SQLITE_CANTOPEN);
    if (is_new)
        file->dir = dir_of(path);
    file->is_database = flags & SQLITE_OPEN_MAIN_DB;
    file->is_wal = flags & SQLITE_OPEN_WAL;
    if (file->is_wal)
        wal_mark_open(&file->mark, path);
    if (out_flags != NULL)
        *out_flags = flags;
    file->base.pMethods = &methods;
    return SQLITE_OK;
}

/* Durable also where SQLite does not ask for it: a rollback journal that comes back after a power cut would take away what
 * has been committed in a WAL since. */
static int vfs_delete(sqlite3_vfs *vfs, const char *path, int sync_dir)
{
    struct disk *disk = disk_current();
    size_t len = strlen(path);
    int code = len > 4 && strcmp(path + len - 4, "-wal") == 0 ? wal_mark_clear(path) : 0;
    if (code == 0)
        code = disk->remove(disk, path);
    if (code != 0)
        return code == ENOENT ? SQLITE_IOERR_DELETE_NOENT : failed(code, SQLITE_IOERR_DELETE);
    char *dir = dir_of(path);
    code = disk->sync_dir(disk, dir);
    mem_free(dir);
    return code == 0 ? SQLITE_OK : failed(code, SQLITE_IOERR_DIR_FSYNC);
}

/* An empty file is as good as none: that is what SQLite asks for. */
static int vfs_access(sqlite3_vfs *vfs, const char *path, int flags, int *result)
{
    struct disk *disk = disk_current();
    struct disk_info info;
    int code = disk->info(disk, path, &info);
    if (code != 0 && code != ENOENT && code != ENOTDIR)
        return failed(code, SQLITE_IOERR_ACCESS);
    *result = code == 0 && (flags != SQLITE_ACCESS_EXISTS || info.bytes > 0);
    return SQLITE_OK;
}

/* Paths are used as they are given: nobody opens a database by two names. */
static int vfs_full_path(sqlite3_vfs *vfs, const char *path, int out_bytes, char *out)
{
    size_t len = strlen(path);
    if (len >= (size_t)out_bytes)
        return failed(ENAMETOOLONG, SQLITE_CANTOPEN);
    memcpy(out, path, len + 1);
    return SQLITE_OK;
}

/* ---- the rest ---- */

static int vfs_random(sqlite3_vfs *vfs, int bytes, char *out)
{
    for (int at = 0; at < bytes; at += (int)sizeof(uint64_t)) {
        uint64_t value = random_u64();
        size_t left = (size_t)(bytes - at);
        memcpy(out + at, &value, left < sizeof(value) ? left : sizeof(value));
    }
    return bytes;
}

/* Nothing is waited for: a lock that is held stays so. */
static int vfs_sleep(sqlite3_vfs *vfs, int microseconds)
{
    return microseconds;
}

static int vfs_time_ms(sqlite3_vfs *vfs, sqlite3_int64 *out)
{
    *out = INT64_C(210866760000000) + clock_now_us() / 1000; /* from noon of day 0 of the Julian calendar */
    return SQLITE_OK;
}

static int vfs_time(sqlite3_vfs *vfs, double *out)
{
    sqlite3_int64 ms;
    int result = vfs_time_ms(vfs, &ms);
    *out = (double)ms / 86400000.0;
    return result;
}

static int vfs_last_error(sqlite3_vfs *vfs, int bytes, char *out)
{
    return last_errno;
}

static sqlite3_vfs vfs_millrace = {.iVersion = 2,
                                   .szOsFile = sizeof(struct vfs_file),
                                   .mxPathname = PATH_BYTES_MAX,
                                   .zName = "millrace",
                                   .xOpen = vfs_open,
                                   .xDelete = vfs_delete,
                                   .xAccess = vfs_access,
                                   .xFullPathname = vfs_full_path,
                                   .xRandomness = vfs_random,
                                   .xSleep = vfs_sleep,
                                   .xCurrentTime = vfs_time,
                                   .xGetLastError = vfs_last_error,
                                   .xCurrentTimeInt64 = vfs_time_ms};

static void register_vfs(void)
{
    CHECK(sqlite3_vfs_register(&vfs_millrace, false) == SQLITE_OK);
}

const char *disk_vfs(void)
{
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    CHECK(pthread_once(&once, register_vfs) == 0);
    return vfs_millrace.zName;
}
