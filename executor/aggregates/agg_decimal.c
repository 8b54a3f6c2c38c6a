/* agg_decimal.c: exact sums of decimals that can be taken back. */
#include "executor/aggregates/agg_decimal.h"

#define HEAD_SCALE    0x3FFFu
#define HEAD_SPECIAL  0x4000u
#define HEAD_NEGATIVE 0x8000u
#define DIGITS_MAX    131072 /* before the point, as numeric */

void agg_mpz_set_int128(mpz_t out, __int128 value)
{
    unsigned __int128 magnitude = value < 0 ? -(unsigned __int128)value : (unsigned __int128)value;
    uint64_t words[2] = {(uint64_t)magnitude, (uint64_t)(magnitude >> 64)};
    mpz_import(out, 2, -1, sizeof(uint64_t), 0, 0, words);
    if (value < 0)
        mpz_neg(out, out);
}

static bool mpz_fits_int128(const mpz_t value, __int128 *out)
{
    if (mpz_sizeinbase(value, 2) > 126)
        return false;
    uint64_t words[2] = {0, 0};
    mpz_export(words, NULL, -1, sizeof(uint64_t), 0, 0, value);
    __int128 magnitude = (__int128)(((unsigned __int128)words[1] << 64) | words[0]);
    *out = mpz_sgn(value) < 0 ? -magnitude : magnitude;
    return true;
}

int32_t agg_numeric_load(const struct varlen *value, mpz_t coefficient)
{
    const uint8_t *bytes = varlen_bytes(value);
    uint32_t head = (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8;
    mpz_import(coefficient, value->len - 2, -1, 1, 0, 0, bytes + 2);
    if ((head & HEAD_NEGATIVE) != 0)
        mpz_neg(coefficient, coefficient);
    return (int32_t)(head & HEAD_SCALE);
}

bool agg_numeric_store(struct arena *arena, const mpz_t coefficient, int32_t scale, struct varlen *out,
                       struct error *err)
{
    __int128 small;
    if (mpz_fits_int128(coefficient, &small)) {
        *out = numeric_pack_small(arena, small, scale);
        return true;
    }
    if ((int64_t)mpz_sizeinbase(coefficient, 10) - scale > DIGITS_MAX)
        return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "value overflows numeric format");
    size_t bytes = (mpz_sizeinbase(coefficient, 2) + 7) / 8;
    uint8_t *data = arena_alloc(arena, bytes + 2);
    uint32_t head = (uint32_t)scale | (mpz_sgn(coefficient) < 0 ? HEAD_NEGATIVE : 0);
    data[0] = (uint8_t)head;
    data[1] = (uint8_t)(head >> 8);
    mpz_export(data + 2, NULL, -1, 1, 0, 0, coefficient);
    *out = varlen_view(data, (uint32_t)bytes + 2);
    return true;
}

static struct varlen numeric_special_value(uint32_t head)
{
    uint8_t bytes[2] = {(uint8_t)head, (uint8_t)(head >> 8)};
    return varlen_view(bytes, 2);
}

struct varlen agg_numeric_nan(void)
{
    return numeric_special_value(HEAD_SPECIAL);
}

struct varlen agg_numeric_from_int128(struct arena *arena, __int128 value)
{
    return numeric_pack_small(arena, value, 0);
}

/* ---- the coefficient ---- */

static void sum_load(const struct decimal_sum *sum, mpz_t out)
{
    if (sum->big == NULL) {
        agg_mpz_set_int128(out, agg_int128_get(&sum->small));
        return;
    }
    uint32_t limbs = (uint32_t)(sum->big_size < 0 ? -sum->big_size : sum->big_size);
    mpz_import(out, limbs, -1, sizeof(uint64_t), 0, 0, sum->big);
    if (sum->big_size < 0)
        mpz_neg(out, out);
}

static void sum_store(struct decimal_sum *sum, struct table_heap *heap, const mpz_t value)
{
    __int128 small;
    if (mpz_fits_int128(value, &small)) {
        if (sum->big != NULL)
            table_heap_release(heap, sum->big, sum->big_cap * (uint32_t)sizeof(uint64_t));
        sum->big = NULL;
        sum->big_cap = 0;
        agg_int128_set(&sum->small, small);
        return;
    }
    uint32_t limbs = (uint32_t)((mpz_sizeinbase(value, 2) + 63) / 64);
    if (limbs > sum->big_cap) {
        uint32_t cap = (limbs + 3) & ~3u;
        if (sum->big != NULL)
            table_heap_release(heap, sum->big, sum->big_cap * (uint32_t)sizeof(uint64_t));
        sum->big = table_heap_alloc(heap, cap * (uint32_t)sizeof(uint64_t));
        sum->big_cap = cap;
    }
    mpz_export(sum->big, NULL, -1, sizeof(uint64_t), 0, 0, value);
    sum->big_size = mpz_sgn(value) < 0 ? -(int32_t)limbs : (int32_t)limbs;
}

