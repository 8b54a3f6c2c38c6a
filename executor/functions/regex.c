/* regex.c: compiles and runs; the rewriting is regex_translate.c. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "executor/functions/regex.h"

#include "executor/functions/regex_internal.h"

#include <pcre2.h>

#define DFA_WORKSPACE 1024

struct regex {
    pcre2_code *code;
    pcre2_match_data *matches;
    uint32_t captures;
    bool search_length; /* PCRE2's own choice of alternatives would not be the longest (or shortest) match */
    uint32_t length_flags;
    int *workspace;
};

bool regex_options_parse(const char *flags, size_t len, struct regex_options *out, struct error *err)
{
    *out = (struct regex_options){0};
    for (size_t i = 0; i < len; i++) {
        switch (flags[i]) {
        case 'g':
            out->global = true;
            break;
        case 'i':
            out->ignore_case = true;
            break;
        case 'c':
            out->ignore_case = false;
            break;
        case 'q':
            out->literal = true;
            break;
        case 'x':
            out->expanded = true;
            break;
        case 't':
            out->expanded = false;
            break;
        case 'm':
        case 'n':
            out->newline_stops = out->newline_lines = true;
            break;
        case 's':
            out->newline_stops = out->newline_lines = false;
            break;
        case 'p':
            out->newline_stops = true;
            out->newline_lines = false;
            break;
        case 'w':
            out->newline_stops = false;
            out->newline_lines = true;
            break;
        case 'e':
            break;
        case 'b':
            return error_set(err, ERRCODE_FEATURE_NOT_SUPPORTED,
                             "basic regular expressions are not supported");
        default: {
            size_t bytes = 1;
            while (i + bytes < len && ((uint8_t)flags[i + bytes] & 0xc0) == 0x80)
                bytes++;
            return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                             "invalid regular expression option: \"%.*s\"", (int)bytes, flags + i);
        }
        }
    }
    return true;
}

static void *memory_from_arena(PCRE2_SIZE bytes, void *arena)
{
    return arena_alloc(arena, bytes);
}

static void memory_stays(void *memory, void *arena)
{
    (void)memory;
    (void)arena;
}

/* PostgreSQL's words for PCRE2's errors. */
static const char *error_text(int code)
{
    switch (code) {
    case PCRE2_ERROR_MISSING_SQUARE_BRACKET:
        return "brackets [] not balanced";
    case PCRE2_ERROR_MISSING_CLOSING_PARENTHESIS:
    case PCRE2_ERROR_UNMATCHED_CLOSING_PARENTHESIS:
        return "parentheses () not balanced";
    case PCRE2_ERROR_QUANTIFIER_INVALID:
        return "quantifier operand invalid";
    case PCRE2_ERROR_QUANTIFIER_OUT_OF_ORDER:
    case PCRE2_ERROR_QUANTIFIER_TOO_BIG:
        return "invalid repetition count(s)";
    case PCRE2_ERROR_CLASS_RANGE_ORDER:
    case PCRE2_ERROR_CLASS_INVALID_RANGE:
        return "invalid character range";
    case PCRE2_ERROR_UNKNOWN_POSIX_CLASS:
        return "invalid character class";
    case PCRE2_ERROR_BAD_SUBPATTERN_REFERENCE:
        return "invalid backreference number";
    case PCRE2_ERROR_END_BACKSLASH:
        return "invalid escape \\ sequence";
    default:
        return NULL;
    }
}

static bool compile_failed(int code, struct error *err)
{
    char text[256] = "";
    if (error_text(code) == NULL)
        pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text));
    return error_set(err, ERRCODE_INVALID_REGULAR_EXPRESSION, "invalid regular expression: %s",
                     error_text(code) != NULL ? error_text(code) : text);
}

bool regex_compile(struct arena *arena, const char *pattern, size_t len, const struct regex_options *options,
                   struct regex **out, struct error *err)
{
    struct regex_translation translation = {.options = *options};
    if (!regex_translate(pattern, len, &translation, err)) {
        strbuf_release(&translation.text);
        return false;
    }
    struct regex *regex = ARENA_NEW(arena, struct regex);
    pcre2_general_context *memory = pcre2_general_context_create(memory_from_arena, memory_stays, arena);
    pcre2_compile_context *context = pcre2_compile_context_create(memory);
    uint32_t flags = PCRE2_UTF | PCRE2_NO_UTF_CHECK | PCRE2_DOLLAR_ENDONLY | PCRE2_NEVER_BACKSLASH_C;
    if (translation.options.ignore_case)
        flags |= PCRE2_CASELESS;
    if (!translation.options.newline_stops)
        flags |= PCRE2_DOTALL;
    if (translation.options.newline_lines)
        flags |= PCRE2_MULTILINE;
    bool search_length = translation.ambiguous && !translation.has_references;
    if (search_length)
        flags |= PCRE2_NO_AUTO_POSSESS; /* it would take lengths away from the DFA matcher */
    pcre2_set_newline(context, PCRE2_NEWLINE_LF);
    int code;
    PCRE2_SIZE at;
    regex->code = pcre2_compile((PCRE2_SPTR)strbuf_text(&translation.text), translation.text.len, flags,
                                &code, &at, context);
    strbuf_release(&translation.text);
    if (regex->code == NULL)
        return compile_failed(code, err);
    pcre2_pattern_info(regex->code, PCRE2_INFO_CAPTURECOUNT, &regex->captures);
    if (regex->captures > REGEX_CAPTURES_MAX)
        return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "regular expression has more than %u parts",
                         REGEX_CAPTURES_MAX);
    regex->matches = pcre2_match_data_create(regex->captures + 1, memory);
    regex->search_length = search_length;
    regex->length_flags = translation.prefers_short ? PCRE2_DFA_SHORTEST : 0;
    if (regex->search_length)
        regex->workspace = arena_alloc(arena, sizeof(int) * DFA_WORKSPACE);
    *out = regex;
    return true;
}

