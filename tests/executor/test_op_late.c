/* test_op_late.c: rows that come too late for their windows and sessions, against judging them one after the other
 * by hand. Whatever the ticks, results and late rows are the same. */
#include "op_harness.h"

#include <stdlib.h>

#define SECOND     INT64_C(1000000)
#define EVENTS_MAX 6000u

struct event {
    int key, value;
    int64_t time, watermark;
};

static struct event events[EVENTS_MAX];
static uint32_t events_count;
static int64_t last_watermark; /* with all of them counted */

/* Times go up in steps below `step`, most of them up to `spread` behind, some `far` behind; the watermark is `delay` behind
 * the greatest. All in seconds. */
struct input {
    uint32_t seed, count, keys, step, spread, far, delay;
};

static void make_events(const struct input *input)
{
    uint32_t seed = input->seed;
    int64_t now = 1000, watermark = WATERMARK_NONE;
    events_count = input->count;
    for (uint32_t i = 0; i < input->count; i++) {
        now += harness_random(&seed, input->step + 1);
        int64_t behind = harness_random(&seed, 8) == 0 ? harness_random(&seed, input->far)
                                                       : harness_random(&seed, input->spread);
        int64_t time = (now - behind) * SECOND;
        events[i] = (struct event){.key = (int)harness_random(&seed, input->keys),
                                   .value = (int)harness_random(&seed, 100),
                                   .time = time,
                                   .watermark = watermark};
        if (time - input->delay * SECOND > watermark)
            watermark = time - input->delay * SECOND;
    }
    last_watermark = watermark;
}

/* Events picked[0..count) (NULL: first ...) as a batch with its arrivals. */
static struct batch *batch_of(struct arena *arena, const uint32_t *picked, uint32_t first, uint32_t count)
{
    struct sql_type types[3];
    harness_types("int4 timestamp int4", types);
    struct batch *batch = batch_create(arena, types, 3, count);
    int64_t *watermarks = arena_alloc(arena, sizeof(int64_t) * count);
    int64_t *positions = arena_alloc(arena, sizeof(int64_t) * count);
    for (uint32_t i = 0; i < count; i++) {
        uint32_t number = picked != NULL ? picked[i] : first + i;
        const struct event *event = &events[number];
        struct datum values[] = {datum_i32(event->key), datum_i64(event->time), datum_i32(event->value)};
        batch_append_datums(batch, values, 1);
        watermarks[i] = event->watermark;
        positions[i] = number;
    }
    batch->watermarks = watermarks;
    batch->positions = positions;
    return batch;
}

/* The events [first, first + count) in one tick: batch after batch, or, with several shards, those of one sender
 * after those of the other. `to`: the operator that takes them. */
static void run_tick(struct harness *h, struct operator* to, uint32_t first, uint32_t count, uint32_t senders)
{
    struct error err;
    static uint32_t picked[EVENTS_MAX];
    harness_now = h;
    for (uint32_t sender = 0; sender < senders; sender++) {
        uint32_t found = 0;
        for (uint32_t i = first; i < first + count; i++)
            if (i * 2654435761u % senders == sender)
                picked[found++] = i;
        for (uint32_t at = 0; at < found; at += BATCH_ROWS_MAX) {
            uint32_t piece = found - at < BATCH_ROWS_MAX ? found - at : BATCH_ROWS_MAX;
            struct batch *batch = batch_of(&h->tick_arena, picked + at, 0, piece);
            EXPECT(to->class->push(to, 0, batch, &err));
        }
    }
    h->ctx.watermark_before = h->ctx.watermark;
    h->ctx.watermark = first + count < events_count ? events[first + count].watermark : last_watermark;
    if (to != h->op && to->class->finish != NULL)
        EXPECT(to->class->finish(to, &err));
    harness_finish(h);
}

