/* fn_regex.c: SQL functions over regular expressions, and SIMILAR TO (PostgreSQL manual 9.7.2, 9.7.3).
 *
 * A constant pattern is compiled once per run of the expression, and to machine code once it has met
 * FAST_AFTER texts; others are compiled once per call as long as they repeat.
 * Searches go on as PostgreSQL's do: behind a match of no length the next search starts one character later.
 */
#define _GNU_SOURCE
#include "executor/functions/regex.h"
#include "executor/functions/text_kernel.h"
#include "storage/data/array.h"

#define RECENT_COUNT 16u
#define FAST_AFTER   256u /* machine code costs as much as some hundred texts */

/* A compiled pattern with what it was compiled from. */
struct compiled {
    struct text_arg pattern, flags;
    struct regex_options options;
    struct regex *regex;
    size_t *bounds;
    uint32_t uses; /* of a kept one, up to FAST_AFTER */
};

/* What one call of a kernel uses: the constant pattern of the state, or patterns of this batch. */
struct regex_call {
    struct fn_call *call;
    const char *function; /* for messages */
    bool allow_global;
    struct regex_options fixed; /* of operators: ~* */
    struct compiled *constant;  /* once it has been looked up */
    struct compiled *recent[RECENT_COUNT];
    uint32_t next;
};

static bool same_text(struct text_arg a, struct text_arg b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.bytes, b.bytes, a.len) == 0);
}

static bool compile(struct regex_call *r, struct arena *arena, struct text_arg pattern, struct text_arg flags,
                    struct compiled **out, struct error *err)
{
    struct regex_options options = r->fixed;
    if (flags.len > 0 && !regex_options_parse(flags.bytes, flags.len, &options, err))
        return false;
    if (options.global && !r->allow_global) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "%s() does not support the \"global\" option",
                  r->function);
        if (strcmp(r->function, "regexp_match") == 0)
            error_hint(err, "Use the regexp_matches function instead.");
        return false;
    }
    struct compiled *compiled = ARENA_NEW(arena, struct compiled);
    if (!regex_compile(arena, pattern.bytes, pattern.len, &options, &compiled->regex, err))
        return false;
    compiled->pattern = (struct text_arg){arena_copy(arena, pattern.bytes, pattern.len), pattern.len};
    compiled->flags = (struct text_arg){arena_copy(arena, flags.bytes, flags.len), flags.len};
    compiled->options = options;
    compiled->bounds = arena_alloc(arena, sizeof(size_t) * 2 * (regex_captures(compiled->regex) + 1));
    *out = compiled;
    return true;
}

static void release_compiled(void *state)
{
    regex_release(((struct compiled *)state)->regex);
}

/* The pattern of one row. constant: neither pattern nor flags differ between rows, so it may outlive the
 * batch. */
static bool pattern_of(struct regex_call *r, struct text_arg pattern, struct text_arg flags, bool constant,
                       struct compiled **out, struct error *err)
{
    if (r->constant != NULL) {
        *out = r->constant;
        return true;
    }
    struct compiled *kept = *r->call->state;
    if (kept != NULL && same_text(kept->pattern, pattern) && same_text(kept->flags, flags)) {
        if (constant && kept->uses == FAST_AFTER)
            r->constant = kept;
        if (kept->uses < FAST_AFTER && ++kept->uses == FAST_AFTER) {
            regex_make_fast(kept->regex);
            *r->call->state_release = release_compiled;
        }
        *out = kept;
        return true;
    }
    for (uint32_t i = 0; i < RECENT_COUNT && r->recent[i] != NULL; i++) {
        if (same_text(r->recent[i]->pattern, pattern) && same_text(r->recent[i]->flags, flags)) {
            *out = r->recent[i];
            return true;
        }
    }
    bool keep = constant && kept == NULL;
    if (!compile(r, keep ? r->call->state_arena : r->call->arena, pattern, flags, out, err))
        return false;
    if (keep)
        *r->call->state = *out;
    else
        r->recent[r->next++ % RECENT_COUNT] = *out;
    return true;
}

static const struct text_arg no_flags = {.bytes = "", .len = 0};