void regex_make_fast(struct regex *regex)
{
    /* where there is no machine code (other processors, no executable memory), PCRE2 goes on interpreting */
    (void)pcre2_jit_compile(regex->code, PCRE2_JIT_COMPLETE);
}

void regex_release(struct regex *regex)
{
    pcre2_code_free(regex->code);
}

uint32_t regex_captures(const struct regex *regex)
{
    return regex->captures;
}

static bool match_failed(int code, struct error *err)
{
    char text[256] = "";
    pcre2_get_error_message(code, (PCRE2_UCHAR *)text, sizeof(text));
    return error_set(err, ERRCODE_PROGRAM_LIMIT_EXCEEDED, "regular expression failed: %s", text);
}

static int match_at(const struct regex *regex, const char *text, size_t len, size_t from, uint32_t flags)
{
    PCRE2_SPTR subject = (PCRE2_SPTR)(text != NULL ? text : "");
    flags |= PCRE2_NO_UTF_CHECK;
    int code = pcre2_match(regex->code, subject, len, from, flags, regex->matches, NULL);
    if (code == PCRE2_ERROR_JIT_STACKLIMIT) /* the interpreter's stack grows */
        code = pcre2_match(regex->code, subject, len, from, flags | PCRE2_NO_JIT, regex->matches, NULL);
    return code;
}

bool regex_test(const struct regex *regex, const char *text, size_t len, bool *found, struct error *err)
{
    int code = match_at(regex, text, len, 0, 0);
    *found = code > 0;
    return code > 0 || code == PCRE2_ERROR_NOMATCH || match_failed(code, err);
}

/* The longest match at the leftmost place, or the shortest when the whole prefers that: its end by the DFA
 * matcher, its parts by backtracking up to that end. */
static int match_length(const struct regex *regex, const char *text, size_t len, size_t from)
{
    int code = pcre2_dfa_match(regex->code, (PCRE2_SPTR)(text != NULL ? text : ""), len, from,
                               PCRE2_NO_UTF_CHECK | regex->length_flags, regex->matches, NULL,
                               regex->workspace, DFA_WORKSPACE);
    if (code == PCRE2_ERROR_NOMATCH)
        return code;
    if (code < 0)
        return match_at(regex, text, len, from, 0); /* workspace too small: backtracking alone */
    const PCRE2_SIZE *ovector = pcre2_get_ovector_pointer(regex->matches);
    size_t start = ovector[0], end = ovector[1];
    if (regex->captures == 0)
        return 1;
    int parts = match_at(regex, text, len, start, PCRE2_ANCHORED);
    if (parts > 0 && ovector[1] == end)
        return parts;
    parts = match_at(regex, text, end, start,
                     PCRE2_ANCHORED | PCRE2_ENDANCHORED | (end < len ? (uint32_t)PCRE2_NOTEOL : 0u));
    return parts > 0 ? parts : match_at(regex, text, len, from, 0);
}

bool regex_search(const struct regex *regex, const char *text, size_t len, size_t from, size_t *bounds,
                  bool *found, struct error *err)
{
    int code =
        regex->search_length ? match_length(regex, text, len, from) : match_at(regex, text, len, from, 0);
    *found = code > 0;
    if (code == PCRE2_ERROR_NOMATCH)
        return true;
    if (code <= 0)
        return match_failed(code, err);
    const PCRE2_SIZE *ovector = pcre2_get_ovector_pointer(regex->matches);
    for (uint32_t i = 0; i < 2 * (regex->captures + 1); i++)
        bounds[i] = i < 2 || (int)(i / 2) < code ? ovector[i] : PCRE2_UNSET;
    for (uint32_t i = 2; i < 2 * (regex->captures + 1); i++)
        bounds[i] = bounds[i] == PCRE2_UNSET ? SIZE_MAX : bounds[i];
    return true;
}
