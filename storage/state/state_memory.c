/* state_memory.c: see state_memory.h.
 *
 * Two ranges of addresses, one per way of reading, each the image of a file: where a byte lies in the range it lies in
 * the file. A range is handed out in blocks of powers of two (buddies) of at least BLOCK_BYTES; what is known of
 * blocks and granules lies in arrays of address space that are backed where the range is used.
 *
 * A granule is a piece of the file whose space is reserved, or not, as a whole. One that belongs to a large block is
 * changed by that block's owner alone, one with small blocks under the lock. `remap` keeps the governor from taking
 * pages away from a granule that becomes anonymous: of those the file knows nothing. */
#define _GNU_SOURCE /* madvise, syscall */
#include "storage/state/state_memory.h"

#include "storage/base/arena.h"
#include "storage/base/log.h"
#include "storage/disk/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define LAZY_BYTES      ((size_t)256 << 10) /* from here on: address space, not malloc; and with files: */
#define LAZY_FILE_BYTES ((size_t)32 << 10)
#define HUGE_BYTES      ((size_t)4 << 20) /* from here on two megabyte pages waste less than they win */

#define BLOCK_LOG2    15u
#define GRANULE_LOG2  18u
#define GRANULE_BYTES ((size_t)1 << GRANULE_LOG2)
#define REGION_LOG2   21u
#define ORDERS        33u
#define RESERVE_MAX   ((size_t)16 << 20)
#define RANGE_MIN     ((size_t)1 << 36)
#define RANGE_MAX     ((size_t)1 << 43)
#define PROBE_BYTES   ((size_t)1 << 20)
#define NONE          UINT32_MAX
#define FREE          0x80u
#define IS_RESERVED   1u /* of granules: has its space in the file */
#define IS_ANONYMOUS  2u /* the file had no space */
#define IS_STALE      4u /* a block before has left its bytes behind */

_Static_assert(GRANULE_LOG2 + 3 == REGION_LOG2, "a region's granules are looked at as one word");

struct range {
    struct disk_file *file;
    uint8_t *base;
    size_t bytes;
    _Atomic uint64_t file_end; /* the file is that long */
    _Atomic uint32_t regions;  /* up to the end of what was ever used */
    uint8_t *heads;            /* per block: order + 1 of the piece that begins here, FREE; 0: none begins */
    uint32_t *next, *previous; /* per block: lists of free pieces */
    uint32_t free[ORDERS];
    _Atomic uint8_t *granules;
    void *tables;
    size_t tables_bytes;
};

_Atomic bool state_memory_is_open;
size_t state_memory_lazy_bytes = LAZY_BYTES;

static struct {
    pthread_mutex_t lock;  /* blocks; granules with small ones */
    pthread_mutex_t remap; /* granules that become anonymous, or are taken away */
    pthread_mutex_t verify;
    struct range ranges[2];
    _Atomic bool is_full;
    _Atomic int full_code;
    _Atomic int64_t file_bytes, anonymous_bytes, evicted_bytes;
    int faults; /* see page_by_page; -1: not to be had */
    char dir[ERROR_TEXT_MAX / 2];
    struct sigaction bus_before;
} memory = {.faults = -1,
            .lock = PTHREAD_MUTEX_INITIALIZER,
            .remap = PTHREAD_MUTEX_INITIALIZER,
            .verify = PTHREAD_MUTEX_INITIALIZER};

/* ---- files that have lost something ---- */

#define END_TEXT                                                                                             \
    ": the server ends as if it was killed, and the next start has everything that was acknowledged\n"

static size_t put(char *text, size_t len, const char *part)
{
    while (*part != '\0')
        text[len++] = *part++;
    return len;
}

/* Async-signal-safe. what: at most some dozens of bytes. */
_Noreturn static void end_process(const char *what, const char *why)
{
    char text[sizeof(memory.dir) + 512];
    size_t len = put(text, 0, "millrace: the spill file in \"");
    len = put(text, len, memory.dir);
    len = put(text, len, what);
    len = put(text, len, why);
    len = put(text, len, END_TEXT);
    ssize_t written = write(STDERR_FILENO, text, len);
    (void)written;
    _exit(SPILL_LOST_EXIT);
}

/* The lock: of two threads only one would be told of an error, and the other would go on meanwhile. */
static void verify(struct range *range)
{
    pthread_mutex_lock(&memory.verify);
    int code = range->file->disk->lost(range->file, atomic_load(&range->file_end));
    if (code != 0)
        end_process("\" has lost what was written to it: ",
                    code == ENODATA ? "it was cut short" : strerror(code));
    pthread_mutex_unlock(&memory.verify);
}

