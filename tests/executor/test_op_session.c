/* Session windows against cutting the sorted rows of each key by hand: random inserts and deletes in any order
 * and batching, both forms, with and without kept rows. */
#include "executor/operators/op_aggregate.h"
#include "op_harness.h"

#include <stdlib.h>

#define SECOND INT64_C(1000000)

struct row {
    int key, value; /* INT_MIN: NULL */
    int time;       /* seconds; -1: NULL */
};

static struct row parse(const char *text)
{
    struct row row = {INT32_MIN, INT32_MIN, -1};
    char key[16], time[32], value[16];
    EXPECT(sscanf(text, "%15s %31s %15s", key, time, value) == 3);
    int minute, second;
    if (key[0] != '\\')
        row.key = strtol(key, NULL, 10);
    if (value[0] != '\\')
        row.value = strtol(value, NULL, 10);
    if (time[0] != '\\') {
        EXPECT(sscanf(time, "2000-01-01T00:%d:%d", &minute, &second) == 2);
        row.time = minute * 60 + second;
    }
    return row;
}

static int keys_wanted = 4, seconds_wanted = 120;

static void make(uint32_t *seed, char *out, size_t bytes)
{
    char key[16] = "\\N", time[32] = "\\N", value[16] = "\\N";
    uint32_t k = harness_random(seed, (uint32_t)keys_wanted + 1);
    if (k > 0)
        snprintf(key, sizeof(key), "%u", k);
    if (harness_random(seed, 20) > 0) {
        uint32_t at = harness_random(seed, (uint32_t)seconds_wanted);
        snprintf(time, sizeof(time), "2000-01-01T00:%02u:%02u", at / 60, at % 60);
    }
    if (harness_random(seed, 8) > 0)
        snprintf(value, sizeof(value), "%u", harness_random(seed, 5));
    snprintf(out, bytes, "%s %s %s", key, time, value);
}

static int compare_rows(const void *a_, const void *b_)
{
    const struct row *a = a_, *b = b_;
    if (a->key != b->key)
        return a->key < b->key ? -1 : 1;
    return a->time < b->time ? -1 : a->time > b->time;
}

static struct datum number(int value)
{
    return value == INT32_MIN ? datum_null() : datum_i64(value);
}

struct subject {
    bool is_aggregate;
    int gap;
};

/* The contents by hand. */
static const char *naive(struct harness *h, const struct subject *subject, const struct harness_bag *bag)
{
    static struct row rows[ARRAY_COUNT(bag->rows)];
    uint32_t count = 0;
    for (uint32_t i = 0; i < bag->count; i++) {
        struct row row = parse(bag->rows[i]);
        if (row.time >= 0)
            rows[count++] = row;
    }
    if (count > 0)
        qsort(rows, count, sizeof(rows[0]), compare_rows);
    struct arena arena;
    arena_init(&arena, NULL);
    struct batch *out = batch_create(&arena, h->op->types, h->op->columns_count, 16);
    for (uint32_t first = 0, end; first < count; first = end) {
        int sum = 0, greatest = INT32_MIN, least = INT32_MIN, filtered = 0;
        bool has_sum = false;
        for (end = first; end < count && rows[end].key == rows[first].key &&
                          (end == first || rows[end].time - rows[end - 1].time < subject->gap);
             end++) {
            int value = rows[end].value;
            if (value == INT32_MIN)
                continue;
            has_sum = true;
            sum += value;
            filtered++;
            if (value > greatest)
                greatest = value;
            if (least == INT32_MIN || value < least)
                least = value;
        }
        int64_t start = rows[first].time * SECOND, last = (rows[end - 1].time + subject->gap) * SECOND;
        if (subject->is_aggregate) {
            struct datum values[] = {datum_i64(last),  number(rows[first].key),
                                     datum_i64(start), datum_i64((int64_t)(end - first)),
                                     number(greatest), has_sum ? datum_i64(sum) : datum_null(),
                                     number(least),    datum_i64(filtered)};
            batch_append_datums(out, values, 1);
            continue;
        }
        for (uint32_t i = first; i < end; i++) {
            struct datum values[] = {number(rows[i].key), datum_i64(rows[i].time * SECOND),
                                     number(rows[i].value), datum_i64(start), datum_i64(last)};
            batch_append_datums(out, values, 1);
        }
    }
    const char *text = harness_text(h, out);
    static char copy[1 << 20];
    snprintf(copy, sizeof(copy), "%s", text);
    arena_release(&arena);
    return copy;
}

static struct plan *plan_of(struct harness *h, const struct subject *subject, bool append_only)
{
    static uint32_t key[] = {0}, groups[] = {4, 0, 3}, value[] = {2};
    struct plan *plan =
        harness_plan(h, PLAN_SESSION,
                     subject->is_aggregate ? "timestamp int4 timestamp int8 int4 int8 int4 int8"
                                           : "int4 timestamp int4 timestamp timestamp");
    harness_child(h, plan, "int4 timestamp int4");
    plan->children[0]->append_only = append_only;
    plan->session.time_column = 1;
    plan->session.gap_us = subject->gap * SECOND;
    plan->session.keys = key;
    plan->session.keys_count = 1;
    plan->session.is_aggregate = subject->is_aggregate;
    if (!subject->is_aggregate)
        return plan;
    plan->session.groups = groups;
    plan->session.groups_count = 3;
    struct plan_aggregate_call *calls = ARENA_ARRAY(&h->arena, struct plan_aggregate_call, 5);
    const struct aggregate_row *rows[] = {harness_aggregate("count", ""), harness_aggregate("max", "int4"),
                                          harness_aggregate("sum", "int4"), harness_aggregate("min", "int4"),
                                          harness_aggregate("count", "any")};
    for (uint32_t c = 0; c < 5; c++) {
        calls[c].aggregate = rows[c];
        calls[c].type = plan->types[3 + c];
        calls[c].filter = -1;
        calls[c].args = value;
        calls[c].args_count = c > 0;
    }
    plan->session.calls = calls;
    plan->session.calls_count = 5;
    return plan;
}

