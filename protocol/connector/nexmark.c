/* nexmark.c: persons, auctions and bids by event number. */
#include "protocol/connector/nexmark.h"

#include <pthread.h>

#define EVENTS_PER_ROUND   50u
#define PERSONS_PER_ROUND  1u
#define AUCTIONS_PER_ROUND 3u
#define BIDS_PER_ROUND     46u
#define FIRST_ID           1000u /* of persons and auctions */
#define FIRST_CATEGORY     10u
#define CATEGORIES         5u
#define AUCTIONS_IN_FLIGHT 100u
#define ACTIVE_PERSONS     1000u
#define ID_LEAD            10u /* bids may name an auction or person that is still to come */
#define HOT_AUCTION_RATIO  2u
#define HOT_BIDDER_RATIO   4u
#define HOT_SELLER_RATIO   4u
#define HOT_BLOCK          100u
#define CHANNELS           10000u
#define DICE_STEP          0x9e3779b97f4a7c15u

static const struct nexmark_column person_columns[] = {
    {"id", OID_INT8},   {"name", OID_TEXT},  {"email_address", OID_TEXT},  {"credit_card", OID_TEXT},
    {"city", OID_TEXT}, {"state", OID_TEXT}, {"date_time", OID_TIMESTAMP}, {"extra", OID_TEXT},
    {NULL, 0},
};
static const struct nexmark_column auction_columns[] = {
    {"id", OID_INT8},
    {"item_name", OID_TEXT},
    {"description", OID_TEXT},
    {"initial_bid", OID_INT8},
    {"reserve", OID_INT8},
    {"date_time", OID_TIMESTAMP},
    {"expires", OID_TIMESTAMP},
    {"seller", OID_INT8},
    {"category", OID_INT8},
    {"extra", OID_TEXT},
    {NULL, 0},
};
static const struct nexmark_column bid_columns[] = {
    {"auction", OID_INT8}, {"bidder", OID_INT8},         {"price", OID_INT8}, {"channel", OID_TEXT},
    {"url", OID_TEXT},     {"date_time", OID_TIMESTAMP}, {"extra", OID_TEXT}, {NULL, 0},
};

static const char *const first_names[] = {"Peter", "Paul",  "Luke",  "John",   "Saul",  "Vicky",
                                          "Kate",  "Julie", "Sarah", "Deiter", "Walter"};
static const char *const last_names[] = {"Shultz", "Abrams", "Spencer", "White", "Bartels",
                                         "Walton", "Smith",  "Jones",   "Noris"};
static const char *const cities[] = {"Phoenix", "Los Angeles", "San Francisco", "Boise", "Portland",
                                     "Bend",    "Redmond",     "Seattle",       "Kent",  "Cheyenne"};
static const char *const states[] = {"AZ", "CA", "ID", "OR", "WA", "WY"};
static const char *const hot_channels[] = {"Google", "Facebook", "Baidu", "Apple"};

/* A stream of numbers for one event: splitmix64 from a mixed start. */
struct dice {
    uint64_t state;
};

static inline uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static inline struct dice dice_of(uint64_t seed, uint64_t event)
{
    return (struct dice){mix(seed + 0x9e3779b97f4a7c15u) ^ mix(event * 0x9e3779b97f4a7c15u + 1)};
}

static inline uint64_t roll(struct dice *dice, uint64_t sides)
{
    dice->state += DICE_STEP;
    return mix(dice->state) % sides;
}

const struct nexmark_column *nexmark_columns(enum nexmark_kind kind)
{
    return kind == NEXMARK_PERSON ? person_columns : kind == NEXMARK_AUCTION ? auction_columns : bid_columns;
}

uint64_t nexmark_event_of_row(enum nexmark_kind kind, uint64_t row)
{
    switch (kind) {
    case NEXMARK_PERSON:
        return row * EVENTS_PER_ROUND;
    case NEXMARK_AUCTION:
        return row / AUCTIONS_PER_ROUND * EVENTS_PER_ROUND + PERSONS_PER_ROUND + row % AUCTIONS_PER_ROUND;
    case NEXMARK_BID:
        break;
    }
    return row / BIDS_PER_ROUND * EVENTS_PER_ROUND + PERSONS_PER_ROUND + AUCTIONS_PER_ROUND +
           row % BIDS_PER_ROUND;
}

