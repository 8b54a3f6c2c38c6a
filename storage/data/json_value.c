/* json_value.c: jsonb: canonical form, writing, order and hash.
 *
 * Because jsonb is kept as canonical text, two equal values differ at most in trailing zeros of numbers:
 * equality and hash work on the text, only order needs the tree. */
#include "storage/base/limits.h"
#include "storage/base/simd.h"
#include "storage/data/hash.h"
#include "storage/data/json.h"
#include "storage/data/numeric.h"

#include <stdlib.h>

/* jsonb sorts keys by length, then by bytes. */
static int key_order(const struct varlen *a, const struct varlen *b)
{
    if (a->len != b->len)
        return a->len < b->len ? -1 : 1;
    return a->len == 0 ? 0 : memcmp(varlen_bytes(a), varlen_bytes(b), a->len);
}

struct member {
    struct varlen key;
    struct json_value *value;
    uint32_t position;
};

static int member_order(const void *a, const void *b)
{
    const struct member *left = a, *right = b;
    int order = key_order(&left->key, &right->key);
    return order != 0 ? order : (left->position > right->position) - (left->position < right->position);
}

/* Numbers as numeric prints them: no exponent, no negative zero. */
static bool canonicalize_number(struct varlen *number, struct arena *arena, struct error *err)
{
    const char *text = (const char *)varlen_bytes(number);
    if (text[0] != '-' && memchr(text, 'e', number->len) == NULL && memchr(text, 'E', number->len) == NULL &&
        number->len < 1000)
        return true;
    struct varlen value;
    if (!numeric_parse(arena, text, number->len, -1, &value, err))
        return false;
    struct strbuf buf = STRBUF_INIT;
    numeric_format(&value, &buf);
    *number = varlen_copy(arena, strbuf_text(&buf), (uint32_t)buf.len);
    strbuf_release(&buf);
    return true;
}

/* Not strict: numbers that numeric cannot hold stay as they are. */
static bool canonicalize(struct json_value *value, struct arena *arena, bool strict, struct error *err)
{
    if (value->kind == JSON_NUMBER)
        return canonicalize_number(&value->text, arena, err) || !strict;
    bool sorted = true;
    for (uint32_t i = 0; i < value->count; i++) {
        if (!canonicalize(value->items[i], arena, strict, err))
            return false;
        if (value->kind == JSON_OBJECT && i > 0 && key_order(&value->keys[i - 1], &value->keys[i]) >= 0)
            sorted = false;
    }
    if (value->kind != JSON_OBJECT || sorted)
        return true;
    struct member *members = ARENA_ARRAY(arena, struct member, value->count);
    for (uint32_t i = 0; i < value->count; i++)
        members[i] = (struct member){value->keys[i], value->items[i], i};
    qsort(members, value->count, sizeof(*members), member_order);
    uint32_t kept = 0;
    for (uint32_t i = 0; i < value->count; i++) {
        if (i + 1 < value->count && key_order(&members[i].key, &members[i + 1].key) == 0)
            continue; /* the last of equal keys wins */
        value->keys[kept] = members[i].key;
        value->items[kept++] = members[i].value;
    }
    value->count = kept;
    return true;
}

void json_canonicalize(struct json_value *value, struct arena *arena)
{
    (void)!canonicalize(value, arena, false, NULL);
}

bool jsonb_parse(struct arena *arena, const char *text, size_t len, struct varlen *out, struct error *err)
{
    struct json_value *value;
    if (!json_parse(arena, text, len, &value, err) || !canonicalize(value, arena, true, err))
        return false;
    struct strbuf buf = STRBUF_INIT;
    json_write(value, &buf);
    bool fits = buf.len <= VALUE_BYTES_MAX;
    if (fits)
        *out = varlen_copy(arena, strbuf_text(&buf), (uint32_t)buf.len);
    strbuf_release(&buf);
    return fits || error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                             "jsonb value is longer than the maximum of %u bytes", VALUE_BYTES_MAX);
}

/* The first byte at or behind `at` that must be escaped; len when there is none. */
static size_t plain_until(const char *text, size_t at, size_t len)
{
    uint32_t above;
    for (; at + 16 <= len; at += 16) {
        uint32_t hits = simd_string16((const uint8_t *)text + at, &above);
        if (hits != 0)
            return at + (uint32_t)__builtin_ctz(hits);
    }
    while (at < len && (uint8_t)text[at] >= 0x20 && text[at] != '"' && text[at] != '\\')
        at++;
    return at;
}

