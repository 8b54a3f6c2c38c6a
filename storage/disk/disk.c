/* disk.c: the disk in use, and its functions with errors that name the path. */
#include "storage/disk/disk.h"

#include "storage/base/arena.h"

#include <errno.h>
#include <stdatomic.h>
#include <string.h>

/* Kept free; of a small file system a part. */
#define RESERVE_BYTES ((uint64_t)64 << 20)
#define RESERVE_PART  64

static _Atomic(struct disk *) current;

struct disk *disk_current(void)
{
    struct disk *disk = atomic_load(&current);
    return disk != NULL ? disk : disk_posix();
}

void disk_use(struct disk *disk)
{
    atomic_store(&current, disk);
}

bool disk_error(int code, const char *doing, const char *path, struct error *err)
{
    if (code == EAGAIN)
        return error_set(err, ERRCODE_OBJECT_IN_USE, "\"%s\" is in use by another process", path);
    bool full = code == ENOSPC || code == EDQUOT || code == EFBIG;
    return error_set(err, full ? ERRCODE_DISK_FULL : ERRCODE_IO_ERROR, "could not %s \"%s\": %s", doing, path,
                     strerror(code));
}

static bool done(int code, const char *doing, const char *path, struct error *err)
{
    return code == 0 ? true : disk_error(code, doing, path, err);
}

bool disk_open(const char *path, unsigned flags, struct disk_file **out, struct error *err)
{
    struct disk *disk = disk_current();
    return done(disk->open(disk, path, flags, out), "open", path, err);
}

void disk_close(struct disk_file *file)
{
    if (file != NULL)
        file->disk->close(file);
}

bool disk_read(struct disk_file *file, const char *path, void *data, size_t bytes, uint64_t offset,
               struct error *err)
{
    size_t got;
    int code = file->disk->read(file, data, bytes, offset, &got);
    if (code == 0 && got < bytes)
        return error_set(err, ERRCODE_DATA_CORRUPTED, "file \"%s\" is damaged: it ends too early", path);
    return done(code, "read", path, err);
}

bool disk_write(struct disk_file *file, const char *path, const void *data, size_t bytes, uint64_t offset,
                struct error *err)
{
    return done(file->disk->write(file, data, bytes, offset), "write", path, err);
}

bool disk_sync(struct disk_file *file, const char *path, struct error *err)
{
    return done(file->disk->sync(file), "sync", path, err);
}

bool disk_make_dir(const char *path, bool *made, struct error *err)
{
    struct disk *disk = disk_current();
    int code = disk->make_dir(disk, path);
    if (made != NULL)
        *made = code == 0;
    if (code != 0 && code != EEXIST)
        return disk_error(code, "create directory", path, err);
    struct arena arena;
    arena_init(&arena, NULL);
    char *parent = arena_strdup(&arena, path);
    size_t len = strlen(parent);
    while (len > 1 && parent[len - 1] == '/')
        parent[--len] = '\0';
    char *slash = strrchr(parent, '/');
    if (slash == NULL)
        parent = ".";
    else
        slash[slash == parent] = '\0'; /* "/x" is in "/" */
    bool ok = disk_sync_dir(parent, err);
    arena_release(&arena);
    return ok;
}

bool disk_sync_dir(const char *path, struct error *err)
{
    struct disk *disk = disk_current();
    return done(disk->sync_dir(disk, path), "sync directory", path, err);
}

bool disk_remove(const char *path, struct error *err)
{
    struct disk *disk = disk_current();
    int code = disk->remove(disk, path);
    return done(code == ENOENT ? 0 : code, "remove", path, err);
}

bool disk_rename(const char *from, const char *to, struct error *err)
{
    struct disk *disk = disk_current();
    return done(disk->rename(disk, from, to), "rename", from, err);
}

bool disk_exists(const char *path)
{
    struct disk *disk = disk_current();
    struct disk_info info;
    return disk->info(disk, path, &info) == 0;
}

bool disk_size(const char *path, uint64_t *bytes, struct error *err)
{
    struct disk *disk = disk_current();
    struct disk_info info;
    int code = disk->info(disk, path, &info);
    *bytes = code == 0 ? info.bytes : 0;
    return done(code, "look at", path, err);
}

bool disk_list(const char *path, bool (*visit)(void *ctx, const char *name), void *ctx, struct error *err)
{
    struct disk *disk = disk_current();
    return done(disk->list(disk, path, visit, ctx), "list directory", path, err);
}

bool disk_has_space(const char *path, struct error *err)
{
    struct disk *disk = disk_current();
    uint64_t free_bytes, all_bytes;
    if (disk->space(disk, path, &free_bytes, &all_bytes) != 0)
        return true;
    uint64_t reserve = all_bytes / RESERVE_PART < RESERVE_BYTES ? all_bytes / RESERVE_PART : RESERVE_BYTES;
    if (free_bytes >= reserve)
        return true;
    error_set(err, ERRCODE_DISK_FULL, "could not write into \"%s\": no space left on device", path);
    error_detail(err, "Less than %llu MB are free, which are kept for what has begun.",
                 (unsigned long long)(reserve >> 20));
    return error_hint(err, "Free some space; writing goes on by itself.");
}
