/* hash_index.c: see hash_index.h.
 *
 * Invariants: for every entry, each bucket between its home and the bucket before its place has counted it in
 * `sent` (or that count sticks at its maximum); bucket[0].extra of a segment is its number of entries,
 * chained segments count their own; a segment standing for d hash bits fills 2^(depth - d) neighbouring
 * directory entries. */
#include "storage/state/hash_index.h"

#include <stdlib.h>

#define SEGMENT_BYTES (SEGMENT_BUCKETS * sizeof(struct hash_bucket))
#define DEPTH_MAX     25u
#define SENT_MAX      UINT16_MAX
#define BULK_BITS     8u     /* of the hash: so many parts */
#define BULK_ENTRIES  8192u  /* collected for a part: what goes into it in one go */
#define BULK_AHEAD    24u    /* whose buckets are on their way */
#define BULK_MIN      65536u /* an index of fewer entries is in the cache anyway */

struct entry {
    uint32_t slot;
    uint32_t hash31;
    uint8_t tag;
};

/* Of an entry: the slot, and above it the bits of the hash that its part does not say, and the tag. */
struct bulk_part {
    uint64_t entries[BULK_ENTRIES];
    uint8_t pad[64]; /* or the ends of all parts would lie in the same few lines of the cache */
};

struct hash_bulk {
    uint32_t counts[1u << BULK_BITS];
    struct bulk_part parts[1u << BULK_BITS];
};

static uint64_t bulk_pack(uint64_t hash, uint32_t slot)
{
    uint64_t low = hash_31(hash) & ((UINT32_C(1) << (31 - BULK_BITS)) - 1);
    return slot | low << 32 | (uint64_t)hash_tag(hash) << 56;
}

static struct entry bulk_unpack(uint64_t packed, uint32_t part)
{
    return (struct entry){.slot = (uint32_t)packed,
                          .hash31 = ((uint32_t)(packed >> 32) & ((UINT32_C(1) << (31 - BULK_BITS)) - 1)) |
                                    part << (31 - BULK_BITS),
                          .tag = (uint8_t)(packed >> 56)};
}

static struct hash_bucket *chained(const struct hash_bucket *segment, uint32_t bucket_mask)
{
    if (bucket_mask < 4)
        return NULL; /* segments that small are enlarged, never chained */
    uintptr_t address = 0;
    for (uint32_t i = 0; i < 4; i++)
        address |= (uintptr_t)segment[1 + i].extra << (16 * i);
    return (struct hash_bucket *)address;
}

static void set_chained(struct hash_bucket *segment, struct hash_bucket *next)
{
    for (uint32_t i = 0; i < 4; i++)
        segment[1 + i].extra = (uint16_t)((uintptr_t)next >> (16 * i));
}

static void charge(struct hash_index *index, int64_t bytes)
{
    index->charged += bytes;
    account_charge(index->account, bytes);
}

/* ---- memory of segments ---- */

/* Segments of full size are never given back one by one: the directory does not shrink before
 * hash_index_clear. */
static struct hash_bucket *segment_alloc(struct hash_index *index, uint32_t bucket_mask)
{
    index->segments_count++;
    size_t bytes = (bucket_mask + 1) * sizeof(struct hash_bucket);
    if (bytes < SEGMENT_BYTES) {
        charge(index, (int64_t)bytes);
        return memory_map(bytes, 0);
    }
    struct hash_bucket *segment = slot_pages_at(&index->blocks, slot_pages_alloc(&index->blocks));
    return memset(segment, 0, SEGMENT_BYTES);
}

static void small_segment_free(struct hash_index *index, struct hash_bucket *segment, uint32_t bucket_mask)
{
    size_t bytes = (bucket_mask + 1) * sizeof(struct hash_bucket);
    charge(index, -(int64_t)bytes);
    memory_unmap(segment, bytes);
}

static void start_empty(struct hash_index *index)
{
    index->depth = 0;
    index->bucket_mask = 0;
    index->segments_count = 0;
    index->entries = 0;
    index->directory = mem_alloc(sizeof(*index->directory));
    charge(index, (int64_t)sizeof(*index->directory));
    index->directory[0] = (uintptr_t)segment_alloc(index, 0);
}