static void mpz_scale_up(mpz_t value, int32_t power)
{
    if (power <= 0)
        return;
    mpz_t factor;
    mpz_init(factor);
    mpz_ui_pow_ui(factor, 10, (unsigned long)power);
    mpz_mul(value, value, factor);
    mpz_clear(factor);
}

static void sum_add_mpz(struct decimal_sum *sum, struct table_heap *heap, mpz_t coefficient, int32_t scale,
                        int64_t weight)
{
    mpz_t total;
    mpz_init(total);
    sum_load(sum, total);
    mpz_scale_up(total, scale - sum->scale);
    mpz_scale_up(coefficient, sum->scale - scale);
    if (scale > sum->scale)
        sum->scale = scale;
    mpz_t factor;
    mpz_init(factor);
    agg_mpz_set_int128(factor, weight);
    mpz_addmul(total, coefficient, factor);
    sum_store(sum, heap, total);
    mpz_clear(factor);
    mpz_clear(total);
}

static bool scale_up(__int128 *value, int32_t power)
{
    for (; power > 0 && *value != 0; power--)
        if (__builtin_mul_overflow(*value, (__int128)10, value))
            return false;
    return true;
}

static void sum_add_int128(struct decimal_sum *sum, struct table_heap *heap, __int128 coefficient,
                           int32_t scale, int64_t weight)
{
    if (LIKELY(sum->big == NULL)) {
        __int128 total = agg_int128_get(&sum->small), term = coefficient;
        bool fits = true;
        if (scale > sum->scale)
            fits = scale_up(&total, scale - sum->scale);
        else if (scale < sum->scale)
            fits = scale_up(&term, sum->scale - scale);
        if (LIKELY(fits && !__builtin_mul_overflow(term, (__int128)weight, &term) &&
                   !__builtin_add_overflow(total, term, &total))) {
            if (scale > sum->scale)
                sum->scale = scale;
            agg_int128_set(&sum->small, total);
            return;
        }
    }
    mpz_t value;
    mpz_init(value);
    agg_mpz_set_int128(value, coefficient);
    sum_add_mpz(sum, heap, value, scale, weight);
    mpz_clear(value);
}

/* ---- counts per scale ---- */

static void count_scale(struct decimal_sum *sum, struct table_heap *heap, int32_t scale, int64_t weight)
{
    if (sum->scales_count == 0)
        sum->one = (struct decimal_scale){.scale = scale};
    if (sum->scales_count <= 1 && sum->one.scale == scale) {
        sum->scales_count = 1;
        sum->one.count += weight;
        if (sum->one.count == 0)
            sum->scales_count = 0;
        return;
    }
    if (sum->scales == NULL) {
        sum->scales_cap = 4;
        sum->scales = table_heap_alloc(heap, sum->scales_cap * (uint32_t)sizeof(struct decimal_scale));
        sum->scales[0] = sum->one;
    }
    for (uint32_t i = 0; i < sum->scales_count; i++) {
        if (sum->scales[i].scale != scale)
            continue;
        sum->scales[i].count += weight;
        if (sum->scales[i].count == 0)
            sum->scales[i] = sum->scales[--sum->scales_count];
        if (sum->scales_count <= 1) {
            sum->one = sum->scales[0];
            table_heap_release(heap, sum->scales, sum->scales_cap * (uint32_t)sizeof(struct decimal_scale));
            sum->scales = NULL;
        }
        return;
    }
    if (sum->scales_count == sum->scales_cap) {
        uint32_t bytes = sum->scales_cap * (uint32_t)sizeof(struct decimal_scale);
        struct decimal_scale *grown = table_heap_alloc(heap, bytes * 2);
        memcpy(grown, sum->scales, bytes);
        table_heap_release(heap, sum->scales, bytes);
        sum->scales = grown;
        sum->scales_cap *= 2;
    }
    sum->scales[sum->scales_count++] = (struct decimal_scale){.count = weight, .scale = scale};
}

