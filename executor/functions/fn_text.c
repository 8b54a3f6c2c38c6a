/* fn_text.c: functions over text and bytea that cut, find, change and join (PostgreSQL manual 9.4, 9.5).
 *
 * Positions and lengths of text count characters; where a value is plain ASCII they are bytes. Results that
 * are part of an argument borrow its bytes. Case follows the "C" collation: ASCII letters only. */
#define _GNU_SOURCE
#include "executor/functions/text_kernel.h"

#define TOO_LARGE(len) ((len) > VALUE_BYTES_MAX - 16)

static void error_too_large(struct fn_call *call, struct column *result, uint32_t row)
{
    fn_error(call, row, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
    RESULT_VAR(result)[row] = (struct varlen){0};
}

static bool is_bytea(const struct column *column)
{
    return column->type.oid == OID_BYTEA;
}

/* ---- lengths ---- */

static void fn_length(struct fn_call *call, const struct column *args, struct column *result)
{
    bool padded = args[0].type.oid == OID_BPCHAR, bytes = is_bytea(&args[0]);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        if (padded)
            text.len = text_trimmed_len(text.bytes, text.len);
        RESULT_I32(result)[i] = (int32_t)(bytes ? text.len : text_chars(text.bytes, text.len));
    }
}

static void fn_octet_length(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_I32(result)[i] = (int32_t)COLUMN_VAR(&args[0])[COLUMN_AT(&args[0], i)].len;
}

static void fn_bit_length(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        RESULT_I32(result)[i] = (int32_t)(COLUMN_VAR(&args[0])[COLUMN_AT(&args[0], i)].len * 8);
}

/* ---- case ---- */

#define EACH_BYTE(byte) ((uint64_t)(byte)*0x0101010101010101u)

/* Eight bytes at once: those from `first` to `first` + 25 change their case; bytes of longer characters stay. */
static inline uint64_t change_case(uint64_t word, uint8_t first)
{
    uint64_t low = word & EACH_BYTE(0x7f);
    uint64_t from_first = low + EACH_BYTE(0x80 - first), behind_last = low + EACH_BYTE(0x80 - 26 - first);
    uint64_t letters = (from_first ^ behind_last) & ~word & EACH_BYTE(0x80);
    return word ^ letters >> 2;
}

static void change_case_rows(struct fn_call *call, const struct column *args, struct column *result,
                             uint8_t first)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        const struct varlen *value = &COLUMN_VAR(&args[0])[COLUMN_AT(&args[0], i)];
        struct varlen *out = &RESULT_VAR(result)[i];
        uint64_t word = 0;
        if (value->len <= VARLEN_INLINE_MAX) { /* zeros behind its end stay */
            *out = *value;
            memcpy(&word, value->inlined + 4, 8);
            word = change_case(word, first);
            memcpy(out->inlined + 4, &word, 8);
            word = 0;
            memcpy(&word, value->inlined, 4);
            word = change_case(word, first);
            memcpy(out->inlined, &word, 4);
            continue;
        }
        const uint8_t *from = varlen_bytes(value);
        char *to = text_begin(call->arena, out, value->len);
        size_t at = 0;
        for (; at + 8 <= value->len; at += 8) {
            memcpy(&word, from + at, 8);
            word = change_case(word, first);
            memcpy(to + at, &word, 8);
        }
        word = 0;
        memcpy(&word, from + at, value->len - at);
        word = change_case(word, first);
        memcpy(to + at, &word, value->len - at);
        text_end(out);
    }
}

static void fn_upper(struct fn_call *call, const struct column *args, struct column *result)
{
    change_case_rows(call, args, result, 'a');
}

static void fn_lower(struct fn_call *call, const struct column *args, struct column *result)
{
    change_case_rows(call, args, result, 'A');
}