/* Pattern in args[at], flags in args[flags_at] (UINT32_MAX: none). false: the error is recorded. */
static bool row_pattern(struct regex_call *r, const struct column *args, uint32_t at, uint32_t flags_at,
                        uint32_t row, struct compiled **out)
{
    bool has_flags = flags_at < r->call->args_count;
    bool constant = args[at].is_constant && (!has_flags || args[flags_at].is_constant);
    struct error err;
    if (pattern_of(r, text_at(&args[at], row), has_flags ? text_at(&args[flags_at], row) : no_flags, constant,
                   out, &err))
        return true;
    fn_error_from(r->call, row, &err);
    return false;
}

/* Fills the compiled pattern's bounds. */
static bool search(struct regex_call *r, const struct compiled *compiled, struct text_arg text, size_t from,
                   uint32_t row, bool *found)
{
    struct error err;
    if (regex_search(compiled->regex, text.bytes, text.len, from, compiled->bounds, found, &err))
        return true;
    *found = false;
    fn_error_from(r->call, row, &err);
    return false;
}

/* Where the next search starts after the match in bounds; SIZE_MAX when the text is at its end. */
static size_t next_start(struct text_arg text, const size_t *bounds)
{
    if (bounds[1] > bounds[0])
        return bounds[1];
    return bounds[1] >= text.len ? SIZE_MAX : bounds[1] + utf8_step(text, bounds[1]);
}

static bool is_null_row(const struct column *result, uint32_t row)
{
    return column_is_null(result, row);
}

/* ---- operators ---- */

static void test_rows(struct fn_call *call, const struct column *args, struct column *result,
                      bool ignore_case, bool negate)
{
    struct regex_call r = {.call = call, .function = call->function->name, .fixed.ignore_case = ignore_case};
    uint8_t *out = result->data;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        bool found = false;
        struct error err;
        out[i] = 0;
        if (is_null_row(result, i) || !row_pattern(&r, args, 1, 2, i, &compiled))
            continue;
        struct text_arg text = text_at(&args[0], i);
        if (!regex_test(compiled->regex, text.bytes, text.len, &found, &err))
            fn_error_from(call, i, &err);
        out[i] = found != negate;
    }
}

static void fn_match(struct fn_call *call, const struct column *args, struct column *result)
{
    test_rows(call, args, result, false, false);
}
static void fn_imatch(struct fn_call *call, const struct column *args, struct column *result)
{
    test_rows(call, args, result, true, false);
}
static void fn_not_match(struct fn_call *call, const struct column *args, struct column *result)
{
    test_rows(call, args, result, false, true);
}
static void fn_not_imatch(struct fn_call *call, const struct column *args, struct column *result)
{
    test_rows(call, args, result, true, true);
}

/* ---- matches ---- */

/* The parts of a match, or the whole when the pattern has none, as text[]. */
static struct varlen match_array(struct arena *arena, const struct compiled *compiled, struct text_arg text)
{
    uint32_t parts = regex_captures(compiled->regex), first = parts > 0 ? 1 : 0;
    uint32_t count = parts > 0 ? parts : 1;
    struct datum *items = ARENA_ARRAY(arena, struct datum, count);
    for (uint32_t i = 0; i < count; i++) {
        size_t start = compiled->bounds[2 * (first + i)], end = compiled->bounds[2 * (first + i) + 1];
        if (start == SIZE_MAX)
            items[i] = datum_null();
        else
            items[i].var = varlen_view(text.bytes + start, (uint32_t)(end - start));
    }
    return array_make(arena, OID_TEXT, items, count);
}

static void fn_regexp_match(struct fn_call *call, const struct column *args, struct column *result)
{
    struct regex_call r = {.call = call, .function = "regexp_match"};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        bool found;
        RESULT_VAR(result)[i] = (struct varlen){0};
        struct text_arg text = text_at(&args[0], i);
        if (is_null_row(result, i) || !row_pattern(&r, args, 1, 2, i, &compiled) ||
            !search(&r, compiled, text, 0, i, &found))
            continue;
        if (found)
            RESULT_VAR(result)[i] = match_array(call->arena, compiled, text);
        else
            fn_set_null(call, result, i);
    }
}

