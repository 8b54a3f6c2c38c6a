/* kafka_start.c: where a new source begins: the one time that somebody waits for brokers. */
#include "protocol/connector/kafka_log.h"
#include "storage/base/clock.h"
#include "storage/data/datetime.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- the option's text ---- */

/* '0:100,1:200': calls nothing when each is NULL. false: it is not such a list. */
static bool each_offset(const char *text, bool (*each)(void *ctx, int32_t partition, int64_t offset),
                        void *ctx)
{
    for (;;) {
        char *end;
        text += strspn(text, " ");
        errno = 0;
        long partition = strtol(text, &end, 10);
        if (end == text || *end != ':' || errno != 0 || partition < 0 || partition > INT32_MAX ||
            *text == '+')
            return false;
        text = end + 1;
        long long offset = strtoll(text, &end, 10);
        if (end == text || errno != 0 || offset < 0 || *text < '0' || *text > '9')
            return false;
        if (each != NULL && !each(ctx, (int32_t)partition, (int64_t)offset))
            return false;
        text = end + strspn(end, " ");
        if (*text == '\0')
            return true;
        if (*text++ != ',')
            return false;
    }
}

static bool is_word(const char *start)
{
    return strcmp(start, "earliest") == 0 || strcmp(start, "latest") == 0;
}

static bool read_time(const char *start, int64_t *us, struct error *err)
{
    struct arena arena;
    arena_init(&arena, NULL);
    struct datum value;
    struct error ignored;
    bool ok =
        type_input(OID_TIMESTAMPTZ, -1, start, strlen(start), &io_env_default, &arena, &value, &ignored);
    arena_release(&arena);
    ok = ok && value.i64 != TIMESTAMP_MINUS_INFINITY && value.i64 != TIMESTAMP_PLUS_INFINITY;
    if (ok) {
        *us = value.i64;
        return true;
    }
    error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "invalid value for option \"start\": \"%s\"", start);
    return error_hint(err, "Its values are 'earliest', 'latest', a timestamp ('2026-01-01 00:00:00+00') and "
                           "an offset for every partition ('0:100,1:200').");
}

bool kafka_start_check(const char *start, struct error *err)
{
    int64_t us;
    return is_word(start) || each_offset(start, NULL, NULL) || read_time(start, &us, err);
}

/* ---- asking ---- */

#define FIRST_MS 250

struct asking {
    struct kafka_log *log;
    int64_t deadline_ns;
    struct error *err;
    int patience_ms; /* for the next question; 0: FIRST_MS */
};

/* For one question: what librdkafka reports meanwhile is heard before the next one, which has twice the time. */
static int left_ms(struct asking *asking)
{
    int64_t left = (asking->deadline_ns - clock_monotonic_ns()) / 1000000;
    asking->patience_ms = asking->patience_ms == 0 ? FIRST_MS : 2 * asking->patience_ms;
    if (left > asking->patience_ms)
        return asking->patience_ms;
    return left < 1 ? 1 : (int)left;
}

static bool is_late(const struct asking *asking)
{
    return clock_monotonic_ns() >= asking->deadline_ns;
}

/* What brokers said last tells more than that nobody answered. */
static bool no_answer(const struct asking *asking, rd_kafka_resp_err_t failed)
{
    struct kafka_log *log = asking->log;
    pthread_mutex_lock(&log->lock);
    struct error last = log->broker;
    pthread_mutex_unlock(&log->lock);
    enum error_code code = kafka_error_code(failed);
    if (code == ERRCODE_CONNECTION_FAILURE && last.code != ERRCODE_NONE)
        code = last.code;
    if (code == ERRCODE_CONNECTION_FAILURE)
        code = ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION;
    error_set(asking->err, code, "could not read topic \"%s\"", log->topic);
    return error_detail(asking->err, "%s",
                        last.code != ERRCODE_NONE ? last.message : rd_kafka_err2str(failed));
}

/* Waits a little before asking again; false when time is over, none of the brokers can be reached, or they do not let us in and
 * never will. Topics that were just made have no leaders yet. */
