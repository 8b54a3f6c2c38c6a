/* regex_translate.c: from PostgreSQL's advanced regular expressions (manual 9.7.3) to PCRE2's syntax.
 *
 * Only what the manual describes passes; everything that would mean something else to PCRE2 (\Q, (?P<name>),
 * possessive quantifiers, verbs) is refused with PostgreSQL's words, so no PCRE2 feature leaks out. */
#include "executor/functions/regex_internal.h"

#define REPEAT_MAX 255

/* What length a part of a pattern prefers (manual 9.7.3.5): a quantifier says it, a group inherits it, the
 * first part that has a preference gives it to its branch, and alternatives are always greedy. */
enum preference { PREFER_NOTHING, PREFER_LONG, PREFER_SHORT };

/* Alternatives are apart when each begins with another literal character and no quantifier stands before
 * their end, so that where they stand is known and at most one of them can match there: then there is no
 * choice that could change the length. One of them may have nothing but "^" before the literal that follows
 * the group: "(&|^)id=" is apart, since "i" is not "&". */
struct group {
    enum preference branch;
    bool has_alternatives;
    bool holds_alternatives; /* itself or a group in it */
    bool is_branch_start;    /* nothing but "^" so far in this branch */
    bool not_apart;
    bool has_empty;    /* a branch that ended as it started */
    uint64_t first[2]; /* the characters that branches begin with */
    bool has_follower; /* a group just closed wants a literal next that is not one of */
    uint64_t follow[2];
};

struct translator {
    const char *pattern;
    size_t len, at;
    struct regex_translation *out;
    struct error *err;
    uint32_t groups;    /* capturing ones opened so far */
    struct group *open; /* one per level, the whole pattern first */
    uint32_t depth;
    enum preference group_preference; /* of the group just closed, until something follows it */
    bool has_atom;                    /* a quantifier may follow */
    bool atom_is_group;
    bool atom_holds_alternatives;
    bool has_quantifier;
};

static bool bad(struct translator *t, const char *what)
{
    return error_set(t->err, ERRCODE_INVALID_REGULAR_EXPRESSION, "invalid regular expression: %s", what);
}

static bool bad_escape(struct translator *t)
{
    return bad(t, "invalid escape \\ sequence");
}

