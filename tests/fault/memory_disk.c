/* memory_disk.c: see memory_disk.h. One lock; contents in two copies, as they are read and as they are durable. */
#define _GNU_SOURCE /* memfd_create, fallocate */
#include "tests/fault/memory_disk.h"

#include "storage/base/arena.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SECTOR 512u

/* Of a file: its contents outlive its names. */
struct inode {
    uint32_t references; /* names, pending operations, open files */
    bool is_dir, is_locked;
    uint8_t *data, *durable; /* both cap bytes long; zero behind the sizes */
    uint64_t bytes, durable_bytes, cap;
    uint8_t *dirty; /* per sector: written since the last sync */
};

struct name {
    char *path;
    struct inode *inode;
};

struct names {
    struct name *list;
    uint32_t count;
};

/* Of names, since the last sync of their directory. */
struct pending {
    char *path, *to; /* to NULL: `path` becomes `inode`, or goes when that is NULL */
    struct inode *inode;
};

struct memory_file {
    struct disk_file file;
    struct inode *inode;
    bool holds_lock;
};

struct memory_disk {
    struct disk door, mapped; /* mapped: of files that are used as memory */
    pthread_mutex_t lock;
    struct names names, durable;
    struct pending *pending;
    uint32_t pending_count;
    unsigned counted_ops;
    uint64_t counted, fail_at, cut_at;
    int fail_code;
    uint64_t fail_count;
    bool has_failed, is_cut;
    uint64_t random;
};

static uint64_t draw(struct memory_disk *disk)
{
    uint64_t x = disk->random += UINT64_C(0x9e3779b97f4a7c15);
    x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
    return x ^ (x >> 31);
}

static struct memory_disk *disk_of(struct disk *door)
{
    return (struct memory_disk *)door;
}

/* ---- inodes and names ---- */

static void inode_release(struct inode *inode)
{
    if (inode == NULL || --inode->references > 0)
        return;
    mem_free(inode->data);
    mem_free(inode->durable);
    mem_free(inode->dirty);
    mem_free(inode);
}

static void inode_reserve(struct inode *inode, uint64_t bytes)
{
    if (bytes <= inode->cap)
        return;
    uint64_t cap = inode->cap ? inode->cap : 8 * SECTOR;
    while (cap < bytes)
        cap *= 2;
    inode->data = mem_realloc(inode->data, cap);
    inode->durable = mem_realloc(inode->durable, cap);
    inode->dirty = mem_realloc(inode->dirty, cap / SECTOR);
    memset(inode->data + inode->cap, 0, cap - inode->cap);
    memset(inode->durable + inode->cap, 0, cap - inode->cap);
    memset(inode->dirty + inode->cap / SECTOR, 0, (cap - inode->cap) / SECTOR);
    inode->cap = cap;
}

static struct name *find(struct names *names, const char *path)
{
    for (uint32_t i = 0; i < names->count; i++)
        if (strcmp(names->list[i].path, path) == 0)
            return &names->list[i];
    return NULL;
}

/* inode NULL: the name goes. */
static void set_name(struct names *names, const char *path, struct inode *inode)
{
    struct name *name = find(names, path);
    if (inode != NULL)
        inode->references++;
    if (name != NULL) {
        inode_release(name->inode);
        name->inode = inode;
        if (inode == NULL) {
            mem_free(name->path);
            *name = names->list[--names->count];
        }
    } else if (inode != NULL) {
        names->list = mem_realloc(names->list, sizeof(*names->list) * (names->count + 1));
        names->list[names->count++] = (struct name){mem_strdup(path), inode};
    }
}

static void add_pending(struct memory_disk *disk, const char *path, const char *to, struct inode *inode)
{
    disk->pending = mem_realloc(disk->pending, sizeof(*disk->pending) * (disk->pending_count + 1));
    if (inode != NULL)
        inode->references++;
    disk->pending[disk->pending_count++] =
        (struct pending){mem_strdup(path), to != NULL ? mem_strdup(to) : NULL, inode};
}

