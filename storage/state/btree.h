/* btree.h: a B+tree from byte strings in memcmp order to 32-bit values, the core of ordered tables and of the
 * secondary indexes of row stores.
 *
 * Nodes of 4 KiB hold whole keys; per entry also the 8 bytes that follow what all keys of the node begin
 * with, so that a search compares integers and looks at key bytes only on a tie. Keys longer than
 * BTREE_KEY_INLINE live in the table's heap. No key may be a prefix of another only if the caller wants
 * prefixes to mean something; the tree does not care. One owner; readers of other threads need a latch. */
#ifndef MILLRACE_STATE_BTREE_H
#define MILLRACE_STATE_BTREE_H

#include "storage/state/slot_pages.h"
#include "storage/state/table_heap.h"

#define BTREE_KEY_INLINE 256u

struct btree_node;

/* What the tree's user wants to know of all entries of a range at once, in any size of range: a summary per node,
 * made when it is first asked for and forgotten when something below the node changes. Zero bytes are the summary
 * of nothing. */
struct btree_summaries {
    uint32_t bytes; /* multiple of 8 */
    /* Adds entries with these values, in order, behind what the summary stands for. */
    void (*add)(void *ctx, void *summary, const uint32_t *values, uint32_t count);
    /* The same with what `part` stands for; it stays as it is. */
    void (*merge)(void *ctx, void *whole, const void *part);
    /* Gives back what the summary holds outside of its bytes. */
    void (*release)(void *ctx, void *summary);
    void *ctx;
};

struct btree {
    struct slot_pages nodes;
    struct table_heap *heap; /* of long keys; borrowed */
    uint32_t root;           /* SLOT_NONE while empty */
    uint64_t entries;
    struct btree_summaries summaries; /* bytes 0: none */
};

void btree_init(struct btree *tree, struct table_heap *heap, struct account *account);
/* Long keys are given back to the heap unless it dies with the tree (keep_heap false). */
void btree_release(struct btree *tree, bool keep_heap);
int64_t btree_bytes(const struct btree *tree);
/* From now on nodes have summaries; before the first entry. btree_release does not call summaries.release: what they
 * hold dies with the heap it is from. */
void btree_summarize(struct btree *tree, const struct btree_summaries *summaries);
/* Adds to `summary` all entries with low <= key < high: O(log n) nodes, where nothing has changed since. */
void btree_fold(const struct btree *tree, const void *low, uint32_t low_bytes, const void *high,
                uint32_t high_bytes, void *summary);

/* Adds the key with *value, or sets *value to what the key has. true when it was added. In either case summaries above
 * it are forgotten, as the caller may change what the value stands for. */
bool btree_insert(struct btree *tree, const void *key, uint32_t key_bytes, uint32_t *value);
/* false when the key is not there. */
bool btree_find(const struct btree *tree, const void *key, uint32_t key_bytes, uint32_t *value);
/* Removes the key; its value to *value (may be NULL). false when it is not there. */
bool btree_remove(struct btree *tree, const void *key, uint32_t key_bytes, uint32_t *value);

/* A place in the tree, valid until it changes. node NULL: past an end. */
struct btree_cursor {
    const struct btree *tree;
    struct btree_node *node;
    uint32_t index;
};
/* First entry >= key; the first of all with key_bytes 0. */
struct btree_cursor btree_seek(const struct btree *tree, const void *key, uint32_t key_bytes);
/* Last entry that is smaller than the prefix or starts with it; the last of all with prefix_bytes 0. */
struct btree_cursor btree_seek_last(const struct btree *tree, const void *prefix, uint32_t prefix_bytes);
void btree_next(struct btree_cursor *cursor);
void btree_prev(struct btree_cursor *cursor);
const uint8_t *btree_key(const struct btree_cursor *cursor, uint32_t *key_bytes);
uint32_t btree_value(const struct btree_cursor *cursor);
/* For tests: CHECKs the order, the fences and the links of all nodes. */
void btree_verify(const struct btree *tree);

#endif
