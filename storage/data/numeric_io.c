/* numeric_io.c: numeric's binary wire form: counts and flags, then base-10000 digits, most significant first.
 */
#include "storage/data/numeric_io.h"

#include "storage/data/numeric_internal.h"

#define WIRE_POSITIVE       0x0000
#define WIRE_NEGATIVE       0x4000
#define WIRE_NAN            0xC000
#define WIRE_PLUS_INFINITY  0xD000
#define WIRE_MINUS_INFINITY 0xF000
#define WIRE_INFINITY_SCALE 0x20 /* what PostgreSQL puts where it means nothing */

static void add_head(struct strbuf *out, uint32_t groups, int32_t weight, uint16_t sign, int32_t scale)
{
    strbuf_add_u16be(out, (uint16_t)groups);
    strbuf_add_u16be(out, (uint16_t)(int16_t)weight);
    strbuf_add_u16be(out, sign);
    strbuf_add_u16be(out, (uint16_t)scale);
}

/* Appends the groups of `digits`, a decimal text of count digits whose length is a multiple of four. */
static void send_groups(const char *digits, size_t count, int32_t first_weight, uint16_t sign, int32_t scale,
                        struct strbuf *out)
{
    size_t groups = count / 4;
    while (groups > 0 && memcmp(digits + groups * 4 - 4, "0000", 4) == 0)
        groups--;
    size_t skipped = 0;
    while (skipped < groups && memcmp(digits + skipped * 4, "0000", 4) == 0)
        skipped++;
    if (skipped == groups) {
        add_head(out, 0, 0, WIRE_POSITIVE, scale);
        return;
    }
    add_head(out, (uint32_t)(groups - skipped), first_weight - (int32_t)skipped, sign, scale);
    for (size_t i = skipped; i < groups; i++) {
        const char *at = digits + i * 4;
        strbuf_add_u16be(
            out, (uint16_t)((at[0] - '0') * 1000 + (at[1] - '0') * 100 + (at[2] - '0') * 10 + (at[3] - '0')));
    }
}

void numeric_send(const struct varlen *value, struct strbuf *out)
{
    switch (numeric_kind(value)) {
    case NUMERIC_NAN:
        add_head(out, 0, 0, WIRE_NAN, 0);
        return;
    case NUMERIC_PLUS_INFINITY:
        add_head(out, 0, 0, WIRE_PLUS_INFINITY, WIRE_INFINITY_SCALE);
        return;
    case NUMERIC_MINUS_INFINITY:
        add_head(out, 0, 0, WIRE_MINUS_INFINITY, WIRE_INFINITY_SCALE);
        return;
    case NUMERIC_FINITE:
        break;
    }
    /* decimal text with both sides of the point padded to whole groups */
    struct strbuf text = STRBUF_INIT, digits = STRBUF_INIT;
    numeric_format(value, &text);
    const char *whole = text.data + (text.data[0] == '-');
    const char *point = strchr(whole, '.');
    size_t whole_digits = point != NULL ? (size_t)(point - whole) : strlen(whole);
    for (size_t pad = (4 - whole_digits % 4) % 4; pad > 0; pad--)
        strbuf_addc(&digits, '0');
    strbuf_add(&digits, whole, whole_digits);
    int32_t first_weight = (int32_t)(digits.len / 4) - 1;
    if (point != NULL)
        strbuf_adds(&digits, point + 1);
    while (digits.len % 4 != 0)
        strbuf_addc(&digits, '0');
    send_groups(digits.data, digits.len, first_weight, text.data[0] == '-' ? WIRE_NEGATIVE : WIRE_POSITIVE,
                numeric_scale(value), out);
    strbuf_release(&text);
    strbuf_release(&digits);
}

static uint16_t read_u16(const uint8_t *at)
{
    return (uint16_t)(at[0] << 8 | at[1]);
}

static bool bad_message(const char *what, struct error *err)
{
    return error_set(err, ERRCODE_INVALID_BINARY_REPRESENTATION, "%s", what);
}

