/* arena.c: blocks that double in size, the tree of accounts they charge, and what happens when the system has no more. */
#define _GNU_SOURCE /* mmap: MAP_ANONYMOUS */
#include "storage/base/arena.h"

#include "storage/base/error.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define ARENA_BLOCK_MIN ((size_t)4 << 10)
#define ARENA_BLOCK_MAX ((size_t)1 << 20)

struct arena_block {
    struct arena_block *older;
    size_t bytes; /* usable, after the header */
    _Alignas(16) uint8_t data[];
};

void account_init(struct account *account, struct account *parent, const char *name, int64_t limit_bytes)
{
    account->parent = parent;
    account->name = name;
    atomic_init(&account->used_bytes, 0);
    atomic_init(&account->peak_bytes, 0);
    account->limit_bytes = limit_bytes;
    atomic_init(&account->exceeded, false);
    account->is_state = false;
    account->grown = NULL;
    atomic_init(&account->pressed, false);
}

void account_charge(struct account *account, int64_t bytes)
{
    for (; account != NULL; account = account->parent) {
        int64_t used = atomic_fetch_add_explicit(&account->used_bytes, bytes, memory_order_relaxed) + bytes;
        if (used > atomic_load_explicit(&account->peak_bytes, memory_order_relaxed))
            atomic_store_explicit(&account->peak_bytes, used, memory_order_relaxed);
        if (account->limit_bytes > 0)
            atomic_store_explicit(&account->exceeded, used > account->limit_bytes, memory_order_relaxed);
        if (account->parent == NULL && account->grown != NULL && bytes > 0)
            account->grown(bytes);
    }
}

bool account_check(const struct account *account, struct error *err)
{
    const struct account *asking = account;
    for (; account != NULL; account = account->parent) {
        if (UNLIKELY(atomic_load_explicit(&account->exceeded, memory_order_relaxed))) {
            error_set(err, ERRCODE_OUT_OF_MEMORY, "memory limit of %s exceeded", account->name);
            error_detail(err, "%lld bytes are in use, %lld are allowed.",
                         (long long)atomic_load_explicit(&account->used_bytes, memory_order_relaxed),
                         (long long)account->limit_bytes);
            return false;
        }
        if (UNLIKELY(atomic_load_explicit(&account->pressed, memory_order_relaxed)) &&
            atomic_load_explicit(&asking->used_bytes, memory_order_relaxed) >= ACCOUNT_LARGE_BYTES) {
            error_set(err, ERRCODE_OUT_OF_MEMORY, "memory limit of %s exceeded", account->name);
            error_detail(err, "This statement holds %lld bytes while memory is short.",
                         (long long)atomic_load_explicit(&asking->used_bytes, memory_order_relaxed));
            return false;
        }
        if (account->is_state)
            return true;
    }
    if (UNLIKELY(mem_is_short()) &&
        atomic_load_explicit(&asking->used_bytes, memory_order_relaxed) >= ACCOUNT_LARGE_BYTES) {
        error_set(err, ERRCODE_OUT_OF_MEMORY, "the operating system refuses memory");
        error_detail(err, "This statement holds %lld bytes while memory is short.",
                     (long long)atomic_load_explicit(&asking->used_bytes, memory_order_relaxed));
        return false;
    }
    return true;
}

void arena_init(struct arena *arena, struct account *account)
{
    *arena = (struct arena){.block_bytes = ARENA_BLOCK_MIN, .account = account};
}

void arena_release(struct arena *arena)
{
    for (struct arena_block *block = arena->blocks; block != NULL;) {
        struct arena_block *older = block->older;
        free(block);
        block = older;
    }
    account_charge(arena->account, -(int64_t)arena->total_bytes);
    arena_init(arena, arena->account);
}

void arena_reset(struct arena *arena)
{
    struct arena_block *keep = NULL;
    for (struct arena_block *block = arena->blocks; block != NULL; block = block->older) {
        if (keep == NULL || block->bytes > keep->bytes)
            keep = block;
    }
    if (keep == NULL)
        return;
    for (struct arena_block *block = arena->blocks; block != NULL;) {
        struct arena_block *older = block->older;
        if (block != keep)
            free(block);
        block = older;
    }
    account_charge(arena->account, (int64_t)keep->bytes - (int64_t)arena->total_bytes);
    keep->older = NULL;
    arena->blocks = keep;
    arena->next = keep->data;
    arena->end = keep->data + keep->bytes;
    arena->total_bytes = keep->bytes;
}

void *arena_alloc_slow(struct arena *arena, size_t bytes)
{
    size_t rounded = (bytes + 15) & ~(size_t)15;
    CHECK(rounded >= bytes);
    size_t block_bytes = arena->block_bytes;
    if (rounded > block_bytes / 2)
        block_bytes = rounded; /* a large piece gets a block of its own size */
    else if (arena->block_bytes < ARENA_BLOCK_MAX)
        arena->block_bytes *= 2;
    struct arena_block *block = mem_alloc(sizeof(*block) + block_bytes);
    block->bytes = block_bytes;
    arena->total_bytes += block_bytes;
    account_charge(arena->account, (int64_t)block_bytes);
    if (rounded == block_bytes && arena->blocks != NULL) {
        /* keep filling the current block: chain the large one behind it */
        block->older = arena->blocks->older;
        arena->blocks->older = block;
        return block->data;
    }
    block->older = arena->blocks;
    arena->blocks = block;
    arena->next = block->data + rounded;
    arena->end = block->data + block_bytes;
    return block->data;
}

