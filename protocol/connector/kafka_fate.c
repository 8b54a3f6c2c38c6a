/* kafka_fate.c: see kafka_fate.h. */
#include "protocol/connector/kafka_fate.h"

#include "storage/base/arena.h"
#include "storage/base/clock.h"

#define SLICE_MS     500
#define SLICE_MAX_MS 2000

static bool is_cancelled(const _Atomic bool *cancel)
{
    return cancel != NULL && atomic_load(cancel);
}

static rd_kafka_topic_partition_list_t *list_of_ends(const char *topic, const struct kafka_last *last,
                                                     uint32_t count)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (uint32_t i = 0; i < count; i++)
        rd_kafka_topic_partition_list_add(list, topic, last[i].partition)->offset = RD_KAFKA_OFFSET_END;
    return list;
}

rd_kafka_resp_err_t kafka_ends(rd_kafka_t *reader, const char *topic, const struct kafka_last *last,
                               uint32_t count, int64_t *ends, int timeout_ms, const _Atomic bool *cancel)
{
    rd_kafka_topic_partition_list_t *list;
    rd_kafka_resp_err_t code;
    for (int slice_ms = SLICE_MS;; slice_ms = slice_ms < SLICE_MAX_MS ? 2 * slice_ms : slice_ms) {
        list = list_of_ends(topic, last, count);
        code = rd_kafka_offsets_for_times(reader, list, slice_ms < timeout_ms ? slice_ms : timeout_ms);
        timeout_ms -= slice_ms;
        if (code != RD_KAFKA_RESP_ERR__TIMED_OUT || timeout_ms <= 0 || is_cancelled(cancel))
            break;
        rd_kafka_topic_partition_list_destroy(list);
    }
    for (uint32_t i = 0; i < count && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        const rd_kafka_topic_partition_t *found =
            rd_kafka_topic_partition_list_find(list, topic, last[i].partition);
        code = found->err;
        ends[i] = found->offset;
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR && found->offset < 0)
            code = RD_KAFKA_RESP_ERR__PARTIAL;
    }
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

/* Of a partition: NULL when it is not among them. */
static const struct kafka_last *find(const struct kafka_last *last, uint32_t count, int32_t partition)
{
    while (count > 0) {
        const struct kafka_last *middle = last + count / 2;
        if (middle->partition == partition)
            return middle;
        if (middle->partition < partition) {
            last = middle + 1;
            count -= count / 2 + 1;
        } else {
            count /= 2;
        }
    }
    return NULL;
}

/* seen[i] = the first offset from last[i] on that the reader sees; -1: none up to its end. */
static rd_kafka_resp_err_t look(rd_kafka_t *reader, const char *topic, const struct kafka_last *last,
                                uint32_t count, int64_t *seen, int64_t deadline_ns,
                                const _Atomic bool *cancel)
{
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
    for (uint32_t i = 0; i < count; i++) {
        seen[i] = INT64_MIN;
        rd_kafka_topic_partition_list_add(list, topic, last[i].partition)->offset = last[i].offset;
    }
    rd_kafka_resp_err_t code = rd_kafka_assign(reader, list);
    uint32_t left = count;
    while (left > 0 && code == RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(reader, 100);
        if (clock_monotonic_ns() >= deadline_ns || is_cancelled(cancel))
            code = RD_KAFKA_RESP_ERR__TIMED_OUT;
        if (message == NULL)
            continue;
        bool is_end = message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF ||
                      message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
                      message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE;
        const struct kafka_last *of = find(last, count, message->partition);
        if (of != NULL && seen[of - last] == INT64_MIN &&
            (is_end || message->err == RD_KAFKA_RESP_ERR_NO_ERROR)) {
            seen[of - last] = is_end ? -1 : message->offset;
            left--;
        }
        rd_kafka_message_destroy(message);
    }
    (void)rd_kafka_assign(reader, NULL);
    rd_kafka_topic_partition_list_destroy(list);
    return code;
}

rd_kafka_resp_err_t kafka_fates(rd_kafka_t *committed, rd_kafka_t *all, const char *topic,
                                const struct kafka_last *last, uint32_t count, enum kafka_fate *fates,
                                int timeout_ms, const _Atomic bool *cancel)
{
    if (count == 0)
        return RD_KAFKA_RESP_ERR_NO_ERROR;
    int64_t deadline_ns = clock_monotonic_ns() + (int64_t)timeout_ms * 1000000;
    int64_t *numbers = mem_alloc(sizeof(int64_t) * 4 * count);
    int64_t *stable = numbers, *ends = stable + count, *seen = ends + count, *there = seen + count;
    rd_kafka_resp_err_t code = kafka_ends(committed, topic, last, count, stable, timeout_ms, cancel);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = kafka_ends(all, topic, last, count, ends, timeout_ms, cancel);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = look(committed, topic, last, count, seen, deadline_ns, cancel);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = look(all, topic, last, count, there, deadline_ns, cancel);
    for (uint32_t i = 0; i < count && code == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
        if (seen[i] == last[i].offset)
            fates[i] = KAFKA_VISIBLE;
        else if (last[i].offset >= stable[i] && last[i].offset < ends[i])
            fates[i] = KAFKA_OPEN;
        else
            fates[i] = there[i] == last[i].offset ? KAFKA_ABORTED : KAFKA_GONE;
    }
    mem_free(numbers);
    return code;
}