static char *sorted(const char *text)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct strbuf out = STRBUF_INIT;
    char **lines = NULL, *copy = arena_copy(&arena, text, strlen(text) + 1);
    uint32_t count = 0, cap = 0;
    char *rest = NULL;
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL; line = strtok_r(NULL, "\n", &rest))
        ARENA_PUSH(&arena, lines, count, cap, line);
    if (count > 0)
        qsort(lines, count, sizeof(*lines), harness_compare_lines);
    for (uint32_t i = 0; i < count; i++)
        strbuf_addf(&out, "%s\n", lines[i]);
    char *result = strdup(strbuf_text(&out));
    strbuf_release(&out);
    arena_release(&arena);
    return result;
}

static const struct {
    uint32_t rows, senders;
} ticks[] = {{1, 1}, {7, 1}, {300, 1}, {10000, 1}, {7, 2}, {300, 3}};

static bool is_late(int64_t end, int64_t grace, int64_t watermark)
{
    return watermark != WATERMARK_NONE && end + grace <= watermark;
}

/* ---- windows ---- */

struct windows {
    int64_t size, slide, step, offset, grace; /* seconds */
};

static struct plan *window_plan(struct harness *h, const struct windows *windows, int64_t slice)
{
    struct plan *plan = harness_plan(h, PLAN_WINDOW,
                                     slice != 0 ? "int4 timestamp int4 timestamp timestamp timestamp"
                                                : "int4 timestamp int4 timestamp timestamp");
    harness_child(h, plan, "int4 timestamp int4");
    plan->children[0]->append_only = true;
    plan->window.time_column = 1;
    plan->window.size_us = windows->size * SECOND;
    plan->window.slide_us = windows->slide * SECOND;
    plan->window.step_us = windows->step * SECOND;
    plan->window.offset_us = windows->offset * SECOND;
    plan->window.slice_us = slice * SECOND;
    plan->window.lateness = ARENA_NEW(&h->arena, struct plan_lateness);
    plan->window.lateness->grace_us = windows->grace * SECOND;
    return plan;
}

/* All pairs by hand: those that count are appended to `rows`, the others are late. Returns how many there are. */
static uint64_t naive_windows(const struct windows *windows, struct harness *h, struct batch *rows)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const struct batch *all = batch_of(&arena, NULL, 0, events_count);
    uint64_t pairs = 0;
    harness_now = h;
    for (uint32_t i = 0; i < events_count; i++) {
        int64_t time = events[i].time / SECOND; /* none is before 1970 here */
        int64_t slide = windows->step != 0 ? windows->size : windows->slide;
        for (int64_t start = windows->offset - slide * (windows->size / slide + 2); start <= time;
             start += slide) {
            int64_t step = windows->step != 0 ? windows->step : windows->size;
            if (start + windows->size <= time)
                continue;
            for (int64_t end = start + step; end <= start + windows->size; end += step) {
                if (end <= time)
                    continue;
                pairs++;
                int64_t start_us = start * SECOND, end_us = end * SECOND;
                if (is_late(end_us, windows->grace * SECOND, events[i].watermark)) {
                    op_late_rows(NULL, NULL, all, &i, 1, &start_us, &end_us);
                    continue;
                }
                struct datum values[] = {datum_i32(events[i].key), datum_i64(events[i].time),
                                         datum_i32(events[i].value), datum_i64(start_us), datum_i64(end_us)};
                batch_append_datums(rows, values, 1);
            }
        }
    }
    arena_release(&arena);
    return pairs;
}

static void compare_windows(const struct windows *windows)
{
    static struct harness expected, h;
    harness_init(&expected, DATAFLOW_CONTINUOUS);
    struct plan *plan = window_plan(&expected, windows, 0);
    struct batch *rows = batch_create(&expected.arena, plan->types, 5, 16);
    uint64_t pairs = naive_windows(windows, &expected, rows);
    char *text = strdup(harness_text(&expected, rows)), *late = sorted(strbuf_text(&expected.late));
    EXPECT(expected.late_count > 10 && rows->rows > 100);
    for (uint32_t t = 0; t < ARRAY_COUNT(ticks); t++) {
        harness_init(&h, DATAFLOW_CONTINUOUS);
        h.ctx.watermark = WATERMARK_NONE;
        harness_open(&h, &op_window_class, window_plan(&h, windows, 0));
        for (uint32_t first = 0; first < events_count; first += ticks[t].rows)
            run_tick(&h, h.op, first,
                     events_count - first < ticks[t].rows ? events_count - first : ticks[t].rows,
                     ticks[t].senders);
        EXPECT_TEXT(harness_contents(&h), text);
        char *found = sorted(strbuf_text(&h.late));
        EXPECT_TEXT(found, late);
        EXPECT_INT(h.judged, pairs);
        EXPECT_INT(h.judged, h.late_count + h.total->rows);
        free(found);
        harness_close(&h);
    }
    free(text);
    free(late);
    harness_now = &expected;
    arena_release(&expected.arena);
    arena_release(&expected.tick_arena);
    arena_release(&expected.text_arena);
    strbuf_release(&expected.late);
    strbuf_release(&expected.text);
}