int32_t decimal_sum_scale(const struct decimal_sum *sum)
{
    if (sum->scales == NULL)
        return sum->scales_count > 0 ? (int32_t)sum->one.scale : 0;
    int64_t scale = 0;
    for (uint32_t i = 0; i < sum->scales_count; i++)
        if (sum->scales[i].scale > scale)
            scale = sum->scales[i].scale;
    return (int32_t)scale;
}

/* ---- public ---- */

void decimal_sum_add(struct decimal_sum *sum, struct table_heap *heap, const struct varlen *value,
                     int64_t weight)
{
    sum->count += weight;
    struct numeric_small small;
    if (LIKELY(numeric_unpack_small(value, &small))) {
        count_scale(sum, heap, small.scale, weight);
        sum_add_int128(sum, heap, small.coefficient, small.scale, weight);
        return;
    }
    if (numeric_is_special(value)) {
        if (numeric_is_nan(value))
            sum->nan += weight;
        else if (numeric_sign(value) > 0)
            sum->plus_infinity += weight;
        else
            sum->minus_infinity += weight;
        return;
    }
    mpz_t coefficient;
    mpz_init(coefficient);
    int32_t scale = agg_numeric_load(value, coefficient);
    count_scale(sum, heap, scale, weight);
    sum_add_mpz(sum, heap, coefficient, scale, weight);
    mpz_clear(coefficient);
}

void decimal_sum_add_square(struct decimal_sum *sum, struct table_heap *heap, const struct varlen *value,
                            int64_t weight)
{
    if (numeric_is_special(value))
        return;
    struct numeric_small small;
    __int128 square;
    if (numeric_unpack_small(value, &small) &&
        !__builtin_mul_overflow(small.coefficient, small.coefficient, &square)) {
        sum_add_int128(sum, heap, square, small.scale * 2, weight);
        return;
    }
    mpz_t coefficient;
    mpz_init(coefficient);
    int32_t scale = agg_numeric_load(value, coefficient);
    mpz_mul(coefficient, coefficient, coefficient);
    sum_add_mpz(sum, heap, coefficient, scale * 2, weight);
    mpz_clear(coefficient);
}

void decimal_sum_add_integer(struct decimal_sum *sum, struct table_heap *heap, __int128 coefficient,
                             int64_t weight)
{
    sum_add_int128(sum, heap, coefficient, 0, weight);
}

void decimal_sum_merge(struct decimal_sum *sum, struct table_heap *heap, const struct decimal_sum *part)
{
    sum->count += part->count;
    sum->nan += part->nan;
    sum->plus_infinity += part->plus_infinity;
    sum->minus_infinity += part->minus_infinity;
    const struct decimal_scale *scales = part->scales != NULL ? part->scales : &part->one;
    for (uint32_t i = 0; i < part->scales_count; i++)
        count_scale(sum, heap, (int32_t)scales[i].scale, scales[i].count);
    if (LIKELY(part->big == NULL)) {
        sum_add_int128(sum, heap, agg_int128_get(&part->small), part->scale, 1);
        return;
    }
    mpz_t value;
    mpz_init(value);
    sum_load(part, value);
    sum_add_mpz(sum, heap, value, part->scale, 1);
    mpz_clear(value);
}

void decimal_sum_release(struct decimal_sum *sum, struct table_heap *heap)
{
    if (sum->big != NULL)
        table_heap_release(heap, sum->big, sum->big_cap * (uint32_t)sizeof(uint64_t));
    if (sum->scales != NULL)
        table_heap_release(heap, sum->scales, sum->scales_cap * (uint32_t)sizeof(struct decimal_scale));
    memset(sum, 0, sizeof(*sum));
}

void decimal_sum_save(const struct decimal_sum *sum, struct strbuf *out)
{
    const struct decimal_scale *scales = sum->scales != NULL ? sum->scales : &sum->one;
    agg_save_i64(out, sum->count);
    agg_save_i64(out, sum->nan);
    agg_save_i64(out, sum->plus_infinity);
    agg_save_i64(out, sum->minus_infinity);
    agg_save_i64(out, sum->scale);
    agg_save_i64(out, sum->scales_count);
    for (uint32_t i = 0; i < sum->scales_count; i++) {
        agg_save_i64(out, scales[i].scale);
        agg_save_i64(out, scales[i].count);
    }
    if (sum->big == NULL) {
        agg_save_i64(out, 0);
        agg_save_i64(out, (int64_t)sum->small.low);
        agg_save_i64(out, sum->small.high);
        return;
    }
    uint32_t limbs = (uint32_t)(sum->big_size < 0 ? -sum->big_size : sum->big_size);
    agg_save_i64(out, sum->big_size);
    for (uint32_t i = 0; i < limbs; i++)
        agg_save_i64(out, (int64_t)sum->big[i]);
}

