/* table_heap.c: size classes over chunks that double.
 *
 * Classes go in steps of 16 bytes up to 256, then four per doubling up to 16 KiB; larger blocks stand alone
 * in a list. The size is known to whoever frees, so that small blocks carry no header. What remains of a
 * chunk that is too short for a request goes onto the free lists. When the last block is freed, all chunks
 * but the first are given back. */
#include "storage/state/table_heap.h"

#include "storage/state/slot_pages.h"

#define CHUNK_MIN   ((size_t)1 << 10)
#define CHUNK_MAX   ((size_t)4 << 20) /* takes huge pages */
#define SMALL_MAX   256u
#define CLASSED_MAX 16384u
#define CLASSES     (SMALL_MAX / 16 + 4 * 6)

struct heap_chunk {
    struct heap_chunk *older;
    size_t bytes;
    _Alignas(16) uint8_t data[];
};

struct heap_large {
    struct heap_large *previous, *next;
    size_t bytes;
    _Alignas(16) uint8_t data[];
};

struct free_block {
    struct free_block *next;
};

struct table_heap {
    struct account *account;
    struct heap_chunk *chunks; /* newest first; the oldest stays */
    struct heap_large *large;
    uint8_t *next, *end;
    size_t chunk_bytes;
    uint64_t live; /* blocks handed out of chunks */
    int64_t bytes;
    struct free_block *free[CLASSES];
};

struct table_heap *table_heap_create(struct account *account)
{
    struct table_heap *heap = mem_zalloc(sizeof(*heap));
    heap->account = account;
    heap->chunk_bytes = CHUNK_MIN;
    heap->bytes = (int64_t)sizeof(*heap);
    account_charge(account, heap->bytes);
    return heap;
}

static void charge(struct table_heap *heap, int64_t bytes)
{
    heap->bytes += bytes;
    account_charge(heap->account, bytes);
}

static void *piece_alloc(size_t bytes)
{
    return memory_is_lazy(bytes) ? memory_map(bytes, MEMORY_HUGE) : mem_alloc(bytes);
}

static void piece_free(void *piece, size_t bytes)
{
    if (memory_is_lazy(bytes))
        memory_unmap(piece, bytes);
    else
        mem_free(piece);
}

void table_heap_destroy(struct table_heap *heap)
{
    if (heap == NULL)
        return;
    for (struct heap_chunk *chunk = heap->chunks; chunk != NULL;) {
        struct heap_chunk *older = chunk->older;
        piece_free(chunk, sizeof(*chunk) + chunk->bytes);
        chunk = older;
    }
    for (struct heap_large *large = heap->large; large != NULL;) {
        struct heap_large *next = large->next;
        piece_free(large, sizeof(*large) + large->bytes);
        large = next;
    }
    account_charge(heap->account, -heap->bytes);
    mem_free(heap);
}

/* Class of a size, and the size of the blocks of that class. */
static uint32_t class_of(uint32_t bytes, uint32_t *block_bytes)
{
    if (bytes <= SMALL_MAX) {
        uint32_t class = bytes == 0 ? 0 : (bytes - 1) / 16;
        *block_bytes = (class + 1) * 16;
        return class;
    }
    uint32_t log2 = 31 - (uint32_t)__builtin_clz(bytes - 1); /* 256 <= 1 << log2 < bytes */
    uint32_t quarter = UINT32_C(1) << (log2 - 2);
    uint32_t step = (bytes - 1 - (UINT32_C(1) << log2)) / quarter; /* 0..3 */
    *block_bytes = (UINT32_C(1) << log2) + (step + 1) * quarter;
    return SMALL_MAX / 16 + (log2 - 8) * 4 + step;
}

static void push_free(struct table_heap *heap, uint32_t class, void *data)
{
    struct free_block *block = data;
    block->next = heap->free[class];
    heap->free[class] = block;
}

