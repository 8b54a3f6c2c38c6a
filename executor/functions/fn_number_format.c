/* fn_number_format.c: to_char of numbers and to_number by pictures such as '999G999D99MI' (PostgreSQL
 * manual 9.8).
 *
 * A picture is split into elements once; what they say together (digits before and behind the point, signs,
 * fill mode) is the layout. The value's decimal digits are then laid out element by element. Separators are
 * those of the C locale. */
#define _GNU_SOURCE
#include "executor/functions/number_kernel.h"
#include "executor/functions/text_kernel.h"

#include "storage/data/numeric.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- pictures ---- */

enum element_kind {
    EL_LITERAL,
    EL_COMMA,
    EL_POINT,
    EL_ZERO,
    EL_NINE,
    EL_BLANK,
    EL_CURRENCY_CODE,
    EL_DECIMAL,
    EL_EXPONENT,
    EL_FILL_MODE,
    EL_GROUP,
    EL_CURRENCY,
    EL_MINUS,
    EL_PLUS,
    EL_BRACKET,
    EL_ROMAN,
    EL_ROMAN_LOWER,
    EL_EITHER_SIGN,
    EL_SPELL,
    EL_SIGN,
    EL_ORDINAL,
    EL_ORDINAL_LOWER,
    EL_SHIFT,
};

/* The first that matches counts, so longer words stand before their beginnings. */
static const struct element_word {
    const char *word;
    enum element_kind kind;
} element_words[] = {
    {",", EL_COMMA},      {".", EL_POINT},         {"0", EL_ZERO},           {"9", EL_NINE},
    {"B", EL_BLANK},      {"C", EL_CURRENCY_CODE}, {"D", EL_DECIMAL},        {"EEEE", EL_EXPONENT},
    {"FM", EL_FILL_MODE}, {"G", EL_GROUP},         {"L", EL_CURRENCY},       {"MI", EL_MINUS},
    {"PL", EL_PLUS},      {"PR", EL_BRACKET},      {"RN", EL_ROMAN},         {"SG", EL_EITHER_SIGN},
    {"SP", EL_SPELL},     {"S", EL_SIGN},          {"TH", EL_ORDINAL},       {"V", EL_SHIFT},
    {"b", EL_BLANK},      {"c", EL_CURRENCY_CODE}, {"d", EL_DECIMAL},        {"eeee", EL_EXPONENT},
    {"fm", EL_FILL_MODE}, {"g", EL_GROUP},         {"l", EL_CURRENCY},       {"mi", EL_MINUS},
    {"pl", EL_PLUS},      {"pr", EL_BRACKET},      {"rn", EL_ROMAN_LOWER},   {"sg", EL_EITHER_SIGN},
    {"sp", EL_SPELL},     {"s", EL_SIGN},          {"th", EL_ORDINAL_LOWER}, {"v", EL_SHIFT},
};

struct element {
    enum element_kind kind;
    char text[5]; /* EL_LITERAL: one character */
};

enum sign_place { SIGN_NOWHERE, SIGN_BEFORE, SIGN_BEHIND };

struct layout {
    int32_t before, behind, shift; /* digits before and behind the point, and behind V */
    int32_t zero_start, zero_end;
    int32_t digits_at_sign; /* digits before the S */
    enum sign_place sign_place;
    bool has_point, has_zero, has_sign, has_minus, has_plus, has_bracket, has_roman, has_shift, has_exponent;
    bool fill_mode, is_blank;
};

struct picture {
    const char *text; /* what it was made from */
    size_t len;
    struct element *elements;
    uint32_t count;
    struct layout layout;
    bool failed;
    struct error error;
};

static bool picture_error(struct error *err, const char *message)
{
    return error_set(err, ERRCODE_SYNTAX_ERROR, "%s", message);
}

