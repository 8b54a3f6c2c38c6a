/* hash_index.h: from hashes to slot numbers, the core that hashed tables, arrangements and row stores share.
 *
 * Buckets of 64 bytes hold 12 one-byte tags and 12 slot numbers; a bucket that is full sends entries to the
 * next one and counts how many it sent, so that a search knows when to stop and a removal leaves no
 * tombstone. 64 buckets make a segment; a directory addressed by the top bits of the hash finds it. A segment
 * that fills is split in two: no step ever moves more than some 650 entries, however large the table is.
 * Equal hashes beyond what a segment holds go to segments chained behind it.
 *
 * The index does not know keys: a search gives candidates, the caller compares. It knows 31 bits of the hash
 * again from the slot (hash_of), and keeps 8 others as the tag. */
#ifndef MILLRACE_STATE_HASH_INDEX_H
#define MILLRACE_STATE_HASH_INDEX_H

#include "storage/base/simd.h"
#include "storage/state/slot_pages.h"

#define BUCKET_SLOTS    12u
#define SEGMENT_BUCKETS 64u
#define PREFETCH_GROUP  64u /* rows whose cache misses are overlapped */

struct hash_bucket {
    uint8_t tags[BUCKET_SLOTS]; /* 0: empty */
    uint16_t sent;              /* entries that went past this full bucket; UINT16_MAX sticks */
    uint16_t extra;             /* bucket 0: entries of the segment; 1 to 4: pointer to the chained segment */
    uint32_t slots[BUCKET_SLOTS];
};
_Static_assert(sizeof(struct hash_bucket) == 64, "a bucket is one cache line");

struct hash_bulk;

struct hash_index {
    uintptr_t *directory; /* 1 << depth entries: address of a segment | how many hash bits it stands for */
    uint32_t depth;
    uint32_t bucket_mask; /* below SEGMENT_BUCKETS - 1 only while there is a single segment */
    uint32_t segments_count;
    uint64_t entries;
    uint32_t (*hash_of)(void *ctx, uint32_t slot); /* the 31 bits */
    void (*prefetch)(void *ctx, uint32_t slot);    /* of what hash_of will read */
    void *ctx;
    struct slot_pages blocks; /* the segments of full size */
    int64_t charged;          /* directory and the small first segment */
    struct account *account;
    struct hash_bulk *bulk; /* NULL: entries go to their places at once */
};

void hash_index_init(struct hash_index *index, uint32_t (*hash_of)(void *, uint32_t),
                     void (*prefetch)(void *, uint32_t), void *ctx, struct account *account);
void hash_index_release(struct hash_index *index);
/* Back to empty; memory is given back. */
void hash_index_clear(struct hash_index *index);
/* Room at once for about so many entries, if it is empty: what comes splits no segment. */
void hash_index_reserve(struct hash_index *index, uint64_t entries);
/* The caller has looked: no equal key is there. */
void hash_index_insert(struct hash_index *index, uint64_t hash, uint32_t slot);
/* For entries that come by the million, as from a checkpoint. Until the end hash_index_insert only collects them, by the upper
 * bits of their hashes, and puts many at once into one part of the index. Nothing may be searched for or removed
 * meanwhile. expected: about so many; 0: unknown. Where they are few nothing is collected. */
void hash_index_bulk_begin(struct hash_index *index, uint64_t expected);
/* Without a begin: nothing happens. */
void hash_index_bulk_end(struct hash_index *index);
/* By the 31 bits. CHECKs that the entry is there. */
void hash_index_remove(struct hash_index *index, uint32_t hash31, uint32_t slot);
/* The entry of one slot becomes that of another with the same hash. */
void hash_index_replace(struct hash_index *index, uint32_t hash31, uint32_t slot, uint32_t new_slot);
int64_t hash_index_bytes(const struct hash_index *index);

static inline uint32_t hash_31(uint64_t hash)
{
    return (uint32_t)(hash >> 33);
}

static inline uint8_t hash_tag(uint64_t hash)
{
    uint8_t tag = (uint8_t)hash;
    return (uint8_t)(tag + (tag == 0));
}

static inline struct hash_bucket *hash_segment_of(const struct hash_index *index, uint32_t hash31)
{
    return (struct hash_bucket *)(index->directory[hash31 >> (31 - index->depth)] & ~(uintptr_t)63);
}

PREFETCHING void hash_index_prefetch(const struct hash_index *index, uint64_t hash)
{
    uint32_t hash31 = hash_31(hash);
    __builtin_prefetch(hash_segment_of(index, hash31) + (hash31 & index->bucket_mask), 1);
}

/* What an insertion touches besides its bucket: worth it where hash_index_peek has found nothing. */
PREFETCHING void hash_index_prefetch_insert(const struct hash_index *index, uint64_t hash)
{
    __builtin_prefetch(hash_segment_of(index, hash_31(hash)), 1);
}

struct hash_probe {
    const struct hash_index *index;
    struct hash_bucket *segment;
    uint32_t bucket;
    uint32_t home;
    uint32_t matches; /* bits of the current bucket still to be shown */
    uint8_t tag;
};

static inline struct hash_probe hash_probe_start(const struct hash_index *index, uint64_t hash)
{
    uint32_t hash31 = hash_31(hash);
    struct hash_probe probe = {
        .index = index, .segment = hash_segment_of(index, hash31), .tag = hash_tag(hash)};
    probe.home = probe.bucket = hash31 & index->bucket_mask;
    probe.matches = simd_match16(probe.segment[probe.bucket].tags, probe.tag) & 0xfff;
    return probe;
}

/* Steps to the next bucket that may hold entries of this hash; false at the end. */
bool hash_probe_advance(struct hash_probe *probe);

/* The next candidate, SLOT_NONE at the end. */
static inline uint32_t hash_probe_next(struct hash_probe *probe)
{
    while (probe->matches == 0) {
        if (LIKELY(probe->segment[probe->bucket].sent == 0) || !hash_probe_advance(probe))
            return SLOT_NONE;
    }
    uint32_t at = (uint32_t)__builtin_ctz(probe->matches);
    probe->matches &= probe->matches - 1;
    return probe->segment[probe->bucket].slots[at];
}

/* The first candidate of the home bucket, for prefetching; SLOT_NONE when there is none. */
static inline uint32_t hash_index_peek(const struct hash_index *index, uint64_t hash)
{
    struct hash_probe probe = hash_probe_start(index, hash);
    return probe.matches == 0 ? SLOT_NONE : probe.segment[probe.bucket].slots[__builtin_ctz(probe.matches)];
}

#endif