static int hex_digit(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

static void branch_prefers(struct translator *t, enum preference preference)
{
    if (t->open[t->depth].branch == PREFER_NOTHING)
        t->open[t->depth].branch = preference;
}

static enum preference group_prefers(const struct group *group)
{
    return group->has_alternatives ? PREFER_LONG : group->branch;
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_letter(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

/* Is the character in the set? Puts it in. */
static bool first_add(uint64_t set[2], uint8_t c)
{
    uint64_t bit = (uint64_t)1 << (c & 63);
    bool was_in = (set[c >> 6] & bit) != 0;
    set[c >> 6] |= bit;
    return was_in;
}

/* What stands at `at` is the next part of the present branch. */
static void part_begins(struct translator *t)
{
    struct group *group = &t->open[t->depth];
    char c = t->pattern[t->at];
    bool is_quantified = t->at + 1 < t->len && strchr("*+?{", t->pattern[t->at + 1]) != NULL;
    bool is_literal =
        c > ' ' && strchr("\\[]().*+?{}|^$#", c) == NULL && !is_quantified && !t->out->options.ignore_case;
    if (group->has_follower) {
        t->out->ambiguous = t->out->ambiguous || !is_literal || first_add(group->follow, (uint8_t)c);
        group->has_follower = false;
    }
    if (group->is_branch_start && c != '^') {
        group->not_apart = group->not_apart || !is_literal || first_add(group->first, (uint8_t)c);
        group->is_branch_start = false;
    }
}

/* Before "|", ")" and at the end of the pattern. */
static void branch_ends(struct translator *t)
{
    struct group *group = &t->open[t->depth];
    if (group->has_follower)
        t->out->ambiguous = true;
    if (group->is_branch_start) {
        group->not_apart = group->not_apart || group->has_empty;
        group->has_empty = true;
    }
    group->has_follower = false;
    group->is_branch_start = true;
}

/* The group whose last branch has ended: `outer` is the one around it, NULL for the whole pattern. */
static void group_ends(struct translator *t, const struct group *group, struct group *outer)
{
    t->atom_holds_alternatives = group->holds_alternatives;
    if (outer != NULL)
        outer->holds_alternatives = outer->holds_alternatives || group->holds_alternatives;
    if (!group->has_alternatives)
        return;
    if (group->not_apart || t->has_quantifier || (group->has_empty && outer == NULL)) {
        t->out->ambiguous = true;
    } else if (group->has_empty) {
        outer->has_follower = true;
        memcpy(outer->follow, group->first, sizeof(group->first));
    }
}

static void add_code(struct translator *t, uint32_t code)
{
    strbuf_addf(&t->out->text, "\\x{%x}", code);
}

static bool starts_with(const struct translator *t, const char *text)
{
    size_t len = strlen(text);
    return t->len - t->at >= len && memcmp(t->pattern + t->at, text, len) == 0;
}

/* \x.., \u...., \U........: `digits` of them, 0: any number. */
static bool hex_escape(struct translator *t, uint32_t digits)
{
    uint32_t code = 0, count = 0;
    while (t->at < t->len && hex_digit(t->pattern[t->at]) >= 0 && (digits == 0 || count < digits)) {
        code = code << 4 | (uint32_t)hex_digit(t->pattern[t->at++]);
        count++;
        if (code > 0x10ffff)
            return bad_escape(t);
    }
    if (count == 0 || (digits != 0 && count != digits) || (code >= 0xd800 && code <= 0xdfff))
        return bad_escape(t);
    add_code(t, code);
    return true;
}

/* Escapes that mean one character, allowed inside brackets too. *handled false: not one of them. */
static bool character_escape(struct translator *t, char c, bool *handled)
{
    static const char letters[] = "abefnrtv";
    static const uint8_t codes[] = {7, 8, 27, 12, 10, 13, 9, 11};
    *handled = true;
    const char *letter = c != '\0' ? strchr(letters, c) : NULL;
    if (letter != NULL) {
        add_code(t, codes[letter - letters]);
        return true;
    }
    switch (c) {
    case 'B':
        strbuf_adds(&t->out->text, "\\\\");
        return true;
    case 'c':
        if (t->at >= t->len)
            return bad_escape(t);
        add_code(t, (uint32_t)(t->pattern[t->at++] & 31));
        return true;
    case 'x':
        return hex_escape(t, 0);
    case 'u':
        return hex_escape(t, 4);
    case 'U':
        return hex_escape(t, 8);
    case '0': {
        uint32_t code = 0;
        for (uint32_t count = 0;
             count < 2 && t->at < t->len && t->pattern[t->at] >= '0' && t->pattern[t->at] <= '7'; count++)
            code = code * 8 + (uint32_t)(t->pattern[t->at++] - '0');
        if (code == 0)
            return bad_escape(t); /* text never holds a zero byte */
        add_code(t, code);
        return true;
    }
    default:
        *handled = false;
        return true;
    }
}

/* \1 .. \99, or an octal number when there are not so many groups. */
static bool number_escape(struct translator *t, char first)
{
    uint32_t number = (uint32_t)(first - '0');
    size_t at = t->at;
    while (at < t->len && is_digit(t->pattern[at]) &&
           number * 10 + (uint32_t)(t->pattern[at] - '0') <= t->groups)
        number = number * 10 + (uint32_t)(t->pattern[at++] - '0');
    if (number <= t->groups) {
        t->at = at;
        t->out->has_references = true;
        strbuf_addf(&t->out->text, "\\g{%u}", number);
        return true;
    }
    if (t->at < t->len && t->pattern[t->at] >= '0' && t->pattern[t->at] <= '7' && first <= '7') {
        uint32_t code = (uint32_t)(first - '0');
        for (uint32_t count = 0;
             count < 2 && t->at < t->len && t->pattern[t->at] >= '0' && t->pattern[t->at] <= '7'; count++)
            code = code * 8 + (uint32_t)(t->pattern[t->at++] - '0');
        add_code(t, code);
        return true;
    }
    return bad(t, "invalid backreference number");
}

static bool translate_escape(struct translator *t)
{
    if (++t->at >= t->len)
        return bad_escape(t);
    char c = t->pattern[t->at++];
    struct strbuf *out = &t->out->text;
    t->has_atom = true;
    t->atom_is_group = false;
    bool handled;
    if (!character_escape(t, c, &handled))
        return false;
    if (handled)
        return true;
    if (c >= '1' && c <= '9')
        return number_escape(t, c);
    const char *constraint = NULL;
    switch (c) {
    case 'd':
    case 'D':
    case 's':
    case 'S':
    case 'w':
    case 'W':
        strbuf_addf(out, "\\%c", c);
        return true;
    case 'A':
        constraint = "\\A";
        break;
    case 'Z':
        constraint = "\\z";
        break;
    case 'm':
        constraint = "\\b(?=\\w)";
        break;
    case 'M':
        constraint = "\\b(?<=\\w)";
        break;
    case 'y':
        constraint = "\\b";
        break;
    case 'Y':
        constraint = "\\B";
        break;
    default:
        break;
    }
    if (constraint != NULL) {
        strbuf_adds(out, constraint);
        t->has_atom = false;
        return true;
    }
    if (is_letter(c) || is_digit(c))
        return bad_escape(t);
    if ((uint8_t)c < 0x80)
        strbuf_addc(out, '\\');
    strbuf_addc(out, c); /* of a longer character the rest follows as it is */
    return true;
}

/* [[:name:]], [[.x.]], [[=x=]] with `at` on the inner "[". */
static bool translate_bracket_item(struct translator *t)
{
    char kind = t->pattern[t->at + 1];
    size_t start = t->at + 2, end = start;
    while (end + 1 < t->len && !(t->pattern[end] == kind && t->pattern[end + 1] == ']'))
        end++;
    if (end + 1 >= t->len)
        return bad(t, "brackets [] not balanced");
    size_t len = end - start;
    t->at = end + 2;
    if (kind == ':') {
        static const char *const names[] = {"alnum", "alpha", "blank", "cntrl", "digit",  "graph", "lower",
                                            "print", "punct", "space", "upper", "xdigit", "word"};
        for (size_t i = 0; i < ARRAY_COUNT(names); i++) {
            if (strlen(names[i]) == len && memcmp(names[i], t->pattern + start, len) == 0) {
                strbuf_addf(&t->out->text, "[:%s:]", names[i]);
                return true;
            }
        }
        return bad(t, "invalid character class");
    }
    size_t character = 1;
    while (character < len && ((uint8_t)t->pattern[start + character] & 0xc0) == 0x80)
        character++;
    if (len == 0 || character != len)
        return bad(t, "invalid collating element");
    if (len == 1)
        add_code(t, (uint8_t)t->pattern[start]);
    else
        strbuf_add(&t->out->text, t->pattern + start, len);
    return true;
}

static bool translate_bracket_escape(struct translator *t)
{
    if (++t->at >= t->len)
        return bad_escape(t);
    char c = t->pattern[t->at++];
    bool handled;
    if (!character_escape(t, c, &handled))
        return false;
    if (handled)
        return true;
    if (c != '\0' && strchr("dswDSW", c) != NULL)
        strbuf_addf(&t->out->text, "\\%c", c);
    else if (is_letter(c) || is_digit(c))
        return bad_escape(t);
    else if ((uint8_t)c < 0x80)
        add_code(t, (uint8_t)c);
    else
        strbuf_addc(&t->out->text, c);
    return true;
}

static bool translate_bracket(struct translator *t)
{
    struct strbuf *out = &t->out->text;
    t->has_atom = true;
    t->atom_is_group = false;
    if (starts_with(t, "[[:<:]]") || starts_with(t, "[[:>:]]")) {
        strbuf_adds(out, t->pattern[t->at + 3] == '<' ? "\\b(?=\\w)" : "\\b(?<=\\w)");
        t->at += 7;
        t->has_atom = false;
        return true;
    }
    strbuf_addc(out, '[');
    t->at++;
    if (t->at < t->len && t->pattern[t->at] == '^') {
        strbuf_adds(out, t->out->options.newline_stops ? "^\\n" : "^");
        t->at++;
    }
    bool first = true;
    for (; t->at < t->len; first = false) {
        char c = t->pattern[t->at];
        if (c == ']' && !first) {
            strbuf_addc(out, ']');
            t->at++;
            return true;
        }
        if (c == '[' && t->at + 1 < t->len && strchr(":.=", t->pattern[t->at + 1]) != NULL &&
            t->pattern[t->at + 1] != '\0') {
            if (!translate_bracket_item(t))
                return false;
        } else if (c == '\\') {
            if (!translate_bracket_escape(t))
                return false;
        } else {
            if (c == '[' || c == ']' || (c == '^' && !first))
                strbuf_addc(out, '\\');
            strbuf_addc(out, c);
            t->at++;
        }
    }
    return bad(t, "brackets [] not balanced");
}

static bool read_count(struct translator *t, uint32_t *out)
{
    *out = 0;
    size_t start = t->at;
    while (t->at < t->len && is_digit(t->pattern[t->at])) {
        *out = *out * 10 + (uint32_t)(t->pattern[t->at++] - '0');
        if (*out > REPEAT_MAX)
            return bad(t, "invalid repetition count(s)");
    }
    return t->at > start || bad(t, "invalid repetition count(s)");
}

static bool translate_quantifier(struct translator *t)
{
    struct strbuf *out = &t->out->text;
    char c = t->pattern[t->at++];
    if (!t->has_atom)
        return bad(t, "quantifier operand invalid");
    t->has_atom = false;
    t->has_quantifier = true;
    bool optional = c != '+', fixed = false;
    if (c == '{') {
        uint32_t low, high;
        if (!read_count(t, &low))
            return false;
        high = low;
        bool open = false;
        fixed = true;
        if (t->at < t->len && t->pattern[t->at] == ',') {
            t->at++;
            fixed = false;
            open = t->at < t->len && t->pattern[t->at] == '}';
            if (!open && !read_count(t, &high))
                return false;
        }
        if (t->at >= t->len)
            return bad(t, "braces {} not balanced");
        if (t->pattern[t->at++] != '}' || (!open && high < low))
            return bad(t, "invalid repetition count(s)");
        if (open)
            strbuf_addf(out, "{%u,}", low);
        else
            strbuf_addf(out, "{%u,%u}", low, high);
        optional = open || high != low;
    } else {
        strbuf_addc(out, c);
    }
    enum preference preference = PREFER_LONG;
    if (t->at < t->len && t->pattern[t->at] == '?') {
        strbuf_addc(out, '?');
        t->at++;
        preference = PREFER_SHORT;
    }
    if (fixed)
        preference = t->atom_is_group ? t->group_preference : PREFER_NOTHING;
    branch_prefers(t, preference);
    t->group_preference = PREFER_NOTHING;
    t->out->ambiguous = t->out->ambiguous || (t->atom_is_group && (optional || t->atom_holds_alternatives)) ||
                        preference == PREFER_SHORT;
    return true;
}

static bool translate_open(struct translator *t)
{
    struct strbuf *out = &t->out->text;
    t->has_atom = false;
    if (starts_with(t, "(?#")) {
        while (t->at < t->len && t->pattern[t->at] != ')')
            t->at++;
        t->at += t->at < t->len;
        return true;
    }
    static const char *const openings[] = {"(?:", "(?=", "(?!", "(?<=", "(?<!"};
    for (size_t i = 0; i < ARRAY_COUNT(openings); i++) {
        if (!starts_with(t, openings[i]))
            continue;
        strbuf_adds(out, openings[i]);
        t->at += strlen(openings[i]);
        t->open[++t->depth] = (struct group){.is_branch_start = true, .not_apart = i > 0};
        return true;
    }
    if (starts_with(t, "(?") || starts_with(t, "(*") || starts_with(t, "(+"))
        return bad(t, "quantifier operand invalid");
    strbuf_addc(out, '(');
    t->at++;
    t->open[++t->depth] = (struct group){.is_branch_start = true};
    t->groups++;
    return true;
}

static bool translate_one(struct translator *t)
{
    struct strbuf *out = &t->out->text;
    char c = t->pattern[t->at];
    if (c != '*' && c != '+' && c != '?' && c != '{') {
        branch_prefers(t, t->group_preference);
        t->group_preference = PREFER_NOTHING;
    }
    if (c == '|' || c == ')')
        branch_ends(t);
    else
        part_begins(t);
    switch (c) {
    case '\\':
        return translate_escape(t);
    case '[':
        return translate_bracket(t);
    case '(':
        return translate_open(t);
    case ')':
        if (t->depth == 0)
            return bad(t, "parentheses () not balanced");
        t->group_preference = group_prefers(&t->open[t->depth]);
        group_ends(t, &t->open[t->depth], &t->open[t->depth - 1]);
        t->depth--;
        strbuf_addc(out, ')');
        t->at++;
        t->has_atom = t->atom_is_group = true;
        return true;
    case '|':
        t->open[t->depth].has_alternatives = t->open[t->depth].holds_alternatives = true;
        strbuf_addc(out, '|');
        t->at++;
        t->has_atom = false;
        return true;
    case '*':
    case '+':
    case '?':
        return translate_quantifier(t);
    case '{':
        if (t->at + 1 < t->len && is_digit(t->pattern[t->at + 1]))
            return translate_quantifier(t);
        strbuf_adds(out, "\\{");
        t->at++;
        break;
    case '^':
    case '$':
        strbuf_addc(out, c);
        t->at++;
        t->has_atom = false;
        return true;
    case '}':
    case '#':
        strbuf_addf(out, "\\%c", c);
        t->at++;
        break;
    default:
        strbuf_addc(out, c);
        t->at++;
        while (t->at < t->len && ((uint8_t)t->pattern[t->at] & 0xc0) == 0x80)
            strbuf_addc(out, t->pattern[t->at++]);
        break;
    }
    t->has_atom = true;
    t->atom_is_group = false;
    return true;
}

/* "***=" and "***:", then "(?flags)". */
static bool translate_start(struct translator *t)
{
    struct regex_options *options = &t->out->options;
    if (starts_with(t, "***=")) {
        options->literal = true;
        t->at += 4;
        return true;
    }
    if (starts_with(t, "***:"))
        t->at += 4;
    if (!starts_with(t, "(?") || t->at + 2 >= t->len || !is_letter(t->pattern[t->at + 2]))
        return true;
    size_t start = t->at + 2, end = start;
    while (end < t->len && is_letter(t->pattern[end]))
        end++;
    struct regex_options embedded;
    if (end >= t->len || t->pattern[end] != ')' || memchr(t->pattern + start, 'g', end - start) != NULL)
        return bad(t, "invalid embedded option");
    if (!regex_options_parse(t->pattern + start, end - start, &embedded, t->err))
        return bad(t, "invalid embedded option");
    for (size_t i = start; i < end; i++) {
        switch (t->pattern[i]) {
        case 'i':
        case 'c':
            options->ignore_case = embedded.ignore_case;
            break;
        case 'x':
        case 't':
            options->expanded = embedded.expanded;
            break;
        case 'q':
            options->literal = true;
            break;
        case 'e':
            break;
        default:
            options->newline_stops = embedded.newline_stops;
            options->newline_lines = embedded.newline_lines;
            break;
        }
    }
    t->at = end + 1;
    return true;
}

static void translate_literal(struct translator *t)
{
    for (; t->at < t->len; t->at++) {
        char c = t->pattern[t->at];
        if ((uint8_t)c < 0x80 && !is_letter(c) && !is_digit(c))
            strbuf_addc(&t->out->text, '\\');
        strbuf_addc(&t->out->text, c);
    }
}

/* Blanks and comments of the expanded form. */
static bool skip_expanded(struct translator *t)
{
    char c = t->pattern[t->at];
    if (c == '#') {
        while (t->at < t->len && t->pattern[t->at] != '\n')
            t->at++;
        return true;
    }
    if (c == ' ' || (c >= '\t' && c <= '\r')) {
        t->at++;
        return true;
    }
    return false;
}

bool regex_translate(const char *pattern, size_t len, struct regex_translation *out, struct error *err)
{
    struct translator t = {.pattern = pattern, .len = len, .out = out, .err = err};
    if (!out->options.literal && !translate_start(&t))
        return false;
    if (out->options.literal) {
        translate_literal(&t);
        return true;
    }
    /* every group takes at least its parenthesis */
    t.open = mem_zalloc(sizeof(*t.open) * (len + 1));
    t.open[0].is_branch_start = true;
    bool ok = true;
    while (ok && t.at < t.len)
        ok = (out->options.expanded && skip_expanded(&t)) || translate_one(&t);
    branch_prefers(&t, t.group_preference);
    if (t.depth == 0) {
        branch_ends(&t);
        group_ends(&t, &t.open[0], NULL);
    }
    out->prefers_short = group_prefers(&t.open[0]) == PREFER_SHORT;
    mem_free(t.open);
    if (!ok)
        return false;
    return t.depth == 0 || bad(&t, "parentheses () not balanced");
}