/* regexp_match(text, pattern [, flags])[n], n the last argument. */
static void fn_regexp_match_part(struct fn_call *call, const struct column *args, struct column *result)
{
    struct regex_call r = {.call = call, .function = "regexp_match"};
    uint32_t part_at = call->args_count - 1, flags_at = part_at > 2 ? 2 : UINT32_MAX;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        bool found;
        RESULT_VAR(result)[i] = (struct varlen){0};
        struct text_arg text = text_at(&args[0], i);
        if (is_null_row(result, i) || !row_pattern(&r, args, 1, flags_at, i, &compiled) ||
            !search(&r, compiled, text, 0, i, &found))
            continue;
        uint32_t parts = regex_captures(compiled->regex), first = parts > 0 ? 1 : 0;
        int32_t part = i32_at(&args[part_at], i);
        size_t at = 2 * (first + (size_t)part - 1);
        if (!found || part < 1 || (uint32_t)part > (parts > 0 ? parts : 1) ||
            compiled->bounds[at] == SIZE_MAX)
            fn_set_null(call, result, i);
        else
            RESULT_VAR(result)
        [i] = varlen_view(text.bytes + compiled->bounds[at],
                          (uint32_t)(compiled->bounds[at + 1] - compiled->bounds[at]));
    }
}

static const struct function_row match_part_rows[] = {
    {"regexp_match_part", "text,text,int4", "text", fn_regexp_match_part, "", FN_HIDDEN},
    {"regexp_match_part", "text,text,text,int4", "text", fn_regexp_match_part, "", FN_HIDDEN},
};

const struct function_row *regex_part_of_match(const struct function_row *function, uint32_t args_count)
{
    return function->kernel == fn_regexp_match ? &match_part_rows[args_count - 2] : NULL;
}

static bool any_null(const struct fn_call *call, const struct column *args, uint32_t row)
{
    for (uint32_t arg = 0; arg < call->args_count; arg++) {
        if (column_is_null(&args[arg], row))
            return true;
    }
    return false;
}

static void fn_regexp_matches(struct fn_call *call, const struct column *args, struct srf_output *output)
{
    struct regex_call r = {.call = call, .function = "regexp_matches", .allow_global = true};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        bool found;
        if (any_null(call, args, i) || !row_pattern(&r, args, 1, 2, i, &compiled))
            continue;
        struct text_arg text = text_at(&args[0], i);
        for (size_t from = 0; from != SIZE_MAX && search(&r, compiled, text, from, i, &found) && found;) {
            struct datum value = {.var = match_array(call->arena, compiled, text)};
            srf_append(output, i, &value);
            if (!compiled->options.global)
                break;
            from = next_start(text, compiled->bounds);
        }
    }
}

/* ---- split ---- */

struct split {
    struct datum *items;
    uint32_t count, cap;
};

/* Matches of no length at the ends and behind another match do not split. */
static void split_row(struct regex_call *r, const struct compiled *compiled, struct text_arg text,
                      uint32_t row, struct split *split)
{
    size_t from = 0, previous_end = 0, start = 0;
    bool found;
    split->count = 0;
    while (from != SIZE_MAX && search(r, compiled, text, from, row, &found) && found) {
        const size_t *bounds = compiled->bounds;
        if (bounds[0] < text.len && bounds[1] > previous_end) {
            struct datum piece = {.var = varlen_view(text.bytes + start, (uint32_t)(bounds[0] - start))};
            ARENA_PUSH(r->call->arena, split->items, split->count, split->cap, piece);
            start = bounds[1];
        }
        previous_end = bounds[1];
        from = next_start(text, bounds);
    }
    struct datum rest = {.var = varlen_view(text.bytes + start, (uint32_t)(text.len - start))};
    ARENA_PUSH(r->call->arena, split->items, split->count, split->cap, rest);
}

static void fn_regexp_split_to_array(struct fn_call *call, const struct column *args, struct column *result)
{
    struct regex_call r = {.call = call, .function = "regexp_split_to_array"};
    struct split split = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (is_null_row(result, i) || !row_pattern(&r, args, 1, 2, i, &compiled))
            continue;
        split_row(&r, compiled, text_at(&args[0], i), i, &split);
        RESULT_VAR(result)[i] = array_make(call->arena, OID_TEXT, split.items, split.count);
    }
}

