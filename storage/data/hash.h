/* hash.h: the hash functions behind type_hash and batch_hash.
 *
 * They decide which shard owns a row and are stored with it: the same value has the same hash in every run,
 * on every machine and in every release. */
#ifndef MILLRACE_DATA_HASH_H
#define MILLRACE_DATA_HASH_H

#include <stddef.h>
#include <stdint.h>

#define HASH_OF_NULL    0x9ae16a3b2f90404fULL
#define HASH_OF_NOTHING 0xc949c7defeb1e6a3ULL /* of no columns at all */

/* Every input bit reaches every output bit (a bijection). */
static inline uint64_t hash_u64(uint64_t x)
{
    x ^= 0x9e3779b97f4a7c15ULL;
    x ^= x >> 32;
    x *= 0xd6e8feb86659fd93ULL;
    x ^= x >> 29;
    x *= 0xbf58476d1ce4e5b9ULL;
    x ^= x >> 32;
    return x;
}

/* Adds the hash of one more value; the order counts. */
static inline uint64_t hash_combine(uint64_t hash, uint64_t next)
{
    uint64_t x = ((hash << 23 | hash >> 41) ^ next) * 0xff51afd7ed558ccdULL;
    return x ^ (x >> 32);
}

/* XXH3, 64 bits. */
uint64_t hash_bytes(const void *bytes, size_t len);

#endif