static bool load_scales(struct decimal_sum *sum, struct table_heap *heap, struct agg_saved *from)
{
    int64_t count;
    if (!agg_load_i64(from, &count) || count < 0 || count > (from->end - from->at) / 16 ||
        count > (int64_t)HEAD_SCALE + 1)
        return false;
    struct decimal_scale *scales = &sum->one;
    if (count > 1) {
        sum->scales_cap = 4;
        while (sum->scales_cap < count)
            sum->scales_cap *= 2;
        sum->scales = scales =
            table_heap_alloc(heap, sum->scales_cap * (uint32_t)sizeof(struct decimal_scale));
    }
    sum->scales_count = (uint32_t)count;
    for (uint32_t i = 0; i < sum->scales_count; i++)
        if (!agg_load_i64(from, &scales[i].scale) || !agg_load_i64(from, &scales[i].count) ||
            scales[i].scale < 0 || scales[i].scale > (int64_t)HEAD_SCALE)
            return false;
    return true;
}

bool decimal_sum_load(struct decimal_sum *sum, struct table_heap *heap, struct agg_saved *from)
{
    int64_t scale, size, low;
    if (!agg_load_i64(from, &sum->count) || !agg_load_i64(from, &sum->nan) ||
        !agg_load_i64(from, &sum->plus_infinity) || !agg_load_i64(from, &sum->minus_infinity) ||
        !agg_load_i64(from, &scale) || scale < 0 || scale > 2 * (int64_t)HEAD_SCALE ||
        !load_scales(sum, heap, from) || !agg_load_i64(from, &size))
        return false;
    sum->scale = (int32_t)scale;
    if (size == 0) {
        if (!agg_load_i64(from, &low) || !agg_load_i64(from, &sum->small.high))
            return false;
        sum->small.low = (uint64_t)low;
        return true;
    }
    int64_t limbs_max = (from->end - from->at) / 8;
    if (size < -limbs_max || size > limbs_max)
        return false;
    uint32_t limbs = (uint32_t)(size < 0 ? -size : size);
    sum->big_size = (int32_t)size;
    sum->big_cap = (limbs + 3) & ~3u;
    sum->big = table_heap_alloc(heap, sum->big_cap * (uint32_t)sizeof(uint64_t));
    for (uint32_t i = 0; i < limbs; i++) {
        if (!agg_load_i64(from, &low))
            return false;
        sum->big[i] = (uint64_t)low;
    }
    return true;
}

bool decimal_sum_is_special(const struct decimal_sum *sum)
{
    return sum->nan > 0 || sum->plus_infinity > 0 || sum->minus_infinity > 0;
}

bool decimal_sum_value(const struct decimal_sum *sum, int32_t scale, struct arena *arena, struct varlen *out,
                       struct error *err)
{
    if (decimal_sum_is_special(sum)) {
        bool is_nan = sum->nan > 0 || (sum->plus_infinity > 0 && sum->minus_infinity > 0);
        uint32_t sign = !is_nan && sum->minus_infinity > 0 ? HEAD_NEGATIVE : 0;
        *out = numeric_special_value(HEAD_SPECIAL | (is_nan ? 0 : 1) | sign);
        return true;
    }
    if (sum->big == NULL && sum->scale == scale) {
        *out = numeric_pack_small(arena, agg_int128_get(&sum->small), scale);
        return true;
    }
    mpz_t value;
    mpz_init(value);
    sum_load(sum, value);
    mpz_scale_up(value, scale - sum->scale);
    if (sum->scale > scale) { /* values with more digits are gone: the rest is zeros */
        mpz_t divisor;
        mpz_init(divisor);
        mpz_ui_pow_ui(divisor, 10, (unsigned long)(sum->scale - scale));
        mpz_tdiv_q(value, value, divisor);
        mpz_clear(divisor);
    }
    bool done = agg_numeric_store(arena, value, scale, out, err);
    mpz_clear(value);
    return done;
}