/* Adds what an element means to the layout. */
static bool layout_add(struct layout *l, enum element_kind kind, struct error *err)
{
    if (l->has_exponent && kind != EL_EXPONENT)
        return picture_error(err, "\"EEEE\" must be the last pattern used");
    bool other_sign = l->has_plus || l->has_minus || l->has_bracket;
    switch (kind) {
    case EL_NINE:
        if (l->has_bracket)
            return picture_error(err, "\"9\" must be ahead of \"PR\"");
        if (l->has_shift)
            l->shift++;
        else if (l->has_point)
            l->behind++;
        else
            l->before++;
        return true;
    case EL_ZERO:
        if (l->has_bracket)
            return picture_error(err, "\"0\" must be ahead of \"PR\"");
        if (!l->has_zero && !l->has_point) {
            l->has_zero = true;
            l->zero_start = l->before;
        }
        if (l->has_point)
            l->behind++;
        else
            l->before++;
        l->zero_end = l->before + l->behind;
        return true;
    case EL_BLANK:
        if (l->before == 0 && l->behind == 0 && !l->has_zero)
            l->is_blank = true;
        return true;
    case EL_DECIMAL:
    case EL_POINT:
        if (l->has_point)
            return picture_error(err, "multiple decimal points");
        if (l->has_shift)
            return picture_error(err, "cannot use \"V\" and decimal point together");
        l->has_point = true;
        return true;
    case EL_FILL_MODE:
        l->fill_mode = true;
        return true;
    case EL_SIGN:
        if (l->has_sign)
            return picture_error(err, "cannot use \"S\" twice");
        if (other_sign)
            return picture_error(err, "cannot use \"S\" and \"PL\"/\"MI\"/\"SG\"/\"PR\" together");
        if (!l->has_point) {
            l->sign_place = SIGN_BEFORE;
            l->digits_at_sign = l->before;
            l->has_sign = true;
        } else if (l->sign_place == SIGN_NOWHERE) {
            l->sign_place = SIGN_BEHIND;
            l->has_sign = true;
        }
        return true;
    case EL_MINUS:
        if (l->has_sign)
            return picture_error(err, "cannot use \"S\" and \"MI\" together");
        l->has_minus = true;
        return true;
    case EL_PLUS:
        if (l->has_sign)
            return picture_error(err, "cannot use \"S\" and \"PL\" together");
        l->has_plus = true;
        return true;
    case EL_EITHER_SIGN:
        if (l->has_sign)
            return picture_error(err, "cannot use \"S\" and \"SG\" together");
        l->has_minus = l->has_plus = true;
        return true;
    case EL_BRACKET:
        if (l->has_sign || l->has_plus || l->has_minus)
            return picture_error(err, "cannot use \"PR\" and \"S\"/\"PL\"/\"MI\"/\"SG\" together");
        l->has_bracket = true;
        return true;
    case EL_ROMAN:
    case EL_ROMAN_LOWER:
        l->has_roman = true;
        return true;
    case EL_SHIFT:
        if (l->has_point)
            return picture_error(err, "cannot use \"V\" and decimal point together");
        l->has_shift = true;
        return true;
    case EL_EXPONENT:
        if (l->has_exponent)
            return picture_error(err, "cannot use \"EEEE\" twice");
        if (l->is_blank || l->fill_mode || l->has_sign || other_sign || l->has_roman || l->has_shift) {
            picture_error(err, "\"EEEE\" is incompatible with other formats");
            return error_detail(err,
                                "\"EEEE\" may only be used together with digit and decimal point patterns.");
        }
        l->has_exponent = true;
        return true;
    default:
        return true;
    }
}

static void add_literal(struct picture *picture, const char **at, const char *end)
{
    size_t bytes = utf8_bytes(**at);
    if (bytes > (size_t)(end - *at))
        bytes = (size_t)(end - *at);
    struct element *element = &picture->elements[picture->count++];
    *element = (struct element){.kind = EL_LITERAL};
    memcpy(element->text, *at, bytes);
    *at += bytes;
}

static const struct element_word *find_word(const char *at, const char *end)
{
    for (size_t i = 0; i < ARRAY_COUNT(element_words); i++) {
        size_t len = strlen(element_words[i].word);
        if (len <= (size_t)(end - at) && memcmp(at, element_words[i].word, len) == 0)
            return &element_words[i];
    }
    return NULL;
}

static bool picture_parse(struct picture *picture, struct arena *arena, struct text_arg text,
                          struct error *err)
{
    *picture = (struct picture){.text = arena_strndup(arena, text.bytes, text.len), .len = text.len};
    picture->elements = ARENA_ARRAY(arena, struct element, text.len + 1);
    const char *at = picture->text, *end = at + text.len;
    while (at < end) {
        const struct element_word *word = find_word(at, end);
        if (word != NULL) {
            if (!layout_add(&picture->layout, word->kind, err))
                return false;
            picture->elements[picture->count++].kind = word->kind;
            at += strlen(word->word);
        } else if (*at == '"') {
            for (at++; at < end && *at != '"';) {
                if (*at == '\\' && at + 1 < end)
                    at++;
                add_literal(picture, &at, end);
            }
            at += at < end;
        } else {
            if (*at == '\\' && at + 1 < end && at[1] == '"')
                at++;
            add_literal(picture, &at, end);
        }
    }
    return true;
}