static void fn_regexp_split_to_table(struct fn_call *call, const struct column *args,
                                     struct srf_output *output)
{
    struct regex_call r = {.call = call, .function = "regexp_split_to_table"};
    struct split split = {0};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        if (any_null(call, args, i) || !row_pattern(&r, args, 1, 2, i, &compiled))
            continue;
        split_row(&r, compiled, text_at(&args[0], i), i, &split);
        for (uint32_t piece = 0; piece < split.count; piece++)
            srf_append(output, i, &split.items[piece]);
    }
}

/* ---- replace ---- */

static void add_replacement(struct text_arg with, struct text_arg text, const struct compiled *compiled,
                            struct strbuf *out)
{
    for (size_t at = 0; at < with.len; at++) {
        char c = with.bytes[at];
        if (c != '\\' || at + 1 == with.len) {
            strbuf_addc(out, c);
            continue;
        }
        char next = with.bytes[++at];
        if (next == '\\') {
            strbuf_addc(out, '\\');
        } else if (next == '&' || (next >= '1' && next <= '9')) {
            uint32_t part = next == '&' ? 0 : (uint32_t)(next - '0');
            if (part <= regex_captures(compiled->regex) && compiled->bounds[2 * part] != SIZE_MAX)
                strbuf_add(out, text.bytes + compiled->bounds[2 * part],
                           compiled->bounds[2 * part + 1] - compiled->bounds[2 * part]);
        } else {
            strbuf_addc(out, '\\');
            at--; /* the character itself comes next */
        }
    }
}

/* Replaces the nth match from byte `from` on; nth 0: all of them. */
static bool replace_row(struct regex_call *r, const struct compiled *compiled, struct text_arg text,
                        struct text_arg with, size_t from, int64_t nth, uint32_t row, struct strbuf *out)
{
    size_t copied = 0;
    int64_t seen = 0;
    bool found = false;
    while (from != SIZE_MAX) {
        if (!search(r, compiled, text, from, row, &found))
            return false;
        if (!found)
            break;
        const size_t *bounds = compiled->bounds;
        if (nth == 0 || ++seen == nth) {
            strbuf_add(out, text.bytes + copied, bounds[0] - copied);
            add_replacement(with, text, compiled, out);
            copied = bounds[1];
            if (nth != 0)
                break;
        }
        from = next_start(text, bounds);
    }
    strbuf_add(out, text.bytes + copied, text.len - copied);
    return true;
}

/* Byte offset of the 1-based character `start`; SIZE_MAX behind the end. */
static size_t start_offset(struct text_arg text, int64_t start)
{
    size_t chars = text_chars(text.bytes, text.len);
    if ((uint64_t)start - 1 > chars)
        return SIZE_MAX;
    return text_bytes_of_chars(text.bytes, text.len, (size_t)(start - 1));
}

static bool positive(struct fn_call *call, uint32_t row, const char *name, int64_t value, int64_t least)
{
    if (value >= least)
        return true;
    fn_error(call, row, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for parameter \"%s\": %lld", name,
             (long long)value);
    return false;
}

/* 0 or 1. */
static bool either(struct fn_call *call, uint32_t row, const char *name, int64_t value)
{
    return positive(call, row, name, value, value > 1 ? INT64_MAX : 0);
}

static void fn_regexp_replace(struct fn_call *call, const struct column *args, struct column *result)
{
    struct regex_call r = {.call = call, .function = "regexp_replace", .allow_global = true};
    /* (text, pattern, with [, flags]) or (text, pattern, with, start [, n [, flags]]) */
    bool extended = call->args_count > 3 && args[3].type.oid == OID_INT4;
    uint32_t flags_at = extended ? 5 : 3;
    struct strbuf buf = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (is_null_row(result, i))
            continue;
        struct text_arg text = text_at(&args[0], i);
        int64_t start = extended ? i32_at(&args[3], i) : 1, nth = -1;
        if (call->args_count > 4)
            nth = i32_at(&args[4], i);
        if (!positive(call, i, "start", start, 1) ||
            (call->args_count > 4 && !positive(call, i, "n", nth, 0)))
            continue;
        if (!extended && call->args_count == 4) {
            struct text_arg flags = text_at(&args[3], i);
            if (flags.len > 0 && flags.bytes[0] >= '0' && flags.bytes[0] <= '9') {
                struct error err;
                error_set(&err, ERRCODE_INVALID_PARAMETER_VALUE,
                          "invalid regular expression option: \"%.1s\"", flags.bytes);
                error_hint(&err,
                           "If you meant to use regexp_replace() with a start parameter, cast the fourth "
                           "argument to integer explicitly.");
                fn_error_from(call, i, &err);
                continue;
            }
        }
        if (!row_pattern(&r, args, 1, flags_at, i, &compiled))
            continue;
        if (nth < 0)
            nth = compiled->options.global ? 0 : 1;
        strbuf_reset(&buf);
        if (replace_row(&r, compiled, text, text_at(&args[2], i), start_offset(text, start), nth, i, &buf))
            RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &buf);
    }
    strbuf_release(&buf);
}