uint64_t nexmark_rows_in(enum nexmark_kind kind, uint64_t events)
{
    uint64_t rounds = events / EVENTS_PER_ROUND, rest = events % EVENTS_PER_ROUND;
    uint64_t before = kind == NEXMARK_PERSON    ? 0
                      : kind == NEXMARK_AUCTION ? PERSONS_PER_ROUND
                                                : PERSONS_PER_ROUND + AUCTIONS_PER_ROUND;
    uint64_t per_round = kind == NEXMARK_PERSON    ? PERSONS_PER_ROUND
                         : kind == NEXMARK_AUCTION ? AUCTIONS_PER_ROUND
                                                   : BIDS_PER_ROUND;
    uint64_t more = rest <= before ? 0 : rest - before;
    return rounds * per_round + (more < per_round ? more : per_round);
}

/* Newest auction and person (counted from 0) at the time of an event. */
static inline uint64_t last_auction(uint64_t event)
{
    uint64_t rows = nexmark_rows_in(NEXMARK_AUCTION, event + 1);
    return rows == 0 ? 0 : rows - 1;
}

static inline uint64_t last_person(uint64_t event)
{
    return nexmark_rows_in(NEXMARK_PERSON, event + 1) - 1;
}

/* One of the most recent ids, or a little ahead of them. */
static inline uint64_t recent(struct dice *dice, uint64_t last, uint64_t span)
{
    uint64_t least = last > span ? last - span : 0;
    return least + roll(dice, last - least + 1 + ID_LEAD);
}

/* Spread over six powers of ten, in cents. */
static inline uint64_t price_of(struct dice *dice)
{
    static const uint32_t scales[] = {1, 10, 100, 1000, 10000, 100000};
    uint32_t scale = scales[roll(dice, ARRAY_COUNT(scales))];
    return (scale + roll(dice, 9 * scale)) * 100;
}

/* ---- columns ---- */

#define COLUMNS_OF_KIND 10u

/* Where the standard columns go: NULL for those that nobody wants. */
struct sink {
    int64_t *ints[COLUMNS_OF_KIND];
    struct varlen *texts[COLUMNS_OF_KIND];
    struct arena *arena;
};

static inline void put_int(const struct sink *sink, uint32_t column, uint32_t row, uint64_t value)
{
    if (sink->ints[column] != NULL)
        sink->ints[column][row] = (int64_t)value;
}

static inline void put_text(const struct sink *sink, uint32_t column, uint32_t row, const char *text,
                            size_t len)
{
    if (sink->texts[column] != NULL)
        sink->texts[column][row] = varlen_copy(sink->arena, text, (uint32_t)len);
}

#define LETTERS_MAX 128u

/* Eight letters, the first in the lowest byte: each byte modulo 26, four at a time in lanes of 16 bits
 * (79 / 2048 is near enough to 1 / 26 for every byte). */
static inline uint64_t eight_letters(uint64_t bits)
{
    const uint64_t lanes = 0x00ff00ff00ff00ffu, low5 = 0x001f001f001f001fu;
    uint64_t even = bits & lanes, odd = (bits >> 8) & lanes;
    even -= ((even * 79 >> 11) & low5) * 26;
    odd -= ((odd * 79 >> 11) & low5) * 26;
    return (even | odd << 8) + 0x6161616161616161u;
}

/* Random letters, least <= len < least + span; returns len. to: room for LETTERS_MAX; NULL only rolls. */
static inline size_t letters(struct dice *dice, size_t least, size_t span, uint8_t *to)
{
    size_t len = least + roll(dice, span);
    for (size_t i = 0; i < len; i += 8) {
        dice->state += DICE_STEP;
        if (to == NULL)
            continue;
        uint64_t some = mix(dice->state);
        some = eight_letters(some == UINT64_MAX ? 0 : some); /* as roll(dice, UINT64_MAX) has it */
        memcpy(to + i, &some, sizeof(some));
    }
    return len;
}