static void apply(struct names *names, const struct pending *pending)
{
    if (pending->to == NULL) {
        set_name(names, pending->path, pending->inode);
        return;
    }
    struct name *from = find(names, pending->path);
    if (from == NULL)
        return; /* its making was lost */
    set_name(names, pending->to, from->inode);
    set_name(names, pending->path, NULL);
}

static void pending_release(struct pending *pending)
{
    inode_release(pending->inode);
    mem_free(pending->path);
    mem_free(pending->to);
}

static size_t dir_len(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash == NULL ? 0 : (size_t)(slash - path);
}

static bool is_in(const char *path, const char *dir)
{
    size_t len = strlen(dir);
    return dir_len(path) == len && memcmp(path, dir, len) == 0;
}

/* ---- faults ---- */

/* The operation's errno value; 0: it goes on. Under the lock. */
static int fault(struct memory_disk *disk, enum disk_op op)
{
    if (disk->is_cut)
        return EIO;
    if (!(disk->counted_ops & op))
        return 0;
    disk->counted++;
    if (disk->cut_at != 0 && disk->counted >= disk->cut_at) {
        disk->is_cut = true;
        return EIO;
    }
    if (disk->fail_at == 0 || disk->counted < disk->fail_at ||
        disk->counted - disk->fail_at >= disk->fail_count)
        return 0;
    disk->has_failed = true;
    return disk->fail_code;
}

/* ---- files ---- */

static int memory_open(struct disk *door, const char *path, unsigned flags, struct disk_file **out)
{
    struct memory_disk *disk = disk_of(door);
    pthread_mutex_lock(&disk->lock);
    int code = fault(disk, OP_OPEN);
    struct name *name = find(&disk->names, path);
    struct inode *inode = name != NULL ? name->inode : NULL;
    if (code == 0 && inode != NULL && (flags & DISK_EXCLUSIVE))
        code = EEXIST;
    if (code == 0 && inode != NULL && inode->is_dir)
        code = EISDIR;
    if (code == 0 && inode == NULL && !(flags & DISK_CREATE))
        code = ENOENT;
    if (code == 0 && inode == NULL) {
        inode = mem_zalloc(sizeof(*inode));
        set_name(&disk->names, path, inode);
        add_pending(disk, path, NULL, inode);
    }
    if (code == 0) {
        struct memory_file *file = mem_zalloc(sizeof(*file));
        file->file.disk = door;
        file->inode = inode;
        inode->references++;
        *out = &file->file;
        if (flags & DISK_DELETE_ON_CLOSE) {
            set_name(&disk->names, path, NULL);
            add_pending(disk, path, NULL, NULL);
        }
    }
    pthread_mutex_unlock(&disk->lock);
    return code;
}

static void memory_close(struct disk_file *base)
{
    struct memory_file *file = (struct memory_file *)base;
    struct memory_disk *disk = disk_of(base->disk);
    pthread_mutex_lock(&disk->lock);
    if (file->holds_lock)
        file->inode->is_locked = false;
    inode_release(file->inode);
    pthread_mutex_unlock(&disk->lock);
    mem_free(file);
}

static int memory_read(struct disk_file *base, void *data, size_t bytes, uint64_t offset, size_t *got)
{
    struct inode *inode = ((struct memory_file *)base)->inode;
    struct memory_disk *disk = disk_of(base->disk);
    pthread_mutex_lock(&disk->lock);
    int code = fault(disk, OP_READ);
    *got = 0;
    if (code == 0 && offset < inode->bytes) {
        *got = inode->bytes - offset < bytes ? (size_t)(inode->bytes - offset) : bytes;
        memcpy(data, inode->data + offset, *got);
    }
    pthread_mutex_unlock(&disk->lock);
    return code;
}