/* The picture of row i; the last one is kept. NULL when it is wrong: the row has its error then. */
static const struct picture *picture_at(struct fn_call *call, const struct column *column, uint32_t row)
{
    struct text_arg text = text_at(column, row);
    struct picture *kept = *call->state;
    if (kept == NULL || kept->len != text.len || memcmp(kept->text, text.bytes, text.len) != 0) {
        struct picture *made = ARENA_NEW(call->arena, struct picture);
        struct arena *arena = call->arena;
        if (column->is_constant || kept == NULL) { /* worth keeping */
            made = ARENA_NEW(call->state_arena, struct picture);
            arena = call->state_arena;
            *call->state = made;
        }
        struct error err;
        bool ok = picture_parse(made, arena, text, &err);
        if (!ok) {
            made->failed = true;
            made->error = err;
        }
        kept = made;
    }
    if (kept->failed) {
        fn_error_from(call, row, &kept->error);
        return NULL;
    }
    return kept;
}

/* ---- laying digits out ---- */

struct writer {
    struct layout l; /* a copy: some values change it */
    struct strbuf *out;
    const char *digits; /* the value without sign: "12.50", "####.##" */
    const char *at;
    const char *last; /* fill mode: the last digit that counts, or the point; NULL when all do */
    char sign;
    bool sign_done, in_number;
    bool ended; /* the digits ran out: PostgreSQL's text ends here */
    int32_t index, blanks, count;
};

/* Nothing stands before the point but one zero, which only a 0 in the picture would show. */
static bool hides_leading_zero(const struct writer *w)
{
    return !w->l.has_zero && w->at == w->digits && *w->digits == '0' && w->l.behind != 0;
}

static bool last_is_point(const struct writer *w)
{
    return w->last != NULL && *w->last == '.';
}

static void write_leading_sign(struct writer *w)
{
    if (w->l.has_sign) {
        if (w->l.sign_place == SIGN_BEFORE) {
            strbuf_addc(w->out, w->sign);
            w->sign_done = true;
        }
    } else if (w->l.has_bracket) {
        strbuf_addc(w->out, w->sign == '+' ? ' ' : '<');
        w->sign_done = true;
    } else {
        if (w->sign == '-')
            strbuf_addc(w->out, '-');
        else if (!w->l.fill_mode)
            strbuf_addc(w->out, ' ');
        w->sign_done = true;
    }
}

static void write_character(struct writer *w, enum element_kind kind)
{
    if (*w->at == '.') {
        if (!last_is_point(w) || w->l.fill_mode)
            strbuf_addc(w->out, '.');
    } else if (w->last != NULL && w->at > w->last && kind != EL_ZERO) {
        /* a zero at the end that fill mode leaves out */
    } else if (hides_leading_zero(w)) {
        if (!w->l.fill_mode)
            strbuf_addc(w->out, ' ');
        else if (last_is_point(w))
            strbuf_addc(w->out, '0');
    } else {
        if (*w->at != '\0')
            strbuf_addc(w->out, *w->at);
        else
            w->ended = true;
        w->in_number = true;
    }
    if (*w->at != '\0')
        w->at++;
}

/* 9, 0, point: one place of the number. */
static void write_place(struct writer *w, enum element_kind kind)
{
    if (w->l.has_roman)
        return;
    w->in_number = false;
    bool zero_here = w->l.has_zero && w->l.zero_start <= w->index;
    if (!w->sign_done && (w->index >= w->blanks || (w->l.has_zero && w->l.zero_start == w->index)) &&
        (!hides_leading_zero(w) || last_is_point(w)))
        write_leading_sign(w);
    if (w->index < w->blanks && !zero_here) {
        if (!w->l.fill_mode)
            strbuf_addc(w->out, ' ');
    } else if (w->index < w->blanks) {
        strbuf_addc(w->out, '0');
        w->in_number = true;
    } else {
        write_character(w, kind);
    }
    if (w->ended)
        return;
    int32_t end = w->count + (w->blanks != 0) + w->l.has_point;
    if (w->last != NULL && w->last == w->at)
        end = w->index;
    if (w->index + 1 == end) {
        if (w->sign_done && w->l.has_bracket)
            strbuf_addc(w->out, w->sign == '+' ? ' ' : '>');
        else if (w->l.has_sign && w->l.sign_place == SIGN_BEHIND)
            strbuf_addc(w->out, w->sign);
    }
    w->index++;
}