/* ---- count, like, instr, substr ---- */

static void fn_regexp_count(struct fn_call *call, const struct column *args, struct column *result)
{
    struct regex_call r = {.call = call, .function = "regexp_count"};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        bool found;
        int32_t count = 0;
        RESULT_I32(result)[i] = 0;
        int64_t start = call->args_count > 2 ? i32_at(&args[2], i) : 1;
        if (is_null_row(result, i) || !positive(call, i, "start", start, 1) ||
            !row_pattern(&r, args, 1, 3, i, &compiled))
            continue;
        struct text_arg text = text_at(&args[0], i);
        for (size_t from = start_offset(text, start);
             from != SIZE_MAX && search(&r, compiled, text, from, i, &found) && found;
             from = next_start(text, compiled->bounds))
            count++;
        RESULT_I32(result)[i] = count;
    }
}

static void fn_regexp_like(struct fn_call *call, const struct column *args, struct column *result)
{
    test_rows(call, args, result, false, false);
}

/* The nth match from character `start`, and in it the part `part`: bounds, or false when there is none. */
static bool nth_part(struct regex_call *r, const struct compiled *compiled, struct text_arg text,
                     int64_t start, int64_t nth, int64_t part, uint32_t row, size_t *from_out, size_t *to_out)
{
    size_t from = start_offset(text, start);
    bool found = false;
    while (from != SIZE_MAX) {
        if (!search(r, compiled, text, from, row, &found) || !found)
            return false;
        if (--nth == 0)
            break;
        from = next_start(text, compiled->bounds);
    }
    if (from == SIZE_MAX || part > regex_captures(compiled->regex) || compiled->bounds[2 * part] == SIZE_MAX)
        return false;
    *from_out = compiled->bounds[2 * part];
    *to_out = compiled->bounds[2 * part + 1];
    return true;
}

static int64_t int_or(const struct fn_call *call, const struct column *args, uint32_t at, uint32_t row,
                      int64_t otherwise)
{
    return call->args_count > at ? i32_at(&args[at], row) : otherwise;
}

/* regexp_substr(text, pattern, start, n, flags, part) */
static void fn_regexp_substr(struct fn_call *call, const struct column *args, struct column *result)
{
    struct regex_call r = {.call = call, .function = "regexp_substr"};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        size_t from, to;
        RESULT_VAR(result)[i] = (struct varlen){0};
        int64_t start = int_or(call, args, 2, i, 1), nth = int_or(call, args, 3, i, 1),
                part = int_or(call, args, 5, i, 0);
        if (is_null_row(result, i) || !positive(call, i, "start", start, 1) ||
            !positive(call, i, "n", nth, 1) || !positive(call, i, "subexpr", part, 0) ||
            !row_pattern(&r, args, 1, 4, i, &compiled))
            continue;
        struct text_arg text = text_at(&args[0], i);
        if (nth_part(&r, compiled, text, start, nth, part, i, &from, &to))
            RESULT_VAR(result)[i] = varlen_view(text.bytes + from, (uint32_t)(to - from));
        else
            fn_set_null(call, result, i);
    }
}

/* regexp_instr(text, pattern, start, n, endoption, flags, part) */
static void fn_regexp_instr(struct fn_call *call, const struct column *args, struct column *result)
{
    struct regex_call r = {.call = call, .function = "regexp_instr"};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        size_t from, to;
        RESULT_I32(result)[i] = 0;
        int64_t start = int_or(call, args, 2, i, 1), nth = int_or(call, args, 3, i, 1);
        int64_t end = int_or(call, args, 4, i, 0), part = int_or(call, args, 6, i, 0);
        if (is_null_row(result, i) || !positive(call, i, "start", start, 1) ||
            !positive(call, i, "n", nth, 1) || !either(call, i, "endoption", end) ||
            !positive(call, i, "subexpr", part, 0) || !row_pattern(&r, args, 1, 5, i, &compiled))
            continue;
        struct text_arg text = text_at(&args[0], i);
        if (nth_part(&r, compiled, text, start, nth, part, i, &from, &to))
            RESULT_I32(result)[i] = (int32_t)text_chars(text.bytes, end == 1 ? to : from) + 1;
    }
}

