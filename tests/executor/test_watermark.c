/* test_watermark.c: the watermark row by row, partitions, silence, and taking back. */
#include "executor/expr.h"
#include "executor/watermark.h"
#include "tests/test.h"

#define NONE WATERMARK_NONE

static struct arena arena;
static const struct sql_type types[2] = {{OID_TIMESTAMP, -1}, {OID_INT4, -1}};

/* The watermark is the time itself. */
static struct watermark *make(struct watermark_desc desc)
{
    arena_init(&arena, NULL);
    desc.is_declared = true;
    desc.expression = expr_column(&arena, 0, types[0]);
    desc.text = "ts";
    struct watermark *w;
    struct error err;
    CHECK(watermark_create(&desc, types, 2, NULL, &w, &err));
    return w;
}

static struct batch *rows(const char *text)
{
    struct batch *batch = batch_create(&arena, types, 2, 8);
    int n = 0, partition;
    long long us;
    for (; sscanf(text, " %lld/%d%n", &us, &partition, &n) == 2; text += n) {
        struct datum values[2] = {{.is_null = us < 0, .i64 = us < 0 ? 0 : us}, datum_i32(partition)};
        batch_append_datums(batch, values, 1);
    }
    return batch;
}

static struct watermark_undo *undo;
static const int32_t *from; /* the partition of the source that rows come from; NULL: clients insert them */

static const char *judge(struct watermark *w, int64_t clock, const char *text)
{
    static char out[400];
    struct batch *batch = rows(text);
    int64_t *watermarks = arena_alloc(&arena, sizeof(int64_t) * (batch->rows + 1));
    watermark_judge(w, batch, from, clock, watermarks, &arena, &undo);
    size_t len = 0;
    for (uint32_t i = 0; i < batch->rows; i++)
        len += (size_t)(watermarks[i] == NONE
                            ? snprintf(out + len, sizeof(out) - len, "- ")
                            : snprintf(out + len, sizeof(out) - len, "%lld ", (long long)watermarks[i]));
    out[len] = '\0';
    return out;
}

TEST(row_by_row)
{
    struct watermark *w = make((struct watermark_desc){.partition_column = -1});
    EXPECT(watermark_value(w) == NONE);
    EXPECT_TEXT(judge(w, 0, "10/0 5/0 30/0 20/0 -1/0 31/0"), "- 10 10 30 30 30 ");
    EXPECT_INT(watermark_value(w), 31);
    /* in one batch or in two: the same */
    EXPECT_TEXT(judge(w, 0, "40/0"), "31 ");
    EXPECT_TEXT(judge(w, 0, "1/0"), "40 ");
    watermark_destroy(w);
}

TEST(partitions)
{
    struct watermark *w = make((struct watermark_desc){.partition_column = 1, .idle_timeout_us = 100});
    EXPECT_TEXT(judge(w, 0, "10/1 20/1 5/2 30/2 7/3 50/3 50/2"), "- 10 20 20 20 20 20 ");
    EXPECT_INT(watermark_value(w), 20); /* it never goes back, though 3 began at 7 */
    EXPECT_TEXT(judge(w, 50, "25/1 40/1"), "20 25 ");
    EXPECT_INT(watermark_value(w), 40);
    EXPECT_TEXT(judge(w, 90, "60/2 70/3"), "40 40 ");
    EXPECT_INT(watermark_reaches(w, 55), 150); /* 1 spoke last at 50 */
    EXPECT(!watermark_pass_time(w, 149));
    EXPECT(watermark_pass_time(w, 150));
    EXPECT_INT(watermark_value(w), 60);
    /* it speaks again, behind: it is heard, and the watermark stands */
    EXPECT_TEXT(judge(w, 160, "41/1 90/2 90/3"), "60 60 60 ");
    EXPECT_INT(watermark_value(w), 60);
    EXPECT_TEXT(judge(w, 170, "80/1"), "60 ");
    EXPECT_INT(watermark_value(w), 80);
    struct watermark_stats stats;
    watermark_fill_stats(w, &stats);
    EXPECT_INT(stats.partitions, 3);
    EXPECT_INT(stats.idle_partitions, 0);
    /* all silent: it stands still */
    EXPECT(watermark_pass_time(w, 1000) == false);
    EXPECT_INT(watermark_value(w), 80);
    watermark_destroy(w);
}