static const char *ordinal(const char *digits, bool lower)
{
    static const char *const endings[2][4] = {{"TH", "ST", "ND", "RD"}, {"th", "st", "nd", "rd"}};
    size_t len = strlen(digits);
    char last = len > 0 ? digits[len - 1] : '0';
    bool teen = len > 1 && digits[len - 2] == '1';
    return endings[lower][!teen && last >= '1' && last <= '3' ? last - '0' : 0];
}

/* Sets up the decisions that depend on the whole value. */
static void writer_start(struct writer *w)
{
    struct layout *l = &w->l;
    if (l->has_plus || l->has_minus) {
        w->sign_done = l->has_minus; /* PL alone leaves the minus to the number */
    } else {
        if (w->sign != '-' && l->fill_mode)
            l->has_bracket = false;
        w->sign_done = w->sign == '+' && l->fill_mode && !l->has_sign;
        if (l->sign_place == SIGN_BEFORE && l->before == l->digits_at_sign)
            l->sign_place = SIGN_BEHIND;
    }
    w->count = l->behind + l->before - 1;
    const char *point = strchr(w->digits, '.');
    if (l->fill_mode && l->has_point && point != NULL) {
        w->last = point;
        for (const char *at = point + 1; *at != '\0'; at++) {
            if (*at != '0')
                w->last = at;
        }
        if (l->zero_end > w->blanks) { /* places of a 0 stay */
            int32_t end = (int32_t)strlen(w->digits) - 1, place = l->zero_end - w->blanks;
            const char *zero = w->digits + (place < end ? place : end);
            if (w->last < zero)
                w->last = zero;
        }
    }
    if (!w->sign_done && w->blanks == 0)
        w->count++;
}

static bool lay_out(const struct picture *picture, const struct layout *layout, const char *digits, char sign,
                    int32_t blanks, struct strbuf *out, struct error *err)
{
    struct writer w = {
        .l = *layout, .out = out, .digits = digits, .at = digits, .sign = sign, .blanks = blanks};
    if (layout->has_exponent) {
        strbuf_adds(out, digits);
        return true;
    }
    writer_start(&w);
    for (uint32_t i = 0; i < picture->count && !w.ended; i++) {
        const struct element *element = &picture->elements[i];
        switch (element->kind) {
        case EL_LITERAL:
            strbuf_adds(out, element->text);
            break;
        case EL_NINE:
        case EL_ZERO:
        case EL_POINT:
        case EL_DECIMAL:
            write_place(&w, element->kind);
            break;
        case EL_COMMA:
        case EL_GROUP:
            if (w.in_number)
                strbuf_addc(out, ',');
            else if (!w.l.fill_mode)
                strbuf_addc(out, ' ');
            break;
        case EL_CURRENCY:
            strbuf_addc(out, ' ');
            break;
        case EL_MINUS:
            if (sign == '-')
                strbuf_addc(out, '-');
            else if (!w.l.fill_mode)
                strbuf_addc(out, ' ');
            break;
        case EL_PLUS:
            if (sign == '+')
                strbuf_addc(out, '+');
            else if (!w.l.fill_mode)
                strbuf_addc(out, ' ');
            break;
        case EL_EITHER_SIGN:
            strbuf_addc(out, sign);
            break;
        case EL_ORDINAL:
        case EL_ORDINAL_LOWER:
            if (w.l.has_roman || *digits == '#' || sign == '-' || w.l.has_point)
                break;
            if (digits[0] == '\0' || digits[strlen(digits) - 1] < '0' || digits[strlen(digits) - 1] > '9')
                return error_set(err, ERRCODE_INVALID_TEXT_REPRESENTATION, "\"%s\" is not a number", digits);
            strbuf_adds(out, ordinal(digits, element->kind == EL_ORDINAL_LOWER));
            break;
        case EL_ROMAN:
        case EL_ROMAN_LOWER: {
            size_t start = out->len;
            strbuf_addf(out, w.l.fill_mode ? "%s" : "%15s", w.at);
            for (size_t k = start; element->kind == EL_ROMAN_LOWER && k < out->len; k++)
                out->data[k] = ascii_lower(out->data[k]);
            break;
        }
        default:
            break;
        }
    }
    return true;
}

/* ---- values ---- */

static void roman_numeral(int64_t value, struct strbuf *out)
{
    static const struct {
        int64_t value;
        const char *letters;
    } steps[] = {{1000, "M"}, {900, "CM"}, {500, "D"}, {400, "CD"}, {100, "C"}, {90, "XC"}, {50, "L"},
                 {40, "XL"},  {10, "X"},   {9, "IX"},  {5, "V"},    {4, "IV"},  {1, "I"}};
    if (value < 1 || value > 3999) {
        strbuf_adds(out, "###############");
        return;
    }
    for (size_t i = 0; i < ARRAY_COUNT(steps); i++) {
        for (; value >= steps[i].value; value -= steps[i].value)
            strbuf_adds(out, steps[i].letters);
    }
}