static inline void put_letters(const struct sink *sink, uint32_t column, uint32_t row, struct dice *dice,
                               size_t least, size_t span)
{
    if (sink->texts[column] == NULL) {
        letters(dice, least, span, NULL);
        return;
    }
    uint8_t text[LETTERS_MAX];
    size_t len = letters(dice, least, span, text);
    sink->texts[column][row] = varlen_copy(sink->arena, text, (uint32_t)len);
}

static size_t put_number(char *out, uint64_t value)
{
    char digits[20];
    size_t len = 0;
    do {
        digits[len++] = (char)('0' + value % 10);
        value /= 10;
    } while (value > 0);
    for (size_t i = 0; i < len; i++)
        out[i] = digits[len - 1 - i];
    return len;
}

static size_t put_name(char *out, const char *name)
{
    size_t len = strlen(name);
    memcpy(out, name, len);
    return len;
}

static void person(const struct nexmark *nexmark, uint64_t event, int64_t time_us, const struct sink *sink,
                   uint32_t row)
{
    struct dice dice = dice_of(nexmark->seed, event);
    char text[2 * LETTERS_MAX];
    const char *first = first_names[roll(&dice, ARRAY_COUNT(first_names))];
    const char *last = last_names[roll(&dice, ARRAY_COUNT(last_names))];
    put_int(sink, 0, row, FIRST_ID + last_person(event));
    size_t len = put_name(text, first);
    text[len++] = ' ';
    len += put_name(text + len, last);
    put_text(sink, 1, row, text, len);
    len = letters(&dice, 3, 5, (uint8_t *)text);
    text[len++] = '@';
    len += letters(&dice, 3, 3, (uint8_t *)text + len);
    memcpy(text + len, ".com", 4);
    put_text(sink, 2, row, text, len + 4);
    char card[19];
    for (size_t i = 0; i < sizeof(card); i++)
        card[i] = i % 5 == 4 ? ' ' : (char)('0' + roll(&dice, 10));
    put_text(sink, 3, row, card, sizeof(card));
    const char *city = cities[roll(&dice, ARRAY_COUNT(cities))];
    const char *state = states[roll(&dice, ARRAY_COUNT(states))];
    put_text(sink, 4, row, city, strlen(city));
    put_text(sink, 5, row, state, strlen(state));
    put_int(sink, 6, row, (uint64_t)time_us);
    put_letters(sink, 7, row, &dice, 20, 40);
}

static void auction(const struct nexmark *nexmark, uint64_t event, int64_t time_us, const struct sink *sink,
                    uint32_t row)
{
    struct dice dice = dice_of(nexmark->seed, event);
    put_int(sink, 0, row, FIRST_ID + last_auction(event));
    put_letters(sink, 1, row, &dice, 5, 15);
    put_letters(sink, 2, row, &dice, 20, 60);
    uint64_t initial = price_of(&dice);
    put_int(sink, 3, row, initial);
    put_int(sink, 4, row, initial + price_of(&dice));
    put_int(sink, 5, row, (uint64_t)time_us);
    /* open for about as long as it takes AUCTIONS_IN_FLIGHT later ones to appear, on average */
    uint64_t events_open = AUCTIONS_IN_FLIGHT * EVENTS_PER_ROUND / AUCTIONS_PER_ROUND;
    int64_t average_us = (int64_t)(events_open * 1000000u / nexmark->events_per_second) + 1;
    put_int(sink, 6, row, (uint64_t)(time_us + 1 + (int64_t)roll(&dice, (uint64_t)(2 * average_us))));
    uint64_t newest = last_person(event);
    uint64_t seller = roll(&dice, HOT_SELLER_RATIO) > 0 ? newest / HOT_BLOCK * HOT_BLOCK
                                                        : recent(&dice, newest, ACTIVE_PERSONS);
    put_int(sink, 7, row, FIRST_ID + seller);
    put_int(sink, 8, row, FIRST_CATEGORY + roll(&dice, CATEGORIES));
    put_letters(sink, 9, row, &dice, 60, 60);
}