/* substring(text from pattern): the first part, or the whole when there is none. */
static void fn_substring_regex(struct fn_call *call, const struct column *args, struct column *result)
{
    struct regex_call r = {.call = call, .function = "substring"};
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        size_t from, to;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (is_null_row(result, i) || !row_pattern(&r, args, 1, 2, i, &compiled))
            continue;
        struct text_arg text = text_at(&args[0], i);
        if (nth_part(&r, compiled, text, 1, 1, regex_captures(compiled->regex) > 0 ? 1 : 0, i, &from, &to))
            RESULT_VAR(result)[i] = varlen_view(text.bytes + from, (uint32_t)(to - from));
        else
            fn_set_null(call, result, i);
    }
}

/* ---- SIMILAR TO ---- */

/* Rewrites an SQL pattern. lazy: parts are separated by escape and double quote, and the first is to be
 * short. Returns how many separators there are, or -1 with err filled. */
static int similar_write(struct text_arg pattern, struct text_arg escape, bool lazy, struct strbuf *out,
                         struct error *err)
{
    int quotes = 0;
    bool in_bracket = false;
    strbuf_adds(out, "^(?:");
    for (size_t at = 0; at < pattern.len;) {
        size_t step = utf8_step(pattern, at);
        const char *c = pattern.bytes + at;
        at += step;
        if (escape.len == step && memcmp(c, escape.bytes, step) == 0 && at < pattern.len) {
            size_t next = utf8_step(pattern, at);
            if (!in_bracket && pattern.bytes[at] == '"') {
                if (quotes == 2) {
                    error_set(err, ERRCODE_INVALID_ESCAPE_SEQUENCE,
                              "SQL regular expression may not contain more than two escape-double-quote "
                              "separators");
                    return -1;
                }
                strbuf_adds(out, quotes == 0 ? "){1,1}?(" : "){1,1}(?:");
                quotes++;
            } else {
                strbuf_addc(out, '\\');
                strbuf_add(out, pattern.bytes + at, next);
            }
            at += next;
            continue;
        }
        if (escape.len == step && memcmp(c, escape.bytes, step) == 0)
            break; /* a lone escape at the end is dropped */
        if (in_bracket) {
            if (*c == '\\')
                strbuf_addc(out, '\\');
            strbuf_add(out, c, step);
            in_bracket = *c != ']';
            continue;
        }
        switch (*c) {
        case '[':
            strbuf_addc(out, '[');
            in_bracket = true;
            break;
        case '%':
            strbuf_adds(out, lazy && quotes == 0 ? ".*?" : ".*");
            break;
        case '_':
            strbuf_addc(out, '.');
            break;
        case '(':
            strbuf_adds(out, "(?:");
            break;
        case '\\':
        case '.':
        case '^':
        case '$':
            strbuf_addf(out, "\\%c", *c);
            break;
        case '*':
        case '+':
        case '?':
        case '}':
            strbuf_addf(out, lazy && quotes == 0 ? "%c?" : "%c", *c);
            break;
        default:
            strbuf_add(out, c, step);
            break;
        }
    }
    strbuf_adds(out, ")$");
    return quotes;
}

static bool similar_translate(struct text_arg pattern, struct text_arg escape, struct strbuf *out,
                              struct error *err)
{
    if (escape.len > 0 && utf8_step(escape, 0) < escape.len) {
        error_set(err, ERRCODE_INVALID_ESCAPE_SEQUENCE, "invalid escape string");
        return error_hint(err, "Escape string must be empty or one character.");
    }
    strbuf_reset(out);
    int quotes = similar_write(pattern, escape, false, out, err);
    if (quotes <= 0)
        return quotes == 0;
    strbuf_reset(out);
    return similar_write(pattern, escape, true, out, err) >= 0;
}

