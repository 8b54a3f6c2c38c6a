/* disk_posix.c: the operating system's disk. */
#define _GNU_SOURCE /* F_OFD_SETLK, fallocate, files without names */
#include "storage/disk/disk.h"

#include "storage/base/arena.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct posix_file {
    struct disk_file file;
    int fd;
};

static int fd_of(const struct disk_file *file)
{
    return ((const struct posix_file *)file)->fd;
}

static int posix_open(struct disk *disk, const char *path, unsigned flags, struct disk_file **out)
{
    int how = O_CLOEXEC | (flags & DISK_WRITE ? O_RDWR : O_RDONLY) | (flags & DISK_CREATE ? O_CREAT : 0) |
              (flags & DISK_EXCLUSIVE ? O_EXCL : 0);
    int fd;
    do
        fd = open(path, how, 0600);
    while (fd < 0 && errno == EINTR);
    if (fd < 0)
        return errno;
    if (flags & DISK_DELETE_ON_CLOSE)
        (void)unlink(path);
    struct posix_file *file = mem_alloc(sizeof(*file));
    *file = (struct posix_file){{disk}, fd};
    *out = &file->file;
    return 0;
}

static void posix_close(struct disk_file *file)
{
    (void)close(fd_of(file));
    mem_free(file);
}

