/* time_picture.c: the words of date/time pictures and the splitting of a picture into them. */
#define _GNU_SOURCE
#include "executor/functions/time_picture.h"

#include "storage/data/datetime.h"

const char *const time_month_names[12] = {"January",   "February", "March",    "April",
                                          "May",       "June",     "July",     "August",
                                          "September", "October",  "November", "December"};
const char *const time_day_names[7] = {"Sunday",   "Monday", "Tuesday", "Wednesday",
                                       "Thursday", "Friday", "Saturday"};
const char *const time_roman_months[12] = {"I",   "II",   "III", "IV", "V",  "VI",
                                           "VII", "VIII", "IX",  "X",  "XI", "XII"};

#define WORD(text, element, letters, mode, digits, number, points)                                           \
    {                                                                                                        \
        text, element, letters, mode, digits, number, points                                                 \
    }
/* A number whose name may be written in capitals or small letters. */
#define NUMBER(upper, lower, element, mode, digits)                                                          \
    WORD(upper, element, CASE_UPPER, mode, digits, true, false),                                             \
        WORD(lower, element, CASE_LOWER, mode, digits, true, false)
/* A name whose letters tell how its value is written. */
#define NAME(upper, title, lower, element, mode)                                                             \
    WORD(upper, element, CASE_UPPER, mode, 0, false, false),                                                 \
        WORD(title, element, CASE_TITLE, mode, 0, false, false),                                             \
        WORD(lower, element, CASE_LOWER, mode, 0, false, false)
#define PAIR(upper, lower, element, points)                                                                  \
    WORD(upper, element, CASE_UPPER, MODE_ANY, 0, false, points),                                            \
        WORD(lower, element, CASE_LOWER, MODE_ANY, 0, false, points)