void state_memory_verify_slow(void)
{
    for (uint32_t r = 0; r < 2; r++) {
        if (atomic_load_explicit(&memory.ranges[r].file_end, memory_order_relaxed) > 0)
            verify(&memory.ranges[r]);
    }
}

/* A page could not be read, or lies behind the end of the file. Whatever it is, what was before it takes care of others. */
static void handle_bus_error(int number, siginfo_t *info, void *context)
{
    for (uint32_t r = 0; r < 2; r++) {
        uint64_t offset = (uintptr_t)info->si_addr - (uintptr_t)memory.ranges[r].base;
        if (memory.ranges[r].base == NULL || offset >= memory.ranges[r].bytes)
            continue;
        char digits[24];
        size_t at = sizeof(digits) - 1;
        digits[at] = '\0';
        do {
            digits[--at] = (char)('0' + offset % 10);
            offset /= 10;
        } while (offset > 0);
        end_process("\" could not be read at byte ", &digits[at]);
    }
    (void)sigaction(SIGBUS, &memory.bus_before, NULL); /* happens again as soon as this returns */
}

static void watch_bus_errors(void)
{
    struct sigaction action = {.sa_sigaction = handle_bus_error, .sa_flags = SA_SIGINFO};
    sigemptyset(&action.sa_mask);
    CHECK(sigaction(SIGBUS, &action, &memory.bus_before) == 0);
}

/* ---- page faults ---- */

#ifndef UFFD_USER_MODE_ONLY
#define UFFD_USER_MODE_ONLY 1
#endif
#define FEATURE_WP_ASYNC (UINT64_C(1) << 15) /* Linux 6.7 */

/* A read that faults in a mapped file brings what is around it along, 16 pages for one: of state that is read at
 * random that is memory for nothing, and more than the governor can see coming. Where somebody watches faults the
 * kernel leaves that: so we watch, and write protection, the thing to be watched, is never used. Without it all works
 * as well, only less tightly. */
static void watch_faults(void)
{
    memory.faults = (int)syscall(SYS_userfaultfd, O_CLOEXEC | UFFD_USER_MODE_ONLY);
    struct uffdio_api api = {.api = UFFD_API, .features = FEATURE_WP_ASYNC};
    if (memory.faults >= 0 && ioctl(memory.faults, UFFDIO_API, &api) != 0) {
        close(memory.faults);
        memory.faults = -1;
    }
}

static void page_by_page(void *data, size_t bytes)
{
    struct uffdio_register range = {.range = {.start = (uintptr_t)data, .len = bytes},
                                    .mode = UFFDIO_REGISTER_MODE_WP};
    (void)madvise(data, bytes, MADV_RANDOM);
    if (memory.faults >= 0)
        (void)ioctl(memory.faults, UFFDIO_REGISTER, &range);
}

/* ---- blocks ---- */

static void list_add(struct range *range, uint32_t block, uint32_t order)
{
    uint32_t next = range->free[order];
    range->heads[block] = (uint8_t)(FREE | (order + 1));
    range->next[block] = next;
    range->previous[block] = NONE;
    if (next != NONE)
        range->previous[next] = block;
    range->free[order] = block;
}

static void list_remove(struct range *range, uint32_t block, uint32_t order)
{
    uint32_t next = range->next[block], previous = range->previous[block];
    if (previous != NONE)
        range->next[previous] = next;
    else
        range->free[order] = next;
    if (next != NONE)
        range->previous[next] = previous;
    range->heads[block] = 0;
}

static uint32_t order_of(size_t bytes)
{
    uint32_t order = 0;
    while (((size_t)1 << (BLOCK_LOG2 + order)) < bytes)
        order++;
    return order;
}

/* A piece of 1 << order blocks, NONE when there is none. */
static uint32_t take_blocks(struct range *range, uint32_t order)
{
    uint32_t from = order;
    while (from < ORDERS && range->free[from] == NONE)
        from++;
    if (from >= ORDERS)
        return NONE;
    uint32_t block = range->free[from];
    list_remove(range, block, from);
    while (from > order) {
        from--;
        list_add(range, block + (UINT32_C(1) << from), from);
    }
    range->heads[block] = (uint8_t)(order + 1);
    size_t end = ((size_t)block << BLOCK_LOG2) + ((size_t)1 << (BLOCK_LOG2 + order));
    uint32_t regions = (uint32_t)((end + REGION_BYTES - 1) >> REGION_LOG2);
    if (regions > atomic_load_explicit(&range->regions, memory_order_relaxed))
        atomic_store(&range->regions, regions);
    return block;
}