void hash_index_init(struct hash_index *index, uint32_t (*hash_of)(void *, uint32_t),
                     void (*prefetch)(void *, uint32_t), void *ctx, struct account *account)
{
    *index = (struct hash_index){.hash_of = hash_of, .prefetch = prefetch, .ctx = ctx, .account = account};
    slot_pages_init(&index->blocks, SEGMENT_BYTES, 1, account);
    start_empty(index);
}

void hash_index_release(struct hash_index *index)
{
    if (index->directory == NULL)
        return;
    if (index->bulk != NULL)
        charge(index, -(int64_t)sizeof(*index->bulk));
    mem_free(index->bulk);
    index->bulk = NULL;
    if (index->bucket_mask < SEGMENT_BUCKETS - 1)
        small_segment_free(index, hash_segment_of(index, 0), index->bucket_mask);
    mem_free(index->directory);
    index->directory = NULL;
    charge(index, -index->charged);
    slot_pages_release(&index->blocks);
}

void hash_index_clear(struct hash_index *index)
{
    hash_index_release(index);
    start_empty(index);
}

int64_t hash_index_bytes(const struct hash_index *index)
{
    return index->charged + slot_pages_bytes(&index->blocks);
}

void hash_index_reserve(struct hash_index *index, uint64_t entries)
{
    const uint64_t segment_entries = SEGMENT_BUCKETS * BUCKET_SLOTS * 3 / 4; /* hashes fall unevenly */
    if (index->entries > 0 || index->depth > 0 || entries <= segment_entries || index->bulk != NULL)
        return;
    hash_index_release(index);
    while (index->depth < DEPTH_MAX && segment_entries << index->depth < entries)
        index->depth++;
    size_t segments = (size_t)1 << index->depth;
    index->bucket_mask = SEGMENT_BUCKETS - 1;
    index->segments_count = 0;
    index->directory = mem_alloc(sizeof(*index->directory) * segments);
    charge(index, (int64_t)(sizeof(*index->directory) * segments));
    for (size_t i = 0; i < segments; i++)
        index->directory[i] = (uintptr_t)segment_alloc(index, index->bucket_mask) | index->depth;
}

/* ---- searching ---- */

bool hash_probe_advance(struct hash_probe *probe)
{
    uint32_t mask = probe->index->bucket_mask;
    probe->bucket = (probe->bucket + 1) & mask;
    if (probe->bucket == probe->home) {
        probe->segment = chained(probe->segment, mask);
        if (probe->segment == NULL)
            return false;
    }
    probe->matches = simd_match16(probe->segment[probe->bucket].tags, probe->tag) & 0xfff;
    return true;
}

/* ---- changing ---- */

/* Puts the entry into the first free place on its path, chaining a segment when there is none. */
static void place(struct hash_index *index, struct hash_bucket *segment, const struct entry *entry)
{
    uint32_t home = entry->hash31 & index->bucket_mask;
    uint32_t bucket = home;
    for (;;) {
        struct hash_bucket *b = &segment[bucket];
        uint32_t empty = simd_match16(b->tags, 0) & 0xfff;
        if (empty != 0) {
            uint32_t at = (uint32_t)__builtin_ctz(empty);
            b->tags[at] = entry->tag;
            b->slots[at] = entry->slot;
            segment->extra++;
            return;
        }
        if (b->sent < SENT_MAX)
            b->sent++;
        bucket = (bucket + 1) & index->bucket_mask;
        if (bucket == home) {
            struct hash_bucket *next = chained(segment, index->bucket_mask);
            if (next == NULL) {
                next = segment_alloc(index, index->bucket_mask);
                set_chained(segment, next);
            }
            segment = next;
        }
    }
}

/* Copies the entries of a segment and of those chained behind it; their hashes are asked with the misses
 * overlapped. */
static struct entry *collect(struct hash_index *index, struct hash_bucket *segment, uint32_t *count)
{
    uint32_t total = 0;
    for (struct hash_bucket *s = segment; s != NULL; s = chained(s, index->bucket_mask))
        total += s->extra;
    struct entry *entries = mem_alloc(sizeof(*entries) * total);
    uint32_t n = 0;
    for (struct hash_bucket *s = segment; s != NULL; s = chained(s, index->bucket_mask)) {
        for (uint32_t b = 0; b <= index->bucket_mask; b++) {
            uint32_t filled = ~simd_match16(s[b].tags, 0) & 0xfff;
            for (; filled != 0; filled &= filled - 1) {
                uint32_t at = (uint32_t)__builtin_ctz(filled);
                entries[n++] = (struct entry){.slot = s[b].slots[at], .tag = s[b].tags[at]};
            }
        }
    }
    CHECK(n == total);
    for (uint32_t i = 0; i < n; i++) {
        if (i == 0) {
            for (uint32_t j = 0; j < n && j < 32; j++)
                index->prefetch(index->ctx, entries[j].slot);
        }
        if (i + 32 < n)
            index->prefetch(index->ctx, entries[i + 32].slot);
        entries[i].hash31 = index->hash_of(index->ctx, entries[i].slot);
    }
    *count = n;
    return entries;
}

