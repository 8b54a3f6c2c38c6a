/* btree.c: see btree.h.
 *
 * A node is a header, an array of entries that grows up, and key bytes that grow down from the node's end. An
 * inner node's entry i holds a child and a key that is <= every key below the child and > every key below
 * child i - 1; the key of entry 0 is never compared. `shared` bytes begin every key of the node alike (not
 * counted as an optimum: it may be less than is true), `head` is the 8 bytes after them as a big-endian
 * number, zero-padded. Underfull nodes join a neighbour below the same parent. A node's summary stands behind its
 * NODE_BYTES. */
#include "storage/state/btree.h"

#define NODE_BYTES 4096u
#define LONG_KEY   UINT16_MAX /* bytes of such an entry: u32 length, pointer */
#define LONG_BYTES 12u
#define DEPTH_MAX  24u
#define JOIN_BYTES (NODE_BYTES / 4) /* fuller nodes are left alone */

struct btree_entry {
    uint64_t head;
    uint16_t offset; /* of the key bytes within the node */
    uint16_t bytes;  /* of the key, or LONG_KEY */
    uint32_t value;  /* leaf: the value; inner: the child */
};

struct btree_node {
    uint32_t live; /* header of slot_pages */
    uint32_t self;
    uint32_t previous, next; /* neighbours on this level */
    uint16_t level;          /* 0: leaf */
    uint16_t count;
    uint16_t floor;   /* key bytes start here */
    uint16_t garbage; /* key bytes of removed entries above the floor */
    uint32_t shared;
    uint32_t summarized; /* the summary is that of the entries below */
    struct btree_entry entries[];
};

struct key {
    const uint8_t *data;
    uint32_t bytes;
};

static inline struct btree_node *node_at(const struct btree *tree, uint32_t node)
{
    return slot_pages_at(&tree->nodes, node);
}

/* ---- summaries ---- */

static inline void *node_summary(struct btree_node *node)
{
    return (uint8_t *)node + NODE_BYTES;
}

static inline void forget_summary(const struct btree *tree, struct btree_node *node)
{
    if (node->summarized == 0)
        return;
    tree->summaries.release(tree->summaries.ctx, node_summary(node));
    node->summarized = 0;
}

/* ---- keys ---- */

static inline struct key entry_key(const struct btree_node *node, uint32_t index)
{
    const struct btree_entry *entry = &node->entries[index];
    const uint8_t *bytes = (const uint8_t *)node + entry->offset;
    if (LIKELY(entry->bytes != LONG_KEY))
        return (struct key){bytes, entry->bytes};
    struct key key;
    memcpy(&key.bytes, bytes, sizeof(key.bytes));
    memcpy(&key.data, bytes + 4, sizeof(key.data));
    return key;
}

static inline struct key key_of(const void *data, uint32_t bytes)
{
    return (struct key){data != NULL ? data : (const uint8_t *)"", bytes};
}

static inline int key_compare(struct key a, struct key b)
{
    uint32_t least = a.bytes < b.bytes ? a.bytes : b.bytes;
    int order = least > 0 ? memcmp(a.data, b.data, least) : 0;
    return order != 0 ? order : (a.bytes > b.bytes) - (a.bytes < b.bytes);
}

static inline uint64_t key_head(struct key key, uint32_t shared)
{
    uint64_t head = 0;
    if (LIKELY(key.bytes >= shared + 8))
        memcpy(&head, key.data + shared, 8);
    else if (key.bytes > shared)
        memcpy(&head, key.data + shared, key.bytes - shared);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    head = __builtin_bswap64(head);
#endif
    return head;
}

static uint32_t shared_bytes(struct key a, struct key b)
{
    uint32_t least = a.bytes < b.bytes ? a.bytes : b.bytes, n = 0;
    while (n < least && a.data[n] == b.data[n])
        n++;
    return n;
}

static void set_shared(struct btree_node *node, uint32_t shared)
{
    node->shared = shared;
    for (uint32_t i = 0; i < node->count; i++)
        node->entries[i].head = key_head(entry_key(node, i), shared);
}