/* Gives the piece back; the result is the order of the free piece that it is now part of, *first its first block. */
static uint32_t give_blocks(struct range *range, uint32_t block, uint32_t *first)
{
    uint32_t order = range->heads[block] - 1u;
    range->heads[block] = 0;
    while (((size_t)2 << (BLOCK_LOG2 + order)) <= range->bytes) {
        uint32_t buddy = block ^ (UINT32_C(1) << order);
        if (range->heads[buddy] != (FREE | (order + 1)))
            break;
        list_remove(range, buddy, order);
        block &= ~(UINT32_C(1) << order);
        order++;
    }
    list_add(range, block, order);
    *first = block;
    return order;
}

/* ---- space in the files ---- */

static void mark(struct range *range, size_t first, size_t count, uint8_t flags)
{
    for (size_t g = first; g < first + count; g++)
        atomic_store_explicit(&range->granules[g], flags, memory_order_relaxed);
}

static uint8_t flags_of(const struct range *range, size_t granule)
{
    return atomic_load_explicit(&range->granules[granule], memory_order_relaxed);
}

static int reserve(struct range *range, size_t offset, size_t bytes)
{
    verify(range); /* a file that was cut short would grow again, with zeros */
    int code = range->file->disk->reserve(range->file, offset, bytes);
    uint64_t end = atomic_load(&range->file_end);
    while (code == 0 && end < offset + bytes &&
           !atomic_compare_exchange_weak(&range->file_end, &end, offset + bytes))
        continue;
    return code;
}

/* Granules [first, first + count) get space, and up to `most` of them if that is to be had. */
static void reserve_granules(struct range *range, size_t first, size_t count, size_t most)
{
    int code = reserve(range, first << GRANULE_LOG2, most << GRANULE_LOG2);
    if (code != 0 && most > count)
        code = reserve(range, first << GRANULE_LOG2, (most = count) << GRANULE_LOG2);
    if (code == 0) {
        mark(range, first, most, IS_RESERVED);
        atomic_fetch_add(&memory.file_bytes, (int64_t)(most << GRANULE_LOG2));
        return;
    }
    atomic_store(&memory.full_code, code);
    if (!atomic_exchange(&memory.is_full, true))
        log_write(LOG_ERROR, "the spill file in \"%s\" cannot grow: %s", memory.dir, strerror(code));
    pthread_mutex_lock(&memory.remap);
    void *data = mmap(range->base + (first << GRANULE_LOG2), count << GRANULE_LOG2, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);
    if (data == MAP_FAILED)
        mem_refused(count << GRANULE_LOG2);
    mark(range, first, count, IS_RESERVED | IS_ANONYMOUS);
    pthread_mutex_unlock(&memory.remap);
    atomic_fetch_add(&memory.anonymous_bytes, (int64_t)(count << GRANULE_LOG2));
}

/* Granules without space, of which no block is in use, get it or keep it; what they hold becomes zero. */
static void need_granules(struct range *range, size_t first, size_t count, size_t most)
{
    size_t end = first + count;
    while (first < end) {
        uint8_t flags = flags_of(range, first);
        if (flags == 0) {
            size_t run = 1, run_most;
            while (first + run < end && flags_of(range, first + run) == 0)
                run++;
            for (run_most = run; first + run == end && run_most < run + most - count; run_most++) {
                if (flags_of(range, first + run_most) != 0)
                    break;
            }
            reserve_granules(range, first, run, run_most);
            first += run;
            continue;
        }
        if (flags & IS_STALE) {
            memset(range->base + (first << GRANULE_LOG2), 0, GRANULE_BYTES);
            mark(range, first, 1, flags & (uint8_t)~IS_STALE);
        }
        first++;
    }
}