static void fn_similar_to_escape(struct fn_call *call, const struct column *args, struct column *result)
{
    struct strbuf buf = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct text_arg escape = {.bytes = "\\", .len = 1};
        struct error err;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (column_is_null(&args[0], i)) { /* similar_escape only */
            fn_set_null(call, result, i);
            continue;
        }
        if (call->args_count == 2 && !column_is_null(&args[1], i))
            escape = text_at(&args[1], i);
        if (similar_translate(text_at(&args[0], i), escape, &buf, &err))
            RESULT_VAR(result)[i] = text_from_strbuf(call->arena, &buf);
        else
            fn_error_from(call, i, &err);
    }
    strbuf_release(&buf);
}

/* substring(text similar pattern escape e) */
static void fn_substring_similar(struct fn_call *call, const struct column *args, struct column *result)
{
    struct regex_call r = {.call = call, .function = "substring"};
    struct strbuf buf = STRBUF_INIT;
    for (uint32_t i = 0; i < call->rows; i++) {
        struct compiled *compiled;
        size_t from, to;
        struct error err;
        RESULT_VAR(result)[i] = (struct varlen){0};
        if (is_null_row(result, i))
            continue;
        struct text_arg pattern, text = text_at(&args[0], i);
        bool ok = similar_translate(text_at(&args[1], i), text_at(&args[2], i), &buf, &err);
        pattern = (struct text_arg){.bytes = strbuf_text(&buf), .len = buf.len};
        if (!ok ||
            !pattern_of(&r, pattern, no_flags, args[1].is_constant && args[2].is_constant, &compiled, &err))
            fn_error_from(call, i, &err);
        else if (nth_part(&r, compiled, text, 1, 1, regex_captures(compiled->regex) > 0 ? 1 : 0, i, &from,
                          &to))
            RESULT_VAR(result)[i] = varlen_view(text.bytes + from, (uint32_t)(to - from));
        else
            fn_set_null(call, result, i);
    }
    strbuf_release(&buf);
}

#define MATCH_OPERATORS(type)                                                                                  \
    {"~", type ",text", "bool", fn_match, "'abc' ~ '^a' gives true", FN_OPERATOR, NULL, NULL, "!~"},           \
        {"!~", type ",text", "bool", fn_not_match, "'abc' !~ '^a' gives false", FN_OPERATOR, NULL, NULL, "~"}, \
        {"~*", type ",text", "bool", fn_imatch, "'abc' ~* '^A' gives true", FN_OPERATOR, NULL, NULL, "!~*"},   \
    {                                                                                                          \
        "!~*", type ",text", "bool", fn_not_imatch, "'abc' !~* '^A' gives false", FN_OPERATOR, NULL, NULL,     \
            "~*"                                                                                               \
    }

