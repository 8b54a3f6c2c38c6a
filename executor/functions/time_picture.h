/* time_picture.h: pictures of dates and times such as 'YYYY-MM-DD HH24:MI:SS' (PostgreSQL manual 9.8), split
 * into elements; used by to_char (fn_time_format.c) and by to_date and to_timestamp (fn_time_parse.c). */
#ifndef MILLRACE_EXECUTOR_FUNCTIONS_TIME_PICTURE_H
#define MILLRACE_EXECUTOR_FUNCTIONS_TIME_PICTURE_H

#include "executor/functions/text_kernel.h"

enum time_element {
    TE_LITERAL,   /* one character to copy */
    TE_SEPARATOR, /* a literal that is neither letter nor digit */
    TE_SPACE,
    TE_AD,
    TE_AM,
    TE_CENTURY,
    TE_DAY_NAME,
    TE_DAY_SHORT,
    TE_DAY_OF_YEAR,
    TE_DAY,
    TE_DAY_OF_WEEK,
    TE_FRACTION, /* FF1 to FF6; digits tells */
    TE_EXACT,    /* FX */
    TE_HOUR24,
    TE_HOUR12,
    TE_ISO_DAY_OF_YEAR,
    TE_ISO_DAY_OF_WEEK,
    TE_ISO_WEEK,
    TE_ISO_YEAR, /* digits 4, 3, 2, 1 */
    TE_JULIAN,
    TE_MINUTE,
    TE_MONTH,
    TE_MONTH_NAME,
    TE_MONTH_SHORT,
    TE_MILLISECOND,
    TE_MICROSECOND,
    TE_OFFSET,
    TE_QUARTER,
    TE_ROMAN,
    TE_SECOND_OF_DAY,
    TE_SECOND,
    TE_ZONE_HOURS,
    TE_ZONE_MINUTES,
    TE_ZONE,
    TE_WEEK_OF_YEAR,
    TE_WEEK_OF_MONTH,
    TE_YEAR_COMMA,
    TE_YEAR, /* digits 4, 3, 2, 1 */
};

enum letter_case { CASE_UPPER, CASE_TITLE, CASE_LOWER };
enum date_mode { MODE_ANY, MODE_GREGORIAN, MODE_ISO_WEEK };

/* One word of the picture language. */
struct time_word {
    const char *text;
    enum time_element element;
    enum letter_case letters;
    enum date_mode mode;
    uint8_t digits;   /* how many it reads or shows */
    bool is_number;   /* its field starts with a digit */
    bool with_points; /* A.M., B.C. */
};

struct time_node {
    enum time_element element;
    const struct time_word *word; /* NULL for literals */
    bool fill, translated;        /* FM, TM before it */
    bool ordinal, ordinal_lower;  /* TH, th behind it */
    char text[5];                 /* literals: one character */
};

struct time_picture {
    char *text;
    size_t len;
    struct time_node *nodes;
    uint32_t count;
    /* Moments of a local day that lie in the same period of this length, counted from midnight, look the same:
     * a minute for 'HH24:MI'. 1: every moment differs, or its zone counts as well. */
    int64_t period_us;
};

extern const char *const time_month_names[12];
extern const char *const time_day_names[7];     /* Sunday first */
extern const char *const time_roman_months[12]; /* "I" first */

void time_picture_parse(struct time_picture *picture, struct arena *arena, struct text_arg text);
/* The picture of row i of the column; the last one is kept in the call's state. */
const struct time_picture *time_picture_at(struct fn_call *call, const struct column *column, uint32_t row);

/* Kernels of fn_time_parse.c. */
void text_to_date_kernel(struct fn_call *call, const struct column *args, struct column *result);
void text_to_timestamptz_kernel(struct fn_call *call, const struct column *args, struct column *result);

#endif