static void add_repeated(struct strbuf *out, char c, int32_t count)
{
    for (int32_t i = 0; i < count; i++)
        strbuf_addc(out, c);
}

/* Lays out a decimal text, sign included; too many digits before the point show as #. */
static bool lay_out_decimal(const struct picture *picture, const struct layout *layout, const char *decimal,
                            struct strbuf *out, struct error *err)
{
    char sign = '+';
    if (*decimal == '-') {
        sign = '-';
        decimal++;
    }
    int32_t before = (int32_t)strcspn(decimal, ".");
    if (before <= layout->before)
        return lay_out(picture, layout, decimal, sign, layout->before - before, out, err);
    struct strbuf hashes = STRBUF_INIT;
    add_repeated(&hashes, '#', layout->before);
    strbuf_addc(&hashes, '.');
    add_repeated(&hashes, '#', layout->behind);
    bool ok = lay_out(picture, layout, hashes.data, sign, 0, out, err);
    strbuf_release(&hashes);
    return ok;
}

/* NaN and infinities have no exponent form. */
static void exponent_hashes(const struct layout *layout, struct strbuf *out)
{
    strbuf_addc(out, ' ');
    add_repeated(out, '#', layout->before);
    strbuf_addc(out, '.');
    add_repeated(out, '#', layout->behind + 4);
}

/* d.ddde+xx, a blank in place of a plus. */
static bool numeric_exponent(struct arena *arena, const struct varlen *value, const struct layout *layout,
                             struct strbuf *out, struct error *err)
{
    if (numeric_is_special(value)) {
        exponent_hashes(layout, out);
        return true;
    }
    int64_t exponent = 0;
    struct varlen significand = *value;
    if (numeric_sign(value) != 0) {
        /* the exponent of the first digit, by the text's length; rounding may then carry into a new one */
        struct strbuf text = STRBUF_INIT;
        numeric_format(value, &text);
        const char *at = text.data + (text.data[0] == '-');
        exponent = (int64_t)strcspn(at, ".") - 1;
        if (*at == '0') {
            const char *first = at + 2;
            while (*first == '0')
                first++;
            exponent = -(int64_t)(first - at - 1);
        }
        strbuf_release(&text);
        char literal[32];
        struct varlen power;
        int len =
            snprintf(literal, sizeof(literal), "1e%lld", (long long)(exponent < 0 ? -exponent : exponent));
        if (!numeric_parse(arena, literal, (size_t)len, -1, &power, err))
            return false;
        if (exponent < 0) {
            if (!numeric_mul(arena, value, &power, &significand, err))
                return false;
        } else {
            /* exact: dividing by a power of ten only moves the point */
            struct varlen inverse;
            len = snprintf(literal, sizeof(literal), "1e-%lld", (long long)exponent);
            if (exponent <= 16383 - numeric_scale(value)) {
                if (!numeric_parse(arena, literal, (size_t)len, -1, &inverse, err) ||
                    !numeric_mul(arena, value, &inverse, &significand, err))
                    return false;
            } else if (!numeric_div(arena, value, &power, &significand, err)) {
                return false;
            }
        }
    }
    significand = numeric_round(arena, &significand, layout->behind);
    if (numeric_sign(&significand) >= 0)
        strbuf_addc(out, ' ');
    numeric_format(&significand, out);
    strbuf_addf(out, "e%c%02lld", exponent < 0 ? '-' : '+', (long long)(exponent < 0 ? -exponent : exponent));
    return true;
}

static bool power_of_ten(struct arena *arena, int32_t power, struct varlen *out, struct error *err)
{
    char literal[32];
    int len = snprintf(literal, sizeof(literal), "1e%d", power);
    return numeric_parse(arena, literal, (size_t)len, -1, out, err);
}