static bool is_ascii_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void fn_initcap(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        char *out = text_begin(call->arena, &RESULT_VAR(result)[i], text.len);
        bool inside = false;
        for (size_t at = 0; at < text.len; at++) {
            out[at] = inside ? ascii_lower(text.bytes[at]) : ascii_upper(text.bytes[at]);
            inside = is_ascii_alnum(text.bytes[at]);
        }
        text_end(&RESULT_VAR(result)[i]);
    }
}

/* ---- joining ---- */

static void join(struct fn_call *call, struct column *result, uint32_t row, struct text_arg a,
                 struct text_arg b)
{
    struct varlen *out = &RESULT_VAR(result)[row];
    if (TOO_LARGE(a.len + b.len)) {
        error_too_large(call, result, row);
        return;
    }
    char *bytes = text_begin(call->arena, out, a.len + b.len);
    memcpy(bytes, a.bytes, a.len);
    memcpy(bytes + a.len, b.bytes, b.len);
    text_end(out);
}

static void fn_join(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++)
        join(call, result, i, text_at(&args[0], i), text_at(&args[1], i));
}

/* The side that is not text (the operator's "anynonarray") is written first. */
static void fn_join_any(struct fn_call *call, const struct column *args, struct column *result)
{
    const struct function_signature *signature = function_signature(call->function);
    uint32_t other = signature->args[0] == OID_TEXT ? 1 : 0;
    struct strbuf text = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        struct datum value = column_get(&args[other], i);
        strbuf_reset(&text);
        if (args[other].type.oid == OID_BOOL)
            strbuf_adds(&text, value.boolean ? "true" : "false"); /* as the cast to text, not as output */
        else
            type_output(args[other].type.oid, &value, &call->env->io, &text);
        struct text_arg written = {.bytes = strbuf_text(&text), .len = text.len};
        if (other == 0)
            join(call, result, i, written, text_at(&args[1], i));
        else
            join(call, result, i, text_at(&args[0], i), written);
    }
    strbuf_release(&text);
}

/* ---- parts ---- */

/* Bytes [from, to) as characters [start, start + count) of the text; count < 0: to the end. start is 0-based,
 * >= 0. */
static struct text_arg part_of(struct text_arg text, bool bytes, int64_t start, int64_t count)
{
    size_t from = (uint64_t)start >= text.len ? text.len : (size_t)start, to;
    bool simple = bytes || text_is_ascii(text);
    if (!simple)
        from = text_bytes_of_chars(text.bytes, text.len, (size_t)start);
    size_t rest = text.len - from;
    if (count < 0 || (uint64_t)count >= rest)
        to = text.len;
    else
        to = from + (simple ? (size_t)count : text_bytes_of_chars(text.bytes + from, rest, (size_t)count));
    return (struct text_arg){.bytes = text.bytes + from, .len = to - from};
}

static void fn_substring(struct fn_call *call, const struct column *args, struct column *result)
{
    bool bytes = is_bytea(&args[0]);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        int64_t start = (int64_t)i32_at(&args[1], i) - 1, count = -1;
        if (call->args_count == 3) {
            count = i32_at(&args[2], i);
            if (count < 0) {
                fn_error(call, i, ERRCODE_SUBSTRING_ERROR, "negative substring length not allowed");
                count = 0;
            }
            if (start < 0)
                count = count + start > 0 ? count + start : 0;
        }
        RESULT_VAR(result)[i] = text_view(part_of(text, bytes, start < 0 ? 0 : start, count));
    }
}

static void fn_left(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        int64_t count = i32_at(&args[1], i);
        if (count < 0) {
            count += (int64_t)text_chars(text.bytes, text.len);
            count = count < 0 ? 0 : count;
        }
        RESULT_VAR(result)[i] = text_view(part_of(text, false, 0, count));
    }
}

static void fn_right(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        int64_t count = i32_at(&args[1], i), chars = (int64_t)text_chars(text.bytes, text.len);
        int64_t start = count < 0 ? -count : chars - count;
        RESULT_VAR(result)[i] = text_view(part_of(text, false, start < 0 ? 0 : start, -1));
    }
}

