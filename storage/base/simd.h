/* simd.h: the one place that knows vector instructions.
 *
 * simd_match16 compares 16 bytes with one byte: bit i of the result is set when bytes[i] == needle. SSE2 on
 * x86-64, NEON on AArch64; with MILLRACE_PORTABLE, or elsewhere, plain 64-bit arithmetic.
 *
 * simd_string16 looks for what ends the plain part of a JSON string: bit i is set when bytes[i] is a quote, a backslash or below a blank;
 * *above has the bytes beyond ASCII.
 *
 * The portable forms are always there, so that a test can compare. */
#ifndef MILLRACE_BASE_SIMD_H
#define MILLRACE_BASE_SIMD_H

#include <stdint.h>
#include <string.h>

#if !defined(MILLRACE_PORTABLE) && defined(__SSE2__)
#define SIMD_SSE2 1
#include <emmintrin.h>
#elif !defined(MILLRACE_PORTABLE) && defined(__aarch64__) && defined(__ARM_NEON)
#define SIMD_NEON 1
#include <arm_neon.h>
#endif

/* One bit per zero byte of `word`, lowest byte first. */
static inline uint32_t simd_zero_bytes(uint64_t word)
{
    const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f);
    uint64_t high_bits = ~(((word & low7) + low7) | word | low7);
    /* the multiplication moves bit 0 of byte i to bit 56 + i */
    return (uint32_t)(((high_bits >> 7) * UINT64_C(0x0102040810204080)) >> 56);
}

static inline uint32_t simd_match16_portable(const uint8_t *bytes, uint8_t needle)
{
    uint64_t pattern = needle * UINT64_C(0x0101010101010101);
    uint64_t words[2];
    memcpy(words, bytes, sizeof(words));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    words[0] = __builtin_bswap64(words[0]);
    words[1] = __builtin_bswap64(words[1]);
#endif
    return simd_zero_bytes(words[0] ^ pattern) | simd_zero_bytes(words[1] ^ pattern) << 8;
}

static inline uint32_t simd_match16(const uint8_t *bytes, uint8_t needle)
{
#if defined(SIMD_SSE2)
    __m128i lanes = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    return (uint32_t)_mm_movemask_epi8(_mm_cmpeq_epi8(lanes, _mm_set1_epi8((char)needle)));
#elif defined(SIMD_NEON)
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t hit = vandq_u8(vceqq_u8(vld1q_u8(bytes), vdupq_n_u8(needle)), vld1q_u8(weights));
    return (uint32_t)vaddv_u8(vget_low_u8(hit)) | (uint32_t)vaddv_u8(vget_high_u8(hit)) << 8;
#else
    return simd_match16_portable(bytes, needle);
#endif
}

static inline uint32_t simd_string16_portable(const uint8_t *bytes, uint32_t *above)
{
    const uint64_t low7 = UINT64_C(0x7f7f7f7f7f7f7f7f), blanks = UINT64_C(0x2020202020202020);
    uint64_t words[2];
    memcpy(words, bytes, sizeof(words));
    uint32_t hits = 0, high = 0;
    for (int i = 0; i < 2; i++) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        words[i] = __builtin_bswap64(words[i]);
#endif
        uint32_t part = simd_zero_bytes(words[i] ^ '"' * UINT64_C(0x0101010101010101)) |
                        simd_zero_bytes(words[i] ^ '\\' * UINT64_C(0x0101010101010101));
        /* below a blank: neither bit 7 nor, added to 0x60, a carry into it */
        uint64_t control =
            ~((words[i] & low7) + (low7 - blanks + UINT64_C(0x0101010101010101))) & ~words[i] & ~low7;
        part |= (uint32_t)(((control >> 7) * UINT64_C(0x0102040810204080)) >> 56);
        hits |= part << 8 * i;
        high |= (uint32_t)((((words[i] & ~low7) >> 7) * UINT64_C(0x0102040810204080)) >> 56) << 8 * i;
    }
    *above = high;
    return hits;
}

static inline uint32_t simd_string16(const uint8_t *bytes, uint32_t *above)
{
#if defined(SIMD_SSE2)
    __m128i lanes = _mm_loadu_si128((const __m128i *)(const void *)bytes);
    __m128i control = _mm_cmpeq_epi8(_mm_max_epu8(lanes, _mm_set1_epi8(0x1f)), _mm_set1_epi8(0x1f));
    __m128i hits =
        _mm_or_si128(_mm_cmpeq_epi8(lanes, _mm_set1_epi8('"')), _mm_cmpeq_epi8(lanes, _mm_set1_epi8('\\')));
    *above = (uint32_t)_mm_movemask_epi8(lanes);
    return (uint32_t)_mm_movemask_epi8(_mm_or_si128(hits, control));
#elif defined(SIMD_NEON)
    static const uint8_t weights[16] = {1, 2, 4, 8, 16, 32, 64, 128, 1, 2, 4, 8, 16, 32, 64, 128};
    uint8x16_t lanes = vld1q_u8(bytes), bits = vld1q_u8(weights);
    uint8x16_t high = vandq_u8(vcgeq_u8(lanes, vdupq_n_u8(0x80)), bits);
    uint8x16_t hit = vorrq_u8(vorrq_u8(vceqq_u8(lanes, vdupq_n_u8('"')), vceqq_u8(lanes, vdupq_n_u8('\\'))),
                              vcltq_u8(lanes, vdupq_n_u8(0x20)));
    hit = vandq_u8(hit, bits);
    *above = (uint32_t)vaddv_u8(vget_low_u8(high)) | (uint32_t)vaddv_u8(vget_high_u8(high)) << 8;
    return (uint32_t)vaddv_u8(vget_low_u8(hit)) | (uint32_t)vaddv_u8(vget_high_u8(hit)) << 8;
#else
    return simd_string16_portable(bytes, above);
#endif
}

#endif
