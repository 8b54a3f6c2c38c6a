/* table_heap.h: the variable-length bytes of one state table.
 *
 * A size-class allocator with free lists over large chunks: no malloc per row. Values up to VARLEN_INLINE_MAX
 * never get here. Owned by the table's worker; not thread safe. */
#ifndef MILLRACE_STATE_TABLE_HEAP_H
#define MILLRACE_STATE_TABLE_HEAP_H

#include "storage/data/datum.h"

struct table_heap;

struct table_heap *table_heap_create(struct account *account);
void table_heap_destroy(struct table_heap *heap);
/* A copy of the value whose bytes the heap owns. */
struct varlen table_heap_store(struct table_heap *heap, const struct varlen *value);
/* Gives back the bytes of a stored value; inline values need none. */
void table_heap_free(struct table_heap *heap, const struct varlen *value);
/* Raw blocks for state of variable size (exact float sums, decimal accumulators). */
void *table_heap_alloc(struct table_heap *heap, uint32_t bytes);
void table_heap_release(struct table_heap *heap, void *block, uint32_t bytes);
int64_t table_heap_bytes(const struct table_heap *heap);

#endif