TEST(windows)
{
    make_events(&(struct input){.seed = 1,
                                .count = test_rounds(1500, 600),
                                .keys = 5,
                                .step = 2,
                                .spread = 10,
                                .far = 60,
                                .delay = 5});
    compare_windows(&(struct windows){.size = 10, .slide = 10});
    compare_windows(&(struct windows){.size = 10, .slide = 10, .offset = 3, .grace = 4});
    compare_windows(&(struct windows){.size = 10, .slide = 2, .grace = 3});
    compare_windows(&(struct windows){.size = 15, .slide = 4, .offset = 1});
    compare_windows(&(struct windows){.size = 3, .slide = 5});
    compare_windows(&(struct windows){.size = 20, .slide = 20, .step = 5, .grace = 1});
}

static struct plan *slices_plan(struct harness *h, const struct windows *windows, int64_t slice, bool both)
{
    struct plan *plan = harness_plan(
        h, PLAN_AGGREGATE, both ? "int4 timestamp timestamp int8 int8" : "int4 timestamp int8 int8");
    harness_child(h, plan, "int4 timestamp int4 timestamp timestamp timestamp");
    static uint32_t groups[] = {0, 3, 4}, end_groups[] = {0, 4}, value[] = {2};
    static uint8_t roles[] = {ROLE_NONE, ROLE_WINDOW_START, ROLE_WINDOW_END};
    static uint8_t end_roles[] = {ROLE_NONE, ROLE_WINDOW_END};
    plan->children[0]->append_only = true;
    plan->aggregate.groups_count = both ? 3 : 2;
    plan->aggregate.groups = both ? groups : end_groups;
    plan->aggregate.calls_count = 2;
    plan->aggregate.calls = ARENA_ARRAY(&h->arena, struct plan_aggregate_call, 2);
    plan->aggregate.calls[0] = (struct plan_aggregate_call){.aggregate = harness_aggregate("count", ""),
                                                            .type = plan->types[plan->columns_count - 2],
                                                            .filter = -1};
    plan->aggregate.calls[1] = (struct plan_aggregate_call){.aggregate = harness_aggregate("sum", "int4"),
                                                            .type = plan->types[plan->columns_count - 1],
                                                            .filter = -1,
                                                            .args = value,
                                                            .args_count = 1};
    plan->aggregate.slices = ARENA_NEW(&h->arena, struct plan_slices);
    *plan->aggregate.slices = (struct plan_slices){.slide_us = windows->slide * SECOND,
                                                   .size_us = windows->size * SECOND,
                                                   .offset_us = windows->offset * SECOND,
                                                   .slice_us = slice * SECOND,
                                                   .roles = both ? roles : end_roles,
                                                   .has_open = true,
                                                   .open_column = 5};
    plan->aggregate.expiry =
        (struct plan_expiry){.known = true, .column = both ? 2 : 1, .after_us = windows->grace * SECOND};
    return plan;
}