static bool recv_special(struct arena *arena, uint16_t sign, int32_t typmod, struct varlen *out,
                         struct error *err)
{
    enum numeric_kind kind = sign == WIRE_NAN             ? NUMERIC_NAN
                             : sign == WIRE_PLUS_INFINITY ? NUMERIC_PLUS_INFINITY
                                                          : NUMERIC_MINUS_INFINITY;
    struct varlen value = numeric_special(kind);
    return numeric_apply_typmod(arena, &value, typmod, out, err);
}

bool numeric_recv(struct arena *arena, const uint8_t *bytes, size_t len, int32_t typmod, struct varlen *out,
                  struct error *err)
{
    if (len < 8)
        return bad_message("insufficient data left in message", err);
    uint32_t groups = read_u16(bytes);
    int32_t weight = (int16_t)read_u16(bytes + 2);
    uint16_t sign = read_u16(bytes + 4);
    int32_t scale = read_u16(bytes + 6);
    if (sign != WIRE_POSITIVE && sign != WIRE_NEGATIVE && sign != WIRE_NAN && sign != WIRE_PLUS_INFINITY &&
        sign != WIRE_MINUS_INFINITY)
        return bad_message("invalid sign in external \"numeric\" value", err);
    if (scale > NUMERIC_SCALE_MAX)
        return bad_message("invalid scale in external \"numeric\" value", err);
    if (len - 8 < (size_t)groups * 2)
        return bad_message("insufficient data left in message", err);
    if (len - 8 > (size_t)groups * 2)
        return bad_message("incorrect binary data format", err);
    for (uint32_t i = 0; i < groups; i++) {
        if (read_u16(bytes + 8 + 2 * i) > 9999)
            return bad_message("invalid digit in external \"numeric\" value", err);
    }
    if (sign != WIRE_POSITIVE && sign != WIRE_NEGATIVE)
        return recv_special(arena, sign, typmod, out, err);

    struct varlen value;
    bool ok = true;
    int32_t last_scale =
        ((int32_t)groups - 1 - weight) * 4; /* digits behind the point that the groups give */
    if (groups <= 9 && last_scale >= -36 && last_scale <= NUMERIC_SCALE_MAX) {
        __int128 coefficient = 0;
        for (uint32_t i = 0; i < groups; i++)
            coefficient = coefficient * 10000 + read_u16(bytes + 8 + 2 * i);
        int32_t drop = last_scale - scale;
        bool fits = true;
        if (drop > 0)
            coefficient = drop > NUMERIC_POW10_MAX ? 0 : coefficient / (__int128)numeric_pow10[drop];
        else
            fits = numeric_scale_up(&coefficient, -drop);
        if (fits) {
            value = numeric_pack_small(arena, sign == WIRE_NEGATIVE ? -coefficient : coefficient, scale);
            return numeric_apply_typmod(arena, &value, typmod, out, err);
        }
    }
    char *digits = mem_alloc((size_t)groups * 4 + 2);
    for (uint32_t i = 0; i < groups; i++) {
        uint16_t group = read_u16(bytes + 8 + 2 * i);
        char *at = digits + (size_t)i * 4;
        at[0] = (char)('0' + group / 1000);
        at[1] = (char)('0' + group / 100 % 10);
        at[2] = (char)('0' + group / 10 % 10);
        at[3] = (char)('0' + group % 10);
    }
    digits[(size_t)groups * 4] = '\0';
    mpz_t coefficient;
    mpz_init(coefficient);
    if (groups > 0)
        mpz_set_str(coefficient, digits, 10);
    mem_free(digits);
    numeric_mpz_rescale(coefficient, last_scale, scale, false);
    if (sign == WIRE_NEGATIVE)
        mpz_neg(coefficient, coefficient);
    ok = numeric_store(arena, coefficient, scale, &value, err);
    mpz_clear(coefficient);
    return ok && numeric_apply_typmod(arena, &value, typmod, out, err);
}