static void random_ticks(struct subject subject, bool append_only, uint32_t seed)
{
    static struct harness_bag bag;
    bag.count = 0;
    struct harness h;
    harness_init(&h, DATAFLOW_CONTINUOUS);
    harness_open(&h, &op_session_class, plan_of(&h, &subject, append_only));
    struct strbuf text = STRBUF_INIT;
    for (uint32_t tick = 0; tick < 80; tick++) {
        uint32_t pushes = 1 + harness_random(&seed, 3);
        struct error err;
        for (uint32_t p = 0; p < pushes; p++) {
            strbuf_reset(&text);
            uint32_t inserts = append_only ? 100 : tick % 40 < 25 ? 70 : 15;
            uint32_t changes = 1 + harness_random(&seed, harness_random(&seed, 6) == 0 ? 60 : 6);
            harness_bag_change(&bag, &seed, changes, inserts, make, &text);
            EXPECT(harness_push(&h, 0, strbuf_text(&text), &err));
        }
        harness_finish(&h);
        const char *expected = naive(&h, &subject, &bag);
        int before = test_failures;
        EXPECT_TEXT(harness_contents(&h), expected);
        if (test_failures > before) {
            fprintf(stderr, "tick %u of seed, gap %d, aggregate %d, append only %d\n", tick, subject.gap,
                    subject.is_aggregate, append_only);
            break;
        }
    }
    if (!append_only) { /* nothing stays behind */
        strbuf_reset(&text);
        for (uint32_t i = 0; i < bag.count; i++)
            strbuf_addf(&text, "- %s\n", bag.rows[i]);
        harness_tick(&h, strbuf_text(&text));
        EXPECT_TEXT(harness_contents(&h), "");
        EXPECT_INT(h.op->class->state_rows(h.op), 0);
    }
    strbuf_release(&text);
    harness_close(&h);
}

TEST(random_changes)
{
    for (uint32_t seed = 1; seed <= 4; seed++) {
        keys_wanted = seed % 3 == 0 ? 1 : 4;
        seconds_wanted = seed % 4 == 2 ? 600 : 120;
        for (int gap = 1; gap <= 16; gap *= 4)
            for (int form = 0; form < 4; form++)
                random_ticks((struct subject){.is_aggregate = form & 1, .gap = gap}, form & 2, seed);
    }
}

/* A deletion may come before its insert, within a tick and across ticks. */
TEST(weights_in_any_order)
{
    for (int form = 0; form < 2; form++) {
        struct subject subject = {.is_aggregate = form == 1, .gap = 10};
        struct harness h;
        harness_init(&h, DATAFLOW_CONTINUOUS);
        harness_open(&h, &op_session_class, plan_of(&h, &subject, false));
        EXPECT_TEXT(harness_tick(&h, "- 1 2000-01-01T00:00:05 1\n+3 1 2000-01-01T00:00:05 1\n"
                                     "-2 1 2000-01-01T00:00:05 1\n"),
                    "");
        EXPECT_TEXT(harness_tick(&h, "- 1 2000-01-01T00:00:05 1\n"), "");
        EXPECT_TEXT(harness_tick(&h, "+ 1 2000-01-01T00:00:05 1\n"), "");
        EXPECT_INT(h.op->class->state_rows(h.op), 0);
        EXPECT_TEXT(harness_tick(&h, "+2 1 2000-01-01T00:00:05 1\n"),
                    form == 1
                        ? "+ \"2000-01-01 00:00:15\" 1 \"2000-01-01 00:00:05\" 2 1 2 1 2\n"
                        : "+2 1 \"2000-01-01 00:00:05\" 1 \"2000-01-01 00:00:05\" \"2000-01-01 00:00:15\"\n");
        /* A change that leaves a session as it was gives nothing. */
        EXPECT_TEXT(harness_tick(&h, "+ 1 2000-01-01T00:00:07 1\n- 1 2000-01-01T00:00:07 1\n"), "");
        EXPECT_TEXT(harness_tick(&h, "+ 1 infinity 1\n"), "+1 22008 timestamp out of range\n");
        EXPECT_TEXT(harness_tick(&h, "- 1 infinity 1\n"), "-1 22008 timestamp out of range\n");
        harness_close(&h);
    }
}

TEST(a_select_sees_the_same)
{
    for (int form = 0; form < 2; form++) {
        struct subject subject = {.is_aggregate = form == 1, .gap = 10};
        static struct harness_bag bag;
        bag.count = 0;
        uint32_t seed = 5;
        struct strbuf text = STRBUF_INIT;
        harness_bag_change(&bag, &seed, 2000, 100, make, &text);
        struct harness h;
        harness_init(&h, DATAFLOW_ONE_SHOT);
        harness_open(&h, &op_session_class, plan_of(&h, &subject, false));
        harness_bag_text(&bag, &text);
        harness_tick(&h, strbuf_text(&text));
        const char *expected = naive(&h, &subject, &bag);
        EXPECT_TEXT(harness_contents(&h), expected);
        strbuf_release(&text);
        harness_close(&h);
    }
}

int main(void)
{
    RUN(random_changes);
    RUN(weights_in_any_order);
    RUN(a_select_sees_the_same);
    return test_result();
}