/* Rows added up by key and window. */
static void naive_sums(const struct batch *rows, bool both, struct batch *out)
{
    static uint32_t order[1000000];
    const struct sort_key keys[] = {{.column = 0}, {.column = 3}, {.column = 4}};
    EXPECT(rows->rows < ARRAY_COUNT(order));
    batch_sort(rows, keys, 3, order);
    const int32_t *key = rows->columns[0].data, *value = rows->columns[2].data;
    const int64_t *start = rows->columns[3].data, *end = rows->columns[4].data;
    for (uint32_t i = 0, next; i < rows->rows; i = next) {
        int64_t sum = 0;
        uint32_t a = order[i];
        for (next = i; next < rows->rows && key[order[next]] == key[a] && start[order[next]] == start[a];
             next++)
            sum += value[order[next]];
        struct datum values[] = {datum_i32(key[a]), datum_i64(start[a]), datum_i64(end[a]),
                                 datum_i64((int64_t)(next - i)), datum_i64(sum)};
        if (!both)
            memmove(&values[1], &values[2], sizeof(values[0]) * 3);
        batch_append_datums(out, values, 1);
    }
}

static void compare_slices(const struct windows *windows, int64_t slice)
{
    static struct harness expected, h;
    for (int both = 0; both < 2; both++) {
        harness_init(&expected, DATAFLOW_CONTINUOUS);
        struct plan *plan = window_plan(&expected, windows, 0);
        struct batch *rows = batch_create(&expected.arena, plan->types, 5, 16);
        uint64_t pairs = naive_windows(windows, &expected, rows);
        plan = slices_plan(&expected, windows, slice, both != 0);
        struct batch *sums = batch_create(&expected.arena, plan->types, plan->columns_count, 16);
        naive_sums(rows, both != 0, sums);
        char *text = strdup(harness_text(&expected, sums)), *late = sorted(strbuf_text(&expected.late));
        for (uint32_t t = 0; t < ARRAY_COUNT(ticks); t++) {
            struct error err;
            harness_init(&h, DATAFLOW_CONTINUOUS);
            h.ctx.watermark = WATERMARK_NONE;
            harness_open(&h, &op_aggregate_class, slices_plan(&h, windows, slice, both != 0));
            struct operator* window = harness_operator(&h, &op_window_class, window_plan(&h, windows, slice));
            EXPECT(op_window_class.open(window, window->plan, &err));
            window->edges = ARENA_NEW(&h.arena, struct operator_edge);
            window->edges[0] = (struct operator_edge){h.op, 0};
            window->edges_count = 1;
            for (uint32_t first = 0; first < events_count; first += ticks[t].rows)
                run_tick(&h, window, first,
                         events_count - first < ticks[t].rows ? events_count - first : ticks[t].rows,
                         ticks[t].senders);
            EXPECT_TEXT(harness_contents(&h), text);
            char *found = sorted(strbuf_text(&h.late));
            EXPECT_TEXT(found, late);
            EXPECT_INT(h.judged, pairs);
            EXPECT(op_aggregate_class.state_rows(h.op) < 200);
            free(found);
            op_window_class.close(window);
            harness_close(&h);
        }
        free(text);
        free(late);
        arena_release(&expected.arena);
        arena_release(&expected.tick_arena);
        arena_release(&expected.text_arena);
        strbuf_release(&expected.late);
        strbuf_release(&expected.text);
    }
}

TEST(windows_of_slices)
{
    make_events(&(struct input){.seed = 2,
                                .count = test_rounds(1500, 600),
                                .keys = 3,
                                .step = 2,
                                .spread = 10,
                                .far = 60,
                                .delay = 5});
    compare_slices(&(struct windows){.size = 10, .slide = 2}, 2);
    compare_slices(&(struct windows){.size = 12, .slide = 4, .offset = 3, .grace = 4}, 4);
    compare_slices(&(struct windows){.size = 15, .slide = 4, .offset = 1, .grace = 2}, 1);
    compare_slices(&(struct windows){.size = 3, .slide = 5}, 1);
}

/* ---- sessions ---- */

struct session_case {
    bool is_aggregate;
    int64_t gap, grace; /* seconds */
};