/* The first that matches counts: longer words stand before their beginnings. */
static const struct time_word words[] = {
    PAIR("A.D.", "a.d.", TE_AD, true),
    PAIR("A.M.", "a.m.", TE_AM, true),
    PAIR("AD", "ad", TE_AD, false),
    PAIR("AM", "am", TE_AM, false),
    PAIR("B.C.", "b.c.", TE_AD, true),
    PAIR("BC", "bc", TE_AD, false),
    NUMBER("CC", "cc", TE_CENTURY, MODE_ANY, 2),
    NAME("DAY", "Day", "day", TE_DAY_NAME, MODE_ANY),
    NUMBER("DDD", "ddd", TE_DAY_OF_YEAR, MODE_GREGORIAN, 3),
    NUMBER("DD", "dd", TE_DAY, MODE_GREGORIAN, 2),
    NAME("DY", "Dy", "dy", TE_DAY_SHORT, MODE_ANY),
    NUMBER("D", "d", TE_DAY_OF_WEEK, MODE_GREGORIAN, 1),
    NUMBER("FF1", "ff1", TE_FRACTION, MODE_ANY, 1),
    NUMBER("FF2", "ff2", TE_FRACTION, MODE_ANY, 2),
    NUMBER("FF3", "ff3", TE_FRACTION, MODE_ANY, 3),
    NUMBER("FF4", "ff4", TE_FRACTION, MODE_ANY, 4),
    NUMBER("FF5", "ff5", TE_FRACTION, MODE_ANY, 5),
    NUMBER("FF6", "ff6", TE_FRACTION, MODE_ANY, 6),
    WORD("FX", TE_EXACT, CASE_UPPER, MODE_ANY, 0, false, false),
    WORD("fx", TE_EXACT, CASE_LOWER, MODE_ANY, 0, false, false),
    NUMBER("HH24", "hh24", TE_HOUR24, MODE_ANY, 2),
    NUMBER("HH12", "hh12", TE_HOUR12, MODE_ANY, 2),
    NUMBER("HH", "hh", TE_HOUR12, MODE_ANY, 2),
    NUMBER("IDDD", "iddd", TE_ISO_DAY_OF_YEAR, MODE_ISO_WEEK, 3),
    NUMBER("ID", "id", TE_ISO_DAY_OF_WEEK, MODE_ISO_WEEK, 1),
    NUMBER("IW", "iw", TE_ISO_WEEK, MODE_ISO_WEEK, 2),
    NUMBER("IYYY", "iyyy", TE_ISO_YEAR, MODE_ISO_WEEK, 4),
    NUMBER("IYY", "iyy", TE_ISO_YEAR, MODE_ISO_WEEK, 3),
    NUMBER("IY", "iy", TE_ISO_YEAR, MODE_ISO_WEEK, 2),
    NUMBER("I", "i", TE_ISO_YEAR, MODE_ISO_WEEK, 1),
    NUMBER("J", "j", TE_JULIAN, MODE_ANY, 1),
    NUMBER("MI", "mi", TE_MINUTE, MODE_ANY, 2),
    NUMBER("MM", "mm", TE_MONTH, MODE_GREGORIAN, 2),
    NAME("MONTH", "Month", "month", TE_MONTH_NAME, MODE_GREGORIAN),
    NAME("MON", "Mon", "mon", TE_MONTH_SHORT, MODE_GREGORIAN),
    NUMBER("MS", "ms", TE_MILLISECOND, MODE_ANY, 3),
    WORD("OF", TE_OFFSET, CASE_UPPER, MODE_ANY, 0, false, false),
    WORD("of", TE_OFFSET, CASE_LOWER, MODE_ANY, 0, false, false),
    PAIR("P.M.", "p.m.", TE_AM, true),
    PAIR("PM", "pm", TE_AM, false),
    NUMBER("Q", "q", TE_QUARTER, MODE_ANY, 1),
    WORD("RM", TE_ROMAN, CASE_UPPER, MODE_GREGORIAN, 0, false, false),
    WORD("rm", TE_ROMAN, CASE_LOWER, MODE_GREGORIAN, 0, false, false),
    NUMBER("SSSSS", "sssss", TE_SECOND_OF_DAY, MODE_ANY, 5),
    NUMBER("SSSS", "ssss", TE_SECOND_OF_DAY, MODE_ANY, 4),
    NUMBER("SS", "ss", TE_SECOND, MODE_ANY, 2),
    WORD("TZH", TE_ZONE_HOURS, CASE_UPPER, MODE_ANY, 3, false, false),
    WORD("tzh", TE_ZONE_HOURS, CASE_LOWER, MODE_ANY, 3, false, false),
    NUMBER("TZM", "tzm", TE_ZONE_MINUTES, MODE_ANY, 2),
    PAIR("TZ", "tz", TE_ZONE, false),
    NUMBER("US", "us", TE_MICROSECOND, MODE_ANY, 6),
    NUMBER("WW", "ww", TE_WEEK_OF_YEAR, MODE_GREGORIAN, 2),
    NUMBER("W", "w", TE_WEEK_OF_MONTH, MODE_GREGORIAN, 1),
    NUMBER("Y,YYY", "y,yyy", TE_YEAR_COMMA, MODE_GREGORIAN, 5),
    NUMBER("YYYY", "yyyy", TE_YEAR, MODE_GREGORIAN, 4),
    NUMBER("YYY", "yyy", TE_YEAR, MODE_GREGORIAN, 3),
    NUMBER("YY", "yy", TE_YEAR, MODE_GREGORIAN, 2),
    NUMBER("Y", "y", TE_YEAR, MODE_GREGORIAN, 1),
};

static bool starts_with(const char *at, const char *end, const char *word)
{
    size_t len = strlen(word);
    return len <= (size_t)(end - at) && memcmp(at, word, len) == 0;
}

static const struct time_word *find_word(const char *at, const char *end)
{
    for (size_t i = 0; i < ARRAY_COUNT(words); i++) {
        if (starts_with(at, end, words[i].text))
            return &words[i];
    }
    return NULL;
}