TEST(silence_advances)
{
    struct watermark *w = make(
        (struct watermark_desc){.partition_column = -1, .idle_timeout_us = 100, .advances_when_idle = true});
    EXPECT_INT(watermark_reaches(w, 10), INT64_MAX); /* no row yet */
    (void)judge(w, 1000, "500/0");
    EXPECT_INT(watermark_reaches(w, 550), 1100); /* not before the timeout */
    EXPECT_INT(watermark_reaches(w, 900), 1400);
    EXPECT(!watermark_pass_time(w, 1099));
    EXPECT(watermark_pass_time(w, 1100));
    EXPECT_INT(watermark_value(w), 600);
    EXPECT(watermark_pass_time(w, 1400));
    EXPECT_INT(watermark_value(w), 900);
    EXPECT_TEXT(judge(w, 1500, "700/0 950/0"), "900 900 ");
    EXPECT_INT(watermark_value(w), 950);
    watermark_destroy(w);
}

TEST(taking_back)
{
    struct watermark *w = make((struct watermark_desc){.partition_column = 1});
    (void)judge(w, 0, "10/1 20/2");
    EXPECT_INT(watermark_value(w), 10);
    (void)judge(w, 1, "50/1 60/1 70/2 5/3");
    EXPECT_INT(watermark_value(w), 60);
    watermark_take_back(w, undo);
    EXPECT_INT(watermark_value(w), 10);
    EXPECT_TEXT(judge(w, 2, "15/1 16/1"), "10 15 ");
    struct watermark_stats stats;
    watermark_fill_stats(w, &stats);
    EXPECT_INT(stats.partitions, 2);
    EXPECT_INT(stats.greatest, 20);
    watermark_destroy(w);
}

TEST(future)
{
    struct watermark *w = make((struct watermark_desc){.partition_column = -1, .max_future_us = 10});
    uint32_t rejected[8];
    EXPECT_INT(watermark_reject(w, rows("5/0 110/0 111/0 -1/0 500/0"), 100, rejected), 2);
    EXPECT_INT(rejected[0], 2);
    EXPECT_INT(rejected[1], 4);
    watermark_destroy(w);
}

/* One that has something to be read holds the watermark back; rows that clients insert are judged and move nothing. */
TEST(partitions_of_a_source)
{
    struct watermark *w = make((struct watermark_desc){.partition_column = WATERMARK_BY_SOURCE});
    const int32_t first = 3, second = 5;
    EXPECT_TEXT(judge(w, 1, "900/0"), "- ");
    EXPECT(watermark_value(w) == NONE);
    watermark_expect(w, second, 1, &arena, &undo);
    from = &first;
    EXPECT_TEXT(judge(w, 2, "100/0 110/0"), "- - ");
    EXPECT(watermark_value(w) == NONE);
    from = &second;
    EXPECT_TEXT(judge(w, 3, "50/0 60/0"), "- 50 ");
    EXPECT_INT(watermark_value(w), 60);
    from = NULL;
    EXPECT_TEXT(judge(w, 4, "10/0 500/0"), "60 60 ");
    from = &second;
    EXPECT_TEXT(judge(w, 5, "200/0"), "60 ");
    EXPECT_INT(watermark_value(w), 110);
    watermark_take_back(w, undo);
    EXPECT_INT(watermark_value(w), 60);
    struct watermark_stats stats;
    watermark_fill_stats(w, &stats);
    EXPECT_INT(stats.partitions, 2);
    from = NULL;
    watermark_destroy(w);
    arena_release(&arena);
}

int main(void)
{
    RUN(row_by_row);
    RUN(partitions);
    RUN(silence_advances);
    RUN(taking_back);
    RUN(future);
    RUN(partitions_of_a_source);
    return test_result();
}