static struct plan *session_plan(struct harness *h, const struct session_case *subject)
{
    static uint32_t key[] = {0}, groups[] = {0, 3, 4}, value[] = {2};
    struct plan *plan = harness_plan(h, PLAN_SESSION,
                                     subject->is_aggregate ? "int4 timestamp timestamp int8 int8 int4"
                                                           : "int4 timestamp int4 timestamp timestamp");
    harness_child(h, plan, "int4 timestamp int4");
    plan->children[0]->append_only = true;
    plan->session.time_column = 1;
    plan->session.gap_us = subject->gap * SECOND;
    plan->session.keys = key;
    plan->session.keys_count = 1;
    plan->session.is_aggregate = subject->is_aggregate;
    plan->session.lateness = ARENA_NEW(&h->arena, struct plan_lateness);
    plan->session.lateness->grace_us = subject->grace * SECOND;
    if (!subject->is_aggregate)
        return plan;
    plan->session.groups = groups;
    plan->session.groups_count = 3;
    plan->session.calls_count = 3;
    plan->session.calls = ARENA_ARRAY(&h->arena, struct plan_aggregate_call, 3);
    const char *names[] = {"count", "sum", "max"}, *args[] = {"", "int4", "int4"};
    for (uint32_t c = 0; c < 3; c++)
        plan->session.calls[c] =
            (struct plan_aggregate_call){.aggregate = harness_aggregate(names[c], args[c]),
                                         .type = plan->types[3 + c],
                                         .filter = -1,
                                         .args = value,
                                         .args_count = c > 0};
    return plan;
}

struct naive_session {
    int key;
    int64_t start, last, count, sum;
    int greatest;
    bool is_closed, is_gone;
};

static struct naive_session naive[EVENTS_MAX];
static uint32_t naive_of[EVENTS_MAX]; /* UINT32_MAX: late */

/* Row after row: what is closed is no longer there; the row is in what it touches, or late, or on its own. */
static void naive_sessions(const struct session_case *subject, struct harness *h, struct batch *out)
{
    struct arena arena;
    arena_init(&arena, NULL);
    const struct batch *all = batch_of(&arena, NULL, 0, events_count);
    int64_t gap = subject->gap * SECOND, grace = subject->grace * SECOND;
    uint32_t count = 0;
    harness_now = h;
    for (uint32_t i = 0; i < events_count; i++) {
        const struct event *event = &events[i];
        uint32_t into = UINT32_MAX;
        naive_of[i] = UINT32_MAX;
        for (uint32_t s = 0; s < count; s++) {
            struct naive_session *session = &naive[s];
            if (session->key != event->key || session->is_closed || session->is_gone)
                continue;
            if (is_late(session->last + gap, grace, event->watermark)) {
                session->is_closed = true;
                continue;
            }
            if (event->time >= session->last + gap || session->start >= event->time + gap)
                continue;
            if (into == UINT32_MAX) {
                into = s;
                continue;
            }
            struct naive_session *whole = &naive[into];
            whole->start = session->start < whole->start ? session->start : whole->start;
            whole->last = session->last > whole->last ? session->last : whole->last;
            whole->count += session->count;
            whole->sum += session->sum;
            whole->greatest = session->greatest > whole->greatest ? session->greatest : whole->greatest;
            session->is_gone = true;
            for (uint32_t r = 0; r < i; r++)
                naive_of[r] = naive_of[r] == s ? into : naive_of[r];
        }
        if (into == UINT32_MAX) {
            if (is_late(event->time + gap, grace, event->watermark)) {
                int64_t end = event->time + gap;
                op_late_rows(NULL, NULL, all, &i, 1, &event->time, &end);
                continue;
            }
            into = count++;
            naive[into] = (struct naive_session){
                .key = event->key, .start = event->time, .last = event->time, .greatest = -1};
        }
        struct naive_session *session = &naive[into];
        session->start = event->time < session->start ? event->time : session->start;
        session->last = event->time > session->last ? event->time : session->last;
        session->count++;
        session->sum += event->value;
        session->greatest = event->value > session->greatest ? event->value : session->greatest;
        naive_of[i] = into;
    }
    for (uint32_t s = 0; s < count && subject->is_aggregate; s++) {
        if (naive[s].is_gone)
            continue;
        struct datum values[] = {datum_i32(naive[s].key),        datum_i64(naive[s].start),
                                 datum_i64(naive[s].last + gap), datum_i64(naive[s].count),
                                 datum_i64(naive[s].sum),        datum_i32(naive[s].greatest)};
        batch_append_datums(out, values, 1);
    }
    for (uint32_t i = 0; i < events_count && !subject->is_aggregate; i++) {
        if (naive_of[i] == UINT32_MAX)
            continue;
        const struct naive_session *session = &naive[naive_of[i]];
        struct datum values[] = {datum_i32(events[i].key), datum_i64(events[i].time),
                                 datum_i32(events[i].value), datum_i64(session->start),
                                 datum_i64(session->last + gap)};
        batch_append_datums(out, values, 1);
    }
    arena_release(&arena);
}