static void release_granules(struct range *range, size_t first, size_t count)
{
    size_t anonymous = 0, reserved = 0;
    for (size_t g = first; g < first + count; g++) {
        anonymous += (flags_of(range, g) & IS_ANONYMOUS) != 0;
        reserved += flags_of(range, g) != 0;
    }
    if (reserved == 0)
        return;
    size_t offset = first << GRANULE_LOG2, bytes = count << GRANULE_LOG2;
    if (anonymous > 0) {
        pthread_mutex_lock(&memory.remap);
        void *data;
        if (range->file->disk->map(range->file, range->base + offset, bytes, offset, &data) != 0)
            mem_refused(bytes);
        if (range == &memory.ranges[0])
            page_by_page(data, bytes);
        for (size_t g = first; g < first + count; g++) {
            if (flags_of(range, g) & IS_ANONYMOUS)
                mark(range, g, 1, 0);
        }
        pthread_mutex_unlock(&memory.remap);
        atomic_fetch_sub(&memory.anonymous_bytes, (int64_t)(anonymous << GRANULE_LOG2));
        reserved -= anonymous;
    }
    if (reserved == 0)
        return;
    if (range->file->disk->release(range->file, offset, bytes) == 0) {
        mark(range, first, count, 0);
        atomic_fetch_sub(&memory.file_bytes, (int64_t)(reserved << GRANULE_LOG2));
        return;
    }
    /* a file system without holes: the space stays ours */
    for (size_t g = first; g < first + count; g++) {
        if (flags_of(range, g) != 0)
            mark(range, g, 1, IS_RESERVED | IS_STALE);
    }
}

bool state_memory_check(struct error *err)
{
    if (LIKELY(!atomic_load_explicit(&memory.is_full, memory_order_relaxed)))
        return true;
    pthread_mutex_lock(&memory.lock);
    int code = 0;
    if (atomic_load(&memory.is_full)) {
        struct range *range = &memory.ranges[0];
        size_t offset = (size_t)atomic_load(&range->regions) << REGION_LOG2;
        code = offset + PROBE_BYTES > range->bytes ? EFBIG : reserve(range, offset, PROBE_BYTES);
        if (code == 0) {
            (void)range->file->disk->release(range->file, offset, PROBE_BYTES);
            atomic_store(&memory.is_full, false);
            log_write(LOG_INFO, "the spill file in \"%s\" can grow again", memory.dir);
        }
    }
    pthread_mutex_unlock(&memory.lock);
    if (code == 0)
        return true;
    disk_error(code, "extend the spill file in", memory.dir, err);
    return error_hint(err, "Free some space there; nothing is lost, and writing goes on by itself.");
}

/* ---- pieces ---- */

static void *map_anonymous(size_t bytes, unsigned use)
{
    void *data;
    for (uint64_t given = mem_given();;) {
        data = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (data != MAP_FAILED)
            break;
        if (!mem_try_again(&given))
            mem_refused(bytes);
    }
#ifdef MADV_HUGEPAGE
    if ((use & MEMORY_HUGE) && bytes >= HUGE_BYTES)
        (void)madvise(data, bytes, MADV_HUGEPAGE);
#endif
    return data;
}

/* NULL when the range is used up. */
static void *map_file(size_t bytes, unsigned use)
{
    struct range *range = &memory.ranges[(use & MEMORY_SCANNED) != 0];
    bool is_small = bytes < GRANULE_BYTES;
    pthread_mutex_lock(&memory.lock);
    uint32_t block = take_blocks(range, order_of(bytes));
    size_t offset = (size_t)block << BLOCK_LOG2, granule = offset >> GRANULE_LOG2;
    if (block != NONE && is_small && flags_of(range, granule) == 0)
        reserve_granules(range, granule, 1, 1);
    pthread_mutex_unlock(&memory.lock);
    if (block == NONE)
        return NULL;
    if (is_small) {
        memset(range->base + offset, 0, bytes);
    } else if (!(use & MEMORY_GROWS)) {
        size_t count = (bytes + GRANULE_BYTES - 1) >> GRANULE_LOG2;
        need_granules(range, granule, count, count);
    }
    return range->base + offset;
}

void *memory_map(size_t bytes, unsigned use)
{
    if (!memory_is_lazy(bytes)) {
        void *data = NULL;
        size_t rounded = (bytes + 63) & ~(size_t)63;
        for (uint64_t given = mem_given(); posix_memalign(&data, 64, rounded) != 0;)
            if (!mem_try_again(&given))
                mem_refused(rounded);
        return memset(data, 0, rounded);
    }
    void *data = NULL;
    if (atomic_load_explicit(&state_memory_is_open, memory_order_relaxed))
        data = map_file(bytes, use);
    return data != NULL ? data : map_anonymous(bytes, use);
}

static struct range *range_of(const void *data)
{
    for (uint32_t r = 0; r < 2; r++) {
        if ((uintptr_t)data - (uintptr_t)memory.ranges[r].base < memory.ranges[r].bytes)
            return &memory.ranges[r];
    }
    return NULL;
}