static bool numeric_picture(struct arena *arena, const struct picture *picture, const struct varlen *x,
                            struct strbuf *out, struct error *err)
{
    struct layout layout = picture->layout;
    struct strbuf text = STRBUF_INIT;
    bool ok = true;
    if (layout.has_roman) {
        struct varlen whole = numeric_round(arena, x, 0);
        int64_t value = 0;
        if (numeric_is_special(x))
            ok = error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "cannot convert %s to integer",
                           numeric_is_nan(x) ? "NaN" : "infinity");
        else if (!numeric_to_i64(&whole, &value, err) || value < INT32_MIN || value > INT32_MAX)
            ok = number_out_of_range("integer", err);
        roman_numeral(value, &text);
        ok = ok && lay_out(picture, &layout, text.data, '+', 0, out, err);
    } else if (layout.has_exponent) {
        ok = numeric_exponent(arena, x, &layout, out, err);
    } else {
        struct varlen value = *x, factor;
        if (layout.has_shift) {
            ok = power_of_ten(arena, layout.shift, &factor, err) &&
                 numeric_mul(arena, x, &factor, &value, err);
            layout.before += layout.shift;
        }
        if (ok) {
            value = numeric_round(arena, &value, layout.behind);
            numeric_format(&value, &text);
            ok = lay_out_decimal(picture, &layout, text.data, out, err);
        }
    }
    strbuf_release(&text);
    return ok;
}

static bool int_picture(struct arena *arena, const struct picture *picture, int64_t x, bool is_i32,
                        struct strbuf *out, struct error *err)
{
    struct layout layout = picture->layout;
    struct strbuf text = STRBUF_INIT;
    bool ok = true;
    if (layout.has_roman) {
        roman_numeral(x, &text);
        ok = lay_out(picture, &layout, text.data, '+', 0, out, err);
    } else if (layout.has_exponent && is_i32) { /* a double holds it exactly */
        strbuf_addf(&text, "%+.*e", layout.behind, (double)x);
        if (text.data[0] == '+')
            text.data[0] = ' ';
        strbuf_adds(out, text.data);
    } else if (layout.has_exponent) {
        struct varlen value = numeric_from_i64(arena, x);
        ok = numeric_exponent(arena, &value, &layout, out, err);
    } else {
        for (int32_t i = 0; i < layout.shift; i++) {
            if (__builtin_mul_overflow(x, (int64_t)10, &x) || (is_i32 && (x < INT32_MIN || x > INT32_MAX))) {
                ok = number_out_of_range(is_i32 ? "integer" : "bigint", err);
                break;
            }
        }
        layout.before += layout.shift;
        strbuf_addf(&text, "%lld", (long long)x);
        if (layout.behind > 0) {
            strbuf_addc(&text, '.');
            add_repeated(&text, '0', layout.behind);
        }
        ok = ok && lay_out_decimal(picture, &layout, text.data, out, err);
    }
    strbuf_release(&text);
    return ok;
}

/* digits_max: how many the type is good for. */
static bool float_picture(const struct picture *picture, double x, int digits_max, struct strbuf *out,
                          struct error *err)
{
    struct layout layout = picture->layout;
    struct strbuf text = STRBUF_INIT;
    bool ok = true;
    if (layout.has_roman) {
        double whole = rint(x);
        roman_numeral(whole >= 1 && whole <= 3999 ? (int64_t)whole : 0, &text);
        ok = ok && lay_out(picture, &layout, text.data, '+', 0, out, err);
    } else if (layout.has_exponent) {
        if (isnan(x) || isinf(x)) {
            exponent_hashes(&layout, out);
        } else {
            strbuf_addf(&text, "%+.*e", layout.behind, x);
            if (text.data[0] == '+')
                text.data[0] = ' ';
            strbuf_adds(out, text.data);
        }
    } else {
        double value = layout.has_shift ? x * pow(10, layout.shift) : x;
        layout.before += layout.shift;
        const char *special = isnan(value)    ? "NaN"
                              : !isinf(value) ? NULL
                              : value > 0     ? "Infinity"
                                              : "-Infinity";
        if (special != NULL)
            strbuf_adds(&text, isnan(value) ? special : "Infinity");
        else
            strbuf_addf(&text, "%.0f", fabs(value));
        int whole_digits = (int)text.len;
        if (whole_digits >= digits_max)
            layout.behind = 0;
        else if (whole_digits + layout.behind > digits_max)
            layout.behind = digits_max - whole_digits;
        strbuf_reset(&text);
        if (special != NULL)
            strbuf_adds(&text, special);
        else
            strbuf_addf(&text, "%.*f", layout.behind, value);
        ok = lay_out_decimal(picture, &layout, text.data, out, err);
    }
    strbuf_release(&text);
    return ok;
}

/* ---- to_number ---- */

struct reader {
    const struct layout *l;
    const char *at, *end;
    struct strbuf digits;
    char sign; /* ' ' until one was read */
    int32_t before, behind;
    bool has_point;
};

