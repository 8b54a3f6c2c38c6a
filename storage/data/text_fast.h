/* text_fast.h: the plain spellings of integers, dates and timestamps, read eight bytes at a time.
 *
 * A reader that says false has not seen an error: the text is spelled in another way, or wrong, and type_input
 * knows. */
#ifndef MILLRACE_DATA_TEXT_FAST_H
#define MILLRACE_DATA_TEXT_FAST_H

#include "storage/data/datetime.h"

#define TEXT_EIGHT(byte) (UINT64_C(0x0101010101010101) * (byte))

/* Eight bytes, the first one lowest. */
static inline uint64_t text_load8(const void *text)
{
    uint64_t word;
    memcpy(&word, text, sizeof(word));
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* The top bit of each byte above 9, exact up to and including the first such byte. */
static inline uint64_t text_not_digits(uint64_t digits)
{
    return ((digits + TEXT_EIGHT(0x76)) | digits) & TEXT_EIGHT(0x80);
}

/* The number that eight digits (bytes of 0 to 9) make. */
static inline uint32_t text_eight_digits(uint64_t digits)
{
    digits = digits * 10 + (digits >> 8);
    return (uint32_t)(((digits & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x000f424000000064) +
                       (digits >> 16 & UINT64_C(0x000000ff000000ff)) * UINT64_C(0x0000271000000001)) >>
                      32);
}

/* Up to 18 digits with a sign. */
static inline bool text_fast_int(const char *text, size_t len, int64_t *out)
{
    const char *at = text, *end = text + len;
    bool negative = len > 0 && *at == '-';
    if (negative)
        at++;
    size_t digits = (size_t)(end - at);
    if (digits == 0 || digits > 18)
        return false;
    int64_t value = 0;
    for (; end - at >= 8; at += 8) {
        uint64_t word = text_load8(at) ^ TEXT_EIGHT('0');
        if (text_not_digits(word) != 0)
            return false;
        value = value * 100000000 + text_eight_digits(word);
    }
    for (; at < end; at++) {
        unsigned digit = (unsigned)(*at - '0');
        if (digit > 9)
            return false;
        value = value * 10 + (int64_t)digit;
    }
    *out = negative ? -value : value;
    return true;
}

/* Two digits; above 99 when they are none. */
static inline uint32_t text_two_digits(const char *text)
{
    uint32_t tens = (uint8_t)text[0] - (uint32_t)'0', ones = (uint8_t)text[1] - (uint32_t)'0';
    return tens <= 9 && ones <= 9 ? tens * 10 + ones : 100;
}

/* Days since 2000-01-01 of a day that exists, in the years 1 to 9999. */
static inline bool text_fast_days(uint32_t year, uint32_t month, uint32_t day, int32_t *days)
{
    static const uint8_t lengths[16] = {0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
    static const uint16_t before[16] = {0, 0, 31, 59, 90, 120, 151, 181, 212, 243, 273, 304, 334};
    uint32_t century = year / 100, past = year - 1, past_century = past / 100;
    bool is_leap = (year % 4 == 0 && year != century * 100) || year % 400 == 0;
    if (year == 0 || month > 12 || day - 1 >= lengths[month] || (month == 2 && day == 29 && !is_leap))
        return false;
    uint32_t whole = past * 365 + past / 4 - past_century + past_century / 4;
    *days = (int32_t)(whole + before[month] + (is_leap && month > 2) + day - 1) - 730119;
    return true;
}

/* "YYYY-MM-" in the pairs of its digits: century, year, month at bytes 0, 2, 5. */
static inline bool text_fast_month(const char *text, uint32_t *year, uint32_t *month)
{
    uint64_t digits = text_load8(text) ^ text_load8("0000-00-");
    if (text_not_digits(digits) != 0 || (digits & UINT64_C(0xff0000ff00000000)) != 0)
        return false;
    uint64_t pairs = digits * 10 + (digits >> 8);
    *year = (uint32_t)(pairs & 0xff) * 100 + (uint32_t)(pairs >> 16 & 0xff);
    *month = (uint32_t)(pairs >> 40 & 0xff);
    return true;
}

/* YYYY-MM-DD, a day that exists. */
static inline bool text_fast_date(const char *text, size_t len, int32_t *days)
{
    uint32_t year, month;
    return len >= 10 && text_fast_month(text, &year, &month) &&
           text_fast_days(year, month, text_two_digits(text + 8), days);
}

/* Up to six digits behind a point, as microseconds; *used: how many. readable: bytes that may be loaded. */
static inline bool text_fast_fraction(const char *text, size_t len, size_t readable, int64_t *us,
                                      size_t *used)
{
    static const uint32_t powers[8] = {0, 100000, 10000, 1000, 100, 10, 1, 0};
    uint64_t word = 0;
    if (readable >= 8)
        word = text_load8(text);
    else
        for (size_t i = 0; i < readable; i++)
            word |= (uint64_t)(uint8_t)text[i] << 8 * i;
    word ^= TEXT_EIGHT('0');
    uint64_t stop = text_not_digits(word);
    size_t digits = stop == 0 ? 8 : (size_t)__builtin_ctzll(stop) / 8;
    digits = digits < len ? digits : len;
    if (digits == 0 || digits > 6)
        return false;
    *us = (int64_t)text_eight_digits(word << (64 - 8 * digits)) * powers[digits];
    *used = digits;
    return true;
}

/* The day that was read last; all zero: none. Days of one stream are mostly the same. */
struct text_day {
    uint64_t month_text; /* "YYYY-MM-" */
    uint16_t day_text;
    int32_t days;
};

/* YYYY-MM-DD HH:MM:SS[.ffffff]; *used: how much of the text it took. readable: bytes that may be loaded, len or more. last: NULL, or what is
 * kept between calls. */
static inline bool text_fast_timestamp(const char *text, size_t len, size_t readable, struct text_day *last,
                                       int64_t *out, size_t *used)
{
    if (len < 19 || (text[10] != ' ' && text[10] != 'T') || text[16] != ':')
        return false;
    uint64_t digits = (text_load8(text + 8) ^ text_load8("00T00:00")) & ~UINT64_C(0xff0000);
    uint32_t second = text_two_digits(text + 17);
    if (text_not_digits(digits) != 0 || (digits & UINT64_C(0xff0000000000)) != 0)
        return false;
    uint64_t pairs = digits * 10 + (digits >> 8);
    uint32_t hour = (uint32_t)(pairs >> 24 & 0xff), minute = (uint32_t)(pairs >> 48 & 0xff);
    if (hour > 23 || minute > 59 || second > 59)
        return false;
    uint64_t month_text;
    uint16_t day_text;
    int32_t days;
    memcpy(&month_text, text, sizeof(month_text));
    memcpy(&day_text, text + 8, sizeof(day_text));
    if (last != NULL && last->month_text == month_text && last->day_text == day_text) {
        days = last->days;
    } else {
        uint32_t year, month;
        if (!text_fast_month(text, &year, &month) ||
            !text_fast_days(year, month, (uint32_t)(pairs & 0xff), &days))
            return false;
        if (last != NULL)
            *last = (struct text_day){month_text, day_text, days};
    }
    int64_t us = 0;
    *used = 19;
    if (len > 20 && text[19] == '.') {
        size_t fraction;
        if (!text_fast_fraction(text + 20, len - 20, readable - 20, &us, &fraction))
            return false;
        *used = 20 + fraction;
    }
    *out = days * US_PER_DAY + (int64_t)(hour * 3600 + minute * 60 + second) * US_PER_SECOND + us;
    return true;
}

/* The same in UTC: the text ends with Z or an offset of hours and minutes, or with neither when that means UTC. */
static inline bool text_fast_timestamptz(const char *text, size_t len, size_t readable, struct text_day *last,
                                         bool zone_is_utc, int64_t *out)
{
    size_t used;
    if (!text_fast_timestamp(text, len, readable, last, out, &used))
        return false;
    size_t rest = len - used;
    const char *zone = text + used;
    if (rest == 0)
        return zone_is_utc;
    if (rest == 1)
        return *zone == 'Z';
    if ((*zone != '+' && *zone != '-') || (rest != 3 && (rest != 6 || zone[3] != ':')))
        return false;
    uint32_t hours = text_two_digits(zone + 1), minutes = rest == 6 ? text_two_digits(zone + 4) : 0;
    if (hours > 15 || minutes > 59)
        return false;
    int64_t offset = (int64_t)(hours * 60 + minutes) * 60 * US_PER_SECOND;
    *out += *zone == '+' ? -offset : offset;
    return true;
}

#endif