static void fn_overlay(struct fn_call *call, const struct column *args, struct column *result)
{
    bool bytes = is_bytea(&args[0]);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i), placed = text_at(&args[1], i);
        int64_t start = i32_at(&args[2], i);
        int64_t count = call->args_count == 4 ? i32_at(&args[3], i)
                        : bytes               ? (int64_t)placed.len
                                              : (int64_t)text_chars(placed.bytes, placed.len);
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (start <= 0) {
            fn_error(call, i, ERRCODE_SUBSTRING_ERROR, "negative substring length not allowed");
            continue;
        }
        if (start + count > INT32_MAX) {
            fn_error(call, i, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "integer out of range");
            continue;
        }
        int64_t behind = start + count - 1;
        struct text_arg head = part_of(text, bytes, 0, start - 1),
                        tail = part_of(text, bytes, behind < 0 ? 0 : behind, -1);
        size_t len = head.len + placed.len + tail.len;
        if (TOO_LARGE(len)) {
            error_too_large(call, result, i);
            continue;
        }
        char *out = text_begin(call->arena, &RESULT_VAR(result)[i], len);
        memcpy(out, head.bytes, head.len);
        memcpy(out + head.len, placed.bytes, placed.len);
        memcpy(out + head.len + placed.len, tail.bytes, tail.len);
        text_end(&RESULT_VAR(result)[i]);
    }
}

/* The field-th part, counted from 1, between separators of one byte. */
static struct text_arg part_between(struct text_arg text, char separator, int64_t field)
{
    size_t start = 0, at = 0;
    for (; at + 8 <= text.len; at += 8) {
        uint64_t word;
        memcpy(&word, text.bytes + at, 8);
        word ^= EACH_BYTE((uint8_t)separator);
        /* the top bit of every byte that is zero now, and of no other */
        uint64_t found = ~(((word & EACH_BYTE(0x7f)) + EACH_BYTE(0x7f)) | word | EACH_BYTE(0x7f));
        for (; found != 0; found &= found - 1) {
            size_t end = at + (size_t)__builtin_ctzll(found) / 8;
            if (--field == 0)
                return (struct text_arg){text.bytes + start, end - start};
            start = end + 1;
        }
    }
    for (; at < text.len; at++) {
        if (text.bytes[at] != separator)
            continue;
        if (--field == 0)
            return (struct text_arg){text.bytes + start, at - start};
        start = at + 1;
    }
    return (struct text_arg){text.bytes + start, field == 1 ? text.len - start : 0};
}

static void fn_split_part(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i), separator = text_at(&args[1], i);
        int64_t field = i32_at(&args[2], i);
        struct varlen *out = &RESULT_VAR(result)[i];
        *out = (struct varlen){0};
        if (field == 0) {
            fn_error(call, i, ERRCODE_INVALID_PARAMETER_VALUE, "field position must not be zero");
            continue;
        }
        if (separator.len == 0) {
            if (field == 1 || field == -1)
                *out = text_view(text);
            continue;
        }
        if (separator.len == 1 && field > 0) {
            *out = text_view(part_between(text, separator.bytes[0], field));
            continue;
        }
        if (field < 0) { /* from the end: count the fields */
            int64_t fields = 1;
            for (size_t at = 0; (at = text_find(text, separator, at)) != SIZE_MAX; at += separator.len)
                fields++;
            field += fields + 1;
        }
        size_t start = 0;
        while (field > 0) {
            size_t end = text_find(text, separator, start);
            if (field == 1) {
                end = end == SIZE_MAX ? text.len : end;
                *out = varlen_view(text.bytes + start, (uint32_t)(end - start));
                break;
            }
            if (end == SIZE_MAX)
                break;
            start = end + separator.len;
            field--;
        }
    }
}

/* ---- searching ---- */

