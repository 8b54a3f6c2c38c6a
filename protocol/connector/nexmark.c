/* nexmark.c: persons, auctions and bids by event number. */
#include "protocol/connector/nexmark.h"

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

static uint64_t mix(uint64_t z)
{
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return z ^ (z >> 31);
}

static struct dice dice_of(uint64_t seed, uint64_t event)
{
    return (struct dice){mix(seed + 0x9e3779b97f4a7c15u) ^ mix(event * 0x9e3779b97f4a7c15u + 1)};
}

static uint64_t roll(struct dice *dice, uint64_t sides)
{
    dice->state += 0x9e3779b97f4a7c15u;
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
static uint64_t last_auction(uint64_t event)
{
    uint64_t rows = nexmark_rows_in(NEXMARK_AUCTION, event + 1);
    return rows == 0 ? 0 : rows - 1;
}

static uint64_t last_person(uint64_t event)
{
    return nexmark_rows_in(NEXMARK_PERSON, event + 1) - 1;
}

/* One of the most recent ids, or a little ahead of them. */
static uint64_t recent(struct dice *dice, uint64_t last, uint64_t span)
{
    uint64_t least = last > span ? last - span : 0;
    return least + roll(dice, last - least + 1 + ID_LEAD);
}

/* Spread over six powers of ten, in cents. */
static uint64_t price_of(struct dice *dice)
{
    uint64_t scale = 1;
    for (uint64_t digits = roll(dice, 6); digits > 0; digits--)
        scale *= 10;
    return (scale + roll(dice, 9 * scale)) * 100;
}

static struct varlen text_of(struct arena *arena, const char *text, size_t len)
{
    return varlen_copy(arena, text, (uint32_t)len);
}

static struct varlen words(struct arena *arena, const char *first, const char *between, const char *second)
{
    char buffer[128];
    size_t len = 0;
    const char *const parts[] = {first, between, second};
    for (size_t i = 0; i < ARRAY_COUNT(parts); i++) {
        size_t more = strlen(parts[i]);
        memcpy(buffer + len, parts[i], more);
        len += more;
    }
    return text_of(arena, buffer, len);
}

static struct varlen letters(struct arena *arena, struct dice *dice, size_t least, size_t span)
{
    char buffer[128];
    size_t len = least + roll(dice, span);
    for (size_t i = 0; i < len;) {
        uint64_t bits = roll(dice, UINT64_MAX);
        for (size_t j = 0; j < 8 && i < len; j++, bits >>= 8)
            buffer[i++] = (char)('a' + (bits & 0xff) % 26);
    }
    return text_of(arena, buffer, len);
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

static void person(const struct nexmark *nexmark, uint64_t event, struct arena *arena, struct datum *out)
{
    struct dice dice = dice_of(nexmark->seed, event);
    const char *first = first_names[roll(&dice, ARRAY_COUNT(first_names))];
    const char *last = last_names[roll(&dice, ARRAY_COUNT(last_names))];
    out[0].i64 = (int64_t)(FIRST_ID + last_person(event));
    out[1].var = words(arena, first, " ", last);
    struct varlen left = letters(arena, &dice, 3, 5), right = letters(arena, &dice, 3, 3);
    char address[64];
    size_t len = left.len;
    memcpy(address, varlen_bytes(&left), left.len);
    address[len++] = '@';
    memcpy(address + len, varlen_bytes(&right), right.len);
    len += right.len;
    memcpy(address + len, ".com", 4);
    out[2].var = text_of(arena, address, len + 4);
    char card[19];
    for (size_t i = 0; i < sizeof(card); i++)
        card[i] = i % 5 == 4 ? ' ' : (char)('0' + roll(&dice, 10));
    out[3].var = text_of(arena, card, sizeof(card));
    const char *city = cities[roll(&dice, ARRAY_COUNT(cities))];
    const char *state = states[roll(&dice, ARRAY_COUNT(states))];
    out[4].var = text_of(arena, city, strlen(city));
    out[5].var = text_of(arena, state, strlen(state));
    out[7].var = letters(arena, &dice, 20, 40);
}

static void auction(const struct nexmark *nexmark, uint64_t event, int64_t time_us, struct arena *arena,
                    struct datum *out)
{
    struct dice dice = dice_of(nexmark->seed, event);
    out[0].i64 = (int64_t)(FIRST_ID + last_auction(event));
    out[1].var = letters(arena, &dice, 5, 15);
    out[2].var = letters(arena, &dice, 20, 60);
    uint64_t initial = price_of(&dice);
    out[3].i64 = (int64_t)initial;
    out[4].i64 = (int64_t)(initial + price_of(&dice));
    /* open for about as long as it takes AUCTIONS_IN_FLIGHT later ones to appear, on average */
    uint64_t events_open = AUCTIONS_IN_FLIGHT * EVENTS_PER_ROUND / AUCTIONS_PER_ROUND;
    int64_t average_us = (int64_t)(events_open * 1000000u / nexmark->events_per_second) + 1;
    out[6].i64 = time_us + 1 + (int64_t)roll(&dice, (uint64_t)(2 * average_us));
    uint64_t newest = last_person(event);
    uint64_t seller = roll(&dice, HOT_SELLER_RATIO) > 0 ? newest / HOT_BLOCK * HOT_BLOCK
                                                        : recent(&dice, newest, ACTIVE_PERSONS);
    out[7].i64 = (int64_t)(FIRST_ID + seller);
    out[8].i64 = (int64_t)(FIRST_CATEGORY + roll(&dice, CATEGORIES));
    out[9].var = letters(arena, &dice, 60, 60);
}

static void bid(const struct nexmark *nexmark, uint64_t event, struct arena *arena, struct datum *out)
{
    struct dice dice = dice_of(nexmark->seed, event);
    uint64_t newest = last_auction(event);
    uint64_t chosen = roll(&dice, HOT_AUCTION_RATIO) > 0 ? newest / HOT_BLOCK * HOT_BLOCK
                                                         : recent(&dice, newest, AUCTIONS_IN_FLIGHT);
    out[0].i64 = (int64_t)(FIRST_ID + chosen);
    newest = last_person(event);
    uint64_t bidder = roll(&dice, HOT_BIDDER_RATIO) > 0 ? newest / HOT_BLOCK * HOT_BLOCK + 1
                                                        : recent(&dice, newest, ACTIVE_PERSONS);
    out[1].i64 = (int64_t)(FIRST_ID + bidder);
    out[2].i64 = (int64_t)price_of(&dice);
    char buffer[128];
    size_t len;
    uint64_t channel = roll(&dice, CHANNELS);
    if (roll(&dice, 2) == 0) {
        const char *name = hot_channels[channel % ARRAY_COUNT(hot_channels)];
        len = strlen(name);
        memcpy(buffer, name, len);
    } else {
        memcpy(buffer, "channel-", 8);
        len = 8 + put_number(buffer + 8, channel);
    }
    out[3].var = text_of(arena, buffer, len);
    static const char before[] = "https://www.nexmark.com/", after[] = "/item.htm?query=1&channel_id=";
    len = sizeof(before) - 1;
    memcpy(buffer, before, len);
    for (int i = 0; i < 3; i++) {
        if (i > 0)
            buffer[len++] = '/';
        for (int j = 0; j < 4; j++)
            buffer[len++] = (char)('a' + mix(channel * 16 + (uint64_t)(i * 4 + j)) % 26);
    }
    memcpy(buffer + len, after, sizeof(after) - 1);
    len += sizeof(after) - 1;
    len += put_number(buffer + len, channel);
    out[4].var = text_of(arena, buffer, len);
    out[6].var = letters(arena, &dice, 10, 20);
}

void nexmark_append(const struct nexmark *nexmark, enum nexmark_kind kind, uint64_t first, uint32_t count,
                    const uint32_t *columns, struct batch *out)
{
    batch_reserve(out, count);
    struct arena *arena = out->arena;
    struct datum values[10] = {0};
    for (uint32_t i = 0; i < count; i++) {
        uint64_t event = nexmark_event_of_row(kind, first + i);
        int64_t time_us = nexmark->start_us + (int64_t)(event * 1000000u / nexmark->events_per_second);
        uint32_t time_column = 5;
        switch (kind) {
        case NEXMARK_PERSON:
            person(nexmark, event, arena, values);
            time_column = 6;
            break;
        case NEXMARK_AUCTION:
            auction(nexmark, event, time_us, arena, values);
            break;
        case NEXMARK_BID:
            bid(nexmark, event, arena, values);
            break;
        }
        values[time_column].i64 = time_us;
        uint32_t row = out->rows + i;
        for (uint32_t c = 0; c < out->columns_count; c++)
            column_set(&out->columns[c], row, &values[columns[c]], out->capacity, arena);
    }
    out->rows += count;
}