static bool is_blank(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static bool is_alnum(char c)
{
    return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static void add_literal(struct time_picture *picture, const char **at, const char *end, bool quoted)
{
    struct time_node *node = &picture->nodes[picture->count++];
    char c = **at;
    size_t bytes = utf8_bytes(c);
    if (bytes > (size_t)(end - *at))
        bytes = (size_t)(end - *at);
    node->element = quoted                                ? TE_LITERAL
                    : is_blank(c)                         ? TE_SPACE
                    : c > ' ' && c < 0x7F && !is_alnum(c) ? TE_SEPARATOR
                                                          : TE_LITERAL;
    memcpy(node->text, *at, bytes);
    *at += bytes;
}

/* How long an element keeps its value; divides a day. */
static int64_t period_of(enum time_element element)
{
    switch (element) {
    case TE_FRACTION:
    case TE_MILLISECOND:
    case TE_MICROSECOND:
    case TE_OFFSET:
    case TE_ZONE_HOURS:
    case TE_ZONE_MINUTES:
    case TE_ZONE:
        return 1;
    case TE_SECOND:
    case TE_SECOND_OF_DAY:
        return US_PER_SECOND;
    case TE_MINUTE:
        return 60 * US_PER_SECOND;
    case TE_HOUR12:
    case TE_HOUR24:
    case TE_AM:
        return 3600 * US_PER_SECOND;
    default:
        return US_PER_DAY;
    }
}

static int64_t shortest_period(const struct time_picture *picture)
{
    int64_t shortest = US_PER_DAY;
    for (uint32_t i = 0; i < picture->count; i++) {
        int64_t period = period_of(picture->nodes[i].element);
        shortest = period < shortest ? period : shortest;
    }
    return shortest;
}

void time_picture_parse(struct time_picture *picture, struct arena *arena, struct text_arg text)
{
    *picture = (struct time_picture){.text = arena_strndup(arena, text.bytes, text.len), .len = text.len};
    picture->nodes = ARENA_ARRAY(arena, struct time_node, text.len + 1);
    const char *at = picture->text, *end = at + text.len;
    while (at < end) {
        bool fill = starts_with(at, end, "FM") || starts_with(at, end, "fm");
        bool translated = starts_with(at, end, "TM") || starts_with(at, end, "tm");
        if (fill || translated)
            at += 2;
        if (at == end)
            break;
        const struct time_word *word = find_word(at, end);
        if (word != NULL) {
            struct time_node *node = &picture->nodes[picture->count++];
            node->element = word->element;
            node->word = word;
            node->fill = fill;
            node->translated = translated;
            at += strlen(word->text);
            node->ordinal = starts_with(at, end, "TH");
            node->ordinal_lower = starts_with(at, end, "th");
            if (node->ordinal || node->ordinal_lower || starts_with(at, end, "SP"))
                at += 2;
        } else if (*at == '"') {
            for (at++; at < end && *at != '"';) {
                if (*at == '\\' && at + 1 < end)
                    at++;
                add_literal(picture, &at, end, true);
            }
            at += at < end;
        } else {
            if (*at == '\\' && at + 1 < end && at[1] == '"')
                at++;
            add_literal(picture, &at, end, false);
        }
    }
    picture->period_us = shortest_period(picture);
}

const struct time_picture *time_picture_at(struct fn_call *call, const struct column *column, uint32_t row)
{
    struct text_arg text = text_at(column, row);
    struct time_picture *kept = *call->state;
    if (kept != NULL && kept->len == text.len && memcmp(kept->text, text.bytes, text.len) == 0)
        return kept;
    bool keep = column->is_constant || kept == NULL;
    struct arena *arena = keep ? call->state_arena : call->arena;
    struct time_picture *made = ARENA_NEW(arena, struct time_picture);
    time_picture_parse(made, arena, text);
    if (keep)
        *call->state = made;
    return made;
}