/* The three directories in a channel's URLs, four letters each: a function of the channel alone. */
static uint8_t channel_paths[CHANNELS][12];
static pthread_once_t channel_paths_made = PTHREAD_ONCE_INIT;

static void make_channel_paths(void)
{
    for (uint64_t channel = 0; channel < CHANNELS; channel++)
        for (uint64_t i = 0; i < 12; i++)
            channel_paths[channel][i] = (uint8_t)('a' + mix(channel * 16 + i) % 26);
}

static size_t url_of(uint64_t channel, char *out)
{
    static const char before[] = "https://www.nexmark.com/aaaa/bbbb/cccc/item.htm?query=1&channel_id=";
    const uint8_t *path = channel_paths[channel];
    memcpy(out, before, sizeof(before) - 1);
    memcpy(out + 24, path, 4);
    memcpy(out + 29, path + 4, 4);
    memcpy(out + 34, path + 8, 4);
    return sizeof(before) - 1 + put_number(out + sizeof(before) - 1, channel);
}

static inline void bid(const struct nexmark *nexmark, uint64_t event, int64_t time_us,
                       const struct sink *sink, uint32_t row)
{
    struct dice dice = dice_of(nexmark->seed, event);
    uint64_t newest = last_auction(event);
    uint64_t chosen = roll(&dice, HOT_AUCTION_RATIO) > 0 ? newest / HOT_BLOCK * HOT_BLOCK
                                                         : recent(&dice, newest, AUCTIONS_IN_FLIGHT);
    put_int(sink, 0, row, FIRST_ID + chosen);
    newest = last_person(event);
    uint64_t bidder = roll(&dice, HOT_BIDDER_RATIO) > 0 ? newest / HOT_BLOCK * HOT_BLOCK + 1
                                                        : recent(&dice, newest, ACTIVE_PERSONS);
    put_int(sink, 1, row, FIRST_ID + bidder);
    put_int(sink, 2, row, price_of(&dice));
    uint64_t channel = roll(&dice, CHANNELS);
    char text[128];
    size_t len;
    if (roll(&dice, 2) == 0) {
        len = put_name(text, hot_channels[channel % ARRAY_COUNT(hot_channels)]);
    } else {
        memcpy(text, "channel-", 8);
        len = 8 + put_number(text + 8, channel);
    }
    put_text(sink, 3, row, text, len);
    if (sink->texts[4] != NULL)
        put_text(sink, 4, row, text, url_of(channel, text));
    put_int(sink, 5, row, (uint64_t)time_us);
    put_letters(sink, 6, row, &dice, 10, 20);
}

void nexmark_append(const struct nexmark *nexmark, enum nexmark_kind kind, uint64_t first, uint32_t count,
                    const uint32_t *columns, struct batch *out)
{
    pthread_once(&channel_paths_made, make_channel_paths);
    batch_reserve(out, count);
    struct sink sink = {.arena = out->arena};
    for (uint32_t c = 0; c < out->columns_count; c++) {
        if (out->columns[c].phys == PHYS_VAR)
            sink.texts[columns[c]] = (struct varlen *)out->columns[c].data + out->rows;
        else
            sink.ints[columns[c]] = (int64_t *)out->columns[c].data + out->rows;
    }
    for (uint32_t i = 0; i < count; i++) {
        uint64_t event = nexmark_event_of_row(kind, first + i);
        int64_t time_us = nexmark->start_us + (int64_t)(event * 1000000u / nexmark->events_per_second);
        switch (kind) {
        case NEXMARK_PERSON:
            person(nexmark, event, time_us, &sink, i);
            break;
        case NEXMARK_AUCTION:
            auction(nexmark, event, time_us, &sink, i);
            break;
        case NEXMARK_BID:
            bid(nexmark, event, time_us, &sink, i);
            break;
        }
    }
    out->rows += count;
}
