/* fn_text_format.c: text put together from values (concat, format, quote_*) and cut into arrays
 * (string_to_array). */
#define _GNU_SOURCE
#include "executor/functions/quote.h"
#include "executor/functions/text_kernel.h"
#include "storage/data/array.h"

/* Appends the text form of a value; the caller knows that it is not NULL. */
static void add_value(struct fn_call *call, const struct column *column, uint32_t row, struct strbuf *out)
{
    switch (column->type.oid) {
    case OID_TEXT:
    case OID_VARCHAR:
    case OID_NAME:
    case OID_UNKNOWN: {
        struct text_arg text = text_at(column, row);
        strbuf_add(out, text.bytes, text.len);
        break;
    }
    default: {
        struct datum value = column_get(column, row);
        type_output(column->type.oid, &value, &call->env->io, out);
        break;
    }
    }
}

static void set_text(struct fn_call *call, struct column *result, uint32_t row, const struct strbuf *buf)
{
    if (buf->len > VALUE_BYTES_MAX - 16) {
        fn_error(call, row, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
        RESULT_VAR(result)[row] = (struct varlen){0};
        return;
    }
    RESULT_VAR(result)[row] = text_from_strbuf(call->arena, buf);
}

static void set_null(struct fn_call *call, struct column *result, uint32_t row)
{
    RESULT_VAR(result)[row] = (struct varlen){0};
    fn_set_null(call, result, row);
}

/* ---- concat ---- */

static void fn_concat(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf buf = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        strbuf_reset(&buf);
        for (uint32_t arg = 0; arg < call->args_count; arg++) {
            if (!column_is_null(&args[arg], i))
                add_value(call, &args[arg], i, &buf);
        }
        set_text(call, result, i, &buf);
    }
    strbuf_release(&buf);
}

static void fn_concat_ws(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf buf = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        if (column_is_null(&args[0], i)) {
            set_null(call, result, i);
            continue;
        }
        struct text_arg separator = text_at(&args[0], i);
        bool first = true;
        strbuf_reset(&buf);
        for (uint32_t arg = 1; arg < call->args_count; arg++) {
            if (column_is_null(&args[arg], i))
                continue;
            if (!first)
                strbuf_add(&buf, separator.bytes, separator.len);
            add_value(call, &args[arg], i, &buf);
            first = false;
        }
        set_text(call, result, i, &buf);
    }
    strbuf_release(&buf);
}

/* ---- quoting ---- */

static void fn_quote_ident(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf buf = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg text = text_at(&args[0], i);
        strbuf_reset(&buf);
        quote_identifier(text.bytes, text.len, &buf);
        set_text(call, result, i, &buf);
    }
    strbuf_release(&buf);
}

static void fn_quote_literal(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf buf = STRBUF_INIT, value = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        strbuf_reset(&buf);
        strbuf_reset(&value);
        if (column_is_null(&args[0], i)) { /* quote_nullable only */
            strbuf_adds(&buf, "NULL");
        } else {
            if (args[0].type.oid == OID_BOOL) /* as the cast to text, not as output */
                strbuf_adds(&value, COLUMN_BOOL(&args[0])[COLUMN_AT(&args[0], i)] ? "true" : "false");
            else
                add_value(call, &args[0], i, &value);
            quote_literal(strbuf_text(&value), value.len, &buf);
        }
        set_text(call, result, i, &buf);
    }
    strbuf_release(&buf);
    strbuf_release(&value);
}

/* ---- format ---- */

struct format_spec {
    int64_t position; /* n$, 0 none */
    int64_t width;
    int64_t width_position; /* *n$; -1: plain * */
    bool left, star;
    char type;
};

/* Reads digits; false when there are none. 22003 beyond int4 is reported by the caller as *overflow. */
static bool read_number(struct text_arg text, size_t *at, int64_t *out, bool *overflow)
{
    size_t start = *at;
    *out = 0;
    while (*at < text.len && text.bytes[*at] >= '0' && text.bytes[*at] <= '9') {
        *out = *out * 10 + (text.bytes[(*at)++] - '0');
        if (*out > INT32_MAX) {
            *overflow = true;
            *out = INT32_MAX;
        }
    }
    return *at > start;
}

static bool format_unterminated(struct error *err)
{
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unterminated format() type specifier");
    return error_hint(err, "For a single \"%%\" use \"%%%%\".");
}