static bool at_end(const struct reader *r)
{
    return r->at >= r->end;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

/* Skips up to n characters that cannot belong to a number. */
static void skip_other(struct reader *r, int n)
{
    while (n-- > 0 && !at_end(r) && strchr("0123456789.,+-", *r->at) == NULL)
        r->at += utf8_step((struct text_arg){r->at, (size_t)(r->end - r->at)}, 0);
}

/* One place of the picture; leaves the cursor on the character it looked at. */
static void read_place(struct reader *r, enum element_kind kind)
{
    bool was_read = false;
    if (*r->at == ' ')
        r->at++;
    if (at_end(r))
        return;
    if (r->sign == ' ' && (kind == EL_ZERO || kind == EL_NINE) && r->before + r->behind == 0) {
        bool locale_sign = r->l->has_sign && r->l->sign_place == SIGN_BEFORE;
        if (*r->at == '-' || (!locale_sign && r->l->has_bracket && *r->at == '<')) {
            r->sign = '-';
            r->at++;
        } else if (*r->at == '+') {
            r->sign = '+';
            r->at++;
        }
    }
    if (at_end(r))
        return;
    if (is_digit(*r->at)) {
        if (r->has_point && r->behind == r->l->behind)
            return;
        strbuf_addc(&r->digits, *r->at);
        if (r->has_point)
            r->behind++;
        else
            r->before++;
        was_read = true;
    } else if (r->l->has_point && !r->has_point && *r->at == '.') {
        strbuf_addc(&r->digits, '.');
        r->has_point = true;
        was_read = true;
    }
    if (r->sign != ' ' || r->before + r->behind == 0)
        return;
    /* a sign right behind the last digit, or where MI, PL or SG leave its place open */
    if (r->l->has_sign && was_read && r->at + 1 < r->end && !is_digit(r->at[1])) {
        if (r->at[1] == '-' || r->at[1] == '+')
            r->sign = *++r->at;
    } else if (!was_read && !r->l->has_sign && (r->l->has_plus || r->l->has_minus) &&
               (*r->at == '-' || *r->at == '+')) {
        r->sign = *r->at;
    }
}

static bool read_number(struct arena *arena, const struct picture *picture, struct text_arg text,
                        struct varlen *out, struct error *err)
{
    const struct layout *l = &picture->layout;
    if (l->has_exponent)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "\"EEEE\" not supported for input");
    if (l->has_roman)
        return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED, "\"RN\" not supported for input");
    struct layout adjusted = *l;
    if (adjusted.sign_place == SIGN_BEFORE && !adjusted.has_plus && !adjusted.has_minus &&
        adjusted.before == adjusted.digits_at_sign)
        adjusted.sign_place = SIGN_BEHIND;
    struct reader r = {.l = &adjusted, .at = text.bytes, .end = text.bytes + text.len, .sign = ' '};
    for (uint32_t i = 0; i < picture->count && !at_end(&r); i++) {
        switch (picture->elements[i].kind) {
        case EL_LITERAL:
            r.at += utf8_step((struct text_arg){r.at, (size_t)(r.end - r.at)}, 0);
            continue;
        case EL_NINE:
        case EL_ZERO:
        case EL_POINT:
        case EL_DECIMAL:
            read_place(&r, picture->elements[i].kind);
            break;
        case EL_COMMA:
        case EL_GROUP:
            if (l->fill_mode || *r.at != ',')
                continue;
            break;
        case EL_CURRENCY:
            skip_other(&r, 1);
            continue;
        case EL_MINUS:
        case EL_PLUS:
        case EL_EITHER_SIGN: {
            enum element_kind kind = picture->elements[i].kind;
            if ((*r.at == '-' && kind != EL_PLUS) || (*r.at == '+' && kind != EL_MINUS)) {
                r.sign = *r.at;
                break;
            }
            skip_other(&r, 1);
            continue;
        }
        case EL_ORDINAL:
        case EL_ORDINAL_LOWER:
            skip_other(&r, 2);
            continue;
        default:
            continue;
        }
        r.at++;
    }
    struct strbuf literal = STRBUF_INIT;
    strbuf_addc(&literal, r.sign);
    strbuf_adds(&literal, strbuf_text(&r.digits));
    if (literal.data[literal.len - 1] == '.')
        literal.data[--literal.len] = '\0';
    int32_t precision = l->before + l->shift + r.behind,
            typmod = ((precision << 16) | (r.behind & 0x7FF)) + 4;
    bool ok = numeric_parse(arena, literal.data, literal.len, typmod, out, err);
    if (ok && l->has_shift) { /* by a power with its 16 decimals, which show in the result */
        struct varlen ten = numeric_from_i64(arena, 10), exponent = numeric_from_i64(arena, -l->shift),
                      factor;
        ok =
            numeric_power(arena, &ten, &exponent, &factor, err) && numeric_mul(arena, out, &factor, out, err);
    }
    strbuf_release(&literal);
    strbuf_release(&r.digits);
    return ok;
}