void memory_grow_slow(void *data, size_t bytes, size_t used)
{
    struct range *range = range_of(data);
    if (range == NULL || used == 0 || bytes < GRANULE_BYTES)
        return;
    size_t first = (size_t)((uint8_t *)data - range->base) >> GRANULE_LOG2;
    size_t at = (used - 1) >> GRANULE_LOG2, end = (bytes + GRANULE_BYTES - 1) >> GRANULE_LOG2;
    uint8_t flags = flags_of(range, first + at);
    if (flags != 0 && !(flags & IS_STALE))
        return;
    size_t from = at;
    while (from > 0 && (flags_of(range, first + from - 1) & ~IS_ANONYMOUS) != IS_RESERVED)
        from--;
    /* further than needed, so that the file grows in a few large steps */
    size_t more = used / 8 < RESERVE_MAX ? used / 8 : RESERVE_MAX;
    size_t until = at + 1 + (more >> GRANULE_LOG2);
    until = until < end ? until : end;
    need_granules(range, first + from, at + 1 - from, until - from);
}

void memory_unmap(void *data, size_t bytes)
{
    if (data == NULL)
        return;
    if (!memory_is_lazy(bytes)) {
        free(data);
        return;
    }
    struct range *range = range_of(data);
    if (range == NULL) {
        munmap(data, bytes);
        return;
    }
    uint32_t block = (uint32_t)((size_t)((uint8_t *)data - range->base) >> BLOCK_LOG2), merged;
    size_t granule = (size_t)block >> (GRANULE_LOG2 - BLOCK_LOG2);
    if (bytes >= GRANULE_BYTES)
        release_granules(range, granule, (bytes + GRANULE_BYTES - 1) >> GRANULE_LOG2);
    pthread_mutex_lock(&memory.lock);
    uint32_t order = give_blocks(range, block, &merged);
    /* the last small block of a granule */
    if (bytes < GRANULE_BYTES && order >= GRANULE_LOG2 - BLOCK_LOG2)
        release_granules(range, granule, 1);
    pthread_mutex_unlock(&memory.lock);
}

void memory_discard(void *data, size_t bytes)
{
    /* a file's pages are cold by then, and its space stays reserved until the piece goes as a whole */
    if (range_of(data) == NULL)
        (void)madvise(data, bytes, MADV_DONTNEED);
}

/* ---- opening ---- */

static void *reserve_addresses(size_t bytes)
{
    void *data =
        mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return data == MAP_FAILED ? NULL : data;
}

static bool open_range(struct range *range, size_t bytes, bool is_scanned)
{
    range->bytes = bytes;
    void *base;
    if (range->file->disk->map(range->file, NULL, bytes, 0, &base) != 0)
        return false;
    size_t blocks = bytes >> BLOCK_LOG2, granules = bytes >> GRANULE_LOG2;
    range->tables_bytes = blocks * (1 + 2 * sizeof(uint32_t)) + granules;
    range->tables = reserve_addresses(range->tables_bytes);
    if (range->tables == NULL) {
        munmap(base, bytes);
        return false;
    }
    (void)madvise(base, bytes, MADV_DONTDUMP);
    if (!is_scanned)
        page_by_page(base, bytes);
    range->base = base;
    range->next = range->tables;
    range->previous = range->next + blocks;
    range->heads = (uint8_t *)(range->previous + blocks);
    range->granules = (_Atomic uint8_t *)(range->heads + blocks);
    for (uint32_t i = 0; i < ORDERS; i++)
        range->free[i] = NONE;
    list_add(range, 0, order_of(bytes));
    atomic_store(&range->regions, 0);
    atomic_store(&range->file_end, 0);
    return true;
}

static void forget_ranges(void)
{
    for (uint32_t r = 0; r < 2; r++) {
        struct range *range = &memory.ranges[r];
        if (range->base != NULL) {
            munmap(range->base, range->bytes);
            munmap(range->tables, range->tables_bytes);
        }
        disk_close(range->file);
        *range = (struct range){0};
    }
    if (memory.faults >= 0)
        close(memory.faults);
    memory.faults = -1;
}

