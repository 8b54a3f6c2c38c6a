/* scan.c: see scan.h. PostgreSQL's rules: an identifier may hold $ and bytes >= 0x80; block comments nest; a
 * comment start ends an operator; E'' strings know backslashes, others do not. */
#include "planner/scan.h"

#include "storage/base/arena.h"

#include <string.h>
#include <strings.h>

static bool is_ident_start(unsigned char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c >= 0x80;
}

static bool is_digit(unsigned char c)
{
    return c >= '0' && c <= '9';
}

static bool is_ident(unsigned char c)
{
    return is_ident_start(c) || is_digit(c) || c == '$';
}

static bool is_operator(char c)
{
    return c != '\0' && strchr("~!@#^&|`?+-*/%<>=", c) != NULL;
}

void scan_start(struct scanner *scanner, const char *text, size_t len)
{
    *scanner = (struct scanner){.text = text, .len = (uint32_t)len, .at = 0};
}

static char peek(const struct scanner *s, uint32_t at)
{
    return at < s->len ? s->text[at] : '\0';
}

/* Behind blanks and comments; false when a block comment does not end (at: its start). */
static bool skip_blanks(struct scanner *s)
{
    for (;;) {
        char c = peek(s, s->at);
        if (s->at < s->len && (c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v')) {
            s->at++;
        } else if (c == '-' && peek(s, s->at + 1) == '-') {
            while (s->at < s->len && s->text[s->at] != '\n' && s->text[s->at] != '\r')
                s->at++;
        } else if (c == '/' && peek(s, s->at + 1) == '*') {
            uint32_t depth = 1, at = s->at + 2;
            while (at < s->len && depth > 0) {
                if (s->text[at] == '*' && peek(s, at + 1) == '/') {
                    depth--;
                    at += 2;
                } else if (s->text[at] == '/' && peek(s, at + 1) == '*') {
                    depth++;
                    at += 2;
                } else {
                    at++;
                }
            }
            if (depth > 0)
                return false;
            s->at = at;
        } else {
            return true;
        }
    }
}

/* Behind the closing quote of a string that opens at `at`; 0 when it does not end. */
static uint32_t quoted_end(const struct scanner *s, uint32_t at, char quote, bool backslash)
{
    for (at++; at < s->len; at++) {
        if (backslash && s->text[at] == '\\') {
            at++;
        } else if (s->text[at] == quote) {
            if (peek(s, at + 1) != quote)
                return at + 1;
            at++;
        }
    }
    return 0;
}

/* Behind a dollar-quoted string that opens at `at`; 0: it does not end, `at`: there is none here. */
static uint32_t dollar_end(const struct scanner *s, uint32_t at)
{
    uint32_t tag = at + 1;
    if (is_ident_start((unsigned char)peek(s, tag)))
        while (is_ident((unsigned char)peek(s, tag)) && peek(s, tag) != '$')
            tag++;
    if (peek(s, tag) != '$')
        return at;
    uint32_t mark = tag + 1 - at;
    for (uint32_t i = tag + 1; i + mark <= s->len; i++) {
        const char *hit = memchr(s->text + i, '$', s->len - i);
        if (hit == NULL)
            return 0;
        i = (uint32_t)(hit - s->text);
        if (i + mark <= s->len && memcmp(hit, s->text + at, mark) == 0)
            return i + mark;
    }
    return 0;
}

static uint32_t number_end(const struct scanner *s, uint32_t at)
{
    while (is_digit((unsigned char)peek(s, at)))
        at++;
    if (peek(s, at) == '.' && peek(s, at + 1) != '.') {
        at++;
        while (is_digit((unsigned char)peek(s, at)))
            at++;
    }
    if (peek(s, at) == 'e' || peek(s, at) == 'E') {
        uint32_t exponent = at + 1;
        if (peek(s, exponent) == '+' || peek(s, exponent) == '-')
            exponent++;
        if (is_digit((unsigned char)peek(s, exponent))) {
            at = exponent;
            while (is_digit((unsigned char)peek(s, at)))
                at++;
        }
    }
    return at;
}

static uint32_t operator_end(const struct scanner *s, uint32_t at)
{
    uint32_t start = at;
    while (is_operator(peek(s, at))) {
        char next = peek(s, at + 1);
        if (at > start && ((s->text[at] == '-' && next == '-') || (s->text[at] == '/' && next == '*')))
            break;
        at++;
    }
    return at;
}

struct scan_token scan_next(struct scanner *s)
{
    struct scan_token token = {.kind = SCAN_END};
    if (!skip_blanks(s)) {
        token = (struct scan_token){.kind = SCAN_UNTERMINATED, .start = s->at, .len = s->len - s->at};
        s->at = s->len;
        return token;
    }
    token.start = s->at;
    if (s->at >= s->len)
        return token;
    uint32_t at = s->at, end;
    char c = s->text[at], next = peek(s, at + 1);
    if (c == '\'' || c == '"') {
        token.kind = c == '"' ? SCAN_QUOTED : SCAN_STRING;
        end = quoted_end(s, at, c, false);
    } else if (next == '\'' && strchr("eEbBxXnN", c) != NULL) {
        token.kind = SCAN_STRING;
        end = quoted_end(s, at + 1, '\'', c == 'e' || c == 'E');
    } else if ((c == 'u' || c == 'U') && next == '&' && (peek(s, at + 2) == '\'' || peek(s, at + 2) == '"')) {
        token.kind = peek(s, at + 2) == '"' ? SCAN_QUOTED : SCAN_STRING;
        end = quoted_end(s, at + 2, s->text[at + 2], false);
    } else if (is_ident_start((unsigned char)c)) {
        token.kind = SCAN_WORD;
        for (end = at + 1; is_ident((unsigned char)peek(s, end));)
            end++;
    } else if (is_digit((unsigned char)c) || (c == '.' && is_digit((unsigned char)next))) {
        token.kind = SCAN_NUMBER;
        end = number_end(s, at);
    } else if (c == '$' && is_digit((unsigned char)next)) {
        token.kind = SCAN_PARAM;
        for (end = at + 1; is_digit((unsigned char)peek(s, end));)
            end++;
    } else if (c == '$') {
        token.kind = SCAN_STRING;
        end = dollar_end(s, at);
        if (end == at) {
            token.kind = SCAN_PUNCTUATION;
            end = at + 1;
        }
    } else if (is_operator(c)) {
        token.kind = SCAN_OPERATOR;
        end = operator_end(s, at);
    } else if (c == ':' && (next == ':' || next == '=')) {
        token.kind = SCAN_OPERATOR;
        end = at + 2;
    } else {
        token.kind = SCAN_PUNCTUATION;
        end = at + 1;
    }
    if (end == 0) {
        token.kind = SCAN_UNTERMINATED;
        end = s->len;
    }
    token.len = end - at;
    s->at = end;
    return token;
}

bool scan_is_word(const char *text, const struct scan_token *token, const char *word)
{
    return token->kind == SCAN_WORD && strlen(word) == token->len &&
           strncasecmp(text + token->start, word, token->len) == 0;
}

bool scan_is(const char *text, const struct scan_token *token, char c)
{
    return (token->kind == SCAN_PUNCTUATION || token->kind == SCAN_OPERATOR) && token->len == 1 &&
           text[token->start] == c;
}

void scan_blank_comments(char *text, size_t len)
{
    struct scanner scanner;
    scan_start(&scanner, text, len);
    for (;;) {
        uint32_t gap = scanner.at;
        struct scan_token token = scan_next(&scanner);
        uint32_t gap_end = token.kind == SCAN_END ? (uint32_t)len : token.start;
        for (; gap < gap_end; gap++)
            if (text[gap] != '\n' && text[gap] != '\r')
                text[gap] = ' ';
        if (token.kind == SCAN_END || token.kind == SCAN_UNTERMINATED)
            return;
    }
}

/* ---- depth ---- */

struct depth_level {
    uint32_t chain; /* operators since the last comma or clause */
    uint32_t sets;  /* joins and set operations: each hangs below the next */
    bool is_case;
};

static bool word_in(const char *text, const struct scan_token *token, const char *const *words)
{
    for (; *words != NULL; words++)
        if (scan_is_word(text, token, *words))
            return true;
    return false;
}

static const char *const chain_words[] = {"not",   "collate", "at",      "is", "like",
                                          "ilike", "similar", "between", "in", NULL};
static const char *const set_words[] = {"union", "intersect", "except", "join", NULL};
static const char *const clause_words[] = {
    "and",   "or",    "when",   "then",   "else", "select", "from",  "where",  "group",     "having",
    "order", "limit", "offset", "values", "set",  "on",     "using", "window", "returning", NULL};

uint32_t scan_depth(const char *text, size_t len, uint32_t most, struct scan_token *unterminated)
{
    unterminated->kind = SCAN_END;
    struct depth_level *levels = mem_zalloc(sizeof(*levels) * ((size_t)most + 2));
    uint32_t top = 0, total = 1, deepest = 1;
    struct scanner scanner;
    scan_start(&scanner, text, len);
    while (deepest < most) {
        struct scan_token token = scan_next(&scanner);
        if (token.kind == SCAN_END || token.kind == SCAN_UNTERMINATED) {
            *unterminated = token;
            break;
        }
        struct depth_level *level = &levels[top];
        bool opens = scan_is(text, &token, '(') || scan_is(text, &token, '[');
        bool closes = scan_is(text, &token, ')') || scan_is(text, &token, ']');
        if (token.kind == SCAN_WORD) {
            if (scan_is_word(text, &token, "case")) {
                opens = true;
            } else if (level->is_case && scan_is_word(text, &token, "end")) {
                closes = true;
            } else if (word_in(text, &token, set_words)) {
                level->sets++;
                total += 1 - level->chain;
                level->chain = 0;
            } else if (word_in(text, &token, clause_words)) {
                total -= level->chain;
                level->chain = 0;
            } else if (word_in(text, &token, chain_words)) {
                level->chain++;
                total++;
            }
        } else if (token.kind == SCAN_OPERATOR) {
            level->chain++;
            total++;
        } else if (scan_is(text, &token, ',')) {
            total -= level->chain;
            level->chain = 0;
        } else if (scan_is(text, &token, ';')) {
            top = 0;
            total = 1;
            levels[0] = (struct depth_level){0};
        }
        if (opens) {
            levels[++top] = (struct depth_level){.is_case = token.kind == SCAN_WORD};
            total++;
        } else if (closes && top > 0) {
            /* an unclosed CASE (a label of that name) goes with its bracket */
            while (top > 1 && levels[top].is_case && token.kind != SCAN_WORD) {
                total -= 1 + levels[top].chain + levels[top].sets;
                top--;
            }
            total -= 1 + levels[top].chain + levels[top].sets;
            top--;
        }
        if (total > deepest)
            deepest = total;
    }
    mem_free(levels);
    return deepest;
}
