/* datetime_words.c: the tables behind datetime_words.h and the names of time units. */
#include "storage/data/datetime_words.h"

#include "storage/data/datetime_internal.h"

#include <stdlib.h>

struct word {
    const char *text;
    int kind;
    int value;
};

/* Sorted for bsearch. */
static const struct word input_words[] = {
    {"-infinity", WORD_INFINITY, -1},
    {"ad", WORD_ERA, 0},
    {"allballs", WORD_ALLBALLS, 0},
    {"am", WORD_AM_PM, 0},
    {"apr", WORD_MONTH, 4},
    {"april", WORD_MONTH, 4},
    {"at", WORD_IGNORE, 0},
    {"aug", WORD_MONTH, 8},
    {"august", WORD_MONTH, 8},
    {"bc", WORD_ERA, 1},
    {"d", WORD_UNIT, 'd'},
    {"dec", WORD_MONTH, 12},
    {"december", WORD_MONTH, 12},
    {"dst", WORD_DST, 0},
    {"epoch", WORD_EPOCH, 0},
    {"feb", WORD_MONTH, 2},
    {"february", WORD_MONTH, 2},
    {"fri", WORD_WEEKDAY, 5},
    {"friday", WORD_WEEKDAY, 5},
    {"h", WORD_UNIT, 'h'},
    {"infinity", WORD_INFINITY, 1},
    {"j", WORD_UNIT, 'j'},
    {"jan", WORD_MONTH, 1},
    {"january", WORD_MONTH, 1},
    {"jd", WORD_UNIT, 'j'},
    {"jul", WORD_MONTH, 7},
    {"julian", WORD_UNIT, 'j'},
    {"july", WORD_MONTH, 7},
    {"jun", WORD_MONTH, 6},
    {"june", WORD_MONTH, 6},
    {"m", WORD_UNIT, 'm'},
    {"mar", WORD_MONTH, 3},
    {"march", WORD_MONTH, 3},
    {"may", WORD_MONTH, 5},
    {"mm", WORD_UNIT, 'M'},
    {"mon", WORD_WEEKDAY, 1},
    {"monday", WORD_WEEKDAY, 1},
    {"nov", WORD_MONTH, 11},
    {"november", WORD_MONTH, 11},
    {"now", WORD_NOW, 0},
    {"oct", WORD_MONTH, 10},
    {"october", WORD_MONTH, 10},
    {"on", WORD_IGNORE, 0},
    {"pm", WORD_AM_PM, 1},
    {"s", WORD_UNIT, 's'},
    {"sat", WORD_WEEKDAY, 6},
    {"saturday", WORD_WEEKDAY, 6},
    {"sep", WORD_MONTH, 9},
    {"sept", WORD_MONTH, 9},
    {"september", WORD_MONTH, 9},
    {"sun", WORD_WEEKDAY, 0},
    {"sunday", WORD_WEEKDAY, 0},
    {"t", WORD_ISO_TIME, 0},
    {"thu", WORD_WEEKDAY, 4},
    {"thur", WORD_WEEKDAY, 4},
    {"thurs", WORD_WEEKDAY, 4},
    {"thursday", WORD_WEEKDAY, 4},
    {"today", WORD_TODAY, 0},
    {"tomorrow", WORD_TODAY, 1},
    {"tue", WORD_WEEKDAY, 2},
    {"tues", WORD_WEEKDAY, 2},
    {"tuesday", WORD_WEEKDAY, 2},
    {"wed", WORD_WEEKDAY, 3},
    {"wednesday", WORD_WEEKDAY, 3},
    {"weds", WORD_WEEKDAY, 3},
    {"y", WORD_UNIT, 'y'},
    {"yesterday", WORD_TODAY, -1},
};