static bool wait_again(const struct asking *asking)
{
    struct kafka_log *log = asking->log;
    rd_kafka_poll(log->rk, 0);
    pthread_mutex_lock(&log->lock);
    bool refused = log->all_down || log->broker.code == ERRCODE_INVALID_AUTHORIZATION_SPECIFICATION;
    pthread_mutex_unlock(&log->lock);
    if (refused || is_late(asking))
        return false;
    int64_t until_ns = clock_monotonic_ns() + INT64_C(100000000);
    struct timespec until = {.tv_sec = until_ns / 1000000000, .tv_nsec = until_ns % 1000000000};
    pthread_mutex_lock(&log->lock);
    int waited = 0;
    while (waited == 0)
        waited = pthread_cond_timedwait(&log->cond, &log->lock, &until);
    pthread_mutex_unlock(&log->lock);
    return true;
}

static bool no_topic(const struct asking *asking)
{
    return error_set(asking->err, ERRCODE_UNDEFINED_TABLE, "topic \"%s\" does not exist", asking->log->topic);
}

/* How many partitions there are, when all of them have leaders. */
static bool ask_partitions(struct asking *asking, uint32_t *count)
{
    for (;;) {
        const struct rd_kafka_metadata *metadata;
        rd_kafka_resp_err_t failed =
            rd_kafka_metadata(asking->log->rk, 0, asking->log->rkt, &metadata, left_ms(asking));
        if (failed == RD_KAFKA_RESP_ERR_NO_ERROR) {
            failed = metadata->topic_cnt == 1 ? metadata->topics[0].err : RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC;
            *count = metadata->topic_cnt == 1 ? (uint32_t)metadata->topics[0].partition_cnt : 0;
            for (uint32_t i = 0; i < *count && failed == RD_KAFKA_RESP_ERR_NO_ERROR; i++) {
                if (metadata->topics[0].partitions[i].leader < 0)
                    failed = RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE;
            }
            rd_kafka_metadata_destroy(metadata);
            if (failed == RD_KAFKA_RESP_ERR_NO_ERROR && *count > 0)
                return true;
            if (failed == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ||
                failed == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC)
                return no_topic(asking);
            if (failed != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE && failed != RD_KAFKA_RESP_ERR_NO_ERROR)
                return no_answer(asking, failed);
        }
        if (!wait_again(asking))
            return no_answer(asking, failed);
    }
}

/* Offsets of partitions 0 to count - 1 at a time. The list is the caller's to destroy. */
static bool ask_offsets(struct asking *asking, uint32_t count, int64_t at,
                        rd_kafka_topic_partition_list_t **out)
{
    for (;;) {
        rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new((int)count);
        for (uint32_t i = 0; i < count; i++)
            rd_kafka_topic_partition_list_add(list, asking->log->topic, (int32_t)i);
        rd_kafka_resp_err_t failed;
        if (kafka_offsets_at(asking->log, list, at, left_ms(asking), &failed)) {
            for (uint32_t i = 0; i < count && failed == RD_KAFKA_RESP_ERR_NO_ERROR; i++)
                failed = list->elems[i].err;
            if (failed == RD_KAFKA_RESP_ERR_NO_ERROR) {
                *out = list;
                return true;
            }
        }
        rd_kafka_topic_partition_list_destroy(list);
        if (!wait_again(asking))
            return no_answer(asking, failed);
    }
}

/* ---- answers ---- */

struct chosen {
    const struct asking *asking;
    struct partition_position *positions;
    const struct rd_kafka_topic_partition_list_s *low, *high;
    uint32_t count;
};

static bool choose_offset(void *ctx, int32_t partition, int64_t offset)
{
    const struct chosen *chosen = ctx;
    const char *topic = chosen->asking->log->topic;
    struct error *err = chosen->asking->err;
    if ((uint32_t)partition >= chosen->count) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                  "option \"start\" names partition %d, which topic \"%s\" does not have", partition, topic);
        return error_detail(err, "The topic has %u partitions, from 0 on.", chosen->count);
    }
    if (chosen->positions[partition].offset >= 0)
        return error_set(err, ERRCODE_INVALID_PARAMETER_VALUE, "option \"start\" names partition %d twice",
                         partition);
    int64_t low = chosen->low->elems[partition].offset, high = chosen->high->elems[partition].offset;
    if (offset < low || offset > high) {
        error_set(err, ERRCODE_INVALID_PARAMETER_VALUE,
                  "option \"start\" names offset %lld of partition %d, which topic \"%s\" does not have",
                  (long long)offset, partition, topic);
        return error_detail(err, "The partition has offsets from %lld on, and the next one is %lld.",
                            (long long)low, (long long)high);
    }
    chosen->positions[partition].offset = offset;
    return true;
}