static void fn_position(struct fn_call *call, const struct column *args, struct column *result)
{
    bool bytes = is_bytea(&args[0]);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        size_t at = text_find(text, text_at(&args[1], i), 0);
        if (at != SIZE_MAX && !bytes)
            at = text_chars(text.bytes, at);
        RESULT_I32(result)[i] = at == SIZE_MAX ? 0 : (int32_t)at + 1;
    }
}

static void fn_starts_with(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i), prefix = text_at(&args[1], i);
        RESULT_BOOL(result)[i] = prefix.len <= text.len && memcmp(text.bytes, prefix.bytes, prefix.len) == 0;
    }
}

/* ---- trimming ---- */

enum trim_side { TRIM_LEFT = 1, TRIM_RIGHT = 2, TRIM_BOTH = 3 };

static bool set_has(struct text_arg set, const char *character, size_t bytes)
{
    for (size_t at = 0; at < set.len; at += utf8_step(set, at)) {
        if (utf8_step(set, at) == bytes && memcmp(set.bytes + at, character, bytes) == 0)
            return true;
    }
    return false;
}

static struct text_arg trim(struct text_arg text, struct text_arg set, bool bytes, enum trim_side side)
{
    if ((side & TRIM_LEFT) != 0) {
        while (text.len > 0) {
            size_t step = bytes ? 1 : utf8_step(text, 0);
            if (bytes ? memchr(set.bytes, text.bytes[0], set.len) == NULL : !set_has(set, text.bytes, step))
                break;
            text.bytes += step;
            text.len -= step;
        }
    }
    if ((side & TRIM_RIGHT) != 0) {
        while (text.len > 0) {
            size_t start = text.len - 1;
            while (!bytes && start > 0 && ((uint8_t)text.bytes[start] & 0xc0) == 0x80)
                start--;
            if (bytes ? memchr(set.bytes, text.bytes[start], set.len) == NULL
                      : !set_has(set, text.bytes + start, text.len - start))
                break;
            text.len = start;
        }
    }
    return text;
}

static void trim_rows(struct fn_call *call, const struct column *args, struct column *result,
                      enum trim_side side)
{
    bool bytes = is_bytea(&args[0]);
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg set = {.bytes = " ", .len = 1};
        if (call->args_count == 2)
            set = text_at(&args[1], i);
        bool simple = bytes || set.len == 1; /* one byte is one ASCII character */
        RESULT_VAR(result)[i] = text_view(trim(text_at(&args[0], i), set, simple, side));
    }
}

static void fn_btrim(struct fn_call *call, const struct column *args, struct column *result)
{
    trim_rows(call, args, result, TRIM_BOTH);
}
static void fn_ltrim(struct fn_call *call, const struct column *args, struct column *result)
{
    trim_rows(call, args, result, TRIM_LEFT);
}
static void fn_rtrim(struct fn_call *call, const struct column *args, struct column *result)
{
    trim_rows(call, args, result, TRIM_RIGHT);
}

/* ---- padding, repeating ---- */

static void pad_rows(struct fn_call *call, const struct column *args, struct column *result, bool left)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i), fill = {.bytes = " ", .len = 1};
        int64_t wanted = i32_at(&args[1], i);
        if (call->args_count == 3)
            fill = text_at(&args[2], i);
        wanted = wanted < 0 ? 0 : wanted;
        if (TOO_LARGE((uint64_t)wanted * 4)) { /* PostgreSQL reserves four bytes for each character */
            error_too_large(call, result, i);
            continue;
        }
        int64_t chars = (int64_t)text_chars(text.bytes, text.len);
        if (chars >= wanted || fill.len == 0) {
            RESULT_VAR(result)[i] = text_view(part_of(text, false, 0, wanted));
            continue;
        }
        /* whole fills and a part of one */
        size_t missing = (size_t)(wanted - chars), fill_chars = text_chars(fill.bytes, fill.len);
        size_t part = text_bytes_of_chars(fill.bytes, fill.len, missing % fill_chars);
        size_t padding = missing / fill_chars * fill.len + part;
        char *out = text_begin(call->arena, &RESULT_VAR(result)[i], padding + text.len);
        char *at = left ? out : out + text.len;
        for (size_t done = 0; done < missing / fill_chars; done++, at += fill.len)
            memcpy(at, fill.bytes, fill.len);
        memcpy(at, fill.bytes, part);
        memcpy(left ? out + padding : out, text.bytes, text.len);
        text_end(&RESULT_VAR(result)[i]);
    }
}

