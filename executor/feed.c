/* feed.c: lists of this tick's change batches, and who wants to hear of them. */
#include "executor/feed.h"

void feed_init(struct feed *feed, uint32_t shards_count)
{
    *feed = (struct feed){.shards_count = shards_count};
    feed->shards = mem_zalloc(sizeof(*feed->shards) * shards_count);
}

void feed_release(struct feed *feed)
{
    for (uint32_t i = 0; i < feed->shards_count; i++)
        mem_free(feed->shards[i].batches);
    mem_free(feed->shards);
    mem_free(feed->dependents);
    *feed = (struct feed){0};
}

void feed_add(struct feed *feed, uint32_t shard, const struct batch *batch)
{
    if (batch->rows == 0)
        return;
    struct feed_shard *list = &feed->shards[shard];
    if (list->count == list->cap) {
        list->cap = list->cap ? list->cap * 2 : 8;
        list->batches = mem_realloc(list->batches, sizeof(*list->batches) * list->cap);
    }
    list->batches[list->count++] = batch;
    list->rows += batch->rows;
}

void feed_count(struct feed *feed, uint32_t shard, uint64_t rows)
{
    feed->shards[shard].rows += rows;
}

void feed_clear(struct feed *feed)
{
    for (uint32_t i = 0; i < feed->shards_count; i++) {
        feed->shards[i].count = 0;
        feed->shards[i].rows = 0;
    }
    feed->dirty = false;
}

uint64_t feed_rows(const struct feed *feed)
{
    uint64_t rows = 0;
    for (uint32_t i = 0; i < feed->shards_count; i++)
        rows += feed->shards[i].rows;
    return rows;
}

void feed_add_dependent(struct feed *feed, struct dataflow *dataflow)
{
    for (uint32_t i = 0; i < feed->dependents_count; i++) {
        if (feed->dependents[i] == dataflow)
            return;
    }
    if (feed->dependents_count == feed->dependents_cap) {
        feed->dependents_cap = feed->dependents_cap ? feed->dependents_cap * 2 : 4;
        feed->dependents = mem_realloc(feed->dependents, sizeof(struct dataflow *) * feed->dependents_cap);
    }
    feed->dependents[feed->dependents_count++] = dataflow;
}

void feed_remove_dependent(struct feed *feed, struct dataflow *dataflow)
{
    for (uint32_t i = 0; i < feed->dependents_count; i++) {
        if (feed->dependents[i] == dataflow) {
            feed->dependents[i] = feed->dependents[--feed->dependents_count];
            return;
        }
    }
}