/* Empties a full-size segment and those chained behind it. */
static void wipe(struct hash_index *index, struct hash_bucket *segment)
{
    struct hash_bucket *chain = chained(segment, index->bucket_mask);
    memset(segment, 0, SEGMENT_BYTES);
    /* The chain stays, empty, for equal hashes that come back to this side. */
    set_chained(segment, chain);
    for (struct hash_bucket *s = chain; s != NULL;) {
        struct hash_bucket *next = chained(s, index->bucket_mask);
        memset(s, 0, SEGMENT_BYTES);
        set_chained(s, next);
        s = next;
    }
}

/* The single segment gets twice as many buckets. */
static void enlarge(struct hash_index *index)
{
    struct hash_bucket *old = hash_segment_of(index, 0);
    uint32_t old_mask = index->bucket_mask, count;
    struct entry *entries = collect(index, old, &count);
    index->bucket_mask = old_mask * 2 + 1;
    struct hash_bucket *segment = segment_alloc(index, index->bucket_mask);
    for (uint32_t i = 0; i < count; i++)
        place(index, segment, &entries[i]);
    index->directory[0] = (uintptr_t)segment;
    index->segments_count--;
    small_segment_free(index, old, old_mask);
    mem_free(entries);
}

static void double_directory(struct hash_index *index)
{
    size_t old_count = (size_t)1 << index->depth;
    uintptr_t *directory = mem_alloc(sizeof(*directory) * old_count * 2);
    for (size_t i = 0; i < old_count; i++)
        directory[2 * i] = directory[2 * i + 1] = index->directory[i];
    mem_free(index->directory);
    index->directory = directory;
    index->depth++;
    charge(index, (int64_t)(old_count * sizeof(*directory)));
}

static void split(struct hash_index *index, uint32_t hash31)
{
    struct hash_bucket *low = hash_segment_of(index, hash31);
    uint32_t bits = (uint32_t)(index->directory[hash31 >> (31 - index->depth)] & 63);
    if (bits == index->depth)
        double_directory(index);
    uint32_t count;
    struct entry *entries = collect(index, low, &count);
    struct hash_bucket *high = segment_alloc(index, index->bucket_mask);
    wipe(index, low);
    bits++;
    uint32_t span = UINT32_C(1) << (index->depth - bits);
    uint32_t first = (hash31 >> (31 - index->depth)) & ~(2 * span - 1);
    for (uint32_t i = 0; i < span; i++) {
        index->directory[first + i] = (uintptr_t)low | bits;
        index->directory[first + span + i] = (uintptr_t)high | bits;
    }
    for (uint32_t i = 0; i < count; i++)
        place(index, (entries[i].hash31 >> (31 - bits)) & 1 ? high : low, &entries[i]);
    mem_free(entries);
}

/* Splitting helps only against different hashes: the directory stays in proportion to the entries. */
static bool may_split(const struct hash_index *index, uint32_t hash31)
{
    uint32_t bits = (uint32_t)(index->directory[hash31 >> (31 - index->depth)] & 63);
    if (bits < index->depth)
        return true;
    uint64_t directory = UINT64_C(1) << index->depth;
    return index->depth < DEPTH_MAX &&
           directory <= 16 + 8 * (index->entries / (SEGMENT_BUCKETS * BUCKET_SLOTS));
}

static void insert_entry(struct hash_index *index, const struct entry *entry)
{
    uint32_t hash31 = entry->hash31;
    for (;;) {
        uint32_t room = (index->bucket_mask + 1) * BUCKET_SLOTS;
        uint32_t filled = hash_segment_of(index, hash31)->extra;
        if (LIKELY(filled < room - room / 7))
            break;
        if (index->bucket_mask < SEGMENT_BUCKETS - 1)
            enlarge(index);
        else if (may_split(index, hash31))
            split(index, hash31);
        else
            break;
    }
    place(index, hash_segment_of(index, hash31), entry);
    index->entries++;
}