/* First index whose key is > the given one (or >=, with `or_equal`); inner nodes leave entry 0 out. */
static uint32_t node_search(const struct btree_node *node, struct key key, bool or_equal)
{
    uint32_t low = node->level > 0, high = node->count;
    if (low >= high)
        return low;
    if (node->shared > 0) {
        struct key first = entry_key(node, low);
        uint32_t least = key.bytes < node->shared ? key.bytes : node->shared;
        int order = memcmp(key.data, first.data, least);
        if (order < 0 || (order == 0 && key.bytes < node->shared))
            return low;
        if (order > 0)
            return high;
    }
    uint64_t head = key_head(key, node->shared);
    while (low < high) {
        uint32_t middle = (low + high) / 2;
        const struct btree_entry *entry = &node->entries[middle];
        bool right; /* the place is right of the middle */
        if (entry->head != head) {
            right = entry->head < head;
        } else {
            int order = key_compare(entry_key(node, middle), key);
            right = or_equal ? order < 0 : order <= 0;
        }
        if (right)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* ---- nodes ---- */

static uint32_t node_create(struct btree *tree, uint16_t level)
{
    uint32_t number = slot_pages_alloc(&tree->nodes);
    struct btree_node *node = node_at(tree, number);
    *node = (struct btree_node){.live = SLOT_LIVE,
                                .self = number,
                                .previous = SLOT_NONE,
                                .next = SLOT_NONE,
                                .level = level,
                                .floor = NODE_BYTES};
    return number;
}

static uint32_t stored_bytes(const struct btree_entry *entry)
{
    return entry->bytes == LONG_KEY ? LONG_BYTES : entry->bytes;
}

static uint32_t node_used(const struct btree_node *node)
{
    return (uint32_t)sizeof(*node) + node->count * (uint32_t)sizeof(struct btree_entry) + NODE_BYTES -
           node->floor - node->garbage;
}

/* Moves entries [first, first + count) of one node behind those of another, long keys with them. */
static void move_entries(struct btree_node *to, const struct btree_node *from, uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        struct btree_entry *entry = &to->entries[to->count];
        *entry = from->entries[i];
        uint32_t bytes = stored_bytes(entry);
        to->floor = (uint16_t)(to->floor - bytes);
        memcpy((uint8_t *)to + to->floor, (const uint8_t *)from + entry->offset, bytes);
        entry->offset = to->floor;
        to->count++;
    }
}

/* Recomputes what all keys share (entry 0 of an inner node does not count) and the heads. */
static void node_tune(struct btree_node *node)
{
    uint32_t first = node->level > 0;
    if (node->count <= first) {
        node->shared = 0;
        return;
    }
    set_shared(node, shared_bytes(entry_key(node, first), entry_key(node, node->count - 1u)));
}

static void node_compact(struct btree_node *node)
{
    uint8_t copy_bytes[NODE_BYTES] __attribute__((aligned(16)));
    const struct btree_node *copy = (const struct btree_node *)(const void *)copy_bytes;
    memcpy(copy_bytes, node, NODE_BYTES);
    uint32_t count = node->count;
    node->count = 0;
    node->garbage = 0;
    node->floor = NODE_BYTES;
    move_entries(node, copy, 0, count);
}

static bool node_fits(const struct btree_node *node, uint32_t bytes)
{
    return node_used(node) + sizeof(struct btree_entry) + bytes <= NODE_BYTES;
}

static void node_insert(struct btree *tree, struct btree_node *node, uint32_t at, struct key key,
                        uint32_t value)
{
    bool is_long = key.bytes > BTREE_KEY_INLINE;
    uint32_t bytes = is_long ? LONG_BYTES : key.bytes;
    if (sizeof(*node) + (node->count + 1u) * sizeof(struct btree_entry) + bytes > node->floor)
        node_compact(node);
    node->floor = (uint16_t)(node->floor - bytes);
    uint8_t *place = (uint8_t *)node + node->floor;
    if (is_long) {
        uint8_t *copy = table_heap_alloc(tree->heap, key.bytes);
        memcpy(copy, key.data, key.bytes);
        memcpy(place, &key.bytes, sizeof(key.bytes));
        memcpy(place + 4, &copy, sizeof(copy));
    } else if (bytes > 0) {
        memcpy(place, key.data, bytes);
    }
    memmove(&node->entries[at + 1], &node->entries[at], (node->count - at) * sizeof(struct btree_entry));
    node->entries[at] = (struct btree_entry){.head = key_head(key, node->shared),
                                             .offset = node->floor,
                                             .bytes = is_long ? LONG_KEY : (uint16_t)bytes,
                                             .value = value};
    node->count++;
    uint32_t first = node->level > 0;
    if (at < first)
        return;
    if (node->count - first == 1) {
        node_tune(node);
    } else if (node->shared > 0) {
        uint32_t other = at == first ? first + 1 : first;
        uint32_t shared = shared_bytes(key, entry_key(node, other));
        if (shared < node->shared)
            set_shared(node, shared);
    }
}

static void node_remove(struct btree *tree, struct btree_node *node, uint32_t at)
{
    struct btree_entry *entry = &node->entries[at];
    if (entry->bytes == LONG_KEY) {
        struct key key = entry_key(node, at);
        table_heap_release(tree->heap, (void *)(uintptr_t)key.data, key.bytes);
    }
    node->garbage = (uint16_t)(node->garbage + stored_bytes(entry));
    node->count--;
    memmove(entry, entry + 1, (node->count - at) * sizeof(*entry));
    if (node->count == 0) {
        node->floor = NODE_BYTES;
        node->garbage = 0;
    }
}

/* ---- descending ---- */

struct path {
    struct btree_node *nodes[DEPTH_MAX]; /* by level */
    uint32_t child[DEPTH_MAX];           /* which entry was followed */
    uint32_t height;
};

static struct btree_node *descend(const struct btree *tree, struct key key, struct path *path)
{
    struct btree_node *node = node_at(tree, tree->root);
    if (path != NULL)
        path->height = node->level + 1u;
    while (node->level > 0) {
        uint32_t at = node_search(node, key, false) - 1;
        if (path != NULL) {
            path->nodes[node->level] = node;
            path->child[node->level] = at;
        }
        node = node_at(tree, node->entries[at].value);
    }
    if (path != NULL)
        path->nodes[0] = node;
    return node;
}

static inline void path_changes(const struct btree *tree, const struct path *path)
{
    for (uint32_t level = 0; tree->summaries.bytes > 0 && level < path->height; level++)
        forget_summary(tree, path->nodes[level]);
}

static inline bool entry_is(const struct btree_node *node, uint32_t at, struct key key)
{
    return at < node->count && node->entries[at].head == key_head(key, node->shared) &&
           key_compare(entry_key(node, at), key) == 0;
}

/* ---- inserting ---- */

/* Half of the node's bytes go to a new right neighbour. When the new key comes at the very end the node stays
 * nearly full instead: keys that arrive in order fill the nodes. */
static struct btree_node *node_split(struct btree *tree, struct btree_node *node, uint32_t insert_at)
{
    struct btree_node *right = node_at(tree, node_create(tree, node->level));
    uint32_t keep = node->count - 1u;
    if (insert_at < node->count || node->next != SLOT_NONE) {
        uint32_t half = node_used(node) / 2, sum = sizeof(*node);
        for (keep = 0; keep < node->count - 1u && sum < half; keep++)
            sum += (uint32_t)sizeof(struct btree_entry) + stored_bytes(&node->entries[keep]);
    }
    if (keep == 0)
        keep = 1;
    move_entries(right, node, keep, node->count - keep);
    for (uint32_t i = keep; i < node->count; i++)
        node->garbage = (uint16_t)(node->garbage + stored_bytes(&node->entries[i]));
    node->count = (uint16_t)keep;
    right->next = node->next;
    right->previous = node->self;
    if (right->next != SLOT_NONE)
        node_at(tree, right->next)->previous = right->self;
    node->next = right->self;
    node_compact(node);
    node_tune(node);
    node_tune(right);
    return right;
}

/* The shortest key that is > the last of the left node and <= the first of the right one. */
static struct key separator(const struct btree_node *left, const struct btree_node *right)
{
    struct key a = entry_key(left, left->count - 1u), b = entry_key(right, 0);
    if (left->level > 0)
        return b;
    uint32_t bytes = shared_bytes(a, b) + 1;
    return (struct key){b.data, bytes < b.bytes ? bytes : b.bytes};
}

static void insert_up(struct btree *tree, struct path *path, uint32_t level, uint32_t at, struct key key,
                      uint32_t value)
{
    if (level == path->height) {
        /* a new root over the old one */
        CHECK(level < DEPTH_MAX);
        uint32_t old_root = tree->root;
        tree->root = node_create(tree, (uint16_t)level);
        struct btree_node *root = node_at(tree, tree->root);
        node_insert(tree, root, 0, (struct key){NULL, 0}, old_root);
        node_insert(tree, root, 1, key, value);
        return;
    }
    struct btree_node *node = path->nodes[level];
    uint32_t bytes = key.bytes > BTREE_KEY_INLINE ? LONG_BYTES : key.bytes;
    if (node_fits(node, bytes)) {
        node_insert(tree, node, at, key, value);
        return;
    }
    struct btree_node *right = node_split(tree, node, at);
    if (at > node->count)
        node_insert(tree, right, at - node->count, key, value);
    else
        node_insert(tree, node, at, key, value);
    uint32_t parent_at = level + 1 < path->height ? path->child[level + 1] + 1 : 1;
    insert_up(tree, path, level + 1, parent_at, separator(node, right), right->self);
}

bool btree_insert(struct btree *tree, const void *data, uint32_t bytes, uint32_t *value)
{
    struct key key = key_of(data, bytes);
    if (tree->root == SLOT_NONE)
        tree->root = node_create(tree, 0);
    struct path path;
    struct btree_node *leaf = descend(tree, key, &path);
    path_changes(tree, &path);
    uint32_t at = node_search(leaf, key, true);
    if (entry_is(leaf, at, key)) {
        *value = leaf->entries[at].value;
        return false;
    }
    insert_up(tree, &path, 0, at, key, *value);
    tree->entries++;
    return true;
}

/* ---- removing ---- */

static void node_free(struct btree *tree, struct btree_node *node)
{
    forget_summary(tree, node);
    if (node->previous != SLOT_NONE)
        node_at(tree, node->previous)->next = node->next;
    if (node->next != SLOT_NONE)
        node_at(tree, node->next)->previous = node->previous;
    slot_pages_free(&tree->nodes, node->self);
}

/* The entries of `right` move into `left`, its neighbour below the same parent, when they fit. */
static bool join(struct btree *tree, struct btree_node *parent, uint32_t right_at)
{
    struct btree_node *left = node_at(tree, parent->entries[right_at - 1].value);
    struct btree_node *right = node_at(tree, parent->entries[right_at].value);
    struct key fence = entry_key(parent, right_at);
    /* an inner node's first key is not kept up to date: the fence above takes its place */
    uint32_t extra = right->level > 0 ? BTREE_KEY_INLINE : 0;
    if (node_used(left) + node_used(right) + extra > NODE_BYTES * 3 / 4)
        return false;
    forget_summary(tree, left);
    node_compact(left);
    if (right->level > 0) {
        uint32_t child = right->entries[0].value;
        node_remove(tree, right, 0);
        left->shared = 0;
        set_shared(left, 0);
        node_insert(tree, left, left->count, fence, child);
    }
    move_entries(left, right, 0, right->count);
    node_tune(left);
    node_free(tree, right);
    node_remove(tree, parent, right_at);
    return true;
}

static void repair(struct btree *tree, struct path *path)
{
    for (uint32_t level = 0; level + 1 < path->height; level++) {
        struct btree_node *node = path->nodes[level], *parent = path->nodes[level + 1];
        uint32_t at = path->child[level + 1];
        if (node_used(node) > JOIN_BYTES && node->count > 0)
            return;
        if (node->count == 0) {
            node_free(tree, node);
            node_remove(tree, parent, at);
            continue;
        }
        if ((at == 0 || !join(tree, parent, at)) && (at + 1u >= parent->count || !join(tree, parent, at + 1)))
            return;
    }
    struct btree_node *root = node_at(tree, tree->root);
    while (root->level > 0 && root->count == 1) {
        uint32_t child = root->entries[0].value;
        node_remove(tree, root, 0);
        slot_pages_free(&tree->nodes, tree->root);
        tree->root = child;
        root = node_at(tree, child);
    }
    if (root->count == 0) {
        slot_pages_clear(&tree->nodes);
        tree->root = SLOT_NONE;
    }
}

bool btree_remove(struct btree *tree, const void *data, uint32_t bytes, uint32_t *value)
{
    if (tree->root == SLOT_NONE)
        return false;
    struct key key = key_of(data, bytes);
    struct path path;
    struct btree_node *leaf = descend(tree, key, &path);
    uint32_t at = node_search(leaf, key, true);
    if (!entry_is(leaf, at, key))
        return false;
    if (value != NULL)
        *value = leaf->entries[at].value;
    path_changes(tree, &path);
    node_remove(tree, leaf, at);
    tree->entries--;
    repair(tree, &path);
    return true;
}

/* ---- reading ---- */

bool btree_find(const struct btree *tree, const void *data, uint32_t bytes, uint32_t *value)
{
    if (tree->root == SLOT_NONE)
        return false;
    struct key key = key_of(data, bytes);
    struct btree_node *leaf = descend(tree, key, NULL);
    uint32_t at = node_search(leaf, key, true);
    if (!entry_is(leaf, at, key))
        return false;
    *value = leaf->entries[at].value;
    return true;
}

struct btree_cursor btree_seek(const struct btree *tree, const void *data, uint32_t bytes)
{
    struct btree_cursor cursor = {.tree = tree};
    if (tree->root == SLOT_NONE)
        return cursor;
    struct key key = key_of(data, bytes);
    cursor.node = descend(tree, key, NULL);
    cursor.index = node_search(cursor.node, key, true);
    if (cursor.index == cursor.node->count) {
        cursor.index--;
        btree_next(&cursor);
    }
    return cursor;
}

/* Whether the entry is smaller than the prefix or starts with it. */
static bool within(const struct btree_node *node, uint32_t at, struct key prefix)
{
    struct key key = entry_key(node, at);
    uint32_t least = key.bytes < prefix.bytes ? key.bytes : prefix.bytes;
    return least == 0 || memcmp(key.data, prefix.data, least) <= 0;
}

struct btree_cursor btree_seek_last(const struct btree *tree, const void *data, uint32_t bytes)
{
    struct btree_cursor cursor = {.tree = tree};
    if (tree->root == SLOT_NONE)
        return cursor;
    struct key prefix = key_of(data, bytes);
    struct btree_node *node = node_at(tree, tree->root);
    for (;;) {
        uint32_t low = node->level > 0, high = node->count;
        while (low < high) {
            uint32_t middle = (low + high) / 2;
            if (within(node, middle, prefix))
                low = middle + 1;
            else
                high = middle;
        }
        if (node->level == 0) {
            cursor.node = node;
            cursor.index = low - 1;
            if (low == 0) {
                cursor.index = 0;
                btree_prev(&cursor);
            }
            return cursor;
        }
        node = node_at(tree, node->entries[low - 1].value);
    }
}

void btree_next(struct btree_cursor *cursor)
{
    if (cursor->node == NULL || ++cursor->index < cursor->node->count)
        return;
    uint32_t next = cursor->node->next;
    cursor->node = next == SLOT_NONE ? NULL : node_at(cursor->tree, next);
    cursor->index = 0;
    if (cursor->node != NULL && cursor->node->next != SLOT_NONE)
        __builtin_prefetch(node_at(cursor->tree, cursor->node->next));
}

void btree_prev(struct btree_cursor *cursor)
{
    if (cursor->node == NULL)
        return;
    if (cursor->index > 0) {
        cursor->index--;
        return;
    }
    uint32_t previous = cursor->node->previous;
    cursor->node = previous == SLOT_NONE ? NULL : node_at(cursor->tree, previous);
    if (cursor->node != NULL)
        cursor->index = cursor->node->count - 1u;
}

const uint8_t *btree_key(const struct btree_cursor *cursor, uint32_t *key_bytes)
{
    struct key key = entry_key(cursor->node, cursor->index);
    *key_bytes = key.bytes;
    return key.data;
}

uint32_t btree_value(const struct btree_cursor *cursor)
{
    return cursor->node->entries[cursor->index].value;
}

/* ---- summaries ---- */

static uint32_t leaf_values(const struct btree_node *node, uint32_t first, uint32_t end, uint32_t *values)
{
    uint32_t count = 0;
    for (uint32_t i = first; i < end; i++)
        values[count++] = node->entries[i].value;
    return count;
}

static const void *summary_of(const struct btree *tree, struct btree_node *node)
{
    const struct btree_summaries *summaries = &tree->summaries;
    void *summary = node_summary(node);
    if (node->summarized != 0)
        return summary;
    memset(summary, 0, summaries->bytes);
    if (node->level == 0) {
        uint32_t values[NODE_BYTES / sizeof(struct btree_entry)];
        summaries->add(summaries->ctx, summary, values, leaf_values(node, 0, node->count, values));
    } else {
        for (uint32_t i = 0; i < node->count; i++)
            summaries->merge(summaries->ctx, summary,
                             summary_of(tree, node_at(tree, node->entries[i].value)));
    }
    node->summarized = 1;
    return summary;
}

/* low, high NULL: the node is within on that side. */
static void fold_node(const struct btree *tree, struct btree_node *node, const struct key *low,
                      const struct key *high, void *summary)
{
    const struct btree_summaries *summaries = &tree->summaries;
    if (low == NULL && high == NULL) {
        summaries->merge(summaries->ctx, summary, summary_of(tree, node));
        return;
    }
    if (node->level == 0) {
        uint32_t values[NODE_BYTES / sizeof(struct btree_entry)];
        uint32_t first = low != NULL ? node_search(node, *low, true) : 0;
        uint32_t end = high != NULL ? node_search(node, *high, true) : node->count;
        if (first < end)
            summaries->add(summaries->ctx, summary, values, leaf_values(node, first, end, values));
        return;
    }
    uint32_t first = low != NULL ? node_search(node, *low, false) - 1 : 0;
    uint32_t last = high != NULL ? node_search(node, *high, false) - 1 : node->count - 1u;
    for (uint32_t i = first; i <= last; i++)
        fold_node(tree, node_at(tree, node->entries[i].value), i == first ? low : NULL,
                  i == last ? high : NULL, summary);
}

void btree_fold(const struct btree *tree, const void *low, uint32_t low_bytes, const void *high,
                uint32_t high_bytes, void *summary)
{
    struct key from = key_of(low, low_bytes), to = key_of(high, high_bytes);
    if (tree->root != SLOT_NONE)
        fold_node(tree, node_at(tree, tree->root), &from, &to, summary);
}

/* ---- life ---- */

void btree_init(struct btree *tree, struct table_heap *heap, struct account *account)
{
    *tree = (struct btree){.heap = heap, .root = SLOT_NONE};
    slot_pages_init(&tree->nodes, NODE_BYTES, 1, account);
}

void btree_summarize(struct btree *tree, const struct btree_summaries *summaries)
{
    CHECK(tree->root == SLOT_NONE && summaries->bytes % 8 == 0);
    tree->summaries = *summaries;
    slot_pages_init(&tree->nodes, NODE_BYTES + summaries->bytes, 1, tree->nodes.account);
}

void btree_release(struct btree *tree, bool keep_heap)
{
    for (uint32_t n = 0; keep_heap && n < tree->nodes.used; n++) {
        struct btree_node *node = node_at(tree, n);
        for (uint32_t i = 0; node->live != 0 && i < node->count; i++) {
            struct key key = entry_key(node, i);
            if (node->entries[i].bytes == LONG_KEY)
                table_heap_release(tree->heap, (void *)(uintptr_t)key.data, key.bytes);
        }
    }
    slot_pages_release(&tree->nodes);
    tree->root = SLOT_NONE;
    tree->entries = 0;
}

int64_t btree_bytes(const struct btree *tree)
{
    return slot_pages_bytes(&tree->nodes);
}

/* ---- verifying ---- */

static uint64_t verify_node(const struct btree *tree, const struct btree_node *node, struct key low,
                            struct key high)
{
    CHECK(node->live == SLOT_LIVE && node->count > 0);
    uint64_t entries = 0;
    for (uint32_t i = 0; i < node->count; i++) {
        struct key key = entry_key(node, i);
        bool fence_only = node->level > 0 && i == 0;
        CHECK(fence_only || i == 0 || node->entries[i].head == key_head(key, node->shared));
        CHECK(fence_only || low.data == NULL || key_compare(key, low) >= 0);
        CHECK(fence_only || high.data == NULL || key_compare(key, high) < 0);
        CHECK(i <= (node->level > 0) || key_compare(entry_key(node, i - 1), key) < 0);
        if (node->level == 0) {
            entries++;
            continue;
        }
        const struct btree_node *child = node_at(tree, node->entries[i].value);
        CHECK(child->level + 1 == node->level);
        if (i + 1u < node->count)
            CHECK(child->next == node->entries[i + 1].value);
        CHECK(child->next == SLOT_NONE || node_at(tree, child->next)->previous == child->self);
        entries += verify_node(tree, child, fence_only ? low : key,
                               i + 1u < node->count ? entry_key(node, i + 1) : high);
    }
    return entries;
}

void btree_verify(const struct btree *tree)
{
    struct key open = {NULL, 0};
    uint64_t entries = 0;
    if (tree->root != SLOT_NONE)
        entries = verify_node(tree, node_at(tree, tree->root), open, open);
    CHECK(entries == tree->entries);
}