const struct function_row fn_regex_rows[] = {
    MATCH_OPERATORS("text"),
    MATCH_OPERATORS("name"),
    MATCH_OPERATORS("bpchar"),
    {"regexp_match", "text,text", "text[]", fn_regexp_match, "regexp_match('abc', 'a(.)') gives '{b}'"},
    {"regexp_match", "text,text,text", "text[]", fn_regexp_match,
     "regexp_match('ABC', 'a(.)', 'i') gives '{B}'"},
    {"regexp_matches", "text,text", "setof text[]", NULL, "regexp_matches('abc', '.') gives '{a}'", FN_SET,
     fn_regexp_matches},
    {"regexp_matches", "text,text,text", "setof text[]", NULL,
     "regexp_matches('ab', '.', 'g') gives '{a}', '{b}'", FN_SET, fn_regexp_matches},
    {"regexp_replace", "text,text,text", "text", fn_regexp_replace,
     "regexp_replace('abc', 'b', 'x') gives 'axc'"},
    {"regexp_replace", "text,text,text,text", "text", fn_regexp_replace,
     "regexp_replace('abb', 'b', 'x', 'g') gives 'axx'"},
    {"regexp_replace", "text,text,text,int4", "text", fn_regexp_replace,
     "regexp_replace('aba', 'a', 'x', 2) gives 'abx'"},
    {"regexp_replace", "text,text,text,int4,int4", "text", fn_regexp_replace,
     "regexp_replace('aaa', 'a', 'x', 1, 2) gives 'axa'"},
    {"regexp_replace", "text,text,text,int4,int4,text", "text", fn_regexp_replace,
     "regexp_replace('AAA', 'a', 'x', 1, 2, 'i') gives 'AxA'"},
    {"regexp_split_to_array", "text,text", "text[]", fn_regexp_split_to_array,
     "regexp_split_to_array('a, b', ',\\s*') gives '{a,b}'"},
    {"regexp_split_to_array", "text,text,text", "text[]", fn_regexp_split_to_array,
     "regexp_split_to_array('aXb', 'x', 'i') gives '{a,b}'"},
    {"regexp_split_to_table", "text,text", "setof text", NULL,
     "regexp_split_to_table('a b', ' ') gives 'a', 'b'", FN_SET, fn_regexp_split_to_table},
    {"regexp_split_to_table", "text,text,text", "setof text", NULL,
     "regexp_split_to_table('aXb', 'x', 'i') gives 'a', 'b'", FN_SET, fn_regexp_split_to_table},
    {"regexp_count", "text,text", "int4", fn_regexp_count, "regexp_count('abab', 'a') gives 2"},
    {"regexp_count", "text,text,int4", "int4", fn_regexp_count, "regexp_count('abab', 'a', 2) gives 1"},
    {"regexp_count", "text,text,int4,text", "int4", fn_regexp_count,
     "regexp_count('abAb', 'a', 1, 'i') gives 2"},
    {"regexp_like", "text,text", "bool", fn_regexp_like, "regexp_like('abc', 'b') gives true"},
    {"regexp_like", "text,text,text", "bool", fn_regexp_like, "regexp_like('abc', 'B', 'i') gives true"},
    {"regexp_instr", "text,text", "int4", fn_regexp_instr, "regexp_instr('abc', 'c') gives 3"},
    {"regexp_instr", "text,text,int4", "int4", fn_regexp_instr, "regexp_instr('cbc', 'c', 2) gives 3"},
    {"regexp_instr", "text,text,int4,int4", "int4", fn_regexp_instr,
     "regexp_instr('cbc', 'c', 1, 2) gives 3"},
    {"regexp_instr", "text,text,int4,int4,int4", "int4", fn_regexp_instr,
     "regexp_instr('cbc', 'c', 1, 1, 1) gives 2"},
    {"regexp_instr", "text,text,int4,int4,int4,text", "int4", fn_regexp_instr,
     "regexp_instr('Cbc', 'c', 1, 1, 0, 'i') gives 1"},
    {"regexp_instr", "text,text,int4,int4,int4,text,int4", "int4", fn_regexp_instr,
     "regexp_instr('abc', 'a(b)', 1, 1, 0, '', 1) gives 2"},
    {"regexp_substr", "text,text", "text", fn_regexp_substr, "regexp_substr('abc', 'b.') gives 'bc'"},
    {"regexp_substr", "text,text,int4", "text", fn_regexp_substr,
     "regexp_substr('abac', 'a.', 2) gives 'ac'"},
    {"regexp_substr", "text,text,int4,int4", "text", fn_regexp_substr,
     "regexp_substr('abac', 'a.', 1, 2) gives 'ac'"},
    {"regexp_substr", "text,text,int4,int4,text", "text", fn_regexp_substr,
     "regexp_substr('ABAC', 'a.', 1, 2, 'i') gives 'AC'"},
    {"regexp_substr", "text,text,int4,int4,text,int4", "text", fn_regexp_substr,
     "regexp_substr('abc', 'a(.)', 1, 1, '', 1) gives 'b'"},
    {"substring", "text,text", "text", fn_substring_regex, "substring('abc' from 'b.') gives 'bc'"},
    {"substring", "text,text,text", "text", fn_substring_similar,
     "substring('abc' similar '_#\"_#\"_' escape '#') gives 'b'"},
    {"similar_to_escape", "text", "text", fn_similar_to_escape, "similar_to_escape('a%') gives '^(?:a.*)$'"},
    {"similar_to_escape", "text,text", "text", fn_similar_to_escape,
     "similar_to_escape('a!%', '!') gives '^(?:a\\%)$'"},
    {"similar_escape", "text,text", "text", fn_similar_to_escape,
     "similar_escape('a%', NULL) gives '^(?:a.*)$'", FN_NULLS},
};
const size_t fn_regex_rows_count = sizeof(fn_regex_rows) / sizeof(fn_regex_rows[0]);