/* ---- many entries ---- */

PREFETCHING void prefetch_home(const struct hash_index *index, uint32_t hash31)
{
    struct hash_bucket *segment = hash_segment_of(index, hash31);
    __builtin_prefetch(segment, 1);
    __builtin_prefetch(segment + (hash31 & index->bucket_mask), 1);
}

/* The part lies close together, so that its pages stay known to the processor, and its lines can come ahead. */
static void put_part(struct hash_index *index, uint32_t part)
{
    struct hash_bulk *bulk = index->bulk;
    const uint64_t *entries = bulk->parts[part].entries;
    uint32_t count = bulk->counts[part];
    for (uint32_t i = 0; i < count && i < BULK_AHEAD; i++)
        prefetch_home(index, bulk_unpack(entries[i], part).hash31);
    for (uint32_t i = 0; i < count; i++) {
        if (i + BULK_AHEAD < count)
            prefetch_home(index, bulk_unpack(entries[i + BULK_AHEAD], part).hash31);
        struct entry entry = bulk_unpack(entries[i], part);
        insert_entry(index, &entry);
    }
    bulk->counts[part] = 0;
}

void hash_index_bulk_begin(struct hash_index *index, uint64_t expected)
{
    if (index->bulk != NULL || (expected > 0 && expected < BULK_MIN))
        return;
    hash_index_reserve(index, expected);
    index->bulk = mem_alloc(sizeof(*index->bulk)); /* most of it is touched only when it is filled */
    memset(index->bulk->counts, 0, sizeof(index->bulk->counts));
    charge(index, (int64_t)sizeof(*index->bulk));
}

void hash_index_bulk_end(struct hash_index *index)
{
    if (index->bulk == NULL)
        return;
    for (uint32_t part = 0; part < 1u << BULK_BITS; part++)
        put_part(index, part);
    charge(index, -(int64_t)sizeof(*index->bulk));
    mem_free(index->bulk);
    index->bulk = NULL;
}

void hash_index_insert(struct hash_index *index, uint64_t hash, uint32_t slot)
{
    struct hash_bulk *bulk = index->bulk;
    if (LIKELY(bulk == NULL)) {
        struct entry entry = {.slot = slot, .hash31 = hash_31(hash), .tag = hash_tag(hash)};
        insert_entry(index, &entry);
        return;
    }
    uint32_t part = (uint32_t)(hash >> (64 - BULK_BITS));
    if (bulk->counts[part] == BULK_ENTRIES)
        put_part(index, part);
    bulk->parts[part].entries[bulk->counts[part]++] = bulk_pack(hash, slot);
}

/* Walks the path of a hash to the place of a slot. With `leave` the buckets before it forget the entry. */
static uint32_t *find_place(struct hash_index *index, uint32_t hash31, uint32_t slot, bool leave,
                            struct hash_bucket **segment_out, struct hash_bucket **bucket_out)
{
    struct hash_bucket *segment = hash_segment_of(index, hash31);
    uint32_t home = hash31 & index->bucket_mask;
    uint32_t bucket = home;
    for (;;) {
        struct hash_bucket *b = &segment[bucket];
        for (uint32_t i = 0; i < BUCKET_SLOTS; i++) {
            if (b->slots[i] == slot && b->tags[i] != 0) {
                *segment_out = segment;
                *bucket_out = b;
                return &b->slots[i];
            }
        }
        CHECK(b->sent > 0);
        if (leave && b->sent < SENT_MAX)
            b->sent--;
        bucket = (bucket + 1) & index->bucket_mask;
        if (bucket == home) {
            segment = chained(segment, index->bucket_mask);
            CHECK(segment != NULL);
        }
    }
}

void hash_index_remove(struct hash_index *index, uint32_t hash31, uint32_t slot)
{
    struct hash_bucket *segment, *bucket;
    uint32_t *place_found = find_place(index, hash31, slot, true, &segment, &bucket);
    bucket->tags[place_found - bucket->slots] = 0;
    segment->extra--;
    index->entries--;
}

void hash_index_replace(struct hash_index *index, uint32_t hash31, uint32_t slot, uint32_t new_slot)
{
    struct hash_bucket *segment, *bucket;
    *find_place(index, hash31, slot, false, &segment, &bucket) = new_slot;
}