bool json_is_plain(const char *text, size_t len)
{
    return plain_until(text, 0, len) == len;
}

void json_write_string(const char *text, size_t len, struct strbuf *out)
{
    strbuf_reserve(out, len + 2);
    strbuf_addc(out, '"');
    for (size_t done = 0;;) {
        size_t at = plain_until(text, done, len);
        strbuf_add(out, text + done, at - done);
        if (at == len)
            break;
        uint8_t c = (uint8_t)text[at];
        done = at + 1;
        switch (c) {
        case '"':
        case '\\':
            strbuf_addc(out, '\\');
            strbuf_addc(out, (char)c);
            break;
        case '\b':
            strbuf_add(out, "\\b", 2);
            break;
        case '\f':
            strbuf_add(out, "\\f", 2);
            break;
        case '\n':
            strbuf_add(out, "\\n", 2);
            break;
        case '\r':
            strbuf_add(out, "\\r", 2);
            break;
        case '\t':
            strbuf_add(out, "\\t", 2);
            break;
        default:
            strbuf_addf(out, "\\u%04x", c);
            break;
        }
    }
    strbuf_addc(out, '"');
}

void json_write(const struct json_value *value, struct strbuf *out)
{
    bool is_object = value->kind == JSON_OBJECT;
    switch (value->kind) {
    case JSON_NULL:
        strbuf_add(out, "null", 4);
        break;
    case JSON_FALSE:
        strbuf_add(out, "false", 5);
        break;
    case JSON_TRUE:
        strbuf_add(out, "true", 4);
        break;
    case JSON_NUMBER:
        strbuf_add(out, varlen_bytes(&value->text), value->text.len);
        break;
    case JSON_STRING:
        json_write_string((const char *)varlen_bytes(&value->text), value->text.len, out);
        break;
    case JSON_ARRAY:
    case JSON_OBJECT:
        strbuf_addc(out, is_object ? '{' : '[');
        for (uint32_t i = 0; i < value->count; i++) {
            if (i > 0)
                strbuf_add(out, ", ", 2);
            if (is_object) {
                json_write_string((const char *)varlen_bytes(&value->keys[i]), value->keys[i].len, out);
                strbuf_add(out, ": ", 2);
            }
            json_write(value->items[i], out);
        }
        strbuf_addc(out, is_object ? '}' : ']');
        break;
    }
}

/* ---- order ---- */

static int text_order(const struct varlen *a, const struct varlen *b)
{
    uint32_t shorter = a->len < b->len ? a->len : b->len;
    int order = shorter == 0 ? 0 : memcmp(varlen_bytes(a), varlen_bytes(b), shorter);
    return order != 0 ? order : (a->len > b->len) - (a->len < b->len);
}

static bool small_integer(const struct varlen *number, int64_t *out)
{
    const char *text = (const char *)varlen_bytes(number);
    bool negative = text[0] == '-';
    if (number->len > 18)
        return false;
    int64_t value = 0;
    for (uint32_t i = negative; i < number->len; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        value = value * 10 + (text[i] - '0');
    }
    *out = negative ? -value : value;
    return true;
}

static int number_order(const struct varlen *a, const struct varlen *b)
{
    int64_t left, right;
    if (small_integer(a, &left) && small_integer(b, &right))
        return (left > right) - (left < right);
    struct arena arena;
    struct varlen x, y;
    int order;
    arena_init(&arena, NULL);
    if (numeric_parse(&arena, (const char *)varlen_bytes(a), a->len, -1, &x, NULL) &&
        numeric_parse(&arena, (const char *)varlen_bytes(b), b->len, -1, &y, NULL))
        order = numeric_compare(&x, &y);
    else
        order = text_order(a, b);
    arena_release(&arena);
    return order;
}

/* Null < string < number < boolean < array < object. */
static int kind_rank(enum json_kind kind)
{
    static const uint8_t ranks[] = {[JSON_NULL] = 0, [JSON_STRING] = 1, [JSON_NUMBER] = 2, [JSON_FALSE] = 3,
                                    [JSON_TRUE] = 3, [JSON_ARRAY] = 4,  [JSON_OBJECT] = 5};
    return ranks[kind];
}