static int memory_write(struct disk_file *base, const void *data, size_t bytes, uint64_t offset)
{
    struct inode *inode = ((struct memory_file *)base)->inode;
    struct memory_disk *disk = disk_of(base->disk);
    pthread_mutex_lock(&disk->lock);
    bool was_cut = disk->is_cut;
    int code = fault(disk, OP_WRITE);
    if (code != 0)
        bytes = was_cut ? 0 : bytes / 2; /* the one that fails has happened in part */
    if (bytes > 0) {
        inode_reserve(inode, offset + bytes);
        memcpy(inode->data + offset, data, bytes);
        memset(inode->dirty + offset / SECTOR, 1, (offset + bytes - 1) / SECTOR - offset / SECTOR + 1);
        if (offset + bytes > inode->bytes)
            inode->bytes = offset + bytes;
    }
    pthread_mutex_unlock(&disk->lock);
    return code;
}

/* Sectors that were written become durable, all of them or those a coin chooses; none is dirty any more. */
static void flush(struct memory_disk *disk, struct inode *inode, bool all)
{
    for (uint64_t at = 0; at < inode->cap; at += SECTOR) {
        if (inode->dirty[at / SECTOR] && (all || draw(disk) % 2))
            memcpy(inode->durable + at, inode->data + at, SECTOR);
        inode->dirty[at / SECTOR] = 0;
    }
    if (all || draw(disk) % 2) {
        if (inode->bytes < inode->durable_bytes)
            memset(inode->durable + inode->bytes, 0, inode->durable_bytes - inode->bytes);
        inode->durable_bytes = inode->bytes;
    }
}

static int memory_sync(struct disk_file *base)
{
    struct memory_disk *disk = disk_of(base->disk);
    pthread_mutex_lock(&disk->lock);
    bool was_cut = disk->is_cut;
    int code = fault(disk, OP_SYNC);
    if (!disk->is_cut && !was_cut)
        flush(disk, ((struct memory_file *)base)->inode, code == 0);
    pthread_mutex_unlock(&disk->lock);
    return code;
}

static int memory_truncate(struct disk_file *base, uint64_t bytes)
{
    struct inode *inode = ((struct memory_file *)base)->inode;
    struct memory_disk *disk = disk_of(base->disk);
    pthread_mutex_lock(&disk->lock);
    int code = fault(disk, OP_TRUNCATE);
    if (code == 0) {
        inode_reserve(inode, bytes);
        if (bytes < inode->bytes)
            memset(inode->data + bytes, 0, inode->bytes - bytes);
        inode->bytes = bytes;
    }
    pthread_mutex_unlock(&disk->lock);
    return code;
}

static int memory_size(struct disk_file *base, uint64_t *bytes)
{
    struct memory_disk *disk = disk_of(base->disk);
    pthread_mutex_lock(&disk->lock);
    *bytes = ((struct memory_file *)base)->inode->bytes;
    pthread_mutex_unlock(&disk->lock);
    return 0;
}

static int memory_lock(struct disk_file *base)
{
    struct memory_file *file = (struct memory_file *)base;
    struct memory_disk *disk = disk_of(base->disk);
    pthread_mutex_lock(&disk->lock);
    int code = file->inode->is_locked && !file->holds_lock ? EAGAIN : 0;
    if (code == 0)
        file->inode->is_locked = file->holds_lock = true;
    pthread_mutex_unlock(&disk->lock);
    return code;
}

/* ---- files that are used as memory ---- */

struct mapped_file {
    struct disk_file file;
    int fd;
};

static int count_fault(struct memory_disk *disk, enum disk_op op)
{
    pthread_mutex_lock(&disk->lock);
    int code = fault(disk, op);
    pthread_mutex_unlock(&disk->lock);
    return code;
}

static int memory_open_unnamed(struct disk *door, const char *dir, struct disk_file **out)
{
    int code = count_fault(disk_of(door), OP_RESERVE);
    if (code != 0)
        return code;
    struct mapped_file *file = mem_alloc(sizeof(*file));
    *file = (struct mapped_file){{&disk_of(door)->mapped}, memfd_create("spill", MFD_CLOEXEC)};
    CHECK(file->fd >= 0);
    *out = &file->file;
    return 0;
}

static int fd_of(struct disk_file *file)
{
    return ((struct mapped_file *)file)->fd;
}

static void mapped_close(struct disk_file *file)
{
    close(fd_of(file));
    mem_free(file);
}