void *arena_zalloc(struct arena *arena, size_t bytes)
{
    void *result = arena_alloc(arena, bytes);
    if (bytes > 0)
        memset(result, 0, bytes);
    return result;
}

void *arena_copy(struct arena *arena, const void *data, size_t bytes)
{
    void *copy = arena_alloc(arena, bytes);
    if (bytes > 0)
        memcpy(copy, data, bytes);
    return copy;
}

char *arena_strdup(struct arena *arena, const char *text)
{
    return arena_copy(arena, text, strlen(text) + 1);
}

char *arena_strndup(struct arena *arena, const char *text, size_t len)
{
    char *copy = arena_alloc(arena, len + 1);
    if (len > 0)
        memcpy(copy, text, len);
    copy[len] = '\0';
    return copy;
}

char *arena_vprintf(struct arena *arena, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int len = vsnprintf(NULL, 0, format, again);
    va_end(again);
    CHECK(len >= 0);
    char *text = arena_alloc(arena, (size_t)len + 1);
    vsnprintf(text, (size_t)len + 1, format, args);
    return text;
}

char *arena_printf(struct arena *arena, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    char *text = arena_vprintf(arena, format, args);
    va_end(args);
    return text;
}

void *arena_grow(struct arena *arena, void *old, size_t old_bytes, size_t new_bytes)
{
    void *grown = arena_alloc(arena, new_bytes);
    if (old_bytes > 0)
        memcpy(grown, old, old_bytes);
    return grown;
}

/* ---- malloc, and what is left when it fails ---- */

#define RESERVE_BYTES ((size_t)32 << 20)

static struct {
    pthread_mutex_t lock;
    void *data;           /* NULL: given up, or never wanted */
    _Atomic bool is_gone; /* and not yet back */
    _Atomic uint64_t given;
} reserve = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* Address space, not memory: where it is counted (strict overcommit, RLIMIT_AS) it is ours, elsewhere it costs nothing. */
static void *map_reserve(void)
{
    void *data = mmap(NULL, RESERVE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    return data != MAP_FAILED ? data : NULL;
}

void mem_keep_reserve(void)
{
    pthread_mutex_lock(&reserve.lock);
    if (reserve.data == NULL)
        reserve.data = map_reserve();
    pthread_mutex_unlock(&reserve.lock);
}

uint64_t mem_given(void)
{
    return atomic_load_explicit(&reserve.given, memory_order_relaxed);
}

bool mem_try_again(uint64_t *given)
{
    pthread_mutex_lock(&reserve.lock);
    bool again = mem_given() != *given;
    if (!again && reserve.data != NULL) {
        munmap(reserve.data, RESERVE_BYTES);
        reserve.data = NULL;
        atomic_store(&reserve.is_gone, true);
        atomic_fetch_add(&reserve.given, 1);
        again = true;
    }
    *given = mem_given();
    pthread_mutex_unlock(&reserve.lock);
    return again;
}

bool mem_is_short(void)
{
    if (LIKELY(!atomic_load_explicit(&reserve.is_gone, memory_order_relaxed)))
        return false;
    pthread_mutex_lock(&reserve.lock);
    if (atomic_load(&reserve.is_gone) && (reserve.data = map_reserve()) != NULL)
        atomic_store(&reserve.is_gone, false);
    bool is_gone = atomic_load(&reserve.is_gone);
    pthread_mutex_unlock(&reserve.lock);
    return is_gone;
}

void mem_refused(size_t bytes)
{
    char text[160];
    int len =
        snprintf(text, sizeof(text),
                 "millrace: the operating system refused %zu bytes of memory: the server ends as if it was "
                 "killed\n",
                 bytes);
    ssize_t written = write(STDERR_FILENO, text, (size_t)len);
    (void)written;
    _exit(MEM_REFUSED_EXIT);
}

static void try_again(uint64_t *given, size_t bytes)
{
    if (!mem_try_again(given))
        mem_refused(bytes);
}

void *mem_alloc(size_t bytes)
{
    void *data;
    bytes += bytes == 0;
    for (uint64_t given = mem_given(); UNLIKELY((data = malloc(bytes)) == NULL);)
        try_again(&given, bytes);
    return data;
}

void *mem_zalloc(size_t bytes)
{
    void *data;
    bytes += bytes == 0;
    for (uint64_t given = mem_given(); UNLIKELY((data = calloc(1, bytes)) == NULL);)
        try_again(&given, bytes);
    return data;
}

void *mem_realloc(void *old, size_t bytes)
{
    void *data;
    bytes += bytes == 0;
    for (uint64_t given = mem_given(); UNLIKELY((data = realloc(old, bytes)) == NULL);)
        try_again(&given, bytes);
    return data;
}

char *mem_strdup(const char *text)
{
    size_t bytes = strlen(text) + 1;
    return memcpy(mem_alloc(bytes), text, bytes);
}

void mem_free(void *data)
{
    free(data);
}