static void fn_lpad(struct fn_call *call, const struct column *args, struct column *result)
{
    pad_rows(call, args, result, true);
}
static void fn_rpad(struct fn_call *call, const struct column *args, struct column *result)
{
    pad_rows(call, args, result, false);
}

static void fn_repeat(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        int32_t count = i32_at(&args[1], i);
        count = count < 0 ? 0 : count;
        if (TOO_LARGE((uint64_t)text.len * (uint64_t)count)) {
            error_too_large(call, result, i);
            continue;
        }
        char *out = text_begin(call->arena, &RESULT_VAR(result)[i], text.len * (size_t)count);
        for (int32_t done = 0; text.len > 0 && done < count; done++)
            memcpy(out + (size_t)done * text.len, text.bytes, text.len);
        text_end(&RESULT_VAR(result)[i]);
    }
}

/* ---- changing ---- */

static void fn_replace(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf buf = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i), from = text_at(&args[1], i), to = text_at(&args[2], i);
        size_t at = from.len == 0 ? SIZE_MAX : text_find(text, from, 0), start = 0;
        if (at == SIZE_MAX) {
            RESULT_VAR(result)[i] = text_view(text);
            continue;
        }
        strbuf_reset(&buf);
        while (at != SIZE_MAX && !TOO_LARGE(buf.len)) {
            strbuf_add(&buf, text.bytes + start, at - start);
            strbuf_add(&buf, to.bytes, to.len);
            start = at + from.len;
            at = text_find(text, from, start);
        }
        strbuf_add(&buf, text.bytes + start, text.len - start);
        if (TOO_LARGE(buf.len))
            error_too_large(call, result, i);
        else
            RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &buf);
    }
    strbuf_release(&buf);
}

static void fn_reverse(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        char *out = text_begin(call->arena, &RESULT_VAR(result)[i], text.len);
        for (size_t at = 0; at < text.len;) {
            size_t step = utf8_step(text, at);
            memcpy(out + text.len - at - step, text.bytes + at, step);
            at += step;
        }
        text_end(&RESULT_VAR(result)[i]);
    }
}

/* What character becomes: the one at the same place in `to`, nothing when that is shorter. */
static bool translated(struct text_arg from, struct text_arg to, const char *character, size_t bytes,
                       struct text_arg *out)
{
    size_t in = 0, place = 0;
    while (in < from.len) {
        size_t step = utf8_step(from, in), out_step = place < to.len ? utf8_step(to, place) : 0;
        if (step == bytes && memcmp(from.bytes + in, character, bytes) == 0) {
            *out = (struct text_arg){.bytes = to.bytes + place, .len = out_step};
            return true;
        }
        in += step;
        place += out_step;
    }
    return false;
}

static void fn_translate(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf buf = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i), from = text_at(&args[1], i), to = text_at(&args[2], i);
        strbuf_reset(&buf);
        for (size_t at = 0; at < text.len;) {
            size_t step = utf8_step(text, at);
            struct text_arg other = {.bytes = text.bytes + at, .len = step};
            translated(from, to, text.bytes + at, step, &other);
            strbuf_add(&buf, other.bytes, other.len);
            at += step;
        }
        RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &buf);
    }
    strbuf_release(&buf);
}

static void fn_ascii(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        RESULT_I32(result)[i] = text.len > 0 ? (int32_t)utf8_decode(text.bytes) : 0;
    }
}