static int mapped_map(struct disk_file *file, void *at, uint64_t bytes, uint64_t offset, void **out)
{
    int flags = MAP_SHARED | MAP_NORESERVE | (at != NULL ? MAP_FIXED : 0);
    *out = mmap(at, bytes, PROT_READ | PROT_WRITE, flags, fd_of(file), (off_t)offset);
    return *out == MAP_FAILED ? errno : 0;
}

static int mapped_reserve(struct disk_file *file, uint64_t offset, uint64_t bytes)
{
    struct memory_disk *disk =
        (struct memory_disk *)((char *)file->disk - offsetof(struct memory_disk, mapped));
    int code = count_fault(disk, OP_RESERVE);
    return code != 0 ? code : posix_fallocate(fd_of(file), (off_t)offset, (off_t)bytes);
}

static int mapped_release(struct disk_file *file, uint64_t offset, uint64_t bytes)
{
    int how = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
    return fallocate(fd_of(file), how, (off_t)offset, (off_t)bytes) == 0 ? 0 : errno;
}

static void mapped_write_out(struct disk_file *file, uint64_t offset, uint64_t bytes) {}

static int mapped_lost(struct disk_file *file, uint64_t bytes)
{
    struct stat info;
    CHECK(fstat(fd_of(file), &info) == 0);
    return (uint64_t)info.st_size < bytes ? ENODATA : 0;
}

/* ---- names ---- */

static int memory_make_dir(struct disk *door, const char *path)
{
    struct memory_disk *disk = disk_of(door);
    pthread_mutex_lock(&disk->lock);
    int code = fault(disk, OP_MAKE_DIR);
    if (code == 0 && find(&disk->names, path) != NULL)
        code = EEXIST;
    if (code == 0) {
        struct inode *inode = mem_zalloc(sizeof(*inode));
        inode->is_dir = true;
        set_name(&disk->names, path, inode);
        add_pending(disk, path, NULL, inode);
    }
    pthread_mutex_unlock(&disk->lock);
    return code;
}

static int memory_sync_dir(struct disk *door, const char *path)
{
    struct memory_disk *disk = disk_of(door);
    pthread_mutex_lock(&disk->lock);
    int code = fault(disk, OP_SYNC);
    for (uint32_t i = 0; code == 0 && i < disk->pending_count;) {
        struct pending *pending = &disk->pending[i];
        if (!is_in(pending->path, path) && (pending->to == NULL || !is_in(pending->to, path))) {
            i++;
            continue;
        }
        apply(&disk->durable, pending);
        pending_release(pending);
        memmove(pending, pending + 1, sizeof(*pending) * (--disk->pending_count - i));
    }
    pthread_mutex_unlock(&disk->lock);
    return code;
}

static int memory_remove(struct disk *door, const char *path)
{
    struct memory_disk *disk = disk_of(door);
    pthread_mutex_lock(&disk->lock);
    int code = fault(disk, OP_REMOVE);
    struct name *name = find(&disk->names, path);
    if (code == 0 && name == NULL)
        code = ENOENT;
    for (uint32_t i = 0; code == 0 && name->inode->is_dir && i < disk->names.count; i++)
        if (is_in(disk->names.list[i].path, path))
            code = ENOTEMPTY;
    if (code == 0) {
        set_name(&disk->names, path, NULL);
        add_pending(disk, path, NULL, NULL);
    }
    pthread_mutex_unlock(&disk->lock);
    return code;
}

static int memory_rename(struct disk *door, const char *from, const char *to)
{
    struct memory_disk *disk = disk_of(door);
    pthread_mutex_lock(&disk->lock);
    int code = fault(disk, OP_RENAME);
    if (code == 0 && find(&disk->names, from) == NULL)
        code = ENOENT;
    if (code == 0) {
        add_pending(disk, from, to, NULL);
        apply(&disk->names, &disk->pending[disk->pending_count - 1]);
    }
    pthread_mutex_unlock(&disk->lock);
    return code;
}

static int memory_info(struct disk *door, const char *path, struct disk_info *out)
{
    struct memory_disk *disk = disk_of(door);
    pthread_mutex_lock(&disk->lock);
    struct name *name = find(&disk->names, path);
    if (name != NULL)
        *out = (struct disk_info){name->inode->is_dir, name->inode->bytes};
    pthread_mutex_unlock(&disk->lock);
    return name != NULL ? 0 : ENOENT;
}