static int compare_below(const struct json_value *a, const struct json_value *b)
{
    int rank = kind_rank(a->kind) - kind_rank(b->kind);
    if (rank != 0)
        return rank;
    switch (a->kind) {
    case JSON_NULL:
        return 0;
    case JSON_FALSE:
    case JSON_TRUE:
        return (int)a->kind - (int)b->kind;
    case JSON_NUMBER:
        return number_order(&a->text, &b->text);
    case JSON_STRING:
        return text_order(&a->text, &b->text);
    default:
        break;
    }
    if (a->count != b->count)
        return a->count < b->count ? -1 : 1;
    for (uint32_t i = 0; i < a->count; i++) {
        int order = a->kind == JSON_OBJECT ? text_order(&a->keys[i], &b->keys[i]) : 0;
        if (order == 0)
            order = compare_below(a->items[i], b->items[i]);
        if (order != 0)
            return order;
    }
    return 0;
}

int json_compare(const struct json_value *a, const struct json_value *b)
{
    /* a scalar at the top counts as an array of one element, which is why [] sorts before everything */
    bool a_object = a->kind == JSON_OBJECT, b_object = b->kind == JSON_OBJECT;
    if (a_object != b_object)
        return a_object ? 1 : -1;
    bool a_scalar = kind_rank(a->kind) < 4, b_scalar = kind_rank(b->kind) < 4;
    if (a_scalar == b_scalar)
        return compare_below(a, b);
    uint32_t a_count = a_scalar ? 1 : a->count, b_count = b_scalar ? 1 : b->count;
    if (a_count != b_count)
        return a_count < b_count ? -1 : 1;
    return a_scalar ? -1 : 1;
}

int jsonb_compare(const struct varlen *a, const struct varlen *b)
{
    if (varlen_identical(a, b))
        return 0;
    struct arena arena;
    struct json_value *x, *y;
    int order;
    arena_init(&arena, NULL);
    if (json_parse(&arena, (const char *)varlen_bytes(a), a->len, &x, NULL) &&
        json_parse(&arena, (const char *)varlen_bytes(b), b->len, &y, NULL))
        order = json_compare(x, y);
    else
        order = text_order(a, b);
    arena_release(&arena);
    return order;
}

/* ---- equality and hash ---- */

/* Canonical text with the trailing zeros of fractions removed: the same bytes for equal values. */
static void write_normalized(const struct varlen *value, struct strbuf *out)
{
    const char *text = (const char *)varlen_bytes(value), *end = text + value->len;
    strbuf_reserve(out, value->len);
    while (text < end) {
        const char *start = text;
        if (*text == '"') {
            for (text++; text < end && *text != '"'; text++)
                text += *text == '\\' && text + 1 < end;
            text += text < end;
            strbuf_add(out, start, (size_t)(text - start));
        } else if (*text >= '0' && *text <= '9') {
            const char *keep = NULL;
            while (text < end && ((*text >= '0' && *text <= '9') || *text == '.')) {
                if (*text == '.')
                    keep = text;
                else if (*text != '0' || keep == NULL)
                    keep = keep == NULL ? NULL : text + 1;
                text++;
            }
            strbuf_add(out, start, (size_t)((keep == NULL ? text : keep) - start));
        } else {
            strbuf_addc(out, *text++);
        }
    }
}

static bool may_have_fractions(const struct varlen *value)
{
    return value->len > 0 && memchr(varlen_bytes(value), '.', value->len) != NULL;
}

bool jsonb_equal(const struct varlen *a, const struct varlen *b)
{
    if (varlen_identical(a, b))
        return true;
    if (!may_have_fractions(a) && !may_have_fractions(b))
        return false;
    struct strbuf x = STRBUF_INIT, y = STRBUF_INIT;
    write_normalized(a, &x);
    write_normalized(b, &y);
    bool equal = x.len == y.len && memcmp(strbuf_text(&x), strbuf_text(&y), x.len) == 0;
    strbuf_release(&x);
    strbuf_release(&y);
    return equal;
}

uint64_t jsonb_hash(const struct varlen *value)
{
    if (!may_have_fractions(value))
        return hash_bytes(varlen_bytes(value), value->len);
    struct strbuf normalized = STRBUF_INIT;
    write_normalized(value, &normalized);
    uint64_t hash = hash_bytes(strbuf_text(&normalized), normalized.len);
    strbuf_release(&normalized);
    return hash;
}