/* Reads what stands behind a "%"; *at ends behind the type character. */
static bool read_spec(struct text_arg text, size_t *at, struct format_spec *spec, struct error *err)
{
    *spec = (struct format_spec){0};
    bool overflow = false;
    int64_t number;
    size_t start = *at;
    if (read_number(text, at, &number, &overflow)) {
        if (*at < text.len && text.bytes[*at] == '$') {
            if (number == 0)
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                                 "format specifies argument 0, but arguments are numbered from 1");
            spec->position = number;
            (*at)++;
        } else {
            *at = start; /* it was the width */
        }
    }
    while (*at < text.len && text.bytes[*at] == '-') {
        spec->left = true;
        (*at)++;
    }
    if (*at < text.len && text.bytes[*at] == '*') {
        (*at)++;
        spec->star = true;
        if (read_number(text, at, &spec->width_position, &overflow)) {
            if (*at >= text.len || text.bytes[*at] != '$')
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                                 "width argument position must be ended by \"$\"");
            if (spec->width_position == 0)
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                                 "format specifies argument 0, but arguments are numbered from 1");
            (*at)++;
        }
    } else {
        read_number(text, at, &spec->width, &overflow);
    }
    if (overflow)
        return error_set(err, ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE, "number is out of range");
    if (*at >= text.len)
        return format_unterminated(err);
    spec->type = text.bytes[(*at)++];
    if (spec->type != '%' && strchr("sIL", spec->type) == NULL) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "unrecognized format() type specifier \"%.*s\"",
                  (int)utf8_step(text, *at - 1), text.bytes + *at - 1);
        return error_hint(err, "For a single \"%%\" use \"%%%%\".");
    }
    return true;
}

static void add_padded(const struct strbuf *value, int64_t width, bool left, struct strbuf *out)
{
    int64_t missing = width - (int64_t)text_chars(strbuf_text(value), value->len);
    for (int64_t i = 0; !left && i < missing; i++)
        strbuf_addc(out, ' ');
    strbuf_add(out, strbuf_text(value), value->len);
    for (int64_t i = 0; left && i < missing; i++)
        strbuf_addc(out, ' ');
}

static bool width_argument(struct fn_call *call, const struct column *column, uint32_t row, int64_t *width,
                           struct error *err)
{
    if (column_is_null(column, row)) {
        *width = 0;
        return true;
    }
    struct strbuf text = STRBUF_INIT;
    add_value(call, column, row, &text);
    struct datum value;
    bool ok =
        type_input(OID_INT4, -1, strbuf_text(&text), text.len, &call->env->io, call->arena, &value, err);
    strbuf_release(&text);
    *width = ok ? value.i32 : 0;
    return ok;
}

static bool format_row(struct fn_call *call, const struct column *args, uint32_t row, struct strbuf *value,
                       struct strbuf *out, struct error *err)
{
    struct text_arg text = text_at(&args[0], row);
    int64_t next = 0; /* argument used last */
    for (size_t at = 0; at < text.len;) {
        const char *percent = memchr(text.bytes + at, '%', text.len - at);
        size_t literal = percent != NULL ? (size_t)(percent - text.bytes) : text.len;
        strbuf_add(out, text.bytes + at, literal - at);
        if (percent == NULL)
            break;
        at = literal + 1;
        if (at >= text.len)
            return format_unterminated(err);
        if (text.bytes[at] == '%') {
            strbuf_addc(out, '%');
            at++;
            continue;
        }
        struct format_spec spec;
        if (!read_spec(text, &at, &spec, err))
            return false;
        if (spec.star) {
            int64_t argument = spec.width_position > 0 ? spec.width_position : ++next;
            next = argument;
            if (argument >= call->args_count)
                return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "too few arguments for format()");
            if (!width_argument(call, &args[argument], row, &spec.width, err))
                return false;
            if (spec.width < 0) {
                spec.left = true;
                spec.width = -spec.width;
            }
        }
        if (spec.type == '%') {
            strbuf_addc(out, '%');
            continue;
        }
        int64_t argument = spec.position > 0 ? spec.position : next + 1;
        next = argument;
        if (argument >= call->args_count)
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "too few arguments for format()");
        if (spec.width > (int64_t)VALUE_BYTES_MAX / 2)
            return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "requested length too large");
        strbuf_reset(value);
        if (column_is_null(&args[argument], row)) {
            if (spec.type == 'I')
                return error_set(err, ERRCODE_NULL_VALUE_NOT_ALLOWED,
                                 "null values cannot be formatted as an SQL identifier");
            if (spec.type == 'L')
                strbuf_adds(value, "NULL");
        } else {
            struct strbuf raw = STRBUF_INIT;
            add_value(call, &args[argument], row, &raw);
            if (spec.type == 's')
                strbuf_add(value, strbuf_text(&raw), raw.len);
            else if (spec.type == 'I')
                quote_identifier(strbuf_text(&raw), raw.len, value);
            else
                quote_literal(strbuf_text(&raw), raw.len, value);
            strbuf_release(&raw);
        }
        add_padded(value, spec.width, spec.left, out);
    }
    return true;
}

static void fn_format(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf buf = STRBUF_INIT, value = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        if (column_is_null(&args[0], i)) {
            set_null(call, result, i);
            continue;
        }
        struct error err;
        strbuf_reset(&buf);
        if (!format_row(call, args, i, &value, &buf, &err)) {
            RESULT_VAR(result)[i] = (struct varlen){0};
            fn_error_from(call, i, &err);
            continue;
        }
        set_text(call, result, i, &buf);
    }
    strbuf_release(&buf);
    strbuf_release(&value);
}