static const struct word span_words[] = {
    {"c", UNIT_CENTURY, 0},
    {"cent", UNIT_CENTURY, 0},
    {"centuries", UNIT_CENTURY, 0},
    {"century", UNIT_CENTURY, 0},
    {"d", UNIT_DAY, 0},
    {"day", UNIT_DAY, 0},
    {"days", UNIT_DAY, 0},
    {"dec", UNIT_DECADE, 0},
    {"decade", UNIT_DECADE, 0},
    {"decades", UNIT_DECADE, 0},
    {"decs", UNIT_DECADE, 0},
    {"h", UNIT_HOUR, 0},
    {"hour", UNIT_HOUR, 0},
    {"hours", UNIT_HOUR, 0},
    {"hr", UNIT_HOUR, 0},
    {"hrs", UNIT_HOUR, 0},
    {"m", UNIT_MINUTE, 0},
    {"microsecon", UNIT_MICROSECOND, 0},
    {"mil", UNIT_MILLENNIUM, 0},
    {"millennia", UNIT_MILLENNIUM, 0},
    {"millennium", UNIT_MILLENNIUM, 0},
    {"millisecon", UNIT_MILLISECOND, 0},
    {"mils", UNIT_MILLENNIUM, 0},
    {"min", UNIT_MINUTE, 0},
    {"mins", UNIT_MINUTE, 0},
    {"minute", UNIT_MINUTE, 0},
    {"minutes", UNIT_MINUTE, 0},
    {"mon", UNIT_MONTH, 0},
    {"mons", UNIT_MONTH, 0},
    {"month", UNIT_MONTH, 0},
    {"months", UNIT_MONTH, 0},
    {"ms", UNIT_MILLISECOND, 0},
    {"msec", UNIT_MILLISECOND, 0},
    {"msecond", UNIT_MILLISECOND, 0},
    {"mseconds", UNIT_MILLISECOND, 0},
    {"msecs", UNIT_MILLISECOND, 0},
    {"qtr", UNIT_QUARTER, 0},
    {"quarter", UNIT_QUARTER, 0},
    {"s", UNIT_SECOND, 0},
    {"sec", UNIT_SECOND, 0},
    {"second", UNIT_SECOND, 0},
    {"seconds", UNIT_SECOND, 0},
    {"secs", UNIT_SECOND, 0},
    {"us", UNIT_MICROSECOND, 0},
    {"usec", UNIT_MICROSECOND, 0},
    {"usecond", UNIT_MICROSECOND, 0},
    {"useconds", UNIT_MICROSECOND, 0},
    {"usecs", UNIT_MICROSECOND, 0},
    {"w", UNIT_WEEK, 0},
    {"week", UNIT_WEEK, 0},
    {"weeks", UNIT_WEEK, 0},
    {"y", UNIT_YEAR, 0},
    {"year", UNIT_YEAR, 0},
    {"years", UNIT_YEAR, 0},
    {"yr", UNIT_YEAR, 0},
    {"yrs", UNIT_YEAR, 0},
};

/* Names that mean something to extract() only; date_trunc knows the zone's but refuses them. */
static const struct word field_words[] = {
    {"dow", UNIT_DOW, 0},
    {"doy", UNIT_DOY, 0},
    {"epoch", UNIT_EPOCH, 0},
    {"isodow", UNIT_ISODOW, 0},
    {"isoyear", UNIT_ISOYEAR, 0},
    {"j", UNIT_JULIAN, 0},
    {"jd", UNIT_JULIAN, 0},
    {"julian", UNIT_JULIAN, 0},
    {"timezone", UNIT_TIMEZONE, 0},
    {"timezone_h", UNIT_TIMEZONE_HOUR, 0},
    {"timezone_m", UNIT_TIMEZONE_MINUTE, 0},
};

#define WORD_BYTES_COMPARED 10 /* PostgreSQL looks at no more: "microsecon" stands for all its forms */

static int compare_words(const void *a, const void *b)
{
    return strcmp(((const struct word *)a)->text, ((const struct word *)b)->text);
}

/* Looks up the word in lower case. */
static const struct word *find(const struct word *words, size_t count, const char *text, size_t len)
{
    char lower[WORD_BYTES_COMPARED + 1];
    if (len > WORD_BYTES_COMPARED)
        len = WORD_BYTES_COMPARED;
    for (size_t i = 0; i < len; i++)
        lower[i] = text[i] >= 'A' && text[i] <= 'Z' ? (char)(text[i] + 32) : text[i];
    lower[len] = '\0';
    struct word key = {.text = lower};
    return bsearch(&key, words, count, sizeof(*words), compare_words);
}

bool datetime_word_find(const char *word, size_t len, enum datetime_word *kind, int *value)
{
    const struct word *found = find(input_words, ARRAY_COUNT(input_words), word, len);
    if (found == NULL)
        return false;
    *kind = (enum datetime_word)found->kind;
    *value = found->value;
    return true;
}

bool time_unit_find(const char *word, size_t len, enum time_unit *out)
{
    const struct word *found = find(span_words, ARRAY_COUNT(span_words), word, len);
    if (found == NULL)
        return false;
    *out = (enum time_unit)found->kind;
    return true;
}

/* A name in messages is shown in lower case, as PostgreSQL folds it. */
static bool unit_error(enum error_code code, const char *word, size_t len, const char *what,
                       const char *type_name, struct error *err)
{
    char lower[64];
    size_t shown = len < sizeof(lower) - 1 ? len : sizeof(lower) - 1;
    for (size_t i = 0; i < shown; i++)
        lower[i] = word[i] >= 'A' && word[i] <= 'Z' ? (char)(word[i] + 32) : word[i];
    lower[shown] = '\0';
    return error_set(err, code, "unit \"%s\" not %s for type %s", lower, what, type_name);
}

bool time_unit_unsupported(const char *word, size_t len, const char *type_name, struct error *err)
{
    return unit_error(ERRCODE_FEATURE_NOT_SUPPORTED, word, len, "supported", type_name, err);
}

bool time_unit_for(const char *word, size_t len, enum unit_use use, const char *type_name,
                   enum time_unit *out, struct error *err)
{
    if (time_unit_find(word, len, out))
        return true;
    const struct word *found = find(field_words, ARRAY_COUNT(field_words), word, len);
    if (found != NULL) {
        *out = (enum time_unit)found->kind;
        if (use == UNITS_EXTRACT)
            return true;
        if (found->kind >= UNIT_TIMEZONE)
            return time_unit_unsupported(word, len, type_name, err);
    }
    return unit_error(ERRCODE_INVALID_PARAMETER_VALUE, word, len, "recognized", type_name, err);
}