static bool choose_listed(const struct asking *asking, struct partition_position *positions, uint32_t count,
                          const struct rd_kafka_topic_partition_list_s *low,
                          const struct rd_kafka_topic_partition_list_s *high)
{
    struct chosen chosen = {asking, positions, low, high, count};
    if (!each_offset(asking->log->start, choose_offset, &chosen))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        if (positions[i].offset < 0) {
            error_set(asking->err, ERRCODE_INVALID_PARAMETER_VALUE,
                      "option \"start\" leaves out partition %u of topic \"%s\"", i, asking->log->topic);
            return error_detail(asking->err, "The topic has %u partitions, from 0 on.", count);
        }
    }
    return true;
}

static bool choose_time(struct asking *asking, struct partition_position *positions, uint32_t count,
                        const struct rd_kafka_topic_partition_list_s *low,
                        const struct rd_kafka_topic_partition_list_s *high)
{
    int64_t us;
    rd_kafka_topic_partition_list_t *at;
    if (!read_time(asking->log->start, &us, asking->err))
        return false;
    /* up to the next millisecond: a record of the one before may be older */
    int64_t ms = (us >= 0 ? (us + 999) / 1000 : us / 1000) + KAFKA_EPOCH_2000_MS;
    if (!ask_offsets(asking, count, ms < 0 ? 0 : ms, &at))
        return false;
    for (uint32_t i = 0; i < count; i++) {
        /* no record is that young: whatever comes after the asking for the end, which was before */
        int64_t offset = at->elems[i].offset;
        positions[i].offset = offset < 0 ? high->elems[i].offset : offset;
        if (positions[i].offset < low->elems[i].offset)
            positions[i].offset = low->elems[i].offset;
    }
    rd_kafka_topic_partition_list_destroy(at);
    return true;
}

static bool choose(struct asking *asking, struct partition_position *positions, uint32_t count,
                   const struct rd_kafka_topic_partition_list_s *low,
                   const struct rd_kafka_topic_partition_list_s *high)
{
    const char *start = asking->log->start;
    if (!is_word(start))
        return each_offset(start, NULL, NULL) ? choose_listed(asking, positions, count, low, high)
                                              : choose_time(asking, positions, count, low, high);
    bool earliest = strcmp(start, "earliest") == 0;
    for (uint32_t i = 0; i < count; i++)
        positions[i].offset = earliest ? low->elems[i].offset : high->elems[i].offset;
    return true;
}

bool kafka_start(struct partitioned_log *base, int64_t timeout_ns, struct arena *arena,
                 struct partition_position **out, uint32_t *count, struct error *err)
{
    struct asking asking = {(struct kafka_log *)base, clock_monotonic_ns() + timeout_ns, err, 0};
    rd_kafka_topic_partition_list_t *low, *high;
    if (!ask_partitions(&asking, count) || !ask_offsets(&asking, *count, RD_KAFKA_OFFSET_BEGINNING, &low))
        return false;
    if (!ask_offsets(&asking, *count, RD_KAFKA_OFFSET_END, &high)) {
        rd_kafka_topic_partition_list_destroy(low);
        return false;
    }
    *out = ARENA_ARRAY(arena, struct partition_position, *count);
    for (uint32_t i = 0; i < *count; i++)
        (*out)[i] = (struct partition_position){.partition = (int32_t)i, .offset = -1, .seen_offset = -1};
    bool ok = kafka_note_cluster(asking.log, err) && choose(&asking, *out, *count, low, high);
    for (uint32_t i = 0; i < *count && ok; i++) { /* so that it is known which partitions are empty */
        struct kafka_partition *partition = kafka_partition(asking.log, (int32_t)i);
        atomic_store(&partition->low, low->elems[i].offset);
        atomic_store(&partition->high, high->elems[i].offset);
    }
    rd_kafka_topic_partition_list_destroy(low);
    rd_kafka_topic_partition_list_destroy(high);
    return ok;
}