bool state_memory_open(const char *dir, struct error *err)
{
    CHECK(!atomic_load(&state_memory_is_open));
    snprintf(memory.dir, sizeof(memory.dir), "%s", dir);
    /* addresses for far more than the disk holds: a block may use half of what it takes, a table half of its chunks */
    size_t bytes = RANGE_MIN;
    struct disk *disk = disk_current();
    uint64_t disk_free, disk_bytes;
    if (disk->space(disk, dir, &disk_free, &disk_bytes) == 0) {
        while (bytes < RANGE_MAX && bytes / 8 < disk_bytes)
            bytes *= 2;
    }
    watch_faults();
    for (uint32_t r = 0; r < 2; r++) {
        struct range *range = &memory.ranges[r];
        int code = disk->open_unnamed(disk, dir, &range->file);
        if (code != 0) {
            disk_error(code, "create the spill file in", dir, err);
            goto failed;
        }
        while (!open_range(range, bytes, r == 1) && bytes > ((size_t)1 << 30))
            bytes /= 2;
        if (range->base == NULL) {
            error_set(err, ERRCODE_OUT_OF_MEMORY, "could not reserve addresses for the spill file: %s",
                      strerror(errno));
            goto failed;
        }
    }
    atomic_store(&memory.is_full, false);
    atomic_store(&memory.file_bytes, 0);
    atomic_store(&memory.anonymous_bytes, 0);
    atomic_store(&memory.evicted_bytes, 0);
    state_memory_lazy_bytes = LAZY_FILE_BYTES;
    watch_bus_errors();
    atomic_store(&state_memory_is_open, true);
    return true;
failed:
    forget_ranges();
    return false;
}

void state_memory_close(void)
{
    if (!atomic_exchange(&state_memory_is_open, false))
        return;
    state_memory_lazy_bytes = LAZY_BYTES;
    (void)sigaction(SIGBUS, &memory.bus_before, NULL);
    forget_ranges();
}

void state_memory_stats(struct state_memory_stats *out)
{
    *out = (struct state_memory_stats){.file_bytes = atomic_load(&memory.file_bytes),
                                       .anonymous_bytes = atomic_load(&memory.anonymous_bytes),
                                       .evicted_bytes = atomic_load(&memory.evicted_bytes)};
}

/* ---- for the governor ---- */

/* The regions of the first range, then those of the second: a number may mean another region after the first has
 * grown, which the governor's clock can bear. */
static struct range *region_range(uint32_t *region)
{
    uint32_t first = atomic_load(&memory.ranges[0].regions);
    if (*region < first)
        return &memory.ranges[0];
    *region -= first;
    return *region < atomic_load(&memory.ranges[1].regions) ? &memory.ranges[1] : NULL;
}

uint32_t state_memory_regions(void)
{
    return atomic_load(&memory.ranges[0].regions) + atomic_load(&memory.ranges[1].regions);
}

bool state_memory_region_used(uint32_t region)
{
    struct range *range = region_range(&region);
    for (size_t g = 0; range != NULL && g < REGION_BYTES / GRANULE_BYTES; g++) {
        if ((flags_of(range, (size_t)region * (REGION_BYTES / GRANULE_BYTES) + g) &
             (IS_RESERVED | IS_ANONYMOUS)) == IS_RESERVED)
            return true;
    }
    return false;
}

uint8_t *state_memory_region(uint32_t region)
{
    struct range *range = region_range(&region);
    return range != NULL ? range->base + ((size_t)region << REGION_LOG2) : NULL;
}

void state_memory_evict(uint32_t region, size_t offset, size_t bytes)
{
    struct range *range = region_range(&region);
    if (range == NULL)
        return;
    size_t at = ((size_t)region << REGION_LOG2) + offset, end = at + bytes;
    pthread_mutex_lock(&memory.remap);
    while (at < end) {
        size_t stop = at;
        while (stop < end &&
               (flags_of(range, stop >> GRANULE_LOG2) & (IS_RESERVED | IS_ANONYMOUS)) == IS_RESERVED)
            stop = ((stop >> GRANULE_LOG2) + 1) << GRANULE_LOG2;
        stop = stop < end ? stop : end;
        if (stop > at) {
            (void)madvise(range->base + at, stop - at, MADV_DONTNEED);
            atomic_fetch_add_explicit(&memory.evicted_bytes, (int64_t)(stop - at), memory_order_relaxed);
            at = stop;
        } else {
            at = ((at >> GRANULE_LOG2) + 1) << GRANULE_LOG2;
        }
    }
    pthread_mutex_unlock(&memory.remap);
}

void state_memory_write_out(uint32_t region)
{
    struct range *range = region_range(&region);
    if (range != NULL)
        range->file->disk->write_out(range->file, (uint64_t)region << REGION_LOG2, REGION_BYTES);
}