static int memory_space(struct disk *door, const char *path, uint64_t *free_bytes, uint64_t *all_bytes)
{
    *free_bytes = *all_bytes = UINT64_C(1) << 40;
    return 0;
}

static int memory_list(struct disk *door, const char *path, bool (*visit)(void *ctx, const char *name),
                       void *ctx)
{
    struct memory_disk *disk = disk_of(door);
    struct arena arena;
    arena_init(&arena, NULL);
    char **found = NULL;
    uint32_t count = 0, cap = 0;
    pthread_mutex_lock(&disk->lock);
    bool is_there = find(&disk->names, path) != NULL;
    for (uint32_t i = 0; i < disk->names.count; i++) {
        const char *name = disk->names.list[i].path;
        if (is_in(name, path))
            ARENA_PUSH(&arena, found, count, cap, arena_strdup(&arena, name + dir_len(name) + 1));
    }
    pthread_mutex_unlock(&disk->lock);
    for (uint32_t i = 0; i < count && visit(ctx, found[i]);)
        i++;
    arena_release(&arena);
    return is_there ? 0 : ENOENT;
}

/* ---- the disk ---- */

struct memory_disk *memory_disk_create(void)
{
    struct memory_disk *disk = mem_zalloc(sizeof(*disk));
    pthread_mutex_init(&disk->lock, NULL);
    disk->door = (struct disk){.open = memory_open,
                               .close = memory_close,
                               .read = memory_read,
                               .write = memory_write,
                               .sync = memory_sync,
                               .truncate = memory_truncate,
                               .size = memory_size,
                               .lock = memory_lock,
                               .open_unnamed = memory_open_unnamed,
                               .make_dir = memory_make_dir,
                               .sync_dir = memory_sync_dir,
                               .remove = memory_remove,
                               .rename = memory_rename,
                               .info = memory_info,
                               .space = memory_space,
                               .list = memory_list};
    disk->mapped = (struct disk){.close = mapped_close,
                                 .map = mapped_map,
                                 .reserve = mapped_reserve,
                                 .release = mapped_release,
                                 .write_out = mapped_write_out,
                                 .lost = mapped_lost};
    return disk;
}

static void forget_pending(struct memory_disk *disk)
{
    for (uint32_t i = 0; i < disk->pending_count; i++)
        pending_release(&disk->pending[i]);
    disk->pending_count = 0;
}

static void clear(struct names *names)
{
    while (names->count > 0)
        set_name(names, names->list[0].path, NULL);
}

void memory_disk_destroy(struct memory_disk *disk)
{
    forget_pending(disk);
    mem_free(disk->pending);
    clear(&disk->names);
    clear(&disk->durable);
    mem_free(disk->names.list);
    mem_free(disk->durable.list);
    pthread_mutex_destroy(&disk->lock);
    mem_free(disk);
}

struct disk *memory_disk_door(struct memory_disk *disk)
{
    return &disk->door;
}

void memory_disk_count(struct memory_disk *disk, unsigned ops)
{
    pthread_mutex_lock(&disk->lock);
    disk->counted_ops = ops;
    disk->counted = 0;
    disk->fail_at = disk->cut_at = 0;
    disk->has_failed = false;
    pthread_mutex_unlock(&disk->lock);
}

uint64_t memory_disk_counted(struct memory_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    uint64_t counted = disk->counted;
    pthread_mutex_unlock(&disk->lock);
    return counted;
}

void memory_disk_fail(struct memory_disk *disk, uint64_t at, int code, uint64_t count)
{
    pthread_mutex_lock(&disk->lock);
    disk->fail_at = at;
    disk->fail_code = code;
    disk->fail_count = count;
    pthread_mutex_unlock(&disk->lock);
}

bool memory_disk_has_failed(struct memory_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    bool has_failed = disk->has_failed;
    pthread_mutex_unlock(&disk->lock);
    return has_failed;
}