static void add_chunk(struct table_heap *heap)
{
    /* the rest of the old chunk, in pieces that are exactly a class */
    while ((size_t)(heap->end - heap->next) >= 16) {
        size_t rest = (size_t)(heap->end - heap->next);
        uint32_t piece = rest >= SMALL_MAX ? SMALL_MAX : (uint32_t)rest & ~15u;
        push_free(heap, piece / 16 - 1, heap->next);
        heap->next += piece;
    }
    struct heap_chunk *chunk = piece_alloc(heap->chunk_bytes);
    chunk->bytes = heap->chunk_bytes - sizeof(*chunk);
    chunk->older = heap->chunks;
    heap->chunks = chunk;
    heap->next = chunk->data;
    heap->end = chunk->data + chunk->bytes;
    charge(heap, (int64_t)(sizeof(*chunk) + chunk->bytes));
    if (heap->chunk_bytes < CHUNK_MAX)
        heap->chunk_bytes *= 2;
}

void *table_heap_alloc(struct table_heap *heap, uint32_t bytes)
{
    if (UNLIKELY(bytes > CLASSED_MAX)) {
        struct heap_large *large = piece_alloc(sizeof(*large) + bytes);
        large->bytes = bytes;
        large->previous = NULL;
        large->next = heap->large;
        if (heap->large != NULL)
            heap->large->previous = large;
        heap->large = large;
        charge(heap, (int64_t)sizeof(*large) + bytes);
        return large->data;
    }
    uint32_t block_bytes, class = class_of(bytes, &block_bytes);
    heap->live++;
    struct free_block *block = heap->free[class];
    if (block != NULL) {
        heap->free[class] = block->next;
        return block;
    }
    while (UNLIKELY((size_t)(heap->end - heap->next) < block_bytes))
        add_chunk(heap);
    void *data = heap->next;
    heap->next += block_bytes;
    return data;
}

/* Nothing is in use any more: back to the first chunk. */
static void shrink(struct table_heap *heap)
{
    while (heap->chunks->older != NULL) {
        struct heap_chunk *older = heap->chunks->older;
        charge(heap, -(int64_t)(sizeof(*heap->chunks) + heap->chunks->bytes));
        piece_free(heap->chunks, sizeof(*heap->chunks) + heap->chunks->bytes);
        heap->chunks = older;
    }
    memset(heap->free, 0, sizeof(heap->free));
    heap->next = heap->chunks->data;
    heap->end = heap->next + heap->chunks->bytes;
    heap->chunk_bytes = CHUNK_MIN * 2;
}

void table_heap_release(struct table_heap *heap, void *block, uint32_t bytes)
{
    if (UNLIKELY(bytes > CLASSED_MAX)) {
        struct heap_large *large =
            (struct heap_large *)(void *)((uint8_t *)block - offsetof(struct heap_large, data));
        if (large->previous != NULL)
            large->previous->next = large->next;
        else
            heap->large = large->next;
        if (large->next != NULL)
            large->next->previous = large->previous;
        charge(heap, -((int64_t)sizeof(*large) + bytes));
        piece_free(large, sizeof(*large) + bytes);
        return;
    }
    uint32_t block_bytes, class = class_of(bytes, &block_bytes);
    if (--heap->live == 0)
        shrink(heap);
    else
        push_free(heap, class, block);
}

struct varlen table_heap_store(struct table_heap *heap, const struct varlen *value)
{
    if (value->len <= VARLEN_INLINE_MAX)
        return *value;
    void *copy = table_heap_alloc(heap, value->len);
    memcpy(copy, varlen_bytes(value), value->len);
    return varlen_view(copy, value->len);
}

void table_heap_free(struct table_heap *heap, const struct varlen *value)
{
    if (value->len > VARLEN_INLINE_MAX)
        table_heap_release(heap, (void *)(uintptr_t)varlen_bytes(value), value->len);
}

int64_t table_heap_bytes(const struct table_heap *heap)
{
    return heap->bytes;
}
