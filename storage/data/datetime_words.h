/* datetime_words.h: the words of date/time input (months, days, today, BC, ...), shared by the parsers. */
#ifndef MILLRACE_DATA_DATETIME_WORDS_H
#define MILLRACE_DATA_DATETIME_WORDS_H

#include <stdbool.h>
#include <stddef.h>

enum datetime_word {
    WORD_IGNORE,  /* at, on */
    WORD_MONTH,   /* value 1..12 */
    WORD_WEEKDAY, /* value 0..6 */
    WORD_AM_PM,   /* value 0 AM, 1 PM */
    WORD_ERA,     /* value 0 AD, 1 BC */
    WORD_DST,     /* summer time of the zone named before */
    WORD_NOW,
    WORD_TODAY, /* value: days from today */
    WORD_ALLBALLS,
    WORD_EPOCH,
    WORD_INFINITY, /* value 1 or -1 */
    WORD_ISO_TIME, /* t */
    WORD_UNIT,     /* y m d h mm s j before a number: value is the letter, 'M' for minutes */
};

/* Looks a lower-case word up. */
bool datetime_word_find(const char *word, size_t len, enum datetime_word *kind, int *value);

#endif