void memory_disk_cut(struct memory_disk *disk, uint64_t at)
{
    pthread_mutex_lock(&disk->lock);
    disk->cut_at = at;
    pthread_mutex_unlock(&disk->lock);
}

bool memory_disk_is_cut(struct memory_disk *disk)
{
    pthread_mutex_lock(&disk->lock);
    bool is_cut = disk->is_cut;
    pthread_mutex_unlock(&disk->lock);
    return is_cut;
}

static void lose(struct memory_disk *disk, struct inode *inode, enum disk_loss loss)
{
    uint64_t step = loss == LOSS_PAGES ? 8 * SECTOR : SECTOR;
    bool grows = loss != LOSS_ALL && draw(disk) % 2;
    for (uint64_t at = 0; at < inode->cap; at += step) {
        bool keep = loss != LOSS_ALL && draw(disk) % 2;
        for (uint64_t sector = at; keep && sector < at + step; sector += SECTOR)
            if (inode->dirty[sector / SECTOR])
                memcpy(inode->durable + sector, inode->data + sector, SECTOR);
    }
    if (grows)
        inode->durable_bytes = inode->bytes;
    if (inode->cap > 0) {
        memset(inode->durable + inode->durable_bytes, 0, inode->cap - inode->durable_bytes);
        memcpy(inode->data, inode->durable, inode->cap);
        memset(inode->dirty, 0, inode->cap / SECTOR);
    }
    inode->bytes = inode->durable_bytes;
}

void memory_disk_power_on(struct memory_disk *disk, enum disk_loss loss, uint64_t seed)
{
    pthread_mutex_lock(&disk->lock);
    disk->random = seed * 77 + 1;
    if (loss != LOSS_NONE) {
        for (uint32_t i = 0; i < disk->pending_count; i++)
            if (loss != LOSS_ALL && draw(disk) % 2)
                apply(&disk->durable, &disk->pending[i]);
        forget_pending(disk);
        clear(&disk->names);
        for (uint32_t i = 0; i < disk->durable.count; i++) {
            set_name(&disk->names, disk->durable.list[i].path, disk->durable.list[i].inode);
            lose(disk, disk->durable.list[i].inode, loss);
        }
    }
    for (uint32_t i = 0; i < disk->names.count; i++)
        disk->names.list[i].inode->is_locked = false;
    disk->is_cut = false;
    disk->fail_at = disk->cut_at = 0;
    disk->counted_ops = 0;
    pthread_mutex_unlock(&disk->lock);
}

struct memory_disk *memory_disk_copy(struct memory_disk *disk)
{
    struct memory_disk *copy = memory_disk_create();
    for (uint32_t i = 0; i < disk->names.count; i++) {
        const struct inode *from = disk->names.list[i].inode;
        struct inode *inode = mem_zalloc(sizeof(*inode));
        inode->is_dir = from->is_dir;
        inode_reserve(inode, from->bytes);
        if (from->bytes > 0) {
            memcpy(inode->data, from->data, from->bytes);
            memcpy(inode->durable, from->data, from->bytes);
        }
        inode->bytes = inode->durable_bytes = from->bytes;
        set_name(&copy->names, disk->names.list[i].path, inode);
        set_name(&copy->durable, disk->names.list[i].path, inode);
    }
    return copy;
}

const char *memory_disk_file(struct memory_disk *disk, uint32_t i, uint8_t **bytes, uint64_t *len)
{
    for (uint32_t n = 0; n < disk->names.count; n++) {
        struct name *name = &disk->names.list[n];
        uint32_t before = 0;
        for (uint32_t other = 0; other < disk->names.count; other++)
            before += !disk->names.list[other].inode->is_dir &&
                      strcmp(disk->names.list[other].path, name->path) < 0;
        if (name->inode->is_dir || before != i)
            continue;
        *bytes = name->inode->data;
        *len = name->inode->bytes;
        return name->path;
    }
    return NULL;
}

void memory_disk_delete(struct memory_disk *disk, const char *path)
{
    set_name(&disk->names, path, NULL);
    set_name(&disk->durable, path, NULL);
}