static void fn_chr(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        int32_t code = i32_at(&args[0], i);
        char bytes[4] = {0};
        size_t len = 0;
        if (code == 0)
            fn_error(call, i, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "null character not permitted");
        else if (code < 0)
            fn_error(call, i, ERRCODE_INVALID_PARAMETER_VALUE, "character number must be positive");
        else if (code > 0x10ffff)
            fn_error(call, i, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                     "requested character too large for encoding: %u", (uint32_t)code);
        else if (code >= 0xd800 && code <= 0xdfff)
            fn_error(call, i, ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                     "requested character not valid for encoding: %u", (uint32_t)code);
        else
            len = utf8_encode((uint32_t)code, bytes);
        RESULT_VAR(result)[i] = varlen_view(bytes, (uint32_t)len);
    }
}

/* ---- rows ---- */

#define JOIN_ANY (FN_OPERATOR | FN_STABLE | FN_VIEW_OK)

const struct function_row fn_text_rows[] = {
    {"length", "text", "int4", fn_length, "length('abc') gives 3"},
    {"length", "bpchar", "int4", fn_length, "length('abc '::bpchar) gives 3"},
    {"length", "bytea", "int4", fn_length, "length('\\x0102'::bytea) gives 2"},
    {"char_length", "text", "int4", fn_length, "char_length('abc') gives 3"},
    {"char_length", "bpchar", "int4", fn_length, "char_length('abc '::bpchar) gives 3"},
    {"character_length", "text", "int4", fn_length, "character_length('abc') gives 3"},
    {"character_length", "bpchar", "int4", fn_length, "character_length('abc '::bpchar) gives 3"},
    {"octet_length", "text", "int4", fn_octet_length, "octet_length('abc') gives 3, the bytes"},
    {"octet_length", "bpchar", "int4", fn_octet_length, "octet_length('abc '::bpchar) gives 4"},
    {"octet_length", "bytea", "int4", fn_octet_length, "octet_length('\\x0102'::bytea) gives 2"},
    {"bit_length", "text", "int4", fn_bit_length, "bit_length('abc') gives 24"},
    {"bit_length", "bytea", "int4", fn_bit_length, "bit_length('\\x0102'::bytea) gives 16"},
    {"upper", "text", "text", fn_upper, "upper('abc') gives 'ABC'"},
    {"lower", "text", "text", fn_lower, "lower('ABC') gives 'abc'"},
    {"initcap", "text", "text", fn_initcap, "initcap('hi THOMAS') gives 'Hi Thomas'"},
    {"||", "text,text", "text", fn_join, "'a' || 'b' gives 'ab'", FN_OPERATOR},
    {"||", "bytea,bytea", "bytea", fn_join, "'\\x01'::bytea || '\\x02' gives '\\x0102'", FN_OPERATOR},
    {"||", "anynonarray,text", "text", fn_join_any, "1 || 'b' gives '1b'", JOIN_ANY},
    {"||", "text,anynonarray", "text", fn_join_any, "'a' || 1 gives 'a1'", JOIN_ANY},
    {"substring", "text,int4", "text", fn_substring, "substring('abcd', 2) gives 'bcd'"},
    {"substring", "text,int4,int4", "text", fn_substring, "substring('abcd', 2, 2) gives 'bc'"},
    {"substring", "bytea,int4", "bytea", fn_substring, "substring('\\x0102'::bytea, 2) gives '\\x02'"},
    {"substring", "bytea,int4,int4", "bytea", fn_substring,
     "substring('\\x0102'::bytea, 1, 1) gives '\\x01'"},
    {"substr", "text,int4", "text", fn_substring, "substr('abcd', 2) gives 'bcd'"},
    {"substr", "text,int4,int4", "text", fn_substring, "substr('abcd', 2, 2) gives 'bc'"},
    {"substr", "bytea,int4", "bytea", fn_substring, "substr('\\x0102'::bytea, 2) gives '\\x02'"},
    {"substr", "bytea,int4,int4", "bytea", fn_substring, "substr('\\x0102'::bytea, 1, 1) gives '\\x01'"},
    {"position", "text,text", "int4", fn_position, "position('c' in 'abc') gives 3"},
    {"position", "bytea,bytea", "int4", fn_position, "position('\\x02' in '\\x0102'::bytea) gives 2"},
    {"strpos", "text,text", "int4", fn_position, "strpos('abc', 'c') gives 3"},
    {"overlay", "text,text,int4", "text", fn_overlay, "overlay('abcd' placing 'X' from 2) gives 'aXcd'"},
    {"overlay", "text,text,int4,int4", "text", fn_overlay,
     "overlay('abcd' placing 'X' from 2 for 2) gives 'aXd'"},
    {"overlay", "bytea,bytea,int4", "bytea", fn_overlay, "overlay('\\x0102'::bytea placing '\\x03' from 1)"},
    {"overlay", "bytea,bytea,int4,int4", "bytea", fn_overlay,
     "overlay('\\x0102'::bytea placing '\\x03' from 1 for 2)"},
    {"btrim", "text", "text", fn_btrim, "btrim(' a ') gives 'a'"},
    {"btrim", "text,text", "text", fn_btrim, "btrim('xax', 'x') gives 'a'"},
    {"btrim", "bytea,bytea", "bytea", fn_btrim, "btrim('\\x000100'::bytea, '\\x00') gives '\\x01'"},
    {"ltrim", "text", "text", fn_ltrim, "ltrim(' a') gives 'a'"},
    {"ltrim", "text,text", "text", fn_ltrim, "ltrim('xa', 'x') gives 'a'"},
    {"ltrim", "bytea,bytea", "bytea", fn_ltrim, "ltrim('\\x0001'::bytea, '\\x00') gives '\\x01'"},
    {"rtrim", "text", "text", fn_rtrim, "rtrim('a ') gives 'a'"},
    {"rtrim", "text,text", "text", fn_rtrim, "rtrim('ax', 'x') gives 'a'"},
    {"rtrim", "bytea,bytea", "bytea", fn_rtrim, "rtrim('\\x0100'::bytea, '\\x00') gives '\\x01'"},
    {"lpad", "text,int4", "text", fn_lpad, "lpad('a', 3) gives '  a'"},
    {"lpad", "text,int4,text", "text", fn_lpad, "lpad('a', 3, 'xy') gives 'xya'"},
    {"rpad", "text,int4", "text", fn_rpad, "rpad('a', 3) gives 'a  '"},
    {"rpad", "text,int4,text", "text", fn_rpad, "rpad('a', 3, 'xy') gives 'axy'"},
    {"left", "text,int4", "text", fn_left, "left('abc', 2) gives 'ab'"},
    {"right", "text,int4", "text", fn_right, "right('abc', 2) gives 'bc'"},
    {"repeat", "text,int4", "text", fn_repeat, "repeat('ab', 2) gives 'abab'"},
    {"replace", "text,text,text", "text", fn_replace, "replace('abab', 'a', 'x') gives 'xbxb'"},
    {"reverse", "text", "text", fn_reverse, "reverse('abc') gives 'cba'"},
    {"split_part", "text,text,int4", "text", fn_split_part, "split_part('a,b,c', ',', 2) gives 'b'"},
    {"translate", "text,text,text", "text", fn_translate, "translate('abc', 'ab', 'x') gives 'xc'"},
    {"ascii", "text", "int4", fn_ascii, "ascii('a') gives 97"},
    {"chr", "int4", "text", fn_chr, "chr(97) gives 'a'"},
    {"starts_with", "text,text", "bool", fn_starts_with, "starts_with('abc', 'ab') gives true"},
    {"^@", "text,text", "bool", fn_starts_with, "'abc' ^@ 'ab' gives true", FN_OPERATOR},
};
const size_t fn_text_rows_count = sizeof(fn_text_rows) / sizeof(fn_text_rows[0]);