/* ---- kernels ---- */

typedef bool format_row(struct arena *arena, const struct picture *picture, const struct column *column,
                        uint32_t row, struct strbuf *out, struct error *err);

static bool format_numeric(struct arena *arena, const struct picture *picture, const struct column *column,
                           uint32_t row, struct strbuf *out, struct error *err)
{
    return numeric_picture(arena, picture, &COLUMN_VAR(column)[row], out, err);
}
static bool format_i32(struct arena *arena, const struct picture *picture, const struct column *column,
                       uint32_t row, struct strbuf *out, struct error *err)
{
    return int_picture(arena, picture, COLUMN_I32(column)[row], true, out, err);
}
static bool format_i64(struct arena *arena, const struct picture *picture, const struct column *column,
                       uint32_t row, struct strbuf *out, struct error *err)
{
    return int_picture(arena, picture, COLUMN_I64(column)[row], false, out, err);
}
static bool format_f32(struct arena *arena, const struct picture *picture, const struct column *column,
                       uint32_t row, struct strbuf *out, struct error *err)
{
    return float_picture(picture, (double)COLUMN_F32(column)[row], FLT_DIG, out, err);
}
static bool format_f64(struct arena *arena, const struct picture *picture, const struct column *column,
                       uint32_t row, struct strbuf *out, struct error *err)
{
    return float_picture(picture, COLUMN_F64(column)[row], DBL_DIG, out, err);
}

static void format_rows(struct fn_call *call, const struct column *args, struct column *result,
                        format_row *format)
{
    struct strbuf out = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i) || text_at(&args[1], i).len == 0)
            continue;
        const struct picture *picture = picture_at(call, &args[1], i);
        if (picture == NULL)
            continue;
        strbuf_reset(&out);
        if (format(call->arena, picture, &args[0], COLUMN_AT(&args[0], i), &out, &err))
            RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &out);
        else
            fn_error_from(call, i, &err);
    }
    strbuf_release(&out);
}

#define FORMAT_KERNEL(name, format)                                                                          \
    static void name(struct fn_call *call, const struct column *args, struct column *result)                 \
    {                                                                                                        \
        format_rows(call, args, result, format);                                                             \
    }
FORMAT_KERNEL(numeric_to_char, format_numeric)
FORMAT_KERNEL(i32_to_char, format_i32)
FORMAT_KERNEL(i64_to_char, format_i64)
FORMAT_KERNEL(f32_to_char, format_f32)
FORMAT_KERNEL(f64_to_char, format_f64)

static void text_to_number(struct fn_call *call, const struct column *args, struct column *result)
{
    for (uint32_t i = 0; i < call->rows; i++) {
        struct error err;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(result, i))
            continue;
        if (text_at(&args[1], i).len == 0) {
            fn_set_null(call, result, i);
            continue;
        }
        const struct picture *picture = picture_at(call, &args[1], i);
        if (picture != NULL &&
            !read_number(call->arena, picture, text_at(&args[0], i), &RESULT_VAR(result)[i], &err))
            fn_error_from(call, i, &err);
    }
}

/* ---- rows ---- */

#define FN(name, args, result, kernel, help)                                                                 \
    {                                                                                                        \
        name, args, result, kernel, help, 0, NULL, NULL, NULL                                                \
    }

const struct function_row fn_number_format_rows[] = {
    FN("to_char", "int4,text", "text", i32_to_char, "to_char(125, '999') gives ' 125'"),
    FN("to_char", "int8,text", "text", i64_to_char, "to_char(125::int8, '9,999') gives '   125'"),
    FN("to_char", "float4,text", "text", f32_to_char, "to_char(125.8::float4, '999D9') gives ' 125.8'"),
    FN("to_char", "float8,text", "text", f64_to_char, "to_char(125.8::float8, '999D9') gives ' 125.8'"),
    FN("to_char", "numeric,text", "text", numeric_to_char, "to_char(-125.8, '999D99S') gives '125.80-'"),
    FN("to_number", "text,text", "numeric", text_to_number,
       "to_number('12,454.8-', '99G999D9S') gives -12454.8"),
};
const size_t fn_number_format_rows_count = sizeof(fn_number_format_rows) / sizeof(fn_number_format_rows[0]);