/* ---- string_to_array, string_to_table ---- */

struct pieces {
    struct datum *items;
    uint32_t count, cap;
};

static void add_piece(struct arena *arena, struct pieces *pieces, struct text_arg piece,
                      const struct text_arg *null_text)
{
    struct datum value = {.var = text_view(piece)};
    value.is_null = null_text != NULL && piece.len == null_text->len &&
                    memcmp(piece.bytes, null_text->bytes, piece.len) == 0;
    ARENA_PUSH(arena, pieces->items, pieces->count, pieces->cap, value);
}

/* The parts of args[0] between args[1]; NULL separator: single characters. args[2], when given: text that
 * means NULL. */
static void split_row(struct fn_call *call, const struct column *args, uint32_t row, struct pieces *pieces)
{
    struct text_arg text = text_at(&args[0], row), null_value, *null_text = NULL;
    pieces->count = 0;
    if (call->args_count == 3 && !column_is_null(&args[2], row)) {
        null_value = text_at(&args[2], row);
        null_text = &null_value;
    }
    if (text.len == 0)
        return;
    if (column_is_null(&args[1], row)) {
        for (size_t at = 0; at < text.len;) {
            size_t step = utf8_step(text, at);
            add_piece(call->arena, pieces, (struct text_arg){text.bytes + at, step}, null_text);
            at += step;
        }
        return;
    }
    struct text_arg separator = text_at(&args[1], row);
    size_t start = 0, at = separator.len == 0 ? SIZE_MAX : text_find(text, separator, 0);
    while (at != SIZE_MAX) {
        add_piece(call->arena, pieces, (struct text_arg){text.bytes + start, at - start}, null_text);
        start = at + separator.len;
        at = text_find(text, separator, start);
    }
    add_piece(call->arena, pieces, (struct text_arg){text.bytes + start, text.len - start}, null_text);
}

static void fn_string_to_array(struct fn_call *call, const struct column *args, struct column *result)
{
    struct pieces pieces = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        if (column_is_null(&args[0], i)) {
            set_null(call, result, i);
            continue;
        }
        split_row(call, args, i, &pieces);
        RESULT_VAR(result)[i] = array_make(call->arena, OID_TEXT, pieces.items, pieces.count);
    }
}

static void fn_string_to_table(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    struct pieces pieces = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        if (column_is_null(&args[0], i))
            continue;
        split_row(call, args, i, &pieces);
        for (uint32_t piece = 0; piece < pieces.count; piece++)
            srf_append(output, i, &pieces.items[piece]);
    }
}

#define OF_ANY (FN_NULLS | FN_STABLE | FN_VIEW_OK)

const struct function_row fn_text_format_rows[] = {
    {"concat", "variadic any", "text", fn_concat, "concat('a', NULL, 1) gives 'a1'", OF_ANY},
    {"concat_ws", "text,variadic any", "text", fn_concat_ws, "concat_ws(',', 'a', NULL, 1) gives 'a,1'",
     OF_ANY},
    {"format", "text", "text", fn_format, "format('100%%') gives '100%'", OF_ANY},
    {"format", "text,variadic any", "text", fn_format, "format('%s = %L', 'a', 'b') gives 'a = ''b'''",
     OF_ANY},
    {"quote_ident", "text", "text", fn_quote_ident, "quote_ident('A b') gives '\"A b\"'"},
    {"quote_literal", "text", "text", fn_quote_literal, "quote_literal('it''s') gives '''it''''s'''"},
    {"quote_literal", "anyelement", "text", fn_quote_literal, "quote_literal(1) gives '''1'''",
     FN_STABLE | FN_VIEW_OK},
    {"quote_nullable", "text", "text", fn_quote_literal, "quote_nullable(NULL) gives 'NULL'", FN_NULLS},
    {"quote_nullable", "anyelement", "text", fn_quote_literal, "quote_nullable(1) gives '''1'''", OF_ANY},
    {"string_to_array", "text,text", "text[]", fn_string_to_array,
     "string_to_array('a,b', ',') gives '{a,b}'", FN_NULLS},
    {"string_to_array", "text,text,text", "text[]", fn_string_to_array,
     "string_to_array('a,-', ',', '-') gives '{a,NULL}'", FN_NULLS},
    {"string_to_table", "text,text", "setof text", NULL, "string_to_table('a,b', ',') gives rows 'a', 'b'",
     FN_NULLS | FN_SET, fn_string_to_table},
    {"string_to_table", "text,text,text", "setof text", NULL,
     "string_to_table('a,-', ',', '-') gives rows 'a', NULL", FN_NULLS | FN_SET, fn_string_to_table},
};
const size_t fn_text_format_rows_count = sizeof(fn_text_format_rows) / sizeof(fn_text_format_rows[0]);