static uint64_t compare_sessions(const struct session_case *subject)
{
    static struct harness expected, h;
    harness_init(&expected, DATAFLOW_CONTINUOUS);
    struct plan *plan = session_plan(&expected, subject);
    struct batch *rows = batch_create(&expected.arena, plan->types, plan->columns_count, 16);
    naive_sessions(subject, &expected, rows);
    char *text = strdup(harness_text(&expected, rows)), *late = sorted(strbuf_text(&expected.late));
    uint64_t late_count = expected.late_count;
    for (uint32_t t = 0; t < ARRAY_COUNT(ticks); t++) {
        harness_init(&h, DATAFLOW_CONTINUOUS);
        h.ctx.watermark = WATERMARK_NONE;
        h.ctx.shards_count = ticks[t].senders;
        harness_open(&h, &op_session_class, session_plan(&h, subject));
        for (uint32_t first = 0; first < events_count; first += ticks[t].rows)
            run_tick(&h, h.op, first,
                     events_count - first < ticks[t].rows ? events_count - first : ticks[t].rows,
                     ticks[t].senders);
        EXPECT_TEXT(harness_contents(&h), text);
        char *found = sorted(strbuf_text(&h.late));
        EXPECT_TEXT(found, late);
        EXPECT_INT(h.judged, events_count);
        free(found);
        /* all is forgotten once everything is closed */
        h.ctx.watermark = INT64_C(1) << 60;
        EXPECT_TEXT(harness_finish(&h), "");
        EXPECT_INT(op_session_class.state_rows(h.op), 0);
        EXPECT_INT(op_session_class.due_watermark(h.op), TIME_NEVER);
        EXPECT(op_session_class.state_bytes(h.op) < 400000);
        harness_close(&h);
    }
    free(text);
    free(late);
    arena_release(&expected.arena);
    arena_release(&expected.tick_arena);
    arena_release(&expected.text_arena);
    strbuf_release(&expected.late);
    strbuf_release(&expected.text);
    return late_count;
}

TEST(sessions)
{
    static const struct input inputs[] = {
        {.count = 1200, .keys = 4, .step = 2, .spread = 10, .far = 60, .delay = 5},
        {.count = 1200, .keys = 1, .step = 5, .spread = 4, .far = 40, .delay = 0},
        {.count = 1200, .keys = 30, .step = 2, .spread = 30, .far = 100, .delay = 2},
    };
    uint32_t rounds = test_rounds(3 * ARRAY_COUNT(inputs), ARRAY_COUNT(inputs) + 1);
    uint64_t late = 0;
    for (uint32_t i = 0; i < rounds; i++) {
        struct input input = inputs[i % ARRAY_COUNT(inputs)];
        input.seed = i + 10;
        make_events(&input);
        for (int is_aggregate = 0; is_aggregate < 2; is_aggregate++) {
            struct session_case subject = {.is_aggregate = is_aggregate != 0, .gap = 3 + i % 4, .grace = 0};
            late += compare_sessions(&subject);
            subject.grace = 4;
            late += compare_sessions(&subject);
            subject.gap = 12;
            late += compare_sessions(&subject);
        }
    }
    EXPECT(late > 112 * rounds);
}

int main(void)
{
    RUN(windows);
    RUN(windows_of_slices);
    RUN(sessions);
    return test_result();
}