static int posix_read(struct disk_file *file, void *data, size_t bytes, uint64_t offset, size_t *got)
{
    *got = 0;
    while (*got < bytes) {
        ssize_t part = pread(fd_of(file), (char *)data + *got, bytes - *got, (off_t)(offset + *got));
        if (part == 0)
            break;
        if (part > 0)
            *got += (size_t)part;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

static int posix_write(struct disk_file *file, const void *data, size_t bytes, uint64_t offset)
{
    size_t written = 0;
    while (written < bytes) {
        ssize_t part =
            pwrite(fd_of(file), (const char *)data + written, bytes - written, (off_t)(offset + written));
        if (part == 0)
            return ENOSPC;
        if (part > 0)
            written += (size_t)part;
        else if (errno != EINTR)
            return errno;
    }
    return 0;
}

static int posix_sync(struct disk_file *file)
{
    return fdatasync(fd_of(file)) == 0 ? 0 : errno; /* again after EINTR would hide an error */
}

static int posix_truncate(struct disk_file *file, uint64_t bytes)
{
    int result;
    do
        result = ftruncate(fd_of(file), (off_t)bytes);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

static int posix_size(struct disk_file *file, uint64_t *bytes)
{
    struct stat info;
    if (fstat(fd_of(file), &info) != 0)
        return errno;
    *bytes = (uint64_t)info.st_size;
    return 0;
}

/* Of the open file, not of the process: closing another descriptor of the file does not end it. Programs that use SQLite's
 * own locks see it. */
static int posix_lock(struct disk_file *file)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    if (fcntl(fd_of(file), F_OFD_SETLK, &lock) == 0)
        return 0;
    return errno == EACCES ? EAGAIN : errno;
}

static int posix_open_unnamed(struct disk *disk, const char *dir, struct disk_file **out)
{
    int fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    if (fd < 0) { /* not every file system knows files without names */
        char path[4096];
        if ((size_t)snprintf(path, sizeof(path), "%s/spill.XXXXXX", dir) >= sizeof(path))
            return ENAMETOOLONG;
        fd = mkostemp(path, O_CLOEXEC);
        if (fd < 0)
            return errno;
        (void)unlink(path);
    }
    struct posix_file *file = mem_alloc(sizeof(*file));
    *file = (struct posix_file){{disk}, fd};
    *out = &file->file;
    return 0;
}

static int posix_map(struct disk_file *file, void *at, uint64_t bytes, uint64_t offset, void **out)
{
    int flags = MAP_SHARED | MAP_NORESERVE | (at != NULL ? MAP_FIXED : 0);
    void *data = mmap(at, bytes, PROT_READ | PROT_WRITE, flags, fd_of(file), (off_t)offset);
    if (data == MAP_FAILED)
        return errno;
    *out = data;
    return 0;
}

static int posix_reserve(struct disk_file *file, uint64_t offset, uint64_t bytes)
{
    int code;
    do
        code = posix_fallocate(fd_of(file), (off_t)offset, (off_t)bytes);
    while (code == EINTR);
    return code;
}

static int posix_release(struct disk_file *file, uint64_t offset, uint64_t bytes)
{
    int result;
    do
        result =
            fallocate(fd_of(file), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)bytes);
    while (result != 0 && errno == EINTR);
    return result == 0 ? 0 : errno;
}

static void posix_write_out(struct disk_file *file, uint64_t offset, uint64_t bytes)
{
    (void)sync_file_range(fd_of(file), (off_t)offset, (off_t)bytes, SYNC_FILE_RANGE_WRITE);
}

/* Waiting for pages that are not there waits for nothing, and tells of every page of the file that could not be written. */
static int posix_lost(struct disk_file *file, uint64_t bytes)
{
    struct stat info;
    if (sync_file_range(fd_of(file), INT64_MAX - 4096, 4096, SYNC_FILE_RANGE_WAIT_BEFORE) != 0 &&
        (errno == EIO || errno == ENOSPC || errno == EDQUOT))
        return errno;
    if (fstat(fd_of(file), &info) != 0)
        return errno;
    return (uint64_t)info.st_size < bytes ? ENODATA : 0;
}

static int posix_make_dir(struct disk *disk, const char *path)
{
    return mkdir(path, 0700) == 0 ? 0 : errno;
}

static int posix_sync_dir(struct disk *disk, const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return errno == EACCES ? 0 : errno; /* as EINVAL below */
    int code = fsync(fd) == 0 ? 0 : errno;
    close(fd);
    return code == EINVAL ? 0 : code; /* file systems that cannot: nothing is lost by asking */
}

static int posix_remove(struct disk *disk, const char *path)
{
    return remove(path) == 0 ? 0 : errno;
}

static int posix_rename(struct disk *disk, const char *from, const char *to)
{
    return rename(from, to) == 0 ? 0 : errno;
}

static int posix_info(struct disk *disk, const char *path, struct disk_info *out)
{
    struct stat info;
    if (stat(path, &info) != 0)
        return errno;
    *out = (struct disk_info){S_ISDIR(info.st_mode), (uint64_t)info.st_size};
    return 0;
}

static int posix_space(struct disk *disk, const char *path, uint64_t *free_bytes, uint64_t *all_bytes)
{
    struct statvfs info;
    if (statvfs(path, &info) != 0)
        return errno;
    *free_bytes = (uint64_t)info.f_bavail * info.f_frsize;
    *all_bytes = (uint64_t)info.f_blocks * info.f_frsize;
    return 0;
}

static int posix_list(struct disk *disk, const char *path, bool (*visit)(void *ctx, const char *name),
                      void *ctx)
{
    DIR *dir = opendir(path);
    if (dir == NULL)
        return errno;
    struct dirent *entry;
    bool more = true;
    while (more && (errno = 0, entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
            more = visit(ctx, entry->d_name);
    }
    int code = more ? errno : 0;
    closedir(dir);
    return code;
}

struct disk *disk_posix(void)
{
    static struct disk posix = {.open = posix_open,
                                .close = posix_close,
                                .read = posix_read,
                                .write = posix_write,
                                .sync = posix_sync,
                                .truncate = posix_truncate,
                                .size = posix_size,
                                .lock = posix_lock,
                                .open_unnamed = posix_open_unnamed,
                                .map = posix_map,
                                .reserve = posix_reserve,
                                .release = posix_release,
                                .write_out = posix_write_out,
                                .lost = posix_lost,
                                .make_dir = posix_make_dir,
                                .sync_dir = posix_sync_dir,
                                .remove = posix_remove,
                                .rename = posix_rename,
                                .info = posix_info,
                                .space = posix_space,
                                .list = posix_list};
    return &posix;
}
